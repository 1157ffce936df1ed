"""The run folder: where things lie, what is missing is named, what is written is whole, what changed is noticed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusebook import runs
from fusebook.runs import Run


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


def test_a_run_is_named_by_its_folder_or_by_itself(run, tmp_path, monkeypatch):
    assert Run(run).folder == run.folder == Run(str(run.folder)).folder
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "reports" / "sample").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "notebooks"):  # seen from the current folder, else from the project's
        monkeypatch.chdir(place)
        assert Run("reports/sample").folder == tmp_path / "reports" / "sample"


def test_where_things_lie(run):
    assert [run.path(name).relative_to(run.folder) for name in ("run.json", "bundle", "rows.parquet", "findings/a.json")] == [
        Path("run.json"), Path("bundle"), Path("artifacts/rows.parquet"), Path("artifacts/findings/a.json"),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "notebook"), [("rows.parquet", "01_explore"), ("bundle", "03_train")])
def test_what_is_missing_is_named_with_the_notebook_that_writes_it(run, name, notebook):
    for look in (run.need, run.read):
        with pytest.raises(FileNotFoundError, match=f"{name} is not there yet. Notebook {notebook} writes it"):
            look(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows.parquet", pd.DataFrame({"row": [1, 2], "text": ["a", "</b> 文本\r\n"]})),
        ("metrics.json", {"scores": [1.5, "文本", None], "chosen": "text"}),
    ],
)
def test_what_is_written_is_read_again(run, name, value):
    run.write(name, value)
    read = run.read(name)
    assert read.equals(value) if isinstance(value, pd.DataFrame) else read == value


def test_numbers_of_numpy_are_plain_in_json_and_csv_shows_chinese_in_spreadsheets(run):
    run.write("metrics.json", {"n": np.int64(3), "share": np.float32(0.5)})
    assert json.loads(run.path("metrics.json").read_text("utf-8")) == {"n": 3, "share": 0.5}
    table = pd.DataFrame({"row": [1], "reason": ["空"]})
    run.write("rejected.csv", table)
    assert run.path("rejected.csv").read_bytes().startswith("\ufeffrow".encode())
    assert pd.read_csv(run.path("rejected.csv")).equals(table)


def test_what_could_not_be_written_leaves_the_old(run):
    run.write("metrics.json", {"n": 1})
    with pytest.raises(AttributeError):
        run.write("metrics.json", {"n": object()})
    assert run.read("metrics.json") == {"n": 1}
    assert [path.name for path in run.path("metrics.json").parent.iterdir()] == ["metrics.json"]
    with pytest.raises(RuntimeError), runs.replacing(run.path("features")) as beside:
        beside.mkdir()
        (beside / "half.npz").touch()
        raise RuntimeError
    assert not run.path("features").exists() and not list(run.folder.rglob(".writing-*"))


def test_a_folder_replaces_a_folder_whole(run):
    for name in ("old.npz", "new.npz"):
        with runs.replacing(run.path("features")) as beside:
            beside.mkdir()
            (beside / name).touch()
    assert [path.name for path in run.path("features").iterdir()] == ["new.npz"]


def test_a_change_to_a_file_that_was_read_is_noticed(run, tmp_path):
    table, media = tmp_path / "table.csv", tmp_path / "a.png"
    table.write_text("a\n1\n")
    assert run.unchanged("01_explore"), "nothing was noted"
    run.watch("01_explore", [table, media])
    assert run.unchanged("01_explore")
    media.touch()  # it was not there
    assert not run.unchanged("01_explore")
    run.watch("01_explore", [table, media])
    assert run.unchanged("01_explore") and run.unchanged("02_preprocess")
    table.write_text("a\n1\n2\n")
    assert not run.unchanged("01_explore")


def test_a_fingerprint_follows_content_and_names(tmp_path):
    assert runs.fingerprint(tmp_path / "nothing") == runs.fingerprint(tmp_path) == ""
    (tmp_path / "a").write_text("one")
    first = runs.fingerprint(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = runs.fingerprint(tmp_path)
    (tmp_path / "b").write_text("two")
    assert len({first, renamed, runs.fingerprint(tmp_path), ""}) == 4
    # SHA-256 of "abc", as FIPS 180-4 gives it.
    (tmp_path / "c").write_bytes(b"abc")
    assert runs.fingerprint(tmp_path / "c").startswith(
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@pytest.mark.parametrize(
    ("source", "value"), [("3", 3), ("[8, 4]", [8, 4]), ('""', ""), ("os.sep", "os.sep"), ("(", "(")]
)
def test_the_value_of_a_parameter(source, value):
    assert runs.parameter_value(source) == value
