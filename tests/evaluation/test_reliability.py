"""Calibration before and after scaling, and accuracy of the surest rows, by hand; see test_evaluate for the tables."""

import numpy as np
import pytest
from scipy.special import softmax
from statsmodels.stats.proportion import proportion_confint

from fusebook.evaluation import scores


def test_scaling_is_undone():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(50, 4))
    raw, scaled = softmax(logits, axis=1), softmax(logits / 2.5, axis=1)
    np.testing.assert_allclose(scores.before_scaling(scaled, 2.5), raw, atol=1e-6)


def test_the_error_before_and_after():
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=1.5, size=(3000, 3))
    labels = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((3000, 1))).argmax(axis=1)
    raw = softmax(3 * logits, axis=1)  # three times too sure
    table = scores.scaling_table({"text": softmax(logits, axis=1)}, labels, {"text": 3.0, "audio": 1.0})
    assert list(table.index) == ["text"] and table.loc["text", "temperature"] == 3
    assert table.loc["text", "error before"] == pytest.approx(scores.expected_calibration_error(raw, labels), abs=1e-6)
    assert table.loc["text", "error after"] < 0.03 < 0.1 < table.loc["text", "error before"]


def test_without_temperatures_the_table_is_empty():
    table = scores.scaling_table({"mean": np.eye(2)}, np.array([0, 1]), {})
    assert table.empty and list(table) == ["temperature", "error before", "error after"]


@pytest.mark.parametrize(("share", "rows"), [(0.9, 18), (1.0, 20), (0.5, 10), (0.01, 1)])
def test_the_surest_rows(share, rows):
    confidence = np.linspace(0.55, 0.99, 20)
    probabilities, labels = np.column_stack([confidence, 1 - confidence]), np.zeros(20, int)
    labels[:4] = 1  # the four least sure are wrong
    line = scores.answered(scores.coverage_table(probabilities, labels), share)
    right = min(rows, 16)
    assert line["coverage"] == rows / 20 and line["accuracy"] == pytest.approx(right / rows)
    expected = proportion_confint(right, rows, method="wilson")
    np.testing.assert_allclose(line[["low", "high"]].astype(float), expected, atol=1e-9)


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_share_that_is_none(share):
    coverage = scores.coverage_table(np.eye(2), np.array([0, 1]))
    with pytest.raises(ValueError, match="expected a share of rows above 0"):
        scores.answered(coverage, share)
