"""Widgets: thin shells around plain functions, which the notebook also calls once without a widget.

Notebook 05_inspect tells the story.
"""

import ipywidgets
import pandas as pd
from IPython.display import HTML

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
    probabilities = bundle.predict(row, model=model)[0]
    best = int(probabilities.argmax())
    text = row["text"].iloc[0]
    marks = None
    if "text" in bundle.modalities:
        marks = explain.leave_words_out(text, explain.part_predictor(bundle, row, "text", model=model), best)
    bars = cards.probability_bars(dict(zip(bundle.label_names, probabilities, strict=True)))
    given = f" · given {row['label'].iloc[0]}" if "label" in row else ""
    heading = f"row {number}{given} · {model}: {bundle.label_names[best]}"
    card = cards.row_card(row.iloc[0].to_dict(), heading=heading, marks=marks, below=bars)
    return HTML(cards.CARD_STYLE + card)


def inspector(bundle: Bundle, rows: pd.DataFrame) -> ipywidgets.Widget:
    """Choose a row and a model; see ``inspect_row``.

    The card is the value of an HTML widget, not the content of an Output widget, whose messages nbclient has to answer:
    with those it now and then misses the end of a cell and waits for ever.
    """
    lines = rows.assign(label="") if "label" not in rows else rows
    choices = [(f"{line.row} · {line.label} · {line.text[:24]}", line.row) for line in lines.itertuples()]
    which = ipywidgets.Dropdown(options=choices, description="row", layout={"width": "32rem"})
    model = ipywidgets.Dropdown(options=bundle.models.names, value=bundle.chosen, description="model")
    card = ipywidgets.HTML()

    def show(_=None) -> None:
        card.value = inspect_row(bundle, rows, which.value, model=model.value).data

    which.observe(show, "value")
    model.observe(show, "value")
    show()
    return ipywidgets.VBox([which, model, card])
