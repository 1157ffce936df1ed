"""Do tests and intervals of two models hold what they promise? Pairs with a known truth are drawn and counted.

Coverage of the interval by rows, copies and disagreement; how often equal models are told apart (copies, seeds, a family
of pairs); and how often a difference of the size that is printed as detectable is found.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from guesses import by_seed_of_equals, draw_pairs, null_p
from rows import row

from fusebook.data.predictions import Predictions
from fusebook.evaluation import comparison
from fusebook.evaluation.intervals import wilson_interval

ROWS, RATES = (30, 100, 200, 2000), (0.02, 0.10, 0.25)
N_PAIRS, N_SEEDED = 2000, 600


def measured() -> list[dict]:
    """Rows "coverage …", "type I …" and "power …"."""
    return [*covered(), *false_alarms(), *seeded(), *families(), *found_at_what_is_printed()]


def share(name: str, model: str, measure: str, found: int, of: int) -> dict:
    """The row of a share with its interval."""
    low, high = wilson_interval(found / of, of)
    return row(name, model, measure, found / of, float(low), float(high))


def covered() -> list[dict]:
    made = []
    for copies, n_rows, rate, half in product((1, 2, 4), ROWS, RATES, (0, 1, 2)):
        difference, n_groups, held = half * rate * 0.4, -(-n_rows // copies), 0
        counts = draw_pairs(n_groups, rate, difference, n_draws=4 * N_PAIRS, seed=n_rows)
        for (a, both, b), times in zip(*np.unique(counts, axis=0, return_counts=True), strict=True):
            gains = copies * np.repeat([-1, 0, 1], [a, both, b])
            low, high = comparison.paired_interval(gains, np.full(n_groups, copies))
            held += times * (low <= difference <= high)
        name = f"{n_rows} rows, each text {copies} times, {rate:.0%} disagree, difference {difference:.3f}"
        made.append(share(name, "paired interval", "coverage of the 95 % interval", int(held), 4 * N_PAIRS))
    return made


def false_alarms() -> list[dict]:
    made = []
    for copies, n_rows in product((1, 2, 3, 4), (100, 1000)):
        found = sum(null_p(n_rows, copies, seed) < 0.05 for seed in range(N_PAIRS))
        name = f"{n_rows} rows, each text {copies} times"
        made.append(share(name, "paired test", "type I error at 5 %", found, N_PAIRS))
    return made


def seeded() -> list[dict]:
    """Networks that differ by their seeds (accuracy's standard deviation): equal ones, and ones as far apart as printed."""
    made = []
    for n_rows, spread, n_seeds in product((203, 2000), (0.0, 0.01), (1, 3)):
        equal, apart = 0, 0
        for draw in range(N_SEEDED):
            p, seeds = seeded_p(by_seed_of_equals(n_rows, spread, n_seeds, draw))
            equal += p < comparison.LEVEL
            if n_seeds > 1:
                lead = comparison.detectable(n_rows, seeds.disagree, comparison.LEVEL, seeds.spread)
                apart += (
                    seeded_p(by_seed_of_equals(n_rows, spread, n_seeds, draw + N_SEEDED, lead))[0] < comparison.LEVEL
                )
        name = f"{n_rows} rows, {n_seeds} seeds that differ by {spread:.0%}"
        made.append(share(name, "networks", "type I error at 5 %", equal, N_SEEDED))
        if n_seeds > 1:
            made.append(share(name, "networks", "power at the difference printed", apart, N_SEEDED))
    for spread in (0.0, 0.01):
        found = sum(cross_fitted_p(spread, draw) < comparison.LEVEL for draw in range(N_SEEDED))
        name = f"1,024 rows cross-fitted, 3 seeds that differ by {spread:.0%}"
        made.append(share(name, "networks", "type I error at 5 %", found, N_SEEDED))
    return made


class Seeds(NamedTuple):
    """What the seeds add, and in how many rows the first seed's models disagree."""

    spread: comparison.Spread
    disagree: int


def seeded_p(answers: list[Predictions]) -> tuple[float, Seeds]:
    """p of models a and b of the first seed, and the seeds."""
    gains = [made.right("b").astype(int) - made.right("a") for made in answers]
    spread = comparison.seed_spread(gains)
    return comparison.paired_p(gains[0], len(gains[0]), spread), Seeds(spread, int(np.abs(gains[0]).sum()))


def cross_fitted_p(spread: float, draw: int) -> float:
    """p of equal networks on 203 test rows and 821 others that five folds answer, the seeds known on the test rows."""
    random, test = np.random.default_rng(draw), by_seed_of_equals(203, spread, 3, draw)
    sizes = (203, 165, 164, 164, 164, 164)
    gains = [made.right("b").astype(int) - made.right("a") for made in test]
    parts = [gains[0]]
    for size in sizes[1:]:
        (fold,) = by_seed_of_equals(size, spread, 1, random.integers(2**32))
        parts.append(fold.right("b").astype(int) - fold.right("a"))
    weight = float((np.array(sizes) ** 2).sum() / sum(sizes) ** 2)
    return comparison.paired_p(np.concatenate(parts), sum(sizes), comparison.seed_spread(gains, weight=weight))


def families() -> list[dict]:
    """Seven equal models: the first against each other one, as 03_train has its fusions."""
    found, apart = 0, 0
    for draw in range(N_SEEDED):
        random = np.random.default_rng(draw)
        right = (random.random(203) < 0.8)[None] ^ (random.random((7, 203)) < 0.08)
        answers = Predictions.of(
            {f"m{i}": np.eye(2)[one.astype(int)] for i, one in enumerate(right)}, np.ones(203, int)
        )
        table = comparison.PairedTests(answers, [("m0", f"m{i}") for i in range(1, 7)]).table
        found += bool((table["p_holm"] < 0.05).any())
        apart += bool(((table["p_holm"] < 0.05) == ((table["low"] <= 0) & (table["high"] >= 0))).any())
    return [
        share("203 rows, 6 pairs", "family", "type I error of any pair at 5 %", found, N_SEEDED),
        share("203 rows, 6 pairs", "family", "interval and test disagree", apart, N_SEEDED),
    ]


def found_at_what_is_printed() -> list[dict]:
    made = []
    for n_rows, rate, n_pairs in product((100, 203, 1000), (0.0, 0.02, 0.10, 0.25), (1, 6)):
        random, level, found = np.random.default_rng(n_rows), comparison.LEVEL / n_pairs, 0
        for disagree in random.binomial(n_rows, rate, N_PAIRS):
            printed = comparison.detectable(n_rows, int(disagree), level)
            ((a, _, b),) = draw_pairs(n_rows, max(rate, printed), printed, n_draws=1, seed=random)
            found += comparison.sign_flip_p(np.repeat([-1, 1], [a, b])) < level
        name = f"{n_rows} rows, {rate:.0%} disagree, {n_pairs} pairs"
        made.append(share(name, "paired test", "power at the difference printed", found, N_PAIRS))
    return made
