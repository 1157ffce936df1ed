"""The rules that every notebook keeps (DESIGN: prose first, short cells, no outputs), and what a stranger's run gives."""

import ast
import re
import shutil
import statistics
from itertools import pairwise

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
import soundfile
from bs4 import BeautifulSoup
from cells import run_cells
from conftest import PROJECT

from fusebook import runs
from fusebook.findings import Findings
from fusebook.runs import Run

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
MOST_LINES, FEW_LINES = 12, 6
MOST_NAMES = 100  # of the library, in all notebooks together
VAGUE = {"asked", "told", "said", "there", "own"}  # names that do not say what they hold
PLUMBING = {"take", "flatnonzero", "isin", "nonzero", "where"}


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


@pytest.fixture(scope="module")
def all_cells():
    """The code cells of all notebooks but parameters and imports, each with the cell before it."""
    read = [nbformat.read(path, as_version=4).cells for path in NOTEBOOKS]
    pairs = [pair for cells in read for pair in pairwise(cells[2:])]
    return [(before, cell) for before, cell in pairs if cell.cell_type == "code"]


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _lines(cell):
    return len([line for line in cell.source.splitlines() if line.strip()])


def test_there_are_notebooks():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["00", "01", "02", "03", "04", "05", "06", "07"]


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


def test_second_cell_holds_the_parameters(notebook):
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == [notebook.cells[1]]
    for line in notebook.cells[1].source.splitlines():
        assert re.fullmatch(r"\w+: \w+ = .+  # .+", line), f"not `name: type = default  # meaning`: {line}"
    for node in ast.parse(notebook.cells[1].source).body:
        ast.literal_eval(node.value)  # nothing is derived here: papermill injects after this cell
    assert 'language: str = "en"  # language of the findings: en or zh' in notebook.cells[1].source


def test_third_cell_imports_nouns_and_rooms_under_their_own_names(notebook):
    source = notebook.cells[2].source
    assert source.startswith(("import ", "from ")) and len(source.splitlines()) <= FEW_LINES
    imports = [node for cell in _code(notebook) for node in ast.walk(ast.parse(cell.source)) if hasattr(node, "names")]
    imports = [node for node in imports if isinstance(node, ast.Import | ast.ImportFrom)]
    ours = [node for node in imports if getattr(node, "module", None) and node.module.startswith("fusebook")]
    assert [node.module for node in ours] == ["fusebook"] and all(name.asname is None for name in ours[0].names)
    assert not [
        cell.source for cell in _code(notebook)[2:] if re.search(r"^\s*(import|from) ", cell.source, re.MULTILINE)
    ]


def test_cells_define_nothing_and_do_no_plumbing(notebook):
    for cell in _code(notebook)[1:]:
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef), cell.source
            assert getattr(node, "id", "") not in VAGUE, cell.source
            assert getattr(node, "attr", "") not in PLUMBING, cell.source
            is_grade = isinstance(node, ast.IfExp) and isinstance(node.body, ast.Constant)
            if isinstance(node, ast.If | ast.IfExp) and not is_grade:
                assert "len(" not in ast.unparse(node.test), f"functions answer an empty table with one: {cell.source}"


def test_cells_are_short(all_cells):
    lengths = [_lines(cell) for _, cell in all_cells]
    assert max(lengths) <= MOST_LINES and statistics.median(lengths) <= 3
    assert np.mean(np.array(lengths) <= FEW_LINES) >= 0.9


def test_a_sentence_stands_before_each_cell(all_cells):
    for before, cell in all_cells:
        assert before.cell_type == "markdown", f"no sentence before: {cell.source[:60]}"
        assert before.source.rstrip().endswith((":", ".")), f"no sentence: {before.source[-60:]}"


def test_the_notebooks_need_few_names_of_the_library():
    names = set()
    for path in NOTEBOOKS:
        cells = _code(nbformat.read(path, as_version=4))
        trees = [node for cell in cells for node in ast.walk(ast.parse(cell.source))]
        ours = {name.name for node in trees if getattr(node, "module", "") == "fusebook" for name in node.names}
        parts = [node for node in trees if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in ours]
        used = {f"{node.value.id}.{node.attr}" for node in parts if node.value.id.islower()}
        names |= used | {name for name in ours if not name.islower()}
    assert len(names) <= MOST_NAMES, sorted(names)


def test_ends_with_what_we_found(notebook):
    assert "## What we found" in notebook.cells[-2].source
    assert re.search(r"\bsave\(\)$", notebook.cells[-1].source)


def test_prose_has_no_results_typed_in(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\d+[.,]\d+ ?%|\d+ (points|rows)\b", cell.source), cell.source[:80]


def test_formulas_become_mathml_without_remains_of_latex(notebook):
    from fusebook.report import pages

    for cell in notebook.cells:
        if cell.cell_type == "markdown" and "$" in cell.source:
            page = BeautifulSoup(pages.markdown_to_html(cell.source), "html.parser")
            assert page.find("math"), cell.source[:80]
            formulas = "".join(sign.get_text() for sign in page.find_all("math"))
            assert not re.search(r"[\\&$]", formulas), f"a command that the converter does not know: {formulas}"
            assert "$" not in page.get_text(), cell.source[:80]


def test_metadata_names_known_artifacts(notebook):
    assert set(notebook.metadata["fusebook"]["reads"]) <= set(runs.WRITTEN_BY)


@pytest.mark.parametrize("name", ["02_preprocess", "03_train", "04_error_analysis", "05_inspect", "06_predict"])
def test_run_too_early_it_names_the_missing_file_and_its_notebook(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not there yet. Notebook 0\d_\w+ writes it"):
        run_cells(name, run=str(tmp_path / "empty"))


def test_one_notebook_runs_alone_with_a_parameter(finished_run, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out.ipynb"
    shutil.copytree(finished_run, run)
    source, given = PROJECT / "notebooks" / "06_predict.ipynb", {"run": str(run), "new_table": "", "language": "zh"}
    papermill.execute_notebook(str(source), str(out), given, progress_bar=False)
    outputs = [output for cell in _code(nbformat.read(out, as_version=4)) for output in cell.outputs]
    assert outputs and not any(output.output_type == "error" for output in outputs)
    assert "行隐去标签的测试数据" in (run / "artifacts" / "findings" / "06_predict.json").read_text("utf-8")


def explore(folder, lines, **parameters):
    """What notebook 01 finds in a table of id, text, label."""
    pd.DataFrame(lines, columns=["id", "text", "label"]).to_csv(folder / "table.csv", index=False)
    given = {"run": str(folder / "run"), "table": str(folder / "table.csv"), "image": "", "audio": ""}
    namespace, _ = run_cells("01_explore", **given | parameters)
    assert namespace["found"] == Findings.load(Run(folder / "run"), "01_explore")
    return [found.text for found in namespace["found"]]


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
    texts = explore(tmp_path, lines)
    share = "80.0 % [37.6, 99.0]"  # four of five, both ways
    (text,) = [text for text in texts if "planted" in text]
    assert text.startswith(f"Of 5 planted faults the checks found {share} (missed: 1 mojibake)")
    assert f"{share} of what they found was planted" in text


def test_notebook_01_needs_neither_a_list_of_faults_nor_a_text(tmp_path):
    table = [(f"n{i}", f"sound{i}.wav", "AB"[i % 2]) for i in range(12)]
    for _, name, _ in table:
        soundfile.write(tmp_path / name, np.random.default_rng(1).normal(scale=0.1, size=4000), 8000)
    texts = explore(tmp_path, table, text="", audio="text")
    assert not [text for text in texts if "planted" in text]
    assert any(text.startswith("Of 12 rows 12 go on") for text in texts)
