"""The text encoder: each of its blocks against a fresh computation by the encoder of that part, SciPy or NumPy.

Lengths: columns against wcwidth, hat functions against scikit-learn's linear splines, cases by hand.
"""

import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import SplineTransformer
from wcwidth import wcswidth

from fusebook.data.dataset import Dataset
from fusebook.encoders import text, tokens
from fusebook.encoders.ngrams import NgramBag
from fusebook.encoders.syntax import SyntaxEncoder
from fusebook.encoders.text import BESIDE_NGRAMS, LengthEncoder, TextEncoder, columns, length_quartiles
from fusebook.encoders.vectors import VectorEncoder, train_vectors

WORDS = [
    "match goal team coach player league score pitch 球队 进球 比赛",
    "bank market share price profit bond loan trade 银行 股市 价格",
    "chip software network data robot satellite 芯片 软件 网络 数据",
]
ODD = ["", " ", "!!!", "😀", "unheard", "\x00", "字" * 5000, "ሰላም", "\ud83d", "\n\n"]


def made(n_texts, seed=0):
    """Texts of three classes, with noise, and their class numbers."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_texts) % 3
    noise = ["the", "of", "and", "today", "今天", "表示", "一个", "city", "people", "2026"]
    texts = [
        " ".join([*rng.choice(WORDS[k].split(), 5), *rng.choice(noise, 4)]) + str(rng.choice(["。", "!", ""]))
        for k in labels
    ]
    return texts, labels


def short_vectors(texts, dimensions=12, random_state=42):
    """Word vectors of few numbers, trained on ``texts`` alone."""
    token_lists = [tokens.tokenise(text) for text in texts]
    return VectorEncoder(train_vectors(token_lists, dimensions=dimensions, random_state=random_state))


def fit_small(texts, labels, parts="vectors+ngrams+length", *, random_state=42, **options):
    vectors = short_vectors(texts, random_state=random_state)
    return TextEncoder(parts, vectors=vectors, **{"width": 15, **options}).fit(texts, labels)


@pytest.fixture(scope="module")
def fitted():
    texts, labels = made(90)
    encoder = TextEncoder(vectors=short_vectors(texts), max_ngrams=500, width=15)
    assert encoder.fit(texts, labels) is encoder
    return encoder, texts, labels


# --- The blocks ---------------------------------------------------------------------------------------


def dense_by_hand(parts, texts, others, syntax=None):
    """The block "text" of ``others``, each part from its own encoder: centred, and all of its columns on one scale.

    Beside n-grams a part is shorter: rows of d numbers of unit spread have a length of about the root of d.
    """
    lists, other_lists = ([tokens.tokenise(text) for text in some] for some in (texts, others))
    made_of = []
    if "vectors" in parts:
        encoder = short_vectors(texts).fit(lists)
        made_of.append((encoder.transform(lists), encoder.transform(other_lists)))
    if "length" in parts:
        encoder = LengthEncoder().fit(texts)
        made_of.append((encoder.transform(texts), encoder.transform(others)))
    if "tags" in parts:
        made_of.append((tokens.tag_shares(texts), tokens.tag_shares(others)))
    if "syntax" in parts:
        encoder = SyntaxEncoder(syntax).fit(texts)
        made_of.append((encoder.transform(texts), encoder.transform(others)))
    blocks = [(new - train.mean(axis=0)) / train.std() for train, new in made_of]
    if "ngrams" in parts:
        blocks = [block * BESIDE_NGRAMS / np.sqrt(block.shape[1]) for block in blocks]
    return np.hstack(blocks)


def ngrams_by_hand(texts, labels, others, **options):
    """The blocks of n-grams of ``others``, from the bag itself."""
    lists, other_lists = ([tokens.tokenise(text) for text in some] for some in (texts, others))
    bag = NgramBag(**options)
    bag.fit_transform(texts, lists, labels)
    return bag.most_telling(bag.transform(others, other_lists))


def check_columns(encoder, parts, texts, expected):
    """The parts' columns lie side by side and fill the block; all but those of syntax are counted apart."""
    widths = {"vectors": 12, "length": len(LengthEncoder().fit(texts).knots_), "tags": len(tokens.TAGS)}
    columns, end = encoder.columns(), 0
    assert set(columns) == set(parts)
    for part, width in widths.items():
        if part in parts:
            assert columns[part] == {"text": slice(end, end + width)}
            end += width
    if "syntax" in parts:
        assert columns["syntax"] == {"text": slice(end, expected["text"].shape[1])}
    elif "text" in expected:
        assert end == expected["text"].shape[1]
    if "ngrams" in parts:
        assert columns["ngrams"] == {"text_ngrams": slice(None), "text_weights": slice(None)}


def check_blocks(parts, syntax="", **options):
    (texts, labels), (others, _) = made(60), made(15, seed=1)
    encoder = fit_small(texts, labels, "+".join(parts), syntax_pipeline=syntax, **options)
    blocks = encoder.transform(others)
    expected = {}
    if set(parts) - {"ngrams"}:
        expected["text"] = dense_by_hand(parts, texts, others, syntax)
    if "ngrams" in parts:
        bag = ngrams_by_hand(texts, labels, others, width=15, **options)
        expected["text_ngrams"], expected["text_weights"] = bag
    assert list(blocks) == list(expected)
    check_columns(encoder, parts, texts, expected)
    for name, values in blocks.items():
        assert values.dtype == (np.int32 if name == "text_ngrams" else np.float32)
        np.testing.assert_allclose(values, expected[name], atol=1e-4)


@pytest.mark.parametrize(
    "parts",
    [parts for count in (1, 2, 3, 4) for parts in combinations(("vectors", "ngrams", "length", "tags"), count)],
    ids="+".join,
)
def test_the_blocks_of_each_choice_of_parts(parts):
    check_blocks(parts)


@pytest.mark.parametrize("max_ngrams", [20, 100])
def test_the_bag_has_the_size_that_is_asked_for(max_ngrams):
    check_blocks(("ngrams",), max_ngrams=max_ngrams)


def test_the_order_of_parts_does_not_matter(fitted):
    encoder, texts, labels = fitted
    other = fit_small(texts, labels, "length+ngrams+vectors", max_ngrams=500)
    for name, values in encoder.transform(texts).items():
        np.testing.assert_array_equal(other.transform(texts)[name], values)


def test_the_training_rows_are_centred_and_a_part_is_on_one_scale(fitted):
    _, texts, labels = fitted
    dense = fit_small(texts, labels, "vectors+tags").transform(texts)["text"]
    np.testing.assert_allclose(dense.mean(axis=0), 0, atol=1e-4)
    raw = tokens.tag_shares(texts)
    moved = raw - raw.mean(axis=0)
    ratio = dense[:, 12:][np.abs(moved) > 0.01] / moved[np.abs(moved) > 0.01]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def test_the_whole_bag_is_there_whatever_the_parts(fitted):
    encoder, texts, labels = fitted
    plain = fit_small(texts, labels, "tags", max_ngrams=500)
    others = made(20, seed=1)[0]
    assert encoder.transform_ngrams(others).shape == (20, 500)
    assert (plain.transform_ngrams(others) != encoder.transform_ngrams(others)).nnz == 0


def test_without_vectors_skip_grams_of_the_training_texts_are_taken():
    texts, labels = made(300)
    encoder = TextEncoder("vectors").fit(texts, labels)
    expected = train_vectors([tokens.tokenise(text) for text in texts])
    assert encoder.vectors_.vectors.index_to_key == expected.index_to_key
    np.testing.assert_array_equal(encoder.vectors_.vectors.vectors, expected.vectors)
    assert TextEncoder("ngrams").fit(texts, labels).vectors_ is None


def test_features_tell_the_classes_apart(fitted):
    """A nearest-centre rule on new texts is right nine times of ten."""
    encoder, texts, labels = fitted
    others, truth = made(60, seed=9)
    vectors = encoder.columns()["vectors"]["text"]
    features = encoder.transform(texts)["text"][:, vectors]
    centres = np.stack([features[labels == k].mean(axis=0) for k in range(3)])
    distances = np.linalg.norm(encoder.transform(others)["text"][:, None, vectors] - centres, axis=2)
    assert (distances.argmin(axis=1) == truth).mean() > 0.9


# --- Words that count ---------------------------------------------------------------------------------

SENTENCE = "The coaches of the team did not see a better goal today。我们的球队赢了比赛"


@pytest.mark.parametrize(
    ("words", "by_hand"),
    [
        ("all", tokens.tokenise),
        ("no stop words", lambda text: [w for w in tokens.tokenise(text) if w not in tokens.stop_words()]),
        ("content", tokens.content_words),
    ],
)
def test_words_that_count_reach_vectors_and_word_ngrams(words, by_hand):
    texts, labels = [SENTENCE, "The bank said it sold the shares。银行卖了股票"], [0, 1]
    encoder = TextEncoder("vectors+ngrams", vectors=short_vectors(texts), words=words).fit(texts, labels)
    assert encoder.cut(texts) == [by_hand(text) for text in texts]
    assert set(encoder.bag_.words_) == {word for text in texts for word in by_hand(text)}
    means = encoder.vectors_.transform([by_hand(SENTENCE)])
    expected = (means - encoder.mean_) / encoder.scale_
    np.testing.assert_allclose(encoder.transform([SENTENCE])["text"], expected, atol=1e-5)


def test_each_choice_of_words_is_smaller_by_hand():
    cut = {words: TextEncoder(words=words).cut([SENTENCE])[0] for words in ("all", "no stop words", "content")}
    assert {"the", "of", "team", "goal", "我们", "球队"} <= set(cut["all"])
    assert not {"the", "of", "我们"} & set(cut["no stop words"])
    assert {"coaches", "team", "goal", "球队", "比赛"} <= set(cut["content"])
    assert not {"the", "of", "not", "我们"} & set(cut["content"])


# --- Learning -----------------------------------------------------------------------------------------


def state(encoder):
    """Everything that an encoder has learnt, as plain values."""
    bag, vectors = encoder.bag_, encoder.vectors_.vectors
    return {
        "words": list(vectors.index_to_key), "vectors": vectors.vectors.tolist(),
        "knots": encoder.lengths_.knots_.tolist(), "mean": encoder.mean_.tolist(), "scale": encoder.scale_.tolist(),
        "ngrams": [list(bag.words_), bag.pairs_.tolist(), bag.pieces_.tolist(), bag.chosen_.tolist()],
        "weights": [idf.tolist() for idf in bag.idf_], "scores": bag.scores_.tolist(), "width": bag.width_,
    }  # fmt: skip


def check_equal(one, other):
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_transform_learns_nothing(fitted):
    encoder, texts, _ = fitted
    before, blocks = state(encoder), encoder.transform(texts)
    encoder.transform(["完全 不同 的 文字 unheard words", "x" * 1000, ""] * 30)
    assert state(encoder) == before
    check_equal(encoder.transform(texts), blocks)


def test_fit_reads_nothing_but_the_texts_it_is_given(fitted):
    """Fitted again elsewhere on the same rows, whatever else there is, the encoder is the same; no other seed gives it."""
    encoder, texts, labels = fitted
    fit_small(made(60, seed=5)[0], labels[:60])
    again = fit_small(list(texts), labels.copy(), max_ngrams=500)
    assert state(again) == state(encoder)
    check_equal(again.transform(texts), encoder.transform(texts))
    other = fit_small(texts, labels, max_ngrams=500, random_state=1)
    assert state(other)["vectors"] != state(encoder)["vectors"]


def test_a_row_is_encoded_alone(fitted):
    encoder, texts, _ = fitted
    whole, turned = encoder.transform(texts), encoder.transform(texts[::-1])
    for name, values in encoder.transform(texts[7:8]).items():
        np.testing.assert_allclose(values, whole[name][7:8], atol=1e-5)
        np.testing.assert_allclose(turned[name][::-1], whole[name], atol=1e-5)


@pytest.mark.parametrize("parts", ["vectors", "ngrams", "length", "tags", "vectors+ngrams+tags+length"])
def test_no_texts_have_empty_blocks(parts):
    texts, labels = made(60)
    encoder = fit_small(texts, labels, parts)
    some, none = encoder.transform(texts), encoder.transform([])
    assert {name: (values.shape, values.dtype) for name, values in none.items()} == {
        name: ((0, values.shape[1]), values.dtype) for name, values in some.items()
    }
    assert encoder.transform_ngrams([]).shape == (0, encoder.bag_.n_ngrams_)


def test_texts_without_known_words_have_finite_features():
    texts, labels = made(90)
    blocks = fit_small(texts, labels, "vectors+ngrams+tags+length").transform(ODD)
    for values in blocks.values():
        assert len(values) == len(ODD) and np.isfinite(values).all()
    np.testing.assert_array_equal(blocks["text"][0], blocks["text"][1])
    assert not blocks["text_weights"][0].any()


@pytest.mark.parametrize(
    "texts",
    [
        ["goal"] * 10,
        ["goal team"] * 60,
        ["a", "b"],
        ["a"],
        ["goal", ""],
        [f"unique{i} and{i} again{i}" for i in range(60)],
        [chr(0x4E00 + 7 * i) for i in range(60)],  # no word and no character stands twice
        ["一" * 3] * 59 + ["goal"],
        ["goal team"] + [""] * 59,
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # chi-squared of one class is 0 / 0
def test_the_poorest_texts_can_be_learnt(texts):
    """A single word, a single text, or words that stand nowhere twice."""
    encoder = TextEncoder("vectors+ngrams+tags+length", vectors=short_vectors(texts, 4))
    encoder.fit(texts, np.arange(len(texts)) % 2)
    for values in encoder.transform([*texts, "", "else"]).values():
        assert len(values) == len(texts) + 2
        assert np.isfinite(values).all()
        assert not np.issubdtype(values.dtype, np.floating) or np.abs(values).max() < 1e4


# --- What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", ["", "vector", "vectors,ngrams", "vectors+", "Vectors", "lengths", "all"])
def test_other_parts_are_told(parts):
    with pytest.raises(
        ValueError, match=r"expected some of length, ngrams, syntax, tags, vectors, joined by '\+'"
    ) as told:
        TextEncoder(parts)
    assert f"text parts are {parts!r}" in str(told.value)


@pytest.mark.parametrize("words", ["", "stop", "nouns"])
def test_another_choice_of_words_is_told(words):
    with pytest.raises(ValueError, match=f"words is '{words}'; expected one of 'all', 'no stop words', 'content'"):
        TextEncoder(words=words)


@pytest.mark.parametrize("texts", [["", ""], ["!!", "😀"], [" \n", "，。"], [], ["!"] * 60])
@pytest.mark.parametrize("parts", ["vectors+ngrams+length", "ngrams", "length", "tags"])
def test_texts_without_any_word_are_told(texts, parts):
    with pytest.raises(ValueError, match=r"No word stands in the training texts\. Check the text column"):
        TextEncoder(parts).fit(texts, np.arange(len(texts)) % 2)


def test_syntax_without_a_pipeline_is_told():
    with pytest.raises(ValueError, match="The syntax pipeline's name is empty; expected one such as"):
        TextEncoder("syntax").fit(["goal team", "bank share"], [0, 1])


# --- Files --------------------------------------------------------------------------------------------


def check_comes_back(encoder, folder, others):
    encoder.save(folder)
    loaded = TextEncoder.load(folder)
    check_equal(loaded.transform(others), encoder.transform(others))
    assert (loaded.transform_ngrams(others) != encoder.transform_ngrams(others)).nnz == 0
    for name in ("parts", "words", "max_ngrams", "width", "syntax_pipeline"):
        assert getattr(loaded, name) == getattr(encoder, name)
    return loaded


@pytest.mark.parametrize(
    "parts", ["vectors", "ngrams", "length", "tags", "vectors+ngrams", "vectors+ngrams+tags+length"]
)
@pytest.mark.parametrize("words", ["all", "content"])
def test_it_comes_back_as_it_was(tmp_path, parts, words):
    texts, labels = made(60)
    encoder = fit_small(texts, labels, parts, words=words, max_ngrams=300)
    loaded = check_comes_back(encoder, tmp_path / "new" / "folder", [*made(20, seed=1)[0], *ODD])
    if "vectors" in parts:
        near, again = (made.vectors_.vectors.most_similar("goal", topn=3) for made in (encoder, loaded))
        assert [word for word, _ in again] == [word for word, _ in near]


def test_saved_it_holds_no_pickle(fitted, tmp_path):
    fitted[0].save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        "text.json", "text.npz", "vectors.json", "vectors.npz", "ngrams.json", "ngrams.npz",
        "lengths.json",
    }  # fmt: skip
    for path in tmp_path.iterdir():
        if path.suffix == ".json":
            json.loads(path.read_text("utf-8"))
        else:
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[name].dtype != object for name in arrays.files)


# --- With syntax --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """The folder of a pipeline in which each word depends on the first; its relation is its own text."""
    spacy = pytest.importorskip("spacy", reason="spaCy, an optional extra, is not installed")

    @spacy.language.Language.component("fusebook_test_text_parser")
    def parser(doc):
        for token in doc:
            token.head = doc[0]
            token.dep_ = "ROOT" if token.i == 0 else token.text[:20]
        return doc

    folder = tmp_path_factory.mktemp("pipeline") / "made"
    language = spacy.blank("xx")
    language.add_pipe("fusebook_test_text_parser")
    language.to_disk(folder)
    return str(folder)


@pytest.mark.parametrize(
    "parts",
    [
        (*parts, "syntax")
        for count in (0, 1, 2, 3)
        for parts in combinations(("vectors", "ngrams", "length", "tags"), count)
    ],
    ids="+".join,
)
def test_the_blocks_of_each_choice_of_parts_with_syntax(pipeline, parts):
    check_blocks(parts, syntax=pipeline)


def test_with_syntax_it_comes_back_as_it_was(pipeline, tmp_path):
    texts, labels = made(60)
    encoder = fit_small(texts, labels, "vectors+ngrams+tags+length+syntax", syntax_pipeline=pipeline)
    check_comes_back(encoder, tmp_path, [*made(20, seed=1)[0], *ODD])
    assert (tmp_path / "syntax.json").exists()


def test_many_texts_in_pieces_are_what_they_are_at_once(monkeypatch):
    texts = [f"goal {i % 7} 球队 team {i}" for i in range(64)] + ["", "  "]
    encoder = TextEncoder("vectors+ngrams", width=9).fit(texts, np.arange(66) % 2)
    whole, bag = encoder.transform(texts), encoder.transform_ngrams(texts)
    monkeypatch.setattr(text, "_AT_ONCE", 10)
    in_pieces = encoder.transform(texts)
    assert list(in_pieces) == list(whole)
    for block, values in whole.items():
        np.testing.assert_array_equal(in_pieces[block], values)
        assert in_pieces[block].dtype == values.dtype
    np.testing.assert_array_equal(encoder.transform_ngrams(texts).toarray(), bag.toarray())
    assert {len(block) for block in encoder.transform([]).values()} == {0}


# --- Lengths ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A headline, 2026!",
        "股市今日大涨3.5%",
        "「全角，标点。」ＡＢＣ１２",
        "アメリカ대통령",
        "naïve café",
        "Ελλάδα Россия",
        "球队 wins 3:1 😀",
        "𠀀𠀁",  # rare Chinese characters, beyond 16 bits
    ],
)
def test_columns_are_those_of_a_terminal(text):
    assert columns(text) == wcswidth(text)


@pytest.mark.parametrize(("text", "by_hand"), [("ab", 2), ("一二", 4), ("一a", 3), ("\x00\n", 2), ("\ud83d", 1)])
def test_columns_by_hand(text, by_hand):
    assert columns(text) == by_hand


def texts_of_all_lengths(n_texts, seed=0):
    rng = np.random.default_rng(seed)
    return [str(rng.choice(["字", "x"])) * int(rng.integers(1, 3000)) for _ in range(n_texts)]


@pytest.mark.parametrize("n_texts", [2, 30, 500])
def test_hats_are_linear_splines_between_the_knots(n_texts):
    texts, others = texts_of_all_lengths(n_texts), [*texts_of_all_lengths(200, seed=1), "", "x" * 100_000]
    encoder = LengthEncoder().fit(texts)
    spline = SplineTransformer(degree=1, knots=encoder.knots_[:, None], extrapolation="constant")
    lengths, asked = (np.log2([[1 + wcswidth(text)] for text in some]) for some in (texts, others))
    expected = spline.fit(lengths).transform(asked)
    made_of = encoder.transform(others)
    assert made_of.dtype == np.float32
    np.testing.assert_allclose(made_of, expected, atol=1e-6)
    np.testing.assert_allclose(made_of.sum(axis=1), 1, atol=1e-6)


def test_between_two_knots_lie_as_many_texts():
    encoder = LengthEncoder().fit(texts := texts_of_all_lengths(4000))
    lengths = np.log2([1 + wcswidth(text) for text in texts])
    counts = np.histogram(lengths, encoder.knots_)[0]
    assert len(counts) == 20 and counts.min() > 180 and counts.max() < 220


@pytest.mark.parametrize(("n_texts", "knots"), [(2, 2), (39, 2), (40, 3), (100, 6), (400, 21), (5000, 21)])
def test_a_step_holds_twenty_texts_at_least(n_texts, knots):
    assert len(LengthEncoder().fit(["x" * (i + 1) for i in range(n_texts)]).knots_) == knots


def test_a_length_at_a_knot_is_that_knot_alone():
    encoder = LengthEncoder().fit(["x"] * 20 + ["x" * 3] * 30 + ["x" * 7] * 20)  # log2 of 1 + length: 1, 2, 3
    assert {1.0, 2.0, 3.0} <= set(encoder.knots_)
    row = encoder.transform(["字x"])[0]  # three columns
    assert row[np.flatnonzero(encoder.knots_ == 2)[0]] == 1 and row.sum() == 1


@pytest.mark.parametrize("texts", [["one"], ["same"] * 50, [""], ["", ""]])
def test_texts_of_one_length_say_nothing(texts):
    encoder = LengthEncoder().fit(texts)
    np.testing.assert_array_equal(encoder.transform(["", "x", "字" * 500]), np.ones((3, 1)))


def test_no_texts_have_no_length():
    assert LengthEncoder().fit(["a", "bb"]).transform([]).shape[0] == 0
    with pytest.raises(ValueError, match="No training text to learn lengths from; expected at least one"):
        LengthEncoder().fit([])


def test_lengths_come_back_as_they_were(tmp_path):
    encoder = LengthEncoder().fit(texts_of_all_lengths(100))
    encoder.save(tmp_path)
    assert json.loads((tmp_path / "lengths.json").read_text("utf-8"))["knots"] == encoder.knots_.tolist()
    others = [*texts_of_all_lengths(50, seed=1), ""]
    np.testing.assert_array_equal(LengthEncoder.load(tmp_path).transform(others), encoder.transform(others))


def test_quartiles_of_lengths_are_those_of_training_texts():
    """Lengths 1 to 5 of label a, one Chinese character of b; what is empty or for the test does not count."""
    texts = ["x" * n for n in (1, 2, 3, 4, 5)] + ["字", "", "x" * 99]
    table = pd.DataFrame({"text": texts, "label": list("aaaaabba"), "split": ["train"] * 7 + ["test"]})
    made = length_quartiles(Dataset.of_rows(table))
    assert made.to_numpy().tolist() == [[2, 2, 2], [2, 3, 4]]
    assert made.index.tolist() == ["b", "a"] and list(made) == ["lower quartile", "median", "upper quartile"]
    assert length_quartiles(Dataset.of_rows(table.assign(text=""))).empty
