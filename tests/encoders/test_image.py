"""The image encoder on tiny pictures: a CNN trained here, pretrained networks, and what older bundles hold."""

import numpy as np
import pytest
from PIL import Image

from fusebook.encoders import image


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory):
    """40 pictures, dark red or light blue with noise, with labels; every tenth is missing."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    labels = np.arange(44) % 2
    paths = []
    for i, label in enumerate(labels):
        colour = [[170, 50, 50], [60, 110, 220]][label]
        pixels = np.clip(colour + rng.normal(0, 25, (20, 20, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        paths.append("" if i % 11 == 3 else str(folder / f"{i}.png"))
    return paths, labels


@pytest.fixture(scope="module")
def trained(two_classes):
    paths, labels = two_classes
    encoder = image.ImageEncoder(size=16, epochs=4)
    assert encoder.fit(paths[:30], labels[:30], validation=(paths[30:], labels[30:])) is encoder
    return encoder


def test_features_tell_two_obvious_classes_apart(two_classes, trained):
    paths, labels = two_classes
    features = trained.transform(paths)
    assert features.shape == (44, 64)
    assert features.dtype == np.float32
    train, rest = np.arange(30), np.arange(30, 44)
    train, rest = ([i for i in part if paths[i]] for part in (train, rest))
    centres = np.stack([features[[i for i in train if labels[i] == k]].mean(axis=0) for k in (0, 1)])
    distances = np.linalg.norm(features[rest][:, None] - centres, axis=2)
    assert (distances.argmin(axis=1) == labels[rest]).all()


def test_training_features_are_standardised(two_classes, trained):
    features = trained.transform([path for path in two_classes[0][:30] if path])
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)
    spread = features.std(axis=0)
    dead = trained.scale_ == 1  # units that hardly move in training are centred, not blown up
    assert dead.sum() < 50
    np.testing.assert_allclose(spread[~dead], 1, atol=1e-3)
    assert (spread[dead] <= 1.1e-3).all()


def test_missing_pictures_give_zeros(two_classes, trained):
    features = trained.transform(two_classes[0])
    missing = np.array([not path for path in two_classes[0]])
    assert missing.sum() == 4
    assert (features[missing] == 0).all()
    assert (features[~missing] != 0).any(axis=1).all()
    assert (trained.transform(["", ""]) == np.zeros((2, 64))).all()
    assert trained.transform([]).shape == (0, 64)


def test_the_row_order_and_the_company_do_not_matter(two_classes, trained):
    paths = two_classes[0][:12]
    features = trained.transform(paths)
    np.testing.assert_allclose(trained.transform(paths[::-1])[::-1], features, atol=1e-4)
    np.testing.assert_allclose(trained.transform(paths[5:6]), features[5:6], atol=1e-4)


def test_save_and_load_give_the_same_features(two_classes, trained, tmp_path):
    trained.save(tmp_path / "new" / "folder")
    loaded = image.ImageEncoder.load(tmp_path / "new" / "folder")
    assert loaded.size == 16
    np.testing.assert_allclose(loaded.transform(two_classes[0]), trained.transform(two_classes[0]), atol=1e-5)


def test_the_same_seed_trains_the_same_and_validation_takes_no_part(two_classes, trained):
    paths, labels = two_classes
    again = image.ImageEncoder(size=16, epochs=4)
    again.fit(paths[:30], labels[:30], validation=(["", ""], np.array([0, 1])))  # no picture to watch
    assert "val_loss" in trained.history_
    assert "val_loss" not in again.history_
    np.testing.assert_allclose(again.history_["loss"], trained.history_["loss"], rtol=1e-3)


def test_no_training_picture_is_told(two_classes):
    paths, labels = two_classes
    with pytest.raises(ValueError, match=r"No training row has a picture\. Leave the image column out"):
        image.ImageEncoder(size=16).fit(["", ""], [0, 1], validation=(paths[:2], labels[:2]))


@pytest.mark.parametrize("size", [0, 4, 50])
def test_a_size_that_can_not_be_halved_three_times_is_refused(size):
    with pytest.raises(ValueError, match=f"The image size is {size}; expected a multiple of 8"):
        image.ImageEncoder(size=size)


def test_a_pretrained_network_saves_loads_and_leaves_missing_pictures(two_classes, tmp_path):
    import keras

    paths, labels = two_classes[0][:8], two_classes[1][:8]
    keras.utils.set_random_seed(1)
    shape = {"include_top": False, "weights": None, "input_shape": (32, 32, 3)}
    keras.applications.MobileNetV3Small(**shape).save_weights(tmp_path / "a.weights.h5")
    options = {"backbone": "MobileNetV3Small", "weights": str(tmp_path / "a.weights.h5")}
    encoder = image.ImageEncoder(32, features="backbone", **options).fit(paths, labels)
    assert encoder.history_ == {}
    made = encoder.transform(paths)
    assert made.shape == (8, 576)
    missing = np.array([not path for path in paths])
    assert (made[missing] == 0).all() and (made[~missing] != 0).any(axis=1).all()
    np.testing.assert_allclose(made.mean(axis=0), 0, atol=1e-3)
    encoder.save(tmp_path / "new")
    loaded = image.ImageEncoder.load(tmp_path / "new")
    (tmp_path / "a.weights.h5").unlink()  # a bundle needs nothing but itself
    np.testing.assert_allclose(loaded.transform(paths), made, atol=1e-4)


def test_features_that_are_no_more_are_told_with_what_to_do(tmp_path):
    """As an older version wrote them, without a network."""
    facts = {"size": 48, "features": "hog", "backbone": "MobileNetV2"}
    np.savez(tmp_path / "image.npz", mean=np.zeros(964), scale=np.ones(964), **facts)
    with pytest.raises(
        ValueError, match=r"features 'hog', gradient.*Run the notebooks again with image_features=\"cnn\""
    ):
        image.ImageEncoder.load(tmp_path)


@pytest.mark.parametrize("at_a_time", [1, 7, 1000])
def test_how_many_pictures_are_in_memory_does_not_matter(two_classes, trained, monkeypatch, at_a_time):
    expected = trained.transform(two_classes[0])
    monkeypatch.setattr(image, "_AT_A_TIME", at_a_time)
    np.testing.assert_allclose(trained.transform(two_classes[0]), expected, atol=1e-4)


def test_unknown_features_are_told():
    with pytest.raises(ValueError, match=r"The image features are 'sift'; expected one of cnn, backbone"):
        image.ImageEncoder(features="sift")
