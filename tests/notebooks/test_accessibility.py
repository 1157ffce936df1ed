"""Can everybody read the pages? What axe-core finds, what the keyboard reaches, what figures say, how paper looks."""

import re
from contextlib import contextmanager
from itertools import pairwise
from xml.etree import ElementTree

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe

from fusebook.findings import Findings
from fusebook.report import pages
from fusebook.runs import Run

CONTROLS = "a[href], button, input, select, textarea, summary, audio[controls], [tabindex='0']"
PHONE, DESK, PAPER = 390, 1280, 718  # pixels; the last is A4 less its margins
NAMES = ["00_mlp_by_hand", "01_explore", "02_preprocess", "03_train", "04_error_analysis", "05_inspect", "06_predict"]

# For each piece of text in a figure its colour and that of what lies under it: the smallest filled shape drawn before.
COLOURS_OF_TEXT = """
() => [...document.querySelectorAll('figure svg, svg[role=img]')].flatMap(svg => {
  const order = [...svg.querySelectorAll('path, rect, use, text')];
  const shapes = order.filter(s => {
    const style = getComputedStyle(s);
    return ['path', 'rect'].includes(s.tagName) && !s.closest('defs') && style.fill !== 'none' && +style.fillOpacity === 1
  });
  const texts = [...new Set(order.filter(s => s.tagName === 'use' && !s.closest('defs') &&
    s.parentNode.querySelector(':scope > defs')).map(s => s.parentNode))].map(g => g.querySelector('use'));
  return [...texts, ...order.filter(s => s.tagName === 'text')].map(text => {
    const at = text.getBoundingClientRect();
    const middle = new DOMPoint(at.x + at.width / 2, at.y + at.height / 2);
    const under = shapes.filter(s => s.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING &&
      s.isPointInFill(middle.matrixTransform(s.getScreenCTM().inverse()))).at(-1);
    const paper = getComputedStyle(document.body).backgroundColor;
    return [getComputedStyle(text).fill, under ? getComputedStyle(under).fill : paper]
  })
})
"""


@pytest.fixture
def opened(browser, finished_run):
    """A function that opens a page of the run: ``with opened(name, width, scheme) as page``."""

    @contextmanager
    def open_page(name: str, width: int = DESK, scheme: str = "light", **options):
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=scheme, offline=True, **options)
        page = context.new_page()
        page.goto((finished_run / f"{name}.html").as_uri())
        page.evaluate("document.fonts.ready")
        yield page
        context.close()

    return open_page


def _serious(page) -> list[tuple]:
    """What axe-core finds serious or critical; it does not look into figures, which are one image each to those who listen."""
    found = Axe().run(page, {"exclude": [["svg[role=img] > *"]]}).response["violations"]
    bad = [one for one in found if one["impact"] in ("serious", "critical")]
    return [(one["id"], len(one["nodes"]), one["nodes"][0]["html"][:300]) for one in bad]


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [
        ("index", "light", DESK), ("01_explore", "light", DESK), ("03_train", "dark", DESK),
        ("04_error_analysis", "light", PHONE), ("05_inspect", "dark", DESK),
    ],
)  # fmt: skip
def test_axe_finds_nothing_serious(opened, name, scheme, width):
    with opened(name, width, scheme, bypass_csp=True) as page:
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        assert _serious(page) == []


def test_axe_would_find_something(opened):
    with opened("index", bypass_csp=True) as page:
        page.evaluate(
            "document.querySelector('main').innerHTML += '<p style=color:#ccc;background:#fff>pale</p><img src=data:,>'"
        )
        assert {found[0] for found in _serious(page)} == {"color-contrast", "image-alt"}


@pytest.mark.parametrize("name", ["04_error_analysis", "05_inspect", "index"])
def test_the_tab_key_reaches_every_control_and_shows_where_it_is(opened, name):
    with opened(name) as page:
        page.evaluate("window.reached = new Set()")
        for _ in range(2000):  # more than any page has
            page.keyboard.press("Tab")
            html, outlined = page.evaluate(
                """(() => { const now = document.activeElement, style = getComputedStyle(now);
                const again = reached.has(now) && !now.matches('audio'); reached.add(now); // a player has several stops
                return [now === document.body || again ? '' : now.outerHTML.slice(0, 200),
                style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0] })()"""
            )
            if not html:  # past the last one
                break
            assert outlined, html
        missed = page.evaluate(
            f"""[...document.querySelectorAll("{CONTROLS}")].filter(one => !one.disabled && one.tabIndex >= 0 && !reached.has(one) &&
            one.checkVisibility({{visibilityProperty: true}})).map(one => one.outerHTML.slice(0, 200))"""
        )
        assert missed == [] and page.evaluate("reached.size") > 5


def test_a_skip_link_comes_first_and_leads_past_the_contents(opened):
    with opened("03_train") as page:
        page.keyboard.press("Tab")
        link = page.locator(".skip")
        assert link.evaluate("one => one === document.activeElement") and link.bounding_box()["y"] >= 0
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize("name", NAMES)
def test_what_scrolls_on_a_phone_can_be_scrolled_by_keyboard(opened, name):
    with opened(name, PHONE) as page:
        boxes = page.evaluate(
            """[...document.querySelectorAll('main *')].filter(one => one.scrollWidth > one.clientWidth + 1 &&
            ['auto', 'scroll'].includes(getComputedStyle(one).overflowX)).map(one => [one.tabIndex,
            one.getAttribute('role'), one.getAttribute('aria-label'), one.outerHTML.slice(0, 200)])"""
        )
        assert [box for box in boxes if box[0] != 0 or box[1] != "region" or not box[2]] == []
        if name == "04_error_analysis":
            box = page.evaluate_handle(
                "[...document.querySelectorAll('.outputs .table-box')].find(one => one.scrollWidth > one.clientWidth + 40)"
            ).as_element()
            box.focus()
            page.keyboard.press("ArrowRight")
            page.wait_for_function("one => one.scrollLeft > 0", arg=box)


@pytest.mark.parametrize("name", [*NAMES, "index"])
def test_names_languages_and_headings(opened, name):
    with opened(name) as page:
        assert page.locator("html").get_attribute("lang") == "en" and page.title()
        assert page.locator("main").count() == 1
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => +h.tagName[1])")
        assert levels.count(1) == 1 and levels[0] == 1
        assert all(later <= earlier + 1 for earlier, later in pairwise(levels)), levels
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
        assert len(ids) == len(set(ids))
        lost = page.evaluate(
            """[...document.querySelectorAll("a[href^='#']")].map(link => link.hash.slice(1)).filter(name =>
            !document.getElementById(name) && !document.getElementById(decodeURIComponent(name)))"""
        )
        assert lost == []


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_contents_stand_at_the_side_or_folded_at_the_top(opened, width):
    with opened("04_error_analysis", width) as page:
        side, folded = page.locator("nav.side"), page.locator("details.contents")
        assert (side.is_visible(), folded.is_visible()) == ((True, False) if width == DESK else (False, True))
        if width == PHONE:
            assert not folded.locator("a").first.is_visible()
            folded.locator("summary").click()
        links = (side if width == DESK else folded).locator("a")
        titles = page.locator("main h2").all_inner_texts()
        assert links.all_inner_texts() == list(dict.fromkeys(titles)) and len(titles) > 8
        links.last.click()
        assert page.evaluate("document.querySelector(':target').getBoundingClientRect().top < innerHeight")
        if width == DESK:
            assert side.bounding_box()["y"] >= 0, "it stays in sight"


def test_each_finding_has_an_address_and_leads_to_its_place(opened, finished_run):
    linked = 0
    for name in NAMES:
        found = Findings.load(Run(finished_run), name)
        with opened(name) as page:
            items = page.locator(".findings li").all()
            assert [item.get_attribute("id") for item in items] == [f"finding-{i + 1}" for i in range(len(found))]
            for item, one in zip(items, found, strict=True):
                assert one.text in item.inner_text()
                if one.place:
                    item.locator("a").last.click()
                    assert page.locator(":target").inner_text() == one.place
                    linked += 1
    assert linked > 10


@pytest.mark.parametrize("name", NAMES[:6])
def test_each_figure_says_what_it_holds(opened, finished_run, name):
    notebook = nbformat.read(finished_run / "notebooks" / f"{name}.ipynb", as_version=4)
    titles = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            svg = output.get("data", {}).get("image/svg+xml", "")
            if svg and 'role="img"' not in svg:  # flow charts bring words of their own
                named = [tag.text for tag in ElementTree.fromstring(svg) if tag.tag.endswith("}title")]
                titles.append(named[0] if named else "")
    with opened(name) as page:
        names = [one.get_attribute("aria-label") for one in page.locator(".figure-box > svg[aria-label]").all()]
        assert len(names) == len(titles)
        for text, title in zip(names, titles, strict=True):
            assert title in text and len(text) > len(title) + 30, text
        assert all(re.search(r"Bars|Lines?|Dots|Heat map|Boxes|Picture", text) for text in names), names
        silent = page.evaluate("[...document.images].filter(one => !one.alt.trim()).length")
        assert silent == 0


@pytest.mark.parametrize("name", NAMES)
def test_text_in_figures_can_be_read(opened, name):
    with opened(name) as page:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            pairs = {tuple(pair) for pair in page.evaluate(COLOURS_OF_TEXT)}
            assert pairs or name in ("02_preprocess",)
            assert {pair: round(_contrast(*pair), 2) for pair in pairs if _contrast(*pair) < 4.5} == {}, scheme


def _contrast(one: str, other: str) -> float:
    """WCAG 2's contrast of two colours as a browser writes them."""
    lights = []
    for colour in (one, other):
        parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_all_code_opens_without_a_script(opened):
    with opened("03_train", java_script_enabled=False) as page:
        code = page.locator("details.code pre")
        assert code.count() > 10 and not code.first.is_visible() and not code.last.is_visible()
        page.locator(".all-code input").check()
        assert code.first.is_visible() and code.last.is_visible()


@pytest.mark.parametrize("name", NAMES)
def test_paper_shows_all_tables_whole_and_nothing_to_click(opened, name):
    with opened(name, PAPER, "dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        for part in ("header", "nav", "details.code", ".skip", "details.contents"):
            assert not any(one.is_visible() for one in page.locator(part).all()), part
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert _contrast(paper, "rgb(0, 0, 0)") > 15, "paper is white, whatever the screen is"
        cut = page.evaluate(
            f"""[...document.querySelectorAll('main *')].filter(one => one.checkVisibility() && !one.closest('.unseen') &&
            one.getBoundingClientRect().right > {PAPER} + 1).map(one => one.outerHTML.slice(0, 120))"""
        )
        assert cut == []
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_chinese_shows_no_boxes(opened):
    # A box (the glyph of a missing letter) is narrower than a Chinese letter, which is as wide as it is high.
    for name in ("01_explore", "04_error_analysis"):
        with opened(name) as page:
            narrow = page.evaluate(
                """[...document.querySelectorAll('main :lang(zh)')].filter(one => !one.children.length && one.checkVisibility() && one.tagName !== 'OPTION' &&
                /^[\\u4e00-\\u9fff]{1,6}$/.test(one.textContent)).map(one => { const range = document.createRange();
                range.selectNodeContents(one); return [one.textContent, range.getBoundingClientRect().width /
                parseFloat(getComputedStyle(one).fontSize) / one.textContent.length] })"""
            )
            assert narrow and [one for one in narrow if one[1] < 0.95] == []


def test_a_heading_is_a_link_to_itself():
    html = pages.markdown_to_html('# Title\n\n## Why "this" & <that>?\n\n### See [x](http://y)')
    assert '<h1 id="Title">Title</h1>' in html
    assert '<h2 id="Why-&quot;this&quot;-&amp;-?"><a class="anchor"' in html
    assert html.count("<a ") == 2, "a heading that holds a link is none itself"
