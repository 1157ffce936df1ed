"""Small networks, their data, and how Keras trains them: what the tests of training and of lazy Adam compare with."""

import numpy as np
from lazily import Lazy
from sklearn.datasets import make_blobs
from sklearn.metrics import log_loss

keras, layers = Lazy("keras"), Lazy("fusebook.models.layers")

EPS = float(np.finfo(np.float32).eps)
# A gradient sums products over 8 rows, and each of these is a sum over a few units: some dozen roundings of float32, in
# an order, with or without fused steps, that is the processor's own.
ROUNDING = 32 * EPS
CLOSE = 80 * EPS  # of what networks answer and lose, numbers up to 5 at the end of two or three such sums


def blobs(n_rows, *, seed=0, spread=1.0):
    points, labels = make_blobs(n_rows, 4, centers=np.eye(3, 4) * 6, cluster_std=spread, random_state=seed)
    return {"text": points.astype(np.float32)}, labels


def with_bag(n_rows, n_ngrams=30, width=6, seed=0):
    """Dense numbers and a bag of n-grams, some of whose weights are 0, and class numbers."""
    rng = np.random.default_rng(seed)
    inputs, labels = blobs(n_rows, seed=seed)
    weights = rng.random((n_rows, width)) * (rng.random((n_rows, width)) < 0.7)
    inputs["text_ngrams"] = rng.integers(0, n_ngrams, (n_rows, width)).astype(np.int32)
    return {**inputs, "text_weights": weights.astype(np.float32)}, labels


def small(inputs=("text",), **options):
    """A network of one hidden layer over the dense numbers, or over the bag as well."""
    sizes = {"text": 4, "text_ngrams": 6, "text_weights": 6}
    return layers.build_mlp(
        {name: sizes[name] for name in inputs}, 3,
        **{"hidden": [5], "activations": ["tanh"], "n_ngrams": 30, "random_state": 1, **options},
    )  # fmt: skip


def dense_layers(network):
    found = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    return [[np.asarray(part, np.float64) for part in layer.get_weights()] for layer in found]


def flat(arrays):
    return np.concatenate([np.ravel(np.asarray(part)) for part in arrays])


def all_weights(network):
    return flat(network.get_weights())


def by_keras(network, inputs, labels, batches, rates=None):
    """Trains ``network`` step by step with Keras's train_on_batch.

    Returns the mean loss of rows before the step they are in, and by how much each weight of another training on these
    batches may differ for rounding alone. A step of SGD moves a weight by the rate times its gradient, so it is off by
    ``ROUNDING`` of the longest move. Adam divides the gradient by the root of its mean square: where the latter is
    small, the same error of the gradient is as much larger in the weight, up to a step in the other direction. A weight
    without any gradient stays where it is.
    """
    loss, bound = 0.0, np.full(all_weights(network).shape, ROUNDING * np.abs(all_weights(network)).max())
    for step, rows in enumerate(batches):
        if rates is not None:
            network.optimizer.learning_rate = rates[step]
        chosen, before = {name: values[rows] for name, values in inputs.items()}, all_weights(network)
        loss += len(rows) * log_loss(labels[rows], layers.predict(network, chosen), labels=range(3))
        network.train_on_batch(chosen, keras.utils.to_categorical(labels[rows], 3))
        longest = np.abs(all_weights(network) - before).max()
        bound += longest * np.minimum(ROUNDING * magnified(network.optimizer), 2)
    return loss / sum(map(len, batches)), bound


def magnified(optimizer):
    """How many times a gradient's error is larger in each weight than in the one with the largest gradients."""
    squares = [variable for variable in optimizer.variables if "velocity" in variable.path]
    if not squares:
        return 1.0
    roots = np.sqrt(flat(squares))
    return np.where(roots > 0, roots.max() / np.maximum(roots, 1e-30), 0)


def assert_as_by_keras(weights, wanted, bound):
    """The weights are ``wanted`` within ``bound``; which is no empty word, as most weights are held closely."""
    assert np.median(bound) < 1e-3, "a tenth of a step"
    worst = np.argmax(np.abs(weights - wanted) - bound)
    assert abs(weights[worst] - wanted[worst]) <= bound[worst], (weights[worst], wanted[worst], bound[worst])
