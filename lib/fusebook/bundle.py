"""The trained models of a run, and the bundle: what a person takes away to predict new rows, with no pickle in it.

Notebooks 03_train (writes it) and 06_predict (uses it) tell the story.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from fusebook import calibration, runs
from fusebook import features as feature_room
from fusebook import model as model_room
from fusebook.fusion import DecisionFusion

FEATURE_LEVEL = "feature-level fusion"


class TrainedModels:
    """One calibrated MLP a modality, the feature-level MLP, and the decision-level fusions over their votes.

    Parameters
    ----------
    networks : model name to Keras model; a modality's name, or ``FEATURE_LEVEL``
    prior : class shares among the training rows, shape (n_classes,)
    """

    def __init__(self, networks: dict, prior: np.ndarray):
        self.networks = networks
        self.prior = np.asarray(prior, np.float64)
        self.temperatures = dict.fromkeys(networks, 1.0)
        self.fusions: dict[str, DecisionFusion] = {}

    @property
    def names(self) -> list[str]:
        """The names of all models that can predict."""
        return [*self.networks, *self.fusions]

    def calibrate(self, features: dict, present: dict, labels: np.ndarray) -> None:
        """Fit each network's temperature on rows it was not trained on."""
        for name, network in self.networks.items():
            inputs, there = self._inputs(name, features, present)
            if there.any():
                raw = model_room.predict(network, feature_room.take(inputs, there))
                self.temperatures[name] = calibration.fit_temperature(raw, labels[there])

    def predict(
        self, features: dict, present: dict, *, names: list[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Every model's probabilities (or those of ``names``), each of shape (n_rows, n_classes).

        A row that has none of a model's parts gets the class shares of the training rows from it.
        """
        names = self.names if names is None else names
        fused = any(name in self.fusions for name in names)
        result = {}
        for name, network in self.networks.items():
            if name in names or (fused and name != FEATURE_LEVEL):
                inputs, there = self._inputs(name, features, present)
                raw = model_room.predict(network, inputs)
                made = calibration.calibrate(raw, self.temperatures[name])
                result[name] = np.where(there[:, None], made, self.prior)
        votes = {name: values for name, values in result.items() if name != FEATURE_LEVEL}
        result |= {name: rule.predict(votes, present) for name, rule in self.fusions.items() if name in names}
        return {name: result[name] for name in names}

    @staticmethod
    def _inputs(name: str, features: dict, present: dict) -> tuple[dict, np.ndarray]:
        own = features if name == FEATURE_LEVEL else feature_room.blocks_of(features, name)
        parts = {feature_room.modality_of(block) for block in own}
        return model_room.model_inputs(own, present), np.any([present[part] for part in parts], axis=0)

    def save_networks(self, folder: Path) -> None:
        """Write every network as .keras to ``folder``, whole."""
        with runs.replacing(folder) as beside:
            beside.mkdir()
            for name, network in self.networks.items():
                model_room.save_model(network, beside / f"{name}.keras")

    def save_bundle(self, folder: Path, facts: dict, *, encoders: Path) -> None:
        """Write the bundle: ``facts`` (label_names, chosen, modalities), networks, fusions, and a copy of ``encoders``."""
        with runs.replacing(folder) as beside:
            beside.mkdir(parents=True)
            shutil.copytree(encoders, beside / "encoders")
            self.save_networks(beside / "models")
            fusions = {name: rule.to_json() for name, rule in self.fusions.items()}
            learnt = {"prior": self.prior.tolist(), "temperatures": self.temperatures, "fusions": fusions}
            runs.write_json(beside / "bundle.json", {**facts, **learnt, "networks": list(self.networks)})


class Bundle:
    """A saved bundle, ready to predict rows.

    Attributes
    ----------
    label_names : list of str, the class order of every probability column
    chosen : the name of the model that predicts unless another is asked for
    modalities : names of the parts it reads
    models : the ``TrainedModels``
    """

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        if not (folder / "bundle.json").exists():
            raise FileNotFoundError(
                f"{folder} is no bundle: it has no bundle.json. Pass the bundle folder of a finished run, "
                "such as reports/sample/bundle."
            )
        facts = runs.read_json(folder / "bundle.json")
        self.label_names, self.chosen, self.modalities = (
            facts["label_names"],
            facts["chosen"],
            facts["modalities"],
        )
        networks = {
            name: model_room.load_model(folder / "models" / f"{name}.keras") for name in facts["networks"]
        }
        self.models = TrainedModels(networks, np.array(facts["prior"]))
        self.models.temperatures = facts["temperatures"]
        self.models.fusions = {
            name: DecisionFusion.from_json(value) for name, value in facts["fusions"].items()
        }
        self.encoders = feature_room.load_encoders(folder / "encoders", self.modalities)

    def encode(self, rows: pd.DataFrame, *, without: tuple[str, ...] = ()) -> tuple[dict, dict]:
        """Features and present parts of ``rows``; parts named in ``without`` count as missing.

        Raises ValueError where ``without`` names a part that the bundle does not read.
        """
        self.check_parts(without)
        present = feature_room.present_parts(rows, self.modalities)
        present = {name: there & (name not in without) for name, there in present.items()}
        return feature_room.mask(feature_room.encode_rows(rows, self.encoders), present), present

    def check_parts(self, without: tuple[str, ...]) -> None:
        """Raise ValueError where ``without`` names a part that the bundle does not read."""
        if unknown := set(without) - set(self.modalities):
            raise ValueError(
                f"The bundle reads no {', '.join(sorted(unknown))}; expected a tuple of parts among "
                f"{', '.join(self.modalities)}, such as without=({self.modalities[0]!r},)."
            )

    def predict_all(self, rows: pd.DataFrame, *, without: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
        """Every model's probabilities for ``rows`` (as ``checks.check_rows`` returns them), by model name."""
        return self.models.predict(*self.encode(rows, without=without))

    def predict(self, rows: pd.DataFrame, *, model: str = "") -> np.ndarray:
        """Probabilities of ``model`` (the chosen one by default), shape (n_rows, n_classes)."""
        model = self.model_name(model)
        return self.models.predict(*self.encode(rows), names=[model])[model]

    def model_name(self, model: str) -> str:
        """``model``, or the chosen one where it is "". Raises ValueError where the bundle has no such model."""
        if model and model not in self.models.names:
            raise ValueError(f"No model {model!r} in the bundle; it has {', '.join(self.models.names)}.")
        return model or self.chosen
