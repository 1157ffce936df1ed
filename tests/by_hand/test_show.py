"""Figures, charts and the control of notebook 00: the right numbers in the right places; pages can show the charts."""

import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import matplotlib as mpl

mpl.use("agg")

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from fusebook import by_hand, plots
from fusebook.plots.charts import COLOURS

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


def region(probabilities, epoch=3, accuracy=0.75):
    from fusebook.by_hand.lessons import Regions

    return Regions(epoch, (-1.0, -2.0, 3.0, 4.0), np.asarray(probabilities, float), accuracy)


@pytest.fixture(scope="module")
def points():
    from fusebook.by_hand.lessons import Task

    return Task(np.array([[0.0, 0.0], [1.0, 2.0], [2.0, -1.0]]), np.eye(2)[[0, 1, 1]])


HALVES = np.tile([0.1, 0.9], (4, 2)).repeat(2, axis=1)[:, [0, 1, 4, 5]]


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


def test_the_slopes_are_those_of_the_functions():
    left, right = by_hand.plot_activations()
    for curve, slope in zip(left.lines, right.lines, strict=True):
        z, values = curve.get_xydata().T
        measured = np.gradient(values, z)
        away = np.abs(z) > 0.1  # ReLU has a corner at 0
        np.testing.assert_allclose(slope.get_ydata()[away], measured[away], atol=0.002)
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["sigmoid", "relu"]


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


# --- Regions ------------------------------------------------------------------------------------------


def test_a_panel_an_epoch_and_a_line_a_story(points):
    stories = {"a": [region(HALVES, 0), region(HALVES, 9)], "b": [region(HALVES, 0), region(HALVES, 9)]}
    axes = by_hand.plot_regions(stories, points)
    assert axes.shape == (2, 2)
    assert [ax.get_title(loc="left") for ax in axes[0]] == ["epoch 0: 75 %", "epoch 9: 75 %"]
    assert [line[0].get_ylabel() for line in axes] == ["a", "b"]
    axes[0, 0].figure.canvas.draw()


def test_each_side_has_its_class_colour_and_doubt_is_clear(points):
    ax = by_hand.plot_regions({"": [region([[0.0, 0.5], [0.95, 1.0]])]}, points)[0, 0]
    (picture,) = ax.images
    shown = picture.get_array()
    first, second = (mpl.colors.to_rgb(colour) for colour in COLOURS[:2])
    np.testing.assert_allclose(shown[0, 0, :3], first)
    np.testing.assert_allclose(shown[1, :, :3], [second, second])
    assert shown[0, 1, 3] == 0 < shown[1, 0, 3] < shown[1, 1, 3] == shown[0, 0, 3]
    assert picture.origin == "lower" and picture.get_extent() == [-1, 3, -2, 4]


def test_points_keep_their_places_and_colours(points):
    ax = by_hand.plot_regions({"": [region(HALVES)]}, points)[0, 0]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), points.rows[:1])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), points.rows[1:])
    assert [line.get_color() for line in ax.lines] == COLOURS[:2]
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 3), (-2, 4))


def test_the_border_is_where_both_classes_are_equally_probable(points):
    steps = np.tile(np.linspace(0, 1, 21), (21, 1))  # class 1 grows from left to right
    ax = by_hand.plot_regions({"": [region(steps)]}, points)[0, 0]
    (contour,) = ax.collections
    border = np.vstack([path.vertices for path in contour.get_paths()])
    np.testing.assert_allclose(border[:, 0], 1.0, atol=0.11)  # the middle from -1 to 3, to half a cell
    certain = by_hand.plot_regions({"": [region(np.full((5, 5), 0.9))]}, points)[0, 0]
    assert not certain.collections, "no border where one class has it all"


def test_divergence_is_said(points):
    axes = by_hand.plot_regions({"": [region(HALVES, 0), region(np.empty((0, 0)), 9, np.nan)]}, points)
    assert axes[0, 1].get_title(loc="left") == "epoch 9: diverged" and not axes[0, 1].images
    axes[0, 0].figure.canvas.draw()


# --- The control --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def halves():
    train, held_out = by_hand.two_moons(random_state=0)
    return train.split(40)[0], held_out.split(40)[0]


def titles(svg):
    """The panels' titles: matplotlib writes each text as a comment beside its outlines."""
    return re.findall(r"<!-- (epoch \d+: [^>]*?) -->", svg)


def test_the_figure_is_svg_that_html_can_hold(halves):
    from fusebook.by_hand import lessons, show

    svg = show.regions_svg(*halves, hidden=3)
    assert svg.startswith("<svg") and BeautifulSoup(svg, "html.parser").find("svg")["viewbox"]
    expected = lessons.decision_regions(*halves, hidden=3)
    assert titles(svg) == [f"epoch {now.epoch}: {100 * now.accuracy:.0f} %" for now in expected]
    assert not plt.get_fignums(), "no figure is left open"


def test_the_control_shows_the_choice(halves):
    from fusebook.by_hand.show import regions_svg

    rate, hidden, activation, picture = by_hand.playground(*halves).children
    assert isinstance(picture, ipywidgets.HTML), "an Output widget can hang nbclient"
    first = titles(picture.value)
    assert first == titles(regions_svg(*halves))
    hidden.value, activation.value, rate.value = 2, "sigmoid", 1.0
    choice = {"hidden": 2, "activation": "sigmoid", "learning_rate": 1.0}
    assert titles(picture.value) == titles(regions_svg(*halves, **choice)) != first
    assert not rate.continuous_update and not hidden.continuous_update


@pytest.mark.parametrize(("end", "kind"), [("min", "sigmoid"), ("max", "relu"), ("max", "linear")])
def test_the_ends_of_the_sliders_give_a_figure(halves, end, kind):
    rate, hidden, activation, picture = by_hand.playground(*halves).children
    activation.value, hidden.value = kind, getattr(hidden, end)
    rate.value = rate.base ** getattr(rate, end)
    assert len(titles(picture.value)) == 4 and "nan" not in " ".join(titles(picture.value))
