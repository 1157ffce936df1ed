"""What the NumPy network refuses, and what it says: shapes, names, numbers, divergence.

Apart from ``by_hand``, so that the network there stays short enough to be read at one sitting. Each check raises
ValueError with what was passed, what was expected and how to mend it.
"""

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
