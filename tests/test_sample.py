"""The sample: the texts are varied and fairly hard, every planted fault shows, the files can be made again."""

import csv
import importlib
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import rjieba
import soundfile
from PIL import Image
from scipy.stats import binomtest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from fusebook.data import files
from fusebook.encoders import audio
from fusebook.encoders.image import ImageEncoder

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample"
sys.path.insert(0, str(SAMPLE))
make_sample = importlib.import_module("make_sample")

FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)
MARKS = "，。、；：？！“”‘’《》（）—…·"
COUNTS = {
    "wrong_label": 30,
    "exact_duplicate": 12,
    "near_duplicate": 12,
    "empty_text": 6,
    "broken_image": 6,
    "broken_audio": 6,
    "mojibake": 6,
    "missing_file": 4,
    "odd_label": 2,
}


def read_csv(name):
    with (SAMPLE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def items():
    return make_sample.read_items()


@pytest.fixture(scope="module")
def texts(items):
    return [make_sample.join_text(item) for item in items]


@pytest.fixture(scope="module")
def classes(items):
    return np.array([item["label"] for item in items])


@pytest.fixture(scope="module")
def table():
    return {row["id"]: row for row in read_csv("news.csv")}


@pytest.fixture(scope="module")
def planted():
    return [tuple(row.values()) for row in read_csv("planted.csv")]


@pytest.fixture(scope="module")
def rows(items):
    """The table's rows with their true classes, by id."""
    return {row.id: row for row in make_sample.make_table(items)[0]}


def files_with_class(part, rows, planted):
    """Paths of the part's files that can be read, and the place of each row's true class."""
    spoilt = {name for name, kind, _ in planted if kind in {f"broken_{part}", "missing_file"}}
    good = [row for row in rows.values() if row.has[part] and row.id not in spoilt]
    names = list(make_sample.CLASSES.values())
    return [str(SAMPLE / row.path(part)) for row in good], np.array([names.index(row.truth) for row in good])


def of_kind(planted, kind):
    return [(name, detail) for name, found, detail in planted if found == kind]


def check_accuracy(name, hits, lowest, highest, *, within=0.01):
    """Print the share of hits with its 95 % interval (Wilson, 1927); hold it against the bar and the datasheet."""
    interval = binomtest(int(np.sum(hits)), len(hits)).proportion_ci(method="wilson")
    found = [np.mean(hits), interval.low, interval.high]
    print(f"{name}: {found[0]:.1%}, {found[1]:.1%} to {found[2]:.1%}, {len(hits)} items")
    sheet = (SAMPLE / "README.md").read_text(encoding="utf-8")
    stated = re.search(rf"^\| {name} \|.*\| ([\d.]+) % \| ([\d.]+) to ([\d.]+) % \|", sheet, re.M)
    assert np.array(stated.groups(), float) / 100 == pytest.approx(found, abs=within)
    assert lowest <= found[0] <= highest


# --- The texts ----------------------------------------------------------------------------------------


def test_every_class_has_200_items_of_which_20_are_in_english(items, classes):
    english = [item["label"] for item in items if item.get("title_en") and item.get("body_en")]
    assert Counter(classes) == dict.fromkeys(make_sample.CLASSES.values(), 200)
    assert Counter(english) == dict.fromkeys(make_sample.CLASSES.values(), 20)


def test_one_item_in_six_lies_between_two_classes(items):
    between = [item for item in items if item["between"]]
    assert abs(len(between) / len(items) - 1 / 6) < 0.02
    assert all(item["between"] in make_sample.CLASSES.values() for item in between)
    assert all(item["between"] != item["label"] for item in between)


def test_texts_are_short_news_items(texts):
    lengths = [len(text) for text in texts]
    assert min(lengths) >= 40
    assert max(lengths) <= 161


def test_texts_use_many_words(texts):
    words = {word for text in texts for word in rjieba.cut(text) if re.search(r"\w", word)}
    assert len(words) >= 7000


def test_no_phrase_of_12_characters_is_a_template(texts):
    users = defaultdict(set)
    for number, text in enumerate(texts):
        for start in range(len(text) - 11):
            users[text[start : start + 12]].add(number)
    assert max(len(numbers) for numbers in users.values()) <= 3


def test_a_linear_model_finds_the_classes_neither_easy_nor_hopeless(texts, classes):
    words = TfidfVectorizer(analyzer=rjieba.cut)
    characters = TfidfVectorizer(analyzer="char", ngram_range=(1, 3))
    model = make_pipeline(make_union(words, characters), LinearSVC())
    check_accuracy("Text", cross_val_predict(model, texts, classes, cv=FOLDS) == classes, 0.80, 0.95)


def test_length_and_punctuation_do_not_give_the_class_away(texts, classes):
    shape = np.array([[len(text), *(text.count(mark) for mark in MARKS)] for text in texts])
    model = RandomForestClassifier(300, random_state=0)
    check_accuracy("Shape of the text", cross_val_predict(model, shape, classes, cv=FOLDS) == classes, 0, 0.35)


# --- The tables ---------------------------------------------------------------------------------------


def test_the_table_holds_what_the_program_makes(table, rows):
    assert list(table) == [f"n{number:04d}" for number in range(1, 1025)]
    for name, row in rows.items():
        written = [name, row.text, row.path("image"), row.path("audio"), row.label]
        assert table[name] == dict(zip(("id", "text", "image", "audio", "label"), written, strict=True))


def test_planted_faults_are_those_of_a_fresh_call(items, planted):
    assert planted == make_sample.make_table(items)[1]
    assert Counter(kind for _, kind, _ in planted) == COUNTS
    assert len({name for name, _, _ in planted}) == len(planted), "a row has two faults"


def test_parts_are_missing_as_often_as_stated(rows):
    for part, share in make_sample.SHARES.items():
        having = [row for row in rows.values() if row.has[part]]
        assert abs(len(having) / len(rows) - share) < 0.03
        assert abs(np.mean([row.generic[part] for row in having]) - make_sample.GENERIC_SHARE) < 0.03


def test_rows_without_a_fault_are_clean(table, planted, rows, texts, classes):
    source = dict(zip(texts, classes, strict=True))
    faulty = {name for name, _, _ in planted}
    for name in set(table) - faulty:
        assert source[table[name]["text"]] == table[name]["label"] == rows[name].truth


def test_every_file_that_has_no_fault_can_be_decoded(table, planted):
    broken = {name for name, kind, _ in planted if kind in {"broken_image", "broken_audio", "missing_file"}}
    for row in [*table.values(), *read_csv("new_items.csv")]:
        if row["image"] and row["id"] not in broken:
            with Image.open(SAMPLE / row["image"]) as image:
                assert image.convert("RGB").size == (96, 96)
        if row["audio"] and row["id"] not in broken:
            samples, _ = soundfile.read(SAMPLE / row["audio"])
            assert len(samples)
            assert np.isfinite(samples).all()


def test_folders_hold_no_file_that_no_row_names(table):
    named = {row[part] for row in [*table.values(), *read_csv("new_items.csv")] for part in ("image", "audio")}
    found = {str(path.relative_to(SAMPLE).as_posix()) for path in SAMPLE.glob("[ia]*/*")}
    assert found <= named


def test_english_and_new_items(items, table, rows):
    english = read_csv("news_en.csv")
    assert len(english) == 100
    bodies = {make_sample.join_text(item): item.get("body_en") for item in items}
    for row in english:
        assert row["label"] == rows[row["id"]].truth
        source = bodies.get(table[row["id"]]["text"])
        assert source is None or row["text"].endswith(source)
    written = make_sample.read_lines(SAMPLE / "source" / "new_items.jsonl")
    names = [f"new{number:02d}" for number in range(1, len(written) + 1)]
    new, labels = read_csv("new_items.csv"), read_csv("new_items_labels.csv")
    assert [row["id"] for row in new] == [row["id"] for row in labels] == names
    assert f"| {len(names)} further items" in (SAMPLE / "README.md").read_text(encoding="utf-8")
    assert set(new[0]) == {"id", "text", "image", "audio"}
    assert {row["label"] for row in labels} == set(make_sample.CLASSES.values())
    assert not {row["text"] for row in new} & set(bodies), "a new item is in the table already"


# --- The planted faults -------------------------------------------------------------------------------


def test_wrong_labels_are_wrong_and_half_are_near_misses(table, planted, texts, items):
    source = dict(zip(texts, items, strict=True))
    near = 0
    for name, truth in of_kind(planted, "wrong_label"):
        item = source[table[name]["text"]]
        assert item["label"] == truth != table[name]["label"]
        assert table[name]["label"] in make_sample.CLASSES.values()
        near += item["between"] == table[name]["label"]
    assert near == 15


def test_duplicates_are_duplicates(table, planted):
    for name, original in of_kind(planted, "exact_duplicate"):
        assert table[name]["text"] == table[original]["text"]
        assert table[name]["label"] == table[original]["label"]
    for name, original in of_kind(planted, "near_duplicate"):
        assert table[name]["text"] != table[original]["text"]
        assert make_sample.jaccard(table[name]["text"], table[original]["text"]) >= 0.85
        assert table[name]["label"] == table[original]["label"]


def test_no_duplicates_but_the_planted_ones(table, planted):
    copies = {name for name, kind, _ in planted if kind in {"exact_duplicate", "near_duplicate", "empty_text"}}
    others = [row["text"] for name, row in table.items() if name not in copies]
    counter = CountVectorizer(analyzer=make_sample.grams, binary=True, dtype=np.int64)
    grams = counter.fit_transform(others)
    shared, sizes = (grams @ grams.T).toarray(), np.asarray(grams.sum(axis=1)).ravel()
    jaccard = shared / (np.add.outer(sizes, sizes) - shared)
    assert np.triu(jaccard, 1).max() < 0.5


def test_empty_texts_keep_another_part(table, planted):
    for name, _ in of_kind(planted, "empty_text"):
        assert table[name]["text"] == ""
        assert table[name]["image"] or table[name]["audio"]


def test_broken_and_missing_files_cannot_be_read(table, planted):
    for name, _ in of_kind(planted, "broken_image"):
        with pytest.raises(OSError), Image.open(SAMPLE / table[name]["image"]) as image:
            image.load()
    for name, _ in of_kind(planted, "broken_audio"):
        assert (SAMPLE / table[name]["audio"]).is_file()
        with pytest.raises(soundfile.LibsndfileError):
            soundfile.read(SAMPLE / table[name]["audio"])
    for name, part in of_kind(planted, "missing_file"):
        assert table[name][part]
        assert not (SAMPLE / table[name][part]).exists()


def test_mojibake_can_be_undone(table, planted, texts):
    for name, encoding in of_kind(planted, "mojibake"):
        shown = table[name]["text"]
        marked = {text.translate(make_sample.SAFE_MARKS[encoding]) for text in texts}
        assert shown not in marked
        assert shown.encode(encoding).decode("utf-8") in marked


def test_odd_labels_have_spaces_around(table, planted):
    for name, clean in of_kind(planted, "odd_label"):
        assert table[name]["label"] != table[name]["label"].strip() == clean


# --- What pictures and sounds tell ------------------------------------------------------------------------


def test_a_small_network_finds_most_classes_by_the_picture(rows, planted):
    paths, truth = files_with_class("image", rows, planted)
    rest, tested, rest_truth, tested_truth = train_test_split(
        paths, truth, test_size=0.3, stratify=truth, random_state=0
    )
    train, watched, train_truth, watched_truth = train_test_split(
        rest, rest_truth, test_size=0.2, stratify=rest_truth, random_state=0
    )
    encoder = ImageEncoder().fit(train, train_truth, validation=(watched, watched_truth))
    predicted = encoder.network_.predict(files.read_images(tested, encoder.size), verbose=0).argmax(axis=1)
    check_accuracy("Picture", predicted == tested_truth, 0.55, 0.85, within=0.08)


def test_a_small_network_finds_most_classes_by_the_sound(rows, planted):
    paths, truth = files_with_class("audio", rows, planted)
    features = [audio.summarise(path) for path in paths]
    model = make_pipeline(StandardScaler(), MLPClassifier(early_stopping=True, random_state=0))
    with threadpool_limits(1):  # on a busy machine, threads wait for each other
        predicted = cross_val_predict(model, features, truth, cv=FOLDS)
    check_accuracy("Sound", predicted == truth, 0.50, 0.80, within=0.04)


# --- The files ----------------------------------------------------------------------------------------


def test_the_folder_is_small():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 25e6


@pytest.mark.parametrize("part", ["image", "audio"])
def test_drawing_again_gives_the_same_bytes(part, rows, planted, tmp_path):
    faulty = {name for name, kind, _ in planted if kind.startswith(("broken", "missing"))}
    good = [row for row in rows.values() if row.id not in faulty]
    chosen = make_sample.media_rows(good, part)[::150][:5]
    write = {"image": make_sample.write_images, "audio": make_sample.write_audio}[part]
    write(chosen, tmp_path)
    assert len(list(tmp_path.iterdir())) == 5
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (SAMPLE / make_sample.FOLDERS[part] / path.name).read_bytes()


def test_the_datasheet_states_the_counts(rows):
    sheet = (SAMPLE / "README.md").read_text(encoding="utf-8")
    assert {kind: int(count) for kind, count in re.findall(r"^\| `(\w+)` \| (\d+) \|", sheet, re.M)} == COUNTS
    for label in make_sample.CLASSES.values():
        own = [row for row in rows.values() if row.truth == label]
        lacking = [sum(not row.has[part] for row in own) for part in ("image", "audio")]
        generic = [sum(row.has[part] and row.generic[part] for row in own) for part in ("image", "audio")]
        counts = [
            len(own),
            sum(row.label.strip() == label for row in rows.values()),
            *lacking,
            sum(not any(row.has.values()) for row in own),
            *generic,
            sum(row.between is not None for row in own),
        ]
        assert f"| {label} | {' | '.join(map(str, counts))} |" in sheet
