"""Where the model is wrong: a line a row, confused pairs, the weakest class, the surest mistakes and rows like them.

Notebook 04_error_analysis tells the story.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from sklearn import metrics

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.predictions import Predictions
from fusebook.evaluation.scores import count_text, interval_text, number_text
from fusebook.findings import graded, shortened


def row_table(predictions: Predictions, model: str) -> pd.DataFrame:
    """One line a row: row, predicted, confidence, and, where the rows have labels, label, right, loss."""
    names, values = np.array(predictions.label_names), predictions[model]
    table = pd.DataFrame({"row": predictions.rows["row"], "predicted": names[predictions.predicted(model)]})
    table["confidence"] = values.max(axis=1)
    if "class_id" in predictions.rows:
        labels = predictions.labels
        table["label"], table["right"] = names[labels], predictions.right(model)
        table["loss"] = -np.log(np.clip(values[np.arange(len(labels)), labels], 1e-12, 1))
    return table


def confused_pairs(table: pd.DataFrame, most: int = 15) -> pd.DataFrame:
    """The label → predicted pairs that occur most: label, predicted, count, share of the label's rows, rows (3 of them).

    ``table`` has row, label and predicted; ties are ordered by share, then by name.
    """
    wrong = table[table["label"] != table["predicted"]]
    sizes = table["label"].value_counts()
    pairs = [
        (label, predicted, len(rows), len(rows) / sizes[label], list(rows[:3]))
        for (label, predicted), rows in wrong.groupby(["label", "predicted"])["row"]
    ]
    pairs.sort(key=lambda pair: (-pair[2], -pair[3], pair[0], pair[1]))
    return pd.DataFrame(pairs[:most], columns=["label", "predicted", "count", "share", "rows"])


def pair_verdicts(pairs: pd.DataFrame, classes: pd.DataFrame) -> list[tuple]:
    """Key, grade and facts of the most confused pair of ``confused_pairs``, or that no row is wrong.

    ``classes`` is ``evaluation.class_table`` of the same rows.
    """
    if not len(pairs):
        return [("no mistake", "note", {})]
    first, short = pairs.iloc[0], _shown(classes)
    facts = {"label": short[first["label"]], "predicted": short[first["predicted"]], "count": int(first["count"])}
    return [("confused", "look", facts | {"share": count_text(first["count"], classes.loc[first["label"], "rows"])})]


def class_verdicts(classes: pd.DataFrame) -> list[tuple]:
    """Key, grade and facts of the class with the lowest F1 in ``evaluation.class_table``, of those that have rows."""
    tested = classes[classes["rows"] > 0]
    name, line = tested["f1"].idxmin(), tested.loc[tested["f1"].idxmin()]
    facts = {"label": _shown(classes)[name], "rows": int(line["rows"])}
    facts["share"] = interval_text(*line[["f1", "f1_low", "f1_high"]])
    return [("weakest", graded(1 - line["f1"], 0.1, 0.5), facts)]


def calibration_verdicts(scores: pd.DataFrame, model: str) -> list[tuple]:
    """Key, grade and facts of the calibration error of ``model`` in ``evaluation.score_table``."""
    values = scores.loc[model, ["ece", "ece_low", "ece_high"]]
    return [("calibration", graded(values["ece"], 0.05, 0.1), {"error": number_text(*values)})]


def _shown(classes: pd.DataFrame) -> dict[str, str]:
    return dict(zip(classes.index, short_names(classes.index), strict=True))


def confusion_matrix(predictions: Predictions, model: str) -> pd.DataFrame:
    """How many rows of each label (lines) got which answer (columns), in ``confusion_order``, under short names."""
    names = pd.Index(short_names(predictions.label_names), name="label")
    counts = metrics.confusion_matrix(predictions.labels, predictions.predicted(model), labels=np.arange(len(names)))
    order = confusion_order(counts)
    return pd.DataFrame(counts[np.ix_(order, order)], names[order], names[order].rename("predicted"))


def confusion_order(confusion: np.ndarray) -> np.ndarray:
    """An order of the classes in which those that are confused stand together, shape (n_classes,).

    The leaves of a hierarchical clustering (average linkage; leaves ordered after Bar-Joseph and others, 2001) whose
    distance is 1 minus the mean share that two classes lend each other. ``confusion`` has rows true.
    """
    n_classes = len(confusion)
    if n_classes < 3:
        return np.arange(n_classes)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    distances = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distances, 0)
    return leaves_list(linkage(squareform(distances, checks=False), "average", optimal_ordering=True))


def short_names(label_names: Iterable[str], most: int = 40) -> list[str]:
    """Label names for tables and figures: cut to ``most`` characters, still all different; line breaks are blanks."""
    made: list[str] = []
    for name in label_names:
        short = shortened(name, most)
        if short in made:
            end = f"… ({len(made) + 1})"
            short = shortened(name, most - len(end) + 1).removesuffix("…") + end
        made.append(short)
    return made


def confident_mistakes(table: pd.DataFrame, most: int = 10) -> pd.DataFrame:
    """The wrong rows of which the model was surest, surest first."""
    return table[~table["right"]].sort_values("confidence", ascending=False, kind="stable").head(most)


def nearest_training_rows(wanted: Iterable[int], data: Dataset, most: int = 3) -> dict[int, list[tuple]]:
    """The training rows most like each row whose number is ``wanted``: row to a list of (row, label, text, cosine).

    The features of each part are brought to length 1 first, so that all parts count alike; n-grams do not count.
    """
    places = pd.Index(data.rows["row"]).get_indexer(list(wanted))
    queries, known = _joined(data[places].features), _joined(data.train.features)
    if queries is None:
        return {row: [] for row in wanted}
    order, cosines = nearest_rows(queries, known, most)
    lines = data.train.rows[["row", "label", "text"]]
    return {
        row: [(*line, cosine) for line, cosine in zip(lines.iloc[near].itertuples(index=False), found, strict=True)]
        for row, near, found in zip(wanted, order, cosines, strict=True)
    }


def _joined(features: Features) -> np.ndarray | None:
    """The dense blocks side by side, each row of each of length 1; None where there is none."""
    dense = [_unit(values) for block, values in features.blocks.items() if "_" not in block]
    return np.hstack(dense) if dense else None


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)


def nearest_rows(queries: np.ndarray, features: np.ndarray, most: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """The rows of ``features`` most like each row of ``queries`` by cosine: their positions, and the cosines.

    ``queries`` of shape (n_queries, n_features), ``features`` of shape (n_rows, n_features). Returns two arrays of
    shape (n_queries, at most ``most``), the nearest first; a row of zeros is like nothing, cosine 0.
    """
    cosines = _unit(queries) @ _unit(features).T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :most]
    return order, np.take_along_axis(cosines, order, axis=1)
