"""How many steps a window has: as the user says, or as the period and the columns suggest."""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.advice import warn
from maetab.data.stamps import COUNTED, KINDS, Stamps

USUAL_STEPS = 24  # of a window where nothing suggests a period, or more:
# so many times the usual gap, where that is not too long, and the longest series has ten windows.
OF_GAP, MOST_STEPS, OF_SERIES = 2, 400, 10
WHOLE = 0.01  # of a step that a stride may be off a whole number of them
CALENDAR = r"[\d.]*\s*([AMQY][ES]?(-[A-Z]{3})?|(?i:month|quarter|year)s?)"
MOST_CELLS = 1000  # of a window of two periods that "auto" gives; else it is one


def window_steps(
    window: Any,
    step: float,
    stamps: Stamps,
    period: int | None,
    length: int,
    n_columns: int,
    usual_gap: float,
    name: str,
) -> int:
    """Return the steps of a window.

    usual_gap : steps of the gaps that nine in ten missing cells lie in, at most
    """
    wanted = (
        f"The 'window' parameter of {name} must be None, an int of at least 1, 'auto' or a "
        f"duration such as '24h'"
    )
    if isinstance(window, str) and window == "auto":
        of_gap = min(round(OF_GAP * usual_gap), MOST_STEPS, length // OF_SERIES)
        n_steps = max(USUAL_STEPS, of_gap)
        n_steps = n_steps if period is None else 2 * period
        if period is not None and n_steps * n_columns > MOST_CELLS:
            n_steps = period
        return min(n_steps, length, max(2, MOST_CELLS // max(n_columns, 1)))
    if is_count(window):
        n_steps = int(window)
        if n_steps < 1:
            raise ValueError(f"{wanted}, got {window!r}.")
    else:
        n_steps = _steps_of_duration(window, step, stamps, wanted)
    if n_steps > length:
        warn(
            f"window={window!r} of {name} is longer than the longest series; windows have its "
            f"{length} steps."
        )
    return max(1, min(n_steps, length))


def stride_steps(stride: Any, n_steps: int, step: float, unit: str) -> int:
    """Return the steps from one window to the next; None is a whole window.

    Parameters
    ----------
    n_steps : of a window
    step, unit : as in `Timeline`

    Raises
    ------
    ValueError
        If it is no whole number of steps from 1 to those of a window, or a duration where stamps
        count no seconds.
    """
    wanted = (
        f"The 'stride' parameter of MAEEncoder must be None, an int from 1 to the {n_steps} steps "
        f"of a window, or a duration such as '1h'"
    )
    if stride is None:
        return n_steps
    steps = float(stride) if is_count(stride) else np.nan
    if not is_count(stride):
        seconds = seconds_of(stride)
        if seconds is not None and unit != "second":
            raise ValueError(f"{wanted}; stamps of X do not count seconds, so give an int.")
        steps = np.nan if seconds is None else seconds / step
    if not (np.isfinite(steps) and 1 <= round(steps) <= n_steps):
        raise ValueError(f"{wanted}, got {stride!r}.")
    if abs(steps - round(steps)) > WHOLE:
        of = pd.Timedelta(seconds=step)
        raise ValueError(f"{wanted}; {stride!r} is no whole number of steps of {of}.")
    return round(steps)


def is_count(given: Any) -> bool:
    """Whether a parameter is a whole number; durations of NumPy are integers to Python."""
    integer = isinstance(given, (int, np.integer))
    return integer and not isinstance(given, (bool, np.timedelta64))


def seconds_of(duration: Any) -> float | None:
    """Return the seconds of a duration such as "24h", None for what is none."""
    if not isinstance(duration, (str, datetime.timedelta, np.timedelta64)) or _is_number(duration):
        return None  # pandas takes plain numbers, and "24", for nanoseconds
    try:
        found = pd.Timedelta(duration)
    except ValueError:
        return None
    return None if found is pd.NaT else found.total_seconds()


def _is_number(text: Any) -> bool:
    try:
        return isinstance(text, str) and np.isfinite(float(text))
    except ValueError:
        return False


def calendar_hint(duration: Any) -> str:
    """Return what to say of months, quarters and years, which have no fixed length; else ""."""
    if isinstance(duration, str) and re.fullmatch(CALENDAR, duration.strip()):
        return "; months, quarters and years differ in length, so give an int, the number of rows"
    return ""


def _steps_of_duration(window: Any, step: float, stamps: Stamps, wanted: str) -> int:
    seconds = seconds_of(window)
    if seconds is None:
        raise ValueError(f"{wanted}, got {window!r}{calendar_hint(window)}.")
    if stamps.unit != "second":
        given = COUNTED[stamps.unit] or KINDS[stamps.kind]
        in_order = stamps.kind == "order"
        name_time = ", or name the column of stamps in 'time'" if in_order else ""
        raise ValueError(
            f"{wanted}; rows here have {given}, for which {window!r} says no number of "
            f"steps, so give an int{name_time}."
        )
    n_steps = round(seconds / step)
    if n_steps < 2:
        raise ValueError(
            f"{wanted}; {window!r} holds less than two steps of {pd.Timedelta(seconds=step)}."
        )
    return n_steps
