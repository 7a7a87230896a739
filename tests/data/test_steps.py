from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from maetab.data.steps import find_step
from maetab.data.timeline import infer_timeline, lay_out

START = 1_700_000_000 * 10**9  # nanoseconds since 1970: late 2023


def sampled(hertz, n_rows, how):
    """Return a frame of rows at a fixed rate, stamps rounded to nanoseconds as pandas does."""
    nanoseconds = np.array([round(i * 10**9 / hertz) for i in range(n_rows)])
    index = {
        "datetime": lambda: pd.to_datetime(nanoseconds + START),
        "timedelta": lambda: pd.to_timedelta(nanoseconds),
        "number": lambda: pd.RangeIndex(n_rows),
    }[how]()
    frame = pd.DataFrame({"x": np.zeros(n_rows)}, index=index)
    return frame.assign(t=nanoseconds / 1e9) if how == "number" else frame


def timeline_of(frame):
    time = "t" if "t" in frame else None
    return infer_timeline(frame, np.zeros(frame.shape), np.ones(frame.shape, bool), 8, time, None)


@pytest.mark.parametrize("how", ["datetime", "timedelta", "number"])
@pytest.mark.parametrize("hertz", [3, 30, 60, 256, 44_100])
def test_rows_at_a_rate_whose_step_is_no_round_number_are_a_grid(hertz, how):
    frame = sampled(hertz, 60_000, how)
    timeline = timeline_of(frame)
    assert timeline.regular
    assert timeline.step == pytest.approx(1 / hertz, rel=1e-6)
    place = lay_out(frame, timeline).place
    assert (place - place[0]).tolist() == list(range(60_000))


@pytest.mark.parametrize("how", ["datetime", "timedelta", "number"])
@pytest.mark.parametrize("hertz", [30, 60])
def test_rows_long_after_those_of_fit_are_still_on_the_grid_of_a_rate(hertz, how):
    frame = sampled(hertz, 100_000, how)
    place = lay_out(frame, timeline_of(frame[:1000])).place
    assert (place - place[0]).tolist() == list(range(100_000))


@pytest.mark.parametrize("step", [1e-8, 1e-3, 7.0, 1e12])
def test_numbers_of_any_size_can_lie_on_a_grid(step):
    count = np.delete(np.arange(60), [7, 8, 30])
    frame = pd.DataFrame({"t": 0.25 * step + count * step, "x": 0.0})
    timeline = timeline_of(frame)
    assert timeline.regular
    assert timeline.step == pytest.approx(step, rel=1e-9)
    place = lay_out(frame, timeline).place
    assert (place - place[0]).tolist() == count.tolist()


@pytest.mark.parametrize("step", [0.01, 1.0, 60.0, 3600.0, 86_400.0])
def test_steps_of_clocks_are_exact(step):
    ticks = 1_700_000_000 + step * np.delete(np.arange(500), [3, 4, 100])
    assert find_step(ticks, np.zeros(len(ticks), int), "datetime") == (step, True)


@pytest.mark.parametrize("hertz", [30, 60])
def test_stamps_written_to_the_millisecond_lie_on_the_grid_of_their_rate(hertz):
    frame = sampled(hertz, 20_000, "datetime")
    frame.index = frame.index.round("ms")
    timeline = timeline_of(frame[:500])
    assert timeline.step == pytest.approx(1 / hertz, rel=1e-4)
    place = lay_out(frame[:2000], timeline).place
    assert (place - place[0]).tolist() == list(range(2000))


@pytest.mark.parametrize(
    ("first", "days"), [("2024-01-15", 150), ("2024-02-20", 80), ("2023-06-01", 700)]
)
def test_local_days_across_daylight_saving_are_steps_of_a_day(first, days):
    index = pd.date_range(first, periods=days, freq="D", tz="Europe/Rome")
    timeline = timeline_of(pd.DataFrame({"x": np.zeros(days)}, index))
    assert (timeline.step, timeline.regular) == (86_400, True)


@pytest.mark.parametrize("seed", range(5))
def test_stamps_late_by_chance_keep_the_step_of_their_clock(seed):
    late = np.random.default_rng(seed).uniform(0, 200, 300)
    ticks = 1_700_000_000 + 3600 * np.arange(300) + late
    assert find_step(ticks, np.zeros(300, int), "datetime") == (3600, True)


def test_rows_on_no_grid_stay_so():
    draws = np.random.default_rng(0)
    ticks = np.sort(draws.uniform(0, 1000, 200)) / 60
    apart = [b - a for a, b in pairwise(ticks)]
    assert find_step(ticks, np.zeros(200, int), "number") == (
        pytest.approx(np.median(apart)),
        False,
    )
