"""Training against Keras's own loop, NumPy and scikit-learn: steps, rates, losses, the best epoch, what failure leaves."""

import numpy as np
import pytest
from lazily import Lazy
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss
from tiny_networks import CLOSE, all_weights, assert_as_by_keras, blobs, by_keras, dense_layers, small, with_bag

keras = Lazy("keras")
cnn, layers, training = (Lazy(f"fusebook.{name}") for name in ("encoders.cnn", "models.layers", "models.training"))
lazy_adam = Lazy("fusebook.models.lazy_adam")


# --- Steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_rows", "batch_size"), [(12, 4), (13, 4), (3, 8), (1, 1), (8, 8)])
def test_an_epoch_has_every_row_once(n_rows, batch_size):
    order = np.random.default_rng(0).permutation(n_rows)
    numbers, counts = training._batches(order, batch_size)
    assert numbers.shape == counts.shape == (-(-n_rows // batch_size), batch_size)
    assert numbers[counts == 1].tolist() == order.tolist()
    assert set(np.unique(counts)) <= {0, 1} and counts[:-1].all()


@pytest.mark.parametrize("data", [blobs, with_bag], ids=["dense", "bag"])
@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.1), ("adam", 0.01)])
@pytest.mark.parametrize(("n_rows", "batch_size"), [(29, 8), (5, 8)])
def test_an_epoch_is_kerass_steps_over_the_same_batches(data, optimizer, rate, n_rows, batch_size, batches):
    inputs, labels = data(n_rows)
    ours, other = (small(inputs, optimizer=optimizer, learning_rate=rate) for _ in range(2))
    options = {"validation": (inputs, labels), "epochs": 1, "batch_size": batch_size}
    history = training.fit_mlp(ours, inputs, labels, **options)
    before = all_weights(other)
    loss, bound = by_keras(other, inputs, labels, batches)
    assert sorted(np.concatenate(batches)) == list(range(n_rows))
    assert_as_by_keras(all_weights(ours), all_weights(other), bound)
    assert np.abs(all_weights(ours) - before).max() > 1e-3, "else the case shows nothing"
    assert history["loss"].iloc[0] == pytest.approx(loss, abs=CLOSE)


def test_one_step_of_sgd_is_the_gradient_step():
    inputs, labels = blobs(16)
    network = small(optimizer="sgd", learning_rate=0.5)
    (w1, b1), (w2, b2) = dense_layers(network)
    hidden = np.tanh(inputs["text"] @ w1 + b1)
    error = (softmax(hidden @ w2 + b2, axis=1) - np.eye(3)[labels]) / 16  # gradient at the last layer's sums
    back = (error @ w2.T) * (1 - hidden**2)
    training.fit_mlp(network, inputs, labels, validation=(inputs, labels), epochs=1, batch_size=16)
    (v1, c1), (v2, c2) = dense_layers(network)
    np.testing.assert_allclose(v2, w2 - 0.5 * hidden.T @ error, atol=CLOSE)
    np.testing.assert_allclose(c2, b2 - 0.5 * error.sum(axis=0), atol=CLOSE)
    np.testing.assert_allclose(v1, w1 - 0.5 * inputs["text"].T.astype(float) @ back, atol=CLOSE)
    np.testing.assert_allclose(c1, b1 - 0.5 * back.sum(axis=0), atol=CLOSE)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_falling_rate_falls_in_a_straight_line_to_0(optimizer, batches):
    """Over all steps of all epochs, the short batch among them; fitted again it starts from the first rate again."""
    inputs, labels = blobs(21)
    ours, other = (small(optimizer=optimizer, learning_rate=0.1) for _ in range(2))
    options = {"validation": (inputs, labels), "epochs": 3, "batch_size": 8, "patience": 0, "falling": True}
    history = training.fit_mlp(ours, inputs, labels, **options)
    steps = 3 * 3
    assert len(batches) == steps
    assert history["val_loss"].idxmin() == 3, "else the weights that come back are not the last"
    _, bound = by_keras(other, inputs, labels, batches, rates=0.1 * (1 - np.arange(steps) / steps))
    assert_as_by_keras(all_weights(ours), all_weights(other), bound)
    again, once = small(optimizer=optimizer, learning_rate=0.1), small(optimizer=optimizer, learning_rate=0.1)
    again.optimizer = ours.optimizer
    histories = []
    for network in (again, once):
        keras.utils.set_random_seed(3)
        histories.append(training.fit_mlp(network, inputs, labels, **options))
    np.testing.assert_allclose(*histories, atol=CLOSE)


# --- Losses -------------------------------------------------------------------------------------------


def test_the_history_is_what_scikit_learn_computes():
    """A learning rate of 0 leaves the weights alone; an uneven last batch must not change the mean."""
    (inputs, labels), (watched, watched_labels) = blobs(34), blobs(37, seed=1)
    network = small(optimizer="sgd", learning_rate=0.0)
    history = training.fit_mlp(network, inputs, labels, validation=(watched, watched_labels), epochs=1, batch_size=3)
    for rows, true, prefix in ((inputs, labels, ""), (watched, watched_labels, "val_")):
        made = layers.predict(network, rows)
        loss, accuracy = log_loss(true, made, labels=[0, 1, 2]), accuracy_score(true, made.argmax(axis=1))
        assert history[f"{prefix}loss"].iloc[0] == pytest.approx(loss, abs=CLOSE)
        assert history[f"{prefix}accuracy"].iloc[0] == pytest.approx(accuracy)


@pytest.mark.parametrize("n_rows", [1, 3, 4, 5, 9])
def test_rows_watched_at_once_do_not_change_what_is_seen(n_rows, monkeypatch):
    (inputs, labels), (watched, watched_labels) = blobs(8), blobs(n_rows, seed=1)
    monkeypatch.setattr(training, "_WATCHED_AT_ONCE", 4)
    network = small()
    history = training.fit_mlp(network, inputs, labels, validation=(watched, watched_labels), epochs=1)
    loss = log_loss(watched_labels, layers.predict(network, watched), labels=range(3))
    assert history["val_loss"].iloc[0] == pytest.approx(loss, abs=CLOSE)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_a_smoothed_loss_by_hand(smoothing):
    inputs, labels = blobs(20)
    network = small(optimizer="sgd", learning_rate=0.0)
    history = training.fit_mlp(
        network, inputs, labels, validation=(inputs, labels), epochs=1, batch_size=8, label_smoothing=smoothing
    )
    made = layers.predict(network, inputs)
    target = np.eye(3)[labels] * (1 - smoothing) + smoothing / 3
    assert history["loss"].iloc[0] == pytest.approx(-(target * np.log(made)).sum(axis=1).mean(), abs=CLOSE)
    assert history["val_loss"].iloc[0] == pytest.approx(log_loss(labels, made), abs=CLOSE), "never smoothed"


def test_without_validation_rows_the_training_rows_are_watched():
    inputs, labels = blobs(50)
    network = small()
    none = {"text": inputs["text"][:0]}, labels[:0]
    history = training.fit_mlp(network, inputs, labels, validation=none, epochs=2)
    expected = log_loss(labels, layers.predict(network, inputs))
    assert history["val_loss"].iloc[-1] == pytest.approx(expected, abs=CLOSE)


# --- Dropout ------------------------------------------------------------------------------------------


def test_dropout_is_drawn_in_each_step_and_never_when_watching():
    """One hidden unit and equal rows: the loss of a step is one of two, and its mean says how often the unit was off."""
    inputs, labels = {"text": np.ones((400, 4), np.float32)}, np.zeros(400, int)
    network = small(hidden=[1], activations=["linear"], dropout=0.3, optimizer="sgd", learning_rate=0.0)
    network.set_weights([np.full((4, 1), 0.25), np.zeros(1), np.array([[2.0, 0.0, -1.0]]), np.zeros(3)])
    options = {"validation": (inputs, labels), "epochs": 2, "batch_size": 1}
    history = training.fit_mlp(network, inputs, labels, **options)
    off, on, watched = (-np.log(softmax(h * np.array([2.0, 0.0, -1.0]))[0]) for h in (0, 1 / 0.7, 1))
    shares = (history["loss"] - on) / (off - on)
    np.testing.assert_allclose(shares, 0.3, atol=0.1)
    assert shares[1] != shares[2], "drawn anew in each epoch"
    np.testing.assert_allclose(history["val_loss"], watched, atol=CLOSE)


# --- Epochs -------------------------------------------------------------------------------------------


def test_it_learns_what_can_be_learnt():
    (inputs, labels), (new, new_labels) = blobs(300), blobs(200, seed=1)
    network = layers.build_mlp({"text": 4}, 3, hidden=[20, 10], learning_rate=0.01)
    history = training.fit_mlp(network, inputs, labels, validation=blobs(60, seed=2), epochs=8)
    assert accuracy_score(new_labels, layers.predict(network, new).argmax(axis=1)) > 0.95
    assert list(history.index) == list(range(1, len(history) + 1)) and history.index.name == "epoch"
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]


@pytest.fixture(scope="module")
def by_heart():
    """Fits to random labels, where the validation loss soon rises: patience to history and the loss of what came back."""
    rng = np.random.default_rng(3)
    inputs, labels = {"text": rng.normal(size=(64, 10)).astype(np.float32)}, rng.integers(0, 3, 64)
    watched = {"text": rng.normal(size=(32, 10)).astype(np.float32)}, rng.integers(0, 3, 32)
    fits = {}
    for patience in (0, 2):
        network = layers.build_mlp({"text": 10}, 3, hidden=[30], activations=["relu"], learning_rate=0.02)
        history = training.fit_mlp(network, inputs, labels, validation=watched, epochs=12, patience=patience)
        fits[patience] = history, log_loss(watched[1], layers.predict(network, watched[0]), labels=range(3))
    return fits


@pytest.mark.parametrize("patience", [0, 2])
def test_the_best_weights_come_back(by_heart, patience):
    history, loss = by_heart[patience]
    assert history["val_loss"].idxmin() < len(history), "else the case shows nothing"
    assert loss == pytest.approx(history["val_loss"].min(), abs=CLOSE)


def test_patience_counts_epochs_after_the_best(by_heart):
    history, _ = by_heart[2]
    assert len(history) == history["val_loss"].idxmin() + 2 < 12


def test_patience_0_never_stops_early(by_heart):
    assert len(by_heart[0][0]) == 12


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_same_seed_gives_the_same_weights(dropout):
    inputs, labels = blobs(40)

    def weights(seed):
        network = small(random_state=seed, dropout=dropout)
        training.fit_mlp(network, inputs, labels, validation=(inputs, labels), epochs=2, batch_size=8)
        return all_weights(network)

    first = weights(1)
    np.random.default_rng().random()
    np.testing.assert_array_equal(first, weights(1))
    assert np.abs(first - weights(2)).max() > 0.01


@pytest.mark.parametrize("data", [blobs, with_bag], ids=["dense", "bag"])
@pytest.mark.parametrize("lazy", [False, True])
def test_rows_and_steps_that_fill_up_change_nothing(data, lazy, monkeypatch):
    """With dropout and early stopping, as the same units and rows are drawn; n-grams lazily and not."""
    (inputs, labels), watched = data(141), data(33, seed=1)
    monkeypatch.setattr(lazy_adam, "is_worth_it", lambda *_: lazy and len(inputs) > 1)
    made = []
    for filled_up in (True, False):
        if not filled_up:
            monkeypatch.setattr(training, "roomy", lambda n: n)
            monkeypatch.setattr(lazy_adam, "roomy", lambda n: n)
            monkeypatch.setattr(training, "padded_size", lambda n, _: n)
        network = small(tuple(inputs), dropout=0.4, learning_rate=0.05)
        options = {"epochs": 6, "batch_size": 8, "patience": 1, "falling": True}
        history = training.fit_mlp(network, inputs, labels, validation=watched, **options)
        made.append((history, all_weights(network)))
    assert cnn.roomy(141) > 141 and cnn.roomy(18) == 18 and cnn.padded_size(33, 1024) == 64
    np.testing.assert_allclose(*(history for history, _ in made), atol=1e-4)
    np.testing.assert_allclose(*(weights for _, weights in made), atol=1e-3)


@pytest.mark.parametrize("data", [blobs, with_bag], ids=["dense", "bag"])
def test_networks_that_are_built_alike_compile_once(data, monkeypatch):
    """Of nearly as many rows, with another seed and another rate."""
    traced, losses = [], training._losses
    monkeypatch.setattr(training, "_losses", lambda *given: traced.append(1) or losses(*given))
    counts = []
    for n_rows, options in ((44, {}), (43, {"random_state": 5, "learning_rate": 0.2}), (44, {"activations": ["elu"]})):
        (inputs, labels), build = data(n_rows), {"activations": ["selu"], "dropout": 0.2, **options}
        network, watched = small(tuple(inputs), **build), data(n_rows // 2, seed=1)
        training.fit_mlp(network, inputs, labels, validation=watched, epochs=2, batch_size=8, falling=True)
        counts.append(len(traced))
    assert 2 <= counts[0] == counts[1] < counts[2]


# --- What goes wrong ----------------------------------------------------------------------------------


def check_as_before(network, inputs, labels, before):
    """The weights are those from before, and training can start again: its buffers were not given away."""
    np.testing.assert_array_equal(layers.predict(network, inputs), before)
    network.optimizer.learning_rate = 0.01
    history = training.fit_mlp(network, inputs, labels, validation=(inputs, labels), epochs=1)
    assert np.isfinite(history).all(axis=None)
    assert np.abs(layers.predict(network, inputs) - before).max() > 1e-6


@pytest.mark.parametrize("n_rows", [20, 200], ids=["in the last step", "before the last step"])
@pytest.mark.parametrize("data", [blobs, with_bag], ids=["dense", "bag"])
def test_divergence_is_an_error_that_leaves_the_network_as_it_was(n_rows, data):
    """The loss of an epoch is summed before its last step: weights that this step broke show in validation alone."""
    inputs, labels = data(n_rows)
    network = small(inputs, activations=["relu"], optimizer="sgd", learning_rate=1e38)
    before = layers.predict(network, inputs)
    with pytest.raises(FloatingPointError, match=r"diverged in epoch \d+.*smaller learning_rate"):
        training.fit_mlp(network, inputs, labels, validation=(inputs, labels), epochs=1)
    check_as_before(network, inputs, labels, before)


@pytest.mark.parametrize("epoch", [1, 2])
def test_interrupted_training_leaves_the_network_as_it_was(epoch, monkeypatch):
    inputs, labels = blobs(30)
    network, draw, drawn = small(learning_rate=0.01), training._batches, []
    before = layers.predict(network, inputs)

    def interrupted(*given):
        drawn.append(1)
        if len(drawn) == epoch:
            raise KeyboardInterrupt
        return draw(*given)

    monkeypatch.setattr(training, "_batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.fit_mlp(network, inputs, labels, validation=(inputs, labels), epochs=3)
    monkeypatch.undo()
    check_as_before(network, inputs, labels, before)


def test_what_is_given_is_not_changed():
    inputs, labels = with_bag(20)
    copies = {name: values.copy() for name, values in inputs.items()}, labels.copy()
    training.fit_mlp(small(inputs), inputs, labels, validation=(inputs, labels), epochs=2)
    for name, values in inputs.items():
        np.testing.assert_array_equal(values, copies[0][name])
    np.testing.assert_array_equal(labels, copies[1])


def test_without_training_rows_it_says_so():
    inputs, labels = blobs(5)
    with pytest.raises(ValueError, match="No rows to train on"):
        training.fit_mlp(small(), {"text": inputs["text"][:0]}, labels[:0], validation=(inputs, labels))


@pytest.mark.parametrize(("epochs", "batch_size"), [(0, 8), (-1, 8), (3, 0)])
def test_impossible_numbers_are_told(epochs, batch_size):
    inputs, labels = blobs(5)
    options = {"validation": (inputs, labels), "epochs": epochs, "batch_size": batch_size}
    with pytest.raises(ValueError, match=f"epochs is {epochs} and batch_size {batch_size}; expected at least 1"):
        training.fit_mlp(small(), inputs, labels, **options)


# --- Settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [0, 10, 100_000])
@pytest.mark.parametrize("blocks", [["text"], ["audio"], ["audio", "image", "text"]])
def test_settings_over_dense_features_are_the_classic_ones(n_rows, blocks):
    build, fit = training.settings(n_rows, dict.fromkeys(blocks, np.ones((4, 7))), n_classes=3)
    assert build == {
        "hidden": [100, 50], "activations": ["relu", "relu"], "dropout": 0.0, "learning_rate": 0.001,
    }  # fmt: skip
    assert fit == {"epochs": 10, "batch_size": 32, "label_smoothing": 0.0, "falling": False}


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "epochs"),
    [
        (600, 32, 11),  # 9 rows a step, but 32 are the fewest; 200 steps are 10.7 epochs
        (1_000, 32, 6),  # 15 rows a step; 6.4 epochs
        (4_000, 64, 3),  # 60 rows a step are nearest to 2^6
        (10_000, 128, 3),  # 150 are nearest to 2^7; 200 steps are 2.6 epochs, but 3 are the fewest
        (33_590, 512, 3),  # 504 rows a step; 3.05 epochs
        (180_000, 512, 3),  # 2700 rows a step, but 512 are the most
    ],
)
@pytest.mark.parametrize("blocks", [["text_ngrams", "text_weights"], ["audio", "text", "text_ngrams", "text_weights"]])
def test_settings_over_ngrams_by_hand(n_rows, batch_size, epochs, blocks):
    build, fit = training.settings(n_rows, dict.fromkeys(blocks, np.ones((4, 80))), n_classes=3)
    assert build.pop("learning_rate") == pytest.approx(0.006 * (batch_size / 512) ** 0.5)
    assert build == {"hidden": [64], "activations": ["relu"], "dropout": 0.3}
    assert fit == {"epochs": epochs, "batch_size": batch_size, "label_smoothing": 0.1, "falling": True}


@pytest.mark.parametrize(
    ("n_ngrams", "epochs"),
    [
        ([80, 0, 160, 30], 3),  # 67.5 a text are short; 200 steps of 128 rows are 2.6 epochs, 3 the fewest
        ([160, 100, 100, 120], 4),  # 120 are one and a half times 80: 4.5, to even
        ([160, 160, 160, 168], 6),
        ([256, 240, 250, 254], 9),  # three times 80 and more
        ([900, 900, 900, 900], 9),
    ],
)
def test_long_texts_are_learnt_longer(n_ngrams, epochs):
    weights = (np.arange(900) < np.array(n_ngrams)[:, None]) * 0.5
    features = {"text_ngrams": np.zeros((4, 900), int), "text_weights": weights}
    assert training.settings(10_000, features, n_classes=3)[1]["epochs"] == epochs
    assert training.settings(10_000, features, n_classes=2)[1]["epochs"] == 3
    build = training.settings(10_000, features, n_classes=3)[0]
    assert (build["hidden"], build["dropout"]) == (([128], 0.5) if np.mean(n_ngrams) > 160 else ([64], 0.3))
    assert training.settings(10_000, features, n_classes=2)[0]["hidden"] == [64]


DENSE = {"text": np.ones((4, 7))}
BAG = {**DENSE, "text_ngrams": np.ones((4, 80), int), "text_weights": np.ones((4, 80))}


@pytest.mark.parametrize("blocks", [DENSE, BAG], ids=["dense", "bag"])
def test_what_is_given_goes_before(blocks):
    given = {"hidden": [7, 6, 5], "learning_rate": 0.5, "optimizer": "sgd", "n_ngrams": 9, "dropout": 0.9}
    fits = {"epochs": 77, "batch_size": 3, "label_smoothing": 0.4, "falling": True}
    build, fit = training.settings(1000, blocks, n_classes=3, **given, **fits)
    assert build == {**given, "activations": ["relu"] * 3}
    assert fit == fits
    own = training.settings(1000, blocks, n_classes=3, hidden=[7], activations=["tanh"])[0]
    assert (own["hidden"], own["activations"]) == ([7], ["tanh"])


@pytest.mark.parametrize("blocks", [DENSE, BAG], ids=["dense", "bag"])
def test_what_is_0_or_empty_is_left_to_the_settings(blocks):
    empty = {"hidden": [], "activations": [], "epochs": 0, "batch_size": 0, "learning_rate": 0, "optimizer": ""}
    assert training.settings(500, blocks, n_classes=3, **empty) == training.settings(500, blocks, n_classes=3)


@pytest.mark.parametrize("data", [blobs, with_bag], ids=["dense", "bag"])
def test_settings_are_what_the_two_functions_take(data):
    inputs, labels = data(90)
    sizes = {name: values.shape[1] for name, values in inputs.items()}
    build, fit = training.settings(90, inputs, n_classes=3, n_ngrams=30, learning_rate=0.01)
    network = layers.build_mlp(sizes, 3, **build)
    history = training.fit_mlp(network, inputs, labels, validation=(inputs, labels), **fit)
    assert 1 <= len(history) <= fit["epochs"]
    assert accuracy_score(labels, layers.predict(network, inputs).argmax(axis=1)) > 0.9
