"""The runner and its steps: order, freshness, refused parameters, failures that leave what is done.

How notebooks are run is shown with tiny ones, which import little and take no second each; that our own do what the plan
promises is looked up in one finished run.
"""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner
from conftest import PATIENCE, PROJECT, SMALL
from rich.console import Console

from fusebook import cli, runs
from fusebook.report import lock, progress, runner, steps
from fusebook.runs import Run

# By notebook: what it reads, its parameters, its work.
TINY = {
    "01_explore": (
        [], 'table: str = "table.csv"  # what is read', """
run.watch("01_explore", [table])
run.write("table.json", {"table": table, "rows": 2, "columns": {"text": "title"}})
run.write("rows.parquet", pd.DataFrame({"row": [1, 2]}))""",
    ),
    "02_preprocess": (
        ["rows.parquet"], "pause: float = 0.0  # seconds to wait", """
run.need("rows.parquet")
time.sleep(pause)
run.write("splits.parquet", pd.DataFrame({"row": [1, 2]}))""",
    ),
    "03_train": (
        ["splits.parquet"], "epochs: int = 0  # passes", """
assert run.read("splits.parquet")["row"].tolist() == [1, 2]
if epochs > 9:
    raise ValueError(f"{epochs} epochs; expected 9 at most")
if epochs < 0:
    __import__("os").kill(__import__("os").getpid(), 9)
run.write("predictions.parquet", pd.DataFrame({"row": [1, 2]}))""",
    ),
    "04_error_analysis": (
        ["predictions.parquet"], "most_cards: int = 8  # cards", 'run.write("errors.parquet", run.read("predictions.parquet"))',
    ),
    "06_predict": (
        ["splits.parquet"], 'model: str = ""  # that answers', 'run.write("predictions.csv", run.read("splits.parquet"))',
    ),
}  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of tiny notebooks, which is the current folder; what the library's files say does not matter to them."""
    folder = tmp_path / "project"
    monkeypatch.setattr(steps, "PACKAGE", tmp_path)
    (folder / "notebooks").mkdir(parents=True)
    (folder / "table.csv").write_text("title\none\ntwo\n")
    for name, (reads, parameter, work) in TINY.items():
        cells = [nbformat.v4.new_markdown_cell(f"# {name}\n\nIn this notebook we wait.")]
        cells.append(nbformat.v4.new_code_cell(f'run: str = "reports/sample"  # folder of this run\n{parameter}'))
        cells[-1].metadata["tags"] = ["parameters"]
        cells.append(nbformat.v4.new_code_cell("import time\n\nimport pandas as pd\n\nfrom fusebook import Run"))
        cells.append(nbformat.v4.new_code_cell(f"run = Run(run)\n{work}"))
        about = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
        made = nbformat.v4.new_notebook(cells=cells, metadata=about | {"fusebook": {"reads": reads}})
        nbformat.write(made, folder / "notebooks" / f"{name}.ipynb")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def known_steps():
    return steps.read_steps(PROJECT / "notebooks")


def test_steps_come_after_what_they_read(known_steps):
    names = [step.name for step in steps.in_order(known_steps)]
    assert names.index("01_explore") < names.index("02_preprocess") < names.index("03_train")
    assert names.index("03_train") < names.index("04_error_analysis") < names.index("05_inspect")
    assert known_steps["04_error_analysis"].after == ["01_explore", "02_preprocess", "03_train"]
    assert known_steps["00_mlp_by_hand"].after == [], "the theory needs no data, so it may run beside the others"
    assert "07_compare" not in known_steps, "it compares runs that are finished"


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


@pytest.mark.parametrize("edited", ["__init__.py", "evaluation/measures.py", "assets/template/page.css"])
def test_an_edited_file_of_the_library_makes_every_step_stale(known_steps, edited, tmp_path, monkeypatch):
    library = tmp_path / "fusebook"
    shutil.copytree(steps.PACKAGE, library, ignore=shutil.ignore_patterns("*.pyc", "*.ttf"))
    monkeypatch.setattr(steps, "PACKAGE", library)
    keys = []
    for _ in range(3):
        steps.set_keys(known_steps)
        keys.append({name: step.key for name, step in known_steps.items()})
        if len(keys) == 2:
            (library / edited).write_text((library / edited).read_text("utf-8") + "\n", encoding="utf-8")
    assert keys[0] == keys[1]
    assert not set(keys[1].values()) & set(keys[2].values())


@pytest.mark.parametrize("name", ["thesis.txt", "README.md"])
def test_a_folder_that_is_no_run_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match="is no run of Fusebook"):
        runner.run_notebooks(tmp_path, {}, export=lambda run, step: None)
    assert [path.name for path in tmp_path.iterdir()] == [name]


# --- Tiny notebooks ------------------------------------------------------------------------------------


def _executed(run, values, **options) -> list[str]:
    """The notebooks that ran, in order of their names; an empty page is made of each."""

    def export(folder, step):
        executed.append(step.name)
        (folder / f"{step.name}.html").touch()

    executed: list[str] = []
    made = runner.run_notebooks(run, values, export=export, **options)
    assert {name for name, step in made.items() if step.status == "fresh"} == set(made) - set(executed)
    return sorted(executed)


def test_only_what_changed_runs_again(project):
    run, most = project / "reports" / "sample", {"most_cards": 2}
    assert _executed(run, {}) == list(TINY)
    assert _executed(run, {}) == []
    assert _executed(run, most) == ["04_error_analysis"]
    (run / "artifacts" / "predictions.csv").unlink()
    assert _executed(run, most) == ["06_predict"]
    (run / "03_train.html").unlink()  # a page of it has to be made again, and others read what it wrote
    assert _executed(run, most) == ["03_train", "04_error_analysis"]
    (project / "table.csv").write_text("title\none\ntwo\nthree\n")
    assert _executed(run, most) == list(TINY)
    moved = run.rename(run.with_name("moved"))
    assert _executed(moved, most) == []


def test_a_failing_cell_stops_the_run_and_keeps_what_is_done(project):
    made = CliRunner().invoke(cli.main, ["report", "-p", "epochs", "10"])
    assert made.exit_code == 1
    assert re.search(r"03_train, cell \d: ValueError: 10 epochs; expected 9 at most", made.output)
    run = project / "reports" / "sample"
    assert (run / "02_preprocess.html").exists() and (run / "03_train.html").exists() and (run / "index.html").exists()
    assert (run / "notebooks" / "03_train.ipynb").exists() and not (run / "artifacts" / "predictions.parquet").exists()
    states = {name: step["status"] for name, step in json.loads((run / "run.json").read_text())["steps"].items()}
    assert states["02_preprocess"] == "done" and states["03_train"] == "failed" and "04_error_analysis" not in states


def test_a_page_that_cannot_be_made_stops_the_run_and_nothing_is_waited_for(project):
    """Another notebook still works when the page fails; it ends, and what comes after is not begun."""

    def export(folder, step):
        if step.name == "01_explore":
            raise IndexError("no such cell")
        (folder / f"{step.name}.html").touch()

    run = project / "reports" / "sample"
    with pytest.raises(
        runner.NotebookFailed, match=r"01_explore ran, but .* IndexError: no such cell \(test_runner.py"
    ):
        runner.run_notebooks(run, {"pause": 3}, export=export)
    states = {name: step["status"] for name, step in json.loads((run / "run.json").read_text())["steps"].items()}
    assert states["01_explore"] == "failed" and "04_error_analysis" not in states


def test_a_folder_that_is_deleted_meanwhile_ends_the_run(project):
    run = project / "reports" / "sample"

    def export(folder, step):
        shutil.rmtree(folder)

    with pytest.raises(FileNotFoundError, match="was deleted or moved while this run worked in it"):
        runner.run_notebooks(run, {"pause": 30}, export=export)
    assert not (run / "run.json").exists()


def test_a_second_run_into_the_folder_is_refused(project):
    run = project / "reports" / "sample"
    run.mkdir(parents=True)
    with lock.locked(run):
        (run / "artifacts").mkdir()
        made = CliRunner().invoke(cli.main, ["report"])
    assert made.exit_code == 1 and f"Another run works in {run} (pid {os.getpid()}, since" in made.output


def test_a_kernel_whose_port_is_taken_is_started_again(known_steps, monkeypatch):
    """The first one gets a port that another program listens at, as if it had been taken between choice and use."""
    kernels, make = [], runner.KernelManager
    with socket.create_server(("127.0.0.1", 0)) as server:

        def made(**options):
            port = {} if kernels else {"cache_ports": False, "shell_port": server.getsockname()[1]}
            return make(**options, **port)

        monkeypatch.setattr(runner, "KernelManager", made)
        step = known_steps["00_mlp_by_hand"]
        step.imports = "import time"
        kernel = runner._warm_kernel(step, kernels)
    assert len(kernels) == 2 and kernel is kernels[1] and kernel.is_alive() and not kernels[0].is_alive()
    kernel.shutdown_kernel(now=True)


@pytest.mark.parametrize("record", ["", "[]", '{"steps": []}', '{"steps": {"01_explore": 3}}', '{"steps": {"a": {}}}'])
def test_a_damaged_record_is_set_aside(tmp_path, record):
    (tmp_path / "run.json").write_text(record)
    assert runner._record(Run(tmp_path)) == {"steps": {}}
    assert (tmp_path / "run.json.damaged").read_text() == record


@pytest.mark.parametrize(
    "emptied", ["06_predict.html", "artifacts/findings/06_predict.json", "artifacts/predictions.csv"]
)
def test_what_was_emptied_is_not_fresh(known_steps, tmp_path, emptied):
    run, step = Run(tmp_path), known_steps["06_predict"]
    (tmp_path / "06_predict.html").write_text("a page")
    run.write("findings/06_predict.json", [])
    run.write("predictions.csv", pd.DataFrame({"row": [1]}))
    record = {"key": step.key, "status": "done", "outputs": steps.outputs(run, step.name)}
    assert steps.is_fresh(run, step, record)
    (tmp_path / emptied).write_text("")
    assert not steps.is_fresh(run, step, record)


@pytest.mark.parametrize("folder", ["table.csv", "table.csv/below/it"])
def test_a_run_folder_that_cannot_be_is_told(project, folder):
    made = CliRunner().invoke(cli.main, ["report", "--run", folder])
    assert made.exit_code == 1 and "table.csv is a file" in made.output and "--run names the folder" in made.output


def test_a_message_with_brackets_is_shown_whole(known_steps, monkeypatch):
    """A column may be named so; the terminal's markup must not read it, and what steers a terminal does not reach it."""
    step = known_steps["03_train"]
    step.status, step.error = "failed", "no column '[/x]' \x1b[2J among them\nmore"
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    console.print(progress._line_table(known_steps))
    assert "no column '[/x]' \\x1b[2J among them" in console.file.getvalue()


@pytest.mark.skipif(os.name == "nt", reason="sends SIGKILL")
def test_a_kernel_that_is_killed_fails_its_notebook(project):
    made = CliRunner().invoke(cli.main, ["report", "-p", "epochs", "-1"])
    assert made.exit_code == 1 and "03_train: its kernel died in code cell" in made.output
    assert (project / "reports" / "sample" / "06_predict.html").exists(), "what did not need it is done"


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_a_stopped_run_leaves_no_kernel_and_goes_on(project):
    command = [sys.executable, "-m", "fusebook.cli", "report", "-p", "pause", str(2 * PATIENCE)]
    # A background shell hands SIGINT down ignored; the command is to hear it all the same.
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    for line in process.stderr:
        if line.startswith("02_preprocess: runs"):
            break
    kernels = [child for child in psutil.Process(process.pid).children() if "ipykernel" in " ".join(child.cmdline())]
    assert kernels
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 130
    assert not psutil.wait_procs(kernels, timeout=PATIENCE)[1]
    run = project / "reports" / "sample"
    assert (run / "artifacts" / "rows.parquet").exists()
    with pytest.raises(ValueError, match="Did you mean"):  # the folder is a run, so only the parameter is refused
        runner.run_notebooks(run, {"epoch": 1}, export=lambda run, step: None)


# --- One finished run of our own notebooks --------------------------------------------------------------


def test_a_whole_run_leaves_what_the_plan_promises(finished_run):
    record = json.loads((finished_run / "run.json").read_text())
    assert {step["status"] for step in record["steps"].values()} == {"done"}
    for name, notebook in runs.WRITTEN_BY.items():
        assert Run(finished_run).path(name).exists(), f"{notebook} should have written {name}"
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
    from fusebook.models.bundle import Bundle

    table = pd.read_parquet(finished_run / "artifacts" / "predictions.parquet")
    table = table[(table["split"] == "test") & (table["fold"] == 0)]
    rows = pd.read_parquet(finished_run / "artifacts" / "rows.parquet").set_index("row")
    numbers = table["row"].unique()
    bundle = Bundle(finished_run / "bundle")
    for name, values in bundle.predict(rows.loc[numbers].reset_index()).items():
        written = table[table["model"] == name].set_index("row").loc[numbers].filter(regex=r"^p\d+$")
        # float32 to four digits: rows in batches of another size are summed in another order
        np.testing.assert_allclose(values, written, atol=1e-4)


def test_test_rows_share_no_group_with_training_rows(finished_run):
    rows = pd.read_parquet(finished_run / "artifacts" / "rows.parquet")
    splits = pd.read_parquet(finished_run / "artifacts" / "splits.parquet")
    assert rows["row"].tolist() == splits["row"].tolist()
    groups = {name: set(rows.loc[(splits["split"] == name).to_numpy(), "group"]) for name in splits["split"].unique()}
    assert not groups["train"] & groups["test"] and not groups["train"] & groups["validation"]


def test_the_command_predicts_a_new_table(finished_run, small_table, tmp_path):
    output = tmp_path / "predictions.csv"
    paths = ["--bundle", str(finished_run / "bundle"), "--table", str(small_table), "--output", str(output)]
    arguments = ["predict", *paths, "--text", "title"]
    made = CliRunner().invoke(cli.main, [*arguments, "--image", "picture", "--audio", "sound"])
    assert made.exit_code == 0, made.output
    predictions, table = pd.read_csv(output), pd.read_csv(small_table)
    assert predictions["title"].tolist() == table["title"].tolist()
    probabilities = predictions.filter(like="probability_")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    assert (probabilities.to_numpy().argmax(axis=1) == predictions["class_id"]).all()
    again = CliRunner().invoke(cli.main, arguments)
    assert again.exit_code == 1 and "is there already" in again.output


# --- The command ----------------------------------------------------------------------------------------


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


def test_the_command_starts_without_what_it_does_not_need():
    code = "import fusebook.cli, sys; print([name for name in ('keras', 'jax', 'gensim', 'pandas') if name in sys.modules])"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"
