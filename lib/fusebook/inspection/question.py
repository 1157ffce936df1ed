"""What in a row moved the probability: leave a part out, predict again, compare.

Here for texts; ``explain_media`` does so for pictures and sounds. Notebooks 04_error_analysis and 05_inspect tell the
story.
"""
# FOLDED: What would the models say if a row were otherwise: with another text, without a part, its votes joined another way?

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.stats import spearmanr
from sklearn.svm import LinearSVC

from fusebook.data.features import modality_of
from fusebook.encoders.tokens import tokenise
from fusebook.models.bundle import Bundle
from fusebook.models.fusion import DecisionFusion

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
    text: str, predict: Callable[[list[str]], np.ndarray], class_number: int, *, most: int = MOST_WORDS
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
    return [(group[0][0], group[-1][1]) for i in range(0, len(spans), step or 1) if (group := spans[i : i + step])]


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


OWN = "your fusion"  # how the fusion with weights of one's own is called beside the models
RULES = ("mean", "product")


def votes_of_row(bundle: Bundle, row: pd.DataFrame, *, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """Every model's probabilities for one row (a DataFrame of one line): labels as rows, models as columns."""
    made = bundle.predict_all(row, without=without)
    return pd.DataFrame(
        {name: values[0] for name, values in made.items()}, index=pd.Index(bundle.label_names, name="label")
    )


def edited_row(
    bundle: Bundle, row: pd.DataFrame, text: str | None = None, *, without: tuple[str, ...] = ()
) -> pd.DataFrame:
    """``row`` (a DataFrame of one line) with ``text`` in place of its own, and without the parts named in ``without``.

    A text of blanks alone is no text. Raises ValueError where the bundle does not read a part of ``without``.
    """
    bundle.check_parts(without)
    text = row["text"].iloc[0] if text is None else text
    return row.assign(**{"text": text if text.strip() else ""} | dict.fromkeys(without, ""))


def predict_edited(
    bundle: Bundle,
    row: pd.DataFrame,
    text: str | None = None,
    *,
    without: tuple[str, ...] = (),
    rule: str = "",
    weights: dict[str, float] | None = None,
) -> pd.DataFrame:
    """What each model says of ``row`` as it stands, and of ``edited_row``: model, label, before, after.

    Both are predicted at once, and so by the same program. Where there is a ``rule``, the single modalities' votes are
    joined by ``fuse_again`` too, as the last model, ``OWN``. Raises ValueError as ``edited_row`` and ``fuse_again`` do.
    """
    both = pd.concat([row, edited_row(bundle, row, text, without=without)], ignore_index=True)
    features, present = bundle.encode(both)
    made = bundle.models.predict(features, present)
    if rule:
        votes = {name: made[name] for name in bundle.modalities}
        made[OWN] = fuse_again(votes, present, rule, prior=bundle.models.prior, weights=weights)
    tables = [
        pd.DataFrame({"model": name, "label": bundle.label_names, "before": values[0], "after": values[1]})
        for name, values in made.items()
    ]
    return pd.concat(tables, ignore_index=True)


def fuse_again(
    votes: dict[str, np.ndarray],
    present: dict[str, np.ndarray],
    rule: str,
    *,
    prior: np.ndarray,
    weights: dict[str, float] | None = None,
) -> np.ndarray:
    """Join the votes of single modalities with weights that a person gives.

    Parameters
    ----------
    votes, present : modality to probabilities of shape (n_rows, n_classes), and to bools of shape (n_rows,)
    rule : "mean", the weighted mean (linear opinion pool; Stone, 1961), or "product", the logarithmic pool of
        ``fusion.DecisionFusion``, in which a weight is an exponent
    prior : class shares of shape (n_classes,): the answer where nothing has a weight
    weights : modality to a number from 0 up, 1 where it is not named; a part of weight 0 counts as missing

    Returns probabilities of shape (n_rows, n_classes). Equal weights give the bundle's rules mean and product, the learnt
    ones the rule weighted. Raises ValueError for another rule, an unknown modality, or a weight that is no such number.
    """
    names = sorted(votes)
    given = dict.fromkeys(names, 1.0) | (weights or {})
    if rule not in RULES or set(given) != set(names):
        raise ValueError(
            f"Rule {rule!r} with weights for {', '.join(given)}; expected one of {', '.join(RULES)}, and weights for "
            f"{', '.join(names)}."
        )
    if bad := {name: value for name, value in given.items() if not 0 <= value < np.inf}:
        raise ValueError(f"The weights have {bad}; expected finite numbers from 0 up.")
    counted = {name: np.asarray(present[name], bool) & (given[name] > 0) for name in names}
    if rule == "mean":
        shares = np.stack([given[name] * counted[name] for name in names])  # (n_parts, n_rows)
        joined = np.einsum("pn,pnk->nk", shares, np.stack([votes[name] for name in names]))
        total = shares.sum(axis=0)[:, None]
        return np.where(total > 0, joined / np.where(total > 0, total, 1), prior)
    fusion = DecisionFusion("weighted", prior)
    fusion.names_, fusion.weights_ = names, np.array([given[name] for name in names])
    return fusion.predict(votes, counted)
