"""What a person decided about suspect labels: read the edited list, apply it to training rows, measure what it brought.

Notebook 02_preprocess applies it, 04_error_analysis measures.
"""

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

from fusebook import runs
from fusebook.data import tables
from fusebook.data.dataset import Dataset
from fusebook.evaluation.comparison import compare, verdicts
from fusebook.evaluation.sizes import linear_answers

ACTIONS = ("keep", "change", "drop")
_WANTED = ["row", "label", "suggested", "action"]
DROPPED = "dropped"  # the split of a training row that a person took out

REASONS = {
    "ROW_UNKNOWN": "no row has this number",
    "ROW_TWICE": "an earlier line of the list has this row",
    "ROW_NOT_TRAINING": "only training rows are corrected; the gain is measured on the others, so their labels stay",
    "ACTION_UNKNOWN": f"the action is none of {', '.join(ACTIONS)}",
    "LABEL_DIFFERS": "the row has another label than the list says: is it the list of another table?",
    "LABEL_UNKNOWN": "no row has the suggested label",
    "LABEL_EMPTIED": "the label would be left without training rows",
}


def with_edits(listed: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    """``listed`` with what a person has decided in an earlier list at ``path``: nothing that was edited gets lost.

    Lines whose action was edited stand first, as they were. Where there is no list, or it has no such line, the table
    comes back as it is.
    """
    if not Path(path).is_file() or len(Path(path).read_bytes().strip().splitlines()) < 2:  # no line below the header
        return listed
    earlier = tables.read_table(path)[0]
    if not {"row", "action"} <= set(earlier):
        return listed
    edited = earlier[earlier["action"].map(_tidy) != "keep"]
    if edited.empty:
        return listed
    new = listed[~listed["row"].astype(str).isin(edited["row"].str.strip())]
    return pd.concat([edited.reindex(columns=listed.columns, fill_value=""), new], ignore_index=True)


def read_corrections(path: str | Path) -> pd.DataFrame:
    """A list that a person has edited: row, label, suggested, action, all as text; other columns are left out.

    Raises FileNotFoundError and ValueError as ``tables.read_table`` does, ValueError where a column is missing or a
    line can't be read.
    """
    table, rejected = tables.read_table(path)
    if missing := [name for name in _WANTED if name not in table]:
        raise ValueError(
            f"{path} has no column {', '.join(missing)}; expected {', '.join(_WANTED)}, as in label_suspects.csv."
        )
    if len(rejected):
        lines = ", ".join(map(str, rejected["row"].head(5)))
        raise ValueError(f"{path}: row {lines} can't be read ({rejected['reason'].iloc[0]}). Save it again as CSV.")
    return table[_WANTED]


class Corrections:
    """``rows`` as the list at ``path`` says; with path "" nothing changes. Raises as ``read_corrections`` does.

    Attributes
    ----------
    rows : with the label and the split that a person decided on, and label_before
    refused : the lines of the list that were not applied, each with its reason and what that means
    """

    def __init__(self, rows: pd.DataFrame, path: str | Path = ""):
        self.given = bool(path)
        listed = read_corrections(runs.resolve(path)) if path else pd.DataFrame(columns=_WANTED, dtype=str)
        self.rows, refused = apply_corrections(rows, listed)
        self.refused = refused.assign(meaning=refused["reason"].map(REASONS))

    def verdicts(self) -> list[tuple]:
        """Key, grade and facts of what was changed; nothing where no list was given."""
        changed = int((self.rows["label"] != self.rows["label_before"]).sum())
        facts = {
            "changed": changed,
            "dropped": int((self.rows["split"] == DROPPED).sum()),
            "refused": len(self.refused),
        }
        return [("corrections", "look" if len(self.refused) else "note", facts)] if self.given else []


def apply_corrections(rows: pd.DataFrame, corrections: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Change labels of training rows, or take rows out, as a person decided; neither table is changed itself.

    Parameters
    ----------
    rows : row, split, label, and whatever else
    corrections : row, label, suggested, action, as ``read_corrections`` returns them

    Returns
    -------
    corrected : ``rows`` with the new label, with split "dropped" for what was taken out, and label_before
    rejected : row (as in the list), part, reason (one of ``REASONS``), detail, for lines that change nothing but should
    """
    lines = corrections.assign(action=corrections["action"].map(_tidy), number=_numbers(corrections["row"]))
    lines["suggested"] = [unicodedata.normalize("NFKC", label).strip() for label in lines["suggested"]]
    now = rows[["row", "split", "label"]]
    lines = lines.merge(now, how="left", left_on="number", right_on="row", suffixes=("", "_now"))
    lines["reason"] = _reasons(lines, set(rows["label"]))
    corrected = _corrected(rows, lines)
    while emptied := _training_labels(rows) - _training_labels(corrected):
        gone = (lines["reason"] == "") & (lines["action"] != "keep") & lines["label_now"].isin(emptied)
        lines.loc[gone, "reason"] = "LABEL_EMPTIED"
        corrected = _corrected(rows, lines)
    refused = lines[lines["reason"] != ""]
    details = [f"{line.action}: {line.label} → {line.suggested}" for line in refused.itertuples()]
    rejected = refused[["row", "reason"]].assign(part="label", detail=details)[tables.REJECTED_COLUMNS]
    return corrected, rejected.reset_index(drop=True)


def _tidy(action: str) -> str:
    return action.strip().casefold() or "keep"


def _numbers(column: pd.Series) -> pd.Series:
    """Row numbers; -1, which no row has, for what is no whole number."""
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.where(numbers % 1 == 0, -1).astype(int)


def _reasons(lines: pd.DataFrame, known: set[str]) -> np.ndarray:
    """Why each line can't be applied, "" where it can; the first reason counts."""
    edits = lines["action"] != "keep"
    label = lines["label"].map(lambda text: unicodedata.normalize("NFKC", text).strip())
    checks = {
        "ROW_UNKNOWN": lines["label_now"].isna(),
        "ROW_TWICE": lines["number"].duplicated(),
        "ACTION_UNKNOWN": ~lines["action"].isin(ACTIONS),
        "ROW_NOT_TRAINING": edits & (lines["split"] != "train"),
        "LABEL_DIFFERS": edits & (label != lines["label_now"]),
        "LABEL_UNKNOWN": (lines["action"] == "change") & ~lines["suggested"].isin(known),
    }
    return np.select(list(checks.values()), list(checks), default="")


def _corrected(rows: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    good = lines[lines["reason"] == ""].set_index("number")
    changed = rows["row"].map(good.loc[good["action"] == "change", "suggested"])
    dropped = rows["row"].isin(good.index[good["action"] == "drop"])
    label, split = changed.fillna(rows["label"]).astype(rows["label"].dtype), rows["split"].where(~dropped, DROPPED)
    return rows.assign(label_before=rows["label"], label=label, split=split)


def _training_labels(rows: pd.DataFrame) -> set[str]:
    return set(rows.loc[rows["split"] == "train", "label"])


def correction_gain(data: Dataset) -> dict:
    """What corrections brought: ``comparison.compare`` of a linear model trained on the labels before and after.

    The rows of ``data`` have label_before, as ``apply_corrections`` leaves it; labels of test rows are never corrected.
    Returns what ``compare`` does: accuracy after minus before, its interval, and so on. Raises ValueError without a
    test row.
    """
    rows, test, right = data.rows, data.test, []
    numbers = {name: i for i, name in enumerate(data.label_names)}
    before = rows["label_before"].map(numbers).to_numpy()
    for splits, labels in ((["train", DROPPED], before), (["train"], data.labels)):
        train = np.flatnonzero(rows["split"].isin(splits))
        answers = linear_answers(data.features[train].linear, labels[train], test.features.linear)
        right.append(answers == test.labels)
    return compare(*right, groups=test.groups)


def gain_verdicts(data: Dataset, language: str = "en") -> list[tuple]:
    """Key, grade and facts of ``correction_gain``; nothing where no row was corrected."""
    rows = data.rows
    if (rows["label"] == rows["label_before"]).all() and not (rows["split"] == DROPPED).any():
        return []
    line = {"a": "before", "b": "after corrections"} | correction_gain(data)
    return verdicts(pd.DataFrame([line]), language)
