"""Where the model is wrong: mistakes, confused pairs, label suspects, and which modality saved or hurt a row.

Notebook 04_error_analysis tells the story.
"""

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform


def row_table(probabilities: np.ndarray, label_names: list[str], labels: np.ndarray | None = None) -> pd.DataFrame:
    """One line a row: predicted, confidence, and, where ``labels`` (class numbers) are given, label, right, loss."""
    names = np.array(label_names)
    best = probabilities.argmax(axis=1)
    table = pd.DataFrame({"predicted": names[best], "confidence": probabilities.max(axis=1)})
    if labels is not None:
        table["label"] = names[labels]
        table["right"] = best == labels
        table["loss"] = -np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, 1))
    return table


def confused_pairs(table: pd.DataFrame, most: int = 15) -> pd.DataFrame:
    """The label → predicted pairs that occur most: label, predicted, count, share of the label's rows, rows (3 examples).

    ``table`` has row, label and predicted; ties are ordered by share, then by name.
    """
    wrong = table[table["label"] != table["predicted"]]
    sizes = table["label"].value_counts()
    pairs = [
        {
            "label": label,
            "predicted": predicted,
            "count": len(rows),
            "share": len(rows) / sizes[label],
            "rows": list(rows[:3]),
        }
        for (label, predicted), rows in wrong.groupby(["label", "predicted"])["row"]
    ]
    pairs.sort(key=lambda pair: (-pair["count"], -pair["share"], pair["label"], pair["predicted"]))
    return pd.DataFrame(pairs[:most], columns=["label", "predicted", "count", "share", "rows"])


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


def short_names(label_names: list[str], most: int = 40) -> list[str]:
    """Label names for tables and figures: cut to ``most`` characters, still all different; line breaks become blanks."""
    made: list[str] = []
    for name in map(" ".join, map(str.split, label_names)):
        short = name if len(name) <= most else name[: most - 1] + "…"
        if short in made:
            end = f"… ({len(made) + 1})"
            short = name[: most - len(end)] + end
        made.append(short)
    return made


def nearest_rows(queries: np.ndarray, features: np.ndarray, most: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """The rows of ``features`` most like each row of ``queries`` by cosine: their positions, and the cosines.

    ``queries`` of shape (n_queries, n_features), ``features`` of shape (n_rows, n_features). Returns two arrays of
    shape (n_queries, at most ``most``), the nearest first; a row of zeros is like nothing, cosine 0.
    """
    first, second = (
        values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12) for values in (queries, features)
    )
    cosines = first @ second.T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :most]
    return order, np.take_along_axis(cosines, order, axis=1)


def confident_mistakes(table: pd.DataFrame, most: int = 10) -> pd.DataFrame:
    """The wrong rows of which the model was surest, surest first."""
    return table[~table["right"]].sort_values("confidence", ascending=False, kind="stable").head(most)


def label_suspects(
    probabilities: np.ndarray, labels: np.ndarray, label_names: list[str], rows: pd.Series
) -> pd.DataFrame:
    """Rows whose given label is probably wrong, most suspect first (confident learning; Northcutt and others, 2021).

    ``probabilities`` must come from a model that has not seen the rows. Returns row, label, suggested, and
    label_probability: what the model gives to the label as it stands. Rows of one class alone have no suspects.
    """
    found = np.array([], int)
    if len(np.unique(labels)) > 1:
        # One process: by default cleanlab forks, which can lock up where JAX's threads run.
        found = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    names = np.array(label_names)
    return pd.DataFrame(
        {
            "row": rows.to_numpy()[found],
            "label": names[labels[found]],
            "suggested": names[probabilities[found].argmax(axis=1)],
            "label_probability": probabilities[found, labels[found]],
        }
    )


def rescue_ledger(right: dict[str, np.ndarray], fused: np.ndarray) -> pd.DataFrame:
    """Which modality alone was right and what fusion made of it.

    ``right``: modality to bools of shape (n_rows,); ``fused``: bools of the fusion on the same rows. Returns one line
    a combination, the most frequent first: one bool column a modality, then counts: fusion_right, rows, fusion_wrong,
    rescued (some modality was wrong, fusion right), harmed (some was right, fusion wrong).
    """
    table = pd.DataFrame({**right, "fused": fused})
    names = list(right)
    counted = table.groupby(names)["fused"].agg(fusion_right="sum", rows="size").reset_index()
    counted["fusion_wrong"] = counted["rows"] - counted["fusion_right"]
    some = counted[names].any(axis=1)
    every = counted[names].all(axis=1)
    counted["rescued"] = np.where(every, 0, counted["fusion_right"])
    counted["harmed"] = np.where(some, counted["fusion_wrong"], 0)
    return counted.sort_values("rows", ascending=False).reset_index(drop=True)
