"""The audio encoder: a sound to one row of numbers, by mel bands and cepstral coefficients (MFCC) or by a small network.

Notebook 02_preprocess tells the story.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.fft import dct
from scipy.ndimage import convolve1d
from scipy.sparse import csr_array

from fusebook.data import files
from fusebook.data.dataset import Dataset
from fusebook.data.files import RATE, read_audio
from fusebook.data.formats import manifest

FEATURES = ("mfcc", "cnn")
N_MELS = 40
N_COEFFICIENTS = 20
STRETCHES = 3  # of equal length, each with a mean of its own: beginning, middle and end
TRIM = 40  # decibels below the loudest; what is softer at both ends is cut off
FLOOR = 50  # decibels below the loudest; softer bands, which hold the room's noise, are brought to this
_FRAME, _HOP, _FFT = 400, 160, 512  # 25 ms windows every 10 ms at 16 kHz
_FRAMES_AT_ONCE = 6_000  # a minute; spectra of more are not in memory at a time


def mel_filters() -> np.ndarray:
    """Triangular filters, equally spaced in mel (O'Shaughnessy, 1987), shape (40, n_frequencies), peak 1."""
    to_mel = 2595 * np.log10(1 + np.array([20.0, RATE / 2]) / 700)
    edges = 700 * (10 ** (np.linspace(*to_mel, N_MELS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(_FFT, 1 / RATE)
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    return np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Log power in 40 mel bands, in decibels, shape (n_frames, 40); 25 ms Hann windows every 10 ms."""
    padded = np.pad(samples, (0, max(0, _FRAME - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
    window, made = np.hanning(_FRAME).astype(np.float32), []
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        power = np.abs(np.fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * window, _FFT)) ** 2
        made.append(10 * np.log10((_sparse_filters() @ power.T).T + 1e-10))
    return made[0] if len(made) == 1 else np.concatenate(made)


@lru_cache
def _sparse_filters() -> csr_array:
    """``mel_filters`` without its zeros: a dense product would start BLAS threads beside those that read files."""
    return csr_array(mel_filters())


def levelled(bands: np.ndarray) -> np.ndarray:
    """``log_mel`` without what the recording adds: level, room noise, and the pauses before and after.

    In decibels below the loudest band of all, from -50 to 0, shape (n_frames_kept, n_mels).
    """
    bands = bands - bands.max()
    sounding = np.flatnonzero(bands.max(axis=1) >= -TRIM)
    return np.maximum(bands[sounding[0] : sounding[-1] + 1], -FLOOR)


def mfcc(bands: np.ndarray) -> np.ndarray:
    """20 mel-frequency cepstral coefficients (Davis and Mermelstein, 1980), shape (n_frames, 20).

    The orthonormal discrete cosine transform of ``bands``, as ``log_mel`` or ``levelled`` return them.
    """
    return dct(bands, norm="ortho", axis=1)[:, :N_COEFFICIENTS]


def deltas(coefficients: np.ndarray) -> np.ndarray:
    """The slope of each column over 9 frames by least squares, same shape (Furui, 1986)."""
    steps = np.arange(-4, 5)
    return convolve1d(coefficients, steps[::-1] / (steps**2).sum(), axis=0, mode="nearest")


def stretch_means(tracks: np.ndarray, n_stretches: int) -> np.ndarray:
    """Means over ``n_stretches`` equal stretches of time, shape (n_stretches, n_columns).

    Where there are fewer frames than stretches, each stretch takes the frame it falls on.
    """
    edges = np.arange(n_stretches + 1) * len(tracks) // n_stretches
    starts = np.minimum(edges[:-1], len(tracks) - 1)
    ends = np.maximum(edges[1:], starts + 1)
    sums = np.vstack([np.zeros_like(tracks[:1]), tracks]).cumsum(axis=0, dtype=np.float64)
    return (sums[ends] - sums[starts]) / (ends - starts)[:, None]


@files.once_a_file
def summarise(path: str | Path) -> np.ndarray:
    """One sound's features, shape (120,), float32: 20 MFCC and their first two differences over time.

    The mean of each coefficient in the beginning, the middle and the end of the sound (3 x 20), which says how the
    sound goes on, as the mean of the differences alone would not; then the spread of coefficients and differences (60).
    """
    coefficients = mfcc(levelled(log_mel(read_audio(path))))
    first = deltas(coefficients)
    tracks = np.hstack([coefficients, first, deltas(first)])
    return np.hstack([stretch_means(coefficients, STRETCHES).ravel(), tracks.std(axis=0)]).astype(np.float32)


@files.once_a_file
def mel_picture(path: str | Path, n_frames: int = 64) -> np.ndarray:
    """The sound as a grey picture, uint8, shape (n_frames, 40, 1): time by mel band, 255 for the loudest.

    Whatever it lasts, it fills the picture: time is squeezed or stretched to ``n_frames``.
    """
    bands = stretch_means(levelled(log_mel(read_audio(path))), n_frames)
    return np.round((bands + FLOOR) * (255 / FLOOR)).astype(np.uint8)[..., None]


def mel_example(data: Dataset) -> tuple[np.ndarray, str]:
    """The first training sound of ``data`` as ``log_mel`` returns it, and its row and label; no frames without a sound."""
    rows = data.train.rows
    for row in rows[rows["audio"] != ""].head(1).itertuples():
        return log_mel(read_audio(row.audio)), f"row {row.row}, {row.label}"
    return np.empty((0, N_MELS)), ""


class AudioEncoder:
    """Sound to numbers, standardised on the sounds given to ``fit``.

    Parameters
    ----------
    features : "mfcc" for 120 numbers a sound (see ``summarise``), which learn nothing; "cnn" for the last hidden layer
        (64 numbers) of a small network over mel bands, trained on the training rows
    epochs : passes of the CNN over the training sounds at most; it stops early on ``validation``

    Attributes
    ----------
    network_ : the CNN, None for "mfcc"
    history_ : its training, loss and accuracy by epoch
    """

    def __init__(self, features: str = "mfcc", *, epochs: int = 30, random_state: int = 42):
        if features not in FEATURES:
            raise ValueError(f"The audio features are {features!r}; expected one of {', '.join(FEATURES)}.")
        self.features, self.epochs, self.random_state = features, epochs, random_state

    def fit(self, paths: list[str], labels, *, validation=None) -> "AudioEncoder":
        """Learn from training sounds; "" stands for a missing one.

        ``labels`` (ints of shape (n_paths,)) and ``validation`` (paths and labels) are for the CNN alone; without
        ``validation`` it watches the training loss. Raises ValueError where no path has a sound.
        """
        if not any(paths):
            raise ValueError("No training row has a sound. Leave the audio column out.")
        self.network_, self.history_ = None, {}
        if self.features == "cnn":
            from fusebook.encoders import cnn

            options = {"epochs": self.epochs, "mirror": False, "random_state": self.random_state}
            watched = _pictures(*(validation or ([], [])))
            self.network_, self.history_ = cnn.fit_cnn(*_pictures(paths, labels), validation=watched, **options)
        numbers = self._numbers(list(filter(None, paths))).astype(np.float64)
        spread = numbers.std(axis=0)
        self.mean_, self.scale_ = numbers.mean(axis=0), np.where(spread > 1e-6, spread, 1)  # 1 for a constant
        return self

    @property
    def reads_labels(self) -> bool:
        """Does what it learnt depend on the labels?"""
        return self.features == "cnn"

    def transform(self, paths: list[str]) -> np.ndarray:
        """Features of shape (n_paths, n_features), float32; zeros (the training mean) where the sound is missing."""
        return files.standardised(self._numbers, paths, self.mean_, self.scale_)

    def _numbers(self, paths: list[str]) -> np.ndarray:
        if self.features == "mfcc":
            return np.array(files.on_all_cores(summarise, paths, doing="reading sounds"))
        from fusebook.encoders import cnn

        return cnn.hidden_units(self.network_, _mel_pictures(paths))

    def save(self, folder: Path) -> None:
        """Write the network, where there is one, as .keras and the rest as npz."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.network_ is not None:
            self.network_.save(folder / "audio.keras")
        np.savez(folder / "audio.npz", mean=self.mean_, scale=self.scale_, features=self.features)

    @classmethod
    def load(cls, folder: Path) -> "AudioEncoder":
        """Read what ``save`` wrote; Keras's safe mode refuses layers that would run code.

        Raises ValueError where a file is damaged.
        """
        path = folder / "audio.npz"
        arrays = manifest.read_arrays(path, features="U", mean="f", scale="f")
        with manifest.reading(path):
            encoder = cls(str(arrays["features"]))
        encoder.mean_, encoder.scale_, encoder.network_ = arrays["mean"], arrays["scale"], None
        width = len(encoder.mean_) if encoder.mean_.ndim == 1 else -1
        if encoder.features == "cnn":
            from fusebook.encoders import cnn

            encoder.network_ = cnn.load_network(folder / "audio.keras")
            width = cnn.hidden_width(folder / "audio.keras", encoder.network_, (64, N_MELS, 1))
        else:
            manifest.expect(width == 6 * N_COEFFICIENTS, path, f"{width} means", f"{6 * N_COEFFICIENTS}")
        manifest.expect_scales(path, encoder.mean_, encoder.scale_, width)
        return encoder


def _pictures(paths, labels) -> tuple[np.ndarray, np.ndarray]:
    """The sounds that are there as pictures, and their labels."""
    there = np.array([bool(path) for path in paths], dtype=bool)
    return _mel_pictures(list(filter(None, paths))), np.asarray(labels, dtype=int)[there]


def _mel_pictures(paths: list[str]) -> np.ndarray:
    made = files.on_all_cores(mel_picture, paths, doing="reading sounds")
    return np.array(made) if made else np.empty((0, 64, N_MELS, 1), np.uint8)
