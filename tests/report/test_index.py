"""The first page of a run: its numbers, its links, what it says of runs that stopped, and what a browser does with it.

Which findings stand on it: the severest, one a topic, none twice. The command that gives a run again: what a shell and
click make of it is what the run was given.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup

from fusebook import cli
from fusebook.findings import PLACES, Finding
from fusebook.report import index, steps
from fusebook.report.conclusion import conclusion, why_chosen
from fusebook.report.index import FUSION, SCORE, all_findings, command_line, main_findings
from fusebook.runs import Run

HOSTILE = "</script><img src=x onerror=alert(1)>"
SCORES = {"accuracy": 0.8, "accuracy_low": 0.75, "accuracy_high": 0.85, "n_rows": 203.0}
GAIN = {"difference": 0.2, "low": 0.15, "high": 0.25, "p": 0.01, "p_holm": 0.02}


def keep(folder, notebook, *found):
    """Write findings (severity, text, place) as the notebook does."""
    made = Run(folder).findings(notebook)
    made += [Finding(*one) for one in found]
    made.save()


def write_run(folder, states, *, findings=None, chosen="text", metrics=True, error=""):
    """A run folder as the runner leaves it, and its steps: each notebook's state is that of ``states``, else done."""
    made = steps.read_steps(steps.find_notebooks())
    record = {"steps": {}, "values": {}, "written": "today", "cores": 2, "python": "3.11", "versions": {}}
    (folder / "artifacts").mkdir(parents=True)
    for name, step in made.items():
        step.status = states.get(name, "done")
        if step.status == "failed":
            step.error = error
        if step.status != "absent":
            (folder / f"{name}.html").write_text("<h1>stub</h1>", encoding="utf-8")
        if findings:
            keep(folder, name, ("look", f"From {name}: {findings}", "A <b>place</b>"))
    table = {"table": "table <b>.csv", "rows": 1200, "columns": {"text": "title", "image": ""}}
    (folder / "artifacts" / "table.json").write_text(json.dumps(table), encoding="utf-8")
    facts = {"headline": "", "chosen": chosen, "best_single": chosen, "split": "test"}
    facts["scores"] = [{"model": chosen, **SCORES}, {"model": "majority", **SCORES, "accuracy": 0.6}]
    facts["comparison"] = [{"a": "majority", "b": chosen, **GAIN}]
    if metrics:
        (folder / "artifacts" / "metrics.json").write_text(json.dumps(facts), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return made


def read(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def opened(browser, path, *, scheme="light", width=1280, script="", **options):
    """The page in a browser without a network, and what the browser said meanwhile."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, **options
    )
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(f"a script ran: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda r: r.url.startswith(("file:", "data:")) or said.append(f"request: {r.url}"))
    if script:
        page.add_init_script(script)
    page.goto(path.absolute().as_uri())
    return page, said


def test_the_score_is_that_of_the_predictions(finished_run):
    page = read(finished_run / "index.html")
    votes = pd.read_parquet(finished_run / "artifacts" / "predictions.parquet")
    votes = votes[(votes["split"] == "test") | (votes["fold"] > 0)]
    lines = {line.th.contents[0].strip(): line.td.text for line in page.select("section.score tbody tr")}
    chosen = json.loads((finished_run / "artifacts" / "metrics.json").read_text("utf-8"))["chosen"]
    asked = votes[votes["model"] == chosen]
    right = asked.filter(regex=r"^p\d+$").to_numpy().argmax(axis=1) == asked["class_id"]
    assert lines[chosen].startswith(f"{100 * right.mean():.1f} [")
    base = votes[votes["model"] == "majority"]
    base = (base.filter(regex=r"^p\d+$").to_numpy().argmax(axis=1) == base["class_id"]).mean()
    assert lines["always the most frequent label"].startswith(f"{100 * base:.1f} [") and "linear SVM" in lines
    shown = page.select_one(".share").text.split()[0]
    assert lines[chosen].startswith(f"{shown} [")
    told = page.select_one("section.score").text
    assert f"{len(right):,} cross-fitted rows" in told
    tested = asked["fold"] == 0
    assert f"{100 * right[tested].mean():.1f} %" in told, "the test rows alone, the last word"


def test_every_link_leads_to_its_place(finished_run):
    page = read(finished_run / "index.html")
    links = [link["href"] for link in page.select(".findings a")]
    assert len(page.select(".findings li")) >= 5 and any("#" in link for link in links)
    pages = {link.partition("#")[0] for link in links}
    ids = {name: {part["id"] for part in read(finished_run / name).find_all(id=True)} for name in pages}
    for link in links:
        name, _, place = link.partition("#")
        assert not place or place in ids[name], link
    assert all((finished_run / link["href"]).exists() for link in page.select(".cards a"))
    assert len(page.select(".cards a")) == len(list(finished_run.glob("0*.html")))


def test_every_finding_of_a_run_has_a_place_that_its_page_shows(finished_run):
    for path in sorted((finished_run / "artifacts" / "findings").glob("0[1-6]*.json")):
        page = read(finished_run / f"{path.stem}.html")
        headings = {head.get_text().strip() for head in page.find_all(["h2", "h3"])}
        for found in json.loads(path.read_text("utf-8")):
            assert found["severity"] in {"serious", "look", "note"}, found
            assert found["place"] in headings and (path.stem, found["place"]) in PLACES.values(), found


def test_it_is_small_and_has_a_picture_of_most_pages(finished_run):
    assert (finished_run / "index.html").stat().st_size < 300_000
    pictures = read(finished_run / "index.html").select(".cards img")
    assert len(pictures) >= 6 and {picture["alt"] for picture in pictures} == {""}


def test_changed_parameters_stand_with_their_default(finished_run):
    page = read(finished_run / "index.html")
    first, others = page.select("#parameters ~ div.table-box")[0], page.select_one("details.parameters")
    rows = {line.th.text: [cell.text for cell in line.find_all("td")] for line in first.select("tbody tr")}
    assert rows["epochs"][:2] == ["3", "0"] and rows["text"][:2] == ["title", "text"]
    assert "learning_rate" not in rows and "learning_rate" in others.text and "run" not in rows


def test_the_command_gives_the_same_run(finished_run, tmp_path):
    run = tmp_path / "it's <b>a</b> run"
    shutil.copytree(finished_run, run)
    made = steps.read_steps(steps.find_notebooks())
    record = json.loads((run / "run.json").read_text("utf-8"))
    for name, step in made.items():
        step.status, step.parameters = "fresh", record["steps"][name]["parameters"]
    command = read(index.write_index(run, made)).find(id="command").text
    ran = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    again = json.loads((run / "run.json").read_text("utf-8"))
    assert {name: facts["key"] for name, facts in again["steps"].items()} == {
        name: facts["key"] for name, facts in record["steps"].items()
    }


def test_a_run_that_stopped_tells_nothing_of_an_earlier_one(tmp_path):
    states = {"03_train": "failed", "04_error_analysis": "skipped", "05_inspect": "absent", "06_predict": "skipped"}
    made = write_run(tmp_path, states, findings="told", error="03_train, cell 9: ValueError: too <few> rows")
    page = read(index.write_index(tmp_path, made))
    assert "too <few> rows" in page.select_one(".problem").text
    assert not page.select(".score") and "No model has been scored" in page.text
    told = {re.search(r"From (\w+)", line.text)[1] for line in page.select(".findings li")}
    assert told == {"01_explore", "02_preprocess"}
    notes = {note.text.split(":")[0]: note.text for note in page.select(".cards .note")}
    assert notes["03_train"] == "03_train: stopped with an error"
    assert notes["04_error_analysis"] == "04_error_analysis: not run, this page is from an earlier run"
    assert notes["05_inspect"] == "05_inspect: not run" and notes["01_explore"] == "01_explore"
    assert "05_inspect.html" not in {link["href"] for link in page.select(".cards a")}


def test_a_run_without_scores_or_findings(tmp_path):
    page = read(index.write_index(tmp_path, write_run(tmp_path, {}, metrics=False)))
    assert "No model has been scored" in page.text and not page.select(".findings, .problem")
    assert "All at their defaults." in page.text and len(page.select(".tile.plain")) == 7
    assert "The table was table <b>.csv with 1,200 rows; text from column title." in " ".join(page.text.split())


def test_a_model_surely_worse_than_one_beside_it_is_marked(tmp_path):
    made = write_run(tmp_path, {})
    path = tmp_path / "artifacts" / "metrics.json"
    facts = json.loads(path.read_text("utf-8"))
    for p, marked in ((0.2, 0), (0.01, 1)):
        facts["comparison"] = [{"a": "majority", "b": "text", **GAIN, "difference": -0.2, "p_holm": p}]
        path.write_text(json.dumps(facts), encoding="utf-8")
        page = read(index.write_index(tmp_path, made))
        assert len(page.select(".behind")) == marked
    assert "-20.0 points [+15.0, +25.0], p = 0.01" in page.select_one(".behind").text.replace("\xa0", " ")


def test_a_chinese_finding_is_told_in_chinese(tmp_path):
    page = read(index.write_index(tmp_path, write_run(tmp_path, {}, findings="(label_suspects.csv) 可疑。")))
    assert {line["lang"] for line in page.select(".findings li")} == {"zh"}
    assert {mark.text for mark in page.select(".findings .severity")} == {"值得一看"}
    assert {link["lang"] for link in page.select(".findings li a")} == {"en"}


def test_axe_finds_nothing_serious_where_a_run_stopped(browser, tmp_path):
    made = write_run(tmp_path, {"06_predict": "failed"}, findings="told", error="a cell raised")
    page, _ = opened(browser, index.write_index(tmp_path, made), scheme="dark", width=390)
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    page.context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_hostile_names_stay_text(browser, tmp_path, scheme, width):
    run = tmp_path / HOSTILE.replace("/", "")
    run.mkdir()
    made = write_run(run, {"06_predict": "failed"}, findings=HOSTILE, chosen=HOSTILE, error=HOSTILE)
    page, said = opened(browser, index.write_index(run, made), scheme=scheme, width=width)
    assert page.locator("h1").inner_text() == run.name
    assert page.locator(".findings li").first.inner_text().count(HOSTILE) == 1
    assert page.locator(".problem").inner_text().count(HOSTILE) == 1
    assert page.locator(".score tbody th").first.inner_text() == HOSTILE
    assert page.locator("img").count() == 0 and page.locator("script").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    page.context.close()


def test_no_other_script_runs(browser, tmp_path):
    page, said = opened(browser, index.write_index(tmp_path, write_run(tmp_path, {})))
    page.evaluate(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s) })()"
    )
    assert page.evaluate("window.ran") is None
    assert len(said) == 1 and "Content Security Policy" in said[0]
    page.context.close()


@pytest.mark.parametrize("clipboard", ["there", "missing", "refusing"])
def test_the_command_is_copied(browser, tmp_path, clipboard):
    script = {
        "there": "",
        "missing": "Object.defineProperty(navigator, 'clipboard', {value: undefined})",
        "refusing": "navigator.clipboard.writeText = () => Promise.reject(new Error('no'))",
    }[clipboard]
    page, said = opened(browser, index.write_index(tmp_path, write_run(tmp_path, {})), script=script)
    if clipboard == "there":
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    assert page.locator("#copied").get_attribute("aria-live") == "polite"
    page.get_by_role("button", name="Copy").press("Enter")
    page.wait_for_function("document.getElementById('copied').textContent == 'copied'")
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").press("Control+v")
    assert page.locator("textarea").input_value() == page.locator("#command").inner_text()
    assert said == []
    page.context.close()


def test_without_scripts_the_line_can_be_selected(browser, tmp_path):
    path = index.write_index(tmp_path, write_run(tmp_path, {}))
    page, said = opened(browser, path, java_script_enabled=False)
    assert page.get_by_role("button").count() == 0 and page.locator("#command").is_visible()
    assert said == []
    page.context.close()


# --- The main findings --------------------------------------------------------------------------------

NOTEBOOKS = ["00_mlp_by_hand", "01_explore", "03_train", "04_error_analysis"]


def chosen(run, **options):
    return [found.text for _, found in main_findings(all_findings(run, NOTEBOOKS), **options)]


def test_the_severest_first_then_by_what_they_are_about(tmp_path):
    keep(tmp_path, "01_explore", ("look", "Garbled texts.", "The table as it came"))
    keep(tmp_path, "03_train", ("look", "Fusion brings nothing.", "Is fusion worth it?"))
    keep(
        tmp_path, "04_error_analysis", ("look", "Twenty suspects.", "Which labels may be wrong?"),
        ("serious", "Too sure of itself.", "How sure may one be?"), ("note", "A modest score.", "How sure is the score?"),
    )  # fmt: skip
    expected = ["Too sure of itself.", "Fusion brings nothing.", "Twenty suspects.", "Garbled texts."]
    assert chosen(tmp_path) == [*expected, "A modest score."]
    assert chosen(tmp_path, most=2) == expected[:2]


def test_a_topic_is_told_once_by_its_severest_finding(tmp_path):
    place = "Is fusion worth it?"
    fusions = [("note", "Mean gains.", place), ("serious", "Stacked loses.", place), ("look", "Weighted?", place)]
    keep(tmp_path, "03_train", *fusions, ("look", "Beats nothing.", "The test"))
    keep(tmp_path, "04_error_analysis", ("look", "The SVM is as good.", "Is it better than the others?"))
    assert chosen(tmp_path, elsewhere=(SCORE, FUSION)) == ["Stacked loses.", "The SVM is as good."]


def test_what_the_headline_tells_is_repeated_only_where_it_worries(tmp_path):
    keep(tmp_path, "03_train", ("note", "Right for many.", "The test"), ("look", "Fusion?", "Is fusion worth it?"))
    assert chosen(tmp_path, elsewhere=(SCORE, FUSION)) == ["Fusion?"]


def test_sentences_that_differ_in_numbers_alone_are_told_once(tmp_path):
    keep(tmp_path, "01_explore", ("look", "12 rows of 1,000 were refused.", ""), ("look", "Five labels.", ""))
    keep(tmp_path, "03_train", ("look", "34 rows of 900 were refused.", ""), ("look", "有 5 个标签可疑。", ""))
    keep(tmp_path, "04_error_analysis", ("look", "有 6 个标签可疑。", ""))
    expected = ["12 rows of 1,000 were refused.", "Five labels.", "有 5 个标签可疑。"]
    assert chosen(tmp_path) == expected


def test_the_method_and_notebooks_that_do_not_hold_tell_nothing(tmp_path):
    keep(tmp_path, "00_mlp_by_hand", ("serious", "Slopes agree.", "Third proof"))
    keep(tmp_path, "06_predict", ("serious", "From an earlier run.", "The answers"))
    assert chosen(tmp_path) == []


def test_what_is_for_the_record_is_not_told_and_answers_are_though_they_are_notes(tmp_path):
    keep(tmp_path, "01_explore", ("note", "All rows go on.", "The table as it came"), ("", "Plain.", ""))
    keep(
        tmp_path, "04_error_analysis", ("note", "Can't be told.", "Would more rows help?"),
        ("look", "Sixteen suspects.", "Which labels may be wrong?"), ("note", "All found.", "Which labels may be wrong?"),
    )  # fmt: skip
    assert chosen(tmp_path) == ["Sixteen suspects.", "All found.", "Can't be told."]


def test_what_the_page_leaves_out_is_counted_with_a_link(tmp_path):
    made = write_run(tmp_path, {}, metrics=False)
    place = PLACES["slices"][1]
    for name in ("01_explore", "03_train"):
        keep(tmp_path, name, *(("look", f"{word} {name} {word * 2}", f"{name} {i}") for i, word in enumerate("abcde")))
    keep(tmp_path, "04_error_analysis", ("serious", "One slice.", place), ("look", "Another one.", place))
    page = read(index.write_index(tmp_path, made))
    assert len(page.select(".findings li")) == 8
    assert " ".join(page.select_one(".more").text.split()) == (
        "Also serious or worth a look: 3 in 03_train, 1 in 04_error_analysis."
    )
    assert [link["href"] for link in page.select(".more a")] == ["03_train.html", "04_error_analysis.html"]


# --- What the run comes to ------------------------------------------------------------------------------


def line_of(model, accuracy, n_rows=800):
    ends = {"accuracy_low": accuracy - 0.03, "accuracy_high": accuracy + 0.03}
    return {"model": model, "accuracy": accuracy, **ends, "n_rows": float(n_rows)}


def metrics_of(p_linear=0.001, p_single=0.5, **more):
    """metrics.json of a cross-fitted run that chose a fusion, 2 points above text and 10 above the linear baseline."""
    scores = {"majority": 0.2, "linear SVM": 0.7, "image": 0.5, "text": 0.78, "feature-level fusion": 0.82, "mean": 0.8}
    pairs = [("majority", 0.6, 1e-9), ("linear SVM", 0.1, p_linear), ("text", 0.02, p_single)]
    facts = {"headline": "", "chosen": "mean", "best_single": "text", "scored_on": "cross-fitted rows"}
    facts["scores"] = [line_of(name, share) for name, share in scores.items()]
    facts["test_scores"] = [line_of("mean", 0.815, 203)]
    facts["chosen_by"] = {"text": 0.7, "mean": 0.612, "feature-level fusion": 0.65}
    facts["comparison"] = [
        {"a": a, "b": "mean", "difference": gain, "low": gain - 0.03, "high": gain + 0.03, "p": p / 3, "p_holm": p}
        for a, gain, p in pairs
    ]
    return facts | more


def test_a_run_in_a_few_sentences(tmp_path):
    run = Run(tmp_path)
    rows = pd.DataFrame({"label": list("abc") * 10, "split": ["train"] * 20 + ["validation"] * 4 + ["test"] * 6})
    run.write("splits.parquet", rows)
    run.write("table.json", {"columns": {"text": "title", "image": "picture", "audio": "", "label": "topic"}})
    found = [("04_error_analysis", Finding("serious", "Suspects.", PLACES["suspects"][1]))]
    found += [
        ("04_error_analysis", Finding("look", "Weak.", PLACES["classes"][1])),
        ("03_train", Finding("look", "", "")),
    ]
    said = conclusion(run, metrics_of(), found)
    assert said == [
        "The question: which of 3 labels a row has, by text, picture. There are 30 rows: 20 to train on, 4 for validation, "
        "6 for the test.",
        "Mean is right for 80.0 % [77.0, 83.0] of 800 cross-fitted rows; always giving the most frequent label would be for "
        "20.0 %. The last word is that of the test rows alone, which took no part in anything before: right for 81.5 % "
        "[78.5, 84.5] of 203 rows. It is better than the linear baseline (linear SVM): +10.0 points [+7.0, +13.0], "
        "p = 0.001.",
        "Joining the parts was not shown to be worth it: +2.0 points [-1.0, +5.0] over text alone, the best single part, "
        "p = 0.5.",
        "1 finding is serious and 2 worth a look. To do next: decide the suspect labels in label_suspects.csv and give the "
        "list back (parameter corrections); read the mistakes of the weakest class, and label more of its rows.",
    ]
    assert why_chosen(metrics_of()) == [
        "Mean was chosen because its log loss on rows that it had not learnt from is the lowest: 0.612; next comes "
        "feature-level fusion with 0.650.",
        "By accuracy on 800 cross-fitted rows, 1 model stands above it (feature-level fusion); to choose by the rows that "
        "the score is of would make the score too good.",
    ]


def test_what_was_not_shown_and_what_did_harm_is_said_so(tmp_path):
    run = Run(tmp_path)
    metrics = metrics_of(p_linear=0.3, p_single=0.01)
    metrics["comparison"][0]["p_holm"] = 0.2
    metrics["comparison"][2]["difference"] = -0.02
    answered, joined, rest = conclusion(run, metrics, [])
    assert "not shown to be better than always giving the most frequent label" in answered
    assert "not shown to be better than the linear baseline" in answered
    assert joined.startswith("Joining the parts did harm: -2.0 points") and rest.startswith("Nothing that was found")
    assert "no fusion had a lower log loss" in conclusion(run, metrics_of(chosen="text"), [])[1]


def test_metrics_without_the_new_facts_and_without_baselines_do(tmp_path):
    facts = {"headline": "", "chosen": "text", "best_single": "text", "split": "test", "comparison": []}
    facts["scores"] = [line_of("text", 0.8, 1)]
    said = conclusion(Run(tmp_path), facts, [])
    assert said[0] == "Text is right for 80.0 % [77.0, 83.0] of 1 test row." and len(said) == 2
    assert why_chosen(facts) == []


def test_the_conclusion_is_in_the_language_of_the_findings(tmp_path):
    made = write_run(tmp_path, {}, findings="可疑。")
    path = tmp_path / "artifacts" / "metrics.json"
    path.write_text(json.dumps(metrics_of(headline="正确率为 80 %。")), encoding="utf-8")
    page = read(index.write_index(tmp_path, made))
    for part in page.select(".conclusion, .why"):
        assert part["lang"] == "zh" and re.search(r"[\u4e00-\u9fff]", part.text)
    assert "800 cross-fitted rows" in page.select_one("section.score").text
    assert "203 test rows alone, the last word: 81.5 % [78.5, 84.5]" in page.select_one(".last").text


# --- The command that gives the run again ---------------------------------------------------------------

TABLE = {
    "table": "/data/my table's (1).csv", "text": "title; rm -rf ~", "label": 'the "topic"', "image": "",
    "audio": "$HOME", "new_table": "",
}  # fmt: skip


def parsed(line):
    """The options that click reads from ``line``, as bash splits it; the folder that it goes to."""
    folder, rest = line.split(" && ", 1)
    script = f"set -- {rest}\nprintf '%s\\0' \"$@\"\n{folder.replace('cd', 'printf %s', 1)}"
    *words, folder = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode().split("\0")  # fmt: skip
    return cli.report.make_context("report", words[words.index("report") + 1 :]).params, folder, words[0]


def test_values_come_through_the_shell(tmp_path):
    values = TABLE | {"epochs": 3, "hidden": [100, 50], "planted": "", "language": "`zh` $(ls) \\ 'x' 中\n"}
    got, folder, program = parsed(command_line(tmp_path / "a run's <b>", values, tmp_path / "my project"))
    assert {name: got[name] or "" for name in TABLE} == TABLE
    assert got["run"] == str(tmp_path / "a run's <b>") and folder == str(tmp_path / "my project")
    assert dict(got["parameters"]) == {
        "epochs": "3", "hidden": "[100, 50]", "planted": "", "language": values["language"],
    }  # fmt: skip
    assert Path(program).name == "fusebook" and Path(program).parent == Path(sys.executable).parent


def test_values_have_the_type_that_they_had(tmp_path):
    given = {"hidden": [8, 4], "epochs": 3, "modality_dropout": 0.25, "image_mirror": False}
    got, _, _ = parsed(command_line(tmp_path, given, tmp_path))
    known = steps.read_steps(steps.find_notebooks())
    steps.give_parameters(known, dict(got["parameters"]))
    assert {name: value for step in known.values() for name, value in step.parameters.items()} == given


def test_paths_in_the_project_are_short_and_a_default_folder_is_not_told(tmp_path):
    values = TABLE | {"table": str(tmp_path / "data" / "my.csv"), "new_table": str(tmp_path / "new.csv")}
    got, _, _ = parsed(command_line(tmp_path / "reports" / "my", values, tmp_path))
    assert (got["table"], got["new_table"], got["run"]) == ("data/my.csv", "new.csv", None)
    assert command_line(tmp_path / "reports" / "sample", {}, tmp_path).endswith("fusebook report")
    assert "--run reports/other" in command_line(tmp_path / "reports" / "other", {}, tmp_path)


@pytest.mark.parametrize("lacking", ["label", "new_table"])
def test_what_the_options_could_not_say_becomes_parameters(tmp_path, lacking):
    values = {name: value for name, value in TABLE.items() if name != lacking}
    got, _, _ = parsed(command_line(tmp_path, values, tmp_path))
    assert got["table"] is None and dict(got["parameters"]) == values
