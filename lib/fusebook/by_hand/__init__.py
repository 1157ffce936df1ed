"""Notebook 00's room: how an MLP learns.

network: the MLP in NumPy. lessons: its tasks, its proofs and its experiments. show: figures, charts and the control.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "network": ["Network"],
        "lessons": [
            "answers", "by_heart", "curve_case", "error_table", "gradient_sizes", "gradient_table", "keras_table",
            "model_case", "reference_regressor", "regions_by", "train_beside", "training_losses", "two_moons",
        ],
        "show": ["diagram", "playground", "plot_activations", "plot_lines", "plot_regions", "source"],
    },
)  # fmt: skip
