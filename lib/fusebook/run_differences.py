"""How two runs or more were made: the parameters and versions that differ, their tables, rows, time and memory.

Page of ``fusebook compare``. All functions are pure: they read what ``run_rows`` found, and write nothing.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fusebook import runs
from fusebook.run_rows import FinishedRun

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
        shown = tuple(
            str(value) or '""' if fact else ABSENT for fact, value in zip(facts, values, strict=True)
        )
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
        facts = {
            "Python": run.record.get("python"),
            **run.record.get("versions", {}),
            "cores": run.record.get("cores"),
        }
        made[run.name] = {name: str(value) for name, value in facts.items() if value is not None}
    table = pd.DataFrame(made).fillna(ABSENT)
    return table[table.nunique(axis=1) > 1]
