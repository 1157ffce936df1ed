"""Cards as a browser would read them: hostile text stays text, marks sit on their words, files are bounded."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from fusebook.inspection import cards, question

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
    assert all(set(attributes) <= {"class", "dir"} for _, attributes in read.tags)
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
    html = cards.cards(table).data
    assert html.startswith(cards.CARD_STYLE)
    read = Reader(html.removeprefix(cards.CARD_STYLE))
    assert [tag for tag, _ in read.tags].count("article") == 3
    assert read.parts["fb-text"] == "one<two>three"
    assert read.parts["fb-head"] == "row 5 · sportrow 6 · sportrow 7 · money"
    table["why"] = ["a", "<b>", "c"]
    read = Reader(cards.cards(table, heading="why").data.removeprefix(cards.CARD_STYLE))
    assert read.parts["fb-head"] == "a<b>c"
    assert "article" not in Reader(cards.cards(table[:0]).data.removeprefix(cards.CARD_STYLE)).names()


@pytest.mark.parametrize(
    ("values", "headings"),
    [
        ([0.5, 0.25], ["0.5", "0.25"]),
        ([0, 7], ["0", "7"]),
        ([True, False], ["True", "False"]),
        ([0.5, np.nan], ["0.5", "row 6 · sport"]),
        (["x", None], ["x", "row 6 · sport"]),
        (pd.Categorical(["x", "<y>"]), ["x", "<y>"]),
        (pd.array([1, None], dtype="Int64"), ["1", "row 6 · sport"]),
    ],
)
def test_a_heading_may_be_a_column_of_any_type(values, headings):
    """Where the value is missing the heading is that of a card without one."""
    table = pd.DataFrame([row(), row(row=6)]).assign(why=values)
    read = Reader(cards.cards(table, heading="why").data.removeprefix(cards.CARD_STYLE))
    assert read.parts["fb-head"] == "".join(headings)
    read = Reader(cards.cards(table, heading="nowhere").data.removeprefix(cards.CARD_STYLE))
    assert read.parts["fb-head"] == "row 5 · sportrow 6 · sport"


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


def test_marks_of_explain_fit():

    text = "Der ß: ein <b>GOAL</b> am Ende"

    def predict(texts):
        second = np.array([0.9 if "GOAL" in text else 0.2 for text in texts])
        return np.column_stack([1 - second, second])

    read = Reader(cards.coloured(text, question.leave_words_out(text, predict, 1)))
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


# --- Bars ---------------------------------------------------------------------------------------------


def test_bars_are_the_likely_labels_in_order():
    read = Reader(cards.probability_bars({"a": 0.05, "b": 0.625, "c": 0.2, "d": 0.125}))
    assert read.text == "b 62.5 %c 20.0 %d 12.5 %"
    assert [attributes["style"] for attributes in read.attributes("span")] == [
        "width:62px", "width:20px", "width:12px",
    ]  # fmt: skip


def test_bars_of_numbers_and_of_few():
    assert Reader(cards.probability_bars({3: 1.0, 4: 0.0})).text == "3 100.0 %4 0.0 %"
    assert Reader(cards.probability_bars({"a": 0.5, "b": 0.5}, most=1)).text == "a 50.0 %"
    assert Reader(cards.probability_bars({})).text == ""
