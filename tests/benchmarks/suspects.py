"""How many flipped labels are found among training rows? Writes reports/benchmarks/suspects.json.

On each set that lies beside the project (FUSEBOOK_DATA names another folder): 70 % of the rows train, of whose labels
5 % are flipped, 30 % test. Suspects come from out-of-fold probabilities of a linear model on the n-gram bag, beside
cleanlab's own filter over the recipe of its text tutorial (TF-IDF, logistic regression, cross_val_predict). Precision
and recall are those of the list cut off at the number planted. Then the flips that were listed are corrected, as a person
would: the gain of a linear model on the test rows, beside that of correcting all flips. A number as argument says how
many draws of flips are measured (3 by default).
"""

import sys
import time

import numpy as np
import pandas as pd
import rows
from cleanlab.filter import find_label_issues
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict, train_test_split
from text import read_set

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.splits import duplicate_texts
from fusebook.encoders.ngrams import NgramBag
from fusebook.encoders.tokens import tokenise
from fusebook.errors import corrections, suspects
from fusebook.evaluation.intervals import wilson_interval

SETS = ["bbc", "chnsenticorp-hotel"]
SHARE, N_SEEDS = 0.05, 3


def flip(labels: np.ndarray, random) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which ``SHARE`` are another class's, and the places of those."""
    places = random.choice(len(labels), round(SHARE * len(labels)), replace=False)
    made, n_classes = labels.copy(), labels.max() + 1
    made[places] = (labels[places] + random.integers(1, n_classes, len(places))) % n_classes
    return made, places


def found_by_tutorial(token_lists: list[list[str]], labels: np.ndarray) -> np.ndarray:
    """Places of suspects, most suspect first, as cleanlab's text tutorial finds them with its default settings."""
    values = TfidfVectorizer(analyzer=list).fit_transform(token_lists)
    made = cross_val_predict(LogisticRegression(max_iter=400), values, labels, cv=5, method="predict_proba")
    return find_label_issues(labels, made, return_indices_ranked_by="self_confidence", n_jobs=1)


def found_at(listed: np.ndarray, planted: np.ndarray, set_name: str, model: str, seconds: float) -> list[dict]:
    """Precision and recall of the list, cut off at the number planted, and of the whole list."""
    made = []
    for kind, part in (("at the number planted", listed[: len(planted)]), ("whole list", listed)):
        hit = np.isin(part, planted).sum()
        for name, size in (("precision", len(part)), ("recall", len(planted))):
            ends = map(float, wilson_interval(hit / size, size))
            made.append(rows.row(set_name, model, f"{name} {kind}", float(hit / size), *ends, seconds))
    return made


def gains(
    table: pd.DataFrame, features: Features, listed: np.ndarray, planted: np.ndarray, set_name: str
) -> list[dict]:
    """Accuracy on the test rows gained by correcting the flips that were listed, and by correcting all."""
    made = []
    for name, places in (("flips among the suspects", listed[np.isin(listed, planted)]), ("all flips", planted)):
        lines = table.iloc[places].assign(suggested=table["true"], action="change")
        given = lines[["row", "label", "suggested", "action"]].astype(str)
        corrected, rejected = corrections.apply_corrections(table, given)
        assert rejected.empty, rejected
        gain = corrections.correction_gain(Dataset.of_rows(corrected, features))
        made.append(rows.row(set_name, f"corrected: {name}", "gain", *(gain[k] for k in ("difference", "low", "high"))))
    return made


def measure(set_name: str, content: pd.DataFrame, seed: int) -> list[dict]:
    """All rows of one set with the flips of one ``seed``."""
    names, texts = sorted(content["label"].unique()), content["text"].tolist()
    true = content["label"].map({name: i for i, name in enumerate(names)}).to_numpy()
    random, token_lists = np.random.default_rng(seed), [tokenise(text) for text in texts]
    train, test = train_test_split(np.arange(len(true)), test_size=0.3, stratify=true, random_state=seed)
    order, labels = np.concatenate([train, test]), true.copy()  # training rows first
    labels[train], planted = flip(true[train], random)
    start, bag = time.perf_counter(), NgramBag()
    cut = [[values[i] for i in train] for values in (texts, token_lists)]
    bag.fit_transform(*cut, labels[train])
    table = pd.DataFrame({"row": range(len(order)), "text": [texts[i] for i in order]})
    table["group"], table["label"] = duplicate_texts(table["text"].tolist()), np.array(names)[labels[order]]
    table["true"], table["split"] = np.array(names)[true[order]], np.repeat(["train", "test"], [len(train), len(test)])
    values = bag.transform(table["text"].tolist(), [token_lists[i] for i in order])
    features = Features({}, {"text": np.ones(len(order), bool)}, values)
    learnt = suspects.out_of_fold(Dataset.of_rows(table, features), random_state=seed)
    listed = suspects.suspect_list(learnt)["row"].to_numpy()  # training rows come first: their numbers are their places
    lines = found_at(listed, planted, set_name, "out of fold, n-gram bag", time.perf_counter() - start)
    start = time.perf_counter()
    usual = found_by_tutorial([token_lists[i] for i in train], labels[train])
    lines += found_at(usual, planted, set_name, "cleanlab's tutorial", time.perf_counter() - start)
    return [line | {"seed": seed} for line in lines + gains(table, features, listed, planted, set_name)]


def mean_lines(lines: list[dict]) -> list[dict]:
    """The mean over the seeds of each figure; low and high are the lowest and highest seed's."""
    made = []
    for (name, model, what), part in pd.DataFrame(lines).groupby(["set", "model", "measure"], sort=False):
        ends = part["value"].min(), part["value"].max()
        made.append(
            rows.row(name, model, f"{what}, mean of seeds", part["value"].mean(), *ends, part["seconds"].mean())
        )
    return made


if __name__ == "__main__":
    made, n_seeds = [], int(sys.argv[1]) if len(sys.argv) > 1 else N_SEEDS
    for name in SETS:
        if (content := read_set(name)) is not None:
            for seed in range(n_seeds):
                made += measure(name, content.reset_index(drop=True), seed)
                print(f"{name}, draw {seed + 1} of {n_seeds} measured", flush=True)
    means = mean_lines(made) if n_seeds > 1 else []
    rows.write("suspects", "python " + " ".join(sys.argv), made + means)
