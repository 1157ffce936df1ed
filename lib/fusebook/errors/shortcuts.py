"""Shortcuts: parts of a text that give the label away, though nobody would call them what the text is about.

A linear model reads one part alone, then the text without it (after Gururangan and others, 2018, who found that a part
of the input gave the labels of a test away). Words that look put into the texts (``giveaways``) are one part more: what
do answers come to when they are cut out? Notebook 04_error_analysis tells the story.
"""

import re
from collections.abc import Sequence
from itertools import chain

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.svm import LinearSVC
from statsmodels.stats.multitest import multipletests

from fusebook.data.dataset import Dataset
from fusebook.encoders.tokens import tokenise
from fusebook.errors import giveaways
from fusebook.evaluation.comparison import compare
from fusebook.evaluation.intervals import share_interval
from fusebook.evaluation.scores import interval_text
from fusebook.evaluation.sizes import linear_answers, nested_order
from fusebook.findings import LEVEL, p_text, points_text, word

FIRST = 5  # tokens at the beginning of a text
MOST_ROWS = 4000  # training rows that the linear models learn from
MOST_TOKENS = 1000  # of a text that are read, half of them from its end
MOST_SCANNED = 1_000_000  # tokens of training texts among which giveaways are looked for
GIVEAWAYS = "giveaways"  # the part that they make
_LENGTH_BINS = 20
_SMALL = 1 / 3  # of the tokens: a part that holds more is no shortcut but the text
_MUCH = 0.5  # of what the whole text gains over the majority
_SURPLUS = 0.05  # of the test rows that a part must be right for beyond as many tokens from anywhere
_NAMED = 3  # giveaways that a sentence names
_APART = {"en": ", ", "zh": "、"}

# A name, a colon, a value; lines that begin with a blank go on with the one before.
_HEADER = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{1,40}:[ \t].*(?:\n[ \t]+\S.*)*(?:\n|$)){2,}")
_SPACED = re.compile(r"[^\W\u3005-\u9fff\uf900-\ufaff]")


def header_end(text: str) -> int:
    """How many characters of ``text`` are e-mail-like header lines at its beginning; 0 where there are fewer than two."""
    found = _HEADER.match(text)
    return found.end() if found else 0


class _Tokens:
    """The tokens of all texts in one row: number of the word, of the text, and the parts that each token belongs to."""

    def __init__(self, texts: Sequence[str]):
        lists, heads = [], []
        for text in texts:
            end = header_end(text)
            head = tokenise(text[:end], keep_punctuation=True) if end else []
            lists.append(_ends(head + tokenise(_ends(text[end:], 100 * MOST_TOKENS), keep_punctuation=True)))
            heads.append(min(len(head), len(lists[-1])))
        lengths = np.array([len(tokens) for tokens in lists])
        self.n_texts = len(lists)
        self.text = np.repeat(np.arange(len(lists)), lengths)
        self.place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        self.word, words = pd.factorize(np.array(list(chain.from_iterable(lists)), object))
        no_letter = np.array([not any(map(str.isalpha, word)) for word in words], bool)
        self.words, self.n_words = words, len(words)
        self.parts = {
            "header lines": self.place < np.repeat(heads, lengths),
            "first tokens": self.place < FIRST,
            "digits and punctuation": no_letter[self.word],
        }
        self.lengths = np.column_stack([lengths, [len(text) for text in texts], [text.count("\n") for text in texts]])

    def bag(self, kept: np.ndarray, train: np.ndarray) -> csr_array:
        """TF-IDF over the tokens ``kept``, how rare each is learnt from the texts ``train``; (n_texts, n_words)."""
        counts = self.counts(kept)
        return TfidfTransformer(sublinear_tf=True).fit(counts[train]).transform(counts)

    def counts(self, kept: np.ndarray) -> csr_array:
        """How often each word stands in each text among the tokens ``kept``; (n_texts, n_words)."""
        places = self.text[kept].astype(np.int32), self.word[kept].astype(np.int32)
        made = csr_array((np.ones(kept.sum(), np.float32), places), (self.n_texts, self.n_words))
        made.sum_duplicates()
        return made

    def anywhere(self, part: np.ndarray, random_state: int = 42, among: np.ndarray | None = None) -> np.ndarray:
        """As many tokens of each text as ``part`` has, drawn from anywhere in it, those of ``among`` first."""
        wanted = np.bincount(self.text[part], minlength=self.n_texts)
        last = np.zeros(len(self.text), bool) if among is None else ~among
        order = np.lexsort((np.random.default_rng(random_state).random(len(self.text)), last, self.text))
        rank = np.empty(len(order), int)
        rank[order] = self.place
        return rank < wanted[self.text]


def _ends(sequence, most: int = MOST_TOKENS):
    """The first and the last half of ``most`` of a text's characters or tokens, where it has more."""
    return sequence if len(sequence) <= most else sequence[: most // 2] + sequence[-(most // 2) :]


COLUMNS = [
    "size", "alone", "low", "high", "gain_p", "anywhere", "surplus", "surplus_p", "without", "drop", "drop_low", "drop_high",
    "drop_p",
]  # fmt: skip


PHRASES = ["phrase", "label", "texts", "of_label", "share", "fixed", "away", "put_there"]


def _shown(words: Sequence[str]) -> str:
    """A phrase as a page shows it: blanks between words of letters or digits, none beside signs and Chinese."""
    shown = words[0]
    for following in words[1:]:
        shown += (" " if _SPACED.match(shown[-1]) and _SPACED.match(following) else "") + following
    return shown


class _Judge:
    """Linear models that learn from the same training rows and are judged on the same test rows."""

    def __init__(self, data: Dataset, tokens: _Tokens):
        train, self.test = (np.flatnonzero(data.rows["split"] == name) for name in ("train", "test"))
        self.labels, self.groups, self.tokens = data.labels, data.groups[self.test], tokens
        self.scanned = self._one_a_group(train, data.groups)
        self.train = train[nested_order(self.labels[train])[:MOST_ROWS]]
        self.learnt, self.tested = (np.isin(tokens.text, places) for places in (self.train, self.test))
        self.truth = self.labels[self.test]
        self.majority = self.truth == np.bincount(self.labels[self.train]).argmax()

    def _one_a_group(self, train: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """The first training row of each group, as many as have ``MOST_SCANNED`` tokens together."""
        train = train[np.unique(groups[train], return_index=True)[1]]
        train = train[nested_order(self.labels[train])]
        return np.sort(train[np.cumsum(self.tokens.lengths[train, 0]) <= MOST_SCANNED])

    def giveaways(self, label_names: Sequence[str]) -> tuple[pd.DataFrame, tuple[int, int]]:
        """``Shortcuts.phrases`` and ``Shortcuts.fewest``; the part that the giveaways make joins the others."""
        tokens, chosen = self.tokens, np.isin(self.tokens.text, self.scanned)
        number = np.searchsorted(self.scanned, tokens.text[chosen])
        texts = giveaways.Texts(number, tokens.word[chosen], self.labels[self.scanned])
        lines, part = [], np.zeros(len(tokens.text), bool)
        for phrase, found in giveaways.judged(texts):
            shown = _shown(tokens.words[list(phrase.words)])
            share = phrase.n_pure / texts.sizes[phrase.label]
            counts = phrase.n_texts, phrase.n_pure, share, phrase.fixed, phrase.away
            lines.append([shown, label_names[phrase.label], *counts, found])
            if found:
                part |= giveaways.places_of(phrase.words, tokens.text, tokens.word)
        tokens.parts |= {GIVEAWAYS: part} if part.any() else {}
        fewest = [int(texts.fewest(least).max()) for least in (giveaways.FEWEST, giveaways.FEWEST_FIXED)]
        return pd.DataFrame(lines, columns=PHRASES), tuple(fewest)

    def cut(self, part: np.ndarray) -> dict:
        """What becomes of the linear model's answers to the test rows with a token of ``part`` when these are cut out.

        Returns holders (how many such rows), flips (answers that change), chance (those that change where as many other tokens
        are cut), p of the two, and margin (the mean share of the absolute weights for the answer that is theirs).
        """
        test, whole = np.unique(self.tokens.text[part & self.tested]), np.ones(len(part), bool)
        if not len(test):
            return {"holders": 0, "flips": 0, "chance": 0, "p": 1.0, "margin": 0.0}
        bag = self.tokens.bag(whole, self.train)
        model = LinearSVC(C=0.5, random_state=0).fit(bag[self.train], self.labels[self.train])
        answers, cuts = model.predict(bag[test]), (part, self.tokens.anywhere(part, among=~part))
        flips, chance = (model.predict(self.tokens.bag(~out, self.train)[test]) != answers for out in cuts)
        p = compare(chance, flips, groups=self.groups[np.searchsorted(self.test, test)])["p"]
        speak = abs(model.coef_[np.searchsorted(model.classes_, answers)] if len(model.coef_) > 1 else model.coef_)
        weights = bag[test].multiply(speak).tocsr()
        share = self.tokens.counts(part)[test].multiply(self.tokens.counts(whole)[test].power(-1))
        margin = (weights.multiply(share).sum(axis=1) / weights.sum(axis=1).clip(1e-12)).mean()
        counts = {"holders": len(test), "flips": int(flips.sum()), "chance": int(chance.sum())}
        return counts | {"p": p, "margin": float(margin)}

    def lines(self) -> dict[str, dict]:
        """The lines of ``Shortcuts.table`` by part, p not corrected yet."""
        whole, parts = self.right(np.ones(len(self.tokens.text), bool)), self.tokens.parts.items()
        made = {"whole text": {"size": 1.0} | self.score(whole), "majority": {"size": 0.0} | self.score(self.majority)}
        made |= {name: self.line(part, whole) for name, part in parts if part[self.tested].any()}
        by_length = self.right_by_length()
        return made | {"length": {"size": 0.0} | self.score(by_length) | self.gain(by_length)}

    def right(self, kept: np.ndarray) -> np.ndarray:
        """Which test rows are right where only the tokens ``kept`` are read? Bools of shape (n_test,)."""
        return self._right(self.tokens.bag(kept, self.train)) if kept[self.learnt].any() else self.majority

    def right_by_length(self) -> np.ndarray:
        """The same where only the length of each text is known."""
        return self._right(_length_bins(self.tokens.lengths, self.train))

    def _right(self, values: csr_array) -> np.ndarray:
        return linear_answers(values[self.train], self.labels[self.train], values[self.test]) == self.truth

    def score(self, right: np.ndarray) -> dict:
        """Accuracy and its interval."""
        low, high = share_interval(right, self.groups)
        return {"alone": right.mean(), "low": low, "high": high}

    def gain(self, right: np.ndarray) -> dict:
        """The p of what is right against the majority."""
        return {"gain_p": compare(self.majority, right, groups=self.groups)["p"]}

    def line(self, part: np.ndarray, whole: np.ndarray) -> dict:
        """All that is said of one part; ``whole`` is what the whole text gets right."""
        anywhere = self.right(self.tokens.anywhere(part))
        alone, without = self.right(part), self.right(~part)
        surplus = compare(anywhere, alone, groups=self.groups)
        drop = compare(without, whole, groups=self.groups)
        return {"size": part[self.tested].mean()} | self.score(alone) | self.gain(alone) | {
            "anywhere": anywhere.mean(), "surplus": surplus["difference"], "surplus_p": surplus["p"],
            "without": without.mean(), "drop": drop["difference"], "drop_low": drop["low"],
            "drop_high": drop["high"], "drop_p": drop["p"],
        }  # fmt: skip


def _length_bins(lengths: np.ndarray, train: np.ndarray) -> csr_array:
    """Each length in bins that hold about as many training rows each, one column a bin, 1 where the length is in it."""
    made = []
    for column in lengths.T:
        edges = np.unique(np.quantile(column[train], np.linspace(0, 1, _LENGTH_BINS + 1)[1:-1]))
        made.append(np.eye(len(edges) + 1)[np.searchsorted(edges, column)])
    return csr_array(np.hstack(made))


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    for name in ("gain_p", "surplus_p", "drop_p"):
        known = table[name].notna()
        if known.any():
            table.loc[known, name] = multipletests(table.loc[known, name].to_numpy(float), method="holm")[1]
    return table


def is_shortcut(table: pd.DataFrame) -> pd.Series:
    """Which parts of ``Shortcuts.table`` are shortcuts: bools, one a line.

    A part is one where it alone is surely right more often than the majority (p < 0.05 after Holm) and reaches at least
    half of what the whole text gains, holds at most a third of the tokens, and is right for at least 5 % more of the rows than as many tokens
    from anywhere (p < 0.05 after Holm). For length only the first of these counts.
    """
    base, whole = table.loc["majority", "alone"], table.loc["whole text", "alone"]
    much = (table["alone"] > base) & (table["gain_p"] < LEVEL) & (table["alone"] - base >= _MUCH * (whole - base))
    small = table["size"] <= _SMALL
    more = table["surplus"].isna() | ((table["surplus"] >= _SURPLUS) & (table["surplus_p"] < LEVEL))
    return much & small & more & ~table.index.isin(["majority", "whole text", GIVEAWAYS])


class Shortcuts:
    """What parts of the texts say of the label alone, and what is lost without them.

    The parts: header lines, the first five tokens, digits and punctuation (tokens without a letter), and length
    (tokens, characters and lines, each in 20 bins); and giveaways, the words and phrases that look put into the texts,
    where there are any. Each is read by a linear support vector machine over TF-IDF of its single tokens, which learns
    from at most 4,000 training rows and 1,000 tokens a text. "Without" is the same kind of model, trained again and
    tested on texts that lack the part; length can't be taken out. "Anywhere" reads as many tokens of
    each text, drawn from all of it: a part that says more than these is worth more than its size.

    Attributes
    ----------
    table : one line a part that any text has, indexed by its name; the first two are "whole text" and "majority", and
        there is no line where no row has a text. Columns: size (share of the tokens of the test rows), alone, low, high
        (accuracy on the test rows and its 95 % interval), anywhere, surplus (alone minus anywhere, share of rows) with
        surplus_p, without, drop (whole text minus without) with its 95 % paired bootstrap interval drop_low and
        drop_high, and drop_p. gain_p is of alone against the majority. All p are
        those of ``comparison.compare``, corrected over the parts (Holm, 1979). NaN where
        there is none.
    phrases : the words and phrases that go with one label and stand once in a text, one line each, those in most texts
        first: phrase, label, texts (training texts that have it, one of each group), of_label (those of the label),
        share (of the label's texts), fixed (share of its places at the same distance from an end or the middle), away
        (how far it stands from a word put there at random) and put_there (is it a giveaway?)
    fewest : training texts from which on a giveaway is found in every label: anywhere, and at a fixed place
    cut : holders, flips, chance, p and margin of the giveaways on the test rows; empty where there are none
    """

    def __init__(self, data: Dataset):
        self.n_rows, texts = len(data.test), data.rows["text"].tolist()
        self.phrases, self.fewest, self.cut, lines = pd.DataFrame(columns=PHRASES), (0, 0), {}, {}
        if any(texts):
            judge = _Judge(data, _Tokens(texts))
            self.phrases, self.fewest = judge.giveaways(data.label_names)
            if GIVEAWAYS in judge.tokens.parts:
                self.cut = judge.cut(judge.tokens.parts[GIVEAWAYS])
            lines = judge.lines()
        table = pd.DataFrame.from_dict(lines, orient="index", columns=None if lines else COLUMNS)
        self.table = _corrected(table.reindex(columns=COLUMNS).rename_axis("part"))

    def verdicts(self, language: str = "en") -> list[tuple]:
        """Key, grade and facts of each shortcut, the serious first; else that there is none, and what was looked for.

        It is serious where the score falls without the part (p < 0.05), giveaways also where more answers change when
        they are cut out than when other words are; else worth a look. Nothing is said where no row has a text.
        """
        if self.table.empty:
            return []
        found = self.table[is_shortcut(self.table)].sort_values("drop", ascending=False)
        base = f"{100 * self.table.loc['majority', 'alone']:.1f}"
        made = [_verdict(part, line, base, language) for part, line in found.iterrows()]
        if self.phrases["put_there"].any():
            made.append(self._giveaways(language))
        return sorted(made, key=lambda one: one[1] != "serious") or [("no shortcut", "note", self._looked_for(base))]

    def _looked_for(self, base: str) -> dict:
        whole = interval_text(*self.table.loc["whole text", ["alone", "low", "high"]])
        looked = {"looked": len(self.phrases), "fewest": self.fewest[0], "fixed": self.fewest[1]}
        return looked | {"whole": whole, "base": base, "rows": self.n_rows}

    def _giveaways(self, language: str) -> tuple:
        found = self.phrases[self.phrases["put_there"].astype(bool)]
        named = [word("giveaway", language, **line) for line in found.head(_NAMED).to_dict("records")]
        if len(found) > _NAMED:
            named.append(word("more giveaways", language, n=len(found) - _NAMED))
        facts = {"listed": _APART[language].join(named), "rows": self.n_rows}
        facts |= {name: self.cut[name] for name in ("holders", "flips", "chance")}
        facts["margin"] = f"{100 * self.cut['margin']:.0f}"
        if GIVEAWAYS not in self.table.index:
            return "giveaways unseen", "look", {"listed": facts["listed"], "rows": self.n_rows}
        line = self.table.loc[GIVEAWAYS]
        falls = line["drop"] > 0 and line["drop_p"] < LEVEL
        moves = self.cut["flips"] > self.cut["chance"] and self.cut["p"] < LEVEL
        return "giveaways", "serious" if falls or moves else "look", facts | _loss(line)


def _loss(line: pd.Series) -> dict:
    """What is lost without a part, in points with a sign: the ends of its interval change places."""
    ends = {"drop": "drop", "low": "drop_high", "high": "drop_low"}
    return {name: points_text(-line[column]) for name, column in ends.items()} | {"p": p_text(line["drop_p"])}


def _verdict(part: str, line: pd.Series, base: str, language: str) -> tuple:
    falls = line["drop"] > 0 and line["drop_p"] < LEVEL
    key = "shortcut of length" if np.isnan(line["drop"]) else "shortcut" if falls else "shortcut unneeded"
    facts = {"part": word(part, language), "base": base} | _loss(line)
    facts["alone"] = interval_text(*line[["alone", "low", "high"]])
    facts |= {name: f"{100 * line[name]:.1f}" for name in ("size", "anywhere")}
    return key, "serious" if falls else "look", facts
