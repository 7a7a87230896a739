"""How far columns, steps and gaps extend, as short text."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from maetab.data.gaps import told_steps

if TYPE_CHECKING:
    from maetab.data.columns import Column
    from maetab.data.schema import Schema
    from maetab.data.timeline import Layout, Timeline

UNITS = (("D", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
HEAD = ["column", "gaps", "longest", "before the first", "after the last"]


def range_of(column: Column) -> str:
    """Return the levels or the range of a column, short."""
    if not column.n_observed:
        return ""
    if column.kind == "category":
        pairs = zip(column.levels[:3], column.counts)
        more = f", ... ({len(column.levels)} levels)" if len(column.levels) > 3 else ""
        return ", ".join(f"{str(level)[:20]} {count}" for level, count in pairs) + more
    if column.temporal is None:
        return " to ".join(_number(end, column.origin) for end in (column.lower, column.upper))
    if column.temporal == "timedelta":
        return " to ".join(str(pd.Timedelta(end, unit="s")) for end in (column.lower, column.upper))
    ends = [pd.Timestamp(end, unit="s") for end in (column.lower, column.upper)]
    days = all(end == end.normalize() for end in ends)
    return " to ".join(str(end.date() if days else end) for end in ends)


def _number(value: float, origin: int) -> str:
    """Return a number with six digits, or with all that it has if it is whole."""
    is_whole = float(value).is_integer() and abs(value) < 2**53
    return str(int(value) + origin) if is_whole else f"{value + origin:.6g}"


def gap_rows(
    schema: Schema, observed: np.ndarray, layout: Layout, names: Collection[str]
) -> list[list[str]]:
    """Return name, gaps, longest and shares at both edges of each column that has gaps."""
    order = np.lexsort((layout.position, layout.series))
    begins = np.r_[True, np.diff(layout.series[order]) != 0]
    seen = observed[order]
    length = told_steps(observed, layout)
    rows = []
    for j, name in enumerate(map(str, schema.names())):
        lost, series = ~seen[:, j], layout.series[order]
        if name not in names or not lost.any() or lost.all():
            continue
        starts = lost & (begins | ~np.r_[False, lost[:-1]])
        known = pd.Series(seen[:, j].astype(int)).groupby(series)
        first = known.cumsum().to_numpy() == 0
        last = (known.cumsum() == known.transform("sum")).to_numpy() & lost & ~first
        shares = (f"{part.mean():.1%}" for part in (first & lost, last))
        rows.append([name, f"{int(starts.sum())}", f"{length[:, j].max():g}", *shares])
    return rows


def length_text(n_steps: int, timeline: Timeline) -> str:
    """Return how long some steps are: 24h, 7D, 3 months, 5 working days, or a number."""
    length = n_steps * timeline.step
    if timeline.unit in ("month", "workday"):
        word = timeline.unit.replace("workday", "working day")
        return f"{int(length)} {word}{'s' * (int(length) != 1)}"
    if timeline.unit != "second":
        return f"{length:g}"
    name, unit = next(
        ((name, unit) for name, unit in UNITS if length >= unit and not length % unit), UNITS[-1]
    )
    if name == "D" and length < 3 * unit:
        name, unit = UNITS[1]
    return f"{length / unit:g}{name}"
