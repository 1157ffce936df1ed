"""What models answered about the same rows, with the rows' labels and groups: a score needs nothing else.

Notebooks 03_train (makes them), 04_error_analysis (reads them) and 06_predict (rows without labels) tell the story.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

from fusebook import runs
from fusebook.data.tables import PARTS
from fusebook.findings import Term
from fusebook.runs import Run

_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four are full-width
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d{1,3})?", re.ASCII)
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

    @classmethod
    def joined(cls, parts: Sequence["Predictions"]) -> "Predictions":
        """The rows of all ``parts`` one below the other, answered by those models that answered each."""
        names = [name for name in parts[0] if all(name in part for part in parts)]
        rows = pd.concat([part.rows.assign(fold=part.folds) for part in parts], ignore_index=True)
        return cls({name: np.concatenate([part[name] for part in parts]) for name in names}, rows, parts[0].label_names)

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
    def unseen(cls, run: Run, model: str) -> "Predictions":
        """The answers of ``model`` in ``run`` about all rows that whoever answered was not trained on.

        Those of ``scored``, and where the scores rest on the test rows alone, those about the validation rows as well.
        Raises as ``load`` does.
        """
        table = run.read("predictions.parquet")
        kept = (table["fold"] > 0) | (table["split"] == "test") | (not (table["fold"] > 0).any())
        return cls._of_table(run, table[kept & (table["model"] == model)])

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
        also ours), then predicted, class_id, confidence, labels_90 where there are ``sets`` (the set's labels, the
        likeliest first, with "; " between them) and one column ``probability_<label>`` a label
    rejected : what could not be read: row, part, reason, detail
    model : the model that answered
    label_names : list of str, the order of class ids
    refused : what the table says of the rows without an answer, indexed by row number as ``given`` is; None for nothing
    sets : which labels are in each row's set, bools of shape (n_rows, n_classes); of new rows nine in ten sets hold the
        right label, see ``calibration.fit_label_sets``; None where the bundle knows of none
    """

    def __init__(
        self, given: pd.DataFrame, probabilities: np.ndarray, rejected: pd.DataFrame, model: str, label_names: list[str],
        *, again: bool = False, sets: np.ndarray | None = None, refused: pd.DataFrame | None = None,
    ):  # fmt: skip
        self.rejected, self.model, self.label_names, self.again = rejected, model, label_names, again
        self.probabilities, self.sets, self.refused, self._numbers = probabilities, sets, refused, given.index
        best = probabilities.argmax(axis=1)
        made = {
            "predicted": np.array(label_names, dtype=object)[best],
            "class_id": best,
            "confidence": probabilities.max(axis=1, initial=0),
        }
        if sets is not None:
            order = np.argsort(-probabilities, axis=1, kind="stable")
            pairs = zip(order, sets, strict=True)
            made["labels_90"] = ["; ".join(label_names[i] for i in places if held[i]) for places, held in pairs]
        made |= {f"probability_{label}": probabilities[:, i] for i, label in enumerate(label_names)}
        given, self._given = given.reset_index(drop=True), list(given)
        given.columns = _distinct_names(list(given), set(made))
        self.table = pd.concat([given, pd.DataFrame(made)], axis=1)

    def counts(self) -> pd.Series:
        """How often each label was given."""
        return self.table["predicted"].value_counts().reindex(self.label_names, fill_value=0)

    def verdicts(self) -> list[tuple[str, str, dict]]:
        """Key, grade and facts: how many rows were answered, how many refused, how surely, and by how many labels."""
        confidence, refused = self.table["confidence"], len(self.rejected)
        facts = {"rows": len(confidence), "model": self.model, "refused": refused}
        made = [("predicted again" if self.again else "predicted", "look" if refused else "note", facts)]
        if len(confidence):
            unsure, copies = int((confidence < 0.5).sum()), self._copies()
            low, high = mean_interval(confidence.to_numpy(), 0.5, groups=copies)
            mean = f"{100 * confidence.mean():.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
            facts = {"confidence": mean, "unsure": unsure, "rows": len(confidence)}
            made += [("unsure", "look" if unsure else "note", facts), self._sets_verdict()]
        return made

    def _copies(self) -> np.ndarray:
        """A number a row: rows with the same answer, which copies have, share one."""
        return np.unique(self.probabilities.round(6), axis=0, return_inverse=True)[1].ravel()

    def _sets_verdict(self) -> tuple[str, str, dict]:
        if self.sets is None:
            return "no label sets", "note", {"model": self.model}
        sizes = self.sets.sum(axis=1)
        facts = {"rows": len(sizes), "one": int((sizes == 1).sum()), "more": int((sizes > 1).sum())}
        return "label sets", "note", facts | {"most": int(sizes.max())}

    def written(self) -> pd.DataFrame:
        """``table`` as it is saved: behind the row's number, and with the refused rows in their places.

        Those have no answer, but the codes of why in the last column, reason ("" for an answered row).
        """
        answers = self.table.iloc[:, len(self._given) :]
        if self.again:  # the rows of the run itself, which bear their numbers
            return self.table.assign(reason="")
        answers = answers.astype({"class_id": "Int64"}).set_axis(self._numbers).assign(reason="")
        given = self.table.iloc[:, : len(self._given)].set_axis(self._numbers).set_axis(self._given, axis=1)
        why = self._reasons()
        if len(why):
            known = given.iloc[:0] if self.refused is None else self.refused
            more = known.reindex(why.index, fill_value="") if len(known) else pd.DataFrame("", why.index, self._given)
            given = pd.concat([given, more]).sort_index(kind="stable")
            answers = answers.reindex(given.index)
            answers["reason"] = why.reindex(given.index).fillna("")
            texts = answers.columns.intersection(["predicted", "labels_90"])
            answers[texts] = answers[texts].fillna("")
        given.columns = _distinct_names(self._given, {"row", *answers})
        made = pd.concat([given, answers], axis=1)
        made.insert(0, "row", made.index, allow_duplicates=True)
        return made.reset_index(drop=True)

    @property
    def n_unanswered(self) -> int:
        """How many rows of the table have no answer."""
        return len(self._reasons())

    def _reasons(self) -> pd.Series:
        """The reason codes of each row without an answer, with "; " between them, by its number."""
        if "reason" not in self.rejected:
            return pd.Series(dtype=object)
        lines = self.rejected[~self.rejected["row"].isin(self._numbers)]
        return lines.groupby("row")["reason"].agg(lambda codes: "; ".join(dict.fromkeys(codes)))

    def save(self, place: str | Path | Run, *, keep_formulas: bool = False) -> None:
        """Write ``written``, whole or not at all, as CSV to a path, or as predictions.csv of a run.

        UTF-8 with a mark, so that spreadsheets show Chinese; numbers to six digits, and they alone without quotes. A
        text that a spreadsheet would run as a formula gets a ' before it, see ``without_formulas``, unless ``keep_formulas``.
        """
        table = self.written().round(6)
        table = table if keep_formulas else without_formulas(table)
        with runs.replacing(place.path("predictions.csv") if isinstance(place, Run) else place) as beside:
            # All text in quotes: pandas leaves a lone carriage return bare, and readers would break the line there.
            table.to_csv(beside, index=False, encoding="utf-8-sig", quoting=csv.QUOTE_NONNUMERIC)


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` with a ' before each text, and each name of a column, that a spreadsheet would run as a formula.

    Such begin with = + - @ (or their full-width forms), a tab or a line end; a plain number such as -5 stays (OWASP's
    rules against CSV injection).
    """
    made = table.copy()
    for i, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            made.isetitem(i, [_without_formula(value) for value in table.iloc[:, i]])
    return made.set_axis([_without_formula(name) for name in table.columns], axis=1)


def _without_formula(value: object) -> object:
    starts = isinstance(value, str) and value.startswith(_FORMULA) and not _PLAIN_NUMBER.fullmatch(value)
    return f"'{value}" if starts else value


def mean_interval(values, pseudo: float, *, least: float = 0, most: float = 1, groups=None) -> tuple[float, float]:
    """Low and high end of the 95 % interval of the mean of ``values``, shape (n_rows,), which lie from least to most.

    Wilson's formula with as many rows as the variance is worth (Korn and Graubard, 1998), so that it holds for skewed
    values too. To that variance one more value counts, ``pseudo``, so that it is hardly ever 0; where it is, all from
    least to most is given. Rows of a group (copies) count as one of their size.
    """
    units = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sizes, n_units = np.bincount(units).astype(float), units.max() + 1
    shares = (np.append(np.bincount(units, values) / sizes, pseudo) - least) / (most - least)
    weights = np.append(sizes, sizes.mean())
    mean, middle = np.average(shares[:-1], weights=sizes), np.average(shares, weights=weights)
    variance = (weights**2 * (shares - middle) ** 2).sum() / sizes.sum() ** 2
    if not variance:
        return least, most  # nothing is known of how values vary
    quantile = t.ppf(0.975, n_units)
    ratio = quantile**2 * variance / (middle * (1 - middle))
    centre, half = mean + ratio / 2, np.sqrt(ratio * mean * (1 - mean) + ratio**2 / 4)
    low, high = min((centre - half) / (1 + ratio), mean), max((centre + half) / (1 + ratio), mean)
    return least + low * (most - least), least + high * (most - least)


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
