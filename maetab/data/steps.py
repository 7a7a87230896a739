"""The step from one stamp to the next, and the grid that stamps lie on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from maetab.data.stamps import Stamps

if TYPE_CHECKING:
    from maetab.data.timeline import Timeline

EXACT = 0.01  # of a step that a stamp may lie off the grid
JITTER = 0.25  # of a step, where every place of the grid has one row at most
FINEST = 10  # times that a grid may be finer than the most frequent step
SPARSE = 2  # steps from one row to the next, in the median, beyond which a grid is mostly empty


def find_step(ticks: np.ndarray, series: np.ndarray, kind: str) -> tuple[float, bool]:
    """Return the step of a grid that all stamps lie on and True, or the median step and False.

    Parameters
    ----------
    ticks : (n,) ascending within each series
    series : (n,) ascending
    """
    if kind == "order":
        return 1.0, True
    apart = np.diff(ticks)[np.diff(series) == 0]
    if not len(apart):
        return 1.0, False
    lengths, counts = np.unique(np.round(apart, 6), return_counts=True)
    step = float(lengths[counts.argmax()])
    for size in (step, _common_divisor(lengths, step)):
        if size and np.median(apart) <= SPARSE * size and _fits(ticks, series, size):
            return size, True
    return float(np.median(apart)), False


def _common_divisor(lengths: np.ndarray, usual: float) -> float | None:
    """Return the greatest common divisor of whole numbers of seconds, None if it is too fine."""
    whole = np.rint(lengths)
    if np.abs(lengths - whole).max() > 1e-6 or not whole.all():
        return None
    step = float(np.gcd.reduce(whole.astype(np.int64)))
    return step if usual / step <= FINEST else None


def _fits(ticks: np.ndarray, series: np.ndarray, step: float) -> bool:
    position = (ticks - ticks[0]) / step
    off = position - np.rint(position)
    off = off - np.median(off)
    position = position - np.median(position - np.rint(position))
    place = np.rint(position)
    apart = (np.diff(place) > 0) | (np.diff(series) != 0)
    return bool((np.abs(off) <= EXACT).all() or ((np.abs(off) <= JITTER).all() and apart.all()))


def on_grid(
    position: np.ndarray, series: np.ndarray, stamps: Stamps, timeline: Timeline
) -> np.ndarray:
    """Return (n,) whole positions.

    Raises
    ------
    ValueError
        If stamps lie between those of the grid, or two rows of a series at one place of it.
    """
    place = np.rint(position)
    off = np.abs(position - place)
    step = _spoken(timeline.step, timeline)
    if len(off) and off.max() > JITTER:
        at = int(off.argmax())
        when = stamps.ticks[at] if stamps.local is None else stamps.local[at]
        raise ValueError(
            f"stamps lay on a grid of {step} in fit, but {when} lies off it; resample X, or fit on "
            f"rows as irregular as these."
        )
    if pd.DataFrame({"series": series, "place": place}).duplicated().any():
        raise ValueError(
            f"stamps lay on a grid of {step} in fit, and several rows of a series are now at one "
            f"place of it; resample X to {step}."
        )
    return place


def _spoken(step: float, timeline: Timeline) -> str:
    if timeline.unit == "second":
        return str(pd.Timedelta(seconds=step)).replace("0 days ", "")
    if timeline.unit == "month":
        return f"{step:g} months"
    return f"{step:g}"
