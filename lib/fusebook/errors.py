"""Where the model is wrong: mistakes, confused pairs, label suspects, and which modality saved or hurt a row.

Notebook 04_error_analysis tells the story.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from fusebook.evaluate import count_text

# Kinds of faults that the checks of a table can see, with the reason codes of those that are refused.
_REASONS = {
    "empty_text": ["TEXT_EMPTY"],
    "broken_image": ["IMAGE_BROKEN"],
    "broken_audio": ["AUDIO_BROKEN", "AUDIO_EMPTY", "AUDIO_NOT_FINITE"],
    "missing_file": ["FILE_MISSING"],
}
DUPLICATES = ("exact_duplicate", "near_duplicate")
FAULTS = (*_REASONS, "mojibake", "odd_label", *DUPLICATES)


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
        values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        for values in (queries, features)
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


def detector_scores(found: set, planted: set) -> dict:
    """Precision and recall of a detector against the rows where a fault was planted; NaN where undefined."""
    hit = len(found & planted)
    return {
        "planted": len(planted), "found": len(found), "hit": hit,
        "precision": hit / len(found) if found else np.nan, "recall": hit / len(planted) if planted else np.nan,
    }  # fmt: skip


def planted_rows(planted: pd.DataFrame, content: pd.DataFrame, kind: str) -> dict[int, str]:
    """Row number (as in rows.parquet) to detail of each fault of ``kind`` in a list of known faults.

    ``planted`` has the columns id, kind, detail; ``content`` is the table itself, as ``read_table`` returns it, with
    its column id. Of a list that names an id which is not in the table, and so is another table's, nothing is taken.

    Raises ValueError where either lacks a column.
    """
    numbers = _listed_rows(planted, content)
    of_kind = planted[(planted["kind"] == kind) & planted["id"].isin(numbers)]
    return {numbers[line.id]: line.detail for line in of_kind.itertuples()}


def _listed_rows(planted: pd.DataFrame, content: pd.DataFrame) -> dict[str, int]:
    """Id to row number of the whole table; empty where the list names an id that is not in it."""
    for name, table, wanted in (
        ("list of faults", planted, ["id", "kind", "detail"]),
        ("table", content, ["id"]),
    ):
        if missing := set(wanted) - set(table):
            raise ValueError(
                f"The {name} has no column {', '.join(sorted(missing))}; expected {', '.join(wanted)}. "
                'Set planted="" to go on without it.'
            )
    numbers = dict(zip(content["id"], content.index, strict=True))
    named = [*planted["id"], *planted.loc[planted["kind"].isin(DUPLICATES), "detail"]]
    return numbers if set(named) <= set(numbers) else {}


def planted_faults(planted: pd.DataFrame, content: pd.DataFrame) -> dict[str, set]:
    """The known faults that the checks of a table should report, by kind, in the form of ``reported_faults``.

    The detail of a duplicate is the id of its original. Takes and raises what ``planted_rows`` does; returns an empty
    dict for another table's list.
    """
    if not (numbers := _listed_rows(planted, content)):
        return {}
    known = {kind: planted_rows(planted, content, kind) for kind in FAULTS}
    return {kind: _pairs(rows, numbers) if kind in DUPLICATES else set(rows) for kind, rows in known.items()}


def _pairs(copies: dict[int, str], numbers: dict[str, int]) -> set[tuple[int, int]]:
    """All pairs of rows that say the same: each copy with its original, and copies of one original with each other."""
    families: dict[str, set[int]] = {original: {numbers[original]} for original in copies.values()}
    for row, original in copies.items():
        families[original].add(row)
    return {pair for family in families.values() for pair in combinations(sorted(family), 2)}


def reported_faults(rows: pd.DataFrame, rejected: pd.DataFrame) -> dict[str, set]:
    """What the checks of a table report, by kind of fault: row numbers; for duplicates pairs (earlier row, later row).

    ``rows`` and ``rejected`` are as ``checks.check_rows`` returns them, with ``splits.find_duplicates`` of the texts as column group.
    """
    made = {
        kind: set(rejected.loc[rejected["reason"].isin(reasons), "row"]) for kind, reasons in _REASONS.items()
    }
    made["mojibake"] = set(rows.loc[rows["text_repaired"], "row"])
    made["odd_label"] = set(rows.loc[rows["label"] != rows["label_given"], "row"])
    copies = rows.loc[rows["group"].duplicated(keep=False), ["group", "row", "text"]]
    pairs = copies.merge(copies, on="group", suffixes=("", "_later")).query("row < row_later")
    same = pairs["text"] == pairs["text_later"]
    for kind, chosen in zip(DUPLICATES, (pairs[same], pairs[~same]), strict=True):
        made[kind] = set(zip(chosen["row"], chosen["row_later"], strict=True))
    return made


def fault_scores(reported: dict[str, set], planted: dict[str, set]) -> pd.DataFrame:
    """How many known faults were found, one line a kind of ``planted``: planted, found, hit, precision, recall.

    Precision and recall are text, a share with its score interval (Wilson, 1927); a dash where they are undefined.
    """
    made = pd.DataFrame({kind: detector_scores(reported[kind], planted[kind]) for kind in planted}).T
    counts = made.reindex(columns=["planted", "found", "hit"]).astype(int)
    return counts.assign(
        precision=list(map(count_text, counts["hit"], counts["found"])),
        recall=list(map(count_text, counts["hit"], counts["planted"])),
    )
