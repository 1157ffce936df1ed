"""How sure is a score? Test rows drawn again and again, and intervals that also hold near 100 %.

Notebook 04_error_analysis tells the story.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse
from scipy.stats import norm, t

_CHUNK = 250  # resamples held at a time: 10 MB for 10,000 rows
_QUANTILE = float(norm.ppf(0.975))


def wilson_interval(share, n_rows, *, quantile: float = _QUANTILE) -> tuple[np.ndarray, np.ndarray]:
    """Low and high end of the 95 % score interval of a share (Wilson, 1927); from 0 to 1 where there are no rows.

    Unlike a percentile interval it does not shrink to a point where every row is right. ``share`` and ``n_rows`` may
    be arrays; ``n_rows`` may be an effective number, which need not be whole.
    """
    share, n_rows = np.asarray(share, float), np.asarray(n_rows, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = quantile**2 / n_rows
        middle = (share + ratio / 2) / (1 + ratio)
        half = np.sqrt(ratio * share * (1 - share) + ratio**2 / 4) / (1 + ratio)
    low, high = np.clip(middle - half, 0, share), np.clip(middle + half, share, 1)
    return np.where(n_rows > 0, low, 0.0), np.where(n_rows > 0, high, 1.0)


def group_numbers(groups, n_rows: int) -> np.ndarray:
    """A number from 0 on for each row's group, shape (n_rows,); every row for itself where ``groups`` is None.

    Raises ValueError where there is not one group a row.
    """
    if groups is None:
        return np.arange(n_rows)
    if len(groups) != n_rows:
        raise ValueError(f"{len(groups)} groups for {n_rows} rows; expected one group a row.")
    return np.unique(np.asarray(groups), return_inverse=True)[1]


def draw_weights(
    labels: np.ndarray, groups=None, *, n_resamples: int = 2000, random_state: int = 42
) -> Iterator[np.ndarray]:
    """How often each row is drawn in each bootstrap resample (Efron, 1979), in chunks of shape (n, n_rows), float32.

    Rows are drawn with replacement within each label. With ``groups`` (copies of one text, one speaker's sounds) whole
    groups are drawn, within each label too where no group has two labels.
    """
    units = group_numbers(groups, len(labels))
    strata = _strata(units, np.asarray(labels))
    random = np.random.default_rng(random_state)
    for start in range(0, n_resamples, _CHUNK):
        size = min(_CHUNK, n_resamples - start)
        drawn = np.zeros((size, units.max() + 1), np.float32)
        for members in strata:
            picks = random.integers(len(members), size=(size, len(members)))
            picks += len(members) * np.arange(size)[:, None]
            counts = np.bincount(picks.ravel(), minlength=size * len(members))
            drawn[:, members] = counts.reshape(size, -1)
        yield drawn if groups is None else drawn[:, units]


def _strata(units: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Which units are drawn from one pot: those of one label, or all where a unit has several labels."""
    first = np.unique(units, return_index=True)[1]
    of_unit = labels[first]
    if (of_unit[units] != labels).any():
        return [np.arange(len(first))]
    return [np.flatnonzero(of_unit == label) for label in np.unique(of_unit)]


def resampled_sums(columns, labels: np.ndarray, groups=None, **options) -> np.ndarray:
    """The column sums of each resample: ``columns`` (n_rows, n_columns), sparse or not, to (n_resamples, n_columns)."""
    columns = sparse.csr_array(columns).astype(np.float32)
    turned = columns.T  # row by row of ``columns``: each row's weights are read once
    made = [(turned @ weights.T).T for weights in draw_weights(labels, groups, **options)]
    return np.vstack(made)


def percentile_interval(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % percentile interval of resampled values of shape (n_resamples, …); NaN where all draws are NaN."""
    draws = np.asarray(draws, float)
    whole = np.where(np.isnan(draws).all(axis=0), 0.0, draws)
    low, high = np.nanpercentile(whole, [2.5, 97.5], axis=0)
    empty = np.isnan(draws).all(axis=0)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def share_interval(right: np.ndarray, groups=None, draws: np.ndarray | None = None) -> tuple[float, float]:
    """The 95 % interval of the share of true values in ``right``, shape (n_rows,).

    Without groups Wilson's interval. With groups rows resemble each other, so they count for fewer: the variance of
    the share over resampled groups (``draws``, shape (n_resamples,)) against that of independent rows gives the
    effective number of rows for Wilson's formula, and Student's t replaces the normal quantile where groups are few
    (Korn and Graubard, 1998). Without any spread among the draws, each group counts as one row of its size.
    """
    right = np.asarray(right, float)
    units = group_numbers(groups, len(right))
    sizes = np.bincount(units)
    if groups is None or sizes.max() == 1:
        low, high = wilson_interval(right.mean(), len(right))
        return float(low), float(high)
    share, effective = right.mean(), len(right) ** 2 / (sizes**2).sum()
    if draws is not None and draws.std() > 0:
        effective = share * (1 - share) / draws.var()
    quantile = float(t.ppf(0.975, max(len(sizes) - 1, 1)))
    low, high = wilson_interval(share, min(effective, len(right)), quantile=quantile)
    return float(low), float(high)
