"""Scores with intervals, baselines, tables by class: all from probabilities, never from models.

Notebooks 03_train and 04_error_analysis tell the story.
"""

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import softmax

from fusebook.calibration import calibrate, fit_temperature

# Notebooks reach the comparison of models and the calibration tables through this module too.
from fusebook.comparison import compare, compare_pairs, comparison_text  # noqa: F401
from fusebook.intervals import percentile_interval, resampled_sums, share_interval, wilson_interval
from fusebook.measures import (
    MEASURES,
    SHARES,
    chance_error,
    class_sums,
    f1_of_classes,
    measures_of_sums,
    ranks,
    row_columns,
)
from fusebook.reliability import (  # noqa: F401
    calibration_table,
    coverage_table,
    expected_calibration_error,
)


def check_probabilities(probabilities: np.ndarray, labels: np.ndarray, name: str = "model") -> None:
    """Raise ValueError where ``probabilities`` are not of shape (n_rows, n_classes), from 0 to 1, with rows summing to 1.

    ``labels`` are class numbers of shape (n_rows,), from 0 to n_classes - 1.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or len(probabilities) != len(labels) or not len(labels):
        raise ValueError(
            f"{name}: probabilities have shape {probabilities.shape} for {len(labels)} labels; "
            "expected (n_rows, n_classes) with one row a label and at least one row."
        )
    # NaN is not >= 0 either.
    if not (probabilities >= 0).all() or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-4):
        raise ValueError(
            f"{name}: expected finite probabilities from 0 to 1 whose rows sum to 1; pass them through a softmax first."
        )
    if np.min(labels) < 0 or np.max(labels) >= probabilities.shape[1]:
        raise ValueError(
            f"{name}: labels run from {np.min(labels)} to {np.max(labels)}; "
            f"expected class numbers from 0 to {probabilities.shape[1] - 1}, one a column of the probabilities."
        )


def score(probabilities: np.ndarray, labels: np.ndarray, **options) -> dict:
    """All ``measures.MEASURES`` of one model with their 95 % intervals, and n_rows; see ``score_table``.

    Returns each measure under its name, its interval under <name>_low and <name>_high.
    """
    return _scores({"model": probabilities}, labels, **options)["model"]


def score_table(probabilities: dict[str, np.ndarray], labels: np.ndarray, groups=None) -> pd.DataFrame:
    """One line of ``score`` a model, indexed by model name, in the order given.

    Shares of rows (accuracy, top-2, top-3) have a score interval (Wilson, 1927), which holds near 100 % too. The other
    measures have percentile bootstrap intervals (Efron, 1979): rows are drawn within each label, or whole groups where
    ``groups`` (one a row: copies of one text, one speaker) are given; then the shares count the rows that the groups
    are worth. The calibration error's interval begins at 0 where a perfectly calibrated model could show that
    error by chance. Where no row is wrong no resample can be, so F1, kappa and mcc take the low end of the accuracy.
    """
    return pd.DataFrame(_scores(probabilities, labels, groups=groups)).T.rename_axis("model")


def _scores(probabilities: dict, labels: np.ndarray, *, groups=None, **options) -> dict[str, dict]:
    for name, values in probabilities.items():
        check_probabilities(values, labels, name)
    if not probabilities:
        return {}
    columns = [row_columns(values, labels) for values in probabilities.values()]
    sums = resampled_sums(sparse.hstack(columns), labels, groups, **options)
    made, start = {}, 0
    for (name, values), own in zip(probabilities.items(), columns, strict=True):
        draws = measures_of_sums(sums[:, start : start + own.shape[1]], values.shape[1])
        found = measures_of_sums(own.sum(axis=0), values.shape[1])
        made[name] = _with_intervals(found, draws, values, labels, groups)
        start += own.shape[1]
    return made


def _with_intervals(found: dict, draws: dict, probabilities: np.ndarray, labels: np.ndarray, groups) -> dict:
    places = ranks(probabilities, labels)
    intervals = {name: percentile_interval(draws[name]) for name in MEASURES}
    low, high = intervals["ece"]
    # Resamples lie above the rows' own error: turned round, this bias cancels out (basic bootstrap).
    low, high = max(min(2 * found["ece"] - high, found["ece"]), 0), max(2 * found["ece"] - low, found["ece"])
    if found["ece"] <= chance_error(probabilities.max(axis=1)):
        low = 0.0
    intervals["ece"] = low, high
    if len(labels) == 1:
        intervals = dict.fromkeys(MEASURES, (np.nan, np.nan))
    for most, name in enumerate(SHARES, 1):
        intervals[name] = share_interval(places < most, groups, draws[name])
    if found["accuracy"] == 1:
        for name in ("macro_f1", "weighted_f1", "kappa", "mcc"):
            intervals[name] = intervals["accuracy"]
    made = {}
    for name in MEASURES:
        low, high = intervals[name]
        made |= {name: float(found[name]), f"{name}_low": float(low), f"{name}_high": float(high)}
    return made | {"n_rows": len(labels)}


def readable(scores: pd.DataFrame, measures=("accuracy", "macro_f1", "log_loss")) -> pd.DataFrame:
    """A ``score_table`` for people: each of ``measures`` with its interval as text; log loss alone with three digits."""
    made = {}
    for name in measures:
        values = scores[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
        text = number_text if name in {"log_loss", "brier", "ece", "kappa", "mcc"} else interval_text
        made[name] = [text(*line) for line in values]
    if tuple(measures) == ("accuracy", "macro_f1", "log_loss"):
        made["log_loss"] = scores["log_loss"].astype(float).round(3)
    return pd.DataFrame(made, index=scores.index)


def majority_probabilities(training_labels: np.ndarray, n_rows: int, n_classes: int) -> np.ndarray:
    """The baseline that answers the class shares of the training rows to every row, shape (n_rows, n_classes)."""
    shares = np.bincount(training_labels, minlength=n_classes) / len(training_labels)
    return np.tile(shares, (n_rows, 1))


def margins_to_probabilities(
    margins: np.ndarray, validation_margins: np.ndarray, validation_labels
) -> np.ndarray:
    """Turn a linear model's margins into probabilities, the scale fitted on validation rows (Platt, 1999).

    ``margins`` of shape (n_rows, n_classes), or (n_rows,) for two classes. Returns shape (n_rows, n_classes).
    Raises ValueError where a label has no column, as that of a class without training rows.
    """
    both = [np.column_stack([-m, m]) if m.ndim == 1 else m for m in (margins, validation_margins)]
    check_probabilities(softmax(both[1], axis=1), validation_labels, "margins")
    temperature = fit_temperature(softmax(both[1], axis=1), validation_labels)
    return calibrate(softmax(both[0], axis=1), temperature)


def class_table(
    probabilities: np.ndarray, labels: np.ndarray, label_names: list[str], groups=None
) -> pd.DataFrame:
    """Precision, recall, F1, its 95 % bootstrap interval, rows and predicted rows of each class; 0 where undefined.

    Indexed by label name. The interval is NaN where the class has fewer than two rows to draw from.
    """
    n_classes = len(label_names)
    columns = row_columns(probabilities, labels)[:, : 3 * n_classes]
    right, support, predicted = class_sums(columns.sum(axis=0), n_classes)
    draws = f1_of_classes(*class_sums(resampled_sums(columns, labels, groups), n_classes))
    low, high = np.where(support > 1, percentile_interval(draws), np.nan)
    return pd.DataFrame(
        {
            "precision": right / np.maximum(predicted, 1),
            "recall": right / np.maximum(support, 1),
            "f1": f1_of_classes(right, support, predicted),
            "f1_low": low, "f1_high": high, "rows": support.astype(int), "predicted": predicted.astype(int),
        },
        index=pd.Index(label_names, name="label"),
    )  # fmt: skip


def known_model(name: str, probabilities: dict[str, np.ndarray]) -> str:
    """``name`` itself where a model of that name predicted; else ValueError, naming those that did."""
    if name not in probabilities:
        raise ValueError(
            f"No model {name!r} among the predictions; expected one of {', '.join(probabilities)}."
        )
    return name


def interval_text(value: float, low: float, high: float) -> str:
    """A share as people read it: ``81.5 % [76.0, 86.5]``; ``[–]`` where there is no interval."""
    return f"{100 * value:.1f} % " + ("[–]" if np.isnan(low) else f"[{100 * low:.1f}, {100 * high:.1f}]")


def count_text(count: int, n_rows: int) -> str:
    """``count`` of ``n_rows`` as a share with its score interval (Wilson, 1927); a dash where there are no rows."""
    return interval_text(count / n_rows, *wilson_interval(count / n_rows, n_rows)) if n_rows else "–"


def number_text(value: float, low: float, high: float) -> str:
    """A number that is no share, with its interval: ``0.412 [0.350, 0.480]``; a dash where it is undefined."""
    interval = "[–]" if np.isnan(low) else f"[{low:.3f}, {high:.3f}]"
    return "–" if np.isnan(value) else f"{value:.3f} {interval}"


def prediction_table(probabilities: dict[str, np.ndarray], rows: pd.DataFrame) -> pd.DataFrame:
    """All models' probabilities as one long table: the columns of ``rows`` (row, split, label), model, p0, p1, …

    Column ``p<i>`` belongs to the i-th of ``label_names``.
    """
    parts = []
    for name, values in probabilities.items():
        made = pd.DataFrame(values, columns=[f"p{i}" for i in range(values.shape[1])])
        parts.append(pd.concat([rows.reset_index(drop=True).assign(model=name), made], axis=1))
    return pd.concat(parts, ignore_index=True)


def split_predictions(table: pd.DataFrame, split: str) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """One split's rows and each model's probabilities of shape (n_rows, n_classes), from a ``prediction_table``.

    Raises ValueError where the table has no row of ``split``.
    """
    if not (table["split"] == split).any():
        raise ValueError(
            f"No predictions for split {split!r}; the table has {list(table['split'].unique())}."
        )
    table = table[table["split"] == split]
    columns = [name for name in table if name.startswith("p") and name[1:].isdigit()]
    models = table["model"].unique()
    probabilities = {name: table.loc[table["model"] == name, columns].to_numpy() for name in models}
    first = table[table["model"] == models[0]]
    return first.drop(columns=[*columns, "model"]).reset_index(drop=True), probabilities
