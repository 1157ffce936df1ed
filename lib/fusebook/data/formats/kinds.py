"""What kind of file it is, by its first bytes, and its content, unpacked within bounds.

A name may lie: a sign-in page saved as .csv, a workbook renamed. What is not read is named, with what to do.
"""

import re
import zlib
from pathlib import Path

_MOST_BYTES = 2 << 30  # of an unpacked file
_MANY_BYTES, _MOST_RATIO = 64 << 20, 200  # so large and so many times the packed size is no table, it is a bomb
_SAVE = "Open it and save it as CSV (UTF-8)."
_KINDS = [
    (rb"PK\x03\x04.*?(?:xl/|\[Content_Types\])", "xlsx", f"is a spreadsheet (.xlsx), which is not read. {_SAVE}"),
    (rb"PK\x03\x04.*?opendocument", "ods", f"is a spreadsheet (.ods), which is not read. {_SAVE}"),
    (rb"PK\x03\x04", "zip", "is a zip archive. Unpack it and pass the table inside."),
    (rb"\xd0\xcf\x11\xe0", "xls", f"is a spreadsheet of an old Excel (.xls), which is not read. {_SAVE}"),
    (rb"\x1f\x8b", "gzip", ""),
    (rb"PAR1", "parquet", ""),
    (rb"version https://git-lfs\.github\.com/spec/", "lfs",
     "is a Git LFS pointer, not the table itself. Run `git lfs pull` and pass it again."),
    (rb"\s*(?:\xef\xbb\xbf)?\s*(?:<!DOCTYPE html|<html[\s>])", "html",
     "is a web page (HTML), perhaps a sign-in or an error page. Download the table itself."),
    (rb"\s*<\?xml ", "xml", "is XML, which is not read. Convert it to CSV or JSONL."),
    (rb"%PDF-", "pdf", "is a PDF, which is not read. Convert it to CSV."),
    (rb"BZh[1-9]1AY", "bzip2", "is packed with bzip2. Unpack it (`bunzip2`) and pass the table inside."),
    (rb"\xfd7zXZ\0", "xz", "is packed with xz. Unpack it (`unxz`) and pass the table inside."),
    (rb"\x28\xb5\x2f\xfd", "zstd", "is packed with Zstandard. Unpack it (`unzstd`) and pass the table inside."),
    (rb"7z\xbc\xaf\x27\x1c", "7z", "is a 7z archive. Unpack it and pass the table inside."),
    (rb"Rar!\x1a\x07", "rar", "is a RAR archive. Unpack it and pass the table inside."),
    (rb"SQLite format 3\0", "sqlite", "is an SQLite database. Export the table as CSV."),
    (rb"ARROW1\0\0|\xff\xff\xff\xff.{4}\x10\0\0\0", "arrow", "is an Arrow file. Save it as Parquet."),
    (rb"\x89HDF\r\n", "hdf5", "is an HDF5 file, which is not read. Save the table as Parquet or CSV."),
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a", "picture", "is a picture. Pass a table with a column of paths to pictures."),
    (rb"RIFF....WAVE|fLaC|OggS|ID3", "sound", "is a sound. Pass a table with a column of paths to sounds."),
    (rb"\x80[\x02-\x05].{0,12}(?:c|\x8c)", "pickle", "is a Python pickle, which is never read: it could run code."),
]  # fmt: skip


def kind_of(head: bytes) -> tuple[str, str]:
    """The kind of a file by its first bytes, and why it is not read; "" and "" for text, "" for what is read."""
    for pattern, kind, why in _KINDS:
        if re.match(pattern, head, re.DOTALL | re.IGNORECASE):
            return kind, why
    return "", ""


def content(path: Path) -> tuple[bytes, str]:
    """The bytes of ``path``, unpacked where gzip packed them, and their kind, "parquet" or "" for text.

    Raises ValueError for a kind that is not read, for a broken gzip file, and for one that unpacks to far too much.
    """
    with path.open("rb") as file:
        kind, why = kind_of(file.read(4096))
    if kind == "parquet":
        return b"", kind
    raw = b"" if why else _unpacked(path) if kind == "gzip" else path.read_bytes()
    if kind == "gzip":
        kind, why = kind_of(raw[:4096])
    if why or kind:
        raise ValueError(why or f"is {kind} within gzip. Unpack it and pass the file inside.")
    return raw, kind


def _unpacked(path: Path) -> bytes:
    size, parts, made = path.stat().st_size, [], 0
    with path.open("rb") as file:
        unpack = zlib.decompressobj(31)
        chunk = file.read(1 << 16)
        while chunk:
            try:
                parts.append(unpack.decompress(chunk, 1 << 24))
            except zlib.error as error:
                raise ValueError(f"is a broken gzip file ({error}). Fetch it once more.") from None
            made += len(parts[-1])
            if made > _MOST_BYTES or (made > _MANY_BYTES and made > _MOST_RATIO * size):
                raise ValueError(
                    f"unpacks to more than {made >> 20:,} MB from {size:,} bytes: no table, or a gzip bomb."
                )
            chunk = unpack.unconsumed_tail or (unpack.unused_data if unpack.eof else b"") or file.read(1 << 16)
            if unpack.eof:  # a file may hold several members, one behind the other
                if not chunk.lstrip(b"\0"):
                    break
                unpack = zlib.decompressobj(31)
    if not unpack.eof:
        raise ValueError("is a gzip file that ends too soon. Fetch it once more.")
    return b"".join(parts)
