"""A figure in words, for those who can't see it: what kind it is, its axes and its main values, from the figure itself.

The words travel in the metadata of the SVG; the pages make them the figure's alternative text. So a figure that changes
changes its words.
"""

import re
from itertools import pairwise

import numpy as np
from IPython.core.pylabtools import print_figure
from matplotlib.axis import Axis
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.container import BarContainer, ErrorbarContainer

MOST_VALUES = 16  # told one by one; of more, the lowest and the highest
MOST_CHARACTERS = 1000  # of a description


def print_svg(figure) -> str | None:
    """``figure`` as SVG that carries its title and ``describe``'s words in its metadata; None for one without axes."""
    metadata = {"Description": describe(figure), "Date": None}
    if named := title(figure):
        metadata["Title"] = named
    return print_figure(figure, "svg", metadata=metadata)


def title(figure) -> str:
    """The title over all panels of a figure, else that of its first panel that has one; "" where none has."""
    titles = [figure.get_suptitle(), *(ax.get_title(loc) for ax in figure.axes for loc in ("left", "center"))]
    return next((text.strip() for text in titles if text.strip()), "")


def describe(figure) -> str:
    """What ``figure`` holds, a sentence or two a panel: the kind, the names of the axes, and the main values.

    Up to ``MOST_VALUES`` values of a series are told one by one, of more the ends, the lowest and the highest. The whole
    is cut at ``MOST_CHARACTERS``.
    """
    panels = [ax for ax in figure.axes if ax.get_visible() and ax.get_label() != "<colorbar>"]
    told = []
    for ax in panels:
        name = (ax.get_title("left") or ax.get_title("center")).strip()
        head = f"Panel {name}" if len(panels) > 1 and name and name != title(figure) else ""
        told.append(". ".join(part for part in (head, _panel(ax)) if part))
    scales = [ax.get_ylabel() or ax.get_xlabel() for ax in figure.axes if ax.get_label() == "<colorbar>"]
    told += [f"Colour: {scale}" for scale in scales if scale]
    text = " ".join(". ".join([part for part in told if part] or ["A figure"]).split()) + "."
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1].rstrip() + "…"


def _panel(ax) -> str:
    """One panel: what is drawn, along which axes, and its values."""
    boxes = [kept for kept in ax.containers if hasattr(kept, "medians")]
    bars = [kept for kept in ax.containers if isinstance(kept, BarContainer)]
    dots = [kept for kept in ax.containers if isinstance(kept, ErrorbarContainer)]
    meshes = [kept for kept in ax.collections if isinstance(kept, QuadMesh)]
    lines = [line for line in ax.lines if len(line.get_xdata()) > 1 and not line.get_label().startswith("_")]
    lines = lines or [line for line in ax.lines if line.get_marker() not in ("None", "", None) or len(ax.lines) == 1]
    if meshes:
        kind, values = "Heat map", _mesh(ax, meshes[0])
    elif boxes:
        kind, values = "Boxes of the spread", _boxes(ax, boxes)
    elif bars:
        kind, values = "Bars", _series(bars, lambda kept: _bars(ax, kept))
    elif dots:
        kind, values = "Dots with intervals", _series(dots, lambda kept: _dots(ax, kept))
    elif ax.images:
        rows, columns = ax.images[0].get_array().shape[:2]
        kind, values = f"Picture of {columns} by {rows} points", ""
    elif lines:
        kind, values = "Lines" if len(lines) > 1 else "Line", _series(lines, _line)
    else:
        clouds = [kept for kept in ax.collections if isinstance(kept, PathCollection)]
        kind, values = ("Dots" if clouds else ""), "; ".join(f"{len(c.get_offsets())} dots" for c in clouds)
    named = (("across", ax.get_xlabel()), ("upwards", ax.get_ylabel()))
    axes = ", ".join(f"{way}: {name}" for way, name in named if name)
    return ". ".join(part for part in ("; ".join(filter(None, (kind, axes))), values) if part)


def _series(kept: list, tell) -> str:
    """What ``tell`` says of each of ``kept``, with its name in the legend before it."""
    told = []
    for one in kept:
        name = str(one.get_label())
        told.append(tell(one) if name.startswith("_") else f"{name}: {tell(one)}")
    return "; ".join(told)


def _bars(ax, bars: BarContainer) -> str:
    lying = bars.orientation == "horizontal"
    sizes = [bar.get_width() if lying else bar.get_height() for bar in bars]
    places = [bar.get_y() + bar.get_height() / 2 if lying else bar.get_x() + bar.get_width() / 2 for bar in bars]
    return _listed([_name(ax.yaxis if lying else ax.xaxis, place) for place in places], sizes)


def _dots(ax, kept: ErrorbarContainer) -> str:
    line, _, (intervals, *_) = kept
    lying = kept.has_xerr
    values, places = (line.get_xdata(), line.get_ydata()) if lying else (line.get_ydata(), line.get_xdata())
    ends = [sorted(segment[:, 0 if lying else 1]) for segment in intervals.get_segments()]
    axis = ax.yaxis if lying else ax.xaxis
    shown = [f"[{_number(low)}, {_number(high)}]" for low, high in ends]
    return _listed([_name(axis, place) for place in places], values, shown)


def _boxes(ax, boxes: list) -> str:
    medians = [line for kept in boxes for line in kept.medians]
    ends = [(line.get_xdata(), line.get_ydata()) for line in medians]
    lying = all(x[0] == x[-1] for x, _ in ends)  # a median stands upright in a box that lies
    values = [(x if lying else y)[0] for x, y in ends]
    places = [np.mean(y if lying else x) for x, y in ends]
    return "Medians: " + _listed([_name(ax.yaxis if lying else ax.xaxis, place) for place in places], values)


def _mesh(ax, mesh: QuadMesh) -> str:
    cells = np.ma.filled(np.ma.asarray(mesh.get_array(), dtype=float), np.nan)
    if cells.ndim != 2 or not np.isfinite(cells).any():
        return ""
    rows, columns = (
        [_name(axis, i + 0.5) for i in range(size)]
        for axis, size in zip((ax.yaxis, ax.xaxis), cells.shape, strict=True)
    )
    words = [text.get_text() for text in ax.texts]
    words = words if len(words) == cells.size else [_number(value) for value in cells.ravel()]
    if cells.size <= 4 * MOST_VALUES:
        lines = np.array(words, dtype=object).reshape(cells.shape)
        told = [
            f"row {row}: {', '.join(f'{c} {w}' for c, w in zip(columns, line, strict=True))}"
            for row, line in zip(rows, lines, strict=True)
        ]
        return "; ".join(told)
    place = np.unravel_index(np.nanargmax(cells), cells.shape)
    return f"{cells.shape[0]} rows by {cells.shape[1]} columns; the highest, {_number(cells[place])}, is at {rows[place[0]]}, {columns[place[1]]}"


def _line(line) -> str:
    x, y = (np.ma.filled(np.ma.asarray(values, dtype=float), np.nan) for values in line.get_data())
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if not len(x):
        return "no points"
    text = f"{_number(y[0])} at {_number(x[0])}"
    if len(x) > 1:
        text = f"from {text} to {_number(y[-1])} at {_number(x[-1])}"
    turns = any(a * b < 0 for a, b in pairwise(np.diff(y)[np.diff(y) != 0]))
    if turns:
        low, high = int(y.argmin()), int(y.argmax())
        text += f", lowest {_number(y[low])} at {_number(x[low])}, highest {_number(y[high])} at {_number(x[high])}"
    return text


def _listed(names: list[str], values, after: list[str] | None = None) -> str:
    """Each name with its value, or of many only the lowest and the highest."""
    values = np.asarray(values, dtype=float)
    told = [f"{name} {_number(value)}".strip() for name, value in zip(names, values, strict=True)]
    if after:
        told = [f"{one} {more}" for one, more in zip(told, after, strict=True)]
    known = np.flatnonzero(np.isfinite(values))
    if len(told) <= MOST_VALUES or not len(known):
        return ", ".join(told)
    low, high = (known[find(values[known])] for find in (np.argmin, np.argmax))
    return f"{len(told)} values, lowest {told[low]}, highest {told[high]}"


def _name(axis: Axis, place: float) -> str:
    """What ``axis`` writes at ``place``: the nearest tick's label, else the number."""
    ticks = [
        (abs(where - place), label.get_text())
        for where, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
    ]
    distance, text = min(ticks, default=(np.inf, ""))
    is_word = text and not re.fullmatch(r"[-+−\d.,e ]+", text)
    return text if text and (distance < 1e-6 or (is_word and distance < 0.5)) else _number(place)


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "none"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.3g}"
