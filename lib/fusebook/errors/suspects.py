"""Labels that may be wrong, in one list for a person to edit: what was judged, by whom, and how good the list is.

Validation and test rows are judged by a network that was not trained on them. Training rows are judged out of fold by a
linear model on the n-gram bag (or whatever numbers a row has): fitted k times it takes seconds, where the networks
would take k times their training. Notebook 04_error_analysis tells the story, and ``corrections`` takes the edited list back.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from cleanlab.dataset import find_overlapping_classes
from cleanlab.filter import find_label_issues
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold

from fusebook.data.dataset import Dataset
from fusebook.data.predictions import Predictions
from fusebook.errors.corrections import gain_verdicts, with_edits
from fusebook.errors.faults import detector_scores, planted_labels
from fusebook.errors.mistakes import row_table
from fusebook.evaluation.intervals import group_numbers, share_interval
from fusebook.evaluation.scores import count_text, interval_text
from fusebook.findings import graded


class Suspects:
    """Labels that may be wrong, of all rows; each row is judged by a model that has not seen it.

    Parameters
    ----------
    data : all rows; the training rows are judged ``out_of_fold``
    judged : the answers of one model about validation and test rows
    table, planted : the person's table, and the name of a list beside it that says which labels were planted; "" for none

    Attributes
    ----------
    list : ``suspect_list``
    learnt : the answers of ``out_of_fold``
    scores : ``suspect_scores`` of the planted labels among the rows of ``judged``

    Raises ValueError where a column of such a list is missing.
    """

    def __init__(self, data: Dataset, judged: Predictions, table: str | Path = "", planted: str = ""):
        self.data, self.judged, self.learnt = data, judged, out_of_fold(data)
        self.list = suspect_list(self.learnt, judged)
        self.wrong_labels = planted_labels(table, planted)
        self.scores = suspect_scores(self.list, judged, self.wrong_labels)

    def pairs(self) -> pd.DataFrame:
        """``overlapping_pairs`` of the training rows, to be read."""
        return overlapping_pairs(self.learnt).round(3)

    def with_edits(self, path: str | Path) -> pd.DataFrame:
        """``list`` with what a person has decided in an earlier one at ``path``, see ``corrections.with_edits``."""
        return with_edits(self.list, path)

    def verdicts(self) -> list[tuple]:
        """Key, grade and facts of how many labels of the rows judged are suspect."""
        count, n_rows = int(self.list["row"].isin(self.judged.rows["row"]).sum()), self.judged.n_rows
        facts = {"count": count, "rows": n_rows, "share": count_text(count, n_rows)}
        return [("suspects", graded(count / n_rows, 0.01, 0.1), facts)]

    def planted_verdicts(self) -> list[tuple]:
        """Key, grade and facts of ``scores``, and of what the model scores against the labels of test rows as they were.

        Nothing is said where no wrong label was planted among the rows judged.
        """
        if not self.scores["planted"].sum():
            return []
        line, (model,) = self.scores.iloc[0], self.judged
        facts = {"planted": int(line["planted"]), "recall": count_text(line["hit"], line["planted"])}
        facts["precision"] = count_text(line["hit"], line["found"])
        table = row_table(self.judged, model)[(self.judged.rows["split"] == "test").to_numpy()]
        right = table["predicted"] == table["row"].map(self.wrong_labels).fillna(table["label"])
        share = interval_text(right.mean(), *share_interval(right))
        return [("planted", "note", facts), ("corrected", "note", {"model": model, "share": share})]

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
    if len(np.unique(units)) < 2:
        raise ValueError(f"{len(labels)} training rows in {len(np.unique(units))} groups; expected two at least.")
    folds = _folds(np.asarray(labels), units, random_state)
    made = np.zeros((len(labels), n_classes))
    for fold in np.unique(folds):
        held = folds == fold
        answers = _answers(values[~held], labels[~held], values[held], random_state)
        made[np.ix_(held, np.unique(labels[~held]))] = answers
    return made


def _folds(labels: np.ndarray, units: np.ndarray, random_state: int) -> np.ndarray:
    """The fold of each row: classes in their shares, each group in one fold; its first row's label counts."""
    _, first, unit_of_row = np.unique(units, return_index=True, return_inverse=True)
    heads = labels[first]
    n_folds = min(5, len(heads), max(2, np.bincount(heads).max()))
    if np.bincount(heads).max() < n_folds:  # no class can be spread
        return (np.arange(len(heads)) % n_folds)[unit_of_row]
    made = np.zeros(len(heads), int)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        spread = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
        for number, (_, held) in enumerate(spread.split(heads, heads)):
            made[held] = number
    return made[unit_of_row]


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
    values, labels, found = predictions[model], predictions.labels, np.array([], int)
    if len(np.unique(labels)) > 1:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "May not flag all label issues")
            # One process: by default cleanlab forks, which can lock up where JAX's threads run.
            found = find_label_issues(labels, values, return_indices_ranked_by="self_confidence", n_jobs=1)
    rows, names = predictions.rows["row"].to_numpy(), np.array(predictions.label_names)
    made = {"row": rows[found], "label": names[labels[found]], "suggested": names[values[found].argmax(axis=1)]}
    return pd.DataFrame(made | {"label_probability": values[found, labels[found]]})


def suspect_list(*judged: Predictions) -> pd.DataFrame:
    """One list for a person to work through: row, split, label, suggested, label_probability, action, text.

    Each of ``judged`` has the answers of one model about rows that it has not seen, such as ``out_of_fold`` and those
    of the chosen model about validation and test rows; no row is in two of them. The most suspect stand first. Each action
    is "keep", so that a list that nobody has edited changes nothing.
    """
    found = [label_suspects(predictions, model) for predictions in judged for model in predictions]
    rows = pd.concat([predictions.rows[["row", "split", "text"]] for predictions in judged])
    joined = pd.concat(found, ignore_index=True).sort_values("label_probability", kind="stable")
    joined = joined.merge(rows, on="row", validate="one_to_one").assign(action="keep")
    return joined[["row", "split", "label", "suggested", "label_probability", "action", "text"]]


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
