"""Suspects among training rows: probabilities out of fold against scikit-learn, planted flips, classes that overlap."""

import multiprocessing

import numpy as np
import pandas as pd
import pytest
from cleanlab.rank import get_self_confidence_for_each_label
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.predictions import Predictions
from fusebook.errors import faults, suspects

NAMES = ["money", "sport", "技术"]


def data_of(values, labels, groups=None):
    """A data set of training rows alone."""
    rows = pd.DataFrame({"row": range(1000, 1000 + len(labels)), "split": "train", "text": "", "class_id": labels})
    rows["label"], rows["group"] = np.array(NAMES)[labels], range(len(labels)) if groups is None else groups
    return Dataset(rows, NAMES, Features({"text": values}, {"text": np.ones(len(labels), bool)}))


def answers(probabilities, labels, **columns):
    return Predictions.of({"judge": probabilities}, labels, label_names=NAMES, **columns)


# --- Out of fold --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, csr_array], ids=["dense", "sparse"])
def test_out_of_fold_is_scikit_learns(three_classes, form):
    values, labels, _ = three_classes()
    made = suspects.fold_probabilities(form(values), labels, 3, random_state=7)
    model = LogisticRegression(C=10, solver="saga", tol=0.01, random_state=7)
    folds = StratifiedKFold(5, shuffle=True, random_state=7)
    expected = cross_val_predict(model, form(values), labels, cv=folds, method="predict_proba")
    np.testing.assert_allclose(made, expected, atol=1e-9)


def test_no_row_is_judged_by_a_model_that_has_seen_its_copy():
    """Noise that nothing can be learnt from: who had seen a row's copy would know its label."""
    rng = np.random.default_rng(0)
    values, labels = np.repeat(rng.normal(size=(60, 200)), 2, axis=0), np.repeat(rng.integers(0, 2, 60), 2)
    groups = np.repeat(np.arange(60), 2)
    apart = suspects.fold_probabilities(values, labels, 2, groups=groups).argmax(axis=1) == labels
    leaked = suspects.fold_probabilities(values, labels, 2).argmax(axis=1) == labels
    assert leaked.mean() > 0.8 and apart.mean() < 0.65


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("labels", [[0, 1], [0, 0, 0], [0, 1, 2], [0, 0, 0, 0, 2], [0, 0, 1, 1, 1, 1, 1]], ids=str)
def test_tiny_tables_get_probabilities(labels):
    values = np.random.default_rng(0).normal(size=(len(labels), 3))
    made = suspects.fold_probabilities(values, np.array(labels), 3)
    np.testing.assert_allclose(made.sum(axis=1), 1)
    learnt = suspects.out_of_fold(data_of(values, np.array(labels)))
    found = suspects.suspect_list(learnt)
    assert list(found) == ["row", "split", "label", "suggested", "label_probability", "action", "text"]
    assert learnt.labels.tolist() == [k for k in labels if labels.count(k) > 1]


def test_a_class_that_no_other_fold_has_gets_nothing():
    labels = np.array([0, 0, 0, 0, 2])
    made = suspects.fold_probabilities(np.random.default_rng(0).normal(size=(5, 3)), labels, 3)
    assert made[4, 2] == 0 and not made[:, 1].any()


@pytest.mark.parametrize("groups", [None, [4]], ids=["one row", "one group"])
def test_a_single_row_is_refused(groups):
    with pytest.raises(ValueError, match="expected two at least"):
        suspects.fold_probabilities(np.zeros((1, 2)), np.array([0]), 2, groups=groups)


# --- Labels that may be wrong -------------------------------------------------------------------------


def easy_set(n_rows=300, n_flips=15, seed=0):
    """Confident, mostly right probabilities, and labels with flips: probabilities, labels, true, flipped."""
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
    made = suspects.label_suspects(answers(probabilities, labels, row=range(1000, 1300)), "judge")
    found = made["row"].to_numpy() - 1000
    scores = faults.detector_scores(set(found.tolist()), flipped)
    assert scores["recall"] > 0.75 and scores["precision"] > 0.9
    assert made["label"].tolist() == [NAMES[labels[i]] for i in found]
    assert made["suggested"].tolist() == [NAMES[true[i]] for i in found]
    expected = get_self_confidence_for_each_label(labels, probabilities)[found]
    np.testing.assert_allclose(made["label_probability"], expected)
    assert made["label_probability"].is_monotonic_increasing, "most suspect first"


def test_no_processes_are_forked(monkeypatch):
    """JAX runs threads, and a fork of a process with threads can lock up."""

    def refuse(*_, **__):
        raise AssertionError("a pool of processes was started")

    monkeypatch.setattr(multiprocessing, "Pool", refuse)
    probabilities, labels, _, _ = easy_set()
    assert len(suspects.label_suspects(answers(probabilities, labels), "judge")) > 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("labels", [[], [1], [0, 0, 0], [2, 2, 2]], ids=["no rows", "one row", "class 0", "class 2"])
def test_one_class_alone_has_no_suspects(labels):
    probabilities = np.full((len(labels), 3), [0.8, 0.1, 0.1])
    made = suspects.label_suspects(answers(probabilities, np.array(labels, int)), "judge")
    assert made.empty and list(made) == ["row", "label", "suggested", "label_probability"]


@pytest.mark.filterwarnings("error")
def test_a_class_without_rows_and_a_clean_set_are_no_crash():
    labels = np.array([0, 2] * 10)
    probabilities = np.eye(3)[labels] * 0.9 + 0.1 / 3
    made = suspects.label_suspects(answers(probabilities, labels), "judge")
    assert made.empty and list(made) == ["row", "label", "suggested", "label_probability"]


# --- Suspects and pairs -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_flips_among_training_rows_are_found(three_classes, seed):
    values, labels, flipped = three_classes(seed=seed)
    found = suspects.suspect_list(suspects.out_of_fold(data_of(values, labels)))
    scores = faults.detector_scores(set(found["row"] - 1000), flipped)
    assert scores["recall"] > 0.8 and scores["precision"] > 0.75
    assert set(found["row"].head(8) - 1000) <= flipped, "the surest come first"


def test_classes_that_overlap_come_first():
    """A quarter of the money rows are labelled sport; nothing else is wrong."""
    rng = np.random.default_rng(0)
    true = np.arange(300) % 3
    labels = np.where((true == 0) & (rng.random(300) < 0.25), 1, true)
    probabilities = 0.85 * np.eye(3)[true] + 0.05
    pairs = suspects.overlapping_pairs(answers(probabilities, labels))
    assert pairs.loc[0, ["label", "other"]].tolist() == ["money", "sport"] and len(pairs) == 1
    assert pairs.loc[0, "rows"] == pytest.approx((labels != true).sum(), abs=2)
    assert pairs.loc[0, "share"] == pytest.approx((labels != true).mean(), abs=0.01)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("labels", [[0, 0, 0], [2, 2], [0, 2] * 6], ids=["one", "the last", "a class without rows"])
def test_pairs_of_classes_without_rows_are_no_crash(labels):
    labels = np.array(labels)
    pairs = suspects.overlapping_pairs(answers(0.9 * np.eye(3)[labels] + 0.1 / 3, labels))
    assert pairs.empty and list(pairs) == ["label", "other", "rows", "share"]


def test_the_list_is_ranked_over_all_splits():
    """Two judges of two splits, each row with one of them; each one's suspects are those that it finds alone."""
    judged, found = [], []
    for split, seed, first in (("train", 0, 0), ("test", 1, 1000)):
        probabilities, labels, _, _ = easy_set(100, 8, seed)
        numbers = np.arange(first, first + 100)
        judged.append(answers(probabilities, labels, row=numbers, split=split, text=[f"text {i}" for i in numbers]))
        found.append(suspects.label_suspects(judged[-1], "judge"))
    listed = suspects.suspect_list(*judged)
    assert list(listed) == ["row", "split", "label", "suggested", "label_probability", "action", "text"]
    assert listed["label_probability"].is_monotonic_increasing and set(listed["action"]) == {"keep"}
    assert set(listed["row"]) == set(found[0]["row"]) | set(found[1]["row"]) and len(listed) > 8
    assert (listed["split"] == np.where(listed["row"] < 1000, "train", "test")).all()
    assert (listed["text"] == "text " + listed["row"].astype(str)).all()
    with pytest.raises(pd.errors.MergeError):
        suspects.suspect_list(judged[0], judged[0])


# --- What was found, and what was planted ------------------------------------------------------------


def found_among(judged, rows, planted=None):
    """The suspects that notebook 04 has, had they been ``rows``; ``planted`` are the labels known to be wrong."""
    draw = np.random.default_rng(0)
    made = suspects.Suspects(data_of(draw.normal(size=(6, 3)), np.arange(6) % 2), judged)
    made.list, made.wrong_labels = pd.DataFrame({"row": rows, "label": "sport"}), planted or {}
    made.scores = suspects.suspect_scores(made.list, judged, made.wrong_labels)
    return made


@pytest.mark.parametrize(
    ("rows", "share", "grade"),
    [
        (range(3, 4), "0.5 % [0.1, 2.8]", "note"),
        (range(2, 6), "2.0 % [0.8, 5.0]", "look"),
        (range(0, 20), "10.0 % [6.6, 14.9]", "serious"),
    ],
)
def test_only_labels_of_the_rows_judged_are_counted(rows, share, grade):
    judged = answers(np.full((200, 3), 1 / 3), np.zeros(200, int), split="test", text="")
    made = found_among(judged, [*rows, 500, 501])
    assert made.verdicts() == [("suspects", grade, {"count": len(rows), "rows": 200, "share": share})]


def test_planted_labels_are_scored_among_the_rows_judged():
    """Row 9 was a training row, row 3 one of the validation rows, on which no score is told."""
    split, predicted = ["test", "test", "validation", "test"], [1, 0, 0, 0]
    judged = answers(np.eye(3)[predicted], np.ones(4, int), row=[1, 2, 3, 4], split=split, text="")
    made = found_among(judged, [2, 4, 9], {2: "money", 3: "money", 9: "技术"})
    assert made.scores.to_dict("records") == [{"planted": 2, "found": 2, "hit": 1, "precision": 0.5, "recall": 0.5}]
    assert made.planted_verdicts() == [
        ("planted", "note", {"planted": 2, "recall": "50.0 % [9.5, 90.5]", "precision": "50.0 % [9.5, 90.5]"}),
        ("corrected", "note", {"model": "judge", "share": "66.7 % [20.8, 93.9]"}),
    ]


@pytest.mark.parametrize("wrong_labels", [{}, {9: "money"}], ids=["no list", "none in the rows judged"])
def test_without_planted_labels_nothing_is_said(wrong_labels):
    made = found_among(answers(np.eye(3)[[0]], [0], row=[1], split="test", text=""), [1], wrong_labels)
    assert len(made.scores) == len(wrong_labels) and made.planted_verdicts() == []
    assert list(made.scores) == ["planted", "found", "hit", "precision", "recall"]


def test_suspects_of_all_rows_with_what_was_planted_and_edited(three_classes, tmp_path):
    """The list is that of both judges, the planted labels are read from the list beside the table, edits stand first."""
    values, labels, _ = three_classes()
    data, (probabilities, given, true, flipped) = data_of(values, labels), easy_set(100, 8)
    judged = answers(probabilities, given, row=np.arange(100), split="test", text="")
    content = pd.DataFrame({"id": [f"n{i}" for i in range(100)], "text": "x"})
    content.to_csv(tmp_path / "table.csv", index=False)
    number = int(faults.tables.read_table(tmp_path / "table.csv")[0].index[0])
    wrong = [{"id": f"n{i - number}", "kind": "wrong_label", "detail": NAMES[true[i]]} for i in flipped if i >= number]
    pd.DataFrame(wrong).to_csv(tmp_path / "planted.csv", index=False)
    made = suspects.Suspects(data, judged, tmp_path / "table.csv", "planted.csv")
    learnt = suspects.out_of_fold(data)
    pd.testing.assert_frame_equal(made.list, suspects.suspect_list(learnt, judged))
    pd.testing.assert_frame_equal(made.pairs(), suspects.overlapping_pairs(learnt).round(3))
    assert made.wrong_labels == {i: NAMES[true[i]] for i in flipped if i >= number}
    assert made.scores.loc["label suspects", "planted"] == len(wrong)
    edited = made.list.assign(action=["keep"] * (len(made.list) - 1) + ["drop"])
    edited.to_csv(tmp_path / "edited.csv", index=False)
    assert made.with_edits(tmp_path / "edited.csv")["action"].tolist() == ["drop"] + ["keep"] * (len(edited) - 1)
