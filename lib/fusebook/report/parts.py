"""The parts of a page beside the notebook's own: contents, findings, parameters, figures and their words, thumbnails."""

import base64
import hashlib
import re
from collections import Counter
from html import escape, unescape
from io import BytesIO
from urllib.parse import quote

from PIL import Image

from fusebook import runs
from fusebook.findings import Finding, anchor, language_of, word
from fusebook.inspection import cards
from fusebook.plots.charts import INK, PAPER
from fusebook.report import tables

SMALLEST = 0.65  # of its size: how far a figure may shrink on a narrow page; then it scrolls in its box
_PIXELS_A_POINT = 4 / 3
EMPTY = '""'  # how an empty text shows as a parameter's value
TAG = "thumbnail"  # of the cell whose figure stands for its page
MOST_THUMBNAIL_BYTES = 40_000  # of one picture, so that a run's first page stays under 300 kB
_COLOURS = "svg{color:#1b1b1f}@media (prefers-color-scheme:dark){svg{color:#e6e6ea}}"
_NUMBER = re.compile(r"-?\d+\.\d+")


def contents(html: str) -> str:
    """The headings of second level in the page ``html`` as a list of links to them; "" where there are none."""
    seen: dict[str, str] = {}
    for name, text in re.findall(r'<h2[^>]*\bid="([^"]*)"[^>]*>(.*?)</h2>', html, re.DOTALL):
        seen.setdefault(re.sub(r"<[^>]*>", "", text).strip(), name)  # "What we found" stands first and last
    lines = "".join(f'<li><a href="#{name}">{text}</a></li>' for text, name in seen.items())
    return f"<ol>{lines}</ol>" if lines else ""


def findings(found: list[Finding], headings: set[str]) -> str:
    """The findings as a section: each with an anchor, its severity as a word, and a link to its place.

    The link is left out where no heading of the page (``headings``) is the place.
    """
    if not found:
        return ""
    lines = "".join(_finding(number, one, headings) for number, one in enumerate(found, 1))
    return (
        '<section class="findings" aria-labelledby="findings"><h2 id="findings">What we found</h2>'
        f"<ol>{lines}</ol></section>"
    )


def _finding(number: int, found: Finding, headings: set[str]) -> str:
    script, language = tables.language_of(found.text), language_of(found.text)
    severity, place, mark, link = found.severity, found.place, "", ""
    if severity:
        mark = f'<strong class="severity {escape(severity)}">{escape(word(severity, language))}</strong> '
    if place in headings:
        quoted = f'<span lang="en">“{escape(place)}”</span>' if script else f"“{escape(place)}”"
        link = f' <a href="#{escape(anchor(place))}">{word("see", language)} {quoted}</a>'
    attribute = f' lang="{script}"' if script else ""
    return f'<li id="finding-{number}"{attribute}>{mark}{escape(found.text)}{link}</li>'


def parameters(known: dict[str, dict], given: dict) -> str:
    """The parameters of a notebook, folded: what each is set to, what it is by default, and a word at those changed.

    ``known`` has default (Python source) and help of each, as papermill reads them; ``given`` the values of this run.
    """
    shown = {name: facts for name, facts in known.items() if name != "run"}
    if not shown:
        return ""
    defaults = {name: runs.parameter_value(facts["default"]) for name, facts in shown.items()}
    changed = [name for name in shown if given.get(name, defaults[name]) != defaults[name]]
    rows = "".join(
        _parameter(name, given.get(name, defaults[name]), defaults[name], facts["help"])
        for name, facts in shown.items()
    )
    head = "".join(f'<th scope="col" class="left">{name}</th>' for name in ("name", "value", "default", "meaning"))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    note = f"{len(changed)} of {len(shown)} changed" + (": " if changed else "") + escape(", ".join(changed))
    return (
        f'<details class="parameters"><summary>Parameters <span class="note">{note}</span></summary>'
        f"{tables.box(table, 'Parameters')}</details>"
    )


def _parameter(name: str, value: object, default: object, meaning: str) -> str:
    changed = value != default
    mark = ' <span class="mark">changed</span>' if changed else ""
    cells = "".join(f'<td class="left">{escape(str(cell)) or EMPTY}</td>' for cell in (value, default))
    return (
        f'<tr{" class=changed" if changed else ""}><th scope="row">{escape(name)}{mark}</th>{cells}'
        f'<td class="left text">{escape(str(meaning))}</td></tr>'
    )


def figure(svg: str, sentence: str, number: int) -> str:
    """An SVG of matplotlib's as part of a page: in the reader's colours, with its own words as alternative text.

    ``sentence`` stands in for the title of a figure that has none; ``number`` keeps its ids apart from those of the others.
    An SVG that calls itself an image brings colours and words of its own: it is taken for a ``chart``.
    """
    if 'role="img"' in svg[svg.index("<svg") :].split(">", 1)[0]:
        return chart(svg, sentence, number)
    title, description = _words(svg)
    title = title or sentence
    svg = re.sub(
        r"<metadata>.*?</metadata>|<title>.*?</title>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL
    )
    svg = _own_ids(svg, f"figure{number}-").replace(INK, "currentColor").replace(PAPER, "var(--paper)")
    width = float(re.search(r'<svg[^>]*?\bwidth="([\d.]+)pt"', svg)[1]) * _PIXELS_A_POINT
    words = escape(" ".join(f"{_ended(title)} {description}".split()))
    look = f"width:{width:.0f}px;max-width:max(100%,{SMALLEST * width:.0f}px);height:auto"
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{words}" style="{look}"', 1)
    return _framed(svg, title, number, wide=width * SMALLEST > tables.PHONE)


def chart(html: str, sentence: str, number: int) -> str:
    """A flow chart, which brings colours and words of its own, in a box that scrolls."""
    named = re.search(r"<title[^>]*>(.*?)</title>", html, re.DOTALL)
    return _framed(html, unescape(named[1]) if named else sentence, number, wide=True)


def picture(png: str, sentence: str, number: int) -> str:
    """A PNG (base64) as part of a page; its words are those that its maker wrote into it, else ``sentence`` and its size."""
    data = base64.b64decode(png)
    opened = Image.open(BytesIO(data))
    title, description = (str(opened.info.get(name, "")) for name in ("Title", "Description"))
    title = title or sentence
    description = description or f"Picture of {opened.width} by {opened.height} points."
    words = escape(" ".join(f"{_ended(title)} {description}".split()))
    url = cards.inline(data, "image/png")
    return _framed(f'<img alt="{words}" src="{url}">', title, number, wide=False)


def _framed(inside: str, title: str, number: int, *, wide: bool) -> str:
    name = escape(f"Figure {number}: {title}".rstrip(": "))
    scrolls = f' class="figure-box" role="region" tabindex="0" aria-label="{name}"' if wide else ' class="figure-box"'
    return f"<figure><div{scrolls}>{inside}</div></figure>"


def _words(svg: str) -> tuple[str, str]:
    """Title and description that ``figure_text`` wrote into the SVG's metadata; "" each where there are none."""
    svg = re.sub(r"<dc:creator>.*?</dc:creator>", "", svg, flags=re.DOTALL)  # it has a title of its own
    found = (re.search(rf"<dc:{name}>(.*?)</dc:{name}>", svg, re.DOTALL) for name in ("title", "description"))
    title, description = (unescape(match[1]).strip() if match else "" for match in found)
    return title, description


def _ended(sentence: str) -> str:
    return sentence if not sentence or sentence.endswith((".", "!", "?", "。")) else f"{sentence}."


def _own_ids(svg: str, prefix: str) -> str:
    """``svg`` with ids that no other figure has, and without those that nothing in it refers to."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: f' id="{prefix}{found[1]}"' if found[1] in used else "", svg)
    return re.sub(r'(href="#|url\(#)([^")]+)', rf"\g<1>{prefix}\g<2>", svg)


def script_hash(code: str) -> str:
    """How a Content-Security-Policy names a script: it then lets this one run, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()


def thumbnail(notebook, most_bytes: int = MOST_THUMBNAIL_BYTES) -> str:
    """A figure of ``notebook`` as the address of an SVG image (data:…), in the reader's colours, dark or light.

    It is the figure of the cell tagged ``TAG``, else the first one, of those that fit into ``most_bytes``; "" where none
    does.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    cells.sort(key=lambda cell: TAG not in cell.metadata.get("tags", []))
    for cell in cells:
        for output in cell.get("outputs", []):
            svg = "".join(output.get("data", {}).get("image/svg+xml", ""))
            if "<svg" in svg and len(made := address(smaller(svg))) <= most_bytes:
                return made
    return ""


def address(svg: str) -> str:
    """``svg`` as a data address that may stand in an HTML attribute between double quotes, shorter than in base64."""
    return "data:image/svg+xml," + quote(svg.replace('"', "'"), safe=" !$()*+,-./:;=?@[]^_`{|}~'")


def smaller(svg: str) -> str:
    """A figure of Matplotlib's as SVG without what a small picture doesn't need: words about it and needless digits."""
    svg = svg[svg.index("<svg") :]
    for unneeded in (r"<metadata>.*?</metadata>", r"<title>.*?</title>", r"<desc>.*?</desc>", r"<!--.*?-->"):
        svg = re.sub(unneeded, "", svg, flags=re.DOTALL)
    # A letter is drawn in units of its own, 640 to the size of the smallest text: there even one digit is too many.
    svg = re.sub(r'(<path id="\w+-[0-9a-f]+") d="([^"]*)"', lambda m: f'{m[1]} d="{_short_numbers(m[2], 0)}"', svg)
    svg = re.sub(r'<use ([^>]*) transform="translate\(([-\d.]+) 0\)"/>', r'<use \1 x="\2"/>', svg)
    svg = re.sub(r' (d|x|y)="([^"]*)"', lambda m: f' {m[1]}="{_short_numbers(m[2], 1)}"', svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r">\s+<", "><", svg)
    for number, name in enumerate(dict.fromkeys(re.findall(r' id="([^"]*)"', svg))):
        svg = svg.replace(f' id="{name}"', f' id="i{number}"').replace(f"#{name})", f"#i{number})")
        svg = svg.replace(f'"#{name}"', f'"#i{number}"')
    svg = svg.replace("xlink:href=", "href=").replace(INK, "currentColor").replace(PAPER, "none")
    rules = _COLOURS
    for number, (style, count) in enumerate(Counter(re.findall(r' style="([^"]*)"', svg)).items()):
        if count > 1:  # told once
            svg = svg.replace(f' style="{style}"', f' class="c{number}"')
            rules += f".c{number}{{{style}}}"
    return re.sub(r"(<svg[^>]*>)", lambda tag: f"{tag[0]}<style>{rules}</style>", svg, count=1)


def _short_numbers(numbers: str, digits: int) -> str:
    """Numbers of a path with ``digits`` after the point at most, and no blank where none is needed."""
    rounded = _NUMBER.sub(lambda number: f"{float(number[0]):.{digits}f}".removesuffix(".0"), numbers)
    return re.sub(r"\s*([MLQCzHV])\s*", r"\1", " ".join(rounded.split()))
