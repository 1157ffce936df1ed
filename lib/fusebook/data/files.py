"""Picture and sound files: read once and on all cores, told what is wrong, and what can be said of them without a model.

Notebook 01_explore tells the story.
"""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial, wraps
from pathlib import Path
from typing import TypeVar

import joblib
import numpy as np
import pandas as pd
import soundfile
import soxr
from PIL import Image, ImageOps
from tqdm import tqdm

SECONDS_WITHOUT_BAR = 5  # work that ends sooner shows no bar
MOST_REMEMBERED = 200_000  # files whose facts or features are remembered, at most a few kilobytes each
SECONDS_NEW = 2  # the clock of some file systems is that coarse

MOST_PIXELS = 50_000_000  # beyond this a picture is refused before decoding
MOST_BYTES = 256_000_000  # bytes of small pictures that are remembered, so that each file is decoded once

RATE = 16_000  # samples a second that every sound is brought to
MOST_SAMPLES = 200_000_000  # beyond this, before or after that, a sound is refused before decoding
LOUDEST = 1e12  # times full scale; beyond this the energy is no finite number any more
SILENT = -60  # decibels below full scale; a stretch below this is silence
_STRETCH = 0.02  # seconds that are silent or not as a whole

FACTS = {
    "image": ["width", "height", "brightness", "blur"], "audio": ["rate", "seconds", "loudness", "clipped", "silent"],
}  # fmt: skip
_READING = {"image": "reading pictures", "audio": "reading sounds"}
# How a person reads the facts: their names with unit and direction, and the decimals that matter.
_READABLE = {
    "width": ("width, pixels", 0), "height": ("height, pixels", 0), "brightness": ("brightness, 0 black to 1 white", 2),
    "blur": ("sharpness (low is blurred)", 0), "rate": ("sampling rate, Hz", 0), "seconds": ("length, s", 2),
    "loudness": ("loudness, dB (0 is full scale)", 1), "clipped": ("samples at full scale, %", 2),
    "silent": ("silence, % of the time", 0),
}  # fmt: skip

T = TypeVar("T")
_kept: dict[tuple, np.ndarray] = {}


def on_all_cores(function: Callable[[str], T], paths: Sequence[str], *, doing: str) -> list[T]:
    """``function`` of each of ``paths``, in their order; ``doing`` stands beside the bar, such as "reading pictures".

    Threads, as decoders and NumPy let other threads run; ``joblib.parallel_config`` sends the work elsewhere.
    """
    work = joblib.Parallel(n_jobs=-1, prefer="threads", return_as="generator")
    made = work(joblib.delayed(function)(path) for path in paths)
    return list(tqdm(made, doing, len(paths), leave=False, delay=SECONDS_WITHOUT_BAR, mininterval=0.5))


def standardised(
    numbers: Callable[[list[str]], np.ndarray], paths: Sequence[str], mean: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """``numbers`` of the files, less ``mean`` and by ``scale``: shape (n_paths, n_features), float32; 0 where a path is ""."""
    there = np.array([bool(path) for path in paths], dtype=bool)
    result = np.zeros((len(paths), len(mean)), np.float32)
    if there.any():
        result[there] = (numbers([path for path in paths if path]) - mean) / scale
    return result


def stamp(path: str | Path) -> tuple[int, ...] | None:
    """What changes when a file does; None where it isn't there, or is so new that a change might not show."""
    try:
        facts = Path(path).stat()
    except OSError:
        return None
    just_written = time.time() - facts.st_mtime < SECONDS_NEW
    return None if just_written else (facts.st_mtime_ns, facts.st_size, facts.st_ino)


def once_a_file(function: Callable[..., T]) -> Callable[..., T]:
    """``function(path, …)`` that reads a file once a process, and again only where the file has changed since.

    What it returns is shared between calls, so nobody may change it.
    """

    @lru_cache(MOST_REMEMBERED)
    def kept(path: str, _: tuple, *rest) -> T:
        return function(path, *rest)

    @wraps(function)
    def read(path: str | Path, *rest) -> T:
        now = stamp(path)
        return kept(str(path), now, *rest) if now else function(str(path), *rest)

    return read


# --- What can be said without a model -----------------------------------------------------------------


def check(part: str, path: str | Path) -> str:
    """ "" for a picture ("image") or sound ("audio") that can be decoded, else a reason code of ``tables.REASONS``."""
    return _EXAMINE[part](path)[0]


def facts(part: str, path: str | Path) -> dict[str, float]:
    """What can be said of a picture or a sound without a model. Raises ValueError, with the reason, as ``check`` says.

    A picture has width, height (pixels), brightness (0 to 1), and blur, the variance of the Laplacian of the grey
    picture (Pech-Pacheco and others, 2000): low means blurred. A sound has rate (Hz), seconds, loudness (dB below full
    scale), clipped (share of samples at full scale), silent (share of stretches of 20 ms below -60 dB).
    """
    reason, found = _EXAMINE[part](path)
    if reason:
        raise ValueError(f"{path} is refused as {reason}; expected one that check lets pass.")
    return dict(found)


def facts_table(part: str, paths: Sequence[str]) -> pd.DataFrame:
    """``facts`` of each of ``paths``, one line each, read on all cores; NaN where a path is ""."""
    made = iter(on_all_cores(partial(facts, part), list(filter(None, paths)), doing=_READING[part]))
    return pd.DataFrame([next(made) if path else {} for path in paths], columns=FACTS[part], dtype=float)


def media_facts(rows: pd.DataFrame) -> pd.DataFrame:
    """Medians of ``facts_table`` by label, under names with unit and direction; shares in percent.

    Without columns of pictures or of sounds where no row has one, and empty where there is neither.
    """
    found = pd.concat([facts_table(part, rows[part]) for part in FACTS], axis=1).dropna(axis=1, how="all")
    medians = found.groupby(rows["label"].to_numpy()).median().rename_axis("label")
    medians[["clipped", "silent"]] = 100 * medians.reindex(columns=["clipped", "silent"])
    made = {}
    for fact in found:
        name, decimals = _READABLE[fact]
        made[name] = medians[fact].round(decimals) if decimals else medians[fact].round().astype("Int64")
    return pd.DataFrame(made)


# --- Pictures -----------------------------------------------------------------------------------------


def read_image(path: str | Path, size: int) -> np.ndarray:
    """The picture as RGB, uint8, shape (size, size, 3): turned as its EXIF says, alpha laid on white, cut square."""
    return np.asarray(ImageOps.fit(_open_image(path, size), (size, size), Image.Resampling.BILINEAR))


def thumbnail(path: str | Path, size: int) -> Image.Image:
    """The whole picture as RGB, upright, its longer side at most ``size`` pixels."""
    small = _open_image(path, size)
    small.thumbnail((size, size), Image.Resampling.BILINEAR)
    return small


def read_images(paths: Sequence[str], size: int) -> np.ndarray:
    """Pictures of shape (n_paths, size, size, 3), uint8, read on all cores; black where the path is ""."""
    made = on_all_cores(lambda path: _read_once(path, size), list(filter(None, paths)), doing="reading pictures")
    result = np.zeros((len(paths), size, size, 3), np.uint8)
    if made:
        result[[bool(path) for path in paths]] = made
    return result


def _read_once(path: str, size: int) -> np.ndarray:
    key = (path, stamp(path), size)
    if key not in _kept:
        small = read_image(path, size)
        if key[1] is None or (len(_kept) + 1) * small.nbytes > MOST_BYTES:
            return small
        _kept[key] = small
    return _kept[key]


@once_a_file
def _examine_image(path: str) -> tuple[str, dict[str, float]]:
    """The reason code, and the facts where it is "": one decoding serves both."""
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                return "IMAGE_TOO_LARGE", {}
        return "", _image_facts(_open_image(path))
    except Image.DecompressionBombError:
        return "IMAGE_TOO_LARGE", {}
    except Exception:  # on a damaged file Pillow's decoders raise whatever they stumble over
        return "IMAGE_BROKEN", {}


def _image_facts(picture: Image.Image) -> dict[str, float]:
    grey = np.asarray(picture.convert("L"), np.float32)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    blur = float(laplacian.var()) if laplacian.size else 0.0
    return dict(zip(FACTS["image"], (picture.width, picture.height, float(grey.mean() / 255), blur), strict=True))


def _open_image(path: str | Path, size: int = 0) -> Image.Image:
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


# --- Sounds -------------------------------------------------------------------------------------------


def read_audio(path: str | Path) -> np.ndarray:
    """The sound as mono samples at 16 kHz, float32, shape (n_samples,); channels are averaged."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate == RATE else soxr.resample(mono, rate, RATE)


@once_a_file
def _examine_audio(path: str) -> tuple[str, dict[str, float]]:
    """The reason code, and the facts where it is "": one decoding serves both."""
    try:
        header = soundfile.info(path)
        if header.frames * max(header.channels, RATE / header.samplerate) > MOST_SAMPLES:
            return "AUDIO_TOO_LARGE", {}
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError):
        return "AUDIO_BROKEN", {}
    if not samples.size:
        return "AUDIO_EMPTY", {}
    if not np.abs(samples).max() < LOUDEST:  # holds for a NaN, too
        return "AUDIO_NOT_FINITE", {}
    return "", _audio_facts(samples, rate)


def _audio_facts(samples: np.ndarray, rate: int) -> dict[str, float]:
    power = np.square(samples).mean(axis=1)
    starts = np.arange(0, len(power), max(1, round(_STRETCH * rate)))
    stretches = np.add.reduceat(power, starts) / np.diff(starts, append=len(power))
    clipped, silent = np.abs(samples) > 0.999, _decibels(stretches) < SILENT
    found = (rate, len(samples) / rate, *map(float, (_decibels(power.mean()), clipped.mean(), silent.mean())))
    return dict(zip(FACTS["audio"], found, strict=True))


def _decibels(power):
    return 10 * np.log10(power + 1e-20)


_EXAMINE = {"image": _examine_image, "audio": _examine_audio}
