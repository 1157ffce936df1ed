"""Figures of fusions: the right numbers in the right places, also for Chinese names, one part and no line at all."""

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from fusebook.plots import charts, fusion

pytestmark = pytest.mark.filterwarnings("error:Glyph .* missing", "error:.*layout not applied", "error:.*identical")
MODELS = ["own network", "with dropout", "without"]


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context():
        charts.use_style()
        yield
    plt.close("all")


def lines(by, measure, groups, models=MODELS):
    """Values from 0.1 up, each with an interval from 0.02 below to 0.03 above."""
    made = [{by: group, "model": model} for group in groups for model in models]
    made = pd.DataFrame(made, columns=[by, "model"])
    made[measure] = 0.1 + 0.02 * np.arange(len(made))
    return made.assign(**{f"{measure}_low": made[measure] - 0.02, f"{measure}_high": made[measure] + 0.03})


def counts():
    parts = ["audio", "text"]
    keys = [("right", "wrong"), ("missing", "right"), ("wrong", "wrong")]
    index = pd.MultiIndex.from_tuples(keys, names=parts)
    return pd.DataFrame({"rows": [60, 40, 2], "fusion_right": [45, 40, 1], "fusion_wrong": [15, 0, 1]}, index=index)


@pytest.mark.parametrize(
    ("plot", "by", "measure"), [(fusion.plot_subsets, "parts", "accuracy"), (fusion.plot_shuffles, "part", "drop")]
)
def test_each_line_of_the_table_is_a_dot_with_its_interval(plot, by, measure):
    groups = ["audio", "text", "audio + text"]
    table = lines(by, measure, groups)
    ax = plot(table, title="标题")
    assert [label.get_text() for label in ax.get_yticklabels()] == groups
    for container in ax.containers:
        own = table[table["model"] == container.get_label()]
        dots, _, (bars,) = container
        np.testing.assert_allclose(dots.get_xdata().astype(float), 100 * own[measure])
        assert [groups[round(place)] for place in dots.get_ydata()] == list(own[by]), "each in its own group"
        ends = [[100 * line[f"{measure}_low"], 100 * line[f"{measure}_high"]] for _, line in own.iterrows()]
        np.testing.assert_allclose([segment[:, 0] for segment in bars.get_segments()], ends)
    assert [container.get_label() for container in ax.containers] == MODELS
    places = np.concatenate([container[0].get_ydata() for container in ax.containers]).astype(float)
    assert len(np.unique(places.round(3))) == len(table), "no dot hides another"
    assert ax.get_ylim()[0] > ax.get_ylim()[1] and ax.get_title(loc="left") == "标题"


def test_a_model_keeps_its_colour_beside_networks_of_one_part():
    subsets = fusion.plot_subsets(lines("parts", "accuracy", ["text"]))
    shuffles = fusion.plot_shuffles(lines("part", "drop", ["text"], MODELS[1:]))
    colours = [
        {container.get_label(): container[0].get_color() for container in ax.containers} for ax in (subsets, shuffles)
    ]
    assert colours[0].pop("own network") == charts.INK and colours[0] == colours[1]
    assert len(set(colours[1].values())) == 2


@pytest.mark.parametrize(
    ("plot", "by", "measure"), [(fusion.plot_subsets, "parts", "accuracy"), (fusion.plot_shuffles, "part", "drop")]
)
def test_of_a_table_without_lines_nothing_is_drawn(plot, by, measure):
    assert plot(lines(by, measure, [])) is None and not plt.get_fignums()


def test_gates_show_percent_by_label():
    shares = pd.DataFrame({"audio": [0.25, 0.6], "text": [0.75, 0.4]}, index=["体育", "money"])
    ax = fusion.plot_gates(shares)
    assert [text.get_text() for text in ax.texts] == ["25", "75", "60", "40"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["体育", "money"]
    assert ax.get_xlabel() == "share of the signal, %"


def test_without_gates_or_rows_nothing_is_drawn():
    assert fusion.plot_gates(pd.DataFrame(columns=["text"], dtype=float)) is None
    assert fusion.plot_ledger(counts()[:0]) is None and not plt.get_fignums()


def test_the_ledger_stacks_right_and_wrong_rows():
    ax = fusion.plot_ledger(counts())
    right, wrong = ([(bar.get_x(), bar.get_width()) for bar in container] for container in ax.containers)
    assert right == [(0, 45), (0, 40), (0, 1)] and wrong == [(45, 15), (40, 0), (1, 1)]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["audio right, text wrong", "audio missing, text right", "audio wrong, text wrong"]
    assert [text.get_text() for text in ax.texts] == ["45", "40", "", "15", "", ""], "none where it has no room"
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["fusion right", "fusion wrong"]


def test_one_part_has_a_ledger_too():
    table = pd.DataFrame(
        {"rows": [5, 4], "fusion_right": [0, 4], "fusion_wrong": [5, 0]},
        index=pd.Index(["wrong", "right"], name="text"),
    )
    ax = fusion.plot_ledger(table)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["text wrong", "text right"]


@pytest.mark.parametrize("name", ["subsets", "shuffles", "ledger", "gates"])
def test_axes_that_are_given_are_drawn_on(name):
    values = {
        "subsets": lines("parts", "accuracy", ["text"]), "shuffles": lines("part", "drop", ["text"]),
        "ledger": counts(), "gates": pd.DataFrame({"text": [1.0]}, index=["a"]),
    }  # fmt: skip
    _, ax = plt.subplots()
    assert getattr(fusion, f"plot_{name}")(values[name], ax=ax) is ax and len(plt.get_fignums()) == 1
