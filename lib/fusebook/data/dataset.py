"""Rows with their parts, labels and groups, and which of them train, watch and test.

Notebook 02_preprocess makes it, the later ones read it.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from fusebook.data.features import Features
from fusebook.runs import Run

SPLITS = ("train", "validation", "test")
_SPLIT_COLUMNS = ["row", "split", "label", "label_before", "group", "class_id"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows and what the encoders made of them; ``data[chosen]`` has some rows, ``data.train`` those of one split.

    Attributes
    ----------
    rows : DataFrame with row (number in the table), text, image, audio ("" where absent); split, label, class_id and
        group (copies of one text share it) where the rows have labels
    label_names : names of the classes; class numbers count from 0 in this order
    features : ``Features`` of these rows
    """

    rows: pd.DataFrame
    label_names: list[str]
    features: Features

    @classmethod
    def of_rows(cls, rows: pd.DataFrame, features: Features | None = None) -> "Dataset":
        """The labelled ``rows`` as a data set: labels get class numbers in alphabetical order."""
        names = sorted(rows["label"].unique())
        rows = rows.assign(class_id=rows["label"].map({name: i for i, name in enumerate(names)}))
        return cls(rows.reset_index(drop=True), names, features or Features({}, {}))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: np.ndarray) -> "Dataset":
        """Some rows, by bools or positions, in the order given."""
        chosen = np.asarray(chosen)
        places = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        if len(places) == len(self) and (places == np.arange(len(self))).all():
            return self
        features = self.features[places] if self.features.parts else self.features
        return replace(self, rows=self.rows.iloc[places].reset_index(drop=True), features=features)

    def split(self, name: str) -> "Dataset":
        """The rows of one of ``SPLITS``."""
        return self[(self.rows["split"] == name).to_numpy()]

    @cached_property
    def train(self) -> "Dataset":
        """The rows to learn from."""
        return self.split("train")

    @cached_property
    def validation(self) -> "Dataset":
        """The rows that stop training, calibrate, and choose between models."""
        return self.split("validation")

    @cached_property
    def test(self) -> "Dataset":
        """The rows that are looked at once, at the end."""
        return self.split("test")

    @property
    def labels(self) -> np.ndarray:
        """Class numbers of shape (n_rows,)."""
        return self.rows["class_id"].to_numpy()

    @property
    def groups(self) -> np.ndarray:
        """A group a row, shape (n_rows,): copies of one text or picture have the same."""
        return self.rows["group"].to_numpy()

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.label_names)

    @property
    def parts(self) -> list[str]:
        """The parts that models read, in the order of their names."""
        return self.features.parts

    @cached_property
    def prior(self) -> np.ndarray:
        """The share of each class among the training rows, shape (n_classes,)."""
        return np.bincount(self.train.labels, minlength=self.n_classes) / len(self.train)

    def of(self, part: str) -> "Dataset":
        """Those rows that have ``part``, with its features alone."""
        return replace(self, features=self.features.of(part))[self.features.present[part]]

    def with_features(self, features: Features) -> "Dataset":
        """The same rows with other features."""
        return replace(self, features=features)

    def save(self, run: Run) -> None:
        """Write splits.parquet and features/ to ``run``; the texts stay in rows.parquet."""
        run.write("splits.parquet", self.rows[_SPLIT_COLUMNS])
        self.features.save(run.path("features"))

    @classmethod
    def load(cls, run: Run) -> "Dataset":
        """What 02_preprocess left in ``run``. Raises FileNotFoundError as ``Run.need`` does."""
        rows = run.read("rows.parquet").drop(columns=["label", "group"])
        rows = rows.merge(run.read("splits.parquet"), on="row", validate="one_to_one")
        return cls(rows, sorted(rows["label"].unique()), Features.load(run.need("features")))
