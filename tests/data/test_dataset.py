"""Datasets: rows and features cut together, splits, parts, the prior by hand, and a round trip through a run."""

import numpy as np
import pandas as pd
import pytest

from fusebook.data.dataset import SPLITS, Dataset
from fusebook.data.features import Features
from fusebook.runs import Run

N_ROWS = 12


@pytest.fixture
def data():
    """Twelve rows of three labels; each number in a block tells the row that it belongs to."""
    numbers = np.arange(N_ROWS)
    rows = pd.DataFrame({
        "row": 100 + numbers,
        "text": ["" if i % 4 == 0 else f"text {i}" for i in numbers],
        "image": "",
        "audio": ["" if i % 3 == 0 else f"{i}.wav" for i in numbers],
        "label": [("技术", "a", "b")[i % 3] for i in numbers],
        "split": np.array(SPLITS)[[0, 0, 1, 0, 2, 2, 0, 1, 0, 0, 2, 0]],
        "group": numbers // 2,
    }, index=numbers[::-1])  # fmt: skip
    present = {part: (rows[part] != "").to_numpy() for part in ("text", "audio")}
    blocks = {part: np.where(bools, 100 + numbers, 0)[:, None].astype(np.float32) for part, bools in present.items()}
    return Dataset.of_rows(rows.assign(label_before=rows["label"]), Features(blocks, present))


def check_rows(data, rows):
    """``data`` holds just ``rows`` (positions in the whole), in this order, in the table and in the features."""
    numbers = np.array(rows, int)
    assert len(data) == len(rows) and data.rows["row"].tolist() == (100 + numbers).tolist()
    assert data.rows.index.tolist() == list(range(len(rows)))
    for part, lacking in {"text": 4, "audio": 3}.items():
        if part in data.parts:
            expected = np.where(numbers % lacking == 0, 0, 100 + numbers)
            assert data.features.blocks[part][:, 0].tolist() == expected.tolist()


def test_labels_get_numbers_in_alphabetical_order(data):
    assert data.label_names == ["a", "b", "技术"] and data.n_classes == 3
    assert data.labels.tolist() == [2, 0, 1] * 4
    assert data.groups.tolist() == [i // 2 for i in range(N_ROWS)]
    check_rows(data, range(N_ROWS))


@pytest.mark.parametrize("chosen", [[7, 0, 0, 11], [True, False, True] * 4, [], [False] * N_ROWS])
def test_rows_by_bools_and_by_positions(data, chosen):
    chosen = np.array(chosen, bool if chosen and isinstance(chosen[0], bool) else int)
    rows = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
    some = data[chosen]
    check_rows(some, rows)
    assert some.label_names == data.label_names
    assert some.labels.tolist() == data.labels[rows].tolist()
    check_rows(data, range(N_ROWS))


def test_all_rows_in_order_are_the_same_object_and_not_so_in_another(data):
    assert data[np.ones(N_ROWS, bool)] is data and data[np.arange(N_ROWS)] is data
    check_rows(data[np.arange(N_ROWS)[::-1]], range(N_ROWS - 1, -1, -1))


def test_rows_of_rows(data):
    check_rows(data[np.array([9, 4, 2, 7])][np.array([True, False, True, True])][np.array([2, 0])], [7, 9])


def test_splits(data):
    check_rows(data.train, [0, 1, 3, 6, 8, 9, 11])
    check_rows(data.validation, [2, 7])
    check_rows(data.test, [4, 5, 10])
    check_rows(data.split("dropped"), [])
    assert data.train is data.train
    check_rows(data.train.test, [])


def test_the_prior_is_that_of_the_training_rows(data):
    """Training rows 0, 3, 6, 9 are of 技术, 1 of a, 8 and 11 of b."""
    np.testing.assert_allclose(data.prior, [1 / 7, 2 / 7, 4 / 7])
    assert Dataset(data.rows, [*data.label_names, "unseen"], data.features).prior[-1] == 0


def test_one_part_and_the_rows_that_have_it(data):
    sound = data.of("audio")
    check_rows(sound, [i for i in range(N_ROWS) if i % 3])
    assert sound.parts == ["audio"] and data.parts == ["audio", "text"]
    check_rows(sound.train, [1, 8, 11])
    check_rows(data.train.of("audio"), [1, 8, 11])


def test_other_features(data):
    less = data.with_features(data.features.without(["text"]))
    assert not less.features.present["text"].any() and less.rows is data.rows
    assert less[np.array([3])].features.blocks["text"].tolist() == [[0]]


def test_without_features_it_can_be_cut_too(data):
    plain = Dataset.of_rows(data.rows)
    assert plain.parts == [] and plain.train.rows["row"].tolist() == data.train.rows["row"].tolist()


def test_it_comes_back_from_a_run(data, tmp_path):
    """Labels and groups are those of the split, which corrections may have changed since the table was read."""
    run = Run(tmp_path)
    run.write("rows.parquet", data.rows[["row", "text", "image", "audio", "label", "group"]].assign(label="a", group=0))
    data.save(run)
    loaded = Dataset.load(run)
    check_rows(loaded, range(N_ROWS))
    assert loaded.label_names == data.label_names and loaded.labels.tolist() == data.labels.tolist()
    assert loaded.rows["text"].tolist() == data.rows["text"].tolist()
    assert loaded.groups.tolist() == data.groups.tolist() and loaded.rows["split"].equals(data.rows["split"])


def test_a_run_without_it_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="Notebook 01_explore writes it"):
        Dataset.load(Run(tmp_path))
