"""Finished runs read from their folders, and the test rows that they have in common.

Notebook 07_compare tells the story.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fusebook import runs
from fusebook.data.predictions import Predictions
from fusebook.data.tables import PARTS
from fusebook.evaluation.comparison import compare_pairs
from fusebook.runs import Run

NEEDED = ("table.json", "rows.parquet", "splits.parquet", "predictions.parquet", "metrics.json")
# What became of a test row in the other run; a row is compared where it is a test row there too.
FATES = ("compared", "training", "validation", "absent")
# By whether the first run, then the other, was right.
OUTCOMES = {
    (False, True): "fixed", (True, False): "broken", (True, True): "right in both", (False, False): "wrong in both",
}  # fmt: skip


@dataclass
class FinishedRun:
    """What one run left: its rows, its test rows' answers, and how it was made."""

    name: str  # of its folder; ``CommonRows.of`` makes the names differ
    path: Path
    table: dict  # table.json: table, sha256, columns, rows
    record: dict  # run.json; empty where the notebooks were run one by one
    chosen: str  # name of the model that answers
    rows: pd.DataFrame  # by row number: text, image, audio, label, split, group
    predictions: Predictions  # of the test rows


class CommonRows:
    """The rows that are test rows of every run, in the first run's order.

    Attributes
    ----------
    runs : the ``FinishedRun``; the first is the one that the others are compared with
    rows : DataFrame of shape (n_rows, n_runs), a row's number in each run
    matches : for each run after the first: parts (see ``match_rows``) and fates, the counts of ``FATES`` on both sides
    label_names : of all runs, sorted
    labels : class numbers of shape (n_rows, n_runs); the first column counts
    answers : a ``Predictions`` a run, with the classes of all runs, the labels of the first, and groups that hold
        together what is a copy in any of the runs
    """

    def __init__(self, finished: Sequence[FinishedRun], rows: pd.DataFrame, matches: list[dict]):
        self.runs, self.rows, self.matches = list(finished), rows, matches
        self.label_names = sorted({name for run in self.runs for name in run.predictions.label_names})
        known = pd.Index(self.label_names)
        lines = [run.rows.loc[rows[i]] for i, run in enumerate(self.runs)]
        self.labels = np.column_stack([known.get_indexer(table["label"]) for table in lines])
        self._groups = _joined_groups([table["group"].to_numpy() for table in lines])
        self.answers = [self.of_rows(_spread(run.predictions, rows[i], known)) for i, run in enumerate(self.runs)]

    @classmethod
    def of(cls, folders: Sequence[str | Path]) -> "CommonRows":
        """The common test rows of the runs in ``folders``.

        A row that is a training or validation row of another run is left out: that run has seen its label. Raises
        ValueError where fewer than two folders are given, for one that is no run or whose files don't belong together,
        and where no label or no row is common; FileNotFoundError, naming the notebook, for a run without predictions.
        """
        if len(folders) < 2:
            raise ValueError(f"{len(folders)} run(s) given; expected two or more.")
        finished = [read_run(folder) for folder in folders]
        for run, name in zip(finished, distinct_names([run.path for run in finished]), strict=True):
            run.name = name
        tests, matches = finished[0].predictions.rows["row"], []
        rows = pd.DataFrame({0: tests.to_numpy()}, index=tests)
        for number, other in enumerate(finished[1:], 1):
            partner, match = _common_tests(finished[0], other)
            rows[number] = partner.reindex(rows.index)
            matches.append(match)
        rows = rows.dropna().astype(int).reset_index(drop=True)
        if rows.empty:
            raise ValueError(_no_common_row(finished, matches))
        return cls(finished, rows, matches)

    def of_rows(self, values: dict[str, np.ndarray]) -> Predictions:
        """``values``, name to probabilities of shape (n_rows, n_labels), as answers to the common rows."""
        return Predictions.of(values, self.labels[:, 0], groups=self._groups, label_names=self.label_names)

    @property
    def first(self) -> FinishedRun:
        """The run that the others are compared with."""
        return self.runs[0]

    @property
    def others(self) -> list[tuple[int, FinishedRun]]:
        """The runs after the first, with their numbers."""
        return list(enumerate(self.runs))[1:]

    @property
    def chosen(self) -> Predictions:
        """The answers of the model that each run chose, by the run's name."""
        return self.of_rows({run.name: self.answers[i][run.chosen] for i, run in enumerate(self.runs)})

    def tests(self) -> pd.DataFrame:
        """``compare_pairs`` of all pairs of ``chosen``, in the order of the runs; p_holm corrects over all of them.

        A run keeps the answers of one training: what others would have brought is no part of p.
        """
        order = {run.name: i for i, run in enumerate(self.runs)}
        table = compare_pairs(self.chosen)
        return table.sort_values(["a", "b"], key=lambda names: names.map(order)).reset_index(drop=True)

    def changes(self, other: int) -> pd.DataFrame:
        """What became of each row from the first run to run number ``other``.

        Returns a DataFrame with text, image, audio, row, row_other, label, label_other, answer, answer_other,
        confidence, confidence_other, outcome (one of ``OUTCOMES``'s values). Text and files are the first run's, or the
        other's where it alone reads them.
        """
        names, made = np.array(self.label_names, dtype=object), {}
        lines = [self.runs[i].rows.loc[self.rows[i]] for i in (0, other)]
        for part in PARTS:
            made[part] = np.where(lines[0][part] == "", lines[1][part], lines[0][part])
        for i, end in ((0, ""), (other, "_other")):
            answers, chosen = self.answers[i], self.runs[i].chosen
            made[f"row{end}"], made[f"label{end}"] = self.rows[i], names[self.labels[:, i]]
            made[f"answer{end}"], made[f"confidence{end}"] = names[answers.predicted(chosen)], answers[chosen].max(1)
        table = pd.DataFrame(made)
        right = [table[name] == table["label"] for name in ("answer", "answer_other")]
        return table.assign(outcome=[OUTCOMES[pair] for pair in zip(*right, strict=True)])


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The last part of each path, or more of them where those are alike; the same path twice gets a number."""
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(set(paths)):
            break
    seen: Counter[str] = Counter()
    for i, name in enumerate(names):
        seen[name] += 1
        names[i] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


def read_run(folder: str | Path) -> FinishedRun:
    """One finished run; see ``CommonRows.of`` for what it raises."""
    path = runs.resolve(folder).resolve()
    if not (path / "artifacts").is_dir():
        kind = "is a file" if path.is_file() else "holds no run" if path.is_dir() else "is not there"
        raise ValueError(
            f"{folder} {kind}. Expected the folder of a run, such as reports/sample, with the folder artifacts in it."
        )
    run = Run(path)
    for name in NEEDED:
        run.need(name)
    splits, rows = (run.read(name).set_index("row") for name in ("splits.parquet", "rows.parquet"))
    predictions, chosen = Predictions.load(run, "test"), run.read("metrics.json")["chosen"]
    tests, n_labels = set(splits.index[splits["split"] == "test"]), splits["label"].nunique()
    if (
        tests != set(predictions.rows["row"])
        or not set(splits.index) <= set(rows.index)
        or chosen not in predictions
        or {values.shape for values in predictions.values()} != {(len(tests), n_labels)}
    ):
        raise ValueError(
            f"The predictions of {path} do not belong to its splits.parquet or rows.parquet: a notebook was run again "
            f"and 03_train was not. Expected {len(tests)} test rows and {n_labels} labels in both. "
            "Run all notebooks of that run with `fusebook report`."
        )
    rows = rows.loc[splits.index, list(PARTS)].join(splits[["label", "split", "group"]])
    record = run.read("run.json") if run.path("run.json").exists() else {}
    return FinishedRun(path.name, path, run.read("table.json"), record, chosen, rows, predictions)


def match_rows(first: FinishedRun, other: FinishedRun) -> tuple[pd.DataFrame, dict]:
    """Which row of ``other`` is which row of ``first``.

    By row number where both tables have the same SHA-256: then a number means the same line of one file. Otherwise by
    content: the text and the bytes of the files (their paths where a file is gone), over those parts that both runs
    read. Of several rows with one content those with the same label are matched first, then the rest in their order.

    Returns a DataFrame with columns first and other (row numbers), of rows of any split; and a dict: parts (what was
    compared; empty where it was the number), and leaked: row numbers of ``first`` whose content stands among the
    training rows of either run although the row matched does not (copies that a run did not see as such).
    """
    if first.table["sha256"] and first.table["sha256"] == other.table["sha256"]:
        both = first.rows.index.intersection(other.rows.index)
        return pd.DataFrame({"first": both, "other": both}), {"parts": [], "leaked": set()}
    parts = [part for part in PARTS if all(run.table["columns"].get(part) for run in (first, other))]
    known: dict[str, str] = {}
    left, right = (_contents(run, parts, known) for run in (first, other))
    matched = _pair_up(left, right, ["content", "label"])
    rest = [table[~table["row"].isin(matched[side])] for table, side in ((left, "row_first"), (right, "row_other"))]
    matched = pd.concat([matched, _pair_up(*rest, ["content"])])
    learnt = {content for side in (left, right) for content in side.loc[side["split"] == "train", "content"]}
    leaked = set(left.loc[left["content"].isin(learnt), "row"])
    pairs = matched.rename(columns={"row_first": "first", "row_other": "other"})[["first", "other"]]
    return pairs.reset_index(drop=True), {"parts": parts, "leaked": leaked}


def _contents(run: FinishedRun, parts: list[str], known: dict[str, str]) -> pd.DataFrame:
    """The columns row, label, split and content of those rows that have one of ``parts``."""
    table = run.rows[(run.rows[parts] != "").any(axis=1)] if parts else run.rows.iloc[:0]
    shown = {"text": table["text"]}
    for part in ("image", "audio"):
        for path in set(table[part]) - set(known):
            known[path] = (runs.fingerprint(path) if Path(path).is_file() else "") or path
        shown[part] = table[part].map(known)
    content = list(zip(*(shown[part] for part in parts), strict=True)) if parts else []
    made = table[["label", "split"]].reset_index()
    return made.assign(content=pd.Series(content, dtype=object, index=made.index))


def _pair_up(left: pd.DataFrame, right: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows with equal ``keys``: the first of one side with the first of the other, the second with the second, …"""
    left, right = (table.assign(place=table.groupby(keys).cumcount()) for table in (left, right))
    return left.merge(right, on=[*keys, "place"], suffixes=("_first", "_other"))


def _common_tests(first: FinishedRun, other: FinishedRun) -> tuple[pd.Series, dict]:
    """The other run's row for each row that both test, by the first's number; and how: parts, and fates of both sides."""
    names = [run.predictions.label_names for run in (first, other)]
    if not set(names[0]) & set(names[1]):
        shown = " against ".join(", ".join(side[:5]) + (", …" if len(side) > 5 else "") for side in names)
        raise ValueError(
            f"{first.name} and {other.name} have no label in common ({shown}); "
            "expected two runs that answer the same question."
        )
    pairs, match = match_rows(first, other)
    forth, back = (pairs.set_index(a)[b] for a, b in (("first", "other"), ("other", "first")))
    fates = _fates(first, forth, other, match["leaked"])
    fates_back = _fates(other, back, first, {forth[row] for row in match["leaked"] if row in forth.index})
    counts = {"first": fates.value_counts().to_dict(), "other": fates_back.value_counts().to_dict()}
    return forth.reindex(fates.index[fates == "compared"]), {"parts": match["parts"], "fates": counts}


def _fates(run: FinishedRun, partner: pd.Series, other: FinishedRun, leaked: set) -> pd.Series:
    """One of ``FATES`` for each test row of ``run``; ``partner`` maps a row number of its to one of ``other``."""
    numbers = run.predictions.rows["row"].to_numpy()
    split = pd.Series(numbers, index=numbers).map(partner).map(other.rows["split"])
    fates = split.map({"train": "training", "validation": "validation", "test": "compared"}).fillna("absent")
    return fates.mask((fates == "compared") & fates.index.isin(leaked), "training")


def _no_common_row(finished: Sequence[FinishedRun], matches: list[dict]) -> str:
    lines, words = [], ("as test rows", "as training rows", "as validation rows", "not at all")
    for other, match in zip(finished[1:], matches, strict=True):
        counts = [match["fates"]["first"].get(fate, 0) for fate in FATES]
        found = ", ".join(f"{count:,} {place}" for count, place in zip(counts, words, strict=True))
        lines.append(f"Of the {sum(counts):,} test rows of {finished[0].name}, {other.name} has {found}.")
    return (
        f"No row is a test row of all {len(finished)} runs. {' '.join(lines)} "
        "Compare runs of one table with the same random_state and test_share."
    )


def _spread(predictions: Predictions, numbers: pd.Series, known: pd.Index) -> dict[str, np.ndarray]:
    """What each model answers to the rows ``numbers``, with a column for each label of ``known``."""
    places = pd.Index(predictions.rows["row"]).get_indexer(numbers)
    columns, made = known.get_indexer(predictions.label_names), {}
    for model, values in predictions.items():
        made[model] = np.zeros((len(numbers), len(known)))
        made[model][:, columns] = values[places]
    return made


def _joined_groups(groups: list[np.ndarray]) -> np.ndarray:
    """One number for rows that any of ``groups`` holds together, shape (n_rows,)."""
    n_rows = len(groups[0])
    units = [np.unique(names, return_inverse=True)[1] + (i + 1) * n_rows for i, names in enumerate(groups)]
    links = np.tile(np.arange(n_rows), len(groups)), np.concatenate(units)
    size = (len(groups) + 1) * n_rows
    graph = coo_array((np.ones(len(links[0])), links), shape=(size, size))
    return connected_components(graph, directed=False)[1][:n_rows]
