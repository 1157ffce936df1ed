"""Scores with intervals, baselines, tables by class: all from probabilities, never from models.

Notebooks 03_train and 04_error_analysis tell the story.
"""
# FOLDED: Does the confidence keep its word? Confidence against accuracy, and accuracy of the surest rows.

import numpy as np
import pandas as pd
from scipy import sparse

from fusebook.evaluation.intervals import percentile_interval, resampled_sums, share_interval, wilson_interval
from fusebook.evaluation.measures import (
    MEASURES,
    N_BINS,
    SHARES,
    chance_error,
    class_sums,
    confidence_bins,
    f1_of_classes,
    measures_of_sums,
    ranks,
    row_columns,
)
from fusebook.models.baselines import Measured
from fusebook.models.network import calibrate, check_probabilities

# Notebooks reach the comparison of models and the calibration tables through this module too.


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


def class_table(probabilities: np.ndarray, labels: np.ndarray, label_names: list[str], groups=None) -> pd.DataFrame:
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
        raise ValueError(f"No model {name!r} among the predictions; expected one of {', '.join(probabilities)}.")
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
        raise ValueError(f"No predictions for split {split!r}; the table has {list(table['split'].unique())}.")
    table = table[table["split"] == split]
    columns = [name for name in table if name.startswith("p") and name[1:].isdigit()]
    models = table["model"].unique()
    probabilities = {name: table.loc[table["model"] == name, columns].to_numpy() for name in models}
    first = table[table["model"] == models[0]]
    return first.drop(columns=[*columns, "model"]).reset_index(drop=True), probabilities


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
    return float(((table["confidence"] - table["accuracy"]).abs() * table["rows"]).sum() / table["rows"].sum())


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
            "error before": expected_calibration_error(before_scaling(probabilities[name], temperature), labels),
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


def cost_table(scores: pd.DataFrame, models: dict[str, Measured]) -> pd.DataFrame:
    """An ``scores.score_table`` for people, with the costs of those models that ``models`` knows; a dash for others.

    Speed has two digits, as one measurement is worth no more.
    """
    known = [models.get(name) for name in scores.index]
    table = readable(scores)
    table["seconds to fit"] = [f"{model.seconds:.2f}" if model else "–" for model in known]
    table["rows a second"] = [_speed_text(model.rows_a_second) if model else "–" for model in known]
    table["kB on disk"] = [f"{model.n_bytes / 1000:,.1f}" if model else "–" for model in known]
    return table


def _speed_text(speed: float) -> str:
    return "–" if np.isnan(speed) else f"{float(f'{speed:.2g}'):,.0f}"
