"""JSON values and Parquet columns as columns of text.

A value is "" where it is missing, JSON for a list or an object; whole numbers stay whole.
"""

import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

FURTHER = "further keys"  # the column for keys that stand in few objects of very many keys
_MOST_KEYS = 1000
_MOST_CELLS, _MOST_BYTES = 100_000_000, 2 << 30  # of a Parquet table, unpacked
_DECODER, _BETWEEN = json.JSONDecoder(), re.compile(r"[\s,]*")


def read_json(content: str, wanted: frozenset[str] = frozenset()) -> tuple[pd.DataFrame, list[tuple[int, str]], dict]:
    """JSON lines, one array of objects, or objects over several lines, to a table, what is refused, and facts.

    Keys beyond the thousand most frequent, ``wanted`` ones apart, share the column ``FURTHER`` as JSON.
    """
    lines = [line for line in content.split("\n") if line.strip()]
    whole = None if not lines or _is_object(lines[0]) else _whole(content)
    good, bad = {}, []
    for row, (value, error) in enumerate(map(_parsed, lines) if whole is None else whole, start=1):
        if isinstance(value, dict):
            good[row] = value
        else:
            bad.append((row, error or "no object"))
    kind = "JSON lines" if whole is None else "JSON"
    blank = content.count("\n") + (not content.endswith("\n") and bool(content)) - len(lines)
    counts = {"lines": len(lines) + blank, "rows": len(good), "refused": len(bad), "blank lines": blank}
    return (
        _table(good, wanted),
        bad,
        {"format": kind, **(counts if whole is None else {"rows": len(good), "refused": len(bad)})},
    )


def _parsed(line: str) -> tuple[object, str]:
    try:
        return json.loads(line), ""
    except (ValueError, RecursionError) as error:
        return None, str(error)


def _is_object(line: str) -> bool:
    return isinstance(_parsed(line)[0], dict)


def _whole(content: str) -> list[tuple[object, str]] | None:
    """The objects of one array, or one behind the other over several lines; None where the lines are to be read alone."""
    value, error = _parsed(content)
    if isinstance(value, dict):
        lists = [part for part in value.values() if isinstance(part, list) and part and isinstance(part[0], dict)]
        value = lists[0] if len(lists) == 1 else [value]
    if not error:
        return (
            [(part, "") for part in value]
            if isinstance(value, list) and any(isinstance(x, dict) for x in value)
            else None
        )
    found, at = [], 0
    while (at := _BETWEEN.match(content, at).end()) < len(content):
        try:
            value, at = _DECODER.raw_decode(content, at)
        except (ValueError, RecursionError):
            return None
        found.append((value, ""))
    return found if all(isinstance(value, dict) for value, _ in found) else None


def _table(good: dict[int, dict], wanted: frozenset[str]) -> pd.DataFrame:
    counts = Counter(key for record in good.values() for key in record)
    few = {key for key, _ in counts.most_common()[_MOST_KEYS:] if key not in wanted}
    if few:
        rest = [{key: record[key] for key in record if key in few} for record in good.values()]
        good = {row: {k: v for k, v in record.items() if k not in few} for row, record in good.items()}
        counts = {key: 0 for key in counts if key not in few}
    columns = {key: [""] * len(good) for key in counts}
    for place, record in enumerate(good.values()):
        for key, value in record.items():
            columns[key][place] = as_text(value)
    if few:
        columns[FURTHER] = [as_text(keys or None) for keys in rest]
    return pd.DataFrame(columns, index=list(good), columns=list(columns), dtype=object).rename(columns=str)


def as_text(value: object) -> str:
    """``value`` as text: "" where it is missing, JSON for a list or an object, bytes as UTF-8."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | dict):
        try:
            value = json.dumps(value, ensure_ascii=False, default=_inner)
        except (TypeError, RecursionError):
            value = str(value)
    elif value is None or value != value:
        return ""
    return str(value).encode("utf-8", "ignore").decode()  # JSON can hold half a character; no file can


def _inner(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def parquet_names(path: Path) -> list[str]:
    """The names of its columns; raises ValueError where it can't be read or has too many values to hold."""
    try:
        if path.is_dir():
            parts = _parts(path)
            if (rows := parts.count_rows()) * len(parts.schema) > _MOST_CELLS:
                raise ValueError(f"has {rows:,} rows of {len(parts.schema):,} columns: more than is read.")
            return parts.schema.names
        facts = pq.read_metadata(path)
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"can't be read as Parquet: {error}") from None
    size = sum(facts.row_group(group).total_byte_size for group in range(facts.num_row_groups))
    if facts.num_rows * facts.num_columns > _MOST_CELLS or size > _MOST_BYTES:
        what = f"{facts.num_rows:,} rows of {facts.num_columns:,} columns, {size:,} bytes unpacked"
        raise ValueError(f"has {what}: more than is read. Keep the columns and rows that are needed.")
    return names


def _parts(folder: Path) -> ds.Dataset:
    names = sorted(map(str, folder.rglob("*.parquet")))  # beside them may lie what a cluster wrote, such as _SUCCESS
    return ds.dataset(names, format="parquet", partitioning="hive", partition_base_dir=str(folder))


def read_parquet(path: Path) -> tuple[pd.DataFrame, dict]:
    """A Parquet file, or a folder of its parts, as a table of text, and facts. Raises ValueError as ``parquet_names``."""
    try:
        if path.is_dir():
            table = _parts(path).to_table()
        else:
            texts = [field.name for field in pq.read_schema(path) if _is_text(field.type)]
            table = pq.ParquetFile(path, read_dictionary=texts).read()
        columns = {name: _values(table.column(name), name) for name in table.column_names}
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"can't be read as Parquet: {error}") from None
    made = pd.DataFrame(columns, index=range(1, table.num_rows + 1), columns=table.column_names, dtype=object)
    return made, {"format": "Parquet", "rows": len(made), "refused": 0}


def _is_text(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _values(column: pa.ChunkedArray, name: str) -> list[str]:
    if pa.types.is_dictionary(column.type):
        return [value for chunk in column.chunks for value in _repeated(chunk, name)]
    if _is_text(column.type):
        column = column.cast(pa.large_binary())  # what is no UTF-8 in it becomes �
    try:
        values = column.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException, LookupError):  # a year beyond 9999, a time zone nobody knows
        try:
            values = pc.cast(_without_zone(column), pa.string()).to_pylist()
        except pa.ArrowException as error:
            raise ValueError(f"has values in its column {name!r} that can't be read: {error}") from None
    return [as_text(value) for value in values]


def _repeated(chunk: pa.DictionaryArray, name: str) -> list[str]:
    """Values that a file holds once each; a text of megabytes in each of a million rows would fill any memory."""
    values = _values(pa.chunked_array([chunk.dictionary]), name)
    places = chunk.indices.to_pylist()
    if sum(len(values[place]) for place in places if place is not None) > _MOST_BYTES:
        raise ValueError(f"has more than {_MOST_BYTES >> 30} GB of text in its column {name!r}: more than is read.")
    return ["" if place is None else values[place] for place in places]


def _without_zone(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.timestamp(column.type.unit)) if pa.types.is_timestamp(column.type) else column
