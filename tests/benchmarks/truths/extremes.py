"""Is the weakest class, or the most confused pair, told only where it is one? Answers are drawn with a known truth.

Where all classes are equally good, and mistakes fall on the other labels by chance, draws are counted in which one is
graded "look" or "serious" (type I), and those in which the interval of the class or pair that is named holds its true
share (coverage). Where one class is right for 40 % beside 85 %, or one label's mistakes fall on one other, draws are counted
that find it (recall).
"""

import numpy as np
from rows import row

from fusebook.data.predictions import Predictions
from fusebook.errors.mistakes import Mistakes
from fusebook.evaluation.intervals import wilson_interval

N_DRAWS = 400
SIZES, N_CLASSES = (30, 203, 2000), (2, 5, 20)


def drawn(n_rows: int, n_classes: int, seed: int, *, accuracy=0.85, first=None, zipf=False, copies=1, swap=0.0):
    """Mistakes of answers that are right for ``accuracy`` of the rows of each class, or for ``first`` of class 0.

    Wrong answers are drawn by the labels' shares; with ``swap`` that share of class 0's mistakes goes to class 1. With
    copies each text stands in so many rows that are answered alike.
    """
    random = np.random.default_rng(seed)
    prior = 1 / np.arange(1, n_classes + 1) if zipf else np.ones(n_classes)
    labels = random.choice(n_classes, n_rows // copies, p=prior / prior.sum())
    right = random.random(len(labels)) < np.where(labels == 0, accuracy if first is None else first, accuracy)
    others = prior * ~np.eye(n_classes, dtype=bool)[labels]
    wrong = (others.cumsum(axis=1) > random.random((len(labels), 1)) * others.sum(axis=1, keepdims=True)).argmax(axis=1)
    wrong[(labels == 0) & (random.random(len(labels)) < swap)] = 1
    groups = np.repeat(np.arange(len(labels)), copies)
    values = {"m": np.eye(n_classes)[np.where(right, labels, wrong)][groups]}
    return Mistakes(Predictions.of(values, labels[groups], groups=groups), "m")


def counted(n_draws: int = N_DRAWS, **options) -> dict[str, list[bool]]:
    """Of so many draws: was the class told, the pair told, and did the interval of each hold the truth?"""
    made = {"class told": [], "pair told": [], "class held": [], "pair held": []}
    for seed in range(n_draws):
        mistakes = drawn(seed=seed, **options)
        (key, grade, facts), classes = mistakes.pair_verdicts()[0], mistakes.class_verdicts()
        made["class told"].append(any(grade != "note" for _, grade, _ in classes))
        made["pair told"].append(grade != "note")
        for _, _, said in classes:
            made["class held"].append(holds(said, 1 - truth(int(said["label"]), **options).sum()))
        if key in ("confused", "no pair"):
            made["pair held"].append(holds(facts, truth(int(facts["label"]), **options)[int(facts["predicted"])]))
    return made


def holds(facts: dict, share: float) -> bool:
    """Does the interval that a sentence says hold the true share, up to the digits printed?"""
    low, high = (float(end) / 100 for end in facts["share"].split("[")[1].rstrip("]").split(", "))
    return low - 5e-4 <= share <= high + 5e-4


def truth(label: int, n_classes: int, *, accuracy=0.85, first=None, zipf=False, swap=0.0, **_) -> np.ndarray:
    """The chance of each wrong answer to a row of ``label``, as in ``drawn``."""
    prior = 1 / np.arange(1, n_classes + 1) if zipf else np.ones(n_classes)
    prior[label] = 0
    shares = prior / prior.sum()
    if label == 0:
        shares = (1 - swap) * shares + swap * (np.arange(n_classes) == 1)
    return (1 - (first if label == 0 and first is not None else accuracy)) * shares


def at_the_share_said(n_rows: int, n_classes: int, n_draws: int = N_DRAWS) -> tuple[float, list[bool]]:
    """The share right that a page without a weak class prints, and the draws that find a class right so often."""
    said = (drawn(n_rows, n_classes, seed).class_verdicts()[0] for seed in range(10_000, 10_100))
    least = np.median([int(facts["least"]) for key, _, facts in said if key == "no weakest"]) / 100
    made = (drawn(n_rows, n_classes, seed, first=least).class_verdicts()[0] for seed in range(n_draws))
    return float(least), [key == "weakest" and facts["label"] == "0" for key, _, facts in made]


def measured() -> list[dict]:
    """Rows "type I …", "coverage …" and "recall …" by cell."""
    made = []

    def add(name: str, model: str, measure: str, hits: list[bool]) -> None:
        if len(hits) >= 20:  # else the page has hardly ever named one
            low, high = wilson_interval(np.mean(hits), len(hits))
            made.append(row(name, model, measure, float(np.mean(hits)), float(low), float(high)))
            print(name, model, measure, round(float(np.mean(hits)), 3), flush=True)

    for n_classes in N_CLASSES:
        for n_rows in SIZES:
            for zipf, copies in ((False, 1), (True, 1), (False, 3)):
                kind = ", Zipf" * zipf + f", each text {copies} times" * (copies > 1)
                name = f"{n_classes} equal classes, {n_rows} rows{kind}"
                found = counted(n_rows=n_rows, n_classes=n_classes, zipf=zipf, copies=copies)
                add(name, "weakest class", "type I look or serious", found["class told"])
                add(name, "most confused pair", "type I look or serious", found["pair told"])
                add(name, "weakest class", "coverage recall of the class named", found["class held"])
                add(name, "most confused pair", "coverage share of the pair named", found["pair held"])
    for n_rows in (203, 1024):
        found, name = counted(n_rows=n_rows, n_classes=5, first=0.4), f"5 classes, {n_rows} rows, one right for 0.4"
        add(name, "weakest class", "recall", found["class told"])
        add(name, "weakest class", "coverage recall of the class named", found["class held"])
        found, name = (
            counted(n_rows=n_rows, n_classes=5, swap=0.8),
            f"5 classes, {n_rows} rows, 0.8 of one's mistakes alike",
        )
        add(name, "most confused pair", "recall", found["pair told"])
        add(name, "most confused pair", "coverage share of the pair named", found["pair held"])
        least, hits = at_the_share_said(n_rows, 5)
        add(f"5 classes, {n_rows} rows, one right for {least:.2f}", "weakest class", "power at the share said", hits)
    return made
