"""A row as HTML: its text, picture and player, and what the models say of it. User text is always escaped."""

import base64
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML

MOST_CHARACTERS = 1500  # of a text that one card shows; the rest is counted, not hidden
MOST_BYTES = 400_000  # of a file that one card carries
STRENGTH = 0.55  # how opaque the colour of the strongest effect is: what lies under it can still be read
FOR, AGAINST = "59,125,216", "224,123,57"  # the colours of what holds a class up and what speaks against it
_MEDIA_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
    ".bmp": "image/bmp", ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".mp3": "audio/mpeg",
}  # fmt: skip


def row_card(row, *, heading: str = "", marks: pd.DataFrame | None = None, below: str = "") -> str:
    """One row as an HTML card.

    Parameters
    ----------
    row : mapping with row, text, image, audio, and label where there is one
    heading : a line of plain text above the text; the row's number and label by default
    marks : start, end, effect of words to colour, as ``explain.leave_words_out`` returns them
    below : HTML (escaped already) under the row
    """
    heading = heading or f"row {row['row']}" + (f" · {row['label']}" if row.get("label") else "")
    shown = row["text"][:MOST_CHARACTERS]
    more = len(row["text"]) - len(shown)
    text = coloured(shown, marks) if marks is not None else escape(shown)
    note = f" <small>… and {more:,} characters more</small>" if more else ""
    return (
        f'<article class="fb-card"><p class="fb-head">{escape(heading)}</p>'
        f'<div class="fb-body">{_picture(row["image"])}<p class="fb-text" dir="auto">{text}{note}</p></div>'
        f"{_player(row['audio'])}{below}</article>"
    )


def cards(table: pd.DataFrame, **options) -> HTML:
    """All rows of ``table`` as cards, side by side where there is room; ``heading`` may be a column of the table."""
    column = options.pop("heading", "")
    headings = table[column].astype(object).fillna("").astype(str) if column in table else [""] * len(table)
    rows = zip(table.to_dict("records"), headings, strict=True)
    made = [row_card(row, heading=heading, **options) for row, heading in rows]
    return HTML(CARD_STYLE + f'<div class="fb-cards">{"".join(made)}</div>')


def coloured(text: str, marks: pd.DataFrame, most: float = 0.0) -> str:
    """``text`` as HTML with each word shaded by its effect: blue speaks for the class, orange against it.

    ``most`` is the effect of full strength, by default the largest of the text.
    """
    most = most or (max(float(np.abs(marks["effect"]).max()), 1e-9) if len(marks) else 1.0)
    made, place = [], 0
    for mark in marks.itertuples():
        if mark.start >= len(text):
            break
        strength = round(STRENGTH * abs(mark.effect) / most, 2)
        colour = FOR if mark.effect > 0 else AGAINST
        made.append(escape(text[place : mark.start]))
        made.append(
            f'<mark style="background:rgba({colour},{strength})" title="{mark.effect:+.3f}">'
            f"{escape(text[mark.start : mark.end])}</mark>"
        )
        place = mark.end
    return "".join(made) + escape(text[place:])


def probability_bars(probabilities: dict[str, float], most: int = 3) -> str:
    """The ``most`` likely labels as bars in HTML."""
    best = sorted(probabilities.items(), key=lambda item: -item[1])[:most]
    lines = [
        f'<tr><td>{escape(str(name))}</td><td><span class="fb-bar" style="width:{100 * value:.0f}px"></span> {100 * value:.1f} %</td></tr>'
        for name, value in best
    ]
    return f'<table class="fb-bars">{"".join(lines)}</table>'


def data_url(path: str) -> str:
    """A picture or sound as a data URL; "" where the file is none, is not there, or is too large for a card."""
    file = Path(path)
    media_type = _MEDIA_TYPES.get(file.suffix.lower())
    if not media_type or not file.is_file() or file.stat().st_size > MOST_BYTES:
        return ""
    return inline(file.read_bytes(), media_type)


def inline(content: bytes, media_type: str) -> str:
    """``content`` as a data URL, for pages that carry all they show."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _picture(path: str) -> str:
    url = data_url(path) if path else ""
    return f'<img src="{url}" alt="picture of the row">' if url else ""


def _player(path: str) -> str:
    url = data_url(path) if path else ""
    return f'<audio controls preload="metadata" src="{url}"></audio>' if url else ""


# In JupyterLab a card brings its own style; the page template has the same rules in its one stylesheet.
CARD_STYLE = """<style>
.fb-cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));gap:.8rem}
.fb-card{border:1px solid rgba(128,128,128,.4);border-radius:8px;padding:.6rem .8rem;overflow-wrap:anywhere;min-width:0}
.fb-card p{margin:.2rem 0}.fb-head{font-weight:600}.fb-body{display:flex;gap:.7rem;align-items:flex-start}
.fb-body img{width:96px;max-height:128px;object-fit:contain;border-radius:4px;flex:none}
.fb-card audio{width:100%;height:2.2rem;margin-top:.4rem}
.fb-card mark{color:inherit;border-radius:2px}.fb-bars td{padding:.05rem .5rem .05rem 0;text-align:left}
.fb-bar{display:inline-block;height:.7em;background:#3b7dd8;border-radius:2px}
</style>"""
