"""Gradient and colour histograms against plain loops; copies of pictures found whatever was done to them."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.fft import dctn

from fusebook.data import splits
from fusebook.encoders import image


def pictures(n_pictures=3, size=24, *, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n_pictures, size, size, 3), dtype=np.uint8)


# --- Gradients ----------------------------------------------------------------------------------------


def histograms_by_hand(picture, n_cells):
    """Dalal and Triggs, one pixel at a time."""
    grey = picture @ np.array([0.299, 0.587, 0.114])
    size, cell = len(grey), len(grey) // n_cells
    cells = np.zeros((n_cells, n_cells, 9))
    for i in range(size):
        for j in range(size):
            above, below = max(i - 1, 0), min(i + 1, size - 1)
            left, right = max(j - 1, 0), min(j + 1, size - 1)
            dy = (grey[below, j] - grey[above, j]) / (below - above)
            dx = (grey[i, right] - grey[i, left]) / (right - left)
            degrees = np.degrees(np.arctan2(dy, dx)) % 180
            lower = int(degrees // 20)
            share = degrees / 20 - lower
            cells[i // cell, j // cell, lower % 9] += np.hypot(dx, dy) * (1 - share)
            cells[i // cell, j // cell, (lower + 1) % 9] += np.hypot(dx, dy) * share
    blocks = []
    for i in range(n_cells - 1):
        for j in range(n_cells - 1):
            four = [cells[i, j], cells[i + 1, j], cells[i, j + 1], cells[i + 1, j + 1]]
            block = np.concatenate(four)
            for limit in (0.2, np.inf):
                block = np.minimum(block / np.sqrt((block**2).sum() + 1e-3), limit)
            blocks.append(block)
    return np.concatenate(blocks)


@pytest.mark.parametrize(("size", "n_cells"), [(24, 6), (24, 4), (16, 2)])
def test_gradient_histograms_against_loops(size, n_cells):
    shown = pictures(3, size)
    made = image.gradient_histograms(shown, n_cells)
    assert made.shape == (3, 36 * (n_cells - 1) ** 2)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, [histograms_by_hand(one, n_cells) for one in shown], atol=2e-3)


@pytest.mark.parametrize(("across", "expected"), [(2, 0), (1, 4.5)])
def test_an_edge_has_the_direction_in_which_it_rises(across, expected):
    """Rising to the right is direction 0; rising downwards lies halfway between 80 and 100 degrees."""
    ramp = np.broadcast_to(np.arange(24) * 10, (24, 24)).astype(np.uint8)
    shown = np.repeat((ramp if across == 2 else ramp.T)[None, ..., None], 3, axis=3)
    histogram = image.gradient_histograms(shown).reshape(-1, 9).sum(axis=0)
    assert np.average(np.arange(9), weights=histogram) == pytest.approx(expected, abs=1e-3)


def test_flat_pictures_and_none_have_histograms():
    assert (image.gradient_histograms(np.full((2, 16, 16, 3), 77, np.uint8)) == 0).all()
    assert image.gradient_histograms(pictures(0)).shape == (0, 900)
    assert image.colour_histograms(pictures(0)).shape == (0, 64)


def test_light_does_not_change_gradient_histograms():
    dark = pictures(2) // 4
    bright = dark * 3 + 20
    first, second = (image.gradient_histograms(shown) for shown in (dark, bright))
    np.testing.assert_allclose(first, second, atol=1e-3)


# --- Colours ------------------------------------------------------------------------------------------


def test_colour_histograms_by_hand():
    shown = np.zeros((2, 2, 2, 3), np.uint8)
    shown[0, 0] = [[255, 0, 0], [192, 63, 10]]  # both in (3, 0, 0)
    shown[0, 1] = [[0, 64, 0], [0, 0, 128]]  # (0, 1, 0) and (0, 0, 2)
    made = image.colour_histograms(shown)
    expected = np.zeros((2, 64))
    expected[0, 3 * 16], expected[0, 4], expected[0, 2] = np.sqrt([0.5, 0.25, 0.25])
    expected[1, 0] = 1
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_colour_histograms_against_numpy():
    shown = pictures(3)
    made = image.colour_histograms(shown, 3)
    for one, histogram in zip(shown, made, strict=True):
        edges = [np.array([0, 85.333, 170.666, 256])] * 3
        counts, _ = np.histogramdd(one.reshape(-1, 3), bins=edges)
        np.testing.assert_allclose(histogram, np.sqrt(counts.ravel() / 576), atol=1e-6)


# --- Copies -------------------------------------------------------------------------------------------


def smooth(seed, size=160):
    """A picture with structure: random spots of a few sizes."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(rng.integers(0, 256, (n, n, 3), dtype=np.uint8)).resize((size, size)), float)
        for n in (3, 5, 9)
    ]
    return Image.fromarray(np.mean(layers, axis=0).astype(np.uint8))


CHANGES = {
    "as it is": lambda picture: picture,
    "small": lambda picture: picture.resize((64, 64)),
    "large": lambda picture: picture.resize((400, 400)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.04),
    "palette": lambda picture: picture.quantize(128),
}


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """Five pictures, each in seven forms, with the number of the picture."""
    folder = tmp_path_factory.mktemp("copies")
    paths, numbers = [], []
    for number in range(5):
        for name, change in CHANGES.items():
            change(smooth(number)).save(folder / f"{number} {name}.png")
            paths.append(str(folder / f"{number} {name}.png"))
        for quality in (40, 90):
            smooth(number).save(folder / f"{number} {quality}.jpg", quality=quality)
            paths.append(str(folder / f"{number} {quality}.jpg"))
        numbers += [number] * (len(CHANGES) + 2)
    return paths, np.array(numbers)


def same_grouping(first, second):
    return (np.equal.outer(first, first) == np.equal.outer(second, second)).all()


def test_copies_are_found_and_others_are_not(copies):
    paths, numbers = copies
    assert same_grouping(splits.duplicate_images(paths), numbers)


def test_order_and_chunks_do_not_matter(copies, monkeypatch):
    paths, numbers = copies
    order = np.random.default_rng(0).permutation(len(paths))
    monkeypatch.setattr(image, "_CHUNK", 4)
    groups = splits.duplicate_images([paths[i] for i in order])
    assert same_grouping(groups, numbers[order])


def test_missing_pictures_stand_alone(copies):
    paths, _ = copies
    assert len(set(splits.duplicate_images(["", *paths[:2], "", ""]))) == 4
    assert splits.duplicate_images([]).shape == (0,)
    assert len(set(splits.duplicate_images(["", ""]))) == 2


def test_given_groups_are_joined_with_the_copies(copies):
    """Rows 0 and 1 share a picture, 1 and 2 a text, 3 and 4 nothing: three groups."""
    paths, _ = copies
    step = len(CHANGES) + 2
    shown = [paths[0], paths[1], paths[step], paths[2 * step], ""]
    groups = splits.duplicate_images(shown, np.array(["a", "b", "b", "c", "d"]))
    assert same_grouping(groups, np.array([0, 0, 0, 1, 2]))


def test_flat_pictures_of_different_brightness_are_no_copies(tmp_path):
    paths = [str(tmp_path / f"{level}.png") for level in (0, 120, 255)]
    for path, level in zip(paths, (0, 120, 255), strict=True):
        Image.new("L", (50, 50), level).save(path)
    assert len(set(splits.duplicate_images(paths))) == 3


def test_hashes_by_hand(copies):
    path = copies[0][0]
    made = splits.perceptual_hashes([path, ""])
    grey = np.asarray(Image.open(path).resize((32, 32), Image.Resampling.BILINEAR)) @ [0.299, 0.587, 0.114]
    low = dctn(grey)[:8, :8].ravel()
    bits = "".join("1" if value > np.median(low[1:]) else "0" for value in low)
    assert made.dtype == np.uint64
    assert made[:1].tobytes() == int(bits, 2).to_bytes(8, "big")
    assert made[1] == 0
