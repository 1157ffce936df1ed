"""Tables on a page: which columns stand left, which tables get a box of their own, what language a text is in."""

import re

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from fusebook.report import tables


def classes(html: str) -> dict[str, list[str]]:
    """Each cell's text and its classes, as they come out."""
    soup = BeautifulSoup(tables.dressed(html), "html.parser")
    return {cell.get_text(strip=True): cell.get("class", []) for cell in soup.find_all(["td", "th"])}


def test_columns_of_words_stand_left_with_their_header():
    head = "<tr><th></th><th>count</th><th>word</th><th>share</th></tr>"
    rows = "<tr><th>0</th><td>12.5</td><td>bank</td><td>81 %</td></tr><tr><th>1</th><td>-3</td><td>7</td><td>1e-05</td></tr>"
    found = classes(f"<table>{head}{rows}</table>")
    assert [text for text, kinds in found.items() if "left" in kinds] == ["word", "bank", "7"]


@pytest.mark.parametrize(
    ("cell", "left"),
    [
        ("81.5 % [76.0, 86.5]", False),
        ("-0.412 [-0.5, 0.1]", False),
        ("–", False),
        ("nan", False),
        ("[1]", True),
        ("3 [of] 4", True),
        ("5 €", True),
    ],
)
def test_numbers_with_their_interval_stand_right(cell, left):
    assert ("left" in classes(f"<table><tr><td>{cell}</td></tr></table>")[cell]) == left


def test_columns_of_long_texts_keep_their_width():
    cells = ["短", "鼓楼下的周日鼓课，专收压力大的人，来者先写下一件烦心事", "word"]
    found = classes("<table>" + "".join(f"<tr><td>{cell}</td><td>ok</td></tr>" for cell in cells) + "</table>")
    assert [text for text, kinds in found.items() if "text" in kinds] == cells and found["ok"] == ["left"]


def test_a_line_across_all_columns_makes_none_of_them_wide():
    long = "examples that take the whole line, however many words they have"
    found = classes(f'<table><tr><td>sport</td><td>3</td></tr><tr><td colspan="2">{long}</td></tr></table>')
    assert found["sport"] == ["left"] and found["3"] == [] and "text" not in found[long]


def test_the_name_of_a_pandas_index_stands_in_the_corner():
    table = pd.DataFrame({"rows": [1, 2]}, index=pd.Index(["a", "b"], name="label"))
    soup = BeautifulSoup(tables.dressed(table.to_html()), "html.parser")
    (line,) = soup.select("thead tr")
    assert [cell.get_text(strip=True) for cell in line.find_all("th")] == ["label", "rows"]
    assert {cell["scope"] for cell in line.find_all("th")} == {"col"}
    assert {cell["scope"] for cell in soup.select("tbody th")} == {"row"}
    assert soup.get_text(" ", strip=True).split() == ["label", "rows", "a", "1", "b", "2"], "nothing is lost"


def test_only_a_wide_table_gets_a_box_and_each_box_a_name_of_its_own():
    narrow, wide = (pd.DataFrame([[0.123456] * columns]).to_html() for columns in (2, 9))
    soup = BeautifulSoup(tables.dressed(narrow + wide + wide, 'Scores of "all"'), "html.parser")
    boxes = soup.select("div[tabindex='0'][role=region]")
    name = 'Scores of "all" (table of 0, 1, 2, 3, 4, 5, 6, 7 and more)'
    assert [box["aria-label"] for box in boxes] == [name, f"{name} (2)"]
    assert [len(box.find_all("table")) for box in boxes] == [1, 1] and len(soup.find_all("table")) == 3


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("鼓楼下的周日鼓课", "zh"),
        ("A股午后走强，科技股领涨", "zh"),
        ("これは日本語の文です", "ja"),
        ("日本語の新聞記事", "ja"),
        ("한국어 문장", "ko"),
        ("Most confused: 文娱 taken for 时政", ""),
        ("12 %", ""),
        ("", ""),
    ],
)
def test_the_language_of_a_text(text, language):
    assert tables.language_of(text) == language
    soup = BeautifulSoup(tables.dressed(f"<p>{text}</p>"), "html.parser")
    assert soup.p.get("lang", "") == language and soup.p.get_text() == text


def test_a_table_wider_than_a_sheet_of_paper_is_told_apart():
    for columns, broad in ((3, False), (20, True)):
        soup = BeautifulSoup(tables.dressed(pd.DataFrame([[0.123456] * columns]).to_html()), "html.parser")
        assert ("broad" in soup.table["class"]) == broad


def test_a_table_without_rows_says_so_under_its_head():
    for empty, heads in (
        (pd.DataFrame(columns=["words", "share"]), ["words", "share"]),
        (pd.DataFrame({"rows": []}, index=pd.Index([], name="label")), ["label", "rows"]),
    ):
        soup = BeautifulSoup(tables.dressed(empty.to_html()), "html.parser")
        assert [head.get_text(strip=True) for head in soup.select("thead th")] == heads
        (cell,) = soup.select("tbody td")
        assert cell.get_text() == "none" and int(cell["colspan"]) == len(
            soup.select("thead tr")[0].find_all(["th", "td"])
        )
        assert all("left" in part["class"] for part in [cell, *soup.select("thead th")])
    full = pd.DataFrame({"words": [1]}).to_html()
    assert "none" not in tables.dressed(full) and "none" not in tables.dressed("<table><tbody></tbody></table>")


def test_what_needs_nothing_is_returned_as_it_came():
    for html in ("<p>plain</p>", "<svg viewBox='0 0 1 1'><text>时政</text></svg>", ""):
        assert tables.dressed(html) == html


def test_hostile_cells_stay_text():
    hostile = "</script><img src=x onerror=alert(1)> & <b>"
    html = tables.dressed(pd.DataFrame({"text": [hostile] * 3}).to_html(), f'"><script>{hostile}')
    soup = BeautifulSoup(html, "html.parser")
    assert [cell.get_text() for cell in soup.select("tbody td")] == [hostile] * 3
    assert not re.search(r"<(script|img|b)\b", html)
