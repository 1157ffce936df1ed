"""The control of notebook 00_mlp_by_hand: a thin shell around functions that the notebook also calls without it."""

from io import StringIO

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np

from fusebook.by_hand_demos import decision_regions
from fusebook.by_hand_plots import plot_regions


def regions_svg(
    train: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray], **choice
) -> str:
    """The figure of ``by_hand_demos.decision_regions`` for one ``choice`` of its settings, as SVG."""
    figure = plot_regions({"": decision_regions(train, held_out, **choice)}, train)[0, 0].figure
    stream = StringIO()
    figure.savefig(stream, format="svg")
    plt.close(figure)
    return stream.getvalue()[
        stream.getvalue().index("<svg") :
    ]  # without the XML head, which HTML does not know


def playground(
    train: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray]
) -> ipywidgets.Widget:
    """Choose learning rate, hidden units and activation; see ``by_hand_demos.decision_regions``.

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
