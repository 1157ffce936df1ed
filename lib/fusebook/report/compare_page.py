"""Runs compared on one page: complete in itself, it asks no network for anything and runs no script.

The tables come from ``run_comparison``; here they become text. User text is always escaped.
"""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from fusebook import runs
from fusebook.errors.mistakes import short_names
from fusebook.findings import p_text
from fusebook.report import compare, compare_tables, pages, tables
from fusebook.report.change_cards import change_cards
from fusebook.report.compare import CommonRows, FinishedRun, common_rows, read_runs

MARK = '<meta name="generator" content="fusebook compare">'  # by which a page of ours is known
MOST_CARDS = 20  # rows fixed, and as many broken, that are shown for each pair of runs
CARD_BYTES = 1_500_000  # of all cards together, so that the page stays under 3 MB with its font
MOST_RELABELLED = 50  # rows with another label that are listed


def write_comparison(
    folders: Sequence[str | Path], output: str | Path = "", most_cards: int = MOST_CARDS
) -> tuple[Path, list[str], bool]:
    """Write the page that compares the runs of ``folders``, the first against each other one.

    ``output`` is by default compare.html beside the first run's folder; an earlier page of comparison is replaced.
    Returns the page's path, its verdicts (one sentence for each run after the first) and whether a page was replaced.
    Raises ValueError and FileNotFoundError as ``run_rows`` does, and ValueError where something else lies at ``output``.
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
    pairs = compare.run_pairs(compared, common)
    verdicts = compare.verdicts(compared, common, pairs)
    room = CARD_BYTES // (2 * (len(compared) - 1))
    others = [_against_first(compared, common, i, most_cards, room) for i in range(1, len(compared))]
    template = Environment(loader=FileSystemLoader(pages.TEMPLATES), autoescape=True).get_template("compare.html.j2")
    html = template.render(
        mark=Markup(MARK), language_of=tables.language_of, style=Markup(pages.page_style()), names=[run.name for run in compared], verdicts=verdicts,
        n_rows=len(common.rows), notes=_notes(compared, common), fates=compare_tables.fate_tables(compared, common),
        scores=compare_tables.score_table(compare.run_scores(compared, common)), pairs=compare_tables.pair_table(pairs),
        models=compare_tables.model_table(compare.model_scores(compared, common)), others=others,
        parameters=compare_tables.parameter_table(compare.parameter_differences(compared)),
        versions=compare_tables.word_table(compare.version_differences(compared), "of"),
        facts=compare_tables.word_table(compare.run_facts(compared), "fact"),
    )  # fmt: skip
    return pages.with_font(html), verdicts


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
            notes.append(f"Rows compared whose label is another in {run.name}: {moved:,}. The label in {first} counts.")
    for run, names in compare.labels_apart(compared).items():
        shown = ", ".join(short_names(names[:10])) + (", …" if len(names) > 10 else "")
        notes.append(f"Not every run has these labels of {run}: {shown}. Where one is true, a run without it is wrong.")
    if len({run.path for run in compared}) < len(compared):
        notes.append("The same run was named more than once.")
    notes += [
        f"{run.name} has neither run.json nor executed notebooks, so its parameters are not known."
        for run in compared
        if not compare.known_parameters(run)
    ]
    return notes


def _against_first(compared: Sequence[FinishedRun], common: CommonRows, other: int, most_cards: int, room: int) -> dict:
    """The part of the page on one run against the first: counts, classes, cards of rows fixed and broken, labels."""
    changes = compare.row_changes(compared, common, other)
    names = compared[0].name, compared[other].name
    shown = dict(zip(common.label_names, short_names(common.label_names), strict=True))
    sides = [
        {"name": side, **change_cards(compare.surest_first(changes, side), names, shown, most_cards, room)}
        for side in ("fixed", "broken")
    ]
    relabelled = changes[changes["label"] != changes["label_other"]]
    by_theirs = compare.with_labels_of(compared, common, other)
    return {
        "name": names[1], "outcomes": compare_tables.outcome_table(changes), "sides": sides,
        "classes": compare_tables.by_label(compare.class_changes(compared, common, other, changes), names, shown),
        "relabelled": compare_tables.relabelled_table(relabelled.head(MOST_RELABELLED), names, shown),
        "n_relabelled": len(relabelled), "by_theirs": f"{compare_tables.points_text(by_theirs)} points, {p_text(by_theirs['p'])}",
    }  # fmt: skip
