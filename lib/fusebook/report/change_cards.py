"""Rows that another run fixed or broke as HTML: a card each with text, picture, player and both answers.

Page of ``fusebook compare``. User text is always escaped.
"""

from html import escape

import pandas as pd
from markupsafe import Markup

from fusebook.inspection import cards
from fusebook.report import tables

LEFT_OUT = "picture and sound left out: the page is full"


def change_cards(rows: pd.DataFrame, names: tuple[str, str], shown: dict, most: int, room: int) -> dict:
    """At most ``most`` cards and ``room`` bytes of them; pictures and sounds are the first to be left out.

    Parameters
    ----------
    rows : as ``compare.surest_first`` returns them
    names : of the first run and of the other
    shown : label name to what stands for it on the page

    Returns html (escaped), and how many rows: shown, all, without_media (those whose picture or sound was left out).
    """
    made: list[str] = []
    lines = rows.head(most).to_dict("records")
    for line in lines:  # texts first: no picture takes the room of another row
        bare = {**line, "image": "", "audio": ""}
        made.append(_card(bare, names, shown, note=LEFT_OUT if line["image"] or line["audio"] else ""))
        if _n_bytes(made[-1]) > room:
            made.pop()
            break
        room -= _n_bytes(made[-1])
    without_media = 0
    for i, line in enumerate(lines[: len(made)]):
        if line["image"] or line["audio"]:
            card = _card(line, names, shown)
            more = _n_bytes(card) - _n_bytes(made[i])
            without_media += more > room
            if more <= room:
                made[i], room = card, room - more
    return {"html": Markup("".join(made)), "shown": len(made), "all": len(rows), "without_media": without_media}


def _n_bytes(text: str) -> int:
    return len(text.encode())


def _card(line: dict, names: tuple[str, str], shown: dict, note: str = "") -> str:
    heading = f"row {line['row']}"
    if line["row_other"] != line["row"]:
        heading += f" (in {names[1]} row {line['row_other']})"
    heading += f": {shown[line['label']]}"
    if line["label_other"] != line["label"]:
        heading += f" (in {names[1]} {shown[line['label_other']]})"
    said = ""
    for name, end in zip(names, ("", "_other"), strict=True):
        answer, confidence = line[f"answer{end}"], line[f"confidence{end}"]
        cells = (
            name,
            f"{shown[answer]}, {'right' if answer == line['label'] else 'wrong'}",
            f"{100 * confidence:.1f} %",
        )
        said += "<tr>" + "".join(f'<td class="left">{escape(cell)}</td>' for cell in cells) + "</tr>"
    below = f'<table class="fb-bars">{said}</table>' + (f'<p class="note">{escape(note)}</p>' if note else "")
    card = cards.row_card(line, heading=heading, below=below)
    return tables.dressed(card, f"Answers of {' and '.join(names)} to row {line['row']}")
