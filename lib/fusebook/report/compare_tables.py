"""The tables of ``run_comparison`` and ``run_differences`` as text, as the template compare.html.j2 takes them.

Each function returns a dict: columns (names), lines (lists of text), words (numbers of the columns that stand on the left).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fusebook.evaluation.scores import count_text, interval_text, number_text
from fusebook.findings import p_text
from fusebook.inspection.cards import snippet
from fusebook.report.compare import FATES, OUTCOMES, CommonRows, FinishedRun

SCORES = ["accuracy", "macro-F1", "log loss"]

FATE_WORDS = {
    "compared": "test rows of both runs",
    "training": "training rows of the other run, left out: it has learnt their labels",
    "validation": "validation rows of the other run, left out: it was chosen by them",
    "absent": "not among the other run's rows, left out",
}


def _table(columns: Sequence[str], lines: list[list], words: set[int]) -> dict:
    """What the template's table takes: columns numbered in ``words`` stand on the left, the others are numbers.

    An interval breaks from its number where a phone is narrow, and nowhere else.
    """
    lines = [[cell if i in words else _unbroken(cell) for i, cell in enumerate(line)] for line in lines]
    return {"columns": list(columns), "lines": lines, "words": words}


def _unbroken(cell: str) -> str:
    return cell.replace(", ", ",\u00a0").replace(" %", "\u00a0%").replace("< ", "<\u00a0")


def word_table(table: pd.DataFrame, heading: str) -> dict:
    """A table whose index, under ``heading``, and columns are all words."""
    lines = [[index, *values] for index, values in zip(table.index, table.to_numpy().tolist(), strict=True)]
    return _table([heading, *table.columns], lines, set(range(1 + len(table.columns))))


def parameter_table(differences: pd.DataFrame) -> dict:
    """``compare.parameter_differences``, values before what explains them: a phone shows the left of a table."""
    lines = [
        [parameter, *values, notebooks, meaning]
        for (notebooks, parameter, meaning), values in zip(
            differences.index, differences.to_numpy().tolist(), strict=True
        )
    ]
    columns = ["parameter", *differences.columns, "notebooks", "meaning"]
    return _table(columns, lines, set(range(len(columns))))


def fate_tables(compared: Sequence[FinishedRun], common: CommonRows) -> list[dict]:
    """For each run after the first: what became of its test rows and of the first's."""
    made = []
    for run, match in zip(compared[1:], common.matches, strict=True):
        sides = match["fates"]["first"], match["fates"]["other"]
        lines = [[FATE_WORDS[fate], *(f"{side.get(fate, 0):,}" for side in sides)] for fate in FATES]
        lines.append(["in all", *(f"{sum(side.values()):,}" for side in sides)])
        made.append(_table(["test rows", compared[0].name, run.name], lines, {0}))
    return made


def score_table(scores: pd.DataFrame) -> dict:
    """``compare.run_scores``."""
    lines = []
    for run, line in scores.iterrows():
        base = "–" if np.isnan(line["majority"]) else f"{100 * line['majority']:.1f} %"
        lines.append([run, line["model"], *_scores(line), base])
    return _table(["run", "its chosen model", *SCORES, "majority baseline"], lines, {0, 1})


def _scores(line) -> list[str]:
    """A line of ``scores.score_table`` as text, in the order of ``SCORES``."""
    return [
        text(*(float(line[f"{name}{end}"]) for end in ("", "_low", "_high")))
        for name, text in (("accuracy", interval_text), ("macro_f1", interval_text), ("log_loss", number_text))
    ]


def points_text(line) -> str:
    """The difference of ``comparison.compare`` in points with its interval."""
    return f"{100 * line['difference']:+.1f} [{100 * line['low']:+.1f}, {100 * line['high']:+.1f}]"


def _p(value: float) -> str:
    return p_text(value).removeprefix("p ").removeprefix("= ")


def pair_table(pairs: pd.DataFrame) -> dict:
    """``compare.run_pairs``."""
    columns = ["against", "run", "difference, points", "right in the first alone", "right in the second alone", "p",
               "p, Holm", "smallest difference to be found, points"]  # fmt: skip
    lines = [
        [line["a"], line["b"], points_text(line), f"{line['only_a']:,}", f"{line['only_b']:,}", _p(line["p"]),
         _p(line["p_holm"]), f"{100 * line['detectable']:.1f}"]
        for line in pairs.to_dict("records")
    ]  # fmt: skip
    return _table(columns, lines, {0, 1})


def model_table(models: pd.DataFrame) -> dict:
    """``compare.model_scores``."""
    lines = []
    for line in models.to_dict("records"):
        tested = not np.isnan(line["p_holm"])
        end = [points_text(line), _p(line["p"]), _p(line["p_holm"])] if tested else ["–"] * 3
        lines.append([line["model"], line["run"], *_scores(line), *end])
    columns = ["model", "run", *SCORES, "difference, points", "p", "p, Holm"]
    return _table(columns, lines, {0, 1})


def outcome_table(changes: pd.DataFrame) -> dict:
    """How many of ``compare.row_changes`` have each outcome, with the share's interval."""
    counts = changes["outcome"].value_counts().reindex(OUTCOMES.values()).fillna(0).astype(int)
    lines = [[outcome, f"{count:,}", count_text(count, len(changes))] for outcome, count in counts.items()]
    return _table(["outcome", "rows", "share"], lines, {0})


def by_label(classes: pd.DataFrame, names: tuple[str, str], shown: dict) -> dict:
    """``compare.class_changes``; ``names`` of both runs, ``shown`` is what stands for each label."""
    lines = []
    for label, line in classes.iterrows():
        counts = [f"{int(line[name]):,}" for name in ("rows", "fixed", "broken")]
        recalls = [f"{100 * line[name]:.1f} %" if line["rows"] else "–" for name in ("recall", "recall_other")]
        f1 = [interval_text(*(line[f"{name}{end}"] for name in ("f1", "f1_low", "f1_high"))) for end in ("", "_other")]
        lines.append([shown[label], *counts, *recalls, *f1])
    sides = [f"{what}, {name}" for what in ("accuracy", "F1") for name in names]
    return _table(["label", "rows", "fixed", "broken", *sides], lines, {0})


def relabelled_table(rows: pd.DataFrame, names: tuple[str, str], shown: dict) -> dict:
    """Rows of ``compare.row_changes`` that have another label in the other run."""
    lines = [
        [str(line["row"]), snippet(line["text"]) or "(no text)", *(shown[line[name]] for name in (
            "label", "label_other", "answer", "answer_other"))]
        for line in rows.to_dict("records")
    ]  # fmt: skip
    heads = (f"{what} {name}" for what in ("label in", "answer of") for name in names)
    return _table(["row", "text", *heads], lines, {1, 2, 3, 4, 5})
