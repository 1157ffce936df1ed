"""Which rows say or show the same, and a split into training, validation and test rows that never parts them.

Notebooks 01_explore and 02_preprocess tell the story.
"""

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
import soxr
from datasketch import MinHash, MinHashLSH
from scipy.fft import dctn, irfft, next_fast_len, rfft, rfftfreq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedKFold, train_test_split

from fusebook import runs
from fusebook.data.files import RATE, on_all_cores, read_audio, read_images

_NEIGHBOURS = 100  # rows of a band that a row is compared with at most
_PERMUTATIONS = 128  # numbers in a text's signature
_HASHED = 32  # pixels a side of the small pictures that are compared
MOST_BITS = 10  # of 64 hash bits in which copies may differ
MOST_DIFFERENCE = 12  # of 255 grey levels, root mean square, by which small copies may differ
_AT_ONCE = 512  # pictures or sounds that are compared with all others at a time
LEAST_SPECTRUM = 0.925  # cosine of two sounds' spectra from which their samples are compared
LEAST_CORRELATION = 0.9  # of the samples of two sounds from which they are copies
_HALF_RATE = RATE // 2  # samples a second at which sounds are compared: telephone quality keeps what lies below
_BANDS = np.arange(100, 3401, 10)  # edges of a spectrum's bands, in Hz
_MOST_ALIKE = 20  # sounds whose samples a sound is compared with at most, those with the nearest spectra


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
    made = _joined(pairs, len(paths))
    return made if groups is None else join_groups(groups, made)


def join_groups(*groupings: Sequence) -> np.ndarray:
    """Rows that share a group in one of ``groupings``, each of shape (n_rows,), get one number: ints of shape (n_rows,)."""
    pairs = []
    for groups in groupings:
        first: dict = {}
        pairs += [(first.setdefault(group, row), row) for row, group in enumerate(groups)]
    return _joined(pairs, len(groupings[0]))


# --- The same sounds ----------------------------------------------------------------------------------


def duplicate_sounds(paths: Sequence[str]) -> np.ndarray:
    """Group sounds that are one recording, saved anew or not: an int array of shape (n_paths,); "" stands alone.

    Two are copies where their bytes are the same, or where their samples, laid over each other as they fit best,
    correlate by ``LEAST_CORRELATION``: neither volume, rate, format nor silence before and after changes that much.
    The same word said twice stays below. Only sounds whose spectra are near are compared so; a silent sound has none.
    """
    rows = [row for row, path in enumerate(paths) if path]
    first: dict = {}
    bytes_of = on_all_cores(runs.fingerprint, [paths[row] for row in rows], doing="reading sounds")
    pairs = [(first.setdefault(code, row), row) for row, code in zip(rows, bytes_of, strict=True)]
    distinct = list(first.values())
    _slopes.cache_clear()  # a file may have changed since
    spectra = np.array(on_all_cores(_spectrum, [paths[row] for row in distinct], doing="reading sounds"), np.float32)
    for one, other in sorted(_near_spectra(spectra)):
        if _correlation(paths[distinct[one]], paths[distinct[other]]) >= LEAST_CORRELATION:
            pairs.append((distinct[one], distinct[other]))
    return _joined(pairs, len(paths))


def _near_spectra(spectra: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of sounds, the lower number first, that are near in spectrum: of each the ``_MOST_ALIKE`` nearest."""
    found, most = set(), min(_MOST_ALIKE + 1, len(spectra))  # it is near itself, too
    for start in range(0, len(spectra), _AT_ONCE):
        cosines = spectra[start : start + _AT_ONCE] @ spectra.T
        nearest = np.argpartition(-cosines, most - 1, axis=1)[:, :most]
        near = np.take_along_axis(cosines, nearest, axis=1) >= LEAST_SPECTRUM
        left, right = np.nonzero(near)[0] + start, nearest[near]
        found |= {(min(pair), max(pair)) for pair in zip(left.tolist(), right.tolist(), strict=True)}
    return {(one, other) for one, other in found if one != other}


@lru_cache(maxsize=32)  # a sound is compared with a few others, one after the other
def _slopes(path: str) -> np.ndarray:
    """From sample to sample at 8 kHz, shape (n_samples,): in these high tones weigh more, in which words said twice differ."""
    samples = soxr.resample(read_audio(path), RATE, _HALF_RATE)
    return np.diff(samples, prepend=samples[:1])


def _spectrum(path: str) -> np.ndarray:
    """The amplitudes of a sound in bands of 10 Hz, of length 1, float32, shape (n_bands,): the same wherever it begins."""
    slopes = _slopes.__wrapped__(path)
    length = next_fast_len(max(len(slopes), _HALF_RATE // 5), real=True)  # at least two lines a band
    power = np.append(0, np.square(np.abs(rfft(slopes, length))).cumsum(dtype=np.float64))
    amplitudes = np.sqrt(np.diff(power[np.searchsorted(rfftfreq(length, 1 / _HALF_RATE), _BANDS)]).clip(0))
    return (amplitudes / (np.linalg.norm(amplitudes) + 1e-9)).astype(np.float32)


def _correlation(one: str, other: str) -> float:
    """The highest correlation of two sounds' slopes at any shift, from 0 to 1."""
    first, second = _slopes(one), _slopes(other)
    length = next_fast_len(len(first) + len(second), real=True)
    products = irfft(rfft(first, length) * np.conj(rfft(second, length)), length)
    return float(np.abs(products).max() / np.sqrt((first @ first) * (second @ second) + 1e-20))


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
    try:
        rest, test = _stratified(heads, test_share, random_state)
        _, validation = _stratified(heads[rest], validation_share / (1 - test_share), random_state)
    except ValueError as error:
        if len(heads) == len(table):
            raise
        raise ValueError(_copies_said(table, len(heads))) from error
    split = pd.Series("train", index=heads.index, dtype=object)
    split[test], split[validation] = "test", "validation"
    return table["group"].map(split).to_numpy(dtype=str)


def _copies_said(table: pd.DataFrame, n_groups: int) -> str:
    """That too few rows differ, for the rest are copies: copies stay on one side of a split."""
    most, of_one = table["group"].value_counts().iloc[0], "of one text, picture or sound"
    if n_groups == 1:
        return f"Too few rows to split: all {most:,} rows are copies {of_one}. Rows with other content are needed."
    return (
        f"Too few rows to split: copies stay together, and of {len(table):,} rows only {n_groups:,} differ ({most:,} are "
        f"copies {of_one}). Add rows that differ, raise duplicate_threshold, or choose smaller shares."
    )


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


def fold_numbers(labels, groups, *, n_folds: int = 5, random_state: int = 42) -> np.ndarray:
    """The fold of each row, from 1 on, shape (n_rows,): classes in their shares, each group in one fold as a whole.

    A group's first label counts. There are at most as many folds as groups, and as the largest class has groups, but two
    at least. Raises ValueError where there are fewer than two groups.
    """
    units, first, unit_of_row = np.unique(groups, return_index=True, return_inverse=True)
    if len(units) < 2:
        raise ValueError(f"{len(units)} group(s) of rows; expected two at least, so that one can be left out.")
    heads = np.unique(np.asarray(labels)[first], return_inverse=True)[1]
    most = np.bincount(heads).max()
    n_folds = min(n_folds, len(heads), max(2, most))
    if most < n_folds:  # no class can be spread
        return (np.arange(len(heads)) % n_folds)[unit_of_row] + 1
    made = np.zeros(len(heads), int)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        spread = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
        for number, (_, held) in enumerate(spread.split(heads, heads), 1):
            made[held] = number
    return made[unit_of_row]


def fold_splits(labels, groups, *, validation_share: float, random_state: int = 42) -> list[np.ndarray]:
    """The split of each row in each of the ``fold_numbers``: "test" for the fold's own rows, else train or validation.

    ``validation_share`` of the rows that are not held out are for validation, stratified by label, groups whole; none
    where they are too few for that. Returns arrays of str of shape (n_rows,).
    """
    table, made = pd.DataFrame({"label": np.asarray(labels), "group": np.asarray(groups)}), []
    folds = fold_numbers(labels, groups, random_state=random_state)
    for fold in range(1, folds.max() + 1):
        heads = table[folds != fold].groupby("group", sort=False)["label"].first()
        try:
            _, watched = _stratified(heads, validation_share, random_state)
        except ValueError:
            watched = []
        others = np.where(table["group"].isin(watched), "validation", "train")
        made.append(np.where(folds == fold, "test", others))
    return made
