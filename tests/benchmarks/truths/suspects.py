"""Are suspect labels counted truly? Tables with a known number of wrong labels, none among them, answered by a model.

Logits are normal, labels are drawn by their softmax. The model answers them with a temperature that was fitted on 100
other rows, which have as many wrong labels as the table. "untouched" is a model that knows the true probabilities.
"""

import numpy as np
from guesses import drawn_labels
from rows import row
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import hypergeom

from fusebook.data.predictions import Predictions
from fusebook.errors.corrections import wrong_among
from fusebook.errors.suspects import SHARES, suspect_excess

N_SETS, N_FITTED, N_DRAWS = 20, 100, 60
CLEAN = {  # rows, classes, scale of the logits, copies of each row
    "2 classes, 30 rows": (30, 2, 3, 1),
    "2 classes, 30 rows, nearly all right": (30, 2, 40, 1),
    "5 classes, 200 rows": (200, 5, 2, 1),
    "5 classes, 200 rows, nearly all right": (200, 5, 60, 1),
    "5 classes, 200 rows in fours": (200, 5, 2.5, 4),
    "20 classes, 200 rows": (200, 20, 4, 1),
    "5 classes, 1,000 rows": (1000, 5, 8, 1),
    "5 classes, 200 rows, random labels": (200, 5, 0.1, 1),
    "20 classes, 1,000 rows, random labels": (1000, 20, 0.1, 1),
}
WRONG = {  # rows, classes, scale, share of wrong labels
    "2 classes, 200 rows": (200, 2, 6, 0.1),
    "5 classes, 200 rows": (200, 5, 6, 0.1),
    "5 classes, 1,000 rows": (1000, 5, 8, 0.1),
    "5 classes, 1,000 rows, few": (1000, 5, 8, 0.04),
    "20 classes, 1,000 rows": (1000, 20, 8, 0.1),
}


def table(n_rows: int, n_classes: int, scale: float, share: float, random: np.random.Generator):
    """Logits, labels, and which of them are wrong."""
    logits = random.normal(scale=scale, size=(n_rows, n_classes))
    labels = drawn_labels(softmax(logits, axis=1), random)
    wrong = random.permutation(n_rows) < round(share * n_rows)
    return logits, np.where(wrong, (labels + random.integers(1, n_classes, n_rows)) % n_classes, labels), wrong


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """What the logits are to be multiplied with, fitted on these rows."""
    own = np.arange(len(labels))
    made = minimize_scalar(lambda at: -log_softmax(np.exp(at) * logits, axis=1)[own, labels].sum(), bounds=(-3, 2))
    return float(np.exp(made.x))


def answered(n_rows, n_classes, scale, copies, share, seed, fitted=True) -> tuple[Predictions, int]:
    """The model's answers, and how many labels are wrong."""
    random = np.random.default_rng(seed)
    logits, labels, wrong = table(n_rows // copies, n_classes, scale, share, random)
    factor = temperature(*table(N_FITTED, n_classes, scale, share, random)[:2]) if fitted else 1.0
    values, groups = np.repeat(softmax(factor * logits, axis=1), copies, axis=0), np.arange(n_rows) // copies
    return Predictions.of({"m": values}, np.repeat(labels, copies), groups=groups), int(wrong.sum()) * copies


def excesses(cell, share, fitted=True) -> list[tuple[dict, int]]:
    """``suspect_excess`` of each table of a cell, with the number of wrong labels."""
    made = []
    for seed in range(N_SETS):
        judged, n_wrong = answered(*cell, share, seed, fitted)
        made.append((suspect_excess(judged, "m", n_draws=N_DRAWS, random_state=seed), n_wrong))
    return made


def audit_rows() -> list[dict]:
    """Exact coverage of the interval of an audit of 30, the least and the mean over how many of the suspects are wrong."""
    made = []
    for n_suspects in (35, 60, 500):
        numbers, found = np.arange(n_suspects + 1), range(31)
        ends = [wrong_among(n_suspects, 30, wrong) for wrong in found]
        held = [
            sum(
                hypergeom.pmf(wrong, n_suspects, number, 30)
                for wrong in found
                if ends[wrong][0] <= number <= ends[wrong][1]
            )
            for number in numbers
        ]
        for name, value in (("least", min(held)), ("mean", np.mean(held))):
            made.append(row(f"{n_suspects} suspects", "audit of 30", f"coverage audit, {name}", float(value)))
    return made


def measured() -> list[dict]:
    """Rows "false grades …" without a wrong label, "recall …" and "coverage …" with some."""
    made = audit_rows()
    for name, cell in CLEAN.items():
        lines = excesses(cell, 0.0)
        graded = [line["count"] > line["high"] and line["detectable"] <= SHARES[-1] * cell[0] for line, _ in lines]
        made.append(row(name, "no wrong label", "false grades suspects", float(np.mean(graded))))
    for name, (n_rows, n_classes, scale, share) in WRONG.items():
        for model in ("untouched", "fitted"):
            lines = excesses((n_rows, n_classes, scale, 1), share, model == "fitted")
            noticed = [line["count"] > line["high"] for line, _ in lines]
            held = [line["wrong_low"] <= n_wrong <= line["wrong_high"] for line, n_wrong in lines]
            made.append(
                row(name, f"{share:.0%} wrong, {model}", "recall of tables with wrong labels", float(np.mean(noticed)))
            )
            made.append(row(name, f"{share:.0%} wrong, {model}", "coverage wrong labels", float(np.mean(held))))
    return made + detectable_rows()


def detectable_rows() -> list[dict]:
    """How often as many wrong labels are noticed as a clean table of this kind says would be."""
    made = []
    for name in ("5 classes, 200 rows", "5 classes, 1,000 rows"):
        n_rows, n_classes, scale, _ = WRONG[name]
        cell = (n_rows, n_classes, scale, 1)
        said = np.mean([line["detectable"] for line, _ in excesses(cell, 0.0)]) / n_rows
        noticed = [line["count"] > line["high"] for line, _ in excesses(cell, said)]
        made.append(
            row(name, f"{said:.1%} wrong, fitted", "recall of what is said to be noticed", float(np.mean(noticed)))
        )
    return made
