"""Pictures to numbers without training: histograms of oriented gradients (HOG), of colours, and copies told apart.

Notebooks 01_explore and 02_preprocess tell the story.
"""

import numpy as np
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fusebook.image_files import read_images

N_ORIENTATIONS = 9
MOST_BITS = 10  # of 64 hash bits in which copies may differ
MOST_DIFFERENCE = 12  # of 255 grey levels, root mean square, by which small copies may differ
_CHUNK = 512


def gradient_histograms(pictures: np.ndarray, n_cells: int = 6) -> np.ndarray:
    """Histograms of oriented gradients (Dalal and Triggs, 2005), shape (n_pictures, 36 * (n_cells - 1)**2), float32.

    Pictures of shape (n_pictures, size, size, 3) are cut into ``n_cells`` by ``n_cells`` cells; each has the gradients
    of the grey picture in 9 unsigned directions, shared between the two nearest. Blocks of 2 by 2 cells are brought to
    length 1, cut off at 0.2, and brought to length 1 again.
    """
    grey = pictures.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    down, right = np.gradient(grey, axis=(1, 2))
    direction = np.arctan2(down, right) % np.pi * (N_ORIENTATIONS / np.pi)
    strength, lower = np.hypot(down, right), np.floor(direction).astype(int)
    upper_share = direction - lower
    starts = np.arange(n_cells) * grey.shape[1] // n_cells
    cells = np.empty((len(grey), n_cells, n_cells, N_ORIENTATIONS), np.float32)
    for k in range(N_ORIENTATIONS):
        votes = strength * (
            (lower % N_ORIENTATIONS == k) * (1 - upper_share)
            + ((lower + 1) % N_ORIENTATIONS == k) * upper_share
        )
        cells[..., k] = np.add.reduceat(np.add.reduceat(votes, starts, axis=1), starts, axis=2)
    blocks = np.concatenate(
        [cells[:, :-1, :-1], cells[:, 1:, :-1], cells[:, :-1, 1:], cells[:, 1:, 1:]], axis=-1
    )
    blocks = _unit_length(np.minimum(_unit_length(blocks), 0.2))
    return blocks.reshape(len(grey), 4 * N_ORIENTATIONS * (n_cells - 1) ** 2)


def _unit_length(blocks: np.ndarray) -> np.ndarray:
    return blocks / np.sqrt(np.square(blocks).sum(axis=-1, keepdims=True) + 1e-3)


def colour_histograms(pictures: np.ndarray, levels: int = 4) -> np.ndarray:
    """Root of the share of each colour (Swain and Ballard, 1991), shape (n_pictures, levels**3), float32.

    A colour is one of ``levels`` levels of each of red, green and blue.
    """
    level = pictures.astype(int) * levels // 256
    colour = (level @ [levels**2, levels, 1]).reshape(len(pictures), pictures.shape[1] * pictures.shape[2])
    shares = [np.bincount(line, minlength=levels**3) / line.size for line in colour]
    return np.sqrt(np.array(shares, np.float32).reshape(-1, levels**3))


def perceptual_hashes(paths: list[str]) -> np.ndarray:
    """64 bits a picture that a change of size, format or brightness hardly moves, uint64, shape (n_paths,); 0 for "".

    The signs of the lowest 8 by 8 frequencies of the 32 by 32 grey picture around their median (Zauner, 2010).
    """
    grey = read_images(paths, 32).astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    low = dctn(grey, axes=(1, 2))[:, :8, :8].reshape(-1, 64)
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64).reshape(-1)


def find_duplicates(paths: list[str], groups: np.ndarray | None = None) -> np.ndarray:
    """Group pictures that are the same or nearly so: an int array of shape (n_paths,); "" stands alone.

    Two are copies where their ``perceptual_hashes`` differ in at most 10 of 64 bits and their small grey pictures by
    little. With ``groups`` (such as ``splits.find_duplicates`` gives for the texts) rows of one group stay together, so
    that a split by what comes back leaks neither texts nor pictures.
    """
    there = np.flatnonzero([bool(path) for path in paths])  # the others take no memory
    own = [paths[row] for row in there]
    hashes, small = perceptual_hashes(own), read_images(own, 32).astype(np.float32).mean(axis=3)
    small = small.reshape(-1, 32 * 32)
    pairs = [(row, row) for row in range(len(paths))]
    for start in range(0, len(there), _CHUNK):
        near = np.bitwise_count(hashes[start : start + _CHUNK, None] ^ hashes) <= MOST_BITS
        left, right = np.nonzero(near)
        left, right = left[left + start < right] + start, right[left + start < right]
        alike = np.sqrt(np.square(small[left] - small[right]).mean(axis=1)) <= MOST_DIFFERENCE
        pairs += zip(there[left[alike]], there[right[alike]], strict=True)
    if groups is not None:
        first = dict(zip(reversed(list(groups)), reversed(range(len(paths))), strict=True))
        pairs += [(first[group], row) for row, group in enumerate(groups)]
    left, right = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(len(paths), len(paths)))
    return connected_components(graph, directed=False)[1]
