"""Is a slice found only where there is one, and as often as is said? Facts and wrong rows are drawn with a known truth.

Where nothing is planted, draws with any slice are counted: rows by themselves, pairs and fours of copies, made-up answers
that are wrong for a quarter of the texts. Where nothing is found, a page says how often a slice of a tenth of the rows would
have to be wrong to be found four times in five: such slices are planted, and counted. The interval of each slice that is
reported is counted where it holds the slice's true error.
"""

import numpy as np
import pandas as pd
from rows import row

from fusebook.data.predictions import Predictions
from fusebook.errors.slices import SliceFinder, Slices
from fusebook.evaluation.intervals import wilson_interval

N_DRAWS = 150
TENTH = "told by one condition"  # a fact that holds for a tenth of the rows


def draw_facts(n_rows: int, random: np.random.Generator, n_facts: int = 12) -> pd.DataFrame:
    """Twelve facts: seven numbers, two of them alike, three of yes or no, one with names, one that holds for a tenth."""
    facts = {f"number {i}": random.lognormal(size=n_rows) for i in range(6)}
    facts["number 6"] = facts["number 0"] * random.lognormal(0, 0.3, n_rows)
    facts |= {f"yes or no {i}": random.random(n_rows) < share for i, share in enumerate((0.5, 0.3, 0.15))}
    facts["source"] = random.choice(list("abcdef"), n_rows, p=[0.4, 0.2, 0.15, 0.1, 0.08, 0.07])
    facts[TENTH] = random.permutation(np.arange(n_rows) % 10 == 0)
    return pd.DataFrame(dict(list(facts.items())[-n_facts:]))


def drawn(n_rows: int, copies: int, seed: int, lift: float = 1.0, error: float = 0.2, n_facts: int = 12):
    """Facts, wrong rows, groups, and each row's true chance of being wrong: ``lift`` times that of the rest in a tenth."""
    random = np.random.default_rng(seed)
    facts = draw_facts(n_rows // copies, random, n_facts)
    chance = np.where(facts[TENTH], lift, 1.0)
    chance = np.minimum(chance * error / chance.mean(), 1)
    wrong, groups = random.random(len(facts)) < chance, np.arange(len(facts))
    return facts.loc[np.repeat(groups, copies)].reset_index(drop=True), *(
        np.repeat(values, copies) for values in (wrong, groups, chance)
    )


def found_in(facts, wrong, groups) -> Slices:
    """The slices of these rows: a seventh of the groups are validation rows, which teach the tree."""
    split = np.where(groups % 7 == 0, "validation", "test")
    values = {"m": np.eye(2)[wrong.astype(int)]}
    return Slices(facts, Predictions.of(values, np.zeros(len(wrong), int), groups=groups, split=split), "m")


def nulls(n_rows: int, copies: int, n_draws: int = N_DRAWS) -> float:
    """The share of draws with a slice where all rows are alike."""
    made = (found_in(*drawn(n_rows, copies, seed)[:3]) for seed in range(n_draws))
    return float(np.mean([len(slices.found) > 0 for slices in made]))


def finds(n_rows: int, error: float, n_draws: int = N_DRAWS, n_facts: int = 12) -> tuple[float, float, list[bool]]:
    """The lift that a page would print, the share of planted slices found, and whether intervals hold their truth."""
    facts, *_ = drawn(n_rows, 1, 10_000, n_facts=n_facts)
    finder = SliceFinder(depth=0).fit(facts)
    finder.find(facts, np.random.default_rng(0).permutation(np.arange(n_rows) < error * n_rows))
    lift, hits, held = finder.least_lift(finder.tenth), 0, []
    for seed in range(n_draws):
        facts, wrong, _, chance = drawn(n_rows, 1, seed, lift, error, n_facts)
        table, _ = SliceFinder(depth=0).fit(facts).find(facts, wrong)
        hits += any(TENTH in said for said in table["slice"])
        held += [line.low <= chance[line.members].mean() <= line.high for line in table.itertuples()]
    return lift, hits / n_draws, held


def measured() -> list[dict]:
    """Rows "type I …", "power …" and "coverage …" by cell."""
    made = []

    def add(name: str, measure: str, share: float, count: int) -> None:
        low, high = wilson_interval(share, count)
        made.append(row(name, "slices", measure, share, float(low), float(high)))
        print(name, measure, round(share, 3), f"[{low:.3f}, {high:.3f}]", flush=True)

    for n_rows, copies in ((203, 1), (1024, 1), (1024, 2), (1024, 4)):
        add(f"{n_rows} rows, each text {copies} times", "type I any slice", nulls(n_rows, copies), N_DRAWS)
    for n_rows, error in ((203, 0.1), (1024, 0.05), (1024, 0.2), (3000, 0.1)):
        lift, share, held = finds(n_rows, error)
        name = f"{n_rows} rows, error {error}"
        made.append(row(name, "slices", "lift said to be found", lift))
        add(name, f"power at the lift said ({lift:.1f})", share, N_DRAWS)
        add(name, "coverage error of a slice found", float(np.mean(held)), len(held))
    return made
