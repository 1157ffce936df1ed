"""What a comparison of runs tells, against scikit-learn, SciPy and counts by pandas; its notebook, page and command."""

import json
import re
import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from cells import run_cells, text_of
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support
from statsmodels.stats.proportion import proportion_confint
from tiny_runs import answers_of, majority_of, make_table, write_run

from fusebook import cli
from fusebook.report import compare, steps
from fusebook.report.compare import Comparison

HOSTILE = '"</script></style><img src=x onerror=alert(1)><script>alert(2)</script>'
RECORD = {"python": "3.11", "cores": 2, "versions": {"keras": "3.1"}}
WRONG = {"a": range(3, 120, 12), "b": [3, 15, 30, 60], "c": [*range(3, 120, 12), 6]}


def write_runs(folder, tables, wrong=WRONG, **options):
    """A run of each of ``tables`` (name to table), wrong in rows of its own, with a majority baseline."""
    return [
        write_run(folder / name, table, {
            "text": answers_of(table, wrong=wrong[name], seed=ord(name[0])), "majority": majority_of(table),
        }, **options)
        for name, table in tables.items()
    ]  # fmt: skip


def compared(folder, tables, wrong=WRONG, **options):
    return Comparison.of(write_runs(folder, tables, wrong, **options))


def sentences(told, language="en"):
    from fusebook.findings import say

    return [say(key, language, **facts) for key, _, facts in told]


@pytest.fixture(scope="module")
def table():
    return make_table(240)


@pytest.fixture(scope="module")
def three(table, tmp_path_factory):
    return compared(tmp_path_factory.mktemp("three"), dict.fromkeys("abc", table), record=RECORD)


def by_hand(table):
    """A line a test row, and each run's probabilities of them."""
    rows = table[table["split"] == "test"].set_index("row")
    return rows, {name: answers_of(table, wrong=wrong, seed=ord(name)).loc[rows.index] for name, wrong in WRONG.items()}


def percent(value):
    return f"{100 * value:.1f} %"


# The tables


def test_scores_are_those_of_scikit_learn(three, table):
    scores = three.scores()
    rows, values = by_hand(table)
    base = rows["label"].eq(table.loc[table["split"] == "train", "label"].mode()[0]).mean()
    assert list(scores.index) == ["a", "b", "c"] and list(scores["its chosen model"]) == ["text"] * 3
    for name, line in scores.iterrows():
        answers = values[name].idxmax(axis=1)
        accuracy = accuracy_score(rows["label"], answers)
        low, high = proportion_confint(accuracy * len(rows), len(rows), method="wilson")
        assert line["accuracy"] == f"{percent(accuracy)} [{100 * low:.1f}, {100 * high:.1f}]"
        assert line["macro-F1"].startswith(percent(f1_score(rows["label"], answers, average="macro")))
        assert line["log loss"].startswith(f"{log_loss(rows['label'], values[name], labels=list(values[name])):.3f} [")
        assert line["always the most frequent label"] == percent(base)


def test_pairs_show_the_tests(three):
    pairs, tests = three.pairs(), three.tests()
    assert list(zip(pairs.index, pairs["run"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
    for shown, line in zip(pairs.to_dict("records"), tests.to_dict("records"), strict=True):
        points = [f"{100 * line[name]:+.1f}" for name in ("difference", "low", "high")]
        assert shown["difference, points"] == "{} [{}, {}]".format(*points)
        assert shown["right in the first alone"] == line["only_a"]
        assert float(shown["p, Holm"]) == pytest.approx(line["p_holm"], rel=0.05)
        assert shown["smallest difference to be found, points"] == f"{100 * line['detectable']:.1f}"


def test_models_of_one_name_are_compared_and_others_left_out(tmp_path, table):
    for name, wrong in WRONG.items():
        models = {"text": answers_of(table, wrong=wrong, seed=ord(name)), "majority": majority_of(table)}
        write_run(tmp_path / name, table, models | {f"only {name}": models["text"]})
    models = Comparison.of([tmp_path / name for name in WRONG]).models()
    assert list(zip(models.index, models["run"], strict=True)) == [(m, r) for m in ("text", "majority") for r in "abc"]
    rows, values = by_hand(table)
    right = {name: (made.idxmax(axis=1) == rows["label"]).to_numpy() for name, made in values.items()}
    p = [1, 1]
    for name in "bc":
        only_a, only_b = (right["a"] & ~right[name]).sum(), (right[name] & ~right["a"]).sum()
        p.append(binomtest(only_a, only_a + only_b).pvalue)
        line = models[models["run"] == name].loc["text"]
        assert line["p"] == f"{p[-1]:.2g}"
        assert line["difference, points"].startswith(f"{100 * (right[name].mean() - right['a'].mean()):+.1f} [")
    assert sorted(models.loc[models["p"] != "–", "p"].map(float)) == pytest.approx(sorted(p), rel=0.05)
    lines, chosen = models[models["run"] != "a"], Comparison.of([tmp_path / name for name in WRONG]).pairs()
    for shown in ("difference, points", "p", "p, Holm"):
        expected = list(chosen.loc[chosen.index == "a", shown])
        assert list(lines.loc["text", shown]) == expected, "a pair of chosen models has one test on the page"
    assert list(lines.loc["majority", "p, Holm"]) == ["1", "1"]
    assert list(models.loc[models["run"] == "a", "p, Holm"]) == ["–", "–"]


def test_no_model_of_one_name_is_an_empty_table(tmp_path, table):
    for name in "ab":
        write_run(tmp_path / name, table, {f"only {name}": answers_of(table)})
    models = Comparison.of([tmp_path / "a", tmp_path / "b"]).models()
    assert models.empty and list(models)[:3] == ["run", "accuracy", "difference, points"]


@pytest.mark.parametrize(
    ("wrong", "sentence", "grade"),
    [
        (([3], [3]), "run b gives each common test row the same answer as run a.", "note"),
        (([3], [6]), "No difference between run b and run a was shown: +0.0 points", "note"),
        (([], range(3, 90, 3)), "Run b is worse than run a: -36.2 points", "serious"),
        ((range(3, 90, 3), []), "Run b is better than run a: +36.2 points", "note"),
    ],
)
def test_verdicts(tmp_path, table, wrong, sentence, grade):
    comparison = compared(tmp_path, {"a": table, "b": table}, dict(zip("ab", wrong, strict=True)))
    told = comparison.verdicts()
    assert [line[1] for line in told] == [grade] and sentences(told)[0].startswith(sentence)
    assert "运行“b”" in sentences(comparison.verdicts("zh"), "zh")[0]


def test_rows_left_out_and_labels_changed_are_told(tmp_path):
    table = make_table(60)
    other = table.copy()
    other.loc[other["row"].isin([3, 6]), "split"] = "train"
    other.loc[other["row"] == 9, "split"] = "validation"
    other.loc[other["row"] == 12, "label"] = "sport" if table["label"][11] != "sport" else "money"
    other = other.drop(index=14)  # row 15
    comparison = compared(tmp_path, {"a": table, "b": other}, {"a": [18], "b": []}, record=RECORD)
    fates = comparison.fates()
    assert fates["of a, in b"].tolist() == [16, 2, 1, 1, 20] and fates["of b, in a"].tolist() == [16, 0, 0, 0, 16]
    told = sentences(comparison.notes())
    assert told[0] == "Rows compared, those that are test rows of every run: 16."
    assert told[1].endswith("as training rows: 2, as validation rows: 1, not at all: 1.")
    assert told[2].startswith("Rows of run b and run a were matched by content (text)")
    # By the first's labels one row is fixed and one broken, by the other's own two are fixed.
    assert comparison.tests().loc[0, "difference"] == 0
    assert "is another in run b: 1. The label in run a counts; by the labels in run b" in told[3]
    assert "would be +12.5 points" in told[3]
    assert comparison.relabelled()["text"].to_dict() == {12: "text number 12 of 0"}


def test_the_same_run_twice_has_no_difference(tmp_path, table):
    folders = write_runs(tmp_path, {"a": table}, record=RECORD) * 2
    comparison = Comparison.of(folders)
    assert "The same run was named more than once." in sentences(comparison.notes())
    assert sentences(comparison.verdicts()) == ["run a (2) gives each common test row the same answer as run a."]
    assert all(made().empty for made in (comparison.parameters, comparison.versions, comparison.relabelled))


def test_labels_that_one_run_alone_has_are_named(tmp_path):
    table = make_table(60)
    wider = table.assign(label=table["label"].where(table["row"] > 30, table["label"].replace("money", "tax")))
    told = sentences(compared(tmp_path, {"a": table, "b": wider}).notes())
    assert "Not every run has these labels of run b: tax. Where one is true, a run without it is wrong." in told


def test_classes_are_those_of_scikit_learn(three, table):
    classes, changes = three.classes(), three.changes(1)
    rows, values = by_hand(table)
    names = sorted(table["label"].unique())
    for name in "abc":
        answers = values[name].idxmax(axis=1)
        _, recall, f1, count = precision_recall_fscore_support(rows["label"], answers, labels=names)
        assert classes[f"accuracy, {name}"].tolist() == list(map(percent, recall))
        assert [text.split(" [")[0] for text in classes[f"F1, {name}"]] == list(map(percent, f1))
        assert classes["rows"].tolist() == count.tolist() and list(classes.index) == names
    counts = pd.crosstab(changes["label"], changes["outcome"])
    assert classes["fixed, b"].to_dict() == counts["fixed"].to_dict()
    assert classes["broken, b"].to_dict() == counts["broken"].to_dict()
    outcomes = three.outcomes()
    assert outcomes["rows, b"].to_dict() == changes["outcome"].value_counts().to_dict()
    low, high = proportion_confint(outcomes.loc["fixed", "rows, b"], len(rows), method="wilson")
    assert outcomes.loc["fixed", "share, b"].endswith(f"[{100 * low:.1f}, {100 * high:.1f}]")


def test_a_label_without_rows_has_no_accuracy_and_one_that_nobody_says_is_left_out(tmp_path):
    table = make_table(60, labels=("money", "sport", "zoo"))
    table.loc[table["split"] != "train", "label"] = "money"
    classes = compared(tmp_path, {"a": table, "b": table}, {"a": [3], "b": []}).classes()
    assert list(classes.index) == ["money", "sport"] and classes["rows"].tolist() == [20, 0]
    assert classes.loc["sport", ["accuracy, a", "accuracy, b"]].tolist() == ["–", "–"]


# How runs were made


def made_run(folder, *, cell="", given=None, **record):
    """A run whose notebook 03_train has the parameters ``cell`` and was ``given`` others."""
    table = make_table(30)
    done = {"03_train": {"parameters": given or {}, "seconds": {"work": 2.5, "export": 1.0}, "peak_memory_mb": 800}}
    done["04_error_analysis"] = {"parameters": {"run": str(folder)}, "seconds": {"work": 1.25}, "peak_memory_mb": 900}
    write_run(folder, table, {"text": answers_of(table)}, record={"steps": done, **record} if record else None)
    if cell:
        (folder / "notebooks").mkdir()
        cells = [new_code_cell(cell, metadata={"tags": ["parameters"]})]
        kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python"}}
        nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / "notebooks" / "03_train.ipynb")
    return folder


def lines_of(made):
    return dict(zip(made.index, made.to_numpy().tolist(), strict=True))


def test_defaults_of_the_time_count_and_equal_values_do_not(tmp_path):
    cell = 'run: str = "reports/a"  # folder\nepochs: int = 10  # passes\nrate: float = 0.001\nhidden: list = []\nname: str = ""\n'
    first = made_run(tmp_path / "a", cell=cell + "gone: int = 1\n", given={"run": "/x", "name": "x"}, python="3.11")
    newer = cell.replace("10", "20").replace("0.001", "1e-3")
    second = made_run(tmp_path / "b", cell=newer, given={"run": "/y", "hidden": []}, python="3.11")
    made = Comparison.of([first, second]).parameters()
    assert list(made) == ["a", "b", "notebooks", "meaning"]
    assert lines_of(made) == {
        "epochs": ["10", "20", "03_train", "passes"], "gone": ["1", "–", "03_train", ""],
        "name": ["x", '""', "03_train", ""],
    }  # fmt: skip


def test_what_was_given_beats_the_default(tmp_path):
    cell = "epochs: int = 10  # passes\n"
    folders = [made_run(tmp_path / name, cell=cell, given=given, python="3.11")
               for name, given in (("a", {}), ("b", {"epochs": 10}), ("c", {"epochs": 5}))]  # fmt: skip
    assert Comparison.of(folders[:2]).parameters().empty
    assert Comparison.of(folders).parameters().iloc[0].tolist()[:3] == ["10", "10", "5"]


def test_one_parameter_of_several_notebooks_is_one_line(tmp_path):
    for name, seed in (("a", 1), ("meaning", 2)):  # a run may bear the name of a column
        done = {step: {"parameters": {"random_state": seed}} for step in ("02_preprocess", "03_train")}
        write_run(tmp_path / name, make_table(30), {"text": answers_of(make_table(30))}, record={"steps": done})
    made = Comparison.of([tmp_path / "a", tmp_path / "meaning"]).parameters()
    assert lines_of(made) == {"random_state": ["1", "2", "02_preprocess, 03_train", ""]}


def test_versions_that_differ(tmp_path):
    first = made_run(tmp_path / "a", python="3.11", cores=2, versions={"keras": "3.1", "jax": "0.4"})
    second = made_run(tmp_path / "b", python="3.12", cores=2, versions={"keras": "3.1"})
    assert lines_of(Comparison.of([first, second]).versions()) == {"Python": ["3.11", "3.12"], "jax": ["0.4", "–"]}


def test_runs_without_a_record_say_so(tmp_path):
    comparison = Comparison.of([made_run(tmp_path / "a"), made_run(tmp_path / "b", given={"epochs": 1}, python="3.11")])
    unknown = [line for line in sentences(comparison.notes()) if "parameters are not known" in line]
    assert unknown == ["run a has neither run.json nor executed notebooks, so its parameters are not known."]


def test_facts_of_each_run(tmp_path):
    first = made_run(tmp_path / "a", python="3.11", written="2026-01-01")
    facts = Comparison.of([first, made_run(tmp_path / "b")]).facts()
    splits = make_table(30)["split"].value_counts()
    assert facts.loc[["seconds, all notebooks", "peak memory, MB"], "a"].tolist() == ["4.8", "900"]
    assert [facts.loc[f"{name} rows", "a"] for name in splits.index] == [str(n) for n in splits]
    assert facts.loc["columns", "a"] == "text: title, label: topic" and facts.loc["written", "a"] == "2026-01-01"
    assert facts.loc["written", "b"] == "–"


def test_a_broken_notebook_leaves_what_was_given(tmp_path):
    first = made_run(tmp_path / "a", cell="epochs: int = 10\n", given={"epochs": 5}, python="3.11")
    (first / "notebooks" / "03_train.ipynb").write_text('{"cells": [')
    made = Comparison.of([first, made_run(tmp_path / "b", cell="epochs: int = 10\n", python="3.11")]).parameters()
    assert lines_of(made) == {"epochs": ["5", "10", "03_train", ""]}


# The cards


def cards_of(comparison, outcome="fixed", **options):
    shown = BeautifulSoup(comparison.cards(outcome, **options).data, "html.parser")
    return shown.find_all("article"), " ".join(line.text for line in shown.find_all("p", recursive=False))


def test_the_surest_wrong_answer_comes_first(tmp_path, table):
    wrong = {"a": range(3, 120, 6), "b": range(6, 120, 6)}
    comparison = compared(tmp_path, {"a": table, "b": table}, wrong)
    for outcome, name in (("fixed", "a"), ("broken", "b")):
        sure = answers_of(table, wrong=wrong[name], seed=ord(name)).max(axis=1)
        expected = sure[list(wrong[name])].sort_values(ascending=False)
        found, told = cards_of(comparison, outcome, most=99)
        assert [int(card["data-row"]) for card in found] == expected.index.tolist()
        assert told == f"Rows {outcome} by b: {len(expected)}. The surest wrong answer of {name} stands first."
    found, told = cards_of(comparison, most=4)
    assert len(found) == 4 and "Shown are 4, 16 more are not." in told
    assert cards_of(comparison, most=0)[0] == []


def test_a_card_has_both_answers_with_their_confidence_and_names_what_moved(tmp_path):
    table = make_table(30)
    answers = {name: answers_of(table, wrong=wrong, seed=ord(name)) for name, wrong in (("a", [9]), ("b", []))}
    other = table.assign(row=table["row"] + 100, group=table["row"] + 100)
    write_run(tmp_path / "a", table, {"text": answers["a"]})
    write_run(tmp_path / "b", other, {"text": answers["b"].set_axis(other["row"])}, sha256="another table")
    [card], _ = cards_of(Comparison.of([tmp_path / "a", tmp_path / "b"]))
    label = table.set_index("row").loc[9, "label"]
    assert card.select_one(".fb-head").text == f"row 9 (in b row 109): {label}"
    cells = [[cell.text for cell in line.find_all("td")] for line in card.find_all("tr")]
    assert cells == [
        ["a", f"{answers['a'].loc[9].idxmax()}, wrong", percent(answers["a"].loc[9].max())],
        ["b", f"{label}, right", percent(answers["b"].loc[9].max())],
    ]


def test_pictures_give_way_before_texts_and_bytes_count(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")  # 11 kB, which base64 makes 15 kB
    table = make_table(60).assign(image=str(tmp_path / "noise.png"))
    comparison = compared(tmp_path, {"a": table, "b": table}, {"a": [3, 6, 9, 12, 15], "b": []})
    monkeypatch.setattr(compare, "CARD_BYTES", 80_000)  # half of them for the rows fixed
    found, told = cards_of(comparison)
    assert [bool(card.find("img")) for card in found] == [True, True, False, False, False]
    assert "Rows whose picture or sound found no room on this page: 3." in told
    assert found[-1].select_one(".note").text == "picture and sound left out: the page is full"
    assert sum(len(str(card).encode()) for card in found) < 40_000
    monkeypatch.setattr(compare, "CARD_BYTES", 2_500)
    assert 0 < len(cards_of(comparison)[0]) < 5
    long = make_table(60).assign(text=[f"{row}" + "字" * 1000 for row in range(60)])  # 3 kB of UTF-8 each
    comparison = compared(tmp_path / "long", {"a": long, "b": long}, {"a": [3, 6, 9, 12, 15], "b": []})
    monkeypatch.setattr(compare, "CARD_BYTES", 18_000)
    assert len(cards_of(comparison)[0]) == 2


# The notebook


def cells_of(folder, folders, **options):
    with pd.option_context("display.max_rows", 60, "display.max_columns", 20, "display.max_colwidth", 50):
        return run_cells("07_compare", run=str(folder), compared=[str(path) for path in folders], **options)


@pytest.mark.parametrize("count", [2, 3])
def test_the_notebook_tells_runs_that_have_texts_alone(tmp_path, table, count):
    folders = write_runs(tmp_path, dict.fromkeys("abc"[:count], table), record=RECORD)
    names, shown = cells_of(tmp_path / "made", folders, most_cards=2)
    told = text_of(shown)
    for name in "bc"[: count - 1]:
        assert re.search(rf"run {name} and run a was shown|Run {name} is (better|worse) than run a", told)
    saved = json.loads((tmp_path / "made" / "artifacts" / "findings" / "07_compare.json").read_text("utf-8"))
    assert [line["text"] for line in saved] == [line.text for line in names["found"]]
    assert [line["place"] for line in saved[: count - 1]] == ["Is one better?"] * (count - 1)
    html = [forms["text/html"] for forms in shown if "fb-cards" in forms.get("text/html", "")]
    assert len(html) == 2 and html[0].count('<div class="fb-cards">') == count - 1


def test_the_notebook_in_chinese(tmp_path, table):
    names, _ = cells_of(tmp_path / "made", write_runs(tmp_path, dict.fromkeys("ab", table)), language="zh")
    assert all(line.text.endswith("。") for line in names["found"])


def test_it_is_no_step_of_a_report():
    folder = steps.find_notebooks()
    assert (folder / "07_compare.ipynb").exists() and "07_compare" not in steps.read_steps(folder)


# The page and the command


def call(*arguments):
    return CliRunner().invoke(cli.main, ["compare", *map(str, arguments)])


def tables_of(soup):
    """All lines of all tables, each line's cells as texts."""
    return [[cell.get_text() for cell in line.find_all(["th", "td"])] for line in soup.find_all("tr")]


@pytest.fixture(scope="module")
def three_page(tmp_path_factory):
    """Three runs by the command, where an earlier page of ours lies already: its output and the page."""
    folder = tmp_path_factory.mktemp("command")
    folders = write_runs(folder, dict.fromkeys(("one", "two", "three"), make_table(60)),
                         {"one": (3, 9), "two": (6, 9, 15), "three": (3,)}, record=RECORD)  # fmt: skip
    (folder / "compare.html").write_text(f"<meta {compare.MARK}>")
    result = call(*folders, "--cards", 1)
    return result, folder / "compare.html"


def test_the_command_prints_verdicts_and_path_and_replaces_a_page_of_ours(three_page):
    result, path = three_page
    assert result.exit_code == 0, result.output
    two, three, last = result.output.splitlines()
    assert two.startswith("No difference between run two and run one was shown: -5.0 points")
    assert three.startswith("No difference between run three and run one was shown: +5.0 points")
    assert last == f"{path} (an earlier page of comparison was replaced)" and compare.is_page(path)


def test_the_page_says_what_pandas_counts(three_page):
    page = three_page[1].read_text("utf-8")
    soup = BeautifulSoup(page, "html.parser")
    assert soup.h1.text == "What changed between runs?" and soup.title.text == "two, three against one"
    lines = tables_of(soup)
    assert ["fixed", "1", "2", "5.0 % [0.9, 23.6]"] not in lines  # a column a run, each with its share
    [fixed] = [line for line in lines if line[0] == "fixed"]
    assert fixed[1] == "1" and fixed[3] == "1"
    heads = [card.text for card in soup.select(".fb-head")]
    assert [re.match(r"row (\d+):", head)[1] for head in heads][:2] == ["3", "9"] and len(heads) == 3
    assert str(three_page[1].parent) not in page and "index.html" not in page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_people_out(browser, three_page, scheme):
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(three_page[1].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    found = [(one["id"], one["nodes"][0]["html"]) for one in Axe().run(page).response["violations"]]
    context.close()
    assert found == []


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    """Two runs with hostile texts, labels, run names, parameters, and a picture of a hostile name."""
    folder = tmp_path_factory.mktemp("hostile")
    table = make_table(60, labels=("money", HOSTILE, "技术" * 300))
    table["text"] = [HOSTILE + f" {row} مرحبا \u202e 技术" for row in table["row"]]
    table.loc[2, "text"] = "x" * 100_000
    picture = folder / "x onerror=alert(3) '\">.png"
    Image.new("RGB", (8, 8), "red").save(picture)
    table["image"] = np.where(table["row"] % 2, "", str(picture))
    names = "<img src=x onerror=alert(4)>", "b'\"><svg onload=alert(5)>" + "n" * 150
    columns = {"text": HOSTILE, "label": "l", "image": "i", "audio": ""}
    wrong = dict(zip(names, ((3, 6, 9), (9, 12, 15, 18)), strict=True))
    folders = write_runs(folder, dict.fromkeys(names, table), wrong, columns=columns)
    for path, value in zip(folders, (HOSTILE, "<b>"), strict=True):
        done = {"03_train": {"parameters": {f"p{HOSTILE}": value}, "seconds": {"work": 1.0}, "peak_memory_mb": 10}}
        record = RECORD | {"steps": done, "written": HOSTILE, "versions": {HOSTILE: value}}
        (path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return compare.write_comparison(folders)[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_runs_nothing_and_asks_for_nothing(browser, hostile_page, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page, noticed = context.new_page(), []
    page.on("console", lambda message: noticed.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: noticed.append(str(error)))
    page.on("dialog", lambda dialog: noticed.append(f"a script ran: {dialog.message}"))
    page.on("request", lambda r: r.url.startswith(("file:", "data:")) or noticed.append(f"request: {r.url}"))
    page.goto(hostile_page.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert page.locator("h1").count() == 1 and page.locator("article").count() == 5
    assert page.evaluate("document.scripts.length + document.querySelectorAll('[onerror], [onload]').length") == 0
    assert page.locator("article img").count() == page.locator("img").count() == 3
    assert page.evaluate("[...document.images].every(image => image.naturalWidth == 8)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert HOSTILE in page.locator("article .fb-text").last.inner_text()
    assert page.locator("pre.stream").count() == 0  # no warning was printed
    context.close()
    assert noticed == []


def test_a_page_of_large_pictures_and_sixty_classes_stays_under_3_mb(tmp_path):
    labels = [f"class {i:02d} " + "字词" * 30 for i in range(60)]
    table = make_table(360, labels=labels).assign(label=np.repeat(labels, 6))  # two test rows of each
    characters, rng = [chr(0x4E00 + i) for i in range(6000)], np.random.default_rng(0)
    table["text"] = ["".join(rng.choice(characters, 1600)) for _ in range(len(table))]
    picture = tmp_path / "noise.png"
    Image.fromarray(rng.integers(0, 255, (300, 300, 3), dtype=np.uint8)).save(picture)  # 270 kB
    table["image"] = str(picture)
    columns = {"text": "t", "label": "l", "image": "i", "audio": ""}
    wrong = {"one": range(3, 120, 3), "two": range(120, 240, 3)}
    path = compare.write_comparison(write_runs(tmp_path, dict.fromkeys(wrong, table), wrong, columns=columns))[0]
    soup = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    assert path.stat().st_size < 3_000_000
    assert len(soup.select("article")) == 40 and 2 <= len(soup.select("article img")) < 10
    assert len([line for line in tables_of(soup) if line[0].startswith("class ") and len(line) == 8]) == 60
    assert soup.get_text().count("Rows whose picture or sound found no room on this page") == 2


def test_a_finished_run_against_its_copy_with_other_answers(finished_run, tmp_path):
    """The folder as the notebooks write it; the copy's chosen model answers what its majority baseline does."""
    copy = tmp_path / "copy"
    shutil.copytree(finished_run, copy)
    path = copy / "artifacts" / "predictions.parquet"
    made = pd.read_parquet(path)
    chosen = Comparison.of([finished_run, copy]).first.chosen
    columns, test = [name for name in made if re.fullmatch(r"p\d+", name)], made["split"] == "test"
    base = made.loc[test & (made["model"] == "majority"), columns].to_numpy()
    made.loc[test & (made["model"] == chosen), columns] = base
    made.to_parquet(path)
    with pytest.raises(ValueError, match=r"predictions\.parquet is not what 03_train wrote"):
        Comparison.of([finished_run, copy])
    shutil.rmtree(copy / "artifacts" / "made_of")  # nobody knows better now
    comparison = Comparison.of([finished_run, copy])
    scores = comparison.scores()
    before, after = scores["always the most frequent label"]
    assert scores["accuracy"].iloc[1].split(" [")[0] == after == before, "the copy is as right as the baseline"
    counts = comparison.outcomes()["rows, copy"]
    assert counts.sum() == test.sum() // made["model"].nunique() and counts["broken"] > 0
    assert comparison.parameters().empty
    shown = comparison.cards("broken").data
    assert "<img" in shown and "<audio" in shown


def test_what_is_no_page_of_ours_is_not_overwritten(tmp_path):
    folders = write_runs(tmp_path, dict.fromkeys("ab", make_table(60)))
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    result = call(*folders, "--output", tmp_path / "mine.html")
    assert result.exit_code == 1 and "is no page of fusebook compare" in result.output
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"
    result = call(*folders, "--output", tmp_path)
    assert result.exit_code == 1 and (tmp_path / "a").is_dir()


def test_bad_input_is_told_in_a_line_and_nothing_written(tmp_path):
    one, two = write_runs(tmp_path, dict.fromkeys("ab", make_table(60)))
    assert call(one).exit_code == call().exit_code == 2
    assert "name two or more" in call(one).output
    away = make_table(60).assign(split=lambda table: np.where(table["split"] == "test", "train", "test"))
    strange = make_table(60, labels=("cat", "dog"))
    others = {
        tmp_path / "nowhere": "is not there. Expected the folder of a run",
        write_run(tmp_path / "away", away, {"text": answers_of(away)}): "No row is a test row of all 2 runs",
        write_run(tmp_path / "strange", strange, {"text": answers_of(strange)}): "have no label in common",
    }
    (two / "artifacts" / "predictions.parquet").unlink()
    for other, message in (others | {two: "Notebook 03_train writes it"}).items():
        result = call(one, other)
        assert result.exit_code == 1 and message in result.output
        assert len(result.output.splitlines()) == 1 and result.output.startswith("Error: ")
    assert not (tmp_path / "compare.html").exists()
