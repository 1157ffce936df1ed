"""Is fusion worth it, and what does it do with its parts? Parts left out or shuffled, gates, rows rescued or harmed.

Notebook 03_train tells the story. Models that are audited come as ``FusionAudit.audited`` has them: the name to show, to
the ``Models`` and which of them is meant.
"""

from functools import cached_property
from itertools import combinations

import keras
import numpy as np
import pandas as pd

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features, Kinds, part_of
from fusebook.data.predictions import Predictions
from fusebook.evaluation.comparison import LEVEL, PairedTests, paired_interval, sign_flip_p
from fusebook.evaluation.intervals import group_numbers, percentile_interval, resampled_sums
from fusebook.evaluation.measures import measures_of
from fusebook.evaluation.scores import count_text, interval_text, score_table
from fusebook.findings import capital, p_text, shortened
from fusebook.models.bundle import DECISION_LEVEL, FEATURE_LEVEL, Models

Audited = dict[str, tuple[Models, str]]
MEASURED = ("accuracy", "macro_f1")
SHOWN = {"accuracy": "accuracy", "macro_f1": "macro-F1", "gain": "gain"}
_NOT_SURE = {"parts used": "parts unsure", "kinds used": "kinds unsure"}
_ENDS = ("_low", "_high", "_lowest", "_highest")  # of the interval over rows, of the range over seeds
_INTERVALS = [f"{name}{end}" for name in MEASURED for end in ("", "_low", "_high")]


# --- Is it worth it? ----------------------------------------------------------------------------------


def fusion_table(
    predictions: Predictions, by_seed: list[Predictions], tests: PairedTests, *, best: str
) -> pd.DataFrame:  # fmt: skip
    """``fusion_numbers`` to be read: scores in percent, gains in points, with their intervals; a dash for none."""
    table = fusion_numbers(predictions, by_seed, tests, best=best)
    texts = {name: _texts(line) for name, line in table.to_dict("index").items()}
    made = pd.DataFrame.from_dict(texts, orient="index").rename_axis("model").fillna("–")
    # What answers the question stands first, as a wide table may not fit its page.
    return made[sorted(made, key=lambda name: name.startswith("macro-F1"))]


def fusion_numbers(
    predictions: Predictions, by_seed: list[Predictions], tests: PairedTests, *, best: str
) -> pd.DataFrame:  # fmt: skip
    """One line a model: its scores, their spread over seeds, and what each fusion gains over the best single modality.

    Parameters
    ----------
    predictions : the answers that the scores rest on
    by_seed : what the models of each seed say of the test rows. The first is the run's own; a baseline without a seed
        need not stand in the others
    tests : the run's one family of tests, in which each fusion is compared with ``best``
    best : the model of one modality that the fusions are compared with, chosen on the validation rows

    Returns a DataFrame indexed by model. Of ``predictions``: accuracy and macro_f1, each with _low and _high (95 %
    interval over rows, as ``scores.score_table`` has it). Of ``by_seed``: the same with _lowest and _highest, and seeds,
    their number. For the models that ``tests`` compares with ``best``: gain in accuracy with gain_low and gain_high, p,
    p_holm and detectable as they stand in the table of ``tests``, and gain_lowest and gain_highest of ``by_seed``; NaN
    elsewhere.

    Raises ValueError where a seed lacks ``best`` or a model that is compared with it.
    """
    pairs = tests.table[tests.table["a"] == best].set_index("b")
    fusions = list(pairs.index)
    for made in by_seed:
        if missing := {best, *fusions} - set(made):
            raise ValueError(
                f"A seed has no {', '.join(sorted(missing))} among {', '.join(made)}; expected {best} and all fusions."
            )
    table = score_table(predictions)[_INTERVALS]
    points = [_points_of(made) for made in by_seed]
    for name in MEASURED:
        seeds = pd.concat([found[name].reindex(table.index) for found in points], axis=1)
        table[f"{name}_lowest"], table[f"{name}_highest"] = seeds.min(axis=1), seeds.max(axis=1)
    table["seeds"] = seeds.notna().sum(axis=1)
    if not fusions:
        return table
    gains = pd.concat([found["accuracy"][fusions] - found["accuracy"][best] for found in points], axis=1)
    pairs = pairs.assign(lowest=gains.min(axis=1), highest=gains.max(axis=1))
    ends = {end: f"gain_{end}" for end in ("low", "high", "lowest", "highest")}
    pairs = pairs.rename(columns={"difference": "gain", **ends})
    return table.join(pairs[["gain", *ends.values(), "p", "p_holm", "detectable"]])


def _points_of(predictions: Predictions) -> pd.DataFrame:
    """The measures ``MEASURED`` of each model without intervals."""
    points = {name: measures_of(values, predictions.labels) for name, values in predictions.items()}
    return pd.DataFrame(points).T[list(MEASURED)].astype(float)


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


# --- Parts left out, parts shuffled -------------------------------------------------------------------


class FusionAudit:
    """What fusions do with their parts: the three fusions that 03_train looks into, or none where there is one part.

    Parameters
    ----------
    models : the models of the run
    without : ``Models`` with a feature-level network that was trained without modality dropout
    data : the test rows

    Attributes
    ----------
    sets : ``subset_table``
    shuffled : ``shuffle_audit``
    kinds : ``shuffle_audit`` of the text's own network by what it reads of the text; no line without text
    gates : ``gate_shares``

    Each is made when it is first asked for.
    """

    sets = cached_property(lambda self: subset_table(self.audited, self.data))
    shuffled = cached_property(lambda self: shuffle_audit(self.audited, self.data))
    kinds = cached_property(lambda self: shuffle_audit(self.text, self.data, kinds=self.data.features.kinds))
    gates = cached_property(lambda self: gate_shares(self.models, self.data))

    def __init__(self, models: Models, without: Models, data: Dataset):
        self.models, self.data, self.audited = models, data, {}
        self.text = {"text": (models, "text")} if "text" in models else {}
        if FEATURE_LEVEL in models:
            self.audited = {
                "feature-level, modality dropout": (models, FEATURE_LEVEL),
                "feature-level, none": (without, FEATURE_LEVEL),
                "decision-level product": (models, f"{DECISION_LEVEL} product"),
            }

    def sets_text(self) -> pd.DataFrame:
        """The accuracies of ``sets`` to be read: a line a set of parts, a column a model."""
        columns = self.sets[["accuracy", "accuracy_low", "accuracy_high"]].to_numpy(float)
        shown = self.sets.assign(shown=[interval_text(*line) for line in columns])
        shown = shown.pivot(index=["n_parts", "parts", "n_rows"], columns="model", values="shown").fillna("–")
        return shown.reset_index(["n_parts", "n_rows"]).drop(columns="n_parts").rename_axis(columns=None)

    def verdicts(self, key: str = "parts used") -> list[tuple[str, str, dict]]:
        """What the first model loses in ``shuffled`` ("parts used") or ``kinds`` ("kinds used"): key, grade and facts.

        Said to be used is what costs surely more than nothing when it is shuffled; of the rest, that no loss was shown.
        """
        table = self.kinds if key == "kinds used" else self.shuffled
        lines = table[table["model"] == table["model"].iloc[0]] if len(table) else table
        made = []
        for name, chosen in ((key, lines["drop_low"] > 0), (_NOT_SURE[key], lines["drop_low"] <= 0)):
            columns = lines.loc[chosen, ["drop", "drop_low", "drop_high"]].to_numpy(float)
            points = ["{:.1f} [{:.1f}, {:.1f}]".format(*(100 * line + 0.0)) for line in columns]
            counts = lines.loc[chosen, ["part", "n_rows"]].itertuples(index=False)
            drops = [f"{part} {shown} (n = {rows:,})" for (part, rows), shown in zip(counts, points, strict=True)]
            made += [(name, "note", {"drops": ", ".join(drops)})] * bool(drops)
        return made


def _check(chosen: Audited) -> None:
    for shown, (models, name) in chosen.items():
        if name not in models.names:
            raise ValueError(f"{shown}: there is no model {name!r}; expected one of {', '.join(models.names)}.")


def part_sets(parts) -> list[tuple[str, ...]]:
    """All 2^k - 1 sets of k ``parts``, the smallest first, names sorted."""
    parts = sorted(parts)
    return [chosen for size in range(1, len(parts) + 1) for chosen in combinations(parts, size)]


def subset_table(audited: Audited, data: Dataset) -> pd.DataFrame:
    """How well each model does with each set of parts, the others held back; all on the rows that have every part.

    Returns a DataFrame with one line a set and model: parts (names joined by " + "), n_parts, model, accuracy and
    macro_f1 with their 95 % intervals (_low, _high), n_rows. A set of one part has a line "own network" too, of the
    network trained on that part alone. Without a model, or a row that has every part, there is no line. Raises
    ValueError where one of ``audited`` is not there.
    """
    _check(audited)
    data, lines, answers = data[np.all(list(data.features.present.values()), axis=0)], [], {}
    for chosen in part_sets(data.parts) if audited and len(data) else []:
        held = data.with_features(data.features.without(set(data.parts) - set(chosen)))
        alone = {"own network": (next(iter(audited.values()))[0], chosen[0])} if len(chosen) == 1 else {}
        for shown, (models, name) in (alone | audited).items():
            lines.append([" + ".join(chosen), len(chosen), shown])
            answers[f"{chosen}, {shown}"] = models.predict(held, [name])[name]
    scores = score_table(Predictions(answers, data.rows, data.label_names))[[*_INTERVALS, "n_rows"]]
    keys = pd.DataFrame(lines, columns=["parts", "n_parts", "model"])
    return pd.concat([keys, scores.astype({"n_rows": int}).reset_index(drop=True)], axis=1)


def shuffle_audit(audited: Audited, data: Dataset, *, kinds: Kinds | None = None, n_shuffles: int = 10) -> pd.DataFrame:
    """How much accuracy a model loses where one part is another row's (permutation importance; Breiman, 2001).

    All columns of a part are permuted alike among the rows that have it, and the accuracy is taken on these rows, over
    ``n_shuffles`` permutations, the same for all models. A model that does not use a part loses nothing.

    Parameters
    ----------
    kinds : what is shuffled instead of whole parts, as in ``Features.kinds``: the name to show to the columns of each
        block, all of one part

    Returns a DataFrame with one line a model and part: model, part, n_rows, accuracy, shuffled (mean accuracy over the
    permutations) with shuffled_low and shuffled_high (95 %, bootstrap over rows), drop (accuracy minus shuffled) with
    drop_low and drop_high (``comparison.paired_interval``; those of all parts together hold in 95 of 100 cases:
    Bonferroni). A part that no row has gets no line. Raises ValueError where one of ``audited`` is not there.
    """
    _check(audited)
    if kinds is None:
        kinds = {part: dict.fromkeys(data.features.of(part).sizes, slice(None)) for part in data.parts}
    lines = []
    for part, columns in kinds.items():
        rows = data[data.features.present[part_of(next(iter(columns)))]]
        rows = rows.with_features(rows.features.replaced({}))  # cut once, not once a permutation
        random = np.random.default_rng(42)
        orders = [random.permutation(len(rows)) for _ in range(n_shuffles)]
        for shown, (models, name) in audited.items() if len(rows) else ():
            predictions = models.predict(rows, [name])
            right, answers = predictions.right(name), []
            for order in orders:
                mixed = rows.with_features(_shuffled(rows.features, columns, order))
                answers.append(models.predict(mixed, [name]).right(name))
            shuffled = np.mean(answers, axis=0)
            line = {"model": shown, "part": part, "n_rows": len(rows), "accuracy": right.mean()}
            drop = _mean_drop(right - shuffled, predictions.groups, LEVEL / len(kinds))
            lines.append(line | _means({"shuffled": shuffled}, predictions) | drop)
    ends = [f"{name}{end}" for name in ("shuffled", "drop") for end in ("", "_low", "_high")]
    return pd.DataFrame(lines, columns=["model", "part", "n_rows", "accuracy", *ends])


def _shuffled(features: Features, columns: dict[str, slice], order: np.ndarray) -> Features:
    """``features`` with some columns of some blocks taken from other rows."""
    made, blocks = {}, features.blocks
    for block, chosen in columns.items():
        made[block] = blocks[block].copy()
        made[block][:, chosen] = blocks[block][order, chosen]
    return features.replaced(made)


def _mean_drop(lost: np.ndarray, groups, level: float) -> dict[str, float]:
    """The mean of what each row loses, with the interval at ``level``."""
    units = group_numbers(groups, len(lost))
    low, high = paired_interval(np.bincount(units, lost), np.bincount(units), level=level)
    return {"drop": float(lost.mean()), "drop_low": low, "drop_high": high}


def _means(values: dict[str, np.ndarray], predictions: Predictions) -> dict[str, float]:
    """The mean of each array over rows, with the ends of its bootstrap interval under _low and _high."""
    columns = np.column_stack([*values.values(), np.ones(predictions.n_rows)])
    sums = resampled_sums(columns, predictions.groups)
    low, high = percentile_interval(sums[:, :-1] / sums[:, -1:])
    made = {}
    for i, (name, array) in enumerate(values.items()):
        made |= {name: float(array.mean()), f"{name}_low": float(low[i]), f"{name}_high": float(high[i])}
    return made


# --- Gates by class -----------------------------------------------------------------------------------


def gate_shares(models: Models, data: Dataset) -> pd.DataFrame:
    """By class, what share of the signal that enters the joint layers of feature-level fusion comes through each gate.

    Returns a DataFrame of labels by parts, each row summing to 1; NaN where a class has no signal. There is no line
    where no network joins parts.

    Measured is, for each row and part, the length of what the first joint layer adds up from this part's gated
    projection, less the mean over the rows that have the part (which tells no rows apart); 0 behind a closed gate.
    Shares are of the sum over the rows of a class. A large share says that the network listens to the part, not that
    this does it good: for that, shuffle the part or leave it out.
    """
    if FEATURE_LEVEL not in models:
        return pd.DataFrame(columns=data.parts, index=pd.Index([], name="label"), dtype=float)
    lengths = _signals(models[FEATURE_LEVEL].keras_, data.features)
    sums = pd.DataFrame(lengths).groupby(data.labels).sum().reindex(range(data.n_classes), fill_value=0)
    sums = sums.set_axis(pd.Index(data.label_names, name="label"))
    return sums.div(sums.sum(axis=1).replace(0, np.nan), axis=0)


def _signals(network: keras.Model, features: Features) -> dict[str, np.ndarray]:
    """The length of each part's signal in each row, shape (n_rows,), as ``gate_shares`` measures it."""
    names = [layer.name for layer in network.layers]
    parts = [name.removeprefix("gate_") for name in names if name.startswith("gate_")]
    gated = keras.Model(network.input, [network.get_layer(f"gate_{part}").output for part in parts])
    after = network.layers[names.index("fusion") + 1 :]
    kernel = next(layer for layer in after if isinstance(layer, keras.layers.Dense)).get_weights()[0]
    lengths, start = {}, 0
    for part, values in zip(parts, gated.predict(features.inputs, batch_size=1024, verbose=0), strict=True):
        signal, has = values @ kernel[start : start + values.shape[1]], features.present[part]
        centre = signal[has].mean(axis=0) if has.any() else 0
        lengths[part] = np.linalg.norm((signal - centre) * has[:, None], axis=1)
        start += values.shape[1]
    return lengths


# --- Rescued and harmed -------------------------------------------------------------------------------


class Ledger:
    """What each part's own network said of each row, and what the model ``fusion`` made of it; no line with one part.

    A part that a row lacks is missing: it has no vote, and so is never wrong.

    Attributes
    ----------
    rows : one line a row: row, label, a column a part ("right", "wrong" or "missing"), a column says_<part> (the label it
        chose, "" where it is missing), fusion (the label chosen), confidence, outcome, and begins (how the row's text
        begins). The outcome is "rescued" where some part was wrong and the fusion is right, "harmed" where some part was
        right and the fusion is wrong, "right throughout" and "wrong throughout" where all agree, "no part" where the row
        has none
    """

    def __init__(self, predictions: Predictions, fusion: str):
        self.fusion, self.parts, self.scored_on = fusion, predictions.parts, predictions.scored_on
        self._groups = predictions.groups
        says = [f"says_{part}" for part in self.parts]
        columns = ["row", "label", *self.parts, *says, "fusion", "confidence", "outcome", "begins"]
        made = _ledger_lines(predictions, fusion) if len(self.parts) > 1 else {}
        self.rows = pd.DataFrame(made, columns=columns)

    def counts(self) -> pd.DataFrame:
        """One line a pattern of right, wrong and missing parts, the most frequent first.

        Returns a DataFrame indexed by the parts with rows, fusion_right, fusion_wrong, rescued, harmed.
        """
        right = self.rows["fusion"] == self.rows["label"]
        flags = {"rows": True, "fusion_right": right, "fusion_wrong": ~right}
        flags |= {name: self.rows["outcome"] == name for name in ("rescued", "harmed")}
        counted = self.rows[self.parts].assign(**flags).groupby(self.parts).sum().astype(int)
        return counted.sort_values("rows", ascending=False, kind="stable")

    def surest(self, most: int = 4) -> pd.DataFrame:
        """The rows that the fusion rescued or harmed and was surest of, ``most`` of each, by outcome."""
        changed = self.rows[self.rows["outcome"].isin(["rescued", "harmed"])].sort_values("confidence", ascending=False)
        surest = changed.groupby("outcome").head(most).sort_values("outcome", kind="stable").set_index("outcome")
        return surest.drop(columns=self.parts).round({"confidence": 2})

    def verdicts(self, key: str = "balance") -> list[tuple[str, str, dict]]:
        """How many rows the fusion rescued and harmed: the finding ``key``; none without lines.

        Worth a look where it surely harms more than it rescues (``comparison.sign_flip_p`` by group).
        """
        outcome, rows = self.rows["outcome"], len(self.rows)
        counts = {name: int((outcome == name).sum()) for name in ("rescued", "harmed")}
        facts = {"fusion": capital(self.fusion), "rows": rows, "on": self.scored_on, **counts}
        facts |= {f"{name}_share": count_text(count, rows) for name, count in counts.items() if rows}
        gains = (outcome == "rescued").to_numpy(int) - (outcome == "harmed").to_numpy(int)
        p = sign_flip_p(np.bincount(group_numbers(self._groups, rows), gains)) if rows else 1.0
        grade = "look" if counts["harmed"] > counts["rescued"] and p < LEVEL else "note"
        return [(key, grade, facts | {"p": p_text(p)})] if rows else []


def _ledger_lines(predictions: Predictions, fusion: str) -> dict:
    """The columns of ``Ledger.rows``."""
    names, present, made = np.array(predictions.label_names), predictions.present, {}
    right = {name: predictions.right(name) for name in (*predictions.parts, fusion)}
    for part, has in present.items():
        made[part] = np.where(has, np.where(right[part], "right", "wrong"), "missing")
        made[f"says_{part}"] = np.where(has, names[predictions.predicted(part)], "")
    states = pd.DataFrame(made)[predictions.parts]
    made["outcome"] = _outcomes((states == "right").any(axis=1), (states == "wrong").any(axis=1), right[fusion])
    made |= {"row": predictions.rows["row"].to_numpy(), "label": names[predictions.labels]}
    made |= {"fusion": names[predictions.predicted(fusion)], "confidence": predictions[fusion].max(axis=1)}
    texts = predictions.rows["text"] if "text" in predictions.rows else [""] * predictions.n_rows
    return made | {"begins": [shortened(text, 40) for text in texts]}


def _outcomes(some_right, some_wrong, fused) -> np.ndarray:
    """What became of each row, from bools: some part was right, some part was wrong, the fusion is right."""
    cases = [~(some_right | some_wrong), fused & some_wrong, ~fused & some_right, fused]
    return np.select(cases, ["no part", "rescued", "harmed", "right throughout"], "wrong throughout")
