"""The tasks of notebook 00 and what is shown on them: hand-computed cases, scikit-learn and Keras itself as references."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, root_mean_squared_error

from fusebook.by_hand.network import Network


@pytest.fixture(scope="module")
def cases():
    from fusebook.by_hand import cases  # Keras takes seconds

    return cases


def task(n_rows=40, n_inputs=4, n_classes=3, seed=0):
    from fusebook.by_hand.cases import Task

    random = np.random.default_rng(seed)
    rows = random.normal(size=(n_rows, n_inputs))
    return Task(rows, np.eye(n_classes)[(rows @ random.normal(size=(n_inputs, n_classes))).argmax(axis=1)])


@pytest.fixture
def case_of(cases):
    """A case with other tasks in it."""

    def make(train, held_out=None, kind=cases.ModelCase):
        case = kind(random_state=0) if kind is cases.CurveCase else kind(60, random_state=0)
        case.train, case.held_out = train, held_out
        return case

    return make


# --- Tasks --------------------------------------------------------------------------------------------


def test_the_model_case_is_scaled_by_its_training_rows(cases):
    case = cases.ModelCase(600)
    train, held_out = case.train, case.held_out
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


def test_the_best_error_of_the_curve_is_its_noise(cases):
    case = cases.CurveCase()
    train, held_out = case.train, case.held_out
    assert (train.rows.shape, held_out.targets.shape) == ((2000, 10), (1000, 1))
    assert train.targets.mean() == pytest.approx(0, abs=1e-12) and train.targets.std() == pytest.approx(1)
    x = held_out.rows / 12**0.5 + 0.5  # Friedman's function, up to the mean that was taken away
    wave = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    assert (case.spread * held_out.targets[:, 0] - wave).std() == pytest.approx(1, rel=0.07)  # 3 standard errors


# --- Side by side -------------------------------------------------------------------------------------


def test_side_by_side_the_losses_are_the_same(case_of):
    network = Network((4, 8, 3), ("sigmoid", "softmax"), learning_rate=0.01)
    twin, table = case_of(task(70)).train_beside(network, epochs=4)  # a last batch of six
    np.testing.assert_allclose(table["loss by hand"], table["loss Keras"], rtol=1e-4)
    np.testing.assert_allclose(network.weights_[0], twin.layers[1].get_weights()[0].T, atol=1e-4)
    assert table.index.tolist() == [1, 2, 3, 4] and (table.filter(like="seconds") > 0).all(axis=None)
    assert table["loss by hand"].iloc[-1] < table["loss by hand"].iloc[0]


def test_answers_are_the_models_beside_the_shares_of_the_training_rows(cases, case_of):
    train, held_out = task(40), task(30, seed=1)
    network = Network((4, 5, 3), ("relu", "softmax"))
    answers = case_of(train, held_out).answers({"by hand": network, "Keras": cases.keras_twin(network)})
    assert list(answers) == ["majority", "by hand", "Keras"]
    np.testing.assert_array_equal(answers.labels, held_out.targets.argmax(axis=1))
    np.testing.assert_allclose(answers["majority"], np.tile(train.targets.mean(axis=0), (30, 1)))
    np.testing.assert_array_equal(answers["by hand"], network.forward(held_out.rows)[-1])
    np.testing.assert_allclose(answers["Keras"], answers["by hand"], atol=1e-6)


def test_errors_are_scikit_learns_with_an_interval_around(cases, case_of):
    random = np.random.default_rng(0)
    values = random.normal(size=(400, 1))
    judged = cases.Task(values + random.normal(0, 0.5, (400, 1)), values)
    same = Network((1, 1), ("linear",), "half squared error")  # answers its input
    same.weights_[0][:] = 1
    case = case_of(judged, judged, cases.CurveCase)
    case.spread, reference = 3.0, case.reference()
    table = case.errors({"same": same, "reference": reference})
    outputs = [0 * values, judged.rows, reference.predict(judged.rows)]
    expected = [3 * root_mean_squared_error(values, given) for given in outputs]
    assert table.index.tolist() == ["always the mean", "same", "reference"]
    np.testing.assert_allclose(table["rmse"], expected)
    # Over normal errors the root mean squared error has a standard error of about rmse / sqrt(2 n).
    width = pd.Series(expected, table.index) / np.sqrt(2 * 400)
    np.testing.assert_allclose(table["high"] - table["low"], 2 * 1.96 * width, rtol=0.2)
    assert ((table["low"] < table["rmse"]) & (table["rmse"] < table["high"])).all()


# --- Deep networks ------------------------------------------------------------------------------------


def test_gradient_sizes_are_root_mean_squares(case_of):
    from fusebook.by_hand.proofs import finite_differences

    network = Network((4, 6, 6, 6, 3), ("relu", "relu", "relu", "softmax"))
    numeric = finite_differences(network, *task())
    sizes = case_of(task()).train_deep({"one": network}, epochs=1)[0]["one"]
    np.testing.assert_allclose(sizes, [np.linalg.norm(slope) / np.sqrt(slope.size) for slope in numeric[:4]], rtol=1e-5)
    assert sizes.index.tolist() == [1, 2, 3, 4] and sizes.index.name == "layer"


@pytest.mark.parametrize("seed", range(3))
def test_sigmoids_lose_the_gradient_and_relu_keeps_it(seed, case_of):
    deep = {
        name: Network((20, *[32] * 8, 5), (*[name] * 8, "softmax"), random_state=seed) for name in ("sigmoid", "relu")
    }
    sizes, _ = case_of(task(200, 20, 5)).train_deep(deep, epochs=1)
    kept = sizes.iloc[0] / sizes.iloc[-1]
    assert kept["sigmoid"] < 0.25**6 < 0.01 < kept["relu"]


def test_losses_are_those_of_fit(case_of):
    networks = {name: Network((4, 5, 3), (name, "softmax")) for name in ("sigmoid", "relu")}
    _, losses = case_of(task()).train_deep(networks, epochs=3)
    expected = Network((4, 5, 3), ("relu", "softmax")).fit(*task(), epochs=3)
    np.testing.assert_array_equal(losses["relu"], expected)
    assert losses.index.tolist() == [1, 2, 3] and list(losses) == ["sigmoid", "relu"] and losses.index.name == "epoch"


# --- Learning by heart --------------------------------------------------------------------------------


def test_the_regularised_network_has_what_it_says(cases):
    network = cases.regularised_mlp(task(n_inputs=7), 0, dropout=0.4, l2=0.01)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Dense", "Dropout", "Dense", "Dropout", "Dense"] and network.output_shape == (None, 3)
    assert [layer.rate for layer in network.layers[1::2]] == [0.4, 0.4]
    first = network.layers[0]
    penalty = float(first.kernel_regularizer(first.kernel))
    assert penalty == pytest.approx(0.01 * (first.get_weights()[0] ** 2).sum(), rel=1e-5)
    plain = cases.regularised_mlp(task(), 0)
    assert plain.layers[0].kernel_regularizer is None and plain.layers[1].rate == 0


def test_early_stopping_goes_back_and_no_penalty_is_in_the_curves(cases, case_of):
    random = np.random.default_rng(0)
    train, seen = (cases.Task(random.normal(size=(n, 20)), np.eye(2)[random.integers(2, size=n)]) for n in (60, 400))
    # The judges are the validation rows four times more, so that both give the same loss.
    held_out = cases.Task(*(np.tile(values, (5, 1)) for values in seen))
    curves, answers = case_of(train, held_out).by_heart(40, epochs=20)
    assert list(curves) == ["no remedy", "early stopping", "dropout", "L2 penalty"] == list(answers)[1:]
    assert answers.n_rows == 1600
    np.testing.assert_allclose(answers["majority"][0], train.targets[:40].mean(axis=0), err_msg="of the few rows")
    loss = {name: log_loss(answers.labels, values) for name, values in answers.items()}
    stopped = curves["early stopping"]
    assert len(stopped) < 20 and stopped["val_loss"].idxmin() == len(stopped) - 5
    assert stopped["val_loss"].min() == pytest.approx(loss["early stopping"], rel=1e-4)
    for name in ("no remedy", "L2 penalty"):
        assert curves[name].index.tolist() == [*range(1, 21)] and list(curves[name]) == ["loss", "val_loss"]
        assert curves[name]["val_loss"].iloc[-1] == pytest.approx(loss[name], rel=1e-4)
    assert curves["no remedy"]["loss"].iloc[-1] < curves["dropout"]["loss"].iloc[-1], "nothing is learnt but by heart"
