"""Do the 95 % intervals hold the truth? Test sets are drawn whose true scores are known, and the intervals counted."""

from functools import cache
from itertools import product

import numpy as np
from guesses import logit_answers, strength_of
from rows import row

from fusebook.data.predictions import Predictions
from fusebook.evaluation.confidence import Confidence
from fusebook.evaluation.measures import MEASURES, class_sums, f1_of_classes, measures_of, row_columns
from fusebook.evaluation.scores import class_table, score_table

N_TRUE = 400_000
N_SETS = {30: 60, 100: 60, 200: 40, 2000: 20}  # test sets a cell, by number of rows
N_GRADES = 200  # test sets of a perfectly calibrated model
ACCURACIES, COPIES, FACTORS = (0.5, 0.75, 0.95, 0.99), (1, 2, 4), (1.0, 2.0)


def measured() -> list[dict]:
    """Rows "coverage …" by size, copies and classes, over accuracies, calibrated and twice too sure, balanced and Zipf.

    ``low`` and ``high`` are the lowest and the highest of the cells. Then rows "false grades …" and "recall …" of the
    calibration error.
    """
    made = []
    for n_rows, copies, n_classes in product(N_SETS, COPIES, (2, 5, 20)):
        cells = [covered(n_rows, copies, n_classes, *cell) for cell in product((False, True), ACCURACIES, FACTORS)]
        name = f"{n_rows} rows, each text {copies} times"
        for measure in cells[0]:
            found = [cell[measure] for cell in cells]
            values = float(np.mean(found)), min(found), max(found)
            made.append(row(name, f"{n_classes} classes", f"coverage {measure}", *values))
    return made + grades()


def covered(n_rows: int, copies: int, n_classes: int, zipf: bool, accuracy: float, factor: float, n_sets=0) -> dict:
    """The share of test sets in which each interval holds the truth, by measure; "f1 of a class" is over all classes."""
    truth, f1 = true_scores(n_classes, zipf, accuracy, factor)
    held = dict.fromkeys([*MEASURES, "f1 of a class"], 0.0)
    n_sets = n_sets or N_SETS[n_rows]
    for seed in range(n_sets):
        probabilities, labels, groups = drawn(n_rows, copies, n_classes, zipf, accuracy, factor, seed)
        predictions = Predictions.of({"m": probabilities}, labels, groups=groups)
        line, classes = score_table(predictions).loc["m"], class_table(predictions, "m")
        for measure in MEASURES:
            held[measure] += (line[f"{measure}_low"] <= truth[measure] <= line[f"{measure}_high"]) / n_sets
        held["f1 of a class"] += ((classes["f1_low"] <= f1) & (f1 <= classes["f1_high"])).mean() / n_sets
    return held


@cache
def true_scores(n_classes: int, zipf: bool, accuracy: float, factor: float) -> tuple[dict, np.ndarray]:
    """Measures and F1 of each class from many rows; the calibration error of calibrated answers is 0."""
    probabilities, labels, _ = drawn(N_TRUE, 1, n_classes, zipf, accuracy, factor, 10**6)
    made = measures_of(probabilities, labels)
    if factor == 1 and strength_of(n_classes, zipf, accuracy)[1]:
        made["ece"] = 0.0
    sums = row_columns(probabilities, labels).sum(axis=0)
    return made, f1_of_classes(*class_sums(sums, n_classes))


def drawn(n_rows, copies, n_classes, zipf, accuracy, factor, seed):
    """Answers, labels and groups of texts that stand in the test so many times each."""
    n_texts = -(-n_rows // copies)
    probabilities, labels = logit_answers(n_texts, n_classes, zipf=zipf, accuracy=accuracy, factor=factor, seed=seed)
    texts = np.repeat(np.arange(n_texts), copies)[:n_rows]
    return probabilities[texts], labels[texts], None if copies == 1 else texts


def grades() -> list[dict]:
    """How often a perfectly calibrated model is found worth a look or serious, and one that is 0.15 off serious."""
    made = []
    for n_rows, copies, n_classes in product((30, 100, 203, 2000), (1, 4), (2, 5, 20)):
        found = sum(
            graded(*drawn(n_rows, copies, n_classes, False, 0.75, 1.0, seed)) != "note" for seed in range(N_GRADES)
        )
        name = f"{n_rows} rows, each text {copies} times"
        made.append(row(name, f"{n_classes} classes", "false grades calibration", found / N_GRADES))
    found = [graded(*off(1000, seed)) == "serious" for seed in range(100)]
    return [*made, row("1000 rows", "0.15 too sure", "recall calibration serious", float(np.mean(found)))]


def graded(probabilities, labels, groups) -> str:
    """The grade of ``Confidence.verdict``."""
    return Confidence(Predictions.of({"m": probabilities}, labels, groups=groups), "m").verdict()[1]


def off(n_rows: int, seed: int):
    """Answers of two classes whose confidence is 0.15 above the accuracy, and labels."""
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.7, 1, n_rows)
    wrong = random.random(n_rows) >= confidence - 0.15
    return np.column_stack([confidence, 1 - confidence]), wrong.astype(int), None
