"""Two tasks of real size, and what notebook 00_mlp_by_hand shows on them: classes (``ModelCase``), numbers (``CurveCase``)."""

import time
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
from sklearn.datasets import make_classification, make_friedman1
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from fusebook.by_hand.network import Network
from fusebook.by_hand.proofs import keras_twin
from fusebook.data.predictions import Predictions
from fusebook.evaluation import intervals


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


class ModelCase:
    """Rows with 100 features, ten of which count, and five classes, in float32.

    ``train`` has so many ``samples``, ``held_out`` half as many; features have mean 0 and spread 1 over the training rows.
    """

    def __init__(self, samples: int = 10000, random_state: int = 42):
        recipe = {"n_informative": 10, "n_redundant": 0, "n_classes": 5, "class_sep": 1.5, "flip_y": 0.05}
        rows, labels = make_classification(samples * 3 // 2, 100, random_state=random_state, **recipe)
        rows = StandardScaler().fit(rows[:samples]).transform(rows).astype(np.float32)
        self.train, self.held_out = Task(rows, np.eye(5, dtype=np.float32)[labels]).split(samples)
        self.random_state = random_state

    def train_beside(self, network: Network, *, epochs: int = 10) -> tuple[keras.Model, pd.DataFrame]:
        """Train ``network`` and its ``keras_twin`` on the same batches in the same order; returns the twin and a table.

        Columns, by epoch: loss by hand, seconds by hand, loss Keras, seconds Keras. Keras's first epoch holds its
        compilation.
        """
        twin, table = keras_twin(network), pd.DataFrame(index=pd.RangeIndex(1, epochs + 1, name="epoch"))
        order = {"epochs": 1, "batch_size": 32, "shuffle": False}
        for name in ("by hand", "Keras"):
            for epoch in table.index:
                start = time.perf_counter()
                if name == "Keras":
                    loss = twin.fit(*self.train, **order, verbose=0).history["loss"]
                else:
                    loss = network.fit(*self.train, **order)
                table.loc[epoch, [f"loss {name}", f"seconds {name}"]] = loss[0], time.perf_counter() - start
        return twin, table

    def answers(self, models: dict) -> Predictions:
        """What each of ``models``, ours or Keras's, answers to the rows held out; first "majority", the class shares."""
        return _answers(models, self.train, self.held_out)

    def train_deep(self, networks: dict[str, Network], *, epochs: int = 15) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Train each network on the first 2,000 training rows; two tables with a column a network.

        The root mean square of dC/dW in each layer, 1 next to the inputs, before training; and the loss of each epoch.
        """
        (rows, targets), _ = self.train.split(2000)
        sizes, losses = {}, {}
        for name, network in networks.items():
            slopes = network.backward(network.forward(rows), targets)[: len(network.weights_)]
            sizes[name] = [np.sqrt((slope**2).mean()) for slope in slopes]
            losses[name] = network.fit(rows, targets, epochs=epochs)
        return _numbered("layer", sizes), _numbered("epoch", losses)

    def by_heart(self, n_rows: int, *, epochs: int = 40) -> tuple[dict[str, pd.DataFrame], Predictions]:
        """Train on so few rows, without a remedy against learning them by heart and with each of three.

        A fifth of the rows held out validates: early stopping ends after five epochs without a better cross-entropy on
        them and takes the best weights back (Prechelt, 1998). Returns loss and val_loss by epoch, without penalties, of
        each network by name; and their answers to the other four fifths.
        """
        few, (watched, fresh) = self.train.split(n_rows)[0], self.held_out.split(len(self.held_out.rows) // 5)
        remedies = {"no remedy": {}, "early stopping": {}, "dropout": {"dropout": 0.5}, "L2 penalty": {"l2": 0.01}}
        mlps = {name: regularised_mlp(few, self.random_state, **remedy) for name, remedy in remedies.items()}
        stop = keras.callbacks.EarlyStopping("val_cross_entropy", patience=5, mode="min", restore_best_weights=True)
        watching = {"validation_data": tuple(watched), "validation_batch_size": 1024, "verbose": 0}
        curves = {}
        for name, mlp in mlps.items():
            callbacks = [stop] if name == "early stopping" else []
            history = mlp.fit(*few, epochs=epochs, batch_size=32, callbacks=callbacks, **watching).history
            columns = {"loss": history["cross_entropy"], "val_loss": history["val_cross_entropy"]}
            curves[name] = _numbered("epoch", columns)
        return curves, _answers(mlps, few, fresh)


def regularised_mlp(task: Task, random_state: int, *, dropout: float = 0.0, l2: float = 0.0) -> keras.Model:
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


class CurveCase:
    """Friedman's (1991) function with noise of 1: ``train`` has 2,000 rows, ``held_out`` 1,000.

    Inputs and targets have mean 0 and spread 1; ``spread`` is what the training targets had.
    """

    def __init__(self, random_state: int = 42):
        rows, values = make_friedman1(3000, noise=1.0, random_state=random_state)
        self.spread, self.random_state = values[:2000].std(), random_state
        targets = (values - values[:2000].mean()) / self.spread
        self.train, self.held_out = Task((rows - 0.5) * 12**0.5, targets[:, None]).split(2000)

    def reference(self) -> MLPRegressor:
        """scikit-learn's network with 50 hidden ReLU units, trained with Adam for 30 epochs from weights it draws."""
        settings = {"alpha": 0, "batch_size": 32, "learning_rate_init": 0.003, "random_state": self.random_state}
        model = MLPRegressor(hidden_layer_sizes=(50,), **settings)
        for _ in range(30):
            model.partial_fit(self.train.rows, self.train.targets[:, 0])
        return model

    def errors(self, models: dict) -> pd.DataFrame:
        """The root mean squared error over the rows held out, of always the mean and of each of ``models``.

        Returns rmse, low and high, the 95 % bootstrap interval over rows (Efron, 1979), a line a model.
        """
        values = {"always the mean": np.zeros(len(self.held_out.rows))}
        values |= {name: np.ravel(_output(model, self.held_out.rows)) for name, model in models.items()}
        squares = (self.spread * (np.column_stack(list(values.values())) - self.held_out.targets)) ** 2
        sums = intervals.resampled_sums(squares)
        low, high = intervals.percentile_interval(np.sqrt(sums / len(squares)))
        index = pd.Index(values, name="model")
        return pd.DataFrame({"rmse": np.sqrt(squares.mean(axis=0)), "low": low, "high": high}, index)


def _answers(models: dict, train: Task, task: Task) -> Predictions:
    shares = np.bincount(train.labels, minlength=train.targets.shape[1]) / len(train.rows)
    values = {name: _output(model, task.rows) for name, model in models.items()}
    return Predictions.of({"majority": np.tile(shares, (len(task.rows), 1))} | values, task.labels)


def _output(model, rows: np.ndarray) -> np.ndarray:
    if isinstance(model, Network):
        return model.forward(rows)[-1]
    return model.predict(rows, batch_size=1024, verbose=0) if isinstance(model, keras.Model) else model.predict(rows)


def _numbered(name: str, columns: dict) -> pd.DataFrame:
    """``columns`` as a table whose lines count from 1; ``name`` says what they are."""
    return pd.DataFrame(columns).rename(lambda line: line + 1).rename_axis(name)
