"""The MLP: its layers and outputs against NumPy and SciPy, its file against strangers. Training has its own tests."""

import numpy as np
import pytest
from lazily import Lazy
from scipy.sparse import coo_array
from scipy.special import expit, softmax
from tiny_networks import CLOSE

from fusebook.data.features import Features

keras, jax = Lazy("keras"), Lazy("jax")
layers, training = Lazy("fusebook.models.layers"), Lazy("fusebook.models.training")


def inputs_of(features, present):
    return Features(features, present).inputs


def relu(values):
    return np.maximum(values, 0)


def dense(network, name):
    """A layer's weights and bias in float64."""
    return [np.asarray(part, np.float64) for part in network.get_layer(name).get_weights()]


def dense_layers(network):
    return [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]


# --- Building -----------------------------------------------------------------------------------------


def test_one_modality_has_the_layers_asked_for():
    network = layers.build_mlp({"text": 4}, 2, hidden=[5, 3], activations=["sigmoid", "tanh"])
    found = dense_layers(network)
    assert [layer.units for layer in found] == [5, 3, 2]
    assert [layer.activation.__name__ for layer in found] == ["sigmoid", "tanh", "softmax"]
    assert network.count_params() == (4 * 5 + 5) + (5 * 3 + 3) + (3 * 2 + 2)
    assert {name: part.shape for name, part in network.input.items()} == {"text": (None, 4)}
    assert network.output_shape == (None, 2)


def test_several_modalities_are_projected_and_joined():
    network = layers.build_mlp({"text": 4, "audio": 2}, 3, hidden=[5], activations=["relu"])
    projections, joined = (2 * 5 + 5) + (4 * 5 + 5), (10 * 5 + 5) + (5 * 3 + 3)
    assert network.count_params() == projections + joined
    sizes = {name: part.shape[1] for name, part in network.input.items()}
    assert sizes == {"audio": 2, "text": 4, "present": 2}
    assert list(sizes) == ["audio", "text", "present"], "keys sorted, whatever order they came in"


def test_one_modality_computes_what_numpy_computes():
    network = layers.build_mlp({"text": 4}, 3, hidden=[6, 5], activations=["sigmoid", "relu"])
    features = np.random.default_rng(0).normal(size=(1500, 4)).astype(np.float32)  # more than one batch
    (w1, b1), (w2, b2), (w3, b3) = [dense(network, layer.name) for layer in dense_layers(network)]
    expected = softmax(relu(expit(features @ w1 + b1) @ w2 + b2) @ w3 + b3, axis=1)
    made = layers.predict(network, {"text": features})
    np.testing.assert_allclose(made, expected, atol=CLOSE)
    assert made.dtype == np.float64
    np.testing.assert_allclose(made.sum(axis=1), 1, atol=1e-12)


def test_several_modalities_compute_what_numpy_computes(joint):
    network, features, present = joint
    parts = []
    for name in ("audio", "text"):
        weights, bias = dense(network, f"project_{name}")
        parts.append(relu(features[name] @ weights + bias) * present[name][:, None])
    (w1, b1), (w2, b2) = [dense(network, layer.name) for layer in dense_layers(network)[-2:]]
    expected = softmax(relu(np.hstack(parts) @ w1 + b1) @ w2 + b2, axis=1)
    np.testing.assert_allclose(layers.predict(network, inputs_of(features, present)), expected, atol=CLOSE)


@pytest.fixture(scope="module")
def joint():
    """A network over two modalities, and rows of which some lack one or both."""
    rng = np.random.default_rng(1)
    features = {name: rng.normal(size=(40, size)).astype(np.float32) for name, size in (("text", 4), ("audio", 2))}
    present = {name: rng.random(40) < 0.6 for name in features}
    network = layers.build_mlp({"text": 4, "audio": 2}, 3, hidden=[6], activations=["relu"])
    return network, features, present


def test_the_inputs_come_in_key_order(joint):
    _, features, present = joint
    made = inputs_of(features, present)
    assert list(made) == ["audio", "text", "present"] and made["present"].dtype == np.float32
    np.testing.assert_array_equal(made["present"], np.column_stack([present["audio"], present["text"]]))
    assert list(inputs_of({"text": features["text"]}, {"text": present["text"]})) == ["text"]


def test_a_missing_part_has_no_influence(joint):
    network, features, present = joint
    other = {name: np.where(present[name][:, None], values, values * -7 + 3) for name, values in features.items()}
    before = layers.predict(network, inputs_of(features, present))
    after = layers.predict(network, inputs_of(other, present))
    np.testing.assert_array_equal(before, after)
    everything = {name: np.ones(40, bool) for name in features}
    assert np.abs(layers.predict(network, inputs_of(other, everything)) - before).max() > 0.01


def test_few_programs_are_compiled_however_many_rows_are_asked(joint, monkeypatch):
    _, features, present = joint
    traced, call = [], keras.layers.Concatenate.call
    monkeypatch.setattr(keras.layers.Concatenate, "call", lambda layer, inputs: traced.append(1) or call(layer, inputs))
    network = layers.build_mlp({"text": 4, "audio": 2}, 3, hidden=[9], activations=["tanh"])
    inputs = inputs_of(features, present)
    many = {name: np.tile(values, (600, 1))[:1500] for name, values in inputs.items()}
    whole = np.asarray(network(many, training=False))
    for n_rows in range(1, 70, 3):
        made = layers.predict(network, {name: values[:n_rows] for name, values in many.items()})
        np.testing.assert_allclose(made, whole[:n_rows], atol=CLOSE)
    n_traced = len(traced)
    assert 1 < n_traced <= 12, "1 here; 1, 2, 4, … 128 there, and what Keras asks of itself"
    alike = layers.build_mlp({"text": 4, "audio": 2}, 3, hidden=[9], activations=["tanh"], random_state=7)
    built = len(traced)
    made = layers.predict(alike, {name: values[:61] for name, values in many.items()})
    assert len(traced) == built, "another that is built alike needs none"
    expected = np.asarray(alike({name: values[:61] for name, values in many.items()}, training=False))
    np.testing.assert_allclose(made, expected, atol=CLOSE)
    np.testing.assert_allclose(layers.predict(network, many), whole, atol=CLOSE)


def test_no_rows_give_no_predictions(joint):
    network, features, present = joint
    inputs = inputs_of({n: v[:0] for n, v in features.items()}, {n: v[:0] for n, v in present.items()})
    assert layers.predict(network, inputs).shape == (0, 3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hidden": [5, 3], "activations": ["relu"]}, "hidden has 2 layers and activations 1; expected one"),
        ({"hidden": [], "activations": []}, "hidden has 0 layers"),
        ({"activations": ["relu", "rleu"]}, "'rleu'; expected a name that Keras knows, such as relu"),
        ({"optimizer": "adamm"}, "'adamm'; expected a name that Keras knows, such as adam"),
    ],
)
@pytest.mark.parametrize("sizes", [{"text": 3}, {"text": 3, "audio": 2}])
def test_wrong_settings_are_named(wrong, said, sizes):
    with pytest.raises(ValueError, match=said):
        layers.build_mlp(sizes, 2, **wrong)


@pytest.mark.parametrize(
    ("name", "expected", "momentum"),
    [("sgd", "SGD", 0.9), ("SGD", "SGD", 0.9), ("adam", "Adam", None), ("rmsprop", "RMSprop", 0.0)],
)
def test_optimizers_get_their_settings(name, expected, momentum):
    optimizer = layers.build_mlp({"text": 3}, 2, optimizer=name, learning_rate=0.25).optimizer
    assert float(optimizer.learning_rate.numpy()) == 0.25
    assert type(optimizer).__name__ == expected and getattr(optimizer, "momentum", None) == momentum


# --- N-grams ------------------------------------------------------------------------------------------

BLOCKS = {"text": 4, "text_ngrams": 7, "text_weights": 7}
BAG = {"text_ngrams": 7, "text_weights": 7}
N_NGRAMS = 40


def bags(n_rows, width=7, seed=0):
    """The blocks of a bag (an n-gram may come twice, and rows are filled up), and the sparse matrix that they stand for."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, N_NGRAMS, (n_rows, width)).astype(np.int32)
    weights = rng.random((n_rows, width)).astype(np.float32)
    filled_up = np.arange(width) >= rng.integers(0, width + 1, n_rows)[:, None]
    numbers[filled_up], weights[filled_up] = 0, 0
    rows = np.repeat(np.arange(n_rows), width)
    matrix = coo_array((weights.ravel(), (rows, numbers.ravel())), (n_rows, N_NGRAMS)).tocsr()
    return {"text_ngrams": numbers, "text_weights": weights}, matrix


def bag_layer(units=5, seed=0):
    """A layer with random weights, also in its bias."""
    layer = layers.EmbeddingBag(N_NGRAMS, units)
    layer.build([(None, 7), (None, 7)])
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=(N_NGRAMS, units)), rng.normal(size=units)])
    return layer


def test_a_bag_is_a_sparse_matrix_product():
    blocks, matrix = bags(60)
    layer = bag_layer()
    table, bias = (np.asarray(part) for part in layer.get_weights())
    made = layer(list(blocks.values()))
    np.testing.assert_allclose(made, matrix @ table + bias, atol=CLOSE)
    assert tuple(made.shape) == (60, 5) == layer.compute_output_shape([(60, 7), (60, 7)])
    assert (matrix.sum(axis=1) == 0).any(), "else no row is empty"


def test_its_gradient_is_that_of_a_dense_layer_over_the_whole_bag():
    """Of a loss that is not linear; so that an n-gram that comes twice in a row, and column 0, have to be right."""
    blocks, matrix = bags(60)
    layer, whole = bag_layer(), keras.layers.Dense(5)
    whole.build((None, N_NGRAMS))
    weights = [jax.numpy.asarray(part) for part in layer.get_weights()]

    def loss(weights, layer, inputs):
        made, _ = layer.stateless_call(weights, [], inputs)
        return jax.numpy.tanh(made).sum() + (made**2).mean()

    ours = jax.grad(loss)(weights, layer, list(blocks.values()))
    expected = jax.grad(loss)(weights, whole, matrix.toarray())
    for got, wanted in zip(ours, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=CLOSE)
    unseen = np.setdiff1d(np.arange(N_NGRAMS), matrix.indices)
    assert not np.asarray(ours[0])[unseen].any()


def test_the_network_is_small_at_first_and_the_same_with_the_same_seed():
    one, same, other = (layers.build_mlp(BAG, 3, n_ngrams=N_NGRAMS, random_state=seed) for seed in (1, 1, 2))
    tables = [np.asarray(network.get_layer("bag").table) for network in (one, same, other)]
    assert tables[0].shape == (N_NGRAMS, 100) and 0.04 < np.abs(tables[0]).max() <= 0.05
    np.testing.assert_array_equal(tables[0], tables[1])
    assert np.abs(tables[0] - tables[2]).max() > 0.01


def sums_of_text(network, inputs, matrix):
    """What the text's first layer adds up, by SciPy: over its bag, and over the dense numbers where it reads them."""
    (bag,) = [layer for layer in network.layers if isinstance(layer, layers.EmbeddingBag)]
    table, bias = dense(network, bag.name)
    beside = [layer.name for layer in dense_layers(network) if not layer.use_bias]
    assert len(beside) == ("text" in inputs)
    return matrix @ table + bias + sum(inputs["text"] @ dense(network, name)[0] for name in beside)


@pytest.mark.parametrize("sizes", [BAG, BLOCKS], ids=["bag alone", "bag and dense"])
def test_text_alone_computes_what_scipy_computes(sizes):
    inputs, matrix = bags(1500)  # more than one batch
    if "text" in sizes:
        inputs["text"] = np.random.default_rng(1).normal(size=(1500, 4)).astype(np.float32)
    network = layers.build_mlp(sizes, 3, hidden=[6, 5], activations=["tanh", "relu"], n_ngrams=N_NGRAMS)
    (w2, b2), (w3, b3) = [dense(network, layer.name) for layer in dense_layers(network)[-2:]]
    hidden = np.tanh(sums_of_text(network, inputs, matrix))
    expected = softmax(relu(hidden @ w2 + b2) @ w3 + b3, axis=1)
    inputs = inputs_of(inputs, {"text": np.ones(1500, bool)})
    assert list(inputs) == sorted(sizes)
    np.testing.assert_allclose(layers.predict(network, inputs), expected, atol=CLOSE)


@pytest.fixture(scope="module")
def three():
    """A network over sound, picture, and text with its bag; rows of which some lack parts; the matrix of the bag."""
    rng = np.random.default_rng(2)
    blocks, matrix = bags(50)
    sizes = {**BLOCKS, "image": 3, "audio": 2}
    features = {n: rng.normal(size=(50, size)).astype(np.float32) for n, size in sizes.items() if n not in BAG}
    present = {name: rng.random(50) < 0.6 for name in ("audio", "image", "text")}
    network = layers.build_mlp(sizes, 3, hidden=[6], activations=["relu"], n_ngrams=N_NGRAMS)
    return network, features | blocks, present, matrix


def test_three_modalities_compute_what_scipy_computes(three):
    network, features, present, matrix = three
    parts = []
    for name in ("audio", "image"):
        weights, bias = dense(network, f"project_{name}")
        parts.append(features[name] @ weights + bias)
    parts.append(sums_of_text(network, features, matrix))
    names = ("audio", "image", "text")
    joined = [relu(sums) * present[name][:, None] for name, sums in zip(names, parts, strict=True)]
    (w1, b1), (w2, b2) = dense(network, dense_layers(network)[-2].name), dense(network, "class")
    expected = softmax(relu(np.hstack(joined) @ w1 + b1) @ w2 + b2, axis=1)
    inputs = inputs_of(features, present)
    assert list(inputs) == ["audio", "image", "text", "text_ngrams", "text_weights", "present"]
    np.testing.assert_allclose(layers.predict(network, inputs), expected, atol=CLOSE)


def test_a_missing_text_has_no_influence(three):
    network, features, present, _ = three
    other, gone = bags(50, seed=9)[0] | {"text": features["text"] * -7 + 3}, ~present["text"]
    changed = features | {n: np.where(gone[:, None], values, features[n]) for n, values in other.items()}
    before, after = (layers.predict(network, inputs_of(made, present)) for made in (features, changed))
    np.testing.assert_array_equal(before, after)
    there = present | {"text": np.ones(50, bool)}
    seen = [layers.predict(network, inputs_of(made, there))[gone] for made in (features, changed)]
    assert np.abs(seen[0] - seen[1]).max() > 0.001, "else the text has no influence at all"


@pytest.mark.parametrize("sizes", [BAG, {**BLOCKS, "audio": 2}])
def test_a_bag_without_its_columns_is_told(sizes):
    with pytest.raises(ValueError, match="n_ngrams is 0; expected the columns of the bag"):
        layers.build_mlp(sizes, 3)


def test_a_network_with_a_bag_is_saved_and_read_in_safe_mode(three, tmp_path):
    network, features, present, _ = three
    layers.save_model(network, tmp_path / "three.keras")
    read = layers.load_model(tmp_path / "three.keras")
    layer = read.get_layer("project_text_bag")
    assert (layer.n_ngrams, layer.units) == (N_NGRAMS, 6)
    inputs = inputs_of(features, present)
    np.testing.assert_array_equal(layers.predict(read, inputs), layers.predict(network, inputs))


def test_a_trained_network_is_saved_without_the_optimisers_memory(tmp_path):
    """Adam keeps two numbers for each weight: with them the file would be three times as long."""
    inputs, _ = bags(20)
    network = layers.build_mlp(BAG, 3, hidden=[64], activations=["relu"], n_ngrams=2000)
    layers.save_model(network, tmp_path / "new.keras")
    training.fit_mlp(network, inputs, np.arange(20) % 3, validation=(inputs, np.arange(20) % 3), epochs=2)
    layers.save_model(network, tmp_path / "trained.keras")
    sizes = [(tmp_path / name).stat().st_size for name in ("new.keras", "trained.keras")]
    assert sizes[1] < 1.1 * sizes[0]
    read = layers.load_model(tmp_path / "trained.keras")
    np.testing.assert_array_equal(layers.predict(read, inputs), layers.predict(network, inputs))


# --- Modality dropout ---------------------------------------------------------------------------------


def kept_by_hand(present, drawn, rate):
    """Row by row: a part stays where its number is at least ``rate``, or is the highest among the row's parts."""
    made = np.zeros_like(present)
    for i, row in enumerate(present):
        there = np.flatnonzero(row)
        for part in there:
            made[i, part] = drawn[i, part] >= rate or drawn[i, part] == drawn[i, there].max()
    return made


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
def test_modality_dropout_is_what_numpy_does_with_the_same_numbers(rate, monkeypatch):
    rng = np.random.default_rng(5)
    present = (rng.random((500, 3)) < 0.6).astype(np.float32)
    drawn = rng.random((500, 3)).astype(np.float32)
    monkeypatch.setattr(keras.random, "uniform", lambda shape, seed: drawn)
    made = np.asarray(layers.ModalityDropout(rate)(present, training=True))
    np.testing.assert_array_equal(made, kept_by_hand(present, drawn, rate))


@pytest.mark.parametrize("n_parts", [1, 2, 3])
@pytest.mark.parametrize("rate", [0.2, 0.7])
def test_modality_dropout_switches_off_the_share_it_says_and_never_all(rate, n_parts):
    """One of n parts is off where its number is under the rate r and not the highest: r - r^n / n."""
    present = np.zeros((20_000, 4), np.float32)
    present[:, :n_parts] = 1
    made = np.asarray(layers.ModalityDropout(rate)(present, training=True))
    assert set(np.unique(made)) <= {0.0, 1.0}
    assert made[:, :n_parts].sum(axis=1).min() == 1, "a row's last part stays"
    assert made[:, n_parts:].max() == 0, "what a row lacks is never switched on"
    expected = rate - rate**n_parts / n_parts
    np.testing.assert_allclose(1 - made[:, :n_parts].mean(axis=0), expected, atol=0.02)


def test_modality_dropout_is_off_when_predicting_and_draws_anew_when_training(joint):
    _, features, present = joint
    shape = {"hidden": [6], "activations": ["relu"]}
    with_, without = (
        layers.build_mlp({"text": 4, "audio": 2}, 3, modality_dropout=rate, **shape) for rate in (0.5, 0.0)
    )
    with_.set_weights(without.get_weights())
    inputs = inputs_of(features, present)
    np.testing.assert_array_equal(layers.predict(with_, inputs), layers.predict(without, inputs))
    first, second = (np.asarray(with_(inputs, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 0.01
    np.testing.assert_array_equal(without(inputs, training=True), without(inputs, training=False))


def test_modality_dropout_is_drawn_in_each_step_of_training(joint):
    """At a learning rate of 0 nothing but the parts switched off tells the losses of two epochs apart."""
    _, features, present = joint
    inputs, labels = inputs_of(features, present), np.arange(40) % 3
    shape = {"hidden": [6], "activations": ["relu"], "optimizer": "sgd", "learning_rate": 0.0}
    losses = {}
    for rate in (0.0, 0.5):
        network = layers.build_mlp({"text": 4, "audio": 2}, 3, modality_dropout=rate, **shape)
        history = training.fit_mlp(network, inputs, labels, validation=(inputs, labels), epochs=2)
        losses[rate] = history["loss"].to_numpy()
        assert history["val_loss"].nunique() == 1, "watching switches nothing off"
    assert losses[0.0][0] == pytest.approx(losses[0.0][1], abs=1e-6)
    assert abs(losses[0.5][0] - losses[0.5][1]) > 1e-4


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_a_wrong_rate_of_modality_dropout_is_named(rate):
    with pytest.raises(ValueError, match=f"modality dropout is {rate}; expected a share from 0 to under 1"):
        layers.build_mlp({"text": 4, "audio": 2}, 3, modality_dropout=rate)


def test_a_network_with_modality_dropout_is_saved_and_read_in_safe_mode(joint, tmp_path):
    _, features, present = joint
    network = layers.build_mlp({"text": 4, "audio": 2}, 3, modality_dropout=0.4)
    layers.save_model(network, tmp_path / "both.keras")
    read = layers.load_model(tmp_path / "both.keras")
    assert read.get_layer("modality_dropout").rate == 0.4
    inputs = inputs_of(features, present)
    np.testing.assert_array_equal(layers.predict(read, inputs), layers.predict(network, inputs))


# --- Saving -------------------------------------------------------------------------------------------


def test_a_saved_network_predicts_the_same(joint, tmp_path):
    network, features, present = joint
    inputs = inputs_of(features, present)
    layers.save_model(network, tmp_path / "new" / "both.keras")
    read = layers.load_model(tmp_path / "new" / "both.keras")
    np.testing.assert_array_equal(layers.predict(read, inputs), layers.predict(network, inputs))
    assert [path.name for path in tmp_path.rglob("*.keras")] == ["both.keras"], "nothing half-written is left"


def test_a_strangers_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mark, path = tmp_path / "mark", tmp_path / "stranger.keras"
    inputs = keras.Input((2,), name="text")
    evil = keras.layers.Lambda(lambda x: (__import__("pathlib").Path("mark").touch(), x)[1])
    keras.Model(inputs, evil(inputs)).save(path)
    mark.unlink()  # building the layer ran it
    with pytest.raises(ValueError, match="Lambda"):
        layers.load_model(path)
    assert not mark.exists()
    keras.saving.load_model(path, compile=False, safe_mode=False)
    assert mark.exists(), "else the file was harmless and shows nothing"
