"""How long the gaps of series are, and which of them have an end."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from maetab.data.timeline import Layout, Timeline


class Gaps(NamedTuple):
    """The gap that each cell of a table lies in.

    Parameters
    ----------
    length : (n, F) float64, steps from the observed cell before to the one after, without their
        own; before the first and after the last one of a series, steps to its end; 0 where observed
    edge : (n, F) bool, True before the first and after the last observed cell of a column in its
        series, also where there is none
    """

    length: np.ndarray
    edge: np.ndarray


def find_gaps(observed: np.ndarray, layout: Layout) -> Gaps:
    """Return the gaps of a table.

    Parameters
    ----------
    observed : (n, F) bool
    layout : of its n rows

    Examples
    --------
    >>> n, steps = np.zeros(5, int), np.arange(5.0)
    >>> column = np.array([[False], [True], [False], [False], [True]])
    >>> gaps = find_gaps(column, Layout(n, steps, n, np.zeros((5, 0))))
    >>> gaps.length[:, 0].tolist(), gaps.edge[:, 0].tolist()
    ([1.0, 0.0, 2.0, 2.0, 0.0], [True, False, False, False, False])
    """
    order = np.lexsort((layout.position, layout.series))
    position, series = layout.position[order], layout.series[order]
    place = pd.DataFrame(np.where(observed[order], position[:, None], np.nan)).groupby(series)
    before, after = place.ffill().to_numpy(), place.bfill().to_numpy()
    edge = np.isnan(before) | np.isnan(after)
    ends = pd.Series(position).groupby(series)
    first, last = (ends.transform(how).to_numpy()[:, None] for how in ("min", "max"))
    before = np.where(np.isnan(before), first - 1, before)
    after = np.where(np.isnan(after), last + 1, after)
    length, out = np.where(observed[order], 0.0, after - before - 1), np.empty(observed.shape)
    out[order] = length
    at_edge = np.empty_like(edge)
    at_edge[order] = edge
    return Gaps(out, at_edge)


def read_span(max_gap: Any) -> int | pd.Timedelta:
    """Return a number of steps, or a duration; a ValueError if `max_gap` is neither."""
    if isinstance(max_gap, Integral) and not isinstance(max_gap, bool) and max_gap >= 0:
        return int(max_gap)
    try:
        span = pd.Timedelta(max_gap) if not isinstance(max_gap, bool | int | float) else pd.NaT
    except (ValueError, TypeError):
        span = pd.NaT
    if span is pd.NaT or span < pd.Timedelta(0):
        raise ValueError(
            f"The 'max_gap' parameter of MAEImputer must be None, an int of steps or a duration "
            f"such as '3h', got {max_gap!r}."
        )
    return span


def longest(max_gap: Any, timeline: Timeline) -> float:
    """Return how many steps a gap of `max_gap` has."""
    span = read_span(max_gap)
    if isinstance(span, int):
        return float(span)
    if timeline.step is None:
        raise ValueError(
            f"The 'max_gap' parameter of MAEImputer is {max_gap!r}, but rows that are in order "
            f"only have no times; pass an int of rows."
        )
    return span.total_seconds() / timeline.step
