"""The demonstrations of notebook 00_mlp_by_hand: small networks, each trained to show one thing. No figures here."""
# FOLDED: The proofs of notebook 00_mlp_by_hand: the NumPy network against finite differences, and against Keras on JAX.

import time
from collections.abc import Sequence
from typing import NamedTuple

import jax
import keras
import numpy as np
import pandas as pd

from fusebook.by_hand.network import ACTIVATIONS, LOSSES, Network, adam, momentum
from fusebook.evaluation import intervals


class Regions(NamedTuple):
    """What a network with two inputs says of the plane after some epochs."""

    epoch: int
    extent: tuple[float, float, float, float]  # left, bottom, right, top
    probabilities: np.ndarray  # of class 1, shape (n, n), bottom line first; empty where training diverged
    accuracy: float  # on the rows held out; NaN where training diverged


def decision_regions(
    train: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray], *, epochs=(0, 5, 30, 200),
    hidden: int = 16, activation: str = "relu", learning_rate: float = 0.1, random_state: int = 42,
) -> list[Regions]:  # fmt: skip
    """The decision regions of a network with one hidden layer as they form, after each of ``epochs`` (rising).

    Parameters
    ----------
    train, held_out : points of shape (n_rows, 2) and their classes, 0 or 1, of shape (n_rows,)
    hidden : units of the hidden layer
    learning_rate : of gradient descent with momentum, batches of 32

    Where training diverges, the epochs from there on are empty. Raises ValueError where ``epochs`` do not rise.
    """
    if list(epochs) != sorted(set(epochs)):
        raise ValueError(f"epochs is {epochs!r}; expected rising numbers, such as (0, 5, 30, 200).")
    points, labels = train
    network = Network((2, hidden, 2), (activation, "softmax"), optimizer=momentum,
                              learning_rate=learning_rate, random_state=random_state)  # fmt: skip
    extent = (*points.min(axis=0) - 0.3, *points.max(axis=0) + 0.3)
    made, done = [], 0
    for epoch in epochs:
        try:
            if epoch > done:
                network.fit(points, np.eye(2)[labels], epochs=epoch - done)
        except ValueError as error:
            if "diverged" not in str(error):
                raise
            return made + [Regions(later, extent, np.empty((0, 0)), np.nan) for later in epochs[len(made) :]]
        done = epoch
        made.append(Regions(epoch, extent, *_regions_now(network, extent, held_out)))
    return made


def _regions_now(network: Network, extent, held_out) -> tuple[np.ndarray, float]:
    """The probabilities of class 1 on a grid of 80 × 80 points, and the accuracy on the rows held out."""
    left, bottom, right, top = extent
    across, up = np.meshgrid(np.linspace(left, right, 80), np.linspace(bottom, top, 80))
    grid = np.column_stack([across.ravel(), up.ravel()])
    probabilities = network.forward(grid)[-1][:, 1].reshape(across.shape)
    answers = network.forward(held_out[0])[-1].argmax(axis=1)
    return probabilities, float((answers == held_out[1]).mean())


def deep_network(activation: str, n_inputs: int, n_classes: int, *, depth: int = 8, units: int = 32,
                 random_state: int = 42) -> Network:  # fmt: skip
    """A network with ``depth`` hidden layers of the same activation, to see how gradients fare on the way down."""
    sizes = (n_inputs, *[units] * depth, n_classes)
    return Network(sizes, (*[activation] * depth, "softmax"), random_state=random_state)


def gradient_sizes(network: Network, rows: np.ndarray, targets: np.ndarray) -> pd.Series:
    """The root mean square of dC/dW in each layer, indexed by layer from 1, the one next to the inputs, on."""
    gradients = network.backward(network.forward(rows), targets)[: len(network.weights_)]
    layers = pd.RangeIndex(1, len(gradients) + 1, name="layer")
    return pd.Series([np.sqrt((slope**2).mean()) for slope in gradients], index=layers)


def regularised_mlp(n_inputs: int, n_classes: int, *, hidden: Sequence[int] = (100, 50), dropout: float = 0.0,
                    l2: float = 0.0, learning_rate: float = 0.001, random_state: int = 42) -> keras.Model:  # fmt: skip
    """A ReLU network in Keras with dropout after each hidden layer, and a penalty of ``l2`` times each squared weight.

    Dropout: Srivastava and others (2014); the penalty, also called weight decay: Krogh and Hertz (1991).
    """
    keras.utils.set_random_seed(random_state)
    penalty = keras.regularizers.L2(l2) if l2 else None
    layers = [keras.Input((n_inputs,))]
    for units in hidden:
        layers += [keras.layers.Dense(units, activation="relu", kernel_regularizer=penalty)]
        layers += [keras.layers.Dropout(dropout)] if dropout else []
    layers += [keras.layers.Dense(n_classes, activation="softmax")]
    network = keras.Sequential(layers)
    metric = keras.metrics.CategoricalCrossentropy(name="cross_entropy")
    network.compile(keras.optimizers.Adam(learning_rate), "categorical_crossentropy", metrics=[metric])
    return network


def learning_curve(network: keras.Model, train, validation, *, epochs: int, patience: int = 0) -> pd.DataFrame:
    """Train and return cross-entropy by epoch, without penalties: loss on training rows, val_loss on validation rows.

    Parameters
    ----------
    train, validation : rows of shape (n_rows, n_inputs) and targets of shape (n_rows, n_classes)
    patience : epochs without a better val_loss after which training stops and the best weights come back
        (early stopping; Prechelt, 1998); 0 trains all epochs and keeps the last weights
    """
    stopping = keras.callbacks.EarlyStopping(
        "val_cross_entropy", mode="min", patience=patience, restore_best_weights=True
    )
    history = network.fit(
        *train, validation_data=validation, epochs=epochs, batch_size=32, validation_batch_size=1024,
        callbacks=[stopping] if patience else [], verbose=0,
    ).history  # fmt: skip
    table = pd.DataFrame({"loss": history["cross_entropy"], "val_loss": history["val_cross_entropy"]})
    return table.set_axis(pd.RangeIndex(1, len(table) + 1, name="epoch"))


def error_table(answers: dict[str, np.ndarray], values: np.ndarray) -> pd.DataFrame:
    """The root mean squared error of each model's ``answers`` to ``values``, both of shape (n_rows,).

    Returns rmse, low and high, the 95 % bootstrap interval over rows (Efron, 1979), a line a model.
    """
    squares = np.column_stack([(np.ravel(given) - values) ** 2 for given in answers.values()])
    sums = intervals.resampled_sums(squares, np.zeros(len(values), int))
    low, high = intervals.percentile_interval(np.sqrt(sums / len(values)))
    table = {"rmse": np.sqrt(squares.mean(axis=0)), "low": low, "high": high}
    return pd.DataFrame(table, index=pd.Index(answers, name="model"))


RULES = {"adam": adam, "momentum": momentum}


def finite_differences(network: Network, rows, targets, *, width: float = 1e-6) -> list[np.ndarray]:
    """The gradient of the mean loss without back-propagation, arrays as ``network.backward`` gives them.

    Each weight in turn is moved up and down by ``width``, and the two losses are compared (central differences).
    The network is as before afterwards; it should compute in float64.
    """
    gradients = []
    for values in network.parameters_:
        slopes = np.zeros_like(values)
        for place, value in np.ndenumerate(values):
            losses = []
            for moved in (value + width, value - width):
                values[place] = moved
                losses.append(network.loss(network.forward(rows)[-1], targets) / len(rows))
            values[place] = value
            slopes[place] = (losses[0] - losses[1]) / (2 * width)
        gradients.append(slopes)
    return gradients


def gradient_table(*, sizes: Sequence[int] = (4, 6, 5, 3), n_rows: int = 8, random_state: int = 42) -> pd.DataFrame:
    """Back-propagation against finite differences, a line for each hidden activation and each loss.

    Returns weights (how many were checked), largest gradient, and largest difference between the two ways.
    """
    random = np.random.default_rng(random_state)
    rows, lines = random.normal(size=(n_rows, sizes[0])), []
    targets = {
        "cross-entropy": np.eye(sizes[-1])[random.integers(sizes[-1], size=n_rows)],
        "half squared error": random.normal(size=(n_rows, sizes[-1])),
    }
    endings = [("softmax", "cross-entropy"), ("linear", "half squared error"), ("sigmoid", "half squared error")]
    for hidden in ("sigmoid", "relu", "linear"):
        for output, loss in endings:
            names = [hidden] * (len(sizes) - 2) + [output]
            network = Network(sizes, names, loss, random_state=random_state)
            ours = _flat(network.backward(network.forward(rows), targets[loss]))
            numeric = _flat(finite_differences(network, rows, targets[loss]))
            lines.append((hidden, output, loss, ours.size, np.abs(ours).max(), np.abs(ours - numeric).max()))
    columns = ["hidden layers", "output", "loss", "weights", "largest gradient", "largest difference"]
    return pd.DataFrame(lines, columns=columns)


def _flat(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([values.ravel() for values in arrays])


def keras_twin(network: Network) -> keras.Model:
    """A Keras model with the layers, weights, loss and optimiser of ``network``, compiled to be trained."""
    inputs = keras.Input((network.weights_[0].shape[1],))
    joined = inputs
    for weights, function in zip(network.weights_, network.functions, strict=True):
        joined = keras.layers.Dense(len(weights), activation=_name(ACTIVATIONS, function))(joined)
    twin = keras.Model(inputs, joined)
    layers = zip(network.weights_, network.biases_, strict=True)
    twin.set_weights([values for weights, bias in layers for values in (weights.T, bias)])
    rules = {
        "adam": keras.optimizers.Adam(network.learning_rate),
        "momentum": keras.optimizers.SGD(network.learning_rate, momentum=0.9),
    }
    # Ten batches a call, as in model.build_mlp.
    twin.compile(rules[_name(RULES, network.optimizer)], _keras_loss(network), steps_per_execution=10)
    return twin


def _name(known: dict, wanted: object) -> str:
    return next(name for name, value in known.items() if value is wanted)


def _keras_loss(network: Network):
    if network.loss is LOSSES["cross-entropy"]:
        return keras.losses.CategoricalCrossentropy()
    return lambda targets, outputs: keras.ops.sum((outputs - targets) ** 2, axis=-1) / 2


def keras_table(network: Network, rows: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """Forward pass and gradients of ``network`` against Keras and JAX with the same weights, a line an array.

    Keras computes the activations, ``jax.grad`` differentiates the Keras model; both in float32. Returns shape, the
    largest number of the array, and the largest difference from Keras.
    """
    twin = keras_twin(network)
    outputs = keras.Model(twin.input, [layer.output for layer in twin.layers[1:]])(rows.astype(np.float32))

    def cost(variables):
        answers, _ = twin.stateless_call(variables, [], rows.astype(np.float32))
        return keras.ops.mean(_keras_loss(network)(targets.astype(np.float32), answers))

    slopes = jax.grad(cost)([variable.value for variable in twin.trainable_variables])
    activations = network.forward(rows)
    depth = len(network.weights_)
    ours = [*activations[1:], *network.backward(activations, targets)]
    theirs = [*outputs, *(slope.T for slope in slopes[::2]), *slopes[1::2]]
    names = [f"{kind} {layer}" for kind in ("a", "dC/dW", "dC/db") for layer in range(1, depth + 1)]
    lines = [
        (name, " × ".join(map(str, mine.shape)), np.abs(mine).max(), np.abs(mine - np.asarray(other)).max())
        for name, mine, other in zip(names, ours, theirs, strict=True)
    ]
    return pd.DataFrame(lines, columns=["array", "shape", "largest number", "largest difference"]).set_index("array")


def train_beside(network: Network, twin: keras.Model, rows, targets, *, epochs: int = 10,
                 batch_size: int = 32) -> pd.DataFrame:  # fmt: skip
    """Train both on the same batches in the same order; losses and seconds by epoch, from 1 on.

    Columns: loss by hand, loss Keras, seconds by hand, seconds Keras. Keras's first epoch holds its compilation.
    """

    def by_hand_epoch():
        return network.fit(rows, targets, epochs=1, batch_size=batch_size, shuffle=False)[0]

    def keras_epoch():
        past = twin.fit(rows, targets, epochs=1, batch_size=batch_size, shuffle=False, verbose=0)
        return past.history["loss"][0]

    table = pd.DataFrame(index=pd.RangeIndex(1, epochs + 1, name="epoch"))
    for name, train in (("by hand", by_hand_epoch), ("Keras", keras_epoch)):
        for epoch in table.index:
            start = time.perf_counter()
            table.loc[epoch, f"loss {name}"] = train()
            table.loc[epoch, f"seconds {name}"] = time.perf_counter() - start
    return table
