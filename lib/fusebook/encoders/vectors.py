"""Word vectors, trained or read from a file, and a text's vector made of them.

Notebook 02_preprocess tells the story. gensim takes a second to import, so it is imported where vectors are made.
"""

import gzip
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from fusebook import runs
from fusebook.data.dataset import SPLITS, Dataset
from fusebook.encoders.tokens import WORDS

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

# gensim's model, and how often it may read the corpus in the time that skip-gram takes for once.
METHODS = {"word2vec-sg": ("Word2Vec", 1), "word2vec-cbow": ("Word2Vec", 3), "fasttext": ("FastText", 0.75)}
WEIGHTINGS = ("mean", "idf")
_TOKENS_READ = 1_000_000  # by skip-gram in all epochs together: three to four seconds
_BUCKETS = 50_000  # vectors that all sub-words share: 20 MB at 100 dimensions
_OTHER_SHARE = 0.001  # of a file's vectors may have another length (cut off) before the file is refused
_CHUNK = 1 << 22  # bytes of a binary file that are read at once


def train_vectors(
    token_lists: Sequence[list[str]], *, method: str = "word2vec-sg", dimensions: int = 100, random_state: int = 42
) -> "KeyedVectors":
    """Word vectors of length ``dimensions`` learnt from training rows, the same at each run.

    ``method`` is "word2vec-sg" (skip-gram) or "word2vec-cbow" (Mikolov and others, 2013), or "fasttext" (Bojanowski and
    others, 2017), which also has vectors of sub-words. With more than 50 texts a word must stand there twice to be
    learnt. The learning rate is four times gensim's default, and frequent words are thinned out and epochs (2 to 20)
    counted by the number of tokens: on 33,590 headlines that is better than 20 epochs at the default, in a quarter of
    the time.

    Raises ValueError for another method, and where no text has a token.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {', '.join(METHODS)}.")
    counts = Counter(chain.from_iterable(token_lists))
    if not counts:
        raise ValueError("No word stands in the training texts. Check the text column, or leave the text out.")
    fewest = 2 if len(token_lists) > 50 and max(counts.values()) > 1 else 1
    model, pace = METHODS[method]
    sample, epochs = _schedule(counts, pace)
    options = _subword_lengths(counts) if model == "FastText" else {}
    from gensim import models

    # One worker, as several would make the vectors differ from run to run.
    return getattr(models, model)(
        _pieces(token_lists), vector_size=dimensions, sg=int(method != "word2vec-cbow"), seed=random_state, workers=1,
        min_count=fewest, sample=sample, epochs=epochs, alpha=0.1, window=10, shrink_windows=False, negative=3, **options,
    ).wv  # fmt: skip


def _schedule(counts: Counter, pace: float) -> tuple[float, int]:
    """Above which share of all tokens a word is thinned out, and the epochs for what is left."""
    shares = np.fromiter(counts.values(), float) / counts.total()
    for sample in (1e-3, 1e-4, 1e-5):  # the largest that leaves time for two epochs
        kept = counts.total() * (shares * np.minimum(1, np.sqrt(sample / shares) + sample / shares)).sum()
        if kept <= _TOKENS_READ / 2:
            break
    return sample, int(np.clip(round(pace * _TOKENS_READ / kept), 2, 20))


def _subword_lengths(counts: Counter) -> dict[str, int]:
    """Characters of FastText's sub-words: few where words are short, as in Chinese, more elsewhere."""
    length = sum(len(word) * count for word, count in counts.items()) / counts.total()
    fewest, most = (1, 2) if length < 3 else (3, 5)
    return {"min_n": fewest, "max_n": most, "bucket": _BUCKETS}


def _pieces(token_lists: Sequence[list[str]]) -> list[list[str]]:
    """The texts, long ones in pieces: gensim leaves out whatever stands behind the 10,000th token of a text."""
    from gensim.models.word2vec import MAX_WORDS_IN_BATCH

    return [
        row[start : start + MAX_WORDS_IN_BATCH]
        for row in token_lists
        for start in range(0, len(row), MAX_WORDS_IN_BATCH)
    ]


# --- Files of vectors ---------------------------------------------------------------------------------


def read_vectors(path: str | Path, *, needed: Collection[str]) -> tuple["KeyedVectors", int]:
    """The vectors of the words in ``needed`` from a file, and the number of its broken lines, which were left out.

    GloVe's text files (Pennington and others, 2014) and word2vec's text and binary files are told apart by their
    content; each may be packed by gzip. Only needed words are kept, so that memory depends on the table and not on the
    file. A line is broken if its word is not UTF-8 or it lacks numbers; the numbers themselves are looked at for needed
    words only. Of a word that stands there twice, the first vector counts.

    Raises ValueError where the file holds no vectors, vectors of several lengths, ends too early, or has none of the
    needed words; FileNotFoundError where there is none.
    """
    from gensim.models import KeyedVectors

    path, wanted = Path(path), {word.encode("utf-8", "surrogatepass") for word in needed}
    try:
        with _opened(path) as file:
            length, binary = _look_ahead(path, file)
            found, broken = (_read_binary if binary else _read_text)(path, file, length, wanted)
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} ends too early or is damaged ({error}). Fetch it again.") from error
    if not found:
        raise ValueError(
            f"None of the {len(wanted)} words needed stands in {path}. Its words must be of the same language and "
            "script, and in small letters, as the table's are."
        )
    vectors = KeyedVectors(length)
    vectors.add_vectors([word.decode() for word in found], np.array(list(found.values()), np.float32))
    return vectors, broken


def _opened(path: Path):
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")


def _look_ahead(path, file) -> tuple[int, bool]:
    """How many numbers a vector has, and is the file binary? Leaves the file at its first vector."""
    head = file.read(1 << 16)
    first, _, rest = head.partition(b"\n")
    header = first.removeprefix(b"\xef\xbb\xbf").split()
    file.seek(0)
    if len(header) == 2 and all(part.isdigit() for part in header) and int(header[1]):
        file.readline()
        return int(header[1]), any(byte < 9 for byte in rest)  # text has no such control characters
    lines = [line for line in head.split(b"\n")[:100] if _numbers(line.split()[1:]) is not None]
    if not lines or any(byte < 9 for byte in head):
        raise ValueError(
            f"{path} holds no word vectors: expected lines of a word and its numbers, with blanks between (GloVe, "
            "word2vec text), or word2vec's binary form."
        )
    return Counter(len(line.split()) - 1 for line in lines).most_common(1)[0][0], False


def _numbers(fields: list[bytes]) -> list[float] | None:
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        return None
    return numbers if numbers and np.isfinite(numbers).all() else None


def _read_text(path, file, length, wanted) -> tuple[dict[bytes, list[float]], int]:
    found: dict[bytes, list[float]] = {}
    broken = n_lines = 0
    others: list[tuple[int, int]] = []  # vectors of another length: which one it is, numbers there
    for n_lines, line in enumerate(file, 1):
        line = line.strip().removeprefix(b"\xef\xbb\xbf")
        word = line[: line.find(b" ")]
        if word not in wanted and line.count(b" ") == length and _is_utf8(word):
            continue  # the short way for nearly all lines
        fields = line.split()
        word, numbers = (b" ".join(fields[:-length]), _numbers(fields[-length:]))  # a word may have blanks in it
        given = _numbers(fields[1:])
        if given is not None and len(given) != length:
            others.append((n_lines, len(given)))
        elif fields and (not word or numbers is None or not _is_utf8(word)):
            broken += 1
        elif word in wanted:
            found.setdefault(word, numbers)
    if len(others) > max(1, _OTHER_SHARE * n_lines):
        raise ValueError(
            f"{path} mixes vectors of several lengths: vector {others[0][0]} has {others[0][1]} numbers where {length} are "
            f"expected, and {len(others) - 1} more differ. Take a file with one length."
        )
    return found, broken + len(others)


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read_binary(path, file, length, wanted) -> tuple[dict[bytes, np.ndarray], int]:
    file.seek(0)
    promised = int(file.readline().split()[0])
    found: dict[bytes, np.ndarray] = {}
    broken = n_words = 0
    for word, numbers in islice(_binary_rows(file, 4 * length), promised):
        n_words += 1
        if not _is_utf8(word):
            broken += 1
        elif word in wanted:
            vector = np.frombuffer(numbers, "<f4")
            if np.isfinite(vector).all():
                found.setdefault(word, vector)
            else:
                broken += 1
    if n_words < promised:
        raise ValueError(f"{path} ends after {n_words} of {promised} words. Fetch it again.")
    return found, broken


def _binary_rows(file, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Words and the ``size`` bytes after each; stops where the file does."""
    held, start = b"", 0
    while True:
        blank = held.find(b" ", start)
        end = blank + 1 + size
        if blank < 0 or end > len(held):
            more = file.read(_CHUNK)
            if not more:
                return
            held, start = held[start:] + more, 0
            continue
        yield held[start:blank].lstrip(b"\n"), held[blank + 1 : end]
        start = end


def coverage(vectors: "KeyedVectors", token_lists: Iterable[list[str]]) -> dict[str, float]:
    """The share of different words ("types") and of all words ("tokens") that have a vector; 0 where there are none."""
    counts = Counter(chain.from_iterable(token_lists))
    known = [count for word, count in counts.items() if word in vectors.key_to_index]
    return {"types": len(known) / max(len(counts), 1), "tokens": sum(known) / max(counts.total(), 1)}


# --- A text's vector ----------------------------------------------------------------------------------


class VectorEncoder:
    """Tokens to one vector a text: a weighted mean of its words' vectors.

    Parameters
    ----------
    vectors : word vectors, such as ``train_vectors`` and ``read_vectors`` give
    weighting : "mean", or "idf", where a word weighs log((1 + texts) / (1 + texts with it)) + 1 (as in scikit-learn)

    Words without a vector are left out. FastText's sub-words make a vector for each of those that they can.
    """

    def __init__(self, vectors: "KeyedVectors", weighting: str = "mean"):
        if weighting not in WEIGHTINGS:
            raise ValueError(f"weighting is {weighting!r}; expected one of {', '.join(WEIGHTINGS)}.")
        self.vectors, self.weighting = vectors, weighting

    def fit(self, token_lists: Sequence[list[str]]) -> "VectorEncoder":
        """Learn the words' weights from training rows only."""
        self.weights_, self.unseen_weight_ = np.ones(len(self.vectors), np.float32), 1.0
        if self.weighting == "idf":
            bag = _bag(token_lists, self.vectors.key_to_index)
            bag.sum_duplicates()
            texts_with = np.bincount(bag.indices, minlength=len(self.vectors))
            self.weights_ = (np.log((1 + len(token_lists)) / (1 + texts_with)) + 1).astype(np.float32)
            # A word that training rows lack weighs as one that stands in none of them.
            self.unseen_weight_ = float(np.log(1 + len(token_lists)) + 1)
        return self

    def transform(self, token_lists: Sequence[list[str]]) -> np.ndarray:
        """Text vectors of shape (n_texts, dimensions), float32; zeros for a text with no known word."""
        words, table, weights = self._with_unknown(token_lists)
        bag = _bag(token_lists, words)
        bag.data *= weights[bag.indices]
        made = bag @ table
        made /= np.where(np.diff(bag.indptr), bag.sum(axis=1), 1).astype(np.float32)[:, None]  # in place: may be large
        return made

    def _with_unknown(self, token_lists):
        """Word numbers, vectors and weights, with those of unknown words behind where FastText's sub-words make them."""
        words, table = self.vectors.key_to_index, self.vectors.vectors
        unknown = set()
        if _has_subwords(self.vectors):
            unknown = set(chain.from_iterable(token_lists)).difference(words)
        if not unknown:
            return words, table, self.weights_
        words = {**words, **{word: len(words) + i for i, word in enumerate(unknown)}}
        table = np.vstack([table, *(self.vectors.get_vector(word) for word in unknown)])
        return words, table, np.append(self.weights_, np.full(len(unknown), self.unseen_weight_, np.float32))

    def save(self, folder: Path) -> None:
        """Write the encoder as JSON and npz; with FastText's vectors its sub-words go along."""
        vectors = self.vectors
        facts = {"weighting": self.weighting, "unseen_weight": self.unseen_weight_, "words": vectors.index_to_key}
        arrays = {"vectors": vectors.vectors, "weights": self.weights_}
        if _has_subwords(vectors):
            facts["subwords"] = {name: getattr(vectors, name) for name in ("min_n", "max_n", "bucket")}
            arrays["subwords"] = vectors.vectors_ngrams
        runs.write_json(folder / "vectors.json", facts)
        with runs.replacing(folder / "vectors.npz") as beside, beside.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, folder: Path) -> "VectorEncoder":
        """Read what ``save`` wrote. Raises ValueError where an older Fusebook wrote a weighting that is no more."""
        from gensim.models import KeyedVectors
        from gensim.models.fasttext import FastTextKeyedVectors

        facts = runs.read_json(folder / "vectors.json")
        if facts["weighting"] not in WEIGHTINGS:
            raise ValueError(
                f"{folder} joins word vectors by the weighting {facts['weighting']!r}, which this version no longer "
                'has. Run the notebooks again with vector_weighting="mean" or "idf".'
            )
        with np.load(folder / "vectors.npz") as arrays:
            table = arrays["vectors"]
            if "subwords" in facts:
                vectors = FastTextKeyedVectors(table.shape[1], **facts["subwords"])
                vectors.vectors_ngrams = arrays["subwords"]
            else:
                vectors = KeyedVectors(table.shape[1])
            # Set, not added: adding to FastText's vectors would make those of the words anew.
            vectors.vectors, vectors.index_to_key = table, facts["words"]
            vectors.key_to_index = {word: i for i, word in enumerate(facts["words"])}
            encoder = cls(vectors, facts["weighting"])
            encoder.weights_ = arrays["weights"]
        encoder.unseen_weight_ = facts["unseen_weight"]
        return encoder


def _has_subwords(vectors: "KeyedVectors") -> bool:
    """Are they FastText's, which make vectors for unknown words too?"""
    return hasattr(vectors, "vectors_ngrams")


def _bag(token_lists: Sequence[list[str]], words: dict[str, int]) -> csr_array:
    """One row a text with an entry of 1 for each token that ``words`` numbers, shape (n_texts, n_words)."""
    lengths = np.fromiter(map(len, token_lists), np.int64, len(token_lists))
    found = np.fromiter(map(words.get, chain.from_iterable(token_lists), repeat(-1)), np.int64, lengths.sum())
    known = found >= 0
    ends = np.concatenate([[0], np.cumsum(known)])[np.cumsum(lengths)]
    entries = np.ones(known.sum(), np.float32)
    return csr_array((entries, found[known], np.concatenate([[0], ends])), shape=(len(lengths), len(words)))


# --- For the pages ------------------------------------------------------------------------------------


def word_vectors(
    data: Dataset, *, parts: str, words: str = "all", method: str = "word2vec-sg", weighting: str = "mean",
    dimensions: int = 100, file: str = "", random_state: int = 42,
) -> tuple[VectorEncoder | None, int]:  # fmt: skip
    """Vectors trained on the training texts of ``data``, or read from ``file`` for the words of all its texts.

    Returns a ``VectorEncoder`` still to be fitted, None where ``parts`` asks for no "vectors" or no training text has a
    word; and the number of broken lines in ``file``. ``words`` is one of ``tokens.WORDS``. Raises as ``read_vectors``
    and ``train_vectors`` do.
    """
    texts = data.train.rows["text"]
    token_lists = [WORDS[words](text) for text in texts[texts != ""]]
    if "vectors" not in parts.split("+") or not any(token_lists):
        return None, 0
    if not file:
        made = train_vectors(token_lists, method=method, dimensions=dimensions, random_state=random_state)
        return VectorEncoder(made, weighting), 0
    needed = set(chain.from_iterable(map(WORDS[words], data.rows["text"])))
    made, broken = read_vectors(runs.resolve(file), needed=needed)
    return VectorEncoder(made, weighting), broken


def nearest_words(encoder: VectorEncoder | None, most: int = 6) -> pd.Series:
    """The five words nearest to each of the ``most`` frequent long words, joined by commas; empty without vectors."""
    near = {}
    if encoder:
        vectors = encoder.vectors
        frequent = [word for word in vectors.index_to_key if len(word) > 1 and not word.isdigit()][:most]
        near = {word: ", ".join(other for other, _ in vectors.most_similar(word, topn=5)) for word in frequent}
    return pd.Series(near, name="nearest words", dtype=object)


def vector_coverage(encoder: VectorEncoder | None, data: Dataset, words: str = "all") -> pd.DataFrame:
    """``coverage`` of each split's texts: types and tokens as rows, splits as columns; empty without vectors."""
    texts = {name: data.split(name).rows["text"].map(WORDS[words]) for name in SPLITS} if encoder else {}
    return pd.DataFrame({name: coverage(encoder.vectors, lists) for name, lists in texts.items()})


def vector_verdicts(
    known: pd.DataFrame, encoder: VectorEncoder | None, broken: int, file: str
) -> list[tuple[str, str, dict]]:
    """Findings about ``vector_coverage``'s table and the ``broken`` lines of ``file``: key, grade, facts."""
    found = []
    if encoder:
        share = f"{100 * known.loc['tokens', 'test']:.0f}"
        found.append(("known words", "note", {"share": share, "words": len(encoder.vectors)}))
    if broken:
        found.append(("broken vectors", "look", {"count": broken, "file": file}))
    return found
