"""Which rows did the model get wrong, and what if one were otherwise? The plain functions behind the widgets.

Notebook 05_inspect tells the story.
"""

import numpy as np
import pandas as pd

from fusebook.errors import row_table
from fusebook.evaluate import known_model
from fusebook.intervals import wilson_interval

ORDERS = ("row", "confidence", "loss", "suspicion")
PAGE_SIZE = 20
COLUMNS = [
    "row", "split", "text", "image", "audio", "label", "predicted", "right", "confidence", "loss", "suspicion",
    "slices",
]  # fmt: skip


def inspection_table(
    rows: pd.DataFrame,
    predictions: pd.DataFrame,
    model: str,
    label_names: list[str],
    *,
    suspects: pd.DataFrame | None = None,
    slices: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One line for each row that ``model`` predicted or whose label is suspect, in the order of their numbers.

    Parameters
    ----------
    rows : row, text, image, audio, label
    predictions : as ``evaluate.prediction_table`` returns it; training rows are not among them, as models learnt from them
    suspects : row, label_probability, as in label_suspects.csv, with split where training rows are listed
    slices : row and slice (its name), one line for each row in a slice

    Returns a DataFrame with the columns ``COLUMNS``. Suspicion is 1 minus what a model that has not seen the row gives its
    label, 0 where the row is not listed, NaN where ``suspects`` is None; slices is a tuple of names. A training row, which
    is there only as a suspect, has predicted "", right NA, confidence and loss NaN.

    Raises ValueError where ``model`` predicted nothing.
    """
    known_model(model, dict.fromkeys(predictions["model"].unique()))
    own = predictions[predictions["model"] == model].reset_index(drop=True)
    columns = [f"p{i}" for i in range(len(label_names))]
    judged = row_table(own[columns].to_numpy(), label_names, own["class_id"].to_numpy())
    judged = pd.concat([own[["row", "split"]], judged.astype({"right": "boolean"})], axis=1)
    doubt = _suspicion(suspects, set(rows["row"]))
    unseen = doubt.index.difference(judged["row"])
    only_listed = rows.loc[rows["row"].isin(unseen), ["row", "label"]].assign(split="train", predicted="")
    table = pd.concat([judged, only_listed.astype({"row": judged["row"].dtype})], ignore_index=True)
    table = table.merge(rows[["row", "text", "image", "audio"]], on="row", validate="one_to_one")
    names = {} if slices is None else slices.groupby("row")["slice"].agg(tuple).to_dict()
    table["suspicion"] = np.nan if suspects is None else table["row"].map(doubt).fillna(0.0)
    table["slices"] = [names.get(row, ()) for row in table["row"]]
    return table.sort_values("row", ignore_index=True)[COLUMNS]


def _suspicion(suspects: pd.DataFrame | None, known: set[int]) -> pd.Series:
    """1 minus the probability of the label, by row number; a list that a person has edited may hold anything."""
    if suspects is None:
        return pd.Series(dtype=float)
    numbers = suspects[["row", "label_probability"]].apply(pd.to_numeric, errors="coerce").dropna()
    numbers = numbers[numbers["row"].isin(known)].drop_duplicates("row")
    return (1 - numbers.set_index(numbers["row"].astype(int))["label_probability"]).clip(0, 1)


def filter_rows(
    table: pd.DataFrame,
    *,
    split: str = "",
    label: str = "",
    predicted: str = "",
    right: bool | None = None,
    confidence: tuple[float, float] = (0, 1),
    slice_name: str = "",
    search: str = "",
) -> pd.DataFrame:
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
        kept[kept] = [folded in text.casefold() for text in table["text"][kept]]
    return table[kept]


def sort_rows(table: pd.DataFrame, by: str, *, rising: bool = False) -> pd.DataFrame:
    """``table`` by one of ``ORDERS``, the highest first unless ``rising``; equals stay in order, NaN comes last.

    Raises ValueError for another column.
    """
    if by not in ORDERS:
        raise ValueError(f"Rows can't be sorted by {by!r}; expected one of {', '.join(ORDERS)}.")
    return table.sort_values(by, ascending=rising, kind="stable", na_position="last")


def page_count(n_rows: int, size: int = PAGE_SIZE) -> int:
    """How many pages of ``size`` lines ``n_rows`` take, one at least."""
    return max(-(-n_rows // size), 1)


def page_of(table: pd.DataFrame, number: int, size: int = PAGE_SIZE) -> pd.DataFrame:
    """The lines of page ``number``, from 1 on; the first or the last page where there is none of that number."""
    number = min(max(number, 1), page_count(len(table), size))
    return table.iloc[(number - 1) * size : number * size]


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
