"""The bundle: what a person takes away from a run to predict new rows, with no pickle in it.

Notebooks 03_train (writes it) and 06_predict (uses it) tell the story.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from fusebook import features as feature_room
from fusebook import model as model_room
from fusebook import runs
from fusebook.fusion import DecisionFusion

FEATURE_LEVEL = "feature-level fusion"


class Bundle:
    """Encoders, one MLP a modality, feature-level MLP and decision-level fusions, loaded from a folder.

    Attributes
    ----------
    label_names : list of str, the class order of every probability column
    chosen : the name of the model that predicts unless another is asked for
    models : names of all models that can predict
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        path = self.folder / "bundle.json"
        if not path.exists():
            raise FileNotFoundError(
                f"{self.folder} is no bundle: it has no bundle.json. Pass the bundle folder of a finished run, "
                "such as reports/sample/bundle."
            )
        facts = runs.read_json(path)
        self.label_names, self.chosen, self.modalities = (
            facts["label_names"],
            facts["chosen"],
            facts["modalities"],
        )
        self.prior, self.temperatures = np.array(facts["prior"]), facts["temperatures"]
        self.fusions = {name: DecisionFusion.from_json(value) for name, value in facts["fusions"].items()}
        self.encoders = feature_room.load_encoders(self.folder / "encoders", self.modalities)
        self.networks = {
            name: model_room.load_model(self.folder / "models" / f"{name}.keras")
            for name in facts["networks"]
        }

    @property
    def models(self) -> list[str]:
        return [*self.networks, *self.fusions]

    def predict_all(self, rows: pd.DataFrame, *, without: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
        """Every model's probabilities for ``rows`` (as ``tables.check_rows`` returns them).

        ``without`` names modalities to leave out as if the rows lacked them. Returns model name to array of shape
        (n_rows, n_classes), columns in ``label_names`` order.
        """
        present = feature_room.present_parts(rows, self.modalities)
        present = {name: there & (name not in without) for name, there in present.items()}
        encoders = {name: encoder for name, encoder in self.encoders.items() if present[name].any()}
        made = feature_room.encode_rows(rows, encoders)
        features = {name: self._features(name, made, present, len(rows)) for name in self.modalities}
        return predict_features(self, features, present)

    def _features(self, name, made, present, n_rows) -> np.ndarray:
        if name in made:
            return np.where(present[name][:, None], made[name], 0)
        size = self.networks[name].input_shape[name][-1]
        return np.zeros((n_rows, size), np.float32)

    def predict(self, rows: pd.DataFrame, *, model: str = "") -> np.ndarray:
        """Probabilities of ``model`` (the chosen one by default), shape (n_rows, n_classes)."""
        model = model or self.chosen
        if model not in self.models:
            raise ValueError(f"No model {model!r} in the bundle; it has {', '.join(self.models)}.")
        return self.predict_all(rows)[model]


def predict_features(
    bundle, features: dict[str, np.ndarray], present: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Every model's calibrated probabilities from features: one modality each, feature level, decision level.

    ``bundle`` has networks, temperatures, fusions and prior. A row that lacks a network's only part gets the class
    shares of the training rows from it.
    """
    result = {}
    for name, network in bundle.networks.items():
        own = features if name == FEATURE_LEVEL else {name: features[name]}
        raw = model_room.predict(network, model_room.model_inputs(own, present))
        there = np.any([present[part] for part in own], axis=0)
        result[name] = np.where(
            there[:, None], model_room.calibrate(raw, bundle.temperatures[name]), bundle.prior
        )
    votes = {name: result[name] for name in features}
    return result | {name: fusion.predict(votes, present) for name, fusion in bundle.fusions.items()}


def save_bundle(folder: Path, *, facts: dict, fusions: dict, encoders: Path, models: Path) -> None:
    """Gather a bundle: ``facts`` (label_names, chosen, modalities, prior, temperatures, networks) and fusions as
    JSON, and copies of the encoder and model folders."""
    with runs.replacing(folder) as beside:
        beside.mkdir()
        shutil.copytree(encoders, beside / "encoders")
        shutil.copytree(models, beside / "models")
        described = {name: fusion.to_json() for name, fusion in fusions.items()}
        runs.write_json(beside / "bundle.json", {**facts, "fusions": described})
