"""Build the sample table from the written items: draw the parts, plant the faults, write the files.

A workbook about cleaning and fusing data needs a table whose faults are known, so that a reader can check
what was found against what was planted. Everything comes from SEED: the same seed gives the same bytes.
Run it as `python data/sample/make_sample.py`; it replaces the tables and the folders images/ and audio/.
"""

import csv
import dataclasses
import json
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from make_audio import write_audio
from make_images import write_images

HERE = Path(__file__).resolve().parent
SEED = 20240229

# One source file per class, in the order that makes the row numbers before shuffling.
CLASSES = {"politics": "时政", "economy": "财经", "technology": "科技", "sports": "体育", "culture": "文娱"}
SHARES = {"image": 0.9, "audio": 0.8}  # share of rows that have the part
GENERIC_SHARE = 0.2  # share of pictures that fit any class, and of sounds that are only room noise
FOLDERS = {"image": "images", "audio": "audio"}
ENDINGS = {"image": "png", "audio": "flac"}

COPIES = 12  # rows of each kind of duplicate, added on top of the written items
WRONG_LABELS = 30
NEAR = 0.85  # a near duplicate shares at least this much of its character 3-grams with its original
WRONG_FILE = b"This text was saved with the ending of another format.\n"

# In UTF-8 these marks hold a byte that is never valid in GBK text, so they would be lost for good. Before a text
# is garbled that way, it is set with the full-width point, comma and plain space, as many textbooks are.
SAFE_MARKS = {"latin-1": {}, "gb18030": str.maketrans({"。": "．", "、": "，", "\u3000": " "})}

# Words that can stand for each other in any news item, for near duplicates.
SWAPS = (
    ("昨日", "昨天"),
    ("昨天", "昨日"),
    ("如今", "现在"),
    ("目前", "眼下"),
    ("因为", "由于"),
    ("如果", "要是"),
    ("但是", "可是"),
    ("立刻", "马上"),
    ("仍然", "依然"),
)


@dataclass
class Row:
    """One row of the table, with what the table itself does not tell: the true class and how parts are made."""

    id: str
    text: str
    label: str
    truth: str  # the picture and the sound follow this class, also where the label is wrong
    has: dict[str, bool]
    generic: dict[str, bool]
    between: str | None = None
    english: str | None = None

    def path(self, part: str) -> str:
        """Return the path of the picture or sound as the table writes it, "" where the row has none."""
        return f"{FOLDERS[part]}/{self.id}.{ENDINGS[part]}" if self.has[part] else ""


def read_items(folder: Path = HERE / "source") -> list[dict]:
    """Read the written items in a fixed order, each with its class as label."""
    return [item | {"label": label} for name, label in CLASSES.items() for item in read_lines(folder / f"{name}.jsonl")]


def read_lines(path: Path) -> list[dict]:
    """Read a file with one JSON object per line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def join_text(item: dict) -> str:
    """Join title and body by one ideographic space, as a table with a single text column would hold them."""
    return f"{item['title']}\u3000{item['body']}"


def join_english(item: dict) -> str | None:
    """Join the English title and body, with a full stop where the title has no end mark of its own."""
    if "title_en" not in item:
        return None
    title, closers = item["title_en"], "\"'”’"
    mark = "" if title.rstrip(closers).endswith((".", "?", "!")) else "."
    return f"{title}{mark} {item['body_en']}"


def draw_parts(rng: np.random.Generator) -> dict[str, dict[str, bool]]:
    """Draw which parts a row has and which of them tell nothing, each independently of the others."""
    has = {part: bool(rng.random() < share) for part, share in SHARES.items()}
    return {"has": has, "generic": {part: bool(rng.random() < GENERIC_SHARE) for part in SHARES}}


def make_row(item: dict, name: str, rng: np.random.Generator) -> Row:
    """Make a row without faults."""
    label = item["label"]
    return Row(
        name, join_text(item), label, label, **draw_parts(rng), between=item.get("between"), english=join_english(item)
    )


def make_table(items: Sequence[dict]) -> tuple[list[Row], list[tuple[str, str, str]]]:
    """Make all rows in the table's order, and the list of planted faults as (id, kind, detail).

    Ids are given after shuffling, so that neither the class nor a duplicate can be read off an id.
    """
    rng = np.random.default_rng(SEED)
    numbers = rng.permutation(len(items) + 2 * COPIES) + 1
    names = [f"n{number:04d}" for number in numbers]
    rows = [make_row(item, name, rng) for item, name in zip(items, names, strict=False)]
    planter = Planter(rows, names[len(items) :], rng)
    planter.plant()
    return sorted(rows + planter.copies, key=lambda row: row.id), sorted(planter.planted)


def make_new_rows(items: Iterable[dict]) -> list[Row]:
    """Make the rows for prediction, which have no faults."""
    rng = np.random.default_rng(SEED + 1)
    return [make_row(item, f"new{number:02d}", rng) for number, item in enumerate(items, start=1)]


# --- Planting -----------------------------------------------------------------------------------------


class Planter:
    """Plant faults into rows, at most one per row, and note every one of them."""

    def __init__(self, rows: list[Row], spare_names: Sequence[str], rng: np.random.Generator) -> None:
        self.rows = rows
        self.free = list(rows)  # rows without a fault that no duplicate refers to
        self.spare_names = list(spare_names)
        self.rng = rng
        self.copies: list[Row] = []
        self.planted: list[tuple[str, str, str]] = []

    def plant(self) -> None:
        """Plant all faults, those that fit few rows first."""
        self.garble("latin-1", 3)
        self.garble("gb18030", 3)
        for edit in EDITS:
            self.duplicate(edit, COPIES // len(EDITS))
        self.duplicate(None, COPIES)
        self.empty_texts(6)
        for part in SHARES:
            self.mark("broken_" + part, part, "truncated", 3)
            self.mark("broken_" + part, part, "not a " + {"image": "picture", "audio": "sound"}[part], 3)
            self.mark("missing_file", part, part, 2)
        self.wrong_labels()
        self.odd_labels()

    def take(self, fits: Callable[[Row], bool], count: int) -> list[Row]:
        """Choose rows at random among those that fit and are still free, and use them up."""
        fitting = [row for row in self.free if fits(row)]
        chosen = [fitting[index] for index in self.rng.choice(len(fitting), count, replace=False)]
        self.free = [row for row in self.free if not any(row is other for other in chosen)]
        return chosen

    def note(self, row: Row, kind: str, detail: str = "") -> None:
        """Add a fault to the list."""
        self.planted.append((row.id, kind, detail))

    def garble(self, encoding: str, count: int) -> None:
        """Garble texts as a program does that reads UTF-8 in the wrong encoding."""
        for row in self.take(lambda row: garbled(row.text, encoding) is not None, count):
            row.text = garbled(row.text, encoding)
            self.note(row, "mojibake", encoding)

    def duplicate(self, edit: Callable[[str], str] | None, count: int) -> None:
        """Add copies of rows, with an edit for near duplicates; a copy has a picture and sound of its own."""
        kind = "exact_duplicate" if edit is None else "near_duplicate"
        change = edit or str
        fits = (lambda row: True) if edit is None else (lambda row: is_near(row.text, change(row.text)))
        for original in self.take(fits, count):
            name = self.spare_names.pop()
            changed = {"id": name, "text": change(original.text), "english": None}
            copy = dataclasses.replace(original, **changed, **draw_parts(self.rng))
            self.copies.append(copy)
            self.note(copy, kind, original.id)

    def empty_texts(self, count: int) -> None:
        """Empty the text of rows that keep a picture or a sound."""
        for row in self.take(lambda row: any(row.has.values()), count):
            row.text = ""
            self.note(row, "empty_text")

    def mark(self, kind: str, part: str, detail: str, count: int) -> None:
        """Choose rows whose file will be broken or left out when files are written."""
        for row in self.take(lambda row: row.has[part], count):
            self.note(row, kind, detail)

    def wrong_labels(self) -> None:
        """Give wrong labels: half where two classes meet, as people err there, and half anywhere else."""
        half = WRONG_LABELS // 2
        for row in self.take(lambda row: row.between is not None, half):
            row.label = row.between
            self.note(row, "wrong_label", row.truth)
        for row in self.take(lambda row: row.between is None, WRONG_LABELS - half):
            others = [label for label in CLASSES.values() if label != row.truth]
            row.label = others[self.rng.integers(len(others))]
            self.note(row, "wrong_label", row.truth)

    def odd_labels(self) -> None:
        """Put spaces around two labels, which makes classes of their own if nobody looks."""
        for row, (before, after) in zip(
            self.take(lambda row: True, 2), ((" ", "  "), ("\u3000", "\u3000")), strict=True
        ):
            row.label = before + row.label + after
            self.note(row, "odd_label", row.truth)


def garbled(text: str, encoding: str) -> str | None:
    """Read the text's UTF-8 bytes in another encoding; None where that could not be undone.

    Spaces at the ends also count as lost, because most programs strip them.
    """
    raw = text.translate(SAFE_MARKS[encoding]).encode()
    try:
        wrong = raw.decode(encoding)
        undone = wrong.strip().encode(encoding) == raw
    except UnicodeError:
        return None
    return wrong if undone else None


def grams(text: str) -> set[str]:
    """Return the set of character 3-grams."""
    return {text[start : start + 3] for start in range(len(text) - 2)}


def jaccard(one: str, other: str) -> float:
    """Return how much two texts share of their character 3-grams, from 0 to 1."""
    return len(grams(one) & grams(other)) / len(grams(one) | grams(other))


def is_near(one: str, other: str) -> bool:
    """Tell whether two texts differ, but little."""
    return one != other and jaccard(one, other) >= NEAR


def change_number(text: str) -> str:
    """Raise the last whole number by one, as in a corrected report."""
    numbers = list(re.finditer(r"(?<![\d.])\d+(?![\d.])", text))
    if not numbers:
        return text
    start, end = numbers[-1].span()
    return f"{text[:start]}{int(text[start:end]) + 1}{text[end:]}"


def swap_words(text: str) -> str:
    """Replace the first of the SWAPS that occurs, once."""
    for old, new in SWAPS:
        if old in text:
            return text.replace(old, new, 1)
    return text


def drop_clause(text: str) -> str:
    """Drop the last clause, as in a report cut to length; a clause that closes a quotation stays."""
    return re.sub(r"，[^，。；：？！“”‘’（）《》]+。$", "。", text)


def change_marks(text: str) -> str:
    """Write a comma for the first semicolon and leave out the last full stop."""
    return text.replace("；", "，", 1).removesuffix("。") if "；" in text else text


EDITS = (change_number, swap_words, drop_clause, change_marks)


# --- Writing ------------------------------------------------------------------------------------------


def media_rows(rows: Iterable[Row], part: str) -> list[tuple[str, str, bool, int]]:
    """Return (name, class, generic, seed) for every row that has the part."""
    return [(row.id, row.truth, row.generic[part], media_seed(row.path(part))) for row in rows if row.has[part]]


def media_seed(path: str) -> int:
    """Return a seed that depends on the path alone, so that a change of one row redraws no other."""
    return zlib.crc32(f"{SEED} {path}".encode())


def write_media(rows: Sequence[Row], folder: Path) -> None:
    """Draw all pictures and sounds afresh."""
    for part, write in (("image", write_images), ("audio", write_audio)):
        target = folder / FOLDERS[part]
        for old in target.glob(f"*.{ENDINGS[part]}"):
            old.unlink()
        write(media_rows(rows, part), target)


def spoil_media(rows: Iterable[Row], planted: Iterable[tuple[str, str, str]], folder: Path) -> None:
    """Break or remove the files of the rows that were chosen for it."""
    by_id = {row.id: row for row in rows}
    for name, kind, detail in planted:
        if kind == "missing_file":
            (folder / by_id[name].path(detail)).unlink()
        elif kind.startswith("broken_"):
            path = folder / by_id[name].path(kind.removeprefix("broken_"))
            raw = path.read_bytes()
            path.write_bytes(raw[: len(raw) // 3] if detail == "truncated" else WRONG_FILE)


def write_table(path: Path, header: str, lines: Iterable[Sequence[str]]) -> None:
    """Write a CSV file in UTF-8 with the same line ends on every system."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(lines)


def main() -> None:
    """Write every file of the sample."""
    rows, planted = make_table(read_items())
    new_rows = make_new_rows(read_lines(HERE / "source" / "new_items.jsonl"))
    table = [(row.id, row.text, row.path("image"), row.path("audio"), row.label) for row in rows]
    write_table(HERE / "news.csv", "id,text,image,audio,label", table)
    write_table(HERE / "planted.csv", "id,kind,detail", planted)
    english = [(row.id, row.english, row.truth) for row in rows if row.english]
    write_table(HERE / "news_en.csv", "id,text,label", english)
    new_table = [(row.id, row.text, row.path("image"), row.path("audio")) for row in new_rows]
    write_table(HERE / "new_items.csv", "id,text,image,audio", new_table)
    write_table(HERE / "new_items_labels.csv", "id,label", [(row.id, row.truth) for row in new_rows])
    write_media(rows + new_rows, HERE)
    spoil_media(rows, planted, HERE)
    print(f"{len(rows)} rows, {len(planted)} planted faults, {len(new_rows)} new items in {HERE}")


if __name__ == "__main__":
    main()
