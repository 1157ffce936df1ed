"""The names of labels: rid of what nobody sees, and those that look alike, which a list of a person's can merge.

A name stays as given: H₂O and H2O, Co and CO, may be two classes. Notebook 01_explore tells which look alike.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from fusebook import runs
from fusebook.data.tables import read_table
from fusebook.findings import shortened, visible

COLUMNS = ["from", "to"]  # of a list of labels to merge
_MOST_SHOWN = 60  # characters of a name in a sentence
_LINE_BLANKS = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]+")
# Signs that stand before Arabic, Syriac and Kaithi numbers count as format characters, but are seen.
_SEEN = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
_JOINERS = (
    "\u200c\u200d\u180e"  # say how letters join in scripts from Arabic to Mongolian, and make one emoji of several
)
_JOINED = re.compile(f"[{_JOINERS}]+")
_JOINING = re.compile("[\u0600-\u0dff\u0f00-\u109f\u1780-\u18af\ua8e0-\ua8ff]")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")  # England's, Scotland's and Wales's
_IGNORED = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]|\\s")


def tidy(label: str) -> str:
    """``label`` without outer blanks, control and format characters, composed (NFC); what can be seen stays as it is.

    A line end or a tab inside becomes a blank. Joiners stay where letters or emoji need them.
    """
    kept, end = [], 0
    for flag in _FLAG.finditer(label):
        kept += [_without_unseen(label[end : flag.start()]), flag[0]]
        end = flag.end()
    made, text = "".join([*kept, _without_unseen(label[end:])]), None
    while text != made:  # what goes may put letters together that join, or compose
        text, made = made, unicodedata.normalize("NFC", _JOINED.sub(_needed_joiner, made)).strip()
    return made


def _without_unseen(text: str) -> str:
    return "".join(map(_seen, _LINE_BLANKS.sub(" ", text)))


def _seen(character: str) -> str:
    kept = character in _JOINERS or ord(character) in _SEEN or unicodedata.category(character) not in {"Cc", "Cf"}
    return character if kept else ""


def _needed_joiner(found: re.Match) -> str:
    """One joiner where it stands between letters of a script that joins them, or between emoji; else none."""
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    if not before or not after:
        return ""
    joins = _JOINING.match(before) and _JOINING.match(after)
    emoji = found[0][0] == "\u200d" and (_is_sign(before) or before == "\ufe0f") and _is_sign(after)
    return found[0][0] if joins or emoji else ""


def _is_sign(character: str) -> bool:
    return unicodedata.category(character) in {"So", "Sk", "Sm"}


def shown(name: str) -> str:
    """``name`` with the number of each character that can't be seen or is an odd blank, as in ``sport⟨U+00A0⟩news``."""
    return re.sub("  +", lambda blanks: "⟨U+0020⟩" * len(blanks[0]), visible(name))


def _short(name: str) -> str:
    return shortened(shown(name), _MOST_SHOWN)


def twins(labels: Iterable[str]) -> pd.DataFrame:
    """Labels that differ by case, width, compatibility (as H₂O from H2O) or blanks alone from one that has more rows.

    ``labels`` has one a row, each tidied. Returns from, to, and the rows that each has: from_rows, to_rows; of labels
    with as many rows the first in the alphabet is the one that the others differ from.
    """
    counts = pd.Series(list(labels), dtype=object).value_counts().rename_axis("name").reset_index(name="rows")
    counts = counts.sort_values(["rows", "name"], ascending=[False, True], ignore_index=True)
    first = counts.groupby(counts["name"].map(_bare), sort=False)[["name", "rows"]].transform("first")
    made = pd.DataFrame(
        {"from": counts["name"], "to": first["name"], "from_rows": counts["rows"], "to_rows": first["rows"]}
    )
    return made[made["from"] != made["to"]].reset_index(drop=True)


def _bare(name: str) -> str:
    """What names that look alike have in common (Unicode's caseless match of compatible texts, without blanks)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return unicodedata.normalize("NFC", _IGNORED.sub("", _JOINED.sub("", folded)))


def pairs_text(pairs: pd.DataFrame, most: int = 5) -> str:
    """The first ``most`` of ``twins`` with their rows, such as "money (3) ≈ Money (20)", and a mark where there are more."""
    texts = [
        f"“{_short(a)}” ({m:,}) ≈ “{_short(b)}” ({n:,})" for a, b, m, n in pairs.head(most).itertuples(index=False)
    ]
    return "; ".join(texts) + ("; …" if len(pairs) > most else "")


def read_merges(path: str | Path) -> dict[str, str]:
    """A list of labels to merge, with the columns from and to, such as label_twins.csv: from name to name, tidied.

    Where one line leads to another, the last name counts. Raises FileNotFoundError and ValueError as ``read_table``
    does, and ValueError for a missing column, a line that can't be read or has no name, a name with two others, a circle.
    """
    path = runs.resolve(path)
    table, rejected = read_table(path)
    if missing := [name for name in COLUMNS if name not in table]:
        raise ValueError(f"{path} has no column {', '.join(missing)}; expected from and to, as in label_twins.csv.")
    if len(rejected):
        raise ValueError(f"{path}: row {rejected['row'].iloc[0]} can't be read ({rejected['reason'].iloc[0]}).")
    merges: dict[str, str] = {}
    for row, old, new in zip(table.index, map(tidy, table["from"]), map(tidy, table["to"]), strict=True):
        if not old or not new:
            raise ValueError(f"{path}: row {row} has no name under {'to' if old else 'from'}; take the line out.")
        if merges.setdefault(old, new) != new:
            raise ValueError(f"{path}: {shown(old)!r} is to become both {shown(merges[old])!r} and {shown(new)!r}.")
    return {old: _last(old, merges, path) for old in merges}


def _last(name: str, merges: dict[str, str], path: Path) -> str:
    passed = [name]
    while (after := merges.get(passed[-1], passed[-1])) != passed[-1]:
        passed.append(after)
        if passed.count(after) > 1:
            raise ValueError(f"{path}: {' → '.join(map(shown, passed))} goes in a circle. Take one of its lines out.")
    return passed[-1]


def too_few(counts: pd.Series, column: str, fewest: int) -> str:
    """Why labels with these ``counts`` of rows, the most frequent first, can't be learnt; a label needs ``fewest`` rows."""
    n_labels, n_rows, need = len(counts), int(counts.sum()), f"Expected two labels or more with {fewest} rows each."
    most = ", ".join(f"“{_short(name)}” {rows:,}" for name, rows in counts.head(10).items())
    if not n_labels:
        return f"No row that has content has a label: the label column {column!r} is empty there. {need}"
    if n_labels == 1:
        said = f"{'The row has' if n_rows == 1 else f'All {n_rows:,} rows have'} one label in the column {column!r}"
        return f"{said}, “{_short(counts.index[0])}”: there is nothing to tell apart. {need}"
    if counts.iloc[0] == 1:
        said = f"Each of the {n_rows:,} rows has a label of its own in the column {column!r}"
        return f"{said}, the first “{_short(counts.index[0])}”. {need}"
    if len(alike := twins(counts.index.repeat(counts))):
        need += (
            f" Some look alike; a list with the columns from and to merges them (--merge-labels): {pairs_text(alike)}."
        )
    if counts.iloc[0] < fewest:
        return f"None of the {n_labels:,} labels in the column {column!r} has {fewest} rows; the most: {most}. {need}"
    return f"Only one label in the column {column!r} has {fewest} rows or more; the most: {most}. {need}"
