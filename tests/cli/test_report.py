from __future__ import annotations

import pandas as pd
import pytest

from maetab.cli.report.anomalies import beside, count_of_anomalies, reason_rows, reasons_of
from maetab.cli.report.output import aligned
from maetab.files.layout import Layout
from maetab.files.text_table import TextTable

SCORES = pd.DataFrame({"row": [1, 2, 3], "score": [0.5, -2.0, -1.0]})


class Explainer:
    """Says what it was told to say."""

    def __init__(self, found):
        self.found = pd.DataFrame(found, columns=["row", "column", "expected", "reason"])

    def explain(self, frame, top, n_columns):
        assert top == len(frame)
        return self.found


class Speller:
    """Every cell holds 1."""

    def spell(self, name, row, value):
        return "1", str(value)


def test_columns_stand_one_below_the_other():
    assert aligned(["a", "bb"], [["longer", 1], ["x", 22]]) == [
        "a       bb",
        "longer  1",
        "x       22",
    ]


def test_reasons_that_are_written_as_expected_are_left_out():
    found = [
        (1, "size", 1, "weak"),  # the first of its row stays
        (1, "twice", 4, "odd"),
        (2, "size", 3, "odd"),
        (2, "twice", 1, "odd"),  # as expected
    ]
    frame = pd.DataFrame({"size": [1, 1]}, index=[1, 2])
    reasons = reasons_of(Explainer(found), frame, Speller(), 3)
    assert reasons[["row", "place", "column", "reason"]].to_numpy().tolist() == [
        [2, 1, "size", "weak"],
        [2, 2, "twice", "odd"],
        [3, 1, "size", "odd"],
    ]


@pytest.mark.parametrize(
    ("cells", "value", "written"),
    [
        (["150.160947021", "5.16094702"], 76.5, "76.5"),
        (["1.234", "5.160"], 76.5, "76.5"),
        (["1.234", "5.160"], 76.0, "76"),
        (["1,234", "5,160"], 76.5, "76,5"),
        (["1.2345e+00", "5.1600e+01"], 76.5, "7.65e+01"),
        (["$1.25", "$5.10"], 76.5, "$76.50"),
        (["1.234", "5.160"], 1.2341, "1.234"),
        (["5.160", "1.234"], 5.16, "5.160"),  # the cell itself
        (["5.0", "1.0"], 7.0, "7.0"),
    ],
)
def test_what_was_expected_has_no_more_decimals_than_the_number_has(cells, value, written):
    layout = Layout(delimiter=";", decimal="," if "," in cells[0] else ".")
    table = TextTable("x;y\n" + "".join(f"{cell};1\n" for cell in cells), layout)
    table.read_types()
    assert table.spell("x", 0, value) == (cells[0], written)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["anomaly"], "1 of 1 row is an anomaly"),
        (["normal", "anomaly"], "1 of 2 rows is an anomaly"),
        (["normal", "normal"], "0 of 2 rows are anomalies"),
        (["anomaly", "normal", "anomaly"], "2 of 3 rows are anomalies"),
    ],
)
def test_one_row_is_an_anomaly_and_several_are_anomalies(labels, words):
    assert count_of_anomalies(labels) == words


def test_reasons_stand_to_the_right_of_their_row_and_are_listed_below_each_other():
    found = [(1, "size", 7, "odd"), (1, "word", 8, "new"), (2, "word", 9, "odd")]
    frame = pd.DataFrame({"size": [1, 1]}, index=[1, 2])
    reasons = reasons_of(Explainer(found), frame, Speller(), 2)
    wide = beside(SCORES, reasons, 2)
    assert list(wide)[2:6] == ["column_1", "value_1", "expected_1", "reason_1"]
    assert wide["row"].tolist() == [1, 2, 3]
    assert wide.iloc[0, 2:].isna().all()
    assert wide.iloc[1, 2:].tolist() == ["size", "1", "7", "odd", "word", "1", "8", "new"]
    assert reason_rows(SCORES, reasons) == [
        ["2", "-2.00", "size", "1", "7", "odd"],
        ["", "", "word", "1", "8", "new"],
        ["3", "-1.00", "word", "1", "9", "odd"],
    ]


def test_rows_without_any_observed_cell_have_no_reasons():
    frame = pd.DataFrame({"size": [None]}, index=[1])
    reasons = reasons_of(Explainer([]), frame, Speller(), 2)
    assert reasons.empty
    assert beside(SCORES, reasons, 1)["column_1"].isna().all()
