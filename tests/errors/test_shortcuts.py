"""The shortcut probe: its bag against scikit-learn, its numbers against the rows, planted shortcuts and none."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from fusebook import findings
from fusebook.data.dataset import Dataset
from fusebook.encoders.tokens import tokenise
from fusebook.errors import shortcuts

WORDS = ["match goal team coach", "bank market share price", "chip network data robot"]
TRAIN, TEST = np.arange(600), np.arange(600, 900)
SPLIT = np.repeat(["train", "test"], [600, 300])
LABELS = np.arange(900) % 3


def texts_with(begin=lambda label, random: "", end=lambda label, random: "", *, clear=0.02, seed=0):
    """900 texts of 60 words; a word is one of its class's with probability ``clear``, else it says nothing."""
    random = np.random.default_rng(seed)
    made = []
    for label in LABELS:
        idle = [f"{chr(97 + i // 20)}{chr(97 + i % 20)}zz" for i in random.integers(200, size=60)]
        words = [random.choice(WORDS[label].split()) if random.random() < clear else word for word in idle]
        made.append(f"{begin(label, random)}{' '.join(words)}{end(label, random)}")
    return made


def judged(texts, labels=LABELS, split=SPLIT, *, groups=None):
    rows = pd.DataFrame({"text": texts, "label": labels, "split": split})
    rows["group"] = range(len(texts)) if groups is None else groups
    return shortcuts.Shortcuts(Dataset.of_rows(rows))


def probe(*given, **options):
    return judged(*given, **options).table


def named(table):
    return table.index[shortcuts.is_shortcut(table)].tolist()


def test_texts_without_a_shortcut_have_none():
    made = judged(texts_with())
    assert named(made.table) == []
    ((key, grade, facts),) = made.verdicts()
    assert (key, grade, facts["rows"], facts["base"]) == ("no shortcut", "note", 300, "33.3")
    assert "header lines" not in made.table.index


def header(label, random):
    return f"From: someone{random.integers(99)}\nOrganization: {'xyz'[label]} labs\nLines: {random.integers(40)}\n\n"


def opening(label, random):
    return f"{('alpha', 'beta', 'gamma')[label]} one two three four "


def signs(label, random):
    return f" {'?;='[label]} . , "


def ending(label, random):
    return " filler" * (5 + 30 * label)


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("header lines", texts_with(header)), ("first tokens", texts_with(opening)),
        ("digits and punctuation", texts_with(end=signs)), ("length", texts_with(end=ending)),
    ],
    ids=["headers", "first", "signs", "length"],
)  # fmt: skip
def test_a_planted_shortcut_is_named(name, texts):
    made = judged(texts)
    table, (key, grade, facts) = made.table, made.verdicts()[0]
    assert named(table) == [name]
    if name == "length":
        assert (key, grade, facts["part"]) == ("shortcut of length", "look", "the length")
    else:
        assert (key, grade, facts["part"]) == ("shortcut", "serious", findings.word(name))
        assert made.verdicts("zh")[0][2]["part"] == findings.word(name, "zh")
        assert float(facts["high"]) < 0 and float(facts["low"]) <= float(facts["drop"]) <= float(facts["high"])
        assert table.loc[name, "drop"] > 0.1 and table.loc[name, "drop_p"] < 0.001


def test_a_shortcut_that_the_rest_can_do_without_is_worth_a_look():
    made = judged(texts_with(opening, clear=0.3))
    assert named(made.table) == ["first tokens"]
    key, grade, facts = made.verdicts()[0]
    assert (key, grade) == ("shortcut unneeded", "look") and "-0.0" not in facts.values()


def test_the_first_words_of_short_texts_are_no_shortcut():
    """In a title of eight words the first five are most of the text."""
    random = np.random.default_rng(1)
    texts = [" ".join([random.choice(WORDS[label].split()), *list("abcdefg")]) for label in LABELS]
    assert named(probe(texts)) == []


def test_the_numbers_are_those_of_scikit_learn():
    """Whole text and first tokens by TfidfVectorizer and LinearSVC over the same training rows."""
    texts = texts_with(opening, clear=0.04)
    table, tokens = probe(texts), [tokenise(text, keep_punctuation=True) for text in texts]
    for name, kept in {"whole text": tokens, "first tokens": [words[:5] for words in tokens]}.items():
        vectoriser = TfidfVectorizer(analyzer=list, sublinear_tf=True)
        bag = vectoriser.fit_transform([kept[i] for i in TRAIN])
        model = LinearSVC(C=0.5, random_state=0).fit(bag, LABELS[TRAIN])
        wanted = model.score(vectoriser.transform([kept[i] for i in TEST]), LABELS[TEST])
        assert table.loc[name, "alone"] == pytest.approx(wanted, abs=0.01)  # unknown words weigh there, too
    size = sum(5 for _ in TEST) / sum(len(tokens[i]) for i in TEST)
    assert table.loc["first tokens", "size"] == pytest.approx(size)
    line, whole = table.loc["first tokens"], table.loc["whole text", "alone"]
    assert line["surplus"] == pytest.approx(line["alone"] - line["anywhere"])
    assert line["drop"] == pytest.approx(whole - line["without"])
    assert line["drop_low"] <= line["drop"] <= line["drop_high"]
    assert table.loc["majority", "alone"] == pytest.approx(1 / 3)


def test_the_bag_is_that_of_tfidf_vectorizer():
    texts = ["a a b c", "b c 7 7 7 !", "d d a", "", "c ."]
    tokens, train = shortcuts._Tokens(texts), np.array([0, 1, 3])
    ours = tokens.bag(np.ones(len(tokens.text), bool), train).toarray()
    lists = [tokenise(text, keep_punctuation=True) for text in texts]
    vectoriser = TfidfVectorizer(analyzer=list, sublinear_tf=True)
    vectoriser.fit(lists)  # all words, as ours has a column for each
    known = TfidfVectorizer(analyzer=list, sublinear_tf=True, vocabulary=vectoriser.vocabulary_)
    theirs = known.fit([lists[i] for i in train]).transform(lists).toarray()
    assert ours @ ours.T == pytest.approx(theirs @ theirs.T, abs=1e-6)


def test_words_from_anywhere_are_as_many_and_differ_by_seed():
    tokens = shortcuts._Tokens(texts_with(opening))
    part = tokens.parts["first tokens"]
    drawn = [tokens.anywhere(part, seed) for seed in (1, 2)]
    for kept in drawn:
        assert (np.bincount(tokens.text[kept], minlength=900) == 5).all()
    assert (drawn[0] != drawn[1]).any()
    # Each place is as likely: the first five of about 65 are drawn 5 times in 65.
    hits, length = (drawn[0] & part).sum(), np.bincount(tokens.text).mean()
    low, high = binom.ppf([0.0005, 0.9995], 900 * 5, 5 / length)
    assert low <= hits <= high


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("From: a@b.c\nSubject: Re: x\n\nHello", "From: a@b.c\nSubject: Re: x\n"),
        ("From: a\nReferences: 1\n  2\n\t3\nLines: 7\nHello there", "From: a\nReferences: 1\n  2\n\t3\nLines: 7\n"),
        ("X-Mailer: y\nDate: today", "X-Mailer: y\nDate: today"),
        ("Note: one line only\nHello", ""), ("Hello\nFrom: a\nTo: b\n", ""), ("快讯：今天\n来源：新华社\n", ""),
        ("see http://a.b\nor http://c.d", ""), ("", ""),
    ],
)  # fmt: skip
def test_where_header_lines_end(text, head):
    assert text[: shortcuts.header_end(text)] == head


@pytest.mark.parametrize("texts", [["same"] * 900, ["!"] * 900, ["\n"] * 900], ids=["one word", "sign", "blank"])
def test_texts_that_say_nothing_make_a_table(texts):
    table = probe(texts)
    assert named(table) == []
    assert table.loc["whole text", "alone"] == pytest.approx(1 / 3)


def test_without_a_text_there_is_no_line_and_nothing_is_said():
    made = judged([""] * 900)
    assert made.table.empty and list(made.table) == shortcuts.COLUMNS and made.verdicts() == []


def test_one_class_and_one_row_make_a_table():
    table = probe(["a b", "c d", "e"], "a", ["train", "train", "test"])
    assert (table["alone"] == 1).all() and named(table) == []


def test_groups_widen_the_interval():
    texts, groups = texts_with(clear=0.03), np.r_[np.arange(600), 600 + np.repeat(np.arange(30), 10)]
    alone, grouped = probe(texts), probe(texts, groups=groups)
    assert grouped["alone"].equals(alone["alone"])
    assert (grouped["high"] - grouped["low"] > alone["high"] - alone["low"]).all()
