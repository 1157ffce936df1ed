"""Tokens against rjieba, pandas and hand cases; tags against sentences tagged by hand."""

import collections
import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rjieba
from conftest import PROJECT
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from fusebook.data.dataset import Dataset
from fusebook.encoders.tokens import (
    CONTENT_TAGS,
    TAGS,
    content_words,
    length_table,
    script,
    stop_words,
    tag,
    tag_mix,
    tag_shares,
    tagged_example,
    telling_words,
    tokenise,
)

DATA = Path(os.environ.get("FUSEBOOK_DATA", PROJECT.parent / "shared" / "data"))


def chinese_runs():
    """Real titles and bodies, cut at whatever is no Chinese character."""
    lines = [
        json.loads(line)
        for path in sorted((PROJECT / "data/sample/source").glob("*.jsonl"))
        for line in path.read_text("utf-8").split("\n")[:60]
        if line
    ]
    text = "\n".join(line["title"] + "\n" + line["body"] for line in lines)
    return "".join(c if "\u4e00" <= c <= "\u9fff" else " " for c in text).split()


def test_pure_chinese_is_cut_as_rjieba_cuts_it():
    runs = chinese_runs()
    assert len(runs) > 500
    for run in runs:
        assert tokenise(run) == rjieba.cut(run)
        assert [word for word, _ in tag(run)] == [word for word, _ in rjieba.tag(run)]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The Market rose", ["the", "market", "rose"]),
        ("don’t O'Neil rock-n-roll", ["don’t", "o'neil", "rock-n-roll"]),
        ("- 'quoted' end-", ["quoted", "end"]),
        ("1,200.5 and 35% at 12:30", ["1,200.5", "and", "35%", "at", "12:30"]),
        ("2026. 3,", ["2026", "3"]),
        ("iPhone手机降价500元", ["iphone", "手机", "降价", "500", "元"]),
        ("今天股市上涨3.5%，the index", ["今天", "股市", "上涨", "3.5%", "the", "index"]),
        ("Привет世界", ["привет", "世界"]),
        ("カラオケ店", ["カラオケ", "店"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("x\u3000y\tz\nw", ["x", "y", "z", "w"]),
        ("snake_case", ["snake", "case"]),
        ("3d", ["3", "d"]),
        ("", []),
        (" \n\t", []),
        ("，。！？……《》", []),
        ("😀👨‍👩‍👧🇨🇳❤️!!", []),
        ("good😀day", ["good", "day"]),
        ("\x00\ud83d", []),
        ("a\x00b\ud83dc\x85d", ["a", "b", "c", "d"]),
        ("\U00020000好", ["\U00020000", "好"]),
    ],
)
def test_tokens_by_hand(text, tokens):
    assert tokenise(text) == tokens


LANGUAGES = [
    "Über die Brücke fährt täglich ein Zug",
    "Le café crème est à côté déjà fermé",
    "El niño comió mañana según opinión",
    "Zażółć gęślą jaźń łódź",
    "Příliš žluťoučký kůň",
    "Árvíztűrő tükörfúrógép",
    "Tiếng Việt rất đẹp",
    "ışık güneş çocuk",
    "Η κυβέρνηση ανακοίνωσε",
    "Новости спорта сегодня",
    "हिन्दी में समाचार",
    "தமிழ் செய்திகள்",
    "أخبار اليوم مَرْحَبًا",
    "שלום עולם",
]


@pytest.mark.parametrize("text", LANGUAGES)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_words_of_every_script_stay_whole(text, form):
    """Accents and vowel signs part no word, whether they are one character with their letter or two."""
    text = unicodedata.normalize(form, text)
    assert tokenise(text) == [word.casefold() for word in text.split()]
    assert [word for word, _ in tag(text)] == text.split()


def test_punctuation_is_kept_when_asked_for():
    kept = ["好", "，", "very", "good", "!", "?", "😀"]
    assert tokenise("好，very good!? 😀", keep_punctuation=True) == kept
    assert tokenise("，！", keep_punctuation=True) == ["，", "！"]
    assert tokenise("a_b", keep_punctuation=True) == ["a", "_", "b"]
    assert tokenise("好，very good!? 😀") == ["好", "very", "good"]


def test_control_characters_and_half_surrogates_are_never_tokens():
    text = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)]))
    assert tokenise(text, keep_punctuation=True) == []
    assert tag(text) == []


def test_nothing_but_blanks_is_lost_when_punctuation_is_kept():
    texts = [*LANGUAGES, "今天股市上涨3.5%，《the index》……😀_x", "".join(chinese_runs())]
    for text in texts:
        assert "".join(tokenise(text, keep_punctuation=True)) == "".join(text.casefold().split())


def test_every_character_can_be_a_text():
    """Each character up to the last plane in one text a block of 64: nothing fails, and no letter is lost."""
    for start in range(0, 0x30000, 64):
        text = " ".join(map(chr, range(start, start + 64)))
        tokens = "".join(tokenise(text, keep_punctuation=True))
        letters = [c for c in text if c.isalnum()]
        assert all(c.casefold() in tokens for c in letters), hex(start)
        assert {mark for _, mark in tag(text)} <= set(TAGS)


def test_case_does_not_matter():
    for text in ("Straße GOAL", "İstanbul", "ΌΣΟΣ", "ﬁne"):
        assert [t.casefold() for t in tokenise(text)] == tokenise(text)
    assert tokenise("STRASSE Goal") == tokenise("straße goal")


def test_100_000_characters():
    part = "今天股市上涨，the market rose 3.5% on Monday. "
    text = part * (100_000 // len(part) + 1)
    assert tokenise(text) == tokenise(part) * (100_000 // len(part) + 1)
    assert tag(text) == tag(part) * (100_000 // len(part) + 1)
    han = "今天天气很好" * 20_000
    assert tokenise(han) == rjieba.cut(han)
    assert tokenise("x" * 100_000) == ["x" * 100_000]
    assert len(tag("x" * 100_000)) == 1
    assert tokenise("！" * 100_000) == []


# --- Stop words ---------------------------------------------------------------------------------------


def test_stop_words_are_dropped_when_asked_for():
    text = "The market is on the rise，股市和楼市都在上涨 don't DON’T"
    assert tokenise(text, drop_stop_words=True) == ["market", "rise", "股市", "楼市", "上涨"]
    assert "the" in tokenise(text)
    assert tokenise("of the 的 了", drop_stop_words=True) == []
    assert tokenise("the 股市！", keep_punctuation=True, drop_stop_words=True) == ["股市", "！"]


def test_stop_words_hold_scikit_learns_and_are_tokens_themselves():
    words = stop_words()
    assert words >= ENGLISH_STOP_WORDS
    assert {"的", "了", "是", "it's", "it’s"} <= words
    for word in words - {"i"}:
        assert tokenise(word) == [word], word  # a word that the tokeniser would cut could never be dropped
    with pytest.raises(AttributeError):
        words.add("market")


# --- Part-of-speech tags ------------------------------------------------------------------------------

# Words and universal tags, written by hand.
ENGLISH = [
    "The/DET government/NOUN has/AUX announced/VERB a/DET new/ADJ plan/NOUN ./PUNCT",
    "He/PRON will/AUX not/PART go/VERB to/ADP London/PROPN on/ADP Monday/PROPN ./PUNCT",
    "They/PRON want/VERB to/PART buy/VERB three/NUM large/ADJ houses/NOUN and/CCONJ a/DET boat/NOUN ./PUNCT",
    "Foxes/NOUN are/AUX clever/ADJ animals/NOUN ,/PUNCT but/CCONJ they/PRON are/AUX shy/ADJ !/PUNCT",
    "I/PRON don't/AUX know/VERB if/SCONJ she/PRON lives/VERB in/ADP Paris/PROPN ;/PUNCT",
    "Oh/INTJ ,/PUNCT it/PRON costs/VERB $/SYM 1,200.5/NUM today/NOUN 😀/SYM",
    "My/PRON brother/NOUN quickly/ADV sold/VERB the/DET old/ADJ car/NOUN because/SCONJ it/PRON was/AUX slow/ADJ ./PUNCT",
    "We/PRON have/VERB a/DET very/ADV good/ADJ team/NOUN ./PUNCT Does/AUX he/PRON play/VERB ?/PUNCT",
    "Smith’s/PROPN company/NOUN reported/VERB 35%/NUM more/ADJ sales/NOUN in/ADP 2004/NUM ./PUNCT",
]
CHINESE = [
    "中国/PROPN 经济/NOUN 增长/VERB 缓慢/ADJ ，/PUNCT 失业率/NOUN 下降/VERB 。/PUNCT",
    "我们/PRON 昨天/NOUN 在/ADP 上海/PROPN 看/VERB 了/PART 一场/NUM 非常/ADV 精彩/ADJ 的/PART 比赛/NOUN",
    "政府/NOUN 和/CCONJ 公司/NOUN 都/ADV 很/ADV 高兴/ADJ",
    "Apple/PROPN 发布/VERB 新品/NOUN 3.5%/NUM ！/PUNCT",
]


def by_hand(line):
    return [tuple(pair.rsplit("/", 1)) for pair in line.split()]


def agreement(lines, separator):
    made = [tag(separator.join(word for word, _ in by_hand(line))) for line in lines]
    pairs = [(a, b) for line, row in zip(lines, made, strict=True) for a, b in zip(by_hand(line), row, strict=True)]
    assert all(a[0] == b[0] for a, b in pairs)
    return pairs


def test_english_tags_by_hand():
    """A lexicon is no parser: nine words of ten is what it is asked for, and each miss is shown."""
    pairs = agreement(ENGLISH, " ")
    missed = [(a, b[1]) for a, b in pairs if a != b]
    assert len(pairs) > 80
    assert len(missed) <= 0.1 * len(pairs), missed


def test_chinese_tags_by_hand():
    pairs = agreement(CHINESE, "")
    missed = [(a, b[1]) for a, b in pairs if a != b]
    assert len(missed) <= 0.15 * len(pairs), missed


def test_tags_that_depend_on_no_lexicon():
    assert tag("") == []
    assert tag("3.5% ， ！ + € 😀 _") == [
        ("3.5%", "NUM"), ("，", "PUNCT"), ("！", "PUNCT"), ("+", "SYM"), ("€", "SYM"), ("😀", "SYM"), ("_", "PUNCT"),
    ]  # fmt: skip
    assert tag("Привет ሰላም") == [("Привет", "X"), ("ሰላም", "X")]
    assert tag("500元 三 年") == [("500", "NUM"), ("元", "NOUN"), ("三", "NUM"), ("年", "NOUN")]


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("they want to sell", "PART"), ("they went to London", "ADP"), ("to", "ADP"), ("to the", "ADP"),
        ("To be", "PART"),
    ],
)  # fmt: skip
def test_to_before_a_verb_is_a_particle(text, mark):
    assert dict(tag(text))[next(w for w in text.split() if w.lower() == "to")] == mark


def test_have_and_do_help_other_verbs():
    def first(text):
        return tag(text)[1][1]

    assert first("she has gone") == first("she has never gone") == first("they did not go") == "AUX"
    assert first("she has a house") == first("they did nothing") == "VERB"


def test_a_capital_at_the_start_of_a_sentence_makes_no_name():
    assert dict(tag("Walruses sleep. Walruses"))["Walruses"] == dict(tag("walruses"))["walruses"] == "NOUN"
    assert dict(tag("Sleep. “Walruses"))["Walruses"] == dict(tag("— Walruses"))["Walruses"] == "NOUN"
    assert dict(tag("the Walruses"))["Walruses"] == "PROPN"


def test_the_country_is_no_pronoun():
    assert dict(tag("the US and us")) | {"and": ""} == {"the": "DET", "US": "PROPN", "and": "", "us": "PRON"}


def test_each_tag_of_rjieba_has_a_universal_one():
    """Every tag of the dictionary is met in the sample; all of them end in the set."""
    runs = chinese_runs()
    seen = collections.defaultdict(set)
    for run in runs:
        for (_, ours), (_, theirs) in zip(tag(run), rjieba.tag(run), strict=True):
            seen[theirs].add(ours)
    assert len(seen) > 20
    assert set().union(*seen.values()) <= set(TAGS)
    for theirs, ours in {
        "ns": "PROPN",
        "n": "NOUN",
        "v": "VERB",
        "a": "ADJ",
        "d": "ADV",
        "p": "ADP",
        "r": "PRON",
    }.items():
        assert seen[theirs] == {ours}
    assert seen["m"] <= {"NUM", "NOUN"}


def test_tokens_do_not_load_the_english_tagger():
    """NLTK comes with TextBlob: only tags pay for it, and no corpus of NLTK is looked for."""
    code = (
        "import sys; from fusebook.encoders.tokens import tokenise, tag; tokenise('the market 股市'); tag('股市'); "
        "assert 'nltk' not in sys.modules and 'textblob' not in sys.modules; tag('market'); assert 'textblob' in sys.modules"
    )
    empty = {**os.environ, "NLTK_DATA": os.devnull, "HOME": os.devnull}
    subprocess.run([sys.executable, "-c", code], check=True, env=empty, timeout=120)


def test_tag_shares_by_hand():
    texts = ["the house", "", "house house 中国!", "\x00"]
    shares = tag_shares(texts)
    assert shares.shape == (4, len(TAGS))
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(axis=1), [1, 0, 1, 0])
    row = dict(zip(TAGS, shares[2], strict=True))
    assert (row["NOUN"], row["PROPN"], row["PUNCT"]) == (0.5, 0.25, 0.25)
    assert tag_shares([]).shape == (0, len(TAGS))


def test_content_words_by_hand():
    text = "The old government has quickly sold 3 houses in London，中国的经济"
    assert content_words(text) == ["old", "government", "quickly", "sold", "houses", "london", "中国", "经济"]
    assert content_words("of the，的 !") == []
    assert all(mark in TAGS for mark in CONTENT_TAGS)


def test_real_titles_are_tagged_as_rjieba_cuts_them():
    path = DATA / "thucnews-titles" / "test.txt"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    lines = path.read_text("utf-8").split("\n")[:2000]
    for line in lines:
        title = line.rsplit("\t", 1)[0]
        kept = tokenise(title, keep_punctuation=True)
        assert [word.casefold() for word, _ in tag(title)] == kept
        assert [t for t in kept if re.search(r"[^\W_]", t)] == tokenise(title)


def test_a_word_that_comes_again_is_the_same_string():
    first, again = (tokenise("Bank 银行 bank 银行 " + "x" * n) for n in (1, 2))
    assert first[:4] == ["bank", "银行", "bank", "银行"]
    assert all(word is other for word, other in zip(first[:4], again[:4], strict=True))
    assert first[0] is first[2] and first[1] is first[3]


# --- Scripts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [("the market", "Latin"), ("股市今日 up", "Han"), ("〇ＡＢ", "Latin"), ("новости", "Cyrillic"), ("", "none"),
     ("3.5% !", "none"), ("カタカナ", "Katakana"), ("\ud83d", "none")],
)  # fmt: skip
def test_scripts_by_hand(text, name):
    assert script(text) == name


# --- For the pages ------------------------------------------------------------------------------------

TEXTS = ["the house!", "", "houses 房子", "team team won"]
ROWS = pd.DataFrame({"text": TEXTS, "label": list("aabb")}, index=[4, 2, 9, 7])


def test_lengths_by_hand():
    made = length_table(ROWS)
    assert made.to_dict("list") == {"label": list("aabb"), "characters": [10, 0, 9, 13], "tokens": [2, 0, 2, 3]}
    assert made.index.equals(ROWS.index) and length_table(ROWS.head(0)).empty


def test_the_example_is_the_first_text_with_something_in_it():
    def data(texts):
        return Dataset.of_rows(pd.DataFrame({"text": ["the test", *texts], "label": "a"}).assign(split=splits(texts)))

    def splits(texts):
        return ["test", *["train"] * len(texts)]

    made = tagged_example(data(["", "the house!", "other"]))
    assert made.loc["token"].tolist() == ["the", "house", "!"] and made.loc["tag"].tolist() == ["DET", "NOUN", "PUNCT"]
    assert tagged_example(data(["word " * 99])).shape == (2, 14)
    assert tagged_example(data([])).shape == (2, 0)


def test_the_mix_of_tags_is_the_mean_over_a_labels_texts():
    mix = tag_mix(ROWS)
    by_hand = pd.DataFrame(tag_shares(TEXTS), columns=TAGS, index=ROWS.index)
    np.testing.assert_allclose(mix.loc["a"], by_hand.loc[4, mix.columns])  # the empty text is no text
    np.testing.assert_allclose(mix.loc["b"], by_hand.loc[[9, 7], mix.columns].mean(), rtol=1e-6)
    none = tag_mix(pd.DataFrame({"text": ["", ""], "label": ["u", "v"]}))
    assert (none == 0).all(axis=None) and len(none) == 2


def test_telling_words_by_hand():
    """Shares of a: sold 1/3, house 2/3; of b: team 2/4, won and houses 1/4 each."""
    texts = ["the house sold", "house", "team won", "team houses of", ""]
    made = telling_words(pd.DataFrame({"text": texts, "label": list("aabbc")}), most=2)
    assert made.loc["a"].tolist() == ["house", "sold"] and made.loc["b", 1] == "team"
    assert list(made) == [1, 2] and "c" not in made.index
    assert telling_words(pd.DataFrame({"text": ["of the", ""], "label": ["a", "b"]})).empty
