"""Does the confidence keep its word? Confidence against accuracy, and accuracy of the surest rows.

Notebook 04_error_analysis tells the story.
"""

import numpy as np
import pandas as pd

from fusebook.calibration import calibrate
from fusebook.intervals import wilson_interval
from fusebook.measures import N_BINS, confidence_bins


def calibration_table(probabilities: np.ndarray, labels: np.ndarray, n_bins: int = N_BINS) -> pd.DataFrame:
    """Confidence against accuracy in equal bins of confidence: rows, confidence, accuracy, low, high (of the bin).

    Bins without rows are left out.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = confidence_bins(confidence, n_bins)
    table = pd.DataFrame({"bin": bins, "confidence": confidence, "accuracy": right.astype(float)})
    made = table.groupby("bin").agg(
        rows=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    return made.assign(low=made.index / n_bins, high=(made.index + 1) / n_bins).reset_index(drop=True)


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, n_bins: int = N_BINS) -> float:
    """The mean gap between confidence and accuracy, weighted by rows (Naeini and others, 2015), from 0 to 1."""
    table = calibration_table(probabilities, labels, n_bins)
    return float(
        ((table["confidence"] - table["accuracy"]).abs() * table["rows"]).sum() / table["rows"].sum()
    )


def before_scaling(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """What a network gave before its probabilities were brought to ``temperature``; rows sum to 1."""
    return calibrate(probabilities, 1 / temperature)


def scaling_table(
    probabilities: dict[str, np.ndarray], labels: np.ndarray, temperatures: dict[str, float]
) -> pd.DataFrame:
    """The expected calibration error of each network before and after temperature scaling, indexed by model."""
    lines = {
        name: {
            "temperature": temperature,
            "error before": expected_calibration_error(
                before_scaling(probabilities[name], temperature), labels
            ),
            "error after": expected_calibration_error(probabilities[name], labels),
        }
        for name, temperature in temperatures.items()
        if name in probabilities
    }
    columns = ["temperature", "error before", "error after"]
    return pd.DataFrame.from_dict(lines, orient="index", columns=columns).rename_axis("model")


def coverage_table(probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Accuracy when only the surest rows are answered: coverage (share of rows), accuracy, threshold, low, high.

    ``low`` and ``high`` are the 95 % score interval of the accuracy (Wilson, 1927).
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[order]
    count = np.arange(1, len(labels) + 1)
    accuracy = right.cumsum() / count
    low, high = wilson_interval(accuracy, count)
    return pd.DataFrame(
        {
            "coverage": count / len(labels), "accuracy": accuracy, "threshold": confidence[order],
            "low": low, "high": high,
        }
    )  # fmt: skip


def answered(coverage: pd.DataFrame, share: float = 0.9) -> pd.Series:
    """The line of a ``coverage_table`` at which ``share`` of the rows are answered, at least one row."""
    if not 0 < share <= 1:
        raise ValueError(f"The share is {share}; expected a share of rows above 0 and up to 1, such as 0.9.")
    return coverage.iloc[max(round(share * len(coverage)) - 1, 0)]
