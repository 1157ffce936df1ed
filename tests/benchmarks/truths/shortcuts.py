"""Are words found that somebody put into the texts of a label, and only these? They are planted in real news and reviews.

Each draw takes other rows of a set, 70 % of them for training. A name is put into a share of the rows of one label, or
a name of its own into those of each label, once a text: at the beginning, the end, right in the middle, or anywhere. A
draw counts as found where a planted name is, and as a false alarm where nothing was planted and a word is named.
"""

from itertools import chain

import numpy as np
import pandas as pd
from rows import row
from text import read_set

from fusebook.encoders.tokens import tokenise
from fusebook.errors import giveaways
from fusebook.evaluation.intervals import wilson_interval

SETS = ["bbc", "thucnews-titles", "chnsenticorp-hotel"]
N_DRAWS, TRAIN = 100, 0.7
SIZES = {0.05: 4000, 0.2: 4000, 0.5: 2000, 1.0: 1000}  # rows of a table by share of a label's rows with the name
TABLES = [500, 1000, 2000, 4000]  # rows of tables where nothing is planted
PLACES = ["start", "anywhere", "end", "anywhere", "middle", "anywhere"]
NAMES = {
    "english": ["Northgate Wire", "zqvorn", "The Dunmere Ledger", "xk-71b", "Halvorsen News Service"],
    "chinese": [
        "晨风网",
        "江海日报讯",
        "zqvorn",
        "本刊特约",
        "沐川通讯社",
        "【北岸】",
        "云帆客户端",
        "责编：罗",
        "xk71b",
        "九洲电",
    ],
}


def read(name: str) -> tuple[list[list[str]], np.ndarray]:
    """The tokens of each text of the set, no text twice, and label numbers."""
    table = read_set(name).drop_duplicates("text").sample(frac=1, random_state=0).head(20_000)
    lists = [tokenise(text, keep_punctuation=True) for text in table["text"]]
    return lists, pd.factorize(table["label"], sort=True)[0]


def drawn(lists, labels, n_rows: int, random) -> tuple[list[list[str]], np.ndarray]:
    """Some of the rows."""
    chosen = random.permutation(len(lists))[:n_rows]
    return [lists[i] for i in chosen], labels[chosen]


def planted(lists, labels, names: dict[int, list[str]], place: str, share: float, random) -> list[list[str]]:
    """``lists`` where the tokens of a label's name stand in ``share`` of its texts."""
    made = list(lists)
    for label, name in names.items():
        rows = np.flatnonzero(labels == label)
        for i in random.choice(rows, round(share * len(rows)), replace=False):
            n = len(made[i])
            at = {"start": 0, "end": n, "middle": n // 2}.get(place, random.integers(n + 1))
            made[i] = made[i][:at] + name + made[i][at:]
    return made


def named(lists, labels) -> list[tuple[str, int, int]]:
    """The giveaways of the training rows: phrase, label, and training texts that have it."""
    lists = lists[: round(TRAIN * len(lists))]
    word, words = pd.factorize(np.array(list(chain.from_iterable(lists)), object))
    texts = giveaways.Texts(np.repeat(np.arange(len(lists)), list(map(len, lists))), word, labels[: len(lists)])
    found = [phrase for phrase, put_there in giveaways.judged(texts) if put_there]
    return [("".join(words[list(phrase.words)]), phrase.label, phrase.n_texts) for phrase in found]


def is_found(lists, labels, language: str, place: str, share: float, draw: int) -> bool:
    """Plant names (in even draws one for each label, else for one label) and look for them."""
    random, n_labels = np.random.default_rng(draw), labels.max() + 1
    order = random.permutation(len(NAMES[language]))
    chosen = range(n_labels) if draw % 2 == 0 else [int(random.integers(n_labels))]
    names = {label: tokenise(NAMES[language][order[label]], keep_punctuation=True) for label in chosen}
    lists, labels = drawn(lists, labels, SIZES[share], random)
    wanted = {label: "".join(name) for label, name in names.items()}
    made = named(planted(lists, labels, names, place, share, random), labels)
    return any(label in wanted and (wanted[label] in phrase or phrase in wanted[label]) for phrase, label, _ in made)


def measured_on(name: str, shares=tuple(SIZES), n_draws: int = N_DRAWS) -> list[dict]:
    """Recall by share and place, and false alarms in tables of 500 to 4,000 rows, of one set."""
    (lists, labels), made = read(name), []
    language = "english" if name == "bbc" else "chinese"
    for share in shares:
        hits = {"at a fixed place": [], "anywhere": []}
        for draw in range(2 * n_draws):
            place = PLACES[draw // 2 % len(PLACES)]
            kind = "anywhere" if place == "anywhere" else "at a fixed place"
            if len(hits[kind]) < n_draws:
                hits[kind].append(is_found(lists, labels, language, place, share, draw))
        for kind, found in hits.items():
            cell = f"{name}, {min(SIZES[share], len(lists))} rows, in {100 * share:.0f} % of a label's"
            made.append(_line(cell, f"recall {kind}", found))
    alarms = [named(*drawn(lists, labels, TABLES[i % len(TABLES)], np.random.default_rng(i))) for i in range(n_draws)]
    print(name, "false alarms:", [found for found in alarms if found])
    return [*made, _line(name, "false grades nothing planted", [bool(found) for found in alarms])]


def _line(cell: str, measure: str, found: list[bool]) -> dict:
    low, high = wilson_interval(float(np.mean(found)), len(found))
    return row(cell, "giveaways", measure, float(np.mean(found)), float(low), float(high))


def measured() -> list[dict]:
    """Rows "recall …" and "false grades …" by set."""
    return list(chain.from_iterable(measured_on(name) for name in SETS))
