"""Pictures: read them, say what is wrong with them, and one encoder: a small convolutional network (CNN).

Notebook 02_preprocess tells the story.
"""

from pathlib import Path

import joblib
import numpy as np
from PIL import Image, ImageOps

MOST_PIXELS = 50_000_000  # beyond this a picture is refused before decoding


def check_image(path: Path) -> str:
    """ "" for a file that can be decoded, else a reason code (the list is ``tables.REASONS``)."""
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                return "IMAGE_TOO_LARGE"
        _open(path)
    except Image.DecompressionBombError:
        return "IMAGE_TOO_LARGE"
    except Exception:  # on a damaged file Pillow's decoders raise whatever they stumble over
        return "IMAGE_BROKEN"
    return ""


def read_image(path: str | Path, size: int = 48) -> np.ndarray:
    """The picture as RGB, uint8, shape (size, size, 3): turned as its EXIF says, alpha laid on white, cut square."""
    return np.asarray(ImageOps.fit(_open(path), (size, size), Image.Resampling.BILINEAR))


def _open(path: str | Path) -> Image.Image:
    with Image.open(path) as picture:
        upright = _upright(picture)
        if upright.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8 instead of scaling
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        layers = upright.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except (
        Exception
    ):  # EXIF that can't be read says nothing of the picture; broken pixels are told when they are read
        return picture


def read_images(paths: list[str], size: int = 48) -> np.ndarray:
    """Pictures of shape (n_paths, size, size, 3), uint8, read on all cores; black where the path is ""."""
    work = joblib.Parallel(n_jobs=-1, prefer="threads")
    made = work(joblib.delayed(read_image)(path, size) for path in paths if path)
    result = np.zeros((len(paths), size, size, 3), np.uint8)
    if made:
        result[[bool(path) for path in paths]] = made
    return result


def image_facts(path: str | Path) -> dict[str, float]:
    """What can be said of a picture without a model: width, height (pixels), brightness (0 to 1), blur.

    Blur is the variance of the Laplacian of the grey picture (Pech-Pacheco and others, 2000): low means blurred.
    """
    picture = _open(path)
    grey = np.asarray(picture.convert("L"), np.float32)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    blur = float(laplacian.var()) if laplacian.size else 0.0
    return {
        "width": picture.width,
        "height": picture.height,
        "brightness": float(grey.mean() / 255),
        "blur": blur,
    }


class ImageEncoder:
    """Picture to 64 numbers: the last hidden layer of a CNN of three blocks, trained on the training rows.

    Parameters
    ----------
    size : pixels a side that every picture is brought to
    epochs : passes over the training pictures at most; it stops early on ``validation``
    """

    def __init__(self, size=48, epochs=15, random_state=42):
        if size < 8 or size % 8:
            raise ValueError(
                f"The image size is {size}; expected a multiple of 8, as it is halved three times."
            )
        self.size = size
        self.epochs = epochs
        self.random_state = random_state

    def fit(self, paths: list[str], labels, *, validation: tuple[list[str], np.ndarray]) -> "ImageEncoder":
        """Train on pictures and ``labels`` (ints of shape (n_paths,)); "" stands for a missing picture."""
        import keras

        keras.utils.set_random_seed(self.random_state)
        pictures, classes = self._there(paths, labels)
        if not len(pictures):
            raise ValueError("No training row has a picture. Leave the image column out.")
        n_classes = int(max(np.max(labels), np.max(validation[1]))) + 1
        self.network_ = _build_cnn(self.size, n_classes)
        watched = self._there(*validation)
        stopping = keras.callbacks.EarlyStopping(
            "val_loss" if len(watched[0]) else "loss", patience=5, restore_best_weights=True
        )
        self.history_ = self.network_.fit(
            pictures, classes, validation_data=watched if len(watched[0]) else None, epochs=self.epochs,
            batch_size=32, callbacks=[stopping], verbose=0,
        ).history  # fmt: skip
        inside = self._hidden(pictures)
        spread = inside.std(axis=0)
        self.mean_, self.scale_ = inside.mean(axis=0), np.where(spread > 1e-3, spread, 1)  # 1 for a dead unit
        return self

    def transform(self, paths: list[str]) -> np.ndarray:
        """Features of shape (n_paths, 64), float32; zeros (the training mean) where the picture is missing."""
        there = np.array([bool(path) for path in paths])
        result = np.zeros((len(paths), len(self.mean_)), np.float32)
        if there.any():
            pictures = read_images([path for path in paths if path], self.size)
            result[there] = (self._hidden(pictures) - self.mean_) / self.scale_
        return result

    def _there(self, paths, labels) -> tuple[np.ndarray, np.ndarray]:
        there = np.array([bool(path) for path in paths])
        return read_images([path for path in paths if path], self.size), np.asarray(labels)[there]

    def _hidden(self, pictures: np.ndarray) -> np.ndarray:
        import keras

        inner = keras.Model(self.network_.input, self.network_.get_layer("hidden").output)
        return inner.predict(pictures, batch_size=128, verbose=0)

    def save(self, folder: Path) -> None:
        """Write the network as .keras and the rest as npz."""
        folder.mkdir(parents=True, exist_ok=True)
        self.network_.save(folder / "image.keras")
        np.savez(folder / "image.npz", mean=self.mean_, scale=self.scale_, size=self.size)

    @classmethod
    def load(cls, folder: Path) -> "ImageEncoder":
        """Read what ``save`` wrote; Keras's safe mode refuses layers that would run code."""
        import keras

        with np.load(folder / "image.npz") as arrays:
            encoder = cls(size=int(arrays["size"]))
            encoder.mean_, encoder.scale_ = arrays["mean"], arrays["scale"]
        encoder.network_ = keras.saving.load_model(folder / "image.keras", compile=False, safe_mode=True)
        return encoder


def _build_cnn(size: int, n_classes: int):
    import keras
    from keras import layers

    pictures = keras.Input((size, size, 3), name="image")
    passed = layers.RandomFlip("horizontal")(layers.Rescaling(1 / 255)(pictures))
    for filters in (16, 32, 64):
        passed = layers.Conv2D(filters, 3, padding="same", use_bias=False)(passed)
        # Keras's own momentum of 0.99 needs some hundred steps to settle; a small table has twenty an epoch.
        passed = layers.BatchNormalization(momentum=0.9)(passed)
        passed = _halve(layers.Activation("relu")(passed))
    passed = layers.Dense(64, activation="relu", name="hidden")(layers.GlobalAveragePooling2D()(passed))
    output = layers.Dense(n_classes, activation="softmax")(layers.Dropout(0.3)(passed))
    network = keras.Model(pictures, output)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], steps_per_execution=4)
    return network


def _halve(pictures):
    """Max pooling of 2 by 2, written as a maximum over a reshaped axis: Keras's own trains half as fast on a CPU."""
    from keras import ops

    _, height, width, channels = pictures.shape
    return ops.max(ops.reshape(pictures, (-1, height // 2, 2, width // 2, 2, channels)), axis=(2, 4))
