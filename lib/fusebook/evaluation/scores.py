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
_IMAGINED = 1.5  # groups that are added to those tested, half of them wrong
_RANGES = {"kappa": (-1, 1), "mcc": (-1, 1), "log_loss": (0, np.inf), "brier": (0, 2)}  # of others from 0 to 1
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
        n-grams in each group, with rows and accuracy (as text, with its interval); no line without n-grams.
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
        return table.rename(columns={"size": "rows"})[["rows", "accuracy"]]

    def verdict(self, model: str, beside: "Scores | None" = None) -> tuple[str, str, dict]:
        """Key, grade and facts of the accuracy of ``model``; serious where its interval reaches down to ``majority``.

        ``beside`` are scores of more rows, which were graded: then it is worth a look where these rows show less, its
        interval lying below theirs, else a note.
        """
        grade = "note" if is_better_than_majority(self.predictions, model) else "serious"
        if beside is not None:
            less = self.table.loc[model, "accuracy_high"] < beside.table.loc[model, "accuracy_low"]
            grade = "look" if less else "note"
        on = self.predictions.scored_on
        facts = {"model": model, "share": self.text(model), "rows": self.predictions.n_rows, "on": on}
        return "accuracy", grade, facts | {"base": f"{100 * self.majority:.1f}"}


def score_table(predictions: Predictions, *, n_resamples: int = 1000, random_state: int = 42) -> pd.DataFrame:
    """All ``measures.MEASURES`` of each model with their 95 % intervals: one line a model, in the order given.

    Returns each measure under its name, its interval under <name>_low and <name>_high, and n_rows. Rows that have groups
    (copies of one text, one speaker) count as whole groups throughout. Shares of rows (accuracy, top-2, top-3) have a
    score interval, see ``intervals.share_intervals``. The other measures have those of a Bayesian bootstrap (Rubin,
    1981) to whose rows one and a half groups of ``measures.imagined_rows`` are added, half of them wrong, as a Dirichlet
    process has it (Muliere and Secchi, 1996): so the intervals hold too where no row is wrong. They are wider where
    groups are few, see ``intervals.stretched_interval``. Macro-F1 is also unsure of each class of few rows, see
    ``measures.macro_f1_draws``. For the calibration error see ``_error_interval``. Other measures than shares of one
    group alone have no interval (NaN).

    Raises ValueError for what are no probabilities of these rows, see ``calibration.check_probabilities``.
    """
    labels, groups, made, start = predictions.labels, predictions.groups, {}, 0
    for name, values in predictions.items():
        check_probabilities(values, labels, name)
    columns = [measures.row_columns(values, labels) for values in predictions.values()]
    if columns:
        options = {"n_resamples": n_resamples, "random_state": random_state}
        sums = intervals.resampled_sums(sparse.hstack(columns), groups, **options)
    for (name, values), by_row in zip(predictions.items(), columns, strict=True):
        drawn = sums[:, start : start + by_row.shape[1]].astype(float)
        made[name] = _with_intervals(values, labels, groups, drawn, np.random.default_rng(random_state))
        start += by_row.shape[1]
    return pd.DataFrame(made, index=COLUMNS, dtype=float).T.rename_axis("model")


def _with_intervals(probabilities, labels, groups, sums: np.ndarray, random: np.random.Generator) -> dict:
    """One line of ``score_table``; ``sums`` are the column sums of the draws, without imagined rows."""
    n_classes, found = probabilities.shape[1], measures.measures_of(probabilities, labels)
    shares = [
        np.bincount(numbers, minlength=n_classes) / len(labels) for numbers in (labels, probabilities.argmax(axis=1))
    ]
    n_groups = intervals.group_numbers(groups, len(labels)).max() + 1
    size = len(labels) / n_groups  # rows of a group
    columns = measures.row_columns(*measures.imagined_rows(probabilities, labels, random))
    weights = size * random.gamma(_IMAGINED / columns.shape[0], size=(len(sums), columns.shape[0]))
    whole = sums + weights @ columns
    draws = measures.measures_of_sums(whole, n_classes)
    draws["macro_f1"] = measures.macro_f1_draws(whole, n_classes, size, random)
    ends = {name: intervals.stretched_interval(found[name], draws[name], n_groups) for name in MEASURES}
    for name in ("log_loss", "brier"):  # imagined mistakes may raise the high end only
        plain = intervals.stretched_interval(found[name], measures.measures_of_sums(sums, n_classes)[name], n_groups)
        ends[name] = min(plain[0], ends[name][0]), ends[name][1]
    ranks = measures.ranks(probabilities, labels)
    for most, name in enumerate(measures.SHARES, 1):
        ends[name] = intervals.share_interval(ranks < most, groups)
    # An agreement is an accuracy over the room that chance leaves, and no surer than that.
    room = 1 - float(shares[0] @ shares[1])
    for name in ("kappa", "mcc") if room > 0 else ():
        less, more = (abs(end - found["accuracy"]) / room for end in ends["accuracy"])
        ends[name] = min(ends[name][0], found[name] - less), max(ends[name][1], found[name] + more)
    ends["ece"] = _error_interval(probabilities.max(axis=1), groups, found["ece"], sums, ends["ece"], n_groups)
    made = {}
    for name in MEASURES:
        low, high = ends[name]
        if n_groups == 1 and name not in measures.SHARES:
            low = high = np.nan
        least, most = _RANGES.get(name, (0, 1))
        made |= {name: found[name], f"{name}_low": max(low, least), f"{name}_high": min(high, most)}
    return made | {"n_rows": len(labels)}


def _error_interval(confidence, groups, error: float, sums: np.ndarray, ends, n_groups: int) -> tuple[float, float]:
    """The interval of the calibration error, from draws without imagined rows and ``ends``, those of draws with them.

    Draws lie above the rows' own error: turned round, this bias cancels out (basic bootstrap). The low end is no higher
    than what lies above the limit of chance, so it is 0 where a perfectly calibrated model could show such an error.
    """
    drawn = np.abs(sums[:, -measures.N_BINS :]).sum(axis=1) / len(confidence)
    low, high = intervals.stretched_interval(error, 2 * error - drawn, n_groups)
    return min(low, error - measures.chance_error(confidence, groups)[1]), max(high, ends[1])


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


def is_better_than_majority(predictions: Predictions, model: str) -> bool:
    """Does the interval of the model's accuracy lie above ``majority_share``? If not, nothing was shown to be learnt."""
    low, _ = intervals.share_interval(predictions.right(model), predictions.groups)
    return low > majority_share(predictions)


def class_table(predictions: Predictions, model: str) -> pd.DataFrame:
    """Precision, recall, F1 with its 95 % interval, rows and predicted rows of each class; 0 where undefined.

    Indexed by label name. Where J is the share of right rows among those of the class or predicted as it, F1 is
    2 J / (1 + J), and so are the ends of its interval: see ``intervals.share_intervals``. From 0 to 1 without any row.
    """
    labels, n_classes = predictions.labels, len(predictions.label_names)
    columns = measures.row_columns(predictions[model], labels)[:, : 3 * n_classes]
    right, support, predicted = measures.class_sums(columns.sum(axis=0), n_classes)
    hits, true, answered = (columns[:, i * n_classes : (i + 1) * n_classes] for i in range(3))
    low, high = (
        2 * end / (1 + end) for end in intervals.share_intervals(hits, true + answered - hits, predictions.groups)
    )
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
