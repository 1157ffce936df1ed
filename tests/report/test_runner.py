"""The runner: order, freshness, refused parameters, failures that leave what is done."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import psutil
import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner
from conftest import PROJECT, SMALL, write_table

from fusebook import cli, runs
from fusebook.evaluation import scores
from fusebook.models.bundle import Bundle
from fusebook.report import runner, steps


@pytest.fixture
def known_steps():
    return steps.read_steps(PROJECT / "notebooks")


def test_steps_come_after_what_they_read(known_steps):
    names = [step.name for step in steps.in_order(known_steps)]
    assert names.index("01_explore") < names.index("02_preprocess") < names.index("03_train")
    assert names.index("03_train") < names.index("04_error_analysis") < names.index("05_inspect")
    assert known_steps["04_error_analysis"].after == ["01_explore", "02_preprocess", "03_train"]
    assert known_steps["00_mlp_by_hand"].after == [], "the theory needs no data, so it may run beside the others"


def test_steps_that_wait_for_each_other_are_refused(known_steps):
    known_steps["01_explore"].after = ["06_predict"]
    with pytest.raises(ValueError, match="wait for each other"):
        steps.in_order(known_steps)


def test_a_misspelt_parameter_names_the_nearest(known_steps):
    with pytest.raises(ValueError, match=r"No notebook has a parameter 'epoch'\. Did you mean 'epochs'"):
        steps.give_parameters(known_steps, {"epoch": "3"})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("epochs", "20", 20), ("learning_rate", "0.1", 0.1), ("hidden", "[8, 4]", [8, 4]), ("text", "7", "7")],
)
def test_values_from_the_command_line_get_the_parameters_type(known_steps, name, value, expected):
    steps.give_parameters(known_steps, {name: value})
    given = [step.parameters[name] for step in known_steps.values() if name in step.known]
    assert given and all(one == expected and type(one) is type(expected) for one in given)


@pytest.mark.parametrize(("name", "value"), [("epochs", "many"), ("learning_rate", "x"), ("hidden", "100,50")])
def test_a_value_of_another_type_is_refused(known_steps, name, value):
    with pytest.raises(ValueError, match=f"Parameter {name} got '{value}'; expected"):
        steps.give_parameters(known_steps, {name: value})


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is no run of Fusebook"):
        runner.run_notebooks(tmp_path, {}, export=lambda run, step: None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_whole_run_leaves_what_the_plan_promises(finished_run):
    record = json.loads((finished_run / "run.json").read_text())
    assert {step["status"] for step in record["steps"].values()} == {"done"}
    for name, notebook in runs.WRITTEN_BY.items():
        assert runs.artifact_path(finished_run, name).exists(), f"{notebook} should have written {name}"
    assert record["versions"]["keras"] and record["steps"]["03_train"]["parameters"]["epochs"] == SMALL["epochs"]
    assert all(step["peak_memory_mb"] > 50 for step in record["steps"].values())
    assert not list(finished_run.rglob(".writing-*"))
    assert not [path for path in (finished_run / "bundle").rglob("*") if path.suffix in {".pkl", ".pickle", ".joblib"}]


def test_the_first_page_names_every_notebook_the_theory_last(finished_run):
    page = BeautifulSoup((finished_run / "index.html").read_text(encoding="utf-8"), "html.parser")
    links = [link["href"] for link in page.select(".cards h3 a")]
    names = sorted(json.loads((finished_run / "run.json").read_text())["steps"])
    assert links == [f"{name}.html" for name in [*names[1:], "00_mlp_by_hand"]]
    assert names[0] == "00_mlp_by_hand"


def test_predictions_agree_with_the_bundle(finished_run):

    predictions = pd.read_parquet(finished_run / "artifacts" / "predictions.parquet")
    test, probabilities = scores.split_predictions(predictions, "test")
    rows = pd.read_parquet(finished_run / "artifacts" / "rows.parquet").set_index("row").loc[test["row"]].reset_index()
    bundle = Bundle(finished_run / "bundle")
    for name, values in bundle.predict_all(rows).items():
        np.testing.assert_allclose(values, probabilities[name], atol=1e-4)


def test_test_rows_share_no_group_with_training_rows(finished_run):
    rows = pd.read_parquet(finished_run / "artifacts" / "rows.parquet")
    splits = pd.read_parquet(finished_run / "artifacts" / "splits.parquet")
    assert rows["row"].tolist() == splits["row"].tolist()
    groups = {name: set(rows.loc[(splits["split"] == name).to_numpy(), "group"]) for name in splits["split"].unique()}
    assert not groups["train"] & groups["test"] and not groups["train"] & groups["validation"]


def _again(run, values, executed):
    made = runner.run_notebooks(run, values, export=lambda folder, step: executed.append(step.name))
    return {name for name, step in made.items() if step.status == "fresh"}


def test_only_what_changed_runs_again(finished_run, tmp_path):
    run = tmp_path / "copy"
    shutil.copytree(finished_run, run)
    record = json.loads((run / "run.json").read_text())
    values = {name: value for step in record["steps"].values() for name, value in step["parameters"].items()}
    values.pop("run")
    executed: list[str] = []
    assert sorted(_again(run, values, executed)) == sorted(record["steps"]) and not executed
    _again(run, values | {"most_cards": 2}, executed)
    assert sorted(executed) == ["04_error_analysis", "05_inspect"]
    executed.clear()
    (run / "artifacts" / "predictions.csv").unlink()
    _again(run, values | {"most_cards": 2}, executed)
    assert executed == ["06_predict"]


def test_a_failing_cell_stops_the_run_and_keeps_what_is_done(tmp_path):
    table = write_table(tmp_path / "table", n_rows=60)
    arguments = ["report", "--table", str(table), "--text", "title", "--label", "topic", "--run", str(tmp_path / "run")]
    wrong = ["-p", "hidden", "[8, 4]", "-p", "activations", '["relu"]']
    small = ["-p", "vector_dimensions", "10", "-p", "samples", "600"]
    made = CliRunner().invoke(cli.main, [*arguments, *wrong, *small])
    assert made.exit_code == 1
    assert "03_train, cell" in made.output and "expected one activation a layer" in made.output
    assert (tmp_path / "run" / "02_preprocess.html").exists() and (tmp_path / "run" / "index.html").exists()
    assert (tmp_path / "run" / "notebooks" / "03_train.ipynb").exists()
    assert not (tmp_path / "run" / "artifacts" / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "--table", "no.csv", "--text", "t", "--label", "l"], "No table at no.csv"),
        (["report", "--table", "no.csv", "--text", "t"], "name the columns"),
        (["report", "--text", "t"], "go with --table"),
        (["report", "-p", "epocs", "3", "--run", "unused"], "Did you mean 'epochs'"),
        (["predict", "--bundle", "nowhere", "--table", "no.csv", "--output", "o.csv"], "is no bundle"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(cli.main, arguments)
    assert made.exit_code != 0 and message in made.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [[], ["report"], ["predict"], ["parameters"]])
def test_help_reads_well(command):
    made = CliRunner().invoke(cli.main, [*command, "--help"])
    assert made.exit_code == 0 and len(made.output) > 100 and "\x1b" not in made.output


def test_the_command_predicts_a_new_table(finished_run, small_table, tmp_path):
    output = tmp_path / "predictions.csv"
    arguments = [
        "predict",
        "--bundle",
        str(finished_run / "bundle"),
        "--table",
        str(small_table),
        "--output",
        str(output),
    ]
    made = CliRunner().invoke(cli.main, [*arguments, "--text", "title", "--image", "picture", "--audio", "sound"])
    assert made.exit_code == 0, made.output
    predictions, table = pd.read_csv(output), pd.read_csv(small_table)
    assert predictions["title"].tolist() == table["title"].tolist()
    probabilities = predictions.filter(like="probability_")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    assert (probabilities.to_numpy().argmax(axis=1) == predictions["class_id"]).all()
    again = CliRunner().invoke(cli.main, [*arguments, "--text", "title"])
    assert again.exit_code == 1 and "is there already" in again.output


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_a_stopped_run_leaves_no_kernel_and_goes_on(small_table, tmp_path):
    command = [sys.executable, "-m", "fusebook.cli", "report", "--table", str(small_table), "--text", "title",
               "--label", "topic", "--run", str(tmp_path / "run")]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=PROJECT)
    for line in process.stderr:
        if line.startswith("02_preprocess: runs"):
            break
    kernels = [child for child in psutil.Process(process.pid).children() if "ipykernel" in " ".join(child.cmdline())]
    assert kernels
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert not psutil.wait_procs(kernels, timeout=20)[1]
    assert (tmp_path / "run" / "artifacts" / "rows.parquet").exists()
    with pytest.raises(ValueError, match="Did you mean"):  # the folder is a run, so only the parameter is refused
        runner.run_notebooks(tmp_path / "run", {"epoch": 1}, export=lambda run, step: None)
