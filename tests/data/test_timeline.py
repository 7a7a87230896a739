from __future__ import annotations

import json
import time as clock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab.data.timeline import Timeline, lay_out
from tests.times import laid_out, table, timeline_of

DAYLIGHT = pd.date_range("2024-03-01", periods=24 * 60, freq="h", tz="Europe/Berlin")


def daily(index):
    """Return a frame that repeats by the hour of its local clock."""
    frame = table(index)
    frame["v0"] += 5 * np.sin(2 * np.pi * index.hour / 24)
    return frame


@given(st.permutations(range(40)), st.sets(st.integers(0, 39), max_size=20))
@settings(max_examples=40, deadline=None)
def test_rows_in_any_order_stand_where_they_stand_in_order(order, dropped):
    frame = table(pd.date_range("2024-01-01 05:00", periods=40, freq="h"))
    frame = frame.drop(frame.index[sorted(dropped)])
    mixed = frame.iloc[[i for i in order if i < len(frame)]]
    timeline, layout = laid_out(frame, 4)
    assert timeline_of(mixed, 4) == timeline
    again = lay_out(mixed, timeline)
    for name in ("place", "position", "phase", "calendar"):
        sorted_back = pd.DataFrame(np.c_[getattr(again, name)], mixed.index).sort_index()
        np.testing.assert_array_equal(sorted_back, np.c_[getattr(layout, name)])


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_positions_are_hours_since_a_monday_midnight_whatever_rows_are_missing(data):
    first = data.draw(st.integers(0, 10_000))
    hours = sorted(data.draw(st.sets(st.integers(0, 30), min_size=12)))
    index = pd.Timestamp("2020") + pd.to_timedelta(np.array(hours) + first, "h")
    timeline, layout = laid_out(table(index), 4)
    expected = (index - pd.Timestamp("1970-01-05")) / pd.Timedelta(hours=1)
    if timeline.regular and timeline.step == 3600:
        assert layout.position.tolist() == layout.place.tolist() == expected.tolist()


def test_hours_of_which_many_are_missing_lie_on_a_grid_of_hours_and_not_beside_one_of_two():
    hours = [0, 1, 3, 5, 7, 10, 12, 14, 15, 17, 20, 28]  # 30 minutes off the middle of two hours
    index = pd.Timestamp("2020") + pd.to_timedelta(hours, "h")
    timeline, layout = laid_out(table(index), 4)
    assert (timeline.regular, timeline.step) == (True, 3600)
    assert (layout.place - layout.place[0]).tolist() == hours


def test_the_phase_is_the_hour_of_the_local_clock_across_daylight_saving():
    timeline, layout = laid_out(daily(DAYLIGHT))
    assert (timeline.period, timeline.zone) == (24, "Europe/Berlin")
    assert layout.phase.tolist() == DAYLIGHT.hour.tolist()
    assert (np.diff(layout.place) == 1).all()


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Kolkata"])
def test_a_new_frame_in_another_zone_has_the_phases_of_the_zone_of_fit(zone):
    frame = daily(DAYLIGHT)
    timeline, layout = laid_out(frame)
    moved = lay_out(frame.tz_convert(zone), timeline)
    for one, other in zip(layout, moved, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_day_whose_local_midnight_moves_is_still_a_day():
    days = pd.date_range("2024-01-01", periods=300, freq="D", tz="Europe/Berlin")
    frame = table(days)
    frame["v0"] += 5 * (days.day_of_week == 6)
    timeline, layout = laid_out(frame)
    assert (timeline.step, timeline.period) == (86_400, 7)
    assert layout.phase.tolist() == days.day_of_week.tolist()


@pytest.mark.parametrize("minutes", [7, 20, 30, 50])
@pytest.mark.parametrize("first", ["2024-01-01", "2024-02-05 03:00"])
def test_a_grid_off_the_full_hour_keeps_its_hours(first, minutes):
    index = pd.date_range(first, periods=24 * 20, freq="h") + pd.Timedelta(minutes=minutes)
    timeline, layout = laid_out(daily(index))
    assert timeline.regular and timeline.period == 24
    assert layout.phase.tolist() == index.hour.tolist()
    assert (np.diff(layout.place) == 1).all()


def test_stamps_a_little_before_the_hour_belong_to_it():
    index = pd.date_range("2024", periods=24 * 20, freq="h")
    _timeline, layout = laid_out(daily(index).set_axis(index - pd.Timedelta(seconds=2)))
    assert layout.phase.tolist() == index.hour.tolist()


def test_jittered_stamps_lie_on_the_grid_and_wild_ones_on_none():
    index = pd.date_range("2024", periods=500, freq="h")
    noise = np.random.default_rng(0).uniform(-1, 1, 500)
    timeline, _layout = laid_out(table(index + pd.to_timedelta(noise * 600, "s")))
    assert timeline.regular and timeline.step == pytest.approx(3600, abs=60)
    assert not timeline_of(table(index + pd.to_timedelta(noise * 1700, "s")).sort_index()).regular


def test_irregular_rows_are_taken_one_after_the_other():
    days = np.sort(np.random.default_rng(0).uniform(0, 30, 100))
    index = pd.to_datetime("2024") + pd.to_timedelta(days, "D")
    frame = table(index).iloc[::-1]
    timeline, layout = laid_out(frame, 6)
    assert (timeline.regular, timeline.period) == (False, None)
    assert layout.place.tolist() == list(range(99, -1, -1))
    apart = np.diff(np.sort(layout.position)) * timeline.step
    np.testing.assert_allclose(apart, np.diff(days) * 86_400, rtol=1e-4)
    assert layout.windows(6, 3)[0].tolist() == [99, 98, 97, 96, 95, 94]


def test_missing_stamps_are_empty_places_of_windows_and_long_pauses_none_at_all():
    index = pd.date_range("2024", periods=20, freq="h").delete(5)
    index = index.append(pd.date_range("2034", periods=20, freq="h"))
    _timeline, layout = laid_out(table(index), 8)
    rows = layout.windows(8, 8)
    assert rows[0].tolist() == [0, 1, 2, 3, 4, -1, 5, 6]
    assert len(rows) == 6


def test_windows_of_a_period_start_at_the_same_phase_but_for_those_at_the_ends():
    index = pd.date_range("2024-01-01 17:00", periods=24 * 10, freq="h")
    _timeline, layout = laid_out(daily(index))
    rows = layout.windows(48, 24)
    assert (rows >= 0).all() and (rows[0, 0], rows[-1, -1]) == (0, 239)
    assert (layout.phase[rows[1:-1, 0]] == 0).all() and len(rows) == 10


@pytest.mark.parametrize(
    ("freq", "step", "period"),
    [("MS", 1, 12), ("ME", 1, 12), ("BME", 1, 12), ("BMS", 1, 12), ("QE", 3, 4), ("QS", 3, 4)],
)
def test_months_and_quarters_are_steps_of_equal_length(freq, step, period):
    index = pd.date_range("1990-01-01", periods=120, freq=freq)
    frame = table(index)
    frame["v0"] += 5 * np.sin(2 * np.pi * index.month / 12)
    timeline, layout = laid_out(frame.drop(index[[30, 31]]))
    assert (timeline.unit, timeline.step, timeline.period) == ("month", step, period)
    kept = index.delete([30, 31])
    assert layout.phase.tolist() == ((kept.month - 1) // step).tolist()
    steps = [i for i in range(120) if i not in (30, 31)]
    assert (layout.place - layout.place[0]).tolist() == steps


def test_the_fifteenth_of_each_month_counts_months():
    index = pd.date_range("2000-01-01", periods=60, freq="MS") + pd.Timedelta(days=14)
    assert timeline_of(table(index)).unit == "month"


def test_years_are_one_step_apart_even_where_nanoseconds_end():
    index = pd.date_range("1500-01-01", periods=300, freq="YS", unit="s")
    timeline, layout = laid_out(table(index), 5)
    assert (timeline.unit, timeline.step) == ("month", 12)
    assert (np.diff(layout.place) == 1).all()
    days = pd.date_range("1500-01-01", periods=300, freq="D", unit="s")
    assert timeline_of(table(days)).step == 86_400


def test_months_of_many_series_are_months():
    index = pd.date_range("2000-01-31", periods=120, freq="ME")
    frame = table(pd.DatetimeIndex(np.tile(index, 100))).assign(g=np.repeat(np.arange(100), 120))
    assert timeline_of(frame, groups="g").unit == "month"


@pytest.mark.parametrize("freq", ["M", "Q", "D", "h", "W"])
def test_periods_lie_where_their_starts_lie(freq):
    index = pd.period_range("2015-01", periods=100, freq=freq)
    timeline, layout = laid_out(table(index), 5)
    dates, expected = laid_out(table(index.to_timestamp()), 5)
    assert timeline.kind == "period" and timeline.step == dates.step
    assert layout.place.tolist() == expected.place.tolist()


def test_durations_and_numbers_are_times_too():
    index = pd.timedelta_range("3min", periods=50, freq="5min").delete(7)
    timeline, layout = laid_out(table(index), "20min")
    assert (timeline.kind, timeline.step, timeline.n_steps) == ("timedelta", 300, 4)
    assert np.diff(layout.place).tolist() == [1] * 6 + [2] + [1] * 41
    frame = table(pd.RangeIndex(50)).assign(when=0.1 * np.arange(50)).drop(index=7)
    timeline, layout = laid_out(frame, 4, time="when")
    assert (timeline.kind, timeline.step) == ("number", pytest.approx(0.1))
    assert layout.place.tolist() == [i for i in range(50) if i != 7]


def test_rows_without_stamps_follow_each_other_in_each_series():
    frame = table(pd.Index(list("qwerty"))).assign(g=list("abaabb"))
    timeline, layout = laid_out(frame, 2, groups="g")
    assert timeline.kind == "order" and layout.calendar.shape == (6, 0)
    assert layout.place.tolist() == [0, 0, 1, 2, 1, 2]
    assert layout.series.tolist() == [0, 1, 0, 0, 1, 1]


def test_one_row_for_each_series_is_windows_of_one_row():
    frame = table(pd.RangeIndex(5)).assign(g=range(5), t=pd.Timestamp("2024"))
    timeline, layout = laid_out(frame, "auto", "t", "g")
    assert timeline.n_steps == 1
    assert layout.windows(1, 1).tolist() == [[0], [1], [2], [3], [4]]


def test_ten_thousand_short_series_are_laid_out_fast():
    index = pd.date_range("2024", periods=20, freq="h")
    frame = table(pd.DatetimeIndex(np.tile(index, 10_000))).assign(g=np.repeat(range(10_000), 20))
    start = clock.process_time()
    _timeline, layout = laid_out(frame, 8, groups="g")
    rows = layout.windows(8, 4)
    assert clock.process_time() - start < 10
    assert set(rows[rows >= 0]) == set(range(200_000))


def test_calendar_features_are_the_sines_and_cosines_of_the_clock():
    index = pd.date_range("2024-01-01", periods=24 * 800, freq="h")
    timeline, layout = laid_out(table(index))
    assert timeline.calendar == ("day", "week", "year")
    at = index.get_loc(pd.Timestamp("2024-07-04 06:00"))  # a Thursday, day 186 of its year
    turns = np.array([6 / 24, (3 + 6 / 24) / 7, (185 + 6 / 24) / 365.25])
    expected = np.r_[np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)]
    np.testing.assert_allclose(layout.calendar[at], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("index", "names"),
    [
        (pd.date_range("2024", periods=30, freq="h"), ()),
        (pd.date_range("2024", periods=60, freq="h"), ("day",)),
        (pd.date_range("2024", periods=60, freq="D"), ("week",)),
        (pd.date_range("2024", periods=60, freq="MS"), ("year",)),
        (pd.date_range("2000", periods=20, freq="YS"), ()),
        (pd.RangeIndex(1000), ()),
    ],
)
def test_only_cycles_that_the_rows_can_show_are_told(index, names):
    assert timeline_of(table(index), 4).calendar == names


def test_a_timeline_is_the_same_after_a_way_through_json():
    frame = table(DAYLIGHT).assign(g="a", place="b")
    timeline = timeline_of(frame, groups=["g", "place"])
    assert Timeline.from_dict(json.loads(json.dumps(timeline.to_dict()))) == timeline
    assert timeline.keys(frame) == [1, 2]


@pytest.mark.parametrize(
    ("gap", "n", "steps"),
    [(0, 2000, 24), (5, 2000, 24), (60, 2000, 120), (60, 500, 50), (900, 30_000, 400)],
)
def test_without_a_period_windows_are_long_enough_for_the_usual_gap(gap, n, steps):
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=n).cumsum()})
    for first in range(100, n - gap, max(n // 5, 1)):
        frame.iloc[first : first + gap] = np.nan
    timeline, _ = laid_out(frame, "auto")
    assert timeline.period is None and timeline.n_steps == steps


def test_a_column_that_begins_late_and_ends_early_makes_no_window_longer():
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=2000).cumsum()})
    frame.iloc[:600] = frame.iloc[-300:] = np.nan
    assert laid_out(frame, "auto")[0].n_steps == 24
