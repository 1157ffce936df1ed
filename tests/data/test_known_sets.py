"""The well-known sets: each reader against pandas, scikit-learn or NumPy on the real files, and hand-made broken ones."""

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import PROJECT
from PIL import Image
from sklearn.datasets import load_files

from fusebook.data import fetch, known_sets, tables

DATA = Path(os.environ.get("FUSEBOOK_DATA", PROJECT.parent / "shared" / "data"))
FACTS = known_sets.read_facts()
# What the README of the copies says of them, by split ("all" where the set has none).
COPIES = {
    "thucnews-titles": {"train": 33_590, "validation": 10_000, "test": 10_000},
    "bbc": {"all": 2_225},
    "20newsgroups": {"train": 11_314, "test": 7_532},
    "ag_news": {"train": 0, "test": 7_600},
    "chnsenticorp-hotel": {"all": 5_322 + 2_444},
    "waimai_10k": {"all": 4_000 + 7_987},
    "fsdd": {"train": 2_700, "test": 300},
    "mnist": {"train": 0, "test": 10_000},
}
PARTIAL = {"thucnews-titles", "ag_news", "mnist"}


def real_files(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is not there")
    return fetch.read_files(DATA / name, FACTS[name]["member"])


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A function from a set's name to its files, its table and the table as the notebooks read it; fetched once."""
    made = {}

    def get(name):
        if name not in made:
            files = real_files(name)
            result = fetch.fetch_dataset(name, FACTS[name], tmp_path_factory.getbasetemp() / "raw", copy=DATA / name)
            made[name] = files, known_sets.read_table(name, files, FACTS[name]["labels"]), result
        return made[name]

    return get


# --- The facts ----------------------------------------------------------------------------------------


def test_the_facts_of_each_set_are_whole():
    assert set(FACTS) == set(COPIES)
    for name, facts in FACTS.items():
        keys = {"title", "columns", "source", "terms", "citation", "member", "labels", "addresses", "parts"}
        assert set(facts) == keys, name
        assert re.search(r"\b(19|20)\d\d\b", facts["citation"]), name
        assert all(re.match(r"https?://\S+$", address) for address in facts["addresses"].values())
        assert len(set(facts["labels"])) == len(facts["labels"]) > 1
        for part in facts["parts"]:
            assert part["rows"] and part["files"]
            assert all(re.fullmatch(r"[0-9a-f]{64}|", known) for known in part["files"].values())


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        # As published: the papers, the sets' own pages, scikit-learn's documentation.
        ("thucnews-titles", 200_000), ("bbc", 2_225), ("20newsgroups", 18_846), ("ag_news", 127_600),
        ("chnsenticorp-hotel", 7_766), ("waimai_10k", 11_987), ("fsdd", 3_000), ("mnist", 70_000),
    ],
)  # fmt: skip
def test_expected_rows_add_up_to_the_published_number(name, rows):
    assert known_sets.count_rows(FACTS[name], pd.DataFrame({"label": []}))["expected"].sum() == rows


def test_the_readme_of_the_data_says_the_same():
    lines = (PROJECT / "data" / "README.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.count("|") == 6][2:]
    assert [row[0] for row in rows] == list(FACTS)
    for name, total, columns, terms, _ in rows:
        expected = known_sets.count_rows(FACTS[name], pd.DataFrame({"label": []}))
        assert total == f"{expected['expected'].sum():,}"
        assert columns.split(" ")[0].strip(",") == next(iter(FACTS[name]["columns"].values()))
        assert ("split" in columns) == ("all" not in set(expected["split"]))
        assert terms.split(";")[0] == FACTS[name]["terms"].split(";")[0]


# --- The copies on disk -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COPIES)
def test_copy_has_the_counts_of_its_readme(name, real):
    counts = real(name)[2]["counts"]
    assert counts.groupby("split")["rows"].sum().to_dict() == COPIES[name]
    missing = counts["rows"] < counts["expected"]
    assert missing.any() == (name in PARTIAL)
    assert (counts["rows"] <= counts["expected"]).all()
    notes = real(name)[2]["notes"]
    assert len(notes) == (name in PARTIAL)
    assert all("train: " in note and "published for the whole set" in note for note in notes)


@pytest.mark.parametrize("name", COPIES)
def test_the_table_is_read_back_as_it_was(name, real):
    """Carriage returns, quotes, tabs, line ends inside texts, empty texts: all come back through tables.read_table."""
    _, table, result = real(name)
    read, rejected = tables.read_table(result["table"])
    assert rejected.empty
    assert list(read.columns) == list(table.columns)
    assert (read.to_numpy() == table.to_numpy()).all()


@pytest.mark.parametrize("name", COPIES)
def test_fetching_again_reads_nothing_anew(name, real):
    first = real(name)[2]
    before = first["table"].stat().st_mtime_ns
    again = fetch.fetch_dataset(name, FACTS[name], first["table"].parents[1], copy=DATA / name)
    assert (first["fetched"], again["fetched"]) == (True, False)
    assert again["table"].stat().st_mtime_ns == before
    assert again["notes"] == first["notes"]
    pd.testing.assert_frame_equal(again["counts"], first["counts"])


def test_titles_are_those_that_pandas_reads(real):
    _, table, _ = real("thucnews-titles")
    classes = (DATA / "thucnews-titles" / "class.txt").read_text().split()
    for split, file in (("train", "train.txt"), ("validation", "dev.txt"), ("test", "test.txt")):
        want = pd.read_csv(
            DATA / "thucnews-titles" / file,
            sep="\t", quoting=3, header=None, names=["text", "label"], keep_default_na=False,
        )  # fmt: skip
        got = table[table["split"] == split]
        assert got["text"].tolist() == want["text"].tolist()
        assert got["label"].tolist() == [classes[i] for i in want["label"]]
    train = set(table.loc[table["split"] == "train", "text"])
    assert sum(text in train for text in table.loc[table["split"] == "test", "text"]) == 36  # leaks stay


def test_ag_news_is_what_pandas_reads(real):
    _, table, _ = real("ag_news")
    want = pd.read_csv(DATA / "ag_news" / "test.csv", header=None, keep_default_na=False)
    classes = (DATA / "ag_news" / "classes.txt").read_text().split("\n")
    assert table["text"].tolist() == (want[1] + " " + want[2]).tolist()
    assert table["label"].tolist() == [classes[i - 1] for i in want[0]]
    assert table["text"].str.contains("\\", regex=False).any()  # faults stay
    assert table["text"].str.contains("#39;").any()


@pytest.mark.parametrize(("name", "empty"), [("chnsenticorp-hotel", 1), ("waimai_10k", 0)])
def test_reviews_are_what_pandas_reads(name, empty, real):
    _, table, _ = real(name)
    want = pd.read_csv(next((DATA / name).glob("*.csv")), keep_default_na=False)
    assert table["text"].tolist() == want["review"].tolist()
    assert table["label"].tolist() == want["label"].map({1: "positive", 0: "negative"}).tolist()
    assert (table["text"] == "").sum() == empty


@pytest.mark.parametrize(
    ("name", "folders", "odd"),
    [("bbc", {"bbc": None}, 1), ("20newsgroups", {"20news-bydate-train": "train", "20news-bydate-test": "test"}, 73)],
)
def test_articles_are_those_that_scikit_learn_reads(name, folders, odd, real, tmp_path):
    """Text by text; those that are not UTF-8 are the number that the README counts, and no byte of them is lost."""
    _, table, _ = real(name)
    with tarfile.open(next((DATA / name).glob("*.tar.*"))) as archive:
        archive.extractall(tmp_path, filter="data")
    not_utf8 = 0
    for folder, split in folders.items():
        loaded = load_files(tmp_path / folder, shuffle=False)
        want = {
            "/".join(Path(path).parts[-2:]): (data, loaded.target_names[target])
            for path, data, target in zip(loaded.filenames, loaded.data, loaded.target, strict=True)
        }
        got = table[table["split"] == split] if split else table
        assert len(got) == len(want)
        for text, label, file in got[["text", "label", "file"]].itertuples(index=False):
            data, target = want["/".join(file.split("/")[-2:])]
            assert label == target
            if text.encode("utf-8") != data:
                assert text.encode("latin-1") == data
                not_utf8 += 1
    assert not_utf8 == odd


def test_recordings_are_the_bytes_of_the_archive(real):
    _, table, result = real("fsdd")
    folder = result["table"].parent
    with tarfile.open(next((DATA / "fsdd").glob("*.tar.gz"))) as archive:
        for info in archive:
            if info.isfile():
                assert (folder / info.name).read_bytes() == archive.extractfile(info).read()
    assert table["speaker"].nunique() == 6
    assert table.groupby(["label", "speaker"]).size().eq(50).all()
    assert (table["split"] == "test").tolist() == table["index"].astype(int).lt(5).tolist()
    assert table["audio"].tolist() == [
        f"recordings/{row.label}_{row.speaker}_{row.index}.wav" for row in table.itertuples(index=False)
    ]
    assert soundfile.info(folder / table["audio"][0]).samplerate == 8000


def test_pictures_are_the_pixels_of_the_file(real):
    _, table, result = real("mnist")
    raw = gzip.decompress((DATA / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    digits = gzip.decompress((DATA / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(raw[16:], np.uint8).reshape(-1, 28, 28)
    assert table["label"].tolist() == [str(digit) for digit in digits[8:]]
    assert table["index"].tolist() == [str(i) for i in range(10_000)]
    for i, path in enumerate(table["image"]):
        with Image.open(result["table"].parent / path) as picture:
            assert picture.mode == "L"
            np.testing.assert_array_equal(np.asarray(picture), pixels[i])


@pytest.mark.parametrize(("name", "folder"), [("bbc", "bbc"), ("fsdd", ".")])
def test_checksums_are_what_sha256sum_prints(name, folder, tmp_path):
    real_files(name)
    with tarfile.open(next((DATA / name).glob("*.tar.*"))) as archive:
        archive.extractall(tmp_path, filter="data")
    for part in FACTS[name]["parts"]:
        for group, known in part["files"].items():
            command = f"find {group} -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
            made = subprocess.run(
                command, shell=True, cwd=tmp_path / folder, capture_output=True, text=True, check=True
            )
            assert made.stdout.split()[0] == known


@pytest.mark.parametrize("name", COPIES)
def test_a_changed_byte_is_found(name):
    """One byte of one file: the counts are the same, the checksum is not."""
    files = real_files(name)
    table = known_sets.read_table(name, files, FACTS[name]["labels"])
    counts = known_sets.count_rows(FACTS[name], table)
    good = known_sets.compare(FACTS[name], files, counts)
    known = [
        g for part in FACTS[name]["parts"] for g, sha in part["files"].items() if sha and known_sets.checksum(files, g)
    ]
    for group in known:
        path = next(path for path in files if path == group or path.startswith(f"{group}/"))
        changed = files | {path: files[path][:-1] + bytes([files[path][-1] ^ 1])}
        found = dict(set(known_sets.compare(FACTS[name], changed, counts)) - set(good))
        assert list(found) == ["changed"]
        assert f"sha256 of {group} is " in found["changed"]


# --- Broken files, by hand ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("thucnews-titles", {"dev.txt": "好\t3\n坏 3\n".encode()}, r"line 2 of dev.txt is '坏 3'"),
        ("thucnews-titles", {"dev.txt": "好\t10\n".encode()}, r"line 1 of dev.txt is '10'; expected one of 0 \(finance\)"),
        ("thucnews-titles", {"dev.txt": "好\t-1\n".encode()}, r"'-1'"),
        ("thucnews-titles", {"dev.txt": "好\t²\n".encode()}, r"is '²'; expected one of"),
        ("thucnews-titles", {"dev.txt": "好\t３\n".encode()}, r"is '３'; expected one of"),
        ("thucnews-titles", {"dev.txt": "好\t3\n".encode("gb18030")}, r"dev.txt is not UTF-8"),
        ("thucnews-titles", {"dev.txt": b""}, r"line 1 of dev.txt is ''"),
        ("ag_news", {"test.csv": b'"0","a","b"\n'}, r"row 1 of test.csv is '0'; expected one of 1 \(World\)"),
        ("ag_news", {"test.csv": b'"1","a","b"\n"2","a"\n'}, r"Row 2 of test.csv has 2 fields; expected 3"),
        ("waimai_10k", {"waimai_10k.csv": b"label,review\n2,a\n"}, r"row 2 of waimai_10k.csv is '2'"),
        ("mnist", {"t10k-images-idx3-ubyte": b"\0\0\x08\x03" + bytes(12)}, r"t10k-labels-idx1-ubyte is missing"),
        ("mnist", {"t10k-labels-idx1-ubyte": b"\0\0\x08\x01\0\0\0\x02\x05"}, r"no whole file of MNIST's format"),
        ("mnist", {"t10k-labels-idx1-ubyte": b"\0\0\x08"}, r"no whole file of MNIST's format"),
        ("mnist", {"t10k-labels-idx1-ubyte": b"\0\0\x08\x01\0\0"}, r"no whole file of MNIST's format"),
        ("mnist", {"t10k-labels-idx1-ubyte": b"<html>"}, r"no whole file of MNIST's format"),
        (
            "mnist",
            {"t10k-labels-idx1-ubyte": b"\0\0\x08\x01\0\0\0\x01\x05", "t10k-images-idx3-ubyte": b"\0\0\x08\x03" + bytes(12)},
            r"t10k has another number of pictures than of labels",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_not_the_sets_own_is_told(name, files, message):
    with pytest.raises(ValueError, match=message):
        known_sets.read_table(name, files, FACTS[name]["labels"])


def test_titles_by_hand():
    content = '\ufeff"好" 坏\t\t3\r\n\u2028x\t0\n'.encode()
    table = known_sets.read_table("thucnews-titles", {"train.txt": content}, FACTS["thucnews-titles"]["labels"])
    assert table.to_numpy().tolist() == [['"好" 坏\t', "education", "train"], ["\u2028x", "finance", "train"]]


# --- Comparing ----------------------------------------------------------------------------------------

TWO = {
    "labels": ["a", "b"],
    "parts": [{"files": {"train": "0" * 64}, "rows": {"train": [2, 1]}}, {"files": {"test": ""}, "rows": {"test": 1}}],
}


@pytest.mark.parametrize(
    ("train", "test", "kinds"),
    [
        ("aa", "ab", ["part", "unchecked"]),
        ("aab", "a", ["changed", "part"]),
        ("", "", ["part", "part"]),
        ("aabb", "ab", ["changed", "unchecked"]),
        ("bb", "ab", ["changed", "unchecked"]),  # too few in all, but too many of one label
        ("aac", "ab", ["changed", "unchecked"]),
        ("aab", "abb", ["changed", "changed"]),
    ],
)
def test_kinds_of_difference_by_hand(train, test, kinds):
    table = pd.DataFrame({"label": list(train + test), "split": ["train"] * len(train) + ["test"] * len(test)})
    counts = known_sets.count_rows(TWO, table)
    assert counts["rows"].sum() == len(table)
    found = known_sets.compare(TWO, {"train": b"1", "test": b"2"}, counts)
    assert [kind for kind, _ in found] == kinds
    assert found[0][1].startswith(f"train: {len(train)} of 3 rows")


def test_a_checksum_depends_on_no_order_and_on_no_other_folder():
    files = {"b/2": b"x", "b/10": b"y", "bb/1": b"z", "b.txt": b"x"}
    lines = [f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in ("b/10", "b/2")]
    assert known_sets.checksum(files, "b") == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert known_sets.checksum(dict(reversed(files.items())), "b") == known_sets.checksum(files, "b")
    assert known_sets.checksum(files, "b.txt") == hashlib.sha256(b"x").hexdigest()
    assert known_sets.checksum(files, "c") == ""


def test_counts_by_hand():
    table = pd.DataFrame({"label": ["b", "c", "b"], "split": ["test", "train", "test"]})
    assert known_sets.count_rows(TWO, table).to_numpy().tolist() == [
        ["train", "a", 0, 2], ["train", "b", 0, 1], ["test", "a", 0, 1], ["test", "b", 2, 1], ["train", "c", 1, 0],
    ]  # fmt: skip


def test_sets_without_pictures_or_sounds_have_no_media():
    assert list(known_sets.media("bbc", {"sport/1.txt": b"x"})) == []


def test_pictures_by_hand():
    images = b"\0\0\x08\x03" + np.array([1, 2, 2], ">i4").tobytes() + bytes([0, 50, 100, 255])
    files = {"train-images-idx3-ubyte": images, "train-labels-idx1-ubyte": b"\0\0\x08\x01\0\0\0\x01\x07"}
    ((path, png),) = known_sets.media("mnist", files)
    assert np.asarray(Image.open(io.BytesIO(png))).tolist() == [[0, 50], [100, 255]]
    table = known_sets.read_table("mnist", files, FACTS["mnist"]["labels"])
    assert json.loads(table.to_json(orient="records")) == [
        {"image": path, "label": "7", "split": "train", "index": "0"}
    ]
