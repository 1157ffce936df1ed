"""Two runs or more as tables: scores on their common test rows, paired tests, rows fixed and broken.

Page of ``fusebook compare``. All functions are pure: they take what ``run_rows`` read, and write nothing.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from fusebook.comparison import compare, compare_pairs, comparison_text
from fusebook.evaluate import class_table, score_table
from fusebook.run_rows import CommonRows, FinishedRun
from fusebook.tables import PARTS

MAJORITY = "majority"  # 03_train's name for the baseline that answers the training rows' shares
# By whether the first run, then the other, was right.
OUTCOMES = {
    (False, True): "fixed",
    (True, False): "broken",
    (True, True): "right in both",
    (False, False): "wrong in both",
}


def chosen_answers(compared: Sequence[FinishedRun], common: CommonRows) -> dict[str, np.ndarray]:
    """Run name to its chosen model's probabilities of the common rows, shape (n_common, n_labels)."""
    pairs = zip(compared, common.probabilities, strict=True)
    return {run.name: answers[run.chosen] for run, answers in pairs}


def run_scores(compared: Sequence[FinishedRun], common: CommonRows) -> pd.DataFrame:
    """``evaluate.score_table`` of the chosen models on the common rows, by run name.

    Column model names each run's model; column majority is the accuracy of that run's majority baseline on these rows
    (NaN where the run has none).
    """
    labels = common.labels[:, 0]
    scores = score_table(chosen_answers(compared, common), labels, common.groups).rename_axis("run")
    base = [
        (answers[MAJORITY].argmax(axis=1) == labels).mean() if MAJORITY in answers else np.nan
        for answers in common.probabilities
    ]
    return scores.assign(model=[run.chosen for run in compared], majority=base)


def run_pairs(compared: Sequence[FinishedRun], common: CommonRows) -> pd.DataFrame:
    """``comparison.compare_pairs`` of all pairs of runs, in the order of the runs; p_holm corrects over all of them."""
    table = compare_pairs(chosen_answers(compared, common), common.labels[:, 0], groups=common.groups)
    order = {run.name: i for i, run in enumerate(compared)}
    return table.sort_values(["a", "b"], key=lambda names: names.map(order)).reset_index(drop=True)


def model_scores(compared: Sequence[FinishedRun], common: CommonRows) -> pd.DataFrame:
    """Each model whose name two runs or more have: one line a run that has it.

    Columns model, run, those of ``evaluate.score_table``; then difference, low, high, p against the first line of that
    model, and p_holm corrected over all lines of the table (Holm, 1979); NaN in each model's first line.
    """
    labels, lines = common.labels[:, 0], []
    names = dict.fromkeys(name for answers in common.probabilities for name in answers)
    for name in names:
        own = {
            run.name: answers[name]
            for run, answers in zip(compared, common.probabilities, strict=True)
            if name in answers
        }
        if len(own) < 2:
            continue
        scores = score_table(own, labels, common.groups)
        right = {run: values.argmax(axis=1) == labels for run, values in own.items()}
        first = next(iter(own))
        for run in own:
            test = {} if run == first else compare(right[first], right[run], groups=common.groups)
            lines.append({"model": name, "run": run, **scores.loc[run], **test})
    table = pd.DataFrame(lines)
    tested = table["p"].notna() if len(table) else []
    table["p_holm"] = np.nan
    if len(table):
        table.loc[tested, "p_holm"] = multipletests(table.loc[tested, "p"], method="holm")[1]
    return table


def row_changes(compared: Sequence[FinishedRun], common: CommonRows, other: int) -> pd.DataFrame:
    """What became of each common row from the first run to run number ``other``.

    Returns a DataFrame in the first run's order with row, row_other, text, image, audio, label, label_other, answer,
    answer_other, confidence, confidence_other, outcome (one of ``OUTCOMES``'s values). Text and files are the first
    run's, or the other's where it alone reads them.
    """
    names = np.array(common.label_names, dtype=object)
    made = {"row": common.rows[0], "row_other": common.rows[other]}
    first, second = (compared[i].rows.loc[common.rows[i]] for i in (0, other))
    for part in PARTS:
        made[part] = np.where(first[part] == "", second[part], first[part])
    right = []
    for i, end in ((0, ""), (other, "_other")):
        answers = common.probabilities[i][compared[i].chosen]
        made[f"label{end}"] = names[common.labels[:, i]]
        made[f"answer{end}"] = names[answers.argmax(axis=1)]
        made[f"confidence{end}"] = answers.max(axis=1)
        right.append(answers.argmax(axis=1) == common.labels[:, 0])
    made["outcome"] = [OUTCOMES[bool(a), bool(b)] for a, b in zip(*right, strict=True)]
    return pd.DataFrame(made)


def surest_first(changes: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The rows "fixed" or "broken", the surest wrong answer first: the first run's where fixed, else the other's."""
    by = "confidence" if outcome == "fixed" else "confidence_other"
    return changes[changes["outcome"] == outcome].sort_values(by, ascending=False, kind="stable")


def class_changes(
    compared: Sequence[FinishedRun], common: CommonRows, other: int, changes: pd.DataFrame
) -> pd.DataFrame:
    """By label name: rows; recall, f1, f1_low and f1_high of the first run and, with _other, of run ``other``; fixed, broken.

    A label's recall is its accuracy: the share of its rows that are right. Labels that no common row has and neither
    run answers are left out.
    """
    tables = [
        class_table(
            common.probabilities[i][compared[i].chosen],
            common.labels[:, 0],
            common.label_names,
            common.groups,
        )
        for i in (0, other)
    ]
    columns = ["recall", "f1", "f1_low", "f1_high"]
    made = tables[0][["rows", *columns]].join(tables[1][columns], rsuffix="_other")
    for outcome in ("fixed", "broken"):
        counts = changes.loc[changes["outcome"] == outcome, "label"].value_counts()
        made[outcome] = counts.reindex(made.index).fillna(0).astype(int)
    return made[(made["rows"] > 0) | (tables[0]["predicted"] > 0) | (tables[1]["predicted"] > 0)]


def with_labels_of(compared: Sequence[FinishedRun], common: CommonRows, other: int) -> dict:
    """``comparison.compare`` of the first run and run ``other``, by the labels that run ``other`` has."""
    labels = common.labels[:, other]
    right = [common.probabilities[i][compared[i].chosen].argmax(axis=1) == labels for i in (0, other)]
    return compare(*right, groups=common.groups)


def verdict(first: str, other: str, line, same_answers: bool) -> str:
    """One sentence on two runs; ``line`` is theirs of ``run_pairs``. Says so where no answer differs."""
    if same_answers:
        return f"Run {other} gives each common test row the same answer as run {first}."
    return comparison_text(f"run {first}", f"run {other}", line)


def verdicts(compared: Sequence[FinishedRun], common: CommonRows, pairs: pd.DataFrame) -> list[str]:
    """``verdict`` of each run after the first, against the first."""
    answers = {name: values.argmax(axis=1) for name, values in chosen_answers(compared, common).items()}
    first, made = compared[0].name, []
    for run in compared[1:]:
        line = pairs[(pairs["a"] == first) & (pairs["b"] == run.name)].iloc[0]
        made.append(verdict(first, run.name, line, bool((answers[first] == answers[run.name]).all())))
    return made


def labels_apart(compared: Sequence[FinishedRun]) -> dict[str, list[str]]:
    """Run name to those of its labels that not every run has; runs without such a label are left out."""
    shared = set.intersection(*(set(run.label_names) for run in compared))
    apart = {run.name: [name for name in run.label_names if name not in shared] for run in compared}
    return {run: names for run, names in apart.items() if names}
