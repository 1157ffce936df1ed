"""What in a row moved the probability: leave a part out, predict again, compare.

Here for texts; ``explain_media`` does so for pictures and sounds. Notebooks 04_error_analysis and 05_inspect tell the
story.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.stats import spearmanr
from sklearn.svm import LinearSVC

from fusebook.bundle import Bundle
from fusebook.features import modality_of
from fusebook.tokens import tokenise

MOST_WORDS = 200  # in longer texts words are left out in spans, so that the work stays bounded


def part_predictor(
    bundle: Bundle, row: pd.DataFrame, part: str, *, model: str = ""
) -> Callable[[list[str]], np.ndarray]:
    """What predicts ``row`` (a DataFrame of one line) with each of some values in place of its ``part``.

    The returned function takes texts (paths where ``part`` is image or audio) and returns the probabilities of
    ``model`` (the chosen one by default), shape (n_values, n_classes). The row's other parts are read once. A text counts
    as long as the row's own, so that a word left out is judged by what it says, not by the columns it fills.

    Raises ValueError where the bundle does not read ``part``, or has no such model.
    """
    model = model or bundle.chosen
    if part not in bundle.modalities or model not in bundle.models.names:
        raise ValueError(
            f"Part {part!r} and model {model!r}; expected a part among {', '.join(bundle.modalities)} and a model "
            f"among {', '.join(bundle.models.names)}."
        )
    features, present = bundle.encode(row)
    others = dict.fromkeys(("text", "image", "audio"), "")
    held_columns = _length_columns(bundle) if part == "text" else {}

    def predict(values: list[str]) -> np.ndarray:
        copies = pd.concat([row] * len(values), ignore_index=True).assign(**others | {part: values})
        made, there = bundle.encode(copies)
        for block in made:
            if modality_of(block) != part:
                made[block] = np.repeat(features[block], len(values), axis=0)
        for block, columns in held_columns.items():
            made[block][:, columns] = features[block][:, columns]
        there |= {name: np.repeat(held, len(values)) for name, held in present.items() if name != part}
        return bundle.models.predict(made, there, names=[model])[model]

    return predict


def length_effect(
    bundle: Bundle,
    features: dict[str, np.ndarray],
    present: dict[str, np.ndarray],
    class_number: int,
    *,
    model: str = "",
) -> float:
    """How much the length of a row's text holds up the probability of one class, beside a text of mean length.

    ``features`` and ``present`` are what ``Bundle.encode`` makes of one row. 0 where the row has no text or the bundle
    does not read lengths.
    """
    model, columns = model or bundle.chosen, _length_columns(bundle)
    other = dict(features)
    for block, chosen in columns.items():
        other[block] = features[block].copy()
        other[block][:, chosen] = 0  # the training rows' mean
    asked = [bundle.models.predict(made, present, names=[model])[model] for made in (features, other)]
    return float(asked[0][0, class_number] - asked[1][0, class_number])


def _length_columns(bundle: Bundle) -> dict[str, slice]:
    return bundle.encoders["text"].columns().get("length", {}) if "text" in bundle.modalities else {}


def leave_words_out(
    text: str,
    predict: Callable[[list[str]], np.ndarray],
    class_number: int,
    *,
    most: int = MOST_WORDS,
) -> pd.DataFrame:
    """How much each word holds up the probability of one class (occlusion; Zeiler and Fergus, 2014).

    Each span of text (one word; several in a text of more than ``most``) is taken out and the rest predicted.

    Parameters
    ----------
    predict : texts to probabilities of shape (n_texts, n_classes)

    Returns a DataFrame with start, end (characters of ``text``), word, effect (probability with the word minus
    probability without it), in text order.
    """
    spans = _spans(text, most)
    if not spans:
        return pd.DataFrame(columns=["start", "end", "word", "effect"])
    probabilities = predict([text, *(text[:start] + text[end:] for start, end in spans)])[:, class_number]
    return pd.DataFrame(
        {
            "start": [start for start, _ in spans],
            "end": [end for _, end in spans],
            "word": [text[start:end] for start, end in spans],
            "effect": probabilities[0] - probabilities[1:],
        }
    )


def _spans(text: str, most: int) -> list[tuple[int, int]]:
    folded = text.casefold()
    owner = [i for i, character in enumerate(text) for _ in character.casefold()]  # ß folds to two characters
    spans, place = [], 0
    for token in tokenise(text):
        start = folded.find(token, place)
        if start >= 0:
            place = start + len(token)
            spans.append((owner[start], owner[place - 1] + 1))
    step = -(-len(spans) // most)
    return [
        (group[0][0], group[-1][1]) for i in range(0, len(spans), step or 1) if (group := spans[i : i + step])
    ]


def linear_weights(bag: csr_array, labels: np.ndarray, *, random_state: int = 42) -> np.ndarray:
    """The weights of a linear support vector machine, shape (n_classes, n_ngrams): the cross-check of words left out.

    Parameters
    ----------
    bag : the training rows' n-grams, shape (n_rows, n_ngrams)
    labels : class numbers of shape (n_rows,), of each class from 0 up at least one

    Raises ValueError where there are fewer than two classes or one of them has no row.
    """
    classes = np.unique(labels)
    if len(classes) < 2 or classes[-1] != len(classes) - 1:
        raise ValueError(
            f"Class numbers {classes.tolist()}; expected 0, 1, … with two or more classes and a row of each."
        )
    weights = LinearSVC(C=0.5, random_state=random_state).fit(bag, labels).coef_
    return np.vstack([-weights, weights]) if len(classes) == 2 else weights


def word_weights(
    text: str, words: Sequence[str], transform: Callable[[list[str]], csr_array], weights: np.ndarray
) -> np.ndarray:
    """What each of ``words`` brings to a linear model's score of ``text``, shape (n_words,).

    The sum, over the n-grams that stand in the word (words, pairs of words, characters), of the text's weight of the
    n-gram times the model's. An n-gram that several words share counts for each of them.

    Parameters
    ----------
    transform : texts to their bags of n-grams, such as ``TextEncoder.transform_ngrams``
    weights : the model's weights for one class, shape (n_ngrams,), as a line of ``linear_weights``
    """
    if not len(words):
        return np.zeros(0)
    shares = transform([text]).toarray()[0] * weights  # (n_ngrams,)
    return (transform(list(words)) > 0).astype(float) @ shares


def rank_agreement(effects: np.ndarray, weights: np.ndarray) -> float:
    """Spearman's rank correlation of two judgements of the same words; NaN where there is no order to compare."""
    if len(effects) < 3 or np.ptp(effects) == 0 or np.ptp(weights) == 0:
        return float("nan")
    return float(spearmanr(effects, weights).statistic)
