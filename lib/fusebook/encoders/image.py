"""The image encoder: a picture to one row of numbers, by a small network trained here or by a pretrained one.

Notebook 02_preprocess tells the story.
"""

from pathlib import Path

import numpy as np

from fusebook.data import files
from fusebook.data.formats import manifest

FEATURES = ("cnn", "backbone")
_AT_A_TIME = 1024  # pictures in memory: 150 MB of 224 pixels a side
_LARGEST = 2048  # pixels a side of a picture that a bundle may ask for


class ImageEncoder:
    """Picture to numbers, standardised on the training rows.

    Parameters
    ----------
    size : pixels a side that every picture is brought to, a multiple of 8
    epochs : passes of the CNN over the training pictures at most; it stops early on ``validation``
    features : "cnn" for the last hidden layer (64 numbers) of a small network trained on the training rows; "backbone"
        for a pretrained network
    mirror : whether the CNN sees half of the pictures from behind; False where left and right matter, as in letters
    backbone : name of a ``keras.applications`` network, such as "MobileNetV2"
    weights : its weights, a file; "" for the one in Keras's own cache. Nothing is ever fetched

    Attributes
    ----------
    network_ : the Keras network that sees the pictures
    history_ : its training, loss and accuracy by epoch; empty for a pretrained one
    """

    def __init__(
        self, size: int = 48, epochs: int = 15, random_state: int = 42, *, features: str = "cnn", mirror: bool = True,
        backbone: str = "MobileNetV2", weights: str = "",
    ):  # fmt: skip
        if size < 8 or size % 8:
            raise ValueError(f"The image size is {size}; expected a multiple of 8, as it is halved three times.")
        if features not in FEATURES:
            raise ValueError(f"The image features are {features!r}; expected one of {', '.join(FEATURES)}.")
        self.size, self.epochs, self.random_state = size, epochs, random_state
        self.features, self.mirror, self.backbone, self.weights = features, mirror, backbone, weights

    def fit(self, paths: list[str], labels, *, validation=None) -> "ImageEncoder":
        """Learn from training pictures and ``labels`` (ints of shape (n_paths,)); "" stands for a missing picture.

        ``validation`` has paths and labels for the CNN to stop on; without it the training loss is watched.
        Raises ValueError where no path has a picture, and as ``cnn.load_backbone`` does.
        """
        if not any(paths):
            raise ValueError("No training row has a picture. Leave the image column out.")
        self.network_, self.history_ = self._network(paths, labels, validation or ([], []))
        numbers = self._numbers(list(filter(None, paths))).astype(np.float64)
        spread = numbers.std(axis=0)
        self.mean_, self.scale_ = numbers.mean(axis=0), np.where(spread > 1e-3, spread, 1)  # 1 for a dead unit
        return self

    @property
    def reads_labels(self) -> bool:
        """Does what it learnt depend on the labels?"""
        return self.features == "cnn"

    def transform(self, paths: list[str]) -> np.ndarray:
        """Features of shape (n_paths, n_features), float32; zeros (the training mean) where the picture is missing."""
        return files.standardised(self._numbers, paths, self.mean_, self.scale_)

    def _network(self, paths, labels, validation) -> tuple:
        """The network and the history of its training."""
        from fusebook.encoders import cnn

        if self.features == "backbone":
            return cnn.load_backbone(self.backbone, size=self.size, weights=self.weights), {}
        options = {"epochs": self.epochs, "mirror": self.mirror, "random_state": self.random_state}
        return cnn.fit_cnn(*self._pictures(paths, labels), validation=self._pictures(*validation), **options)

    def _pictures(self, paths, labels) -> tuple[np.ndarray, np.ndarray]:
        """The pictures that are there, and their labels."""
        there = np.array([bool(path) for path in paths], dtype=bool)
        return files.read_images(list(filter(None, paths)), self.size), np.asarray(labels, dtype=int)[there]

    def _numbers(self, paths: list[str]) -> np.ndarray:
        """Features before they are standardised, shape (n_paths, n_features); few pictures are in memory at a time."""
        from fusebook.encoders import cnn

        made = []
        for start in range(0, len(paths), _AT_A_TIME):
            pictures = files.read_images(paths[start : start + _AT_A_TIME], self.size)
            if self.features == "backbone":
                pictures = cnn.prepare(self.backbone, pictures)
            made.append(cnn.hidden_units(self.network_, pictures))
        return np.concatenate(made)

    def save(self, folder: Path) -> None:
        """Write the network as .keras and the rest as npz."""
        folder.mkdir(parents=True, exist_ok=True)
        self.network_.save(folder / "image.keras")
        facts = {"size": self.size, "features": self.features, "backbone": self.backbone}
        np.savez(folder / "image.npz", mean=self.mean_, scale=self.scale_, **facts)

    @classmethod
    def load(cls, folder: Path) -> "ImageEncoder":
        """Read what ``save`` wrote; Keras's safe mode refuses layers that would run code.

        Raises ValueError where a file is damaged, or an older Fusebook saved it with features that are no more.
        """
        from keras import applications

        from fusebook.encoders import cnn

        path = folder / "image.npz"
        arrays = manifest.read_arrays(path, features="U", backbone="U", size="i", mean="f", scale="f")
        features, backbone = str(arrays["features"]), str(arrays["backbone"])
        if features not in FEATURES:
            what = f"{folder} reads pictures by the features {features!r}, gradient histograms that are no more."
            raise ValueError(f'{what} Run the notebooks again with image_features="cnn".')
        with manifest.reading(path):
            manifest.expect(8 <= arrays["size"] <= _LARGEST, path, f"size {arrays['size']}", f"8 to {_LARGEST} pixels")
            known = features == "cnn" or (backbone[:1].isupper() and callable(getattr(applications, backbone, None)))
            manifest.expect(known, path, f"the backbone {backbone!r}", "a network of keras.applications")
            encoder = cls(int(arrays["size"]), features=features, backbone=backbone)
        encoder.network_ = cnn.load_network(folder / "image.keras")
        width = cnn.hidden_width(folder / "image.keras", encoder.network_, (encoder.size, encoder.size, 3))
        encoder.mean_, encoder.scale_ = arrays["mean"], arrays["scale"]
        manifest.expect_scales(path, encoder.mean_, encoder.scale_, width)
        return encoder
