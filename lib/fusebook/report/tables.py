"""The HTML that a notebook shows, made fit for a page: tables in boxes that scroll by themselves, texts in their language."""

import re
import unicodedata
from html import escape

from bs4 import BeautifulSoup, Tag

from fusebook.encoders.tokens import script

LONG_CELL = 24  # characters from which a cell counts as running text
SHORT_CELL = 12  # characters up to which a column takes what room is left
SHEET = 650  # pixels that it has on paper
MOST_NAMED = 8  # columns in the name of a table
PHONE = 290  # pixels that a table has on a narrow phone
_LETTER, _PADDING, _TEXT_COLUMN = (8.6, 15, 239)  # pixels, as in page.css on a phone; rather too wide than too narrow
_NUMBER = re.compile(r"|–|[-+]?[\d.,]+(e[-+]?\d+)?\s*%?(\s*\[[-+–\d.,\s]+\])?|nan|inf", re.IGNORECASE)
_LANGUAGES = {"Han": "zh", "Hiragana": "ja", "Katakana": "ja", "Hangul": "ko"}
_SPEAKING = ["p", "td", "th", "li", "small", "figcaption", "summary"]


def language_of(text: str) -> str:
    """ "zh", "ja" or "ko" where most letters of ``text`` are of that script; "" for all else, which the page's serves."""
    found = _LANGUAGES.get(script(text), "")
    # Japanese mixes in Han; Chinese has no kana.
    return "ja" if found == "zh" and re.search(r"[\u3041-\u30fa]", text) else found


def box(table: str, name: str) -> str:
    """``table`` in a box that scrolls sideways, can be reached by keyboard and says ``name`` to those who listen."""
    return f'<div class="table-box" role="region" tabindex="0" aria-label="{escape(name)}">{table}</div>'


def dressed(html: str, name: str = "") -> str:
    """``html`` of an output with its tables as a page needs them, and ``lang`` at texts in Chinese, Japanese and Korean.

    Columns of words stand on the left with their header, columns of numbers on the right; a column of long texts gets a
    class that keeps it wide. A table without rows says "none" under its head. A table too wide for a phone comes into a
    ``box`` named after ``name`` (the section) and its columns. HTML without a table or such a text is returned as it came.
    """
    if "<table" not in html and ("<svg" in html or not re.search(r"[\u1100-\u11ff\u2e80-\ud7ff]", html)):
        return html
    soup = BeautifulSoup(html, "html.parser")
    number, named = 0, set()
    for style in soup.find_all("style", scoped=True):
        style.decompose()  # pandas's own look
    for table in soup.find_all("table"):
        _join_heads(table)
        _fill_empty(table)
        _align_words(table)
        _name_headers(table)
        width = _width(table)
        if width > SHEET:
            table["class"] = [*table.get("class", []), "broad"]
        if width > PHONE and not table.find_parent("table"):
            number += 1
            title = f"{name} ({_columns(table)})" if name else _columns(table)
            inside = BeautifulSoup(box("", f"{title} ({number})" if title in named else title), "html.parser").div
            named.add(title)
            table.wrap(inside)
    for part in soup.find_all(_SPEAKING):
        language = language_of(part.get_text())
        if language and not part.find_parent(lang=language):
            part["lang"] = language
    return str(soup)


def _join_heads(table: Tag) -> None:
    """The name of a pandas index has a line of its own under an empty corner: put it into the corner."""
    lines = [line.find_all(["th", "td"]) for line in table.select("thead > tr")]
    if len(lines) != 2 or not lines[1] or len(lines[0]) != len(lines[1]):
        return
    words = [[cell.get_text(strip=True) for cell in line] for line in lines]
    if not words[0][0] and words[1][0] and not any(words[1][1:]):
        below = lines[1][0].find_parent("tr")
        lines[0][0].replace_with(lines[1][0].extract())
        below.decompose()


def _fill_empty(table: Tag) -> None:
    """A table of pandas without a row gets one that says so; its columns then stand left, as those of words do."""
    head, body = table.find("thead"), table.find("tbody")
    if not head or not body or body.find("tr"):
        return
    cells = head.find("tr").find_all(["th", "td"]) if head.find("tr") else []
    body.append(BeautifulSoup(f'<tr><td colspan="{max(1, len(cells))}">none</td></tr>', "html.parser"))
    for cell in cells:
        cell["class"] = [*cell.get("class", []), "left"]


def _columns(table: Tag) -> str:
    """A name for ``table``: its columns, or those that come first."""
    heads = [" ".join(cell.get_text(" ").split()) for cell in table.select("thead th")]
    shown = ", ".join(heads[:MOST_NAMED]) + (" and more" if len(heads) > MOST_NAMED else "")
    return f"table of {shown}" if heads else "table"


def _align_words(table: Tag) -> None:
    lines = [line.find_all("td") for line in table.find_all("tr")]
    lines = [line for line in lines if not any("colspan" in cell.attrs for cell in line)]
    width = max(map(len, lines), default=0)
    heads = next((line.find_all("th") for line in table.find_all("tr") if not line.find("td")), [])[-width:]
    for column in range(width):
        cells = [line[column] for line in lines if column < len(line)]
        texts = [cell.get_text(strip=True) for cell in cells]
        if not all(map(_NUMBER.fullmatch, texts)):
            kind = _kind(texts)
            for cell in [*cells, *heads[column : column + 1]]:
                cell["class"] = [*cell.get("class", []), "left", *kind]
    for cell in table.find_all("td", colspan=True):
        cell["class"] = [*cell.get("class", []), "left", "whole"]
    names = [line.find("th") for line in table.select("tbody > tr")]
    for name, kind in ((name, _kind([name.get_text(strip=True)])) for name in names if name):
        name["class"] = [*name.get("class", []), *kind]


def _kind(texts: list[str]) -> list[str]:
    """The class that keeps a column of ``texts`` wide enough on a phone: text, words, or none for short ones."""
    longest = max(map(len, texts), default=0)
    return ["text"] if longest > LONG_CELL else ["words"] if longest > SHORT_CELL else []


def _name_headers(table: Tag) -> None:
    """Say of each header whether it heads a column or a row; drop the border that pandas asks for."""
    table.attrs.pop("border", None)
    for head in table.find_all("th"):
        if not head.get_text(strip=True):
            head.name = "td"  # a corner heads nothing
        else:
            head["scope"] = "col" if head.find_parent("thead") else "row"


def _width(table: Tag) -> float:
    """About how many pixels ``table`` needs at least: long texts break, numbers and short words do not."""
    widths: dict[int, float] = {}
    for line in table.find_all("tr"):
        for column, cell in enumerate(line.find_all(["td", "th"], recursive=False)):
            if int(cell.get("colspan", 1)) == 1:
                widths[column] = max(widths.get(column, 0), _cell_width(cell))
    return sum(widths.values())


def _cell_width(cell: Tag) -> float:
    text = " ".join(cell.get_text(" ").split())
    if "text" in cell.get("class", []):
        return _TEXT_COLUMN
    whole = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
    return _LETTER * whole + _PADDING + (120 if cell.find(["audio", "img"]) else 0)
