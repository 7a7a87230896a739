"""Frame to numbers and back: encode, decode, and fill, which changes no observed cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from maetab.data.cells import Cells
from maetab.data.columns import Column
from maetab.data.kinds import (
    extra_missing,
    is_dictionary,
    level_key,
    nullable,
    python_scalar,
    word_of_dtype,
)
from maetab.data.restore import restore
from maetab.data.schema import Schema, check_kind, check_names, check_zone


class Encoded(NamedTuple):
    """The cells of a table as a model reads them.

    Parameters
    ----------
    values : (n, F) float32
        Numbers centered and scaled; the position in `levels` of a category, or the number of
        levels for one that is not among them; 0 where not observed.
    observed : (n, F) bool
        False also for free text and identifiers, which the model does not see.
    free_text : place of each column of free text -> (n,) bool, True for the cells the user gave
    """

    values: np.ndarray
    observed: np.ndarray
    free_text: dict[int, np.ndarray]

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Encoded:
        """Return cells none of which is observed, for `put`."""
        return cls(np.zeros(shape, np.float32), np.zeros(shape, bool), {})

    def put(self, place: int, cells: Cells, column: Column) -> None:
        """Write the cells of one column."""
        if column.free_text:
            self.free_text[place] = cells.observed
            return
        self.observed[:, place] = cells.observed
        if cells.observed.any():
            numbers = _scaled(cells, column) if column.kind == "number" else _codes(cells, column)
            self.values[:, place] = np.where(cells.observed, numbers, 0.0)


def missing_cells(observed: np.ndarray, free_text: dict[int, np.ndarray]) -> np.ndarray:
    """Return (n, F) bool: True where a cell is missing, also in columns that no model sees.

    Parameters
    ----------
    observed, free_text : as in `Encoded`
    """
    missing = ~observed
    for place, given in free_text.items():
        missing[:, place] = ~given
    return missing


def encode(
    frame: pd.DataFrame, schema: Schema, missing_values: Any = np.nan
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells as numbers, and which of them are observed; see `Encoded`.

    Parameters
    ----------
    frame : with the columns of `schema`, in order.
    missing_values : values that count as missing besides NaN, None, NA and NaT.

    Returns
    -------
    values : (n, F) float32
    observed : (n, F) bool
    """
    values, observed, _ = _encode(frame, schema, missing_values)
    return values, observed


def encode_checked(frame: pd.DataFrame, schema: Schema, missing_values: Any = np.nan) -> Encoded:
    """Return the cells of a frame that a user gives after fit; each column is parsed once.

    Parameters
    ----------
    frame, missing_values : as in `encode`

    Raises
    ------
    ValueError
        Unless the frame has the columns of fit, in order and of the same kinds; a column without
        an observed cell passes as any kind. Numbers that cannot be used are named after that.
    """
    check_names(frame.columns, schema)
    return _encode(frame, schema, missing_values, check_zone)


def _encode(
    frame: pd.DataFrame,
    schema: Schema,
    missing_values: Any,
    *checks: Callable[[Cells, Column], None],
) -> Encoded:
    extra = extra_missing(missing_values)
    encoded, unusable = Encoded.empty(frame.shape), list[ValueError]()
    for place, column in enumerate(schema.columns):
        cells = Cells(frame.iloc[:, place], extra)
        for check in (check_kind, *checks):
            check(cells, column)
        try:
            encoded.put(place, cells, column)
        except ValueError as error:
            unusable.append(error)
    if unusable:
        raise unusable[0]
    return encoded


def _scaled(cells: Cells, column: Column) -> np.ndarray:
    with np.errstate(over="ignore"):
        scaled = (cells.numbers(column.origin) - column.center) / column.scale
    limit = float(np.finfo(np.float32).max)
    return np.clip(scaled, -limit, limit)


def _codes(cells: Cells, column: Column) -> np.ndarray:
    """(n,) position of each cell in the levels of fit."""
    places = {level_key(level): place for place, level in enumerate(column.levels)}
    codes, values = cells.factors
    found = [places.get(level_key(value), len(column.levels)) for value in values]
    return np.array([*found, 0], dtype=np.float64)[codes]


def to_natural(values: np.ndarray, schema: Schema) -> np.ndarray:
    """Return (n, F) float64: numbers in their own unit (dates in seconds), codes as they are."""
    return from_origins(values, schema) + [float(column.origin) for column in schema.columns]


def from_origins(values: np.ndarray, schema: Schema) -> np.ndarray:
    """Return (n, F) float64 as `to_natural`, but counted from the origins of the columns."""
    natural = np.array(values, dtype=np.float64)
    for place, column in enumerate(schema.columns):
        natural[:, place] = column.natural(natural[:, place])
    return natural


def decode(
    values: np.ndarray, observed: np.ndarray, schema: Schema, like: pd.DataFrame
) -> pd.DataFrame:
    """Return a frame made of numbers, on the grids of the columns: the way back of `encode`.

    Parameters
    ----------
    values : (n, F) as from `encode`.
    observed : (n, F) bool
        Cells to write; the others are missing, as are codes that stand for no level.
    like : frame of n rows
        Gives index, column labels, dtypes, attrs and the cells of free text. A NumPy integer or
        boolean column in which a cell is missing becomes nullable (Int64, boolean).
    """
    return _written(like, from_origins(values, schema), observed, schema, empty=True)


def fill(
    frame: pd.DataFrame, values: np.ndarray, replace: np.ndarray, schema: Schema
) -> pd.DataFrame:
    """Return a copy of the frame in which some cells hold decoded values, on their columns' grids.

    Parameters
    ----------
    frame : left as it is.
    values : (n, F) as from `encode`.
    replace : (n, F) bool
        Cells to replace; all others stay bit for bit. A value that is not finite and a code
        that stands for no level replace nothing.
    """
    return _written(frame, from_origins(values, schema), replace, schema, empty=False)


def fill_natural(
    frame: pd.DataFrame, natural: np.ndarray, replace: np.ndarray, schema: Schema
) -> pd.DataFrame:
    """Return a copy of the frame in which some cells hold numbers given in their own unit.

    Parameters
    ----------
    natural : (n, F) float64, counted from the origins of the columns
    frame, replace : as in `fill`
    """
    return _written(frame, natural, replace, schema, empty=False)


def _written(
    frame: pd.DataFrame, natural: np.ndarray, where: np.ndarray, schema: Schema, empty: bool
) -> pd.DataFrame:
    """Return a copy with decoded values in some cells; if `empty`, no other cell is observed."""
    out = frame.copy(deep=False)
    for place, column in enumerate(schema.columns):
        written = where[:, place] & _is_a_value(natural[:, place], column)
        if column.free_text or not (empty or written.any()):
            continue
        series = _able_to_hold(frame.iloc[:, place], column, natural[written, place])
        if empty:
            array = _all_missing(series, may_be_missing=not written.all())
        else:
            array = series.to_numpy(copy=True) if _is_numpy(series) else series.array.copy()
        array[written] = restore(natural[written, place], column, array)
        # pandas alone would turn objects that are text into str
        out.isetitem(place, pd.Series(array, frame.index, dtype=array.dtype))
    return out


def _is_numpy(series: pd.Series) -> bool:
    return isinstance(series.dtype, np.dtype) and series.dtype.kind not in "Mm"


def _is_a_value(natural: np.ndarray, column: Column) -> np.ndarray:
    """(n,) bool: True where a number is finite and a code stands for a level."""
    if column.kind == "number":
        return np.isfinite(natural)
    return (natural > -0.5) & (natural < len(column.levels) - 0.5)


def _able_to_hold(series: pd.Series, column: Column, natural: np.ndarray) -> pd.Series:
    """Return the column, with the dtype of fit if its own cannot hold the values.

    So it is with columns without a cell, and with categories that lack a level of the fit.
    """
    if isinstance(series.dtype, pd.CategoricalDtype) and column.kind == "category":
        known = set(map(level_key, map(python_scalar, series.cat.categories)))
        used = np.unique(np.rint(natural).astype(np.int64))
        new = [column.levels[i] for i in used if level_key(column.levels[i]) not in known]
        return series.cat.add_categories(new) if new else series
    word = word_of_dtype(series.dtype, column.name)
    may_be_any = column.temporal is None or column.dtype == "object"
    declares = is_dictionary(series.dtype) and column.kind == "category"
    if column.words <= {word} or declares or (word == "any" and may_be_any):
        return series
    if not series.isna().all():
        return series.astype(object)
    dtype: Any = {"bool": "boolean", "category": object}.get(column.dtype, column.dtype)
    if column.integer and isinstance(pd.Series(dtype=dtype).dtype, np.dtype):
        dtype = "Int64"
    return pd.Series(pd.array([None] * len(series), dtype=dtype), index=series.index)


def _all_missing(series: pd.Series, may_be_missing: bool) -> Any:
    """Return an array of the dtype of the column without an observed cell."""
    if not _is_numpy(series):
        return series.array.take(np.full(len(series), -1), allow_fill=True)
    if series.dtype.kind in "iub":
        if not may_be_missing:
            return np.zeros(len(series), dtype=series.dtype)
        return pd.array([None] * len(series), dtype=nullable(series.dtype))
    return np.full(len(series), None if series.dtype == object else np.nan, dtype=series.dtype)
