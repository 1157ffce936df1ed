"""What models answer and cost, against NumPy, SciPy and hand-made scores."""

import keras
import numpy as np
import pytest
from scipy.special import softmax

from fusebook.evaluation.scores import cost_table, score_table
from fusebook.models import baselines
from fusebook.models.baselines import Measured, array_bytes, measure, measure_network


def test_size_is_that_of_the_file_on_disk(tmp_path):
    arrays = [np.arange(12.0).reshape(3, 4), np.ones(5, np.float32)]
    np.savez(tmp_path / "arrays.npz", *arrays)
    assert array_bytes(iter(arrays)) == (tmp_path / "arrays.npz").stat().st_size


def test_unlearnt_classes_have_probability_0_and_their_rows_no_say_in_the_temperature():
    random = np.random.default_rng(0)
    labels = np.tile([1, 3, 2], 40)
    splits = {"validation": np.arange(120) < 60, "test": np.arange(120) >= 60}
    margins = random.normal(size=(120, 2)) + 2 * np.eye(2)[(labels == 3).astype(int)]

    def measured(labels):
        options = {"classes": np.array([1, 3]), "n_classes": 4, "seconds": 1.5, "n_bytes": 7}
        return measure(lambda part: margins[splits[part]], labels, splits, **options)

    made = measured(labels)
    known = splits["validation"] & (labels != 2)
    expected = baselines.margins_to_probabilities(
        margins[splits["test"]], margins[known], (labels[known] == 3).astype(int)
    )
    np.testing.assert_allclose(made.test[:, [1, 3]], expected)
    assert not made.test[:, [0, 2]].any() and not made.validation[:, [0, 2]].any()
    assert (made.seconds, made.n_bytes) == (1.5, 7)
    # Where no validation row has a learnt class, the margins count as they are.
    np.testing.assert_allclose(measured(np.full(120, 2)).test[:, [1, 3]], softmax(margins[splits["test"]], axis=1))


def test_two_classes_may_have_one_margin():
    margins = np.array([-2.0, -1.0, 1.0, 3.0, 0.5, -0.5])
    splits = {"validation": np.arange(6) < 4, "test": np.arange(6) >= 4}
    options = {"classes": np.arange(2), "n_classes": 2, "seconds": 0.0, "n_bytes": 0}
    made = measure(lambda part: margins[splits[part]], np.array([0, 0, 1, 1, 1, 0]), splits, **options)
    assert made.test.argmax(axis=1).tolist() == [1, 0]
    none = {"validation": np.zeros(6, bool), "test": splits["test"]}
    raw = measure(lambda part: margins[none[part]], np.zeros(6, int), none, **options)
    np.testing.assert_allclose(raw.test[:, 1], 1 / (1 + np.exp(-2 * margins[4:])))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_network_is_counted_without_its_optimiser(optimizer):
    text = keras.Input((3,), name="text")
    network = keras.Model({"text": text}, keras.layers.Dense(2, activation="softmax")(text))
    network.compile(optimizer, "categorical_crossentropy")
    network.optimizer.build(network.trainable_variables)
    features = np.random.default_rng(1).normal(size=(30, 3)).astype(np.float32)
    splits = {"validation": np.arange(30) < 10, "test": np.arange(30) >= 10}
    labels = np.arange(30) % 2
    kernel, bias = network.get_weights()
    made = measure_network(network, {"text": features}, labels, splits, 2.5)
    margins = features @ kernel + bias
    expected = baselines.margins_to_probabilities(
        margins[splits["test"]], margins[splits["validation"]], labels[splits["validation"]]
    )
    np.testing.assert_allclose(made.test, expected, atol=1e-6)
    assert made.n_bytes == array_bytes([kernel, bias])
    assert made.seconds == 2.5 and made.rows_a_second > 0


def test_the_table_shows_costs_beside_scores_and_a_dash_where_they_are_unknown():
    answer = np.tile([0.8, 0.2], (10, 1))
    scores = score_table({"majority": answer, "linear SVM": answer, "fusion": answer}, np.zeros(10, int))
    made = cost_table(
        scores,
        {
            "linear SVM": Measured(answer, answer, 1.234, 123_456.7, 13_662_310),
            "majority": Measured(answer, answer, 0.0, float("nan"), 280),
        },
    )
    assert list(made.columns[:3]) == ["accuracy", "macro_f1", "log_loss"]
    assert list(made.index) == ["majority", "linear SVM", "fusion"]
    costs = ["seconds to fit", "rows a second", "kB on disk"]
    assert made.loc["linear SVM", costs].tolist() == ["1.23", "120,000", "13,662.3"]
    assert made.loc["majority", costs].tolist() == ["0.00", "–", "0.3"]
    assert made.loc["fusion", costs].tolist() == ["–", "–", "–"]
