"""Picture files: read them, say what is wrong with them, and what can be said of them without a model.

Notebooks 01_explore and 02_preprocess tell the story.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from fusebook import media

MOST_PIXELS = 50_000_000  # beyond this a picture is refused before decoding
MOST_KEPT = 256_000_000  # bytes of small pictures that are remembered, so that each file is decoded once

_kept: dict[tuple, np.ndarray] = {}


def check_image(path: str | Path) -> str:
    """ "" for a file that can be decoded, else a reason code (the list is ``tables.REASONS``)."""
    return _examine(path)[0]


def image_facts(path: str | Path) -> dict[str, float]:
    """What can be said of a picture without a model: width, height (pixels), brightness (0 to 1), blur.

    Blur is the variance of the Laplacian of the grey picture (Pech-Pacheco and others, 2000): low means blurred.
    Raises ValueError where the file can't be used, with the reason code.
    """
    reason, facts = _examine(path)
    if reason:
        raise ValueError(f"{path} is refused as {reason}; expected a picture that check_image lets pass.")
    return dict(facts)


def facts_table(paths: list[str]) -> pd.DataFrame:
    """``image_facts`` of each of ``paths``, one line each, read on all cores; NaN where a path is ""."""
    columns = ["width", "height", "brightness", "blur"]
    return media.facts_table(image_facts, paths, columns, doing="reading pictures")


def read_image(path: str | Path, size: int = 48) -> np.ndarray:
    """The picture as RGB, uint8, shape (size, size, 3): turned as its EXIF says, alpha laid on white, cut square."""
    return np.asarray(ImageOps.fit(_open(path, size), (size, size), Image.Resampling.BILINEAR))


def thumbnail(path: str | Path, size: int) -> Image.Image:
    """The whole picture as RGB, upright, its longer side at most ``size`` pixels."""
    small = _open(path, size)
    small.thumbnail((size, size), Image.Resampling.BILINEAR)
    return small


def read_images(paths: list[str], size: int = 48) -> np.ndarray:
    """Pictures of shape (n_paths, size, size, 3), uint8, read on all cores; black where the path is ""."""
    there = [path for path in paths if path]
    made = media.on_all_cores(lambda path: _read_once(path, size), there, doing="reading pictures")
    result = np.zeros((len(paths), size, size, 3), np.uint8)
    if made:
        result[[bool(path) for path in paths]] = made
    return result


def _read_once(path: str, size: int) -> np.ndarray:
    key = (path, media.stamp(path), size)
    if key not in _kept:
        small = read_image(path, size)
        if key[1] is None or (len(_kept) + 1) * small.nbytes > MOST_KEPT:
            return small
        _kept[key] = small
    return _kept[key]


@media.once_a_file
def _examine(path: str) -> tuple[str, dict[str, float]]:
    """The reason code, and the facts where it is "": one decoding serves both."""
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                return "IMAGE_TOO_LARGE", {}
        return "", _facts(_open(path))
    except Image.DecompressionBombError:
        return "IMAGE_TOO_LARGE", {}
    except Exception:  # on a damaged file Pillow's decoders raise whatever they stumble over
        return "IMAGE_BROKEN", {}


def _facts(picture: Image.Image) -> dict[str, float]:
    grey = np.asarray(picture.convert("L"), np.float32)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return {
        "width": picture.width,
        "height": picture.height,
        "brightness": float(grey.mean() / 255),
        "blur": float(laplacian.var()) if laplacian.size else 0.0,
    }


def _open(path: str | Path, size: int = 0) -> Image.Image:
    """The upright RGB picture; a large JPEG is decoded at a fraction of its size where ``size`` pixels are enough."""
    with Image.open(path) as picture:
        if size:
            picture.draft(None, (4 * size, 4 * size))  # other formats take no notice
        upright = _upright(picture)
        if upright.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8 instead of scaling
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        layers = upright.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # EXIF that can't be read says nothing; broken pixels are told when they are read
        return picture
