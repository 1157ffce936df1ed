"""What models answered about the same rows, with the rows' labels and groups: a score needs nothing else.

Notebooks 03_train (makes them), 04_error_analysis (reads them) and 06_predict (rows without labels) tell the story.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from fusebook import runs
from fusebook.data.tables import PARTS
from fusebook.findings import Term
from fusebook.runs import Run

_ROW_COLUMNS = ["row", "split", "label", "class_id", "fold"]


class Predictions(dict):
    """Model name to class probabilities of shape (n_rows, n_classes), columns in the order of ``label_names``.

    Parameters
    ----------
    values : the probabilities by model name
    rows : DataFrame of as many lines: row, and as far as they are known class_id, label, split, group, text, image,
        audio; and fold, which set of models answered: 0 for the run's own, which are trained on all training rows, from 1
        on for those of a fold, which are trained without the rows that they answer
    label_names : names of the classes
    """

    def __init__(self, values: dict[str, np.ndarray], rows: pd.DataFrame, label_names: list[str]):
        super().__init__(values)
        self.rows, self.label_names = rows.reset_index(drop=True), list(label_names)

    @classmethod
    def of(cls, values: dict[str, np.ndarray], labels, *, groups=None, label_names=None, **columns) -> "Predictions":
        """Probabilities of rows that are known by their class numbers alone, shape (n_rows,); ``columns`` as in ``rows``."""
        labels = np.asarray(labels)
        width = next((values.shape[1] for values in values.values()), 0)
        names = list(map(str, range(width))) if label_names is None else label_names
        rows = pd.DataFrame({"row": np.arange(len(labels)), "class_id": labels} | columns)
        return cls(values, rows if groups is None else rows.assign(group=groups), names)

    @property
    def labels(self) -> np.ndarray:
        """Class numbers of shape (n_rows,)."""
        return self.rows["class_id"].to_numpy()

    @property
    def groups(self) -> np.ndarray | None:
        """A group a row, shape (n_rows,): copies of each other have the same; None where nobody looked for copies."""
        return self.rows["group"].to_numpy() if "group" in self.rows else None

    @property
    def folds(self) -> np.ndarray:
        """Which set of models answered each row, shape (n_rows,): 0 for the run's own, from 1 on for those of a fold."""
        return self.rows["fold"].to_numpy() if "fold" in self.rows else np.zeros(self.n_rows, int)

    @property
    def scored_on(self) -> Term:
        """What rows these are, as a sentence says it: "cross-fitted rows" where folds answered some, else "test rows"."""
        return Term("cross-fitted rows" if (self.folds > 0).any() else "test rows")

    @property
    def parts(self) -> list[str]:
        """The parts that have a model of their own, in the order of their names."""
        return [part for part in sorted(PARTS) if part in self]

    @property
    def present(self) -> dict[str, np.ndarray]:
        """Which rows have which of ``parts``: bools of shape (n_rows,); all of them where the rows don't tell."""
        whole = np.ones(self.n_rows, bool)
        return {part: (self.rows[part] != "").to_numpy() if part in self.rows else whole for part in self.parts}

    @property
    def n_rows(self) -> int:
        """How many rows were asked about."""
        return len(self.rows)

    def predicted(self, model: str) -> np.ndarray:
        """The class number that ``model`` gives each row, shape (n_rows,)."""
        return self[model].argmax(axis=1)

    def right(self, model: str) -> np.ndarray:
        """Is ``model`` right about each row? Bools of shape (n_rows,)."""
        return self.predicted(model) == self.labels

    def only(self, models: Iterable[str]) -> "Predictions":
        """Those of ``models`` that answered, in the order given."""
        return Predictions({name: self[name] for name in models if name in self}, self.rows, self.label_names)

    def chosen(self, rows: np.ndarray) -> "Predictions":
        """Some rows, by bools or positions."""
        values = {name: probabilities[rows] for name, probabilities in self.items()}
        return Predictions(values, self.rows.iloc[np.arange(self.n_rows)[rows]], self.label_names)

    def __or__(self, other: dict[str, np.ndarray]) -> "Predictions":
        return Predictions({**self, **other}, self.rows, self.label_names)

    def known(self, model: str) -> str:
        """``model`` itself where it answered; else ValueError, naming those that did."""
        if model not in self:
            raise ValueError(f"No model {model!r} among the predictions; expected one of {', '.join(self)}.")
        return model

    def table(self) -> pd.DataFrame:
        """All of it as one long table: row, split, label, class_id, fold, model, p0, p1, …, one column a class."""
        parts, rows = [], self.rows.assign(fold=self.folds)[_ROW_COLUMNS]
        for name, values in self.items():
            made = pd.DataFrame(values, columns=[f"p{i}" for i in range(values.shape[1])])
            parts.append(pd.concat([rows.assign(model=name), made], axis=1))
        return pd.concat(parts, ignore_index=True)

    @classmethod
    def load(cls, run: Run, split: str = "", *, model: str = "") -> "Predictions":
        """What the run's own models said of the rows of ``split``, or all that its ``model`` said, whatever the split.

        Without a model where there are no such rows. Raises FileNotFoundError as ``Run.need`` does.
        """
        table = run.read("predictions.parquet")
        own = table["fold"] == 0
        return cls._of_table(run, table[own & ((table["model"] == model) if model else (table["split"] == split))])

    @classmethod
    def scored(cls, run: Run) -> "Predictions":
        """The answers that the scores of ``run`` rest on, each of models that had not seen the row.

        Of a small table these are all rows (cross-fitted: training and validation rows are answered by folds), else the
        test rows. Raises as ``load`` does.
        """
        table = run.read("predictions.parquet")
        return cls._of_table(run, table[(table["fold"] > 0) | (table["split"] == "test")])

    @classmethod
    def _of_table(cls, run: Run, table: pd.DataFrame) -> "Predictions":
        columns = [name for name in table if name.startswith("p") and name[1:].isdigit()]
        models, rows = table["model"].unique(), run.read("rows.parquet")
        values = {name: table.loc[table["model"] == name, columns].to_numpy() for name in models}
        first = table.loc[table["model"] == models[0], _ROW_COLUMNS] if len(models) else table[_ROW_COLUMNS]
        known = rows[["row", "group", *PARTS]]
        return cls(values, first.merge(known, on="row", validate="one_to_one"), sorted(rows["label"].unique()))


class Answers:
    """What one model of a bundle says of rows that nobody has labelled: ``Bundle.answer`` makes it.

    Attributes
    ----------
    table : one line a row that could be read: the columns that it came with (" (table)" stands behind a name that is
        also ours), then predicted, class_id, confidence and one column ``probability_<label>`` a label
    rejected : what could not be read: row, part, reason, detail
    model : the model that answered
    label_names : list of str, the order of class ids
    """

    def __init__(
        self, given: pd.DataFrame, probabilities: np.ndarray, rejected: pd.DataFrame, model: str, label_names: list[str],
        *, again: bool = False,
    ):  # fmt: skip
        self.rejected, self.model, self.label_names, self.again = rejected, model, label_names, again
        best = probabilities.argmax(axis=1)
        made = {
            "predicted": np.array(label_names, dtype=object)[best],
            "class_id": best,
            "confidence": probabilities.max(axis=1, initial=0),
        }
        made |= {f"probability_{label}": probabilities[:, i] for i, label in enumerate(label_names)}
        given = given.reset_index(drop=True)
        given.columns = _distinct_names(list(given), set(made))
        self.table = pd.concat([given, pd.DataFrame(made)], axis=1)

    def counts(self) -> pd.Series:
        """How often each label was given."""
        return self.table["predicted"].value_counts().reindex(self.label_names, fill_value=0)

    def verdicts(self) -> list[tuple[str, str, dict]]:
        """Key, grade and facts: how many rows were answered, how many refused, and how surely."""
        confidence, refused = self.table["confidence"], len(self.rejected)
        facts = {"rows": len(confidence), "model": self.model, "refused": refused}
        made = [("predicted again" if self.again else "predicted", "look" if refused else "note", facts)]
        if len(confidence):
            unsure = int((confidence < 0.5).sum())
            facts = {"confidence": f"{100 * confidence.mean():.0f}", "unsure": unsure, "rows": len(confidence)}
            made.append(("unsure", "look" if unsure else "note", facts))
        return made

    def save(self, place: str | Path | Run) -> None:
        """Write the table, whole or not at all, as CSV to a path, or as predictions.csv of a run.

        UTF-8 with a mark, so that spreadsheets show Chinese.
        """
        with runs.replacing(place.path("predictions.csv") if isinstance(place, Run) else place) as beside:
            # All text in quotes: pandas leaves a lone carriage return bare, and readers would break the line there.
            options = {"quoting": csv.QUOTE_NONNUMERIC, "float_format": "%.6f"}
            self.table.to_csv(beside, index=False, encoding="utf-8-sig", **options)


def _distinct_names(names: list[str], ours: set[str]) -> list[str]:
    """``names`` with " (table)" behind each that is one of ``ours``; more than once where that name is taken too."""
    result, taken = [], ours | set(names)
    for name in names:
        if name in ours:
            while name in taken:
                name += " (table)"
            taken.add(name)
        result.append(name)
    return result
