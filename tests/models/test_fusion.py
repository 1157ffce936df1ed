"""Decision-level fusion by hand, by textbook formulas, by grid search and by scikit-learn."""

import json
from itertools import product

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from fusebook.models.fusion import RULES, DecisionFusion

PARTS = {"text": 2.0, "audio": 1.0, "image": 0.3}  # how much each knows


def case(n_rows=150, n_classes=3, *, parts=PARTS, seed=0, share=0.7, classes=None):
    """Votes that know the label more or less, and rows that lack some parts: votes, present, labels, prior."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.arange(n_classes) if classes is None else classes, n_rows)
    signal = np.eye(n_classes)[labels]
    votes = {
        name: softmax(rng.normal(size=(n_rows, n_classes)) + strength * signal, axis=1)
        for name, strength in parts.items()
    }
    present = {name: rng.random(n_rows) < share for name in votes}
    return votes, present, labels, rng.dirichlet(np.full(n_classes, 5.0))


def everywhere(votes):
    return {name: np.ones(len(values), bool) for name, values in votes.items()}


def one(**votes):
    """Votes and present of a single row; a part that is given as None is missing."""
    shown = {name: np.array([[0.5, 0.5] if vote is None else vote]) for name, vote in votes.items()}
    return shown, {name: np.array([vote is not None]) for name, vote in votes.items()}


# --- By hand and by formula ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "prior", "expected"),
    [
        ("mean", [0.5, 0.5], [0.6, 0.4]),
        ("product", [0.5, 0.5], [8 / 11, 3 / 11]),  # .8 × .4 to .2 × .6
        ("product", [0.25, 0.75], [8 / 9, 1 / 9]),  # .32 / .25 to .12 / .75
        ("weighted", [0.5, 0.5], None),  # computed below
        ("weighted", [0.25, 0.75], None),
    ],
)
def test_two_votes_by_hand(rule, prior, expected):
    votes, present = one(audio=[0.8, 0.2], text=[0.4, 0.6])
    fusion = DecisionFusion(rule, prior).fit(votes, present, [0])
    if rule == "weighted":
        # The odds of the shares, times those of each vote over them to the power of its weight.
        fusion.weights_ = np.array([2.0, 0.5])
        share = prior[0] / prior[1]
        odds = share * (4 / share) ** 2 * (2 / 3 / share) ** 0.5
        expected = [odds / (1 + odds), 1 / (1 + odds)]
    np.testing.assert_allclose(fusion.predict(votes, present), [expected], atol=1e-9)


def test_mean_is_the_average_of_the_votes_that_are_there():
    votes, present, labels, prior = case()
    made = DecisionFusion("mean", prior).fit(votes, present, labels).predict(votes, present)
    for i in range(len(labels)):
        there = [votes[name][i] for name in votes if present[name][i]]
        np.testing.assert_allclose(made[i], np.mean(there, axis=0) if there else prior, atol=1e-9)


def test_product_is_the_textbook_formula():
    """Bayes' rule for parts that are independent given the class: p(k) × Π p(k | part) / p(k)."""
    votes, present, labels, prior = case()
    made = DecisionFusion("product", prior).fit(votes, present, labels).predict(votes, present)
    for i in range(len(labels)):
        joined = prior * np.prod([votes[name][i] / prior for name in votes if present[name][i]], axis=0)
        np.testing.assert_allclose(made[i], joined / joined.sum(), atol=1e-9)


def pooled(votes, present, weights, prior):
    """Bayes' rule with an exponent for each vote, written out row by row; 1 for a vote that is alone."""
    made = np.tile(prior, (len(next(iter(votes.values()))), 1))
    for i in range(len(made)):
        there = {name: weight for name, weight in weights.items() if present[name][i]}
        if len(there) == 1:
            there = dict.fromkeys(there, 1.0)
        made[i] = prior * np.prod([(votes[name][i] / prior) ** w for name, w in there.items()], axis=0)
    return made / made.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("parts", [{"text": 2.0, "audio": 1.0}, PARTS], ids=["two parts", "three parts"])
def test_weighted_is_the_best_of_a_grid(parts):
    votes, present, labels, prior = case(80, parts=parts)
    fusion = DecisionFusion("weighted", prior).fit(votes, present, labels)
    names, steps = sorted(votes), np.exp(np.linspace(-1.5, 1.5, 31 if len(parts) == 2 else 9))

    def cost(weights):
        made = pooled(votes, present, dict(zip(names, weights, strict=True)), prior)
        return -np.log(made[np.arange(80), labels]).sum() + (np.log(weights) ** 2).sum() / 2

    grid = list(product(steps, repeat=len(names)))
    best = grid[np.argmin([cost(weights) for weights in grid])]
    step = 3 / (len(steps) - 1)
    np.testing.assert_allclose(np.log(fusion.weights_), np.log(best), atol=step)
    assert cost(fusion.weights_) <= cost(best) + 1e-6
    learnt = dict(zip(names, fusion.weights_, strict=True))
    np.testing.assert_allclose(fusion.predict(votes, present), pooled(votes, present, learnt, prior), atol=1e-9)


def test_weights_tell_sharp_votes_from_blunt_ones():
    """Votes of the true chances to the power of 2 and ½ need the weights ½ and 2."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 20_000)
    chances = [softmax(rng.normal(size=(20_000, 3)) + np.eye(3)[labels], axis=1) for _ in range(2)]
    votes = {
        name: values**power / (values**power).sum(axis=1, keepdims=True)
        for name, values, power in zip(("audio", "text"), chances, (2, 0.5), strict=True)
    }
    fusion = DecisionFusion("weighted", np.full(3, 1 / 3)).fit(votes, everywhere(votes), labels)
    np.testing.assert_allclose(fusion.weights_, [0.5, 2.0], rtol=0.05)


@pytest.mark.parametrize(
    ("n_classes", "classes"),
    [(2, None), (3, None), (5, None), (3, [0, 2]), (5, [1, 2, 4])],
    ids=["2", "3", "5", "2 of 3", "3 of 5"],
)
def test_stacked_is_where_the_slope_of_the_penalised_loss_is_0(n_classes, classes):
    """Such a point is the minimum, the only one: multinomial logistic regression with a normal prior is convex."""
    votes, present, labels, prior = case(n_classes=n_classes, classes=classes)
    fusion = DecisionFusion("stacked", prior).fit(votes, present, labels)
    made = fusion.predict(votes, present)
    there = np.any(list(present.values()), axis=0)
    columns = np.hstack([np.where(present[name][:, None], np.log(votes[name] / prior), 0) for name in sorted(votes)])
    by_formula = softmax(columns @ fusion.coefficients_.T + fusion.intercept_, axis=1)
    np.testing.assert_allclose(made[there], by_formula[there], atol=1e-9)
    surplus = by_formula - np.eye(n_classes)[labels]
    weighted = DecisionFusion("weighted", prior).fit(votes, present, labels).weights_
    start = np.hstack([weight * np.eye(n_classes) for weight in weighted])
    np.testing.assert_allclose(fusion.coefficients_ - start, -(0.1**2) * surplus.T @ columns, atol=2e-4)
    np.testing.assert_allclose(fusion.intercept_ - np.log(prior), -(0.1**2) * surplus.sum(axis=0), atol=2e-4)


def test_with_many_rows_stacked_is_scikit_learns_logistic_regression():
    """Then the penalties, which differ, hardly count."""
    votes, present, labels, prior = case(20_000, parts={"text": 2.0, "audio": 1.0}, share=1.0)
    made = DecisionFusion("stacked", prior).fit(votes, present, labels).predict(votes, present)
    columns = np.hstack([np.log(votes[name]) for name in sorted(votes)])
    reference = LogisticRegression(max_iter=1000).fit(columns, labels)
    apart = np.abs(made - reference.predict_proba(columns))
    assert apart.mean() < 0.01


def test_stacked_learns_what_the_product_cannot():
    """One part always says the next class: a matrix unlike the identity takes it back, exponents cannot."""
    votes, present, labels, prior = case(3000, parts={"text": 1.0, "audio": 1.0}, share=1.0)
    votes["text"] = votes["text"][:, [2, 0, 1]]
    right = {}
    for rule in RULES:
        fusion = DecisionFusion(rule, prior).fit(votes, present, labels)
        right[rule] = (fusion.predict(votes, present).argmax(axis=1) == labels).mean()
    assert right["stacked"] > max(right[rule] for rule in ("mean", "product", "weighted")) + 0.05


@pytest.mark.parametrize("rule", ["weighted", "stacked"])
def test_without_validation_rows_nothing_is_learnt_but_the_product(rule):
    votes, present, _, prior = case(30)
    none = {name: values[:0] for name, values in votes.items()}, {n: v[:0] for n, v in present.items()}
    made = DecisionFusion(rule, prior).fit(*none, []).predict(votes, present)
    expected = DecisionFusion("product", prior).fit(*none, []).predict(votes, present)
    np.testing.assert_allclose(made, expected, atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_missing_votes_are_named(rule):
    votes, present, labels, prior = case(30)
    fusion = DecisionFusion(rule, prior).fit(votes, present, labels)
    del present["audio"]
    with pytest.raises(ValueError, match="for audio; expected both for each of audio, image, text"):
        fusion.predict(votes, present)


# --- What holds for every rule ------------------------------------------------------------------------

every_rule = pytest.mark.parametrize("rule", RULES)


@every_rule
def test_rows_sum_to_1_and_order_does_not_matter(rule):
    votes, present, labels, prior = case()
    made = DecisionFusion(rule, prior).fit(votes, present, labels).predict(votes, present)
    np.testing.assert_allclose(made.sum(axis=1), 1, atol=1e-9)
    assert (made >= 0).all()
    turned = dict(reversed(votes.items())), dict(reversed(present.items()))
    np.testing.assert_array_equal(DecisionFusion(rule, prior).fit(*turned, labels).predict(*turned), made)


@every_rule
def test_an_absent_part_has_no_vote(rule):
    votes, present, labels, prior = case()
    fusion = DecisionFusion(rule, prior).fit(votes, present, labels)
    other = {name: np.where(present[name][:, None], values, values[:, ::-1]) for name, values in votes.items()}
    again = DecisionFusion(rule, prior).fit(other, present, labels)
    np.testing.assert_array_equal(again.predict(other, present), fusion.predict(votes, present))


@every_rule
def test_a_row_without_any_part_gets_the_class_shares(rule):
    votes, present, labels, prior = case()
    fusion = DecisionFusion(rule, prior).fit(votes, present, labels)
    nowhere = {name: np.zeros(len(labels), bool) for name in votes}
    np.testing.assert_array_equal(fusion.predict(votes, nowhere), np.tile(prior, (len(labels), 1)))


@pytest.mark.parametrize("rule", ["mean", "product", "weighted"])
@pytest.mark.parametrize("alone", PARTS)
def test_a_part_that_is_alone_decides(rule, alone):
    votes, present, labels, prior = case()
    fusion = DecisionFusion(rule, prior).fit(votes, present, labels)
    only = {name: np.full(len(labels), name == alone) for name in votes}
    np.testing.assert_allclose(fusion.predict(votes, only), votes[alone], atol=1e-8)


@pytest.mark.parametrize("rule", ["mean", "product", "weighted"])
def test_one_modality_is_left_as_it_is(rule):
    votes, present, labels, prior = case(parts={"text": 1.0})
    made = DecisionFusion(rule, prior).fit(votes, present, labels).predict(votes, present)
    np.testing.assert_allclose(made, np.where(present["text"][:, None], votes["text"], prior), atol=1e-8)


def test_one_modality_can_be_stacked():
    """Where the modality is sure of a wrong class half of the time, the stack is less sure."""
    votes, _, labels, prior = case(600, parts={"text": 1.0})
    sure = {"text": softmax(5 * np.log(votes["text"]), axis=1)}
    made = DecisionFusion("stacked", prior).fit(sure, everywhere(sure), labels).predict(sure, everywhere(sure))
    assert log_loss(labels, made) < log_loss(labels, sure["text"]) - 0.1


@every_rule
def test_json_brings_it_back(rule):
    votes, present, labels, prior = case(classes=[0, 2])
    fusion = DecisionFusion(rule, prior).fit(votes, present, labels)
    text = json.dumps(fusion.to_json(), allow_nan=False)
    read = DecisionFusion.from_json(json.loads(text))
    np.testing.assert_array_equal(read.predict(votes, present), fusion.predict(votes, present))
    assert json.dumps(read.to_json()) == text


@every_rule
def test_certain_votes_stay_finite(rule):
    votes, present, labels, prior = case()
    certain = {name: np.eye(3)[values.argmax(axis=1)] for name, values in votes.items()}
    made = DecisionFusion(rule, prior).fit(certain, present, labels).predict(certain, present)
    assert np.isfinite(made).all()
    np.testing.assert_allclose(made.sum(axis=1), 1, atol=1e-9)


@every_rule
def test_a_class_without_training_rows_takes_no_row(rule):
    """Near-duplicates can put all rows of a small class outside training: its share is 0, its votes are noise."""
    votes, present, labels, _ = case(classes=[0, 1])
    votes = {name: values * [1, 1, 0.01] for name, values in votes.items()}
    votes = {name: values / values.sum(axis=1, keepdims=True) for name, values in votes.items()}
    prior = np.array([0.5, 0.5, 0.0])
    made = DecisionFusion(rule, prior).fit(votes, present, labels).predict(votes, present)
    assert np.isfinite(made).all() and (made.argmax(axis=1) < 2).all()
    json.dumps(DecisionFusion(rule, prior).fit(votes, present, labels).to_json(), allow_nan=False)


@every_rule
@pytest.mark.parametrize("n_rows", [1, 12])
def test_validation_rows_of_one_class_are_no_crash(rule, n_rows):
    votes, _, labels, prior = case(n_rows, classes=[1])
    there = everywhere(votes)
    made = DecisionFusion(rule, prior).fit(votes, there, labels).predict(votes, there)
    np.testing.assert_allclose(made.sum(axis=1), 1, atol=1e-9)
    assert np.isfinite(made).all()
    if rule in ("weighted", "stacked"):
        before = DecisionFusion("product", prior).fit(votes, there, labels).predict(votes, there)
        assert before[:, 1].mean() < made[:, 1].mean() < 1, "they learn the class, but not for certain"


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match="'vote'; expected one of mean, product, weighted, stacked"):
        DecisionFusion("vote", [0.5, 0.5])
