"""What fit warns of: text that should be numbers or dates, marks of missing, networks left out."""

from __future__ import annotations

import ast
import warnings

import numpy as np
import pandas as pd
import pytest
from models import QUICK

from maetab import MAEImputer
from maetab.data.schema import infer_schema
from maetab.data.text import MOST_TEXTS, almost_of
from maetab.parameters import warn_of_network


def test_code_without_a_name_is_warned_as_any_other():
    code = "imputer.fit(X)"
    X = np.column_stack([np.ones(20), np.arange(20.0)])
    with pytest.warns(UserWarning, match="column 'x0' is constant") as caught:
        exec(
            compile(code, "given.py", "exec"),
            {"imputer": MAEImputer(guess=QUICK, max_iter=0), "X": X},
        )
    assert caught[0].filename == "given.py"


def test_a_network_left_out_is_told_in_plain_words():
    words = "s no network was trained (2 columns); the first guess alone will be used."
    with pytest.warns(UserWarning) as caught:
        warn_of_network("MAEImputer", 3.0, 2)
    assert f"MAEImputer: within max_time=3 {words} A larger max_time" in str(caught[0].message)


def test_two_rows_that_are_equal_are_not_told_to_be_constant_and_three_are():
    assert warning_of([1.0, 1.0], float) == ""
    assert "column 'x' is constant" in warning_of([1.0, 1.0, 1.0], float)


# ---- text that may be no category


@pytest.mark.parametrize(("n_cells", "n_others"), [(40, 10), (200, 20)])
def test_others_are_few_up_to_ten_texts_and_up_to_a_tenth_of_many_cells(n_cells, n_others):
    for n, almost in ((n_others, True), (n_others + 1, False)):
        numbers = [str(i % 9) for i in range(n_cells - n)]
        series = pd.Series([*numbers, *(f"text {i}" for i in range(n))], dtype=object)
        column = infer_schema(series.to_frame("x")).columns[0]
        assert (almost_of(series, column) is not None) == almost


def warning_of(cells, dtype=object, **parameters) -> str:
    """What fit warns of in a column 'x' beside numbers; "" if nothing."""
    n = len(cells)
    frame = pd.DataFrame({"x": pd.Series(cells, dtype=dtype), "y": np.arange(float(n))})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MAEImputer(guess=QUICK, **{"max_iter": 0, **parameters}).fit(frame)
    assert len(caught) <= 1
    return str(caught[0].message) if caught else ""


def advised(text: str, what: str):
    """The value behind `what=` in a warning."""
    return ast.literal_eval(text.partition(f"{what}=")[2].partition("]")[0] + "]")


@pytest.mark.slow
@pytest.mark.parametrize("mark", ["?", "", "nan"])
@pytest.mark.parametrize("n_different", [4, 160])
def test_numbers_with_a_mark_of_missing_are_named_with_what_to_do(mark, n_different):
    numbers = [i % n_different for i in range(160)]
    cells = [*numbers, *[mark] * 40, *[None] * 40]
    text = warning_of(cells)
    assert "but 80% of its cells are numbers" in text and repr(mark) in text
    marks = advised(text, "missing_values")
    assert marks == [mark] and warning_of(cells, missing_values=marks) == ""
    frame = pd.DataFrame({"x": pd.Series(cells, dtype=object), "y": np.arange(240.0)})
    filled = MAEImputer(guess=QUICK, max_iter=0, missing_values=marks).fit_transform(frame)["x"]
    assert all(isinstance(cell, int) for cell in filled)


def test_marks_of_several_columns_are_told_in_one_list():
    frame = pd.DataFrame({"a": ["u", "v", "-"] * 20, "b": ["?", "v", "-"] * 20})
    with pytest.warns(UserWarning) as caught:
        MAEImputer(guess=QUICK, max_iter=0).fit(frame)
    text = str(caught[0].message)
    assert len(caught) == 1 and "'-' in column 'a', '-', '?' in column 'b'" in text
    assert advised(text, "missing_values") == ["-", "?"]
    assert advised(text, "categorical_features") == ["a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [object, "str", "string[pyarrow]"])
@pytest.mark.parametrize("n_different", [5, 200])
def test_numbers_and_dates_written_as_text_are_converted_as_the_warning_says(dtype, n_different):
    numbers = [str(i % n_different - 2) for i in range(200)]
    days = pd.date_range("2024-01-01", periods=n_different).strftime("%Y-%m-%d")
    dates = [days[i % n_different] for i in range(200)]
    for cells, kind in ((numbers, "numbers"), (dates, "dates")):
        for odd in ([], ["?"] * 20, ["none", "?"] * 10):
            text = warning_of(cells + odd, dtype)
            share = f"{200 / (200 + len(odd)):.0%} of its cells are {kind}; convert it by "
            assert share in text
            code = text.partition("convert it by ")[2].partition(")")[0] + ")"
            column = pd.Series(cells + odd, dtype=dtype)
            read = eval(code, {"pandas": pd, "column": column})
            assert read.notna().sum() == 200 and read.dtype.kind in "ifM"
            named = warning_of(cells + odd, dtype, categorical_features=["x"])
            assert "convert" not in named + warning_of(cells + odd, "category")


@pytest.mark.slow
@pytest.mark.parametrize(
    "mark", ["?", "", " ", "nan", "NaN", "-", "--", ".", "<NA>", "N/A", "None"]
)
@pytest.mark.parametrize("dtype", [object, "str"])
def test_a_level_that_usually_means_missing_is_named(mark, dtype):
    cells = ["red", "blue", mark, "red"] * 10
    text = warning_of(cells, dtype, missing_values=-999)
    assert f"usual marks of missing are taken as text: {mark!r} in column 'x'; pass" in text
    assert advised(text, "missing_values") == [-999, mark]
    assert warning_of(cells, dtype, missing_values=[-999, mark]) == ""
    assert (
        warning_of(cells, dtype, categorical_features=advised(text, "categorical_features")) == ""
    )


@pytest.mark.parametrize(
    "cells",
    [
        ["007", "12", "13", "14"] * 10,  # padded: names
        [str(10**19 + i % 7) for i in range(40)],
        ["1", "a", "b", "c"] * 10,
        [*map(str, range(30)), *[f"PC {i}" for i in range(20)]] * 3,  # too many others
        ["2024-13-45"] * 20 + ["2024-14-01"] * 20,  # no dates
        ["red", "blue"] * 20,
        [1, 2, True, "a"] * 10,  # pandas.to_numeric takes True for 1
    ],
)
def test_other_text_is_a_category_without_a_word(cells):
    assert warning_of(cells) == ""


def test_a_limit_of_detection_is_no_missing_cell():
    """Made missing, the lowest values of a column would be filled with usual ones."""
    numbers = [f"{i % 9}.5" for i in range(40)]
    said = "'<0.5' tells a limit, and as a missing cell is filled with usual values"
    assert said in warning_of([*numbers, "<0.5", "<0.5"])
    assert "'<-40' tells a limit" in warning_of([*numbers, "<-40", "<-40"])
    assert "limit" not in warning_of([*numbers, "unknown", "unknown"])


def test_only_a_bounded_number_of_cells_of_free_text_is_looked_at():
    numbers = [f"{i}.5" for i in range(MOST_TEXTS)]
    for n_words, share in ((0, 1.0), (2 * MOST_TEXTS, 1.0)):
        cells = [*numbers, *[f"{i} m" for i in range(n_words)]]
        column = infer_schema(pd.DataFrame({"x": cells})).columns[0]
        assert column.free_text == len(cells)
        assert almost_of(pd.Series(cells), column).share == share
    assert almost_of(pd.Series(cells[::-1]), column) is None


def test_a_table_of_numbers_as_free_text_is_refused_with_what_to_do():
    frame = pd.DataFrame({"x": [f"{i}.5" for i in range(50)]})
    with pytest.raises(ValueError, match=r"cannot learn .*'x' .*pandas.to_numeric\(column\)"):
        MAEImputer(guess=QUICK, max_iter=0).fit(frame)
