"""What notebook 00_mlp_by_hand shows: figures from numbers, two charts, the network's code, and a control.

The control is a thin shell around functions that the notebook also calls without it.
"""

import inspect
import textwrap
from io import StringIO

import ipywidgets
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from fusebook import ASSETS
from fusebook.by_hand.lessons import Regions, Task, decision_regions
from fusebook.by_hand.network import ACTIVATIONS
from fusebook.plots.charts import COLOURS, INK

STYLES = ["-", "--", ":", "-."]


def diagram(name: str) -> HTML:
    """A flow chart of the assets: text_chain or fusion_chain. It takes its colours and its font from the page."""
    return HTML((ASSETS / f"{name}.svg").read_text(encoding="utf-8"))


def source(*functions) -> Markdown:
    """The code of ``functions`` as the library has it."""
    listing = "\n".join(textwrap.dedent(inspect.getsource(function)) for function in functions)
    return Markdown(f"```python\n{listing}```")


def plot_activations():
    """The two functions of hidden layers, and their slopes beside them. Returns the array of axes."""
    z = np.linspace(-4, 4, 81)
    functions = {name: ACTIVATIONS[name] for name in ("sigmoid", "relu")}
    values = pd.DataFrame({name: f(z) for name, (f, _) in functions.items()}, index=pd.Index(z, name="z"))
    slopes = pd.DataFrame({name: back(values[name], 1.0) for name, (_, back) in functions.items()})
    _, axes = plt.subplots(1, 2, figsize=(7, 2.6))
    plot_lines(values, ax=axes[0], title="a = f(z)")
    plot_lines(slopes, ax=axes[1], title="slope f'(z)")
    return axes


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


def plot_regions(stories: dict[str, list[Regions]], train: Task):
    """Decision regions as they form: a line of panels a story, a panel an epoch. Returns the array of axes.

    ``stories`` as ``lessons.regions_by`` returns them; the points of ``train`` are drawn over the regions. The deeper
    the colour, the surer the network; the line is where both classes are equally probable.
    """
    columns = max(map(len, stories.values()), default=0)
    shape = len(stories), columns
    _, axes = plt.subplots(*shape, figsize=(1.75 * columns + 0.2, 1.6 * len(stories) + 0.5), squeeze=False)
    for line, (name, regions) in zip(axes, stories.items(), strict=True):
        for ax, now in zip(line, regions, strict=True):
            _draw_regions(ax, now, train)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    return axes


def _draw_regions(ax, now: Regions, train: Task) -> None:
    left, bottom, right, top = now.extent
    if now.probabilities.size:
        shown = (left, right, bottom, top)
        look = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "zorder": 0}
        ax.imshow(_colours(now.probabilities), extent=shown, **look)
        if now.probabilities.min() < 0.5 < now.probabilities.max():
            ax.contour(now.probabilities, [0.5], extent=shown, colors=[INK], linewidths=1)
        for label in (0, 1):
            points = train.rows[train.labels == label].T
            ax.plot(*points, "o", color=COLOURS[label], markersize=1.6, markeredgewidth=0)
    outcome = f"{100 * now.accuracy:.0f} %" if now.probabilities.size else "diverged"
    ax.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    ax.set_title(f"epoch {now.epoch}: {outcome}", fontsize=9)


def _colours(probabilities: np.ndarray) -> np.ndarray:
    """Each class's colour, clear where the network can't tell, deep where it is sure; shape (n, n, 4)."""
    sides = np.array([mpl.colors.to_rgba(colour) for colour in COLOURS[:2]])[(probabilities > 0.5).astype(int)]
    # In ten steps, as a picture of few colours takes a tenth of the room on the page.
    sides[..., 3] = 0.04 * np.round(10 * np.abs(2 * probabilities - 1))
    return sides


def regions_svg(train: Task, held_out: Task, **choice) -> str:
    """The figure of ``lessons.decision_regions`` for one ``choice`` of its settings, as SVG."""
    figure = plot_regions({"": decision_regions(train, held_out, **choice)}, train)[0, 0].figure
    stream = StringIO()
    figure.savefig(stream, format="svg")
    plt.close(figure)
    return stream.getvalue()[stream.getvalue().index("<svg") :]  # without the XML head, which HTML does not know


def playground(train: Task, held_out: Task) -> ipywidgets.Widget:
    """Choose learning rate, hidden units and activation; see ``lessons.decision_regions``.

    A slider acts when it is let go. The figure is the value of an HTML widget and not the content of an Output widget:
    with that nbclient, which answers each output, now and then misses the end of the cell and waits for ever.
    """
    look = {"style": {"description_width": "8rem"}}
    later = look | {"continuous_update": False, "layout": {"width": "28rem"}}
    names = ["relu", "sigmoid", "linear"]
    rate = ipywidgets.FloatLogSlider(0.1, min=-4, max=2, step=0.25, description="learning rate", **later)
    hidden = ipywidgets.IntSlider(16, min=1, max=64, description="hidden units", **later)
    activation = ipywidgets.ToggleButtons(options=names, description="activation", **look)
    picture = ipywidgets.HTML()

    def draw(_=None) -> None:
        choice = {"learning_rate": rate.value, "hidden": hidden.value, "activation": activation.value}
        picture.value = regions_svg(train, held_out, **choice)

    for control in (rate, hidden, activation):
        control.observe(draw, "value")
    draw()
    return ipywidgets.VBox([rate, hidden, activation, picture])
