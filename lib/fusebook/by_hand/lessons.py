"""The lessons of notebook 00_mlp_by_hand, in its order: tasks, proofs (against finite differences, and against Keras on
JAX), and small networks, each trained to show one thing. No figures here.
"""

import time
from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

import jax
import keras
import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from fusebook.by_hand.network import Diverged, Network, momentum
from fusebook.data.predictions import Predictions
from fusebook.evaluation import intervals

STORY = (0, 5, 30, 200)  # the epochs after which decision regions are drawn


class Task(NamedTuple):
    """Rows of shape (n_rows, n_inputs) and their targets of shape (n_rows, n_outputs), one-hot where they are classes."""

    rows: np.ndarray
    targets: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """Class numbers of shape (n_rows,)."""
        return self.targets.argmax(axis=1)

    def split(self, n_rows: int) -> tuple["Task", "Task"]:
        """The first ``n_rows``, or all where they are fewer, and the rest."""
        return Task(self.rows[:n_rows], self.targets[:n_rows]), Task(self.rows[n_rows:], self.targets[n_rows:])


def model_case(n_rows: int, *, random_state: int = 42) -> tuple[Task, Task]:
    """Training rows with 100 features, ten of which count, and five classes; half as many rows held out. In float32."""
    recipe = {"n_informative": 10, "n_redundant": 0, "n_classes": 5, "class_sep": 1.5, "flip_y": 0.05}
    rows, labels = datasets.make_classification(n_rows * 3 // 2, 100, random_state=random_state, **recipe)
    rows = StandardScaler().fit(rows[:n_rows]).transform(rows).astype(np.float32)
    return Task(rows, np.eye(5, dtype=np.float32)[labels]).split(n_rows)


def curve_case(*, random_state: int = 42) -> tuple[Task, Task, float]:
    """Friedman's (1991) function with noise of 1: 2,000 training rows, 1,000 held out; all with mean 0 and spread 1.

    The spread that the training targets had comes third.
    """
    rows, values = datasets.make_friedman1(3000, noise=1.0, random_state=random_state)
    mean, spread = values[:2000].mean(), values[:2000].std()
    return *Task((rows - 0.5) * 12**0.5, ((values - mean) / spread)[:, None]).split(2000), spread


def two_moons(*, random_state: int = 42) -> tuple[Task, Task]:
    """Two half moons in the plane, a class each, with some noise: 200 training rows, 600 held out."""
    points, labels = datasets.make_moons(800, noise=0.2, random_state=random_state)
    return Task(points, np.eye(2)[labels]).split(200)


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


def gradient_table(*, random_state: int = 42) -> pd.DataFrame:
    """Back-propagation against finite differences, a line for each hidden activation and each loss.

    Returns weights (how many were checked), largest gradient, and largest difference between the two ways.
    """
    random, sizes, lines = np.random.default_rng(random_state), (4, 6, 5, 3), []
    rows, classes = random.normal(size=(8, 4)), np.eye(3)[random.integers(3, size=8)]
    targets = {"cross-entropy": classes, "half squared error": random.normal(size=(8, 3))}
    endings = [("softmax", "cross-entropy"), ("linear", "half squared error"), ("sigmoid", "half squared error")]
    for hidden, (output, loss) in product(("sigmoid", "relu", "linear"), endings):
        network = Network(sizes, (hidden, hidden, output), loss, random_state=random_state)
        ours = _flat(network.backward(network.forward(rows), targets[loss]))
        numeric = _flat(finite_differences(network, rows, targets[loss]))
        lines.append((hidden, output, loss, ours.size, np.abs(ours).max(), np.abs(ours - numeric).max()))
    columns = ["hidden layers", "output", "loss", "weights", "largest gradient", "largest difference"]
    return pd.DataFrame(lines, columns=columns)


def _flat(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([values.ravel() for values in arrays])


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
    depth = range(1, len(network.weights_) + 1)
    ours = [*activations[1:], *network.backward(activations, targets)]
    theirs = [*outputs, *(slope.T for slope in slopes[::2]), *slopes[1::2]]
    names = [f"{kind} {layer}" for kind in ("a", "dC/dW", "dC/db") for layer in depth]
    lines = [
        (name, " × ".join(map(str, mine.shape)), np.abs(mine).max(), np.abs(mine - np.asarray(other)).max())
        for name, mine, other in zip(names, ours, theirs, strict=True)
    ]
    return pd.DataFrame(lines, columns=["array", "shape", "largest number", "largest difference"]).set_index("array")


def train_beside(network: Network, task: Task, *, epochs: int = 10) -> tuple[keras.Model, pd.DataFrame]:
    """Train ``network`` and its ``keras_twin`` on the same batches in the same order; returns the twin and a table.

    Columns, by epoch from 1 on: loss by hand, seconds by hand, loss Keras, seconds Keras. Keras's first epoch holds its
    compilation.
    """
    twin, order = keras_twin(network), {"epochs": 1, "batch_size": 32, "shuffle": False}
    trained = {
        "by hand": lambda: network.fit(*task, **order)[0],
        "Keras": lambda: twin.fit(*task, **order, verbose=0).history["loss"][0],
    }
    table = pd.DataFrame(index=pd.RangeIndex(1, epochs + 1, name="epoch"))
    for name, epoch_of in trained.items():
        for epoch in table.index:
            start = time.perf_counter()
            table.loc[epoch, f"loss {name}"] = epoch_of()
            table.loc[epoch, f"seconds {name}"] = time.perf_counter() - start
    return twin, table


def answers(models: dict, train: Task, task: Task) -> Predictions:
    """What each of ``models``, of ours or Keras's, answers to the rows of ``task``; first the class shares of ``train``."""
    shares = np.bincount(train.labels, minlength=train.targets.shape[1]) / len(train.rows)
    values = {name: _output(model, task.rows) for name, model in models.items()}
    return Predictions.of({"majority": np.tile(shares, (len(task.rows), 1))} | values, task.labels)


def _output(model, rows: np.ndarray) -> np.ndarray:
    if isinstance(model, Network):
        return model.forward(rows)[-1]
    return model.predict(rows, batch_size=1024, verbose=0) if isinstance(model, keras.Model) else model.predict(rows)


def reference_regressor(task: Task, *, random_state: int = 42) -> MLPRegressor:
    """scikit-learn's network with 50 hidden ReLU units, trained with Adam for 30 epochs from first weights it draws."""
    settings = {"alpha": 0, "batch_size": 32, "learning_rate_init": 0.003, "random_state": random_state}
    model = MLPRegressor(hidden_layer_sizes=(50,), **settings)
    for _ in range(30):
        model.partial_fit(task.rows, task.targets[:, 0])
    return model


def error_table(models: dict, task: Task, spread: float) -> pd.DataFrame:
    """The root mean squared error of always the mean, 0, and of each of ``models`` over ``task``, times ``spread``.

    Returns rmse, low and high, the 95 % bootstrap interval over rows (Efron, 1979), a line a model.
    """
    values = {"always the mean": np.zeros(len(task.rows))}
    values |= {name: np.ravel(_output(model, task.rows)) for name, model in models.items()}
    squares = (spread * (np.column_stack(list(values.values())) - task.targets)) ** 2
    sums = intervals.resampled_sums(squares, np.zeros(len(squares), int))
    low, high = intervals.percentile_interval(np.sqrt(sums / len(squares)))
    table = {"rmse": np.sqrt(squares.mean(axis=0)), "low": low, "high": high}
    return pd.DataFrame(table, index=pd.Index(values, name="model"))


class Regions(NamedTuple):
    """What a network with two inputs says of the plane after some epochs."""

    epoch: int
    extent: tuple[float, float, float, float]  # left, bottom, right, top
    probabilities: np.ndarray  # of class 1, shape (n, n), bottom line first; empty where training diverged
    accuracy: float  # on the rows held out; NaN where training diverged


def decision_regions(
    train: Task, held_out: Task, *, epochs=STORY, hidden: int = 16, activation: str = "relu", learning_rate: float = 0.1,
    random_state: int = 42,
) -> list[Regions]:  # fmt: skip
    """The decision regions of a network with one hidden layer as they form, after each of ``epochs`` (rising).

    ``train`` and ``held_out`` are points in the plane of two classes. Training is gradient descent with momentum. Where
    it diverges, the epochs from there on are empty.
    """
    sizes, rule = (2, hidden, 2), {"optimizer": momentum, "learning_rate": learning_rate}
    network = Network(sizes, (activation, "softmax"), random_state=random_state, **rule)
    extent = (*train.rows.min(axis=0) - 0.3, *train.rows.max(axis=0) + 0.3)
    made, done = [], 0
    for epoch in epochs:
        try:
            network.fit(*train, epochs=epoch - done)
        except Diverged:
            return made + [Regions(later, extent, np.empty((0, 0)), np.nan) for later in epochs[len(made) :]]
        done = epoch
        made.append(Regions(epoch, extent, *_regions_now(network, extent, held_out)))
    return made


def _regions_now(network: Network, extent, held_out: Task) -> tuple[np.ndarray, float]:
    """The probabilities of class 1 on a grid of 80 × 80 points, and the accuracy on the rows held out."""
    left, bottom, right, top = extent
    across, up = np.meshgrid(np.linspace(left, right, 80), np.linspace(bottom, top, 80))
    probabilities = network.forward(np.column_stack([across.ravel(), up.ravel()]))[-1][:, 1].reshape(across.shape)
    return probabilities, float((network.forward(held_out.rows)[-1].argmax(axis=1) == held_out.labels).mean())


def regions_by(train: Task, held_out: Task, setting: str, values: Iterable, **settings) -> dict[str, list[Regions]]:
    """``decision_regions`` for each of ``values`` of one ``setting``: learning_rate, hidden or activation; by its name."""
    name = {"learning_rate": "η = {:g}", "hidden": "units: {}", "activation": "{}"}[setting]
    return {name.format(v): decision_regions(train, held_out, **settings | {setting: v}) for v in values}


def gradient_sizes(networks: dict[str, Network], task: Task) -> pd.DataFrame:
    """The root mean square of dC/dW in each layer, from 1, the one next to the inputs, on; a column a network."""
    sizes = {}
    for name, network in networks.items():
        slopes = network.backward(network.forward(task.rows), task.targets)[: len(network.weights_)]
        sizes[name] = [np.sqrt((slope**2).mean()) for slope in slopes]
    return _from_1(pd.DataFrame(sizes), "layer")


def training_losses(networks: dict[str, Network], task: Task, *, epochs: int) -> pd.DataFrame:
    """Train each network; its loss by epoch, a column a network."""
    return _from_1(
        pd.DataFrame({name: network.fit(*task, epochs=epochs) for name, network in networks.items()}), "epoch"
    )


def _from_1(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table.set_axis(pd.RangeIndex(1, len(table) + 1, name=name))


def by_heart(train: Task, validation: Task, *, epochs: int = 40, random_state: int = 42) -> tuple[dict, dict]:
    """One network without a remedy against learning by heart, and one with each of three, trained.

    Returns the ``learning_curve`` of each by name, and the networks by name.
    """
    remedies = {"no remedy": {}, "early stopping": {}, "dropout": {"dropout": 0.5}, "L2 penalty": {"l2": 0.01}}
    mlps = {name: regularised_mlp(train, random_state=random_state, **remedy) for name, remedy in remedies.items()}
    patience = dict.fromkeys(mlps, 0) | {"early stopping": 5}
    curves = {name: learning_curve(mlps[name], train, validation, epochs, patience[name]) for name in mlps}
    return curves, mlps


def regularised_mlp(task: Task, *, dropout: float = 0.0, l2: float = 0.0, random_state: int = 42) -> keras.Model:
    """A ReLU network in Keras with dropout after each hidden layer, and a penalty of ``l2`` times each squared weight.

    Dropout: Srivastava and others (2014); the penalty, also called weight decay: Krogh and Hertz (1991).
    """
    keras.utils.set_random_seed(random_state)
    layers, penalty = [keras.Input(task.rows.shape[1:])], keras.regularizers.L2(l2) if l2 else None
    for units in (100, 50):
        layers += [keras.layers.Dense(units, "relu", kernel_regularizer=penalty), keras.layers.Dropout(dropout)]
    network = keras.Sequential([*layers, keras.layers.Dense(task.targets.shape[1], "softmax")])
    metric = keras.metrics.CategoricalCrossentropy(name="cross_entropy")
    network.compile(keras.optimizers.Adam(0.001), "categorical_crossentropy", metrics=[metric])
    return network


def learning_curve(network: keras.Model, train: Task, validation: Task, epochs: int, patience: int) -> pd.DataFrame:
    """Train and return cross-entropy by epoch, without penalties: loss on training rows, val_loss on validation rows.

    ``patience``: epochs without a better val_loss after which training stops and the best weights come back (early
    stopping; Prechelt, 1998); 0 trains all epochs and keeps the last weights.
    """
    best = {"mode": "min", "patience": patience, "restore_best_weights": True}
    stopping = [keras.callbacks.EarlyStopping("val_cross_entropy", **best)] if patience else []
    given = {"validation_data": tuple(validation), "validation_batch_size": 1024, "callbacks": stopping, "verbose": 0}
    history = network.fit(*train, epochs=epochs, batch_size=32, **given).history
    return _from_1(pd.DataFrame({"loss": history["cross_entropy"], "val_loss": history["val_cross_entropy"]}), "epoch")
