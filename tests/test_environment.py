"""environment.yml, pyproject.toml and requirements.lock must say the same."""

import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from conftest import PROJECT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NOT_LOCKED = {"syntax"}  # an extra that a person installs by hand


def _ranges(without: set[str] = frozenset()) -> dict[str, Requirement]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = project["dependencies"] + [line for name, extra in extras.items() if name not in without for line in extra]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def _locked() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", _lock_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def _lock_text() -> str:
    return (PROJECT / "requirements.lock").read_text()


def test_lock_holds_every_dependency_within_its_range():
    locked = _locked()
    for name, requirement in _ranges(NOT_LOCKED).items():
        assert name in locked, f"{name} is in pyproject.toml but not in requirements.lock: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in locked[name]), name


def test_lock_has_hashes_and_no_index_address():
    assert "://" not in _lock_text()
    assert "--index-url" not in _lock_text()
    packages = len(re.findall(r"^[A-Za-z0-9._-]+==", _lock_text(), re.MULTILINE))
    with_hash = len(re.findall(r"^[A-Za-z0-9._-]+==[^\n]*\\\n    --hash=sha256:", _lock_text(), re.MULTILINE))
    assert packages == with_hash > 100


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_lock_is_universal(platform):
    assert f"sys_platform == '{platform}'" in _lock_text() or f"sys_platform != '{platform}'" in _lock_text()


def test_environment_yml_names_each_dependency_with_a_reason():
    text = (PROJECT / "environment.yml").read_text()
    reasons = dict(re.findall(r"^#   ([a-z0-9-]+): (\S.+)$", text, re.MULTILINE))
    assert set(reasons) == set(_ranges())


def test_environment_yml_installs_the_lock_and_this_project():
    parts = yaml.safe_load((PROJECT / "environment.yml").read_text())["dependencies"]
    (pip_lines,) = [part["pip"] for part in parts if isinstance(part, dict)]
    assert "--requirement requirements.lock" in pip_lines
    assert any(line.endswith("--editable .") for line in pip_lines)


def test_keras_finds_its_backend_without_a_variable():
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    code = "import fusebook, keras; print(keras.backend.backend())"
    made = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "jax"
