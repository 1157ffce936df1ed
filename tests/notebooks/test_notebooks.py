"""The rules that every notebook keeps (DESIGN: prose first, short cells, no outputs), and what a stranger's run gives."""

import ast
import re

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
import soundfile
from bs4 import BeautifulSoup
from conftest import PROJECT

from fusebook import runs
from fusebook.report import pages

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
MOST_LINES = 12


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["00", "01", "02", "03", "04", "05", "06"]


def test_is_valid_and_has_no_outputs(notebook):
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in _code(notebook))


def test_begins_with_a_title_what_comes_in_and_what_goes_out(notebook):
    first = notebook.cells[0].source
    assert first.startswith("# ")
    assert "**In**" in first and "**Out**" in first
    assert len([line for line in first.splitlines()[1:] if line.strip()]) <= 8
    titles = [line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    assert sum(line.startswith("# ") for line in titles) == 1


def test_second_cell_holds_the_parameters_and_the_third_imports(notebook):
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == [notebook.cells[1]]
    for line in notebook.cells[1].source.splitlines():
        assert re.fullmatch(r"\w+: \w+ = .+  # .+", line), f"not `name: type = default  # meaning`: {line}"
    for node in ast.parse(notebook.cells[1].source).body:
        ast.literal_eval(node.value)  # nothing is derived here: papermill injects after this cell
    assert notebook.cells[2].source.startswith(("import ", "from "))


def test_cells_are_short_and_define_nothing(notebook):
    for cell in _code(notebook)[1:]:
        tree = ast.parse(cell.source)
        assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(tree))
        if not cell.source.startswith(("import ", "from ")):
            lines = len(cell.source.splitlines())
            assert lines <= MOST_LINES, f"{lines} lines in a cell: {cell.source[:60]}"


def test_a_sentence_ending_in_a_colon_stands_before_each_cell(notebook):
    for before, cell in zip(notebook.cells[2:], notebook.cells[3:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", f"no sentence before: {cell.source[:60]}"
            assert before.source.rstrip().endswith(":"), f"no colon: {before.source[-60:]}"


def test_ends_with_what_we_found(notebook):
    assert "## What we found" in notebook.cells[-2].source
    assert "write_findings" in notebook.cells[-1].source


def test_prose_has_no_results_typed_in(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\d+[.,]\d+ ?%|\d+ (points|rows)\b", cell.source), cell.source[:80]


def test_formulas_become_mathml_without_remains_of_latex(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and "$" in cell.source:
            page = BeautifulSoup(pages.markdown_to_html(cell.source), "html.parser")
            assert page.find("math"), cell.source[:80]
            said = "".join(sign.get_text() for sign in page.find_all("math"))
            assert not re.search(r"[\\&$]", said), f"a command that the converter does not know: {said}"
            assert "$" not in page.get_text(), cell.source[:80]


def test_metadata_names_known_artifacts(notebook):
    assert set(notebook.metadata["fusebook"]["reads"]) <= set(runs.WRITTEN_BY)


@pytest.mark.parametrize("name", ["02_preprocess", "03_train", "04_error_analysis", "05_inspect", "06_predict"])
def test_run_too_early_it_names_the_missing_file_and_its_notebook(name, tmp_path):
    source = PROJECT / "notebooks" / f"{name}.ipynb"
    with pytest.raises(papermill.PapermillExecutionError, match=r"is not there yet. Notebook 0\d_\w+ writes it"):
        papermill.execute_notebook(
            str(source), str(tmp_path / "out.ipynb"), {"run": str(tmp_path / "empty")}, progress_bar=False
        )


def test_one_notebook_runs_alone_with_a_parameter(finished_run, tmp_path):
    out = tmp_path / "out.ipynb"
    source = PROJECT / "notebooks" / "04_error_analysis.ipynb"
    papermill.execute_notebook(str(source), str(out), {"run": str(finished_run), "most_cards": 1}, progress_bar=False)
    outputs = [output for cell in _code(nbformat.read(out, as_version=4)) for output in cell.outputs]
    assert outputs and not any(output.output_type == "error" for output in outputs)


def explore(folder, lines, **parameters):
    """Execute notebook 01 on a table of id, text, label, and return what it shows as plain text and Markdown."""
    pd.DataFrame(lines, columns=["id", "text", "label"]).to_csv(folder / "table.csv", index=False)
    given = {"run": str(folder / "run"), "table": str(folder / "table.csv"), "image": "", "audio": ""}
    source = PROJECT / "notebooks" / "01_explore.ipynb"
    made = papermill.execute_notebook(str(source), str(folder / "out.ipynb"), given | parameters, progress_bar=False)
    data = [output.data for cell in _code(made) for output in cell.outputs if "data" in output]
    return [shown.get("text/markdown", shown.get("text/plain", "")) for shown in data]


def test_notebook_01_counts_the_planted_faults_it_found_and_missed(tmp_path):
    lines = [(f"n{i}", f"第{i}条：{chr(0x5000 + 97 * i) * 30}", "AB"[i % 2]) for i in range(20)]
    long = "今天的选举结果已经公布，请各位明天再来看新闻"
    lines[3] = ("n3", long.encode().decode("latin-1"), "A")
    lines[4] = ("n4", "完好的一句话，没有乱码", "A")  # said to be garbled: a miss
    lines[5] = ("n5", "干净的标签旁边有空格", " B")
    lines[6] = ("n6", "", "A")
    lines[8] = ("n8", lines[7][1], "A")
    lines[10] = ("n10", lines[9][1], "A")  # not on the list: a find that nobody planted
    faults = [("n3", "mojibake", ""), ("n4", "mojibake", ""), ("n5", "odd_label", "B"), ("n6", "empty_text", ""),
              ("n8", "exact_duplicate", "n7"), ("n1", "wrong_label", "A")]  # fmt: skip
    pd.DataFrame(faults, columns=["id", "kind", "detail"]).to_csv(tmp_path / "planted.csv", index=False)
    # n6 has no part but its text, so its row is refused; the fault counts all the same.
    told = "\n".join(explore(tmp_path, lines))
    share = "80.0 % [37.6, 96.4]"  # four of five, both ways
    assert f"Of 5 planted faults the checks found {share} (missed: 1 mojibake)" in told
    assert f"{share} of what they found was planted" in told


def test_notebook_01_needs_neither_a_list_of_faults_nor_a_text(tmp_path):
    table = [(f"n{i}", f"sound{i}.wav", "AB"[i % 2]) for i in range(12)]
    for _, name, _ in table:
        soundfile.write(tmp_path / name, np.random.default_rng(1).normal(scale=0.1, size=4000), 8000)
    told = "\n".join(explore(tmp_path, table, text="", audio="text"))
    assert "Nothing was refused." in told and "No list of known faults belongs to this table." in told
    assert "planted" not in (tmp_path / "run/artifacts/findings/01_explore.json").read_text("utf-8")
    assert "12 of 12 rows go on" in told
