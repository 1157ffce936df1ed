"""Lines with delimiters to rows: which line is the header, which sign delimits, and which quotation marks are strays.

A quotation mark that nobody closed must not swallow the rows behind it: each line of the file is the header, a row,
part of a row, blank, or refused, and the counts say so.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

_HEADER_LINE = re.compile(r'[\r\n]*((?:"[^"]*"|"|[^"\r\n]+)*)')
_SEP = re.compile(r"\ufeff?\"?sep=([^\"\w\r\n])\"?[ ]*(?:\r\n|\r|\n)", re.IGNORECASE)
_IN_QUOTES = re.compile(r'"(?:[^"]|"")*"')
_SAMPLE = 200  # lines below a header that show whether it is one
_FITTING = 0.9  # share of them with as many fields as the header
_MOSTLY = 0.8
_KNOWN = 3  # lines in which a value must stand to be known
_FEW = 50  # lines of a record, where quotes are strays all over the file
_MOST_ABOVE = 20  # lines above the header: titles, notes


class Lines(NamedTuple):
    header: list[str]
    good: dict[int, list[str]]  # row number, from 1, to fields
    bad: list[tuple[int, str]]  # row number and what is wrong
    facts: dict[str, int | str]  # delimiter, and what each line of the file is


def read(content: str, ending: str, wanted: frozenset[str] = frozenset()) -> Lines:
    """The rows of ``content``. ``ending`` ".tsv" means tabs; ``wanted`` are names that the header should hold.

    facts: delimiter; lines = above + header lines + rows + further lines of rows + refused + further refused + blank.
    """
    csv.field_size_limit(2**31 - 1)
    lines = list(io.StringIO(content, newline=""))
    first, delimiter = _header_place(lines, "\t" if ending == ".tsv" else "", wanted)
    blanks = delimiter != "\t" and _followed_by_blanks(lines, first, delimiter)
    quoted = delimiter != "\t" or _is_quoted(lines[first:])
    records = _Records(lines, delimiter, quoted, blanks)
    start, end, header = next(records.read(first, 0), (first, first, []))
    escaped = _Records(lines, delimiter, quoted, blanks, escaped=True)
    if '\\"' in content and not records.is_faultless(len(header)) and escaped.is_faultless(len(header)):
        records = escaped  # \" for a quote within quotes, as MySQL and Spark write it
    good, bad, facts = {}, [], Counter(row=0)
    for begin, last, fields in records.read(end, len(header)):
        if not fields:
            facts["blank lines"] += last - begin
            continue
        facts["row"] += 1
        kind = "rows" if len(fields) == len(header) else "refused"
        facts[f"further lines of {kind}"] += last - begin - 1
        if kind == "rows":
            good[facts["row"]] = fields
        else:
            place = f"line {last} of the file" if last - begin == 1 else f"lines {begin + 1} to {last} of the file"
            detail = f"{len(fields)} fields, header has {len(header)}; {place}"
            bad.append((facts["row"], detail))
    counts = {"delimiter": delimiter, "lines": len(lines), "lines above the header": start, "header lines": end - start}
    further = {f"further lines of {kind}": facts[f"further lines of {kind}"] for kind in ("rows", "refused")}
    counts |= {"rows": len(good), "refused": len(bad), **further, "blank lines": facts["blank lines"]}
    return Lines(header, good, bad, counts)


class _Records:
    """Records of a file, each with its lines: (first, behind the last, fields). Blank lines have no fields."""

    def __init__(self, lines: list[str], delimiter: str, quoted: bool, blanks: bool = False, escaped: bool = False):
        self.lines, self.delimiter = lines, delimiter
        quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        self.options = {"delimiter": delimiter, "quoting": quoting, "skipinitialspace": blanks}
        self.options |= {"escapechar": "\\", "doublequote": False} if escaped else {}
        self._known, self._faultless = None, None
        self._left = 20 * len(lines) + 10_000  # lines that may be read once more

    def read(self, start: int, width: int) -> Iterator[tuple[int, int, list[str]]]:
        """The records from line ``start`` on; with a ``width``, one whose quotes are strays is read without them."""
        at = start
        while at < len(self.lines):
            began = at
            limit = len(self.lines) if self._left > 0 else min(len(self.lines), began + _FEW)
            reader = csv.reader((self.lines[index] for index in range(began, limit)), **self.options)
            for fields in reader:
                end = began + reader.line_num
                cut_off = end == limit < len(self.lines)
                if (cut_off and at == began) or self._is_stray(at, end, fields, width):
                    self._left -= end - at
                    yield at, at + 1, self._plain(at)
                    at += 1
                    break
                if cut_off:
                    break  # it may go on: read it once more from its first line
                yield at, end, fields
                at = end

    def _plain(self, index: int) -> list[str]:
        return next(csv.reader([self.lines[index]], **{**self.options, "quoting": csv.QUOTE_NONE}), [])

    def _is_stray(self, start: int, end: int, fields: list[str], width: int) -> bool:
        """Did a quote open by mistake, so that this record swallows other lines, or the end of the file?"""
        unclosed = end == len(self.lines) and len(fields) != width
        if width == 1 and (end - start > 1 or end == len(self.lines)):
            return bool(fields) and not (len(fields) == 1 and self._is_well_formed(start, end))
        if width < 2 or not (end - start > 1 or unclosed):
            return False
        places = range(start, min(end, start + 1000))
        fits = (len(self._plain(index)) == width for index in places)
        if len(fields) == width and self._is_well_formed(start, end):
            # A text of several lines, or rows up to the next stray quote: these have values that stand elsewhere.
            if not all(fits):
                return False
            known = sum(self._has_known_value(index, width) for index in places[:-1])
            return known >= _MOSTLY * (len(places) - 1) and (len(places) > 2 or not self.is_faultless(width))
        self._left -= len(places)
        first = next(fits) and (self._has_known_value(start, width) or not self._known)
        return first or (len(fields) != width and 2 * sum(fits) >= len(places))

    def _is_well_formed(self, start: int, end: int) -> bool:
        try:
            return len(list(csv.reader(self.lines[start:end], strict=True, **self.options))) == 1
        except csv.Error:
            return False

    def _lone_records(self, width: int) -> list[list[str]]:
        """The records of one line each; where quotes are in doubt, the lines without any."""
        if not self.is_faultless(width):
            return [self._plain(index) for index, line in enumerate(self.lines) if '"' not in line]
        reader, found, last = csv.reader(self.lines, **self.options), [], 0
        for fields in reader:
            found += [fields] if reader.line_num == last + 1 else []
            last = reader.line_num
        return found

    def is_faultless(self, width: int) -> bool:
        """Is the whole file well formed, each record with ``width`` fields?"""
        if self._faultless is None:
            try:
                records = csv.reader(self.lines, strict=True, **self.options)
                self._faultless = all(len(fields) in (0, width) for fields in records)
            except csv.Error:
                self._faultless = False
        return self._faultless

    def _has_known_value(self, index: int, width: int) -> bool:
        if self._known is None:
            plain = self._lone_records(width)
            counts = Counter((place, value) for fields in plain for place, value in enumerate(fields) if value.strip())
            # Labels, not words that lines of some texts end with: what stands most often, in a column of such values.
            self._known, covered = set(), Counter()
            for (place, value), count in counts.most_common():
                if count >= _KNOWN and covered[place] < _MOSTLY * len(plain):
                    self._known.add((place, value))
                    covered[place] += count
            self._known = {(place, value) for place, value in self._known if 2 * covered[place] > len(plain)}
        return any(key in self._known for key in enumerate(self._plain(index)))


def _header_place(lines: list[str], delimiter: str, wanted: frozenset[str]) -> tuple[int, str]:
    """The line of the header, blank lines, ``sep=`` and titles above it left out, and the delimiter."""
    first = 0
    if lines and (sep := _SEP.fullmatch(lines[0])):
        first, delimiter = 1, sep[1]
    places = [index for index in range(first, min(len(lines), first + 2 * _MOST_ABOVE)) if lines[index].strip()]
    if not places:
        return first, delimiter or ","
    tried = [(place, delimiter or _delimiter(lines, place)) for place in places[:_MOST_ABOVE]]
    looks = [(place, sign, *_fit(lines, place, sign)) for place, sign in tried]
    if wanted and not any(wanted <= set(names) for _, _, names, _ in looks[:1]):
        for place, sign, names, _ in looks:
            if wanted <= {name.strip() for name in names}:
                return place, sign
    _, _, names, share = looks[0]
    titled = len([name for name in names if name.strip()]) == 1 or names[0].startswith("#")
    if titled and share < _FITTING:
        for place, sign, names, share in looks[1:]:
            if len(set(names)) == len(names) > 1 and share >= _FITTING and all(map(_is_name, names)):
                return place, sign
    return tried[0]


def _is_name(name: str) -> bool:
    return 0 < len(name.strip()) <= 60 and not re.fullmatch(r"[\d.,\s]+", name)


def _delimiter(lines: list[str], place: int) -> str:
    """The sign that stands most often in the header at ``place``, unless another of the header's fits the rows better."""
    # A quoted name may hold any delimiter, and line ends too.
    header_line = re.sub(r'"[^"]*"', "", _HEADER_LINE.match("".join(lines[place : place + 100]))[1])
    signs = sorted((sign for sign in ",;\t" if sign in header_line), key=header_line.count, reverse=True)
    if signs:
        return next((sign for sign in signs if len(signs) > 1 and _fit(lines, place, sign)[1] >= 0.5), signs[0])
    return "|" if "|" in header_line and _fit(lines, place, "|")[1] >= _FITTING else ","


def _fit(lines: list[str], place: int, delimiter: str) -> tuple[list[str], float]:
    """The names in the record at ``place``, and the share of the records below that have as many fields."""
    records = csv.reader(lines[place : place + _SAMPLE], delimiter=delimiter)
    header, *below = [fields for fields in records if fields] or [[""]]
    return header, sum(len(fields) == len(header) for fields in below) / max(len(below), 1)


def _followed_by_blanks(lines: list[str], first: int, delimiter: str) -> bool:
    """Does a blank follow each delimiter of the header? Then a quote behind a blank opens a field too."""
    header = lines[first] if first < len(lines) else ""
    return 0 < header.count(delimiter) == header.count(delimiter + " ")


def _is_quoted(lines: list[str]) -> bool:
    """Are lines with tabs quoted, as spreadsheets, pandas and R do? Their media type says that a quote is a letter.

    They are where the names are quoted, all values of a column, or values with a tab, a line end or a doubled quote in
    them, and reading so refuses no more lines.
    """
    if not any('"' in line for line in lines):
        return False
    plain = [fields for fields in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if fields]
    width = len(plain[0])
    rows = [fields for *_, fields in _Records(lines, "\t", True).read(0, width) if fields]
    if sum(len(fields) != width for fields in rows) > sum(len(fields) != width for fields in plain):
        return False
    if any(sign in value for fields in rows if len(fields) == width for value in fields for sign in "\t\n\r"):
        return True
    same = [fields for fields in plain[1:] if len(fields) == width]
    columns = [all(map(_IN_QUOTES.fullmatch, column)) for column in zip(*same, strict=True)]
    doubled = any('""' in value[1:-1] and _IN_QUOTES.fullmatch(value) for fields in same for value in fields)
    return bool(doubled or (len(same) > 1 and any(columns)) or any(map(_IN_QUOTES.fullmatch, plain[0])))
