"""Reading, checking, grouping and splitting of tables, against Python's own readers, scikit-learn and brute force."""

import csv
import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
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
    assert set(split) == {"train", "validation", "test"} and set(split[45:]) == {"train"}
    for share in (0, 1.5, -0.1):
        with pytest.raises(ValueError, match="test_share is"):
            tables.split_rows(labels, groups, test_share=share)


def test_media_paths_names_every_file():
    table = pd.DataFrame({"p": ["a.png", " ", "b.png"], "s": ["", "c.wav", ""]})
    paths = tables.media_paths(table, columns={"image": "p", "audio": "s", "text": "t"}, folder="f")
    assert [path.as_posix() for path in paths] == ["f/a.png", "f/b.png", "f/c.wav"]


# --- Reading: every kind of file ----------------------------------------------------------------------


def read(folder, name, content, encoding="utf-8"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return tables.read_table(path)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gbk", "今天天气很好，选举明天举行"),
        ("utf-16-be", "今天天气很好，选举明天举行"),
        ("big5", "今天天氣很好，選舉明天舉行"),
        ("cp1252", "“Don’t” said Tom – it’s £5 at the café… The naïve plan: a résumé, 20 °C, 5 €"),
        ("cp1251", "Привет мир, новости спорта и экономики сегодня"),
        ("shift_jis", "今日は天気がいいですね。選挙は明日行われます"),
        ("cp949", "오늘 날씨가 좋습니다. 선거는 내일 열립니다"),
    ],
)
@pytest.mark.parametrize("n_rows", [1, 20])
def test_an_encoding_is_recognised_from_a_single_row(tmp_path, encoding, text, n_rows):
    table, _ = read(tmp_path, "t.csv", "text,label\n" + f'"{text}",x\n' * n_rows, encoding)
    assert table["text"].tolist() == [text] * n_rows


def test_bytes_in_no_encoding_are_told(tmp_path):
    with pytest.raises(ValueError, match=r"no encoding that could be recognised. Save it as UTF-8"):
        read(tmp_path, "t.csv", np.random.default_rng(0).bytes(3000))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["t.csv", "t.txt", "T.CSV"])
def test_every_delimiter_and_line_end(tmp_path, delimiter, line_end, name):
    lines = [["text", "label"], ["one two", "a"], ["三", "b"]]
    table, rejected = read(tmp_path, name, "".join(delimiter.join(line) + line_end for line in lines))
    assert table.to_dict("list") == {"text": ["one two", "三"], "label": ["a", "b"]}
    assert table.index.tolist() == [1, 2]
    assert rejected.empty


def test_another_delimiter_in_a_field_or_in_a_quoted_name(tmp_path):
    table, _ = read(tmp_path, "t.csv", "text;label\none, two, three;a\n")
    assert table.to_dict("list") == {"text": ["one, two, three"], "label": ["a"]}
    table, _ = read(tmp_path, "t.csv", '"text; as; it; is",label\nx,a\n')
    assert table.to_dict("list") == {"text; as; it; is": ["x"], "label": ["a"]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_the_delimiter_is_that_of_the_header_and_blank_lines_may_stand_above_it(
    tmp_path, delimiter, line_end
):
    """Whatever stands more often in the rows below."""
    text = "one, two; three\t four".replace(delimiter, " ")
    lines = ["", "", f"text{delimiter}label", *[f"{text}{delimiter}a"] * 3, "x"]
    table, rejected = read(tmp_path, "t.csv", line_end.join(lines))
    assert table.to_dict("list") == {"text": [text] * 3, "label": ["a"] * 3}
    assert table.index.tolist() == [1, 2, 3]
    assert rejected["detail"].tolist() == ["1 fields, header has 2; line 7 of the file"]


def test_a_quoted_name_may_hold_line_ends(tmp_path):
    table, _ = read(tmp_path, "t.csv", '"te\nxt, or, more";label\n"a, b";c\n')
    assert table.to_dict("list") == {"te\nxt, or, more": ["a, b"], "label": ["c"]}
    table, _ = read(tmp_path, "t.csv", 'te"xt;label\na, b, c;d\n')  # a quote that is none
    assert table.to_dict("list") == {'te"xt': ["a, b, c"], "label": ["d"]}


def test_refused_lines_are_told_by_row_and_by_line(tmp_path):
    """Blank lines are no rows; a quote that nobody closed takes in all lines behind it, and says which."""
    content = 'text,label\n"a\nb",x\nonly\n\nc,d\n"2,y\n3,z\n4,w\n'
    table, rejected = read(tmp_path, "t.csv", content)
    assert table["text"].to_dict() == {1: "a\nb", 3: "c"}
    assert rejected.to_numpy().tolist() == [
        [2, "row", "FIELD_COUNT", "1 fields, header has 2; line 4 of the file"],
        [4, "row", "FIELD_COUNT", "1 fields, header has 2; lines 7 to 9 of the file"],
    ]


VALUES = [
    "nan",
    "NaN",
    "None",
    "null",
    "NA",
    "007",
    "1.0",
    "1e5",
    "True",
    "<script>",
    "-",
    "  x ",
    "=1+1",
    "空",
]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_values_stay_the_text_they_are(tmp_path, ending):
    table = pd.DataFrame({"text": [f"t{i}" for i in range(5 * len(VALUES))], "label": VALUES * 5})
    path = tmp_path / f"t.{ending}"
    if ending == "jsonl":
        table.to_json(path, orient="records", lines=True, force_ascii=False)
    elif ending == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="," if ending == "csv" else "\t")
    made, rejected = tables.read_table(path)
    assert made["label"].tolist() == VALUES * 5
    assert rejected.empty
    rows, rejected = check(made, tmp_path)
    assert rows["label"].tolist() == [value.strip() for value in VALUES] * 5
    assert rejected.empty


def test_jsonl_values_of_every_type(tmp_path):
    lines = [
        {"text": "a", "label": 1, "date": "1577836800", "posted_at": "20200101", "flag": True},
        {"text": ["b", "中"], "label": None, "big": 12345678901234567890, "part": 0.1},
        {"text": {"c": [1]}, "label": 3, "part": float("nan")},
        {"text": "nan"},
    ]
    content = "\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\r\n"
    table, rejected = read(tmp_path, "t.jsonl", content)
    assert table["text"].tolist() == ["a", '["b", "中"]', '{"c": [1]}', "nan"]
    assert table["label"].tolist() == ["1", "", "3", ""]  # not 1.0, although others are missing
    assert table["big"].tolist() == ["", "12345678901234567890", "", ""]
    assert table["part"].tolist() == ["", "0.1", "", ""]
    assert table.loc[1, ["date", "posted_at", "flag"]].tolist() == ["1577836800", "20200101", "True"]
    assert table.index.tolist() == [1, 2, 3, 4]
    assert rejected.empty


def test_jsonl_lines_that_are_no_objects_are_refused(tmp_path):
    content = '{"text": "a"}\n{"text": \n3\n["x"]\nnull\n{"text": "b\u2028c"}\n' + "[" * 100_000 + "\n"
    table, rejected = read(tmp_path, "t.jsonl", content)
    assert table.to_dict("index") == {1: {"text": "a"}, 6: {"text": "b\u2028c"}}
    assert rejected["row"].tolist() == [2, 3, 4, 5, 7]
    assert set(rejected["reason"]) == {"LINE_BROKEN"}


def test_half_a_character_in_jsonl_can_be_written_later(tmp_path):
    table, _ = read(tmp_path, "t.jsonl", '{"text": "a\\ud83d b", "label": "\\ud83d\\ude00"}\n')
    assert table.loc[1].tolist() == ["a b", "😀"]
    table.to_parquet(tmp_path / "b.parquet")
    assert pd.read_parquet(tmp_path / "b.parquet")["text"].tolist() == ["a b"]


def test_parquet_values_of_every_type(tmp_path):
    table = pd.DataFrame(
        {
            "label": pd.array([1, None, 3], dtype="Int64"),
            "list": [["x", "y"], ["z"], None],
            "class": pd.Categorical(["u", "v", None]),
            "when": pd.to_datetime(["2020-01-01", None, "2021-02-03"]),
            "text": ["nan", None, "中"],
        }
    )
    table.to_parquet(tmp_path / "t.parquet")
    made, _ = tables.read_table(tmp_path / "t.parquet")
    assert made["label"].tolist() == ["1", "", "3"]
    assert made["list"].tolist() == ['["x", "y"]', '["z"]', ""]
    assert made["class"].tolist() == ["u", "v", ""]
    assert made["when"].str[:10].tolist() == ["2020-01-01", "", "2021-02-03"]
    assert made["text"].tolist() == ["nan", "", "中"]
    assert made.index.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("noending", "x", "ends in ''"),
        ("t.tsv", "\n\n", "has no rows"),
        ("t.jsonl", "", "has no rows"),
        ("t.jsonl", "oh\nno\n", r"has no rows that can be read \(2 are refused\)"),
        ("t.csv", "text,label\na\nb\n", r"has no rows that can be read \(2 are refused\)"),
        ("t.parquet", "PAR1", "Parquet"),
        ("t.tsv", "x\ty\tx\ty\n1\t2\t3\t4\n", "several columns named 'x', 'y'"),
    ],
)
def test_what_is_no_table_is_told(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, name, content)


def test_a_parquet_without_rows_or_with_twins_is_told(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"text": []}).to_parquet(path)
    with pytest.raises(ValueError, match="has no rows"):
        tables.read_table(path)
    pq.write_table(pa.table([pa.array(["1"]), pa.array(["2"])], names=["a", "a"]), path)
    with pytest.raises(ValueError, match="several columns named 'a'"):
        tables.read_table(path)


@pytest.mark.parametrize("name", ["nothing.csv", ".", "sub/nothing.parquet"])
def test_a_missing_file_or_a_folder_is_told(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"No table at .* CSV, TSV, JSONL or Parquet"):
        tables.read_table(tmp_path / name)


def test_columns_without_a_name_may_be_several(tmp_path):
    """Spreadsheets write commas for empty columns."""
    table, rejected = read(tmp_path, "t.csv", "text,label,,\na,b,,\n")
    assert table[["text", "label"]].to_numpy().tolist() == [["a", "b"]]
    assert rejected.empty


# --- Checking: every kind of row ----------------------------------------------------------------------


def test_a_clean_table_goes_through_whole():
    table = labelled([f"text {i}" for i in range(10)])
    rows, rejected = check(table, ".")
    assert rows["row"].tolist() == list(range(1, 11))
    assert rows[["text", "label"]].to_numpy().tolist() == table.to_numpy().tolist()
    assert (rows[["image", "audio"]] == "").all(axis=None)
    assert not rows["text_repaired"].any()
    assert rejected.empty
    assert rejected.columns.tolist() == tables.REJECTED_COLUMNS


@pytest.mark.parametrize(
    ("labels", "counts"),
    [
        (["u"] * 10, "{'u': 10}"),
        (["u"] * 6 + ["v"] * 4, "{'u': 6, 'v': 4}"),
        ([""] * 10, "{}"),
        ([str(i) for i in range(10)], "has 0 label"),
    ],
)
def test_fewer_than_two_labels_are_told_with_their_counts(labels, counts):
    with pytest.raises(ValueError, match="Expected two or more: is it the right column") as caught:
        check(labelled(["a"] * 10, labels), ".")
    assert counts in str(caught.value)


def test_blank_labels_of_every_kind_are_empty():
    rows, rejected = check(
        labelled(["a"] * 14, ["u"] * 5 + ["v"] * 5 + ["", "   ", "\u3000", "\u00a0\n"]), "."
    )
    assert rows["label"].tolist() == ["u"] * 5 + ["v"] * 5
    assert rejected[["row", "reason"]].to_numpy().tolist() == [[row, "LABEL_EMPTY"] for row in range(11, 15)]


def test_rows_without_content_do_not_count_for_a_label():
    """Five rows of a label, one of them empty, are four."""
    rows, rejected = check(labelled(["a"] * 14 + [""], ["u"] * 5 + ["v"] * 5 + ["w"] * 5), ".")
    assert set(rows["label"]) == {"u", "v"}
    assert rejected["reason"].value_counts().to_dict() == {"LABEL_RARE": 4, "TEXT_EMPTY": 1, "NO_CONTENT": 1}


def test_without_a_label_column_every_row_with_content_is_kept():
    rows, rejected = check(labelled(["a", "", "b"]), ".", label="")
    assert rows["row"].tolist() == [1, 3]
    assert "label" not in rows
    assert rejected.to_numpy().tolist() == [[2, "text", "TEXT_EMPTY", ""], [2, "row", "NO_CONTENT", ""]]


def reasons_of_paths(paths, folder):
    rows, rejected = check(labelled(["a"] * len(paths)).assign(p=paths), folder, label="", image="p")
    reasons = dict(zip(rejected["row"], rejected["reason"], strict=True))
    return rows["image"].tolist(), [reasons.get(i, "") for i in range(1, len(paths) + 1)]


def test_every_way_out_of_the_folder_is_refused(tmp_path):
    folder, outside = tmp_path / "table", tmp_path / "table2"  # a sibling whose name starts the same
    for place in (folder, outside):
        place.mkdir()
        (place / "a.png").touch()
    (folder / "linked").symlink_to(outside)
    (folder / "inside.png").symlink_to(folder / "a.png")
    paths = [
        "../table2/a.png", str(outside / "a.png"), "linked/a.png", "../table2/nothing.png",
        "sub/../../table2/a.png", "/etc/passwd", "../", "/", "..",
    ]  # fmt: skip
    assert reasons_of_paths(paths, folder) == ([""] * len(paths), ["OUTSIDE_FOLDER"] * len(paths))
    paths = [
        "a.png",
        "./a.png",
        " a.png ",
        str(folder / "a.png"),
        "x/../a.png",
        "inside.png",
        "../table/a.png",
    ]
    inside = str((folder / "a.png").resolve())
    assert reasons_of_paths(paths, folder) == ([inside] * len(paths), [""] * len(paths))
    (tmp_path / "link").symlink_to(folder)  # the table's folder may itself be a link
    assert reasons_of_paths(["a.png"], tmp_path / "link") == ([inside], [""])


def test_paths_that_no_file_can_have_are_missing_files(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder.png").mkdir()
    paths = ["a\x00b", "字" * 300, "x/" * 3000, "loop", "loop/a", "folder.png", "none.png", "https://a/b.png"]
    assert reasons_of_paths(paths, tmp_path) == ([""] * len(paths), ["FILE_MISSING"] * len(paths))
    table = pd.DataFrame({"p": paths})
    named = tables.media_paths(table, columns={"image": "p", "audio": ""}, folder=tmp_path)
    assert tmp_path / "none.png" in named
    assert [path.name for path in named if path.exists()] == ["folder.png"]  # asking raises nothing


def test_media_paths_are_those_that_the_rows_have(tmp_path):
    for name in ("a.png", "b.wav"):
        (tmp_path / name).touch()
    table = labelled(["x"] * 3).assign(p=["a.png", " a.png ", ""], s=["b.wav", "", "gone.wav"])
    named = tables.media_paths(table, columns={"image": "p", "audio": "s"}, folder=tmp_path)
    assert named == [tmp_path / name for name in ("a.png", "a.png", "b.wav", "gone.wav")]
    rows, _ = check(table, tmp_path, label="", image="p", audio="s")
    assert {path for path in [*rows["image"], *rows["audio"]] if path} == {
        str(p) for p in named if p.exists()
    }


def test_every_reason_that_is_given_has_a_meaning():
    """And none is explained that nothing gives."""
    source = "".join(path.read_text("utf-8") for path in (PROJECT / "lib/fusebook").glob("*.py"))
    given = set(re.findall(r'"((?:FIELD|LINE|LABEL|NO|TEXT|FILE|OUTSIDE|IMAGE|AUDIO)_[A-Z_]+)"(?!:)', source))
    assert given == set(tables.REASONS)


# --- Repairing: clean text stays, broken text is mended -----------------------------------------------


def test_clean_chinese_of_every_length_is_left_alone():
    """Short pieces, alone or in English, and words whose GBK bytes are valid UTF-8 by chance."""
    words = ["茅台", "联通", "路", "路路", "陆", "卢卡", "路路路路路路路路", "亲亲亲亲亲亲", "茅"]
    words += [text[start : start + n] for n in (1, 2, 3, 5, 8) for text in sample_texts() for start in (0, 5)]
    both = [made for word in words for made in (word.strip(), f"Price of {word.strip()} 500")]
    assert len(both) > 10_000
    assert [text for text in both if tables.repair_text(text) != text.strip()] == []


@pytest.mark.parametrize(
    "text",
    [
        "café, Ångström, ÀÉÎÕÜ",
        "👨‍👩‍👧 🇨🇳 ❤️",
        "Γειά σου κόσμε",
        "שלום עולם",
        "مرحبا",
        "カタカナ、ひらがな",
        "“x” – … £5 €6 ½ ×",
        "a < b && c",
        "x\ty\nz",
    ],
)
def test_clean_text_of_other_kinds_is_left_alone(text):
    assert tables.repair_text(text) == text


@pytest.mark.parametrize("encoding", ["latin-1", "gb18030", "gbk"])
def test_mojibake_with_punctuation_and_latin_letters_is_mended(encoding):
    texts = [part for text in sample_texts() for part in text.split("\u3000") if len(part) > 8]
    pairs = [(text.strip(), garbled) for text in texts if (garbled := _garbled(text, encoding))]
    assert len(pairs) > 50
    missed = [text for text, garbled in pairs if tables.repair_text(garbled) != text]
    assert len(missed) <= 0.01 * len(pairs), missed[:3]


@pytest.mark.parametrize("text", ["产量比去年增加", "门票收入的一半充", "有人从这里经过…"])
def test_mojibake_that_ends_in_a_blank_is_mended_whole(text):
    """The last byte, A0 or 85, is a blank or a line end in latin-1."""
    assert tables.repair_text("  " + text.encode().decode("latin-1") + "\n") == text


def test_only_mended_rows_are_marked():
    good = "今天天气很好，选举明天举行"
    texts = [good, good.encode().decode("latin-1"), " a\r\nb ", "x\x00y", "\tplain\n"]
    rows, _ = check(labelled(texts), ".", label="")
    assert rows["text"].tolist() == [good, good, "a\nb", "xy", "plain"]
    assert rows["text_repaired"].tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\x0b", "\x0c", "\n"])
def test_a_line_end_of_any_kind_parts_words(end):
    assert tables.repair_text(f"one{end}two{end}") == "one\ntwo"


# --- Duplicates and splits: every size ----------------------------------------------------------------


def _shingles(text):
    text = "".join(text.lower().split())
    return {text[i : i + 3] for i in range(max(1, len(text) - 2))}


def groups_by_force(texts, threshold):
    """Every pair compared; groups by the shortest chain."""
    group = list(range(len(texts)))
    for i, one in enumerate(texts):
        for j, other in enumerate(texts[:i]):
            a, b = _shingles(one), _shingles(other)
            if one.strip() and other.strip() and len(a & b) / len(a | b) >= threshold:
                group = [group[j] if g == group[i] else g for g in group]
    return np.array(group)


def same_groups(one, other):
    return ((one[:, None] == one) == (other[:, None] == other)).all()


def made_texts(n_texts, seed=0):
    """Random texts, a third of them near copies of earlier ones, some exact, some empty."""
    rng = np.random.default_rng(seed)
    texts = []
    for i in range(n_texts):
        if texts and i % 3 == 0 and (old := list(str(rng.choice(texts)))):
            for _ in range(rng.integers(0, 6)):
                old[rng.integers(len(old))] = chr(rng.integers(0x4E00, 0x9FFF))
            texts.append("".join(old))
        elif i % 20 == 1:
            texts.append("")
        else:
            texts.append("".join(map(chr, rng.integers(0x4E00, 0x4E80, rng.integers(20, 60)))))
    return texts


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_all_groups_are_those_of_brute_force(threshold, seed):
    texts = made_texts(200, seed)
    by_force = groups_by_force(texts, threshold)
    assert len(set(by_force)) < 195
    made = tables.find_duplicates(texts, threshold=threshold)
    assert made.shape == (200,)
    assert same_groups(made, by_force)
    order = np.random.default_rng(1).permutation(200)
    assert same_groups(tables.find_duplicates([texts[i] for i in order], threshold=threshold), made[order])


def test_a_chain_of_near_copies_is_one_group():
    texts = ["".join(map(chr, range(0x4E00 + start, 0x4E00 + start + 60))) for start in (0, 5, 10, 15)]
    a, b = _shingles(texts[0]), _shingles(texts[3])
    assert len(a & b) / len(a | b) < 0.8
    assert len(set(tables.find_duplicates(texts))) == 1


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["", " "], ["a", "b"], ["ab", "AB"], ["短", "短", "长"]])
def test_few_short_and_empty_texts(texts):
    made = tables.find_duplicates(texts)
    filled = [text.lower() for text in texts if text.strip()]
    assert made.shape == (len(texts),)
    assert len(set(made)) == len(set(filled)) + len(texts) - len(filled)


@pytest.mark.parametrize("n_rows", [50, 237, 1000])
@pytest.mark.parametrize("random_state", [42, 7])
def test_all_three_splits_are_scikit_learns(n_rows, random_state):
    labels = pd.Series(np.random.default_rng(0).choice(list("abc"), n_rows, p=[0.5, 0.3, 0.2]))
    split = tables.split_rows(labels, np.arange(n_rows), random_state=random_state)
    rest, test = train_test_split(
        np.arange(n_rows), test_size=0.2, stratify=labels, random_state=random_state
    )
    _, validation = train_test_split(
        rest, test_size=0.1 / 0.8, stratify=labels[rest], random_state=random_state
    )
    assert set(np.flatnonzero(split == "test")) == set(test)
    assert set(np.flatnonzero(split == "validation")) == set(validation)


@pytest.mark.parametrize(
    ("test_share", "validation_share"), [(0.2, 0.1), (0.5, 0.25), (0.1, 0.05), (0.3, 0.5)]
)
def test_shares_are_right_in_every_label(test_share, validation_share):
    labels = pd.Series(np.random.default_rng(0).choice(list("abc"), 2000, p=[0.5, 0.3, 0.2]))
    split = tables.split_rows(
        labels, np.arange(2000), test_share=test_share, validation_share=validation_share
    )
    shares = pd.crosstab(labels, split, normalize="index")
    for name, share in {"validation": validation_share, "test": test_share}.items():
        assert (split == name).mean() == pytest.approx(share, abs=0.002)
        np.testing.assert_allclose(shares[name], share, atol=0.005)


@pytest.mark.parametrize("seed", range(5))
def test_groups_with_several_labels_are_never_torn_and_their_numbers_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    groups, labels = rng.integers(0, 150, 400), pd.Series(rng.choice(list("abc"), 400))
    split = tables.split_rows(labels, groups)
    assert pd.Series(split).groupby(groups).nunique().max() == 1
    assert (split == "test").mean() == pytest.approx(0.2, abs=0.06)
    np.testing.assert_array_equal(tables.split_rows(labels, rng.permutation(150)[groups] + 1000), split)


@pytest.mark.parametrize("n_labels", [2, 3, 5, 10, 40])
@pytest.mark.parametrize("rows_a_label", [5, 6, 9])
def test_small_labels_stand_in_every_split(n_labels, rows_a_label):
    """Five rows of each label, the fewest that ``check_rows`` lets through, are enough."""
    labels = pd.Series([f"label {i}" for i in range(n_labels)] * rows_a_label)
    counts = pd.crosstab(labels, tables.split_rows(labels, np.arange(len(labels))))
    assert counts[["train", "validation", "test"]].min(axis=None) >= 1
    assert (counts["train"] >= rows_a_label / 2).all()


@pytest.mark.parametrize("n_groups", [1, 2, 3])
def test_a_label_of_few_groups_does_not_stop_the_split(n_groups):
    """All rows of one label may be near copies of each other."""
    labels = pd.Series(["a"] * 40 + ["b"] * 40 + ["c"] * 20)
    groups = np.concatenate([np.arange(80), 80 + np.arange(20) % n_groups])
    split = tables.split_rows(labels, groups)
    assert pd.Series(split).groupby(groups).nunique().max() == 1
    assert set(split[:80]) == {"train", "validation", "test"}


@pytest.mark.parametrize("share", [0, 1, -0.1, 0.9, float("nan")])
@pytest.mark.parametrize("name", ["test_share", "validation_share"])
def test_a_bad_share_is_told(name, share):
    with pytest.raises(ValueError, match=f"{name} is {share}; expected a share between 0 and 0.9"):
        tables.split_rows(pd.Series(list("ab") * 50), np.arange(100), **{name: share})


def test_shares_that_leave_nothing_to_train_on_are_told():
    with pytest.raises(ValueError, match=r"add up to 1.10, which leaves too few rows"):
        tables.split_rows(pd.Series(list("ab") * 50), np.arange(100), test_share=0.5, validation_share=0.6)


@pytest.mark.parametrize("n_groups", [1, 2])
def test_too_few_rows_that_differ_are_told(n_groups):
    with pytest.raises(ValueError, match=r"Too few rows to split: \d left that differ"):
        tables.split_rows(pd.Series(list("ab") * 6), np.arange(12) % n_groups)
