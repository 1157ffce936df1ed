"""Figures: the right numbers in the right places, nothing shown, nothing overlapping, no glyph missing."""

from itertools import pairwise

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from fusebook.data.predictions import Predictions
from fusebook.evaluation.confidence import calibration_table
from fusebook.evaluation.guarantees import coverage_table
from fusebook.evaluation.scores import score_table
from fusebook.plots import charts, words

pytestmark = pytest.mark.filterwarnings("error:Glyph .* missing")
SIDE_BY_SIDE = "predicted (similar classes side by side)"
CHINESE = [f"类别{i}" for i in range(60)]


@pytest.fixture(autouse=True)
def style(monkeypatch):
    """Our style, closed figures afterwards, and no window however it is asked for."""

    def refuse(*_, **__):
        raise AssertionError("a figure was shown")

    monkeypatch.setattr(plt, "show", refuse)
    monkeypatch.setattr(Figure, "show", refuse)
    with mpl.rc_context():
        charts.use_style()
        yield
    plt.close("all")


def rng():
    return np.random.default_rng(0)


def answers(names=("a",), n_rows=200):
    """Guesses at three classes, the same for all of some models."""
    return Predictions.of(dict.fromkeys(names, rng().dirichlet(np.ones(3), n_rows)), rng().integers(0, 3, n_rows))


def confused(names, counts=None):
    """A confusion matrix as ``mistakes.confusion_matrix`` returns it."""
    counts = np.eye(len(names), dtype=int) if counts is None else counts
    return pd.DataFrame(counts, pd.Index(list(names), name="label"), pd.Index(list(names), name="predicted"))


def histories(names):
    table = pd.DataFrame({"loss": [1.0, 0.5], "val_loss": [1.1, 0.7]}, index=[1, 2])
    return dict.fromkeys(names, table)


def labelled(names):
    return pd.DataFrame({"label": np.repeat(names, 5), "tokens": rng().random(5 * len(names))})


def shares(names, n_columns=3):
    return pd.DataFrame(rng().dirichlet(np.ones(n_columns), len(names)), index=names).add_prefix("标")


def scores(names):
    return score_table(answers(names), n_resamples=20)


def sizes(names):
    lines = [(name, rows, 0.5, 0.4, 0.6) for name in names for rows in (50, 100, 200)]
    return pd.DataFrame(lines, columns=["model", "rows", "accuracy", "low", "high"])


def draw(ax):
    """Draw the whole figure, as saving it would."""
    ax.figure.canvas.draw()


# Each plot with the names of its classes, models or labels, and the words its axes must have.
PLOTS = {
    "counts": (lambda n, **o: charts.plot_counts(pd.Series(range(1, len(n) + 1), index=n), **o), "rows", ""),
    "spread": (lambda n, **o: charts.plot_spread(labelled(n), column="tokens", **o), "tokens", ""),
    "parts": (lambda n, **o: charts.plot_parts(shares(n), **o), "", ""),
    "tag mix": (lambda n, **o: charts.plot_tag_mix(shares(n, 9), **o), "share of tokens", ""),
    "log mel": (lambda n, **o: charts.plot_log_mel(rng().normal(size=(50, 40)), **o), "seconds", "mel band"),
    "scores": (lambda n, **o: charts.plot_scores(scores(n), **o), "accuracy, % (95 % interval)", ""),
    "confusion": (lambda n, **o: charts.plot_confusion(confused(n), **o), SIDE_BY_SIDE, "true"),
    "calibration": (
        lambda n, **o: charts.plot_calibration(calibration_table(answers(), "a"), **o),
        "mean confidence", "accuracy",
    ),
    "coverage": (
        lambda n, **o: charts.plot_coverage(coverage_table(answers(), "a"), **o),
        "rows answered, surest first, %", "accuracy, %",
    ),
    "sizes": (lambda n, **o: charts.plot_sizes(sizes(n), **o), "training rows", "accuracy, % (95 % interval)"),
    "votes": (lambda n, **o: charts.plot_votes(shares(n), **o), "probability", ""),
}  # fmt: skip
every_plot = pytest.mark.parametrize("kind", PLOTS)


# --- What holds for every plot ------------------------------------------------------------------------


@every_plot
def test_it_draws_on_the_axes_given_and_labels_them(kind):
    plot, x, y = PLOTS[kind]
    figure, ax = plt.subplots()
    assert plot(CHINESE[:3], ax=ax, title="财经 and 体育") is ax
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == (x, y, "财经 and 体育")
    assert plt.get_fignums() == [figure.number], "no second figure"
    draw(ax)


@every_plot
@pytest.mark.parametrize("names", [["only"], ["no", "yes"], CHINESE[:6], CHINESE], ids=["1", "2", "6", "60"])
def test_it_makes_its_own_axes_and_labels_do_not_overlap(kind, names):
    ax = PLOTS[kind][0](names)
    draw(ax)
    assert isinstance(ax, plt.Axes) and len(plt.get_fignums()) == 1
    across = [
        label.get_window_extent() for label in ax.get_xticklabels() if label.get_text() and not label.get_rotation()
    ]
    down = sorted(
        (label.get_window_extent() for label in ax.get_yticklabels() if label.get_text()), key=lambda box: -box.y1
    )
    assert all(left.x1 <= right.x0 for left, right in pairwise(across))
    assert all(upper.y0 >= next_.y1 - 1 for upper, next_ in pairwise(down))
    if (legend := ax.get_legend()) is not None:
        for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
            assert not legend.get_window_extent().overlaps(text.get_window_extent()) or not text.get_text()


def test_missing_glyphs_would_be_noticed():
    with mpl.rc_context({"font.family": ["DejaVu Sans"]}), pytest.raises(UserWarning, match="missing"):
        draw(charts.plot_counts(pd.Series([1], index=["财经"])))


def test_figures_use_the_two_colours_that_pages_swap():
    ax = charts.plot_counts(pd.Series([3, 2], index=["a", "b"]), title="title")
    swapped = [ax.title, ax.xaxis.label, *ax.get_xticklabels(), *ax.get_yticklabels(), *ax.texts]
    assert {mpl.colors.to_hex(text.get_color()) for text in swapped} == {charts.INK}
    assert mpl.colors.to_hex(ax.figure.get_facecolor()) == charts.PAPER
    assert mpl.colors.to_hex(ax.spines["bottom"].get_edgecolor()) == charts.INK


@pytest.mark.parametrize("plot", [charts.plot_tag_mix, charts.plot_votes])
@pytest.mark.parametrize("n_columns", [2, 9, 20])
def test_no_two_columns_share_a_colour(plot, n_columns):
    ax = plot(shares(["a", "b"], n_columns))
    colours = {mpl.colors.to_hex(bars.patches[0].get_facecolor()) for bars in ax.containers}
    shown = min(n_columns, charts.MOST_TAGS) if plot is charts.plot_tag_mix else n_columns
    assert len(ax.containers) == shown == len(colours)


# --- Numbers ------------------------------------------------------------------------------------------


def test_counts_are_the_lengths_of_bars():
    ax = charts.plot_counts(pd.Series([30, 12, 0], index=["a", "b", "c"]))
    assert [bar.get_width() for bar in ax.patches] == [30, 12, 0]
    assert [text.get_text() for text in ax.texts] == ["30", "12", "0"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"] and ax.yaxis_inverted()


def test_spread_shows_medians_and_quartiles():
    values = pd.DataFrame({"label": list("aaaaabbbbb"), "seconds": [1, 2, 3, 4, 5, 10, 20, 30, 40, 50]})
    ax = charts.plot_spread(values, column="seconds")
    boxes = [patch.get_path().vertices[:, 0] for patch in ax.patches]
    quartiles = [(box.min(), box.max()) for box in boxes]
    assert quartiles == [(2, 4), (20, 40)]
    ends = [tuple(line.get_xdata()) for line in ax.lines]
    assert (3, 3) in ends and (30, 30) in ends
    assert ax.get_xlabel() == "seconds"


def test_parts_are_percentages():
    ax = charts.plot_parts(pd.DataFrame({"audio": [0.5, 1.0], "text": [0.0, 0.126]}, index=["a", "b"]))
    assert [text.get_text() for text in ax.texts] == ["50", "0", "100", "13"]
    np.testing.assert_allclose(ax.collections[0].get_array().ravel(), [50, 0, 100, 12.6])
    assert ax.collections[0].get_clim() == (0, 100)


def test_tag_mix_is_stacked_the_most_frequent_tag_first():
    mix = pd.DataFrame({"n": [0.5, 0.2], "v": [0.3, 0.8], "x": [0.2, 0.0]}, index=["a", "b"])
    ax = charts.plot_tag_mix(mix)
    widths = [[bar.get_width() for bar in bars] for bars in ax.containers]
    starts = [[bar.get_x() for bar in bars] for bars in ax.containers]
    mix = mix[["v", "n", "x"]]
    np.testing.assert_allclose(widths, mix.T)
    np.testing.assert_allclose(starts, mix.T.cumsum() - mix.T, atol=1e-12)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["v", "n", "x"]


def test_of_many_tags_nine_are_shown():
    mix = pd.DataFrame([np.arange(12) / 66], columns=list("abcdefghijkl"), index=["all"])
    ax = charts.plot_tag_mix(mix)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list("lkjihgfed")


def test_log_mel_has_time_to_the_right_and_low_bands_below():
    levels = rng().normal(size=(50, 40))
    ax = charts.plot_log_mel(levels)
    image = ax.images[0]
    np.testing.assert_array_equal(image.get_array(), levels.T)
    assert image.origin == "lower" and image.get_extent() == [0, 0.5, 0, 40]
    assert image.colorbar.ax.get_ylabel() == "dB"


@pytest.mark.parametrize(("n_models", "shape"), [(1, (1, 1)), (4, (1, 4)), (6, (2, 4))])
def test_history_has_a_panel_a_model(n_models, shape):
    axes = charts.plot_history(histories(CHINESE[:n_models]))
    assert axes.shape == shape
    for ax, name in zip(axes.flat, CHINESE[:n_models], strict=False):
        assert [line.get_ydata().tolist() for line in ax.lines] == [[1.0, 0.5], [1.1, 0.7]]
        assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2], [1, 2]]
        assert ax.get_title(loc="left") == name and ax.get_xlabel() == "epoch"
    assert [ax.get_visible() for ax in axes.flat] == [True] * n_models + [False] * (axes.size - n_models)
    assert axes[0, 0].get_ylabel() == "cross-entropy"
    assert [text.get_text() for text in axes[0, 0].get_legend().get_texts()] == ["training", "validation"]
    draw(axes[0, 0])


def test_a_history_of_one_epoch_can_be_seen():
    axes = charts.plot_history({"text": pd.DataFrame({"loss": [1.0], "val_loss": [1.1]}, index=[1])})
    assert all(line.get_marker() not in ("", "None", None) for line in axes[0, 0].lines)


@pytest.mark.parametrize("measure", ["accuracy", "macro_f1"])
def test_scores_are_dots_with_their_intervals(measure):
    made = answers()
    table = score_table(made | {"b": np.eye(3)[made.labels]})
    ax = charts.plot_scores(table, measure=measure)
    dots, _, (intervals,) = ax.containers[0].lines
    np.testing.assert_allclose(dots.get_xdata().astype(float), 100 * table[measure].to_numpy())
    ends = [segment[:, 0] for segment in intervals.get_segments()]
    np.testing.assert_allclose(ends, 100 * table[[f"{measure}_low", f"{measure}_high"]].to_numpy())
    assert [text.get_text() for text in ax.texts] == [f"{100 * value:.1f}" for value in table[measure]]
    assert ax.get_xlabel() == f"{measure.replace('_', ' ')}, % (95 % interval)"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"] and ax.yaxis_inverted()
    assert ax.get_ylim()[0] > 1.3 and ax.get_ylim()[1] < -0.3, "no dot on the frame"


def test_the_chosen_model_has_a_mark_of_its_own_and_says_so_in_words():
    table = scores(list("abc"))
    ax = charts.plot_scores(table, chosen="b")
    others, one = (container.lines[0] for container in ax.containers)
    assert (list(others.get_ydata()), list(one.get_ydata())) == ([0, 2], [1])
    assert (others.get_marker(), one.get_marker()) == ("o", "D") and others.get_color() != one.get_color()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b (chosen)", "c"]
    told = words.describe(ax.figure)
    assert all(name in told for name in ("a ", "b (chosen) ", "c ")), told
    assert len(charts.plot_scores(table, chosen="z").containers) == 1, "none is marked that is not there"


def test_boxes_are_in_the_order_of_their_names():
    ax = charts.plot_spread(pd.DataFrame({"label": list("cabc"), "n": [1, 2, 3, 4]}), column="n")
    assert [label.get_text() for label in ax.get_yticklabels()] == list("abc")


def test_confusion_shows_counts_and_shares_of_the_true_class():
    labels, predicted = [0, 0, 0, 1, 1], [0, 0, 1, 0, 1]
    confusion = confusion_matrix(labels, predicted, labels=[0, 1, 2])  # class 2 has no rows
    ax = charts.plot_confusion(confused("abc", confusion))
    shown = ax.collections[0].get_array().reshape(3, 3)
    np.testing.assert_allclose(shown[:2], confusion_matrix(labels, predicted, labels=[0, 1, 2], normalize="true")[:2])
    assert not shown[2].any() and ax.collections[0].get_clim() == (0, 1)
    assert [text.get_text() for text in ax.texts] == ["2", "1", "0", "1", "1", "0", "0", "0", "0"]
    for labels_of in (ax.get_xticklabels, ax.get_yticklabels):
        assert [label.get_text() for label in labels_of()] == ["a", "b", "c"]


@pytest.mark.parametrize(("n_classes", "texts"), [(12, 144), (13, 0), (60, 0)])
def test_counts_are_written_where_there_is_room(n_classes, texts):
    ax = charts.plot_confusion(confused(CHINESE[:n_classes]) * 1234)
    assert len(ax.texts) == texts
    assert len(ax.get_xticklabels()) == len(ax.get_yticklabels()) == n_classes


@pytest.mark.parametrize("names", [["<script>a(1)</script>", "$x^", "nan"], ["x" * 300, "$a$", "None"]])
def test_odd_labels_are_drawn_as_they_are(names):
    ax = charts.plot_confusion(confused(names))
    draw(ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == [n if len(n) < 30 else "x" * 23 + "…" for n in names]
    assert not any(label.get_parse_math() for label in ax.get_yticklabels()), "a $ is a $, not a formula"


def test_of_200_classes_some_are_named():
    ax = charts.plot_confusion(confused([f"类{i}" for i in range(200)]))
    assert [label.get_text() for label in ax.get_yticklabels()][:3] == ["类0", "类3", "类6"]
    assert ax.get_yticks()[:3].tolist() == [0.5, 3.5, 6.5]


def test_the_band_of_coverage_is_the_interval():
    table = coverage_table(answers(), "a")
    band = charts.plot_coverage(table).collections[0].get_paths()[0].vertices[:, 1]
    ends = [100 * table["low"].min(), 100 * table["high"].max()]
    assert [band.min(), band.max()] == pytest.approx(ends)


@pytest.mark.parametrize("names", [["a long label", "another label"], ["国际新闻要览", "国内经济观察", "体育", "科技"]])
def test_long_labels_below_do_not_run_into_each_other(names):
    ax = charts.plot_confusion(confused(names))
    draw(ax)
    assert all(label.get_rotation() for label in ax.get_xticklabels())


def test_calibration_has_points_with_their_rows():
    table = pd.DataFrame({"rows": [3, 40], "confidence": [0.55, 0.9], "accuracy": [0.33, 0.8]})
    ax = charts.plot_calibration(table)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[0.55, 0.33], [0.9, 0.8]])
    assert [(note.get_text(), note.xy) for note in ax.texts] == [("3", (0.55, 0.33)), ("40", (0.9, 0.8))]


def test_coverage_is_in_percent():
    table = pd.DataFrame({"coverage": [0.5, 1.0], "accuracy": [1.0, 0.75]})
    np.testing.assert_array_equal(charts.plot_coverage(table).lines[0].get_xydata(), [[50, 100], [100, 75]])
    marked = charts.plot_coverage(table.assign(threshold=[0.9, 0.6]), wanted=0.8, threshold=0.7)
    assert marked.lines[1].get_ydata() == [80, 80] and marked.lines[2].get_xydata().tolist() == [[50, 100]]


def test_votes_are_grouped_by_label():
    votes = pd.DataFrame({"text": [0.7, 0.3], "audio": [0.4, 0.6]}, index=["财经", "体育"])
    ax = charts.plot_votes(votes)
    np.testing.assert_allclose([[bar.get_width() for bar in bars] for bars in ax.containers], votes.T)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["text", "audio"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["财经", "体育"] and ax.get_xlim() == (0, 1)


# --- Nothing to draw ----------------------------------------------------------------------------------


EMPTY = {
    "counts": lambda **o: charts.plot_counts(pd.Series([], dtype=int), **o),
    "spread": lambda **o: charts.plot_spread(labelled(["a"])[:0], column="tokens", **o),
    "parts": lambda **o: charts.plot_parts(shares([]), **o),
    "tag mix": lambda **o: charts.plot_tag_mix(shares([]), **o),
    "log mel": lambda **o: charts.plot_log_mel(np.empty((0, 40)), **o),
    "scores": lambda **o: charts.plot_scores(score_table(answers([])), **o),
    "confusion": lambda **o: charts.plot_confusion(confused([]), **o),
    "calibration": lambda **o: charts.plot_calibration(calibration_table(answers(n_rows=0), "a"), **o),
    "coverage": lambda **o: charts.plot_coverage(coverage_table(answers(n_rows=0), "a"), **o),
    "sizes": lambda **o: charts.plot_sizes(sizes([]), **o),
    "votes": lambda **o: charts.plot_votes(shares([]), **o),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_of_an_empty_table_nothing_is_drawn(kind):
    assert EMPTY.keys() == PLOTS.keys()
    assert EMPTY[kind](title="nothing") is None and not plt.get_fignums()
    _, ax = plt.subplots()
    assert EMPTY[kind](ax=ax, title="nothing") is None and not ax.has_data() and not ax.get_title("left")


def test_without_networks_there_is_no_history():
    assert charts.plot_history({}) is None and not plt.get_fignums()


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_classes_without_rows_are_drawn_white():
    ax = charts.plot_confusion(confused("ab", np.zeros((2, 2), int)))
    draw(ax)
    assert not ax.collections[0].get_array().any()
