"""One row put to the models: what each says, what in the row moved the answer, and what if the row were otherwise.

Notebook 05_inspect tells the story.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import wraps

import numpy as np
import pandas as pd
from IPython.display import HTML
from scipy.sparse import csr_array
from scipy.stats import spearmanr
from sklearn.svm import LinearSVC

from fusebook.data import files
from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.encoders import text as text_encoder
from fusebook.encoders.tokens import tokenise
from fusebook.inspection import cards, listing, occlusion
from fusebook.models.bundle import Bundle
from fusebook.models.fusion import DecisionFusion
from fusebook.plots.effects import strongest
from fusebook.runs import Run

RULES = ("mean", "product")  # by which ``Question.joined`` joins votes
MOST_CHARACTERS_ASKED = 150_000  # that are predicted again for the words of one card: a tenth of a second
FEWEST_SPANS = 5  # in which even the longest text is asked about


def _once(explain: Callable) -> Callable:
    """``explain``, a method of ``Question``, that works out its table once for each model."""

    @wraps(explain)
    def kept(self, model: str = ""):
        key = explain.__name__, self.bundle.model_name(model)
        if key not in self._tables:
            self._tables[key] = explain(self, key[1])
        return self._tables[key]

    return kept


def one_row(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """Row ``number`` of ``rows`` as a table of one line. Raises KeyError where there is no such row."""
    row = rows[rows["row"] == number]
    if row.empty:
        raise KeyError(f"Row {number} is not among the {len(rows)} rows. Take a number from the column 'row'.")
    return row


class Question:
    """One row put to the models of a bundle. It is encoded once; whatever is asked about encodes what it changes alone.

    A ``model`` is the name of one of the bundle's models, the chosen one by default; a ValueError names an unknown one.
    Effects are on the probability of the label that this model gives to the row; each is worked out once.

    Parameters
    ----------
    row : DataFrame of one line: row, text, image, audio ("" where absent), and label where it is known

    Attributes
    ----------
    data : ``Dataset`` of the one row, as the models read it
    given : the row as it came; ``row`` is what was made of it, without the parts in ``left_out``
    """

    def __init__(self, bundle: Bundle, row: pd.DataFrame):
        self.bundle, self.row, self.given, self.data = bundle, row, row, bundle.encode(row)
        self.left_out: tuple[str, ...] = ()
        self._labels = pd.Index(bundle.label_names, name="label")
        self._answers: dict[str, np.ndarray] = {}
        self._tables: dict[tuple[str, str], pd.DataFrame] = {}

    @classmethod
    def of(cls, run: Run, row: int = 0) -> "Question":
        """The question about row number ``row`` of ``run``; where that is 0, about its ``listing.first_mistake``.

        Raises KeyError where there is no such row.
        """
        number = row or listing.first_mistake(run.read("errors.parquet"))
        return cls(run.bundle(), one_row(run.read("rows.parquet"), number))

    def edited(self, text: str) -> "Question":
        """The same row with another text, which alone is encoded anew; a text of blanks alone is none."""
        text = text if text.strip() else ""
        if text == self.text:
            return self
        features = self._variants("text", [text]) if "text" in self.bundle.parts else self.data.features
        return self._changed(self.row.assign(text=text), features)

    def without_word(self) -> "Question":
        """The same row without the word that holds its answer up most; as it is where there is none."""
        words = self.words()
        if not len(words):
            return self
        start, end = words.loc[words["effect"].idxmax(), ["start", "end"]]
        return self.edited(self.text[:start] + self.text[end:])

    def without(self, *parts: str) -> "Question":
        """The same row without ``parts``. Raises ValueError where the bundle does not read one of them."""
        self.bundle.check_parts(parts)
        row = self.row.assign(**dict.fromkeys(parts, ""))
        return self._changed(row, self.data.features.without(parts), parts)

    def _changed(self, row: pd.DataFrame, features: Features, left_out: tuple[str, ...] = ()) -> "Question":
        made = copy(self)
        made.row, made.left_out, made._answers, made._tables = row, self.left_out + left_out, {}, {}
        made.data = replace(self.data, rows=row.reset_index(drop=True), features=features)
        return made

    @property
    def number(self) -> int:
        """The row's number."""
        return int(self.row["row"].iloc[0])

    @property
    def text(self) -> str:
        """The row's text as it is now."""
        return self.row["text"].iloc[0]

    @property
    def parts(self) -> list[str]:
        """Those parts of the row that the bundle reads."""
        return [part for part, there in self.data.features.present.items() if there[0]]

    def reads(self, model: str) -> bool:
        """Has the row a part that ``model`` reads?"""
        return model in self.parts if model in self.bundle.parts else bool(self.parts)

    def probabilities(self, model: str = "") -> np.ndarray:
        """What ``model`` says, shape (n_classes,); the class shares of the training rows where it can read nothing."""
        name = self.bundle.model_name(model)
        self._ask([name])
        return self._answers[name]

    def _ask(self, names: Sequence[str]) -> None:
        if unasked := [name for name in names if name not in self._answers]:
            made = self.bundle.models.predict(self.data, unasked)
            self._answers |= {name: values[0] for name, values in made.items()}

    def votes(self) -> pd.DataFrame:
        """Every model's probabilities: labels as rows, models as columns; NaN where the row has no part that it reads."""
        self._ask(self.bundle.models.names)
        votes = {name: self._answers[name] if self.reads(name) else np.nan for name in self.bundle.models.names}
        return pd.DataFrame(votes, index=self._labels, dtype=float)

    def _best(self, model: str) -> int:
        return int(self.probabilities(model).argmax())

    def predicted(self, model: str = "") -> str:
        """The label that ``model`` gives to the row."""
        return self.bundle.label_names[self._best(model)]

    def verdicts(self) -> list[tuple[str, str, dict]]:
        """Key, grade and facts of what the chosen model says of the labelled row, and how many models agree with the label."""
        label, best, votes = self.row["label"].iloc[0], self.predicted(), self.votes().dropna(axis=1)
        facts = {"row": str(self.number), "label": label, "model": self.bundle.chosen, "predicted": best}
        facts["confidence"] = f"{100 * self.probabilities().max():.0f}"
        agree = int((votes.idxmax() == label).sum()) if len(votes.columns) else 0
        return [("row", "note", facts), ("agreement", "note", {"agree": agree, "models": len(votes.columns)})]

    def joined(self, rule: str, weights: dict[str, float] | None = None) -> pd.Series:
        """The votes of the single parts, joined by one of ``RULES`` with ``weights``: label to probability.

        Raises ValueError as ``pool`` does.
        """
        votes = {part: self.probabilities(part)[None] for part in self.bundle.parts}
        made = pool(votes, self.data.features.present, rule, prior=self.bundle.models.prior_, weights=weights)
        return pd.Series(made[0], index=self._labels, name=rule)

    @_once
    def missing_parts(self, model: str = "") -> pd.DataFrame:
        """What ``model`` says of the whole row, and of it without each of its parts: labels as rows."""
        columns = {"all parts": self.probabilities(model)}
        columns |= {f"Without {part}": self.without(part).probabilities(model) for part in self.parts}
        return pd.DataFrame(columns, index=self._labels)

    def missing_verdicts(self) -> list[tuple[str, str, dict]]:
        """Key, grade and facts of each of the ``missing_parts``: how far the chosen model's answer moved."""
        label, made = self.predicted(), []
        shares = self.missing_parts().loc[label]
        for part in self.parts:
            points = 100 * (shares[f"Without {part}"] - shares["all parts"])
            made.append(("without part", "note", {"part": part, "label": label, "points": f"{round(points):+d}"}))
        return made

    def compared(self, edited: "Question") -> HTML:
        """Every model's likeliest labels as bars: of this row, and beside it of what was made of it."""
        return HTML(cards.votes_html(self.votes(), edited.votes()))

    def card(self, model: str = "") -> HTML:
        """The row with what moved the answer of ``model``: coloured words, picture with its map, player, bars."""
        return HTML(cards.STYLE + cards.question_card(self, self.bundle.model_name(model)))

    @_once
    def words(self, model: str = "") -> pd.DataFrame:
        """What each word does, as ``occlusion.leave_words_out`` says; without a line where no text is read.

        A changed text counts as long as the row's own: a word is judged by what it says, not by the columns it fills.
        """
        text = self.text if "text" in self.parts else ""
        return occlusion.leave_words_out(text, self._predictor("text", model), self._best(model))

    def card_words(self, model: str = "") -> tuple[pd.DataFrame, str]:
        """``words`` of what a card shows of the text, and a sentence where not all were left out one by one, else "".

        The longer the text, the fewer the spans that are left out, so that the work stays bounded.
        """
        text = self.text if "text" in self.parts else ""
        shown, rest = text[: cards.MOST_CHARACTERS], text[cards.MOST_CHARACTERS :]
        most = int(np.clip(MOST_CHARACTERS_ASKED // max(len(text), 1), FEWEST_SPANS, occlusion.MOST_WORDS))
        predict, whole = self._predictor("text", model), len(tokenise(shown)) <= most
        words = occlusion.leave_words_out(
            shown, lambda texts: predict([some + rest for some in texts]), self._best(model), most=most
        )
        how = "one by one" if whole else f"in {len(words)} spans"
        note = f"A text of {len(text):,} characters: the words shown were left out {how}."
        return words, note if rest or not whole else ""

    def picture(self) -> np.ndarray | None:
        """The picture as the encoder sees it, uint8 of shape (height, width, 3); None where none is read."""
        path = self.row["image"].iloc[0]
        return files.read_image(path, self.bundle.encoders["image"].size) if "image" in self.parts else None

    def sound(self) -> np.ndarray | None:
        """The sound, 16 kHz, shape (n_samples,); None where none is read."""
        return files.read_audio(self.row["audio"].iloc[0]) if "audio" in self.parts else None

    @_once
    def patches(self, model: str = "") -> pd.DataFrame:
        """What each patch of the picture does, as ``occlusion.cover_patches`` says; without a line where none is read."""
        return self._occluded("image", model, self.picture(), occlusion.cover_patches, occlusion.PATCH_COLUMNS)

    @_once
    def bands(self, model: str = "") -> pd.DataFrame:
        """What each band of frequencies does, as ``occlusion.mute_bands`` says; without a line where no sound is read."""
        return self._occluded("audio", model, self.sound(), occlusion.mute_bands, occlusion.BAND_COLUMNS)

    @_once
    def moments(self, model: str = "") -> pd.DataFrame:
        """What each moment of the sound does, as ``occlusion.mute_windows`` says; without a line where none is read."""
        return self._occluded("audio", model, self.sound(), occlusion.mute_windows, occlusion.MOMENT_COLUMNS)

    def _occluded(self, part: str, model: str, value, occlude: Callable, columns: list[str]) -> pd.DataFrame:
        if value is None:
            return pd.DataFrame(columns=columns)
        return occlude(value, occlusion.through_files(self._predictor(part, model), part), self._best(model))

    def length_effect(self, model: str = "") -> float:
        """How much the length of the text holds the label up, beside a text of mean length; 0 where no length is read."""
        own, blocks = self.data.features, {}
        for block, columns in own.kinds.get("length", {}).items():
            blocks[block] = own.blocks[block].copy()
            blocks[block][:, columns] = 0  # the training rows' mean
        if not blocks or "text" not in self.parts:
            return 0.0
        name, best = self.bundle.model_name(model), self._best(model)
        other = self.bundle.models.predict(self.data.with_features(own.replaced(blocks)), [name])[name]
        return float(self.probabilities(name)[best] - other[0, best])

    def length_table(self, model: str = "") -> pd.DataFrame:
        """The text's length in columns, 2 a Chinese character, and its effect in points; empty where no text is read."""
        line = [text_encoder.columns(self.text), f"{100 * self.length_effect(model):+.1f}"]
        table = pd.DataFrame([line], ["length of the text"], ["length, columns", "effect, points"])
        return table if "text" in self.parts else table.head(0)

    def places(self) -> list[pd.DataFrame]:
        """What moved the chosen model's answer: ``words``, ``patches``, ``bands`` and ``moments``."""
        return [self.words(), self.patches(), self.bands(), self.moments()]

    def strongest(self) -> float:
        """The largest effect, for or against, in all ``places``: one scale for the whole row."""
        return strongest(*self.places())

    def place_verdicts(self) -> list[tuple[str, str, dict]]:
        """Key, grade and facts of the strongest of each of the ``places``."""
        return occlusion.strongest_verdicts(*self.places())

    def coloured(self) -> HTML:
        """The text, each word coloured by its effect; full strength is that of the ``strongest`` place."""
        shown = cards.coloured(self.text[: cards.MOST_CHARACTERS], self.words(), self.strongest())
        return HTML(f'{cards.STYLE}<article class="fb-card"><p dir="auto">{shown}</p></article>')

    def _predictor(self, part: str, model: str) -> Callable[[Sequence[str]], np.ndarray]:
        """What takes texts (paths of pictures or sounds) and says what ``model`` would with each as the row's ``part``."""
        name = self.bundle.model_name(model)

        def predict(values: Sequence[str]) -> np.ndarray:
            held = self.data.features.kinds.get("length", {}) if part == "text" else {}
            data = self.data[np.zeros(len(values), int)].with_features(self._variants(part, values, held))
            return self.bundle.models.predict(data, [name])[name]

        return predict

    def _variants(self, part: str, values: Sequence[str], held: dict[str, slice] | None = None) -> Features:
        """The row with each of ``values`` in place of its ``part``: no value is encoded twice, and the row's own not again.

        ``held`` are the columns, by block, in which all keep what the row has.
        """
        row, own = self.row[part].iloc[0], self.data.features
        new = [value for value in dict.fromkeys(values) if value != row]
        made = Features.of_rows(pd.DataFrame({part: new}, dtype=object), {part: self.bundle.encoders[part]})
        where = {row: 0} | {value: i for i, value in enumerate(new, 1)}
        places = [where[value] for value in values]
        kept, first = own[np.zeros(len(values), int)], own.of(part)
        blocks = {name: np.concatenate([first.blocks[name], some])[places] for name, some in made.blocks.items()}
        for name, columns in (held or {}).items():
            blocks[name][:, columns] = own.blocks[name][:, columns]
        there = np.concatenate([first.present[part], made.present[part]])[places]
        return Features(kept.blocks | blocks, kept.present | {part: there}, kinds=own.kinds)

    def judged(self, data: Dataset) -> pd.DataFrame:
        """``words`` with weight: what each brings to the label in a linear model of the n-grams of ``data.train``.

        Without a line where there are no words or no n-grams.
        """
        words = self.words()
        if not len(words) or data.features.ngrams is None:
            return words.head(0).assign(weight=[])
        weights = linear_weights(data.train.features.ngrams, data.train.labels)[self._best("")]
        read = self.bundle.encoders["text"].transform_ngrams
        return words.assign(weight=word_weights(self.text, words["word"], read, weights))

    def judge_verdicts(self, judged: pd.DataFrame) -> list[tuple[str, str, dict]]:
        """Key, grade and facts of how far both judgements in ``judged`` agree; none where neither has an order."""
        agreement = rank_agreement(judged["effect"], judged["weight"])
        if np.isnan(agreement):
            return []
        return [("judges", "note", {"correlation": f"{agreement:.2f}", "words": len(judged)})]


def linear_weights(bag: csr_array, labels: np.ndarray, *, random_state: int = 42) -> np.ndarray:
    """The weights of a linear support vector machine, shape (n_classes, n_ngrams): the cross-check of words left out.

    ``bag`` has the training rows' n-grams, shape (n_rows, n_ngrams), ``labels`` their class numbers. Raises ValueError
    where there are fewer than two classes or one of those from 0 up has no row.
    """
    classes = np.unique(labels)
    if len(classes) < 2 or classes[-1] != len(classes) - 1:
        raise ValueError(f"Class numbers {classes.tolist()}; expected 0, 1, … of two or more, with a row of each.")
    weights = LinearSVC(C=0.5, random_state=random_state).fit(bag, labels).coef_
    return np.vstack([-weights, weights]) if len(classes) == 2 else weights


def word_weights(text: str, words: Sequence[str], transform: Callable, weights: np.ndarray) -> np.ndarray:
    """What each of ``words`` brings to a linear model's score of ``text``, shape (n_words,).

    The sum, over the n-grams that stand in the word (words, pairs of words, characters), of the text's weight of the
    n-gram times the model's. An n-gram that several words share counts for each of them. ``transform`` makes bags of
    n-grams of texts, as ``TextEncoder.transform_ngrams`` does; ``weights`` is a line of ``linear_weights``.
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


def pool(
    votes: dict, present: dict, rule: str, *, prior: np.ndarray, weights: dict[str, float] | None = None
) -> np.ndarray:
    """Join the votes of single parts with weights that a person gives: probabilities of shape (n_rows, n_classes).

    Parameters
    ----------
    votes, present : part to probabilities of shape (n_rows, n_classes), and to bools of shape (n_rows,)
    rule : "mean", the weighted mean (linear opinion pool; Stone, 1961), or "product", the logarithmic pool of
        ``fusion.DecisionFusion``, in which a weight is an exponent
    prior : class shares of shape (n_classes,): the answer where nothing has a weight
    weights : part to a number from 0 up, 1 where it is not named; a part of weight 0 counts as missing

    Equal weights give the bundle's rules mean and product, the learnt ones the rule weighted. Raises ValueError for
    another rule, an unknown part, or a weight that is no such number.
    """
    names = sorted(votes)
    given = dict.fromkeys(names, 1.0) | (weights or {})
    if rule not in RULES or set(given) != set(names):
        wanted = f"one of {', '.join(RULES)}, and weights for {', '.join(names)}"
        raise ValueError(f"Rule {rule!r} with weights for {', '.join(given)}; expected {wanted}.")
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
