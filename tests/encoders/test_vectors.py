"""Word vectors and text vectors against gensim's own reader, scikit-learn, and plain NumPy loops."""

import gzip
import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from fusebook.data.dataset import Dataset
from fusebook.encoders import vectors as vectors_module
from fusebook.encoders.vectors import (
    METHODS,
    WEIGHTINGS,
    VectorEncoder,
    WordVectors,
    _schedule,
    coverage,
    read_vectors,
    train_vectors,
)

TOPICS = [
    "match goal team coach player league score pitch 球队 进球 比赛",
    "bank market share price profit bond loan trade 银行 股市 价格",
    "chip software network data robot satellite 芯片 软件 网络 数据",
]
WORDS = [word for line in TOPICS for word in line.split()]


def made(n_texts, seed=0):
    """Token lists of three classes."""
    rng = np.random.default_rng(seed)
    noise = ["the", "of", "and", "today", "今天", "表示"]
    return [[*rng.choice(TOPICS[i % 3].split(), 5).tolist(), *rng.choice(noise, 4).tolist()] for i in range(n_texts)]


def random_vectors(words=WORDS, length=6, seed=0):
    from gensim.models import KeyedVectors

    vectors = KeyedVectors(length)
    vectors.add_vectors(words, np.random.default_rng(seed).normal(size=(len(words), length)).astype(np.float32))
    return vectors


# --- Training -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_training_twice_gives_the_same_and_brings_a_class_together(method):
    texts = made(600)
    vectors = train_vectors(texts, method=method, dimensions=20)
    again = train_vectors([list(text) for text in texts], method=method, dimensions=20)
    assert vectors.index_to_key == again.index_to_key
    np.testing.assert_array_equal(vectors.vectors, again.vectors)
    other = train_vectors(texts, method=method, dimensions=20, random_state=1)
    assert not np.array_equal(vectors.vectors, other[vectors.index_to_key])
    assert vectors.vectors.shape == (len(vectors), 20)
    assert np.isfinite(vectors.vectors).all()
    inside = [vectors.similarity(a, b) for line in TOPICS for a in line.split() for b in line.split() if a < b]
    across = [vectors.similarity(a, b) for a in TOPICS[0].split() for b in TOPICS[1].split()]
    assert np.mean(inside) > np.mean(across) + 0.3


@pytest.mark.parametrize(
    ("method", "model", "options"),
    [
        ("word2vec-sg", "Word2Vec", {"sg": 1}),
        ("word2vec-cbow", "Word2Vec", {"sg": 0}),
        ("fasttext", "FastText", {"sg": 1, "min_n": 3, "max_n": 5, "bucket": 50_000}),
    ],
)
def test_vectors_are_gensims(method, model, options):
    """The same as gensim called directly; on several batches of words, which more workers would take in another order."""
    from gensim import models

    texts = made(3000)
    expected = getattr(models, model)(
        texts, vector_size=8, workers=1, seed=42, min_count=2, epochs=20, alpha=0.1, window=10, negative=3,
        shrink_windows=False, **options,
    ).wv  # fmt: skip
    vectors = train_vectors(texts, method=method, dimensions=8)
    assert vectors.index_to_key == expected.index_to_key
    np.testing.assert_array_equal(vectors.vectors, expected.vectors)


def test_large_tables_are_read_less_often():
    """By hand: of a word with the share f, gensim keeps sqrt(t / f) + t / f, at most 1."""

    small = Counter({f"w{i}": 1 for i in range(1000)})
    assert _schedule(small, 1) == (1e-3, 20)
    middle = Counter({f"w{i}": 300 for i in range(1000)})  # 300,000 tokens, none above the share
    assert _schedule(middle, 1) == (1e-3, round(1_000_000 / 300_000))
    assert _schedule(middle, 3) == (1e-3, round(3 * 1_000_000 / 300_000))
    large = Counter({f"w{i}": 2000 for i in range(1000)})  # 2,000,000 tokens of share 1/1000 each: sqrt(0.1) + 0.1 stay
    kept = 2_000_000 * (np.sqrt(1e-5 / 1e-3) + 1e-5 / 1e-3)
    assert _schedule(large, 1) == (1e-5, round(1_000_000 / kept))
    huge = Counter({f"w{i}": 100 for i in range(1_000_000)})
    assert _schedule(huge, 1) == (1e-5, 2)


def test_subwords_are_short_where_words_are():
    assert (train_vectors([["股市", "上涨"]], method="fasttext", dimensions=4).max_n) == 2
    assert (train_vectors([["market", "shares"]], method="fasttext", dimensions=4).max_n) == 5


def test_words_must_stand_twice_where_there_are_many_texts():
    texts = [["common", "twice" if i < 2 else "filler", f"once{i}"] for i in range(60)]
    assert set(train_vectors(texts, dimensions=4).index_to_key) == {"common", "twice", "filler"}
    assert len(train_vectors(texts[:10], dimensions=4)) == 13
    assert len(train_vectors([[f"once{i}"] for i in range(60)], dimensions=4)) == 60


def test_long_texts_are_not_cut():
    """gensim reads no more than 10,000 tokens a text, without a word about it."""
    rng = np.random.default_rng(0)
    early, late = [[*map(str, rng.choice(WORDS[i : i + 10], 10_000))] for i in (0, 10)]
    whole = train_vectors([early + late], dimensions=8)
    inside = np.mean([whole.similarity(a, b) for a in WORDS[10:20] for b in WORDS[10:20] if a != b])
    across = np.mean([whole.similarity(a, b) for a in WORDS[:10] for b in WORDS[10:20]])
    assert inside > across + 0.3  # what stands together behind the limit has been seen together


@pytest.mark.parametrize("texts", [[], [[]], [[], []]])
def test_no_words_are_told(texts):
    with pytest.raises(ValueError, match="No word stands in the training texts"):
        train_vectors(texts)


def test_other_methods_are_told():
    with pytest.raises(ValueError, match="'glove'; expected one of word2vec-sg, word2vec-cbow, fasttext"):
        train_vectors(made(3), method="glove")


# --- Files --------------------------------------------------------------------------------------------


def written(folder, vectors, form):
    """A file of vectors as gensim writes it, or without its first line, as GloVe's are."""
    plain = folder / "plain"
    vectors.save_word2vec_format(plain, binary="bin" in form)
    content = plain.read_bytes()
    if "glove" in form:
        content = content.split(b"\n", 1)[1]
    path = folder / f"vectors.{form}"
    path.write_bytes(gzip.compress(content) if form.endswith("gz") else content)
    return path


FORMS = ["txt", "bin", "glove", "txt.gz", "bin.gz", "glove.gz"]


@pytest.mark.parametrize("form", FORMS)
def test_files_are_read_as_gensim_reads_them(tmp_path, form):
    from gensim.models import KeyedVectors

    vectors = random_vectors()
    path = written(tmp_path, vectors, form)
    expected = KeyedVectors.load_word2vec_format(path, binary="bin" in form, no_header="glove" in form)
    read, broken = read_vectors(path, needed=set(WORDS))
    assert broken == 0
    assert read.index_to_key == expected.index_to_key
    np.testing.assert_array_equal(read.vectors, expected.vectors)
    assert read.vectors.dtype == np.float32


@pytest.mark.parametrize("form", FORMS)
def test_only_needed_words_are_kept(tmp_path, form):
    vectors = random_vectors()
    read, _ = read_vectors(written(tmp_path, vectors, form), needed={"goal", "银行", "unheard"})
    assert set(read.index_to_key) == {"goal", "银行"}
    np.testing.assert_allclose(read["银行"], vectors["银行"], atol=1e-6)


def test_binary_files_larger_than_one_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors_module, "_CHUNK", 37)  # words and numbers fall across its ends
    vectors = random_vectors()
    read, _ = read_vectors(written(tmp_path, vectors, "bin"), needed=set(WORDS))
    np.testing.assert_array_equal(read.vectors, vectors.vectors)


def test_binary_files_with_line_ends_after_each_vector(tmp_path):
    """The first word2vec program writes them, gensim does not; a number may hold the same byte."""
    from gensim.models import KeyedVectors

    table = np.array([[0.5, 2.0], [np.frombuffer(b"\n\n\n\n", "<f4")[0], -1.0]], "<f4")
    path = tmp_path / "vectors.bin"
    path.write_bytes(b"2 2\ngoal " + table[0].tobytes() + b"\nteam " + table[1].tobytes() + b"\n")
    read, broken = read_vectors(path, needed={"goal", "team"})
    assert (read.index_to_key, broken) == (["goal", "team"], 0)
    np.testing.assert_array_equal(read.vectors, table)
    expected = KeyedVectors.load_word2vec_format(path, binary=True)
    np.testing.assert_array_equal(read.vectors, expected.vectors)


def test_broken_words_in_binary_files_are_counted(tmp_path):
    path = tmp_path / "vectors.bin"
    numbers, bad = np.ones(2, "<f4").tobytes(), np.array([np.nan, 1], "<f4").tobytes()
    path.write_bytes(b"3 2\nb\xe4d " + numbers + b"goal " + bad + b"team " + numbers)
    read, broken = read_vectors(path, needed={"goal", "team"})
    assert (read.index_to_key, broken) == (["team"], 2)


def text_file(folder, lines):
    path = folder / "vectors.txt"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n")
    return path


GOOD = [f"word{i} {i} 0.5 -1e-3" for i in range(20)]


@pytest.mark.parametrize(
    "line",
    [
        "word0 1 x 3",
        "word0 1 nan 3",
        "word0 1 inf 3",
        "word0",
        "word0 1 2",
        b"\xff\xfe 1 2 3",
        b"caf\xe9 1 2 3",
        "word0 ...",
    ],
)
def test_broken_lines_are_counted_and_left_out(tmp_path, line):
    read, broken = read_vectors(
        text_file(tmp_path, [*GOOD[1:10], line, *GOOD[10:]]), needed={"word0", "word3", "word12"}
    )
    assert broken == 1
    assert set(read.index_to_key) == {"word3", "word12"}
    np.testing.assert_allclose(read["word12"], [12, 0.5, -1e-3])


@pytest.mark.parametrize(
    ("line", "word"),
    [("new york 1 2 3", "new york"), (". . . 1 2 3", ". . ."), ("tab\t1\t2\t3", "tab"), ("end 1 2 3 ", "end"),
     ("cr 1 2 3\r", "cr"), ("two  1  2  3", "two"), ("", "word1")],
)  # fmt: skip
def test_odd_lines_that_are_good(tmp_path, line, word):
    read, broken = read_vectors(text_file(tmp_path, [*GOOD, line]), needed={word})
    assert broken == 0
    np.testing.assert_allclose(read[word], [1, 0.5, -1e-3] if word == "word1" else [1, 2, 3])


def test_the_first_of_two_vectors_counts_and_a_byte_order_mark_is_no_part_of_a_word(tmp_path):
    path = text_file(tmp_path, ["\ufeffword 1 2 3", "word 4 5 6"])
    read, broken = read_vectors(path, needed={"word"})
    np.testing.assert_array_equal(read["word"], [1, 2, 3])
    assert broken == 0
    read, _ = read_vectors(text_file(tmp_path, ["\ufeff2 3", "word 1 2 3", "b 4 5 6"]), needed={"word"})
    np.testing.assert_array_equal(read["word"], [1, 2, 3])


def test_mixed_lengths_are_refused(tmp_path):
    path = text_file(tmp_path, [*GOOD, "short 1 2", "other 1 2"])
    with pytest.raises(ValueError, match="several lengths: vector 21 has 2 numbers where 3 are expected, and 1 more"):
        read_vectors(path, needed={"word1"})
    with pytest.raises(ValueError, match="several lengths: vector 1 has 3 numbers where 5 are expected, and 19 more"):
        read_vectors(text_file(tmp_path, ["20 5", *GOOD]), needed={"word1"})
    with pytest.raises(ValueError, match="several lengths"):
        read_vectors(text_file(tmp_path, [*GOOD, "long 1 2 3 4 5 6", "long2 1 2 3 4 5 6"]), needed={"word1"})


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"hello world\nthis is prose\n", bytes(range(256)) * 10, b"\x89PNG\r\n\x1a\n"]
)
def test_files_without_vectors_are_told(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="file holds no word vectors: expected lines"):
        read_vectors(path, needed={"goal"})


def test_no_needed_word_is_told(tmp_path):
    with pytest.raises(ValueError, match="None of the 2 words needed stands in"):
        read_vectors(text_file(tmp_path, GOOD), needed={"a", "b"})


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_vectors(tmp_path / "none.txt", needed={"a"})


@pytest.mark.parametrize("form", ["bin", "txt.gz", "bin.gz"])
def test_files_that_end_too_early_are_told(tmp_path, form):
    path = written(tmp_path, random_vectors(), form)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"ends (too early|after 31 of 32 words).*Fetch it again"):
        read_vectors(path, needed={"goal", WORDS[-1]})


def test_coverage_by_hand():
    vectors = random_vectors(["a", "b", "c"])
    assert coverage(vectors, [["a", "a", "x"], ["b", "y"], []]) == {"types": 2 / 4, "tokens": 3 / 5}
    assert coverage(vectors, [[]]) == {"types": 0, "tokens": 0}


def test_coverage_counts_words_that_fasttext_only_guesses_as_unknown():
    vectors = train_vectors(made(60), method="fasttext", dimensions=8)
    assert "goals" in vectors
    assert coverage(vectors, [["goal", "goals"]]) == {"types": 0.5, "tokens": 0.5}


# --- Text vectors -------------------------------------------------------------------------------------


def text_vectors_by_loop(weighting, vectors, train, texts):
    """A mean text by text, word by word, each word's weight by the formula."""
    weights = dict.fromkeys(vectors.index_to_key, 1)
    if weighting == "idf":
        weights = {word: np.log((1 + len(train)) / (1 + sum(word in text for text in train))) + 1 for word in weights}
    rows = []
    for text in texts:
        known = [word for word in text if word in weights]
        total = sum((weights[word] * vectors[word].astype(float) for word in known), np.zeros(vectors.vector_size))
        rows.append(total / sum(weights[word] for word in known) if known else total)
    return np.array(rows)


ODD = [[], ["unheard"], ["goal"], ["goal", "goal", "unheard", "银行"], ["robot"]]


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_text_vectors_by_loop(weighting):
    vectors, train = random_vectors(), made(40)
    train = [[word for word in text if word != "robot"] for text in [*train, []]]  # a word that only new texts have
    encoder = VectorEncoder(vectors, weighting)
    assert encoder.fit(train) is encoder
    texts = [*made(20, seed=1), *ODD]
    result = encoder.transform(texts)
    np.testing.assert_allclose(result, text_vectors_by_loop(weighting, vectors, train, texts), atol=1e-5)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result[20:22], 0)
    assert encoder.transform([]).shape == (0, 6)
    np.testing.assert_array_equal(encoder.transform([[], []]), np.zeros((2, 6)))


def test_idf_is_scikit_learns():
    train, vectors = made(40), random_vectors()
    reference = TfidfVectorizer(analyzer=list).fit(train)
    encoder = VectorEncoder(vectors, "idf").fit(train)
    for word, column in reference.vocabulary_.items():
        if word in vectors.key_to_index:
            np.testing.assert_allclose(encoder.weights_[vectors.key_to_index[word]], reference.idf_[column], rtol=1e-6)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_transform_learns_nothing_and_takes_each_text_alone(weighting):
    train, texts = made(40), [*made(20, seed=1), *ODD]
    encoder = VectorEncoder(random_vectors(), weighting).fit(train)
    before = encoder.weights_.copy(), list(encoder.vectors.index_to_key)
    whole = encoder.transform(texts)
    np.testing.assert_allclose(np.vstack([encoder.transform([text]) for text in texts]), whole, atol=1e-6)
    np.testing.assert_allclose(encoder.transform(texts[::-1])[::-1], whole, atol=1e-6)
    np.testing.assert_array_equal(before[0], encoder.weights_)
    assert before[1] == encoder.vectors.index_to_key


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_training_texts_may_know_no_word(weighting):
    encoder = VectorEncoder(random_vectors(), weighting).fit([["unheard"], []])
    assert np.isfinite(encoder.transform([["goal"], []])).all()


def test_fasttext_makes_vectors_for_unknown_words():
    vectors = train_vectors(made(60), method="fasttext", dimensions=8)
    encoder = VectorEncoder(vectors, "mean").fit(made(60))
    expected = (vectors["goal"] + vectors.get_vector("goals")) / 2
    np.testing.assert_allclose(encoder.transform([["goal", "goals"]])[0], expected, atol=1e-6)
    encoder = VectorEncoder(vectors, "idf").fit(made(60))
    rarest = np.log(61) + 1  # a word that stands in none of 60 texts
    known = encoder.weights_[vectors.key_to_index["goal"]]
    expected = (known * vectors["goal"] + rarest * vectors.get_vector("goals")) / (known + rarest)
    np.testing.assert_allclose(encoder.transform([["goal", "goals"]])[0], expected, atol=1e-6)
    assert "goals" not in vectors.key_to_index


def test_other_weightings_are_told():
    with pytest.raises(ValueError, match="'tfidf'; expected one of mean, idf"):
        VectorEncoder(random_vectors(), "tfidf")


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("method", ["word2vec-sg", "fasttext"])
def test_save_and_load_give_the_same_vectors(tmp_path, weighting, method):
    train = made(60)
    encoder = VectorEncoder(train_vectors(train, method=method, dimensions=8), weighting).fit(train)
    encoder.save(tmp_path / "new" / "folder")
    loaded = VectorEncoder.load(tmp_path / "new" / "folder")
    texts = [*made(20, seed=1), *ODD, ["goals", "球队员"]]
    np.testing.assert_array_equal(loaded.transform(texts), encoder.transform(texts))
    assert loaded.weighting == weighting
    near = encoder.vectors.most_similar("goal", topn=3)
    assert [word for word, _ in loaded.vectors.most_similar("goal", topn=3)] == [word for word, _ in near]
    assert coverage(loaded.vectors, texts) == coverage(encoder.vectors, texts)


@pytest.mark.parametrize("weighting", ["mean", "idf", "sif"])
def test_what_an_older_version_saved(tmp_path, weighting):
    """It also wrote the direction that "sif" took out; that weighting is no more, and what to do is told."""
    encoder = VectorEncoder(random_vectors(), "mean" if weighting == "sif" else weighting).fit(made(40))
    encoder.save(tmp_path)
    with np.load(tmp_path / "vectors.npz") as arrays:
        np.savez(tmp_path / "vectors.npz", **arrays, component=np.zeros(6, np.float32))
    facts = json.loads((tmp_path / "vectors.json").read_text("utf-8")) | {"weighting": weighting}
    (tmp_path / "vectors.json").write_text(json.dumps(facts), "utf-8")
    if weighting == "sif":
        with pytest.raises(ValueError, match=r"by the weighting 'sif', which this version no longer has\. Run the"):
            VectorEncoder.load(tmp_path)
    else:
        np.testing.assert_array_equal(VectorEncoder.load(tmp_path).transform(ODD), encoder.transform(ODD))


def test_the_saved_folder_holds_no_pickle(tmp_path):
    train = made(60)
    VectorEncoder(train_vectors(train, method="fasttext", dimensions=8)).fit(train).save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"vectors.json", "vectors.npz"}
    json.loads((tmp_path / "vectors.json").read_text("utf-8"))
    with np.load(tmp_path / "vectors.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)


# --- For the pages ------------------------------------------------------------------------------------


def dataset(texts, splits):
    labels = ["ab"[i % 2] for i in range(len(texts))]
    return Dataset.of_rows(pd.DataFrame({"text": texts, "split": splits, "label": labels}))


def test_vectors_are_learnt_from_training_texts_alone():
    texts = [" ".join(text) for text in made(40)]
    data = dataset([*texts, "", "secret secret"], ["train"] * 41 + ["test"])
    vectors = WordVectors(data, parts="ngrams+vectors", dimensions=8, weighting="idf")
    expected, encoder = train_vectors([text.split() for text in texts], dimensions=8), vectors.encoder
    assert (encoder.vectors.index_to_key, encoder.weighting, vectors.broken) == (expected.index_to_key, "idf", 0)
    np.testing.assert_array_equal(encoder.vectors.vectors, expected.vectors)


def test_vectors_are_read_for_the_words_of_all_rows(tmp_path):
    """Also for those that a person has dropped, which are encoded like the others."""
    path = text_file(tmp_path, ["goal 1 2 3", "team 4 5 6", "bank 7 8 9", "team 1 x 3", "cup 1 1 2"])
    vectors = WordVectors(
        dataset(["the Goal", "team", "cup"], ["train", "test", "dropped"]), parts="vectors", file=str(path)
    )
    assert (set(vectors.encoder.vectors.index_to_key), vectors.broken) == ({"goal", "team", "cup"}, 1)


def test_near_words_and_coverage_by_hand(tmp_path):
    words = ["goal", "team", "x", "77", "球队"]
    path = text_file(tmp_path, [f"{word} {i} {i * i} 1" for i, word in enumerate(words)] + ["team x", "goal 1 x 3"])
    texts = ["goal goal unheard", "team x 77 球队", "unheard", ""]
    vectors = WordVectors(dataset(texts, ["train", "train", "test", "validation"]), parts="vectors", file=str(path))
    near = vectors.nearest(most=2)["nearest words"]
    assert near.index.tolist() == ["goal", "team"]
    assert near["team"] == ", ".join(word for word, _ in vectors.encoder.vectors.most_similar("team", topn=5))
    assert vectors.coverage["train"].to_dict() == {"types": 5 / 6, "tokens": 6 / 7}
    assert vectors.coverage["test"].tolist() == vectors.coverage["validation"].tolist() == [0, 0]
    assert vectors.verdicts() == [
        ("known words", "note", {"share": "0", "words": 5}),
        ("broken vectors", "look", {"count": 2, "file": str(path)}),
    ]


@pytest.mark.parametrize(("texts", "parts"), [(["goal", "team"], "ngrams+length"), (["", "goal"], "vectors")])
def test_without_vectors_there_is_nothing_to_show(texts, parts):
    vectors = WordVectors(dataset(texts, ["train", "test"]), parts=parts)
    assert vectors.encoder is None and vectors.nearest().empty and vectors.coverage.round(3).empty
    assert vectors.verdicts() == []
