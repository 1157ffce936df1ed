"""Two models on the same rows: an exact paired test, an interval, the seeds' part, and the difference that could be found.

Notebooks 03_train and 04_error_analysis tell the story.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binom, chi2, norm, t
from statsmodels.stats.multitest import multipletests

from fusebook import findings
from fusebook.data.predictions import Predictions
from fusebook.evaluation.intervals import group_numbers
from fusebook.findings import LEVEL, corrected_p
from fusebook.runs import Run

Pairs = Iterable[tuple[str, str]]
POWER = 0.8  # how often the difference that is called detectable would be found
SOUGHT = 0.03  # the difference for which a sentence says how many rows would show it
MOST_ROWS = 100_000  # that a sentence asks for
_COMPARED = ["difference", "low", "high", "p", "only_a", "only_b", "detectable", "needed"]


class Spread(NamedTuple):
    """What other trainings add to the variance of a difference, and on how many degrees of freedom that is known.

    ``likely`` is at least the variance, and above the true one in three of five cases: from a few seeds the variance
    itself comes out too low in most. What could be found is reckoned with it.
    """

    variance: float = 0.0
    df: int = 0
    likely: float = 0.0

    def df_with(self, rows: float) -> float:
        """Degrees of freedom of the sum of ``variance`` and the variance ``rows`` (Satterthwaite, 1946)."""
        return self.df * (1 + rows / self.variance) ** 2 if self.variance > 0 else np.inf


ALONE = Spread()  # of models without a seed, or where no other was tried


# --- Two models ---------------------------------------------------------------------------------------


def compare(
    right_a: np.ndarray, right_b: np.ndarray, groups=None, *, spread: Spread = ALONE, level=LEVEL, first_level=LEVEL
) -> dict:  # fmt: skip
    """Two models on the same rows: accuracy of b minus that of a, its interval, and an exact p.

    Parameters
    ----------
    right_a, right_b : bools of shape (n_rows,): was each model right?
    groups : a group a row, such as copies of one text; interval and test then count groups
    spread : of trainings with other seeds, as ``seed_spread`` has it
    level : of the test, so that the interval holds the truth in all but this share of cases
    first_level : the level at which a difference would have to be found: that of the first step of a family

    Returns difference, low, high, p, only_a, only_b (rows one alone got right), detectable, the smallest difference that
    so many rows find with 80 % power (1 where none can be found), and needed, the rows that would find ``SOUGHT`` so (0
    where ``MOST_ROWS`` would not, as trainings differ more). p is that of ``sign_flip_p``, with the spread of trainings added. 0
    is in the interval where p is not below ``level``, and outside where it is: the test decides.
    """
    right_a, right_b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    if right_a.shape != right_b.shape or not right_a.size:
        raise ValueError(
            f"Shapes {right_a.shape} and {right_b.shape} differ or are empty; expected the same test rows."
        )
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    n_rows, units = len(right_a), group_numbers(groups, len(right_a))
    gains, sizes = np.bincount(units, right_b.astype(int) - right_a), np.bincount(units)
    difference = (only_b - only_a) / n_rows
    p = paired_p(gains, n_rows, spread)
    low, high = _agreeing(paired_interval(gains, sizes, level=level, spread=spread), difference, p, level)
    # How many rows are one: copies that are right and wrong together are. A made-up disagreement of copies stands in.
    clump = max(1.0, ((gains**2).sum() + (sizes**2).sum() / n_rows) / (only_a + only_b + 1))
    n_alone, disagree = int(n_rows / clump), round((only_a + only_b) / clump)
    most = detectable(n_alone, disagree, first_level, spread)
    needed = clump * rows_needed((disagree + 1) / (n_alone + 2), first_level, spread)
    values = difference, low, high, p, only_a, only_b, most, int(np.ceil(needed))
    return dict(zip(_COMPARED, values, strict=True))


def sign_flip_p(gains: np.ndarray) -> float:
    """How probable a sum of gains at least as far from 0 is, were each group's gain as likely turned round: two-sided.

    ``gains`` are whole numbers of shape (n_groups,): by how many more of a group's rows one model is right. The test is
    exact (permutation of signs; Fisher, 1935): all 2^n sums are counted, group by group. Where each group is one row it
    is McNemar's exact test (1947).
    """
    sizes, counts = np.unique(np.abs(gains[gains != 0]).astype(int), return_counts=True)
    sums = np.ones(1)  # the probability of each sum, from the lowest that there can be to the highest
    for size, count in zip(sizes, counts, strict=True):
        steps = np.zeros(2 * size * count + 1)
        steps[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        sums = np.convolve(sums, steps)
    far = np.abs(np.arange(len(sums)) - len(sums) // 2) >= abs(gains.sum())
    return float(min(sums[far].sum(), 1.0))


def paired_interval(
    gains: np.ndarray, sizes: np.ndarray, *, level: float = LEVEL, spread: Spread = ALONE
) -> tuple[float, float]:  # fmt: skip
    """The interval of a mean gain a row, from each group's sum of gains (-1 to 1 a row) and its rows, shape (n_groups,).

    One group more of gain 1 and one of gain -1 are added, so that the interval has a width where nothing differs
    (Bonett and Price, 2012, for rows that each stand alone); an added group has as many rows as a row's group has on
    average. ``spread`` widens it by what other trainings would bring.
    """
    n_rows = sizes.sum()
    size = (sizes**2).sum() / n_rows
    total = n_rows + 2 * size
    middle = gains.sum() / total
    squares = ((gains - middle * sizes) ** 2).sum() + 2 * size**2 * (1 + middle**2)
    variance = squares / total**2
    half = t.isf(level / 2, spread.df_with(variance)) * np.sqrt(variance + spread.variance)
    return float(max(middle - half, -1)), float(min(middle + half, 1))


def _agreeing(ends: tuple[float, float], difference: float, p: float, level: float) -> tuple[float, float]:
    """The interval with 0 outside where p < ``level``, inside where not: the end nearest 0 is moved as the test says."""
    low, high = ends
    if p >= level:
        return min(low, 0.0), max(high, 0.0)
    if low <= 0 <= high:
        near = difference * (1 - norm.isf(level / 2) / norm.isf(max(p, 1e-300) / 2))
        low, high = (near, high) if difference > 0 else (low, near)
    return low, high


# --- Other trainings ----------------------------------------------------------------------------------


def seed_spread(gains: Sequence[np.ndarray], groups=None, weight: float = 1.0) -> Spread:
    """The variance that seeds add to a difference, from ``gains`` of the same rows by each seed's models.

    The variance of the differences over the seeds, less what the finite number of rows explains of it (analysis of
    variance; not below 0), times ``weight``: 1 where one training answered all rows, less where several did. No spread
    from one seed.
    """
    if len(gains) < 2:
        return Spread()
    units = group_numbers(groups, len(gains[0]))
    sizes = np.bincount(units)
    noise = []
    for one, other in combinations(gains, 2):
        apart = np.bincount(units, one - other)
        noise.append(((apart - sizes * apart.sum() / sizes.sum()) ** 2).sum() / sizes.sum() ** 2 / 2)
    whole, df = np.var([made.mean() for made in gains], ddof=1), len(gains) - 1
    found = np.array([whole, whole * df / chi2.ppf(0.4, df)]) - np.mean(noise)
    variance, likely = map(float, weight * np.maximum(found, 0.0))
    return Spread(variance, df, likely)


def paired_p(gains: np.ndarray, n_rows: int, spread: Spread = ALONE) -> float:
    """``sign_flip_p`` of each group's gain, shape (n_groups,), and of trainings with other seeds.

    With a spread Student's t of the mean gain a row: the rows' error is that which alone would give p, and the variance
    over trainings is added to its square.
    """
    p, difference = sign_flip_p(gains), gains.sum() / n_rows
    if spread.variance == 0 or p == 1:
        return p
    rows = (difference / norm.isf(max(p, 1e-300) / 2)) ** 2
    return float(2 * t.sf(abs(difference) / np.sqrt(rows + spread.variance), spread.df_with(rows)))


def _seed_gains(by_seed: Sequence[Predictions], a: str, b: str) -> list[np.ndarray]:
    """By how much b is right rather than a in each row, by seed; what has no seed is the same in all, and left out."""
    seeded = [(sign, name) for sign, name in ((-1, a), (1, b)) if all(name in made for made in by_seed)]
    return [sum(sign * made.right(name).astype(int) for sign, name in seeded) for made in by_seed] if seeded else []


# --- What could have been found -----------------------------------------------------------------------


def power(difference: float, n_rows: int, rate: float, level: float) -> float:
    """How often McNemar's exact test finds a true difference at ``level``, if models disagree in a share ``rate`` of rows.

    Binomial sums, no approximation; the rate is never below the difference.
    """
    rate = min(max(rate, difference), 1.0)
    low, high = binom.ppf([1e-6, 1 - 1e-6], n_rows, rate)
    counts = np.arange(low, high + 1, dtype=int)
    most = _most(1 << int(high).bit_length(), level)[counts]
    found = binom.cdf(most, counts, (rate - difference) / (2 * rate))
    return float(found @ binom.pmf(counts, n_rows, rate))


@lru_cache(maxsize=64)
def _most(n_counts: int, level: float) -> np.ndarray:
    """By the number of rows in which models disagree: how many of them the worse one may have right for p < ``level``."""
    return binom.ppf(level / 2, np.arange(n_counts), 0.5) - 1


@lru_cache(maxsize=4096)
def detectable(n_rows: int, disagree: int, level: float = LEVEL, spread: Spread = ALONE) -> float:
    """The smallest difference that ``n_rows`` rows find with 80 % power, where two models disagreed in so many of them.

    How often they disagree is taken a little higher than was seen: (disagree + 1) / (n_rows + 2).
    """
    rate, low, high = (disagree + 1) / (n_rows + 2), 0.0, 1.0
    while high - low > 0.0002:
        middle = (low + high) / 2
        if power(middle / _stretch(middle, n_rows, rate, level, spread), n_rows, rate, level) < POWER:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=4096)
def rows_needed(rate: float, level: float = LEVEL, spread: Spread = ALONE, difference: float = SOUGHT) -> int:
    """How many rows find ``difference`` with 80 % power where models disagree in a share ``rate``.

    0 where ``MOST_ROWS`` would not: seeds that differ more than that are not mended by more rows.
    """

    def found(n_rows: int) -> bool:
        stretch = _stretch(difference, n_rows, rate, level, spread)
        return power(difference / stretch, n_rows, rate, level) >= POWER

    high = next((n_rows for n_rows in [*2 ** np.arange(4, 17), MOST_ROWS] if found(n_rows)), 0)
    low = high // 2
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return int(high)


def _stretch(difference: float, n_rows: int, rate: float, level: float, spread: Spread) -> float:
    """How many times as large a difference must be as the rows alone would ask, for what other trainings add."""
    if spread.likely == 0:
        return 1.0
    rows = max(rate, difference) / n_rows
    df = spread._replace(variance=spread.likely).df_with(rows)
    wanted = (t.isf(level / 2, df) + t.isf(1 - POWER, df)) / (norm.isf(level / 2) + norm.isf(1 - POWER))
    return float(wanted * np.sqrt(1 + spread.likely / rows))


# --- One family of pairs ------------------------------------------------------------------------------


def compare_pairs(
    predictions: Predictions, pairs: Pairs | None = None, by_seed: Sequence[Predictions] = ()
) -> pd.DataFrame:  # fmt: skip
    """``compare`` for pairs of models (all of them by default): one family, corrected over its pairs (Holm, 1979).

    ``by_seed`` is as ``PairedTests`` has it. Returns a DataFrame with columns a, b and those of ``compare``, and p_holm,
    smallest p first; no line without a pair. Each interval is at the level of its pair's step: 0.05 by the number of
    pairs for the smallest p and for all where that is not below it.
    """
    right, groups = {name: predictions.right(name) for name in predictions}, predictions.groups
    pairs = list(combinations(predictions, 2)) if pairs is None else _distinct(pairs)
    shares = np.unique(predictions.folds, return_counts=True)[1] / max(predictions.n_rows, 1)
    units, spreads, p = group_numbers(groups, predictions.n_rows), [], []
    for a, b in pairs:
        seeded = _seed_gains(by_seed, a, b)
        spreads.append(seed_spread(seeded, by_seed[0].groups if seeded else None, float((shares**2).sum())))
        p.append(paired_p(np.bincount(units, right[b].astype(int) - right[a]), predictions.n_rows, spreads[-1]))
    lines = []
    for (a, b), spread, level in zip(pairs, spreads, _holm_levels(np.array(p)), strict=True):
        options = {"spread": spread, "level": level, "first_level": LEVEL / len(pairs)}
        lines.append({"a": a, "b": b, **compare(right[a], right[b], groups, **options)})
    table = pd.DataFrame(lines, columns=["a", "b", *_COMPARED])
    table["p_holm"] = multipletests(table["p"], method="holm")[1] if lines else table["p"]
    return table.sort_values("p", kind="stable").reset_index(drop=True)


def _distinct(pairs: Pairs) -> list[tuple[str, str]]:
    """Each pair once, whichever way round, and none of a model with itself."""
    kept: dict[frozenset, tuple[str, str]] = {}
    for a, b in pairs:
        kept.setdefault(frozenset((a, b)), (a, b))
    return [pair for pair in kept.values() if pair[0] != pair[1]]


def _holm_levels(p: np.ndarray) -> np.ndarray:
    """The level at which Holm's steps test each p: 0.05 by the pairs left; from the first that fails on it stays."""
    order, levels, left = np.argsort(p, kind="stable"), np.empty(len(p)), len(p)
    for place in order:
        levels[place] = LEVEL / left
        left -= p[place] < LEVEL / left and left > 1
    return levels


class PairedTests:
    """Pairs of models tested on the same rows, as one family.

    Parameters
    ----------
    pairs : pairs (a, b); all by default. None is tested twice, nor a model against itself
    by_seed : what the networks of each seed say of the test rows, the run's own first; a model without a seed need not
        stand in them. Test and interval then hold for the recipe, not for one training alone

    Attributes
    ----------
    table : ``compare_pairs``
    """

    def __init__(self, predictions: Predictions, pairs: Pairs | None = None, *, by_seed: Sequence[Predictions] = ()):
        self.table = compare_pairs(predictions, pairs, by_seed)

    @classmethod
    def load(cls, run: Run, model: str = "") -> "PairedTests":
        """The tests that 03_train made and kept, as they are; those of ``model`` where it is named."""
        made = cls.__new__(cls)
        table = pd.DataFrame(run.read("metrics.json")["comparison"], columns=["a", "b", *_COMPARED, "p_holm"])
        made.table = table[(table["a"] == model) | (table["b"] == model) | (not model)].reset_index(drop=True)
        return made

    def verdicts(
        self, language: str = "en", *, a: str = "", b: str = "", graded: str | None = None, within: str = ""
    ) -> list[tuple[str, str, dict]]:
        """``verdicts`` of the lines of ``table``, or of those between the models ``a`` and ``b``.

        Where ``within`` is the key of another sentence, each comparison stands in that one.
        """
        kept = (self.table["a"] == a) | (not a)
        made = verdicts(self.table[kept & ((self.table["b"] == b) | (not b))], language, graded)
        if not within:
            return made
        return [(within, grade, {"comparison": findings.say(key, language, **facts)}) for key, grade, facts in made]


def verdicts(table: pd.DataFrame, language: str = "en", graded: str | None = None) -> list[tuple[str, str, dict]]:
    """Key, grade and facts of the finding about each line of ``compare_pairs``, for ``Findings.add_all``.

    Where ``graded`` names a model, its lines come first, and those whose b is another one are notes.
    """
    lines = [line for _, line in table.iterrows()]
    if graded is not None:
        lines.sort(key=lambda line: line["b"] != graded)
    return [_verdict(line, language, grade=graded in (None, line["b"])) for line in lines]


def _verdict(line, language: str, *, grade: bool) -> tuple[str, str, dict]:
    p, facts = corrected_p(line), {"a": line["a"]}
    key = "no difference" if p >= LEVEL else "better" if line["difference"] > 0 else "worse"
    # A sentence in English begins with the better or worse model's name.
    facts["b"] = line["b"] if language != "en" or key == "no difference" else findings.capital(line["b"])
    facts |= findings.points_of(line) | {"p": findings.p_text(p)}
    if key == "no difference":
        facts |= {"detectable": f"{100 * line['detectable']:.1f}", "sought": f"{100 * SOUGHT:.0f}"}
        if line["detectable"] <= SOUGHT:
            key = "no difference of note"
        elif line["needed"]:
            facts["needed"] = about(line["needed"])
        else:
            key, facts["most"] = "no difference by seed", MOST_ROWS
    return key, severity(line) if grade else "note", facts


def about(count: float) -> int:
    """``count`` rounded up to two digits that count."""
    step = 10 ** max(len(str(int(count))) - 2, 0)
    return int(np.ceil(count / step)) * step


def severity(line) -> str:
    """How much a line of ``compare`` matters where b ought to be better: serious where it is worse, else a note."""
    return "serious" if corrected_p(line) < LEVEL and line["difference"] < 0 else "note"
