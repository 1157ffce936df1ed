"""Two models on the same rows: an exact paired test, a paired bootstrap, and the difference that could be found.

Notebooks 03_train and 04_error_analysis tell the story.
"""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import binom, norm
from statsmodels.stats.multitest import multipletests

from fusebook import findings
from fusebook.data.predictions import Predictions
from fusebook.evaluation.intervals import group_numbers

Pairs = Iterable[tuple[str, str]]
_COMPARED = ["difference", "low", "high", "p", "only_a", "only_b", "detectable"]


def compare(right_a: np.ndarray, right_b: np.ndarray, groups=None, *, n_resamples: int = 4000) -> dict:
    """Two models on the same rows: accuracy of b minus that of a, its 95 % paired bootstrap interval, and an exact p.

    Parameters
    ----------
    right_a, right_b : bools of shape (n_rows,): was each model right?
    groups : a group a row, such as copies of one text; the bootstrap then draws groups, and the test counts groups

    Returns difference, low, high, p (of ``sign_flip_p``), only_a, only_b (rows one alone got right), and
    detectable: the smallest difference that this many rows find with 80 % power at p < 0.05, given how often the two
    models disagree (normal approximation; Connor, 1987).
    """
    right_a, right_b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    if right_a.shape != right_b.shape or not right_a.size:
        raise ValueError(
            f"Shapes {right_a.shape} and {right_b.shape} differ or are empty; expected the same test rows."
        )
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    n_rows = len(right_a)
    gains = right_b.astype(int) - right_a
    low, high = np.percentile(_differences(gains, groups, n_resamples), [2.5, 97.5])
    p = sign_flip_p(np.bincount(group_numbers(groups, n_rows), gains))
    disagree = max(only_a + only_b, 1) / n_rows
    detectable = float((norm.ppf(0.975) + norm.ppf(0.8)) * np.sqrt(disagree / n_rows))
    values = (only_b - only_a) / n_rows, low, high, p, only_a, only_b, detectable
    return dict(zip(_COMPARED, values, strict=True))


def sign_flip_p(gains: np.ndarray) -> float:
    """How probable a sum of gains at least as far from 0 is, were each group's gain as likely turned round: two-sided.

    ``gains`` are whole numbers of shape (n_groups,): by how many more of a group's rows one model is right. The test is
    exact (permutation of signs; Fisher, 1935): all 2^n sums are counted, group by group. Where each group is one row it
    is McNemar's exact test (1947).
    """
    sizes, counts = np.unique(np.abs(gains[gains != 0]).astype(int), return_counts=True)
    sums = np.ones(1)  # the probability of each sum, from the lowest that there can be to the highest
    for size, count in zip(sizes, counts, strict=True):
        steps = np.zeros(2 * size * count + 1)
        steps[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        sums = np.convolve(sums, steps)
    far = np.abs(np.arange(len(sums)) - len(sums) // 2) >= abs(gains.sum())
    return float(min(sums[far].sum(), 1.0))


def _differences(gains: np.ndarray, groups, n_resamples: int) -> np.ndarray:
    """Resampled means of ``gains`` (-1, 0 or 1 a row). Groups alike in size and gain are one multinomial cell."""
    units = group_numbers(groups, len(gains))
    per_group = np.column_stack([np.bincount(units, gains), np.bincount(units)])
    kinds, counts = np.unique(per_group, axis=0, return_counts=True)
    drawn = np.random.default_rng(42).multinomial(counts.sum(), counts / counts.sum(), n_resamples) @ kinds
    return drawn[:, 0] / drawn[:, 1]


def compare_pairs(predictions: Predictions, pairs: Pairs | None = None) -> pd.DataFrame:
    """``compare`` for pairs of models (all of them by default), with p_holm corrected over the pairs (Holm, 1979).

    Returns a DataFrame with columns a, b and those of ``compare``, smallest p first; no line without a pair.
    """
    right, groups = {name: predictions.right(name) for name in predictions}, predictions.groups
    pairs = combinations(predictions, 2) if pairs is None else pairs
    lines = [{"a": a, "b": b, **compare(right[a], right[b], groups)} for a, b in pairs]
    table = pd.DataFrame(lines, columns=["a", "b", *_COMPARED])
    table["p_holm"] = multipletests(table["p"], method="holm")[1] if lines else table["p"]
    return table.sort_values("p", kind="stable").reset_index(drop=True)


class PairedTests:
    """Pairs of models tested on the same rows.

    Parameters
    ----------
    families : lists of pairs (a, b), each a question of its own and corrected by itself; one of all pairs by default

    Attributes
    ----------
    table : ``compare_pairs`` of each family, joined; a family without a pair adds no line
    """

    def __init__(self, predictions: Predictions, *families: Pairs):
        tables = [compare_pairs(predictions, pairs) for pairs in families or [None]]
        self.table = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)

    def verdicts(
        self, language: str = "en", *, a: str = "", b: str = "", graded: str | None = None, within: str = ""
    ) -> list[tuple[str, str, dict]]:
        """``verdicts`` of the lines of ``table``, or of those between the models ``a`` and ``b``.

        Where ``within`` is the key of another sentence, each comparison stands in that one.
        """
        kept = (self.table["a"] == a) | (not a)
        made = verdicts(self.table[kept & ((self.table["b"] == b) | (not b))], language, graded)
        if not within:
            return made
        return [(within, grade, {"comparison": findings.say(key, language, **facts)}) for key, grade, facts in made]


def verdicts(table: pd.DataFrame, language: str = "en", graded: str | None = None) -> list[tuple[str, str, dict]]:
    """Key, grade and facts of the finding about each line of ``compare_pairs``, for ``Findings.add_all``.

    Where ``graded`` names a model, its lines come first, and those whose b is another one are notes.
    """
    lines = [line for _, line in table.iterrows()]
    if graded is not None:
        lines.sort(key=lambda line: line["b"] != graded)
    return [_verdict(line, language, grade=graded in (None, line["b"])) for line in lines]


def _verdict(line, language: str, *, grade: bool) -> tuple[str, str, dict]:
    p = _p(line)
    key = "no difference" if p >= 0.05 else "better" if line["difference"] > 0 else "worse"
    points = {name: f"{100 * line[name]:+.1f}" for name in ("difference", "low", "high")}
    # A sentence in English begins with the better or worse model's name.
    first = line["b"] if language != "en" or key == "no difference" else findings.capital(line["b"])
    facts = {"a": line["a"], "b": first, "p": findings.p_text(p), "detectable": f"{100 * line['detectable']:.1f}"}
    return key, severity(line) if grade else "note", facts | points


def severity(line) -> str:
    """How much a line of ``compare`` matters where b ought to be better: note, look (no difference) or serious."""
    return "look" if _p(line) >= 0.05 else "note" if line["difference"] > 0 else "serious"


def _p(line) -> float:
    return line["p_holm"] if "p_holm" in line else line["p"]
