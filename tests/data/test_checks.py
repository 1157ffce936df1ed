"""Checking and mending of rows: every fault has its reason, clean rows and clean texts stay as they are."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import PROJECT
from PIL import Image

from fusebook import runs
from fusebook.data import checks, tables
from fusebook.data.formats import labels
from fusebook.runs import Run


def check(table, folder, **columns):
    columns = {"text": "text", "label": "label", "image": "", "audio": ""} | columns
    index = pd.RangeIndex(1, len(table) + 1)
    return checks.check_rows(table.set_index(index), columns=columns, folder=folder)


def table_of(rows):
    """A ``Table`` of rows that were made by hand."""
    made = checks.Table.__new__(checks.Table)
    made.rows, made._joined = rows, {}
    return made


def files_of(table, folder, **columns):
    """The paths that ``Table`` names behind its own, where ``table`` lies in ``folder``."""
    table.assign(text="x").to_csv(folder / "named.csv", index=False)
    first, *paths = checks.Table(folder / "named.csv", {"text": "text"} | columns).files()
    assert first == folder / "named.csv"
    return paths


def save_picture(path):
    Image.new("RGB", (2, 2)).save(path)


def labelled(texts, labels=None):
    labels = labels or ["A", "B"] * (len(texts) // 2) + ["A"] * (len(texts) % 2)
    return pd.DataFrame({"text": texts, "label": labels})


def test_empty_parts_and_labels_are_told_apart(tmp_path):
    save_picture(tmp_path / "ok.png")
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
    save_picture(outside)
    save_picture(folder / "ok.png")
    (folder / "bad.png").write_bytes(b"x")
    (folder / "link.png").symlink_to(outside)
    names = ["ok.png", "../out.png", str(outside), "link.png", "none.png", "bad.png", "", " ok.png "]
    rows, rejected = check(labelled(["x"] * 12).assign(p=[*names, "", "", "", ""]), folder, image="p")
    reasons = rejected.set_index("row")["reason"].to_dict()
    outside_rows = dict.fromkeys((2, 3, 4), "OUTSIDE_FOLDER")
    assert reasons == {**outside_rows, 5: "FILE_MISSING", 6: "IMAGE_BROKEN"}
    assert rows["image"].tolist() == [str(folder / "ok.png"), *[""] * 6, str(folder / "ok.png"), *[""] * 4]
    assert len(rows) == 12, "a refused part does not cost the row"


def test_labels_lose_outer_blanks_and_what_nobody_sees_only():
    given = ["A\u200b", " A ", "\u3000A", "A\x00", "\ufeffA", "\u202eA"]
    table = labelled(["x"] * 18, given + ["<b>"] * 5 + ["Ａ"] * 5 + ["rare", "ｒare"])
    rows, rejected = check(table, ".")
    assert rows["label"].tolist() == ["A"] * 6 + ["<b>"] * 5 + ["Ａ"] * 5, "a width can be seen"
    assert rows["label_given"].tolist()[:6] == given
    refused = rejected[["row", "reason", "detail"]].to_numpy().tolist()
    assert refused == [[17, "LABEL_RARE", "rare"], [18, "LABEL_RARE", "ｒare"]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": "body"}, "The text column 'body' is not in the table. Its columns: 'text', 'label'"),
        ({"label": "class"}, "The label column 'class'"),
        ({"text": ""}, "No column with content"),
        ({"label": "text"}, "The column 'text' is named for text and label"),
        ({"image": "text"}, "The column 'text' is named for text and image"),
    ],
)
def test_columns_that_are_missing_are_named(columns, message):
    with pytest.raises(ValueError, match=message):
        check(labelled(["x"] * 10), ".", **columns)


def test_one_label_is_not_enough():
    with pytest.raises(
        ValueError, match="All 10 rows have one label in the column 'label', “A”: there is nothing to tell"
    ):
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
    assert [text for text, garbled in pairs if checks.repair_text(garbled) != text] == []


@pytest.mark.parametrize(
    "text",
    ["naïve café", "Straße “quoted” ﬁne", "东京都", "😀 emoji", "Ｆｕｌｌ width", "тест", "한국어", "x" * 100_000],
)
def test_clean_text_is_left_alone(text):
    assert checks.repair_text(text) == text


def test_the_samples_clean_texts_are_left_alone():
    texts = sample_texts()
    assert len(texts) > 1000 and all(checks.repair_text(text) == text for text in texts)


def test_control_characters_go():
    assert checks.repair_text(" a\x00b\x07c\n") == "abc"


VALUES = ["nan", "NaN", "None", "null", "NA", "007", "1.0", "1e5", "True", "<script>", "-", "  x ", "=1+1", "空"]


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
    ("labels", "said"),
    [
        (["u"] * 6 + ["v"] * 4, "Only one label in the column 'label' has 5 rows or more; the most: “u” 6, “v” 4."),
        ([""] * 10, "No row that has content has a label: the label column 'label' is empty there."),
        ([str(i) for i in range(10)], "Each of the 10 rows has a label of its own in the column 'label'"),
        (list("uuuuvvvvww"), "None of the 3 labels in the column 'label' has 5 rows; the most: “u” 4, “v” 4, “w” 2."),
        (["u"] * 6 + ["U"] * 4, "Some look alike; a list with the columns from and to merges them (--merge-labels): “U” (4) ≈ “u” (6)."),
    ],
)  # fmt: skip
def test_fewer_than_two_labels_are_told_with_their_counts(labels, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        check(labelled(["a"] * 10, labels), ".")


@pytest.mark.parametrize("texts", [["!!", "…?", "🚀"] * 4, ["", "?"] * 6])
def test_a_text_column_without_words_is_named(texts):
    with pytest.raises(ValueError, match="No text in the column 'text' has a word in it; the first is “"):
        check(labelled(texts), ".")
    assert len(check(labelled(texts), ".", label="")[0]) == sum(map(bool, texts)), "new rows need none"


def test_a_table_without_content_says_of_each_part_why(tmp_path):
    (tmp_path / "b.wav").write_bytes(b"x")
    table = labelled([""] * 10).assign(p="media\\gone\x1b.png", s=["../x.wav"] + ["b.wav"] * 9)
    with pytest.raises(ValueError, match="None of the 10 rows has anything to learn from") as caught:
        check(table, tmp_path, image="p", audio="s")
    said = str(caught.value)
    assert "The text column 'text' is empty." in said and "right" not in said
    place = "paths start from the table's folder, and the first tried, in row 1, is "
    assert f"'p': no file at this path ({place}{tmp_path}/media\\gone" in said and "\x1b" not in said
    assert "'s': the path leads out of the table's folder" in said


def test_where_no_sound_is_found_the_folder_and_the_first_path_are_told(tmp_path):
    """Paths of another machine count as well; a broken file is there."""
    (tmp_path / "b.wav").write_bytes(b"x")

    def verdicts(*paths):
        table = labelled([f"text {i}" for i in range(12)]).assign(s=[*paths, *[""] * (12 - len(paths))])
        table.to_csv(tmp_path / "t.csv", index=False)
        return checks.Table(tmp_path / "t.csv", {"text": "text", "label": "label", "audio": "s"}).verdicts()[1:]

    facts = {"count": 2, "row": 1, "path": "/home/bob/a.wav", "folder": str(tmp_path)}
    assert verdicts("/home/bob/a.wav", "gone.wav") == [("no audio found", "serious", facts)]
    facts |= {"path": f"{tmp_path}/C:\\a.wav", "count": 1}
    assert verdicts("C:\\a.wav") == [("no audio found", "serious", facts)]
    assert "\x1b" not in verdicts("a\x1b.wav")[0][2]["path"]
    assert verdicts("gone.wav", "b.wav") == verdicts() == []


def test_a_backslash_is_a_slash_where_that_finds_the_file(tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for path in (folder / "sub/a.png", folder / "b\\c.png", tmp_path / "out.png"):
        save_picture(path)
    paths = ["sub\\a.png", " sub\\a.png", "b\\c.png", "..\\out.png", "sub\\none.png"]
    images, reasons = reasons_of_paths(paths, folder)
    assert images == [str(folder / "sub/a.png")] * 2 + [str(folder / "b\\c.png"), "", ""]
    assert reasons == [""] * 3 + ["OUTSIDE_FOLDER", "FILE_MISSING"]
    assert files_of(pd.DataFrame({"p": paths}), folder, image="p")[:3] == [folder / "sub/a.png"] * 2 + [
        folder / "b\\c.png"
    ]


def test_blank_labels_of_every_kind_are_empty():
    rows, rejected = check(labelled(["a"] * 14, ["u"] * 5 + ["v"] * 5 + ["", "   ", "\u3000", "\u00a0\n"]), ".")
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
        save_picture(place / "a.png")
    (folder / "linked").symlink_to(outside)
    (folder / "inside.png").symlink_to(folder / "a.png")
    paths = [
        "../table2/a.png", str(outside / "a.png"), "linked/a.png", "../table2/nothing.png",
        "sub/../../table2/a.png", "/etc/passwd", "../", "/", "..",
    ]  # fmt: skip
    assert reasons_of_paths(paths, folder) == ([""] * len(paths), ["OUTSIDE_FOLDER"] * len(paths))
    paths = ["a.png", "./a.png", " a.png ", str(folder / "a.png"), "x/../a.png", "inside.png", "../table/a.png"]
    inside = str((folder / "a.png").resolve())
    assert reasons_of_paths(paths, folder) == ([inside] * len(paths), [""] * len(paths))
    (tmp_path / "link").symlink_to(folder)  # the table's folder may itself be a link
    assert reasons_of_paths(["a.png"], tmp_path / "link") == ([inside], [""])


def test_paths_that_no_file_can_have_are_missing_files(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder.png").mkdir()
    paths = ["a\x00b", "字" * 300, "x/" * 3000, "loop", "loop/a", "folder.png", "none.png", "https://a/b.png"]
    assert reasons_of_paths(paths, tmp_path) == ([""] * len(paths), ["FILE_MISSING"] * len(paths))
    named = files_of(pd.DataFrame({"p": paths}), tmp_path, image="p", audio="")
    assert tmp_path / "none.png" in named
    assert [path.name for path in named if path.exists()] == ["folder.png"]  # asking raises nothing


def test_files_are_those_that_the_rows_have(tmp_path):
    save_picture(tmp_path / "a.png")
    soundfile.write(tmp_path / "b.wav", np.full(100, 0.1), 16_000)
    table = labelled(["x"] * 3).assign(p=["a.png", " a.png ", ""], s=["b.wav", "", "gone.wav"])
    named = files_of(table, tmp_path, image="p", audio="s")
    assert named == [tmp_path / name for name in ("a.png", "a.png", "b.wav", "gone.wav")]
    rows, _ = check(table, tmp_path, label="", image="p", audio="s")
    assert {path for path in [*rows["image"], *rows["audio"]] if path} == {str(p) for p in named if p.exists()}


def test_every_reason_that_is_given_has_a_meaning():
    """And none is explained that nothing gives. Lists of corrections have reasons of their own."""
    paths = [path for path in (PROJECT / "lib/fusebook").rglob("*.py") if path.stem != "corrections"]
    source = "".join(path.read_text("utf-8") for path in paths)
    given = set(re.findall(r'"((?:FIELD|LINE|LABEL|NO|TEXT|FILE|OUTSIDE|IMAGE|AUDIO)_[A-Z_]+)"(?!:)', source))
    assert given == set(tables.REASONS)


# --- Repairing: clean text stays, broken text is mended -----------------------------------------------


def test_clean_chinese_of_every_length_is_left_alone():
    """Short pieces, alone or in English, and words whose GBK bytes are valid UTF-8 by chance."""
    words = ["茅台", "联通", "路", "路路", "陆", "卢卡", "路路路路路路路路", "亲亲亲亲亲亲", "茅"]
    words += [text[start : start + n] for n in (1, 2, 3, 5, 8) for text in sample_texts() for start in (0, 5)]
    both = [made for word in words for made in (word.strip(), f"Price of {word.strip()} 500")]
    assert len(both) > 10_000
    assert [text for text in both if checks.repair_text(text) != text.strip()] == []


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
    assert checks.repair_text(text) == text


@pytest.mark.parametrize("encoding", ["latin-1", "gb18030", "gbk"])
def test_mojibake_with_punctuation_and_latin_letters_is_mended(encoding):
    texts = [part for text in sample_texts() for part in text.split("\u3000") if len(part) > 8]
    pairs = [(text.strip(), garbled) for text in texts if (garbled := _garbled(text, encoding))]
    assert len(pairs) > 50
    missed = [text for text, garbled in pairs if checks.repair_text(garbled) != text]
    assert len(missed) <= 0.01 * len(pairs), missed[:3]


@pytest.mark.parametrize("text", ["产量比去年增加", "门票收入的一半充", "有人从这里经过…"])
def test_mojibake_that_ends_in_a_blank_is_mended_whole(text):
    """The last byte, A0 or 85, is a blank or a line end in latin-1."""
    assert checks.repair_text("  " + text.encode().decode("latin-1") + "\n") == text


def test_only_mended_rows_are_marked():
    good = "今天天气很好，选举明天举行"
    texts = [good, good.encode().decode("latin-1"), " a\r\nb ", "x\x00y", "\tplain\n"]
    rows, _ = check(labelled(texts), ".", label="")
    assert rows["text"].tolist() == [good, good, "a\nb", "xy", "plain"]
    assert rows["text_repaired"].tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\x0b", "\x0c", "\n"])
def test_a_line_end_of_any_kind_parts_words(end):
    assert checks.repair_text(f"one{end}two{end}") == "one\ntwo"


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "ascii"])
def test_characters_lost_for_good_are_noticed(encoding):
    for text in sample_texts()[:200]:
        garbled = text.encode().decode(encoding, "replace")
        assert checks.has_lost_characters(garbled) == ("\ufffd" in garbled)
        assert not checks.has_lost_characters(text)


def test_lost_characters_misread_once_more_are_noticed():
    assert checks.has_lost_characters("今天" + "\ufffd\ufffd".encode().decode("gbk"))


# --- What the checks say, for the page ----------------------------------------------------------------


def test_reasons_are_counted_with_their_meaning():
    lines = [(1, "text", "TEXT_EMPTY", ""), (2, "text", "TEXT_EMPTY", ""), (2, "row", "NO_CONTENT", "")]
    table = table_of(pd.DataFrame())
    table.rejected = pd.DataFrame(lines, columns=tables.REJECTED_COLUMNS)
    made = table.reasons()
    assert made.to_numpy().tolist() == [
        ["row", "NO_CONTENT", 1, tables.REASONS["NO_CONTENT"]], ["text", "TEXT_EMPTY", 2, tables.REASONS["TEXT_EMPTY"]],
    ]  # fmt: skip
    table.rejected = pd.DataFrame(columns=tables.REJECTED_COLUMNS)
    none = table.reasons()
    assert len(none) == 0 and list(none) == list(made)


def test_repairs_by_hand():
    good = "今天天气很好，选举明天举行"
    texts = [good, good.encode().decode("latin-1"), "lost \ufffd", "x\x00y", *["plain"] * 6]
    rows, _ = check(labelled(texts, ["\ufeffA", " A ", *["A"] * 3, *["B"] * 5]), ".")
    assert table_of(rows).repairs() == {"mended": 2, "tidied": 2, "lost": 1}
    assert table_of(rows.head(0)).repairs() == {"mended": 0, "tidied": 0, "lost": 0}


ROWS = pd.DataFrame({
    "row": [3, 4, 5, 6, 7],
    "text": ["x", "", "x", "x", ""],
    "image": ["p", "p", "", "p", "p"],
    "audio": [""] * 5,
    "label": list("abbab"),
})  # fmt: skip


def test_shares_of_parts_by_hand():
    made = table_of(ROWS).part_shares()
    assert list(made) == ["text", "image", "audio"] and made.index.tolist() == ["a", "b"]
    np.testing.assert_allclose(made, [[1, 1, 0], [1 / 3, 2 / 3, 0]])


def test_examples_have_all_parts_that_the_table_has():
    """No row has a sound, so none needs one; no row of b has both other parts."""
    assert table_of(ROWS).examples()["row"].tolist() == [3]
    assert table_of(ROWS.assign(image="")).examples()["row"].tolist() == [3, 5]


GROUPED = pd.DataFrame({
    "row": [11, 12, 13, 14, 15, 16], "text": list("abcdef"), "label": ["x", "x", "y", "x", "y", "x"],
    "group": [0, 1, 0, 2, 1, 1],
})  # fmt: skip


def test_copies_stand_side_by_side():
    made = table_of(GROUPED).copies()
    assert made[["group", "row", "label"]].to_numpy().tolist() == [
        [0, 11, "x"], [0, 13, "y"], [1, 12, "x"], [1, 15, "y"], [1, 16, "x"],
    ]  # fmt: skip
    assert table_of(GROUPED).copies(most=2)["row"].tolist() == [11, 13]
    assert table_of(GROUPED.assign(group=range(6))).copies().empty


def test_copies_are_counted():
    counts = {"rows with a copy": 5, "groups": 2, "groups with two labels": 2}
    assert table_of(GROUPED).copy_counts()["count"].to_dict() == counts
    assert table_of(GROUPED.assign(label="x")).copy_counts()["count"].tolist() == [5, 2, 0]
    assert table_of(GROUPED.assign(group=range(6))).copy_counts()["count"].tolist() == [0, 0, 0]


def test_rows_that_a_picture_joins_are_counted(tmp_path):
    """Rows 1 and 2 say the same, row 3 shows what row 2 does, rows 4 and 5 say and show the same, 6 and 7 are alone."""
    rng = np.random.default_rng(0)
    for name in "abcd":
        noise = Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8))
        noise.resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / f"{name}.png")
    texts = ["the goal of the day"] * 2 + ["banks and shares"] + ["rain in the north"] * 2 + ["a film", "the cup"]
    labels = ["u"] * 7
    lines = pd.DataFrame({"t": texts, "p": ["", *(f"{name}.png" for name in "aabb"), "c.png", "d.png"], "l": labels})
    more = pd.DataFrame(
        {"t": [f"other {word}" for word in ("ab", "cdef", "ghijk", "lmnopq", "rst")], "p": "", "l": "v"}
    )
    pd.concat([lines, more]).to_csv(tmp_path / "t.csv", index=False)
    table = checks.Table(tmp_path / "t.csv", {"text": "t", "image": "p", "label": "l"})
    table.group_texts(0.8)
    assert table.copy_counts()["count"].tolist() == [4, 2, 0]
    table.group_images()
    counts = table.copy_counts()["count"]
    assert counts["rows joined by a picture"] == 3 and counts["rows with a copy"] == 5
    assert counts.equals((table.group_images() or table).copy_counts()["count"]), "again changes nothing"
    table.rows["image"] = ""
    table.group_images()
    assert table.copy_counts()["count"].tolist() == [4, 2, 0, 0]


def test_rows_that_a_sound_joins_are_counted(tmp_path):
    """Rows 1 and 2 say the same; row 3 has the sound of row 2, softer; rows 5 and 6 have one sound and one picture."""
    rng = np.random.default_rng(0)
    for name, height in (("a", 0.5), ("b", 0.1), ("c", 0.1)):
        samples = np.random.default_rng("abc".index(name) // 2).normal(size=1600) * height
        soundfile.write(tmp_path / f"{name}.wav", samples.clip(-1, 1), 8000, subtype="FLOAT")
    Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)).save(tmp_path / "p.png")
    texts = ["the goal of the day"] * 2 + ["banks and shares", "rain in the north", "a film", "the cup"]
    columns = {"t": texts, "s": ["", "a.wav", "b.wav", "", "c.wav", "c.wav"], "p": [""] * 4 + ["p.png"] * 2}
    lines = pd.DataFrame(columns | {"l": "u"})
    more = pd.DataFrame({"t": [f"other {word}" for word in ("ab", "cdef", "ghijk", "lmnopq", "rst")], "l": "v"})
    pd.concat([lines, more]).to_csv(tmp_path / "t.csv", index=False)
    table = checks.Table(tmp_path / "t.csv", {"text": "t", "image": "p", "audio": "s", "label": "l"})
    table.group_texts(0.8)
    assert table.joined_verdicts() == []
    for _ in range(2):  # again changes nothing
        table.group_images()
        table.group_sounds()
        groups = table.rows["group"].tolist()
        assert groups[0] == groups[1] == groups[2] and groups[4] == groups[5] and len(set(groups)) == 8
        assert table.copy_counts()["count"].tolist() == [5, 2, 0, 2, 3]
    assert table.joined_verdicts() == [("copies joined", "note", {"pictures": 2, "sounds": 3})]


def test_a_table_counts_what_was_refused_and_writes_what_goes_on(tmp_path):
    lines = ["t,p,l", *(f"text {i},,{'ab'[i % 2]}" for i in range(10)), "too,many,fields,here", ",,a", "x,gone.png,b"]
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    columns = {"text": "t", "label": "l", "image": "p", "audio": ""}
    table, run = checks.Table(tmp_path / "t.csv", columns), Run(tmp_path / "run")
    assert table.counts() == {"rows": 11, "lines": 13, "whole": 2, "parts": 2}
    place = {"row": 13, "path": str(tmp_path / "gone.png"), "folder": str(tmp_path)}
    missing = ("no image found", "serious", {"count": 1} | place)
    assert table.verdicts() == [("rows", "serious", table.counts()), missing], "2 of 13 rows are more than a tenth"
    table.save(run)
    assert run.read("rows.parquet").equals(table.rows)
    facts = {"table": str(tmp_path / "t.csv"), "sha256": runs.fingerprint(tmp_path / "t.csv")}
    saved = run.read("table.json")
    assert saved.pop("reading")["encoding"] == "utf-8"
    assert saved == facts | {"columns": columns, "rows": 12}
    kept = pd.read_csv(run.path("rejected.csv"), keep_default_na=False)
    assert kept["reason"].tolist() == ["FIELD_COUNT", "TEXT_EMPTY", "FILE_MISSING", "NO_CONTENT"]


# --- Labels that look alike ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("mo\u200bney", "money"),
        ("money\x00", "money"),
        ("sp\u00adort\ufeff", "sport"),
        ("\u202eevil\u2066", "evil"),
        ("cafe\u0301", "caf\u00e9"),
        ("two\r\nlines", "two lines"),
        ("a\u200db", "ab"),
        *[(name, name) for name in (
            "H₂O", "①", "Ａ", "sport\u00a0news", "می\u200cخواهم", "क्\u200dष", "👩\u200d👩\u200d👧", "❤\ufe0f", "👩🏽\u200d💻",
            "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "=1+1", "NA", "<b>",
        )],
    ],
)  # fmt: skip
def test_names_of_labels_stay_but_for_what_nobody_sees(given, kept):
    assert labels.tidy(given) == kept == labels.tidy(kept)


def test_twins_are_labels_that_differ_by_case_width_form_or_blanks():
    names = (
        ["money"] * 3
        + ["Money"] * 5
        + ["ｍｏｎｅｙ"] * 2
        + ["H₂O", "H2O", "H2O"]
        + ["sport\u00a0news"]
        + ["sport news"] * 2
    )
    apart = ["01", "1", "moneys", "café", "cafe", "+1", "-1", "🇨🇳", "🇫🇷", "a-b", "ab"]
    flags = [f"🏴{''.join(chr(0xE0000 + ord(letter)) for letter in name)}\U000e007f" for name in ("gbeng", "gbsct")]
    made = labels.twins(names + apart + flags)
    assert made.to_numpy().tolist() == [
        ["money", "Money", 3, 5],
        ["ｍｏｎｅｙ", "Money", 2, 5],
        ["H₂O", "H2O", 1, 2],
        ["sport\u00a0news", "sport news", 1, 2],
    ]
    said = labels.pairs_text(made, most=1), labels.pairs_text(made.tail(1))
    assert said == ("“money” (3) ≈ “Money” (5); …", "“sport⟨U+00A0⟩news” (1) ≈ “sport news” (2)")
    assert labels.pairs_text(labels.twins(["x" * 999, "X" * 999])).count("x") == 59, "long names are cut"
    assert labels.twins(["a", "b"]).empty and labels.twins([]).empty


def twin_table(folder, merge_labels=""):
    lines = [f"text {i},{name}" for i, name in enumerate(["Co"] * 6 + ["CO"] * 5 + ["co"] * 3 + [" Fe"] * 5)]
    (folder / "t.csv").write_text("\n".join(["t,l", *lines]), encoding="utf-8")
    return checks.Table(folder / "t.csv", {"text": "t", "label": "l"}, merge_labels=merge_labels)


def test_twins_are_found_and_merged_by_the_list_that_the_run_has(tmp_path):
    """Rows of a label that is too rare alone are saved by the merge; a line edited by a person is kept."""
    table, run = twin_table(tmp_path), Run(tmp_path / "run")
    path = run.path("label_twins.csv")
    assert table.rows["label"].value_counts().to_dict() == {"Co": 6, "CO": 5, "Fe": 5}
    facts = {"count": 2, "pairs": "“CO” (5) ≈ “Co” (6); “co” (3) ≈ “Co” (6)", "file": str(path)}
    assert table.label_verdicts(run) == [("label twins", "look", facts)]
    table.save(run)
    assert pd.read_csv(path).to_numpy().tolist() == [["CO", "Co"], ["co", "Co"]]
    merged = twin_table(tmp_path, path)
    assert merged.rows["label"].value_counts().to_dict() == {"Co": 14, "Fe": 5} and merged.repairs()["tidied"] == 5
    assert merged.label_verdicts(run) == [("labels merged", "note", {"rows": 8, "labels": 2, "unknown": 0})]
    assert merged.files()[-1] == path and merged.rejected.empty
    path.write_text("from,to\nco,Co\nCO,CO\nzinc,Zn\n", encoding="utf-8")  # CO is another thing
    edited = twin_table(tmp_path, path)
    edited.save(run)
    assert edited.rows["label"].value_counts().to_dict() == {"Co": 9, "CO": 5, "Fe": 5}
    assert edited.label_verdicts(run) == [("labels merged", "look", {"rows": 3, "labels": 1, "unknown": 1})]
    path.write_text("from,to\nco,Co\n", encoding="utf-8")
    assert [line[:2] for line in twin_table(tmp_path, path).label_verdicts(run)][1] == ("label twins left", "note")
    assert "zinc" not in path.read_text() and twin_table(tmp_path, path).save(run) is None and path.exists()


def test_a_table_without_twins_writes_no_list(tmp_path):
    (tmp_path / "t.csv").write_text(
        "\n".join(["t,l", *(f"text {i},{'ab'[i % 2]}" for i in range(10))]), encoding="utf-8"
    )
    table, run = checks.Table(tmp_path / "t.csv", {"text": "t", "label": "l"}), Run(tmp_path / "run")
    run.write("label_twins.csv", pd.DataFrame({"from": ["x"], "to": ["y"]}))
    table.save(run)
    assert table.label_verdicts(run) == [] and not run.path("label_twins.csv").exists()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("a,b\nb,a", "goes in a circle"),
        ("a,b\na,c", "'a' is to become both 'b' and 'c'"),
        ("a,", "row 1 has no name under to"),
    ],
)
def test_a_list_of_merges_that_cannot_be_meant_is_refused(tmp_path, lines, said):
    (tmp_path / "list.csv").write_text(f"from,to\n{lines}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        labels.read_merges(tmp_path / "list.csv")


def test_lists_of_merges_lead_on_and_need_their_columns(tmp_path):
    (tmp_path / "list.csv").write_text("from,to,note\na,b,\nb, c ,x\n", encoding="utf-8")
    assert labels.read_merges(tmp_path / "list.csv") == {"a": "c", "b": "c"}
    (tmp_path / "list.csv").write_text("old,to\na,b\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no column from; expected from and to"):
        labels.read_merges(tmp_path / "list.csv")
