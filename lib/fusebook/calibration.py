"""How sure may a model be? Temperature scaling, from probabilities alone.

Notebook 03_train tells the story.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax


def clean_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """The same probabilities in float64, each row summing to 1 exactly and no entry quite 0."""
    clipped = np.clip(np.asarray(probabilities, np.float64), 1e-9, None)
    return clipped / clipped.sum(axis=1, keepdims=True)


PRIOR_SPREAD = 0.5  # standard deviation of log(temperature) before any row is seen


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that minimises the log loss of rows not trained on (Guo and others, 2017).

    Above 1 the model was too sure of itself, below 1 too modest. A weak prior, normal in log(temperature) around 0,
    keeps a handful of rows, all right or all wrong, from an extreme answer; with hundreds of rows it has no weight.
    Returns 1 where there are no rows.
    """
    logits = np.log(clean_probabilities(probabilities))

    def loss(log_temperature: float) -> float:
        tempered = log_softmax(logits / np.exp(log_temperature), axis=1)
        return (log_temperature / PRIOR_SPREAD) ** 2 / 2 - tempered[np.arange(len(labels)), labels].sum()

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)) if len(labels) else 1.0


def calibrate(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """``probabilities`` at ``temperature``: the same ranking, another confidence; rows sum to 1."""
    return softmax(np.log(clean_probabilities(probabilities)) / temperature, axis=1)
