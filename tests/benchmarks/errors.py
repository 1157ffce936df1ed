"""How honest are the intervals, and how long does notebook 04 take? Writes reports/benchmarks/errors.json.

Intervals: on 500 simulated test sets of 200 rows with a known true accuracy, how many hold it; beside the plain
percentile bootstrap, which is too narrow near 100 %, and groups of 10 rows each, beside an interval that ignores them.
Time: notebook 04 on 10,000 test rows of THUCNews titles, where the data lies beside the project
(FUSEBOOK_DATA names another folder).
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import rows

from fusebook.evaluation import intervals
from fusebook.report import pages, runner

N_SETS, N_ROWS = 500, 200
SETTINGS = [(accuracy, False) for accuracy in (0.7, 0.9, 0.97, 0.99)] + [(0.8, True)]
DATA = Path(os.environ.get("FUSEBOOK_DATA", Path(__file__).parents[3] / "shared" / "data"))


def draw(accuracy: float, grouped: bool, random) -> tuple[np.ndarray, np.ndarray | None]:
    """Which of the rows are right, and their groups: of 10 rows each, every group with an accuracy of its own."""
    if not grouped:
        return random.random(N_ROWS) < accuracy, None
    of_group = random.beta(4, 1, N_ROWS // 10)  # mean 0.8
    return random.random(N_ROWS) < np.repeat(of_group, 10), np.repeat(np.arange(N_ROWS // 10), 10)


def coverage() -> list[dict]:
    """The share of simulated test sets whose interval holds the true accuracy, by method."""
    made = []
    for accuracy, grouped in SETTINGS:
        random, held = np.random.default_rng(7), {"ours": 0, "percentile bootstrap": 0}
        for _ in range(N_SETS):
            right, groups = draw(accuracy, grouped, random)
            plain = random.binomial(N_ROWS, right.mean(), 1000) / N_ROWS
            ends = {
                "ours": intervals.share_interval(right, groups),
                "percentile bootstrap": np.percentile(plain, [2.5, 97.5]),
            }
            for name, (low, high) in ends.items():
                held[name] += low <= accuracy <= high
        name = f"accuracy {accuracy}" + (", groups of 10" if grouped else "")
        for method, count in held.items():
            ends = intervals.wilson_interval(count / N_SETS, N_SETS)
            made.append(rows.row(name, method, "coverage", count / N_SETS, *map(float, ends)))
    return made


def read_titles(folder: Path) -> pd.DataFrame:
    """The 20,000 development and test titles of THUCNews with their class names."""
    names = (folder / "class.txt").read_text(encoding="utf-8").split()
    lines = [
        line.rsplit("\t", 1)
        for part in ("dev", "test")
        for line in (folder / f"{part}.txt").read_text(encoding="utf-8").splitlines()
    ]
    return pd.DataFrame([(title, names[int(number)]) for title, number in lines], columns=["title", "topic"])


def notebook_time() -> list[dict]:
    """Seconds, memory and page size of notebook 04 on 10,000 test rows."""
    if not (DATA / "thucnews-titles").is_dir():
        print(f"No THUCNews titles at {DATA}: the time of notebook 04 is left out. FUSEBOOK_DATA names the folder.")
        return []
    with TemporaryDirectory() as folder:
        table, run = Path(folder) / "titles.csv", Path(folder) / "run"
        read_titles(DATA / "thucnews-titles").to_csv(table, index=False)
        columns = {"text": "title", "label": "topic", "image": "", "audio": ""}
        values = {"table": str(table), "new_table": "", "test_share": "0.5", **columns}
        steps = runner.run_notebooks(run, values, export=pages.export_page)
        step = steps["04_error_analysis"]
        kilobytes = (run / "04_error_analysis.html").stat().st_size / 1000
    measured = {"seconds": sum(step.seconds.values()), "peak memory, MB": step.peak_memory_mb, "page, kB": kilobytes}
    return [rows.row("THUCNews titles", "notebook 04", name, float(value)) for name, value in measured.items()]


if __name__ == "__main__":
    made = coverage() + notebook_time()
    rows.write("errors", "python " + " ".join(sys.argv), made)
