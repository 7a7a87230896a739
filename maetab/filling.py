"""Predictions in the missing cells of a user's table: inside the range, on the grid, of donors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from maetab.data.codec import fill, fill_natural, missing_cells
from maetab.donors import Donors
from maetab.ranges import Range
from maetab.table import Table, tell


def written(
    table: Table,
    values: np.ndarray,
    to_fill: np.ndarray,
    limits: Range,
    donors: Donors | None,
    bounds: bool,
) -> pd.DataFrame:
    """Return the frame of a table with values in some of its cells.

    Parameters
    ----------
    values : (n, F) predictions, standardised
    to_fill : (n, F) bool
    donors : which the values are of; None for values as predicted
    bounds : whether the values are ends of intervals
    """
    filled = fill(table.frame, limits.clip(values), to_fill, limits.bounded())
    if donors is not None:
        exact = donors.exact(values, bounds)
        filled = fill_natural(filled, exact, to_fill & ~np.isnan(exact), limits.off_grid())
    return tell(filled, table)


def indicated(filled: pd.DataFrame, table: Table, columns: Sequence[int]) -> pd.DataFrame:
    """Return a frame with a column more for each of some columns, True where a cell was missing."""
    missing = missing_cells(table.observed, table.free_text)
    for j in columns:
        name = f"missingindicator_{table.frame.columns[j]}"
        if name in table.frame.columns:
            raise ValueError(
                f"add_indicator=True makes a column {name!r}, but X has one of that name; "
                "rename it."
            )
        filled = filled.assign(**{name: missing[:, j]})
    return filled
