"""Facts of rows: what can be said of a text, a picture, a sound or a line of the table without a model.

Notebook 04_error_analysis tells the story.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from fusebook import runs
from fusebook.data import files, tables
from fusebook.data.dataset import Dataset
from fusebook.encoders.tokens import script, tokenise

MOST_NAMES = 20  # a column with no more different numbers holds names, such as years


def facts_table(data: Dataset, columns: str = "", table: str | Path = "", wanted=None) -> pd.DataFrame:
    """What can be said of each row without a model; indexed by its number (``row``).

    Parameters
    ----------
    data : all rows; the words of training rows count as known
    columns : names of columns of the person's ``table``, comma-separated, that are facts too; "" for none
    wanted : the numbers of the rows to tell of, all by default

    Returns one column a fact: characters, unknown words (share of the text's words that no training row of another
    group has, so that no row knows its own), script (of most letters), digits, has text, has picture, has sound,
    picture brightness (0 to 1) and blur (low means blurred), sound seconds and loudness (dB below full scale),
    near-duplicate, and ``named_columns``. NaN where a part is missing. Raises as ``named_columns`` does.
    """
    rows, training = data.rows, (data.rows["split"] == "train").to_numpy()
    chosen = np.ones(len(rows), bool) if wanted is None else rows["row"].isin(wanted).to_numpy()
    made = _facts(rows[chosen])
    made["unknown words"] = _unknown_shares(rows[chosen], rows[training])
    made["near-duplicate"] = rows["group"].duplicated(keep=False).to_numpy()[chosen]
    content = tables.read_table(runs.resolve(table))[0] if columns else pd.DataFrame()
    return made.join(named_columns(content, columns.split(",")))


def _facts(judged: pd.DataFrame) -> pd.DataFrame:
    """The facts of the rows ``judged`` by themselves."""
    pictures = files.facts_table("image", judged["image"].tolist())
    sounds = files.facts_table("audio", judged["audio"].tolist())
    facts = {
        "characters": judged["text"].str.len().to_numpy(),
        "unknown words": np.nan,
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


def _unknown_shares(judged: pd.DataFrame, training: pd.DataFrame) -> list[float]:
    """The share of each text's words that no training row of another group has; NaN without words."""
    words = [set(tokenise(text)) for text in training["text"]]
    pairs = {(group, word) for group, own in zip(training["group"], words, strict=True) for word in own}
    groups = Counter(word for _, word in pairs)  # how many groups of training rows have a word
    made = []
    for group, text in zip(judged["group"], judged["text"], strict=True):
        found = tokenise(text)
        made.append(np.mean([groups[word] <= ((group, word) in pairs) for word in found]) if found else np.nan)
    return made
