"""Any table in, the same kind of table out."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from maetab.data.kinds import nullable


class Back(Protocol):
    """The way back from the pandas view to the container that the user gave."""

    def give(self, frame: pd.DataFrame) -> Any:
        """Return the view, in which cells were changed, as the container of the user."""

    def table(self, frame: pd.DataFrame) -> Any:
        """Return a frame of new columns as the same kind of container."""


@dataclass(frozen=True)
class PandasBack:
    """A pandas frame is its own view."""

    def give(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame."""
        return frame

    def table(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame."""
        return frame


@dataclass(frozen=True)
class ArrayBack:
    """Back to a NumPy array of `dtype`."""

    dtype: np.dtype

    def give(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n, F) of `dtype`; of floats where a whole number or boolean is missing."""
        if self.dtype.kind in "US":
            if frame.isna().to_numpy().any():
                return frame.to_numpy(dtype=object)
            text = frame.to_numpy(dtype=object).astype(self.dtype.kind)
            return text.astype(np.result_type(text, self.dtype))
        if self.dtype.kind in "iub" and frame.isna().to_numpy().any():
            return frame.to_numpy(dtype=np.float64, na_value=np.nan)
        return frame.to_numpy(dtype=self.dtype)

    def table(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the frame as an array of its own common dtype."""
        return frame.to_numpy()


@dataclass(frozen=True)
class MaskedBack:
    """Back to a masked array, in which what is still missing is masked."""

    array: ArrayBack
    fill_value: Any

    def give(self, frame: pd.DataFrame) -> np.ma.MaskedArray:
        """Return (n, F) of the array's dtype; below the mask are zeros, empty text, NaN or None."""
        missing = frame.isna().to_numpy()
        zero: Any = {"i": 0, "u": 0, "b": False, "U": "", "S": ""}.get(self.array.dtype.kind)
        given = self.array.give(frame if zero is None else frame.where(~missing, zero))
        mask = missing if missing.any() else np.ma.nomask
        return np.ma.array(given, mask=mask, fill_value=self.fill_value)

    def table(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the frame as an array of its own common dtype."""
        return self.array.table(frame)


@dataclass(frozen=True)
class TableBack:
    """Back to polars, pyarrow and whatever else narwhals reads."""

    source: Any  # narwhals frame
    view: pd.DataFrame

    def give(self, frame: pd.DataFrame) -> Any:
        """Return the table with new cells where `frame` differs from the view."""
        known = self.source.columns if len(frame) == len(self.view) else []
        merged = {
            str(name): (self._merged if name in known else self._new)(str(name), frame[name])
            for name in frame.columns
        }
        return self._fields_of_source(self._native(merged))

    def table(self, frame: pd.DataFrame) -> Any:
        """Return the frame, without its index, as the same kind of table."""
        return self._native({str(name): self._new(str(name), frame[name]) for name in frame})

    def _native(self, columns: dict[str, Any]) -> Any:
        # narwhals reads its own series cell by cell, and then loses nanoseconds of pyarrow
        native = {name: column.to_native() for name, column in columns.items()}
        return nw.from_dict(native, backend=self.source.implementation).to_native()

    def _new(self, name: str, series: pd.Series, dtype: Any = None) -> Any:
        backend = self.source.implementation
        if dtype is None and isinstance(series.dtype, np.dtype) and series.dtype.kind in "iufb":
            return nw.Series.from_numpy(name, np.array(series), backend=backend)
        if dtype == nw.Enum and backend.is_pyarrow():
            dtype = nw.Categorical
        cells = series.astype(object).where(series.notna(), None).tolist()
        column = nw.new_series(name, cells, dtype, backend=backend)
        return column if dtype is None else column.cast(dtype)

    def _merged(self, name: str, series: pd.Series) -> Any:
        """Column `name` of the source, with the cells of `series` where the two differ."""
        changed, column = _changed(self.view[name], series), self.source[name]
        if not changed.any():
            return column
        if column.dtype == nw.Unknown:  # a column of type null becomes what fills it
            return self._new(name, series)
        if column.dtype == nw.Date:
            series = series.dt.round("D")
        where = nw.Series.from_numpy("", changed, backend=self.source.implementation)
        return self._new(name, series, column.dtype).zip_with(where, column).alias(name)

    def _fields_of_source(self, native: Any) -> Any:
        """Give pyarrow its fields and metadata back, such as large_string."""
        if not self.source.implementation.is_pyarrow():
            return native
        source, schema = self.source.to_native().schema, native.schema
        for place, name in enumerate(native.column_names):
            if name in source.names and str(source.field(name).type) != "null":
                schema = schema.set(place, source.field(name))
        return native.cast(schema.with_metadata(source.metadata))


@dataclass(frozen=True)
class BatchBack:
    """Back to one record batch of pyarrow."""

    tables: Back

    def give(self, frame: pd.DataFrame) -> Any:
        """Return the batch with new cells where `frame` differs from the view."""
        return _as_batch(self.tables.give(frame))

    def table(self, frame: pd.DataFrame) -> Any:
        """Return the frame, without its index, as a batch."""
        return _as_batch(self.tables.table(frame))


def _as_batch(table: Any) -> Any:
    columns = [column.combine_chunks() for column in table.columns]
    return sys.modules["pyarrow"].RecordBatch.from_arrays(columns, schema=table.schema)


def _changed(before: pd.Series, after: pd.Series) -> np.ndarray:
    """(n,) bool: True where two columns differ; two missing cells do not."""
    missing = (before.isna() & after.isna()).to_numpy()
    if before.dtype != after.dtype:
        return ~missing
    equal = pd.array(before.array == after.array, dtype="boolean").to_numpy(bool, na_value=False)
    return ~(equal | missing)


def read_frame(X: Any) -> tuple[pd.DataFrame, Back]:
    """Return a pandas view of a table and the way back to its container.

    Parameters
    ----------
    X : pandas, polars or pyarrow table, 2-D array or list of lists, or an eager frame of narwhals
        The columns of an array are called x0, x1, ...

    Raises
    ------
    TypeError
        For sparse or lazy tables and what is no table at all.
    ValueError
        For arrays that are not 2-D, complex numbers and repeated column names.

    Examples
    --------
    >>> frame, back = read_frame(np.array([[1.0, np.nan]]))
    >>> list(frame.columns), back.give(frame.fillna(2.0))
    (['x0', 'x1'], array([[1., 2.]]))
    """
    if isinstance(X, pd.DataFrame):
        refuse_duplicates(X.columns)
        return X, PandasBack()
    if hasattr(X, "tocsr") or hasattr(X, "tocoo"):
        raise TypeError("Input X is sparse, but dense data is required; convert it by X.toarray().")
    if isinstance(X, (pd.Series, nw.Series)) or type(X).__name__ == "Series":
        raise _not_two_dimensional(1)
    if isinstance(X, (list, tuple, np.ndarray)):
        return _read_array(X)
    if (table := as_table(X)) is not X:
        frame, back = read_frame(table)
        return frame, BatchBack(back)
    if hasattr(X, "column_names"):  # pyarrow reports repeated names late and in its own words
        refuse_duplicates(X.column_names)
    source = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(source, nw.DataFrame):
        return _read_table(source)
    if hasattr(X, "__array__"):
        return _read_array(X)
    advice = "call .collect() first" if hasattr(X, "collect") else "pass a data frame or 2-D array"
    raise TypeError(f"Input X must be a table in memory, got {type(X).__name__}; {advice}.")


def as_table(X: Any) -> Any:
    """Return a record batch of pyarrow as a table, and all else as it is."""
    is_batch = type(X).__module__ == "pyarrow.lib" and type(X).__name__ == "RecordBatch"
    return sys.modules["pyarrow"].Table.from_batches([X]) if is_batch else X


def _not_two_dimensional(ndim: int) -> ValueError:
    return ValueError(
        f"Expected 2D array, got {ndim}D array instead.\nReshape your data either using "
        f"array.reshape(-1, 1) if your data has a single feature or array.reshape(1, -1) "
        f"if it contains a single sample."
    )


def _read_array(X: Any) -> tuple[pd.DataFrame, Back]:
    gives_mask = isinstance(X, np.ma.MaskedArray)
    if isinstance(X, (list, tuple)) and any(isinstance(row, np.ma.MaskedArray) for row in X):
        X = np.ma.stack(X)
    mask = np.ma.getmaskarray(X) if isinstance(X, np.ma.MaskedArray) else None
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError(f"Input X must have rows of equal length: {error}") from error
    if array.dtype.kind in "US" and not isinstance(X, np.ndarray):
        array = np.asarray(X, dtype=object)  # NumPy writes the numbers in [[1, "a"]] as text
    if array.ndim != 2:
        raise _not_two_dimensional(array.ndim)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported\nInput X is {array.dtype}.")
    back: Back = ArrayBack(array.dtype)
    if gives_mask:
        back = MaskedBack(ArrayBack(array.dtype), X.fill_value)
    if array.dtype.kind in "US":
        array = array.astype(object)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    names = [f"x{position}" for position in range(array.shape[1])]
    frame = pd.DataFrame(array, columns=names, dtype=array.dtype, copy=False)
    if mask is not None:
        can_be_missing = frame.astype(nullable(array.dtype)) if array.dtype.kind in "iub" else frame
        frame = can_be_missing.mask(mask)
    return frame, back


def _read_table(source: Any) -> tuple[pd.DataFrame, Back]:
    native = source.to_native()
    if isinstance(native, pd.DataFrame):
        return native, PandasBack()
    columns = {name: pd.Series(_view(source[name])) for name in source.columns}
    view = pd.DataFrame(columns, index=pd.RangeIndex(len(source)))
    return view, TableBack(source, view)


def _view(column: Any) -> Any:
    """Return one narwhals column as a pandas array that holds the same values."""
    dtype, missing = column.dtype, column.is_null().to_numpy()
    if dtype.is_integer() and dtype not in (nw.Int128, nw.UInt128):
        return pd.arrays.IntegerArray(column.fill_null(0).to_numpy().copy(), missing.copy())
    if dtype.is_float():
        return column.fill_null(math.nan).to_numpy()
    if dtype == nw.Boolean:
        return pd.arrays.BooleanArray(column.fill_null(False).to_numpy().copy(), missing.copy())
    if dtype == nw.String:
        return pd.array(column.to_list(), dtype="str")
    if dtype == nw.Enum:
        return pd.Categorical(column.to_list(), categories=list(dtype.categories), ordered=True)
    if dtype == nw.Categorical:
        return pd.Categorical(column.to_list())
    if dtype in (nw.Date, nw.Datetime, nw.Duration):
        return _view_times(column, missing)
    return pd.Series(column.to_list(), dtype=object)


def _view_times(column: Any, missing: np.ndarray) -> Any:
    dtype = column.dtype
    unit = "s" if dtype == nw.Date else dtype.time_unit
    if dtype == nw.Duration:
        totals = {"ns": "nanoseconds", "us": "microseconds", "ms": "milliseconds", "s": "seconds"}
        ticks = getattr(column.dt, f"total_{totals[unit]}")()
    else:
        ticks = column.dt.timestamp("ms" if unit == "s" else unit)
    whole = ticks.fill_null(0).to_numpy().astype(np.int64)
    if unit == "s" and dtype != nw.Duration:
        whole = whole // 1000
    times = whole.astype(f"{'m' if dtype == nw.Duration else 'M'}8[{unit}]")
    times[missing] = np.array("NaT", dtype=times.dtype)
    zone = getattr(dtype, "time_zone", None)
    return pd.DatetimeIndex(times, tz="UTC").tz_convert(zone) if zone else times


def refuse_duplicates(columns: Iterable) -> None:
    """Raise a ValueError that lists the column names which occur more than once."""
    names = pd.Index(columns)
    if not names.is_unique:
        twice = ", ".join(map(repr, names[names.duplicated()].unique()[:10]))
        raise ValueError(f"Column names must be unique, got more than one of {twice}.")
