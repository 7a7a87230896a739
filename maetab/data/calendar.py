"""What the calendar says of a stamp, as sines and cosines."""

from __future__ import annotations

import numpy as np
import pandas as pd

YEAR = 31_557_600.0
DAY, WEEK = 86_400.0, 604_800.0
LENGTHS = {
    "second": {"day": DAY, "week": WEEK, "year": YEAR},
    "month": {"year": 12.0},
    "workday": {"week": 5.0, "year": 5 / 7 * YEAR / DAY},
}


def calendar_names(step: float, unit: str, span: float) -> tuple[str, ...]:
    """Return the cycles that rows `step` apart can show in a `span`, both in `unit`.

    "day", "week" and "year": those that are longer than two steps and seen at least one and a half
    times.
    """
    lengths = LENGTHS.get(unit, LENGTHS["second"])
    return tuple(k for k, length in lengths.items() if 2 * step <= length and span >= 1.5 * length)


def calendar_features(local: pd.DatetimeIndex, names: tuple[str, ...]) -> np.ndarray:
    """Return (n, 2 * len(names)) float32, sine and cosine of the place in each cycle."""
    seconds = (local - local.normalize()).total_seconds().to_numpy()
    place = {
        "day": seconds / DAY,
        "week": (local.day_of_week.to_numpy() + seconds / DAY) / 7,
        "year": (local.day_of_year.to_numpy() - 1 + seconds / DAY) / 365.25,
    }
    angle = 2 * np.pi * np.column_stack([place[name] for name in names])
    return np.concatenate([np.sin(angle), np.cos(angle)], 1).astype(np.float32)
