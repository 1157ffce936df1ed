"""Finished runs read from their folders, and the test rows that they have in common, for ``fusebook compare``."""
# FOLDED: Two runs or more as tables: scores on their common test rows, paired tests, rows fixed and broken.
# FOLDED: How two runs or more were made: the parameters and versions that differ, their tables, rows, time and memory.

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from statsmodels.stats.multitest import multipletests

from fusebook import runs
from fusebook.data.tables import PARTS
from fusebook.evaluation.comparison import compare, compare_pairs, comparison_text
from fusebook.evaluation.scores import class_table, score_table, split_predictions

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
    probabilities: dict[str, np.ndarray]  # model name to shape (n_test, n_classes), columns in label_names order

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
    rest = [table[~table["row"].isin(matched[side])] for table, side in ((left, "row_first"), (right, "row_other"))]
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
        match["fates"] = {"first": fates.value_counts().to_dict(), "other": fates_back.value_counts().to_dict()}
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


MAJORITY = "majority"  # 03_train's name for the baseline that answers the training rows' shares
# By whether the first run, then the other, was right.
OUTCOMES = {
    (False, True): "fixed",
    (True, False): "broken",
    (True, True): "right in both",
    (False, False): "wrong in both",
}


def chosen_answers(compared: Sequence[FinishedRun], common: CommonRows) -> dict[str, np.ndarray]:
    """Run name to its chosen model's probabilities of the common rows, shape (n_common, n_labels)."""
    pairs = zip(compared, common.probabilities, strict=True)
    return {run.name: answers[run.chosen] for run, answers in pairs}


def run_scores(compared: Sequence[FinishedRun], common: CommonRows) -> pd.DataFrame:
    """``scores.score_table`` of the chosen models on the common rows, by run name.

    Column model names each run's model; column majority is the accuracy of that run's majority baseline on these rows
    (NaN where the run has none).
    """
    labels = common.labels[:, 0]
    scores = score_table(chosen_answers(compared, common), labels, common.groups).rename_axis("run")
    base = [
        (answers[MAJORITY].argmax(axis=1) == labels).mean() if MAJORITY in answers else np.nan
        for answers in common.probabilities
    ]
    return scores.assign(model=[run.chosen for run in compared], majority=base)


def run_pairs(compared: Sequence[FinishedRun], common: CommonRows) -> pd.DataFrame:
    """``comparison.compare_pairs`` of all pairs of runs, in the order of the runs; p_holm corrects over all of them."""
    table = compare_pairs(chosen_answers(compared, common), common.labels[:, 0], groups=common.groups)
    order = {run.name: i for i, run in enumerate(compared)}
    return table.sort_values(["a", "b"], key=lambda names: names.map(order)).reset_index(drop=True)


def model_scores(compared: Sequence[FinishedRun], common: CommonRows) -> pd.DataFrame:
    """Each model whose name two runs or more have: one line a run that has it.

    Columns model, run, those of ``scores.score_table``; then difference, low, high, p against the first line of that
    model, and p_holm corrected over all lines of the table (Holm, 1979); NaN in each model's first line.
    """
    labels, lines = common.labels[:, 0], []
    names = dict.fromkeys(name for answers in common.probabilities for name in answers)
    for name in names:
        own = {
            run.name: answers[name]
            for run, answers in zip(compared, common.probabilities, strict=True)
            if name in answers
        }
        if len(own) < 2:
            continue
        scores = score_table(own, labels, common.groups)
        right = {run: values.argmax(axis=1) == labels for run, values in own.items()}
        first = next(iter(own))
        for run in own:
            test = {} if run == first else compare(right[first], right[run], groups=common.groups)
            lines.append({"model": name, "run": run, **scores.loc[run], **test})
    table = pd.DataFrame(lines)
    tested = table["p"].notna() if len(table) else []
    table["p_holm"] = np.nan
    if len(table):
        table.loc[tested, "p_holm"] = multipletests(table.loc[tested, "p"], method="holm")[1]
    return table


def row_changes(compared: Sequence[FinishedRun], common: CommonRows, other: int) -> pd.DataFrame:
    """What became of each common row from the first run to run number ``other``.

    Returns a DataFrame in the first run's order with row, row_other, text, image, audio, label, label_other, answer,
    answer_other, confidence, confidence_other, outcome (one of ``OUTCOMES``'s values). Text and files are the first
    run's, or the other's where it alone reads them.
    """
    names = np.array(common.label_names, dtype=object)
    made = {"row": common.rows[0], "row_other": common.rows[other]}
    first, second = (compared[i].rows.loc[common.rows[i]] for i in (0, other))
    for part in PARTS:
        made[part] = np.where(first[part] == "", second[part], first[part])
    right = []
    for i, end in ((0, ""), (other, "_other")):
        answers = common.probabilities[i][compared[i].chosen]
        made[f"label{end}"] = names[common.labels[:, i]]
        made[f"answer{end}"] = names[answers.argmax(axis=1)]
        made[f"confidence{end}"] = answers.max(axis=1)
        right.append(answers.argmax(axis=1) == common.labels[:, 0])
    made["outcome"] = [OUTCOMES[bool(a), bool(b)] for a, b in zip(*right, strict=True)]
    return pd.DataFrame(made)


def surest_first(changes: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The rows "fixed" or "broken", the surest wrong answer first: the first run's where fixed, else the other's."""
    by = "confidence" if outcome == "fixed" else "confidence_other"
    return changes[changes["outcome"] == outcome].sort_values(by, ascending=False, kind="stable")


def class_changes(
    compared: Sequence[FinishedRun], common: CommonRows, other: int, changes: pd.DataFrame
) -> pd.DataFrame:
    """By label name: rows; recall, f1, f1_low and f1_high of the first run and, with _other, of run ``other``; fixed, broken.

    A label's recall is its accuracy: the share of its rows that are right. Labels that no common row has and neither
    run answers are left out.
    """
    tables = [
        class_table(common.probabilities[i][compared[i].chosen], common.labels[:, 0], common.label_names, common.groups)
        for i in (0, other)
    ]
    columns = ["recall", "f1", "f1_low", "f1_high"]
    made = tables[0][["rows", *columns]].join(tables[1][columns], rsuffix="_other")
    for outcome in ("fixed", "broken"):
        counts = changes.loc[changes["outcome"] == outcome, "label"].value_counts()
        made[outcome] = counts.reindex(made.index).fillna(0).astype(int)
    return made[(made["rows"] > 0) | (tables[0]["predicted"] > 0) | (tables[1]["predicted"] > 0)]


def with_labels_of(compared: Sequence[FinishedRun], common: CommonRows, other: int) -> dict:
    """``comparison.compare`` of the first run and run ``other``, by the labels that run ``other`` has."""
    labels = common.labels[:, other]
    right = [common.probabilities[i][compared[i].chosen].argmax(axis=1) == labels for i in (0, other)]
    return compare(*right, groups=common.groups)


def verdict(first: str, other: str, line, same_answers: bool) -> str:
    """One sentence on two runs; ``line`` is theirs of ``run_pairs``. Says so where no answer differs."""
    if same_answers:
        return f"Run {other} gives each common test row the same answer as run {first}."
    return comparison_text(f"run {first}", f"run {other}", line)


def verdicts(compared: Sequence[FinishedRun], common: CommonRows, pairs: pd.DataFrame) -> list[str]:
    """``verdict`` of each run after the first, against the first."""
    answers = {name: values.argmax(axis=1) for name, values in chosen_answers(compared, common).items()}
    first, made = compared[0].name, []
    for run in compared[1:]:
        line = pairs[(pairs["a"] == first) & (pairs["b"] == run.name)].iloc[0]
        made.append(verdict(first, run.name, line, bool((answers[first] == answers[run.name]).all())))
    return made


def labels_apart(compared: Sequence[FinishedRun]) -> dict[str, list[str]]:
    """Run name to those of its labels that not every run has; runs without such a label are left out."""
    shared = set.intersection(*(set(run.label_names) for run in compared))
    apart = {run.name: [name for name in run.label_names if name not in shared] for run in compared}
    return {run: names for run, names in apart.items() if names}


ABSENT = "–"  # what stands for a value that a run does not have


def known_parameters(run: FinishedRun) -> dict[tuple[str, str], dict]:
    """(notebook, parameter) to value and help: what was given, else the default that the executed notebook has.

    Empty where the run folder has neither run.json nor executed notebooks.
    """
    import papermill  # takes half a second, and only this function needs it

    made: dict[tuple[str, str], dict] = {}
    for path in sorted((run.path / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        try:
            defaults = papermill.inspect_notebook(str(path))
        except ValueError:  # cut off or edited by hand; what was given still stands in run.json
            continue
        for name, facts in defaults.items():
            made[path.stem, name] = {"value": runs.parameter_value(facts["default"]), "help": facts["help"]}
    for notebook, step in run.record.get("steps", {}).items():
        for name, value in step.get("parameters", {}).items():
            made[notebook, name] = {"help": ""} | made.get((notebook, name), {}) | {"value": value}
    return {key: facts for key, facts in made.items() if key[1] != "run"}


def parameter_differences(compared: Sequence[FinishedRun]) -> pd.DataFrame:
    """The parameters that differ, values as text: one column a run, indexed by notebooks, parameter and meaning.

    A parameter that several notebooks have with the same values is one line. ``ABSENT`` stands where a run's notebook
    does not know the parameter, or nothing was recorded.
    """
    known = [known_parameters(run) for run in compared]
    lines: dict[tuple, dict] = {}
    for notebook, name in sorted(set().union(*known)):
        facts = [found.get((notebook, name)) for found in known]
        values = [fact and fact["value"] for fact in facts]
        if all(fact and fact["value"] == values[0] for fact in facts):
            continue
        shown = tuple(str(value) or '""' if fact else ABSENT for fact, value in zip(facts, values, strict=True))
        meaning = next(fact["help"] for fact in facts if fact)
        line = lines.setdefault((name, shown), {"notebooks": [], "parameter": name, "help": meaning})
        line["notebooks"].append(notebook)
    made = pd.DataFrame([shown for _, shown in lines], columns=[run.name for run in compared])
    told = [(", ".join(line["notebooks"]), line["parameter"], line["help"]) for line in lines.values()]
    made.index = pd.MultiIndex.from_tuples(told, names=["notebooks", "parameter", "meaning"])
    return made


def run_facts(compared: Sequence[FinishedRun]) -> pd.DataFrame:
    """Where each run's rows came from and what it cost, as text: one line a fact, one column a run."""
    return pd.DataFrame({run.name: _facts(run) for run in compared}).fillna(ABSENT)


def _facts(run: FinishedRun) -> dict[str, str]:
    split = run.rows["split"].value_counts()
    steps = run.record.get("steps", {}).values()
    seconds = [sum(step.get("seconds", {}).values()) for step in steps]
    memory = [step.get("peak_memory_mb", 0) for step in steps]
    named = [f"{part}: {name}" for part, name in run.table["columns"].items() if name]
    made = {
        "table": Path(run.table["table"]).name, "SHA-256 of the table": run.table["sha256"][:12] or ABSENT,
        "columns": ", ".join(named), "rows of the table": f"{run.table['rows']:,}",
        "labels": f"{len(run.label_names):,}",
    }  # fmt: skip
    made |= {f"{name} rows": f"{split.get(name, 0):,}" for name in ("train", "validation", "test")}
    if seconds:
        made |= {"seconds, all notebooks": f"{sum(seconds):,.1f}", "peak memory, MB": f"{max(memory):,}"}
    if "written" in run.record:
        made["written"] = str(run.record["written"])
    return made


def version_differences(compared: Sequence[FinishedRun]) -> pd.DataFrame:
    """Versions of Python and packages that differ, and the number of cores: one line each, one column a run."""
    made = {}
    for run in compared:
        facts = {"Python": run.record.get("python"), **run.record.get("versions", {}), "cores": run.record.get("cores")}
        made[run.name] = {name: str(value) for name, value in facts.items() if value is not None}
    table = pd.DataFrame(made).fillna(ABSENT)
    return table[table.nunique(axis=1) > 1]
