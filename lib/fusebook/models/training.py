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

from fusebook.encoders.cnn import filled, hollow, padded_size, roomy, shared
from fusebook.models import lazy_adam

_WATCHED_AT_ONCE = 1024  # validation rows a step
_WATCHED_AT_MOST = 4096  # training rows, where there are no validation rows
_FILLED_UP = 8192  # rows: up to as many are filled up
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
    random, n_steps = np.random.default_rng(int(keras.random.randint((), 0, 2**31 - 1))), -(-len(labels) // batch_size)
    rates = _rates(model.optimizer, epochs * n_steps, falling).reshape(epochs, n_steps)
    watched = _watched_rows(model, *(validation if len(validation[1]) else _some_rows(inputs, labels)))
    state, history, best, since = _state(model), [], None, 0
    train, watch = _trainer(model, inputs, labels, batch_size, label_smoothing), shared(_watcher, model)
    while len(history) < epochs and (not patience or since < patience):
        state, scores = train(state, *_batches(random.permutation(len(labels)), batch_size), rates[len(history)])
        seen = sum(np.asarray(watch(state[:2], rows)) for rows in watched)
        scores = np.concatenate([scores, seen[:2] / seen[2]])
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


def _rates(optimizer: keras.Optimizer, n_steps: int, falling: bool) -> np.ndarray:
    """The learning rate of each step, shape (n_steps,)."""
    rate = np.float32(optimizer.learning_rate)
    return rate * (1 - np.arange(n_steps, dtype=np.float32) / n_steps) if falling else np.full(n_steps, rate)


def _some_rows(inputs: dict, labels: np.ndarray) -> tuple[dict, np.ndarray]:
    """``_WATCHED_AT_MOST`` rows, spread evenly."""
    some = np.unique(np.linspace(0, len(labels) - 1, _WATCHED_AT_MOST).astype(int))
    return {name: values[some] for name, values in inputs.items()}, labels[some]


def _on_device(model: keras.Model, inputs: dict, labels: np.ndarray, size: int):
    """Inputs and labels, as one of each class, on the device, filled up to ``size`` rows."""
    rows = inputs, keras.utils.to_categorical(labels, model.output_shape[-1])
    return jax.device_put(jax.tree.map(lambda values: filled(values, size), rows))


def _watched_rows(model: keras.Model, inputs: dict, labels: np.ndarray) -> list[tuple]:
    """Pieces of ``_WATCHED_AT_ONCE`` rows on the device, each with whether its rows count: the last is filled up."""
    made = []
    for start in range(0, len(labels), _WATCHED_AT_ONCE):
        own = slice(start, start + _WATCHED_AT_ONCE)
        n_rows = len(labels[own])
        size = padded_size(n_rows, _WATCHED_AT_ONCE)
        rows = _on_device(model, {name: values[own] for name, values in inputs.items()}, labels[own], size)
        made.append((*rows, filled(np.ones(n_rows, np.float32), size)))
    return made


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
    """What trains ``model`` for an epoch on these rows, lazily where that is worth it.

    Few rows are filled up, as tables of nearly the same size then share what is compiled; many would take much memory.
    """
    size = roomy(len(labels)) if len(labels) <= _FILLED_UP else len(labels)
    if lazy_adam.is_worth_it(model, inputs, batch_size):
        numbers = inputs[lazy_adam.NUMBERS]
        others = {name: values for name, values in inputs.items() if name != lazy_adam.NUMBERS}
        train = lazy_adam.lazy_trainer(model, _step_of, label_smoothing, numbers)
        return partial(train, rows=_on_device(model, others, labels, size))
    train = shared(_plain_trainer, model, label_smoothing)
    return partial(_in_one_call, train, rows=_on_device(model, inputs, labels, size))


def _in_one_call(train, state, order, counts, rates, rows):
    batches = tuple(filled(values, roomy(len(order))) for values in (order, counts, rates))
    state, sums = train(state, rows, batches, len(order))
    return state, sums / counts.sum()


def _losses(truth, made, smoothing: float = 0.0):
    return keras.losses.categorical_crossentropy(truth, made, label_smoothing=smoothing)


def _right(truth, made):
    return made.argmax(axis=1) == truth.argmax(axis=1)


def _step_of(model: keras.Model, label_smoothing: float):
    """One step of training; gives the new state, and the sums of loss and of right answers over the rows that count."""
    place = lazy_adam.place_of(model.optimizer.learning_rate, model.optimizer.variables)

    def step(state, inputs, truth, counts, rate):
        weights, others, memory = state

        def mean_loss(weights):
            made, moved = model.stateless_call(weights, others, inputs, training=True)
            loss = counts @ _losses(truth, made, label_smoothing)
            return loss / counts.sum(), (moved, loss, counts @ _right(truth, made))

        gradients, (others, *sums) = jax.grad(mean_loss, has_aux=True)(weights)
        memory = [rate if i == place else value for i, value in enumerate(memory)]
        weights, memory = model.optimizer.stateless_apply(memory, gradients, weights)
        return (weights, others, memory), jnp.stack(sums)

    return step


def _plain_trainer(model: keras.Model, label_smoothing: float):
    """What trains networks built like ``model`` for an epoch; gives the new state, and sums of loss and right answers."""
    step = _step_of(hollow(model), label_smoothing)

    @partial(jax.jit, donate_argnums=0)
    def train(state, rows, batches, n_steps):
        def one(i, carried):
            state, sums = carried
            numbers, counts, rate = (values[i] for values in batches)
            state, own = step(state, *jax.tree.map(lambda values: values[numbers], rows), counts, rate)
            return state, sums.at[i].set(own)

        state, sums = jax.lax.fori_loop(0, n_steps, one, (state, jnp.zeros((len(batches[0]), 2))))
        return state, sums.sum(axis=0)

    return train


def _watcher(model: keras.Model):
    """Sums of loss, of right answers, and of the rows that count, compiled for networks built like ``model``."""
    empty = hollow(model)

    @jax.jit
    def watch(values, rows):
        inputs, truth, counts = rows
        made, _ = empty.stateless_call(*values, inputs, training=False)
        return jnp.stack([counts @ _losses(truth, made), counts @ _right(truth, made), counts.sum()])

    return watch
