"""Do the tests of two models keep their level? Equally good models are drawn, and those told apart counted."""

from guesses import null_p
from rows import row

from fusebook.evaluation.intervals import wilson_interval

N_PAIRS = 2000  # draws of two equal models


def measured() -> list[dict]:
    """Rows "type I …" by size and number of copies."""
    made = []
    for copies in (1, 2, 3, 4):
        for n_rows in (100, 1000):
            found = sum(null_p(n_rows, copies, seed) < 0.05 for seed in range(N_PAIRS))
            name, (low, high) = f"{n_rows} rows, each text {copies} times", wilson_interval(found / N_PAIRS, N_PAIRS)
            made.append(row(name, "paired test", "type I error at 5 %", found / N_PAIRS, float(low), float(high)))
    return made
