"""Intervals against statsmodels and simulations with a known truth."""

import numpy as np
import pytest
from scipy.stats import binom, poisson, t
from statsmodels.stats.proportion import proportion_confint

from fusebook.evaluation import intervals


@pytest.mark.parametrize(("right", "n_rows"), [(0, 20), (20, 20), (7, 20), (3, 30), (4, 100), (970, 1000)])
def test_wilson_is_statsmodels(right, n_rows):
    made = intervals.wilson_interval(right / n_rows, n_rows)
    expected = proportion_confint(right, n_rows, method="wilson")
    np.testing.assert_allclose(made, expected, atol=1e-9)


@pytest.mark.parametrize(("right", "n_rows"), [(1, 1), (1, 20), (2, 50), (1, 1000), (3, 100)])
def test_the_end_of_a_handful_is_poissons(right, n_rows):
    """At which so many or more are as rare as 5 %; on the other side it is the mirror image."""
    low, high = intervals.wilson_interval(right / n_rows, n_rows)
    assert poisson.sf(right - 1, n_rows * low) == pytest.approx(0.05)
    assert high == pytest.approx(proportion_confint(right, n_rows, method="wilson")[1])
    assert intervals.wilson_interval(1 - right / n_rows, n_rows) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize("n_rows", [30, 100, 200, 2000])
@pytest.mark.parametrize("accuracy", [0.5, 0.75, 0.95, 0.99])
def test_shares_are_covered_exactly(n_rows, accuracy):
    """The exact chance to hold the truth, over all counts."""
    counts = np.arange(n_rows + 1)
    low, high = intervals.wilson_interval(counts / n_rows, n_rows)
    assert binom.pmf(counts, n_rows, accuracy)[(low <= accuracy) & (accuracy <= high)].sum() >= 0.938
    assert (low < high).all()


def test_wilson_takes_arrays_and_no_rows():
    low, high = intervals.wilson_interval([0.5, 0.0], [10, 0])
    assert low[1] == 0 and high[1] == 1 and 0 < low[0] < 0.5 < high[0] < 1


def test_shares_of_grouped_rows_are_covered():
    """30 speakers with 10 rows each, accuracy differing by speaker: the plain interval is far too narrow here."""
    rng, grouped, plain = np.random.default_rng(2), 0, 0
    groups = np.repeat(np.arange(30), 10)
    for _ in range(300):
        right = rng.random(300) < np.repeat(rng.beta(4, 1, 30), 10)  # true mean 0.8
        low, high = intervals.share_interval(right, groups)
        grouped += low <= 0.8 <= high
        low, high = intervals.share_interval(right)
        plain += low <= 0.8 <= high
    assert 0.93 <= grouped / 300 <= 0.98 and plain / 300 < 0.9


def test_copies_answered_alike_are_worth_one_row():
    """Student's t of the groups for the normal quantile; so too where all are right."""
    right, groups = np.repeat([1, 1, 0, 1, 1, 0, 1, 1, 0, 1], 4), np.repeat(np.arange(10), 4)
    quantile = t.ppf(0.975, 9)
    for values, share in ((right, 0.7), (np.ones(40), 1.0)):
        expected = intervals.wilson_interval(share, 10, quantile=quantile)
        np.testing.assert_allclose(intervals.share_interval(values, groups), expected)


def test_shares_of_some_rows_are_those_of_the_rows_alone():
    random = np.random.default_rng(3)
    right, counted, groups = random.random((60, 2)) < 0.7, random.random((60, 2)) < 0.5, np.arange(60) // 3
    made = np.transpose(intervals.share_intervals(right & counted, counted, groups))
    for i in range(2):
        some = counted[:, i]
        np.testing.assert_allclose(made[i], intervals.share_interval(right[some, i], groups[some]))
    assert np.transpose(intervals.share_intervals(np.zeros((5, 1)), np.zeros((5, 1)), np.zeros(5))).tolist() == [[0, 1]]


def test_weights_are_a_dirichlet_of_whole_groups():
    """Mean 1 and, of G groups of equal size, variance (G - 1) / (G + 1)."""
    groups = np.repeat(np.arange(12), 3)
    weights = np.vstack(list(intervals.draw_weights(36, groups, n_resamples=4000)))
    assert weights.shape == (4000, 36) and (weights[:, ::3] == weights[:, 1::3]).all()
    np.testing.assert_allclose(weights.sum(axis=1), 36, rtol=1e-5)
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.06)
    assert weights.var(axis=0).mean() == pytest.approx(11 / 13, rel=0.05)


@pytest.mark.parametrize("n_resamples", [10, 250, 700])
def test_sums_are_weights_times_columns(n_resamples):
    columns = np.random.default_rng(0).normal(size=(40, 3))
    weights = np.vstack(list(intervals.draw_weights(40, n_resamples=n_resamples)))
    made = intervals.resampled_sums(columns, n_resamples=n_resamples)
    np.testing.assert_allclose(made, weights @ columns, atol=1e-4)


def test_few_groups_stretch_an_interval_to_students():
    """Of a mean it becomes as wide as Student's interval, but leans to where the values are spread further."""
    values = np.random.default_rng(1).normal(size=12)
    draws = intervals.resampled_sums(values[:, None], n_resamples=20_000)[:, 0] / 12
    half = t.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
    low, high = intervals.stretched_interval(values.mean(), draws, 12)
    assert low < values.mean() < high and (high - low) / 2 == pytest.approx(half, rel=0.05)


def test_percentiles_leave_out_what_is_undefined():
    draws = np.column_stack([np.arange(101.0), np.full(101, np.nan)])
    low, high = intervals.percentile_interval(draws)
    assert (low[0], high[0]) == (2.5, 97.5) and np.isnan([low[1], high[1]]).all()


@pytest.mark.parametrize("groups", [np.arange(3), []])
def test_a_group_a_row_is_wanted(groups):
    with pytest.raises(ValueError, match=f"{len(groups)} groups for 150 rows; expected one group a row"):
        intervals.group_numbers(groups, 150)
    assert intervals.group_numbers(["b", "a", "b"], 3).tolist() == [1, 0, 1]
    assert intervals.group_numbers(None, 3).tolist() == [0, 1, 2]
