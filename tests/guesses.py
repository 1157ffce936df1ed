"""Made-up answers with known labels, for tests of scores and figures."""

import numpy as np
from scipy.special import softmax

from fusebook.evaluation.comparison import compare


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


def null_p(n_rows: int, copies: int, seed: int) -> float:
    """The p of two equally good models that disagree in one of four texts, each text so many times in the test."""
    random = np.random.default_rng(seed)
    one = random.choice([-1, 0, 1], size=n_rows // copies, p=[0.125, 0.75, 0.125])
    gains, groups = np.repeat(one, copies), np.repeat(np.arange(len(one)), copies)
    return compare(gains < 0, gains > 0, groups)["p"]
