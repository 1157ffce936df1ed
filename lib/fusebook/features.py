"""Features of all modalities as a dict {"audio": …, "image": …, "text": …}, and which rows have which part.

Notebook 02_preprocess tells the story.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from fusebook import runs
from fusebook.audio import AudioEncoder
from fusebook.image import ImageEncoder
from fusebook.text import TextEncoder

ENCODERS = {"audio": AudioEncoder, "image": ImageEncoder, "text": TextEncoder}


def modalities_of(rows: pd.DataFrame) -> list[str]:
    """The modalities that at least one row has, in key order."""
    return [name for name in sorted(ENCODERS) if (rows[name] != "").any()]


def present_parts(rows: pd.DataFrame, modalities: list[str]) -> dict[str, np.ndarray]:
    """Which rows have which part: modality to bool array of shape (n_rows,)."""
    return {name: (rows[name] != "").to_numpy() for name in sorted(modalities)}


def encode_rows(rows: pd.DataFrame, encoders: dict) -> dict[str, np.ndarray]:
    """Features by modality, each of shape (n_rows, n_features), float32; zeros where a part is missing."""
    present = present_parts(rows, list(encoders))
    made = {name: encoders[name].transform(rows[name].tolist()) for name in sorted(encoders)}
    return {
        name: np.where(present[name][:, None], values, 0).astype(np.float32) for name, values in made.items()
    }


def take(arrays: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, np.ndarray]:
    """The ``chosen`` rows (bools or numbers) of every array."""
    return {name: values[chosen] for name, values in arrays.items()}


def save_features(
    folder: Path, features: dict[str, np.ndarray], present: dict[str, np.ndarray], ngrams=None
) -> None:
    """Write ``features`` and ``present`` (and the sparse n-gram bag for the linear baseline) to ``folder``, whole."""
    with runs.replacing(folder) as beside:
        beside.mkdir()
        for name, values in features.items():
            np.savez(beside / f"{name}.npz", features=values, present=present[name])
        if ngrams is not None:
            sparse.save_npz(beside / "ngrams.npz", ngrams)


def load_features(
    folder: Path,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], sparse.csr_array | None]:
    """Read what ``save_features`` wrote: features, present, n-gram bag (None where there is none)."""
    features, present = {}, {}
    for name in sorted(ENCODERS):
        if (folder / f"{name}.npz").exists():
            with np.load(folder / f"{name}.npz") as arrays:
                features[name], present[name] = arrays["features"], arrays["present"]
    path = folder / "ngrams.npz"
    return features, present, sparse.csr_array(sparse.load_npz(path)) if path.exists() else None


def save_encoders(folder: Path, encoders: dict) -> None:
    """Write all encoders to ``folder``, whole."""
    with runs.replacing(folder) as beside:
        for encoder in encoders.values():
            encoder.save(beside)


def load_encoders(folder: Path, modalities: list[str]) -> dict:
    """Read the encoders of ``modalities`` from ``folder``."""
    return {name: ENCODERS[name].load(folder) for name in sorted(modalities)}
