"""Does the confidence keep its word? Confidence against accuracy; what may be promised of it is in ``guarantees``.

Notebook 04_error_analysis tells the story.
"""

import pandas as pd

from fusebook.data.predictions import Predictions
from fusebook.evaluation import intervals, measures
from fusebook.evaluation.scores import number_text, score_table
from fusebook.findings import graded
from fusebook.models.calibration import calibrate


class Confidence:
    """How far the confidence of one model may be trusted.

    Attributes
    ----------
    table : ``calibration_table``
    """

    def __init__(self, predictions: Predictions, model: str):
        self.predictions, self.model = predictions, model
        self.table = calibration_table(predictions, model)

    def scaling(self, temperatures: dict[str, float]) -> pd.DataFrame:
        """The expected calibration error of each network before and after temperature scaling, indexed by model.

        Beside each stands the limit that a perfectly calibrated model stays below, see ``measures.chance_error``.
        """
        labels, groups, lines = self.predictions.labels, self.predictions.groups, {}
        for name, values in self.predictions.only(temperatures).items():
            line = [temperatures[name]]
            for answers in (calibrate(values, 1 / temperatures[name]), values):
                limit = measures.chance_error(answers.max(axis=1), groups)[1]
                line += [measures.measures_of(answers, labels)["ece"], limit]
            lines[name] = line
        columns = ["temperature", "error before", "chance before", "error after", "chance after"]
        return pd.DataFrame.from_dict(lines, orient="index", columns=columns).rename_axis("model")

    def verdict(self) -> tuple[str, str, dict]:
        """Key, grade and facts of the expected calibration error, against what chance alone would show.

        Graded is by how much it lies above the mean of a perfectly calibrated model on such rows, where it is above
        the limit of that too, see ``measures.chance_error``; else it is for the record.
        """
        values = score_table(self.predictions.only([self.model])).loc[self.model, ["ece", "ece_low", "ece_high"]]
        mean, limit = measures.chance_error(self.predictions[self.model].max(axis=1), self.predictions.groups)
        facts = {"error": number_text(*values), "chance": f"{mean:.3f}", "limit": f"{limit:.3f}"}
        facts |= {"rows": self.predictions.n_rows, "on": self.predictions.scored_on}
        if values["ece"] <= limit:
            return "calibrated", "note", facts
        return "calibration", graded(values["ece"] - mean, 0.05, 0.1), facts


def calibration_table(predictions: Predictions, model: str) -> pd.DataFrame:
    """Confidence against accuracy in ten equal bins of confidence: rows, confidence, accuracy, low, high (of the bin).

    ``accuracy_low`` and ``accuracy_high`` are its 95 % interval, see ``intervals.share_intervals``. Bins without rows are
    left out.
    """
    confidence = predictions[model].max(axis=1)
    table = pd.DataFrame({"confidence": confidence, "accuracy": predictions.right(model).astype(float)})
    found = table.groupby(measures.confidence_bins(confidence))
    made = found.mean().assign(rows=found.size())[["rows", "confidence", "accuracy"]]
    made = made.assign(low=made.index / measures.N_BINS, high=(made.index + 1) / measures.N_BINS)
    counted = measures.confidence_bins(confidence)[:, None] == made.index.to_numpy()
    right = counted * predictions.right(model)[:, None]
    low, high = intervals.share_intervals(right, counted, predictions.groups)
    return made.assign(accuracy_low=low, accuracy_high=high).reset_index(drop=True)
