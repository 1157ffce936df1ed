"""Where the time of `fusebook report` goes on the sample, notebook by notebook, and how large the pages are.

Run by `make bench-report`: executes every notebook of a fresh run folder, prints a table, writes
reports/benchmarks/report.json.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rows

from fusebook import runs

COMMAND = "make bench-report"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "fusebook.cli", "report", "--run", str(run)]
        start = time.monotonic()
        subprocess.run(command, check=True)
        wall = time.monotonic() - start
        start = time.monotonic()
        subprocess.run(command, check=True)
        again = time.monotonic() - start
        steps = runs.read_json(run / "run.json")["steps"]
        sizes = {page.stem: page.stat().st_size / 1e6 for page in run.glob("*.html")}
    own = sum(step["seconds"]["imports"] + step["seconds"]["work"] for step in steps.values())
    made = [
        rows.row("sample", name, f"{part}, s", seconds)
        for name, step in steps.items()
        for part, seconds in step["seconds"].items()
    ]
    made += [rows.row("sample", name, "page, MB", size) for name, size in sizes.items()]
    made += [rows.row("sample", name, "peak memory, MB", step["peak_memory_mb"]) for name, step in steps.items()]
    made += [
        rows.row("sample", "all", "wall, s", wall),
        rows.row("sample", "all", "wall / notebooks' own work", wall / own),
        rows.row("sample", "all", "second run, nothing changed, s", again),
    ]
    rows.write("report", COMMAND, made)


if __name__ == "__main__":
    main()
