"""Calibration against scikit-learn and hand cases."""

import numpy as np
import pytest
from guesses import guesses, true_answers
from scipy.special import softmax
from sklearn.calibration import calibration_curve

from fusebook.data.predictions import Predictions
from fusebook.evaluation import confidence, scores
from fusebook.evaluation.measures import chance_error, measures_of


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
    limit = chance_error(probabilities.max(axis=1))[1]
    assert table.loc["text", "chance after"] == pytest.approx(limit, abs=1e-3)
    assert table.loc["text", "error after"] < 0.03 < 0.1 < table.loc["text", "error before"]


def test_without_temperatures_the_table_is_empty():
    table = confidence.Confidence(one(np.eye(2), [0, 1]), "m").scaling({})
    assert table.empty and list(table) == [
        "temperature", "error before", "chance before", "error after", "chance after"
    ]  # fmt: skip


@pytest.mark.parametrize(("sure", "grade"), [(0.8, "note"), (0.88, "look"), (0.95, "serious")])
def test_the_calibration_error_is_graded_by_what_lies_above_chance(sure, grade):
    """Eight of ten rows are right, at one confidence: the error is what lies between."""
    answers = of_confidence([sure] * 1000, [1] * 800 + [0] * 200) | {"other": np.tile([0.3, 0.7], (1000, 1))}
    key, given, facts = confidence.Confidence(answers, "m").verdict()
    line = scores.score_table(answers).loc["m", ["ece", "ece_low", "ece_high"]]
    assert line["ece"] == pytest.approx(sure - 0.8)
    mean, limit = (f"{value:.3f}" for value in chance_error(answers["m"].max(axis=1)))
    expected = {"error": scores.number_text(*line), "chance": mean, "limit": limit, "rows": 1000, "on": "test rows"}
    assert (key, given, facts) == ("calibration" if sure > 0.8 else "calibrated", grade, expected)


@pytest.mark.parametrize(("n_rows", "copies"), [(30, 1), (200, 4)])
def test_of_a_calibrated_model_no_error_is_shown(n_rows, copies):
    """In 30 test sets; a rate of 5 % makes more than 6 a chance of 0.1 %."""
    texts, found = np.repeat(np.arange(n_rows // copies), copies), 0
    for seed in range(30):
        probabilities, labels = true_answers(n_rows // copies, seed)
        answers = one(probabilities[texts], labels[texts], texts)
        mean, limit = chance_error(answers["m"].max(axis=1), texts)
        assert mean < limit
        found += measures_of(answers["m"], answers.labels)["ece"] > limit
    assert found <= 6


def test_ten_rows_show_no_error():
    answers = of_confidence([0.88] * 10, [1] * 8 + [0] * 2)
    assert confidence.Confidence(answers, "m").verdict()[:2] == ("calibrated", "note")
