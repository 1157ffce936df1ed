"""Notebook 04 on made-up runs with odd labels, one class, one row, 200 classes: a page that reads well, or a message."""

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from conftest import PROJECT
from scipy import sparse

from fusebook import runs
from fusebook.data import features
from fusebook.evaluation import scores

ODD = ["7", "007", "nan", "None", "<script>alert(1)</script>", "x" * 300, "$a$ *b* [c](http://d)"]


def write_run(folder, names, *, n_rows=300, test_labels=None, never=None, spoil=None):
    """The artifacts that 04 reads, as notebooks 01 to 03 would write them, with ``names`` as labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(n_rows) % len(names)
    split = np.array(["train", "train", "train", "validation", "test"])[rng.permutation(n_rows) % 5]
    if test_labels is not None:
        keep = (split != "test") | np.isin(labels, test_labels)
        labels, split = labels[keep], split[keep]
    n_rows = len(labels)
    row = np.arange(1, n_rows + 1)
    text = [f"text <b>{i}</b> of {names[k][:20]}" for i, k in zip(row, labels, strict=True)]
    rows = pd.DataFrame({"row": row, "text": text, "image": "", "audio": "", "group": row})
    rows["label"] = np.array(names, object)[labels]
    ids = pd.DataFrame({"row": row, "split": split, "label": rows["label"], "class_id": labels})
    logits = rng.normal(size=(n_rows, len(names))) + 2.5 * np.eye(len(names))[labels]
    if never is not None:
        logits[:, never] = -30
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if spoil is not None:
        probabilities[split == "test"] = spoil(probabilities[split == "test"])
    flat = np.full_like(probabilities, 1 / len(names))
    judged = split != "train"
    models = {"majority": flat[judged], "linear SVM": flat[judged], "text": probabilities[judged]}
    runs.write_table(folder, "rows.parquet", rows)
    runs.write_table(folder, "splits.parquet", ids)
    runs.write_table(folder, "predictions.parquet", scores.prediction_table(models, ids[judged]))
    values = {"text": (np.eye(len(names))[labels] + rng.normal(size=logits.shape)).astype(np.float32)}
    bag = sparse.csr_array(np.abs(values["text"]))
    features.save_features(runs.artifacts(folder) / "features", values, {"text": np.ones(n_rows, bool)}, bag)
    runs.write_json(runs.artifacts(folder) / "table.json", {"table": str(folder / "table.csv")})
    runs.write_json(runs.artifacts(folder) / "metrics.json", {"chosen": "text", "best_single": "text"})
    runs.write_json(folder / "bundle" / "bundle.json", {"temperatures": {"text": 1.2}})
    return folder


def execute(run, **parameters):
    source, out = PROJECT / "notebooks" / "04_error_analysis.ipynb", run / "out.ipynb"
    papermill.execute_notebook(str(source), str(out), {"run": str(run), **parameters}, progress_bar=False)
    return nbformat.read(out, as_version=4)


def html_of(notebook):
    return [
        output.data["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "text/html" in output.get("data", {})
    ]


def test_odd_labels_are_text_on_the_page(tmp_path):
    """Labels like numbers, nan, None, markup, 300 characters long; one of them is never predicted."""
    names = sorted(ODD)
    notebook = execute(write_run(tmp_path / "run", names, never=names.index("None")), language="zh", most_cards=3)
    html = "".join(html_of(notebook))
    assert "&lt;script&gt;" in html and "<script>" not in html and "<b>" not in html.replace("<b></b>", "")
    assert "x" * 51 not in html
    table = pd.read_parquet(tmp_path / "run" / "artifacts" / "errors.parquet")
    assert set(table["label"]) == set(ODD) and "None" not in set(table["predicted"])
    findings = runs.read_findings(tmp_path / "run", "04_error_analysis")
    assert 5 <= len(findings) <= 8 and all(found["severity"] and found["place"] for found in findings)
    assert any("最弱的类别是“None”" in found["text"] for found in findings)
    last = notebook.cells[-1].outputs[0].data["text/markdown"]
    assert last.startswith("1. **") and "](#" in last and "<script>" not in last


@pytest.mark.parametrize(
    ("n_rows", "names", "test_labels"),
    [(150, ["a", "b", "c"], [1]), (1200, [f"类{i:03d}" for i in range(200)], None)],
    ids=["one class in the test rows", "200 classes"],
)
def test_few_and_many_classes_make_a_page(tmp_path, n_rows, names, test_labels):
    notebook = execute(write_run(tmp_path / "run", names, n_rows=n_rows, test_labels=test_labels))
    assert "many rows could" in str(notebook.cells) or "better than" in str(notebook.cells)
    assert len(runs.read_findings(tmp_path / "run", "04_error_analysis")) >= 4


def test_one_test_row_makes_a_page(tmp_path):
    run = write_run(tmp_path / "run", ["a", "b"], n_rows=100)
    path = run / "artifacts" / "predictions.parquet"
    predictions = pd.read_parquet(path)
    first = predictions.loc[predictions["split"] == "test", "row"].iloc[0]
    kept = predictions[(predictions["split"] == "validation") | (predictions["row"] == first)]
    runs.write_table(run, "predictions.parquet", kept.reset_index(drop=True))
    splits = pd.read_parquet(run / "artifacts" / "splits.parquet")
    splits["split"] = splits["split"].where((splits["split"] != "test") | (splits["row"] == first), "unused")
    runs.write_table(run, "splits.parquet", splits)
    shown = "".join(html_of(execute(run)))
    assert "[–]" in shown, "no bootstrap interval from one row"


@pytest.mark.parametrize(
    "spoil", [lambda p: np.where(np.arange(len(p))[:, None] == 0, np.nan, p), lambda p: p * 0.9], ids=["NaN", "sum"]
)
def test_what_is_no_probability_is_named(tmp_path, spoil):
    run = write_run(tmp_path / "run", ["a", "b"], n_rows=60, spoil=spoil)
    with pytest.raises(
        papermill.PapermillExecutionError, match="text: expected finite probabilities from 0 to 1 whose rows sum"
    ):
        execute(run)


def test_planted_wrong_labels_are_scored(tmp_path):
    run = write_run(tmp_path / "run", ["a", "b", "c"], n_rows=200)
    rows = pd.read_parquet(run / "artifacts" / "rows.parquet")
    rows.assign(id=[f"n{i}" for i in rows["row"]])[["id", "text"]].to_csv(run / "table.csv", index=False)
    table = pd.read_parquet(run / "artifacts" / "splits.parquet")
    test = table[table["split"] == "test"].head(4)
    pd.DataFrame({"id": [f"n{i}" for i in test["row"]], "kind": "wrong_label", "detail": "c"}).to_csv(
        run / "planted.csv", index=False
    )
    shown = str(execute(run).cells)
    assert "Of the 4 wrong labels planted in the rows judged" in shown
    assert "Against the corrected labels text is right for" in shown


def test_a_slice_of_a_named_column_and_a_shortcut_are_told(tmp_path):
    """Rows of one source are wrong more often, and header lines give the label away."""
    run = write_run(tmp_path / "run", ["a", "b", "c"], n_rows=1500)
    rows = pd.read_parquet(run / "artifacts" / "rows.parquet")
    source = np.array(["s_1", "s<2>", "s3", "s4", "s5"])[rows["row"] % 5]
    pd.DataFrame({"source": source}).to_csv(run / "table.csv", index=False)
    head = "From: someone\nOrganization: " + rows["label"] + " labs\n\n"
    random = np.random.default_rng(1)
    words = [" ".join(map("".join, random.choice(list("efghij"), (40, 2)))) for _ in rows["row"]]
    runs.write_table(run, "rows.parquet", rows.assign(text=head + words))
    predictions = pd.read_parquet(run / "artifacts" / "predictions.parquet")
    wrong = (predictions["row"] % 5 == 1) & (predictions["model"] == "text")
    columns = ["p0", "p1", "p2"]
    predictions.loc[wrong, columns] = predictions.loc[wrong, ["p1", "p2", "p0"]].to_numpy()
    runs.write_table(run, "predictions.parquet", predictions)
    notebook = execute(run, fact_columns="source")
    findings = [f"{found['severity']}: {found['text']}" for found in runs.read_findings(run, "04_error_analysis")]
    assert any(line.startswith("serious: Wrong more often than the rest: column source is “s<2>”") for line in findings)
    assert any(line.startswith("serious: A shortcut: a linear model that reads the header lines") for line in findings)
    assert "<2>" not in "".join(html_of(notebook))
    with pytest.raises(papermill.PapermillExecutionError, match=r"The table has no column \['colour'\]"):
        execute(run, fact_columns="colour")
