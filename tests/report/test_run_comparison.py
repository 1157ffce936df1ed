"""The tables of a comparison, against scikit-learn, SciPy, statsmodels and counts by pandas."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_recall_fscore_support
from statsmodels.stats.proportion import proportion_confint
from tiny_runs import answers_of, majority_of, make_table, write_run

from fusebook.report import compare

WRONG = {"a": range(3, 120, 12), "b": [3, 15, 30, 60], "c": [*range(3, 120, 12), 6]}


def compared_runs(folder, tables, wrong=WRONG, extra=True):
    """The runs of ``tables`` (name to table) and their common rows."""
    for name, table in tables.items():
        models = {"text": answers_of(table, wrong=wrong[name], seed=ord(name)), "majority": majority_of(table)}
        models |= {f"only {name}": models["text"]} if extra else {}
        write_run(folder / name, table, models)
    runs = compare.read_runs([folder / name for name in tables])
    return runs, compare.common_rows(runs)


@pytest.fixture(scope="module")
def table():
    return make_table(240)


@pytest.fixture(scope="module")
def three(table, tmp_path_factory):
    return compared_runs(tmp_path_factory.mktemp("three"), {"a": table, "b": table, "c": table})


def joined(table, wrong=WRONG):
    """By hand: a line a test row with label, and answer and probabilities of each run."""
    made = table[table["split"] == "test"].set_index("row")
    values = {name: answers_of(table, wrong=rows, seed=ord(name)).loc[made.index] for name, rows in wrong.items()}
    return made, values


def test_scores_are_those_of_scikit_learn(three, table):
    scores = compare.run_scores(*three)
    rows, values = joined(table)
    base = rows["label"].eq(table.loc[table["split"] == "train", "label"].mode()[0]).mean()
    assert list(scores.index) == ["a", "b", "c"] and list(scores["model"]) == ["text"] * 3
    for name, line in scores.iterrows():
        said = values[name].idxmax(axis=1)
        assert line["accuracy"] == pytest.approx(accuracy_score(rows["label"], said))
        assert line["macro_f1"] == pytest.approx(f1_score(rows["label"], said, average="macro"))
        assert line["log_loss"] == pytest.approx(log_loss(rows["label"], values[name], labels=list(values[name])))
        right = (said == rows["label"]).sum()
        low, high = proportion_confint(right, len(rows), method="wilson")
        assert (line["accuracy_low"], line["accuracy_high"]) == pytest.approx((low, high))
        assert line["majority"] == pytest.approx(base)


def test_pairs_are_tested_as_by_scipy_and_corrected_by_hand(three, table):
    pairs = compare.run_pairs(*three)
    rows, values = joined(table)
    right = {name: (own.idxmax(axis=1) == rows["label"]).to_numpy() for name, own in values.items()}
    assert list(zip(pairs["a"], pairs["b"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
    for line in pairs.itertuples():
        a, b = right[line.a], right[line.b]
        only_a, only_b = (a & ~b).sum(), (b & ~a).sum()
        assert (line.only_a, line.only_b) == (only_a, only_b)
        assert line.p == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
        gains = b.astype(float) - a
        drawn = bootstrap((gains,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
        assert line.difference == pytest.approx(gains.mean())
        assert (line.low, line.high) == pytest.approx(tuple(drawn), abs=1.01 / len(rows))
    by_size = pairs["p"].sort_values()
    holm = np.minimum(np.maximum.accumulate(by_size * [3, 2, 1]), 1)
    np.testing.assert_allclose(pairs["p_holm"], pd.Series(holm, by_size.index).sort_index())


def test_rows_fixed_and_broken_are_those_of_a_merge(three, table):
    changes = compare.row_changes(*three, 1)
    rows, values = joined(table)
    said = pd.DataFrame({name: own.idxmax(axis=1) for name, own in values.items()})
    by_hand = {
        "fixed": (said["a"] != rows["label"]) & (said["b"] == rows["label"]),
        "broken": (said["a"] == rows["label"]) & (said["b"] != rows["label"]),
        "right in both": (said["a"] == rows["label"]) & (said["b"] == rows["label"]),
        "wrong in both": (said["a"] != rows["label"]) & (said["b"] != rows["label"]),
    }
    for outcome, there in by_hand.items():
        assert set(changes.loc[changes["outcome"] == outcome, "row"]) == set(rows.index[there]) != set()
    own = changes.set_index("row")
    assert own["answer"].to_dict() == said["a"].to_dict()
    np.testing.assert_allclose(own["confidence_other"], values["b"].max(axis=1))
    assert own["text"].to_dict() == rows["text"].to_dict()


def test_the_surest_wrong_answer_comes_first(tmp_path, table):
    wrong = {"a": range(3, 120, 6), "b": range(6, 120, 6)}
    runs, common = compared_runs(tmp_path, {"a": table, "b": table}, wrong, extra=False)
    changes = compare.row_changes(runs, common, 1)
    for outcome, name in (("fixed", "a"), ("broken", "b")):
        values = answers_of(table, wrong=wrong[name], seed=ord(name)).max(axis=1)
        expected = values[list(wrong[name])].sort_values(ascending=False)
        assert compare.surest_first(changes, outcome)["row"].tolist() == expected.index.tolist()


def test_classes_are_those_of_scikit_learn(three, table):
    changes = compare.row_changes(*three, 1)
    classes = compare.class_changes(*three, 1, changes)
    rows, values = joined(table)
    names = sorted(table["label"].unique())
    for name, end in (("a", ""), ("b", "_other")):
        said = values[name].idxmax(axis=1)
        _, recall, f1, count = precision_recall_fscore_support(rows["label"], said, labels=names)
        np.testing.assert_allclose(classes[f"recall{end}"], recall)
        np.testing.assert_allclose(classes[f"f1{end}"], f1)
        assert classes["rows"].tolist() == count.tolist() and list(classes.index) == names
    counts = pd.crosstab(changes["label"], changes["outcome"])
    assert classes["fixed"].to_dict() == counts["fixed"].to_dict()
    assert classes["broken"].to_dict() == counts["broken"].to_dict()


def test_a_label_that_nobody_has_or_says_is_left_out(tmp_path):
    table = make_table(60, labels=("money", "sport", "zoo"))
    table.loc[table["split"] != "train", "label"] = "money"
    runs, common = compared_runs(tmp_path, {"a": table, "b": table}, {"a": [3], "b": []})
    classes = compare.class_changes(runs, common, 1, compare.row_changes(runs, common, 1))
    assert list(classes.index) == ["money", "sport"] and classes["rows"].tolist() == [20, 0]


def test_models_of_one_name_are_compared_and_others_left_out(three, table):
    models = compare.model_scores(*three)
    assert models[["model", "run"]].to_numpy().tolist() == [[m, r] for m in ("text", "majority") for r in "abc"]
    rows, values = joined(table)
    right = {name: (own.idxmax(axis=1) == rows["label"]).to_numpy() for name, own in values.items()}
    line = models[(models["model"] == "text") & (models["run"] == "b")].iloc[0]
    only_a, only_b = (right["a"] & ~right["b"]).sum(), (right["b"] & ~right["a"]).sum()
    assert line["p"] == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    assert line["difference"] == pytest.approx(right["b"].mean() - right["a"].mean())
    tested = models.dropna(subset="p").sort_values("p")
    holm = np.minimum(np.maximum.accumulate(tested["p"] * [4, 3, 2, 1]), 1)
    np.testing.assert_allclose(tested["p_holm"], holm)
    assert models["p"].isna().sum() == 2


def test_no_model_of_one_name_is_an_empty_table(tmp_path, table):
    for name in "ab":
        write_run(tmp_path / name, table, {f"only {name}": answers_of(table)})
    runs = compare.read_runs([tmp_path / "a", tmp_path / "b"])
    assert compare.model_scores(runs, compare.common_rows(runs)).empty


def test_the_same_answers_are_said_to_be_the_same(tmp_path, table):
    runs, common = compared_runs(tmp_path, {"a": table, "b": table}, {"a": [3], "b": [3]})
    pairs = compare.run_pairs(runs, common)
    assert pairs.loc[0, ["difference", "p", "p_holm"]].tolist() == [0, 1, 1]
    assert compare.verdicts(runs, common, pairs) == ["Run b gives each common test row the same answer as run a."]


def test_equal_scores_of_other_rows_are_no_shown_difference(tmp_path, table):
    runs, common = compared_runs(tmp_path, {"a": table, "b": table}, {"a": [3], "b": [6]})
    [verdict] = compare.verdicts(runs, common, compare.run_pairs(runs, common))
    assert verdict.startswith("No difference between run b and run a was shown: +0.0 points") and "p = 1;" in verdict


def test_a_worse_run_is_said_to_be_worse(tmp_path, table):
    runs, common = compared_runs(tmp_path, {"a": table, "b": table}, {"a": [], "b": range(3, 90, 3)})
    [verdict] = compare.verdicts(runs, common, compare.run_pairs(runs, common))
    assert verdict.startswith("Run b is worse than run a: -36.2 points") and verdict.endswith("p < 0.0001.")


def test_one_common_row(tmp_path):
    table = make_table(30)
    other = table.assign(split=np.where(table["row"] == 9, "test", "train"))
    runs, common = compared_runs(tmp_path, {"a": table, "b": other}, {"a": [9], "b": []})
    scores, pairs = compare.run_scores(runs, common), compare.run_pairs(runs, common)
    assert scores["accuracy"].tolist() == [0, 1] and scores["n_rows"].tolist() == [1, 1]
    assert pairs.loc[0, ["only_a", "only_b", "p"]].tolist() == [0, 1, 1]
    assert compare.row_changes(runs, common, 1)["outcome"].tolist() == ["fixed"]


def test_the_first_runs_label_counts_and_the_others_is_measured_too(tmp_path, table):
    moved = table.set_index("row")
    rows = [3, 6, 9, 12]
    moved.loc[rows, "label"] = moved.loc[rows, "label"].map({"money": "sport", "sport": "技术", "技术": "money"})
    runs, common = compared_runs(tmp_path, {"a": table, "b": moved.reset_index()}, {"a": [15], "b": []})
    changes = compare.row_changes(runs, common, 1)
    assert changes.loc[changes["label"] != changes["label_other"], "row"].tolist() == rows
    # By the first's labels the other run is wrong in the four rows, by its own in none.
    n_rows = len(changes)
    assert compare.run_pairs(runs, common).loc[0, "difference"] == pytest.approx((1 - 4) / n_rows)
    assert compare.with_labels_of(runs, common, 1)["difference"] == pytest.approx((1 + 4) / n_rows)


def test_labels_that_one_run_alone_has(tmp_path):
    table = make_table(60)
    wider = table.assign(label=table["label"].where(table["row"] > 30, table["label"].replace("money", "tax")))
    runs, _ = compared_runs(tmp_path, {"a": table, "b": wider})
    assert compare.labels_apart(runs) == {"b": ["tax"]}


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_what_one_run_alone_reads_is_shown(tmp_path, table, order):
    pictured = table.assign(text="", image="x.png")
    for name, own in (("a", table), ("b", pictured)):
        write_run(tmp_path / name, own, {"text": answers_of(own)}, sha256="one table")
    runs = compare.read_runs([tmp_path / name for name in order])
    changes = compare.row_changes(runs, compare.common_rows(runs), 1)
    assert set(changes["image"]) == {"x.png"} and changes["text"].str.startswith("text number").all()
    assert set(changes["audio"]) == {""}
