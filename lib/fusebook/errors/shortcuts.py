"""Shortcuts: parts of a text that give the label away, though nobody would call them what the text is about.

A linear model reads one part alone, then the text without it (after Gururangan and others, 2018, who found that a part
of the input gave the labels of a test away). Notebook 04_error_analysis tells the story.
"""

import re
from collections.abc import Sequence
from itertools import chain

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfTransformer
from statsmodels.stats.multitest import multipletests

from fusebook.data.dataset import Dataset
from fusebook.encoders.tokens import tokenise
from fusebook.evaluation.comparison import compare
from fusebook.evaluation.intervals import share_interval
from fusebook.evaluation.scores import interval_text
from fusebook.evaluation.sizes import linear_answers, nested_order
from fusebook.findings import p_text, word

FIRST = 5  # tokens at the beginning of a text
MOST_ROWS = 4000  # training rows that the linear models learn from
MOST_TOKENS = 400  # of a text that are read
_LENGTH_BINS = 20
_SMALL = 1 / 3  # of the tokens: a part that holds more is no shortcut but the text
_MUCH = 0.5  # of what the whole text gains over the majority
_SURPLUS = 0.05  # of the test rows that a part must be right for beyond as many tokens from anywhere

# A name, a colon, a value; lines that begin with a blank go on with the one before.
_HEADER = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{1,40}:[ \t].*(?:\n[ \t]+\S.*)*(?:\n|$)){2,}")


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
            # A token takes 100 characters at most, nearly always: what is cut off below would be cut off later.
            body = tokenise(text[end : end + 100 * MOST_TOKENS], keep_punctuation=True)
            lists.append((head + body)[:MOST_TOKENS])
            heads.append(len(head))
        lengths = np.array([len(tokens) for tokens in lists])
        self.n_texts = len(lists)
        self.text = np.repeat(np.arange(len(lists)), lengths)
        self.place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        self.word, words = pd.factorize(np.array(list(chain.from_iterable(lists)), object))
        no_letter = np.array([not any(map(str.isalpha, word)) for word in words], bool)
        self.n_words = len(words)
        self.parts = {
            "header lines": self.place < np.repeat(heads, lengths),
            "first tokens": self.place < FIRST,
            "digits and punctuation": no_letter[self.word],
        }
        self.lengths = np.column_stack([lengths, [len(text) for text in texts], [text.count("\n") for text in texts]])

    def bag(self, kept: np.ndarray, train: np.ndarray) -> csr_array:
        """TF-IDF over the tokens ``kept``, how rare each is learnt from the texts ``train``; (n_texts, n_words)."""
        shape = self.n_texts, self.n_words
        places = self.text[kept].astype(np.int32), self.word[kept].astype(np.int32)
        counts = csr_array((np.ones(kept.sum(), np.float32), places), shape)
        counts.sum_duplicates()
        return TfidfTransformer(sublinear_tf=True).fit(counts[train]).transform(counts)

    def anywhere(self, part: np.ndarray, random_state: int = 42) -> np.ndarray:
        """As many tokens of each text as ``part`` has, drawn from anywhere in it."""
        wanted = np.bincount(self.text[part], minlength=self.n_texts)
        order = np.lexsort((np.random.default_rng(random_state).random(len(self.text)), self.text))
        rank = np.empty(len(order), int)
        rank[order] = self.place
        return rank < wanted[self.text]


COLUMNS = [
    "size", "alone", "low", "high", "anywhere", "surplus", "surplus_p", "without", "drop", "drop_low", "drop_high",
    "drop_p",
]  # fmt: skip


class _Judge:
    """Linear models that learn from the same training rows and are judged on the same test rows."""

    def __init__(self, data: Dataset, tokens: _Tokens):
        train, self.test = (np.flatnonzero(data.rows["split"] == name) for name in ("train", "test"))
        self.labels, self.groups, self.tokens = data.labels, data.groups[self.test], tokens
        self.train = train[nested_order(self.labels[train])[:MOST_ROWS]]
        self.learnt, self.tested = (np.isin(tokens.text, places) for places in (self.train, self.test))
        self.truth = self.labels[self.test]
        self.majority = self.truth == np.bincount(self.labels[self.train]).argmax()

    def lines(self) -> dict[str, dict]:
        """The lines of ``Shortcuts.table`` by part, p not corrected yet."""
        whole, parts = self.right(np.ones(len(self.tokens.text), bool)), self.tokens.parts.items()
        made = {"whole text": {"size": 1.0} | self.score(whole), "majority": {"size": 0.0} | self.score(self.majority)}
        made |= {name: self.line(part, whole) for name, part in parts if part[self.tested].any()}
        return made | {"length": {"size": 0.0} | self.score(self.right_by_length())}

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

    def line(self, part: np.ndarray, whole: np.ndarray) -> dict:
        """All that is said of one part; ``whole`` is what the whole text gets right."""
        anywhere = self.right(self.tokens.anywhere(part))
        alone, without = self.right(part), self.right(~part)
        surplus = compare(anywhere, alone, groups=self.groups)
        drop = compare(without, whole, groups=self.groups)
        return {"size": part[self.tested].mean()} | self.score(alone) | {
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
    for name in ("surplus_p", "drop_p"):
        known = table[name].notna()
        if known.any():
            table.loc[known, name] = multipletests(table.loc[known, name].to_numpy(float), method="holm")[1]
    return table


def is_shortcut(table: pd.DataFrame) -> pd.Series:
    """Which parts of ``Shortcuts.table`` are shortcuts: bools, one a line.

    A part is one where it alone reaches at least half of what the whole text gains over the majority (as sure as its
    interval), holds at most a third of the tokens, and is right for at least 5 % more of the rows than as many tokens
    from anywhere (p < 0.05 after Holm). For length only the first of these counts.
    """
    base, whole = table.loc["majority", "alone"], table.loc["whole text", "alone"]
    much = (table["low"] - base > 0) & (table["alone"] - base >= _MUCH * (whole - base))
    small = table["size"] <= _SMALL
    more = table["surplus"].isna() | ((table["surplus"] >= _SURPLUS) & (table["surplus_p"] < 0.05))
    return much & small & more & ~table.index.isin(["majority", "whole text"])


class Shortcuts:
    """What parts of the texts say of the label alone, and what is lost without them.

    The parts: header lines, the first five tokens, digits and punctuation (tokens without a letter), and length
    (tokens, characters and lines, each in 20 bins). Each is read by a linear support vector machine over TF-IDF of its
    tokens, which learns from at most 4,000 training rows and 400 tokens a text. "Without" is the same kind of model,
    trained again and tested on texts that lack the part; length can't be taken out. "Anywhere" reads as many tokens of
    each text, drawn from all of it: a part that says more than these is worth more than its size.

    Attributes
    ----------
    table : one line a part that any text has, indexed by its name; the first two are "whole text" and "majority", and
        there is no line where no row has a text. Columns: size (share of the tokens of the test rows), alone, low, high
        (accuracy on the test rows and its 95 % interval), anywhere, surplus (alone minus anywhere, share of rows) with
        surplus_p, without, drop (whole text minus without) with its 95 % paired bootstrap interval drop_low and
        drop_high, and drop_p. Both p are those of ``comparison.compare``, corrected over the parts (Holm, 1979). NaN where
        there is none.
    """

    def __init__(self, data: Dataset):
        self.n_rows, texts = len(data.test), data.rows["text"].tolist()
        lines = _Judge(data, _Tokens(texts)).lines() if any(texts) else {}
        table = pd.DataFrame.from_dict(lines, orient="index", columns=None if lines else COLUMNS)
        self.table = _corrected(table.reindex(columns=COLUMNS).rename_axis("part"))

    def verdicts(self, language: str = "en") -> list[tuple]:
        """Key, grade and facts of each shortcut, the one that loses most first; else that there is none.

        It is serious where the score falls without the part (p < 0.05), else worth a look. Nothing is said where no row
        has a text.
        """
        if self.table.empty:
            return []
        found = self.table[is_shortcut(self.table)].sort_values("drop", ascending=False)
        base = f"{100 * self.table.loc['majority', 'alone']:.1f}"
        if found.empty:
            whole = interval_text(*self.table.loc["whole text", ["alone", "low", "high"]])
            return [("no shortcut", "note", {"whole": whole, "base": base, "rows": self.n_rows})]
        return [_verdict(part, line, base, language) for part, line in found.iterrows()]


def _verdict(part: str, line: pd.Series, base: str, language: str) -> tuple:
    falls = line["drop"] > 0 and line["drop_p"] < 0.05
    key = "shortcut of length" if np.isnan(line["drop"]) else "shortcut" if falls else "shortcut unneeded"
    facts = {"part": word(part, language), "base": base, "p": p_text(line["drop_p"])}
    facts["alone"] = interval_text(*line[["alone", "low", "high"]])
    facts |= {name: f"{100 * line[name]:.1f}" for name in ("size", "anywhere")}
    # What is lost without the part, in points with a sign: the ends of its interval change places.
    ends = {"drop": "drop", "low": "drop_high", "high": "drop_low"}
    facts |= {name: f"{100 * (0 - line[column]):+.1f}" for name, column in ends.items()}
    return key, "serious" if falls else "look", facts
