"""Lazy Adam against Keras's own Adam, which moves every row of the table at every step."""

import numpy as np
import pytest
from test_training import all_weights, by_keras, small, with_bag

from fusebook.models import lazy_adam, training
from fusebook.models import network as models_network
from fusebook.models.network import build_mlp

keras = models_network.keras  # imported through fusebook, which chooses Keras's backend

# A step is as long as the rate of 0.01 whatever the gradient, so rounding shows where a gradient is next to nothing.
CLOSE = 2e-4


# --- Whole training -----------------------------------------------------------------------------------


@pytest.fixture
def train_both(monkeypatch, batches):
    """What gives weights after our training, after Keras's on the same batches, and before; and the steps taken lazily."""
    lazy, read = [], lazy_adam.rows_read

    def reading(numbers, *given, **named):
        lazy.append(len(numbers))
        return read(numbers, *given, **named)

    def train(inputs, labels, *, n_ngrams, epochs=1, falling=False):
        ours, other = (small(tuple(inputs), n_ngrams=n_ngrams, learning_rate=0.01) for _ in range(2))
        before = all_weights(ours)
        options = {"epochs": epochs, "batch_size": 8, "patience": 0, "falling": falling}
        nobody = {name: values[:0] for name, values in inputs.items()}, labels[:0]
        training.fit_mlp(ours, inputs, labels, validation=nobody, **options)
        rates = 0.01 * (1 - np.arange(len(batches)) / len(batches)) if falling else None
        by_keras(other, inputs, labels, batches, rates=rates)
        return all_weights(ours), all_weights(other), before, sum(lazy)

    monkeypatch.setattr(lazy_adam, "rows_read", reading)
    return train


@pytest.mark.parametrize("blocks", [("text_ngrams", "text_weights"), ("text", "text_ngrams", "text_weights")])
@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize(("n_rows", "epochs"), [(64, 1), (61, 1), (61, 4), (5, 3)])
def test_it_ends_where_kerass_adam_ends(train_both, blocks, falling, n_rows, epochs):
    inputs, labels = with_bag(n_rows, n_ngrams=400)
    inputs = {name: inputs[name] for name in blocks}
    ours, other, before, lazy = train_both(inputs, labels, n_ngrams=400, epochs=epochs, falling=falling)
    assert lazy == epochs * -(-n_rows // 8), "else the case shows nothing"
    np.testing.assert_allclose(ours, other, atol=CLOSE)
    assert np.abs(ours - before).max() > 1e-3, "else the case shows nothing"


def test_most_steps_carry_rows_on_that_they_do_not_read(train_both, monkeypatch):
    """The table of plain Adam without the carrying on is another one, so the test above would see its lack."""
    inputs, labels = with_bag(61, n_ngrams=400)
    monkeypatch.setattr(lazy_adam, "step_sizes", lambda optimizer, done, n: np.zeros(n + 1, np.float32))
    ours, other, _, _ = train_both(inputs, labels, n_ngrams=400)
    assert np.abs(ours - other).max() > 1e-2


@pytest.mark.parametrize("at_once", [1, 3, 5])
def test_in_pieces_it_is_the_same(train_both, monkeypatch, at_once):
    inputs, labels = with_bag(61, n_ngrams=400)
    monkeypatch.setattr(lazy_adam, "_STEPS_AT_ONCE", at_once)
    ours, other, _, lazy = train_both(inputs, labels, n_ngrams=400, epochs=2)
    assert lazy == 16
    np.testing.assert_allclose(ours, other, atol=CLOSE)


def test_a_batch_may_read_more_than_any_before_it(train_both):
    """Even the whole table, when the rows that were looked at first read little of it."""
    inputs, labels = with_bag(60, n_ngrams=40)
    inputs["text_ngrams"][:8] = 3
    ours, other, _, lazy = train_both(inputs, labels, n_ngrams=40, epochs=3)
    assert lazy == 3 * 8
    np.testing.assert_allclose(ours, other, atol=CLOSE)


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
        network = build_mlp(
            sizes, 3, hidden=[5], activations=["relu"], dropout=0.4, modality_dropout=modality_dropout, n_ngrams=400
        )  # fmt: skip
        history = training.fit_mlp(network, inputs, labels, validation=(inputs, labels), epochs=3, batch_size=8)
        made.append((all_weights(network), history))
    np.testing.assert_allclose(made[0][0], made[1][0], atol=CLOSE)
    np.testing.assert_allclose(made[0][1], made[1][1], atol=1e-5)


@pytest.mark.parametrize(
    ("optimizer", "n_ngrams", "worth"),
    [("adam", 400, True), ("adam", 60, False), ("sgd", 400, False), ("adamw", 400, False), ("nadam", 400, False)],
)
def test_what_is_trained_lazily(optimizer, n_ngrams, worth):
    inputs, _ = with_bag(61, n_ngrams=n_ngrams)
    network = small(tuple(inputs), optimizer=optimizer, n_ngrams=n_ngrams)
    assert lazy_adam.is_worth_it(network, inputs, 8) == worth
    assert not lazy_adam.is_worth_it(small(), {"text": inputs["text"]}, 8)


# --- Its parts ----------------------------------------------------------------------------------------


def test_rows_read_by_hand():
    numbers = np.array([[[5, 2], [2, 0]], [[7, 7], [7, 1]]])
    rows, places = lazy_adam.rows_read(numbers, 9)
    assert rows.tolist() == [[0, 2, 5, *[9] * 6], [1, 7, *[9] * 7]]
    assert places.tolist() == [[[2, 1], [1, 0]], [[1, 1], [1, 0]]]
    wider, again = lazy_adam.rows_read(numbers, 9, at_least=6)
    assert wider.tolist() == [[0, 2, 5, 9, 9, 9], [1, 7, 9, 9, 9, 9]] and (again == places).all()


@pytest.mark.parametrize(("n_read", "columns"), [(100, 1024), (930, 1024), (940, 2048), (3500, 4000)])
def test_sizes_are_rounded_so_that_another_training_has_the_same(n_read, columns):
    """A tenth more than the most that a step reads, in whole 1024s; never more than the table has."""
    rows, _ = lazy_adam.rows_read(np.arange(n_read).reshape(1, 1, -1), 4000)
    assert rows.shape == (1, columns)


def test_places_lead_back_to_the_numbers():
    numbers = np.random.default_rng(0).integers(0, 500, (7, 6, 5))
    rows, places = lazy_adam.rows_read(numbers, 500)
    for step in range(7):
        np.testing.assert_array_equal(rows[step][places[step]], numbers[step])
        assert set(rows[step]) - {500} == set(numbers[step].ravel())
        assert (np.diff(rows[step][rows[step] < 500]) > 0).all()


@pytest.mark.parametrize("rate", [0.01, keras.optimizers.schedules.PolynomialDecay(0.01, 40, end_learning_rate=0.0)])
@pytest.mark.parametrize(("read", "done"), [(1, 0), (3, 0), (4, 20)])
@pytest.mark.parametrize("later", [1, 2, 10])
def test_catching_up_is_as_many_steps_with_a_gradient_of_0(rate, read, done, later):
    """Keras's Adam takes ``done`` steps before, ``read`` with a gradient, and ``later`` without one."""
    rng = np.random.default_rng(0)
    variable = keras.Variable(rng.normal(size=(4, 3)))
    rule = keras.optimizers.Adam(rate)
    rule.build([variable])
    for _ in range(done + read):
        rule.apply([rng.normal(size=(4, 3)).astype(np.float32)])
    rows = [np.array(part) for part in (variable, rule._momentums[0], rule._velocities[0])]
    for _ in range(later):
        rule.apply([np.zeros((4, 3), np.float32)])
    sizes = lazy_adam.step_sizes(rule, done, read + later + 5)
    caught = lazy_adam.catch_up(rows, np.full(4, read), read + later, sizes, rule)
    expected = [np.array(part) for part in (variable, rule._momentums[0], rule._velocities[0])]
    for values, wanted in zip(caught, expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-6)
    assert np.abs(expected[0] - rows[0]).max() > 1e-3
