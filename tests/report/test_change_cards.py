"""Cards of rows that changed: what stands on them, how many there is room for, and hostile text."""

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from fusebook.report.change_cards import change_cards

SHOWN = {"money": "money", "sport": "sport"}


def lines(count, **values):
    """Rows that the first run had wrong and the other right."""
    made = {"row": 7, "row_other": 7, "text": "a text", "image": "", "audio": "", "label": "sport", "label_other": "sport",
            "answer": "money", "answer_other": "sport", "confidence": 0.913, "confidence_other": 0.62}  # fmt: skip
    return pd.DataFrame([made | values] * count)


def cards_of(made):
    return BeautifulSoup(made["html"], "html.parser").find_all("article")


def test_a_card_has_both_answers_with_their_confidence():
    [card] = cards_of(change_cards(lines(1), ("a", "b"), SHOWN, 5, 10_000))
    assert card.select_one(".fb-head").text == "row 7: sport" and card.select_one(".fb-text").text == "a text"
    cells = [[cell.text for cell in line.find_all("td")] for line in card.find_all("tr")]
    assert cells == [["a", "money, wrong", "91.3 %"], ["b", "sport, right", "62.0 %"]]


def test_another_number_and_another_label_are_named():
    [card] = cards_of(change_cards(lines(1, row_other=3, label_other="money"), ("a", "b"), SHOWN, 5, 10_000))
    assert card.select_one(".fb-head").text == "row 7 (in b row 3): sport (in b money)"


@pytest.mark.parametrize(("most", "room", "shown"), [(3, 10_000, 3), (20, 10_000, 9), (0, 10_000, 0), (20, 20, 0)])
def test_as_many_cards_as_asked_and_as_there_is_room_for(most, room, shown):
    made = change_cards(lines(9), ("a", "b"), SHOWN, most, room)
    assert (made["shown"], made["all"], len(cards_of(made))) == (shown, 9, shown)


def test_pictures_give_way_before_texts(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")  # 11 kB, which base64 makes 15 kB
    made = change_cards(lines(5, image=str(tmp_path / "noise.png")), ("a", "b"), SHOWN, 5, 40_000)
    found = cards_of(made)
    assert [bool(card.find("img")) for card in found] == [True, True, False, False, False]
    assert made["without_media"] == 3 and len(made["html"].encode()) < 40_000
    assert found[-1].select_one(".note").text == "picture and sound left out: the page is full"


def test_bytes_count_not_characters():
    made = change_cards(lines(10, text="字" * 1000), ("a", "b"), SHOWN, 10, 10_000)
    assert made["shown"] == 2 and len(made["html"].encode()) < 10_000


def test_hostile_text_stays_text():
    bad = "</p></article><script>alert(1)</script><img src=x onerror=alert(1)>"
    line = lines(1, text=bad, label=bad, answer=bad, label_other=bad[::-1], row_other=1)
    made = change_cards(line, (bad, bad), {bad: bad, bad[::-1]: bad, "sport": "sport"}, 5, 10_000)
    soup = BeautifulSoup(made["html"], "html.parser")
    assert not soup.find(["script", "img"]) and soup.select_one(".fb-text").text == bad
    assert soup.select_one(".fb-head").text.count(bad) == 4  # both labels, and twice the name of the other run
