"""The demonstrations of notebook 00_mlp_by_hand: small networks, each trained to show one thing. No figures here."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from fusebook import by_hand, intervals


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
    network = by_hand.Network((2, hidden, 2), (activation, "softmax"), optimizer=by_hand.momentum,
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


def _regions_now(network: by_hand.Network, extent, held_out) -> tuple[np.ndarray, float]:
    """The probabilities of class 1 on a grid of 80 × 80 points, and the accuracy on the rows held out."""
    left, bottom, right, top = extent
    across, up = np.meshgrid(np.linspace(left, right, 80), np.linspace(bottom, top, 80))
    grid = np.column_stack([across.ravel(), up.ravel()])
    probabilities = network.forward(grid)[-1][:, 1].reshape(across.shape)
    answers = network.forward(held_out[0])[-1].argmax(axis=1)
    return probabilities, float((answers == held_out[1]).mean())


def deep_network(activation: str, n_inputs: int, n_classes: int, *, depth: int = 8, units: int = 32,
                 random_state: int = 42) -> by_hand.Network:  # fmt: skip
    """A network with ``depth`` hidden layers of the same activation, to see how gradients fare on the way down."""
    sizes = (n_inputs, *[units] * depth, n_classes)
    return by_hand.Network(sizes, (*[activation] * depth, "softmax"), random_state=random_state)


def gradient_sizes(network: by_hand.Network, rows: np.ndarray, targets: np.ndarray) -> pd.Series:
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


def learning_curve(
    network: keras.Model, train, validation, *, epochs: int, patience: int = 0
) -> pd.DataFrame:
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
