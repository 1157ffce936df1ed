"""Audits of fusions against NumPy, hand-made networks whose answers are known, and cases counted by hand."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, f1_score

from fusebook.errors import mistakes
from fusebook.evaluation.fusion import gate_shares, ledger, ledger_counts, part_sets, shuffle_audit, subset_table
from fusebook.models import bundle
from fusebook.models import network as models_network
from fusebook.models.fusion import DecisionFusion
from fusebook.models.network import build_mlp, model_inputs

keras = models_network.keras
LABELS = ["文", "b", "c"]
FUSED = "decision-level product"


def identity(part, n_classes=3):
    """A network whose probabilities are the softmax of its features."""
    inputs = keras.Input((n_classes,), name=part)
    layer = keras.layers.Dense(n_classes, activation="softmax", use_bias=False)
    network = keras.Model({part: inputs}, layer(inputs))
    layer.set_weights([np.eye(n_classes)])
    return network


@pytest.fixture(scope="module")
def trained():
    """Two parts whose networks say what their features say, and the product of both."""
    made = bundle.TrainedModels({part: identity(part) for part in ("audio", "text")}, np.full(3, 1 / 3))
    rule = DecisionFusion("product", made.prior)
    rule.names_ = ["audio", "text"]
    made.fusions[FUSED] = rule
    return made


def case(n_rows=200, *, strengths=(1.0, 2.0), share=0.8, seed=0):
    """Features that know the label more or less, and rows that lack some parts: features, present, labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n_rows)
    signal = np.eye(3)[labels]
    features, present = {}, {}
    for part, strength in zip(("audio", "text"), strengths, strict=True):
        features[part] = (rng.normal(size=(n_rows, 3)) + strength * signal).astype(np.float32)
        present[part] = rng.random(n_rows) < share
    return features, present, labels


# --- Sets of parts ------------------------------------------------------------------------------------


def test_all_sets_of_three_parts_by_hand():
    expected = [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")]
    assert part_sets(["c", "a", "b"]) == expected


def test_subsets_are_what_numpy_answers_from_these_parts(trained):
    features, present, labels = case()
    table = subset_table({"both": (trained, FUSED)}, features, present, labels)
    whole, found = present["audio"] & present["text"], table.set_index(["parts", "model"])
    sums = {"audio": features["audio"], "text": features["text"], "audio + text": features["audio"] + features["text"]}
    for parts, values in sums.items():
        predicted, line = values[whole].argmax(axis=1), found.loc[(parts, "both")]
        assert line["accuracy"] == pytest.approx(accuracy_score(labels[whole], predicted))
        assert line["macro_f1"] == pytest.approx(f1_score(labels[whole], predicted, average="macro"))
        assert line["accuracy_low"] < line["accuracy"] < line["accuracy_high"]
        assert line["n_rows"] == whole.sum() < len(labels), "on the rows that have every part"
        if parts != "audio + text":
            assert found.loc[(parts, "own network"), "accuracy"] == line["accuracy"]
    assert list(table["parts"]) == ["audio", "audio", "text", "text", "audio + text"]
    assert list(table["n_parts"]) == [1, 1, 1, 1, 2]


def test_a_feature_level_network_gets_zeros_for_what_is_held_back():
    rng = np.random.default_rng(2)
    features = {"audio": rng.normal(size=(60, 2)), "text": rng.normal(size=(60, 4))}
    features = {name: values.astype(np.float32) for name, values in features.items()}
    network = build_mlp({"audio": 2, "text": 4}, 3, hidden=[7], activations=["relu"])
    networks = {"audio": build_mlp({"audio": 2}, 3), "text": build_mlp({"text": 4}, 3)}
    joint = bundle.TrainedModels(networks | {bundle.FEATURE_LEVEL: network}, np.full(3, 1 / 3))
    labels, everywhere = rng.integers(0, 3, 60), {name: np.ones(60, bool) for name in features}
    asked = {"joint": (joint, bundle.FEATURE_LEVEL)}
    table = subset_table(asked, features, everywhere, labels).set_index(["parts", "model"])
    (w, b), (v, c), (u, d) = (
        network.get_layer(name).get_weights()
        for name in (
            "project_text",
            *[
                layer.name
                for layer in network.layers
                if isinstance(layer, keras.layers.Dense) and "project" not in layer.name
            ],
        )
    )
    hidden = np.maximum(features["text"] @ w + b, 0) @ v[7:] + c  # the text's half of the joint layer
    expected = (np.maximum(hidden, 0) @ u + d).argmax(axis=1)
    assert table.loc[("text", "joint"), "accuracy"] == pytest.approx(accuracy_score(labels, expected))


def test_without_a_row_that_has_every_part_there_is_no_line(trained):
    features, present, labels = case()
    present["text"] = ~present["audio"]
    table = subset_table({"both": (trained, FUSED)}, features, present, labels)
    assert len(table) == 0 and {"parts", "n_parts", "model", "accuracy", "n_rows"} <= set(table)


def test_groups_widen_the_intervals_of_subsets(trained):
    features, present, labels = case(20)
    many = [np.tile(part, 10) for part in (np.arange(20), labels)]
    features, present = (
        {name: np.tile(values.T, 10).T for name, values in arrays.items()} for arrays in (features, present)
    )
    asked = {"both": (trained, FUSED)}
    alone = subset_table(asked, features, present, many[1])
    grouped = subset_table(asked, features, present, many[1], groups=many[0])
    width = [(table["accuracy_high"] - table["accuracy_low"]).astype(float).to_numpy() for table in (alone, grouped)]
    assert (width[1] > 2 * width[0]).all()


# --- Shuffled parts -----------------------------------------------------------------------------------


def test_shuffling_is_what_numpy_does_with_the_same_orders(trained):
    features, present, labels = case(150)
    table = shuffle_audit({"both": (trained, FUSED)}, features, present, labels, n_shuffles=4)
    for line in table.to_dict("records"):
        part, there = line["part"], present[line["part"]]
        other = "audio" if part == "text" else "text"
        kept = features[other][there] * present[other][there][:, None]
        own, truth, random = features[part][there], labels[there], np.random.default_rng(42)
        rights = [((own[random.permutation(len(own))] + kept).argmax(axis=1) == truth) for _ in range(4)]
        right, shuffled = (own + kept).argmax(axis=1) == truth, np.mean(rights, axis=0)
        assert line["n_rows"] == there.sum() and line["accuracy"] == pytest.approx(right.mean())
        assert line["shuffled"] == pytest.approx(shuffled.mean())
        assert line["drop"] == pytest.approx(right.mean() - shuffled.mean())
        # Rows are drawn within labels, so the interval is that of a stratified mean (normal approximation).
        for name, values in (("shuffled", shuffled), ("drop", right - shuffled)):
            strata = [values[truth == k] for k in range(3)]
            error = np.sqrt(sum(part.var() * len(part) for part in strata)) / len(values)
            half = (line[f"{name}_high"] - line[f"{name}_low"]) / 2
            assert half == pytest.approx(1.96 * error, rel=0.1)
            assert line[f"{name}_low"] < line[name] < line[f"{name}_high"]


def test_a_part_that_a_model_does_not_read_loses_nothing(trained):
    """The text's own network keeps its accuracy without sound; shuffled text is right as often as chance says."""
    features, _, labels = case(3000)
    present = {name: np.ones(3000, bool) for name in features}
    asked = {"text alone": (trained, "text")}
    table = shuffle_audit(asked, features, present, labels, n_shuffles=20).set_index("part")
    assert (table.loc["audio", ["drop", "drop_low", "drop_high"]] == 0).all(), "nothing is lost, in no resample either"
    predicted = features["text"].argmax(axis=1)
    chance = sum((predicted == k).mean() * (labels == k).mean() for k in range(3))
    assert table.loc["text", "shuffled"] == pytest.approx(chance, abs=0.005)
    assert table.loc["text", "accuracy"] == pytest.approx((predicted == labels).mean())


def test_all_blocks_of_a_part_are_shuffled_alike():
    """A network that compares two blocks of a text is right as long as they come from the same row."""
    numbers = np.arange(40, dtype=np.int32)[:, None]
    inputs = {
        "text": keras.Input((1,), name="text"),
        "text_ngrams": keras.Input((1,), name="text_ngrams", dtype="int32"),
    }
    apart = keras.ops.abs(inputs["text"] - keras.ops.cast(inputs["text_ngrams"], "float32"))
    same = keras.ops.cast(apart < 0.5, "float32")
    network = keras.Model(inputs, keras.ops.concatenate([1 - same, same], axis=1))
    made = bundle.TrainedModels({"text": network}, np.full(2, 0.5))
    features = {"text": numbers.astype(np.float32), "text_ngrams": numbers}
    asked, present = {"text": (made, "text")}, {"text": np.ones(40, bool)}
    table = shuffle_audit(asked, features, present, np.ones(40, int))
    assert table["accuracy"].tolist() == [1.0] and table["shuffled"].tolist() == pytest.approx([1.0])


def test_within_a_part_only_the_given_columns_are_shuffled(trained):
    """By hand: two columns of the text change places with other rows', the rest stays; the given features stay too."""
    features, present, labels = case()
    before = {name: values.copy() for name, values in features.items()}
    within = {"first": {"text": slice(0, 2)}, "none": {"text": slice(0, 0)}, "all": {"text": slice(None)}}
    asked = {"text": (trained, "text")}
    table = shuffle_audit(asked, features, present, labels, within=within, n_shuffles=3)
    table = table.set_index("part")
    assert list(table.index) == list(within)
    own, truth = features["text"][present["text"]], labels[present["text"]]
    random = np.random.default_rng(42)
    orders = [random.permutation(len(truth)) for _ in range(3)]
    rights = [(np.hstack([own[order, :2], own[:, 2:]]).argmax(axis=1) == truth).mean() for order in orders]
    assert table.loc["first", "shuffled"] == pytest.approx(np.mean(rights))
    assert table.loc["none", "drop"] == 0 < table.loc["first", "drop"]
    whole = shuffle_audit(asked, features, present, labels, n_shuffles=3).set_index("part")
    assert table.loc["all", "shuffled"] == whole.loc["text", "shuffled"]
    for name, values in features.items():
        np.testing.assert_array_equal(values, before[name])


def test_a_part_that_no_row_has_is_not_shuffled(trained):
    features, present, labels = case(30)
    present["audio"][:] = False
    table = shuffle_audit({"both": (trained, FUSED)}, features, present, labels)
    assert table["part"].tolist() == ["text"]


@pytest.mark.parametrize("audit", [subset_table, shuffle_audit])
def test_a_model_that_is_not_there_is_named(trained, audit):
    rows = case(30)
    with pytest.raises(ValueError, match="both: there is no model 'sum'; expected one of audio, text, decision-level"):
        audit({"both": (trained, "sum")}, *rows)
    with pytest.raises(ValueError, match="No model is asked for"):
        audit({}, *rows)


# --- Gates by class -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def joint():
    """A feature-level network, its inputs, labels of which one has no row, and each part's signal by NumPy."""
    features, present, labels = case(90)
    network = build_mlp({"audio": 3, "text": 3}, 4, hidden=[5], activations=["relu"])
    inputs = model_inputs(features, present)
    kernel = next(
        layer for layer in network.layers if isinstance(layer, keras.layers.Dense) and "project" not in layer.name
    )
    signals = {}
    for i, part in enumerate(("audio", "text")):
        weights, bias = network.get_layer(f"project_{part}").get_weights()
        signal = np.maximum(features[part] @ weights + bias, 0) @ kernel.get_weights()[0][5 * i : 5 * i + 5]
        mean = signal[present[part]].mean(axis=0)
        signals[part] = np.sqrt(((signal - mean) ** 2).sum(axis=1)) * present[part]
    return network, inputs, labels, present, signals


def test_gate_shares_are_what_numpy_computes(joint):
    network, inputs, labels, _, signals = joint
    shares = gate_shares(network, inputs, labels, [*LABELS, "no row"])
    for k, name in enumerate(LABELS):
        total = {part: values[labels == k].sum() for part, values in signals.items()}
        expected = [total[part] / sum(total.values()) for part in ("audio", "text")]
        np.testing.assert_allclose(shares.loc[name, ["audio", "text"]], expected, atol=1e-4)
    assert shares.loc["no row"].isna().all() and list(shares) == ["audio", "text"]


def test_a_closed_gate_has_no_share(joint):
    network, inputs, labels, _, _ = joint
    closed = inputs | {"present": inputs["present"] * np.where(labels == 1, 0, 1)[:, None]}
    closed["present"][labels == 1, 0] = 1
    shares = gate_shares(network, closed, labels, [*LABELS, "no row"])
    np.testing.assert_allclose(shares.loc["b"], [1, 0])


def test_gate_shares_need_a_network_that_joins():
    network = build_mlp({"text": 3}, 3)
    with pytest.raises(ValueError, match="joins no parts; expected a feature-level MLP"):
        gate_shares(network, {"text": np.zeros((2, 3))}, np.zeros(2, int), LABELS)


# --- The ledger ---------------------------------------------------------------------------------------

CHOSEN = {  # the class that audio, text and the fusion choose; None where the part is missing; the outcome
    "r1": (0, 0, 0, "right throughout"),
    "r2": (0, 1, 0, "rescued"),
    "r3": (1, 2, 0, "rescued"),  # out of two wrong votes
    "r4": (0, 1, 1, "harmed"),
    "r5": (0, 0, 2, "harmed"),  # against both
    "r6": (1, 1, 1, "wrong throughout"),
    "r7": (None, 0, 0, "right throughout"),
    "r8": (None, 1, 1, "wrong throughout"),
    "r9": (None, None, 0, "no part"),  # the class shares happen to be right
    "r10": (0, 1, 0, "rescued"),
}


def by_hand():
    """Ten rows of class 0: answers, labels, present, row names."""
    chosen = list(CHOSEN.values())
    answers = {
        name: softmax(3 * np.eye(3)[[line[i] or 0 for line in chosen]], axis=1)
        for i, name in enumerate(("audio", "text", FUSED))
    }
    present = {name: np.array([line[i] is not None for line in chosen]) for i, name in enumerate(("audio", "text"))}
    return answers, np.zeros(len(chosen), int), present, list(CHOSEN)


def test_the_ledger_by_hand():
    answers, labels, present, rows = by_hand()
    table = ledger(answers, labels, present, LABELS, fusion=FUSED, rows=rows).set_index("row")
    for row, (audio, text, fused, outcome) in CHOSEN.items():
        line = table.loc[row]
        assert line["outcome"] == outcome, row
        for part, said in (("audio", audio), ("text", text)):
            assert line[part] == ("missing" if said is None else "right" if said == 0 else "wrong")
            assert line[f"says_{part}"] == ("" if said is None else LABELS[said])
        assert line["fusion"] == LABELS[fused] and line["label"] == "文"
        assert line["confidence"] == pytest.approx(np.exp(3) / (np.exp(3) + 2))


def test_the_counts_by_hand():
    answers, labels, present, rows = by_hand()
    table = ledger(answers, labels, present, LABELS, fusion=FUSED, rows=rows)
    counts = ledger_counts(table, present)
    expected = {  # audio, text: rows, fusion right, fusion wrong, rescued, harmed
        ("right", "wrong"): (3, 2, 1, 2, 1),
        ("right", "right"): (2, 1, 1, 0, 1),
        ("wrong", "wrong"): (2, 1, 1, 1, 0),
        ("missing", "right"): (1, 1, 0, 0, 0),
        ("missing", "wrong"): (1, 0, 1, 0, 0),
        ("missing", "missing"): (1, 1, 0, 0, 0),
    }
    assert list(counts) == ["rows", "fusion_right", "fusion_wrong", "rescued", "harmed"]
    assert {key: tuple(line) for key, line in zip(counts.index, counts.to_numpy(), strict=True)} == expected
    assert counts["rows"].is_monotonic_decreasing and counts.index.names == ["audio", "text"]


def test_where_no_part_is_missing_it_counts_as_notebook_04_does(trained):
    features, _, labels = case(300)
    present = {name: np.ones(300, bool) for name in features}
    answers = trained.predict(features, present)
    table = ledger(answers, labels, present, LABELS, fusion=FUSED, rows=range(300))
    right = {name: answers[name].argmax(axis=1) == labels for name in answers}
    other = mistakes.rescue_ledger({name: right[name] for name in features}, right[FUSED])
    counts = ledger_counts(table, present)
    for name in ("rows", "fusion_right", "fusion_wrong", "rescued", "harmed"):
        assert counts[name].sum() == other[name].sum() > 0
    assert counts.loc[("right", "wrong"), "rows"] == (right["audio"] & ~right["text"]).sum()


def test_one_part_has_a_ledger_too():
    answers, labels, present, rows = by_hand()
    only = {"text": present["text"]}
    table = ledger(answers, labels, only, LABELS, fusion=FUSED, rows=rows)
    counts = ledger_counts(table, only)
    assert counts["rows"].to_dict() == {"wrong": 6, "right": 3, "missing": 1}  # r2 to r4, r6, r8 and r10 say b or c
