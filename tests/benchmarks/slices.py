"""Are planted slices found, and none where there is none? How long does it take? Writes reports/benchmarks/slices.json.

Each draw has 15 facts of 2,000 test rows and 1,000 validation rows. Planted are 30 % errors among about 8 % of the rows,
8 % elsewhere: in one value of a fact, in a pair of values, in the upper end of a number. A draw counts where the
first slice found names the planted facts and no other, and shares at least half of the rows that it or the planted slice
has (a number is cut at fixed quantiles, so that 8 % are found as about 10). Without a planted slice, the
draws are counted in which any slice is reported; a tree learnt on the test rows themselves stands beside, as what to avoid.
"""

import gc
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import rows
from threadpoolctl import threadpool_limits

from fusebook.errors.slices import SliceFinder
from fusebook.evaluation import intervals

N_DRAWS, N_TEST, N_VALIDATION = 100, 2_000, 1_000
ERROR, ELSEWHERE = 0.3, 0.08


def draw_facts(n_rows: int, random: np.random.Generator) -> pd.DataFrame:
    """15 facts, some of them dependent: eight numbers (one with gaps), four bools, three with names."""
    facts = {f"number {i}": random.lognormal(size=n_rows) for i in range(6)}
    facts["number 6"] = facts["number 0"] * random.lognormal(0, 0.3, n_rows)
    facts["with gaps"] = np.where(random.random(n_rows) < 0.4, np.nan, random.normal(size=n_rows))
    facts |= {f"yes or no {i}": random.random(n_rows) < share for i, share in enumerate((0.5, 0.4, 0.3, 0.05))}
    facts["source"] = random.choice(list("abcdef"), n_rows, p=[0.4, 0.2, 0.15, 0.1, 0.08, 0.07])
    facts["colour"] = random.choice(["red", "green", "blue"], n_rows)
    facts["digits"] = random.poisson(1, n_rows)
    return pd.DataFrame(facts)


# The facts that tell the planted slice, and its rows.
PLANTED: dict[str, tuple[set[str], Callable[[pd.DataFrame], np.ndarray]]] = {
    "one value": ({"source"}, lambda facts: facts["source"] == "e"),
    "pair of values": ({"source", "yes or no 1"}, lambda facts: (facts["source"] == "b") & facts["yes or no 1"]),
    # 8 % of a lognormal
    "upper end of a number": ({"number 3"}, lambda facts: facts["number 3"] > np.exp(1.405)),
    "pair with a number": (
        {"number 3", "colour"}, lambda facts: (facts["number 3"] > np.exp(0.674)) & (facts["colour"] == "blue")
    ),
    "none": (set(), lambda facts: np.zeros(len(facts), bool)),
}  # fmt: skip


def draw(name: str, random: np.random.Generator):
    """Facts and wrong rows of validation and test rows, and which test rows are in the planted slice."""
    made = []
    for n_rows in (N_VALIDATION, N_TEST):
        facts = draw_facts(n_rows, random)
        planted = np.asarray(PLANTED[name][1](facts))
        made += [facts, random.random(n_rows) < np.where(planted, ERROR, ELSEWHERE), planted]
    return made


def first_is_planted(found: pd.DataFrame, planted: np.ndarray, named: set[str]) -> bool:
    """Does the first slice found name the planted facts and no other, and share most rows with the planted slice?"""
    if not len(found):
        return False
    members, path = found[["members", "path"]].iloc[0]
    same = (members & planted).sum() >= 0.5 * (members | planted).sum()
    return same and {condition.fact for condition, _ in path} == named


def planted_slices() -> list[dict]:
    """Draws in which the planted slice comes first, or in which any is reported where none was planted."""
    made = []
    for name in PLANTED:
        random, hits, others = np.random.default_rng(3), 0, 0
        start = time.process_time()
        for _ in range(N_DRAWS):
            before, before_wrong, _, facts, wrong, planted = draw(name, random)
            found, _ = SliceFinder().fit(facts, before, before_wrong).find(facts, wrong)
            hits += len(found) > 0 if name == "none" else first_is_planted(found, planted, PLANTED[name][0])
            others += max(len(found) - 1, 0)
        seconds = (time.process_time() - start) / N_DRAWS
        measure = "draws with a slice" if name == "none" else "draws that find it first"
        ends = intervals.wilson_interval(hits / N_DRAWS, N_DRAWS)
        made.append(rows.row(name, "SliceFinder", measure, hits / N_DRAWS, *map(float, ends), seconds))
        made.append(rows.row(name, "SliceFinder", "slices beside the first, a draw", others / N_DRAWS))
        print(f"{name}: {hits} of {N_DRAWS} draws", flush=True)
    return made


def tree_on_the_same_rows() -> list[dict]:
    """Draws without a planted slice in which a tree learnt and tested on the same rows reports one."""
    random, hits = np.random.default_rng(3), 0
    for _ in range(N_DRAWS):
        _, _, _, facts, wrong, _ = draw("none", random)
        hits += len(SliceFinder().fit(facts, facts, wrong).find(facts, wrong)[0]) > 0
    ends = intervals.wilson_interval(hits / N_DRAWS, N_DRAWS)
    name = "tree of the test rows"
    return [rows.row("none", name, "draws with a slice", hits / N_DRAWS, *map(float, ends))]


def speed() -> list[dict]:
    """Seconds on the wall and of the processor for 10,000 test rows and 15 facts."""
    random = np.random.default_rng(5)
    facts = draw_facts(10_000, random)
    wrong = random.random(len(facts)) < ELSEWHERE
    clocks = {"seconds": time.perf_counter, "processor seconds": time.process_time}
    start = {name: clock() for name, clock in clocks.items()}
    _, looked_at = SliceFinder().fit(facts, facts[:5000], wrong[:5000]).find(facts, wrong)
    took = {name: clock() - start[name] for name, clock in clocks.items()}
    took["slices looked at"] = float(looked_at)
    return [rows.row("10,000 rows, 15 facts", "SliceFinder", name, value) for name, value in took.items()]


if __name__ == "__main__":
    gc.freeze()  # statsmodels collects garbage at each correction: let it not look through all modules each time
    with threadpool_limits(1):  # the matrices of a draw are small: threads would only wait for each other
        made = planted_slices() + tree_on_the_same_rows()
    rows.write("slices", "python " + " ".join(sys.argv), made + speed())
