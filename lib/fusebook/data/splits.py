"""Which rows say or show the same, and a split into training, validation and test rows that never parts them.

Notebooks 01_explore and 02_preprocess tell the story.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from datasketch import MinHash, MinHashLSH
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split

from fusebook.data.files import read_images

_NEIGHBOURS = 100  # rows of a band that a row is compared with at most
_PERMUTATIONS = 128  # numbers in a text's signature
_HASHED = 32  # pixels a side of the small pictures that are compared
MOST_BITS = 10  # of 64 hash bits in which copies may differ
MOST_DIFFERENCE = 12  # of 255 grey levels, root mean square, by which small copies may differ
_AT_ONCE = 512  # pictures that are compared with all others at a time


def duplicate_texts(texts: Sequence[str], *, threshold: float = 0.8) -> np.ndarray:
    """Group texts that are the same or nearly so (MinHash over 3-character shingles; Broder, 1997).

    Returns an int array of shape (n_texts,): rows with the same number belong together; an empty text stands alone.
    """
    normalised = ["".join(text.lower().split()) for text in texts]
    places = {text: i for i, text in reversed(list(enumerate(normalised))) if text}
    same = [(i, places[text]) for i, text in enumerate(normalised) if text]
    distinct, rows = list(places), list(places.values())
    signatures = np.empty((len(distinct), _PERMUTATIONS), np.uint32)
    for i, minhash in enumerate(MinHash.generator(map(_shingles, distinct), num_perm=_PERMUTATIONS, seed=1)):
        signatures[i] = minhash.hashvalues
    # Of two errors the bands should rather make the harmless one: a candidate too many, not a pair too few.
    bands = MinHashLSH(threshold=0.8 * threshold, num_perm=_PERMUTATIONS, weights=(0.1, 0.9)).hashranges
    for first, second in _candidates(signatures, bands):
        one, other = _shingles(distinct[first]), _shingles(distinct[second])
        if len(one & other) >= threshold * len(one | other):  # the hash may err, this count does not
            same.append((rows[first], rows[second]))
    return _joined(same, len(texts))


def _joined(pairs: list[tuple[int, int]], n_rows: int) -> np.ndarray:
    """Rows that a chain of ``pairs`` connects get one number: an int array of shape (n_rows,)."""
    left, right = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(n_rows, n_rows))
    return connected_components(graph, directed=False)[1]


def _candidates(signatures: np.ndarray, bands: list[tuple[int, int]]) -> np.ndarray:
    """Pairs of rows whose signatures agree in a whole band of columns, shape (n_pairs, 2), each once.

    As datasketch's index finds them, which takes eight gigabytes for a million titles; here the rows are sorted. Of many
    rows that agree each is paired with the ``_NEIGHBOURS`` before it, so that work does not grow with their square.
    """
    n_rows, codes = len(signatures), np.empty(0, np.int64)
    # A band becomes one number, by odd factors; where two bands make the same one, that is a candidate too many.
    factors = 2 * np.random.default_rng(0).integers(1 << 62, size=signatures.shape[1], dtype=np.uint64) + 1
    for start, end in bands:
        keys = signatures[:, start:end] @ factors[start:end]
        order, found = np.argsort(keys, kind="stable"), [codes]
        ends = np.append(np.flatnonzero(np.diff(keys[order])) + 1, n_rows)
        sizes = np.diff(ends, prepend=0)
        for stop, size in zip(ends[sizes > 1], sizes[sizes > 1], strict=True):
            members = order[stop - size : stop]
            for apart in range(1, min(size, _NEIGHBOURS + 1)):
                found.append(members[:-apart] * n_rows + members[apart:])
        codes = np.unique(np.concatenate(found))
    return np.column_stack(np.divmod(codes, max(n_rows, 1)))


@lru_cache(maxsize=10_000)  # not of all texts: those of a million titles take gigabytes
def _shingles(text: str) -> frozenset[bytes]:
    return frozenset(text[j : j + 3].encode() for j in range(max(1, len(text) - 2)))


def perceptual_hashes(paths: Sequence[str]) -> np.ndarray:
    """64 bits a picture that a change of size, format or brightness hardly moves, uint64, shape (n_paths,); 0 for "".

    The signs of the lowest 8 by 8 frequencies of the 32 by 32 grey picture around their median (Zauner, 2010).
    """
    grey = read_images(paths, _HASHED).astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    low = dctn(grey, axes=(1, 2))[:, :8, :8].reshape(-1, 64)
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64).reshape(-1)


def duplicate_images(paths: Sequence[str], groups: Sequence | None = None) -> np.ndarray:
    """Group pictures that are the same or nearly so: an int array of shape (n_paths,); "" stands alone.

    Two are copies where their ``perceptual_hashes`` differ in at most 10 of 64 bits and their small grey pictures by
    little. With ``groups`` (such as ``duplicate_texts`` gives for the texts) rows of one group stay together, so that a
    split by what comes back leaks neither texts nor pictures.
    """
    rows = np.flatnonzero([bool(path) for path in paths])  # the others take no memory
    pictures = list(filter(None, paths))
    small = read_images(pictures, _HASHED).astype(np.float32).mean(axis=3).reshape(-1, _HASHED * _HASHED)
    hashes, pairs = perceptual_hashes(pictures), []
    for start in range(0, len(rows), _AT_ONCE):
        near = np.bitwise_count(hashes[start : start + _AT_ONCE, None] ^ hashes) <= MOST_BITS
        left, right = np.nonzero(near)
        left, right = left[left + start < right] + start, right[left + start < right]
        alike = np.sqrt(np.square(small[left] - small[right]).mean(axis=1)) <= MOST_DIFFERENCE
        pairs += zip(rows[left[alike]], rows[right[alike]], strict=True)
    if groups is not None:
        first: dict = {}
        pairs += [(first.setdefault(group, row), row) for row, group in enumerate(groups)]
    return _joined(pairs, len(paths))


# --- The split ----------------------------------------------------------------------------------------


def split_rows(
    labels: pd.Series, groups: np.ndarray, *, test_share: float = 0.2, validation_share: float = 0.1,
    random_state: int = 42,
) -> np.ndarray:  # fmt: skip
    """Split rows into train, validation and test, stratified by label; a group never stands on two sides.

    Without duplicates the test rows are those of scikit-learn's ``train_test_split(stratify=labels)``. A table so small
    that its share has fewer rows than there are labels gives one row a label. Returns an array of str of shape
    (n_rows,). Raises ValueError where a share leaves a split without rows.
    """
    for name, share in (("test_share", test_share), ("validation_share", validation_share)):
        if not 0 < share < 0.9:
            raise ValueError(f"{name} is {share}; expected a share between 0 and 0.9, such as 0.2.")
    if test_share + validation_share > 0.95:
        both = f"test_share and validation_share add up to {test_share + validation_share:.2f}"
        raise ValueError(f"{both}, which leaves too few rows to train on; expected at most 0.95, such as 0.2 and 0.1.")
    table = pd.DataFrame({"label": np.asarray(labels), "group": groups})
    heads = table.groupby("group", sort=False)["label"].first()  # one label a group decides where it goes
    rest, test = _stratified(heads, test_share, random_state)
    _, validation = _stratified(heads[rest], validation_share / (1 - test_share), random_state)
    split = pd.Series("train", index=heads.index, dtype=object)
    split[test], split[validation] = "test", "validation"
    return table["group"].map(split).to_numpy(dtype=str)


def _stratified(heads: pd.Series, share: float, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Names of the groups that stay and of those taken out; a label's only group stays, to be learnt from."""
    alone = heads.map(heads.value_counts()) == 1
    several = heads[~alone]
    n_labels = several.nunique()
    taken = max(math.ceil(share * len(several)), n_labels)
    if not n_labels or len(several) - taken < n_labels:
        raise ValueError(
            f"Too few rows to split: {len(heads)} left that differ, of {heads.nunique()} label(s), and {taken} would be "
            "taken out. Add rows, or choose smaller shares."
        )
    stay, out = train_test_split(several.index.to_numpy(), test_size=taken, stratify=several, random_state=random_state)
    return np.concatenate([stay, heads.index[alone]]), out
