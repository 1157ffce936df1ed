"""Figures and the control of notebook 00: the right numbers in the right places, and a control that works without a kernel."""

import re

import matplotlib as mpl

mpl.use("agg")

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from sklearn.datasets import make_moons

from fusebook.by_hand import lessons, show
from fusebook.plots import charts

pytestmark = pytest.mark.filterwarnings("error:Glyph .* missing")


@pytest.fixture(autouse=True)
def style(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a figure was shown")

    monkeypatch.setattr(plt, "show", refuse)
    with mpl.rc_context():
        charts.use_style()
        yield
    plt.close("all")


def table(n_lines=2, n_epochs=4):
    values = np.arange(n_lines * n_epochs, dtype=float).reshape(n_epochs, n_lines) + 1
    index = pd.RangeIndex(1, n_epochs + 1, name="epoch")
    return pd.DataFrame(values, index=index, columns=[f"线 {i}" for i in range(n_lines)])


def region(probabilities, epoch=3, accuracy=0.75):
    return lessons.Regions(epoch, (-1.0, -2.0, 3.0, 4.0), np.asarray(probabilities, float), accuracy)


POINTS = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, -1.0]]), np.array([0, 1, 1])
HALVES = np.tile([0.1, 0.9], (4, 2)).repeat(2, axis=1)[:, [0, 1, 4, 5]]


# --- Lines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_lines", [1, 2, 5])
def test_a_line_a_column(n_lines):
    given = table(n_lines)
    ax = show.plot_lines(given, title="title", ylabel="loss")
    for line, (name, values) in zip(ax.lines, given.items(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([given.index, values]))
        assert line.get_label() == name
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == ("epoch", "loss", "title")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(given)
    ax.figure.canvas.draw()


def test_two_lines_that_coincide_can_both_be_seen():
    given = table(1)
    ax = show.plot_lines(given.assign(again=given["线 0"]))
    below, above = ax.lines
    assert below.get_linewidth() > above.get_linewidth() and above.get_linestyle() != "-"
    assert below.get_color() != above.get_color()


def test_powers_of_ten_are_written_without_formulas():
    ax = show.plot_lines(table() / 10.0 ** np.arange(8).reshape(4, 2), log=True)
    ax.figure.canvas.draw()
    said = [label.get_text() for label in ax.get_yticklabels()]
    assert ax.get_yscale() == "log" and "0.001" in said and not any("$" in text for text in said)


def test_whole_numbers_get_whole_ticks_and_given_axes_are_used():
    _, ax = plt.subplots()
    assert show.plot_lines(table(n_epochs=3), ax=ax) is ax
    ax.figure.canvas.draw()
    assert all(float(tick).is_integer() for tick in ax.get_xticks())


# --- Regions ------------------------------------------------------------------------------------------


def test_a_panel_an_epoch_and_a_line_a_story():
    stories = {"a": [region(HALVES, 0), region(HALVES, 9)], "b": [region(HALVES, 0), region(HALVES, 9)]}
    axes = show.plot_regions(stories, POINTS, title="两个故事")
    assert axes.shape == (2, 2)
    assert [ax.get_title(loc="left") for ax in axes[0]] == ["epoch 0: 75 %", "epoch 9: 75 %"]
    assert [line[0].get_ylabel() for line in axes] == ["a", "b"]
    assert axes[0, 0].figure.get_suptitle() == "两个故事"
    axes[0, 0].figure.canvas.draw()


def test_each_side_has_its_class_colour_and_doubt_is_clear():
    ax = show.plot_regions({"": [region([[0.0, 0.5], [0.95, 1.0]])]}, POINTS)[0, 0]
    (picture,) = ax.images
    shown = picture.get_array()
    first, second = (mpl.colors.to_rgb(colour) for colour in charts.COLOURS[:2])
    np.testing.assert_allclose(shown[0, 0, :3], first)
    np.testing.assert_allclose(shown[1, :, :3], [second, second])
    assert shown[0, 1, 3] == 0 < shown[1, 0, 3] < shown[1, 1, 3] == shown[0, 0, 3]
    assert picture.origin == "lower" and picture.get_extent() == [-1, 3, -2, 4]


def test_points_keep_their_places_and_colours():
    ax = show.plot_regions({"": [region(HALVES)]}, POINTS)[0, 0]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), POINTS[0][:1])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), POINTS[0][1:])
    assert [line.get_color() for line in ax.lines] == charts.COLOURS[:2]
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 3), (-2, 4))


def test_the_border_is_where_both_classes_are_equally_probable():
    steps = np.tile(np.linspace(0, 1, 21), (21, 1))  # class 1 grows from left to right
    ax = show.plot_regions({"": [region(steps)]}, POINTS)[0, 0]
    (contour,) = ax.collections
    border = np.vstack([path.vertices for path in contour.get_paths()])
    np.testing.assert_allclose(border[:, 0], 1.0, atol=0.11)  # the middle from -1 to 3, to half a cell
    certain = show.plot_regions({"": [region(np.full((5, 5), 0.9))]}, POINTS)[0, 0]
    assert not certain.collections, "no border where one class has it all"


def test_divergence_is_said():
    lost = lessons.Regions(9, (-1.0, -2.0, 3.0, 4.0), np.empty((0, 0)), np.nan)
    axes = show.plot_regions({"": [region(HALVES, 0), lost]}, POINTS)
    assert axes[0, 1].get_title(loc="left") == "epoch 9: diverged"
    assert not axes[0, 1].images and "nan" not in axes[0, 1].get_title(loc="left")
    axes[0, 0].figure.canvas.draw()


# --- The control --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def halves():
    points, labels = make_moons(80, noise=0.2, random_state=0)
    return (points[:40], labels[:40]), (points[40:], labels[40:])


def titles(svg):
    """The panels' titles: matplotlib writes each text as a comment beside its outlines."""
    return re.findall(r"<!-- (epoch \d+: [^>]*?) -->", svg)


def test_the_figure_is_svg_that_html_can_hold(halves):
    svg = show.regions_svg(*halves, hidden=3)
    assert svg.startswith("<svg") and BeautifulSoup(svg, "html.parser").find("svg")["viewbox"]
    expected = lessons.decision_regions(*halves, hidden=3)
    assert titles(svg) == [f"epoch {now.epoch}: {100 * now.accuracy:.0f} %" for now in expected]
    assert not plt.get_fignums(), "no figure is left open"


def test_the_control_shows_the_choice(halves):
    box = show.playground(*halves)
    rate, hidden, activation, picture = box.children
    assert isinstance(picture, ipywidgets.HTML), "an Output widget can hang nbclient"
    first = titles(picture.value)
    assert first == titles(show.regions_svg(*halves))
    hidden.value, activation.value, rate.value = 2, "sigmoid", 1.0
    choice = {"hidden": 2, "activation": "sigmoid", "learning_rate": 1.0}
    assert titles(picture.value) == titles(show.regions_svg(*halves, **choice)) != first
    assert not rate.continuous_update and not hidden.continuous_update


@pytest.mark.parametrize("end", ["min", "max"])
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "linear"])
def test_the_ends_of_the_sliders_give_a_figure(halves, end, activation):
    rate, hidden, kind, picture = show.playground(*halves).children
    kind.value, hidden.value = activation, getattr(hidden, end)
    rate.value = rate.base ** getattr(rate, end)
    assert len(titles(picture.value)) == 4 and "nan" not in " ".join(titles(picture.value))
