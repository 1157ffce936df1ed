"""A row as HTML: its text, picture and player, and what the models say of it. User text is always escaped."""
# FOLDED: Mistakes as HTML: a card each with every vote and the nearest training rows, and the confused pairs with examples.
# FOLDED: A row under inspection as HTML: its card with what moved the answer, every model's answer before and after a change.

import base64
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML
from PIL import Image

from fusebook.data import files
from fusebook.encoders import text as encoders_text
from fusebook.encoders import tokens
from fusebook.errors.mistakes import nearest_rows, short_names
from fusebook.evaluation.scores import count_text
from fusebook.inspection import occlusion, question
from fusebook.models.bundle import Bundle
from fusebook.plots import charts
from fusebook.plots.charts import AGAINST, FOR, STRENGTH
from fusebook.plots.effects import strongest

MOST_CHARACTERS = 1500  # of a text that one card shows; the rest is counted, not hidden
MOST_BYTES = 400_000  # of a file that one card carries
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
    marks : start, end, effect of words to colour, as ``question.leave_words_out`` returns them
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
        below = probability_bars(dict(zip(names, models[chosen], strict=True)))
        below += _votes_alone({name: models[name] for name in single}, names) + _nearest(
            near.get(line["row"], []), shown
        )
        made.append(row_card(line, heading=heading, below=_whole_text(line["text"]) + below))
    return HTML(CARD_STYLE + f'<div class="fb-cards">{"".join(made)}</div>')


def _whole_text(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return ""
    return f"<details><summary>the whole text</summary><p>{escape(text)}</p></details>"


def _votes_alone(models: dict, names: list[str]) -> str:
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
    """``mistakes.confused_pairs`` as a table with the share's interval and the beginnings of the example texts.

    ``rows`` has row and text; ``classes`` is ``scores.class_table``'s, for the number of rows of each label.
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
    joined = np.hstack([values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12) for values in dense])
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


MOST_LABELS = 3  # of each model's answer that are shown
MOST_ASKED = 150_000  # characters that are predicted again for one card's words: a tenth of a second
FEWEST_SPANS = 5  # in which even the longest text is asked about
_LEAST = 0.001  # an effect below this has no full colour, even where it is the strongest


def one_row(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """The line of row ``number``. Raises KeyError where ``rows`` has no such row."""
    row = rows[rows["row"] == number]
    if row.empty:
        raise KeyError(f"Row {number} is not among the {len(rows)} rows. Take a number from the column 'row'.")
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
    row's own, and parts named in ``without`` are left out, as in ``question.edited_row``.
    Raises KeyError where ``rows`` has no such row, ValueError for an unknown model or part.
    """
    given = one_row(rows, number)
    row, model = question.edited_row(bundle, given, text, without=without), bundle.model_name(model)
    features, present = bundle.encode(row)
    probabilities = bundle.models.predict(features, present, names=[model])[model][0]
    best = int(probabilities.argmax())
    marks, note = words_of_row(bundle, row, model, best)
    length = question.length_effect(bundle, features, present, best, model=model)
    heading = _heading(given, row, f"{model}: {bundle.label_names[best]}", without)
    notes = [note, length_in_words(row["text"].iloc[0], length)]
    below = "".join(f"<p><small>{escape(said)}</small></p>" for said in notes if said)
    below += picture_map(bundle, row, model, best)
    below += probability_bars(dict(zip(bundle.label_names, probabilities, strict=True)))
    card = row_card(row.iloc[0].to_dict(), heading=heading, marks=marks, below=below)
    return HTML(INSPECTION_STYLE + card)


def _heading(given: pd.DataFrame, row: pd.DataFrame, answer: str, without: tuple[str, ...]) -> str:
    label = f" · given {given['label'].iloc[0]}" if "label" in given else ""
    changed = [f"without {part}" for part in without]
    if "text" not in without and row["text"].iloc[0] != given["text"].iloc[0]:
        changed.insert(0, "text edited")
    return " · ".join([f"row {given['row'].iloc[0]}{label}", answer, *changed])


def words_of_row(bundle: Bundle, row: pd.DataFrame, model: str, class_number: int) -> tuple[pd.DataFrame | None, str]:
    """What each word of a card's text does, and a sentence where not all words are asked one by one ("" where they are).

    Of a long text the words that the card shows are left out, several at a time, so that the work stays bounded. Returns
    a table as ``question.leave_words_out`` does, None where the bundle reads no text.
    """
    if "text" not in bundle.modalities:
        return None, ""
    text = row["text"].iloc[0]
    shown, rest = text[:MOST_CHARACTERS], text[MOST_CHARACTERS:]
    most = int(np.clip(MOST_ASKED // max(len(text), 1), FEWEST_SPANS, question.MOST_WORDS))
    ask = question.part_predictor(bundle, row, "text", model=model)
    marks = question.leave_words_out(shown, lambda texts: ask([text + rest for text in texts]), class_number, most=most)
    whole = len(tokens.tokenise(shown)) <= most
    if whole and not rest:
        return marks, ""
    told = f"A text of {len(text):,} characters:"
    return (marks, f"{told} the words shown were left out {'one by one' if whole else f'in {len(marks)} spans'}.")


def length_in_words(text: str, effect: float) -> str:
    """What the length of ``text`` does, as a sentence; "" where that is nothing."""
    points = f"{100 * effect:+.1f}"
    if float(points) == 0:
        return ""
    return f"The length of the text ({encoders_text.columns(text):,} columns), beside the mean length: {points} points."


def patches_of_row(
    bundle: Bundle, row: pd.DataFrame, model: str, class_number: int
) -> tuple[np.ndarray | None, pd.DataFrame | None]:
    """The picture as the model sees it, and what covering each patch does, as ``occlusion.cover_patches`` says.

    None and None where the row has no picture or the bundle reads none.
    """
    if "image" not in bundle.modalities or not row["image"].iloc[0]:
        return None, None
    seen = files.read_image(row["image"].iloc[0], bundle.encoders["image"].size)
    ask = occlusion.through_files(question.part_predictor(bundle, row, "image", model=model), "image")
    return seen, occlusion.cover_patches(seen, ask, class_number)


def picture_map(bundle: Bundle, row: pd.DataFrame, model: str, class_number: int) -> str:
    """The picture as the model sees it, in grey, each patch coloured by what covering it does; "" without a picture.

    HTML with one inline SVG: blue holds the class up, orange speaks against it, as ``occlusion.cover_patches`` says.
    """
    seen, patches = patches_of_row(bundle, row, model, class_number)
    if seen is None:
        return ""
    said = f"{occlusion.strongest_in_words(patches)}, the most of all patches."
    label = bundle.label_names[class_number]
    alternative = f"The picture in grey, patches in blue that speak for {label}, in orange those against it. {said}"
    return (
        f'<figure class="fb-map"><svg viewBox="0 0 100 100" role="img" aria-label="{escape(alternative)}">'
        f'<image href="{_png(seen)}" width="100" height="100"/>{_patches(patches)}</svg>'
        f"<figcaption>{escape(said)}</figcaption></figure>"
    )


def _png(picture: np.ndarray) -> str:
    stream = BytesIO()
    Image.fromarray(picture).convert("L").save(stream, "PNG")
    return inline(stream.getvalue(), "image/png")


def _patches(patches: pd.DataFrame) -> str:
    most = max(strongest(patches), _LEAST)
    made = ""
    for patch in patches.itertuples():
        sides = [patch.left, patch.top, patch.right - patch.left, patch.bottom - patch.top]
        place = dict(zip(("x", "y", "width", "height"), (f"{100 * side:.2f}" for side in sides), strict=True))
        place |= {"fill": f"rgb({charts.FOR if patch.effect > 0 else charts.AGAINST})"}
        place |= {"fill-opacity": f"{charts.STRENGTH * abs(patch.effect) / most:.2f}"}
        made += "<rect " + " ".join(f'{name}="{value}"' for name, value in place.items())
        made += f"><title>{patch.effect:+.3f}</title></rect>"
    return made


def votes_html(votes: pd.DataFrame, most: int = MOST_LABELS) -> str:
    """Every model's likeliest labels as bars: as the row stands and, where anything has changed, beside it as edited.

    ``votes`` is a table of ``question.predict_edited``.
    """
    changed = not np.allclose(votes["before"], votes["after"], atol=5e-4)
    made = "".join(_vote(name, lines, changed, most) for name, lines in votes.groupby("model", sort=False))
    return f'{INSPECTION_STYLE}<div class="fb-votes">{made}</div>'


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
    """One line of an ``listing.inspection_table`` as HTML, in the columns of ``HEAD_LINE``."""
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


INSPECTION_STYLE = (
    CARD_STYLE
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
HEAD_LINE = INSPECTION_STYLE + _line(
    ["split", "outcome", "label", "predicted", "conf.", "loss", "suspicion", "text"], "head"
)
