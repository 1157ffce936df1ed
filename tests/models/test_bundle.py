"""Models and Bundle: what goes in comes out the same, answers by hand from the parts, tables as people bring them."""

import csv
import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import tiny_bundle
from lazily import Lazy
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import norm
from sklearn.metrics import accuracy_score
from tiny_networks import CLOSE

from fusebook.data import checks, tables
from fusebook.data.dataset import Dataset
from fusebook.data.predictions import mean_interval
from fusebook.models.calibration import fit_label_sets, label_sets
from fusebook.runs import Run

layers, room = Lazy("fusebook.models.layers"), Lazy("fusebook.models.bundle")
training = Lazy("fusebook.models.training")

FEATURE_LEVEL = "feature-level fusion"
NAMES = ["audio", "text", FEATURE_LEVEL, *(f"decision-level {r}" for r in ("mean", "product", "weighted", "stacked"))]
LABELS = tiny_bundle.LABEL_NAMES
OURS = ["predicted", "class_id", "confidence", *(f"probability_{name}" for name in LABELS)]
COLUMNS = {"text": "title", "image": "", "audio": "sound"}
SPLITS = ["train", "train", "train", "validation", "test"]


def make_data(rows, labels, encoders):
    features = encoders.transform(rows, ngrams=encoders.ngrams(rows))
    return Dataset(rows.assign(class_id=labels), LABELS, features)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Rows as a data set, models whose networks are as they were born, and encoders."""
    rows, labels = tiny_bundle.make_rows(tmp_path_factory.mktemp("sounds"))
    models, encoders = tiny_bundle.make_models(rows, labels)
    return make_data(rows, labels, encoders), models, encoders


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    return tiny_bundle.save(tmp_path_factory.mktemp("run"), *made[1:])


@pytest.fixture(scope="module")
def born(folder):
    return room.Bundle(folder)


# --- Fitting ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data set of 60 rows of text and sound, models fitted on it, and the folder of their bundle."""
    folder = tmp_path_factory.mktemp("train")
    rows, labels = tiny_bundle.make_rows(folder, 60)
    encoders = tiny_bundle.make_models(rows, labels)[1]
    split = np.random.default_rng(0).permutation(np.resize(SPLITS, 60))
    data = make_data(rows.assign(split=split, group=np.arange(60)), labels, encoders)
    models = room.Models(modality_dropout=0.3, hidden=[8], epochs=60, batch_size=8, patience=0, learning_rate=0.01)
    models.fit(data)
    return data, models, tiny_bundle.save(folder, models, encoders)


@pytest.fixture(scope="module")
def bundle(trained):
    return room.Bundle(trained[2])


def test_fit_trains_a_network_a_part_and_a_joint_one(trained):
    data, models, _ = trained
    assert models.names == NAMES and models.parts == ["audio", "text"] and models.joins == NAMES[2:]
    assert {name: network.parts_ for name, network in models.items()} == {
        "audio": ["audio"], "text": ["text"], FEATURE_LEVEL: ["audio", "text"],
    }  # fmt: skip
    shares = np.bincount(data.train.labels, minlength=3) / len(data.train)
    np.testing.assert_array_equal(models.prior_, shares)
    gate = models[FEATURE_LEVEL].keras_.get_layer("modality_dropout")
    assert gate.rate == 0.3
    test = data.test
    for name, values in models.predict(test).items():
        known = models[name].reads(test) if name in models else np.any(list(test.features.present.values()), axis=0)
        assert accuracy_score(test.labels[known], values[known].argmax(axis=1)) > 0.8, name


def test_each_network_is_the_one_that_is_fitted_alone(trained):
    """On the rows that have its part, all from the same seed: the order of fitting does not matter."""
    data, models, _ = trained
    alone = Lazy("fusebook.models.network").Network(**models.recipe).fit(data.of("text"))
    np.testing.assert_array_equal(alone.predict_raw(data.test), models["text"].predict_raw(data.test))
    joint = room.Models(modality_dropout=0.3, **models.recipe).fit_joint(data)
    votes = [made.votes(data.test)[FEATURE_LEVEL] for made in (joint, models)]
    np.testing.assert_array_equal(*votes)


def test_one_part_has_no_joint_network_and_no_rules(trained):
    data = trained[0].of("text")
    models = room.Models(hidden=[4], epochs=1).fit(trained[0].of("audio"))
    assert models.fit(data) is models  # and what it learnt before is forgotten
    assert models.names == ["text"] == models.parts and models.joins == [] and models.fusions_ == {}
    assert models.weights().to_dict() == {"text": 1.0}
    assert list(models.predict(data.test)) == ["text"] == list(models.held_out(models.votes(data.validation)))


def test_a_part_that_no_training_row_has_is_told(trained):
    data = trained[0]
    hidden = data.with_features(data.features.without(["audio"]))
    with pytest.raises(ValueError, match="No rows to train on"):
        room.Models(epochs=1).fit(hidden)


def test_held_out_answers_differ_where_a_rule_learns(trained):
    data, models, _ = trained
    watched = data.validation
    own, held = models.predict(watched), models.held_out(models.votes(watched))
    assert list(held) == NAMES
    for name in NAMES[:3]:  # another temperature, never another ranking
        np.testing.assert_array_equal(held.predicted(name), own.predicted(name))
    assert np.abs(held["decision-level stacked"] - own["decision-level stacked"]).max() > 1e-4
    assert held.rows["row"].tolist() == watched.rows["row"].tolist()


def test_tables_of_what_was_trained(trained):
    data, models, _ = trained
    plans, best = models.plans(), models.best_epochs()
    assert list(plans.index) == list(best.index) == NAMES[:3] == list(models.temperatures())
    assert (plans["epochs"] == 60).all() and (best["epochs run"] == 60).all()
    for name, history in models.histories().items():
        assert best.loc[name, "validation loss"] == history["val_loss"].min()
        assert history.loc[best.loc[name, "best epoch"], "val_loss"] == history["val_loss"].min()
    assert models.weights().to_list() == models.fusions_["decision-level weighted"].weights_.tolist()
    for name, cost in models.costs(data.test).items():
        assert cost.seconds == models[name].seconds_ and cost.rows_a_second > 0
        assert 4 * models[name].keras_.count_params() < cost.n_bytes < 4 * models[name].keras_.count_params() + 3000
    assert all(np.isnan(cost.rows_a_second) for cost in models.costs(data[np.arange(0)]).values())


# --- Answers ------------------------------------------------------------------------------------------


def test_every_model_predicts_every_row(made):
    data, models, _ = made
    predictions = models.predict(data)
    assert models.names == list(predictions) == NAMES
    assert predictions.label_names == LABELS and predictions.rows["row"].tolist() == data.rows["row"].tolist()
    for values in predictions.values():
        assert values.shape == (len(data), 3)
        np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-9)


@pytest.mark.parametrize("name", ["text", "audio"])
def test_the_temperature_is_fitted_on_rows_that_have_the_part(made, name):
    data, models, _ = made
    known = data.of(name)
    logits = np.log(layers.predict(models[name].keras_, known.features.blocks))
    true = np.arange(len(known)), known.labels
    # The most probable temperature: log(temperature) is normal around 0 with a spread of 0.5 before any row is seen.
    best = minimize_scalar(
        lambda t: -norm(0, 0.5).logpdf(np.log(t)) - log_softmax(logits / t, axis=1)[true].sum(),
        bounds=(0.05, 20.0), method="bounded",
    ).x  # fmt: skip
    assert models[name].temperature_ == pytest.approx(best, rel=0.01)
    expected = softmax(logits / models[name].temperature_, axis=1)
    has = data.features.present[name]
    np.testing.assert_allclose(models.predict(data)[name][has], expected, atol=CLOSE)


def test_a_row_without_a_models_parts_gets_the_class_shares(made):
    data, models, _ = made
    predictions, present = models.predict(data), data.features.present
    nothing = ~np.any(list(present.values()), axis=0)
    assert nothing.sum() == 2, "else the case shows nothing"
    for name in NAMES:
        lacking = ~present[name] if name in present else nothing
        np.testing.assert_array_equal(predictions[name][lacking], np.tile(models.prior_, (lacking.sum(), 1)))
    everything = models.predict(data.with_features(data.features.without(["text", "audio"])))
    for values in everything.values():
        np.testing.assert_array_equal(values, np.tile([0.2, 0.5, 0.3], (len(data), 1)))


@pytest.mark.parametrize("names", [*([name] for name in NAMES), ["decision-level mean", "audio"]])
def test_some_models_answer_as_among_all(made, names):
    data, models, _ = made
    some = models.predict(data, names=names)
    assert list(some) == names
    for name in names:
        np.testing.assert_array_equal(some[name], models.predict(data)[name])


def test_the_mean_is_that_of_the_single_models(made):
    data, models, _ = made
    predictions, present = models.predict(data), data.features.present
    both = present["audio"] & present["text"]
    expected = (predictions["audio"][both] + predictions["text"][both]) / 2
    np.testing.assert_allclose(predictions["decision-level mean"][both], expected, atol=1e-9)


def test_networks_are_written_one_a_file(made, tmp_path):
    data, models, _ = made
    models.save(tmp_path / "models")
    assert {path.name for path in (tmp_path / "models").iterdir()} == {f"{name}.keras" for name in NAMES[:3]}
    read = layers.load_model(tmp_path / "models" / "text.keras")
    inputs = data.features.of("text").blocks
    np.testing.assert_array_equal(layers.predict(read, inputs), layers.predict(models["text"].keras_, inputs))


# --- The bundle ---------------------------------------------------------------------------------------


def test_a_bundle_predicts_as_before(made, born, folder):
    data, models, _ = made
    before, after = models.predict(data), born.predict(data.rows)
    assert list(after) == NAMES and born.label_names == LABELS and born.parts == ["audio", "text"]
    assert born.names == ["decision-level mean", *(name for name in NAMES if name != "decision-level mean")]
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, atol=CLOSE)
    assert born.model_name("") == born.chosen == "decision-level mean" and born.model_name("text") == "text"
    of_run = room.Bundle(Run(folder.parent)).predict(data.rows)
    np.testing.assert_array_equal(of_run["text"], after["text"])


def test_a_bundle_of_the_version_before_answers_as_it_did(tmp_path):
    """Written by the library as it was before its rooms, with what it answered to the rows of ``tiny_bundle``."""
    old = Path(tiny_bundle.__file__).parent / "old_bundle"
    answers = json.loads((old / "answers.json").read_text(encoding="utf-8"))
    rows, _ = tiny_bundle.make_rows(tmp_path)
    assert rows["text"].tolist() == answers["texts"], "else these are other rows"
    bundle = room.Bundle(old / "bundle")
    predictions = bundle.predict(rows)
    assert bundle.label_names == answers["label_names"] and list(predictions) == list(answers["probabilities"])
    for name, values in answers["probabilities"].items():
        # A temperature under 1 or a weight over 1 makes what rounding there is as much larger.
        larger = max(1, *(1 / t for t in bundle.models.temperatures().values()), *bundle.models.weights())
        np.testing.assert_allclose(predictions[name], values, atol=larger * CLOSE)


def test_a_bundle_keeps_the_label_sets_of_models_with_held_out_answers(made, tmp_path):
    data, models, encoders = made
    held = models.predict(data, ["text", "decision-level mean"])
    folder = tiny_bundle.save(tmp_path, models, encoders, held)
    bundle = room.Bundle(folder)
    least = {name: fit_label_sets(values, data.labels, held.groups) for name, values in held.items()}
    assert bundle.label_sets == pytest.approx(least) and list(least) == ["text", "decision-level mean"]
    path = write(tmp_path, [["goal", ""], ["bank share", ""]])
    for model in NAMES:
        answers = bundle.answer(path, columns=COLUMNS, model=model)
        assert ("labels_90" in answers.table) == (model in least), model
        if model in least:
            np.testing.assert_array_equal(answers.sets, label_sets(answers.probabilities, bundle.label_sets[model]))
    few = held.chosen(np.arange(8))
    assert room.Bundle(tiny_bundle.save(tmp_path / "few", models, encoders, few)).label_sets == {}


def test_a_bundle_can_be_carried_elsewhere(made, born, folder, tmp_path):
    moved = room.Bundle(str(shutil.copytree(folder, tmp_path / "elsewhere")))
    rows = made[0].rows
    for name, values in born.predict(rows).items():
        np.testing.assert_array_equal(moved.predict(rows, [name])[name], values)


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


def test_loading_never_unpickles(folder, made, born, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a pickle was read")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    again = room.Bundle(folder).predict(made[0].rows, ["text"])
    np.testing.assert_array_equal(again["text"], born.predict(made[0].rows)["text"])


@pytest.mark.parametrize("part", ["audio", "text"])
def test_leaving_a_part_out_is_a_row_that_lacks_it(made, born, part):
    rows = made[0].rows
    data = born.encode(rows)
    lacking = born.predict(rows.assign(**{part: ""}))
    left_out, full = born.models.predict(data.with_features(data.features.without([part]))), born.predict(rows)
    for name in NAMES:
        np.testing.assert_array_equal(left_out[name], lacking[name])
        assert name in ("audio", "text") or np.abs(left_out[name] - full[name]).max() > 1e-3


def test_rows_do_not_influence_each_other(made, born):
    rows = made[0].rows
    together, alone = born.predict(rows), born.predict(rows.iloc[[7]])
    for name in NAMES:
        np.testing.assert_allclose(alone[name][0], together[name][7], atol=CLOSE)


@pytest.mark.parametrize("without", [("txet",), ("text", "image")])
def test_an_unknown_part_is_named(born, without):
    with pytest.raises(ValueError, match=f"reads no {without[-1]}; expected a tuple of parts among audio, text"):
        born.check_parts(without)
    born.check_parts(("text", "audio"))


def test_an_unknown_model_is_named(born):
    with pytest.raises(ValueError, match="No model 'mean' in the bundle; it has audio, text, feature-level fusion"):
        born.model_name("mean")


@pytest.mark.parametrize("content", [None, "run.json"], ids=["no folder", "another folder"])
def test_what_is_no_bundle_is_named(tmp_path, content):
    folder = tmp_path / "finished"
    if content:
        folder.mkdir()
        (folder / content).write_text("{}")
    with pytest.raises(
        FileNotFoundError, match=r"finished is no bundle: it has no bundle\.json\. Pass the bundle folder"
    ):
        room.Bundle(folder)


def test_a_bundle_that_could_not_be_written_leaves_the_old_one(made, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "bundle")
    with pytest.raises(FileNotFoundError, match="encoders is not there yet"):
        made[1].save_bundle(Run(tmp_path), "text")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert room.Bundle(tmp_path / "bundle").chosen == "decision-level mean"


# --- Tables -------------------------------------------------------------------------------------------


def write(folder, lines, header=("title", "sound"), name="new.csv"):
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *lines])
    return folder / name


def sounds(folder, classes):
    """A tone a class, as in training; returns the file names."""
    rng = np.random.default_rng(7)
    for i, k in enumerate(classes):
        tone = np.sin(2 * np.pi * 300 * (k + 1) * np.arange(1600) / 16_000) + rng.normal(0, 0.1, 1600)
        soundfile.write(folder / f"{i}.wav", 0.5 * tone, 16_000)
    return [f"{i}.wav" for i in range(len(classes))]


def answers_of(probabilities, names, given=None, rejected=(), **options):
    """The ``Answers`` of a model that says so."""
    given = pd.DataFrame(index=range(len(probabilities))) if given is None else given
    return room.Answers(given, probabilities, pd.DataFrame({"row": rejected}), "text", names, **options)


def answered_with(probabilities, names):
    return answers_of(probabilities, names).table


def answered(bundle, table, columns=COLUMNS, model=""):
    """The answers to a table, and what of it was refused."""
    made = bundle.answer(table, columns=columns, model=model)
    return made.table, made.rejected


def test_columns_by_hand():
    probabilities = np.array([[0.2, 0.5, 0.3], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8]])
    made = answered_with(probabilities, ["b", "a", "<c>"])
    assert made.columns.tolist() == [
        "predicted", "class_id", "confidence", "probability_b", "probability_a", "probability_<c>",
    ]  # fmt: skip
    assert made["predicted"].tolist() == ["a", "b", "<c>"]
    assert made["class_id"].tolist() == [1, 0, 2]
    assert made["confidence"].tolist() == [0.5, 0.9, 0.8]
    np.testing.assert_array_equal(made.iloc[:, 3:].to_numpy(), probabilities)


def test_columns_agree_with_numpy():
    n_classes = 50
    probabilities = np.random.default_rng(0).dirichlet(np.ones(n_classes), 200)
    names = [f"label {i}" for i in range(n_classes)]
    made = answered_with(probabilities, names)
    columns = made[[f"probability_{name}" for name in names]].to_numpy()
    np.testing.assert_allclose(columns.sum(axis=1), 1)
    np.testing.assert_array_equal(made["class_id"], np.argmax(columns, axis=1))
    np.testing.assert_array_equal(made["confidence"], np.max(columns, axis=1))
    assert made["predicted"].tolist() == [names[i] for i in np.argmax(columns, axis=1)]


def test_no_rows_have_all_columns():
    made = answered_with(np.empty((0, 3)), LABELS)
    assert made.columns.tolist() == OURS
    assert len(made) == 0


def test_new_rows_of_each_class_are_recognised(bundle, tmp_path):
    classes = [2, 0, 1, 1, 2, 0]
    lines = [[tiny_bundle.WORDS[k], name] for k, name in zip(classes, sounds(tmp_path, classes), strict=True)]
    made, rejected = answered(bundle, write(tmp_path, lines))
    assert made.columns.tolist() == ["title", "sound", *OURS]
    assert made["class_id"].tolist() == classes
    assert made["predicted"].tolist() == [LABELS[k] for k in classes]
    np.testing.assert_allclose(made[OURS[3:]].sum(axis=1), 1)
    assert rejected.empty


def by_hand(bundle, name, blocks):
    """A network's answers from Keras itself, at its temperature."""
    network = bundle.models[name]
    inputs = blocks if isinstance(blocks, dict) else {name: blocks}
    raw = network.keras_.predict(inputs, verbose=0).astype(np.float64)
    return softmax(np.log(np.clip(raw, 1e-9, None)) / network.temperature_, axis=1)


def test_probabilities_by_hand(bundle, tmp_path):
    """Of the text network, of the sound network, of their mean, and of the shares in training for a part that is not there."""
    texts, names = ["bank share", "goal 芯片", "unheard", "match"], sounds(tmp_path, [0, 2, 1, 2])
    path = write(tmp_path, [[text, name] for text, name in zip(texts, names, strict=True)])
    files = [str(tmp_path / name) for name in names]
    expected = {
        "text": by_hand(bundle, "text", bundle.encoders["text"].transform(texts)),
        "audio": by_hand(bundle, "audio", bundle.encoders["audio"].transform(files)),
    }
    expected["decision-level mean"] = (expected["text"] + expected["audio"]) / 2
    for model, probabilities in (expected | {"": expected["decision-level mean"]}).items():
        made, _ = answered(bundle, path, model=model)
        np.testing.assert_allclose(made[OURS[3:]], probabilities, atol=1e-4)
    silent, _ = answered(bundle, path, columns={"text": "title"}, model="audio")
    np.testing.assert_allclose(silent[OURS[3:]], np.tile(bundle.models.prior_, (4, 1)), atol=1e-9)
    alone, _ = answered(bundle, path, columns={"text": "title"})
    np.testing.assert_allclose(alone[OURS[3:]], expected["text"], atol=1e-4)


def test_refused_rows_are_left_out_and_told(bundle, tmp_path):
    (tmp_path / "bad.wav").write_text("no sound")
    names = sounds(tmp_path, [0, 1])
    lines = [
        ["bank tax profit share", names[0]],
        ["only"],
        ["", ""],
        ["", names[1]],
        ["goal", "bad.wav"],
        ["", "gone.wav"],
        ["goal", ""],
    ]
    made, rejected = answered(bundle, write(tmp_path, lines))
    assert made["title"].tolist() == ["bank tax profit share", "", "goal", "goal"]
    assert made["sound"].tolist() == [names[0], names[1], "bad.wav", ""]
    assert made["class_id"].tolist() == [0, 1, 1, 1]
    assert made.index.tolist() == [0, 1, 2, 3]
    reasons = set(rejected[["row", "part", "reason"]].itertuples(index=False, name=None))
    assert reasons == {
        (2, "row", "FIELD_COUNT"),
        (3, "text", "TEXT_EMPTY"), (3, "row", "NO_CONTENT"),
        (4, "text", "TEXT_EMPTY"),
        (5, "audio", "AUDIO_BROKEN"),
        (6, "text", "TEXT_EMPTY"), (6, "audio", "FILE_MISSING"), (6, "row", "NO_CONTENT"),
    }  # fmt: skip


def test_a_table_of_refused_rows_has_no_predictions(bundle, tmp_path):
    made, rejected = answered(bundle, write(tmp_path, [["", "gone.wav"], [" ", ""]]))
    assert made.columns.tolist() == ["title", "sound", *OURS]
    assert len(made) == 0
    assert set(rejected["row"]) == {1, 2}


OWN = [
    ["title", "predicted"],
    ["title", "predicted", "predicted (table)"],
    ["title", "predicted (table)", "predicted"],
    ["title", "predicted", "predicted (table)", "predicted (table) (table)"],
    ["confidence", "class_id", "title", "probability_sport", "probability_unknown", "predicted"],
    ["title", "text", "row", "label", "image", "audio"],
    ["title", "", ""],
]


@pytest.mark.parametrize("header", OWN)
def test_every_own_column_is_kept_in_its_place(bundle, tmp_path, header):
    """With " (table)" behind a name that is also ours, so that no name stands twice and no value is lost."""
    lines = [[f"goal {i} {j}" for j in range(len(header))] for i in range(3)]
    made, _ = answered(bundle, write(tmp_path, lines, header), columns={"text": "title"})
    assert made.columns[len(header) :].tolist() == OURS
    assert made.iloc[:, : len(header)].to_numpy().tolist() == lines
    names = made.columns[: len(header)].tolist()
    filled = [name for name in names if name]
    assert len({*filled, *OURS}) == len(filled) + len(OURS)
    for name, given in zip(names, header, strict=True):
        assert name == given if given not in OURS else name.startswith(f"{given} (table)")
    if header == OWN[0]:
        assert names == ["title", "predicted (table)"]


def test_predictions_can_be_predicted_again(bundle, tmp_path):
    """What was saved is a table like any other, and each round keeps the columns of the one before."""
    path = write(tmp_path, [["goal", ""], ["bank", ""]])
    for i in range(3):
        answers = bundle.answer(path, columns=COLUMNS)
        assert answers.table.shape == (2, 2 + i * (len(OURS) + 2) + len(OURS))
        assert answers.table.columns.is_unique
        path = tmp_path / f"again{i}.csv"
        answers.save(path)


def test_own_values_are_kept_as_they_are(bundle, tmp_path):
    """Not as they were repaired for the model."""
    values = ["007", "nan", "<b>", "=1+1", " x ", "2020-01-01", "1e5", ""]
    lines = [[" goal\x07 ", value] for value in values]
    made, _ = answered(bundle, write(tmp_path, lines, ("title", "id")), columns={"text": "title"})
    assert made["id"].tolist() == values
    assert made["title"].tolist() == [" goal\x07 "] * len(values)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"columns": {"text": "nowhere"}}, ValueError, "text column 'nowhere' is not in the table"),
        ({"columns": {}}, ValueError, "No column with content"),
        ({"model": "oracle"}, ValueError, "No model 'oracle' in the bundle; it has audio, "),
        ({"table": "gone.csv"}, FileNotFoundError, "No table at"),
    ],
)
def test_what_can_not_be_predicted_is_told(bundle, tmp_path, options, error, message):
    given = {"table": write(tmp_path, [["goal", ""]]), "columns": COLUMNS} | options
    with pytest.raises(error, match=message):
        answered(bundle, tmp_path / given.pop("table"), **given)


def test_a_table_is_answered_as_the_bundle_predicts_its_checked_rows(bundle, tmp_path):
    names = sounds(tmp_path, [0, 1, 2])
    path = write(tmp_path, [["bank", names[0]], ["", names[1]], ["芯片", ""]])
    content, _ = tables.read_table(path)
    rows, _ = checks.check_rows(content, columns=COLUMNS, folder=tmp_path)
    for model in ("", "text", FEATURE_LEVEL):
        name = model or bundle.chosen
        expected = answered_with(bundle.predict(rows, [name])[name], LABELS)
        made = bundle.answer(path, columns=COLUMNS, model=model)
        pd.testing.assert_frame_equal(made.table[OURS], expected)
        assert made.model == name and made.counts().to_dict() == {
            label: int((made.table["predicted"] == label).sum()) for label in LABELS
        }


# --- The file -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["", "text"])
def test_without_a_new_table_the_test_rows_of_the_run_are_answered(bundle, tmp_path, model):
    rows, labels = tiny_bundle.make_rows(tmp_path, 20)
    run, split = Run(tmp_path), np.where(labels == 1, "test", "train")
    run.write("rows.parquet", rows)
    run.write("splits.parquet", rows[["row", "label"]].assign(split=split)[::-1])  # in another order
    made = bundle.answer(columns=COLUMNS, model=model, run=run)
    test, name = rows[split == "test"].reset_index(drop=True), model or bundle.chosen
    expected = answered_with(bundle.predict(test, [name])[name], LABELS)
    pd.testing.assert_frame_equal(made.table, pd.concat([test[["row", "text"]], expected], axis=1))
    assert made.rejected.empty and list(made.rejected) == ["row", "part", "reason", "detail"]
    assert [key for key, *_ in made.verdicts()] == ["predicted again", "unsure", "no label sets"]
    table = write(tmp_path, [[tiny_bundle.WORDS[0], ""], ["", ""]])
    again = bundle.answer(table, columns=COLUMNS, model=model, run=run)
    for frame, other in zip((again.table, again.rejected), answered(bundle, table, model=model), strict=True):
        pd.testing.assert_frame_equal(frame, other)
    again.save(run)
    again.save(tmp_path / "named.csv")
    assert (tmp_path / "named.csv").read_bytes() == run.path("predictions.csv").read_bytes()


def test_what_is_said_of_answers_by_hand():
    values = np.array([[0.9, 0.1, 0], [0.45, 0.3, 0.25], [0.6, 0.4, 0], [0.49, 0.3, 0.21]])
    first, second, third = answers_of(values, LABELS, rejected=[3]).verdicts()
    assert first == ("predicted", "look", {"rows": 4, "model": "text", "refused": 1})
    low, high = (100 * end for end in mean_interval(values.max(axis=1), 0.5))
    assert second == ("unsure", "look", {"confidence": f"61 % [{low:.0f}, {high:.0f}]", "unsure": 2, "rows": 4})
    assert third == ("no label sets", "note", {"model": "text"})
    first, second, _ = answers_of(values[::2], LABELS, again=True).verdicts()
    assert first == ("predicted again", "note", {"rows": 2, "model": "text", "refused": 0}) and second[1] == "note"
    sets = label_sets(values, 0.3)
    assert answers_of(values, LABELS, sets=sets).table["labels_90"].tolist() == [
        "money", "money; sport", "money; sport", "money; sport",
    ]  # fmt: skip
    said = answers_of(values, LABELS, sets=sets).verdicts()[2]
    assert said == ("label sets", "note", {"rows": 4, "one": 1, "more": 3, "most": 2})
    assert len(answers_of(values[:0], LABELS).verdicts()) == 1, "nothing is said of the confidence of no row"
    assert answers_of(values, LABELS).counts().to_dict() == dict(zip(LABELS, [4, 0, 0], strict=True))


def test_written_predictions_read_back_the_same(tmp_path):
    texts = ["标题，一", 'say "x"', "two\nlines", "one\rtwo", "a,b;c\td", "nan", "", "😀", "=1+1"]
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), len(texts))
    answers = answers_of(probabilities, LABELS, pd.DataFrame({"title": texts}))
    made, path = answers.table, tmp_path / "new" / "predictions.csv"
    answers.save(path, keep_formulas=True)
    assert path.read_bytes()[:3] == b"\xef\xbb\xbf"  # by which spreadsheets know UTF-8
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["row", "title", *OURS, "reason"]
    assert [line[1] for line in lines] == texts
    assert [line[2] for line in lines] == made["predicted"].tolist()
    assert [int(line[3]) for line in lines] == made["class_id"].tolist()
    np.testing.assert_allclose(np.array([line[5:-1] for line in lines], float), probabilities, atol=5e-7)
    back, rejected = tables.read_table(path)
    assert back["title"].tolist() == texts
    assert rejected.empty


def test_numbers_stand_without_quotes_and_texts_with_them(tmp_path):
    given = pd.DataFrame({"title": ["a", "7"]}, index=[3, 8])
    answers_of(np.array([[0.2, 0.8], [1, 0]]), ["b", "c"], given).save(tmp_path / "made.csv")
    assert (tmp_path / "made.csv").read_text("utf-8-sig").splitlines() == [
        '"row","title","predicted","class_id","confidence","probability_b","probability_c","reason"',
        '3,"a","c",1,0.8,0.2,0.8,""',
        '8,"7","b",0,1.0,1.0,0.0,""',
    ]


def test_refused_rows_are_written_in_their_place_with_the_reason(bundle, tmp_path):
    lines = [["goal", "", "-5"], ["only"], ["", "", "=1"], ["bank", "gone.wav", "x"], ["", "gone.wav", "y"]]
    answers = bundle.answer(write(tmp_path, lines, ("title", "sound", "row")), columns=COLUMNS)
    answers.save(tmp_path / "made.csv")
    made = pd.read_csv(tmp_path / "made.csv", dtype=str, keep_default_na=False)
    assert list(made) == ["row", "title", "sound", "row (table)", *OURS, "reason"]
    assert made["row"].tolist() == list("12345")
    assert made["title"].tolist() == ["goal", "", "", "bank", ""]
    assert made["row (table)"].tolist() == ["-5", "", "'=1", "x", "y"]
    assert made["reason"].tolist() == [
        "", "FIELD_COUNT", "TEXT_EMPTY; NO_CONTENT", "", "TEXT_EMPTY; FILE_MISSING; NO_CONTENT",
    ]  # fmt: skip
    there = (made[OURS] != "").to_numpy()
    assert there[[0, 3]].all() and not there[[1, 2, 4]].any()
    assert set(made["class_id"]) <= {"", "0", "1", "2"}


def test_a_table_of_refused_rows_is_written_too(bundle, tmp_path):
    bundle.answer(write(tmp_path, [["", "gone.wav"], [" ", ""]]), columns=COLUMNS).save(tmp_path / "made.csv")
    made = pd.read_csv(tmp_path / "made.csv", dtype=str, keep_default_na=False)
    assert made["row"].tolist() == ["1", "2"] and (made["reason"] != "").all() and made["title"].tolist() == ["", " "]


def test_formulas_are_made_harmless_unless_they_are_to_be_kept(tmp_path):
    formulas = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "=", "-", "+49 30 1", "-5a"]
    plain = ["-5", "+1.5", "-2,5e-3", "1+1", "a=b", "", " =1", "'=1", "-.5"]
    given = pd.DataFrame({"=title": formulas + plain})
    answers = answers_of(np.tile([0.3, 0.7], (len(given), 1)), ["a", "@b"], given)
    answers.save(tmp_path / "made.csv")
    made = pd.read_csv(tmp_path / "made.csv", dtype=str, keep_default_na=False)
    assert list(made)[1] == "'=title" and set(made["predicted"]) == {"'@b"} and list(made)[-2] == "probability_@b"
    with (tmp_path / "made.csv").open(encoding="utf-8-sig", newline="") as file:
        written = [line[1] for line in list(csv.reader(file))[1:]]
    assert written == [f"'{text}" for text in formulas] + plain
    answers.save(tmp_path / "kept.csv", keep_formulas=True)
    with (tmp_path / "kept.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [line[1] for line in list(csv.reader(file))[1:]] == formulas + plain


def test_a_part_whose_column_a_new_table_lacks_counts_as_missing(bundle, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("title\ngoal\nbank\n")
    made = bundle.answer(path, columns=COLUMNS, run=Run(tmp_path))
    pd.testing.assert_frame_equal(made.table, answered(bundle, path, {"text": "title"})[0])
    with pytest.raises(ValueError, match="audio column 'sound' is not in the table"):
        bundle.answer(path, columns=COLUMNS)
    with pytest.raises(ValueError, match="text column 'headline' is not in the table"):
        bundle.answer(path, columns={"text": "headline"}, run=Run(tmp_path))


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        answers_of(np.eye(3)[:1], LABELS, pd.DataFrame({"title": ["half \ud83d"]}, dtype=object)).save(path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.csv"]
