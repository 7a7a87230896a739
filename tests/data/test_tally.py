"""What parts of a column say together is what the whole column says."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from frames import mixed_frames
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maetab.data import tally as tally_file
from maetab.data.cells import Cells
from maetab.data.columns import Column
from maetab.data.schema import infer_schema
from maetab.data.tally import merged, tally_of
from maetab.streams import missing_in

many = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
FIGURES = ["center", "scale", "lower", "upper"]


def suggested(series: pd.Series, cuts: list[int], chosen: bool = False) -> Column:
    """The column that the parts between some cuts suggest together."""
    ends = [0, *sorted(cut % (len(series) + 1) for cut in cuts), len(series)]
    parts = [series.iloc[a:b] for a, b in itertools.pairwise(ends)]
    return merged(tally_of(Cells(part), [], chosen) for part in parts).infer()


def assert_same(mine: Column, theirs: Column) -> None:
    np.testing.assert_allclose(
        [getattr(mine, name) for name in FIGURES],
        [getattr(theirs, name) for name in FIGURES],
        rtol=1e-9,
        atol=1e-12 * max(theirs.scale, abs(theirs.upper), abs(theirs.lower)),
    )
    np.testing.assert_allclose(mine.distinct, theirs.distinct)
    rest = {name: 0.0 for name in FIGURES} | {"distinct": ()}
    assert dataclasses.replace(mine, **rest) == dataclasses.replace(theirs, **rest)


@pytest.mark.parametrize("texts", [["0.5", "0.25"], ["0.25", "0.5"]])
def test_decimals_of_parts_are_the_most_that_any_has(texts):
    column = suggested(pd.Series([decimal.Decimal(text) for text in texts], dtype=object), [1])
    assert column.decimals == 2 and column.step == 0.01


def test_a_grid_too_fine_for_the_largest_number_of_another_part_is_none():
    fine = pd.Series([0.25, 0.5, 0.75])
    for far, step in ((1e12, 0.01), (1e13, None)):
        series = pd.concat([fine, pd.Series([far, far + 1])], ignore_index=True)
        assert suggested(series, [3]).step == suggested(series, []).step == step


@given(frame=mixed_frames(min_rows=2), cuts=st.lists(st.integers(0, 40), max_size=4))
@many
def test_parts_of_a_column_suggest_what_all_of_it_does(frame, cuts):
    for place in range(frame.shape[1]):
        series = frame.iloc[:, place]
        if series.dtype == object and len({*map(type, series.dropna())}) > 1:
            continue  # parts of mixed objects may be of other kinds, see below
        assert_same(suggested(series, cuts), suggested(series, []))


@pytest.mark.parametrize(
    "cells",
    [
        [0.5, 1.25, None, 3.0],
        [1e300, -1e300, 2e300, 1e299],
        [2.0, 2.0, 2.0, 2.0],
        [1e9, 1e9 + 1, 1e9 + 2, 0.01],
        [2**60, 2**60 + 1, 2**60 + 7, 2**60 + 3],
        [1, 2**60, 5, 2**60 + 3],
        [True, None, False, True],
        ["b", "a", "a", None],
        [datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 2, 3), None, None],
    ],
)
@pytest.mark.parametrize("cuts", [[1], [2], [0, 2, 3], [4]])
def test_odd_columns_are_the_same_however_they_are_split(cells, cuts):
    kind = "Int64" if all(isinstance(x, int) and x is not True for x in cells) else None
    series = pd.Series(cells, dtype=kind)
    assert_same(suggested(series, cuts), suggested(series, []))


def test_levels_of_parts_with_other_categories_are_in_order_of_all():
    parts = [pd.Series(["d", "b", "b"], dtype="category"), pd.Series(["a", "c"], dtype="category")]
    column = merged(tally_of(Cells(part), [], False) for part in parts).infer()
    assert column.levels == ("b", "a", "c", "d") and column.counts == (2, 1, 1, 1)


def test_an_order_of_categories_stays():
    dtype = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
    series = pd.Series(["high", "high", "low"] * 4, dtype=dtype)
    column = suggested(series, [5])
    assert column == suggested(series, []) and column.levels == ("high", "low", "mid")
    assert [column.levels[place] for place in column.order] == ["low", "mid", "high"]


def test_ordered_categories_of_another_order_are_refused():
    kinds = [pd.CategoricalDtype(x, ordered=True) for x in (["lo", "hi"], ["lo", "mid", "hi"])]
    each = [tally_of(Cells(pd.Series(["lo", "hi"], dtype=k, name="x")), [], False) for k in kinds]
    with pytest.raises(ValueError, match="column 'x' has ordered categories that differ"):
        merged(each)


def test_text_is_free_where_it_is_in_all_parts_together():
    series = pd.Series([f"row {i}" for i in range(60)], dtype="str")
    assert suggested(series, [10, 20, 30, 40, 50]).free_text == 60
    assert suggested(series, [10, 20], chosen=True).free_text == 0
    assert suggested(pd.Series(["a", "b"] * 30, dtype="str"), [10, 31]).free_text == 0


def test_text_with_too_many_values_is_no_longer_counted(monkeypatch):
    monkeypatch.setattr(tally_file, "MOST_COUNTED", 30)
    series = pd.Series([f"row {i}" for i in range(60)] + ["row 1"] * 500, dtype="str")
    parts = [series.iloc[a : a + 20] for a in range(0, 560, 20)]
    found = merged(tally_of(Cells(part), [], False) for part in parts)
    assert not found.values and found.infer().free_text > 30


@pytest.mark.parametrize(
    "parts",
    [
        ([1, 2], ["a", "b"]),
        (["a", "b"], [1, 2]),
    ],
)
def test_parts_of_other_kinds_are_refused(parts):
    each = [tally_of(Cells(pd.Series(p, dtype=object, name="x")), [], False) for p in parts]
    with pytest.raises(ValueError, match="column 'x' holds other kinds of cells in one part"):
        merged(each)


def test_a_part_without_cells_is_of_no_kind():
    for cells in ([1, 2], ["a", "a"]):
        parts = [pd.Series(p, dtype=object) for p in ([None, None], cells, [None])]
        column = merged(tally_of(Cells(part), [], False) for part in parts).infer()
        assert column == tally_of(Cells(pd.Series(cells, dtype=object)), [], False).infer()


def test_a_single_missing_cell_of_all_rows_counts():
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": [1.0, 2.0, 3.0]})
    drawn = SimpleNamespace(schema=infer_schema(frame), n_rows=3)
    assert missing_in(drawn).tolist() == [True, False]
