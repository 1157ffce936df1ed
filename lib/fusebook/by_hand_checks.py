"""What the NumPy network refuses, and what it says: shapes, names, numbers, divergence.

Apart from ``by_hand``, so that the network there stays short enough to be read at one sitting.
"""

from collections.abc import Sequence

import numpy as np


def check_settings(
    sizes: Sequence[int], activations: Sequence[str], loss: str, *, known: tuple[dict, dict], optimizer
) -> None:
    """Raise ValueError where layers, names or optimiser can't make a network; ``known`` has activations and losses."""
    if len(sizes) < 2 or any(not isinstance(size, int | np.integer) or size < 1 for size in sizes):
        raise ValueError(
            f"sizes is {sizes!r}; expected the number of inputs and then the units of each layer, all of them "
            "whole numbers from 1 on, such as [100, 100, 50, 5]."
        )
    if isinstance(activations, str) or len(activations) != len(sizes) - 1:
        raise ValueError(
            f"activations is {activations!r} and sizes {sizes!r}; expected one activation for each of the "
            f"{len(sizes) - 1} layers after the inputs. Add or leave out names, or change sizes."
        )
    for name in activations:
        _check_name("activation", name, known[0])
    _check_name("loss", loss, known[1])
    if "softmax" in activations[:-1] or (activations[-1] == "softmax") != (loss == "cross-entropy"):
        raise ValueError(
            f"activations is {list(activations)} with the loss {loss!r}; expected softmax in the last layer with "
            "cross-entropy, or another activation there with half squared error."
        )
    if not callable(optimizer):
        raise ValueError(
            f"optimizer is {optimizer!r}; expected by_hand.adam or by_hand.momentum, the function itself."
        )


def _check_name(kind: str, name: str, known: dict) -> None:
    if name not in known:
        raise ValueError(f"The {kind} is {name!r}; expected one of {', '.join(known)}.")


def check_rows(rows, targets, weights: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and targets in the number type of ``weights``; raises ValueError where they don't fit the network."""
    rows, targets = (np.asarray(values, weights[0].dtype) for values in (rows, targets))
    expected = f"(n_rows, {weights[0].shape[1]})", f"(n_rows, {weights[-1].shape[0]})"
    fits = rows.shape[1:] == weights[0].shape[1:] and targets.shape[1:] == weights[-1].shape[:1]
    if not fits or len(rows) != len(targets) or not len(rows):
        raise ValueError(
            f"rows has shape {rows.shape} and targets {targets.shape}; expected {expected[0]} and {expected[1]} with "
            "as many rows, at least one. Change the first or last of sizes, or the arrays; class numbers become "
            "targets with np.eye(n_classes)[class_numbers], a column of numbers with values[:, None]."
        )
    for name, values in (("rows", rows), ("targets", targets)):
        if wrong := int(np.size(values) - np.isfinite(values).sum()):
            raise ValueError(
                f"{wrong} values of {name} are no number (NaN or infinite); expected numbers alone. "
                "Leave those rows out, or fill them."
            )
    return rows, targets


def check_losses(losses: np.ndarray, weights: list[np.ndarray], learning_rate: float) -> np.ndarray:
    """``losses`` by epoch as they are; raises ValueError where they or the weights have left the numbers."""
    lost = np.flatnonzero(~np.isfinite(losses))
    if len(lost) or not all(np.isfinite(values).all() for values in weights):
        epoch = lost[0] + 1 if len(lost) else len(losses)
        raise ValueError(
            f"Training diverged in epoch {epoch}: the loss or a weight is no number any more. learning_rate is "
            f"{learning_rate}; expected one small enough for the loss to fall. Use a tenth of it, or scale the inputs."
        )
    return losses
