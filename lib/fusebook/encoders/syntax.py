"""Syntax: how a text's sentences are built, from the dependency trees of any spaCy pipeline.

Notebook 02_preprocess tells the story. spaCy is an optional extra, imported only when a pipeline is loaded.
"""

from collections import Counter
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from fusebook import runs
from fusebook.data.formats import manifest

# Parts of a pipeline that no dependency tree needs; without them English news takes a fifth of the time.
_NOT_NEEDED = ["ner", "lemmatizer", "tagger", "morphologizer", "attribute_ruler", "textcat", "entity_linker"]


@cache
def load_pipeline(name: str):
    """The spaCy pipeline of an installed package (such as ``en_core_web_sm``) or a folder.

    Raises ModuleNotFoundError where spaCy is not installed, and ValueError where the pipeline is not.
    """
    try:
        import spacy
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"The syntax pipeline {name!r} needs spaCy, which is not installed: `pip install spacy`, then "
            f"`python -m spacy download {name}`. Or leave the syntax pipeline empty."
        ) from error
    try:
        return spacy.load(name, exclude=_NOT_NEEDED)
    except OSError as error:
        if "E050" not in str(error):  # spaCy's code for a name that it can't find
            raise
        raise ValueError(
            f"The syntax pipeline {name!r} is not installed. Get it by `python -m spacy download {name}` "
            "(en_core_web_sm for English, zh_core_web_sm for Chinese), give the folder of one, or leave the name empty."
        ) from error


def relation_counts(doc) -> Counter:
    """How often each dependency relation occurs in a ``spacy.tokens.Doc``; blanks are no token."""
    return Counter(token.dep_ for token in doc if not token.is_space)


def tree_depth(doc) -> float:
    """Links from a sentence's root to its lowest word, averaged over the sentences; 0 for a text without words.

    Punctuation is no word.
    """
    heads, is_word = _tree(doc)
    depths, above = np.zeros(len(heads), int), np.arange(len(heads))
    while (moved := heads[above] != above).any():
        depths += moved
        above = heads[above]
    # By now ``above`` is the root of each token's sentence.
    deepest = np.zeros(len(heads), int)
    np.maximum.at(deepest, above[is_word], depths[is_word])
    roots = np.unique(above[is_word])
    return float(deepest[roots].mean()) if len(roots) else 0.0


def mean_dependency_distance(doc) -> float:
    """Words from a word to its head, averaged over all words of a text but the roots (Liu, 2008); 1 for neighbours.

    Punctuation is neither a word nor counted between two words. 0 where no word depends on another.
    """
    heads, is_word = _tree(doc)
    positions = np.cumsum(is_word)
    links = is_word & is_word[heads] & (heads != np.arange(len(heads)))
    distances = np.abs(positions[heads] - positions)[links]
    return float(distances.mean()) if len(distances) else 0.0


def _tree(doc) -> tuple[np.ndarray, np.ndarray]:
    """The number of each token's head, and is the token a word? Both of shape (n_tokens,)."""
    heads = np.fromiter((token.head.i for token in doc), int, len(doc))
    return heads, np.fromiter((not (token.is_punct or token.is_space) for token in doc), bool, len(doc))


class SyntaxEncoder:
    """Text to syntax features: the share of each dependency relation, ``tree_depth``, ``mean_dependency_distance``.

    Parameters
    ----------
    pipeline : the name of an installed spaCy pipeline that parses dependencies, or its folder
    """

    def __init__(self, pipeline: str):
        if not pipeline:
            raise ValueError("The syntax pipeline's name is empty; expected one such as en_core_web_sm.")
        self.pipeline = pipeline

    def fit(self, texts: list[str]) -> "SyntaxEncoder":
        """Learn which relations there are, mean and spread from training rows. Raises ValueError where none has a word."""
        measured = [facts for facts in self._measure(texts) if facts[0]]
        if not measured:
            what = "No word stands in the training texts. Check the text column, or leave the syntax pipeline empty."
            raise ValueError(what)
        self.relations_ = sorted(set().union(*(counts for counts, _, _ in measured)))
        made = self._rows(measured)
        spread = made.std(axis=0)
        self.mean_, self.scale_ = made.mean(axis=0), np.where(spread > 1e-6, spread, 1)  # 1 for a constant
        return self

    def transform(self, texts: list[str]) -> np.ndarray:
        """Features of shape (n_texts, n_relations + 2), float32; zeros (the training mean) for a text without tokens.

        Relations come in the order of ``relations_``, then depth and distance. A relation that training rows lack has
        no column, but counts in the share of the others.
        """
        measured = self._measure(texts)
        there = np.array([bool(counts) for counts, _, _ in measured], bool)[:, None]
        return np.where(there, (self._rows(measured) - self.mean_) / self.scale_, 0).astype(np.float32)

    def _measure(self, texts) -> list[tuple[Counter, float, float]]:
        # Halves of a surrogate pair, which spaCy can't take, become question marks.
        whole = (text.encode("utf-8", "replace").decode() for text in texts)
        measured = []
        for doc in load_pipeline(self.pipeline).pipe(whole):
            if len(doc) and not doc.has_annotation("DEP"):
                raise ValueError(
                    f"The pipeline {self.pipeline!r} parses no dependencies. Name one with a parser, such as "
                    "en_core_web_sm or zh_core_web_sm."
                )
            measured.append((relation_counts(doc), tree_depth(doc), mean_dependency_distance(doc)))
        return measured

    def _rows(self, measured) -> np.ndarray:
        shares = [[counts[name] / max(counts.total(), 1) for name in self.relations_] for counts, *_ in measured]
        rows = [[*row, *lengths] for row, (_, *lengths) in zip(shares, measured, strict=True)]
        return np.array(rows, float).reshape(len(rows), len(self.relations_) + 2)

    def save(self, folder: Path) -> None:
        """Write the encoder as JSON. The pipeline stays outside: only its name is kept."""
        facts = {"pipeline": self.pipeline, "relations": self.relations_}
        facts |= {"mean": self.mean_.tolist(), "scale": self.scale_.tolist()}
        runs.write_json(folder / "syntax.json", facts)

    @classmethod
    def load(cls, folder: Path) -> "SyntaxEncoder":
        """Read what ``save`` wrote; the pipeline is loaded when texts come. Raises ValueError where a file is damaged."""
        path, given = folder / "syntax.json", {"pipeline": str, "relations": list, "mean": list, "scale": list}
        facts = manifest.read_json(path, given)
        with manifest.reading(path):
            encoder = cls(facts["pipeline"])
            encoder.mean_, encoder.scale_ = np.array(facts["mean"], float), np.array(facts["scale"], float)
        encoder.relations_ = facts["relations"]
        manifest.expect_names(path, "relations", encoder.relations_)
        manifest.expect_scales(path, encoder.mean_, encoder.scale_, len(encoder.relations_) + 2)
        return encoder

    def check_installed(self, path: Path) -> None:
        """Raise ValueError, naming ``path``, where the pipeline is no installed package: a folder may hold code to run."""
        try:
            version(self.pipeline)
        except (PackageNotFoundError, ValueError):
            raise ValueError(
                f"{path}: found the syntax pipeline {self.pipeline!r}; expected the name of an installed package, as one "
                "given by its folder could run a stranger's code. Install it, or open the bundle by its run: Bundle(Run(…))."
            ) from None
