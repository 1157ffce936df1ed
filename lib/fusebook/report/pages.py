"""The pages of a run: executed notebooks as self-contained HTML."""

import re
from html import escape, unescape
from io import BytesIO
from itertools import count
from pathlib import Path

import latex2mathml.converter
import nbformat
from fontTools import subset
from fontTools.ttLib import TTFont
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from fusebook import ASSETS, runs
from fusebook.findings import Findings, anchor
from fusebook.inspection import cards, twin
from fusebook.plots.charts import CJK_FONT
from fusebook.report import parts, tables
from fusebook.runs import Run

TEMPLATES = ASSETS / "template"
CONTENTS = "<!--contents-->"  # where the template wants them; known only when the page is whole
SHOWN_TYPES = [
    "application/vnd.jupyter.widget-view+json", "text/html", "text/markdown", "image/svg+xml", "image/png", "text/plain",
]  # fmt: skip


class _MathMLRenderer(IPythonRenderer):
    """Markdown whose formulas become MathML, so that a page needs no script and no network."""

    def block_math(self, body: str) -> str:
        return latex2mathml.converter.convert(body.strip(), display="block")

    def inline_math(self, body: str) -> str:
        return latex2mathml.converter.convert(body.strip())

    def heading(self, text: str, level: int, **attrs) -> str:
        name = escape(anchor(unescape(re.sub(r"<[^>]*>", "", text)).strip()))
        # Below the title, a heading is a link to itself, whose address a reader can copy.
        linked = level > 1 and "<a " not in text
        inside = f'<a class="anchor" href="#{name}">{text}</a>' if linked else text
        return f'<h{level} id="{name}">{inside}</h{level}>\n'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


def markdown_to_html(source: str) -> str:
    """Markdown with formulas as HTML with MathML; headings carry anchors."""
    renderer = _MathMLRenderer(escape=False)
    return MarkdownWithMath(renderer=renderer).render(source)


def export_page(run: Run | Path, step, *, alone: str = "") -> Path:
    """Write the HTML page of one executed notebook of ``run``: one file that asks no network for anything.

    ``step`` has name, known and parameters, as ``steps.Step``. ``alone`` is the title of a page that stands beside the
    runs, without a first page to go back to. Returns the page's path.
    """
    run = Run(run)
    notebook = nbformat.read(run.folder / "notebooks" / f"{step.name}.ipynb", as_version=4)
    title = page_title(notebook)
    _prepare(notebook)
    exporter = HTMLExporter(
        template_name="fusebook",
        extra_template_basedirs=[str(TEMPLATES)],
        filters={"markdown2html": lambda source: tables.dressed(markdown_to_html(source))},
    )
    exporter.register_filter("filter_data_type", _shown_type)
    # A progress bar is drawn over and over: its last state counts, and once it is wiped there is nothing to show.
    exporter.register_preprocessor(CoalesceStreamsPreprocessor, enabled=True)
    page = {"title": alone or title, "run": run.folder.name, "alone": alone}
    page |= {"style": page_style(), "top": _top(run, step, notebook)}
    if _has_twin(notebook):
        page |= {"script": twin.script(), "script_hash": parts.script_hash(twin.script())}
    html, _ = exporter.from_notebook_node(notebook, resources={"page": page})
    html = html.replace(CONTENTS, parts.contents(html))
    path = run.folder / f"{step.name}.html"
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
    """Drop cells that only papermill needs, and make figures and tables fit for a page and for those who can't see."""
    tags = {"injected-parameters", "parameters", "papermill-error-cell-tag"}
    notebook.cells = [cell for cell in notebook.cells if not tags & set(cell.metadata.get("tags", []))]
    sentence, section, number = "", "", count(1)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            sentence = _last_sentence(cell.source)
            section = ([section, *re.findall(r"^#+ (.*?)\s*$", cell.source, re.MULTILINE)])[-1]
            continue
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if data.get("text/html", "").startswith("<svg"):
                data["text/html"] = parts.chart(data["text/html"], sentence, next(number))
            elif "text/html" in data:
                data["text/html"] = tables.dressed(data["text/html"], section)
            elif "image/svg+xml" in data:
                output.metadata["figure"] = parts.figure(data["image/svg+xml"], sentence, next(number))
            elif "image/png" in data:
                output.metadata["figure"] = parts.picture(data["image/png"], sentence, next(number))


def _last_sentence(source: str) -> str:
    """What stands before a cell, without marks and the colon at its end: the title of a figure that has none."""
    plain = re.sub(r"[*`#]", "", source.strip().split("\n")[-1]).rstrip(":： ")
    return re.split(r"(?<=[.!?;:])\s+|(?<=[。！？；：])", plain)[-1]


def _top(run: Run, step, notebook) -> str:
    """Title, introduction, findings and parameters: what a reader wants before the story."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = set(re.findall(r"^#+ (.*?)\s*$", prose, re.MULTILINE))
    found = parts.findings(Findings.load(run, step.name), headings)
    introduction = f'<div class="prose">{markdown_to_html(notebook.cells[0].source)}</div>'
    return "\n".join([introduction, found, parts.parameters(step.known, step.parameters)])


def page_style() -> str:
    """The one stylesheet of all pages."""
    return "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "twin.css", "cards.css"))


def with_font(html: str) -> str:
    """``html`` with those Chinese, Japanese and Korean glyphs embedded that it uses, for machines without such fonts."""
    wanted = {ord(character) for character in set(html) if ord(character) > 0x2E7F}
    if not wanted:
        return html
    font = TTFont(CJK_FONT, lazy=True)
    options = subset.Options(flavor="woff2", layout_features=[], hinting=False, notdef_outline=True, name_IDs=[])
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=wanted)
    cutter.subset(font)
    font.flavor = "woff2"
    stream = BytesIO()
    font.save(stream)
    url = cards.inline(stream.getvalue(), "font/woff2")
    # It comes first in the stylesheet, as Chromium may keep the boxes that it drew from a later font of the list; the
    # range leaves Latin letters, and the height of a line, to the reader's own fonts.
    face = f'@font-face{{font-family:"Fusebook CJK";unicode-range:U+2e80-10ffff;src:url({url}) format("woff2")}}'
    return html.replace("<style>", f"<style>{face}", 1)
