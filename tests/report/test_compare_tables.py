"""Tables as text: what a reader sees of numbers, undefined values and intervals."""

import numpy as np
import pandas as pd

from fusebook.report import compare_tables

SPACE = "\u00a0"


def scores(**values):
    made = {f"{name}{end}": value for name in ("accuracy", "macro_f1", "log_loss")
            for end, value in (("", 0.5), ("_low", 0.25), ("_high", 0.75))}  # fmt: skip
    return made | values


def test_intervals_break_before_their_bracket_only():
    table = compare_tables.score_table(pd.DataFrame([scores(model="text", majority=0.4)], index=["a"]))
    interval = f"50.0{SPACE}% [25.0,{SPACE}75.0]"
    assert table["lines"] == [["a", "text", interval, interval, f"0.500 [0.250,{SPACE}0.750]", f"40.0{SPACE}%"]]
    assert table["columns"][0] == "run" and table["words"] == {0, 1}


def test_what_is_undefined_is_a_dash():
    undefined = scores(model="text", majority=np.nan, macro_f1_low=np.nan, macro_f1_high=np.nan)
    [line] = compare_tables.score_table(pd.DataFrame([undefined], index=["a"]))["lines"]
    assert line[3] == f"50.0{SPACE}% [–]" and line[5] == "–"


def test_pairs_and_models_show_points_and_p():
    test = {"difference": -0.0251, "low": -0.07, "high": 0.02, "p": 0.00001, "p_holm": 0.0312, "detectable": 0.0661}
    pair = {"a": "one", "b": "two", "only_a": 1400, "only_b": 9, **test}
    points = f"-2.5 [-7.0,{SPACE}+2.0]"
    [line] = compare_tables.pair_table(pd.DataFrame([pair]))["lines"]
    assert line == ["one", "two", points, "1,400", "9", f"<{SPACE}0.0001", "0.031", "6.6"]
    first = scores(model="text", run="one", difference=np.nan, low=np.nan, high=np.nan, p=np.nan, p_holm=np.nan)
    models = pd.DataFrame([first, scores(model="text", run="two", **test)])
    lines = compare_tables.model_table(models)["lines"]
    assert [line[-3:] for line in lines] == [["–"] * 3, [points, f"<{SPACE}0.0001", "0.031"]]
    assert compare_tables.model_table(pd.DataFrame(columns=["p_holm"]))["lines"] == []


def test_a_label_without_rows_has_no_accuracy():
    line = {"rows": 0, "fixed": 0, "broken": 0} | {
        f"{name}{end}": 0.0 for name in ("recall", "f1", "f1_low", "f1_high") for end in ("", "_other")
    }
    table = compare_tables.by_label(pd.DataFrame([line], index=["zoo"]), ("a", "b"), {"zoo": "z…"})
    assert table["lines"][0][:6] == ["z…", "0", "0", "0", "–", "–"]
    assert table["columns"][4:] == ["accuracy, a", "accuracy, b", "F1, a", "F1, b"]


def test_every_outcome_is_counted_also_those_that_no_row_has():
    table = compare_tables.outcome_table(pd.DataFrame({"outcome": ["fixed", "right in both", "fixed", "fixed"]}))
    assert [line[:2] for line in table["lines"]] == [
        ["fixed", "3"], ["broken", "0"], ["right in both", "1"], ["wrong in both", "0"],
    ]  # fmt: skip
    assert table["lines"][0][2].startswith(f"75.0{SPACE}%")


def test_parameters_show_their_values_first():
    index = pd.MultiIndex.from_tuples([("03_train", "epochs", "passes, at most")])
    table = compare_tables.parameter_table(pd.DataFrame([["0", "2"]], index=index, columns=["meaning", "b"]))
    assert table["columns"] == ["parameter", "meaning", "b", "notebooks", "meaning"]
    assert table["lines"] == [["epochs", "0", "2", "03_train", "passes, at most"]]
