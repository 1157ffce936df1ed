"""The twin on a page: what it holds within its bytes, and that a real browser answers as the library does."""

import base64
import hashlib
import json
import re
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import soundfile
import tiny_bundle
from bs4 import BeautifulSoup
from PIL import Image
from sklearn.metrics import confusion_matrix

from fusebook.data.predictions import Predictions
from fusebook.errors.mistakes import row_table
from fusebook.inspection import listing, twin, twin_data
from fusebook.inspection.question import FEWEST_SPANS, Question
from fusebook.report import pages
from fusebook.runs import Run

LABELS = ["money", "sport", "技术"]
HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "\"><svg onload='window.ran=1'>",
    "' onmouseover='alert(1)",
    "]]>&lt;\u2028\u2029\\u003cscript\\u003ealert(1)",
]
SPECIAL = ["Straße nach Weißenfels", "STRASSE", "ΟΔΟΣ ΣΟΦΟΣ", "οδος", "ﬁnal ﬁt", "İstanbul ılık", "👩‍🚀 im All 🚀", "مرحبا بالعالم", ""]  # fmt: skip


def made_up(n_rows=120, labels=LABELS, *, seed=0, right=0.7, texts=None, image="", audio=""):
    """An inspection table and its predictions: made-up rows of three splits, two models, two slices, some suspects."""
    rng = np.random.default_rng(seed)
    class_ids = rng.integers(len(labels), size=n_rows)
    rows = pd.DataFrame({"row": np.arange(n_rows) * 3 + 1, "label": np.array(labels, object)[class_ids]})
    words = np.array(["gold", "match", "芯片", "team", "bank", "网络", "Rain", "rain"])
    rows["text"] = [" ".join(rng.choice(words, 6)) + f" {i}" for i in range(n_rows)]
    rows.loc[: len(texts or SPECIAL) - 1, "text"] = texts or SPECIAL
    rows["image"], rows["audio"] = image, audio
    splits = np.where(np.arange(n_rows) % 10 == 9, "train", np.where(np.arange(n_rows) % 3, "test", "validation"))
    votes = {}
    for model in ("fused", "text"):
        values = rng.dirichlet(np.ones(len(labels)) * 0.5, n_rows)
        values[np.arange(n_rows), class_ids] += (rng.random(n_rows) < right) * (1 if right < 1 else 9)
        votes[model] = np.round(values / values.sum(axis=1, keepdims=True), 3)  # with ties
    whole = Predictions(votes, rows.assign(split=splits, class_id=class_ids), labels)
    predictions = [whole.chosen(splits == name) for name in ("validation", "test")]
    listed = rows["row"][(splits == "train") | (rng.random(n_rows) < 0.2)]
    suspects = pd.DataFrame({"row": listed, "label_probability": np.round(rng.random(len(listed)) / 2, 2)})
    members = pd.DataFrame({"row": rows["row"][5:40], "slice": "short & <b>bold</b>"})
    table = listing.inspection_table(rows, predictions, "fused", suspects=suspects, slices=members)
    return table, predictions


def first_rows(table, most):
    return table["row"].iloc[twin_data.order_of_interest(table)[:most]].tolist()


def data_of(html):
    return json.loads(BeautifulSoup(html, "html.parser").find("script", type="application/json").string)


def export(folder, html, run="run"):
    """The page of a notebook with ``html`` as the output of its one cell."""
    output = nbformat.v4.new_output("execute_result", {"text/html": html, "text/plain": "x"}, execution_count=1)
    cells = [
        nbformat.v4.new_markdown_cell("# Twin\n\nIn this notebook …"),
        nbformat.v4.new_code_cell("twin", outputs=[output], execution_count=1),
    ]
    (folder / run / "notebooks").mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / run / "notebooks" / "05_inspect.ipynb")
    return pages.export_page(folder / run, SimpleNamespace(name="05_inspect", known={}, parameters={}))


class Reader:
    """A page in a browser without a network, what it said, and what it shows."""

    def __init__(self, browser, path, *, width=1280, scheme="light", **options):
        view = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=view, color_scheme=scheme, offline=True, **options)
        self.page, self.said = self.context.new_page(), []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(f"a script ran: {dialog.message}"))
        self.page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or self.said.append(asked.url))
        self.page.goto(path.as_uri())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.context.close()
        assert kind or self.said == []

    def choose(self, **values):
        """Set controls by their label, from the state of all rows."""
        self.page.get_by_role("button", name="all rows").click()
        for label, value in values.items():
            words = self.page.locator(".fb-controls label", has_text=re.compile(f"^{label.replace('_', ' ')}"))
            control = words.locator("select, input")
            if control.evaluate("control => control.tagName") == "SELECT":
                control.select_option(label=value)
            else:
                control.fill(str(value))

    def rows(self):
        """The numbers of all rows found, page by page."""
        found = []
        while True:
            lines = self.page.locator(".fb-rows > tbody > tr[data-row]")
            found += [int(line.get_attribute("data-row")) for line in lines.all()]
            if not (following := self.page.get_by_role("button", name="next →")).is_enabled():
                return found
            following.click()

    def count(self):
        return self.page.locator(".fb-status").inner_text()


@pytest.fixture(scope="module")
def table_and_page(tmp_path_factory):
    table, predictions = made_up()
    words = pd.DataFrame({"start": [0], "end": [7], "effect": [0.25]})
    effects = {int(table["row"][1]): {"words": words}}
    html = twin.page_twin(table, predictions, ["fused", "text"], effects=effects).data
    return table, export(tmp_path_factory.mktemp("twin"), html)


@pytest.fixture(scope="module")
def reader(browser, table_and_page):
    with Reader(browser, table_and_page[1]) as opened:
        yield opened


# --- The data ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", HOSTILE)
def test_json_holds_any_text_and_no_markup(hostile):
    made = twin_data.as_json({hostile: [hostile, 1.5, None]})
    assert not re.search("[<>&\u2028\u2029]", made)
    assert json.loads(made) == {hostile: [hostile, 1.5, None]}


def test_json_keeps_letters_for_the_font_and_refuses_nan():
    assert twin_data.as_json(["技术"]) == '["技术"]'
    with pytest.raises(ValueError):
        twin_data.as_json([float("nan")])


def test_numbers_are_those_of_the_table():
    table, _ = made_up()
    made = twin_data.numbers(table, LABELS)
    assert made["row"] == table["row"].tolist()
    assert [made["splits"][i] for i in made["split"]] == table["split"].tolist()
    assert [LABELS[i] for i in made["label"]] == table["label"].tolist()
    assert [LABELS[i] if i >= 0 else "" for i in made["predicted"]] == table["predicted"].tolist()
    for name in ("confidence", "loss"):
        exact = np.frombuffer(base64.b64decode(made[name]), "<f8")
        np.testing.assert_array_equal(exact, table[name].to_numpy(float))
    doubt = np.zeros(len(table))
    for place, value in made["suspicion"]:
        doubt[place] = value
    np.testing.assert_array_equal(doubt, table["suspicion"])
    assert made["slices"] == {"short & <b>bold</b>": list(range(5, 40))}
    assert twin_data.numbers(table.assign(suspicion=np.nan), LABELS)["suspicion"] is None


def test_totals_are_those_of_all_test_rows():
    table, _ = made_up(400)
    test = table[table["split"] == "test"]
    made = twin_data.totals(table, LABELS)
    expected = confusion_matrix(test["label"], test["predicted"], labels=LABELS)
    assert {(i, j): n for i, j, n in made["cells"]} == {(i, j): int(expected[i, j]) for i, j in np.argwhere(expected)}
    assert sorted(made["order"]) == [0, 1, 2] and made["n_scored"] == len(test) and made["scored"] == "test"
    for percent in (0, 55, 93):
        sure = test[test["confidence"] >= percent / 100]
        right = (sure["label"] == sure["predicted"]).sum()
        assert made["coverage"][percent][:2] == [len(sure), right]


def test_of_many_classes_the_matrix_has_those_with_the_most_mistakes():
    labels = [f"c{i:03d}" for i in range(100)]
    table, _ = made_up(3000, labels)
    test = table[table["split"] == "test"]
    wrong = test[test["label"] != test["predicted"]]
    mistakes = wrong["label"].value_counts().add(wrong["predicted"].value_counts(), fill_value=0)
    shown = twin_data.totals(table, labels)["order"]
    assert len(set(shown)) == twin_data.MOST_CLASSES
    left_out = mistakes.drop([labels[i] for i in shown])
    assert mistakes[[labels[i] for i in shown]].min() >= left_out.max()


def test_mistakes_come_first_then_suspects():
    table, _ = made_up()
    ordered = table.iloc[twin_data.order_of_interest(table)].reset_index(drop=True)
    wrong = (ordered["split"] == "test") & (ordered["right"] == False)  # noqa: E712
    n_wrong = int(wrong.sum())
    assert wrong[:n_wrong].all() and ordered["confidence"][:n_wrong].is_monotonic_decreasing
    suspects = ordered["suspicion"][n_wrong:] > 0
    assert suspects.iloc[: suspects.sum()].all()
    assert first_rows(table, 4) == ordered["row"][:4].tolist()


def test_texts_are_cut_alike_and_the_last_are_left_out():
    texts, order = ["a" * 2000, "b" * 100, "字" * 400], np.array([2, 0, 1])
    assert twin_data.fit_texts(texts, order, 10_000) == [texts[0][:1500], texts[1], texts[2]]
    assert twin_data.fit_texts(texts, order, 1400) == [texts[0][:300], texts[1], texts[2][:300]]
    assert twin_data.fit_texts(texts, order, 360) == ["a" * 80, None, "字" * 80]
    assert twin_data.fit_texts(texts, order, 0) == [None, None, None]


def test_answers_are_the_likeliest_labels_in_thousandths():
    table, predictions = made_up()
    made = twin_data.answers(table, predictions, ["text", "fused"])
    assert set(made) == set(np.flatnonzero(table["predicted"] != ""))
    for place in (0, 4, 50):
        [values] = [
            pd.Series(some["text"][i])
            for some in predictions
            for i in np.flatnonzero(some.rows["row"] == table["row"][place])
        ]
        flat = made[place][0]
        assert flat[1::2] == [round(1000 * value) for value in values.sort_values(ascending=False)]
        assert [round(1000 * values.iloc[i]) for i in flat[::2]] == flat[1::2]


@pytest.mark.parametrize("models", [["fused", "test only", "text"], ["test only", "text", "fused"]], ids=str)
def test_a_model_that_answered_some_rows_alone_may_stand_anywhere(models):
    """Its place is empty where it did not answer, so that each answer stays beside its model's name."""
    table, (validation, test) = made_up()
    predictions = [validation, test | {"test only": np.roll(test["text"], 1, axis=1)}]
    made = twin_data.answers(table, predictions, models)
    for split, some in (("validation", validation), ("test", predictions[1])):
        places = np.flatnonzero(table["split"] == split)
        assert len(places) and all(len(made[place]) == len(models) for place in places)
        for k, model in enumerate(models):
            first = [made[place][k][:1] for place in places]
            expected = some.predicted(model)[:, None].tolist() if model in some else [[]] * len(places)
            assert first == expected
    html = twin.page_twin(table, predictions, models).data
    assert data_of(html)["models"] == models


def test_case_folds_make_lower_case_agree_with_casefold():
    folds = twin_data.case_folds()
    for text in ["Straße", "ΣΟΦΟΣ", "ﬁt", "ǰ", "µ", "plain", "İ"]:
        lowered = "".join(folds.get(letter, letter.lower()) for letter in text)
        assert lowered == text.casefold()


# --- The bytes ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    noise = np.random.default_rng(0)
    Image.fromarray(noise.integers(256, size=(150, 200, 3), dtype=np.uint8)).save(folder / "p.png")
    soundfile.write(folder / "s.wav", noise.normal(0, 0.1, 16_000), 16_000)
    return str(folder / "p.png"), str(folder / "s.wav")


def test_rows_with_pictures_and_sounds_take_the_bytes_that_are_allowed(media):
    """As two thousand rows do in two megabytes."""
    texts = [f"{i} " + "long text 长文本 " * 120 for i in range(200)]
    table, predictions = made_up(200, texts=texts, image=media[0], audio=media[1])
    html = twin.page_twin(table, predictions, ["fused", "text"], most_bytes=800_000).data
    assert len(html.encode()) <= 800_000
    page, data = BeautifulSoup(html, "html.parser"), data_of(html)
    assert len(data["row"]) == 200, "the numbers of every row are there"
    pictures = len(page.find_all("img")) + sum("picture" in card for card in data["cards"].values())
    sounds = len(page.find_all("audio")) + sum("sound" in card for card in data["cards"].values())
    assert pictures > 5 and sounds > 5
    note = page.find(class_="note").text
    assert f"{200 - pictures:,} pictures" in note and f"{200 - sounds:,} sounds" in note
    assert f"{len(data['length']):,} ends of long texts" in note
    with_sound = [int(place) for place, card in data["cards"].items() if "sound" in card]
    first = twin_data.order_of_interest(table)[: twin.N_CARDS + len(with_sound)]
    assert set(with_sound) <= set(first), "mistakes have their sounds before others"


def test_few_bytes_keep_the_numbers_and_tell_what_is_gone():
    table, predictions = made_up(300)
    html = twin.page_twin(table, predictions, ["fused"], most_bytes=30_000).data
    data = data_of(html)
    gone = sum(text is None and str(i) not in data["cards"] for i, text in enumerate(data["text"]))
    assert len(data["row"]) == 300 and gone > 0
    assert f"{gone} texts" in BeautifulSoup(html, "html.parser").find(class_="note").text


def test_pictures_are_small_and_damaged_ones_are_none(media, tmp_path):
    url = twin_data.picture_url(media[0])
    (tmp_path / "picture.webp").write_bytes(base64.b64decode(url.split(",")[1]))
    assert url.startswith("data:image/webp;base64,")
    assert max(Image.open(tmp_path / "picture.webp").size) == twin_data.PICTURE_SIZE
    (tmp_path / "bad.png").write_bytes(b"\x89PNG no picture" * 2000)
    assert twin_data.picture_url(str(tmp_path / "bad.png")) == twin_data.picture_url("gone.png") == ""
    assert twin_data.sound_url(media[1], 100_000).startswith("data:audio/wav;base64,")
    assert twin_data.sound_url(media[1], 10_000) == twin_data.sound_url("gone.wav", 10_000) == ""


def test_a_table_without_test_rows_and_an_unknown_model_are_errors():
    table, predictions = made_up()
    with pytest.raises(ValueError, match="0 test rows"):
        twin.page_twin(table[table["split"] == "train"], predictions, ["fused"])
    with pytest.raises(ValueError, match="one or more models of fused, text"):
        twin.page_twin(table, predictions, ["fused", "nobody"])


# --- A browser answers as the library does ----------------------------------------------------------------

CHOICES = [
    ({}, {}),
    ({"rows_of": "validation"}, {"split": "validation"}),
    ({"rows_of": "train"}, {"split": "train"}),
    ({"answer": "wrong"}, {"right": False}),
    ({"answer": "right", "predicted": "技术"}, {"right": True, "predicted": "技术"}),
    ({"rows_of": "test", "slice": "short & <b>bold</b>"}, {"split": "test", "slice_name": "short & <b>bold</b>"}),
    ({"confidence_from": 60, "to": 80}, {"confidence": (0.6, 0.8)}),
    ({"text_has": "rain"}, {"search": "rain"}),
    ({"text_has": "strasse"}, {"search": "strasse"}),
    ({"text_has": "ß"}, {"search": "ß"}),
    ({"text_has": "σοφοσ"}, {"search": "σοφοσ"}),
    ({"text_has": "FIT"}, {"search": "FIT"}),
    ({"text_has": "芯片 T"}, {"search": "芯片 T"}),
    ({"text_has": "🚀"}, {"search": "🚀"}),
    ({"text_has": ".*"}, {"search": ".*"}),
]  # fmt: skip
SORTS = {
    "confidence, highest first": ("confidence", False), "confidence, lowest first": ("confidence", True),
    "loss, highest first": ("loss", False), "loss, lowest first": ("loss", True),
    "suspicion, highest first": ("suspicion", False), "suspicion, lowest first": ("suspicion", True),
    "row number, rising": ("row", True), "row number, falling": ("row", False),
}  # fmt: skip


@pytest.mark.parametrize(("chosen", "asked"), CHOICES, ids=[str(asked) for _, asked in CHOICES])
def test_filters_find_the_rows_that_the_library_finds(reader, table_and_page, chosen, asked):
    table = table_and_page[0]
    reader.choose(**chosen)
    expected = listing.sort_rows(listing.filter_rows(table, **asked), "confidence")
    assert reader.count() == f"{len(expected)} of {len(table)} rows found"
    assert reader.rows() == expected["row"].tolist()
    assert len(expected) > 0 or asked.get("search") == ".*"


def test_the_ends_of_the_range_of_confidence_belong_to_it(reader, table_and_page):
    table = table_and_page[0]
    exact = [percent for percent in range(1, 100) if (table["confidence"] == percent / 100).any()]
    low, high = exact[0], exact[-1]
    assert low < high
    reader.choose(confidence_from=low, to=high)
    expected = listing.filter_rows(table, confidence=(low / 100, high / 100))
    assert set(expected["confidence"]) > {low / 100, high / 100}
    assert sorted(reader.rows()) == expected["row"].tolist()


@pytest.mark.parametrize("words", SORTS)
def test_orders_are_those_of_the_library(reader, table_and_page, words):
    by, rising = SORTS[words]
    reader.choose(sort_by=words)
    assert reader.rows() == listing.sort_rows(table_and_page[0], by, rising=rising)["row"].tolist()
    reader.choose(sort_by="confidence, highest first")


def test_every_cell_of_the_matrix_lists_its_rows(reader, table_and_page):
    table = table_and_page[0]
    test = table[table["split"] == "test"]
    sizes = test.groupby(["label", "predicted"]).size()
    buttons = reader.page.locator(".fb-matrix button")
    assert buttons.count() == len(sizes) and sum(int(b.inner_text()) for b in buttons.all()) == len(test)
    for (label, predicted), size in sizes.items():
        of_label = (test["label"] == label).sum()
        name = f"{size} of {of_label} rows labelled {label} predicted {predicted}"
        button = reader.page.get_by_role("button", name=name, exact=True)
        button.click()
        assert button.get_attribute("aria-pressed") == "true" and button.inner_text() == str(size)
        expected = listing.filter_rows(table, split="test", label=label, predicted=predicted)
        assert reader.rows() == listing.sort_rows(expected, "confidence")["row"].tolist()


def test_the_matrix_is_one_stop_and_arrows_go_through_it(reader):
    assert reader.page.locator(".fb-matrix button[tabindex='0']").count() == 1
    reader.page.locator(".fb-matrix button[tabindex='0']").focus()
    for key in ["ArrowUp"] * 3 + ["ArrowLeft"] * 3:
        reader.page.keyboard.press(key)
    place = "[document.activeElement.closest('tr').rowIndex, document.activeElement.closest('td').cellIndex]"
    assert reader.page.evaluate(place) == [1, 1]
    reader.page.keyboard.press("ArrowRight")
    reader.page.keyboard.press("ArrowDown")
    assert reader.page.evaluate(place) == [2, 2]
    reader.page.keyboard.press("Enter")
    assert reader.page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"


@pytest.mark.parametrize("percent", [0, 37, 62, 90, 100])
def test_the_threshold_tells_coverage_and_accuracy(reader, table_and_page, percent):
    test = listing.filter_rows(table_and_page[0], split="test")
    expected = listing.coverage_and_accuracy(test, percent / 100)
    reader.page.get_by_label("answer only from this confidence on").fill(str(percent))
    told = reader.page.locator(".fb-threshold output").inner_text()
    if not expected["answered"]:
        assert told == f"None of {len(test)} test rows is that sure."
        return
    assert told.startswith(
        f"{expected['answered']} of {len(test)} test rows are answered ({100 * expected['coverage']:.1f} %)"
    )
    assert (
        f"accuracy {100 * expected['accuracy']:.1f} % [{100 * expected['low']:.1f}, {100 * expected['high']:.1f}]"
        in told
    )


def test_a_card_shows_what_is_known_of_its_row(reader, table_and_page):
    table = table_and_page[0]
    row = table.iloc[1]
    reader.choose(text_has=row["text"])
    reader.page.get_by_role("button", name=f"row {row['row']}, show its card").press("Enter")
    card = reader.page.locator(".fb-open .fb-card")
    head = card.locator(".fb-head").inner_text()
    assert head.startswith(f"row {row['row']} · {row['split']} · label {row['label']} · predicted {row['predicted']}")
    assert card.locator(".fb-text").inner_text() == row["text"]
    assert card.locator("mark").inner_text() == row["text"][:7]
    assert card.locator(".fb-say tbody th").all_inner_texts() == ["fused", "text"]
    assert f"{100 * row['confidence']:.1f} %" in card.locator(".fb-say tr").first.inner_text()
    opened = reader.page.locator(".fb-rows button[aria-expanded='true']")
    assert opened.evaluate("button => button === document.activeElement")
    opened.press("Enter")
    assert reader.page.locator(".fb-open").count() == 0


def test_marks_count_letters_beyond_the_sixteen_bit_ones(browser, tmp_path):
    table, predictions = made_up(texts=["🚀🚀 gold"])
    effects = {1: {"words": pd.DataFrame({"start": [3], "end": [7], "effect": [-0.1]})}}
    html = twin.page_twin(table, predictions, ["fused"], effects=effects).data
    with Reader(browser, export(tmp_path, html)) as opened:
        opened.choose(text_has="🚀")
        opened.page.get_by_role("button", name="row 1, show its card").click()
        assert opened.page.locator(".fb-open mark").inner_text() == "gold"


def test_a_card_names_the_models_that_answered(browser, tmp_path):
    table, (validation, test) = made_up()
    html = twin.page_twin(table, [validation, test | {"late": test["text"]}], ["fused", "late", "text"]).data
    with Reader(browser, export(tmp_path, html)) as opened:
        for split, names in (("validation", ["fused", "text"]), ("test", ["fused", "late", "text"])):
            opened.choose(rows_of=split)
            opened.page.locator(".fb-rows > tbody button").first.click()
            assert opened.page.locator(".fb-open .fb-say tbody th").all_inner_texts() == names


def test_patches_lie_where_they_were_covered(browser, tmp_path, media):
    table, predictions = made_up(image=media[0])
    sides = ["top", "bottom", "left", "right", "effect"]
    patches = pd.DataFrame([(0, 0.5, 0, 0.5, 0.01), (0.5, 1, 0.25, 0.75, -0.125)], columns=sides)
    number = first_rows(table, 1)[0]
    html = twin.page_twin(table, predictions, ["fused"], effects={number: {"patches": patches}}).data
    with Reader(browser, export(tmp_path, html)) as opened:
        opened.page.get_by_role("button", name=f"row {number}, show its card").click()
        said = opened.page.locator(".fb-seen figcaption").inner_text()
        assert said == (
            "The patch 50 % from the left and 75 % from the top matters most: covering it moves the probability by "
            "+12.5 points."
        )
        whole, patch = opened.page.locator(".fb-patches"), opened.page.locator(".fb-patches span").nth(1)
        around, box = whole.bounding_box(), patch.bounding_box()
        assert box["x"] - around["x"] == pytest.approx(around["width"] / 4)
        assert box["y"] - around["y"] == pytest.approx(around["height"] / 2)
        assert patch.evaluate("patch => getComputedStyle(patch).backgroundColor") == "rgba(224, 123, 57, 0.55)"


def predicted(bundle, rows):
    """An inspection table of ``rows``, all test rows, about the bundle's chosen model."""
    facts = rows.assign(split="test", class_id=np.arange(len(rows)) % 3)
    return listing.inspection_table(rows, [bundle.predict(facts)], bundle.chosen)


def test_effects_are_of_the_predicted_class_and_of_rows_served_first(bundle, rows):
    table = predicted(bundle, rows)
    made = twin.row_effects(bundle, table, rows, 5)
    assert list(made) == first_rows(table, 5)
    for number, effects in made.items():
        row = rows[rows["row"] == number]
        assert set(effects) == ({"words"} if row["text"].iloc[0] else set())
        for word in effects.get("words", pd.DataFrame()).itertuples():
            text = row["text"].iloc[0]
            left = tiny_bundle.predict_at_own_length(bundle, row, text[: word.start] + text[word.end :])
            whole = tiny_bundle.predict(bundle, row)[0]
            assert word.effect == pytest.approx(whole.max() - left[whole.argmax()], abs=1e-6)


def test_words_of_a_long_text_are_those_of_the_inspectors_card(bundle, rows):
    """A hundred thousand characters are left out in few spans: each is a prediction of the whole text."""
    rows.loc[rows["row"] == 12, "text"] = "goal " * 20_000
    one = rows[rows["row"] == 12]
    words = twin.row_effects(bundle, predicted(bundle, one), one, 1)[12]["words"]
    pd.testing.assert_frame_equal(words, Question(bundle, one).card_words()[0])
    assert len(words) <= FEWEST_SPANS


# --- Bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [True, False])
def test_nothing_of_a_table_runs(browser, tmp_path, media, script):
    """Hostile text, labels, file name, slice, model and run name; with the script and without."""
    picture = tmp_path / "'><img src=x onerror=alert(1)>.png"
    Image.new("RGB", (20, 20), "red").save(picture)
    labels = sorted(HOSTILE[:3])
    table, predictions = made_up(60, labels, texts=HOSTILE, image=str(picture), audio=media[1])
    table["slices"] = [(HOSTILE[0],)] * 60
    predictions = [
        Predictions({"fused": some["fused"], HOSTILE[2]: some["text"]}, some.rows, labels) for some in predictions
    ]
    html = twin.page_twin(table, predictions, ["fused", HOSTILE[2]]).data
    page = export(tmp_path, html, run="<img src=x onerror=alert(1)>")
    with Reader(browser, page, java_script_enabled=script) as opened:
        if script:
            for hostile in HOSTILE:
                opened.choose(text_has=hostile, rows_of="all splits")
                assert opened.page.locator(".fb-rows > tbody > tr").count() == 1
                opened.page.locator(".fb-rows > tbody button").click()
                shown = opened.page.locator(".fb-open .fb-text").evaluate("part => part.textContent")
                assert shown == hostile
            assert opened.page.evaluate("window.ran") is None
            assert opened.page.evaluate("document.querySelectorAll('[onerror],[onload],[onmouseover]').length") == 0
            opened.page.locator(".fb-matrix button").first.click()
        opened.page.wait_for_timeout(100)
    found = BeautifulSoup(page.read_text("utf-8"), "html.parser").find_all("script")
    assert [part.get("type") for part in found] == ["application/json", None]
    assert found[1].string == twin.script()


def test_the_policy_stops_any_other_script(browser, table_and_page):
    """The page's own policy is asked: an inline script, a handler and eval do not run."""
    with Reader(browser, table_and_page[1]) as opened:
        opened.page.evaluate(
            """() => { const script = document.createElement("script"); script.textContent = "window.ran = 1";
            document.body.append(script); document.body.setAttribute("onclick", "window.ran = 2"); document.body.click(); }"""
        )
        assert opened.page.evaluate("window.ran") is None
        assert any("Content Security Policy" in line for line in opened.said)
        opened.said.clear()


def test_without_script_the_cards_remain(browser, table_and_page):
    table, page = table_and_page
    with Reader(browser, page, java_script_enabled=False) as opened:
        cards = opened.page.locator("section.fb-twin article.fb-card")
        assert cards.count() == twin.N_CARDS and all(card.is_visible() for card in cards.all())
        numbers = [int(card.get_attribute("data-row")) for card in cards.all()]
        assert numbers == first_rows(table, twin.N_CARDS)
        assert opened.page.locator(".fb-note, .note").first.is_visible()


def test_a_very_long_text_is_cut_and_says_so(browser, tmp_path):
    table, predictions = made_up(texts=["long " * 20_000, "<b>" * 30_000])
    html = twin.page_twin(table, predictions, ["fused"]).data
    assert len(html.encode()) < 200_000
    with Reader(browser, export(tmp_path, html), width=390) as opened:
        opened.choose(text_has="long long")
        assert opened.count() == f"1 of {len(table)} rows found, as far as this page holds their texts"
        opened.page.get_by_role("button", name="row 1, show its card").click()
        assert "… and 98,500 characters more" in opened.page.locator(".fb-open .fb-text").inner_text()
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_run_without_mistakes_pictures_suspects_and_slices(browser, tmp_path):
    table, predictions = made_up(right=1)
    table = table[table["split"] != "train"].reset_index(drop=True).assign(suspicion=np.nan)
    table["slices"] = [()] * len(table)
    assert table["right"].all()
    html = twin.page_twin(table, predictions, ["fused"]).data
    with Reader(browser, export(tmp_path, html)) as opened:
        assert opened.count() == f"{(table['split'] == 'test').sum()} of {len(table)} rows found"
        opened.choose(answer="wrong")
        assert opened.count() == f"0 of {len(table)} rows found" and opened.rows() == []
        assert opened.page.get_by_label("slice", exact=True).count() == 0
        assert "suspicion" not in opened.page.get_by_label("sort by").inner_text()
        assert "left out" not in opened.page.locator(".note").first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_sixty_classes_on_a_phone(browser, tmp_path, scheme):
    labels = [f"类别{i:02d} with a rather long name of its own" for i in range(60)]
    table, predictions = made_up(1500, labels)
    html = twin.page_twin(table, predictions, ["fused", "text"]).data
    with Reader(browser, export(tmp_path, html), width=390, scheme=scheme) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
        box = opened.page.locator(".fb-scroll").first
        assert box.evaluate("box => box.scrollWidth > box.clientWidth && box.clientHeight < 700")
        assert opened.page.locator(".fb-matrix thead th").count() == 61
        button = opened.page.locator(".fb-matrix button").nth(100)
        button.click()
        assert opened.count().split(" of ")[0] == button.inner_text()
        opened.page.locator(".fb-rows > tbody button").first.click()
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_every_control_has_a_name_and_is_reached_by_keyboard(reader):
    controls = reader.page.locator("section.fb-twin :is(input, select, button, audio)")
    names = "part => part.getAttribute('aria-label') || part.textContent || part.labels?.[0]?.textContent || ''"
    named = reader.page.locator("section.fb-twin :is(input, select)")
    assert all(control.evaluate("part => part.labels.length") == 1 for control in named.all())
    assert all(control.evaluate(names).strip() for control in controls.all())
    reader.choose()
    reader.page.get_by_label("answer only from").focus()
    reached = set()
    for _ in range(14):
        reader.page.keyboard.press("Tab")
        reached.add(
            reader.page.evaluate(
                "document.activeElement.closest('label')?.textContent || document.activeElement.tagName"
            )
        )
        outline = reader.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", "the focus is seen"
    assert {"text has", "confidence from, %", "to, %"} <= reached


# --- The pages of a whole run -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["04_error_analysis", "05_inspect"])
def test_the_pages_of_a_run_answer_without_a_network_and_change_nothing(browser, finished_run, name):
    path = finished_run / f"{name}.html"
    before = {file: hashlib.sha256(file.read_bytes()).digest() for file in finished_run.rglob("*") if file.is_file()}
    run = Run(finished_run)
    chosen = run.read("metrics.json")["chosen"]
    split, answers = ("cross-fitted", run.scored()) if name[:2] == "04" else ("test", run.predictions("test"))
    judged = row_table(answers, chosen)
    with Reader(browser, path) as opened:
        opened.choose(rows_of=split, answer="wrong")
        wrong = judged[~judged["right"]].sort_values("row").sort_values("confidence", ascending=False, kind="stable")
        assert opened.rows() == wrong["row"].tolist()
        names = sorted(pd.read_parquet(finished_run / "artifacts" / "rows.parquet")["label"].unique())
        button = opened.page.locator(".fb-matrix button").last
        button.click()
        label, predicted = (names[int(button.get_attribute(f"data-{kind}"))] for kind in ("label", "predicted"))
        cell = judged[(judged["label"] == label) & (judged["predicted"] == predicted)]
        assert sorted(opened.rows()) == sorted(cell["row"]) and button.inner_text() == str(len(cell))
        sure = judged[judged["confidence"] >= 0.5]
        opened.page.get_by_label("answer only from this confidence on").fill("50")
        told = opened.page.locator(".fb-threshold output").inner_text()
        assert (
            told.startswith(f"{len(sure)} of {len(judged)} {split} rows")
            and f"{sure['right'].sum()} of them right" in told
        )
        opened.choose(rows_of=split)
        opened.page.locator(".fb-rows > tbody button").first.click()
        assert opened.page.locator(".fb-open .fb-say tbody tr").count() >= 2
        cards = data_of(path.read_text("utf-8"))["cards"].values()
        assert any("words" in card and "patches" in card for card in cards) == (name == "05_inspect")
    after = {file: hashlib.sha256(file.read_bytes()).digest() for file in finished_run.rglob("*") if file.is_file()}
    assert before == after


def test_rows_that_folds_answered_are_counted_as_one_kind():
    """Of a cross-fitted table all rows are counted, whichever split they were of; without folds the test rows."""
    rows = pd.DataFrame({"row": range(6), "text": list("abcdef"), "image": "", "audio": "", "label": list("xyxyxy")})
    values, split = np.tile([[0.8, 0.2]], (6, 1)), ["train", "train", "validation", "test", "test", "test"]
    for folds, expected in (([1, 2, 1, 0, 0, 0], ("cross-fitted", 6)), ([0] * 6, ("test", 3))):
        columns = {"split": split, "fold": folds, "label": rows["label"].tolist()}
        answers = Predictions.of({"m": values}, [0, 1] * 3, label_names=["x", "y"], **columns)
        table = listing.inspection_table(rows, [answers], "m")
        made = twin_data.totals(table, ["x", "y"])
        assert (made["scored"], made["n_scored"]) == expected
        assert f"{expected[1]} {expected[0]} rows" in twin.page_twin(table, [answers], ["m"]).data
