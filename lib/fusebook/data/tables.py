"""The table: read it in any encoding, every value as text, and say which lines could not be read and why.

Notebook 01_explore tells the story. ``checks`` looks at the rows one by one, ``splits`` groups and splits them.
"""

import csv
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path

import charset_normalizer
import pandas as pd
import pyarrow.parquet as pq

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
    "OUTSIDE_FOLDER": "the path leads out of the table's folder",
    "IMAGE_BROKEN": "the file can't be decoded as a picture",
    "IMAGE_TOO_LARGE": "the picture has too many pixels to decode safely",
    "AUDIO_BROKEN": "the file can't be decoded as sound",
    "AUDIO_TOO_LARGE": "the sound has too many samples to decode safely",
    "AUDIO_EMPTY": "the sound has no samples",
    "AUDIO_NOT_FINITE": "the sound has samples that are not finite numbers, or far too large",
}

_HEADER_LINE = re.compile(r'[\r\n]*((?:"[^"]*"|[^\r\n])*)')
_DELIMITED, _JSON_LINES, _PARQUET = {".csv", ".tsv", ".txt"}, {".jsonl", ".ndjson"}, {".parquet", ".pq"}


def read_table(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a CSV, TSV, JSONL or Parquet table, and the lines that are not as its header or JSON says.

    Text files may be in any encoding that charset-normalizer recognises. A TSV is read without quoting, as its
    media type says; a CSV may use comma, semicolon or tab. All values are strings, "" where one is missing, indexed by
    row number from 1; lines that are refused have the columns row, part, reason, detail. Raises FileNotFoundError, and
    ValueError for an unknown ending, nothing in the table, or a column name that stands twice.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No table at {path}. Pass the path of a CSV, TSV, JSONL or Parquet file.")
    ending = path.suffix.lower()
    if ending in _DELIMITED:
        table, rejected = _read_delimited(_decode(path), ending)
    elif ending in _JSON_LINES:
        table, rejected = _read_json_lines(_decode(path))
    elif ending in _PARQUET:
        _refuse_twins(pq.read_schema(path).names)
        records = pq.read_table(path).to_pylist()  # through pandas whole numbers beside a missing one become 1.0
        table, rejected = _as_table(records, range(1, len(records) + 1)), _rejected([])
    else:
        expected = ".csv, .tsv, .txt, .jsonl or .parquet"
        raise ValueError(f"{path.name} ends in {ending!r}; expected {expected}. Convert it first.")
    if table.empty:
        refused = f" that can be read ({len(rejected)} are refused)" if len(rejected) else ""
        raise ValueError(f"{path} has no rows{refused}. Expected at least one, in a CSV below a header line.")
    return table, rejected


def _decode(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        best = charset_normalizer.from_bytes(raw).best()
        if best is None:
            raise ValueError(f"{path} is in no encoding that could be recognised. Save it as UTF-8.") from None
        return str(best)


def _read_delimited(content: str, ending: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    # A quoted name may hold any delimiter, and line ends too.
    header_line = re.sub(r'"[^"]*"', "", _HEADER_LINE.match(content)[1])
    delimiter = "\t" if ending == ".tsv" else max(",;\t", key=header_line.count)
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    csv.field_size_limit(2**31 - 1)
    lines = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, quoting=quoting)
    header = next(filter(None, lines), [])  # blank lines may stand above it
    _refuse_twins(header)
    good, bad, end, row = {}, [], lines.line_num, 0
    for fields in lines:
        start, end = end + 1, lines.line_num
        row += bool(fields)
        if len(fields) == len(header):
            good[row] = fields
        elif fields:  # a quote that nobody closed takes in all lines that follow: say which
            place = f"line {end} of the file" if start == end else f"lines {start} to {end} of the file"
            detail = f"{len(fields)} fields, header has {len(header)}; {place}"
            bad.append((row, "row", "FIELD_COUNT", detail))
    table = pd.DataFrame(list(good.values()), columns=header, index=list(good), dtype=str)
    return table, _rejected(bad)


def _refuse_twins(header: list[str]) -> None:
    # Those without a name may be several: spreadsheets write empty columns behind the last one.
    if twice := sorted({name for name in header if name.strip() and header.count(name) > 1}):
        names = ", ".join(map(repr, twice))
        raise ValueError(f"The table has several columns named {names}. Give each a name of its own.")


def _read_json_lines(content: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    good, bad = {}, []
    for row, line in enumerate((line for line in content.split("\n") if line.strip()), start=1):
        try:
            good[row] = json.loads(line)
        except (ValueError, RecursionError) as error:
            bad.append((row, "row", "LINE_BROKEN", str(error)))
    bad += [(row, "row", "LINE_BROKEN", "no object") for row, value in good.items() if not isinstance(value, dict)]
    good = {row: value for row, value in good.items() if isinstance(value, dict)}
    return _as_table(list(good.values()), good), _rejected(sorted(bad))


def _as_table(records: list[dict], numbers: Iterable[int]) -> pd.DataFrame:
    return pd.DataFrame(records, index=list(numbers), dtype=object).rename(columns=str).map(_as_text)


def _as_text(value: object) -> str:
    """``value`` as text: "" where it is missing, JSON for a list or an object."""
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    elif value is None or value != value:
        return ""
    return str(value).encode("utf-8", "ignore").decode()  # JSON can hold half a character; no file can


def _rejected(lines: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=REJECTED_COLUMNS)
