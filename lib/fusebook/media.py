"""What pictures and sounds share: files are read on all cores, with a progress bar where it takes long, and read once."""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from pathlib import Path
from typing import TypeVar

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

SECONDS_WITHOUT_BAR = 5  # work that ends sooner shows no bar
MOST_KEPT = 200_000  # files whose facts or features are remembered, at most a few kilobytes each
SECONDS_NEW = 2  # the clock of some file systems is that coarse

T = TypeVar("T")


def on_all_cores(function: Callable[[str], T], paths: Sequence[str], *, doing: str) -> list[T]:
    """``function`` of each of ``paths``, in their order; ``doing`` stands beside the bar, such as "reading pictures".

    Threads, as decoders and NumPy let other threads run; ``joblib.parallel_config`` sends the work elsewhere.
    """
    work = joblib.Parallel(n_jobs=-1, prefer="threads", return_as="generator")
    made = work(joblib.delayed(function)(path) for path in paths)
    return list(tqdm(made, doing, len(paths), leave=False, delay=SECONDS_WITHOUT_BAR, mininterval=0.5))


def facts_table(
    facts: Callable[[str], dict], paths: Sequence[str], columns: list[str], *, doing: str
) -> pd.DataFrame:
    """``facts`` of each of ``paths``, one line each, read on all cores; NaN where a path is ""."""
    made = iter(on_all_cores(facts, [path for path in paths if path], doing=doing))
    return pd.DataFrame([next(made) if path else {} for path in paths], columns=columns, dtype=float)


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

    @lru_cache(MOST_KEPT)
    def kept(path: str, _: tuple, *rest) -> T:
        return function(path, *rest)

    @wraps(function)
    def read(path: str | Path, *rest) -> T:
        now = stamp(path)
        return kept(str(path), now, *rest) if now else function(str(path), *rest)

    return read
