"""Baselines beside every score: what the well-known models reach on the same split, and what each of them costs.

Notebook 03_train tells the story.
"""

import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from itertools import chain

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from tqdm import tqdm

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.predictions import Predictions
from fusebook.models.calibration import calibrate, clean_probabilities, fit_temperature
from fusebook.models.network import Network

MAJORITY, NAIVE_BAYES, LOGISTIC, SVM = "majority", "multinomial naive Bayes", "logistic regression", "linear SVM"
# What scikit-learn's classifiers predict with.
_LEARNT = ["classes_", "class_log_prior_", "feature_log_prob_", "coef_", "intercept_", "coefs_", "intercepts_"]


@dataclass(frozen=True)
class Cost:
    """What a model costs. Making the features is not counted: the models share them.

    Attributes
    ----------
    seconds : time to fit
    rows_a_second : rows that it answers in a second, all in one call; NaN where there are none, and for class shares
    n_bytes : size of what has to be kept to predict again: the learnt arrays as ``numpy.savez`` writes them, without
        an optimiser's memory
    """

    seconds: float
    rows_a_second: float
    n_bytes: int


class Baselines(dict):
    """Name to a fitted baseline, in the order of the page.

    Class shares (majority) and the linear models (naive Bayes; logistic regression; a support vector machine) read the
    bag of n-grams, or the dense features where there is none. scikit-learn's MLPClassifier, for which a bag is too wide,
    and the classic recipe (our network: hidden layers of 100 and 50, ReLU, 10 epochs, batches of 32, Adam at 0.001) read
    the text's word vectors, or all dense features joined. Each one's temperature is fitted on the validation rows, as
    those of the networks are; a class that no training row has gets probability 0.

    Attributes
    ----------
    left_out_ : name to the reason, for those that can't be fitted on these rows
    """

    def __init__(self, *, random_state: int = 42):
        super().__init__()
        self.random_state = random_state

    def fit(self, data: Dataset) -> "Baselines":
        """Fit every baseline on the training rows. Raises ValueError where there are none, or no features."""
        if not len(data.train) or not data.features.sizes:
            raise ValueError(
                f"{len(data.train)} training rows with {data.features.sizes or 'no'} features; expected some."
            )
        dense = _Dense(data)
        read = (lambda some: some.features.ngrams) if data.features.n_ngrams else dense.transform
        networks = [f"{name} ({dense.name})" for name in ("MLPClassifier", "classic recipe")]
        made = {name: _Fitted(model, read) for name, model in linear_models(self.random_state).items()}
        # The layers, batches and epochs of the classic recipe: larger batches take longer on few cores.
        options = {"batch_size": min(32, len(data.train)), "max_iter": 10, "random_state": self.random_state}
        made[networks[0]] = _Fitted(MLPClassifier((100, 50), **options), dense.transform)
        made[networks[1]] = _Recipe(dense, self.random_state)
        self.left_out_ = _reasons(list(made), networks, read, dense, data.train)
        self[MAJORITY] = _Shares()
        self |= {name: model for name, model in made.items() if name not in self.left_out_}
        for model in tqdm(self.values(), "baselines", leave=False, delay=5):
            model.fit(data)
        return self

    @property
    def linear(self) -> str:
        """The name of the linear baseline that others are compared with: the support vector machine where there is one."""
        return SVM if SVM in self else MAJORITY

    def predict(self, data: Dataset, names: Iterable[str] | None = None) -> Predictions:
        """What each baseline, or those of ``names``, says of each row."""
        names = self if names is None else names
        return Predictions({name: self[name].predict(data) for name in names}, data.rows, data.label_names)

    def costs(self, data: Dataset) -> dict[str, Cost]:
        """What each baseline cost to fit, and costs to ask about ``data``, which it was asked about before."""
        return {name: model.cost(data) for name, model in self.items()}

    def left_out(self) -> pd.DataFrame:
        """The baselines that can't be fitted on these rows, with the reason."""
        return pd.Series(self.left_out_, name="left out because", dtype=object).rename_axis("baseline").to_frame()


class _Dense:
    """The dense features that baselines read: the text's word vectors, or all dense blocks side by side.

    Each block is brought to unit spread over the training rows, so that none drowns another.
    """

    def __init__(self, data: Dataset):
        vectors = data.features.kinds.get("vectors")
        self.name, self.columns = ("word vectors", vectors) if vectors else ("joined features", None)
        self.scales = {block: max(values.std(), 1e-9) for block, values in self._blocks(data.train).items()}

    def _blocks(self, data: Dataset) -> dict[str, np.ndarray]:
        features = data.features
        columns = self.columns or {block: slice(None) for block in features.sizes if "_" not in block}
        return {block: features.block(block)[:, read] for block, read in columns.items()}

    def transform(self, data: Dataset) -> np.ndarray | None:
        """The features of shape (n_rows, n_features); None where there are none."""
        blocks = self._blocks(data)
        return np.hstack([values / self.scales[block] for block, values in blocks.items()]) if blocks else None


def _reasons(names: list[str], networks: list[str], read, dense: _Dense, train: Dataset) -> dict[str, str]:
    """Why some of ``names`` can't be fitted on these training rows."""
    if len(np.unique(train.labels)) == 1:
        return dict.fromkeys(names, "the training rows have one class only: nothing to tell apart")
    values, made = read(train), {}
    if values is None:
        return dict.fromkeys(names, "reads dense features, and there are none")
    if values.min() < 0:
        made[NAIVE_BAYES] = "needs features of 0 or more, and some of these are negative"
    if not dense.scales:
        made |= dict.fromkeys(networks, "reads dense features, and there are none")
    return made


def linear_models(random_state: int) -> dict[str, ClassifierMixin]:
    """One default for all tables. The solver lbfgs takes six times as long here, and at this tolerance it stops before it begins."""
    return {
        NAIVE_BAYES: MultinomialNB(alpha=0.1),
        LOGISTIC: LogisticRegression(C=10, solver="saga", tol=0.01, random_state=random_state),
        SVM: LinearSVC(C=0.5, random_state=random_state),
    }


class _Shares:
    """The class shares of the training rows as the answer to every row."""

    def fit(self, data: Dataset) -> None:
        self.shares = data.prior

    def predict(self, data: Dataset) -> np.ndarray:
        return np.tile(self.shares, (len(data), 1))

    def cost(self, data: Dataset) -> Cost:
        """Counting takes no time worth the name."""
        return Cost(0.0, float("nan"), array_bytes([self.shares[None]]))


class _Fitted:
    """A scikit-learn classifier over what ``read`` takes from a data set, its scale fitted on validation rows (Platt, 1999)."""

    def __init__(self, model: ClassifierMixin, read):
        self.model, self.read = model, read

    def fit(self, data: Dataset) -> None:
        self.n_classes = data.n_classes
        self._learn(data)
        known = data.validation[np.isin(data.validation.labels, self.classes)]
        places = np.searchsorted(self.classes, known.labels)
        self.temperature = fit_temperature(self._shares(known), places) if len(known) else 1.0

    def _learn(self, data: Dataset) -> None:
        values, start = self.read(data.train), time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is part of the recipe
            self.model.fit(values, data.train.labels)
        self.seconds, self.classes = time.perf_counter() - start, self.model.classes_

    def predict(self, data: Dataset) -> np.ndarray:
        """Probabilities of shape (n_rows, n_classes)."""
        made = np.zeros((len(data), self.n_classes))
        if len(data):
            made[:, self.classes] = calibrate(self._shares(data), self.temperature)
        return made

    def _shares(self, data: Dataset) -> np.ndarray:
        """Probabilities of the classes learnt, before they are scaled."""
        margins = self._margins(data)
        return softmax(np.column_stack([-margins, margins]) if margins.ndim == 1 else margins, axis=1)

    def _margins(self, data: Dataset) -> np.ndarray:
        if hasattr(self.model, "predict_proba"):
            return np.log(clean_probabilities(self.model.predict_proba(self.read(data))))
        return self.model.decision_function(self.read(data))

    def cost(self, data: Dataset) -> Cost:
        """Its cost; ``data`` is asked about once more."""
        return Cost(self.seconds, rows_a_second(self._margins, data), array_bytes(self._learnt()))

    def _learnt(self) -> Iterable[np.ndarray]:
        arrays = [vars(self.model)[name] for name in _LEARNT if name in vars(self.model)]
        return chain.from_iterable(part if isinstance(part, list) else [part] for part in arrays)


class _Recipe(_Fitted):
    """The classic recipe; of its 10 epochs the one with the lowest validation loss counts."""

    def __init__(self, dense: _Dense, random_state: int):
        super().__init__(Network(patience=0, random_state=random_state), dense.transform)

    def _learn(self, data: Dataset) -> None:
        self.model.fit(self._dense(data))
        self.seconds, self.classes = self.model.seconds_, np.arange(data.n_classes)

    def _dense(self, data: Dataset) -> Dataset:
        values = np.asarray(self.read(data), np.float32)
        return data.with_features(Features({"text": values}, {"text": np.ones(len(data), bool)}))

    def _margins(self, data: Dataset) -> np.ndarray:
        return np.log(self.model.predict_raw(self._dense(data)))

    def _learnt(self) -> Iterable[np.ndarray]:
        return self.model.keras_.get_weights()


def rows_a_second(answer: Callable[[Dataset], object], data: Dataset) -> float:
    """How many rows of ``data`` ``answer`` manages in a second, all in one call; NaN where there are none."""
    if not len(data):
        return float("nan")
    start = time.perf_counter()
    answer(data)
    return len(data) / (time.perf_counter() - start)


def array_bytes(arrays: Iterable[np.ndarray]) -> int:
    """The size of ``arrays`` in a file, as ``numpy.savez`` writes them."""
    file = BytesIO()
    np.savez(file, *arrays)
    return file.tell()
