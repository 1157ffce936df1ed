"""The experiments of notebook 00: hand-computed cases, SciPy, scikit-learn and Keras itself as references."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime
from sklearn.metrics import log_loss, root_mean_squared_error

from fusebook.by_hand.network import ACTIVATIONS, Network, momentum


@pytest.fixture(scope="module")
def lessons():
    from fusebook.by_hand import lessons  # Keras takes seconds

    return lessons


@pytest.fixture(scope="module")
def moons(lessons):
    """100 points to train on and 300 held out."""
    train, held_out = lessons.two_moons(random_state=0)
    return train.split(100)[0], held_out.split(300)[0]


def task(n_rows=40, n_inputs=4, n_classes=3, seed=0):
    from fusebook.by_hand.lessons import Task

    random = np.random.default_rng(seed)
    rows = random.normal(size=(n_rows, n_inputs))
    return Task(rows, np.eye(n_classes)[(rows @ random.normal(size=(n_inputs, n_classes))).argmax(axis=1)])


# --- Tasks --------------------------------------------------------------------------------------------


def test_the_model_case_is_scaled_by_its_training_rows(lessons):
    train, held_out = lessons.model_case(600)
    assert (train.rows.shape, train.targets.shape, held_out.rows.shape) == ((600, 100), (600, 5), (300, 100))
    assert {values.dtype for values in (*train, *held_out)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(train.rows.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(train.rows.std(axis=0), 1, rtol=1e-5)
    assert np.abs(held_out.rows.mean(axis=0)).max() > 0.05
    np.testing.assert_array_equal(np.eye(5)[train.labels], train.targets)
    assert np.bincount(train.labels).min() > 90


def test_a_task_is_split_in_its_order():
    whole = task(10)
    first, rest = whole.split(4)
    np.testing.assert_array_equal(np.vstack([first.rows, rest.rows]), whole.rows)
    assert (len(first.rows), len(rest.targets)) == (4, 6) and len(whole.split(99)[0].rows) == 10


def test_the_best_error_of_the_curve_is_its_noise(lessons):
    train, held_out, spread = lessons.curve_case()
    assert (train.rows.shape, held_out.targets.shape) == ((2000, 10), (1000, 1))
    assert train.targets.mean() == pytest.approx(0, abs=1e-12) and train.targets.std() == pytest.approx(1)
    x = held_out.rows / 12**0.5 + 0.5  # Friedman's function, up to the mean that was taken away
    wave = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    assert (spread * held_out.targets[:, 0] - wave).std() == pytest.approx(1, rel=0.07)  # 3 standard errors


# --- Proofs -------------------------------------------------------------------------------------------


def test_finite_differences_of_one_unit_by_hand(lessons):
    network = Network((1, 1), ("linear",), "half squared error")
    network.weights_[0][:] = 2.0
    slopes = lessons.finite_differences(network, np.array([[3.0]]), np.array([[1.0]]))
    # C = (w x + b - y)² / 2, so dC/dw = (w x + b - y) x = 5 · 3 and dC/db = 5.
    np.testing.assert_allclose([slopes[0].item(), slopes[1].item()], [15, 5], rtol=1e-8)
    assert network.weights_[0].item() == 2.0, "the network is as before"


def test_finite_differences_agree_with_scipys(lessons):
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
    slopes = lessons.finite_differences(network, rows, targets)
    np.testing.assert_allclose(np.concatenate([values.ravel() for values in slopes]), expected, atol=1e-6)


def test_every_pair_of_activation_and_loss_is_checked_and_holds(lessons):
    table = lessons.gradient_table(random_state=3)
    assert len(table) == 9 and len(table.drop_duplicates(["hidden layers", "output", "loss"])) == 9
    assert (table["weights"] == 4 * 6 + 6 + 6 * 5 + 5 + 5 * 3 + 3).all()
    assert (table["largest difference"] < 1e-6).all() and (table["largest gradient"] > 1e-3).all()


@pytest.mark.parametrize("fault", ["sign", "factor", "slope"])
def test_the_table_shows_a_wrong_gradient(fault, lessons, monkeypatch):
    right = Network.backward

    def wrong(self, activations, targets):
        made = right(self, activations, targets)
        return {"sign": [made[0], -made[1], *made[2:]], "factor": [2 * made[0], *made[1:]]}.get(fault, made)

    if fault == "slope":
        function, _ = ACTIVATIONS["sigmoid"]
        monkeypatch.setitem(ACTIVATIONS, "sigmoid", (function, lambda a, slope: slope * a))
    monkeypatch.setattr(Network, "backward", wrong)
    assert lessons.gradient_table()["largest difference"].max() > 1e-3


def test_the_twin_is_what_keras_would_be_told(lessons):
    import keras

    names = ["sigmoid", "relu", "softmax"]
    network = Network((4, 6, 5, 3), names, learning_rate=0.02)
    twin = lessons.keras_twin(network)
    assert [layer.activation.__name__ for layer in twin.layers[1:]] == names
    for layer, weights in zip(twin.layers[1:], network.weights_, strict=True):
        np.testing.assert_allclose(layer.get_weights()[0], weights.T, rtol=1e-6)
    assert type(twin.optimizer) is keras.optimizers.Adam
    assert float(twin.optimizer.learning_rate.value) == pytest.approx(0.02)
    rows, targets = task()
    expected = log_loss(targets, twin.predict(rows, verbose=0))
    assert twin.evaluate(rows, targets, verbose=0) == pytest.approx(expected, rel=1e-4)


def test_keras_has_the_same_activations_and_gradients(lessons):
    network = Network((4, 6, 5, 3), ("sigmoid", "relu", "softmax"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = lessons.keras_table(network, *task())
    assert table.index.tolist() == [f"{kind} {i}" for kind in ("a", "dC/dW", "dC/db") for i in (1, 2, 3)]
    assert table["shape"].tolist()[:4] == ["40 × 6", "40 × 5", "40 × 3", "6 × 4"]
    assert (table["largest difference"] < 1e-5).all() and (table["largest number"] > 1e-3).all()


def test_keras_disagrees_with_a_wrong_gradient(lessons, monkeypatch):
    right = Network.backward
    monkeypatch.setattr(Network, "backward", lambda self, *given: [-g for g in right(self, *given)])
    table = lessons.keras_table(Network((4, 5, 3), ("relu", "softmax")), *task())
    assert (table.filter(like="dC", axis=0)["largest difference"] > 1e-3).all()
    assert (table.filter(like="a ", axis=0)["largest difference"] < 1e-5).all()


def test_side_by_side_the_losses_are_the_same(lessons):
    network = Network((4, 8, 3), ("sigmoid", "softmax"), learning_rate=0.01)
    twin, table = lessons.train_beside(network, task(70), epochs=4)  # a last batch of six
    np.testing.assert_allclose(table["loss by hand"], table["loss Keras"], rtol=1e-4)
    np.testing.assert_allclose(network.weights_[0], twin.layers[1].get_weights()[0].T, atol=1e-4)
    assert table.index.tolist() == [1, 2, 3, 4] and (table.filter(like="seconds") > 0).all(axis=None)
    assert table["loss by hand"].iloc[-1] < table["loss by hand"].iloc[0]


# --- Answers ------------------------------------------------------------------------------------------


def test_answers_are_the_models_beside_the_shares_of_the_training_rows(lessons):
    train, held_out = task(40), task(30, seed=1)
    network = Network((4, 5, 3), ("relu", "softmax"))
    answers = lessons.answers({"by hand": network, "Keras": lessons.keras_twin(network)}, train, held_out)
    assert list(answers) == ["majority", "by hand", "Keras"]
    np.testing.assert_array_equal(answers.labels, held_out.targets.argmax(axis=1))
    np.testing.assert_allclose(answers["majority"], np.tile(train.targets.mean(axis=0), (30, 1)))
    np.testing.assert_array_equal(answers["by hand"], network.forward(held_out.rows)[-1])
    np.testing.assert_allclose(answers["Keras"], answers["by hand"], atol=1e-6)


def test_errors_are_scikit_learns_with_an_interval_around(lessons):
    random = np.random.default_rng(0)
    values = random.normal(size=(400, 1))
    judged = lessons.Task(values + random.normal(0, 0.5, (400, 1)), values)
    same = Network((1, 1), ("linear",), "half squared error")  # answers its input
    same.weights_[0][:] = 1
    reference = lessons.reference_regressor(judged)
    table = lessons.error_table({"same": same, "reference": reference}, judged, 3.0)
    outputs = [0 * values, judged.rows, reference.predict(judged.rows)]
    expected = [3 * root_mean_squared_error(values, given) for given in outputs]
    assert table.index.tolist() == ["always the mean", "same", "reference"]
    np.testing.assert_allclose(table["rmse"], expected)
    # Over normal errors the root mean squared error has a standard error of about rmse / sqrt(2 n).
    width = pd.Series(expected, table.index) / np.sqrt(2 * 400)
    np.testing.assert_allclose(table["high"] - table["low"], 2 * 1.96 * width, rtol=0.2)
    assert ((table["low"] < table["rmse"]) & (table["rmse"] < table["high"])).all()


# --- Regions ------------------------------------------------------------------------------------------


def test_regions_are_the_networks_answers_after_so_many_epochs(lessons, moons):
    train, held_out = moons
    regions = lessons.decision_regions(train, held_out, epochs=(0, 3, 7), hidden=5, random_state=2)
    network = Network((2, 5, 2), ("relu", "softmax"), optimizer=momentum, learning_rate=0.1, random_state=2)
    for now, more in zip(regions, (0, 3, 4), strict=True):
        network.fit(*train, epochs=more)
        left, bottom, right, top = now.extent
        corners = np.array([[left, bottom], [right, bottom], [left, top], [right, top]])
        expected = network.forward(corners)[-1][:, 1]
        shown = now.probabilities[[0, 0, -1, -1], [0, -1, 0, -1]]
        np.testing.assert_allclose(shown, expected, atol=1e-12)
        answers = network.forward(held_out.rows)[-1].argmax(axis=1)
        assert now.accuracy == pytest.approx((answers == held_out.labels).mean())
    assert [now.epoch for now in regions] == [0, 3, 7]
    assert (train.rows > regions[0].extent[:2]).all() and (train.rows < regions[0].extent[2:]).all()


def test_more_units_and_epochs_bend_the_border(lessons):
    by_name = lessons.regions_by(*lessons.two_moons(), "activation", ["linear", "relu"])
    assert list(by_name) == ["linear", "relu"]
    assert by_name["linear"][-1].accuracy < 0.9 < by_name["relu"][-1].accuracy
    assert [now.epoch for now in by_name["relu"]] == [0, 5, 30, 200]


def test_settings_are_named(lessons, moons):
    quick = {"epochs": (0, 1), "random_state": 3}
    rates = lessons.regions_by(*moons, "learning_rate", [0.001, 3.0], **quick)
    assert list(rates) == ["η = 0.001", "η = 3"]
    expected = lessons.decision_regions(*moons, learning_rate=3.0, **quick)[-1].probabilities
    np.testing.assert_array_equal(rates["η = 3"][-1].probabilities, expected)
    assert list(lessons.regions_by(*moons, "hidden", [1, 64], **quick)) == ["units: 1", "units: 64"]


def test_where_training_diverges_the_rest_is_empty(lessons, moons):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regions = lessons.decision_regions(*moons, learning_rate=1e300)
    assert regions[0].probabilities.shape == (80, 80) and regions[0].accuracy >= 0
    assert [now.probabilities.size for now in regions[1:]] == [0, 0, 0]
    assert np.isnan([now.accuracy for now in regions[1:]]).all() and regions[-1].epoch == 200


def test_what_is_wrong_is_not_taken_for_divergence(lessons, moons):
    with pytest.raises(ValueError, match="'tanh' is not known"):
        lessons.decision_regions(*moons, activation="tanh")


# --- Deep networks ------------------------------------------------------------------------------------


def test_gradient_sizes_are_root_mean_squares(lessons):
    network = Network((4, 6, 6, 6, 3), ("relu", "relu", "relu", "softmax"))
    sizes = lessons.gradient_sizes({"one": network}, task())["one"]
    numeric = lessons.finite_differences(network, *task())
    np.testing.assert_allclose(sizes, [np.linalg.norm(slope) / np.sqrt(slope.size) for slope in numeric[:4]], rtol=1e-5)
    assert sizes.index.tolist() == [1, 2, 3, 4] and sizes.index.name == "layer"


@pytest.mark.parametrize("seed", range(3))
def test_sigmoids_lose_the_gradient_and_relu_keeps_it(seed, lessons):
    deep = {
        name: Network((20, *[32] * 8, 5), (*[name] * 8, "softmax"), random_state=seed) for name in ("sigmoid", "relu")
    }
    sizes = lessons.gradient_sizes(deep, task(200, 20, 5))
    kept = sizes.iloc[0] / sizes.iloc[-1]
    assert kept["sigmoid"] < 0.25**6 < 0.01 < kept["relu"]


def test_losses_are_those_of_fit(lessons):
    networks = {name: Network((4, 5, 3), (name, "softmax")) for name in ("sigmoid", "relu")}
    table = lessons.training_losses(networks, task(), epochs=3)
    expected = Network((4, 5, 3), ("relu", "softmax")).fit(*task(), epochs=3)
    np.testing.assert_array_equal(table["relu"], expected)
    assert table.index.tolist() == [1, 2, 3] and list(table) == ["sigmoid", "relu"]


# --- Learning by heart --------------------------------------------------------------------------------


def test_the_regularised_network_has_what_it_says(lessons):
    network = lessons.regularised_mlp(task(n_inputs=7), dropout=0.4, l2=0.01)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Dense", "Dropout", "Dense", "Dropout", "Dense"] and network.output_shape == (None, 3)
    assert [layer.rate for layer in network.layers[1::2]] == [0.4, 0.4]
    first = network.layers[0]
    penalty = float(first.kernel_regularizer(first.kernel))
    assert penalty == pytest.approx(0.01 * (first.get_weights()[0] ** 2).sum(), rel=1e-5)
    plain = lessons.regularised_mlp(task())
    assert plain.layers[0].kernel_regularizer is None and plain.layers[1].rate == 0


def test_early_stopping_goes_back_and_no_penalty_is_in_the_curves(lessons):
    random = np.random.default_rng(0)
    noise = [lessons.Task(random.normal(size=(n, 20)), np.eye(2)[random.integers(2, size=n)]) for n in (40, 400)]
    curves, networks = lessons.by_heart(*noise, epochs=20)
    assert list(curves) == list(networks) == ["no remedy", "early stopping", "dropout", "L2 penalty"]
    loss = {
        name: log_loss(noise[1].targets, network.predict(noise[1].rows, verbose=0))
        for name, network in networks.items()
    }
    stopped = curves["early stopping"]
    assert len(stopped) < 20 and stopped["val_loss"].idxmin() == len(stopped) - 5
    assert stopped["val_loss"].min() == pytest.approx(loss["early stopping"], rel=1e-4)
    for name in ("no remedy", "L2 penalty"):
        assert curves[name].index.tolist() == [*range(1, 21)] and list(curves[name]) == ["loss", "val_loss"]
        assert curves[name]["val_loss"].iloc[-1] == pytest.approx(loss[name], rel=1e-4)
    assert curves["no remedy"]["loss"].iloc[-1] < curves["dropout"]["loss"].iloc[-1], "nothing is learnt but by heart"
