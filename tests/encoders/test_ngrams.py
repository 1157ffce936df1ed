"""The n-gram bag against scikit-learn's TfidfVectorizer and chi-squared, and the n-grams that tell most against a loop."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csr_array, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.preprocessing import normalize

from fusebook.encoders import ngrams
from fusebook.encoders.ngrams import NgramBag
from fusebook.encoders.tokens import tokenise

WORDS = [
    "match goal team coach player league score pitch 球队 进球 比赛",
    "bank market share price profit bond loan trade 银行 股市 价格",
    "chip software network data robot satellite 芯片 软件 网络 数据",
]
NOISE = [
    "the",
    "of",
    "Today",
    "today",
    "今天",
    "表示",
    "2026",
    "ÉTÉ",
    "İstanbul",
    "Straße",
    "😀",
    "1,200.5",
    "don't",
    "\n\n",
]
ODD = [
    "", " ", "\n \t", "!!!", "，。", "😀👨‍👩‍👧", "\x00", "a\x00b", "\ud83d", "goal\udc00team", "x" * 100_000, "字" * 100_000,
    "goal " * 20_000, "ሰላም мир 你好 goal مرحبا", "unheard words only", "goal  \n  team", "İİ", "ß ẞ", "\u200b", "\U0010ffff",
]  # fmt: skip


def made(n_texts, seed=0):
    """Texts of three classes, with noise, and their class numbers."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_texts) % 3
    lines = [[*rng.choice(WORDS[k].split(), 5), *rng.choice(NOISE, 4)] for k in labels]
    return [" ".join(line) + str(rng.choice(["。", "!", "  "])) for line in lines], labels


def cut(texts):
    return [tokenise(text) for text in texts]


def fit(texts, labels, **options):
    """A fitted bag and the training texts' rows in it."""
    bag = NgramBag(**options)
    return bag, bag.fit_transform(texts, cut(texts), labels)


def encode(bag, texts):
    return bag.transform(texts, cut(texts))


def vectorisers(fewest):
    options = {"min_df": fewest, "sublinear_tf": True}
    words = {"tokenizer": tokenise, "token_pattern": None, "lowercase": False, "ngram_range": (1, 2)}
    return [TfidfVectorizer(**words, **options), TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **options)]


def by_scikit_learn(texts, labels, others, fewest):
    """Names of columns (its kind, its n-gram), chi-squared, and the bags of both lists of texts, before any is chosen."""
    both = vectorisers(fewest)
    learnt = hstack([one.fit_transform(texts) for one in both], "csr")
    names = [(kind, name) for kind, one in enumerate(both) for name in one.get_feature_names_out()]
    return (
        names,
        np.nan_to_num(chi2(learnt, labels)[0]),
        learnt,
        hstack([one.transform(others) for one in both], "csr"),
    )


def named_columns(bag):
    """The names of the columns as ``by_scikit_learn`` gives them: 0 for words and 1 for characters, and the n-gram."""
    kinds = (bag.chosen_ >= len(bag.pairs_)).astype(int)
    return list(zip(kinds, bag.names(range(bag.n_ngrams_)), strict=True))


def check_against_scikit_learn(texts, labels, others, fewest):
    bag, learnt = fit(texts, labels)
    names, scores, expected_learnt, expected = by_scikit_learn(texts, labels, others, fewest)
    assert sorted(named_columns(bag)) == sorted(names)
    place = {name: column for column, name in enumerate(names)}
    order = [place[name] for name in named_columns(bag)]
    for got, wanted in ((learnt, expected_learnt), (encode(bag, others), expected)):
        np.testing.assert_allclose(got.toarray(), normalize(wanted[:, order]).toarray(), atol=1e-6)
    np.testing.assert_allclose(bag.scores_, scores[order], rtol=1e-4, atol=1e-6)


# --- Against scikit-learn -----------------------------------------------------------------------------


@pytest.mark.parametrize(("n_texts", "fewest"), [(49, 1), (50, 1), (51, 2), (90, 2)])
def test_every_column_is_scikit_learns(n_texts, fewest):
    texts, labels = made(n_texts)
    check_against_scikit_learn(texts, labels, made(20, seed=1)[0] + [t for t in ODD if len(t) < 100], fewest)


@pytest.mark.parametrize("seed", range(30))
def test_random_texts_over_few_characters_are_as_in_scikit_learn(seed):
    """Few characters meet often: doubled blanks, words of one letter, letters whose lower case has two characters."""
    rng = np.random.default_rng(seed)
    alphabet = list("abA  \n!İß球队\x00😀1")

    def some(count):
        return ["".join(rng.choice(alphabet, rng.integers(0, 15))) for _ in range(count)]

    texts = [*some(int(rng.integers(1, 80))), "a b"]
    labels = np.append(rng.integers(0, 3, len(texts) - 1), 3)
    check_against_scikit_learn(texts, labels, some(10), 2 if len(texts) > 50 else 1)


@pytest.mark.parametrize("max_ngrams", [1, 7, 150])
def test_the_chosen_are_those_with_the_highest_chi_squared(max_ngrams):
    texts, labels = made(90)
    bag, learnt = fit(texts, labels, max_ngrams=max_ngrams)
    names, scores, expected, _ = by_scikit_learn(texts, labels, texts, 2)
    assert learnt.shape == (90, max_ngrams) and bag.n_ngrams_ == max_ngrams
    place = {name: column for column, name in enumerate(names)}
    order = [place[name] for name in named_columns(bag)]
    assert len(set(order)) == max_ngrams
    # Where scores are equal at the limit, either may be chosen: the chosen scores are the same.
    chosen = SelectKBest(chi2, k=max_ngrams).fit(expected, labels).get_support()
    np.testing.assert_allclose(np.sort(bag.scores_), np.sort(scores[chosen]), rtol=1e-4)
    np.testing.assert_allclose(learnt.toarray(), normalize(expected[:, order]).toarray(), atol=1e-6)


def test_a_row_is_of_length_1_or_0():
    bag, learnt = fit(*made(60), max_ngrams=40)
    lengths = np.sqrt(encode(bag, [*made(20, seed=1)[0], "ሰላም"]).power(2).sum(axis=1))
    np.testing.assert_allclose(lengths, [1] * 20 + [0], atol=1e-6)
    np.testing.assert_allclose(np.sqrt(learnt.power(2).sum(axis=1)), 1, atol=1e-6)


def test_names_by_hand():
    bag, _ = fit(["Goal team", "goal x"], [0, 1])
    words = bag.names(np.flatnonzero(bag.chosen_ < len(bag.pairs_)))
    assert sorted(words) == ["goal", "goal team", "goal x", "team", "x"]
    characters = set(bag.names(np.flatnonzero(bag.chosen_ >= len(bag.pairs_))))
    assert {"g", "go", "goa", "oal", "l t", " te", "eam", "l x", " x", "x"} <= characters
    assert not characters & {"G", "Go", "goal", "m ", "mg"}
    assert bag.names([]) == []


# --- How it is computed -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_in_pieces_it_gives_the_same(monkeypatch, size):
    """Pieces smaller than a text, of several texts, and with texts without characters at their edges."""
    texts, labels = made(60)
    texts[0], texts[20:23], texts[-1] = texts[0] * 20, ["", "", ""], ""
    whole, learnt = fit(texts, labels)
    others = [*made(9, seed=1)[0], "", *ODD[:10], ""]
    expected = encode(whole, others)
    monkeypatch.setattr(ngrams, "_CHUNK", size)
    bag, pieces = fit(texts, labels)
    assert named_columns(bag) == named_columns(whole)
    np.testing.assert_array_equal(pieces.toarray(), learnt.toarray())
    np.testing.assert_array_equal(encode(bag, others).toarray(), expected.toarray())


def test_numbers_fit_what_scikit_learn_and_a_network_take():
    bag, learnt = fit(*made(60), max_ngrams=100)
    for rows in (learnt, encode(bag, made(5, seed=1)[0])):
        assert isinstance(rows, csr_array)
        assert rows.dtype == np.float32 and rows.indices.dtype == rows.indptr.dtype == np.int32
        assert rows.has_sorted_indices and rows.data.all()
    columns, weights = bag.most_telling(learnt)
    assert columns.dtype == np.int32 and weights.dtype == np.float32


def facts(bag):
    """All that a bag has learnt, as plain values."""
    arrays = [bag.chosen_, bag.scores_, *bag.idf_]
    return [list(bag.words_), bag.pairs_.tolist(), bag.pieces_.tolist(), bag.width_, *(a.tolist() for a in arrays)]


def test_transform_learns_nothing():
    texts, labels = made(60)
    bag, learnt = fit(texts, labels, width=10)
    before = facts(bag)
    bag.most_telling(encode(bag, [*ODD, "完全 不同 的 文字"] * 3))
    bag.kept_weight(learnt)
    assert facts(bag) == before
    np.testing.assert_array_equal(encode(bag, texts).toarray(), learnt.toarray())


def test_a_row_is_encoded_alone():
    bag, _ = fit(*made(60))
    others = [*made(10, seed=1)[0], *ODD]
    together = encode(bag, others).toarray()
    for i, text in enumerate(others):
        np.testing.assert_allclose(encode(bag, [text]).toarray()[0], together[i], atol=1e-7)


# --- Odd texts ----------------------------------------------------------------------------------------


def test_odd_texts_are_finite():
    bag, _ = fit(*made(60))
    rows = encode(bag, ODD)
    assert rows.shape == (len(ODD), bag.n_ngrams_)
    assert np.isfinite(rows.data).all()
    columns, weights = bag.most_telling(rows)
    assert np.isfinite(weights).all() and (columns >= 0).all() and (columns < bag.n_ngrams_).all()
    assert (rows[[0]].nnz, weights[0].any()) == (0, False)


def test_odd_texts_can_be_learnt():
    bag, learnt = fit([*ODD, "goal team"], np.arange(len(ODD) + 1) % 2)
    assert np.isfinite(learnt.data).all()
    names = bag.names(range(bag.n_ngrams_))
    assert {"\x00", "a\x00b", "\ud83d", "l\udc00t", "\U0010ffff", "字字字"} <= set(names)
    np.testing.assert_array_equal(encode(bag, [*ODD, "goal team"]).toarray(), learnt.toarray())


def test_no_texts_have_an_empty_bag():
    bag, learnt = fit(*made(60), width=10)
    assert encode(bag, []).shape == (0, bag.n_ngrams_)
    columns, weights = bag.most_telling(learnt[:0])
    assert columns.shape == weights.shape == (0, 10)
    assert bag.kept_weight(learnt[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("texts", "n_ngrams"),
    [
        (["a"], 2),  # the word and the character
        (["goal"] * 60, 1 + 4 + 3 + 2),
        (["ab", "cd"], 2 + 4 + 2),
        ([chr(0x4E00 + 7 * i) for i in range(60)], 2 * 60),  # nothing stands twice: everything is kept
        (["一" * 3] * 59 + ["goal"], None),
        (["goal team"] + [""] * 59, None),
        (["ß", "ss", *["!"] * 50, ""], None),  # one word in two texts, and no character of theirs
        (["ß", "ss", *[""] * 50], 1),
    ],
)
@pytest.mark.parametrize("n_classes", [1, 2])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # chi-squared of one class is 0 / 0
def test_the_poorest_texts_can_be_learnt(texts, n_ngrams, n_classes):
    bag, learnt = fit(texts, np.arange(len(texts)) % n_classes)
    assert n_ngrams in (None, bag.n_ngrams_)
    assert bag.n_ngrams_ >= 1 and np.isfinite(bag.scores_).all()
    lengths = np.sqrt(learnt.power(2).sum(axis=1))
    np.testing.assert_allclose(lengths, np.diff(learnt.indptr) > 0, atol=1e-6)
    columns, weights = bag.most_telling(encode(bag, [*texts, "", "else"]))
    assert columns.shape == weights.shape == (len(texts) + 2, bag.width_)


# --- What tells most ----------------------------------------------------------------------------------


def bag_of(scores, width):
    """A bag whose chi-squared values are ``scores``, as if it were fitted."""
    bag = NgramBag(width=width)
    bag.scores_, bag.width_ = np.array(scores, np.float32), width
    return bag


def test_what_tells_most_by_hand():
    """Weight times root: 0.6 x 1 < 0.48 x 2 < 0.64 x 3, so the first goes; what a short text has stays in its order."""
    rows = csr_array(np.array([[0.6, 0, 0.48, 0.64], [0, 0, 0, 0], [0.8, 0.6, 0, 0], [0, 1, 0, 0]], np.float32))
    bag = bag_of([1, 100, 4, 9], width=2)
    columns, weights = bag.most_telling(rows)
    assert columns.tolist() == [[3, 2], [0, 0], [0, 1], [1, 0]]
    np.testing.assert_allclose(weights, [[0.8, 0.6], [0, 0], [0.8, 0.6], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(bag.kept_weight(rows), [0.64, 1, 1, 1], atol=1e-6)


@pytest.mark.parametrize("width", [1, 3, 8, 40])
def test_what_tells_most_is_what_a_loop_finds(width):
    rng = np.random.default_rng(0)
    dense = normalize(rng.random((50, 30)) * (rng.random((50, 30)) < rng.random((50, 1)))).astype(np.float32)
    scores = rng.random(30)
    bag = bag_of(scores, width)
    columns, weights = bag.most_telling(csr_array(dense))
    shares = bag.kept_weight(csr_array(dense))
    for i, row in enumerate(dense):
        there = np.flatnonzero(row)
        kept = sorted(there, key=lambda column: -row[column] * np.sqrt(scores[column]))[:width]
        told = {column: weight for column, weight in zip(columns[i], weights[i], strict=True) if weight}
        assert set(told) == set(kept)
        length = np.linalg.norm(row[kept])
        np.testing.assert_allclose([told[column] for column in kept], row[kept] / (length or 1), rtol=1e-5)
        assert shares[i] == pytest.approx(length**2 if len(there) else 1, abs=1e-5)


@pytest.mark.parametrize(("width", "expected"), [(5, 5), (100_000, None)])
def test_the_width_is_no_more_than_a_training_text_has(width, expected):
    bag, learnt = fit(*made(60), width=width)
    assert bag.width_ == (expected or np.diff(learnt.indptr).max())


# --- Files --------------------------------------------------------------------------------------------


def test_it_comes_back_as_it_was(tmp_path):
    texts, labels = made(60)
    bag, learnt = fit([*texts, *ODD], np.append(labels, np.arange(len(ODD)) % 3), max_ngrams=300, width=30)
    (tmp_path / "new").mkdir()
    bag.save(tmp_path / "new")
    read = NgramBag.load(tmp_path / "new")
    assert facts(read) == facts(bag)
    assert (read.max_ngrams, read.width, read.n_ngrams_) == (300, 30, 300)
    np.testing.assert_array_equal(encode(read, [*texts, *ODD]).toarray(), learnt.toarray())
    for got, wanted in zip(read.most_telling(learnt), bag.most_telling(learnt), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert read.names(range(300)) == bag.names(range(300))


def test_saved_it_holds_no_pickle(tmp_path):
    fit(*made(60))[0].save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"ngrams.json", "ngrams.npz"}
    with np.load(tmp_path / "ngrams.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)


def test_every_process_numbers_the_ngrams_alike():
    """Python shuffles its sets anew in each process; columns, and with them the networks' first weights, must not."""
    code = """
from fusebook.encoders.ngrams import NgramBag
texts = [f"goal team {i % 7} coach match bank share {i % 5}" for i in range(60)]
bag = NgramBag()
bag.fit_transform(texts, [text.split() for text in texts], [i % 2 for i in range(60)])
print(bag.names(range(bag.n_ngrams_)))
"""
    made = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "12"
    }
    assert len(made) == 1 and len(made.pop()) > 1000
