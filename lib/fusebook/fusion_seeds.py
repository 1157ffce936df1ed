"""Is fusion worth it? All models of a run trained once a seed, and one table of their scores.

Notebook 03_train tells the story.
"""

import numpy as np
import pandas as pd

from fusebook import features as feature_room
from fusebook import model as model_room
from fusebook.bundle import FEATURE_LEVEL, TrainedModels
from fusebook.comparison import compare_pairs
from fusebook.evaluate import score_table
from fusebook.fusion import RULES, DecisionFusion
from fusebook.measures import measures_of_sums, row_columns
from fusebook.sentences import p_text
from fusebook.training import fit_mlp, settings

MEASURED = ("accuracy", "macro_f1")
SHOWN = {"accuracy": "accuracy", "macro_f1": "macro-F1", "gain": "gain"}
_ENDS = ("_low", "_high", "_lowest", "_highest")  # of the interval over rows, of the range over seeds


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
        own = features if joint else feature_room.blocks_of(features, name)
        learn, watch = (rows & (joint | present.get(name, True)) for rows in (train, validation))
        build, fit = settings(learn.sum(), own, n_classes=n_classes, **given)
        sizes = {block: values.shape[1] for block, values in own.items()}
        build["modality_dropout"] = modality_dropout
        networks[name] = model_room.build_mlp(sizes, n_classes, random_state=random_state, **build)
        inputs = model_room.model_inputs(own, present)
        watched = feature_room.take(inputs, watch), labels[watch]
        learned = feature_room.take(inputs, learn)
        fit_mlp(networks[name], learned, labels[learn], validation=watched, patience=patience, **fit)
        del learned  # of a million rows it is a gigabyte
    trained = TrainedModels(networks, np.bincount(labels[train], minlength=n_classes) / train.sum())
    watched = feature_room.take(features, validation), feature_room.take(present, validation)
    trained.calibrate(*watched, labels[validation])
    if len(present) > 1:
        votes = trained.predict(*watched, names=sorted(present))
        for rule in RULES:
            fusion = DecisionFusion(rule, trained.prior).fit(votes, watched[1], labels[validation])
            trained.fusions[f"decision-level {rule}"] = fusion
    return trained


def fusion_table(
    answers: list[dict[str, np.ndarray]], labels: np.ndarray, *, best: str, fusions: list[str], groups=None
) -> pd.DataFrame:
    """One line a model: its scores, their spread over seeds, and what each fusion gains over the best single modality.

    Parameters
    ----------
    answers : one dict a seed of model name to probabilities of shape (n_rows, n_classes), all of the same test rows.
        The first is the run's own; a baseline without a seed need not stand in the others
    best : the model of one modality that the fusions are compared with, chosen on the validation rows
    fusions : names of the models to compare
    groups : a group a row, where some belong together

    Returns a DataFrame indexed by model. Of the first seed: accuracy and macro_f1, each with _low and _high (95 %
    interval over rows, as ``evaluate.score_table`` has it). Over the seeds: the same with _lowest and _highest, and
    seeds, their number. For ``fusions``: gain in accuracy with gain_low and gain_high (paired interval), gain_lowest
    and gain_highest (over the seeds), p (McNemar's exact), p_holm (corrected for the number of fusions) and detectable,
    the smallest gain that so many rows could find (see ``comparison.compare``); NaN elsewhere.

    Raises ValueError where a seed lacks ``best`` or one of ``fusions``.
    """
    for made in answers:
        if missing := {best, *fusions} - set(made):
            raise ValueError(
                f"A seed has no {', '.join(sorted(missing))} among {', '.join(made)}; expected {best} and all fusions."
            )
    columns = [f"{name}{end}" for name in MEASURED for end in ("", "_low", "_high")]
    table = score_table(answers[0], labels, groups)[columns].astype(float)
    seeds = [_points(made, labels).reindex(table.index) for made in answers]
    for name in MEASURED:
        by_seed = pd.concat([points[name] for points in seeds], axis=1)
        table[f"{name}_lowest"], table[f"{name}_highest"] = by_seed.min(axis=1), by_seed.max(axis=1)
    table["seeds"] = by_seed.notna().sum(axis=1)
    if not fusions:
        return table
    pairs = compare_pairs(answers[0], labels, [(best, name) for name in fusions], groups).set_index("b")
    gains = [points["accuracy"][fusions] - points["accuracy"][best] for points in seeds]
    by_seed = pd.concat(gains, axis=1)
    pairs["lowest"], pairs["highest"] = by_seed.min(axis=1), by_seed.max(axis=1)
    ends = {end: f"gain_{end}" for end in ("low", "high", "lowest", "highest")}
    pairs = pairs.rename(columns={"difference": "gain", **ends})
    return table.join(pairs[["gain", *ends.values(), "p", "p_holm", "detectable"]])


def _points(answers: dict[str, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """The measures ``MEASURED`` of each model without intervals."""
    points = {
        name: measures_of_sums(row_columns(values, labels).sum(axis=0), values.shape[1])
        for name, values in answers.items()
    }
    return pd.DataFrame(points).T[list(MEASURED)].astype(float)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A ``fusion_table`` for people: scores in percent, gains in points, with 95 % intervals; a dash where there is none."""
    texts = {name: _texts(line) for name, line in table.to_dict("index").items()}
    made = pd.DataFrame.from_dict(texts, orient="index").rename_axis("model").fillna("–")
    # What answers the question stands first, as a wide table may not fit its page.
    return made[sorted(made, key=lambda name: name.startswith("macro-F1"))]


def _texts(line: dict) -> dict[str, str]:
    made = {}
    for key, name in SHOWN.items():
        if np.isnan(line.get(key, np.nan)):
            continue
        sign, unit = ("+", "points") if key == "gain" else ("", "%")
        value, *ends = (f"{100 * line[key + end]:{sign}.1f}" for end in ("", *_ENDS))
        made[f"{name}, {unit}"] = f"{value} [{ends[0]}, {ends[1]}]"
        made[f"{name} by seed"] = f"{ends[2]} to {ends[3]}" if line["seeds"] > 1 else "–"
    if "gain, points" in made:
        made["p (Holm)"] = p_text(line["p_holm"]).removeprefix("p ").removeprefix("= ")
        made["least gain found"] = f"{100 * line['detectable']:.1f}"
    return made
