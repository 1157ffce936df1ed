"""The trained models of a run, and the bundle: what a person takes away to predict new rows, with no pickle in it.

Notebooks 03_train (writes it) and 06_predict (uses it) tell the story.
"""
# FOLDED: From a new table without labels to predictions, through a bundle.

import csv
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from fusebook import runs
from fusebook.data import checks, tables
from fusebook.data.features import blocks_of, encode_rows, mask, modality_of, present_parts, take
from fusebook.encoders import saved
from fusebook.models import network
from fusebook.models import network as models_network
from fusebook.models.fusion import RULES, DecisionFusion
from fusebook.models.network import fit_temperature, load_model, model_inputs, save_model
from fusebook.models.training import fit_mlp, settings

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
        for name, own in self.networks.items():
            inputs, there = self._inputs(name, features, present)
            if there.any():
                raw = models_network.predict(own, take(inputs, there))
                self.temperatures[name] = fit_temperature(raw, labels[there])

    def predict(self, features: dict, present: dict, *, names: list[str] | None = None) -> dict[str, np.ndarray]:
        """Every model's probabilities (or those of ``names``), each of shape (n_rows, n_classes).

        A row that has none of a model's parts gets the class shares of the training rows from it.
        """
        names = self.names if names is None else names
        fused = any(name in self.fusions for name in names)
        result = {}
        for name, own in self.networks.items():
            if name in names or (fused and name != FEATURE_LEVEL):
                inputs, there = self._inputs(name, features, present)
                raw = models_network.predict(own, inputs)
                made = models_network.calibrate(raw, self.temperatures[name])
                result[name] = np.where(there[:, None], made, self.prior)
        votes = {name: values for name, values in result.items() if name != FEATURE_LEVEL}
        result |= {name: rule.predict(votes, present) for name, rule in self.fusions.items() if name in names}
        return {name: result[name] for name in names}

    @staticmethod
    def _inputs(name: str, features: dict, present: dict) -> tuple[dict, np.ndarray]:
        own = features if name == FEATURE_LEVEL else blocks_of(features, name)
        parts = {modality_of(block) for block in own}
        return model_inputs(own, present), np.any([present[part] for part in parts], axis=0)

    def save_networks(self, folder: Path) -> None:
        """Write every network as .keras to ``folder``, whole."""
        with runs.replacing(folder) as beside:
            beside.mkdir()
            for name, own in self.networks.items():
                save_model(own, beside / f"{name}.keras")

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
        self.label_names, self.chosen, self.modalities = (facts["label_names"], facts["chosen"], facts["modalities"])
        networks = {name: load_model(folder / "models" / f"{name}.keras") for name in facts["networks"]}
        self.models = TrainedModels(networks, np.array(facts["prior"]))
        self.models.temperatures = facts["temperatures"]
        self.models.fusions = {name: DecisionFusion.from_json(value) for name, value in facts["fusions"].items()}
        self.encoders = saved.load_encoders(folder / "encoders", self.modalities)

    def encode(self, rows: pd.DataFrame, *, without: tuple[str, ...] = ()) -> tuple[dict, dict]:
        """Features and present parts of ``rows``; parts named in ``without`` count as missing.

        Raises ValueError where ``without`` names a part that the bundle does not read.
        """
        self.check_parts(without)
        present = present_parts(rows, self.modalities)
        present = {name: there & (name not in without) for name, there in present.items()}
        return mask(encode_rows(rows, self.encoders), present), present

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


def predict_table(
    bundle: str | Path | Bundle, table: str | Path, *, columns: dict[str, str], model: str = ""
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict every row of a table that can be read.

    Parameters
    ----------
    columns : names of the table's columns by part (text, image, audio); "" for none

    Returns
    -------
    predictions : the table's own columns (" (table)" is put behind a name that is also ours), then predicted, class_id,
        confidence and one probability column a label
    rejected : DataFrame with row, part, reason, detail

    Raises FileNotFoundError and ValueError as ``tables.read_table``, ``checks.check_rows`` and ``Bundle`` do.
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle(bundle)
    content, refused = tables.read_table(table)
    rows, rejected = checks.check_rows(content, columns=columns, folder=Path(table).parent)
    probabilities = bundle.predict(rows, model=model) if len(rows) else np.empty((0, len(bundle.label_names)))
    made = prediction_columns(probabilities, bundle.label_names)
    own = content.loc[rows["row"]].reset_index(drop=True)
    own.columns = _own_names(list(own), set(made))
    return pd.concat([own, made], axis=1), pd.concat([refused, rejected], ignore_index=True)


def _own_names(names: list[str], ours: set[str]) -> list[str]:
    """``names`` with " (table)" behind each that is one of ``ours``; more than once where that name is taken too."""
    result, taken = [], ours | set(names)
    for name in names:
        if name in ours:
            while name in taken:
                name += " (table)"
            taken.add(name)
        result.append(name)
    return result


def predict_rows(bundle: Bundle, rows: pd.DataFrame, *, model: str = "") -> pd.DataFrame:
    """Predictions of checked rows: row and text, then the columns of ``prediction_columns``."""
    made = prediction_columns(bundle.predict(rows, model=model), bundle.label_names)
    return pd.concat([rows[["row", "text"]], made], axis=1)


def prediction_columns(probabilities: np.ndarray, label_names: list[str]) -> pd.DataFrame:
    """predicted, class_id, confidence and one column ``probability_<label>`` a label, one line a row."""
    best = probabilities.argmax(axis=1)
    made = {
        "predicted": np.array(label_names, dtype=object)[best],
        "class_id": best,
        "confidence": probabilities.max(axis=1),
    }
    made |= {f"probability_{name}": probabilities[:, i] for i, name in enumerate(label_names)}
    return pd.DataFrame(made)


def write_predictions(path: str | Path, predictions: pd.DataFrame) -> None:
    """Write predictions as CSV (UTF-8 with a mark, so that spreadsheets show Chinese), whole or not at all."""
    with runs.replacing(path) as beside:
        # All text in quotes: pandas leaves a lone carriage return bare, and readers would break the line there.
        options = {"quoting": csv.QUOTE_NONNUMERIC, "float_format": "%.6f"}
        predictions.to_csv(beside, index=False, encoding="utf-8-sig", **options)


def fit_models(
    features: dict[str, np.ndarray],
    present: dict[str, np.ndarray],
    labels: np.ndarray,
    splits: dict[str, np.ndarray],
    *,
    modality_dropout: float = 0.0,
    patience: int = 3,
    random_state: int = 42,
    **given,
) -> TrainedModels:
    """Train one MLP a modality and the feature-level MLP, calibrate them, and learn every decision-level fusion.

    Parameters
    ----------
    features, present : of all rows, as ``features.encode_rows`` and ``features.present_parts`` return them
    labels : class numbers of shape (n_rows,); their highest says how many classes there are
    splits : "train" and "validation" to bools of shape (n_rows,)
    given : options of ``training.settings``, such as n_ngrams

    Raises ValueError where no training row has one of the modalities.
    """
    n_classes, (train, validation) = int(labels.max()) + 1, (splits["train"], splits["validation"])
    networks = {}
    for name in [*sorted(present), *([FEATURE_LEVEL] if len(present) > 1 else [])]:
        joint = name == FEATURE_LEVEL
        own = features if joint else blocks_of(features, name)
        learn, watch = (rows & (joint | present.get(name, True)) for rows in (train, validation))
        build, fit = settings(learn.sum(), own, n_classes=n_classes, **given)
        sizes = {block: values.shape[1] for block, values in own.items()}
        build["modality_dropout"] = modality_dropout
        networks[name] = network.build_mlp(sizes, n_classes, random_state=random_state, **build)
        inputs = network.model_inputs(own, present)
        watched = take(inputs, watch), labels[watch]
        learned = take(inputs, learn)
        fit_mlp(networks[name], learned, labels[learn], validation=watched, patience=patience, **fit)
        del learned  # of a million rows it is a gigabyte
    trained = TrainedModels(networks, np.bincount(labels[train], minlength=n_classes) / train.sum())
    watched = take(features, validation), take(present, validation)
    trained.calibrate(*watched, labels[validation])
    if len(present) > 1:
        votes = trained.predict(*watched, names=sorted(present))
        for rule in RULES:
            fusion = DecisionFusion(rule, trained.prior).fit(votes, watched[1], labels[validation])
            trained.fusions[f"decision-level {rule}"] = fusion
    return trained
