"""Cards as a browser would read them: hostile text stays text, marks sit on their words, files are bounded.

What a card says of a row is read back and compared with what the bundle predicts.
"""

import base64
import re
from html import escape, unescape
from html.parser import HTMLParser
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import tiny_bundle
from bs4 import BeautifulSoup
from PIL import Image

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.predictions import Predictions
from fusebook.errors import mistakes
from fusebook.inspection import cards, occlusion, row_widgets
from fusebook.inspection.question import Question
from fusebook.models.bundle import Bundle
from fusebook.plots import charts

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    "' onmouseover='alert(1)",
    "</p></article><iframe src=javascript:alert(1)>",
    "&lt;b&gt; &amp; <!-- <style>*{display:none}</style>",
]


class Reader(HTMLParser):
    """The tags with their attributes, the text, and whether every tag is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text, self.parts = [], [], "", {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag != "img":
            self.open.append((tag, dict(attributes).get("class", tag)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        self.text += data
        for _, name in self.open:
            self.parts[name] = self.parts.get(name, "") + data

    def names(self):
        return {tag for tag, _ in self.tags}

    def attributes(self, wanted):
        return [attributes for tag, attributes in self.tags if tag == wanted]


def row(text="some text", **changed):
    return {"row": 5, "text": text, "image": "", "audio": "", "label": "sport"} | changed


def marks(*lines):
    return pd.DataFrame(lines, columns=["start", "end", "effect"])


# --- Escaping -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_label_and_heading_stay_text(hostile):
    read = Reader(cards.row_card(row(hostile, label=hostile)))
    assert read.names() == {"article", "p", "div"}
    assert all(set(attributes) <= {"class", "dir", "data-row"} for _, attributes in read.tags)
    assert read.parts["fb-text"] == hostile
    assert read.parts["fb-head"] == f"row 5 · {hostile}"
    assert Reader(cards.row_card(row(), heading=hostile)).parts["fb-head"] == hostile


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_file_names_are_in_no_card(hostile, tmp_path):
    card = cards.row_card(row(image=hostile, audio=hostile))
    assert card == cards.row_card(row())
    file = tmp_path / (hostile.replace("/", "") + ".png")
    Image.new("RGB", (2, 2)).save(file)
    read = Reader(cards.row_card(row(image=str(file))))
    assert read.names() == {"article", "p", "div", "img"}
    assert set(read.attributes("img")[0]) == {"src", "alt"}
    assert re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/]+=*", read.attributes("img")[0]["src"])


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_and_labels_in_marks_and_bars(hostile):
    for cut in (1, 4, len(hostile) // 2):
        read = Reader(cards.coloured(hostile, marks((0, cut, 0.5), (cut, len(hostile), -0.5))))
        assert read.names() == {"mark"}
        assert all(set(attributes) == {"style", "title"} for attributes in read.attributes("mark"))
        assert read.text == hostile
    read = Reader(cards.probability_bars({hostile: 0.7, "b": 0.3}))
    assert read.names() == {"table", "tr", "td", "span"}
    assert hostile in read.text


# --- One card -----------------------------------------------------------------------------------------


def test_heading_label_and_what_lies_below():
    assert Reader(cards.row_card(row())).parts["fb-head"] == "row 5 · sport"
    assert Reader(cards.row_card(row(label=""))).parts["fb-head"] == "row 5"
    unlabelled = {key: value for key, value in row().items() if key != "label"}
    assert Reader(cards.row_card(unlabelled)).parts["fb-head"] == "row 5"
    assert Reader(cards.row_card(row(), below="<b>bars</b>")).parts["b"] == "bars"
    assert Reader(cards.row_card(row(), note="<b>left out")).parts["note"] == "<b>left out"
    assert Reader(cards.row_card(row())).attributes("article") == [{"class": "fb-card", "data-row": "5"}]


@pytest.mark.parametrize(
    ("length", "note"),
    [(0, ""), (1499, ""), (1500, ""), (1501, " … and 1 characters more"), (9999, " … and 8,499 characters more")],
)
def test_long_text_is_cut_and_counted(length, note):
    text = ("<&>'" * 2500)[:length]
    read = Reader(cards.row_card(row(text)))
    assert read.parts.get("fb-text", "") == text[:1500] + note


def test_text_of_a_series_works_too():
    assert cards.row_card(pd.Series(row())) == cards.row_card(row())


def test_cards_of_a_table():
    table = pd.DataFrame([row("one"), row("<two>", row=6), row("three", row=7, label="money")])
    html = cards.row_cards(table).data
    assert html.startswith(cards.STYLE)
    read = Reader(html.removeprefix(cards.STYLE))
    assert [tag for tag, _ in read.tags].count("article") == 3
    assert read.parts["fb-text"] == "one<two>three"
    assert read.parts["fb-head"] == "row 5 · sportrow 6 · sportrow 7 · money"
    assert "article" not in Reader(cards.row_cards(table[:0]).data.removeprefix(cards.STYLE)).names()


# --- Marks --------------------------------------------------------------------------------------------


def test_marks_sit_on_their_words():
    text = "a <good> day & a bad end"
    read = Reader(cards.coloured(text, marks((3, 7, 0.2), (17, 20, -0.4))))
    assert read.text == text
    assert read.parts["mark"] == "goodbad"
    assert read.attributes("mark") == [
        {"style": "background:rgba(59,125,216,0.28)", "title": "+0.200"},  # half of 0.55, blue
        {"style": "background:rgba(224,123,57,0.55)", "title": "-0.400"},  # the strongest, orange
    ]


def test_no_marks_and_no_effect():
    assert cards.coloured("a < b", marks()) == "a &lt; b"
    read = Reader(cards.coloured("ab", marks((0, 1, 0.0), (1, 2, 0.0))))
    assert {attributes["style"] for attributes in read.attributes("mark")} == {"background:rgba(224,123,57,0.0)"}
    assert cards.coloured("", marks((0, 1, 0.5))) == ""


def test_marks_beyond_the_shown_text_are_left_out():
    text = "x" * 1490 + " " + "y" * 30
    read = Reader(cards.row_card(row(text), marks=marks((0, 1490, 0.1), (1491, 1521, 0.2), (1600, 1601, 0.3))))
    assert len(read.attributes("mark")) == 2
    assert read.parts["mark"] == "x" * 1490 + "y" * 9
    assert read.parts["fb-text"] == text[:1500] + " … and 21 characters more"


def test_marks_of_words_left_out_fit():
    text = "Der ß: ein <b>GOAL</b> am Ende"

    def predict(texts):
        second = np.array([0.9 if "GOAL" in text else 0.2 for text in texts])
        return np.column_stack([1 - second, second])

    read = Reader(cards.coloured(text, occlusion.leave_words_out(text, predict, 1)))
    assert read.text == text
    titles = [attributes["title"] for attributes in read.attributes("mark")]
    assert titles == ["+0.000"] * 4 + ["+0.700"] + ["+0.000"] * 3


# --- Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a.png", "image/png"), ("a.JPG", "image/jpeg"), ("a.gif", "image/gif"), ("a.webp", "image/webp")],
)
def test_a_picture_is_carried_whole(tmp_path, name, media_type):
    Image.new("RGB", (4, 4), "red").save(tmp_path / name)
    [picture] = Reader(cards.row_card(row(image=str(tmp_path / name)))).attributes("img")
    head, _, carried = picture["src"].partition(",")
    assert head == f"data:{media_type};base64"
    assert base64.b64decode(carried, validate=True) == (tmp_path / name).read_bytes()
    assert picture["alt"]


@pytest.mark.parametrize(
    ("name", "media_type"), [("a.wav", "audio/wav"), ("a.flac", "audio/flac"), ("a.ogg", "audio/ogg")]
)
def test_a_sound_has_a_player(tmp_path, name, media_type):
    soundfile.write(tmp_path / name, np.zeros(800), 16_000)
    [player] = Reader(cards.row_card(row(audio=str(tmp_path / name)))).attributes("audio")
    head, _, carried = player["src"].partition(",")
    assert head == f"data:{media_type};base64"
    assert base64.b64decode(carried, validate=True) == (tmp_path / name).read_bytes()
    assert "controls" in player


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a.txt", "a", "a.png.exe", "gone/a.png"])
def test_an_unknown_type_or_no_file_is_left_out(tmp_path, name):
    if "/" not in name:
        (tmp_path / name).write_text("<svg onload=alert(1)>")
    path = str(tmp_path / name)
    assert cards.row_card(row(image=path, audio=path)) == cards.row_card(row())


def test_a_folder_named_like_a_picture_is_left_out(tmp_path):
    (tmp_path / "a.png").mkdir()
    assert cards.row_card(row(image=str(tmp_path / "a.png"))) == cards.row_card(row())


@pytest.mark.parametrize(("size", "carried"), [(400_000, True), (400_001, False)])
def test_a_file_that_is_too_big_is_left_out(tmp_path, size, carried):
    (tmp_path / "a.png").write_bytes(bytes(size))
    (tmp_path / "a.wav").write_bytes(bytes(size))
    card = cards.row_card(row(image=str(tmp_path / "a.png"), audio=str(tmp_path / "a.wav")))
    assert card.count("base64,") == 2 * carried


def test_media_may_be_given(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    one = row(image=str(tmp_path / "a.png"), audio="gone.wav")
    read = Reader(cards.row_card(one, media={"image": "data:a", "audio": "data:b"}))
    assert [read.attributes(tag)[0]["src"] for tag in ("img", "audio")] == ["data:a", "data:b"]
    assert not Reader(cards.row_card(one, media={"image": ""})).names() & {"img", "audio"}


# --- Bars ---------------------------------------------------------------------------------------------


def test_bars_are_the_likely_labels_in_order():
    read = Reader(cards.probability_bars({"a": 0.05, "b": 0.625, "c": 0.2, "d": 0.125}))
    assert read.text == "b 62.5 %c 20.0 %d 12.5 %"
    assert [attributes["style"] for attributes in read.attributes("span")] == [
        "width:62px", "width:20px", "width:12px",
    ]  # fmt: skip


def test_bars_of_numbers_and_of_few():
    assert Reader(cards.probability_bars({3: 1.0, 4: 0.0})).text == "3 100.0 %4 0.0 %"
    assert Reader(cards.probability_bars({})).text == ""


# --- A question ----------------------------------------------------------------------------------------


def soup(html):
    return BeautifulSoup(getattr(html, "data", html), "html.parser")


def marked(card):
    """The coloured words of a card and the effects in their titles."""
    found = re.findall(r'<mark style="[^"]*" title="([^"]*)">([^<]*)</mark>', card.data)
    return [(unescape(word), float(effect)) for effect, word in found]


@pytest.mark.parametrize("model", ["", "text", "decision-level stacked"])
@pytest.mark.parametrize("number", [12, 14])  # Chinese; without a sound
def test_words_are_coloured_by_what_leaving_them_out_does(bundle, rows, number, model):
    asked = tiny_bundle.ask(bundle, rows, number)
    words, made = asked.words(model), marked(asked.card(model))
    assert [word for word, _ in made] == words["word"].tolist()
    np.testing.assert_allclose([effect for _, effect in made], words["effect"], atol=6e-4)


def test_a_long_text_is_told_to_be_left_out_in_spans(bundle, rows):
    asked = tiny_bundle.ask(bundle, rows, 17).edited(("goal bank 软件 coach " * 6000)[:100_000])
    text = soup(asked.card()).text
    assert asked.card_words()[1] in text and "and 98,500 characters more" in text


def test_the_length_is_told_beside_the_words(bundle, rows):
    """Where it does nothing, nothing is told."""
    asked = tiny_bundle.ask(bundle, rows, 17)
    points = f"{100 * asked.length_effect('text'):+.1f} points."
    filled = len(asked.text)  # ASCII, a column each
    expected = f"The length of the text ({filled} columns), beside the mean length: {points}"
    assert expected in soup(asked.card("text")).text
    for card in (asked.card("audio"), asked.edited("").card("text")):
        assert "length of the text" not in soup(card).text


def test_the_card_says_what_the_model_says(bundle, rows):
    card = tiny_bundle.ask(bundle, rows, 14).card("text").data
    probabilities = tiny_bundle.predict(bundle, rows[rows["row"] == 14], "text")[0]
    best = bundle.label_names[probabilities.argmax()]
    assert f"row 14 · given sport · text: {best}" in card
    for i in probabilities.argsort()[::-1]:
        assert re.search(rf"<td>{bundle.label_names[i]}</td><td>.*?{100 * probabilities[i]:.1f} %", card)
    assert "<audio" not in card, "row 14 has no sound"
    assert (
        '<audio controls preload="metadata" src="data:audio/wav;base64,'
        in tiny_bundle.ask(bundle, rows, 17).card().data
    )


def test_a_model_that_can_read_nothing_of_a_row_has_neither_answer_nor_bars(bundle, rows):
    made = soup(tiny_bundle.ask(bundle, rows, 14).card("audio"))
    assert made.find(class_="fb-head").text == "row 14 · given sport · audio: no audio" and not made.find("table")
    whole = tiny_bundle.ask(bundle, rows, 14).without("text")
    assert (
        soup(whole.card()).find(class_="fb-head").text.endswith("decision-level mean: no part to read · without text")
    )


def test_an_edited_row_is_shown_as_it_is_predicted(bundle, rows):
    edited = tiny_bundle.ask(bundle, rows, 17).edited("bank 芯片").without("audio")
    card = edited.card("text")
    head = f"row 17 · given sport · text: {edited.predicted('text')} · text edited · without audio"
    assert soup(card).find(class_="fb-head").text == head
    assert [word for word, _ in marked(card)] == ["bank", "芯片"] and "<audio" not in card.data
    assert "without text" in tiny_bundle.ask(bundle, rows, 17).without("text").card().data


def test_a_row_without_text_has_a_card_without_marks(bundle, rows):
    card = tiny_bundle.ask(bundle, rows, 15).card()
    assert not marked(card) and "row 15" in card.data


@pytest.mark.parametrize("text", [HOSTILE[0], "\u202egnitset\u202c 🎈👩‍👩‍👧", "a\x00b\n\n<b>"])
def test_what_people_wrote_is_escaped_and_stays_whole(bundle, rows, text):
    rows.loc[rows["row"] == 17, ["text", "label"]] = text
    card = tiny_bundle.ask(bundle, rows, 17).card()
    assert soup(card).find(class_="fb-text").text.strip() == text.strip() or "\x00" in text
    assert f"given {escape(text)}" in card.data and not soup(card).find_all(["script", "b", "img"])


def test_a_row_without_a_label_has_a_card(bundle, rows):
    assert "row 17 · text: " in tiny_bundle.ask(bundle, rows.drop(columns="label"), 17).card("text").data


def test_a_bundle_without_text_has_a_card_without_marks(tmp_path):
    rows, labels = tiny_bundle.make_rows(tmp_path)
    bundle = Bundle(tiny_bundle.save(tmp_path, *tiny_bundle.make_models(rows, labels, ["audio"])))
    card = tiny_bundle.ask(bundle, rows.assign(text=""), 17).card()
    assert not marked(card) and "row 17 · given sport · audio: " in card.data


# --- The picture --------------------------------------------------------------------------------------


class BrightLeft:
    """Stands in for a bundle: the brighter the picture's left half, the likelier its first class."""

    def __init__(self):
        self.label_names, self.parts, self.chosen = ["<b>left</b>", "right"], ["image"], "image"
        self.encoders = {"image": SimpleNamespace(size=16, transform=self.left)}
        self.models = SimpleNamespace(names=["image"], predict=self.predict)

    def left(self, paths):
        seen = [np.asarray(Image.open(path).convert("L"), float) if path else np.zeros((16, 16)) for path in paths]
        return np.array([[picture[:, :8].mean() / 255] for picture in seen])

    def model_name(self, model):
        return model or self.chosen

    def predict(self, data, names):
        left = data.features.blocks["image"]
        return {"image": np.hstack([left, 1 - left])}

    def encode(self, rows):
        return Dataset(rows, self.label_names, Features.of_rows(rows, self.encoders))


def test_the_map_colours_the_patches_that_hold_the_class_up(tmp_path):
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[:12, :8] = 255  # most of the left is bright, so that covering it with grey darkens, and the rest brightens
    Image.fromarray(picture).save(tmp_path / "a.png")
    row = pd.DataFrame([{"row": 1, "text": "", "image": str(tmp_path / "a.png"), "audio": ""}])
    asked = Question(BrightLeft(), row)
    assert asked.predicted() == "<b>left</b>"
    figure = soup(cards.picture_map(asked, "image"))
    effects = {}
    for patch in figure.find_all("rect"):
        x, y = float(patch["x"]), float(patch["y"])
        effects[x, y] = float(patch.title.text), patch["fill"], float(patch["fill-opacity"])
    assert len(effects) == 64
    cover = round(picture.mean()) / 255
    most = max(cover, 1 - cover)
    for (x, y), (effect, colour, opacity) in effects.items():
        expected = ((y < 75) - cover) * 4 / 128 if x < 50 else 0  # four pixels a patch, 128 in the left half
        assert effect == pytest.approx(expected, abs=6e-4)
        if expected:
            assert colour == ("rgb(59,125,216)" if expected > 0 else "rgb(224,123,57)")
        assert opacity == pytest.approx(charts.STRENGTH * abs(expected) / (most * 4 / 128), abs=0.02)
    shown = Image.open(BytesIO(base64.b64decode(figure.image["href"].split(",")[1])))
    assert (np.asarray(shown) == picture[..., 0]).all()
    assert figure.svg["aria-label"].startswith("The picture in grey") and "<b>left</b>" in figure.svg["aria-label"]


def test_a_row_without_a_picture_has_no_map(bundle, rows):
    assert cards.picture_map(Question(BrightLeft(), rows.head(1).assign(label="right")), "image") == ""
    assert cards.picture_map(Question(bundle, rows.assign(image="a.png").head(1)), "text") == ""


# --- Answers ------------------------------------------------------------------------------------------


def tables(html):
    """Caption to label to the shares shown."""
    return {
        table.caption.text: {
            line.th.text: [td.text.strip(" %") for td in line.find_all("td")]
            for line in table.tbody.find_all("tr")
            if line.th
        }
        for table in soup(html).find_all("table")
    }


def test_old_and_new_bars_stand_side_by_side(bundle, rows):
    asked = tiny_bundle.ask(bundle, rows, 17)
    edited = asked.edited("bank 芯片")
    before, after = (one.votes().assign(**{row_widgets.FUSION: one.joined("mean")}) for one in (asked, edited))
    made = tables(cards.votes_html(before, after))
    assert list(made) == [*bundle.models.names, row_widgets.FUSION]
    for model, lines in made.items():
        for label, shares in lines.items():
            assert shares == [f"{100 * votes.loc[label, model]:.1f}" for votes in (before, after)]
        assert list(lines) == after[model].sort_values(ascending=False).index.tolist()


def test_where_nothing_has_changed_one_bar_is_enough(bundle, rows):
    votes = tiny_bundle.ask(bundle, rows, 17).votes()
    shown = tables(cards.votes_html(votes, votes))
    assert all(len(shares) == 1 for lines in shown.values() for shares in lines.values())


def test_a_part_that_is_missing_is_said_to_be_and_has_no_bar(bundle, rows):
    asked = tiny_bundle.ask(bundle, rows, 17)
    made = tables(cards.votes_html(asked.votes(), asked.without("audio").votes()))
    assert all(shares[1] == "no audio" and shares[0] != "no audio" for shares in made["audio"].values())
    assert len(made["audio"]) == 3 and "no" not in str(made["text"])
    alone = soup(cards.votes_html(*[tiny_bundle.ask(bundle, rows, 14).votes()] * 2))
    table = alone.find("caption", string="audio").parent
    assert table.tbody.text == "no audio" and not table.find(class_="fb-bar")


def test_of_sixty_classes_the_likeliest_before_and_after_are_shown():
    random = np.random.default_rng(0)
    names = [f"<i>class {i}" for i in range(60)]
    before, after = (pd.DataFrame({HOSTILE[0]: random.dirichlet(np.ones(60) * 0.1)}, index=names) for _ in range(2))
    html = cards.votes_html(before, after)
    [(caption, lines)] = tables(html).items()
    assert caption == HOSTILE[0] and len(lines) == 3 and not soup(html).find_all(["i", "img"])
    assert {before[HOSTILE[0]].idxmax(), after[HOSTILE[0]].idxmax()} <= set(lines)


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
    made = soup(cards.row_line(LINE | {"text": HOSTILE[0], "label": HOSTILE[0]}))
    assert not made.find_all(["script", "img"]) and made.text.count(HOSTILE[0]) == 2


# --- Mistakes -----------------------------------------------------------------------------------------

ODD = ["7", "<script>alert(1)</script>", "None", "nan", "x" * 300]
NEAR = {12: [(3, ODD[1], "<i>near</i>", 0.914)]}


def card(text="<b>bold</b>", near=NEAR):
    """The card of one mistake among two rows; the row has no sound, and a text's vote of its own."""
    votes = {
        "mean": np.array([[1, 0, 0, 0, 0], [0.02, 0.08, 0.0, 0.025, 0.875]]),
        "text": np.array([[1, 0, 0, 0, 0], [0, 0, 0, 1, 0]]),
        "audio": np.array([[1, 0, 0, 0, 0], [1, 0, 0, 0, 0]]),
    }
    rows = {"row": [11, 12], "text": ["first", text], "image": "", "audio": ["a.wav", ""]}
    made = mistakes.Mistakes(Predictions.of(votes, [0, 1], label_names=ODD, **rows), "mean")
    made.nearest = lambda data, most: near
    return soup(cards.mistake_cards(made, None, 5))


def test_a_card_says_everything():
    made = card()
    said = made.get_text(" ")
    assert f"row 12: <script>alert(1)</script>, predicted {'x' * 39}… (88 %)" in said
    assert "87.5 %" in said and "8.0 %" in said and "2.5 %" in said and "2.0 %" not in said
    assert "alone: no audio; text: nan (100 %)" in said, "a missing part has no vote, right or wrong"
    assert "row 3, <script>alert(1)</script>, cosine 0.91: <i>near</i>" in said
    assert "<b>bold</b>" in said and not made.find(["script", "b", "i"])
    assert "nearest" not in card(near={12: []}).get_text()


def test_a_long_text_is_there_whole():
    text = "word & " * 400 + "the end"
    assert text in card(text).find("details").get_text()


def pairs_of(votes, labels, **columns):
    return soup(cards.pair_table(mistakes.Mistakes(Predictions.of({"m": votes}, labels, **columns), "m")))


def test_pairs_with_interval_and_examples():
    texts = ["a", "<u>b</u>", "", "long " * 40, "e", "f"]
    options = {"row": range(10, 16), "text": texts, "label_names": ODD}
    made = pairs_of(np.eye(5)[[0, 1, 1, 1, 1, 3]], [0, 0, 0, 0, 1, 1], **options)
    lines = [[cell.get_text("|") for cell in line.find_all("td")] for line in made.tbody.find_all("tr")]
    first, examples, second, _ = lines
    assert first == ["7", "<script>alert(1)</script>", "3", "75.0 % [9.5, 99.9]"]
    examples = examples[0].split("|")
    assert examples[:2] == ["11: <u>b</u>", "12: (no text)"] and len(examples[2]) == 84
    assert second[:3] == ["<script>alert(1)</script>", "nan", "1"] and not made.find(["u", "script"])


def test_no_mistakes_make_an_empty_table():
    assert not pairs_of(np.eye(2), [0, 1], text=["a", "b"]).find("td")
