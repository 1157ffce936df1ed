"""The audio encoder: a sound to one row of numbers, by cepstral coefficients (MFCC) or by a small network.

Reading, checks and facts are handed on from ``audio_files``, mel bands from ``audio_features``. Notebook 02_preprocess
tells the story.
"""

from pathlib import Path

import numpy as np

from fusebook import media, runs
from fusebook.audio_features import log_mel, mel_picture, summarise
from fusebook.audio_files import audio_facts, check_audio, facts_table, read_audio

__all__ = [
    "FEATURES", "AudioEncoder", "audio_facts", "check_audio", "facts_table", "log_mel", "read_audio", "summarise",
]  # fmt: skip

FEATURES = ("mfcc", "cnn")


class AudioEncoder:
    """Sound to numbers, standardised on the sounds given to ``fit``.

    Parameters
    ----------
    features : "mfcc" for 120 numbers a sound (see ``audio_features.summarise``), which learn nothing; "cnn" for the last
        hidden layer (64 numbers) of a small network over mel bands, trained on the training rows
    epochs : passes of the CNN over the training sounds at most; it stops early on ``validation``
    """

    def __init__(self, features: str = "mfcc", *, epochs: int = 30, random_state: int = 42):
        if features not in FEATURES:
            raise ValueError(f"The audio features are {features!r}; expected one of {', '.join(FEATURES)}.")
        self.features, self.epochs, self.random_state = features, epochs, random_state

    def fit(self, paths: list[str], labels=None, *, validation=((), ())) -> "AudioEncoder":
        """Learn from training rows; "" stands for a missing sound.

        ``labels`` (ints of shape (n_paths,)) and ``validation`` (paths and labels) are for the CNN alone.
        Raises ValueError where no path has a sound, or the CNN is given no labels.
        """
        if not any(paths):
            raise ValueError("No training row has a sound. Leave the audio column out.")
        self.network_, self.history_ = None, {}
        if self.features == "cnn":
            if labels is None:
                raise ValueError("The CNN got no labels; expected a class number a row: fit(paths, labels).")
            from fusebook import image_networks as networks

            options = {"epochs": self.epochs, "mirror": False, "random_state": self.random_state}
            watched = self._there(*validation)
            self.network_, self.history_ = networks.fit_cnn(
                *self._there(paths, labels), validation=watched, **options
            )
        numbers = self._numbers([path for path in paths if path]).astype(np.float64)
        spread = numbers.std(axis=0)
        self.mean_, self.scale_ = numbers.mean(axis=0), np.where(spread > 1e-6, spread, 1)  # 1 for a constant
        return self

    def transform(self, paths: list[str]) -> np.ndarray:
        """Features of shape (n_paths, n_features), float32; zeros (the training mean) where the sound is missing."""
        return media.standardised(self._numbers, paths, self.mean_, self.scale_)

    def _there(self, paths, labels) -> tuple[np.ndarray, np.ndarray]:
        there = np.array([bool(path) for path in paths], dtype=bool)
        return self._pictures([path for path in paths if path]), np.asarray(labels, dtype=int)[there]

    @staticmethod
    def _pictures(paths) -> np.ndarray:
        made = media.on_all_cores(mel_picture, paths, doing="reading sounds")
        return np.array(made) if made else np.empty((0, 64, 40, 1), np.uint8)

    def _numbers(self, paths) -> np.ndarray:
        if self.features == "mfcc":
            return np.array(media.on_all_cores(summarise, paths, doing="reading sounds"))
        from fusebook import image_networks as networks

        return networks.hidden_units(self.network_, self._pictures(paths))

    def save(self, folder: Path) -> None:
        """Write the network, where there is one, as .keras and the rest as npz."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.network_ is not None:
            self.network_.save(folder / "audio.keras")
        with runs.replacing(folder / "audio.npz") as beside, beside.open("wb") as file:
            np.savez(file, mean=self.mean_, scale=self.scale_, features=self.features)

    @classmethod
    def load(cls, folder: Path) -> "AudioEncoder":
        """Read what ``save`` wrote; Keras's safe mode refuses layers that would run code."""
        with np.load(folder / "audio.npz") as arrays:
            encoder = cls(str(arrays["features"]))
            encoder.mean_, encoder.scale_ = arrays["mean"], arrays["scale"]
        encoder.network_ = None
        if encoder.features == "cnn":
            import keras

            encoder.network_ = keras.saving.load_model(folder / "audio.keras", compile=False, safe_mode=True)
        return encoder
