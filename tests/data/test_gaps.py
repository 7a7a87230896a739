from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab import MAEImputer
from maetab.data.gaps import find_gaps, max_steps
from maetab.data.timeline import Layout, infer_timeline, lay_out


def gaps_of(frame, time=None, groups=None):
    """Return the timeline and the gaps of a frame whose values are numbers."""
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    observed = ~np.isnan(values)
    timeline = infer_timeline(frame, np.nan_to_num(values), observed, 4, time, groups)
    return timeline, find_gaps(observed, lay_out(frame, timeline))


@st.composite
def holes(draw):
    """Draw rows of two series on a grid, in any order, with stamps and cells left out."""
    pairs = st.tuples(st.integers(0, 1), st.integers(0, 14))
    rows = draw(st.lists(pairs, unique=True, min_size=2, max_size=20))
    cells = st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))
    return rows, np.array([draw(cells), draw(cells)]).T


def length_by_hand(rows, observed, row, column):
    """Look left and right from one missing cell."""
    series, place = rows[row]
    own = [i for i in range(len(rows)) if rows[i][0] == series]
    seen = [rows[i][1] for i in own if observed[i, column]]
    before, after = [p for p in seen if p < place], [p for p in seen if p > place]
    if before and after:
        return min(after) - max(before) - 1, False
    ends = [rows[i][1] for i in own]
    if before:
        return max(ends) - max(before), True
    return (min(after) - min(ends), True) if after else (np.inf, True)


@given(holes())
@settings(max_examples=150, deadline=None)
def test_gaps_on_a_grid_are_those_found_by_hand(drawn):
    rows, observed = drawn
    series, place = (np.array(x) for x in zip(*rows, strict=True))
    layout = lay_out_of(series, place)
    found = find_gaps(observed, layout)
    for row in range(len(rows)):
        for column in range(2):
            expected = (0, False)
            if not observed[row, column]:
                expected = length_by_hand(rows, observed, row, column)
            assert (found.steps[row, column], found.edge[row, column]) == expected


def lay_out_of(series, place):
    """Return the layout of rows whose places are known."""
    zeros = np.zeros(len(place), np.int64)
    return Layout(series, place, place.astype(float), zeros, np.zeros((len(place), 0), np.float32))


def test_a_series_without_any_observation_is_an_endless_gap_at_an_edge():
    frame = pd.DataFrame({"g": list("aab"), "v": [1.0, np.nan, np.nan]}).assign(t=[0, 1, 0])
    found = find_gaps(frame.notna().to_numpy(), lay_out_of(np.array([0, 0, 1]), np.arange(3)))
    assert found.steps[:, 1].tolist() == [0, 1, np.inf]
    assert found.edge[:, 1].tolist() == [False, True, True]


def test_stamps_that_are_not_there_lengthen_a_gap():
    index = pd.date_range("2024", periods=12, freq="h")
    frame = pd.DataFrame({"v": np.arange(12.0)}, index).drop(index[[4, 5]])
    frame.iloc[3, 0] = np.nan
    timeline, found = gaps_of(frame)
    assert found.steps[3, 0] == 3 == pytest.approx(max_steps("3h", timeline))


@pytest.mark.parametrize(
    ("step", "gap", "n"), [(100, "300ms", 3), (50, "150ms", 3), (10, "90ms", 9)]
)
def test_a_gap_of_just_the_duration_is_no_longer_whatever_fractions_of_a_second_divide_to(
    step, gap, n
):
    stamps = pd.date_range("2024", periods=60, freq=f"{step}ms")
    frame = pd.DataFrame({"v": np.arange(60.0)}, stamps)
    frame.iloc[10 : 10 + n, 0] = np.nan
    timeline, found = gaps_of(frame)
    assert timeline.regular
    assert n == found.steps[10, 0] <= max_steps(gap, timeline) < n + 1


def test_a_gap_of_irregular_rows_lasts_as_long_as_between_its_neighbours():
    minutes = np.array([0, 7, 20, 31, 45, 52, 66, 75, 91])
    frame = pd.DataFrame(
        {"v": np.arange(9.0)}, pd.to_datetime("2024") + pd.to_timedelta(minutes, "min")
    )
    frame.iloc[3:5, 0] = np.nan
    timeline, found = gaps_of(frame)
    usual = np.median(np.diff(minutes))
    assert timeline.step == usual * 60 and not timeline.regular
    assert found.steps[3, 0] == pytest.approx((52 - 20) / usual - 1)
    assert found.steps[3, 0] <= max_steps(f"{52 - 20 - usual}min", timeline)


def timeline_of(index):
    frame = pd.DataFrame({"v": np.arange(float(len(index)))}, index)
    return infer_timeline(frame, frame.to_numpy(), frame.notna().to_numpy(), 4, None, None)


@pytest.mark.parametrize("duration", ["24M", "2 QE", "YS", "QS-DEC", "1.5 Years"])
def test_calendar_lengths_are_told_to_be_given_as_a_number_of_rows(duration):
    timeline = timeline_of(pd.period_range("2000-01", periods=50, freq="M"))
    with pytest.raises(ValueError, match="months, quarters and years differ in length"):
        max_steps(duration, timeline)
    frame = pd.DataFrame({"v": np.arange(50.0)}, pd.period_range("2000-01", periods=50, freq="M"))
    with pytest.raises(ValueError, match="give an int, the number of rows"):
        MAEImputer(window=duration, max_iter=0).fit(frame)


HOURS = pd.date_range("2024", periods=50, freq="h")


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        (None, np.inf),
        (0, 0),
        (np.int64(5), 5),
        ("3h", 3),
        (pd.Timedelta("90min"), 1.5),
        (np.timedelta64(2, "h"), 2),
        (datetime.timedelta(hours=2), 2),
    ],
)
def test_the_longest_gap_is_said_in_steps_or_as_a_duration(given, steps):
    assert max_steps(given, timeline_of(HOURS)) == pytest.approx(steps)


@pytest.mark.parametrize("given", [-1, True, 2.5, "three", "3", "3e2", "-3h", "NaT", [3], pd.NaT])
def test_what_is_no_longest_gap_is_refused(given):
    with pytest.raises(ValueError, match="'max_gap' parameter of MAEImputer must be None, an int"):
        max_steps(given, timeline_of(HOURS))


@pytest.mark.parametrize(
    "index", [pd.RangeIndex(30), pd.period_range("2020", periods=30, freq="M")]
)
def test_a_duration_needs_stamps_that_count_seconds(index):
    with pytest.raises(ValueError, match="so give an int of steps"):
        max_steps("3h", timeline_of(index))
