"""Small pictures of figures: a browser draws them as it draws the figure, in light and in dark."""

from io import BytesIO, StringIO
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from fusebook.plots import charts
from fusebook.report import parts


@pytest.fixture(scope="module")
def svg():
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


def test_it_is_drawn_as_the_figure_is_and_smaller(browser, svg):
    small = parts.address(parts.smaller(svg))
    assert len(small) < 0.8 * len(parts.address(svg))
    before, after = (drawn(browser, source, "light") for source in (parts.address(svg), small))
    assert before.std() > 20
    assert np.abs(before - after).mean() < 1.5 and np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.99


def test_it_can_be_read_in_the_dark(browser, svg):
    small = parts.address(parts.smaller(svg))
    light, dark = (drawn(browser, small, scheme)[:, :40] for scheme in ("light", "dark"))  # digits of an axis
    assert np.median(light) > 240 and light.min() < 120
    assert np.median(dark) < 60 and dark.max() > 150


def test_the_tagged_figure_stands_for_the_page_else_the_first_that_fits(svg):
    changed = svg.replace("</svg>", "<g/></svg>")
    first, second = (parts.thumbnail(notebook(figure)) for figure in (svg, changed))
    assert first != second
    assert parts.thumbnail(notebook(svg, changed)) == first
    assert parts.thumbnail(notebook(svg, changed, tagged=1)) == second
    assert parts.thumbnail(notebook(changed, svg, tagged=0), len(first)) == first
    assert parts.thumbnail(notebook(svg), 1000) == parts.thumbnail(notebook()) == ""
