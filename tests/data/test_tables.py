"""Reading of tables in every format and encoding, against Python's own readers."""

import csv
import gzip
import io
import json
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusebook import runs
from fusebook.data import checks, tables

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
    """Blank lines are no rows; a quote that nobody closed takes in no line behind it."""
    content = 'text,label\n"a\nb",x\nonly\n\nc,d\n"2,y\n3,z\n4,w\n'
    table, rejected = read(tmp_path, "t.csv", content)
    assert table["text"].to_dict() == {1: "a\nb", 3: "c", 4: '"2', 5: "3", 6: "4"}
    assert rejected.to_numpy().tolist() == [[2, "row", "FIELD_COUNT", "1 fields, header has 2; line 4 of the file"]]


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


# --- What a person brings: strays, encodings, kinds (issue 17) ------------------------------------------

WORDS = {
    "money": "bank price loan market share",
    "sport": "match goal team coach win",
    "tech": "chip code robot app data",
}


def pairs(n):
    """``n`` texts of eight words and a number, and their labels."""
    draw = np.random.default_rng(0)
    labels = draw.choice(list(WORDS), n)
    return [[" ".join(draw.choice(WORDS[label].split(), 8)) + f" {i}", str(label)] for i, label in enumerate(labels)]


def adds_up(path, rejected=0):
    """Each line of the file is told of once."""
    facts = tables.read(path).facts
    kinds = ("lines above the header", "header lines", "rows", "further lines of rows", "refused",
             "further lines of refused", "blank lines")  # fmt: skip
    lines = len(list(io.StringIO(path.read_bytes().decode(facts["encoding"]), newline="")))
    return sum(facts[kind] for kind in kinds) == facts["lines"] == lines and facts["refused"] == rejected


@pytest.mark.parametrize("share", [0.002, 0.005, 0.01, 0.05])
@pytest.mark.parametrize("others", ["none", "inch marks", "texts of two lines", "quoted commas"])
def test_stray_quotes_swallow_no_rows(tmp_path, share, others):
    draw, lines, expected = np.random.default_rng(1), ["text,label"], []
    for text, label in pairs(1000):
        quoted = text
        if draw.random() < share:
            quoted = text = f'"{text}'
        elif others == "inch marks" and draw.random() < 0.02:
            quoted = text = f'{text} 27"'
        elif others == "texts of two lines" and draw.random() < 0.05:
            text += "\nand, as ever, more"
            quoted = f'"{text}"'
        elif others == "quoted commas" and draw.random() < 0.3:
            text += ', says "x"'
            quoted = '"' + text.replace('"', '""') + '"'
        expected.append([text, label])
        lines.append(f"{quoted},{label}")
    table, rejected = read(tmp_path, "t.csv", "\n".join(lines) + "\n")
    assert table.to_numpy().tolist() == expected and rejected.empty
    assert adds_up(tmp_path / "t.csv")


def test_stray_quotes_in_a_table_of_one_column(tmp_path):
    table, rejected = read(tmp_path, "t.csv", 'text\n"bank\nloan\n"two\nlines"\n"price x\nlast\n')
    assert table["text"].tolist() == ['"bank', "loan", "two\nlines", '"price x', "last"] and rejected.empty


def test_good_csv_is_read_as_it_was_written(tmp_path):
    """Texts of several lines, each with as many commas as the header: pandas' and Excel's writing is never doubted."""
    texts = [
        "Hi, all\nbye",
        "Hi, all\nHi, all\nbye",
        'say "x"\n27" tall, x',
        "",
        "a\n\nb",
        "x;y",
        "银行，价格",
        "  lead",
    ]
    for seed in range(20):
        draw = np.random.default_rng(seed)
        rows = [[" ".join(draw.choice(texts, 2)), str(draw.choice(["a", "b, c"]))] for _ in range(30)]
        for sign, quoting in ((",", csv.QUOTE_MINIMAL), (";", csv.QUOTE_ALL)):
            content = pd.DataFrame(rows, columns=HEADER).to_csv(index=False, sep=sign, quoting=quoting)
            table, rejected = read(tmp_path, "t.csv", content)
            assert table.to_numpy().tolist() == rows and rejected.empty
            assert adds_up(tmp_path / "t.csv")


def test_damaged_tables_add_up_and_end_soon(tmp_path):
    for seed in range(40):
        draw = np.random.default_rng(seed)
        letters = list("\n".join(",".join(f'"{v}, x"' if i % 3 else v for v in row) for i, row in enumerate(pairs(20))))
        for place in draw.integers(0, len(letters), 8):
            letters.insert(place, str(draw.choice(list('"""\n,\r;\0\t'))))
        (tmp_path / "t.csv").write_text("text,label\n" + "".join(letters), encoding="utf-8", newline="")
        try:
            refused = len(tables.read(tmp_path / "t.csv").rejected)
        except tables.TableError as error:
            assert len(error.rejected) or "several columns" in str(error)
        else:
            assert adds_up(tmp_path / "t.csv", refused)
    began = time.process_time()
    assert len(read(tmp_path, "t.csv", "text,label\n" + '5" tall,"open\n' * 5000)[0]) == 5000
    assert time.process_time() - began < 5, "each line opens a quote, and none is read to the end of the file"


SENTENCES = {
    "fr": "Le marché de l'épargne a été élevé à Noël, ça coûte cher", "es": "El niño español ganó; ¿qué pasó mañana?",
    "pt": "A inflação não caiu em março, João", "de": "Für große Häuser böse Übung", "sv": "Det är på sjön, åtta öre",
    "pl": "Zażółć gęślą jaźń, łódź i źdźbło", "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy", "hu": "Árvíztűrő tükörfúrógép",
    "tr": "Bugün güneşli bir gün, çığ düştü İstanbul ışık", "lt": "Šiandien žmonės ėjo į mišką, ąžuolų šešėlis",
    "ru": "Привет мир, новости спорта и экономики сегодня", "el": "Σήμερα είναι καλή μέρα για όλους",
    "ja": "今日は天気がいいですね。選挙は明日行われます", "ko": "오늘 날씨가 좋습니다. 선거는 내일 열립니다", "zh": "今天天气很好，选举明天举行",
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "encodings"),
    [
        ("fr", "cp1252 mac_roman cp850"), ("es", "cp1252 mac_roman"), ("pt", "cp1252 mac_roman"), ("de", "cp1252 cp850"),
        ("sv", "cp1252"), ("pl", "cp1250 iso8859-2"), ("cs", "cp1250 iso8859-2 cp852"), ("hu", "cp1250"), ("tr", "cp1254"),
        ("lt", "cp1257"), ("ru", "cp1251 koi8-r cp866"), ("el", "cp1253"), ("zh", "gbk utf-16-le utf-16-be"),
        ("ja", "shift_jis euc_jp iso2022_jp utf-16-le utf-16-be"), ("ko", "cp949 iso2022_kr"),
    ],
)  # fmt: skip
def test_the_letters_of_a_language_tell_the_encoding(tmp_path, language, encodings):
    sentence = SENTENCES[language].replace("¿", "" if "koi" in encodings else "¿")
    for encoding in encodings.split():
        table, _ = read(tmp_path, "t.csv", "text,label\r\n" + f'"{sentence}",x\r\n' * 20, encoding)
        assert table["text"].tolist() == [sentence] * 20, encoding


@pytest.mark.parametrize(("language", "encoding"), [("fr", "utf-8"), ("zh", "utf-8"), ("zh", "gb18030")])
def test_a_cut_byte_is_one_lost_character_and_its_place_is_told(tmp_path, language, encoding):
    good, cut = SENTENCES[language].encode(encoding), next(c for c in SENTENCES[language] if c > "\x7f")
    broken = good.replace(cut.encode(encoding), cut.encode(encoding)[:-1], 1)
    (tmp_path / "t.csv").write_bytes(
        b"text,label\n" + b'"%s",x\n' % good * 30 + b'"%s",y\n' % broken + b'"%s",x\n' % good * 9
    )
    table, rejected, facts = tables.read(tmp_path / "t.csv")
    assert (
        facts["encoding"] == encoding
        and facts["lost characters"] == 1
        and facts["first lost"].startswith("line 32, byte")
    )
    assert table["text"][31] == SENTENCES[language].replace(cut, "\ufffd", 1) and table["label"][31] == "y"
    assert (table["text"].drop(31) == SENTENCES[language]).all() and rejected.empty


def test_an_encoding_can_be_named(tmp_path):
    (tmp_path / "t.csv").write_bytes("text,label\nniño,x\n".encode("cp1252"))
    assert tables.read_table(tmp_path / "t.csv", "cp1250")[0]["text"].tolist() == ["nińo"]
    assert tables.read_table(tmp_path / "t.csv", "latin-1")[0]["text"].tolist() == ["niño"]
    with pytest.raises(ValueError, match="'klingon', which is no encoding known here"):
        tables.read_table(tmp_path / "t.csv", "klingon")


LETTERS = [['a "b", c', "x"], ["two\nlines", "y"], ["tab\there", "x"], ["plain", "y"]]


def test_a_tsv_that_is_quoted_is_read_so(tmp_path):
    frame = pd.DataFrame(LETTERS, columns=HEADER)
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):
        for name in ("t.tsv", "t.csv", "t.txt"):
            table, rejected = read(tmp_path, name, frame.to_csv(sep="\t", index=False, quoting=quoting))
            assert table.to_numpy().tolist() == LETTERS and rejected.empty and table.columns.tolist() == HEADER
            assert adds_up(tmp_path / name)
    table, _ = read(tmp_path, "t.tsv", 'text\tlabel\n"All of it is said"\tx\nplain\ty\n')
    assert table["text"].tolist() == ['"All of it is said"', "plain"], "one text in quotes makes no quoted table"


def test_a_blank_behind_each_comma_belongs_to_it(tmp_path):
    table, rejected = read(tmp_path, "t.csv", 'label, text\nx, "a, b"\ny, plain\nx, "say ""c"""\n')
    assert table.to_dict("list") == {"label": ["x", "y", "x"], "text": ["a, b", "plain", 'say "c"']} and rejected.empty


def test_bars_and_backslashes_and_the_line_that_names_the_delimiter(tmp_path):
    assert read(tmp_path, "t.csv", "text|label\na, b|x\nc; d|y\n")[0].to_numpy().tolist() == [
        ["a, b", "x"],
        ["c; d", "y"],
    ]
    assert read(tmp_path, "t.csv", "sep=;\r\ntext;label\r\na, b;x\r\n")[0].to_dict("list") == {
        "text": ["a, b"],
        "label": ["x"],
    }
    table, _ = read(tmp_path, "t.csv", 'text,label\n"say \\"no, no\\" now",x\nplain,y\n')
    assert table["text"].tolist() == ['say "no, no" now', "plain"]
    table, _ = read(tmp_path, "t.csv", 'text,label\n"C:\\dir\\",x\nplain,y\n')
    assert table["text"].tolist() == ["C:\\dir\\", "plain"]
    assert (
        read(tmp_path, "t.csv", "text; the body; of news,label\na,x\nb,y\n")[0].columns[0] == "text; the body; of news"
    )


@pytest.mark.parametrize(
    "above", ["Report of May\n\n", "Report of May,\n,\n", "\n\nSales\n\n", "# made by a tool, 2024\n"]
)
def test_titles_above_the_header_are_no_header(tmp_path, above):
    (tmp_path / "t.csv").write_text(above + "text,label\n" + "a b,x\nc d,y\n" * 10, encoding="utf-8")
    table, rejected, facts = tables.read(tmp_path / "t.csv", names=["text", "label", ""])
    assert table.columns.tolist() == HEADER and len(table) == 20 and table.index[0] == 1 and rejected.empty
    assert adds_up(tmp_path / "t.csv") and facts["lines above the header"] == above.count("\n")


def test_names_in_another_unicode_form_or_with_blanks_are_found(tmp_path):
    table, _ = read(tmp_path, "t.csv", "cafe\u0301, label \na,x\n")
    assert tables.column_named(table, "caf\u00e9") == "cafe\u0301"
    assert tables.column_named(table, "gone") == "gone"
    assert tables.column_named(pd.DataFrame(columns=["text", " "]), "") == "", "none is none"
    assert tables.column_named(pd.DataFrame(columns=["a", " a", "a "]), " a ") == " a ", "several are none"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", "is a spreadsheet .*save it as CSV"),
        ("t.xlsx", b"PK\x03\x04" + b"\0" * 26 + b"xl/workbook.xml", "is a spreadsheet"),
        ("t.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", r"old Excel \(.xls\)"),
        ("t.csv", b"<!DOCTYPE html><html>sign in", "is a web page"),
        ("t.csv", b"\r\n<HTML lang=en>", "is a web page"),
        ("t.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("t.jsonl", b"%PDF-1.7", "is a PDF"),
        ("t.csv", b"\x89PNG\r\n", "is a picture"),
        ("t.csv", b"\x1f\x8b\x08\0garbage", "broken gzip|ends too soon"),
        ("t.csv.gz", gzip.compress(b"text,label\n" * 9)[:-9], "ends too soon"),
        ("t.csv.gz", gzip.compress(b"a" * 100_000_000, 1), "gzip bomb"),
        ("t.csv", ",".join(f"c{i}" for i in range(60_000)).encode(), "60,000 columns"),
        (
            "t.csv",
            b"text,label\na,b,c\n",
            r"The first, row 1: 3 fields, header has 2; line 2 of the file; delimiter ','",
        ),
        ("t.jsonl", b"oh\nno\n", "The first, row 1: Expecting value"),
    ],
)
def test_what_is_not_read_is_named(tmp_path, name, content, message):
    with pytest.raises(tables.TableError, match=message):
        read(tmp_path, name, content)


def test_an_error_brings_the_lines_that_were_refused(tmp_path):
    with pytest.raises(tables.TableError) as caught:
        read(tmp_path, "t.csv", "text,label\na\nb,c,d\n")
    assert caught.value.rejected["row"].tolist() == [1, 2]


@pytest.mark.parametrize("name", ["t.csv.gz", "t.tsv.gz", "t.jsonl.gz", "t.csv"])
def test_gzip_is_unpacked(tmp_path, name):
    lines = {"csv": "text,label\na,x\n", "tsv": "text\tlabel\na\tx\n", "jsonl": '{"text": "a", "label": "x"}\n'}[
        name.split(".")[1]
    ]
    packed = gzip.compress(lines.encode()[:12]) + gzip.compress(lines.encode()[12:])  # two members, as a log has
    assert read(tmp_path, name, packed)[0].to_dict("list") == {"text": ["a"], "label": ["x"]}


def test_json_that_is_no_json_lines_is_read(tmp_path):
    objects = [{"text": "a", "label": "x"}, {"text": "b,\nc", "label": "y"}]
    expected = [["a", "x"], ["b,\nc", "y"]]
    several = "\n".join(json.dumps(value, indent=1) for value in objects)
    for content in (
        json.dumps(objects),
        json.dumps(objects, indent=2),
        several,
        json.dumps({"version": 1, "data": objects}, indent=1),
    ):
        for name in ("t.json", "t.jsonl", "t.csv"):
            assert read(tmp_path, name, content)[0].to_numpy().tolist() == expected
    table, rejected = read(tmp_path, "t.json", json.dumps([*objects, 3]))
    assert len(table) == 2 and rejected["row"].tolist() == [3]


def test_thousands_of_keys_share_a_column(tmp_path):
    lines = [{"text": "a", "label": "x", f"key{i}": i} for i in range(1100)]
    table, _ = read(tmp_path, "t.jsonl", "\n".join(map(json.dumps, lines)))
    assert table.shape == (1100, 1001) and table["further keys"].iloc[-1] == '{"key1099": 1099}'
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert tables.read(tmp_path / "t.jsonl", names=["key1099"]).table["key1099"].iloc[-1] == "1099"


def test_parquet_of_bytes_in_parts_and_with_odd_values(tmp_path):
    pq.write_table(pa.table({"text": [b"caf\xc3\xa9", b"\xff a"], "label": [b"x", None]}), tmp_path / "t.parquet")
    assert tables.read_table(tmp_path / "t.parquet")[0].to_numpy().tolist() == [["café", "x"], ["\ufffd a", ""]]
    pd.DataFrame(LETTERS, columns=HEADER).to_parquet(tmp_path / "parts", partition_cols=["label"])
    (tmp_path / "parts" / "notes.txt").write_text("made by a cluster")
    table = tables.read_table(tmp_path / "parts")[0]
    assert sorted(table.to_numpy().tolist()) == sorted(LETTERS) and table.index.tolist() == [1, 2, 3, 4]
    far = pa.array([400_000_000_000, 0], pa.timestamp("s"))
    zone = pa.array([0, None], pa.timestamp("s", tz="Mars/Olympus"))
    bad = pa.Array.from_buffers(pa.string(), 2, pa.array([b"a\xff", b"b"]).buffers())
    pq.write_table(pa.table({"far": far, "zone": zone, "bad": bad}), tmp_path / "odd.parquet")
    table = tables.read_table(tmp_path / "odd.parquet")[0]
    assert table["far"][1].startswith("14645") and table["bad"].tolist() == ["a\ufffd", "b"]
    assert table["zone"].str[:10].tolist() == ["1970-01-01", ""]


def test_a_parquet_bomb_is_told(tmp_path):
    zeros = pa.nulls(60_000_000, pa.int8())
    pq.write_table(pa.table({"a": zeros, "b": zeros}), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="60,000,000 rows of 2 columns"):
        tables.read_table(tmp_path / "t.parquet")
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), pa.array(["x" * 1_000_000]))
    pq.write_table(pa.table({"text": texts}), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="more than 2 GB of text in its column 'text'"):
        tables.read_table(tmp_path / "t.parquet")


def test_the_table_says_how_it_was_read_and_brings_what_was_refused_even_with_an_error(tmp_path):
    path, run, columns = tmp_path / "t.csv", runs.Run(tmp_path / "run"), {"text": "text", "label": "label"}
    lines = "".join(f"niño {i},a\nalgún {i},b\n" for i in range(8))
    path.write_bytes(f"# made by x, 2024\ntext,label \n{lines}broken\n".encode("cp1252"))
    table = checks.Table(path, columns)
    said = table.reading()["value"]
    assert said[["encoding", "delimiter", "lines", "lines above the header", "rows", "refused"]].tolist() == [
        "cp1252", ",", "19", "1", "16", "1",
    ]  # fmt: skip
    assert table.columns == {"text": "text", "label": "label "} and table.facts()["reading"]["encoding"] == "cp1252"
    assert checks.Table(path, columns, encoding="cp1250").rows["text"][0] == "nińo 0"
    path.write_text("text,label\nx\na,A\nb,B\n", encoding="utf-8")
    with pytest.raises(ValueError, match="5 rows"):
        checks.Table(path, columns, run=run)
    assert pd.read_csv(run.path("rejected.csv"))["reason"].tolist() == ["FIELD_COUNT", "LABEL_RARE", "LABEL_RARE"]
    path.write_text("text,label\nx\ny,z,w\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"The first, row 1: 1 fields, header has 2; line 2 of the file; delimiter ','"
    ):
        checks.Table(path, columns, run=run)
    assert pd.read_csv(run.path("rejected.csv"))["row"].tolist() == [1, 2]
