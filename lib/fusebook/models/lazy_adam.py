"""Adam over an n-gram table at the cost of the rows that a step reads, not of all rows that there are.

Plain Adam moves each row of the table at each step, also a row that no text of the batch reads: its gradient is 0, but
what earlier gradients left in its mean carries it on. Where that leads is known beforehand, so a row can be left alone
and brought up to date when a text next reads it (lazy updates, after Carpenter, 2008). The result is that of plain Adam
up to rounding and to ``epsilon``; notebook 03_train is where it works.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fusebook.encoders.cnn import filled, hollow, roomy, shared
from fusebook.models.layers import EmbeddingBag

_KEPT = ("_momentums", "_velocities")  # what is read of Keras's Adam: private, so it may go
NUMBERS = "text_ngrams"  # the input with the numbers of the rows that a text reads
_WORTH = 0.5  # of the table's rows: where a step reads more, a plain step is as fast
_ROUNDED_TO = 1024  # rows read at most by a step: so that the same size serves the next training, compiled already
_STEPS_AT_ONCE = 256  # whose rows are looked up together: 60 MB of headlines


def is_worth_it(model: keras.Model, inputs: dict[str, np.ndarray], batch_size: int) -> bool:
    """Has ``model`` a table of n-grams that Adam updates, and does a step read but part of it?

    What a step reads is judged by the first ``batch_size`` rows of ``inputs``. No, too, where Keras's Adam, which must
    be built, does not keep its memory where this module looks for it.
    """
    rule, bags = model.optimizer, _bags(model)
    if type(rule) is not keras.optimizers.Adam or not bags or not all(hasattr(rule, name) for name in _KEPT):
        return False
    if not isinstance(rule.learning_rate, keras.Variable):  # a rate that follows a schedule of its own
        return False
    return len(np.unique(inputs[NUMBERS][:batch_size])) < _WORTH * bags[0].n_ngrams


def _bags(model: keras.Model) -> list[EmbeddingBag]:
    return [layer for layer in model.layers if isinstance(layer, EmbeddingBag)]


def lazy_trainer(model: keras.Model, step_of: Callable, label_smoothing: float, numbers: np.ndarray) -> Callable:
    """What trains ``model`` for an epoch as plain Adam would, but lazily.

    Parameters
    ----------
    step_of : from a model and ``label_smoothing`` to its step (state, inputs, truth, counts, rate) -> (state, sums),
        which is compiled here, once for all networks built alike; a state holds the values of trainable variables, other
        variables and the optimiser's variables
    numbers : n-grams of the rows to train on, shape (n_rows, width)

    Returns a function of a state, the rows of each batch, whether they count, both of shape (n_steps, batch_size), the
    rate of each step, and the ``rows`` themselves without their n-grams; it gives the state after the epoch and the mean
    of the sums.
    """
    n_ngrams, compiled = _bags(model)[0].n_ngrams, {}

    def train(state, order, counts, rates, rows):
        size = math.ceil(len(order) / math.ceil(len(order) / _STEPS_AT_ONCE))
        total = 0.0
        for i in range(0, len(order), size):
            batches = order[i : i + size], counts[i : i + size]
            read, places = rows_read(numbers[batches[0]], n_ngrams, max(compiled, default=0))
            if read.shape[1] not in compiled:
                compiled[read.shape[1]] = shared(_compiled, model, read.shape[1], step_of, label_smoothing)
            own = rates[i : i + size]
            sizes = step_sizes(model.optimizer, own, int(state[2][0]))
            given = [filled(values, roomy(size)) for values in (*batches, own, read, places)]
            state, sums = compiled[read.shape[1]](state, rows, given, filled(sizes, roomy(size) + 1), len(read))
            total = total + sums
        return state, total / counts.sum()

    return train


def place_of(variable: keras.Variable, variables: list[keras.Variable]) -> int | None:
    """Where among ``variables`` it is; None where it is not."""
    return next((i for i, other in enumerate(variables) if other is variable), None)


def _compiled(model: keras.Model, n_rows: int, step_of: Callable, label_smoothing: float) -> Callable:
    """Some steps, each on the rows of the table that it reads: brought up to date before it, put back after it.

    They are at most ``n_rows``.
    """
    narrow = hollow(model, n_ngrams=n_rows)
    step, rule = step_of(narrow, label_smoothing), narrow.optimizer
    table = place_of(_bags(narrow)[0].table, narrow.trainable_variables)
    means, squares = (place_of(kept[table], rule.variables) for kept in (rule._momentums, rule._velocities))

    def tables(state):
        return state[0][table], state[2][means], state[2][squares]

    def with_tables(state, made):
        weights, others, memory = list(state[0]), state[1], list(state[2])
        weights[table], memory[means], memory[squares] = made
        return weights, others, memory

    @partial(jax.jit, donate_argnums=0)
    def steps(state, rows, batches, sizes, n_steps):
        def one(now, carried):
            state, since, sums = carried
            numbers, counts, rate, read, places = (values[now] for values in batches)
            inputs, truth = jax.tree.map(lambda values: values[numbers], rows)
            wide, last = tables(state), since.at[read].get(mode="fill", fill_value=0)
            small = [values.at[read].get(mode="fill", fill_value=0) for values in wide]
            small = with_tables(state, catch_up(small, last, now, sizes, rule))
            small, own = step(small, inputs | {NUMBERS: places}, truth, counts, rate)
            made = [a.at[read].set(b, mode="drop") for a, b in zip(wide, tables(small), strict=True)]
            return with_tables(small, made), since.at[read].set(now + 1, mode="drop"), sums.at[now].set(own)

        since, sums = jnp.zeros(len(tables(state)[0]), jnp.int32), jnp.zeros((len(batches[0]), 2))
        state, since, sums = jax.lax.fori_loop(0, n_steps, one, (state, since, sums))
        made = catch_up(tables(state), since, n_steps, sizes, rule)
        return with_tables(state, made), sums.sum(axis=0)

    return steps


def rows_read(numbers: np.ndarray, n_rows: int, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of a table each step reads, and where among them each number stands.

    Parameters
    ----------
    numbers : n-grams of each step's texts, shape (n_steps, n_texts, width)
    n_rows : rows of the table
    at_least : columns of ``rows`` that there shall be

    Returns
    -------
    rows : shape (n_steps, most), int32, rising; filled up by ``n_rows``, which is none
    places : shape of ``numbers``, int32: ``rows[step][places[step]]`` are the step's numbers
    """
    found, places = [], np.empty(numbers.shape, np.int32)
    place_of = np.empty(n_rows, np.int32)
    for step, read in enumerate(numbers):
        seen = np.zeros(n_rows, bool)
        seen[read] = True
        found.append(np.flatnonzero(seen))
        place_of[found[-1]] = np.arange(len(found[-1]))
        places[step] = place_of[read]
    most = max(map(len, found))
    if most > at_least:  # with room for the batches to come
        at_least = min(math.ceil(1.1 * most / _ROUNDED_TO) * _ROUNDED_TO, n_rows)
    return np.stack([np.pad(rows, (0, at_least - len(rows)), constant_values=n_rows) for rows in found]), places


def step_sizes(optimizer: keras.optimizers.Adam, rates: np.ndarray, done: int) -> np.ndarray:
    """How far steps at these ``rates`` carry a row on that none of them reads: shape (n_steps + 1,), float32.

    Entry s is what all steps after the s-th do together, in units of the row's mean gradient over the root of its mean
    square: the sum over k > s of rate(k) · sqrt(1 - b2^k) / (1 - b1^k) · (b1 / sqrt(b2))^(k - s), where step 1 is the
    first after ``done`` steps. It is summed up backwards, so that nothing overflows. ``catch_up`` needs it.
    """
    n_steps = len(rates)
    numbers = np.arange(done, done + n_steps)
    sizes = (
        rates.astype(float) * np.sqrt(1 - optimizer.beta_2 ** (numbers + 1)) / (1 - optimizer.beta_1 ** (numbers + 1))
    )
    shrinks, made = optimizer.beta_1 / np.sqrt(optimizer.beta_2), np.zeros(n_steps + 1)
    for step in reversed(range(n_steps)):
        made[step] = shrinks * (sizes[step] + made[step + 1])
    return made.astype(np.float32)


def catch_up(rows: tuple, since, now, sizes, optimizer: keras.optimizers.Adam) -> tuple:
    """Rows as plain Adam would have them after step ``now``, given as they were after step ``since``.

    Parameters
    ----------
    rows : weights, mean gradients, mean squares, each of shape (n, units)
    since, now : step numbers, shape (n,) and a number
    sizes : as ``step_sizes`` gives them
    """
    weights, means, squares = rows
    gap = (now - since)[:, None].astype(weights.dtype)
    shrinks = optimizer.beta_1 / np.sqrt(optimizer.beta_2)
    moved = sizes[since][:, None] - shrinks**gap * sizes[now]
    weights = weights - moved * means / (jnp.sqrt(squares) + optimizer.epsilon)
    return weights, means * optimizer.beta_1**gap, squares * optimizer.beta_2**gap
