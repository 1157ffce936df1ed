"""What in a row moved the probability: leave a part out, predict again, compare.

Notebooks 04_error_analysis and 05_inspect tell the story.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from fusebook.tokens import tokenise

MOST_WORDS = 200  # in longer texts words are left out in spans, so that the work stays bounded


def leave_words_out(text: str, predict: Callable[[list[str]], np.ndarray], class_number: int) -> pd.DataFrame:
    """How much each word holds up the probability of one class (occlusion; Zeiler and Fergus, 2014).

    Each span of text (one word; several in a text of more than ``MOST_WORDS``) is taken out and the rest predicted.

    Parameters
    ----------
    predict : texts to probabilities of shape (n_texts, n_classes)

    Returns a DataFrame with start, end (characters of ``text``), word, effect (probability with the word minus
    probability without it), in text order.
    """
    spans = _spans(text)
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


def _spans(text: str) -> list[tuple[int, int]]:
    folded = text.casefold()
    owner = [i for i, character in enumerate(text) for _ in character.casefold()]  # ß folds to two characters
    spans, place = [], 0
    for token in tokenise(text):
        start = folded.find(token, place)
        if start >= 0:
            place = start + len(token)
            spans.append((owner[start], owner[place - 1] + 1))
    step = -(-len(spans) // MOST_WORDS)
    return [
        (group[0][0], group[-1][1]) for i in range(0, len(spans), step or 1) if (group := spans[i : i + step])
    ]
