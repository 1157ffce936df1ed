"""The table: read it in any encoding, check every row, say why a part was refused, split without leaks.

Notebooks 01_explore and 02_preprocess tell the story.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import charset_normalizer
import ftfy
import numpy as np
import pandas as pd
from datasketch import MinHash, MinHashLSH
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split

PARTS = ("text", "image", "audio")
REJECTED_COLUMNS = ["row", "part", "reason", "detail"]
FEWEST_ROWS_PER_LABEL = 5  # fewer can't be in training, validation and test rows at once

REASONS = {
    "FIELD_COUNT": "the line has another number of fields than the header",
    "LABEL_EMPTY": "no label",
    "LABEL_RARE": f"a label with fewer than {FEWEST_ROWS_PER_LABEL} rows can't be split and learnt",
    "NO_CONTENT": "no text, picture or sound is left in the row",
    "TEXT_EMPTY": "the text is empty",
    "FILE_MISSING": "no file at this path",
    "OUTSIDE_FOLDER": "the path leads out of the table's folder",
    "IMAGE_BROKEN": "the file can't be decoded as a picture",
    "IMAGE_TOO_LARGE": "the picture has too many pixels to decode safely",
    "AUDIO_BROKEN": "the file can't be decoded as sound",
    "AUDIO_EMPTY": "the sound has no samples",
    "AUDIO_NOT_FINITE": "the sound has samples that are not finite numbers",
}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def read_table(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a CSV, TSV, JSONL or Parquet table.

    Text files may be in any encoding that charset-normalizer recognises. A TSV is read without quoting, as its
    media type says; a CSV may use comma, semicolon or tab.

    Returns
    -------
    table : DataFrame of strings of shape (n_rows, n_columns), indexed by row number from 1; "" where a value is missing
    rejected : DataFrame with the columns row, part, reason, detail: lines with a wrong number of fields

    Raises
    ------
    FileNotFoundError, ValueError
        Where there is no file, an unknown ending, or nothing in the table.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No table at {path}. Pass the path of a CSV, TSV, JSONL or Parquet file.")
    ending = path.suffix.lower()
    rejected = _rejected([])
    if ending in {".csv", ".tsv", ".txt"}:
        table, rejected = _read_delimited(_decode(path), ending)
    elif ending in {".jsonl", ".ndjson"}:
        table = pd.read_json(io.StringIO(_decode(path)), lines=True, dtype=False)
    elif ending in {".parquet", ".pq"}:
        table = pd.read_parquet(path)
    else:
        raise ValueError(
            f"{path.name} ends in {ending!r}; expected .csv, .tsv, .txt, .jsonl or .parquet. Convert it first."
        )
    if table.empty:
        raise ValueError(f"{path} has no rows. Expected a header line and at least one row below it.")
    if ending not in {".csv", ".tsv", ".txt"}:
        table = table.map(lambda value: "" if pd.isna(value) else str(value))
        table.index = pd.RangeIndex(1, len(table) + 1)
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
    header_line = content.split("\n", 1)[0]
    delimiter = "\t" if ending == ".tsv" else max(",;\t", key=header_line.count)
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    csv.field_size_limit(2**31 - 1)
    lines = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, quoting=quoting)
    header = next(lines, [])
    numbered = [(row, fields) for row, fields in enumerate((line for line in lines if line), start=1)]
    good = [(row, fields) for row, fields in numbered if len(fields) == len(header)]
    table = pd.DataFrame(
        [fields for _, fields in good], columns=header, index=[row for row, _ in good], dtype=str
    )
    bad = [
        (row, "row", "FIELD_COUNT", f"{len(fields)} fields, header has {len(header)}")
        for row, fields in numbered
        if len(fields) != len(header)
    ]
    return table, _rejected(bad)


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
    given = table[columns["text"]] if "text" in columns else pd.Series([""] * len(table), dtype=str)
    rows["text"] = [repair_text(text) for text in given]
    rows["text_repaired"] = rows["text"].to_numpy() != np.array(
        [str(text).strip() for text in given], dtype=object
    )
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
    text = _CONTROL.sub("", str(text)).strip()
    mended = ftfy.fix_encoding(text)
    if mended == text and not text.isascii():
        try:  # Chinese of any length that happens to be valid UTF-8 in GBK bytes is mojibake, not chance.
            mended = text.encode("gb18030").decode("utf-8") if len(text) > 5 else text
        except UnicodeError:
            mended = text
    return mended


def media_paths(table: pd.DataFrame, *, columns: Mapping[str, str], folder: str | Path) -> list[Path]:
    """The paths of all pictures and sounds that ``table`` names, whether a file is there or not."""
    named = [columns[part] for part in ("image", "audio") if columns.get(part)]
    return [Path(folder) / path for name in named for path in table[name] if path.strip()]


def _check_path(path: str, folder: Path, check: Callable[[Path], str]) -> tuple[str, str]:
    """The absolute path, or "", and the reason why it was refused, or ""."""
    if not path.strip():
        return "", ""
    full = (folder / path.strip()).resolve()
    if not full.is_relative_to(folder.resolve()):
        return "", "OUTSIDE_FOLDER"
    if not full.is_file():
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
            f"(all counts: {dict(counts.head(10))}). Expected two or more: is it the right column?"
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
    index = MinHashLSH(threshold=0.8 * threshold, num_perm=permutations)
    shingles_of = dict(zip(distinct.values(), shingles, strict=True))
    pairs = [(i, distinct[text]) for i, text in enumerate(normalised) if text]
    for (first, own), minhash in zip(shingles_of.items(), hashes, strict=True):
        for other in index.query(
            minhash
        ):  # candidates: the hash may err, the count of shared shingles does not
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

    Returns an array of str of shape (n_rows,). Raises ValueError where a share leaves a split without rows.
    """
    for name, share in (("test_share", test_share), ("validation_share", validation_share)):
        if not 0 < share < 0.9:
            raise ValueError(f"{name} is {share}; expected a share between 0 and 0.9, such as 0.2.")
    table = pd.DataFrame({"label": np.asarray(labels), "group": groups})
    heads = table.groupby("group", sort=False)["label"].first()  # one label a group decides where it goes
    rest, test = _stratified(heads, test_share, random_state)
    _, validation = _stratified(heads[rest], validation_share / (1 - test_share), random_state)
    split = pd.Series("train", index=heads.index, dtype=object)
    split[test], split[validation] = "test", "validation"
    return table["group"].map(split).to_numpy(dtype=str)


def _stratified(heads: pd.Series, share: float, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    counts = heads.map(heads.value_counts())
    stratify = heads.where(
        counts > 1, "\x00rest"
    )  # a label left with one group can't be stratified by itself
    if stratify.value_counts().min() < 2:
        stratify = stratify.where(stratify != "\x00rest", stratify.mode()[0])
    return train_test_split(
        heads.index.to_numpy(), test_size=share, stratify=stratify, random_state=random_state
    )
