"""Rows of a series in order of time, and as many points of a line as a picture can show."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from maetab.data.containers import label_of, labels_in
from maetab.data.kinds import python_scalar, starts
from maetab.data.stamps import counts_workdays
from maetab.plot import ticks

MOST_POINTS = 1500  # parts of a line: more than a figure of 10 inches has dots that can be told
MOST_SPARSE = 20  # steps of the axis for each row, above which stamps are on no grid
ORIGIN = pd.Timestamp(0)
DAY = pd.Timedelta(days=1)


class Course(NamedTuple):
    """Rows of a table in order of time, series after series.

    rows : (n,) their places in the table
    stamps : (n,) days since 1970 for dates (time of day where they were taken), days for
        durations, numbers as they are; rows counted from 0 in each series where there is no time
    temporal : "datetime", "timedelta" or None
    series : (n,) number of the series of each row
    name : of the time
    keys : names of the columns that are time or groups
    known : what the series are called, by their numbers
    workdays : whether the stamps are on Mondays to Fridays, and weekends are no gaps
    zone : in which the dates are told; their stamps are those of UTC then. None for stamps of the
        clock, which is never set forth or back between them
    """

    rows: np.ndarray
    stamps: np.ndarray
    temporal: str | None
    series: np.ndarray
    name: str
    keys: tuple
    known: list
    workdays: bool
    zone: Any = None

    def part(self, chosen: np.ndarray) -> Course:
        """Return the course of the rows that are True in `chosen` (n,)."""
        cut = {name: getattr(self, name)[chosen] for name in ("rows", "stamps", "series")}
        return self._replace(**cut)

    def values_of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the course and the columns of the table that are no keys."""
        kept = [place for place, name in enumerate(frame.columns) if name not in self.keys]
        return frame.iloc[self.rows, kept]

    def step(self) -> float:
        """Return the usual time from one row of a series to the next; 1 where there is none."""
        steps = np.diff(self.stamps)[np.diff(self.series) == 0]
        steps = steps[steps > 0]
        return float(np.median(steps)) if len(steps) else 1.0

    def ends(self) -> tuple[float, float]:
        """Return the first stamp, and the last and one step."""
        return float(self.stamps.min()), float(self.stamps.max() + self.step())

    def n_steps(self) -> int:
        """Return the number of steps from the first stamp to the last, both included."""
        first, last = self.ends()
        return max(1, round((last - first) / self.step()))

    def clock(self) -> np.ndarray:
        """Return (n,) the stamps as gaps are measured by them: without weekends on working days."""
        if not self.workdays:
            return self.stamps
        days = np.floor(self.stamps)
        return np.busday_count("1970-01-01", _days(days)) + self.stamps - days

    def on_grid(self) -> bool:
        """Return whether stamps lie on a grid, on which some may lack."""
        places = (self.stamps - self.stamps.min()) / self.step()
        near = np.abs(places - places.round()) < 0.05
        return bool(near.mean() > 0.95 and self.n_steps() <= MOST_SPARSE * len(places) + 1)

    def parts(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) the part of the time axis that each row is in, and the rows of each part.

        The parts have one length, and there is one for each step or, of more, `most`.
        """
        first, last = self.ends()
        n_parts = min(self.n_steps(), most)
        # The small number keeps stamps that are at the edge of a part from rounding to the last.
        part = ((self.stamps - first) / (last - first) * n_parts + 1e-6).astype(int)
        part = part.clip(0, n_parts - 1)
        return part, np.bincount(part, minlength=n_parts)

    def expected(self, n_parts: int) -> np.ndarray:
        """Return (n_parts,) the stamps that the grid of one series has in each part."""
        edges = np.ceil(np.arange(n_parts + 1) * self.n_steps() / n_parts - 1e-6).astype(int)
        if not self.workdays:
            return np.diff(edges)
        days = _days(np.floor(self.stamps.min()) + edges)
        return np.busday_count(days[:-1], days[1:])

    def shown(self, n_parts: int) -> np.ndarray:
        """Return (n_parts,) the part that is drawn at each: at weekends that of the Friday."""
        has_stamps = self.expected(n_parts) > 0
        return np.maximum.accumulate(np.where(has_stamps, np.arange(n_parts), 0))

    def broken(self, *lines: np.ndarray) -> list[np.ndarray]:
        """Return stamps and lines (n,) of one series, with a missing point where stamps lack."""
        holes = np.flatnonzero(np.diff(self.clock()) > 1.5 * self.step()) + 1
        if not len(holes) or not self.on_grid():
            return [self.stamps, *lines]
        stamps = np.insert(self.stamps, holes, self.stamps[holes - 1] + self.step() / 2)
        return [stamps, *(np.insert(line.astype(float), holes, np.nan) for line in lines)]

    def label_axis(self, axis: Any) -> None:
        """Write stamps and their name along an axis."""
        unit = ticks.write_times(axis, self.temporal, zone=self.zone)
        axis.set_label_text(", ".join(filter(None, (self.name, unit))))


def read_course(
    frame: pd.DataFrame,
    time: Any = None,
    groups: Any = None,
    series: Any = None,
    between: tuple[Any, Any] | None = None,
) -> Course:
    """Return the rows of a table in order of time.

    Parameters
    ----------
    time : column or level of the index; None for the index if that holds dates or durations, else
        rows in order
    groups : column or level of the index, or several, that tell the series apart
    series : value of `groups` (a tuple of several) of the series that is drawn; None for all
    between : first and last stamp that are drawn

    Raises
    ------
    ValueError
        There is no such column, series or row, or the time is neither dates, durations nor numbers.
    """
    time, names = label_of(frame, time), [label_of(frame, name) for name in _names(groups)]
    labels = [_labels(frame, name, "groups") for name in names]
    number, known = _numbers(labels, len(frame))
    found, name = _time_of(frame, time, names)
    keys = tuple(key for key in (time, *names) if key is not None)
    zone = _changing_zone(found)
    moments = found if zone is None else pd.DatetimeIndex(found).tz_convert("UTC")
    stamps, temporal = _as_numbers(moments, number)
    order = np.lexsort((stamps, number))
    order = order[~np.isnan(stamps[order])]
    stamps = stamps[order]
    dates = ORIGIN + pd.to_timedelta(stamps if temporal == "datetime" else [], "D").round("s")
    workdays = counts_workdays(dates)
    course = Course(order, stamps, temporal, number[order], name, keys, known, workdays, zone)
    if series is not None:
        if series not in known:
            one = f"; there is {python_scalar(known[0])!r}, for one" if known else ""
            raise ValueError(f"series: there is no {series!r} in groups={groups!r}{one}.")
        course = course.part(course.series == known.index(series))
    if between is not None:
        # Ends are read as the stamps are: in the time zone of the dates.
        ends = [
            pd.Index([end]) if zone is None else _moment(end, zone, is_first)
            for end, is_first in zip(between, (True, False), strict=True)
        ]
        first, last = (_as_numbers(end, np.zeros(1, int))[0][0] for end in ends)
        course = course.part((course.stamps >= first) & (course.stamps <= last))
    if not len(course.rows):
        raise ValueError("there is no row to draw; see 'between' and the stamps of X.")
    return course


def known_course(
    frame: pd.DataFrame, estimator: Any, series: Any, between: tuple[Any, Any] | None
) -> Course:
    """Return the rows of a table in order of time, as a fitted estimator reads them."""
    timeline = getattr(estimator, "timeline_", None)
    if timeline is None:
        return read_course(frame, None, None, series, between)
    return read_course(frame, timeline.time, list(timeline.groups) or None, series, between)


def check_single(course: Course) -> None:
    """Raise a ValueError if the rows are of several series."""
    numbers = np.unique(course.series)
    if len(numbers) > 1:
        one = python_scalar(course.known[numbers[0]])
        raise ValueError(
            f"X holds {len(numbers):,} series; name the one to draw, such as series={one!r}."
        )


def _days(since_1970: np.ndarray) -> np.ndarray:
    return since_1970.astype(np.int64).astype("M8[D]")


def _names(groups: Any) -> list:
    if groups is None:
        return []
    return list(groups) if isinstance(groups, list | tuple) else [groups]


def _labels(frame: pd.DataFrame, name: Any, parameter: str) -> pd.Index:
    """Return a column, or a level of the index."""
    if name in frame.columns or name in frame.index.names:
        return labels_in(frame, name)
    raise ValueError(f"{parameter}={name!r} is no column and no level of the index of X.")


def _numbers(labels: list[pd.Index], n_rows: int) -> tuple[np.ndarray, list]:
    """Return (n,) the number of the series of each row, and what each is called."""
    if not labels:
        return np.zeros(n_rows, int), []
    one = labels[0] if len(labels) == 1 else pd.MultiIndex.from_arrays(labels)
    codes, known = pd.factorize(one, use_na_sentinel=False)
    return codes, list(known)


def _time_of(frame: pd.DataFrame, time: Any, groups: list) -> tuple[pd.Index, str]:
    """Return the stamps of rows, and what they are called; empty where rows are in order."""
    if time is not None:
        return _labels(frame, time, "time"), str(time)
    index = frame.index
    levels = [index.get_level_values(i) for i in range(index.nlevels)]
    kinds = (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)
    timed = [level for level in levels if isinstance(level, kinds) and level.name not in groups]
    if timed:
        return timed[-1], str(timed[-1].name or "time")
    return index[:0], "row"


def _changing_zone(stamps: pd.Index) -> Any:
    """Return the time zone of steps below a day between which clocks are set, or None."""
    if not isinstance(stamps, pd.DatetimeIndex) or stamps.tz is None:
        return None
    moments = stamps.dropna().unique().sort_values()
    ahead = moments.tz_localize(None) - moments.tz_convert("UTC").tz_localize(None)
    is_set = ahead.nunique() > 1 and pd.Series(moments).diff().median() < DAY
    return stamps.tz if is_set else None


def _moment(end: Any, zone: Any, is_first: bool) -> pd.Index:
    """Return a date in UTC; one without a time zone is told in `zone`.

    An hour that clocks show twice is the first of both as the first end, the last as the last.
    """
    stamp = pd.Timestamp(end)
    if stamp.tz is None:
        stamp = stamp.tz_localize(zone, ambiguous=is_first, nonexistent="shift_forward")
    return pd.DatetimeIndex([stamp.tz_convert("UTC")])


def _as_numbers(stamps: pd.Index, series: np.ndarray) -> tuple[np.ndarray, str | None]:
    """Return (n,) numbers of stamps, NaN where missing, and the kind of time that they are."""
    if len(series) and not len(stamps):
        return pd.Series(series).groupby(series).cumcount().to_numpy(float), None
    if isinstance(stamps, pd.PeriodIndex):
        stamps = starts(stamps)
    if stamps.dtype == object or pd.api.types.is_string_dtype(stamps):
        stamps = pd.to_datetime(stamps)
    if isinstance(stamps, pd.DatetimeIndex):
        return ((stamps.tz_localize(None) - ORIGIN) / DAY).to_numpy(float), "datetime"
    if isinstance(stamps, pd.TimedeltaIndex):
        return (stamps / DAY).to_numpy(float), "timedelta"
    return stamps.to_numpy(dtype=float, na_value=np.nan), None


def thin(values: np.ndarray) -> np.ndarray:
    """Return places (m,) of the points of a line (n,) to draw: all, or the ends of its parts.

    Where there are more than two for each of `MOST_POINTS` parts, a part keeps its lowest and its
    highest point, or if it has none a missing one, so that every peak is drawn.
    """
    n = len(values)
    size = -(-n // MOST_POINTS)
    if size <= 2:
        return np.arange(n)
    parts = np.concatenate([values, np.full(-n % size, np.nan)]).reshape(-1, size)
    low = np.where(np.isnan(parts), np.inf, parts).argmin(1)
    high = np.where(np.isnan(parts), -np.inf, parts).argmax(1)
    places = np.stack([low, high], 1) + size * np.arange(len(parts))[:, None]
    return np.unique(places)
