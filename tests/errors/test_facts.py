"""Facts of rows against hand-made cases and what Pillow and NumPy say of the files."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from fusebook.data.dataset import Dataset
from fusebook.encoders import tokens
from fusebook.errors.facts import facts_table, named_columns


def test_facts_of_a_small_table(tmp_path):
    grey = np.full((8, 8, 3), 51, np.uint8)  # a fifth of full brightness, no edge
    Image.fromarray(grey).save(tmp_path / "a.png")
    soundfile.write(tmp_path / "a.wav", np.full(4000, 0.1), 8000)
    picture, sound = str(tmp_path / "a.png"), str(tmp_path / "a.wav")
    rows = pd.DataFrame(
        {
            "row": [3, 5, 7, 9], "text": ["red fish", "red bird 12 or 3", "", "红色的鱼"],
            "image": ["", picture, "", ""], "audio": ["", "", sound, ""], "group": [0, 1, 2, 1],
            "split": ["train", "validation", "test", "test"], "label": "fish",
        }
    )  # fmt: skip
    data = Dataset.of_rows(rows)
    facts = facts_table(data, wanted=[5, 9, 7])
    assert facts.index.tolist() == [5, 7, 9]
    assert facts["characters"].tolist() == [16, 0, 4]
    assert facts["unknown words"].tolist() == pytest.approx([4 / 5, np.nan, 1], nan_ok=True)
    assert facts["script"].tolist() == ["Latin", "none", "Han"]
    assert facts["digits"].tolist() == [3, 0, 0]
    assert facts[["has text", "has picture", "has sound"]].to_numpy().tolist() == [
        [True, True, False], [False, False, True], [True, False, False],
    ]  # fmt: skip
    assert facts["near-duplicate"].tolist() == [True, False, True]
    assert facts.loc[5, "picture brightness"] == pytest.approx(0.2)
    assert facts.loc[5, "picture blur"] == pytest.approx(0, abs=1e-6)
    assert facts.loc[7, "sound seconds"] == pytest.approx(0.5)
    assert facts.loc[7, "sound loudness"] == pytest.approx(-20, abs=0.1)
    assert facts.loc[[7, 9], ["picture brightness", "picture blur"]].isna().all(axis=None)
    assert facts.loc[[5, 9], ["sound seconds", "sound loudness"]].isna().all(axis=None)
    pd.testing.assert_frame_equal(facts_table(data).loc[[5, 7, 9]], facts)


def test_no_row_knows_its_own_words():
    """Rows 1 and 2 are copies: what they alone have, they don't know."""
    texts = ["red fish swims", "red fish swam", "red bird", "fish swims bird", ""]
    rows = pd.DataFrame({"row": [1, 2, 3, 4, 5], "text": texts, "image": "", "audio": "", "group": [0, 0, 1, 2, 3]})
    rows["split"], rows["label"] = ["train", "train", "train", "test", "train"], "a"
    shares = facts_table(Dataset.of_rows(rows))["unknown words"].tolist()
    assert shares == pytest.approx([2 / 3, 2 / 3, 1 / 2, 0, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("text", "script"),
    [("Straße", "Latin"), ("ＡＢＣ", "Latin"), ("今天好吗 ok", "Han"), ("Привет", "Cyrillic"),
     ("ひらがな", "Hiragana"), ("안녕", "Hangul"), ("مرحبا", "Arabic"), ("12 + 3 = 😀", "none"), ("", "none")],
)  # fmt: skip
def test_the_script_of_most_letters(text, script):
    assert tokens.script(text) == script


def test_named_columns_are_numbers_where_all_are():
    content = pd.DataFrame(
        {
            "length": [str(i / 2) for i in range(30)], "year": ["2024", "2025", ""] * 10,
            "source": ["a", "7", ""] * 10, "mixed": [*map(str, range(29)), "x"],
        }
    )  # fmt: skip
    made = named_columns(content, ["length", " year", "source", "mixed", ""])
    assert list(made) == ["column length", "column year", "column source", "column mixed"]
    assert made["column length"].tolist() == [i / 2 for i in range(30)]
    assert made.drop(columns="column length").equals(content.drop(columns="length").add_prefix("column "))
    with pytest.raises(ValueError, match=r"no column \['colour'\]; expected some of \['length', 'year'"):
        named_columns(content, ["colour"])


def test_named_columns_stand_beside_the_facts_of_their_rows(tmp_path):
    table = tmp_path / "table.csv"
    pd.DataFrame({"text": ["a b", "c", "d"], "source": ["x", "y", "z"]}).to_csv(table, index=False)
    rows = pd.DataFrame({"row": [1, 3], "text": ["a b", "d"], "image": "", "audio": "", "label": "k", "group": [0, 1]})
    data = Dataset.of_rows(rows.assign(split=["train", "test"]))
    facts = facts_table(data, "source, text", table)
    assert facts.loc[3, ["column source", "column text"]].tolist() == ["z", "d"]
    assert list(facts_table(data)) == list(facts)[:-2]
    with pytest.raises(ValueError, match=r"no column \['colour'\]; expected some of \['text', 'source'\]"):
        facts_table(data, "colour", table)
