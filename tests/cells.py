"""A notebook's cells run in this process, for tests that need neither a kernel nor a page."""

import ast
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def run_cells(name: str, *, until: str = "", **parameters) -> tuple[dict, list[dict]]:
    """Execute the code cells of the notebook ``name`` one after another, with ``parameters`` after the tagged cell.

    ``until`` is a heading: what stands from there on is left out. Returns the namespace, and what was shown in order:
    the forms (MIME type to content) of each value, of each ``display`` and of each figure. An error comes out as it is;
    ValueError for a parameter that the notebook does not have.
    """
    namespace: dict = {"__name__": "__main__"}
    shown: list[dict] = []
    for number, cell in enumerate(nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells):
        if cell.cell_type == "markdown" and until and f"# {until}" in cell.source:
            break
        if cell.cell_type != "code":
            continue
        shown += _run(cell.source, f"{name}[{number}]", namespace)
        if "parameters" in cell.metadata.get("tags", []):
            if unknown := set(parameters) - set(namespace):
                raise ValueError(f"{name} has no parameter {', '.join(sorted(unknown))}.")
            namespace |= parameters
    return namespace, shown


def _run(source: str, place: str, namespace: dict) -> list[dict]:
    """Execute one cell; its last line's value is shown unless it ends in a semicolon, as IPython does it."""
    shell, tree = InteractiveShell.instance(), ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value = None
    with capture_output(stdout=False, stderr=False) as captured:
        exec(compile(tree, place, "exec"), namespace)
        if last:
            value = eval(compile(ast.Expression(last.value), place, "eval"), namespace)
    values = [value] if value is not None and not source.rstrip().endswith(";") else []
    values += [plt.figure(number) for number in plt.get_fignums()]
    made = [output.data for output in captured.outputs] + [shell.display_formatter.format(one)[0] for one in values]
    plt.close("all")
    return made


def text_of(shown: list[dict]) -> str:
    """Everything that was shown as words, one after another: Markdown, else plain text."""
    return "\n".join(forms.get("text/markdown", forms.get("text/plain", "")) for forms in shown)
