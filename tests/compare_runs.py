"""Two run folders side by side: do they hold the same numbers? For a change that should change none.

    python tests/compare_runs.py RUN_A RUN_B

Compares rows, splits, features, predictions, metrics (seconds apart), errors, slices, suspects and findings: bytes first,
then values, told with the largest difference. Exit code 1 where something differs.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

TABLES = ["rows.parquet", "splits.parquet", "predictions.parquet", "errors.parquet", "slices.parquet", "rejected.csv",
          "label_suspects.csv", "predictions.csv"]  # fmt: skip
TIMES = ("seconds", "_ms")  # a metric whose name holds one of these is a time, which no two runs share


def compare_runs(first: Path, second: Path) -> list[str]:
    """What differs between two run folders, one line each; none where nothing does."""
    folders = [folder / "artifacts" for folder in (first, second)]
    lines = [line for name in TABLES for line in _table(*(folder / name for folder in folders))]
    for name in sorted({path.name for folder in folders for path in (folder / "features").glob("*")}):
        lines += _arrays(*(folder / "features" / name for folder in folders))
    lines += _metrics(*(folder / "metrics.json" for folder in folders))
    for name in sorted({path.name for folder in folders for path in (folder / "findings").glob("*.json")}):
        lines += _findings(*(folder / "findings" / name for folder in folders))
    return lines


def _only_one(*paths: Path) -> list[str]:
    """A line where one file is missing."""
    lacking = [path for path in paths if not path.exists()]
    return [f"{path.name}: not in {path}" for path in lacking if len(lacking) < len(paths)]


def _same_bytes(*paths: Path) -> bool:
    return not any(path.exists() for path in paths) or len({path.read_bytes() for path in paths}) == 1


def _table(*paths: Path) -> list[str]:
    if lines := _only_one(*paths):
        return lines
    if _same_bytes(*paths):
        return []
    name = paths[0].name
    one, other = (pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path) for path in paths)
    lines = []
    if apart := sorted(set(one) ^ set(other)):
        lines.append(f"{name}: columns of one alone: {', '.join(apart)}")
    if len(one) != len(other):
        return [*lines, f"{name}: {len(one)} and {len(other)} lines"]
    return lines + [
        line for column in one if column in other for line in _values(f"{name}: {column}", one, other, column)
    ]


def _values(place: str, one, other, column) -> list[str]:
    """A line where two columns, or arrays, differ: in how many values, and by how much at most where they are numbers."""
    first, second = (pd.Series(np.asarray(table[column]).ravel()) for table in (one, other))
    if len(first) != len(second):
        return [f"{place}: {len(first)} and {len(second)} values"]
    numeric = all(pd.api.types.is_numeric_dtype(side) and side.dtype != bool for side in (first, second))
    differ = (first != second) & ~(first.isna() & second.isna())
    if not differ.any():
        return []
    most = f", by {np.nanmax(np.abs(first.astype(float) - second.astype(float))):.3g} at most" if numeric else ""
    return [f"{place}: {int(differ.sum())} of {len(first)} values{most}"]


def _arrays(*paths: Path) -> list[str]:
    """Of .npz: the arrays of the same name; of .npy: the array; of all else the bytes."""
    if lines := _only_one(*paths):
        return lines
    if _same_bytes(*paths):
        return []
    name = f"features/{paths[0].name}"
    if paths[0].suffix not in (".npz", ".npy"):
        return [f"{name}: other bytes"]
    one, other = (np.load(path) for path in paths)
    if paths[0].suffix == ".npy":
        one, other = {"": one}, {"": other}
    lines = [f"{name}: array of one alone: {key}" for key in sorted(set(one) ^ set(other))]
    return lines + [line for key in one if key in other for line in _values(f"{name}: {key}", one, other, key)]


def _metrics(*paths: Path) -> list[str]:
    if lines := _only_one(*paths):
        return lines
    one, other = (_leaves(json.loads(path.read_text("utf-8"))) if path.exists() else {} for path in paths)
    lines = []
    for key in sorted(set(one) | set(other)):
        values = [side.get(key, "nothing") for side in (one, other)]
        if values[0] != values[1] and not any(time in key for time in TIMES):
            numbers = all(isinstance(value, int | float) for value in values)
            apart = f" (by {abs(values[0] - values[1]):.3g})" if numbers else ""
            lines.append(f"metrics.json: {key}: {values[0]} and {values[1]}{apart}")
    return lines


def _leaves(value: object, place: str = "") -> dict[str, object]:
    """All single values of nested JSON by their place; a list of models is told by the models' names."""
    if isinstance(value, dict):
        return {key: leaf for name, part in value.items() for key, leaf in _leaves(part, f"{place}/{name}").items()}
    if isinstance(value, list):
        names = [part.get("model", i) if isinstance(part, dict) else i for i, part in enumerate(value)]
        named = zip(names if len(set(names)) == len(names) else range(len(value)), value, strict=True)
        return {key: leaf for name, part in named for key, leaf in _leaves(part, f"{place}/{name}").items()}
    return {place: value}


def _findings(*paths: Path) -> list[str]:
    """Sentences that stand in one run alone; the order does not count."""
    found = [json.loads(path.read_text("utf-8")) if path.exists() else [] for path in paths]
    texts = [{f"[{one['severity']}] {one['text']} ({one['place']})" for one in side} for side in found]
    return [
        f"findings/{paths[0].name}: only in {which}: {text}"
        for which, alone in (("A", texts[0] - texts[1]), ("B", texts[1] - texts[0]))
        for text in sorted(alone)
    ]


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or not all((Path(folder) / "artifacts").is_dir() for folder in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    lines = compare_runs(*map(Path, arguments))
    print("\n".join(lines) or "No difference.")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
