"""The library stands in rooms, each reads only what lies to its left, and README shows them all."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT

LIBRARY = PROJECT / "lib" / "fusebook"
ROOMS = sorted(path.parent for path in LIBRARY.glob("*/__init__.py"))
CLOSETS = [LIBRARY / "data" / "formats"]  # what one module of a room needs, and nobody else: how files are read
MODULES = sorted(path for path in LIBRARY.rglob("*.py"))
MOST_MODULES, MOST_LINES = 10, 400


def test_no_room_imports_one_to_its_right():
    """As pyproject.toml says it, in the words of import-linter."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    made = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout


@pytest.mark.parametrize("folder", [LIBRARY, *ROOMS], ids=lambda folder: folder.name)
def test_a_room_can_be_overlooked(folder):
    modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    assert 0 < len(modules) <= MOST_MODULES, modules
    first = (folder / "__init__.py").read_text("utf-8")
    assert first.startswith('"""') and "lazy_loader" in first
    inside = [path for path in folder.rglob("*.py") if path.parent not in (*ROOMS, *CLOSETS, LIBRARY)]
    assert not inside, "one floor of rooms"


@pytest.mark.parametrize("folder", CLOSETS, ids=lambda folder: folder.name)
def test_a_closet_is_small_and_says_what_it_holds(folder):
    assert len(list(folder.glob("*.py"))) <= MOST_MODULES + 1
    assert (folder / "__init__.py").read_text("utf-8").startswith('"""')


def test_no_module_is_long():
    lengths = {str(path.relative_to(LIBRARY)): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_readme_shows_every_room():
    tree = (PROJECT / "README.md").read_text("utf-8").split("## The tree")[1].split("\n## ")[0]
    assert [room.name for room in ROOMS if f"{room.name}/" not in tree] == []


def test_tests_stand_in_the_rooms_that_they_test():
    rooms = {path.parent.name for path in (PROJECT / "tests").glob("*/test_*.py")}
    assert rooms == {room.name for room in ROOMS} | {"notebooks"}
