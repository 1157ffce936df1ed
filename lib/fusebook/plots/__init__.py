"""Figures, and each in words for those who can't see it: from tables and arrays, never from models.

charts      the look, and the charts that any table may have
fusion      what a fusion does with its parts
effects     what moved the probability of one row
words       a figure's description, made from the figure itself
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "charts": [
            "plot_calibration", "plot_confusion", "plot_counts", "plot_coverage", "plot_history", "plot_log_mel",
            "plot_parts", "plot_scores", "plot_sizes", "plot_spread", "plot_tag_mix", "plot_votes", "use_style",
        ],
        "fusion": ["plot_gates", "plot_ledger", "plot_shuffles", "plot_subsets"],
        "effects": ["plot_patches", "plot_sound", "strongest"],
    },
)  # fmt: skip
