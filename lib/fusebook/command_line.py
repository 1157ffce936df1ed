"""The command line that gives a run again, quoted for a POSIX shell."""

import json
import shlex
import sys
from pathlib import Path

COLUMNS = ("text", "label", "image", "audio")


def command_line(run: Path, values: dict[str, object], project: Path) -> str:
    """One line that runs the notebooks of ``project`` with the parameters ``values`` and writes to the folder ``run``.

    It works from any folder. Paths in the project are told as seen from there; the columns of a table become the options
    that people know, all else ``-p name value``.
    """
    rest = dict(values)
    words = ["report"]
    name = "sample"
    options = {"table", "new_table", *COLUMNS}
    if options <= set(rest) and rest["label"] and any(rest[part] for part in ("text", "image", "audio")):
        given = {part: str(rest.pop(part)) for part in sorted(options)}
        name = Path(given["table"]).stem
        words += ["--table", _inside(given["table"], project)]
        words += [word for part in COLUMNS if given[part] for word in (f"--{part}", given[part])]
        words += ["--new", _inside(given["new_table"], project)] if given["new_table"] else []
    if run.absolute() != project / "reports" / name:
        words += ["--run", _inside(run.absolute(), project)]
    for parameter, value in rest.items():
        words += ["-p", parameter, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
    return f"cd {shlex.quote(str(project))} && {shlex.join([*_program(project), *words])}"


def _program(project: Path) -> list[str]:
    """The command `fusebook` of the Python that runs, else that Python with the module."""
    python = Path(sys.executable)
    command = python.parent / "fusebook"
    if command.exists():
        return [_inside(command, project)]
    return [_inside(python, project), "-m", "fusebook.cli"]


def _inside(path: str | Path, project: Path) -> str:
    path = Path(path)
    return str(path.relative_to(project) if path.is_relative_to(project) else path)
