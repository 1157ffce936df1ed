"""The trained models of a run, and the bundle: what a person takes away to predict new rows, with no pickle in it.

Notebooks 03_train (writes it) and 06_predict (uses it) tell the story.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold

from fusebook import runs
from fusebook.data.checks import Table
from fusebook.data.dataset import Dataset
from fusebook.data.features import part_of
from fusebook.data.formats import manifest
from fusebook.data.predictions import Answers, Predictions
from fusebook.data.tables import REJECTED_COLUMNS, read_table
from fusebook.encoders.parts import Encoders
from fusebook.models import layers
from fusebook.models.baselines import Cost, array_bytes, rows_a_second
from fusebook.models.calibration import calibrate, fit_label_sets, fit_temperature, label_sets
from fusebook.models.fusion import RULES, DecisionFusion
from fusebook.models.network import Network
from fusebook.runs import Run

FEATURE_LEVEL = "feature-level fusion"
DECISION_LEVEL = "decision-level"
_RULE_NAMES = {f"{DECISION_LEVEL} {rule}": rule for rule in RULES}


class Models(dict):
    """Part to its ``Network``, ``FEATURE_LEVEL`` to the one over all parts, and the rules that join the parts' votes.

    Parameters
    ----------
    modality_dropout : of the network over all parts alone
    recipe : other options of each ``Network``

    Attributes
    ----------
    fusions_ : name to fitted ``DecisionFusion``; none where there is one part
    prior_ : class shares among the training rows, shape (n_classes,): the answer to a row without any of a model's parts
    label_names_ : names of the classes
    """

    def __init__(self, *, modality_dropout: float = 0.0, **recipe):
        super().__init__()
        self.modality_dropout, self.recipe, self.fusions_ = modality_dropout, recipe, {}

    def fit(self, data: Dataset) -> "Models":
        """All four steps below, on the training and the validation rows of ``data``."""
        votes = self.fit_parts(data).fit_joint(data).votes(data.validation)
        return self.calibrate(votes).fuse(votes)

    def fit_parts(self, data: Dataset) -> "Models":
        """One network for each part, trained on the rows that have it.

        What was learnt before is forgotten. Raises ValueError where no training row has one of the parts.
        """
        self.clear()
        self.fusions_ = {}
        self.prior_, self.label_names_ = data.prior, data.label_names
        self.update({part: Network(**self.recipe).fit(data.of(part)) for part in data.parts})
        return self

    def fit_joint(self, data: Dataset) -> "Models":
        """Feature-level fusion: one network over all parts, where there are several."""
        self.prior_, self.label_names_ = data.prior, data.label_names
        if len(data.parts) > 1:
            self[FEATURE_LEVEL] = Network(modality_dropout=self.modality_dropout, **self.recipe).fit(data)
        return self

    def votes(self, data: Dataset, names: Iterable[str] | None = None) -> Predictions:
        """What each network, or those of ``names``, says of each row before its temperature.

        The class shares of the training rows stand where a row has none of its parts.
        """
        networks = self if names is None else {name: self[name] for name in self if name in set(names)}
        made = {
            name: np.where(network.reads(data)[:, None], network.predict_raw(data), self.prior_)
            for name, network in networks.items()
        }
        return Predictions(made, data.rows, data.label_names)

    def calibrate(self, votes: Predictions) -> "Models":
        """Fit each network's temperature to ``votes`` on rows that it, or another trained like it, had not seen."""
        for name, temperature in self._fitted_temperatures(votes).items():
            self[name].temperature_ = temperature
        return self

    def fuse(self, votes: Predictions) -> "Models":
        """Decision-level fusion: learn each rule of ``fusion.RULES`` from ``votes`` as in ``calibrate``."""
        self.fusions_ = self._fitted_rules(self._scaled(votes, votes.present, self.temperatures()), votes)
        return self

    def _fitted_temperatures(self, votes: Predictions) -> dict[str, float]:
        reads = self._reads(votes.present)
        return {name: fit_temperature(values[reads[name]], votes.labels[reads[name]]) for name, values in votes.items()}

    def _fitted_rules(self, scaled: dict[str, np.ndarray], votes: Predictions) -> dict[str, DecisionFusion]:
        if len(self.parts) < 2:
            return {}
        single, present = {part: scaled[part] for part in self.parts}, votes.present
        rules = {f"{DECISION_LEVEL} {rule}": DecisionFusion(rule, self.prior_) for rule in RULES}
        return {name: rule.fit(single, present, votes.labels) for name, rule in rules.items()}

    def _reads(self, present: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Which rows have one of each network's parts."""
        return {name: np.any([present[part] for part in network.parts_], axis=0) for name, network in self.items()}

    def _scaled(self, votes: Predictions, present: dict[str, np.ndarray], temperatures: dict[str, float]) -> dict:
        """``votes`` at their temperatures; the class shares stay as they are."""
        reads = self._reads(present)
        return {
            name: np.where(reads[name][:, None], calibrate(values, temperatures[name]), self.prior_)
            for name, values in votes.items()
        }

    @property
    def parts(self) -> list[str]:
        """The parts that have a network of their own, in the order of their names."""
        return [name for name in self if name != FEATURE_LEVEL]

    @property
    def names(self) -> list[str]:
        """The names of all models that can predict."""
        return [*self, *self.fusions_]

    @property
    def joins(self) -> list[str]:
        """The names of those models that join parts, at feature level or at decision level."""
        return [name for name in self.names if name not in self.parts]

    def predict(self, data: Dataset, names: list[str] | None = None) -> Predictions:
        """What every model, or those of ``names``, says of each row.

        A row that has none of a model's parts gets the class shares of the training rows from it.
        """
        names = self.names if names is None else names
        asked = {*names, *self.parts} if set(names) & set(self.fusions_) else names
        votes, present = self.votes(data, asked), data.features.present
        made = self._scaled(votes, present, self.temperatures())
        made |= {name: rule.predict(made, present) for name, rule in self.fusions_.items() if name in names}
        return Predictions({name: made[name] for name in names}, data.rows, data.label_names)

    def held_out(self, votes: Predictions) -> Predictions:
        """What every model says of the rows of ``votes``: temperatures and rules are learnt from the others, by five folds.

        It is what a model is chosen by, and what a small table is scored by. Groups are never parted; a single one is
        answered as if nothing had been learnt.
        """
        groups = np.arange(votes.n_rows) if votes.groups is None else votes.groups
        made = {name: np.empty((votes.n_rows, len(votes.label_names))) for name in self.names}
        for known, held in _dealt(groups):
            answers = self._taught(votes.chosen(known), votes.chosen(held))
            for name in made:
                made[name][held] = answers[name]
        return Predictions(made, votes.rows, votes.label_names)

    def _taught(self, known: Predictions, held: Predictions) -> dict[str, np.ndarray]:
        """What every model says of the rows of ``held``, temperatures and rules learnt from the votes ``known``."""
        temperatures, present = self._fitted_temperatures(known), held.present
        rules = self._fitted_rules(self._scaled(known, known.present, temperatures), known)
        answers = self._scaled(held, present, temperatures)
        return answers | {name: rule.predict(answers, present) for name, rule in rules.items()}

    def plans(self) -> pd.DataFrame:
        """How each network was built and trained, one line a network."""
        return pd.DataFrame({name: network.plan_ for name, network in self.items()}).T.rename_axis("network")

    def histories(self) -> dict[str, pd.DataFrame]:
        """The learning curves of each network."""
        return {name: network.history_ for name, network in self.items()}

    def best_epochs(self) -> pd.DataFrame:
        """One line a network: epochs run, the best of them, and its validation loss."""
        losses = {name: history["val_loss"] for name, history in self.histories().items()}
        lines = {
            name: {"epochs run": len(loss), "best epoch": loss.idxmin(), "validation loss": loss.min()}
            for name, loss in losses.items()
        }
        return pd.DataFrame(lines).T.rename_axis("network").astype({"epochs run": int, "best epoch": int})

    def temperatures(self) -> dict[str, float]:
        """The temperature of each network."""
        return {name: network.temperature_ for name, network in self.items()}

    def weights(self) -> pd.Series:
        """The weight that the rule "weighted" learnt for each part; 1 for a part that is alone."""
        rule = self.fusions_.get(f"{DECISION_LEVEL} weighted")
        return pd.Series(rule.weights_ if rule else 1.0, index=self.parts, name="learnt weight")

    def costs(self, data: Dataset) -> dict[str, Cost]:
        """What each network cost to train, and costs to ask about ``data``, which it was asked about before."""
        made = {name: array_bytes(network.keras_.get_weights()) for name, network in self.items()}
        return {
            name: Cost(self[name].seconds_, rows_a_second(self[name].predict, data), size)
            for name, size in made.items()
        }

    def save(self, folder: Path) -> None:
        """Write every network as .keras to ``folder``, whole."""
        with runs.replacing(folder) as beside:
            beside.mkdir()
            for name, network in self.items():
                layers.save_model(network.keras_, beside / f"{name}.keras")

    def save_bundle(self, run: Run, chosen: str, held: Predictions | None = None) -> None:
        """Write the bundle of ``run``: networks, rules, and a copy of its encoders; ``chosen`` is the model that answers.

        ``held`` are answers to rows that their model has not learnt from: each model in it gets its label sets.
        """
        with runs.replacing(run.path("bundle")) as beside:
            beside.mkdir(parents=True)
            shutil.copytree(run.need("encoders"), beside / "encoders")
            self.save(beside / "models")
            facts = {"label_names": self.label_names_, "chosen": chosen, "modalities": self.parts}
            facts |= {"prior": self.prior_.tolist(), "temperatures": self.temperatures()}
            facts |= {"fusions": {name: rule.to_json() for name, rule in self.fusions_.items()}, "networks": list(self)}
            facts["label_sets"] = _least_in_sets(held.only(self.names)) if held is not None else {}
            runs.write_json(beside / "bundle.json", facts)
            manifest.write_manifest(beside)

    @classmethod
    def load(cls, folder: Path) -> "Models":
        """The models of the bundle in ``folder``. Raises ValueError where one is damaged."""
        facts, made = manifest.bundle_facts(folder / "bundle.json", FEATURE_LEVEL, _RULE_NAMES), cls()
        made.prior_, made.label_names_ = np.array(facts["prior"]), facts["label_names"]
        for name in facts["networks"]:
            parts = sorted(facts["modalities"]) if name == FEATURE_LEVEL else [name]
            model = layers.load_model(folder / "models" / f"{name}.keras")
            made[name] = Network.of_keras(model, parts, facts["temperatures"][name])
        with manifest.reading(folder / "bundle.json"):
            made.fusions_ = {name: DecisionFusion.from_json(value) for name, value in facts["fusions"].items()}
        return made

    def check(self, folder: Path, sizes: dict[str, int], n_ngrams: int) -> None:
        """Raise ValueError where a network in ``folder`` does not read what the encoders make, or says no class each.

        ``sizes`` are the columns of each block, ``n_ngrams`` those of the bag of n-grams.
        """
        for name, network in self.items():
            path, model = folder / "models" / f"{name}.keras", network.keras_
            with manifest.reading(path):
                found = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
                wanted = {block: (size,) for block, size in sizes.items() if part_of(block) in network.parts_}
                wanted |= {"present": (len(network.parts_),)} if len(network.parts_) > 1 else {}
                manifest.expect(found == wanted, path, f"inputs {found}", f"{wanted}, as the encoders make them")
                shape = tuple(model.output_shape)
                manifest.expect(shape == (None, len(self.label_names_)), path, f"answers of shape {shape}",
                                f"(None, {len(self.label_names_)}), a column a label")  # fmt: skip
                rooms = [layer.n_ngrams for layer in model.layers if isinstance(layer, layers.EmbeddingBag)]
                fits = all(n >= n_ngrams for n in rooms)
                manifest.expect(fits, path, f"room for {rooms} n-grams", f"{n_ngrams:,} or more, as the encoder has")


def _dealt(groups: np.ndarray) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Positions to learn from and to answer, five times over: each row is answered once, and no group is parted."""
    n_folds = min(5, len(np.unique(groups)))
    if n_folds < 2:
        return [(np.arange(0), np.arange(len(groups)))]
    return GroupKFold(n_folds, shuffle=True, random_state=42).split(groups, groups=groups)


class Bundle:
    """A saved bundle, ready to predict rows.

    Parameters
    ----------
    folder : the bundle's folder, or the ``Run`` that it belongs to

    Attributes
    ----------
    label_names : list of str, the class order of every probability column
    chosen : the name of the model that predicts unless another is asked for
    parts : names of the parts that it reads
    models : ``Models``
    encoders : ``Encoders``
    label_sets : model to the least probability of a label in its sets; none in the bundle of a version before

    Raises FileNotFoundError where there is no bundle, and ValueError where a file of it is damaged or was changed: see
    ``data.formats.manifest``. A syntax pipeline given by its folder is loaded from the bundle of a ``Run`` alone.
    """

    def __init__(self, folder: str | Path | Run):
        own, folder = isinstance(folder, Run), folder.need("bundle") if isinstance(folder, Run) else Path(folder)
        if not (folder / "bundle.json").exists():
            raise FileNotFoundError(
                f"{folder} is no bundle: it has no bundle.json. Pass the bundle folder of a finished run, "
                "such as reports/sample/bundle."
            )
        manifest.check_files(folder)
        self.folder = folder
        facts = manifest.bundle_facts(folder / "bundle.json", FEATURE_LEVEL, _RULE_NAMES)
        self.label_names, self.chosen, self.parts = facts["label_names"], facts["chosen"], facts["modalities"]
        self.label_sets = facts["label_sets"]
        self.encoders = Encoders.load(folder / "encoders", self.parts)
        text = self.encoders.get("text")
        if text and text.syntax_ and not own:
            text.syntax_.check_installed(folder / "encoders" / "syntax.json")
        self.models = Models.load(folder)
        self.models.check(folder, self.encoders.sizes(), text.bag_.n_ngrams_ if text else 0)

    @property
    def names(self) -> list[str]:
        """The names of all models, the chosen one first."""
        return sorted(self.models.names, key=lambda name: name != self.chosen)

    def encode(self, rows: pd.DataFrame) -> Dataset:
        """``rows`` (as ``checks.Table`` has them) as a ``Dataset`` that ``models`` can predict."""
        return Dataset(rows.reset_index(drop=True), self.label_names, self.encoders.transform(rows))

    def predict(self, rows: pd.DataFrame, names: list[str] | None = None) -> Predictions:
        """What every model, or those of ``names``, says of ``rows``. Raises ValueError where that is no finite number."""
        made = self.models.predict(self.encode(rows), names)
        for name, values in made.items():
            if not np.isfinite(values).all():
                raise ValueError(
                    f"{self.folder}: found answers of {name!r} that are no numbers; expected probabilities. Its weights "
                    "are far too large or damaged: take the bundle anew from the run that made it."
                )
        return made

    def answer(
        self, table: str | Path = "", *, columns: dict[str, str], model: str = "", run: Run | None = None
    ) -> Answers:
        """What ``model``, by default the chosen one, says of every row of a new table that can be read.

        Parameters
        ----------
        table : path of the table; where it is "", the test rows of ``run`` are answered as if they were new
        columns : names of the table's columns by part (text, image, audio); "" for none. With a ``run`` they may be those
            of its own table: a part whose column the new table has not counts as missing

        Raises as ``checks.Table`` does, and ValueError where the bundle has no such model.
        """
        name = self.model_name(model)
        if table:
            checked = Table(table, columns if run is None else _columns_there(table, columns))
            rows, rejected = checked.rows, checked.rejected
            given = checked.content.loc[rows["row"]]
            refused = checked.content.drop(index=rows["row"])
        else:
            rows, splits = run.read("rows.parquet"), run.read("splits.parquet")
            rows = rows[rows["row"].isin(splits.loc[splits["split"] == "test", "row"])]
            given, rejected, refused = rows[["row", "text"]], pd.DataFrame(columns=REJECTED_COLUMNS), None
        probabilities = self.predict(rows, [name])[name] if len(rows) else np.empty((0, len(self.label_names)))
        sets = label_sets(probabilities, self.label_sets[name]) if name in self.label_sets else None
        told = {"again": not table, "sets": sets, "refused": refused}
        return Answers(given, probabilities, rejected, name, self.label_names, **told)

    def model_name(self, model: str) -> str:
        """``model``, or the chosen one where it is "". Raises ValueError where the bundle has no such model."""
        if model and model not in self.models.names:
            raise ValueError(f"No model {model!r} in the bundle; it has {', '.join(self.models.names)}.")
        return model or self.chosen

    def check_parts(self, without: tuple[str, ...]) -> None:
        """Raise ValueError where ``without`` names a part that the bundle does not read."""
        if unknown := set(without) - set(self.parts):
            raise ValueError(
                f"The bundle reads no {', '.join(sorted(unknown))}; expected a tuple of parts among "
                f"{', '.join(self.parts)}, such as without=({self.parts[0]!r},)."
            )


def _least_in_sets(held: Predictions) -> dict[str, float]:
    """Model to ``fit_label_sets`` of its answers; without those that have too few."""
    made = {name: fit_label_sets(values, held.labels, held.groups) for name, values in held.items()}
    return {name: least for name, least in made.items() if least is not None}


def _columns_there(table: str | Path, columns: dict[str, str]) -> dict[str, str]:
    """Those of ``columns`` that the table has; all of them where it has none, so that ``Table`` says which are missing."""
    names = set(read_table(runs.resolve(table))[0].columns)
    return {part: name for part, name in columns.items() if name in names} or columns
