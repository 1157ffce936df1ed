"""What does a fusion do with its parts? Parts left out, parts shuffled, gates by class, rows rescued and harmed.

Notebook 03_train tells the story. Models come as ``asked``: the name to show, to the ``TrainedModels`` and which of its
models is meant, such as {"fusion": (trained, "feature-level fusion")}.
"""
# FOLDED: Is fusion worth it? All models of a run trained once a seed, and one table of their scores.

from itertools import combinations

import keras
import numpy as np
import pandas as pd

from fusebook.data.features import blocks_of, modality_of, take
from fusebook.evaluation.comparison import compare_pairs
from fusebook.evaluation.intervals import percentile_interval, resampled_sums
from fusebook.evaluation.measures import measures_of_sums, row_columns
from fusebook.evaluation.scores import score_table
from fusebook.findings import p_text
from fusebook.models.bundle import TrainedModels


def part_sets(parts) -> list[tuple[str, ...]]:
    """All 2^k - 1 sets of k ``parts``, the smallest first, names sorted."""
    parts = sorted(parts)
    return [chosen for size in range(1, len(parts) + 1) for chosen in combinations(parts, size)]


def _check_asked(asked: dict[str, tuple[TrainedModels, str]]) -> None:
    if not asked:
        raise ValueError('No model is asked for; expected some, such as {"fusion": (trained, "feature-level fusion")}.')
    for shown, (models, name) in asked.items():
        if name not in models.names:
            raise ValueError(f"{shown}: there is no model {name!r}; expected one of {', '.join(models.names)}.")


def subset_table(
    asked: dict[str, tuple[TrainedModels, str]],
    features: dict[str, np.ndarray],
    present: dict[str, np.ndarray],
    labels: np.ndarray,
    groups=None,
) -> pd.DataFrame:
    """How well each model does with each set of parts, the others being held back; all on the rows that have every part.

    Returns a DataFrame with one line a set and model: parts (names joined by " + "), n_parts, model, accuracy and
    macro_f1 with their 95 % intervals (_low, _high), n_rows. A set of one part has a line "own network" too, of the
    network trained on that part alone. Without a row that has every part there is no line. Raises ValueError where a
    model that is asked for is not there.
    """
    _check_asked(asked)
    whole = np.all(list(present.values()), axis=0)
    features, labels = take(features, whole), labels[whole]
    groups = None if groups is None else np.asarray(groups)[whole]
    lines, answers, sets = [], {}, part_sets(present) if whole.any() else []
    for chosen in sets:
        there = {part: np.full(len(labels), part in chosen) for part in present}
        own = {"own network": (next(iter(asked.values()))[0], chosen[0])} if len(chosen) == 1 else {}
        for shown, (models, name) in (own | asked).items():
            lines.append({"parts": " + ".join(chosen), "n_parts": len(chosen), "model": shown})
            answers[f"{chosen}, {shown}"] = models.predict(features, there, names=[name])[name]
    columns = [f"{name}{end}" for name in ("accuracy", "macro_f1") for end in ("", "_low", "_high")]
    scores = score_table(answers, labels, groups).reindex(columns=[*columns, "n_rows"]).astype({"n_rows": int})
    keys = pd.DataFrame(lines, columns=["parts", "n_parts", "model"])
    return pd.concat([keys, scores.reset_index(drop=True)], axis=1)


def shuffle_audit(
    asked: dict[str, tuple[TrainedModels, str]],
    features: dict[str, np.ndarray],
    present: dict[str, np.ndarray],
    labels: np.ndarray,
    *,
    within: dict[str, dict[str, slice]] | None = None,
    n_shuffles: int = 10,
    groups=None,
    random_state: int = 42,
) -> pd.DataFrame:
    """How much accuracy a model loses where one part is another row's (permutation importance; Breiman, 2001).

    All columns of a part are permuted alike among the rows that have it, and the accuracy is taken on these rows, over
    ``n_shuffles`` permutations, the same for all models. A model that does not use a part loses nothing.

    Parameters
    ----------
    within : what is shuffled instead of whole modalities, such as ``TextEncoder.columns`` gives it: the name to show to
        the columns of each block, all of one modality

    Returns a DataFrame with one line a model and part: model, part, n_rows, accuracy, shuffled (mean accuracy over the
    permutations) with shuffled_low and shuffled_high, drop (accuracy minus shuffled) with drop_low and drop_high. The
    intervals, 95 %, are over rows (bootstrap). A part that no row has gets no line. Raises ValueError where a model
    that is asked for is not there.
    """
    _check_asked(asked)
    if within is None:
        whole = {part: blocks_of(features, part) for part in sorted(present)}
        within = {part: dict.fromkeys(blocks, slice(None)) for part, blocks in whole.items()}
    lines = []
    for part, columns in within.items():
        has = present[modality_of(next(iter(columns)))]
        if not has.any():
            continue
        own, there = (take(arrays, has) for arrays in (features, present))
        truth, parted = labels[has], None if groups is None else np.asarray(groups)[has]
        random = np.random.default_rng(random_state)
        orders = [random.permutation(len(truth)) for _ in range(n_shuffles)]
        for shown, (models, name) in asked.items():
            right = _right(models, name, own, there, truth)
            answers = [_right(models, name, _shuffled(own, columns, order), there, truth) for order in orders]
            shuffled = np.mean(answers, axis=0)
            line = {"model": shown, "part": part, "n_rows": len(truth), "accuracy": right.mean()}
            lines.append(line | _means({"shuffled": shuffled, "drop": right - shuffled}, truth, parted))
    columns = ["model", "part", "n_rows", "accuracy"]
    columns += [f"{name}{end}" for name in ("shuffled", "drop") for end in ("", "_low", "_high")]
    return pd.DataFrame(lines, columns=columns)


def _shuffled(features: dict, columns: dict[str, slice], order: np.ndarray) -> dict:
    """``features`` with some columns of some blocks taken from other rows."""
    made = dict(features)
    for block, chosen in columns.items():
        made[block] = features[block].copy()
        made[block][:, chosen] = features[block][order, chosen]
    return made


def _right(models: TrainedModels, name: str, features: dict, present: dict, labels: np.ndarray) -> np.ndarray:
    return models.predict(features, present, names=[name])[name].argmax(axis=1) == labels


def _means(values: dict[str, np.ndarray], labels: np.ndarray, groups) -> dict[str, float]:
    """The mean of each array over rows, with the ends of its bootstrap interval under _low and _high."""
    sums = resampled_sums(np.column_stack([*values.values(), np.ones(len(labels))]), labels, groups)
    low, high = percentile_interval(sums[:, :-1] / sums[:, -1:])
    made = {}
    for i, (name, own) in enumerate(values.items()):
        made |= {name: own.mean(), f"{name}_low": low[i], f"{name}_high": high[i]}
    return made


def gate_shares(
    network: keras.Model, inputs: dict[str, np.ndarray], labels: np.ndarray, label_names: list[str]
) -> pd.DataFrame:
    """What share of the signal that enters the joint layers comes through each part's gate, by class.

    ``network``: a feature-level MLP; ``inputs``: as ``network.model_inputs`` returns them; ``labels``: class numbers of
    shape (n_rows,). Returns a DataFrame of labels by parts, each row summing to 1; NaN where a class has no signal.

    Measured is, for each row and part, the length of what the first joint layer adds up from this part's gated
    projection, less the mean over the rows that have the part (which tells no rows apart); 0 behind a closed gate.
    Shares are of the sum over the rows of a class. A large share says that the network listens to the part, not that
    this does it good: for that, shuffle the part or leave it out.
    """
    names = [layer.name for layer in network.layers]
    if "fusion" not in names:
        raise ValueError(f"The network joins no parts; expected a feature-level MLP, not one of {names}.")
    parts = [name.removeprefix("gate_") for name in names if name.startswith("gate_")]
    gated = keras.Model(network.input, [network.get_layer(f"gate_{part}").output for part in parts])
    after = network.layers[names.index("fusion") + 1 :]
    kernel = next(layer for layer in after if isinstance(layer, keras.layers.Dense)).get_weights()[0]
    lengths, start = {}, 0
    for i, (part, values) in enumerate(zip(parts, gated.predict(inputs, batch_size=1024, verbose=0), strict=True)):
        signal = values @ kernel[start : start + values.shape[1]]
        there = np.asarray(inputs["present"])[:, i] > 0
        centre = signal[there].mean(axis=0) if there.any() else 0
        lengths[part] = np.linalg.norm((signal - centre) * there[:, None], axis=1)
        start += values.shape[1]
    sums = pd.DataFrame(lengths).groupby(np.asarray(labels)).sum().reindex(range(len(label_names)), fill_value=0)
    sums = sums.set_axis(pd.Index(label_names, name="label"))
    return sums.div(sums.sum(axis=1).replace(0, np.nan), axis=0)


def ledger(
    answers: dict[str, np.ndarray],
    labels: np.ndarray,
    present: dict[str, np.ndarray],
    label_names: list[str],
    *,
    fusion: str,
    rows,
) -> pd.DataFrame:
    """What each part's own network said of each row, and what the fusion made of it.

    Parameters
    ----------
    answers : model name to probabilities of shape (n_rows, n_classes): the network of each part, and the fusion
    present : part to bools of shape (n_rows,)
    fusion : name of the fusion among ``answers``
    rows : what each row is called, shape (n_rows,)

    Returns a DataFrame with one line a row: row, label, a column a part ("right", "wrong" or "missing"), a column
    says_<part> (the label it chose, "" where it is missing), fusion (the label chosen), confidence, outcome. The
    outcome is "rescued" where some part was wrong and the fusion is right, "harmed" where some part was right and the
    fusion is wrong, "right throughout" and "wrong throughout" where all agree, "no part" where the row has none.
    """
    names, table = np.array(label_names), {"row": np.asarray(rows), "label": np.array(label_names)[labels]}
    right = {name: values.argmax(axis=1) == labels for name, values in answers.items()}
    parts = sorted(present)
    for part in parts:
        table[part] = np.where(present[part], np.where(right[part], "right", "wrong"), "missing")
    for part in parts:
        table[f"says_{part}"] = np.where(present[part], names[answers[part].argmax(axis=1)], "")
    some_right = np.any([present[part] & right[part] for part in parts], axis=0)
    some_wrong = np.any([present[part] & ~right[part] for part in parts], axis=0)
    rightly = right[fusion]
    cases = [~(some_right | some_wrong), rightly & some_wrong, ~rightly & some_right, rightly]
    outcome = np.select(cases, ["no part", "rescued", "harmed", "right throughout"], "wrong throughout")
    best = answers[fusion]
    told = {"fusion": names[best.argmax(axis=1)], "confidence": best.max(axis=1), "outcome": outcome}
    return pd.DataFrame(table | told)


def ledger_counts(table: pd.DataFrame, parts) -> pd.DataFrame:
    """The lines of ``ledger`` counted: one line a pattern of right, wrong and missing parts, the most frequent first.

    Returns a DataFrame indexed by the ``parts`` with rows, fusion_right, fusion_wrong, rescued, harmed.
    """
    right, parts = table["fusion"] == table["label"], sorted(parts)
    flags = {"rows": True, "fusion_right": right, "fusion_wrong": ~right}
    flags |= {name: table["outcome"] == name for name in ("rescued", "harmed")}
    counted = table[parts].assign(**flags).groupby(parts).sum().astype(int)
    return counted.sort_values("rows", ascending=False, kind="stable")


MEASURED = ("accuracy", "macro_f1")
SHOWN = {"accuracy": "accuracy", "macro_f1": "macro-F1", "gain": "gain"}
_ENDS = ("_low", "_high", "_lowest", "_highest")  # of the interval over rows, of the range over seeds


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
    interval over rows, as ``scores.score_table`` has it). Over the seeds: the same with _lowest and _highest, and
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
    seeds = [_points_of(made, labels).reindex(table.index) for made in answers]
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


def _points_of(answers: dict[str, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
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
