"""The first page of a run, index.html: its score, its main findings, its pages, and how it was made."""
# FOLDED: The findings that matter most over all notebooks of a run: which they are, and in what order.
# FOLDED: The command line that gives a run again, quoted for a POSIX shell.

import json
import re
import shlex
import sys
from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from fusebook import findings, runs
from fusebook.report import pages, parts

HOLDS = {"done", "fresh", "waiting"}  # states of a step whose page and artifacts belong to this run
SECONDS = ("start", "imports", "work", "export")


def write_index(run: Path, steps: dict) -> Path:
    """Write the first page of ``run`` and return its path.

    ``steps`` are those of ``runner.run_notebooks``, by name. What a step that failed or was skipped left in the folder
    earlier is not told.
    """
    record = runs.read_json(run / "run.json")
    holding = [name for name, step in steps.items() if step.status in HOLDS and (run / f"{name}.html").exists()]
    score = headline(run / "artifacts" / "metrics.json") if "03_train" in holding else None
    cards = [_card(run, step, name in holding, record) for name, step in steps.items()]
    cards.sort(key=lambda card: card["name"] == METHOD)  # the theory after what was found
    titles = {card["name"]: card["title"] for card in cards}
    told = score["told"] if score else ()
    changed, defaults = parameter_rows(steps)
    code = (pages.TEMPLATES / "copy.js").read_text(encoding="utf-8")
    values = record.get("values", _given(steps))
    html = _template().render(
        run=run.name, style=Markup(pages.page_style()), script=Markup(code), script_hash=parts.script_hash(code),
        score=score, findings=_findings(run, holding, told, titles), cards=cards, table=_table(run, holding),
        failed=[step.error for step in steps.values() if step.status == "failed"], changed=changed, defaults=defaults,
        record=record, seconds=SECONDS, command=command_line(run, values, _project(steps)),
    )  # fmt: skip
    with runs.replacing(run / "index.html") as beside:
        beside.write_text(pages.with_font(html), encoding="utf-8")
    return run / "index.html"


def _template():
    room = Environment(loader=FileSystemLoader(pages.TEMPLATES), autoescape=True, trim_blocks=True)
    return room.get_template("run.html.j2")


def _project(steps: dict) -> Path:
    """The folder that holds ``notebooks``."""
    return next(iter(steps.values())).path.absolute().parents[1]


def _given(steps: dict) -> dict:
    """The parameters given to the notebooks, for runs that did not note them by themselves."""
    return {
        name: value
        for step in steps.values()
        for name, value in step.parameters.items()
        if name != "run"
    }  # fmt: skip


def headline(path: Path) -> dict | None:
    """The chosen model's score and the models beside it, from metrics.json; None where that is not there.

    Returns model, split, n_rows and lines: one for the chosen model, then the best single modality, the linear
    baseline and the majority, as far as they are there and are not the chosen model. Each line has name, accuracy, low,
    high (in %), lead: what the chosen model is ahead, with p, where they were compared, and behind: is it surely worse?
    Runs older than these keys have only text. told are the topics of findings that the lines tell already.
    """
    if not path.exists():
        return None
    metrics = runs.read_json(path)
    scores = {line["model"]: line for line in metrics.get("scores", [])}
    chosen, single = metrics.get("chosen"), metrics.get("best_single")
    if chosen not in scores:
        return {"text": metrics.get("headline", ""), "told": (SCORE,)}
    leads = {pair["a"]: pair for pair in metrics.get("comparison", []) if pair["b"] == chosen}
    names = [name for name in dict.fromkeys([chosen, single, "linear SVM", "majority"]) if name in scores]
    fused = (FUSION,) if chosen != single else ()
    return {
        "model": chosen, "split": metrics["split"], "n_rows": int(scores[chosen]["n_rows"]),
        "lines": [_line(name, scores[name], leads.get(name)) for name in names],
        "told": (SCORE, *fused),
    }  # fmt: skip


def _line(name: str, scores: dict, pair: dict | None) -> dict:
    accuracy, low, high = (100 * scores[key] for key in ("accuracy", "accuracy_low", "accuracy_high"))
    lead, behind = "", False
    if pair:
        p = pair.get("p_holm", pair["p"])
        points = [f"{100 * pair[key]:+.1f}" for key in ("difference", "low", "high")]
        said = findings.p_text(p).replace(" ", "\N{NO-BREAK SPACE}")
        lead = "{} points [{}, {}], {}".format(*points, said)
        behind = bool(p < 0.05 and pair["difference"] < 0)
    shown = "always the most frequent label" if name == "majority" else name
    return {"name": shown, "accuracy": accuracy, "low": low, "high": high, "lead": lead, "behind": behind}


def _findings(run: Path, holding: list[str], told: tuple, titles: dict[str, str]) -> list[dict]:
    """The main findings with their link and the name of their place."""
    made = []
    for found in main_findings(run, holding, told=told):
        name, place = found["notebook"], found["place"]
        link = f"{name}.html" + (f"#{findings.anchor(place)}" if place else "")
        language = findings.language_of(found["text"])
        word = findings.say(found["severity"], language) if found["severity"] else ""
        made.append(found | {"link": link, "word": word, "place": place or titles[name], "language": language})
    return made


def _card(run: Path, step, holds: bool, record: dict) -> dict:
    """What the page says of one notebook: title, what it does, a picture, its state, seconds, memory and size."""
    executed, page = run / "notebooks" / f"{step.name}.ipynb", run / f"{step.name}.html"
    notebook = nbformat.read(step.path, as_version=4)
    lines = [line for line in notebook.cells[0].source.split("\n")[1:] if line.strip()]
    says = re.sub(r"[*`_]", "", lines[0] if lines else "").removeprefix("In this notebook we ")
    says = re.split(r"(?<=[.:]) ", says)[0]
    picture = parts.thumbnail(nbformat.read(executed, as_version=4)) if holds and executed.exists() else ""
    facts = record["steps"].get(step.name, {}) if holds or step.status == "failed" else {}
    return {
        "name": step.name, "title": pages.page_title(notebook), "says": says[:1].upper() + says[1:], "picture": picture,
        "state": "" if holds else "failed" if step.status == "failed" else "not run", "there": page.exists(),
        "seconds": facts.get("seconds", {}), "memory": facts.get("peak_memory_mb", 0),
        "kilobytes": round(page.stat().st_size / 1000) if page.exists() else 0,
    }  # fmt: skip


def _table(run: Path, holding: list[str]) -> dict | None:
    """The facts of the table that was read: path, rows and columns by their use."""
    path = run / "artifacts" / "table.json"
    return runs.read_json(path) if "01_explore" in holding and path.exists() else None


def parameter_rows(steps: dict) -> tuple[list[dict], list[dict]]:
    """The parameters of all notebooks, each once: those that differ from their default, and the rest.

    Each is a dict with name, value, default, help and the notebooks that know it.
    """
    rows: dict[tuple, dict] = {}
    for step in steps.values():
        for name, facts in step.known.items():
            default = runs.parameter_value(facts["default"])
            row = {"name": name, "value": step.parameters.get(name, default), "default": default}
            known = rows.setdefault(
                (name, repr(row["value"]), repr(default)), row | {"help": facts["help"], "notebooks": []}
            )
            known["notebooks"].append(step.name[:2])
    kept = [row for row in rows.values() if row["name"] != "run"]
    return (
        [row for row in kept if row["value"] != row["default"]],
        [row for row in kept if row["value"] == row["default"]],
    )


# By notebook and heading: what a finding is about.
SCORE = (
    ("04_error_analysis", "How sure is the score?"),
    ("04_error_analysis", "Is it better than the others?"),
    ("03_train", "The test"),
)
FUSION = (("03_train", "Is fusion worth it?"),)
TOPICS = (
    SCORE,
    FUSION,
    (("04_error_analysis", "Which labels may be wrong?"),),
    (("04_error_analysis", "Does a shortcut give the label away?"),),
    (("04_error_analysis", "What do the mistakes have in common?"),),
    (("04_error_analysis", "How good is each class?"),),
    (("04_error_analysis", "Which classes does it confuse?"),),
    (("04_error_analysis", "How sure may one be?"),),
    (("04_error_analysis", "Would more rows help?"),),
    (("04_error_analysis", "What did each modality do?"), ("03_train", "Rescued and harmed")),
)
METHOD = "00_mlp_by_hand"
ALIKE = 0.7  # share of common words from which two sentences say the same


def main_findings(run: str | Path, notebooks: list[str], *, told: tuple = (), most: int = 5) -> list[dict[str, str]]:
    """The ``most`` findings of ``run`` that matter most, by the rule above.

    Parameters
    ----------
    run : the run folder
    notebooks : those whose findings hold for this run, in order
    told : topics that are told elsewhere on the page; of these only what is serious or worth a look is repeated

    Returns dicts with severity, text, place and notebook.
    """
    found = [
        found | {"notebook": name} for name in notebooks if name != METHOD for found in runs.read_findings(run, name)
    ]
    found.sort(key=lambda one: (_rank(one["severity"]), *_finding_order(one, notebooks)))
    kept, topics = [], set()
    for one in found:
        topic = _topic(one)
        elsewhere = topic in told and _rank(one["severity"]) >= _rank("note")
        if not (elsewhere or topic in topics or any(_alike(one["text"], other["text"]) for other in kept)):
            kept.append(one)
            topics.add(topic)
    return kept[:most]


def _rank(severity: str) -> int:
    order = (*findings.SEVERITIES, "")
    return order.index(severity) if severity in order else len(order)


def _topic(found: dict) -> tuple:
    """The topic that holds the finding's place, else the place itself; without a place, the finding."""
    place = (found["notebook"], found["place"])
    if not found["place"]:
        return (*place, found["text"])
    return next((topic for topic in TOPICS if place in topic), place)


def _finding_order(found: dict, notebooks: list[str]) -> tuple[int, int]:
    topic = _topic(found)
    if topic not in TOPICS:
        return len(TOPICS), notebooks.index(found["notebook"])
    return TOPICS.index(topic), topic.index((found["notebook"], found["place"]))


def _alike(one: str, other: str) -> bool:
    """Do two sentences share most of their words, numbers apart (Jaccard, 1901)? Chinese counts by the character."""
    words = [set(re.findall(r"[\u3040-\u9fff]|[^\W\d_]+", text.lower())) for text in (one, other)]
    return len(words[0] & words[1]) >= ALIKE * len(words[0] | words[1])


COLUMNS = ("text", "label", "image", "audio")


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
