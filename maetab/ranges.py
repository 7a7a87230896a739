"""The range of imputed numbers: of the observed ones, or as the user wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pandas.api.types import pandas_dtype

from maetab.data.columns import Column
from maetab.data.schema import Schema

BEYOND = 3.0  # lengths of the observed range by which the numbers of series may leave it

End = float | Sequence[float] | None


def check_range(low: End, high: End, n_columns: int) -> None:
    """Raise a ValueError that names `min_value` or `max_value` of MAEImputer if it cannot be."""
    for name, value in (("min_value", low), ("max_value", high)):
        ends = np.asarray(value if value is not None else 0.0)
        fits = ends.dtype.kind in "iuf" and ends.shape in ((), (n_columns,))
        if not fits or np.isnan(ends).any():
            raise ValueError(
                f"The {name!r} parameter of MAEImputer must be None, a number or one number "
                f"for each of the {n_columns} columns, got {value!r}."
            )
    if low is not None and high is not None and np.any(np.asarray(low) > np.asarray(high)):
        raise ValueError(
            f"The 'min_value' parameter of MAEImputer must not exceed max_value={high!r}, "
            f"got {low!r}."
        )


@dataclass(frozen=True)
class Range:
    """The range, and the grid, of imputed numbers.

    Parameters
    ----------
    schema : of the columns
    min_value, max_value, keep_grid : as in MAEImputer
    in_time : whether rows are series, whose level may move beyond what fit has seen
    """

    schema: Schema
    min_value: End
    max_value: End
    keep_grid: bool
    in_time: bool = False

    def ends(self) -> np.ndarray:
        """Return (2, F) smallest and largest number that may be imputed, from each origin."""
        columns = self.schema.columns
        low, high = np.array([self._observed(column) for column in columns]).T
        origin = [float(column.origin) for column in columns]
        if self.min_value is not None:
            low = np.asarray(self.min_value, dtype=float) - origin
            high = np.maximum(high, low)
        if self.max_value is not None:
            high = np.asarray(self.max_value, dtype=float) - origin
            low = np.minimum(low, high)
        return np.stack([low, high])

    def _observed(self, column: Column) -> tuple[float, float]:
        """Return the smallest and largest number that a column may have, from its origin.

        Those that it had in fit. Of series `BEYOND` times their difference further, but never of
        another sign than all that was seen, nor beyond what the dtype holds.
        """
        low, high, origin = column.lower, column.upper, float(column.origin)
        if not self.in_time or column.kind != "number" or column.temporal is not None:
            return low, high
        more = BEYOND * (high - low)
        least, most = low - more, high + more
        if low + origin >= 0:
            least = max(least, -origin)
        if high + origin <= 0:
            most = min(most, -origin)
        if column.integer and column.dtype != "object":
            dtype = pandas_dtype(column.dtype)
            dtype = getattr(dtype, "numpy_dtype", dtype)
            least = max(least, float(np.iinfo(dtype).min) - origin)
            most = min(most, float(np.iinfo(dtype).max) - origin)
        return least, most

    def bounded(self) -> Schema:
        """Return the schema with the user's range, and without the grids if he wants none."""
        columns = list(self.schema.columns)
        for j, (column, low, high) in enumerate(zip(columns, *self.ends(), strict=True)):
            step = column.step if self.keep_grid or column.decimals is not None else None
            inside = tuple(x for x in column.distinct if low <= x <= high)
            columns[j] = replace(column, distinct=inside, step=step, lower=low, upper=high)
        return Schema(tuple(columns))

    def off_grid(self) -> Schema:
        """Return the schema with the user's range, for numbers that are to be written as given."""
        bounded = self.bounded().columns
        return Schema(
            tuple(c if c.decimals is not None else replace(c, step=None) for c in bounded)
        )

    def outwards(self, values: np.ndarray, how: str) -> np.ndarray:
        """Return bounds (n, F) moved outwards, by "floor" or "ceil", to the grid of each number."""
        values = values.astype(np.float64)
        for j, column in enumerate(self.bounded().columns):
            if column.kind == "number":
                natural = values[:, j] * column.scale + column.center
                moved = column.on_grid(natural, how)
                scaled = (moved - column.center) / column.scale
                values[:, j] = np.where(moved == natural, values[:, j], scaled)
        return values

    def clip(self, values: np.ndarray) -> np.ndarray:
        """Return standardised values (n, F) inside the range of each number."""
        values = values.astype(np.float64)
        limits = zip(self.schema.columns, *self.ends(), strict=True)
        for j, (column, bottom, top) in enumerate(limits):
            if column.kind == "number" and column.n_observed:
                ends = (np.array([bottom, top]) - column.center) / column.scale
                scaled = values[:, j].clip(*ends)
                # Back in natural units rounding may pass a bound by the last bit.
                for _ in range(2):
                    natural = scaled * column.scale + column.center
                    scaled = np.where(natural < bottom, np.nextafter(scaled, np.inf), scaled)
                    scaled = np.where(natural > top, np.nextafter(scaled, -np.inf), scaled)
                values[:, j] = scaled
        return values
