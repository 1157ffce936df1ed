"""The command that gives a run again: what a shell and click make of it is what the run was given."""

import subprocess
import sys
from pathlib import Path

import pytest

from fusebook import cli
from fusebook.report import steps
from fusebook.report.index import command_line

TABLE = {
    "table": "/data/my table's (1).csv", "text": "title; rm -rf ~", "label": 'the "topic"', "image": "",
    "audio": "$HOME", "new_table": "",
}  # fmt: skip


def parsed(line):
    """The options that click reads from ``line``, as bash splits it; the folder that it goes to."""
    folder, rest = line.split(" && ", 1)
    script = f"set -- {rest}\nprintf '%s\\0' \"$@\"\n{folder.replace('cd', 'printf %s', 1)}"
    *words, folder = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode().split("\0")  # fmt: skip
    return cli.report.make_context("report", words[words.index("report") + 1 :]).params, folder, words[0]


def test_values_come_through_the_shell(tmp_path):
    values = TABLE | {"epochs": 3, "hidden": [100, 50], "planted": "", "language": "`zh` $(ls) \\ 'x' 中\n"}
    got, folder, program = parsed(command_line(tmp_path / "a run's <b>", values, tmp_path / "my project"))
    assert {name: got[name] or "" for name in TABLE} == TABLE
    assert got["run"] == str(tmp_path / "a run's <b>") and folder == str(tmp_path / "my project")
    assert dict(got["parameters"]) == {
        "epochs": "3", "hidden": "[100, 50]", "planted": "", "language": values["language"],
    }  # fmt: skip
    assert Path(program).name == "fusebook" and Path(program).parent == Path(sys.executable).parent


def test_values_have_the_type_that_they_had(tmp_path):
    given = {"hidden": [8, 4], "epochs": 3, "modality_dropout": 0.25, "image_mirror": False}
    got, _, _ = parsed(command_line(tmp_path, given, tmp_path))
    known = steps.read_steps(steps.find_notebooks())
    steps.give_parameters(known, dict(got["parameters"]))
    assert {name: value for step in known.values() for name, value in step.parameters.items()} == given


def test_paths_in_the_project_are_short_and_a_default_folder_is_not_told(tmp_path):
    values = TABLE | {"table": str(tmp_path / "data" / "my.csv"), "new_table": str(tmp_path / "new.csv")}
    got, _, _ = parsed(command_line(tmp_path / "reports" / "my", values, tmp_path))
    assert (got["table"], got["new_table"], got["run"]) == ("data/my.csv", "new.csv", None)
    assert command_line(tmp_path / "reports" / "sample", {}, tmp_path).endswith("fusebook report")
    assert "--run reports/other" in command_line(tmp_path / "reports" / "other", {}, tmp_path)


@pytest.mark.parametrize("lacking", ["label", "new_table"])
def test_what_the_options_could_not_say_becomes_parameters(tmp_path, lacking):
    values = {name: value for name, value in TABLE.items() if name != lacking}
    got, _, _ = parsed(command_line(tmp_path, values, tmp_path))
    assert got["table"] is None and dict(got["parameters"]) == values
