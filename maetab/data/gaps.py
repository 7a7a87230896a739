"""Gaps: runs of missing cells of a column in a series, their lengths, and where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from maetab.data.stamps import COUNTED, KINDS
from maetab.data.window_steps import calendar_hint, is_count, seconds_of

if TYPE_CHECKING:
    from maetab.data.timeline import Layout, Timeline

ROUNDING = 1e-9  # so that a gap of just the duration does not count as longer


class Gaps(NamedTuple):
    """The gap that each missing cell lies in, (n, F) each; 0 and False where a cell is observed.

    steps : steps that the gap lasts. On a grid these are its missing cells, stamps that are not
        there too: three hourly cells that are missing between two observed ones last 3 steps. Of
        rows without a grid it is the time between the observed neighbours, less one usual step
        and at least 0.
        At an edge the time from the one neighbour to the end of the series; infinite where the
        series has no observed cell.
    edge : whether the gap begins before the first, or ends after the last, observed cell
    """

    steps: np.ndarray
    edge: np.ndarray


def find_gaps(observed: np.ndarray, layout: Layout) -> Gaps:
    """Return the gaps of cells (n, F) that are not observed."""
    order = np.lexsort((layout.position, layout.series))
    series, position = layout.series[order], layout.position[order]
    begins = np.r_[True, series[1:] != series[:-1]] if len(order) else np.zeros(0, bool)
    ends = np.r_[begins[1:], True] if len(order) else begins
    start = _starts(begins)
    first, last = position[start], position[len(order) - 1 - _starts(ends[::-1])[::-1]]
    steps, edge = np.zeros(observed.shape), np.zeros(observed.shape, bool)
    for j in range(observed.shape[1]):
        seen = observed[order, j]
        before = _last_seen(seen, position, start)
        after = -_last_seen(seen[::-1], -position[::-1], _starts(ends[::-1]))[::-1]
        inside = np.isfinite(before) & np.isfinite(after)
        apart = np.subtract(after, before, out=np.zeros(len(after)), where=inside)
        length = np.where(inside, (apart - 1).clip(0), np.inf)
        length = np.where(np.isfinite(before) & ~inside, last - before, length)
        length = np.where(np.isfinite(after) & ~inside, after - first, length)
        steps[order, j] = np.where(seen, 0.0, length)
        edge[order, j] = ~seen & ~inside
    return Gaps(steps, edge)


def told_steps(observed: np.ndarray, layout: Layout) -> np.ndarray:
    """Return (n, F) the steps of gaps as they are told; see `Gaps`.

    A series without an observed cell is one gap, from its first row to its last.
    """
    position = pd.Series(layout.position).groupby(layout.series)
    length = position.transform("max") - position.transform("min") + 1
    return np.minimum(find_gaps(observed, layout).steps, length.to_numpy()[:, None])


def max_steps(max_gap: Any, timeline: Timeline) -> float:
    """Return the most steps of a gap that is filled.

    Parameters
    ----------
    max_gap : None for no limit, an int of steps, or a duration such as "3h"

    Raises
    ------
    ValueError
        If it is none of these, or a duration where stamps count no seconds.
    """
    wanted = (
        "The 'max_gap' parameter of MAEImputer must be None, an int of at least 0 (steps) or a "
        "duration such as '3h'"
    )
    if max_gap is None:
        return np.inf
    if is_count(max_gap) and max_gap >= 0:
        return float(max_gap)
    seconds = None if is_count(max_gap) else seconds_of(max_gap)
    if seconds is None or seconds < 0:
        raise ValueError(f"{wanted}, got {max_gap!r}{calendar_hint(max_gap)}.")
    if timeline.unit != "second":
        counted = COUNTED[timeline.unit] or KINDS[timeline.kind]
        raise ValueError(f"{wanted}; rows here have {counted}, so give an int of steps.")
    return seconds / timeline.step * (1 + ROUNDING)


def refuse_gaps(max_gap: Any, edges: bool) -> None:
    """Raise a ValueError if limits of gaps are given, where rows are in no order."""
    given, usual = {"max_gap": max_gap, "edges": edges}, {"max_gap": None, "edges": True}
    names = [name for name in given if given[name] is not usual[name]]
    if not names:
        return
    got, left = (" and ".join(f"{x}={of[x]!r}" for x in names) for of in (given, usual))
    several = len(names) > 1
    raise ValueError(
        f"The {' and '.join(map(repr, names))} parameter{'s are' if several else ' is'} about gaps "
        f"of series, and window=None takes rows as independent of each other; pass "
        f"window='auto', an int or a duration to MAEImputer, or leave {left}; got {got}."
    )


def _starts(begins: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))


def _last_seen(seen: np.ndarray, position: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return (n,) the position of the last row seen in the same series, -inf for none."""
    last = np.maximum.accumulate(np.where(seen, np.arange(len(seen)), -1))
    return np.where(last >= start, position[last.clip(0)], -np.inf)
