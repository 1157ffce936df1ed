"""The CNN's parts against Keras and plain loops; pretrained networks from a file."""

import numpy as np
import pytest
from lazily import Lazy

cnn = Lazy("fusebook.encoders.cnn")  # it imports Keras


def test_halving_is_max_pooling():
    import keras

    pictures = np.random.default_rng(0).normal(size=(3, 8, 6, 5)).astype("float32")
    np.testing.assert_array_equal(cnn._halve(keras.ops.array(pictures)), keras.layers.MaxPooling2D()(pictures))


def seen(pictures, mirror):
    """All batches of one epoch, joined, and the labels."""
    moved = cnn._MovedPictures(pictures, np.arange(len(pictures)), mirror, random_state=0)
    batches = [moved[number] for number in range(len(moved))]
    return (np.concatenate(part) for part in zip(*batches, strict=True))


@pytest.mark.parametrize("mirror", [False, True])
def test_each_picture_is_seen_once_an_epoch_and_only_moved(mirror):
    pictures = np.random.default_rng(0).integers(0, 256, (70, 24, 16, 3), dtype=np.uint8)
    shown, labels = seen(pictures, mirror)
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


def test_the_order_changes_with_each_epoch_and_not_with_the_same_seed():
    pictures = np.zeros((100, 8, 8, 1), np.uint8)
    one, other = (cnn._MovedPictures(pictures, np.arange(100), False, 3) for _ in range(2))
    first = one[0][1].tolist()
    assert first == other[0][1].tolist()
    one.on_epoch_end()
    assert one[0][1].tolist() != first


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
