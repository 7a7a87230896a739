"""How the rows of a file lie in time: stamps, series, steps, gaps, and the options that say so."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from maetab.cli.report.output import counted, listed
from maetab.cli.series import PARTS, Keys, are_parts, frame_of, has_days_only, is_clock
from maetab.data.codec import encode
from maetab.data.extent import gap_rows, length_text
from maetab.data.gaps import find_gaps
from maetab.data.panel import SET_BACK, are_set_back, series_of
from maetab.data.schema import Schema, infer_schema
from maetab.data.timeline import Layout, Timeline, infer_timeline, lay_out
from maetab.files.layout import option
from maetab.files.tables import TableFile

LEAST_STAMPS = 10  # rows of a table that may be a series
MOST_GROUPED = 0.5  # series by rows, above which a column does not tell series apart
MOST_REPEATED = 0.05  # rows that repeat a stamp, among all, above which no time is meant


class Course(NamedTuple):
    """What is said of time: lines, a table of gaps, options of the command to run, and why."""

    lines: list[str]
    gaps: list[list[str]]
    options: list[str]
    why: list[str]


def course_of(table: TableFile, names: Collection[str], keys: Keys) -> Course | None:
    """Return how the rows of a file lie in time; None where no column tells.

    Parameters
    ----------
    names : columns that matter
    keys : those that the user has named; without a time they are looked for
    """
    found = keys if keys.time else find_keys(table, names, keys.groups)
    if found is None and (said := _repeats_line(table, names, keys.groups)):
        return Course([said], [], [], [])
    if found is None and not keys.groups and _is_alone(table, names):
        found = keys
    if found is None:
        return None
    columns = [name for name in names if name not in found.names()]
    frame, stamp = frame_of(table, columns, found), found.stamp()
    if stamp is not None and (n_without := int(frame[stamp].isna().sum())):
        asked, dtype = "", frame[stamp].dtype
        if pd.api.types.is_numeric_dtype(dtype):
            asked = f"; it holds numbers ({dtype}): is it the column that was meant by --time?"
        rows = counted(n_without, "row")
        raise ValueError(f"{rows} without a stamp in {listed(found.time)}{asked}")
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    about = found.parameters()
    timeline = infer_timeline(
        frame, values, observed, "auto", about["time"], about["groups"], "maetab"
    )
    layout = lay_out(frame, timeline)
    lines = [_time_line(frame, found, timeline, layout), _series_line(found, layout)]
    options = [option("--time", found.time)] if found.time else []
    options += [option("--groups", found.groups)] if found.groups else []
    options.append(f"--window={window_text(timeline)}")
    gaps = gap_rows(schema, observed, layout, columns)
    why = []
    if far := _beyond_windows(schema, observed, timeline, layout, columns):
        options.append(f"--max-gap={window_text(timeline)}")
        why.append(
            f"--max-gap leaves gaps of {listed(far)} missing that are longer than a window, where "
            f"the column tells nothing near; without it they are filled, too"
        )
    return Course([line for line in lines if line], gaps, options, why)


def _is_alone(table: TableFile, names: Collection[str]) -> bool:
    """Return whether a table has one column that holds something, which may be a series."""
    usable = [name for name in names if name not in table.doubts]
    held = table.frame[usable].notna().any()
    return len(table) >= LEAST_STAMPS and int(held.sum()) == 1


def find_keys(table: TableFile, names: Collection[str], groups: Sequence[str] = ()) -> Keys | None:
    """Return the columns that are time and groups, if there are such.

    Time is a column of dates, or one of dates and one of times of day; no two rows of a series have
    the same. A column tells series apart if this holds by it, and did not without it.
    """
    return next(
        (keys for keys, n_repeats in _candidates(table, names, groups) if not n_repeats), None
    )


def _candidates(
    table: TableFile, names: Collection[str], groups: Sequence[str]
) -> Iterator[tuple[Keys, int]]:
    """Return columns that may be time and groups, and how many rows repeat a stamp then.

    Where few stamps repeat by themselves they are doubled rows, or an hour that a clock shows
    twice, which a column of numbers that happen to differ there does not make series.
    """
    if len(table) < LEAST_STAMPS:
        return
    frame = table.frame
    names = [name for name in table.names if name in names and name not in table.doubts]
    whole = [name for name in names if frame[name].notna().all()]
    dates = [name for name in whole if frame[name].dtype.kind == "M"]
    clocks = [name for name in whole if is_clock(frame[name])]
    pairs = [(date, clock) for date in dates for clock in clocks if has_days_only(frame[date])]
    for time in (*pairs, *((date,) for date in dates), *_parts_in(whole)):
        keys = Keys(tuple(time), tuple(groups))
        stamps = frame_of(table, [], keys)[keys.stamp()]
        n_alone = _n_repeats(stamps, [frame[name] for name in groups])
        yield keys, n_alone
        others = "fmM" if n_alone > MOST_REPEATED * len(frame) else "fmMiub"
        for name in () if groups else whole:
            labels = frame[name]
            few = name not in time and 1 < labels.nunique() <= MOST_GROUPED * len(frame)
            if few and labels.dtype.kind not in others:
                yield keys._replace(groups=(name,)), _n_repeats(stamps, [labels])


def _repeats_line(table: TableFile, names: Collection[str], groups: Sequence[str]) -> str | None:
    """Return which stamps repeat where these alone keep rows from being series; else None."""
    n, frame = len(table), table.frame
    n_labels = {name: frame[name].nunique() for name in table.names}
    near = [
        (keys, (bool(keys.groups), n_repeats, [n_labels[name] for name in keys.groups]))
        for keys, n_repeats in _candidates(table, names, groups)
        if n_repeats <= MOST_REPEATED * n
        and (groups or all(n_labels[name] * LEAST_STAMPS <= n for name in keys.groups))
    ]
    if not near:
        return None
    keys = min(near, key=lambda found: found[1])[0]  # what tells series apart leaves the fewest
    rows, stamp = frame_of(table, [], keys), " ".join(keys.time)
    twice = rows[rows.duplicated()].drop_duplicates()
    few, first = len(twice) == 1, twice.iloc[0]
    where = " and ".join(map(repr, keys.time))
    by, of = "", ""
    if keys.groups:
        by, of = f" by {listed(keys.groups)}", f" of {listed(first[list(keys.groups)])}"
    when = f"{first[stamp]:%Y-%m-%d}" if has_days_only(rows[stamp]) else f"{first[stamp]}"
    advice = "drop one row of each or correct it"
    advice += "" if keys.groups else ", or name in --groups what tells series apart"
    local = pd.DatetimeIndex(rows[stamp])
    formats = getattr(table, "formats", {})  # of text files
    has_offsets = any(getattr(formats.get(name), "zone", "") for name in keys.time)
    if not has_offsets and local.tz is None and are_set_back(local, series_of(rows, keys.groups)):
        advice += f"; {SET_BACK}: write them in UTC, or with an offset such as +02:00"
    told = f"{counted(len(twice), 'stamp')} repeat{'s' * few} in {where}{by}, such as {when}{of}"
    return f"time: {told}; {advice}"


def _parts_in(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the columns that are named year, month, day, and smaller parts, if there are such."""
    own = {name.lower(): name for name in reversed(names)}
    found = [own[part] for part in PARTS if part in own]
    return [tuple(found)] if are_parts(found) else []


def _n_repeats(stamps: pd.Series, groups: Sequence[pd.Series]) -> int:
    return int(pd.concat([stamps, *groups], axis=1).duplicated().sum())


def _time_line(frame: pd.DataFrame, keys: Keys, timeline: Timeline, layout: Layout) -> str:
    """Return where the stamps are, their ends, step, period, and how many are missing."""
    where = " and ".join(map(repr, keys.time)) or "the order of the rows"
    parts = []
    if keys.stamp() is not None:
        stamps = frame[keys.stamp()]
        parts.append(f"{stamps.min()} to {stamps.max()}")
    if timeline.regular and keys.time:
        parts.append(f"a step of {length_text(1, timeline)}")
        by = pd.Series(layout.place).groupby(layout.series)
        n_missing = int((by.max() - by.min() + 1 - by.size()).sum())
        parts.append(f"{n_missing or 'no'} stamp{'s' * (n_missing > 1)} without a row")
    elif keys.time:
        parts.append(f"no regular step, about {length_text(1, timeline)}")
    if timeline.period is not None:
        steps = counted(timeline.period, "step")
        length = f" ({length_text(timeline.period, timeline)})" if keys.time else ""
        parts.append(f"a period of {steps}{length}")
    return f"time: {', '.join([where, *parts])}"


def _series_line(keys: Keys, layout: Layout) -> str:
    if not keys.groups:
        return ""
    sizes = np.bincount(layout.series)
    sizes = sizes[sizes > 0]
    return (
        f"series: {len(sizes)} by {listed(keys.groups)}, of {sizes.min()} to "
        f"{counted(int(sizes.max()), 'row')}"
    )


def _beyond_windows(
    schema: Schema,
    observed: np.ndarray,
    timeline: Timeline,
    layout: Layout,
    names: Collection[str],
) -> list[str]:
    """Return the columns with gaps, inside or at an edge, that last longer than a window."""
    far = find_gaps(observed, layout).steps > timeline.n_steps
    far[:, ~observed.any(0)] = far[:, list(timeline.static)] = False
    own = enumerate(map(str, schema.names()))
    return [name for j, name in own if far[:, j].any() and name in names]


def window_text(timeline: Timeline) -> str:
    """Return the window that suits the data, as the option `--window` takes it."""
    if timeline.unit == "second" and timeline.regular:
        return length_text(timeline.n_steps, timeline)
    return str(timeline.n_steps)
