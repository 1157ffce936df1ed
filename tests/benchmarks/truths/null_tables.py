"""What do the pages find where there is nothing to be found? The sample's texts with shuffled labels, from 01 to 04.

That nothing was learnt, and that near copies carry two labels, is what is to be said; whatever else is
called serious or worth a look is a false grade.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from cells import run_cells
from rows import row

from fusebook import runs
from fusebook.evaluation.intervals import wilson_interval
from fusebook.findings import PLACES, Findings, topic_of
from fusebook.runs import Run

N_TABLES = 20
NOTHING_LEARNT = {"scores", "score", "copies"}  # topics whose severe finding is the truth: near copies got two labels


def measured() -> list[dict]:
    """One row a topic with false grades, and how many tables had any."""
    made, topics, tables = [], {}, 0
    for seed in range(N_TABLES):
        found = false_grades(seed)
        tables += bool(found)
        for topic, text in found:
            print(seed, topic, text)
            topics[topic] = topics.get(topic, 0) + 1
    low, high = map(float, wilson_interval(tables / N_TABLES, N_TABLES))
    made.append(
        row("shuffled labels", "notebooks 01 to 04", "false grades, share of tables", tables / N_TABLES, low, high)
    )
    made += [row("shuffled labels", topic, "false grades", float(count)) for topic, count in sorted(topics.items())]
    return made


def false_grades(seed: int) -> list[tuple[str, str]]:
    """Topic and text of what is serious or worth a look in one table, but for what says that nothing was learnt."""
    with tempfile.TemporaryDirectory() as folder:
        table = pd.read_csv(runs.project_folder() / "data" / "sample" / "news.csv").dropna(subset=["text", "label"])
        table = table.drop_duplicates("text")[["text", "label"]]
        table["label"] = np.random.default_rng(seed).permutation(table["label"].str.strip())
        path, run = Path(folder) / "table.csv", Run(Path(folder) / "run")
        table.to_csv(path, index=False)
        given = {"table": str(path), "text": "text", "label": "label", "image": "", "audio": ""}
        for notebook in ("01_explore", "02_preprocess", "03_train", "04_error_analysis"):
            run_cells(notebook, run=str(run.folder), **(given if notebook == "01_explore" else {}))
        notebooks = {notebook for notebook, _ in PLACES.values()}
        found = [(name, one) for name in sorted(notebooks) for one in Findings.load(run, name)]
    severe = [(topic_of(name, one), one.text) for name, one in found if one.severity in ("serious", "look")]
    return [(topic, text) for topic, text in severe if topic not in NOTHING_LEARNT]
