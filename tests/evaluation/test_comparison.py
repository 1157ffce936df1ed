"""Two models on the same rows: tests and intervals against SciPy, statsmodels and hand cases."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from guesses import guesses, null_p
from scipy.stats import binomtest, bootstrap
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from fusebook.data.predictions import Predictions
from fusebook.evaluation import comparison
from fusebook.findings import Findings, say


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
    assert made["detectable"] == pytest.approx((1.959964 + 0.841621) * np.sqrt(0.3 / 20), abs=1e-5)


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
    assert made["p"] == 1 and made["difference"] == made["low"] == made["high"] == 0
    assert np.isfinite(made["detectable"]) and made["detectable"] > 0


def test_the_interval_is_scipys_paired_bootstrap():
    right_a, right_b = pair(100, 12, 30, 20)
    made = comparison.compare(right_a, right_b, n_resamples=20_000)
    options = {"method": "percentile", "n_resamples": 20_000, "rng": np.random.default_rng(0)}
    expected = bootstrap((right_b.astype(float) - right_a,), np.mean, **options).confidence_interval
    assert made["low"] == pytest.approx(expected.low, abs=0.008)
    assert made["high"] == pytest.approx(expected.high, abs=0.008)


def test_with_groups_whole_groups_are_drawn():
    """Each row five times over: the interval of the rows before copying, not one of five times the rows."""
    right_a, right_b = pair(100, 12, 30, 20)
    once = comparison.compare(right_a, right_b, n_resamples=20_000)
    copied = [np.repeat(right, 5) for right in (right_a, right_b)]
    grouped = comparison.compare(*copied, np.repeat(np.arange(162), 5), n_resamples=20_000)
    for name in ("low", "high", "difference"):
        assert grouped[name] == pytest.approx(once[name], abs=0.004)


def test_turning_the_models_round_turns_the_sign():
    right_a, right_b = pair(100, 12, 30, 20)
    forth, back = (comparison.compare(*order, n_resamples=50_000) for order in ((right_a, right_b), (right_b, right_a)))
    assert forth["difference"] == -back["difference"] and forth["p"] == back["p"]
    assert forth["low"] == pytest.approx(-back["high"], abs=0.006)


@pytest.mark.parametrize(("n_rows", "disagree"), [(300, 0.15), (1000, 0.08)])
def test_the_detectable_difference_is_found_four_times_in_five(n_rows, disagree):
    rng = np.random.default_rng(2)
    typical = round(n_rows * disagree)
    detectable = comparison.compare(*pair(n_rows - typical, typical // 2, typical - typical // 2, 0))["detectable"]
    only_a, only_b = (disagree - detectable) / 2, (disagree + detectable) / 2
    draws = rng.multinomial(n_rows, [only_a, only_b, 1 - disagree], 500)
    power = np.mean([binomtest(int(a), int(a + b), 0.5).pvalue < 0.05 for a, b, _ in draws])
    assert 0.7 < power < 0.88


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


def test_each_family_is_corrected_by_itself():
    answers = four_models()
    families = [[("m0", "m1"), ("m0", "m2")], [], [("m1", "m3")]]
    table = comparison.PairedTests(answers, *families).table
    parts = [comparison.compare_pairs(answers, pairs) for pairs in families if pairs]
    pd.testing.assert_frame_equal(table, pd.concat(parts, ignore_index=True))
    assert table["p_holm"].iloc[2] == table["p"].iloc[2]
    empty = comparison.PairedTests(answers, [], []).table
    assert len(empty) == 0 and list(empty) == list(table)
    pd.testing.assert_frame_equal(comparison.PairedTests(answers).table, comparison.compare_pairs(answers))


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
        ({"difference": 0.0, "p": 1.0}, "p = 1; this many rows could show a difference of 3.0 points or more."),
    ],
)
def test_a_comparison_in_words(line, said):
    assert said in text_of({"low": 0.01, "high": 0.09, "detectable": 0.03, **line})


def test_a_comparison_in_chinese():
    line = {"difference": 0.05, "low": 0.01, "high": 0.09, "detectable": 0.03, "p": 0.01}
    assert text_of(line, "zh") == "text优于a：+5.0 个百分点 [+1.0, +9.0]，p = 0.01。"


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ({"difference": 0.1, "p": 0.01}, "note"), ({"difference": -0.1, "p": 0.01}, "serious"),
        ({"difference": -0.1, "p": 0.01, "p_holm": 0.06}, "look"), ({"difference": 0.1, "p": 0.2}, "look"),
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
    tests = comparison.PairedTests(four_models(), [("m0", "m1"), ("m2", "m1")], [("m0", "m3")])
    whole = comparison.verdicts(tests.table)
    assert tests.verdicts() == whole and len(whole) == 3
    assert [facts["b"].lower() for _, _, facts in tests.verdicts(a="m0")] == ["m1", "m3"]
    assert tests.verdicts(a="m3") == []
    ((key, grade, facts),) = tests.verdicts(a="m0", b="m3")
    assert tests.verdicts(a="m0", b="m3", within="against linear") == [
        ("against linear", grade, {"comparison": say(key, **facts)})
    ]
