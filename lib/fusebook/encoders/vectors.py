"""Word vectors, trained or read from a file, and a text's vector made of them.

Notebook 02_preprocess tells the story. gensim takes a second to import, so it is imported where vectors are made.
"""

import gzip
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from fusebook import runs
from fusebook.data.dataset import SPLITS, Dataset
from fusebook.data.formats import manifest
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

    most = MAX_WORDS_IN_BATCH
    return [row[start : start + most] for row in token_lists for start in range(0, len(row), most)]


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
    found, broken = {}, 0
    try:
        with _opened(path) as file:
            length, binary = _look_ahead(path, file)
            for word, numbers in (_binary_rows if binary else _text_rows)(path, file, length, wanted):
                if numbers is None or not _is_utf8(word):
                    broken += 1
                elif word in wanted:
                    found.setdefault(word, numbers)
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


def _text_rows(path, file, length, wanted) -> Iterator[tuple[bytes, list[float] | None]]:
    """Words and their numbers, None where these are broken; most of the words that are not wanted are passed over."""
    others, n_lines = [], 0  # vectors of another length: which one it is, numbers there
    for n_lines, line in enumerate(file, 1):
        line = line.strip().removeprefix(b"\xef\xbb\xbf")
        word = line[: line.find(b" ")]
        if not line or (word not in wanted and line.count(b" ") == length and _is_utf8(word)):
            continue  # the short way for nearly all lines
        fields = line.split()
        given = _numbers(fields[1:])
        if given is not None and len(given) != length:
            others.append((n_lines, len(given)))
            yield word, None
        else:
            word = b" ".join(fields[:-length])  # a word may have blanks in it
            yield word, _numbers(fields[-length:]) if word else None
    if len(others) > max(1, _OTHER_SHARE * n_lines):
        raise ValueError(
            f"{path} mixes vectors of several lengths: vector {others[0][0]} has {others[0][1]} numbers where {length} are "
            f"expected, and {len(others) - 1} more differ. Take a file with one length."
        )


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def _binary_rows(path, file, length, wanted) -> Iterator[tuple[bytes, np.ndarray | None]]:
    """Words and their numbers, None where these are broken; numbers of words that are not wanted are not looked at."""
    file.seek(0)
    promised, held, start, n_words = int(file.readline().split()[0]), b"", 0, 0
    while n_words < promised:
        blank = held.find(b" ", start)
        end = blank + 1 + 4 * length
        if blank < 0 or end > len(held):
            more = file.read(_CHUNK)
            if not more:
                raise ValueError(f"{path} ends after {n_words} of {promised} words. Fetch it again.")
            held, start = held[start:] + more, 0
            continue
        word, numbers = held[start:blank].lstrip(b"\n"), np.frombuffer(held[blank + 1 : end], "<f4")
        yield word, numbers if word not in wanted or np.isfinite(numbers).all() else None
        start, n_words = end, n_words + 1


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
        np.savez(folder / "vectors.npz", **arrays)

    @classmethod
    def load(cls, folder: Path) -> "VectorEncoder":
        """Read what ``save`` wrote. Raises ValueError where an older Fusebook wrote a weighting that is no more."""
        from gensim.models import KeyedVectors
        from gensim.models.fasttext import FastTextKeyedVectors

        facts = manifest.read_json(
            folder / "vectors.json", {"weighting": str, "unseen_weight": (int, float), "words": list}
        )
        if facts["weighting"] not in WEIGHTINGS:
            what = f"{folder} joins word vectors by the weighting {facts['weighting']!r}, which this version no longer has."
            raise ValueError(f'{what} Run the notebooks again with vector_weighting="mean" or "idf".')
        path, more = folder / "vectors.npz", {"subwords": "f"} if "subwords" in facts else {}
        arrays = manifest.read_arrays(path, vectors="f", weights="f", **more)
        table = arrays["vectors"]
        manifest.expect_shape(path, "vectors", table, (None, None))
        manifest.expect_names(folder / "vectors.json", "words", facts["words"], len(table))
        manifest.expect_shape(path, "weights", arrays["weights"], (len(table),))
        least = min(arrays["weights"].min(initial=1), facts["unseen_weight"])
        manifest.expect(least > 0, path, f"a word's weight of {least}", "weights above 0")
        with manifest.reading(folder / "vectors.json"):
            if "subwords" in facts:
                bucket = facts["subwords"]["bucket"]
                manifest.expect_shape(path, "subwords", arrays["subwords"], (bucket, table.shape[1]))
                sizes = {name: facts["subwords"][name] for name in ("min_n", "max_n", "bucket")}
                good = all(isinstance(n, int) for n in sizes.values()) and 1 <= sizes["min_n"] <= sizes["max_n"] <= 50
                manifest.expect(good, folder / "vectors.json", f"subwords {sizes}", "1 <= min_n <= max_n <= 50")
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


class WordVectors:
    """Vectors trained on the training texts of ``data``, or read from ``file`` for the words of all its texts.

    Parameters
    ----------
    parts : what is read of a text, as in ``TextEncoder``; without "vectors" among it, or a word in a training text, there
        is nothing to show
    words : which words count, one of ``tokens.WORDS``
    method, dimensions, random_state : as in ``train_vectors``
    weighting : as in ``VectorEncoder``

    Attributes
    ----------
    encoder : a ``VectorEncoder`` still to be fitted, None where there are no vectors
    broken : the number of broken lines in ``file``
    coverage : the share of each split's words that have a vector, types and tokens as rows; empty without vectors

    Raises as ``read_vectors`` and ``train_vectors`` do.
    """

    def __init__(
        self, data: Dataset, *, parts: str, words: str = "all", method: str = "word2vec-sg", weighting: str = "mean",
        dimensions: int = 100, file: str = "", random_state: int = 42,
    ):  # fmt: skip
        self.file, self.encoder, self.broken, self.coverage = file, None, 0, pd.DataFrame()
        splits = SPLITS if "vectors" in parts.split("+") else ()
        texts = {name: data.split(name).rows["text"].map(WORDS[words]) for name in splits}
        if not any(texts.get("train", ())):
            return
        if file:
            needed = set(chain.from_iterable(map(WORDS[words], data.rows["text"])))
            vectors, self.broken = read_vectors(runs.resolve(file), needed=needed)
        else:
            written = texts["train"][data.train.rows["text"] != ""].tolist()
            vectors = train_vectors(written, method=method, dimensions=dimensions, random_state=random_state)
        self.encoder = VectorEncoder(vectors, weighting)
        self.coverage = pd.DataFrame({name: coverage(vectors, lists) for name, lists in texts.items()})

    def nearest(self, most: int = 6) -> pd.DataFrame:
        """The five words nearest to each of the ``most`` frequent long words, joined by commas; empty without vectors."""
        near = {}
        if self.encoder:
            vectors = self.encoder.vectors
            frequent = [word for word in vectors.index_to_key if len(word) > 1 and not word.isdigit()][:most]
            near = {word: ", ".join(other for other, _ in vectors.most_similar(word, topn=5)) for word in frequent}
        return pd.Series(near, name="nearest words", dtype=object).to_frame()

    def verdicts(self) -> list[tuple[str, str, dict]]:
        """Findings about ``coverage`` and the broken lines: key, grade, facts."""
        found = []
        if self.encoder:
            share = f"{100 * self.coverage.loc['tokens', 'test']:.0f}"
            found.append(("known words", "note", {"share": share, "words": len(self.encoder.vectors)}))
        if self.broken:
            found.append(("broken vectors", "look", {"count": self.broken, "file": self.file}))
        return found
