"""The proofs of notebook 00 against hand-computed cases, SciPy and scikit-learn; and they must fail where the code is wrong."""

import warnings

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.metrics import log_loss

from fusebook.by_hand.network import ACTIVATIONS, Network


@pytest.fixture(scope="module")
def proofs():
    from fusebook.by_hand import proofs  # Keras takes seconds

    return proofs


def task() -> tuple[np.ndarray, np.ndarray]:
    """40 rows with 4 features, three classes."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(40, 4))
    return rows, np.eye(3)[(rows @ random.normal(size=(4, 3))).argmax(axis=1)]


def test_finite_differences_of_one_unit_by_hand(proofs):
    network = Network((1, 1), ("linear",), "half squared error")
    network.weights_[0][:] = 2.0
    slopes = proofs.finite_differences(network, np.array([[3.0]]), np.array([[1.0]]))
    # C = (w x + b - y)² / 2, so dC/dw = (w x + b - y) x = 5 · 3 and dC/db = 5.
    np.testing.assert_allclose([slopes[0].item(), slopes[1].item()], [15, 5], rtol=1e-8)
    assert network.weights_[0].item() == 2.0, "the network is as before"


def test_finite_differences_agree_with_scipys(proofs):
    rows, targets = task()
    network = Network((4, 5, 3), ("sigmoid", "softmax"))
    places = network.parameters_
    start = np.concatenate([values.ravel() for values in places])

    def loss(flat):
        ends = np.cumsum([values.size for values in places])[:-1]
        for values, new in zip(places, np.split(flat, ends), strict=True):
            values[:] = new.reshape(values.shape)
        return network.loss(network.forward(rows)[-1], targets) / len(rows)

    expected = approx_fprime(start, loss, 1e-7)
    loss(start)
    slopes = proofs.finite_differences(network, rows, targets)
    np.testing.assert_allclose(np.concatenate([values.ravel() for values in slopes]), expected, atol=1e-6)


def test_every_pair_of_activation_and_loss_is_checked_and_holds(proofs):
    table = proofs.gradient_table(random_state=3)
    assert len(table) == 9 and len(table.drop_duplicates(["hidden layers", "output", "loss"])) == 9
    assert (table["weights"] == 4 * 6 + 6 + 6 * 5 + 5 + 5 * 3 + 3).all()
    assert (table["largest difference"] < 1e-6).all() and (table["largest gradient"] > 1e-3).all()


@pytest.mark.parametrize("fault", ["sign", "factor", "slope"])
def test_the_table_shows_a_wrong_gradient(fault, proofs, monkeypatch):
    right = Network.backward

    def wrong(self, activations, targets):
        made = right(self, activations, targets)
        return {"sign": [made[0], -made[1], *made[2:]], "factor": [2 * made[0], *made[1:]]}.get(fault, made)

    if fault == "slope":
        function, _ = ACTIVATIONS["sigmoid"]
        monkeypatch.setitem(ACTIVATIONS, "sigmoid", (function, lambda a, slope: slope * a))
    monkeypatch.setattr(Network, "backward", wrong)
    assert proofs.gradient_table()["largest difference"].max() > 1e-3


def test_the_twin_is_what_keras_would_be_told(proofs):
    import keras

    names = ["sigmoid", "relu", "softmax"]
    network = Network((4, 6, 5, 3), names, learning_rate=0.02)
    twin = proofs.keras_twin(network)
    assert [layer.activation.__name__ for layer in twin.layers[1:]] == names
    for layer, weights in zip(twin.layers[1:], network.weights_, strict=True):
        np.testing.assert_allclose(layer.get_weights()[0], weights.T, rtol=1e-6)
    assert type(twin.optimizer) is keras.optimizers.Adam
    assert float(twin.optimizer.learning_rate.value) == pytest.approx(0.02)
    rows, targets = task()
    expected = log_loss(targets, twin.predict(rows, verbose=0))
    assert twin.evaluate(rows, targets, verbose=0) == pytest.approx(expected, rel=1e-4)


def test_keras_has_the_same_activations_and_gradients(proofs):
    network = Network((4, 6, 5, 3), ("sigmoid", "relu", "softmax"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = proofs.keras_table(network, *task())
    assert table.index.tolist() == [f"{kind} {i}" for kind in ("a", "dC/dW", "dC/db") for i in (1, 2, 3)]
    assert table["shape"].tolist()[:4] == ["40 × 6", "40 × 5", "40 × 3", "6 × 4"]
    assert (table["largest difference"] < 1e-5).all() and (table["largest number"] > 1e-3).all()


def test_keras_disagrees_with_a_wrong_gradient(proofs, monkeypatch):
    right = Network.backward
    monkeypatch.setattr(Network, "backward", lambda self, *given: [-g for g in right(self, *given)])
    table = proofs.keras_table(Network((4, 5, 3), ("relu", "softmax")), *task())
    assert (table.filter(like="dC", axis=0)["largest difference"] > 1e-3).all()
    assert (table.filter(like="a ", axis=0)["largest difference"] < 1e-5).all()
