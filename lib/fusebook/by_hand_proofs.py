"""The proofs of notebook 00_mlp_by_hand: the NumPy network against finite differences, and against Keras on JAX."""

import time
from collections.abc import Sequence

import jax
import keras
import numpy as np
import pandas as pd

from fusebook import by_hand

RULES = {"adam": by_hand.adam, "momentum": by_hand.momentum}


def finite_differences(network: by_hand.Network, rows, targets, *, width: float = 1e-6) -> list[np.ndarray]:
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


def gradient_table(
    *, sizes: Sequence[int] = (4, 6, 5, 3), n_rows: int = 8, random_state: int = 42
) -> pd.DataFrame:
    """Back-propagation against finite differences, a line for each hidden activation and each loss.

    Returns weights (how many were checked), largest gradient, and largest difference between the two ways.
    """
    random = np.random.default_rng(random_state)
    rows, lines = random.normal(size=(n_rows, sizes[0])), []
    targets = {
        "cross-entropy": np.eye(sizes[-1])[random.integers(sizes[-1], size=n_rows)],
        "half squared error": random.normal(size=(n_rows, sizes[-1])),
    }
    endings = [
        ("softmax", "cross-entropy"),
        ("linear", "half squared error"),
        ("sigmoid", "half squared error"),
    ]
    for hidden in ("sigmoid", "relu", "linear"):
        for output, loss in endings:
            names = [hidden] * (len(sizes) - 2) + [output]
            network = by_hand.Network(sizes, names, loss, random_state=random_state)
            ours = _flat(network.backward(network.forward(rows), targets[loss]))
            numeric = _flat(finite_differences(network, rows, targets[loss]))
            lines.append((hidden, output, loss, ours.size, np.abs(ours).max(), np.abs(ours - numeric).max()))
    columns = ["hidden layers", "output", "loss", "weights", "largest gradient", "largest difference"]
    return pd.DataFrame(lines, columns=columns)


def _flat(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([values.ravel() for values in arrays])


def keras_twin(network: by_hand.Network) -> keras.Model:
    """A Keras model with the layers, weights, loss and optimiser of ``network``, compiled to be trained."""
    inputs = keras.Input((network.weights_[0].shape[1],))
    joined = inputs
    for weights, function in zip(network.weights_, network.functions, strict=True):
        joined = keras.layers.Dense(len(weights), activation=_name(by_hand.ACTIVATIONS, function))(joined)
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


def _keras_loss(network: by_hand.Network):
    if network.loss is by_hand.LOSSES["cross-entropy"]:
        return keras.losses.CategoricalCrossentropy()
    return lambda targets, outputs: keras.ops.sum((outputs - targets) ** 2, axis=-1) / 2


def keras_table(network: by_hand.Network, rows: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
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
    return pd.DataFrame(lines, columns=["array", "shape", "largest number", "largest difference"]).set_index(
        "array"
    )


def train_beside(network: by_hand.Network, twin: keras.Model, rows, targets, *, epochs: int = 10,
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
