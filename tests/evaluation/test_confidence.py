"""Calibration and coverage against scikit-learn, statsmodels, and hand cases."""

import numpy as np
import pytest
from guesses import guesses, true_answers
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score
from statsmodels.stats.proportion import proportion_confint

from fusebook.data.predictions import Predictions
from fusebook.evaluation import confidence, scores
from fusebook.evaluation.measures import measures_of


def one(probabilities, labels, groups=None):
    """The predictions of one model, m."""
    return Predictions.of({"m": np.asarray(probabilities)}, labels, groups=groups)


def of_confidence(confidence, right):
    """Two-class probabilities with these confidences, and labels that make them right or wrong."""
    confidence = np.asarray(confidence, float)
    return one(np.column_stack([1 - confidence, confidence]), np.asarray(right, int))


def test_calibration_by_hand():
    answers = of_confidence([0.95, 0.93, 0.91, 0.65, 0.61, 1.0, 0.72], [1, 1, 0, 0, 1, 1, 1])
    table = confidence.calibration_table(answers, "m")
    expected = [[0.6, 0.7, 2, 0.63, 0.5], [0.7, 0.8, 1, 0.72, 1], [0.9, 1.0, 4, 0.9475, 0.75]]
    np.testing.assert_allclose(table[["low", "high", "rows", "confidence", "accuracy"]], expected)


def test_calibration_is_scikit_learns():
    probabilities, labels = guesses(800)
    table = confidence.calibration_table(one(probabilities, labels), "m")
    right = probabilities.argmax(axis=1) == labels
    accuracy, sure = calibration_curve(right, probabilities.max(axis=1), n_bins=10)
    np.testing.assert_allclose(table["accuracy"], accuracy)
    np.testing.assert_allclose(table["confidence"], sure)
    within = (table["low"] < table["confidence"]) & (table["confidence"] < table["high"])
    assert table["rows"].sum() == 800 and within.all()


def test_the_error_before_and_after_scaling():
    """Answers that were three times too sure, brought to a temperature of 3, are true again."""
    probabilities, labels = true_answers(3000, 1)
    raw = softmax(3 * np.log(probabilities), axis=1)
    answers = Predictions.of({"text": probabilities, "mean": raw}, labels)
    table = confidence.Confidence(answers, "text").scaling({"text": 3.0, "audio": 1.0})
    assert list(table.index) == ["text"] and table.loc["text", "temperature"] == 3
    assert table.loc["text", "error before"] == pytest.approx(measures_of(raw, labels)["ece"], abs=1e-6)
    assert table.loc["text", "error after"] < 0.03 < 0.1 < table.loc["text", "error before"]


def test_without_temperatures_the_table_is_empty():
    table = confidence.Confidence(one(np.eye(2), [0, 1]), "m").scaling({})
    assert table.empty and list(table) == ["temperature", "error before", "error after"]


def test_coverage_by_hand():
    table = confidence.coverage_table(of_confidence([0.7, 0.9, 0.6, 0.8], [0, 1, 1, 1]), "m")
    np.testing.assert_allclose(table["coverage"], [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(table["accuracy"], [1, 1, 2 / 3, 3 / 4])
    np.testing.assert_allclose(table["threshold"], [0.9, 0.8, 0.7, 0.6])


def test_coverage_ends_at_the_accuracy():
    probabilities, labels = guesses()
    table = confidence.coverage_table(one(probabilities, labels), "m")
    assert table["accuracy"].iloc[-1] == pytest.approx(accuracy_score(labels, probabilities.argmax(axis=1)))
    assert table["threshold"].is_monotonic_decreasing


@pytest.mark.parametrize(("share", "rows"), [(0.9, 18), (1.0, 20), (0.5, 10), (0.01, 1)])
def test_the_surest_rows(share, rows):
    sure = np.linspace(0.55, 0.99, 20)
    answers = one(np.column_stack([sure, 1 - sure]), np.repeat([1, 0], [4, 16]))  # the least sure are wrong
    judged = confidence.Confidence(answers, "m")
    line, right = judged.answered(share), min(rows, 16)
    assert line["coverage"] == rows / 20 and line["accuracy"] == pytest.approx(right / rows)
    expected = proportion_confint(right, rows, method="wilson")
    np.testing.assert_allclose(line[["low", "high"]].astype(float), expected, atol=1e-9)
    ends = [100 * right / rows, *(100 * end for end in expected)]
    facts = {"coverage": f"{5 * rows}", "share": "{:.1f} % [{:.1f}, {:.1f}]".format(*ends)}
    assert judged.coverage_verdict(share) == ("coverage", "note", facts)


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_share_that_is_none(share):
    with pytest.raises(ValueError, match="expected a share of rows above 0"):
        confidence.Confidence(one(np.eye(2), [0, 1]), "m").answered(share)


@pytest.mark.parametrize(("sure", "grade"), [(0.8, "note"), (0.88, "look"), (0.95, "serious")])
def test_the_calibration_error_is_graded(sure, grade):
    """Eight of ten rows are right, at one confidence: the error is what lies between."""
    answers = of_confidence([sure] * 10, [1] * 8 + [0] * 2) | {"other": np.tile([0.3, 0.7], (10, 1))}
    key, given, facts = confidence.Confidence(answers, "m").verdict()
    line = scores.score_table(answers).loc["m", ["ece", "ece_low", "ece_high"]]
    assert line["ece"] == pytest.approx(sure - 0.8)
    assert (key, given, facts) == ("calibration", grade, {"error": scores.number_text(*line)})
