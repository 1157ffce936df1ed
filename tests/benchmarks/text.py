"""Do the text networks hold against linear models on real news? Writes reports/benchmarks/text.json.

Every set of texts that lies beside the project (FUSEBOOK_DATA names another folder), all models in one run on the same
split: the set's own split where it has one, else five folds, whose answers are put together. Fitting includes the
text's features.
"""

import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import rows
from scipy.sparse import hstack
from sklearn.datasets._twenty_newsgroups import strip_newsgroup_header
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from fusebook.data import fetch, known_sets
from fusebook.encoders.ngrams import NgramBag
from fusebook.encoders.text import BESIDE_NGRAMS, LengthEncoder, TextEncoder
from fusebook.encoders.tokens import tokenise
from fusebook.evaluation import comparison, intervals
from fusebook.models import layers, training

DATA = Path(os.environ.get("FUSEBOOK_DATA", Path(__file__).parents[3] / "shared" / "data"))
STRIPPED = " without headers"
SETS = ["thucnews-titles", "bbc", "20newsgroups", f"20newsgroups{STRIPPED}", "chnsenticorp-hotel", "waimai_10k", "ag_news"]  # fmt: skip
MLPS = {"MLP": "vectors+ngrams+length", "MLP, n-grams alone": "ngrams", "MLP, classic recipe": "vectors"}
SVM, SVM_WITH_LENGTH = "linear SVM", "linear SVM with length"


def read_set(name: str) -> pd.DataFrame | None:
    """The set's table without repeated texts of the training rows: text, label, split ("" where it has none)."""
    name, stripped, _ = name.partition(STRIPPED)
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = fetch.fetch_dataset(name, known_sets.read_facts()[name], folder, copy=DATA / name)
        except (OSError, ValueError) as error:
            print(f"{name} skipped: {error}")
            return None
        table = pd.read_csv(made["table"], dtype=str, keep_default_na=False)
    if stripped:
        table["text"] = table["text"].map(strip_newsgroup_header)
    table = table[table["text"].str.strip() != ""]
    return table if _has_split(table) else table.drop_duplicates("text")


def _has_split(table: pd.DataFrame) -> bool:
    return "split" in table and {"train", "test"} <= set(table["split"])


def folds(table: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows as positions: the set's own split, or five folds."""
    if _has_split(table):
        return [tuple(np.flatnonzero(table["split"] == name) for name in ("train", "test"))]
    return list(StratifiedKFold(5, shuffle=True, random_state=0).split(table, table["label"]))


def fit_svm(with_length: bool, texts: list[str], labels: np.ndarray):
    """A linear support vector machine on the n-gram bag, and the texts' length if asked for; returns what predicts."""
    bag, lengths = NgramBag(), LengthEncoder().fit(texts)

    def join(ngrams, texts):
        return hstack([ngrams, BESIDE_NGRAMS * lengths.transform(texts)], "csr") if with_length else ngrams

    read = join(bag.fit_transform(texts, [tokenise(text) for text in texts], labels), texts)
    machine = LinearSVC().fit(read, labels)
    return lambda others: machine.predict(join(bag.transform(others, [tokenise(text) for text in others]), others))


def fit_mlp(parts: str, texts: list[str], labels: np.ndarray):
    """A network as 03_train makes it, but for one thing: as the SVM does, it learns from every row, and none stops it."""
    encoder = TextEncoder(parts)
    features = encoder.fit(texts, labels).transform(texts)
    build, fit = training.settings(len(texts), features, n_classes=int(labels.max()) + 1)
    sizes = {block: values.shape[1] for block, values in features.items()}
    network = layers.build_mlp(sizes, int(labels.max()) + 1, n_ngrams=encoder.bag_.n_ngrams_, **build)
    nobody = {name: values[:0] for name, values in features.items()}, labels[:0]
    training.fit_mlp(network, features, labels, validation=nobody, patience=0, **fit)
    return lambda others: layers.predict(network, encoder.transform(others)).argmax(axis=1)


def measure(name: str, table: pd.DataFrame) -> list[dict]:
    """Every model's accuracy on the set's test rows, seconds to fit and rows predicted a second; against the SVM."""
    labels = pd.factorize(table["label"], sort=True)[0]
    texts = table["text"].to_numpy(object)
    fitting = {SVM: partial(fit_svm, False), SVM_WITH_LENGTH: partial(fit_svm, True)}
    fitting |= {key: partial(fit_mlp, parts) for key, parts in MLPS.items()}
    right = {key: np.zeros(len(table), bool) for key in fitting}
    seconds, made, tested = dict.fromkeys(fitting, 0.0), [], np.zeros(len(table), bool)
    spent = dict.fromkeys(fitting, 0.0)
    for train, test in folds(table):
        tested[test] = True
        for key, fit in fitting.items():
            start = time.perf_counter()
            predict = fit(list(texts[train]), labels[train])
            seconds[key] += time.perf_counter() - start
            predict(list(texts[test[:1100]]))  # compiled once
            start = time.perf_counter()
            right[key][test] = predict(list(texts[test])) == labels[test]
            spent[key] += time.perf_counter() - start
            print(f"{name}, {key}: {right[key][tested].mean():.4f} so far, {seconds[key]:.0f} s to fit", flush=True)
    for key in fitting:
        count, n_rows = right[key][tested].sum(), tested.sum()
        ends = map(float, intervals.wilson_interval(count / n_rows, n_rows))
        made.append(
            rows.row(name, key, "accuracy", float(count / n_rows), *ends, seconds=seconds[key] / len(folds(table)))
        )
        made.append(rows.row(name, key, "rows predicted a second", float(n_rows / spent[key])))
        for other in (SVM, SVM_WITH_LENGTH) if key in MLPS else ():
            pair = comparison.compare(right[other][tested], right[key][tested])
            difference = (float(pair[end]) for end in ("difference", "low", "high"))
            made.append(rows.row(name, key, f"minus {other}", *difference))
            made.append(rows.row(name, key, f"McNemar's p against {other}", float(pair["p"])))
    return made


if __name__ == "__main__":
    if not DATA.exists():
        sys.exit(f"The real data is not at {DATA}; set FUSEBOOK_DATA to its folder.")
    lines = []
    for name in sys.argv[1:] or SETS:
        table = read_set(name)
        if table is not None:
            lines += measure(name, table)
            rows.write("text", "make bench-text", lines)  # after each set: all of them take half an hour
