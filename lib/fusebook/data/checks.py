"""Check every row of a table: mend its text, look into its files, tidy its label, and say why a part was refused.

Notebook 01_explore tells the story.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import ftfy
import pandas as pd

from fusebook.data import files
from fusebook.data.tables import FEWEST_ROWS_PER_LABEL, PARTS, REASONS, REJECTED_COLUMNS

_FILE_CHECKS = {"image": files.check_image, "audio": files.check_audio}

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_LINE_END = re.compile(r"\r\n?|[\x0b\x0c]")
_LOST = re.compile("\ufffd|\u951f\u65a4\u62f7")  # the mark for an unreadable character, also read as GBK


def check_rows(
    table: pd.DataFrame, *, columns: Mapping[str, str], folder: str | Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check each row and say why a part or a row was refused; nothing is dropped without a line in ``rejected``.

    A part (text, picture, sound) that can't be used is refused alone: its row goes on with the others.

    Parameters
    ----------
    table : as ``tables.read_table`` returns it
    columns : names of the table's columns by what they hold: text, image, audio, label; "" for none
    folder : the table's folder; paths to pictures and sounds are relative to it and must stay inside

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
    rows, lines = _check_texts(table, columns)
    for part in ("image", "audio"):
        paths = table[columns[part]] if part in columns else [""] * len(table)
        rows[part], refused = _check_files(part, rows["row"], paths, Path(folder))
        lines += refused
    keep = (rows[list(PARTS)] != "").any(axis=1)
    lines += [(row, "row", "NO_CONTENT", "") for row in rows.loc[~keep, "row"]]
    if "label" in columns:
        rows["label_given"] = table[columns["label"]].to_numpy()
        rows["label"] = [unicodedata.normalize("NFKC", label).strip() for label in rows["label_given"]]
        keep, refused = _check_labels(rows, keep)
        lines += refused
    return rows[keep].reset_index(drop=True), pd.DataFrame(lines, columns=REJECTED_COLUMNS)


def _check_texts(table: pd.DataFrame, columns: Mapping[str, str]) -> tuple[pd.DataFrame, list[tuple]]:
    """The columns row, text and text_repaired, and a line for each empty text; no lines without a text column."""
    named = "text" in columns
    given = [_LINE_END.sub("\n", text) for text in table[columns["text"]]] if named else [""] * len(table)
    rows = pd.DataFrame({"row": table.index, "text": [repair_text(text) for text in given]})
    rows["text_repaired"] = [mended != text.strip() for mended, text in zip(rows["text"], given, strict=True)]
    empty = rows.loc[named & (rows["text"] == ""), "row"]
    return rows, [(row, "text", "TEXT_EMPTY", "") for row in empty]


def _check_files(
    part: str, numbers: Iterable[int], paths: Sequence[str], folder: Path
) -> tuple[list[str], list[tuple]]:
    """The absolute path of each usable file, "" for the others, and a line for each that was refused."""
    named = [(row, path) for row, path in zip(numbers, paths, strict=True) if path.strip()]
    look = partial(_check_path, part=part, folder=folder)
    checked = files.on_all_cores(look, [path for _, path in named], doing=f"checking {part} files")
    full = {row: path for (row, _), (path, _) in zip(named, checked, strict=True)}
    refused = [(*line, reason) for line, (_, reason) in zip(named, checked, strict=True) if reason]
    return [full.get(row, "") for row in numbers], [(row, part, reason, path) for row, path, reason in refused]


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


def has_lost_characters(text: str) -> bool:
    """Did a wrong encoding lose characters of ``text`` for good (the mark �, or 锟斤拷)? Nothing can mend it."""
    return bool(_LOST.search(text))


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


def _check_path(path: str, part: str, folder: Path) -> tuple[str, str]:
    """The absolute path, or "", and the reason why it was refused, or ""."""
    full = _full_path(path.strip(), folder)
    if full and not full.is_relative_to(folder.resolve()):
        return "", "OUTSIDE_FOLDER"
    if not full or not full.is_file():
        return "", "FILE_MISSING"
    reason = _FILE_CHECKS[part](full)
    return ("", reason) if reason else (str(full), "")


def _check_labels(rows: pd.DataFrame, keep: pd.Series) -> tuple[pd.Series, list[tuple]]:
    empty = keep & (rows["label"] == "")
    lines = [(row, "row", "LABEL_EMPTY", "") for row in rows.loc[empty, "row"]]
    keep = keep & ~empty
    counts = rows.loc[keep, "label"].value_counts()
    rare = keep & rows["label"].map(counts).lt(FEWEST_ROWS_PER_LABEL)
    lines += [
        (row, "row", "LABEL_RARE", label) for row, label in rows.loc[rare, ["row", "label"]].itertuples(index=False)
    ]
    keep = keep & ~rare
    if (kept := rows.loc[keep, "label"].nunique()) < 2:
        raise ValueError(
            f"The label column has {kept} label(s) with at least {FEWEST_ROWS_PER_LABEL} rows "
            f"(all counts: {counts.head(10).to_dict()}). Expected two or more: is it the right column?"
        )
    return keep, lines


# --- What the checks say, for the page ----------------------------------------------------------------


def count_reasons(rejected: pd.DataFrame) -> pd.DataFrame:
    """How often each part was refused for which reason, and what that means: part, reason, count, meaning."""
    counts = rejected.groupby(["part", "reason"]).size().rename("count").reset_index()
    return counts.assign(meaning=counts["reason"].map(REASONS))


def count_repairs(rows: pd.DataFrame) -> pd.DataFrame:
    """How many rows of ``check_rows`` had their text or label mended, or have lost characters; one column, "rows"."""
    counts = {
        "texts mended": rows["text_repaired"].sum(),
        "texts with lost characters": sum(map(has_lost_characters, rows["text"])),
        "labels tidied": (rows["label"] != rows["label_given"]).sum(),
    }
    return pd.Series(counts, name="rows", dtype=int).to_frame()


def part_shares(rows: pd.DataFrame) -> pd.DataFrame:
    """The share of a label's rows that have each part, 0 to 1: labels as rows; text, image, audio as columns."""
    return (rows[list(PARTS)] != "").groupby(rows["label"]).mean()


def example_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The first row of each label that has all parts which the table has."""
    has = rows[list(PARTS)] != ""
    return rows[has.loc[:, has.any()].all(axis=1)].groupby("label", sort=False).head(1)
