"""The figures of notebook 00_mlp_by_hand, in the way of plots.py: from numbers, never from networks."""
# FOLDED: The control of notebook 00_mlp_by_hand: a thin shell around functions that the notebook also calls without it.

from io import StringIO

import ipywidgets
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from fusebook.by_hand.lessons import Regions, decision_regions
from fusebook.plots.charts import COLOURS, INK

STYLES = ["-", "--", ":", "-."]


def plot_lines(table: pd.DataFrame, *, ax=None, title: str = "", ylabel: str = "", log: bool = False):
    """A line a column of ``table`` over its index, which names the horizontal axis.

    The first line is broad and the next ones are broken, so that two which coincide can both be seen.
    """
    ax = ax if ax is not None else plt.subplots(figsize=(6, 3.2))[1]
    for i, (name, values) in enumerate(table.items()):
        look = {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i % len(STYLES)]}
        ax.plot(table.index, values, linewidth=1.6 if i else 3, label=name, **look)
    if log:
        ax.set_yscale("log")
        # Formulas are not parsed in our style, and powers of ten are formulas.
        ax.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    if pd.api.types.is_integer_dtype(table.index):
        ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    ax.grid(alpha=0.25)
    ax.legend(fontsize=9)
    ax.set(title=title, xlabel=table.index.name or "", ylabel=ylabel)
    return ax


def plot_regions(stories: dict[str, list[Regions]], train: tuple[np.ndarray, np.ndarray], *, title: str = ""):
    """Decision regions as they form: a line of panels a story, a panel an epoch. Returns the array of axes.

    Parameters
    ----------
    stories : by name, each as ``lessons.decision_regions`` returns it; all with the same epochs
    train : the points of shape (n_rows, 2) and their classes, 0 or 1, which are drawn over the regions

    The deeper the colour, the surer the network; the line is where both classes are equally probable.
    """
    columns = max(map(len, stories.values()), default=0)
    shape = len(stories), columns
    figure, axes = plt.subplots(*shape, figsize=(1.75 * columns + 0.2, 1.6 * len(stories) + 0.5), squeeze=False)
    for line, (name, regions) in zip(axes, stories.items(), strict=True):
        for ax, now in zip(line, regions, strict=True):
            _draw_regions(ax, now, *train)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=11)
    return axes


def _draw_regions(ax, now: Regions, points: np.ndarray, labels: np.ndarray) -> None:
    left, bottom, right, top = now.extent
    if now.probabilities.size:
        shown = (left, right, bottom, top)
        ax.imshow(
            _colours(now.probabilities), origin="lower", extent=shown, aspect="auto", interpolation="nearest", zorder=0
        )
        if now.probabilities.min() < 0.5 < now.probabilities.max():
            ax.contour(now.probabilities, [0.5], extent=shown, colors=[INK], linewidths=1)
        for label in (0, 1):
            ax.plot(*points[labels == label].T, "o", color=COLOURS[label], markersize=1.6, markeredgewidth=0)
        told = f"{100 * now.accuracy:.0f} %"
    else:
        told = "diverged"
    ax.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    ax.set_title(f"epoch {now.epoch}: {told}", fontsize=9)


def _colours(probabilities: np.ndarray) -> np.ndarray:
    """Each class's colour, clear where the network can't tell, deep where it is sure; shape (n, n, 4)."""
    sides = np.array([mpl.colors.to_rgba(colour) for colour in COLOURS[:2]])[(probabilities > 0.5).astype(int)]
    # In ten steps, as a picture of few colours takes a tenth of the room on the page.
    sides[..., 3] = 0.04 * np.round(10 * np.abs(2 * probabilities - 1))
    return sides


def regions_svg(train: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray], **choice) -> str:
    """The figure of ``lessons.decision_regions`` for one ``choice`` of its settings, as SVG."""
    figure = plot_regions({"": decision_regions(train, held_out, **choice)}, train)[0, 0].figure
    stream = StringIO()
    figure.savefig(stream, format="svg")
    plt.close(figure)
    return stream.getvalue()[stream.getvalue().index("<svg") :]  # without the XML head, which HTML does not know


def playground(train: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray]) -> ipywidgets.Widget:
    """Choose learning rate, hidden units and activation; see ``lessons.decision_regions``.

    A slider acts when it is let go. The figure is the value of an HTML widget and not the content of an Output widget:
    with that nbclient, which answers each output, now and then misses the end of the cell and waits for ever.
    """
    later = {"continuous_update": False, "style": {"description_width": "8rem"}, "layout": {"width": "28rem"}}
    rate = ipywidgets.FloatLogSlider(0.1, min=-4, max=2, step=0.25, description="learning rate", **later)
    hidden = ipywidgets.IntSlider(16, min=1, max=64, description="hidden units", **later)
    activation = ipywidgets.ToggleButtons(
        options=["relu", "sigmoid", "linear"], description="activation", style=later["style"]
    )
    picture = ipywidgets.HTML()

    def draw(_=None) -> None:
        choice = {"learning_rate": rate.value, "hidden": hidden.value, "activation": activation.value}
        picture.value = regions_svg(train, held_out, **choice)

    for control in (rate, hidden, activation):
        control.observe(draw, "value")
    draw()
    return ipywidgets.VBox([rate, hidden, activation, picture])
