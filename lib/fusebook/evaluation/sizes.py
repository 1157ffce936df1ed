"""Would more training rows help? Models trained on growing shares of them, judged on the same test rows.

Notebook 04_error_analysis tells the story.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.svm import LinearSVC

from fusebook.data.features import take
from fusebook.evaluation.comparison import compare
from fusebook.evaluation.intervals import share_interval
from fusebook.findings import Finding, finding, p_text
from fusebook.models.network import build_mlp, model_inputs, predict
from fusebook.models.training import fit_mlp, settings

N_SIZES = 5


def nested_order(labels: np.ndarray, random_state: int = 42) -> np.ndarray:
    """An order of rows of which every beginning holds the classes in their shares: positions of shape (n_rows,).

    One row of each class comes first, so that no beginning of that length or more lacks a class.
    """
    random = np.random.default_rng(random_state)
    shuffled = random.permutation(len(labels))
    table = pd.DataFrame({"label": np.asarray(labels)[shuffled]})
    place = table.groupby("label").cumcount().to_numpy()
    size = table.groupby("label")["label"].transform("size").to_numpy()
    return shuffled[np.lexsort(((place + 0.5) / size, place > 0))]


def training_sizes(n_rows: int, n_classes: int, n_sizes: int = N_SIZES) -> list[int]:
    """``n_sizes`` numbers of rows, each twice the one before, the last all rows; without those below 2 rows a class."""
    sizes = [n_rows // 2**i for i in reversed(range(n_sizes))]
    return [size for size in sizes if size >= 2 * n_classes]


def linear_answers(rows: np.ndarray, values, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Class numbers that a linear support vector machine trained on ``rows`` gives to the rows ``test``."""
    if len(np.unique(labels[rows])) == 1:
        return np.full(len(test), labels[rows][0])
    return LinearSVC(C=0.5, random_state=0).fit(values[rows], labels[rows]).predict(values[test])


def mlp_answers(
    rows: np.ndarray, features: dict, present: dict, labels: np.ndarray, splits: dict[str, np.ndarray]
) -> np.ndarray:
    """Class numbers that an MLP trained on ``rows`` gives to the rows ``splits["test"]``.

    With several modalities it is the feature-level MLP. ``splits`` also has "validation": the rows that stop training.
    """
    inputs = model_inputs(features, present)
    sizes = {name: values.shape[1] for name, values in features.items()}
    # No other rows are read: the highest number is enough.
    numbers = features.get("text_ngrams", np.array([-1]))
    n_classes = int(labels.max()) + 1
    build, fit = settings(len(rows), features, n_classes=n_classes, n_ngrams=int(numbers.max()) + 1)
    network = build_mlp(sizes, n_classes, **build)
    watched = take(inputs, splits["validation"]), labels[splits["validation"]]
    fit_mlp(network, take(inputs, rows), labels[rows], validation=watched, **fit)
    return predict(network, take(inputs, splits["test"])).argmax(axis=1)


def majority_answers(rows: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The most frequent class among ``rows`` for every row of ``test``."""
    return np.full(len(test), np.bincount(labels[rows]).argmax())


def size_curve(
    models: dict[str, Callable[[np.ndarray], np.ndarray]],
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    groups=None,
) -> pd.DataFrame:
    """Accuracy on the test rows by number of training rows: model, rows, accuracy, low, high, right.

    Parameters
    ----------
    models : name to a function from training row positions to class numbers for the rows ``test``
    train, test : positions of the training and of the test rows
    labels : class numbers of all rows
    groups : a group a test row, where some belong together

    Each smaller training set is part of the next. ``right`` has the bools of the test rows.
    """
    order = train[nested_order(labels[train])]
    lines = []
    for size in training_sizes(len(train), len(np.unique(labels[train]))):
        for name, answers in models.items():
            right = answers(order[:size]) == labels[test]
            low, high = share_interval(right, groups)
            line = {"model": name, "rows": size, "accuracy": right.mean(), "low": low, "high": high}
            lines.append(line | {"right": right})
    return pd.DataFrame(lines, columns=["model", "rows", "accuracy", "low", "high", "right"])


def verdict(curve: pd.DataFrame, model: str, place: str, language: str = "en") -> Finding:
    """Would more rows help ``model``? From the last doubling of its training rows in ``size_curve``.

    They would where the gain is significant (McNemar's test, p < 0.05); they would not where the interval of the gain
    ends below one point; otherwise it can't be told.
    """
    lines = curve[curve["model"] == model].sort_values("rows").to_dict("records")
    if len(lines) < 2:
        return finding("note", place, "too few rows", language)
    made = compare(lines[-2]["right"], lines[-1]["right"])
    if made["p"] < 0.05 and made["difference"] > 0:
        severity, key = "look", "more rows help"
    else:
        severity, key = "note", "more rows no help" if made["high"] < 0.01 else "more rows unsure"
    points = {name: f"{100 * made[name]:+.1f}" for name in ("difference", "low", "high")}
    rows = {"fewer": lines[-2]["rows"], "more": lines[-1]["rows"]}
    return finding(severity, place, key, language, model=model, p=p_text(made["p"]), **rows, **points)
