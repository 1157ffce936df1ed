"""Run the notebooks through papermill: in the order of what they read, side by side, and only what is not fresh.

Why not pydoit: it would bring files, targets and a parallel runner, but its state lies in a database of its own
beside run.json, its reporter has no place for a line of live progress a notebook, and mapping notebooks to its tasks
takes about as many lines as the three rules below (key, outputs, stamps).
"""

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path

import nbformat
import papermill
import psutil
from jupyter_client.manager import KernelManager
from papermill.engines import NBClientEngine, papermill_engines

from fusebook import runs

PACKAGE = Path(__file__).parent
VERSIONS_OF = ["fusebook", "keras", "jax", "numpy", "pandas", "scikit-learn", "gensim", "rjieba", "papermill"]


@dataclass
class Step:
    """One notebook of a run: what it needs, what it was given, and how far it has come."""

    name: str
    path: Path
    cells: int
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


class NotebookFailed(RuntimeError):
    """A cell of a notebook raised; the message names notebook, cell and error."""


def find_notebooks() -> Path:
    """The folder of the numbered notebooks: the project's around the current folder, else the one beside the library."""
    for folder in (runs.project_folder() / "notebooks", PACKAGE.parents[1] / "notebooks"):
        if list(folder.glob("[0-9][0-9]_*.ipynb")):
            return folder
    raise FileNotFoundError("No notebooks found. Run fusebook inside its project folder.")


def read_steps(folder: Path) -> dict[str, Step]:
    """All numbered notebooks of ``folder`` as steps, by name; what each reads stands in its metadata."""
    steps = {}
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        reads = notebook.metadata.get("fusebook", {}).get("reads", [])
        after = sorted({runs.WRITTEN_BY[artifact] for artifact in reads})
        cells = sum(cell.cell_type == "code" for cell in notebook.cells)
        steps[path.stem] = Step(path.stem, path, cells, papermill.inspect_notebook(str(path)), after)
    return steps


def give_parameters(steps: dict[str, Step], values: dict[str, object]) -> None:
    """Hand each value to the notebooks that know its name.

    Raises ValueError for a name that no notebook knows, with the nearest known one, and for a value of another type.
    """
    known = {name for step in steps.values() for name in step.known}
    for name, value in values.items():
        if name not in known:
            near = get_close_matches(name, known, 1, 0.4)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"No notebook has a parameter {name!r}.{hint} All of them: {', '.join(sorted(known))}."
            )
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
        raise ValueError(
            f"Parameter {name} got {value!r}; expected {type_name}, such as {example}."
        ) from None


def _set_keys(steps: dict[str, Step]) -> None:
    """A key a step over its cells, its parameters, the library and the keys of the steps before it."""
    library = runs.fingerprint(PACKAGE / "assets") + "".join(
        map(runs.fingerprint, sorted(PACKAGE.glob("*.py")))
    )
    for step in _in_order(steps):
        notebook = nbformat.read(step.path, as_version=4)
        parts = [cell.source for cell in notebook.cells]
        parts += [json.dumps(step.parameters, sort_keys=True, default=str), library]
        parts += [steps[name].key for name in step.after]
        step.key = hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def _in_order(steps: dict[str, Step]) -> list[Step]:
    ordered: list[Step] = []
    while len(ordered) < len(steps):
        names = {step.name for step in ordered}
        free = [s for s in steps.values() if s.name not in names and set(s.after) <= names]
        if not free:
            raise ValueError(f"The notebooks wait for each other: {', '.join(set(steps) - names)}.")
        ordered += free
    return ordered


def _outputs(run: Path, notebook: str) -> dict[str, str]:
    names = [name for name, writer in runs.WRITTEN_BY.items() if writer == notebook]
    return {name: mark for name in names if (mark := runs.fingerprint(runs.artifact_path(run, name)))}


def _is_fresh(run: Path, step: Step, record: dict) -> bool:
    return (
        record.get("key") == step.key
        and record.get("status") == "done"
        and (run / f"{step.name}.html").exists()
        and record.get("outputs") == _outputs(run, step.name)
        and runs.stamps_hold(run, step.name)
    )


def run_notebooks(
    run: Path,
    values: dict[str, object],
    *,
    export: Callable[[Path, Step], None],
    watch: Callable[[dict[str, Step]], None] = lambda steps: None,
    force: bool = False,
    side_by_side: int = 2,
) -> dict[str, Step]:
    """Execute the notebooks that are not fresh and export each to HTML.

    Parameters
    ----------
    run : the run folder
    values : parameters by name; each goes to the notebooks that know it
    export : called with the run folder and the step after each notebook; writes the page
    watch : called about five times a second with all steps
    force : run every notebook, fresh or not
    side_by_side : notebooks at a time, where the order allows

    Returns the steps by name. Raises ValueError for a misspelt parameter or a folder that is no run, NotebookFailed
    for the first cell that raised; what was executed until then stays.
    """
    _check_run_folder(run)
    steps = read_steps(find_notebooks())
    give_parameters(steps, values)
    for step in steps.values():
        if "run" in step.known:
            step.parameters["run"] = str(run)
    _set_keys(steps)
    path = run / "run.json"
    record = runs.read_json(path) if path.exists() else {"steps": {}}
    fresh: set[str] = set()
    for step in _in_order(steps):
        if (
            not force
            and set(step.after) <= fresh
            and _is_fresh(run, step, record["steps"].get(step.name, {}))
        ):
            step.status = "fresh"
            fresh.add(step.name)
    if len(fresh) < len(steps):
        _execute_all(run, steps, record, export, watch, side_by_side)
    watch(steps)
    failed = next((step for step in steps.values() if step.status == "failed"), None)
    if failed:
        raise NotebookFailed(failed.error)
    return steps


def _check_run_folder(run: Path) -> None:
    if (
        run.is_dir()
        and any(run.iterdir())
        and not ((run / "run.json").exists() or (run / "artifacts").is_dir())
    ):
        raise ValueError(
            f"{run} holds files and is no run of Fusebook. Name another folder with --run; nothing was touched."
        )
    (run / "notebooks").mkdir(parents=True, exist_ok=True)


def _execute_all(run: Path, steps: dict[str, Step], record: dict, export, watch, side_by_side: int) -> None:
    start = time.monotonic()
    ready = {step.name for step in steps.values() if step.status == "fresh"}
    working: dict = {}
    stop = threading.Event()
    with ThreadPoolExecutor(side_by_side) as pool:
        try:
            while True:
                waiting = (
                    []
                    if stop.is_set()
                    else [s for s in steps.values() if s.status == "waiting" and set(s.after) <= ready]
                )
                for step in waiting[: side_by_side - len(working)]:
                    step.status, step.started = "running", time.monotonic()
                    working[pool.submit(_execute, run, step, export)] = step
                if not working:
                    break
                finished, _ = wait(working, timeout=0.2, return_when=FIRST_COMPLETED)
                for step in working.values():
                    _sample_memory(step)
                watch(steps)
                for future in finished:
                    step = working.pop(future)
                    future.result()
                    if step.status == "failed":
                        stop.set()
                    else:
                        ready.add(step.name)
                    _record(run, steps, record, start)
        except BaseException:
            for step in working.values():
                if step.kernel:
                    step.kernel.terminate()
            raise
    for step in steps.values():
        if step.status == "waiting":
            step.status = "skipped"


def _sample_memory(step: Step) -> None:
    try:
        if step.kernel:
            step.peak_memory_mb = max(step.peak_memory_mb, step.kernel.memory_info().rss / 2**20)
    except psutil.Error:
        step.kernel = None


def _record(run: Path, steps: dict[str, Step], record: dict, start: float) -> None:
    for step in steps.values():
        if step.status in {"done", "failed"}:
            record["steps"][step.name] = {
                "status": step.status, "key": step.key, "parameters": step.parameters, "seconds": step.seconds,
                "peak_memory_mb": round(step.peak_memory_mb), "outputs": _outputs(run, step.name), "error": step.error,
            }  # fmt: skip
    record |= {
        "run": run.name, "written": time.strftime("%Y-%m-%d %H:%M:%S"), "command": " ".join(["fusebook", *sys.argv[1:]]),
        "python": sys.version.split()[0], "versions": {name: version(name) for name in VERSIONS_OF},
        "cores": os.cpu_count(), "wall_seconds": round(time.monotonic() - start, 2),
    }  # fmt: skip
    runs.write_json(run / "run.json", record)


class _ReportingEngine(NBClientEngine):
    """Papermill's own engine; it also tells after each cell."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, on_cell, **options):
        complete = nb_man.cell_complete

        def tell(cell, *args, **kwargs):
            complete(cell, *args, **kwargs)
            on_cell(cell)

        nb_man.cell_complete = tell
        return super().execute_managed_notebook(nb_man, kernel_name, **options)


papermill_engines.register("fusebook", _ReportingEngine)


def _execute(run: Path, step: Step, export: Callable[[Path, Step], None]) -> None:
    begun = time.monotonic()
    kernel = KernelManager(kernel_name="python3")
    kernel.start_kernel(cwd=str(runs.project_folder()))
    step.kernel = psutil.Process(kernel.provisioner.pid)

    def on_cell(cell) -> None:
        step.done += cell.cell_type == "code"

    output = run / "notebooks" / f"{step.name}.ipynb"
    try:
        papermill.execute_notebook(
            str(step.path), str(output), step.parameters, engine_name="fusebook", kernel_name="python3",
            progress_bar=False, request_save_on_cell_execute=False, km=kernel, on_cell=on_cell,
        )  # fmt: skip
        step.status = "exporting"
    except papermill.PapermillExecutionError as error:
        step.status = "failed"
        step.error = f"{step.name}, cell {error.exec_count}: {error.ename}: {error.evalue}\nThe executed notebook: {output}"
    finally:
        _sample_memory(step)
        kernel.shutdown_kernel(now=True)
        step.kernel = None
    executed = time.monotonic()
    export(run, step)
    step.seconds = _seconds(nbformat.read(output, as_version=4), begun, executed)
    if step.status == "exporting":
        step.status = "done"


def _seconds(notebook, begun: float, executed: float) -> dict[str, float]:
    """Where the time of one notebook went: kernel start, imports, work, export."""
    imports = work = 0.0
    for cell in notebook.cells:
        duration = cell.metadata.get("papermill", {}).get("duration") or 0.0
        if cell.cell_type == "code" and cell.source.lstrip().startswith(("import ", "from ")):
            imports += duration
        else:
            work += duration
    start = max(0.0, executed - begun - imports - work)
    parts = {"start": start, "imports": imports, "work": work, "export": time.monotonic() - executed}
    return {name: round(value, 2) for name, value in parts.items()}
