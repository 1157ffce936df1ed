"""Small convolutional networks (CNN) for pictures, and for sounds seen as pictures; pretrained ones from a file.

It imports Keras, which takes seconds, so ``image`` and ``audio`` import it where they train. Notebook 02_preprocess
tells the story. Below is how any network answers, ``ask``: compiled once for all that are built alike.
"""

import json
import math
import os
import random
import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import layers, ops

from fusebook.data.formats import manifest

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
    return keras.Model(pictures, _answer(pictures, n_classes))


def _answer(pictures, n_classes: int, counts=None):
    """What the CNN says; where pictures only fill up a batch, ``counts`` (0 for them) keeps them out of its means."""
    passed = layers.Rescaling(1 / 255)(pictures)
    for filters in (16, 32, 64):
        passed = _halve(layers.Conv2D(filters, 3, padding="same", use_bias=False)(passed))
        # Keras's own momentum of 0.99 needs some hundred steps to settle; a small table has ten an epoch.
        passed = ops.relu(layers.BatchNormalization(momentum=0.9)(passed, mask=counts))
    passed = layers.Dense(64, activation="relu", name="hidden")(layers.GlobalAveragePooling2D()(passed))
    return layers.Dense(n_classes, activation="softmax")(layers.Dropout(0.3)(passed))


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
    n_classes = int(max(np.max(labels), np.max(validation[1], initial=0))) + 1
    train, memory = _trainer(pictures.shape[1:], n_classes)
    keras.utils.set_random_seed(random_state)
    network, moves = build_cnn(pictures.shape[1:], n_classes), _Moves(pictures, mirror, random_state)
    state = jax.tree.map(jnp.array, (*_values(network), memory))
    size, history, best, lowest, since = roomy(len(labels)), [], None, np.inf, 0
    rows = jax.device_put((filled(moves.padded, size), filled(labels, size)))
    for batches in moves.epochs(epochs):
        sums = []
        for batch in batches:
            state, made = train(state, rows, batch)
            sums.append(made)
        scores = [*np.sum(sums, axis=0) / len(labels), *_watched(network, state, *validation)]
        watched, since = scores[2 * bool(len(validation[1]))], since + 1
        if best is None or watched < lowest:
            best, lowest, since = jax.tree.map(jnp.copy, [*state[0], *state[1]]), min(lowest, watched), 0
        history.append(scores)
        if since >= PATIENCE:
            break
    for variable, value in zip(network.trainable_variables + network.non_trainable_variables, best, strict=True):
        variable.assign(value)
    columns = np.array(history, float).T.tolist()
    return network, dict(zip(["loss", "accuracy", "val_loss", "val_accuracy"], columns, strict=False))


def _watched(network: keras.Model, state: tuple, pictures: np.ndarray, labels: np.ndarray) -> list[float]:
    """Mean loss and accuracy on some pictures with the weights of ``state``; none where there are no pictures."""
    if not len(labels):
        return []
    made = _ask(network, state[:2], pictures, _ASKED)
    own = np.clip(made[np.arange(len(labels)), labels], keras.config.epsilon(), 1 - keras.config.epsilon())
    return [-np.log(own).mean(), (made.argmax(axis=1) == labels).mean()]


@lru_cache(8)
def _trainer(shape: tuple[int, int, int], n_classes: int) -> tuple[Callable, list]:
    """A step of training, compiled for all CNNs that are built alike, and what Adam remembers before the first.

    The step takes a state (weights, other variables, what Adam remembers), ``rows`` (pictures with their margins, and
    labels) and a batch as ``_Moves`` draws it; it gives the new state and the sums of loss and of right answers. Pictures
    are moved in it. Each is a call from Python: XLA's convolutions on a CPU are ten times slower in a compiled loop.
    """
    pictures, counts = keras.Input(shape, name="image"), keras.Input((1, 1), name="counts")
    network = keras.Model([pictures, counts], _answer(pictures, n_classes, counts))
    rule = keras.optimizers.Adam()
    rule.build(network.trainable_variables)

    def mean_loss(weights, others, pictures, labels, counts):
        inputs = [pictures, counts[:, None, None]]
        made, others = network.stateless_call(weights, others, inputs, training=True)
        loss = counts @ keras.losses.sparse_categorical_crossentropy(labels, made)
        return loss / counts.sum(), (others, jnp.stack([loss, counts @ (made.argmax(axis=1) == labels)]))

    @partial(jax.jit, donate_argnums=0)
    def step(state, rows, batch):
        (weights, others, memory), (chosen, corners, turned, counts) = state, batch
        seen = jax.vmap(_cut, (0, 0, 0, None))(rows[0][chosen], corners, turned, shape)
        gradients, (others, sums) = jax.grad(mean_loss, has_aux=True)(weights, others, seen, rows[1][chosen], counts)
        weights, memory = rule.stateless_apply(memory, gradients, weights)
        return (weights, others, memory), sums

    return step, [np.array(variable) for variable in rule.variables]


def _cut(picture, corner, turned, shape: tuple[int, int, int]):
    """The part of ``shape`` of a picture from ``corner`` on, mirrored where it is ``turned``."""
    part = jax.lax.dynamic_slice(picture, (*corner, 0), shape)
    return jnp.where(turned, part[:, ::-1], part)


class _Moves:
    """How pictures move: a new order of batches in each epoch, each picture shifted at random, half of them mirrored.

    Drawn beforehand, batch by batch, as Keras's own ``fit`` would ask for them; a trained network has no layer for it.
    """

    def __init__(self, pictures: np.ndarray, mirror: bool, random_state: int):
        self.n_pictures, self.mirror = len(pictures), mirror
        self.margins = [max(1, side // _PADDING) for side in pictures.shape[1:3]]
        edges = [(0, 0), *((margin, margin) for margin in self.margins), (0, 0)]
        self.padded = np.pad(pictures, edges, mode="edge")
        self.random = np.random.default_rng(random_state)

    def epochs(self, n_epochs: int) -> Iterator[list[tuple]]:
        """The batches of each epoch: row numbers, upper left corners, which are mirrored, and which count.

        Each is of shape (64, ...); a short batch is filled up with rows that do not count.
        """
        starts = range(0, self.n_pictures, BATCH)
        for epoch in range(-1, n_epochs):
            order, drawn = self.random.permutation(self.n_pictures), list(starts)
            random.shuffle(drawn)
            if epoch < 0:  # Keras looks at one batch before it starts, and a seed shall give what it gave with Keras
                self._batch(order[drawn[0] :][:BATCH])
            else:
                yield [self._batch(order[start : start + BATCH]) for start in drawn]

    def _batch(self, chosen: np.ndarray) -> tuple[np.ndarray, ...]:
        corners = [self.random.integers(2 * margin + 1, size=len(chosen)) for margin in self.margins]
        turned = self.random.random(len(chosen)) < 0.5 if self.mirror else np.zeros(len(chosen), bool)
        parts = chosen, np.stack(corners, axis=1), turned, np.ones(len(chosen), np.float32)
        return tuple(filled(part, BATCH) for part in parts)


def hidden_units(network: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """The output of the layer "hidden", of the network itself where it has none, shape (n_pictures, n_units)."""
    return ask(_up_to_hidden(network), pictures, _ASKED)


@lru_cache(8)
def _up_to_hidden(network: keras.Model) -> keras.Model:
    if "hidden" not in [layer.name for layer in network.layers]:
        return network
    return keras.Model(network.input, network.get_layer("hidden").output)


# --- Networks that are built alike share what is compiled ----------------------------------------------


def padded_size(n_rows: int, most: int) -> int:
    """A number of rows from ``n_rows`` up, one of few, as JAX compiles anew for each: powers of two, then whole ``most``."""
    return -(-n_rows // most) * most if n_rows > most else 1 << (n_rows - 1).bit_length()


def roomy(n: int) -> int:
    """A number from ``n`` up, one of few, at most an eighth larger: eight between two powers of two."""
    step = max(1, 1 << max(n - 1, 1).bit_length() >> 4)
    return -(-n // step) * step


_PROGRAMS = WeakKeyDictionary()  # from a network to what answers for it: its architecture is read but once


def ask(network: keras.Model, inputs, at_once: int) -> np.ndarray:
    """What ``network`` answers about the rows of ``inputs``, an array or a dict of them, ``at_once`` at a time.

    It is compiled once for all networks that are built alike, and few sizes. Unlike ``network.predict``, which takes the
    weights out of the network while it runs, this may be called from several threads.
    """
    return _ask(network, _values(network), inputs, at_once)


def _ask(network: keras.Model, values: tuple[list, list], inputs, at_once: int) -> np.ndarray:
    if network not in _PROGRAMS:
        _PROGRAMS[network] = shared(_answering, network)
    n_rows, made = len(jax.tree.leaves(inputs)[0]), []
    for start in range(0, n_rows, at_once):
        own, size = slice(start, start + at_once), padded_size(min(at_once, n_rows - start), at_once)
        some = jax.tree.map(partial(_piece, own=own, size=size), inputs)
        made.append(np.asarray(_PROGRAMS[network](values, some)))
    return np.concatenate(made)[:n_rows] if made else np.empty((0, network.output_shape[-1]), np.float32)


def _piece(rows: np.ndarray, own: slice, size: int) -> np.ndarray:
    return filled(rows[own], size)


def filled(rows: np.ndarray, size: int) -> np.ndarray:
    """``rows`` and zeros after them, up to ``size`` rows."""
    return rows if len(rows) == size else np.pad(rows, [(0, size - len(rows))] + [(0, 0)] * (rows.ndim - 1))


def _answering(network: keras.Model) -> Callable:
    empty = hollow(network)
    return jax.jit(lambda values, inputs: empty.stateless_call(*values, inputs, training=False)[0])


def _values(network: keras.Model) -> tuple[list, list]:
    groups = network.trainable_variables, network.non_trainable_variables
    return tuple([variable.value for variable in group] for group in groups)


def shared(make: Callable, network: keras.Model, *more):
    """What ``make(network, *more)`` gave for the first network built and optimised like ``network``.

    ``make`` keeps nothing of the network itself, but of a ``hollow`` copy: weights are handed to what it makes.
    """
    kept = _kept(make, architecture(network), *more)
    if not kept:
        kept.append(make(network, *more))
    return kept[0]


@lru_cache(32)
def _kept(*_) -> list:
    return []


def hollow(network: keras.Model, **changed) -> keras.Model:
    """A copy of ``network`` and its optimiser that holds no weights, to compile from; they come with each call.

    ``changed`` are options of layers, for those that have them.
    """

    def copy(layer):
        config = layer.get_config()
        return type(layer).from_config(config | {name: changed[name] for name in changed if name in config})

    drawn, rule = random.getstate(), getattr(network, "optimizer", None)
    made = keras.models.clone_model(network, clone_function=copy)
    random.setstate(drawn)  # from which Keras drew the weights that are thrown away
    if rule is not None:
        made.compile(keras.optimizers.deserialize(keras.optimizers.serialize(rule)), network.loss)
        made.optimizer.build(made.trainable_variables)
    for variable in [*made.variables, *(made.optimizer.variables if rule is not None else [])]:
        variable.value.delete()  # frees the memory; the shape stays known
    return made


def architecture(network: keras.Model) -> str:
    """All that tells how ``network`` computes and is optimised, but for weights, learning rate and the names of layers."""
    config, rule = network.get_config(), getattr(network, "optimizer", None)
    names = {layer["config"]["name"]: f"#{i}" for i, layer in enumerate(config["layers"])}
    rule = keras.optimizers.serialize(rule) if rule is not None else {"config": {}}
    if isinstance(rule["config"].get("learning_rate"), float):  # it is among the optimiser's variables
        rule["config"]["learning_rate"] = 0.0
    rule["config"]["name"] = ""
    return json.dumps([_renamed(config | {"name": ""}, names), rule, type(network).__name__], default=str)


def _renamed(config, names: dict[str, str]):
    """``config`` with layers called by their number: Keras numbers names over all networks of a process."""
    if isinstance(config, dict):
        return {
            key: names.get(value, value) if key == "name" and isinstance(value, str) else _renamed(value, names)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        is_place = [type(part) for part in config] == [str, int, int]  # name of a layer, of its nodes, of their outputs
        return (
            [names.get(config[0], config[0]), *config[1:]] if is_place else [_renamed(part, names) for part in config]
        )
    return config


# --- Networks from a file -----------------------------------------------------------------------------


def load_network(path: Path) -> keras.Model:
    """Read a .keras file to predict with, in Keras's safe mode, which refuses layers that would run code.

    Raises ValueError where the file is damaged, its weights are not finite, or the layers that it describes are larger
    than the weights that it holds: they are laid out without memory first.
    """
    manifest.expect(path.is_file(), path, "no such file", "it to be there")
    held = sum(math.prod(shape) for shape, _ in manifest.arrays_of(path).values())
    with manifest.reading(path):
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        config.pop("compile_config", None)
        with ThreadPoolExecutor(1) as aside:  # in a thread of its own, after which Keras gives no variable a value
            needed = aside.submit(_numbers_of, config).result()
        manifest.expect(needed <= held, path, f"layers of {needed:,} numbers", f"{held:,}, as many as it holds")
        with warnings.catch_warnings():  # Keras only warns where a layer keeps the random weights it was born with
            warnings.filterwarnings("error", "Skipping")
            return keras.saving.load_model(path, compile=False, safe_mode=True)


def _numbers_of(config: dict) -> int:
    """How many numbers the weights are of the network that ``config`` describes; none of them is made."""
    with keras.StatelessScope(initialize_variables=False):
        drawn = keras.saving.deserialize_keras_object(config, safe_mode=True)
    return sum(math.prod(variable.shape) for variable in drawn.weights)


def hidden_width(path: Path, network: keras.Model, shape: tuple[int, int, int]) -> int:
    """Columns of ``hidden_units``. Raises ValueError, naming ``path``, where the network doesn't read such pictures."""
    with manifest.reading(path):
        manifest.expect(network.input_shape[1:] == shape, path, f"pictures of {network.input_shape[1:]}", f"{shape}")
        return _up_to_hidden(network).output_shape[1]


# --- Pretrained networks ------------------------------------------------------------------------------


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
