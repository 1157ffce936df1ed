"""Lines, code and charts of notebook 00: the right numbers in the right places; pages can show the charts."""

import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from fusebook import by_hand, plots

pytestmark = pytest.mark.filterwarnings("error:Glyph .* missing")

SVG = "{http://www.w3.org/2000/svg}"
CHARTS = {
    "text_chain": ["text", "text features", "MLP", "class probabilities"],
    "fusion_chain": [
        *("text", "image", "audio", "text features", "image features", "audio features", "feature-level fusion", "MLP"),
        *("text MLP", "image MLP", "audio MLP", "decision-level fusion", "class probabilities"),
    ],
}


@pytest.fixture(autouse=True)
def style(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a figure was shown")

    monkeypatch.setattr(plt, "show", refuse)
    with mpl.rc_context():
        plots.use_style()
        yield
    plt.close("all")


def table(n_lines=2, n_epochs=4):
    values = np.arange(n_lines * n_epochs, dtype=float).reshape(n_epochs, n_lines) + 1
    index = pd.RangeIndex(1, n_epochs + 1, name="epoch")
    return pd.DataFrame(values, index=index, columns=[f"线 {i}" for i in range(n_lines)])


# --- Lines and code -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_lines", [1, 5])
def test_a_line_a_column(n_lines):
    given = table(n_lines)
    ax = by_hand.plot_lines(given, title="title", ylabel="loss")
    for line, (name, values) in zip(ax.lines, given.items(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([given.index, values]))
        assert line.get_label() == name
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == ("epoch", "loss", "title")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(given)
    ax.figure.canvas.draw()


def test_two_lines_that_coincide_can_both_be_seen():
    given = table(1)
    below, above = by_hand.plot_lines(given.assign(again=given["线 0"])).lines
    assert below.get_linewidth() > above.get_linewidth() and above.get_linestyle() != "-"
    assert below.get_color() != above.get_color()


def test_powers_of_ten_are_written_without_formulas():
    ax = by_hand.plot_lines(table() / 10.0 ** np.arange(8).reshape(4, 2), log=True)
    ax.figure.canvas.draw()
    ticks = [label.get_text() for label in ax.get_yticklabels()]
    assert ax.get_yscale() == "log" and "0.001" in ticks and not any("$" in text for text in ticks)


def test_whole_numbers_get_whole_ticks_and_given_axes_are_used():
    _, ax = plt.subplots()
    assert by_hand.plot_lines(table(n_epochs=3), ax=ax) is ax
    ax.figure.canvas.draw()
    assert all(float(tick).is_integer() for tick in ax.get_xticks())


def test_code_is_shown_as_it_stands():
    shown = by_hand.source(by_hand.Network.forward, by_hand.Network.step).data
    assert shown.startswith("```python\ndef forward(self") and shown.endswith("```") and "\ndef step(self" in shown


# --- Charts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "boxes"), CHARTS.items())
def test_a_chart_has_its_boxes_and_words_and_asks_for_nothing(name, boxes):
    html = by_hand.diagram(name).data
    chart = ET.fromstring(html)
    assert sorted(" ".join(text.itertext()) for text in chart.iter(SVG + "text")) == sorted(boxes)
    assert html.startswith("<svg") and chart.get("role") == "img"
    assert chart[0].text and chart.get("aria-labelledby") == chart[0].get("id")
    assert chart[1].text and chart.get("aria-describedby") == chart[1].get("id")
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|href|<style|<script|font-family", html)


def test_no_two_charts_share_an_id():
    ids = [part.get("id") for name in CHARTS for part in ET.fromstring(by_hand.diagram(name).data).iter()]
    assert len(set(ids)) == len([i for i in ids if i]) + 1 == 5


@pytest.fixture(scope="module")
def page_with_charts(tmp_path_factory):
    """A page of ours, made from a notebook that shows both charts."""
    import nbformat

    from fusebook.report import pages

    run = tmp_path_factory.mktemp("run")
    (run / "notebooks").mkdir()
    shown = [nbformat.v4.new_output("display_data", {"text/html": by_hand.diagram(name).data, "text/plain": "x"})
             for name in CHARTS]  # fmt: skip
    cells = [nbformat.v4.new_markdown_cell("# Charts"), nbformat.v4.new_code_cell("show", outputs=shown)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), run / "notebooks" / "charts.ipynb")
    return pages.export_page(run, SimpleNamespace(name="charts", known={}, parameters={}))


def test_our_template_leaves_charts_as_they_are(page_with_charts):
    shown = BeautifulSoup(page_with_charts.read_text(encoding="utf-8"), "html.parser").find_all("svg")
    for name, svg in zip(CHARTS, shown, strict=True):
        assert svg == BeautifulSoup(by_hand.diagram(name).data, "html.parser").svg
        assert svg.parent["class"] == ["figure-box"] and svg.parent["aria-label"].endswith(svg.title.get_text())


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_browser_shows_charts_that_can_be_read(browser, page_with_charts, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(page_with_charts.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    texts = page.evaluate("""[...document.querySelectorAll("rect")].map(rect => {
        const text = rect.nextElementSibling, box = rect.getBoundingClientRect(), words = text.getBoundingClientRect()
        const size = parseFloat(getComputedStyle(text).fontSize) * rect.getScreenCTM().a
        return [words.left - box.left, box.right - words.right, words.top - box.top, box.bottom - words.bottom, size]
    })""")
    assert len(texts) == sum(map(len, CHARTS.values()))
    assert np.min(texts, axis=0)[:4].min() > 0, "text fits its box"
    assert np.min(texts, axis=0)[4] > 11, "letters of 11 pixels at least"
    colours = page.evaluate("""(() => { const css = (selector, name) => getComputedStyle(document.querySelector(selector))[name]
        return [css("svg text", "fill"), css("svg path", "stroke"), css("svg rect", "stroke"), css("svg rect", "fill"),
                css("body", "backgroundColor")] })()""")
    text, arrow, edge, inside, paper = ([int(n) for n in re.findall(r"\d+", colour)[:3]] for colour in colours)
    assert contrast(text, inside) > 7 and contrast(arrow, paper) > 7 and contrast(edge, paper) > 3
    page.close()


def contrast(one, other) -> float:
    """The contrast of two colours, as WCAG 2 defines it."""

    def light(colour):
        shares = [value / 255 for value in colour]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return np.dot(linear, [0.2126, 0.7152, 0.0722])

    dark, bright = sorted([light(one), light(other)])
    return (bright + 0.05) / (dark + 0.05)
