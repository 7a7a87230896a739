"""Decimals, periods and whole numbers that floats cannot tell apart: in and out unchanged."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from frames import all_filled, closed_form, column_of, with_holes
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab.data.codec import decode, encode, to_natural
from maetab.data.schema import Schema, infer_schema

# ---- Decimals and periods


def decimals(texts) -> list:
    return [None if text is None else Decimal(text) for text in texts]


PRICES = decimals(["1.50", None, "2.25", "10.00", "7.99", None, "-0.05", "3.10"]) * 5


def test_decimals_of_pandas_are_numbers_and_filled_with_decimals_of_their_scale():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": pd.Series(PRICES, dtype=object), "y": rng.normal(size=40)})
    model = closed_form().fit(frame)
    assert model.schema_.columns[0].kind == "number" and model.schema_.columns[0].decimals == 2
    for filled in all_filled(model, frame):
        assert all(type(cell) is Decimal for cell in filled)
        assert {cell.as_tuple().exponent for cell in filled} == {-2}
        for new, old in zip(filled, frame["x"], strict=True):
            assert old is None or new is old
        assert Decimal("-0.05") <= min(filled) and max(filled) <= Decimal("10.00")
    unrounded = closed_form(keep_grid=False).fit_transform(frame)["x"]
    assert {cell.as_tuple().exponent for cell in unrounded} == {-2}


@pytest.mark.parametrize("kind", ["arrow of pandas", "pyarrow", "polars"])
def test_decimals_of_arrow_and_polars_keep_their_type(kind):
    prices = pa.array(PRICES, pa.decimal128(12, 4))
    y = np.random.default_rng(0).normal(size=40)
    if kind == "pyarrow":
        filled = closed_form().fit_transform(pa.table({"x": prices, "y": y}))
        assert filled["x"].type == prices.type
        cells = filled["x"].to_pylist()
    elif kind == "polars":
        table = pl.DataFrame({"x": pl.Series(PRICES, dtype=pl.Decimal(12, 4)), "y": y})
        filled = closed_form().fit_transform(table)
        assert filled.schema["x"] == pl.Decimal(12, 4)
        cells = filled["x"].to_list()
    else:
        frame = pd.DataFrame({"x": pd.Series(prices, dtype=pd.ArrowDtype(prices.type)), "y": y})
        filled = closed_form().fit_transform(frame)
        assert filled["x"].dtype == frame["x"].dtype
        cells = filled["x"].tolist()
    assert all(old is None or new == old for new, old in zip(cells, PRICES, strict=True))
    assert all(cell == round(cell, 2) for cell in cells)  # none of the observed has more decimals


def test_large_decimals_keep_every_observed_digit():
    exact = [Decimal("12345678901234567890.123456789"), None, Decimal("1.5"), Decimal("2.5")] * 10
    frame = pd.DataFrame({"x": pd.Series(exact, dtype=object), "y": range(40)})
    filled = closed_form().fit_transform(frame)["x"]
    assert all(old is None or str(new) == str(old) for new, old in zip(filled, exact, strict=True))
    assert all(type(cell) is Decimal for cell in filled)


def test_decimals_among_whole_numbers_are_decimals_and_among_floats_floats():
    assert column_of([Decimal("1.5"), 2], object).decimals == 1
    assert column_of([Decimal("1.5"), 2.25], object).decimals is None


def test_a_category_of_decimals_survives_saving():
    frame = pd.DataFrame({"x": pd.Series(decimals(["1.10", "2.25", "1.10"]), dtype=object)})
    schema = infer_schema(frame, categorical_features=["x"])
    (column,) = Schema.from_dict(json.loads(json.dumps(schema.to_dict()))).columns
    assert [repr(level) for level in column.levels] == ["Decimal('1.10')", "Decimal('2.25')"]


@pytest.mark.slow
@pytest.mark.parametrize("freq", ["M", "D", "Q-DEC", "W-SUN", "Y-DEC", "h"])
def test_periods_are_dates_and_come_back_as_periods(freq):
    months = pd.period_range("1965-02-07", periods=40, freq=freq)
    frame = with_holes(list(months), f"period[{freq}]")
    model = closed_form().fit(frame)
    assert model.schema_.columns[0].temporal == "datetime"
    for filled in all_filled(model, frame):
        assert filled.dtype == frame["x"].dtype and filled.notna().all()
        seen = frame["x"].notna()
        pd.testing.assert_series_equal(filled[seen], frame["x"][seen])
        assert frame["x"].min() <= filled.min() and filled.max() <= frame["x"].max()


def test_periods_of_a_column_that_held_dates_in_fit_are_those_that_hold_the_dates():
    days = with_holes(list(pd.date_range("2024-01-20", periods=11)), "datetime64[us]")
    model, now = closed_form().fit(days), days.assign(x=days["x"].dt.to_period("M"))
    assert set(model.transform(days)["x"].dt.month) == {1}
    assert set(model.transform(now)["x"]) == {pd.Period("2024-01", freq="M")}


@given(st.lists(st.integers(-5000, 5000), min_size=1, max_size=20), st.sampled_from("MDh"))
@settings(max_examples=60, deadline=None)
def test_periods_survive_single_precision(numbers, freq):
    origin = pd.Period("2000-01-01", freq=freq)
    frame = pd.DataFrame({"x": pd.PeriodIndex([origin + i for i in numbers], freq=freq)})
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    pd.testing.assert_frame_equal(decode(values, observed, schema, like=frame), frame)


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series(pd.interval_range(0, 3)),
        pd.Series([{"a": 1}, {"a": 2}, None], dtype=pd.ArrowDtype(pa.struct([("a", pa.int64())]))),
    ],
)
def test_the_hint_for_a_dtype_that_cannot_be_used_works_literally(cells):
    frame = pd.DataFrame({"x": cells, "y": range(3)})
    with pytest.raises(TypeError, match=r"Convert the column first, .* by \.astype\(str\)"):
        infer_schema(frame)
    assert infer_schema(frame.assign(x=frame["x"].astype(str))).columns[0].kind == "category"


def test_the_hints_for_periods_and_intervals_held_as_objects_work_literally():
    frame = pd.DataFrame({"x": pd.period_range("2020", periods=3, freq="M").astype(object)})
    with pytest.raises(TypeError, match=r"holds a Period; convert the column by .infer_objects"):
        infer_schema(frame)
    assert infer_schema(frame.infer_objects()).columns[0].temporal == "datetime"
    frame = pd.DataFrame({"x": pd.Series(list(pd.interval_range(0, 3)), dtype=object)})
    with pytest.raises(TypeError, match=r"holds a Interval; .* by .astype\('category'\)"):
        infer_schema(frame)
    assert infer_schema(frame.astype("category")).columns[0].kind == "category"


def test_a_category_of_periods_survives_saving():
    frame = pd.DataFrame({"x": pd.period_range("2020", periods=3, freq="Q-MAR")})
    schema = infer_schema(frame, categorical_features=["x"])
    assert Schema.from_dict(schema.to_dict()) == schema
    values, observed = encode(frame, schema)
    pd.testing.assert_frame_equal(decode(values, observed, schema, like=frame), frame)


# ---- whole numbers that floats cannot tell apart


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "dtype"),
    [
        (2**60, "Int64"),
        (2**60, "int64"),
        (2**63 + 5, "uint64"),
        (2**63 + 5, "UInt64"),
        (-(2**62), "int64[pyarrow]"),
        (10**25, object),
    ],
)
def test_large_whole_numbers_are_told_apart_and_filled_in_between(start, dtype):
    numbers = [start + 3 * i for i in range(40)]
    missing = {7, 20, 33} if str(dtype) not in ("int64", "uint64") else set()
    cells = [None if i in missing else x for i, x in enumerate(numbers)]
    frame = pd.DataFrame({"x": pd.Series(cells, dtype=dtype), "y": np.arange(40.0)})
    frame.loc[11, "y"] = np.nan
    model = closed_form().fit(frame)  # says nothing of constants: a warning would fail the test
    values, observed = encode(frame, model.schema_)
    seen = observed[:, 0]
    steps = np.diff(values[seen, 0].astype(np.float64) * model.schema_.columns[0].scale)
    np.testing.assert_allclose(steps, 3 * np.diff(np.flatnonzero(seen)), atol=1e-4)
    for filled in all_filled(model, frame):
        for i, cell in enumerate(filled):
            assert int(cell) == numbers[i] if i not in missing else start <= cell <= start + 117
    point = model.transform(frame)["x"]
    assert all(abs(int(point[i]) - numbers[i]) <= 12 for i in missing)


def test_large_whole_numbers_are_told_in_their_own_units():
    frame = pd.DataFrame({"x": [2**60, 2**60 + 1024, 2**60 + 2048], "y": [1.0, 2.0, 3.0]})
    schema = infer_schema(frame)
    natural = to_natural(encode(frame, schema)[0], schema)
    assert natural.tolist() == frame.astype(float).to_numpy().tolist()


def test_a_sentinel_beside_large_whole_numbers_is_missing_alone():
    frame = pd.DataFrame({"x": [2**60, 2**60 + 1, 2**60 + 2]})
    observed = encode(frame, infer_schema(frame, missing_values=2**60 + 1), 2**60 + 1)[1]
    assert observed.ravel().tolist() == [True, False, True]


def test_bounds_of_large_whole_numbers_are_in_their_own_units():
    cells = [None if i % 5 == 0 else 2**60 + 512 * i for i in range(40)]
    frame = pd.DataFrame({"x": pd.array(cells, dtype="Int64"), "y": np.arange(40.0)})
    filled = closed_form(max_value=[2**60 + 5120, 99]).fit_transform(frame)["x"]
    assert max(filled[::5]) == 2**60 + 5120
