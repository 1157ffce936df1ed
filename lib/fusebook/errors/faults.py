"""How good are our detectors? Faults that were planted in a table, against those that the checks or a model found.

Notebooks 01_explore and 04_error_analysis tell the story.
"""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from fusebook import runs
from fusebook.data import tables
from fusebook.evaluation.scores import count_text

# Kinds of faults that the checks of a table can see, with the reason codes of those that are refused.
_REASONS = {
    "empty_text": ["TEXT_EMPTY"],
    "broken_image": ["IMAGE_BROKEN", "IMAGE_NOT_READ"],
    "broken_audio": ["AUDIO_BROKEN", "AUDIO_CUT", "AUDIO_EMPTY", "AUDIO_NOT_FINITE", "AUDIO_NOT_READ", "AUDIO_RATE"],
    "missing_file": ["FILE_MISSING"],
}
DUPLICATES = ("exact_duplicate", "near_duplicate")
FAULTS = (*_REASONS, "mojibake", "odd_label", *DUPLICATES)


def detector_scores(found: set, planted: set) -> dict:
    """Precision and recall of a detector against the rows where a fault was planted; NaN where undefined."""
    hit = len(found & planted)
    return {
        "planted": len(planted), "found": len(found), "hit": hit,
        "precision": hit / len(found) if found else np.nan, "recall": hit / len(planted) if planted else np.nan,
    }  # fmt: skip


def planted_rows(planted: pd.DataFrame, content: pd.DataFrame, kind: str) -> dict[int, str]:
    """Row number (as in rows.parquet) to detail of each fault of ``kind`` in a list of known faults.

    ``planted`` has the columns id, kind, detail; ``content`` is the table itself, as ``read_table`` returns it, with
    its column id. Of a list that names an id which is not in the table, and so is another table's, nothing is taken.

    Raises ValueError where either lacks a column.
    """
    numbers = _listed_rows(planted, content)
    of_kind = planted[(planted["kind"] == kind) & planted["id"].isin(numbers)]
    return {numbers[line.id]: line.detail for line in of_kind.itertuples()}


def _listed_rows(planted: pd.DataFrame, content: pd.DataFrame) -> dict[str, int]:
    """Id to row number of the whole table; empty where the list names an id that is not in it."""
    for name, table, wanted in (("list of faults", planted, ["id", "kind", "detail"]), ("table", content, ["id"])):
        if missing := set(wanted) - set(table):
            raise ValueError(
                f"The {name} has no column {', '.join(sorted(missing))}; expected {', '.join(wanted)}. "
                'Set planted="" to go on without it.'
            )
    numbers = dict(zip(content["id"], content.index, strict=True))
    named = [*planted["id"], *planted.loc[planted["kind"].isin(DUPLICATES), "detail"]]
    return numbers if set(named) <= set(numbers) else {}


def planted_faults(planted: pd.DataFrame, content: pd.DataFrame) -> dict[str, set]:
    """The known faults that the checks of a table should report, by kind, in the form of ``reported_faults``.

    The detail of a duplicate is the id of its original. Takes and raises what ``planted_rows`` does; returns an empty
    dict for another table's list.
    """
    if not (numbers := _listed_rows(planted, content)):
        return {}
    known = {kind: planted_rows(planted, content, kind) for kind in FAULTS}
    return {kind: _pairs(rows, numbers) if kind in DUPLICATES else set(rows) for kind, rows in known.items()}


def _pairs(copies: dict[int, str], numbers: dict[str, int]) -> set[tuple[int, int]]:
    """All pairs of rows that say the same: each copy with its original, and copies of one original with each other."""
    families: dict[str, set[int]] = {original: {numbers[original]} for original in copies.values()}
    for row, original in copies.items():
        families[original].add(row)
    return {pair for family in families.values() for pair in combinations(sorted(family), 2)}


def reported_faults(rows: pd.DataFrame, rejected: pd.DataFrame) -> dict[str, set]:
    """What the checks of a table report, by kind of fault: row numbers; for duplicates pairs (earlier row, later row).

    ``rows`` and ``rejected`` are as ``checks.check_rows`` returns them, with ``splits.duplicate_texts`` of the texts as
    column group.
    """
    made = {kind: set(rejected.loc[rejected["reason"].isin(reasons), "row"]) for kind, reasons in _REASONS.items()}
    made["mojibake"] = set(rows.loc[rows["text_repaired"], "row"])
    made["odd_label"] = set(rows.loc[rows["label"] != rows["label_given"], "row"])
    copies = rows.loc[rows["group"].duplicated(keep=False), ["group", "row", "text"]]
    pairs = copies.merge(copies, on="group", suffixes=("", "_later")).query("row < row_later")
    same = pairs["text"] == pairs["text_later"]
    for kind, chosen in zip(DUPLICATES, (pairs[same], pairs[~same]), strict=True):
        made[kind] = set(zip(chosen["row"], chosen["row_later"], strict=True))
    return made


def fault_scores(reported: dict[str, set], planted: dict[str, set]) -> pd.DataFrame:
    """How many known faults were found, one line a kind of ``planted``: planted, found, hit, precision, recall.

    Precision and recall are text, a share with its score interval (Wilson, 1927); a dash where they are undefined.
    """
    made = pd.DataFrame({kind: detector_scores(reported[kind], planted[kind]) for kind in planted}).T
    counts = made.reindex(columns=["planted", "found", "hit"]).astype(int)
    return counts.assign(
        precision=list(map(count_text, counts["hit"], counts["found"])),
        recall=list(map(count_text, counts["hit"], counts["planted"])),
    )


class PlantedFaults:
    """The checks of a table against a list of known faults.

    Parameters
    ----------
    rows, rejected : what ``reported_faults`` takes
    content : the table itself, as ``read_table`` returns it
    list_path : the list, a table with id, kind and detail; where there is no such file nothing is known

    Attributes
    ----------
    table : ``fault_scores``; without a line where nothing is known, or where the list is another table's

    Raises as ``planted_rows`` does.
    """

    def __init__(self, rows: pd.DataFrame, rejected: pd.DataFrame, content: pd.DataFrame, list_path: str | Path):
        path = Path(list_path)
        known = planted_faults(tables.read_table(path)[0], content) if path.is_file() else {}
        self.table = fault_scores(reported_faults(rows, rejected), known)

    def verdicts(self) -> list[tuple]:
        """Key, grade and facts of all kinds of faults together; nothing where no fault is known."""
        n_planted, n_found, n_hit = (int(self.table[name].sum()) for name in ("planted", "found", "hit"))
        missing = (self.table["planted"] - self.table["hit"]).loc[lambda count: count > 0]
        missed = ", ".join(f"{count} {kind}" for kind, count in missing.items()) or "none"
        facts = {"planted": n_planted, "missed": missed, "recall": count_text(n_hit, n_planted)}
        facts["precision"] = count_text(n_hit, n_found)
        return [("planted faults", "look" if len(missing) else "note", facts)] if n_planted else []


def planted_labels(table: str | Path, list_name: str) -> dict[int, str]:
    """Row number to the right label of each wrong label that was planted, from the list of that name beside ``table``.

    Empty where there is no such list, or where it is another table's. Raises as ``planted_rows`` does.
    """
    path = runs.resolve(table)
    listed = path.parent / list_name
    if not listed.is_file():
        return {}
    return planted_rows(tables.read_table(listed)[0], tables.read_table(path)[0], "wrong_label")
