"""The well-known sets that ``fusebook fetch`` reads: their facts, their files as one table, what differs from the facts.

The facts (source, terms, citation, checksums, counts) stand in ``assets/datasets.toml``. A set's files are a dict of
path to bytes, as ``fetch.read_files`` makes it. Their faults stay in the table: duplicates, stray quotes, empty texts.
"""

import csv
import hashlib
import io
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import resources

import numpy as np
import pandas as pd
from PIL import Image

_HOUSE_SPLITS = {"train.txt": "train", "dev.txt": "validation", "test.txt": "test"}
_HOUSE_SPLITS |= {"train.csv": "train", "test.csv": "test"}
_OFFICIAL_TEST = 5  # fsdd's own split: recordings 0 to 4 of each speaker and digit are the test part


def read_facts() -> dict[str, dict]:
    """What is known of each set, by name: title, columns, source, terms, citation, addresses, labels, parts."""
    return tomllib.loads(resources.files("fusebook").joinpath("assets/datasets.toml").read_text("utf-8"))


def read_table(name: str, files: Mapping[str, bytes], labels: list[str]) -> pd.DataFrame:
    """The files of set ``name`` as one table of strings, rows in the set's own order.

    ``files`` has contents by path, as the facts' checksums name them; ``labels`` come in the order of the numbers that
    the files hold. The columns are text (image for mnist, audio for fsdd: paths of ``media``), label, split where the
    set has an official one (train, validation, test), and what else tells a row: file, speaker, index. Raises
    ValueError, naming file and line, where a file is not as the set's files are.
    """
    return _READERS[name](files, labels)


def media(name: str, files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Path and contents of each picture (PNG) or sound (WAV) that the table of set ``name`` names."""
    if name == "fsdd":
        yield from sorted(files.items())
    elif name == "mnist":
        for split, stem in _idx_stems(files):
            for i, pixels in enumerate(_read_idx(files, f"{stem}-images-idx3-ubyte")):
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "PNG")
                yield f"images/{split}/{i:05}.png", buffer.getvalue()


def count_rows(facts: Mapping, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``table`` by split ("all" where the set has none) and label: split, label, rows, expected."""
    expected = {}
    for part in facts["parts"]:
        for split, numbers in part["rows"].items():
            numbers = numbers if isinstance(numbers, list) else [numbers] * len(facts["labels"])
            expected |= {(split, label): n for label, n in zip(facts["labels"], numbers, strict=True)}
    splits = table["split"] if "split" in table else ["all"] * len(table)
    found = Counter(zip(splits, table["label"], strict=True))
    lines = [(*key, found[key], expected.get(key, 0)) for key in [*expected, *sorted(found.keys() - expected)]]
    return pd.DataFrame(lines, columns=["split", "label", "rows", "expected"])


def checksum(files: Mapping[str, bytes], group: str) -> str:
    """The sha256 of file ``group``, or of the sorted lines "sha256, two blanks, path" of the files in folder ``group``.

    The latter is what ``find group -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`` prints; "" without files.
    """
    if group in files:
        return hashlib.sha256(files[group]).hexdigest()
    paths = sorted(path for path in files if path.startswith(f"{group}/"))
    lines = "".join(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in paths)
    return hashlib.sha256(lines.encode()).hexdigest() if paths else ""


def compare(facts: Mapping, files: Mapping[str, bytes], counts: pd.DataFrame) -> list[tuple[str, str]]:
    """How the files differ from what is expected of set ``facts``: kind and a sentence, one a part of the set.

    Kinds are "part" (rows are missing and none is too many: a copy of some of the set), "changed" (checksum or counts
    differ in another way) and "unchecked" (counts agree, the checksum is not on public record). The same: no line.
    """
    found = []
    for part in facts["parts"]:
        here = counts[counts["split"].isin(part["rows"])]
        rows, expected = here["rows"].sum(), here["expected"].sum()
        sums = {group: checksum(files, group) for group in part["files"]}
        changed = [group for group, known in part["files"].items() if known and sums[group] != known]
        what = f"{', '.join(part['rows'])}: {rows:,} of {expected:,} rows"
        if rows < expected and (here["rows"] <= here["expected"]).all():
            found.append(("part", f"{what}. Figures published for the whole set are not those of this table."))
        elif changed or (here["rows"] != here["expected"]).any():
            lines = [f"sha256 of {group} is {sums[group]}, expected {part['files'][group]}" for group in changed]
            found.append(("changed", "; ".join([what, *lines])))
        elif unknown := [group for group, known in part["files"].items() if not known]:
            lines = [f"sha256 of {group} ({sums[group]}) is not on public record" for group in unknown]
            found.append(("unchecked", "; ".join([what, *lines]) + ". Only the counts were checked."))
    return found


def _read_titles(files: Mapping[str, bytes], labels: list[str]) -> pd.DataFrame:
    """Lines of title, tab, number of the class. Quotes are part of a title: there is no quoting."""
    rows = []
    for name in [name for name in _HOUSE_SPLITS if name in files]:
        lines = _decode(files, name).removesuffix("\n").split("\n")
        for number, line in enumerate(lines, start=1):
            title, _, label = line.rstrip("\r").rpartition("\t")
            rows.append((title, _label(labels, label, f"line {number} of {name}"), _HOUSE_SPLITS[name]))
    return _table(rows, "text", "label", "split")


def _read_ag_news(files: Mapping[str, bytes], labels: list[str]) -> pd.DataFrame:
    """Number of the class from 1, title, description, without a header; backslashes and HTML rests stay."""
    rows = []
    for name in [name for name in _HOUSE_SPLITS if name in files]:
        for number, fields in _fields(files, name, 3):
            label = _label(["", *labels], fields[0], f"row {number} of {name}")
            rows.append((" ".join(fields[1:]), label, _HOUSE_SPLITS[name]))
    return _table(rows, "text", "label", "split")


def _read_reviews(files: Mapping[str, bytes], labels: list[str]) -> pd.DataFrame:
    """Number of the class and review below a header."""
    (name,) = files
    lines = list(_fields(files, name, 2))[1:]
    rows = [(review, _label(labels, label, f"row {number} of {name}")) for number, (label, review) in lines]
    return _table(rows, "text", "label")


def _read_articles(files: Mapping[str, bytes], _: list[str]) -> pd.DataFrame:
    """One file a row, the folder its label and, above it, the split. What is not UTF-8 is read as Latin-1."""
    rows = []
    for path in sorted(files):
        *above, label, _ = path.split("/")
        try:
            text = files[path].decode("utf-8")
        except UnicodeDecodeError:
            text = files[path].decode("latin-1")  # as scikit-learn reads 20 Newsgroups; loses no byte
        split = [part.rpartition("-")[2] for part in above]
        rows.append((text, label, *split, path))
    return _table(rows, "text", "label", *(["split"] if rows and len(rows[0]) == 4 else []), "file")


def _read_recordings(files: Mapping[str, bytes], _: list[str]) -> pd.DataFrame:
    rows = []
    for path in sorted(files):
        label, speaker, index = re.fullmatch(r"recordings/(\d)_([a-z]+)_(\d+)\.wav", path).groups()
        rows.append((path, label, "test" if int(index) < _OFFICIAL_TEST else "train", speaker, index))
    return _table(rows, "audio", "label", "split", "speaker", "index")


def _read_digits(files: Mapping[str, bytes], _: list[str]) -> pd.DataFrame:
    rows = []
    for split, stem in _idx_stems(files):
        digits = _read_idx(files, f"{stem}-labels-idx1-ubyte")
        if len(digits) != len(_read_idx(files, f"{stem}-images-idx3-ubyte")):
            raise ValueError(f"{stem} has another number of pictures than of labels. Fetch both files again.")
        rows += [(f"images/{split}/{i:05}.png", str(d), split, str(i)) for i, d in enumerate(digits)]
    return _table(rows, "image", "label", "split", "index")


_READERS = {
    "thucnews-titles": _read_titles, "bbc": _read_articles, "20newsgroups": _read_articles, "ag_news": _read_ag_news,
    "chnsenticorp-hotel": _read_reviews, "waimai_10k": _read_reviews, "fsdd": _read_recordings, "mnist": _read_digits,
}  # fmt: skip


def _table(rows: list[tuple], *columns: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns), dtype=str)


def _decode(files: Mapping[str, bytes], name: str) -> str:
    try:
        return files[name].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"{name} is not UTF-8 ({error.reason} at byte {error.start}). Expected the set's own file."
        raise ValueError(what) from None


def _fields(files: Mapping[str, bytes], name: str, width: int) -> Iterator[tuple[int, list[str]]]:
    """Number from 1 and fields of each row of a CSV; a row of another width is an error."""
    for number, fields in enumerate(csv.reader(io.StringIO(_decode(files, name), newline="")), start=1):
        if len(fields) != width:
            raise ValueError(f"Row {number} of {name} has {len(fields)} fields; expected {width}.")
        yield number, fields


def _label(labels: list[str], number: str, place: str) -> str:
    if not (number.isascii() and number.isdigit() and int(number) < len(labels) and labels[int(number)]):
        known = ", ".join(f"{i} ({label})" for i, label in enumerate(labels) if label)
        raise ValueError(f"The class in {place} is {number[:40]!r}; expected one of {known}.")
    return labels[int(number)]


def _idx_stems(files: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Split and stem of the file names, for the halves of MNIST that are there."""
    halves = (("train", "train"), ("test", "t10k"))
    return [(split, stem) for split, stem in halves if any(path.startswith(stem) for path in files)]


def _read_idx(files: Mapping[str, bytes], name: str) -> np.ndarray:
    """An array of uint8 in MNIST's format: two zeros, type 8, number of dimensions, lengths (big-endian), values."""
    if name not in files:
        raise ValueError(f"{name} is missing. Pictures and labels of MNIST go together: put both in.")
    raw = files[name]
    start = 4 + 4 * raw[3] if raw[:3] == b"\0\0\x08" and len(raw) > 3 else 0
    shape = np.frombuffer(raw[4:start], ">u4") if start <= len(raw) else []
    if len(shape) == 0 or len(raw) - start != math.prod(map(int, shape)):
        raise ValueError(f"{name} is no whole file of MNIST's format. Fetch it again.")
    return np.frombuffer(raw[start:], np.uint8).reshape(shape)
