"""Grids of numbers and times: found in fit, kept by whatever is filled in."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from frames import CELLS, WHOLE_ONLY, all_filled, closed_form, column_of, make_column, with_holes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from models import QUICK

from maetab import MAEAnomalyDetector, MAEImputer
from maetab.data.codec import decode
from maetab.data.columns import Column
from maetab.data.grid import periods
from maetab.data.schema import Schema, infer_schema

# ---- what is a grid


@pytest.mark.parametrize(
    ("cells", "dtype", "step"),
    [
        ([1.0, 3.0, None], "float64", 1.0),
        ([1.0, 3.0, None], "float32", 1.0),
        ([1, 3, None], "Int64", 1.0),
        ([1, 3], "int8", 1.0),
        ([1, 3, None], object, 1.0),
        ([0.5, 1.25, None], "float64", 0.01),
        ([0.1, 0.7, 1234.5], "float32", 0.1),
        ([0.1, 0.7], "Float32", 0.1),
        ([0.000001, 5.0], "float64", 1e-6),
        ([0.0000001, 5.0], "float64", None),
        ([np.pi, 1.0], "float64", None),
        ([1e300, -1e300], "float64", None),
        ([2.0**50, 1.0], "float64", None),
        ([123456.5, 0.25], "float32", None),
        ([None, None], "float64", None),
        ([Decimal("1.50"), Decimal("2.125")], object, 0.001),
        ([Decimal("1.123456789")], object, 1e-9),
        (pd.to_datetime(["2024-01-03", "2024-05-07"]), None, 86400.0),
        (pd.to_datetime(["2024-01-03 05:00", "2024-05-07 00:00"]), None, 3600.0),
        (pd.to_datetime(["2024-01-03 05:01", "2024-05-07 00:00"]), None, 60.0),
        (pd.to_datetime(["2024-01-03 05:01:01", "2024-05-07 00:00:00"]), None, 1.0),
        (
            pd.to_datetime(["2024-01-03 05:01:01.000000001", "2024-05-07 00:00:00.000000000"]),
            None,
            None,
        ),
        (pd.to_timedelta(["3 days", "-2 days"]), None, 86400.0),
        (pd.to_timedelta(["3 days 1h", "2 days"]), None, 3600.0),
    ],
)
def test_the_grid_is_the_coarsest_that_holds_all_observed_cells(cells, dtype, step):
    assert column_of(cells, dtype).step == step


@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=30, unique=True))
@settings(max_examples=100, deadline=None)
def test_a_grid_is_found_only_where_exact_fractions_lie_on_it(numbers):
    step = column_of(numbers, "float64").step
    if step is not None:
        unit = Fraction(10) ** round(np.log10(step))
        assert all(float(round(Fraction(x) / unit) * unit) == x for x in numbers)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_continuous_numbers_have_no_grid(dtype):
    rng = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 1e4):
        assert column_of((rng.normal(size=200) * scale).astype(dtype)).step is None


def test_days_in_a_time_zone_are_days_of_its_clock():
    days = pd.Series(pd.date_range("2024-03-01", periods=60, tz="America/New_York"))
    assert (days.dt.tz_convert("UTC").dt.hour != 0).all()
    assert column_of(days).step == 86400.0
    assert column_of(days.astype("timestamp[us, tz=America/New_York][pyarrow]")).step == 86400.0
    assert column_of(days.dt.tz_convert("UTC")).step == 3600.0


@pytest.mark.parametrize("zone", ["Europe/Paris", "Asia/Kolkata", "America/Havana", "Etc/GMT-3"])
@pytest.mark.parametrize("freq", ["h", "D"])
def test_hours_and_days_on_the_clock_of_a_zone_are_left_where_they_are(zone, freq):
    hours = pd.date_range("2024-01-01", "2024-12-31", freq="h", tz="UTC").tz_convert(zone)
    if zone == "Asia/Kolkata":
        hours += pd.Timedelta("30min")
    hours = hours[hours.hour == 0] if freq == "D" else hours
    column = column_of(hours)
    assert column.step == (86400.0 if freq == "D" else 3600.0)
    seconds = (hours - pd.Timestamp(0, tz="UTC")).total_seconds().to_numpy()
    for how in ("round", "floor", "ceil"):
        moved = column.on_grid(seconds, how)
        twice = (moved != seconds).sum()  # a midnight that comes twice, on one day of the year
        assert twice <= (zone == "America/Havana" and freq == "D")


def test_numbers_near_an_end_off_the_grid_move_to_the_next_point_inside():
    column = Column("a", "number", "float64", step=1.0, lower=0.3, upper=2.7, n_observed=9)
    assert column.on_grid(np.array([0.4, 1.4, 2.6])).tolist() == [1, 1, 2]


def test_moments_become_the_period_whose_start_is_nearest():
    days = pd.DatetimeIndex(["2024-01-01", "2024-01-10", "2024-01-20", "2024-02-29"])
    seconds = (days - pd.Timestamp(0)).total_seconds().to_numpy()
    for how, months in {"round": [1, 1, 2, 3], "floor": [1, 1, 1, 2], "ceil": [1, 2, 2, 3]}.items():
        assert periods(seconds, "M", how).month.tolist() == months


# ---- what is filled in


def test_whole_numbers_held_as_floats_are_filled_with_whole_numbers():
    frame = with_holes([0.0, 1.0, 2.0, 3.0, 5.0])
    for filled in all_filled(closed_form().fit(frame), frame):
        assert filled.dtype == "float64" and (filled.dropna() % 1 == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32", "Float64", "double[pyarrow]"])
def test_decimals_are_filled_with_the_floats_that_a_parser_gives(dtype):
    rng = np.random.default_rng(0)
    frame = with_holes((rng.integers(-300, 300, 40) / 100).tolist(), dtype)
    for filled in all_filled(closed_form().fit(frame), frame):
        plain = filled.to_numpy(dtype=np.float64)
        parsed = np.array([float(f"{x:.2f}") for x in plain])
        narrow = "float32" if dtype == "float32" else "float64"
        assert (parsed.astype(narrow) == plain.astype(narrow)).all()
        assert not np.signbit(plain[plain == 0]).any()


@pytest.mark.slow
def test_single_precision_reaches_both_ends_of_its_range():
    frame = with_holes([0.1, 0.2, 0.7], "float32", n=200)
    ends = np.float32([0.1, 0.7])
    schema = closed_form().fit(frame).schema_
    values = np.full((200, 3), 9.0)
    values[::2] = -9.0
    model = closed_form().fit(frame)
    filled = model._finish(model._read(frame), values)["x"].to_numpy()
    assert schema.columns[0].step == 0.1
    assert set(filled[frame["x"].isna()]) == set(ends)


@pytest.mark.slow
@pytest.mark.parametrize("zone", [None, "America/Sao_Paulo", "Europe/Paris"])
def test_daily_dates_are_filled_with_midnights(zone):
    days = pd.date_range("2018-01-01", periods=700, freq="D")  # midnights that do not exist, too
    if zone is not None:
        days = days.tz_localize(zone, nonexistent="shift_forward")
        days = days[days.hour == 0]
    frame = with_holes(list(days), f"datetime64[us, {zone}]" if zone else "datetime64[us]")
    for filled in all_filled(closed_form().fit(frame), frame):
        assert filled.notna().all() and filled.dtype == frame["x"].dtype
        new = filled[frame["x"].isna()]
        assert (new.dt.normalize() == new).mean() > 0.95  # all but a day that begins at one


def test_whole_hours_of_durations_stay_whole():
    frame = with_holes(list(pd.to_timedelta(np.arange(50), unit="h")), "timedelta64[s]")
    for filled in all_filled(closed_form().fit(frame), frame):
        assert (filled.dt.total_seconds() % 3600 == 0).all()


def test_without_the_grid_numbers_in_float_columns_are_left_as_predicted():
    frame = with_holes([0.0, 1.0, 2.0, 3.0, 5.0])
    frame["k"] = frame["x"].astype("Int64")
    model = closed_form(keep_grid=False).fit(frame)
    filled, gaps = model.transform(frame), frame["x"].isna()
    assert (filled["x"][gaps] % 1 != 0).mean() > 0.5
    rounded = MAEImputer.from_fitted(model, keep_grid=True).transform(frame)
    assert (rounded["x"] == filled["x"].round()).all()
    assert (rounded["k"] == filled["k"]).all() and filled["k"].dtype == "Int64"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bounds", "allowed"),
    [
        ({"min_value": 2.5}, {3.0, 4.0, 5.0}),
        ({"max_value": 2.5}, {0.0, 1.0, 2.0}),
        ({"min_value": 1.2, "max_value": 2.9}, {2.0}),
        ({"min_value": 6.1}, {6.1}),
    ],
)
def test_rounding_stays_inside_the_range_of_the_user(bounds, allowed):
    frame = with_holes([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], n=200)
    model = closed_form(
        **{key: [value, -9, -9] for key, value in bounds.items() if key == "min_value"}
    )
    model.set_params(**{k: [v, 9, 9] for k, v in bounds.items() if k == "max_value"}).fit(frame)
    for filled in all_filled(model, frame):
        assert set(filled[frame["x"].isna()]) <= allowed


@given(
    dtype=st.sampled_from([d for d in (*CELLS, *WHOLE_ONLY) if CELLS.get(d) is not None]),
    seed=st.integers(0, 999),
    how=st.sampled_from(["round", "floor", "ceil"]),
)
@example(dtype="datetime64[us, Europe/Paris]", seed=696, how="floor")
@settings(max_examples=150, deadline=None)
def test_moving_to_the_grid_stays_in_the_range_and_near_and_moves_nothing_twice(dtype, seed, how):
    rng = np.random.default_rng(seed)
    column = column_of(make_column(dtype, 30, rng))
    if column.kind == "category" or column.n_observed < 2:
        return
    numbers = rng.uniform(column.lower, column.upper, 50)
    moved = column.on_grid(numbers, how)
    assert (moved >= column.lower).all() and (moved <= column.upper).all()
    assert (column.on_grid(moved, how) == moved).all()
    if column.step:
        most = column.step * (0.5 if how == "round" else 1.0) + (3600 if column.temporal else 0)
        assert np.abs(moved - numbers).max() <= most * (1 + 1e-6)
    # Next to a point is on it; times are rounded to a whole microsecond besides.
    slack = 1e-6 * (column.step or 1.0) + (5e-7 if column.temporal else 0.0)
    assert how != "floor" or (moved <= numbers + slack).all()
    assert how != "ceil" or (moved >= numbers - slack).all()


@pytest.mark.parametrize("cells", [[-1.0, 0.0, 1.0], [-0.1, 0.0, 0.1], [-0.5, 0.25]])
def test_no_zero_is_negative(cells):
    column = column_of(cells)
    for how in ("round", "ceil"):
        zero = column.on_grid(np.array([-1e-9 * column.step, -1e-3 * column.step]), how)
        assert not zero.any() and not np.signbit(zero).any()


@pytest.mark.slow
def test_intervals_hold_the_point_on_the_grid():
    frame = with_holes([0.0, 1.0, 2.0, 3.0, 5.0], n=200)
    model = closed_form().fit(frame)
    point, (low, high) = model.transform(frame), model.predict_interval(frame, coverage=0.3)
    assert (low["x"] <= point["x"]).all() and (point["x"] <= high["x"]).all()
    assert (low["x"] < high["x"])[frame["x"].isna()].any()


def test_what_a_detector_expects_lies_on_the_grid():
    frame = with_holes([0.0, 1.0, 2.0, 3.0, 5.0], n=80)
    found = MAEAnomalyDetector(guess=QUICK, random_state=0).fit(frame).explain(frame, top=80)
    expected = found.loc[found["column"] == "x", "expected"].astype(float)
    assert len(expected) and (expected % 1 == 0).all()


def test_a_schema_without_grids_of_an_older_version_decodes_as_it_did():
    frame = pd.DataFrame({"x": [0.0, 1.0, 5.0], "k": pd.array([0, 1, 5], dtype="Int64")})
    written = infer_schema(frame).to_dict()
    for column in written["columns"]:
        for new in ("step", "origin", "decimals", "free_text"):
            del column[new]
    old = Schema.from_dict(written)
    values = np.full((3, 2), 0.1)
    back = decode(values, np.ones((3, 2), bool), old, like=frame)
    assert back["x"].tolist() == [pytest.approx(2.0 + 0.1 * frame["x"].std(ddof=0))] * 3
    assert back["k"].tolist() == [2, 2, 2]
