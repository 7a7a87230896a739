"""A user's table on its way through the model, and what its series say of their static columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from maetab.data.back import Back
from maetab.data.containers import labels_in
from maetab.data.timeline import Layout, Timeline

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
        if self.layout is None or column not in self.static:
            return found
        series = self.layout.series
        row = _speaker(self.values[:, column], self.observed[:, column], series)
        if not (row == NO_VALUE).any():
            return found
        order = np.lexsort((self.layout.position, series))
        order = order[row[order] == NO_VALUE]
        rows = pd.DataFrame(found[order]).groupby(series[order])
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


def key_labels(
    table: Table, timeline: Timeline | None, rows: np.ndarray
) -> tuple[list[pd.Index], pd.Index]:
    """Return the labels of the groups of some rows of a table, level by level, and their times."""
    assert timeline is not None, "rows are in no time"
    frame, names = table.frame, [*timeline.groups]
    groups = [labels_in(frame, name)[rows] for name in names]
    if timeline.time is not None:
        return groups, labels_in(frame, timeline.time)[rows]
    if not isinstance(frame.index, pd.MultiIndex):
        return groups, frame.index[rows]
    rest = [i for i, name in enumerate(frame.index.names) if name not in names]
    return groups, frame.index.get_level_values(rest[-1])[rows]
