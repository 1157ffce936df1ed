"""What changed between runs: tables as text, cards and findings of ``CommonRows``, and the page of ``fusebook compare``.

Notebook 07_compare tells the story; the command executes it.
"""

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from IPython.display import HTML

from fusebook import runs
from fusebook.data.predictions import Predictions
from fusebook.errors.mistakes import short_names
from fusebook.evaluation.common_rows import FATES, OUTCOMES, CommonRows, FinishedRun
from fusebook.evaluation.comparison import compare, compare_pairs, verdicts
from fusebook.evaluation.scores import class_table, count_text, interval_text, majority_share, readable, score_table
from fusebook.findings import Findings, p_text, points_of, points_text, shortened, word
from fusebook.inspection import cards
from fusebook.runs import Run

NOTEBOOK = "07_compare"
MARK = 'content="fusebook compare"'  # the page template puts it into the head of a page of ours, which is known by it
FATE_WORDS = (
    "test rows there too",
    "training rows there, left out: that run has learnt their labels",
    "validation rows there, left out: that run was chosen by them",
    "not among the rows there, left out",
)
ABSENT = "–"  # what stands for a value that a run does not have
MOST_CARDS = 20  # rows fixed, and as many broken, that are shown for each run after the first
CARD_BYTES = 1_500_000  # of all cards together, so that the page stays under 3 MB with its font
LEFT_OUT = "picture and sound left out: the page is full"
MOST_RELABELLED = 50  # rows with another label that are listed
MOST_CHARACTERS = 80  # of a text that stands for its row


class Comparison(CommonRows):
    """``CommonRows`` told: each table is text, with intervals and p in its cells, and is shown as it is.

    ``Comparison.of(folders)`` reads the runs; what it raises stands there.
    """

    def verdicts(self, language: str = "en") -> list[tuple[str, str, dict]]:
        """Key, grade and facts of one finding a run after the first: is it better?"""
        tests = self.tests()
        names = {run.name: word("run", language, name=run.name) for run in self.runs}
        lines = tests[tests["a"] == self.first.name]
        made = verdicts(lines.assign(a=lines["a"].map(names), b=lines["b"].map(names)), language)
        for place, (i, run) in enumerate(self.others):
            if (self.answers[i].predicted(run.chosen) == self.answers[0].predicted(self.first.chosen)).all():
                made[place] = "same answers", "note", {"a": names[self.first.name], "b": names[run.name]}
        return made

    def scores(self) -> pd.DataFrame:
        """Scores of the chosen models, and beside them what always giving the most frequent label would bring."""
        made = _score_cells(score_table(self.chosen)).rename_axis("run")
        made.insert(0, "its chosen model", [run.chosen for run in self.runs])
        base = [f"{100 * majority_share(answers):.1f} %" for answers in self.answers]
        return made.assign(**{"always the most frequent label": base})

    def pairs(self) -> pd.DataFrame:
        """``tests`` as text, indexed by the run compared against."""
        lines = self.tests()
        made = _test_cells(lines).set_index(pd.Index(lines["a"], name="against"))
        made.insert(0, "run", list(lines["b"]))
        made.insert(2, "right in the first alone", list(lines["only_a"]))
        made.insert(3, "right in the second alone", list(lines["only_b"]))
        return made.assign(
            **{"smallest difference to be found, points": [f"{100 * value:.1f}" for value in lines["detectable"]]}
        )

    def models(self) -> pd.DataFrame:
        """Each model whose name two runs or more have: its scores, and tests against the first of those runs.

        Lines that two runs' chosen models stand in have the test of ``tests``, so that a pair has one p on the page; p
        of the others is corrected over them (Holm, 1979).
        """
        count = Counter(model for answers in self.answers for model in answers)
        keys = [(model, i) for model in count for i, answers in enumerate(self.answers)
                if model in answers and count[model] > 1]  # fmt: skip
        together = self.of_rows({f"{i} {model}": self.answers[i][model] for model, i in keys})
        firsts: dict[str, str] = {}
        against = [(firsts.setdefault(model, key), key) for (model, _), key in zip(keys, together, strict=True)]
        tests = self._tests_of(together, against).set_index("b").reindex(list(together))
        made = _test_cells(tests).join(_score_cells(score_table(together)))
        made.insert(0, "accuracy", made.pop("accuracy"))
        made.insert(0, "run", [self.runs[i].name for _, i in keys])
        return made.set_index(pd.Index([model for model, _ in keys], name="model"))

    def _tests_of(self, together: Predictions, pairs: list[tuple[str, str]]) -> pd.DataFrame:
        """``compare_pairs`` of ``pairs`` of "number of the run, model"; those of two chosen models as in ``tests``."""
        keys = {run.name: f"{i} {run.chosen}" for i, run in enumerate(self.runs)}
        known = self.tests().replace({"a": keys, "b": keys})
        known = known[[pair in pairs for pair in zip(known["a"], known["b"], strict=True)]]
        others = compare_pairs(together, [pair for pair in pairs if pair[1] not in set(known["b"])])
        return pd.concat([table for table in (known, others) if len(table)] or [others])

    def notes(self, language: str = "en") -> list[tuple[str, str, dict]]:
        """Key, grade and facts of what a reader must know: which rows and labels count, what could not be told."""
        names = [word("run", language, name=run.name) for run in self.runs]
        made = [("rows compared", "note", {"rows": len(self.rows)})]
        for i, match in enumerate(self.matches, 1):
            facts = {"a": names[0], "b": names[i]}
            left = {fate: match["fates"]["first"].get(fate, 0) for fate in FATES[1:]}
            made += [("rows left out", "look", facts | left)] * any(left.values())
            key = "matched by content" if match["parts"] else "matched by number"
            made.append((key, "note", facts | {"parts": ", ".join(match["parts"])}))
            if moved := int((self.labels[:, 0] != self.labels[:, i]).sum()):
                made.append(("labels moved", "look", facts | {"rows": moved, **self._by_labels_of(i)}))
        shared = set.intersection(*(set(run.predictions.label_names) for run in self.runs))
        for name, run in zip(names, self.runs, strict=True):
            apart = short_names(label for label in run.predictions.label_names if label not in shared)
            shown = ", ".join(apart[:10]) + (", …" if len(apart) > 10 else "")
            made += [("labels apart", "look", {"a": name, "labels": shown})] * bool(apart)
        made += [("same run twice", "look", {})] * (len({run.path for run in self.runs}) < len(self.runs))
        unknown = [name for name, run in zip(names, self.runs, strict=True) if not known_parameters(run)]
        return made + [("parameters unknown", "look", {"a": name}) for name in unknown]

    def _by_labels_of(self, other: int) -> dict[str, str]:
        """The difference between the first run and run number ``other`` by the labels of the latter, as text."""
        labels = self.labels[:, other]
        right = [self.answers[i].predicted(self.runs[i].chosen) == labels for i in (0, other)]
        line = compare(*right, self.answers[0].groups)
        return points_of(line) | {"p": p_text(line["p"])}

    def fates(self) -> pd.DataFrame:
        """What became of each run's test rows in the run that it is compared with: how many are compared, how many not."""
        made = {}
        for (_, run), match in zip(self.others, self.matches, strict=True):
            for side, name, there in (("first", self.first, run), ("other", run, self.first)):
                counts = [match["fates"][side].get(fate, 0) for fate in FATES]
                made[f"of {name.name}, in {there.name}"] = [*counts, sum(counts)]
        return pd.DataFrame(made, index=pd.Index([*FATE_WORDS, "in all"], name="test rows"))

    def parameters(self) -> pd.DataFrame:
        """The parameters that differ, values as text: one column a run, then notebooks and meaning.

        A parameter that several notebooks have with the same values is one line. ``ABSENT`` stands where a run's
        notebook does not know the parameter, or nothing was recorded.
        """
        known = [known_parameters(run) for run in self.runs]
        lines: dict[tuple, list] = {}
        for notebook, name in sorted(set().union(*known)):
            facts = [found.get((notebook, name)) for found in known]
            values = [fact and fact["value"] for fact in facts]
            if all(fact and fact["value"] == values[0] for fact in facts):
                continue
            shown = (str(value) or '""' if fact else ABSENT for fact, value in zip(facts, values, strict=True))
            meaning = next(fact["help"] for fact in facts if fact)
            lines.setdefault((name, *shown), [[], meaning])[0].append(notebook)
        columns = [*(run.name for run in self.runs), "notebooks", "meaning"]
        cells = [[*shown, ", ".join(notebooks), meaning] for (_, *shown), (notebooks, meaning) in lines.items()]
        return pd.DataFrame(cells, columns=columns, index=pd.Index([name for name, *_ in lines], name="parameter"))

    def versions(self) -> pd.DataFrame:
        """Versions of Python and packages that differ, and the number of cores: one line each, one column a run."""
        made = {}
        for run in self.runs:
            facts = {"Python": run.record.get("python"), **run.record.get("versions", {})}
            facts["cores"] = run.record.get("cores")
            made[run.name] = {name: str(value) for name, value in facts.items() if value is not None}
        table = pd.DataFrame(made, dtype=object).fillna(ABSENT).rename_axis("version of")
        return table[table.nunique(axis=1) > 1]

    def facts(self) -> pd.DataFrame:
        """Where each run's rows came from and what it cost, as text: one line a fact, one column a run."""
        return pd.DataFrame({run.name: _facts(run) for run in self.runs}).fillna(ABSENT).rename_axis("fact")

    def outcomes(self) -> pd.DataFrame:
        """How many rows each run after the first has fixed and broken, with the share's 95 % interval."""
        made = pd.DataFrame(index=pd.Index(OUTCOMES.values(), name="outcome"))
        for i, run in self.others:
            made[f"rows, {run.name}"] = self.changes(i)["outcome"].value_counts().reindex(made.index, fill_value=0)
            made[f"share, {run.name}"] = [count_text(count, len(self.rows)) for count in made[f"rows, {run.name}"]]
        return made

    def classes(self) -> pd.DataFrame:
        """By label: its rows, those that each run after the first has fixed and broken, and accuracy and F1 of each run.

        A label's accuracy is its recall: the share of its rows that are right. Labels that no common row has and no run
        answers are left out.
        """
        tables = {run.name: class_table(self.answers[i], run.chosen) for i, run in enumerate(self.runs)}
        rows = tables[self.first.name]["rows"]
        made = pd.DataFrame({"rows": rows})
        for i, run in self.others:
            changes = self.changes(i)
            for outcome in ("fixed", "broken"):
                counts = changes.loc[changes["outcome"] == outcome, "label"].value_counts()
                made[f"{outcome}, {run.name}"] = counts.reindex(rows.index, fill_value=0)
        for run, table in tables.items():
            made[f"accuracy, {run}"] = (100 * table["recall"]).map("{:.1f} %".format).where(rows > 0, ABSENT)
        for run, table in tables.items():
            made[f"F1, {run}"] = [interval_text(*line) for line in table[["f1", "f1_low", "f1_high"]].to_numpy()]
        told = np.any([rows > 0, *(table["predicted"] > 0 for table in tables.values())], axis=0)
        return made.set_index(pd.Index(short_names(self.label_names), name="label"))[told]

    def cards(self, outcome: str, most: int = MOST_CARDS) -> HTML:
        """Cards of the rows "fixed" or "broken": at most ``most`` for each run, and ``CARD_BYTES`` in all.

        The surest wrong answer stands first: the first run's where a row is fixed, else the other's.
        """
        return HTML(cards.STYLE + "".join(self._cards(outcome, i, most) for i, _ in self.others))

    def _cards(self, outcome: str, other: int, most: int) -> str:
        changes, run = self.changes(other), self.runs[other].name
        wrong, end = (self.first.name, "") if outcome == "fixed" else (run, "_other")
        rows = changes[changes["outcome"] == outcome].sort_values(f"confidence{end}", ascending=False, kind="stable")
        made, bare = self._fitting(rows.head(most).to_dict("records"), other, CARD_BYTES // (2 * len(self.others)))
        notes = [f"Rows {outcome} by {run}: {len(rows):,}."]
        notes += [f"Shown are {len(made):,}, {len(rows) - len(made):,} more are not."] * (len(made) < len(rows))
        notes += [f"The surest wrong answer of {wrong} stands first."] * (len(made) > 1)
        notes += [f"Rows whose picture or sound found no room on this page: {bare:,}."] * (bare > 0)
        return f'<p>{escape(" ".join(notes))}</p><div class="fb-cards">{"".join(made)}</div>'

    def _fitting(self, lines: list[dict], other: int, room: int) -> tuple[list[str], int]:
        """Cards of ``lines`` in ``room`` bytes, and how many of them had to leave out their picture or sound."""
        made, bare = [], 0
        for line in lines:  # texts first: no picture takes the room of another row
            made.append(self._card(line, other, bare=True))
            if (room := room - len(made[-1].encode())) < 0:
                room += len(made.pop().encode())
                break
        for i, line in enumerate(lines[: len(made)]):
            card = self._card(line, other)
            more = len(card.encode()) - len(made[i].encode())
            bare += more > room
            if more <= room:
                made[i], room = card, room - more
        return made, bare

    def _card(self, line: dict, other: int, bare: bool = False) -> str:
        shown, run, body = self._shown(), self.runs[other].name, ""
        heading = f"row {line['row']}" + (f" (in {run} row {line['row_other']})" * (line["row_other"] != line["row"]))
        moved = line["label_other"] != line["label"]
        heading += f": {shown[line['label']]}" + (f" (in {run} {shown[line['label_other']]})" * moved)
        for name, end in ((self.first.name, ""), (run, "_other")):
            answer, confidence = line[f"answer{end}"], line[f"confidence{end}"]
            outcome = "right" if answer == line["label"] else "wrong"
            cells = name, f"{shown[answer]}, {outcome}", f"{100 * confidence:.1f} %"
            body += "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        below, media = f'<table class="fb-bars">{body}</table>', line["image"] or line["audio"]
        options = {"media": {}, "note": LEFT_OUT} if bare and media else {}
        return cards.row_card(line, heading=heading, below=below, **options)

    def _shown(self) -> dict[str, str]:
        """What stands for each label on the page."""
        return dict(zip(self.label_names, short_names(self.label_names), strict=True))

    def relabelled(self, most: int = MOST_RELABELLED) -> pd.DataFrame:
        """The first ``most`` rows that have another label in another run, by row number: text, both labels and answers."""
        tables = [self.changes(i).assign(run=run.name) for i, run in self.others]
        rows, shown = pd.concat(table[table["label"] != table["label_other"]] for table in tables), self._shown()
        rows = rows.head(most).set_index("row")
        heads = {
            "text": rows["text"].map(lambda text: shortened(text, MOST_CHARACTERS) or "(no text)"),
            f"label in {self.first.name}": rows["label"].map(shown), "run": rows["run"],
            "label there": rows["label_other"].map(shown), f"answer of {self.first.name}": rows["answer"].map(shown),
            "answer there": rows["answer_other"].map(shown),
        }  # fmt: skip
        return pd.DataFrame(heads)


def _score_cells(scores: pd.DataFrame) -> pd.DataFrame:
    made = readable(scores, ("accuracy", "macro_f1")).join(readable(scores, ("log_loss",)))
    return made.rename(columns={"macro_f1": "macro-F1", "log_loss": "log loss"})


def _test_cells(tests: pd.DataFrame) -> pd.DataFrame:
    """Difference, p and corrected p of lines of ``compare_pairs`` as text; ``ABSENT`` where a line holds no test."""
    points = [f"{points_text(d)} [{points_text(low)}, {points_text(high)}]" for d, low, high in
              tests[["difference", "low", "high"]].to_numpy(float)]  # fmt: skip
    p, holm = (
        [p_text(value).removeprefix("p ").removeprefix("= ") for value in tests[name]] for name in ("p", "p_holm")
    )
    made = pd.DataFrame({"difference, points": points, "p": p, "p, Holm": holm}, index=tests.index)
    return made.where(tests["p"].notna(), ABSENT)


def known_parameters(run: FinishedRun) -> dict[tuple[str, str], dict]:
    """(notebook, parameter) to value and help: what was given, else the default that the executed notebook has.

    Empty where the run folder has neither run.json nor executed notebooks.
    """
    import papermill  # takes half a second, and the notebook needs it nowhere else

    made: dict[tuple[str, str], dict] = {}
    for path in sorted((run.path / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        try:
            defaults = papermill.inspect_notebook(str(path))
        except ValueError:  # cut off or edited by hand; what was given still stands in run.json
            continue
        for name, facts in defaults.items():
            made[path.stem, name] = {"value": runs.parameter_value(facts["default"]), "help": facts["help"]}
    for notebook, step in run.record.get("steps", {}).items():
        for name, value in step.get("parameters", {}).items():
            made[notebook, name] = {"help": ""} | made.get((notebook, name), {}) | {"value": value}
    return {key: facts for key, facts in made.items() if key[1] != "run"}


def _facts(run: FinishedRun) -> dict[str, str]:
    split = run.rows["split"].value_counts()
    steps = run.record.get("steps", {}).values()
    named = [f"{part}: {name}" for part, name in run.table["columns"].items() if name]
    made = {
        "table": Path(run.table["table"]).name, "SHA-256 of the table": run.table["sha256"][:12] or ABSENT,
        "columns": ", ".join(named), "rows of the table": f"{run.table['rows']:,}",
        "labels": f"{len(run.predictions.label_names):,}",
    }  # fmt: skip
    made |= {f"{name} rows": f"{split.get(name, 0):,}" for name in ("train", "validation", "test")}
    if steps:
        seconds = sum(sum(step.get("seconds", {}).values()) for step in steps)
        made["seconds, all notebooks"] = f"{seconds:,.1f}"
        made["peak memory, MB"] = f"{max(step.get('peak_memory_mb', 0) for step in steps):,}"
    return made | ({"written": str(run.record["written"])} if "written" in run.record else {})


def write_comparison(
    folders: Sequence[str | Path], output: str | Path = "", most_cards: int = MOST_CARDS
) -> tuple[Path, list[str], bool]:
    """Execute 07_compare on the runs of ``folders``, the first against each other one, and write its page.

    ``output`` is by default compare.html beside the first run's folder; an earlier page of comparison is replaced.
    Returns the page's path, its verdicts (one sentence for each run after the first) and whether a page was replaced.
    Raises as ``CommonRows.of`` does, before a notebook is begun, and ValueError where something else lies at ``output``.
    """
    compared = Comparison.of(folders)
    path = Path(output).expanduser() if output else compared.first.path.parent / "compare.html"
    there = path.exists()
    if there and not is_page(path):
        raise ValueError(
            f"{path} is there and is no page of fusebook compare. Name another file with --output; nothing was touched."
        )
    with TemporaryDirectory(prefix="fusebook-compare-") as folder:
        page = _execute(Run(folder), compared, most_cards)
        with runs.replacing(path) as beside:
            beside.write_bytes(page.read_bytes())
        found = Findings.load(Run(folder), NOTEBOOK)
    return path, [one.text for one in found[: len(compared.others)]], there


def is_page(path: Path) -> bool:
    """Is ``path`` a page that ``write_comparison`` wrote?"""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return MARK.encode() in file.read(1000)


def _execute(run: Run, compared: Comparison, most_cards: int) -> Path:
    """The page of 07_compare, executed in the folder of ``run``, which is thrown away with it."""
    import papermill

    from fusebook.report import pages, steps

    source, names = steps.find_notebooks() / f"{NOTEBOOK}.ipynb", [one.name for one in compared.runs]
    given = {"run": str(run.folder), "compared": [str(one.path) for one in compared.runs], "most_cards": most_cards}
    given["language"] = compared.first.record.get("values", {}).get("language", "en")
    executed = run.folder / "notebooks" / source.name
    executed.parent.mkdir()
    try:
        papermill.execute_notebook(
            str(source), str(executed), given, kernel_name="python3", progress_bar=False,
            extra_arguments=["--log-level=ERROR"],
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        raise ValueError(f"{NOTEBOOK}, cell {error.exec_count}: {error.ename}: {error.evalue}") from error
    step = steps.Step(NOTEBOOK, source, 0, "", papermill.inspect_notebook(str(source)), [], given | {"compared": names})
    return pages.export_page(run, step, alone=f"{', '.join(names[1:])} against {names[0]}")
