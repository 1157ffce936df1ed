"""The run folder: where things lie, what is missing is named, what is written is whole, what changed is noticed."""

import errno
import json
import os
import re
import shutil
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
    assert [path.name for path in run.path("metrics.json").parent.glob("*.*")] == ["metrics.json"]
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


@pytest.mark.parametrize("content", ["", '{"a.csv": [1,', "[]", '{"a.csv": 3}', "\x00", "[" * 100_000])
def test_a_damaged_note_is_set_aside_and_counts_as_a_change(run, content):
    path = run.path("stamps/01_explore.json")
    run.watch("01_explore", [])
    path.write_text(content)
    assert not run.unchanged("01_explore")
    assert [path.name for path in path.parent.iterdir()] == ["01_explore.json.damaged"]


def _write_all(run, seed=0):
    """Artifacts as notebooks 01 to 03 write them, each after what it is made of."""
    run.write("rows.parquet", pd.DataFrame({"row": range(9), "text": [f"text {seed}"] * 9}))
    run.write("splits.parquet", pd.DataFrame({"row": range(9), "split": np.roll(["train", "test", "test"] * 3, seed)}))
    for name in ("features", "bundle"):
        with runs.replacing(run.path(name)) as beside:
            beside.mkdir(parents=True)
            (beside / "values.txt").write_text(f"{name} {seed}")
    run.write("predictions.parquet", pd.DataFrame({"row": range(9), "p0": seed}))
    run.write("metrics.json", {"seed": seed})


@pytest.mark.parametrize(
    ("replaced", "read", "again"),
    [
        ("rows.parquet", "rows.parquet", "01_explore"),
        ("rows.parquet", "bundle", "01_explore"),
        ("splits.parquet", "features", "02_preprocess"),
        ("splits.parquet", "bundle", "02_preprocess"),
        ("features", "bundle", "02_preprocess"),
        ("features", "features", "02_preprocess"),
        ("bundle", "predictions.parquet", "03_train"),
        ("predictions.parquet", "metrics.json", "03_train"),
        ("metrics.json", "metrics.json", "03_train"),
    ],
)
def test_artifacts_of_two_runs_are_not_read_together(run, tmp_path, replaced, read, again):
    """Each is of the same length and names as the one that it replaces."""
    other = Run(tmp_path / "other")
    _write_all(run)
    _write_all(other, 1)
    assert run.need(read) and other.need(read)
    place = run.path(replaced)
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    other.path(replaced).rename(place)
    with pytest.raises(ValueError, match=f"{re.escape(replaced)} is not what {again} wrote"):
        run.need(read)


def test_a_step_run_again_alone_makes_what_rests_on_it_stale_unless_it_gave_the_same(run):
    _write_all(run)
    run.write("splits.parquet", run.read("splits.parquet"))
    assert run.need("metrics.json")
    run.write("splits.parquet", run.read("splits.parquet").iloc[::-1])
    assert run.read("splits.parquet")["row"].tolist() == list(range(8, -1, -1))
    with pytest.raises(ValueError, match=r"made of another splits\.parquet .* Run notebook 03_train again"):
        run.read("metrics.json")


def test_what_notes_do_not_tell_is_read(run):
    """Of a version before, or gone meanwhile, or edited by a person as is meant."""
    _write_all(run)
    run.write("label_suspects.csv", pd.DataFrame({"row": [1]}))
    run.path("label_suspects.csv").write_text("row\n2\n")
    assert run.need("label_suspects.csv")
    shutil.rmtree(run.path("features"))
    assert run.need("predictions.parquet")
    shutil.rmtree(run.folder / "artifacts" / "made_of")
    run.write("rows.parquet", pd.DataFrame({"row": [1]}))
    assert run.need("metrics.json")


def test_json_that_is_cut_is_named(run):
    run.path("bundle").mkdir(parents=True)
    run.path("bundle/bundle.json").write_text('{"a": 1')
    with pytest.raises(ValueError, match=r"bundle\.json is damaged"):
        run.read("bundle/bundle.json")


def test_a_file_is_on_the_disk_before_it_is_called_written(run, monkeypatch):
    flushed = []
    monkeypatch.setattr(runs.os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_ino))
    run.write("table.json", {})
    assert flushed == [path.stat().st_ino for path in (run.path("table.json"), run.folder / "artifacts")]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/d/f"), "The disk is full at /d/f: make room"),
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full: make room"),
        (PermissionError(errno.EACCES, "Permission denied", "/d/f"), "No permission for /d/f (Permission denied)"),
        (FileNotFoundError("our own words"), "our own words"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/d"), "Is a directory: /d"),
    ],
)
def test_errors_of_the_disk_are_a_sentence(error, said):
    assert runs.explained(error).startswith(said)


def test_what_steers_a_terminal_is_written_out():
    plain = "文本　a\u00a0b\n\tемоджи \U0001f469\u200d\U0001f52c [/x]"
    assert runs.harmless(plain) == plain
    assert runs.harmless("\x1b]0;x\x07\r\u202ea\udc80\x9b") == r"\x1b]0;x\x07\r\u202ea\udc80\x9b"


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
