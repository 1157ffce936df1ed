"""Error analysis against cases counted by hand, and planted faults."""

import multiprocessing
import re

import numpy as np
import pandas as pd
import pytest
from cleanlab.rank import get_self_confidence_for_each_label
from scipy.special import softmax
from sklearn.neighbors import NearestNeighbors
from statsmodels.stats.proportion import proportion_confint

from fusebook.errors import faults
from fusebook.errors.mistakes import (
    confident_mistakes,
    confused_pairs,
    confusion_order,
    label_suspects,
    nearest_rows,
    rescue_ledger,
    row_table,
    short_names,
)

NAMES = ["财经", "b", "c"]


def judged(label, predicted, confidence=None):
    """A row table of labels and predictions, with the columns that notebook 04 gives it."""
    label, predicted = np.array(list(label), dtype=object), np.array(list(predicted), dtype=object)
    return pd.DataFrame(
        {
            "row": np.arange(10, 10 + len(label)),
            "label": label,
            "predicted": predicted,
            "confidence": 0.5 if confidence is None else confidence,
            "right": label == predicted,
        }
    )


# --- Row table, pairs, mistakes -----------------------------------------------------------------------


def test_row_table_by_hand():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    table = row_table(probabilities, NAMES, np.array([0, 1]))
    assert table["predicted"].tolist() == ["财经", "c"] and table["label"].tolist() == ["财经", "b"]
    assert table["right"].tolist() == [True, False]
    np.testing.assert_allclose(table["confidence"], [0.7, 0.6])
    np.testing.assert_allclose(table["loss"], -np.log([0.7, 0.3]))


def test_row_table_without_labels():
    table = row_table(np.array([[0.7, 0.2, 0.1]]), NAMES)
    assert table.to_dict("list") == {"predicted": ["财经"], "confidence": [0.7]}


def test_confused_pairs_by_hand():
    #        rows: 10 to 21
    table = judged("aaaaaabbbccc", "abbbcabaaacb")
    pairs = confused_pairs(table)
    assert pairs.to_dict("list") == {
        "label": ["a", "b", "c", "c", "a"],
        "predicted": ["b", "a", "a", "b", "c"],
        "count": [3, 2, 1, 1, 1],
        "share": [3 / 6, 2 / 3, 1 / 3, 1 / 3, 1 / 6],  # then ties: the larger share first, then by name
        "rows": [[11, 12, 13], [17, 18], [19], [21], [14]],
    }
    pd.testing.assert_frame_equal(confused_pairs(table, most=2), pairs.head(2))


def test_three_examples_at_most():
    pairs = confused_pairs(judged("aaaaab", "bbbbbb"))
    assert pairs["count"].tolist() == [5] and pairs["rows"].tolist() == [[10, 11, 12]]


def test_confident_mistakes_by_hand():
    table = judged("aabbab", "abaabb", [0.9, 0.8, 0.99, 0.7, 0.8, 0.95])
    assert confident_mistakes(table)["row"].tolist() == [12, 11, 14, 13]
    assert confident_mistakes(table, most=1)["row"].tolist() == [12]


@pytest.mark.parametrize("label", ["abc", "aaa", ""], ids=["three classes", "one class", "no rows"])
def test_without_mistakes_the_tables_are_empty(label):
    table = judged(label, label)
    pairs, mistakes = confused_pairs(table), confident_mistakes(table)
    assert pairs.empty and list(pairs) == ["label", "predicted", "count", "share", "rows"]
    assert mistakes.empty and list(mistakes) == list(table)


@pytest.mark.parametrize("n_pairs", [3, 25])
def test_confused_classes_stand_together(n_pairs):
    """Class i is confused with class i + n_pairs alone: in the order each must stand beside its partner."""
    n = 2 * n_pairs
    confusion = 90 * np.eye(n, dtype=int) + 10 * np.roll(np.eye(n, dtype=int), n_pairs, axis=1)
    order = confusion_order(confusion)
    assert sorted(order) == list(range(n))
    place = np.argsort(order)
    assert all(abs(place[i] - place[i + n_pairs]) == 1 for i in range(n_pairs))


@pytest.mark.parametrize("n_classes", [1, 2, 3, 200])
def test_an_order_is_there_for_any_number_of_classes(n_classes):
    nothing = np.zeros((n_classes, n_classes), int)
    assert sorted(confusion_order(nothing)) == list(range(n_classes))


def test_short_names_stay_different():
    long = ["x" * 300, "x" * 299 + "y", "nan", "None", "7", "two\nlines"]
    made = short_names(long)
    assert len(set(made)) == 6 and max(map(len, made)) == 40 and made[2:] == ["nan", "None", "7", "two lines"]


def test_nearest_rows_are_scikit_learns():
    rng = np.random.default_rng(0)
    queries, features = rng.normal(size=(5, 8)), rng.normal(size=(30, 8))
    expected = NearestNeighbors(n_neighbors=3, metric="cosine").fit(features).kneighbors(queries)
    order, cosines = nearest_rows(queries, features)
    np.testing.assert_array_equal(order, expected[1])
    np.testing.assert_allclose(cosines, 1 - expected[0])


def test_a_row_of_zeros_is_like_nothing():
    _, cosines = nearest_rows(np.zeros((1, 3)), np.eye(3)[:2])
    assert cosines.tolist() == [[0.0, 0.0]]


def test_planted_faults_by_row():
    content = pd.DataFrame({"id": ["a", "b", "c"]}, index=[1, 2, 4])  # line 3 could not be read
    planted = pd.DataFrame(
        {"id": ["c", "a", "b"], "kind": ["wrong_label", "mojibake", "wrong_label"], "detail": ["x", "", "y"]}
    )
    assert faults.planted_rows(planted, content, "wrong_label") == {4: "x", 2: "y"}
    assert faults.planted_rows(planted, content, "odd_label") == {}
    with pytest.raises(ValueError, match=r'table has no column id; expected id\. Set planted=""'):
        faults.planted_rows(planted, content.rename(columns={"id": "n"}), "wrong_label")


# --- Labels that may be wrong -------------------------------------------------------------------------


def easy_set(n_rows=300, n_flips=15, seed=0):
    """Confident, mostly right probabilities; labels of which some were flipped: probabilities, labels, true, flipped."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, n_rows)
    probabilities = softmax(rng.normal(scale=0.5, size=(n_rows, 3)) + 4 * np.eye(3)[true], axis=1)
    flipped = rng.choice(n_rows, n_flips, replace=False)
    labels = true.copy()
    labels[flipped] = (true[flipped] + rng.integers(1, 3, n_flips)) % 3
    return probabilities, labels, true, set(flipped.tolist())


@pytest.mark.parametrize("seed", range(3))
def test_planted_flips_are_found(seed):
    probabilities, labels, true, flipped = easy_set(seed=seed)
    rows = pd.Series(np.arange(1000, 1300), index=np.arange(300)[::-1])  # row numbers are not positions
    suspects = label_suspects(probabilities, labels, NAMES, rows)
    found = suspects["row"].to_numpy() - 1000
    scores = faults.detector_scores(set(found.tolist()), flipped)
    assert scores["recall"] > 0.75 and scores["precision"] > 0.9
    assert suspects["label"].tolist() == [NAMES[labels[i]] for i in found]
    assert suspects["suggested"].tolist() == [NAMES[true[i]] for i in found]
    expected = get_self_confidence_for_each_label(labels, probabilities)[found]
    np.testing.assert_allclose(suspects["label_probability"], expected)
    assert suspects["label_probability"].is_monotonic_increasing, "most suspect first"


def test_no_processes_are_forked(monkeypatch):
    """JAX runs threads, and a fork of a process with threads can lock up."""

    def refuse(*_, **__):
        raise AssertionError("a pool of processes was started")

    monkeypatch.setattr(multiprocessing, "Pool", refuse)
    probabilities, labels, _, _ = easy_set()
    assert len(label_suspects(probabilities, labels, NAMES, pd.Series(range(300)))) > 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("labels", [[], [1], [0, 0, 0], [2, 2, 2]], ids=["no rows", "one row", "class 0", "class 2"])
def test_one_class_alone_has_no_suspects(labels):
    probabilities = np.full((len(labels), 3), [0.8, 0.1, 0.1])
    suspects = label_suspects(probabilities, np.array(labels, int), NAMES, pd.Series(range(len(labels)), dtype=int))
    assert suspects.empty and list(suspects) == ["row", "label", "suggested", "label_probability"]


@pytest.mark.filterwarnings("ignore:May not flag all label issues in class")
def test_a_class_without_rows_and_a_clean_set_are_no_crash():
    labels = np.array([0, 2] * 10)
    probabilities = np.eye(3)[labels] * 0.9 + 0.1 / 3
    suspects = label_suspects(probabilities, labels, NAMES, pd.Series(range(20)))
    assert suspects.empty and list(suspects) == ["row", "label", "suggested", "label_probability"]


# --- Rescued and harmed -------------------------------------------------------------------------------


def test_the_ledger_by_hand():
    right = {"audio": np.array([1, 1, 0, 0, 1, 0, 1], bool), "text": np.array([1, 1, 1, 1, 0, 0, 1], bool)}
    fused = np.array([1, 0, 1, 0, 1, 1, 1], bool)
    ledger = rescue_ledger(right, fused)
    expected = {  # audio, text: rows, fusion right, fusion wrong, rescued, harmed
        (True, True): [3, 2, 1, 0, 1],
        (False, True): [2, 1, 1, 1, 1],
        (True, False): [1, 1, 0, 1, 0],
        (False, False): [1, 1, 0, 1, 0],
    }
    columns = ["rows", "fusion_right", "fusion_wrong", "rescued", "harmed"]
    made = {tuple(line): values for line, values in zip(
        ledger[["audio", "text"]].to_numpy().tolist(), ledger[columns].to_numpy().tolist(), strict=True
    )}  # fmt: skip
    assert made == expected and ledger["rows"].is_monotonic_decreasing


@pytest.mark.parametrize("seed", range(5))
def test_the_ledger_counts_every_row_once(seed):
    rng = np.random.default_rng(seed)
    right = {name: rng.random(60) < 0.6 for name in ("audio", "image", "text")}
    fused = rng.random(60) < 0.7
    ledger, together = rescue_ledger(right, fused), np.array(list(right.values()))
    assert ledger["rows"].sum() == 60 and ledger["fusion_right"].sum() == fused.sum()
    assert ledger["rescued"].sum() == (fused & ~together.all(axis=0)).sum()
    assert ledger["harmed"].sum() == (~fused & together.any(axis=0)).sum()


def test_one_modality_is_neither_rescued_nor_harmed():
    right = np.array([True, False, True])
    ledger = rescue_ledger({"text": right}, right)
    assert ledger["rescued"].sum() == ledger["harmed"].sum() == 0 and ledger["rows"].tolist() == [2, 1]


def test_the_ledger_of_no_rows_is_empty():
    none = np.array([], bool)
    ledger = rescue_ledger({"text": none}, none)
    assert ledger.empty and list(ledger) == ["text", "fusion_right", "rows", "fusion_wrong", "rescued", "harmed"]


# --- Detectors ----------------------------------------------------------------------------------------


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
        low, high = proportion_confint(count, n_rows, method="wilson")
        expected = [100 * count / n_rows, 100 * low, 100 * high]
        found = [float(number) for number in re.findall(r"[\d.]+", made.loc[kind, name])]
        np.testing.assert_allclose(found, expected, atol=0.05 + 1e-9)


def test_fault_scores_of_nothing_known_are_empty():
    assert faults.fault_scores({"mojibake": {1}}, {}).empty
