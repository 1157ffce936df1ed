"""Where does the model fail? Slices of the test rows, described by facts, that are wrong more often than the rest.

Notebook 04_error_analysis tells the story.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import hypergeom
from sklearn.tree import DecisionTreeClassifier
from statsmodels.stats.multitest import multipletests

from fusebook.intervals import wilson_interval
from fusebook.sentences import fact_name, say

FEWEST = 10  # rows of a slice
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_MOST_VALUES = 20  # of a fact that is no number: the most frequent ones
_COLUMNS = ["slice", "rows", "wrong", "error", "low", "high", "lift", "p", "p_holm", "path", "members"]


class Condition(NamedTuple):
    """One thing said of a row: ``kind`` is a template of ``sentences`` (at most, above, between, is, missing)."""

    fact: str
    kind: str
    low: float = np.nan
    high: float = np.nan
    value: str = ""

    def holds(self, facts: pd.DataFrame) -> np.ndarray:
        """Is it so? Bools of shape (n_rows,)."""
        column = facts[self.fact]
        if self.kind == "is":
            return (_as_text(column) == self.value).to_numpy()
        number = column.to_numpy(float)
        if self.kind == "missing":
            return np.isnan(number)
        above = ~(number <= self.low) & ~np.isnan(number)
        return above if np.isnan(self.high) else above & (number <= self.high)

    def said(self, language: str = "en") -> str:
        """The condition in words."""
        ends = {name: f"{getattr(self, name):.4g}" for name in ("low", "high")}
        return say(self.kind, language, fact=fact_name(self.fact, language), value=self.value, **ends)


# Conditions that hold together; False beside one that must not hold.
Path = tuple[tuple[Condition, bool], ...]


def path_text(path: Path, language: str = "en") -> str:
    """The conditions of a slice in words."""
    said = [(condition.said(language), holds) for condition, holds in path]
    parts = [text if holds else say("not so", language, condition=text) for text, holds in said]
    return say("and", language).join(parts)


class SliceFinder:
    """Finds the slices of the test rows that are wrong more often than the rest, or none.

    What is looked at: each condition, each pair of conditions on two facts, and the nodes of a shallow tree. Numbers
    are cut at quantiles of the rows that ``fit`` is given, and the tree is learnt from them: they must be other rows
    than those that ``find`` tests, such as the validation rows. Then all that is looked at is known before the first
    test row is judged, and Holm's correction over it keeps the chance of any false slice below 5 %.

    Parameters
    ----------
    fewest : rows that a slice has at least
    depth : conditions that a node of the tree has at most; 0 for no tree

    Attributes
    ----------
    conditions_ : list of ``Condition``
    tree_ : DecisionTreeClassifier over the conditions, or None
    """

    def __init__(self, fewest: int = FEWEST, depth: int = 3):
        self.fewest = fewest
        self.depth = depth

    def fit(self, facts: pd.DataFrame, wrong: np.ndarray | None = None) -> "SliceFinder":
        """Learn where to cut the facts and, where it is known which rows are ``wrong``, the tree.

        ``facts`` has one line a row and one column a fact: numbers are cut at quantiles, all else is taken as text.
        ``wrong`` are bools of shape (n_rows,).
        """
        self.conditions_ = [
            condition for fact in facts for condition in _conditions(fact, facts[fact], self.fewest)
        ]
        self.tree_ = None
        if wrong is not None and 0 < np.sum(wrong) < len(facts) and self.conditions_ and self.depth:
            tree = DecisionTreeClassifier(max_depth=self.depth, min_samples_leaf=self.fewest, random_state=0)
            self.tree_ = tree.fit(self._singles(facts), wrong)
        return self

    def find(
        self, facts: pd.DataFrame, wrong: np.ndarray, groups=None, *, most: int = 8
    ) -> tuple[pd.DataFrame, int]:
        """Test every slice on these rows, which ``fit`` has not seen.

        p is that of Fisher's exact test, one-sided: so many wrong rows or more in the slice, were the wrong rows spread
        by chance. A slice is reported where p, corrected over all slices looked at (Holm, 1979), is below 0.05 and where
        it also stands out among the rows that the slices before it leave. Of rows that are copies of each other
        (``groups``, one a row) only the first counts for p.

        Returns
        -------
        slices : a DataFrame, smallest p first, at most ``most`` lines, none where no slice stands out: slice (in words),
            rows, wrong, error (share wrong) with its 95 % interval low and high (Wilson, 1927), lift (error over that of
            all rows), p, p_holm, path, and members (bools of shape (n_rows,)). As a slice is found and measured on the
            same rows, its error is a little too high.
        looked_at : how many slices were tested
        """
        wrong = np.asarray(wrong, bool)
        if len(facts) != len(wrong) or not len(wrong):
            raise ValueError(
                f"{len(facts)} lines of facts for {len(wrong)} answers; expected one line a row, and rows."
            )
        counts = (
            ~pd.Series(groups).duplicated().to_numpy() if groups is not None else np.ones(len(wrong), bool)
        )
        table = _Candidates(self._singles(facts), self._nodes(facts), self.conditions_, counts, self.fewest)
        p = table.p_values(counts, wrong)
        p_holm = multipletests(p, method="holm")[1] if len(p) else p
        chosen = table.choose(counts, wrong, p, p_holm, most)
        lines = [self._line(table, place, wrong, p[place], p_holm[place]) for place in chosen]
        return pd.DataFrame(lines, columns=_COLUMNS), len(p)

    def _line(self, table: "_Candidates", place: int, wrong: np.ndarray, p: float, p_holm: float) -> dict:
        members = table.members(place)
        n_rows, n_wrong = int(members.sum()), int(wrong[members].sum())
        low, high = wilson_interval(n_wrong / n_rows, n_rows)
        kind, where = table.origin(place)
        path = tuple((self.conditions_[i], True) for i in where) if kind == "pair" else self._node_path(where)
        error = n_wrong / n_rows
        made = [
            path_text(path),
            n_rows,
            n_wrong,
            error,
            float(low),
            float(high),
            error / wrong.mean(),
            p,
            p_holm,
        ]
        return dict(zip(_COLUMNS, [*made, path, members], strict=True))

    def _singles(self, facts: pd.DataFrame) -> np.ndarray:
        """Which condition holds for which row, shape (n_rows, n_conditions), float32."""
        made = [condition.holds(facts) for condition in self.conditions_]
        return np.array(made, np.float32).reshape(len(made), len(facts)).T

    def _node_path(self, node: int) -> Path:
        """The conditions that lead from the root of the tree to ``node``."""
        tree, path = self.tree_.tree_, []
        parents = {
            child: i
            for i in range(tree.node_count)
            for child in (tree.children_left[i], tree.children_right[i])
        }
        while node:
            parent = parents[node]
            path.insert(0, (self.conditions_[tree.feature[parent]], node == tree.children_right[parent]))
            node = parent
        return tuple(path)

    def _nodes(self, facts: pd.DataFrame) -> np.ndarray:
        """Which row is in which node, shape (n_rows, n_nodes); nodes that are no news after the pairs are empty."""
        if self.tree_ is None:
            return np.zeros((len(facts), 0), np.float32)
        nodes = self.tree_.decision_path(self._singles(facts)).toarray().astype(np.float32)
        for node in range(nodes.shape[1]):
            path = self._node_path(node)
            if len(path) <= 2 and all(holds for _, holds in path):
                nodes[:, node] = 0
        return nodes


class _Candidates:
    """All slices that are looked at: single conditions, pairs of them, nodes of the tree; counted by matrix products."""

    def __init__(self, singles, nodes, conditions: Sequence[Condition], counts: np.ndarray, fewest: int):
        self.singles, self.nodes, self.fewest = singles, nodes, fewest
        facts = np.array([condition.fact for condition in conditions], object)
        self.first, self.second = np.triu_indices(len(conditions))
        different = (facts[self.first] != facts[self.second]) | (self.first == self.second)
        self.first, self.second = self.first[different], self.second[different]
        self.kept = np.arange(len(self.first) + nodes.shape[1])
        rows, alone = self.count(counts), singles.T @ counts.astype(np.float32)
        large = (rows >= fewest) & (rows <= counts.sum() - fewest)
        # A pair with all rows of one of its conditions says nothing new, nor does a condition with another's rows.
        pairs = rows[: len(self.first)]
        large[: len(pairs)] &= (self.first == self.second) | (
            (pairs < alone[self.first]) & (pairs < alone[self.second])
        )
        repeats = pd.Series([column.tobytes() for column in singles.T > 0]).duplicated().to_numpy()
        large[: len(pairs)] &= ~(repeats[self.first] | repeats[self.second])
        self.kept = np.flatnonzero(large)

    def count(self, weights: np.ndarray) -> np.ndarray:
        """The sum of ``weights``, shape (n_rows,), over each slice that is kept."""
        weights = weights.astype(np.float32)
        pairs = self.singles.T @ (self.singles * weights[:, None])
        made = np.concatenate([pairs[self.first, self.second], self.nodes.T @ weights])
        return np.rint(made[self.kept]).astype(int)

    def p_values(self, among: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        """Fisher's exact p of each slice among the rows where ``among``; 1 for a slice that is too small there."""
        rows, hits = self.count(among), self.count(among & wrong)
        p = hypergeom.sf(hits - 1, among.sum(), (among & wrong).sum(), rows)
        return np.where(rows >= self.fewest, p, 1.0)

    def choose(self, among, wrong, p: np.ndarray, p_holm: np.ndarray, most: int) -> list[int]:
        """Positions of the slices to report: the best, then each that stands out among the rows left."""
        chosen, left, now = [], among.copy(), p
        while len(p) and len(chosen) < most:
            now = np.where(p_holm < 0.05, now, 1.0)
            best = int(now.argmin())
            if now[best] * len(p) >= 0.05:
                break
            chosen.append(best)
            left &= ~self.members(best)
            now = self.p_values(left, wrong)
        return chosen

    def origin(self, place: int) -> tuple[str, tuple[int, ...] | int]:
        """("pair", positions of one or two conditions) or ("node", number of the node)."""
        number = self.kept[place]
        if number >= len(self.first):
            return "node", int(number - len(self.first))
        return "pair", tuple(sorted({int(self.first[number]), int(self.second[number])}))

    def members(self, place: int) -> np.ndarray:
        """The rows of a slice, bools of shape (n_rows,)."""
        kind, where = self.origin(place)
        return self.nodes[:, where] > 0 if kind == "node" else self.singles[:, list(where)].all(axis=1)


def _as_text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").map(str)


def _conditions(fact: str, column: pd.Series, fewest: int) -> list[Condition]:
    """What may be said of one fact: tails and quarters of a number, else each frequent value."""
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        counts = _as_text(column).value_counts()
        values = counts[counts >= fewest].index[:_MOST_VALUES]
        return [Condition(fact, "is", value=value) for value in values]
    numbers = column.to_numpy(float)
    known = numbers[np.isfinite(numbers)]
    made = [Condition(fact, "missing")] if len(known) < len(numbers) else []
    if not len(known):
        return made
    tenth, quarter, half, three, nine = np.quantile(known, _QUANTILES)
    made += [Condition(fact, "at most", high=end) for end in dict.fromkeys([tenth, quarter, half])]
    made += [Condition(fact, "above", low=end) for end in dict.fromkeys([half, three, nine])]
    return made + [
        Condition(fact, "between", *ends) for ends in ((quarter, half), (half, three)) if ends[0] < ends[1]
    ]
