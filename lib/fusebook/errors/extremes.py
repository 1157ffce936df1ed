"""The lowest of many classes, the most frequent of many pairs: how far would chance alone take them?

Notebook 04_error_analysis tells the story.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import betainc, xlogy
from scipy.stats import beta, binom

from fusebook.evaluation.comparison import LEVEL, POWER
from fusebook.evaluation.intervals import group_numbers

_N_DRAWS = 2000
_CELLS = 8e6  # draws by pairs that are held at most
_LEAST = 1e-300


class LowClass(NamedTuple):
    """The class that lies furthest below the others: its number, and what chance makes of it (``lowest_class``)."""

    place: int
    others: float  # share of the other classes' rows that are right
    p: float
    rows: int  # of a class of middle size
    least: float  # such a class is found four times in five where no more of its rows are right; NaN where it never is


class FarPair(NamedTuple):
    """The pair of labels that lies furthest above chance: two class numbers, and what chance makes of it."""

    label: int
    predicted: int
    own: float  # share of the label's mistakes that are this answer
    others: float  # the same of the other labels' mistakes
    p: float
    least: int  # mistakes from which on the pair would be told from chance


def exact_interval(share: float, n_rows: float, tail: float = 0.025) -> tuple[float, float]:
    """Low and high end of the exact interval of a share (Clopper and Pearson, 1934), ``tail`` left out on each side.

    ``n_rows`` may be an effective number, which need not be whole (Korn and Graubard, 1998); 0 to 1 without rows.
    """
    hits = share * n_rows
    low = beta.ppf(tail, hits, n_rows - hits + 1) if hits > 1e-9 else 0.0
    high = beta.isf(tail, hits + 1, n_rows - hits) if n_rows - hits > 1e-9 else 1.0
    return float(low), float(high)


def shared_tail(n_shares: int) -> float:
    """The tail with which the intervals of so many shares all hold in 95 of 100 cases (Šidák, 1967)."""
    return (1 - (1 - LEVEL) ** (1 / max(n_shares, 1))) / 2


def effective_rows(groups) -> float:
    """How many rows by themselves the rows of these groups are worth, if copies are answered alike (Kish, 1965)."""
    sizes = np.unique(groups, return_counts=True)[1]
    return float(sizes.sum() ** 2 / np.maximum((sizes**2).sum(), 1))


def lowest_class(labels: np.ndarray, right: np.ndarray, groups, n_classes: int) -> LowClass:
    """The class whose rows are wrong more often than all rows, by the surest: and is that more than chance?

    p is that of a permutation test of the most extreme class (Westfall and Young, 1993): the wrong rows are dealt
    anew over all rows, groups of copies whole and among groups of their size, and p is the share of deals in which some
    class lies at least as far above the mean. ``labels`` and ``right`` of shape (n_rows,), ``groups`` or None.
    """
    random, n_rows = np.random.default_rng(0), len(labels)
    units = group_numbers(groups, n_rows) * n_classes + labels
    units, first, back, sizes = np.unique(units, return_index=True, return_inverse=True, return_counts=True)
    of_unit, wrong_of = labels[first], np.bincount(back, ~right).astype(int)
    rows = np.bincount(labels, minlength=n_classes)
    worth = np.bincount(of_unit, sizes**2, minlength=n_classes) / np.maximum(rows, 1)  # rows that count for one
    wrong = np.bincount(labels, ~right, minlength=n_classes)
    dealt = np.zeros((_N_DRAWS, n_classes), int)
    for size, value in sorted(set(zip(sizes.tolist(), wrong_of.tolist(), strict=True)), reverse=True):
        alike = sizes == size
        if value == wrong_of[alike].max():  # a new size: all its groups are free
            free = np.tile(np.bincount(of_unit[alike], minlength=n_classes), (_N_DRAWS, 1))
        taken = _dealt(free, int((wrong_of[alike] == value).sum()), random)
        dealt, free = dealt + value * taken, free - taken
    scores = _excess(wrong, rows, worth, wrong.sum() / n_rows)
    furthest = _excess(dealt, rows, worth, wrong.sum() / n_rows).max(axis=1)
    place = int(np.lexsort([rows, wrong / np.maximum(rows, 1), scores])[-1])
    others = 1 - (wrong.sum() - wrong[place]) / max(n_rows - rows[place], 1)
    middle = int(np.median(rows[rows > 0]))
    least = _least_share(middle, n_rows, wrong.sum() / n_rows, worth[rows > 0].mean(), furthest)
    return LowClass(place, float(others), _p(furthest, scores[place]), middle, least)


def _dealt(free: np.ndarray, n_marks: int, random: np.random.Generator) -> np.ndarray:
    """So many marks dealt over the ``free`` places of each class, shape (n_draws, n_classes): how many each gets."""
    made, left, after = np.zeros_like(free), np.full(len(free), n_marks), free.sum(axis=1)
    for place in range(free.shape[1]):
        after = after - free[:, place]
        made[:, place] = random.hypergeometric(free[:, place], after, left)
        left = left - made[:, place]
    return made


def _excess(wrong, rows, worth, share: float) -> np.ndarray:
    """How far above ``share`` a class lies: minus the log of the chance of so many wrong rows or more (binomial)."""
    wrong, rows = wrong / np.maximum(worth, 1), rows / np.maximum(worth, 1)
    tail = betainc(np.maximum(wrong, 1e-9), np.maximum(rows - wrong, 0) + 1, share)
    return np.where(wrong > 0, -np.log(np.maximum(tail, _LEAST)), 0.0)


def _p(furthest: np.ndarray, score: float) -> float:
    return float((1 + (furthest >= score - 1e-9).sum()) / (1 + len(furthest)))


def critical_score(furthest: np.ndarray, level: float = LEVEL) -> float:
    """The score above which one is told, given how far the furthest goes in draws by chance.

    Then the share of draws that go as far, the score itself counted among them, is below ``level``.
    """
    return float(np.sort(furthest)[-int(level * (1 + len(furthest)))])


def _least_share(rows: int, n_rows: int, error: float, worth: float, furthest: np.ndarray) -> float:
    """The share right (whole percents) of a class of so many rows that is found four times in five beside the others.

    All numbers of wrong rows in the class and beside it are counted (binomial), copies as one row.
    """
    units, critical = max(round(rows / worth), 1), critical_score(furthest)
    others, beside = _likely(max(round(n_rows / worth), 2) - units, error)
    found, above = -1, 100
    while above - found > 1:
        middle = (found + above) // 2
        wrong, chance = _likely(units, 1 - middle / 100)
        scores = _excess(wrong[:, None], units, 1, np.minimum((wrong[:, None] + others) * worth / n_rows, 1))
        enough = chance @ (scores > critical) @ beside >= POWER
        found, above = (middle, above) if enough else (found, middle)
    return found / 100 if found >= 0 else np.nan


def furthest_pair(labels: np.ndarray, predicted: np.ndarray, groups, n_classes: int) -> FarPair | None:
    """The pair label → predicted that occurs more often than chance would have it, by the surest; None without one.

    A label's mistakes are set against the other labels' mistakes: how often are they this answer (``slice_excess``)?
    By chance a wrong row gets one of the other labels in proportion to how often each is a wrong answer
    (quasi-independence; Goodman, 1968). p is the share of draws from that in which some pair goes at least as far.
    Copies of one label that get the same answer are one row here.
    """
    units = (group_numbers(groups, len(labels)) * n_classes + labels) * n_classes + predicted
    once = np.unique(units, return_index=True)[1]
    once = once[labels[once] != predicted[once]]
    counts = np.bincount(labels[once] * n_classes + predicted[once], minlength=n_classes**2)
    counts = counts.reshape(n_classes, n_classes)
    scores = _pair_excess(counts[None])[0]
    if not scores.any():
        return None
    wrong, shares, random = counts.sum(axis=1), _chance_shares(counts), np.random.default_rng(0)
    n_draws = int(np.clip(_CELLS / n_classes**2, 200, _N_DRAWS))
    drawn = [random.multinomial(n, share, n_draws) for n, share in zip(wrong, shares, strict=True)]
    furthest = _pair_excess(np.stack(drawn, axis=1)).max(axis=(1, 2))
    label, other = (int(place) for place in np.unravel_index(scores.argmax(), scores.shape))
    count, able = counts[label, other], len(once) - wrong[other] - wrong[label]
    beside = counts[:, other].sum() - count  # of so many mistakes of other labels that are able to be this answer
    made = np.arange(1, 10_000)
    own = np.maximum(made, wrong[label])
    least = made[(slice_excess(made, own, beside + made, able + own) > critical_score(furthest)).argmax()]
    found = _p(furthest, scores[label, other])
    return FarPair(label, other, float(count / wrong[label]), float(beside / able), found, int(least))


def _pair_excess(counts: np.ndarray) -> np.ndarray:
    """The ``slice_excess`` of each pair among the mistakes of labels that may get its answer: (n_draws, labels, answers)."""
    wrong, answers = counts.sum(axis=2, keepdims=True), counts.sum(axis=1, keepdims=True)
    able = counts.sum(axis=(1, 2), keepdims=True) - wrong.transpose(0, 2, 1)
    return slice_excess(counts, wrong, answers, able) * (counts > 0)


def _chance_shares(counts: np.ndarray) -> np.ndarray:
    """The chance of each wrong answer, shape (n_classes, n_classes): lines sum to 1, 0 on the diagonal.

    Weights of the answers are fitted until each is given as often as in ``counts`` (iterative proportional fitting).
    """
    wrong, answers = counts.sum(axis=1), counts.sum(axis=0)
    weights, off = answers / answers.sum(), ~np.eye(len(counts), dtype=bool)
    for _ in range(100):
        shares = weights * off / np.maximum((weights * off).sum(axis=1, keepdims=True), _LEAST)
        weights = weights * answers / np.maximum(wrong @ shares, 1e-12)
        weights = weights / weights.sum()
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), _LEAST)


def slice_excess(hits, rows, n_wrong, n_rows) -> np.ndarray:
    """How far a slice lies above chance: ``hits`` of its ``rows`` are wrong, ``n_wrong`` of all ``n_rows``; 0 below it.

    The root of the deviance (likelihood ratio) of the table of two by two, half a row taken off (Yates, 1934): by
    chance about a standard normal number, whatever the size of the slice. All may be arrays.
    """
    got, expected = hits - 0.5, rows * n_wrong / np.maximum(n_rows, 1)
    deviance = xlogy(got, got / np.maximum(expected, 1e-9))
    for there, by_chance in (
        (rows - got, rows - expected),
        (n_wrong - got, n_wrong - expected),
        (n_rows - rows - n_wrong + got, n_rows - rows - n_wrong + expected),
    ):
        deviance = deviance + xlogy(np.maximum(there, 0), np.maximum(there, 0) / np.maximum(by_chance, 1e-9))
    return np.where(got > expected, np.sqrt(np.maximum(2 * deviance, 0)), 0.0)


def least_lift(size: int, n_rows: int, n_wrong: int, critical: float, least: float = 1.0) -> float:
    """How many times as often as the rest a slice of ``size`` rows must be wrong to be found four times in five.

    It is found where its ``slice_excess`` is above ``critical`` and its error at least ``least`` times that of all. The
    number of wrong rows is held at ``n_wrong`` on average, and all numbers of wrong rows in the slice and beside it are
    counted (binomial). Returns a multiple of 0.1, rounded up, at most 99; NaN where no lift is enough.
    """
    rest = n_rows - size
    most = rest / (n_wrong - size) if n_wrong > size else 99.0  # then the slice is always wrong
    low, high = 10, int(10 * min(most, 99.0))
    if high <= low or _power(high / 10, size, rest, n_wrong, critical, least) < POWER:
        return np.nan
    while high - low > 1:
        middle = (low + high) // 2
        enough = _power(middle / 10, size, rest, n_wrong, critical, least) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high / 10


def _power(lift: float, size: int, rest: int, n_wrong: int, critical: float, least: float) -> float:
    error = n_wrong / (size * lift + rest)
    (hits, chance), (others, beside) = (_likely(size, min(lift * error, 1.0)), _likely(rest, error))
    hits, n_rows = hits[:, None], size + rest
    told = slice_excess(hits, size, hits + others, n_rows) > critical
    told &= hits / size >= least * (hits + others) / n_rows
    return float(chance @ told @ beside)


def _likely(n_rows: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of wrong rows that are likely, and the chance of each."""
    low, high = binom.ppf([1e-5, 1 - 1e-5], n_rows, share).astype(int)
    counts = np.arange(max(low, 0), high + 1)
    return counts, binom.pmf(counts, n_rows, share)
