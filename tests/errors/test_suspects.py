"""Suspects among training rows: probabilities out of fold against scikit-learn, planted flips, classes that overlap."""

import multiprocessing

import numpy as np
import pandas as pd
import pytest
from cleanlab.rank import get_self_confidence_for_each_label
from guesses import drawn_labels
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.predictions import Predictions
from fusebook.errors import faults, suspects
from fusebook.evaluation.intervals import share_interval
from fusebook.evaluation.scores import count_text, interval_text

NAMES = ["money", "sport", "技术"]
COLUMNS = ["row", "split", "label", "suggested", "label_probability", "audit", "action", "text"]


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
    assert list(found) == COLUMNS
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
    assert list(listed) == COLUMNS
    assert listed["label_probability"].is_monotonic_increasing and set(listed["action"]) == {""}
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


def counts(**given):
    """What ``suspect_excess`` returns, by hand."""
    made = {"count": 9, "expected": 4.4, "low": 1.0, "high": 8.0, "wrong": 4.6, "wrong_low": 1.0, "wrong_high": 9.2}
    return made | {"detectable": 6.1} | given


@pytest.mark.parametrize(
    ("given", "key", "grade", "more"),
    [
        ({"wrong": 1.4}, "suspects", "note", {"wrong": 1, "wrong_low": 1, "wrong_high": 9}),
        ({}, "suspects", "look", {"wrong": 5, "wrong_low": 1, "wrong_high": 9}),
        ({"wrong": 10.0}, "suspects", "serious", {"wrong": 10, "wrong_low": 1, "wrong_high": 9}),
        ({"count": 8, "wrong": 30.0}, "suspects by chance", "note", {"detectable": 7}),
        ({"count": 8, "detectable": 60.5}, "suspects untold", "note", {}),
        ({"wrong": 30.0, "detectable": 60.5}, "suspects untold", "note", {}),
    ],
)
def test_what_is_graded_is_the_excess_over_chance(given, key, grade, more):
    made = found_among(answers(np.full((200, 3), 1 / 3), np.zeros(200, int), split="test", text=""), [1, 2, 500])
    made.excess = counts(**given)
    facts = {
        "count": made.excess["count"],
        "rows": 200,
        "model": "judge",
        "lines": 3,
        "expected": 4,
        "low": 1,
        "high": 8,
    }
    assert made.verdicts() == [(key, grade, facts | more)]


def test_planted_labels_are_scored_among_the_rows_judged():
    """Row 9 was a training row, row 3 one of the validation rows, on which no score is told."""
    split, predicted = ["test", "test", "validation", "test"], [1, 0, 0, 0]
    judged = answers(np.eye(3)[predicted], np.ones(4, int), row=[1, 2, 3, 4], split=split, text="")
    made = found_among(judged, [2, 4, 9], {2: "money", 3: "money", 9: "技术"})
    assert made.scores.to_dict("records") == [{"planted": 2, "found": 2, "hit": 1, "precision": 0.5, "recall": 0.5}]
    share = interval_text(2 / 3, *share_interval(np.array([True, True, False])))
    assert made.planted_verdicts() == [
        ("planted", "note", {"planted": 2, "recall": count_text(1, 2), "precision": count_text(1, 2)}),
        ("corrected", "note", {"model": "judge", "share": share, "rows": 3, "on": "test rows"}),
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
    edited = made.list.assign(action=[""] * (len(made.list) - 1) + ["drop"])
    edited.to_csv(tmp_path / "edited.csv", index=False)
    assert made.with_edits(tmp_path / "edited.csv")["action"].tolist() == ["drop"] + [""] * (len(edited) - 1)
    made.excess = counts()
    ((key, grade, facts),) = made.audit_verdicts("", tmp_path / "nowhere.csv")
    assert (key, grade, facts["lines"]) == ("audit of all", "note", len(made.list)) and facts["lines"] <= 30


def test_cross_fitted_rows_are_judged_by_the_folds_alone(three_classes):
    """All rows have an answer: no linear model is asked about training rows, and all count for the corrected score."""
    values, labels, _ = three_classes(90, 9)
    data, (probabilities, given, _, _) = data_of(values, labels), easy_set(120, 8)
    numbers, fold = np.arange(1000, 1120), np.repeat([1, 0], [90, 30])
    split = np.repeat(["train", "test"], [90, 30])
    judged = answers(probabilities, given, row=numbers, split=split, text="", fold=fold)
    made = suspects.Suspects(data, judged)
    pd.testing.assert_frame_equal(made.list, suspects.suspect_list(judged))
    pd.testing.assert_frame_equal(made.pairs(), suspects.overlapping_pairs(judged.chosen(slice(0, 90))).round(3))
    made.wrong_labels, made.scores = {1000: "money"}, suspects.suspect_scores(made.list, judged, {1000: "money"})
    (_, (key, _, facts)) = made.planted_verdicts()
    assert (key, facts["rows"], facts["on"]) == ("corrected", 120, "cross-fitted rows")
    part = suspects.Suspects(data, judged.chosen(np.arange(1, 120)))
    listed = part.list[part.list["row"] == 1000]
    assert set(part.list["row"]) - {1000} == set(suspects.suspect_list(part.judged)["row"]) and len(listed) <= 1


# --- How many are wrong ------------------------------------------------------------------------------


def answered(n_rows, n_classes, scale, share=0.0, *, copies=1, seed=0, factor=1.0):
    """A model that knows the true probabilities (``factor`` 1), and a share of wrong labels."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=scale, size=(n_rows // copies, n_classes))
    labels = drawn_labels(softmax(logits, axis=1), random)
    places = random.permutation(len(labels)) < share * len(labels)
    labels = np.where(places, (labels + random.integers(1, n_classes, len(labels))) % n_classes, labels)
    values, labels = (np.repeat(each, copies, axis=0) for each in (softmax(factor * logits, axis=1), labels))
    return Predictions.of({"m": values}, labels, groups=np.arange(n_rows) // copies)


@pytest.mark.parametrize(
    "world",
    [{"n_rows": 30, "n_classes": 2, "scale": 3}, {"n_rows": 100, "n_classes": 10, "scale": 3},
     {"n_rows": 100, "n_classes": 5, "scale": 0.1}, {"n_rows": 100, "n_classes": 5, "scale": 2.5, "copies": 4}],
    ids=["few rows", "many classes", "random labels", "copies"],
)  # fmt: skip
def test_a_table_without_a_wrong_label_has_no_excess(world):
    made = suspects.suspect_excess(answered(**world), "m", n_draws=25)
    assert made["low"] <= made["count"] <= made["high"] and made["wrong_low"] == 0
    assert made["detectable"] > 0 and made["expected"] > 0


@pytest.mark.parametrize("factor", [1.0, 0.4], ids=["true probabilities", "temperature fitted on wrong labels"])
def test_one_wrong_label_in_ten_is_counted(factor):
    made = suspects.suspect_excess(answered(300, 5, 6, 0.1, factor=factor), "m", n_draws=25)
    assert made["count"] > made["high"] and made["wrong_low"] <= 30 <= made["wrong_high"]
    assert made["wrong"] == pytest.approx(30, abs=15)


@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1]], ids=str)
def test_the_excess_of_a_few_rows_is_no_crash(labels):
    made = suspects.suspect_excess(answers(np.full((len(labels), 3), 1 / 3), np.array(labels)), "judge", n_draws=5)
    assert made["wrong_low"] == 0 and made["wrong_high"] <= len(labels)


def test_the_sample_of_the_audit_is_numbered(monkeypatch):
    monkeypatch.setattr(suspects, "N_AUDITED", 4)
    probabilities, labels, _, _ = easy_set(100, 8)
    judged = answers(probabilities, labels, split="test", text="")
    listed = suspects.suspect_list(judged)
    assert sorted(listed["audit"]) == [""] * (len(listed) - 4) + ["1", "2", "3", "4"]
    pd.testing.assert_frame_equal(listed, suspects.suspect_list(judged))
