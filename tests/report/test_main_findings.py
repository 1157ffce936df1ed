"""Which findings stand on a run's first page: the severest, one a topic, none twice."""

import pytest

from fusebook import runs
from fusebook.report.index import FUSION, SCORE, main_findings

NOTEBOOKS = ["00_mlp_by_hand", "01_explore", "03_train", "04_error_analysis"]


def chosen(run, **options):
    return [found["text"] for found in main_findings(run, NOTEBOOKS, **options)]


def test_the_severest_first_then_by_what_they_are_about(tmp_path):
    runs.write_findings(tmp_path, "01_explore", [("look", "Garbled texts.", "The table as it came")])
    runs.write_findings(tmp_path, "03_train", [("look", "Fusion brings nothing.", "Is fusion worth it?")])
    runs.write_findings(
        tmp_path,
        "04_error_analysis",
        [
            ("look", "Twenty suspects.", "Which labels may be wrong?"),
            ("serious", "Too sure of itself.", "How sure may one be?"),
            ("note", "A modest score.", "How sure is the score?"),
        ],
    )
    expected = ["Too sure of itself.", "Fusion brings nothing.", "Twenty suspects.", "Garbled texts."]
    assert chosen(tmp_path) == [*expected, "A modest score."]
    assert chosen(tmp_path, most=2) == expected[:2]


def test_a_topic_is_told_once_by_its_severest_finding(tmp_path):
    place = "Is fusion worth it?"
    told = [("note", "Mean gains.", place), ("serious", "Stacked loses.", place), ("look", "Weighted?", place)]
    runs.write_findings(tmp_path, "03_train", [*told, ("look", "Beats nothing.", "The test")])
    runs.write_findings(
        tmp_path, "04_error_analysis", [("look", "The SVM is as good.", "Is it better than the others?")]
    )
    assert chosen(tmp_path) == ["Stacked loses.", "The SVM is as good."]


def test_what_the_headline_tells_is_repeated_only_where_it_worries(tmp_path):
    runs.write_findings(
        tmp_path, "03_train", [("note", "Right for many.", "The test"), ("look", "Fusion?", "Is fusion worth it?")]
    )
    assert chosen(tmp_path, told=(SCORE, FUSION)) == ["Fusion?"]


def test_sentences_that_differ_in_numbers_alone_are_told_once(tmp_path):
    runs.write_findings(tmp_path, "01_explore", ["12 rows of 1,000 were refused.", "Five labels."])
    runs.write_findings(tmp_path, "03_train", ["34 rows of 900 were refused.", "有 5 个标签可疑。"])
    runs.write_findings(tmp_path, "04_error_analysis", ["有 6 个标签可疑。"])
    expected = ["12 rows of 1,000 were refused.", "Five labels.", "有 5 个标签可疑。"]
    assert chosen(tmp_path) == expected


def test_the_method_and_notebooks_that_do_not_hold_tell_nothing(tmp_path):
    runs.write_findings(tmp_path, "00_mlp_by_hand", [("serious", "Slopes agree.", "Third proof")])
    runs.write_findings(tmp_path, "06_predict", [("serious", "From an earlier run.", "The answers")])
    assert chosen(tmp_path) == []


@pytest.mark.parametrize("severity", ["", "unheard of"])
def test_findings_of_older_runs_come_last(tmp_path, severity):
    runs.write_json(
        tmp_path / "artifacts" / "findings" / "01_explore.json", [{"severity": severity, "text": "Old.", "place": ""}]
    )
    runs.write_findings(tmp_path, "03_train", [("note", "New.", "Anywhere")])
    assert chosen(tmp_path) == ["New.", "Old."]
