"""The MLP: its layers and outputs against NumPy and SciPy, its file against strangers. Training has its own tests."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from fusebook import model as models
from fusebook import training

keras = models.keras  # imported through fusebook, which chooses Keras's backend


def relu(values):
    return np.maximum(values, 0)


def dense(network, name):
    """A layer's weights and bias in float64."""
    return [np.asarray(part, np.float64) for part in network.get_layer(name).get_weights()]


def dense_layers(network):
    return [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]


# --- Building -----------------------------------------------------------------------------------------


def test_one_modality_has_the_layers_asked_for():
    network = models.build_mlp({"text": 4}, 2, hidden=[5, 3], activations=["sigmoid", "tanh"])
    layers = dense_layers(network)
    assert [layer.units for layer in layers] == [5, 3, 2]
    assert [layer.activation.__name__ for layer in layers] == ["sigmoid", "tanh", "softmax"]
    assert network.count_params() == (4 * 5 + 5) + (5 * 3 + 3) + (3 * 2 + 2)
    assert {name: part.shape for name, part in network.input.items()} == {"text": (None, 4)}
    assert network.output_shape == (None, 2)


def test_several_modalities_are_projected_and_joined():
    network = models.build_mlp({"text": 4, "audio": 2}, 3, hidden=[5], activations=["relu"])
    projections, joined = (2 * 5 + 5) + (4 * 5 + 5), (10 * 5 + 5) + (5 * 3 + 3)
    assert network.count_params() == projections + joined
    sizes = {name: part.shape[1] for name, part in network.input.items()}
    assert sizes == {"audio": 2, "text": 4, "present": 2}
    assert list(sizes) == ["audio", "text", "present"], "keys sorted, whatever order they came in"


def test_one_modality_computes_what_numpy_computes():
    network = models.build_mlp({"text": 4}, 3, hidden=[6, 5], activations=["sigmoid", "relu"])
    features = np.random.default_rng(0).normal(size=(1500, 4)).astype(np.float32)  # more than one batch
    (w1, b1), (w2, b2), (w3, b3) = [dense(network, layer.name) for layer in dense_layers(network)]
    expected = softmax(relu(expit(features @ w1 + b1) @ w2 + b2) @ w3 + b3, axis=1)
    made = models.predict(network, {"text": features})
    np.testing.assert_allclose(made, expected, atol=1e-5)
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
    np.testing.assert_allclose(
        models.predict(network, models.model_inputs(features, present)), expected, atol=1e-5
    )


@pytest.fixture(scope="module")
def joint():
    """A network over two modalities, and rows of which some lack one or both."""
    rng = np.random.default_rng(1)
    features = {
        name: rng.normal(size=(40, size)).astype(np.float32) for name, size in (("text", 4), ("audio", 2))
    }
    present = {name: rng.random(40) < 0.6 for name in features}
    network = models.build_mlp({"text": 4, "audio": 2}, 3, hidden=[6], activations=["relu"])
    return network, features, present


def test_the_inputs_come_in_key_order(joint):
    _, features, present = joint
    made = models.model_inputs(features, present)
    assert list(made) == ["audio", "text", "present"] and made["present"].dtype == np.float32
    np.testing.assert_array_equal(made["present"], np.column_stack([present["audio"], present["text"]]))
    assert list(models.model_inputs({"text": features["text"]}, present)) == ["text"]


def test_a_missing_part_has_no_influence(joint):
    network, features, present = joint
    other = {
        name: np.where(present[name][:, None], values, values * -7 + 3) for name, values in features.items()
    }
    before = models.predict(network, models.model_inputs(features, present))
    after = models.predict(network, models.model_inputs(other, present))
    np.testing.assert_array_equal(before, after)
    everything = {name: np.ones(40, bool) for name in features}
    assert np.abs(models.predict(network, models.model_inputs(other, everything)) - before).max() > 0.01


def test_no_rows_give_no_predictions(joint):
    network, features, present = joint
    inputs = models.model_inputs(
        {n: v[:0] for n, v in features.items()}, {n: v[:0] for n, v in present.items()}
    )
    assert models.predict(network, inputs).shape == (0, 3)


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
        models.build_mlp(sizes, 2, **wrong)


@pytest.mark.parametrize(
    ("name", "expected", "momentum"),
    [("sgd", "SGD", 0.9), ("SGD", "SGD", 0.9), ("adam", "Adam", None), ("rmsprop", "RMSprop", 0.0)],
)
def test_optimizers_get_their_settings(name, expected, momentum):
    optimizer = models.build_mlp({"text": 3}, 2, optimizer=name, learning_rate=0.25).optimizer
    assert float(optimizer.learning_rate.numpy()) == 0.25
    assert type(optimizer).__name__ == expected and getattr(optimizer, "momentum", None) == momentum


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
    made = np.asarray(models.ModalityDropout(rate)(present, training=True))
    np.testing.assert_array_equal(made, kept_by_hand(present, drawn, rate))


@pytest.mark.parametrize("n_parts", [1, 2, 3])
@pytest.mark.parametrize("rate", [0.2, 0.7])
def test_modality_dropout_switches_off_the_share_it_says_and_never_all(rate, n_parts):
    """One of n parts is off where its number is under the rate r and not the highest: r - r^n / n."""
    present = np.zeros((20_000, 4), np.float32)
    present[:, :n_parts] = 1
    made = np.asarray(models.ModalityDropout(rate)(present, training=True))
    assert set(np.unique(made)) <= {0.0, 1.0}
    assert made[:, :n_parts].sum(axis=1).min() == 1, "a row's last part stays"
    assert made[:, n_parts:].max() == 0, "what a row lacks is never switched on"
    expected = rate - rate**n_parts / n_parts
    np.testing.assert_allclose(1 - made[:, :n_parts].mean(axis=0), expected, atol=0.02)


def test_modality_dropout_is_off_when_predicting_and_draws_anew_when_training(joint):
    _, features, present = joint
    layers = {"hidden": [6], "activations": ["relu"]}
    with_, without = (
        models.build_mlp({"text": 4, "audio": 2}, 3, modality_dropout=rate, **layers) for rate in (0.5, 0.0)
    )
    with_.set_weights(without.get_weights())
    inputs = models.model_inputs(features, present)
    np.testing.assert_array_equal(models.predict(with_, inputs), models.predict(without, inputs))
    first, second = (np.asarray(with_(inputs, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 0.01
    np.testing.assert_array_equal(without(inputs, training=True), without(inputs, training=False))


def test_modality_dropout_is_drawn_in_each_step_of_training(joint):
    """At a learning rate of 0 nothing but the parts switched off tells the losses of two epochs apart."""
    _, features, present = joint
    inputs, labels = models.model_inputs(features, present), np.arange(40) % 3
    layers = {"hidden": [6], "activations": ["relu"], "optimizer": "sgd", "learning_rate": 0.0}
    losses = {}
    for rate in (0.0, 0.5):
        network = models.build_mlp({"text": 4, "audio": 2}, 3, modality_dropout=rate, **layers)
        history = training.fit_mlp(network, inputs, labels, validation=(inputs, labels), epochs=2)
        losses[rate] = history["loss"].to_numpy()
        assert history["val_loss"].nunique() == 1, "watching switches nothing off"
    assert losses[0.0][0] == pytest.approx(losses[0.0][1], abs=1e-6)
    assert abs(losses[0.5][0] - losses[0.5][1]) > 1e-4


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_a_wrong_rate_of_modality_dropout_is_named(rate):
    with pytest.raises(ValueError, match=f"modality dropout is {rate}; expected a share from 0 to under 1"):
        models.build_mlp({"text": 4, "audio": 2}, 3, modality_dropout=rate)


def test_a_network_with_modality_dropout_is_saved_and_read_in_safe_mode(joint, tmp_path):
    _, features, present = joint
    network = models.build_mlp({"text": 4, "audio": 2}, 3, modality_dropout=0.4)
    models.save_model(network, tmp_path / "both.keras")
    read = models.load_model(tmp_path / "both.keras")
    assert read.get_layer("modality_dropout").rate == 0.4
    inputs = models.model_inputs(features, present)
    np.testing.assert_array_equal(models.predict(read, inputs), models.predict(network, inputs))


# --- Saving -------------------------------------------------------------------------------------------


def test_a_saved_network_predicts_the_same(joint, tmp_path):
    network, features, present = joint
    inputs = models.model_inputs(features, present)
    models.save_model(network, tmp_path / "new" / "both.keras")
    read = models.load_model(tmp_path / "new" / "both.keras")
    np.testing.assert_array_equal(models.predict(read, inputs), models.predict(network, inputs))
    assert [path.name for path in tmp_path.rglob("*.keras")] == ["both.keras"], "nothing half-written is left"


def test_a_strangers_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mark, path = tmp_path / "mark", tmp_path / "stranger.keras"
    inputs = keras.Input((2,), name="text")
    evil = keras.layers.Lambda(lambda x: (__import__("pathlib").Path("mark").touch(), x)[1])
    keras.Model(inputs, evil(inputs)).save(path)
    mark.unlink()  # building the layer ran it
    with pytest.raises(ValueError, match="Lambda"):
        models.load_model(path)
    assert not mark.exists()
    keras.saving.load_model(path, compile=False, safe_mode=False)
    assert mark.exists(), "else the file was harmless and shows nothing"
