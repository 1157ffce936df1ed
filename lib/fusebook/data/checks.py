"""The person's table: every row checked, its text mended, its files looked into, and a reason for all that is refused.

Notebook 01_explore tells the story.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import ftfy
import numpy as np
import pandas as pd

from fusebook import runs
from fusebook.data import files, splits, tables
from fusebook.data.formats import labels, paths
from fusebook.data.tables import FEWEST_ROWS_PER_LABEL, PARTS, REASONS, REJECTED_COLUMNS
from fusebook.findings import graded
from fusebook.runs import Run

MUCH_REFUSED = 0.02  # share of the rows, or of the parts, from which what was refused is worth a look
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_NO_MERGES: Mapping[str, str] = MappingProxyType({})
_LINE_END = re.compile(r"\r\n?|[\x0b\x0c]")
_LOST = re.compile("\ufffd|\u951f\u65a4\u62f7")  # the mark for an unreadable character, also read as GBK


class Table:
    """The person's table: read, and every row checked and mended.

    Parameters
    ----------
    path : CSV, TSV, JSONL or Parquet, as seen from the current folder or from the project's
    columns : names of the table's columns by what they hold: text, image, audio, label; "" for none
    merge_labels : list of labels to merge, as ``labels.read_merges`` reads it; "" for none
    encoding : of a text file, such as "cp1252"; "" for the one that fits
    most_seconds : a longer sound is refused
    run : gets rejected.csv even where the table can't be used

    Attributes
    ----------
    content : the table as it came, every value as text, indexed by row number from 1
    rows : what goes on, as ``check_rows`` returns it; ``group_texts``, ``group_images`` and ``group_sounds`` add the column group
    rejected : what does not: row, part, reason, detail
    text_groups : the groups of copies among the texts alone, shape (n_rows,), once ``group_texts`` has looked

    Raises as ``read_table``, ``check_rows`` and ``labels.read_merges`` do.
    """

    def __init__(self, path: str | Path, columns: Mapping[str, str], *, merge_labels: str | Path = "", encoding: str = "",
                 most_seconds: float = files.MOST_SECONDS, run: Run | None = None):  # fmt: skip
        self.path, self.columns, self.merge_labels = runs.resolve(path), dict(columns), merge_labels
        self.merges = labels.read_merges(merge_labels) if merge_labels else {}
        lines = pd.DataFrame(columns=REJECTED_COLUMNS)
        try:
            self.content, lines, self._reading = tables.read(self.path, encoding, columns.values())
            self.columns = {part: tables.column_named(self.content, name) for part, name in columns.items()}
            folder = self.path.parent
            self.rows, parts = check_rows(
                self.content, columns=self.columns, folder=folder, merges=self.merges, most_seconds=most_seconds
            )
        except ValueError as error:
            if run:
                run.write("rejected.csv", pd.concat([lines, getattr(error, "rejected", None)], ignore_index=True))
            raise
        self.rejected = pd.concat([lines, parts], ignore_index=True)
        self._n_lines = len(self.content) + len(lines)

    def reasons(self) -> pd.DataFrame:
        """How often each part was refused for which reason, and what that means: part, reason, count, meaning."""
        counts = self.rejected.groupby(["part", "reason"]).size().rename("count").reset_index()
        return counts.assign(meaning=counts["reason"].map(REASONS))

    def reading(self) -> pd.DataFrame:
        """How the file was read: encoding, delimiter, and what became of its lines. One column, "value", as text.

        Header, rows, refused and blank lines, and the further lines of rows over several, add up to all lines.
        """
        return pd.Series({name: _shown(value) for name, value in self._reading.items()}, name="value").to_frame()

    def counts(self) -> dict[str, int]:
        """The rows that go on, of how many lines, and the whole rows and the parts that were refused."""
        whole = int(self.rejected["part"].eq("row").sum())
        return {"rows": len(self.rows), "lines": self._n_lines, "whole": whole, "parts": len(self.rejected) - whole}

    def verdicts(self) -> list[tuple[str, str, dict]]:
        """Key, grade and facts: how much was refused, serious from a tenth of the rows, or of the parts, on."""
        counts = self.counts()
        parts = int((self.rows[list(PARTS)] != "").sum().sum()) + counts["parts"]
        share = max(counts["whole"] / max(counts["lines"], 1), counts["parts"] / max(parts, 1))
        return [("rows", graded(share, MUCH_REFUSED, 5 * MUCH_REFUSED), counts), *self._none_found()]

    def _none_found(self) -> list[tuple[str, str, dict]]:
        """Key, grade and facts where none of the paths to pictures, or to sounds, leads to a file in the table's folder."""
        made, folder = [], self.path.parent
        for part, key in (("image", "no image found"), ("audio", "no audio found")):
            named = self.content[self.columns[part]].str.strip().ne("").sum() if self.columns.get(part) else 0
            none = self.rejected["reason"].isin(["FILE_MISSING", "OUTSIDE_FOLDER"])
            lost = self.rejected[self.rejected["part"].eq(part) & none]
            if 0 < named == len(lost):
                facts = {"count": len(lost), "row": int(lost["row"].iloc[0]), "folder": labels.shown(str(folder))}
                made.append((key, "serious", facts | {"path": paths.tried(lost["detail"].iloc[0], folder)}))
        return made

    def repairs(self) -> dict[str, int]:
        """How many rows had their text mended or their label tidied, and how many texts have lost characters."""
        tidied = (_names(self.rows["label_given"], {}) != self.rows["label_given"]).sum()
        lost = sum(map(has_lost_characters, self.rows["text"]))
        return {"mended": int(self.rows["text_repaired"].sum()), "tidied": int(tidied), "lost": lost}

    def label_twins(self) -> pd.DataFrame:
        """Labels that look alike, in all rows that were read: ``labels.twins``, without those that the list decides."""
        column = self.columns.get("label")
        names = _names(self.content[column] if column else pd.Series(dtype=str), self.merges)
        made = labels.twins(names[names != ""])
        return made[~made["from"].isin(self.merges)]

    def label_verdicts(self, run: Run) -> list[tuple[str, str, dict]]:
        """Key, grade and facts: what the list of labels to merge did, and labels that look alike, with how to merge them."""
        made, twins = [], self.label_twins()
        if self.merge_labels:
            given = _names(self.content[self.columns["label"]], {})  # before the list
            moved = {old for old, new in self.merges.items() if old != new}
            facts = {"rows": int(given.isin(moved).sum()), "labels": len(moved & set(given))}
            unknown = len(moved - set(given))
            made.append(("labels merged", "look" if unknown else "note", facts | {"unknown": unknown}))
        if len(twins):
            path = run.path("label_twins.csv")
            near = path.relative_to(runs.project_folder()) if path.is_relative_to(runs.project_folder()) else path
            facts = {"count": len(twins), "pairs": labels.pairs_text(twins), "file": shlex.quote(str(near))}
            made.append(("label twins left", "note", facts) if self.merge_labels else ("label twins", "look", facts))
        return made

    def group_texts(self, threshold: float) -> None:
        """Rows whose texts are copies get one ``group``, as ``splits.duplicate_texts`` finds them."""
        self.rows["group"] = self.text_groups = splits.duplicate_texts(self.rows["text"].tolist(), threshold=threshold)
        self._alike: dict[str, np.ndarray] = {}
        self._joined: dict[str, int] = {}

    def group_images(self) -> None:
        """Rows whose pictures are copies join the group of their texts, as ``splits.duplicate_images`` finds them."""
        self._join("a picture", splits.duplicate_images(self.rows["image"].tolist()))

    def group_sounds(self) -> None:
        """Rows whose sounds are one recording join their groups too, as ``splits.duplicate_sounds`` finds them."""
        self._join("a sound", splits.duplicate_sounds(self.rows["audio"].tolist()))

    def _join(self, name: str, alike: np.ndarray) -> None:
        """Keep the groups of one part, and join those of all parts; each part counts the rows that got company by it."""
        self._alike[name], groups = alike, self.text_groups
        for part, own in self._alike.items():
            wider = splits.join_groups(groups, own)
            before, now = (self.rows.groupby(by)["row"].transform("size") for by in (groups, wider))
            self._joined[f"rows joined by {part}"], groups = int((now > before).sum()), wider
        self.rows["group"] = groups

    def copies(self, most: int = 8) -> pd.DataFrame:
        """The first ``most`` rows that share their group with another, copies side by side: group, row, label, text."""
        return self._shared().sort_values(["group", "row"])[["group", "row", "label", "text"]].head(most)

    def copy_counts(self) -> pd.DataFrame:
        """How many rows share their group with another, in how many groups, and how many of these have two labels.

        After ``group_images`` and ``group_sounds`` also how many rows got company by these. One column, "count".
        """
        labels = self._shared().groupby("group")["label"].nunique()
        counts = {"rows with a copy": len(self._shared()), "groups": len(labels)}
        counts |= {"groups with two labels": int((labels > 1).sum())} | self._joined
        return pd.Series(counts, name="count").to_frame()

    def joined_verdicts(self) -> list[tuple[str, str, dict]]:
        """Key, grade and facts, where copies of a picture or a sound joined rows whose texts differ."""
        pictures, sounds = (self._joined.get(f"rows joined by {part}", 0) for part in ("a picture", "a sound"))
        return [("copies joined", "note", {"pictures": pictures, "sounds": sounds})] if pictures or sounds else []

    def _shared(self) -> pd.DataFrame:
        return self.rows[self.rows["group"].duplicated(keep=False)]

    def part_shares(self) -> pd.DataFrame:
        """The share of a label's rows that have each part, 0 to 1: labels as rows; text, image, audio as columns."""
        return (self.rows[list(PARTS)] != "").groupby(self.rows["label"]).mean()

    def media_facts(self) -> pd.DataFrame:
        """What can be said of pictures and sounds without a model, by label: ``files.media_facts``."""
        return files.media_facts(self.rows)

    def examples(self) -> pd.DataFrame:
        """The first row of each label that has all parts which the table has."""
        has = self.rows[list(PARTS)] != ""
        return self.rows[has.loc[:, has.any()].all(axis=1)].groupby("label", sort=False).head(1)

    def files(self) -> list[Path]:
        """The table's own path, those of all pictures and sounds that it names, there or not, and the list of merges."""
        columns = [self.columns[part] for part in ("image", "audio") if self.columns.get(part)]
        folder, merged = self.path.parent, [runs.resolve(self.merge_labels)] if self.merge_labels else []
        given = [path for column in columns for path in self.content[column] if path.strip()]
        named = [paths.with_slashes(path, folder) for path in given]
        return [self.path, *(folder / path for path in named if paths.full_path(path, folder)), *merged]

    def facts(self) -> dict:
        """Which table it is: path, checksum, columns, and its number of rows."""
        facts = {"table": str(self.path), "sha256": runs.fingerprint(self.path), "columns": self.columns}
        return {**facts, "rows": len(self.content), "reading": self._reading}

    def save(self, run: Run) -> None:
        """Write rows.parquet, rejected.csv and table.json to ``run``, and label_twins.csv where labels look alike.

        Where a list of labels to merge was given, label_twins.csv stays as it is: it may be that list.
        """
        run.write("rows.parquet", self.rows)
        run.write("rejected.csv", self.rejected)
        run.write("table.json", self.facts())
        if not self.merge_labels and len(twins := self.label_twins()):
            run.write("label_twins.csv", twins[labels.COLUMNS])
        elif not self.merge_labels:
            run.path("label_twins.csv").unlink(missing_ok=True)


def _shown(value: str | int) -> str:
    names = {"\t": "tab", " ": "blank", "": "–"}
    return f"{value:,}" if isinstance(value, int) else names.get(value, value)


def check_rows(
    table: pd.DataFrame,
    *,
    columns: Mapping[str, str],
    folder: str | Path,
    merges: Mapping[str, str] = _NO_MERGES,
    most_seconds: float = files.MOST_SECONDS,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check each row of ``table`` and say why a part or a row was refused: nothing is dropped without a line for it.

    A part (text, picture, sound) that can't be used is refused alone: its row goes on with the others. ``table`` is as
    ``read_table`` returns it, ``columns`` as in ``Table``; paths to pictures and sounds are relative to ``folder`` and
    must stay inside, where ``\\`` is taken for ``/`` if that finds the file. Labels become what ``labels.tidy`` makes of
    them, and then what ``merges`` says, such as ``labels.read_merges`` returns.

    Returns two tables: row, text, image, audio (absolute paths; "" where absent), text_repaired and, where there is a
    label, label and label_given; and what was refused: row, part, reason, detail. Raises ValueError where a named
    column is not in the table or stands for two parts, and where the table has labels but nothing can be learnt: no
    content, no word in any text, or fewer than two labels with rows enough.
    """
    columns = {part: name for part, name in columns.items() if name}
    _require_columns(table, columns)
    rows, lines = _check_texts(table, columns)
    for part in ("image", "audio"):
        paths = table[columns[part]] if part in columns else [""] * len(table)
        rows[part], refused = _check_files(part, rows["row"], paths, Path(folder), most_seconds)
        lines += refused
    keep = (rows[list(PARTS)] != "").any(axis=1)
    lines += [(row, "row", "NO_CONTENT", "") for row in rows.loc[~keep, "row"]]
    if "label" in columns:
        _require_content(rows, keep, lines, columns, Path(folder))
        rows["label_given"] = table[columns["label"]].to_numpy()
        rows["label"] = _names(rows["label_given"], merges).to_numpy()
        keep, refused = _check_labels(rows, keep, columns["label"], lines)
        lines += refused
    return rows[keep].reset_index(drop=True), pd.DataFrame(lines, columns=REJECTED_COLUMNS)


def _require_columns(table: pd.DataFrame, columns: Mapping[str, str]) -> None:
    for part, name in columns.items():
        if name not in table.columns:
            names = ", ".join(repr(column[:60]) for column in table.columns[:30])
            raise ValueError(f"The {part} column {name!r} is not in the table. Its columns: {names}.")
    for name in columns.values():
        if len(parts := [part for part, other in columns.items() if other == name]) > 1:
            raise ValueError(f"The column {name!r} is named for {' and '.join(parts)}. Name one column for each.")
    if not set(PARTS) & set(columns):
        raise ValueError("No column with content was named. Name at least one of text, image and audio.")


def _names(given: pd.Series, merges: Mapping[str, str]) -> pd.Series:
    """The name of each label as it goes on: tidied, and merged where ``merges`` says so."""
    tidied = {label: labels.tidy(label) for label in given.unique()}
    return given.map({label: merges.get(name, name) for label, name in tidied.items()}).astype(given.dtype)


def _require_content(
    rows: pd.DataFrame, keep: pd.Series, lines: list[tuple], columns: Mapping[str, str], folder: Path
) -> None:
    """Raise ValueError where no row has anything to learn from, saying of each part why."""
    texts, said = [text for text in rows["text"] if text], ""
    if texts and not any(letter.isalnum() for text in texts for letter in text):
        said = (
            f"No text in the column {columns['text']!r} has a word in it; the first is “{labels.shown(texts[0][:40])}”."
        )
        said += " Name another text column, or none."
    elif not keep.any():
        refused = {part: [line for line in lines if line[1] == part] for part in PARTS if part in columns}
        why = [paths.all_refused(part, columns[part], refused[part], folder) for part in refused]
        said = f"None of the {len(rows):,} rows has anything to learn from. {' '.join(why)}"
    if said:
        raise tables.TableError(said, pd.DataFrame(lines, columns=REJECTED_COLUMNS))


def _check_texts(table: pd.DataFrame, columns: Mapping[str, str]) -> tuple[pd.DataFrame, list[tuple]]:
    """The columns row, text and text_repaired, and a line for each empty text; no lines without a text column."""
    named = "text" in columns
    given = [_LINE_END.sub("\n", text) for text in table[columns["text"]]] if named else [""] * len(table)
    rows = pd.DataFrame({"row": table.index, "text": [repair_text(text) for text in given]})
    rows["text_repaired"] = [mended != text.strip() for mended, text in zip(rows["text"], given, strict=True)]
    empty = rows.loc[named & (rows["text"] == ""), "row"]
    return rows, [(row, "text", "TEXT_EMPTY", "") for row in empty]


def _check_files(
    part: str, numbers: Iterable[int], paths: Sequence[str], folder: Path, most_seconds: float
) -> tuple[list[str], list[tuple]]:
    """The absolute path of each usable file, "" for the others, and a line for each that was refused."""
    named = [(row, path) for row, path in zip(numbers, paths, strict=True) if path.strip()]
    look = partial(_check_path, part=part, folder=folder, most_seconds=most_seconds)
    checked = files.on_all_cores(look, [path for _, path in named], doing=f"checking {part} files")
    full = {row: path for (row, _), (path, _) in zip(named, checked, strict=True)}
    refused = [(*line, reason) for line, (_, reason) in zip(named, checked, strict=True) if reason]
    return [full.get(row, "") for row in numbers], [
        (row, part, reason, files.shown(path)) for row, path, reason in refused
    ]


def _check_path(path: str, part: str, folder: Path, most_seconds: float) -> tuple[str, str]:
    """The absolute path, or "", and the reason why it was refused, or ""."""
    full = paths.full_path(paths.with_slashes(path, folder), folder)
    if full and not full.is_relative_to(folder.resolve()):
        return "", "OUTSIDE_FOLDER"
    if not full or not full.is_file():
        return "", "FILE_MISSING"
    reason = files.check(part, full, most_seconds)
    return ("", reason) if reason else (str(full), "")


def _check_labels(
    rows: pd.DataFrame, keep: pd.Series, column: str, before: list[tuple]
) -> tuple[pd.Series, list[tuple]]:
    empty = keep & (rows["label"] == "")
    lines = [(row, "row", "LABEL_EMPTY", "") for row in rows.loc[empty, "row"]]
    keep = keep & ~empty
    counts = rows.loc[keep, "label"].value_counts()
    rare = keep & rows["label"].map(counts).lt(FEWEST_ROWS_PER_LABEL)
    lines += [(line.row, "row", "LABEL_RARE", line.label) for line in rows[rare].itertuples()]
    keep = keep & ~rare
    if rows.loc[keep, "label"].nunique() < 2:
        refused = pd.DataFrame([*before, *lines], columns=REJECTED_COLUMNS)
        raise tables.TableError(labels.too_few(counts, column, FEWEST_ROWS_PER_LABEL), refused)
    return keep, lines


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
