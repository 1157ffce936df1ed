"""The run folder: where a notebook finds what an earlier one wrote, and how files get there whole."""

import ast
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fusebook.findings import Finding, as_markdown

# What a run's artifacts folder holds, and the notebook that writes it.
WRITTEN_BY = {
    "table.json": "01_explore",
    "rows.parquet": "01_explore",
    "rejected.csv": "01_explore",
    "splits.parquet": "02_preprocess",
    "features": "02_preprocess",
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


def artifacts(run: str | Path) -> Path:
    """The folder for what the notebooks of ``run`` hand to each other; made if it is missing."""
    folder = resolve(run) / "artifacts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def artifact_path(run: str | Path, name: str) -> Path:
    """Where artifact ``name`` of ``run`` lies: in the artifacts folder; the bundle, which people take away, at the top."""
    folder = resolve(run)
    return folder / name if name == "bundle" else folder / "artifacts" / name


def need(run: str | Path, name: str) -> Path:
    """The path of artifact ``name`` of ``run``.

    Raises FileNotFoundError, naming the notebook that writes the artifact, when it is not there yet.
    """
    path = artifact_path(run, name)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is not there yet. Notebook {WRITTEN_BY[name]} writes it: run that first with run={str(run)!r}, "
            "or run all notebooks with `fusebook report`."
        )
    return path


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


def write_table(run: str | Path, name: str, table) -> None:
    """Write a DataFrame as artifact ``name`` (.parquet or .csv) of ``run``, whole or not at all.

    CSV is UTF-8 with a mark, so that spreadsheets show Chinese.
    """
    with replacing(artifacts(run) / name) as beside:
        if name.endswith(".parquet"):
            table.to_parquet(beside)
        else:
            table.to_csv(beside, index=False, encoding="utf-8-sig")


def write_findings(run: str | Path, notebook: str, findings: Iterable, language: str = "en") -> str:
    """Keep the findings of a notebook's "What we found" for the pages; returns them as a numbered list in Markdown.

    Each is a ``findings.Finding`` (or severity, text and place as a tuple) or a plain text, which has neither severity
    nor place. The file holds a list of objects with these three names.
    """
    made = [_finding(found) for found in findings]
    write_json(artifacts(run) / "findings" / f"{notebook}.json", [found._asdict() for found in made])
    return as_markdown(made, language)


def read_findings(run: str | Path, notebook: str) -> list[dict[str, str]]:
    """What ``write_findings`` kept for ``notebook``: severity, text and place of each; [] where nothing was kept.

    Runs made before findings were graded hold plain texts: their severity and place are "".
    """
    path = resolve(run) / "artifacts" / "findings" / f"{notebook}.json"
    return [_finding(found)._asdict() for found in read_json(path)] if path.exists() else []


def _finding(found: str | tuple | dict) -> Finding:
    if isinstance(found, dict):
        return Finding(**found)
    return Finding(*(("", found, "") if isinstance(found, str) else found))


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


def write_stamps(run: str | Path, notebook: str, paths: list[str | Path]) -> None:
    """Note size and time of files outside the run that a notebook read, so that a change to them is noticed."""
    stamps = {str(path): _stamp(path) for path in map(resolve, paths)}
    write_json(artifacts(run) / "stamps" / f"{notebook}.json", stamps)


def stamps_hold(run: str | Path, notebook: str) -> bool:
    """Are the files that ``write_stamps`` noted as they were? True where nothing was noted."""
    path = resolve(run) / "artifacts" / "stamps" / f"{notebook}.json"
    return not path.exists() or all(_stamp(file) == stamp for file, stamp in read_json(path).items())


def _stamp(path: str | Path) -> list[int]:
    path = Path(path)
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.exists() else []
