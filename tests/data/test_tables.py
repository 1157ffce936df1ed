"""Reading of tables in every format and encoding, against Python's own readers."""

import csv
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusebook.data import tables

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
def test_the_delimiter_is_that_of_the_header_and_blank_lines_may_stand_above_it(tmp_path, delimiter, line_end):
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
