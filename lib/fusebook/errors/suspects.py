"""Labels that may be wrong among the training rows too: probabilities out of fold, and one list for a person to edit.

The probabilities are those of a linear model on the n-gram bag (or whatever numbers a row has): fitted k times it takes
seconds, where the networks would take k times their training. Notebook 04_error_analysis tells the story, and
``corrections`` takes the edited list back.
"""

import warnings

import numpy as np
import pandas as pd
from cleanlab.dataset import find_overlapping_classes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold

from fusebook.errors.mistakes import label_suspects
from fusebook.evaluation.intervals import group_numbers
from fusebook.models.baselines import LOGISTIC, linear_models


def out_of_fold(
    values, labels: np.ndarray, n_classes: int, *, groups=None, n_folds: int = 5, random_state: int = 42
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
    folds = _folds(np.asarray(labels), units, n_folds, random_state)
    made = np.zeros((len(labels), n_classes))
    for fold in np.unique(folds):
        held = folds == fold
        made[np.ix_(held, np.unique(labels[~held]))] = _answers(
            values[~held], labels[~held], values[held], random_state
        )
    return made


def _folds(labels: np.ndarray, units: np.ndarray, n_folds: int, random_state: int) -> np.ndarray:
    """The fold of each row: classes in their shares, each group in one fold; its first row's label counts."""
    _, first, own = np.unique(units, return_index=True, return_inverse=True)
    heads = labels[first]
    n_folds = min(n_folds, len(heads), max(2, np.bincount(heads).max()))
    if np.bincount(heads).max() < n_folds:  # no class can be spread
        return (np.arange(len(heads)) % n_folds)[own]
    made = np.zeros(len(heads), int)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        spread = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
        for number, (_, held) in enumerate(spread.split(heads, heads)):
            made[held] = number
    return made[own]


def _answers(known, labels: np.ndarray, asked, random_state: int) -> np.ndarray:
    if len(np.unique(labels)) == 1:
        return np.ones((asked.shape[0], 1))
    model = linear_models(random_state)[LOGISTIC]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(known, labels).predict_proba(asked)


def training_suspects(
    probabilities: np.ndarray, labels: np.ndarray, label_names: list[str], rows: pd.Series
) -> pd.DataFrame:
    """``mistakes.label_suspects`` of training rows by ``out_of_fold`` probabilities; a class's only row is not judged."""
    several = np.bincount(labels, minlength=len(label_names))[labels] > 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues")
        return label_suspects(probabilities[several], labels[several], label_names, rows[several])


def overlapping_pairs(
    probabilities: np.ndarray, labels: np.ndarray, label_names: list[str], most: int = 10
) -> pd.DataFrame:
    """Pairs of classes whose rows seem to belong to the other, by cleanlab: label, other, rows, share of all rows.

    ``rows`` is estimated from the joint distribution of given and true labels (confident learning; Northcutt and others,
    2021), in either direction. Pairs without any are left out.
    """
    if len(np.unique(labels)) < 2:
        return pd.DataFrame(columns=["label", "other", "rows", "share"])
    kept = np.unique(labels)  # cleanlab wants a row of each class
    own = probabilities[:, kept] / np.maximum(probabilities[:, kept].sum(axis=1, keepdims=True), 1e-12)
    found = find_overlapping_classes(np.searchsorted(kept, labels), own)
    names = np.array(label_names, dtype=object)[kept]
    made = pd.DataFrame(
        {
            "label": names[found["Class Index A"]],
            "other": names[found["Class Index B"]],
            "rows": found["Num Overlapping Examples"].to_numpy(),
            "share": found["Joint Probability"].to_numpy(),
        }
    )
    return made[made["rows"] > 0].head(most).reset_index(drop=True)


def suspect_list(found: list[pd.DataFrame], rows: pd.DataFrame) -> pd.DataFrame:
    """One list for a person to work through: row, split, label, suggested, label_probability, action, text.

    Parameters
    ----------
    found : tables of ``mistakes.label_suspects``, each row in one of them; most suspect first is the order of the list
    rows : row, split, text

    Each action is "keep", so that a list that nobody has edited changes nothing.
    """
    joined = pd.concat(found, ignore_index=True).sort_values("label_probability", kind="stable")
    joined = joined.merge(rows[["row", "split", "text"]], on="row", validate="one_to_one")
    columns = ["row", "split", "label", "suggested", "label_probability", "action", "text"]
    return joined.assign(action="keep")[columns]
