"""A row under inspection as HTML: its card with what moved the answer, every model's answer before and after a change.

Notebook 05_inspect tells the story. User text is always escaped.
"""

from html import escape
from io import BytesIO

import numpy as np
import pandas as pd
from IPython.display import HTML
from PIL import Image

from fusebook import cards, explain, explain_media, image, lengths, what_if
from fusebook.bundle import Bundle
from fusebook.error_cards import snippet
from fusebook.explain_plots import strongest

MOST_LABELS = 3  # of each model's answer that are shown
MOST_ASKED = 150_000  # characters that are predicted again for one card's words: a tenth of a second
FEWEST_SPANS = 5  # in which even the longest text is asked about
_LEAST = 0.001  # an effect below this has no full colour, even where it is the strongest


def one_row(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """The line of row ``number``. Raises KeyError where ``rows`` has no such row."""
    row = rows[rows["row"] == number]
    if row.empty:
        raise KeyError(
            f"Row {number} is not among the {len(rows)} rows. Take a number from the column 'row'."
        )
    return row


def inspect_row(
    bundle: Bundle,
    rows: pd.DataFrame,
    number: int,
    *,
    model: str = "",
    text: str | None = None,
    without: tuple[str, ...] = (),
) -> HTML:
    """The card of row ``number``: coloured words, picture with its map, player, and the chosen model's bars.

    Words and patches are coloured by what leaving them out does to the predicted class. ``text`` takes the place of the
    row's own, and parts named in ``without`` are left out, as in ``what_if.edited_row``.
    Raises KeyError where ``rows`` has no such row, ValueError for an unknown model or part.
    """
    given = one_row(rows, number)
    row, model = what_if.edited_row(bundle, given, text, without=without), bundle.model_name(model)
    features, present = bundle.encode(row)
    probabilities = bundle.models.predict(features, present, names=[model])[model][0]
    best = int(probabilities.argmax())
    marks, note = words_of_row(bundle, row, model, best)
    length = explain.length_effect(bundle, features, present, best, model=model)
    heading = _heading(given, row, f"{model}: {bundle.label_names[best]}", without)
    notes = [note, length_in_words(row["text"].iloc[0], length)]
    below = "".join(f"<p><small>{escape(said)}</small></p>" for said in notes if said)
    below += picture_map(bundle, row, model, best)
    below += cards.probability_bars(dict(zip(bundle.label_names, probabilities, strict=True)))
    card = cards.row_card(row.iloc[0].to_dict(), heading=heading, marks=marks, below=below)
    return HTML(STYLE + card)


def _heading(given: pd.DataFrame, row: pd.DataFrame, answer: str, without: tuple[str, ...]) -> str:
    label = f" · given {given['label'].iloc[0]}" if "label" in given else ""
    changed = [f"without {part}" for part in without]
    if "text" not in without and row["text"].iloc[0] != given["text"].iloc[0]:
        changed.insert(0, "text edited")
    return " · ".join([f"row {given['row'].iloc[0]}{label}", answer, *changed])


def words_of_row(
    bundle: Bundle, row: pd.DataFrame, model: str, class_number: int
) -> tuple[pd.DataFrame | None, str]:
    """What each word of a card's text does, and a sentence where not all words are asked one by one ("" where they are).

    Of a long text the words that the card shows are left out, several at a time, so that the work stays bounded. Returns
    a table as ``explain.leave_words_out`` does, None where the bundle reads no text.
    """
    if "text" not in bundle.modalities:
        return None, ""
    text = row["text"].iloc[0]
    shown, rest = text[: cards.MOST_CHARACTERS], text[cards.MOST_CHARACTERS :]
    most = int(np.clip(MOST_ASKED // max(len(text), 1), FEWEST_SPANS, explain.MOST_WORDS))
    ask = explain.part_predictor(bundle, row, "text", model=model)
    marks = explain.leave_words_out(
        shown, lambda texts: ask([text + rest for text in texts]), class_number, most=most
    )
    whole = len(explain.tokenise(shown)) <= most
    if whole and not rest:
        return marks, ""
    told = f"A text of {len(text):,} characters:"
    return (
        marks,
        f"{told} the words shown were left out {'one by one' if whole else f'in {len(marks)} spans'}.",
    )


def length_in_words(text: str, effect: float) -> str:
    """What the length of ``text`` does, as a sentence; "" where that is nothing."""
    points = f"{100 * effect:+.1f}"
    if float(points) == 0:
        return ""
    return f"The length of the text ({lengths.columns(text):,} columns), beside the mean length: {points} points."


def patches_of_row(
    bundle: Bundle, row: pd.DataFrame, model: str, class_number: int
) -> tuple[np.ndarray | None, pd.DataFrame | None]:
    """The picture as the model sees it, and what covering each patch does, as ``explain_media.cover_patches`` says.

    None and None where the row has no picture or the bundle reads none.
    """
    if "image" not in bundle.modalities or not row["image"].iloc[0]:
        return None, None
    seen = image.read_image(row["image"].iloc[0], bundle.encoders["image"].size)
    ask = explain_media.through_files(explain.part_predictor(bundle, row, "image", model=model), "image")
    return seen, explain_media.cover_patches(seen, ask, class_number)


def picture_map(bundle: Bundle, row: pd.DataFrame, model: str, class_number: int) -> str:
    """The picture as the model sees it, in grey, each patch coloured by what covering it does; "" without a picture.

    HTML with one inline SVG: blue holds the class up, orange speaks against it, as ``explain_media.cover_patches`` says.
    """
    seen, patches = patches_of_row(bundle, row, model, class_number)
    if seen is None:
        return ""
    said = f"{explain_media.strongest_in_words(patches)}, the most of all patches."
    label = bundle.label_names[class_number]
    alternative = (
        f"The picture in grey, patches in blue that speak for {label}, in orange those against it. {said}"
    )
    return (
        f'<figure class="fb-map"><svg viewBox="0 0 100 100" role="img" aria-label="{escape(alternative)}">'
        f'<image href="{_png(seen)}" width="100" height="100"/>{_patches(patches)}</svg>'
        f"<figcaption>{escape(said)}</figcaption></figure>"
    )


def _png(picture: np.ndarray) -> str:
    stream = BytesIO()
    Image.fromarray(picture).convert("L").save(stream, "PNG")
    return cards.inline(stream.getvalue(), "image/png")


def _patches(patches: pd.DataFrame) -> str:
    most = max(strongest(patches), _LEAST)
    made = ""
    for patch in patches.itertuples():
        sides = [patch.left, patch.top, patch.right - patch.left, patch.bottom - patch.top]
        place = dict(zip(("x", "y", "width", "height"), (f"{100 * side:.2f}" for side in sides), strict=True))
        place |= {"fill": f"rgb({cards.FOR if patch.effect > 0 else cards.AGAINST})"}
        place |= {"fill-opacity": f"{cards.STRENGTH * abs(patch.effect) / most:.2f}"}
        made += "<rect " + " ".join(f'{name}="{value}"' for name, value in place.items())
        made += f"><title>{patch.effect:+.3f}</title></rect>"
    return made


def votes_html(votes: pd.DataFrame, most: int = MOST_LABELS) -> str:
    """Every model's likeliest labels as bars: as the row stands and, where anything has changed, beside it as edited.

    ``votes`` is a table of ``what_if.predict_edited``.
    """
    changed = not np.allclose(votes["before"], votes["after"], atol=5e-4)
    made = "".join(_vote(name, lines, changed, most) for name, lines in votes.groupby("model", sort=False))
    return f'{STYLE}<div class="fb-votes">{made}</div>'


def _vote(model: str, lines: pd.DataFrame, changed: bool, most: int) -> str:
    lines = lines.assign(either=lines[["before", "after"]].max(axis=1)).nlargest(most, "either")
    columns = {"before": "as it stands", "after": "as edited"} if changed else {"before": "as it stands"}
    head = "".join(f'<th scope="col">{name}</th>' for name in ("label", *columns.values()))
    body = ""
    for line in lines.sort_values(list(columns)[-1], ascending=False).to_dict("records"):
        cells = "".join(
            f'<td><span class="fb-bar fb-{name}" style="width:{0.6 * 100 * line[name]:.0f}px"></span> '
            f"{100 * line[name]:.1f} %</td>"
            for name in columns
        )
        body += f'<tr><th scope="row">{escape(snippet(line["label"], 24))}</th>{cells}</tr>'
    return (
        f'<table class="fb-bars"><caption>{escape(model)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def row_line(line: dict) -> str:
    """One line of an ``inspection.inspection_table`` as HTML, in the columns of ``HEAD_LINE``."""
    judged = bool(line["predicted"])
    outcome = ("right" if line["right"] else "wrong") if judged else "not asked"
    numbers = [f"{100 * line['confidence']:.0f} %", f"{line['loss']:.2f}"] if judged else ["–", "–"]
    suspicion = f"{line['suspicion']:.2f}" if line["suspicion"] > 0 else "–"
    answer = line["predicted"] if judged else "–"
    cells = [line["split"], outcome, line["label"], answer, *numbers, suspicion]
    return _line([*cells, snippet(line["text"]) or "(no text)"], outcome)


def _line(cells: list[str], kind: str) -> str:
    spans = "".join(
        f'<span dir="auto" title="{escape(snippet(cell))}">{escape(snippet(cell))}</span>' for cell in cells
    )
    return f'<div class="fb-line fb-{kind.split()[0]}">{spans}</div>'


STYLE = (
    cards.CARD_STYLE
    + """<style>
.fb-line{display:grid;grid-template-columns:4.6rem 4.6rem 6rem 6rem 3.2rem 2.8rem 4.6rem minmax(12rem,1fr);gap:.5rem}
.fb-line span{white-space:nowrap;overflow:hidden;text-overflow:ellipsis}.fb-head.fb-line{font-weight:600}
.fb-wrong span:nth-child(2){font-weight:700}.fb-wrong span:nth-child(2)::before{content:"✗ "}
.fb-votes{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(19rem,100%),1fr));gap:.5rem 1.2rem;line-height:1.35}
.fb-votes caption{text-align:left;font-weight:600}.fb-votes th{text-align:left;font-weight:400;padding:.05rem .5rem .05rem 0}
.fb-votes thead th{font-size:.85em;opacity:.75}
.fb-votes td{white-space:nowrap}.fb-bar.fb-before{background:#8a8f98}.fb-bar.fb-after{background:#3b7dd8}
.fb-map{margin:.4rem 0;line-height:1.35}.fb-map svg{width:12rem;max-width:100%;display:block}.fb-map figcaption{font-size:.85em}
.fb-problem{border-left:4px solid #c2410c;padding:.3rem .6rem;margin:.3rem 0}
</style>"""
)
HEAD_LINE = STYLE + _line(
    ["split", "outcome", "label", "predicted", "conf.", "loss", "suspicion", "text"], "head"
)
