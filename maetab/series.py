"""What a model reads of a table, as windows of its series, and its results back at their rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from maetab.data.advice import listed, warn
from maetab.data.gaps import find_gaps, max_steps
from maetab.data.schema import Schema
from maetab.data.timeline import Timeline
from maetab.data.window_steps import is_count
from maetab.engine.inference import windows_of
from maetab.nn.windows import Windows
from maetab.table import Table, key_labels

# Windows that covariances are learned from at least, where the rows give them.
FITTED_WINDOWS = 2000
RUN = 16  # windows that follow each other where some of all are taken


def compact(windows: Windows) -> tuple[Windows, np.ndarray]:
    """Return windows over those rows alone that they hold, and the numbers that these rows had."""
    rows = windows.rows.numpy()
    own = np.unique(rows[rows >= 0])
    values, observed = (x.numpy()[own] for x in (windows.values, windows.observed))
    clock = None
    if windows.clock is not None:
        position, phase, calendar = (x.numpy()[own] for x in windows.clock[:3])
        clock = position, phase, calendar
    new = np.where(rows >= 0, np.searchsorted(own, rows), -1)
    return windows_of(values, observed, new, clock), own


def some(windows: Windows, n_windows: int) -> tuple[Windows, np.ndarray, np.ndarray]:
    """Return about as many windows as asked for, spread evenly, over the rows that they hold alone.

    Windows of several steps come in runs, for scores of rows are means over all that hold them.

    Returns
    -------
    windows : some of the windows
    rows : (m,) the numbers that their rows had
    whole : (m,) bool, True where all windows are there that hold a row
    """
    every, n_steps = -(-len(windows) // n_windows), windows.rows.shape[1]
    run = 1 if n_steps == 1 else RUN
    chosen = torch.arange(len(windows)) // run % every == 0
    part, rows = compact(replace(windows, rows=windows.rows[chosen]))
    held = [
        np.bincount(x.rows[x.rows >= 0].numpy(), minlength=len(x.values)) for x in (windows, part)
    ]
    whole = held[0][rows] == held[1]
    return part, rows, whole if whole.any() else np.ones_like(whole)


def check_level(level: str, window: Any, stride: Any) -> None:
    """Refuse features of windows without a window, and steps between windows without windows."""
    if level == "window" and window is None:
        raise ValueError(
            "level='window' of MAEEncoder gives features of windows of several rows, and "
            "window=None takes each row alone; pass window='auto', an int or a duration."
        )
    if level == "row" and stride is not None:
        raise ValueError(
            f"The 'stride' parameter of MAEEncoder says where windows begin, and level='row' "
            f"gives features of rows; pass level='window' or stride=None, got {stride!r}."
        )


def stretches(flagged: np.ndarray, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) the number of each row's run of flagged rows, and (n,) how long that is.

    Rows that are not flagged are alone in a run of length 0.

    Parameters
    ----------
    flagged : (n,) bool, of rows in order of time within each series
    series : (n,) number of the series of each
    """
    begins = ~flagged | np.r_[True, ~flagged[:-1]] | np.r_[True, np.diff(series) != 0]
    number = begins.cumsum() - 1
    return number, np.where(flagged, np.bincount(number)[number], 0)


class View(NamedTuple):
    """The cells that a model reads, and the way back to the table.

    Parameters
    ----------
    order : (n,) row of the table at each row that the model reads: series by series, in order of
        time, so that the order of the user's rows changes nothing
    series : (n,) number of the series of each
    places : (M,) the columns that it reads
    shape : (n, F) of the table
    """

    order: np.ndarray
    series: np.ndarray
    places: np.ndarray
    shape: tuple[int, ...]

    def of(self, cells: np.ndarray) -> np.ndarray:
        """Return (n, M) of cells (n, F)."""
        return cells[np.ix_(self.order, self.places)]

    def back(self, found: np.ndarray, empty: float = 0.0) -> np.ndarray:
        """Return (..., n, F) of what was found (..., n, M); `empty` in columns that none sees."""
        out = np.full((*found.shape[:-2], *self.shape), empty, found.dtype)
        out[..., self.order[:, None], self.places] = found
        return out

    def rows_back(self, found: np.ndarray) -> np.ndarray:
        """Return (n, ...) what was found of the rows that the model reads, at the table's."""
        out = np.empty_like(found)
        out[self.order] = found
        return out

    def rows(self, windows: np.ndarray) -> np.ndarray:
        """Return windows of rows of the table as windows of the rows that the model reads."""
        number = np.empty_like(self.order)
        number[self.order] = np.arange(len(self.order))
        return np.where(windows >= 0, number[windows], -1)


def modelled(schema: Schema, timeline: Timeline | None) -> np.ndarray:
    """Return the places of the columns that a model has coordinates for.

    Single rows keep those of free text, which are never observed: they always had them.
    """
    if timeline is None or timeline.n_steps == 1:
        return np.arange(len(schema.columns))
    return np.flatnonzero(~schema.is_free_text())


def view_of(table: Table, schema: Schema, timeline: Timeline | None) -> View | None:
    """Return the view of a model on a table; None where it reads the table as it is."""
    if timeline is None or table.layout is None or timeline.n_steps == 1:
        return None
    order = np.lexsort((table.layout.position, table.layout.series))
    series = table.layout.series[order]
    return View(order, series, modelled(schema, timeline), table.values.shape)


def left_missing(
    table: Table, timeline: Timeline | None, max_gap: int | str | None, edges: bool
) -> np.ndarray:
    """Return (n, F) bool: True for missing cells of gaps that are not to be filled.

    Static columns have no gaps: one value is theirs at all times.

    Parameters
    ----------
    max_gap, edges : as in MAEImputer
    """
    left = np.zeros(table.observed.shape, bool)
    if timeline is None or table.layout is None or (max_gap is None and edges):
        return left
    gaps = find_gaps(table.observed, table.layout)
    if max_gap is not None:
        left |= gaps.steps > max_steps(max_gap, timeline)
    if not edges:
        left |= gaps.edge
    left[:, list(table.static)] = False
    return left & ~table.observed


def row_windows(values: np.ndarray, observed: np.ndarray) -> Windows:
    """Return windows over cells (n, F), each row one, which share the memory of the arrays."""
    return windows_of(values, observed, np.arange(len(values))[:, None])


def windows_over(
    table: Table, schema: Schema, timeline: Timeline | None, how: str | int = "predicted"
) -> Windows:
    """Return windows over the cells of a table that a model reads.

    Parameters
    ----------
    how : what they are for: "predicted" or "fitted"; or the steps from one to the next: `strides`
    """
    view = view_of(table, schema, timeline)
    if view is None:
        return row_windows(*table.visible())
    assert timeline is not None and table.layout is not None
    layout, (first, *finer) = table.layout, strides(timeline, len(table.values), how)
    rows = view.rows(layout.windows(timeline.n_steps, first))
    dense = [view.rows(layout.windows(timeline.n_steps, stride)) for stride in finer]
    clock = layout.position[view.order], layout.phase[view.order], layout.calendar[view.order]
    values, observed = map(view.of, table.visible())
    return windows_of(values, observed, rows, clock, dense[0] if dense else None)


def strides(timeline: Timeline, n_rows: int, how: str | int) -> list[int]:
    """Return the steps from one window to the next, and in fit those of finer windows beside them.

    A period, where a window holds one, so that all windows start at the same phase; else half a
    window. The finer ones, which covariances are learned from, are half of that, and so on, until
    there are `FITTED_WINDOWS`.

    Parameters
    ----------
    how : "predicted", "fitted", or the stride itself
    """
    n_steps, period = timeline.n_steps, timeline.period
    if isinstance(how, int):
        return [how]
    first = max(1, n_steps // 2)
    if period is not None and period <= n_steps:
        first = period if 2 * period <= n_steps else max(1, period // 2)
    finer = first
    while finer > 1 and n_rows // finer < FITTED_WINDOWS:
        finer //= 2
    return [first, finer] if how == "fitted" and finer < first else [first]


def first_rows(windows: Windows) -> np.ndarray:
    """Return (W,) the first row of each window."""
    rows = windows.rows.numpy()
    return rows[np.arange(len(rows)), (rows >= 0).argmax(1)]


def begun_once(windows: Windows) -> Windows:
    """Return the last of those windows that have the same first row: it holds what the others do.

    Windows that overlap and begin in a pause have.
    """
    first = first_rows(windows)
    last = torch.as_tensor(np.append(first[1:] != first[:-1], True))
    return windows if last.all() else replace(windows, rows=windows.rows[last])


def window_index(
    table: Table, windows: Windows, view: View | None, timeline: Timeline | None
) -> pd.Index:
    """Return the group and the stamp of the first row of each window, named as in the frame."""
    first = first_rows(windows)
    groups, stamps = key_labels(table, timeline, first if view is None else view.order[first])
    return pd.MultiIndex.from_arrays([*groups, stamps]) if groups else stamps


def warn_of_edges(table: Table, timeline: Timeline | None, seen: np.ndarray) -> None:
    """Warn of columns that are filled for more than a window beyond their observed cells.

    seen : (F,) bool, columns that had an observed cell in fit
    """
    assert table.layout is not None and timeline is not None
    if timeline.n_steps == 1:  # rows are filled by themselves, at edges as elsewhere
        return
    gaps = find_gaps(table.observed, table.layout)
    far = gaps.edge & (gaps.steps > timeline.n_steps) & seen
    far[:, [*table.free_text, *table.static]] = False
    names = [repr(name) for name in table.frame.columns[far.any(0)]]
    alone = table.values.shape[1] - len(table.free_text) == 1
    near = "their time" if alone else "the other columns"
    if names:
        warn(
            f"MAEImputer: cells of {listed(names)} are filled more than a window "
            f"({timeline.n_steps} steps) before the first or after the last observation of a "
            f"series, where nothing near is known but {near}; "
            f"edges=False or max_gap leaves them missing."
        )


def warn_of_max_gap(max_gap: Any, timeline: Timeline | None) -> None:
    """Warn of a duration that is shorter than a step of the grid: no gap is as short."""
    if max_gap is None or is_count(max_gap) or timeline is None or not timeline.regular:
        return
    if max_steps(max_gap, timeline) < 1:
        step = pd.Timedelta(seconds=timeline.step)
        warn(
            f"MAEImputer: max_gap={max_gap!r} is shorter than one step of the series ({step}), so "
            f"no gap is filled; give at least that step, a number of steps such as 3, or None to "
            f"fill all gaps."
        )


def incomplete(windows: Windows, unseen: np.ndarray) -> Windows:
    """Return those windows that miss something.

    unseen : (F,) bool, columns in which nothing is missed
    """
    complete = (windows.observed | torch.as_tensor(unseen)).all(1)
    missing = ~complete[windows.rows.clamp_min(0)] & (windows.rows >= 0)
    return replace(windows, rows=windows.rows[missing.any(1)])
