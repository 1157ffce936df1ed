"""Figures: plot_*(table, *, ax=None) -> ax, from tables, never from models; None, and no figure, of an empty table."""

from functools import wraps

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib_inline.backend_inline import set_matplotlib_formats

from fusebook import ASSETS
from fusebook.findings import shortened
from fusebook.plots import words

# The page template swaps these two for the reader's own colours, light or dark.
INK, PAPER = "#1b1b1f", "#fefefe"
SHARES = sns.color_palette("light:#1f5fbf", as_cmap=True)  # of heat maps: what is 0 looks like nothing
COLOURS = ["#3b7dd8", "#e07b39", "#2f9e73", "#b65fb5", "#ad8a18", "#d1495b", "#5c8a9e", "#8a6d4f"]
STRENGTH = 0.55  # how opaque the colour of the strongest effect is: what lies under it can still be read
FOR, AGAINST = "59,125,216", "224,123,57"  # the first two colours: what holds a class up and what speaks against it
MOST_TAGS = 9
CJK_FONT = ASSETS / "DroidSansFallbackFull.ttf"


def use_style() -> None:
    """Set the look of all figures: SVG with the figure in words, our palette, and a font with Chinese on every machine."""
    font_manager.fontManager.addfont(CJK_FONT)
    sns.set_theme(style="ticks", palette=COLOURS)
    mpl.rcParams.update(
        {
            "font.family": ["DejaVu Sans", font_manager.FontProperties(fname=CJK_FONT).get_name()],
            "figure.figsize": (7, 3.6), "figure.facecolor": PAPER, "axes.facecolor": "none",
            "figure.constrained_layout.use": True, "axes.titlelocation": "left", "axes.titlesize": 11,
            "axes.spines.top": False, "axes.spines.right": False, "font.size": 10, "svg.fonttype": "path",
            "legend.frameon": False, "patch.edgecolor": PAPER, "text.parse_math": False,  # a label may hold a $
            **dict.fromkeys(
                ["text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"], INK
            ),
        }
    )  # fmt: skip
    set_matplotlib_formats("svg")
    # The same format again, with the figure in words for those who can't see it.
    shown = InteractiveShell.instance().display_formatter.formatters["image/svg+xml"]
    shown.for_type(Figure, words.print_svg)


def new_axes(ax, *, width: float = 7, height: float = 3.6):
    """``ax`` itself where it is given, else the axes of a new figure of so many inches."""
    return ax if ax is not None else plt.subplots(figsize=(width, height))[1]


def none_if_empty(plot):
    """``plot`` as a function that draws nothing and returns None where its table, the first argument, has no line."""

    @wraps(plot)
    def draw(table, **options):
        return plot(table, **options) if len(table) else None

    return draw


def _colours(count: int) -> list:
    """``count`` colours, no two alike: the palette, then paler and paler versions of it."""
    dark = 1 - np.array([mpl.colors.to_rgb(colour) for colour in COLOURS])
    rounds = -(-count // len(COLOURS))
    return [tuple(colour) for i in range(rounds) for colour in 1 - dark * 0.5**i][:count]


@none_if_empty
def plot_counts(counts: pd.Series, *, ax=None, title: str = ""):
    """Bars of counts, the number at each bar's end; ``counts`` is indexed by name."""
    ax = new_axes(ax, height=0.8 + 0.34 * len(counts))
    bars = ax.barh(counts.index.astype(str), counts.to_numpy(), color=COLOURS[0])
    ax.bar_label(bars, padding=3, color=INK)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set(title=title, xlabel="rows")
    return ax


@none_if_empty
def plot_spread(values: pd.DataFrame, *, column: str, by: str = "label", ax=None, title: str = ""):
    """The spread of ``column`` in each group of ``by``, in the order of their names, as boxes; outliers as dots."""
    ax = new_axes(ax, height=0.9 + 0.4 * values[by].nunique())
    names = sorted(values[by].unique())
    sns.boxplot(
        values, x=column, y=by, order=names, ax=ax, color=COLOURS[0], fliersize=2, linecolor=INK, linewidth=1, width=0.6
    )
    ax.set(title=title, ylabel="")
    return ax


@none_if_empty
def plot_parts(shares: pd.DataFrame, *, ax=None, title: str = ""):
    """The share of rows that have each part, by label: ``shares`` has labels as rows, parts as columns, from 0 to 1."""
    ax = new_axes(ax, height=0.9 + 0.36 * len(shares))
    sns.heatmap(
        shares * 100, annot=True, fmt=".0f", vmin=0, vmax=100, cmap=SHARES, cbar=False, ax=ax, linewidths=1,
        linecolor=PAPER,
    )  # fmt: skip
    _colour_texts(ax)
    ax.set(title=title, xlabel="", ylabel="")
    ax.tick_params(axis="y", rotation=0)
    return ax


@none_if_empty
def plot_tag_mix(mix: pd.DataFrame, *, ax=None, title: str = ""):
    """Stacked shares of the ``MOST_TAGS`` most frequent part-of-speech tags by label: labels as rows, tags as columns.

    Each row sums to 1 at most.
    """
    mix = mix[mix.mean().nlargest(MOST_TAGS).index]
    ax = new_axes(ax, height=max(0.9 + 0.36 * len(mix), 1.1 + 0.21 * mix.shape[1]))
    mix.plot.barh(stacked=True, ax=ax, width=0.75, color=_colours(mix.shape[1]), linewidth=0)
    ax.invert_yaxis()
    ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    ax.set(title=title, xlabel="share of tokens", ylabel="", xlim=(0, 1))
    return ax


@none_if_empty
def plot_log_mel(levels: np.ndarray, *, ax=None, title: str = ""):
    """A sound's power by time and mel band, in decibels: ``levels`` of shape (n_frames, n_mels), frames every 10 ms."""
    ax = new_axes(ax, height=2.4)
    shown = ax.imshow(
        levels.T, origin="lower", aspect="auto", cmap="magma", extent=(0, len(levels) / 100, 0, levels.shape[1])
    )
    ax.figure.colorbar(shown, ax=ax, label="dB")
    ax.set(title=title, xlabel="seconds", ylabel="mel band")
    return ax


@none_if_empty
def plot_history(histories: dict[str, pd.DataFrame], *, title: str = "Loss by epoch"):
    """Learning curves, one panel a model: training and validation loss. Returns the array of axes."""
    columns = min(4, len(histories))
    lines = -(-len(histories) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(2.4 * columns + 0.4, 2.6 * lines), sharey=True, squeeze=False)
    for ax, (name, history) in zip(axes.flat, histories.items(), strict=False):
        # With a dot at each epoch, a model of a single one shows as well.
        ax.plot(history.index, history["loss"], color=COLOURS[0], marker=".", label="training")
        ax.plot(history.index, history["val_loss"], color=COLOURS[1], marker=".", label="validation")
        ax.set(title=name, xlabel="epoch")
        ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=6))
    for ax in axes.flat[len(histories) :]:
        ax.set_visible(False)
    axes[0, 0].set_ylabel("cross-entropy")
    axes[0, 0].legend(fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", color=INK)
    return axes


@none_if_empty
def plot_scores(scores: pd.DataFrame, *, measure: str = "accuracy", chosen: str = "", ax=None, title: str = ""):
    """A dot and its 95 % interval a model, in the order of ``scores``, which are as ``scores.score_table`` returns them.

    The model ``chosen`` has a diamond in a second colour, and its name says so.
    """
    ax = new_axes(ax, height=0.9 + 0.34 * len(scores))
    marked = np.array([name == chosen for name in scores.index])
    values, places = 100 * scores[measure].astype(float), np.arange(len(scores))
    low, high = 100 * scores[f"{measure}_low"].astype(float), 100 * scores[f"{measure}_high"].astype(float)
    for some, mark, colour in ((~marked, "o", COLOURS[0]), (marked, "D", COLOURS[1])):
        if some.any():
            ends = [(values - low)[some], (high - values)[some]]
            ax.errorbar(values[some], places[some], xerr=ends, fmt=mark, color=colour, ecolor=colour, capsize=3)
    for place, (value, right) in enumerate(zip(values, high, strict=True)):
        ax.text(right + 1, place, f"{value:.1f}", va="center", color=INK, fontsize=9)
    names = [shortened(str(name), 40) for name in scores.index]
    ax.set_yticks(places, [f"{name} (chosen)" if is_it else name for name, is_it in zip(names, marked, strict=True)])
    ax.set_ylim(len(scores) - 0.5, -0.5)
    ax.grid(axis="x", alpha=0.25)
    ax.set(title=title, xlabel=f"{measure.replace('_', ' ')}, % (95 % interval)", xlim=(0, 106))
    return ax


@none_if_empty
def plot_confusion(confusion: pd.DataFrame, *, ax=None, title: str = ""):
    """The confusion matrix, rows normalised; counts as text up to 12 classes. Rows are true, columns predicted.

    ``confusion`` is ``mistakes.confusion_matrix``'s: labels by labels, in an order of its own, as the axis says. Of more than 80 classes some names only are
    written.
    """
    names, counts = confusion.index.astype(str), confusion.to_numpy()
    size = max(3.6, min(9, 0.55 * len(names) + 1.6))
    ax = new_axes(ax, width=size + 1, height=size)
    sns.heatmap(
        counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), annot=counts if len(names) <= 12 else False, fmt="d",
        vmin=0, vmax=1, cmap=SHARES, square=True, ax=ax, linecolor=PAPER, linewidths=0.5 if len(names) <= 50 else 0,
        rasterized=len(names) > 50, cbar_kws={"label": "share of the true class", "shrink": 0.8},
        xticklabels=False, yticklabels=False,
    )  # fmt: skip
    _colour_texts(ax)
    _write_classes(ax, names)
    ax.set(title=title, xlabel="predicted (similar classes side by side)", ylabel="true")
    return ax


def _write_classes(ax, names) -> None:
    """The names of classes at both sides of a square heat map, as many and as large as there is room for."""
    step = -(-len(names) // 80)
    written = [shortened(name, 24) for name in names[::step]]
    places = np.arange(0, len(names), step) + 0.5
    ax.set_xticks(places, written)
    ax.set_yticks(places, written)
    widest = max(len(name.encode("gb18030")) for name in written)  # in Latin letters: a Chinese one counts for two
    ax.tick_params(labelsize=min(10, 300 / len(written)))
    ax.tick_params(axis="y", rotation=0)
    ax.tick_params(axis="x", rotation=0 if len(names) <= 6 and widest <= 6 else 60)


def on_colour(colour) -> str:
    """Black or white, whichever is read more easily on ``colour`` (WCAG 2's contrast: at least 4.5 to 1)."""
    red, green, blue = ((c + 0.055) / 1.055 if c > 0.04045 else 0 for c in mpl.colors.to_rgb(colour))
    luminance = 0.2126 * red**2.4 + 0.7152 * green**2.4 + 0.0722 * blue**2.4
    return "#000000" if luminance > 0.179 else "#ffffff"


def _colour_texts(ax) -> None:
    """The numbers in the cells of a heat map, each in black or white; seaborn's choice is hard to read in the middle."""
    cells = ax.collections[0].cmap(ax.collections[0].norm(ax.collections[0].get_array()))
    for text in ax.texts:
        column, row = (int(place) for place in text.get_position())
        text.set_color(on_colour(cells[row, column]))


@none_if_empty
def plot_calibration(table: pd.DataFrame, *, ax=None, title: str = ""):
    """Confidence against accuracy with the number of rows at each point; ``table`` is ``calibration_table``'s.

    Where it has accuracy_low and accuracy_high, the 95 % interval is a bar.
    """
    ax = new_axes(ax, width=5, height=3.8)
    ax.plot([0, 1], [0, 1], color=INK, alpha=0.4, linewidth=1, linestyle="--")
    ax.plot(table["confidence"], table["accuracy"], "o-", color=COLOURS[0])
    if "accuracy_low" in table:
        ax.vlines(table["confidence"], table["accuracy_low"], table["accuracy_high"], color=COLOURS[0], alpha=0.5)
    for line in table.itertuples():
        ax.annotate(
            line.rows, (line.confidence, line.accuracy), (6, -10), textcoords="offset points", color=INK, fontsize=8
        )
    ax.set(title=title, xlabel="mean confidence", ylabel="accuracy", xlim=(0, 1.04), ylim=(0, 1.04))
    return ax


@none_if_empty
def plot_coverage(
    table: pd.DataFrame, *, wanted: float = np.nan, threshold: float | None = None, ax=None, title: str = ""
):
    """Accuracy of the surest rows against the share of rows answered; ``table`` is ``guarantees.coverage_table``'s.

    Where it has low and high, the 95 % interval is a band. ``wanted`` is a broken line at that accuracy, and a dot stands
    where the rows of a confidence of ``threshold`` or more are answered.
    """
    ax = new_axes(ax, width=5, height=3.2)
    ax.plot(100 * table["coverage"], 100 * table["accuracy"], color=COLOURS[0])
    if "low" in table:
        few = table.iloc[:: max(len(table) // 200, 1)]  # a band of 200 points is as smooth as one of thousands
        ax.fill_between(
            100 * few["coverage"], 100 * few["low"], 100 * few["high"], color=COLOURS[0], alpha=0.15, linewidth=0
        )
    ax.axhline(100 * wanted, color=INK, alpha=0.4, linewidth=1, linestyle="--")
    if threshold is not None:
        last = table[table["threshold"] >= threshold].tail(1)
        ax.plot(100 * last["coverage"], 100 * last["accuracy"], "o", color=COLOURS[0])
    ax.grid(alpha=0.25)
    ax.set(title=title, xlabel="rows answered, surest first, %", ylabel="accuracy, %", xlim=(0, 101))
    return ax


@none_if_empty
def plot_votes(votes: pd.DataFrame, *, ax=None, title: str = ""):
    """Each model's probabilities for one row as grouped bars: ``votes`` has labels as rows, models as columns."""
    ax = new_axes(ax, height=0.9 + 0.12 * votes.size)
    votes.plot.barh(ax=ax, width=0.8, color=_colours(votes.shape[1]), linewidth=0)
    ax.invert_yaxis()
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    ax.set(title=title, xlabel="probability", ylabel="", xlim=(0, 1))
    return ax


@none_if_empty
def plot_sizes(curve: pd.DataFrame, *, ax=None, title: str = ""):
    """Accuracy by number of training rows, a line and its 95 % band a model; ``curve`` is the table of ``sizes.SizeCurve``."""
    ax = new_axes(ax, width=6)
    colours = _colours(curve["model"].nunique())
    for (name, lines), colour in zip(curve.groupby("model", sort=False), colours, strict=True):
        ax.plot(lines["rows"], 100 * lines["accuracy"], "o-", color=colour, label=name)
        ax.fill_between(lines["rows"], 100 * lines["low"], 100 * lines["high"], color=colour, alpha=0.12, linewidth=0)
    sizes = sorted(curve["rows"].unique())
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{rows:,}" for rows in sizes])
    ax.minorticks_off()
    ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    ax.grid(alpha=0.25)
    ax.set(title=title, xlabel="training rows", ylabel="accuracy, % (95 % interval)")
    return ax
