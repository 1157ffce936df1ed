"""Suspects among training rows: probabilities out of fold against scikit-learn, planted flips, classes that overlap."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from fusebook.errors import faults, suspects

NAMES = ["money", "sport", "技术"]


def three_classes(n_rows=300, n_flips=15, seed=0):
    """Numbers that tell the class, labels of which some were flipped, and which: values, labels, flipped."""
    rng = np.random.default_rng(seed)
    true = np.arange(n_rows) % 3
    values = rng.normal(size=(n_rows, 12)) + 4 * np.eye(3, 12)[true]
    flipped = rng.choice(n_rows, n_flips, replace=False)
    labels = true.copy()
    labels[flipped] = (true[flipped] + rng.integers(1, 3, n_flips)) % 3
    return values, labels, set(flipped.tolist())


# --- Out of fold --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, csr_array], ids=["dense", "sparse"])
def test_out_of_fold_is_scikit_learns(form):
    values, labels, _ = three_classes()
    made = suspects.out_of_fold(form(values), labels, 3, random_state=7)
    model = LogisticRegression(C=10, solver="saga", tol=0.01, random_state=7)
    folds = StratifiedKFold(5, shuffle=True, random_state=7)
    expected = cross_val_predict(model, form(values), labels, cv=folds, method="predict_proba")
    np.testing.assert_allclose(made, expected, atol=1e-9)


def test_no_row_is_judged_by_a_model_that_has_seen_its_copy():
    """Noise that nothing can be learnt from: who had seen a row's copy would know its label."""
    rng = np.random.default_rng(0)
    values, labels = np.repeat(rng.normal(size=(60, 200)), 2, axis=0), np.repeat(rng.integers(0, 2, 60), 2)
    groups = np.repeat(np.arange(60), 2)
    apart = suspects.out_of_fold(values, labels, 2, groups=groups).argmax(axis=1) == labels
    leaked = suspects.out_of_fold(values, labels, 2).argmax(axis=1) == labels
    assert leaked.mean() > 0.8 and apart.mean() < 0.65


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("labels", [[0, 1], [0, 0, 0], [0, 1, 2], [0, 0, 0, 0, 2], [0, 0, 1, 1, 1, 1, 1]], ids=str)
def test_tiny_tables_get_probabilities(labels):
    values = np.random.default_rng(0).normal(size=(len(labels), 3))
    made = suspects.out_of_fold(values, np.array(labels), 3)
    np.testing.assert_allclose(made.sum(axis=1), 1)
    found = suspects.training_suspects(made, np.array(labels), NAMES, pd.Series(range(len(labels))))
    assert list(found) == ["row", "label", "suggested", "label_probability"]
    assert not set(found["label"]) & {NAMES[k] for k in set(labels) if labels.count(k) == 1}


def test_a_class_that_no_other_fold_has_gets_nothing():
    labels = np.array([0, 0, 0, 0, 2])
    made = suspects.out_of_fold(np.random.default_rng(0).normal(size=(5, 3)), labels, 3)
    assert made[4, 2] == 0 and not made[:, 1].any()


@pytest.mark.parametrize("groups", [None, [4]], ids=["one row", "one group"])
def test_a_single_row_is_refused(groups):
    with pytest.raises(ValueError, match="expected two at least"):
        suspects.out_of_fold(np.zeros((1, 2)), np.array([0]), 2, groups=groups)


# --- Suspects and pairs -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_flips_among_training_rows_are_found(seed):
    values, labels, flipped = three_classes(seed=seed)
    made = suspects.out_of_fold(values, labels, 3)
    found = suspects.training_suspects(made, labels, NAMES, pd.Series(np.arange(1000, 1300)))
    scores = faults.detector_scores(set(found["row"] - 1000), flipped)
    assert scores["recall"] > 0.8 and scores["precision"] > 0.75
    assert set(found["row"].head(8) - 1000) <= flipped, "the surest come first"


def test_classes_that_overlap_come_first():
    """A quarter of the money rows are labelled sport; nothing else is wrong."""
    rng = np.random.default_rng(0)
    true = np.arange(300) % 3
    labels = np.where((true == 0) & (rng.random(300) < 0.25), 1, true)
    probabilities = 0.85 * np.eye(3)[true] + 0.05
    pairs = suspects.overlapping_pairs(probabilities, labels, NAMES)
    assert pairs.loc[0, ["label", "other"]].tolist() == ["money", "sport"] and len(pairs) == 1
    assert pairs.loc[0, "rows"] == pytest.approx((labels != true).sum(), abs=2)
    assert pairs.loc[0, "share"] == pytest.approx((labels != true).mean(), abs=0.01)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("labels", [[0, 0, 0], [2, 2], [0, 2] * 6], ids=["one", "the last", "a class without rows"])
def test_pairs_of_classes_without_rows_are_no_crash(labels):
    labels = np.array(labels)
    pairs = suspects.overlapping_pairs(0.9 * np.eye(3)[labels] + 0.1 / 3, labels, NAMES)
    assert pairs.empty and list(pairs) == ["label", "other", "rows", "share"]


def test_the_list_is_ranked_over_all_splits():
    rows = pd.DataFrame(
        {"row": [5, 6, 7, 8], "split": ["train", "test", "train", "test"], "text": ["a", "b", "c", "d"]}
    )
    one = pd.DataFrame({"row": [7, 5], "label": "x", "suggested": "y", "label_probability": [0.1, 0.4]})
    other = pd.DataFrame({"row": [8], "label": "y", "suggested": "x", "label_probability": [0.2]})
    listed = suspects.suspect_list([one, other], rows)
    assert listed["row"].tolist() == [7, 8, 5] and listed["split"].tolist() == ["train", "test", "train"]
    assert set(listed["action"]) == {"keep"} and listed["text"].tolist() == ["c", "d", "a"]
    with pytest.raises(pd.errors.MergeError):
        suspects.suspect_list([one, one], rows)
