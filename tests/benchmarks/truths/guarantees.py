"""Are promises kept? Thresholds, label sets and means learnt from tables whose truth is known."""

import numpy as np
from guesses import copied_answers
from rows import row

from fusebook.data.predictions import mean_interval
from fusebook.evaluation.guarantees import RISK, safe_threshold
from fusebook.evaluation.intervals import wilson_interval
from fusebook.models.calibration import fit_label_sets, label_sets, one_of_each

N_DRAWS, N_TRUE, WANTED = 500, 50_000, 0.9
ALIKE = 0.8  # correlation of what copies of a text, or several models, say
N_MODELS = 8
CLASSES = ((2, 1.5), (5, 2.3), (5, 1.2), (20, 2.5))  # number and how much an answer leans to the label
FACTORS = (1.0, 3.0)  # confidence that is true, and that of a model that is far too sure


def measured() -> list[dict]:
    """Rows "type I …" (promises that don't hold), "coverage …" of label sets and of the intervals of means."""
    made = []
    for n_classes, strength in CLASSES:
        for factor in FACTORS:
            new = copied_answers(N_TRUE, n_classes, strength, 10**6, factor=factor)
            for n_texts in (30, 100, 800):
                for copies in (1, 2, 4) if n_texts == 100 else (1,):
                    name = f"{n_texts} texts {copies} times, {n_classes} classes, accuracy {new.right('m').mean():.2f}"
                    made += of_cell(name, new, n_texts * copies, (n_classes, strength), factor, copies)
    return made + of_no_use() + of_a_choice()


def of_cell(name, new, n_rows, shape, factor, copies) -> list[dict]:
    """The rows of one cell: thresholds that promise too much, share answered, hits of the sets, means that are held."""
    sure = np.sort(new["m"].max(axis=1))
    order = np.argsort(-new["m"].max(axis=1))
    accuracy = new.right("m")[order].cumsum() / np.arange(1, new.n_rows + 1)
    broken, answered, hits, held, sized = [], [], [], [], []
    few, mean_true = new.chosen(np.arange(3000)), sure.mean()
    usual = fit_label_sets(new["m"], new.labels)
    size_true, most = label_sets(new["m"], usual).sum(axis=1).mean(), shape[0]
    for seed in range(N_DRAWS):
        answers = copied_answers(n_rows, *shape, seed, copies=copies, factor=factor, alike=ALIKE)
        kept, confidence = one_of_each(answers.groups, n_rows), answers["m"].max(axis=1)
        threshold = safe_threshold(confidence[kept], answers.right("m")[kept], WANTED)
        place = 0 if threshold is None else len(sure) - np.searchsorted(sure, threshold)
        broken.append(place > 0 and accuracy[place - 1] < WANTED)
        answered.append(place / len(sure))
        least = fit_label_sets(answers["m"], answers.labels, answers.groups)
        hits.append(label_sets(few["m"], least)[np.arange(3000), few.labels].mean())
        low, high = mean_interval(confidence, 0.5, groups=answers.groups)
        held.append(low <= mean_true <= high)
        sizes, pseudo = label_sets(answers["m"], usual).sum(axis=1), min(2, (1 + most) / 2)
        low, high = mean_interval(sizes, pseudo, least=1, most=most, groups=answers.groups)
        sized.append(low <= size_true <= high)
    kind = "calibrated" if factor == 1 else "too sure"
    error = np.std(hits) / np.sqrt(N_DRAWS)
    return [
        share(name, kind, "type I error of the promise at 5 %", broken),
        row(name, kind, "share answered by the promise", float(np.mean(answered))),
        row(
            name,
            kind,
            "coverage of label sets",
            float(np.mean(hits)),
            np.mean(hits) - 2 * error,
            np.mean(hits) + 2 * error,
        ),
        share(name, kind, "coverage of the mean confidence", held),
        share(name, kind, "coverage of the mean size of sets", sized),
    ]


def of_no_use() -> list[dict]:
    """The worst case of a promise: confidence says nothing, and each text is right in a little less than is promised."""
    made, rng = [], np.random.default_rng(0)
    for n_texts in (100, 800):
        for copies in (1, 2, 4):
            groups, broken = np.repeat(np.arange(n_texts), copies), []
            for _ in range(4 * N_DRAWS):
                right, kept = np.repeat(rng.random(n_texts) < WANTED - 0.001, copies), one_of_each(groups, len(groups))
                broken.append(safe_threshold(rng.random(len(groups))[kept], right[kept], WANTED) is not None)
            name = f"{n_texts} texts {copies} times"
            made.append(share(name, "confidence of no use", "type I error of the promise at 5 %", broken))
    return made


def of_a_choice() -> list[dict]:
    """The model with the lowest log loss of eight that are equally good is chosen by the rows that the promise rests on."""
    made, n_new = [], 3000
    new = copied_answers(N_TRUE, 5, 2.3, 10**6)
    sure, order = np.sort(new["m"].max(axis=1)), np.argsort(-new["m"].max(axis=1))
    accuracy, few = new.right("m")[order].cumsum() / np.arange(1, N_TRUE + 1), new.chosen(np.arange(n_new))
    for n_rows in (100, 800):
        broken, hits = {1: [], N_MODELS: []}, []
        for seed in range(N_DRAWS // 2):
            every = copied_answers(N_MODELS * n_rows, 5, 2.3, seed, copies=N_MODELS, alike=ALIKE)
            true = every["m"][np.arange(len(every.labels)), every.labels].reshape(n_rows, N_MODELS)
            best = every.chosen(np.arange(n_rows) * N_MODELS + np.log(true).sum(axis=0).argmax())
            for among, found in broken.items():
                threshold = safe_threshold(best["m"].max(axis=1), best.right("m"), WANTED, RISK / among)
                place = 0 if threshold is None else len(sure) - np.searchsorted(sure, threshold)
                found.append(place > 0 and accuracy[place - 1] < WANTED)
            least = fit_label_sets(best["m"], best.labels)
            hits.append(label_sets(few["m"], least)[np.arange(n_new), few.labels].mean())
        name = f"{n_rows} rows, best of {N_MODELS} by the same rows"
        made += [
            share(name, f"risk for {among}", "type I error of the promise at 5 %", found)
            for among, found in broken.items()
        ]
        made.append(row(name, "calibrated", "coverage of label sets", float(np.mean(hits))))
    return made


def share(name: str, model: str, measure: str, found: list) -> dict:
    """A row of how often ``found`` is true, with Wilson's interval."""
    low, high = wilson_interval(np.mean(found), len(found))
    return row(name, model, measure, float(np.mean(found)), float(low), float(high))
