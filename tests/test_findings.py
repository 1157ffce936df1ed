"""Findings in two languages: the same blanks, no markup from names, severe ones first, each at a place that is there."""

import ast
import re
from string import Formatter

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from conftest import PROJECT

from fusebook import findings
from fusebook.findings import PLACES, SENTENCES, SEVERITIES, WORDS, Finding, Findings
from fusebook.runs import Run

NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in sorted((PROJECT / "notebooks").glob("*.ipynb"))}
HOSTILE = "</script><img src=x onerror=alert(1)> *is* [not](http://x) `code`"


def blanks(template):
    return {name for _, name, _, _ in Formatter().parse(template) if name}


@pytest.mark.parametrize("key", [*SENTENCES, *WORDS])
def test_both_languages_use_the_same_values(key):
    english, chinese = SENTENCES[key][1:] if key in SENTENCES else WORDS[key]
    assert blanks(english) == blanks(chinese)
    assert re.search(r"[\u4e00-\u9fff]", chinese) and not re.search(r"[\u4e00-\u9fff]", english)


@pytest.mark.parametrize("key", SENTENCES)
def test_a_sentence_has_a_topic_and_tells_its_language(key):
    topic, *texts = SENTENCES[key]
    assert topic in PLACES or topic == ""
    if not texts[0].endswith("}"):  # else its end is that of another sentence
        assert [findings.language_of(text) for text in texts] == ["en", "zh"]


def test_a_language_without_templates_is_named():
    with pytest.raises(ValueError, match="The language is 'fr'; expected one of en, zh"):
        Findings("03_train", "fr")


def test_a_finding_is_filled_in_and_knows_its_place():
    found = Findings("03_train")
    made = found.add("labels", "look", count=1200, label="财经", base="50.0")
    text = "1,200 labels; always answering 财经 would be right for 50.0 % of all rows."
    assert made == ("look", text, "How many rows has each label?")
    assert found == [made]
    facts = {"a": "mLP", "b": "SVM", "difference": "+1.0", "low": "-1", "high": "+2", "p": "p = 1", "detectable": "3"}
    facts |= {"sought": "3", "needed": 1300}
    verdicts = [("no difference", "note", facts), ("worse", "look", facts), ("better", "note", facts)]
    assert len(found.add_all(verdicts, topic="fusion", most=2)) == 3, "all are shown, two are kept"
    assert [(one.severity, one.place) for one in found[1:]] == [
        ("note", "Is fusion worth it?"),
        ("look", "Is fusion worth it?"),
    ]


def test_a_sentence_begins_with_a_capital():
    facts = {"rows": 9, "share": "9 %", "base": "2", "on": findings.Term("test rows")}
    made = Findings("04_error_analysis").add("accuracy", "note", model="decision-level mean", **facts)
    assert made.text.startswith("Decision-level mean is right for 9 % of ")


def test_the_severe_come_first_and_none_is_dropped():
    found = Findings("04_error_analysis")
    found += [Finding(severity, str(i), "") for i, severity in enumerate(["note", "look", "serious", ""] * 3)]
    assert [one.text for one in found.ranked()] == [str(i) for first in (2, 1, 0, 3) for i in range(first, 12, 4)]


def test_of_one_severity_comes_first_what_a_person_would_act_on_and_then_what_answers_a_question():
    found = Findings("04_error_analysis")
    topics = ["ledger", "sizes", "confidence", "suspects", "shortcuts", "score"]
    found += [Finding("note", topic, PLACES[topic][1]) for topic in topics]
    found += [Finding("look", topic, PLACES[topic][1]) for topic in ("classes", "suspects")]
    first = ["suspects", "classes", "score", "shortcuts", "suspects", "sizes", "confidence", "ledger"]
    assert [one.text for one in found.ranked()] == first
    assert not findings.answers("04_error_analysis", found[0]), "whom the ledger rescued is for the record"
    assert findings.answers("04_error_analysis", found[1]) and findings.answers("01_explore", Finding("look", "", ""))


def test_what_is_told_as_one_is_of_known_topics_each_once():
    topics = [topic for group in findings.ORDER for topic in group]
    assert len(topics) == len(set(topics)) and set(topics) | findings.QUESTIONS <= set(PLACES)
    assert len(set(PLACES.values())) == len(PLACES), "so that a place tells the topic"


AGREEING = "{rows} {rows:row|rows}: {model:.1f} of {rows} {on}, {name} {on}, {few:is|are}"


@pytest.mark.parametrize(
    ("rows", "few", "said"),
    [
        (1, "1", "1 row: 2.0 of 1 test row, its test rows, is"),
        (1200, 1, "1,200 rows: 2.0 of 1,200 test rows, its test rows, is"),
        (np.int64(1), "11", "1 row: 2.0 of 1 test row, its test rows, are"),
        (0, 0, "0 rows: 2.0 of 0 test rows, its test rows, are"),
    ],
)
def test_words_agree_with_their_number(monkeypatch, rows, few, said):
    monkeypatch.setitem(SENTENCES, "agreeing", ("", AGREEING, AGREEING))
    facts = {"rows": rows, "model": 2.0, "on": findings.Term("test rows"), "name": "its", "few": few}
    assert findings.say("agreeing", **facts) == said


@pytest.mark.parametrize("key", SENTENCES)
def test_a_word_after_a_number_agrees_with_it(key):
    """Of one row no sentence says "1 rows": the template has ``{rows:row|rows}`` or a ``Term``."""
    counted = "rows|labels|texts|groups|lines|slices|words|models|suspects|parts|classes|faults|findings"
    assert not re.search(rf"\{{\w+\}} ({counted})\b", SENTENCES[key][1])


def test_a_term_without_a_number_before_it_is_of_many():
    assert findings.word("test rows") == "test rows" and findings.word("test rows", "zh", count=1) == "行测试数据"


def test_what_is_saved_is_loaded(tmp_path):
    run = Run(tmp_path)
    found = run.findings("03_train", "zh")
    found += [Finding("look", HOSTILE, "The test"), Finding("", "最弱。", "")]
    found.save()
    assert run.read("findings/03_train.json") == [one._asdict() for one in found]
    assert Findings.load(run, "03_train") == found and Findings.load(run, "06_predict") == []


def test_saved_findings_show_grade_and_place_and_what_lacks_is_not_shown(tmp_path):
    found = Run(tmp_path).findings("04_error_analysis", "zh")
    found += [Finding("", "Plain.", ""), Finding("look", "Graded.", "")]
    assert found._repr_markdown_() == "- Plain.\n- Graded."
    assert found.save()._repr_markdown_() == "1. Plain.\n2. **值得一看**: Graded."


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "*a*",
        "[x](http://y)",
        "`c`",
        "$x$",
        "# h",
        "a\n\n- b",
        "nan",
        "x" * 300,
        "&amp;",
        HOSTILE,
    ],
)
def test_names_stay_text_on_the_page(name, tmp_path):
    from fusebook.report import pages

    found = Run(tmp_path).findings("04_error_analysis")
    found.append(Finding("look", f"The weakest class is {name}.", "Which classes?"))
    for shown in (found[0], found, found.save()):
        soup = BeautifulSoup(pages.markdown_to_html(shown._repr_markdown_()), "html.parser")
        assert f"The weakest class is {' '.join(name.split())}." in soup.get_text()
        assert {tag.name for tag in soup.find_all()} <= {"ol", "ul", "li", "strong", "a", "p"}
    assert [link["href"] for link in soup.find_all("a")] == ["#Which-classes?"]


def test_links_lead_to_the_headings_of_a_page():
    from fusebook.report import pages

    assert f'id="{findings.anchor("How sure may one be?")}"' in pages.markdown_to_html("## How sure may one be?")


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0123, "p = 0.012"),
        (1.0, "p = 1"),
        (3e-5, "p < 0.0001"),
        (0.0496, "p = 0.0496"),
        (0.04999, "p = 0.04999"),
        (0.05, "p = 0.05"),
        (0.0504, "p = 0.05"),
    ],
)
def test_a_p_value_in_words(p, text):
    assert findings.p_text(p) == text


@pytest.mark.parametrize(("value", "severity"), [(0.0, "note"), (0.05, "look"), (0.099, "look"), (0.1, "serious")])
def test_grades_have_two_steps(value, severity):
    assert findings.graded(value, 0.05, 0.1) == severity


def test_a_long_text_is_cut_to_so_many_characters_with_a_mark():
    assert [findings.shortened(text, 5) for text in ("a\n b", "abcde", "abcdef", "")] == ["a b", "abcde", "abcd…", ""]


# --- The notebooks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", PLACES)
def test_every_place_is_a_heading_of_its_notebook(topic):
    notebook, heading = PLACES[topic]
    prose = "\n".join(cell.source for cell in NOTEBOOKS[notebook].cells if cell.cell_type == "markdown")
    assert heading in re.findall(r"^##+ (.*?)\s*$", prose, re.MULTILINE)


def calls(notebook):
    """Each ``found.add…`` of a notebook: the method's name, its plain arguments, its keywords to plain values or None."""
    for cell in notebook.cells:
        for node in ast.walk(ast.parse(cell.source if cell.cell_type == "code" else "")):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and "add" in node.func.attr:
                plain = [part.value if isinstance(part, ast.Constant) else None for part in node.args]
                keywords = {part.arg: getattr(part.value, "value", None) for part in node.keywords}
                if getattr(node.func.value, "id", "") == "found":
                    yield node.func.attr, plain, keywords


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_a_notebook_adds_is_a_sentence_with_all_its_facts_and_belongs_there(name):
    for method, plain, keywords in calls(NOTEBOOKS[name]):
        topic = keywords.pop("topic", "")
        if method == "add" and plain[0]:
            key, grade = plain[0], plain[1] if len(plain) > 1 else keywords.pop("grade", None)
            assert key in SENTENCES and (grade is None or grade in (*SEVERITIES, "")), key
            assert set(keywords) - {None} == blanks(SENTENCES[key][1]) or None in keywords, key
            topic = topic or SENTENCES[key][0]
        assert not topic or PLACES[topic][0] == name, (topic, name)


def test_every_sentence_is_said_somewhere():
    library = [
        path.read_text("utf-8") for path in (PROJECT / "lib" / "fusebook").rglob("*.py") if path.stem != "findings"
    ]
    cells = [cell.source for notebook in NOTEBOOKS.values() for cell in notebook.cells if cell.cell_type == "code"]
    sources = "\n".join(library + cells)
    assert [key for key in SENTENCES if f'"{key}"' not in sources and f"'{key}'" not in sources] == []


@pytest.mark.parametrize(
    ("share", "text"), [(0.0123, "+1.2"), (-0.0004, "+0.0"), (0.0, "+0.0"), (-0.0, "+0.0"), (-0.05, "-5.0")]
)
def test_points_have_a_sign_and_nothing_is_never_minus_nothing(share, text):
    assert findings.points_text(share) == text


def test_a_sentence_is_kept_once_and_shown_each_time(tmp_path):
    found = Findings("03_train", run=Run(tmp_path))
    facts = {"model": "text", "share": "80 %", "rows": 5, "on": "test rows", "base": "20"}
    for topic in ("scores", "test"):
        assert len(found.add_all([("accuracy", "note", facts)], topic=topic)) == 1
    found.add("accuracy", "note", topic="test", **facts | {"rows": 6})
    assert [one.place for one in found] == ["The scores", "The test"]
