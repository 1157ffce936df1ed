"""The notebooks as steps of a run: what each needs, what it is given, and whether it is still fresh.

Why not pydoit: it would bring files, targets and a parallel runner, but its state lies in a database of its own
beside run.json, its reporter has no place for a line of live progress a notebook, and mapping notebooks to its tasks
takes about as many lines as the three rules of ``is_fresh``.
"""

import ast
import hashlib
import json
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import nbformat
import papermill
import psutil

from fusebook import ASSETS, runs
from fusebook.runs import Run

PACKAGE = ASSETS.parent


@dataclass
class Step:
    """One notebook of a run: what it needs, what it was given, and how far it has come."""

    name: str
    path: Path
    cells: int
    imports: str  # source that imports all that the cells will
    known: dict[str, dict]  # parameter name to papermill's default, help and inferred type name
    after: list[str]  # notebooks whose artifacts it reads
    parameters: dict = field(default_factory=dict)
    key: str = ""
    status: str = "waiting"  # fresh, running, exporting, done, failed, skipped
    done: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    started: float = 0.0
    error: str = ""
    kernel: psutil.Process | None = None


def find_notebooks() -> Path:
    """The folder of the numbered notebooks: the project's around the current folder, else the one beside the library."""
    for folder in (runs.project_folder() / "notebooks", PACKAGE.parents[1] / "notebooks"):
        if list(folder.glob("[0-9][0-9]_*.ipynb")):
            return folder
    raise FileNotFoundError("No notebooks found. Run fusebook inside its project folder.")


def read_steps(folder: Path) -> dict[str, Step]:
    """The numbered notebooks of ``folder`` as steps, by name: metadata says what each reads, and which stand alone."""
    steps = {}
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        about = notebook.metadata.get("fusebook", {})
        if about.get("alone"):  # no step of a report: a command of its own executes it
            continue
        reads = about.get("reads", [])
        after = sorted({runs.WRITTEN_BY[artifact] for artifact in reads})
        code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        imports = next((source for source in code if is_import(source)), "")
        imports = "\n".join([imports, *_room_names(imports, code)])
        steps[path.stem] = Step(path.stem, path, len(code), imports, papermill.inspect_notebook(str(path)), after)
    return steps


def _room_names(imports: str, code: list[str]) -> list[str]:
    """The functions of rooms that cells name, such as "plots.plot_scores": a room imports a module when one is named."""
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} & set(re.findall(r"\w+", imports))
    plain = [
        source for source in code if not re.search(r"^\s*[%!?]", source, re.MULTILINE)
    ]  # without Jupyter's own syntax
    nodes = (node for source in plain for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return sorted({ast.unparse(node) for node in nodes if ast.unparse(node.value) in rooms})


def is_import(source: str) -> bool:
    """Is this the cell that imports?"""
    return source.lstrip().startswith(("import ", "from "))


def give_parameters(steps: dict[str, Step], values: dict[str, object]) -> None:
    """Hand each value to the notebooks that know its name.

    Raises ValueError for a name that no notebook knows, with the nearest known one, and for a value of another type.
    """
    known = {name for step in steps.values() for name in step.known}
    for name, value in values.items():
        if name not in known:
            near = get_close_matches(name, known, 1, 0.4)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"No notebook has a parameter {name!r}.{hint} All of them: {', '.join(sorted(known))}.")
        for step in steps.values():
            if name in step.known:
                step.parameters[name] = _converted(name, value, step.known[name]["inferred_type_name"])


def _converted(name: str, value: object, type_name: str) -> object:
    if not isinstance(value, str) or type_name == "str":
        return value
    try:
        if type_name in {"int", "float"}:
            return {"int": int, "float": float}[type_name](value)
        converted = json.loads(value.lower() if type_name == "bool" else value)
        if type_name == "bool" and not isinstance(converted, bool):
            raise ValueError
        return converted
    except ValueError:
        example = {"int": "20", "float": "0.1", "bool": "true"}.get(type_name, "[100, 50]")
        raise ValueError(f"Parameter {name} got {value!r}; expected {type_name}, such as {example}.") from None


def set_keys(steps: dict[str, Step]) -> None:
    """A key a step over its cells, its parameters, the library and the keys of the steps before it."""
    library = runs.fingerprint(PACKAGE / "assets") + "".join(map(runs.fingerprint, sorted(PACKAGE.rglob("*.py"))))
    for step in in_order(steps):
        notebook = nbformat.read(step.path, as_version=4)
        parts = [cell.source for cell in notebook.cells]
        given = {name: value for name, value in step.parameters.items() if name != "run"}  # a moved run stays fresh
        parts += [json.dumps(given, sort_keys=True, default=str), library]
        parts += [steps[name].key for name in step.after]
        step.key = hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def in_order(steps: dict[str, Step]) -> list[Step]:
    """Each step after those whose artifacts it reads."""
    ordered: list[Step] = []
    while len(ordered) < len(steps):
        names = {step.name for step in ordered}
        free = [s for s in steps.values() if s.name not in names and set(s.after) <= names]
        if not free:
            raise ValueError(f"The notebooks wait for each other: {', '.join(set(steps) - names)}.")
        ordered += free
    return ordered


def outputs(run: Run, notebook: str) -> dict[str, str]:
    """SHA-256 of each artifact of ``notebook`` that is there, of its findings, and of its page."""
    names = [name for name, writer in runs.WRITTEN_BY.items() if writer == notebook]
    paths = {name: run.path(name) for name in [*names, f"findings/{notebook}.json"]}
    paths["page"] = run.folder / f"{notebook}.html"
    return {name: mark for name, path in paths.items() if (mark := runs.fingerprint(path))}


def is_fresh(run: Run, step: Step, record: dict) -> bool:
    """Did the same cells, parameters and library write what is there, from files that have not changed since?"""
    return (
        record.get("key") == step.key
        and record.get("status") == "done"
        and (run.folder / f"{step.name}.html").exists()
        and record.get("outputs") == outputs(run, step.name)
        and run.unchanged(step.name)
    )
