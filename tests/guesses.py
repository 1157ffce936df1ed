"""Made-up answers with known labels, for tests of scores and figures."""

from functools import cache

import numpy as np
from scipy.special import softmax
from scipy.stats import norm

from fusebook.data.predictions import Predictions
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


def draw_pairs(n_groups: int, rate: float, difference: float, *, n_draws: int, seed) -> np.ndarray:
    """Counts of texts that only a, both or none, and only b get right, shape (n_draws, 3), where a share ``rate`` differs."""
    shares = [(rate - difference) / 2, 1 - rate, (rate + difference) / 2]
    return np.random.default_rng(seed).multinomial(n_groups, np.clip(shares, 0, 1), n_draws)


def by_seed_of_equals(n_rows: int, spread: float, n_seeds: int, seed: int, lead: float = 0.0) -> list[Predictions]:
    """What models a and b of each seed say: each 85 % right, its accuracy spread over the seeds, and b ahead by ``lead``.

    Rows are harder or easier for both models and all seeds alike.
    """
    random = np.random.default_rng(seed)
    hard, bar = np.sqrt(0.6) * random.normal(size=n_rows), norm.ppf(0.85)
    moved = spread * random.normal(size=(n_seeds, 2)) / norm.pdf(bar) + [0, norm.ppf(0.85 + lead) - bar]
    right = hard + np.sqrt(0.4) * random.normal(size=(n_seeds, 2, n_rows)) < bar + moved[..., None]
    labels = np.ones(n_rows, int)
    return [Predictions.of(dict(zip("ab", np.eye(2)[one.astype(int)], strict=True)), labels) for one in right]


def copied_answers(n_rows, n_classes, strength, seed, *, copies=1, factor=1.0, alike=1.0):
    """``Predictions`` of one model, m, whose confidence is true where ``factor`` is 1; each text stands ``copies`` times.

    The stronger, the more often it is right. Copies have one label and one group, and one answer where ``alike`` is 1.
    """
    rng, n_texts = np.random.default_rng(seed), n_rows // copies
    texts = np.repeat(np.arange(n_texts), copies)
    labels, noise = rng.integers(n_classes, size=n_texts)[texts], rng.normal(size=(n_texts, n_classes))[texts]
    noise = np.sqrt(alike) * noise + np.sqrt(1 - alike) * rng.normal(size=noise.shape)
    values = softmax(factor * strength * (noise + strength * np.eye(n_classes)[labels]), axis=1)
    return Predictions.of({"m": values}, labels, groups=texts)


def drawn_labels(probabilities, random):
    """A class number a row, drawn from its probabilities."""
    points = random.random((len(probabilities), 1))
    return np.minimum((probabilities.cumsum(axis=1) < points).sum(axis=1), probabilities.shape[1] - 1)


@cache
def strength_of(n_classes: int, zipf: bool, accuracy: float) -> tuple[float, bool]:
    """How far the right answer's logit stands out for this accuracy, and whether the answers know the labels' shares.

    They don't where knowing them alone would be more accurate.
    """
    shares = _shares(n_classes, zipf)
    informed, low, high = bool(accuracy > shares.max() + 0.02), 0.0, 12.0
    for _ in range(18):
        middle = (low + high) / 2
        answers, labels = _logit_answers(20_000, shares, middle, informed, 1.0, 0)
        low, high = (middle, high) if (answers.argmax(axis=1) == labels).mean() < accuracy else (low, middle)
    return middle, informed


def logit_answers(n_rows: int, n_classes: int, *, zipf=False, accuracy=0.75, factor=1.0, seed=0):
    """Probabilities of a model of this accuracy, and labels; calibrated where ``factor`` is 1, else its logits times that."""
    strength, informed = strength_of(n_classes, zipf, accuracy)
    return _logit_answers(n_rows, _shares(n_classes, zipf), strength, informed, factor, seed)


def _shares(n_classes: int, zipf: bool) -> np.ndarray:
    weights = 1 / np.arange(1, n_classes + 1) if zipf else np.ones(n_classes)
    return weights / weights.sum()


def _logit_answers(n_rows, shares, strength, informed, factor, seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(shares), n_rows, p=shares)
    seen = rng.normal(size=(n_rows, len(shares))) + strength * np.eye(len(shares))[labels]
    return softmax(factor * (strength * seen + (np.log(shares) if informed else 0)), axis=1), labels
