"""Training of the multilayer perceptron: mini-batches, a falling learning rate, the best epoch's weights.

Notebook 03_train tells the story; 00_mlp_by_hand says how a step works.
"""

import math
from functools import partial
from itertools import chain

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pandas as pd

from fusebook.models import lazy_adam

_WATCHED_AT_ONCE = 1024  # validation rows a step
_WATCHED_AT_MOST = 4096  # training rows, where there are no validation rows
_SHORT_TEXT = 80  # n-grams: a headline has about 50


def settings(n_rows: int, inputs: dict[str, np.ndarray], *, n_classes: int, **given) -> tuple[dict, dict]:
    """How an MLP that reads ``inputs`` is built and fitted on ``n_rows`` training rows.

    Over dense features it is the classic recipe: hidden layers of 100 and 50, batches of 32, 10 epochs. A network that
    reads n-grams has one hidden layer of 64 and learns fast and briefly, as it would soon know its rows by heart: about
    200 steps and at least 3 epochs, a rate of 0.006 for batches of 512 (less by the root for smaller ones) that falls to
    0, dropout and label smoothing. Where long texts have several classes it learns up to three times as long (see
    ``_patience_for``), and where that is more than twice, has 128 units and more dropout: that gains little, but the
    seed then matters less. Options of either function in ``given`` go before, but for those that are 0 or empty.

    Parameters
    ----------
    inputs : blocks of features, each of shape (n, n_features), of these rows or of more
    n_classes : labels that there are; two need fewer steps than several

    Returns options of ``layers.build_mlp`` and of ``fit_mlp``.
    """
    if "text_weights" in inputs:
        batch_size = 2 ** round(math.log2(np.clip(3 * n_rows / 200, 32, 512)))
        epochs = max(3, 200 / math.ceil(max(n_rows, 1) / batch_size))
        patience = _patience_for(inputs["text_weights"], n_classes)
        epochs = round(epochs * patience)
        build = {"hidden": [128], "dropout": 0.5} if patience > 2 else {"hidden": [64], "dropout": 0.3}
        build["learning_rate"] = 0.006 * math.sqrt(batch_size / 512)
        fit = {"epochs": epochs, "batch_size": batch_size, "label_smoothing": 0.1, "falling": True}
    else:
        build = {"hidden": [100, 50], "dropout": 0.0, "learning_rate": 0.001}
        fit = {"epochs": 10, "batch_size": 32, "label_smoothing": 0.0, "falling": False}
    given = {name: value for name, value in given.items() if value}
    fit |= {name: given.pop(name) for name in fit if name in given}
    build |= given
    return {"activations": ["relu"] * len(build["hidden"]), **build}, fit


def _patience_for(weights: np.ndarray, n_classes: int) -> float:
    """How many times as long a network may learn from texts with these n-gram weights: 1 to 3.

    Short texts are soon known by heart: on comments of 70 n-grams twice the epochs cost a point. In long ones each
    n-gram weighs less: 20 newsgroups of 256 gain nearly a point by three times the epochs. Two classes need no more:
    hotel reviews of 200 lose half a point. ``make bench-text`` measures it.
    """
    if n_classes <= 2:
        return 1.0
    read = np.count_nonzero(weights) / max(len(weights), 1)
    return float(np.clip(read / _SHORT_TEXT, 1, 3))


def fit_mlp(
    model: keras.Model, inputs: dict[str, np.ndarray], labels: np.ndarray, *,
    validation: tuple[dict[str, np.ndarray], np.ndarray], epochs: int = 10, batch_size: int = 32, patience: int = 3,
    label_smoothing: float = 0.0, falling: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Train ``model`` and go back to the weights of the epoch with the lowest validation loss.

    An epoch is one compiled call, or a few of many steps (see ``lazy_adam``): the way from Python costs more than a
    step, and the step works on the weights in place.

    Parameters
    ----------
    labels : class numbers of shape (n_rows,)
    validation : inputs and labels of the validation rows; where there are none, training rows are watched instead, some
        thousands at most
    patience : epochs without a better validation loss after which training stops; 0 never stops early
    label_smoothing : share of each row's target that is spread over all classes (Szegedy and others, 2016)
    falling : whether the learning rate falls in a straight line to 0 at the end of the last epoch

    Returns a DataFrame indexed by epoch from 1, with loss, accuracy, val_loss, val_accuracy; loss and accuracy are taken
    while the weights changed, and val_loss without label smoothing. Raises ValueError where there are no rows to train on
    or ``epochs`` or ``batch_size`` is below 1, FloatingPointError where a loss is not a number: training has diverged.
    """
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"epochs is {epochs} and batch_size {batch_size}; expected at least 1 of each.")
    if not len(labels):
        raise ValueError("No rows to train on; expected at least one. Leave out a modality that none has.")
    random = np.random.default_rng(int(keras.random.randint((), 0, 2**31 - 1)))
    if falling:
        start, steps = float(model.optimizer.learning_rate), epochs * math.ceil(len(labels) / batch_size)
        model.optimizer.learning_rate = keras.optimizers.schedules.PolynomialDecay(start, steps, end_learning_rate=0.0)
    watched = _on_device(model, *(validation if len(validation[1]) else _some_rows(inputs, labels)))
    state, history, best, since = _state(model), [], None, 0
    train, watch = _trainer(model, inputs, labels, batch_size, label_smoothing), _watcher(model)
    while len(history) < epochs and (not patience or since < patience):
        state, scores = train(state, *_batches(random.permutation(len(labels)), batch_size))
        scores = np.concatenate([scores, watch(state, watched)])
        if not np.isfinite(scores).all():
            problem = f"Training diverged in epoch {len(history) + 1}: the loss is not a number."
            raise FloatingPointError(f"{problem} Use a smaller learning_rate.")
        since += 1
        if best is None or scores[2] < min(line[2] for line in history):
            best, since = jax.tree.map(jnp.copy, state[:2]), 0
        history.append(scores)
    variables = model.trainable_variables + model.non_trainable_variables
    for variable, value in zip(variables, chain(*best), strict=True):
        variable.assign(value)
    names = ["loss", "accuracy", "val_loss", "val_accuracy"]
    return pd.DataFrame(history, columns=names, index=pd.RangeIndex(1, len(history) + 1, name="epoch"))


def _some_rows(inputs: dict, labels: np.ndarray) -> tuple[dict, np.ndarray]:
    """``_WATCHED_AT_MOST`` rows, spread evenly."""
    some = np.unique(np.linspace(0, len(labels) - 1, _WATCHED_AT_MOST).astype(int))
    return {name: values[some] for name, values in inputs.items()}, labels[some]


def _on_device(model: keras.Model, inputs: dict, labels: np.ndarray):
    return jax.device_put((inputs, keras.utils.to_categorical(labels, model.output_shape[-1])))


def _batches(order: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and whether they count, both of shape (n_steps, batch_size): the last batch is filled up."""
    short = -len(order) % batch_size
    numbers = np.append(order, np.zeros(short, order.dtype)).reshape(-1, batch_size)
    return numbers, np.append(np.ones(len(order)), np.zeros(short)).astype(np.float32).reshape(-1, batch_size)


def _state(model: keras.Model) -> tuple[list, list, list]:
    """Copies of what training changes: weights, other variables such as the state of dropout, the optimiser's memory."""
    model.optimizer.build(model.trainable_variables)
    groups = model.trainable_variables, model.non_trainable_variables, model.optimizer.variables
    return tuple([jnp.copy(variable.value) for variable in group] for group in groups)


def _trainer(model: keras.Model, inputs: dict, labels: np.ndarray, batch_size: int, label_smoothing: float):
    """What trains ``model`` for an epoch on these rows, lazily where that is worth it."""
    step_of = partial(_step_of, label_smoothing=label_smoothing)
    if lazy_adam.is_worth_it(model, inputs, batch_size):
        numbers = inputs[lazy_adam.NUMBERS]
        others = {name: values for name, values in inputs.items() if name != lazy_adam.NUMBERS}
        return partial(lazy_adam.lazy_trainer(model, step_of, numbers), rows=_on_device(model, others, labels))
    return partial(_plain_trainer(step_of(model)), rows=_on_device(model, inputs, labels))


def _losses(truth, made, smoothing: float = 0.0):
    return keras.losses.categorical_crossentropy(truth, made, label_smoothing=smoothing)


def _right(truth, made):
    return made.argmax(axis=1) == truth.argmax(axis=1)


def _step_of(model: keras.Model, label_smoothing: float):
    """One step of training; gives the new state, and the sums of loss and of right answers over the rows that count."""

    def step(state, inputs, truth, counts):
        weights, others, memory = state

        def mean_loss(weights):
            made, moved = model.stateless_call(weights, others, inputs, training=True)
            loss = counts @ _losses(truth, made, label_smoothing)
            return loss / counts.sum(), (moved, loss, counts @ _right(truth, made))

        gradients, (others, *sums) = jax.grad(mean_loss, has_aux=True)(weights)
        weights, memory = model.optimizer.stateless_apply(memory, gradients, weights)
        return (weights, others, memory), jnp.stack(sums)

    return step


def _plain_trainer(step):
    """What trains for an epoch by ``step``; gives the new state, and mean loss and accuracy."""

    @partial(jax.jit, donate_argnums=0)
    def train(state, order, counts, rows):
        def one(state, batch):
            numbers, counts = batch
            return step(state, *jax.tree.map(lambda values: values[numbers], rows), counts)

        state, sums = jax.lax.scan(one, state, (order, counts))
        return state, sums.sum(axis=0) / counts.sum()

    return train


def _watcher(model: keras.Model):
    """Mean loss and accuracy on some rows, compiled."""

    @jax.jit
    def watch(state, rows):
        def one(row):
            inputs, truth = jax.tree.map(lambda values: values[None], row)
            made, _ = model.stateless_call(*state[:2], inputs, training=False)
            return jnp.stack([_losses(truth, made)[0], _right(truth, made)[0].astype("float32")])

        return jax.lax.map(one, rows, batch_size=_WATCHED_AT_ONCE).mean(axis=0)

    return watch
