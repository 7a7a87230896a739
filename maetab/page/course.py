"""The section on series: how rows lie in time, the gaps, and the filled course."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from maetab.data.extent import HEAD, gap_rows, length_text
from maetab.data.gaps import told_steps
from maetab.page.filled import Filled, natural, spelled
from maetab.page.markup import Markup, element, joined, paragraph, section, shortened, table, users
from maetab.page.pictures import LONG, course, legend
from maetab.table import Table, key_labels

COVERAGE = 0.9
MOST_COLUMNS, MOST_TABLED = 12, 200  # that have pictures; columns in the table of gaps
POINTS = LONG // 2  # bins of an overview, each with its smallest and its largest value
AROUND = 2  # windows shown on both sides of a gap, at most
MOST_CLOSE = 400  # rows of a picture of one gap


@dataclass(frozen=True)
class Intervals:
    """Ends of the intervals of missing numbers, (n, F), counted as `Filled.before` is."""

    low: np.ndarray
    high: np.ndarray


def intervals_of(done: Filled) -> Intervals | None:
    """Return the intervals of what was filled of series; None for tables."""
    if done.layout is None or not done.missing.any():
        return None
    frames = done.imputer.predict_interval(done.frame, COVERAGE)
    low, high = (natural(frame, done.imputer)[0] for frame in frames)
    return Intervals(low, high)


def course_section(done: Filled, intervals: Intervals | None) -> Markup | None:
    """Return the section; None for a table."""
    if done.layout is None:
        return None
    names = [str(done.columns[j].name) for j in done.modelled()]
    gaps = gap_rows(done.imputer.schema_, ~done.missing, done.layout, names)
    parts = [_in_time(done)]
    if gaps:
        rows = [[users(line[0]), *line[1:]] for line in gaps[:MOST_TABLED]]
        title = "Gaps: missing cells one after the other; the longest in steps"
        parts.append(table(title, HEAD, rows, range(1, len(HEAD))))
    places = _places(done)
    if places and intervals is not None:
        keys = legend(
            ("seen", "observed"), ("line", "filled"), ("band", f"{COVERAGE:.0%} interval")
        )
        parts += [keys, *(_figures(done, intervals, j) for j in places)]
    return section("course", "The filled course", *parts)


def _in_time(done: Filled) -> Markup:
    """Return how the rows lie in time, in words."""
    timeline, layout = done.timeline, done.layout
    assert timeline is not None and layout is not None
    n_series = len(np.unique(layout.series))
    step = f"a step of {length_text(1, timeline)}"
    if timeline.kind == "order":
        step = "no stamps, each row a step after the one before it"
    elif not timeline.regular:
        step = f"no regular step, about {length_text(1, timeline)}"
    period = "no period was found"
    if timeline.period is not None:
        period = f"a period of {timeline.period} steps was found"
    of_series = "1 series" if n_series == 1 else f"{n_series:,} series"
    return paragraph(
        f"{of_series}, {step}; {period}. Rows were seen in windows of {timeline.n_steps} steps."
    )


def _places(done: Filled) -> list[int]:
    """Return the places of the numbers with most filled cells, in the order of the table."""
    n_filled = (done.missing & ~done.left).sum(0)
    numbers = [j for j in done.modelled() if done.columns[j].kind == "number" and n_filled[j]]
    numbers = [j for j in numbers if done.timeline is None or j not in done.timeline.static]
    return sorted(sorted(numbers, key=lambda j: -n_filled[j])[:MOST_COLUMNS])


def _figures(done: Filled, intervals: Intervals, place: int) -> Markup:
    """Return a column in the series in which most of it was filled, and its longest filled gap."""
    assert done.layout is not None
    was_filled = done.missing[:, place] & ~done.left[:, place]
    series = int(np.bincount(done.layout.series[was_filled]).argmax())
    order = done.in_time()
    rows = order[done.layout.series[order] == series]
    name, of_series = users(done.columns[place].name), _name_of(done, rows[0])
    heading = element("h3", name, joined(", ", of_series) if of_series else None)
    near, n_steps = _longest(done, place, rows)
    told = f"All {len(rows):,} rows; {was_filled[rows].sum():,} cells filled."
    whole = _figure(told, _picture(done, place, rows, None))
    told = f"The longest gap that was filled, of {n_steps:g} steps."
    return joined(heading, whole, _figure(told, _picture(done, place, near, intervals)))


def _figure(caption: str, picture: Markup) -> Markup:
    """Return a picture with its caption; on narrow screens it is scrolled, also by the keyboard."""
    caption_of = element("figcaption", caption)
    return element("figure", caption_of, picture, class_="course", tabindex="0")


def _name_of(done: Filled, row: int) -> Markup | None:
    """Return the labels of the series of a row; None where there is one series."""
    assert done.timeline is not None
    if not done.timeline.groups:
        return None
    groups, _ = _labels(done, np.array([row]))
    words = [str(labels[0]) for labels in groups]
    pairs = [f"{name} {word}" for name, word in zip(done.timeline.groups, words)]
    return users(", ".join(pairs))


def _labels(done: Filled, rows: np.ndarray) -> tuple[list[pd.Index], pd.Index]:
    """Return the labels of the groups and the times of rows."""
    none = np.zeros((0, 0))
    whole = Table(done.frame, None, none, none)  # type: ignore[arg-type]
    return key_labels(whole, done.timeline, rows)


def _longest(done: Filled, place: int, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the rows around the longest filled gap of a series, and its steps."""
    assert done.layout is not None and done.timeline is not None
    gaps = told_steps(~done.missing[:, [place]], done.layout)[:, 0]
    was_filled = done.missing[rows, place] & ~done.left[rows, place]
    own = np.where(was_filled, gaps[rows], -1.0)
    first = int(own.argmax())  # all cells of a gap have its length
    seen = np.flatnonzero(~done.missing[rows[first:], place])
    end = first + int(seen[0]) if len(seen) else len(rows)
    beside = min(AROUND * done.timeline.n_steps, max(MOST_CLOSE - (end - first), 20) // 2)
    return rows[max(0, first - beside) : end + beside][:MOST_CLOSE], float(own[first])


def _picture(done: Filled, place: int, rows: np.ndarray, intervals: Intervals | None) -> Markup:
    """Return the course of a column in rows of a series, with intervals or without."""
    assert done.layout is not None
    column, time = done.columns[place], done.layout.position[rows]
    was_filled = done.missing[rows, place] & ~done.left[rows, place]
    seen, after = done.before[rows, place], done.after[rows, place]
    beside = was_filled | np.r_[was_filled[1:], False] | np.r_[False, was_filled[:-1]]
    filled = np.where(beside, after, np.nan)  # as far as the observed cells on both sides
    seen_line, filled_line = thinned(time, seen), thinned(time, filled)
    lines = [("seen-line", *seen_line), ("filled-line", *filled_line)]
    band = None
    if intervals is not None:
        low, high = intervals.low[rows, place], intervals.high[rows, place]
        around = beside & np.isfinite(low) & np.isfinite(high)
        band = time[around], low[around], high[around]
    values = np.r_[after, *([] if band is None else band[1:])]
    _, times = _labels(done, rows[[0, -1]])
    low, high, least, most = (
        spelled(end(y), column) for y in (after, values) for end in (np.nanmin, np.nanmax)
    )
    label = (
        f"{shortened(column.name)} from {times[0]} to {times[-1]}: observed and filled values "
        f"between {low} and {high}, {int(was_filled.sum())} of {len(rows)} filled"
    )
    return course(lines, band, (str(times[0]), str(times[-1]), least, most), label)


def thinned(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return times and values of a line that looks the same in `POINTS` bins of its points.

    In each bin its smallest and its largest value are kept, in order, and NaN if it has none.
    """
    if len(values) <= 2 * POINTS:
        return time, values
    kept = []
    for rows in np.array_split(np.arange(len(values)), POINTS):
        part = values[rows]
        if np.isnan(part).all():
            kept.append(rows[0])
        else:
            kept += sorted({int(rows[np.nanargmin(part)]), int(rows[np.nanargmax(part)])})
    return time[kept], values[kept]
