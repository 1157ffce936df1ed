"""The NumPy network against finite differences, Keras, JAX, scikit-learn and SciPy; and what it refuses."""

import ast
import io
import tokenize
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.special
from sklearn.datasets import make_classification, make_friedman1
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fusebook.by_hand.network import ACTIVATIONS, LOSSES, Diverged, Network, __file__, adam, momentum

LAYERS = {1: (5,), 2: (6, 5), 3: (7, 6, 5)}  # units by number of layers; 4 inputs, 5 outputs
CLASSES, NUMBERS = "cross-entropy", "half squared error"
# Hidden activation, output, loss, depth: each hidden activation in a deep network, each ending below a hidden layer,
# and each alone.
CASES = [
    *((hidden, "softmax", CLASSES, 3) for hidden in ("sigmoid", "relu", "linear")),
    *(("relu", output, NUMBERS, 2) for output in ("sigmoid", "relu", "linear")),
    ("", "softmax", CLASSES, 1), ("", "linear", NUMBERS, 1), ("sigmoid", "sigmoid", NUMBERS, 3),
]  # fmt: skip


@pytest.fixture(scope="module")
def twins():
    """Networks in Keras with the same layers, weights and loss, made here and not by the library; and both packages."""
    import jax
    import keras

    def twin(network, activations, loss, optimizer=adam):
        tensor = inputs = keras.Input((network.weights_[0].shape[1],))
        for weights, name in zip(network.weights_, activations, strict=True):
            tensor = keras.layers.Dense(len(weights), name)(tensor)
        made = keras.Model(inputs, tensor)
        pairs = zip(network.weights_, network.biases_, strict=True)
        made.set_weights([values for weights, bias in pairs for values in (weights.T, bias)])
        rate = network.learning_rate
        rule = keras.optimizers.Adam(rate) if optimizer is adam else keras.optimizers.SGD(rate, momentum=0.9)
        made.compile(rule, loss_of(loss))
        return made

    def loss_of(name):
        if name == CLASSES:
            return keras.losses.CategoricalCrossentropy()
        return lambda targets, outputs: keras.ops.sum((outputs - targets) ** 2, axis=-1) / 2

    return SimpleNamespace(jax=jax, keras=keras, twin=twin, loss_of=loss_of)


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


# --- Forward pass and gradients -----------------------------------------------------------------------


def test_the_network_can_be_read_at_one_sitting():
    source = Path(__file__).read_text(encoding="utf-8")
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in silent]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    tree = ast.parse(source)
    for check in (node for node in tree.body if getattr(node, "name", "").startswith("check_")):
        lines -= set(range(check.lineno, check.end_lineno + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    assert 40 < len(lines) <= 62 and len(source.splitlines()) <= 180


@pytest.mark.parametrize(("hidden", "output", "loss", "depth"), CASES)
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


@pytest.mark.parametrize(("hidden", "output", "loss", "depth"), CASES)
def test_forward_pass_and_gradients_equal_those_of_keras_and_jax(hidden, output, loss, depth, twins):
    network, (rows, targets) = made(hidden, output, loss, depth), data(loss)
    keras, twin = twins.keras, twins.twin(network, [hidden] * (depth - 1) + [output], loss)
    inner = keras.Model(twin.input, [layer.output for layer in twin.layers[1:]])

    def cost(variables):
        outputs, _ = twin.stateless_call(variables, [], rows.astype("float32"))
        return keras.ops.mean(twins.loss_of(loss)(targets.astype("float32"), outputs))

    slopes = twins.jax.grad(cost)([variable.value for variable in twin.trainable_variables])
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


@pytest.mark.parametrize(("hidden", "output", "loss", "optimizer"), [
    ("sigmoid", "softmax", CLASSES, adam), ("relu", "softmax", CLASSES, momentum), ("relu", "linear", NUMBERS, adam),
])  # fmt: skip
def test_training_follows_keras(hidden, output, loss, optimizer, twins):
    network = made(hidden, output, loss, depth=3, optimizer=optimizer, learning_rate=0.02)
    rows, targets = data(loss, n_rows=100)  # batches of 32, 32, 32 and 4
    twin = twins.twin(network, [hidden, hidden, output], loss, optimizer)
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


@pytest.mark.parametrize("batch_size", [1, 4, 10, 11])
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


ROWS, TARGETS = data()
TWO_CLASSES = np.vstack([TARGETS[:-1], [1, 0, 0, 0, 1]])


@pytest.mark.parametrize(("changed", "passed", "mend"), [
    ({"activations": ["swish", "softmax"]}, "'swish' is not known", "sigmoid, relu"),
    ({"loss": "hinge"}, "'hinge' is not known", "half squared error, cross-entropy"),
    ({"activations": ["softmax"]}, "activations is ['softmax']", "one for each layer"),
    ({"activations": ["softmax", "softmax"]}, "['softmax', 'softmax']", "in the last"),
    ({"loss": "half squared error"}, "'half squared error'", "with cross-entropy"),
    ({"activations": ["relu", "relu"]}, "['relu', 'relu']", "softmax in the last"),
])  # fmt: skip
def test_settings_that_make_no_network_are_refused(changed, passed, mend):
    settings = {"sizes": (4, 6, 5), "activations": ["relu", "softmax"]}
    assert Network(**settings).steps_ == 0
    with pytest.raises(ValueError) as refused:
        Network(**settings | changed)
    assert passed in str(refused.value) and "expected" in str(refused.value) and mend in str(refused.value)


@pytest.mark.parametrize(("changed", "passed", "mend"), [
    ({"rows": ROWS[:, :3]}, "rows has shape (12, 3)", "(n_rows, 4)"),
    ({"rows": ROWS[0]}, "rows has shape (4,)", "values[None, :]"),
    ({"rows": ROWS[:0], "targets": TARGETS[:0]}, "rows has shape (0, 4)", "at least one row"),
    ({"targets": TARGETS[:5]}, "targets has shape (5, 5)", "(12, 5)"),
    ({"targets": TARGETS.argmax(axis=1)}, "targets has shape (12,)", "numpy.eye(n_classes)"),
    ({"targets": TWO_CLASSES}, "no classes", "single 1 among zeros"),
    ({"targets": np.vstack([np.zeros(5), TARGETS[1:]])}, "no classes", "single 1 among zeros"),
    ({"targets": 2 * TARGETS}, "no classes", "single 1 among zeros"),
    ({"targets": np.full((12, 5), 0.2)}, "no classes", "single 1 among zeros"),
    ({"targets": np.vstack([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], TARGETS[2:]])}, "no classes", "single 1 among zeros"),
    ({"targets": np.vstack([[1, 1, -1, 0, 0], TARGETS[1:]])}, "no classes", "single 1 among zeros"),
])  # fmt: skip
def test_data_that_do_not_fit_are_refused_before_a_weight_changes(changed, passed, mend):
    network, given = made(), {"rows": ROWS, "targets": TARGETS} | changed
    with pytest.raises(ValueError) as refused:
        network.fit(**given)
    assert passed in str(refused.value) and "expected" in str(refused.value) and mend in str(refused.value)
    for values, fresh in zip(network.parameters_, made().parameters_, strict=True):
        np.testing.assert_array_equal(values, fresh)


def test_forward_and_backward_refuse_what_fit_refuses():
    network = made()
    with pytest.raises(ValueError, match=r"rows has shape \(12, 3\)"):
        network.forward(ROWS[:, :3])
    with pytest.raises(ValueError, match=r"targets has shape \(5, 5\); expected \(12, 5\)"):
        network.backward(network.forward(ROWS), TARGETS[:5])
    with pytest.raises(ValueError, match="single 1 among zeros"):
        network.backward(network.forward(ROWS), TWO_CLASSES)


@pytest.mark.parametrize(("optimizer", "dtype", "output", "loss"), [
    (adam, np.float32, "softmax", CLASSES), (adam, np.float64, "linear", NUMBERS),
    (momentum, np.float32, "linear", NUMBERS), (momentum, np.float64, "softmax", CLASSES),
])  # fmt: skip
def test_any_learning_rate_ends_in_numbers_or_in_an_error(optimizer, dtype, output, loss):
    rows, targets = data(loss, n_rows=40)
    diverged = 0
    for exponent in (-300, -40, 0, 20, 38, 160, 300):
        network = made("relu", output, loss, 3, dtype=dtype, optimizer=optimizer, learning_rate=10.0**exponent)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                losses = network.fit(rows, targets, epochs=5)
            except Diverged as error:
                assert "Training diverged in epoch" in str(error) and f"{10.0**exponent}; expected" in str(error)
                diverged += 1
            else:
                assert np.isfinite(losses).all() and all(np.isfinite(p).all() for p in network.parameters_)
    assert 0 < diverged < 7


def test_training_stops_in_the_epoch_that_diverges():
    rows, targets = data(NUMBERS, n_rows=40)
    network = made("relu", "linear", NUMBERS, 3, optimizer=momentum, learning_rate=1e100)
    with pytest.raises(Diverged, match=r"diverged in epoch 1:.*learning_rate is 1e\+100.*a tenth of it"):
        network.fit(rows, targets, epochs=1000)
    assert network.steps_ == 2


def test_a_row_without_a_number_is_an_error_and_not_a_network():
    with pytest.raises(Diverged, match="leave out rows that hold NaN"):
        made().fit(np.where(ROWS[2, 1] == ROWS, np.nan, ROWS), TARGETS)
