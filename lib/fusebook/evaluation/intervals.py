"""How sure is a score? Rows weighted anew again and again, and intervals that also hold near 100 %.

Notebook 04_error_analysis tells the story.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse
from scipy.stats import chi2, norm, t

_CHUNK = 25_000_000  # weights held at a time: 100 MB
_QUANTILE = float(norm.ppf(0.975))


def wilson_interval(share, n_rows, *, quantile=_QUANTILE) -> tuple[np.ndarray, np.ndarray]:
    """Low and high end of the 95 % score interval of a share (Wilson, 1927); from 0 to 1 where there are no rows.

    Where at most three rows (two of up to 50) are on one side, the end on that side is the Poisson one that Brown, Cai
    and DasGupta (2001) put in its place: there Wilson's covers as little as 84 %. ``share``, ``n_rows`` and
    ``quantile`` may be arrays; ``n_rows`` may be an effective number, which need not be whole.
    """
    share, n_rows = np.asarray(share, float), np.asarray(n_rows, float)
    safe = np.where(n_rows > 0, n_rows, 1.0)
    ratio = quantile**2 / safe
    middle = (share + ratio / 2) / (1 + ratio)
    half = np.sqrt(ratio * share * (1 - share) + ratio**2 / 4) / (1 + ratio)
    low = np.minimum(np.clip(middle - half, 0, share), _end_of_few(share, safe))
    high = np.maximum(np.clip(middle + half, share, 1), 1 - _end_of_few(1 - share, safe))
    return np.where(n_rows > 0, low, 0.0), np.where(n_rows > 0, high, 1.0)


def _end_of_few(share: np.ndarray, n_rows: np.ndarray) -> np.ndarray:
    """The low end of a share that is a handful of rows, from Poisson's law; 1, which is no bound, where it is more."""
    count = share * n_rows
    few = count <= np.where(n_rows > 50, 3, 2) + 1e-9
    low = chi2.ppf(0.05, 2 * np.maximum(count, 1e-9)) / 2 / n_rows
    return np.where(few, np.where(count > 1e-9, low, 0.0), 1.0)


def group_numbers(groups, n_rows: int) -> np.ndarray:
    """A number from 0 on for each row's group, shape (n_rows,); every row for itself where ``groups`` is None.

    Raises ValueError where there is not one group a row.
    """
    if groups is None:
        return np.arange(n_rows)
    if len(groups) != n_rows:
        raise ValueError(f"{len(groups)} groups for {n_rows} rows; expected one group a row.")
    return np.unique(np.asarray(groups), return_inverse=True)[1]


def draw_weights(n_rows: int, groups=None, *, n_resamples: int = 2000, random_state: int = 42) -> Iterator[np.ndarray]:
    """The weight of each row in each draw of a Bayesian bootstrap (Rubin, 1981), in chunks of shape (n, n_rows), float32.

    The weights of a draw are exponential and sum to ``n_rows``. With ``groups`` (copies of one text, one speaker's
    sounds) all rows of a group have one weight. Labels are not held: other rows would have other labels too.
    """
    units = group_numbers(groups, n_rows)
    random, chunk = np.random.default_rng(random_state), int(np.clip(_CHUNK // n_rows, 1, 250))
    for start in range(0, n_resamples, chunk):
        shape = min(chunk, n_resamples - start), units.max() + 1
        drawn = random.standard_exponential(shape, dtype=np.float32)
        drawn = drawn if groups is None else drawn[:, units]
        drawn *= n_rows / drawn.sum(axis=1, keepdims=True)
        yield drawn


def resampled_sums(columns, groups=None, **options) -> np.ndarray:
    """The weighted column sums of each draw: ``columns`` (n_rows, n_columns), sparse or not, to (n_resamples, n_columns).

    ``options`` are those of ``draw_weights``.
    """
    columns = sparse.csr_array(columns).astype(np.float32)
    turned = columns.T  # row by row of ``columns``: each row's weights are read once
    made = [(turned @ weights.T).T for weights in draw_weights(columns.shape[0], groups, **options)]
    return np.vstack(made)


def percentile_interval(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % percentile interval of resampled values of shape (n_resamples, …); NaN where all draws are NaN."""
    draws = np.asarray(draws, float)
    whole = np.where(np.isnan(draws).all(axis=0), 0.0, draws)
    low, high = np.nanpercentile(whole, [2.5, 97.5], axis=0)
    empty = np.isnan(draws).all(axis=0)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def stretched_interval(value: float, draws: np.ndarray, n_groups: int) -> tuple[float, float]:
    """The percentile interval of ``draws`` about ``value``, wider where groups are few; NaN where all draws are NaN.

    The spread of a Bayesian bootstrap is that of n + 1 rows where n - 1 are worth counting, and Student's t belongs to
    as many groups. ``value`` lies always within.
    """
    low, high = percentile_interval(draws)
    stretch = _t_quantile(n_groups) / _QUANTILE * np.sqrt((n_groups + 1) / max(n_groups - 1, 1))
    return float(value - stretch * max(value - low, 0)), float(value + stretch * max(high - value, 0))


def _t_quantile(n_groups):
    return t.ppf(0.975, np.maximum(n_groups - 1, 1))


def share_interval(right: np.ndarray, groups=None) -> tuple[float, float]:
    """The 95 % interval of the share of true values in ``right``, shape (n_rows,): see ``share_intervals``."""
    right = np.asarray(right, float)[:, None]
    low, high = share_intervals(right, np.ones_like(right), groups)
    return float(low[0]), float(high[0])


def share_intervals(right, counted, groups=None) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % intervals of shares: of the rows ``counted`` in each column those that are ``right``.

    ``right`` and ``counted`` are 0 or 1, of shape (n_rows, n_columns), sparse or not; the ends have shape (n_columns,).
    Without groups Wilson's interval. With groups rows resemble each other, so they count for fewer: the variance of
    the share over groups against that of independent rows gives the effective number of rows for Wilson's formula, and
    Student's t replaces the normal quantile where groups are few (Korn and Graubard, 1998). Without any spread among
    the groups, each counts as one row of its size. From 0 to 1 where no row is counted.
    """
    right, counted = sparse.csr_array(right), sparse.csr_array(counted)
    n_counted = counted.sum(axis=0)
    share = right.sum(axis=0) / np.maximum(n_counted, 1)
    units = group_numbers(groups, right.shape[0])
    if groups is None or np.bincount(units).max() == 1:
        return wilson_interval(share, n_counted)
    members = sparse.csr_array((np.ones(len(units)), (units, np.arange(len(units)))))
    sizes = (members @ counted).toarray()
    spread = (((members @ right).toarray() - share * sizes) ** 2).sum(axis=0)
    alike = n_counted**2 / np.maximum((sizes**2).sum(axis=0), 1)
    effective = np.divide(share * (1 - share) * n_counted**2, spread, out=alike, where=spread > 1e-9)
    quantile = _t_quantile((sizes > 0).sum(axis=0))
    return wilson_interval(share, np.minimum(effective, n_counted), quantile=quantile)
