"""Pictures to numbers without training: histograms of oriented gradients (HOG), of colours, and copies told apart.

Notebooks 01_explore and 02_preprocess tell the story.
"""
# FOLDED: The image encoder: a picture to one row of numbers, by a small network, by gradients and colours, or pretrained.

from pathlib import Path

import numpy as np

from fusebook import runs
from fusebook.data import files
from fusebook.data.files import read_images
from fusebook.encoders import cnn

N_ORIENTATIONS = 9


def gradient_histograms(pictures: np.ndarray, n_cells: int = 6) -> np.ndarray:
    """Histograms of oriented gradients (Dalal and Triggs, 2005), shape (n_pictures, 36 * (n_cells - 1)**2), float32.

    Pictures of shape (n_pictures, size, size, 3) are cut into ``n_cells`` by ``n_cells`` cells; each has the gradients
    of the grey picture in 9 unsigned directions, shared between the two nearest. Blocks of 2 by 2 cells are brought to
    length 1, cut off at 0.2, and brought to length 1 again.
    """
    grey = pictures.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    down, right = np.gradient(grey, axis=(1, 2))
    direction = np.arctan2(down, right) % np.pi * (N_ORIENTATIONS / np.pi)
    strength, lower = np.hypot(down, right), np.floor(direction).astype(int)
    upper_share = direction - lower
    starts = np.arange(n_cells) * grey.shape[1] // n_cells
    cells = np.empty((len(grey), n_cells, n_cells, N_ORIENTATIONS), np.float32)
    for k in range(N_ORIENTATIONS):
        votes = strength * (
            (lower % N_ORIENTATIONS == k) * (1 - upper_share) + ((lower + 1) % N_ORIENTATIONS == k) * upper_share
        )
        cells[..., k] = np.add.reduceat(np.add.reduceat(votes, starts, axis=1), starts, axis=2)
    blocks = np.concatenate([cells[:, :-1, :-1], cells[:, 1:, :-1], cells[:, :-1, 1:], cells[:, 1:, 1:]], axis=-1)
    blocks = _unit_length(np.minimum(_unit_length(blocks), 0.2))
    return blocks.reshape(len(grey), 4 * N_ORIENTATIONS * (n_cells - 1) ** 2)


def _unit_length(blocks: np.ndarray) -> np.ndarray:
    return blocks / np.sqrt(np.square(blocks).sum(axis=-1, keepdims=True) + 1e-3)


def colour_histograms(pictures: np.ndarray, levels: int = 4) -> np.ndarray:
    """Root of the share of each colour (Swain and Ballard, 1991), shape (n_pictures, levels**3), float32.

    A colour is one of ``levels`` levels of each of red, green and blue.
    """
    level = pictures.astype(int) * levels // 256
    colour = (level @ [levels**2, levels, 1]).reshape(len(pictures), pictures.shape[1] * pictures.shape[2])
    shares = [np.bincount(line, minlength=levels**3) / line.size for line in colour]
    return np.sqrt(np.array(shares, np.float32).reshape(-1, levels**3))


FEATURES = ("cnn", "hog", "backbone")
_AT_A_TIME = 1024  # pictures in memory: 150 MB of 224 pixels a side


class ImageEncoder:
    """Picture to numbers, standardised on the training rows.

    Parameters
    ----------
    size : pixels a side that every picture is brought to, a multiple of 8
    epochs : passes of the CNN over the training pictures at most; it stops early on ``validation``
    features : "cnn" for the last hidden layer (64 numbers) of a small network trained on the training rows; "hog" for
        gradient and colour histograms (964 numbers), which learn nothing; "backbone" for a pretrained network
    mirror : whether the CNN sees half of the pictures from behind; False where left and right matter, as in letters
    backbone : name of a ``keras.applications`` network, such as "MobileNetV2"
    weights : its weights, a file; "" for the one in Keras's own cache. Nothing is ever fetched
    """

    def __init__(
        self,
        size: int = 48,
        epochs: int = 15,
        random_state: int = 42,
        *,
        features: str = "cnn",
        mirror: bool = True,
        backbone: str = "MobileNetV2",
        weights: str = "",
    ):
        if size < 8 or size % 8:
            raise ValueError(f"The image size is {size}; expected a multiple of 8, as it is halved three times.")
        if features not in FEATURES:
            raise ValueError(f"The image features are {features!r}; expected one of {', '.join(FEATURES)}.")
        self.size, self.epochs, self.random_state = size, epochs, random_state
        self.features, self.mirror, self.backbone, self.weights = features, mirror, backbone, weights

    def fit(self, paths: list[str], labels, *, validation: tuple[list[str], np.ndarray]) -> "ImageEncoder":
        """Train on pictures and ``labels`` (ints of shape (n_paths,)); "" stands for a missing picture.

        Raises ValueError where no path has a picture, and as ``cnn.load_backbone`` does.
        """
        there = [path for path in paths if path]
        if not there:
            raise ValueError("No training row has a picture. Leave the image column out.")
        self.network_, self.history_ = self._network(paths, labels, validation)
        numbers = self._numbers(there).astype(np.float64)
        spread = numbers.std(axis=0)
        self.mean_ = numbers.mean(axis=0)
        self.scale_ = np.where(spread > 1e-3, spread, 1)  # 1 for a dead unit
        return self

    def transform(self, paths: list[str]) -> np.ndarray:
        """Features of shape (n_paths, n_features), float32; zeros (the training mean) where the picture is missing."""
        return files.standardised(self._numbers, paths, self.mean_, self.scale_)

    def _network(self, paths, labels, validation) -> tuple:
        """The network, None where the features need none, and the history of its training."""
        if self.features == "hog":
            return None, {}

        if self.features == "backbone":
            return cnn.load_backbone(self.backbone, size=self.size, weights=self.weights), {}
        options = {"epochs": self.epochs, "mirror": self.mirror, "random_state": self.random_state}
        return cnn.fit_cnn(*self._there(paths, labels), validation=self._there(*validation), **options)

    def _there(self, paths, labels) -> tuple[np.ndarray, np.ndarray]:
        there = np.array([bool(path) for path in paths], dtype=bool)
        return read_images([path for path in paths if path], self.size), np.asarray(labels, dtype=int)[there]

    def _numbers(self, paths: list[str]) -> np.ndarray:
        """Features before they are standardised, shape (n_paths, n_features); few pictures are in memory at a time."""
        chunks = [paths[start : start + _AT_A_TIME] for start in range(0, len(paths), _AT_A_TIME)]
        return np.concatenate([self._describe(read_images(chunk, self.size)) for chunk in chunks])

    def _describe(self, pictures: np.ndarray) -> np.ndarray:
        if self.features == "hog":
            return np.hstack([gradient_histograms(pictures), colour_histograms(pictures)])

        if self.features == "backbone":
            pictures = cnn.prepare(self.backbone, pictures)
        return cnn.hidden_units(self.network_, pictures)

    def save(self, folder: Path) -> None:
        """Write the network, where there is one, as .keras and the rest as npz."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.network_ is not None:
            self.network_.save(folder / "image.keras")
        with runs.replacing(folder / "image.npz") as beside, beside.open("wb") as file:
            facts = {"size": self.size, "features": self.features, "backbone": self.backbone}
            np.savez(file, mean=self.mean_, scale=self.scale_, **facts)

    @classmethod
    def load(cls, folder: Path) -> "ImageEncoder":
        """Read what ``save`` wrote; Keras's safe mode refuses layers that would run code."""
        with np.load(folder / "image.npz") as arrays:
            facts = {name: str(arrays[name]) for name in ("features", "backbone")}
            encoder = cls(size=int(arrays["size"]), **facts)
            encoder.mean_, encoder.scale_ = arrays["mean"], arrays["scale"]
        encoder.network_ = None
        if encoder.features != "hog":
            import keras

            encoder.network_ = keras.saving.load_model(folder / "image.keras", compile=False, safe_mode=True)
        return encoder
