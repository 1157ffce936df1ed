"""The multilayer perceptron in NumPy: forward pass, back-propagation (Rumelhart, Hinton and Williams, 1986), descent.

Notebook 00_mlp_by_hand tells the story, with the same symbols. A batch is a matrix with one sample a row, so that the
z = W a + b of one sample is ``a @ W.T + b`` for a batch.
"""

import numpy as np

from fusebook import by_hand_checks as checks

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
        checks.check_settings(sizes, activations, loss, optimizer, learning_rate, dtype, ACTIVATIONS, LOSSES)
        self.functions, self.loss = [ACTIVATIONS[name] for name in activations], LOSSES[loss]
        self.optimizer, self.learning_rate, self.one_hot = optimizer, learning_rate, loss == "cross-entropy"
        self.random, shapes = np.random.default_rng(random_state), [*zip(sizes[1:], sizes[:-1], strict=True)]
        self.weights_ = [(self.random.uniform(-1, 1, s) * np.sqrt(6 / sum(s))).astype(dtype) for s in shapes]
        self.biases_ = [np.zeros(n_out, dtype) for n_out, _ in shapes]
        self.parameters_, self.steps_ = self.weights_ + self.biases_, 0
        self.memory_ = [np.zeros((2, *values.shape), dtype) for values in self.parameters_]

    def forward(self, rows: np.ndarray) -> list[np.ndarray]:
        """The activations of all layers, each of shape (n_rows, n_units): first the rows themselves, last the output."""
        activations = [checks.check_rows(rows, self)]
        for weights, bias, (function, _) in zip(self.weights_, self.biases_, self.functions, strict=True):
            activations.append(function(activations[-1] @ weights.T + bias))
        return activations

    def backward(self, activations: list[np.ndarray], targets: np.ndarray) -> list[np.ndarray]:
        """The gradient of the mean loss: dC/dW of all layers, then dC/db of all, as ``parameters_``.

        ``activations`` as ``forward`` returns them; ``targets`` of shape (n_rows, n_outputs).
        """
        targets = checks.check_backward(activations, targets, self)
        slope, weights, biases = (activations[-1] - targets) / len(targets), [], []
        for layer in reversed(range(len(self.weights_))):
            slope = self.functions[layer][1](activations[layer + 1], slope)  # from dC/da to dC/dz, the delta
            weights.insert(0, slope.T @ activations[layer])
            biases.insert(0, slope.sum(axis=0))
            slope = slope @ self.weights_[layer] if layer else None  # to dC/da of the layer before
        return weights + biases

    def step(self, gradients: list[np.ndarray]) -> None:
        """One step downhill, in place; ``gradients`` as ``backward`` returns them."""
        checks.check_gradients(gradients, self)
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
        rows, targets = checks.check_fit(rows, targets, self, epochs=epochs, batch_size=batch_size)
        losses = np.zeros(epochs)
        for epoch in range(epochs):
            order = self.random.permutation(len(rows)) if shuffle else np.arange(len(rows))
            for batch in np.split(order, range(batch_size, len(order), batch_size)):
                activations = self.forward(rows[batch])
                losses[epoch] += self.loss(activations[-1], targets[batch]) / len(rows)
                self.step(self.backward(activations, targets[batch]))
            checks.check_epoch(losses, epoch, self)
        return losses
