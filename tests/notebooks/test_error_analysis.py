"""Notebook 04 on made-up runs with odd labels, one class, one row, 200 classes: a readable page, or a message."""

import shutil

import numpy as np
import pandas as pd
import pytest
from cells import run_cells, text_of
from scipy import sparse

from fusebook.data.dataset import Dataset
from fusebook.data.features import Features
from fusebook.data.predictions import Predictions
from fusebook.evaluation.comparison import PairedTests
from fusebook.findings import Findings
from fusebook.runs import Run

ODD = ["7", "007", "nan", "None", "<script>alert(1)</script>", "x" * 300, "$a$ *b* [c](http://d)"]


def write_run(folder, names, *, n_rows=300, test_labels=None, never=None, spoil=None):
    """The artifacts that 04 reads, as notebooks 01 to 03 would write them, with ``names`` as labels."""
    run, rng = Run(folder), np.random.default_rng(0)
    labels = np.arange(n_rows) % len(names)
    split = np.array(["train", "train", "train", "validation", "test"])[rng.permutation(n_rows) % 5]
    if test_labels is not None:
        keep = (split != "test") | np.isin(labels, test_labels)
        labels, split = labels[keep], split[keep]
    row = np.arange(1, len(labels) + 1)
    text = [f"text <b>{i}</b> of {names[k][:20]}" for i, k in zip(row, labels, strict=True)]
    rows = pd.DataFrame({"row": row, "text": text, "image": "", "audio": "", "group": row})
    rows["label"] = np.array(names, object)[labels]
    logits = rng.normal(size=(len(row), len(names))) + 2.5 * np.eye(len(names))[labels]
    if never is not None:
        logits[:, never] = -30
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if spoil is not None:
        probabilities[split == "test"] = spoil(probabilities[split == "test"])
    values = (np.eye(len(names))[labels] + rng.normal(size=logits.shape)).astype(np.float32)
    features = Features({"text": values}, {"text": np.ones(len(row), bool)}, sparse.csr_array(np.abs(values)))
    data = Dataset.of_rows(rows.assign(split=split, label_before=rows["label"]), features)
    flat = np.full_like(probabilities, 1 / len(names))
    answers = {"majority": flat, "linear SVM": flat, "text": probabilities}
    run.write("rows.parquet", rows)
    data.save(run)
    run.write("predictions.parquet", Predictions(answers, data.rows, names).chosen(split != "train").table())
    run.write("table.json", {"table": str(folder / "table.csv")})
    tests = PairedTests(run.scored(), [(name, "text") for name in ("majority", "linear SVM")] if spoil is None else [])
    facts = {"chosen": "text", "best_single": "text", "comparison": tests.table.to_dict("records")}
    run.write("metrics.json", facts)
    run.write("bundle/bundle.json", {"temperatures": {"text": 1.2}, "fusions": {}})
    return run


def forget_origins(run):
    """The artifacts were changed on purpose, one without the others."""
    shutil.rmtree(run.path("made_of"))


def execute(run, **parameters):
    """What the cells of 04 showed."""
    return run_cells("04_error_analysis", run=str(run.folder), **parameters)[1]


def html_of(shown):
    return "".join(forms.get("text/html", "") for forms in shown)


def found_in(run):
    return Findings.load(run, "04_error_analysis")


def test_odd_labels_are_text_on_the_page(tmp_path):
    """Labels like numbers, nan, None, markup, 300 characters long; one of them is never predicted."""
    names = sorted(ODD)
    run = write_run(tmp_path / "run", names, never=names.index("None"))
    shown = execute(run, language="zh", most_cards=3)
    html = html_of(shown)
    assert "&lt;script&gt;" in html and "<script>" not in html and "<b>" not in html.replace("<b></b>", "")
    assert "x" * 51 not in html
    table = run.read("errors.parquet")
    assert set(table["label"]) == set(ODD) and "None" not in set(table["predicted"])
    findings = found_in(run)
    assert len(findings) >= 5 and all(found.severity and found.place for found in findings)
    assert any("最弱的类别是“None”" in found.text for found in findings)
    last = shown[-1]["text/markdown"]
    assert last.startswith("1. **") and "](#" in last and "<script>" not in last


@pytest.mark.parametrize(
    ("n_rows", "names", "test_labels"),
    [(150, ["a", "b", "c"], [1]), (800, [f"类{i:03d}" for i in range(200)], None)],
    ids=["one class in the test rows", "200 classes"],
)
def test_few_and_many_classes_make_a_page(tmp_path, n_rows, names, test_labels):
    run = write_run(tmp_path / "run", names, n_rows=n_rows, test_labels=test_labels)
    shown = text_of(execute(run))
    assert "many rows could" in shown or "better than" in shown
    assert len(found_in(run)) >= 4


def test_one_test_row_makes_a_page(tmp_path):
    run = write_run(tmp_path / "run", ["a", "b"], n_rows=100)
    predictions, splits = run.read("predictions.parquet"), run.read("splits.parquet")
    first = predictions.loc[predictions["split"] == "test", "row"].iloc[0]
    kept = predictions[(predictions["split"] == "validation") | (predictions["row"] == first)]
    run.write("predictions.parquet", kept.reset_index(drop=True))
    splits["split"] = splits["split"].where((splits["split"] != "test") | (splits["row"] == first), "unused")
    run.write("splits.parquet", splits)
    forget_origins(run)
    assert "[–]" in html_of(execute(run)), "no bootstrap interval from one row"


def test_a_model_that_answered_about_test_rows_alone_makes_a_page(tmp_path):
    run = write_run(tmp_path / "run", ["a", "b", "c"])
    predictions = run.read("predictions.parquet")
    run.write("predictions.parquet", predictions[(predictions["split"] == "test") | (predictions["model"] == "text")])
    forget_origins(run)
    space, shown = run_cells("04_error_analysis", until="Would more rows help?", run=str(run.folder), model="majority")
    assert set(space["listing"].table["split"]) == {"test"}
    assert set(space["suspects"].list["split"]) <= {"train", "test"}
    assert "labels that majority judged" in text_of(shown)


@pytest.mark.parametrize(
    "spoil", [lambda p: np.where(np.arange(len(p))[:, None] == 0, np.nan, p), lambda p: p * 0.9], ids=["NaN", "sum"]
)
def test_what_is_no_probability_is_named(tmp_path, spoil):
    run = write_run(tmp_path / "run", ["a", "b"], n_rows=60, spoil=spoil)
    with pytest.raises(ValueError, match="text: expected finite probabilities from 0 to 1 whose rows sum"):
        execute(run)


def test_planted_wrong_labels_are_scored(tmp_path):
    run = write_run(tmp_path / "run", ["a", "b", "c"], n_rows=200)
    rows, splits = run.read("rows.parquet"), run.read("splits.parquet")
    rows.assign(id=[f"n{i}" for i in rows["row"]])[["id", "text"]].to_csv(run.folder / "table.csv", index=False)
    ids = [f"n{i}" for i in splits.loc[splits["split"] == "test", "row"].head(4)]
    planted = pd.DataFrame({"id": ids, "kind": "wrong_label", "detail": "c"})
    planted.to_csv(run.folder / "planted.csv", index=False)
    shown = text_of(execute(run, until="Would more rows help?"))
    assert "Of the 4 wrong labels planted in the rows judged" in shown
    assert "Against the corrected labels text is right for" in shown


def test_a_slice_of_a_named_column_and_a_shortcut_are_told(tmp_path):
    """Rows of one source are wrong more often, and header lines give the label away."""
    run = write_run(tmp_path / "run", ["a", "b", "c"], n_rows=1500)
    rows = run.read("rows.parquet")
    source = np.array(["s_1", "s<2>", "s3", "s4", "s5"])[rows["row"] % 5]
    pd.DataFrame({"source": source}).to_csv(run.folder / "table.csv", index=False)
    head = "From: someone\nOrganization: " + rows["label"] + " labs\n\n"
    random = np.random.default_rng(1)
    words = [" ".join(map("".join, random.choice(list("efghij"), (40, 2)))) for _ in rows["row"]]
    run.write("rows.parquet", rows.assign(text=head + words))
    forget_origins(run)
    predictions = run.read("predictions.parquet")
    wrong = (predictions["row"] % 5 == 1) & (predictions["model"] == "text")
    columns = ["p0", "p1", "p2"]
    predictions.loc[wrong, columns] = predictions.loc[wrong, ["p1", "p2", "p0"]].to_numpy()
    run.write("predictions.parquet", predictions)
    space, shown = run_cells(
        "04_error_analysis", until="Which labels may be wrong?", run=str(run.folder), fact_columns="source"
    )
    findings = [f"{found.severity}: {found.text}" for found in space["found"]]
    assert any(line.startswith("serious: Wrong more often than the rest: column source is “s<2>”") for line in findings)
    assert any(line.startswith("serious: A shortcut: a linear model that reads the header lines") for line in findings)
    assert "<2>" not in html_of(shown)
