"""What a page can carry of its rows: numbers of all, then texts, answers, pictures and sounds within a number of bytes.

Notebooks 04_error_analysis and 05_inspect tell the story; ``twin`` makes the HTML.
"""

import base64
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from fusebook.data import files
from fusebook.data.predictions import Predictions
from fusebook.errors.mistakes import confusion_order
from fusebook.inspection import cards
from fusebook.inspection.listing import CROSS_FITTED, coverage_and_accuracy, filter_rows, scored_split

CUTS = (cards.MOST_CHARACTERS, 600, 300, 150, 80)  # characters of a text; the longest cut at which all texts fit
MOST_CLASSES = 60  # in the matrix; of more, those with the most mistakes
N_ANSWERS = 3  # labels a model whose probability is told
PICTURE_SIZE = 192  # pixels of the longer side
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
SMALL_PICTURE = 10_000  # bytes up to which a picture's own file is taken


def as_json(value) -> str:
    """``value`` as JSON that can't end the script element it stands in, whatever texts it holds.

    Letters stay as they are, so that the page's font finds them. Raises ValueError for a number that JSON doesn't know.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def size_of(value) -> int:
    """The bytes that ``value`` takes on the page, with a comma."""
    return len(as_json(value).encode()) + 1


def order_of_interest(table: pd.DataFrame) -> np.ndarray:
    """The positions of the rows of an ``inspection_table`` in the order in which the budget serves them.

    First the mistakes of the scored rows, the most confident first, then label suspects, other mistakes, other scored
    rows (the least confident first), and the rest.
    """
    scored, wrong = (table["split"] == scored_split(table)).to_numpy(), (~table["right"].fillna(True)).to_numpy(bool)
    suspicion = table["suspicion"].fillna(0).to_numpy(float)
    confidence = table["confidence"].fillna(0).to_numpy(float)
    rank = np.select([scored & wrong, suspicion > 0, wrong, scored], [0, 1, 2, 3], 4)
    within = np.select([wrong, suspicion > 0], [-confidence, -suspicion], confidence)
    return np.lexsort((within, rank))


def floats(values) -> str:
    """Numbers as base64 of 64-bit floats, lowest byte first: exact, and a third of their digits."""
    return base64.b64encode(np.asarray(values, "<f8").tobytes()).decode()


def numbers(table: pd.DataFrame, label_names: list[str]) -> dict:
    """What is known of every row in numbers, one entry a row in each list; -1 where there is no prediction.

    ``suspicion`` (None where nobody looked) has only the rows above 0, and ``slices`` the positions of each slice's rows.
    ``parts`` has a digit a row: 1 for a picture, 2 for a sound, 3 for both.
    """
    known = pd.Index(label_names)
    splits = [name for name in (CROSS_FITTED, "test", "validation", "train") if (table["split"] == name).any()]
    doubt = table["suspicion"].to_numpy(float)
    slices: dict[str, list[int]] = {}
    for position, names in enumerate(table["slices"]):
        for name in names:
            slices.setdefault(name, []).append(position)
    parts = (table["image"] != "").astype(int) + 2 * (table["audio"] != "").astype(int)
    return {
        "splits": splits,
        "row": table["row"].tolist(),
        "split": pd.Index(splits).get_indexer(table["split"]).tolist(),
        "label": known.get_indexer(table["label"]).tolist(),
        "predicted": known.get_indexer(table["predicted"]).tolist(),
        "confidence": floats(table["confidence"]),
        "loss": floats(table["loss"]),
        "suspicion": None if np.isnan(doubt).all() else [[int(i), float(doubt[i])] for i in np.flatnonzero(doubt > 0)],
        "slices": dict(sorted(slices.items())),
        "parts": "".join(map(str, parts)),
    }


def totals(table: pd.DataFrame, label_names: list[str]) -> dict:
    """What is counted over all rows that are scored, those of the split ``scored``: the confusion matrix, and what each threshold from 0 to 100 % brings.

    ``order`` are the matrix's class numbers, similar ones side by side; ``cells`` are true, predicted and count of all
    pairs that occur; ``coverage`` is answered, right, and the accuracy's interval (None where nothing is answered).
    """
    split = scored_split(table)
    scored = filter_rows(table, split=split)
    known = pd.Index(label_names)
    true, predicted = known.get_indexer(scored["label"]), known.get_indexer(scored["predicted"])
    confusion = np.zeros((len(label_names), len(label_names)), int)
    np.add.at(confusion, (true, predicted), 1)
    wrong = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * np.diag(confusion)
    kept = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CLASSES])
    order = kept[confusion_order(confusion[np.ix_(kept, kept)])]
    lines = pd.DataFrame([coverage_and_accuracy(scored, percent / 100) for percent in range(101)])
    lines = lines[["answered", "right", "low", "high"]].astype(object)
    coverage = lines.where(lines.notna(), None).values.tolist()
    cells = [[int(i), int(j), int(confusion[i, j])] for i, j in np.argwhere(confusion)]
    made = {"scored": split, "n_scored": len(scored), "order": order.tolist()}
    return made | {"cells": cells, "coverage": coverage}


def fit_texts(texts: list[str], order: np.ndarray, room: int) -> list[str | None]:
    """The beginnings of ``texts`` that take at most ``room`` bytes.

    All are cut alike, as little as possible. Where even the shortest cut is too long, the last in ``order`` are left out
    (None).
    """
    for cut in CUTS:
        made = [text[:cut] for text in texts]
        sizes = np.array([size_of(text) for text in made], int)
        if sizes.sum() <= room:
            return made
    left_out = order[np.cumsum(sizes[order]) > room - 5 * len(texts)]
    kept: list[str | None] = list(made)
    for position in left_out:
        kept[position] = None
    return kept


def answers(table: pd.DataFrame, predictions: Sequence[Predictions], models: list[str]) -> dict[int, list]:
    """Position of a row to a list for each of ``models``: the most probable class numbers, each with its thousandths.

    The list is empty where that model did not answer about the row; a row that none answered about has no entry.
    """
    position = {row: place for place, row in enumerate(table["row"])}
    made: dict[int, list] = {}
    for some in predictions:
        places = [position.get(row) for row in some.rows["row"]]
        for model, values in some.only(models).items():
            best = np.argsort(-values, axis=1, kind="stable")[:, :N_ANSWERS]
            shares = np.rint(1000 * np.take_along_axis(values, best, axis=1)).astype(int)
            pairs = np.stack([best, shares], axis=2).reshape(len(values), -1).tolist()
            for place, line in zip(places, pairs, strict=True):
                if place is not None:
                    made.setdefault(place, [[] for _ in models])[models.index(model)] = line
    return made


def picture_url(path: str) -> str:
    """A picture as a data URL, small enough for a card; "" where there is none or it can't be read."""
    file = Path(path)
    try:
        if file.stat().st_size <= SMALL_PICTURE and (url := cards.data_url(path)):
            return url
        stream = BytesIO()
        files.thumbnail(path, PICTURE_SIZE).save(stream, "WEBP", quality=80)
    except Exception:  # a file that is gone or damaged by now is as good as none
        return ""
    return cards.inline(stream.getvalue(), "image/webp")


def sound_url(path: str, room: int) -> str:
    """A sound as a data URL of at most ``room`` bytes, else ""."""
    file = Path(path)
    if not file.is_file() or file.stat().st_size * 4 / 3 > room - 100:
        return ""
    return cards.data_url(path)


def case_folds() -> dict[str, str]:
    """The letters that ``str.casefold`` and a browser's toLowerCase take differently, such as ß: with them both agree."""
    return {
        letter: letter.casefold() for letter in map(chr, range(0x80, 0xFFFF)) if letter.casefold() != letter.lower()
    }
