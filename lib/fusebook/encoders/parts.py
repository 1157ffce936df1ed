"""One encoder a part: fitted on training rows, saved and loaded together.

Notebook 02_preprocess tells the story.
"""

import copy
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from tqdm import tqdm

from fusebook import runs
from fusebook.data.dataset import Dataset, Folds
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
        with_part = data[(data.rows[part] != "").to_numpy()]
        train, validation = (
            (rows.rows[part].tolist(), rows.labels) for rows in (with_part.train, with_part.validation)
        )
        if train[0]:
            self[part] = encoder.fit(*train, validation=validation)
        return self

    def folds(self, data: Dataset, *, below: int) -> Folds:
        """``data`` as ``Folds``, each with features of its own; none where there are ``below`` rows or more.

        What learns from labels (the choice of n-grams, a CNN) learns anew from each fold's training rows, with the same
        settings. What knows no label stays: word vectors, and what sounds or a pretrained network make of a file.
        """
        if len(data) >= below:
            return Folds()
        made = Folds.of(data)
        for number, fold in enumerate(tqdm(made, "folds", leave=False, delay=5)):
            fitted = self._refitted(fold)
            made[number] = fold.with_features(fitted.transform(fold.rows, ngrams=fitted.ngrams(fold.rows)))
        return made

    def _refitted(self, data: Dataset) -> "Encoders":
        made = Encoders()
        for part, encoder in self.items():
            if not (data.train.rows[part] != "").any():  # nothing to train on: this fold does without
                continue
            if not encoder.reads_labels:
                made[part] = encoder
                continue
            again = copy.copy(encoder)
            if part == "text":
                again.vectors = copy.copy(encoder.vectors_)  # its weights are learnt from the fold's texts
            made.fit(part, again, data)
        return made

    def ngrams(self, rows: pd.DataFrame) -> csr_array | None:
        """The whole bag of n-grams of the rows' texts, which linear models read; None where no text is read."""
        return self["text"].transform_ngrams(rows["text"].tolist()) if "text" in self else None

    def transform(self, rows: pd.DataFrame, *, ngrams: csr_array | None = None) -> Features:
        """``Features`` of ``rows`` (text, image, audio; "" where absent); ``ngrams`` go along where they are wanted."""
        return Features.of_rows(rows, self, ngrams=ngrams)

    def telling_ngrams(self, most: int = 12) -> pd.DataFrame:
        """The n-grams that say most about the label by chi-squared: n-gram, kind, chi-squared; the most telling first.

        ``kind`` tells a word from characters: the character 元 may stand in both, once as a word and once as a piece of
        any. Empty where no text is read.
        """
        table = {"n-gram": [], "kind": [], "chi-squared": []}
        if "text" in self:
            bag = self["text"].bag_
            columns = np.argsort(-bag.scores_)[:most]
            scores = bag.scores_[columns].astype(float).round(1)
            table = {"n-gram": bag.names(columns), "kind": bag.kinds(columns), "chi-squared": scores}
        return pd.DataFrame(table)

    def ngrams_kept(self, ngrams: csr_array | None, splits: pd.Series) -> pd.DataFrame:
        """What a network reads of the texts' ``ngrams``, the bag of all rows, by their ``splits``; empty without text.

        The columns are texts; n-grams known, the mean number a text has of those that the bag learnt; longer, the share
        of texts that have more of them than a network reads; weight kept, the mean share of their weight that is read.
        An n-gram that no training text taught is unknown and does not count, so a new text has fewer than a training
        text of the same length, and is seldom "longer".
        """
        columns = {"texts": "sum", "n-grams known": "mean", "longer": "mean", "weight kept": "mean"}
        if "text" not in self:
            return pd.DataFrame(columns=list(columns))
        bag, known = self["text"].bag_, np.diff(ngrams.indptr)
        made = {"split": splits.to_numpy(), "texts": 1, "n-grams known": known, "longer": known > bag.width_}
        table = pd.DataFrame({**made, "weight kept": bag.kept_weight(ngrams)}).groupby("split")
        return table.agg(columns).round({"n-grams known": 1})

    def verdicts(self, kept: pd.DataFrame) -> list[tuple[str, str, dict]]:
        """The finding about long texts in ``ngrams_kept``'s table: key, grade, facts; none where no network reads n-grams."""
        if "text" not in self or "ngrams" not in self["text"].parts.split("+"):
            return []
        facts = {"share": f"{100 * kept.loc['test', 'longer']:.0f}", "width": self["text"].bag_.width_}
        return [("long texts", "note", facts)]

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
        """Read the encoders of ``parts`` from ``folder``. Raises ValueError where a file is damaged."""
        return cls({part: _KINDS[part].load(folder) for part in sorted(parts)})

    def sizes(self) -> dict[str, int]:
        """Block to its number of columns, without reading a row."""
        made = {part: len(encoder.mean_) for part, encoder in self.items() if len(encoder.mean_)}
        if "text" in self and "ngrams" in self["text"].parts:
            made |= dict.fromkeys(("text_ngrams", "text_weights"), self["text"].bag_.width_)
        return made
