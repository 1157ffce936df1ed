"""Mistakes as HTML: a card each with every vote and the nearest training rows, and the confused pairs with examples.

Notebook 04_error_analysis tells the story. User text is always escaped.
"""

from html import escape

import numpy as np
import pandas as pd
from IPython.display import HTML

from fusebook import cards
from fusebook.errors import nearest_rows, short_names
from fusebook.evaluate import count_text

SNIPPET = 80  # characters of a text that stands as an example


def snippet(text: str, most: int = SNIPPET) -> str:
    """The beginning of ``text`` on one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def mistake_cards(mistakes: pd.DataFrame, votes: dict, label_names: list[str], near: dict) -> HTML:
    """One card a mistake: whole text, picture, player, three likeliest labels, each modality's vote, nearest rows.

    Parameters
    ----------
    mistakes : row, text, image, audio, label, predicted, confidence
    votes : row number to a dict of model name to probabilities of shape (n_classes,); the first is the chosen model's
    near : row number to a list of (row number, label, text, cosine) of training rows
    """
    names = short_names(label_names)
    shown = dict(zip(label_names, names, strict=True))
    made = []
    for line in mistakes.to_dict("records"):
        heading = (
            f"row {line['row']}: {shown[line['label']]}, "
            f"predicted {shown[line['predicted']]} ({100 * line['confidence']:.0f} %)"
        )
        models = votes[line["row"]]
        chosen, *single = models
        below = cards.probability_bars(dict(zip(names, models[chosen], strict=True)))
        below += _votes({name: models[name] for name in single}, names) + _nearest(
            near.get(line["row"], []), shown
        )
        made.append(cards.row_card(line, heading=heading, below=_whole_text(line["text"]) + below))
    return HTML(cards.CARD_STYLE + f'<div class="fb-cards">{"".join(made)}</div>')


def _whole_text(text: str) -> str:
    if len(text) <= cards.MOST_CHARACTERS:
        return ""
    return f"<details><summary>the whole text</summary><p>{escape(text)}</p></details>"


def _votes(models: dict, names: list[str]) -> str:
    votes = [
        f"{escape(model)}: {escape(names[values.argmax()])} ({100 * values.max():.0f} %)"
        for model, values in models.items()
    ]
    return f"<p><small>alone: {'; '.join(votes)}</small></p>" if votes else ""


def _nearest(near: list[tuple], shown: dict) -> str:
    lines = [
        f"<li>row {row}, {escape(shown[label])}, cosine {cosine:.2f}: {escape(snippet(text, 40) or '(no text)')}</li>"
        for row, label, text, cosine in near
    ]
    if not lines:
        return ""
    return f"<details open><summary>nearest training rows</summary><ul>{''.join(lines)}</ul></details>"


def pair_table(pairs: pd.DataFrame, rows: pd.DataFrame, classes: pd.DataFrame) -> HTML:
    """``errors.confused_pairs`` as a table with the share's interval and the beginnings of the example texts.

    ``rows`` has row and text; ``classes`` is ``evaluate.class_table``'s, for the number of rows of each label.
    """
    texts = rows.set_index("row")["text"]
    shown = dict(zip(classes.index, short_names(list(classes.index)), strict=True))
    body = ""
    for pair in pairs.to_dict("records"):
        share = count_text(pair["count"], classes.loc[pair["label"], "rows"])
        cells = [escape(shown[pair["label"]]), escape(shown[pair["predicted"]]), pair["count"], share]
        examples = "<br>".join(f"{row}: {escape(snippet(texts[row]) or '(no text)')}" for row in pair["rows"])
        # The examples have a line of their own, so that a phone shows them without scrolling.
        body += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        body += f'<tr><td colspan="4"><small>{examples}</small></td></tr>'
    head = "".join(f"<th>{name}</th>" for name in ("label", "predicted", "count", "share of the label"))
    return HTML(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def nearest_training_rows(
    wanted: list[int], features: dict, splits: pd.DataFrame, rows: pd.DataFrame, most: int = 3
) -> dict[int, list[tuple]]:
    """The training rows most like each row of ``wanted``, as ``mistake_cards`` takes them in ``near``.

    ``features`` (modality to (n_rows, n_features)) and ``splits`` (row, split, label) are in the same order. Each
    modality is brought to length 1 first, so that all count alike; n-grams do not count.
    """
    dense = [values for block, values in features.items() if "_" not in block]
    if not dense:
        return {row: [] for row in wanted}
    joined = np.hstack(
        [values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12) for values in dense]
    )
    train = splits[splits["split"] == "train"].reset_index()
    places = pd.Series(splits.index, index=splits["row"])[wanted].to_numpy()
    order, cosines = nearest_rows(joined[places], joined[train["index"].to_numpy()], most)
    texts = rows.set_index("row")["text"]
    made = {}
    for row, found, likeness in zip(wanted, order, cosines, strict=True):
        lines = train.iloc[found]
        text = texts[lines["row"]]
        made[row] = list(zip(lines["row"], lines["label"], text, likeness, strict=True))
    return made
