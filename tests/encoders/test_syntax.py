"""Syntax measures on trees drawn by hand; the encoder with a parser of three lines. Nothing is downloaded."""

import json
import subprocess
import sys

import numpy as np
import pytest

from fusebook.encoders.syntax import SyntaxEncoder, load_pipeline, mean_dependency_distance, relation_counts, tree_depth


def test_a_missing_spacy_is_told():
    code = (
        "import sys; sys.modules['spacy'] = None; from fusebook.encoders.syntax import SyntaxEncoder\n"
        "try: SyntaxEncoder('en_core_web_sm').fit(['text'])\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout
    assert "'en_core_web_sm' needs spaCy, which is not installed: `pip install spacy`" in told
    assert "`python -m spacy download en_core_web_sm`" in told


def test_spacy_is_not_imported_before_it_is_needed():
    code = "import sys; import fusebook.encoders.syntax as s; s.SyntaxEncoder('x'); assert 'spacy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_an_empty_name_is_told():
    with pytest.raises(ValueError, match="expected one such as en_core_web_sm"):
        SyntaxEncoder("")


spacy = pytest.importorskip("spacy", reason="spaCy, an optional extra, is not installed")
from spacy.language import Language  # noqa: E402
from spacy.tokens import Doc  # noqa: E402

VOCAB = spacy.blank("xx").vocab  # knows which tokens are punctuation or blanks, and nothing else


def tree(line):
    """A Doc of "word>head/relation" items; heads by number from 0."""
    items = [item.rsplit("/", 1) for item in line.split()]
    pairs = [left.rsplit(">", 1) for left, _ in items]
    return Doc(
        VOCAB,
        words=[word for word, _ in pairs],
        heads=[int(head) for _, head in pairs],
        deps=[relation for _, relation in items],
    )


# Liu (2008) counts "The student has a book": |1-2| + |2-3| + |4-5| + |5-3| over four links.
BOOK = "The>1/det student>2/nsubj has>2/ROOT a>4/det book>2/obj"
TWO = f"{BOOK} .>2/punct He>7/nsubj reads>7/ROOT .>7/punct"
CHAIN = "I>1/nsubj think>1/ROOT he>3/nsubj said>1/ccomp she>5/nsubj left>3/ccomp early>5/advmod"
COMMA = "Yesterday>3/advmod ,>3/punct he>3/nsubj left>3/ROOT"


@pytest.mark.parametrize(
    ("line", "depth", "distance"),
    [
        (BOOK, 2, 5 / 4),
        (TWO, (2 + 1) / 2, (5 + 1) / 5),
        (CHAIN, 3, (1 + 1 + 2 + 1 + 2 + 1) / 6),
        (COMMA, 1, (2 + 1) / 2),
        ("Yes>0/ROOT", 0, 0),
        ("!>0/ROOT", 0, 0),
        ("Stop>0/ROOT !>0/punct", 0, 0),
        ("我>1/nsubj 喜欢>1/ROOT 红>3/amod 苹果>1/obj 。>1/punct", 2, (1 + 1 + 2) / 3),
        ("", 0, 0),
    ],
)
def test_depth_and_distance_by_hand(line, depth, distance):
    doc = tree(line)
    assert tree_depth(doc) == depth
    assert mean_dependency_distance(doc) == pytest.approx(distance)


def test_depth_is_that_of_a_walk_from_each_word():
    """Random trees: each word hangs on an earlier one, or starts a sentence."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        size = int(rng.integers(1, 30))
        start = 0
        heads = []
        for i in range(size):
            if rng.random() < 0.15:
                start = i
            heads.append(int(rng.integers(start, i)) if i > start else i)
        doc = Doc(VOCAB, words=[f"w{i}" for i in range(size)], heads=heads, deps=["x"] * size)
        depths = [len(list(token.ancestors)) for token in doc]
        sentences = [max(depths[token.i] for token in sentence) for sentence in doc.sents]
        assert tree_depth(doc) == pytest.approx(np.mean(sentences))
        links = [abs(token.i - token.head.i) for token in doc if token.head.i != token.i]
        assert mean_dependency_distance(doc) == pytest.approx(np.mean(links) if links else 0)


def test_relations_by_hand():
    assert relation_counts(tree(TWO)) == {"det": 2, "nsubj": 2, "ROOT": 2, "obj": 1, "punct": 2}
    assert relation_counts(tree("")) == {}
    doc = Doc(VOCAB, words=["a", "\n", "b"], heads=[0, 0, 0], deps=["ROOT", "dep", "obj"])
    assert relation_counts(doc) == {"ROOT": 1, "obj": 1}
    assert mean_dependency_distance(doc) == 1


# --- The encoder --------------------------------------------------------------------------------------


@Language.component("fusebook_test_parser")
def parser(doc):
    """Each word depends on the first; its relation is its own text, as in "nsubj"."""
    for token in doc:
        token.head = doc[0]
        token.dep_ = "ROOT" if token.i == 0 else token.text[:20]
    return doc


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline") / "made"
    language = spacy.blank("xx")
    language.add_pipe("fusebook_test_parser")
    language.to_disk(folder)
    return str(folder)


TEXTS = ["see obj", "see nsubj obj obj", "see obj amod nsubj", "see"]


def test_features_by_hand(pipeline):
    encoder = SyntaxEncoder(pipeline)
    assert encoder.fit(TEXTS) is encoder
    assert encoder.relations_ == ["ROOT", "amod", "nsubj", "obj"]
    raw = np.array(
        [
            [1 / 2, 0, 0, 1 / 2, 1, 1],
            [1 / 4, 0, 1 / 4, 2 / 4, 1, (1 + 2 + 3) / 3],
            [1 / 4, 1 / 4, 1 / 4, 1 / 4, 1, 2],
            [1, 0, 0, 0, 0, 0],
        ]
    )
    expected = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    features = encoder.transform(TEXTS)
    np.testing.assert_allclose(features, expected, atol=1e-6)
    assert features.dtype == np.float32
    new = encoder.transform(["see unheard obj obj"])[0]  # the unheard relation has no column but takes its share
    np.testing.assert_allclose(new, (np.array([0.25, 0, 0, 0.5, 1, 2]) - raw.mean(0)) / raw.std(0), atol=1e-6)


def test_constant_features_are_finite(pipeline):
    features = SyntaxEncoder(pipeline).fit(["see obj"] * 3).transform(["see obj", "see nsubj"])
    np.testing.assert_array_equal(features[0], 0)
    assert np.isfinite(features).all()


def test_odd_texts(pipeline):
    encoder = SyntaxEncoder(pipeline).fit(["", *TEXTS, " \n"])
    plain = SyntaxEncoder(pipeline).fit(TEXTS)
    np.testing.assert_array_equal(encoder.mean_, plain.mean_)  # texts without tokens teach nothing
    odd = ["", "  \n", "!!! ...", "😀👨‍👩‍👧", "\x00\ud83d", "股市 上涨 see", "x" * 100_000, "word " * 2_000]
    features = encoder.transform(odd)
    assert features.shape == (len(odd), 6)
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features[:2], 0)
    assert encoder.transform([]).shape == (0, 6)


@pytest.mark.parametrize("texts", [[], [""], ["", " \n"]])
def test_no_words_are_told(pipeline, texts):
    with pytest.raises(ValueError, match="No word stands in the training texts"):
        SyntaxEncoder(pipeline).fit(texts)


def test_save_and_load_give_the_same_features(pipeline, tmp_path):
    encoder = SyntaxEncoder(pipeline).fit(TEXTS)
    encoder.save(tmp_path / "new")
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["syntax.json"]
    json.loads((tmp_path / "new" / "syntax.json").read_text("utf-8"))
    loaded = SyntaxEncoder.load(tmp_path / "new")
    others = ["see obj obj", "", "see amod x"]
    np.testing.assert_array_equal(loaded.transform(others), encoder.transform(others))


def test_a_pipeline_without_a_parser_is_told(tmp_path):
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(ValueError, match=r"parses no dependencies\. Name one with a parser"):
        SyntaxEncoder(str(tmp_path / "blank")).fit(["see me"])


@pytest.mark.parametrize("name", ["no_such_pipeline", "no/such/folder"])
def test_a_pipeline_that_is_not_installed_is_told(name):
    with pytest.raises(ValueError, match=f"'{name}' is not installed. Get it by `python -m spacy download {name}`"):
        load_pipeline(name)
