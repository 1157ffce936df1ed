"""The NumPy network against finite differences, Keras, JAX, scikit-learn and SciPy; and what it refuses."""

import ast
import io
import tokenize
import warnings
from pathlib import Path

import fusebook  # noqa: F401  before Keras, which asks for its backend when it is imported

# isort: split
import jax
import keras
import numpy as np
import pytest
import scipy.special
from sklearn.datasets import make_classification, make_friedman1
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fusebook.by_hand import network as by_hand_network
from fusebook.by_hand.network import ACTIVATIONS, LOSSES, Network, __file__, adam, momentum

LAYERS = {1: (5,), 2: (6, 5), 3: (7, 6, 5)}  # units by number of layers; 4 inputs, 5 outputs
HIDDEN = ["sigmoid", "relu", "linear"]
ENDS = [("softmax", "cross-entropy"), *((name, "half squared error") for name in HIDDEN)]
KERAS_OPTIMIZERS = {"adam": keras.optimizers.Adam, "momentum": lambda rate: keras.optimizers.SGD(rate, momentum=0.9)}


def made(hidden="relu", output="softmax", loss="cross-entropy", depth=2, **options) -> Network:
    """A network with 4 inputs and 5 outputs whose biases, too, are away from 0."""
    network = Network((4, *LAYERS[depth]), [hidden] * (depth - 1) + [output], loss, **options)
    random = np.random.default_rng(1)
    for bias in network.biases_:
        bias += random.normal(0, 0.3, bias.shape)
    return network


def data(loss="cross-entropy", n_rows=12, seed=0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n_rows, 4))
    targets = np.tanh(rows @ random.normal(size=(4, 5))) + random.normal(0, 0.1, (n_rows, 5))
    return rows, np.eye(5)[targets.argmax(axis=1)] if loss == "cross-entropy" else targets


def mean_loss(network, rows, targets) -> float:
    return network.loss(network.forward(rows)[-1], targets) / len(rows)


def keras_twin(network, activations, loss, optimizer="adam") -> keras.Model:
    """The same layers, weights and loss in Keras."""
    tensor = inputs = keras.Input((network.weights_[0].shape[1],))
    for weights, name in zip(network.weights_, activations, strict=True):
        tensor = keras.layers.Dense(len(weights), name)(tensor)
    twin = keras.Model(inputs, tensor)
    pairs = zip(network.weights_, network.biases_, strict=True)
    twin.set_weights([values for weights, bias in pairs for values in (weights.T, bias)])
    twin.compile(KERAS_OPTIMIZERS[optimizer](network.learning_rate), keras_loss(loss))
    return twin


def keras_loss(name):
    if name == "cross-entropy":
        return keras.losses.CategoricalCrossentropy()
    return lambda targets, outputs: keras.ops.sum((outputs - targets) ** 2, axis=-1) / 2


# --- Forward pass and gradients -----------------------------------------------------------------------


def test_the_network_can_be_read_at_one_sitting():
    source = Path(__file__).read_text(encoding="utf-8")
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in silent]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    assert 40 < len(lines) <= 60


@pytest.mark.parametrize("depth", LAYERS)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("output", "loss"), ENDS)
def test_gradients_equal_finite_differences(hidden, output, loss, depth):
    network, (rows, targets) = made(hidden, output, loss, depth), data(loss)
    gradients = network.backward(network.forward(rows), targets)
    assert [g.shape for g in gradients] == [p.shape for p in network.parameters_]
    largest = max(np.abs(gradient).max() for gradient in gradients)
    assert largest > 0.01
    for values, gradient in zip(network.parameters_, gradients, strict=True):
        for place, value in np.ndenumerate(values):
            losses = []
            for values[place] in (value + 1e-6, value - 1e-6):
                losses.append(mean_loss(network, rows, targets))
            values[place] = value
            assert gradient[place] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=0, abs=1e-6 * min(1, largest))


@pytest.mark.parametrize("depth", LAYERS)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("output", "loss"), ENDS)
def test_forward_pass_and_gradients_equal_those_of_keras_and_jax(hidden, output, loss, depth):
    network, (rows, targets) = made(hidden, output, loss, depth), data(loss)
    twin = keras_twin(network, [hidden] * (depth - 1) + [output], loss)
    inner = keras.Model(twin.input, [layer.output for layer in twin.layers[1:]])

    def cost(variables):
        outputs, _ = twin.stateless_call(variables, [], rows.astype("float32"))
        return keras.ops.mean(keras_loss(loss)(targets.astype("float32"), outputs))

    slopes = jax.grad(cost)([variable.value for variable in twin.trainable_variables])
    activations = network.forward(rows)
    for ours, theirs in zip(activations[1:], keras.tree.flatten(inner(rows.astype("float32"))), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    expected = [slope.T for slope in slopes[::2]] + slopes[1::2]
    for ours, theirs in zip(network.backward(activations, targets), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_activations_equal_scipys_far_out_too():
    z = np.array([[-800.0, -30, -1], [0, 1e-9, 1], [30, 800, 1e300]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = {name: function(z) for name, (function, _) in ACTIVATIONS.items()}
    np.testing.assert_allclose(ours["sigmoid"], scipy.special.expit(z), atol=1e-15)
    np.testing.assert_allclose(ours["softmax"], scipy.special.softmax(z, axis=1), atol=1e-15)
    np.testing.assert_array_equal(ours["relu"], np.where(z > 0, z, 0))
    np.testing.assert_array_equal(ours["linear"], z)


def test_losses_equal_scikit_learns():
    random = np.random.default_rng(0)
    probabilities, targets = random.dirichlet(np.ones(5), size=20), np.eye(5)[random.integers(5, size=20)]
    assert LOSSES["cross-entropy"](probabilities, targets) / 20 == pytest.approx(log_loss(targets, probabilities))
    outputs, wanted = random.normal(size=(2, 20, 5))
    squared = mean_squared_error(wanted, outputs) * 5 / 2  # scikit-learn divides by the five outputs
    assert LOSSES["half squared error"](outputs, wanted) / 20 == pytest.approx(squared)


def test_a_probability_of_0_for_the_right_class_is_a_large_loss_and_not_infinite():
    assert 700 < LOSSES["cross-entropy"](np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])) < 710
    assert 80 < LOSSES["cross-entropy"](np.array([[0, 1]], "f"), np.array([[1, 0]], "f")) < 90


def test_the_first_weights_are_glorots():
    network = Network((300, 200, 100), ("relu", "softmax"))
    for weights, (n_out, n_in) in zip(network.weights_, [(200, 300), (100, 200)], strict=True):
        limit = np.sqrt(6 / (n_in + n_out))
        assert weights.shape == (n_out, n_in) and 0.99 * limit < np.abs(weights).max() <= limit
        assert weights.std() == pytest.approx(np.sqrt(2 / (n_in + n_out)), rel=0.01)
    assert not any(bias.any() for bias in network.biases_)


# --- Training -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
@pytest.mark.parametrize(("hidden", "output", "loss"), [("sigmoid", *ENDS[0]), ("relu", *ENDS[0]), ("relu", "linear", ENDS[1][1])])  # fmt: skip
def test_training_follows_keras(hidden, output, loss, optimizer):
    network = made(hidden, output, loss, depth=3, optimizer=getattr(by_hand_network, optimizer), learning_rate=0.02)
    rows, targets = data(loss, n_rows=100)  # batches of 32, 32, 32 and 4
    twin = keras_twin(network, [hidden, hidden, output], loss, optimizer)
    theirs = twin.fit(rows, targets, epochs=8, batch_size=32, shuffle=False, verbose=0).history["loss"]
    ours = network.fit(rows, targets, epochs=8, batch_size=32, shuffle=False)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert ours[-1] < 0.95 * ours[0] and network.steps_ == 8 * 4
    for weights, layer in zip(network.weights_, twin.layers[1:], strict=True):
        np.testing.assert_allclose(weights, layer.get_weights()[0].T, atol=1e-4)


def from_the_same_start(kind, network, rows, labels, **options):
    """scikit-learn's network of ``kind``, trained for ten epochs from the weights of ``network`` on the same batches."""
    theirs = kind(hidden_layer_sizes=(20,), activation="relu", alpha=0, batch_size=32, shuffle=False, epsilon=1e-7, warm_start=True,
                  nesterovs_momentum=False, max_iter=1, tol=0, n_iter_no_change=99, **options)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one epoch is not enough
        theirs.fit(rows, labels)
        theirs.coefs_ = [weights.T.copy() for weights in network.weights_]
        theirs.intercepts_ = [bias.copy() for bias in network.biases_]
        return theirs.set_params(max_iter=10).fit(rows, labels)


@pytest.mark.parametrize(("optimizer", "solver", "rate"), [(adam, "adam", 0.01), (momentum, "sgd", 0.001)])  # fmt: skip
def test_regression_is_scikit_learns(optimizer, solver, rate):
    rows, values = make_friedman1(1000, noise=0.5, random_state=0)
    train, held_out, train_values, held_out_values = train_test_split(rows, values, random_state=0)
    network = Network((10, 20, 1), ("relu", "linear"), "half squared error", optimizer=optimizer, learning_rate=rate)
    theirs = from_the_same_start(MLPRegressor, network, train, train_values, solver=solver, learning_rate_init=rate)
    losses = network.fit(train, train_values[:, None], epochs=10, shuffle=False)
    np.testing.assert_allclose(losses, theirs.loss_curve_[1:], rtol=1e-8)
    predicted = network.forward(held_out)[-1][:, 0]
    np.testing.assert_allclose(predicted, theirs.predict(held_out), rtol=1e-6)
    assert r2_score(held_out_values, predicted) > 0.5


def test_classification_is_scikit_learns():
    rows, labels = make_classification(1000, 20, n_informative=8, n_classes=5, random_state=0)
    train, held_out, train_labels, held_out_labels = train_test_split(rows, labels, random_state=0)
    network = Network((20, 20, 5), ("relu", "softmax"), learning_rate=0.01)
    theirs = from_the_same_start(MLPClassifier, network, train, train_labels, learning_rate_init=0.01)
    losses = network.fit(train, np.eye(5)[train_labels], epochs=10, shuffle=False)
    np.testing.assert_allclose(losses, theirs.loss_curve_[1:], rtol=1e-8)
    probabilities = network.forward(held_out)[-1]
    np.testing.assert_allclose(probabilities, theirs.predict_proba(held_out), rtol=1e-6)
    assert accuracy_score(held_out_labels, probabilities.argmax(axis=1)) > 0.5


@pytest.mark.parametrize("batch_size", [1, 4, 5, 9, 10, 11, 1000])
def test_batches_hold_every_row_once_an_epoch(batch_size):
    seen = []

    def watch(gradient, memory, step, learning_rate):
        seen.append(gradient)
        return np.zeros_like(gradient)

    rows = np.ones((10, 1))
    targets = 2.0 ** np.arange(10)[:, None]  # a sum of these says which were in it
    network = Network((1, 1), ("linear",), "half squared error", optimizer=watch)
    losses = network.fit(rows, targets, epochs=2, batch_size=batch_size)
    output = network.weights_[0][0, 0]
    sizes = [min(batch_size, 10 - start) for start in range(0, 10, batch_size)] * 2
    sums = [round(float(output * n - n * g[0])) for g, n in zip(seen[1::2], sizes, strict=True)]
    assert sum(sums) == 2 * 1023 and sum(sums[: len(sums) // 2]) == 1023
    assert [bin(total).count("1") for total in sums] == sizes
    assert losses == pytest.approx([((output - targets) ** 2).mean() / 2] * 2)
    if batch_size == 1:
        assert sums[:10] != sums[10:] and sums[:10] != sorted(sums[:10]), "the order is new in each epoch"


def test_a_second_call_goes_on_and_a_seed_repeats():
    rows, targets = data(n_rows=50)
    whole, parts, other = made(depth=3), made(depth=3), made(depth=3, random_state=7)
    losses = whole.fit(rows, targets, epochs=4)
    np.testing.assert_array_equal(losses, [*parts.fit(rows, targets, epochs=1), *parts.fit(rows, targets, epochs=3)])
    assert (losses != other.fit(rows, targets, epochs=4)).all()


def test_float32_stays_float32_and_is_close():
    rows, targets = data(n_rows=50)
    single, double = (made(depth=3, dtype=dtype, learning_rate=0.01) for dtype in (np.float32, np.float64))
    assert single.fit(rows, targets) == pytest.approx(double.fit(rows, targets), rel=1e-4)
    arrays = [*single.parameters_, *single.memory_, *single.forward(rows)]
    arrays += single.backward(single.forward(rows), targets)
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def test_nothing_passed_is_changed():
    rows, targets = data(n_rows=50)
    before = rows.copy(), targets.copy()
    made(depth=3).fit(rows, targets)
    np.testing.assert_array_equal(rows, before[0])
    np.testing.assert_array_equal(targets, before[1])


# --- Bad input ----------------------------------------------------------------------------------------


BAD_SETTINGS = {
    "one size": ({"sizes": (4,)}, "sizes is (4,)", "such as [100, 100, 50, 5]"),
    "no list": ({"sizes": 4}, "sizes is 4", "such as [100, 100, 50, 5]"),
    "a size of 0": ({"sizes": (4, 0, 5)}, "sizes is (4, 0, 5)", "from 1 on"),
    "half a unit": ({"sizes": (4, 2.5, 5)}, "sizes is (4, 2.5, 5)", "whole numbers"),
    "too few activations": ({"activations": ["softmax"]}, "activations is ['softmax']", "2 layers"),
    "too many": ({"activations": ["relu"] * 2 + ["softmax"]}, "'relu', 'relu'", "Add or leave out"),
    "a word": ({"activations": "relu"}, "activations is 'relu'", "a list with one activation for each"),
    "unknown activation": ({"activations": ["swish", "softmax"]}, "activation is 'swish'", "sigmoid, relu"),
    "no name": ({"activations": [["relu"], "softmax"]}, "activation is ['relu']", "sigmoid, relu"),
    "unknown loss": ({"loss": "hinge"}, "loss is 'hinge'", "half squared error, cross-entropy"),
    "softmax inside": ({"activations": ["softmax", "softmax"]}, "['softmax', 'softmax']", "last layer"),
    "softmax, squared": ({"loss": "half squared error"}, "'half squared error'", "no softmax with half"),
    "cross-entropy alone": ({"activations": ["relu", "relu"]}, "['relu', 'relu']", "softmax in the last layer"),
    "optimizer's name": ({"optimizer": "adam"}, "optimizer is 'adam'", "by_hand.adam"),
    "rate of 0": ({"learning_rate": 0}, "learning_rate is 0", "above 0, such as 0.001"),
    "negative rate": ({"learning_rate": -0.1}, "learning_rate is -0.1", "above 0"),
    "rate of NaN": ({"learning_rate": np.nan}, "learning_rate is nan", "above 0"),
    "rate as a word": ({"learning_rate": "0.1"}, "learning_rate is '0.1'", "above 0"),
    "whole numbers": ({"dtype": int}, "dtype is <class 'int'>", "numpy.float64"),
}  # fmt: skip


@pytest.mark.parametrize(("changed", "passed", "mend"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_settings_that_make_no_network_are_refused(changed, passed, mend):
    settings = {"sizes": (4, 6, 5), "activations": ["relu", "softmax"]}
    assert Network(**settings).steps_ == 0
    with pytest.raises(ValueError) as refused:
        Network(**settings | changed)
    assert passed in str(refused.value) and "expected" in str(refused.value) and mend in str(refused.value)


ROWS, TARGETS = data()
BAD_DATA = {
    "narrow rows": ({"rows": ROWS[:, :3]}, "rows has shape (12, 3)", "(n_rows, 4)"),
    "one row": ({"rows": ROWS[0]}, "rows has shape (4,)", "values[None, :]"),
    "no rows": ({"rows": ROWS[:0], "targets": TARGETS[:0]}, "rows has shape (0, 4)", "at least one row"),
    "NaN": ({"rows": np.where(ROWS[2, 1] == ROWS, np.nan, ROWS)}, "1 values of rows", "fill them"),
    "infinite": ({"rows": np.where(ROWS[2, 1] == ROWS, -np.inf, ROWS)}, "1 values of rows", "Leave those rows out"),
    "words": ({"rows": [["a", "b", "c", "d"]] * 12}, "could not convert", "expected numbers"),
    "ragged": ({"rows": [[1, 2, 3, 4], [1, 2]]}, "rows can't become an array", "as many in each row"),
    "nothing": ({"rows": None}, "NaN", "expected finite numbers"),
    "fewer targets": ({"targets": TARGETS[:5]}, "targets has shape (5, 5)", "(12, 5)"),
    "narrow targets": ({"targets": TARGETS[:, :3]}, "targets has shape (12, 3)", "(12, 5)"),
    "class numbers": ({"targets": TARGETS.argmax(axis=1)}, "targets has shape (12,)", "numpy.eye(n_classes)"),
    "NaN as target": ({"targets": np.where(TARGETS == 1, np.nan, 0)}, "12 values of targets", "fill them"),
    "two classes": ({"targets": np.vstack([TARGETS[:-1], [1, 0, 0, 0, 1]])}, "Line 11 of targets is [1.0,", "single 1"),
    "no class": ({"targets": np.vstack([TARGETS[:-1], [0] * 5])}, "Line 11 of targets is [0.0,", "single 1"),
    "twos": ({"targets": 2 * TARGETS}, "Line 0 of targets is [", "single 1 among zeros"),
    "one moved": ({"targets": np.vstack([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], TARGETS[2:]])}, "Line 0 of targets is [0.0,", "single 1"),
    "shares": ({"targets": np.full((12, 5), 0.2)}, "Line 0 of targets is [0.2,", "single 1 among zeros"),
    "sum of 1": ({"targets": np.vstack([[1, 1, -1, 0, 0], TARGETS[1:]])}, "Line 0 of targets is [1.0, 1.0, -1.0,", "single"),
    "no epoch": ({"epochs": 0}, "epochs is 0", "epochs=10"),
    "epochs below 0": ({"epochs": -1}, "epochs is -1", "from 1 on"),
    "half an epoch": ({"epochs": 1.5}, "epochs is 1.5", "whole number"),
    "empty batches": ({"batch_size": 0}, "batch_size is 0", "from 1 on"),
    "negative batches": ({"batch_size": -32}, "batch_size is -32", "from 1 on"),
}  # fmt: skip


@pytest.mark.parametrize(("changed", "passed", "mend"), BAD_DATA.values(), ids=BAD_DATA)
def test_data_that_do_not_fit_are_refused_before_a_weight_changes(changed, passed, mend):
    network, given = made(), {"rows": ROWS, "targets": TARGETS} | changed
    with pytest.raises(ValueError) as refused:
        network.fit(**given)
    assert passed in str(refused.value) and "expected" in str(refused.value) and mend in str(refused.value)
    for values, fresh in zip(network.parameters_, made().parameters_, strict=True):
        np.testing.assert_array_equal(values, fresh)


@pytest.mark.parametrize("name", [name for name, (changed, *_) in BAD_DATA.items() if set(changed) == {"rows"}])
def test_forward_refuses_the_rows_that_fit_refuses(name):
    changed, passed, mend = BAD_DATA[name]
    with pytest.raises(ValueError) as refused:
        made().forward(changed["rows"])
    assert passed in str(refused.value) and mend in str(refused.value)


@pytest.mark.parametrize("name", [name for name, (changed, *_) in BAD_DATA.items() if set(changed) == {"targets"}])
def test_backward_refuses_the_targets_that_fit_refuses(name):
    (changed, passed, mend), network = BAD_DATA[name], made()
    with pytest.raises(ValueError) as refused:
        network.backward(network.forward(ROWS), changed["targets"])
    assert passed in str(refused.value) and mend in str(refused.value)


def test_backward_and_step_refuse_arrays_of_another_network():
    network, deeper = made(), made(depth=3)
    with pytest.raises(ValueError, match=r"activations has the shapes .*Pass what forward returns"):
        network.backward(deeper.forward(ROWS), TARGETS)
    with pytest.raises(ValueError, match=r"expected \[\(12, 4\), \(12, 6\), \(12, 5\)\]"):
        network.backward([ROWS, ROWS], TARGETS)
    gradients = network.backward(network.forward(ROWS), TARGETS)
    for wrong in (gradients[:-1], [gradients[0][:1], *gradients[1:]], gradients[::-1]):
        with pytest.raises(ValueError, match=r"gradients has the shapes .*Pass what backward returns"):
            network.step(wrong)
    assert network.steps_ == 0


def test_numbers_too_large_for_float32_are_refused():
    with pytest.raises(ValueError, match="1 values of rows are NaN, infinite or too large for float32"), np.errstate(over="ignore"):  # fmt: skip
        made(dtype=np.float32).fit(np.where(ROWS[0, 0] == ROWS, 1e300, ROWS), TARGETS)


@pytest.mark.parametrize("optimizer", [adam, momentum])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("output", "loss"), ENDS)
def test_any_learning_rate_ends_in_numbers_or_in_an_error(output, loss, dtype, optimizer):
    rows, targets = data(loss, n_rows=40)
    diverged = 0
    for exponent in (-300, -40, -3, 0, 3, 20, 38, 60, 160, 300):
        for hidden in HIDDEN:
            network = made(hidden, output, loss, 3, dtype=dtype, optimizer=optimizer, learning_rate=10.0**exponent)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    losses = network.fit(rows, targets, epochs=5)
                except ValueError as error:
                    assert "Training diverged in epoch" in str(error) and f"{10.0**exponent}; expected" in str(error)
                    diverged += 1
                else:
                    assert np.isfinite(losses).all() and all(np.isfinite(p).all() for p in network.parameters_)
    assert 0 < diverged < 30


def test_training_stops_in_the_epoch_that_diverges():
    rows, targets = data("half squared error", n_rows=40)
    network = made("relu", "linear", "half squared error", 3, optimizer=momentum, learning_rate=1e100)
    with pytest.raises(ValueError, match=r"diverged in epoch 1:.*learning_rate is 1e\+100.*a tenth of it"):
        network.fit(rows, targets, epochs=1000)
    assert network.steps_ == 2
