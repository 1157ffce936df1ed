"""`fusebook predict`: the output path is looked at first, refused rows are kept, formulas are made harmless."""

import csv
import shutil

import pytest
import tiny_bundle
from click.testing import CliRunner
from lazily import Lazy

from fusebook import cli

room = Lazy("fusebook.models.bundle")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rows, labels = tiny_bundle.make_rows(tmp_path_factory.mktemp("sounds"))
    return tiny_bundle.save(tmp_path_factory.mktemp("run"), *tiny_bundle.make_models(rows, labels))


@pytest.fixture
def table(tmp_path):
    (tmp_path / "new.csv").write_text("title,row\ngoal,=1+1\n,b\nbank\n", "utf-8")
    return tmp_path / "new.csv"


def predict(folder, table, output, *options):
    paths = ["--bundle", str(folder), "--table", str(table), "--output", str(output)]
    return CliRunner().invoke(cli.main, ["predict", *paths, "--text", "title", *options])


def written(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_every_line_of_the_table_is_in_the_output(folder, table, tmp_path):
    made = predict(folder, table, tmp_path / "new folder" / "made.csv")
    assert made.exit_code == 0, made.output
    assert "1 rows predicted, 2 refused" in made.output
    lines = written(tmp_path / "new folder" / "made.csv")
    assert [line["row"] for line in lines] == ["1", "2", "3"]
    assert [line["reason"] for line in lines] == ["", "TEXT_EMPTY; NO_CONTENT", "FIELD_COUNT"]
    assert [bool(line["predicted"]) for line in lines] == [True, False, False]
    assert lines[0]["row (table)"] == "'=1+1"


def test_formulas_are_kept_where_that_is_asked_for(folder, table, tmp_path):
    assert predict(folder, table, tmp_path / "made.csv", "--keep-formulas").exit_code == 0
    assert written(tmp_path / "made.csv")[0]["row (table)"] == "=1+1"
    said = " ".join(CliRunner().invoke(cli.main, ["predict", "--help"]).output.split())
    assert "--keep-formulas" in said and "By default a ' goes before them" in said


def test_the_output_is_looked_at_before_anything_is_read(table, tmp_path):
    """No bundle is there, but it is not what is complained of."""
    made = predict(tmp_path / "no bundle", table, table / "made.csv")
    assert made.exit_code == 1 and "new.csv is a file. Name a path in a folder." in made.output
    made = predict(tmp_path / "no bundle", table, tmp_path)
    assert made.exit_code == 1 and "is there already" in made.output


def test_a_damaged_bundle_is_told_in_a_sentence(folder, table, tmp_path):
    damaged = shutil.copytree(folder, tmp_path / "bundle")
    (damaged / "encoders" / "text.npz").write_bytes(b"PK\x03\x04")
    made = predict(damaged, table, tmp_path / "made.csv")
    assert made.exit_code == 1 and not (tmp_path / "made.csv").exists()
    assert "text.npz: found 4 bytes; expected" in made.output and "Traceback" not in made.output
