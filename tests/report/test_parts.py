"""Contents, findings, parameters and figures of a page, and small pictures that a browser draws as it draws the figure."""

import base64
from io import BytesIO, StringIO
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image, PngImagePlugin

from fusebook.findings import Finding
from fusebook.plots import charts
from fusebook.plots.charts import INK, PAPER
from fusebook.plots.words import print_svg
from fusebook.report import parts

HOSTILE = "</script><img src=x onerror=alert(1)>"


def soup_of(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def test_contents_name_each_heading_of_the_second_level_once():
    html = '<h1 id="t">T</h1><h2 id="a">First <code>x</code></h2><h3 id="b">deep</h3><h2>no id</h2><h2 id="c">Last &amp; least</h2><h2 id="d">Last &amp; least</h2>'
    links = soup_of(parts.contents(html)).find_all("a")
    assert [(link["href"], link.get_text()) for link in links] == [("#a", "First x"), ("#c", "Last & least")]
    assert parts.contents("<p>none</p>") == ""


def test_a_finding_has_an_anchor_its_severity_and_a_link_to_its_place():
    found = [
        Finding("serious", f"Bad: {HOSTILE}", "How sure?"),
        Finding("", "Plain", ""),
        Finding("look", "最弱的类别是文娱。", "How sure?"),
        Finding("note", "Elsewhere", "Not on this page"),
    ]
    soup = soup_of(parts.findings(found, {"How sure?"}))
    items = soup.find_all("li")
    assert [item["id"] for item in items] == ["finding-1", "finding-2", "finding-3", "finding-4"]
    assert [link["href"] for link in soup.find_all("a")] == ["#How-sure?"] * 2
    assert [mark.get_text() for mark in soup.select(".severity")] == ["serious", "值得一看", "for the record"]
    assert [item.get("lang") for item in items] == [None, None, "zh", None]
    assert HOSTILE in items[0].get_text() and not soup.find(["script", "img"])
    assert parts.findings([], set()) == ""


def test_changed_parameters_are_told_by_a_word_and_by_name():
    known = {
        "run": {"default": '"reports/sample"', "help": ""},
        "epochs": {"default": "0", "help": "passes"},
        "hidden": {"default": "[]", "help": "units"},
        "text": {"default": '"text"', "help": HOSTILE},
        "image": {"default": '""', "help": "column"},
    }
    given = {"run": "elsewhere", "epochs": 3, "hidden": [], "text": "text", "image": HOSTILE}
    soup = soup_of(parts.parameters(known, given))
    rows = [[cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])] for row in soup.select("tbody tr")]
    assert rows == [
        ["epochs changed", "3", "0", "passes"],
        ["hidden", "[]", "[]", "units"],
        ["text", "text", "text", HOSTILE],
        ["image changed", HOSTILE, '""', "column"],
    ]
    assert soup.summary.get_text() == "Parameters 2 of 4 changed: epochs, image"
    assert not soup.find(["script", "img"]) and parts.parameters({}, {}) == ""


@pytest.fixture
def svg():
    figure, ax = plt.subplots(figsize=(7, 3), facecolor=PAPER)
    ax.barh(["a", HOSTILE], [1, 2.5])
    ax.text(0, 0, "x", color=INK)
    ax.set_title(f"Rows {HOSTILE}")
    yield print_svg(figure)
    plt.close(figure)


def test_a_figure_says_what_it_holds_and_takes_the_readers_colours(svg):
    soup = soup_of(parts.figure(svg, "the sentence before", 3))
    drawn = soup.svg
    assert drawn["role"] == "img" and drawn["aria-label"].startswith(f"Rows {HOSTILE}. Bars.")
    assert "2.5" in drawn["aria-label"] and not soup.find(["title", "metadata", "img", "script"])
    text = str(drawn)
    assert INK not in text and PAPER not in text and "currentColor" in text and "var(--paper)" in text
    assert soup.div["tabindex"] == "0" and soup.div["aria-label"] == f"Figure 3: Rows {HOSTILE}"


def test_no_two_figures_share_an_id_and_each_reference_finds_its_own(svg):
    soup = soup_of(parts.figure(svg, "", 1) + parts.figure(svg, "", 2))
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids)) > 0
    for number, drawn in enumerate(soup.find_all("svg"), 1):
        used = {tag["xlink:href"][1:] for tag in drawn.find_all("use")}
        used |= {tag["clip-path"][5:-1] for tag in drawn.find_all(attrs={"clip-path": True})}
        assert used and used <= {tag["id"] for tag in drawn.find_all(id=True)}
        assert all(name.startswith(f"figure{number}-") for name in used)


def test_a_figure_without_words_of_its_own_takes_the_sentence_before():
    plain = '<?xml version="1.0"?>\n<svg width="100pt" height="50pt" viewBox="0 0 100 50"><metadata><dc:creator><dc:title>Matplotlib</dc:title></dc:creator></metadata></svg>'
    soup = soup_of(parts.figure(plain, "The same as a picture", 1))
    assert soup.svg["aria-label"] == "The same as a picture."
    assert not soup.find(tabindex=True), "narrower than a phone, so it never scrolls"


def test_a_drawing_that_is_an_image_by_itself_keeps_its_words_and_colours():
    drawn = '<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 9 9"><title id="t">From text</title></svg>'
    soup = soup_of(parts.figure(drawn, "the sentence before", 2))
    assert str(soup.svg) == str(soup_of(drawn).svg)
    assert soup.div["aria-label"] == "Figure 2: From text" and soup.div["tabindex"] == "0"
    words = soup_of(parts.figure('<svg width="9pt"><text>role="img"</text></svg>', "before", 1)).svg["aria-label"]
    assert words == "before.", "only what the tag itself says counts"


@pytest.mark.parametrize("own", [True, False])
def test_a_png_says_what_it_holds(own):
    stream, words = BytesIO(), PngImagePlugin.PngInfo()
    if own:
        words.add_itxt("Title", 'Loss "now"')
        words.add_itxt("Description", "It falls.")
    Image.new("RGB", (30, 20)).save(stream, "png", pnginfo=words)
    html = parts.picture(base64.b64encode(stream.getvalue()).decode() + "\n", "Said before", 1)
    image = soup_of(html).img
    assert image["alt"] == ('Loss "now". It falls.' if own else "Said before. Picture of 30 by 20 points.")
    assert base64.b64decode(image["src"].split(",")[1]) == stream.getvalue()


# --- Small pictures ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chart():
    charts.use_style()
    figure, axes = plt.subplots(1, 2, figsize=(7, 3))
    x = np.linspace(0, 6, 300)
    axes[0].plot(x, np.sin(x))
    axes[0].scatter(x[::5], np.cos(x[::5]), s=9)
    axes[0].set(title="正弦 & <cos>", xlabel="100 %")
    axes[1].imshow(np.random.default_rng(0).random((20, 20)), aspect="auto")
    text = StringIO()
    figure.savefig(text, format="svg")
    plt.close(figure)
    return text.getvalue()


def notebook(*figures, tagged=None):
    cells = [
        SimpleNamespace(
            cell_type="code",
            metadata={"tags": [parts.TAG] * (i == tagged)},
            get=lambda name, default, figure=figure: [{"data": {"image/svg+xml": figure}}],
        )
        for i, figure in enumerate(figures)
    ]
    return SimpleNamespace(cells=cells)


def drawn(browser, source, scheme):
    page = browser.new_page(viewport={"width": 700, "height": 320}, color_scheme=scheme)
    page.set_content('<style>:root{color-scheme:light dark}body{margin:0}</style><img width="672" height="288">')
    page.evaluate("source => { const i = document.querySelector('img'); i.src = source; return i.decode() }", source)
    picture = np.asarray(Image.open(BytesIO(page.screenshot())).convert("L"), float)[:288, :672]
    page.close()
    return picture


def test_it_is_drawn_as_the_figure_is_and_smaller(browser, chart):
    small = parts.address(parts.smaller(chart))
    assert len(small) < 0.8 * len(parts.address(chart))
    before, after = (drawn(browser, source, "light") for source in (parts.address(chart), small))
    assert before.std() > 20
    assert np.abs(before - after).mean() < 1.5 and np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.99


def test_it_can_be_read_in_the_dark(browser, chart):
    small = parts.address(parts.smaller(chart))
    light, dark = (drawn(browser, small, scheme)[:, :40] for scheme in ("light", "dark"))  # digits of an axis
    assert np.median(light) > 240 and light.min() < 120
    assert np.median(dark) < 60 and dark.max() > 150


def test_the_tagged_figure_stands_for_the_page_else_the_first_that_fits(chart):
    changed = chart.replace("</svg>", "<g/></svg>")
    first, second = (parts.thumbnail(notebook(figure)) for figure in (chart, changed))
    assert first != second
    assert parts.thumbnail(notebook(chart, changed)) == first
    assert parts.thumbnail(notebook(chart, changed, tagged=1)) == second
    assert parts.thumbnail(notebook(changed, chart, tagged=0), len(first)) == first
    assert parts.thumbnail(notebook(chart), 1000) == parts.thumbnail(notebook()) == ""
