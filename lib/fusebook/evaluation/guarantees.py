"""Answers that keep a promise: the threshold from which they are right often enough, and sets that hold the label.

Notebook 04_error_analysis tells the story.
"""

import numpy as np
import pandas as pd
from scipy.stats import betabinom, binom

from fusebook.data.predictions import Predictions, mean_interval
from fusebook.evaluation import intervals
from fusebook.evaluation.scores import interval_text
from fusebook.models.calibration import SET_SHARE, fit_label_sets, label_sets, one_of_each
from fusebook.runs import Run

RISK = 0.05  # of a promise that does not hold
_UNLIKELY = 0.01  # chance under which the test speaks against the label sets


class Guarantees:
    """What may be promised of one model's answers: learnt from ``held``, checked on ``test``, which took no part.

    Parameters
    ----------
    held : answers to rows that the model has not learnt from; where the model is not among them, nothing is promised
    test : answers to other rows
    wanted : least share of right answers among the rows that are answered; ValueError where it is not between 0 and 1
    among : of how many models it was chosen by the rows of ``held``; the risk is shared out among them (Bonferroni), as the
        best of several is good by chance too

    Attributes
    ----------
    threshold : confidence from which ``wanted`` is promised, see ``safe_threshold``; None where nothing is
    least : of ``calibration.fit_label_sets``
    table : ``coverage_table`` of ``test``
    units : rows of ``held`` that it rests on, of copies one
    """

    def __init__(self, held: Predictions, test: Predictions, model: str, wanted: float = 0.9, *, among: int = 1):
        if not 0 < wanted < 1:
            raise ValueError(f"The wanted accuracy is {wanted}; expected a share above 0 and below 1, such as 0.9.")
        self.test, self.model, self.wanted, self.risk = test, model, wanted, RISK / among
        self.table, self.units, self.threshold, self.least = coverage_table(test, model), 0, None, None
        if model in held:
            kept = one_of_each(held.groups, held.n_rows)
            self.units, confidence = len(kept), held[model].max(axis=1)
            self.threshold = safe_threshold(confidence[kept], held.right(model)[kept], wanted, self.risk)
            self.least = fit_label_sets(held[model], held.labels, held.groups)

    @classmethod
    def of_run(cls, run: Run, model: str, wanted: float = 0.9) -> "Guarantees":
        """Learnt from the rows of ``run`` that folds answered, or else from the validation rows; raises as ``Run.need``.

        A model of the bundle counts as chosen among all of them.
        """
        scored = Predictions.scored(run)
        held = scored.chosen(scored.folds > 0) if (scored.folds > 0).any() else Predictions.load(run, "validation")
        facts = run.read("bundle/bundle.json")
        names = [*facts["temperatures"], *facts["fusions"]]
        return cls(held, scored.chosen(scored.folds == 0), model, wanted, among=len(names) if model in names else 1)

    def verdicts(self) -> list[tuple[str, str, dict]]:
        """Key, grade and facts: the promise and how the test rows kept it, or that there is none."""
        facts = {"model": self.model, "wanted": f"{100 * self.wanted:.4g}", "units": self.units}
        if self.threshold is None:
            return [("no guarantee", "note", facts | {"needed": fewest_rows(self.wanted, self.risk)})]
        sure, n_rows = self.test[self.model].max(axis=1) >= self.threshold, self.test.n_rows
        facts |= {"threshold": f"{100 * self.threshold:.4g}", "rows": n_rows, "on": self.test.scored_on}
        facts |= {"answered": int(sure.sum()), "coverage": f"{100 * sure.mean():.0f}"}
        if not sure.any():
            return [("guarantee unused", "note", facts)]
        right, groups = self.test.right(self.model)[sure], self.test.groups
        low, high = intervals.share_interval(right, groups if groups is None else groups[sure])
        broken = high < self.wanted
        facts["share"] = interval_text(right.mean(), low, high)
        return [("guarantee broken" if broken else "guarantee", "look" if broken else "note", facts)]

    def set_verdicts(self) -> list[tuple[str, str, dict]]:
        """Key, grade and facts: how often the sets of the test rows hold the label, and how large they are.

        Worth a look where so few hold it that chance in the held-out and the test rows hardly explains it (Vovk, 2012:
        the hits are beta-binomial), one test row a group.
        """
        if self.least is None:
            return [("too few for sets", "note", {"units": self.units, "model": self.model})]
        sets, groups, n_rows = label_sets(self.test[self.model], self.least), self.test.groups, self.test.n_rows
        hits, sizes = sets[np.arange(n_rows), self.test.labels], sets.sum(axis=1)
        kept, place = one_of_each(groups, n_rows), int(np.ceil((self.units + 1) * SET_SHARE - 1e-9))
        chance = betabinom.cdf(hits[kept].sum(), len(kept), place, self.units + 1 - place)
        most = sets.shape[1]
        low, high = mean_interval(sizes, min(2, (1 + most) / 2), least=1, most=most, groups=groups)
        facts = {"model": self.model, "share": interval_text(hits.mean(), *intervals.share_interval(hits, groups))}
        facts |= {"rows": n_rows, "on": self.test.scored_on, "units": self.units, "one": int((sizes == 1).sum())}
        facts["size"] = f"{sizes.mean():.2f} [{low:.2f}, {high:.2f}]"
        return [("sets checked", "look" if chance < _UNLIKELY else "note", facts)]


def fewest_rows(wanted: float, risk: float = RISK) -> int:
    """How many of the surest rows it takes, with one of them wrong, to promise ``wanted``: where the search begins."""
    counts = np.arange(1, int((10 - 2 * np.log(risk)) / (1 - wanted)) + 10)
    return int(counts[binom.sf(counts - 2, counts, wanted) <= risk][0])


def safe_threshold(confidence: np.ndarray, right: np.ndarray, wanted: float, risk: float = RISK) -> float | None:
    """The confidence from which answers are right in a share of at least ``wanted``, but for ``risk``; None if none is.

    Learn then test (Angelopoulos and others, 2021) with exact binomial tests (Clopper and Pearson, 1934) in a fixed
    sequence: from the ``fewest_rows`` surest rows on one row more is answered, for as long as chance alone, with a true
    share below ``wanted``, makes so many right with a chance of at most ``risk``. ``confidence`` and ``right`` of shape (n_rows,)
    are of independent rows (of copies one) that the model has not learnt from.
    """
    order, count = np.argsort(-confidence, kind="stable"), np.arange(1, len(confidence) + 1)
    sure, hits = confidence[order], right[order].cumsum()
    ends = np.append(sure[1:] < sure[:-1], True)[: len(sure)]  # rows of one confidence are answered together
    tested = np.flatnonzero(ends & (count >= fewest_rows(wanted, risk)))
    passed = binom.sf(hits[tested] - 1, count[tested], wanted) <= risk
    n_passed = len(passed) if passed.all() else int(passed.argmin())
    return float(sure[tested[n_passed - 1]]) if n_passed else None


def coverage_table(predictions: Predictions, model: str) -> pd.DataFrame:
    """Accuracy when only the surest rows are answered: coverage (share of rows), accuracy, threshold, low, high.

    ``low`` and ``high`` are the 95 % score interval of the accuracy (Wilson, 1927), the rows of a group (copies) taken for
    as many as they would be worth if they all had one answer.
    """
    confidence = predictions[model].max(axis=1)
    order, count = np.argsort(-confidence, kind="stable"), np.arange(1, len(confidence) + 1)
    accuracy = predictions.right(model)[order].cumsum() / count
    units = pd.Series(intervals.group_numbers(predictions.groups, len(count))[order])
    squares = (2 * units.groupby(units).cumcount() + 1).cumsum()  # the sum of the squared sizes of the groups so far
    low, high = intervals.wilson_interval(accuracy, count**2 / squares)
    made = {"coverage": count / len(confidence), "accuracy": accuracy, "threshold": confidence[order]}
    return pd.DataFrame(made | {"low": low, "high": high})
