"""The table: read it in any encoding, every value as text, and say which lines could not be read and why.

Notebook 01_explore tells the story. ``formats`` knows encodings, lines and kinds of files; ``checks`` looks
at the rows one by one, ``splits`` groups and splits them.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fusebook.data.formats import delimited, encodings, kinds, records

PARTS = ("text", "image", "audio")
REJECTED_COLUMNS = ["row", "part", "reason", "detail"]
FEWEST_ROWS_PER_LABEL = 5  # fewer can't be in training, validation and test rows at once

REASONS = {
    "FIELD_COUNT": "the line has another number of fields than the header",
    "LINE_BROKEN": "the line is not a JSON object",
    "LABEL_EMPTY": "no label",
    "LABEL_RARE": f"a label with fewer than {FEWEST_ROWS_PER_LABEL} rows can't be split and learnt",
    "NO_CONTENT": "no text, picture or sound is left in the row",
    "TEXT_EMPTY": "the text is empty",
    "FILE_MISSING": "no file at this path",
    "FILE_POINTER": "a pointer of Git LFS stands for the file; fetch it with git lfs pull",
    "OUTSIDE_FOLDER": "the path leads out of the table's folder",
    "IMAGE_BROKEN": "the file can't be decoded as a picture",
    "IMAGE_TOO_LARGE": "the picture has too many pixels to decode safely, or says so in far too few bytes",
    "IMAGE_NOT_READ": "a kind of picture that is not read, such as HEIC or SVG; convert it to JPEG or PNG",
    "AUDIO_BROKEN": "the file can't be decoded as sound",
    "AUDIO_TOO_LARGE": "the sound has too many samples to decode safely",
    "AUDIO_TOO_LONG": "the sound lasts longer than most_seconds allows (600 unless told otherwise)",
    "AUDIO_NOT_READ": "a kind of sound that is not read, such as M4A or raw samples; convert it to WAV or FLAC",
    "AUDIO_CUT": "the sound ends before its header says: a part of the file is lost",
    "AUDIO_RATE": "the header gives a sampling rate below 100 Hz or above 1 MHz",
    "AUDIO_EMPTY": "the sound has no samples",
    "AUDIO_NOT_FINITE": "the sound has samples that are not finite numbers, or far too large",
}

_DELIMITED, _JSON, _PARQUET = {".csv", ".tsv", ".txt"}, {".jsonl", ".ndjson", ".json"}, {".parquet", ".pq"}
_JSON_START = re.compile(r'\s*(?:\[\s*)?\{\s*"(?:[^"\\]|\\.)*"\s*:')  # whatever the name says
_MANY_COLUMNS, _MOST_COLUMNS = 1000, 50_000


class TableError(ValueError):
    """A table that can't be read. ``rejected`` has the lines that were refused before, with their reasons."""

    def __init__(self, message: str, rejected: pd.DataFrame):
        super().__init__(message)
        self.rejected = rejected


class Reading(NamedTuple):
    """A table, the lines that were refused, and how it was read.

    facts: encoding, lost characters and the place of the first, delimiter or format, and what became of each line of
    the file; only those that the kind of file has.
    """

    table: pd.DataFrame
    rejected: pd.DataFrame
    facts: dict[str, int | str]


def read_table(path: str | Path, encoding: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first two of what ``read`` returns: the table, and the lines that are not as its header or JSON says."""
    return read(path, encoding)[:2]


def read(path: str | Path, encoding: str = "", names: Iterable[str] = ()) -> Reading:
    """Read a CSV, TSV, JSONL, JSON or Parquet table, also packed with gzip, or a folder of Parquet parts.

    Text files may be in any encoding, ``encoding`` or the one that fits. A TSV is read without quoting, as its media
    type says, unless it is plainly quoted; a CSV may use comma, semicolon, tab or bar. ``names`` are columns that the
    table should have: with them the header is found below titles. All values are strings, "" where one is missing,
    indexed by row number from 1; lines that are refused have the columns row, part, reason, detail. Raises
    FileNotFoundError, and TableError, a ValueError, for a kind of file that is not read, nothing in the table, or a
    column name that stands twice.
    """
    path = Path(path)
    parts = path.is_dir() and any(path.rglob("*.parquet"))
    if not path.is_file() and not parts:
        what = f"{path} is a folder without Parquet files. " if path.is_dir() else ""
        raise FileNotFoundError(f"{what}No table at {path}. Pass the path of a CSV, TSV, JSONL or Parquet file.")
    try:
        table, refused, reason, facts = _read(path, encoding, frozenset(filter(None, names)))
    except ValueError as error:
        raise TableError(f"{path} {error}", _rejected([], "")) from error
    rejected = _rejected(refused, reason)
    if table.empty:
        raise TableError(_nothing(path, rejected, facts), rejected)
    # An array of strings for each column takes its time where there are thousands.
    return Reading(table.astype(str) if table.shape[1] < _MANY_COLUMNS else table, rejected, facts)


def _read(path: Path, encoding: str, names: frozenset[str]) -> tuple[pd.DataFrame, list[tuple], str, dict]:
    if path.is_dir():
        return _read_parquet(path)
    ending = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    raw, kind = kinds.content(path)
    if kind == "parquet" or ending in _PARQUET:
        return _read_parquet(path)
    if ending not in _DELIMITED | _JSON:
        expected = ".csv, .tsv, .txt, .jsonl, .json or .parquet"
        raise ValueError(f"ends in {ending!r}; expected {expected}. Convert it first.")
    decoded = encodings.decode(raw, encoding)
    facts = {"encoding": decoded.encoding, "lost characters": decoded.lost, "first lost": decoded.place}
    if ending in _JSON or _JSON_START.match(decoded.text):
        table, bad, more = records.read_json(decoded.text, names)
        return table, bad, "LINE_BROKEN", facts | more
    header, good, bad, more = delimited.read(decoded.text, ending, names)
    _refuse_twins(header)
    kind = str if len(header) < _MANY_COLUMNS else object
    table = pd.DataFrame(list(good.values()), columns=header, index=list(good), dtype=kind)
    return table, bad, "FIELD_COUNT", facts | more


def _read_parquet(path: Path) -> tuple[pd.DataFrame, list[tuple], str, dict]:
    _refuse_twins(records.parquet_names(path))
    table, facts = records.read_parquet(path)
    return table, [], "", facts


def _nothing(path: Path, rejected: pd.DataFrame, facts: dict) -> str:
    """Why there are no rows, with the first line that was refused."""
    if not len(rejected):
        return f"{path} has no rows. Expected at least one, in a CSV below a header line."
    first = rejected.iloc[0]
    sign = f"; delimiter {facts['delimiter']!r}" if "delimiter" in facts else ""
    reason = f"row {first['row']}: {first['detail']}{sign}"
    return f"{path} has no rows that can be read ({len(rejected)} are refused). The first, {reason}."


def _refuse_twins(header: list[str]) -> None:
    if len(header) > _MOST_COLUMNS:
        raise ValueError(
            f"has {len(header):,} columns; at most {_MOST_COLUMNS:,} are read. Keep those that are needed."
        )
    # Those without a name may be several: spreadsheets write empty columns behind the last one.
    if twice := sorted(name for name, count in Counter(header).items() if name.strip() and count > 1):
        names = ", ".join(map(repr, twice[:10]))
        raise ValueError(f"has several columns named {names}. Give each a name of its own.")


def column_named(table: pd.DataFrame, name: str) -> str:
    """The column of ``table`` that ``name`` means: of that name, or alike but for outer blanks, marks and Unicode form.

    ``name`` itself where there is none, or several.
    """
    if not name or name in table.columns:
        return name
    alike = [column for column in table.columns if _plain_name(column) == _plain_name(name)]
    return alike[0] if len(alike) == 1 else name


def _plain_name(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip("\ufeff\u200b \t\r\n\xa0"))


def _rejected(lines: list[tuple[int, str]], reason: str) -> pd.DataFrame:
    return pd.DataFrame([(row, "row", reason, detail) for row, detail in lines], columns=REJECTED_COLUMNS)
