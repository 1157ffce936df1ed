"""A bag of word and character n-grams: TF-IDF over words (1 and 2) and characters (1 to 3), chosen by chi-squared.

Notebook 02_preprocess tells the story. The numbers are those of scikit-learn's TfidfVectorizer, but n-grams are counted
as integers, not as strings, which takes a fraction of the time: a pair of words is a pair of word numbers, and three
characters of 21 bits each fit in 64.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, hstack, vstack
from sklearn.feature_selection import chi2
from sklearn.preprocessing import normalize

from fusebook import runs
from fusebook.data.formats import manifest

_CHUNK = 4_000_000  # characters whose n-grams are in memory at once
_BITS = 21  # of a character's number in Unicode
_BLANKS = re.compile(r"\s\s+")

# The n-grams of some texts: each one's code, the number of the text it stands in, and how many texts there are.
Codes = tuple[np.ndarray, np.ndarray, int]


class NgramBag:
    """Texts to a sparse bag of n-grams, and to the few of each text that tell most.

    Parameters
    ----------
    max_ngrams : n-grams that are kept; where there are more, those with the highest chi-squared against the label
    width : n-grams of a text that a network reads at most

    Attributes
    ----------
    words_, pairs_, pieces_ : pandas.Index of the words known, and of the codes of word and of character n-grams
    n_ngrams_ : columns of the bag
    width_ : n-grams of a text that a network reads: ``width``, or fewer where no training text has as many
    """

    def __init__(self, max_ngrams: int = 200_000, width: int = 256):
        self.max_ngrams = max_ngrams
        self.width = width

    def fit_transform(self, texts: Sequence[str], token_lists: Sequence[list[str]], labels) -> csr_array:
        """Learn from training rows only which n-grams there are, how rare each is and what it says of the label.

        ``labels`` are class numbers, shape (n_texts,). With more than 50 texts an n-gram must stand in two of them to
        be learnt, where any does. Returns the texts' bag, as ``transform`` does.
        """
        seen = Counter(chain.from_iterable(map(dict.fromkeys, token_lists)))  # in order: sets have another each run
        fewest = 2 if len(texts) > 50 and max(seen.values(), default=0) > 1 else 1
        self.words_ = pd.Index([word for word, count in seen.items() if count >= fewest], dtype=object)
        self.pairs_, words = _learn(self._word_codes(token_lists), fewest)
        self.pieces_, characters = _learn(_character_codes(texts), fewest)
        self.idf_ = [_idf(counts) for counts in (words, characters)]
        bag = self._weigh(words, characters)
        scores = np.nan_to_num(chi2(bag, labels)[0])
        self.chosen_ = np.sort(np.argsort(-scores, kind="stable")[: self.max_ngrams])
        self.scores_ = scores[self.chosen_].astype(np.float32)
        self.n_ngrams_ = len(self.chosen_)
        bag = self._choose(bag)
        self.width_ = int(np.clip(np.diff(bag.indptr).max(), 1, self.width))
        return bag

    def transform(self, texts: Sequence[str], token_lists: Sequence[list[str]]) -> csr_array:
        """The bag of shape (n_texts, n_ngrams_), sparse, float32; each row of length 1, or 0 where nothing is known."""
        words = _count(self._word_codes(token_lists), self.pairs_)
        characters = _count(_character_codes(texts), self.pieces_)
        return self._choose(self._weigh(words, characters))

    def most_telling(self, bag: csr_array) -> tuple[np.ndarray, np.ndarray]:
        """The ``width_`` n-grams of each text that tell most: their columns and weights, of shape (n_texts, width_).

        A long text has more: those go on whose weight times the root of chi-squared is highest, and their weights are
        brought to length 1 again. Where a text has fewer, the rest is column 0 with weight 0.
        """
        rows, places = self._ranked(bag)
        kept = places < self.width_
        columns = np.zeros((bag.shape[0], self.width_), np.int32)
        weights = np.zeros(columns.shape, np.float32)
        columns[rows[kept], places[kept]] = bag.indices[kept]
        weights[rows[kept], places[kept]] = bag.data[kept]
        return columns, _to_length_1(weights)

    def kept_weight(self, bag: csr_array) -> np.ndarray:
        """The share of each text's squared weights that ``most_telling`` keeps, shape (n_texts,); 1 where it has none."""
        shares, long = np.ones(bag.shape[0]), np.flatnonzero(np.diff(bag.indptr) > self.width_)
        rows, places = self._ranked(bag[long])
        kept = places < self.width_
        shares[long] = np.bincount(rows[kept], bag[long].data[kept] ** 2, len(long))
        return shares

    def _ranked(self, bag: csr_array) -> tuple[np.ndarray, np.ndarray]:
        """The text of each entry of ``bag``, and its rank in the text; ranks say nothing where all entries are kept."""
        lengths = np.diff(bag.indptr)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        ranks = np.arange(bag.nnz) - np.repeat(bag.indptr[:-1], lengths)
        long = np.flatnonzero((lengths > self.width_)[rows])
        tells = bag.data[long] * np.sqrt(self.scores_[bag.indices[long]])
        ranks[long[np.lexsort((-tells, rows[long]))]] = ranks[long]
        return rows, ranks

    def names(self, columns: Sequence[int]) -> list[str]:
        """The n-grams that stand in ``columns`` of the bag: words parted by a blank, or characters."""
        made = []
        for column in self.chosen_[columns]:
            if column < len(self.pairs_):
                first, second = divmod(int(self.pairs_[column]), len(self.words_) + 1)
                made.append(" ".join(self.words_[number - 1] for number in (first, second) if number))
            else:
                code = int(self.pieces_[column - len(self.pairs_)])
                numbers = [code >> shift & (1 << _BITS) - 1 for shift in (2 * _BITS, _BITS, 0)]
                made.append("".join(chr(number - 1) for number in numbers if number))
        return made

    def kinds(self, columns: Sequence[int]) -> list[str]:
        """Of words or of characters? "word" or "characters" for the n-gram in each of ``columns``."""
        return ["word" if column < len(self.pairs_) else "characters" for column in self.chosen_[columns]]

    def _word_codes(self, token_lists) -> Iterator[Codes]:
        """Words and pairs of neighbours as ``first * (n_words + 1) + second``; the first is 0 for a word alone."""
        lengths = np.fromiter(map(len, token_lists), np.int64, len(token_lists))
        known = dict(zip(self.words_, range(1, len(self.words_) + 1), strict=True))
        numbers = np.fromiter(map(known.get, chain.from_iterable(token_lists), repeat(0)), np.int64, lengths.sum())
        texts = np.repeat(np.arange(len(lengths)), lengths)
        pairs = numbers[:-1] * (len(self.words_) + 1) + numbers[1:]
        is_pair = (texts[:-1] == texts[1:]) & (numbers[:-1] > 0) & (numbers[1:] > 0)
        codes = np.concatenate([numbers[numbers > 0], pairs[is_pair]])
        yield codes, np.concatenate([texts[numbers > 0], texts[:-1][is_pair]]), len(token_lists)

    def _weigh(self, *counts: csr_array) -> csr_array:
        parts = []
        for part, idf in zip(counts, self.idf_, strict=True):
            part.data = (1 + np.log(part.data)) * idf[part.indices]
            parts.append(_to_length_1(part))
        return hstack(parts, "csr")

    def _choose(self, bag: csr_array) -> csr_array:
        return _to_length_1(bag if self.n_ngrams_ == bag.shape[1] else bag[:, self.chosen_])

    def save(self, folder: Path) -> None:
        """Write the bag as JSON and npz to ``folder``."""
        facts = {"max_ngrams": self.max_ngrams, "width": self.width, "width_": self.width_}
        runs.write_json(folder / "ngrams.json", {**facts, "words": list(self.words_)})
        np.savez(
            folder / "ngrams.npz", pairs=self.pairs_.to_numpy(), pieces=self.pieces_.to_numpy(), chosen=self.chosen_,
            scores=self.scores_, word_idf=self.idf_[0], character_idf=self.idf_[1],
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> "NgramBag":
        """Read what ``save`` wrote. Raises ValueError where a file is damaged."""
        path, given = folder / "ngrams.json", {"max_ngrams": int, "width": int, "width_": int, "words": list}
        facts = manifest.read_json(path, given)
        manifest.expect_names(path, "words", facts["words"])
        fits = 1 <= facts["width_"] <= max(facts["width"], 1)
        manifest.expect(fits, path, f"width_ {facts['width_']}", f"1 to {facts['width']}")
        bag = cls(facts["max_ngrams"], facts["width"])
        bag.width_, bag.words_ = facts["width_"], pd.Index(facts["words"], dtype=object)
        path = folder / "ngrams.npz"
        kinds = {"pairs": "i", "pieces": "i", "chosen": "i", "scores": "f", "word_idf": "f", "character_idf": "f"}
        arrays = manifest.read_arrays(path, **kinds)
        lengths = {name: values.size for name, values in arrays.items()}
        for name, like in zip(kinds, ["pairs", "pieces", "chosen", "chosen", "pairs", "pieces"], strict=True):
            manifest.expect_shape(path, name, arrays[name], (lengths[like],))
        for name, most in (("pairs", None), ("pieces", None), ("chosen", lengths["pairs"] + lengths["pieces"])):
            rises = (np.diff(arrays[name]) > 0).all() and arrays[name].min(initial=0) >= 0
            fits = rises and (most is None or arrays[name].max(initial=-1) < most)
            manifest.expect(fits, path, f"{name} that don't rise or lead outside", f"rising numbers below {most}")
        bag.pairs_, bag.pieces_ = pd.Index(arrays["pairs"]), pd.Index(arrays["pieces"])
        bag.chosen_, bag.scores_ = arrays["chosen"], arrays["scores"]
        bag.idf_ = [arrays["word_idf"], arrays["character_idf"]]
        bag.n_ngrams_ = len(bag.chosen_)
        fits = bag.width_ <= max(bag.n_ngrams_, 1)
        manifest.expect(fits, folder / "ngrams.json", f"width_ {bag.width_}", f"at most {bag.n_ngrams_} n-grams a text")
        return bag


def _character_codes(texts: Sequence[str]) -> Iterator[Codes]:
    """One to three neighbouring characters, each 21 bits: their numbers in Unicode plus 1, so that none is 0."""
    texts = [_BLANKS.sub(" ", text.lower()) for text in texts]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    cuts = np.searchsorted(np.cumsum(lengths), np.arange(_CHUNK, lengths.sum(), _CHUNK))
    for chunk in np.split(np.arange(len(texts)), np.unique(cuts)):
        joined = "".join(texts[i] for i in chunk).encode("utf-32-le", "surrogatepass")
        characters = np.frombuffer(joined, np.uint32).astype(np.int64) + 1
        places = np.repeat(np.arange(len(chunk)), lengths[chunk])
        codes, made = characters, [(characters, places)]
        for more in (1, 2):
            codes = codes[:-1] << _BITS | characters[more:]
            inside = places[: len(codes)] == places[more:]  # not across two texts
            made.append((codes[inside], places[: len(codes)][inside]))
        yield *map(np.concatenate, zip(*made, strict=True)), len(chunk)


def _learn(chunks: Iterator[Codes], fewest: int) -> tuple[pd.Index, csr_array]:
    """The codes that stand in at least ``fewest`` texts, in order, and how often each stands in each text."""
    found = []
    for codes, places, n_texts in chunks:
        columns, known = pd.factorize(codes)
        found.append((known, _sum_up(places, columns, (n_texts, len(known)))))
    texts_with = np.concatenate([np.bincount(part.indices, minlength=len(known)) for known, part in found])
    totals = pd.Series(texts_with).groupby(np.concatenate([known for known, _ in found])).sum()
    vocabulary = pd.Index(totals.index[totals >= fewest].to_numpy(np.int64))
    parts = [_renumber(part, vocabulary.get_indexer(known), len(vocabulary)) for known, part in found]
    return vocabulary, vstack(parts, "csr")


def _count(chunks: Iterator[Codes], vocabulary: pd.Index) -> csr_array:
    """How often each code of ``vocabulary`` stands in each text, shape (n_texts, n_codes)."""
    made = []
    for codes, places, n_texts in chunks:
        columns = vocabulary.get_indexer(codes)
        known = columns >= 0
        made.append(_sum_up(places[known], columns[known], (n_texts, len(vocabulary))))
    return vstack(made, "csr")


def _sum_up(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_array:
    places = rows.astype(np.int32), columns.astype(np.int32)  # scikit-learn's models take no 64-bit indices
    return csr_array((np.ones(len(rows), np.float32), places), shape)


def _renumber(part: csr_array, columns: np.ndarray, n_columns: int) -> csr_array:
    rows = np.repeat(np.arange(part.shape[0], dtype=np.int32), np.diff(part.indptr))
    made = columns[part.indices].astype(np.int32)
    known = made >= 0
    return csr_array((part.data[known], (rows[known], made[known])), (part.shape[0], n_columns))


def _to_length_1(rows):
    """``rows`` scaled in place; scikit-learn refuses a table without rows or columns."""
    return normalize(rows, copy=False) if min(rows.shape) else rows


def _idf(counts: csr_array) -> np.ndarray:
    """log((1 + texts) / (1 + texts with it)) + 1, as in scikit-learn."""
    texts_with = np.bincount(counts.indices, minlength=counts.shape[1])
    return (np.log((1 + counts.shape[0]) / (1 + texts_with)) + 1).astype(np.float32)
