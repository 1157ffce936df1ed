"""The program that compares two runs finds what was changed, says by how much, and nothing else."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from compare_runs import compare_runs, main

from fusebook.runs import Run


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path / "a")
    made.write("predictions.parquet", pd.DataFrame({"row": [1, 2], "model": ["text", "text"], "p0": [0.25, np.nan]}))
    made.write("label_suspects.csv", pd.DataFrame({"row": [2], "action": ["keep"]}))
    made.write("metrics.json", {"scores": [{"model": "text", "accuracy": 0.5, "training_seconds": 1.0}]})
    made.write("findings/03_train.json", [{"severity": "note", "text": name, "place": "The test"} for name in "xy"])
    made.path("features").mkdir()
    np.savez(made.path("features") / "text.npz", text=np.zeros((2, 3), np.float32), present=np.array([True, False]))
    return made


def test_a_run_is_like_its_copy_whatever_time_it_took(run, tmp_path, capsys):
    other = Run(shutil.copytree(run.folder, tmp_path / "b"))
    other.write("metrics.json", {"scores": [{"model": "text", "accuracy": 0.5, "training_seconds": 9.0}]})
    other.write("findings/03_train.json", run.read("findings/03_train.json")[::-1])
    np.savez_compressed(other.path("features") / "text.npz", **np.load(run.path("features") / "text.npz"))
    assert compare_runs(run.folder, other.folder) == []
    assert main([str(run.folder), str(other.folder)]) == 0 and capsys.readouterr().out == "No difference.\n"


def test_each_difference_is_told_with_its_size(run, tmp_path, capsys):
    other = Run(shutil.copytree(run.folder, tmp_path / "b"))
    other.write("predictions.parquet", run.read("predictions.parquet").assign(p0=[0.25 + 1e-6, np.nan], p1=0.0))
    other.write("metrics.json", {"scores": [{"model": "text", "accuracy": 0.75}]})
    other.write("findings/03_train.json", json.loads(run.path("findings/03_train.json").read_text("utf-8"))[:1])
    other.path("label_suspects.csv").unlink()
    np.savez(other.path("features") / "text.npz", text=np.ones((2, 3), np.float32), present=np.array([True, True]))
    lines = compare_runs(run.folder, other.folder)
    assert lines == [
        "predictions.parquet: columns of one alone: p1",
        "predictions.parquet: p0: 1 of 2 values, by 1e-06 at most",
        f"label_suspects.csv: not in {other.path('label_suspects.csv')}",
        "features/text.npz: text: 6 of 6 values, by 1 at most",
        "features/text.npz: present: 1 of 2 values",
        "metrics.json: /scores/text/accuracy: 0.5 and 0.75 (by 0.25)",
        "findings/03_train.json: only in A: [note] y (The test)",
    ]
    assert main([str(run.folder), str(other.folder)]) == 1 and main(["nowhere"]) == 2
