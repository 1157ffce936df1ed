"""Answers about rows that a model was not trained on: by folds, by other rows' temperatures and rules, and never by the row."""

import numpy as np
import pandas as pd
import pytest
import tiny_bundle
from guesses import guesses
from lazily import Lazy
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold

from fusebook.data.dataset import Dataset, Folds
from fusebook.data.predictions import Predictions
from fusebook.encoders.parts import Encoders
from fusebook.models.calibration import calibrate, fit_temperature
from fusebook.models.fusion import DecisionFusion
from fusebook.runs import Run

bundle, network = Lazy("fusebook.models.bundle"), Lazy("fusebook.models.network")
cross_fit = Lazy("fusebook.models.cross_fit")


def voters(*parts):
    """Models of parts that nobody trained: their votes are given."""
    models = bundle.Models()
    models.prior_, models.label_names_ = np.array([0.2, 0.3, 0.5]), ["a", "b", "c"]
    for part in parts:
        models[part] = network.Network.of_keras(None, [part])
    models.fusions_ = {f"decision-level {rule}": None for rule in bundle.RULES} if len(parts) > 1 else {}
    return models


def votes_of(n_rows=60, parts=("audio", "text"), *, groups=None, seed=0, strength=1.5, labels=None):
    """Votes of ``parts``, of which each third row lacks its text."""
    made = [guesses(n_rows, 3, seed=seed + i, strength=strength) for i in range(len(parts))]
    labels = made[0][1] if labels is None else labels
    values = {part: some[0] for part, some in zip(parts, made, strict=True)}
    columns = {part: np.where(np.arange(n_rows) % 3 if part == "text" else True, "x", "") for part in parts}
    groups = np.arange(n_rows) if groups is None else groups
    return Predictions.of(values, labels, groups=groups, label_names=["a", "b", "c"], **columns)


# --- Temperatures and rules of other rows -------------------------------------------------------------


def test_held_out_answers_are_what_the_other_folds_teach():
    models, votes = voters("audio", "text"), votes_of()
    made = models.held_out(votes)
    for known, held in GroupKFold(5, shuffle=True, random_state=42).split(votes.labels, groups=range(60)):
        scaled = []
        for rows in (known, held):
            some = votes.chosen(rows)
            own = votes.chosen(known)
            temperatures = {
                part: fit_temperature(own[part][own.present[part]], own.labels[own.present[part]]) for part in own
            }
            there = some.present
            scaled.append(
                {p: np.where(there[p][:, None], calibrate(some[p], temperatures[p]), models.prior_) for p in some}
            )
        for part in votes:
            np.testing.assert_allclose(made[part][held], scaled[1][part])
        for rule in bundle.RULES:
            fitted = DecisionFusion(rule, models.prior_).fit(
                scaled[0], votes.chosen(known).present, votes.labels[known]
            )
            expected = fitted.predict(scaled[1], votes.chosen(held).present)
            np.testing.assert_allclose(made[f"decision-level {rule}"][held], expected)


@pytest.mark.parametrize("copies", [1, 2])
def test_a_rows_own_label_and_that_of_its_copy_do_not_change_its_answer(copies):
    groups = np.arange(60) // copies
    models, votes = voters("audio", "text"), votes_of(groups=groups)
    made = models.held_out(votes)
    for row in (0, 17, 59):
        labels = np.where(groups == groups[row], (votes.labels + 1) % 3, votes.labels)
        other = models.held_out(Predictions(votes, votes.rows.assign(class_id=labels), votes.label_names))
        for name in made:
            np.testing.assert_array_equal(other[name][row], made[name][row])


def test_noise_is_not_learnt():
    """A temperature and a stack fitted to their own noise look better than the class shares; held out they do not."""
    models, out = voters("audio", "text"), []
    models.prior_ = np.full(3, 1 / 3)
    for seed in range(6):
        votes = votes_of(90, seed=seed, labels=np.random.default_rng(seed + 1000).integers(3, size=90))
        made = models.held_out(votes)
        out.append([log_loss(votes.labels, made[name], labels=range(3)) for name in ("text", "decision-level stacked")])
    assert (np.log(3) - 0.02 < np.mean(out, axis=0)).all() and (np.mean(out, axis=0) < np.log(3) + 0.2).all()


@pytest.mark.parametrize(("n_rows", "groups"), [(1, None), (2, None), (3, None), (6, np.zeros(6))])
def test_hardly_any_rows_are_no_crash(n_rows, groups):
    made = voters("audio", "text").held_out(votes_of(n_rows, groups=groups))
    for values in made.values():
        np.testing.assert_allclose(values.sum(axis=1), 1)


# --- Folds --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Eighty rows of text and sound, each of 40 twice, with encoders that were fitted on the training rows."""
    rows, labels = tiny_bundle.make_rows(tmp_path_factory.mktemp("rows"), 40)
    rows = pd.concat([rows, rows], ignore_index=True).assign(row=np.arange(80), group=np.tile(np.arange(40), 2))
    rows["split"] = np.random.default_rng(0).permutation(np.resize(["train"] * 6 + ["validation", "test"], 40))[
        rows.group
    ]
    made = Dataset.of_rows(rows)
    encoders = Encoders({"text": tiny_bundle.make_models(rows.iloc[:40], labels)[1]["text"]})
    return made.with_features(encoders.transform(made.rows, ngrams=encoders.ngrams(made.rows))), encoders


def test_each_training_and_validation_row_is_held_out_once_with_its_copies(data):
    data, encoders = data
    folds = encoders.folds(data, below=100)
    known = data.rows.loc[data.rows["split"] != "test", "row"]
    assert len(folds) == 5 and folds.table()["held out"].sum() == len(known)
    assert sorted(row for fold in folds for row in fold.test.rows["row"]) == sorted(known)
    for fold in folds:
        groups = [set(getattr(fold, split).groups) for split in ("train", "validation", "test")]
        assert not (groups[0] & groups[2]) and not (groups[1] & groups[2]) and not (groups[0] & groups[1])
        assert set(fold.rows["row"]) == set(known) and len(fold.validation)
        assert fold.label_names == data.label_names


def test_a_large_table_is_dealt_into_none(data):
    assert data[1].folds(data[0], below=80) == [] and list(Folds().table()) == ["train", "validation", "held out"]


def test_features_of_a_fold_are_those_of_an_encoder_that_never_saw_its_rows(data):
    """Other texts and labels of the held-out rows, and the features of all other rows stay as they were."""
    data, encoders = data
    first = encoders.folds(data, below=100)[0]
    gone = data.rows["row"].isin(first.test.rows["row"])
    rows = data.rows.assign(text=data.rows["text"].where(~gone | (data.rows["text"] == ""), "zebra umbrella"))
    rows["class_id"] = np.where(gone, (data.labels + 1) % 3, data.labels)
    folds = Folds.of(data)
    changed = folds[0].rows.drop(columns=["text", "class_id"]).merge(rows[["row", "text", "class_id"]], on="row")
    made = encoders._refitted(Dataset(changed, data.label_names, data.features))
    expected = encoders._refitted(folds[0])
    kept = (changed["split"] != "test").to_numpy()
    one, other = made.transform(changed)[kept], expected.transform(changed)[kept]
    for block in one.blocks:
        np.testing.assert_array_equal(one.block(block), other.block(block))


def test_folds_come_back_from_a_run(data, tmp_path):
    data, encoders = data
    folds, run = encoders.folds(data, below=100), Run(tmp_path)
    run.write("rows.parquet", data.rows[["row", "text", "image", "audio", "label", "group"]])
    data = data.with_features(data.features)
    data.rows["label_before"] = data.rows["label"]
    data.save(run, folds)
    loaded = run.folds()
    assert len(loaded) == len(folds)
    for one, other in zip(loaded, folds, strict=True):
        assert one.rows["split"].tolist() == other.rows["split"].tolist() and (one.labels == other.labels).all()
        for block in one.features.blocks:
            np.testing.assert_array_equal(one.features.block(block), other.features.block(block))
    data.save(run)
    assert run.folds() == []


def test_a_fold_is_answered_by_models_that_are_trained_on_the_others(data):
    data, encoders = data
    folds, recipe = encoders.folds(data, below=100), {"hidden": [6], "epochs": 3}
    trained = bundle.Models(random_state=7, **recipe).fit_parts(data)
    held = cross_fit.HeldOut(trained, data, folds)
    rows = held.votes.rows
    assert rows["split"].tolist() == rows["row"].map(data.rows.set_index("row")["split"]).tolist()
    assert rows["fold"].tolist() == [i for i, fold in enumerate(folds, 1) for _ in range(len(fold.test))]
    third = bundle.Models(random_state=7 + 3, **recipe).fit_parts(folds[2])
    np.testing.assert_array_equal(held.votes["text"][rows["fold"] == 3], third.votes(folds[2].test)["text"])
    tested = trained.calibrate(held.votes).predict(data.test) | {"majority": np.tile(data.prior, (len(data.test), 1))}
    scored = held.scored(tested)
    assert (
        scored.n_rows == len(data) and list(scored) == ["majority", "text"] and scored.scored_on == "cross-fitted rows"
    )
    np.testing.assert_array_equal(scored["text"][scored.folds == 0], tested["text"])
    np.testing.assert_allclose(scored["majority"], np.tile(data.prior, (len(data), 1)))


def test_without_folds_the_validation_rows_tell(data):
    data = data[0]
    trained = bundle.Models(hidden=[4], epochs=1).fit_parts(data)
    held = cross_fit.HeldOut(trained, data, Folds())
    np.testing.assert_array_equal(held.votes["text"], trained.votes(data.validation)["text"])
    tested = trained.predict(data.test)
    assert held.scored(tested) is tested and held.table().empty and tested.scored_on == "test rows"


def test_a_fold_that_cannot_train_a_part_gives_the_class_shares(data):
    """The one sound of the training rows is held out in some fold."""
    data, encoders = data
    one = np.flatnonzero((data.rows["split"] == "train") & (data.rows["audio"] != ""))[0]
    rows = data.rows.assign(audio=[path if i == one else "" for i, path in enumerate(data.rows["audio"])])
    audio = Lazy("fusebook.encoders.audio").AudioEncoder()
    fitted = Encoders({"text": encoders["text"]})
    few = Dataset(rows, data.label_names, data.features)
    fitted.fit("audio", audio, few)
    few = few.with_features(fitted.transform(rows, ngrams=fitted.ngrams(rows)))
    folds = fitted.folds(few, below=100)
    without = [number for number, fold in enumerate(folds, 1) if "audio" not in fold.parts]
    assert len(without) == 1
    held = cross_fit.HeldOut(bundle.Models(hidden=[4], epochs=1).fit_parts(few), few, folds)
    lost = held.votes.folds == without[0]
    shares = folds[without[0] - 1].prior
    np.testing.assert_allclose(held.votes["audio"][lost], np.tile(shares, (lost.sum(), 1)))
