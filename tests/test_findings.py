"""Findings in two languages: the same blanks, no markup from names, severe ones first."""

import re
from string import Formatter

import pytest

from fusebook import findings
from fusebook.report import pages


@pytest.mark.parametrize("key", findings.SENTENCES)
def test_both_languages_use_the_same_values(key):
    english, chinese = ({name for _, name, _, _ in Formatter().parse(text) if name} for text in findings.SENTENCES[key])
    assert english == chinese
    assert re.search(r"[\u4e00-\u9fff]", findings.SENTENCES[key][1])


@pytest.mark.parametrize("key", [key for key, texts in findings.SENTENCES.items() if texts[0].endswith(".")])
def test_a_sentence_tells_its_language(key):
    assert [findings.language_of(text) for text in findings.SENTENCES[key]] == ["en", "zh"]


def test_a_language_without_templates_is_named():
    with pytest.raises(ValueError, match="The language is 'fr'; expected one of en, zh"):
        findings.say("see", "fr")


def test_a_finding_is_filled_in():
    found = findings.finding("look", "Which classes?", "weakest", label="财经", share="50.0 %", rows=1200)
    assert found == ("look", "The weakest class is 财经: F1 50.0 % over 1,200 test rows.", "Which classes?")


def test_the_severe_come_first_and_eight_at_most():
    made = [findings.Finding(severity, str(i), "") for i, severity in enumerate(["note", "look", "serious"] * 4)]
    kept = findings.ranked(made)
    assert [found.text for found in kept] == ["2", "5", "8", "11", "1", "4", "7", "10"]


def test_those_without_a_severity_come_last():
    made = [findings.Finding(severity, severity, "") for severity in ("", "note", "serious")]
    assert [found.text for found in findings.ranked(made)] == ["serious", "note", ""]


def test_what_a_finding_lacks_is_not_shown():
    made = [findings.Finding("", "Plain.", ""), findings.Finding("look", "Graded.", "")]
    assert findings.as_markdown(made, "zh") == "1. Plain.\n2. **值得一看**: Graded."


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "*a*", "[x](http://y)", "`c`", "$x$", "# h", "a\n\n- b", "nan", "x" * 300, "&amp;"],
)
def test_names_stay_text_on_the_page(name):
    found = findings.Finding("look", f"The weakest class is {name}.", "Which classes?")
    html = pages.markdown_to_html(findings.as_markdown([found]))
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    assert f"The weakest class is {' '.join(name.split())}." in soup.get_text()
    assert {tag.name for tag in soup.find_all()} == {"ol", "li", "strong", "a"} | ({"p"} if soup.p else set())
    assert [link["href"] for link in soup.find_all("a")] == ["#Which-classes?"]


def test_links_lead_to_the_headings_of_a_page():
    html = pages.markdown_to_html("## How sure may one be?")
    assert 'id="How-sure-may-one-be?"' in html


@pytest.mark.parametrize(("p", "said"), [(0.0123, "p = 0.012"), (1.0, "p = 1"), (3e-5, "p < 0.0001")])
def test_a_p_value_in_words(p, said):
    assert findings.p_text(p) == said


@pytest.mark.parametrize(("value", "severity"), [(0.0, "note"), (0.05, "look"), (0.099, "look"), (0.1, "serious")])
def test_grades_have_two_steps(value, severity):
    assert findings.graded(value, 0.05, 0.1) == severity
