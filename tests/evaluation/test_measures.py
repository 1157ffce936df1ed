"""Measures of classifiers against scikit-learn, NumPy and cases by hand."""

import numpy as np
import pytest
from guesses import certain, guesses
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    top_k_accuracy_score,
)

from fusebook.evaluation.measures import (
    MEASURES,
    chance_error,
    imagined_rows,
    measures_of,
    measures_of_sums,
    row_columns,
)


def calibration_error(probabilities, labels):
    """By its definition: the gap between mean confidence and accuracy in each of ten bins, weighted by rows."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.digitize(confidence, np.linspace(0, 1, 11)[1:-1])
    gaps = [abs(confidence[bins == i].sum() - right[bins == i].sum()) for i in np.unique(bins)]
    return sum(gaps) / len(labels)


@pytest.mark.parametrize(
    ("n_classes", "classes", "never"),
    [(2, None, None), (5, None, None), (200, None, None), (4, [0, 2], None), (4, None, 3), (4, [0, 1, 2], 3)],
    ids=["2", "5", "200", "classes without rows", "never predicted", "neither"],
)
def test_measures_are_scikit_learns(n_classes, classes, never):
    probabilities, labels = guesses(400, n_classes, classes=classes)
    if never is not None:
        probabilities[:, never] = 0
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    made, predicted = measures_of(probabilities, labels), probabilities.argmax(axis=1)
    expected = {
        "accuracy": accuracy_score(labels, predicted),
        "macro_f1": f1_score(labels, predicted, average="macro", zero_division=0),
        "weighted_f1": f1_score(labels, predicted, average="weighted", zero_division=0),
        "kappa": cohen_kappa_score(labels, predicted), "mcc": matthews_corrcoef(labels, predicted),
        "brier": ((probabilities - np.eye(n_classes)[labels]) ** 2).sum(axis=1).mean(),
        "ece": calibration_error(probabilities, labels),
    }  # fmt: skip
    if n_classes > 2:
        for k in (2, 3):
            expected[f"top_{k}"] = top_k_accuracy_score(labels, probabilities, k=k, labels=range(n_classes))
    if never is None:
        expected["log_loss"] = log_loss(labels, probabilities, labels=range(n_classes))
    assert list(made) == MEASURES
    for name, value in expected.items():
        assert made[name] == pytest.approx(value, abs=1e-6), name


def test_macro_f1_by_hand():
    labels, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    made = measures_of(certain(predicted, 3), labels)
    assert made["accuracy"] == 0.75
    assert made["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)  # class 2 is neither there nor predicted
    assert made["log_loss"] == pytest.approx(-(3 * np.log(0.9) + np.log(0.05)) / 4)


def test_a_probability_of_0_gives_a_finite_loss():
    assert measures_of(np.eye(2), np.array([1, 0]))["log_loss"] == pytest.approx(-np.log(1e-12))


def test_of_two_classes_the_second_guess_is_always_right():
    made = measures_of(*guesses(30, 2))
    assert made["top_2"] == made["top_3"] == 1


def test_equal_probabilities_rank_in_class_order():
    made = measures_of(np.full((4, 4), 0.25), np.arange(4))
    assert (made["accuracy"], made["top_2"], made["top_3"]) == (0.25, 0.5, 0.75)


def test_rows_drawn_twice_count_twice():
    """Sums weighted by how often a row is drawn give the measures of the rows drawn."""
    probabilities, labels = guesses(80)
    counts = np.random.default_rng(0).integers(0, 3, 80)
    made = measures_of_sums(counts @ row_columns(probabilities, labels), 4)
    drawn = np.repeat(np.arange(80), counts)
    for name, value in measures_of(probabilities[drawn], labels[drawn]).items():
        assert made[name] == pytest.approx(value), name


def test_calibration_error_by_hand():
    confidence = np.array([0.95, 0.93, 0.91, 0.65, 0.61, 1.0, 0.72])
    labels = np.array([1, 1, 0, 0, 1, 1, 1])
    made = measures_of(np.column_stack([1 - confidence, confidence]), labels)
    assert made["ece"] == pytest.approx((2 * 0.13 + 1 * 0.28 + 4 * 0.1975) / 7)  # too modest counts as too sure does
    assert measures_of(np.eye(3), np.array([1, 2, 0]))["ece"] == 1


def test_copies_answered_alike_show_more_by_chance():
    """What 50 rows show, not what 200 do."""
    confidence = np.random.default_rng(0).uniform(0.5, 1, 50)
    copied, groups = np.repeat(confidence, 4), np.repeat(np.arange(50), 4)
    np.testing.assert_allclose(chance_error(copied, groups), chance_error(confidence))
    assert chance_error(copied)[0] < 0.6 * chance_error(confidence)[0]


def test_imagined_rows_are_half_wrong_and_unsure_ones():
    """Two rows: a wrong answer about the unsure one is likelier by far."""
    answers = np.repeat([[0.9, 0.1], [0.6, 0.4]], 50, axis=0)
    made, labels = imagined_rows(answers, np.zeros(100, int), np.random.default_rng(0), count=400)
    right = made.argmax(axis=1) == labels
    assert not right[:400].any() and right[400:].all()
    assert (made[:400, 0] == 0.6).mean() > 0.6 > 0.55 > (made[400:, 0] == 0.6).mean()
    _, few = imagined_rows(np.eye(3), np.arange(3), np.random.default_rng(0), most=2)
    assert len(few) == 100, "a model that is quite sure, and fewer rows than there are"


def test_a_calibrated_model_stays_below_the_error_of_chance():
    """In 39 of 40 tests of 300 rows; of 20,000 rows hardly any error is left."""
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 300)
    probabilities, limit = np.column_stack([1 - confidence, confidence]), chance_error(confidence)[1]
    errors = [measures_of(probabilities, (rng.random(300) < confidence).astype(int))["ece"] for _ in range(250)]
    assert 0.94 <= np.mean(np.array(errors) <= limit) < 1
    probabilities = rng.dirichlet(np.ones(3), 20_000)
    labels = (probabilities.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    assert measures_of(probabilities, labels)["ece"] < 0.02
