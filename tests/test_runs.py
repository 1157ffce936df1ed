"""Findings in the run folder: what is kept, what older runs left, and what a notebook shows of them."""

import json

from bs4 import BeautifulSoup

from fusebook import findings, runs
from fusebook.report import pages

HOSTILE = "</script><img src=x onerror=alert(1)> *is* [not](http://x) `code`"


def test_severity_text_and_place_are_kept(tmp_path):
    given = [findings.Finding("look", "A.", "How sure?"), ("note", "B.", "Where?"), "C."]
    runs.write_findings(tmp_path, "03_train", given)
    path = tmp_path / "artifacts" / "findings" / "03_train.json"
    expected = [
        {"severity": "look", "text": "A.", "place": "How sure?"},
        {"severity": "note", "text": "B.", "place": "Where?"},
        {"severity": "", "text": "C.", "place": ""},
    ]
    assert json.loads(path.read_text("utf-8")) == expected == runs.read_findings(tmp_path, "03_train")


def test_findings_of_older_runs_are_read(tmp_path):
    folder = tmp_path / "artifacts" / "findings"
    folder.mkdir(parents=True)
    (folder / "01_explore.json").write_text('["serious: one.", "two."]', encoding="utf-8")
    read = runs.read_findings(tmp_path, "01_explore")
    assert [tuple(found.values()) for found in read] == [("", "serious: one.", ""), ("", "two.", "")]
    assert runs.read_findings(tmp_path, "06_predict") == []


def test_a_notebook_shows_findings_as_text(tmp_path):
    told = runs.write_findings(tmp_path, "01_explore", [HOSTILE, ("look", HOSTILE, "Which rows?")], "zh")
    soup = BeautifulSoup(pages.markdown_to_html(told), "html.parser")
    assert soup.get_text().count(HOSTILE) == 2 and "值得一看" in soup.get_text()
    assert not soup.find_all(["script", "img", "em", "code"])
    assert [link["href"] for link in soup.find_all("a")] == ["#Which-rows?"]
