"""Flow charts: well-formed, nothing overlaps, every arrow is there, hostile names stay text, and a browser agrees."""

import random
import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from types import SimpleNamespace

import matplotlib
import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import ImageFont

from fusebook.plots import diagrams
from fusebook.plots.charts import CJK_FONT
from fusebook.plots.diagrams import flow_chart
from fusebook.report import pages

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text></svg><script>alert(1)</script><img src=x onerror=alert(1)> \" ' & ]]> <table><td>"


def random_chart(seed: int) -> list[tuple[str, ...]]:
    """Paths through up to 14 boxes that never go back, many of them over several columns."""
    pick = random.Random(seed)
    names = [f"box {i} " + "x" * pick.randrange(12) for i in range(pick.randrange(2, 15))]
    return [tuple(sorted(pick.sample(names, pick.randrange(1, min(7, len(names)) + 1)), key=names.index))
            for _ in range(pick.randrange(1, 9))]  # fmt: skip


CHARTS = {
    "text": diagrams.TEXT_CHAIN,
    "fusion": diagrams.FUSION_CHAIN,
    "Chinese": [("文本", "文本特征提取与归一化处理", "多层感知机"), ("图像", "多层感知机", "类别概率"), ("图像", "类别概率")],
    "over all columns": [("a", "b", "c", "d"), ("a", "d"), ("b", "d"), ("a", "c")],
    "one box": [("alone",)],
    "apart": [("a", "b"), ("c", "d")],
    "long words": [("Donaudampfschifffahrtsgesellschaft", "WWWWMMMM " * 4, "ok"), ("ok", "ﷺ עברית العربية", "👍🏽 é̃")],
    "hostile": [(HOSTILE, "b"), ("a\x00\x0b\ud800z", "b")],
    **{f"random {seed}": random_chart(seed) for seed in range(25)},
}  # fmt: skip


def drawn(paths, **words):
    return ET.fromstring(flow_chart(paths, **{"title": "a title", "description": "a description"} | words))


def boxes(chart) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, right, bottom of each box by its text; the text of a box follows it."""
    found, parts = {}, list(chart)
    for rect, text in pairwise(parts):
        if rect.tag == SVG + "rect":
            assert text.tag == SVG + "text"
            x, y, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
            for span in text:
                assert x < float(span.get("x")) < x + width and y < float(span.get("y")) < y + height
            found[plain("".join(span.text for span in text))] = (x, y, x + width, y + height)
    return found


def plain(name: str) -> str:
    return re.sub("[\x00-\x1f\ud800-\udfff]", "�", re.sub(r"\s", "", name))


def arrows(chart) -> list[np.ndarray]:
    """Points along each arrow, from its start to the tip of its head, of shape (n, 2)."""
    lines, heads = [path for path in chart.iter(SVG + "path") if path.get("stroke")], []
    heads = [path for path in chart.iter(SVG + "path") if not path.get("stroke")]
    return [along(line.get("d"), head.get("d")) for line, head in zip(lines, heads, strict=True)]


def along(line: str, head: str) -> np.ndarray:
    points, share = [], np.linspace(0, 1, 60)[:, None]
    for letter, numbers in re.findall(r"([MCH])([^MCH]+)", line):
        values = [float(number) for number in numbers.split()]
        if letter == "M":
            points.append(np.array([values]))
        elif letter == "H":
            points.append(np.linspace(points[-1][-1], [values[0], points[-1][-1][1]], 60))
        else:
            start, (one, two, end) = points[-1][-1], np.reshape(values, (3, 2))
            points.append((1 - share) ** 3 * start + 3 * (1 - share) ** 2 * share * one
                          + 3 * (1 - share) * share**2 * two + share**3 * end)  # fmt: skip
    tip = [float(number) for number in re.match(r"M(\S+) ([^LVZ]+)", head).groups()]
    assert np.abs(points[-1][-1] - tip).max() < diagrams.HEAD + 0.01, "the head sits at the end of the line"
    return np.concatenate([*points, [tip]])


@pytest.mark.parametrize("paths", CHARTS.values(), ids=CHARTS)
def test_every_box_is_drawn_once_and_none_overlaps_another_or_leaves_the_chart(paths):
    chart = drawn(paths)
    found = boxes(chart)
    assert found.keys() == {plain(name) for path in paths for name in path}
    assert len(found) == len(list(chart.iter(SVG + "rect")))
    _, _, width, height = map(float, chart.get("viewBox").split())
    for left, top, right, bottom in found.values():
        assert 0 < left < right < width and 0 < top < bottom < height
    for one, other in combinations(found.values(), 2):
        apart = [other[0] - one[2], one[0] - other[2], other[1] - one[3], one[1] - other[3]]
        assert max(apart) >= min(diagrams.ROW_GAP, diagrams.COLUMN_GAP) - 0.01


@pytest.mark.parametrize("paths", CHARTS.values(), ids=CHARTS)
def test_every_arrow_leads_from_its_box_to_the_next_and_through_no_other(paths):
    chart = drawn(paths)
    found, ends = boxes(chart), set()
    for points in arrows(chart):
        assert (np.diff(points[:, 0]) > -0.01).all(), "an arrow never goes back"
        start = [
            name for name, box in found.items() if points[0] == pytest.approx([box[2], (box[1] + box[3]) / 2], abs=0.01)
        ]
        end = [
            name
            for name, box in found.items()
            if points[-1] == pytest.approx([box[0], (box[1] + box[3]) / 2], abs=0.01)
        ]
        ends.add((*start, *end))
        for left, top, right, bottom in found.values():
            inside = (points > [left + 0.1, top - 1]) & (points < [right - 0.1, bottom + 1])
            assert not inside.all(axis=1).any()
            beside = points[(points[:, 0] > left + 0.1) & (points[:, 0] < right - 0.1), 1]
            assert not len(beside) or np.ptp(beside) < 0.01, "an arrow bends only between columns"
    assert ends == {(plain(start), plain(end)) for path in paths for start, end in pairwise(path)}
    assert len(ends) == len(arrows(chart))


def test_boxes_stand_as_far_right_as_their_longest_path():
    found = boxes(drawn([("a", "d"), ("a", "b", "c", "d"), ("e", "c")]))
    lefts = sorted({box[0] for box in found.values()})
    assert {name: lefts.index(box[0]) for name, box in found.items()} == {"a": 0, "e": 0, "b": 1, "c": 2, "d": 3}


def test_the_paths_of_a_chain_stand_in_their_order():
    found = boxes(drawn(diagrams.FUSION_CHAIN))
    for names in (["text", "image", "audio"], ["feature-levelfusion", "textMLP", "imageMLP", "audioMLP"]):
        assert [found[name][1] for name in names] == sorted(found[name][1] for name in names)
    level = boxes(drawn(diagrams.TEXT_CHAIN))
    assert len({box[1] for box in level.values()}) == 1


def test_the_gap_is_wider_where_arrows_climb():
    found = boxes(drawn(diagrams.FUSION_CHAIN))
    level = found["textfeatures"][0] - found["text"][2]
    steep = found["textMLP"][0] - found["textfeatures"][2]
    assert level == pytest.approx(diagrams.COLUMN_GAP, abs=0.01) and steep > 1.5 * level


@pytest.mark.parametrize("long_first", [True, False])
def test_a_long_arrow_passes_where_its_path_stands(long_first):
    paths = [("a", "b", "d"), ("a", "c", "d"), ("a", "d")]
    chart = drawn(paths[::-1] if long_first else paths)
    (left, top, right, _), (*_, bottom) = sorted((boxes(chart)["b"], boxes(chart)["c"]), key=lambda box: box[1])
    within = [points[(points[:, 0] > left) & (points[:, 0] < right), 1] for points in arrows(chart)]
    (passing,) = (heights for heights in within if len(heights))
    assert (passing < top if long_first else passing > bottom).all()


@pytest.mark.parametrize("text", ["MLP", "class probabilities", "WWW MMM", "illicit fjord", "Größe_und=Maß+<>#$&", "ÉCOLE ĞÜŞ",
                                  "Привет мир", "Ελληνικά", "多层感知机，类别", "0123456789"])  # fmt: skip
def test_text_is_never_wider_than_measured(text):
    if max(text) > "\u2e7f":
        font = ImageFont.truetype(str(CJK_FONT), 1000)
    else:
        font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 1000)
    real = font.getlength(text) / 1000 * diagrams.FONT
    assert real <= diagrams._width(text) <= 1.6 * real


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("class probabilities", ["class", "probabilities"]),
        ("text  \n features", ["text features"]),
        ("decision-level fusion", ["decision-level", "fusion"]),
        ("文本特征提取与归一化处理", ["文本特征提取与", "归一化处理"]),
        ("使用 MLP 模型来预测类别", ["使用 MLP 模型", "来预测类别"]),
    ],
)
def test_names_break_where_people_break_them(name, lines):
    assert [span.text for span in drawn([(name,)]).iter(SVG + "tspan")] == lines


def test_names_are_text_whatever_they_hold():
    chart = drawn([(HOSTILE, "b")], title=HOSTILE, description=HOSTILE)
    assert {part.tag.removeprefix(SVG) for part in chart.iter()} == {
        "svg",
        "title",
        "desc",
        "rect",
        "text",
        "tspan",
        "path",
    }
    assert chart[0].text == chart[1].text == HOSTILE


def test_those_who_see_nothing_are_told_and_ids_are_unique():
    charts = [
        drawn([("a", "b")]),
        drawn([("a", "c")]),
        drawn([("a", "b")], title="other"),
        drawn([("a", "b")], description="x"),
    ]
    for chart in charts:
        assert chart.get("role") == "img" and [chart[0].tag, chart[1].tag] == [SVG + "title", SVG + "desc"]
        assert chart.get("aria-labelledby") == chart[0].get("id") and chart.get("aria-describedby") == chart[1].get(
            "id"
        )
    ids = [part.get("id") for chart in charts for part in chart.iter() if part.get("id")]
    assert len(ids) == len(set(ids)) == 8


def test_a_chart_asks_for_nothing_and_is_the_same_each_time():
    svg = flow_chart(diagrams.FUSION_CHAIN, title="t", description="d")
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|href|<style|<script|font-family", svg)
    assert svg == flow_chart(diagrams.FUSION_CHAIN, title="t", description="d")


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ([], r"paths is \[\]; expected a list of paths"),
        ("text", "paths is 'text'; expected a list"),
        ([()], r"A path is \(\); expected the names"),
        (["text"], "A path is 'text'; expected the names"),
        ([("a", "")], r"A path is \('a', ''\)"),
        ([("a", " \n")], "expected the names of its boxes"),
        ([("a", None)], "expected the names of its boxes"),
        ([("a", "a")], "in a circle, a ▶ a; expected an order"),
        ([("a", "b", "a")], "in a circle.*Leave out one"),
        ([("a", "b"), ("b", "c"), ("c", "a")], "in a circle"),
    ],
)
def test_what_is_no_chart_is_refused(paths, said):
    with pytest.raises(ValueError, match=said):
        flow_chart(paths, title="t", description="d")


@pytest.mark.parametrize("words", [{"title": " "}, {"description": ""}])
def test_a_chart_without_words_is_refused(words):
    with pytest.raises(ValueError, match="expected words for those who can't see"):
        flow_chart([("a", "b")], **{"title": "t", "description": "d"} | words)


# --- In a page ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page_with_charts(tmp_path_factory):
    """A page of ours, made from a notebook that shows all charts through HTML."""
    run = tmp_path_factory.mktemp("run")
    (run / "notebooks").mkdir()
    shown = [nbformat.v4.new_output("display_data", {"text/html": flow_chart(paths, title=name, description="d"), "text/plain": "x"})
             for name, paths in CHARTS.items()]  # fmt: skip
    cells = [nbformat.v4.new_markdown_cell("# Charts"), nbformat.v4.new_code_cell("show", outputs=shown)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), run / "notebooks" / "charts.ipynb")
    return pages.export_page(run, SimpleNamespace(name="charts", known={}, parameters={}))


def test_our_template_leaves_charts_as_they_are(page_with_charts):
    shown = BeautifulSoup(page_with_charts.read_text(encoding="utf-8"), "html.parser").find_all("svg")
    for (name, paths), svg in zip(CHARTS.items(), shown, strict=True):
        assert svg == BeautifulSoup(flow_chart(paths, title=name, description="d"), "html.parser").svg
        assert svg.parent["class"] == ["figure-box"] and svg.parent["aria-label"].endswith(svg.title.get_text())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_charts_that_can_be_read(browser, page_with_charts, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto(page_with_charts.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    texts = page.evaluate("""[...document.querySelectorAll("rect")].map(rect => {
        const box = rect.getBoundingClientRect(), text = rect.nextSibling.getBoundingClientRect()
        const scale = rect.getScreenCTM().a, size = parseFloat(getComputedStyle(rect.nextSibling).fontSize) * scale
        return [text.left - box.left, box.right - text.right, text.top - box.top, box.bottom - text.bottom, size]
    })""")
    assert len(texts) == sum(len({name for path in paths for name in path}) for paths in CHARTS.values())
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
