"""Where the model is wrong: mistakes, confused pairs, label suspects, and which modality saved or hurt a row.

Notebook 04_error_analysis tells the story.
"""

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues


def row_table(
    probabilities: np.ndarray, label_names: list[str], labels: np.ndarray | None = None
) -> pd.DataFrame:
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


def detector_scores(found: set, planted: set) -> dict:
    """Precision and recall of a detector against the rows where a fault was planted; NaN where undefined."""
    hit = len(found & planted)
    return {
        "planted": len(planted), "found": len(found), "hit": hit,
        "precision": hit / len(found) if found else np.nan, "recall": hit / len(planted) if planted else np.nan,
    }  # fmt: skip
