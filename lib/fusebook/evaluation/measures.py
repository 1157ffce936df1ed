"""Ten measures of a classifier, each a function of sums over rows, so that resampling rows is one matrix product.

Notebook 04_error_analysis tells the story.
"""

import numpy as np
from scipy import sparse
from scipy.special import expit

from fusebook.evaluation.intervals import group_numbers
from fusebook.models.calibration import calibrate, fit_temperature

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


def chance_error(confidence: np.ndarray, groups=None) -> tuple[float, float]:
    """The calibration error of a model whose confidence is always true, by chance: the mean, and the limit of 39 in 40 tests.

    Each row is right with the probability that its confidence says (consistency resampling; Bröcker and Smith, 2007).
    One throw decides for all rows of a group, as copies are answered alike.
    """
    random, bins = np.random.default_rng(42), confidence_bins(confidence)
    units = group_numbers(groups, len(bins))
    n_units, errors = units.max() + 1, []
    for _ in range(400):
        right = random.random(n_units)[units] < confidence
        errors.append(np.abs(np.bincount(bins, confidence - right)).sum() / len(bins))
    return float(np.mean(errors)), float(np.quantile(errors, 0.975))


def imagined_rows(
    probabilities: np.ndarray, labels: np.ndarray, random: np.random.Generator, *, most: int = 2000, count: int = 50
) -> tuple[np.ndarray, np.ndarray]:
    """Rows as the model thinks them possible: answers and labels, ``count`` that are wrong, then as many that are right.

    They are drawn from (``most`` of) the rows, with labels by the model's own probabilities; their temperature is half
    above the one that suits the rows, and at least 2.5, so that a model that is too sure of itself imagines sure
    mistakes too: rows without a mistake can't tell how sure it may be.
    """
    if len(labels) > most:
        some = random.choice(len(labels), most, replace=False)
        probabilities, labels = probabilities[some], labels[some]
    own = calibrate(probabilities, max(1.5 * fit_temperature(probabilities, labels), 2.5)) + 1e-9
    is_answer = np.arange(own.shape[1]) == own.argmax(axis=1)[:, None]
    places = []
    for chances in (own * ~is_answer, own * is_answer):
        heaped = chances.cumsum()
        places.append(np.searchsorted(heaped, heaped[-1] * random.random(count), side="right"))
    rows, drawn = np.divmod(np.minimum(np.concatenate(places), own.size - 1), own.shape[1])
    return probabilities[rows], drawn


def macro_f1_draws(sums: np.ndarray, n_classes: int, size: float, random: np.random.Generator) -> np.ndarray:
    """Macro-F1 over all classes from the column sums of draws (n_draws, n_columns), shape (n_draws,).

    Of a class of few rows F1 is unsure, and biased. So each gets a prior worth one and a half groups of ``size`` rows,
    whose share of right ones is that of all classes together but for a shift that the classes have in common: rare ones
    may all be harder.
    """
    right, true, predicted = class_sums(sums, n_classes)
    counted = true + predicted - right
    wrong = (counted - right).sum(axis=1)
    common = np.log((right.sum(axis=1) + size / 2) / (wrong + size / 2)) + 0.8 * random.standard_normal(len(sums))
    share = expit(common)[:, None]
    more_right, more_wrong = (size * random.gamma(1.5 * part, size=right.shape) for part in (share, 1 - share))
    share = (right + more_right) / (counted + more_right + more_wrong)
    return (2 * share / (1 + share)).mean(axis=1)


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
