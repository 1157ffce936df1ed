"""Small convolutional networks (CNN) for pictures, and for sounds seen as pictures; pretrained ones from a file.

It imports Keras, which takes seconds, so ``image`` and ``audio`` import it where they train. Notebook 02_preprocess
tells the story.
"""

import os
import re
import sys
import warnings
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

BATCH = 64
PATIENCE = 5  # epochs without a better validation loss after which training stops
_ASKED = 128  # pictures that go through a trained network at a time
_PADDING = 12  # pictures move by up to a twelfth of their side


def build_cnn(shape: tuple[int, int, int], n_classes: int) -> keras.Model:
    """Pictures of ``shape`` (height, width, channels) to class probabilities; its layer "hidden" has 64 units.

    Three blocks of convolution, pooling and batch normalisation (Ioffe and Szegedy, 2015), then the mean over all
    places. Height and width are multiples of 8, as each block halves them.
    """
    pictures = keras.Input(shape, name="image")
    passed = layers.Rescaling(1 / 255)(pictures)
    for filters in (16, 32, 64):
        passed = _halve(layers.Conv2D(filters, 3, padding="same", use_bias=False)(passed))
        # Keras's own momentum of 0.99 needs some hundred steps to settle; a small table has ten an epoch.
        passed = layers.BatchNormalization(momentum=0.9)(passed)
        passed = layers.Activation("relu")(passed)
    passed = layers.Dense(64, activation="relu", name="hidden")(layers.GlobalAveragePooling2D()(passed))
    output = layers.Dense(n_classes, activation="softmax")(layers.Dropout(0.3)(passed))
    network = keras.Model(pictures, output)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], steps_per_execution=4)
    return network


def _halve(pictures):
    """Max pooling of 2 by 2, written as a maximum over a reshaped axis: Keras's own trains half as fast on a CPU."""
    _, height, width, channels = pictures.shape
    return ops.max(ops.reshape(pictures, (-1, height // 2, 2, width // 2, 2, channels)), axis=(2, 4))


def fit_cnn(
    pictures: np.ndarray, labels: np.ndarray, *, validation: tuple[np.ndarray, np.ndarray], epochs: int, mirror: bool,
    random_state: int,
) -> tuple[keras.Model, dict[str, list[float]]]:  # fmt: skip
    """Train a CNN on pictures that move a little in each epoch, and go back to its best epoch.

    ``pictures`` are uint8, shape (n_pictures, height, width, channels), ``labels`` class numbers of shape (n_pictures,).
    ``validation`` has pictures and labels to stop on; where there are none, the training loss is watched instead. With
    ``mirror`` half of the pictures are seen from behind. Returns the network and its history: loss, accuracy, val_loss
    and val_accuracy by epoch.
    """
    keras.utils.set_random_seed(random_state)
    watched = validation if len(validation[1]) else None
    n_classes = int(max(np.max(labels), np.max(validation[1], initial=0))) + 1
    network = build_cnn(pictures.shape[1:], n_classes)
    loss = "val_loss" if watched else "loss"
    stopping = keras.callbacks.EarlyStopping(loss, patience=PATIENCE, restore_best_weights=True)
    moved = _MovedPictures(pictures, labels, mirror, random_state)
    history = network.fit(moved, epochs=epochs, validation_data=watched, callbacks=[stopping], verbose=0).history
    return network, history


class _MovedPictures(keras.utils.PyDataset):
    """Batches in a new order each epoch, each picture shifted at random and half of them mirrored.

    Not done in layers: those that shift are slow on a CPU, and a saved network needs none.
    """

    def __init__(self, pictures, labels, mirror, random_state):
        super().__init__()
        self.shape, self.labels, self.mirror = pictures.shape[1:3], labels, mirror
        self.margins = [max(1, side // _PADDING) for side in self.shape]
        edges = [(0, 0), *((margin, margin) for margin in self.margins), (0, 0)]
        self.padded = np.pad(pictures, edges, mode="edge")
        self.random = np.random.default_rng(random_state)
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.labels) // BATCH)

    def on_epoch_end(self):
        self.order = self.random.permutation(len(self.labels))

    def __getitem__(self, number):
        chosen = self.order[number * BATCH : (number + 1) * BATCH]
        windows = np.lib.stride_tricks.sliding_window_view(self.padded, self.shape, axis=(1, 2))
        down, right = (self.random.integers(2 * margin + 1, size=len(chosen)) for margin in self.margins)
        moved = windows[chosen, down, right].transpose(0, 2, 3, 1)
        if self.mirror:
            turned = self.random.random(len(chosen)) < 0.5
            moved = np.where(turned[:, None, None, None], moved[:, :, ::-1], moved)
        return moved, self.labels[chosen]


def padded_size(n_rows: int, most: int) -> int:
    """A number of rows from ``n_rows`` up, one of few, as JAX compiles anew for each: powers of two, then whole ``most``."""
    return -(-n_rows // most) * most if n_rows > most else 1 << (n_rows - 1).bit_length()


def hidden_units(network: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """The output of the layer "hidden", of the network itself where it has none, shape (n_pictures, n_units)."""
    inner, n_pictures = _up_to_hidden(network), len(pictures)
    if not n_pictures:
        return np.empty((0, inner.output_shape[-1]), np.float32)
    size = padded_size(n_pictures, _ASKED)
    filled = np.concatenate([pictures, np.zeros((size - n_pictures, *pictures.shape[1:]), pictures.dtype)])
    return inner.predict(filled, batch_size=_ASKED, verbose=0)[:n_pictures]


@lru_cache(8)
def _up_to_hidden(network: keras.Model) -> keras.Model:
    if "hidden" not in [layer.name for layer in network.layers]:
        return network
    return keras.Model(network.input, network.get_layer("hidden").output)


def load_backbone(name: str, *, size: int, weights: str = "") -> keras.Model:
    """A ``keras.applications`` network without its classes: pictures of ``size`` pixels a side to their mean features.

    Nothing is ever fetched: ``weights`` is a file that the person has (a ``_notop.h5`` of Keras, or ``.weights.h5``),
    "" for the one in Keras's own cache. Raises ValueError where Keras knows no such network, it takes no picture that
    small, or the weights are of another one; FileNotFoundError, saying where they were looked for, without weights.
    """
    build = getattr(keras.applications, name, None)
    if not callable(build):
        known = ", ".join(sorted(key for key in dir(keras.applications) if key[0].isupper()))
        raise ValueError(f"Keras knows no network {name!r}; expected one of {known}.")
    path = Path(weights).expanduser() if weights else _cached_weights(name)
    if not path.is_file():
        raise FileNotFoundError(f"No weights at {path}. Pass the path of a .h5 file made for {name}.")
    try:
        network = build(include_top=False, weights=None, pooling="avg", input_shape=(size, size, 3))
    except ValueError as error:
        raise ValueError(f"{name} takes no pictures of {size} pixels a side: {error}") from None
    try:
        with warnings.catch_warnings():  # Keras only warns where a layer keeps the random weights it was born with
            warnings.filterwarnings("error", "Skipping|.*freshly")
            network.load_weights(path)
    except Exception as error:  # Keras and h5py raise several kinds
        first = str(error).split("\n")[0]
        raise ValueError(f"{path} does not hold the weights of {name} without its classes: {first}") from None
    network.trainable = False
    return network


def _cached_weights(name: str) -> Path:
    """The weights of ``name`` in Keras's cache, whose file names follow no one rule."""
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    pattern = re.compile(rf"(weights)?{name.lower()}(?!v\d)(\d|weights|float).*notop.*|{name.lower()}notop")
    for path in sorted(folder.glob("*.h5")):
        if pattern.fullmatch(re.sub(r"[^a-z0-9]", "", path.stem.lower())):
            return path
    there = ", ".join(path.name for path in sorted(folder.glob("*.h5"))) or "nothing"
    raise FileNotFoundError(
        f"No weights of {name} without its classes in {folder} (there is {there}). Put Keras's file there on a machine "
        f'with a network, by keras.applications.{name}(include_top=False), or pass the path of one as "weights".'
    )


def prepare(name: str, pictures: np.ndarray) -> np.ndarray:
    """``pictures`` (uint8) scaled as the ``keras.applications`` network ``name`` was trained."""
    module = sys.modules[getattr(keras.applications, name).__module__]
    return module.preprocess_input(pictures.astype(np.float32))
