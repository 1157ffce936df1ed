"""The CNN's parts against Keras and plain loops; pretrained networks from a file."""

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from lazily import Lazy

cnn = Lazy("fusebook.encoders.cnn")  # it imports Keras


def test_halving_is_max_pooling():
    import keras

    pictures = np.random.default_rng(0).normal(size=(3, 8, 6, 5)).astype("float32")
    np.testing.assert_array_equal(cnn._halve(keras.ops.array(pictures)), keras.layers.MaxPooling2D()(pictures))


def seen(pictures, mirror, n_epochs=1):
    """The pictures of each epoch as training sees them, and their row numbers."""
    moves = cnn._Moves(pictures, mirror, random_state=0)
    for batches in moves.epochs(n_epochs):
        chosen, corners, turned, counts = map(np.concatenate, zip(*batches, strict=True))
        moved = [
            np.asarray(cnn._cut(moves.padded[row], corner, way, pictures.shape[1:]))
            for row, corner, way in zip(chosen[counts == 1], corners[counts == 1], turned[counts == 1], strict=True)
        ]
        yield np.stack(moved), chosen[counts == 1]


@pytest.mark.parametrize("mirror", [False, True])
def test_each_picture_is_seen_once_an_epoch_and_only_moved(mirror):
    pictures = np.random.default_rng(0).integers(0, 256, (70, 24, 16, 3), dtype=np.uint8)
    ((shown, labels),) = seen(pictures, mirror)
    assert sorted(labels) == list(range(70))
    mirrored, places = 0, set()
    for picture, label in zip(shown, labels, strict=True):
        original = np.pad(pictures[label], [(2, 2), (1, 1), (0, 0)], mode="edge")
        turned = (picture, picture[:, ::-1])
        found = [
            (way, down, right)
            for way in range(2)
            for down in range(5)
            for right in range(3)
            if (original[down : down + 24, right : right + 16] == turned[way]).all()
        ]
        assert len(found) == 1
        mirrored += found[0][0]
        places.add(found[0][1:])
    assert len(places) == 15  # all shifts occur
    assert (20 < mirrored < 50) if mirror else mirrored == 0


def test_the_order_changes_with_each_epoch():
    (_, first), (_, second) = seen(np.zeros((100, 8, 8, 1), np.uint8), False, n_epochs=2)
    assert sorted(first) == sorted(second) and first.tolist() != second.tolist()


# --- Training -----------------------------------------------------------------------------------------


def by_keras(pictures, labels, watched, epochs, mirror, random_state):
    """What ``fit_cnn`` shall do, by Keras's own ``fit`` over pictures that NumPy moves."""
    import keras

    class Moved(keras.utils.PyDataset):
        def __init__(self):
            super().__init__()
            self.margins = [max(1, side // 12) for side in pictures.shape[1:3]]
            edges = [(0, 0), *((margin, margin) for margin in self.margins), (0, 0)]
            self.padded, self.random = np.pad(pictures, edges, mode="edge"), np.random.default_rng(random_state)
            self.on_epoch_end()

        def __len__(self):
            return -(-len(labels) // 64)

        def on_epoch_end(self):
            self.order = self.random.permutation(len(labels))

        def __getitem__(self, number):
            chosen = self.order[number * 64 :][:64]
            corners = [self.random.integers(2 * margin + 1, size=len(chosen)) for margin in self.margins]
            turned = self.random.random(len(chosen)) < 0.5 if mirror else np.zeros(len(chosen), bool)
            moved = []
            for row, down, right, way in zip(chosen, *corners, turned, strict=True):
                part = self.padded[row, down : down + pictures.shape[1], right : right + pictures.shape[2]]
                moved.append(part[:, ::-1] if way else part)
            return np.stack(moved), labels[chosen]

    keras.utils.set_random_seed(random_state)
    network = cnn.build_cnn(pictures.shape[1:], int(labels.max()) + 1)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stopping = keras.callbacks.EarlyStopping(
        "val_loss" if watched else "loss", patience=cnn.PATIENCE, restore_best_weights=True
    )
    history = network.fit(Moved(), epochs=epochs, validation_data=watched, callbacks=[stopping], verbose=0).history
    return network, history


def some_pictures(n_pictures, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n_pictures)
    return rng.integers(0, 100, (n_pictures, 16, 16, 1), dtype=np.uint8) + (60 * labels[:, None, None, None]).astype(
        np.uint8
    ), labels


@pytest.mark.parametrize(("n_watched", "mirror"), [(70, True), (0, False)])
def test_a_cnn_is_trained_as_keras_trains_it(n_watched, mirror, monkeypatch):
    """Two whole batches and a short one. Of a change by rounding Adam makes up to a step where gradients are small."""
    monkeypatch.setattr(cnn, "PATIENCE", 1)
    (pictures, labels), watched = some_pictures(140), some_pictures(n_watched, seed=1)
    options = {"epochs": 3, "mirror": mirror, "random_state": 3}
    network, history = cnn.fit_cnn(pictures, labels, validation=watched, **options)
    other, expected = by_keras(pictures, labels, watched if n_watched else None, **options)
    assert sorted(history) == sorted(expected) and all(map(len, history.values()))
    for name, values in history.items():
        np.testing.assert_allclose(values, expected[name], atol=1e-4)
    for made, wanted in zip(network.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(made, wanted, atol=2e-3)
    assert history["loss"][-1] < history["loss"][0] - 0.01, "else the case shows nothing"


def test_tables_of_nearly_one_size_share_the_step_that_was_compiled():
    pictures, labels = some_pictures(66)
    nobody, options = (pictures[:0], labels[:0]), {"epochs": 1, "mirror": False, "random_state": 1}
    made = [cnn.fit_cnn(pictures[:n], labels[:n], validation=nobody, **options)[0] for n in (66, 65, 66)]
    step, _ = cnn._trainer((16, 16, 1), 3)
    compiled = step._cache_size()
    cnn.fit_cnn(pictures[1:], labels[1:], validation=nobody, **options)
    assert step._cache_size() == compiled
    for first, again in zip(made[0].get_weights(), made[2].get_weights(), strict=True):
        np.testing.assert_array_equal(first, again)


# --- Answers ------------------------------------------------------------------------------------------


def test_hidden_units_are_the_layer_before_the_classes():
    network = cnn.build_cnn((16, 8, 1), 3)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 8, 1), dtype=np.uint8)
    made = cnn.hidden_units(network, pictures)
    assert made.shape == (5, 64)
    kernel, bias = network.layers[-1].get_weights()
    scores = made @ kernel + bias
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network.predict(pictures, verbose=0), shares, atol=1e-5)
    assert cnn.hidden_units(network, pictures[:0]).shape == (0, 64)


def test_how_many_pictures_are_asked_at_once_does_not_matter():
    network = cnn.build_cnn((8, 8, 1), 2)
    pictures = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1), dtype=np.uint8)
    whole = cnn.hidden_units(network, pictures)
    assert whole.shape == (300, 64)
    for n_pictures in (1, 3, 128, 129):
        made = cnn.hidden_units(network, pictures[:n_pictures])
        np.testing.assert_allclose(made, whole[:n_pictures], atol=1e-5)


def dense(activation="relu", name=None, seed=0):
    import keras

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,), name="text")
    passed = keras.layers.Dense(3, activation=activation, name=name)(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(passed))


def test_networks_are_alike_where_all_but_weights_and_names_is_the_same():
    same = cnn.architecture(dense())
    assert same == cnn.architecture(dense(seed=1)) == cnn.architecture(dense(name="other"))
    assert same != cnn.architecture(dense("tanh"))
    # A layer that is called as an activation is: only the name of the layer goes.
    assert cnn.architecture(dense("tanh", name="tanh")) != cnn.architecture(dense("relu", name="relu"))


def test_what_an_optimiser_does_is_told_but_for_its_rate():
    import keras

    made = []
    for rule in (keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.2), keras.optimizers.Adam(0.1, beta_1=0.5)):
        network = dense()
        network.compile(rule, "categorical_crossentropy")
        made.append(cnn.architecture(network))
    assert made[0] == made[1] != made[2] and made[0] != cnn.architecture(dense())


def test_networks_that_are_alike_answer_by_one_program_with_their_own_weights():
    asked = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    one, other = dense(seed=1), dense(seed=2)
    for network in (one, other):
        np.testing.assert_allclose(cnn.ask(network, asked, 64), np.asarray(network(asked)), atol=1e-6)
    assert cnn._PROGRAMS[one] is cnn._PROGRAMS[other]
    one.set_weights(other.get_weights())
    np.testing.assert_array_equal(cnn.ask(one, asked, 64), cnn.ask(other, asked, 64))


def test_a_hollow_copy_holds_no_weights_and_draws_nothing():
    network = dense()
    drawn = random.getstate()
    empty = cnn.hollow(network)
    assert random.getstate() == drawn
    assert all(variable.value.is_deleted() for variable in empty.variables)
    assert not any(variable.value.is_deleted() for variable in network.variables)


def test_two_threads_may_ask_one_network():
    """Keras's own ``predict`` takes the weights out of a network while it runs."""
    network, asked = dense(), np.random.default_rng(0).normal(size=(100, 1, 4)).astype(np.float32)
    expected = [cnn.ask(network, rows, 64) for rows in asked]
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda _: [cnn.ask(network, rows, 64) for rows in asked], range(2)))
    for made in both:
        np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize(("n", "size"), [(1, 1), (16, 16), (17, 18), (33, 36), (655, 704), (656, 704), (1024, 1024)])
def test_roomy_sizes(n, size):
    assert cnn.roomy(n) == size


def test_roomy_sizes_are_few_and_at_most_an_eighth_larger():
    sizes = np.array([cnn.roomy(n) for n in range(1, 4097)])
    larger = sizes / np.arange(1, 4097)
    assert larger.min() == 1 and larger.max() <= 1.125 and len(set(sizes[1024:])) == 16


# --- Pretrained networks ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_backbone():
    """The smallest network of Keras, as it is born: no weights are fetched."""
    import keras

    keras.utils.set_random_seed(1)
    return keras.applications.MobileNetV3Small(include_top=False, weights=None, pooling="avg", input_shape=(32, 32, 3))


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)


def test_weights_from_a_path(small_backbone, tmp_path, no_network):
    small_backbone.save_weights(tmp_path / "a.weights.h5")
    loaded = cnn.load_backbone("MobileNetV3Small", size=32, weights=str(tmp_path / "a.weights.h5"))
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    expected = small_backbone.predict(pictures.astype("float32"), verbose=0)
    assert expected.std() > 0
    np.testing.assert_allclose(cnn.hidden_units(loaded, pictures), expected, atol=1e-5)


def test_weights_from_the_cache(small_backbone, tmp_path, no_network, monkeypatch):
    """Keras's own cache holds files of the older form, which ``save`` writes, too."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5").touch()
    small_backbone.save(tmp_path / "models" / "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5")
    loaded = cnn.load_backbone("MobileNetV3Small", size=32)
    for ours, theirs in zip(loaded.get_weights(), small_backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


CACHE_NAMES = {  # as Keras names the files of networks without their classes
    "MobileNet": "mobilenet_1_0_224_tf_no_top.h5",
    "MobileNetV2": "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    "MobileNetV3Small": "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
    "MobileNetV3Large": "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
    "ResNet50": "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "ResNet50V2": "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "EfficientNetB0": "efficientnetb0_notop.h5",
    "EfficientNetV2B0": "efficientnetv2-b0_notop.h5",
    "EfficientNetV2S": "efficientnetv2-s_notop.h5",
    "ConvNeXtTiny": "convnext_tiny_notop.h5",
    "DenseNet121": "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "InceptionV3": "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "InceptionResNetV2": "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "NASNetMobile": "nasnet_mobile_no_top.h5",
    "VGG16": "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "Xception": "xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
}


@pytest.mark.parametrize("name", CACHE_NAMES)
def test_the_file_of_each_network_is_found_among_all(tmp_path, monkeypatch, name):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    for file in [*CACHE_NAMES.values(), "resnet50_weights_tf_dim_ordering_tf_kernels.h5", "vgg16.h5"]:
        (tmp_path / "models" / file).touch()
    assert cnn._cached_weights(name).name == CACHE_NAMES[name]


def test_no_weights_are_told_and_nothing_is_fetched(tmp_path, no_network, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"No weights of MobileNetV2 .* \(there is nothing\)\. Put Keras's file"
    ):
        cnn.load_backbone("MobileNetV2", size=32)
    with pytest.raises(FileNotFoundError, match=r"No weights at .*a\.h5\. Pass the path"):
        cnn.load_backbone("MobileNetV2", size=32, weights=str(tmp_path / "a.h5"))


def test_weights_of_another_network_and_garbage_are_told(small_backbone, tmp_path, no_network):
    small_backbone.save_weights(tmp_path / "small.weights.h5")
    (tmp_path / "garbage.h5").write_bytes(b"no weights")
    for name in ("small.weights.h5", "garbage.h5"):
        with pytest.raises(ValueError, match=rf"{name} does not hold the weights of MobileNetV2"):
            cnn.load_backbone("MobileNetV2", size=32, weights=str(tmp_path / name))


def test_unknown_networks_and_too_small_pictures_are_told():
    with pytest.raises(ValueError, match=r"Keras knows no network 'MobileNetV9'; expected one of .*MobileNetV2"):
        cnn.load_backbone("MobileNetV9", size=32)
    with pytest.raises(ValueError, match=r"MobileNetV2 takes no pictures of 16 pixels a side"):
        cnn.load_backbone("MobileNetV2", size=16, weights=__file__)


@pytest.mark.parametrize(("name", "low", "high"), [("MobileNetV2", -1, 1), ("MobileNetV3Small", 0, 255)])
def test_pictures_are_scaled_as_the_network_was_trained(name, low, high):
    shown = cnn.prepare(name, np.array([[[[0, 0, 0], [255, 255, 255]]]], np.uint8))
    assert (shown.min(), shown.max()) == (low, high)
