"""Features of all modalities as a dict of blocks {"audio": …, "image": …, "text": …}, and which rows have which part.

Notebook 02_preprocess tells the story.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from fusebook import runs


def modality_of(block: str) -> str:
    """The modality that a block of features belongs to: "text" of "text_ngrams"."""
    return block.split("_")[0]


def blocks_of(features: dict[str, np.ndarray], modality: str) -> dict[str, np.ndarray]:
    """The blocks of ``features`` that belong to ``modality``."""
    return {block: values for block, values in features.items() if modality_of(block) == modality}


def present_parts(rows: pd.DataFrame, modalities: list[str]) -> dict[str, np.ndarray]:
    """Which rows have which part: modality to bool array of shape (n_rows,)."""
    return {name: (rows[name] != "").to_numpy() for name in sorted(modalities)}


def encode_rows(rows: pd.DataFrame, encoders: dict) -> dict[str, np.ndarray]:
    """Features by block, each of shape (n_rows, n_features); zeros where a part is missing.

    A block bears the name of its modality and holds float32, but for those of the n-gram bag: "text_ngrams", numbers of
    n-grams (int32), and "text_weights".
    """
    made = {}
    for part in sorted(encoders):
        values = encoders[part].transform(rows[part].tolist())
        made |= values if isinstance(values, dict) else {part: values}
    return mask(made, present_parts(rows, list(encoders)))


def mask(features: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``features`` with zeros in the rows that lack a block's modality; a block that no row lacks is not copied."""
    made = {}
    for block, values in features.items():
        there = present[modality_of(block)]
        made[block] = values if there.all() else np.where(there[:, None], values, np.zeros((), values.dtype))
    return made


def take(arrays: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, np.ndarray]:
    """The ``chosen`` rows (bools or numbers) of every array."""
    return {name: values[chosen] for name, values in arrays.items()}


def save_features(folder: Path, features: dict[str, np.ndarray], present: dict[str, np.ndarray], ngrams=None) -> None:
    """Write ``features`` and ``present`` (and the sparse n-gram bag for the linear baseline) to ``folder``, whole."""
    with runs.replacing(folder) as beside:
        beside.mkdir()
        for part in sorted(present.keys() | {modality_of(block) for block in features}):
            np.savez(beside / f"{part}.npz", present=present[part], **blocks_of(features, part))
        if ngrams is not None:
            sparse.save_npz(beside / "ngrams.npz", ngrams)


def load_features(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], sparse.csr_array | None]:
    """Read what ``save_features`` wrote: features, present, n-gram bag (None where there is none)."""
    features, present = {}, {}
    path = folder / "ngrams.npz"
    for file in sorted(set(folder.glob("*.npz")) - {path}):
        with np.load(file) as arrays:
            blocks = dict(arrays)
        present[file.stem] = blocks.pop("present")
        features |= blocks
    return features, present, sparse.csr_array(sparse.load_npz(path)) if path.exists() else None
