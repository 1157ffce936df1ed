"""Scores with intervals, baselines, paired tests, calibration: all from probabilities, never from models.

Notebooks 03_train and 04_error_analysis tell the story.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import softmax
from scipy.stats import norm
from sklearn.metrics import confusion_matrix
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from fusebook.calibration import calibrate, fit_temperature


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


def _confusion_scores(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and macro-F1 of confusion matrices of shape (…, n_classes, n_classes), rows true."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    both = confusion.sum(axis=-1) + confusion.sum(axis=-2)  # support + predicted
    f1 = np.divide(2 * right, both, out=np.zeros(right.shape), where=both > 0)
    counted = (both > 0).sum(axis=-1)
    return right.sum(axis=-1) / confusion.sum(axis=(-2, -1)), f1.sum(axis=-1) / np.maximum(counted, 1)


def score(
    probabilities: np.ndarray, labels: np.ndarray, *, n_resamples: int = 2000, random_state: int = 42
) -> dict:
    """Accuracy and macro-F1 with 95 % percentile bootstrap intervals over rows (Efron, 1979).

    Both depend on the confusion matrix alone, so a resample of rows is one draw of its cells from a multinomial
    distribution: the same intervals without drawing rows.

    Returns accuracy, accuracy_low, accuracy_high, macro_f1, macro_f1_low, macro_f1_high, log_loss, n_rows.
    """
    check_probabilities(probabilities, labels)
    n_classes = probabilities.shape[1]
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), labels=np.arange(n_classes))
    accuracy, macro_f1 = _confusion_scores(confusion)
    draws = np.random.default_rng(random_state).multinomial(
        len(labels), (confusion / confusion.sum()).ravel(), size=n_resamples
    )
    drawn = _confusion_scores(draws.reshape(-1, n_classes, n_classes))
    (acc_low, f1_low), (acc_high, f1_high) = np.percentile(drawn, [2.5, 97.5], axis=1)
    log_loss = -np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, 1)).mean()
    return {
        "accuracy": float(accuracy), "accuracy_low": acc_low, "accuracy_high": acc_high,
        "macro_f1": float(macro_f1), "macro_f1_low": f1_low, "macro_f1_high": f1_high,
        "log_loss": float(log_loss), "n_rows": len(labels),
    }  # fmt: skip


def score_table(probabilities: dict[str, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """One line of ``score`` a model, indexed by model name, in the order given."""
    for name, values in probabilities.items():
        check_probabilities(values, labels, name)
    return pd.DataFrame(
        {name: score(values, labels) for name, values in probabilities.items()}
    ).T.rename_axis("model")


def readable(scores: pd.DataFrame) -> pd.DataFrame:
    """A ``score_table`` for people: shares with their intervals as text, log loss with three digits."""
    made = {
        measure: [
            interval_text(*line)
            for line in scores[[measure, f"{measure}_low", f"{measure}_high"]].to_numpy(float)
        ]
        for measure in ("accuracy", "macro_f1")
    }
    return pd.DataFrame(made, index=scores.index).assign(log_loss=scores["log_loss"].astype(float).round(3))


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


def class_table(probabilities: np.ndarray, labels: np.ndarray, label_names: list[str]) -> pd.DataFrame:
    """Precision, recall, F1, rows and predicted rows of each class, indexed by label name; 0 where undefined."""
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), labels=np.arange(len(label_names)))
    right, support, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return pd.DataFrame(
        {
            "precision": right / np.maximum(predicted, 1),
            "recall": right / np.maximum(support, 1),
            "f1": 2 * right / np.maximum(support + predicted, 1),
            "rows": support,
            "predicted": predicted,
        },
        index=pd.Index(label_names, name="label"),
    )


def compare(
    right_a: np.ndarray, right_b: np.ndarray, *, n_resamples: int = 4000, random_state: int = 42
) -> dict:
    """Two models on the same rows: accuracy of b minus that of a, its 95 % paired bootstrap interval, McNemar's p.

    Parameters
    ----------
    right_a, right_b : bools of shape (n_rows,): was each model right?

    Returns difference, low, high, p (exact two-sided; McNemar, 1947), only_a, only_b (rows one alone got right), and
    detectable: the smallest difference that this many rows find with 80 % power at p < 0.05, given how often the two
    models disagree (normal approximation; Connor, 1987).
    """
    right_a, right_b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    if right_a.shape != right_b.shape or not right_a.size:
        raise ValueError(
            f"Shapes {right_a.shape} and {right_b.shape} differ or are empty; expected the same test rows."
        )
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    n_rows = len(right_a)
    agree = n_rows - only_a - only_b
    draws = np.random.default_rng(random_state).multinomial(
        n_rows, np.array([only_a, only_b, agree]) / n_rows, n_resamples
    )
    low, high = np.percentile((draws[:, 1] - draws[:, 0]) / n_rows, [2.5, 97.5])
    disagree = max(only_a + only_b, 1) / n_rows
    return {
        "difference": (only_b - only_a) / n_rows, "low": low, "high": high,
        "p": float(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue), "only_a": only_a, "only_b": only_b,
        "detectable": float((norm.ppf(0.975) + norm.ppf(0.8)) * np.sqrt(disagree / n_rows)),
    }  # fmt: skip


def compare_pairs(probabilities: dict[str, np.ndarray], labels: np.ndarray, pairs=None) -> pd.DataFrame:
    """``compare`` for pairs of models (all of them by default), with p_holm corrected over the pairs (Holm, 1979).

    Returns a DataFrame with columns a, b and those of ``compare``, smallest p first. Raises ValueError without a pair.
    """
    right = {name: values.argmax(axis=1) == labels for name, values in probabilities.items()}
    pairs = list(combinations(probabilities, 2)) if pairs is None else list(pairs)
    if not pairs:
        raise ValueError(f"No pair to compare among {list(probabilities)}; expected two models or more.")
    table = pd.DataFrame([{"a": a, "b": b, **compare(right[a], right[b])} for a, b in pairs])
    table["p_holm"] = multipletests(table["p"], method="holm")[1]
    return table.sort_values("p", kind="stable").reset_index(drop=True)


def calibration_table(probabilities: np.ndarray, labels: np.ndarray, n_bins: int = 10) -> pd.DataFrame:
    """Confidence against accuracy in equal bins of confidence: low, high, rows, confidence, accuracy.

    Bins without rows are left out.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    table = pd.DataFrame({"bin": bins, "confidence": confidence, "accuracy": right.astype(float)})
    made = table.groupby("bin").agg(
        rows=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    return made.assign(low=made.index / n_bins, high=(made.index + 1) / n_bins).reset_index(drop=True)


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, n_bins: int = 10) -> float:
    """The mean gap between confidence and accuracy, weighted by rows (Naeini and others, 2015), from 0 to 1."""
    table = calibration_table(probabilities, labels, n_bins)
    return float(
        ((table["confidence"] - table["accuracy"]).abs() * table["rows"]).sum() / table["rows"].sum()
    )


def coverage_table(probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Accuracy when only the surest rows are answered: columns coverage (share of rows), accuracy, threshold."""
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[order]
    count = np.arange(1, len(labels) + 1)
    return pd.DataFrame(
        {"coverage": count / len(labels), "accuracy": right.cumsum() / count, "threshold": confidence[order]}
    )


def interval_text(value: float, low: float, high: float) -> str:
    """A share as people read it: ``81.5 % [76.0, 86.5]``."""
    return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


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


def comparison_text(a: str, b: str, line) -> str:
    """One line of ``compare`` in words; ``line`` has difference, low, high, p (or p_holm) and detectable."""
    p = line["p_holm"] if "p_holm" in line else line["p"]
    points = f"{100 * line['difference']:+.1f} points [{100 * line['low']:+.1f}, {100 * line['high']:+.1f}], p = {p:.2g}"
    if p < 0.05:
        return (
            f"{b[0].upper()}{b[1:]} is {'better' if line['difference'] > 0 else 'worse'} than {a}: {points}."
        )
    needed = f"this many rows could show a difference of {100 * line['detectable']:.1f} points or more"
    return f"No difference between {b} and {a} was shown: {points}; {needed}."
