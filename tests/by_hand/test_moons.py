"""The half moons of notebook 00: regions against the network itself, figures, and the control."""

import re
import warnings

import ipywidgets
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup

from fusebook import plots
from fusebook.by_hand.network import Network, momentum
from fusebook.plots.charts import COLOURS

HALVES = np.tile([0.1, 0.9], (4, 2)).repeat(2, axis=1)[:, [0, 1, 4, 5]]


@pytest.fixture(autouse=True)
def style():
    mpl.use("agg")
    with mpl.rc_context():
        plots.use_style()
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def moons():
    """100 points to train on and 300 held out."""
    from fusebook.by_hand import Moons  # Keras takes seconds

    moons = Moons(0)
    moons.train, moons.held_out = moons.train.split(100)[0], moons.held_out.split(300)[0]
    return moons


@pytest.fixture(scope="module")
def points():
    """Moons with three points in a plane of other ends, to be drawn only."""
    from fusebook.by_hand.moons import Moons, Task

    moons = Moons()
    moons.train = Task(np.array([[0.0, 0.0], [1.0, 2.0], [2.0, -1.0]]), np.eye(2)[[0, 1, 1]])
    moons.extent = (-1.0, -2.0, 3.0, 4.0)
    return moons


def region(probabilities, epoch=3, accuracy=0.75):
    from fusebook.by_hand.moons import Regions

    return Regions(epoch, np.asarray(probabilities, float), accuracy)


# --- Regions ------------------------------------------------------------------------------------------


def test_regions_are_the_networks_answers_after_so_many_epochs():
    from fusebook.by_hand import Moons

    moons = Moons(2)
    story = moons.story(epochs=(0, 3, 7), hidden=5)
    network = Network((2, 5, 2), ("relu", "softmax"), optimizer=momentum, learning_rate=0.1, random_state=2)
    left, bottom, right, top = moons.extent
    corners = np.array([[left, bottom], [right, bottom], [left, top], [right, top]])
    for now, more in zip(story, (0, 3, 4), strict=True):
        network.fit(*moons.train, epochs=more)
        shown = now.probabilities[[0, 0, -1, -1], [0, -1, 0, -1]]
        np.testing.assert_allclose(shown, network.forward(corners)[-1][:, 1], atol=1e-12)
        answers = network.forward(moons.held_out.rows)[-1].argmax(axis=1)
        assert now.accuracy == pytest.approx((answers == moons.held_out.labels).mean())
    assert [now.epoch for now in story] == [0, 3, 7]
    assert (moons.train.rows > [left, bottom]).all() and (moons.train.rows < [right, top]).all()


def test_more_units_and_epochs_bend_the_border():
    from fusebook.by_hand import Moons

    by_name = Moons().regions("activation", ["linear", "relu"])
    assert list(by_name) == ["linear", "relu"]
    assert by_name["linear"][-1].accuracy < 0.9 < by_name["relu"][-1].accuracy
    assert [now.epoch for now in by_name["relu"]] == [0, 5, 30, 200]


def test_settings_are_named(moons):
    rates = moons.regions("learning_rate", [0.001, 3.0])
    assert list(rates) == ["η = 0.001", "η = 3"]
    expected = moons.story(learning_rate=3.0)[-1].probabilities
    np.testing.assert_array_equal(rates["η = 3"][-1].probabilities, expected)
    assert list(moons.regions("hidden", [1, 64])) == ["units: 1", "units: 64"]


def test_where_training_diverges_the_rest_is_empty(moons):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        story = moons.story(learning_rate=1e300)
    assert story[0].probabilities.shape == (80, 80) and story[0].accuracy >= 0
    assert [now.probabilities.size for now in story[1:]] == [0, 0, 0]
    assert np.isnan([now.accuracy for now in story[1:]]).all() and story[-1].epoch == 200


def test_what_is_wrong_is_not_taken_for_divergence(moons):
    with pytest.raises(ValueError, match="'tanh' is not known"):
        moons.story(activation="tanh")


# --- Figures ------------------------------------------------------------------------------------------


def test_a_panel_an_epoch_and_a_line_a_story(points):
    stories = {"a": [region(HALVES, 0), region(HALVES, 9)], "b": [region(HALVES, 0), region(HALVES, 9)]}
    axes = points.plot(stories)
    assert axes.shape == (2, 2)
    assert [ax.get_title(loc="left") for ax in axes[0]] == ["epoch 0: 75 %", "epoch 9: 75 %"]
    assert [line[0].get_ylabel() for line in axes] == ["a", "b"]
    axes[0, 0].figure.canvas.draw()


def test_each_side_has_its_class_colour_and_doubt_is_clear(points):
    ax = points.plot({"": [region([[0.0, 0.5], [0.95, 1.0]])]})[0, 0]
    (picture,) = ax.images
    shown = picture.to_rgba(picture.get_array())
    first, second = (mpl.colors.to_rgb(colour) for colour in COLOURS[:2])
    np.testing.assert_allclose(shown[0, 0, :3], first)
    np.testing.assert_allclose(shown[1, :, :3], [second, second])
    assert shown[0, 1, 3] == 0 < shown[1, 0, 3] < shown[1, 1, 3] == shown[0, 0, 3]
    assert picture.origin == "lower" and picture.get_extent() == [-1, 3, -2, 4]


def test_points_keep_their_places_and_colours(points):
    ax = points.plot({"": [region(HALVES)]})[0, 0]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), points.train.rows[:1])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), points.train.rows[1:])
    assert [line.get_color() for line in ax.lines] == COLOURS[:2]
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 3), (-2, 4))


def test_the_border_is_where_both_classes_are_equally_probable(points):
    steps = np.tile(np.linspace(0, 1, 21), (21, 1))  # class 1 grows from left to right
    ax = points.plot({"": [region(steps)]})[0, 0]
    (contour,) = ax.collections
    border = np.vstack([path.vertices for path in contour.get_paths()])
    np.testing.assert_allclose(border[:, 0], 1.0, atol=0.11)  # the middle from -1 to 3, to half a cell
    certain = points.plot({"": [region(np.full((5, 5), 0.9))]})[0, 0]
    assert not certain.collections, "no border where one class has it all"


def test_divergence_is_said(points):
    axes = points.plot({"": [region(HALVES, 0), region(np.empty((0, 0)), 9, np.nan)]})
    assert axes[0, 1].get_title(loc="left") == "epoch 9: diverged" and not axes[0, 1].images
    axes[0, 0].figure.canvas.draw()


# --- The control --------------------------------------------------------------------------------------


def titles(svg):
    """The panels' titles: matplotlib writes each text as a comment beside its outlines."""
    return re.findall(r"<!-- (epoch \d+: [^>]*?) -->", svg)


def test_the_figure_is_svg_that_html_can_hold(moons):
    svg = moons.svg(hidden=3)
    assert svg.startswith("<svg") and BeautifulSoup(svg, "html.parser").find("svg")["viewbox"]
    assert titles(svg) == [f"epoch {now.epoch}: {100 * now.accuracy:.0f} %" for now in moons.story(hidden=3)]
    assert not plt.get_fignums(), "no figure is left open"


def test_the_control_shows_the_choice(moons):
    rate, hidden, activation, picture = moons.playground().children
    assert isinstance(picture, ipywidgets.HTML), "an Output widget can hang nbclient"
    first = titles(picture.value)
    assert first == titles(moons.svg())
    hidden.value, activation.value, rate.value = 2, "sigmoid", 1.0
    choice = {"hidden": 2, "activation": "sigmoid", "learning_rate": 1.0}
    assert titles(picture.value) == titles(moons.svg(**choice)) != first
    assert not rate.continuous_update and not hidden.continuous_update


@pytest.mark.parametrize(("end", "kind"), [("min", "sigmoid"), ("max", "relu"), ("max", "linear")])
def test_the_ends_of_the_sliders_give_a_figure(moons, end, kind):
    rate, hidden, activation, picture = moons.playground().children
    activation.value, hidden.value = kind, getattr(hidden, end)
    rate.value = rate.base ** getattr(rate, end)
    assert len(titles(picture.value)) == 4 and "nan" not in " ".join(titles(picture.value))
