"""Word vectors, trained or read from a file, and a text's vector made of them.

Notebook 02_preprocess tells the story.
"""

import gzip
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice, repeat
from pathlib import Path

import numpy as np
from gensim.models import FastText, KeyedVectors, Word2Vec
from gensim.models.fasttext import FastTextKeyedVectors
from gensim.models.word2vec import MAX_WORDS_IN_BATCH
from scipy.sparse import csr_array

from fusebook import runs

# The model, and how often it may read the corpus in the time that skip-gram takes for once.
METHODS = {"word2vec-sg": (Word2Vec, 1), "word2vec-cbow": (Word2Vec, 3), "fasttext": (FastText, 0.75)}
WEIGHTINGS = ("mean", "idf", "sif")
_TOKENS_READ = 1_000_000  # by skip-gram in all epochs together: three to four seconds
_BUCKETS = 50_000  # vectors that all sub-words share: 20 MB at 100 dimensions
_COMMON = 1e-3  # a in Arora and others: a word as frequent as this weighs half
_OTHER_SHARE = 0.001  # of a file's vectors may have another length (cut off) before the file is refused
_CHUNK = 1 << 22  # bytes of a binary file that are read at once


def train_vectors(
    token_lists: Sequence[list[str]], *, method: str = "word2vec-sg", dimensions: int = 100, random_state: int = 42
) -> KeyedVectors:
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
    options = _subword_lengths(counts) if model is FastText else {}
    # One worker, as several would make the vectors differ from run to run.
    return model(
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
    most = MAX_WORDS_IN_BATCH
    return [row[i : i + most] for row in token_lists for i in range(0, len(row), most)]


# --- Files of vectors ---------------------------------------------------------------------------------


def read_vectors(
    path: str | Path, *, needed: Collection[str], dimensions: int | None = None
) -> tuple[KeyedVectors, int]:
    """The vectors of the words in ``needed`` from a file, and the number of its broken lines, which were left out.

    GloVe's text files (Pennington and others, 2014) and word2vec's text and binary files are told apart by their
    content; each may be packed by gzip. Only needed words are kept, so that memory depends on the table and not on the
    file. A line is broken if its word is not UTF-8 or it lacks numbers; the numbers themselves are looked at for needed
    words only. Of a word that stands there twice, the first vector counts. ``dimensions``, if given, is the length that
    the vectors must have.

    Raises ValueError where the file holds no vectors, vectors of several lengths or another length than expected, ends
    too early, or has none of the needed words; FileNotFoundError where there is none.
    """
    path, wanted = Path(path), {word.encode("utf-8", "surrogatepass") for word in needed}
    try:
        with _opened(path) as file:
            length, binary = _look_ahead(path, file)
            if dimensions not in (None, length):
                raise ValueError(
                    f"{path} has vectors of {length} numbers; expected {dimensions}. "
                    f"Name another file, or set the dimensions to {length}."
                )
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


def coverage(vectors: KeyedVectors, token_lists: Sequence[list[str]]) -> dict[str, float]:
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
    weighting : "mean"; "idf", where a word weighs log((1 + texts) / (1 + texts with it)) + 1 (as in scikit-learn); or
        "sif", smooth inverse frequency (Arora, Liang and Ma, 2017): a word of probability p weighs a / (a + p) with
        a = 0.001, and the first principal direction of the training rows is taken out of each text

    Words without a vector are left out. FastText's sub-words make a vector for each of those that they can.
    """

    def __init__(self, vectors: KeyedVectors, weighting: str = "mean"):
        if weighting not in WEIGHTINGS:
            raise ValueError(f"weighting is {weighting!r}; expected one of {', '.join(WEIGHTINGS)}.")
        self.vectors = vectors
        self.weighting = weighting

    def fit(self, token_lists: Sequence[list[str]]) -> "VectorEncoder":
        """Learn the words' weights, and the direction that "sif" takes out, from training rows only."""
        bag = _bag(token_lists, self.vectors.key_to_index)
        n_words = len(self.vectors)
        if self.weighting == "idf":
            bag.sum_duplicates()
            texts_with = np.bincount(bag.indices, minlength=n_words)
            weights = np.log((1 + len(token_lists)) / (1 + texts_with)) + 1
        elif self.weighting == "sif":
            counts = np.bincount(bag.indices, minlength=n_words)
            weights = _COMMON / (_COMMON + counts / max(sum(map(len, token_lists)), 1))
        else:
            weights = np.ones(n_words)
        self.weights_ = weights.astype(np.float32)
        # A word that training rows lack weighs as one that stands in none of them.
        self.unseen_weight_ = float(np.log(1 + len(token_lists)) + 1) if self.weighting == "idf" else 1.0
        self.component_ = np.zeros(self.vectors.vector_size, np.float32)
        if self.weighting == "sif":
            made = self.transform(token_lists)
            self.component_ = np.linalg.eigh(made.T @ made)[1][:, -1]
        return self

    def transform(self, token_lists: Sequence[list[str]]) -> np.ndarray:
        """Text vectors of shape (n_texts, dimensions), float32; zeros for a text with no known word."""
        words, table, weights = self._with_unknown(token_lists)
        bag = _bag(token_lists, words)
        lengths = np.diff(bag.indptr)
        bag.data *= weights[bag.indices]
        divisor = lengths if self.weighting == "sif" else bag.sum(axis=1)
        made = bag @ table
        made /= np.where(lengths, divisor, 1).astype(np.float32)[:, None]  # in place: tables may be large
        if self.weighting == "sif":
            made -= np.outer(made @ self.component_, self.component_)
        return made

    def _with_unknown(self, token_lists):
        """Word numbers, vectors and weights, with those of unknown words behind where FastText's sub-words make them."""
        words, table = self.vectors.key_to_index, self.vectors.vectors
        unknown = set()
        if isinstance(self.vectors, FastTextKeyedVectors):
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
        arrays = {"vectors": vectors.vectors, "weights": self.weights_, "component": self.component_}
        if isinstance(vectors, FastTextKeyedVectors):
            facts["subwords"] = {name: getattr(vectors, name) for name in ("min_n", "max_n", "bucket")}
            arrays["subwords"] = vectors.vectors_ngrams
        runs.write_json(folder / "vectors.json", facts)
        with runs.replacing(folder / "vectors.npz") as beside, beside.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, folder: Path) -> "VectorEncoder":
        """Read what ``save`` wrote."""
        facts = runs.read_json(folder / "vectors.json")
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
            encoder.weights_, encoder.component_ = arrays["weights"], arrays["component"]
        encoder.unseen_weight_ = facts["unseen_weight"]
        return encoder


def _bag(token_lists: Sequence[list[str]], words: dict[str, int]) -> csr_array:
    """One row a text with an entry of 1 for each token that ``words`` numbers, shape (n_texts, n_words)."""
    lengths = np.fromiter(map(len, token_lists), np.int64, len(token_lists))
    found = np.fromiter(map(words.get, chain.from_iterable(token_lists), repeat(-1)), np.int64, lengths.sum())
    known = found >= 0
    ends = np.concatenate([[0], np.cumsum(known)])[np.cumsum(lengths)]
    entries = np.ones(known.sum(), np.float32)
    return csr_array((entries, found[known], np.concatenate([[0], ends])), shape=(len(lengths), len(words)))
