"""Lengths of texts: columns against wcwidth, hat functions against scikit-learn's linear splines, cases by hand."""

import json

import numpy as np
import pytest
from sklearn.preprocessing import SplineTransformer
from wcwidth import wcswidth

from fusebook.encoders.text import LengthEncoder, columns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A headline, 2026!",
        "股市今日大涨3.5%",
        "「全角，标点。」ＡＢＣ１２",
        "アメリカ대통령",
        "naïve café",
        "Ελλάδα Россия",
        "球队 wins 3:1 😀",
        "𠀀𠀁",  # rare Chinese characters, beyond 16 bits
    ],
)
def test_columns_are_those_of_a_terminal(text):
    assert columns(text) == wcswidth(text)


@pytest.mark.parametrize(("text", "by_hand"), [("ab", 2), ("一二", 4), ("一a", 3), ("\x00\n", 2), ("\ud83d", 1)])
def test_columns_by_hand(text, by_hand):
    assert columns(text) == by_hand


def made(n_texts, seed=0):
    rng = np.random.default_rng(seed)
    return [str(rng.choice(["字", "x"])) * int(rng.integers(1, 3000)) for _ in range(n_texts)]


@pytest.mark.parametrize("n_texts", [2, 30, 500])
def test_hats_are_linear_splines_between_the_knots(n_texts):
    texts, others = made(n_texts), [*made(200, seed=1), "", "x" * 100_000]
    encoder = LengthEncoder().fit(texts)
    spline = SplineTransformer(degree=1, knots=encoder.knots_[:, None], extrapolation="constant")
    lengths, asked = (np.log2([[1 + wcswidth(text)] for text in some]) for some in (texts, others))
    expected = spline.fit(lengths).transform(asked)
    made_of = encoder.transform(others)
    assert made_of.dtype == np.float32
    np.testing.assert_allclose(made_of, expected, atol=1e-6)
    np.testing.assert_allclose(made_of.sum(axis=1), 1, atol=1e-6)


def test_between_two_knots_lie_as_many_texts():
    encoder = LengthEncoder().fit(texts := made(4000))
    lengths = np.log2([1 + wcswidth(text) for text in texts])
    counts = np.histogram(lengths, encoder.knots_)[0]
    assert len(counts) == 20 and counts.min() > 180 and counts.max() < 220


@pytest.mark.parametrize(("n_texts", "knots"), [(2, 2), (39, 2), (40, 3), (100, 6), (400, 21), (5000, 21)])
def test_a_step_holds_twenty_texts_at_least(n_texts, knots):
    assert len(LengthEncoder().fit(["x" * (i + 1) for i in range(n_texts)]).knots_) == knots


def test_a_length_at_a_knot_is_that_knot_alone():
    encoder = LengthEncoder().fit(["x"] * 20 + ["x" * 3] * 30 + ["x" * 7] * 20)  # log2 of 1 + length: 1, 2, 3
    assert {1.0, 2.0, 3.0} <= set(encoder.knots_)
    row = encoder.transform(["字x"])[0]  # three columns
    assert row[np.flatnonzero(encoder.knots_ == 2)[0]] == 1 and row.sum() == 1


@pytest.mark.parametrize("texts", [["one"], ["same"] * 50, [""], ["", ""]])
def test_texts_of_one_length_say_nothing(texts):
    encoder = LengthEncoder().fit(texts)
    np.testing.assert_array_equal(encoder.transform(["", "x", "字" * 500]), np.ones((3, 1)))


def test_no_texts():
    assert LengthEncoder().fit(["a", "bb"]).transform([]).shape[0] == 0
    with pytest.raises(ValueError, match="No training text to learn lengths from; expected at least one"):
        LengthEncoder().fit([])


def test_it_comes_back_as_it_was(tmp_path):
    encoder = LengthEncoder().fit(made(100))
    encoder.save(tmp_path)
    assert json.loads((tmp_path / "lengths.json").read_text("utf-8"))["knots"] == encoder.knots_.tolist()
    others = [*made(50, seed=1), ""]
    np.testing.assert_array_equal(LengthEncoder.load(tmp_path).transform(others), encoder.transform(others))
