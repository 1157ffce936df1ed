"""Does the inspector answer at once? Writes reports/benchmarks/inspection.json.

A filter over 10,000 rows is to answer within 200 ms, a changed text within 300 ms. Over a finished run (reports/sample, or
the folder given as an argument), whose rows are repeated until they are 10,000, once as they are and once with ten times
the text. Milliseconds, median and maximum, and the maximum over the limit. A changed text is answered when every model's
bars are there; its card with the words coloured follows, and stands in a line of its own.
"""

import sys
import time
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import rows

from fusebook.data.predictions import Predictions
from fusebook.inspection import listing, widgets
from fusebook.inspection.row_widgets import RowCard, silent
from fusebook.models.bundle import Bundle
from fusebook.runs import Run

N_ROWS, FILTER, EDIT = 10_000, 200, 300  # rows; milliseconds
N_EDITS, LONG = 40, 100_000  # edits; characters


def measure(work: Callable[[object], object], values: Iterable) -> np.ndarray:
    """Milliseconds of ``work`` with each of ``values``."""
    took = []
    for value in values:
        start = time.perf_counter()
        work(value)
        took.append(1000 * (time.perf_counter() - start))
    return np.array(took)


def lines(what: str, took: np.ndarray, limit: float) -> list[dict]:
    """Median, maximum, and what the maximum is of the limit."""
    values = {"median, ms": np.median(took), "maximum, ms": took.max(), f"maximum / {limit} ms": took.max() / limit}
    return [rows.row(what, "inspector", name, float(value)) for name, value in values.items()]


def repeated(table: pd.DataFrame, times: int) -> pd.DataFrame:
    """``N_ROWS`` rows that were predicted, each with a number of its own and ``times`` its text."""
    judged = table[table["predicted"] != ""]
    made = pd.concat([judged] * (N_ROWS // len(judged) + 1), ignore_index=True).head(N_ROWS)
    return made.assign(row=np.arange(1, N_ROWS + 1), text=made["text"] * times)


def filters(table: pd.DataFrame, label_names: list[str], what: str) -> list[dict]:
    """Every filter set and taken back, without a card below: table, threshold and page of the widget."""
    finder = widgets.Finder(label_names)
    finder.look_through(table)
    wanted = {"split": ["", "test"], "label": [label_names[0], ""], "predicted": [label_names[1], ""],
             "right": ["wrong", "any"], "confidence": [(0.2, 0.9), (0, 1)]}  # fmt: skip
    steps = [(finder.filters[name], value) for name, values in wanted.items() for value in values]
    steps += [(finder.order, value) for _, value in widgets._ORDERS]
    made = lines(f"filter and order, {what}", measure(_set, steps * 5), FILTER)
    words = [word for text in table["text"].head(20) for word in (text[:2], text[5:8] + " nowhere")]
    finder.filters["split"].value = ""
    search = measure(_set, [(finder.filters["search"], word) for word in words])
    return made + lines(f"search in the text, {what}", search, FILTER)


def _set(step: tuple) -> None:
    control, value = step
    control.value = value


def edits(bundle: Bundle, table: pd.DataFrame) -> list[dict]:
    """Texts that grow word by word, then one of 100,000 characters; what each waits for."""
    several = table[(table[bundle.parts] != "").all(axis=1)]
    several = several.sort_values("text", key=lambda texts: texts.str.len(), ascending=False)
    start = time.perf_counter()
    card = RowCard(bundle, several)
    card.show(several["row"].iloc[0])
    made = [rows.row("first card of all", "inspector", "ms", 1000 * (time.perf_counter() - start))]
    words = several["text"].head(60).str[:20].tolist()
    texts = ["，".join(words[: i + 1]) for i in range(N_EDITS)]
    for what, given in (("changed text", texts), (f"text of {LONG:,} characters", _long(words))):
        bars, cards = [], []
        for text in given:
            with silent(card.text, card.update):
                card.text.value = text
            bars += [*measure(_answer, [card])]
            cards += [*measure(card.update, [None])]  # with the bars once more
        made += lines(what, np.array(bars), EDIT) + lines(f"{what}, with its card", np.array(cards), EDIT)
    card.show(several["row"].iloc[0])
    taken = [(box, value) for box in card.parts.values() for value in (False, True)]
    return made + lines("part taken away, with its card", measure(_set, taken * 3), EDIT)


def _answer(card: RowCard) -> None:
    card._edit()
    card._vote()


def _long(words: list[str]) -> list[str]:
    text = "，".join(words)
    text *= LONG // len(text) + 1
    return [text[i : i + LONG] for i in range(5)]


def main(run: str) -> None:
    """Read the run, measure, print and write."""
    run = Run(run)
    bundle, content = Bundle(run), run.read("rows.parquet")
    predictions = [Predictions.load(run, split) for split in ("validation", "test")]
    took = measure(lambda _: listing.inspection_table(content, predictions, bundle.chosen), range(5))
    table, names = listing.inspection_table(content, predictions, bundle.chosen), bundle.label_names
    made = [rows.row(f"table of {len(table):,} rows", "inspector", "median, ms", float(np.median(took)))]
    for times in (1, 10):
        many = repeated(table, times)
        made += filters(many, names, f"{many['text'].str.len().mean():,.0f} characters a row")
    made += edits(bundle, content[content["row"].isin(table["row"])])
    rows.write("inspection", "python " + " ".join(sys.argv), made)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "reports/sample")
