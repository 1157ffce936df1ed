"""Where the model is wrong: a line a row, confused pairs, the weakest class, the surest mistakes and rows like them.

Notebook 04_error_analysis tells the story.
"""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from sklearn import metrics

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.predictions import Predictions
from fusebook.errors.extremes import LEVEL, effective_rows, exact_interval, furthest_pair, lowest_class, shared_tail
from fusebook.evaluation.scores import class_table, interval_text, is_better_than_majority
from fusebook.findings import graded, p_text, shortened


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


class Mistakes:
    """What ``model`` got wrong: pairs of labels that it confuses, its classes, and the mistakes that it was surest of.

    Parameters
    ----------
    predictions : of the rows to look at
    model : one of the models that answered

    Attributes
    ----------
    table : ``row_table``
    short : label name to its name in tables and figures, see ``short_names``
    by_class : ``scores.class_table``, made when it is first asked for
    """

    def __init__(self, predictions: Predictions, model: str):
        self.predictions, self.model, self.table = predictions, model, row_table(predictions, model)
        self.short = dict(zip(predictions.label_names, short_names(predictions.label_names), strict=True))

    @cached_property
    def by_class(self) -> pd.DataFrame:
        """Precision, recall and F1 with its interval, by label name."""
        return class_table(self.predictions, self.model)

    def classes(self) -> pd.DataFrame:
        """``by_class`` to be read: short names, three digits."""
        return self.by_class.rename(index=self.short).round(3)

    def confusion(self) -> pd.DataFrame:
        """How many rows of each label (lines) got which answer (columns), in ``confusion_order``, under short names."""
        labels, predicted = self.predictions.labels, self.predictions.predicted(self.model)
        names = pd.Index(list(self.short.values()), name="label")
        counts = metrics.confusion_matrix(labels, predicted, labels=np.arange(len(names)))
        order = confusion_order(counts)
        return pd.DataFrame(counts[np.ix_(order, order)], names[order], names[order].rename("predicted"))

    def pairs(self, most: int = 15) -> pd.DataFrame:
        """The label → predicted pairs that occur most: label, predicted, count, share of the label's rows, rows (3).

        Ties are ordered by share, then by name.
        """
        wrong, sizes = self.table[~self.table["right"]], self.table["label"].value_counts()
        pairs = [
            (label, predicted, len(rows), len(rows) / sizes[label], list(rows[:3]))
            for (label, predicted), rows in wrong.groupby(["label", "predicted"])["row"]
        ]
        pairs.sort(key=lambda pair: (-pair[2], -pair[3], pair[0], pair[1]))
        return pd.DataFrame(pairs[:most], columns=["label", "predicted", "count", "share", "rows"])

    def most_confident(self, most: int = 10) -> pd.DataFrame:
        """The wrong rows of which the model was surest, surest first: lines of ``table``."""
        return confident_mistakes(self.table, most)

    def nearest(self, data: Dataset, most: int = 10) -> dict[int, list[tuple]]:
        """``nearest_training_rows`` of the ``most_confident``."""
        return nearest_training_rows(self.most_confident(most)["row"], data)

    def share_text(self, label: str, count: int) -> str:
        """``count`` rows as a share of those of ``label``, with an interval that holds for all pairs of labels at once."""
        own = self._rows_of(label)
        n_pairs = self.table["label"].nunique() * (len(self.short) - 1)
        return self._text(count / own.sum(), own, n_pairs)

    def _rows_of(self, label: str) -> np.ndarray:
        return (self.table["label"] == label).to_numpy()

    def _text(self, share: float, own: np.ndarray, among: int) -> str:
        groups = self.predictions.groups
        n_rows = own.sum() if groups is None else effective_rows(groups[own])
        return interval_text(share, *exact_interval(share, n_rows, shared_tail(among)))

    def pair_verdicts(self) -> list[tuple]:
        """Key, grade and facts of the pair of labels that is confused more than chance would have it, or that none is.

        Worth a look where ``furthest_pair`` tells it from chance, and where it is a tenth of the label's rows or of the
        mistakes; less is no thing to act on.
        """
        wrong = ~self.table["right"]
        on = {"on": self.predictions.scored_on}
        if not wrong.any():
            return [("no mistake", "note", {"rows": len(wrong)} | on)]
        if len(self.short) == 2:
            return [("mistakes of two labels", "note", self._two_labels() | {"rows": len(wrong)} | on)]
        answers = self.predictions.labels, self.predictions.predicted(self.model), self.predictions.groups
        pair = furthest_pair(*answers, len(self.short))
        if pair is None:
            return [("pairs too few", "note", {"wrong": int(wrong.sum()), "rows": len(wrong)} | on)]
        label, predicted = (self.predictions.label_names[place] for place in pair[:2])
        own = self._rows_of(label)
        count = int((own & (self.table["predicted"] == predicted)).sum())
        facts = {"label": self.short[label], "predicted": self.short[predicted], "count": count, "rows": int(own.sum())}
        facts |= {"own": f"{100 * pair.own:.0f}", "others": f"{100 * pair.others:.0f}"} | on
        facts |= {"share": self.share_text(label, count)}
        if pair.p >= LEVEL:
            return [("no pair", "note", facts | {"least": pair.least, "chance": f"{100 * pair.p:.0f}"})]
        large = max(count / own.sum(), count / wrong.sum()) >= 0.1
        return [("confused", "look" if large and self._learnt else "note", facts | {"p": p_text(pair.p)})]

    def _two_labels(self) -> dict:
        facts = {}
        for place, (label, short) in enumerate(self.short.items()):
            own, names = self._rows_of(label), ("label", "other")
            count = int((own & ~self.table["right"]).sum())
            share = self.share_text(label, count) if own.any() else "–"
            facts |= {names[place]: short, f"count_{names[place]}": count, f"share_{names[place]}": share}
        return facts

    @property
    def _learnt(self) -> bool:
        """Was anything learnt? If not, classes and pairs differ by how often each label is answered, and call for nothing."""
        return is_better_than_majority(self.predictions, self.model)

    def class_verdicts(self) -> list[tuple]:
        """Key, grade and facts of the class whose rows are wrong most surely more often than the others', or that none is.

        None at all where no row is wrong or only one class has rows. What ``lowest_class`` tells from the others is
        worth a look where at most 90 % of its rows are right, and serious where at most half are; a note where the model is
        not shown to be better than the majority.
        """
        right, answers = self.table["right"].to_numpy(), self.predictions
        n_classes = self.table["label"].nunique()
        if right.all() or n_classes < 2:
            return []
        low = lowest_class(answers.labels, right, answers.groups, len(self.short))
        name = answers.label_names[low.place]
        own = self._rows_of(name)
        recall = right[own].mean()
        facts = {"label": self.short[name], "rows": int(own.sum()), "on": answers.scored_on, "classes": n_classes}
        facts |= {"share": self._text(recall, own, n_classes), "others": f"{100 * low.others:.1f}"}
        if low.p < LEVEL:
            grade = graded(1 - recall, 0.1, 0.5) if self._learnt else "note"
            return [("weakest", grade, facts | {"p": p_text(low.p)})]
        facts |= {"chance": f"{100 * low.p:.0f}", "middle": low.rows}
        if np.isnan(low.least):
            return [("classes too small", "note", facts)]
        return [("no weakest", "note", facts | {"least": f"{100 * low.least:.0f}"})]


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

    Neither the row itself, where it is a training row, nor a copy of it is among them.
    The features of each part are brought to length 1 first, so that all parts count alike; n-grams do not count.
    """
    places = pd.Index(data.rows["row"]).get_indexer(list(wanted))
    queries, known = _joined(data[places].features), _joined(data.train.features)
    if queries is None:
        return {row: [] for row in wanted}
    others = data.groups[places][:, None] != data.train.groups
    order, cosines = nearest_rows(queries, known, most, others)
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


def nearest_rows(
    queries: np.ndarray, features: np.ndarray, most: int = 3, among: np.ndarray | None = None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The rows of ``features`` most like each row of ``queries`` by cosine: their positions, and the cosines.

    ``queries`` of shape (n_queries, n_features), ``features`` of shape (n_rows, n_features); ``among``, bools of shape
    (n_queries, n_rows), says which rows each query may get, all by default. Returns two lists of an array a query, of at
    most ``most`` rows, the nearest first; a row of zeros is like nothing, cosine 0.
    """
    cosines = _unit(queries) @ _unit(features).T
    allowed = np.ones(cosines.shape, bool) if among is None else among
    order = [row[some[row]] for row, some in zip(np.argsort(-cosines, axis=1, kind="stable"), allowed, strict=True)]
    order = [row[:most] for row in order]
    return order, [line[row] for line, row in zip(cosines, order, strict=True)]
