"""The first page of a run, index.html: what it comes to, its score, its main findings, its pages, and how it was made.

Which findings matter most: those that are serious or worth a look, and answers to what is asked of every run, in the
order of ``findings.weight``. What calls for a look is told once a topic, by its severest finding; what is for the record
alone is not told, and no two sentences that differ in little more than their numbers are. A page about the method tells
nothing of the table.
"""

import json
import re
import shlex
import sys
from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from fusebook import findings, runs
from fusebook.findings import (
    LEVEL,
    ORDER,
    Finding,
    Findings,
    anchor,
    answers,
    capital,
    corrected_p,
    language_of,
    topic_of,
    weight,
)
from fusebook.report import pages, parts
from fusebook.report.conclusion import conclusion, lines_of, scored_on, why_chosen
from fusebook.runs import Run

HOLDS = {"done", "fresh"}  # states of a step whose page and artifacts belong to this run
SECONDS = ("start", "imports", "work", "export")
METHOD = "00_mlp_by_hand"
SCORE, FUSION = ORDER[:2]  # what the score and the sentences beside it tell already
ALIKE = 0.7  # share of common words from which two sentences say the same
COLUMNS = ("text", "label", "image", "audio")


def write_index(run: Run | Path, steps: dict) -> Path:
    """Write the first page of ``run`` and return its path.

    ``steps`` are those of ``runner.run_notebooks``, by name. What a step that failed or was skipped left in the folder
    earlier is not told.
    """
    run = Run(run)
    folder, record = run.folder, run.read("run.json")
    holding = [name for name, step in steps.items() if step.status in HOLDS and (folder / f"{name}.html").exists()]
    score = headline(run) if "03_train" in holding else None
    told = all_findings(run, holding)
    severe = [one for one in told if one[1].severity in findings.SEVERITIES[:-1]]
    main = main_findings(told, elsewhere=score["told"] if score else ())
    cards = [_card(folder, step, name in holding, record) for name, step in steps.items()]
    cards.sort(key=lambda card: card["name"] == METHOD)  # the theory after what was found
    titles = {card["name"]: card["title"] for card in cards}
    changed, defaults = parameter_rows(steps)
    code = (pages.TEMPLATES / "copy.js").read_text(encoding="utf-8")
    project = next(iter(steps.values())).path.absolute().parents[1]
    html = _template().render(
        run=folder.name, style=Markup(pages.page_style()), script=Markup(code), script_hash=parts.script_hash(code),
        score=score, conclusion=_conclusion(run, severe) if score else None,
        findings=[_line_of(titles, *found) for found in main], more=_counts([one for one in severe if one not in main]),
        cards=cards, table=run.read("table.json") if "01_explore" in holding else None,
        failed=[step.error for step in steps.values() if step.status == "failed"], changed=changed, defaults=defaults,
        record=record, seconds=SECONDS, command=command_line(folder, record["values"], project),
    )  # fmt: skip
    with runs.replacing(folder / "index.html") as beside:
        beside.write_text(pages.with_font(html), encoding="utf-8")
    return folder / "index.html"


def _template():
    room = Environment(loader=FileSystemLoader(pages.TEMPLATES), autoescape=True, trim_blocks=True)
    return room.get_template("run.html.j2")


def headline(run: Run) -> dict | None:
    """The chosen model's score and the models beside it, from metrics.json; None where that is not there.

    Returns model, on (what rows the scores are of), n_rows and lines: one for the chosen model, then the best single
    modality, the linear baseline and the majority, as far as they are there and are not the chosen model. Each line has
    name, accuracy, low, high (in %), lead: what the chosen model is ahead, with p, where they were compared, and behind:
    is it surely worse? last is the line of the chosen model on the test rows alone where the scores are of other rows,
    else None; told are the topics of findings that the page tells already.
    """
    if not run.path("metrics.json").exists():
        return None
    metrics = run.read("metrics.json")
    scores, on = lines_of(metrics, "scores"), scored_on(metrics)
    last = lines_of(metrics, "test_scores").get(metrics["chosen"]) if on != "test rows" else None
    chosen, single, n_rows = metrics["chosen"], metrics["best_single"], int(scores[metrics["chosen"]]["n_rows"])
    leads = {pair["a"]: pair for pair in metrics["comparison"] if pair["b"] == chosen}
    names = [name for name in dict.fromkeys([chosen, single, "linear SVM", "majority"]) if name in scores]
    return {
        "model": chosen, "on": findings.word(on, count=n_rows), "n_rows": n_rows,
        "last": last and _score_line(chosen, last, None) | {"n_rows": int(last["n_rows"])},
        "lines": [_score_line(name, scores[name], leads.get(name)) for name in names],
        "told": (SCORE, FUSION),
    }  # fmt: skip


def _score_line(name: str, scores: dict, pair: dict | None) -> dict:
    accuracy, low, high = (100 * scores[key] for key in ("accuracy", "accuracy_low", "accuracy_high"))
    lead, behind = "", False
    if pair:
        p = corrected_p(pair)
        p_text = findings.p_text(p).replace(" ", "\N{NO-BREAK SPACE}")
        lead = "{difference} points [{low}, {high}], {p}".format(**findings.points_of(pair), p=p_text)
        behind = bool(p < LEVEL and pair["difference"] < 0)
    shown = "always the most frequent label" if name == "majority" else name
    return {"name": shown, "accuracy": accuracy, "low": low, "high": high, "lead": lead, "behind": behind}


def _conclusion(run: Run, severe: list[tuple[str, Finding]]) -> dict:
    """What the run comes to and why its model was chosen, as sentences, with their language."""
    metrics = run.read("metrics.json")
    said, why = conclusion(run, metrics, severe), why_chosen(metrics)
    return {"said": said, "why": why, "language": language_of(said[-1])}


def _counts(found: list[tuple[str, Finding]]) -> list[tuple[str, int]]:
    """How many of ``found`` each notebook has."""
    names = [name for name, _ in found]
    return [(name, names.count(name)) for name in sorted(set(names))]


def _line_of(titles: dict[str, str], notebook: str, found: Finding) -> dict:
    """What the page shows of one finding: with its link, the name of its place, and its severity as a word."""
    language = language_of(found.text)
    return {
        "severity": found.severity, "word": findings.word(found.severity, language) if found.severity else "",
        "text": found.text, "language": language, "notebook": notebook, "place": found.place or titles[notebook],
        "link": f"{notebook}.html" + (f"#{anchor(found.place)}" if found.place else ""),
    }  # fmt: skip


def _card(folder: Path, step, holds: bool, record: dict) -> dict:
    """What the page says of one notebook: title, what it does, a picture, its state, seconds, memory and size."""
    executed, page = folder / "notebooks" / f"{step.name}.ipynb", folder / f"{step.name}.html"
    notebook = nbformat.read(step.path, as_version=4)
    lines = [line for line in notebook.cells[0].source.split("\n")[1:] if line.strip()]
    first = re.sub(r"[*`_]", "", lines[0] if lines else "").removeprefix("In this notebook we ")
    facts = record["steps"].get(step.name, {}) if holds or step.status == "failed" else {}
    return {
        "name": step.name, "title": pages.page_title(notebook), "says": capital(re.split(r"(?<=[.:]) ", first)[0]),
        "picture": parts.thumbnail(nbformat.read(executed, as_version=4)) if holds and executed.exists() else "",
        "state": "" if holds else "failed" if step.status == "failed" else "not run", "there": page.exists(),
        "seconds": facts.get("seconds", {}), "memory": facts.get("peak_memory_mb", 0),
        "kilobytes": round(page.stat().st_size / 1000) if page.exists() else 0,
    }  # fmt: skip


def parameter_rows(steps: dict) -> tuple[list[dict], list[dict]]:
    """The parameters of all notebooks, each once: those that differ from their default, and the rest.

    Each is a dict with name, value, default, help and the notebooks that know it.
    """
    rows: dict[tuple, dict] = {}
    for step in steps.values():
        for name, facts in step.known.items():
            default = runs.parameter_value(facts["default"])
            row = {"name": name, "value": step.parameters.get(name, default), "default": default, "help": facts["help"]}
            known = rows.setdefault((name, repr(row["value"]), repr(default)), row | {"notebooks": []})
            known["notebooks"].append(step.name[:2])
    kept = [row for row in rows.values() if row["name"] != "run"]
    changed = [row for row in kept if row["value"] != row["default"]]
    return changed, [row for row in kept if row not in changed]


def all_findings(run: Run | Path, notebooks: list[str]) -> list[tuple[str, Finding]]:
    """What ``notebooks`` found in ``run``, by ``findings.weight``, each with the name of its notebook; not the method's."""
    found = [(name, one) for name in notebooks if name != METHOD for one in Findings.load(Run(run), name)]
    return sorted(found, key=lambda line: weight(*line))


def main_findings(
    found: list[tuple[str, Finding]], *, elsewhere: tuple = (), most: int = 8
) -> list[tuple[str, Finding]]:
    """The ``most`` of ``found``, as ``all_findings`` gives them, that matter most, by the rule above.

    ``elsewhere`` are members of ``ORDER`` that the page tells already: of these only what is serious or worth a look is
    repeated.
    """
    kept, topics = [], set()
    for name, one in filter(lambda line: answers(*line), found):
        topic, severe = _topic(name, one), one.severity != "note"
        again = topic in (topics if severe else elsewhere)
        if not (again or any(_alike(one.text, other.text) for _, other in kept)):
            kept.append((name, one))
            topics.add(topic)
    return kept[:most]


def _topic(notebook: str, found: Finding) -> tuple:
    """The member of ``ORDER`` that holds the finding's topic, else its place; without a place, the finding."""
    topic, place = topic_of(notebook, found), (notebook, found.place)
    return next((group for group in ORDER if topic in group), place if found.place else (*place, found.text))


def _alike(one: str, other: str) -> bool:
    """Do two sentences share most of their words, numbers apart (Jaccard, 1901)? Chinese counts by the character."""
    words = [set(re.findall(r"[\u3040-\u9fff]|[^\W\d_]+", text.lower())) for text in (one, other)]
    return len(words[0] & words[1]) >= ALIKE * len(words[0] | words[1])


def command_line(run: Path, values: dict[str, object], project: Path) -> str:
    """One line that runs the notebooks of ``project`` with the parameters ``values`` and writes to the folder ``run``.

    It works from any folder. Paths in the project are told as seen from there; the columns of a table become the options
    that people know, all else ``-p name value``.
    """
    rest = dict(values)
    words = ["report"]
    name = "sample"
    options = {"table", "new_table", *COLUMNS}
    if options <= set(rest) and rest["label"] and any(rest[part] for part in ("text", "image", "audio")):
        given = {part: str(rest.pop(part)) for part in sorted(options)}
        name = Path(given["table"]).stem
        words += ["--table", _inside(given["table"], project)]
        words += [word for part in COLUMNS if given[part] for word in (f"--{part}", given[part])]
        words += ["--new", _inside(given["new_table"], project)] if given["new_table"] else []
    if run.absolute() != project / "reports" / name:
        words += ["--run", _inside(run.absolute(), project)]
    for parameter, value in rest.items():
        words += ["-p", parameter, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
    return f"cd {shlex.quote(str(project))} && {shlex.join([*_program(project), *words])}"


def _program(project: Path) -> list[str]:
    """The command `fusebook` of the Python that runs, else that Python with the module."""
    python = Path(sys.executable)
    command = python.parent / "fusebook"
    if command.exists():
        return [_inside(command, project)]
    return [_inside(python, project), "-m", "fusebook.cli"]


def _inside(path: str | Path, project: Path) -> str:
    path = Path(path)
    return str(path.relative_to(project) if path.is_relative_to(project) else path)
