"""Predictions: what is right, which rows and models, who could answer, and a round trip through a run."""

import numpy as np
import pandas as pd
import pytest

from fusebook.data.predictions import Predictions, mean_interval
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


def test_the_interval_of_a_mean_holds_it_and_has_a_width():
    """On average over 400 draws of 30 skewed values; ``make bench-truth guarantees`` has more cells."""
    rng = np.random.default_rng(0)
    ends = np.array([mean_interval(rng.beta(9, 1, 30), 0.5) for _ in range(400)])
    assert 0.92 <= np.mean((ends[:, 0] <= 0.9) & (ends[:, 1] >= 0.9)) <= 0.99
    for values in ([1.0], [0.5] * 9, [0.0, 1.0], [1.0] * 50):
        low, high = mean_interval(values, 0.5)
        assert 0 <= low <= np.mean(values) <= high <= 1 and high - low > 0.005
    low, high = mean_interval(np.ones(50), 2, least=1, most=5)
    assert low == 1 < high < 1.2


def test_copies_do_not_narrow_the_interval_of_a_mean():
    values = np.random.default_rng(1).random(20)
    copied = mean_interval(np.repeat(values, 3), 0.5, groups=np.repeat(np.arange(20), 3))
    assert copied == pytest.approx(mean_interval(values, 0.5))


# --- Which answers count ------------------------------------------------------------------------------


def written(folder, folds):
    """A run with six rows; ``folds`` says who answered each line: row, split, fold."""
    run = Run(folder)
    labels = ["no", "yes"] * 3
    rows = pd.DataFrame({"row": range(6), "label": labels, "group": range(6), "text": "t", "image": "", "audio": ""})
    run.write("rows.parquet", rows)
    table = pd.DataFrame(folds, columns=["row", "split", "fold"]).assign(model="text", class_id=0, label="no")
    run.write("predictions.parquet", table.assign(p0=table["row"] + table["fold"] / 10, p1=0.0))
    return run


def test_a_cross_fitted_run_is_scored_by_folds_and_test(tmp_path):
    lines = [(2, "validation", 0), (0, "train", 2), (1, "train", 1), (2, "validation", 1), (3, "test", 0)]
    run = written(tmp_path, lines)
    for made in (run.scored(), run.unseen("text")):
        assert made.rows["row"].tolist() == [0, 1, 2, 3] and made.folds.tolist() == [2, 1, 1, 0]
        np.testing.assert_allclose(made["text"][:, 0], [0.2, 1.1, 2.1, 3])
        assert made.scored_on == "cross-fitted rows"
    assert run.predictions("validation")["text"].tolist() == [[2.0, 0.0]]
    assert run.predictions(model="text").rows["row"].tolist() == [2, 3]


def test_a_large_run_is_scored_by_its_test(tmp_path):
    run = written(tmp_path, [(2, "validation", 0), (3, "test", 0)])
    assert run.scored().rows["row"].tolist() == [3] and run.scored().scored_on == "test rows"
    assert run.unseen("text").rows["row"].tolist() == [2, 3]
    assert run.unseen("nobody").n_rows == 0


def test_rows_are_joined_for_the_models_that_answered_all():
    one, other = made(), made().only(["majority", "text"])
    joined = Predictions.joined([one, other])
    assert list(joined) == ["text", "majority"] and joined.n_rows == 8 and joined.folds.tolist() == [0] * 8
    np.testing.assert_array_equal(joined["text"][4:], other["text"])
