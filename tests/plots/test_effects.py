"""Figures of effects: each drawn at its place, as long as it is, in the colours of the words on a card."""

import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from fusebook.inspection import cards
from fusebook.plots import charts, effects


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


PATCHES = pd.DataFrame(
    {"top": [0, 0, 0.5, 0.5], "bottom": [0.5, 0.5, 1, 1], "left": [0, 0.5, 0, 0.5], "right": [0.5, 1, 0.5, 1],
     "effect": [0.4, 0.0, -0.4, 0.2]}
)  # fmt: skip
BANDS = pd.DataFrame({"low": [0.0, 1000.0], "high": [1000.0, 8000.0], "effect": [0.3, -0.1]})
MOMENTS = pd.DataFrame({"start": [0.0, 0.5], "end": [0.5, 1.0], "effect": [0.0, 0.2]})


def test_patches_stand_at_their_places_in_their_shades():
    ax = effects.plot_patches(np.zeros((20, 40, 3), np.uint8), PATCHES)
    corners = [patch.get_xy() for patch in ax.patches]
    assert corners == [(-0.5, -0.5), (19.5, -0.5), (-0.5, 9.5), (19.5, 9.5)]
    assert {(patch.get_width(), patch.get_height()) for patch in ax.patches} == {(20, 10)}
    blue, nothing, orange, pale = (patch.get_facecolor() for patch in ax.patches)
    assert blue[:3] == mpl.colors.to_rgb(charts.COLOURS[0]) and orange[:3] == mpl.colors.to_rgb(charts.COLOURS[1])
    np.testing.assert_allclose(
        [blue[3], nothing[3], orange[3], pale[3]], np.array([1, 0, 1, 0.5]) * charts.STRENGTH, atol=0.01
    )


def test_words_have_the_shades_of_patches():
    marks = pd.DataFrame({"start": [0, 2], "end": [1, 3], "effect": [0.2, -0.1]})
    for most, strengths in ((0.0, (1, 0.5)), (0.4, (0.5, 0.25))):
        html = cards.coloured("a b", marks, most)
        found = [[float(n) for n in line.split(",")] for line in re.findall(r"rgba\(([^)]*)\)", html)]
        shades = effects.colour_map()(mpl.colors.Normalize(-(most or 0.2), most or 0.2)(marks["effect"]))
        np.testing.assert_allclose(np.array(found) / [255, 255, 255, 1], shades, atol=0.012)
        np.testing.assert_allclose([line[3] for line in found], np.array(strengths) * charts.STRENGTH, atol=0.01)


def test_bars_of_a_sound_are_as_long_as_the_effects():
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    above, sound, beside = effects.plot_sound(samples, BANDS, MOMENTS, title="row 7")
    np.testing.assert_allclose([bar.get_height() for bar in above.patches], [0, 20])
    np.testing.assert_allclose([bar.get_width() for bar in beside.patches], [30, -10])
    middles = [bar.get_x() + bar.get_width() / 2 for bar in above.patches]
    np.testing.assert_allclose(middles, [0.25, 0.75])
    assert above.get_xlim() == sound.get_xlim() == (0, 1) and sound.get_ylim() == beside.get_ylim()
    np.testing.assert_allclose([*above.get_ylim(), *beside.get_xlim()], [-30, 30, -30, 30])
    assert above.get_title(loc="left") == "row 7" or above.get_title() == "row 7"
    assert (sound.get_xlabel(), sound.get_ylabel()) == ("seconds", "Hz")


def test_one_scale_serves_all_parts():
    assert effects.strongest(PATCHES, BANDS, MOMENTS, PATCHES.head(0)) == 0.4
    assert effects.strongest() > 0 and effects.strongest(MOMENTS.head(1)) > 0, "nothing to divide by"
    *_, beside = effects.plot_sound(np.ones(16_000, np.float32), BANDS, MOMENTS, most=0.4)
    np.testing.assert_allclose(beside.get_xlim(), [-40, 40])


def test_an_excerpt_is_drawn_at_its_time():
    moments = MOMENTS.assign(start=MOMENTS["start"] + 2, end=MOMENTS["end"] + 2)
    _, sound, _ = effects.plot_sound(np.ones(5 * 16_000, np.float32), BANDS, moments)
    assert sound.get_xlim() == (2, 3)


def test_without_effects_nothing_is_drawn():
    assert effects.plot_patches(np.zeros((20, 40, 3), np.uint8), PATCHES[:0]) is None
    sound = np.ones(16_000, np.float32)
    assert effects.plot_sound(sound, BANDS[:0], MOMENTS) is effects.plot_sound(sound, BANDS, MOMENTS[:0]) is None
    assert not plt.get_fignums()
