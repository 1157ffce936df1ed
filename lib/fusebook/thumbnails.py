"""Small pictures of figures, for the run's first page: a figure of an executed notebook, without a browser."""

import re
from collections import Counter
from urllib.parse import quote

from fusebook.plots import INK, PAPER

TAG = "thumbnail"  # of the cell whose figure stands for its page
MOST_BYTES = 40_000  # of one picture, so that a run's first page stays under 300 kB
_COLOURS = "svg{color:#1b1b1f}@media (prefers-color-scheme:dark){svg{color:#e6e6ea}}"
_NUMBER = re.compile(r"-?\d+\.\d+")


def thumbnail(notebook, most_bytes: int = MOST_BYTES) -> str:
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
    svg = re.sub(r'(<path id="\w+-[0-9a-f]+") d="([^"]*)"', lambda m: f'{m[1]} d="{_short(m[2], 0)}"', svg)
    svg = re.sub(r'<use ([^>]*) transform="translate\(([-\d.]+) 0\)"/>', r'<use \1 x="\2"/>', svg)
    svg = re.sub(r' (d|x|y)="([^"]*)"', lambda m: f' {m[1]}="{_short(m[2], 1)}"', svg)
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


def _short(numbers: str, digits: int) -> str:
    """Numbers of a path with ``digits`` after the point at most, and no blank where none is needed."""
    rounded = _NUMBER.sub(lambda number: f"{float(number[0]):.{digits}f}".removesuffix(".0"), numbers)
    return re.sub(r"\s*([MLQCzHV])\s*", r"\1", " ".join(rounded.split()))
