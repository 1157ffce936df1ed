"""Error analysis against cases counted by hand, and scikit-learn's neighbours."""

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from fusebook import findings
from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.predictions import Predictions
from fusebook.errors.mistakes import (
    Mistakes,
    confusion_order,
    nearest_rows,
    nearest_training_rows,
    row_table,
    short_names,
)
from fusebook.evaluation.scores import class_table

NAMES = ["财经", "b", "c"]


def judged(label, predicted, confidence=None):
    """The mistakes of a model that gives these answers to rows from 10 on; labels are a, b and c."""
    labels, answers = (np.array(["abc".index(name) for name in names], int) for names in (label, predicted))
    sure = np.full(len(labels), 0.6) if confidence is None else np.array(confidence)
    values = np.where(np.eye(3)[answers] > 0, sure[:, None], (1 - sure[:, None]) / 2)
    rows = np.arange(10, 10 + len(labels))
    return Mistakes(Predictions.of({"m": values}, labels, label_names=list("abc"), row=rows), "m")


# --- Row table, pairs, mistakes -----------------------------------------------------------------------


def test_row_table_by_hand():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    table = row_table(Predictions.of({"m": probabilities}, [0, 1], label_names=NAMES, row=[7, 3]), "m")
    assert list(table) == ["row", "predicted", "confidence", "label", "right", "loss"]
    assert table["row"].tolist() == [7, 3]
    assert table["predicted"].tolist() == ["财经", "c"] and table["label"].tolist() == ["财经", "b"]
    assert table["right"].tolist() == [True, False]
    np.testing.assert_allclose(table["confidence"], [0.7, 0.6])
    np.testing.assert_allclose(table["loss"], -np.log([0.7, 0.3]))


def test_row_table_without_labels():
    rows = pd.DataFrame({"row": [4]})
    table = row_table(Predictions({"m": np.array([[0.7, 0.2, 0.1]])}, rows, NAMES), "m")
    assert table.to_dict("list") == {"row": [4], "predicted": ["财经"], "confidence": [0.7]}


def test_confused_pairs_by_hand():
    #        rows: 10 to 21
    mistakes = judged("aaaaaabbbccc", "abbbcabaaacb")
    pairs = mistakes.pairs()
    assert pairs.to_dict("list") == {
        "label": ["a", "b", "c", "c", "a"],
        "predicted": ["b", "a", "a", "b", "c"],
        "count": [3, 2, 1, 1, 1],
        "share": [3 / 6, 2 / 3, 1 / 3, 1 / 3, 1 / 6],  # then ties: the larger share first, then by name
        "rows": [[11, 12, 13], [17, 18], [19], [21], [14]],
    }
    pd.testing.assert_frame_equal(mistakes.pairs(2), pairs.head(2))


def test_three_examples_at_most():
    pairs = judged("aaaaab", "bbbbbb").pairs()
    assert pairs["count"].tolist() == [5] and pairs["rows"].tolist() == [[10, 11, 12]]


def test_a_pair_that_is_confused_more_than_chance_is_told():
    mistakes = judged(
        "a" * 60 + "b" * 60 + "c" * 60,
        "a" * 35 + "b" * 24 + "c" + "b" * 50 + "a" * 5 + "c" * 5 + "c" * 48 + "a" * 10 + "bb",
    )
    [(key, grade, facts)] = mistakes.pair_verdicts()
    assert (key, grade) == ("confused", "look") and findings.say(key, **facts).startswith(
        "More often than chance would have it a is taken for b: 24 of its 60 test rows, 40.0 % [24.0, 57.7]. "
        "That is 96 % of its mistakes; of other labels' mistakes it is 17 % (p = "
    )
    assert mistakes.share_text("a", 24) == facts["share"]


@pytest.mark.parametrize(
    ("label", "predicted", "said"),
    [
        (
            "a" * 9 + "b" * 9 + "c" * 9,
            "aaaabbbbcbbbbaaccccccccaabb",
            "No two labels are confused more than chance would have it. The nearest to it is",
        ),
        ("abc", "abc", "None of 3 test rows is wrong."),
        ("aabbcc", "aabbca", "Wrong: 1 of 6 test rows. These are too few or too alike"),
        ("aabbcc", "abbbbc", "Wrong: 2 of 6 test rows. These are too few or too alike"),
    ],
    ids=["by chance", "no mistake", "one mistake", "one answer"],
)
def test_mistakes_that_chance_explains_are_for_the_record(label, predicted, said):
    [(key, grade, facts)] = judged(label, predicted).pair_verdicts()
    assert grade == "note" and findings.say(key, **facts).startswith(said)


def test_two_labels_have_no_pair_that_stands_out():
    answers = Predictions.of({"m": np.eye(2)[[0, 0, 0, 1, 1, 1, 1, 0]]}, [0] * 4 + [1] * 4, label_names=["x", "y"])
    [(key, grade, facts)] = Mistakes(answers, "m").pair_verdicts()
    assert grade == "note" and findings.say(key, **facts) == (
        "Of 8 test rows, x is taken for y 1 time, 25.0 % [0.3, 84.7] of its rows; y for x 1 time, 25.0 % [0.3, 84.7]."
    )


def test_copies_make_the_interval_of_a_share_wider():
    labels, predicted = np.repeat([0, 1, 2], 40), np.repeat([0, 1, 1, 2], [20, 20, 40, 40])
    options = {"label_names": list("abc")}
    alone, copied = (
        Mistakes(Predictions.of({"m": np.eye(3)[predicted]}, labels, groups=groups, **options), "m").share_text("a", 20)
        for groups in (np.arange(120), np.arange(120) // 4)
    )
    assert alone == "50.0 % [29.1, 70.9]" and copied.startswith("50.0 % [12.")


@pytest.mark.parametrize(
    ("right", "key", "grade"),
    [((56, 57, 57), "no weakest", "note"), ((57, 40, 57), "weakest", "look"), ((57, 57, 20), "weakest", "serious")],
)
def test_the_weakest_class_is_one_that_chance_does_not_make(right, key, grade):
    labels = np.repeat([0, 1, 2], 60)
    predicted = np.where(np.arange(180) % 60 < np.repeat(right, 60), labels, (labels + 1) % 3)
    answers = Predictions.of({"m": np.eye(4)[predicted]}, labels, label_names=["x" * 50, "b", "c", "none"], fold=1)
    [(made, given, facts)] = Mistakes(answers, "m").class_verdicts()
    assert (made, given, facts["on"], facts["classes"], facts["rows"]) == (key, grade, "cross-fitted rows", 3, 60)
    if key == "weakest":
        assert facts["label"] == "_bc"[int(np.argmin(right))]
        share = f"{100 * min(right) / 60:.1f} % ["
        assert facts["share"].startswith(share) and facts["others"] == "95.0"
        assert findings.say(made, **facts).startswith(f"The weakest class is {facts['label']}: {share}")
    else:
        assert 50 < int(facts["least"]) < 90 and facts["middle"] == 60
        assert findings.say(made, **facts).startswith(
            f"No class is told from the others. The furthest below them is {'x' * 39}…"
        )


def test_few_rows_tell_no_class_and_one_class_or_no_mistake_says_nothing():
    [(key, grade, facts)] = judged("abc", "abb").class_verdicts()
    assert (key, grade, facts["label"]) == ("classes too small", "note", "c")
    assert judged("abc", "abc").class_verdicts() == judged("aaa", "abc").class_verdicts() == []


def test_confident_mistakes_by_hand():
    mistakes = judged("aabbab", "abaabb", [0.9, 0.8, 0.99, 0.7, 0.8, 0.95])
    assert mistakes.most_confident()["row"].tolist() == [12, 11, 14, 13]
    assert mistakes.most_confident(1)["row"].tolist() == [12]


@pytest.mark.parametrize("label", ["abc", "aaa", ""], ids=["three classes", "one class", "no rows"])
def test_without_mistakes_the_tables_are_empty(label):
    mistakes = judged(label, label)
    pairs, surest = mistakes.pairs(), mistakes.most_confident()
    assert pairs.empty and list(pairs) == ["label", "predicted", "count", "share", "rows"]
    assert surest.empty and list(surest) == list(mistakes.table)


def test_the_confusion_matrix_is_pandass():
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 5, 80), random.integers(0, 4, 80)  # class 4 is never predicted
    names = ["a", "b", "c", "x" * 60, "e"]
    answers = Predictions.of({"m": np.eye(5)[predicted]}, labels, label_names=names)
    mistakes = Mistakes(answers, "m")
    made = mistakes.confusion()
    expected = pd.crosstab(labels, predicted).reindex(columns=range(5), fill_value=0)
    order = confusion_order(expected.to_numpy())
    assert made.index.tolist() == made.columns.tolist() == [short_names(names)[i] for i in order]
    assert (made.to_numpy() == expected.iloc[order, order]).all(axis=None)
    expected = class_table(answers, "m").set_axis(pd.Index(short_names(names), name="label")).round(3)
    pd.testing.assert_frame_equal(mistakes.classes(), expected)


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
    np.testing.assert_array_equal(cosines, [[0.0, 0.0]])


def test_the_nearest_training_rows_count_each_part_alike():
    rng = np.random.default_rng(1)
    blocks = {
        "audio": rng.normal(size=(40, 3)),
        "text": 100 * rng.normal(size=(40, 8)),
        "text_weights": rng.normal(size=(40, 9)),
    }
    rows = pd.DataFrame({"row": range(100, 140), "split": ["train", "train", "test", "dropped"] * 10, "label": "a"})
    rows["text"], rows["group"] = [f"text {i}" for i in range(40)], range(40)
    data = Dataset.of_rows(rows, Features(blocks, dict.fromkeys(["audio", "text"], np.ones(40, bool))))
    joined = np.hstack(
        [blocks[part] / np.linalg.norm(blocks[part], axis=1, keepdims=True) for part in ("audio", "text")]
    )
    train = np.flatnonzero(rows["split"] == "train")
    distances, places = NearestNeighbors(n_neighbors=2, metric="cosine").fit(joined[train]).kneighbors(joined[[6, 2]])
    made = nearest_training_rows(pd.Series([106, 102]), data, most=2)
    assert list(made) == [106, 102]
    for near, found, far in zip(made.values(), train[places], distances, strict=True):
        assert [line[:3] for line in near] == [(100 + i, "a", f"text {i}") for i in found]
        np.testing.assert_allclose([line[3] for line in near], 1 - far, atol=1e-12)
    assert nearest_training_rows([], data) == {}
    only_ngrams = data.with_features(Features({"text_weights": blocks["text_weights"]}, {"text": np.ones(40, bool)}))
    assert nearest_training_rows([102], only_ngrams) == {102: []}


def test_a_training_row_is_not_its_own_neighbour_nor_is_its_copy():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(12, 4))
    values[7] = values[3]
    rows = pd.DataFrame({"row": range(12), "split": "train", "label": "a", "text": "t"})
    rows["group"] = [3 if i == 7 else i for i in range(12)]
    data = Dataset.of_rows(rows, Features({"text": values}, {"text": np.ones(12, bool)}))
    expected = NearestNeighbors(n_neighbors=4, metric="cosine").fit(values).kneighbors(values[[3]])[1][0]
    ((found),) = nearest_training_rows([3], data, most=2).values()
    assert [line[0] for line in found] == [i for i in expected if i not in (3, 7)][:2]
