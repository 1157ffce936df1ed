"""Are copies of a sound found, and only these? Spoken digits saved anew, and all pairs of different recordings."""

import tarfile
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from rows import row

from fusebook.data import splits
from fusebook.evaluation.intervals import wilson_interval

DIGITS = Path("/work/shared/data/fsdd")
N_SAVED = 80  # recordings that are saved anew


def measured() -> list[dict]:
    """Rows "recall copies" by how the copy was saved, and "false pairs" of all recordings; none without the data."""
    if not DIGITS.exists():
        print(f"No spoken digits in {DIGITS}: sounds are left out.")
        return []
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(next(DIGITS.glob("*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
        paths = sorted(map(str, Path(folder).rglob("*.wav")))
        sizes = np.bincount(splits.duplicate_sounds(paths))
        n_pairs, false = len(paths) * (len(paths) - 1) // 2, int((sizes * (sizes - 1) // 2).sum())
        low, high = wilson_interval(false / n_pairs, n_pairs)
        made = [
            row(f"{len(paths)} digits", "duplicate_sounds", "false pairs", false / n_pairs, float(low), float(high))
        ]
        some = np.random.default_rng(1).choice(paths, N_SAVED, replace=False).tolist()
        return made + [_recall(name, some, Path(folder)) for name in SAVED]


def _recall(name: str, paths: list[str], folder: Path) -> dict:
    copies = []
    for i, path in enumerate(paths):
        samples, rate = soundfile.read(path, dtype="float32")
        samples, rate, ending = SAVED[name](samples, rate)
        copies.append(str(folder / f"copy {i}.{ending}"))
        soundfile.write(copies[-1], samples, rate)
    groups = splits.duplicate_sounds(paths + copies)
    found = int((groups[: len(paths)] == groups[len(paths) :]).sum())
    low, high = wilson_interval(found / len(paths), len(paths))
    return row(name, "duplicate_sounds", "recall copies", found / len(paths), float(low), float(high))


def _noise(samples: np.ndarray, height: float) -> np.ndarray:
    around = np.pad(samples, (4000, 2600))
    return around + height * np.random.default_rng(0).normal(size=len(around)).astype(np.float32)


def _cut(samples: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(samples) > 0.1 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


SAVED = {
    "a tenth of the volume": lambda x, rate: (x / 10, rate, "wav"),
    "a hundredth of the volume": lambda x, rate: (x / 100, rate, "wav"),
    "clipped": lambda x, rate: (np.clip(2 * x / np.abs(x).max(), -1, 1), rate, "wav"),
    "44.1 kHz": lambda x, rate: (soxr.resample(x, rate, 44_100), 44_100, "flac"),
    "Ogg Vorbis": lambda x, rate: (x, rate, "ogg"),
    "MP3": lambda x, rate: (soxr.resample(x, rate, 16_000), 16_000, "mp3"),
    "silence around": lambda x, rate: (_noise(x, 0.0), rate, "wav"),
    "soft noise around": lambda x, rate: (_noise(x, 0.0003), rate, "wav"),
    "cut to what is loud": lambda x, rate: (_cut(x), rate, "wav"),
}
