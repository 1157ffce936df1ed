"""From a new table without labels to predictions, through a bundle.

Notebook 06_predict tells the story.
"""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from fusebook import checks, runs, tables
from fusebook.bundle import Bundle


def predict_table(
    bundle: str | Path | Bundle, table: str | Path, *, columns: dict[str, str], model: str = ""
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict every row of a table that can be read.

    Parameters
    ----------
    columns : names of the table's columns by part (text, image, audio); "" for none

    Returns
    -------
    predictions : the table's own columns (" (table)" is put behind a name that is also ours), then predicted, class_id,
        confidence and one probability column a label
    rejected : DataFrame with row, part, reason, detail

    Raises FileNotFoundError and ValueError as ``tables.read_table``, ``checks.check_rows`` and ``Bundle`` do.
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle(bundle)
    content, refused = tables.read_table(table)
    rows, rejected = checks.check_rows(content, columns=columns, folder=Path(table).parent)
    probabilities = bundle.predict(rows, model=model) if len(rows) else np.empty((0, len(bundle.label_names)))
    made = prediction_columns(probabilities, bundle.label_names)
    own = content.loc[rows["row"]].reset_index(drop=True)
    own.columns = _own_names(list(own), set(made))
    return pd.concat([own, made], axis=1), pd.concat([refused, rejected], ignore_index=True)


def _own_names(names: list[str], ours: set[str]) -> list[str]:
    """``names`` with " (table)" behind each that is one of ``ours``; more than once where that name is taken too."""
    result, taken = [], ours | set(names)
    for name in names:
        if name in ours:
            while name in taken:
                name += " (table)"
            taken.add(name)
        result.append(name)
    return result


def predict_rows(bundle: Bundle, rows: pd.DataFrame, *, model: str = "") -> pd.DataFrame:
    """Predictions of checked rows: row and text, then the columns of ``prediction_columns``."""
    made = prediction_columns(bundle.predict(rows, model=model), bundle.label_names)
    return pd.concat([rows[["row", "text"]], made], axis=1)


def prediction_columns(probabilities: np.ndarray, label_names: list[str]) -> pd.DataFrame:
    """predicted, class_id, confidence and one column ``probability_<label>`` a label, one line a row."""
    best = probabilities.argmax(axis=1)
    made = {
        "predicted": np.array(label_names, dtype=object)[best],
        "class_id": best,
        "confidence": probabilities.max(axis=1),
    }
    made |= {f"probability_{name}": probabilities[:, i] for i, name in enumerate(label_names)}
    return pd.DataFrame(made)


def write_predictions(path: str | Path, predictions: pd.DataFrame) -> None:
    """Write predictions as CSV (UTF-8 with a mark, so that spreadsheets show Chinese), whole or not at all."""
    with runs.replacing(path) as beside:
        # All text in quotes: pandas leaves a lone carriage return bare, and readers would break the line there.
        options = {"quoting": csv.QUOTE_NONNUMERIC, "float_format": "%.6f"}
        predictions.to_csv(beside, index=False, encoding="utf-8-sig", **options)
