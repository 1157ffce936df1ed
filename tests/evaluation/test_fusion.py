"""Fusions: the one table against scikit-learn and SciPy, audits against NumPy and networks by hand, a counted ledger."""

import numpy as np
import pandas as pd
import pytest
from lazily import Lazy
from scipy.special import softmax
from sklearn.metrics import accuracy_score, f1_score

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.predictions import Predictions
from fusebook.evaluation import comparison
from fusebook.findings import Findings

keras, fusion = Lazy("keras"), Lazy("fusebook.evaluation.fusion")
bundle, layers, rules = Lazy("fusebook.models.bundle"), Lazy("fusebook.models.layers"), Lazy("fusebook.models.fusion")
network = Lazy("fusebook.models.network")

LABELS = ["文", "b", "c"]
FEATURE_LEVEL, FUSED = "feature-level fusion", "decision-level product"
FUSIONS = [FEATURE_LEVEL, "decision-level mean"]
STRENGTHS = {"audio": 1.0, "text": 1.5, FEATURE_LEVEL: 2.5, "decision-level mean": 1.6}


# --- The table ----------------------------------------------------------------------------------------


def by_seed(n_seeds=3, n_rows=300, copies=1, grouped=False):
    """What five models say over some seeds, the majority in the first alone; each row ``copies`` times."""
    labels, made = np.random.default_rng(9).integers(0, 3, n_rows), []
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        values = {
            name: softmax(rng.normal(size=(n_rows, 3)) + strength * np.eye(3)[labels], axis=1)
            for name, strength in STRENGTHS.items()
        }
        shares = np.bincount(labels) / n_rows
        values = {"majority": np.tile(shares, (n_rows, 1)), **values} if seed == 0 else values
        values = {name: np.tile(array, (copies, 1)) for name, array in values.items()}
        groups = np.tile(np.arange(n_rows), copies) if grouped else None
        made.append(Predictions.of(values, np.tile(labels, copies), groups=groups))
    return made


def told(made, name="fusion_numbers", fusions=FUSIONS):
    """The numbers, or the table, of what ``made`` says by seed."""
    tests = comparison.PairedTests(
        made[0], [("text", name) for name in fusions] + [("majority", "audio")], by_seed=made
    )
    return getattr(fusion, name)(made[0], made, tests, best="text")


@pytest.fixture(scope="module")
def table():
    made = by_seed()
    return told(made), made, made[0].labels


def test_scores_are_scikit_learns_and_spread_over_the_seeds(table):
    found, made, labels = table
    assert list(found.index) == ["majority", *STRENGTHS]
    for name in STRENGTHS:
        predicted = [seed[name].argmax(axis=1) for seed in made]
        for measure, values in {
            "accuracy": [accuracy_score(labels, p) for p in predicted],
            "macro_f1": [f1_score(labels, p, average="macro") for p in predicted],
        }.items():
            ends = [min(values), max(values)]
            assert found.loc[name, measure] == pytest.approx(values[0]), "the first seed is the run's"
            assert found.loc[name, [f"{measure}_lowest", f"{measure}_highest"]].tolist() == pytest.approx(ends)
            assert found.loc[name, f"{measure}_low"] < values[0] < found.loc[name, f"{measure}_high"]
    assert found["seeds"].tolist() == [1, 3, 3, 3, 3]
    assert found.loc["majority", "accuracy_lowest"] == found.loc["majority", "accuracy"]


def test_gains_are_those_of_the_one_family_of_tests(table):
    found, made, labels = table
    right = [{name: values.argmax(axis=1) == labels for name, values in seed.items()} for seed in made]
    pairs = [("text", name) for name in FUSIONS] + [("majority", "audio")]
    tests = comparison.PairedTests(made[0], pairs, by_seed=made).table.set_index("b")
    for name in FUSIONS:
        line, gains = found.loc[name], [seed[name].mean() - seed["text"].mean() for seed in right]
        assert line["gain"] == pytest.approx(gains[0])
        assert line[["gain_lowest", "gain_highest"]].tolist() == pytest.approx([min(gains), max(gains)])
        ours, theirs = (
            ["gain_low", "gain_high", "p", "p_holm", "detectable"],
            ["low", "high", "p", "p_holm", "detectable"],
        )
        assert line[ours].tolist() == tests.loc[name, theirs].tolist()
    assert found.loc[["majority", "audio", "text"], "gain"].isna().all()


def test_without_fusions_there_are_scores_alone():
    found = told(by_seed(1), fusions=[])
    assert "gain" not in found and len(found) == 5
    shown = ["accuracy, %", "accuracy by seed", "macro-F1, %", "macro-F1 by seed"]
    assert list(told(by_seed(1), "fusion_table", [])) == shown


def test_groups_widen_the_intervals_of_gains():
    tables = [told(by_seed(1, 60, 6, grouped)) for grouped in (False, True)]
    for name in ("accuracy", "gain"):
        width = [table[f"{name}_high"] - table[f"{name}_low"] for table in tables]
        assert (width[1][FUSIONS] > 1.8 * width[0][FUSIONS]).all()


def test_a_seed_that_lacks_a_model_is_named():
    made = by_seed()
    del made[1]["text"]
    with pytest.raises(ValueError, match="A seed has no text among audio"):
        told(made, "fusion_table")


def test_the_table_as_people_read_it(table):
    (found, made, _), ends = table, ["", "_low", "_high", "_lowest", "_highest"]
    shown = told(made, "fusion_table")
    assert list(shown.index) == list(found.index)
    gains = ["gain, points", "gain by seed", "p (Holm)", "least gain found"]
    assert list(shown)[2:] == [*gains, "macro-F1, %", "macro-F1 by seed"]
    value, low, high, lowest, highest = (100 * found.loc["text", f"macro_f1{end}"] for end in ends)
    assert shown.loc["text", "macro-F1, %"] == f"{value:.1f} [{low:.1f}, {high:.1f}]"
    assert shown.loc["text", "macro-F1 by seed"] == f"{lowest:.1f} to {highest:.1f}"
    value, low, high, lowest, highest = (100 * found.loc[FEATURE_LEVEL, f"gain{end}"] for end in ends)
    assert shown.loc[FEATURE_LEVEL, "gain, points"] == f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
    assert shown.loc[FEATURE_LEVEL, "gain by seed"] == f"{lowest:+.1f} to {highest:+.1f}"
    assert shown.loc["text", "gain, points"] == shown.loc["majority", "p (Holm)"] == "–"
    assert shown.loc["majority", "accuracy by seed"] == "–", "one seed has no range"
    assert shown.loc[FEATURE_LEVEL, "least gain found"] == f"{100 * found.loc[FEATURE_LEVEL, 'detectable']:.1f}"


# --- Models trained once a seed -----------------------------------------------------------------------


def halves(n_rows=240, seed=0):
    """Two parts that each tell half of four classes, and rows that lack some."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n_rows)
    blocks, present = {}, {}
    for name, bit in {"audio": labels % 2, "text": labels // 2}.items():
        present[name] = rng.random(n_rows) < 0.9
        values = rng.normal(size=(n_rows, 3)) + 3 * np.column_stack([bit, 1 - bit, 0 * bit])
        blocks[name] = np.where(present[name][:, None], values, 0).astype(np.float32)
    split = rng.choice(["train", "validation", "test"], n_rows, p=[0.6, 0.2, 0.2])
    rows = pd.DataFrame({"row": np.arange(n_rows), "class_id": labels, "group": np.arange(n_rows), "split": split})
    return Dataset(rows, list("abcd"), Features(blocks, present))


@pytest.fixture(scope="module")
def fitted():
    return bundle.Models(epochs=15, learning_rate=0.01).fit(halves())


def test_fusions_learn_what_no_part_tells(fitted):
    test = halves().test
    test = test[test.features.present["audio"] & test.features.present["text"]]
    made = fitted.predict(test)
    right = {name: accuracy_score(test.labels, made.predicted(name)) for name in made}
    assert max(right["audio"], right["text"]) < 0.75
    for name in (FEATURE_LEVEL, FUSED, "decision-level weighted", "decision-level stacked"):
        assert right[name] > 0.85, name


def test_the_test_rows_are_not_looked_at(fitted):
    data = halves()
    is_test = (data.rows["split"] == "test").to_numpy()
    blocks = {name: np.where(is_test[:, None], np.float32(7), values) for name, values in data.features.blocks.items()}
    rows = data.rows.assign(class_id=np.where(is_test, (data.labels + 1) % 4, data.labels))
    changed = Dataset(rows, data.label_names, Features(blocks, data.features.present))
    again = bundle.Models(epochs=15, learning_rate=0.01).fit(changed).predict(data)
    for name, values in fitted.predict(data).items():
        np.testing.assert_array_equal(again[name], values)


def test_another_seed_is_another_network(fitted):
    test = halves().test
    other = bundle.Models(epochs=15, learning_rate=0.01, random_state=7).fit_joint(halves())[FEATURE_LEVEL]
    assert np.abs(other.predict_raw(test) - fitted[FEATURE_LEVEL].predict_raw(test)).max() > 0.01


# --- Models whose answers are known -------------------------------------------------------------------


def identity(part):
    """A network whose probabilities are the softmax of its three features."""
    inputs, layer = keras.Input((3,), name=part), keras.layers.Dense(3, activation="softmax", use_bias=False)
    made = keras.Model({part: inputs}, layer(inputs))
    layer.set_weights([np.eye(3)])
    return network.Network.of_keras(made, [part])


def models_of(**networks):
    made = bundle.Models()
    made.update(networks)
    made.prior_, made.label_names_ = np.full(3, 1 / 3), LABELS
    return made


@pytest.fixture(scope="module")
def trained():
    """Two parts whose networks say what their features say, and the product of both."""
    made = models_of(audio=identity("audio"), text=identity("text"))
    rule = rules.DecisionFusion("product", made.prior_)
    rule.names_ = ["audio", "text"]
    made.fusions_ = {FUSED: rule}
    return made


def case(n_rows=200, *, strengths=(1.0, 2.0), share=0.8, seed=0, n_features=3):
    """Features that know the label more or less, and rows that lack some parts, whose features are zeros."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n_rows)
    blocks, present = {}, {}
    for part, strength in zip(("audio", "text"), strengths, strict=True):
        present[part] = rng.random(n_rows) < share
        values = rng.normal(size=(n_rows, n_features)) + strength * np.eye(3, n_features)[labels]
        blocks[part] = np.where(present[part][:, None], values, 0).astype(np.float32)
    return dataset(blocks, present, labels)


def dataset(blocks, present, labels, label_names=LABELS, kinds=None):
    rows = pd.DataFrame({"row": np.arange(len(labels)), "class_id": labels, "group": np.arange(len(labels))})
    return Dataset(rows, label_names, Features(blocks, present, kinds=kinds))


def one_part(data):
    return data.with_features(data.features.of("text"))


def test_the_three_fusions_that_are_looked_into(trained):
    joint = models_of(**trained, **{FEATURE_LEVEL: identity("text")})
    joint.fusions_, without = trained.fusions_, models_of(**{FEATURE_LEVEL: identity("audio")})
    found = fusion.FusionAudit(joint, without, case(30)).audited
    names = {"modality dropout": FEATURE_LEVEL, "none": FEATURE_LEVEL, "product": FUSED}
    assert [name for _, name in found.values()] == list(names.values())
    assert [models for models, _ in found.values()] == [joint, without, joint]
    assert all(shown.endswith(name) for shown, name in zip(found, names, strict=True))
    assert fusion.FusionAudit(models_of(text=trained["text"]), models_of(), case(30)).audited == {}


@pytest.mark.parametrize("audit", ["subset_table", "shuffle_audit"])
def test_a_model_that_is_not_there_is_named(trained, audit):
    with pytest.raises(ValueError, match="both: there is no model 'sum'; expected one of audio, text, decision-level"):
        getattr(fusion, audit)({"both": (trained, "sum")}, case(30))


@pytest.mark.parametrize("audit", ["subset_table", "shuffle_audit"])
def test_where_nothing_is_joined_the_tables_are_empty_with_their_columns(trained, audit):
    full, empty = (getattr(fusion, audit)(asked, case(30)) for asked in ({"both": (trained, FUSED)}, {}))
    assert len(empty) == 0 < len(full) and list(empty) == list(full)
    alone = fusion.FusionAudit(models_of(text=trained["text"]), models_of(), one_part(case(30)))
    assert alone.sets_text().empty and len(alone.sets) == len(alone.shuffled) == 0
    assert alone.verdicts("parts used") == []


# --- Sets of parts ------------------------------------------------------------------------------------


def test_all_sets_of_three_parts_by_hand():
    expected = [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")]
    assert fusion.part_sets(["c", "a", "b"]) == expected


def test_subsets_are_what_numpy_answers_from_these_parts(trained):
    data = case()
    table = fusion.subset_table({"both": (trained, FUSED)}, data)
    blocks, present, labels = data.features.blocks, data.features.present, data.labels
    whole, found = present["audio"] & present["text"], table.set_index(["parts", "model"])
    sums = {"audio": blocks["audio"], "text": blocks["text"], "audio + text": blocks["audio"] + blocks["text"]}
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


def test_subsets_as_people_read_them(trained):
    audit = fusion.FusionAudit(trained, models_of(), case())
    audit.audited = {"both": (trained, FUSED)}
    shown, line = audit.sets_text(), audit.sets.iloc[0]
    assert list(shown) == ["n_rows", "both", "own network"] and list(shown.index) == ["audio", "text", "audio + text"]
    ends = (100 * line[f"accuracy{end}"] for end in ("", "_low", "_high"))
    assert shown.loc["audio", line["model"]] == "{:.1f} % [{:.1f}, {:.1f}]".format(*ends)
    assert shown.loc["audio + text", "own network"] == "–"


def test_a_feature_level_network_gets_zeros_for_what_is_held_back():
    rng = np.random.default_rng(2)
    blocks = {"audio": rng.normal(size=(60, 2)), "text": rng.normal(size=(60, 4))}
    blocks = {name: values.astype(np.float32) for name, values in blocks.items()}
    built = layers.build_mlp({"audio": 2, "text": 4}, 3, hidden=[7], activations=["relu"])
    made = {part: layers.build_mlp({part: values.shape[1]}, 3) for part, values in blocks.items()} | {"joint": built}
    parts = {"audio": ["audio"], "text": ["text"], "joint": ["audio", "text"]}
    made = {name: network.Network.of_keras(model, parts[name]) for name, model in made.items()}
    joint = models_of(audio=made["audio"], text=made["text"], **{FEATURE_LEVEL: made["joint"]})
    data = dataset(blocks, {name: np.ones(60, bool) for name in blocks}, rng.integers(0, 3, 60))
    table = fusion.subset_table({"joint": (joint, FEATURE_LEVEL)}, data).set_index(["parts", "model"])
    w, b = built.get_layer("project_text").get_weights()
    (v, c), (u, d) = (layer.get_weights() for layer in joint_layers(built))
    hidden = np.maximum(blocks["text"] @ w + b, 0) @ v[7:] + c  # the text's half of the joint layer
    expected = (np.maximum(hidden, 0) @ u + d).argmax(axis=1)
    assert table.loc[("text", "joint"), "accuracy"] == pytest.approx(accuracy_score(data.labels, expected))


def joint_layers(model):
    """The dense layers after the fusion."""
    return [one for one in model.layers if isinstance(one, keras.layers.Dense) and "project" not in one.name]


def test_without_a_row_that_has_every_part_there_is_no_line(trained):
    data = case()
    present = {"audio": data.features.present["audio"], "text": ~data.features.present["audio"]}
    table = fusion.subset_table({"both": (trained, FUSED)}, dataset(data.features.blocks, present, data.labels))
    assert len(table) == 0 and {"parts", "n_parts", "model", "accuracy", "n_rows"} <= set(table)


def test_groups_widen_the_intervals_of_subsets(trained):
    data = case(20)[np.tile(np.arange(20), 10)]
    alone = Dataset(data.rows.assign(group=np.arange(200)), data.label_names, data.features)
    tables = [fusion.subset_table({"both": (trained, FUSED)}, rows) for rows in (alone, data)]
    width = [(table["accuracy_high"] - table["accuracy_low"]).to_numpy() for table in tables]
    assert (width[1] > 2 * width[0]).all()


# --- Shuffled parts -----------------------------------------------------------------------------------


def test_shuffling_is_what_numpy_does_with_the_same_orders(trained):
    data = case(150)
    blocks, present, labels = data.features.blocks, data.features.present, data.labels
    table = fusion.shuffle_audit({"both": (trained, FUSED)}, data, n_shuffles=4)
    for line in table.to_dict("records"):
        part, has = line["part"], present[line["part"]]
        other = "audio" if part == "text" else "text"
        kept, values, truth, random = blocks[other][has], blocks[part][has], labels[has], np.random.default_rng(42)
        rights = [((values[random.permutation(len(values))] + kept).argmax(axis=1) == truth) for _ in range(4)]
        right, shuffled = (values + kept).argmax(axis=1) == truth, np.mean(rights, axis=0)
        assert line["n_rows"] == has.sum() and line["accuracy"] == pytest.approx(right.mean())
        assert line["shuffled"] == pytest.approx(shuffled.mean())
        assert line["drop"] == pytest.approx(right.mean() - shuffled.mean())
        # Rows are drawn within labels, so the interval is that of a stratified mean (normal approximation).
        error = np.sqrt(sum(shuffled[truth == k].var() * (truth == k).sum() for k in range(3))) / len(truth)
        assert (line["shuffled_high"] - line["shuffled_low"]) / 2 == pytest.approx(1.96 * error, rel=0.1)
        # Both parts' losses hold together in 95 of 100 cases.
        lost = right - shuffled
        ends = comparison.paired_interval(lost, np.ones(len(lost), int), level=0.05 / 2)
        assert (line["drop_low"], line["drop_high"]) == pytest.approx(ends) and ends[0] < line["drop"] < ends[1]


def test_a_part_that_a_model_does_not_read_loses_nothing(trained):
    """The text's own network keeps its accuracy without sound; shuffled text is right as often as chance says."""
    data = case(3000, share=1)
    table = fusion.shuffle_audit({"text alone": (trained, "text")}, data, n_shuffles=20).set_index("part")
    line = table.loc["audio"]
    assert line["drop"] == 0 and -0.005 < line["drop_low"] < 0 < line["drop_high"] < 0.005
    predicted, labels = data.features.blocks["text"].argmax(axis=1), data.labels
    chance = sum((predicted == k).mean() * (labels == k).mean() for k in range(3))
    assert table.loc["text", "shuffled"] == pytest.approx(chance, abs=0.005)
    assert table.loc["text", "accuracy"] == pytest.approx((predicted == labels).mean())


def test_all_blocks_of_a_part_are_shuffled_alike():
    """A network that compares two blocks of a text is right as long as they come from the same row."""
    numbers = np.arange(40, dtype=np.int32)[:, None]
    inputs = {name: keras.Input((1,), name=name, dtype=kind) for name, kind in
              (("text", "float32"), ("text_ngrams", "int32"))}  # fmt: skip
    apart = keras.ops.abs(inputs["text"] - keras.ops.cast(inputs["text_ngrams"], "float32"))
    same = keras.ops.cast(apart < 0.5, "float32")
    model = keras.Model(inputs, keras.ops.concatenate([1 - same, same], axis=1))
    made = models_of(text=network.Network.of_keras(model, ["text"]))
    made.prior_ = np.full(2, 0.5)
    blocks = {"text": numbers.astype(np.float32), "text_ngrams": numbers}
    data = dataset(blocks, {"text": np.ones(40, bool)}, np.ones(40, int), ["no", "yes"])
    table = fusion.shuffle_audit({"text": (made, "text")}, data)
    assert table["accuracy"].tolist() == [1.0] and table["shuffled"].tolist() == pytest.approx([1.0])


def test_within_a_part_only_the_given_columns_are_shuffled(trained):
    """By hand: two columns of the text change places with other rows', the rest stays; the given features stay too."""
    kinds = {"first": {"text": slice(0, 2)}, "none": {"text": slice(0, 0)}, "all": {"text": slice(None)}}
    data = case()
    data = dataset(data.features.blocks, data.features.present, data.labels, kinds=kinds)
    before = {name: values.copy() for name, values in data.features.blocks.items()}
    kinds_lost = fusion.FusionAudit(trained, models_of(), data).kinds
    table = kinds_lost.set_index("part")
    assert list(table.index) == list(kinds) and (table["model"] == "text").all()
    values, truth = before["text"][data.features.present["text"]], data.labels[data.features.present["text"]]
    random = np.random.default_rng(42)
    orders = [random.permutation(len(truth)) for _ in range(10)]
    rights = [(np.hstack([values[order, :2], values[:, 2:]]).argmax(axis=1) == truth).mean() for order in orders]
    assert table.loc["first", "shuffled"] == pytest.approx(np.mean(rights))
    assert table.loc["none", "drop"] == 0 < table.loc["first", "drop"]
    whole = fusion.shuffle_audit({"text": (trained, "text")}, data).set_index("part")
    assert table.loc["all", "shuffled"] == whole.loc["text", "shuffled"]
    for name, values in data.features.blocks.items():
        np.testing.assert_array_equal(values, before[name])
    sound = data.with_features(data.features.of("audio"))
    silent = fusion.FusionAudit(models_of(audio=trained["audio"]), models_of(), sound)
    assert len(silent.kinds) == 0 and list(silent.kinds) == list(kinds_lost) and silent.verdicts("kinds used") == []


def test_a_part_that_no_row_has_is_not_shuffled(trained):
    data = case(30)
    data = data.with_features(data.features.without(["audio"]))
    assert fusion.shuffle_audit({"both": (trained, FUSED)}, data)["part"].tolist() == ["text"]


def test_what_is_lost_becomes_a_finding(trained):
    audit = fusion.FusionAudit(trained, models_of(), case(30))
    lines = {"model": ["a", "b", "a", "a"], "part": ["audio", "audio", "text", "image"], "n_rows": [30, 30, 28, 1000]}
    lines |= {
        "drop": [0.014, 0.5, -0.002, 0.2],
        "drop_low": [0.001, 0.4, -0.04, 0.1],
        "drop_high": [0.03, 0.6, 0.03, 0.3],
    }
    audit.shuffled = pd.DataFrame(lines)
    used, unsure = Findings("03_train").add_all(audit.verdicts("parts used"))
    for found in (used, unsure):
        assert found.severity == "note" and found.place == "Does the model use each part?"
    assert used.text.endswith(" than none: audio 1.4 [0.1, 3.0] (n = 30), image 20.0 [10.0, 30.0] (n = 1,000).")
    assert unsure.text.startswith("No loss was shown") and unsure.text.endswith(": text -0.2 [-4.0, 3.0] (n = 28).")


# --- Gates by class -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def joint():
    """Feature-level fusion, its rows, of which one label has none, and each part's signal by NumPy."""
    data = case(90)
    data = dataset(data.features.blocks, data.features.present, data.labels, [*LABELS, "no row"])
    built = layers.build_mlp({"audio": 3, "text": 3}, 4, hidden=[5], activations=["relu"])
    kernel, signals = joint_layers(built)[0].get_weights()[0], {}
    for i, part in enumerate(data.parts):
        weights, bias = built.get_layer(f"project_{part}").get_weights()
        has = data.features.present[part]
        signal = np.maximum(data.features.blocks[part] @ weights + bias, 0) @ kernel[5 * i : 5 * i + 5]
        signals[part] = np.sqrt(((signal - signal[has].mean(axis=0)) ** 2).sum(axis=1)) * has
    return models_of(**{FEATURE_LEVEL: network.Network.of_keras(built, data.parts)}), data, signals


def test_gate_shares_are_what_numpy_computes(joint):
    models, data, signals = joint
    shares = fusion.gate_shares(models, data)
    for k, name in enumerate(LABELS):
        total = {part: values[data.labels == k].sum() for part, values in signals.items()}
        expected = [total[part] / sum(total.values()) for part in ("audio", "text")]
        # Sums of some 10 products in float32 by one library and another; a share is near 0.5.
        np.testing.assert_allclose(shares.loc[name, ["audio", "text"]], expected, atol=1e-4)
    assert shares.loc["no row"].isna().all() and list(shares) == ["audio", "text"]


def test_a_closed_gate_has_no_share(joint):
    models, data, _ = joint
    only = data.labels == 1
    present = {"audio": data.features.present["audio"] | only, "text": data.features.present["text"] & ~only}
    shares = fusion.gate_shares(models, data.with_features(Features(data.features.blocks, present)))
    np.testing.assert_allclose(shares.loc["b"], [1, 0])


def test_where_nothing_is_joined_there_are_no_gates(trained):
    shares = fusion.gate_shares(models_of(text=trained["text"]), one_part(case(30)))
    assert len(shares) == 0 and list(shares) == ["text"]


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


@pytest.fixture
def by_hand():
    """Ten rows of class 0; of a part that is missing the class shares speak for class 1, which is wrong."""
    chosen, parts = list(CHOSEN.values()), ("audio", "text")
    votes = [[1 if line[i] is None else line[i] for line in chosen] for i in range(3)]
    values = {name: softmax(3 * np.eye(3)[vote], axis=1) for name, vote in zip((*parts, FUSED), votes, strict=True)}
    has = {part: ["" if line[i] is None else f"{part} of {row}" for row, line in CHOSEN.items()]
           for i, part in enumerate(parts)}  # fmt: skip
    made = Predictions.of(values, np.zeros(10, int), label_names=LABELS, **has)
    made.rows["row"] = list(CHOSEN)
    return made


def test_the_ledger_by_hand(by_hand):
    table = fusion.Ledger(by_hand, FUSED).rows.set_index("row")
    for row, (audio, text, fused, outcome) in CHOSEN.items():
        line = table.loc[row]
        assert line["outcome"] == outcome, row
        for part, vote in (("audio", audio), ("text", text)):
            assert line[part] == ("missing" if vote is None else "right" if vote == 0 else "wrong")
            assert line[f"says_{part}"] == ("" if vote is None else LABELS[vote])
        assert line["fusion"] == LABELS[fused] and line["label"] == "文"
        assert line["confidence"] == pytest.approx(np.exp(3) / (np.exp(3) + 2))
        assert line["begins"] == ("" if text is None else f"text of {row}")


def test_a_missing_part_is_never_a_wrong_vote(by_hand):
    """r7 and r9: the answers for rows without sound are wrong, but nothing was there to be rescued from."""
    assert not by_hand.right("audio")[6] and not by_hand.right("text")[8]
    table = fusion.Ledger(by_hand, FUSED).rows.set_index("row")
    assert table.loc[["r7", "r9"], "outcome"].tolist() == ["right throughout", "no part"]
    assert (table["outcome"] == "rescued").sum() == 3
    # Where nobody knows what is missing, the same answers are votes.
    known = Predictions(by_hand, by_hand.rows.drop(columns=["audio", "text"]), LABELS)
    assert (fusion.Ledger(known, FUSED).rows["outcome"] == "rescued").sum() == 5


def test_the_counts_by_hand(by_hand):
    ledger = fusion.Ledger(by_hand, FUSED)
    counts = ledger.counts()
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
    (found,) = Findings("03_train").add_all(ledger.verdicts("balance"))
    assert found == (
        "note",
        "Decision-level product rescued 3 of 10 test rows and harmed 2 (p = 1).",
        "Rescued and harmed",
    )
    (found,) = Findings("04_error_analysis").add_all(ledger.verdicts("ledger"))
    assert "of 10 test rows, 3 (30.0 % [" in found.text and "were wrong in some modality" in found.text
    ledger.rows["outcome"] = ledger.rows["outcome"].replace("rescued", "right throughout")
    assert ledger.verdicts("balance")[0][1] == "note", "2 harmed and none rescued may be chance"
    ledger.rows["outcome"] = "harmed"
    assert ledger.verdicts("balance")[0][1] == "look", "10 of 10 are not"
    ledger._groups = np.zeros(10, int)
    assert ledger.verdicts("balance")[0][1] == "note", "ten copies of one text are one case"


def test_the_surest_changes(by_hand):
    by_hand[FUSED] = by_hand[FUSED].copy()
    by_hand[FUSED][2] = [0.98, 0.01, 0.01]  # r3 is surer now than r2 and r10
    made = fusion.Ledger(by_hand, FUSED).surest(2)
    assert made.index.tolist() == ["harmed", "harmed", "rescued", "rescued"] and made.index.name == "outcome"
    assert made.loc["rescued", "row"].iloc[0] == "r3" and made.loc["rescued", "confidence"].iloc[0] == 0.98
    assert list(made) == ["row", "label", "says_audio", "says_text", "fusion", "confidence", "begins"]


def test_one_part_has_no_ledger(by_hand):
    ledger = fusion.Ledger(by_hand.only(["text"]), "")
    assert len(ledger.rows) == 0 and {"row", "text", "says_text", "outcome"} <= set(ledger.rows)
    assert len(ledger.counts()) == len(ledger.surest()) == 0 and ledger.verdicts("balance") == []
