"""Tokens and scripts, stop words, and part-of-speech tags in one set for Chinese and English.

Notebooks 01_explore and 02_preprocess tell the story. A tokeniser is a function from text to tokens, chosen by script.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache, lru_cache, partial
from sys import intern

import numpy as np
import pandas as pd
import rjieba
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from fusebook.data.dataset import Dataset

# The ideographic zero and the repeat mark stand inside words; the last range holds the rare characters.
_HAN_RANGES = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAN = rf"[{_HAN_RANGES}]+"
# Accents and vowel signs that are characters of their own: without them a word in Hindi would fall to pieces.
_MARKS = "".join(chr(i) for i in range(0x300, 0x3100) if unicodedata.category(chr(i)) in ("Mn", "Mc"))
_LETTERS = rf"(?:[^\W\d_{_HAN_RANGES}][{_MARKS}\u200c\u200d]*)+"
_WORDS = rf"{_HAN}|{_LETTERS}(?:['’-]{_LETTERS})*|\d+(?:[.,:]\d+)*%?"
_WORD = re.compile(_WORDS)
# Control characters and halves of a surrogate pair are no punctuation: they are never a token.
_WORD_OR_SIGN = re.compile(rf"{_WORDS}|[^\w\s\x00-\x1f\x7f-\x9f\ud800-\udfff]|_")
_IS_HAN = re.compile(_HAN)
_IS_LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏ'’-]+")

# Function words: particles, pronouns, prepositions, conjunctions, adverbs of degree, time and negation.
_CHINESE_STOP_WORDS = """
的 地 得 了 着 过 之 所 等 们 吗 呢 吧 啊 呀 嘛 哦 么 也 都 就 才 又 再 还 更 最 很 太 将 已 已经 曾 正 正在 仅 只 却
不 没 没有 是 有 在 被 把 将 让 使 从 自 向 往 对 对于 关于 为 为了 以 以及 由 由于 因 因为 所以 因此 于 与 和 及 跟 同
或 或者 而 而且 并 并且 但 但是 然而 虽然 如果 若 则 即 如 比 按 给 到 至 当 我 你 您 他 她 它 我们 你们 他们 她们 它们
自己 这 那 这个 那个 这些 那些 这里 那里 这样 那样 此 该 其 某 各 每 谁 什么 怎么 怎样 如何 哪 哪些 几 一个 一些 上 下 中 里
"""
_CONTRACTIONS = """
i'm i've i'll i'd you're you've you'll you'd he's he'll he'd she's she'll she'd it's it'll we're we've we'll we'd
they're they've they'll they'd that's there's here's what's who's let's isn't aren't wasn't weren't don't doesn't didn't
haven't hasn't hadn't won't wouldn't can't couldn't shouldn't mustn't
"""

TAGS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ",
    "SYM", "VERB", "X",
)  # fmt: skip
CONTENT_TAGS = ("ADJ", "ADV", "NOUN", "PROPN", "VERB")

# A tag of rjieba (ICTCLAS) is looked up whole, then by its first letter.
_FROM_ICTCLAS = {
    "a": "ADJ", "ad": "ADV", "an": "NOUN", "b": "ADJ", "c": "CCONJ", "d": "ADV", "e": "INTJ", "f": "ADP", "g": "NOUN",
    "h": "PART", "i": "VERB", "j": "NOUN", "k": "PART", "l": "NOUN", "m": "NUM", "n": "NOUN", "nr": "PROPN",
    "nrfg": "PROPN", "nrt": "PROPN", "ns": "PROPN", "nt": "PROPN", "nz": "PROPN", "o": "INTJ", "p": "ADP", "q": "NOUN",
    "r": "PRON", "s": "NOUN", "t": "NOUN", "u": "PART", "v": "VERB", "vd": "ADV", "vn": "NOUN", "y": "PART",
    "z": "ADJ", "zg": "X",
}  # fmt: skip
# Function words that the dictionary files under zg, which is no class of words.
_CHINESE_CLOSED_CLASS = {"很": "ADV", "仍": "ADV", "每": "DET", "您": "PRON", "〇": "NUM"}
_NUMERAL = re.compile("[〇零一二三四五六七八九十百千万亿兆两半几数]")
_FROM_PENN = {
    "JJ": "ADJ", "RB": "ADV", "WRB": "ADV", "NN": "NOUN", "NNS": "NOUN", "NNP": "PROPN", "NNPS": "PROPN", "MD": "AUX",
    "VB": "VERB", "PRP": "PRON", "WP": "PRON", "EX": "PRON", "CD": "NUM", "DT": "DET", "WDT": "DET", "PDT": "DET",
    "IN": "ADP", "TO": "ADP", "POS": "PART", "RP": "ADP", "CC": "CCONJ", "UH": "INTJ", "SYM": "SYM", "$": "SYM",
}  # fmt: skip
# Where the Penn tag can't tell what the universal set asks for, or the lexicon has a rare reading.
_CLOSED_CLASS = {
    **dict.fromkeys(["am", "is", "are", "was", "were", "be", "been", "being"], "AUX"),
    **dict.fromkeys(["if", "because", "although", "though", "unless", "whereas", "whether", "while", "that"], "SCONJ"),
    "not": "PART",
}
_HELPING = frozenset(
    form for word in ("to", "have", "has", "had", "having", "do", "does", "did") for form in (word, word.title())
)


def tokenise(text: str, *, keep_punctuation: bool = False, drop_stop_words: bool = False) -> list[str]:
    """Cut ``text`` into tokens: Chinese by rjieba, other scripts by a regular expression, case folded.

    Numbers stay whole (1,200.5 or 35%). Punctuation and symbols are left out unless they are asked for; stop words
    (see ``stop_words``) stay in unless ``drop_stop_words``. Control characters never make a token. A word that comes
    again is the same string, so that a million texts keep each word once.
    """
    tokens: list[str] = []
    for piece in (_WORD_OR_SIGN if keep_punctuation else _WORD).findall(text):
        if _IS_HAN.match(piece):
            tokens += map(intern, rjieba.cut(piece))
        else:
            tokens.append(intern(piece.casefold()))
    if drop_stop_words:
        stop = stop_words()
        return [token for token in tokens if token not in stop]
    return tokens


@cache
def stop_words() -> frozenset[str]:
    """Function words of English and Chinese, case folded.

    English: scikit-learn's list with the common contractions added. Chinese: a short list of our own. A word such as
    "not" or 不 is on them, so dropping stop words harms sentiment.
    """
    contractions = _CONTRACTIONS.split()
    curly = [word.replace("'", "’") for word in contractions]
    return ENGLISH_STOP_WORDS.union(_CHINESE_STOP_WORDS.split(), contractions, curly)


def tag(text: str) -> list[tuple[str, str]]:
    """The tokens of ``text``, punctuation and case kept, each with a universal part-of-speech tag (one of ``TAGS``).

    The set is that of Universal Dependencies (Petrov and others, 2012; Nivre and others, 2016), so that Chinese and
    English can be shown side by side. Chinese words get the tag that rjieba's dictionary gives them. English words get
    theirs from the lexicon and the suffix rules of Brill (1992) as TextBlob ships them; nothing is downloaded.

    Limits: no tagger here looks at the sentence, so a word has the same tag wherever it stands ("the run", "we run"),
    but for "to", "have", "do" and capital letters at the start of a sentence. "This" is always DET. Chinese
    conjunctions are all CCONJ, set phrases of four characters all VERB. Words of another language in Latin letters are
    tagged as if they were English; words of any other script get X.
    """
    tagged: list[tuple[str, str]] = []
    opens = True  # does the next word open a sentence?
    for piece in _WORD_OR_SIGN.findall(text):
        if _IS_HAN.match(piece):
            tagged += [(word, _chinese_tag(word, mark)) for word, mark in rjieba.tag(piece)]
        elif _IS_LATIN.fullmatch(piece):
            tagged.append((piece, _english_tag(piece, opens)))
        else:
            kind = unicodedata.category(piece[0])[0]
            tagged.append((piece, "NUM" if piece[0].isnumeric() else {"P": "PUNCT", "S": "SYM"}.get(kind, "X")))
        opens = piece in ".!?。！？…" or (opens and not piece[0].isalnum())
    _settle(tagged)
    return tagged


def _chinese_tag(word: str, mark: str) -> str:
    if word in _CHINESE_CLOSED_CLASS:
        return _CHINESE_CLOSED_CLASS[word]
    if mark == "m" and not _NUMERAL.search(word):
        return "NOUN"  # the dictionary files units such as 年 and 元 under numbers
    return _FROM_ICTCLAS.get(mark) or _FROM_ICTCLAS.get(mark[:1], "X")


@lru_cache(maxsize=200_000)
def _english_tag(word: str, opens: bool) -> str:
    # Imported here, as it brings NLTK with it, which only tags need.
    from textblob.en import parser

    folded = word.casefold().replace("’", "'")
    if folded.endswith("n't"):
        return "AUX"
    base, mark, rest = folded.partition("'")
    if mark and base and rest in ("s", "re", "ll", "ve", "d", "m"):
        return _english_tag(word[: len(base)], opens)
    if folded in _CLOSED_CLASS:
        return _CLOSED_CLASS[folded]
    if word == "US":
        return "PROPN"
    # The parser reads the lower-case entry of a capitalised word only at the head of its list.
    penn = parser.find_tags([word] if opens else ["", word])[-1][1]
    for prefix in (penn, penn.rstrip("$RS"), penn[:2]):  # PRP$, JJR, NNS-LOC, VBZ and the like
        if prefix in _FROM_PENN:
            return _FROM_PENN[prefix]
    return "X"


def _settle(tagged: list[tuple[str, str]]) -> None:
    """Tag again what only the next word can tell: "to", and the helping verbs "have" and "do"."""
    following = ""
    for i in range(len(tagged) - 1, -1, -1):
        word, mark = tagged[i]
        if word in _HELPING and following in ("VERB", "AUX"):
            mark = "PART" if word in ("to", "To") else "AUX"
            tagged[i] = (word, mark)
        if mark not in ("ADV", "PART") or word in ("to", "To"):  # has never seen, did not go
            following = mark


def tag_shares(texts: Iterable[str]) -> np.ndarray:
    """The share of each of ``TAGS`` among a text's tokens, shape (n_texts, 17), float32; zeros for a text without any."""
    counts = [Counter(mark for _, mark in tag(text)) for text in texts]
    found = np.array([[row[mark] for mark in TAGS] for row in counts], np.float32).reshape(len(counts), len(TAGS))
    return found / np.maximum(found.sum(axis=1, keepdims=True), 1)


def content_words(text: str) -> list[str]:
    """The nouns, proper nouns, verbs, adjectives and adverbs of ``text`` in their order, case folded."""
    return [word.casefold() for word, mark in tag(text) if mark in CONTENT_TAGS]


# Which words of a text count, by the name that a person gives.
WORDS: dict[str, Callable[[str], list[str]]] = {
    "all": tokenise, "no stop words": partial(tokenise, drop_stop_words=True), "content": content_words,
}  # fmt: skip


# --- Scripts ------------------------------------------------------------------------------------------

_MOST_LETTERS = 200  # of a text whose script is looked up


def script(text: str) -> str:
    """The script of most letters of ``text`` as Unicode names it, such as Latin or Han; "none" without letters."""
    found = Counter(map(_script_of, text[:_MOST_LETTERS]))
    del found[""]
    return found.most_common(1)[0][0] if found else "none"


@cache
def _script_of(character: str) -> str:
    if not character.isalpha():
        return ""
    name = unicodedata.name(character, "other").split()[0].title()
    return {"Cjk": "Han", "Fullwidth": "Latin", "Ideographic": "Han"}.get(name, name)


# --- For the pages ------------------------------------------------------------------------------------

_MOST_WORDS = 5000  # the most frequent content words, among which those that tell are looked for


def length_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The label, the characters and the tokens of each row's text."""
    tokens = [len(tokenise(text)) for text in rows["text"]]
    return rows[["label"]].assign(characters=rows["text"].str.len(), tokens=tokens)


def tagged_example(data: Dataset, most: int = 14) -> pd.DataFrame:
    """The first ``most`` tokens of the first training text that is not empty, a column each: token and tag."""
    first = next(filter(None, data.train.rows["text"]), "")
    return pd.DataFrame(tag(first)[:most], columns=["token", "tag"]).T


def tag_mix(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean share of each of ``TAGS`` by label, the most frequent label first; 0 for one without texts."""
    written = rows[rows["text"] != ""]
    shares = pd.DataFrame(tag_shares(written["text"]), columns=TAGS, index=written.index)
    return shares.groupby(written["label"]).mean().reindex(rows["label"].value_counts().index).fillna(0)


def telling_words(rows: pd.DataFrame, most: int = 8) -> pd.DataFrame:
    """The content words whose share of a label's words lies furthest above their mean share over all labels.

    Labels as rows, the ``most`` telling words as columns from 1; stop words are left out. Empty without content words.
    """
    words = pd.DataFrame({"label": rows["label"], "word": rows["text"].map(content_words)}).explode("word")
    words = words[~words["word"].isin(stop_words())]
    words = words[words["word"].isin(words["word"].value_counts().index[:_MOST_WORDS])]
    usage = pd.crosstab(words["word"], words["label"], normalize="columns")
    above = usage.sub(usage.mean(axis=1), axis=0)
    telling = {label: above[label].nlargest(most).index for label in above}
    return pd.DataFrame.from_dict(telling, orient="index").rename(columns=lambda place: place + 1).fillna("")
