"""Cards and tables of mistakes: every vote is there, user text is escaped, odd labels read well."""

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from fusebook.errors import mistakes
from fusebook.evaluation import scores
from fusebook.inspection import cards

ODD = ["7", "<script>alert(1)</script>", "None", "nan", "x" * 300]


def mistake(text="<b>bold</b>", label=1, predicted=4):
    line = {"row": 12, "text": text, "image": "", "audio": "", "confidence": 0.875}
    return pd.DataFrame([line | {"label": ODD[label], "predicted": ODD[predicted]}])


def card(text="<b>bold</b>"):
    votes = {12: {"mean": np.array([0.02, 0.08, 0.0, 0.025, 0.875]), "audio": np.array([0, 0, 0, 1, 0])}}
    near = {12: [(3, ODD[1], "<i>near</i>", 0.914)]}
    return BeautifulSoup(cards.mistake_cards(mistake(text), votes, ODD, near).data, "html.parser")


def test_a_card_says_everything():
    soup = card()
    said = soup.get_text(" ")
    assert f"row 12: <script>alert(1)</script>, predicted {'x' * 39}… (88 %)" in said
    assert "87.5 %" in said and "8.0 %" in said and "2.5 %" in said and "2.0 %" not in said
    assert "alone: audio: nan (100 %)" in said
    assert "row 3, <script>alert(1)</script>, cosine 0.91: <i>near</i>" in said
    assert "<b>bold</b>" in said and not soup.find(["script", "b", "i"])


def test_a_long_text_is_there_whole():
    text = "word & " * 400 + "the end"
    assert text in card(text).find("details").get_text()


def test_pairs_with_interval_and_examples():
    labels = np.array([0, 0, 0, 0, 1, 1])
    probabilities = np.eye(5)[[0, 1, 1, 1, 1, 3]]
    table = mistakes.row_table(probabilities, ODD, labels).assign(row=range(10, 16))
    rows = pd.DataFrame({"row": range(10, 16), "text": ["a", "<u>b</u>", "", "long " * 40, "e", "f"]})
    classes = scores.class_table(probabilities, labels, ODD)
    soup = BeautifulSoup(cards.pair_table(mistakes.confused_pairs(table), rows, classes).data, "html.parser")
    lines = [[cell.get_text("|") for cell in line.find_all("td")] for line in soup.tbody.find_all("tr")]
    first, examples, second, _ = lines
    assert first == ["7", "<script>alert(1)</script>", "3", "75.0 % [30.1, 95.4]"]
    examples = examples[0].split("|")
    assert examples[:2] == ["11: <u>b</u>", "12: (no text)"] and len(examples[2]) == 84
    assert second[:3] == ["<script>alert(1)</script>", "nan", "1"] and not soup.find(["u", "script"])


@pytest.mark.parametrize("text", ["", "short", "x" * 80])
def test_a_short_text_is_its_own_snippet(text):
    assert cards.snippet(text) == text


def test_no_mistakes_make_an_empty_table():
    empty = mistakes.confused_pairs(pd.DataFrame({"row": [], "label": [], "predicted": []}))
    made = cards.pair_table(empty, pd.DataFrame({"row": [], "text": []}), pd.DataFrame({"rows": []}))
    assert not BeautifulSoup(made.data, "html.parser").find("td")


def test_near_rows_are_training_rows_by_cosine():
    """Two modalities of very different size count alike: row 5 is like row 1 in both, like row 2 in the large one only."""
    splits = pd.DataFrame(
        {"row": [1, 2, 3, 5], "split": ["train", "train", "validation", "test"], "label": list("abca")}
    )
    features = {
        "audio": np.array([[0, 900.0], [0, 900.0], [0, 900.0], [0, 900.0]]),
        "text": np.array([[1.0, 0], [0, 1.0], [1.0, 0], [2.0, 0]]),
    }
    rows = pd.DataFrame({"row": [1, 2, 3, 5], "text": ["one", "two", "three", "five"]})
    made = cards.nearest_training_rows([5], features, splits, rows)
    assert [line[:3] for line in made[5]] == [(1, "a", "one"), (2, "b", "two")]
    np.testing.assert_allclose([line[3] for line in made[5]], [1.0, 0.5])
    assert cards.nearest_training_rows([], features, splits, rows) == {}
