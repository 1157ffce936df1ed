"""The pages: formulas, fonts, escaping, and what a real browser says with the network blocked."""

import base64
import hashlib
import re
from io import BytesIO
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont

from fusebook.findings import Finding
from fusebook.inspection import twin
from fusebook.plots.charts import INK, PAPER
from fusebook.report import pages, parts
from fusebook.runs import Run


def test_formulas_become_mathml():
    html = pages.markdown_to_html(r"The loss $-\sum_k y_k \log p_k$ and $$z = Wa + b$$")
    assert html.count("<math") == 2 and 'display="block"' in html and "$" not in html


def test_the_embedded_font_has_the_glyphs_of_the_page_and_no_others():
    html = pages.with_font("<style></style><p>时政 and 财经</p>")
    data = re.search(r"base64,([^)]+)\)", html)[1]
    font = TTFont(BytesIO(base64.b64decode(data)))
    assert {chr(code) for code in font.getBestCmap()} == set("时政财经")
    assert pages.with_font("<style></style><p>plain</p>") == "<style></style><p>plain</p>"


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["\r 1%|", "\r 50%|", "\r        \r"], []),  # a bar that was wiped at its end
        (["\r 1%|", "\r100%| done\n"], ["100%| done"]),
        (["careful\n"], ["careful"]),
    ],
)
def test_of_a_progress_bar_the_last_state_is_shown(tmp_path, pieces, shown):
    outputs = [nbformat.v4.new_output("stream", name="stderr", text=piece) for piece in pieces]
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("work()", outputs=outputs)]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "01_explore.ipynb")
    step = SimpleNamespace(name="01_explore", known={}, parameters={})
    page = BeautifulSoup(pages.export_page(tmp_path, step).read_text("utf-8"), "html.parser")
    assert [part.text.strip() for part in page.select("pre.stream")] == shown


def test_pages_are_small_and_ask_for_nothing(finished_run):
    made = sorted(finished_run.glob("*.html"))
    assert [page.stem for page in made][-1] == "index" and len(made) >= 7
    for page in made:
        text = page.read_text(encoding="utf-8")
        assert page.stat().st_size < 3_000_000
        assert not re.search(r'(src|href)="(https?:)?//', text)
        assert "<img src=x" not in text
        assert_only_our_script(text)


def assert_only_our_script(text):
    """What runs is a script of ours, once, allowed by its hash; all other scripts are data, which no browser runs."""
    found = BeautifulSoup(text, "html.parser").find_all("script")
    assert len(found) == text.lower().count("<script")
    ours = [script.string for script in found if not script.attrs]
    assert all(script.attrs == {"type": "application/json"} for script in found if script.attrs)
    known = [twin.script(), (pages.TEMPLATES / "copy.js").read_text("utf-8")]  # the latter on the first page
    assert ours == ([ours[0]] if found else []) and set(ours) <= set(known)
    digest = base64.b64encode(hashlib.sha256("".join(ours).encode()).digest()).decode()
    allowed = re.findall(r"script-src ([^;\"]*)", text.split("</head>")[0])
    assert allowed == ([f"'sha256-{digest}'"] if ours else [])


def test_what_a_notebook_kept_stands_on_its_page_as_text(tmp_path):
    hostile = "</script><img src=x onerror=alert(1)> *is* [not](http://x) `code`"
    found = Run(tmp_path).findings("01_explore")
    found += [
        Finding("look", hostile, "The table"),
        Finding("note", "Elsewhere.", "Nowhere"),
        Finding("", "Plain.", ""),
    ]
    found.save()
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_markdown_cell("## The table")]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "01_explore.ipynb")
    step = SimpleNamespace(name="01_explore", known={}, parameters={})
    page = BeautifulSoup(pages.export_page(Run(tmp_path), step).read_text("utf-8"), "html.parser")
    lines = page.select(".findings li")
    assert hostile in lines[0].text and [line.a["href"] if line.a else "" for line in lines] == ["#The-table", "", ""]
    assert not page.select("main img, main script, main em, main code") and page.find(id="The-table")


def test_an_empty_table_says_so_and_a_figure_that_is_not_drawn_leaves_nothing(tmp_path):
    table = pd.DataFrame(columns=["word", "effect"])
    data = {"text/html": table.to_html(), "text/plain": "Empty DataFrame"}
    shown = nbformat.v4.new_output("execute_result", data=data)
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("words", outputs=[shown])]
    cells += [nbformat.v4.new_markdown_cell("The same drawn:"), nbformat.v4.new_code_cell("plots.plot_words(words)")]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "05_inspect.ipynb")
    step = SimpleNamespace(name="05_inspect", known={}, parameters={})
    page = BeautifulSoup(pages.export_page(tmp_path, step).read_text("utf-8"), "html.parser")
    assert [cell.text for cell in page.select("main table :is(th, td):not(:empty)")] == ["word", "effect", "none"]
    assert not page.select("figure") and "None" not in page.main.text and "Empty DataFrame" not in page.main.text


def test_nothing_complains_on_a_page(finished_run):
    """What a cell writes to the error stream is progress, which a page does not show, and no warning."""
    for path in (finished_run / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                if output.get("name") == "stderr":
                    lines = [line for line in re.split(r"[\r\n]", output["text"]) if line.strip(" \x1b[A")]
                    assert all(re.search(r"\d+%\|", line) for line in lines), (path.name, output["text"][:300])


def test_a_page_has_its_parts(finished_run):
    text = (finished_run / "03_train.html").read_text(encoding="utf-8")
    assert text.index("What we found") < text.index("What comes in"), "findings come first"
    (row,) = BeautifulSoup(text, "html.parser").find_all("tr", class_="changed", string=None)[:1]
    assert [cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])][:3] == ["epochs changed", "3", "0"]
    assert '<details class="code">' in text and "<math" in text


def test_figures_take_the_readers_colours(finished_run):
    notebook = nbformat.read(finished_run / "notebooks" / "01_explore.ipynb", as_version=4)
    figures = [o.data["image/svg+xml"] for c in notebook.cells if c.cell_type == "code" for o in c.outputs
               if "image/svg+xml" in o.get("data", {})]  # fmt: skip
    assert len(figures) >= 4
    for svg in figures:
        inline = parts.figure(svg, "said", 1)
        assert INK not in inline and PAPER not in inline and "currentColor" in inline


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_browser_without_a_network_shows_every_page(browser, finished_run, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    said: list[str] = []
    for path in sorted(finished_run.glob("*.html")):
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"a script ran: {dialog.message}"))
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or said.append(f"request: {r.url}"))
        page.goto(path.as_uri())
        assert page.locator("h1").count() == 1, path.name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path.name} scrolls sideways"
        ink, paper = page.evaluate(
            "(() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor] })()"
        )
        brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
        assert (brightness[0] < brightness[1]) == (scheme == "light")
        page.close()
    context.close()
    assert said == []


def test_chinese_is_drawn_by_the_embedded_font(browser, finished_run):
    page = browser.new_page()
    page.goto((finished_run / "01_explore.html").as_uri())
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px \"Fusebook CJK\"', '技术'))")
    loaded = page.evaluate("[...document.fonts].map(face => face.status)")
    assert loaded == ["loaded"]
    page.close()
