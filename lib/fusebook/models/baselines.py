"""What a fitted model answers on validation and test rows, and what that costs: measured alike for every model.

Notebook 03_train tells the story.
"""
# FOLDED: Baselines beside every score: what the well-known models reach on the same split, and what each of them costs.

import importlib.util
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from tqdm import tqdm

from fusebook.data.features import take
from fusebook.encoders.tokens import tokenise
from fusebook.models.network import (
    build_mlp,
    calibrate,
    check_probabilities,
    clean_probabilities,
    fit_temperature,
    predict,
)
from fusebook.models.training import fit_mlp

ANSWERED = ("validation", "test")


@dataclass(frozen=True)
class Measured:
    """What a model answered, and what that cost. Making the features is not counted: the models share them.

    Attributes
    ----------
    validation, test : class probabilities, each of shape (n_rows, n_classes); rows sum to 1
    seconds : time to fit
    rows_a_second : test rows that it answers in a second, all in one call; NaN where there are none, and for class shares
    n_bytes : size of what has to be kept to predict again: the learnt arrays as ``numpy.savez`` writes them, without
        an optimiser's memory; of fastText its own file, which has the words too
    """

    validation: np.ndarray
    test: np.ndarray
    seconds: float
    rows_a_second: float
    n_bytes: int


def measure(
    scores: Callable[[str], np.ndarray],
    labels: np.ndarray,
    splits: dict[str, np.ndarray],
    *,
    classes: np.ndarray,
    n_classes: int,
    seconds: float,
    n_bytes: int,
) -> Measured:
    """Ask a fitted model and take the time.

    Parameters
    ----------
    scores : from "validation" or "test" to that part's margins or log probabilities over ``classes``, of shape
        (n_rows, len(classes)), or (n_rows,) for two; the temperature is fitted on the validation rows
    labels : class numbers of all rows
    splits : bools of shape (n_rows,) under validation and test
    classes : the class numbers that the model has learnt, ascending; the others get probability 0
    """
    of = {part: scores(part) if splits[part].any() else np.empty((0, len(classes))) for part in ANSWERED}
    speed = _rows_a_second(partial(scores, "test"), splits["test"].sum())
    made = _probabilities(of, labels[splits["validation"]], classes, n_classes)
    return Measured(made["validation"], made["test"], seconds, speed, n_bytes)


def measure_network(
    network: keras.Model, inputs: dict[str, np.ndarray], labels: np.ndarray, splits: dict, seconds: float
) -> Measured:
    """What a fitted Keras network answers and costs, measured as the baselines are.

    ``inputs`` are those of all rows, as ``network.model_inputs`` makes them; ``seconds`` is the time that building and
    fitting took. Returns calibrated probabilities.
    """
    rows = {part: take(inputs, splits[part]) for part in ANSWERED}
    n_classes = network.output_shape[-1]

    def scores(part: str) -> np.ndarray:
        return np.log(predict(network, rows[part]))

    return measure(
        scores, labels, splits, classes=np.arange(n_classes), n_classes=n_classes, seconds=seconds,
        n_bytes=array_bytes(network.get_weights()),
    )  # fmt: skip


def _probabilities(scores: dict, labels: np.ndarray, classes: np.ndarray, n_classes: int) -> dict:
    """Both parts' probabilities; only validation rows of a learnt class can tell the temperature."""
    known, made = np.isin(labels, classes), {}
    for part, values in scores.items():
        if known.any():
            places = np.searchsorted(classes, labels[known])
            shares = margins_to_probabilities(values, scores["validation"][known], places)
        else:
            shares = softmax(np.column_stack([-values, values]) if values.ndim == 1 else values, axis=1)
        made[part] = np.zeros((len(values), n_classes))
        made[part][:, classes] = shares
    return made


def _rows_a_second(answer: Callable[[], object], n_rows: int) -> float:
    """Call it after a first call, in which Keras would compile."""
    if not n_rows:
        return float("nan")
    start = time.perf_counter()
    answer()
    return float(n_rows / (time.perf_counter() - start))


def array_bytes(arrays: Iterable[np.ndarray]) -> int:
    """The size of ``arrays`` in a file, as ``numpy.savez`` writes them."""
    file = BytesIO()
    np.savez(file, *arrays)
    return file.tell()


# Notebooks reach the comparison of models and the calibration tables through this module too.


def majority_probabilities(training_labels: np.ndarray, n_rows: int, n_classes: int) -> np.ndarray:
    """The baseline that answers the class shares of the training rows to every row, shape (n_rows, n_classes)."""
    shares = np.bincount(training_labels, minlength=n_classes) / len(training_labels)
    return np.tile(shares, (n_rows, 1))


def margins_to_probabilities(margins: np.ndarray, validation_margins: np.ndarray, validation_labels) -> np.ndarray:
    """Turn a linear model's margins into probabilities, the scale fitted on validation rows (Platt, 1999).

    ``margins`` of shape (n_rows, n_classes), or (n_rows,) for two classes. Returns shape (n_rows, n_classes).
    Raises ValueError where a label has no column, as that of a class without training rows.
    """
    both = [np.column_stack([-m, m]) if m.ndim == 1 else m for m in (margins, validation_margins)]
    check_probabilities(softmax(both[1], axis=1), validation_labels, "margins")
    temperature = fit_temperature(softmax(both[1], axis=1), validation_labels)
    return calibrate(softmax(both[0], axis=1), temperature)


NAIVE_BAYES, LOGISTIC, SVM = "multinomial naive Bayes", "logistic regression", "linear SVM"
FASTTEXT = "fastText"

_MARK = "\x02"  # before a label in fastText's file: no token has a control character
# What scikit-learn's classifiers predict with.
_LEARNT = (
    "classes_", "class_log_prior_", "feature_log_prob_", "coef_", "intercept_", "coefs_", "intercepts_",
)  # fmt: skip


def fit_baselines(
    bag: csr_array | None,
    dense: np.ndarray | None,
    labels: np.ndarray,
    splits: dict[str, np.ndarray],
    *,
    n_classes: int,
    texts: Sequence[str] | None = None,
    dense_name: str = "word vectors",
    random_state: int = 42,
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Fit every baseline on the training rows.

    Class shares (majority) and the linear models (naive Bayes; logistic regression; a support vector machine) read the
    bag. scikit-learn's MLPClassifier, for which a bag is too wide, and the classic recipe (ours: hidden layers of 100
    and 50, ReLU, 10 epochs, batches of 32, Adam at 0.001) read the dense features. fastText (Joulin and others, 2017)
    reads the texts, cut into words, with pairs of words. Each one's temperature is fitted on the validation rows, as
    those of the networks are; a class that no training row has gets probability 0.

    Parameters
    ----------
    bag : TF-IDF of shape (n_rows, n_ngrams); without one the linear models read ``dense``
    dense : shape (n_rows, n_features); ``dense_name`` says on the page what they are
    labels : class numbers of shape (n_rows,)
    splits : bools of shape (n_rows,) under train, validation and test

    Returns
    -------
    baselines : name to ``Measured``, in the order of the page
    left_out : name to the reason, for those that can't be fitted here

    Raises
    ------
    ValueError
        Where there is no training row, neither bag nor dense features, or lengths differ.
    """
    _check(bag, dense, labels, splits, texts)
    train = splits["train"]
    networks = [f"{name} ({dense_name})" for name in ("MLPClassifier", "classic recipe")]
    read = dense if bag is None else bag
    models = [(name, partial(_fit_estimator, model, read)) for name, model in linear_models(random_state).items()]
    models += [
        (networks[0], partial(_fit_estimator, _mlp_classifier(train.sum(), random_state), dense)),
        (networks[1], partial(_fit_recipe, dense, random_state=random_state)),
        (FASTTEXT, partial(_fit_fasttext, texts, random_state=random_state)),
    ]
    left_out = _reasons([name for name, _ in models], networks, read, dense, labels[train], texts)
    made = {"majority": _majority(labels, splits, n_classes)}
    for name, fit in tqdm([model for model in models if model[0] not in left_out], "baselines", leave=False, delay=5):
        made[name] = fit(labels, splits, n_classes=n_classes)
    return made, left_out


def join_dense(features: dict[str, np.ndarray], train: np.ndarray) -> np.ndarray | None:
    """The dense blocks of ``features`` side by side, shape (n_rows, n_features); None where there is none.

    Each block is brought to unit spread over the training rows (``train``, bools), so that none drowns another.
    """
    blocks = [values for block, values in features.items() if "_" not in block]
    return np.hstack([values / max(values[train].std(), 1e-9) for values in blocks]) if blocks else None


def _check(bag, dense, labels: np.ndarray, splits: dict, texts) -> None:
    given = {"bag": bag, "dense": dense} | splits
    lengths = {name: values.shape[0] for name, values in given.items() if values is not None}
    lengths |= {} if texts is None else {"texts": len(texts)}
    if wrong := {name: length for name, length in lengths.items() if length != len(labels)}:
        raise ValueError(f"There are {len(labels)} labels, but {wrong} rows; expected one row a label in each of them.")
    if (bag is None or not bag.shape[1]) and (dense is None or not dense.shape[1]):
        raise ValueError("Neither bag nor dense has a column; expected features of one kind at least.")
    if not splits["train"].any():
        raise ValueError("No training rows; expected at least one True in splits['train'].")


def _reasons(names: list[str], networks: list[str], read, dense, labels: np.ndarray, texts) -> dict[str, str]:
    """Why some of ``names`` can't be fitted on these training rows."""
    if len(np.unique(labels)) == 1:
        return dict.fromkeys(names, "the training rows have one class only: nothing to tell apart")
    made = {}
    if read.min() < 0:
        made[NAIVE_BAYES] = "needs features of 0 or more, and some of these are negative"
    if dense is None or not dense.shape[1]:
        made |= dict.fromkeys(networks, "reads dense features, and there are none")
    if texts is None or not any(map(tokenise, texts)):
        made[FASTTEXT] = "reads texts, and there are none"
    elif importlib.util.find_spec("fasttext") is None:
        made[FASTTEXT] = "not installed: pip install fasttext-community"
    return made


def linear_models(random_state: int) -> dict[str, ClassifierMixin]:
    """One default for all tables. The solver lbfgs takes six times as long here, and at this tolerance it stops before it begins."""
    return {
        NAIVE_BAYES: MultinomialNB(alpha=0.1),
        LOGISTIC: LogisticRegression(C=10, solver="saga", tol=0.01, random_state=random_state),
        SVM: LinearSVC(C=0.5, random_state=random_state),
    }


def _mlp_classifier(n_rows: int, random_state: int) -> MLPClassifier:
    """The layers, batches and epochs of the classic recipe: larger batches take longer on few cores."""
    return MLPClassifier((100, 50), batch_size=min(32, n_rows), max_iter=10, random_state=random_state)


def _majority(labels: np.ndarray, splits: dict, n_classes: int) -> Measured:
    """Class shares; counting them takes no time worth the name."""
    shares = majority_probabilities(labels[splits["train"]], 1, n_classes)
    answers = {part: np.tile(shares, (splits[part].sum(), 1)) for part in ANSWERED}
    return Measured(**answers, seconds=0.0, rows_a_second=float("nan"), n_bytes=array_bytes([shares]))


def _fit_estimator(model, features, labels: np.ndarray, splits: dict, *, n_classes: int) -> Measured:
    """A scikit-learn classifier over ``features``."""
    rows = {part: features[splits[part]] for part in ("train", *ANSWERED)}
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is part of the recipe
        model.fit(rows["train"], labels[splits["train"]])
    seconds = time.perf_counter() - start
    learnt = [vars(model)[name] for name in _LEARNT if name in vars(model)]
    arrays = chain.from_iterable(part if isinstance(part, list) else [part] for part in learnt)

    def scores(part: str) -> np.ndarray:
        if hasattr(model, "predict_proba"):
            return np.log(clean_probabilities(model.predict_proba(rows[part])))
        return model.decision_function(rows[part])

    return measure(
        scores, labels, splits, classes=model.classes_, n_classes=n_classes, seconds=seconds, n_bytes=array_bytes(arrays)
    )  # fmt: skip


def _fit_recipe(dense: np.ndarray, labels: np.ndarray, splits: dict, *, n_classes: int, random_state: int) -> Measured:
    """The classic recipe; of its 10 epochs the one with the lowest validation loss counts."""
    inputs = {"text": np.asarray(dense, np.float32)}
    learned, watched = [(take(inputs, splits[part]), labels[splits[part]]) for part in ("train", "validation")]
    start = time.perf_counter()
    network = build_mlp(
        {"text": dense.shape[1]}, n_classes, hidden=(100, 50), activations=("relu", "relu"), optimizer="adam",
        learning_rate=0.001, random_state=random_state,
    )  # fmt: skip
    fit_mlp(network, *learned, validation=watched, epochs=10, batch_size=32, patience=0)
    return measure_network(network, inputs, labels, splits, time.perf_counter() - start)


def _fit_fasttext(
    texts: Sequence[str], labels: np.ndarray, splits: dict, *, n_classes: int, random_state: int
) -> Measured:
    """fastText with one thread, as several would make the answers differ from run to run.

    With vectors of 10 numbers, as its authors have them: with the 100 that it takes by itself, vectors begin so near 0
    that a model of long texts is still at chance after 10 epochs (20 Newsgroups).
    """
    import fasttext

    words = [" ".join(tokenise(text)).encode("utf-8", "replace").decode() for text in texts]
    lines = {part: [words[i] for i in np.flatnonzero(splits[part])] for part in ("train", *ANSWERED)}
    learnt = labels[splits["train"]]
    with TemporaryDirectory() as folder:
        file, saved = Path(folder) / "train.txt", Path(folder) / "model.bin"
        marked = [f"{_MARK}{label} {line}\n" for label, line in zip(learnt, lines["train"], strict=True)]
        file.write_text("".join(marked), encoding="utf-8")
        start = time.perf_counter()
        model = fasttext.train_supervised(
            str(file), label=_MARK, lr=0.5, epoch=25, dim=10, wordNgrams=2, bucket=200_000, thread=1,
            seed=random_state, verbose=0,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        model.save_model(str(saved))
        size = saved.stat().st_size
    classes = np.unique(learnt)
    places = {f"{_MARK}{number}": place for place, number in enumerate(classes)}

    def scores(part: str) -> np.ndarray:
        made = np.zeros((len(lines[part]), len(classes)))
        for row, names, shares in zip(made, *model.predict(lines[part], k=-1), strict=True):
            row[[places[name] for name in names]] = shares
        return np.log(clean_probabilities(made))

    return measure(scores, labels, splits, classes=classes, n_classes=n_classes, seconds=seconds, n_bytes=size)
