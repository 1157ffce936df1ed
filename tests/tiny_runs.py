"""Small run folders for the tests of the comparison, written with pandas alone: tables, splits and predictions by hand."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd


def make_table(n_rows: int = 60, labels=("money", "sport", "技术"), seed: int = 0) -> pd.DataFrame:
    """Rows with a text each of its own, no files, and a split: every third row is a test row, every fifth validation."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"row": np.arange(1, n_rows + 1)})
    table["text"] = [f"text number {row} of {seed}" for row in table["row"]]
    table["image"] = table["audio"] = ""
    table["label"] = [labels[i] for i in rng.integers(len(labels), size=n_rows)]
    table.loc[: len(labels) - 1, "label"] = list(labels)
    table["split"] = np.where(table["row"] % 3 == 0, "test", np.where(table["row"] % 5 == 0, "validation", "train"))
    table["group"] = table["row"]
    return table


def answers_of(table: pd.DataFrame, *, wrong=(), confidence: float = 0.8, seed: int = 0) -> pd.DataFrame:
    """Probabilities by row and label: right everywhere but in the rows ``wrong``, there one label too far."""
    names = sorted(table["label"].unique())
    rng = np.random.default_rng(seed)
    sure = np.clip(confidence + rng.uniform(-0.1, 0.1, len(table)), 0.51, 0.999)
    places = table["label"].map(names.index).to_numpy()
    places = np.where(table["row"].isin(wrong), (places + 1) % len(names), places)
    values = np.tile(((1 - sure) / (len(names) - 1))[:, None], len(names))
    values[np.arange(len(table)), places] = sure
    return pd.DataFrame(values, index=table["row"].to_numpy(), columns=names)


def write_run(
    folder: Path, table: pd.DataFrame, models: dict[str, pd.DataFrame], *, columns=None, sha256="", record=None
) -> Path:
    """A run folder with what ``fusebook compare`` reads; ``models`` as ``answers_of`` returns them, the first is chosen."""
    artifacts = folder / "artifacts"
    artifacts.mkdir(parents=True)
    names = sorted(table["label"].unique())
    columns = columns or {"text": "title", "label": "topic", "image": "", "audio": ""}
    content = table[["text", "image", "audio", "label"]].to_csv()
    facts = {"table": "/somewhere/table.csv", "columns": columns, "rows": len(table)}
    facts["sha256"] = sha256 or hashlib.sha256(content.encode()).hexdigest()
    (artifacts / "table.json").write_text(json.dumps(facts), encoding="utf-8")
    table[["row", "text", "image", "audio", "label", "group"]].to_parquet(artifacts / "rows.parquet")
    class_id = table["label"].map(names.index)
    splits = table[["row", "split", "label", "group"]].assign(label_before=table["label"], class_id=class_id)
    splits.to_parquet(artifacts / "splits.parquet")
    asked = splits[splits["split"].isin(["validation", "test"])][["row", "split", "label", "class_id"]]
    parts = [
        asked.assign(
            model=model, fold=0, **{f"p{i}": values.loc[asked["row"], name].to_numpy() for i, name in enumerate(names)}
        )
        for model, values in models.items()
    ]
    pd.concat(parts, ignore_index=True).to_parquet(artifacts / "predictions.parquet")
    (artifacts / "metrics.json").write_text(json.dumps({"chosen": next(iter(models))}), encoding="utf-8")
    if record is not None:
        (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def majority_of(table: pd.DataFrame) -> pd.DataFrame:
    """The shares of the training labels for every row, as 03_train's baseline answers."""
    shares = table.loc[table["split"] == "train", "label"].value_counts(normalize=True)
    names = sorted(table["label"].unique())
    return pd.DataFrame([shares.reindex(names).fillna(0)] * len(table), index=table["row"].to_numpy())
