"""The widgets and the plain functions inside them, over a small bundle of text and sound."""

import re
import shutil
from html import escape, unescape

import numpy as np
import pandas as pd
import pytest
import soundfile
import tiny_bundle

from fusebook import features as modalities
from fusebook import widgets
from fusebook.bundle import Bundle


@pytest.fixture(scope="module")
def rows_and_bundle(tmp_path_factory):
    rows, labels = tiny_bundle.make_rows(tmp_path_factory.mktemp("sounds"))
    return rows, Bundle(
        tiny_bundle.save(tmp_path_factory.mktemp("run"), *tiny_bundle.make_models(rows, labels))
    )


@pytest.fixture
def rows(rows_and_bundle):
    return rows_and_bundle[0].copy()


@pytest.fixture
def bundle(rows_and_bundle):
    return rows_and_bundle[1]


# --- Votes --------------------------------------------------------------------------------------------


def test_votes_are_what_the_models_predict(bundle, rows):
    one = rows[rows["row"] == 17]
    votes = widgets.votes_of_row(bundle, one)
    assert list(votes.index) == bundle.label_names and list(votes) == bundle.models.names
    for name in votes:
        np.testing.assert_allclose(votes[name], bundle.predict(one, model=name)[0], atol=1e-12)
    np.testing.assert_allclose(votes.sum(), 1, atol=1e-9)


def test_votes_without_a_part_are_those_of_a_row_without_it(bundle, rows):
    one = rows[rows["row"] == 17]
    made = widgets.votes_of_row(bundle, one, without=("audio",))
    pd.testing.assert_frame_equal(made, widgets.votes_of_row(bundle, one.assign(audio="")))
    np.testing.assert_allclose(made["audio"], bundle.models.prior)


# --- One row ------------------------------------------------------------------------------------------


def marked(card):
    """The coloured words of a card and the effects in their titles."""
    found = re.findall(r'<mark style="[^"]*" title="([^"]*)">([^<]*)</mark>', card.data)
    return [(unescape(word), float(effect)) for effect, word in found]


@pytest.mark.parametrize("model", ["", "text", "feature-level fusion", "decision-level stacked"])
@pytest.mark.parametrize("number", [12, 17, 14])  # Chinese; English; without a sound
def test_words_are_coloured_by_what_leaving_them_out_does(bundle, rows, number, model):
    one = rows[rows["row"] == number]
    text, name = one["text"].iloc[0], model or "decision-level mean"
    before = bundle.predict(one, model=name)[0]
    expected = []
    for word in text.split():  # rjieba leaves these words whole
        after = bundle.predict(one.assign(text=text.replace(word, "")), model=name)[0]
        expected.append((word, before.max() - after[before.argmax()]))
    made = marked(widgets.inspect_row(bundle, rows, number, model=model))
    assert [word for word, _ in made] == [word for word, _ in expected]
    np.testing.assert_allclose([effect for _, effect in made], [effect for _, effect in expected], atol=6e-4)


def test_the_last_word_left_out_leaves_a_row_without_text(bundle, rows):
    rows.loc[rows["row"] == 17, "text"] = "goal"
    one = rows[rows["row"] == 17]
    before, after = (bundle.predict(row, model="text")[0] for row in (one, one.assign(text="")))
    [(word, effect)] = marked(widgets.inspect_row(bundle, rows, 17, model="text"))
    assert word == "goal" and effect == pytest.approx(before.max() - after[before.argmax()], abs=6e-4)


def test_the_card_says_what_the_model_says(bundle, rows):
    card = widgets.inspect_row(bundle, rows, 14, model="text").data
    probabilities = bundle.predict(rows[rows["row"] == 14], model="text")[0]
    best = bundle.label_names[probabilities.argmax()]
    assert f"row 14 · given sport · text: {best}" in card
    for i in probabilities.argsort()[::-1]:
        assert re.search(rf"<td>{bundle.label_names[i]}</td><td>.*?{100 * probabilities[i]:.1f} %", card)
    assert '<audio controls preload="metadata" src="data:audio/wav;base64,' not in card, "row 14 has no sound"
    assert "data:audio/wav;base64," in widgets.inspect_row(bundle, rows, 17).data


def test_a_row_without_text_has_a_card_without_marks(bundle, rows):
    card = widgets.inspect_row(bundle, rows, 15)
    assert not marked(card) and "row 15" in card.data


def test_what_people_wrote_is_escaped(bundle, rows):
    hostile = "<script>alert(1)</script>"
    rows.loc[rows["row"] == 17, ["text", "label"]] = hostile
    card = widgets.inspect_row(bundle, rows, 17).data
    assert hostile not in card and f"given {escape(hostile)}" in card


def test_a_row_without_a_label_has_a_card(bundle, rows):
    assert "row 17 · text: " in widgets.inspect_row(bundle, rows.drop(columns="label"), 17, model="text").data


@pytest.mark.parametrize("n_words", [2, 60])
def test_the_sound_is_read_once_not_once_a_word(bundle, rows, n_words, monkeypatch, tmp_path):
    row = rows["row"] == 17
    rows.loc[row, "audio"] = shutil.copy(rows.loc[row, "audio"].item(), str(tmp_path / "unread.wav"))
    read, count = soundfile.read, []
    monkeypatch.setattr(
        soundfile, "read", lambda *given, **options: count.append(1) or read(*given, **options)
    )
    rows.loc[row, "text"] = "goal coach " * (n_words // 2)
    assert len(marked(widgets.inspect_row(bundle, rows, 17))) == n_words
    assert 1 <= len(count) <= 2


def test_an_unknown_row_or_model_is_named(bundle, rows):
    with pytest.raises(KeyError, match="Row 99 is not among the 24 rows"):
        widgets.inspect_row(bundle, rows, 99)
    with pytest.raises(ValueError, match="No model 'texts' in the bundle; it has audio, text"):
        widgets.inspect_row(bundle, rows, 17, model="texts")


# --- The control --------------------------------------------------------------------------------------


def test_the_control_offers_every_row_and_model(bundle, rows):
    box = widgets.inspector(bundle, rows)
    which, model, card = box.children
    assert [value for _, value in which.options] == rows["row"].tolist()
    assert which.options[7][0] == f"17 · sport · {rows['text'].iloc[7][:24]}"
    assert list(model.options) == bundle.models.names and model.value == bundle.chosen
    assert card.value == widgets.inspect_row(bundle, rows, 10).data, "the first row at once"


def test_another_choice_changes_the_card(bundle, rows):
    which, model, card = widgets.inspector(bundle, rows).children
    which.value = 17
    first = card.value
    model.value = "text"
    expected = [widgets.inspect_row(bundle, rows, 17, model=name).data for name in (bundle.chosen, "text")]
    assert [first, card.value] == expected and expected[0] != expected[1]


def test_rows_without_labels_can_be_chosen(bundle, rows):
    which, _, card = widgets.inspector(bundle, rows.drop(columns="label")).children
    assert len(which.options) == 24 and card.value


def test_a_bundle_without_text_has_a_card_without_marks(tmp_path):
    rows, labels = tiny_bundle.make_rows(tmp_path)
    models, encoders = tiny_bundle.make_models(rows, labels)
    models.networks, models.fusions = {"audio": models.networks["audio"]}, {}
    modalities.save_encoders(tmp_path / "encoders", {"audio": encoders["audio"]})
    facts = {"label_names": tiny_bundle.LABEL_NAMES, "chosen": "audio", "modalities": ["audio"]}
    models.save_bundle(tmp_path / "bundle", facts, encoders=tmp_path / "encoders")
    card = widgets.inspect_row(Bundle(tmp_path / "bundle"), rows.assign(text=""), 17)
    assert not marked(card) and "row 17 · given sport · audio: " in card.data
