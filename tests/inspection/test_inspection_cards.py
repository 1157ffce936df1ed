"""Cards and answers as HTML, read back and compared with what the bundle predicts; over a small bundle."""

import base64
import re
import shutil
from html import escape, unescape
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import tiny_bundle
from bs4 import BeautifulSoup
from PIL import Image

from fusebook.encoders import saved
from fusebook.inspection import cards, question
from fusebook.models.bundle import Bundle
from fusebook.plots import charts

HOSTILE = "</script><img src=x onerror=alert(1)>"


def soup(html):
    return BeautifulSoup(getattr(html, "data", html), "html.parser")


# --- Words --------------------------------------------------------------------------------------------


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
        after = tiny_bundle.predict_at_own_length(bundle, one, text.replace(word, ""), name)
        expected.append((word, before.max() - after[before.argmax()]))
    made = marked(cards.inspect_row(bundle, rows, number, model=model))
    assert [word for word, _ in made] == [word for word, _ in expected]
    np.testing.assert_allclose([effect for _, effect in made], [effect for _, effect in expected], atol=6e-4)


def test_the_last_word_left_out_leaves_a_row_without_text(bundle, rows):
    rows.loc[rows["row"] == 17, "text"] = "goal"
    one = rows[rows["row"] == 17]
    before, after = (bundle.predict(row, model="text")[0] for row in (one, one.assign(text="")))
    [(word, effect)] = marked(cards.inspect_row(bundle, rows, 17, model="text"))
    assert word == "goal" and effect == pytest.approx(before.max() - after[before.argmax()], abs=6e-4)


def test_of_a_text_of_100_000_characters_the_words_shown_are_left_out_in_spans(bundle, rows):
    text = ("goal bank 软件 coach " * 6000)[:100_000]
    one = rows[rows["row"] == 17].assign(text=text)
    marks, note = cards.words_of_row(bundle, one, "text", 0)
    n_spans = cards.FEWEST_SPANS
    assert (
        1 < len(marks) <= n_spans
        and note == f"A text of 100,000 characters: the words shown were left out in {len(marks)} spans."
    )
    assert marks["end"].max() <= cards.MOST_CHARACTERS
    span = marks.iloc[1]
    before, after = (
        tiny_bundle.predict_at_own_length(bundle, one, value, "text")[0]
        for value in (text, text[: span["start"]] + text[span["end"] :])
    )
    assert span["effect"] == pytest.approx(before - after, abs=1e-6)
    card = soup(cards.inspect_row(bundle, rows, 17, text=text))
    assert note in card.text and "and 98,500 characters more" in card.text


@pytest.mark.parametrize("n_words", [100, 190, 400])
def test_the_longer_the_text_the_fewer_spans(bundle, rows, n_words):
    text = " ".join(["bank"] * n_words)
    allowed, n_shown = min(200, 150_000 // len(text)), len(text[:1500].split())
    one = rows[rows["row"] == 17].assign(text=text)
    marks, note = cards.words_of_row(bundle, one, "text", 0)
    assert len(marks) <= allowed and (len(marks) == n_shown) == (n_shown <= allowed)
    assert bool(note) == (n_shown > allowed or len(text) > 1500)


def test_the_length_is_told_beside_the_words(bundle, rows):
    """As the prediction with the numbers of the mean length says; where it does nothing, nothing is told."""
    one = rows[rows["row"] == 17]
    features, present = bundle.encode(one)
    before = bundle.models.predict(features, present, names=["text"])["text"][0]
    features["text"][:, bundle.encoders["text"].columns()["length"]["text"]] = 0
    after = bundle.models.predict(features, present, names=["text"])["text"][0]
    best = before.argmax()
    filled = len(one["text"].iloc[0])  # ASCII, a column each
    said = f"The length of the text ({filled} columns), beside the mean length: {100 * (before - after)[best]:+.1f} points."
    assert said in soup(cards.inspect_row(bundle, rows, 17, model="text")).text
    for asked in ({"model": "audio"}, {"model": "text", "text": ""}):
        assert "length of the text" not in soup(cards.inspect_row(bundle, rows, 17, **asked)).text


# --- The card -----------------------------------------------------------------------------------------


def test_the_card_says_what_the_model_says(bundle, rows):
    card = cards.inspect_row(bundle, rows, 14, model="text").data
    probabilities = bundle.predict(rows[rows["row"] == 14], model="text")[0]
    best = bundle.label_names[probabilities.argmax()]
    assert f"row 14 · given sport · text: {best}" in card
    for i in probabilities.argsort()[::-1]:
        assert re.search(rf"<td>{bundle.label_names[i]}</td><td>.*?{100 * probabilities[i]:.1f} %", card)
    assert '<audio controls preload="metadata" src="data:audio/wav;base64,' not in card, "row 14 has no sound"
    assert "data:audio/wav;base64," in cards.inspect_row(bundle, rows, 17).data


def test_an_edited_row_is_shown_as_it_is_predicted(bundle, rows):
    card = cards.inspect_row(bundle, rows, 17, model="text", text="bank 芯片", without=("audio",))
    changed = rows[rows["row"] == 17].assign(text="bank 芯片", audio="")
    probabilities = bundle.predict(changed, model="text")[0]
    best = bundle.label_names[probabilities.argmax()]
    assert (
        soup(card).find(class_="fb-head").text == f"row 17 · given sport · text: {best} · text edited · without audio"
    )
    assert [word for word, _ in marked(card)] == ["bank", "芯片"] and "<audio" not in card.data
    assert "without text" in cards.inspect_row(bundle, rows, 17, without=("text",)).data


def test_a_row_without_text_has_a_card_without_marks(bundle, rows):
    card = cards.inspect_row(bundle, rows, 15)
    assert not marked(card) and "row 15" in card.data


@pytest.mark.parametrize("text", [HOSTILE, "\u202egnitset\u202c 🎈👩‍👩‍👧", "a\x00b\n\n<b>"])
def test_what_people_wrote_is_escaped_and_stays_whole(bundle, rows, text):
    rows.loc[rows["row"] == 17, ["text", "label"]] = text
    card = cards.inspect_row(bundle, rows, 17)
    assert soup(card).find(class_="fb-text").text.strip() == text.strip() or "\x00" in text
    assert f"given {escape(text)}" in card.data and not soup(card).find_all(["script", "b", "img"])


def test_a_row_without_a_label_has_a_card(bundle, rows):
    made = cards.inspect_row(bundle, rows.drop(columns="label"), 17, model="text")
    assert "row 17 · text: " in made.data


@pytest.mark.parametrize("n_words", [2, 60])
def test_the_sound_is_read_once_not_once_a_word(bundle, rows, n_words, monkeypatch, tmp_path):
    row = rows["row"] == 17
    rows.loc[row, "audio"] = shutil.copy(rows.loc[row, "audio"].item(), str(tmp_path / "unread.wav"))
    read, count = soundfile.read, []
    monkeypatch.setattr(soundfile, "read", lambda *given, **options: count.append(1) or read(*given, **options))
    rows.loc[row, "text"] = "goal coach " * (n_words // 2)
    assert len(marked(cards.inspect_row(bundle, rows, 17))) == n_words
    assert 1 <= len(count) <= 2


def test_an_unknown_row_or_model_is_named(bundle, rows):
    with pytest.raises(KeyError, match="Row 99 is not among the 24 rows"):
        cards.inspect_row(bundle, rows, 99)
    with pytest.raises(ValueError, match="No model 'texts' in the bundle; it has audio, text"):
        cards.inspect_row(bundle, rows, 17, model="texts")


def test_a_bundle_without_text_has_a_card_without_marks(tmp_path):
    rows, labels = tiny_bundle.make_rows(tmp_path)
    models, encoders = tiny_bundle.make_models(rows, labels)
    models.networks, models.fusions = {"audio": models.networks["audio"]}, {}
    saved.save_encoders(tmp_path / "encoders", {"audio": encoders["audio"]})
    facts = {"label_names": tiny_bundle.LABEL_NAMES, "chosen": "audio", "modalities": ["audio"]}
    models.save_bundle(tmp_path / "bundle", facts, encoders=tmp_path / "encoders")
    card = cards.inspect_row(Bundle(tmp_path / "bundle"), rows.assign(text=""), 17)
    assert not marked(card) and "row 17 · given sport · audio: " in card.data


# --- The picture --------------------------------------------------------------------------------------


class BrightLeft:
    """Stands in for a bundle: the brighter the picture's left half, the likelier its first class."""

    def __init__(self):
        self.label_names, self.modalities, self.chosen = ["<b>left</b>", "right"], ["image"], "image"
        self.encoders = {"image": SimpleNamespace(size=16)}
        self.models = SimpleNamespace(names=["image"], predict=self.predict)

    def predict(self, features, present, names):
        return {"image": np.hstack([features["image"], 1 - features["image"]])}

    def encode(self, rows):
        seen = [np.asarray(Image.open(path).convert("L"), float) for path in rows["image"]]
        left = np.array([[picture[:, :8].mean() / 255] for picture in seen])
        return {"image": left}, {"image": np.ones(len(rows), bool)}


def test_the_map_colours_the_patches_that_hold_the_class_up(tmp_path):
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[:4, :8] = (
        255  # the upper left is bright, so that covering it with grey darkens, covering the rest brightens
    )
    Image.fromarray(picture).save(tmp_path / "a.png")
    bundle = BrightLeft()
    row = pd.DataFrame([{"row": 1, "text": "", "image": str(tmp_path / "a.png"), "audio": ""}])
    figure = soup(cards.picture_map(bundle, row, "image", 0))
    effects = {}
    for patch in figure.find_all("rect"):
        x, y = float(patch["x"]), float(patch["y"])
        effects[x, y] = float(patch.title.text), patch["fill"], float(patch["fill-opacity"])
    assert len(effects) == 64
    cover = round(picture.mean()) / 255
    for (x, y), (effect, colour, opacity) in effects.items():
        expected = ((y < 25) - cover) * 4 / 128 if x < 50 else 0  # four pixels a patch, 128 in the left half
        assert effect == pytest.approx(expected, abs=6e-4)
        if expected:
            assert colour == ("rgb(59,125,216)" if expected > 0 else "rgb(224,123,57)")
        assert opacity == pytest.approx(charts.STRENGTH * abs(expected) / ((1 - cover) * 4 / 128), abs=0.02)
    shown = Image.open(BytesIO(base64.b64decode(figure.image["href"].split(",")[1])))
    assert (np.asarray(shown) == picture[..., 0]).all()
    assert figure.svg["aria-label"].startswith("The picture in grey") and "<b>left</b>" in figure.svg["aria-label"]


def test_a_row_without_a_picture_has_no_map(bundle, rows):
    assert cards.picture_map(BrightLeft(), rows.head(1), "image", 0) == ""
    assert cards.picture_map(bundle, rows.assign(image="a.png").head(1), "text", 0) == ""


# --- Answers ------------------------------------------------------------------------------------------


def tables(html):
    """Caption to label to the shares shown."""
    return {
        table.caption.text: {
            line.th.text: [td.text.split()[0] for td in line.find_all("td")] for line in table.tbody.find_all("tr")
        }
        for table in soup(html).find_all("table")
    }


def test_old_and_new_bars_stand_side_by_side(bundle, rows):
    one = rows[rows["row"] == 17]
    votes = question.predict_edited(bundle, one, "bank 芯片", rule="mean")
    made = tables(cards.votes_html(votes))
    assert list(made) == [*bundle.models.names, question.OWN]
    for line in votes.itertuples():
        assert made[line.model][line.label] == [f"{100 * line.before:.1f}", f"{100 * line.after:.1f}"]
    assert list(made["text"]) == votes[votes["model"] == "text"].sort_values("after", ascending=False)["label"].tolist()


def test_where_nothing_has_changed_one_bar_is_enough(bundle, rows):
    votes = question.predict_edited(bundle, rows[rows["row"] == 17])
    assert all(len(shares) == 1 for lines in tables(cards.votes_html(votes)).values() for shares in lines.values())


def test_of_sixty_classes_the_likeliest_before_and_after_are_shown():
    random = np.random.default_rng(0)
    names = [f"<i>class {i}" for i in range(60)]
    values = {"before": random.dirichlet(np.ones(60) * 0.1), "after": random.dirichlet(np.ones(60) * 0.1)}
    votes = pd.DataFrame({"model": HOSTILE, "label": names} | values)
    html = cards.votes_html(votes)
    [(caption, lines)] = tables(html).items()
    assert caption == HOSTILE and len(lines) == 3 and not soup(html).find_all(["i", "img"])
    assert {names[values["before"].argmax()], names[values["after"].argmax()]} <= set(lines)


# --- Lines of the table -------------------------------------------------------------------------------

LINE = {"row": 3, "split": "test", "text": "two\nlines " + "x" * 200, "image": "", "audio": "", "label": "a", "predicted": "b",
        "right": False, "confidence": 0.987, "loss": 3.21, "suspicion": 0.5, "slices": ()}  # fmt: skip


def cells(line):
    return [cell.text for cell in soup(cards.row_line(line)).find_all("span")]


def test_a_line_of_the_table_has_a_cell_a_column():
    made = cells(LINE)
    assert made[:-1] == ["test", "wrong", "a", "b", "99 %", "3.21", "0.50"]
    assert made[-1].startswith("two lines xxx") and len(made[-1]) == 80
    assert len(soup(cards.HEAD_LINE).find_all("span")) == len(made)


def test_a_training_row_has_no_answer():
    none = {"predicted": "", "right": pd.NA, "confidence": np.nan, "loss": np.nan, "split": "train", "text": ""}
    assert cells(LINE | none) == ["train", "not asked", "a", "–", "–", "–", "0.50", "(no text)"]
    assert cells(LINE | {"suspicion": np.nan})[6] == "–"


def test_a_hostile_line_is_escaped():
    made = soup(cards.row_line(LINE | {"text": HOSTILE, "label": HOSTILE}))
    assert not made.find_all(["script", "img"]) and made.text.count(HOSTILE) == 2
