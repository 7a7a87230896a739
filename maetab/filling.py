"""Predictions in the missing cells of a user's table, by range, grid, donors and constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from maetab.constraints import Constraint, obeying
from maetab.data.cells import Cells
from maetab.data.codec import fill, fill_natural, missing_cells
from maetab.data.kinds import extra_missing
from maetab.donors import Donors
from maetab.ranges import Range
from maetab.table import Table, tell


class Filling(NamedTuple):
    """How numbers are written.

    limits : their range and grids
    donors : whose values they are; None for values as predicted
    constraints : that they obey
    missing_values : as in the estimators
    """

    limits: Range
    donors: Donors | None
    constraints: list[Constraint]
    missing_values: Any

    def exact(self, values: np.ndarray, bounds: bool = False) -> np.ndarray:
        """Return (n, F) numbers of donors in their own unit, from each origin; NaN for others."""
        if self.donors is None:
            return np.full(values.shape, np.nan)
        return self.donors.exact(values, bounds)

    def obeying(
        self, table: Table, values: np.ndarray, to_fill: np.ndarray, tell: bool
    ) -> np.ndarray:
        """Return what `exact` does, and numbers that constraints have moved."""
        exact = self.exact(values)
        if not self.constraints:
            return exact
        numbers = np.where(np.isnan(exact), self.limits.natural(values), exact)
        used = np.any([c.signs != 0 for c in self.constraints], axis=0)
        told, free = table.told(), to_fill.copy()
        for j in np.flatnonzero(used).tolist():
            given = table.observed[:, j]
            column, extra = self.limits.schema.columns[j], extra_missing(self.missing_values)
            cells = Cells(table.frame.iloc[:, j], extra).numbers(column.origin)
            numbers[given, j] = cells[given]
            if j in told:  # static columns have the value of their series
                known = told[j] >= 0
                numbers[known, j], free[known, j] = cells[told[j][known]], False
        ends, grids = self.limits.hard(), self.limits.on_grids()
        moved = obeying(self.constraints, numbers, free, grids, ends, tell)
        return np.where(free & (moved != numbers), moved, exact)


def written(
    table: Table, values: np.ndarray, to_fill: np.ndarray, filling: Filling
) -> pd.DataFrame:
    """Return the frame of a table with values (n, F), standardised, in the cells `to_fill`."""
    exact = filling.obeying(table, values, to_fill, tell=True)
    return _with_exact(table, values, exact, to_fill, filling)


def written_bounds(
    table: Table, values: np.ndarray, point: np.ndarray, to_fill: np.ndarray, filling: Filling
) -> list[pd.DataFrame]:
    """Return two frames with ends of intervals (2, n, F) that hold what is filled for `point`."""
    found = filling.obeying(table, point, to_fill, tell=False)
    points, out = np.where(np.isnan(found), filling.limits.natural(point), found), []
    for end, widen in zip(values, (np.minimum, np.maximum), strict=True):
        exact = filling.exact(end, bounds=True)
        if filling.constraints:
            own = np.where(np.isnan(exact), filling.limits.natural(end), exact)
            exact = np.where(widen(own, points) != own, points, exact)
        out.append(_with_exact(table, end, exact, to_fill, filling))
    return out


def _with_exact(
    table: Table, values: np.ndarray, exact: np.ndarray, to_fill: np.ndarray, filling: Filling
) -> pd.DataFrame:
    limits, known = filling.limits, to_fill & ~np.isnan(exact)
    filled = fill(table.frame, limits.clip(values), to_fill, limits.bounded())
    if known.any():
        filled = fill_natural(filled, exact, known, limits.as_given())
    return tell(filled, table)


def indicated(filled: pd.DataFrame, table: Table, columns: Sequence[int]) -> pd.DataFrame:
    """Return a frame with a column more for each of some columns, True where a cell was missing."""
    if not columns:
        return filled
    missing, names = missing_cells(table.observed, table.free_text), table.frame.columns
    in_levels = isinstance(names, pd.MultiIndex)
    labels: list[Any] = []
    for j in columns:
        levels = list(names[j]) if in_levels else [names[j]]
        levels[0] = f"missingindicator_{levels[0]}"
        labels.append(tuple(levels) if in_levels else levels[0])
        if labels[-1] in names:
            raise ValueError(
                f"add_indicator=True makes a column {labels[-1]!r}, but X has one of that name; "
                "rename it."
            )
    index = pd.MultiIndex.from_tuples(labels) if in_levels else pd.Index(labels)
    added = pd.DataFrame(missing[:, columns], filled.index, index.set_names(names.names))
    whole = pd.concat([filled, added], axis=1)
    whole.attrs = filled.attrs
    return whole
