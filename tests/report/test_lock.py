"""The lock of a run folder: one run at a time, what is left behind is taken over, a folder that goes is noticed."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from fusebook.report.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from fusebook.report.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_at_a_time_in_one_process_and_in_two(tmp_path):
    with locked(tmp_path) as is_ours:
        assert is_ours()
        with (
            pytest.raises(ValueError, match=rf"Another run works in .* \(pid {os.getpid()}, since 2"),
            locked(tmp_path),
        ):
            pass
        assert is_ours()
    assert not list(tmp_path.iterdir())
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=rf"pid {other.pid}, since"), locked(tmp_path):
        pass
    other.kill()
    other.wait()
    other.stdout.close()
    assert (tmp_path / "run.lock").exists(), "left behind"
    with locked(tmp_path) as is_ours:
        assert is_ours()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "cut {", "[]", json.dumps({"pid": 1, "host": "elsewhere", "since": "2020"})])
def test_what_was_left_behind_is_taken_over(tmp_path, content):
    (tmp_path / "run.lock").write_text(content)
    os.utime(tmp_path / "run.lock", (0, 0))
    with locked(tmp_path) as is_ours:
        assert is_ours()


def test_another_machine_that_was_there_just_now_is_respected(tmp_path):
    (tmp_path / "run.lock").write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "2020"}))
    with pytest.raises(ValueError, match="pid 1, since 2020, host elsewhere"), locked(tmp_path):
        pass


def test_a_folder_that_goes_is_noticed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with locked(folder) as is_ours:
        shutil.rmtree(folder)
        assert not is_ours()
        folder.mkdir()
        (folder / "run.lock").touch()
        assert not is_ours(), "another one of that name"
    assert (folder / "run.lock").exists()
