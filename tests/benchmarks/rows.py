"""Flat rows of a benchmark: print them as a table, write them as JSON."""

import os
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fusebook import runs

FIELDS = ["set", "model", "measure", "value", "low", "high", "seconds"]
VERSIONS_OF = ["fusebook", "keras", "jax", "numpy", "scikit-learn", "papermill"]


def row(set_name: str, model: str, measure: str, value: float, low=None, high=None, seconds=None) -> dict:
    """One flat row; ``low`` and ``high`` are the interval or the spread of ``value`` where there is one."""
    return dict(zip(FIELDS, [set_name, model, measure, value, low, high, seconds], strict=True))


def write(name: str, command: str, made: list[dict]) -> Path:
    """Print ``made`` and write it to reports/benchmarks/<name>.json with command and versions in every row."""
    table = Table(*FIELDS, title=f"{name} on {os.cpu_count()} cores")
    for line in made:
        table.add_row(
            *(
                "" if line[f] is None else f"{line[f]:.3f}" if isinstance(line[f], float) else str(line[f])
                for f in FIELDS
            )
        )
    Console(width=140).print(table)
    versions = {package: version(package) for package in VERSIONS_OF}
    path = runs.project_folder() / "reports" / "benchmarks" / f"{name}.json"
    runs.write_json(path, [line | {"command": command, "versions": versions} for line in made])
    print(path)
    return path
