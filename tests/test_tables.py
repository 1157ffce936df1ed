"""Reading, checking, grouping and splitting of tables, against Python's own readers, scikit-learn and brute force."""

import csv
import json
import re

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT
from sklearn.model_selection import train_test_split

from fusebook import tables

HEADER, LINES = (
    ["text", "label"],
    [["今天天气很好", "晴"], ["a, b", "007"], ["two\nlines", "nan"], ['say "x"', "<script>"]],
)


def write_csv(path, delimiter=",", encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([HEADER, *LINES])
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_csv_in_any_encoding_gives_the_same_strings(tmp_path, encoding, delimiter):
    long = tmp_path / "t.csv"
    with long.open("w", encoding=encoding, newline="") as file:
        more = [[f"第{i}条新闻，内容各不相同，说的是城市里的一件小事", "城市"] for i in range(30)]
        csv.writer(file, delimiter=delimiter).writerows([HEADER, *LINES, *more])
    table, rejected = tables.read_table(long)
    assert table.to_numpy().tolist() == [*LINES, *more] and rejected.empty
    assert table.index[0] == 1 and table.columns.tolist() == HEADER


def test_a_tsv_is_read_without_quoting(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text('text\tlabel\n"open quote\tA\nplain "b" \tB\n', encoding="utf-8")
    assert tables.read_table(path)[0].to_numpy().tolist() == [['"open quote', "A"], ['plain "b" ', "B"]]


def test_jsonl_and_parquet_keep_labels_as_text(tmp_path):
    rows = [{"text": "a", "label": "007"}, {"text": None, "label": "None"}, {"text": "c", "label": 3}]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    expected = [["a", "007"], ["", "None"], ["c", "3"]]
    assert tables.read_table(path)[0].to_numpy().tolist() == expected
    pd.DataFrame(expected, columns=HEADER).to_parquet(tmp_path / "t.parquet")
    assert tables.read_table(tmp_path / "t.parquet")[0].to_numpy().tolist() == expected


def test_a_line_with_another_number_of_fields_is_rejected_with_its_number(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,label\na,A\nb\nc,C,D\nd,D\n", encoding="utf-8")
    table, rejected = tables.read_table(path)
    assert table.index.tolist() == [1, 4] and rejected["row"].tolist() == [2, 3]
    assert set(rejected["reason"]) == {"FIELD_COUNT"} and "1 fields, header has 2" in rejected["detail"][0]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("t.csv", None, FileNotFoundError, "No table at"),
        ("t.xlsx", b"x", ValueError, "expected .csv, .tsv"),
        ("t.csv", b"", ValueError, "has no rows"),
        ("t.csv", b"text,label\n", ValueError, "has no rows"),
        ("t.csv", b"a,b,a\n1,2,3\n", ValueError, "several columns named 'a'"),
    ],
)
def test_a_table_that_can_not_be_read_says_why(tmp_path, name, content, error, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        tables.read_table(tmp_path / name)


def check(table, folder, **columns):
    columns = {"text": "text", "label": "label", "image": "", "audio": ""} | columns
    index = pd.RangeIndex(1, len(table) + 1)
    checks = dict.fromkeys(
        ("image", "audio"), lambda path: "IMAGE_BROKEN" if path.name.startswith("bad") else ""
    )
    return tables.check_rows(table.set_index(index), columns=columns, folder=folder, file_checks=checks)


def labelled(texts, labels=None):
    labels = labels or ["A", "B"] * (len(texts) // 2) + ["A"] * (len(texts) % 2)
    return pd.DataFrame({"text": texts, "label": labels})


def test_empty_parts_and_labels_are_told_apart(tmp_path):
    (tmp_path / "ok.png").write_bytes(b"x")
    table = labelled(["x"] * 14, ["A"] * 8 + ["B"] * 6).assign(picture="")
    table.loc[0, ["text", "picture"]] = "", "ok.png"  # goes on with its picture
    table.loc[1, "text"] = ""  # has nothing left
    table.loc[2, "label"] = " "
    rows, rejected = check(table, tmp_path, image="picture")
    assert rows["row"].tolist() == [1, *range(4, 15)]
    said = set(rejected[["row", "part", "reason"]].itertuples(index=False, name=None))
    assert said == {
        (1, "text", "TEXT_EMPTY"),
        (2, "text", "TEXT_EMPTY"),
        (2, "row", "NO_CONTENT"),
        (3, "row", "LABEL_EMPTY"),
    }


def test_paths_stay_inside_the_tables_folder(tmp_path):
    folder, outside = tmp_path / "in", tmp_path / "out.png"
    folder.mkdir()
    outside.write_bytes(b"x")
    (folder / "ok.png").write_bytes(b"x")
    (folder / "bad.png").write_bytes(b"x")
    (folder / "link.png").symlink_to(outside)
    names = ["ok.png", "../out.png", str(outside), "link.png", "none.png", "bad.png", "", " ok.png "]
    rows, rejected = check(labelled(["x"] * 12).assign(p=[*names, "", "", "", ""]), folder, image="p")
    reasons = rejected.set_index("row")["reason"].to_dict()
    outside_rows = dict.fromkeys((2, 3, 4), "OUTSIDE_FOLDER")
    assert reasons == {**outside_rows, 5: "FILE_MISSING", 6: "IMAGE_BROKEN"}
    assert rows["image"].tolist() == [str(folder / "ok.png"), *[""] * 6, str(folder / "ok.png"), *[""] * 4]
    assert len(rows) == 12, "a refused part does not cost the row"


def test_labels_lose_blanks_and_widths_only():
    table = labelled(["x"] * 12, ["Ａ", " A ", "\u3000A", "A", "A", "A"] + ["<b>"] * 5 + ["rare"])
    rows, rejected = check(table, ".")
    assert rows["label"].tolist() == ["A"] * 6 + ["<b>"] * 5
    assert rows["label_given"].tolist()[:3] == ["Ａ", " A ", "\u3000A"]
    assert rejected[["row", "reason", "detail"]].to_numpy().tolist() == [[12, "LABEL_RARE", "rare"]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": "body"}, "The text column 'body' is not in the table. Its columns: 'text', 'label'"),
        ({"label": "class"}, "The label column 'class'"),
        ({"text": ""}, "No column with content"),
    ],
)
def test_columns_that_are_missing_are_named(columns, message):
    with pytest.raises(ValueError, match=message):
        check(labelled(["x"] * 10), ".", **columns)


def test_one_label_is_not_enough():
    with pytest.raises(ValueError, match=r"has 1 label\(s\)"):
        check(labelled(["x"] * 10, ["A"] * 10), ".")


def sample_texts():
    lines = [
        line
        for path in (PROJECT / "data/sample/source").glob("*.jsonl")
        for line in path.read_text("utf-8").split("\n")
    ]
    return [json.loads(line)["title"] + "\u3000" + json.loads(line)["body"] for line in lines if line]


def _garbled(text, encoding):
    """``text`` as a program shows it that takes its UTF-8 for ``encoding``; None where that loses something."""
    try:
        return text.encode("utf-8").decode(encoding)
    except UnicodeDecodeError:
        return None


@pytest.mark.parametrize("encoding", ["latin-1", "gb18030"])
def test_mojibake_is_mended(encoding):
    runs_of_han = [run for text in sample_texts() for run in re.findall("[\u4e00-\u9fff]{6,}", text)]
    pairs = [(text, garbled) for text in runs_of_han if (garbled := _garbled(text, encoding))]
    assert len(pairs) > 1000
    assert [text for text, garbled in pairs if tables.repair_text(garbled) != text] == []


@pytest.mark.parametrize(
    "text",
    [
        "naïve café",
        "Straße “quoted” ﬁne",
        "东京都",
        "😀 emoji",
        "Ｆｕｌｌ width",
        "тест",
        "한국어",
        "x" * 100_000,
    ],
)
def test_clean_text_is_left_alone(text):
    assert tables.repair_text(text) == text


def test_the_samples_clean_texts_are_left_alone():
    texts = sample_texts()
    assert len(texts) > 1000 and all(tables.repair_text(text) == text for text in texts)


def test_control_characters_go():
    assert tables.repair_text(" a\x00b\x07c\n") == "abc"


def test_duplicates_agree_with_brute_force():
    rng = np.random.default_rng(0)
    letters = list("的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会")
    texts = ["".join(rng.choice(letters, 40)) for _ in range(150)]
    for i in range(50):  # copies with more and more characters changed
        changed = list(texts[i])
        for place in rng.choice(40, i // 8, replace=False):
            changed[place] = "★"
        texts.append("".join(changed))
    shingles = [{text[j : j + 3] for j in range(38)} for text in texts]
    group = tables.find_duplicates(texts, threshold=0.7)
    for i in range(50):
        shared = len(shingles[i] & shingles[150 + i]) / len(shingles[i] | shingles[150 + i])
        if (
            shared < 0.7 or shared > 0.77
        ):  # just above the threshold the hash may miss a pair, never invent one
            assert (group[i] == group[150 + i]) == (shared >= 0.7), shared
    assert len(set(group[:150])) == 150


def test_copies_differ_in_blanks_and_case_and_empty_texts_stand_alone():
    group = tables.find_duplicates(["Same text", "same  TEXT ", "other words here", "", "", "x"])
    assert group[0] == group[1] and len(set(group)) == 5


def test_without_duplicates_the_split_is_scikit_learns():
    labels = pd.Series(np.random.default_rng(1).choice(list("ABC"), 400, p=[0.6, 0.3, 0.1]))
    split = tables.split_rows(labels, np.arange(400))
    rest, test = train_test_split(np.arange(400), test_size=0.2, stratify=labels, random_state=42)
    assert set(np.flatnonzero(split == "test")) == set(test)
    assert (split == "validation").sum() == 40 and (split[rest] != "test").all()
    shares = pd.crosstab(labels, split, normalize="columns")
    assert (shares.sub(labels.value_counts(normalize=True), axis=0).abs() < 0.02).all(axis=None)


def test_a_group_is_never_torn():
    rng = np.random.default_rng(2)
    groups, labels = rng.integers(0, 120, 300), pd.Series(rng.choice(list("AB"), 300))
    made = pd.DataFrame({"group": groups, "split": tables.split_rows(labels, groups)})
    assert (made.groupby("group")["split"].nunique() == 1).all() and made["split"].nunique() == 3


def test_small_classes_and_bad_shares():
    labels = pd.Series(["A"] * 40 + ["B"] * 5 + ["C"] * 5)
    groups = np.array([*range(45), 45, 45, 45, 45, 45])  # all of C are copies of one text
    split = tables.split_rows(labels, groups)
    assert set(split) == {"train", "validation", "test"} and len(set(split[45:])) == 1
    for share in (0, 1.5, -0.1):
        with pytest.raises(ValueError, match="test_share is"):
            tables.split_rows(labels, groups, test_share=share)


def test_media_paths_names_every_file():
    table = pd.DataFrame({"p": ["a.png", " ", "b.png"], "s": ["", "c.wav", ""]})
    paths = tables.media_paths(table, columns={"image": "p", "audio": "s", "text": "t"}, folder="f")
    assert [path.as_posix() for path in paths] == ["f/a.png", "f/b.png", "f/c.wav"]
