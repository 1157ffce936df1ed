"""Findings in two languages: the same blanks, no markup from names, severe ones first."""

import re
from string import Formatter

import pytest

from fusebook import pages, sentences


@pytest.mark.parametrize("key", sentences.SENTENCES)
def test_both_languages_use_the_same_values(key):
    english, chinese = (
        {name for _, name, _, _ in Formatter().parse(text) if name} for text in sentences.SENTENCES[key]
    )
    assert english == chinese
    assert re.search(r"[\u4e00-\u9fff]", sentences.SENTENCES[key][1])


@pytest.mark.parametrize("key", [key for key, texts in sentences.SENTENCES.items() if texts[0].endswith(".")])
def test_a_sentence_tells_its_language(key):
    assert [sentences.language_of(text) for text in sentences.SENTENCES[key]] == ["en", "zh"]


def test_a_language_without_templates_is_named():
    with pytest.raises(ValueError, match="The language is 'fr'; expected one of en, zh"):
        sentences.say("see", "fr")


def test_a_finding_is_filled_in():
    found = sentences.finding("look", "Which classes?", "weakest", label="财经", share="50.0 %", rows=1200)
    assert found == ("look", "The weakest class is 财经: F1 50.0 % over 1,200 test rows.", "Which classes?")


def test_the_severe_come_first_and_eight_at_most():
    made = [
        sentences.Finding(severity, str(i), "") for i, severity in enumerate(["note", "look", "serious"] * 4)
    ]
    kept = sentences.ranked(made)
    assert [found.text for found in kept] == ["2", "5", "8", "11", "1", "4", "7", "10"]


def test_those_without_a_severity_come_last():
    made = [sentences.Finding(severity, severity, "") for severity in ("", "note", "serious")]
    assert [found.text for found in sentences.ranked(made)] == ["serious", "note", ""]


def test_what_a_finding_lacks_is_not_shown():
    made = [sentences.Finding("", "Plain.", ""), sentences.Finding("look", "Graded.", "")]
    assert sentences.as_markdown(made, "zh") == "1. Plain.\n2. **值得一看**: Graded."


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
    ],
)
def test_names_stay_text_on_the_page(name):
    found = sentences.Finding("look", f"The weakest class is {name}.", "Which classes?")
    html = pages.markdown_to_html(sentences.as_markdown([found]))
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
    assert sentences.p_text(p) == said


@pytest.mark.parametrize(
    ("value", "severity"), [(0.0, "note"), (0.05, "look"), (0.099, "look"), (0.1, "serious")]
)
def test_grades_have_two_steps(value, severity):
    assert sentences.graded(value, 0.05, 0.1) == severity
