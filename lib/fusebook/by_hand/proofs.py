"""Proofs that ``Network`` is right: against slopes that are measured without any theory, and against Keras on JAX."""

from itertools import product

import jax
import keras
import numpy as np
import pandas as pd

from fusebook.by_hand.network import Network


def finite_differences(network: Network, rows: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    """The gradient of the mean loss without back-propagation, arrays as ``network.backward`` gives them.

    Each weight in turn is moved up and down by a millionth, and the two losses are compared (central differences).
    The network is as before afterwards; it should compute in float64.
    """
    gradients = []
    for values in network.parameters_:
        slopes = np.zeros_like(values)
        for place, value in np.ndenumerate(values):
            losses = []
            for values[place] in (value + 1e-6, value - 1e-6):
                losses.append(network.loss(network.forward(rows)[-1], targets) / len(rows))
            values[place] = value
            slopes[place] = (losses[0] - losses[1]) / 2e-6
        gradients.append(slopes)
    return gradients


def gradient_table(*, random_state: int = 42) -> pd.DataFrame:
    """Back-propagation against finite differences, a line for each hidden activation and each loss.

    Returns weights (how many were checked), largest gradient, and largest difference between the two ways.
    """
    random, lines = np.random.default_rng(random_state), []
    rows, classes = random.normal(size=(8, 4)), np.eye(3)[random.integers(3, size=8)]
    targets = {"cross-entropy": classes, "half squared error": random.normal(size=(8, 3))}
    endings = [("softmax", "cross-entropy"), ("linear", "half squared error"), ("sigmoid", "half squared error")]
    for hidden, (output, loss) in product(("sigmoid", "relu", "linear"), endings):
        network = Network((4, 6, 5, 3), (hidden, hidden, output), loss, random_state=random_state)
        ways = (
            network.backward(network.forward(rows), targets[loss]),
            finite_differences(network, rows, targets[loss]),
        )
        ours, numeric = (np.concatenate([*map(np.ravel, gradients)]) for gradients in ways)
        lines.append((hidden, output, loss, ours.size, np.abs(ours).max(), np.abs(ours - numeric).max()))
    columns = ["hidden layers", "output", "loss", "weights", "largest gradient", "largest difference"]
    return pd.DataFrame(lines, columns=columns)


def keras_twin(network: Network) -> keras.Model:
    """A Keras model with the layers and weights of ``network``, which learns classes, compiled to be trained with Adam."""
    inputs = outputs = keras.Input((network.weights_[0].shape[1],))
    for weights, name in zip(network.weights_, network.names, strict=True):
        outputs = keras.layers.Dense(len(weights), name)(outputs)
    twin = keras.Model(inputs, outputs)
    layers = zip(network.weights_, network.biases_, strict=True)
    twin.set_weights([values for weights, bias in layers for values in (weights.T, bias)])
    # Ten batches a call, as the networks of the other notebooks.
    twin.compile(keras.optimizers.Adam(network.learning_rate), "categorical_crossentropy", steps_per_execution=10)
    return twin


def keras_table(network: Network, rows: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """Forward pass and gradients of ``network`` against Keras and JAX with the same weights, a line an array.

    Keras computes the activations, ``jax.grad`` differentiates the Keras model; both in float32. Returns shape, the
    largest number of the array, and the largest difference from Keras.
    """
    twin = keras_twin(network)
    outputs = keras.Model(twin.input, [layer.output for layer in twin.layers[1:]])(rows.astype(np.float32))

    def cost(variables):
        answers, _ = twin.stateless_call(variables, [], rows.astype(np.float32))
        return keras.ops.mean(keras.losses.categorical_crossentropy(targets.astype(np.float32), answers))

    slopes = jax.grad(cost)([variable.value for variable in twin.trainable_variables])
    activations = network.forward(rows)
    ours = [*activations[1:], *network.backward(activations, targets)]
    theirs = [*outputs, *(slope.T for slope in slopes[::2]), *slopes[1::2]]
    names = [f"{kind} {i}" for kind in ("a", "dC/dW", "dC/db") for i in range(1, len(activations))]
    pairs = zip(names, ours, map(np.asarray, theirs), strict=True)
    lines = [(name, " × ".join(map(str, a.shape)), np.abs(a).max(), np.abs(a - b).max()) for name, a, b in pairs]
    return pd.DataFrame(lines, columns=["array", "shape", "largest number", "largest difference"]).set_index("array")
