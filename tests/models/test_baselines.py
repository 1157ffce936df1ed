"""Baselines against direct calls of scikit-learn, hand-counted sizes, and tables that lack something."""

import sys
import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

from fusebook.evaluation import scores
from fusebook.models import baselines
from fusebook.models.baselines import FASTTEXT, LOGISTIC, NAIVE_BAYES, SVM, fit_baselines, join_dense
from fusebook.models.network import calibrate, fit_temperature

MLP, RECIPE = "MLPClassifier (word vectors)", "classic recipe (word vectors)"
WORDS = [["goal", "match", "team"], ["bank", "stock", "price"], ["film", "song", "star"]]


def table(n_rows=240, n_classes=3, seed=0):
    """Texts that mix the words of their class with those of others, their bag, dense features, labels, splits."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, n_classes, n_rows)
    drawn = np.where(random.random((n_rows, 6)) < 0.6, labels[:, None], random.integers(0, 3, (n_rows, 6)))
    texts = [" ".join(WORDS[number][random.integers(3)] for number in row) for row in drawn]
    dense = (random.normal(size=(n_rows, 5)) + 2 * np.eye(3, 5)[labels]).astype(np.float32)
    part = random.permutation(np.arange(n_rows) % 4)
    splits = {"train": part < 2, "validation": part == 2, "test": part == 3}
    return csr_array(TfidfVectorizer().fit_transform(texts)), dense, labels, splits, texts


@pytest.fixture(scope="module")
def fitted():
    bag, dense, labels, splits, texts = table()
    return fit_baselines(bag, dense, labels, splits, n_classes=3, texts=texts)


def all_are_probabilities(made, splits, n_classes):
    for answer in made.values():
        for part in ("validation", "test"):
            values = getattr(answer, part)
            assert values.shape == (splits[part].sum(), n_classes)
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
def test_answers_are_scikit_learns_at_a_temperature_from_validation_rows(fitted, name, model, reads_bag):
    bag, dense, labels, splits, _ = table()
    features = bag if reads_bag else dense
    model.fit(features[splits["train"]], labels[splits["train"]])
    raw = {part: model.predict_proba(features[splits[part]]) for part in ("validation", "test")}
    temperature = fit_temperature(raw["validation"], labels[splits["validation"]])
    for part, values in raw.items():
        np.testing.assert_allclose(getattr(fitted[0][name], part), calibrate(values, temperature), atol=1e-6)
    assert accuracy_score(labels[splits["test"]], fitted[0][name].test.argmax(axis=1)) > 0.7


def test_margins_of_the_svm_become_probabilities(fitted):
    bag, _, labels, splits, _ = table()
    model = LinearSVC(C=0.5, random_state=42).fit(bag[splits["train"]], labels[splits["train"]])
    margins = [model.decision_function(bag[splits[part]]) for part in ("test", "validation")]
    expected = baselines.margins_to_probabilities(*margins, labels[splits["validation"]])
    np.testing.assert_allclose(fitted[0][SVM].test, expected)
    assert (fitted[0][SVM].test.argmax(axis=1) == model.predict(bag[splits["test"]])).all()


def test_majority_is_scikit_learns_prior(fitted):
    bag, _, labels, splits, _ = table()
    model = DummyClassifier(strategy="prior").fit(bag[splits["train"]], labels[splits["train"]])
    np.testing.assert_allclose(fitted[0]["majority"].test, model.predict_proba(bag[splits["test"]]))


def test_the_classic_recipe_learns_and_has_its_layers(fitted):
    _, dense, labels, splits, _ = table()
    answer = fitted[0][RECIPE]
    assert accuracy_score(labels[splits["test"]], answer.test.argmax(axis=1)) > 0.7
    numbers = (dense.shape[1] + 1) * 100 + 101 * 50 + 51 * 3
    assert 4 * numbers < answer.n_bytes < 4 * numbers + 2000  # and a few hundred bytes of header an array


def test_sizes_follow_the_columns_and_costs_are_positive(fitted):
    bag = table()[0]
    assert 8 * 3 * bag.shape[1] < fitted[0][SVM].n_bytes < 8 * 3 * bag.shape[1] + 1500
    for name, answer in fitted[0].items():
        assert answer.n_bytes > 0
        assert name == "majority" or (answer.seconds > 0 and answer.rows_a_second > 0)


def test_same_seed_same_answers_and_inputs_stay_as_they_are(fitted):
    bag, dense, labels, splits, texts = table()
    made, _ = fit_baselines(bag, dense, labels, splits, n_classes=3, texts=texts)
    for name, answer in made.items():
        np.testing.assert_array_equal(answer.test, fitted[0][name].test)
    again = table()
    assert (bag != again[0]).nnz == 0
    np.testing.assert_array_equal(dense, again[1])


# --- Tables that lack something -----------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_class_without_training_rows_gets_nothing(n_classes):
    bag, dense, labels, splits, texts = table()
    labels = np.where(labels < n_classes, labels, 0) * 2 + 1  # 1, 3 (and 5); 0, 2 and 6 are nobody's
    labels[np.flatnonzero(splits["validation"] | splits["test"])[::7]] = 6
    made, _ = fit_baselines(bag, dense, labels, splits, n_classes=7, texts=texts)
    all_are_probabilities(made, splits, 7)
    model = LinearSVC(C=0.5, random_state=42).fit(bag[splits["train"]], labels[splits["train"]])
    assert (made[SVM].test.argmax(axis=1) == model.predict(bag[splits["test"]])).all()
    for name, answer in made.items():
        if name != RECIPE:  # a network has an output for each class
            assert not answer.test[:, [0, 2, 4 if n_classes == 2 else 6]].any()
    assert (
        scores.score_table({name: answer.test for name, answer in made.items()}, labels[splits["test"]])["accuracy"]
        .between(0, 1)
        .all()
    )


def test_of_one_class_only_its_shares_are_known():
    bag, dense, labels, splits, texts = table()
    labels[splits["train"]] = 1
    made, left_out = fit_baselines(bag, dense, labels, splits, n_classes=3, texts=texts)
    assert list(made) == ["majority"] and (made["majority"].test == [0, 1, 0]).all()
    assert list(left_out) == [NAIVE_BAYES, LOGISTIC, SVM, MLP, RECIPE, FASTTEXT]
    assert all("one class only" in reason for reason in left_out.values())


def test_without_a_bag_all_read_dense_features_and_naive_bayes_refuses_negative_ones():
    _, dense, labels, splits, _ = table()
    made, left_out = fit_baselines(None, dense, labels, splits, n_classes=3, dense_name="joined features")
    assert list(made) == [
        "majority", LOGISTIC, SVM, "MLPClassifier (joined features)", "classic recipe (joined features)",
    ]  # fmt: skip
    assert "negative" in left_out[NAIVE_BAYES] and "texts" in left_out[FASTTEXT]
    model = LinearSVC(C=0.5, random_state=42).fit(dense[splits["train"]], labels[splits["train"]])
    assert (made[SVM].test.argmax(axis=1) == model.predict(dense[splits["test"]])).all()
    made, left_out = fit_baselines(None, np.abs(dense), labels, splits, n_classes=3)
    assert NAIVE_BAYES in made and NAIVE_BAYES not in left_out


@pytest.mark.parametrize("dense", [None, np.empty((240, 0), np.float32)], ids=["none", "no columns"])
def test_without_dense_features_their_networks_are_left_out(dense):
    bag, _, labels, splits, _ = table()
    made, left_out = fit_baselines(bag, dense, labels, splits, n_classes=3)
    assert list(made) == ["majority", NAIVE_BAYES, LOGISTIC, SVM]
    assert "there are none" in left_out[MLP] and "there are none" in left_out[RECIPE]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("lacking", ["validation", "test"])
def test_without_validation_or_test_rows(lacking, n_classes):
    bag, dense, labels, splits, texts = table(n_classes=n_classes)
    splits[lacking] = np.zeros(len(labels), bool)
    made, _ = fit_baselines(bag, dense, labels, splits, n_classes=n_classes, texts=texts)
    all_are_probabilities(made, splits, n_classes)
    if lacking == "validation":  # nothing to fit a temperature on: scikit-learn's own probabilities
        model = MultinomialNB(alpha=0.1).fit(bag[splits["train"]], labels[splits["train"]])
        np.testing.assert_allclose(made[NAIVE_BAYES].test, model.predict_proba(bag[splits["test"]]), atol=1e-6)
    else:
        assert all(np.isnan(answer.rows_a_second) for answer in made.values())


def test_three_training_rows_are_enough():
    bag, dense, labels, splits, texts = table()
    splits["train"] &= np.isin(np.arange(len(labels)), [np.flatnonzero(splits["train"] & (labels == c))[0] for c in range(3)])  # fmt: skip
    made, _ = fit_baselines(bag, dense, labels, splits, n_classes=3, texts=texts)
    assert {NAIVE_BAYES, LOGISTIC, SVM, MLP, RECIPE} <= set(made)
    all_are_probabilities(made, splits, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dense": np.ones((2, 3))}, r"240 labels, but \{'dense': 2\} rows"),
        ({"texts": ["one"]}, r"240 labels, but \{'texts': 1\} rows"),
        ({"bag": None, "dense": None}, "Neither bag nor dense has a column"),
        ({"splits": {part: np.zeros(240, bool) for part in ("train", "validation", "test")}}, "No training rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused(change, said):
    values = dict(zip(("bag", "dense", "labels", "splits", "texts"), table(), strict=True))
    with pytest.raises(ValueError, match=said):
        fit_baselines(**values | change, n_classes=3)


def test_one_long_text_does_not_make_all_texts_as_long():
    bag, dense, labels, splits, texts = table()
    labels[splits["train"]] = 1
    texts[0] = "word " * 200_000
    tracemalloc.start()
    fit_baselines(bag, dense, labels, splits, n_classes=3, texts=texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # bytes; an array of strings would take 4 * 240 * 1,000,000


# --- fastText -----------------------------------------------------------------------------------------


def test_without_fasttext_the_reason_says_how_to_install_it(monkeypatch):
    bag, _, labels, splits, texts = table()
    monkeypatch.setitem(sys.modules, "fasttext", None)
    made, left_out = fit_baselines(bag, None, labels, splits, n_classes=3, texts=texts)
    assert FASTTEXT not in made
    assert left_out[FASTTEXT] == "not installed: pip install fasttext-community"


def test_texts_without_a_word_are_none():
    bag, _, labels, splits, texts = table()
    _, left_out = fit_baselines(bag, None, labels, splits, n_classes=3, texts=["…"] * len(texts))
    assert "there are none" in left_out[FASTTEXT]


def test_fasttext_learns_words_alone():
    """A text that looks like a label is no label, and a text without words has an answer too."""
    pytest.importorskip("fasttext", reason="the optional package fasttext-community is not installed")
    bag, _, labels, splits, texts = table()
    texts = [f"__label__0 \x020 </s> {text}\n\ud800" for text in texts]
    texts[np.flatnonzero(splits["test"])[0]] = ""
    made, _ = fit_baselines(bag, None, labels, splits, n_classes=3, texts=texts)
    all_are_probabilities(made, splits, 3)
    assert accuracy_score(labels[splits["test"]], made[FASTTEXT].test.argmax(axis=1)) > 0.7
    again, _ = fit_baselines(bag, None, labels, splits, n_classes=3, texts=texts)
    np.testing.assert_array_equal(made[FASTTEXT].test, again[FASTTEXT].test)


def test_fasttext_learns_long_texts_too():
    """Of hundreds of words, most of which say nothing of the label."""
    pytest.importorskip("fasttext", reason="the optional package fasttext-community is not installed")
    bag, _, labels, splits, texts = table(n_rows=600)
    random = np.random.default_rng(1)
    filler = [" ".join(f"w{number}" for number in random.integers(0, 500, 300)) for _ in texts]
    long = [" ".join([text] * 8 + [more]) for text, more in zip(texts, filler, strict=True)]
    made, _ = fit_baselines(bag, None, labels, splits, n_classes=3, texts=long)
    assert accuracy_score(labels[splits["test"]], made[FASTTEXT].test.argmax(axis=1)) > 0.6


def test_dense_blocks_are_joined_at_unit_spread_of_the_training_rows():
    rng = np.random.default_rng(0)
    blocks = {"audio": rng.normal(3, 5, (40, 2)), "text": rng.normal(0, 0.1, (40, 3)), "text_ngrams": np.ones((40, 4))}
    train = np.arange(40) < 30
    joined = join_dense(blocks, train)
    assert joined.shape == (40, 5)
    np.testing.assert_allclose([joined[train, :2].std(), joined[train, 2:].std()], 1)
    np.testing.assert_allclose(joined[:, :2] / joined[0, 0], blocks["audio"] / blocks["audio"][0, 0])
    assert join_dense({"text_ngrams": blocks["text_ngrams"]}, train) is None
    constant = join_dense({"image": np.zeros((40, 2))}, train)
    np.testing.assert_array_equal(constant, 0)
