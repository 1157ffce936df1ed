"""Lazy Adam against Keras's own Adam, which moves every row of the table at every step."""

import sys

import numpy as np
import pytest
from lazily import Lazy
from tiny_networks import CLOSE, all_weights, assert_as_by_keras, by_keras, small, with_bag

keras = Lazy("keras")
lazy_adam, layers, training = (Lazy(f"fusebook.models.{name}") for name in ("lazy_adam", "layers", "training"))


# --- Whole training -----------------------------------------------------------------------------------


@pytest.fixture
def train_both(monkeypatch, batches):
    """What gives weights after our training, after Keras's on the same batches with their bound; and the lazy steps."""
    lazy, read = [], lazy_adam.rows_read

    def reading(numbers, *given):
        lazy.append(len(numbers))
        return read(numbers, *given)

    def train(inputs, labels, *, n_ngrams, epochs=1, falling=False):
        ours, other = (small(tuple(inputs), n_ngrams=n_ngrams, learning_rate=0.01) for _ in range(2))
        options = {"epochs": epochs, "batch_size": 8, "patience": 0, "falling": falling}
        nobody = {name: values[:0] for name, values in inputs.items()}, labels[:0]
        training.fit_mlp(ours, inputs, labels, validation=nobody, **options)
        rates = 0.01 * (1 - np.arange(len(batches)) / len(batches)) if falling else None
        before = all_weights(other)
        _, bound = by_keras(other, inputs, labels, batches, rates=rates)
        assert np.abs(all_weights(other) - before).max() > 1e-3, "else the case shows nothing"
        return (all_weights(ours), all_weights(other), bound), sum(lazy)

    monkeypatch.setattr(lazy_adam, "rows_read", reading)
    return train


BAG = ("text_ngrams", "text_weights")


@pytest.mark.parametrize(
    ("n_rows", "epochs", "falling", "blocks"),
    [(64, 1, False, BAG), (61, 4, True, BAG), (61, 4, False, ("text", *BAG)), (5, 3, True, ("text", *BAG))],
)
def test_it_ends_where_kerass_adam_ends(train_both, blocks, falling, n_rows, epochs):
    inputs, labels = with_bag(n_rows, n_ngrams=400)
    inputs = {name: inputs[name] for name in blocks}
    made, lazy = train_both(inputs, labels, n_ngrams=400, epochs=epochs, falling=falling)
    assert lazy == epochs * -(-n_rows // 8), "else the case shows nothing"
    assert_as_by_keras(*made)


def test_most_steps_carry_rows_on_that_they_do_not_read(train_both, monkeypatch):
    """The table of plain Adam without the carrying on is another one, so the test above would see its lack."""
    inputs, labels = with_bag(61, n_ngrams=400)
    monkeypatch.setattr(lazy_adam, "step_sizes", lambda _, rates, done: np.zeros(len(rates) + 1, np.float32))
    made, _ = train_both(inputs, labels, n_ngrams=400)
    with pytest.raises(AssertionError):
        assert_as_by_keras(*made)
    assert np.abs(made[0] - made[1]).max() > 1e-2


@pytest.mark.parametrize("at_once", [1, 3])
def test_in_pieces_it_is_the_same(train_both, monkeypatch, at_once):
    inputs, labels = with_bag(61, n_ngrams=400)
    monkeypatch.setattr(lazy_adam, "_STEPS_AT_ONCE", at_once)
    made, lazy = train_both(inputs, labels, n_ngrams=400, epochs=2)
    assert lazy == 16
    assert_as_by_keras(*made)


def test_a_batch_may_read_more_than_any_before_it(train_both):
    """Even the whole table, when the rows that were looked at first read little of it."""
    inputs, labels = with_bag(60, n_ngrams=40)
    inputs["text_ngrams"][:8] = 3
    made, lazy = train_both(inputs, labels, n_ngrams=40, epochs=3)
    assert lazy == 3 * 8
    assert_as_by_keras(*made)


@pytest.mark.parametrize("modality_dropout", [0.0, 0.5])
def test_joined_parts_and_dropout_draw_as_the_plain_step_does(monkeypatch, modality_dropout):
    """Dropout draws from the network's own seeds, so that lazy and plain training drop the same units."""
    inputs, labels = with_bag(61, n_ngrams=400)
    inputs |= {"image": np.random.default_rng(1).normal(size=(61, 3)).astype(np.float32)}
    inputs["present"] = np.ones((61, 2), np.float32)
    sizes = {name: inputs[name].shape[1] for name in sorted(inputs) if name != "present"}
    made = []
    for worth in (True, False):
        monkeypatch.setattr(lazy_adam, "is_worth_it", lambda *_, worth=worth: worth)
        network = layers.build_mlp(
            sizes, 3, hidden=[5], activations=["relu"], dropout=0.4, modality_dropout=modality_dropout, n_ngrams=400
        )  # fmt: skip
        history = training.fit_mlp(network, inputs, labels, validation=(inputs, labels), epochs=3, batch_size=8)
        made.append((all_weights(network), history))
    np.testing.assert_allclose(made[0][1], made[1][1], atol=CLOSE)
    # Adam may step the other way where rounding is all there is of a gradient: of few weights, a step each.
    apart = np.abs(made[0][0] - made[1][0])
    assert np.quantile(apart, 0.9) < CLOSE and apart.max() <= 2 * 0.001 * 24


@pytest.mark.parametrize(
    ("optimizer", "n_ngrams", "worth"),
    [("adam", 400, True), ("adam", 60, False), ("sgd", 400, False), ("adamw", 400, False), ("nadam", 400, False)],
)
def test_what_is_trained_lazily(optimizer, n_ngrams, worth):
    inputs, _ = with_bag(61, n_ngrams=n_ngrams)
    network = small(tuple(inputs), optimizer=optimizer, n_ngrams=n_ngrams)
    network.optimizer.build(network.trainable_variables)
    assert lazy_adam.is_worth_it(network, inputs, 8) == worth
    assert not lazy_adam.is_worth_it(small(), {"text": inputs["text"]}, 8)
    network.optimizer.learning_rate = keras.optimizers.schedules.PolynomialDecay(0.01, 40)
    assert not lazy_adam.is_worth_it(network, inputs, 8), "the rates of steps are given, and a schedule has its own"


@pytest.mark.parametrize("name", ["_momentums", "_velocities"])
def test_where_keras_hides_what_it_keeps_training_steps_aside_to_the_plain_step(train_both, monkeypatch, name):
    """These names are private: a later Keras may have others. Its own methods still find them here, ours do not."""

    def get(optimizer, attribute):
        if attribute == name and sys._getframe(1).f_globals["__name__"] == "fusebook.models.lazy_adam":
            raise AttributeError(name)
        return object.__getattribute__(optimizer, attribute)

    monkeypatch.setattr(keras.optimizers.Adam, "__getattribute__", get)
    inputs, labels = with_bag(61, n_ngrams=400)
    made, lazy = train_both(inputs, labels, n_ngrams=400)
    assert lazy == 0
    assert_as_by_keras(*made)


# --- Its parts ----------------------------------------------------------------------------------------


def test_rows_read_by_hand():
    numbers = np.array([[[5, 2], [2, 0]], [[7, 7], [7, 1]]])
    rows, places = lazy_adam.rows_read(numbers, 9, 0)
    assert rows.tolist() == [[0, 2, 5, *[9] * 6], [1, 7, *[9] * 7]]
    assert places.tolist() == [[[2, 1], [1, 0]], [[1, 1], [1, 0]]]
    wider, again = lazy_adam.rows_read(numbers, 9, 6)
    assert wider.tolist() == [[0, 2, 5, 9, 9, 9], [1, 7, 9, 9, 9, 9]] and (again == places).all()


@pytest.mark.parametrize(("n_read", "columns"), [(100, 1024), (930, 1024), (940, 2048), (3500, 4000)])
def test_sizes_are_rounded_so_that_another_training_has_the_same(n_read, columns):
    """A tenth more than the most that a step reads, in whole 1024s; never more than the table has."""
    rows, _ = lazy_adam.rows_read(np.arange(n_read).reshape(1, 1, -1), 4000, 0)
    assert rows.shape == (1, columns)


def test_places_lead_back_to_the_numbers():
    numbers = np.random.default_rng(0).integers(0, 500, (7, 6, 5))
    rows, places = lazy_adam.rows_read(numbers, 500, 0)
    for step in range(7):
        np.testing.assert_array_equal(rows[step][places[step]], numbers[step])
        assert set(rows[step]) - {500} == set(numbers[step].ravel())
        assert (np.diff(rows[step][rows[step] < 500]) > 0).all()


@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize(("read", "done", "later"), [(1, 0, 1), (3, 0, 10), (4, 20, 2)])
def test_catching_up_is_as_many_steps_with_a_gradient_of_0(falling, read, done, later):
    """Keras's Adam takes ``done`` steps before, ``read`` with a gradient, and ``later`` without one."""
    rng = np.random.default_rng(0)
    variable = keras.Variable(rng.normal(size=(4, 3)))
    fall = keras.optimizers.schedules.PolynomialDecay(0.01, 40, end_learning_rate=0.0)
    rule = keras.optimizers.Adam(fall if falling else 0.01)
    rule.build([variable])
    for _ in range(done + read):
        rule.apply([rng.normal(size=(4, 3)).astype(np.float32)])
    rows = [np.array(part) for part in (variable, rule._momentums[0], rule._velocities[0])]
    for _ in range(later):
        rule.apply([np.zeros((4, 3), np.float32)])
    numbers = np.arange(done, done + read + later + 5)
    sizes = lazy_adam.step_sizes(rule, 0.01 * (1 - numbers / 40 * falling), done)
    caught = lazy_adam.catch_up(rows, np.full(4, read), read + later, sizes, rule)
    expected = [np.array(part) for part in (variable, rule._momentums[0], rule._velocities[0])]
    for values, wanted in zip(caught, expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-6)
    assert np.abs(expected[0] - rows[0]).max() > 1e-3
