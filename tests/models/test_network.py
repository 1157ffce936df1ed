"""Network against its own pieces called by hand, and by the habits that scikit-learn's models have."""

import numpy as np
import pandas as pd
import pytest
from lazily import Lazy
from sklearn.metrics import accuracy_score
from tiny_networks import CLOSE, blobs, with_bag

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features

layers, training = Lazy("fusebook.models.layers"), Lazy("fusebook.models.training")
calibration, network = Lazy("fusebook.models.calibration"), Lazy("fusebook.models.network")


def dataset(parts=("text",), n_rows=90, seed=0):
    """Rows of three classes in three splits; each part tells the class, and lacks in some rows where there are several."""
    rng = np.random.default_rng(seed)
    points, labels = blobs(n_rows, seed=seed, spread=2.0)
    present = {part: rng.random(n_rows) < (1.0 if len(parts) == 1 else 0.8) for part in parts}
    blocks = {part: np.where(has[:, None], points["text"], 0).astype(np.float32) for part, has in present.items()}
    return labelled(labels, Features(blocks, present))


def labelled(labels, features):
    n_rows = len(labels)
    split = np.random.default_rng(1).permutation(np.resize(["train", "train", "validation", "test"], n_rows))
    rows = pd.DataFrame({"row": np.arange(n_rows), "split": split, "class_id": labels, "group": np.arange(n_rows)})
    return Dataset(rows, ["a", "b", "c"], features)


@pytest.fixture(scope="module")
def data():
    return dataset()


@pytest.fixture(scope="module")
def fitted(data):
    return network.Network(hidden=[6], learning_rate=0.02, epochs=4, batch_size=8, random_state=3).fit(data)


def test_it_is_build_fit_and_predict_called_by_hand(data, fitted):
    model = layers.build_mlp({"text": 4}, 3, hidden=[6], activations=["relu"], learning_rate=0.02, random_state=3)
    watched = data.validation.features.blocks, data.validation.labels
    history = training.fit_mlp(
        model, data.train.features.blocks, data.train.labels, validation=watched, epochs=4, batch_size=8
    )
    pd.testing.assert_frame_equal(fitted.history_, history)
    wanted = layers.predict(model, data.test.features.blocks)
    np.testing.assert_array_equal(fitted.predict_raw(data.test), wanted)


def test_it_has_scikit_learns_habits(data):
    """Settings are kept as they are given, fit returns the object and may be called again, what is learnt ends in _."""
    made = network.Network(hidden=[6], epochs=2, batch_size=8)
    assert not [name for name in vars(made) if name.endswith("_")]
    assert made.fit(data) is made
    assert made.calibrate(data.validation) is made
    first = made.fit(data).predict(data.test)
    assert made.temperature_ == 1.0, "fitted again, it is as new"
    np.testing.assert_array_equal(made.fit(data).predict(data.test), first)
    assert made.parts_ == ["text"] and made.seconds_ > 0 and made.given == {"hidden": [6], "epochs": 2, "batch_size": 8}


def test_it_learns_and_answers_with_probabilities(data):
    made = network.Network(learning_rate=0.01).fit(data).calibrate(data.validation)
    values = made.predict(data.test)
    assert values.shape == (len(data.test), 3)
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-9)
    assert accuracy_score(data.test.labels, values.argmax(axis=1)) > 0.8


def test_what_is_left_open_follows_rows_and_features():
    """As ``settings`` says; what is given goes before."""
    inputs, labels = with_bag(120)
    bag = np.zeros((120, 30))
    data = labelled(labels, Features(inputs, {"text": np.ones(120, bool)}, bag))
    made = network.Network(epochs=1, hidden=[], activations=[], learning_rate=0.0).fit(data)
    build, fit = training.settings(60, inputs, n_classes=3, epochs=1)
    assert made.plan_ == build | fit and made.plan_["hidden"] == [64]
    assert len(made.history_) == 1
    assert made.keras_.get_layer("bag").n_ngrams == 30


def test_the_temperature_is_that_of_the_rows_that_it_can_read(data, fitted):
    watched = data.validation
    raw = fitted.predict_raw(watched)
    before = fitted.temperature_
    fitted.calibrate(watched)
    assert fitted.temperature_ == calibration.fit_temperature(raw, watched.labels) != before
    np.testing.assert_allclose(fitted.predict(watched), calibration.calibrate(raw, fitted.temperature_), atol=CLOSE)
    hidden = watched.with_features(watched.features.without(["text"]))
    assert fitted.calibrate(hidden).temperature_ == calibration.fit_temperature(raw, watched.labels), (
        "no row: as it was"
    )


def test_several_parts_are_joined_and_modality_dropout_is_passed_on():
    data = dataset(("audio", "text"))
    made = network.Network(modality_dropout=0.4, hidden=[5], epochs=1).fit(data)
    assert made.parts_ == ["audio", "text"]
    assert made.keras_.get_layer("modality_dropout").rate == 0.4
    either = data.features.present["audio"] | data.features.present["text"]
    np.testing.assert_array_equal(made.reads(data), either)
    wanted = layers.predict(made.keras_, data.features.inputs)
    np.testing.assert_array_equal(made.predict_raw(data), wanted)


def test_a_network_of_one_part_reads_it_alone(fitted):
    data = dataset(("audio", "text"))
    wanted = layers.predict(fitted.keras_, {"text": data.features.blocks["text"]})
    np.testing.assert_array_equal(fitted.predict_raw(data), wanted)
    np.testing.assert_array_equal(fitted.reads(data), data.features.present["text"])


def test_no_rows_give_no_answers_and_no_training_rows_are_told(data, fitted):
    assert fitted.predict(data[np.arange(0)]).shape == (0, 3)
    with pytest.raises(ValueError, match="No rows to train on"):
        network.Network().fit(data.test)


def test_an_unknown_option_is_named(data):
    with pytest.raises(TypeError, match="epoch_count"):
        network.Network(epoch_count=3).fit(data)
