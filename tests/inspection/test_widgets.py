"""The inspector: its controls set as a person sets them, what it shows compared with what the plain functions say."""

import re
from html import escape

import ipywidgets
import numpy as np
import pandas as pd
import pytest
import tiny_bundle
from bs4 import BeautifulSoup

from fusebook.data.predictions import Predictions
from fusebook.errors.corrections import REASONS
from fusebook.findings import capital
from fusebook.inspection import cards, listing, row_widgets, widgets
from fusebook.models.bundle import Bundle
from fusebook.runs import Run

HOSTILE = "</script><img src=x onerror=alert(1)>"
SLICES = pd.DataFrame({"row": [12, 13, 17], "slice": ["short", "short", "of one word"]})


def saved(folder, rows, labels, parts=tiny_bundle.PARTS):
    """A bundle over ``parts``, with all fusions where there are two."""
    return Bundle(tiny_bundle.save(folder, *tiny_bundle.make_models(rows, labels, parts)))


def predicted(bundle, rows, labels):
    """Predictions of the last 16 rows: 8 validation, 8 test; the first 8 are training rows."""
    split = np.repeat(["train", "validation", "test"], 8)
    rows = rows.assign(split=split, class_id=labels)
    return [bundle.predict(rows[split == name]) for name in ("validation", "test")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    rows, labels = tiny_bundle.make_rows(tmp_path_factory.mktemp("sounds"))
    bundle = saved(tmp_path_factory.mktemp("run"), rows, labels)
    return rows, bundle, predicted(bundle, rows, labels)


@pytest.fixture
def suspects(made, tmp_path):
    """Two training rows, and the first test row."""
    rows = made[0].set_index("row")
    listed = pd.DataFrame(
        {"row": [12, 17, 26], "split": ["train", "train", "test"], "suggested": ["sport", "money", "技术"]}
    )
    listed["label"], listed["text"] = (rows.loc[listed["row"], name].to_numpy() for name in ("label", "text"))
    listed = listed.assign(label_probability=[0.01, 0.2, 0.3], action="keep")
    Run(tmp_path).write("label_suspects.csv", listed)
    return Run(tmp_path).path("label_suspects.csv")


@pytest.fixture
def box(made, suspects):
    return inspector_of(*made, suspects=suspects, slices=SLICES)


def inspector_of(rows, bundle, predictions, **options):
    return listing.Listing(rows, predictions, bundle.chosen, **options).inspector(bundle)


def table_of(made, suspects, model=""):
    rows, bundle, predictions = made
    return listing.inspection_table(
        rows, predictions, model or bundle.chosen, suspects=listing.read_suspects(suspects), slices=SLICES
    )  # fmt: skip


def shown(finder):
    """The rows that the table shows: numbers on buttons, and the HTML beside them."""
    return [(int(line.children[0].description[4:]), line.children[1].value) for line in finder.listed.children[1:]]


def lines(table):
    return [(line["row"], cards.row_line(line)) for line in table.to_dict("records")]


def words(html):
    return BeautifulSoup(html, "html.parser").get_text(" ", strip=True)


def everything(widget):
    """All widgets within ``widget``."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


# --- Finding rows -------------------------------------------------------------------------------------


def test_at_first_the_test_rows_stand_there_the_largest_loss_first(made, suspects, box):
    expected = listing.sort_rows(listing.filter_rows(table_of(made, suspects), split="test"), "loss")
    assert shown(box.finder) == lines(expected) and len(expected) == 8
    assert box.finder.row == expected["row"].iloc[0]
    assert words(box.finder.told.value) == "of 1; 8 rows found."


OUTCOMES = {True: "right", False: "wrong"}
ASKED = [
    {"split": "validation"}, {"split": "", "label": "sport"}, {"predicted": "money"}, {"right": True}, {"right": False},
    {"confidence": (0.35, 0.5)}, {"split": "", "slice_name": "short"}, {"search": "BANK"}, {"split": "", "search": "芯片"},
    {"split": "train"}, {"search": "nowhere"},
]  # fmt: skip


@pytest.mark.parametrize("asked", ASKED)
def test_a_filter_shows_what_filter_rows_finds(made, suspects, box, asked):
    for name, value in asked.items():
        box.finder.filters[name].value = OUTCOMES[value] if name == "right" else value
    expected = listing.filter_rows(table_of(made, suspects), **{"split": "test"} | asked)
    expected = listing.sort_rows(expected, "loss")
    assert shown(box.finder) == lines(expected)
    assert box.finder.row == (expected["row"].iloc[0] if len(expected) else None)


@pytest.mark.parametrize("order", [value for _, value in widgets._ORDERS], ids=str)
def test_the_order_is_that_of_sort_rows(made, suspects, box, order):
    box.finder.filters["split"].value, box.finder.order.value = "", order
    expected = listing.sort_rows(table_of(made, suspects), order[0], rising=order[1])
    assert shown(box.finder) == lines(expected)


def test_where_nothing_is_found_a_sentence_says_so_and_no_row_is_shown(box):
    box.finder.filters["search"].value = "nowhere"
    assert "No row is as asked." in box.finder.told.value and box.finder.row is None
    assert box.card.card.value == box.card.votes.value == box.card.text.value == "" and box.card.text.disabled
    assert "None of these rows has a prediction" in box.finder.covered.value
    assert not any(said.value for said in (box.card.problem, box.decision.problem, box.finder.problem))
    box.card.again.click()
    box.card.undo.click()
    box.finder.filters["search"].value = ""
    assert box.finder.row is not None and box.card.card.value and not box.card.text.disabled


def test_training_rows_are_said_to_have_no_prediction(box):
    box.finder.filters["split"].value = "train"
    assert [number for number, _ in shown(box.finder)] == [12, 17]
    assert "without a prediction: the models learnt from them" in box.finder.told.value


def test_pages_turn_and_a_row_is_chosen_by_its_button(made, suspects, monkeypatch):
    monkeypatch.setattr(listing, "PAGE_SIZE", 3)
    box = inspector_of(*made, suspects=suspects)
    expected = listing.sort_rows(listing.filter_rows(table_of(made, suspects), split="test"), "loss")
    assert box.finder.page.max == 3 and shown(box.finder) == [
        line[:2] for line in lines(expected.head(3).assign(slices=[()] * 3))
    ]
    box.finder.page.value = 3
    assert [number for number, _ in shown(box.finder)] == expected["row"].tolist()[6:]
    box.finder.listed.children[2].children[0].click()
    assert box.finder.row == expected["row"].tolist()[7] and f"row {box.finder.row} ·" in box.card.card.value
    styles = [line.children[0].button_style for line in box.finder.listed.children[1:]]
    assert styles == ["", "primary"]
    box.finder.filters["label"].value = "sport"
    assert box.finder.page.value == 1


def test_the_threshold_covers_the_rows_found(made, suspects, box):
    box.finder.filters["right"].value = "right"
    box.finder.threshold.value = 0.45
    found = listing.filter_rows(table_of(made, suspects), split="test", right=True)
    said = listing.threshold_text(listing.coverage_and_accuracy(found, 0.45), 0.45)
    assert box.finder.covered.value == f"<p>{said}</p>"


def test_another_model_judges_table_and_card(made, suspects, box):
    box.model.value = "text"
    expected = listing.filter_rows(table_of(made, suspects, "text"), split="test")
    assert shown(box.finder) == lines(listing.sort_rows(expected, "loss"))
    assert box.card.card.value == tiny_bundle.ask(made[1], made[0], box.finder.row).card("text").data


# --- One row ------------------------------------------------------------------------------------------


def changed(made, number, text=None, without=()):
    """The question about a row of the table, and that about what was made of it."""
    asked = tiny_bundle.ask(made[1], made[0], number)
    return asked, (asked if text is None else asked.edited(text)).without(*without)


def votes_of(made, number, text=None, *, without=(), rule="mean", weights=None):
    votes = [
        one.votes().assign(**{row_widgets.FUSION: one.joined(rule, weights)})
        for one in changed(made, number, text, without)
    ]
    return cards.votes_html(*votes)


def choose(box, number):
    box.finder.row = number
    assert box.card.number == number


def test_the_card_is_that_of_the_row(made, box):
    for number in (17, 14, 15):
        choose(box, number)
        assert box.card.card.value == tiny_bundle.ask(made[1], made[0], number).card().data
        assert box.card.votes.value == votes_of(made, number)
        row = made[0].set_index("row").loc[number]
        assert box.card.text.value == row["text"] and box.card.parts["audio"].disabled == (not row["audio"])


@pytest.mark.parametrize(
    "text", ["bank 芯片 goal", "   ", HOSTILE, "\u202ethgir ot tfel\u202c 🎈", "goal bank " * 10_000]
)
def test_an_edited_text_is_predicted_again_and_taken_back(made, box, text):
    choose(box, 17)
    before = box.card.votes.value, box.card.card.value
    box.card.text.value = text
    assert box.card.votes.value == votes_of(made, 17, text) != before[0]
    assert "as edited" in box.card.votes.value and not box.card.problem.value
    assert box.card.card.value == changed(made, 17, text)[1].card().data
    assert not BeautifulSoup(box.card.card.value, "html.parser").find("img")
    box.card.undo.click()
    assert (box.card.votes.value, box.card.card.value) == before


def test_a_part_taken_away_stays_away_for_the_next_row(made, box):
    choose(box, 17)
    box.card.parts["audio"].value = False
    assert box.card.votes.value == votes_of(made, 17, without=("audio",)) and "<audio" not in box.card.card.value
    choose(box, 18)
    assert box.card.votes.value == votes_of(made, 18, without=("audio",))
    box.card.parts["text"].value = False
    assert box.card.card.value == changed(made, 18, without=("audio", "text"))[1].card().data
    assert "no audio" in words(box.card.votes.value) and "no part to read" in words(box.card.votes.value)


def test_rule_and_weights_change_a_fusion_of_ones_own(made, box):
    choose(box, 17)
    card = box.card.card.value
    box.card.rule.value = "product"
    box.card.weights["audio"].value, box.card.weights["text"].value = 0.5, 2
    expected = votes_of(made, 17, rule="product", weights={"audio": 0.5, "text": 2})
    assert box.card.votes.value == expected != votes_of(made, 17) and box.card.card.value == card


def test_what_goes_wrong_is_said_in_a_sentence(made, tmp_path):
    """The sound of a row has gone since the run, and its name is hostile."""
    rows, bundle, predictions = made
    rows = rows.assign(audio=rows["audio"].mask(rows["row"] == 26, str(tmp_path / HOSTILE.replace("/", "."))))
    box = inspector_of(rows, bundle, predictions)
    choose(box, 26)
    said = box.card.problem.value
    assert 'role="alert"' in said and escape(HOSTILE.replace("/", ".")) in said and "<img" not in said
    choose(box, 27)
    assert not box.card.problem.value and "row 27" in box.card.card.value


def test_a_row_is_encoded_once_whatever_a_person_does_with_it(box, monkeypatch):
    encoded, encode = [], Bundle.encode
    monkeypatch.setattr(Bundle, "encode", lambda self, rows: encoded.extend(rows["row"]) or encode(self, rows))
    choose(box, 17)
    box.card.text.value = "bank 芯片"
    box.card.parts["audio"].value = False
    box.card.weights["text"].value = 2
    box.card.undo.click()
    assert encoded == [17]


# --- Decisions ----------------------------------------------------------------------------------------


def listed(path):
    return pd.read_csv(path).set_index("row")[["action", "suggested"]]


def test_a_decision_is_in_the_list_at_once(box, suspects):
    choose(box, 12)
    before = suspects.read_bytes()
    assert (box.decision.action.value, box.decision.label.value) == ("keep", "sport")
    choose(box, 17)
    assert suspects.read_bytes() == before, "looking changes nothing"
    box.decision.action.value = "change"
    assert listed(suspects).loc[17].tolist() == ["change", "money"]
    box.decision.label.value = "sport"
    assert listed(suspects).loc[17].tolist() == ["change", "sport"]
    assert "label_suspects.csv: change" in box.decision.told.value
    choose(box, 12)
    assert box.decision.action.value == "keep"
    box.decision.action.value = "drop"
    choose(box, 17)
    assert (box.decision.action.value, box.decision.label.value) == ("change", "sport")
    assert listed(suspects)["action"].tolist() == ["drop", "change", "keep"]


def test_a_line_is_undecided_until_a_person_decides_and_keep_is_a_decision(box, suspects):
    pd.read_csv(suspects).assign(action="").to_csv(suspects, index=False)
    before = suspects.read_bytes()
    choose(box, 12)
    assert box.decision.action.value is None and "label_suspects.csv: not decided." in box.decision.told.value
    box.decision.label.value = "money"
    choose(box, 17)
    assert suspects.read_bytes() == before, "a label alone is no decision"
    choose(box, 12)
    box.decision.action.value = "keep"
    assert listed(suspects)["action"].fillna("").tolist() == ["keep", "", ""]
    choose(box, 17)
    assert box.decision.action.value is None


def test_a_row_that_is_no_suspect_has_no_decision(box, suspects):
    choose(box, 13)
    assert box.decision.action.disabled and "not on the list" in box.decision.told.value
    choose(box, 26)
    assert not box.decision.action.disabled
    assert f"It is a test row. {capital(REASONS['ROW_NOT_TRAINING'])}." in box.decision.told.value


def test_a_list_that_cannot_be_written_is_told(box, suspects):
    choose(box, 12)
    suspects.unlink()
    box.decision.action.value = "drop"
    assert "No table at" in box.decision.problem.value and 'role="alert"' in box.decision.problem.value


def test_an_action_that_nobody_knows_is_no_decision_and_hostile_labels_are_escaped(suspects):
    table = pd.read_csv(suspects).assign(action=" Delete", suggested=HOSTILE, label=HOSTILE)
    table.to_csv(suspects, index=False)
    decision = row_widgets.Decision(suspects, ["sport"])
    decision.show(12)
    assert decision.action.value is None and decision.label.value == HOSTILE
    assert escape(HOSTILE) in decision.told.value and "<img" not in decision.told.value


# --- Runs of all kinds --------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["audio", "text"])
def test_a_bundle_of_one_part_has_neither_fusion_nor_weights(tmp_path, part):
    rows, labels = tiny_bundle.make_rows(tmp_path)
    bundle = saved(tmp_path, rows, labels, (part,))
    box = inspector_of(rows, bundle, predicted(bundle, rows, labels))
    choose(box, 27)
    assert [table.caption.text for table in BeautifulSoup(box.card.votes.value, "html.parser").find_all("table")] == [
        part
    ]
    inside = list(everything(box))
    assert not any(isinstance(one, ipywidgets.Checkbox) for one in inside) and box.card.rule not in inside
    assert (box.card.text in inside) == (part == "text") and not box.card.problem.value
    assert not box.decision.children and box.finder.filters["slice_name"].disabled


def test_a_run_without_a_mistake_has_a_sentence_for_the_wrong_rows(made):
    rows, bundle, predictions = made
    right = [
        Predictions(
            {bundle.chosen: some[bundle.chosen]},
            some.rows.assign(class_id=some.predicted(bundle.chosen)),
            some.label_names,
        )
        for some in predictions
    ]
    box = inspector_of(rows, bundle, right)
    box.finder.filters["right"].value = "wrong"
    assert "No row is as asked" in box.finder.told.value and not box.finder.problem.value


def test_hostile_texts_and_labels_are_shown_as_they_are(made):
    rows, bundle, predictions = made
    rows = rows.assign(text=HOSTILE + " goal", label=HOSTILE)
    slices = pd.DataFrame({"row": rows["row"], "slice": HOSTILE})
    box = inspector_of(rows, bundle, predictions, slices=slices)
    box.finder.filters["slice_name"].value = HOSTILE
    assert len(shown(box.finder)) == 8
    pages = [one.value for one in everything(box) if isinstance(one, ipywidgets.HTML)]
    assert any(escape(HOSTILE) in page for page in pages)
    assert not any(BeautifulSoup(page, "html.parser").find(["script", "img"]) for page in pages)


def test_every_control_has_a_name(box):
    kinds = (ipywidgets.Dropdown, ipywidgets.Text, ipywidgets.Textarea, ipywidgets.Button, ipywidgets.Checkbox,
             ipywidgets.FloatSlider, ipywidgets.FloatRangeSlider, ipywidgets.BoundedIntText, ipywidgets.ToggleButtons)  # fmt: skip
    controls = [one for one in everything(box) if isinstance(one, kinds)]
    assert len(controls) > 20 and all(re.search(r"\w", one.description) for one in controls)
    assert not any(isinstance(one, ipywidgets.Output) for one in everything(box))
