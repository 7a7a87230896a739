"""What a model reads of a table, as windows of its series, and its results back at their rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from maetab.data.back import Back
from maetab.data.schema import Schema
from maetab.data.timeline import Layout, Timeline
from maetab.data.windows import cut
from maetab.engine.inference import windows_of
from maetab.nn.windows import Windows

# Windows that covariances are learned from at least, where the rows give them.
FITTED_WINDOWS = 2000
RUN = 16  # windows that follow each other where some of all are taken
NO_VALUE, SEVERAL = -1, -2  # instead of a row that has the value of a series


class Table(NamedTuple):
    """A user's table on its way through the model.

    frame : pandas view, columns named as in fit
    back : gives results back in the user's kind of container
    values, observed : (n, F)
    free_text : place of each column that the model does not see -> (n,) bool, True for the cells
        the user gave
    layout : where the rows stand in time; None where they are independent of each other
    static : places of the columns that have one value for all rows of a series
    """

    frame: pd.DataFrame
    back: Back
    values: np.ndarray
    observed: np.ndarray
    free_text: dict[int, np.ndarray] = {}  # noqa: RUF012
    layout: Layout | None = None
    static: tuple[int, ...] = ()

    def told(self) -> dict[int, np.ndarray]:
        """Return, for each static column, (n,) the row that has the value of each row's series.

        `NO_VALUE` where the series has no value, `SEVERAL` where it has different ones.
        """
        if self.layout is None:
            return {}
        series = self.layout.series
        return {j: _speaker(self.values[:, j], self.observed[:, j], series) for j in self.static}

    def visible(self) -> tuple[np.ndarray, np.ndarray]:
        """Return values and observed (n, F) of what is known: static columns of a series as told.

        They are the table's own arrays where nothing is told.
        """
        values, observed = self.values, self.observed
        for j, row in self.told().items():
            told = ~observed[:, j] & (row >= 0)
            if told.any():
                values, observed = values.copy(), observed.copy()
                values[told, j], observed[told, j] = values[row[told], j], True
        return values, observed

    def settled(self, found: np.ndarray, is_number: np.ndarray, drawn: bool = False) -> np.ndarray:
        """Return (n, F) predictions, in static columns one for all rows of a series.

        That is the value that the series has, else the mean of the numbers or the level that most
        rows are predicted to have; of draws the first.

        Parameters
        ----------
        found : (n, F) predictions of rows
        is_number : (F,) bool
        """
        for j, row in self.told().items():
            how = "first" if drawn else "mean" if is_number[j] else _commonest
            found[:, j] = self.shared(j, found[:, j : j + 1], how)[:, 0]
            told = row >= 0
            found[told, j] = self.values[row[told], j]
        return found

    def shared(self, column: int, found: np.ndarray, how: Any = "mean") -> np.ndarray:
        """Return predictions (n, K) of a column, if it is static the same for all rows of a series.

        how : to make one of those of all rows, as `pandas.Series.groupby` takes it
        """
        row = self.told().get(column)
        if row is None or self.layout is None or not (row == NO_VALUE).any():
            return found
        order = np.lexsort((self.layout.position, self.layout.series))
        order = order[row[order] == NO_VALUE]
        rows = pd.DataFrame(found[order]).groupby(self.layout.series[order])
        out = found.copy()
        out[order] = rows.transform(how).to_numpy()
        return out


def _commonest(codes: pd.Series) -> float:
    return codes.mode().iloc[0]


def tell(filled: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return a frame in which missing cells of static columns have the value of their series.

    filled : a copy of the table's frame, which is changed; its own cells are copied bit for bit
    """
    for j, row in table.told().items():
        told = ~table.observed[:, j] & (row >= 0)
        if told.any():
            source = np.where(told, row, np.arange(len(row)))
            cells = filled.iloc[:, j].array.take(source)
            filled.isetitem(j, pd.Series(cells, filled.index, dtype=cells.dtype))
    return filled


def _speaker(values: np.ndarray, observed: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Return (n,) a row of the same series that has its value, `NO_VALUE` or `SEVERAL`."""
    rows = np.flatnonzero(observed)
    seen = pd.DataFrame({"value": values[rows], "row": rows}).groupby(series[rows])
    differ = seen["value"].min() != seen["value"].max()
    found = seen["row"].first().mask(differ, SEVERAL)
    return found.reindex(series, fill_value=NO_VALUE).to_numpy(np.int64)


def compact(windows: Windows) -> tuple[Windows, np.ndarray]:
    """Return windows over those rows alone that they hold, and the numbers that these rows had."""
    rows = windows.rows.numpy()
    own = np.unique(rows[rows >= 0])
    cells = (x.numpy()[own] for x in (windows.values, windows.observed))
    clock = None if windows.clock is None else tuple(x.numpy()[own] for x in windows.clock[:3])
    return windows_of(*cells, np.where(rows >= 0, np.searchsorted(own, rows), -1), clock), own


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


def row_windows(values: np.ndarray, observed: np.ndarray) -> Windows:
    """Return windows over cells (n, F), each row one, which share the memory of the arrays."""
    return windows_of(values, observed, cut(len(values)))


def windows_over(
    table: Table, schema: Schema, timeline: Timeline | None, how: str = "predicted"
) -> Windows:
    """Return windows over the cells of a table that a model reads.

    Parameters
    ----------
    how : what they are for: "predicted" or "fitted", see `strides`; "apart" do not overlap
    """
    view = view_of(table, schema, timeline)
    if view is None:
        return row_windows(*table.visible())
    assert timeline is not None and table.layout is not None
    layout, (first, *finer) = table.layout, strides(timeline, len(table.values), how)
    rows = view.rows(layout.windows(timeline.n_steps, first))
    dense = [view.rows(layout.windows(timeline.n_steps, stride)) for stride in finer]
    clock = tuple(x[view.order] for x in (layout.position, layout.phase, layout.calendar))
    return windows_of(*map(view.of, table.visible()), rows, clock, *dense)


def strides(timeline: Timeline, n_rows: int, how: str) -> list[int]:
    """Return the steps from one window to the next, and in fit those of finer windows beside them.

    A period, where a window holds one, so that all windows start at the same phase; else half a
    window. The finer ones, which covariances are learned from, are half of that, and so on, until
    there are `FITTED_WINDOWS`.

    Parameters
    ----------
    how : "predicted", "fitted", or "apart" for a whole window
    """
    n_steps, period = timeline.n_steps, timeline.period
    if how == "apart":
        return [n_steps]
    first = period if period is not None and period <= n_steps else max(1, n_steps // 2)
    finer = first
    while finer > 1 and n_rows // finer < FITTED_WINDOWS:
        finer //= 2
    return [first, finer] if how == "fitted" and finer < first else [first]


def window_index(table: Table, windows: Windows, view: View | None, timeline: Timeline) -> pd.Index:
    """Return the group and the stamp of the first row of each window, named as in the frame."""
    rows = windows.rows.numpy()
    first = rows[np.arange(len(rows)), (rows >= 0).argmax(1)]
    groups, stamps = key_labels(table, timeline, first if view is None else view.order[first])
    return pd.MultiIndex.from_arrays([*groups, stamps]) if groups else stamps


def key_labels(
    table: Table, timeline: Timeline, rows: np.ndarray
) -> tuple[list[pd.Index], pd.Index]:
    """Return the labels of the groups of some rows of a table, level by level, and their times."""
    frame, names = table.frame, [*timeline.groups]
    groups = [_labels(frame, name)[rows] for name in names]
    if timeline.time is not None:
        return groups, _labels(frame, timeline.time)[rows]
    if not isinstance(frame.index, pd.MultiIndex):
        return groups, frame.index[rows]
    rest = [i for i, name in enumerate(frame.index.names) if name not in names]
    return groups, frame.index.get_level_values(rest[-1])[rows]


def _labels(frame: pd.DataFrame, name: Any) -> pd.Index:
    """Return a column, or a level of the index, as an index."""
    if name in frame.columns:
        return pd.Index(frame[name], name=name)
    return frame.index.get_level_values(name)
