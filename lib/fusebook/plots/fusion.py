"""Figures of what a fusion does with its parts, from the tables of ``evaluation.fusion``."""

import numpy as np
import pandas as pd

from fusebook.plots.charts import COLOURS, INK, new_axes, none_if_empty, on_colour, plot_parts

_REFERENCE = "own network"  # drawn in ink: what ``fusion.subset_table`` compares the models with


@none_if_empty
def plot_subsets(table: pd.DataFrame, *, ax=None, title: str = ""):
    """Accuracy and its 95 % interval by set of parts, a colour a model; ``table`` is ``fusion.subset_table``'s."""
    return _dots(table, "parts", "accuracy", ax, title, "accuracy, % (95 % interval)")


@none_if_empty
def plot_shuffles(table: pd.DataFrame, *, ax=None, title: str = ""):
    """Accuracy lost by shuffling each part, with its 95 % interval; ``table`` is ``fusion.shuffle_audit``'s."""
    ax = _dots(table, "part", "drop", ax, title, "accuracy lost, points (95 % interval)")
    ax.axvline(0, color=INK, alpha=0.4, linewidth=1, linestyle="--", zorder=0)
    return ax


@none_if_empty
def plot_gates(shares: pd.DataFrame, *, ax=None, title: str = ""):
    """What share of the signal comes through each part's gate, by label; ``shares`` is ``fusion.gate_shares``'s."""
    ax = plot_parts(shares, ax=ax, title=title)
    ax.set(xlabel="share of the signal, %")
    return ax


@none_if_empty
def plot_ledger(counts: pd.DataFrame, *, ax=None, title: str = ""):
    """Rows by which part alone was right, and how many of them the fusion got right and wrong.

    ``counts`` is ``fusion.Ledger.counts``'s, with rows in the order shown.
    """
    ax = new_axes(ax, height=0.9 + 0.36 * len(counts))
    places, start = np.arange(len(counts)), np.zeros(len(counts))
    for name, colour in (("fusion_right", COLOURS[0]), ("fusion_wrong", COLOURS[1])):
        bars = ax.barh(places, counts[name], left=start, color=colour, label=name.replace("_", " "))
        wide = counts[name] > 0.04 * counts["rows"].max()
        texts = [f"{count}" if shown else "" for count, shown in zip(counts[name], wide, strict=True)]
        ax.bar_label(bars, texts, label_type="center", color=on_colour(colour), fontsize=9)
        start = start + counts[name].to_numpy()
    ax.set_yticks(places, [_pattern(counts.index.names, key) for key in counts.index])
    ax.set_ylim(len(counts) - 0.4, -0.6)
    ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    ax.set(title=title, xlabel="rows", ylabel="")
    return ax


def _pattern(parts: list[str], key) -> str:
    """Such as "audio right, text wrong", of the parts' names and one line of the index: a plain string for one part."""
    states = (key,) if isinstance(key, str) else key
    return ", ".join(f"{part} {state}" for part, state in zip(parts, states, strict=True))


def _dots(table: pd.DataFrame, by: str, measure: str, ax, title: str, xlabel: str):
    """A dot with its interval for each line of ``table``: groups of ``by`` from top to bottom, a colour a model."""
    groups, models = list(table[by].unique()), list(table["model"].unique())
    # A model has one colour in all figures, whether or not networks of one part stand beside it.
    colours = iter(COLOURS * len(models))
    colours = {model: INK if model == _REFERENCE else next(colours) for model in models}
    ax = new_axes(ax, height=1.0 + (0.16 + 0.17 * max(len(models), 2)) * len(groups))
    for i, model in enumerate(models):
        lines = table[table["model"] == model]
        places = lines[by].map(groups.index) + 0.7 * ((i + 0.5) / len(models) - 0.5)
        value, low, high = (100 * lines[f"{measure}{end}"] for end in ("", "_low", "_high"))
        ax.errorbar(
            value, places, xerr=[value - low, high - value], fmt="o", capsize=3, label=model,
            color=colours[model], markersize=5,
        )  # fmt: skip
    ax.set_yticks(range(len(groups)), groups)
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    ax.grid(axis="x", alpha=0.25)
    ax.set(title=title, xlabel=xlabel, ylabel="")
    return ax
