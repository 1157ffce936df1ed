"""Finished runs read from their folders, and the test rows that they have in common, for ``fusebook compare``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fusebook import runs
from fusebook.evaluate import split_predictions
from fusebook.tables import PARTS

NEEDED = ("table.json", "rows.parquet", "splits.parquet", "predictions.parquet", "metrics.json")
# What became of a test row in the other run; a row is compared where it is a test row there too.
FATES = ("compared", "training", "validation", "absent")


@dataclass
class FinishedRun:
    """What one run left: its rows, its test rows' labels and probabilities, and how it was made."""

    name: str  # of its folder; ``read_runs`` makes the names differ
    path: Path
    table: dict  # table.json: table, sha256, columns, rows
    record: dict  # run.json; empty where the notebooks were run one by one
    metrics: dict  # metrics.json; "chosen" is the model that answers
    rows: pd.DataFrame  # by row number: text, image, audio, label, split, group
    label_names: list[str]
    test_rows: np.ndarray  # row numbers, shape (n_test,)
    probabilities: dict[
        str, np.ndarray
    ]  # model name to shape (n_test, n_classes), columns in label_names order

    @property
    def chosen(self) -> str:
        """The name of the model that the run chose."""
        return self.metrics["chosen"]


@dataclass
class CommonRows:
    """The rows that are test rows of every run, in the first run's order, labels as numbers in ``label_names``."""

    rows: pd.DataFrame  # one column a run: its row number, shape (n_common, n_runs)
    label_names: list[str]  # of all runs, sorted
    labels: np.ndarray  # (n_common, n_runs), class numbers; the first column counts
    groups: np.ndarray  # (n_common,): rows that are copies in any of the runs have one number
    probabilities: list[dict[str, np.ndarray]]  # a run: model name to (n_common, n_labels)
    matches: list[dict]  # for each run after the first: how, parts, fates (see ``match_rows``)


def read_runs(folders: Sequence[str | Path]) -> list[FinishedRun]:
    """The runs of ``folders``, with names that differ: as many parts of the path as it takes.

    Raises ValueError for a folder that is no run or whose files don't belong together, FileNotFoundError (naming the
    notebook that writes what is missing) for a run that has not come to its predictions.
    """
    found = [read_run(folder) for folder in folders]
    for run, name in zip(found, distinct_names([run.path for run in found]), strict=True):
        run.name = name
    return found


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The last part of each path, or more of them where those are alike; the same path twice gets a number."""
    deepest = max(len(path.parts) for path in paths)
    for depth in range(1, deepest + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(set(paths)):
            break
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        names[i] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


def read_run(folder: str | Path) -> FinishedRun:
    """One finished run; see ``read_runs`` for what it raises."""
    path = runs.resolve(folder).resolve()
    if not (path / "artifacts").is_dir():
        kind = "is a file" if path.is_file() else "holds no run" if path.is_dir() else "is not there"
        raise ValueError(
            f"{folder} {kind}. Expected the folder of a run, such as reports/sample, with the folder artifacts in it."
        )
    files = {name: runs.need(path, name) for name in NEEDED}
    splits = pd.read_parquet(files["splits.parquet"]).set_index("row")
    rows = pd.read_parquet(files["rows.parquet"]).set_index("row")
    label_names = sorted(splits["label"].unique())
    table, probabilities = split_predictions(pd.read_parquet(files["predictions.parquet"]), "test")
    test_rows = table["row"].to_numpy()
    metrics = runs.read_json(files["metrics.json"])
    _check_belonging(path, splits, rows, test_rows, probabilities, metrics["chosen"], len(label_names))
    rows = rows.loc[splits.index, list(PARTS)].join(splits[["label", "split", "group"]])
    record = path / "run.json"
    return FinishedRun(
        path.name, path, runs.read_json(files["table.json"]), runs.read_json(record) if record.exists() else {},
        metrics, rows, label_names, test_rows, probabilities,
    )  # fmt: skip


def _check_belonging(path, splits, rows, test_rows, probabilities, chosen, n_labels) -> None:
    """Raise ValueError where predictions, splits and rows of a run were not made one from the other."""
    expected = set(splits.index[splits["split"] == "test"])
    shapes = {values.shape for values in probabilities.values()}
    if (
        expected != set(test_rows)
        or not set(splits.index) <= set(rows.index)
        or chosen not in probabilities
        or shapes != {(len(test_rows), n_labels)}
    ):
        raise ValueError(
            f"The predictions of {path} do not belong to its splits.parquet or rows.parquet: a notebook was run again "
            f"and 03_train was not. Expected {len(expected)} test rows and {n_labels} labels in both. "
            "Run all notebooks of that run with `fusebook report`."
        )


def match_rows(first: FinishedRun, other: FinishedRun) -> tuple[pd.DataFrame, dict]:
    """Which row of ``other`` is which row of ``first``.

    By row number where both tables have the same SHA-256: then a number means the same line of one file. Otherwise by
    content: the text and the bytes of the files (their paths where a file is gone), over those parts that both runs
    read. Of several rows with one content those with the same label are matched first, then the rest in their order.

    Returns a DataFrame with columns first and other (row numbers), of rows of any split; and a dict: how ("number" or
    "content"), parts (what was compared, for content), and leaked: row numbers of ``first`` whose content stands among
    the training rows of either run although the row matched does not (copies that a run did not see as such).
    """
    if first.table["sha256"] and first.table["sha256"] == other.table["sha256"]:
        both = first.rows.index.intersection(other.rows.index)
        return pd.DataFrame({"first": both, "other": both}), {"how": "number", "parts": [], "leaked": set()}
    parts = [part for part in PARTS if all(run.table["columns"].get(part) for run in (first, other))]
    known: dict[str, str] = {}
    left, right = (_contents(run, parts, known) for run in (first, other))
    matched = _pair_up(left, right, ["content", "label"])
    rest = [
        table[~table["row"].isin(matched[side])]
        for table, side in ((left, "row_first"), (right, "row_other"))
    ]
    matched = pd.concat([matched, _pair_up(*rest, ["content"])])
    learnt = {content for side in (left, right) for content in side.loc[side["split"] == "train", "content"]}
    leaked = set(left.loc[left["content"].isin(learnt), "row"])
    pairs = matched.rename(columns={"row_first": "first", "row_other": "other"})[["first", "other"]]
    return pairs.reset_index(drop=True), {"how": "content", "parts": parts, "leaked": leaked}


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


def _fates(test_rows: np.ndarray, partner: pd.Series, split_there: pd.Series, leaked: set) -> pd.Series:
    """One of ``FATES`` for each test row; ``partner`` maps a row to the other run's, ``split_there`` that to its split."""
    split = pd.Series(test_rows, index=test_rows).map(partner).map(split_there)
    fates = split.map({"train": "training", "validation": "validation", "test": "compared"}).fillna("absent")
    return fates.mask((fates == "compared") & fates.index.isin(leaked), "training")


def common_rows(compared: Sequence[FinishedRun]) -> CommonRows:
    """The rows that are test rows of every run of ``compared``, each matched with the first's.

    A row that is a training or validation row of another run is left out: that run has seen its label. Raises
    ValueError where fewer than two runs are given, no label is common, or no row.
    """
    if len(compared) < 2:
        raise ValueError(f"{len(compared)} run(s) given; expected two or more.")
    first, matches = compared[0], []
    rows = pd.DataFrame({0: first.test_rows}, index=first.test_rows)
    for i, other in enumerate(compared[1:], 1):
        if not set(first.label_names) & set(other.label_names):
            raise ValueError(
                f"{first.name} and {other.name} have no label in common ({_few(first.label_names)} against "
                f"{_few(other.label_names)}); expected two runs that answer the same question."
            )
        pairs, match = match_rows(first, other)
        there, back = (pairs.set_index(a)[b] for a, b in (("first", "other"), ("other", "first")))
        fates = _fates(first.test_rows, there, other.rows["split"], match["leaked"])
        leaked_there = {there[row] for row in match["leaked"] if row in there.index}
        fates_back = _fates(other.test_rows, back, first.rows["split"], leaked_there)
        match["fates"] = {
            "first": fates.value_counts().to_dict(),
            "other": fates_back.value_counts().to_dict(),
        }
        matches.append(match)
        rows[i] = there.reindex(fates.index[fates == "compared"])
    rows = rows.dropna().astype(int).reset_index(drop=True)
    if rows.empty:
        raise ValueError(_no_common_row(compared, matches))
    return _aligned(compared, rows, matches)


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _no_common_row(compared: Sequence[FinishedRun], matches: list[dict]) -> str:
    lines, words = [], ("as test rows", "as training rows", "as validation rows", "not at all")
    for other, match in zip(compared[1:], matches, strict=True):
        counts = [match["fates"]["first"].get(fate, 0) for fate in FATES]
        said = ", ".join(f"{count:,} {word}" for count, word in zip(counts, words, strict=True))
        lines.append(f"Of the {sum(counts):,} test rows of {compared[0].name}, {other.name} has {said}.")
    return (
        f"No row is a test row of all {len(compared)} runs. {' '.join(lines)} "
        "Compare runs of one table with the same random_state and test_share."
    )


def _aligned(compared: Sequence[FinishedRun], rows: pd.DataFrame, matches: list[dict]) -> CommonRows:
    names = sorted({name for run in compared for name in run.label_names})
    labels, probabilities = [], []
    for i, run in enumerate(compared):
        labels.append(pd.Index(names).get_indexer(run.rows["label"].loc[rows[i]]))
        places = pd.Index(run.test_rows).get_indexer(rows[i])
        columns = pd.Index(names).get_indexer(run.label_names)
        spread = {}
        for model, values in run.probabilities.items():
            spread[model] = np.zeros((len(rows), len(names)))
            spread[model][:, columns] = values[places]
        probabilities.append(spread)
    groups = _joined_groups([run.rows["group"].loc[rows[i]].to_numpy() for i, run in enumerate(compared)])
    return CommonRows(rows, names, np.column_stack(labels), groups, probabilities, matches)


def _joined_groups(groups: list[np.ndarray]) -> np.ndarray:
    """One number for rows that any of ``groups`` holds together, shape (n_rows,)."""
    n_rows = len(groups[0])
    units = [np.unique(own, return_inverse=True)[1] + (i + 1) * n_rows for i, own in enumerate(groups)]
    links = np.tile(np.arange(n_rows), len(groups)), np.concatenate(units)
    size = (len(groups) + 1) * n_rows
    graph = coo_array((np.ones(len(links[0])), links), shape=(size, size))
    return connected_components(graph, directed=False)[1][:n_rows]
