"""A small bundle of text and sound for the tests of bundle and widgets: quick encoders, networks as they are born."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from fusebook.data.dataset import Dataset
from fusebook.encoders.audio import AudioEncoder
from fusebook.encoders.parts import Encoders
from fusebook.encoders.text import TextEncoder
from fusebook.encoders.tokens import tokenise
from fusebook.encoders.vectors import VectorEncoder, train_vectors
from fusebook.models.bundle import FEATURE_LEVEL, Bundle, Models
from fusebook.models.layers import build_mlp
from fusebook.models.network import Network
from fusebook.runs import Run

LABEL_NAMES = ["money", "sport", "技术"]
WORDS = ["bank share profit tax", "match goal team coach", "芯片 软件 网络 数据"]
PARTS = ("audio", "text")


def make_rows(folder: Path, n_rows: int = 24) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows as ``checks.check_rows`` returns them, and class numbers; some lack the text, some the sound, one both."""
    rng = np.random.default_rng(0)
    labels = np.arange(n_rows) % 3
    lines = []
    for i, k in enumerate(labels):
        path = folder / f"{i}.wav"
        tone = np.sin(2 * np.pi * 300 * (k + 1) * np.arange(1600) / 16_000) + rng.normal(0, 0.1, 1600)
        soundfile.write(path, 0.5 * tone, 16_000)
        text = " ".join(rng.permutation(WORDS[k].split()))
        lines.append((10 + i, text if i % 5 else "", "", str(path) if i % 4 else "", LABEL_NAMES[k]))
    return pd.DataFrame(lines, columns=["row", "text", "image", "audio", "label"]), labels


def make_models(rows: pd.DataFrame, labels: np.ndarray, parts: Sequence[str] = PARTS) -> tuple[Models, Encoders]:
    """Calibrated networks over ``parts`` of ``rows``, all four fusions where there are two, and the encoders they need."""
    there = (rows["text"] != "").to_numpy()
    texts = rows.loc[there, "text"].tolist()
    vectors = VectorEncoder(train_vectors([tokenise(text) for text in texts], dimensions=4))
    text = TextEncoder(vectors=vectors, width=20).fit(texts, labels[there])
    fitted = {"text": text, "audio": AudioEncoder().fit(rows["audio"].tolist(), labels)}
    encoders = Encoders({part: fitted[part] for part in parts})
    data = Dataset(rows.assign(class_id=labels), LABEL_NAMES, encoders.transform(rows))
    models, shape = Models(), {"hidden": [6], "activations": ["relu"], "n_ngrams": text.bag_.n_ngrams_}
    models.prior_, models.label_names_ = np.array([0.2, 0.5, 0.3]), LABEL_NAMES
    for part in sorted(parts):
        network = build_mlp(data.features.of(part).sizes, 3, random_state=5, **shape)
        models[part] = Network.of_keras(network, [part])
    if len(parts) > 1:
        models[FEATURE_LEVEL] = Network.of_keras(build_mlp(data.features.sizes, 3, **shape), sorted(parts))
    votes = models.votes(data)
    return models.calibrate(votes).fuse(votes), encoders


def save(folder: Path, models: Models, encoders: Encoders, held=None) -> Path:
    """Write the bundle to the run ``folder``, with label sets learnt from ``held``, and say where."""
    run = Run(folder)
    encoders.save(run.path("encoders"))
    models.save_bundle(run, "decision-level mean" if len(models.parts) > 1 else models.parts[0], held)
    return run.path("bundle")


def predict(bundle: Bundle, rows: pd.DataFrame, model: str = "") -> np.ndarray:
    """What ``model`` says of ``rows``, the chosen one by default: shape (n_rows, n_classes)."""
    name = model or bundle.chosen
    return bundle.predict(rows, [name])[name]


def predict_at_own_length(bundle: Bundle, one: pd.DataFrame, text: str, model: str = "") -> np.ndarray:
    """Probabilities for ``one``, a row, with another text that counts as long as its own: what is left of words tells."""
    changed, given = bundle.encode(one.assign(text=text)), bundle.encode(one)
    columns, values = given.features.kinds["length"]["text"], changed.features.blocks["text"].copy()
    values[:, columns] = given.features.blocks["text"][:, columns]
    data = changed.with_features(changed.features.replaced({"text": values}))
    name = model or bundle.chosen
    return bundle.models.predict(data, [name])[name][0]


def ask(bundle: Bundle, rows: pd.DataFrame, number: int):
    """The ``Question`` about row ``number`` of ``rows``."""
    from fusebook.inspection.question import Question, one_row

    return Question(bundle, one_row(rows, number))
