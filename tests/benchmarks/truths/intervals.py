"""Do the 95 % intervals hold the truth? Test sets are drawn whose true scores are known, and the intervals counted."""

from guesses import true_answers
from rows import row

from fusebook.data.predictions import Predictions
from fusebook.evaluation.measures import measures_of
from fusebook.evaluation.scores import count_text, score_table

N_SETS, N_ROWS, N_TRUE = 200, 200, 200_000
MEASURED = ("accuracy", "log_loss", "brier", "macro_f1", "ece")


def measured() -> list[dict]:
    """Rows "coverage …" by cell."""
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
            made.append(row(name, "95 % interval", f"coverage {measure}", count / N_SETS))
    return made
