"""Run the notebooks through papermill: in the order of what they read, side by side, and only what is not fresh."""

import errno
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from importlib.metadata import version
from pathlib import Path
from threading import Thread

import nbformat
import papermill
import psutil
from jupyter_client.manager import KernelManager
from nbclient.exceptions import DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines

from fusebook import runs
from fusebook.report.lock import locked
from fusebook.report.steps import (
    Step,
    find_notebooks,
    give_parameters,
    in_order,
    is_fresh,
    is_import,
    outputs,
    read_steps,
    set_keys,
)
from fusebook.runs import Run

VERSIONS_OF = ["fusebook", "keras", "jax", "numpy", "pandas", "scikit-learn", "gensim", "rjieba", "papermill"]

_STARTS = 3  # times that a kernel is started before its notebook fails


class NotebookFailed(RuntimeError):
    """A cell of a notebook raised; the message names notebook, cell and error, ``steps`` says how far each came."""

    def __init__(self, message: str, steps: dict[str, Step]):
        super().__init__(message)
        self.steps = steps


def run_notebooks(
    run: Run | Path,
    values: dict[str, object],
    *,
    export: Callable[[Path, Step], object],
    watch: Callable[[dict[str, Step]], None] = lambda steps: None,
    force: bool = False,
    side_by_side: int = 2,
) -> dict[str, Step]:
    """Execute the notebooks that are not fresh and export each to HTML.

    Parameters
    ----------
    run : the run, or its folder
    values : parameters by name; each goes to the notebooks that know it
    export : called with the run folder and the step after each notebook; writes the page
    watch : called about five times a second with all steps
    force : run every notebook, fresh or not
    side_by_side : notebooks at a time, where the order allows

    Returns the steps by name. Raises ValueError for a misspelt parameter, a folder that is no run, or one that another
    run works in, FileNotFoundError where the folder is gone before the run has ended, OSError where the disk is full or
    the folder can't be written, NotebookFailed for the first cell that raised; what was executed until then stays.
    """
    run, steps = Run(run), read_steps(find_notebooks())
    give_parameters(steps, values)
    _check_run_folder(run.folder)
    for step in steps.values():
        if "run" in step.known:
            step.parameters["run"] = str(run.folder)
    set_keys(steps)
    with locked(run.folder) as is_ours:
        record = _record(run)
        record["values"] = values
        if not force:
            _mark_fresh(run, steps, record["steps"])
        if any(step.status != "fresh" for step in steps.values()):
            _Execution(run, steps, record, export, watch, side_by_side, is_ours).carry_out()
    watch(steps)
    failed = next((step for step in steps.values() if step.status == "failed"), None)
    if failed:
        raise NotebookFailed(failed.error, steps)
    return steps


def _record(run: Run) -> dict:
    """What run.json says of earlier steps; of none where it is not there, or damaged: then it is set aside."""
    path = run.path("run.json")
    record = runs.read_or_set_aside(path, _is_record) if path.exists() else None
    return record or {"steps": {}}


def _is_record(value: object) -> bool:
    steps = value.get("steps") if isinstance(value, dict) else None
    kinds = {"status": str, "key": str, "parameters": dict, "seconds": dict, "outputs": dict, "peak_memory_mb": int}
    return isinstance(steps, dict) and all(
        isinstance(step, dict) and all(isinstance(step.get(name), kind) for name, kind in kinds.items())
        for step in steps.values()
    )


def _check_run_folder(folder: Path) -> None:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        below = "" if there == folder else f", so {folder} can't be made"
        raise ValueError(f"{there} is a file{below}. --run names the folder of a run, such as reports/mine.")
    is_run = (folder / "run.json").exists() or (folder / "artifacts").is_dir()
    if folder.is_dir() and any(folder.iterdir()) and not is_run:
        raise ValueError(
            f"{folder} holds files and is no run of Fusebook. Name another folder with --run; nothing was touched."
        )
    for name in ("notebooks", "artifacts"):
        (folder / name).mkdir(parents=True, exist_ok=True)


def _mark_fresh(run: Run, steps: dict[str, Step], record: dict) -> None:
    """Give status "fresh" to each step that need not run again, as nothing it reads will be written anew."""
    fresh: set[str] = set()
    for step in in_order(steps):
        if set(step.after) <= fresh and is_fresh(run, step, record.get(step.name, {})):
            step.status = "fresh"
            fresh.add(step.name)


class _Execution:
    """One call of ``run_notebooks``: which kernels are warm, what works now, what is ready to be read."""

    def __init__(self, run: Run, steps, record, export, watch, side_by_side, is_ours):
        self.run, self.steps, self.record, self.export, self.watch = run, steps, record, export, watch
        self.side_by_side, self.is_ours = side_by_side, is_ours
        self.ready = {step.name for step in steps.values() if step.status == "fresh"}
        self.warm: dict[str, Future] = {}
        self.kernels: list[KernelManager] = []
        self.executing: dict[Future, Step] = {}
        self.exporting: dict[Future, Step] = {}
        self.begun = time.monotonic()

    def carry_out(self) -> None:
        """Execute and export until nothing is left or a cell has raised."""
        # Two at a time execute; two kernels warm up behind them; exports have a thread of their own.
        self.warmers, self.exporters = ThreadPoolExecutor(2), ThreadPoolExecutor(1)
        try:
            while self._start_free_steps() or self.executing or self.exporting:
                self._await_one()
                self.watch(self.steps)
            self._check_folder()
        finally:
            self._stop_kernels()
            for pool in (self.warmers, self.exporters):
                pool.shutdown(wait=False, cancel_futures=True)
        for step in self.steps.values():
            if step.status == "waiting":
                step.status = "skipped"

    def _check_folder(self) -> None:
        if not self.is_ours():
            raise FileNotFoundError(
                f"{self.run.folder} was deleted or moved while this run worked in it, so the run is not whole. "
                "Run the same command again."
            )

    def _await_one(self) -> None:
        self._check_folder()
        finished, _ = wait([*self.executing, *self.exporting], timeout=0.2, return_when=FIRST_COMPLETED)
        for future, step in list(self.executing.items()):
            _sample_memory(step)
            if future not in finished and _is_dead(step):
                self.executing.pop(future)
                self.exporting[self.exporters.submit(self._bury, step)] = step
        for future in finished & set(self.executing):
            step = self.executing.pop(future)
            future.result()
            if step.status != "failed":
                self.ready.add(step.name)
            self.exporting[self.exporters.submit(self._export, step)] = step
        for future in finished & set(self.exporting):
            self.exporting.pop(future)
            future.result()
            self._write_record()

    def _start_free_steps(self) -> bool:
        """Start what may run now and warm up kernels for what comes next; True where something was started."""
        if any(step.status == "failed" for step in self.steps.values()):
            return False
        waiting = [step for step in in_order(self.steps) if step.status == "waiting"]
        room = self.side_by_side - len(self.executing)
        free = [step for step in waiting if set(step.after) <= self.ready][:room]
        for step in free:
            self._warm(step)
            step.status, step.started = "running", time.monotonic()
            self.executing[_in_background(self._execute, step)] = step
        cold = [step for step in waiting if step.name not in self.warm]
        unused = sum(step.name in self.warm for step in waiting if step not in free)
        for step in cold[: max(0, self.side_by_side - unused)]:
            self._warm(step)
        return bool(free)

    def _warm(self, step: Step) -> None:
        if step.name not in self.warm:
            self.warm[step.name] = self.warmers.submit(_warm_kernel, step, self.kernels)

    def _execute(self, step: Step) -> None:
        try:
            kernel = self.warm[step.name].result()
        except RuntimeError as error:
            self._fail(step, f"its kernel could not be started, {_STARTS} times over: {error}")
            return
        step.kernel = psutil.Process(kernel.provisioner.pid)

        def on_cell(cell) -> None:
            step.done += cell.cell_type == "code"

        output = self.run.folder / "notebooks" / f"{step.name}.ipynb"
        try:
            notebook = papermill.execute_notebook(
                str(step.path), str(output), step.parameters, engine_name="fusebook", kernel_name="python3",
                progress_bar=False, request_save_on_cell_execute=False, km=kernel, on_cell=on_cell,
            )  # fmt: skip
            step.status = "exporting"
        except papermill.PapermillExecutionError as error:
            step.status = "failed"
            step.error = f"{step.name}, cell {error.exec_count}: {error.ename}: {error.evalue}"
            if f"[Errno {errno.ENOSPC}]" in error.evalue:
                step.error += "\n" + runs.explained(OSError(errno.ENOSPC, ""))
            step.error += f"\nThe executed notebook: {output}"
            notebook = nbformat.read(output, as_version=4)
        except DeadKernelError:
            self._fail(step, _death(step))
            return
        finally:
            _sample_memory(step)
            step.kernel = None
            kernel.shutdown_kernel(now=True)
        step.seconds = _seconds(notebook, time.monotonic() - step.started)

    def _bury(self, step: Step) -> None:
        """What is left of a notebook whose kernel has died; its thread may wait for the kernel for ever."""
        self._fail(step, _death(step))
        self._export(step)

    def _fail(self, step: Step, cause: str) -> None:
        """Note that a notebook came to no end, and leave what there is of it for its page."""
        step.status, step.kernel, step.error = "failed", None, f"{step.name}: {cause}"
        output = self.run.folder / "notebooks" / f"{step.name}.ipynb"
        if not output.exists():
            shutil.copyfile(step.path, output)
        step.seconds = _seconds(nbformat.read(output, as_version=4), time.monotonic() - step.started)

    def _export(self, step: Step) -> None:
        start = time.monotonic()
        try:
            self.export(self.run.folder, step)
        except Exception as error:  # the other notebooks go on, and what they wait for must not be killed
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}, line {place.lineno}"
            said = runs.explained(error) if isinstance(error, OSError) else error
            step.status, cause = "failed", f"{type(error).__name__}: {said} ({where})"
            step.error = step.error or f"{step.name} ran, but its page could not be made: {cause}"
        step.seconds["export"] = round(time.monotonic() - start, 2)
        if step.status == "exporting":
            step.status = "done"

    def _stop_kernels(self) -> None:
        for kernel in list(self.kernels):
            if kernel.has_kernel and psutil.pid_exists(kernel.provisioner.pid or 0):
                psutil.Process(kernel.provisioner.pid).kill()

    def _write_record(self) -> None:
        self._check_folder()
        for step in self.steps.values():
            if step.status in {"done", "failed"}:
                self.record["steps"][step.name] = {
                    "status": step.status, "key": step.key, "parameters": step.parameters, "seconds": step.seconds,
                    "peak_memory_mb": round(step.peak_memory_mb), "outputs": outputs(self.run, step.name),
                    "error": step.error,
                }  # fmt: skip
        self.record |= {
            "run": self.run.folder.name, "written": time.strftime("%Y-%m-%d %H:%M:%S"),
            "python": sys.version.split()[0],
            "versions": {name: version(name) for name in VERSIONS_OF}, "cores": os.cpu_count(),
            "wall_seconds": round(time.monotonic() - self.begun, 2),
        }  # fmt: skip
        self.run.write("run.json", self.record)


def _sample_memory(step: Step) -> None:
    try:
        if step.kernel:
            step.peak_memory_mb = max(step.peak_memory_mb, step.kernel.memory_info().rss / 2**20)
    except psutil.Error:
        pass  # it has ended, see ``_is_dead``


def _death(step: Step) -> str:
    return (
        f"its kernel died in code cell {step.done + 1}, as it does where memory runs out or somebody stops it (it took "
        f"{step.peak_memory_mb:,.0f} MB at most). Run the same command again; with fewer rows or `--jobs 1` it takes less "
        "memory."
    )


def _is_dead(step: Step) -> bool:
    """Has the kernel of a step that executes ended?"""
    kernel = step.kernel
    try:
        return kernel is not None and (not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _in_background(function: Callable, *arguments) -> Future:
    """What ``function`` gives, later, from a thread that nobody has to wait for: it may wait for a dead kernel for ever."""
    future: Future = Future()

    def work() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    return future


def _warm_kernel(step: Step, kernels: list[KernelManager]) -> KernelManager:
    """Start a kernel, note it in ``kernels``, and let it import what the notebook will, while others still work.

    It is started anew where it ends at once, as it does where another program has taken one of its ports meanwhile.
    Raises RuntimeError where that does not help.
    """
    for last in range(_STARTS - 1, -1, -1):
        kernel = KernelManager(kernel_name="python3")
        kernels.append(kernel)
        kernel.start_kernel(cwd=str(runs.project_folder()), extra_arguments=["--log-level=ERROR"])
        client = kernel.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=120)
            client.execute(step.imports, silent=True, store_history=False)
            break
        except RuntimeError:
            kernel.shutdown_kernel(now=True)
            if not last:
                raise
        finally:
            client.stop_channels()
    return kernel


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


def _seconds(notebook, whole: float) -> dict[str, float]:
    """Where the time of one notebook went: start (waiting for the kernel and its imports), imports, work, in seconds."""
    imports = work = 0.0
    for cell in notebook.cells:
        duration = cell.metadata.get("papermill", {}).get("duration") or 0.0
        if cell.cell_type == "code" and is_import(cell.source):
            imports += duration
        else:
            work += duration
    parts = {"start": max(0.0, whole - imports - work), "imports": imports, "work": work, "export": 0.0}
    return {name: round(value, 2) for name, value in parts.items()}
