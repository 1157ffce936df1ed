"""How sure may a model be? Probabilities checked, brought to a temperature, and turned into sets of labels.

Notebooks 03_train and 06_predict tell the story.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

_PRIOR_SPREAD = 0.5  # standard deviation of log(temperature) before any row is seen
SET_SHARE = 0.9  # of rows whose set is to hold the right label


def clean_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """The same probabilities in float64, each row summing to 1 exactly and no entry quite 0."""
    clipped = np.clip(np.asarray(probabilities, np.float64), 1e-9, None)
    return clipped / clipped.sum(axis=1, keepdims=True)


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


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that minimises the log loss of rows not trained on (Guo and others, 2017).

    Above 1 the model was too sure of itself, below 1 too modest. A weak prior, normal in log(temperature) around 0,
    keeps a handful of rows, all right or all wrong, from an extreme answer; with hundreds of rows it has no weight.
    Returns 1 where there are no rows.
    """
    logits = np.log(clean_probabilities(probabilities))

    def loss(log_temperature: float) -> float:
        tempered = log_softmax(logits / np.exp(log_temperature), axis=1)
        return (log_temperature / _PRIOR_SPREAD) ** 2 / 2 - tempered[np.arange(len(labels)), labels].sum()

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)) if len(labels) else 1.0


def calibrate(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """``probabilities`` at ``temperature``: the same ranking, another confidence; rows sum to 1."""
    return softmax(np.log(clean_probabilities(probabilities)) / temperature, axis=1)


def one_of_each(groups, n_rows: int) -> np.ndarray:
    """Positions of one row of each group, drawn at random but always the same; of all rows where ``groups`` is None.

    Copies answer alike, so that one of them says what all say.
    """
    order = np.random.default_rng(42).permutation(n_rows)
    return np.sort(order[np.unique(np.asarray(groups)[order], return_index=True)[1]] if groups is not None else order)


def fit_label_sets(probabilities: np.ndarray, labels: np.ndarray, groups=None) -> float | None:
    """The least probability of a label in a set, so that nine in ten sets of new rows hold the right label.

    Split conformal prediction with the score 1 - probability of the label (LAC; Sadinle and others, 2019): the score's
    quantile at ceil((n + 1) 0.9) of n rows, of copies one. ``probabilities`` of shape (n_rows, n_classes) are answers to
    rows that the model has not learnt from, exchangeable with the new ones; then the share holds on average over such
    rows, whatever the model; of a model that was chosen by the same rows a little less (88 to 90 % where the best of eight
    is chosen by 800 rows, 87 to 89 % by 100). None where there are too few rows (under nine) to promise it.
    """
    kept = one_of_each(groups, len(labels))
    right = np.sort(np.asarray(probabilities, float)[kept, np.asarray(labels, int)[kept]])[::-1]
    place = int(np.ceil((len(right) + 1) * SET_SHARE - 1e-9))
    return float(right[place - 1]) if place <= len(right) else None


def label_sets(probabilities: np.ndarray, least: float) -> np.ndarray:
    """Which labels are in each row's set: those of probability ``least`` or more, and always the likeliest.

    Returns bools of the shape of ``probabilities``, (n_rows, n_classes).
    """
    probabilities = np.asarray(probabilities, float)
    likeliest = probabilities.argmax(axis=1)[:, None] == np.arange(probabilities.shape[1])
    return likeliest | (probabilities >= least)
