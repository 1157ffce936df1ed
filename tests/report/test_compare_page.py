"""The page of ``fusebook compare``: what it says, in a real browser, from the command line, and on bad input."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from click.testing import CliRunner
from PIL import Image
from tiny_runs import answers_of, majority_of, make_table, write_run

from fusebook import cli
from fusebook.report import compare, compare_page

HOSTILE = '"</script></style><img src=x onerror=alert(1)><script>alert(2)</script>'
RECORD = {"python": "3.11", "cores": 2, "versions": {"keras": "3.1"}}


def write_pair(folder, *, table=None, other=None, wrong=((3, 9), (6, 9, 15)), names=("one", "two"), columns=None):
    """Two runs of ``table`` (or one of ``other``), each wrong in rows of its own."""
    table = make_table(60) if table is None else table
    made = []
    for name, own, rows in zip(names, (table, table if other is None else other), wrong, strict=True):
        models = {"text": answers_of(own, wrong=rows), "majority": majority_of(own)}
        made.append(write_run(folder / name, own, models, record=RECORD, columns=columns))
    return made


def page_of(folders, **options):
    path, verdicts, _ = compare_page.write_comparison(folders, **options)
    return BeautifulSoup(path.read_text("utf-8"), "html.parser"), verdicts


def tables_of(soup):
    """Each table's cells by the name that its box has for those who listen."""
    return {box["aria-label"]: [[cell.get_text().replace("\u00a0", " ") for cell in line.find_all(["th", "td"])]
            for line in box.find_all("tr")] for box in soup.select("[role=region]")}  # fmt: skip


def call(*arguments):
    return CliRunner().invoke(cli.main, ["compare", *map(str, arguments)])


def test_the_page_says_what_pandas_counts(tmp_path):
    soup, [verdict] = page_of(write_pair(tmp_path))
    assert soup.h1.text == "two against one" and soup.select_one(".headline").text == verdict
    tables = tables_of(soup)
    outcomes = {line[0]: line[1] for line in tables["Rows fixed and broken, two"][1:]}
    assert outcomes == {"fixed": "1", "broken": "2", "right in both": "16", "wrong in both": "1"}
    assert tables["Scores of each run"][1][2].startswith("90.0 %") and tables["Scores of each run"][2][2].startswith(
        "85.0 %"
    )
    pair = tables["Paired tests between runs"][1]
    assert pair[:2] == ["one", "two"] and pair[2].startswith("-5.0") and pair[3:6] == ["2", "1", "1"]
    heads = [card.text for card in soup.select(".fb-head")]
    assert heads[0].startswith("row 3:")
    assert {re.match(r"row (\d+):", head)[1] for head in heads[1:]} == {"6", "15"}
    assert "matched by row number" in soup.text and "Compared on the 20 rows" in soup.text


def test_rows_left_out_and_labels_changed_are_said(tmp_path):
    table = make_table(60)
    other = table.copy()
    other.loc[other["row"].isin([3, 6]), "split"] = "train"
    other.loc[other["row"] == 9, "split"] = "validation"
    other.loc[other["row"] == 12, "label"] = "sport" if table["label"][11] != "sport" else "money"
    other = other.drop(index=14)  # row 15
    soup, _ = page_of(write_pair(tmp_path, table=table, other=other, wrong=((), ())))
    fates = tables_of(soup)["Test rows of one and two"]
    assert [line[1:] for line in fates] == [
        ["one", "two"], ["16", "16"], ["2", "0"], ["1", "0"], ["1", "0"], ["20", "16"],
    ]  # fmt: skip
    assert "matched by content (text)" in soup.text and "Compared on the 16 rows" in soup.text
    assert "Rows compared whose label is another in two: 1. The label in one counts." in soup.text
    changed = tables_of(soup)["Rows with another label, two"]
    assert [line[:2] for line in changed[1:]] == [["12", "text number 12 of 0"]]


def test_three_runs_have_a_part_for_each_but_the_first(tmp_path):
    folders = write_pair(tmp_path)
    folders += write_pair(tmp_path / "more", names=("three", "four"))[:1]
    soup, verdicts = page_of(folders)
    assert len(verdicts) == 2 and [h.text for h in soup.select("h2")][-2:] == [
        "Rows fixed and broken by two", "Rows fixed and broken by three",
    ]  # fmt: skip
    assert len(tables_of(soup)["Paired tests between runs"]) == 4


def test_the_same_run_twice_says_that_nothing_differs(tmp_path):
    folders = write_pair(tmp_path)[:1] * 2
    soup, [verdict] = page_of(folders)
    assert verdict == "Run one (2) gives each common test row the same answer as run one."
    assert "The same run was named more than once." in soup.text
    assert "No parameter is known to differ." in soup.text and "No version is known to differ." in soup.text
    assert [h.text for h in soup.select("h3")][1:] == ["0 rows fixed", "0 rows broken"]


def test_one_common_row(tmp_path):
    table = make_table(30)
    other = table.assign(split=np.where(table["row"] == 9, "test", "train"))
    soup, _ = page_of(write_pair(tmp_path, table=table, other=other, wrong=((9,), ())))
    assert "Compared on the 1 row that is a test row of both runs." in soup.text
    assert "1 row fixed" in [h.text for h in soup.select("h3")]


def test_labels_of_one_run_alone_are_named(tmp_path):
    table = make_table(60)
    other = table.assign(label=table["label"].where(table["row"] > 30, table["label"].replace("money", "tax")))
    soup, _ = page_of(write_pair(tmp_path, table=table, other=other, wrong=((), ())))
    assert "Not every run has these labels of two: tax." in soup.text


def test_at_most_as_many_cards_as_asked_for(tmp_path):
    wrong = (range(3, 90, 3), range(93, 180, 3))
    soup, _ = page_of(write_pair(tmp_path, table=make_table(180), wrong=wrong), most_cards=4)
    assert len(soup.select("article")) == 8 and "4 are shown, 25 more are not." in soup.text


def test_a_page_of_large_pictures_and_sixty_classes_stays_under_3_mb(tmp_path):
    labels = [f"class {i:02d} " + "字词" * 30 for i in range(60)]
    table = make_table(360, labels=labels).assign(label=np.repeat(labels, 6))  # two test rows of each
    characters = [chr(0x4E00 + i) for i in range(6000)]
    rng = np.random.default_rng(0)
    table["text"] = ["".join(rng.choice(characters, 1600)) for _ in range(len(table))]
    picture = tmp_path / "noise.png"
    Image.fromarray(rng.integers(0, 255, (300, 300, 3), dtype=np.uint8)).save(picture)  # 270 kB
    table["image"] = str(picture)
    columns = {"text": "t", "label": "l", "image": "i", "audio": ""}
    wrong = (range(3, 120, 3), range(120, 240, 3))
    folders = write_pair(tmp_path, table=table, wrong=wrong, columns=columns)
    soup, _ = page_of(folders)
    assert (tmp_path / "compare.html").stat().st_size < 3_000_000
    assert sum(len(str(card).encode()) for card in soup.select("article")) <= compare_page.CARD_BYTES
    assert len(soup.select("article")) == 40 and 2 <= len(soup.select("article img")) < 10
    assert len(tables_of(soup)["Scores by label, two"]) == 61
    assert "Pictures and sounds of" in soup.text


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
    names = ("<img src=x onerror=alert(4)>", "b'\"><svg onload=alert(5)>" + "n" * 150)
    columns = {"text": HOSTILE, "label": "l", "image": "i", "audio": ""}
    folders = write_pair(folder, table=table, names=names, columns=columns, wrong=((3, 6, 9), (9, 12, 15, 18)))
    for path, value in zip(folders, (HOSTILE, "<b>"), strict=True):
        steps = {"03_train": {"parameters": {f"p{HOSTILE}": value}, "seconds": {"work": 1.0}, "peak_memory_mb": 10}}
        record = RECORD | {"steps": steps, "written": HOSTILE, "versions": {HOSTILE: value}}
        (path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return compare_page.write_comparison(folders)[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_runs_nothing_and_asks_for_nothing(browser, hostile_page, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"a script ran: {dialog.message}"))
    page.on("request", lambda r: r.url.startswith(("file:", "data:")) or said.append(f"request: {r.url}"))
    page.goto(hostile_page.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert page.locator("h1").count() == 1 and page.locator("article").count() == 5
    assert page.evaluate("document.scripts.length + document.querySelectorAll('svg, [onerror], [onload]').length") == 0
    assert page.locator("article img").count() == page.locator("img").count() == 3
    assert page.evaluate("[...document.images].every(image => image.naturalWidth == 8)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert HOSTILE in page.locator("article .fb-text").last.inner_text()
    context.close()
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_people_out(browser, tmp_path, scheme):
    folders = write_pair(tmp_path) + write_pair(tmp_path / "more", names=("three", "four"))[:1]
    path = compare_page.write_comparison(folders)[0]
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    found = [(one["id"], one["nodes"][0]["html"]) for one in Axe().run(page).response["violations"]]
    context.close()
    assert found == []


def test_a_finished_run_against_its_copy_with_other_answers(finished_run, tmp_path):
    """The folder as the notebooks write it; the copy's chosen model answers what its majority baseline does."""
    copy = tmp_path / "copy"
    shutil.copytree(finished_run, copy)
    path = copy / "artifacts" / "predictions.parquet"
    made = pd.read_parquet(path)
    chosen = compare.read_run(finished_run).chosen
    columns = [name for name in made if re.fullmatch(r"p\d+", name)]
    test = made["split"] == "test"
    base = made.loc[test & (made["model"] == "majority"), columns].to_numpy()
    made.loc[test & (made["model"] == chosen), columns] = base
    made.to_parquet(path)
    soup, _ = page_of([finished_run, copy], output=tmp_path / "page.html")
    tables = tables_of(soup)
    before, after = tables["Scores of each run"][1:]
    assert after[2].split(" [")[0] == after[-1] == before[-1], "the copy is as right as the baseline"
    n_test = test.sum() // made["model"].nunique()
    assert f"Compared on the {n_test} rows" in soup.text and "No parameter is known to differ." in soup.text
    counts = {line[0]: int(line[1]) for line in tables["Rows fixed and broken, copy"][1:]}
    assert sum(counts.values()) == n_test and counts["broken"] > 0
    assert soup.select("article img") and soup.select("article audio")


def test_the_command_prints_verdict_and_path(tmp_path):
    folders = write_pair(tmp_path)
    result = call(*folders)
    assert result.exit_code == 0
    verdict, path = result.output.splitlines()
    assert verdict.startswith("No difference between run two and run one was shown: -5.0 points")
    assert path == str(tmp_path / "compare.html")
    assert "an earlier page of comparison was replaced" in call(*folders).output
    assert call(*folders, "--cards", 0, "--output", tmp_path / "new" / "page.html").exit_code == 0
    assert "<article" not in (tmp_path / "new" / "page.html").read_text("utf-8")


def test_what_is_no_page_of_ours_is_not_overwritten(tmp_path):
    folders = write_pair(tmp_path)
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    result = call(*folders, "--output", tmp_path / "mine.html")
    assert result.exit_code == 1 and "is no page of fusebook compare" in result.output
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"
    result = call(*folders, "--output", tmp_path)
    assert result.exit_code == 1 and (tmp_path / "one").is_dir()


def test_bad_input_is_told_and_nothing_written(tmp_path):
    one, two = write_pair(tmp_path)
    assert call(one).exit_code == call().exit_code == 2
    assert "name two or more" in call(one).output
    result = call(one, tmp_path / "nowhere")
    assert result.exit_code == 1 and "is not there. Expected the folder of a run" in result.output
    (two / "artifacts" / "predictions.parquet").unlink()
    result = call(one, two)
    assert result.exit_code == 1 and "Notebook 03_train writes it" in result.output
    away = make_table(60).assign(split=lambda table: np.where(table["split"] == "test", "train", "test"))
    other = write_run(tmp_path / "away", away, {"text": answers_of(away)})
    result = call(one, other)
    assert result.exit_code == 1 and "No row is a test row of all 2 runs" in result.output
    assert not (tmp_path / "compare.html").exists()
