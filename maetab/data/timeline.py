"""How the rows of a table lie in time: series, stamps, steps, windows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from maetab.data.calendar import calendar_features, calendar_names
from maetab.data.gaps import find_gaps
from maetab.data.panel import group_labels, refuse_repeated, series_of, static_columns
from maetab.data.period import calendar_periods, main_period
from maetab.data.stamps import KINDS, Stamps, find_time, read_stamps
from maetab.data.steps import find_grid, local_steps, numbers, on_grid
from maetab.data.window_steps import window_steps
from maetab.data.windows import cut_places


@dataclass(frozen=True)
class Timeline:
    """How the rows of the table given to fit lie in time.

    Parameters
    ----------
    n_steps : T, steps of a window
    step : from one row to the next, in `unit`; of rows without a regular step their median
    regular : whether rows lie on a grid of such steps; else windows are of rows in a row
    unit : "second", "month", "workday" (Monday to Friday) or "one" (numbers, and rows in order)
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
    stamps, series = read_stamps(frame, time), series_of(frame, labels)
    refuse_repeated(frame, stamps, series, labels)
    grid = find_grid(stamps, series)
    keys = {*labels, time} - {None}
    seen = [i for i, x in enumerate(frame.columns) if x not in keys]
    usual: tuple[int, ...] = ()
    calendar: tuple[str, ...] = ()
    if stamps.local is not None:
        usual = calendar_periods(grid.step, stamps.unit, grid.span)
        calendar = calendar_names(grid.step, stamps.unit, grid.span)
    period = None
    if grid.regular:
        period = main_period(values[:, seen], observed[:, seen], series, grid.place, usual)
    usual_gap = _usual_gap(observed[:, seen], series, grid.place)
    return Timeline(
        n_steps=window_steps(
            window, grid.step, stamps, period, grid.length, len(seen), usual_gap, name
        ),
        step=grid.step,
        regular=grid.regular,
        unit=stamps.unit,
        origin=grid.origin,
        period=period,
        calendar=calendar,
        kind=stamps.kind,
        zone=stamps.zone,
        time=time,
        groups=labels,
        static=static_columns(values, observed, series, seen) if labels else (),
    )


def _usual_gap(observed: np.ndarray, series: np.ndarray, place: np.ndarray) -> float:
    """Return the steps of the gaps that nine in ten missing cells lie in, at most."""
    none = np.zeros(len(place), np.int64)
    gaps = find_gaps(observed, Layout(series, place, place.astype(float), none, none[:, None]))
    inside = gaps.steps[~observed & ~gaps.edge]
    return float(np.quantile(inside, 0.9)) if inside.size else 0.0


def lay_out(frame: pd.DataFrame, timeline: Timeline) -> Layout:
    """Return where the rows of a frame stand on a timeline.

    Raises
    ------
    ValueError
        If its stamps are of another kind, off the grid of the timeline, missing or repeated.
    """
    _refuse_without_labels(frame, timeline)
    stamps = read_stamps(frame, timeline.time, timeline.unit, timeline.zone)
    _refuse_other_stamps(stamps, timeline)
    series = series_of(frame, timeline.groups)
    refuse_repeated(frame, stamps, series, timeline.groups)
    position = (stamps.ticks - timeline.origin) / timeline.step
    place = numbers(series, np.lexsort((position, series)))
    if timeline.kind == "order":
        position = place.astype(np.float64)
    elif timeline.regular:
        position = on_grid(position, series, stamps, timeline.step)
        place = position.astype(np.int64)
    phase = np.zeros(len(place), np.int64)
    if timeline.period is not None:
        phase = local_steps(place, stamps, timeline.origin, timeline.step) % timeline.period
    calendar = np.zeros((len(place), 0), np.float32)
    if timeline.calendar and stamps.local is not None:
        calendar = calendar_features(stamps.local, timeline.calendar)
    return Layout(series, place, position, phase, calendar)


def _refuse_without_labels(frame: pd.DataFrame, timeline: Timeline) -> None:
    for label in (*timeline.groups, timeline.time):
        if label is not None and label not in frame.columns and label not in frame.index.names:
            raise ValueError(
                f"X lacks {label!r}, which held the times or groups in fit; it must be a column or "
                f"an index level again."
            )


def _refuse_other_stamps(stamps: Stamps, timeline: Timeline) -> None:
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
