from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from maetab.data.timeline import lay_out
from tests.times import laid_out, table, timeline_of

HOURS = pd.date_range("2024", periods=10, freq="h")


def panel():
    """Return the long format of three stations in two towns, columns "town", "no" and "when"."""
    frame = table(pd.RangeIndex(30))
    town, number = np.repeat(["b", "a", "b"], 10), np.repeat([1, 1, 2], 10)
    return frame.assign(town=town, no=number, when=np.tile(HOURS, 3))


@pytest.mark.parametrize("groups", [["town", "no"], ("town", "no"), pd.Index(["town", "no"])])
def test_several_columns_tell_series_apart_together(groups):
    timeline, layout = laid_out(panel(), 4, "when", groups)
    assert timeline.groups == ("town", "no") and timeline.keys(panel()) == [1, 2, 3]
    assert layout.series.tolist() == [1] * 10 + [0] * 10 + [2] * 10
    assert layout.place.tolist() == (np.tile(np.arange(10), 3) + layout.place[0]).tolist()


def test_levels_of_the_index_are_times_and_groups_like_columns():
    frame = panel()
    _, layout = laid_out(frame, 4, "when", ["town", "no"])
    levels, expected = laid_out(frame.set_index(["town", "when", "no"]), 4, None, ["town", "no"])
    assert levels.time == "when"
    for one, other in zip(layout, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert lay_out(frame, levels).place.tolist() == layout.place.tolist()


def test_a_column_whose_name_is_a_tuple_is_one_group():
    frame = panel().rename(columns={"town": ("x", "y")})
    frame[("x", "y")] += frame.pop("no").astype(str)
    assert timeline_of(frame, 4, "when", ("x", "y")).groups == (("x", "y"),)


def test_labels_without_an_order_are_told_apart_by_kind_and_value():
    labels = np.array([1, "1", (1,), 1.5, "b"], dtype=object)
    frame = table(pd.RangeIndex(10)).assign(g=pd.Series(np.tile(labels, 2), dtype=object))
    _, layout = laid_out(frame, 2, groups="g")
    assert len(set(layout.series[:5])) == 5
    assert layout.series[:5].tolist() == layout.series[5:].tolist()
    mixed = laid_out(frame.iloc[::-1], 2, groups="g")[1]
    assert mixed.series[::-1].tolist() == layout.series.tolist()


def test_a_series_never_seen_in_fit_stands_on_the_same_grid():
    frame = panel()
    timeline, layout = laid_out(frame, 4, "when", ["town", "no"])
    new = frame.iloc[:10].assign(town="z")
    assert lay_out(new, timeline).place.tolist() == layout.place[:10].tolist()


def test_rows_that_repeat_a_stamp_of_their_series_are_named():
    frame = panel()
    frame.loc[13, "when"] = HOURS[7]
    with pytest.raises(
        ValueError, match=r"1 row repeats a stamp, such as 2024-01-01 07:00:00 of town=a"
    ):
        timeline_of(frame, 4, "when", ["town", "no"])
    with pytest.raises(
        ValueError, match=r"20 rows repeat a .* in 'groups' what tells series apart"
    ):
        timeline_of(panel(), 4, "when")
    timeline = timeline_of(panel(), 4, "when", ["town", "no"])
    with pytest.raises(ValueError, match="07:00:00 of town=a, no=1; keep one"):
        lay_out(frame, timeline)


def test_an_hour_that_a_clock_shows_twice_is_two_stamps():
    index = pd.date_range("2024-10-27", periods=30, freq="h", tz="Europe/Berlin")
    _, layout = laid_out(table(index), 4)
    assert np.diff(layout.place).tolist() == [1] * 29


CLOCK = r"clocks are set back: pandas.Series.dt.tz_localize\(zone, ambiguous=...\) tells .* offset"


@pytest.mark.parametrize("freq", ["15min", "h"])
def test_of_local_times_that_repeat_it_is_said_what_tells_them_apart(freq):
    berlin = pd.date_range("2024-10-25", periods=500, freq=freq, tz="Europe/Berlin")
    frame = table(berlin.tz_localize(None))
    with pytest.raises(ValueError, match=f"rows? repeats? a stamp, such as 2024-10-27 02.*{CLOCK}"):
        timeline_of(frame, 4)
    apart = frame.index.to_series().dt.tz_localize("Europe/Berlin", ambiguous="infer")
    assert timeline_of(frame.set_axis(pd.DatetimeIndex(apart)), 4).regular


@pytest.mark.parametrize(
    "again",
    [
        pd.DatetimeIndex([HOURS[3]] * 2),  # three times
        HOURS[[2, 7]],  # five hours apart
        HOURS[[7]],  # by day: a row that is there twice
    ],
)
def test_of_other_stamps_that_repeat_nothing_is_said_of_clocks(again):
    with pytest.raises(ValueError, match=r"series apart\.$"):
        timeline_of(table(HOURS.append(again)), 4)
    days = pd.date_range("2024", periods=10)
    with pytest.raises(ValueError, match=r"1 row repeats .* series apart\.$"):
        timeline_of(table(days.append(days[[4]])), 4)
    zoned = HOURS.append(HOURS[[3]]).tz_localize("UTC")
    with pytest.raises(ValueError, match=r"1 row repeats .* series apart\.$"):
        timeline_of(table(zoned), 4)


def test_rows_without_a_group_are_refused():
    frame = panel().astype({"town": object})
    frame.loc[4, "town"] = None
    with pytest.raises(ValueError, match="'town' tells series apart, but row 4 has none"):
        timeline_of(frame, 4, "when", ["town", "no"])


@pytest.mark.parametrize("groups", ["city", ["town", "city"], 3])
def test_unknown_groups_are_refused(groups):
    with pytest.raises(ValueError, match="'groups' parameter of MAEImputer must name columns"):
        timeline_of(panel(), 4, "when", groups)


@pytest.mark.parametrize("groups", [[], ["town", "town"]])
def test_groups_must_be_different_and_some(groups):
    with pytest.raises(ValueError, match="must name different columns or levels"):
        timeline_of(panel(), 4, "when", groups)


@pytest.mark.parametrize("groups", [{"town"}, [["town"]], {"town": 1}, pd.Series(["a"] * 6)])
def test_groups_that_are_no_labels_are_refused(groups):
    with pytest.raises((ValueError, TypeError), match="'groups' parameter of MAEImputer"):
        timeline_of(panel(), 4, "when", groups)


def test_time_cannot_be_a_group():
    with pytest.raises(ValueError, match="got 'when' both as 'time' and among 'groups'"):
        timeline_of(panel(), 4, "when", ["when", "no"])


def test_columns_with_one_value_in_each_series_are_static():
    frame = panel()
    height = np.repeat([3.0, 4.0, 3.0], 10)
    height[[2, 15]] = np.nan
    frame = frame.assign(height=height, same=1.0, empty=np.nan, almost=np.r_[np.zeros(29), 1.0])
    timeline = timeline_of(frame, 4, "when", ["town", "no"])
    assert [frame.columns[i] for i in timeline.static] == ["height"]
    assert timeline_of(frame.iloc[:10].drop(columns=["town", "no"]), 4, "when").static == ()


def test_a_new_frame_must_hold_the_columns_of_time_and_groups():
    timeline = timeline_of(panel(), 4, "when", ["town", "no"])
    with pytest.raises(ValueError, match="X lacks 'no', which held the times or groups in fit"):
        lay_out(panel().drop(columns="no"), timeline)
