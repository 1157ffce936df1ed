"""Rows as HTML: a card each with text, picture, player and what the models say of it; bars, lines and pairs.

Notebooks 01_explore, 04_error_analysis and 05_inspect show them. User text is always escaped. A part that a row lacks is
said to be missing: what its model would answer to nothing is no vote.
"""

import base64
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML
from PIL import Image

from fusebook import ASSETS
from fusebook.data.dataset import Dataset
from fusebook.data.tables import PARTS
from fusebook.errors.mistakes import Mistakes
from fusebook.findings import say, shortened
from fusebook.inspection.occlusion import strongest_verdicts
from fusebook.plots.charts import AGAINST, FOR, STRENGTH
from fusebook.plots.effects import strongest

CSS = (ASSETS / "template" / "cards.css").read_text(encoding="utf-8")  # the pages' one stylesheet holds it too
STYLE = f"<style>{CSS}</style>"
MOST_CHARACTERS = 1500  # of a text that one card shows; the rest is counted, not hidden
MOST_BYTES = 400_000  # of a file that one card carries
MOST_LABELS = 3  # of each model's answer that are shown
EXAMPLE = 80  # characters of a text that stands as an example
_LEAST = 0.001  # an effect below this has no full colour, even where it is the strongest
_MEDIA_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
    ".bmp": "image/bmp", ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".mp3": "audio/mpeg",
}  # fmt: skip


def row_card(
    row, *, heading: str = "", marks: pd.DataFrame | None = None, media: dict[str, str] | None = None, below: str = "",
    note: str = "",
) -> str:  # fmt: skip
    """One row as an HTML card.

    Parameters
    ----------
    row : mapping with row, text, image, audio, and label where there is one
    heading : a line of plain text above the text; the row's number and label by default
    marks : start, end, effect of words to colour, as ``occlusion.leave_words_out`` returns them
    media : data URLs by part (image, audio), in place of the row's own files
    below : HTML (escaped already) under the row
    note : a line of plain text at the end
    """
    heading = heading or f"row {row['row']}" + (f" · {row['label']}" if row.get("label") else "")
    if media is None:
        media = {part: data_url(row[part]) for part in ("image", "audio") if row[part]}
    shown = row["text"][:MOST_CHARACTERS]
    text = escape(shown) if marks is None else coloured(shown, marks)
    if more := len(row["text"]) - len(shown):
        text += f" <small>… and {more:,} characters more</small>"
    picture = f'<img src="{media["image"]}" alt="picture of the row">' if media.get("image") else ""
    player = f'<audio controls preload="metadata" src="{media["audio"]}"></audio>' if media.get("audio") else ""
    end = f'<p class="note"><small>{escape(note)}</small></p>' if note else ""
    return (
        f'<article class="fb-card" data-row="{row["row"]}"><p class="fb-head">{escape(heading)}</p>'
        f'<div class="fb-body">{picture}<p class="fb-text" dir="auto">{text}</p></div>{player}{below}{end}</article>'
    )


def row_cards(table: pd.DataFrame) -> HTML:
    """All rows of ``table`` as cards, side by side where there is room."""
    return _side_by_side(map(row_card, table.to_dict("records")))


def _side_by_side(made) -> HTML:
    return HTML(f'{STYLE}<div class="fb-cards">{"".join(made)}</div>')


def coloured(text: str, marks: pd.DataFrame, most: float = 0.0) -> str:
    """``text`` as HTML with each word shaded by its effect: blue speaks for the class, orange against it.

    ``most`` is the effect of full strength, by default the largest of the text.
    """
    most, made, place = most or strongest(marks), [], 0
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


def probability_bars(probabilities: dict[str, float]) -> str:
    """The ``MOST_LABELS`` likeliest labels as bars in HTML."""
    best = sorted(probabilities.items(), key=lambda item: -item[1])[:MOST_LABELS]
    lines = "".join(
        f'<tr><td>{escape(str(name))}</td><td><span class="fb-bar" style="width:{100 * value:.0f}px"></span> '
        f"{100 * value:.1f} %</td></tr>"
        for name, value in best
    )
    return f'<table class="fb-bars">{lines}</table>'


def missing(model: str) -> str:
    """What stands in place of the vote of ``model`` where the row has no part that it reads."""
    return f"no {model}" if model in PARTS else "no part to read"


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


def mistake_cards(mistakes: Mistakes, data: Dataset, most: int) -> HTML:
    """One card a mistake: whole text, picture, player, three likeliest labels, each part's own vote, nearest rows.

    They are the ``most`` of which the model was surest; ``data`` has them and the training rows that are like them.
    """
    near, rows, made = mistakes.nearest(data, most), mistakes.predictions.rows, []
    for mistake in mistakes.most_confident(most).itertuples():
        answer = f"predicted {mistakes.short[mistake.predicted]} ({100 * mistake.confidence:.0f} %)"
        heading = f"row {mistake.row}: {mistakes.short[mistake.label]}, {answer}"
        row = rows.iloc[mistake.Index].to_dict()
        below = _whole_text(row["text"]) + _votes_of(mistakes, mistake.Index) + _nearest(near[mistake.row], mistakes)
        made.append(row_card(row, heading=heading, below=below))
    return _side_by_side(made)


def _whole_text(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return ""
    return f"<details><summary>the whole text</summary><p>{escape(text)}</p></details>"


def _votes_of(mistakes: Mistakes, place: int) -> str:
    """The model's likeliest labels as bars, and what each part says alone, about the row at ``place``."""
    predictions, names, votes = mistakes.predictions, list(mistakes.short.values()), []
    for part, there in predictions.present.items():
        values = predictions[part][place]
        vote = f"{part}: {names[values.argmax()]} ({100 * values.max():.0f} %)" if there[place] else missing(part)
        votes += [escape(vote)] if part != mistakes.model else []
    bars = probability_bars(dict(zip(names, predictions[mistakes.model][place], strict=True)))
    return bars + (f"<p><small>alone: {'; '.join(votes)}</small></p>" if votes else "")


def _nearest(near: list[tuple], mistakes: Mistakes) -> str:
    lines = [
        f"<li>row {row}, {escape(mistakes.short[label])}, cosine {cosine:.2f}: {_example(text, 40)}</li>"
        for row, label, text, cosine in near
    ]
    return f"<details open><summary>nearest training rows</summary><ul>{''.join(lines)}</ul></details>" * bool(lines)


def _example(text: str, most: int = EXAMPLE) -> str:
    return escape(shortened(text, most) or "(no text)")


def pair_table(mistakes: Mistakes) -> HTML:
    """``Mistakes.pairs`` as a table with the share and its interval (``share_text``) and beginnings of example texts."""
    texts = mistakes.predictions.rows.set_index("row")["text"]
    body = ""
    for pair in mistakes.pairs().itertuples():
        names = (escape(mistakes.short[name]) for name in (pair.label, pair.predicted))
        cells = [*names, pair.count, mistakes.share_text(pair.label, pair.count)]
        examples = "<br>".join(f"{row}: {_example(texts[row])}" for row in pair.rows)
        # The examples have a line of their own, so that a phone shows them without scrolling.
        body += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        body += f'<tr><td colspan="4"><small>{examples}</small></td></tr>'
    head = "".join(f"<th>{name}</th>" for name in ("label", "predicted", "count", "share of the label"))
    return HTML(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def question_card(question, model: str) -> str:
    """The card of a ``question.Question``: words and patches coloured by what leaving them out does, the model's bars."""
    answer, bars, given = missing(model), "", question.given.iloc[0]
    if question.reads(model):
        answer = question.predicted(model)
        bars = probability_bars(dict(zip(question.bundle.label_names, question.probabilities(model), strict=True)))
    marks, note = question.card_words(model)
    notes = [note, _length_text(question, model)]
    below = "".join(f"<p><small>{escape(sentence)}</small></p>" for sentence in notes if sentence)
    heading = [
        f"row {question.number}",
        *([f"given {given['label']}"] if "label" in given else []),
        f"{model}: {answer}",
    ]
    heading += ["text edited"] * ("text" not in question.left_out and question.text != given["text"])
    heading = " · ".join([*heading, *(f"without {part}" for part in question.left_out)])
    below += picture_map(question, model) + bars
    return row_card(question.row.iloc[0].to_dict(), heading=heading, marks=marks, below=below)


def _length_text(question, model: str) -> str:
    """What the length of the text does, as a sentence; "" where that is nothing."""
    for columns, points in question.length_table(model).itertuples(index=False):
        if float(points):
            return f"The length of the text ({columns:,} columns), beside the mean length: {points} points."
    return ""


def picture_map(question, model: str) -> str:
    """The picture as the model sees it, in grey, each patch coloured by what covering it does; "" without a picture.

    HTML with one inline SVG: blue holds the class up, orange speaks against it, as ``occlusion.cover_patches`` says.
    """
    patches = question.patches(model)
    if patches.empty:
        return ""
    [(key, _, facts)] = strongest_verdicts(patches)
    caption, label = say(key, **facts), question.predicted(model)
    alternative = f"The picture in grey, patches in blue that speak for {label}, in orange those against it. {caption}"
    return (
        f'<figure class="fb-map"><svg viewBox="0 0 100 100" role="img" aria-label="{escape(alternative)}">'
        f'<image href="{_png(question.picture())}" width="100" height="100"/>{_patches(patches)}</svg>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _png(picture: np.ndarray) -> str:
    stream = BytesIO()
    Image.fromarray(picture).convert("L").save(stream, "PNG")
    return inline(stream.getvalue(), "image/png")


def _patches(patches: pd.DataFrame) -> str:
    most, made = max(strongest(patches), _LEAST), ""
    for patch in patches.itertuples():
        sides = [patch.left, patch.top, patch.right - patch.left, patch.bottom - patch.top]
        place = dict(zip(("x", "y", "width", "height"), (f"{100 * side:.2f}" for side in sides), strict=True))
        place |= {"fill": f"rgb({FOR if patch.effect > 0 else AGAINST})"}
        place |= {"fill-opacity": f"{STRENGTH * abs(patch.effect) / most:.2f}"}
        made += "<rect " + " ".join(f'{name}="{value}"' for name, value in place.items())
        made += f"><title>{patch.effect:+.3f}</title></rect>"
    return made


def votes_html(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """Every model's likeliest labels as bars: as the row stands and, where anything has changed, beside it as edited.

    Both are tables of ``Question.votes``: labels as rows, models as columns, NaN where a model has nothing to read.
    """
    columns = {"before": "as it stands"}
    if not np.allclose(before, after, atol=5e-4, equal_nan=True):
        columns["after"] = "as edited"
    tables = (pd.DataFrame({"before": before[model], "after": after[model]})[list(columns)] for model in before)
    made = "".join(_vote(model, lines, columns) for model, lines in zip(before, tables, strict=True))
    return f'{STYLE}<div class="fb-votes">{made}</div>'


def _vote(model: str, lines: pd.DataFrame, columns: dict[str, str]) -> str:
    known, order = lines.dropna(axis=1), []
    if len(known.columns):
        best = known.max(axis=1).nlargest(MOST_LABELS).index
        order = known.loc[best].sort_values(known.columns[-1], ascending=False).index
    head = "".join(f'<th scope="col">{name}</th>' for name in ("label", *columns.values()))
    body = "".join(_vote_line(model, label, lines.loc[label]) for label in order)
    body = body or f'<tr><td colspan="{1 + len(columns)}">{escape(missing(model))}</td></tr>'
    return (
        f'<table class="fb-bars"><caption>{escape(model)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _vote_line(model: str, label: str, line: pd.Series) -> str:
    cells = "".join(
        f"<td>{escape(missing(model))}</td>"
        if np.isnan(value)
        else f'<td><span class="fb-bar fb-{name}" style="width:{60 * value:.0f}px"></span> {100 * value:.1f} %</td>'
        for name, value in line.items()
    )
    return f'<tr><th scope="row">{escape(shortened(label, 24))}</th>{cells}</tr>'


def row_line(line: dict) -> str:
    """One line of an ``listing.inspection_table`` as HTML, in the columns of ``HEAD_LINE``."""
    judged = bool(line["predicted"])
    outcome = ("right" if line["right"] else "wrong") if judged else "not asked"
    numbers = [f"{100 * line['confidence']:.0f} %", f"{line['loss']:.2f}"] if judged else ["–", "–"]
    suspicion = f"{line['suspicion']:.2f}" if line["suspicion"] > 0 else "–"
    answer = line["predicted"] if judged else "–"
    cells = [line["split"], outcome, line["label"], answer, *numbers, suspicion]
    return _line([*cells, line["text"].strip() or "(no text)"], outcome)


def _line(cells: list[str], kind: str) -> str:
    shown = [escape(shortened(cell, EXAMPLE)) for cell in cells]
    spans = "".join(f'<span dir="auto" title="{cell}">{cell}</span>' for cell in shown)
    return f'<div class="fb-line fb-{kind.split()[0]}">{spans}</div>'


HEAD_LINE = STYLE + _line(["split", "outcome", "label", "predicted", "conf.", "loss", "suspicion", "text"], "head")
