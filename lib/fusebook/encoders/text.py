"""The text encoder: word vectors, n-grams, length, tags and syntax to the blocks of numbers that a network reads.

Notebook 02_preprocess tells the story. The length is encoded here too: a bag of n-grams leaves it out.
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unicodedata import east_asian_width

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, vstack

from fusebook import runs
from fusebook.data.dataset import Dataset
from fusebook.data.formats import manifest
from fusebook.encoders import tokens
from fusebook.encoders.ngrams import NgramBag
from fusebook.encoders.syntax import SyntaxEncoder
from fusebook.encoders.tokens import WORDS
from fusebook.encoders.vectors import VectorEncoder, train_vectors

PARTS = ("length", "ngrams", "syntax", "tags", "vectors")
# About the length of a part's dense row beside a bag whose rows have length 1: louder, it drowns the bag.
BESIDE_NGRAMS = 0.5
_AT_ONCE = 50_000  # texts whose words and n-grams are in memory together
_STEPS = 20  # between knots at most, and
_TEXTS = 20  # training texts that lie in a step at least


def columns(text: str) -> int:
    """The columns that ``text`` fills on a line: 2 for a Chinese character or a full-width sign, 1 for any other."""
    return len(text) + sum(n for character, n in Counter(text).items() if east_asian_width(character) in "FW")


class LengthEncoder:
    """Text to its length in hat functions: 1 at one knot, falling in a straight line to 0 at the knots beside it.

    So a network may give each length its own say, and texts of about the same length about the same (piecewise linear
    encoding, as in Gorishniy, Rubachev and Babenko, 2022). Knots lie at quantiles of the training texts' lengths, and
    the scale between them is the logarithm: ten characters more make a headline another kind of text, and an article
    none. A step from knot to knot holds 20 training texts at least, so few texts have few knots.

    Attributes
    ----------
    knots_ : log2 of 1 + length in ``columns``, rising, shape (n_knots,)
    """

    def fit(self, texts: Sequence[str]) -> "LengthEncoder":
        """Learn the knots from training rows' ``texts``. Raises ValueError where there is none."""
        if not len(texts):
            raise ValueError("No training text to learn lengths from; expected at least one.")
        steps = int(np.clip(len(texts) / _TEXTS, 1, _STEPS))
        self.knots_ = np.unique(np.quantile(_log_lengths(texts), np.linspace(0, 1, steps + 1)))
        return self

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        """Shares of shape (n_texts, n_knots), float32; a row sums to 1. Beyond the outer knots it is as at them."""
        lengths, hats = _log_lengths(texts), np.eye(len(self.knots_))
        return np.column_stack([np.interp(lengths, self.knots_, hat) for hat in hats]).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the encoder as JSON."""
        runs.write_json(folder / "lengths.json", {"knots": self.knots_.tolist()})

    @classmethod
    def load(cls, folder: Path) -> "LengthEncoder":
        """Read what ``save`` wrote."""
        encoder, path = cls(), folder / "lengths.json"
        with manifest.reading(path):
            encoder.knots_ = np.array(manifest.read_json(path, {"knots": list})["knots"], float)
            rises = encoder.knots_.ndim == 1 and len(encoder.knots_) and (np.diff(encoder.knots_) > 0).all()
        manifest.expect(rises, path, "knots that don't rise", "at least one, rising")
        return encoder


def _log_lengths(texts: Sequence[str]) -> np.ndarray:
    return np.log2(1 + np.fromiter(map(columns, texts), float, len(texts)))


class TextEncoder:
    """Texts to two kinds of features: dense ones, and the n-grams that tell most.

    Parameters
    ----------
    parts : any of "vectors" (a mean of word vectors), "ngrams" (a bag of word and character n-grams), "length" (how long
        the text is), "tags" (shares of the part-of-speech tags) and "syntax" (relations and depth of the sentences'
        trees), joined by "+"
    vectors : a ``VectorEncoder``, whose weights ``fit`` learns; without one, skip-gram vectors of 100 numbers are trained
        on the texts given to ``fit``
    words : which words count for vectors and word n-grams: "all", "no stop words", or "content" (nouns, verbs,
        adjectives, adverbs)
    max_ngrams, width : as in ``NgramBag``
    syntax_pipeline : name of a spaCy pipeline, for "syntax"

    Attributes
    ----------
    vectors_, lengths_, syntax_ : fitted encoders, None where the part is not asked for
    bag_ : the fitted ``NgramBag``; without "ngrams" it serves linear models and explanations alone
    """

    def __init__(
        self, parts: str = "vectors+ngrams+length", *, vectors: VectorEncoder | None = None, words: str = "all",
        max_ngrams: int = 200_000, width: int = 256, syntax_pipeline: str = "",
    ):  # fmt: skip
        if not set(parts.split("+")) <= set(PARTS):
            known = f"{', '.join(PARTS)}, joined by '+', such as 'vectors+ngrams+length'"
            raise ValueError(f"text parts are {parts!r}; expected some of {known}.")
        if words not in WORDS:
            raise ValueError(f"words is {words!r}; expected one of {', '.join(map(repr, WORDS))}.")
        self.parts, self.vectors, self.words = parts, vectors, words
        self.max_ngrams, self.width, self.syntax_pipeline = max_ngrams, width, syntax_pipeline

    reads_labels = True  # they choose among the n-grams

    def fit(self, texts: list[str], labels, *, validation=None) -> "TextEncoder":
        """Learn from the training rows' ``texts``; ``labels`` (class numbers) choose among the n-grams.

        ``validation`` is there as in other encoders; nothing here needs it. Raises ValueError where no text has a word, and as
        ``SyntaxEncoder`` does.
        """
        token_lists = self.cut(texts)
        if not any(token_lists):
            raise ValueError("No word stands in the training texts. Check the text column, or leave the text out.")
        self.bag_ = NgramBag(self.max_ngrams, self.width)
        with ThreadPoolExecutor(1) as aside:  # gensim works outside Python's lock, on the other core
            vectors = aside.submit(self._fit_vectors, token_lists)
            self.bag_.fit_transform(texts, token_lists, labels)
        self.vectors_, self.syntax_ = vectors.result(), None
        self.lengths_ = LengthEncoder().fit(texts) if "length" in self.parts else None
        if "syntax" in self.parts:
            self.syntax_ = SyntaxEncoder(self.syntax_pipeline).fit(texts)
        dense = list(self._dense(texts, token_lists).values())
        self.mean_, self.scale_ = np.empty((2, 0), np.float32)
        if dense:
            self.mean_ = np.hstack([values.mean(axis=0) for values in dense])
            self.scale_ = np.hstack([self._scale_of(values) for values in dense]).astype(np.float32)
        return self

    def _fit_vectors(self, token_lists: list[list[str]]) -> VectorEncoder | None:
        if "vectors" not in self.parts:
            return None
        return (self.vectors or VectorEncoder(train_vectors(token_lists))).fit(token_lists)

    def _scale_of(self, values: np.ndarray) -> np.ndarray:
        """One scale for all of a part's columns: those that are mere noise are not to be blown up. 1 for a constant."""
        spread = values.std() if values.std() > 1e-6 else 1.0
        if "ngrams" in self.parts:  # a row of d numbers of unit spread is about as long as the root of d
            spread *= np.sqrt(values.shape[1]) / BESIDE_NGRAMS
        return np.full(values.shape[1], spread)

    def columns(self) -> dict[str, dict[str, slice]]:
        """Where each part stands in what ``transform`` returns: part to its columns of each block."""
        made, start = {}, 0
        for part, values in self._dense([], []).items():
            made[part] = {"text": slice(start, start + values.shape[1])}
            start += values.shape[1]
        if "ngrams" in self.parts:
            made["ngrams"] = {"text_ngrams": slice(None), "text_weights": slice(None)}
        return made

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        """Each text's words, as far as they count."""
        return [WORDS[self.words](text) for text in texts]

    def transform(self, texts: list[str]) -> dict[str, np.ndarray]:
        """The blocks of features, without those whose parts are not asked for.

        "text" has shape (n_texts, n_features), float32, centred: vectors, length, tags, syntax. Each part is brought to
        about unit spread, and beside n-grams to rows of about half the length of the bag's. "text_ngrams", int32, and
        "text_weights" have the n-grams that tell most, of shape (n_texts, width_), as ``NgramBag.most_telling`` gives
        them.
        """
        made = [self._blocks(some) for some in _pieces(texts)]
        return {block: np.concatenate([part.pop(block) for part in made]) for block in list(made[0])}

    def _blocks(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        token_lists, made = self.cut(texts), {}
        if len(self.mean_):
            dense = np.hstack(list(self._dense(texts, token_lists).values()))
            made["text"] = (dense - self.mean_) / self.scale_
        if "ngrams" in self.parts:
            bag = self.bag_.transform(texts, token_lists)
            made["text_ngrams"], made["text_weights"] = self.bag_.most_telling(bag)
        return made

    def transform_ngrams(self, texts: list[str]) -> csr_array:
        """The whole TF-IDF bag of n-grams, shape (n_texts, n_ngrams), sparse, each row of length 1."""
        return vstack([self.bag_.transform(some, self.cut(some)) for some in _pieces(texts)], "csr")

    def _dense(self, texts, token_lists) -> dict[str, np.ndarray]:
        """The dense features of each part that has some, in the order of their columns."""
        made = {}
        if self.vectors_:
            made["vectors"] = self.vectors_.transform(token_lists)
        if self.lengths_:
            made["length"] = self.lengths_.transform(texts)
        if "tags" in self.parts:
            made["tags"] = tokens.tag_shares(texts)
        if self.syntax_:
            made["syntax"] = self.syntax_.transform(texts)
        return made

    def save(self, folder: Path) -> None:
        """Write the encoder as JSON and npz: nothing that runs code when it is loaded."""
        folder.mkdir(parents=True, exist_ok=True)
        names = ("parts", "words", "max_ngrams", "width", "syntax_pipeline")
        runs.write_json(folder / "text.json", {name: getattr(self, name) for name in names})
        np.savez(folder / "text.npz", mean=self.mean_, scale=self.scale_)
        for encoder in (self.bag_, self.vectors_, self.lengths_, self.syntax_):
            if encoder:
                encoder.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "TextEncoder":
        """Read what ``save`` wrote."""
        path, numbers = folder / "text.json", {"max_ngrams": int, "width": int}
        facts = manifest.read_json(path, {"parts": str, "words": str, "syntax_pipeline": str} | numbers)
        with manifest.reading(path):
            encoder = cls(**facts)
        encoder.bag_ = NgramBag.load(folder)
        encoder.vectors_ = VectorEncoder.load(folder) if "vectors" in encoder.parts else None
        encoder.lengths_ = LengthEncoder.load(folder) if "length" in encoder.parts else None
        encoder.syntax_ = SyntaxEncoder.load(folder) if "syntax" in encoder.parts else None
        arrays = manifest.read_arrays(folder / "text.npz", mean="f", scale="f")
        encoder.mean_, encoder.scale_ = arrays["mean"], arrays["scale"]
        manifest.expect_scales(folder / "text.npz", encoder.mean_, encoder.scale_, encoder.n_dense_)
        return encoder

    @property
    def n_dense_(self) -> int:
        """The columns of the block "text", 0 without one; no text is read for it."""
        made = self.vectors_.vectors.vectors.shape[1] if self.vectors_ else 0
        made += len(self.lengths_.knots_) if self.lengths_ else 0
        made += tokens.tag_shares([]).shape[1] if "tags" in self.parts else 0
        return made + (len(self.syntax_.relations_) + 2 if self.syntax_ else 0)


def _pieces(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[i : i + _AT_ONCE] for i in range(0, max(len(texts), 1), _AT_ONCE)]


def length_quartiles(data: Dataset) -> pd.DataFrame:
    """Quartiles of the training texts' lengths in ``columns`` by label, short ones first; empty without texts."""
    rows = data.train.rows[data.train.rows["text"] != ""]
    made = rows["text"].map(columns).astype(int).groupby(rows["label"]).quantile([0.25, 0.5, 0.75]).unstack()
    made.columns = ["lower quartile", "median", "upper quartile"][: made.shape[1]]
    return made.sort_values("median").round(0).astype(int) if len(made) else made
