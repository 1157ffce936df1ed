"""Runs, the test rows that they have in common, and what became of each: against merges by hand in pandas and SciPy."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import binomtest, bootstrap
from tiny_runs import answers_of, make_table, write_run

from fusebook.evaluation import common_rows
from fusebook.evaluation.common_rows import CommonRows

FILES = {"text": "title", "label": "topic", "image": "picture", "audio": ""}


def run_of(folder, table, *, wrong=(), **options):
    write_run(folder, table, {"text": answers_of(table, wrong=wrong)}, **options)
    return common_rows.read_run(folder)


def common_of(*finished):
    return CommonRows.of([run.path for run in finished])


def other_split(table, seed=5):
    """The same table, split anew."""
    split = np.random.default_rng(seed).choice(["train", "validation", "test"], len(table), p=[0.5, 0.1, 0.4])
    return table.assign(split=split)


def shuffled(table, seed=7):
    """The same rows in another order, with numbers of their own."""
    made = table.sample(frac=1, random_state=seed).reset_index(drop=True)
    return made.assign(row=made.index + 1, group=made.index + 1)


def test_names_take_as_much_of_the_path_as_they_need():
    paths = [Path("/a/x/run"), Path("/a/y/run"), Path("/a/y/run")]
    assert common_rows.distinct_names(paths) == ["x/run", "y/run", "y/run (2)"]
    assert common_rows.distinct_names([Path("/a/one"), Path("/b/two")]) == ["one", "two"]


def test_a_folder_that_is_no_run(tmp_path):
    (tmp_path / "file").write_text("x")
    for name, said in (("gone", "is not there"), ("file", "is a file"), (".", "holds no run")):
        with pytest.raises(ValueError, match=f"{said}. Expected the folder of a run"):
            common_rows.read_run(tmp_path / name)


@pytest.mark.parametrize(
    ("missing", "notebook"),
    [("predictions.parquet", "03_train"), ("splits.parquet", "02_preprocess"), ("rows.parquet", "01_explore")],
)
def test_a_run_that_is_not_through_names_the_notebook(tmp_path, missing, notebook):
    run_of(tmp_path / "a", make_table())
    (tmp_path / "a" / "artifacts" / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f"Notebook {notebook} writes it"):
        common_rows.read_run(tmp_path / "a")


def test_predictions_of_another_split_are_refused(tmp_path):
    table = make_table()
    run_of(tmp_path / "a", table)
    splits = other_split(table)[["row", "split", "label", "group"]]
    splits.to_parquet(tmp_path / "a" / "artifacts" / "splits.parquet")
    with pytest.raises(ValueError, match="do not belong to its splits"):
        common_rows.read_run(tmp_path / "a")


def test_a_chosen_model_without_predictions_is_refused(tmp_path):
    run_of(tmp_path / "a", make_table())
    (tmp_path / "a" / "artifacts" / "metrics.json").write_text(json.dumps({"chosen": "image"}))
    with pytest.raises(ValueError, match="do not belong"):
        common_rows.read_run(tmp_path / "a")


def test_one_table_split_in_two_ways_is_matched_by_row_number(tmp_path):
    table = make_table(300)
    tables = table, other_split(table)
    first, other = (run_of(tmp_path / name, own) for name, own in zip("ab", tables, strict=True))
    common = common_of(first, other)
    both = tables[0].merge(tables[1], on="row", suffixes=("_a", "_b"))
    tests = both[(both["split_a"] == "test") & (both["split_b"] == "test")]
    assert common.matches[0]["parts"] == [] and len(tests) > 20
    assert common.rows[0].tolist() == common.rows[1].tolist() == tests["row"].tolist()
    words = {"train": "training", "validation": "validation", "test": "compared"}
    for side, own, there in (("first", "split_a", "split_b"), ("other", "split_b", "split_a")):
        counts = both.loc[both[own] == "test", there].map(words).value_counts().to_dict()
        assert common.matches[0]["fates"][side] == counts


def test_another_state_of_a_table_is_matched_by_content(tmp_path):
    table = make_table(300)
    edited = shuffled(other_split(table).drop(index=range(20, 50)))
    edited.loc[3, "text"] += " mended"
    first, other = run_of(tmp_path / "a", table), run_of(tmp_path / "b", edited)
    common = common_of(first, other)
    both = table.merge(edited, on="text", suffixes=("_a", "_b"))
    tests = both[(both["split_a"] == "test") & (both["split_b"] == "test")]
    assert common.matches[0]["parts"] == ["text"]
    assert list(zip(common.rows[0], common.rows[1], strict=True)) == list(
        zip(tests["row_a"], tests["row_b"], strict=True)
    )
    counts = common.matches[0]["fates"]["first"]
    absent = ~table.loc[table["split"] == "test", "text"].isin(edited["text"])
    assert counts["absent"] == absent.sum() > 0
    assert counts["training"] == ((both["split_a"] == "test") & (both["split_b"] == "train")).sum()


def test_copies_with_two_labels_are_matched_by_label_first(tmp_path):
    table = make_table(30, labels=("money", "sport"))
    table.loc[[5, 8, 11], ["text", "group"]] = ["the same text", 6]
    table.loc[[5, 8, 11], "label"] = ["money", "sport", "sport"]
    edited = shuffled(table.drop(index=5), seed=2)
    pairs, _ = common_rows.match_rows(run_of(tmp_path / "a", table), run_of(tmp_path / "b", edited))
    labels = (pairs["first"].map(table.set_index("row")["label"]), pairs["other"].map(edited.set_index("row")["label"]))
    assert len(pairs) == 29 and (labels[0] == labels[1]).all()
    assert 6 not in set(pairs["first"]) and {9, 12} <= set(pairs["first"])


def test_copies_that_one_run_learns_from_are_left_out(tmp_path):
    table = make_table(30)
    more = table.iloc[[2]].assign(row=31, split="train", group=31)  # row 3, a test row, once more to learn from
    edited = pd.concat([table, more], ignore_index=True)
    first, other = run_of(tmp_path / "a", table), run_of(tmp_path / "b", edited)
    for runs_given, side in (((first, other), 0), ((other, first), 1)):
        common = common_of(*runs_given)
        assert 3 not in set(common.rows[side]) and len(common.rows) == 9
        for end in ("first", "other"):
            assert common.matches[0]["fates"][end] == {"compared": 9, "training": 1}


def test_pictures_are_matched_by_their_bytes(tmp_path):
    table = make_table(30)
    tables = []
    for name in "ab":
        (tmp_path / f"media_{name}").mkdir()
        own = table.assign(text="", image=[str(tmp_path / f"media_{name}" / f"{row}.png") for row in table["row"]])
        for row, path in zip(own["row"], own["image"], strict=True):
            shade = 255 - row if (name, row) == ("b", 3) else row  # row 3 has another picture of the same name
            Image.new("L", (4, 4), int(shade)).save(path)
        tables.append(own)
    Path(tables[1]["image"][5]).unlink()  # row 6 has lost its file
    columns = FILES | {"text": ""}
    first, other = (run_of(tmp_path / name, own, columns=columns) for name, own in zip("ab", tables, strict=True))
    common = common_of(first, other)
    assert common.matches[0]["parts"] == ["image"]
    assert common.rows[0].tolist() == [9, 12, 15, 18, 21, 24, 27, 30] == common.rows[1].tolist()
    assert common.matches[0]["fates"]["first"] == {"compared": 8, "absent": 2}


def test_only_parts_that_both_runs_read_are_compared(tmp_path):
    table = make_table(30)
    first = run_of(tmp_path / "a", table.assign(image="/no/such.png"), columns=FILES)
    assert len(common_of(first, run_of(tmp_path / "b", table)).rows) == 10
    only_sound = {"text": "", "label": "topic", "image": "", "audio": "sound"}
    other = run_of(tmp_path / "c", table.assign(text="", audio="x.wav"), columns=only_sound)
    with pytest.raises(ValueError, match=r"No row is a test row of all 2 runs.*0 as test rows.*10 not at all"):
        common_of(first, other)


def test_no_common_row_says_where_the_rows_are(tmp_path):
    table = make_table(30)
    away = table.assign(split=table["split"].map({"test": "train", "train": "test", "validation": "test"}))
    runs = [run_of(tmp_path / "a", table), run_of(tmp_path / "b", away)]
    with pytest.raises(ValueError, match="Of the 10 test rows of a, b has 0 as test rows, 10 as training rows"):
        common_of(*runs)


def test_one_run_and_strange_labels_are_refused(tmp_path):
    first = run_of(tmp_path / "a", make_table(30))
    with pytest.raises(ValueError, match="1 run"):
        common_of(first)
    other = run_of(tmp_path / "b", make_table(30, labels=("cat", "dog")))
    with pytest.raises(ValueError, match=r"no label in common.*money, sport.*cat, dog"):
        common_of(first, other)


def test_labels_go_by_name_where_the_sets_differ(tmp_path):
    table = make_table(90, labels=("b", "c", "d"))
    wider = table.assign(label=table["label"].replace({"d": "a"}))
    runs = [run_of(tmp_path / "a", table, wrong=[3, 9]), run_of(tmp_path / "b", wider, wrong=[6])]
    common = common_of(*runs)
    assert common.label_names == ["a", "b", "c", "d"]
    for i, (own, wrong) in enumerate(((table, [3, 9]), (wider, [6]))):
        expected = answers_of(own, wrong=wrong).reindex(columns=common.label_names).fillna(0)
        np.testing.assert_allclose(common.answers[i]["text"], expected.loc[common.rows[i]])
        names = own.set_index("row").loc[common.rows[i], "label"]
        assert [common.label_names[k] for k in common.labels[:, i]] == names.tolist()


def test_three_runs_share_the_rows_that_all_test(tmp_path):
    table = make_table(300)
    tables = [table, other_split(table, 1), shuffled(other_split(table, 2))]
    runs = [run_of(tmp_path / name, own) for name, own in zip("abc", tables, strict=True)]
    common = common_of(*runs)
    texts = [set(own.loc[own["split"] == "test", "text"]) for own in tables]
    expected = table[table["text"].isin(set.intersection(*texts))]
    assert common.rows[0].tolist() == expected["row"].tolist() and len(expected) > 5
    for i in (1, 2):
        assert tables[i].set_index("row").loc[common.rows[i], "text"].tolist() == expected["text"].tolist()


def test_groups_of_any_run_hold_rows_together(tmp_path):
    table = make_table(30)
    one, two = table.copy(), table.copy()
    one.loc[one["row"].isin([3, 6]), "group"] = 3
    two.loc[two["row"].isin([6, 30]), "group"] = 6
    runs = [run_of(tmp_path / "a", one), run_of(tmp_path / "b", two)]
    common = common_of(*runs)
    groups = pd.Series(common.answers[0].groups, index=common.rows[0])
    assert groups[3] == groups[6] == groups[30] and groups.nunique() == 8


WRONG = {"a": range(3, 120, 12), "b": [3, 15, 30, 60], "c": [*range(3, 120, 12), 6]}


def compared(folder, tables, wrong=WRONG):
    """The common rows of the runs of ``tables``, name to table, each wrong in rows of its own."""
    for name, table in tables.items():
        write_run(folder / name, table, {"text": answers_of(table, wrong=wrong[name], seed=ord(name))})
    return CommonRows.of([folder / name for name in tables])


@pytest.fixture(scope="module")
def table():
    return make_table(240)


@pytest.fixture(scope="module")
def three(table, tmp_path_factory):
    return compared(tmp_path_factory.mktemp("three"), {"a": table, "b": table, "c": table})


def by_hand(table, wrong=WRONG):
    """A line a test row, and each run's probabilities of them."""
    rows = table[table["split"] == "test"].set_index("row")
    return rows, {name: answers_of(table, wrong=rows_wrong, seed=ord(name)).loc[rows.index]
                  for name, rows_wrong in wrong.items()}  # fmt: skip


def test_pairs_are_tested_as_by_scipy_and_corrected_by_hand(three, table):
    pairs = three.tests()
    rows, values = by_hand(table)
    right = {name: (made.idxmax(axis=1) == rows["label"]).to_numpy() for name, made in values.items()}
    assert list(zip(pairs["a"], pairs["b"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
    for line in pairs.itertuples():
        a, b = right[line.a], right[line.b]
        only_a, only_b = (a & ~b).sum(), (b & ~a).sum()
        assert (line.only_a, line.only_b) == (only_a, only_b)
        assert line.p == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
        gains = b.astype(float) - a
        assert line.difference == pytest.approx(gains.mean())
        level = 0.05 / 3  # three pairs, and none is found
        drawn = bootstrap((gains,), np.mean, n_resamples=4000, confidence_level=1 - level, rng=1).confidence_interval
        assert line.low < 0 < line.high and line.p_holm >= 0.05
        assert (line.low, line.high) == pytest.approx(tuple(drawn), abs=0.05)
    by_size = pairs["p"].sort_values()
    holm = np.minimum(np.maximum.accumulate(by_size * [3, 2, 1]), 1)
    np.testing.assert_allclose(pairs["p_holm"], pd.Series(holm, by_size.index).sort_index())


def test_rows_fixed_and_broken_are_those_of_a_merge(three, table):
    changes = three.changes(1)
    rows, values = by_hand(table)
    answers = pd.DataFrame({name: made.idxmax(axis=1) for name, made in values.items()})
    right = answers.eq(rows["label"], axis=0)
    expected = {
        "fixed": ~right["a"] & right["b"], "broken": right["a"] & ~right["b"],
        "right in both": right["a"] & right["b"], "wrong in both": ~right["a"] & ~right["b"],
    }  # fmt: skip
    for outcome, chosen in expected.items():
        assert set(changes.loc[changes["outcome"] == outcome, "row"]) == set(rows.index[chosen]) != set()
    changes = changes.set_index("row")
    assert changes["answer"].to_dict() == answers["a"].to_dict()
    np.testing.assert_allclose(changes["confidence_other"], values["b"].max(axis=1))
    assert changes["text"].to_dict() == rows["text"].to_dict()


def test_one_common_row_is_compared(tmp_path):
    table = make_table(30)
    other = table.assign(split=np.where(table["row"] == 9, "test", "train"))
    common = compared(tmp_path, {"a": table, "b": other}, {"a": [9], "b": []})
    assert common.tests().loc[0, ["only_a", "only_b", "p"]].tolist() == [0, 1, 1]
    assert common.changes(1)["outcome"].tolist() == ["fixed"]


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_what_one_run_alone_reads_is_shown(tmp_path, table, order):
    pictured = table.assign(text="", image="x.png")
    for name, made in (("a", table), ("b", pictured)):
        write_run(tmp_path / name, made, {"text": answers_of(made)}, sha256="one table")
    changes = CommonRows.of([tmp_path / name for name in order]).changes(1)
    assert set(changes["image"]) == {"x.png"} and changes["text"].str.startswith("text number").all()
    assert set(changes["audio"]) == {""}
