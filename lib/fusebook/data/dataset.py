"""Rows with their parts, labels and groups, and which of them train, watch and test.

Notebook 02_preprocess makes it, the later ones read it.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from fusebook import runs
from fusebook.data.features import Features
from fusebook.data.splits import fold_splits
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

    def save(self, run: Run, folds: "Folds | None" = None) -> None:
        """Write splits.parquet, features/ and folds/ to ``run``; the texts stay in rows.parquet."""
        run.write("splits.parquet", self.rows[_SPLIT_COLUMNS])
        self.features.save(run.path("features"))
        (Folds() if folds is None else folds).save(run)

    @classmethod
    def load(cls, run: Run) -> "Dataset":
        """What 02_preprocess left in ``run``. Raises FileNotFoundError as ``Run.need`` does."""
        rows = run.read("rows.parquet").drop(columns=["label", "group"])
        rows = rows.merge(run.read("splits.parquet"), on="row", validate="one_to_one")
        return cls(rows, sorted(rows["label"].unique()), Features.load(run.need("features")))


class Folds(list):
    """Training and validation rows dealt into folds, to score a small table by (cross-fitting; Stone, 1974).

    Each is a ``Dataset`` of all these rows in which one fold's rows are the test rows, so that each row is a test row
    once. Copies of each other are in one fold. Of the other rows some are for validation, in the same share as before.
    """

    @classmethod
    def of(cls, data: Dataset) -> "Folds":
        """Those of ``data``, without features; none where there is but one group of rows to deal out."""
        data = data[data.rows["split"].isin(["train", "validation"]).to_numpy()]
        if len(np.unique(data.groups)) < 2:
            return cls()
        share = len(data.validation) / len(data)
        splits = fold_splits(data.labels, data.groups, validation_share=share)
        return cls(replace(data, rows=data.rows.assign(split=split), features=Features({}, {})) for split in splits)

    def table(self) -> pd.DataFrame:
        """One line a fold: the rows to train on, for validation, and held out."""
        lines = [{name: len(fold.split(name)) for name in SPLITS} for fold in self]
        made = pd.DataFrame(lines, columns=list(SPLITS), index=pd.RangeIndex(1, len(lines) + 1, name="fold"))
        return made.rename(columns={"test": "held out"})

    def save(self, run: Run) -> None:
        """Write them to folds/ of ``run``, whole: the split and the features of each."""
        with runs.replacing(run.path("folds")) as beside:
            beside.mkdir(parents=True)
            for number, fold in enumerate(self, 1):
                fold.features.save(beside / str(number))
                fold.rows[["row", "split"]].to_parquet(beside / f"{number}.parquet")

    @classmethod
    def load(cls, run: Run) -> "Folds":
        """What ``save`` left in ``run``. Raises FileNotFoundError as ``Run.need`` does."""
        folder, whole = run.need("folds"), Dataset.load(run)
        made, rows = cls(), whole.rows.drop(columns="split")
        for number in range(1, len(list(folder.glob("*.parquet"))) + 1):
            splits = pd.read_parquet(folder / f"{number}.parquet")
            features = Features.load(folder / str(number))
            made.append(replace(whole, rows=splits.merge(rows, on="row", validate="one_to_one"), features=features))
        return made
