"""Scores, intervals, tests and calibration against scikit-learn, SciPy, statsmodels, simulations and hand cases."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from scipy.stats import binomtest, bootstrap
from sklearn.calibration import calibration_curve
from sklearn.dummy import DummyClassifier
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from fusebook.evaluation import comparison, scores
from fusebook.evaluation.measures import MEASURES
from fusebook.models import baselines


def guesses(n_rows=150, n_classes=4, *, seed=0, strength=1.5, classes=None):
    """Probabilities that lean to the label, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.arange(n_classes) if classes is None else classes, n_rows)
    return softmax(rng.normal(size=(n_rows, n_classes)) + strength * np.eye(n_classes)[labels], axis=1), labels


def certain(predicted, n_classes):
    """Probabilities that put 0.9 on the predicted class."""
    return np.full((len(predicted), n_classes), 0.1 / (n_classes - 1)) + np.eye(n_classes)[predicted] * (
        0.9 - 0.1 / (n_classes - 1)
    )


# --- Checks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probabilities", "labels", "said"),
    [
        ([[0.5, np.nan]], [0], "linear: expected finite probabilities from 0 to 1"),
        ([[0.5, np.inf]], [0], "linear: expected finite probabilities"),
        ([[1.5, -0.5]], [0], "linear: expected finite probabilities from 0 to 1"),
        ([[0.5, 0.4]], [0], "rows sum to 1; pass them through a softmax first"),
        ([0.5, 0.5], [0, 1], r"linear: probabilities have shape \(2,\) for 2 labels"),
        ([[0.5, 0.5]], [0, 1], r"shape \(1, 2\) for 2 labels; expected \(n_rows, n_classes\)"),
        (np.empty((0, 2)), [], "at least one row"),
        ([[0.5, 0.5]], [2], "labels run from 2 to 2; expected class numbers from 0 to 1"),
        ([[0.5, 0.5]], [-1], "labels run from -1 to -1; expected class numbers from 0 to 1"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, labels, said):
    with pytest.raises(ValueError, match=said):
        scores.check_probabilities(np.array(probabilities), np.array(labels, int), "linear")
    with pytest.raises(ValueError, match=said):
        scores.score_table({"linear": np.array(probabilities)}, np.array(labels, int))


def test_rounding_is_no_fault():
    scores.check_probabilities(np.array([[0.33333, 0.66666]], np.float32), np.array([1]))
    scores.check_probabilities(np.eye(3), np.arange(3))


# --- Scores -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_classes", "classes", "never"),
    [(2, None, None), (5, None, None), (4, [0, 2], None), (4, None, 3), (4, [0, 1, 2], 3)],
    ids=["2", "5", "classes without rows", "never predicted", "neither"],
)
def test_scores_are_scikit_learns(n_classes, classes, never):
    probabilities, labels = guesses(n_classes=n_classes, classes=classes)
    if never is not None:
        probabilities[:, never] = 0
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    made, predicted = scores.score(probabilities, labels), probabilities.argmax(axis=1)
    assert made["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert made["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0))
    if never is None:
        assert made["log_loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(n_classes)))
    assert made["n_rows"] == 150 and np.isfinite(list(made.values())).all()
    for name in ("accuracy", "macro_f1"):
        assert made[f"{name}_low"] <= made[name] <= made[f"{name}_high"]


def test_macro_f1_by_hand():
    labels, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    made = scores.score(certain(predicted, 3), labels)
    assert made["accuracy"] == 0.75
    assert made["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)  # class 2 is neither there nor predicted
    assert made["log_loss"] == pytest.approx(-(3 * np.log(0.9) + np.log(0.05)) / 4)


def test_a_probability_of_0_gives_a_finite_loss():
    assert scores.score(np.eye(2), np.array([1, 0]))["log_loss"] == pytest.approx(-np.log(1e-12))


def test_intervals_are_scipys_bootstrap():
    probabilities, labels = guesses(120)
    predicted = probabilities.argmax(axis=1)

    def macro_f1(true, guessed):
        return f1_score(true, guessed, average="macro", zero_division=0)

    made = scores.score(probabilities, labels, n_resamples=5000)
    options = {"method": "percentile", "rng": np.random.default_rng(0), "vectorized": False, "paired": True}
    for name, statistic in (("accuracy", lambda t, g: (t == g).mean()), ("macro_f1", macro_f1)):
        expected = bootstrap((labels, predicted), statistic, n_resamples=500, **options).confidence_interval
        assert made[f"{name}_low"] == pytest.approx(expected.low, abs=0.02)
        assert made[f"{name}_high"] == pytest.approx(expected.high, abs=0.02)


@pytest.mark.parametrize("n_classes", [2, 5, 200])
def test_all_measures_are_scikit_learns(n_classes):
    probabilities, labels = guesses(400, n_classes)
    made, predicted = scores.score(probabilities, labels, n_resamples=50), probabilities.argmax(axis=1)
    expected = {
        "weighted_f1": f1_score(labels, predicted, average="weighted", zero_division=0),
        "kappa": cohen_kappa_score(labels, predicted),
        "mcc": matthews_corrcoef(labels, predicted),
        "brier": ((probabilities - np.eye(n_classes)[labels]) ** 2).sum(axis=1).mean(),
        "ece": scores.expected_calibration_error(probabilities, labels),
    }
    if n_classes > 2:
        for k in (2, 3):
            expected[f"top_{k}"] = top_k_accuracy_score(labels, probabilities, k=k, labels=range(n_classes))
    for name, value in expected.items():
        assert made[name] == pytest.approx(value, abs=1e-6), name
        assert made[f"{name}_low"] <= made[name] <= made[f"{name}_high"], name


@pytest.mark.parametrize("factor", [1.0, 2.0], ids=["calibrated", "too sure"])
def test_the_calibration_error_is_covered(factor):
    """200 test sets of 200 rows, labels drawn by the true probabilities; the truth from 200,000 rows."""

    def drawn(n_rows, seed):
        rng = np.random.default_rng(seed)
        logits = rng.normal(scale=2, size=(n_rows, 3))
        labels = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((n_rows, 1))).argmax(axis=1)
        return softmax(factor * logits, axis=1), labels

    truth = scores.expected_calibration_error(*drawn(200_000, 1000)) if factor > 1 else 0
    made = [scores.score(*drawn(200, seed), n_resamples=250) for seed in range(200)]
    held = np.mean([line["ece_low"] <= truth <= line["ece_high"] for line in made])
    assert held >= (0.9 if factor == 1 else 0.85)


def test_of_two_classes_the_second_guess_is_always_right():
    made = scores.score(*guesses(30, 2))
    assert made["top_2"] == made["top_3"] == 1


def test_log_loss_and_brier_intervals_are_those_of_a_mean():
    """A mean of many rows is near normal: its interval within each label from the pooled standard error."""
    probabilities, labels = guesses(1000, 3)
    made = scores.score(probabilities, labels)
    loss = -np.log(probabilities[np.arange(1000), labels])
    within = sum((labels == k).sum() * loss[labels == k].var() for k in range(3)) / 1000
    half = 1.96 * np.sqrt(within / 1000)
    assert made["log_loss_low"] == pytest.approx(loss.mean() - half, abs=0.1 * half)
    assert made["log_loss_high"] == pytest.approx(loss.mean() + half, abs=0.1 * half)


def test_one_class_in_the_test_rows():
    probabilities = np.tile([0.7, 0.3], (5, 1))
    made = scores.score(probabilities, np.zeros(5, int))
    assert made["accuracy"] == made["macro_f1"] == 1 and np.isnan(made["kappa"]) and made["mcc"] == 0
    shown = scores.readable(scores.score_table({"a": probabilities}, np.zeros(5, int)), MEASURES)
    assert shown.loc["a", "kappa"] == "–" and "nan" not in " ".join(shown.loc["a"])


@pytest.mark.parametrize("label", [0, 1])
def test_one_test_row_has_no_bootstrap_interval(label):
    table = scores.score_table({"a": np.array([[0.7, 0.3]])}, np.array([label]))
    assert table.loc["a", "accuracy"] == 1 - label and np.isnan(table.loc["a", "log_loss_low"])
    assert table.loc["a", "accuracy_high"] - table.loc["a", "accuracy_low"] > 0.75
    shown = scores.readable(table, MEASURES)
    assert shown.loc["a", "log_loss"].endswith("[–]") and "nan" not in " ".join(shown.loc["a"])


def test_groups_widen_the_intervals_of_copied_rows():
    """Each row ten times over is worth no more than once: the interval is that of the rows before copying."""
    probabilities, labels = guesses(150)
    copied = np.repeat(probabilities, 10, axis=0), np.repeat(labels, 10)
    once = scores.score(probabilities, labels)
    grouped = scores.score(*copied, groups=np.repeat(np.arange(150), 10))
    naive = scores.score(*copied)
    for name in ("accuracy", "macro_f1", "log_loss", "kappa"):
        width, expected, narrow = (m[f"{name}_high"] - m[f"{name}_low"] for m in (grouped, once, naive))
        assert width == pytest.approx(expected, rel=0.12) and narrow < 0.5 * expected, name


@pytest.mark.parametrize("groups", [np.arange(3), []])
def test_a_group_a_row_is_wanted(groups):
    with pytest.raises(ValueError, match=f"{len(groups)} groups for 150 rows; expected one group a row"):
        scores.score(*guesses(), groups=groups)


@pytest.mark.parametrize("accuracy", [0.6, 0.8, 0.95])
def test_intervals_cover_the_true_accuracy(accuracy):
    rng, covered = np.random.default_rng(5), 0
    for seed in range(300):
        labels = rng.integers(0, 3, 200)
        predicted = np.where(rng.random(200) < accuracy, labels, (labels + rng.integers(1, 3, 200)) % 3)
        made = scores.score(certain(predicted, 3), labels, n_resamples=500, random_state=seed)
        covered += made["accuracy_low"] <= accuracy <= made["accuracy_high"]
    assert 0.91 <= covered / 300 <= 0.985


def test_the_same_seed_gives_the_same_interval():
    probabilities, labels = guesses()
    assert scores.score(probabilities, labels) == scores.score(probabilities, labels)
    other = scores.score(probabilities, labels, random_state=1)
    assert other != scores.score(probabilities, labels) and other["accuracy"] == pytest.approx(
        accuracy_score(labels, probabilities.argmax(axis=1))
    )


def test_score_table_has_a_line_a_model_in_the_order_given():
    good, labels = guesses(strength=3.0)
    bad, _ = guesses(seed=1)
    table = scores.score_table({"z": bad, "a": good}, labels)
    assert list(table.index) == ["z", "a"] and table.index.name == "model"
    assert table.loc["a"].to_dict() == pytest.approx(scores.score(good, labels))
    assert table["log_loss"].idxmin() == "a"


def test_scores_for_people():
    probabilities, labels = guesses(40)
    table = scores.score_table({"text": probabilities, "audio": np.eye(4)[labels]}, labels)
    made = scores.readable(table)
    assert list(made.index) == ["text", "audio"] and list(made) == ["accuracy", "macro_f1", "log_loss"]
    # Wilson's low end of 40 right rows of 40 is 40 / (40 + 1.96^2).
    assert made.loc["audio"].tolist() == ["100.0 % [91.2, 100.0]", "100.0 % [91.2, 100.0]", 0.0]
    line = table.loc["text"]
    expected = f"{100 * line['macro_f1']:.1f} % [{100 * line['macro_f1_low']:.1f}, {100 * line['macro_f1_high']:.1f}]"
    assert made.loc["text", "macro_f1"] == expected
    assert made.loc["text", "log_loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(4)), abs=5e-4)


def test_majority_is_scikit_learns_dummy():
    labels = np.array([0, 2, 2, 2, 1, 2])
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((6, 1)), labels)
    made = baselines.majority_probabilities(labels, 4, 3)
    np.testing.assert_allclose(made, dummy.predict_proba(np.zeros((4, 1))))
    np.testing.assert_allclose(baselines.majority_probabilities(labels, 1, 4), [[1 / 6, 1 / 6, 4 / 6, 0]])


@pytest.mark.parametrize("never", [None, 2])
def test_class_table_is_scikit_learns(never):
    probabilities, labels = guesses(classes=[0, 1, 3])
    if never is not None:
        probabilities[:, never] = 0
    names = ["a", "b", "c", "d"]
    made, predicted = scores.class_table(probabilities, labels, names), probabilities.argmax(axis=1)
    expected = precision_recall_fscore_support(labels, predicted, labels=range(4), zero_division=0)
    for column, values in zip(("precision", "recall", "f1", "rows"), expected, strict=True):
        np.testing.assert_allclose(made[column], values)
    np.testing.assert_array_equal(made["predicted"], np.bincount(predicted, minlength=4))
    assert list(made.index) == names
    assert (made["f1_low"].fillna(0) <= made["f1"]).all() and made.loc["c", ["f1_low", "f1_high"]].isna().all()


# --- Two models on the same rows ----------------------------------------------------------------------


def pair(both, only_a, only_b, neither):
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize("counts", [(50, 4, 12, 10), (50, 12, 4, 10), (0, 1, 0, 0), (80, 7, 7, 3), (5, 0, 9, 0)])
def test_compare_is_the_exact_mcnemar_test(counts):
    both, only_a, only_b, neither = counts
    made = comparison.compare(*pair(*counts))
    assert made["p"] == pytest.approx(mcnemar([[both, only_a], [only_b, neither]], exact=True).pvalue)
    assert made["p"] == pytest.approx(binomtest(only_a, only_a + only_b, 0.5).pvalue)
    assert (made["only_a"], made["only_b"]) == (only_a, only_b)
    assert made["difference"] == pytest.approx((only_b - only_a) / sum(counts))


def test_compare_by_hand():
    """1 against 5: two-sided binomial 2 × (1 + 6) / 2^6."""
    made = comparison.compare(*pair(10, 1, 5, 4))
    assert made["p"] == pytest.approx(14 / 64) and made["difference"] == pytest.approx(0.2)
    assert made["detectable"] == pytest.approx((1.959964 + 0.841621) * np.sqrt(0.3 / 20), abs=1e-5)


def test_equal_models_do_not_differ():
    right = np.array([True, False, True])
    made = comparison.compare(right, right)
    assert made["p"] == 1 and made["difference"] == made["low"] == made["high"] == 0
    assert np.isfinite(made["detectable"]) and made["detectable"] > 0


def test_the_interval_is_scipys_paired_bootstrap():
    right_a, right_b = pair(100, 12, 30, 20)
    made = comparison.compare(right_a, right_b, n_resamples=20_000)
    expected = bootstrap(
        (right_b.astype(float) - right_a,),
        np.mean,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert made["low"] == pytest.approx(expected.low, abs=0.008)
    assert made["high"] == pytest.approx(expected.high, abs=0.008)


def test_with_groups_whole_groups_are_drawn():
    """Each row five times over: the interval of the rows before copying, not the narrower one of five times the rows."""
    right_a, right_b = pair(100, 12, 30, 20)
    once = comparison.compare(right_a, right_b, n_resamples=20_000)
    copied = [np.repeat(right, 5) for right in (right_a, right_b)]
    grouped = comparison.compare(*copied, groups=np.repeat(np.arange(162), 5), n_resamples=20_000)
    assert grouped["low"] == pytest.approx(once["low"], abs=0.004)
    assert grouped["high"] == pytest.approx(once["high"], abs=0.004)
    assert grouped["difference"] == pytest.approx(once["difference"])


def test_turning_the_models_round_turns_the_sign():
    right_a, right_b = pair(100, 12, 30, 20)
    forth, back = (comparison.compare(*order, n_resamples=50_000) for order in ((right_a, right_b), (right_b, right_a)))
    assert forth["difference"] == -back["difference"] and forth["p"] == back["p"]
    assert forth["low"] == pytest.approx(-back["high"], abs=0.006)


@pytest.mark.parametrize(("n_rows", "disagree"), [(300, 0.15), (1000, 0.08)])
def test_the_detectable_difference_is_found_four_times_in_five(n_rows, disagree):
    rng = np.random.default_rng(2)
    typical = round(n_rows * disagree)
    detectable = comparison.compare(*pair(n_rows - typical, typical // 2, typical - typical // 2, 0))["detectable"]
    only_a, only_b = (disagree - detectable) / 2, (disagree + detectable) / 2
    draws = rng.multinomial(n_rows, [only_a, only_b, 1 - disagree], 500)
    power = np.mean([binomtest(int(a), int(a + b), 0.5).pvalue < 0.05 for a, b, _ in draws])
    assert 0.7 < power < 0.88


@pytest.mark.parametrize(("a", "b"), [([True], [True, False]), ([], [])])
def test_compare_wants_the_same_rows(a, b):
    with pytest.raises(ValueError, match="expected the same test rows"):
        comparison.compare(np.array(a, bool), np.array(b, bool))


def test_holm_is_statsmodels():
    _, labels = guesses(200)
    models = {f"m{i}": guesses(200, seed=0, strength=0.5 * i)[0] for i in range(4)}
    table = comparison.compare_pairs(models, labels)
    assert len(table) == 6 and table["p"].is_monotonic_increasing
    np.testing.assert_allclose(table["p_holm"], multipletests(table["p"], method="holm")[1])
    by_hand = np.minimum(np.maximum.accumulate(table["p"] * np.arange(6, 0, -1)), 1)  # times 6, 5, 4, …
    np.testing.assert_allclose(table["p_holm"], by_hand)
    for line in table.itertuples():
        right = [models[name].argmax(axis=1) == labels for name in (line.a, line.b)]
        assert line.p == comparison.compare(*right)["p"]


def test_chosen_pairs_are_corrected_over_themselves():
    _, labels = guesses(200)
    models = {f"m{i}": guesses(200, seed=i)[0] for i in range(3)}
    table = comparison.compare_pairs(models, labels, pairs=iter([("m2", "m0")]))
    assert table[["a", "b"]].to_numpy().tolist() == [["m2", "m0"]]
    assert table["p_holm"].tolist() == table["p"].tolist()


@pytest.mark.parametrize("pairs", [None, []])
def test_nothing_to_compare_is_named(pairs):
    probabilities, labels = guesses()
    with pytest.raises(ValueError, match=r"No pair to compare among \['text'\]; expected two"):
        comparison.compare_pairs({"text": probabilities}, labels, pairs)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"difference": 0.05, "p": 0.01}, "Text is better than a: +5.0 points [+1.0, +9.0], p = 0.01."),
        ({"difference": -0.05, "p": 0.01}, "Text is worse than a: -5.0 points"),
        ({"difference": 0.05, "p": 0.01, "p_holm": 0.2}, "No difference between text and a was shown: +5.0 points"),
        ({"difference": 0.0, "p": 1.0}, "p = 1; this many rows could show a difference of 3.0 points or more."),
    ],
)
def test_a_comparison_in_words(line, said):
    line = {"low": 0.01, "high": 0.09, "detectable": 0.03, **line}
    assert said in comparison.comparison_text("a", "text", line)
    assert said in comparison.comparison_text("a", "text", pd.Series(line))


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ({"difference": 0.1, "p": 0.01}, "note"), ({"difference": -0.1, "p": 0.01}, "serious"),
        ({"difference": -0.1, "p": 0.01, "p_holm": 0.06}, "look"), ({"difference": 0.1, "p": 0.2}, "look"),
    ],
)  # fmt: skip
def test_how_much_a_comparison_matters(line, severity):
    assert comparison.severity(line) == severity


def test_a_comparison_in_chinese():
    line = {"difference": 0.05, "low": 0.01, "high": 0.09, "detectable": 0.03, "p": 0.01}
    assert comparison.comparison_text("a", "text", line, "zh") == "text优于a：+5.0 个百分点 [+1.0, +9.0]，p = 0.01。"


def test_a_model_that_did_not_predict_is_named():
    assert scores.known_model("text", {"text": None}) == "text"
    with pytest.raises(ValueError, match="No model 'txet' among the predictions; expected one of majority, text"):
        scores.known_model("txet", {"majority": None, "text": None})


def test_a_count_in_words():
    assert scores.count_text(8, 10) == "80.0 % [49.0, 94.3]" and scores.count_text(0, 0) == "–"


def test_an_interval_in_words():
    assert scores.interval_text(0.815, 0.76, 0.865) == "81.5 % [76.0, 86.5]"


# --- Calibration --------------------------------------------------------------------------------------


def of_confidence(confidence, right):
    """Two-class probabilities with these confidences, and labels that make them right or wrong."""
    confidence = np.asarray(confidence, float)
    return np.column_stack([1 - confidence, confidence]), np.asarray(right, int)


def test_calibration_by_hand():
    probabilities, labels = of_confidence([0.95, 0.93, 0.91, 0.65, 0.61, 1.0, 0.72], [1, 1, 0, 0, 1, 1, 1])
    table = scores.calibration_table(probabilities, labels)
    expected = [[0.6, 0.7, 2, 0.63, 0.5], [0.7, 0.8, 1, 0.72, 1], [0.9, 1.0, 4, 0.9475, 0.75]]
    np.testing.assert_allclose(table[["low", "high", "rows", "confidence", "accuracy"]], expected)
    error = scores.expected_calibration_error(probabilities, labels)
    assert error == pytest.approx((2 * 0.13 + 1 * 0.28 + 4 * 0.1975) / 7)  # too modest counts as too sure does


@pytest.mark.parametrize("n_bins", [5, 10, 15])
def test_calibration_is_scikit_learns(n_bins):
    probabilities, labels = guesses(800)
    table = scores.calibration_table(probabilities, labels, n_bins)
    right = probabilities.argmax(axis=1) == labels
    accuracy, confidence = calibration_curve(right, probabilities.max(axis=1), n_bins=n_bins)
    np.testing.assert_allclose(table["accuracy"], accuracy)
    np.testing.assert_allclose(table["confidence"], confidence)
    assert (
        table["rows"].sum() == 800
        and ((table["low"] < table["confidence"]) & (table["confidence"] < table["high"])).all()
    )


def test_a_calibrated_model_has_hardly_any_calibration_error():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 20_000)
    labels = (probabilities.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    assert scores.expected_calibration_error(probabilities, labels) < 0.02
    assert scores.expected_calibration_error(np.eye(3)[[0, 1, 2]], np.array([1, 2, 0])) == 1


def test_coverage_by_hand():
    probabilities, labels = of_confidence([0.7, 0.9, 0.6, 0.8], [0, 1, 1, 1])
    table = scores.coverage_table(probabilities, labels)
    np.testing.assert_allclose(table["coverage"], [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(table["accuracy"], [1, 1, 2 / 3, 3 / 4])
    np.testing.assert_allclose(table["threshold"], [0.9, 0.8, 0.7, 0.6])


def test_coverage_ends_at_the_accuracy():
    probabilities, labels = guesses()
    table = scores.coverage_table(probabilities, labels)
    assert table["accuracy"].iloc[-1] == pytest.approx(accuracy_score(labels, probabilities.argmax(axis=1)))
    assert table["threshold"].is_monotonic_decreasing


# --- Margins ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_margins_are_scaled_to_the_lowest_loss(n_classes):
    """The scale a grid-free search finds for softmax(a × margins), on a made-up linear model."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, 400)
    wide = rng.normal(size=(400, n_classes)) + 1.2 * np.eye(n_classes)[labels]
    margins = wide[:, 1] - wide[:, 0] if n_classes == 2 else wide
    logits = np.column_stack([-margins, margins]) if n_classes == 2 else margins
    best = minimize_scalar(
        lambda a: (
            200 * log_loss(labels[200:], softmax(a * logits[200:], axis=1), labels=range(n_classes))
            + (np.log(a) / 0.5) ** 2 / 2  # the weak prior of fit_temperature
        ),
        bounds=(0.05, 20), method="bounded",
    ).x  # fmt: skip
    made = baselines.margins_to_probabilities(margins[:200], margins[200:], labels[200:])
    np.testing.assert_allclose(made, softmax(best * logits[:200], axis=1), atol=2e-3)
    np.testing.assert_array_equal(made.argmax(axis=1), logits[:200].argmax(axis=1))


def test_a_class_without_margins_is_named():
    margins = np.ones((3, 2))  # scikit-learn makes no column for a class that no training row has
    with pytest.raises(ValueError, match="margins: labels run from 0 to 2; expected class numbers from 0 to 1"):
        baselines.margins_to_probabilities(margins, margins, np.array([0, 1, 2]))


def test_a_positive_margin_speaks_for_the_second_class():
    margins = np.array([-2.0, -0.1, 0.1, 2.0])
    made = baselines.margins_to_probabilities(margins, margins, np.array([0, 1, 0, 1]))
    assert made.shape == (4, 2) and list(made.argmax(axis=1)) == [0, 0, 1, 1]
    assert (np.diff(made[:, 1]) > 0).all()


# --- Tables of predictions ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 12])
def test_predictions_come_back_as_they_were(n_classes):
    rows = pd.DataFrame({"row": [4, 7, 9, 11], "split": ["test", "validation", "test", "test"], "label": list("abca")})
    models = {name: guesses(4, n_classes, seed=seed)[0] for seed, name in enumerate(("text", "decision-level mean"))}
    table = scores.prediction_table(models, rows.set_index(pd.Index([3, 1, 2, 0])))
    assert len(table) == 8 and table.columns[:4].tolist() == ["row", "split", "label", "model"]
    for split in ("test", "validation"):
        of_split = (rows["split"] == split).to_numpy()
        back, probabilities = scores.split_predictions(table, split)
        pd.testing.assert_frame_equal(back, rows[of_split].reset_index(drop=True))
        assert list(probabilities) == list(models)
        for name, values in models.items():
            np.testing.assert_array_equal(probabilities[name], values[of_split])


def test_models_may_have_predicted_other_rows():
    rows = pd.DataFrame({"row": [1, 2], "split": ["validation", "test"]})
    table = pd.concat(
        [
            scores.prediction_table({"text": guesses(2)[0]}, rows),
            scores.prediction_table({"majority": guesses(1)[0]}, rows[1:]),
        ]
    )
    assert list(scores.split_predictions(table, "validation")[1]) == ["text"]
    assert list(scores.split_predictions(table, "test")[1]) == ["text", "majority"]


def test_a_split_without_predictions_is_named():
    table = scores.prediction_table({"text": guesses(1)[0]}, pd.DataFrame({"row": [1], "split": ["test"]}))
    with pytest.raises(ValueError, match=r"No predictions for split 'validation'; the table has \['test'\]"):
        scores.split_predictions(table, "validation")
