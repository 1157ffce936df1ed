"""What a person decided about suspect labels: read the edited list, apply it to training rows, measure what it brought.

The action of a line is "" until somebody decides; keep is a decision too. Notebook 02_preprocess applies the list,
04_error_analysis measures, and counts what a person said of the lines drawn for the audit.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from fusebook import runs
from fusebook.data import tables
from fusebook.data.dataset import Dataset
from fusebook.data.formats.labels import tidy
from fusebook.evaluation.comparison import compare, verdicts
from fusebook.evaluation.scores import interval_text
from fusebook.evaluation.sizes import linear_answers

ACTIONS = ("keep", "change", "drop")
N_AUDITED = 30  # lines of the list that are drawn for the audit
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
    """``listed`` with what a person has decided in an earlier list at ``path``: nothing that was decided gets lost.

    Lines that were decided stand first, as they were; in a list without the column audit, which had "keep" in each line,
    these are the others. An audit that has begun goes on: its numbers stay, and no new lines are drawn. Where there is no
    list, or it has no such line, the table comes back as it is.
    """
    earlier = _earlier(path)
    if not {"row", "action"} <= set(earlier):
        return listed
    undecided = ["", "keep"][: 1 if "audit" in earlier else 2]
    decided = earlier[~earlier["action"].map(_tidy).isin(undecided)]
    if decided.empty:
        return listed
    numbers = listed["row"].astype(str)
    if "audit" in earlier and (decided["audit"].str.strip() != "").any():
        marks = dict(zip(earlier["row"].str.strip(), earlier["audit"], strict=True))
        listed = listed.assign(audit=numbers.map(marks).fillna(""))
    new = listed[~numbers.isin(decided["row"].str.strip())]
    return pd.concat([decided.reindex(columns=listed.columns, fill_value=""), new], ignore_index=True)


def _earlier(path: str | Path) -> pd.DataFrame:
    """The list at ``path``, all as text; without a column where there is no file, or no line below its header."""
    if not Path(path).is_file() or len(Path(path).read_bytes().strip().splitlines()) < 2:
        return pd.DataFrame()
    return tables.read_table(path)[0]


def audit_verdicts(n_suspects: int, share: float, paths: Iterable[str | Path] = ()) -> list[tuple]:
    """Key, grade and facts of how many suspects are wrong, by the lines drawn for the audit that a person has decided.

    A line that is to be changed or dropped was wrong. The first of ``paths`` with such a decision counts. Where none has
    one, it is said what an audit of ``n_suspects`` would bring, if that ``share`` of them is wrong; nothing where there
    are no suspects.
    """
    for path in filter(None, paths):
        listed = _earlier(runs.resolve(path))
        if {"row", "audit", "action"} <= set(listed):
            actions = listed.loc[listed["audit"].str.strip() != "", "action"].map(_tidy)
            audited, wrong = int(actions.isin(ACTIONS).sum()), int(actions.isin(ACTIONS[1:]).sum())
            if audited:
                return [("audited", "note", _audit_facts(len(listed), audited, wrong))]
    audited = min(N_AUDITED, n_suspects)
    if not audited:
        return []
    if audited == n_suspects:
        return [("audit of all", "note", {"lines": audited})]
    low, high = wrong_among(n_suspects, audited, round(share * audited))
    return [("audit", "note", {"lines": audited, "points": f"{50 * (high - low) / n_suspects:.0f}"})]


def _audit_facts(n_suspects: int, audited: int, wrong: int) -> dict:
    low, high = wrong_among(n_suspects, audited, wrong)
    share = interval_text(wrong / audited, low / n_suspects, high / n_suspects)
    about = round(n_suspects * wrong / audited)
    return {
        "audited": audited,
        "wrong": wrong,
        "share": share,
        "all": n_suspects,
        "about": about,
        "low": low,
        "high": high,
    }


def wrong_among(n_suspects: int, audited: int, wrong: int) -> tuple[int, int]:
    """How many of ``n_suspects`` are wrong: the ends of an exact 95 % interval, as ``wrong`` of those ``audited`` were.

    These are drawn without replacement: the ends are the numbers that a hypergeometric test does not reject (Buonaccorsi,
    1987). Where all were audited, both are ``wrong``.
    """
    numbers = np.arange(n_suspects + 1)
    fewer = hypergeom.cdf(wrong, n_suspects, numbers, audited)  # so many wrong or fewer are found
    more = hypergeom.sf(wrong - 1, n_suspects, numbers, audited)
    kept = numbers[(fewer > 0.025) & (more > 0.025)]
    return int(kept[0]), int(kept[-1])


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
    lines["suggested"] = lines["suggested"].map(tidy)
    now = rows[["row", "split", "label"]]
    lines = lines.merge(now, how="left", left_on="number", right_on="row", suffixes=("", "_now"))
    lines["reason"] = _reasons(lines, set(rows["label"]))
    corrected = _corrected(rows, lines)
    while emptied := _training_labels(rows) - _training_labels(corrected):
        gone = (lines["reason"] == "") & lines["action"].isin(ACTIONS[1:]) & lines["label_now"].isin(emptied)
        lines.loc[gone, "reason"] = "LABEL_EMPTIED"
        corrected = _corrected(rows, lines)
    refused = lines[lines["reason"] != ""]
    details = [f"{line.action}: {line.label} → {line.suggested}" for line in refused.itertuples()]
    rejected = refused[["row", "reason"]].assign(part="label", detail=details)[tables.REJECTED_COLUMNS]
    return corrected, rejected.reset_index(drop=True)


def _tidy(action: str) -> str:
    return action.strip().casefold()


def _numbers(column: pd.Series) -> pd.Series:
    """Row numbers; -1, which no row has, for what is no whole number."""
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.where(numbers % 1 == 0, -1).astype(int)


def _reasons(lines: pd.DataFrame, known: set[str]) -> np.ndarray:
    """Why each line can't be applied, "" where it can; the first reason counts."""
    edits = ~lines["action"].isin(["", "keep"])
    label = lines["label"].map(tidy)
    checks = {
        "ROW_UNKNOWN": lines["label_now"].isna(),
        "ROW_TWICE": lines["number"].duplicated(),
        "ACTION_UNKNOWN": ~lines["action"].isin(["", *ACTIONS]),
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
