"""Promises are kept: thresholds and sets against hand cases, statsmodels, and tables whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from guesses import copied_answers, guesses
from sklearn.metrics import accuracy_score
from statsmodels.stats.proportion import proportion_confint

from fusebook.data.predictions import Predictions
from fusebook.evaluation import guarantees, intervals
from fusebook.models.calibration import fit_label_sets, label_sets, one_of_each
from fusebook.runs import Run


def of_confidence(confidence, right, groups=None):
    """Two-class answers of m with these confidences, and labels that make them right or wrong."""
    confidence = np.asarray(confidence, float)
    return Predictions.of({"m": np.column_stack([1 - confidence, confidence])}, np.asarray(right, int), groups=groups)


def falling(n_rows):
    """Confidences of so many rows, the surest first."""
    return np.linspace(0.99, 0.6, n_rows)


# --- The curve ----------------------------------------------------------------------------------------


def test_coverage_by_hand():
    table = guarantees.coverage_table(of_confidence([0.7, 0.9, 0.6, 0.8], [0, 1, 1, 1]), "m")
    np.testing.assert_allclose(table["coverage"], [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(table["accuracy"], [1, 1, 2 / 3, 3 / 4])
    np.testing.assert_allclose(table["threshold"], [0.9, 0.8, 0.7, 0.6])
    expected = intervals.wilson_interval(np.array([1, 1, 2 / 3, 3 / 4]), np.arange(1, 5))
    np.testing.assert_allclose([table["low"], table["high"]], expected)


def test_coverage_ends_at_the_accuracy():
    probabilities, labels = guesses()
    table = guarantees.coverage_table(Predictions.of({"m": probabilities}, labels), "m")
    assert table["accuracy"].iloc[-1] == pytest.approx(accuracy_score(labels, probabilities.argmax(axis=1)))
    assert table["threshold"].is_monotonic_decreasing


def test_copies_do_not_narrow_the_band():
    """Where each row stands four times, the band at a whole number of texts is that of the texts."""
    once, often = copied_answers(50, 3, 1.5, 0), copied_answers(200, 3, 1.5, 0, copies=4)
    columns = ["accuracy", "low", "high"]
    few, many = (guarantees.coverage_table(answers, "m")[columns] for answers in (once, often))
    np.testing.assert_allclose(many.iloc[3::4], few)


# --- The threshold ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "n_rows"), [(0.9, 46), (0.8, 22), (0.95, 93)])
def test_the_fewest_rows_that_show_it_with_one_wrong(wanted, n_rows):
    """One row fewer would not do: the low end of Clopper and Pearson's interval at 5 % on one side."""
    low = [proportion_confint(n - 1, n, alpha=0.1, method="beta")[0] for n in (n_rows - 1, n_rows)]
    assert low[0] < wanted <= low[1] and guarantees.fewest_rows(wanted) == n_rows


def test_the_threshold_is_the_last_that_the_exact_bound_allows():
    right = np.ones(200, bool)
    right[[20, 70, *range(100, 200, 3)]] = False
    confidence = falling(200)
    threshold = guarantees.safe_threshold(confidence, right, 0.9)
    answered = int((confidence >= threshold).sum())
    low = [proportion_confint(right[:n].sum(), n, alpha=0.1, method="beta")[0] for n in range(46, answered + 2)]
    assert min(low[:-1]) >= 0.9 > low[-1] and 46 < answered < 200
    mixed = np.random.default_rng(0).permutation(200)
    assert guarantees.safe_threshold(confidence[mixed], right[mixed], 0.9) == threshold


def test_rows_of_one_confidence_are_answered_together():
    confidence, right = np.repeat([0.9, 0.8], 60), np.repeat([True, False], 60)
    assert guarantees.safe_threshold(confidence, right, 0.9) == 0.9
    assert guarantees.safe_threshold(np.full(120, 0.9), right, 0.9) is None
    assert guarantees.safe_threshold(np.full(120, 0.9), np.ones(120, bool), 0.9) == 0.9


@pytest.mark.parametrize("n_rows", [0, 1, 45])
def test_too_few_rows_promise_nothing(n_rows):
    assert guarantees.safe_threshold(falling(n_rows), np.ones(n_rows, bool), 0.9) is None


def test_copies_are_counted_once():
    """Thirty texts that are all right, twice each, are too few; sixty without copies are enough."""
    held = of_confidence(falling(60), np.ones(60), np.repeat(np.arange(30), 2))
    assert guarantees.Guarantees(held, held, "m").threshold is None
    assert guarantees.Guarantees(of_confidence(falling(60), np.ones(60)), held, "m").threshold == pytest.approx(0.6)


@pytest.mark.parametrize("copies", [1, 2])
def test_the_promise_is_broken_in_at_most_five_of_a_hundred(copies):
    """Confidence says nothing and each answer is right in 89 %: the worst case, in which no promise holds.

    200 draws; more than 20 are a chance of 0.04 % at a risk of 5 %. ``make bench-truth guarantees`` draws more.
    """
    rng, promised = np.random.default_rng(0), 0
    for _ in range(200):
        right = np.repeat(rng.random(100) < 0.89, copies)
        kept = one_of_each(np.repeat(np.arange(100), copies), 100 * copies)
        promised += guarantees.safe_threshold(rng.random(100 * copies)[kept], right[kept], 0.9) is not None
    assert 0 < promised <= 20


def test_the_promise_of_the_best_of_several_is_kept_too():
    """Of eight models that are right in 89 % the one with most right answers is taken; 150 draws of 200 rows."""
    rng, promised = np.random.default_rng(0), {1: 0, 8: 0}
    for _ in range(150):
        right = rng.random((8, 200)) < 0.89
        confidence, best = rng.random(200), right[right.sum(axis=1).argmax()]
        for among in promised:
            promised[among] += guarantees.safe_threshold(confidence, best, 0.9, guarantees.RISK / among) is not None
    assert promised[8] <= 15 < promised[1]


# --- What is said -------------------------------------------------------------------------------------


def test_the_promise_in_words_by_hand():
    held = of_confidence(falling(100), np.ones(100))
    test = of_confidence([0.95] * 20 + [0.55] * 20, [1] * 19 + [0] * 21)
    ((key, grade, facts),) = guarantees.Guarantees(held, test, "m").verdicts()
    low, high = (100 * float(end) for end in intervals.wilson_interval(19 / 20, 20))
    assert (key, grade) == ("guarantee", "note")
    assert facts == {
        "model": "m", "wanted": "90", "units": 100, "threshold": "60", "rows": 40, "on": "test rows", "answered": 20,
        "coverage": "50", "share": f"95.0 % [{low:.1f}, {high:.1f}]",
    }  # fmt: skip


def test_a_broken_promise_is_worth_a_look_and_an_unused_one_is_told():
    held = of_confidence(falling(100), np.ones(100))
    broken = guarantees.Guarantees(held, of_confidence(np.full(50, 0.9), np.arange(50) < 30), "m")
    assert [found[:2] for found in broken.verdicts()] == [("guarantee broken", "look")]
    unused = guarantees.Guarantees(held, of_confidence(np.full(50, 0.55), np.arange(50) < 30), "m")
    assert [found[:2] for found in unused.verdicts()] == [("guarantee unused", "note")]


def test_where_nothing_can_be_promised_it_says_what_it_would_take():
    answers = copied_answers(200, 4, 0.0, 0)
    for model, held in (("m", answers), ("m", Predictions.of({}, answers.labels))):
        ((key, grade, facts),) = guarantees.Guarantees(held, answers, model).verdicts()
        units = 200 if "m" in held else 0
        assert (key, grade) == ("no guarantee", "note")
        assert facts == {"model": "m", "wanted": "90", "units": units, "needed": 46}


@pytest.mark.parametrize("wanted", [0, 1, 1.2])
def test_a_share_that_is_none(wanted):
    answers = copied_answers(20, 2, 1, 0)
    with pytest.raises(ValueError, match="expected a share above 0 and below 1"):
        guarantees.Guarantees(answers, answers, "m", wanted)


@pytest.mark.parametrize("crossed", [True, False])
def test_a_run_learns_from_folds_or_else_from_validation_rows(tmp_path, crossed):
    run, tables, rows = Run(tmp_path), [], []
    for i, (split, fold) in enumerate([("train", 1), ("validation", 2 if crossed else 0), ("test", 0)]):
        if split == "train" and not crossed:
            continue
        answers = copied_answers(60, 3, 2.0, i)
        known = {"row": 100 * i + np.arange(60), "split": split, "fold": fold, "label": answers.labels.astype(str)}
        answers.rows = answers.rows.assign(**known)
        tables.append(answers.table())
        rows.append(answers.rows[["row", "label"]].assign(group=100 * i + np.arange(60), text="", image="", audio=""))
    run.write("predictions.parquet", pd.concat(tables))
    run.write("rows.parquet", pd.concat(rows))
    run.write("bundle/bundle.json", {"temperatures": {"m": 1.0, "n": 1.0}, "fusions": {}})
    made = guarantees.Guarantees.of_run(run, "m")
    assert made.units == (120 if crossed else 60) and made.test.rows["split"].unique().tolist() == ["test"]
    assert made.test.n_rows == 60 and made.test.scored_on == "test rows"
    assert made.risk == 0.025, "chosen among two"


# --- Sets ---------------------------------------------------------------------------------------------


def test_sets_by_hand():
    """Of nine rows the least probability of a true label is that of the tenth, which there is not but for nine of them."""
    right = np.linspace(0.9, 0.1, 9)
    values = np.column_stack([right, 1 - right])
    assert fit_label_sets(values, np.zeros(9, int)) == pytest.approx(0.1)
    assert fit_label_sets(values[:8], np.zeros(8, int)) is None
    right = np.linspace(0.99, 0.01, 99)  # 90 of 99 and more
    assert fit_label_sets(np.column_stack([right, 1 - right]), np.zeros(99, int)) == pytest.approx(right[89])
    sets = label_sets(np.array([[0.6, 0.3, 0.1], [0.2, 0.15, 0.65], [0.3, 0.3, 0.4]]), 0.3)
    assert sets.tolist() == [[True, True, False], [False, False, True], [True, True, True]]
    assert label_sets(np.array([[0.4, 0.35, 0.25]]), 0.9).tolist() == [[True, False, False]], "never empty"


@pytest.mark.parametrize(("n_rows", "copies"), [(30, 1), (120, 4)])
def test_nine_in_ten_sets_hold_the_label(n_rows, copies):
    """On average over 200 draws of 30 texts, asked of 600 rows; 28 of 31 would be exact."""
    new = copied_answers(600, 5, 1.2, 1)
    held = []
    for seed in range(200):
        answers = copied_answers(n_rows, 5, 1.2, 100 + seed, copies=copies)
        sets = label_sets(new["m"], fit_label_sets(answers["m"], answers.labels, answers.groups))
        held.append(sets[np.arange(600), new.labels].mean())
    assert 0.87 < np.mean(held) < 0.935


def test_the_sets_in_words_and_when_they_are_worth_a_look():
    held, test = copied_answers(300, 5, 1.5, 0), copied_answers(200, 5, 1.5, 1)
    made = guarantees.Guarantees(held, test, "m")
    ((key, grade, facts),) = made.set_verdicts()
    sizes = label_sets(test["m"], made.least).sum(axis=1)
    assert (key, grade, facts["one"], facts["rows"]) == ("sets checked", "note", int((sizes == 1).sum()), 200)
    assert facts["size"].startswith(f"{sizes.mean():.2f} [") and facts["on"] == "test rows" and facts["units"] == 300
    shuffled = Predictions.of({"m": test["m"]}, np.roll(test.labels, 1), groups=test.groups)
    assert guarantees.Guarantees(held, shuffled, "m").set_verdicts()[0][1] == "look"
    few = guarantees.Guarantees(held.chosen(np.arange(8)), test, "m").set_verdicts()
    assert few == [("too few for sets", "note", {"units": 8, "model": "m"})]


def test_one_of_each_group_is_kept():
    groups = np.array(["a", "b", "a", "c", "b", "a"])
    kept = one_of_each(groups, 6)
    assert sorted(groups[kept]) == ["a", "b", "c"] and one_of_each(None, 4).tolist() == [0, 1, 2, 3]
