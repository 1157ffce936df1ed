"""Bundles from others: whatever is damaged or was changed is refused by name before anything is built, and nothing is run."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tiny_bundle
from lazily import Lazy

from fusebook.data.formats import manifest
from fusebook.encoders.syntax import SyntaxEncoder
from fusebook.runs import Run

room = Lazy("fusebook.models.bundle")
KERAS, TEXT, NGRAMS = "models/text.keras", "encoders/text.npz", "encoders/ngrams.npz"


@pytest.fixture(scope="module")
def rows_and_folder(tmp_path_factory):
    rows, labels = tiny_bundle.make_rows(tmp_path_factory.mktemp("sounds"))
    return rows, tiny_bundle.save(tmp_path_factory.mktemp("run"), *tiny_bundle.make_models(rows, labels))


@pytest.fixture
def bundle(rows_and_folder, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(rows_and_folder[1], tmp_path / "bundle"))


def changed_json(path, change):
    facts = json.loads(path.read_text("utf-8"))
    change(facts)
    path.write_text(json.dumps(facts), "utf-8")


def changed_arrays(path, **arrays):
    with np.load(path) as given:
        kept = dict(given)
    np.savez(path, **{name: values for name, values in (kept | arrays).items() if values is not None})


def changed_archive(path, name, change, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path) as archive:
        parts = {member: archive.read(member) for member in archive.namelist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, content in parts.items():
            archive.writestr(member, content)


def changed_weights(path, change):
    """``change`` is given the open HDF5 file of the weights."""
    import io

    import h5py

    def written(content):
        file = io.BytesIO(content)
        with h5py.File(file, "r+") as weights:
            change(weights)
        return file.getvalue()

    changed_archive(path, "model.weights.h5", written)


def test_the_manifest_says_what_is_in_the_bundle(bundle):
    said = json.loads((bundle / "manifest.json").read_text("utf-8"))
    files = {path.relative_to(bundle).as_posix(): path for path in bundle.rglob("*") if path.is_file()}
    assert set(said["files"]) == set(files) - {"manifest.json"} and said["fusebook"]
    for name, facts in said["files"].items():
        assert facts["bytes"] == files[name].stat().st_size
        assert ("arrays" in facts) == (files[name].suffix in (".npz", ".keras"))
    with np.load(bundle / TEXT) as arrays:
        expected = {name: [list(values.shape), values.dtype.str] for name, values in arrays.items()}
    assert said["files"][TEXT]["arrays"] == expected
    weights = said["files"]["models/audio.keras"]["arrays"].values()
    assert sorted(map(tuple, (shape for shape, _ in weights))) == [(3,), (6,), (6, 3), (120, 6)]


def swapped(bundle):
    facts = (bundle / "bundle.json").read_text("utf-8")
    names = facts.replace("money", "?").replace("sport", "money").replace("?", "sport")
    (bundle / "bundle.json").write_text(names, "utf-8")


def cut(bundle):
    (bundle / KERAS).write_bytes((bundle / KERAS).read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (swapped, r"bundle\.json: found the SHA-256 \w{64}; expected \w{64}, as the manifest says"),
        (cut, r"text\.keras: found [\d,]+ bytes; expected [\d,]+, as the manifest says"),
        (
            lambda bundle: (bundle / TEXT).unlink(),
            r"text\.npz: found no such file; expected the file that the manifest",
        ),
        (lambda bundle: (bundle / "more.npz").write_text("x"), r"more\.npz: found a file that is not in the manifest"),
        (lambda bundle: (bundle / "manifest.json").write_text("{}"), r"manifest\.json: found no 'fusebook'; expected"),
        (lambda bundle: (bundle / "manifest.json").write_text(""), r"manifest\.json: found JSONDecodeError"),
    ],
)
def test_what_differs_from_the_manifest_is_refused(bundle, damage, message):
    damage(bundle)
    with pytest.raises(ValueError, match=message):
        room.Bundle(bundle)


def of_facts(**values):
    return lambda bundle: changed_json(bundle / "bundle.json", lambda facts: facts.update(values))


def of_json(name, **values):
    return lambda bundle: changed_json(bundle / "encoders" / name, lambda facts: facts.update(values))


def of_arrays(name, **arrays):
    return lambda bundle: changed_arrays(bundle / name, **arrays)


def of_config(old, new):
    return lambda bundle: changed_archive(bundle / KERAS, "config.json", lambda text: text.replace(old, new))


def of_weights(change):
    return lambda bundle: changed_weights(bundle / KERAS, change)


def nan_weights(weights):
    weights["layers/dense_1/vars/1"][0] = np.nan


def missing_weights(weights):
    del weights["layers/dense_1/vars/1"]


def huge_weights(weights):
    weights.create_dataset("layers/dense/vars/9", (10**12,), "f4", chunks=(1000,))


def giant_header(bundle):
    header = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    changed_archive(bundle / TEXT, "mean.npy", lambda _: header.ljust(127) + b"\n" + bytes(8))


def compressed(bundle):
    changed_archive(bundle / TEXT, "mean.npy", lambda content: content, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (of_facts(label_names=["money", "sport", "sport"]), "bundle.json: found label_names with one twice, 'sport'"),
        (of_facts(label_names=["money", "sport"]), "expected 2 shares, one a label"),
        (of_facts(label_names=[]), "expected a name for each label"),
        (of_facts(temperatures={"audio": 0, "text": 1, "feature-level fusion": 1}), "expected one above 0.01"),
        (of_facts(temperatures={"audio": 1}), "expected finite numbers"),
        (of_facts(prior=[0.2, float("nan"), 0.3]), "the number NaN"),
        (of_facts(networks=["../../text", "audio", "text"]), "networks"),
        (of_facts(modalities=["smell"]), "modalities"),
        (of_facts(chosen="oracle"), "chosen 'oracle'"),
        (of_facts(label_sets={"text": 7}), "shares from 0 to 1"),
        (of_facts(fusions={"decision-level mean": {"rule": "magic"}}), "the rule 'decision-level mean'"),
        (of_facts(prior=None), "'prior' of type list"),
        (lambda bundle: (bundle / "bundle.json").write_text("[" * 100_000), "bundle.json: found RecursionError"),
        (of_json("text.json", parts="vectors+smell"), "text.json: found ValueError: text parts are"),
        (of_json("text.json", unknown=1), "text.json: found TypeError"),
        (of_json("ngrams.json", width_=10_000_000), "ngrams.json: found width_ 10000000; expected 1 to 20"),
        (of_json("ngrams.json", width_=10_000_000, width=10_000_000), "ngrams.json: found width_ 10000000; expected at most"),
        (of_json("ngrams.json", width_=True), "'width_' of type int"),
        (of_json("vectors.json", words=["goal"]), "vectors.json: found 1 words; expected 12, one a column"),
        (of_json("lengths.json", knots=[3, 2]), "lengths.json: found knots that don't rise"),
        (of_arrays("encoders/vectors.npz", vectors=None), "vectors.npz: found no array 'vectors'"),
        (of_arrays(TEXT, mean=np.full(7, np.nan)), "text.npz: found mean with NaN or infinity"),
        (of_arrays(TEXT, mean=np.zeros(99)), r"text.npz: found mean of shape \(99,\)"),
        (of_arrays(TEXT, mean=np.array([{}], object)), "a pickle"),
        (of_arrays("encoders/audio.npz", features=np.array("ears")), "audio.npz: found ValueError: The audio features"),
        (of_arrays("encoders/audio.npz", scale=np.zeros(120)), "expected scales above 0"),
        (of_arrays(NGRAMS, chosen=np.arange(10**4)), "ngrams.npz: found scores of shape"),
        (giant_header, "text.npz: found mean of 8 bytes; expected 8,000,000,000,000"),
        (compressed, "found compressed or encrypted parts"),
        (cut, "text.keras: found BadZipFile"),
        (of_config(b'"n_ngrams": ', b'"n_ngrams": 99999999'), "text.keras: found layers of"),
        (of_config(b'"units": 6', b'"units": 60000000'), "text.keras: found ValueError: Input 0"),
        (of_config(b'"class_name": "Dense"', b'"class_name": "Lambda"'), "text.keras: found"),
        (of_weights(nan_weights), "text.keras: found layers/dense_1/vars/1 with NaN or infinity"),
        (of_weights(missing_weights), "text.keras: found layers of"),
        (of_weights(huge_weights), "found layers/dense/vars/9 of 4,000,000,000,000 bytes"),
        (lambda bundle: shutil.copy(bundle / "models/audio.keras", bundle / KERAS), "text.keras: found inputs"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused_without_a_manifest_too(bundle, damage, message):
    damage(bundle)
    (bundle / "manifest.json").unlink()
    with pytest.raises(ValueError, match=message) as refused:
        room.Bundle(bundle)
    assert str(bundle) in str(refused.value) and "; expected " in str(refused.value)
    assert len(str(refused.value)) < 1200 and "\n" not in str(refused.value)


def test_a_manifest_written_anew_hides_nothing(bundle):
    of_weights(nan_weights)(bundle)
    (bundle / "manifest.json").unlink()
    with pytest.raises(ValueError, match="with NaN"):
        manifest.write_manifest(bundle)


def test_a_pipeline_by_its_folder_is_loaded_from_an_own_run_alone(rows_and_folder, bundle, monkeypatch):
    """No line of it runs: spaCy is not even asked."""
    folder = bundle.parent / "pipeline"
    folder.mkdir()
    encoder = SyntaxEncoder(str(folder))
    for name in (str(folder), "no_such_package", "../pipeline", ""):
        encoder.pipeline = name
        with pytest.raises(ValueError, match="expected the name of an installed package"):
            encoder.check_installed(bundle / "encoders" / "syntax.json")
    encoder.pipeline = "numpy"
    encoder.check_installed(bundle / "encoders" / "syntax.json")
    asked, syntax = [], SyntaxEncoder(str(folder))
    monkeypatch.setattr(SyntaxEncoder, "check_installed", lambda self, path: asked.append(path.name))
    load = room.Encoders.load

    def with_syntax(folder, parts):
        made = load(folder, parts)
        made["text"].syntax_ = syntax
        return made

    monkeypatch.setattr(room.Encoders, "load", with_syntax)
    room.Bundle(bundle)
    assert asked == ["syntax.json"]
    room.Bundle(Run(bundle.parent))
    assert asked == ["syntax.json"]


def test_answers_that_are_no_numbers_are_refused(rows_and_folder, bundle):
    def far_too_large(weights):
        for name in ("embedding_bag", "dense_1"):
            weights[f"layers/{name}/vars/0"][:] = 3e38

    changed_weights(bundle / KERAS, far_too_large)
    (bundle / "manifest.json").unlink()
    with pytest.raises(ValueError, match="found answers of 'text' that are no numbers"):
        room.Bundle(bundle).predict(rows_and_folder[0], ["text"])
