"""Predictions: what is right, which rows and models, who could answer, and a round trip through a run."""

import numpy as np
import pandas as pd
import pytest

from fusebook.data.predictions import Predictions
from fusebook.runs import Run

TEXT = np.array([[0.7, 0.3], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])
SOUND = TEXT[:, ::-1]


def made():
    """Four rows of two labels, the last without a sound."""
    columns = {"text": list("abcd"), "audio": ["x", "x", "x", ""], "image": [""] * 4}
    columns |= {"split": "test", "label": ["no", "no", "yes", "yes"]}
    values = {"text": TEXT, "audio": SOUND, "majority": np.tile([1.0, 0.0], (4, 1))}
    return Predictions.of(values, [0, 0, 1, 1], groups=[0, 0, 1, 2], label_names=["no", "yes"], **columns)


def test_what_is_predicted_and_right():
    predictions = made()
    assert predictions.predicted("text").tolist() == [0, 1, 0, 0]
    assert predictions.right("text").tolist() == [True, False, False, False]
    assert predictions.n_rows == 4 and predictions.labels.tolist() == [0, 0, 1, 1]
    assert predictions.groups.tolist() == [0, 0, 1, 2]


def test_parts_are_models_of_their_own_and_rows_tell_who_can_answer():
    predictions = made()
    assert predictions.parts == ["audio", "text"]
    assert {part: bools.tolist() for part, bools in predictions.present.items()} == {
        "audio": [True, True, True, False], "text": [True] * 4,
    }  # fmt: skip
    plain = Predictions.of({"audio": SOUND}, [0, 0, 1, 1])
    assert plain.present["audio"].all() and plain.groups is None and plain.label_names == ["0", "1"]


def test_some_models():
    predictions = made()
    assert list(predictions.only(["majority", "gone", "text"])) == ["majority", "text"]
    more = predictions | {"new": TEXT, "text": SOUND}
    assert list(more) == ["text", "audio", "majority", "new"]
    np.testing.assert_array_equal(more["text"], SOUND)
    np.testing.assert_array_equal(predictions["text"], TEXT)
    assert more.groups.tolist() == predictions.groups.tolist()


@pytest.mark.parametrize("rows", [[2, 0], [True, False, True, False], []])
def test_some_rows(rows):
    rows = np.array(rows, int) if not rows or not isinstance(rows[0], bool) else np.array(rows)
    some, places = made().chosen(rows), np.arange(4)[rows]
    np.testing.assert_array_equal(some["text"], TEXT[places])
    assert some.rows["text"].tolist() == np.array(list("abcd"))[places].tolist()
    assert some.labels.tolist() == np.array([0, 0, 1, 1])[places].tolist()
    assert some.rows.index.tolist() == list(range(len(places)))


def test_an_unknown_model_is_told():
    assert made().known("text") == "text"
    with pytest.raises(
        ValueError, match="No model 'gate' among the predictions; expected one of text, audio, majority"
    ):
        made().known("gate")


@pytest.fixture
def run(tmp_path):
    """What two splits left in a run; rows.parquet has its rows in another order."""
    run, tables = Run(tmp_path), []
    for start, split in ((10, "validation"), (20, "test")):
        predictions = made()
        predictions.rows["row"], predictions.rows["split"] = np.arange(start, start + 4), split
        tables.append(predictions.table())
    run.write("predictions.parquet", pd.concat(tables))
    rows = pd.DataFrame({"row": [*range(10, 14), *range(20, 24)], "label": ["no", "no", "yes", "yes"] * 2})
    rows = rows.assign(group=rows["row"] // 2, text="t", image="", audio=["x", "x", "x", ""] * 2)
    run.write("rows.parquet", rows.sample(frac=1, random_state=0))
    return run


@pytest.mark.parametrize(("split", "start"), [("validation", 10), ("test", 20)])
def test_it_comes_back_from_a_run(run, split, start):
    loaded = Predictions.load(run, split)
    assert list(loaded) == ["text", "audio", "majority"] and loaded.label_names == ["no", "yes"]
    for name, values in made().items():
        np.testing.assert_array_equal(loaded[name], values)
    assert loaded.rows["row"].tolist() == list(range(start, start + 4))
    assert loaded.groups.tolist() == [start // 2, start // 2, start // 2 + 1, start // 2 + 1]
    assert loaded.labels.tolist() == [0, 0, 1, 1] and not loaded.present["audio"][-1]


def test_a_split_that_nobody_was_asked_about_has_no_models(run):
    nothing = Predictions.load(run, "train")
    assert dict(nothing) == {} and nothing.n_rows == 0 and nothing.label_names == ["no", "yes"]


def test_the_table_is_long_with_a_column_a_class():
    table = made().table()
    assert list(table) == ["row", "split", "label", "class_id", "fold", "model", "p0", "p1"]
    assert table["model"].tolist() == [name for name in ("text", "audio", "majority") for _ in range(4)]
    np.testing.assert_array_equal(table.loc[table["model"] == "audio", ["p0", "p1"]], SOUND)
