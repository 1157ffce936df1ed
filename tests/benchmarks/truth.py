"""Do the intervals hold the truth as often as they say? Simulations with a known one; writes reports/benchmarks/truth.json.

Test sets of 200 rows are drawn with labels that follow the true probabilities of three classes. The expected calibration
error of answers that are true is 0; that of answers twice too sure comes from 200,000 rows. The true accuracy is that of
200,000 rows too. Counted are the test sets whose 95 % interval holds the truth: 95 % would be right, and percentile
intervals of so few rows hold it a little less often.

Two equally good models are compared on tests in which each text stands once, twice, three or four times: a test at 5 %
may tell them apart in one of twenty draws.
"""

import sys
from pathlib import Path

import rows

sys.path.append(str(Path(__file__).parents[1]))
from guesses import null_p, true_answers

from fusebook.data.predictions import Predictions
from fusebook.evaluation.intervals import wilson_interval
from fusebook.evaluation.measures import measures_of
from fusebook.evaluation.scores import count_text, score_table

N_SETS, N_ROWS, N_TRUE = 200, 200, 200_000
N_PAIRS = 2000  # draws of two equal models
MEASURED = ("accuracy", "log_loss", "brier", "macro_f1", "ece")


def main() -> None:
    made = []
    for name, factor in (("calibrated", 1.0), ("twice too sure", 2.0)):
        truth = measures_of(*true_answers(N_TRUE, 1000, factor)) | ({"ece": 0.0} if factor == 1 else {})
        held = dict.fromkeys(MEASURED, 0)
        for seed in range(N_SETS):
            probabilities, labels = true_answers(N_ROWS, seed, factor)
            line = score_table(Predictions.of({"m": probabilities}, labels)).loc["m"]
            for measure in MEASURED:
                held[measure] += line[f"{measure}_low"] <= truth[measure] <= line[f"{measure}_high"]
        for measure, count in held.items():
            print(name, measure, count_text(count, N_SETS))
            made.append(rows.row(name, "95 % interval", f"covers {measure}", count / N_SETS))
    for copies in (1, 2, 3, 4):
        for n_rows in (100, 1000):
            found = sum(null_p(n_rows, copies, seed) < 0.05 for seed in range(N_PAIRS))
            name, (low, high) = f"{n_rows} rows, each text {copies} times", wilson_interval(found / N_PAIRS, N_PAIRS)
            made.append(rows.row(name, "paired test", "type I error at 5 %", found / N_PAIRS, float(low), float(high)))
    rows.write("truth", "make bench-truth", made)


if __name__ == "__main__":
    main()
