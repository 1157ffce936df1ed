"""Edited rows and fusions with weights of one's own, against the bundle's own answers and hand-computed ones."""

import numpy as np
import pandas as pd
import pytest

from fusebook.inspection import question

MADE = {"text": np.array([[0.7, 0.2, 0.1]] * 4), "audio": np.array([[0.1, 0.3, 0.6]] * 4)}
THERE = {"text": np.array([1, 1, 0, 0], bool), "audio": np.array([1, 0, 1, 0], bool)}
PRIOR = np.array([0.5, 0.3, 0.2])


# --- Votes --------------------------------------------------------------------------------------------


def test_votes_are_what_the_models_predict(bundle, rows):
    one = rows[rows["row"] == 17]
    votes = question.votes_of_row(bundle, one)
    assert list(votes.index) == bundle.label_names and list(votes) == bundle.models.names
    for name in votes:
        np.testing.assert_allclose(votes[name], bundle.predict(one, model=name)[0], atol=1e-12)
    np.testing.assert_allclose(votes.sum(), 1, atol=1e-9)


def test_votes_without_a_part_are_those_of_a_row_without_it(bundle, rows):
    one = rows[rows["row"] == 17]
    made = question.votes_of_row(bundle, one, without=("audio",))
    pd.testing.assert_frame_equal(made, question.votes_of_row(bundle, one.assign(audio="")))
    np.testing.assert_allclose(made["audio"], bundle.models.prior)


# --- Edited rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("without", [(), ("audio",), ("text",), ("audio", "text")])
@pytest.mark.parametrize("text", [None, "bank share 芯片", "  ", "</script> \u202e🎈", "goal " * 20_000])
def test_before_and_after_are_what_the_bundle_says_of_both_rows(bundle, rows, text, without):
    one = rows[rows["row"] == 17]
    made = question.predict_edited(bundle, one, text, without=without)
    assert list(made) == ["model", "label", "before", "after"]
    written = one["text"].iloc[0] if text is None else text.strip() and text
    changed = one.assign(text="" if "text" in without else written, audio="" if "audio" in without else one["audio"])
    for name in bundle.models.names:
        own = made[made["model"] == name]
        assert own["label"].tolist() == bundle.label_names
        np.testing.assert_allclose(own["before"], bundle.predict(one, model=name)[0], atol=1e-6)
        np.testing.assert_allclose(own["after"], bundle.predict(changed, model=name)[0], atol=1e-6)


def test_a_fusion_of_ones_own_stands_last(bundle, rows):
    one = rows[rows["row"] == 17]
    made = question.predict_edited(bundle, one, "goal", rule="mean", weights={"audio": 0})
    assert made["model"].unique().tolist() == [*bundle.models.names, question.OWN]
    values = made.set_index(["model", "label"])[["before", "after"]]
    np.testing.assert_allclose(values.loc[question.OWN], values.loc["text"])


def test_a_part_that_the_bundle_does_not_read_is_named(bundle, rows):
    with pytest.raises(ValueError, match="The bundle reads no image; expected a tuple of parts among audio, text"):
        question.predict_edited(bundle, rows.head(1), without=("image",))


# --- Fusion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mean", "product", "weighted"])
def test_equal_weights_are_the_rules_of_the_bundle_and_learnt_ones_its_weighted_rule(bundle, rows, name):
    features, present = bundle.encode(rows)
    made = bundle.models.predict(features, present)
    learnt = bundle.models.fusions["decision-level weighted"]
    weights = dict(zip(learnt.names_, learnt.weights_, strict=True)) if name == "weighted" else None
    assert weights is None or max(abs(value - 1) for value in weights.values()) > 0.01
    votes = {part: made[part] for part in bundle.modalities}
    rule = "mean" if name == "mean" else "product"
    again = question.fuse_again(votes, present, rule, prior=bundle.models.prior, weights=weights)
    np.testing.assert_allclose(again, made[f"decision-level {name}"], atol=1e-9)


def test_a_weighted_mean_by_hand():
    """Both parts; the text alone; the sound alone; none."""
    made = question.fuse_again(MADE, THERE, "mean", prior=PRIOR, weights={"text": 3, "audio": 1})
    both = [(3 * 0.7 + 0.1) / 4, (3 * 0.2 + 0.3) / 4, (3 * 0.1 + 0.6) / 4]
    np.testing.assert_allclose(made, [both, MADE["text"][0], MADE["audio"][0], PRIOR])


def test_a_weighted_product_by_hand():
    made = question.fuse_again(MADE, THERE, "product", prior=PRIOR, weights={"text": 2, "audio": 0.5})
    both = PRIOR * (MADE["text"][0] / PRIOR) ** 2 * (MADE["audio"][0] / PRIOR) ** 0.5
    expected = [both / both.sum(), MADE["text"][0], MADE["audio"][0], PRIOR]
    np.testing.assert_allclose(made, expected)


@pytest.mark.parametrize("rule", question.RULES)
def test_a_part_without_weight_counts_as_missing(rule):
    made = question.fuse_again(MADE, THERE, rule, prior=PRIOR, weights={"text": 0})
    np.testing.assert_allclose(made, [MADE["audio"][0], PRIOR, MADE["audio"][0], PRIOR])
    none = question.fuse_again(MADE, THERE, rule, prior=PRIOR, weights={"text": 0, "audio": 0})
    np.testing.assert_allclose(none, [PRIOR] * 4)


@pytest.mark.parametrize(
    ("rule", "weights", "told"),
    [
        ("stacked", None, "Rule 'stacked' with weights for audio, text; expected one of mean, product"),
        ("mean", {"image": 1}, "weights for audio, text, image; .* weights for audio, text"),
        ("mean", {"text": -1}, "have {'text': -1}; expected finite numbers from 0 up"),
        ("product", {"text": np.nan}, "have {'text': nan}"),
        ("product", {"text": np.inf}, "have {'text': inf}"),
    ],
)
def test_another_rule_or_weight_is_named(rule, weights, told):
    with pytest.raises(ValueError, match=told):
        question.fuse_again(MADE, THERE, rule, prior=PRIOR, weights=weights)
