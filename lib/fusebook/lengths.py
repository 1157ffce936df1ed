"""How long a text is, as numbers that a network reads: what a bag of n-grams leaves out.

Notebook 02_preprocess tells the story.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from unicodedata import east_asian_width

import numpy as np

from fusebook import runs

_STEPS = 20  # between knots at most, and
_TEXTS = 20  # training texts that lie in a step at least


def columns(text: str) -> int:
    """The columns that ``text`` fills on a line: 2 for a Chinese character or a full-width sign, 1 for any other."""
    return len(text) + sum(n for character, n in Counter(text).items() if east_asian_width(character) in "FW")


class LengthEncoder:
    """Text to its length in hat functions: 1 at one knot, falling in a straight line to 0 at the knots beside it.

    So a network may give each length its own say, and texts of about the same length about the same (piecewise linear
    encoding, as in Gorishniy, Rubachev and Babenko, 2022). Knots lie at quantiles of the training texts' lengths, and
    the scale between them is the logarithm: ten characters more make a headline another kind of text, and an article
    none. A step from knot to knot holds 20 training texts at least, so few texts have few knots.

    Attributes
    ----------
    knots_ : log2 of 1 + length in ``columns``, rising, shape (n_knots,)
    """

    def fit(self, texts: Sequence[str]) -> "LengthEncoder":
        """Learn the knots from training rows' ``texts``. Raises ValueError where there is none."""
        if not len(texts):
            raise ValueError("No training text to learn lengths from; expected at least one.")
        steps = int(np.clip(len(texts) / _TEXTS, 1, _STEPS))
        self.knots_ = np.unique(np.quantile(_log_lengths(texts), np.linspace(0, 1, steps + 1)))
        return self

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        """Shares of shape (n_texts, n_knots), float32; a row sums to 1. Beyond the outer knots it is as at them."""
        lengths, hats = _log_lengths(texts), np.eye(len(self.knots_))
        return np.column_stack([np.interp(lengths, self.knots_, hat) for hat in hats]).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the encoder as JSON."""
        runs.write_json(folder / "lengths.json", {"knots": self.knots_.tolist()})

    @classmethod
    def load(cls, folder: Path) -> "LengthEncoder":
        """Read what ``save`` wrote."""
        encoder = cls()
        encoder.knots_ = np.array(runs.read_json(folder / "lengths.json")["knots"])
        return encoder


def _log_lengths(texts: Sequence[str]) -> np.ndarray:
    return np.log2(1 + np.fromiter(map(columns, texts), float, len(texts)))
