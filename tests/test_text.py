"""The text encoder against scikit-learn, NumPy and fresh computations."""

import json
import zipfile

import numpy as np
import pytest
import skops.io
from scipy.sparse import hstack
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.preprocessing import normalize

from fusebook.text import TextEncoder
from fusebook.tokens import tokenise
from fusebook.vectors import VectorEncoder, train_vectors

WORDS = [
    "match goal team coach player league score pitch 球队 进球 比赛",
    "bank market share price profit bond loan trade 银行 股市 价格",
    "chip software network data robot satellite 芯片 软件 网络 数据",
]


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


SMALL = {"ngram_dimensions": 6}


def short_vectors(texts, dimensions=12, random_state=42):
    """Word vectors of few numbers, trained on ``texts`` alone."""
    tokens = [tokenise(text) for text in texts]
    return VectorEncoder(train_vectors(tokens, dimensions=dimensions, random_state=random_state))


def fit_small(texts, labels, parts="vectors+ngrams", **options):
    vectors = short_vectors(texts, random_state=options.get("random_state", 42))
    return TextEncoder(parts, **SMALL, vectors=vectors, **options).fit(texts, labels)


@pytest.fixture(scope="module")
def fitted():
    texts, labels = made(90)
    encoder = TextEncoder(**SMALL, vectors=short_vectors(texts), max_ngrams=500)
    assert encoder.fit(texts, labels) is encoder
    return encoder, texts, labels


def bag_by_scikit_learn(train, labels, texts, max_ngrams, fewest=2):
    """The n-gram bag of ``texts``, computed without the library but for its tokens."""
    words = TfidfVectorizer(
        tokenizer=tokenise, token_pattern=None, lowercase=False, ngram_range=(1, 2), min_df=fewest,
        sublinear_tf=True,
    )  # fmt: skip
    characters = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=fewest, sublinear_tf=True)
    bag = hstack([words.fit_transform(train), characters.fit_transform(train)], "csr")
    choice = SelectKBest(chi2, k=min(max_ngrams, bag.shape[1])).fit(bag, labels)
    return choice, bag, choice.transform(hstack([words.transform(texts), characters.transform(texts)], "csr"))


@pytest.mark.parametrize("max_ngrams", [500, 100_000])
def test_ngrams_are_scikit_learns(max_ngrams):
    (texts, labels), (others, _) = made(90), made(20, seed=1)
    encoder = fit_small(texts, labels, max_ngrams=max_ngrams)
    choice, bag, expected = bag_by_scikit_learn(texts, labels, others, max_ngrams)
    made_here = encoder.transform_ngrams(others)
    assert made_here.shape == (20, min(max_ngrams, bag.shape[1]))
    if max_ngrams > bag.shape[1]:
        np.testing.assert_allclose(made_here.toarray(), normalize(expected).toarray(), atol=1e-6)
    else:  # at the limit equal scores may be chosen either way: compare where both have chosen
        both = choice.get_support() & encoder.chosen_.get_support()
        assert both.sum() > 0.9 * max_ngrams
        np.testing.assert_allclose(encoder.chosen_.scores_, choice.scores_, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(np.sort(choice.scores_)[-max_ngrams:].sum(), encoder.chosen_.scores_[encoder.chosen_.get_support()].sum(), rtol=1e-4)  # fmt: skip
    np.testing.assert_allclose(np.sqrt(made_here.multiply(made_here).sum(axis=1)), 1, atol=1e-6)


def test_squeezed_ngrams_span_what_scikit_learns_svd_spans(fitted):
    """Singular vectors may turn their sign: the products between texts are the same.

    Chosen n-grams leave rows of different lengths, so it matters that each is brought to length 1 first.
    """
    encoder, texts, labels = fitted
    _, bag, _ = bag_by_scikit_learn(texts, labels, texts, 500)
    bag = encoder.chosen_.transform(bag)  # of equal scores at the limit those that the encoder has chosen
    others = encoder.transform_ngrams(made(20, seed=1)[0])

    def products(learnt_from):
        squeezed = TruncatedSVD(6, random_state=42).fit(learnt_from).transform(others)
        return squeezed @ squeezed.T

    squeezed = encoder.svd_.transform(others)
    np.testing.assert_allclose(squeezed @ squeezed.T, products(normalize(bag)), atol=1e-4)
    assert np.abs(products(bag) - products(normalize(bag))).max() > 1e-3
    assert encoder.svd_.components_.shape == (6, 500)


def test_without_vectors_skip_grams_of_the_training_texts_are_taken():
    texts, labels = made(300)
    encoder, expected = (
        TextEncoder(**SMALL).fit(texts, labels),
        train_vectors([tokenise(text) for text in texts]),
    )
    assert encoder.vectors_.vectors.index_to_key == expected.index_to_key
    np.testing.assert_array_equal(encoder.vectors_.vectors.vectors, expected.vectors)


def test_vectors_are_means_of_word_vectors(fitted):
    encoder, _, _ = fitted
    text = "Goal team, UNSEEN 银行 goal!"
    known = ["goal", "team", "银行", "goal"]
    expected = np.mean([encoder.vectors_.vectors[word] for word in known], axis=0)
    np.testing.assert_allclose(encoder.transform_vectors([text])[0], expected, atol=1e-6)
    assert encoder.transform_vectors([text]).dtype == np.float32
    np.testing.assert_array_equal(encoder.transform_vectors(["", "unseen", "!"]), np.zeros((3, 12)))


def test_the_vocabulary_is_that_of_words_in_two_training_texts(fitted):
    encoder, texts, _ = fitted
    counts = {}
    for text in texts:
        for word in tokenise(text):
            counts[word] = counts.get(word, 0) + 1
    assert set(encoder.vectors_.vectors.index_to_key) == {word for word, count in counts.items() if count > 1}


def test_features_are_the_blocks_centred_and_scaled(fitted):
    encoder, texts, _ = fitted
    others, _ = made(20, seed=1)

    def blocks(some):
        return encoder.transform_vectors(some), encoder.svd_.transform(encoder.transform_ngrams(some))

    expected = [
        (block - train.mean(axis=0)) / train.std()
        for block, train in zip(blocks(others), blocks(texts), strict=True)
    ]
    features = encoder.transform(others)
    assert features.shape == (20, 18)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, np.hstack(expected), atol=1e-4)
    np.testing.assert_allclose(encoder.transform(texts).mean(axis=0), 0, atol=1e-4)


@pytest.mark.parametrize(
    ("parts", "columns"),
    [("vectors", slice(0, 12)), ("ngrams", slice(12, 18)), ("ngrams+vectors", slice(0, 18))],
)
def test_parts_are_columns_of_the_whole(fitted, parts, columns):
    encoder, texts, labels = fitted
    part = fit_small(texts, labels, parts, max_ngrams=500)
    np.testing.assert_allclose(part.transform(texts), encoder.transform(texts)[:, columns], atol=1e-4)


@pytest.mark.parametrize("parts", ["", "vector", "vectors,ngrams", "vectors+", "Vectors", "all"])
def test_other_parts_are_told(parts):
    with pytest.raises(ValueError, match=r"expected 'vectors', 'ngrams' or 'vectors\+ngrams'"):
        TextEncoder(parts)


def state(encoder):
    """Everything that an encoder has learnt, as plain values."""
    return {
        "words": list(encoder.vectors_.vectors.index_to_key), "vectors": encoder.vectors_.vectors.vectors.tolist(),
        "mean": encoder.mean_.tolist(), "scale": encoder.scale_.tolist(),
        "vocabularies": [dict(encoder.words_.vocabulary_), dict(encoder.characters_.vocabulary_)],
        "weights": [encoder.words_.idf_.tolist(), encoder.characters_.idf_.tolist()],
        "chosen": encoder.chosen_.get_support().tolist(), "svd": encoder.svd_.components_.tolist(),
    }  # fmt: skip


def test_transform_learns_nothing(fitted):
    encoder, texts, _ = fitted
    before, features = state(encoder), encoder.transform(texts)
    encoder.transform(["完全 不同 的 文字 unheard words", "x" * 1000, ""] * 30)
    encoder.known_share(["unheard words"])
    assert state(encoder) == before
    np.testing.assert_array_equal(encoder.transform(texts), features)


def test_fit_reads_nothing_but_the_texts_it_is_given(fitted):
    """Fitted again elsewhere on the same rows, whatever else there is, the encoder is the same; no other seed gives it."""
    encoder, texts, labels = fitted
    fit_small(made(60, seed=5)[0], labels[:60])
    again = fit_small(list(texts), labels.copy(), max_ngrams=500)
    assert state(again) == state(encoder)
    np.testing.assert_array_equal(again.transform(texts), encoder.transform(texts))
    other = fit_small(texts, labels, max_ngrams=500, random_state=1)
    assert state(other)["vectors"] != state(encoder)["vectors"]


def test_a_row_is_encoded_alone(fitted):
    encoder, texts, _ = fitted
    whole = encoder.transform(texts)
    np.testing.assert_allclose(encoder.transform(texts[7:8]), whole[7:8], atol=1e-5)
    np.testing.assert_allclose(encoder.transform(texts[::-1])[::-1], whole, atol=1e-5)
    assert encoder.transform([]).shape == (0, 18)


def test_texts_without_known_words_have_finite_features(fitted):
    encoder, _, _ = fitted
    odd = ["", " ", "!!!", "😀", "unheard", "\x00", "字" * 5000, "ሰላም", "\ud83d"]
    features = encoder.transform(odd)
    assert features.shape == (len(odd), 18)
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features[0], features[1])


def test_known_share_by_hand(fitted):
    encoder, _, _ = fitted
    share = encoder.known_share(["goal unheard team 银行", "goal goal", "unheard", "", "!?"])
    np.testing.assert_allclose(share, [0.75, 1, 0, 0, 0])


@pytest.mark.parametrize("parts", ["vectors", "ngrams", "vectors+ngrams"])
def test_save_and_load_give_the_same_features(tmp_path, parts):
    texts, labels = made(60)
    encoder = fit_small(texts, labels, parts)
    encoder.save(tmp_path / "new" / "folder")
    loaded = TextEncoder.load(tmp_path / "new" / "folder")
    others, _ = made(20, seed=1)
    np.testing.assert_array_equal(loaded.transform(others), encoder.transform(others))
    np.testing.assert_array_equal(loaded.known_share(others), encoder.known_share(others))
    assert (loaded.transform_ngrams(others) != encoder.transform_ngrams(others)).nnz == 0
    assert loaded.parts == parts
    near, again = (made.vectors_.vectors.most_similar("goal", topn=3) for made in (encoder, loaded))
    assert [word for word, _ in again] == [word for word, _ in near]


def test_the_saved_folder_holds_no_pickle(fitted, tmp_path):
    encoder, _, _ = fitted
    encoder.save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        "text.json", "text.npz", "vectors.json", "vectors.npz", "ngrams.skops",
    }  # fmt: skip
    json.loads((tmp_path / "text.json").read_text("utf-8"))
    with np.load(tmp_path / "text.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)
    with zipfile.ZipFile(tmp_path / "ngrams.skops") as file:
        for name in file.namelist():
            content = file.read(name)
            assert name.endswith((".json", ".npy", ".npz"))
            assert content[:1] != b"\x80"  # how a pickle begins
            assert b"'descr': '|O'" not in content[:200]  # how NumPy marks an array of pickles


def test_a_foreign_type_in_the_saved_folder_is_refused(fitted, tmp_path):
    encoder, _, _ = fitted
    encoder.save(tmp_path)
    skops.io.dump([TfidfVectorizer(tokenizer=print), None, None, None], tmp_path / "ngrams.skops")
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException):
        TextEncoder.load(tmp_path)


@pytest.mark.parametrize("texts", [["", ""], ["!!", "😀"], [" \n", "，。"], [], ["!"] * 60])
def test_texts_without_any_word_are_told(texts):
    with pytest.raises(ValueError, match=r"No word stands in the training texts\. Check the text column"):
        TextEncoder().fit(texts, np.arange(len(texts)) % 2)


@pytest.mark.parametrize(
    "texts",
    [
        ["goal"] * 10,
        ["goal team"] * 60,
        ["a", "b"],
        ["a"],
        ["goal", ""],
        [f"word{i}" for i in range(60)],
        [f"unique{i} and{i} again{i}" for i in range(60)],
        [chr(0x4E00 + 7 * i) for i in range(60)],  # no word and no character stands twice
        ["一" * 3] * 59 + ["goal"],
        ["goal team"] + [""] * 59,
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:divide by zero:RuntimeWarning")
def test_the_poorest_texts_can_be_learnt(texts):
    """A single word, a single text, or words that stand nowhere twice."""
    encoder = TextEncoder(ngram_dimensions=4, vectors=short_vectors(texts, 4))
    encoder.fit(texts, np.arange(len(texts)) % 2)
    features = encoder.transform([*texts, "", "else"])
    assert len(features) == len(texts) + 2
    assert features.shape[1] == len(encoder.mean_)
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 1e4


def test_features_tell_the_classes_apart(fitted):
    """A nearest-centre rule on new texts is right nine times of ten."""
    encoder, texts, labels = fitted
    others, truth = made(60, seed=9)
    features = encoder.transform(texts)
    centres = np.stack([features[labels == k].mean(axis=0) for k in range(3)])
    distances = np.linalg.norm(encoder.transform(others)[:, None] - centres, axis=2)
    assert (distances.argmin(axis=1) == truth).mean() > 0.9
