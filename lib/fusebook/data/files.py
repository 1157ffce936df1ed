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
from tqdm import tqdm

from fusebook.data.formats import pictures, sounds
from fusebook.data.formats.pictures import read_image, thumbnail
from fusebook.data.formats.sounds import MOST_SECONDS, RATE, read_audio
from fusebook.findings import visible

__all__ = [
    "MOST_SECONDS", "RATE", "check", "facts", "facts_table", "media_facts", "on_all_cores", "once_a_file", "read_audio",
    "read_image", "read_images", "shown", "stamp", "standardised", "thumbnail",
]  # fmt: skip

SECONDS_WITHOUT_BAR = 5  # work that ends sooner shows no bar
MOST_REMEMBERED = 200_000  # files whose facts or features are remembered, at most a few kilobytes each
SECONDS_NEW = 2  # the clock of some file systems is that coarse

MOST_BYTES = 256_000_000  # bytes of small pictures that are remembered, so that each file is decoded once
_POINTER = b"version https://git-lfs"

FACTS = {"image": list(pictures.FACTS), "audio": list(sounds.FACTS)}
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


def shown(path: str | Path) -> str:
    """``path`` as ``findings.visible`` writes it."""
    return visible(str(path))


# --- What can be said without a model -----------------------------------------------------------------


def check(part: str, path: str | Path, most_seconds: float = MOST_SECONDS) -> str:
    """ "" for a picture ("image") or sound ("audio") that can be decoded, else a reason code of ``tables.REASONS``.

    A sound that lasts longer than ``most_seconds`` is refused, before it is decoded.
    """
    told = sounds.refused_by_header(path, most_seconds) if part == "audio" else ""
    return told or _EXAMINE[part](path)[0]


def facts(part: str, path: str | Path) -> dict[str, float]:
    """What can be said of a picture or a sound without a model. Raises ValueError, with the reason, as ``check`` says.

    A picture has width, height (pixels), brightness (0 to 1), and blur, the variance of the Laplacian of the grey
    picture (Pech-Pacheco and others, 2000): low means blurred. A sound has rate (Hz), seconds, loudness (dB below full
    scale), clipped (share of samples at full scale), silent (share of stretches of 20 ms below -60 dB).
    """
    reason, found = _EXAMINE[part](path)
    if reason:
        raise ValueError(f"{shown(path)} is refused as {reason}; expected one that check lets pass.")
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


# --- Pictures and sounds, once a file -----------------------------------------------------------------


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
    return _or_pointer(path, *pictures.examine(path))


@once_a_file
def _examine_audio(path: str) -> tuple[str, dict[str, float]]:
    return _or_pointer(path, *sounds.examine(path))


def _or_pointer(path: str, reason: str, found: dict[str, float]) -> tuple[str, dict[str, float]]:
    """The same, but for a file that stands for another one, which Git LFS has not fetched."""
    if reason.endswith("_BROKEN") and Path(path).is_file():
        with Path(path).open("rb") as file:
            reason = "FILE_POINTER" if file.read(len(_POINTER)) == _POINTER else reason
    return reason, found


_EXAMINE = {"image": _examine_image, "audio": _examine_audio}
