"""Facts of rows: what can be said of a text, a picture, a sound or a line of the table without a model.

Notebook 04_error_analysis tells the story.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from fusebook import runs
from fusebook.data import files, tables
from fusebook.data.dataset import Dataset
from fusebook.encoders.tokens import script, tokenise

MOST_NAMES = 20  # a column with no more different numbers holds names, such as years


def facts_table(data: Dataset, columns: str = "", table: str | Path = "") -> pd.DataFrame:
    """What can be said of each row that no model was trained on, without a model; indexed by its number (``row``).

    Parameters
    ----------
    data : all rows; the words of training rows count as known
    columns : names of columns of the person's ``table``, comma-separated, that are facts too; "" for none

    Returns one column a fact: characters, unknown words (share of the text's words that no training text has), script
    (of most letters), digits, has text, has picture, has sound, picture brightness (0 to 1) and blur (low means
    blurred), sound seconds and loudness (dB below full scale), near-duplicate, and ``named_columns``. NaN where a part
    is missing. Raises as ``named_columns`` does.
    """
    rows, training = data.rows, (data.rows["split"] == "train").to_numpy()
    made = _facts(rows[~training], rows.loc[training, "text"])
    made["near-duplicate"] = rows["group"].duplicated(keep=False).to_numpy()[~training]
    content = tables.read_table(runs.resolve(table))[0] if columns else pd.DataFrame()
    return made.join(named_columns(content, columns.split(",")))


def _facts(judged: pd.DataFrame, texts: pd.Series) -> pd.DataFrame:
    """The facts of the rows ``judged`` by themselves; words of ``texts`` count as known."""
    pictures = files.facts_table("image", judged["image"].tolist())
    sounds = files.facts_table("audio", judged["audio"].tolist())
    known = {word for text in texts for word in tokenise(text)}
    facts = {
        "characters": judged["text"].str.len().to_numpy(),
        "unknown words": [_unknown_share(tokenise(text), known) for text in judged["text"]],
        "script": [script(text) for text in judged["text"]],
        "digits": judged["text"].str.count(r"\d").to_numpy(),
        "has text": (judged["text"] != "").to_numpy(),
        "has picture": (judged["image"] != "").to_numpy(),
        "has sound": (judged["audio"] != "").to_numpy(),
        "picture brightness": pictures["brightness"].to_numpy(), "picture blur": pictures["blur"].to_numpy(),
        "sound seconds": sounds["seconds"].to_numpy(), "sound loudness": sounds["loudness"].to_numpy(),
    }  # fmt: skip
    return pd.DataFrame(facts, index=judged["row"].to_numpy())


def named_columns(content: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Columns of the person's table as facts, each as "column NAME"; those that hold numbers only become numbers.

    Raises ValueError for a name that the table has not.
    """
    names = [name.strip() for name in names if name.strip()]
    if unknown := [name for name in names if name not in content]:
        raise ValueError(f"The table has no column {unknown}; expected some of {list(content)}.")
    made = {}
    for name in names:
        column = content[name].replace("", np.nan)
        numbers = pd.to_numeric(column, errors="coerce")
        few = numbers.nunique() <= MOST_NAMES
        made[f"column {name}"] = content[name] if few or numbers.isna().sum() > column.isna().sum() else numbers
    return pd.DataFrame(made, index=content.index)


def _unknown_share(words: list[str], known: set[str]) -> float:
    return np.mean([word not in known for word in words]) if words else np.nan
