"""The stamps of rows: times of every kind as numbers that can be subtracted, and local times."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from maetab.data.containers import label_of, labels_in
from maetab.data.kinds import starts

KINDS = {
    "datetime": "dates",
    "timedelta": "durations",
    "period": "periods",
    "number": "numbers",
    "order": "no stamps",
}
COUNTED = {"month": "months", "workday": "working days", "one": ""}  # by units but seconds
DAYS_OF_A_MONTH = 26  # fewer between two stamps, and these do not count months
EDGE = 4  # days at the edges of a month that hold its first or last working day
MONDAY = np.datetime64("1970-01-05")  # from which working days are counted
LEAST_WORKDAYS = 10  # different ones that show that weekends are no gaps: two weeks
SECONDS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


class Stamps(NamedTuple):
    """When rows are.

    ticks : (n,) float64; seconds or months since 1970, working days since `MONDAY`, or plain
        numbers, by `unit`
    kind : "datetime", "timedelta", "period", "number" or "order"
    unit : "second", "month", "workday" or "one"
    zone : name of the time zone, None without one
    local : (n,) local times without zone; None where the kind has no calendar
    """

    ticks: np.ndarray
    kind: str
    unit: str
    zone: str | None
    local: pd.DatetimeIndex | None


def find_time(frame: pd.DataFrame, time: Any, groups: tuple, name: str) -> Hashable | None:
    """Return the column or index level that holds the stamps; None for a plain index.

    Parameters
    ----------
    time : what the user names, None to look at the index
    groups : labels of columns and levels of the index that are groups
    name : of the estimator, for errors

    Raises
    ------
    ValueError
        If the frame has no such column or level, or several levels of its index are times.
    """
    time = label_of(frame, time)
    if time is not None:
        label = pd.api.types.is_hashable(time)
        if label and time in groups:
            raise ValueError(f"{name} got {time!r} both as 'time' and among 'groups'.")
        if label and time in [*frame.columns, *frame.index.names]:
            return time
        shown = f"a {type(time).__name__} of values" if hasattr(time, "dtype") else repr(time)
        raise ValueError(
            f"The 'time' parameter of {name} must be a column or an index level of X, got "
            f"{shown}; the columns are {', '.join(map(repr, frame.columns[:10]))}."
        )
    if not isinstance(frame.index, pd.MultiIndex):
        return None
    times = [place for place, level in enumerate(frame.index.levels) if _is_time(as_times(level))]
    found = [frame.index.names[place] for place in times]
    if None in found:
        raise ValueError(
            f"Level {times[found.index(None)]} of the index of X holds times and has no name; name "
            f"it by X.index.names, or {name} cannot find it again."
        )
    found = [x for x in found if x not in groups]
    if len(found) > 1:
        raise ValueError(
            f"The index levels {', '.join(map(repr, found))} are times; name one in the 'time' "
            f"parameter of {name}."
        )
    return found[0] if found else None


def _is_time(index: pd.Index) -> bool:
    return isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex))


def as_times(index: pd.Index) -> pd.Index:
    """Return the index, of times where these are Python objects or of Arrow."""
    if isinstance(index.dtype, pd.ArrowDtype) and index.dtype.kind in "mM":
        return {"M": pd.DatetimeIndex, "m": pd.TimedeltaIndex}[index.dtype.kind](index)
    found = ""
    if index.dtype == object or isinstance(index.dtype, pd.ArrowDtype):
        found = pd.api.types.infer_dtype(index, skipna=True)
    if found in ("datetime", "datetime64", "date"):
        return pd.DatetimeIndex(pd.to_datetime(index.astype(object)))
    return index


def read_stamps(
    frame: pd.DataFrame, time: Any, unit: str | None = None, zone: str | None = None
) -> Stamps:
    """Return the stamps of a frame, by its column or level `time`, or by its index.

    Parameters
    ----------
    unit : "second", "month" or "workday" where it is known what dates count
    zone : that stamps of any zone are told in; None for their own

    Raises
    ------
    ValueError
        For missing stamps and for columns that hold no times.
    """
    index, label = as_times(frame.index), "the index"
    if time is not None:
        label = f"{'column' if time in frame.columns else 'index level'} {time!r}"
        index = as_times(labels_in(frame, time))
    elif not _is_time(index):
        return Stamps(np.arange(len(frame), dtype=float), "order", "one", None, None)
    if not _is_time(index):
        _check_numbers(index, label)
    if index.hasnans:
        at = int(np.flatnonzero(index.isna())[0])
        asked = ""
        if pd.api.types.is_numeric_dtype(index.dtype):
            asked = f" It holds numbers ({index.dtype}): is it the column that was meant by 'time'?"
        raise ValueError(
            f"{label} holds stamps, but that of row {at} is missing; drop such rows.{asked}"
        )
    if isinstance(index, pd.PeriodIndex):
        return _dates(starts(index), "period", unit)
    if isinstance(index, pd.DatetimeIndex):
        both = zone is not None and index.tz is not None and str(index.tz) != zone
        return _dates(index.tz_convert(zone) if both else index, "datetime", unit)
    if isinstance(index, pd.TimedeltaIndex):
        ticks = index.asi8 / SECONDS[index.unit]
        return Stamps(ticks, "timedelta", "second", None, None)
    return _numbers(index, label)


def epoch_seconds(index: pd.DatetimeIndex) -> np.ndarray:
    """Return (n,) seconds since 1970, whatever the resolution; far dates have no nanoseconds."""
    return index.asi8 / SECONDS[index.unit]


def _check_numbers(index: pd.Index, label: str) -> None:
    """Refuse what holds neither times nor numbers."""
    number = pd.api.types.is_numeric_dtype(index.dtype)
    if not number or pd.api.types.is_bool_dtype(index.dtype) or index.dtype.kind == "c":
        known = index.dropna()
        example = f" such as {known[0]!r}" if len(known) else ""
        raise ValueError(
            f"{label} must hold times or numbers to serve as 'time', got {index.dtype}{example}; "
            f"convert it, for example by pandas.to_datetime."
        )


def _numbers(index: pd.Index, label: str) -> Stamps:
    ticks = index.to_numpy(np.float64)
    if not np.isfinite(ticks).all():
        at = int(np.flatnonzero(~np.isfinite(ticks))[0])
        raise ValueError(f"{label} holds stamps, but that of row {at} is infinite; drop such rows.")
    return Stamps(ticks, "number", "one", None, None)


def _dates(index: pd.DatetimeIndex, kind: str, unit: str | None) -> Stamps:
    zone = None if index.tz is None else str(index.tz)
    local = index if index.tz is None else index.tz_localize(None)
    if unit == "month" or (unit is None and _counts_months(local)):
        months = (local.year - 1970) * 12 + local.month - 1
        return Stamps(months.to_numpy(np.float64), kind, "month", zone, local)
    if unit == "workday" or (unit is None and counts_workdays(local)):
        return Stamps(_workdays(local), kind, "workday", zone, local)
    return Stamps(epoch_seconds(index), kind, "second", zone, local)


def _counts_months(local: pd.DatetimeIndex) -> bool:
    """Whether stamps are one day of months, or lie at the beginning, or the end, of months."""
    for some in (local[:100], local):  # most that count no months show it early
        day, left = some.day.to_numpy(), (some.days_in_month - some.day).to_numpy()
        if not ((day == day[:1]).all() or (day <= EDGE).all() or (left < EDGE).all()):
            return False
    apart = np.diff(np.unique(epoch_seconds(local))) / 86_400
    return bool(len(apart) and apart.min() >= DAYS_OF_A_MONTH)


def counts_workdays(local: pd.DatetimeIndex) -> bool:
    """Whether stamps are on Mondays to Fridays, on most of them, and once a day."""
    if (local[:100].day_of_week > 4).any() or (local.day_of_week > 4).any():
        return False
    stamps = local.unique()
    days = np.unique(stamps.normalize())
    if len(days) < max(LEAST_WORKDAYS, len(stamps)) or len(set(stamps.day_of_week)) < 5:
        return False
    return bool(np.median(np.diff(np.busday_count(MONDAY, days.astype("M8[D]")))) == 1)


def _workdays(local: pd.DatetimeIndex) -> np.ndarray:
    """Return (n,) working days since `MONDAY`, with the part of the day.

    Days of weekends lie between Friday and Monday, on no place of a grid of days.
    """
    count = np.busday_count(MONDAY, local.to_numpy("M8[D]"))
    part = (local - local.normalize()).total_seconds().to_numpy() / 86_400
    return count + part + np.array([0, 0, 0, 0, 0, -0.6, -0.4])[local.day_of_week]
