"""Pictures of rows on working days: weekends are no gaps and break no line."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pictures import saved

from maetab.data.schema import infer_schema
from maetab.plot import FilledSeriesDisplay, GapDisplay, SeriesSurpriseDisplay

DAYS = pd.bdate_range("2024-01-01", periods=60)
HOLIDAYS = [12, 34, 35]  # a Wednesday; a Friday and the Monday behind it
ZONES = [None, "America/New_York"]


def _frame(zone, hour):
    index = (DAYS.delete(HOLIDAYS) + pd.Timedelta(hours=hour)).tz_localize(zone)
    frame = pd.DataFrame({"a": np.arange(57.0), "b": 1.0}, index=index)
    frame.loc[frame.index[[4, 5, 20]], "a"] = np.nan  # over a weekend, and one day
    return frame


@pytest.mark.parametrize("hour", [0, 16])
@pytest.mark.parametrize("zone", ZONES)
def test_gaps_are_missing_cells_and_holidays(zone, hour):
    display = saved(GapDisplay.from_frame(_frame(zone, hour)).plot())
    assert [len(gaps.starts) for gaps in display.gaps_] == [4, 2]
    assert not display.texts_[1].get_text().startswith("12 gaps")
    drawn = np.ma.filled(display.image_.get_array().astype(float), -1)
    days = pd.date_range(DAYS[0], DAYS[-1], freq="D")
    seen = {stamp.date(): np.isnan(value) for stamp, value in _frame(zone, hour)["a"].items()}
    shown, expected = -1.0, []
    for day in days:
        if day.weekday() < 5:  # weekends show the Friday before
            shown = float(seen.get(day.date(), -1))
        expected.append(shown)
    assert drawn[0].tolist() == expected


def test_lines_break_at_holidays_only():
    frame = _frame(None, 0)
    display = FilledSeriesDisplay.from_frames(frame, frame.interpolate(), ["a"]).plot()
    _, y = display.observed_[0].get_data()
    assert np.isnan(y).sum() == 3 + 2  # three cells are missing


def test_surprises_at_weekends_are_those_of_fridays():
    frame = _frame(None, 0).fillna(0.0)
    known = infer_schema(frame)
    detector = SimpleNamespace(timeline_=None, schema_=known, score_cells=lambda X: frame)
    display = SeriesSurpriseDisplay.from_estimator(detector, frame).plot()
    drawn = display.image_.get_array()[0].filled(np.nan)
    days = pd.date_range(DAYS[0], DAYS[-1], freq="D")
    fridays = np.flatnonzero(days.day_of_week == 4)[:-1]
    held = np.isin(days[fridays], frame.index)
    for later in (1, 2):
        np.testing.assert_array_equal(drawn[fridays + later], drawn[fridays])
    assert not np.isnan(drawn[fridays][held]).any()
