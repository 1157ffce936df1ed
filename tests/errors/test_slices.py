"""Slices against SciPy's exact test and a search by loops, planted slices, and none where all is chance."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from fusebook import findings
from fusebook.data.predictions import Predictions
from fusebook.errors import slices
from fusebook.errors.slices import Condition, SliceFinder


def draw(n_rows, seed):
    """Six facts of made-up rows, one with gaps."""
    random = np.random.default_rng(seed)
    gaps = np.where(random.random(n_rows) < 0.3, np.nan, random.normal(size=n_rows))
    facts = {
        "source": random.choice(list("abcde"), n_rows, p=[0.4, 0.25, 0.15, 0.12, 0.08]),
        "yes": random.random(n_rows) < 0.4, "length": random.lognormal(size=n_rows), "gaps": gaps,
        "digits": random.poisson(1, n_rows), "colour": random.choice(["red", "green"], n_rows),
    }  # fmt: skip
    return pd.DataFrame(facts), random


def planted(seed, choose, n_rows=2000, error=0.3, elsewhere=0.08):
    """What ``SliceFinder`` finds where the rows that ``choose`` takes from the facts are wrong more often."""
    before, facts, random = draw(n_rows // 2, seed)[0], *draw(n_rows, seed + 1000)
    earlier, now = (random.random(len(part)) < np.where(choose(part), error, elsewhere) for part in (before, facts))
    return SliceFinder().fit(facts, before, earlier).find(facts, now)[0], facts


PLANTED = {
    "one value": (lambda facts: facts["source"] == "e", "source is “e”"),
    "a pair": (lambda facts: (facts["source"] == "b") & facts["yes"], "source is “b” and yes is “True”"),
    "a tail": (lambda facts: facts["length"] > np.exp(1.2816), "length above"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_slice_is_found_first(name):
    choose, said = PLANTED[name]
    found = [planted(seed, choose)[0] for seed in range(2)]  # tests/benchmarks/slices.py has 100 draws of each
    assert all(table["slice"].iloc[0].startswith(said) for table in found)
    assert np.mean([len(table) for table in found]) <= 1.5, "the same slice over and over"


def test_without_a_planted_slice_hardly_any_draw_reports_one():
    found = [len(planted(seed, lambda facts: facts["yes"], 1000, 0.08)[0]) for seed in range(4)]
    assert sum(number > 0 for number in found) <= 1  # at 5 % a draw, more than 1 of 4 would be a chance of 1.4 %


def test_p_values_are_those_of_fisher_and_corrected_over_every_slice():
    """All values, and all pairs of values of two facts, counted by loops."""
    random = np.random.default_rng(4)
    facts = pd.DataFrame({name: random.choice(list("xyz"), 400) for name in ("one", "two", "three")})
    wrong = random.random(400) < np.where(facts["one"] == "x", 0.5, 0.1)
    table, looked_at = SliceFinder(depth=0).fit(facts).find(facts, wrong)
    single = [(facts[name] == value).to_numpy() for name in facts for value in "xyz"]
    pairs = [a & b for (i, a), (j, b) in combinations(enumerate(single), 2) if i // 3 != j // 3]
    members = [part for part in single + pairs if part.sum() >= slices.FEWEST]
    p = [
        fisher_exact(
            [[(m & wrong).sum(), (m & ~wrong).sum()], [(~m & wrong).sum(), (~m & ~wrong).sum()]], alternative="greater"
        ).pvalue
        for m in members
    ]
    place = next(i for i, m in enumerate(members) if (m == (facts["one"] == "x")).all())
    assert looked_at == len(members)
    first = table.iloc[0]
    assert first["slice"] == "one is “x”" and (first["members"] == members[place]).all()
    assert first["p"] == pytest.approx(p[place]) and p[place] < first["p_corrected"] <= len(p) * p[place] * (1 + 1e-9)
    assert first["rows"] == members[place].sum() and first["wrong"] == (members[place] & wrong).sum()
    assert first["error"] == pytest.approx(wrong[members[place]].mean())
    assert first["lift"] == pytest.approx(wrong[members[place]].mean() / wrong.mean())
    assert first["low"] < first["error"] < first["high"]


def test_two_planted_slices_are_both_told_and_nothing_else():
    found, _ = planted(5, lambda facts: (facts["source"] == "e") | (facts["digits"] > 2), error=0.4)
    assert len(found) == 2
    assert any("source is “e”" in said for said in found["slice"])
    assert any("digits above" in said for said in found["slice"])


def test_the_tree_finds_three_conditions():
    def choose(facts):
        return (facts["source"] == "a") & facts["yes"] & (facts["colour"] == "red")

    found, facts = planted(6, choose, n_rows=4000, error=0.6, elsewhere=0.05)
    members = found["members"].iloc[0]
    assert (members & choose(facts)).sum() >= 0.9 * (members | choose(facts)).sum()
    assert len(found["path"].iloc[0]) == 3
    flat = [(condition.holds(facts) == holds) for condition, holds in found["path"].iloc[0]]
    assert (np.all(flat, axis=0) == members).all()


def test_copies_are_no_evidence_twice():
    facts, random = draw(600, 8)
    wrong = random.random(600) < 0.08
    facts.loc[:39, "source"], wrong[:40] = "f", True
    groups = np.r_[np.zeros(40, int), np.arange(1, 561)]
    finder = SliceFinder().fit(facts)
    assert "source is “f”" in finder.find(facts, wrong)[0]["slice"].tolist()
    assert "source is “f”" not in finder.find(facts, wrong, groups)[0]["slice"].tolist()


def test_a_sure_slice_that_is_hardly_worse_is_not_told():
    facts = pd.DataFrame({"yes": np.arange(20_000) % 4 > 0})
    random = np.random.default_rng(3)
    for error, told in ((0.12, 0), (0.3, 1)):
        wrong = random.random(20_000) < np.where(facts["yes"], error, 0.08)
        table = [[(facts["yes"] & wrong).sum(), (facts["yes"] & ~wrong).sum()],
                 [(~facts["yes"] & wrong).sum(), (~facts["yes"] & ~wrong).sum()]]  # fmt: skip
        assert fisher_exact(table, alternative="greater").pvalue < 1e-9
        assert len(SliceFinder().fit(facts).find(facts, wrong)[0]) == told


def slices_of(facts, wrong, *, predicted=True, folds=False):
    """The slices of rows numbered from 7 on, every third of which is a validation row; and their splits."""
    numbers = np.arange(len(facts))
    split = np.where(
        numbers % 3 == 0, "validation", "test" if not folds else np.where(numbers % 3 == 1, "test", "train")
    )
    rows = pd.DataFrame({"row": numbers + 7, "split": split})
    columns = {"fold": numbers % 5 + 1} if folds else {}
    asked = np.flatnonzero(predicted | (split != "validation"))
    judged = Predictions.of({"m": np.eye(2)[wrong[asked].astype(int)]}, np.zeros(len(asked), int),
                            groups=asked, row=rows["row"][asked].to_numpy(), split=split[asked], **columns)  # fmt: skip
    return slices.Slices(facts.set_index(rows["row"]), judged, "m"), split


@pytest.mark.parametrize(
    ("predicted", "folds", "rows"),
    [(True, False, "test rows"), (False, False, "test rows"), (True, True, "cross-fitted rows")],
    ids=["validation rows judged", "test rows alone", "cross-fitted"],
)
def test_validation_rows_teach_the_tree_and_all_others_are_looked_at(predicted, folds, rows):
    facts, random = draw(900, 3)
    wrong = random.random(900) < np.where(facts["source"] == "e", 0.8, 0.1)
    made, split = slices_of(facts, wrong, predicted=predicted, folds=folds)
    known, tested = split == "validation", split != "validation"
    finder = SliceFinder().fit(facts[tested], *((facts[known], wrong[known]) if predicted else ()))
    expected, number = finder.find(facts[tested], wrong[tested])
    pd.testing.assert_frame_equal(made.found, expected)
    assert made.looked_at == number and "source is “e”" in made.table.index
    assert (finder.tree_ is not None) == predicted
    assert [key for key, _, _ in made.verdicts()] == ["slice"] * len(expected)
    assert made.verdicts()[0][2]["on"] == rows
    in_slice = made.members().query("slice == 'source is “e”'")["row"].tolist()
    assert in_slice == (np.flatnonzero(tested & (facts["source"] == "e")) + 7).tolist()


@pytest.mark.parametrize("wrong", [np.zeros(300, bool), np.ones(300, bool)], ids=["all right", "all wrong"])
def test_nothing_to_find_is_said(wrong):
    made, _ = slices_of(draw(300, 9)[0], wrong)
    assert len(made.found) == len(made.table) == 0 and made.looked_at > 10
    facts = {"looked_at": made.looked_at, "rows": 200, "size": 20, "wrong": 200 * wrong[0], "on": "test rows"}
    assert made.verdicts() == [("no slice could", "note", facts)]
    assert made.members().empty and list(made.members()) == ["row", "slice"]


@pytest.mark.parametrize(
    "facts",
    [
        pd.DataFrame({"same": ["x"] * 50, "nothing": [np.nan] * 50}),
        pd.DataFrame(index=range(50)),
        pd.DataFrame({"few": [1.0] * 3}),
    ],
    ids=["constant", "no facts", "three rows"],
)
def test_facts_that_divide_nothing_make_no_slice(facts):
    wrong = np.arange(len(facts)) % 2 == 0
    table, looked_at = SliceFinder().fit(facts, wrong).find(facts, wrong)
    assert (len(table), looked_at) == (0, 0)
    made, _ = slices_of(facts, wrong)
    tested = int((np.arange(len(facts)) % 3 > 0).sum())
    assert made.verdicts() == [("no slice looked", "note", {"rows": tested, "on": "test rows", "least": slices.FEWEST})]


def test_facts_and_answers_of_two_sizes_are_named():
    with pytest.raises(ValueError, match="3 lines of facts for 2 answers; expected one line a row"):
        SliceFinder().fit(pd.DataFrame({"a": [1, 2, 3]})).find(pd.DataFrame({"a": [1, 2, 3]}), [True, False])


def test_conditions_hold_where_they_say():
    facts = pd.DataFrame({"n": [1.0, 2.0, 3.0, np.nan], "s": ["x", None, "y", "x"], "b": [True, False, True, True]})
    held = {
        Condition("n", "at most", high=2): [1, 1, 0, 0], Condition("n", "above", low=2): [0, 0, 1, 0],
        Condition("n", "between", 1, 2): [0, 1, 0, 0], Condition("n", "missing"): [0, 0, 0, 1],
        Condition("s", "is", value="x"): [1, 0, 0, 1], Condition("s", "is", value=""): [0, 1, 0, 0],
        Condition("b", "is", value="True"): [1, 0, 1, 1],
    }  # fmt: skip
    for condition, wanted in held.items():
        assert condition.holds(facts).tolist() == [bool(value) for value in wanted], condition


def test_a_slice_is_told_in_both_languages():
    path = ((Condition("characters", "at most", high=12.5), True), (Condition("column 来源", "is", value="x"), False))
    assert slices.path_text(path) == "characters at most 12.5 and not (column 来源 is “x”)"
    assert slices.path_text(path, "zh") == "字符数不超过 12.5，且非（column 来源为“x”）"


@pytest.mark.parametrize(("low", "severity"), [(0.21, "serious"), (0.19, "look")])
def test_a_slice_with_twice_the_error_for_sure_is_serious(low, severity):
    line = {"path": ((Condition("digits", "above", low=3), True),), "rows": 1200, "error": 0.3, "low": low,
            "high": 0.4, "lift": 3.0, "p_corrected": 1e-9}  # fmt: skip
    common = {"looked_at": 3596, "on": findings.Term("test rows")}
    key, grade, facts = slices._verdict(line, common, "en")
    assert (key, grade) == ("slice", severity)
    assert findings.say(key, **facts).startswith(
        f"Wrong more often than the rest: digits above 3: 30.0 % [{100 * low:.1f}, 40.0] of 1,200 test rows, 3.0 times"
    )
    assert facts["p"] == "p < 0.0001" and facts["looked_at"] == 3596
    assert slices._verdict(line, common, "zh")[2]["slice"] == "数字个数大于 3"
