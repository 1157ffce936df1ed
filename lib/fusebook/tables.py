"""The table: read it in any encoding, check every row, say why a part was refused, split without leaks.

Notebooks 01_explore and 02_preprocess tell the story.
"""

import csv
import io
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import charset_normalizer
import ftfy
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from datasketch import MinHash, MinHashLSH
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split

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

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_HEADER_LINE = re.compile(r'[\r\n]*((?:"[^"]*"|[^\r\n])*)')
_LINE_END = re.compile(r"\r\n?|[\x0b\x0c]")
_DELIMITED, _JSON_LINES, _PARQUET = {".csv", ".tsv", ".txt"}, {".jsonl", ".ndjson"}, {".parquet", ".pq"}


def read_table(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a CSV, TSV, JSONL or Parquet table.

    Text files may be in any encoding that charset-normalizer recognises. A TSV is read without quoting, as its
    media type says; a CSV may use comma, semicolon or tab.

    Returns
    -------
    table : DataFrame of strings of shape (n_rows, n_columns), indexed by row number from 1; "" where a value is missing
    rejected : DataFrame with the columns row, part, reason, detail: lines that are not as the header or JSON says

    Raises
    ------
    FileNotFoundError, ValueError
        Where there is no file, an unknown ending, nothing in the table, or a column name that stands twice.
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
        table, rejected = _read_parquet(path), _rejected([])
    else:
        raise ValueError(
            f"{path.name} ends in {ending!r}; expected .csv, .tsv, .txt, .jsonl or .parquet. Convert it first."
        )
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
            raise ValueError(
                f"{path} is in no encoding that could be recognised. Save it as UTF-8."
            ) from None
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
        raise ValueError(
            f"The table has several columns named {', '.join(map(repr, twice))}. Give each a name of its own."
        )


def _read_json_lines(content: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    good, bad = {}, []
    for row, line in enumerate((line for line in content.split("\n") if line.strip()), start=1):
        try:
            good[row] = json.loads(line)
        except (ValueError, RecursionError) as error:
            bad.append((row, "row", "LINE_BROKEN", str(error)))
    bad += [
        (row, "row", "LINE_BROKEN", "no object") for row, value in good.items() if not isinstance(value, dict)
    ]
    good = {row: value for row, value in good.items() if isinstance(value, dict)}
    return _as_table(list(good.values()), list(good)), _rejected(sorted(bad))


def _read_parquet(path: Path) -> pd.DataFrame:
    _refuse_twins(pq.read_schema(path).names)
    records = pq.read_table(path).to_pylist()  # through pandas whole numbers beside a missing one become 1.0
    return _as_table(records, list(range(1, len(records) + 1)))


def _as_table(records: list[dict], numbers: list[int]) -> pd.DataFrame:
    table = pd.DataFrame(records, index=numbers, dtype=object)
    return table.rename(columns=str).map(_as_text)


def _as_text(value: object) -> str:
    """``value`` as text: "" where it is missing, JSON for a list or an object."""
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    elif value is None or value != value:
        return ""
    return str(value).encode("utf-8", "ignore").decode()  # JSON can hold half a character; no file can


def _rejected(lines: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=REJECTED_COLUMNS)


def check_rows(
    table: pd.DataFrame,
    *,
    columns: Mapping[str, str],
    folder: str | Path,
    file_checks: Mapping[str, Callable[[Path], str]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check each row and say why a part or a row was refused; nothing is dropped without a line in ``rejected``.

    A part (text, picture, sound) that can't be used is refused alone: its row goes on with the others.

    Parameters
    ----------
    table : as ``read_table`` returns it
    columns : names of the table's columns by what they hold: text, image, audio, label; "" for none
    folder : the table's folder; paths to pictures and sounds are relative to it and must stay inside
    file_checks : {"image": check_image, "audio": check_audio}: path to reason code, "" for a good file

    Returns
    -------
    rows : DataFrame with row, text, image, audio (absolute paths; "" where absent), label (where there is one),
        label_given, text_repaired
    rejected : DataFrame with row, part, reason, detail

    Raises
    ------
    ValueError
        Where a named column is not in the table, no column holds content, or there is only one label.
    """
    columns = {part: name for part, name in columns.items() if name}
    _require_columns(table, columns)
    rows = pd.DataFrame({"row": table.index})
    lines: list[tuple] = []
    given = (
        [_LINE_END.sub("\n", text) for text in table[columns["text"]]]
        if "text" in columns
        else [""] * len(table)
    )
    rows["text"] = [repair_text(text) for text in given]
    rows["text_repaired"] = [mended != text.strip() for mended, text in zip(rows["text"], given, strict=True)]
    if "text" in columns:
        lines += [(row, "text", "TEXT_EMPTY", "") for row in rows.loc[rows["text"] == "", "row"]]
    for part in ("image", "audio"):
        paths = table[columns[part]] if part in columns else pd.Series([""] * len(table), dtype=str)
        checked = [_check_path(path, Path(folder), file_checks[part]) for path in paths]
        rows[part] = [path for path, _ in checked]
        lines += [
            (row, part, reason, path)
            for row, path, (_, reason) in zip(rows["row"], paths, checked, strict=True)
            if reason
        ]
    has_content = (rows[list(PARTS)] != "").any(axis=1)
    lines += [(row, "row", "NO_CONTENT", "") for row in rows.loc[~has_content, "row"]]
    keep = has_content
    if "label" in columns:
        rows["label_given"] = table[columns["label"]].to_numpy()
        rows["label"] = [unicodedata.normalize("NFKC", label).strip() for label in rows["label_given"]]
        keep, label_lines = _check_labels(rows, keep)
        lines += label_lines
    return rows[keep].reset_index(drop=True), _rejected(lines)


def _require_columns(table: pd.DataFrame, columns: Mapping[str, str]) -> None:
    for part, name in columns.items():
        if name not in table.columns:
            raise ValueError(
                f"The {part} column {name!r} is not in the table. Its columns: {', '.join(map(repr, table.columns))}."
            )
    if not set(PARTS) & set(columns):
        raise ValueError("No column with content was named. Name at least one of text, image and audio.")


def repair_text(text: str) -> str:
    """``text`` without control characters and outer blanks, its mojibake mended (ftfy; also UTF-8 read as GBK)."""
    text = _CONTROL.sub("", _LINE_END.sub("\n", text))
    mended = ftfy.fix_encoding(text)
    return (_mend_gbk(text) if mended == text else mended).strip()


def _mend_gbk(text: str) -> str:
    """UTF-8 that was read as GBK becomes what it was; other text stays as it is."""
    if sum(character > "\x7f" for character in text) < 6:
        return text  # a few Chinese characters may be valid UTF-8 in GBK bytes by chance
    try:
        mended = text.encode("gb18030").decode("utf-8")
    except UnicodeError:
        return text
    # Clean Chinese that passes by chance turns into letters of two bytes, one for one; mojibake into Chinese of three.
    long = sum(character >= "\u0800" for character in mended)
    return mended if 2 * long > sum(character > "\x7f" for character in mended) else text


def media_paths(table: pd.DataFrame, *, columns: Mapping[str, str], folder: str | Path) -> list[Path]:
    """The paths of all pictures and sounds that ``table`` names, whether a file is there or not."""
    named = [columns[part] for part in ("image", "audio") if columns.get(part)]
    paths = [path.strip() for name in named for path in table[name] if path.strip()]
    return [Path(folder) / path for path in paths if _full_path(path, Path(folder))]


def _full_path(path: str, folder: Path) -> Path | None:
    """The absolute path, links followed; None where no file can have it (too long, a NUL byte, links in a circle)."""
    try:
        full = (folder / path).resolve()
        full.exists()
    except (OSError, RuntimeError, ValueError):
        return None
    return full


def _check_path(path: str, folder: Path, check: Callable[[Path], str]) -> tuple[str, str]:
    """The absolute path, or "", and the reason why it was refused, or ""."""
    if not path.strip():
        return "", ""
    full = _full_path(path.strip(), folder)
    if full and not full.is_relative_to(folder.resolve()):
        return "", "OUTSIDE_FOLDER"
    if not full or not full.is_file():
        return "", "FILE_MISSING"
    reason = check(full)
    return ("", reason) if reason else (str(full), "")


def _check_labels(rows: pd.DataFrame, keep: pd.Series) -> tuple[pd.Series, list[tuple]]:
    empty = keep & (rows["label"] == "")
    lines = [(row, "row", "LABEL_EMPTY", "") for row in rows.loc[empty, "row"]]
    keep = keep & ~empty
    counts = rows.loc[keep, "label"].value_counts()
    rare = keep & rows["label"].map(counts).lt(FEWEST_ROWS_PER_LABEL)
    lines += [
        (row, "row", "LABEL_RARE", label)
        for row, label in rows.loc[rare, ["row", "label"]].itertuples(index=False)
    ]
    keep = keep & ~rare
    if (kept := rows.loc[keep, "label"].nunique()) < 2:
        raise ValueError(
            f"The label column has {kept} label(s) with at least {FEWEST_ROWS_PER_LABEL} rows "
            f"(all counts: {counts.head(10).to_dict()}). Expected two or more: is it the right column?"
        )
    return keep, lines


def find_duplicates(texts: list[str], *, threshold: float = 0.8, permutations: int = 128) -> np.ndarray:
    """Group texts that are the same or nearly so (MinHash over 3-character shingles; Broder, 1997).

    Returns an int array of shape (n_texts,): rows with the same number belong together; an empty text stands alone.
    """
    normalised = ["".join(text.lower().split()) for text in texts]
    distinct = {text: i for i, text in reversed(list(enumerate(normalised))) if text}
    shingles = [{text[j : j + 3].encode() for j in range(max(1, len(text) - 2))} for text in distinct]
    hashes = MinHash.bulk(shingles, num_perm=permutations, seed=1)
    # Of two errors the index should rather make the harmless one: a candidate too many, not a pair too few.
    index = MinHashLSH(threshold=0.8 * threshold, num_perm=permutations, weights=(0.1, 0.9))
    shingles_of = dict(zip(distinct.values(), shingles, strict=True))
    pairs = [(i, distinct[text]) for i, text in enumerate(normalised) if text]
    for (first, own), minhash in zip(shingles_of.items(), hashes, strict=True):
        for other in index.query(minhash):  # the hash may err, the count of shared shingles does not
            if len(own & shingles_of[other]) >= threshold * len(own | shingles_of[other]):
                pairs.append((first, other))
        index.insert(first, minhash)
    left, right = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(len(texts), len(texts)))
    return connected_components(graph, directed=False)[1]


def split_rows(
    labels: pd.Series,
    groups: np.ndarray,
    *,
    test_share: float = 0.2,
    validation_share: float = 0.1,
    random_state: int = 42,
) -> np.ndarray:
    """Split rows into train, validation and test, stratified by label; a group never stands on two sides.

    Without duplicates the test rows are those of scikit-learn's ``train_test_split(stratify=labels)``.

    A table so small that its share has fewer rows than there are labels gives one row a label.

    Returns an array of str of shape (n_rows,). Raises ValueError where a share leaves a split without rows.
    """
    for name, share in (("test_share", test_share), ("validation_share", validation_share)):
        if not 0 < share < 0.9:
            raise ValueError(f"{name} is {share}; expected a share between 0 and 0.9, such as 0.2.")
    if test_share + validation_share > 0.95:
        raise ValueError(
            f"test_share and validation_share add up to {test_share + validation_share:.2f}, which leaves too few rows "
            "to train on; expected at most 0.95, such as 0.2 and 0.1."
        )
    table = pd.DataFrame({"label": np.asarray(labels), "group": groups})
    heads = table.groupby("group", sort=False)["label"].first()  # one label a group decides where it goes
    rest, test = _stratified(heads, test_share, random_state)
    _, validation = _stratified(heads[rest], validation_share / (1 - test_share), random_state)
    split = pd.Series("train", index=heads.index, dtype=object)
    split[test], split[validation] = "test", "validation"
    return table["group"].map(split).to_numpy(dtype=str)


def _stratified(heads: pd.Series, share: float, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Names of the groups that stay and of those taken out; a label's only group stays, to be learnt from."""
    alone = heads.map(heads.value_counts()) == 1
    several = heads[~alone]
    n_labels = several.nunique()
    taken = max(math.ceil(share * len(several)), n_labels)
    if not n_labels or len(several) - taken < n_labels:
        raise ValueError(
            f"Too few rows to split: {len(heads)} left that differ, of {heads.nunique()} label(s), and {taken} would be "
            "taken out. Add rows, or choose smaller shares."
        )
    stay, out = train_test_split(
        several.index.to_numpy(), test_size=taken, stratify=several, random_state=random_state
    )
    return np.concatenate([stay, heads.index[alone]]), out
