"""One encoder a part: fitted on training rows, saved and loaded together.

Notebook 02_preprocess tells the story.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from scipy.sparse import csr_array

from fusebook import runs
from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.encoders.audio import AudioEncoder
from fusebook.encoders.image import ImageEncoder
from fusebook.encoders.text import TextEncoder

_KINDS = {"audio": AudioEncoder, "image": ImageEncoder, "text": TextEncoder}


class Encoders(dict):
    """Part (text, image, audio) to its fitted encoder; a part that no training row has is not there."""

    def fit(self, part: str, encoder, data: Dataset) -> "Encoders":
        """Fit ``encoder`` on the training rows of ``data`` that have ``part``, those for validation beside them.

        Where no training row has it, nothing is added. ``data`` needs no features yet.
        """
        train, validation = (_with_part(rows, part) for rows in (data.train, data.validation))
        if len(train):
            watched = validation.rows[part].tolist(), validation.labels
            self[part] = encoder.fit(train.rows[part].tolist(), train.labels, validation=watched)
        return self

    def ngrams(self, rows: pd.DataFrame) -> csr_array | None:
        """The whole bag of n-grams of the rows' texts, which linear models read; None where no text is read."""
        return self["text"].transform_ngrams(rows["text"].tolist()) if "text" in self else None

    def transform(self, rows: pd.DataFrame, *, ngrams: csr_array | None = None) -> Features:
        """``Features`` of ``rows`` (text, image, audio; "" where absent); ``ngrams`` go along where they are wanted."""
        return Features.of_rows(rows, self, ngrams=ngrams)

    def histories(self) -> dict[str, pd.DataFrame]:
        """The learning curves of those encoders that trained a network: loss, accuracy, … by epoch from 1."""
        curves = {part: pd.DataFrame(encoder.history_) for part, encoder in self.items() if part != "text"}
        return {f"{part} CNN": curve.set_axis(curve.index + 1) for part, curve in curves.items() if len(curve)}

    def save(self, folder: Path) -> None:
        """Write all encoders to ``folder``, whole: JSON, npz and .keras, nothing that runs code when it is loaded."""
        with runs.replacing(folder) as beside:
            beside.mkdir()
            for encoder in self.values():
                encoder.save(beside)

    @classmethod
    def load(cls, folder: Path, parts: Iterable[str]) -> "Encoders":
        """Read the encoders of ``parts`` from ``folder``."""
        return cls({part: _KINDS[part].load(folder) for part in sorted(parts)})


def _with_part(data: Dataset, part: str) -> Dataset:
    return data[(data.rows[part] != "").to_numpy()]
