"""Detectors against faults planted in tables, counted by hand."""

import re

import numpy as np
import pandas as pd
import pytest

from fusebook.errors import faults
from fusebook.evaluation.intervals import wilson_interval


def test_planted_faults_by_row():
    content = pd.DataFrame({"id": ["a", "b", "c"]}, index=[1, 2, 4])  # line 3 could not be read
    planted = pd.DataFrame(
        {"id": ["c", "a", "b"], "kind": ["wrong_label", "mojibake", "wrong_label"], "detail": ["x", "", "y"]}
    )
    assert faults.planted_rows(planted, content, "wrong_label") == {4: "x", 2: "y"}
    assert faults.planted_rows(planted, content, "odd_label") == {}
    with pytest.raises(ValueError, match=r'table has no column id; expected id\. Set planted=""'):
        faults.planted_rows(planted, content.rename(columns={"id": "n"}), "wrong_label")


@pytest.mark.parametrize(
    ("found", "planted", "hit", "precision", "recall"),
    [
        ({1, 2, 3, 4}, {3, 4, 5}, 2, 0.5, 2 / 3),
        ({1}, {2}, 0, 0.0, 0.0),
        (set(), {2}, 0, np.nan, 0.0),
        ({1}, set(), 0, 0.0, np.nan),
        (set(), set(), 0, np.nan, np.nan),
    ],
)
def test_detector_scores_by_hand(found, planted, hit, precision, recall):
    made = faults.detector_scores(found, planted)
    assert (made["planted"], made["found"], made["hit"]) == (len(planted), len(found), hit)
    assert made["precision"] == pytest.approx(precision, nan_ok=True)
    assert made["recall"] == pytest.approx(recall, nan_ok=True)


def known_faults(*lines):
    return pd.DataFrame(lines, columns=["id", "kind", "detail"])


def test_planted_faults_by_hand():
    """Ids a to h stand in rows 1 to 9; row 5 could not be read."""
    content = pd.DataFrame({"id": list("abcdefgh")}, index=[1, 2, 3, 4, 6, 7, 8, 9])
    planted = known_faults(
        ("a", "empty_text", ""),
        ("c", "exact_duplicate", "b"),
        ("d", "near_duplicate", "h"),  # the copy may stand before its original
        ("e", "near_duplicate", "h"),
        ("f", "missing_file", "image"),
        ("g", "wrong_label", "x"),  # no check of the table can see it
    )
    made = faults.planted_faults(planted, content)
    assert set(made) == set(faults.FAULTS)
    assert {kind: rows for kind, rows in made.items() if rows} == {
        "empty_text": {1},
        "exact_duplicate": {(2, 3)},
        "near_duplicate": {(4, 9), (6, 9), (4, 6)},
        "missing_file": {7},
    }


@pytest.mark.parametrize("line", [("z", "empty_text", ""), ("a", "near_duplicate", "z"), ("z", "wrong_label", "x")])
def test_a_list_of_another_table_tells_nothing(line):
    content = pd.DataFrame({"id": ["a", "b"]}, index=[1, 2])
    planted = known_faults(("a", "wrong_label", "x"), line)
    assert faults.planted_faults(planted, content) == {}
    assert faults.planted_rows(planted, content, "wrong_label") == {}


def test_reported_faults_by_hand():
    rejected = pd.DataFrame(
        {
            "row": [1, 2, 3, 4, 5, 6, 7, 8],
            "reason": ["TEXT_EMPTY", "IMAGE_BROKEN", "AUDIO_BROKEN", "AUDIO_EMPTY", "AUDIO_NOT_FINITE", "FILE_MISSING",
                       "LABEL_EMPTY", "OUTSIDE_FOLDER"],
        }
    )  # fmt: skip
    rows = pd.DataFrame(
        {
            "row": [10, 11, 12, 13, 14, 15],
            "text": ["same", "else", "same", "Same", "", ""],
            "group": [0, 1, 0, 0, 2, 3],
            "text_repaired": [False, True, False, False, False, False],
            "label": ["A"] * 6,
            "label_given": ["A"] * 5 + [" A"],
        }
    )
    assert faults.reported_faults(rows, rejected) == {
        "empty_text": {1},
        "broken_image": {2},
        "broken_audio": {3, 4, 5},
        "missing_file": {6},
        "mojibake": {11},
        "odd_label": {15},
        "exact_duplicate": {(10, 12)},
        "near_duplicate": {(10, 13), (12, 13)},
    }


def test_fault_scores_by_hand():
    reported = {"mojibake": {1, 2, 3, 4}, "odd_label": set(), "near_duplicate": {(1, 2)}, "empty_text": {9}}
    planted = {"mojibake": {3, 4, 5}, "odd_label": {7}, "near_duplicate": {(1, 2)}, "empty_text": set()}
    made = faults.fault_scores(reported, planted)
    assert made[["planted", "found", "hit"]].to_numpy().tolist() == [[3, 4, 2], [1, 0, 0], [1, 1, 1], [0, 1, 0]]
    assert made.loc["odd_label", "precision"] == made.loc["empty_text", "recall"] == "–"
    for kind, name, count, n_rows in (
        ("mojibake", "precision", 2, 4),
        ("mojibake", "recall", 2, 3),
        ("odd_label", "recall", 0, 1),
        ("near_duplicate", "precision", 1, 1),
        ("empty_text", "precision", 0, 1),
    ):
        low, high = wilson_interval(count / n_rows, n_rows)  # which has a test of its own
        expected = [100 * count / n_rows, 100 * low, 100 * high]
        found = [float(number) for number in re.findall(r"[\d.]+", made.loc[kind, name])]
        np.testing.assert_allclose(found, expected, atol=0.05 + 1e-9)


def test_fault_scores_of_nothing_known_are_empty():
    assert faults.fault_scores({"mojibake": {1}}, {}).empty


# --- Lists beside the table ---------------------------------------------------------------------------

CONTENT = pd.DataFrame({"id": ["a", "b", "c"], "text": ["x", "y", "z"]}, index=[1, 2, 3])
ROWS = pd.DataFrame({"row": [1, 3], "text": ["x", "z"], "group": [0, 1], "text_repaired": [True, False],
                     "label": "A", "label_given": "A"})  # fmt: skip
REJECTED = pd.DataFrame({"row": [2], "reason": ["TEXT_EMPTY"]})


def test_checks_are_scored_against_the_list(tmp_path):
    path = tmp_path / "planted.csv"
    known_faults(("b", "empty_text", ""), ("a", "mojibake", ""), ("c", "mojibake", "")).to_csv(path, index=False)
    made = faults.PlantedFaults(ROWS, REJECTED, CONTENT, path)
    assert made.table.loc["mojibake", ["planted", "found", "hit"]].tolist() == [2, 1, 1]
    facts = {
        "planted": 3,
        "missed": "1 mojibake",
        "recall": "66.7 % [11.8, 98.3]",
        "precision": "100.0 % [17.8, 100.0]",
    }
    assert made.verdicts() == [("planted faults", "look", facts)]
    known_faults(("b", "empty_text", "")).to_csv(path, index=False)
    ((_, grade, facts),) = faults.PlantedFaults(ROWS, REJECTED, CONTENT, path).verdicts()
    assert (grade, facts["missed"]) == ("note", "none")


@pytest.mark.parametrize("line", [None, ("z", "empty_text", "")], ids=["no list", "a list of another table"])
def test_without_a_list_of_this_table_there_are_no_scores(tmp_path, line):
    path = tmp_path / "planted.csv"
    if line:
        known_faults(line).to_csv(path, index=False)
    made = faults.PlantedFaults(ROWS, REJECTED, CONTENT, path)
    assert made.table.empty and list(made.table) == ["planted", "found", "hit", "precision", "recall"]
    assert made.verdicts() == []


def test_planted_labels_stand_beside_the_table(tmp_path):
    CONTENT.to_csv(tmp_path / "table.csv", index=False)
    known_faults(("c", "wrong_label", "B"), ("a", "mojibake", "")).to_csv(tmp_path / "planted.csv", index=False)
    assert faults.planted_labels(tmp_path / "table.csv", "planted.csv") == {3: "B"}
    assert faults.planted_labels(tmp_path / "table.csv", "other.csv") == {}
    assert faults.planted_labels(tmp_path / "table.csv", "") == {}
