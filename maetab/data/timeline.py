"""How the rows of a table lie in time: series, stamps, steps, windows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from maetab.data.calendar import calendar_features, calendar_names
from maetab.data.panel import group_labels, refuse_repeated, series_of, static_columns
from maetab.data.period import calendar_period, observed_period
from maetab.data.stamps import KINDS, Stamps, find_time, read_stamps
from maetab.data.steps import find_step, on_grid
from maetab.data.window_steps import window_steps
from maetab.data.windows import cut_places

MONDAY = 4 * 86_400.0  # seconds from the beginning of 1970, a Thursday, to the first Monday


@dataclass(frozen=True)
class Timeline:
    """How the rows of the table given to fit lie in time.

    Parameters
    ----------
    n_steps : T, steps of a window
    step : from one row to the next, in `unit`; of rows without a regular step their median
    regular : whether rows lie on a grid of such steps; else windows are of rows in a row
    unit : "second", "month" or "one" (numbers, and rows in order)
    origin : tick at position 0
    period : steps of the main period, None for none
    calendar : cycles of the calendar that are told to the model
    kind : "datetime", "timedelta", "period", "number" or "order"
    zone : time zone of the stamps, None without one
    time : the column or index level with the stamps; None for the index, or rows in order
    groups : columns and index levels that tell series apart
    static : places of the columns that have one value in every series
    """

    n_steps: int
    step: float
    regular: bool
    unit: str
    origin: float
    period: int | None
    calendar: tuple[str, ...]
    kind: str
    zone: str | None
    time: Any
    groups: tuple
    static: tuple[int, ...]

    def keys(self, frame: pd.DataFrame) -> list[int]:
        """Return the places of the columns that are times or groups, which no model sees."""
        names = {self.time, *self.groups} - {None}
        return [place for place, name in enumerate(frame.columns) if name in names]

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads, as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> Timeline:
        """Rebuild the timeline that `to_dict` wrote."""
        lists = {k: tuple(v) for k, v in written.items() if isinstance(v, list)}
        return cls(**(written | lists))


class Layout(NamedTuple):
    """Where the rows of a table stand, in the table's order.

    series : (n,) number of the series of each, by the order of their labels
    place : (n,) int, step of the grid; without a grid, number in its series
    position : (n,) float64, time in steps
    phase : (n,) int, where in the period; 0 without one
    calendar : (n, K) float32
    """

    series: np.ndarray
    place: np.ndarray
    position: np.ndarray
    phase: np.ndarray
    calendar: np.ndarray

    def windows(self, n_steps: int, stride: int) -> np.ndarray:
        """Return (W, T) rows at each step of each window, -1 where there is none.

        Windows start at multiples of the stride; every row is in one.
        """
        return cut_places(self.series, self.place, n_steps, stride)


def infer_timeline(
    frame: pd.DataFrame,
    values: np.ndarray,
    observed: np.ndarray,
    window: Any,
    time: Any,
    groups: Any,
    name: str = "MAEImputer",
) -> Timeline:
    """Return how the rows of a frame lie in time, and the windows that suit them.

    Parameters
    ----------
    values, observed : (n, F) cells of the frame as numbers
    window : steps, a duration such as "24h", or "auto": two periods
    time : column or index level with the stamps, None for the index or the order of the rows
    groups : column or index level, or several, that tell series apart; None for one series
    name : of the estimator, for errors

    Raises
    ------
    ValueError
        Naming the parameter, column or stamp that cannot be used.
    """
    labels = group_labels(frame, groups, name)
    time = find_time(frame, time, labels, name)
    if time is not None and time in labels:
        raise ValueError(f"{name} got {time!r} both as 'time' and among 'groups'.")
    stamps, series = read_stamps(frame, time), series_of(frame, labels)
    refuse_repeated(frame, stamps, series, labels)
    order = np.lexsort((stamps.ticks, series))
    step, regular = find_step(stamps.ticks[order], series[order], stamps.kind)
    first, last = (pd.Series(stamps.ticks).groupby(series).agg(x) for x in ("min", "max"))
    span = float((last - first).max()) if len(first) else 0.0
    origin = _origin(stamps, float(first.min()))
    position = (stamps.ticks - origin) / step
    if regular:  # the grid may lie off midnight
        off = float(np.median(position - np.rint(position)))
        origin, position = round(origin + off * step, 6), position - off
    place = np.rint(position).astype(np.int64) if regular else _numbers(series, order)
    keys = {*labels, time} - {None}
    seen = [i for i, x in enumerate(frame.columns) if x not in keys]
    period = None
    if regular or stamps.kind == "order":
        if stamps.local is not None and regular:
            period = calendar_period(step, stamps.unit, span)
        if period is None:
            longest = np.bincount(series).argmax()
            period = _seen_period(values[:, seen], observed[:, seen], place, series == longest)
    calendar: tuple[str, ...] = ()
    if stamps.local is not None:
        calendar = calendar_names(step, stamps.unit, span)
    length = int(pd.Series(place).groupby(series).agg(np.ptp).max()) + 1
    n_steps = window_steps(window, step, stamps, period, length, len(seen), name)
    static = static_columns(values, observed, series, seen) if labels else ()
    return Timeline(
        n_steps=n_steps,
        step=step,
        regular=regular,
        unit=stamps.unit,
        origin=origin,
        period=period,
        calendar=calendar,
        kind=stamps.kind,
        zone=stamps.zone,
        time=time,
        groups=labels,
        static=static,
    )


def lay_out(frame: pd.DataFrame, timeline: Timeline) -> Layout:
    """Return where the rows of a frame stand on a timeline.

    Raises
    ------
    ValueError
        If its stamps are of another kind, off the grid of the timeline, missing or repeated.
    """
    for label in (*timeline.groups, timeline.time):
        if label is not None and label not in frame.columns and label not in frame.index.names:
            raise ValueError(
                f"X lacks {label!r}, which held the times or groups in fit; it must be a column or "
                f"an index level again."
            )
    stamps, series = read_stamps(frame, timeline.time), series_of(frame, timeline.groups)
    if stamps.kind != timeline.kind:
        raise ValueError(
            f"rows had {KINDS[timeline.kind]} in fit and now have {KINDS[stamps.kind]}; give X the "
            f"same kind of index or column of times."
        )
    if (stamps.zone is None) != (timeline.zone is None):
        raise ValueError(
            f"stamps were in zone {timeline.zone} in fit and are now in {stamps.zone}; both need a "
            f"time zone or neither: see pandas.DatetimeIndex.tz_localize and tz_convert."
        )
    if stamps.unit != timeline.unit:  # a few months, or days that happen to begin them
        stamps = stamps._replace(ticks=_ticks_in(timeline.unit, stamps), unit=timeline.unit)
    refuse_repeated(frame, stamps, series, timeline.groups)
    position = (stamps.ticks - timeline.origin) / timeline.step
    if timeline.kind == "order":
        position = _numbers(series, np.arange(len(series))).astype(np.float64)
    order = np.lexsort((position, series))
    if timeline.regular:
        position = on_grid(position, series, stamps, timeline)
        place = position.astype(np.int64)
    else:
        place = _numbers(series, order)
    phase = np.zeros(len(place), np.int64)
    if timeline.period is not None:
        phase = (place + _shift(stamps, timeline)) % timeline.period
    calendar = np.zeros((len(place), 0), np.float32)
    if timeline.calendar and stamps.local is not None:
        calendar = calendar_features(_in_zone(stamps, timeline), timeline.calendar)
    return Layout(series, place, position, phase, calendar)


def _origin(stamps: Stamps, first: float) -> float:
    """Return the tick of position 0: midnight, Monday of a week, January, or the first row."""
    if stamps.unit == "month":
        return 0.0
    if stamps.local is None:
        return 0.0 if stamps.kind == "timedelta" else first
    at = int(stamps.ticks.argmin())
    offset = (stamps.local[at] - pd.Timestamp(0)).total_seconds() - stamps.ticks[at]
    return float(MONDAY - offset)


def _shift(stamps: Stamps, timeline: Timeline) -> np.ndarray | int:
    """Return (n,) steps by which local clocks are ahead of those at the origin."""
    if stamps.local is None or stamps.zone is None or timeline.unit != "second":
        return 0
    local = (stamps.local - pd.Timestamp(0)).total_seconds().to_numpy()
    ahead = local - stamps.ticks - (MONDAY - timeline.origin)
    return np.rint(ahead / timeline.step).astype(np.int64)


def _in_zone(stamps: Stamps, timeline: Timeline) -> pd.DatetimeIndex:
    assert stamps.local is not None
    if timeline.zone in (None, stamps.zone):
        return stamps.local
    utc = pd.to_datetime(stamps.ticks, unit="s", utc=True)
    return utc.tz_convert(timeline.zone).tz_localize(None)


def _ticks_in(unit: str, stamps: Stamps) -> np.ndarray:
    assert stamps.local is not None
    if unit == "month":
        months = (stamps.local.year - 1970) * 12 + stamps.local.month - 1
        return months.to_numpy(np.float64)
    zoned = stamps.local if stamps.zone is None else stamps.local.tz_localize(stamps.zone)
    return zoned.as_unit("ns").asi8 / 1e9


def _numbers(series: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return (n,) the number of each row in its series, by an order of all rows."""
    out = np.empty(len(series), np.int64)
    out[order] = pd.Series(series[order]).groupby(series[order]).cumcount().to_numpy()
    return out


def _seen_period(
    values: np.ndarray, observed: np.ndarray, place: np.ndarray, rows: np.ndarray
) -> int | None:
    """Return the period of the longest series."""
    first, size = place[rows].min(), int(np.ptp(place[rows])) + 1
    if size > 20 * rows.sum() or not values.shape[1]:
        return None
    grid = np.zeros((size, values.shape[1])), np.zeros((size, values.shape[1]), bool)
    for target, source in zip(grid, (values, observed), strict=True):
        target[place[rows] - first] = source[rows]
    return observed_period(*grid)
