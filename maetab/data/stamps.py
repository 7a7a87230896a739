"""The stamps of rows: times of every kind as numbers that can be subtracted, and local times."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

KINDS = {
    "datetime": "dates",
    "timedelta": "durations",
    "period": "periods",
    "number": "numbers",
    "order": "no stamps",
}
DAYS_OF_A_MONTH = 27  # fewer between two stamps, and these do not count months


class Stamps(NamedTuple):
    """When rows are.

    ticks : (n,) float64; seconds, or months since 1970 where `unit` is "month", or plain numbers
    kind : "datetime", "timedelta", "period", "number" or "order"
    unit : "second", "month" or "one"
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
    if time is not None:
        if time in frame.columns or time in frame.index.names:
            return time
        raise ValueError(
            f"The 'time' parameter of {name} must be a column or an index level of X, got "
            f"{time!r}; the columns are {', '.join(map(repr, frame.columns[:10]))}."
        )
    if not isinstance(frame.index, pd.MultiIndex):
        return None
    levels = [x for x in frame.index.names if x not in groups or x is None]
    found = [x for x in levels if x is not None and _is_time(level(frame.index, x))]
    if len(found) > 1:
        raise ValueError(
            f"The index levels {', '.join(map(repr, found))} are times; name one in the 'time' "
            f"parameter of {name}."
        )
    return found[0] if found else None


def level(index: pd.Index, label: Any) -> pd.Index:
    """Return a level of an index by its name."""
    return index.get_level_values(label)


def _is_time(index: pd.Index) -> bool:
    return isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex))


def read_stamps(frame: pd.DataFrame, time: Hashable | None) -> Stamps:
    """Return the stamps of a frame, by its column or level `time`, or by its index.

    Raises
    ------
    ValueError
        For missing stamps and for columns that hold no times.
    """
    index, label = frame.index, "the index"
    if time is not None:
        label = f"column {time!r}" if time in frame.columns else f"index level {time!r}"
        index = pd.Index(frame[time]) if time in frame.columns else level(index, time)
    elif not _is_time(index):
        return Stamps(np.arange(len(frame), dtype=float), "order", "one", None, None)
    if index.hasnans:
        at = int(np.flatnonzero(index.isna())[0])
        raise ValueError(f"{label} holds stamps, but that of row {at} is missing; drop such rows.")
    if isinstance(index, pd.PeriodIndex):
        return _dates(index.to_timestamp(), "period")
    if isinstance(index, pd.DatetimeIndex):
        return _dates(index, "datetime")
    if isinstance(index, pd.TimedeltaIndex):
        ticks = index.total_seconds().to_numpy(np.float64)
        return Stamps(ticks, "timedelta", "second", None, None)
    if pd.api.types.is_numeric_dtype(index.dtype) and not pd.api.types.is_bool_dtype(index.dtype):
        return Stamps(index.to_numpy(np.float64), "number", "one", None, None)
    raise ValueError(
        f"{label} must hold times or numbers to serve as 'time', got {index.dtype} such as "
        f"{index[0]!r}; convert it, for example by pandas.to_datetime."
    )


def _dates(index: pd.DatetimeIndex, kind: str) -> Stamps:
    zone = None if index.tz is None else str(index.tz)
    local = index if index.tz is None else index.tz_localize(None)
    seconds = index.as_unit("ns").asi8 / 1e9
    if _counts_months(local):
        months = (local.year - 1970) * 12 + local.month - 1
        return Stamps(months.to_numpy(np.float64), kind, "month", zone, local)
    return Stamps(seconds, kind, "second", zone, local)


def _counts_months(local: pd.DatetimeIndex) -> bool:
    """Whether all stamps are the first, or all the last, days of months."""
    if len(local) < 2 or len(local) > 5000:  # more months than anybody has: looked at in vain
        return False
    distinct = local.unique().sort_values()
    apart = np.diff(distinct.as_unit("ns").asi8) / 8.64e13
    bounds = local.is_month_start.all() or local.is_month_end.all()
    return bool(bounds and len(apart) and apart.min() >= DAYS_OF_A_MONTH)
