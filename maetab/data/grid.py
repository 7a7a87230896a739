"""The grid that the numbers of a column lie on: fixed decimals, whole days, hours, periods."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.kinds import starts

MOST_DECIMALS = 6
ROOM = 8  # a grid is at least so many times as coarse as floats are: else all numbers lie on it
TIMES = {86400.0: "D", 3600.0: "h", 60.0: "min", 1.0: "s"}  # seconds: what pandas calls them
NEAR = 1e-6  # of a step: this near to a point of the grid is on it
YEARS = (-62135596800.0, 253402300799.0)  # seconds since 1970 of the years 1 to 9999


def decimal_step(numbers: np.ndarray, dtype: Any = np.float64) -> float | None:
    """Return 10**-d of the fewest decimals d that suffice for all numbers; None if six do not.

    Parameters
    ----------
    numbers : (n,) finite float64
    dtype : of the floats that held the numbers; 0.1 of single precision has one decimal
    """
    if not numbers.size:
        return None
    apart = float(np.spacing(np.abs(numbers).max().astype(dtype)))
    for decimals in range(MOST_DECIMALS + 1):
        step = step_of(decimals)
        if step < ROOM * apart:
            return None
        if (np.round(numbers, decimals).astype(dtype) == numbers).all():
            return step
    return None


def step_of(decimals: int) -> float:
    """Return 10**-decimals as the float next to it."""
    return float(f"1e-{decimals}")


def time_step(ticks: np.ndarray, per_second: int) -> float | None:
    """Return the seconds of the longest of day, hour, minute, second that divides all ticks."""
    for step in TIMES:
        if ticks.size and not (ticks % (int(step) * per_second)).any():
            return step
    return None


def move(natural: np.ndarray, step: float | None, dtype: str, how: str) -> np.ndarray:
    """Return (n,) the nearest points of a grid, or the next ones below or above.

    Periods are always moved to their starts; other numbers without a step stay where they are.

    Parameters
    ----------
    natural : (n,) float64; dates in seconds since 1970 in UTC
    step : as from `decimal_step` or `time_step`
    dtype : of the column; days and hours are those of its time zone
    how : "round", "floor" or "ceil"
    """
    if dtype.startswith("period["):
        return starts(periods(natural, dtype[7:-1], how)).asi8 / 10**6
    if step is None:
        return natural
    zone = zone_of(dtype)
    if zone is not None:
        return _on_clock(_moments(natural, how, NEAR * step), step, zone, how).asi8 / 10**6
    if step >= 1:
        return _whole(natural / step, how) * step + 0.0
    decimals = round(-np.log10(step))
    if how == "round":
        return np.round(natural, decimals) + 0.0  # the float that a parser gives, and no -0.0
    return _whole(natural * 10.0**decimals, how) / 10.0**decimals + 0.0


def _on_clock(moments: pd.DatetimeIndex, step: float, zone: str, how: str) -> pd.DatetimeIndex:
    """Return moments in UTC moved to whole days or hours of the clock in a time zone."""
    local = moments.tz_localize("UTC").tz_convert(zone)
    if step < max(TIMES):  # within its hour a moment keeps its own distance from UTC
        clock: Any = local.tz_localize(None)
        return getattr(clock, how)(TIMES[step]) - (clock - moments)
    summer = np.ones(len(local), dtype=bool)  # which of two equal midnights is meant
    days: Any = local
    return getattr(days, how)(TIMES[step], ambiguous=summer, nonexistent="shift_forward")


def _whole(numbers: np.ndarray, how: str) -> np.ndarray:
    ways: dict[str, Callable] = {"floor": np.floor, "ceil": np.ceil, "round": np.rint}
    return ways[how](numbers + _slack(how, NEAR))


def _slack(how: str, near: float) -> float:
    """Return what is added so that numbers next to a point of the grid do not leave it."""
    return {"floor": near, "ceil": -near}.get(how, 0.0)


def _moments(seconds: np.ndarray, how: str, near: float) -> pd.DatetimeIndex:
    micros = np.rint((np.clip(seconds, *YEARS) + _slack(how, near)) * 1e6)
    return pd.DatetimeIndex(micros.astype(np.int64).view("M8[us]"))


def periods(seconds: np.ndarray, freq: Any, how: str) -> pd.PeriodIndex:
    """Return the periods with the nearest start, or the last before or the first after.

    Parameters
    ----------
    seconds : (n,) since 1970
    freq : frequency of pandas, such as "M"
    how : "round", "floor" or "ceil"
    """
    moments = _moments(seconds, how, 1e-3)
    found = moments.to_period(freq)
    early, late = moments - starts(found), starts(found + 1) - moments
    up = {"floor": early < early, "ceil": early > pd.Timedelta(0), "round": late < early}[how]
    return found + np.asarray(up, dtype=np.int64)


def zone_of(dtype: str) -> str | None:
    """Return the zone in "datetime64[us, Europe/Paris]", None without one that can be read."""
    found = re.search(r"^(?:datetime64|timestamp)\[.*[ =]([^ =\]]+)\]", dtype)
    try:
        return found[1] if found and pd.Timestamp(0, tz=found[1]) else None
    except (LookupError, ValueError, TypeError):
        return None
