"""Flow charts as inline SVG, drawn from a description: which box leads to which.

Notebook 00_mlp_by_hand shows the two chains below. A chart takes its colours and its font from the page around it.
"""

import re
import unicodedata
from collections.abc import Hashable, Sequence
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from html import escape
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

TEXT_CHAIN = [("text", "text features", "MLP", "class probabilities")]
# Above, features are joined and one MLP decides; below, each modality has its MLP, and their answers are joined.
FUSION_CHAIN = [
    *((name, f"{name} features", "feature-level fusion", "MLP", "class probabilities")
      for name in ("text", "image", "audio")),
    *((name, f"{name} features", f"{name} MLP", "decision-level fusion", "class probabilities")
      for name in ("text", "image", "audio")),
]  # fmt: skip

# In pixels, as everything that follows. A line of text breaks after WIDEST where it can.
FONT, LINE, WIDEST, PADDING, ROW_GAP, MARGIN, HEAD = 14, 18, 110, 10, 16, 3, 7
COLUMN_GAP, STEEPEST = (30, 6)  # a gap is as wide as its level arrows need, and wider where an arrow climbs much
SHRINKS = 0.8  # how far a chart may shrink on a narrow page; then it scrolls


class Place(NamedTuple):
    """Where a box stands, or where an arrow passes a column: its left edge, its width, and the height of its middle."""

    left: float
    width: float
    middle: float

    @property
    def right(self) -> float:
        return self.left + self.width


def flow_chart(paths: Sequence[Sequence[str]], *, title: str, description: str) -> str:
    """A flow chart from left to right as inline SVG, to be shown with ``IPython.display.HTML``.

    A box stands one column to the right of the last one that leads to it, as in Sugiyama, Tagawa and Toda (1981), and at
    the mean height of its paths; an arrow over several columns gets a place of its own in each. No script, no font, no
    colour but the page's own, so that it shows on light and dark pages and in print.

    Parameters
    ----------
    paths : each a tuple of the names of the boxes that it passes; a name stands for the same box in all paths. The first
        path is the highest.
    title, description : for those who can't see the chart; the title shows up under the mouse, too

    Raises
    ------
    ValueError
        Where there is no path, a path or a name is empty, or paths go in a circle.
    """
    _check(paths, title, description)
    columns = _columns(paths)
    routes = _routes(paths, columns)
    columns |= {node: node[2] for route in routes for node in route[1:-1]}
    texts = {box: _wrapped(box) for path in paths for box in path}
    height = max(map(len, texts.values())) * LINE + 2 * PADDING
    places = _places(columns, routes, texts, _middles(paths, columns, routes, height))
    made = [_arrow(route, places) for route in routes]
    made += [_box(lines, places[box], height) for box, lines in texts.items()]
    width = round(max(place.right for place in places.values()) + MARGIN)
    tall = round(max(place.middle for place in places.values()) + height / 2 + MARGIN)
    name = "flow-" + sha256(repr((paths, title, description)).encode()).hexdigest()[:10]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{name}-title" '
        f'aria-describedby="{name}-description" viewBox="0 0 {width} {tall}" width="{width}" height="{tall}" '
        f'style="height:auto;max-width:max(100%,{round(SHRINKS * width)}px)" font-size="{FONT}" fill="none">'
        f'<title id="{name}-title">{_safe(title)}</title><desc id="{name}-description">{_safe(description)}</desc>'
        f"{''.join(made)}</svg>"
    )


def _check(paths: Sequence[Sequence[str]], title: str, description: str) -> None:
    if isinstance(paths, str) or not len(paths):
        raise ValueError(f"paths is {paths!r}; expected a list of paths, such as [('text', 'features', 'MLP')].")
    for path in paths:
        if isinstance(path, str) or not len(path) or not all(isinstance(box, str) and box.strip() for box in path):
            raise ValueError(
                f"A path is {path!r}; expected the names of its boxes, such as ('text', 'features', 'MLP')."
            )
    if not title.strip() or not description.strip():
        raise ValueError(f"title is {title!r} and description {description!r}; expected words for those who can't see.")


def _columns(paths: Sequence[Sequence[str]]) -> dict[str, int]:
    """The column of each box: one more than that of the last box before it."""
    before: dict[str, set[str]] = {box: set() for path in paths for box in path}
    for path in paths:
        for start, end in pairwise(path):
            before[end].add(start)
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError as error:
        circle = " ▶ ".join(error.args[1])
        raise ValueError(f"paths go in a circle, {circle}; expected an order. Leave out one of these arrows.") from None
    columns: dict[str, int] = {}
    for box in order:
        columns[box] = 1 + max((columns[earlier] for earlier in before[box]), default=-1)
    return columns


def _routes(paths: Sequence[Sequence[str]], columns: dict[str, int]) -> dict[tuple, list[int]]:
    """The numbers of the paths by arrow: its box, a node (start, end, column) in each column between, its other box."""
    routes: dict[tuple, list[int]] = {}
    for number, path in enumerate(paths):
        for start, end in pairwise(path):
            between = [(start, end, column) for column in range(columns[start] + 1, columns[end])]
            routes.setdefault((start, *between, end), []).append(number)
    return routes


def _middles(paths, columns: dict, routes: dict, height: float) -> dict[Hashable, float]:
    """How far down each node is: as near to the mean of its paths as can be where no two in a column overlap."""
    lanes: dict[Hashable, list[int]] = {}
    for number, path in enumerate(paths):
        for box in path:
            lanes.setdefault(box, []).append(number)
    for route, numbers in routes.items():
        lanes |= dict.fromkeys(route[1:-1], numbers)
    wanted, middles = {node: np.mean(numbers) for node, numbers in lanes.items()}, {}
    for column in range(max(columns.values()) + 1):
        nodes = sorted((node for node in lanes if columns[node] == column), key=wanted.get)
        steps = np.arange(len(nodes))
        found = isotonic_regression([wanted[node] for node in nodes] - steps).x + steps
        middles |= zip(nodes, found * (height + ROW_GAP), strict=True)
    top = min(middles.values()) - height / 2 - MARGIN
    return {node: middle - top for node, middle in middles.items()}


def _places(columns: dict, routes: dict, texts: dict[str, list[str]], middles: dict) -> dict[Hashable, Place]:
    """The place of each node; those of a column are equally wide."""
    last = max(columns.values())
    widths, climbs = np.zeros(last + 1), np.zeros(last + 1)
    for box, lines in texts.items():
        widths[columns[box]] = max(widths[columns[box]], 2 * PADDING + max(map(_width, lines)))
    for start, end in (step for route in routes for step in pairwise(route)):
        climbs[columns[start]] = max(climbs[columns[start]], abs(middles[start] - middles[end]))
    ends = np.cumsum(widths + COLUMN_GAP + climbs / STEEPEST)
    lefts = MARGIN + np.concatenate([[0], ends[:-1]])
    return {node: Place(lefts[column], widths[column], middles[node]) for node, column in columns.items()}


def _arrow(route: tuple, places: dict[Hashable, Place]) -> str:
    """An arrow that leaves a box on its right and comes to the next on its left; it bends only between columns."""
    passed = [places[node] for node in route]
    line = f"M{passed[0].right:g} {passed[0].middle:g}"
    for start, end in pairwise(passed):
        stop = end.left - (HEAD if end is passed[-1] else 0)
        half = (start.right + stop) / 2
        line += f"C{half:g} {start.middle:g} {half:g} {end.middle:g} {stop:g} {end.middle:g}"
        line += f"H{end.right:g}" if end is not passed[-1] else ""
    x, y = passed[-1].left, passed[-1].middle
    head = f"M{x:g} {y:g}L{x - HEAD:g} {y - HEAD / 2:g}V{y + HEAD / 2:g}Z"
    return f'<path d="{line}" stroke="currentColor" stroke-width="1.3"/><path d="{head}" fill="currentColor"/>'


def _box(lines: list[str], place: Place, height: float) -> str:
    top = place.middle - height / 2
    middle, first = place.left + place.width / 2, place.middle - (len(lines) - 1) * LINE / 2
    spans = "".join(
        f'<tspan x="{middle:g}" y="{first + i * LINE:g}" dy="0.35em">{_safe(line)}</tspan>'
        for i, line in enumerate(lines)
    )
    return (
        f'<rect x="{place.left:g}" y="{top:g}" width="{place.width:g}" height="{height:g}" rx="6" '
        'style="fill:var(--panel,none);stroke:var(--accent,#3b7dd8)" stroke-width="1.5"/>'
        f'<text text-anchor="middle" fill="currentColor">{spans}</text>'
    )


def _wrapped(text: str) -> list[str]:
    """``text`` in lines of at most ``WIDEST``, broken at spaces and beside Chinese, Japanese and Korean characters."""
    lines = [""]
    for word in text.split():
        for i, part in enumerate(re.findall(r"[^\u2e80-\uffef]+|.", word)):
            joined = lines[-1] + (" " if i == 0 and lines[-1] else "") + part
            if lines[-1] and _width(joined) > WIDEST:
                lines.append(part)
            else:
                lines[-1] = joined
    return lines


def _width(text: str) -> float:
    """At least the width of ``text`` in the widest of the fonts that pages use (DejaVu Sans), as no font is at hand."""
    return FONT * sum(map(_ems, text))


def _ems(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF" or character in "mMwW@%—":
        return 1.0
    if character in " iljtfrI.,:;'|()[]/-!":
        return 0.42
    return 0.85 if character.isupper() or character in "+<>=~#&^" else 0.65


def _safe(text: str) -> str:
    """``text`` as it may stand in SVG: nothing in it is markup, and what no XML may hold is shown as �."""
    return escape(re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]", "�", text))
