"""Sound: read it, say what is wrong with it, and one encoder: mel-frequency cepstral coefficients (MFCC).

Notebook 02_preprocess tells the story.
"""

from pathlib import Path

import joblib
import numpy as np
import soundfile
import soxr
from scipy.fft import dct
from scipy.ndimage import convolve1d

from fusebook import runs

RATE = 16_000  # samples a second that every sound is brought to
MOST_SAMPLES = 200_000_000  # beyond this, before or after that, a sound is refused before decoding
LOUDEST = 1e12  # times full scale; beyond this the energy is no finite number any more
_FRAME, _HOP, _FFT = 400, 160, 512  # 25 ms windows every 10 ms at 16 kHz


def check_audio(path: Path) -> str:
    """ "" for a file that can be decoded, else a reason code (the list is ``tables.REASONS``)."""
    try:
        header = soundfile.info(path)
        if header.frames * max(header.channels, RATE / header.samplerate) > MOST_SAMPLES:
            return "AUDIO_TOO_LARGE"
        samples, _ = soundfile.read(path, dtype="float32")
    except (soundfile.LibsndfileError, RuntimeError, OSError):
        return "AUDIO_BROKEN"
    if not samples.size:
        return "AUDIO_EMPTY"
    return "" if np.abs(samples).max() < LOUDEST else "AUDIO_NOT_FINITE"  # false for a NaN, too


def read_audio(path: str | Path) -> np.ndarray:
    """The sound as mono samples at 16 kHz, float32, shape (n_samples,); channels are averaged."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate == RATE else soxr.resample(mono, rate, RATE)


def mel_filters(n_mels: int = 40) -> np.ndarray:
    """Triangular filters, equally spaced in mel (O'Shaughnessy, 1987), shape (n_mels, n_frequencies), peak 1."""
    to_mel = 2595 * np.log10(1 + np.array([20.0, RATE / 2]) / 700)
    edges = 700 * (10 ** (np.linspace(*to_mel, n_mels + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(_FFT, 1 / RATE)
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    return np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)


def log_mel(samples: np.ndarray, n_mels: int = 40) -> np.ndarray:
    """Log power in mel bands, in decibels, shape (n_frames, n_mels); 25 ms Hann windows every 10 ms."""
    padded = np.pad(samples, (0, max(0, _FRAME - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_FRAME).astype(np.float32), _FFT)) ** 2
    return 10 * np.log10(power @ mel_filters(n_mels).T + 1e-10)


def mfcc(samples: np.ndarray, n_coefficients: int = 20) -> np.ndarray:
    """Mel-frequency cepstral coefficients (Davis and Mermelstein, 1980), shape (n_frames, n_coefficients).

    The orthonormal discrete cosine transform of ``log_mel``.
    """
    return dct(log_mel(samples), norm="ortho", axis=1)[:, :n_coefficients]


def deltas(coefficients: np.ndarray) -> np.ndarray:
    """The slope of each column over 9 frames by least squares, same shape (Furui, 1986)."""
    steps = np.arange(-4, 5)
    return convolve1d(coefficients, steps[::-1] / (steps**2).sum(), axis=0, mode="nearest")


def summarise(path: str) -> np.ndarray:
    """One sound's features, shape (120,): mean and spread over time of 20 MFCC and their first two differences."""
    coefficients = mfcc(read_audio(path))
    first = deltas(coefficients)
    tracks = np.hstack([coefficients, first, deltas(first)])
    return np.hstack([tracks.mean(axis=0), tracks.std(axis=0)]).astype(np.float32)


def audio_facts(path: str | Path) -> dict[str, float]:
    """What can be said of a sound without a model: rate (Hz), seconds, loudness (dB below full scale), clipped share."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    loudness = 20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-10)
    return {
        "rate": rate,
        "seconds": len(samples) / rate,
        "loudness": float(loudness),
        "clipped": float((np.abs(samples) > 0.999).mean()),
    }


class AudioEncoder:
    """Sound to 120 numbers (see ``summarise``), standardised on the sounds given to ``fit``."""

    def fit(self, paths: list[str], labels=None) -> "AudioEncoder":
        """Learn mean and spread from training rows; "" stands for a missing sound. ``labels`` are not used."""
        there = [path for path in paths if path]
        if not there:
            raise ValueError("No training row has a sound. Leave the audio column out.")
        made = self._encode(there).astype(np.float64)
        spread = made.std(axis=0)
        self.mean_, self.scale_ = made.mean(axis=0), np.where(spread > 1e-6, spread, 1)  # 1 for a constant
        return self

    def transform(self, paths: list[str]) -> np.ndarray:
        """Features of shape (n_paths, 120), float32; zeros (the training mean) where the sound is missing."""
        there = np.array([bool(path) for path in paths])[:, None]
        return np.where(there, (self._encode(paths) - self.mean_) / self.scale_, 0).astype(np.float32)

    @staticmethod
    def _encode(paths) -> np.ndarray:
        work = joblib.Parallel(n_jobs=-1, prefer="threads")
        made = work(joblib.delayed(summarise)(path) for path in paths if path)
        result = np.zeros((len(paths), 120), np.float32)
        if made:
            result[[bool(path) for path in paths]] = made
        return result

    def save(self, folder: Path) -> None:
        """Write the encoder as npz."""
        folder.mkdir(parents=True, exist_ok=True)
        with runs.replacing(folder / "audio.npz") as beside, beside.open("wb") as file:
            np.savez(file, mean=self.mean_, scale=self.scale_)

    @classmethod
    def load(cls, folder: Path) -> "AudioEncoder":
        """Read what ``save`` wrote."""
        encoder = cls()
        with np.load(folder / "audio.npz") as arrays:
            encoder.mean_, encoder.scale_ = arrays["mean"], arrays["scale"]
        return encoder
