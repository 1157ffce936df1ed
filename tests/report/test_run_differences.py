"""What differs in how runs were made, from run folders with notebooks and records written by hand."""

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from tiny_runs import answers_of, make_table, write_run

from fusebook.report import compare


def run_of(folder, *, cell="", given=None, **record):
    """A run whose notebook 03_train has the parameters ``cell`` and was ``given`` others."""
    table = make_table(30)
    steps = {"03_train": {"parameters": given or {}, "seconds": {"work": 2.5, "export": 1.0}, "peak_memory_mb": 800}}
    steps["04_error_analysis"] = {"parameters": {"run": str(folder)}, "seconds": {"work": 1.25}, "peak_memory_mb": 900}
    write_run(folder, table, {"text": answers_of(table)}, record={"steps": steps, **record} if record else None)
    if cell:
        (folder / "notebooks").mkdir()
        cells = [new_code_cell(cell, metadata={"tags": ["parameters"]})]
        kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python"}}
        nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / "notebooks" / "03_train.ipynb")
    return compare.read_run(folder)


def test_defaults_of_the_time_count_and_equal_values_do_not(tmp_path):
    cell = 'run: str = "reports/a"  # folder\nepochs: int = 10  # passes\nrate: float = 0.001\nhidden: list = []\nname: str = ""\n'
    first = run_of(tmp_path / "a", cell=cell + "gone: int = 1\n", given={"run": "/x", "name": "x"}, python="3.11")
    newer = cell.replace("10", "20").replace("0.001", "1e-3")
    second = run_of(tmp_path / "b", cell=newer, given={"run": "/y", "hidden": []}, python="3.11")
    table = compare.parameter_differences([first, second])
    assert dict(zip(table.index, table.to_numpy().tolist(), strict=True)) == {
        ("03_train", "epochs", "passes"): ["10", "20"],
        ("03_train", "gone", ""): ["1", "–"],
        ("03_train", "name", ""): ["x", '""'],
    }
    assert list(table.columns) == ["a", "b"]


def test_what_was_given_beats_the_default(tmp_path):
    cell = "epochs: int = 10  # passes\n"
    runs = [run_of(tmp_path / name, cell=cell, given=given, python="3.11")
            for name, given in (("a", {}), ("b", {"epochs": 10}), ("c", {"epochs": 5}))]  # fmt: skip
    assert compare.parameter_differences(runs[:2]).empty
    assert compare.parameter_differences(runs).iloc[0].tolist() == ["10", "10", "5"]


def test_one_parameter_of_several_notebooks_is_one_line(tmp_path):
    runs = []
    for name, seed in (("a", 1), ("b", 2)):
        steps = {step: {"parameters": {"random_state": seed}} for step in ("02_preprocess", "03_train")}
        write_run(tmp_path / name, make_table(30), {"text": answers_of(make_table(30))}, record={"steps": steps})
        runs.append(compare.read_run(tmp_path / name))
    table = compare.parameter_differences(runs)
    assert list(table.index) == [("02_preprocess, 03_train", "random_state", "")] and len(table) == 1


def test_versions_that_differ(tmp_path):
    first = run_of(tmp_path / "a", python="3.11", cores=2, versions={"keras": "3.1", "jax": "0.4"})
    second = run_of(tmp_path / "b", python="3.12", cores=2, versions={"keras": "3.1"})
    table = compare.version_differences([first, second])
    assert table.to_dict("index") == {"Python": {"a": "3.11", "b": "3.12"}, "jax": {"a": "0.4", "b": "–"}}


def test_runs_without_a_record_have_no_known_parameters(tmp_path):
    run = run_of(tmp_path / "a")
    assert compare.known_parameters(run) == {}
    assert compare.parameter_differences([run, run]).empty
    assert compare.version_differences([run, run_of(tmp_path / "b")]).empty


def test_facts_of_each_run(tmp_path):
    run = run_of(tmp_path / "a", python="3.11", written="2026-01-01")
    facts = compare.run_facts([run])["a"]
    splits = make_table(30)["split"].value_counts()
    assert facts["seconds, all notebooks"] == "4.8" and facts["peak memory, MB"] == "900"
    assert [facts[f"{name} rows"] for name in splits.index] == [str(n) for n in splits]
    assert facts["columns"] == "text: title, label: topic" and facts["written"] == "2026-01-01"


def test_a_broken_notebook_leaves_what_was_given(tmp_path):
    run = run_of(tmp_path / "a", cell="epochs: int = 10\n", given={"epochs": 5}, python="3.11")
    (tmp_path / "a" / "notebooks" / "03_train.ipynb").write_text('{"cells": [')
    assert compare.known_parameters(run) == {("03_train", "epochs"): {"help": "", "value": 5}}
