"""Intervals against statsmodels and simulations with a known truth."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from fusebook.evaluation import intervals


@pytest.mark.parametrize(("right", "n_rows"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (970, 1000)])
def test_wilson_is_statsmodels(right, n_rows):
    made = intervals.wilson_interval(right / n_rows, n_rows)
    expected = proportion_confint(right, n_rows, method="wilson")
    np.testing.assert_allclose(made, expected, atol=1e-9)


def test_wilson_takes_arrays_and_no_rows():
    low, high = intervals.wilson_interval([0.5, 0.0], [10, 0])
    assert low[1] == 0 and high[1] == 1 and 0 < low[0] < 0.5 < high[0] < 1


@pytest.mark.parametrize("accuracy", [0.7, 0.9, 0.97, 0.99])
def test_shares_of_200_rows_are_covered(accuracy):
    rng = np.random.default_rng(1)
    ends = [intervals.share_interval(rng.random(200) < accuracy) for _ in range(2000)]
    assert 0.93 <= np.mean([low <= accuracy <= high for low, high in ends]) <= 0.97


def test_shares_of_grouped_rows_are_covered():
    """30 speakers with 10 rows each, accuracy differing by speaker: the plain interval is far too narrow here."""
    rng, grouped, plain = np.random.default_rng(2), 0, 0
    groups = np.repeat(np.arange(30), 10)
    labels = rng.integers(0, 3, 300)
    for seed in range(300):
        right = rng.random(300) < np.repeat(rng.beta(4, 1, 30), 10)  # true mean 0.8
        sums = intervals.resampled_sums(right[:, None], labels, groups, n_resamples=250, random_state=seed)
        low, high = intervals.share_interval(right, groups, sums[:, 0] / 300)
        grouped += low <= 0.8 <= high
        low, high = intervals.share_interval(right)
        plain += low <= 0.8 <= high
    assert 0.92 <= grouped / 300 <= 0.98 and plain / 300 < 0.9


def test_without_spread_a_group_is_worth_one_row():
    right, groups = np.ones(40), np.repeat(np.arange(10), 4)
    low, high = intervals.share_interval(right, groups, np.ones(100))
    assert high == 1 and low < proportion_confint(10, 10, method="wilson")[0] + 1e-9


@pytest.mark.parametrize("n_resamples", [10, 250, 700])
def test_each_label_keeps_its_rows(n_resamples):
    labels = np.repeat([0, 1, 2], [50, 3, 20])
    weights = np.vstack(list(intervals.draw_weights(labels, n_resamples=n_resamples)))
    assert weights.shape == (n_resamples, 73)
    for label, size in ((0, 50), (1, 3), (2, 20)):
        assert (weights[:, labels == label].sum(axis=1) == size).all()
    assert weights.mean() == pytest.approx(1)


def test_groups_are_drawn_whole():
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array(["a", "a", "b", "c", "c", "d"])
    weights = np.vstack(list(intervals.draw_weights(labels, groups)))
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 2] == 2).all(), "within a label, where no group has two"
    mixed = np.vstack(list(intervals.draw_weights(labels, np.array([0, 0, 1, 1, 2, 2]))))
    assert (mixed[:, ::2].sum(axis=1) == 3).all() and len(np.unique(mixed[:, 0])) == 4


def test_sums_are_weights_times_columns():
    rng = np.random.default_rng(0)
    columns, labels = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)
    weights = np.vstack(list(intervals.draw_weights(labels, n_resamples=300)))
    made = intervals.resampled_sums(columns, labels, n_resamples=300)
    np.testing.assert_allclose(made, weights @ columns, atol=1e-4)


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
