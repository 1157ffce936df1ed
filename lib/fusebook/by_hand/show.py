"""What notebook 00_mlp_by_hand shows beside its tasks: flow charts, the network's code, and lines over one axis."""

import inspect
import textwrap

import pandas as pd
from IPython.display import HTML, Markdown

from fusebook import ASSETS
from fusebook.plots.charts import COLOURS, new_axes


def diagram(name: str) -> HTML:
    """A flow chart of the assets: text_chain or fusion_chain. It takes its colours and its font from the page."""
    return HTML((ASSETS / f"{name}.svg").read_text(encoding="utf-8"))


def source(*functions) -> Markdown:
    """The code of ``functions`` as the library has it."""
    listing = "\n".join(textwrap.dedent(inspect.getsource(function)) for function in functions)
    return Markdown(f"```python\n{listing}```")


def plot_lines(table: pd.DataFrame, *, ax=None, title: str = "", ylabel: str = "", log: bool = False):
    """A line a column of ``table`` over its index, which names the horizontal axis.

    The first line is broad and the next ones are broken, so that two which coincide can both be seen.
    """
    ax = new_axes(ax, width=6, height=3.2)
    for i, (name, values) in enumerate(table.items()):
        look = {"color": COLOURS[i % len(COLOURS)], "linestyle": ("-", "--", ":", "-.")[i % 4], "label": name}
        ax.plot(table.index, values, linewidth=1.6 if i else 3, **look)
    if log:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")  # formulas are not parsed in our style, and powers of ten are formulas
    if pd.api.types.is_integer_dtype(table.index):
        ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.25)
    ax.legend(fontsize=9)
    ax.set(title=title, xlabel=table.index.name or "", ylabel=ylabel)
    return ax
