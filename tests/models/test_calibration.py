"""Temperature scaling against known factors, a grid search and scikit-learn's log loss."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from fusebook.models.calibration import calibrate, clean_probabilities, fit_temperature


def drawn(n_rows, n_classes, *, factor=1.0, seed=0):
    """Probabilities whose logits are ``factor`` times the true ones, and labels drawn by the true ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=(n_rows, n_classes))
    labels = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((n_rows, 1))).argmax(axis=1)
    return softmax(factor * logits, axis=1), labels


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_known_factor_is_recovered(factor, n_classes):
    probabilities, labels = drawn(20_000, n_classes, factor=factor)
    assert fit_temperature(probabilities, labels) == pytest.approx(factor, rel=0.06)
    restored = calibrate(probabilities, factor)
    true, _ = drawn(20_000, n_classes)
    np.testing.assert_allclose(restored, true, atol=2e-3)  # entries next to 0 were cut off at 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_best_of_a_fine_grid(seed):
    probabilities, labels = drawn(80, 4, factor=2.0, seed=seed)
    grid = np.exp(np.linspace(-3, 3, 2001))
    powers = probabilities ** (1 / grid[:, None, None])  # (n_temperatures, n_rows, n_classes)
    losses = -np.log((powers / powers.sum(axis=2, keepdims=True))[:, np.arange(80), labels]).mean(axis=1)
    penalised = 80 * losses + (np.log(grid) / 0.5) ** 2 / 2  # the weak prior on log(temperature)
    assert fit_temperature(probabilities, labels) == pytest.approx(grid[np.argmin(penalised)], rel=0.005)


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]], ids=["all right", "all wrong"])
def test_a_handful_of_rows_gives_no_extreme_temperature(labels):
    """Without the prior three rows, all right or all wrong, send the temperature to the end of its range, e^-3 or e^3."""
    probabilities = np.tile([0.7, 0.2, 0.1], (3, 1))
    temperature = fit_temperature(probabilities, np.array(labels))
    assert 0.5 < temperature < 2 and (temperature < 1) == (labels[0] == 0)


def test_without_rows_the_temperature_is_1():
    assert fit_temperature(np.empty((0, 3)), np.empty(0, int)) == 1


@pytest.mark.parametrize("seed", range(20))
def test_the_loss_on_the_fitting_rows_never_rises(seed):
    rng = np.random.default_rng(seed)
    n_rows, n_classes = rng.integers(1, 30), rng.integers(2, 6)
    probabilities = rng.dirichlet(np.full(n_classes, 0.1), n_rows)  # many entries next to 0 and 1
    labels = rng.integers(0, n_classes, n_rows)
    after = calibrate(probabilities, fit_temperature(probabilities, labels))
    losses = [log_loss(labels, np.clip(values, 1e-9, 1), labels=range(n_classes)) for values in (probabilities, after)]
    assert losses[1] <= losses[0] + 1e-5


@pytest.mark.parametrize("temperature", [0.05, 0.7, 1.0, 4.0, 20.0])
def test_the_ranking_stays_and_rows_sum_to_1(temperature):
    probabilities, _ = drawn(500, 6)
    made = calibrate(probabilities, temperature)
    np.testing.assert_array_equal(made.argsort(axis=1), probabilities.argsort(axis=1))
    np.testing.assert_allclose(made.sum(axis=1), 1, atol=1e-12)
    surer, tempered = made.max(axis=1), probabilities.max(axis=1)
    assert (surer >= tempered - 1e-9).all() if temperature <= 1 else (surer <= tempered + 1e-9).all()


def test_temperature_1_changes_nothing():
    probabilities, _ = drawn(100, 3)
    np.testing.assert_allclose(calibrate(probabilities, 1.0), probabilities, atol=1e-8)


@pytest.mark.parametrize("labels", [[0, 1, 2], [1, 2, 0], [0, 0, 2]], ids=["all right", "all wrong", "mixed"])
def test_entries_of_0_and_1_stay_finite(labels):
    certain = np.eye(3, dtype=np.float32)
    temperature = fit_temperature(certain, np.array(labels))
    made = calibrate(certain, temperature)
    assert np.exp(-3.01) < temperature < np.exp(3.01)
    assert np.isfinite(made).all() and (made >= 0).all() and np.isfinite(np.log(clean_probabilities(made))).all()
    np.testing.assert_allclose(made.sum(axis=1), 1, atol=1e-12)


def test_cleaning_keeps_what_is_clean_and_lifts_noughts():
    probabilities, _ = drawn(100, 4)
    single = probabilities.astype(np.float32)
    made = clean_probabilities(single)
    assert made.dtype == np.float64
    np.testing.assert_allclose(made.sum(axis=1), 1, atol=1e-15)
    np.testing.assert_allclose(made, probabilities, atol=1e-6)
    np.testing.assert_allclose(clean_probabilities([[1.0, 0.0]]), [[1 / (1 + 1e-9), 1e-9 / (1 + 1e-9)]], rtol=1e-12)
