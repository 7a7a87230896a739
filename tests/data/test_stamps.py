from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from maetab.data.containers import read_frame
from maetab.data.timeline import lay_out
from tests.times import laid_out, table, timeline_of

HOURS = pd.date_range("2024", periods=60, freq="h")


@pytest.mark.parametrize("library", ["polars", "pyarrow", "arrow in pandas", "objects"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_stamps_of_every_library_say_the_same(library, zone):
    frame = table(HOURS.tz_localize(zone)).rename_axis("when").reset_index()
    timeline, layout = laid_out(frame, 4, "when")
    given = {
        "polars": pl.from_pandas,
        "pyarrow": pa.Table.from_pandas,
        "arrow in pandas": lambda x: x.convert_dtypes(dtype_backend="pyarrow"),
        "objects": lambda x: x.astype({"when": object}),
    }[library](frame)
    other = read_frame(given)[0]
    assert timeline_of(other.assign(v0=frame.v0), 4, "when") == timeline
    for one, two in zip(lay_out(other, timeline), layout, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("make", [pl.Date, pa.date32()])
def test_dates_without_hours_are_days(make):
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(50)]
    values = np.arange(50.0)
    if make is pl.Date:
        given = pl.DataFrame({"day": days, "v": values})
    else:
        given = pa.table({"day": pa.array(days, make), "v": values})
    timeline = timeline_of(read_frame(given)[0], 7, "day")
    assert (timeline.kind, timeline.step) == ("datetime", 86_400)
    assert timeline_of(table(pd.Index(days, dtype=object)), 7).step == 86_400


def test_durations_of_other_libraries_are_times():
    steps = [datetime.timedelta(minutes=5 * i) for i in range(50)]
    frame = read_frame(pl.DataFrame({"t": steps, "v": np.arange(50.0)}))[0]
    assert timeline_of(frame, "20min", "t").n_steps == 4
    arrow = pd.DataFrame({"t": steps, "v": np.arange(50.0)}).convert_dtypes(dtype_backend="pyarrow")
    assert timeline_of(arrow.assign(v=frame.v), "20min", "t").n_steps == 4


def test_text_is_no_time_and_the_error_says_how_to_convert_it():
    frame = table(pd.RangeIndex(60)).assign(when=HOURS.astype(str))
    with pytest.raises(
        ValueError,
        match=r"column 'when' must hold times or numbers.*'2024-01-01 00:00:00'; convert it, for",
    ):
        timeline_of(frame, 4, "when")


@pytest.mark.parametrize(
    "values", [[True, False] * 30, pd.Categorical(list("ab") * 30), [None, "run", "idle"] * 20]
)
def test_what_is_neither_time_nor_number_is_refused(values):
    with pytest.raises(ValueError, match="must hold times or numbers to serve as 'time'"):
        timeline_of(table(pd.RangeIndex(60)).assign(when=values), 4, "when")


@pytest.mark.parametrize("values", [HOURS, np.arange(60.0), HOURS.to_period("h")])
def test_a_missing_stamp_is_named_by_its_row(values):
    when = pd.Series(values)
    when[7] = None
    with pytest.raises(
        ValueError, match="column 'when' holds stamps, but that of row 7 is missing"
    ):
        timeline_of(table(pd.RangeIndex(60)).assign(when=when), 4, "when")
    with pytest.raises(ValueError, match="the index holds stamps, but that of row 2 is missing"):
        timeline_of(table(HOURS.insert(2, pd.NaT)), 4)


@pytest.mark.parametrize("dtype", ["float64", "Int64"])
def test_numbers_of_which_some_are_missing_may_be_the_wrong_column(dtype):
    when = pd.Series(np.arange(60.0), name="temp").astype(dtype)
    when[7] = None
    asked = rf"It holds numbers \({dtype}\): is it the column that was meant by 'time'\?$"
    with pytest.raises(ValueError, match=asked):
        timeline_of(table(pd.RangeIndex(60)).assign(temp=when), 4, "temp")
    with pytest.raises(ValueError, match=r"drop such rows\.$"):
        timeline_of(table(HOURS.insert(2, pd.NaT)), 4)


def test_an_infinite_number_is_no_stamp():
    frame = table(pd.RangeIndex(3)).assign(when=[0, np.inf, 1])
    with pytest.raises(ValueError, match="that of row 1 is infinite"):
        timeline_of(frame, 2, "when")


@pytest.mark.parametrize(
    "time", ["date", 3, ["when"], pd.Series(HOURS), HOURS, np.array(["when"]), {"when": 1}]
)
def test_an_unknown_time_is_refused(time):
    frame = table(pd.RangeIndex(60)).assign(when=HOURS)
    with pytest.raises(
        ValueError, match=r"'time' parameter of MAEImputer must be a column.*'when'"
    ):
        timeline_of(frame, 4, time)


def test_two_levels_of_times_need_a_name():
    index = pd.MultiIndex.from_arrays([HOURS, HOURS + pd.Timedelta("1D")], names=["made", "for"])
    with pytest.raises(ValueError, match="'made', 'for' are times; name one in the 'time'"):
        timeline_of(table(index), 4)
    assert timeline_of(table(index), 4, "for").time == "for"


def test_a_level_of_times_without_a_name_is_refused():
    index = pd.MultiIndex.from_product([["a", "b"], HOURS], names=["g", None])
    with pytest.raises(ValueError, match="Level 1 of the index of X holds times and has no name"):
        timeline_of(table(index), 4, groups="g")


# new frames after fit


def test_a_new_frame_of_one_row_stands_where_it_stood():
    for freq in ("h", "MS", "QE", "W", "D", "YS"):
        frame = table(pd.date_range("2000", periods=60, freq=freq))
        timeline, layout = laid_out(frame, 4)
        alone = lay_out(frame.iloc[[17]], timeline)
        assert (alone.place[0], alone.phase[0]) == (layout.place[17], layout.phase[17])
        np.testing.assert_array_equal(alone.calendar[0], layout.calendar[17])


def test_days_that_happen_to_begin_months_are_days_where_fit_saw_days():
    frame = table(pd.date_range("2024", periods=120, freq="D", tz="America/New_York"))
    timeline, layout = laid_out(frame, 4)
    firsts = np.flatnonzero(frame.index.day == 1)
    assert lay_out(frame.iloc[firsts], timeline).place.tolist() == layout.place[firsts].tolist()


def test_days_are_refused_where_fit_saw_months():
    timeline = timeline_of(table(pd.date_range("2020", periods=40, freq="MS")), 4)
    with pytest.raises(ValueError, match="a grid of 1 month in fit, and several rows of a series"):
        lay_out(table(pd.date_range("2020", periods=40, freq="D")), timeline)


def test_a_new_frame_off_the_grid_or_finer_than_it_is_refused():
    timeline = timeline_of(table(HOURS), 4)
    with pytest.raises(
        ValueError, match=r"a grid of 01:00:00 in fit, but 2024-01-01 00:30:00 lies off"
    ):
        lay_out(table(HOURS + pd.Timedelta("30min")), timeline)
    with pytest.raises(ValueError, match="lies off it; resample X"):
        lay_out(table(pd.date_range("2024", periods=9, freq="15min")), timeline)
    with pytest.raises(ValueError, match="several rows of a series are now at one place"):
        lay_out(table(pd.date_range("2024", periods=3, freq="5min")), timeline)


def test_a_coarser_new_frame_has_missing_stamps_between():
    timeline = timeline_of(table(HOURS), 4)
    layout = lay_out(table(pd.date_range("2024", periods=9, freq="2h")), timeline)
    assert np.diff(layout.place).tolist() == [2] * 8


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (pd.RangeIndex(9), "rows had dates in fit and now have no stamps"),
        (pd.timedelta_range("0h", periods=9, freq="h"), "now have durations"),
        (pd.period_range("2024", periods=9, freq="h"), "now have periods"),
        (HOURS.tz_localize("UTC"), "in zone None in fit and are now in UTC; both need"),
    ],
)
def test_a_new_frame_of_another_kind_is_refused(index, words):
    with pytest.raises(ValueError, match=words):
        lay_out(table(index), timeline_of(table(HOURS), 4))


def test_stamps_without_a_zone_are_refused_where_fit_had_one():
    timeline = timeline_of(table(HOURS.tz_localize("Asia/Tokyo")), 4)
    with pytest.raises(ValueError, match="in zone Asia/Tokyo in fit and are now in None"):
        lay_out(table(HOURS), timeline)


def test_a_new_frame_without_rows_has_a_layout_without_rows():
    for frame, time in ((table(HOURS), None), (table(pd.RangeIndex(60)), None)):
        layout = lay_out(frame.iloc[:0], timeline_of(frame, 4, time))
        assert len(layout.place) == 0 and layout.windows(4, 2).shape == (0, 4)


# windows


@pytest.mark.parametrize(
    ("window", "steps"),
    [
        (1, 1),
        (60, 60),
        (np.int32(7), 7),
        ("6h", 6),
        ("1D", 24),
        (pd.Timedelta("90min"), 2),
        (datetime.timedelta(hours=5), 5),
        (np.timedelta64(3, "h"), 3),
    ],
)
def test_a_window_is_said_in_steps_or_as_a_duration(window, steps):
    assert timeline_of(table(HOURS), window).n_steps == steps


@pytest.mark.parametrize("window", [0, -3, True, 2.5, "week", "NaT", [4], {}, "24"])
def test_what_is_no_window_is_refused(window):
    with pytest.raises(ValueError, match="'window' parameter of MAEImputer must be None, an int"):
        timeline_of(table(HOURS), window)


@pytest.mark.parametrize("window", ["30min", "-6h"])
def test_a_window_shorter_than_two_steps_is_refused(window):
    with pytest.raises(ValueError, match="holds less than two steps of 0 days 01:00:00"):
        timeline_of(table(HOURS), window)


def test_a_window_longer_than_every_series_is_cut_with_a_warning():
    longer = "window=100 of MAEImputer is longer than the longest"
    with pytest.warns(UserWarning, match=longer) as told:
        assert timeline_of(table(HOURS), 100).n_steps == 60
    assert told[0].filename.endswith("times.py")  # whose line called the package


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (pd.date_range("2000", periods=60, freq="MS"), "rows here have months"),
        (pd.RangeIndex(60), "rows here have no stamps"),
    ],
)
def test_a_duration_needs_rows_that_count_seconds(index, words):
    with pytest.raises(ValueError, match=words):
        timeline_of(table(index), "365D")


def test_an_automatic_window_has_two_periods_where_columns_are_few():
    index = pd.date_range("2024", periods=24 * 20, freq="h")
    for n_columns, steps in ((1, 48), (20, 48), (21, 24), (41, 24), (60, 16), (2000, 2)):
        frame = table(index, n_columns=n_columns)
        frame += 5 * np.sin(2 * np.pi * index.hour.to_numpy() / 24)[:, None]
        assert timeline_of(frame).n_steps == steps
    assert timeline_of(table(index)).n_steps == 24
    assert timeline_of(table(index[:5])).n_steps == 5
