"""Made-up answers with known labels, for tests of scores and figures."""

import numpy as np
from scipy.special import softmax


def guesses(n_rows=150, n_classes=4, *, seed=0, strength=1.5, classes=None):
    """Probabilities that lean to the label, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.arange(n_classes) if classes is None else classes, n_rows)
    return softmax(rng.normal(size=(n_rows, n_classes)) + strength * np.eye(n_classes)[labels], axis=1), labels


def certain(predicted, n_classes):
    """Probabilities that put 0.9 on the predicted class."""
    rest = 0.1 / (n_classes - 1)
    return np.full((len(predicted), n_classes), rest) + np.eye(n_classes)[predicted] * (0.9 - rest)


def true_answers(n_rows, seed, factor=1.0):
    """Probabilities of three classes, true where ``factor`` is 1 and too sure above, and labels drawn by the true ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n_rows, 3))
    labels = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((n_rows, 1))).argmax(axis=1)
    return softmax(factor * logits, axis=1), labels
