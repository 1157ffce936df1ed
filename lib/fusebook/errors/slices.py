"""Where does the model fail? Slices of the scored rows, described by facts, that are wrong more often than the rest.

Notebook 04_error_analysis tells the story.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import hypergeom, norm
from sklearn.tree import DecisionTreeClassifier

from fusebook.data.predictions import Predictions
from fusebook.errors.extremes import LEVEL, critical_score, effective_rows, exact_interval, least_lift, slice_excess
from fusebook.evaluation.scores import interval_text
from fusebook.findings import fact_name, p_text, word

FEWEST, MOST_SLICES = 10, 8  # rows of a slice, slices reported
LEAST_LIFT = 1.2  # of a slice that is reported: less is of no use, however sure
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_MOST_VALUES = 20  # of a fact that is no number: the most frequent ones
_COLUMNS = ["slice", "rows", "wrong", "error", "low", "high", "lift", "p", "p_corrected", "path", "members"]
_DRAWS, _WORK, _MOST_WORK = (200, 1000), 1e10, 3e8  # permutations; row by slice that they count, and at most in one
_CELLS = 2e7  # row by slice held at a time


class Condition(NamedTuple):
    """One thing said of a row: ``kind`` is one of ``findings.WORDS`` (at most, above, between, is, missing)."""

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

    def text(self, language: str = "en") -> str:
        """The condition in words."""
        ends = {name: f"{getattr(self, name):.4g}" for name in ("low", "high")}
        return word(self.kind, language, fact=fact_name(self.fact, language), value=self.value, **ends)


# Conditions that hold together; False beside one that must not hold.
Path = tuple[tuple[Condition, bool], ...]


def path_text(path: Path, language: str = "en") -> str:
    """The conditions of a slice in words."""
    texts = [(condition.text(language), holds) for condition, holds in path]
    parts = [text if holds else word("not so", language, condition=text) for text, holds in texts]
    return word("and", language).join(parts)


class Slices:
    """Slices of rows that a model gets wrong more often than the rest: ``SliceFinder`` asked.

    Parameters
    ----------
    facts : ``facts_table`` of the rows that were judged
    judged : what ``model`` answered about test rows, and perhaps about other rows, none of which it has learnt from:
        the tree is learnt from the validation rows, all others are tested; there is no tree without validation rows

    Attributes
    ----------
    found, looked_at : what ``SliceFinder.find`` returns
    finder : the ``SliceFinder``
    tested : ``Predictions`` of the rows that were tested
    rows : their numbers

    Raises as ``SliceFinder.find`` does.
    """

    def __init__(self, facts: pd.DataFrame, judged: Predictions, model: str):
        earlier = (judged.rows["split"] == "validation").to_numpy()
        known, tested = judged.chosen(earlier), judged.chosen(~earlier)
        self.tested, self.rows, self.on = tested, tested.rows["row"].to_numpy(), judged.scored_on
        before = (facts.loc[known.rows["row"]], ~known.right(model)) if known.n_rows else ()
        self.finder = SliceFinder().fit(facts.loc[self.rows], *before)
        self.found, self.looked_at = self.finder.find(facts.loc[self.rows], ~tested.right(model), tested.groups)

    @property
    def table(self) -> pd.DataFrame:
        """The slices to be read: rows, error with its interval, lift and corrected p, by the slice in words."""
        return self.found.set_index("slice")[["rows", "error", "low", "high", "lift", "p_corrected"]].round(4)

    def members(self) -> pd.DataFrame:
        """Which row is in which slice: row and slice (in words), one line for each row of each slice."""
        lines = [(row, line.slice) for line in self.found.itertuples() for row in self.rows[line.members]]
        return pd.DataFrame(lines, columns=["row", "slice"]).astype({"row": int, "slice": str})

    def verdicts(self, language: str = "en") -> list[tuple]:
        """Key, grade and facts of each slice, or one that says there is none, and how large one would have been found.

        It is serious where the error is at least twice that of all rows even at the low end of its interval, else worth
        a look. What could be found is told of a slice of a tenth of the rows, see ``extremes.least_lift``.
        """
        facts = {"looked_at": self.looked_at, "on": self.on}
        if len(self.found):
            return [_verdict(line, facts, language) for line in self.found.to_dict("records")]
        facts |= {"rows": len(self.rows)}
        if not self.looked_at:
            return [("no slice looked", "note", {"rows": len(self.rows), "on": self.on, "least": FEWEST})]
        lift = self.finder.least_lift(size := self.finder.tenth)
        if np.isnan(lift):
            return [("no slice could", "note", facts | {"size": size, "wrong": self.finder.n_wrong_})]
        return [("no slice", "note", facts | {"size": size, "lift": f"{lift:.1f}"})]


def _verdict(line: dict, facts: dict, language: str) -> tuple:
    grade = "serious" if line["low"] * line["lift"] >= 2 * line["error"] else "look"
    facts = facts | {"slice": path_text(line["path"], language), "rows": line["rows"]}
    facts |= {"lift": f"{line['lift']:.1f}", "p": p_text(line["p_corrected"])}
    return "slice", grade, facts | {"error": interval_text(line["error"], line["low"], line["high"])}


class SliceFinder:
    """Finds the slices of rows that are wrong more often than the rest, or none.

    What is looked at: each condition, each pair of conditions on two facts, and the nodes of a shallow tree. Numbers
    are cut at quantiles, which don't look at what is wrong; the tree is learnt from other rows, such as the validation
    rows. So all that is looked at is known before the first row is judged. How far the furthest of so many slices goes
    by chance is found by permutation (Westfall and Young, 1993): the wrong rows are dealt anew over all rows. It keeps
    the chance of any false slice below 5 %, and finds more than a correction that takes slices for unrelated. Half of
    the 5 % is for the few slices of one condition or of the tree, so that the many pairs don't hide them.

    Parameters
    ----------
    depth : conditions that a node of the tree has at most; 0 for no tree

    Attributes
    ----------
    conditions_ : list of ``Condition``
    tree_ : DecisionTreeClassifier over the conditions, or None
    critical_ : the ``extremes.slice_excess`` above which one told by one condition stands out, after ``find``
    n_rows_, n_wrong_ : rows that count, and how many of them are wrong
    """

    def __init__(self, depth: int = 3):
        self.depth = depth

    def fit(self, facts: pd.DataFrame, earlier: pd.DataFrame | None = None, wrong=None) -> "SliceFinder":
        """Learn where to cut ``facts`` and, from ``earlier`` rows of which it is known which are ``wrong``, the tree.

        Both tables have one line a row and one column a fact: numbers are cut at quantiles, all else is taken as text.
        ``facts`` may be those of the rows that ``find`` tests, ``earlier`` must be of others. ``wrong`` are bools, one
        for each of ``earlier``.
        """
        self.conditions_ = [condition for fact in facts for condition in _conditions(fact, facts[fact])]
        self.tree_ = None
        if wrong is not None and 0 < np.sum(wrong) < len(wrong) and self.conditions_ and self.depth:
            tree = DecisionTreeClassifier(max_depth=self.depth, min_samples_leaf=FEWEST, random_state=0)
            self.tree_ = tree.fit(self._singles(earlier), wrong)
        return self

    def find(self, facts: pd.DataFrame, wrong: np.ndarray, groups=None) -> tuple[pd.DataFrame, int]:
        """Test every slice on these rows, whose answers ``fit`` has not seen.

        p is that of Fisher's exact test, one-sided: so many wrong rows or more in the slice, were the wrong rows spread
        by chance. A slice is reported where p, corrected for all slices looked at, is below 0.05, where its error is at
        least 1.2 times that of all rows, and where it also stands out among the rows that the slices before it leave. A
        condition that adds nothing sure to a slice is left out. Of rows that are copies of each other (``groups``, one
        a row) only the first counts for p.

        Returns
        -------
        slices : a DataFrame of at most ``MOST_SLICES`` lines, the surest first, none where no slice stands out: slice (in
            words), rows, wrong, error (share wrong) with low and high, lift (error over that of all rows), p,
            p_corrected (over permutations, at most Bonferroni's), path, and members (bools of shape (n_rows,)). The
            interval is exact (Clopper and Pearson, 1934) at the level of the test, so that it holds for all slices
            looked at together: the error of one that was chosen for it is a little too high.
        looked_at : how many slices were tested

        Raises ValueError where there is no row, or not one answer a line of facts.
        """
        wrong = np.asarray(wrong, bool)
        if len(facts) != len(wrong) or not len(wrong):
            raise ValueError(
                f"{len(facts)} lines of facts for {len(wrong)} answers; expected one line a row, and at least one row."
            )
        groups = np.arange(len(wrong)) if groups is None else np.asarray(groups)
        counted = ~pd.Series(groups).duplicated().to_numpy()
        self.n_rows_, self.n_wrong_ = int(counted.sum()), int((counted & wrong).sum())
        candidates = _Candidates(self._singles(facts), self._nodes(facts), self._paths(), counted)
        p = candidates.p_values(counted, wrong)
        p_corrected, critical = candidates.corrected(counted, wrong, p)
        self.critical_ = min(critical, default=np.inf)
        chosen = candidates.choose(counted, wrong, p_corrected, critical)
        lines = [self._line(candidates, place, wrong, groups, critical[place]) for place in chosen]
        return pd.DataFrame(lines, columns=_COLUMNS).assign(p=p[chosen], p_corrected=p_corrected[chosen]), len(p)

    @property
    def tenth(self) -> int:
        """A tenth of the rows that count, at least as many as a slice must have."""
        return max(round(self.n_rows_ / 10), FEWEST)

    def least_lift(self, size: int) -> float:
        """How many times as often as the rest a slice of ``size`` rows must be wrong: ``extremes.least_lift``."""
        return least_lift(size, self.n_rows_, self.n_wrong_, self.critical_, LEAST_LIFT)

    def _line(self, candidates: "_Candidates", place: int, wrong, groups: np.ndarray, critical: float) -> dict:
        members = candidates.members(place)
        n_rows, n_wrong = int(members.sum()), int(wrong[members].sum())
        error, tail = n_wrong / n_rows, min(norm.sf(critical), 0.025)
        low, high = exact_interval(error, effective_rows(groups[members]), tail)
        path = tuple((self.conditions_[i], holds) for i, holds in sorted(candidates.path(place)))
        made = {"slice": path_text(path), "rows": n_rows, "wrong": n_wrong, "error": error, "low": low, "high": high}
        return made | {"lift": error / wrong.mean(), "path": path, "members": members}

    def _singles(self, facts: pd.DataFrame) -> np.ndarray:
        """Which condition holds for which row, shape (n_rows, n_conditions), float32."""
        made = [condition.holds(facts) for condition in self.conditions_]
        return np.array(made, np.float32).reshape(len(made), len(facts)).T

    def _paths(self) -> list[frozenset]:
        """All slices in the order of ``_Candidates``: sets of (number of a condition, does it hold?)."""
        facts = [condition.fact for condition in self.conditions_]
        first, second = np.triu_indices(len(facts))
        pairs = [
            frozenset([(i, True), (j, True)])
            for i, j in zip(first.tolist(), second.tolist(), strict=True)
            if i == j or facts[i] != facts[j]
        ]
        return pairs + self._node_paths()

    def _node_paths(self) -> list[frozenset]:
        """What leads from the root of the tree to each node."""
        if self.tree_ is None:
            return []
        tree = self.tree_.tree_
        paths = [frozenset()] * tree.node_count
        for node in np.flatnonzero(tree.children_left >= 0):  # a parent stands before its children
            condition = int(tree.feature[node])
            paths[tree.children_left[node]] = paths[node] | {(condition, False)}
            paths[tree.children_right[node]] = paths[node] | {(condition, True)}
        return paths

    def _nodes(self, facts: pd.DataFrame) -> np.ndarray:
        """Which row is in which node of the tree, shape (n_rows, n_nodes), float32."""
        if self.tree_ is None:
            return np.zeros((len(facts), 0), np.float32)
        return self.tree_.decision_path(self._singles(facts)).toarray().astype(np.float32)


class _Candidates:
    """All slices that are looked at: single conditions, pairs of them, nodes of the tree; counted by matrix products.

    Left out are those too small or too large, and those that hold the rows of a simpler one.
    """

    def __init__(self, singles, nodes, paths: list[frozenset], counted: np.ndarray):
        self.singles, self.nodes, self.paths = singles, nodes, paths
        ends = [sorted(i for i, _ in path) for path in paths[: len(paths) - nodes.shape[1]]]
        self.first, self.second = (np.array([end[k] for end in ends], int) for k in (0, -1))
        self.kept = np.arange(len(paths))
        rows = self.count(counted)
        large = (rows >= FEWEST) & (rows <= counted.sum() - FEWEST)
        self.kept = np.flatnonzero(large & ~self._repeats(rows))
        self.places = {paths[number]: place for place, number in enumerate(self.kept)}

    def _repeats(self, rows: np.ndarray) -> np.ndarray:
        """Is it a simpler slice over again? Bools of shape (n_slices,)."""
        n_pairs = len(self.first)
        pairs, single = rows[:n_pairs], self.first == self.second
        alone = np.zeros(self.singles.shape[1], int)
        alone[self.first[single]] = pairs[single]
        idle = ~single & ((pairs == alone[self.first]) | (pairs == alone[self.second]))
        same = pd.Series([column.tobytes() for column in self.singles.T > 0]).duplicated().to_numpy(bool)
        idle |= same[self.first] | same[self.second]
        known = set(self.paths[:n_pairs])
        return np.concatenate([idle, [path in known for path in self.paths[n_pairs:]]]).astype(bool)

    def count(self, weights: np.ndarray) -> np.ndarray:
        """How many of the rows where ``weights`` each slice holds that is kept."""
        singles = self.singles[weights]
        pairs = (singles.T @ singles)[self.first, self.second]
        return np.rint(np.concatenate([pairs, self.nodes[weights].sum(axis=0)])[self.kept]).astype(int)

    def p_values(self, among: np.ndarray, wrong: np.ndarray, wanted=slice(None)) -> np.ndarray:
        """Fisher's exact p of each slice among the rows where ``among``; 1 where it is too small, or not wanted."""
        rows, hits = self.count(among), self.count(among & wrong)
        p = np.ones(len(rows))
        p[wanted] = hypergeom.sf(hits[wanted] - 1, among.sum(), (among & wrong).sum(), rows[wanted])
        return np.where(rows >= FEWEST, p, 1.0)

    def scores(self, among: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        """The ``slice_excess`` of each slice among the rows where ``among``; 0 where it is too small."""
        rows, hits = self.count(among), self.count(among & wrong)
        return np.where(rows >= FEWEST, slice_excess(hits, rows, (among & wrong).sum(), among.sum()), 0.0)

    def corrected(self, among: np.ndarray, wrong: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p corrected for all slices, and the score above which each is told.

        Slices of one condition and nodes of the tree have half of the level, pairs the other. By permutation, at most
        Bonferroni's, which is all there is where there is nothing to deal, or too much to count.
        """
        scores, p_corrected, critical = self.scores(among, wrong), np.ones(len(p)), np.zeros(len(p))
        n_pairs, level = len(self.first), LEVEL / 2
        of_pair = self.kept < n_pairs
        of_pair[of_pair] = (self.first != self.second)[self.kept[of_pair]]
        for family in (np.flatnonzero(~of_pair), np.flatnonzero(of_pair)):
            p_corrected[family] = np.minimum(p[family] * len(family) * 2, 1)
            critical[family] = norm.isf(level / max(len(family), 1))
            furthest = self.furthest(among, wrong, family)
            if len(furthest):
                over = len(furthest) - np.searchsorted(furthest, scores[family] - 1e-9)
                p_corrected[family] = np.minimum(p_corrected[family], 2 * (1 + over) / (1 + len(furthest)))
                critical[family] = critical_score(furthest, level)
        return p_corrected, critical

    def furthest(self, among: np.ndarray, wrong: np.ndarray, family: np.ndarray) -> np.ndarray:
        """How far the furthest of some slices goes where the wrong rows are dealt anew, for each deal, the least first.

        Empty where there is nothing to deal, or too much to count.
        """
        n_rows, n_wrong, rows = int(among.sum()), int((among & wrong).sum()), self.count(among)[family]
        if not 0 < n_wrong < n_rows or not len(rows) or n_rows * len(rows) > _MOST_WORK:
            return np.zeros(0)
        n_draws = int(np.clip(_WORK / (n_rows * max(len(rows), 1000)), *_DRAWS))
        dealt = np.random.default_rng(0).permuted(np.tile(wrong[among].astype(np.float32), (n_draws, 1)), axis=1).T
        width, made = max(int(_CELLS / n_rows), 1), np.zeros(n_draws)
        for start in range(0, len(rows), width):
            part = slice(start, start + width)
            hits = np.rint(self._held(self.kept[family[part]], among).T @ dealt)
            made = np.maximum(made, slice_excess(hits, rows[part, None], n_wrong, n_rows).max(axis=0))
        return np.sort(made)

    def _held(self, numbers: np.ndarray, among: np.ndarray) -> np.ndarray:
        """Which of the rows where ``among`` is in which of these slices, float32."""
        n_pairs = len(self.first)
        pairs, nodes = numbers[numbers < n_pairs], numbers[numbers >= n_pairs] - n_pairs
        singles = self.singles[among]
        return np.hstack([singles[:, self.first[pairs]] * singles[:, self.second[pairs]], self.nodes[among][:, nodes]])

    def choose(self, among, wrong, p_corrected: np.ndarray, critical: np.ndarray) -> list[int]:
        """Positions of the slices to report: the surest, then each that stands out among the rows left."""
        lift = self.count(among & wrong) / np.maximum(self.count(among), 1) / max(wrong[among].mean(), 1e-12)
        chosen, left, sure = [], among.copy(), (p_corrected < LEVEL) & (lift >= LEAST_LIFT)
        while sure.any() and len(chosen) < MOST_SLICES:
            scores = self.scores(left, wrong)
            scores[~sure | ((scores <= critical) & (len(chosen) > 0))] = 0.0
            if not scores.any():
                break
            chosen.append(self.simplest(int(scores.argmax()), left, wrong, sure))
            left &= ~self.members(chosen[-1])
        return chosen

    def simplest(self, place: int, among: np.ndarray, wrong: np.ndarray, sure: np.ndarray) -> int:
        """The slice without the conditions that add nothing sure: within a wider slice it isn't wrong more often."""
        path, found = self.path(place), {}
        for part in path:
            wider = self.places.get(path - {part})
            if wider is not None and sure[wider]:
                inside, narrow = among & self.members(wider), among & self.members(place)
                hits, rows = (narrow & wrong).sum(), narrow.sum()
                p = hypergeom.sf(hits - 1, inside.sum(), (inside & wrong).sum(), rows)
                found[wider] = p * self.singles.shape[1]  # so many conditions might have been added
        if not found or max(found.values()) < LEVEL:
            return place
        return self.simplest(max(found, key=found.get), among, wrong, sure)

    def path(self, place: int) -> frozenset:
        """The conditions of a slice, as ``SliceFinder._paths`` has them."""
        return self.paths[self.kept[place]]

    def members(self, place: int) -> np.ndarray:
        """The rows of a slice, bools of shape (n_rows,)."""
        parts = [(self.singles[:, i] > 0) == holds for i, holds in self.path(place)]
        return np.all(parts, axis=0)


def _as_text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").map(str)


def _conditions(fact: str, column: pd.Series) -> list[Condition]:
    """What may be said of one fact: tails and quarters of a number, else each frequent value."""
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        counts = _as_text(column).value_counts()
        values = counts[counts >= FEWEST].index[:_MOST_VALUES]
        return [Condition(fact, "is", value=value) for value in values]
    numbers = column.to_numpy(float)
    known = numbers[np.isfinite(numbers)]
    made = [Condition(fact, "missing")] if len(known) < len(numbers) else []
    if not len(known):
        return made
    tenth, quarter, half, three, nine = np.quantile(known, _QUANTILES)
    made += [Condition(fact, "at most", high=end) for end in dict.fromkeys([tenth, quarter, half])]
    made += [Condition(fact, "above", low=end) for end in dict.fromkeys([half, three, nine])]
    return made + [Condition(fact, "between", *ends) for ends in ((quarter, half), (half, three)) if ends[0] < ends[1]]
