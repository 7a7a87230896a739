"""The range of imputed numbers: of the observed ones, or as the user wants it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pandas.api.types import pandas_dtype

from maetab.data.columns import Column
from maetab.data.kinds import as_float
from maetab.data.schema import Schema, first_of

BEYOND = 3.0  # lengths of the observed range by which the numbers of series may leave it

End = float | Sequence[float] | Mapping[Hashable, Any] | None


def check_range(low: End, high: End, schema: Schema) -> None:
    """Raise a ValueError that names `min_value` or `max_value` of MAEImputer if it cannot be."""
    n_columns = len(schema.columns)
    for name, value in (("min_value", low), ("max_value", high)):
        if isinstance(value, Mapping):
            _check_names(name, value, schema)
            continue
        try:
            ends = np.asarray(value if value is not None else 0.0)
        except ValueError:  # lists of different lengths
            ends = np.asarray(None)
        fits = ends.dtype.kind in "iuf" and ends.shape in ((), (n_columns,))
        if not fits or np.isnan(ends).any():
            raise ValueError(
                f"The {name!r} parameter of MAEImputer must be None, a number, one number for each "
                f"of the {n_columns} columns, or a dict of columns and numbers, got {value!r}."
            )
    if low is None or high is None:
        return
    for j, exceeds in enumerate(given_ends(low, schema) > given_ends(high, schema)):
        if exceeds:
            raise ValueError(
                f"The 'min_value' parameter of MAEImputer must not exceed max_value={high!r}, "
                f"got {low!r}; it does in column {schema.columns[j].name!r}."
            )


def _check_names(name: str, ends: Mapping[Hashable, Any], schema: Schema) -> None:
    """Refuse the first end that is not of a column, or not of its kind."""
    columns = {column.name: column for column in schema.columns}
    for key, value in ends.items():
        if key not in columns:
            raise ValueError(
                f"The {name!r} parameter of MAEImputer names {key!r}, which is no column of X; its "
                f"columns are {first_of(columns)}."
            )
        kind = columns[key].temporal or "number"
        if columns[key].kind != "number" or isinstance(value, bool):
            what = "True or False" if columns[key].kind == "number" else "a category"
            raise ValueError(
                f"The {name!r} parameter of MAEImputer cannot limit column {key!r} by {value!r}: "
                f"that is {what}; numbers, dates and durations have a range."
            )
        if np.isnan(as_float(value, kind)):
            raise ValueError(
                f"The {name!r} parameter of MAEImputer must limit column {key!r} by a {kind}, got "
                f"{value!r}."
            )


def given_ends(given: End, schema: Schema) -> np.ndarray:
    """Return (F,) float64 the end that the user gave for each column, NaN where he gave none.

    Numbers without a name are ends of numbers: as times they were seconds since 1970.
    """
    columns = schema.columns
    if given is None:
        return np.full(len(columns), np.nan)
    if isinstance(given, Mapping):
        kinds = [column.temporal or "number" for column in columns]
        named = zip(columns, kinds, strict=True)
        ends = [as_float(given[c.name], k) if c.name in given else np.nan for c, k in named]
        return np.array(ends)
    unnamed = np.broadcast_to(np.asarray(given, dtype=float), len(columns))
    return np.where([column.temporal is None for column in columns], unnamed, np.nan)


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
        least, most = self.given()
        low = np.where(np.isnan(least), low, least)
        high = np.where(np.isnan(least), high, np.maximum(high, low))
        high = np.where(np.isnan(most), high, most)
        low = np.where(np.isnan(most), low, np.minimum(low, high))
        return np.stack([low, high])

    def given(self) -> np.ndarray:
        """Return (2, F) the user's own ends, from each origin; NaN where he gave none."""
        both = (given_ends(end, self.schema) for end in (self.min_value, self.max_value))
        return np.stack(list(both)) - [float(column.origin) for column in self.schema.columns]

    def hard(self) -> np.ndarray:
        """Return (2, F) the ends that nothing passes: the user's own, and those of whole dtypes."""
        ends = self.given()
        for j, column in enumerate(self.schema.columns):
            least, most = _ends_of_dtype(column)
            ends[0, j] = max(least, -np.inf if np.isnan(ends[0, j]) else ends[0, j])
            ends[1, j] = min(most, np.inf if np.isnan(ends[1, j]) else ends[1, j])
        return ends

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
        smallest, largest = _ends_of_dtype(column)
        return max(least, smallest), min(most, largest)

    def bounded(self) -> Schema:
        """Return the schema with the user's range, and without the grids if he wants none."""
        columns = list(self.schema.columns)
        for j, (column, low, high) in enumerate(zip(columns, *self.ends(), strict=True)):
            step = column.step if self.keep_grid or column.decimals is not None else None
            inside = tuple(x for x in column.distinct if low <= x <= high)
            columns[j] = replace(column, distinct=inside, step=step, lower=low, upper=high)
        return Schema(tuple(columns))

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

    def natural(self, values: np.ndarray) -> np.ndarray:
        """Return (n, F) standardised numbers as they would be written, less their origins."""
        natural = self.clip(values)
        for j, column in enumerate(self.bounded().columns):
            if column.kind == "number":
                natural[:, j] = column.on_grid(column.natural(natural[:, j]))
        return natural

    def as_given(self) -> Schema:
        """Return the schema for numbers that are written as they are given."""
        columns = self.schema.columns
        kept = [c.step if c.decimals is not None else None for c in columns]
        pairs = zip(columns, kept, strict=True)
        return Schema(tuple(replace(c, step=s, lower=-np.inf, upper=np.inf) for c, s in pairs))

    def on_grids(self) -> Schema:
        """Return the schema with the grids that are kept, of numbers of any size."""
        columns = self.bounded().columns
        return Schema(tuple(replace(c, lower=-np.inf, upper=np.inf) for c in columns))


def _ends_of_dtype(column: Column) -> tuple[float, float]:
    """Return the smallest and largest number that a dtype of whole numbers holds, less the origin.

    Infinite for other dtypes.
    """
    if not column.integer or column.dtype == "object":
        return -np.inf, np.inf
    dtype = pandas_dtype(column.dtype)
    ends = np.iinfo(getattr(dtype, "numpy_dtype", dtype))
    return float(ends.min) - column.origin, float(ends.max) - column.origin
