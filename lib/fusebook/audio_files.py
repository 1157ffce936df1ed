"""Sound files: read them, say what is wrong with them, and what can be said of them without a model.

Notebooks 01_explore and 02_preprocess tell the story.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import soxr

from fusebook import media

RATE = 16_000  # samples a second that every sound is brought to
MOST_SAMPLES = 200_000_000  # beyond this, before or after that, a sound is refused before decoding
LOUDEST = 1e12  # times full scale; beyond this the energy is no finite number any more
SILENT = -60  # decibels below full scale; a stretch below this is silence
_STRETCH = 0.02  # seconds that are silent or not as a whole


def check_audio(path: str | Path) -> str:
    """ "" for a file that can be decoded, else a reason code (the list is ``tables.REASONS``)."""
    return _examine(path)[0]


def audio_facts(path: str | Path) -> dict[str, float]:
    """What can be said of a sound without a model.

    rate (Hz), seconds, loudness (dB below full scale), clipped (share of samples at full scale), silent (share of
    stretches of 20 ms below -60 dB). Raises ValueError where the file can't be used, with the reason code.
    """
    reason, facts = _examine(path)
    if reason:
        raise ValueError(f"{path} is refused as {reason}; expected a sound that check_audio lets pass.")
    return dict(facts)


def facts_table(paths: list[str]) -> pd.DataFrame:
    """``audio_facts`` of each of ``paths``, one line each, read on all cores; NaN where a path is ""."""
    columns = ["rate", "seconds", "loudness", "clipped", "silent"]
    return media.facts_table(audio_facts, paths, columns, doing="reading sounds")


def read_audio(path: str | Path) -> np.ndarray:
    """The sound as mono samples at 16 kHz, float32, shape (n_samples,); channels are averaged."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate == RATE else soxr.resample(mono, rate, RATE)


@media.once_a_file
def _examine(path: str) -> tuple[str, dict[str, float]]:
    """The reason code, and the facts where it is "" : one decoding serves both."""
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
    return "", _facts(samples, rate)


def _facts(samples: np.ndarray, rate: int) -> dict[str, float]:
    power = np.square(samples).mean(axis=1)
    starts = np.arange(0, len(power), max(1, round(_STRETCH * rate)))
    lengths = np.diff(starts, append=len(power))
    stretches = np.add.reduceat(power, starts) / lengths
    return {
        "rate": rate,
        "seconds": len(samples) / rate,
        "loudness": float(_decibels(power.mean())),
        "clipped": float((np.abs(samples) > 0.999).mean()),
        "silent": float((_decibels(stretches) < SILENT).mean()),
    }


def _decibels(power):
    return 10 * np.log10(power + 1e-20)
