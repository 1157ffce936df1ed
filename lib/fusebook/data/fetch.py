"""Get a well-known set: download it or read a copy on disk, check what is inside, write one table.

``datasets`` knows the sets. Nothing is unpacked: archives are read where they lie, so no path in them leads anywhere.
"""

import gzip
import hashlib
import json
import lzma
import re
import shlex
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import pandas as pd
import pooch
import requests
from tqdm import tqdm

from fusebook.data import known_sets

_TAR = re.compile(r"\.(tar|tgz|tbz2|txz|tar\.(gz|bz2|xz))$")
_RECORD = "fetched.json"
_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
_BROKEN += (RuntimeError,)  # a ZIP with a password


def fetch_dataset(name: str, facts: Mapping, folder: str | Path, *, copy: str | Path | None = None) -> dict:
    """Write set ``name`` to ``folder/name``: its table ``name.csv``, its pictures or sounds, the files as they came.

    Everything is written beside and moved into place when it is whole. A set that is there already is not fetched
    again, and a folder of the person's own is not touched. ``facts`` are as ``known_sets.read_facts`` has them; ``copy``
    is a folder with the set's files or archives, which may be a part of it; without one they are downloaded.

    Returns table (path), counts (as ``known_sets.count_rows`` does), notes (sentences), and fetched, False where the set
    was there already. Raises ValueError where a file is broken, or what is inside is not what is expected, and OSError
    where there is no network, an address does not answer with the file, or ``folder/name`` holds something else.
    """
    target, origin = Path(folder) / name, "download" if copy is None else str(Path(copy).absolute())
    if target.exists() or target.is_symlink():
        return _read_record(target, facts, origin)
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as beside:
        made = Path(beside) / name
        made.mkdir()
        if copy is None:
            _download(name, facts, made / "original")
        files = read_files(made / "original" if copy is None else copy, facts["member"])
        if not files:
            what = f"No file of {name} is in {copy or 'what was downloaded'}."
            raise ValueError(_explain(name, facts, what))
        table = known_sets.read_table(name, files, facts["labels"])
        notes = _checked(name, facts, files, table, copy is not None)
        record = {key: facts[key] for key in ("title", "source", "terms", "citation")}
        _write(made, table, known_sets.media(name, files), record | {"origin": origin, "notes": notes})
        made.rename(target)
    return _read_record(target, facts, origin) | {"fetched": True}


def _checked(name: str, facts: Mapping, files: Mapping, table: pd.DataFrame, may_be_part: bool) -> list[str]:
    """The notes on what differs; ValueError where it differs so that the set may not be used."""
    found = known_sets.compare(facts, files, known_sets.count_rows(facts, table))
    wrong = [line for kind, line in found if kind == "changed" or (kind == "part" and not may_be_part)]
    if wrong:
        raise ValueError(_explain(name, facts, f"{name} is not as expected.", *wrong))
    return [line for _, line in found]


def _write(made: Path, table: pd.DataFrame, media: Iterator[tuple[str, bytes]], record: dict) -> None:
    for path, content in tqdm(media, desc="media", unit=" files", leave=False, disable=None):
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_bytes(content)
    path = made / f"{made.name}.csv"
    # With "\n" between rows a carriage return alone inside a text would stand unquoted, and cut the row when read.
    table.to_csv(path, index=False, lineterminator="\r\n", encoding="utf-8")
    record |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (made / _RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_record(target: Path, facts: Mapping, origin: str) -> dict:
    """What an earlier fetch left in ``target``; FileExistsError where that is something else, or was changed since."""
    path, away = target / f"{target.name}.csv", f"Move {target} away to fetch {target.name} again."
    if not (target / _RECORD).is_file() or not path.is_file():
        raise FileExistsError(f"{target} is there already and is no whole set of `fusebook fetch`. {away}")
    record = json.loads((target / _RECORD).read_text("utf-8"))
    if hashlib.sha256(path.read_bytes()).hexdigest() != record["sha256"]:
        raise FileExistsError(f"{path} was changed since it was fetched. {away}")
    if record["notes"] and record["origin"] != origin:  # a whole set is the same from everywhere
        notes = " ".join(record["notes"])
        raise FileExistsError(f"{target} is there already, from {record['origin']}. {notes} {away}")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    columns = [column for column in ("image", "audio") if column in table]
    if any(not (target / file).is_file() for column in columns for file in table[column]):
        raise FileExistsError(f"Files that {path} names are missing. {away}")
    counts = known_sets.count_rows(facts, table)
    return {"table": path, "counts": counts, "notes": record["notes"], "fetched": False}


def _download(name: str, facts: Mapping, folder: Path) -> None:
    """Every address of the set into ``folder``, with a progress bar each."""
    pooch.get_logger().setLevel("WARNING")  # else it tells the names of temporary files
    for file, address in facts["addresses"].items():
        try:
            pooch.retrieve(address, known_hash=None, fname=file, path=folder, progressbar=True)
        except requests.HTTPError as error:
            answer = f"{error.response.status_code} {error.response.reason}"
            raise OSError(_explain(name, facts, f"{address} answered {answer}.")) from error
        except requests.RequestException as error:
            what = f"No whole answer from {address}: is there a network? ({type(error).__name__})"
            raise ConnectionError(_explain(name, facts, what)) from error
        with (folder / file).open("rb") as stream:
            start = stream.read(200).lstrip().lower()
        if start.startswith((b"<!doctype html", b"<html")):
            what = f"{address} answered with a web page, not with {file}: does it ask for a login or a licence?"
            raise OSError(_explain(name, facts, what))


def _explain(name: str, facts: Mapping, *lines: str) -> str:
    """``lines``, and how to put the set in by hand."""
    files = " and ".join(", ".join(facts["addresses"]).rsplit(", ", 1))
    return "\n".join([
        *lines,
        f"Nothing was written. By hand: get {files} from {facts['source']},",
        f"put what you got into a folder, and run: fusebook fetch {name} --from FOLDER",
    ])  # fmt: skip


def read_files(folder: str | Path, member: str) -> dict[str, bytes]:
    """The files below ``folder``, plain, gzipped or in ZIP and tar archives, whose path matches ``member``.

    Returns contents by the path that the pattern's group cuts out. Raises ValueError where a path leads out of its
    archive, where a matching member is a link, where an archive is broken, or where two files of one path differ.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"No folder at {folder}. Pass the folder that holds the set's files or archives.")
    files: dict[str, bytes] = {}
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        try:
            for inner, content in _members(path, path.relative_to(folder).as_posix(), re.compile(member)):
                if files.setdefault(inner, content) != content:
                    what = f"{inner} stands twice in {folder} with different contents. Leave one there."
                    raise ValueError(what)
        except _BROKEN as error:
            raise ValueError(f"{path.name} is broken or was cut short ({error}). Get it again.") from error
    return files


def _members(path: Path, relative: str, member: re.Pattern) -> Iterator[tuple[str, bytes]]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir() and (found := _inside(path, info.filename, member)):
                    yield found, archive.read(info)
    elif _TAR.search(path.name):
        with tarfile.open(path) as archive:
            for info in archive:
                if not info.isdir() and (found := _inside(path, info.name, member)):
                    if not info.isfile():
                        raise ValueError(f"{info.name} in {path.name} is a link. Don't use this archive.")
                    yield found, archive.extractfile(info).read()
    elif found := member.search(relative.removesuffix(".gz")):
        yield found[1], gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def _inside(archive: Path, name: str, member: re.Pattern) -> str:
    """The path of a member of the set, "" for another; ValueError where it leads out of the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise ValueError(f"{archive.name} holds {name!r}, a path that leads out of it. Don't use this archive.")
    found = member.search(name)
    return found[1] if found else ""


def describe(facts: Mapping, result: Mapping) -> str:
    """What a person wants to know after fetching: counts, where the table lies, terms, citation, the next command."""
    table, columns, counts = result["table"], facts["columns"], result["counts"]
    table = table.relative_to(Path.cwd()) if table.is_relative_to(Path.cwd()) else table
    own = "note: the column split is the set's own; fusebook report draws one itself, so that no duplicate crosses it."
    lines = counts.assign(split=counts["split"].where(~counts["split"].duplicated(), ""))
    options = " ".join(f"--{part} {column}" for part, column in columns.items())
    here = f"{'fetched' if result['fetched'] else 'there already, not fetched again'}, {counts['rows'].sum():,} rows"
    return "\n".join([
        facts["title"], "",
        lines.to_string(index=False, formatters={"rows": "{:,}".format, "expected": "{:,}".format}), "",
        *(f"note: {note}" for note in result["notes"]), *([own] if "all" not in set(counts["split"]) else []),
        f"table: {table} ({here})",
        f"source: {facts['source']}", f"terms: {facts['terms']}", f"citation: {facts['citation']}",
        "To make the report:", f"    fusebook report --table {shlex.quote(str(table))} {options} --label label",
    ])  # fmt: skip
