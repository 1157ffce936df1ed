"""Words left out against toy models whose answer can be computed by hand."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from scipy.special import expit
from scipy.stats import pearsonr, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from fusebook.encoders.text import TextEncoder
from fusebook.encoders.tokens import tokenise
from fusebook.inspection import question


class Toy:
    """Two classes; ``weights`` of the words that a text contains add up and go through a sigmoid."""

    def __init__(self, **weights):
        self.weights = weights
        self.asked = []

    def chance(self, text):
        return expit(sum(weight for word, weight in self.weights.items() if word in text.casefold()))

    def __call__(self, texts):
        self.asked.append(list(texts))
        second = np.array([self.chance(text) for text in texts])
        return np.column_stack([1 - second, second])


def left_out(text, toy, class_number=1):
    return question.leave_words_out(text, toy, class_number)


def test_the_planted_word_comes_first():
    table = left_out("The striker scored a GOAL in the last minute", Toy(goal=3))
    best = table.loc[table["effect"].idxmax()]
    assert best["word"] == "GOAL"
    assert best["effect"] == pytest.approx(expit(3) - 0.5)
    assert (table.drop(best.name)["effect"] == 0).all()


def test_effects_are_differences_by_hand():
    text = "good plot, bad ending: good-natured 35% fun"
    toy = Toy(plot=1.5, bad=-2, fun=0.7)
    table = left_out(text, toy)
    whole = expit(1.5 - 2 + 0.7)
    by_hand = {"plot": whole - expit(-2 + 0.7), "bad": whole - expit(1.5 + 0.7), "fun": whole - expit(1.5 - 2)}
    assert table["word"].tolist() == ["good", "plot", "bad", "ending", "good-natured", "35%", "fun"]
    expected = [by_hand.get(word, 0) for word in table["word"]]
    np.testing.assert_allclose(table["effect"], expected, atol=1e-12)


def test_the_other_class_has_the_opposite_effects():
    text = "a good film with a bad ending"
    toy = Toy(good=1, bad=-2)
    np.testing.assert_allclose(left_out(text, toy, 0)["effect"], -left_out(text, toy, 1)["effect"], atol=1e-12)


def test_a_word_that_comes_twice_is_left_out_once_each():
    """The toy sees no change while the second one stays."""
    assert left_out("goal after goal", Toy(goal=3))["effect"].tolist() == [0, 0, 0]
    assert left_out("goal after goal", Toy(goal=3))["start"].tolist() == [0, 5, 11]


def test_the_model_is_asked_once_with_the_whole_text_first():
    toy = Toy(b=1)
    left_out("a b, c", toy)
    assert toy.asked == [["a b, c", " b, c", "a , c", "a b, "]]


TEXTS = [
    "Plain words, with punctuation!",
    "  spaces \t and\n\nlines  ",
    "芯片和软件都很好,但是电池不行。",
    "混合 text 和 numbers 1,200.5 与 35%。",
    "Straße GROSS ẞ Ünïcödé naïve",
    "İstanbul'da İyi BİR gün",  # casefold makes this longer
    "don't stop-gap 3.14 ②",
    "emoji 🎉🎉 word 👍 ok",
    "<b>bold</b> & <script>alert(1)</script>",
    "Привет мир مرحبا بالعالم",
    "a a a aa aaa",
]


@pytest.mark.parametrize("text", TEXTS)
def test_spans_are_words_of_the_text_in_order(text):
    table = left_out(text, Toy(word=1))
    assert list(table.columns) == ["start", "end", "word", "effect"]
    assert [text[mark.start : mark.end] for mark in table.itertuples()] == table["word"].tolist()
    assert (table["start"] < table["end"]).all()
    assert (table["end"].to_numpy()[:-1] <= table["start"].to_numpy()[1:]).all()  # no overlap
    edges = [0, *table[["start", "end"]].to_numpy().ravel(), len(text)]
    assert "".join(text[i:j] for i, j in pairwise(edges)) == text


@pytest.mark.parametrize("text", TEXTS)
def test_every_token_has_its_span(text):
    assert [word.casefold() for word in left_out(text, Toy())["word"]] == tokenise(text)


@pytest.mark.parametrize("n_words", [199, 200, 201, 400, 401, 1000, 5000])
def test_long_texts_are_bounded_and_covered(n_words):
    words = ["".join(chr(97 + int(digit)) for digit in str(i)) for i in range(n_words)]  # a to j for 0 to 9
    text = " ".join([*words[:7], "goal", *words[8:]])
    toy = Toy(goal=3)
    table = left_out(text, toy)
    assert len(table) <= question.MOST_WORDS
    assert len(toy.asked[0]) == len(table) + 1
    assert len(table) > n_words / (-(-n_words // question.MOST_WORDS)) - 1
    assert (table["start"].iloc[0], table["end"].iloc[-1]) == (0, len(text))
    assert " ".join(table["word"]) == text  # nothing but the spaces between spans is left over
    assert "goal" in table.loc[table["effect"].idxmax(), "word"]
    assert (table["effect"] > 0).sum() == 1


def test_capitals_beside_a_letter_that_folds_to_two():
    table = left_out("Der ß: ein GOAL am Ende", Toy(goal=3))
    assert table["word"].tolist() == ["Der", "ß", "ein", "GOAL", "am", "Ende"]
    assert table["effect"].round(3).tolist() == [0, 0, 0, 0.453, 0, 0]


@pytest.mark.parametrize("text", ["", "   ", "…!?", "\n"])
def test_a_text_without_words(text):
    def refuse(texts):
        raise AssertionError("nothing to predict")

    table = question.leave_words_out(text, refuse, 0)
    assert isinstance(table, pd.DataFrame)
    assert table.empty
    assert list(table.columns) == ["start", "end", "word", "effect"]


def test_one_word():
    table = left_out("goal", Toy(goal=2))
    assert table.to_dict("records") == [{"start": 0, "end": 4, "word": "goal", "effect": pytest.approx(expit(2) - 0.5)}]


# --- The linear model as a cross-check ----------------------------------------------------------------

SPORT, MONEY = "match team coach player league", "bank share profit budget tax"


@pytest.fixture(scope="module")
def trained():
    """An n-gram bag and weights learnt from made texts, where "goal" stands in every text of class 1 alone."""
    rng = np.random.default_rng(0)
    texts = [
        " ".join(rng.permutation([*rng.choice(f"{SPORT} {MONEY}".split(), 6), "goal" if i % 2 else "rate"]))
        for i in range(200)
    ]
    labels = np.arange(200) % 2
    encoder = TextEncoder("ngrams").fit(texts, labels)
    return encoder, question.linear_weights(encoder.transform_ngrams(texts), labels), texts, labels


def test_word_weights_and_words_left_out_name_the_planted_word(trained):
    encoder, weights, texts, labels = trained
    model = LogisticRegression(C=10).fit(encoder.transform_ngrams(texts), labels)
    text = "The coach said a goal pays the player and the bank"
    marks = question.leave_words_out(text, lambda asked: model.predict_proba(encoder.transform_ngrams(asked)), 1)
    own = question.word_weights(text, marks["word"], encoder.transform_ngrams, weights[1])
    assert marks["word"][marks["effect"].idxmax()] == marks["word"][own.argmax()] == "goal"
    assert question.rank_agreement(marks["effect"], own) > 0.5


def test_word_weights_add_up_to_the_score_where_no_n_gram_is_shared(trained):
    encoder, weights, texts, labels = trained
    machine = LinearSVC(C=0.5, random_state=42).fit(encoder.transform_ngrams(texts), labels)
    np.testing.assert_allclose(weights, [-machine.coef_[0], machine.coef_[0]])
    score = machine.decision_function(encoder.transform_ngrams(["goal"]))[0] - machine.intercept_[0]
    own = question.word_weights("goal", ["goal", "unheard"], encoder.transform_ngrams, weights[1])
    assert own[0] == pytest.approx(score)
    rated = question.word_weights("goal", ["goal"], encoder.transform_ngrams, weights[0])
    assert rated[0] == pytest.approx(-score), "the other class's weights are the opposite"
    assert question.word_weights("", [], encoder.transform_ngrams, weights[1]).shape == (0,)


def test_weights_of_several_classes_are_the_machine_s():
    rng = np.random.default_rng(0)
    bag, labels = csr_array(rng.random((60, 5))), np.arange(60) % 3
    expected = LinearSVC(C=0.5, random_state=42).fit(bag, labels).coef_
    np.testing.assert_allclose(question.linear_weights(bag, labels), expected)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 2, 2], [1, 1, 2]], ids=str)
def test_weights_need_a_row_of_each_class(labels):
    with pytest.raises(ValueError, match="expected 0, 1"):
        question.linear_weights(csr_array(np.eye(3)), np.array(labels))


def test_rank_agreement_is_scipys():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 30))
    expected = pearsonr(rankdata(first), rankdata(second)).statistic
    assert question.rank_agreement(first, second) == pytest.approx(expected)
    assert question.rank_agreement(first, np.exp(first)) == pytest.approx(1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([1, 2], [2, 1]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0, 0, 0])]
)
def test_without_an_order_there_is_no_agreement(first, second):
    assert np.isnan(question.rank_agreement(np.array(first), np.array(second)))


def test_a_long_text_is_asked_in_as_few_spans_as_are_allowed():
    text, asked = "bank share profit tax goal", []
    made = question.leave_words_out(text, lambda texts: asked.extend(texts) or np.ones((len(texts), 2)), 0, most=2)
    assert made["word"].tolist() == ["bank share profit", "tax goal"]
    assert asked == [text, " tax goal", "bank share profit "]
