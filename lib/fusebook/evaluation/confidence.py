"""Does the confidence keep its word? Confidence against accuracy, and the accuracy where only the surest are answered.

Notebook 04_error_analysis tells the story.
"""

import numpy as np
import pandas as pd

from fusebook.data.predictions import Predictions
from fusebook.evaluation import intervals, measures
from fusebook.evaluation.scores import interval_text, number_text, score_table
from fusebook.findings import graded
from fusebook.models.calibration import calibrate


class Confidence:
    """How far the confidence of one model may be trusted.

    Attributes
    ----------
    table : ``calibration_table``
    coverage : ``coverage_table``
    """

    def __init__(self, predictions: Predictions, model: str):
        self.predictions, self.model = predictions, model
        self.table, self.coverage = calibration_table(predictions, model), coverage_table(predictions, model)

    def scaling(self, temperatures: dict[str, float]) -> pd.DataFrame:
        """The expected calibration error of each network before and after temperature scaling, indexed by model."""
        labels, lines = self.predictions.labels, {}
        for name, values in self.predictions.only(temperatures).items():
            raw = calibrate(values, 1 / temperatures[name])
            lines[name] = [
                temperatures[name],
                *(measures.measures_of(answers, labels)["ece"] for answers in (raw, values)),
            ]
        columns = ["temperature", "error before", "error after"]
        return pd.DataFrame.from_dict(lines, orient="index", columns=columns).rename_axis("model")

    def answered(self, share: float = 0.9) -> pd.Series:
        """The line of ``coverage`` at which ``share`` of the rows are answered, at least one row."""
        if not 0 < share <= 1:
            raise ValueError(f"The share is {share}; expected a share of rows above 0 and up to 1, such as 0.9.")
        return self.coverage.iloc[max(round(share * len(self.coverage)) - 1, 0)]

    def verdict(self) -> tuple[str, str, dict]:
        """Key, grade and facts of the expected calibration error."""
        values = score_table(self.predictions.only([self.model])).loc[self.model, ["ece", "ece_low", "ece_high"]]
        return "calibration", graded(values["ece"], 0.05, 0.1), {"error": number_text(*values)}

    def coverage_verdict(self, share: float = 0.9) -> tuple[str, str, dict]:
        """Key, grade and facts of the accuracy where ``share`` of the rows are answered."""
        line = self.answered(share)
        facts = {"coverage": f"{100 * line['coverage']:.0f}"}
        return "coverage", "note", facts | {"share": interval_text(*line[["accuracy", "low", "high"]])}


def calibration_table(predictions: Predictions, model: str) -> pd.DataFrame:
    """Confidence against accuracy in ten equal bins of confidence: rows, confidence, accuracy, low, high (of the bin).

    Bins without rows are left out.
    """
    confidence = predictions[model].max(axis=1)
    table = pd.DataFrame({"confidence": confidence, "accuracy": predictions.right(model).astype(float)})
    found = table.groupby(measures.confidence_bins(confidence))
    made = found.mean().assign(rows=found.size())[["rows", "confidence", "accuracy"]]
    return made.assign(low=made.index / measures.N_BINS, high=(made.index + 1) / measures.N_BINS).reset_index(drop=True)


def coverage_table(predictions: Predictions, model: str) -> pd.DataFrame:
    """Accuracy when only the surest rows are answered: coverage (share of rows), accuracy, threshold, low, high.

    ``low`` and ``high`` are the 95 % score interval of the accuracy (Wilson, 1927).
    """
    confidence = predictions[model].max(axis=1)
    order, count = np.argsort(-confidence, kind="stable"), np.arange(1, len(confidence) + 1)
    accuracy = predictions.right(model)[order].cumsum() / count
    low, high = intervals.wilson_interval(accuracy, count)
    made = {"coverage": count / len(confidence), "accuracy": accuracy, "threshold": confidence[order]}
    return pd.DataFrame(made | {"low": low, "high": high})
