"""The pages of a run: executed notebooks as self-contained HTML."""

import base64
import re
from html import escape
from io import BytesIO
from pathlib import Path

import latex2mathml.converter
import nbformat
from bs4 import BeautifulSoup
from fontTools import subset
from fontTools.ttLib import TTFont
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from fusebook import cards, runs, twin
from fusebook.plots import CJK_FONT, INK, PAPER

TEMPLATES = Path(__file__).parent / "assets" / "template"
LONG_CELL = 24  # characters from which a cell counts as running text
_NUMBER = re.compile(r"|–|[-+]?[\d.,]+(e[-+]?\d+)?\s*%?(\s*\[[-+–\d.,\s]+\])?|nan|inf", re.IGNORECASE)
SHOWN_TYPES = [
    "application/vnd.jupyter.widget-view+json", "text/html", "text/markdown", "image/svg+xml", "image/png", "text/plain",
]  # fmt: skip


class _MathMLRenderer(IPythonRenderer):
    """Markdown whose formulas become MathML, so that a page needs no script and no network."""

    def block_math(self, body: str) -> str:
        return latex2mathml.converter.convert(body.strip(), display="block")

    def inline_math(self, body: str) -> str:
        return latex2mathml.converter.convert(body.strip())

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


def markdown_to_html(source: str) -> str:
    """Markdown with formulas as HTML with MathML; headings carry anchors."""
    renderer = _MathMLRenderer(escape=False, exclude_anchor_links=False, anchor_link_text="")
    return MarkdownWithMath(renderer=renderer).render(source)


def export_page(run: Path, step) -> Path:
    """Write the HTML page of one executed notebook of ``run``: one file that asks no network for anything.

    ``step`` has name, known and parameters, as ``runner.Step``. Returns the page's path.
    """
    notebook = nbformat.read(run / "notebooks" / f"{step.name}.ipynb", as_version=4)
    title = page_title(notebook)
    _prepare(notebook)
    exporter = HTMLExporter(
        template_name="fusebook",
        extra_template_basedirs=[str(TEMPLATES)],
        filters={"markdown2html": markdown_to_html},
    )
    exporter.register_filter("filter_data_type", _shown_type)
    # A progress bar is drawn over and over: its last state counts, and once it is wiped there is nothing to show.
    exporter.register_preprocessor(CoalesceStreamsPreprocessor, enabled=True)
    page = {"title": title, "run": run.name, "style": page_style(), "top": _top(run, step, notebook)}
    if _has_twin(notebook):
        page |= {"script": twin.script(), "script_hash": twin.script_hash()}
    html, _ = exporter.from_notebook_node(notebook, resources={"page": page})
    path = run / f"{step.name}.html"
    with runs.replacing(path) as beside:
        beside.write_text(with_font(html), encoding="utf-8")
    return path


def _has_twin(notebook) -> bool:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return any(twin.MARK in output.get("data", {}).get("text/html", "") for output in outputs)


def _shown_type(data: dict) -> list[str]:
    """Of all forms that an output has, the one a page shows."""
    if "text/html" in data or "application/vnd.jupyter.widget-view+json" not in data:
        return [kind for kind in SHOWN_TYPES[1:] if kind in data][:1]
    return SHOWN_TYPES[:1]


def page_title(notebook) -> str:
    """The text of the notebook's first heading."""
    first = notebook.cells[0].source.lstrip().split("\n", 1)[0]
    return first.lstrip("# ").strip()


def _prepare(notebook) -> None:
    """Drop cells that only papermill needs, give figures the reader's colours and a text for those who can't see."""
    tags = {"injected-parameters", "parameters", "papermill-error-cell-tag"}
    kept = [cell for cell in notebook.cells if not tags & set(cell.metadata.get("tags", []))]
    notebook.cells = kept
    said = ""
    for cell in kept:
        if cell.cell_type == "markdown":
            said = cell.source.strip().split("\n")[-1]
            continue
        for output in cell.get("outputs", []):
            if svg := output.get("data", {}).get("image/svg+xml"):
                output.data["image/svg+xml"] = _inline_svg(svg)
                output.metadata["alt"] = re.sub(r"[*`_#]", "", said)
            if html := output.get("data", {}).get("text/html"):
                output.data["text/html"] = _align_words(html)


def _align_words(html: str) -> str:
    """Columns of words stand on the left with their header, columns of numbers on the right.

    A column of long texts also gets the class that keeps it from shrinking to a letter a line on a phone.
    """
    if "<table" not in html:
        return html
    soup = BeautifulSoup(html, "html.parser")
    for table in soup.find_all("table"):
        lines = [line.find_all("td") for line in table.find_all("tr")]
        width = max(map(len, lines), default=0)
        heads = (
            [line.find_all("th")[-width:] for line in table.find_all("tr") if not line.find("td")][:1]
            if width
            else []
        )
        for column in range(width):
            cells = [line[column] for line in lines if column < len(line)]
            if not all(_NUMBER.fullmatch(cell.get_text(strip=True)) for cell in cells):
                long = any(len(cell.get_text(strip=True)) > LONG_CELL for cell in cells)
                for cell in [*cells, *(head[column] for head in heads if column < len(head))]:
                    cell["class"] = [*cell.get("class", []), "left", *["text"] * long]
    return str(soup)


def _inline_svg(svg: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return svg.replace(INK, "currentColor").replace(PAPER, "none")


def _top(run: Path, step, notebook) -> str:
    """Title, introduction, findings and parameters: what a reader wants before the story."""
    findings = runs.read_findings(run, step.name)
    made = [markdown_to_html(notebook.cells[0].source)]
    if findings:
        lines = "".join(f"<li>{escape(found['text'])}</li>" for found in findings)
        made.append(f'<section class="findings"><h2>What we found</h2><ul>{lines}</ul></section>')
    rows = "".join(
        _parameter_row(name, facts, step.parameters) for name, facts in step.known.items() if name != "run"
    )
    made.append(
        '<details class="parameters"><summary>parameters</summary><div class="html"><table><thead><tr><th>name</th>'
        f"<th>value</th><th>default</th><th>meaning</th></tr></thead><tbody>{rows}</tbody></table></div></details>"
    )
    return "\n".join(made)


def _parameter_row(name: str, facts: dict, given: dict) -> str:
    value = given.get(name, facts["default"].strip("\"'"))
    changed = ' class="changed"' if name in given else ""
    cells = (name, value, facts["default"], facts["help"])
    return (
        f"<tr{changed}>" + "".join(f'<td class="left">{escape(str(cell))}</td>' for cell in cells) + "</tr>"
    )


def page_style() -> str:
    """The one stylesheet of all pages."""
    card = cards.CARD_STYLE.removeprefix("<style>").removesuffix("</style>")
    own = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "twin.css"))
    return own + card


def with_font(html: str) -> str:
    """``html`` with those Chinese, Japanese and Korean glyphs embedded that it uses, for machines without such fonts."""
    wanted = {ord(character) for character in set(html) if ord(character) > 0x2E7F}
    if not wanted:
        return html
    font = TTFont(CJK_FONT, lazy=True)
    options = subset.Options(
        flavor="woff2", layout_features=[], hinting=False, notdef_outline=True, name_IDs=[]
    )
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=wanted)
    cutter.subset(font)
    font.flavor = "woff2"
    stream = BytesIO()
    font.save(stream)
    data = base64.b64encode(stream.getvalue()).decode()
    face = f'@font-face{{font-family:"Fusebook CJK";src:url(data:font/woff2;base64,{data}) format("woff2")}}'
    return html.replace("<style>", f"<style>{face}", 1)
