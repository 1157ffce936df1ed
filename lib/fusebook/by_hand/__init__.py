"""Notebook 00's room: how an MLP learns.

network: the MLP in NumPy. proofs: that it is right. cases: two tasks of real size. moons: a task that can be watched.
show: charts, code and lines.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "network": ["Network"],
        "proofs": ["gradient_table", "keras_table"],
        "cases": ["CurveCase", "ModelCase"],
        "moons": ["Moons"],
        "show": ["diagram", "plot_lines", "source"],
    },
)
