"""Labels that may be wrong, in one list for a person to edit: what was judged, by whom, and how good the list is.

The chosen model judges the rows that are scored: of a small table all of them, each answered by a fold that never saw its
group; of a large one the test rows, and the validation rows, which taught its networks no weight but stopped their
training and set their temperatures. Training rows of a large table are judged out of fold by a linear model on the n-gram
bag (or whatever numbers a row has): fitted k times it takes seconds, where the networks would take k times their training.
How many suspects there would be by chance is drawn from the model's own probabilities. Notebook 04_error_analysis tells
the story, and ``corrections`` takes the edited list back.
"""

import warnings
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from cleanlab.dataset import find_overlapping_classes
from cleanlab.filter import find_label_issues
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning

from fusebook.data.dataset import Dataset
from fusebook.data.predictions import Predictions
from fusebook.data.splits import fold_numbers
from fusebook.errors.corrections import N_AUDITED, audit_verdicts, gain_verdicts, with_edits
from fusebook.errors.faults import detector_scores, planted_labels
from fusebook.errors.mistakes import row_table
from fusebook.evaluation.intervals import group_numbers, share_interval
from fusebook.evaluation.scores import count_text, interval_text
from fusebook.findings import graded

POWERS = np.exp(np.linspace(-3, 1.6, 47))  # to which a model's probabilities are raised: 1 where it is calibrated
SHARES = np.array([0, *np.geomspace(0.002, 0.3, 15)])  # of wrong labels; above, they can't be told from a bad model
_LEAST = 1e-12  # a probability below this has no logarithm to speak of


class Suspects:
    """Labels that may be wrong, of all rows; each row is judged by a model that was not trained on it.

    Parameters
    ----------
    data : all rows; training rows that ``judged`` lacks are judged ``out_of_fold``
    judged : the answers of one model: cross-fitted about all rows, or about validation and test rows
    table, planted : the person's table, and the name of a list beside it that says which labels were planted; "" for none

    Attributes
    ----------
    list : ``suspect_list``
    learnt : the answers about training rows, those of ``judged`` where it has them, else of ``out_of_fold``
    scores : ``suspect_scores`` of the planted labels among the rows of ``judged``

    Raises ValueError where a column of such a list is missing.
    """

    def __init__(self, data: Dataset, judged: Predictions, table: str | Path = "", planted: str = ""):
        self.data, self.judged = data, judged
        (self.model,) = judged
        held = judged.rows["row"].isin(data.train.rows["row"]).to_numpy()
        self.learnt = judged.chosen(held) if held.sum() == len(data.train) else out_of_fold(data)
        unheld = ~self.learnt.rows["row"].isin(judged.rows["row"]).to_numpy()
        self.list = suspect_list(self.learnt.chosen(unheld), judged)
        self.wrong_labels = planted_labels(table, planted)
        self.scores = suspect_scores(self.list, judged, self.wrong_labels)

    @cached_property
    def excess(self) -> dict:
        """``suspect_excess`` of the model's answers: how many labels are suspect, by chance, and wrong."""
        return suspect_excess(self.judged, self.model)

    def pairs(self) -> pd.DataFrame:
        """``overlapping_pairs`` of the training rows, to be read."""
        return overlapping_pairs(self.learnt).round(3)

    def with_edits(self, path: str | Path) -> pd.DataFrame:
        """``list`` with what a person has decided in an earlier one at ``path``, see ``corrections.with_edits``."""
        return with_edits(self.list, path)

    def verdicts(self) -> list[tuple]:
        """Key, grade and facts of how many labels are suspect, how many would be by chance, and how many are wrong.

        What is graded is the number of wrong labels, where there are more suspects than chance gives.
        """
        made, rows = self.excess, self.judged.n_rows
        facts = {"count": made["count"], "rows": rows, "model": self.model, "lines": len(self.list)}
        facts |= {name: round(made[name]) for name in ("expected", "low", "high")}
        if made["detectable"] > SHARES[-1] * rows:
            return [("suspects untold", "note", facts)]
        if made["count"] > made["high"]:
            facts |= {name: round(made[name]) for name in ("wrong", "wrong_low", "wrong_high")}
            return [("suspects", graded(made["wrong"] / rows, 0.01, 0.05), facts)]
        return [("suspects by chance", "note", facts | {"detectable": int(np.ceil(made["detectable"]))})]

    def audit_verdicts(self, *paths: str | Path) -> list[tuple]:
        """Key, grade and facts of how many suspects are wrong by a person's own count, see ``corrections.audit_verdicts``.

        ``paths`` are lists that may have been edited; the first that has an answer counts.
        """
        wrong = self.excess["wrong"] / max(self.excess["count"], 1)
        return audit_verdicts(len(self.list), min(wrong, 1), paths)

    def planted_verdicts(self) -> list[tuple]:
        """Key, grade and facts of ``scores``, and of what the model scores against the labels of rows as they were.

        Nothing is said where no wrong label was planted among the rows judged.
        """
        if not self.scores["planted"].sum():
            return []
        line, judged = self.scores.iloc[0], self.judged
        facts = {"planted": int(line["planted"]), "recall": count_text(line["hit"], line["planted"])}
        facts["precision"] = count_text(line["hit"], line["found"])
        scored = judged.chosen((judged.folds > 0) | (judged.rows["split"] == "test").to_numpy())
        table = row_table(scored, self.model)
        right = table["predicted"] == table["row"].map(self.wrong_labels).fillna(table["label"])
        share = interval_text(right.mean(), *share_interval(right, scored.groups))
        corrected = {"model": self.model, "share": share, "rows": scored.n_rows, "on": scored.scored_on}
        return [("planted", "note", facts), ("corrected", "note", corrected)]

    def gain_verdicts(self, language: str = "en") -> list[tuple]:
        """Key, grade and facts of what earlier corrections brought, see ``corrections.correction_gain``; none without."""
        return gain_verdicts(self.data, language)


def out_of_fold(data: Dataset, *, random_state: int = 42) -> Predictions:
    """What a logistic regression fitted on the other folds says of each training row (``fold_probabilities``).

    Copies of each other are in one fold. A class's only row is left out: no other fold could know its class.
    """
    train = data.train
    options = {"groups": train.groups, "random_state": random_state}
    values = fold_probabilities(train.features.linear, train.labels, data.n_classes, **options)
    made = Predictions({"out of fold": values}, train.rows, data.label_names)
    return made.chosen(np.bincount(train.labels, minlength=data.n_classes)[train.labels] > 1)


def fold_probabilities(
    values, labels: np.ndarray, n_classes: int, *, groups=None, random_state: int = 42
) -> np.ndarray:
    """Probabilities of each row from a logistic regression fitted on the other folds, shape (n_rows, n_classes).

    Parameters
    ----------
    values : the training rows' numbers, dense or sparse, shape (n_rows, n_features). What made them may have learnt
        from all training rows, as the n-gram bag does; only the model is fitted anew for each fold
    labels : class numbers of shape (n_rows,)
    groups : a group a row, such as copies of one text: a group is in one fold as a whole

    A class that no other fold has gets probability 0. Raises ValueError for fewer than two rows (or groups).
    """
    units = group_numbers(groups, len(labels))
    folds = fold_numbers(labels, units, random_state=random_state)
    made = np.zeros((len(labels), n_classes))
    for fold in np.unique(folds):
        held = folds == fold
        answers = _answers(values[~held], labels[~held], values[held], random_state)
        made[np.ix_(held, np.unique(labels[~held]))] = answers
    return made


def _answers(known, labels: np.ndarray, held, random_state: int) -> np.ndarray:
    from fusebook.models.baselines import LOGISTIC, linear_models  # brings Keras, which nobody else here needs

    if len(np.unique(labels)) == 1:
        return np.ones((held.shape[0], 1))
    model = linear_models(random_state)[LOGISTIC]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(known, labels).predict_proba(held)


def label_suspects(predictions: Predictions, model: str) -> pd.DataFrame:
    """Rows whose given label is probably wrong, most suspect first (confident learning; Northcutt and others, 2021).

    ``model`` must not have seen the rows. Returns row, label, suggested, and label_probability: what the model gives to
    the label as it stands. Rows of one class alone have no suspects.
    """
    values, labels = predictions[model], predictions.labels
    found = _found(labels, values, return_indices_ranked_by="self_confidence")
    rows, names = predictions.rows["row"].to_numpy(), np.array(predictions.label_names)
    made = {"row": rows[found], "label": names[labels[found]], "suggested": names[values[found].argmax(axis=1)]}
    return pd.DataFrame(made | {"label_probability": values[found, labels[found]]})


def _found(labels: np.ndarray, values: np.ndarray, **options) -> np.ndarray:
    """What cleanlab finds: bools of shape (n_rows,), or positions where ``options`` say how they are ranked."""
    if len(np.unique(labels)) < 2:
        return np.array([], int) if options else np.zeros(len(labels), bool)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues")
        # One process: by default cleanlab forks, which can lock up where JAX's threads run.
        return find_label_issues(labels, values, n_jobs=1, **options)


def suspect_excess(predictions: Predictions, model: str, *, n_draws: int = 0, random_state: int = 42) -> dict:
    """How many labels are suspect, how many would be if none were wrong, and how many are wrong.

    Labels are drawn from the model's own probabilities ``n_draws`` times (by default 40 to 200, fewer for many rows), one
    draw a group where copies are answered alike, and the suspects of each draw are found in the same way. How sure the
    model should be is estimated: each draw raises the probabilities to a power that the labels allow (``_powers``).
    Then so many labels of each draw as seem to be wrong are changed at random, which tells how many suspects one wrong
    label brings, and how far that scatters.

    Returns count (suspects), expected, low, high (of them without a wrong label: mean and 95 % range), wrong, wrong_low,
    wrong_high (wrong labels: estimate and 95 % interval, from 0 where count is not above high), and detectable (so many
    wrong labels bring more suspects than chance in four of five draws). A row that the model is sure of and wrong about
    counts as a wrong label: nothing but a person can tell the two apart.
    """
    values, labels, units = (
        predictions[model],
        predictions.labels,
        group_numbers(predictions.groups, predictions.n_rows),
    )
    random, n_rows = np.random.default_rng(random_state), len(labels)
    n_draws = n_draws or int(np.clip(200_000 // max(n_rows, 1), 40, 200))
    logs, count = np.log(np.maximum(values, _LEAST)), int(_found(labels, values).sum())
    powers = random.choice(POWERS, n_draws, p=_powers(logs, labels, units))
    drawn = [_drawn(log_softmax(power * logs, axis=1), units, random) for power in powers]
    clean = np.array([_found(draw, values).sum() for draw in drawn])
    more = max(count - clean.mean(), 0.05 * n_rows)
    changed = [_changed(draw, units, more / max(n_rows, 1), values.shape[1], random) for draw in drawn]
    n_changed = np.array([(one != draw).sum() for one, draw in zip(changed, drawn, strict=True)])
    spoilt = np.array([_found(draw, values).sum() for draw in changed])
    return {"count": count} | _excess(count, n_rows, clean, spoilt, n_changed)


def _excess(count: int, n_rows: int, clean: np.ndarray, spoilt: np.ndarray, n_changed: np.ndarray) -> dict:
    """Wrong labels from the suspects of draws without any and of draws with ``n_changed``, read off a straight line."""
    slope = max((spoilt.mean() - clean.mean()) / max(n_changed.mean(), 1), 0.1)
    low, high = (float(np.percentile(clean, at, method=way)) for at, way in ((2.5, "lower"), (97.5, "higher")))
    wrong = float(np.clip((count - clean.mean()) / slope, 0, n_rows))
    ends = np.clip(np.percentile(n_changed + (count - spoilt) / slope, [2.5, 97.5]), 0, n_rows)
    ends = (min(max(ends[0], 1), wrong) if count > high else 0.0, max(ends[1], wrong))
    made = {"expected": float(clean.mean()), "low": low, "high": high, "wrong": wrong}
    made |= {"wrong_low": float(ends[0]), "wrong_high": float(ends[1])}
    # Wrong labels make it less known how sure the model should be: the range is wider than without them.
    return made | {"detectable": float((1 + 1.5 * (high - clean.mean()) + 1.28 * spoilt.std()) / slope)}


def _powers(logs: np.ndarray, labels: np.ndarray, units: np.ndarray) -> np.ndarray:
    """How likely each of ``POWERS`` is, given the labels; copies count as one row.

    A share of the labels, one of ``SHARES``, may be wrong, any class as likely as another: else wrong labels, on which
    temperatures were fitted too, would make the model look unsure. A priori the power is near 1, and the share small.
    """
    weights, own = 1 / np.bincount(units)[units], np.arange(len(labels))
    likely = np.stack([np.exp(log_softmax(power * logs, axis=1)[own, labels]) for power in POWERS])
    fits = [
        (np.log((1 - share) * likely + share / logs.shape[1]) * weights).sum(axis=1) - 10 * share for share in SHARES
    ]
    made = np.array(fits) - np.log(POWERS) ** 2 / 2
    made = np.exp(made - made.max()).sum(axis=0)
    return made / made.sum()


def _drawn(logs: np.ndarray, units: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A class number a row, drawn from its probabilities; the rows of a unit share one random number."""
    points = random.random(units.max(initial=0) + 1)[units]
    return np.minimum((np.exp(logs).cumsum(axis=1) < points[:, None]).sum(axis=1), logs.shape[1] - 1)


def _changed(labels: np.ndarray, units: np.ndarray, share: float, n_classes: int, random: np.random.Generator):
    """``labels`` with another class for that ``share`` of the units, one at least."""
    n_units = units.max(initial=0) + 1
    steps = np.zeros(n_units, int)
    places = random.permutation(n_units)[: max(round(share * n_units), 1)]
    steps[places] = random.integers(1, max(n_classes, 2), len(places))
    return (labels + steps[units]) % n_classes


def suspect_list(*judged: Predictions) -> pd.DataFrame:
    """One list for a person to work through: row, split, label, suggested, label_probability, audit, action, text.

    Each of ``judged`` has the answers of one model about rows that it was not trained on; no row is in two of them. The
    most suspect stand first. ``audit`` numbers a random sample of ``corrections.N_AUDITED`` lines (fewer where there are
    no more), the others are "". Each action is "": nobody has decided yet.
    """
    found = [label_suspects(predictions, model) for predictions in judged for model in predictions]
    rows = pd.concat([predictions.rows[["row", "split", "text"]] for predictions in judged])
    joined = pd.concat(found, ignore_index=True).sort_values("label_probability", kind="stable")
    joined = joined.merge(rows, on="row", validate="one_to_one").assign(audit="", action="")
    sample = np.random.default_rng(42).permutation(len(joined))[:N_AUDITED]
    joined.loc[sample, "audit"] = [str(number) for number in range(1, len(sample) + 1)]
    return joined[["row", "split", "label", "suggested", "label_probability", "audit", "action", "text"]]


def suspect_scores(suspects: pd.DataFrame, judged: Predictions, wrong_labels: dict[int, str]) -> pd.DataFrame:
    """How many of the ``wrong_labels`` planted in the rows ``judged`` are suspects, as ``detector_scores`` says.

    One line; none where no wrong label is known.
    """
    rows = set(judged.rows["row"])
    scores = detector_scores(set(suspects["row"]) & rows, set(wrong_labels) & rows)
    lines = [scores] if wrong_labels else []
    return pd.DataFrame(lines, ["label suspects"] * len(lines), list(scores))


def overlapping_pairs(predictions: Predictions) -> pd.DataFrame:
    """The ten pairs of classes whose rows seem to belong to the other, by cleanlab: label, other, rows, share of all rows.

    ``predictions`` has the answers of one model about rows that it has not seen, such as ``out_of_fold``. ``rows`` is
    estimated from the joint distribution of given and true labels (confident learning; Northcutt and others, 2021), in
    either direction. Pairs without any are left out.
    """
    (probabilities,), labels = predictions.values(), predictions.labels
    kept = np.unique(labels)  # cleanlab wants a row of each class
    if len(kept) < 2:
        return pd.DataFrame(columns=["label", "other", "rows", "share"])
    shares = probabilities[:, kept] / np.maximum(probabilities[:, kept].sum(axis=1, keepdims=True), 1e-12)
    found = find_overlapping_classes(np.searchsorted(kept, labels), shares)
    names = np.array(predictions.label_names, dtype=object)[kept]
    made = pd.DataFrame({"label": names[found["Class Index A"]], "other": names[found["Class Index B"]]})
    made["rows"], made["share"] = found["Num Overlapping Examples"].to_numpy(), found["Joint Probability"].to_numpy()
    return made[made["rows"] > 0].head(10).reset_index(drop=True)
