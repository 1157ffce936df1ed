"""Two models on the same rows: tests and intervals against SciPy, statsmodels and hand cases."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from guesses import by_seed_of_equals, draw_pairs, guesses, null_p
from scipy.stats import binomtest, bootstrap
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from fusebook.data.predictions import Predictions
from fusebook.evaluation import comparison
from fusebook.findings import Findings, say
from fusebook.runs import Run


def pair(both, only_a, only_b, neither):
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def four_models():
    """Models m0 to m3, each leaning more to the label than the one before, and the labels."""
    _, labels = guesses(200)
    return Predictions.of({f"m{i}": guesses(200, strength=0.5 * i)[0] for i in range(4)}, labels)


# --- Two models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [(50, 4, 12, 10), (50, 12, 4, 10), (0, 1, 0, 0), (80, 7, 7, 3), (5, 0, 9, 0)])
def test_compare_is_the_exact_mcnemar_test(counts):
    both, only_a, only_b, neither = counts
    made = comparison.compare(*pair(*counts))
    assert made["p"] == pytest.approx(mcnemar([[both, only_a], [only_b, neither]], exact=True).pvalue)
    assert made["p"] == pytest.approx(binomtest(only_a, only_a + only_b, 0.5).pvalue)
    assert (made["only_a"], made["only_b"]) == (only_a, only_b)
    assert made["difference"] == pytest.approx((only_b - only_a) / sum(counts))


def test_compare_by_hand():
    """1 against 5: two-sided binomial 2 × (1 + 6) / 2^6."""
    made = comparison.compare(*pair(10, 1, 5, 4))
    assert made["p"] == pytest.approx(14 / 64) and made["difference"] == pytest.approx(0.2)


@pytest.mark.parametrize("gains", [[2, -1, 1, 3], [1, 1, 1, -1], [4, 0, 0], [2, 2, -2, 1, -3, 1], [0, 0], [-1, -2, -2]])
def test_groups_of_copies_are_turned_round_as_one(gains):
    """Against all signs that there are, one by one."""
    groups = np.repeat(np.arange(len(gains)), 4)
    right_b = np.concatenate([np.arange(4) < max(gain, 0) for gain in gains])
    right_a = np.concatenate([np.arange(4) < max(-gain, 0) for gain in gains])
    sums = [abs(np.dot(signs, gains)) for signs in product([-1, 1], repeat=len(gains))]
    expected = np.mean(np.array(sums) >= abs(sum(gains)))
    assert comparison.compare(right_a, right_b, groups)["p"] == pytest.approx(expected)


@pytest.mark.parametrize("copies", [1, 2, 4])
def test_equal_models_are_told_apart_in_one_of_twenty_tests_at_most(copies):
    n_draws = 400
    found = sum(null_p(100, copies, seed) < 0.05 for seed in range(n_draws))
    assert binomtest(found, n_draws, 0.05, alternative="greater").pvalue > 0.001


def test_equal_models_do_not_differ():
    right = np.array([True, False, True])
    made = comparison.compare(right, right)
    assert made["p"] == 1 and made["difference"] == 0 and made["low"] < 0 < made["high"], "no interval of width 0"
    assert made["detectable"] == 1, "nothing can be found with three rows"


@pytest.mark.parametrize("counts", [(50, 4, 12, 10), (80, 0, 0, 20), (500, 60, 20, 20)])
def test_the_interval_is_bonett_and_prices(counts):
    """By their formula for rows that stand alone; where the test says so an end is moved to the other side of 0."""
    n, only_a, only_b = sum(counts), *counts[1:3]
    p_a, p_b = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    half = 1.959964 * np.sqrt((p_a + p_b - (p_b - p_a) ** 2) / (n + 2))
    gains = np.repeat([0, -1, 1, 0], counts)
    ends = comparison.paired_interval(gains, np.ones(n, int))
    assert ends == pytest.approx((p_b - p_a - half, p_b - p_a + half), abs=1e-6)


def test_the_interval_is_near_scipys_paired_bootstrap():
    right_a, right_b = pair(100, 12, 30, 20)
    made = comparison.compare(right_a, right_b)
    options = {"method": "percentile", "n_resamples": 5000, "rng": np.random.default_rng(0)}
    expected = bootstrap((right_b.astype(float) - right_a,), np.mean, **options).confidence_interval
    assert (made["low"], made["high"]) == pytest.approx((expected.low, expected.high), abs=0.015)


def test_copies_add_no_knowledge():
    """Each row five times over: the interval, and what could be found, are those of the rows before copying."""
    right_a, right_b = pair(100, 12, 30, 20)
    once = comparison.compare(right_a, right_b)
    copied = [np.repeat(right, 5) for right in (right_a, right_b)]
    grouped = comparison.compare(*copied, np.repeat(np.arange(162), 5))
    for name in ("low", "high", "difference", "p", "detectable"):
        assert grouped[name] == pytest.approx(once[name]), name
    assert grouped["needed"] == pytest.approx(5 * once["needed"], rel=0.02)


def test_turning_the_models_round_turns_the_sign():
    right_a, right_b = pair(100, 12, 30, 20)
    forth, back = (comparison.compare(*order) for order in ((right_a, right_b), (right_b, right_a)))
    assert forth["difference"] == -back["difference"] and forth["p"] == back["p"]
    assert forth["low"] == pytest.approx(-back["high"])


@pytest.mark.parametrize("level", [0.05, 0.05 / 7])
def test_the_interval_says_what_the_test_says(level):
    for only_b, n_rows in product(range(16), (30, 100, 2000)):
        made = comparison.compare(*pair(n_rows - only_b - 3, 3, only_b, 0), level=level)
        assert (made["p"] < level) == (made["low"] > 0 or made["high"] < 0)
        assert made["low"] <= made["difference"] <= made["high"] and made["low"] < made["high"]


@pytest.mark.parametrize(("n_rows", "copies", "rate"), [(30, 1, 0.25), (100, 1, 0.02), (200, 2, 0.1), (2000, 4, 0.25)])
def test_the_interval_holds_the_truth(n_rows, copies, rate):
    """1,000 draws: under 93 in 100 has a probability below one in a thousand where it holds in 95."""
    n_groups, difference, held = n_rows // copies, rate / 2, 0
    counts = draw_pairs(n_groups, rate, difference, n_draws=1000, seed=1)
    for (a, both, b), times in zip(*np.unique(counts, axis=0, return_counts=True), strict=True):
        gains = copies * np.repeat([-1, 0, 1], [a, both, b])
        low, high = comparison.paired_interval(gains, np.full(n_groups, copies))
        held += times * (low <= difference <= high)
    assert held >= 930


# --- What could have been found -----------------------------------------------------------------------


def test_power_is_counted_by_hand():
    """Of 9 rows the models disagree in each; 2 × 10 / 2^9 is the p of 1 against 8, and 2 against 7 has too much."""
    expected = sum(binomtest(i, 9).pvalue < 0.05 for i in range(4))
    assert expected == 2, "none or one may go wrong"
    wrong = 0.2  # (rate - difference) / (2 rate), the rate 1
    by_hand = 0.8**9 + 9 * 0.8**8 * wrong
    assert comparison.power(0.6, 9, 1.0, 0.05) == pytest.approx(by_hand)


@pytest.mark.parametrize(("n_rows", "rate", "n_pairs"), [(100, 0.0, 1), (203, 0.1, 6), (1000, 0.08, 1)])
def test_the_difference_printed_is_found_four_times_in_five(n_rows, rate, n_pairs):
    random, level = np.random.default_rng(2), 0.05 / n_pairs
    printed = comparison.detectable(n_rows, round(n_rows * rate), level)
    draws = draw_pairs(n_rows, max(rate, printed), printed, n_draws=1000, seed=random)
    counted = zip(*np.unique(draws[:, [0, 2]], axis=0, return_counts=True), strict=True)
    found = sum(times for (a, b), times in counted if binomtest(int(a), int(a + b) or 1).pvalue < level)
    assert 0.76 < found / 1000 < 0.9 and (rate or printed >= 0.06)


def test_so_many_rows_as_are_said_to_be_needed_find_the_difference():
    for rate in (0.02, 0.1, 0.3):
        needed = comparison.rows_needed(rate, 0.01)
        assert comparison.power(comparison.SOUGHT, needed, rate, 0.01) >= 0.8
        assert comparison.power(comparison.SOUGHT, needed * 9 // 10, rate, 0.01) < 0.8
    assert comparison.rows_needed(0.1, 0.05, comparison.Spread(1e-5, 2, 1e-5)) > comparison.rows_needed(0.1, 0.05)
    assert comparison.rows_needed(0.1, 0.05, comparison.Spread(1e-3, 2, 1e-3)) == 0, "trainings differ too much"


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (7, 7), (99, 99), (1234, 1300), (1200, 1200)])
def test_a_number_of_rows_has_two_digits(count, shown):
    assert comparison.about(count) == shown


# --- Other trainings ----------------------------------------------------------------------------------


def test_the_spread_of_seeds_is_the_variance_less_what_rows_explain():
    gains = [np.array(one) for one in ([1, 0, 0, 1], [0, -1, 0, 0], [1, 1, 1, 1])]
    noise = np.mean([np.var(a - b) / 4 / 2 for a, b in combinations(gains, 2)])
    whole = np.var([0.5, -0.25, 1.0], ddof=1)
    made = comparison.seed_spread(gains, weight=0.5)
    assert made.variance == pytest.approx((whole - noise) / 2) and made.df == 2
    assert made.likely == pytest.approx((whole / -np.log(0.6) - noise) / 2), "chi-square of 2"
    assert comparison.seed_spread(gains[:1]) == comparison.ALONE


def test_one_seed_or_seeds_that_agree_change_nothing():
    answers = by_seed_of_equals(300, 0.0, 1, 5)
    alone = comparison.compare_pairs(answers[0])
    for by_seed in (answers, answers * 3):
        pd.testing.assert_frame_equal(comparison.compare_pairs(answers[0], by_seed=by_seed), alone)


def test_a_baseline_without_seeds_need_not_stand_in_them():
    answers = by_seed_of_equals(500, 0.03, 3, 5)
    with_baseline = answers[0] | {"base": answers[0]["a"]}
    line = comparison.compare_pairs(with_baseline, [("base", "b")], answers).loc[0]
    repeated = [made | {"base": answers[0]["a"]} for made in answers]
    expected = comparison.compare_pairs(with_baseline, [("base", "b")], repeated).loc[0]
    assert line["p"] == pytest.approx(expected["p"]) and line["p"] > comparison.compare_pairs(with_baseline).loc[0, "p"]


def test_folds_average_the_seeds_out():
    answers = by_seed_of_equals(600, 0.03, 3, 8)
    folded = Predictions(answers[0], answers[0].rows.assign(fold=np.arange(600) % 6), answers[0].label_names)
    one, six = (comparison.compare_pairs(made, [("a", "b")], answers).loc[0] for made in (answers[0], folded))
    assert six["p"] < one["p"] and six["high"] - six["low"] < one["high"] - one["low"]


def test_networks_that_differ_by_their_seeds_alone_are_seldom_told_apart():
    found = alone = 0
    for draw in range(150):
        gains = [made.right("b").astype(int) - made.right("a") for made in by_seed_of_equals(2000, 0.01, 3, draw)]
        found += comparison.paired_p(gains[0], 2000, comparison.seed_spread(gains)) < 0.05
        alone += comparison.paired_p(gains[0], 2000) < 0.05
    assert binomtest(found, 150, 0.05, alternative="greater").pvalue > 0.001 and alone > 25


@pytest.mark.parametrize(("a", "b"), [([True], [True, False]), ([], [])])
def test_compare_wants_the_same_rows(a, b):
    with pytest.raises(ValueError, match="expected the same test rows"):
        comparison.compare(np.array(a, bool), np.array(b, bool))


# --- Pairs and families -------------------------------------------------------------------------------


def test_holm_is_statsmodels():
    answers = four_models()
    table = comparison.compare_pairs(answers)
    assert len(table) == 6 and table["p"].is_monotonic_increasing
    np.testing.assert_allclose(table["p_holm"], multipletests(table["p"], method="holm")[1])
    by_hand = np.minimum(np.maximum.accumulate(table["p"] * np.arange(6, 0, -1)), 1)  # times 6, 5, 4, …
    np.testing.assert_allclose(table["p_holm"], by_hand)
    for line in table.itertuples():
        assert line.p == comparison.compare(answers.right(line.a), answers.right(line.b))["p"]


def test_groups_reach_the_bootstrap():
    answers = four_models()
    grouped = Predictions.of(answers, answers.labels, groups=np.arange(200) // 4)
    line = comparison.compare_pairs(grouped, [("m0", "m3")]).loc[0]
    expected = comparison.compare(answers.right("m0"), answers.right("m3"), np.arange(200) // 4)
    assert line[["low", "high"]].tolist() == [expected["low"], expected["high"]]


def test_chosen_pairs_are_corrected_over_themselves():
    table = comparison.compare_pairs(four_models(), iter([("m2", "m0")]))
    assert table[["a", "b"]].to_numpy().tolist() == [["m2", "m0"]]
    assert table["p_holm"].tolist() == table["p"].tolist()


@pytest.mark.parametrize("pairs", [None, []])
def test_without_a_pair_the_table_is_empty(pairs):
    table = comparison.compare_pairs(four_models().only(["m0"]), pairs)
    assert len(table) == 0 and list(table) == list(comparison.compare_pairs(four_models()))
    assert comparison.verdicts(table) == []
    assert len(comparison.PairedTests(four_models().only(["m0"])).table) == 0


def test_no_pair_is_tested_twice_nor_a_model_against_itself():
    pairs = [("m0", "m1"), ("m1", "m0"), ("m2", "m2"), ("m0", "m1"), ("m0", "m3")]
    table = comparison.PairedTests(four_models(), pairs).table
    assert sorted(zip(table["a"], table["b"], strict=True)) == [("m0", "m1"), ("m0", "m3")]


def test_each_interval_is_at_the_level_of_its_step():
    """Two steps of Holm's find something, the third does not: that and what follows is held to its level."""
    right = np.ones((5, 200), bool)
    for i, wrong in enumerate((0, 30, 15, 7, 1)):
        right[i, :wrong] = False
    answers = Predictions.of({f"m{i}": np.eye(2)[one.astype(int)] for i, one in enumerate(right)}, np.ones(200, int))
    table = comparison.compare_pairs(answers, [("m0", f"m{i}") for i in range(1, 5)])
    assert (table["p_holm"] < 0.05).tolist() == [True, True, True, False]
    for step, line in table.iterrows():
        pair = answers.right("m0"), answers.right(line["b"])
        expected = comparison.compare(*pair, level=0.05 / (4 - step), first_level=0.05 / 4)
        assert line[["low", "high", "detectable"]].tolist() == [expected[n] for n in ("low", "high", "detectable")]
        assert (line["p_holm"] < 0.05) == (not line["low"] <= 0 <= line["high"])
    assert comparison._holm_levels(np.array([0.5, 0.001, 0.02, 0.04])).tolist() == [
        0.05 / 3,
        0.0125,
        0.05 / 3,
        0.05 / 3,
    ]


def test_what_03_train_kept_is_read_again(tmp_path):
    run, tests = Run(tmp_path), comparison.PairedTests(four_models())
    run.write("metrics.json", {"comparison": tests.table.to_dict("records")})
    loaded = comparison.PairedTests.load(run)
    pd.testing.assert_frame_equal(loaded.table[list(tests.table)], tests.table)
    about = comparison.PairedTests.load(run, "m2").table
    assert len(about) == 3 and ((about["a"] == "m2") | (about["b"] == "m2")).all()
    assert loaded.verdicts(a="m0", b="m3") == tests.verdicts(a="m0", b="m3")


# --- In words -----------------------------------------------------------------------------------------


def text_of(line, language="en"):
    """The sentence about one line of ``compare``, of a and text."""
    ((key, _, facts),) = comparison.verdicts(pd.DataFrame([{"a": "a", "b": "text", **line}]), language)
    return say(key, language, **facts)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"difference": 0.05, "p": 0.01}, "Text is better than a: +5.0 points [+1.0, +9.0], p = 0.01."),
        ({"difference": -0.05, "p": 0.01}, "Text is worse than a: -5.0 points"),
        ({"difference": 0.05, "p": 0.01, "p_holm": 0.2}, "No difference between text and a was shown: +5.0 points"),
        (
            {"difference": 0.0, "p": 1.0, "detectable": 0.04},
            "difference of 4.0 points or more, and for 3 points about 1,300 would be needed.",
        ),
        ({"difference": 0.0, "p": 1.0}, "p = 1; this many rows could show a difference of 3.0 points or more."),
        (
            {"difference": 0.0, "p": 1.0, "detectable": 0.04, "needed": 0},
            "and not even 100,000 rows 3 points, as trainings with other seeds differ",
        ),
    ],
)
def test_a_comparison_in_words(line, said):
    assert said in text_of({"low": 0.01, "high": 0.09, "detectable": 0.03, "needed": 1234, **line})


def test_a_comparison_in_chinese():
    line = {"difference": 0.05, "low": 0.01, "high": 0.09, "detectable": 0.03, "p": 0.01}
    assert text_of(line, "zh") == "text优于a：+5.0 个百分点 [+1.0, +9.0]，p = 0.01。"


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ({"difference": 0.1, "p": 0.01}, "note"), ({"difference": -0.1, "p": 0.01}, "serious"),
        ({"difference": -0.1, "p": 0.01, "p_holm": 0.06}, "note"), ({"difference": 0.1, "p": 0.2}, "note"),
    ],
)  # fmt: skip
def test_how_much_a_comparison_matters(line, severity):
    assert comparison.severity(line) == severity


@pytest.mark.parametrize("language", ["en", "zh"])
def test_verdicts_become_the_findings_of_their_lines(language):
    """The line of the graded model comes first and is graded; the others keep their order and are notes."""
    table = comparison.compare_pairs(four_models(), [("m3", name) for name in ("m0", "m1", "m2")])
    found = Findings("03_train", language)
    found.add_all(comparison.verdicts(table, language, graded="m1"), topic="fusion")
    lines = {line["b"]: line for _, line in table.iterrows()}
    order = ["m1", *(name for name in lines if name != "m1")]
    texts = [text_of({**lines[name], "b": name}, language) for name in order]
    assert [one.text.lower() for one in found] == [text.lower() for text in texts]
    assert [one.severity for one in found] == [comparison.severity(lines["m1"]), "note", "note"]
    grades = [grade for _, grade, _ in comparison.verdicts(table, language)]
    assert grades == [comparison.severity(line) for line in lines.values()] and "serious" in grades


def test_the_verdicts_of_some_lines_may_stand_in_another_sentence():
    tests = comparison.PairedTests(four_models(), [("m0", "m1"), ("m2", "m1"), ("m0", "m3")])
    whole = comparison.verdicts(tests.table)
    assert tests.verdicts() == whole and len(whole) == 3
    assert sorted(facts["b"].lower() for _, _, facts in tests.verdicts(a="m0")) == ["m1", "m3"]
    assert tests.verdicts(a="m3") == []
    ((key, grade, facts),) = tests.verdicts(a="m0", b="m3")
    assert tests.verdicts(a="m0", b="m3", within="against linear") == [
        ("against linear", grade, {"comparison": say(key, **facts)})
    ]
