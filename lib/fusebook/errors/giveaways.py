"""Giveaways: words and phrases that go with one label and look as if they had been put into the texts.

Words of the subject tell the label, too. A source line, a tag or a signature differs in how it stands: once a text, at
a fixed place or between words that have nothing to do with it, and in texts that are otherwise like all of the label.
``Phrase.away`` measures this against chance. Notebook 04_error_analysis tells the story.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.stats import binom, rankdata

FEWEST, FEWEST_FIXED = 30, 14  # training texts of a label that have it: anywhere, or at a fixed place
SHARE = 0.035  # of the label's texts that have it, at least
PURE = 0.95  # of the texts that have it are of one label, at least
_CHANCE = 1e-4  # probability that so many are of that label, were the label drawn anew
_LONGEST = 3  # words of a run that is looked up; it then grows as long as a neighbour is always the same
_ALWAYS = 0.95  # of its places that have the same neighbour, or the same distance from an end
_ONCE = 1.05  # times in a text that has it, at most
_FAR = 14.0  # sum of squared standard scores; chance stays below it 98 times in 100
_MOST = 400  # phrases that are judged, those in most texts first
_DRAWS = 200  # of random places
_MOST_COMPARED = 1000  # texts of a label whose likeness is measured


@dataclass(frozen=True)
class Phrase:
    """A word or phrase of which nearly all texts have one label, and how it stands in them.

    Attributes
    ----------
    words : numbers of its words
    label : the label number
    n_texts, n_pure : texts that have it, and those of the label
    fixed : share of its places that are equally far from the beginning, the middle or the end of their text
    neighbours : standard score of how alike its neighbours are, against random places in the same texts
    context, typical, length : standard scores of the label's texts that have it against as many others of the label:
        how alike they are, how clearly they are of the label, and how long, the phrase itself left out
    """

    words: tuple[int, ...]
    label: int
    n_texts: int
    n_pure: int
    fixed: float
    neighbours: float
    context: float
    typical: float
    length: float

    @property
    def is_fixed(self) -> bool:
        """Does it stand at a fixed place?"""
        return self.fixed >= _ALWAYS

    @property
    def away(self) -> float:
        """How far it is from a word put there at random: sum of squared standard scores, about chi-squared."""
        beside = 0 if self.is_fixed else max(self.neighbours, 0)
        return max(self.context, 0) ** 2 + self.typical**2 + self.length**2 + beside**2


class Texts:
    """The words of some texts in one row, a 0 before and after each text.

    Parameters
    ----------
    text, word : the number of the text and of the word of each token, in their order; both from 0
    labels : label numbers of shape (n_texts,)
    """

    def __init__(self, text: np.ndarray, word: np.ndarray, labels: np.ndarray):
        self.labels, n_texts = np.asarray(labels), len(labels)
        lengths = np.bincount(text, minlength=n_texts)
        self.starts = np.cumsum(lengths + 1) - lengths
        self.ends = self.starts + lengths
        self.text = np.repeat(np.arange(n_texts + 1), np.append(lengths + 1, 1))
        places = np.arange(len(word)) + text + 1
        self.text[places], self.word = text, np.zeros(len(word) + n_texts + 1, np.int64)
        self.word[places] = word + 1
        self.n_words = int(self.word.max()) + 1
        self.sizes = np.bincount(self.labels, minlength=1)
        self.rarity = -np.log(np.bincount(self.word).clip(1) / len(self.word))

    def fewest(self, at_least: int) -> np.ndarray:
        """Texts of each label that must have a phrase; shape (n_labels,)."""
        share = (self.sizes / max(self.sizes.sum(), 1)).clip(1e-9, 1 - 1e-9)
        return np.ceil(np.maximum.reduce([0 * share + at_least, SHARE * self.sizes, np.log(_CHANCE) / np.log(share)]))

    def phrases(self, random_state: int = 42) -> list[Phrase]:
        """All that are pure and stand once in a text, those in most texts first."""
        made, random = {}, np.random.default_rng(random_state)
        for length, at in sorted(self._pure_runs(), key=lambda run: -len(run[1])):
            if len(made) == _MOST:
                break
            length, at = self._grown(length, at)
            words = tuple(self.word[at[0] : at[0] + length] - 1)
            if words not in made and len(at) <= _ONCE * len(np.unique(self.text[at])):
                made[words] = self._phrase(words, at, random)
        return list(made.values())

    def _pure_runs(self) -> list[tuple[int, np.ndarray]]:
        """Length and places of each run of one to three words that goes with one label."""
        made, fewest = [], self.fewest(FEWEST_FIXED)
        places = np.flatnonzero(self.word)
        codes = self.word[places]
        for length in range(1, _LONGEST + 1):
            codes = pd.factorize(codes)[0]
            counts = self._label_counts(codes, places)
            rows, most, label = counts.sum(axis=1), counts.max(axis=1, initial=0), counts.argmax(axis=1)
            pure = (most >= PURE * rows) & (most >= fewest[label])
            pure &= binom.sf(most - 1, rows, self.sizes[label] / len(self.labels)) <= _CHANCE
            order = np.flatnonzero(pure[codes])
            order = order[np.argsort(codes[order], kind="stable")]
            cuts = np.flatnonzero(np.diff(codes[order])) + 1
            made += [(length, at) for at in np.split(places[order], cuts) if len(at)]
            goes_on = (rows >= FEWEST_FIXED)[codes] & (self.word[places + length] > 0)
            codes = codes[goes_on] * self.n_words + self.word[places[goes_on] + length]
            places = places[goes_on]
        return made

    def _label_counts(self, codes: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Texts of each label that have each run; shape (n_runs, n_labels)."""
        shape = int(codes.max(initial=-1)) + 1, len(self.sizes)
        pairs = pd.unique(codes * len(self.labels) + self.text[places])
        code, text = np.divmod(pairs, len(self.labels))
        return np.bincount(code * shape[1] + self.labels[text], minlength=shape[0] * shape[1]).reshape(shape)

    def _grown(self, length: int, at: np.ndarray) -> tuple[int, np.ndarray]:
        """A run with the neighbours that it nearly always has."""
        for _ in range(40):
            for side in (-1, length):
                beside = self.word[at + side]
                top = np.bincount(beside).argmax()
                if top > 0 and (beside == top).sum() >= _ALWAYS * len(at):
                    at, length = at[beside == top] + min(side, 0), length + 1
                    break
            else:
                return length, at
        return length, at

    def _phrase(self, words: tuple[int, ...], at: np.ndarray, random: np.random.Generator) -> Phrase:
        rows = pd.unique(self.text[at])
        counts = np.bincount(self.labels[rows])
        label = int(counts.argmax())
        fixed, neighbours = self._fixed(len(words), at), self._neighbours(len(words), at, random)
        scores = self._contexts[label].scores(rows, len(words))
        return Phrase(words, label, len(rows), int(counts[label]), fixed, neighbours, *scores)

    def _fixed(self, length: int, at: np.ndarray) -> float:
        before, after = at - self.starts[self.text[at]], self.ends[self.text[at]] - at - length
        away = before, after, np.round((before - after) / 2)
        return max(np.unique(distance, return_counts=True)[1].max() for distance in away) / len(at)

    def _neighbours(self, length: int, at: np.ndarray, random: np.random.Generator) -> float:
        text = self.text[at]
        spots = self.starts[text] + (random.random((_DRAWS, len(at))) * (self.ends - self.starts + 1)[text]).astype(int)
        made = []
        for seen, drawn in ((at - 1, spots - 1), (at + length, spots)):
            chance = self._alike(self.word[drawn])
            made.append((self._alike(self.word[seen][None])[0] - chance.mean()) / max(chance.std(), 1))
        return float(max(made))

    def _alike(self, words: np.ndarray) -> np.ndarray:
        """Pairs of equal words in each row of ``words``; one of a rare word counts more."""
        codes, counts = np.unique(words + np.arange(len(words))[:, None] * self.n_words, return_counts=True)
        row, word = np.divmod(codes, self.n_words)
        return np.bincount(row, counts * (counts - 1) / 2 * self.rarity[word], len(words))

    @cached_property
    def _contexts(self) -> dict:
        """Label number to what its texts are like."""
        known = np.flatnonzero(self.word)
        pairs = pd.unique(self.text[known] * self.n_words + self.word[known])
        text, word = np.divmod(pairs, self.n_words)
        spread = np.bincount(word, minlength=self.n_words)
        weight = np.where(spread > 1, np.log(len(self.labels) / spread.clip(1)), 0)[word]
        weight /= np.sqrt(np.bincount(text, weight**2, len(self.labels))).clip(1e-9)[text]
        values = csr_array((weight, (text, word)), (len(self.labels), self.n_words))
        mean, lengths = np.asarray(values.mean(axis=0)).ravel(), self.ends - self.starts
        parts = {label: self.labels == label for label in np.unique(self.labels)}
        return {
            label: _Context(values[mine], mean, np.flatnonzero(mine), lengths[mine]) for label, mine in parts.items()
        }


class _Context:
    """What the texts of one label are like: TF-IDF rows of length 1, and lengths in words."""

    def __init__(self, values: csr_array, mean: np.ndarray, numbers: np.ndarray, lengths: np.ndarray):
        self.values, self.squares, self.numbers, self.lengths = values, values.power(2), numbers, lengths
        self.mean = np.asarray(values.mean(axis=0)).ravel()
        self.towards = self.mean - mean  # from the mean of all texts to that of the label
        some = values[:: -(-len(numbers) // _MOST_COMPARED)]
        shared = some @ self.mean
        kernel = (some @ some.T).toarray() - shared[:, None] - shared + self.mean @ self.mean
        pairs = kernel[~np.eye(len(kernel), dtype=bool)]
        self.spread = pairs.std() if len(pairs) else 0.0

    def scores(self, rows: np.ndarray, length: int) -> tuple[float, float, float]:
        """``context``, ``typical`` and ``length`` of ``Phrase``; zeros where nearly all or none of the texts have it.

        The first is the mean inner product of pairs of centred texts, as in the kernel two-sample test (Gretton and
        others, 2012), by its spread over random sets of as many texts.
        """
        mine = np.isin(self.numbers, rows)
        n = int(mine.sum())
        if min(n, len(mine) - n) < 4 or self.spread == 0:
            return 0.0, 0.0, 0.0
        found = np.bincount(self.values[mine].indices, minlength=self.values.shape[1])
        others = found < 0.8 * n  # all words but the phrase and what goes with it
        # Without these words each text has length 1 again.
        scale = 1 / np.sqrt((self.squares @ others).clip(1e-9))
        mean, total = (scale / len(scale)) @ self.values * others, (scale * mine) @ self.values * others
        # Squared distances from the mean, of the texts that have it and of all.
        distance = scale**2 * (self.squares @ others) - 2 * scale * (self.values @ mean) + mean @ mean
        chance = -distance.sum() / (len(scale) * (len(scale) - 1))
        alike = (((total - n * mean) ** 2).sum() - distance[mine].sum()) / (n * (n - 1)) - chance
        rest = 1 - mine.mean()
        context = alike / (self.spread * rest * np.sqrt(2 / (n * (n - 1))))
        ranked = (scale * (self.values @ (self.towards * others)), rankdata(self.lengths - length * mine))
        typical, long = ((v[mine].mean() - v.mean()) / max(v.std(), 1e-9) / np.sqrt(rest / n) for v in ranked)
        return float(context), float(typical), float(long)


def judged(texts: Texts) -> list[tuple[Phrase, bool]]:
    """The phrases of ``texts``, each with: is it in enough texts to tell, and does it stand like one put there?

    A phrase that holds a giveaway is none of its own, but left out.
    """
    made, found = [], []
    for phrase in texts.phrases():
        if any(_holds(phrase.words, other) for other in found):
            continue
        fewest = texts.fewest(FEWEST_FIXED if phrase.is_fixed else FEWEST)
        put_there = bool(phrase.n_pure >= fewest[phrase.label] and phrase.away < _FAR)
        made.append((phrase, put_there))
        found += [phrase.words] if put_there else []
    return made


def _holds(words: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return any(words[i : i + len(other)] == other for i in range(len(words) - len(other) + 1))


def places_of(words: tuple[int, ...], text: np.ndarray, word: np.ndarray) -> np.ndarray:
    """Which tokens belong to the phrase ``words``: bools of shape (n_tokens,), for tokens given as to ``Texts``."""
    made, last = np.zeros(len(word), bool), len(words) - 1
    at = np.flatnonzero(word == words[0])
    at = at[at + last < len(word)]
    at = at[text[at + last] == text[at]]
    for i in range(1, len(words)):
        at = at[word[at + i] == words[i]]
    made[(at[:, None] + np.arange(len(words))).ravel()] = True
    return made
