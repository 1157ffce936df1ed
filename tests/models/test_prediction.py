"""A small bundle trained through the library; its answers by hand from its parts, and tables as people bring them."""

import csv

import numpy as np
import pandas as pd
import pytest
import soundfile
import tiny_bundle
from scipy.special import softmax

from fusebook.data import checks, features, tables
from fusebook.models.bundle import Bundle, predict_rows, predict_table, prediction_columns, write_predictions
from fusebook.models.network import model_inputs
from fusebook.models.training import fit_mlp

LABELS = tiny_bundle.LABEL_NAMES
OURS = ["predicted", "class_id", "confidence", *(f"probability_{name}" for name in LABELS)]
COLUMNS = {"text": "title", "image": "", "audio": "sound"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Models of text and sound, trained on 60 rows, and their encoders."""
    folder = tmp_path_factory.mktemp("train")
    rows, labels = tiny_bundle.make_rows(folder, 60)
    models, encoders = tiny_bundle.make_models(rows, labels)
    values, present = features.encode_rows(rows, encoders), features.present_parts(rows, list(encoders))
    for name, network in models.networks.items():
        own = features.blocks_of(values, name) if name in encoders else values
        inputs = model_inputs(own, present)
        fit_mlp(network, inputs, labels, validation=(inputs, labels), epochs=60, batch_size=8, patience=0)
    models.calibrate(values, present, labels)
    return tiny_bundle.save(folder, models, encoders), models, encoders


@pytest.fixture(scope="module")
def bundle(trained):
    return Bundle(trained[0])


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


# --- Columns ------------------------------------------------------------------------------------------


def test_columns_by_hand():
    probabilities = np.array([[0.2, 0.5, 0.3], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8]])
    made = prediction_columns(probabilities, ["b", "a", "<c>"])
    assert made.columns.tolist() == [
        "predicted", "class_id", "confidence", "probability_b", "probability_a", "probability_<c>",
    ]  # fmt: skip
    assert made["predicted"].tolist() == ["a", "b", "<c>"]
    assert made["class_id"].tolist() == [1, 0, 2]
    assert made["confidence"].tolist() == [0.5, 0.9, 0.8]
    np.testing.assert_array_equal(made.iloc[:, 3:].to_numpy(), probabilities)


@pytest.mark.parametrize("n_classes", [2, 3, 50])
def test_columns_agree_with_numpy(n_classes):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(n_classes), 200)
    names = [f"label {i}" for i in range(n_classes)]
    made = prediction_columns(probabilities, names)
    columns = made[[f"probability_{name}" for name in names]].to_numpy()
    np.testing.assert_allclose(columns.sum(axis=1), 1)
    np.testing.assert_array_equal(made["class_id"], np.argmax(columns, axis=1))
    np.testing.assert_array_equal(made["confidence"], np.max(columns, axis=1))
    assert made["predicted"].tolist() == [names[i] for i in np.argmax(columns, axis=1)]


def test_no_rows_have_all_columns():
    made = prediction_columns(np.empty((0, 3)), LABELS)
    assert made.columns.tolist() == OURS
    assert len(made) == 0


# --- Tables -------------------------------------------------------------------------------------------


def test_new_rows_of_each_class_are_recognised(bundle, tmp_path):
    classes = [2, 0, 1, 1, 2, 0]
    lines = [[tiny_bundle.WORDS[k], name] for k, name in zip(classes, sounds(tmp_path, classes), strict=True)]
    made, rejected = predict_table(bundle, write(tmp_path, lines), columns=COLUMNS)
    assert made.columns.tolist() == ["title", "sound", *OURS]
    assert made["class_id"].tolist() == classes
    assert made["predicted"].tolist() == [LABELS[k] for k in classes]
    np.testing.assert_allclose(made[OURS[3:]].sum(axis=1), 1)
    assert rejected.empty


def by_hand(trained, bundle, name, values):
    """A network's answers from Keras itself, at its temperature."""
    _, models, _ = trained
    inputs = values if isinstance(values, dict) else {name: values}
    raw = models.networks[name].predict(inputs, verbose=0).astype(np.float64)
    return softmax(np.log(np.clip(raw, 1e-9, None)) / bundle.models.temperatures[name], axis=1)


def test_probabilities_by_hand(trained, bundle, tmp_path):
    """Of the text network, of the sound network, of their mean, and of the shares in training for a part that is not there."""
    texts, names = ["bank share", "goal 芯片", "unheard", "match"], sounds(tmp_path, [0, 2, 1, 2])
    path = write(tmp_path, [[text, name] for text, name in zip(texts, names, strict=True)])
    files = [str(tmp_path / name) for name in names]
    encoders = trained[2]
    expected = {
        "text": by_hand(trained, bundle, "text", encoders["text"].transform(texts)),
        "audio": by_hand(trained, bundle, "audio", encoders["audio"].transform(files)),
    }
    expected["decision-level mean"] = (expected["text"] + expected["audio"]) / 2
    for model, probabilities in expected.items():
        made, _ = predict_table(bundle, path, columns=COLUMNS, model=model)
        np.testing.assert_allclose(made[OURS[3:]], probabilities, atol=1e-4)
    chosen, _ = predict_table(bundle, path, columns=COLUMNS)
    np.testing.assert_allclose(chosen[OURS[3:]], expected["decision-level mean"], atol=1e-4)
    silent, _ = predict_table(bundle, path, columns={"text": "title"}, model="audio")
    np.testing.assert_allclose(silent[OURS[3:]], [[0.2, 0.5, 0.3]] * 4, atol=1e-6)
    alone, _ = predict_table(bundle, path, columns={"text": "title"})
    np.testing.assert_allclose(alone[OURS[3:]], expected["text"], atol=1e-4)


def test_a_path_to_the_bundle_gives_the_same(trained, bundle, tmp_path):
    path = write(tmp_path, [["bank share", ""], ["goal", ""]])
    one, _ = predict_table(bundle, path, columns=COLUMNS)
    for folder in (trained[0], str(trained[0])):
        other, _ = predict_table(folder, str(path), columns=COLUMNS)
        pd.testing.assert_frame_equal(one, other)


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
    made, rejected = predict_table(bundle, write(tmp_path, lines), columns=COLUMNS)
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
    made, rejected = predict_table(bundle, write(tmp_path, [["", "gone.wav"], [" ", ""]]), columns=COLUMNS)
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
    made, _ = predict_table(bundle, write(tmp_path, lines, header), columns={"text": "title"})
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
    """What ``write_predictions`` wrote is a table like any other, and each round keeps the columns of the one before."""
    path = write(tmp_path, [["goal", ""], ["bank", ""]])
    for i in range(3):
        made, _ = predict_table(bundle, path, columns=COLUMNS)
        assert made.shape == (2, 2 + (i + 1) * len(OURS))
        assert made.columns.is_unique
        path = tmp_path / f"again{i}.csv"
        write_predictions(path, made)


def test_own_values_are_kept_as_they_are(bundle, tmp_path):
    """Not as they were repaired for the model."""
    values = ["007", "nan", "<b>", "=1+1", " x ", "2020-01-01", "1e5", ""]
    lines = [[" goal\x07 ", value] for value in values]
    made, _ = predict_table(bundle, write(tmp_path, lines, ("title", "id")), columns={"text": "title"})
    assert made["id"].tolist() == values
    assert made["title"].tolist() == [" goal\x07 "] * len(values)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"columns": {"text": "nowhere"}}, ValueError, "text column 'nowhere' is not in the table"),
        ({"columns": {}}, ValueError, "No column with content"),
        ({"model": "oracle"}, ValueError, "No model 'oracle' in the bundle; it has audio, "),
        ({"table": "gone.csv"}, FileNotFoundError, "No table at"),
        ({"bundle": "gone"}, FileNotFoundError, "no bundle"),
    ],
)
def test_what_can_not_be_predicted_is_told(trained, bundle, tmp_path, options, error, message):
    table = write(tmp_path, [["goal", ""]])
    given = {"bundle": bundle, "table": table, "columns": COLUMNS} | options
    given["table"] = tmp_path / given["table"]
    if given["bundle"] == "gone":
        given["bundle"] = tmp_path / "gone"
    with pytest.raises(error, match=message):
        predict_table(given.pop("bundle"), given.pop("table"), **given)


def test_checked_rows_are_predicted_as_their_table_is(bundle, tmp_path):
    names = sounds(tmp_path, [0, 1, 2])
    path = write(tmp_path, [["bank", names[0]], ["", names[1]], ["芯片", ""]])
    content, _ = tables.read_table(path)
    rows, _ = checks.check_rows(content, columns=COLUMNS, folder=tmp_path)
    for model in ("", "text", "feature-level fusion"):
        made = predict_rows(bundle, rows, model=model)
        expected, _ = predict_table(bundle, path, columns=COLUMNS, model=model)
        assert made.columns.tolist() == ["row", "text", *OURS]
        assert made["row"].tolist() == [1, 2, 3]
        assert made["text"].tolist() == ["bank", "", "芯片"]
        np.testing.assert_allclose(made[OURS[2:]], expected[OURS[2:]], atol=1e-6)


# --- The file -----------------------------------------------------------------------------------------


def test_written_predictions_read_back_the_same(tmp_path):
    texts = ["标题，一", 'say "x"', "two\nlines", "one\rtwo", "a,b;c\td", "nan", "", "😀", "=1+1"]
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), len(texts))
    made = pd.concat([pd.DataFrame({"title": texts}), prediction_columns(probabilities, LABELS)], axis=1)
    path = tmp_path / "new" / "predictions.csv"
    write_predictions(path, made)
    assert path.read_bytes()[:3] == b"\xef\xbb\xbf"  # by which spreadsheets know UTF-8
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["title", *OURS]
    assert [line[0] for line in lines] == texts
    assert [line[1] for line in lines] == made["predicted"].tolist()
    assert [int(line[2]) for line in lines] == made["class_id"].tolist()
    np.testing.assert_allclose(np.array([line[4:] for line in lines], float), probabilities, atol=5e-7)
    back, rejected = tables.read_table(path)
    assert back["title"].tolist() == texts
    assert rejected.empty


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_predictions(path, pd.DataFrame({"title": ["half \ud83d"]}, dtype=object))
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.csv"]
