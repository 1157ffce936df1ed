"""The training-size curve: nested stratified rows, scikit-learn on the same rows, and verdicts on made-up curves."""

import numpy as np
import pandas as pd
import pytest
from lazily import Lazy
from scipy import sparse
from sklearn.svm import LinearSVC

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.evaluation import sizes
from fusebook.evaluation.intervals import share_interval
from fusebook.findings import Findings

network = Lazy("fusebook.models.network")


def test_every_beginning_holds_the_classes_in_their_shares():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    order = sizes.nested_order(labels)
    assert sorted(order) == list(range(1000))
    assert set(labels[order[:3]]) == {0, 1, 2}
    for size in (50, 100, 500):
        np.testing.assert_allclose(np.bincount(labels[order[:size]]) / size, [0.6, 0.3, 0.1], atol=0.06)


def test_sizes_double():
    assert sizes.training_sizes(8000, 10) == [500, 1000, 2000, 4000, 8000]
    assert sizes.training_sizes(100, 20) == [50, 100]
    assert sizes.training_sizes(10, 20) == []


def two_classes(n_rows=1200):
    """The class is the sign of a noisy mean of 30 features, which two parts share: more rows find it better."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, n_rows)
    values = (rng.normal(size=(n_rows, 30)) + 0.25 * (2 * labels[:, None] - 1)).astype(np.float32)
    rows = pd.DataFrame({"row": np.arange(n_rows), "class_id": labels, "group": np.arange(n_rows) // 2})
    rows["split"] = rng.choice(["train", "validation", "test", "dropped"], n_rows, p=[0.6, 0.1, 0.25, 0.05])
    blocks, present = (
        {"audio": values[:, :10], "text": values[:, 10:]},
        {p: np.ones(n_rows, bool) for p in ("audio", "text")},
    )
    return Dataset(rows, ["a", "b"], Features(blocks, present, sparse.csr_array(values)))


@pytest.fixture(scope="module")
def curve():
    return sizes.SizeCurve(two_classes()).table


def test_a_curve_of_few_features_rises(curve):
    data = two_classes()
    for name in ("MLP", "linear SVM"):
        lines = curve[curve["model"] == name]
        assert lines["rows"].tolist() == [len(data.train) // part for part in (16, 8, 4, 2, 1)]
        assert lines["accuracy"].iloc[-1] > lines["accuracy"].iloc[0] + 0.05, name
    majority = curve.loc[curve["model"] == "majority", "accuracy"].iloc[-1]
    assert majority == np.mean(data.test.labels == np.bincount(data.train.labels).argmax())
    for line in curve.itertuples():
        assert line.accuracy == line.right.mean() and (line.low, line.high) == share_interval(
            line.right, data.test.groups
        )


def test_linear_answers_are_scikit_learns_on_the_same_rows(curve):
    """Each size learns from the first rows of one order, and from no validation, test or dropped row."""
    data, lines = two_classes(), curve[curve["model"] == "linear SVM"]
    order = sizes.nested_order(data.train.labels)
    values, test = data.train.features.ngrams, data.test
    for line in lines.itertuples():
        rows = order[: line.rows]
        model = LinearSVC(C=0.5, random_state=0).fit(values[rows], data.train.labels[rows])
        np.testing.assert_array_equal(line.right, model.predict(test.features.ngrams) == test.labels)


def test_the_mlp_is_the_network_of_these_rows(curve):
    """All parts, the default settings, the rows in their nested order: the last line is one training over all rows."""
    data, line = two_classes(), curve[curve["model"] == "MLP"].iloc[-1]
    split, order = data.rows["split"].to_numpy(), sizes.nested_order(data.train.labels)
    rows = np.concatenate([np.flatnonzero(split == "train")[order], np.flatnonzero(split == "validation")])
    made = network.Network().fit(data[rows])
    assert made.parts_ == ["audio", "text"]
    np.testing.assert_array_equal(line["right"], made.predict(data.test).argmax(axis=1) == data.test.labels)


def test_few_training_rows_have_no_curve():
    data = two_classes(30)
    few = data[
        np.append(np.flatnonzero(data.rows["split"] != "train"), np.flatnonzero(data.rows["split"] == "train")[:3])
    ]
    made = sizes.SizeCurve(few)
    assert len(made.table) == 0 and list(made.table) == ["model", "rows", "accuracy", "low", "high", "right"]
    assert made.verdict("MLP") == ("too few rows", "note", {})


def test_one_class_alone_is_answered():
    assert sizes.linear_answers(np.eye(3), np.zeros(3, int), sparse.csr_array(np.eye(2, 3))).tolist() == [0, 0]


# --- Verdicts -----------------------------------------------------------------------------------------


def curve_of(before, after, others=()):
    lines = [{"model": "MLP", "rows": rows, "right": right} for rows, right in ((400, before), (800, after))]
    made = sizes.SizeCurve.__new__(sizes.SizeCurve)
    made.table, made._groups, made._other_gains = pd.DataFrame(lines), None, {"MLP": list(others)}
    return made


@pytest.mark.parametrize(
    ("gained", "lost", "n_rows", "said"),
    [
        (60, 20, 1000, "more rows would probably help"),
        (20, 20, 5000, "more rows of this kind would hardly help"),
        (20, 12, 200, "can't be told, as 200 test rows show"),
        (0, 0, 15, "can't be told, as 15 test rows show"),  # two models that agree on a few rows
        (10, 60, 1000, "more rows of this kind would hardly help"),
    ],
)
def test_the_verdict_follows_the_last_doubling(gained, lost, n_rows, said):
    before = np.repeat([False, True, True], [gained, lost, n_rows - gained - lost])
    after = np.repeat([True, False, True], [gained, lost, n_rows - gained - lost])
    (found,) = Findings("04_error_analysis").add_all([curve_of(before, after).verdict("MLP")])
    assert said in found.text and f"from 400 to 800, brought MLP {100 * (gained - lost) / n_rows:+.1f}" in found.text
    assert found.place == "Would more rows help?" and found.severity == ("look" if "probably" in said else "note")


def test_a_gain_that_other_trainings_do_not_have_is_not_sure():
    before, after = np.repeat([False, True, True], [60, 20, 920]), np.repeat([True, False, True], [60, 20, 920])
    others = [before.astype(int) - after, np.zeros(1000, int)]
    assert curve_of(before, after).verdict("MLP")[0] == "more rows help"
    assert curve_of(before, after, others).verdict("MLP")[0] == "more rows unsure"
