"""Widgets: thin shells around plain functions, which the notebook also calls once without a widget.

Notebook 05_inspect tells the story.
"""

import ipywidgets
import pandas as pd
from IPython.display import HTML, display

from fusebook import cards, explain
from fusebook.bundle import Bundle


def votes_of_row(bundle: Bundle, row: pd.DataFrame, *, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """Every model's probabilities for one row (a DataFrame of one line): labels as rows, models as columns."""
    made = bundle.predict_all(row, without=without)
    return pd.DataFrame(
        {name: values[0] for name, values in made.items()}, index=pd.Index(bundle.label_names, name="label")
    )


def inspect_row(bundle: Bundle, rows: pd.DataFrame, number: int, *, model: str = "") -> HTML:
    """The card of row ``number``: coloured words, picture, player, and the chosen model's bars.

    The words are coloured by what leaving them out does to the predicted class.
    Raises KeyError where ``rows`` has no such row.
    """
    row = rows[rows["row"] == number]
    if row.empty:
        raise KeyError(
            f"Row {number} is not among the {len(rows)} rows. Take a number from the column 'row'."
        )
    model = model or bundle.chosen

    def predict_texts(texts: list[str]):
        copies = pd.concat([row] * len(texts), ignore_index=True).assign(text=texts)
        return bundle.predict(copies, model=model)

    probabilities = bundle.predict(row, model=model)[0]
    best = int(probabilities.argmax())
    text = row["text"].iloc[0]
    marks = explain.leave_words_out(text, predict_texts, best)
    bars = cards.probability_bars(dict(zip(bundle.label_names, probabilities, strict=True)))
    heading = f"row {number} · given {row['label'].iloc[0]} · {model}: {bundle.label_names[best]}"
    card = cards.row_card(row.iloc[0].to_dict(), heading=heading, marks=marks, below=bars)
    return HTML(cards.CARD_STYLE + card)


def inspector(bundle: Bundle, rows: pd.DataFrame) -> ipywidgets.Widget:
    """Choose a row and a model; see ``inspect_row``."""
    choices = [(f"{line.row} · {line.label} · {line.text[:24]}", line.row) for line in rows.itertuples()]
    which = ipywidgets.Dropdown(options=choices, description="row", layout={"width": "32rem"})
    model = ipywidgets.Dropdown(options=bundle.models.names, value=bundle.chosen, description="model")
    output = ipywidgets.interactive_output(
        lambda number, model: display(inspect_row(bundle, rows, number, model=model)),
        {"number": which, "model": model},
    )
    return ipywidgets.VBox([which, model, output])
