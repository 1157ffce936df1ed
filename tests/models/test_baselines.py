"""Baselines against direct calls of scikit-learn, hand-counted sizes, and tables that lack something."""

import numpy as np
import pandas as pd
import pytest
from lazily import Lazy
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from tiny_networks import CLOSE

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.models.calibration import calibrate, fit_temperature

room = Lazy("fusebook.models.baselines")

MAJORITY, NAIVE_BAYES, LOGISTIC, SVM = "majority", "multinomial naive Bayes", "logistic regression", "linear SVM"
MLP, RECIPE = "MLPClassifier (word vectors)", "classic recipe (word vectors)"
WORDS = [["goal", "match", "team"], ["bank", "stock", "price"], ["film", "song", "star"]]
VECTORS = {"vectors": {"text": slice(0, 5)}}


def table(n_rows=240, n_classes=3):
    """The bag of texts that mix the words of their class with those of others, dense features, labels, split."""
    random = np.random.default_rng(0)
    labels = random.integers(0, n_classes, n_rows)
    drawn = np.where(random.random((n_rows, 6)) < 0.6, labels[:, None], random.integers(0, 3, (n_rows, 6)))
    texts = [" ".join(WORDS[number][random.integers(3)] for number in row) for row in drawn]
    dense = (random.normal(size=(n_rows, 5)) + 2 * np.eye(3, 5)[labels]).astype(np.float32)
    split = random.permutation(np.resize(["train", "train", "validation", "test"], n_rows))
    return csr_array(TfidfVectorizer().fit_transform(texts)), dense, labels, split


def dataset(bag, dense, labels, split, *, n_classes=3, kinds=VECTORS):
    """A data set of text alone: the bag as linear models read it, and the dense numbers as word vectors, where given."""
    blocks = {"text_weights": np.ones((len(labels), 2), np.float32)} | ({} if dense is None else {"text": dense})
    features = Features(blocks, {"text": np.ones(len(labels), bool)}, bag, kinds if dense is not None else {})
    rows = pd.DataFrame({"row": np.arange(len(labels)), "split": split, "class_id": labels})
    return Dataset(rows, list(map(str, range(n_classes))), features)


@pytest.fixture(scope="module")
def data():
    return dataset(*table())


@pytest.fixture(scope="module")
def fitted(data):
    return room.Baselines().fit(data)


def all_are_probabilities(made, data):
    for part in (data.validation, data.test):
        for values in made.predict(part).values():
            assert values.shape == (len(part), data.n_classes)
            assert np.isfinite(values).all() and (values >= 0).all()
            np.testing.assert_allclose(values.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("name", "model", "reads_bag"),
    [
        (NAIVE_BAYES, MultinomialNB(alpha=0.1), True),
        (LOGISTIC, LogisticRegression(C=10, solver="saga", tol=0.01, random_state=42), True),
        (MLP, MLPClassifier((100, 50), batch_size=32, max_iter=10, random_state=42), False),
    ],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_answers_are_scikit_learns_at_a_temperature_from_validation_rows(data, fitted, name, model, reads_bag):
    bag, dense, _, split = table()
    values = bag if reads_bag else dense / dense[split == "train"].std()
    model.fit(values[split == "train"], data.train.labels)
    temperature = fit_temperature(model.predict_proba(values[split == "validation"]), data.validation.labels)
    for part in (data.validation, data.test):
        raw = model.predict_proba(values[split == part.rows["split"].iloc[0]])
        np.testing.assert_allclose(fitted.predict(part)[name], calibrate(raw, temperature), atol=CLOSE)
    assert accuracy_score(data.test.labels, fitted.predict(data.test).predicted(name)) > 0.7


@pytest.mark.parametrize("n_classes", [2, 3])
def test_margins_of_the_svm_become_probabilities(n_classes):
    """One margin a row where there are two classes: its sign says which."""
    bag, dense, labels, split = table(n_classes=n_classes)
    data = dataset(bag, dense, labels, split, n_classes=n_classes)
    made = room.Baselines().fit(data).predict(data.test, [SVM])
    model = LinearSVC(C=0.5, random_state=42).fit(bag[split == "train"], data.train.labels)
    margins = [model.decision_function(bag[split == part]) for part in ("validation", "test")]
    shares = [softmax(np.column_stack([-m, m]) if m.ndim == 1 else m, axis=1) for m in margins]
    expected = calibrate(shares[1], fit_temperature(shares[0], data.validation.labels))
    np.testing.assert_allclose(made[SVM], expected)
    assert (made.predicted(SVM) == model.predict(bag[split == "test"])).all()


def test_majority_is_scikit_learns_prior(data, fitted):
    model = DummyClassifier(strategy="prior").fit(np.zeros((len(data.train), 1)), data.train.labels)
    wanted = model.predict_proba(np.zeros((len(data.test), 1)))
    np.testing.assert_allclose(fitted.predict(data.test, [MAJORITY])[MAJORITY], wanted)


def test_the_classic_recipe_learns_and_has_its_layers(data, fitted):
    assert accuracy_score(data.test.labels, fitted.predict(data.test).predicted(RECIPE)) > 0.7
    numbers = (5 + 1) * 100 + 101 * 50 + 51 * 3
    assert 4 * numbers < fitted.costs(data.test)[RECIPE].n_bytes < 4 * numbers + 2000  # a few hundred of header each


def test_sizes_follow_the_columns_and_costs_are_positive(data, fitted):
    costs, n_ngrams = fitted.costs(data.test), data.features.n_ngrams
    assert list(costs) == list(fitted) == [MAJORITY, NAIVE_BAYES, LOGISTIC, SVM, MLP, RECIPE]
    assert 8 * 3 * n_ngrams < costs[SVM].n_bytes < 8 * 3 * n_ngrams + 1500
    for name, cost in costs.items():
        assert cost.n_bytes > 0
        assert name == MAJORITY or (cost.seconds > 0 and cost.rows_a_second > 0)
    assert costs[MAJORITY].seconds == 0 and np.isnan(costs[MAJORITY].rows_a_second)


def test_size_is_that_of_the_file_on_disk(tmp_path):
    arrays = [np.arange(12.0).reshape(3, 4), np.ones(5, np.float32)]
    np.savez(tmp_path / "arrays.npz", *arrays)
    assert room.array_bytes(iter(arrays)) == (tmp_path / "arrays.npz").stat().st_size


def test_same_seed_same_answers_and_inputs_stay_as_they_are(data, fitted):
    again = room.Baselines(random_state=42).fit(data)
    for name, values in again.predict(data.test).items():
        np.testing.assert_array_equal(values, fitted.predict(data.test)[name])
    bag, dense, _, _ = table()
    assert (bag != data.features.ngrams).nnz == 0
    np.testing.assert_array_equal(data.features.blocks["text"], dense)


def test_dense_blocks_are_joined_at_unit_spread_of_the_training_rows():
    """Without word vectors all dense blocks are read side by side, and a block that never changes drowns nobody."""
    random = np.random.default_rng(0)
    blocks = {"audio": random.normal(3, 5, (40, 2)), "image": np.zeros((40, 2)), "text": random.normal(0, 0.1, (40, 3))}
    split = np.where(np.arange(40) < 30, "train", "test")
    present = {name: np.ones(40, bool) for name in blocks}
    rows = pd.DataFrame({"row": np.arange(40), "split": split, "class_id": np.arange(40) % 2})
    data = Dataset(rows, ["a", "b"], Features(blocks | {"text_ngrams": np.ones((40, 4), int)}, present))
    made = room.Baselines().fit(data)
    train, scaled = split == "train", dict(blocks)
    for name in ("audio", "text"):
        scaled[name] = blocks[name] / blocks[name][train].std()
    joined = np.hstack([scaled[name] for name in sorted(scaled)])
    model = LinearSVC(C=0.5, random_state=42).fit(joined[train], data.train.labels)
    np.testing.assert_array_equal(made.predict(data.test).predicted(SVM), model.predict(joined[~train]))
    assert {"MLPClassifier (joined features)", "classic recipe (joined features)"} <= set(made)


# --- Tables that lack something -----------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_class_without_training_rows_gets_nothing_and_has_no_say_in_the_temperature(n_classes):
    bag, dense, labels, split = table()
    labels = np.where(labels < n_classes, labels, 0) * 2 + 1  # 1, 3 (and 5); 0, 2 and 6 are nobody's
    labels[np.flatnonzero(split != "train")[::7]] = 6
    data = dataset(bag, dense, labels, split, n_classes=7)
    made = room.Baselines().fit(data)
    all_are_probabilities(made, data)
    answers = made.predict(data.test)
    model = MultinomialNB(alpha=0.1).fit(bag[split == "train"], data.train.labels)
    known = data.validation.labels != 6
    raw = model.predict_proba(bag[split == "validation"])[known]
    temperature = fit_temperature(raw, (data.validation.labels[known] - 1) // 2)
    wanted = calibrate(model.predict_proba(bag[split == "test"]), temperature)
    np.testing.assert_allclose(answers[NAIVE_BAYES][:, model.classes_], wanted, atol=1e-9)
    for name, values in answers.items():
        if name != RECIPE:  # a network has an output for each class
            assert not values[:, [0, 2, 4 if n_classes == 2 else 6]].any()


def test_of_one_class_only_its_shares_are_known():
    bag, dense, labels, split = table()
    labels[split == "train"] = 1
    data = dataset(bag, dense, labels, split)
    made = room.Baselines().fit(data)
    assert list(made) == [MAJORITY] and (made.predict(data.test)[MAJORITY] == [0, 1, 0]).all()
    assert made.linear == MAJORITY
    left_out = made.left_out()["left out because"]
    assert list(left_out.index) == [NAIVE_BAYES, LOGISTIC, SVM, MLP, RECIPE]
    assert left_out.str.contains("one class only").all()


def test_without_a_bag_all_read_dense_features_and_naive_bayes_refuses_negative_ones():
    _, dense, labels, split = table()
    data = dataset(None, dense, labels, split, kinds={})
    made = room.Baselines().fit(data)
    assert list(made) == [
        MAJORITY, LOGISTIC, SVM, "MLPClassifier (joined features)", "classic recipe (joined features)",
    ]  # fmt: skip
    assert list(made.left_out_) == [NAIVE_BAYES] and "negative" in made.left_out_[NAIVE_BAYES]
    assert made.linear == SVM
    scaled = dense / dense[split == "train"].std()
    model = LinearSVC(C=0.5, random_state=42).fit(scaled[split == "train"], data.train.labels)
    assert (made.predict(data.test).predicted(SVM) == model.predict(scaled[split == "test"])).all()
    made = room.Baselines().fit(dataset(None, np.abs(dense), labels, split))
    assert NAIVE_BAYES in made and made.left_out().empty


def test_without_dense_features_their_networks_are_left_out():
    bag, _, labels, split = table()
    made = room.Baselines().fit(dataset(bag, None, labels, split))
    assert list(made) == [MAJORITY, NAIVE_BAYES, LOGISTIC, SVM]
    assert len(made.left_out_) == 2 and all("there are none" in reason for reason in made.left_out_.values())


@pytest.mark.parametrize("lacking", ["validation", "test"])
def test_without_validation_or_test_rows(lacking):
    bag, dense, labels, split = table()
    data = dataset(bag, dense, labels, np.where(split == lacking, "left out", split))
    made = room.Baselines().fit(data)
    all_are_probabilities(made, data)
    if lacking == "validation":  # nothing to fit a temperature on: scikit-learn's own probabilities
        model = MultinomialNB(alpha=0.1).fit(bag[split == "train"], data.train.labels)
        wanted = model.predict_proba(bag[split == "test"])
        np.testing.assert_allclose(made.predict(data.test)[NAIVE_BAYES], wanted, atol=1e-6)
    else:
        assert all(np.isnan(cost.rows_a_second) for cost in made.costs(data.test).values())


def test_three_training_rows_are_enough():
    bag, dense, labels, split = table()
    first = [np.flatnonzero((split == "train") & (labels == number))[0] for number in range(3)]
    split[(split == "train") & ~np.isin(np.arange(240), first)] = "left out"
    data = dataset(bag, dense, labels, split)
    made = room.Baselines().fit(data)
    assert list(made) == [MAJORITY, NAIVE_BAYES, LOGISTIC, SVM, MLP, RECIPE]
    all_are_probabilities(made, data)


def test_what_cannot_be_fitted_is_refused():
    bag, dense, labels, split = table()
    with pytest.raises(ValueError, match="0 training rows with"):
        room.Baselines().fit(dataset(bag, dense, labels, np.full(240, "test")))
    empty = dataset(bag, dense, labels, split).with_features(Features({}, {}))
    with pytest.raises(ValueError, match="120 training rows with no features; expected some"):
        room.Baselines().fit(empty)
