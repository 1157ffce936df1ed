"""The multilayer perceptron (MLP): build, fit, save, load.

Notebook 03_train tells the story.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from fusebook import runs
from fusebook.calibration import clean_probabilities


def build_mlp(
    input_sizes: dict[str, int],
    n_classes: int,
    *,
    hidden: Sequence[int] = (100, 50),
    activations: Sequence[str] = ("relu", "relu"),
    optimizer: str = "adam",
    learning_rate: float = 0.001,
    random_state: int = 42,
) -> keras.Model:
    """An MLP with one named input a modality and class probabilities as its output.

    With one modality the features go straight to the hidden layers. With several, each is first projected to as many
    units as the first hidden layer has; a projection counts only where the row has that part (input ``present``), and
    the projections are joined in key order: feature-level fusion.

    Parameters
    ----------
    input_sizes : number of features by modality
    hidden, activations : units and activation of each hidden layer, from the input on
    random_state : seed of the weights, and of the order of rows when the model is fitted next
    optimizer : "adam" (Kingma and Ba, 2015), "sgd" (with momentum 0.9), or another name that Keras knows

    Raises
    ------
    ValueError
        Where ``hidden`` and ``activations`` differ in length or are empty, or Keras does not know a name.
    """
    _check_layers(hidden, activations)
    rule = _optimizer(optimizer, learning_rate)
    keras.utils.set_random_seed(random_state)
    inputs = {name: keras.Input((size,), name=name) for name, size in sorted(input_sizes.items())}
    if len(inputs) == 1:
        (joined,) = inputs.values()
    else:
        joined = _join(inputs, hidden[0], activations[0])
    for units, activation in zip(hidden, activations, strict=True):
        joined = keras.layers.Dense(units, activation=activation)(joined)
    output = keras.layers.Dense(n_classes, activation="softmax", name="class")(joined)
    model = keras.Model(inputs, output)
    # Ten batches a call: the way from Python to the compiled step and back costs more than a step of this size.
    model.compile(rule, "categorical_crossentropy", metrics=["accuracy"], steps_per_execution=10)
    return model


def _check_layers(hidden: Sequence[int], activations: Sequence[str]) -> None:
    if len(hidden) != len(activations) or not len(hidden):
        raise ValueError(
            f"hidden has {len(hidden)} layers and activations {len(activations)}; expected one activation a layer, "
            "such as hidden=[100, 50] with activations=['sigmoid', 'relu']."
        )
    for name in activations:
        try:
            keras.activations.get(name)
        except ValueError:
            raise ValueError(
                f"The activation is {name!r}; expected a name that Keras knows, such as relu, sigmoid or tanh."
            ) from None


def _optimizer(name: str, learning_rate: float) -> keras.Optimizer:
    options = {"momentum": 0.9} if name.lower() == "sgd" else {}
    try:
        return keras.optimizers.get(
            {"class_name": name, "config": {"learning_rate": learning_rate, **options}}
        )
    except ValueError:
        raise ValueError(
            f"The optimizer is {name!r}; expected a name that Keras knows, such as adam or sgd."
        ) from None


def _join(inputs: dict, units: int, activation: str):
    """Project each modality, switch off what a row lacks, join in key order; adds the input ``present``."""
    present = keras.Input((len(inputs),), name="present")
    parts = []
    for i, (name, tensor) in enumerate(list(inputs.items())):
        projection = keras.layers.Dense(units, activation=activation, name=f"project_{name}")(tensor)
        parts.append(keras.layers.Multiply(name=f"gate_{name}")([projection, present[:, i : i + 1]]))
    inputs["present"] = present
    return keras.layers.Concatenate(name="fusion")(parts)


def model_inputs(features: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What an MLP over the modalities of ``features`` takes: they themselves, and ``present`` where there are several."""
    features = dict(sorted(features.items()))
    if len(features) == 1:
        return features
    return {**features, "present": np.column_stack([present[name] for name in features]).astype(np.float32)}


def fit_mlp(
    model: keras.Model,
    inputs: dict[str, np.ndarray],
    labels: np.ndarray,
    *,
    validation: tuple[dict[str, np.ndarray], np.ndarray],
    epochs: int = 10,
    batch_size: int = 32,
    patience: int = 3,
) -> pd.DataFrame:
    """Train ``model`` and go back to the weights of the epoch with the lowest validation loss.

    Parameters
    ----------
    labels : class numbers of shape (n_rows,)
    validation : inputs and labels of the validation rows; where there are none, the training rows are watched instead
    patience : epochs without a better validation loss after which training stops; 0 never stops early

    Returns
    -------
    history : DataFrame indexed by epoch from 1, with loss, accuracy, val_loss, val_accuracy

    Raises
    ------
    ValueError
        Where there are no rows to train on.
    FloatingPointError
        Where a loss is not a number: training has diverged.
    """
    if not len(labels):
        raise ValueError("No rows to train on; expected at least one. Leave out a modality that none has.")
    n_classes = model.output_shape[-1]
    watched, watched_labels = validation if len(validation[1]) else (inputs, labels)
    stopping = keras.callbacks.EarlyStopping(
        "val_loss", patience=patience or epochs, restore_best_weights=True
    )
    history = model.fit(
        inputs, keras.utils.to_categorical(labels, n_classes), epochs=epochs, batch_size=batch_size,
        validation_data=(watched, keras.utils.to_categorical(watched_labels, n_classes)),
        callbacks=[stopping, keras.callbacks.TerminateOnNaN()], verbose=0,
    ).history  # fmt: skip
    table = pd.DataFrame(history)
    table.index = pd.RangeIndex(1, len(table) + 1, name="epoch")
    if not np.isfinite(table[["loss", "val_loss"]]).all(axis=None):
        raise FloatingPointError(
            f"Training diverged in epoch {len(table)}: the loss is not a number. Use a smaller learning_rate."
        )
    return table


def predict(model: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Class probabilities of shape (n_rows, n_classes); rows sum to 1."""
    if not len(next(iter(inputs.values()))):
        return np.empty((0, model.output_shape[-1]))
    return clean_probabilities(model.predict(inputs, batch_size=1024, verbose=0))


def save_model(model: keras.Model, path: Path) -> None:
    """Write ``model`` as .keras, whole."""
    with runs.replacing(path) as beside:
        model.save(beside)


def load_model(path: Path) -> keras.Model:
    """Read a .keras file to predict with, in Keras's safe mode, which refuses layers that would run code."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)
