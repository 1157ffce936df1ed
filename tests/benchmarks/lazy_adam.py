"""Training over an n-gram table: lazy Adam against plain Adam, side by side. Writes reports/benchmarks/lazy_adam.json.

As many rows, n-grams and units as 33,590 Chinese headlines have; the n-grams are drawn as words are, a few of them in
most rows. Both train in turn, after a first round that compiles.
"""

import statistics
import time

import numpy as np
import rows

from fusebook.models import lazy_adam, training
from fusebook.models.layers import build_mlp

SET = "33,590 rows of 50 out of 170,000 n-grams"
PAIRS = 3


def draw() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Numbers and weights of shape (33590, 110), half of them filling up, and labels."""
    rng = np.random.default_rng(0)
    shape, ranks = (33_590, 110), np.arange(1, 170_001)
    numbers = rng.choice(170_000, shape, p=ranks**-0.8 / (ranks**-0.8).sum()).astype(np.int32)
    weights = np.full(shape, 0.14, np.float32) * (np.arange(110) < 50)
    return {"text_ngrams": numbers * (weights > 0), "text_weights": weights}, rng.integers(0, 10, len(numbers))


def seconds(inputs: dict[str, np.ndarray], labels: np.ndarray, lazy: bool) -> float:
    """What one training takes."""
    build, fit = training.settings(len(labels), inputs, n_classes=10)
    network = build_mlp({"text_ngrams": 110, "text_weights": 110}, 10, n_ngrams=170_000, **build)
    judge, start = lazy_adam.is_worth_it, time.perf_counter()
    try:
        lazy_adam.is_worth_it = lambda *given: lazy and judge(*given)
        watched = {name: values[:1000] for name, values in inputs.items()}, labels[:1000]
        training.fit_mlp(network, inputs, labels, validation=watched, patience=0, **fit)
    finally:
        lazy_adam.is_worth_it = judge
    return time.perf_counter() - start


if __name__ == "__main__":
    given = draw()
    pairs = [[seconds(*given, lazy) for lazy in (True, False)] for _ in range(PAIRS + 1)][1:]
    made = []
    for name, values in zip(("lazy Adam", "plain Adam"), zip(*pairs, strict=True), strict=True):
        made.append(rows.row(SET, name, "fit, s", statistics.median(values), min(values), max(values)))
    ratios = [plain / lazy for lazy, plain in pairs]
    made.append(rows.row(SET, "plain / lazy", "ratio", statistics.median(ratios), min(ratios), max(ratios)))
    rows.write("lazy_adam", "make bench-lazy_adam", made)
