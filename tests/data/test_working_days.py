"""Rows on working days lie on a grid of these, in which weekends are no holes."""

from __future__ import annotations

import datetime
import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab import MAEImputer, load, save
from maetab.data.timeline import Timeline, lay_out
from tests.times import laid_out, table, timeline_of

SMALL = {"max_iter": 0, "random_state": 0}
DAYS = pd.bdate_range("2023-01-02", periods=300)
HOURS = pd.date_range("2024-01-01", "2024-02-01", freq="h")
HOLIDAYS = [3, 17, 18, 60, 61, 62, 150, 299]


def counted(first, last):
    """Place of each working day from a Monday on, one day after the other."""
    days = itertools.takewhile(
        lambda day: day <= last, (first + datetime.timedelta(i) for i in itertools.count())
    )
    return {day: place for place, day in enumerate(day for day in days if day.weekday() < 5)}


@given(st.integers(-8000, 8000), st.sets(st.integers(0, 59), max_size=12), st.integers(0, 23))
@settings(max_examples=60, deadline=None)
def test_places_are_working_days_counted_one_by_one(first, dropped, hour):
    days = pd.bdate_range(pd.Timestamp("2000-01-03") + pd.Timedelta(days=first), periods=60)
    index = days.delete(sorted(dropped)) + pd.Timedelta(hours=hour)
    timeline, layout = laid_out(table(index), 5)
    assert (timeline.unit, timeline.step, timeline.regular) == ("workday", 1.0, True)
    dates = [stamp.date() for stamp in index]
    monday = dates[0] - datetime.timedelta(dates[0].weekday())
    known = counted(monday, dates[-1])
    expected = np.array([known[date] for date in dates])
    assert np.array_equal(layout.place - layout.place[0], expected - expected[0])
    assert layout.position.tolist() == layout.place.tolist()


def test_a_week_has_a_period_of_five_and_phases_are_its_days():
    frame = table(DAYS.delete(HOLIDAYS))
    frame["v0"] += 5 * (frame.index.day_of_week == 4)
    timeline, layout = laid_out(frame)
    assert (timeline.period, timeline.n_steps) == (5, 10)
    assert layout.phase.tolist() == frame.index.day_of_week.tolist()
    assert timeline.calendar == ("week",)


def test_windows_of_working_days_have_no_holes_at_weekends():
    timeline, layout = laid_out(table(DAYS), 20)
    rows = layout.windows(20, 10)
    inner = rows[1:-1]
    assert timeline.n_steps == 20 and (inner >= 0).all()
    holed = DAYS.delete(HOLIDAYS)
    rows = laid_out(table(holed), 20)[1].windows(20, 20)
    starts = [pd.Timestamp("1970-01-05").date(), holed[-1].date()]
    places = counted(*starts)
    row_at = {places[stamp.date()]: row for row, stamp in enumerate(holed)}
    first, latest = min(row_at), max(row_at) - 19
    inner = range(first // 20 * 20 + 20, latest, 20)
    by_hand = [[row_at.get(at + k, -1) for k in range(20)] for at in (first, *inner, latest)]
    assert rows.tolist() == by_hand


@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_days_that_close_early_are_days_as_others(zone):
    index = (DAYS + pd.Timedelta(hours=16)).tz_localize(zone)
    early = index.where(np.arange(300) % 40 != 7, index - pd.Timedelta(hours=3))
    timeline, layout = laid_out(table(early), 20)
    assert timeline.unit == "workday" and timeline.zone == zone
    assert np.diff(layout.place).tolist() == [1] * 299
    if zone is not None:
        moved = lay_out(table(early.tz_convert("Asia/Tokyo")), timeline)
        assert moved.place.tolist() == layout.place.tolist()


@pytest.mark.filterwarnings("ignore:.*B.*deprecated:FutureWarning")
def test_periods_of_business_days_are_working_days():
    index = pd.period_range("2024-01-01", periods=60, freq="B")
    assert timeline_of(table(index), 5).unit == "workday"


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2024-01-01", periods=60, freq="D"),
        DAYS.insert(30, pd.Timestamp("2023-02-11")),  # one Saturday
        pd.date_range("2024-01-01", periods=60, freq="W-FRI"),
        pd.date_range("2024-01-01", periods=60, freq="BME"),
        DAYS[DAYS.day_of_week.isin([0, 2, 4])],
        DAYS[DAYS.day_of_week < 4],
        DAYS[:8],
        DAYS[::7],
        HOURS[HOURS.day_of_week < 5],
    ],
    ids=["daily", "Saturday", "weekly", "monthly", "MWF", "Mo-Th", "short", "sparse", "hourly"],
)
def test_other_rows_are_not_on_working_days(index):
    assert timeline_of(table(pd.DatetimeIndex(index)), 3).unit != "workday"


def test_a_weekend_in_later_rows_is_refused_and_named():
    timeline = timeline_of(table(DAYS), 5)
    later = pd.date_range("2024-03-01", periods=10, freq="D")
    with pytest.raises(ValueError, match=r"1 working day in fit, but 2024-03-02.*lies off"):
        lay_out(table(later), timeline)


def test_series_of_a_panel_have_holidays_of_their_own():
    parts = [table(DAYS.delete(list(range(k, 300, 11)))).assign(g=k) for k in range(3)]
    frame = pd.concat(parts)
    timeline, layout = laid_out(frame, 10, groups="g")
    assert timeline.unit == "workday"
    place = dict(zip(DAYS, range(300)))
    expected = np.array([place[stamp] for stamp in frame.index])
    assert np.ptp(layout.place - expected) == 0


def test_durations_say_no_number_of_working_days():
    frame = table(DAYS)
    with pytest.raises(ValueError, match=r"'window'.*working days.*'28D'.*give an int"):
        timeline_of(frame, "28D")
    with pytest.raises(ValueError, match=r"'max_gap'.*working days.*give an int"):
        MAEImputer(window=10, max_gap="3D", **SMALL).fit(frame)


def test_gaps_last_as_many_working_days_as_they_miss(tmp_path):
    rng = np.random.default_rng(0)
    level = np.sin(2 * np.pi * np.arange(300) / 5)
    whole = pd.DataFrame({"a": level + 0.1 * rng.normal(size=300), "b": level}, index=DAYS)
    frame = whole.drop(DAYS[HOLIDAYS])
    short, long = DAYS[[23, 24, 25]], DAYS[[103, 104, 105, 106]]  # each over a weekend
    across = DAYS[[59, 63]]  # beside three holidays: five that are missing
    for days in (short, long, across):
        frame.loc[days, "a"] = np.nan
    frame = frame.sample(frac=1, random_state=0)
    imputer = MAEImputer(window=10, max_gap=3, **SMALL).fit(frame)
    filled = imputer.transform(frame)
    assert filled.loc[short, "a"].notna().all()
    assert filled.loc[[*long, *across], "a"].isna().all()
    pd.testing.assert_frame_equal(filled.where(frame.notna()), frame)
    assert imputer.timeline_.n_steps == 10 and imputer.timeline_.period == 5
    save(imputer, tmp_path / "m")
    pd.testing.assert_frame_equal(load(tmp_path / "m").transform(frame), filled)


def test_timelines_that_count_days_still_do():
    timeline = timeline_of(table(DAYS), 10)
    written = json.loads(json.dumps(timeline.to_dict()))
    assert Timeline.from_dict(written) == timeline
    by_day = replace(timeline, unit="second", step=86_400.0, origin=4 * 86_400.0)
    places = lay_out(table(DAYS), by_day).place
    assert np.diff(places).tolist() == (np.diff(DAYS) / np.timedelta64(1, "D")).tolist()
