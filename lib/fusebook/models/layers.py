"""The layers of the multilayer perceptron (MLP): build, predict, save, load.

Notebook 03_train tells the story.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from fusebook import runs
from fusebook.data.features import part_of
from fusebook.encoders.cnn import ask, load_network
from fusebook.models.calibration import clean_probabilities

_ROWS_AT_ONCE = 1024  # that go through a network when it predicts


@keras.saving.register_keras_serializable("fusebook")
class EmbeddingBag(keras.layers.Layer):
    """What a Dense layer makes of a sparse bag: the weighted sum of one vector for each n-gram, and a bias.

    Inputs: n-gram numbers of shape (n_rows, width), and their weights, of the same shape; a weight of 0 fills up.
    Output: shape (n_rows, units). As in fastText (Joulin and others, 2017), but weighted.
    """

    def __init__(self, n_ngrams: int, units: int, **options):
        super().__init__(**options)
        self.n_ngrams, self.units = n_ngrams, units

    def build(self, input_shape):
        """Make the table of vectors, small at first: most of its rows are seldom trained."""
        start = keras.initializers.RandomUniform(-0.05, 0.05)
        self.table = self.add_weight((self.n_ngrams, self.units), initializer=start, name="table")
        self.bias = self.add_weight((self.units,), initializer="zeros", name="bias")

    def call(self, inputs):
        """Look up, weigh, add up."""
        numbers, weights = inputs
        vectors = keras.ops.take(self.table, numbers, axis=0)  # (n_rows, width, units)
        return keras.ops.einsum("nw,nwu->nu", weights, vectors) + self.bias

    def compute_output_shape(self, input_shape):
        """(n_rows, units)."""
        return (input_shape[0][0], self.units)

    def get_config(self):
        """What Keras needs to make the layer again."""
        return {**super().get_config(), "n_ngrams": self.n_ngrams, "units": self.units}


@keras.saving.register_keras_serializable("fusebook")
class ModalityDropout(keras.layers.Layer):
    """In training, switches off parts that a row has, each with probability ``rate``, but never a row's last one.

    The network thus learns to answer from whatever is there (after Neverova and others, 2016). Nothing is scaled up for
    it, as the gate of a part that is missing later is 0 as well. Input and output: 1 where a row has a part, else 0, of
    shape (n_rows, n_parts). When predicting they are the same.
    """

    def __init__(self, rate: float, **options):
        super().__init__(**options)
        if not 0 <= rate < 1:
            raise ValueError(f"The rate of modality dropout is {rate}; expected a share from 0 to under 1.")
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, present, training=False):
        """Draw a number for each part; those under ``rate`` are off, unless it is the row's highest."""
        if not training:
            return present
        drawn = present * keras.random.uniform(keras.ops.shape(present), seed=self.seed_generator)
        stays = (drawn >= self.rate) | (drawn == keras.ops.max(drawn, axis=1, keepdims=True))
        return present * keras.ops.cast(stays, present.dtype)

    def compute_output_shape(self, input_shape):
        """As the input."""
        return input_shape

    def get_config(self):
        """What Keras needs to make the layer again."""
        return {**super().get_config(), "rate": self.rate}


def build_mlp(
    input_sizes: dict[str, int], n_classes: int, *, hidden: Sequence[int] = (100, 50),
    activations: Sequence[str] = ("relu", "relu"), dropout: float = 0.0, modality_dropout: float = 0.0,
    optimizer: str = "adam", learning_rate: float = 0.001, n_ngrams: int = 0, random_state: int = 42,
) -> keras.Model:  # fmt: skip
    """An MLP with one named input a block of features and class probabilities as its output.

    With one modality the features go straight to the hidden layers. With several, each is first projected to as many
    units as the first hidden layer has; a projection counts only where the row has that part (input ``present``), and
    the projections are joined in key order: feature-level fusion. The blocks text_ngrams and text_weights are read by
    an ``EmbeddingBag``, whose sums are added to those of the block text, if there is one, before the activation.

    Parameters
    ----------
    input_sizes : number of features by block: a modality, or its name and _ngrams or _weights
    hidden, activations : units and activation of each hidden layer, from the input on
    dropout : share of a hidden layer's units that each training step leaves out (Srivastava and others, 2014)
    modality_dropout : probability that training switches off a part a row has, see ``ModalityDropout``
    n_ngrams : columns of the n-gram bag, where one is read
    random_state : seed of the weights, and of the order of rows when the model is fitted next
    optimizer : "adam" (Kingma and Ba, 2015), "sgd" (with momentum 0.9), or another name that Keras knows

    Raises ValueError where ``hidden`` and ``activations`` differ in length or are empty, Keras does not know a name, or a
    bag is to be read without ``n_ngrams``.
    """
    _check_layers(hidden, activations)
    if "text_ngrams" in input_sizes and n_ngrams < 1:
        raise ValueError(f"n_ngrams is {n_ngrams}; expected the columns of the bag, such as encoder.bag_.n_ngrams_.")
    rule = _optimizer(optimizer, learning_rate)
    keras.utils.set_random_seed(random_state)
    inputs = {
        name: keras.Input((size,), name=name, dtype="int32" if name.endswith("_ngrams") else "float32")
        for name, size in sorted(input_sizes.items())
    }
    layers = list(zip(hidden, activations, strict=True))
    parts = sorted({part_of(name) for name in inputs})
    if len(parts) == 1:
        joined = _read_blocks(inputs, *layers.pop(0), n_ngrams)
        joined = keras.layers.Dropout(dropout)(joined) if dropout else joined
    else:
        joined = _join(inputs, parts, *layers[0], n_ngrams, modality_dropout)
    for units, activation in layers:
        joined = keras.layers.Dense(units, activation=activation)(joined)
        joined = keras.layers.Dropout(dropout)(joined) if dropout else joined
    output = keras.layers.Dense(int(n_classes), activation="softmax", name="class")(joined)
    model = keras.Model(inputs, output)
    model.compile(rule, "categorical_crossentropy")
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
        return keras.optimizers.get({"class_name": name, "config": {"learning_rate": learning_rate, **options}})
    except ValueError:
        raise ValueError(f"The optimizer is {name!r}; expected a name that Keras knows, such as adam or sgd.") from None


def _read_blocks(blocks: dict, units: int, activation: str, n_ngrams: int, name: str | None = None):
    """One layer over a modality's features, its n-gram bag, or both."""
    dense = [tensor for block, tensor in blocks.items() if "_" not in block]
    bag = [tensor for block, tensor in blocks.items() if "_" in block]  # numbers before weights, as in the alphabet
    if not bag:
        return keras.layers.Dense(units, activation=activation, name=name)(*dense)
    sums = EmbeddingBag(n_ngrams, units, name="bag" if name is None else f"{name}_bag")(bag)
    for tensor in dense:
        sums = keras.layers.Add()([sums, keras.layers.Dense(units, use_bias=False, name=name)(tensor)])
    return keras.layers.Activation(activation)(sums)


def _join(inputs: dict, parts: list[str], units: int, activation: str, n_ngrams: int, off: float):
    """Project each modality, switch off what a row lacks, join in key order; adds the input ``present``."""
    present = keras.Input((len(parts),), name="present")
    gates = ModalityDropout(off, name="modality_dropout")(present) if off else present
    gated = []
    for i, part in enumerate(parts):
        blocks = {block: tensor for block, tensor in inputs.items() if part_of(block) == part}
        projection = _read_blocks(blocks, units, activation, n_ngrams, name=f"project_{part}")
        gated.append(keras.layers.Multiply(name=f"gate_{part}")([projection, gates[:, i : i + 1]]))
    inputs["present"] = present
    return keras.layers.Concatenate(name="fusion")(gated)


def predict(model: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Class probabilities of shape (n_rows, n_classes); rows sum to 1."""
    return clean_probabilities(ask(model, inputs, _ROWS_AT_ONCE))


def save_model(model: keras.Model, path: Path) -> None:
    """Write ``model`` as .keras, whole, but without the optimiser's memory, which would treble the file."""
    with runs.replacing(path) as beside:
        keras.Model(model.input, model.output).save(beside)


def load_model(path: Path) -> keras.Model:
    """Read a .keras file to predict with, as ``cnn.load_network`` does, and raises."""
    return load_network(path)
