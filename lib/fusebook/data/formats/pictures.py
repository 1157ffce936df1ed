"""Pictures: decoded as RGB of 8 bits whatever they hold, a large one at a fraction, and told what is wrong.

Notebook 01_explore tells the story.
"""

import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

MOST_PIXELS = 50_000_000  # beyond this a picture is refused before decoding
MOST_WHOLE = 20_000_000  # pixels; a larger picture is brought to a fraction of its size before anything else
FACTS = ("width", "height", "brightness", "blur")
_FEW_PIXELS, _MOST_A_BYTE = 4_000_000, 20_000  # more pixels than the first need a byte for so many of them
_ROWS = 256  # of a picture that are counted or converted at a time
_LEVELS = 16  # of 256; a picture whose range spans fewer is stretched to all
_NOT_READ = (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypheim", b"ftypheis", b"ftypmif1", b"ftypmsf1")  # HEIC
_NOT_READ_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL ", b"%PDF", b"%!PS", b"\xc5\xd0\xd3\xc6")  # JPEG XL, PDF, EPS
_PNG_SIZE = re.compile(rb"\x89PNG\r\n\x1a\n....IHDR(.{8})", re.DOTALL)  # width and height
_LOW_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # where Pillow finds the high one
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip  # by the orientation in EXIF


def read_image(path: str | Path, size: int) -> np.ndarray:
    """The picture as RGB, uint8, shape (size, size, 3): turned as its EXIF says, alpha laid on white, cut square.

    More than 8 bits are brought to 8 by the range that the values have: of 12 bits in 16, of floats from 0 to 1.
    """
    return np.asarray(ImageOps.fit(_decoded(path, size)[0], (size, size), Image.Resampling.BILINEAR))


def thumbnail(path: str | Path, size: int) -> Image.Image:
    """The whole picture as RGB, upright, its longer side at most ``size`` pixels."""
    small = _decoded(path, size)[0]
    small.thumbnail((size, size), Image.Resampling.BILINEAR)
    return small


def examine(path: str) -> tuple[str, dict[str, float]]:
    """The reason code, and the facts where it is "": one decoding serves both.

    Brightness and blur of a picture of more than 20 million pixels are those of a reduced one.
    """
    try:
        if _inner_pixels(path) > MOST_PIXELS:
            return "IMAGE_TOO_LARGE", {}
        with Image.open(path) as picture:
            if too_large(picture.width * picture.height, Path(path).stat().st_size):
                return "IMAGE_TOO_LARGE", {}
        return "", _facts(*_decoded(path))
    except Image.DecompressionBombError:
        return "IMAGE_TOO_LARGE", {}
    except Exception:  # on a damaged file Pillow's decoders raise whatever they stumble over
        return ("IMAGE_NOT_READ" if _not_read(path) else "IMAGE_BROKEN"), {}


def too_large(n_pixels: int, n_bytes: int) -> bool:
    """Are there too many pixels, or far more than ``n_bytes`` of a file can hold?"""
    return n_pixels > MOST_PIXELS or n_pixels > max(_FEW_PIXELS, _MOST_A_BYTE * n_bytes)


def _inner_pixels(path: str) -> int:
    """The most pixels that a PNG inside an icon claims: Pillow decodes it at once, and the icon's head may say less."""
    with Path(path).open("rb") as file:
        if (head := file.read(4)) not in (b"\0\0\1\0", b"icns"):
            return 0
        sizes = [struct.unpack(">II", size) for size in _PNG_SIZE.findall(head + file.read())]
    return max((width * height for width, height in sizes), default=0)


def _facts(picture: Image.Image, size: tuple[int, int]) -> dict[str, float]:
    grey, total, squares = np.asarray(picture.convert("L")), 0.0, 0.0
    for top in range(0, len(grey) - 2, _ROWS):
        rows = grey[top : top + _ROWS + 2].astype(np.float32)
        laplacian = rows[:-2, 1:-1] + rows[2:, 1:-1] + rows[1:-1, :-2] + rows[1:-1, 2:] - 4 * rows[1:-1, 1:-1]
        total += laplacian.sum(dtype=np.float64)
        squares += np.square(laplacian).sum(dtype=np.float64)
    n = max((picture.width - 2) * (picture.height - 2), 1)
    blur = max(squares / n - (total / n) ** 2, 0.0)
    return dict(zip(FACTS, (*size, float(grey.mean(dtype=np.float64) / 255), float(blur)), strict=True))


# --- Decoding -----------------------------------------------------------------------------------------


def _decoded(path: str | Path, size: int = 0) -> tuple[Image.Image, tuple[int, int]]:
    """The upright RGB picture, and the width and height of the whole.

    A large picture comes back at a fraction of its size; a JPEG also where ``size`` pixels are enough.
    """
    with Image.open(path) as picture:
        if picture.format == "EPS":  # Pillow would start Ghostscript: no program is run for a picture
            raise ValueError(f"{path} is a program in PostScript; expected a picture.")
        width, height = picture.size
        if size or width * height > MOST_WHOLE:  # other formats than JPEG take no notice
            picture.draft(None, (4 * size, 4 * size) if size else (width // 2, height // 2))
        low_bytes = _low_bytes(picture)
        picture.load()
        turn = _TURNS.get(_orientation(picture))
        if picture.width * picture.height > MOST_WHOLE:
            small = _reduced(picture)
        else:
            small = _plain(_joined(picture, path, low_bytes) if low_bytes else picture)
    if picture.size != (width, height) and picture.size == (height, width):
        width, height = height, width  # a TIFF is turned while it is read
    if turn is None:
        return small, (width, height)
    turned = small.transpose(turn)
    return turned, (height, width) if turn in list(_TURNS.values())[3:] else (width, height)


def _orientation(picture: Image.Image) -> int:
    try:
        return picture.getexif().get(0x0112, 1)
    except Exception:  # EXIF that can't be read says nothing
        return 1


def _strips(picture: Image.Image, rows: int = _ROWS) -> Iterator[Image.Image]:
    for top in range(0, picture.height, rows):
        yield picture.crop((0, top, picture.width, min(top + rows, picture.height)))


def _reduced(picture: Image.Image) -> Image.Image:
    """A large picture as RGB, at a whole fraction of its size, converted strip by strip."""
    factor = max(2, int(np.ceil((picture.width * picture.height / MOST_WHOLE) ** 0.5)))
    scale = _range(picture) if _is_deep(picture) else None
    result = Image.new("RGB", (-(-picture.width // factor), -(-picture.height // factor)))
    for i, strip in enumerate(_strips(picture, _ROWS * factor)):
        result.paste(_plain(strip, scale).reduce(factor), (0, i * _ROWS))
    return result


def _plain(picture: Image.Image, scale: tuple[float, float] | None = None) -> Image.Image:
    """As RGB of 8 bits; alpha laid on white, more bits brought to 8 by ``scale``, as ``_range`` gives it."""
    if _is_deep(picture):
        return Image.fromarray(_in_8_bits(np.asarray(picture), *(scale or _range(picture)))).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layers = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")


# --- More than 8 bits ---------------------------------------------------------------------------------


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def _range(picture: Image.Image) -> tuple[float, float]:
    """What is black, and how much above it is white: as ``_scale`` says of the least and the largest finite value."""
    ends = []
    for strip in _strips(picture):
        values = np.asarray(strip)
        values = values[np.isfinite(values)]
        ends += [values.min(), values.max()] if values.size else []
    return _scale(float(min(ends)), float(max(ends)), decimals=picture.mode == "F") if ends else (0.0, 1.0)


def _scale(least: float, most: float, *, decimals: bool) -> tuple[float, float]:
    """By the range from 0 to 1 or to the next power of two where the values fill a part of it, else by their own."""
    black, span = 0.0, 1.0 if decimals and most <= 1.01 else float(2 ** max(8, int(max(most, 0)).bit_length()))
    narrow = (most - least) * 256 < _LEVELS * span
    return (least, most - least) if most > least and (least < 0 or narrow) else (black, span)


def _in_8_bits(values: np.ndarray, black: float, span: float) -> np.ndarray:
    levels = (np.nan_to_num(values.astype(np.float64), nan=black) - black) * (256 / span)
    return np.clip(levels, 0, 255).astype(np.uint8)


def _low_bytes(picture: Image.Image) -> list | None:
    """What makes Pillow read the low bytes of 16-bit colours, of which it reads the high ones; None for other pictures."""
    made = []
    for tile in picture.tile if picture.mode in ("RGB", "RGBA") else []:
        raw, *rest = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        if not str(raw)[:-1].endswith(";16"):
            return None
        low = raw[:-1] + _LOW_BYTE[raw[-1]] if raw[:2] != "LA" else "RGBA"  # both bytes of grey, both of alpha
        made.append(tile._replace(args=(low, *rest) if isinstance(tile.args, tuple) else low))
    return made or None


def _joined(picture: Image.Image, path: str | Path, low_bytes: list) -> Image.Image:
    """A picture of 16-bit colours as one of 8, by the range of its colours; as it is where they fill 16 bits."""
    high = np.asarray(picture)
    if high[..., :3].max() >= 128:
        return picture
    with Image.open(path) as again:
        again.tile = low_bytes
        low = np.asarray(again)
    values = high * 256.0 + (low[..., [1, 1, 1, 3]] if low_bytes[0].args == "RGBA" else low)
    layers = [values[..., :3], values[..., 3:]]
    scales = [_scale(float(layer.min()), float(layer.max()), decimals=False) for layer in layers if layer.size]
    scales[1:] = [(0.0, float(2 ** max(8, int(layers[1].max()).bit_length()))) for _ in scales[1:]]  # alpha: from clear
    made = [_in_8_bits(layer, *scale) for layer, scale in zip(layers, scales, strict=False)]
    return Image.fromarray(np.concatenate(made, axis=2))


def _not_read(path: str) -> bool:
    """Is it a picture, as its first bytes say, of a kind that Pillow doesn't read, or not without another program?"""
    try:
        with Path(path).open("rb") as file:
            head = file.read(1000)
    except OSError:
        return False
    return head[4:12] in _NOT_READ or head.startswith(_NOT_READ_STARTS) or b"<svg" in head
