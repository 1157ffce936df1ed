"""Ten measures of a classifier, each a function of sums over rows, so that resampling rows is one matrix product.

Notebook 04_error_analysis tells the story.
"""

import numpy as np
from scipy import sparse

# In the order in which tables show them; the second half is better when low.
MEASURES = [
    "accuracy", "macro_f1", "weighted_f1", "kappa", "mcc", "top_2", "top_3", "log_loss", "brier", "ece",
]  # fmt: skip
SHARES = ["accuracy", "top_2", "top_3"]  # each row counts as right or wrong: a share of rows
N_BINS = 10  # of confidence, from 0 to 1


def ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The place of each label among its row's probabilities, 0 for the highest; equal ones in class order."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    return (probabilities > own).sum(axis=1) + ((probabilities == own) & before).sum(axis=1)


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """The bin of each confidence among ``N_BINS`` equal ones from 0 to 1."""
    return np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)


def row_columns(probabilities: np.ndarray, labels: np.ndarray) -> sparse.csr_array:
    """What each row adds to the sums that ``measures_of_sums`` takes: sparse, (n_rows, 3 * n_classes + 4 + N_BINS).

    First, by class: right, true, predicted. Then the row's loss, its squared distance (Brier), and whether the label
    is among the two and the three likeliest. Last, by bin of confidence: confidence minus right.
    """
    n_rows, n_classes = probabilities.shape
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = (predicted == labels).astype(float)
    own = probabilities[np.arange(n_rows), labels]
    loss = -np.log(np.clip(own, 1e-12, 1))
    distance = (probabilities**2).sum(axis=1) - 2 * own + 1
    place = ranks(probabilities, labels)
    by_row = np.column_stack([loss, distance, place < 2, place < 3]).astype(float)
    parts = [
        _one_hot(labels, n_classes, right), _one_hot(labels, n_classes), _one_hot(predicted, n_classes),
        by_row, _one_hot(confidence_bins(confidence), N_BINS, confidence - right),
    ]  # fmt: skip
    return sparse.csr_array(sparse.hstack(parts))


def _one_hot(numbers: np.ndarray, n_columns: int, values: np.ndarray | None = None) -> sparse.csr_array:
    values = np.ones(len(numbers)) if values is None else values
    return sparse.csr_array((values, (np.arange(len(numbers)), numbers)), shape=(len(numbers), n_columns))


def chance_error(confidence: np.ndarray) -> float:
    """The calibration error that a model whose confidence is always true stays below in 95 % of tests on such rows.

    Each row is right with the probability that its confidence says (consistency resampling; Bröcker and Smith, 2007).
    """
    random, bins = np.random.default_rng(42), confidence_bins(confidence)
    cells = _one_hot(bins, N_BINS)
    gaps = [np.abs(cells.T @ (confidence - (random.random(len(bins)) < confidence))).sum() for _ in range(400)]
    return float(np.quantile(gaps, 0.95) / len(bins))


def class_sums(sums: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right, true and predicted rows of each class, from column sums of shape (…, n_columns)."""
    return tuple(sums[..., i * n_classes : (i + 1) * n_classes] for i in range(3))


def f1_of_classes(right: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """F1 of each class, 0 where it is neither true nor predicted."""
    return _divide(2 * right, true + predicted, 0.0)


def measures_of_sums(sums: np.ndarray, n_classes: int) -> dict[str, np.ndarray]:
    """All ``MEASURES`` from the column sums of ``row_columns``, shape (…, n_columns), each of shape (…).

    Macro-F1 is the mean over the classes that are true or predicted somewhere. Kappa (Cohen, 1960) is NaN where one
    class alone is true and predicted; the correlation mcc (Gorodkin, 2004) is 0 where it is undefined. ``brier``
    (Brier, 1950) is summed over classes, from 0 to 2; ``ece``, the expected calibration error (Naeini and others,
    2015), has ten equal bins of confidence.
    """
    sums = np.asarray(sums, float)
    right, true, predicted = class_sums(sums, n_classes)
    loss, brier, top_2, top_3 = np.moveaxis(sums[..., 3 * n_classes : 3 * n_classes + 4], -1, 0)
    n_rows, f1 = true.sum(axis=-1), f1_of_classes(right, true, predicted)
    all_right, chance = right.sum(axis=-1), (true * predicted).sum(axis=-1)
    spread = (n_rows**2 - (true**2).sum(axis=-1)) * (n_rows**2 - (predicted**2).sum(axis=-1))
    made = {
        "accuracy": all_right / n_rows,
        "macro_f1": f1.sum(axis=-1) / np.maximum((true + predicted > 0).sum(axis=-1), 1),
        "weighted_f1": (f1 * true).sum(axis=-1) / n_rows,
        "kappa": _divide(all_right * n_rows - chance, n_rows**2 - chance, np.nan),
        "mcc": _divide(all_right * n_rows - chance, np.sqrt(np.maximum(spread, 0)), 0.0),
    }
    rest = {"top_2": top_2, "top_3": top_3, "log_loss": loss, "brier": brier}
    gaps = np.abs(sums[..., 3 * n_classes + 4 :]).sum(axis=-1)
    return made | {name: values / n_rows for name, values in rest.items()} | {"ece": gaps / n_rows}


def measures_of(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All ``MEASURES`` of some rows: probabilities of shape (n_rows, n_classes), class numbers of shape (n_rows,)."""
    sums = row_columns(probabilities, labels).sum(axis=0)
    return {name: float(value) for name, value in measures_of_sums(sums, probabilities.shape[1]).items()}


def _divide(above: np.ndarray, below: np.ndarray, otherwise: float) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(below), otherwise, float), where=below > 0)
