"""One row asked about: against the bundle's own answers about rows made by hand, toy models, and hand-computed fusions."""

import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import soundfile
import tiny_bundle
from scipy.sparse import csr_array
from scipy.stats import pearsonr, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.files import read_audio
from fusebook.inspection import cards, occlusion, question
from fusebook.inspection.question import Question
from fusebook.runs import Run

MADE = {"text": np.array([[0.7, 0.2, 0.1]] * 4), "audio": np.array([[0.1, 0.3, 0.6]] * 4)}
THERE = {"text": np.array([1, 1, 0, 0], bool), "audio": np.array([1, 0, 1, 0], bool)}
PRIOR = np.array([0.5, 0.3, 0.2])


@pytest.fixture
def encoded(bundle, monkeypatch):
    """How often the encoders were given each value, by part and value."""
    counts = Counter()

    def spy(part, transform):
        def counting(values):
            counts.update((part, value) for value in values)
            return transform(values)

        return counting

    for part, encoder in bundle.encoders.items():
        monkeypatch.setattr(encoder, "transform", spy(part, encoder.transform))
    return counts


# --- Encoded once --------------------------------------------------------------------------------------


def test_a_row_is_encoded_once_and_of_variants_only_what_changed(bundle, rows, encoded):
    """Whatever is asked; the variants of a text leave the sound alone, and the other way round."""
    one = rows[rows["row"] == 17].iloc[0]
    asked = tiny_bundle.ask(bundle, rows, 17)
    edited = asked.edited("bank 芯片")
    for each in (asked, edited, asked.without("audio"), edited.without("audio")):
        each.votes(), each.card(), each.words(), each.bands(), each.moments(), each.length_table()
        each.missing_parts(), each.verdicts(), each.joined("mean")
    assert encoded["text", one["text"]] == encoded["audio", one["audio"]] == encoded["text", "bank 芯片"] == 1
    texts = Counter({value: count for (part, value), count in encoded.items() if part == "text"})
    assert {text for text in texts if "bank" in text or "芯片" in text} == {"bank 芯片", " 芯片", "bank "}
    assert all(value.endswith(".wav") for part, value in encoded if part == "audio")


def test_a_value_that_comes_twice_is_encoded_once(bundle, rows, encoded):
    rows.loc[rows["row"] == 17, "text"] = "goal goal goal"
    words = tiny_bundle.ask(bundle, rows, 17).words()
    assert len(words) == 3 and encoded["text", "goal goal goal"] == 1
    assert all(count == 1 for (part, _), count in encoded.items() if part == "text")


@pytest.mark.parametrize("n_words", [2, 60])
def test_the_sound_is_read_once_not_once_a_word(bundle, rows, n_words, monkeypatch, tmp_path):
    row = rows["row"] == 17
    rows.loc[row, "audio"] = shutil.copy(rows.loc[row, "audio"].item(), str(tmp_path / "unread.wav"))
    opened, count = soundfile.SoundFile, []
    monkeypatch.setattr(soundfile, "SoundFile", lambda *given, **options: count.append(1) or opened(*given, **options))
    rows.loc[row, "text"] = "goal coach " * (n_words // 2)
    assert len(tiny_bundle.ask(bundle, rows, 17).words()) == n_words
    assert len(count) == 1


# --- Votes --------------------------------------------------------------------------------------------


def test_votes_are_what_the_models_predict(bundle, rows):
    asked, one = tiny_bundle.ask(bundle, rows, 17), rows[rows["row"] == 17]
    votes = asked.votes()
    assert list(votes.index) == bundle.label_names and list(votes) == bundle.models.names
    for name in votes:
        np.testing.assert_allclose(votes[name], tiny_bundle.predict(bundle, one, name)[0], atol=1e-12)
        np.testing.assert_array_equal(votes[name], asked.probabilities(name))
        assert asked.predicted(name) == votes[name].idxmax()
    np.testing.assert_allclose(votes.sum(), 1, atol=1e-9)


def test_a_model_with_nothing_to_read_has_no_vote(bundle, rows):
    """Its answer to nothing, the class shares, is no vote; models that read another part have theirs."""
    asked = tiny_bundle.ask(bundle, rows, 17).without("audio")
    votes = asked.votes()
    assert votes["audio"].isna().all() and votes.drop(columns="audio").notna().all(axis=None)
    pd.testing.assert_frame_equal(votes, Question(bundle, rows[rows["row"] == 17].assign(audio="")).votes())
    np.testing.assert_allclose(asked.probabilities("audio"), bundle.models.prior_)
    assert asked.without("text").votes().isna().all(axis=None)


def test_models_that_cannot_read_the_row_are_not_counted_among_those_that_disagree(bundle, rows):
    for number in (17, 14, 15):  # both parts; no sound; no text
        asked = tiny_bundle.ask(bundle, rows, number)
        label, votes = rows.set_index("row").loc[number, "label"], asked.votes()
        row, (key, grade, facts) = asked.verdicts()
        readers = [name for name in votes if name not in {14: ["audio"], 15: ["text"]}.get(number, [])]
        agree = sum(asked.probabilities(name).argmax() == bundle.label_names.index(label) for name in readers)
        assert (key, grade, facts) == ("agreement", "note", {"agree": agree, "models": len(readers)})
        chosen = asked.probabilities()
        assert row[2] == {"row": str(number), "label": label, "model": bundle.chosen, "predicted": asked.predicted(),
                          "confidence": f"{100 * chosen.max():.0f}"}  # fmt: skip


def test_without_each_part_the_answer_is_that_of_a_row_without_it(bundle, rows):
    one = rows[rows["row"] == 17]
    asked = tiny_bundle.ask(bundle, rows, 17)
    table = asked.missing_parts("feature-level fusion")
    expected = [one, one.assign(audio=""), one.assign(text="")]
    for column, row in zip(["all parts", "Without audio", "Without text"], expected, strict=True):
        np.testing.assert_allclose(
            table[column], tiny_bundle.predict(bundle, row, "feature-level fusion")[0], atol=1e-6
        )
    best = asked.missing_parts()["all parts"].idxmax()
    moved = 100 * (asked.missing_parts().loc[best] - asked.missing_parts().loc[best, "all parts"])
    assert [facts for *_, facts in asked.missing_verdicts()] == [
        {"part": part, "label": best, "points": f"{moved[f'Without {part}']:+.0f}"} for part in ("audio", "text")
    ]


def test_of_a_run_the_row_is_the_one_named_or_the_most_confident_mistake(bundle, rows, tmp_path, monkeypatch):
    run = Run(tmp_path)
    monkeypatch.setattr(Run, "bundle", lambda self: bundle)
    run.write("rows.parquet", rows)
    judged = {"row": [12, 17, 20], "confidence": [0.5, 0.9, 0.95], "right": [False, False, True]}
    run.write("errors.parquet", pd.DataFrame(judged))
    assert Question.of(run).number == 17 and Question.of(run, 20).number == 20
    pd.testing.assert_frame_equal(Question.of(run).votes(), tiny_bundle.ask(bundle, rows, 17).votes())
    with pytest.raises(KeyError, match="Row 99 is not among the 24 rows"):
        Question.of(run, 99)


def test_an_unknown_row_model_or_part_is_named(bundle, rows):
    with pytest.raises(KeyError, match="Row 99 is not among the 24 rows"):
        tiny_bundle.ask(bundle, rows, 99)
    with pytest.raises(ValueError, match="No model 'texts' in the bundle; it has audio, text"):
        tiny_bundle.ask(bundle, rows, 17).card("texts")
    with pytest.raises(ValueError, match="The bundle reads no image; expected a tuple of parts among audio, text"):
        tiny_bundle.ask(bundle, rows, 17).without("image")


# --- Edited rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("without", [(), ("audio",), ("text",), ("audio", "text")])
@pytest.mark.parametrize("text", [None, "bank share 芯片", "  ", "</script> \u202e🎈", "goal " * 20_000])
def test_an_edited_row_is_answered_as_the_row_that_was_made(bundle, rows, text, without):
    one = rows[rows["row"] == 17]
    asked = tiny_bundle.ask(bundle, rows, 17)
    edited = (asked if text is None else asked.edited(text)).without(*without)
    written = one["text"].iloc[0] if text is None else text.strip() and text
    changed = one.assign(text="" if "text" in without else written, audio="" if "audio" in without else one["audio"])
    for name in bundle.models.names:
        np.testing.assert_allclose(edited.probabilities(name), tiny_bundle.predict(bundle, changed, name)[0], atol=1e-6)
        np.testing.assert_allclose(asked.probabilities(name), tiny_bundle.predict(bundle, one, name)[0], atol=1e-6)


def test_the_same_text_is_the_same_question(bundle, rows):
    asked = tiny_bundle.ask(bundle, rows, 17)
    assert asked.edited(asked.text) is asked
    without = asked.without("text")
    assert without.without_word() is without
    other = asked.edited("goal bank team")
    word = other.words().set_index("word")["effect"].idxmax()
    assert other.without_word().text == "goal bank team".replace(word, "")


# --- What moved the answer ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["", "text", "feature-level fusion", "decision-level stacked"])
@pytest.mark.parametrize("number", [12, 17, 14])  # Chinese; English; without a sound
def test_words_are_judged_by_what_leaving_them_out_does(bundle, rows, number, model):
    one = rows[rows["row"] == number]
    text, before = one["text"].iloc[0], tiny_bundle.predict(bundle, one, model)[0]
    asked, expected = tiny_bundle.ask(bundle, rows, number), []
    for word in text.split():  # rjieba leaves these words whole
        after = tiny_bundle.predict_at_own_length(bundle, one, text.replace(word, ""), model)
        expected.append(before.max() - after[before.argmax()])
    words = asked.words(model)
    assert words["word"].tolist() == text.split()
    np.testing.assert_allclose(words["effect"], expected, atol=1e-6)
    pd.testing.assert_frame_equal(asked.card_words(model)[0], words)


def test_the_last_word_left_out_leaves_a_row_without_text(bundle, rows):
    rows.loc[rows["row"] == 17, "text"] = "goal"
    one = rows[rows["row"] == 17]
    before, after = (tiny_bundle.predict(bundle, row, "text")[0] for row in (one, one.assign(text="")))
    words = tiny_bundle.ask(bundle, rows, 17).words("text")
    assert words["word"].tolist() == ["goal"]
    assert words["effect"][0] == pytest.approx(before.max() - after[before.argmax()], abs=1e-6)


def test_of_a_text_of_100_000_characters_the_words_shown_are_left_out_in_spans(bundle, rows):
    text = ("goal bank 软件 coach " * 6000)[:100_000]
    one = rows[rows["row"] == 17].assign(text=text)
    asked = Question(bundle, one)
    words, note = asked.card_words("text")
    assert 1 < len(words) <= question.FEWEST_SPANS and words["end"].max() <= cards.MOST_CHARACTERS
    assert note == f"A text of 100,000 characters: the words shown were left out in {len(words)} spans."
    span, best = words.iloc[1], asked.probabilities("text").argmax()
    before, after = (
        tiny_bundle.predict_at_own_length(bundle, one, value, "text")[best]
        for value in (text, text[: span["start"]] + text[span["end"] :])
    )
    assert span["effect"] == pytest.approx(before - after, abs=1e-6)


@pytest.mark.parametrize("n_words", [100, 190, 400])
def test_the_longer_the_text_the_fewer_spans(bundle, rows, n_words):
    text = " ".join(["bank"] * n_words)
    allowed, n_shown = min(200, 150_000 // len(text)), len(text[:1500].split())
    words, note = Question(bundle, rows[rows["row"] == 17].assign(text=text)).card_words("text")
    assert len(words) <= allowed and (len(words) == n_shown) == (n_shown <= allowed)
    assert bool(note) == (n_shown > allowed or len(text) > 1500)


def test_the_effect_of_a_length_is_what_a_text_of_mean_length_lacks(bundle, rows):
    """By hand: the numbers of the mean length are 0, as features are centred. What is no part of a model has no effect."""
    asked, data = tiny_bundle.ask(bundle, rows, 17), bundle.encode(rows[rows["row"] == 17])
    mean = data.features.blocks["text"].copy()
    mean[:, 4:] = 0  # 4 numbers of word vectors, then the length
    before = bundle.models.predict(data)
    after = bundle.models.predict(data.with_features(data.features.replaced({"text": mean})))
    for model in bundle.models.names:
        best = before[model][0].argmax()
        effect = asked.length_effect(model)
        assert effect == pytest.approx((before[model] - after[model])[0, best], abs=1e-6)
        assert (abs(effect) > 1e-6) == (model != "audio")
    assert asked.edited("").length_effect() == 0 and asked.edited("").length_table().empty
    [[columns, points]] = asked.length_table("text").to_numpy()
    assert columns == len(asked.text)  # ASCII, a column each
    assert points == f"{100 * asked.length_effect('text'):+.1f}"


def test_a_sound_is_asked_about_by_bands_and_moments(bundle, rows):
    """The network of texts alone takes no notice of it, that of sounds does, as one that is given the muted files."""
    asked, one = tiny_bundle.ask(bundle, rows, 17), rows[rows["row"] == 17]

    def predict(paths):
        return tiny_bundle.predict(bundle, pd.concat([one] * len(paths)).assign(audio=paths), "audio")

    best = int(asked.probabilities("audio").argmax())
    for made, mute in ((asked.bands, occlusion.mute_bands), (asked.moments, occlusion.mute_windows)):
        assert (made("text")["effect"].abs() < 1e-9).all() and made("audio")["effect"].abs().max() > 1e-9
        expected = mute(read_audio(one["audio"].iloc[0]), occlusion.through_files(predict, "audio"), best)
        pd.testing.assert_frame_equal(made("audio"), expected, atol=1e-6)


def test_a_part_that_is_missing_or_not_read_has_empty_tables(bundle, rows):
    asked = tiny_bundle.ask(bundle, rows.assign(image="a.png"), 17).without("audio", "text")
    made = [asked.words(), asked.patches(), asked.bands(), asked.moments()]
    assert [list(table) for table in made] == [
        occlusion.WORD_COLUMNS, occlusion.PATCH_COLUMNS, occlusion.BAND_COLUMNS, occlusion.MOMENT_COLUMNS,
    ]  # fmt: skip
    assert all(table.empty for table in made) and asked.picture() is None and asked.sound() is None
    assert asked.card_words()[0].empty and asked.parts == []


def test_the_strongest_place_sets_one_scale_and_is_told(bundle, rows):
    """Each place is worked out once: cards, figures and sentences show the same table."""
    asked = tiny_bundle.ask(bundle, rows, 17)
    places = [asked.words(), asked.bands(), asked.moments()]
    assert asked.strongest() == max(table["effect"].abs().max() for table in places)
    assert asked.place_verdicts() == occlusion.strongest_verdicts(*places)
    assert (
        asked.words() is places[0] and asked.words(bundle.chosen) is places[0] and asked.words("text") is not places[0]
    )
    assert asked.edited("goal bank").words()["word"].tolist() == ["goal", "bank"]
    assert asked.coloured().data.count("<mark") == len(places[0])
    compared = asked.compared(asked.without_word()).data
    assert compared == cards.votes_html(asked.votes(), asked.without_word().votes()) and "as edited" in compared


# --- Fusion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mean", "product", "weighted"])
def test_equal_weights_are_the_rules_of_the_bundle_and_learnt_ones_its_weighted_rule(bundle, rows, name):
    data = bundle.encode(rows)
    made = bundle.models.predict(data)
    learnt = bundle.models.fusions_["decision-level weighted"]
    weights = dict(zip(learnt.names_, learnt.weights_, strict=True)) if name == "weighted" else None
    assert weights is None or max(abs(value - 1) for value in weights.values()) > 0.01
    votes, rule = made.only(bundle.parts), "mean" if name == "mean" else "product"
    again = question.pool(votes, data.features.present, rule, prior=bundle.models.prior_, weights=weights)
    np.testing.assert_allclose(again, made[f"decision-level {name}"], atol=1e-9)
    one = tiny_bundle.ask(bundle, rows, 17)
    np.testing.assert_allclose(one.joined(rule, weights), one.probabilities(f"decision-level {name}"), atol=1e-9)


def test_a_weighted_mean_by_hand():
    """Both parts; the text alone; the sound alone; none."""
    made = question.pool(MADE, THERE, "mean", prior=PRIOR, weights={"text": 3, "audio": 1})
    both = [(3 * 0.7 + 0.1) / 4, (3 * 0.2 + 0.3) / 4, (3 * 0.1 + 0.6) / 4]
    np.testing.assert_allclose(made, [both, MADE["text"][0], MADE["audio"][0], PRIOR])


def test_a_weighted_product_by_hand():
    made = question.pool(MADE, THERE, "product", prior=PRIOR, weights={"text": 2, "audio": 0.5})
    both = PRIOR * (MADE["text"][0] / PRIOR) ** 2 * (MADE["audio"][0] / PRIOR) ** 0.5
    expected = [both / both.sum(), MADE["text"][0], MADE["audio"][0], PRIOR]
    np.testing.assert_allclose(made, expected)


@pytest.mark.parametrize("rule", question.RULES)
def test_a_part_without_weight_counts_as_missing(rule):
    made = question.pool(MADE, THERE, rule, prior=PRIOR, weights={"text": 0})
    np.testing.assert_allclose(made, [MADE["audio"][0], PRIOR, MADE["audio"][0], PRIOR])
    none = question.pool(MADE, THERE, rule, prior=PRIOR, weights={"text": 0, "audio": 0})
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
        question.pool(MADE, THERE, rule, prior=PRIOR, weights=weights)


# --- The linear model as a cross-check ----------------------------------------------------------------

SPORT, MONEY = "match team coach player league", "bank share profit budget tax"


@pytest.fixture(scope="module")
def trained():
    """An n-gram bag and weights learnt from made texts, where "goal" stands in every text of class 1 alone."""
    rng = np.random.default_rng(0)
    texts = [
        " ".join(rng.permutation([*rng.choice(f"{SPORT} {MONEY}".split(), 6), "goal" if i % 2 else "rate"]))
        for i in range(200)
    ]
    labels = np.arange(200) % 2
    from fusebook.encoders.text import TextEncoder

    encoder = TextEncoder("ngrams").fit(texts, labels)
    return encoder, question.linear_weights(encoder.transform_ngrams(texts), labels), texts, labels


def test_word_weights_and_words_left_out_name_the_planted_word(trained):
    encoder, weights, texts, labels = trained
    model = LogisticRegression(C=10).fit(encoder.transform_ngrams(texts), labels)
    text = "The coach said a goal pays the player and the bank"
    marks = occlusion.leave_words_out(text, lambda asked: model.predict_proba(encoder.transform_ngrams(asked)), 1)
    weighed = question.word_weights(text, marks["word"], encoder.transform_ngrams, weights[1])
    assert marks["word"][marks["effect"].idxmax()] == marks["word"][weighed.argmax()] == "goal"
    assert question.rank_agreement(marks["effect"], weighed) > 0.5


def test_word_weights_add_up_to_the_score_where_no_n_gram_is_shared(trained):
    encoder, weights, texts, labels = trained
    machine = LinearSVC(C=0.5, random_state=42).fit(encoder.transform_ngrams(texts), labels)
    np.testing.assert_allclose(weights, [-machine.coef_[0], machine.coef_[0]])
    score = machine.decision_function(encoder.transform_ngrams(["goal"]))[0] - machine.intercept_[0]
    weighed = question.word_weights("goal", ["goal", "unheard"], encoder.transform_ngrams, weights[1])
    assert weighed[0] == pytest.approx(score)
    rated = question.word_weights("goal", ["goal"], encoder.transform_ngrams, weights[0])
    assert rated[0] == pytest.approx(-score), "the other class's weights are the opposite"
    assert question.word_weights("", [], encoder.transform_ngrams, weights[1]).shape == (0,)


def test_weights_of_several_classes_are_the_machine_s():
    rng = np.random.default_rng(0)
    bag, labels = csr_array(rng.random((60, 5))), np.arange(60) % 3
    expected = LinearSVC(C=0.5, random_state=42).fit(bag, labels).coef_
    np.testing.assert_allclose(question.linear_weights(bag, labels), expected)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 2, 2], [1, 1, 2]], ids=str)
def test_weights_need_a_row_of_each_class(labels):
    with pytest.raises(ValueError, match="expected 0, 1"):
        question.linear_weights(csr_array(np.eye(3)), np.array(labels))


def test_rank_agreement_is_scipys():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 30))
    expected = pearsonr(rankdata(first), rankdata(second)).statistic
    assert question.rank_agreement(first, second) == pytest.approx(expected)
    assert question.rank_agreement(first, np.exp(first)) == pytest.approx(1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([1, 2], [2, 1]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0, 0, 0])]
)
def test_without_an_order_there_is_no_agreement(first, second):
    assert np.isnan(question.rank_agreement(np.array(first), np.array(second)))


def test_words_are_weighed_by_a_linear_model_of_the_training_rows(bundle, rows):
    labels = np.arange(len(rows)) % 3
    bag = bundle.encoders["text"].transform_ngrams(rows["text"].tolist())
    split = np.where(np.arange(len(rows)) < 18, "train", "test")
    features = Features({}, {"text": (rows["text"] != "").to_numpy()}, bag)
    data = Dataset(rows.assign(split=split, class_id=labels), bundle.label_names, features)
    asked = tiny_bundle.ask(bundle, rows, 17)
    words = asked.words()
    best = asked.probabilities().argmax()
    weights = LinearSVC(C=0.5, random_state=42).fit(bag[:18], labels[:18]).coef_[best]
    read = bundle.encoders["text"].transform_ngrams
    judged = asked.judged(data)
    np.testing.assert_allclose(judged["weight"], question.word_weights(asked.text, words["word"], read, weights))
    agreement = question.rank_agreement(judged["effect"], judged["weight"])
    facts = {"correlation": f"{agreement:.2f}", "words": len(words)}
    assert asked.judge_verdicts(judged) == ([] if np.isnan(agreement) else [("judges", "note", facts)])
    none = asked.without("text").judged(data)
    assert list(none) == [*occlusion.WORD_COLUMNS, "weight"] and asked.judge_verdicts(none) == []
    assert asked.judged(data.with_features(Features({}, {}))).empty
