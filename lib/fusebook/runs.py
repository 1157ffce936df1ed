"""The run folder: where a notebook finds what an earlier one wrote, and how files get there whole."""

import ast
import errno
import hashlib
import json
import logging
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd

# What a run hands on, and the notebook that writes it.
WRITTEN_BY = {
    "table.json": "01_explore",
    "rows.parquet": "01_explore",
    "rejected.csv": "01_explore",
    "splits.parquet": "02_preprocess",
    "features": "02_preprocess",
    "folds": "02_preprocess",
    "encoders": "02_preprocess",
    "models": "03_train",
    "predictions.parquet": "03_train",
    "metrics.json": "03_train",
    "bundle": "03_train",
    "errors.parquet": "04_error_analysis",
    "slices.parquet": "04_error_analysis",
    "label_suspects.csv": "04_error_analysis",
    "predictions.csv": "06_predict",
}
# What an artifact was made of: reading it checks that these are still the ones.
MADE_OF = {
    "rows.parquet": [],
    "splits.parquet": ["rows.parquet"],
    "features": ["splits.parquet"],
    "folds": ["splits.parquet"],
    "encoders": ["splits.parquet"],
    "models": ["splits.parquet", "features"],
    "bundle": ["splits.parquet", "features"],
    "predictions.parquet": ["splits.parquet", "features", "bundle"],
    "metrics.json": ["predictions.parquet"],
    "errors.parquet": ["predictions.parquet"],
    "slices.parquet": ["predictions.parquet"],
    "label_suspects.csv": ["predictions.parquet"],
}
_AT_THE_TOP = ("run.json", "bundle")  # of the run folder; all else lies in artifacts/


class Run:
    """The folder of one run: each notebook reads there what earlier ones wrote.

    Parameters
    ----------
    folder : such as "reports/sample", as seen from the current folder or from the project's

    The nouns that it hands out live in rooms further on; the package finds them when they are first asked for.
    """

    def __init__(self, folder: "str | Path | Run"):
        self.folder = folder.folder if isinstance(folder, Run) else resolve(folder)

    def path(self, name: str) -> Path:
        """Where ``name`` of the run lies, such as "metrics.json" or "bundle/bundle.json", whether or not it is there yet."""
        return self.folder / name if name.split("/")[0] in _AT_THE_TOP else self.folder / "artifacts" / name

    def need(self, name: str) -> Path:
        """The path of ``name``.

        Raises FileNotFoundError, naming the notebook that writes it, where it is not there yet, and ValueError, naming the
        notebook to run again, where it was changed since, or made of other rows, splits or features than those there are.
        """
        path = self.path(name)
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is not there yet. Notebook {WRITTEN_BY[name]} writes it: run that first with "
                f"run={str(self.folder)!r}, or run all notebooks with `fusebook report`."
            )
        self._check_origin(name)
        return path

    def _check_origin(self, name: str) -> None:
        """Raise ValueError where ``name``, or what it was made of, is not what the notebooks noted; see ``need``."""
        noted, path = _origin_of(self.path(name)), self.path(name)
        again = f"Run notebook {WRITTEN_BY[name]} again, and those after it, or all with `fusebook report`."
        if path.suffix != ".csv" and noted.get("itself", mark := _mark(path)) != mark:  # people edit a .csv
            raise ValueError(f"{path} is not what {WRITTEN_BY[name]} wrote: something changed or replaced it. {again}")
        for source, mark in noted.get("made of", {}).items():
            if source not in WRITTEN_BY or not self.path(source).exists():
                continue
            self._check_origin(source)  # first, so that the earliest notebook to run again is named
            if _mark(self.path(source)) != mark:
                raise ValueError(f"{path} was made of another {source} than the one there is now. {again}")

    def read(self, name: str) -> pd.DataFrame | dict | list:
        """What ``write`` wrote under ``name``: a table from .parquet, the value from .json. Raises as ``need`` does."""
        path = self.need(name) if name in WRITTEN_BY else self.path(name)
        return read_json(path) if path.suffix == ".json" else pd.read_parquet(path)

    def write(self, name: str, value: object) -> None:
        """Write ``value`` as ``name``, whole or not at all: a table as .parquet or .csv, anything else as .json.

        CSV is UTF-8 with a mark, so that spreadsheets show Chinese.
        """
        path = self.path(name)
        if path.suffix == ".json":
            write_json(path, value)
            return
        with replacing(path) as beside:
            if path.suffix == ".parquet":
                value.to_parquet(beside)
            else:
                value.to_csv(beside, index=False, encoding="utf-8-sig")

    def dataset(self):
        """The rows with what the encoders made of them: ``fusebook.Dataset``, as 02_preprocess left it."""
        from fusebook import Dataset

        return Dataset.load(self)

    def folds(self):
        """Training and validation rows dealt into folds: ``fusebook.Folds``, none of a large table, as 02_preprocess left it."""
        from fusebook import Folds

        return Folds.load(self)

    def predictions(self, split: str = "", model: str = ""):
        """What the run's own models answered: ``fusebook.Predictions``, of one ``split`` or one ``model``."""
        from fusebook import Predictions

        return Predictions.load(self, split, model=model)

    def scored(self):
        """The answers that the scores rest on: ``fusebook.Predictions`` of all rows where 03_train cross-fitted, else of
        the test rows."""
        from fusebook import Predictions

        return Predictions.scored(self)

    def unseen(self, model: str):
        """The answers of ``model`` about all rows that it was not trained on: ``fusebook.Predictions``."""
        from fusebook import Predictions

        return Predictions.unseen(self, model)

    def bundle(self):
        """The models with their encoders, ready for new rows: ``fusebook.Bundle``, as 03_train left it."""
        from fusebook import Bundle

        return Bundle(self)

    def findings(self, notebook: str, language: str = "en"):
        """Where ``notebook`` notes what it found: an empty ``fusebook.Findings`` that ``save`` keeps in this run."""
        from fusebook import Findings

        return Findings(notebook, language, self)

    def watch(self, notebook: str, paths: Iterable[str | Path]) -> None:
        """Note size and time of files outside the run that ``notebook`` read, so that a change to them is noticed."""
        self.write(f"stamps/{notebook}.json", {str(path): _stamp(path) for path in map(resolve, paths)})

    def unchanged(self, notebook: str) -> bool:
        """Are the files that ``watch`` noted as they were? True where nothing was noted, False where the note is damaged."""
        path = self.path(f"stamps/{notebook}.json")
        noted = read_or_set_aside(path, _is_table_of(list)) if path.exists() else {}
        return noted is not None and all(_stamp(file) == stamp for file, stamp in noted.items())


def project_folder() -> Path:
    """The nearest folder, from the current one upwards, that holds ``notebooks``; else the current folder."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "notebooks").is_dir()), here)


def resolve(path: str | Path) -> Path:
    """The absolute form of ``path``: as seen from the current folder if it is there, else from the project's.

    Raises ValueError where it begins with ~ and nobody knows the home folder.
    """
    try:
        path = Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"{path}: the home folder is not known. Write the path without ~.") from None
    if path.is_absolute() or path.exists():
        return path.absolute()
    return project_folder() / path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write a file or a folder to, and move it into place when all went well.

    It is on the disk before it is moved. With an artifact of a run it is noted what it was made of.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".writing-{path.name}")
    _remove(beside)
    try:
        yield beside
        _to_disk(beside)
        if path.is_dir():
            _remove(path)
        beside.replace(path)
        _folder_to_disk(path.parent)
    finally:
        _remove(beside)
    _note_origin(path)


def _to_disk(path: Path) -> None:
    """Wait until a file, or all files below a folder, are on the disk. Raises OSError where they can't be."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    for file in files:
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())


def _folder_to_disk(path: Path) -> None:
    with suppress(OSError):  # not every system can do it for a folder
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _note_origin(path: Path) -> None:
    """Where ``path`` is an artifact of a run, write its mark and those of what it was made of to made_of/."""
    folder = path.parent / "artifacts" if path.name == "bundle" else path.parent
    if path.name in MADE_OF and folder.name == "artifacts" and folder.is_dir():
        run = Run(folder.parent)
        made_of = {name: mark for name in MADE_OF[path.name] if (mark := _mark(run.path(name)))}
        write_json(folder / "made_of" / f"{path.name}.json", {"itself": _mark(path), "made of": made_of})


def _origin_of(path: Path) -> dict:
    """What ``_note_origin`` noted of an artifact; nothing where that is missing or damaged."""
    folder = path.parent / "artifacts" if path.name == "bundle" else path.parent
    note = folder / "made_of" / f"{path.name}.json"
    noted = read_or_set_aside(note, _is_table_of(str | dict)) if note.exists() else None
    return noted if noted and isinstance(noted.get("made of"), dict) else {}


_marks: dict[tuple, str] = {}


def _mark(path: Path) -> str:
    """``fingerprint`` of a file or folder, taken once as long as no file in it was replaced."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    facts = [(file, file.stat()) for file in files]
    key = (path, *((file, fact.st_ino, fact.st_size, fact.st_mtime_ns) for file, fact in facts))
    if key not in _marks:
        _marks[key] = fingerprint(path)
    return _marks[key]


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def write_json(path: str | Path, value: object) -> None:
    """Write ``value`` as readable JSON, whole or not at all; NumPy numbers are written as plain ones."""
    with replacing(path) as beside:
        text = json.dumps(value, ensure_ascii=False, indent=1, default=lambda number: number.item())
        beside.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict:
    """The value that ``write_json`` wrote to ``path``. Raises ValueError where the file is no such."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged, it holds no JSON ({error}).") from None


def read_or_set_aside(path: Path, is_sound: Callable[[object], bool]) -> dict | None:
    """The value in ``path`` where it ``is_sound``; else None, and the file is renamed to *.damaged, which is told."""
    try:
        value = read_json(path)
        if is_sound(value):
            return value
    except ValueError:
        pass
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    logging.getLogger("fusebook").warning("%s was damaged: it is set aside as %s.", harmless(str(path)), aside.name)
    return None


def _is_table_of(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(isinstance(each, kind) for each in value.values())


def explained(error: OSError) -> str:
    """What to tell a person of a file or folder that could not be read or written: a sentence, harmless to a terminal."""
    place = f" {error.filename}" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"The disk is full{f' at{place}' if place else ''}: make room and run the same command again."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"No permission for{place} ({error.strerror}). Name another place, or change the permissions."
    return f"{error.strerror}:{place}" if error.strerror and place else str(error) or type(error).__name__


def harmless(text: str) -> str:
    """``text`` with characters that would steer a terminal, or hide, written out as \x1b; lines stay."""
    kept = "\n\t\u200c\u200d"  # the last two join letters and emoji
    return "".join(
        each.encode("unicode_escape", "backslashreplace").decode()
        if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and each not in kept
        else each
        for each in text
    )


def parameter_value(source: str) -> object:
    """The value that stands in a notebook's parameters as ``source``; the source itself where it is no literal."""
    try:
        return ast.literal_eval(source)
    except (ValueError, SyntaxError):
        return source


def fingerprint(path: str | Path) -> str:
    """SHA-256 of a file, or of all files below a folder with their names; "" where there is nothing."""
    path = Path(path)
    if path.is_file():
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    parts = [f"{file.relative_to(path)} {fingerprint(file)}" for file in sorted(path.rglob("*")) if file.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else ""


def _stamp(path: str | Path) -> list[int]:
    path = Path(path)
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else []
