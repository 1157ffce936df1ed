"""The experiments of notebook 00: hand-computed cases, SciPy, scikit-learn and Keras itself as references."""

import warnings

import fusebook  # noqa: F401  before Keras, which asks for its backend when it is imported

# isort: split
import keras
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime
from sklearn.datasets import make_moons
from sklearn.metrics import log_loss, root_mean_squared_error

from fusebook.by_hand import lessons
from fusebook.by_hand.network import ACTIVATIONS, Network, adam, momentum


def moons(n_rows=300, seed=0):
    points, labels = make_moons(n_rows, noise=0.15, random_state=seed)
    half = n_rows // 2
    return (points[:half], labels[:half]), (points[half:], labels[half:])


def task(n_rows=40, n_inputs=4, n_classes=3, seed=0):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n_rows, n_inputs))
    return rows, np.eye(n_classes)[(rows @ random.normal(size=(n_inputs, n_classes))).argmax(axis=1)]


# --- Proofs -------------------------------------------------------------------------------------------


def test_finite_differences_of_one_unit_by_hand():
    network = Network((1, 1), ("linear",), "half squared error")
    network.weights_[0][:] = 2.0
    found = lessons.finite_differences(network, np.array([[3.0]]), np.array([[1.0]]))
    # C = (w x + b - y)² / 2, so dC/dw = (w x + b - y) x = 5 · 3 and dC/db = 5.
    np.testing.assert_allclose([found[0].item(), found[1].item()], [15, 5], rtol=1e-8)
    assert network.weights_[0].item() == 2.0, "the network is as before"


def test_finite_differences_agree_with_scipys():
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
    found = lessons.finite_differences(network, rows, targets)
    np.testing.assert_allclose(np.concatenate([values.ravel() for values in found]), expected, atol=1e-6)


def test_every_pair_of_activation_and_loss_is_checked_and_holds():
    table = lessons.gradient_table(random_state=3)
    assert len(table) == 9 and len(table.drop_duplicates(["hidden layers", "output", "loss"])) == 9
    assert (table["weights"] == 4 * 6 + 6 + 6 * 5 + 5 + 5 * 3 + 3).all()
    assert (table["largest difference"] < 1e-6).all() and (table["largest gradient"] > 1e-3).all()


@pytest.mark.parametrize("fault", ["sign", "factor", "slope"])
def test_the_table_shows_a_wrong_gradient(fault, monkeypatch):
    right = Network.backward

    def wrong(self, activations, targets):
        made = right(self, activations, targets)
        return {"sign": [made[0], -made[1], *made[2:]], "factor": [2 * made[0], *made[1:]]}.get(fault, made)

    if fault == "slope":
        function, _ = ACTIVATIONS["sigmoid"]
        monkeypatch.setitem(ACTIVATIONS, "sigmoid", (function, lambda a, slope: slope * a))
    monkeypatch.setattr(Network, "backward", wrong)
    table = lessons.gradient_table()
    assert table["largest difference"].max() > 1e-3


@pytest.mark.parametrize("optimizer", [adam, momentum])
@pytest.mark.parametrize(
    ("names", "loss"), [(("relu", "softmax"), "cross-entropy"), (("sigmoid", "linear"), "half squared error")]
)
def test_the_twin_is_what_keras_would_be_told(names, loss, optimizer):
    network = Network((4, 5, 3), names, loss, optimizer=optimizer, learning_rate=0.02)
    twin = lessons.keras_twin(network)
    dense = twin.layers[1:]
    assert [layer.activation.__name__ for layer in dense] == list(names)
    for layer, weights in zip(dense, network.weights_, strict=True):
        np.testing.assert_allclose(layer.get_weights()[0], weights.T, rtol=1e-6)
    kinds = {adam: keras.optimizers.Adam, momentum: keras.optimizers.SGD}
    assert type(twin.optimizer) is kinds[optimizer]
    assert float(twin.optimizer.learning_rate.value) == pytest.approx(0.02)
    rows, targets = task()
    answers = twin.predict(rows, verbose=0)
    expected = log_loss(targets, answers) if loss == "cross-entropy" else ((answers - targets) ** 2).sum() / 80
    assert twin.evaluate(rows, targets, verbose=0) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("names", "loss"),
    [(("sigmoid", "relu", "softmax"), "cross-entropy"), (("relu", "sigmoid", "linear"), "half squared error")],
)
def test_keras_has_the_same_activations_and_gradients(names, loss):
    network = Network((4, 6, 5, 3), names, loss)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = lessons.keras_table(network, *task())
    assert table.index.tolist() == [f"{kind} {i}" for kind in ("a", "dC/dW", "dC/db") for i in (1, 2, 3)]
    assert table["shape"].tolist()[:4] == ["40 × 6", "40 × 5", "40 × 3", "6 × 4"]
    assert (table["largest difference"] < 1e-5).all() and (table["largest number"] > 1e-3).all()


def test_keras_disagrees_with_a_wrong_gradient(monkeypatch):
    right = Network.backward
    monkeypatch.setattr(Network, "backward", lambda self, *given: [-g for g in right(self, *given)])
    table = lessons.keras_table(Network((4, 5, 3), ("relu", "softmax")), *task())
    assert (table.filter(like="dC", axis=0)["largest difference"] > 1e-3).all()
    assert (table.filter(like="a ", axis=0)["largest difference"] < 1e-5).all()


@pytest.mark.parametrize("optimizer", [adam, momentum])
def test_side_by_side_the_losses_are_the_same(optimizer):
    rows, targets = task(n_rows=70)  # a last batch of six
    network = Network((4, 8, 3), ("sigmoid", "softmax"), optimizer=optimizer, learning_rate=0.01)
    table = lessons.train_beside(network, lessons.keras_twin(network), rows, targets, epochs=4)
    np.testing.assert_allclose(table["loss by hand"], table["loss Keras"], rtol=1e-4)
    assert table.index.tolist() == [1, 2, 3, 4] and (table.filter(like="seconds") > 0).all(axis=None)
    assert table["loss by hand"].iloc[-1] < table["loss by hand"].iloc[0]


# --- Regions ------------------------------------------------------------------------------------------


def test_regions_are_the_networks_answers_after_so_many_epochs():
    train, held_out = moons()
    found = lessons.decision_regions(train, held_out, epochs=(0, 3, 7), hidden=5, random_state=2)
    network = Network((2, 5, 2), ("relu", "softmax"), optimizer=momentum, learning_rate=0.1, random_state=2)
    for now, more in zip(found, (0, 3, 4), strict=True):
        if more:
            network.fit(train[0], np.eye(2)[train[1]], epochs=more)
        left, bottom, right, top = now.extent
        corners = np.array([[left, bottom], [right, bottom], [left, top], [right, top]])
        expected = network.forward(corners)[-1][:, 1]
        shown = now.probabilities[[0, 0, -1, -1], [0, -1, 0, -1]]
        np.testing.assert_allclose(shown, expected, atol=1e-12)
        answers = network.forward(held_out[0])[-1].argmax(axis=1)
        assert now.accuracy == pytest.approx((answers == held_out[1]).mean())
    assert [now.epoch for now in found] == [0, 3, 7]
    assert (train[0] > found[0].extent[:2]).all() and (train[0] < found[0].extent[2:]).all()


def test_more_units_and_epochs_bend_the_border():
    train, held_out = moons(600)
    straight = lessons.decision_regions(train, held_out, activation="linear")
    bent = lessons.decision_regions(train, held_out)
    assert straight[-1].accuracy < 0.92 < bent[-1].accuracy
    assert [now.epoch for now in bent] == [0, 5, 30, 200]


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_where_training_diverges_the_rest_is_empty(activation):
    train, held_out = moons()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = lessons.decision_regions(train, held_out, activation=activation, learning_rate=1e300)
    assert found[0].probabilities.shape == (80, 80) and found[0].accuracy >= 0
    assert [now.probabilities.size for now in found[1:]] == [0, 0, 0]
    assert np.isnan([now.accuracy for now in found[1:]]).all() and found[-1].epoch == 200


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"activation": "tanh"}, "tanh"),
        ({"hidden": 0}, "sizes"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"epochs": (5, 2)}, "expected rising numbers"),
        ({"epochs": (0, 2.5)}, "epochs is 2.5"),
    ],
)
def test_what_is_wrong_is_said_and_not_taken_for_divergence(choice, message):
    with pytest.raises(ValueError, match=message):
        lessons.decision_regions(*moons(), **choice)


# --- Deep networks ------------------------------------------------------------------------------------


def test_gradient_sizes_are_root_mean_squares():
    rows, targets = task()
    network = lessons.deep_network("relu", 4, 3, depth=3, units=6)
    sizes = lessons.gradient_sizes(network, rows, targets)
    numeric = lessons.finite_differences(network, rows, targets)
    expected = [np.linalg.norm(slope) / np.sqrt(slope.size) for slope in numeric[:4]]
    np.testing.assert_allclose(sizes, expected, rtol=1e-5)
    assert sizes.index.tolist() == [1, 2, 3, 4]
    assert [weights.shape for weights in network.weights_] == [(6, 4), (6, 6), (6, 6), (3, 6)]


@pytest.mark.parametrize("seed", range(3))
def test_sigmoids_lose_the_gradient_and_relu_keeps_it(seed):
    rows, targets = task(200, 20, 5)
    kept = {}
    for name in ("sigmoid", "relu"):
        network = lessons.deep_network(name, 20, 5, random_state=seed)
        sizes = lessons.gradient_sizes(network, rows, targets)
        kept[name] = sizes.iloc[0] / sizes.iloc[-1]
    assert kept["sigmoid"] < 0.25**6 < 0.01 < kept["relu"]


# --- Learning by heart --------------------------------------------------------------------------------


def test_the_regularised_network_has_what_it_says():
    network = lessons.regularised_mlp(7, 3, hidden=(6, 5), dropout=0.4, l2=0.01, learning_rate=0.02)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.rate for layer in network.layers[1::2]] == [0.4, 0.4]
    first = network.layers[0]
    penalty = float(first.kernel_regularizer(first.kernel))
    assert penalty == pytest.approx(0.01 * (first.get_weights()[0] ** 2).sum(), rel=1e-5)
    assert float(network.optimizer.learning_rate.value) == pytest.approx(0.02)
    plain = lessons.regularised_mlp(7, 3, hidden=(6,))
    assert [type(layer).__name__ for layer in plain.layers] == ["Dense", "Dense"]
    assert plain.layers[0].kernel_regularizer is None


def test_the_curve_is_cross_entropy_without_penalties():
    train, validation = task(40, seed=1), task(30, seed=2)
    network = lessons.regularised_mlp(4, 3, hidden=(8,), l2=0.5)
    curve = lessons.learning_curve(network, train, validation, epochs=3)
    assert curve.index.tolist() == [1, 2, 3] and list(curve) == ["loss", "val_loss"]
    expected = log_loss(validation[1], network.predict(validation[0], verbose=0))
    assert curve["val_loss"].iloc[-1] == pytest.approx(expected, rel=1e-4)


def test_early_stopping_goes_back_to_the_best_epoch():
    random = np.random.default_rng(0)
    noise = [(random.normal(size=(n, 20)), np.eye(2)[random.integers(2, size=n)]) for n in (40, 400)]
    network = lessons.regularised_mlp(20, 2, hidden=(50,), learning_rate=0.01)
    curve = lessons.learning_curve(network, *noise, epochs=60, patience=3)
    assert len(curve) < 60 and curve["val_loss"].idxmin() == len(curve) - 3
    expected = log_loss(noise[1][1], network.predict(noise[1][0], verbose=0))
    assert curve["val_loss"].min() == pytest.approx(expected, rel=1e-4)


# --- Errors -------------------------------------------------------------------------------------------


def test_errors_are_scikit_learns_with_an_interval_around():
    random = np.random.default_rng(0)
    values = random.normal(size=400)
    answers = {"good": values + random.normal(0, 0.5, 400), "column": (0 * values)[:, None]}
    table = lessons.error_table(answers, values)
    expected = [root_mean_squared_error(values, np.ravel(given)) for given in answers.values()]
    np.testing.assert_allclose(table["rmse"], expected)
    # Over normal errors the root mean squared error has a standard error of about rmse / sqrt(2 n).
    width = pd.Series(expected, table.index) / np.sqrt(2 * 400)
    np.testing.assert_allclose(table["high"] - table["low"], 2 * 1.96 * width, rtol=0.2)
    assert ((table["low"] < table["rmse"]) & (table["rmse"] < table["high"])).all()
