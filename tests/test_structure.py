"""The library reads one way, as README says: no module imports one to its right, and each has its place there."""

import ast
import re

import pytest
from conftest import PROJECT

LIBRARY = PROJECT / "lib" / "fusebook"
MODULES = sorted(path.stem for path in LIBRARY.glob("*.py") if not path.stem.startswith("__"))
OF_NOTEBOOK_00 = {name for name in MODULES if name.startswith("by_hand")}


def stages():
    """README's order: module name to its place, the same for those that stand side by side."""
    block = (PROJECT / "README.md").read_text("utf-8").split("no module imports one to its right:")[1]
    lines = re.match(r"\n\n((?: {4}.*\n)+)", block).group(1)
    return {
        name.strip(): place
        for place, names in enumerate(" ".join(lines.split()).split("▶"))
        for name in names.split("·")
    }


def imported(name):
    """The modules of the library that module ``name`` imports."""
    found = set()
    for node in ast.walk(ast.parse((LIBRARY / f"{name}.py").read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fusebook":
            path = node.module.split(".")[1:]
            found |= {path[0]} if path else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("fusebook.")}
    return found & set(MODULES)


def test_every_module_has_its_place():
    assert set(stages()) == set(MODULES) - OF_NOTEBOOK_00


@pytest.mark.parametrize("name", sorted(set(MODULES) - OF_NOTEBOOK_00))
def test_a_module_imports_only_what_stands_left_of_it(name):
    places = stages()
    assert {other: places.get(other) for other in imported(name) if places.get(other, 99) >= places[name]} == {}


def test_nothing_but_themselves_imports_the_modules_of_notebook_00():
    assert {name for name in MODULES if imported(name) & OF_NOTEBOOK_00} <= OF_NOTEBOOK_00
