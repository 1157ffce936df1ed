"""The control of notebook 00_mlp_by_hand: a thin shell around functions that the notebook also calls without it."""

import ipywidgets
import numpy as np

from fusebook import by_hand_plots
from fusebook.by_hand_demos import decision_regions


def playground(
    train: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray]
) -> ipywidgets.Widget:
    """Choose learning rate, hidden units and activation; see ``by_hand_demos.decision_regions``.

    A control acts when it is let go.
    """
    later = {"continuous_update": False, "style": {"description_width": "8rem"}, "layout": {"width": "28rem"}}
    rate = ipywidgets.FloatLogSlider(0.1, min=-4, max=2, step=0.25, description="learning rate", **later)
    hidden = ipywidgets.IntSlider(8, min=1, max=64, description="hidden units", **later)
    activation = ipywidgets.ToggleButtons(options=["relu", "sigmoid", "linear"], description="activation")

    def draw(learning_rate: float, hidden: int, activation: str) -> None:
        choice = {"learning_rate": learning_rate, "hidden": hidden, "activation": activation}
        by_hand_plots.plot_regions({"": decision_regions(train, held_out, **choice)}, train)

    output = ipywidgets.interactive_output(
        draw, {"learning_rate": rate, "hidden": hidden, "activation": activation}
    )
    return ipywidgets.VBox([rate, hidden, activation, output])
