"""Which rows did the model get wrong? ``Listing``, and the plain functions behind it and the widgets.

Notebook 05_inspect tells the story.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from fusebook import runs
from fusebook.data import tables
from fusebook.data.formats import labels
from fusebook.data.predictions import Predictions
from fusebook.errors.corrections import ACTIONS
from fusebook.errors.mistakes import confident_mistakes, row_table
from fusebook.evaluation.intervals import wilson_interval
from fusebook.evaluation.scores import count_text
from fusebook.models.bundle import Bundle

CROSS_FITTED = (
    "cross-fitted"  # as a split: training, validation and test rows, each answered by models that had not seen it
)
ORDERS = ("row", "confidence", "loss", "suspicion")
PAGE_SIZE = 20
MOST_BYTES = 2_000_000  # that the rows take on an exported page
MOST_FOLDED = 50_000  # texts that are remembered in small letters
COLUMNS = ["row", "split", "text", "image", "audio", "label", "predicted", "right", "confidence", "loss", "suspicion",
           "slices"]  # fmt: skip
SUSPECT_COLUMNS = ["row", "split", "label", "suggested", "label_probability", "audit", "action", "text"]
NEEDED_COLUMNS = [name for name in SUSPECT_COLUMNS if name not in ("audit", "text")]  # older lists have no audit


class Listing:
    """The rows to look at with what ``model`` said of them: as a table, as controls, and as a page that needs no kernel.

    Parameters
    ----------
    rows, predictions, model, slices : as ``inspection_table`` takes them
    suspects : path of label_suspects.csv, to which a person's decisions are written at once; "" for none

    Attributes
    ----------
    table : one line a row, as ``inspection_table`` returns it
    """

    def __init__(
        self, rows: pd.DataFrame, predictions: Sequence[Predictions], model: str, *, suspects: str | Path = "",
        slices: pd.DataFrame | None = None,
    ):  # fmt: skip
        self.rows, self.predictions, self.suspects, self.slices = rows, predictions, suspects, slices
        self.listed = read_suspects(suspects) if suspects else None
        self.table = self.about(model)

    def about(self, model: str) -> pd.DataFrame:
        """The table that tells of another ``model``."""
        return inspection_table(self.rows, self.predictions, model, suspects=self.listed, slices=self.slices)

    def worst(self, most: int = 6) -> pd.DataFrame:
        """The wrong rows with the largest loss, of those that are scored, to be read: one line a row number."""
        wrong = sort_rows(filter_rows(self.table, split=scored_split(self.table), right=False), "loss").head(most)
        shown = wrong.set_index("row").drop(columns=["split", "image", "audio", "right"]).round(3)
        return shown.assign(slices=["; ".join(names) for names in shown["slices"]])

    def thresholds(self) -> pd.DataFrame:
        """``coverage_and_accuracy`` of the rows that are scored, one line a threshold of confidence."""
        scored = filter_rows(self.table, split=scored_split(self.table))
        thresholds = pd.Index([0.0, 0.5, 0.7, 0.9], name="threshold")
        return pd.DataFrame([coverage_and_accuracy(scored, each) for each in thresholds], index=thresholds).round(3)

    def decided(self) -> pd.DataFrame:
        """How many suspects a person wants to keep, change or drop, as the list stood when it was read; "–": undecided."""
        actions = pd.Series(dtype=str) if self.listed is None else self.listed["action"].str.strip().replace("", "–")
        return actions.value_counts().rename_axis("action").to_frame("rows")

    def inspector(self, bundle: Bundle):
        """Controls to find a row, to change it and to decide on its label: a ``widgets.Inspector``."""
        from fusebook.inspection.widgets import Inspector

        return Inspector(self, bundle)

    def twin(
        self, models: list[str], *, bundle: Bundle | None = None, explained: int = 0, most_bytes: int = MOST_BYTES
    ):
        """The rows as HTML that answers on an exported page; JupyterLab shows a few cards.

        Parameters
        ----------
        models : whose answers a card tells; first the one that the table is about
        bundle, explained : what tells the words and patches that moved its chosen model, in so many rows
        most_bytes : that all of it takes, see ``twin.page_twin``
        """
        from fusebook.inspection import twin

        effects = twin.row_effects(bundle, self.table, self.rows, explained) if bundle else {}
        return twin.page_twin(self.table, self.predictions, models, effects=effects, most_bytes=most_bytes)


def inspection_table(
    rows: pd.DataFrame, predictions: Sequence[Predictions], model: str, *, suspects: pd.DataFrame | None = None,
    slices: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """One line for each row that ``model`` predicted or whose label is suspect, in the order of their numbers.

    Parameters
    ----------
    rows : row, text, image, audio, label
    predictions : of validation and test rows, or of all rows where folds answered them; training rows that the models
        learnt from are not among them
    suspects : row, label_probability, as in label_suspects.csv, with split where training rows are listed
    slices : row and slice (its name), one line for each row in a slice

    Returns a DataFrame with the columns ``COLUMNS``. Suspicion is 1 minus what a model that has not seen the row gives its
    label, 0 where the row is not listed, NaN where ``suspects`` is None; slices is a tuple of names. The split of rows
    that folds answered is ``CROSS_FITTED``. A training row, which else is there only as a suspect, has predicted "", right NA, confidence and loss NaN.

    Raises ValueError where ``model`` predicted nothing.
    """
    judged = [row_table(some, model).assign(split=_splits(some)) for some in predictions if model in some]
    if not judged:
        predictions[-1].known(model)
    judged = pd.concat(judged, ignore_index=True).astype({"right": "boolean"})
    doubt = _suspicion(suspects, set(rows["row"]))
    unseen = doubt.index.difference(judged["row"])
    only_listed = rows.loc[rows["row"].isin(unseen), ["row", "label"]].assign(split="train", predicted="")
    table = pd.concat([judged, only_listed.astype({"row": judged["row"].dtype})], ignore_index=True)
    table = table.merge(rows[["row", "text", "image", "audio"]], on="row", validate="one_to_one")
    table["text"] = table["text"].astype(object)  # strings that no filter has to copy
    names = {} if slices is None else slices.groupby("row")["slice"].agg(tuple).to_dict()
    table["suspicion"] = np.nan if suspects is None else table["row"].map(doubt).fillna(0.0)
    table["slices"] = [names.get(row, ()) for row in table["row"]]
    return table.sort_values("row", ignore_index=True)[COLUMNS]


def _splits(predictions: Predictions) -> pd.Series:
    """The split of each row, ``CROSS_FITTED`` for all of them where folds answered some."""
    folded = (predictions.folds > 0).any()
    return predictions.rows["split"].mask(np.full(predictions.n_rows, folded), CROSS_FITTED)


def scored_split(table: pd.DataFrame) -> str:
    """The split of the rows of an ``inspection_table`` that scores rest on: ``CROSS_FITTED`` where there are such, else test."""
    return CROSS_FITTED if (table["split"] == CROSS_FITTED).any() else "test"


def _suspicion(suspects: pd.DataFrame | None, known: set[int]) -> pd.Series:
    """1 minus the probability of the label, by row number; a list that a person has edited may hold anything."""
    if suspects is None:
        return pd.Series(dtype=float)
    numbers = suspects[["row", "label_probability"]].apply(pd.to_numeric, errors="coerce").astype(float).dropna()
    numbers = numbers[numbers["row"].isin(known)].drop_duplicates("row")
    return (1 - numbers.set_index(numbers["row"].astype(int))["label_probability"]).clip(0, 1)


def filter_rows(
    table: pd.DataFrame, *, split: str = "", label: str = "", predicted: str = "", right: bool | None = None,
    confidence: tuple[float, float] = (0, 1), slice_name: str = "", search: str = "",
) -> pd.DataFrame:  # fmt: skip
    """The lines of an ``inspection_table`` for which all that is asked holds; "" and None ask nothing.

    ``confidence`` is a closed range; rows without a prediction are in the whole range only. ``search`` is looked for in
    the text as it stands, capital or small alike: its characters mean themselves.
    """
    kept = np.ones(len(table), bool)
    for name, value in {"split": split, "label": label, "predicted": predicted}.items():
        if value:
            kept &= (table[name] == value).to_numpy()
    if right is not None:
        kept &= (table["right"] == right).fillna(False).to_numpy(bool)
    low, high = confidence
    if low > 0 or high < 1:
        kept &= table["confidence"].between(low, high).to_numpy()
    if slice_name:
        kept &= np.array([slice_name in names for names in table["slices"]], bool)
    if search:
        folded = search.casefold()
        kept[kept] = [folded in _folded(text) for text in table["text"][kept]]
    return table[kept]


@lru_cache(MOST_FOLDED)
def _folded(text: str) -> str:
    """``text`` in small letters: to make them takes longer than to search in them."""
    return text.casefold()


def sort_rows(table: pd.DataFrame, by: str, *, rising: bool = False) -> pd.DataFrame:
    """``table`` by one of ``ORDERS``, the highest first unless ``rising``; equals stay in order, NaN comes last.

    Raises ValueError for another column.
    """
    if by not in ORDERS:
        raise ValueError(f"Rows can't be sorted by {by!r}; expected one of {', '.join(ORDERS)}.")
    return table.sort_values(by, ascending=rising, kind="stable", na_position="last")


def first_mistake(judged: pd.DataFrame) -> int:
    """The number of the row of errors.parquet that is worth a first look.

    It is the most confident mistake; where nothing is wrong, the row of which the model was least sure.
    """
    order = pd.concat([confident_mistakes(judged), judged[judged["right"]].sort_values("confidence").head(1)])
    return int(order["row"].iloc[0])


def page_count(n_rows: int) -> int:
    """How many pages of ``PAGE_SIZE`` lines ``n_rows`` take, one at least."""
    return max(-(-n_rows // PAGE_SIZE), 1)


def page_of(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """The lines of page ``number``, from 1 on; the first or the last page where there is none of that number."""
    number = min(max(number, 1), page_count(len(table)))
    return table.iloc[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]


def coverage_and_accuracy(table: pd.DataFrame, threshold: float) -> dict:
    """What is answered where only rows of at least ``threshold`` confidence are, and how well.

    Returns rows (those with a prediction), answered, right, coverage (share answered), accuracy of the answered, and low
    and high, its 95 % score interval (Wilson, 1927); NaN where nothing is answered.
    """
    judged = table[table["confidence"].notna()]
    sure = judged[judged["confidence"] >= threshold]
    rows, answered, right = len(judged), len(sure), int(sure["right"].sum())
    made = {"rows": rows, "answered": answered, "right": right}
    made["coverage"] = answered / rows if rows else np.nan
    made["accuracy"] = right / answered if answered else np.nan
    low, high = wilson_interval(made["accuracy"], answered) if answered else (np.nan, np.nan)
    return made | {"low": float(low), "high": float(high)}


def threshold_text(made: dict, threshold: float) -> str:
    """``coverage_and_accuracy`` as a sentence."""
    if not made["rows"]:
        return "None of these rows has a prediction, so there is nothing to answer."
    start = f"At a confidence of {threshold:.2f} or more, {made['answered']:,} of {made['rows']:,} rows are answered"
    if not made["answered"]:
        return f"{start}."
    right = count_text(made["right"], made["answered"])
    return f"{start} ({100 * made['coverage']:.1f} %), and {right} of the answers are right."


def read_suspects(path: str | Path) -> pd.DataFrame:
    """The list of suspects at ``path``, all as text, with the columns ``NEEDED_COLUMNS`` at least.

    Without a line where the file holds none. Raises FileNotFoundError where there is no file, ValueError where a line
    can't be read or a column is missing: such a list is not to be written anew, or something of it would be lost.
    """
    path = Path(path)
    if path.is_file() and len(path.read_bytes().strip().splitlines()) < 2:
        return pd.DataFrame(columns=SUSPECT_COLUMNS, dtype=str)
    listed, rejected = tables.read_table(path)
    if missing := [name for name in NEEDED_COLUMNS if name not in listed]:
        raise ValueError(f"{path} has no column {', '.join(missing)}; expected {', '.join(SUSPECT_COLUMNS)}.")
    if len(rejected):
        lines = ", ".join(map(str, rejected["row"].head(5)))
        raise ValueError(f"{path}: line {lines} can't be read ({rejected['reason'].iloc[0]}). Mend it by hand.")
    return listed


def set_action(path: str | Path, row: int, action: str, label: str = "") -> pd.DataFrame:
    """Write to the list at ``path`` what a person decided on one suspect: keep, change or drop.

    Parameters
    ----------
    label : the new label where the action is "change"; the suggested one by default

    All other lines stay as they are, and the file is written whole or not at all. Returns the list as it is now. Raises
    ValueError for another action or a change to nothing, KeyError where ``row`` is not on the list, and what
    ``read_suspects`` does.
    """
    if action not in ACTIONS:
        raise ValueError(f"The action is {action!r}; expected one of {', '.join(ACTIONS)}.")
    listed = read_suspects(path)
    line = listed["row"].str.strip() == str(row)
    if not line.any():
        raise KeyError(f"Row {row} is not among the {len(listed)} rows of {Path(path).name}: nothing was written.")
    label = labels.tidy(label)
    if action == "change" and not label and not listed.loc[line, "suggested"].str.strip().all():
        raise ValueError(f"Row {row} is to change to no label; expected one, such as label='sport'.")
    listed.loc[line, "action"] = action
    if action == "change" and label:
        listed.loc[line, "suggested"] = label
    # The file's own line ends stay; beside plain ones a lone carriage return in a field would not be quoted.
    line_end = "\r\n" if b"\r" in Path(path).read_bytes() else "\n"
    with runs.replacing(path) as beside:
        listed.to_csv(beside, index=False, encoding="utf-8-sig", lineterminator=line_end)
    return listed
