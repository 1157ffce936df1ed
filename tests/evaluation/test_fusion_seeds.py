"""The one table of fusions against scikit-learn, SciPy and hand counts; training by seed against what it must not see."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from fusebook.evaluation.fusion import fusion_table, readable
from fusebook.models import baselines, bundle
from fusebook.models.bundle import FEATURE_LEVEL
from fusebook.models.fusion import RULES

FUSIONS = [FEATURE_LEVEL, "decision-level mean"]
STRENGTHS = {"audio": 1.0, "text": 1.5, FEATURE_LEVEL: 2.5, "decision-level mean": 1.6}


def answers(n_seeds=3, n_rows=300):
    """Probabilities of five models over some seeds, the majority in the first alone; labels."""
    labels = np.random.default_rng(9).integers(0, 3, n_rows)
    made = []
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        made.append(
            {
                name: softmax(rng.normal(size=(n_rows, 3)) + strength * np.eye(3)[labels], axis=1)
                for name, strength in STRENGTHS.items()
            }
        )
    made[0] = {"majority": baselines.majority_probabilities(labels, n_rows, 3), **made[0]}
    return made, labels


@pytest.fixture(scope="module")
def table():
    made, labels = answers()
    return fusion_table(made, labels, best="text", fusions=FUSIONS), made, labels


# --- The table ----------------------------------------------------------------------------------------


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


def test_gains_are_paired_and_tested_as_scipy_does(table):
    found, made, labels = table
    right = [{name: values.argmax(axis=1) == labels for name, values in seed.items()} for seed in made]
    exact = {}
    for name in FUSIONS:
        line, gains = found.loc[name], [seed[name].mean() - seed["text"].mean() for seed in right]
        only, other = (right[0][name] & ~right[0]["text"]).sum(), (~right[0][name] & right[0]["text"]).sum()
        exact[name] = binomtest(int(only), int(only + other)).pvalue
        assert line["gain"] == pytest.approx(gains[0]) and line["p"] == pytest.approx(exact[name])
        assert line[["gain_lowest", "gain_highest"]].tolist() == pytest.approx([min(gains), max(gains)])
        half = 1.96 * (right[0][name].astype(int) - right[0]["text"]).std() / np.sqrt(len(labels))
        assert line["gain_high"] - line["gain_low"] == pytest.approx(2 * half, rel=0.1)
        power = (1.96 + 0.8416) * np.sqrt((only + other) / len(labels) / len(labels))
        assert line["detectable"] == pytest.approx(power, rel=1e-3)
    small, large = sorted(FUSIONS, key=exact.get)
    assert found.loc[small, "p_holm"] == pytest.approx(min(1, 2 * exact[small]))
    assert found.loc[large, "p_holm"] == pytest.approx(max(exact[large], min(1, 2 * exact[small])))
    assert found.loc[["majority", "audio", "text"], "gain"].isna().all()


def test_without_fusions_there_are_scores_alone():
    made, labels = answers(1)
    found = fusion_table(made, labels, best="text", fusions=[])
    assert "gain" not in found and len(found) == 5
    shown = ["accuracy, %", "accuracy by seed", "macro-F1, %", "macro-F1 by seed"]
    assert list(readable(found)) == shown


def test_groups_widen_the_intervals():
    made, labels = answers(1, 60)
    made, labels = (
        [{name: np.tile(values.T, 6).T for name, values in seed.items()} for seed in made],
        np.tile(labels, 6),
    )
    options = {"best": "text", "fusions": FUSIONS}
    alone = fusion_table(made, labels, **options)
    grouped = fusion_table(made, labels, groups=np.tile(np.arange(60), 6), **options)
    for name in ("accuracy", "gain"):
        width = [table[f"{name}_high"] - table[f"{name}_low"] for table in (alone, grouped)]
        assert (width[1][FUSIONS] > 1.8 * width[0][FUSIONS]).all()


def test_a_seed_that_lacks_a_model_is_named():
    made, labels = answers()
    del made[1]["text"]
    with pytest.raises(ValueError, match="A seed has no text among audio"):
        fusion_table(made, labels, best="text", fusions=FUSIONS)


def test_the_table_as_people_read_it(table):
    found, _, _ = table
    shown, ends = readable(found), ["", "_low", "_high", "_lowest", "_highest"]
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
    least = 100 * found.loc[FEATURE_LEVEL, "detectable"]
    assert shown.loc[FEATURE_LEVEL, "least gain found"] == f"{least:.1f}"


# --- Training -----------------------------------------------------------------------------------------


def case(n_rows=240, seed=0):
    """Two parts that each tell half of four classes, rows that lack some: features, present, labels, splits."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n_rows)
    told = {"audio": labels % 2, "text": labels // 2}
    features, present = {}, {}
    for name, bit in told.items():
        present[name] = rng.random(n_rows) < 0.9
        values = rng.normal(size=(n_rows, 3)) + 3 * np.column_stack([bit, 1 - bit, 0 * bit])
        features[name] = np.where(present[name][:, None], values, 0).astype(np.float32)
    split = rng.choice(["train", "validation", "test"], n_rows, p=[0.6, 0.2, 0.2])
    return features, present, labels, {name: split == name for name in ("train", "validation", "test")}


@pytest.fixture(scope="module")
def trained():
    return bundle.fit_models(*case(), epochs=15, learning_rate=0.01)


def test_fusions_learn_what_no_part_tells(trained):
    features, present, labels, splits = case()
    test = splits["test"] & present["audio"] & present["text"]
    made = trained.predict({n: v[test] for n, v in features.items()}, {n: v[test] for n, v in present.items()})
    rules = [f"decision-level {rule}" for rule in RULES]
    assert list(made) == ["audio", "text", FEATURE_LEVEL, *rules]
    right = {name: accuracy_score(labels[test], values.argmax(axis=1)) for name, values in made.items()}
    assert max(right["audio"], right["text"]) < 0.75 and right[FEATURE_LEVEL] > 0.85
    assert min(right[f"decision-level {rule}"] for rule in ("product", "weighted", "stacked")) > 0.85


def test_they_are_calibrated_on_the_validation_rows(trained):
    """No other temperature near by has a lower log loss there."""
    features, present, labels, splits = case()
    rows = splits["validation"] & present["text"]
    parts = {n: v[rows] for n, v in features.items()}, {n: v[rows] for n, v in present.items()}
    found = trained.predict(*parts, names=["text"])["text"]
    losses = [
        log_loss(labels[rows], softmax(power * np.log(found), axis=1), labels=range(4)) for power in (0.9, 1.0, 1.1)
    ]
    assert np.argmin(losses) == 1
    np.testing.assert_allclose(trained.prior, np.bincount(labels[splits["train"]]) / splits["train"].sum())


def test_the_test_rows_are_not_looked_at(trained):
    features, present, labels, splits = case()
    test, other = splits["test"], {}
    for name, values in features.items():
        other[name] = values.copy()
        other[name][test] = 7
    changed = np.where(test, (labels + 1) % 4, labels)
    again = bundle.fit_models(other, present, changed, splits, epochs=15, learning_rate=0.01)
    for name, values in trained.predict(features, present).items():
        np.testing.assert_array_equal(again.predict(features, present, names=[name])[name], values)


def test_each_seed_is_another_network_and_the_options_arrive():
    features, present, labels, splits = case()
    options = {"epochs": 1, "hidden": [4], "activations": ["tanh"], "modality_dropout": 0.3}
    made = bundle.fit_models(features, present, labels, splits, random_state=7, **options)
    other = bundle.fit_models(features, present, labels, splits, random_state=8, **options)
    network = made.networks[FEATURE_LEVEL]
    assert network.get_layer("modality_dropout").rate == 0.3
    assert network.get_layer("project_text").units == 4
    for name in made.names[:3]:
        first, second = (models.predict(features, present, names=[name])[name] for models in (made, other))
        assert np.abs(first - second).max() > 0.01


def test_one_part_has_nothing_to_join():
    features, present, labels, splits = case()
    made = bundle.fit_models({"text": features["text"]}, {"text": present["text"]}, labels, splits, epochs=1)
    assert made.names == ["text"]


@pytest.mark.parametrize("parts", [("audio",), ("text",), ("audio", "text"), ()])
def test_any_set_of_parts_is_predicted_row_by_row_as_all_at_once(trained, parts):
    features, present, _, _ = case(12, seed=5)
    there = {name: has & (name in parts) for name, has in present.items()}
    together = trained.predict(features, there)
    for i in range(12):
        row = slice(i, i + 1)
        alone = trained.predict({n: v[row] for n, v in features.items()}, {n: v[row] for n, v in there.items()})
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], together[name][i], atol=1e-6)
            assert values.sum() == pytest.approx(1)
            own = there.get(name, there["audio"] | there["text"])
            if not own[i]:
                np.testing.assert_allclose(values[0], trained.prior)
