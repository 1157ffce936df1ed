"""Where does the model fail? Slices of the test rows, described by facts, that are wrong more often than the rest.

Notebook 04_error_analysis tells the story.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import hypergeom
from sklearn.tree import DecisionTreeClassifier
from statsmodels.stats.multitest import multipletests

from fusebook.data.dataset import Dataset
from fusebook.data.predictions import Predictions
from fusebook.evaluation.intervals import wilson_interval
from fusebook.evaluation.scores import interval_text
from fusebook.findings import fact_name, p_text, word

FEWEST, MOST_SLICES = 10, 8  # rows of a slice, slices reported
LEAST_LIFT = 1.2  # of a slice that is reported: less is of no use, however sure
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_MOST_VALUES = 20  # of a fact that is no number: the most frequent ones
_COLUMNS = ["slice", "rows", "wrong", "error", "low", "high", "lift", "p", "p_holm", "path", "members"]


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
    """Slices of the test rows that a model gets wrong more often than the rest: ``SliceFinder`` asked.

    Parameters
    ----------
    facts : ``facts_table`` of all rows that no model was trained on
    judged : what ``model`` answered about test rows, and perhaps about validation rows; where it did not, the
        validation rows of ``data`` say where to cut the facts, and there is no tree

    Attributes
    ----------
    found, looked_at : what ``SliceFinder.find`` returns
    rows : the numbers of the test rows

    Raises as ``SliceFinder.find`` does.
    """

    def __init__(self, facts: pd.DataFrame, judged: Predictions, model: str, data: Dataset):
        known, tested = (judged.chosen((judged.rows["split"] == name).to_numpy()) for name in ("validation", "test"))
        earlier = ~known.right(model) if known.n_rows else None
        finder = SliceFinder().fit(facts.loc[(known.rows if known.n_rows else data.validation.rows)["row"]], earlier)
        self.rows = tested.rows["row"].to_numpy()
        self.found, self.looked_at = finder.find(facts.loc[self.rows], ~tested.right(model), tested.groups)

    @property
    def table(self) -> pd.DataFrame:
        """The slices to be read: rows, error with its interval, lift and corrected p, by the slice in words."""
        return self.found.set_index("slice")[["rows", "error", "low", "high", "lift", "p_holm"]].round(4)

    def members(self) -> pd.DataFrame:
        """Which row is in which slice: row and slice (in words), one line for each row of each slice."""
        lines = [(row, line.slice) for line in self.found.itertuples() for row in self.rows[line.members]]
        return pd.DataFrame(lines, columns=["row", "slice"]).astype({"row": int, "slice": str})

    def verdicts(self, language: str = "en") -> list[tuple]:
        """Key, grade and facts of each slice, or one that says there is none.

        It is serious where the error is at least twice that of all rows even at the low end of its interval, else worth
        a look.
        """
        if self.found.empty:
            return [("no slice", "note", {"looked_at": self.looked_at})]
        return [_verdict(line, self.looked_at, language) for line in self.found.to_dict("records")]


def _verdict(line: dict, looked_at: int, language: str) -> tuple:
    grade = "serious" if line["low"] * line["lift"] >= 2 * line["error"] else "look"
    facts = {"slice": path_text(line["path"], language), "rows": line["rows"], "looked_at": looked_at}
    facts |= {"lift": f"{line['lift']:.1f}", "p": p_text(line["p_holm"])}
    return "slice", grade, facts | {"error": interval_text(line["error"], line["low"], line["high"])}


class SliceFinder:
    """Finds the slices of the test rows that are wrong more often than the rest, or none.

    What is looked at: each condition, each pair of conditions on two facts, and the nodes of a shallow tree. Numbers
    are cut at quantiles of the rows that ``fit`` is given, and the tree is learnt from them: they must be other rows
    than those that ``find`` tests, such as the validation rows. Then all that is looked at is known before the first
    test row is judged, and Holm's correction over it keeps the chance of any false slice below 5 %.

    Parameters
    ----------
    depth : conditions that a node of the tree has at most; 0 for no tree

    Attributes
    ----------
    conditions_ : list of ``Condition``
    tree_ : DecisionTreeClassifier over the conditions, or None
    """

    def __init__(self, depth: int = 3):
        self.depth = depth

    def fit(self, facts: pd.DataFrame, wrong: np.ndarray | None = None) -> "SliceFinder":
        """Learn where to cut the facts and, where it is known which rows are ``wrong``, the tree.

        ``facts`` has one line a row and one column a fact: numbers are cut at quantiles, all else is taken as text.
        ``wrong`` are bools of shape (n_rows,).
        """
        self.conditions_ = [condition for fact in facts for condition in _conditions(fact, facts[fact])]
        self.tree_ = None
        if wrong is not None and 0 < np.sum(wrong) < len(facts) and self.conditions_ and self.depth:
            tree = DecisionTreeClassifier(max_depth=self.depth, min_samples_leaf=FEWEST, random_state=0)
            self.tree_ = tree.fit(self._singles(facts), wrong)
        return self

    def find(self, facts: pd.DataFrame, wrong: np.ndarray, groups=None) -> tuple[pd.DataFrame, int]:
        """Test every slice on these rows, which ``fit`` has not seen.

        p is that of Fisher's exact test, one-sided: so many wrong rows or more in the slice, were the wrong rows spread
        by chance. A slice is reported where p, corrected over all slices looked at (Holm, 1979), is below 0.05, where
        its error is at least 1.2 times that of all rows, and where it also stands out among the rows that the slices
        before it leave. A condition that adds nothing sure to a slice is left out. Of rows that are copies of each
        other (``groups``, one a row) only the first counts for p.

        Returns
        -------
        slices : a DataFrame of at most ``MOST_SLICES`` lines, the surest first, none where no slice stands out: slice (in
            words), rows, wrong, error (share wrong) with its 95 % interval low and high (Wilson, 1927), lift (error
            over that of all rows), p, p_holm, path, and members (bools of shape (n_rows,)). As a slice is found and measured on the
            same rows, its error is a little too high.
        looked_at : how many slices were tested

        Raises ValueError where there is no row, or not one answer a line of facts.
        """
        wrong = np.asarray(wrong, bool)
        if len(facts) != len(wrong) or not len(wrong):
            raise ValueError(
                f"{len(facts)} lines of facts for {len(wrong)} answers; expected one line a row, and at least one row."
            )
        counted = np.ones(len(wrong), bool) if groups is None else ~pd.Series(groups).duplicated().to_numpy()
        candidates = _Candidates(self._singles(facts), self._nodes(facts), self._paths(), counted)
        p = candidates.p_values(counted, wrong)
        p_holm = multipletests(p, method="holm")[1] if len(p) else p
        chosen = candidates.choose(counted, wrong, p, p_holm)
        lines = [self._line(candidates, place, wrong, p[place], p_holm[place]) for place in chosen]
        return pd.DataFrame(lines, columns=_COLUMNS), len(p)

    def _line(self, candidates: "_Candidates", place: int, wrong: np.ndarray, p: float, p_holm: float) -> dict:
        members = candidates.members(place)
        n_rows, n_wrong = int(members.sum()), int(wrong[members].sum())
        low, high = wilson_interval(n_wrong / n_rows, n_rows)
        path = tuple((self.conditions_[i], holds) for i, holds in sorted(candidates.path(place)))
        error = n_wrong / n_rows
        made = [path_text(path), n_rows, n_wrong, error, float(low), float(high), error / wrong.mean(), p, p_holm]
        return dict(zip(_COLUMNS, [*made, path, members], strict=True))

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

    def choose(self, among, wrong, p: np.ndarray, p_holm: np.ndarray) -> list[int]:
        """Positions of the slices to report: the surest, then each that stands out among the rows left."""
        lift = self.count(among & wrong) / np.maximum(self.count(among), 1) / max(wrong[among].mean(), 1e-12)
        chosen, left, sure = [], among.copy(), (p_holm < 0.05) & (lift >= LEAST_LIFT)
        while sure.any() and len(chosen) < MOST_SLICES:
            now = p if not chosen else self.p_values(left, wrong, sure)
            now = np.where(sure, now, 1.0)
            best = int(now.argmin())
            if now[best] * len(p) >= 0.05:
                break
            chosen.append(self.simplest(best, left, wrong, sure))
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
        if not found or max(found.values()) < 0.05:
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
