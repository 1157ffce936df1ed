"""A figure in words against the numbers it was drawn from."""

import re
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from fusebook.plots import charts, fusion, words
from fusebook.plots.words import MOST_CHARACTERS, describe, print_svg


@pytest.fixture(autouse=True)
def closed():
    charts.use_style()
    yield
    plt.close("all")


def told(drawn) -> tuple[str, str]:
    figure = drawn.figure
    return words.title(figure), describe(figure)


def test_bars_are_told_by_name_and_number():
    title, words = told(charts.plot_counts(pd.Series({"sport": 12, "财经": 1234}), title="Rows by label"))
    assert title == "Rows by label"
    assert words == "Bars; across: rows. sport 12, 财经 1,234."


def test_of_many_bars_the_lowest_and_the_highest_are_told():
    counts = pd.Series(range(60), index=[f"label {i}" for i in range(60)])[::-1]
    _, words = told(charts.plot_counts(counts))
    assert "60 values, lowest label 0 0, highest label 59 59" in words


def test_grouped_bars_name_their_series():
    votes = pd.DataFrame({"text": [0.125, 0.875], "image": [0.25, 0.75]}, index=["a", "b"])
    _, words = told(charts.plot_votes(votes))
    assert "text: a 0.125, b 0.875; image: a 0.25, b 0.75" in words


def test_dots_come_with_their_intervals():
    scores = pd.DataFrame(
        {"accuracy": [0.5, 0.812], "accuracy_low": [0.4, 0.75], "accuracy_high": [0.6, 0.87]},
        index=["majority", "text"],
    )
    _, words = told(charts.plot_scores(scores))
    assert (
        words == "Dots with intervals; across: accuracy, % (95 % interval). majority 50 [40, 60], text 81.2 [75, 87]."
    )


def test_dots_of_several_models_name_the_model():
    table = pd.DataFrame(
        {
            "model": ["m", "k"],
            "parts": ["text", "text"],
            "accuracy": [0.5, 0.6],
            "accuracy_low": [0.4, 0.5],
            "accuracy_high": [0.6, 0.7],
        }
    )
    _, words = told(fusion.plot_subsets(table))
    assert "m: text 50 [40, 60]; k: text 60 [50, 70]" in words


def test_a_confusion_matrix_is_told_by_its_counts():
    confusion = pd.DataFrame([[5, 1], [2, 8]], index=["a", "财经"], columns=["a", "财经"])
    _, words = told(charts.plot_confusion(confusion, title="Confusion"))
    assert (
        "Heat map; across: predicted (similar classes side by side), upwards: true. row a: a 5, 财经 1; row 财经: a 2, 财经 8"
        in words
    )
    assert words.endswith("Colour: share of the true class.")


def test_a_large_heat_map_tells_its_size_and_its_highest_cell():
    confusion = pd.DataFrame(1, index=[f"c{i}" for i in range(60)], columns=[f"c{i}" for i in range(60)])
    confusion.loc["c7", "c3"] = 941
    _, words = told(charts.plot_confusion(confusion))
    assert "60 rows by 60 columns; the highest, 0.941, is at c7, c3" in words


def test_boxes_are_told_by_their_medians():
    values = pd.DataFrame({"label": ["a"] * 3 + ["b"] * 3, "tokens": [1, 2, 9, 10, 30, 31]})
    _, words = told(charts.plot_spread(values, column="tokens"))
    assert "Medians: a 2, b 30" in words


def test_lines_are_told_by_their_ends_and_where_they_turn():
    history = pd.DataFrame({"loss": [2.0, 1.0, 0.5], "val_loss": [2.0, 0.25, 1.5]}, index=[1, 2, 3])
    axes = charts.plot_history({"text": history, "image": history})
    title, words = told(axes[0, 0])
    assert title == "Loss by epoch"
    assert (
        words.count(
            "training: from 2 at 1 to 0.5 at 3; validation: from 2 at 1 to 1.5 at 3, lowest 0.25 at 2, highest 2 at 1"
        )
        == 2
    )
    assert "Panel text" in words and "Panel image" in words


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, 1.0]])
def test_odd_numbers_do_not_keep_a_figure_from_being_shown(values):
    _, ax = plt.subplots()
    ax.plot(range(len(values)), values, "o-")
    ax.bar(range(len(values)), values)
    assert describe(ax.figure).endswith(".")


def test_an_empty_figure_is_not_drawn_and_a_long_description_is_cut():
    assert print_svg(plt.figure()) is None
    names = [f"{'x' * 200} {i}" for i in range(12)]
    _, words = told(charts.plot_counts(pd.Series(range(12), index=names)))
    assert len(words) <= MOST_CHARACTERS and words.endswith("…")


def test_the_svg_carries_the_words_and_is_well_formed():
    hostile = "</metadata><script>alert(1)</script> & 时政"
    ax = charts.plot_counts(pd.Series({hostile: 3}), title=hostile)
    root = ET.fromstring(print_svg(ax.figure))
    (title,) = [tag.text for tag in root if tag.tag.endswith("}title")]
    (words,) = [tag.text for tag in root.iter() if tag.tag.endswith("}description")]
    assert title == hostile and f"{hostile} 3" in words
    assert not [tag for tag in root.iter() if tag.tag.endswith("script")]


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast of two colours, from its definition."""
    lights = []
    for colour in (one, other):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_numbers_in_cells_and_on_bars_can_be_read():
    for red in range(0, 256, 15):
        for green in range(0, 256, 15):
            for blue in range(0, 256, 51):
                colour = f"#{red:02x}{green:02x}{blue:02x}"
                assert contrast(colour, charts.on_colour(colour)) >= 4.5, colour


def test_a_heat_map_writes_each_number_in_a_colour_that_its_cell_lets_read():
    ax = charts.plot_parts(pd.DataFrame(np.linspace(0, 1, 12).reshape(4, 3), index=list("abcd"), columns=list("xyz")))
    svg = print_svg(ax.figure)
    assert len(ax.texts) == 12 and re.search("<svg", svg)
    mesh = ax.collections[0]
    colours = mesh.to_rgba(mesh.get_array()).reshape(-1, 4)
    for text, colour in zip(ax.texts, colours, strict=True):
        cell = "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])
        assert contrast(cell, text.get_color()) >= 4.5
