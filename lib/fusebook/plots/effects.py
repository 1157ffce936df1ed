"""Figures of what moved the probability, in the colours of the words on a card: blue is for it, orange against.

Effects are drawn in points (hundredths) of probability. ``most`` is the effect of full strength: give all parts of a
row the same. Notebook 05_inspect tells the story.
"""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from fusebook.data.files import RATE
from fusebook.encoders.audio import log_mel
from fusebook.plots.charts import COLOURS, INK, STRENGTH, new_axes


def strongest(*tables: pd.DataFrame) -> float:
    """The largest effect, for or against, in all ``tables`` (each with a column effect): what ``most`` should be."""
    effects = np.concatenate([np.zeros(1), *(table["effect"].to_numpy(float) for table in tables if len(table))])
    return max(float(np.abs(effects).max()), 1e-9)


def colour_map() -> mpl.colors.LinearSegmentedColormap:
    """From orange (against) through transparent to blue (for): the shades that ``cards.coloured`` gives to words."""
    against, speaks_for = (mpl.colors.to_rgb(COLOURS[i]) for i in (1, 0))
    stops = [(*against, STRENGTH), (*against, 0), (*speaks_for, 0), (*speaks_for, STRENGTH)]
    return mpl.colors.LinearSegmentedColormap.from_list("effects", list(zip([0, 0.5, 0.5, 1], stops, strict=True)))


def plot_patches(picture: np.ndarray, patches: pd.DataFrame, *, most: float = 0.0, ax=None, title: str = ""):
    """The picture in grey, each patch shaded by its effect; ``patches`` is ``occlusion.cover_patches``'s.

    Returns the axes; without patches nothing is drawn, and None comes back.
    """
    if not len(patches):
        return None
    ax = new_axes(ax, width=4.2, height=3.4)
    most = most or strongest(patches)
    height, width = picture.shape[:2]
    ax.imshow(picture.mean(axis=2), cmap="gray", vmin=-255, vmax=255)  # pale: the colour is the patches'
    shades, scale = colour_map(), mpl.colors.Normalize(-100 * most, 100 * most)
    for patch in patches.itertuples():
        corner = patch.left * width - 0.5, patch.top * height - 0.5
        size = (patch.right - patch.left) * width, (patch.bottom - patch.top) * height
        ax.add_patch(plt.Rectangle(corner, *size, color=shades(scale(100 * patch.effect)), linewidth=0))
    shown = mpl.cm.ScalarMappable(scale, shades)
    ax.figure.colorbar(shown, ax=ax, label="effect, points")
    ax.set(title=title, xticks=[], yticks=[])
    return ax


def plot_sound(samples: np.ndarray, bands: pd.DataFrame, moments: pd.DataFrame, *, most: float = 0.0, title: str = ""):
    """The sound in mel bands, above it the effect of each moment, beside it that of each band. Returns the three axes.

    ``samples`` are mono at 16 kHz; ``bands`` and ``moments`` are those of ``occlusion.mute_bands`` and
    ``mute_windows``. Without one of them nothing is drawn, and None comes back.
    """
    if not len(bands) or not len(moments):
        return None
    most = most or strongest(bands, moments)
    start, end = moments["start"].min(), moments["end"].max()
    levels = log_mel(samples[round(start * RATE) : round(end * RATE)])
    _, axes = plt.subplot_mosaic(
        [["moments", "."], ["sound", "bands"]], width_ratios=[4, 1], height_ratios=[1, 2.4], figsize=(7, 3.6)
    )
    edges = mel(np.linspace(0, RATE / 2, 3))
    axes["sound"].imshow(
        levels.T, origin="lower", aspect="auto", cmap="gray_r", extent=(start, end, mel(20), edges[-1])
    )
    _bars(axes["moments"].bar, moments["start"], moments["end"], moments["effect"], most)
    _bars(axes["bands"].barh, mel(bands["low"]), mel(bands["high"]), bands["effect"], most)
    hertz = np.array([250, 1000, 2000, 4000, 8000])
    for name in ("sound", "bands"):
        axes[name].set_yticks(mel(hertz), hertz if name == "sound" else [], minor=False)
        axes[name].set_ylim(0, edges[-1])
    axes["sound"].set(xlabel="seconds", ylabel="Hz")
    axes["moments"].set(title=title, xlim=(start, end), ylim=(-100 * most, 100 * most), xticks=[], ylabel="points")
    axes["bands"].set(xlim=(-100 * most, 100 * most), xlabel="effect, points")
    axes["moments"].axhline(0, color=INK, linewidth=0.8)
    axes["bands"].axvline(0, color=INK, linewidth=0.8)
    return [axes[name] for name in ("moments", "sound", "bands")]


def mel(hertz):
    """Hertz in mel (O'Shaughnessy, 1987)."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def _bars(draw, low, high, effects, most: float) -> None:
    low, high, effects = np.asarray(low), np.asarray(high), np.asarray(effects)
    colours = colour_map()(mpl.colors.Normalize(-most, most)(effects))
    draw((low + high) / 2, 100 * effects, (high - low) * 0.9, color=colours, edgecolor=INK, linewidth=0.4)
