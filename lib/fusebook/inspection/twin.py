"""The widgets' twin on a page: rows to ask without a kernel, as data that a browser reads and one small script.

Notebooks 04_error_analysis and 05_inspect tell the story. User text is always escaped.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd
from IPython.display import HTML

from fusebook import ASSETS
from fusebook.data.predictions import Predictions
from fusebook.errors.mistakes import short_names
from fusebook.inspection import cards, twin_data
from fusebook.inspection.listing import CROSS_FITTED, MOST_BYTES, scored_split
from fusebook.inspection.occlusion import PATCH_COLUMNS
from fusebook.inspection.question import Question, one_row
from fusebook.models.bundle import Bundle

MARK = '<section aria-label="Rows to ask" class="fb-twin">'  # where a page has this, it gets the script
N_CARDS = 6  # rows that stand as cards where no script runs
MARKUP = 3_000  # bytes kept free for what stands around the data
# Of the bytes left after the numbers texts take at most the first share, answers of what then is left the second, and
# pictures and sounds the rest; the other pair is for rows without pictures and sounds.
SHARES, SHARES_WITHOUT_MEDIA = (0.45, 0.5), (0.7, 1.0)


def script() -> str:
    """The one script of all pages; it stands between ``<script>`` and ``</script>`` as it is."""
    return (ASSETS / "template" / "twin.js").read_text(encoding="utf-8")


def row_effects(
    bundle: Bundle, table: pd.DataFrame, rows: pd.DataFrame, most: int
) -> dict[int, dict[str, pd.DataFrame]]:
    """What words and patches of the picture do to the predicted class, in the ``most`` rows that the twin serves first.

    Returns row number to tables by name, as far as the row has the part and the bundle reads it: words as
    ``Question.card_words`` returns them, patches as ``Question.patches`` does. ``table`` is an ``inspection_table`` about
    the bundle's chosen model, ``rows`` the rows with all their parts.
    """
    first = table.iloc[twin_data.order_of_interest(table)]
    made: dict[int, dict[str, pd.DataFrame]] = {}
    for number in first.loc[first["predicted"] != "", "row"].head(most):
        question = Question(bundle, one_row(rows, number))
        moved = {"words": question.card_words()[0], "patches": question.patches()}
        made[number] = {name: effects for name, effects in moved.items() if len(effects)}
    return made


def page_twin(
    table: pd.DataFrame, predictions: Sequence[Predictions], models: list[str], *, effects: dict | None = None,
    most_bytes: int = MOST_BYTES,
) -> HTML:  # fmt: skip
    """The rows of ``table`` as a few cards, with data for the script of an exported page; JupyterLab shows the cards.

    Parameters
    ----------
    table : as ``listing.inspection_table`` returns it
    predictions : of the rows of ``table``
    models : whose answers a card tells; first the one that ``table`` is about
    effects : row number to what moved its answer, as ``row_effects`` returns it
    most_bytes : that all of it takes. The numbers of each row are there in any case; texts, answers, pictures and sounds
        as far as they fit, mistakes and label suspects first. What was left out is counted in the HTML

    Raises ValueError where ``table`` has no scored row (see ``listing.scored_split``) or a model did not predict.
    """
    predictions = [some for some in predictions if some.n_rows]
    _check(table, predictions, models)
    label_names = predictions[0].label_names
    names, order = short_names(label_names), twin_data.order_of_interest(table)
    data = {"models": models, "labels": names, "fold": twin_data.case_folds()}
    data |= twin_data.numbers(table, label_names) | twin_data.totals(table, label_names)
    room = most_bytes - twin_data.size_of(data) - MARKUP
    made = _entries(table, twin_data.answers(table, predictions, models), effects or {})
    first = [int(place) for place in order[:N_CARDS]]
    media = _media(table, first, max(room // 4, 0))
    static = [_card(table.iloc[place], names, made[place], media.get(place, {})) for place in first]
    room -= len("".join(static).encode())
    shares = SHARES if (table[["image", "audio"]] != "").any(axis=None) else SHARES_WITHOUT_MEDIA
    data["text"] = twin_data.fit_texts(table["text"].tolist(), order, int(shares[0] * room))
    room -= twin_data.size_of(data["text"])
    made = _fitting(made, order, data["text"], int(shares[1] * room))
    data["length"] = _lengths(table["text"], data["text"], made)
    room -= twin_data.size_of(made) + twin_data.size_of(data["length"])
    later = _media(table, [place for place in made if place not in first], room)
    data["cards"] = {place: one | later.get(place, {}) for place, one in made.items()}
    return HTML(cards.STYLE + _section(_note(table, data, media | later), static, data))


def _entries(table: pd.DataFrame, votes: dict[int, list], effects: dict) -> list[dict]:
    """All but picture and sound of each row's card."""
    made = []
    for place, (number, text) in enumerate(zip(table["row"], table["text"], strict=True)):
        shown, moved = text[: cards.MOST_CHARACTERS], effects.get(number, {})
        made.append({"votes": votes.get(place, []), "text": shown})
        if "words" in moved:
            made[-1]["words"] = _words(moved["words"], len(shown))
        if "patches" in moved:
            made[-1]["patches"] = moved["patches"][PATCH_COLUMNS].round(4).values.tolist()
    return made


def _check(table: pd.DataFrame, predictions: list[Predictions], models: list[str]) -> None:
    n_test = int((table["split"] == scored_split(table)).sum())
    known = list(dict.fromkeys(name for some in predictions for name in some))
    if not n_test or not models or set(models) - set(known):
        raise ValueError(
            f"{n_test} test rows and models {', '.join(models) or '(none)'}; expected a table with test rows, as "
            f"inspection_table makes it, and one or more models of {', '.join(known)}."
        )


def _words(marks: pd.DataFrame, length: int) -> list[list]:
    """Start, end and effect of each word within the first ``length`` characters."""
    return [
        [int(mark.start), min(int(mark.end), length), round(float(mark.effect), 4)]
        for mark in marks.itertuples()
        if mark.start < length
    ]


def _lengths(texts: pd.Series, beginnings: list, entries: dict[int, dict]) -> dict[int, int]:
    """Place of each text that the page has only the beginning of, to the characters it has as a whole."""
    kept = [entries.get(place, {}).get("text", text) for place, text in enumerate(beginnings)]
    pairs = enumerate(zip(texts, kept, strict=True))
    return {i: len(text) for i, (text, kept) in pairs if kept is not None and len(kept) < len(text)}


def _fitting(entries: list[dict], order: np.ndarray, kept: list, room: int) -> dict[int, dict]:
    """The cards of the rows that come first, as many as ``room`` bytes hold; without a text that ``kept`` has as well."""
    made = {}
    for place in map(int, order):
        one = entries[place].copy()
        if kept[place] is not None and len(one["text"]) <= len(kept[place]):
            del one["text"]
        room -= twin_data.size_of(one) + len(str(place)) + 3
        if room < 0:
            break
        made[place] = one
    return made


def _media(table: pd.DataFrame, places: list[int], room: int) -> dict[int, dict]:
    """Pictures and sounds of the rows at ``places``, in their order, as many as ``room`` bytes hold, as data URLs."""
    made: dict[int, dict] = {}
    paths = {part: table[part].tolist() for part in ("image", "audio")}
    for place in places:
        for name, part in (("picture", "image"), ("sound", "audio")):
            path = paths[part][place]
            if not path or room < 1000:  # too little for any file
                continue
            url = twin_data.picture_url(path) if part == "image" else twin_data.sound_url(path, room)
            if url and len(url) + 20 <= room:
                made.setdefault(place, {})[name] = url
                room -= len(url) + 20
    return made


def _card(row: pd.Series, names: list[str], entry: dict, media: dict) -> str:
    """A row as it stands where no script runs; the script takes picture and sound from here."""
    answer = f"predicted {row['predicted']} ({100 * row['confidence']:.0f} %)" if row["predicted"] else "training row"
    best = next(iter(entry["votes"]), [])
    shares = {names[i]: thousandths / 1000 for i, thousandths in zip(best[::2], best[1::2], strict=True)}
    return cards.row_card(
        row,
        heading=f"row {row['row']}: {row['label']}, {answer}",
        marks=pd.DataFrame(entry.get("words", []), columns=["start", "end", "effect"]),
        media={"image": media.get("picture", ""), "audio": media.get("sound", "")},
        below=cards.probability_bars(shares) if shares else "",
    )


def _note(table: pd.DataFrame, data: dict, media: dict) -> str:
    """What the data hold and what was left out, in sentences."""
    splits = {"test": "test rows", "validation": "validation rows", "train": "training rows with a suspect label"}
    splits[CROSS_FITTED] = "cross-fitted rows, each answered by models that had not seen it"
    sizes = table["split"].value_counts()
    held = [f"{sizes[name]:,} {splits[name]}" for name in data["splits"]]
    gone = sum(text is None and place not in data["cards"] for place, text in enumerate(data["text"]))
    silent = int((table["predicted"] != "").sum()) - sum(bool(one["votes"]) for one in data["cards"].values())
    counts = {"texts": gone, "ends of long texts": len(data["length"]), "rows' answers of each model": silent}
    for part, name in (("image", "picture"), ("audio", "sound")):
        counts[f"{name}s"] = int((table[part] != "").sum()) - sum(name in one for one in media.values())
    missing = [f"{count:,} {what}" for what, count in counts.items() if count]
    made = f"Here are {_listed(held)}, with their numbers."
    if missing:
        made += f" To keep the page small, {_listed(missing)} were left out; mistakes and suspects were served first."
    shown = data["cards"].values()
    words, patches = (sum(name in one for one in shown) for name in ("words", "patches"))
    coloured = [f"words in {words:,} rows"] * bool(words) + [f"patches in {patches:,} pictures"] * bool(patches)
    if coloured:
        made += f" Coloured are {_listed(coloured)}: blue holds the predicted class up, orange speaks against it."
    return made


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _section(note: str, static: list[str], data: dict) -> str:
    return (
        f'{MARK}<p class="note">{escape(note)}</p>'
        f'<p class="fb-first">The first {len(static)} of them:</p><div class="fb-cards">{"".join(static)}</div>'
        f'<script type="application/json">{twin_data.as_json(data)}</script></section>'
    )
