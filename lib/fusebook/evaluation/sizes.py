"""Would more training rows help? Models trained on growing shares of them, judged on the same test rows.

Notebook 04_error_analysis tells the story.
"""

import numpy as np
import pandas as pd
from sklearn.svm import LinearSVC

from fusebook.data.dataset import Dataset
from fusebook.evaluation.comparison import LEVEL, compare, seed_spread
from fusebook.evaluation.intervals import share_interval
from fusebook.findings import p_text, points_of

HELPFUL = 0.01  # a gain that doubling the rows must bring to be worth their while


def nested_order(labels: np.ndarray) -> np.ndarray:
    """An order of rows of which every beginning holds the classes in their shares: positions of shape (n_rows,).

    One row of each class comes first, so that no beginning of that length or more lacks a class.
    """
    shuffled = np.random.default_rng(42).permutation(len(labels))
    table = pd.DataFrame({"label": np.asarray(labels)[shuffled]})
    place = table.groupby("label").cumcount().to_numpy()
    size = table.groupby("label")["label"].transform("size").to_numpy()
    return shuffled[np.lexsort(((place + 0.5) / size, place > 0))]


def training_sizes(n_rows: int, n_classes: int) -> list[int]:
    """Five numbers of rows, each twice the one before, the last all rows; without those below 2 rows a class."""
    return [size for i in (4, 3, 2, 1, 0) if (size := n_rows // 2**i) >= 2 * n_classes]


def linear_answers(train_values, train_labels: np.ndarray, values) -> np.ndarray:
    """The class numbers that a linear support vector machine gives to ``values``, rows like those that it learns from.

    Where the training rows have one class, that is the answer.
    """
    if len(np.unique(train_labels)) == 1:
        return np.full(values.shape[0], train_labels[0])
    return LinearSVC(C=0.5, random_state=0).fit(train_values, train_labels).predict(values)


class SizeCurve:
    """Accuracy on the test rows by number of training rows.

    The models are an MLP over all parts, a linear support vector machine, and the most frequent class. Each smaller
    training set is part of the next.

    Parameters
    ----------
    data : rows of all splits
    seeds : how often the MLP of the last two sizes is trained, each time with other first weights

    Attributes
    ----------
    table : model, rows, accuracy, low, high, right (the bools of the test rows); no line where training rows are few.
        An MLP's line is that of the first training
    """

    def __init__(self, data: Dataset, seeds: int = 3):
        labels, test, lines = data.train.labels, data.test, []
        self._groups = test.groups
        order = nested_order(labels)
        sizes = training_sizes(len(labels), len(np.unique(labels)))
        for size in sizes:
            for model, predicted in _answers(data, order[:size]).items():
                right = predicted == test.labels
                lines.append([model, size, right.mean(), *share_interval(right, test.groups), right])
        self.table = pd.DataFrame(lines, columns=["model", "rows", "accuracy", "low", "high", "right"])
        # What other trainings gained from the last doubling, by model: shape (n_rows,) each.
        self._other_gains: dict[str, list[np.ndarray]] = {"MLP": []}
        for seed in range(1, seeds) if len(sizes) > 1 else ():
            made = [_network_answers(_part(data, order[:size]), test, seed) == test.labels for size in sizes[-2:]]
            self._other_gains["MLP"].append(made[1].astype(int) - made[0])

    def verdict(self, model: str) -> tuple[str, str, dict]:
        """Would more rows help ``model``? Key, grade and facts, from the last doubling of its rows.

        They would where the gain is significant (``comparison.compare``, with what other trainings add). They would not
        where the interval of the gain ends below one point and such a gain could have been found, or the loss is
        significant; otherwise it can't be told.
        """
        lines = self.table[self.table["model"] == model].sort_values("rows").to_dict("records")
        if len(lines) < 2:
            return "too few rows", "note", {}
        before, after = lines[-2]["right"], lines[-1]["right"]
        gains = [after.astype(int) - before, *self._other_gains.get(model, [])]
        made = compare(before, after, self._groups, spread=seed_spread(gains, self._groups))
        sure = made["p"] < LEVEL
        if sure and made["difference"] > 0:
            key, grade = "more rows help", "look"
        else:
            none = made["high"] < HELPFUL and (sure or made["detectable"] <= HELPFUL)
            key, grade = "more rows no help" if none else "more rows unsure", "note"
        rows = {"fewer": lines[-2]["rows"], "more": lines[-1]["rows"], "rows": len(after)}
        facts = {"model": model, "p": p_text(made["p"]), "detectable": f"{100 * made['detectable']:.1f}"}
        return key, grade, facts | rows | points_of(made)


def _part(data: Dataset, chosen: np.ndarray) -> Dataset:
    """The training rows at the positions ``chosen``, and all validation rows."""
    split = data.rows["split"].to_numpy()
    places = [np.flatnonzero(split == "train")[chosen], np.flatnonzero(split == "validation")]
    return data[np.concatenate(places)]


def _network_answers(part: Dataset, test: Dataset, seed: int = 0) -> np.ndarray:
    from fusebook.models.network import Network  # brings Keras, which nobody else in this module needs

    return Network(random_state=42 + seed).fit(part).predict_raw(test).argmax(axis=1)


def _answers(data: Dataset, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Class numbers that each model gives the test rows, trained on the training rows at the positions ``chosen``."""
    part, test = _part(data, chosen), data.test
    train = part.train
    return {
        "MLP": _network_answers(part, test),
        "linear SVM": linear_answers(train.features.linear, train.labels, test.features.linear),
        "majority": np.full(len(test), np.bincount(train.labels).argmax()),
    }
