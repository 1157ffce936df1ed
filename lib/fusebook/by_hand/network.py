"""The multilayer perceptron in NumPy: forward pass, back-propagation (Rumelhart, Hinton and Williams, 1986), descent.

Short enough to be read at one sitting. The checks at the end refuse what readers run into who change a cell; each says
what was passed, what was expected and how to mend it.
"""

import numpy as np

# Each activation f(z), and its way back: from a = f(z) and dC/da, both of shape (n_rows, n_units), to dC/dz.
# Softmax has none of its own: together with cross-entropy, a - y is dC/dz already.
ACTIVATIONS = {
    "sigmoid": (lambda z: 0.5 + 0.5 * np.tanh(0.5 * z), lambda a, slope: slope * a * (1 - a)),
    "relu": (lambda z: np.maximum(z, 0), lambda a, slope: slope * (a > 0)),
    "linear": (lambda z: z, lambda a, slope: slope),
    "softmax": (lambda z: np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True)), lambda a, slope: slope),
}
# Summed over the rows of a batch. A probability of 0 counts as the smallest number there is, as 0 has no logarithm.
LOSSES = {"half squared error": lambda a, y: ((a - y) ** 2).sum() / 2,
          "cross-entropy": lambda a, y: -(y * np.log(np.maximum(a, np.finfo(a.dtype).tiny))).sum()}  # fmt: skip


def momentum(gradient: np.ndarray, memory: np.ndarray, step: int, learning_rate: float) -> np.ndarray:
    """The next step of gradient descent with momentum 0.9 (Polyak, 1964); ``memory[0]`` keeps the velocity."""
    memory[0] = 0.9 * memory[0] - learning_rate * gradient
    return memory[0]


def adam(gradient: np.ndarray, memory: np.ndarray, step: int, learning_rate: float) -> np.ndarray:
    """The next step of Adam (Kingma and Ba, 2015); ``memory`` keeps the running means of gradient and squared gradient."""
    memory[0] += 0.1 * (gradient - memory[0])
    memory[1] += 0.001 * (gradient**2 - memory[1])
    rate = learning_rate * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
    return -rate * memory[0] / (np.sqrt(memory[1]) + 1e-7)


class Diverged(ValueError):
    """Training left the numbers."""


class Network:
    """A multilayer perceptron of any layer sizes.

    Parameters
    ----------
    sizes : number of inputs, then the units of each layer, such as (100, 100, 50, 5)
    activations : one for each layer after the inputs: sigmoid, relu, linear; softmax at the end
    loss : "cross-entropy", which goes with softmax, or "half squared error", which goes with the others
    optimizer : ``momentum`` or ``adam``, or a function that is called as they are
    learning_rate : how far a step goes, above 0
    random_state : seed of the first weights and of the order of rows
    dtype : numpy.float64 to check gradients, numpy.float32 for speed

    Attributes
    ----------
    weights_, biases_ : a layer's W of shape (n_out, n_in) and b of shape (n_out,). W starts as Glorot and Bengio (2010)
        say, b at 0.
    parameters_ : all weights_, then all biases_; the order of gradients
    memory_ : what the optimizer remembers of each parameter, of shape (2, \\*parameter.shape)
    steps_ : how many steps were taken

    Raises ValueError, here and in every method, where what is passed doesn't fit.
    """

    def __init__(self, sizes, activations, loss="cross-entropy", *, optimizer=adam, learning_rate=0.001,
                 random_state=42, dtype=np.float64):  # fmt: skip
        check_settings(sizes, activations, loss)
        self.names, self.functions = list(activations), [ACTIVATIONS[name] for name in activations]
        self.loss, self.one_hot = LOSSES[loss], loss == "cross-entropy"
        self.optimizer, self.learning_rate = optimizer, learning_rate
        self.random, shapes = np.random.default_rng(random_state), [*zip(sizes[1:], sizes[:-1], strict=True)]
        self.weights_ = [(self.random.uniform(-1, 1, s) * np.sqrt(6 / sum(s))).astype(dtype) for s in shapes]
        self.biases_ = [np.zeros(n_out, dtype) for n_out, _ in shapes]
        self.parameters_, self.steps_ = self.weights_ + self.biases_, 0
        self.memory_ = [np.zeros((2, *values.shape), dtype) for values in self.parameters_]

    def forward(self, rows: np.ndarray) -> list[np.ndarray]:
        """The activations of all layers, each of shape (n_rows, n_units): first the rows themselves, last the output."""
        activations = [check_rows(rows, self)]
        for weights, bias, (function, _) in zip(self.weights_, self.biases_, self.functions, strict=True):
            activations.append(function(activations[-1] @ weights.T + bias))
        return activations

    def backward(self, activations: list[np.ndarray], targets: np.ndarray) -> list[np.ndarray]:
        """The gradient of the mean loss: dC/dW of all layers, then dC/db of all, as ``parameters_``.

        ``activations`` as ``forward`` returns them; ``targets`` of shape (n_rows, n_outputs).
        """
        targets = check_targets(targets, len(activations[-1]), self)
        slope, weights, biases = (activations[-1] - targets) / len(targets), [], []
        for layer in reversed(range(len(self.weights_))):
            slope = self.functions[layer][1](activations[layer + 1], slope)  # from dC/da to dC/dz, the delta
            weights.insert(0, slope.T @ activations[layer])
            biases.insert(0, slope.sum(axis=0))
            slope = slope @ self.weights_[layer] if layer else None  # to dC/da of the layer before
        return weights + biases

    def step(self, gradients: list[np.ndarray]) -> None:
        """One step downhill, in place; ``gradients`` as ``backward`` returns them."""
        self.steps_ += 1
        for values, gradient, memory in zip(self.parameters_, gradients, self.memory_, strict=True):
            values += self.optimizer(gradient, memory, self.steps_, self.learning_rate)

    @np.errstate(all="ignore")  # numbers that overflow are reported at the end of their epoch
    def fit(self, rows, targets, *, epochs=10, batch_size=32, shuffle=True) -> np.ndarray:
        """Train on batch after batch, the last of an epoch with the rows that are left; a second call goes on from there.

        ``rows`` of shape (n_rows, n_inputs); ``targets`` of shape (n_rows, n_outputs), classes as 0 and 1 with one 1 a row.
        Returns the mean loss of each epoch, shape (epochs,), taken while the weights changed.
        Raises Diverged where it leaves the numbers.
        """
        rows, losses = check_rows(rows, self), np.zeros(epochs)
        targets = check_targets(targets, len(rows), self)
        for epoch in range(epochs):
            order = self.random.permutation(len(rows)) if shuffle else np.arange(len(rows))
            for batch in np.split(order, range(batch_size, len(order), batch_size)):
                activations = self.forward(rows[batch])
                losses[epoch] += self.loss(activations[-1], targets[batch]) / len(rows)
                self.step(self.backward(activations, targets[batch]))
            check_epoch(losses[epoch], epoch + 1, self)
        return losses


def check_settings(sizes, activations, loss: str) -> None:
    """Refuse names that are not known, and layers that don't fit each other or the loss."""
    for name, known in [*((name, ACTIVATIONS) for name in activations), (loss, LOSSES)]:
        if name not in known:
            raise ValueError(f"{name!r} is not known; expected one of {', '.join(known)}.")
    softmax = [name == "softmax" for name in activations]
    if len(activations) != len(sizes) - 1 or softmax != [False] * (len(sizes) - 2) + [loss == "cross-entropy"]:
        raise ValueError(
            f"activations is {activations} for sizes {sizes} and the loss {loss!r}; expected one for each layer after "
            "the inputs, softmax in the last with cross-entropy and nowhere else."
        )


def check_rows(rows, network: Network) -> np.ndarray:
    """``rows`` in the number type of ``network``, of shape (n_rows, n_inputs), at least one row."""
    rows, n_inputs = np.asarray(rows, network.weights_[0].dtype), network.weights_[0].shape[1]
    if rows.shape[1:] != (n_inputs,) or not len(rows):
        raise ValueError(
            f"rows has shape {rows.shape}; expected (n_rows, {n_inputs}) with at least one row. "
            "One row alone is values[None, :]; for other rows, make a Network whose sizes begin with their width."
        )
    return rows


def check_targets(targets, n_rows: int, network: Network) -> np.ndarray:
    """``targets`` in the number type of ``network``, of shape (n_rows, n_outputs), one-hot where it learns classes."""
    targets, expected = np.asarray(targets, network.weights_[-1].dtype), (n_rows, len(network.weights_[-1]))
    if targets.shape != expected:
        raise ValueError(
            f"targets has shape {targets.shape}; expected {expected}, a line a row. Class numbers become targets with "
            "numpy.eye(n_classes)[class_numbers], one number a row with values[:, None]."
        )
    # One-hot: each line's largest number is 1, and no more numbers than lines differ from 0.
    if network.one_hot and (np.count_nonzero(targets) != n_rows or (targets.max(axis=1) != 1).any()):
        raise ValueError(
            "targets are no classes; expected a single 1 among zeros in each line, as cross-entropy is for classes. "
            "Class numbers become targets with numpy.eye(n_classes)[class_numbers]; use half squared error for numbers."
        )
    return targets


def check_epoch(loss: float, epoch: int, network: Network) -> None:
    """Refuse to go on after ``epoch`` (from 1 on) where its loss or a parameter has left the numbers."""
    if not np.isfinite(loss) or not all(np.isfinite(values).all() for values in network.parameters_):
        raise Diverged(
            f"Training diverged in epoch {epoch}: the loss or a weight is no number any more. learning_rate is "
            f"{network.learning_rate}; expected one small enough for the loss to fall. Start a new Network with a tenth "
            "of it, scale rows and targets to a standard deviation of 1, and leave out rows that hold NaN."
        )
