"""What the NumPy network refuses, and what it says: shapes, names, numbers, divergence.

Apart from ``by_hand``, so that the network there stays short enough to be read at one sitting. Each check raises
ValueError with what was passed, what was expected and how to mend it.
"""
# FOLDED: The multilayer perceptron in NumPy: forward pass, back-propagation (Rumelhart, Hinton and Williams, 1986), descent.

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np


def check_settings(
    sizes: Sequence[int], activations: Sequence[str], loss: str, optimizer, learning_rate: float, dtype,
    known_activations: dict, known_losses: dict,
) -> None:  # fmt: skip
    """Refuse settings that can't make a network."""
    if not _is_list(sizes) or len(sizes) < 2 or not all(isinstance(s, Integral) and s > 0 for s in sizes):
        raise ValueError(
            f"sizes is {sizes!r}; expected the number of inputs and then the units of each layer, all of them "
            "whole numbers from 1 on, such as [100, 100, 50, 5]."
        )
    if not _is_list(activations) or len(activations) != len(sizes) - 1:
        raise ValueError(
            f"activations is {activations!r} and sizes {sizes!r}; expected a list with one activation for each of "
            f"the {len(sizes) - 1} layers after the inputs. Add or leave out names, or change sizes."
        )
    for name in activations:
        _check_name("activation", name, known_activations)
    _check_name("loss", loss, known_losses)
    if "softmax" in activations[:-1] or (activations[-1] == "softmax") != (loss == "cross-entropy"):
        raise ValueError(
            f"activations is {list(activations)} with the loss {loss!r}; expected softmax in the last layer and "
            "nowhere else with cross-entropy, or no softmax with half squared error."
        )
    if not callable(optimizer):
        raise ValueError(
            f"optimizer is {optimizer!r}; expected by_hand.adam or by_hand.momentum, the function itself and not its name."
        )
    if not isinstance(learning_rate, Real) or not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate is {learning_rate!r}; expected a number above 0, such as 0.001.")
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype is {dtype!r}; expected numpy.float64 or, for speed, numpy.float32.")


def _is_list(values) -> bool:
    return isinstance(values, Sequence | np.ndarray) and not isinstance(values, str)


def _check_name(kind: str, name: str, known: dict) -> None:
    if name not in list(known):
        raise ValueError(f"The {kind} is {name!r}; expected one of {', '.join(known)}.")


def check_rows(rows, network) -> np.ndarray:
    """``rows`` in the number type of ``network``, of shape (n_rows, n_inputs), at least one row."""
    n_inputs = network.weights_[0].shape[1]
    rows = _as_numbers("rows", rows, network.weights_[0].dtype)
    if rows.shape[1:] != (n_inputs,) or not len(rows):
        raise ValueError(
            f"rows has shape {rows.shape}; expected (n_rows, {n_inputs}) with at least one row. "
            "One row alone is values[None, :]; for other rows, make a Network whose sizes begin with their width."
        )
    return rows


def check_targets(targets, n_rows: int, network) -> np.ndarray:
    """``targets`` in the number type of ``network``, of shape (n_rows, n_outputs), one-hot where it learns classes."""
    expected = n_rows, len(network.weights_[-1])
    targets = _as_numbers("targets", targets, network.weights_[-1].dtype)
    if targets.shape != expected:
        raise ValueError(
            f"targets has shape {targets.shape}; expected {expected}, a line for each of the rows. Class numbers "
            "become targets with numpy.eye(n_classes)[class_numbers], one number for each row with values[:, None]; "
            "for other targets, make a Network whose sizes end with their width."
        )
    # One-hot: each line's largest number is 1, and no more numbers than lines differ from 0.
    if network.one_hot and (np.count_nonzero(targets) != n_rows or (targets.max(axis=1) != 1).any()):
        wrong = np.argmin((targets.max(axis=1) == 1) & (np.count_nonzero(targets, axis=1) == 1))
        raise ValueError(
            f"Line {wrong} of targets is {targets[wrong].tolist()}; expected a single 1 among zeros, as cross-entropy "
            "is for classes. Class numbers become targets with numpy.eye(n_classes)[class_numbers]; "
            "other numbers go with half squared error."
        )
    return targets


def _as_numbers(name: str, values, dtype: np.dtype) -> np.ndarray:
    try:
        numbers = np.asarray(values, dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} can't become an array of {dtype} ({error}); expected numbers alone, as many in each row."
        ) from None
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"{numbers.size - np.isfinite(numbers).sum()} values of {name} are NaN, infinite or too large for {dtype}; "
            "expected finite numbers alone. Leave those rows out, or fill them."
        )
    return numbers


def check_backward(activations: list[np.ndarray], targets, network) -> np.ndarray:
    """``targets`` as ``check_targets`` returns them; refuses ``activations`` that ``network.forward`` can't have returned."""
    n_rows, n_inputs = len(activations[0]), network.weights_[0].shape[1]
    expected = [(n_rows, n_units) for n_units in (n_inputs, *map(len, network.weights_))]
    passed = [values.shape for values in activations]
    if passed != expected:
        raise ValueError(
            f"activations has the shapes {passed}; expected {expected}: the rows, then each layer's activation. "
            "Pass what forward returns."
        )
    return check_targets(targets, n_rows, network)


def check_gradients(gradients: list[np.ndarray], network) -> None:
    """Refuse ``gradients`` whose shapes are not those of the parameters, one by one."""
    passed, expected = ([values.shape for values in arrays] for arrays in (gradients, network.parameters_))
    if passed != expected:
        raise ValueError(
            f"gradients has the shapes {passed}; expected {expected}: weights, then biases. Pass what backward returns."
        )


def check_fit(rows, targets, network, **counts: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and targets in the number type of ``network``; refuses ``counts`` that are not whole numbers from 1 on."""
    for name, count in counts.items():
        if not isinstance(count, Integral) or count < 1:
            raise ValueError(f"{name} is {count!r}; expected a whole number from 1 on, such as {name}=10.")
    rows = check_rows(rows, network)
    return rows, check_targets(targets, len(rows), network)


def check_epoch(losses: np.ndarray, epoch: int, network) -> None:
    """Refuse to go on after ``epoch`` (from 0 on) where its loss or a parameter has left the numbers."""
    if not np.isfinite(losses[epoch]) or not all(np.isfinite(values).all() for values in network.parameters_):
        raise ValueError(
            f"Training diverged in epoch {epoch + 1}: the loss or a weight is no number any more. learning_rate is "
            f"{network.learning_rate}; expected one small enough for the loss to fall. Start a new Network with a tenth "
            "of it, or scale rows and targets to a standard deviation of 1."
        )


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

    Raises
    ------
    ValueError
        Here and in every method where what is passed doesn't fit: the message says how to mend it.
    """

    def __init__(self, sizes, activations, loss="cross-entropy", *, optimizer=adam, learning_rate=0.001,
                 random_state=42, dtype=np.float64):  # fmt: skip
        check_settings(sizes, activations, loss, optimizer, learning_rate, dtype, ACTIVATIONS, LOSSES)
        self.functions, self.loss = [ACTIVATIONS[name] for name in activations], LOSSES[loss]
        self.optimizer, self.learning_rate, self.one_hot = optimizer, learning_rate, loss == "cross-entropy"
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
        targets = check_backward(activations, targets, self)
        slope, weights, biases = (activations[-1] - targets) / len(targets), [], []
        for layer in reversed(range(len(self.weights_))):
            slope = self.functions[layer][1](activations[layer + 1], slope)  # from dC/da to dC/dz, the delta
            weights.insert(0, slope.T @ activations[layer])
            biases.insert(0, slope.sum(axis=0))
            slope = slope @ self.weights_[layer] if layer else None  # to dC/da of the layer before
        return weights + biases

    def step(self, gradients: list[np.ndarray]) -> None:
        """One step downhill, in place; ``gradients`` as ``backward`` returns them."""
        check_gradients(gradients, self)
        self.steps_ += 1
        for values, gradient, memory in zip(self.parameters_, gradients, self.memory_, strict=True):
            values += self.optimizer(gradient, memory, self.steps_, self.learning_rate)

    @np.errstate(all="ignore")  # numbers that overflow are reported at the end of their epoch
    def fit(self, rows, targets, *, epochs=10, batch_size=32, shuffle=True) -> np.ndarray:
        """Train on batch after batch, the last of an epoch with the rows that are left; a second call goes on from there.

        Parameters
        ----------
        rows : of shape (n_rows, n_inputs)
        targets : of shape (n_rows, n_outputs); classes as 0 and 1 with one 1 a row

        Returns the mean loss of each epoch, of shape (epochs,), taken while the weights changed.
        Raises ValueError where shapes don't match, a value is no number, or training has diverged.
        """
        rows, targets = check_fit(rows, targets, self, epochs=epochs, batch_size=batch_size)
        losses = np.zeros(epochs)
        for epoch in range(epochs):
            order = self.random.permutation(len(rows)) if shuffle else np.arange(len(rows))
            for batch in np.split(order, range(batch_size, len(order), batch_size)):
                activations = self.forward(rows[batch])
                losses[epoch] += self.loss(activations[-1], targets[batch]) / len(rows)
                self.step(self.backward(activations, targets[batch]))
            check_epoch(losses, epoch, self)
        return losses
