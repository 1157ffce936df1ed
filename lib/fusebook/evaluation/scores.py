"""How good are the answers? Scores with intervals, tables by class, length and confidence: all from ``Predictions``.

Notebooks 03_train and 04_error_analysis tell the story.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import sparse

from fusebook.data.dataset import Dataset
from fusebook.data.predictions import Predictions
from fusebook.evaluation import intervals, measures
from fusebook.evaluation.measures import MEASURES
from fusebook.models.calibration import check_probabilities

COLUMNS = [*(f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")), "n_rows"]
_NUMBERS = {"log_loss", "brier", "ece", "kappa", "mcc"}  # measures that are no share


class Scores:
    """The scores of all models on the same rows.

    Attributes
    ----------
    table : ``score_table`` of ``predictions``
    """

    def __init__(self, predictions: Predictions):
        self.predictions, self.table = predictions, score_table(predictions)

    @property
    def majority(self) -> float:
        """The accuracy of always giving the most frequent answer, see ``majority_share``."""
        return majority_share(self.predictions)

    def best(self, names: Iterable[str]) -> str:
        """The one of ``names`` with the lowest log loss; "" where there is none of them."""
        losses = self.table.loc[[name for name in names if name in self.table.index], "log_loss"]
        return str(losses.idxmin()) if len(losses) else ""

    def readable(self, names: Iterable[str] | None = None, measures: Iterable[str] | None = None) -> pd.DataFrame:
        """``measures`` (all of them by default) of the models ``names`` with their intervals as text."""
        lines = self.table if names is None else self.table.loc[list(names)]
        return readable(lines, MEASURES if measures is None else measures)

    def text(self, model: str, measure: str = "accuracy") -> str:
        """One share with its interval, as people read it: ``81.5 % [76.0, 86.5]``."""
        return interval_text(*self.table.loc[model, [measure, f"{measure}_low", f"{measure}_high"]])

    def costs(self, costs: dict) -> pd.DataFrame:
        """Three measures, and the ``baselines.Cost`` of those models that ``costs`` knows; a dash for others.

        Speed has two digits, as one measurement is worth no more.
        """
        known = [costs.get(name) for name in self.table.index]
        made = readable(self.table)
        made["seconds to fit"] = [f"{cost.seconds:.2f}" if cost else "–" for cost in known]
        made["rows a second"] = [_speed_text(cost.rows_a_second) if cost else "–" for cost in known]
        made["kB on disk"] = [f"{cost.n_bytes / 1000:,.1f}" if cost else "–" for cost in known]
        return made

    def by_length(self, model: str, data: Dataset) -> pd.DataFrame:
        """How often ``model`` is right about long texts and short ones: its rows in four groups by number of n-grams.

        ``data`` has the rows that were predicted, and may have more. Returns a DataFrame indexed by the least number of
        n-grams in each group, with test rows and accuracy (as text, with its interval); no line without n-grams.
        """
        right, group = pd.Series(self.predictions.right(model), dtype=float), np.zeros(self.predictions.n_rows)
        if data.features.ngrams is None:
            right, group = right[:0], group[:0]
        else:
            places = pd.Index(data.rows["row"]).get_indexer(self.predictions.rows["row"])
            counts = np.diff(data.features.ngrams.indptr)[places]
            least = np.unique(np.quantile(counts, [0, 0.25, 0.5, 0.75]).astype(int))
            group = least[np.searchsorted(least, counts, side="right") - 1]
        table = right.groupby(group).agg(["sum", "size"]).rename_axis("n-grams, at least")
        table["accuracy"] = [count_text(*line) for line in table.to_numpy()]
        return table.rename(columns={"size": "test rows"})[["test rows", "accuracy"]]

    def verdict(self, model: str) -> tuple[str, str, dict]:
        """Key, grade and facts of the accuracy of ``model``; serious where its interval reaches down to ``majority``."""
        grade = "note" if self.table.loc[model, "accuracy_low"] > self.majority else "serious"
        facts = {"model": model, "share": self.text(model), "rows": self.predictions.n_rows}
        return "accuracy", grade, facts | {"base": f"{100 * self.majority:.1f}"}


def score_table(predictions: Predictions, **options) -> pd.DataFrame:
    """All ``measures.MEASURES`` of each model with their 95 % intervals: one line a model, in the order given.

    Returns each measure under its name, its interval under <name>_low and <name>_high, and n_rows. Shares of rows
    (accuracy, top-2, top-3) have a score interval (Wilson, 1927), which holds near 100 % too. The other measures have
    percentile bootstrap intervals (Efron, 1979): rows are drawn within each label, or whole groups where the rows have
    groups (copies of one text, one speaker); then the shares count the rows that the groups are worth. The calibration
    error's interval begins at 0 where a perfectly calibrated model could show that error by chance. Where no row is
    wrong no resample can be, so F1, kappa and mcc take the low end of the accuracy.

    ``options`` are those of ``intervals.draw_weights``. Raises ValueError for what are no probabilities of these rows,
    see ``calibration.check_probabilities``.
    """
    labels, groups, made, start = predictions.labels, predictions.groups, {}, 0
    for name, values in predictions.items():
        check_probabilities(values, labels, name)
    columns = [measures.row_columns(values, labels) for values in predictions.values()]
    if columns:
        sums = intervals.resampled_sums(sparse.hstack(columns), labels, groups, **options)
    for (name, values), by_row in zip(predictions.items(), columns, strict=True):
        draws = measures.measures_of_sums(sums[:, start : start + by_row.shape[1]], values.shape[1])
        made[name] = _with_intervals(measures.measures_of(values, labels), draws, values, labels, groups)
        start += by_row.shape[1]
    return pd.DataFrame(made, index=COLUMNS, dtype=float).T.rename_axis("model")


def _with_intervals(found: dict, draws: dict, probabilities: np.ndarray, labels: np.ndarray, groups) -> dict:
    places = measures.ranks(probabilities, labels)
    ends = {name: intervals.percentile_interval(draws[name]) for name in MEASURES}
    low, high = ends["ece"]
    # Resamples lie above the rows' own error: turned round, this bias cancels out (basic bootstrap).
    low, high = max(min(2 * found["ece"] - high, found["ece"]), 0), max(2 * found["ece"] - low, found["ece"])
    if found["ece"] <= measures.chance_error(probabilities.max(axis=1)):
        low = 0.0
    ends["ece"] = low, high
    if len(labels) == 1:
        ends = dict.fromkeys(MEASURES, (np.nan, np.nan))
    for most, name in enumerate(measures.SHARES, 1):
        ends[name] = intervals.share_interval(places < most, groups, draws[name])
    if found["accuracy"] == 1:
        for name in ("macro_f1", "weighted_f1", "kappa", "mcc"):
            ends[name] = ends["accuracy"]
    made = {}
    for name in MEASURES:
        low, high = ends[name]
        made |= {name: found[name], f"{name}_low": float(low), f"{name}_high": float(high)}
    return made | {"n_rows": len(labels)}


def readable(scores: pd.DataFrame, measures=("accuracy", "macro_f1", "log_loss")) -> pd.DataFrame:
    """A ``score_table`` for people: ``measures`` with their intervals as text; log loss alone with three digits."""
    made = {}
    for name in measures:
        values = scores[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
        made[name] = [(number_text if name in _NUMBERS else interval_text)(*line) for line in values]
    if tuple(measures) == ("accuracy", "macro_f1", "log_loss"):
        made["log_loss"] = scores["log_loss"].astype(float).round(3)
    return pd.DataFrame(made, index=scores.index)


def _speed_text(speed: float) -> str:
    return "–" if np.isnan(speed) else f"{float(f'{speed:.2g}'):,.0f}"


def majority_share(predictions: Predictions) -> float:
    """The accuracy of always giving the most frequent answer: of the model "majority", else the largest label."""
    if "majority" in predictions:
        return float(predictions.right("majority").mean())
    return float(np.bincount(predictions.labels).max() / predictions.n_rows)


def class_table(predictions: Predictions, model: str) -> pd.DataFrame:
    """Precision, recall, F1, its 95 % bootstrap interval, rows and predicted rows of each class; 0 where undefined.

    Indexed by label name. The interval is NaN where the class has fewer than two rows to draw from.
    """
    labels, n_classes = predictions.labels, len(predictions.label_names)
    columns = measures.row_columns(predictions[model], labels)[:, : 3 * n_classes]
    right, support, predicted = measures.class_sums(columns.sum(axis=0), n_classes)
    draws = measures.f1_of_classes(
        *measures.class_sums(intervals.resampled_sums(columns, labels, predictions.groups), n_classes)
    )
    low, high = np.where(support > 1, intervals.percentile_interval(draws), np.nan)
    return pd.DataFrame(
        {
            "precision": right / np.maximum(predicted, 1),
            "recall": right / np.maximum(support, 1),
            "f1": measures.f1_of_classes(right, support, predicted),
            "f1_low": low, "f1_high": high, "rows": support.astype(int), "predicted": predicted.astype(int),
        },
        index=pd.Index(predictions.label_names, name="label"),
    )  # fmt: skip


def interval_text(value: float, low: float, high: float) -> str:
    """A share as people read it: ``81.5 % [76.0, 86.5]``; ``[–]`` where there is no interval."""
    return f"{100 * value:.1f} % " + ("[–]" if np.isnan(low) else f"[{100 * low:.1f}, {100 * high:.1f}]")


def count_text(count: int, n_rows: int) -> str:
    """``count`` of ``n_rows`` as a share with its score interval (Wilson, 1927); a dash where there are no rows."""
    return interval_text(count / n_rows, *intervals.wilson_interval(count / n_rows, n_rows)) if n_rows else "–"


def number_text(value: float, low: float, high: float) -> str:
    """A number that is no share, with its interval: ``0.412 [0.350, 0.480]``; a dash where it is undefined."""
    interval = "[–]" if np.isnan(low) else f"[{low:.3f}, {high:.3f}]"
    return "–" if np.isnan(value) else f"{value:.3f} {interval}"
