"""The table of rows to inspect: filters, orders, pages and thresholds, against pandas' own queries and hand-made cases."""

import re

import numpy as np
import pandas as pd
import pytest

from fusebook.data.predictions import Predictions
from fusebook.errors import corrections
from fusebook.evaluation.guarantees import coverage_table
from fusebook.inspection import listing
from fusebook.inspection.listing import Listing
from fusebook.runs import Run

LABELS = ["a", "b", "c"]
NASTY = [
    "</script><img src=x onerror=alert(1)>",
    "a.b (c) [d] *",
    "STRASSE groß",
    "\u202eright to left\u202c",
    "🎈 ballon",
]


def draw(n_rows=300, n_classes=3, seed=0):
    """Rows of three splits, predictions of two models for those that are not training rows, suspects, slices."""
    random = np.random.default_rng(seed)
    labels = [chr(97 + i) if n_classes == 3 else f"class {i:02}" for i in range(n_classes)]
    class_ids = random.integers(n_classes, size=n_rows)
    rows = pd.DataFrame({"row": np.arange(1, n_rows + 1), "label": np.array(labels)[class_ids]})
    rows = rows.assign(text=[NASTY[i % 5] + f" {i}" for i in range(n_rows)], image="", audio="")
    split = np.array(["train", "test", "validation"])[np.arange(n_rows) % 3]
    ids, predictions = rows.assign(split=split, class_id=class_ids), []
    for name in ("validation", "test"):
        some = ids[split == name]
        votes = {model: random.dirichlet(np.full(n_classes, 0.5), len(some)) for model in ("text", "fused")}
        predictions.append(Predictions(votes, some, labels))
    suspects = pd.DataFrame({"row": [1, 2, 4], "split": ["train", "test", "train"],
                             "label_probability": [0.1, 0.05, 0.3]})  # fmt: skip
    slices = pd.DataFrame({"row": [2, 3, 3], "slice": ["short; dark", "short; dark", "old"]})
    return rows, predictions, suspects, slices


@pytest.fixture
def table():
    rows, predictions, suspects, slices = draw()
    return listing.inspection_table(rows, predictions, "fused", suspects=suspects, slices=slices)


# --- The table ----------------------------------------------------------------------------------------


def test_each_line_says_what_the_model_said(table):
    rows, predictions, *_ = draw()
    assert list(table) == listing.COLUMNS and table["row"].is_monotonic_increasing
    for some in predictions:
        lines, values, ids = table.set_index("row").loc[some.rows["row"]], some["fused"], some.labels
        assert lines["predicted"].tolist() == [some.label_names[i] for i in values.argmax(axis=1)]
        np.testing.assert_allclose(lines["confidence"].astype(float), values.max(axis=1))
        given = values[np.arange(len(values)), ids]
        np.testing.assert_allclose(lines["loss"].astype(float), -np.log(given), rtol=1e-6)
        assert lines["right"].tolist() == (values.argmax(axis=1) == ids).tolist()
        assert lines["text"].tolist() == rows.set_index("row").loc[lines.index, "text"].tolist()
        assert set(lines["split"]) == set(some.rows["split"])


def test_of_the_training_rows_the_suspects_are_there_without_a_prediction(table):
    train = table[table["split"] == "train"]
    assert train["row"].tolist() == [1, 4] and (train["predicted"] == "").all()
    assert train["right"].isna().all() and train[["confidence", "loss"]].isna().all(axis=None)
    np.testing.assert_allclose(train["suspicion"], [0.9, 0.7])
    assert table.set_index("row")["suspicion"][[2, 3]].tolist() == [0.95, 0.0]


def test_slices_stand_by_their_names(table):
    assert table.set_index("row")["slices"][[2, 3, 5]].tolist() == [("short; dark",), ("short; dark", "old"), ()]


def test_without_suspects_and_slices_nothing_is_suspect():
    rows, predictions, *_ = draw()
    table = listing.inspection_table(rows, predictions, "text")
    assert table["suspicion"].isna().all() and set(table["split"]) == {"test", "validation"}
    empty = pd.DataFrame(columns=["row", "slice"])
    made = listing.inspection_table(rows, predictions, "text", slices=empty)
    pd.testing.assert_frame_equal(made, table)


def test_a_list_of_suspects_that_a_person_spoilt_does_no_harm():
    rows, predictions, *_ = draw()
    spoilt = pd.DataFrame({"row": ["2", "2", "999", "x", ""], "label_probability": ["0.2", "0.9", "0.1", "1", ""]})
    table = listing.inspection_table(rows, predictions, "text", suspects=spoilt)
    assert table.set_index("row")["suspicion"][2] == pytest.approx(0.8) and (table["suspicion"] > 0).sum() == 1


def test_where_no_label_is_suspect_none_has_suspicion(tmp_path):
    rows, predictions, suspects, _ = draw()
    suspects.head(0).assign(label="", suggested="", action="", text="").to_csv(tmp_path / "none.csv", index=False)
    listed = listing.read_suspects(tmp_path / "none.csv")
    table = listing.inspection_table(rows, predictions, "text", suspects=listed)
    assert (table["suspicion"] == 0).all() and set(table["split"]) == {"test", "validation"}


def test_an_unknown_model_is_named():
    rows, predictions, *_ = draw()
    with pytest.raises(ValueError, match="No model 'texts' among the predictions; expected one of text, fused"):
        listing.inspection_table(rows, predictions, "texts")


def test_sixty_classes():
    rows, predictions, *_ = draw(n_rows=600, n_classes=60)
    table = listing.inspection_table(rows, predictions, "fused")
    best = np.concatenate([some["fused"].argmax(axis=1) for some in predictions])
    assert set(table["predicted"]) == {predictions[0].label_names[i] for i in best}
    assert len(listing.filter_rows(table, predicted="class 59")) == (best == 59).sum()


def test_a_run_without_validation_rows_has_its_test_rows():
    rows, predictions, *_ = draw()
    none = Predictions({}, predictions[0].rows.head(0), predictions[0].label_names)
    made = listing.inspection_table(rows, [none, predictions[1]], "fused")
    pd.testing.assert_frame_equal(made, listing.inspection_table(rows, predictions[1:], "fused"))


def test_of_a_model_that_answered_test_rows_alone_the_test_rows_are_there():
    rows, (validation, test), *_ = draw()
    made = listing.inspection_table(rows, [validation, test | {"late": test["text"]}], "late")
    pd.testing.assert_frame_equal(made, listing.inspection_table(rows, [test], "text"))


# --- Filters ------------------------------------------------------------------------------------------

ASKED = [
    ({"split": "test"}, "split == 'test'"),
    ({"label": "b", "predicted": "c"}, "label == 'b' and predicted == 'c'"),
    ({"right": True}, "right == True"),
    ({"right": False, "split": "validation"}, "right == False and split == 'validation'"),
    ({"confidence": (0.5, 0.75)}, "0.5 <= confidence <= 0.75"),
    ({"confidence": (0, 1)}, "row > 0"),
    ({"confidence": (0, 0.9999999)}, "confidence <= 0.9999999"),
]


@pytest.mark.parametrize(("given", "query"), ASKED)
def test_filters_are_those_of_a_query(table, given, query):
    expected = table.query(query)
    assert len(expected) > 0
    pd.testing.assert_frame_equal(listing.filter_rows(table, **given), expected)


@pytest.mark.parametrize("name", ["short; dark", "old", "short"])
def test_a_slice_is_found_by_its_whole_name(table, name):
    found = listing.filter_rows(table, slice_name=name)
    assert found["row"].tolist() == {"short; dark": [2, 3], "old": [3], "short": []}[name]


@pytest.mark.parametrize("search", ["(c) [d] *", "a.b", "strasse GROSS", "<IMG SRC", "\u202e", "🎈", "no such", ""])
def test_what_is_searched_for_means_itself(table, search):
    found = listing.filter_rows(table, search=search)
    pattern = re.compile(re.escape(search.casefold()))
    expected = [row for row, text in zip(table["row"], table["text"], strict=True) if pattern.search(text.casefold())]
    assert found["row"].tolist() == expected and bool(expected) == (search != "no such")


# --- Order and pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rising", [True, False])
@pytest.mark.parametrize("by", listing.ORDERS)
def test_rows_without_a_value_come_last(table, by, rising):
    values = listing.sort_rows(table, by, rising=rising)[by].astype(float).tolist()
    known = [value for value in values if value == value]
    assert values[: len(known)] == sorted(known, reverse=not rising) and len(values) == len(table)


def test_rows_of_equal_suspicion_stay_in_order(table):
    rows = listing.sort_rows(table, "suspicion")["row"].tolist()
    assert rows[:3] == [2, 1, 4] and rows[3:] == sorted(rows[3:])


def test_an_unknown_order_is_named(table):
    with pytest.raises(ValueError, match="can't be sorted by 'text'; expected one of row, confidence"):
        listing.sort_rows(table, "text")


@pytest.mark.parametrize(("n_rows", "size"), [(0, 20), (1, 20), (40, 20), (41, 20), (7, 3)])
def test_pages_hold_every_row_once(table, n_rows, size, monkeypatch):
    monkeypatch.setattr(listing, "PAGE_SIZE", size)
    lines = table.head(n_rows)
    pages = [listing.page_of(lines, i) for i in range(1, listing.page_count(n_rows) + 1)]
    pd.testing.assert_frame_equal(pd.concat(pages), lines)
    assert all(len(page) == size for page in pages[:-1]) and (n_rows == 0 or len(pages[-1]))
    for number, page in ((-3, pages[0]), (99, pages[-1])):
        pd.testing.assert_frame_equal(listing.page_of(lines, number), page)


def test_a_listing_is_the_table_of_its_model_and_of_others(table, tmp_path):
    rows, predictions, suspects, slices = draw()
    path = tmp_path / "label_suspects.csv"
    suspects.assign(label="a", suggested="b", action=["", "drop", "keep"], text="").to_csv(path, index=False)
    listed = Listing(rows, predictions, "fused", suspects=path, slices=slices)
    pd.testing.assert_frame_equal(listed.table, table)
    assert not listed.about("text")["confidence"].equals(table["confidence"])
    assert listed.decided()["rows"].to_dict() == {"–": 1, "drop": 1, "keep": 1}
    none = Listing(rows, predictions, "fused")
    pd.testing.assert_frame_equal(none.table, listing.inspection_table(rows, predictions, "fused"))
    assert none.decided().empty and list(none.decided()) == ["rows"]


def listing_of(table):
    made = Listing(*draw()[:2], "fused")
    made.table = table
    return made


def test_the_worst_rows_are_the_wrong_test_rows_of_largest_loss(table):
    expected = table.query("split == 'test' and right == False").sort_values("loss", ascending=False).head(4)
    made = listing_of(table).worst(4)
    assert made.index.tolist() == expected["row"].tolist()
    assert list(made) == ["text", "label", "predicted", "confidence", "loss", "suspicion", "slices"]
    assert listing_of(table.assign(slices=[("a", "b")] * len(table))).worst()["slices"].iloc[0] == "a; b"
    assert listing_of(table[table["right"].fillna(True).astype(bool)]).worst().empty


def test_the_first_look_is_at_the_most_confident_mistake():
    judged = pd.DataFrame(
        {"row": [3, 5, 7, 9], "confidence": [0.9, 0.6, 0.8, 0.4], "right": [True, False, False, True]}
    )
    assert listing.first_mistake(judged) == 7
    assert listing.first_mistake(judged[judged["right"]]) == 9, "the least sure where none is wrong"


# --- Threshold ----------------------------------------------------------------------------------------


def test_coverage_is_that_of_the_coverage_table(table):
    test = draw()[1][1]
    found, steps = listing.filter_rows(table, split="test"), coverage_table(test, "fused")
    for line in steps.itertuples():
        made = listing.coverage_and_accuracy(found, line.threshold)
        values = [made[name] for name in ("coverage", "accuracy", "low", "high")]
        np.testing.assert_allclose(values, [line.coverage, line.accuracy, line.low, line.high])
    for threshold, line in listing_of(table).thresholds().iterrows():
        expected = listing.coverage_and_accuracy(found, threshold)
        np.testing.assert_allclose(line, [round(expected[name], 3) for name in line.index])


def test_a_threshold_that_no_row_reaches_answers_nothing(table):
    made = listing.coverage_and_accuracy(table, 1.1)
    assert (made["answered"], made["coverage"]) == (0, 0) and np.isnan([made["accuracy"], made["low"]]).all()
    none = listing.coverage_and_accuracy(table[table["split"] == "train"], 0.5)
    assert none["rows"] == 0 and np.isnan(none["coverage"])


def test_a_threshold_is_told_in_a_sentence(table):
    told = listing.threshold_text(listing.coverage_and_accuracy(table, 0.5), 0.5)
    asked = table[table["confidence"] >= 0.5]
    assert f"of 0.50 or more, {len(asked)} of 200 rows are answered ({len(asked) / 2:.1f} %)" in told
    assert f"{100 * asked['right'].mean():.1f} % [" in told
    assert listing.threshold_text(listing.coverage_and_accuracy(table, 1), 1).endswith(", 0 of 200 rows are answered.")
    none = listing.coverage_and_accuracy(table.head(0), 0.5)
    assert listing.threshold_text(none, 0.5).startswith("None of these rows has a prediction")


# --- What a person decides ----------------------------------------------------------------------------

LISTED = pd.DataFrame(
    {
        "row": [12, 7, 16], "split": ["train", "train", "test"], "label": ["sport", "money", "money"],
        "suggested": ["money", "技术", "sport"], "label_probability": [0.012345678901234, 0.1, 1e-7], "action": "keep",
        "text": ['a "quoted", text', "two\nlines; </script><img src=x onerror=alert(1)>", "\u202eright to left 🎈"],
    }
)  # fmt: skip
ROWS = pd.DataFrame({"row": [7, 8, 9, 12, 13, 16], "split": [*["train"] * 5, "test"],
                     "label": ["money", "技术", "money", "sport", "sport", "money"]})  # fmt: skip


@pytest.fixture
def listed(tmp_path):
    Run(tmp_path).write("label_suspects.csv", LISTED)
    return Run(tmp_path).path("label_suspects.csv")


def test_the_action_it_has_already_leaves_every_byte(listed):
    before = listed.read_bytes()
    listing.set_action(listed, 12, "keep")
    assert listed.read_bytes() == before and {path.name for path in listed.parent.iterdir()} <= {listed.name, "made_of"}


def test_a_decision_is_written_at_once_and_nothing_else(listed):
    listing.set_action(listed, 7, "drop")
    made = listing.set_action(listed, 12, "change", "技术 ")
    read = pd.read_csv(listed, encoding="utf-8-sig")
    expected = LISTED.assign(action=["change", "drop", "keep"], suggested=["技术", "技术", "sport"])
    pd.testing.assert_frame_equal(read, expected)
    assert made["action"].tolist() == expected["action"].tolist()
    listing.set_action(listed, 7, "change")
    assert pd.read_csv(listed)["suggested"].tolist()[1] == "技术", "the suggested label where none is named"


def test_what_was_decided_is_what_corrections_apply(listed):
    listing.set_action(listed, 7, "drop")
    listing.set_action(listed, 12, "change", "技术")
    listing.set_action(listed, 16, "change")
    corrected, rejected = corrections.apply_corrections(ROWS, corrections.read_corrections(listed))
    assert corrected.set_index("row")["label"][12] == "技术"
    assert corrected.set_index("row")["split"][7] == corrections.DROPPED
    assert rejected[["row", "reason"]].to_numpy().tolist() == [["16", "ROW_NOT_TRAINING"]]


def test_what_was_decided_stays_when_notebook_04_writes_the_list_again(listed):
    listing.set_action(listed, 7, "change", "sport")
    again = corrections.with_edits(LISTED, listed)
    assert again.loc[again["row"].astype(str) == "7", ["suggested", "action"]].to_numpy().tolist() == [
        ["sport", "change"]
    ]
    assert len(again) == 3


def test_a_list_that_a_spreadsheet_saved_keeps_columns_and_line_ends(listed):
    own = LISTED.assign(remark=["lone \r return", "", "ok"])
    own.to_csv(listed, index=False, encoding="gb18030", lineterminator="\r\n", sep=";")
    listing.set_action(listed, 7, "drop")
    read = pd.read_csv(listed, encoding="utf-8-sig", keep_default_na=False, lineterminator=None)
    assert read["remark"].tolist() == own["remark"].tolist() and read["action"].tolist() == ["keep", "drop", "keep"]
    assert read["text"].tolist()[0] == LISTED["text"][0] and listed.read_bytes().count(b"\r\n") == 4


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ((12, "delete"), ValueError, "The action is 'delete'; expected one of keep, change, drop"),
        ((99, "drop"), KeyError, "Row 99 is not among the 3 rows of label_suspects.csv: nothing was written"),
        ((8, "change"), KeyError, "Row 8 is not among"),
    ],
)
def test_an_unknown_row_or_action_changes_nothing(listed, given, error, told):
    before = listed.read_bytes()
    with pytest.raises(error, match=told):
        listing.set_action(listed, *given)
    assert listed.read_bytes() == before


def test_a_change_to_no_label_is_refused(listed):
    LISTED.assign(suggested="").to_csv(listed, index=False)
    with pytest.raises(ValueError, match="Row 12 is to change to no label"):
        listing.set_action(listed, 12, "change", "  ")
    listing.set_action(listed, 12, "drop")


def test_a_list_with_a_broken_line_is_not_written_anew(listed):
    with listed.open("a", encoding="utf-8") as file:
        file.write("a line of another kind\n")
    before = listed.read_bytes()
    with pytest.raises(ValueError, match="can't be read"):
        listing.set_action(listed, 12, "drop")
    assert listed.read_bytes() == before
    listed.write_text("row,label\n1,a\n")
    with pytest.raises(ValueError, match="has no column split, suggested, label_probability, action"):
        listing.read_suspects(listed)


def test_where_the_disk_fails_the_list_stays_whole(listed, monkeypatch):
    before = listed.read_bytes()
    monkeypatch.setattr(pd.DataFrame, "to_csv", lambda self, path, **_: path.write_text("half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        listing.set_action(listed, 12, "drop")
    assert listed.read_bytes() == before and {path.name for path in listed.parent.iterdir()} <= {listed.name, "made_of"}


def test_a_list_of_no_suspects_has_no_lines(listed):
    Run(listed.parents[1]).write("label_suspects.csv", LISTED.head(0))
    assert len(listing.read_suspects(listed)) == 0
    with pytest.raises(KeyError, match="not among the 0 rows"):
        listing.set_action(listed, 12, "drop")
    with pytest.raises(FileNotFoundError):
        listing.read_suspects(listed.with_name("none.csv"))
