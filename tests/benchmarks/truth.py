"""Does what the pages say hold? Simulations with a known truth; writes reports/benchmarks/truth.json.

Each module of the folder truths has a function ``measured``, which gives flat rows. Without a name all are run: it takes
a while. Names of modules run these alone, such as ``python tests/benchmarks/truth.py intervals``, and write
reports/benchmarks/truth-intervals.json.
"""

import importlib
import sys
from pathlib import Path

import rows

sys.path.append(str(Path(__file__).parents[1]))  # what tests and benchmarks share
FOLDER = Path(__file__).parent / "truths"


def main(names: list[str]) -> None:
    chosen = names or sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
    made = []
    for name in chosen:
        made += importlib.import_module(f"truths.{name}").measured()
        rows.write("-".join(["truth", *names]), f"make bench-truth {' '.join(names)}".strip(), made)


if __name__ == "__main__":
    main(sys.argv[1:])
