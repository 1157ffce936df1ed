"""Runs compared on one page: complete in itself, it asks no network for anything and runs no script.

The tables come from ``run_comparison``; here they become text. User text is always escaped.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from fusebook import pages, run_comparison, run_differences, runs
from fusebook.change_cards import change_cards
from fusebook.error_cards import snippet
from fusebook.errors import short_names
from fusebook.evaluate import count_text, interval_text, number_text
from fusebook.run_rows import FATES, CommonRows, FinishedRun, common_rows, read_runs
from fusebook.sentences import p_text

MARK = '<meta name="generator" content="fusebook compare">'  # by which a page of ours is known
MOST_CARDS = 20  # rows fixed, and as many broken, that are shown for each pair of runs
CARD_BYTES = 1_500_000  # of all cards together, so that the page stays under 3 MB with its font
MOST_RELABELLED = 50  # rows with another label that are listed

FATE_WORDS = {
    "compared": "test rows of both runs",
    "training": "training rows of the other run, left out: it has learnt their labels",
    "validation": "validation rows of the other run, left out: it was chosen by them",
    "absent": "not among the other run's rows, left out",
}


def write_comparison(
    folders: Sequence[str | Path], output: str | Path = "", most_cards: int = MOST_CARDS
) -> tuple[Path, list[str], bool]:
    """Write the page that compares the runs of ``folders``, the first against each other one.

    ``output`` is by default compare.html beside the first run's folder; an earlier page of comparison is replaced.
    Returns the page's path, its verdicts (one sentence for each run after the first) and whether a page was replaced. Raises ValueError and
    FileNotFoundError as ``run_rows`` does, and ValueError where something else than such a page lies at ``output``.
    """
    compared = read_runs(folders)
    path = Path(output).expanduser() if output else compared[0].path.parent / "compare.html"
    there = path.exists()
    if there and not is_page(path):
        raise ValueError(
            f"{path} is there and is no page of fusebook compare. Name another file with --output; nothing was touched."
        )
    html, verdicts = comparison_html(compared, common_rows(compared), most_cards)
    with runs.replacing(path) as beside:
        beside.write_text(html, encoding="utf-8")
    return path, verdicts, there


def is_page(path: Path) -> bool:
    """Is ``path`` a page that ``write_comparison`` wrote?"""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return MARK.encode() in file.read(1000)


def comparison_html(
    compared: Sequence[FinishedRun], common: CommonRows, most_cards: int = MOST_CARDS
) -> tuple[str, list[str]]:
    """The page as HTML, and its verdicts; see ``write_comparison``."""
    pairs = run_comparison.run_pairs(compared, common)
    verdicts = run_comparison.verdicts(compared, common, pairs)
    room = CARD_BYTES // (2 * (len(compared) - 1))
    others = [_against_first(compared, common, i, most_cards, room) for i in range(1, len(compared))]
    template = Environment(loader=FileSystemLoader(pages.TEMPLATES), autoescape=True).get_template(
        "compare.html.j2"
    )
    html = template.render(
        mark=Markup(MARK), style=Markup(pages.page_style()), names=[run.name for run in compared], verdicts=verdicts,
        n_rows=len(common.rows), notes=_notes(compared, common), fates=_fate_tables(compared, common),
        scores=_score_table(run_comparison.run_scores(compared, common)), pairs=_pair_table(pairs),
        models=_model_table(run_comparison.model_scores(compared, common)), others=others,
        parameters=_word_table(run_differences.parameter_differences(compared)),
        versions=_word_table(run_differences.version_differences(compared)),
        facts=_word_table(run_differences.run_facts(compared)),
    )  # fmt: skip
    return pages.with_font(html), verdicts


def _table(columns: Sequence[str], lines: list[list], words: set[int]) -> dict:
    """What the template's table takes; the columns of numbers in ``words`` stand on the left."""
    return {"columns": list(columns), "lines": lines, "words": words}


def _word_table(table: pd.DataFrame) -> dict:
    """A table whose index and columns are all words."""
    columns = [*("" if name is None else name for name in table.index.names), *table.columns]
    lines = [
        [*(index if isinstance(index, tuple) else (index,)), *values]
        for index, values in zip(table.index, table.to_numpy().tolist(), strict=True)
    ]
    return _table(columns, lines, set(range(len(columns))))


def _notes(compared: Sequence[FinishedRun], common: CommonRows) -> list[str]:
    """What a reader must know before the scores: how rows were matched, which labels count, what could not be told."""
    first, notes = compared[0].name, []
    for i, (run, match) in enumerate(zip(compared[1:], common.matches, strict=True), 1):
        how = (
            "by row number: both read the same table (equal SHA-256)"
            if match["how"] == "number"
            else f"by content ({', '.join(match['parts'])}), as they read different tables or another state of one: "
            "the text must be the same, a picture or sound the same file, byte by byte"
        )
        notes.append(f"Rows of {run.name} and {first} were matched {how}.")
        if moved := int((common.labels[:, 0] != common.labels[:, i]).sum()):
            notes.append(
                f"{moved:,} of the rows compared have another label in {run.name}; the label in {first} counts."
            )
    for run, names in run_comparison.labels_apart(compared).items():
        shown = ", ".join(short_names(names[:10])) + (", …" if len(names) > 10 else "")
        notes.append(
            f"Not every run has these labels of {run}: {shown}. Where one is true, a run without it is wrong."
        )
    if len({run.path for run in compared}) < len(compared):
        notes.append("The same run was named more than once.")
    notes += [
        f"{run.name} has neither run.json nor executed notebooks, so its parameters are not known."
        for run in compared
        if not run_differences.known_parameters(run)
    ]
    return notes


def _fate_tables(compared: Sequence[FinishedRun], common: CommonRows) -> list[dict]:
    """For each run after the first: what became of its test rows and of the first's."""
    made = []
    for run, match in zip(compared[1:], common.matches, strict=True):
        sides = match["fates"]["first"], match["fates"]["other"]
        lines = [[FATE_WORDS[fate], *(f"{side.get(fate, 0):,}" for side in sides)] for fate in FATES]
        lines.append(["test rows in all", *(f"{sum(side.values()):,}" for side in sides)])
        made.append(_table(["", compared[0].name, run.name], lines, {0}))
    return made


def _score_table(scores: pd.DataFrame) -> dict:
    lines = [
        [
            run,
            line["model"],
            *_scores(line),
            "–" if np.isnan(line["majority"]) else f"{100 * line['majority']:.1f} %",
        ]
        for run, line in scores.iterrows()
    ]
    return _table(["run", "its chosen model", *SCORES, "majority baseline"], lines, {0, 1})


SCORES = ["accuracy", "macro-F1", "log loss"]


def _scores(line) -> list[str]:
    """A line of ``evaluate.score_table`` as text, in the order of ``SCORES``."""
    return [
        text(*(float(line[f"{name}{end}"]) for end in ("", "_low", "_high")))
        for name, text in (
            ("accuracy", interval_text),
            ("macro_f1", interval_text),
            ("log_loss", number_text),
        )
    ]


def _points(line) -> str:
    return f"{100 * line['difference']:+.1f} [{100 * line['low']:+.1f}, {100 * line['high']:+.1f}]"


def _p(value: float) -> str:
    return p_text(value).removeprefix("p ").removeprefix("= ")


def _pair_table(pairs: pd.DataFrame) -> dict:
    columns = ["against", "run", "difference, points", "right in the first alone", "right in the second alone", "p",
               "p, Holm", "smallest difference to be found, points"]  # fmt: skip
    lines = [
        [line["a"], line["b"], _points(line), f"{line['only_a']:,}", f"{line['only_b']:,}", _p(line["p"]),
         _p(line["p_holm"]), f"{100 * line['detectable']:.1f}"]
        for line in pairs.to_dict("records")
    ]  # fmt: skip
    return _table(columns, lines, {0, 1})


def _model_table(models: pd.DataFrame) -> dict:
    lines = []
    for line in models.to_dict("records"):
        tested = not np.isnan(line["p_holm"])
        end = [_points(line), _p(line["p"]), _p(line["p_holm"])] if tested else ["–"] * 3
        lines.append([line["model"], line["run"], *_scores(line), *end])
    columns = ["model", "run", *SCORES, "difference, points", "p", "p, Holm"]
    return _table(columns, lines, {0, 1})


def _against_first(
    compared: Sequence[FinishedRun], common: CommonRows, other: int, most_cards: int, room: int
) -> dict:
    """The part of the page on one run against the first: counts, classes, cards of rows fixed and broken, labels."""
    changes = run_comparison.row_changes(compared, common, other)
    names = compared[0].name, compared[other].name
    shown = dict(zip(common.label_names, short_names(common.label_names), strict=True))
    counts = changes["outcome"].value_counts()
    lines = [
        [outcome, f"{counts.get(outcome, 0):,}", count_text(counts.get(outcome, 0), len(changes))]
        for outcome in run_comparison.OUTCOMES.values()
    ]
    sides = [
        {
            "name": side,
            **change_cards(run_comparison.surest_first(changes, side), names, shown, most_cards, room),
        }
        for side in ("fixed", "broken")
    ]
    relabelled = changes[changes["label"] != changes["label_other"]]
    by_theirs = run_comparison.with_labels_of(compared, common, other)
    return {
        "name": names[1], "outcomes": _table(["", "rows", "share"], lines, {0}), "sides": sides,
        "classes": _class_table(run_comparison.class_changes(compared, common, other, changes), names, shown),
        "relabelled": _relabelled_table(relabelled.head(MOST_RELABELLED), names, shown),
        "n_relabelled": len(relabelled), "by_theirs": f"{_points(by_theirs)} points, {p_text(by_theirs['p'])}",
    }  # fmt: skip


def _class_table(classes: pd.DataFrame, names: tuple[str, str], shown: dict) -> dict:
    lines = []
    for label, line in classes.iterrows():
        sides = []
        for end in ("", "_other"):
            recall = f"{100 * line[f'recall{end}']:.1f} %" if line["rows"] else "–"
            sides.append(
                (recall, interval_text(line[f"f1{end}"], line[f"f1_low{end}"], line[f"f1_high{end}"]))
            )
        (a, f1_a), (b, f1_b) = sides
        lines.append(
            [
                shown[label],
                *(f"{int(line[name]):,}" for name in ("rows", "fixed", "broken")),
                a,
                b,
                f1_a,
                f1_b,
            ]
        )
    columns = [
        "label",
        "rows",
        "fixed",
        "broken",
        *(f"{what}, {name}" for what in ("accuracy", "F1") for name in names),
    ]
    return _table(columns, lines, {0})


def _relabelled_table(rows: pd.DataFrame, names: tuple[str, str], shown: dict) -> dict:
    lines = [
        [str(line["row"]), snippet(line["text"]) or "(no text)", *(shown[line[name]] for name in (
            "label", "label_other", "answer", "answer_other"))]
        for line in rows.to_dict("records")
    ]  # fmt: skip
    heads = (f"{what} {name}" for what in ("label in", "answer of") for name in names)
    return _table(["row", "text", *heads], lines, {1, 2, 3, 4, 5})
