"""The text encoder: word vectors and n-grams to one row of numbers a text.

Notebook 02_preprocess tells the story.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import skops.io
from scipy.sparse import csr_array, hstack
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.preprocessing import normalize

from fusebook import runs
from fusebook.tokens import tokenise
from fusebook.vectors import VectorEncoder, train_vectors


class TextEncoder:
    """Text to numbers: a mean of word vectors, and a bag of word and character n-grams squeezed by SVD.

    The n-gram bag is TF-IDF over words (1 and 2) and characters (1 to 3), chosen by chi-squared against the label; its
    singular vectors (latent semantic analysis; Deerwester and others, 1990) make it dense.

    Parameters
    ----------
    parts : "vectors", "ngrams" or "vectors+ngrams"
    vectors : a ``VectorEncoder``, whose weights ``fit`` learns; without one, skip-gram vectors of 100 numbers are trained
        on the texts given to ``fit``
    max_ngrams : n-grams that are kept
    ngram_dimensions : length of the squeezed n-gram bag
    """

    def __init__(
        self,
        parts: str = "vectors+ngrams",
        *,
        vectors: VectorEncoder | None = None,
        max_ngrams: int = 40_000,
        ngram_dimensions: int = 200,
        random_state: int = 42,
    ):
        if not set(parts.split("+")) <= {"vectors", "ngrams"}:
            raise ValueError(f"text parts are {parts!r}; expected 'vectors', 'ngrams' or 'vectors+ngrams'.")
        self.parts = parts
        self.vectors = vectors
        self.max_ngrams = max_ngrams
        self.ngram_dimensions = ngram_dimensions
        self.random_state = random_state

    def fit(self, texts: list[str], labels) -> "TextEncoder":
        """Learn vectors and n-grams from training rows only; ``labels`` of shape (n_texts,) choose the n-grams."""
        tokens = [tokenise(text) for text in texts]
        most = max(Counter(token for row in tokens for token in set(row)).values(), default=0)
        if not most:
            raise ValueError(
                "No word stands in the training texts. Check the text column, or leave the text out."
            )
        fewest = 2 if len(texts) > 50 and most > 1 else 1  # texts that a word must stand in to be learnt
        trained = self.vectors or VectorEncoder(train_vectors(tokens, random_state=self.random_state))
        self.vectors_ = trained.fit(tokens)
        self._fit_ngrams(texts, tokens, labels, fewest)
        blocks = self._encode(texts)
        self.mean_ = np.hstack([block.mean(axis=0) for block in blocks])
        # One scale a block: giving each singular vector the same spread would blow up those that are mere noise.
        spreads = [block.std() if block.std() > 1e-6 else 1 for block in blocks]  # 1 for a constant
        self.scale_ = np.hstack(
            [np.full(b.shape[1], spread) for b, spread in zip(blocks, spreads, strict=True)]
        )
        return self

    def _fit_ngrams(self, texts, tokens, labels, fewest) -> None:
        common = {"sublinear_tf": True, "dtype": np.float32, "min_df": fewest}
        self.words_ = TfidfVectorizer(token_pattern=r"\S+", lowercase=False, ngram_range=(1, 2), **common)
        self.characters_ = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **common)
        bag = hstack(
            [self.words_.fit_transform(map(" ".join, tokens)), self.characters_.fit_transform(texts)], "csr"
        )
        self.chosen_ = SelectKBest(chi2, k=min(self.max_ngrams, bag.shape[1])).fit(bag, labels)
        bag = normalize(self.chosen_.transform(bag))
        components = max(1, min(self.ngram_dimensions, min(bag.shape) - 1))
        self.svd_ = TruncatedSVD(components, random_state=self.random_state).fit(bag)

    def transform(self, texts: list[str]) -> np.ndarray:
        """Features of shape (n_texts, n_features), float32: centred and brought to unit spread, block by block."""
        if not len(texts):
            return np.empty((0, len(self.mean_)), np.float32)
        return ((np.hstack(self._encode(texts)) - self.mean_) / self.scale_).astype(np.float32)

    def transform_vectors(self, texts: list[str]) -> np.ndarray:
        """Each text's mean word vector, shape (n_texts, dimensions); zeros where no word is known."""
        return self.vectors_.transform([tokenise(text) for text in texts])

    def transform_ngrams(self, texts: list[str]) -> csr_array:
        """The TF-IDF bag of n-grams, shape (n_texts, n_ngrams), sparse, each row of length 1."""
        words = self.words_.transform(" ".join(tokenise(text)) for text in texts)
        return normalize(self.chosen_.transform(hstack([words, self.characters_.transform(texts)], "csr")))

    def _encode(self, texts) -> list[np.ndarray]:
        made = []
        if "vectors" in self.parts:
            made.append(self.transform_vectors(texts))
        if "ngrams" in self.parts:
            made.append(self.svd_.transform(self.transform_ngrams(texts)).astype(np.float32))
        return made

    def known_share(self, texts: list[str]) -> np.ndarray:
        """The share of each text's tokens that have a word vector, shape (n_texts,); 0 for a text without tokens."""
        tokens, known = [tokenise(text) for text in texts], self.vectors_.vectors.key_to_index
        return np.array([np.mean([t in known for t in row]) if row else 0.0 for row in tokens])

    def save(self, folder: Path) -> None:
        """Write the encoder as JSON, npz and skops: nothing that runs code when it is loaded."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = {name: getattr(self, name) for name in ("parts", "max_ngrams", "ngram_dimensions")}
        runs.write_json(folder / "text.json", settings)
        self.vectors_.save(folder)
        np.savez(folder / "text.npz", mean=self.mean_, scale=self.scale_)
        skops.io.dump([self.words_, self.characters_, self.chosen_, self.svd_], folder / "ngrams.skops")

    @classmethod
    def load(cls, folder: Path) -> "TextEncoder":
        """Read what ``save`` wrote."""
        encoder = cls(**runs.read_json(folder / "text.json"))
        encoder.vectors_ = VectorEncoder.load(folder)
        with np.load(folder / "text.npz") as arrays:
            encoder.mean_, encoder.scale_ = arrays["mean"], arrays["scale"]
        trusted = ["sklearn.feature_selection._univariate_selection.chi2"]
        parts = skops.io.load(folder / "ngrams.skops", trusted=trusted)
        encoder.words_, encoder.characters_, encoder.chosen_, encoder.svd_ = parts
        return encoder
