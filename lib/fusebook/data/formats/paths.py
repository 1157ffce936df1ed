"""Paths to pictures and sounds that a table names: where they lead, and what to say where none leads to a file."""

from pathlib import Path

from fusebook.data.formats.labels import shown
from fusebook.data.tables import REASONS


def full_path(path: str, folder: Path) -> Path | None:
    """The absolute path, links followed; None where no file can have it (too long, a NUL byte, links in a circle)."""
    try:
        full = (folder / path).resolve()
        full.exists()
    except (OSError, RuntimeError, ValueError):
        return None
    return full


def with_slashes(path: str, folder: Path) -> str:
    """``path`` without outer blanks, and with / for \\ where there is a file only so, as in tables made on Windows."""
    path = path.strip()
    other = path.replace("\\", "/")
    return other if other != path and not _is_file(path, folder) and _is_file(other, folder) else path


def _is_file(path: str, folder: Path) -> bool:
    full = full_path(path, folder)
    return full is not None and full.is_file()


def tried(path: str, folder: Path) -> str:
    """Where ``path`` was looked for, as a person can read it: characters that can't be seen by their numbers."""
    path = path.strip()
    return shown(path if path.startswith("/") else f"{folder.absolute()}/{path}")


def all_refused(part: str, column: str, lines: list[tuple], folder: Path) -> str:
    """Why no row has the ``part`` in ``column``, whose ``lines`` (row, part, reason, detail) are all that were refused."""
    if part == "text" or not lines:
        return f"The {part} column {column!r} is empty."
    row, _, reason, path = lines[0]
    start = f"paths start from the table's folder, and the first tried, in row {row}, is {tried(path, folder)}"
    return f"The {part} column {column!r}: {REASONS[reason]} ({start})."
