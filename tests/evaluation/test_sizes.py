"""The training-size curve: nested stratified rows, and verdicts on made-up curves."""

import numpy as np
import pandas as pd
import pytest

from fusebook.evaluation import sizes


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


def test_a_curve_of_one_feature_rises():
    """The class is the sign of a noisy mean of 30 features: more rows find it better; the majority stays at a half."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1200)
    values = rng.normal(size=(1200, 30)) + 0.25 * (2 * labels[:, None] - 1)
    train, test = np.arange(800), np.arange(800, 1200)
    models = {
        "linear": lambda rows: sizes.linear_answers(rows, values, labels, test),
        "majority": lambda rows: sizes.majority_answers(rows, labels, test),
    }
    curve = sizes.size_curve(models, train, labels, test)
    linear = curve[curve["model"] == "linear"]
    assert linear["rows"].tolist() == [50, 100, 200, 400, 800]
    assert linear["accuracy"].iloc[-1] > linear["accuracy"].iloc[0] + 0.05
    assert (curve["low"] <= curve["accuracy"]).all() and (curve["accuracy"] <= curve["high"]).all()
    majority = curve.loc[curve["model"] == "majority", "accuracy"].iloc[-1]
    assert majority == np.mean(labels[test] == np.bincount(labels[train]).argmax())


def test_an_mlp_learns_from_the_rows_given():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    features = {"text": (np.eye(3)[labels] * 3 + rng.normal(size=(400, 3))).astype(np.float32)}
    splits = {"validation": np.arange(250, 300), "test": np.arange(300, 400)}
    answers = sizes.mlp_answers(np.arange(250), features, {"text": np.ones(400, bool)}, labels, splits)
    assert (answers == labels[300:]).mean() > 0.8


def curve_of(before, after):
    lines = [{"model": "MLP", "rows": rows, "right": right} for rows, right in ((400, before), (800, after))]
    return pd.DataFrame(lines)


@pytest.mark.parametrize(
    ("gained", "lost", "n_rows", "said"),
    [
        (60, 20, 1000, "More training rows would help: MLP gained +4.0 points"),
        (20, 20, 5000, "More training rows would not help: MLP changed by +0.0 points"),
        (20, 12, 200, "can't be told: MLP changed by +4.0 points"),
        (10, 60, 1000, "More training rows would not help: MLP changed by -5.0 points"),
    ],
)
def test_the_verdict_follows_the_last_doubling(gained, lost, n_rows, said):
    before = np.repeat([False, True, True], [gained, lost, n_rows - gained - lost])
    after = np.repeat([True, False, True], [gained, lost, n_rows - gained - lost])
    found = sizes.verdict(curve_of(before, after), "MLP", "Would more rows help?")
    assert said in found.text and "from 400 to 800" in found.text
    assert found.severity == ("look" if "would help:" in said else "note")


def test_too_few_rows_have_no_verdict():
    assert "Too few" in sizes.verdict(curve_of([], [])[:1], "MLP", "").text


def test_one_class_alone_is_answered():
    answers = sizes.linear_answers(np.arange(3), np.eye(5), np.zeros(5, int), np.array([3, 4]))
    assert answers.tolist() == [0, 0]
