"""Two half moons in the plane: a task on which a network's border can be watched as it forms."""

from collections.abc import Iterable
from io import StringIO
from typing import NamedTuple

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from sklearn.datasets import make_moons

from fusebook.by_hand.cases import Task
from fusebook.by_hand.network import Diverged, Network, momentum
from fusebook.plots.charts import COLOURS, INK

# Each class's colour, clear where the network can't tell, deep where it is sure. In ten steps a side, as a picture of
# few colours takes a tenth of the room on the page.
_SIDES = [(0, COLOURS[0], 0.4), (0.5, COLOURS[0], 0), (0.5, COLOURS[1], 0), (1, COLOURS[1], 0.4)]
DOUBT = LinearSegmentedColormap.from_list("doubt", [(at, to_rgba(name, alpha)) for at, name, alpha in _SIDES], N=21)


class Regions(NamedTuple):
    """What a network says of the plane after some epochs."""

    epoch: int
    probabilities: np.ndarray  # of class 1, shape (80, 80), bottom line first; empty where training diverged
    accuracy: float  # on the rows held out; NaN where training diverged


class Moons:
    """Two half moons, a class each, with some noise: ``train`` has 200 points, ``held_out`` 600.

    ``extent`` is what is drawn of the plane, left, bottom, right, top; ``grid`` 80 × 80 points in it, line by line.
    """

    def __init__(self, random_state: int = 42):
        points, labels = make_moons(800, noise=0.2, random_state=random_state)
        self.train, self.held_out = Task(points, np.eye(2)[labels]).split(200)
        self.extent = (*self.train.rows.min(axis=0) - 0.3, *self.train.rows.max(axis=0) + 0.3)
        left, bottom, right, top = self.extent
        grid = np.meshgrid(np.linspace(left, right, 80), np.linspace(bottom, top, 80))
        self.random_state, self.grid = random_state, np.stack(grid, axis=-1).reshape(-1, 2)

    def story(self, *, epochs=(0, 5, 30, 200), hidden=16, activation="relu", learning_rate=0.1) -> list[Regions]:
        """The decision regions of a network with one hidden layer as they form, after each of ``epochs`` (rising).

        Training is gradient descent with momentum. Where it diverges, the epochs from there on are empty.
        """
        rule = {"optimizer": momentum, "learning_rate": learning_rate, "random_state": self.random_state}
        network, made = Network((2, hidden, 2), (activation, "softmax"), **rule), []
        for epoch, before in zip(epochs, (0, *epochs), strict=False):
            try:
                network.fit(*self.train, epochs=epoch - before)
            except Diverged:
                return made + [Regions(later, np.empty((0, 0)), np.nan) for later in epochs[len(made) :]]
            right = network.forward(self.held_out.rows)[-1].argmax(axis=1) == self.held_out.labels
            made.append(Regions(epoch, network.forward(self.grid)[-1][:, 1].reshape(80, 80), float(right.mean())))
        return made

    def regions(self, setting: str, values: Iterable) -> dict[str, list[Regions]]:
        """The ``story`` of each of ``values`` of one ``setting``, learning_rate, hidden or activation, by its name."""
        name = {"learning_rate": "η = {:g}", "hidden": "units: {}", "activation": "{}"}[setting]
        return {name.format(value): self.story(**{setting: value}) for value in values}

    def plot(self, stories: dict[str, list[Regions]]):
        """A line of panels a story, a panel an epoch, the training points over the regions. Returns the array of axes.

        The deeper the colour, the surer the network; the line is where both classes are equally probable.
        """
        shape = len(stories), max(map(len, stories.values()))
        _, axes = plt.subplots(*shape, figsize=(1.75 * shape[1] + 0.2, 1.6 * shape[0] + 0.5), squeeze=False)
        for line, (name, story) in zip(axes, stories.items(), strict=True):
            for ax, now in zip(line, story, strict=True):
                self._draw(ax, now)
            line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        return axes

    def _draw(self, ax, now: Regions) -> None:
        left, bottom, right, top = self.extent
        if now.probabilities.size:
            shown, look = (left, right, bottom, top), {"aspect": "auto", "interpolation": "nearest", "zorder": 0}
            ax.imshow(now.probabilities, DOUBT, origin="lower", extent=shown, vmin=0, vmax=1, **look)
            if now.probabilities.min() < 0.5 < now.probabilities.max():
                ax.contour(now.probabilities, [0.5], extent=shown, colors=[INK], linewidths=1)
            for label in (0, 1):
                points = self.train.rows[self.train.labels == label].T
                ax.plot(*points, "o", color=COLOURS[label], markersize=1.6, markeredgewidth=0)
        outcome = f"{100 * now.accuracy:.0f} %" if now.probabilities.size else "diverged"
        ax.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
        ax.set_title(f"epoch {now.epoch}: {outcome}", fontsize=9)

    def svg(self, **choice) -> str:
        """The figure of the ``story`` for one ``choice`` of its settings, as SVG."""
        figure, stream = self.plot({"": self.story(**choice)})[0, 0].figure, StringIO()
        figure.savefig(stream, format="svg")
        plt.close(figure)
        return stream.getvalue()[stream.getvalue().index("<svg") :]  # without the XML head, which HTML does not know

    def playground(self) -> ipywidgets.Widget:
        """Choose learning rate, hidden units and activation, and see the ``story``. A slider acts when it is let go.

        The figure is the value of an HTML widget and not the content of an Output widget: with that nbclient, which
        answers each output, now and then misses the end of the cell and waits for ever.
        """
        look = {"style": {"description_width": "8rem"}}
        later = look | {"continuous_update": False, "layout": {"width": "28rem"}}
        rate = ipywidgets.FloatLogSlider(0.1, min=-4, max=2, step=0.25, description="learning rate", **later)
        hidden = ipywidgets.IntSlider(16, min=1, max=64, description="hidden units", **later)
        names = ["relu", "sigmoid", "linear"]
        activation = ipywidgets.ToggleButtons(options=names, description="activation", **look)
        picture = ipywidgets.HTML()

        def draw(_=None) -> None:
            picture.value = self.svg(learning_rate=rate.value, hidden=hidden.value, activation=activation.value)

        for control in (rate, hidden, activation):
            control.observe(draw, "value")
        draw()
        return ipywidgets.VBox([rate, hidden, activation, picture])
