"""The most extreme of many against brute force, SciPy and statsmodels, and made-up answers without any extreme."""

import numpy as np
import pytest
from scipy.stats import multinomial, power_divergence
from statsmodels.stats.proportion import proportion_confint

from fusebook.errors import extremes


@pytest.mark.parametrize(("hits", "n_rows"), [(0, 1), (0, 20), (3, 20), (20, 20), (50, 400)])
def test_the_exact_interval_is_statsmodels(hits, n_rows):
    made = extremes.exact_interval(hits / n_rows, n_rows)
    assert made == pytest.approx(proportion_confint(hits, n_rows, method="beta")) and made[0] < made[1]


def test_intervals_of_many_shares_are_wider_and_copies_count_once():
    assert extremes.shared_tail(1) == pytest.approx(0.025)
    assert (1 - 2 * extremes.shared_tail(20)) ** 20 == pytest.approx(0.95)
    assert extremes.effective_rows([1, 2, 3]) == 3 and extremes.effective_rows([1, 1, 2, 2]) == 2


def classes(right, sizes):
    """Labels and marks of classes of these sizes, of which so many rows are right."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return labels, np.concatenate([np.arange(size) < n for n, size in zip(right, sizes, strict=True)])


@pytest.mark.parametrize("copies", [1, 2])
def test_the_lowest_class_has_the_p_of_permutations_by_loops(copies):
    labels, right = classes([18, 13, 16], [20, 20, 20])
    random, labels, groups = np.random.default_rng(0), np.repeat(labels, copies), np.repeat(np.arange(60), copies)
    low = extremes.lowest_class(labels, np.repeat(right, copies), groups, 3)
    most = np.array([(~random.permutation(right)).reshape(3, 20).sum(axis=1).max() for _ in range(4000)])
    assert low.place == 1 and low.others == pytest.approx(34 / 40)
    assert low.p == pytest.approx((most >= 7).mean(), abs=0.04)
    assert low.rows == 20 * copies and 0.2 < low.least < 0.7


def test_groups_of_two_sizes_and_of_two_labels_are_dealt_whole():
    labels, right = classes([30, 30, 20], [40, 40, 40])
    groups = np.r_[np.arange(60) // 2, 100 + np.arange(60)]
    groups[[0, 119]] = 500
    low = extremes.lowest_class(labels, right, groups, 4)
    assert low.place == 2 and 0 < low.p < 1


def test_a_class_of_one_wrong_row_is_no_weak_class():
    labels, right = classes([50, 50, 0], [60, 60, 1])
    assert extremes.lowest_class(labels, right, None, 3).p > 0.3
    assert np.isnan(extremes.lowest_class(*classes([0, 1, 1], [1, 1, 1]), None, 3).least)


def test_marks_are_dealt_as_without_replacement():
    free = np.tile([5, 0, 3, 2], (4000, 1))
    dealt = extremes._dealt(free, 4, np.random.default_rng(1))
    assert (dealt.sum(axis=1) == 4).all() and (dealt <= free).all()
    np.testing.assert_allclose(dealt.mean(axis=0), 0.4 * np.array([5, 0, 3, 2]), atol=0.06)


def answers_of(counts):
    """Labels and answers of a table of counts, labels as lines."""
    labels, predicted = np.indices(np.shape(counts)).reshape(2, -1)
    return np.repeat(labels, np.ravel(counts)), np.repeat(predicted, np.ravel(counts))


def test_a_pair_is_set_against_the_mistakes_that_could_be_it():
    pair = extremes.furthest_pair(*answers_of([[9, 12, 1, 1], [2, 9, 2, 2], [3, 1, 9, 3], [2, 2, 2, 9]]), None, 4)
    assert pair[:4] == (0, 1, 12 / 14, 3 / 13) and pair.p < 0.05 and pair.least <= 12


def test_copies_of_one_mistake_are_one():
    table = [[9, 9, 1, 1], [2, 9, 2, 2], [2, 1, 9, 3], [2, 2, 2, 9]]
    labels, predicted = answers_of(table)
    groups = np.arange(len(labels))
    assert extremes.furthest_pair(labels, predicted, groups, 4).p < 0.2
    groups[(labels == 0) & (predicted == 1)] = 0
    assert extremes.furthest_pair(labels, predicted, groups, 4)[:2] != (0, 1)


@pytest.mark.parametrize("table", [[[9, 1, 0], [0, 9, 0], [0, 0, 9]], [[9, 3, 0], [0, 9, 0], [0, 4, 9]]])
def test_one_mistake_or_one_wrong_answer_tells_no_pair(table):
    assert extremes.furthest_pair(*answers_of(table), None, 3) is None


def test_chance_gives_each_wrong_answer_as_often_as_it_is_given():
    counts = np.array([[0, 6, 2], [1, 0, 5], [8, 3, 0]])
    shares = extremes._chance_shares(counts)
    np.testing.assert_allclose(counts.sum(axis=1) @ shares, counts.sum(axis=0), rtol=1e-4)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (np.diag(shares) == 0).all()


def test_the_excess_of_a_slice_is_the_root_of_scipys_deviance():
    expected = np.array([[30, 170], [70, 730]]) * 1.0
    expected = expected.sum(axis=1, keepdims=True) * expected.sum(axis=0) / 1000
    table = np.array([[29.5, 170.5], [70.5, 729.5]])
    deviance = power_divergence(table.ravel(), expected.ravel(), lambda_="log-likelihood").statistic
    assert extremes.slice_excess(30, 200, 100, 1000) == pytest.approx(np.sqrt(deviance))
    assert extremes.slice_excess(20, 200, 100, 1000) == 0 == extremes.slice_excess(0, 200, 0, 1000)


@pytest.mark.parametrize(("size", "n_rows", "n_wrong"), [(20, 203, 20), (100, 1000, 150), (300, 3000, 90)])
def test_the_lift_that_is_said_is_found_four_times_in_five(size, n_rows, n_wrong):
    lift, random = extremes.least_lift(size, n_rows, n_wrong, 3.3, 1.2), np.random.default_rng(0)
    powers = []
    for times in (lift, lift - 0.2):
        error = n_wrong / (size * times + n_rows - size)
        hits, others = random.binomial(size, min(error * times, 1), 4000), random.binomial(n_rows - size, error, 4000)
        powers.append((extremes.slice_excess(hits, size, hits + others, n_rows) > 3.3).mean())
    assert powers[0] > 0.78 > powers[1] - 0.06


@pytest.mark.parametrize(("size", "n_rows", "n_wrong"), [(20, 203, 0), (20, 203, 203), (20, 203, 3), (10, 12, 6)])
def test_where_nothing_can_be_found_no_lift_is_said(size, n_rows, n_wrong):
    assert np.isnan(extremes.least_lift(size, n_rows, n_wrong, 3.3))


def test_equal_classes_and_mistakes_by_chance_are_hardly_ever_told():
    """Many draws of more kinds are in benchmarks/truths/extremes.py."""
    told, shares = [], np.array([[0.85, 0.05, 0.05, 0.05]] * 4)
    for place in range(4):
        shares[place] = np.roll(shares[0], place)
    for seed in range(20):
        random = np.random.default_rng(seed)
        counts = np.array([multinomial.rvs(50, share, random_state=random) for share in shares])
        labels, predicted = answers_of(counts)
        pair = extremes.furthest_pair(labels, predicted, None, 4)
        told.append((extremes.lowest_class(labels, labels == predicted, None, 4).p < 0.05, pair and pair.p < 0.05))
    assert np.sum([one for one, _ in told]) <= 4 and np.sum([bool(two) for _, two in told]) <= 4
