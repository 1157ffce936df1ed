"""The run folder: where a notebook finds what an earlier one wrote, and how files get there whole."""

import ast
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
        """The path of ``name``. Raises FileNotFoundError, naming the notebook that writes it, where it is not there yet."""
        path = self.path(name)
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is not there yet. Notebook {WRITTEN_BY[name]} writes it: run that first with "
                f"run={str(self.folder)!r}, or run all notebooks with `fusebook report`."
            )
        return path

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
        """Are the files that ``watch`` noted as they were? True where nothing was noted."""
        name = f"stamps/{notebook}.json"
        noted = self.read(name) if self.path(name).exists() else {}
        return all(_stamp(file) == stamp for file, stamp in noted.items())


def project_folder() -> Path:
    """The nearest folder, from the current one upwards, that holds ``notebooks``; else the current folder."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "notebooks").is_dir()), here)


def resolve(path: str | Path) -> Path:
    """The absolute form of ``path``: as seen from the current folder if it is there, else from the project's."""
    path = Path(path).expanduser()
    if path.is_absolute() or path.exists():
        return path.absolute()
    return project_folder() / path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write a file or a folder to, and move it into place when all went well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".writing-{path.name}")
    _remove(beside)
    try:
        yield beside
        if path.is_dir():
            _remove(path)
        beside.replace(path)
    finally:
        _remove(beside)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def write_json(path: str | Path, value: object) -> None:
    """Write ``value`` as readable JSON, whole or not at all; NumPy numbers are written as plain ones."""
    with replacing(path) as beside:
        text = json.dumps(value, ensure_ascii=False, indent=1, default=lambda number: number.item())
        beside.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict:
    """The value that ``write_json`` wrote to ``path``."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


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
        return hashlib.sha256(path.read_bytes()).hexdigest()
    parts = [f"{file.relative_to(path)} {fingerprint(file)}" for file in sorted(path.rglob("*")) if file.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else ""


def _stamp(path: str | Path) -> list[int]:
    path = Path(path)
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else []
