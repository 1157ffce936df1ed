"""Scores, their intervals and calibration against scikit-learn, SciPy, statsmodels, simulations and hand cases."""

import numpy as np
import pandas as pd
import pytest
from guesses import guesses, logit_answers, true_answers
from lazily import Lazy
from scipy import sparse
from scipy.stats import bootstrap
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support
from statsmodels.stats.proportion import proportion_confint

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.predictions import Predictions
from fusebook.evaluation import scores
from fusebook.evaluation.measures import MEASURES, measures_of

baselines = Lazy("fusebook.models.baselines")


def one(probabilities, labels, groups=None, label_names=None):
    """The predictions of one model, m."""
    return Predictions.of({"m": np.asarray(probabilities)}, labels, groups=groups, label_names=label_names)


def scored(probabilities, labels, groups=None, **options):
    """The line of one model."""
    return scores.score_table(one(probabilities, labels, groups), **options).loc["m"]


# --- Scores -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probabilities", "labels", "said"),
    [
        ([[0.5, np.nan]], [0], "m: expected finite probabilities from 0 to 1"),
        ([[0.5, np.inf]], [0], "m: expected finite probabilities"),
        ([[1.5, -0.5]], [0], "m: expected finite probabilities from 0 to 1"),
        ([[0.5, 0.4]], [0], "rows sum to 1; pass them through a softmax first"),
        ([0.5, 0.5], [0, 1], r"m: probabilities have shape \(2,\) for 2 labels"),
        ([[0.5, 0.5]], [0, 1], r"shape \(1, 2\) for 2 labels; expected \(n_rows, n_classes\)"),
        (np.empty((0, 2)), [], "at least one row"),
        ([[0.5, 0.5]], [2], "labels run from 2 to 2; expected class numbers from 0 to 1"),
        ([[0.5, 0.5]], [-1], "labels run from -1 to -1; expected class numbers from 0 to 1"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, labels, said):
    probabilities, rows = np.array(probabilities), pd.DataFrame({"class_id": np.array(labels, int)})
    with pytest.raises(ValueError, match=said):
        scores.check_probabilities(probabilities, rows["class_id"].to_numpy(), "m")
    with pytest.raises(ValueError, match=said):
        scores.score_table(Predictions({"m": probabilities}, rows, ["a", "b"]))


def test_rounding_is_no_fault():
    scores.check_probabilities(np.array([[0.33333, 0.66666]], np.float32), np.array([1]))
    scores.check_probabilities(np.eye(3), np.arange(3))


def test_the_table_has_a_line_a_model_in_the_order_given():
    good, labels = guesses(strength=3.0)
    bad, _ = guesses(seed=1)
    table = scores.score_table(Predictions.of({"z": bad, "a": good}, labels))
    assert list(table.index) == ["z", "a"] and table.index.name == "model" and list(table) == scores.COLUMNS
    assert table.loc["a"].to_dict() == pytest.approx(scored(good, labels).to_dict())
    assert table["log_loss"].idxmin() == "a" and table["n_rows"].tolist() == [150, 150]
    assert table.loc["a", MEASURES].to_dict() == pytest.approx(measures_of(good, labels))
    for name in MEASURES:
        assert (table[f"{name}_low"] <= table[name]).all() and (table[name] <= table[f"{name}_high"]).all(), name


def test_without_a_model_the_table_is_empty():
    table = scores.score_table(Predictions.of({}, [0, 1]))
    assert len(table) == 0 and list(table) == scores.COLUMNS and table.dtypes.eq(float).all()


def test_intervals_are_scipys_bootstrap():
    probabilities, labels = guesses(120)
    predicted = probabilities.argmax(axis=1)

    def macro_f1(true, guessed):
        return f1_score(true, guessed, average="macro", zero_division=0)

    made = scored(probabilities, labels, n_resamples=5000)
    options = {"method": "percentile", "rng": np.random.default_rng(0), "vectorized": False, "paired": True}
    for name, statistic in (("accuracy", lambda t, g: (t == g).mean()), ("macro_f1", macro_f1)):
        expected = bootstrap((labels, predicted), statistic, n_resamples=500, **options).confidence_interval
        assert made[f"{name}_low"] == pytest.approx(expected.low, abs=0.02)
        assert made[f"{name}_high"] == pytest.approx(expected.high, abs=0.02)


@pytest.mark.parametrize("factor", [1.0, 2.0], ids=["calibrated", "too sure"])
def test_the_calibration_error_is_covered(factor):
    """30 test sets; ``make bench-truth`` draws 200. At a coverage of 90 % fewer than 24 of 30 are a chance of 3 %."""
    truth = measures_of(*true_answers(200_000, 1000, factor))["ece"] if factor > 1 else 0
    made = [scored(*true_answers(200, seed, factor), n_resamples=100) for seed in range(30)]
    assert sum(line["ece_low"] <= truth <= line["ece_high"] for line in made) >= 24


def test_log_loss_and_brier_intervals_are_those_of_a_mean():
    """A mean of many rows is near normal: its interval is from the standard error, a little more for imagined rows."""
    probabilities, labels = guesses(1000, 3)
    made = scored(probabilities, labels)
    by_row = {
        "log_loss": -np.log(probabilities[np.arange(1000), labels]),
        "brier": ((probabilities - np.eye(3)[labels]) ** 2).sum(axis=1),
    }
    for name, values in by_row.items():
        half = 1.96 * values.std() / np.sqrt(1000)
        assert made[f"{name}_low"] == pytest.approx(values.mean() - half, abs=0.15 * half)
        assert made[f"{name}_high"] == pytest.approx(values.mean() + half, abs=0.15 * half)


@pytest.mark.parametrize("cell", [(32, 4, 5, True, 0.95), (100, 1, 2, False, 0.99)], ids=["32 rows", "100 rows"])
def test_every_interval_holds_the_truth(cell):
    """25 test sets a cell; ``make bench-truth`` draws the whole grid. At 93 % fewer than 19 are a chance of 0.1 %."""
    n_rows, copies, n_classes, zipf, accuracy = cell
    options = {"zipf": zipf, "accuracy": accuracy, "factor": 2.0}
    truth, held = measures_of(*logit_answers(50_000, n_classes, **options, seed=1000)), dict.fromkeys(MEASURES, 0)
    for seed in range(25):
        probabilities, labels = logit_answers(n_rows // copies, n_classes, **options, seed=seed)
        texts = np.repeat(np.arange(n_rows // copies), copies)
        line = scored(probabilities[texts], labels[texts], texts, n_resamples=200)
        for name in MEASURES:
            held[name] += line[f"{name}_low"] <= truth[name] <= line[f"{name}_high"]
            assert line[f"{name}_low"] < line[f"{name}_high"], f"{name} is of no width"
    assert min(held.values()) >= 19, held


def test_one_class_in_the_test_rows():
    table = scores.score_table(one(np.tile([0.7, 0.3], (5, 1)), np.zeros(5, int)))
    made, shown = table.loc["m"], scores.readable(table, MEASURES).loc["m"]
    assert made["accuracy"] == made["macro_f1"] == 1 and np.isnan(made["kappa"]) and made["mcc"] == 0
    assert shown["kappa"] == "–" and "nan" not in " ".join(shown)


@pytest.mark.parametrize("label", [0, 1])
def test_one_test_row_has_no_bootstrap_interval(label):
    table = scores.score_table(one([[0.7, 0.3]], np.array([label])))
    made, shown = table.loc["m"], scores.readable(table, MEASURES).loc["m"]
    assert made["accuracy"] == 1 - label and np.isnan(made["log_loss_low"])
    assert made["accuracy_high"] - made["accuracy_low"] > 0.75
    assert shown["log_loss"].endswith("[–]") and "nan" not in " ".join(shown)


def test_groups_widen_the_intervals_of_copied_rows():
    """Each row ten times over is worth no more than once: the interval is that of the rows before copying."""
    probabilities, labels = guesses(150)
    copied = np.repeat(probabilities, 10, axis=0), np.repeat(labels, 10)
    lines = scored(*copied, np.repeat(np.arange(150), 10)), scored(probabilities, labels), scored(*copied)
    for name in ("accuracy", "macro_f1", "log_loss", "kappa"):
        width, expected, narrow = (line[f"{name}_high"] - line[f"{name}_low"] for line in lines)
        assert width == pytest.approx(expected, rel=0.12) and narrow < 0.5 * expected, name


def test_shares_have_wilsons_interval():
    """Of which ``test_intervals`` shows that it covers the truth."""
    probabilities, labels = guesses()
    made = scored(probabilities, labels, n_resamples=10)
    for name in ("accuracy", "top_2", "top_3"):
        expected = proportion_confint(round(150 * made[name]), 150, method="wilson")
        assert (made[f"{name}_low"], made[f"{name}_high"]) == pytest.approx(expected)


def test_the_same_seed_gives_the_same_interval():
    probabilities, labels = guesses()
    first, again, other = (scored(probabilities, labels, random_state=seed) for seed in (42, 42, 1))
    assert first.equals(again) and not first.equals(other) and first["accuracy"] == other["accuracy"]


# --- Tables for people --------------------------------------------------------------------------------


def test_scores_for_people():
    probabilities, labels = guesses(40)
    found = scores.Scores(Predictions.of({"text": probabilities, "audio": np.eye(4)[labels]}, labels))
    table, made = found.table, scores.readable(found.table)
    assert list(made.index) == ["text", "audio"] and list(made) == ["accuracy", "macro_f1", "log_loss"]
    line = table.loc["audio"]
    f1 = f"100.0 % [{100 * line['macro_f1_low']:.1f}, 100.0]"
    # Wilson's low end of 40 right rows of 40 is 40 / (40 + 1.96^2).
    assert made.loc["audio"].tolist() == ["100.0 % [91.2, 100.0]", f1, 0.0] and 0.85 < line["macro_f1_low"] < 0.96
    line = table.loc["text"]
    expected = f"{100 * line['macro_f1']:.1f} % [{100 * line['macro_f1_low']:.1f}, {100 * line['macro_f1_high']:.1f}]"
    assert made.loc["text", "macro_f1"] == found.text("text", "macro_f1") == expected
    assert found.text("audio") == "100.0 % [91.2, 100.0]"
    whole = found.readable()
    assert list(whole.index) == list(made.index) and list(whole) == MEASURES
    pd.testing.assert_frame_equal(found.readable(["audio"], ["ece", "mcc"]), whole.loc[["audio"], ["ece", "mcc"]])
    assert made.loc["text", "log_loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(4)), abs=5e-4)


def test_the_best_of_some_models():
    sure = {"text": 0.5, "mean": 0.7, "audio": 0.6}  # of the right answer: log loss falls as it rises
    made = scores.Scores(Predictions.of({name: np.tile([p, 1 - p], (9, 1)) for name, p in sure.items()}, [0] * 9))
    assert made.best(["audio", "text"]) == "audio" and made.best(sure) == "mean"
    assert made.best(["audio", "image"]) == "audio" and made.best([]) == ""


def test_costs_stand_beside_scores_and_a_dash_where_they_are_unknown():
    answer = np.tile([0.8, 0.2], (10, 1))
    names = ["majority", "svm", "fusion"]
    found = scores.Scores(Predictions.of(dict.fromkeys(names, answer), np.zeros(10, int)))
    costs = {
        "svm": baselines.Cost(1.234, 123_456.7, 13_662_310), "majority": baselines.Cost(0.0, float("nan"), 280)
    }  # fmt: skip
    made = found.costs(costs)
    assert list(made.columns[:3]) == ["accuracy", "macro_f1", "log_loss"]
    assert list(made.index) == ["majority", "svm", "fusion"]
    shown = made[["seconds to fit", "rows a second", "kB on disk"]]
    assert shown.loc["svm"].tolist() == ["1.23", "120,000", "13,662.3"]
    assert shown.loc["majority"].tolist() == ["0.00", "–", "0.3"] and shown.loc["fusion"].tolist() == ["–", "–", "–"]


def test_the_share_of_the_most_frequent_answer():
    """Of the majority model where there is one: its answer comes from the training rows."""
    labels = np.array([0, 0, 0, 1])
    answers = one(np.tile([0.5, 0.5], (4, 1)), labels)
    assert scores.majority_share(answers) == 0.75
    assert scores.majority_share(answers | {"majority": np.tile([0.4, 0.6], (4, 1))}) == 0.25


@pytest.mark.parametrize(("n_right", "grade"), [(100, "note"), (70, "serious")])
def test_a_model_must_be_better_than_the_most_frequent_answer(n_right, grade):
    """65 of 100 rows have the most frequent label; the interval of 70 right rows begins at 60.4 %."""
    labels = np.repeat([0, 1], [65, 35])
    predicted = np.where(np.arange(100) < n_right, labels, 1 - labels)
    made = scores.Scores(one(np.eye(2)[predicted], labels))
    low, high = (100 * end for end in proportion_confint(n_right, 100, method="wilson"))
    facts = {
        "model": "m",
        "share": f"{n_right:.1f} % [{low:.1f}, {high:.1f}]",
        "rows": 100,
        "on": "test rows",
        "base": "65.0",
    }
    assert made.majority == 0.65 and made.verdict("m") == ("accuracy", grade, facts)


@pytest.mark.parametrize("never", [None, 2])
def test_class_table_is_scikit_learns(never):
    probabilities, labels = guesses(classes=[0, 1, 3])
    if never is not None:
        probabilities[:, never] = 0
    made, predicted = scores.class_table(one(probabilities, labels, label_names="abcd"), "m"), probabilities.argmax(1)
    expected = precision_recall_fscore_support(labels, predicted, labels=range(4), zero_division=0)
    for column, values in zip(("precision", "recall", "f1", "rows"), expected, strict=True):
        np.testing.assert_allclose(made[column], values)
    np.testing.assert_array_equal(made["predicted"], np.bincount(predicted, minlength=4))
    assert list(made.index) == list("abcd")
    assert (made["f1_low"] <= made["f1"]).all() and (made["f1"] <= made["f1_high"]).all()
    assert (made["f1_low"] < made["f1_high"]).all(), "nothing is quite sure"
    if never is not None:
        assert made.loc["c", ["f1_low", "f1_high"]].tolist() == [0, 1], "without any row nothing is known"


def test_groups_widen_the_intervals_of_classes():
    probabilities, labels = guesses(60)
    copied = np.repeat(probabilities, 10, axis=0), np.repeat(labels, 10)
    lines = [scores.class_table(one(*copied, groups), "m") for groups in (None, np.repeat(np.arange(60), 10))]
    narrow, wide = ((line["f1_high"] - line["f1_low"]).to_numpy() for line in lines)
    assert (wide > 2 * narrow).all()


def long_and_short(ngrams=True):
    """Eight rows with 1, 1, 2, 3, 4, 5, 6 and 7 n-grams after one that is no test row; the long ones are right."""
    counts = [9, 1, 1, 2, 3, 4, 5, 6, 7]
    bag = sparse.csr_array(np.arange(10) < np.array(counts)[:, None]).astype(float)
    rows = pd.DataFrame({"row": np.arange(20, 29)})
    data = Dataset(rows, ["a", "b"], Features({}, {"text": np.ones(9, bool)}, bag if ngrams else None))
    answers = Predictions(
        {"m": np.tile([0.9, 0.1], (8, 1))}, rows[1:].assign(class_id=[1, 1, 1, 0, 0, 0, 0, 0]), ["a", "b"]
    )
    return answers, data


def test_accuracy_by_length_by_hand():
    """Quartiles of the counts are 1, 1.75, 3.5 and 5.25, cut to whole n-grams: groups from 1, 3 and 5 on."""
    answers, data = long_and_short()
    made = scores.Scores(answers).by_length("m", data)
    assert made.index.tolist() == [1, 3, 5] and made.index.name == "n-grams, at least"
    assert made["rows"].tolist() == [3, 2, 3]
    assert made["accuracy"].tolist() == [scores.count_text(*pair) for pair in ((0, 3), (2, 2), (3, 3))]
    pd.testing.assert_frame_equal(made, scores.Scores(answers).by_length("m", data[np.arange(1, 9)]))


def test_rows_without_ngrams_have_no_length():
    answers, data = long_and_short(False)
    made = scores.Scores(answers).by_length("m", data)
    assert len(made) == 0 and list(made) == ["rows", "accuracy"]


def test_numbers_in_words():
    assert scores.count_text(7, 10) == "70.0 % [39.7, 89.2]" and scores.count_text(0, 0) == "–"
    assert scores.interval_text(0.815, 0.76, 0.865) == "81.5 % [76.0, 86.5]"
    assert scores.number_text(0.412, 0.35, 0.48) == "0.412 [0.350, 0.480]"


@pytest.mark.parametrize(("right", "grade"), [(3, "look"), (5, "note"), (6, "note")])
def test_few_rows_beside_many_are_graded_by_what_these_show(right, grade):
    """Six of ten right among 1,000 rows; of twelve rows 3, 5 or 6 are right, and always the same label is for 6."""

    def share(n_rows, n_right):
        labels = np.arange(n_rows) % 2
        answers = np.where(np.arange(n_rows) < n_right, labels, 1 - labels)
        return scores.Scores(one(np.eye(2)[answers] * 0.8 + 0.1, labels))

    few, many = share(12, right), share(1000, 600)
    assert few.verdict("m")[1] == "serious" and few.verdict("m", beside=many)[1] == grade


@pytest.mark.parametrize(("n_right", "better"), [(60, True), (52, False), (40, False)])
def test_better_than_the_majority_is_by_the_interval(n_right, better):
    labels = np.arange(100) % 2
    answers = np.where(np.arange(100) < n_right, labels, 1 - labels)
    low = proportion_confint(n_right, 100, method="wilson")[0]
    assert scores.is_better_than_majority(one(np.eye(2)[answers], labels), "m") is bool(low > 0.5) is better
