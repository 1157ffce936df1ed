"""A small bundle of text and sound for the tests of bundle and widgets: quick encoders, networks as they are born."""

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from fusebook.data.features import blocks_of, encode_rows, present_parts
from fusebook.encoders import saved
from fusebook.encoders.audio import AudioEncoder
from fusebook.encoders.text import TextEncoder
from fusebook.encoders.tokens import tokenise
from fusebook.encoders.vectors import VectorEncoder, train_vectors
from fusebook.models.bundle import FEATURE_LEVEL, TrainedModels
from fusebook.models.fusion import RULES, DecisionFusion
from fusebook.models.network import build_mlp

LABEL_NAMES = ["money", "sport", "技术"]
WORDS = ["bank share profit tax", "match goal team coach", "芯片 软件 网络 数据"]


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


def make_models(rows: pd.DataFrame, labels: np.ndarray) -> tuple[TrainedModels, dict]:
    """Calibrated networks and all four fusions over ``rows``, and the encoders they need."""
    there = (rows["text"] != "").to_numpy()
    texts = rows.loc[there, "text"].tolist()
    vectors = VectorEncoder(train_vectors([tokenise(text) for text in texts], dimensions=4))
    encoders = {
        "text": TextEncoder(vectors=vectors, width=20).fit(texts, labels[there]),
        "audio": AudioEncoder().fit(rows["audio"].tolist()),
    }
    features, present = encode_rows(rows, encoders), present_parts(rows, list(encoders))
    sizes = {name: values.shape[1] for name, values in features.items()}
    shape = {"hidden": [6], "activations": ["relu"], "n_ngrams": encoders["text"].bag_.n_ngrams_}
    networks = {part: build_mlp(blocks_of(sizes, part), 3, random_state=5, **shape) for part in sorted(encoders)}
    networks[FEATURE_LEVEL] = build_mlp(sizes, 3, **shape)
    models = TrainedModels(networks, np.array([0.2, 0.5, 0.3]))
    models.calibrate(features, present, labels)
    votes = models.predict(features, present, names=list(encoders))
    models.fusions = {
        f"decision-level {rule}": DecisionFusion(rule, models.prior).fit(votes, present, labels) for rule in RULES
    }
    return models, encoders


def save(folder: Path, models: TrainedModels, encoders: dict) -> Path:
    """Write the bundle to ``folder`` and say where."""
    saved.save_encoders(folder / "encoders", encoders)
    facts = {"label_names": LABEL_NAMES, "chosen": "decision-level mean", "modalities": sorted(encoders)}
    models.save_bundle(folder / "bundle", facts, encoders=folder / "encoders")
    return folder / "bundle"


def predict_at_own_length(bundle, one: pd.DataFrame, text: str, model: str = "") -> np.ndarray:
    """Probabilities for ``one``, a row, with another text that counts as long as its own: what is left of words tells."""
    features, present = bundle.encode(one.assign(text=text))
    columns = bundle.encoders["text"].columns()["length"]["text"]
    features["text"][:, columns] = bundle.encode(one)[0]["text"][:, columns]
    model = model or bundle.chosen
    return bundle.models.predict(features, present, names=[model])[model][0]
