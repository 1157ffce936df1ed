"""Corrections: what a person decided reaches training rows alone, each other line gets its reason, gains are measured."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom
from sklearn.svm import LinearSVC

from fusebook import runs
from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.errors import corrections
from fusebook.evaluation import comparison

NAMES = ["money", "sport", "技术"]
ROWS = pd.DataFrame(
    {
        "row": [11, 12, 13, 14, 15, 16, 17],
        "split": ["train", "train", "train", "train", "train", "validation", "test"],
        "label": ["sport", "sport", "money", "money", "技术", "sport", "money"],
    }
)


def lines(*made):
    return pd.DataFrame(made, columns=["row", "label", "suggested", "action"])


def test_corrections_by_hand():
    before = ROWS.copy()
    given = lines(
        ("11", "sport", "money", "change"),
        ("12", "sport", "money", " Keep "),
        ("13", "money", "sport", "DROP"),
        ("15", "技术", "sport", ""),
        ("17", "money", "sport", "keep"),
    )
    corrected, rejected = corrections.apply_corrections(ROWS, given)
    assert rejected.empty and list(rejected) == ["row", "part", "reason", "detail"]
    assert corrected["label"].tolist() == ["money", "sport", "money", "money", "技术", "sport", "money"]
    assert corrected["split"].tolist() == ["train", "train", "dropped", "train", "train", "validation", "test"]
    assert corrected["label_before"].tolist() == ROWS["label"].tolist()
    pd.testing.assert_frame_equal(ROWS, before)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (("99", "sport", "money", "change"), "ROW_UNKNOWN"),
        (("x", "sport", "money", "change"), "ROW_UNKNOWN"),
        (("11.5", "sport", "money", "change"), "ROW_UNKNOWN"),
        (("", "sport", "money", "drop"), "ROW_UNKNOWN"),
        (("1e400", "sport", "money", "keep"), "ROW_UNKNOWN"),
        (("11", "sport", "money", "delete"), "ACTION_UNKNOWN"),
        (("17", "money", "sport", "change"), "ROW_NOT_TRAINING"),
        (("16", "sport", "money", "drop"), "ROW_NOT_TRAINING"),
        (("11", "money", "sport", "change"), "LABEL_DIFFERS"),
        (("11", "sport", "Money", "change"), "LABEL_UNKNOWN"),
        (("11", "sport", "", "change"), "LABEL_UNKNOWN"),
        (("15", "技术", "sport", "change"), "LABEL_EMPTIED"),
        (("15", "技术", "sport", "drop"), "LABEL_EMPTIED"),
    ],
)
def test_a_line_that_cannot_be_applied_gets_its_reason(line, reason):
    good = ("12", "sport", "money", "change")
    corrected, rejected = corrections.apply_corrections(ROWS, lines(line, good))
    assert rejected[["row", "part", "reason"]].to_numpy().tolist() == [[line[0], "label", reason]]
    assert reason in corrections.REASONS and line[2] in rejected["detail"].iloc[0]
    alone, _ = corrections.apply_corrections(ROWS, lines(good))
    pd.testing.assert_frame_equal(corrected, alone)


def test_a_row_stands_in_the_list_once():
    given = lines(("11", "sport", "money", "change"), ("11", "sport", "技术", "change"))
    corrected, rejected = corrections.apply_corrections(ROWS, given)
    assert corrected["label"].iloc[0] == "money" and rejected["reason"].tolist() == ["ROW_TWICE"]


def test_labels_are_tidied_as_those_of_the_table_are():
    """Outer blanks and what nobody sees don't count; a width does, for it may be a label of its own."""
    given = lines(("11", "sport\u200b", " money\x00", "change"), ("12", "ｓｐｏｒｔ", "money", "change"))
    corrected, rejected = corrections.apply_corrections(ROWS, given)
    assert corrected.set_index("row")["label"][11] == "money"
    assert rejected[["row", "reason"]].to_numpy().tolist() == [["12", "LABEL_DIFFERS"]]


def test_labels_that_are_emptied_in_turn_all_keep_their_rows():
    """sport is emptied by two lines; 技术 gives its only row to sport, which does not save it."""
    given = lines(
        ("11", "sport", "money", "change"), ("12", "sport", "money", "drop"), ("15", "技术", "sport", "change")
    )
    corrected, rejected = corrections.apply_corrections(ROWS, given)
    kept = set(corrected.loc[corrected["split"] == "train", "label"])
    assert kept == set(NAMES) and "LABEL_EMPTIED" in set(rejected["reason"])


@pytest.mark.parametrize("seed", range(20))
def test_no_random_list_touches_other_rows_or_empties_a_label(seed):
    rng = np.random.default_rng(seed)
    given = lines(
        *[
            (str(rng.integers(10, 19)), rng.choice(NAMES), rng.choice([*NAMES, "x"]), rng.choice(["keep", "change", "drop", "?"]))
            for _ in range(12)
        ]
    )  # fmt: skip
    corrected, rejected = corrections.apply_corrections(ROWS, given)
    other = ROWS["split"] != "train"
    pd.testing.assert_frame_equal(corrected.loc[other, list(ROWS)], ROWS[other])
    assert set(corrected.loc[corrected["split"] == "train", "label"]) == set(NAMES)
    changed = (corrected["label"] != ROWS["label"]) | (corrected["split"] != ROWS["split"])
    asked = given["action"].isin(["change", "drop", "?"]).sum()
    assert changed.sum() <= asked and len(rejected) <= len(given)


def test_a_list_without_lines_changes_nothing():
    corrected, rejected = corrections.apply_corrections(ROWS, lines())
    pd.testing.assert_frame_equal(corrected[list(ROWS)], ROWS)
    assert rejected.empty


# --- Files --------------------------------------------------------------------------------------------


@pytest.fixture
def listed():
    return pd.DataFrame(
        {"row": [11, 17], "split": ["train", "test"], "label": ["sport", "money"], "suggested": ["技术", "sport"],
         "label_probability": [0.01, 0.2], "action": "keep", "text": ['two\nlines, "quoted"', "中国科学家在新技术领域取得重要进展，软件和网络发展很快"]}
    )  # fmt: skip


@pytest.mark.parametrize("save", [
    lambda table, path: table.to_csv(path, index=False, encoding="utf-8-sig"),
    lambda table, path: table.to_csv(path, index=False, encoding="gb18030"),
    lambda table, path: table.to_csv(path, index=False, sep=";"),
], ids=["our own", "GBK", "semicolons"])  # fmt: skip
def test_an_edited_list_comes_back(tmp_path, listed, save):
    path = tmp_path / "list.csv"
    save(listed.assign(action=["change", "keep"]), path)
    given = corrections.read_corrections(path)
    corrected, rejected = corrections.apply_corrections(ROWS, given)
    assert rejected.empty and corrected["label"].iloc[0] == "技术"


def test_another_table_is_refused(tmp_path, listed):
    listed.drop(columns="action").to_csv(tmp_path / "old.csv", index=False)
    with pytest.raises(ValueError, match="has no column action; expected row, label, suggested, action"):
        corrections.read_corrections(tmp_path / "old.csv")
    (tmp_path / "broken.csv").write_text("row,label,suggested,action\n1,a,b,keep\n2,a,b\n")
    with pytest.raises(ValueError, match=r"row 2 can't be read \(FIELD_COUNT\)"):
        corrections.read_corrections(tmp_path / "broken.csv")


def test_edits_outlive_a_new_list(tmp_path, listed):
    run = runs.Run(tmp_path)
    path = run.path("label_suspects.csv")
    pd.testing.assert_frame_equal(corrections.with_edits(listed, path), listed)  # no list yet
    run.write(path.name, listed)
    pd.testing.assert_frame_equal(corrections.with_edits(listed, path), listed)  # nobody edited it
    run.write(path.name, listed.assign(action=["keep", "drop"], row=[11, 30]))
    made = corrections.with_edits(listed, path)
    assert made["row"].astype(str).tolist() == ["30", "11", "17"] and made["action"].tolist() == [
        "drop",
        "keep",
        "keep",
    ]
    run.write(path.name, made)
    again = corrections.with_edits(listed, path)
    assert again.astype(str).equals(made.astype(str)), "the same list again"
    run.write(path.name, listed.drop(columns="action"))  # of an earlier version
    pd.testing.assert_frame_equal(corrections.with_edits(listed, path), listed)


@pytest.mark.parametrize("path", ["", "list.csv"])
def test_rows_as_a_list_says_and_what_it_could_not_say(tmp_path, monkeypatch, listed, path):
    monkeypatch.chdir(tmp_path)
    listed.assign(action=["change", "drop"]).to_csv("list.csv", index=False)
    made = corrections.Corrections(ROWS, path)
    corrected, refused = made.rows, made.refused
    assert corrected["label_before"].tolist() == ROWS["label"].tolist()
    assert corrected["label"].iloc[0] == ("技术" if path else "sport")
    assert list(refused) == ["row", "part", "reason", "detail", "meaning"]
    assert refused["meaning"].tolist() == ([corrections.REASONS["ROW_NOT_TRAINING"]] if path else [])
    assert corrected[list(ROWS)].dtypes.equals(ROWS.dtypes)
    facts = {"changed": 1, "dropped": 0, "refused": 1}
    assert made.verdicts() == ([("corrections", "look", facts)] if path else [])


# --- What they brought --------------------------------------------------------------------------------


def data_of(rows, values, groups=None):
    rows = rows.assign(group=range(len(rows)) if groups is None else groups)
    return Dataset.of_rows(rows, Features({"text": values}, {"text": np.ones(len(rows), bool)}))


def test_the_gain_is_that_of_two_models_on_the_same_test_rows(three_classes):
    values, labels, flipped = three_classes(600, 150)
    true = np.arange(600) % 3
    split = np.where(np.arange(600) < 300, "train", "test")
    labels = np.where(split == "test", true, labels)
    names = np.array(NAMES)
    rows = pd.DataFrame({"row": range(600), "split": split, "label": names[labels]})
    wrong = sorted(row for row in flipped if row < 300)
    given = lines(*[(str(row), rows["label"][row], NAMES[true[row]], "change") for row in wrong[10:]])
    given = pd.concat([given, lines(*[(str(row), rows["label"][row], "", "drop") for row in wrong[:10]])])
    corrected, rejected = corrections.apply_corrections(rows, given)
    assert rejected.empty
    made = corrections.correction_gain(data_of(corrected, values))
    kept = ~np.isin(np.arange(300), wrong[:10])
    right = [
        LinearSVC(C=0.5, random_state=0).fit(x, y).predict(values[300:]) == true[300:]
        for x, y in ((values[:300], labels[:300]), (values[:300][kept], true[:300][kept]))
    ]
    assert made == comparison.compare(*right)
    assert made["difference"] > 0 and made["low"] <= made["difference"] <= made["high"]
    ((key, _, facts),) = corrections.gain_verdicts(data_of(corrected, values))
    assert key in {"better", "no difference"} and facts["difference"] == f"{100 * made['difference']:+.1f}"
    assert (facts["a"], facts["b"].lower()) == ("before", "after corrections")


def test_nothing_corrected_is_no_gain(three_classes):
    values, labels, _ = three_classes(90, 9)
    rows = pd.DataFrame({"row": range(90), "split": ["train", "train", "test"] * 30, "label": np.array(NAMES)[labels]})
    data = data_of(corrections.apply_corrections(rows, lines())[0], values, np.arange(90) // 2)
    made = corrections.correction_gain(data)
    assert (made["difference"], made["p"]) == (0, 1) and made["low"] <= 0 <= made["high"]
    assert corrections.gain_verdicts(data) == []


@pytest.mark.parametrize("earlier", ["", "\ufeffrow,split,label,suggested,label_probability,action,text\n"])
def test_an_earlier_list_without_lines_changes_nothing(tmp_path, earlier):
    path = tmp_path / "label_suspects.csv"
    path.write_text(earlier, encoding="utf-8")
    listed = pd.DataFrame({"row": [3], "label": ["a"], "suggested": ["b"], "action": ["keep"]})
    pd.testing.assert_frame_equal(corrections.with_edits(listed, path), listed)


# --- The audit ----------------------------------------------------------------------------------------


def audited(listed, path, actions, marks=("1", "2")):
    listed.assign(audit=marks, action=actions).to_csv(path, index=False)
    return path


def test_keep_is_a_decision_and_an_audit_goes_on(tmp_path, listed):
    """The numbers of the earlier list stay; a list from before there was an audit had "keep" in each line."""
    path, new = tmp_path / "list.csv", listed.assign(audit=["2", "1"], action="")
    audited(listed, path, ["", " Keep"])
    kept = corrections.with_edits(new, path)
    assert kept[["row", "audit", "action"]].astype(str).to_numpy().tolist() == [["17", "2", " Keep"], ["11", "1", ""]]
    audited(listed, path, ["", "keep"], ["1", ""])
    assert corrections.with_edits(new, path)["audit"].tolist() == ["", "2"], "no audit has begun"
    listed.to_csv(path, index=False)
    pd.testing.assert_frame_equal(corrections.with_edits(new, path), new)


def test_an_audit_is_read_from_the_first_list_that_has_one(tmp_path, listed):
    empty, old = audited(listed, tmp_path / "empty.csv", ["", ""]), tmp_path / "old.csv"
    listed.to_csv(old, index=False)
    one = audited(listed, tmp_path / "one.csv", ["change", ""])
    both = audited(listed, tmp_path / "both.csv", ["DROP", "keep"])
    ((key, grade, facts),) = corrections.audit_verdicts(9, 0.5, ["", tmp_path / "none.csv", old, empty, both, one])
    assert (key, grade) == ("audited", "note")
    assert facts == {
        "audited": 2,
        "wrong": 1,
        "share": "50.0 % [50.0, 50.0]",
        "all": 2,
        "about": 1,
        "low": 1,
        "high": 1,
    }
    ((_, _, facts),) = corrections.audit_verdicts(9, 0.5, [one])
    assert facts == {
        "audited": 1,
        "wrong": 1,
        "share": "100.0 % [50.0, 100.0]",
        "all": 2,
        "about": 2,
        "low": 1,
        "high": 2,
    }
    assert corrections.audit_verdicts(9, 0.5, [old, empty]) == [("audit of all", "note", {"lines": 9})]
    assert corrections.audit_verdicts(90, 0.5, [old, empty])[0][2]["lines"] == 30
    assert corrections.audit_verdicts(1000, 0.5)[0][2] == {"lines": 30, "points": "18"}
    assert corrections.audit_verdicts(0, 0.0) == []


@pytest.mark.parametrize("n_suspects", [31, 60, 200])
def test_the_audits_interval_holds_the_truth(n_suspects):
    """Exact: over all samples of 30, for each number of suspects that may be wrong."""
    ends = np.array([corrections.wrong_among(n_suspects, 30, wrong) for wrong in range(31)])
    for number in range(n_suspects + 1):
        held = (ends[:, 0] <= number) & (number <= ends[:, 1])
        assert hypergeom.pmf(np.arange(31), n_suspects, number, 30)[held].sum() >= 0.95
