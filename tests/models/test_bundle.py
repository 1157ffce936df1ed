"""The trained models of a run and the bundle: what goes in comes out the same, and nothing in it runs code."""

import io
import pickle
import shutil
import zipfile

import numpy as np
import pytest
import tiny_bundle
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import norm

from fusebook.data.features import blocks_of, encode_rows, present_parts, take
from fusebook.models import network
from fusebook.models.bundle import FEATURE_LEVEL, Bundle, TrainedModels

NAMES = ["audio", "text", FEATURE_LEVEL, *(f"decision-level {r}" for r in ("mean", "product", "weighted", "stacked"))]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Rows, class numbers, models and encoders."""
    rows, labels = tiny_bundle.make_rows(tmp_path_factory.mktemp("sounds"))
    return rows, labels, *tiny_bundle.make_models(rows, labels)


@pytest.fixture(scope="module")
def encoded(made):
    rows, _, _, encoders = made
    return encode_rows(rows, encoders), present_parts(rows, list(encoders))


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    return tiny_bundle.save(tmp_path_factory.mktemp("run"), *made[2:])


@pytest.fixture(scope="module")
def bundle(folder):
    return Bundle(folder)


# --- Trained models -----------------------------------------------------------------------------------


def test_every_model_predicts_every_row(made, encoded):
    rows, _, models, _ = made
    predictions = models.predict(*encoded)
    assert models.names == list(predictions) == NAMES
    for values in predictions.values():
        assert values.shape == (len(rows), 3)
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-9)


@pytest.mark.parametrize("name", ["text", "audio"])
def test_the_temperature_is_fitted_on_rows_that_have_the_part(made, encoded, name):
    _, labels, models, _ = made
    features, present = encoded
    there = present[name]
    inputs = take(blocks_of(features, name), there)
    logits = np.log(network.predict(models.networks[name], inputs))
    true = np.arange(there.sum()), labels[there]
    # The most probable temperature: log(temperature) is normal around 0 with a spread of 0.5 before any row is seen.
    best = minimize_scalar(
        lambda t: -norm(0, 0.5).logpdf(np.log(t)) - log_softmax(logits / t, axis=1)[true].sum(),
        bounds=(0.05, 20.0), method="bounded",
    ).x  # fmt: skip
    assert models.temperatures[name] == pytest.approx(best, rel=0.01)
    expected = softmax(logits / models.temperatures[name], axis=1)
    np.testing.assert_allclose(models.predict(*encoded)[name][there], expected, atol=1e-6)


def test_a_part_that_no_row_has_keeps_temperature_1(made, encoded):
    _, labels, models, _ = made
    features, present = encoded
    other = TrainedModels({"text": models.networks["text"]}, models.prior)
    other.calibrate(features, present | {"text": np.zeros(len(labels), bool)}, labels)
    assert other.temperatures == {"text": 1.0}


def test_a_row_without_a_models_parts_gets_the_class_shares(made, encoded):
    _, _, models, _ = made
    features, present = encoded
    predictions, nothing = models.predict(features, present), ~np.any(list(present.values()), axis=0)
    assert nothing.sum() == 2, "else the case shows nothing"
    for name in NAMES:
        lacking = ~present[name] if name in present else nothing
        np.testing.assert_array_equal(predictions[name][lacking], np.tile(models.prior, (lacking.sum(), 1)))


@pytest.mark.parametrize("name", NAMES)
def test_one_model_alone_answers_as_among_all(made, encoded, name):
    alone = made[2].predict(*encoded, names=[name])
    assert list(alone) == [name]
    np.testing.assert_array_equal(alone[name], made[2].predict(*encoded)[name])


def test_the_mean_is_that_of_the_single_models(made, encoded):
    predictions, (_, present) = made[2].predict(*encoded), encoded
    both = present["audio"] & present["text"]
    expected = (predictions["audio"][both] + predictions["text"][both]) / 2
    np.testing.assert_allclose(predictions["decision-level mean"][both], expected, atol=1e-9)


def test_networks_are_written_one_a_file(made, encoded, tmp_path):
    made[2].save_networks(tmp_path / "models")
    assert {path.name for path in (tmp_path / "models").iterdir()} == {f"{name}.keras" for name in NAMES[:3]}
    read = network.load_model(tmp_path / "models" / "text.keras")
    inputs = blocks_of(encoded[0], "text")
    np.testing.assert_array_equal(network.predict(read, inputs), network.predict(made[2].networks["text"], inputs))


# --- The bundle ---------------------------------------------------------------------------------------


def test_a_bundle_predicts_as_before(made, encoded, bundle):
    rows, _, models, _ = made
    before, after = models.predict(*encoded), bundle.predict_all(rows)
    assert list(after) == NAMES
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, atol=1e-6)
        np.testing.assert_array_equal(bundle.predict(rows, model=name), after[name])
    np.testing.assert_array_equal(bundle.predict(rows), after["decision-level mean"])
    assert bundle.label_names == tiny_bundle.LABEL_NAMES and bundle.modalities == ["audio", "text"]


def test_a_bundle_can_be_carried_elsewhere(made, bundle, folder, tmp_path):
    moved = Bundle(str(shutil.copytree(folder, tmp_path / "elsewhere")))
    np.testing.assert_array_equal(moved.predict(made[0]), bundle.predict(made[0]))


def contents(folder):
    """Every file below ``folder`` and every member of those that are archives: name and bytes."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    yield from ((f"{path.name}/{name}", archive.read(name)) for name in archive.namelist())


def test_there_is_no_pickle_in_it(folder):
    names, allowed = [], {".json", ".npz", ".npy", ".keras", ".h5"}
    for name, data in contents(folder):
        names.append(name)
        assert "." + name.rsplit(".", 1)[-1] in allowed, name
        assert not data.startswith(b"\x80"), f"{name} starts as a pickle does"
        with pytest.raises(Exception):  # noqa: B017 (what it raises depends on the first byte)
            pickle.loads(data)
        if name.endswith(".npy"):
            np.load(io.BytesIO(data), allow_pickle=False)
    assert {"bundle.json", "text.keras", "vectors.npz/vectors.npy", "ngrams.npz/chosen.npy"} <= set(names)


def test_loading_never_unpickles(folder, made, bundle, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a pickle was read")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    np.testing.assert_array_equal(Bundle(folder).predict(made[0]), bundle.predict(made[0]))


@pytest.mark.parametrize("part", ["audio", "text"])
def test_leaving_a_part_out_is_a_row_that_lacks_it(made, bundle, part):
    rows = made[0]
    left_out, lacking = (bundle.predict_all(rows, without=(part,)), bundle.predict_all(rows.assign(**{part: ""})))
    for name in NAMES:
        np.testing.assert_array_equal(left_out[name], lacking[name])
    for made_up, true in zip(
        bundle.encode(rows, without=(part,)), bundle.encode(rows.assign(**{part: ""})), strict=True
    ):
        assert {"audio", "text"} <= set(made_up) == set(true)
        for name in true:
            np.testing.assert_array_equal(made_up[name], true[name])
    full = bundle.predict_all(rows)
    assert all(np.abs(left_out[name] - full[name]).max() > 1e-3 for name in NAMES if name not in ("audio", "text"))


def test_leaving_all_parts_out_leaves_the_class_shares(made, bundle):
    for values in bundle.predict_all(made[0], without=("text", "audio")).values():
        np.testing.assert_array_equal(values, np.tile([0.2, 0.5, 0.3], (len(made[0]), 1)))


def test_rows_do_not_influence_each_other(made, bundle):
    rows = made[0]
    together, alone = bundle.predict_all(rows), bundle.predict_all(rows.iloc[[7]])
    for name in NAMES:
        np.testing.assert_allclose(alone[name][0], together[name][7], atol=1e-6)


@pytest.mark.parametrize("without", [("txet",), ("text", "image")])
def test_an_unknown_part_is_named(made, bundle, without):
    with pytest.raises(ValueError, match=f"reads no {without[-1]}; expected a tuple of parts among audio, text"):
        bundle.encode(made[0], without=without)


def test_an_unknown_model_is_named(made, bundle):
    with pytest.raises(ValueError, match="No model 'mean' in the bundle; it has audio, text, feature-level fusion"):
        bundle.predict(made[0], model="mean")


@pytest.mark.parametrize("content", [None, "run.json"], ids=["no folder", "another folder"])
def test_what_is_no_bundle_is_named(tmp_path, content):
    folder = tmp_path / "finished"
    if content:
        folder.mkdir()
        (folder / content).write_text("{}")
    with pytest.raises(
        FileNotFoundError, match=r"finished is no bundle: it has no bundle\.json\. Pass the bundle folder"
    ):
        Bundle(folder)


def test_a_bundle_that_could_not_be_written_leaves_the_old_one(made, folder, tmp_path):
    old = shutil.copytree(folder, tmp_path / "bundle")
    with pytest.raises(FileNotFoundError):
        made[2].save_bundle(old, {"label_names": []}, encoders=tmp_path / "not there")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert Bundle(old).label_names == tiny_bundle.LABEL_NAMES
