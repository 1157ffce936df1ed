"""What a fitted model answers on validation and test rows, and what that costs: measured alike for every model.

Notebook 03_train tells the story.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import keras
import numpy as np
import pandas as pd
from scipy.special import softmax

from fusebook.evaluate import margins_to_probabilities, readable
from fusebook.features import take
from fusebook.model import predict

PARTS = ("validation", "test")


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
    of = {part: scores(part) if splits[part].any() else np.empty((0, len(classes))) for part in PARTS}
    speed = _rows_a_second(partial(scores, "test"), splits["test"].sum())
    made = _probabilities(of, labels[splits["validation"]], classes, n_classes)
    return Measured(made["validation"], made["test"], seconds, speed, n_bytes)


def measure_network(
    network: keras.Model, inputs: dict[str, np.ndarray], labels: np.ndarray, splits: dict, seconds: float
) -> Measured:
    """What a fitted Keras network answers and costs, measured as the baselines are.

    ``inputs`` are those of all rows, as ``model.model_inputs`` makes them; ``seconds`` is the time that building and
    fitting took. Returns calibrated probabilities.
    """
    rows = {part: take(inputs, splits[part]) for part in PARTS}
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


def cost_table(scores: pd.DataFrame, models: dict[str, Measured]) -> pd.DataFrame:
    """An ``evaluate.score_table`` for people, with the costs of those models that ``models`` knows; a dash for others.

    Speed has two digits, as one measurement is worth no more.
    """
    known = [models.get(name) for name in scores.index]
    table = readable(scores)
    table["seconds to fit"] = [f"{model.seconds:.2f}" if model else "–" for model in known]
    table["rows a second"] = [_speed_text(model.rows_a_second) if model else "–" for model in known]
    table["kB on disk"] = [f"{model.n_bytes / 1000:,.1f}" if model else "–" for model in known]
    return table


def _speed_text(speed: float) -> str:
    return "–" if np.isnan(speed) else f"{float(f'{speed:.2g}'):,.0f}"
