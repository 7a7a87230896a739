"""Any table in: a pandas view, and the way back to the same kind of table."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from maetab.data.back import ArrayBack, Back, MaskedBack, PandasBack, TableBack
from maetab.data.kinds import nullable

# pandas below 3 has no text that can be missing by this name: it would write "None".
TEXT: Any = "str" if int(pd.__version__.partition(".")[0]) >= 3 else object


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
        For arrays that are not 2-D and Series, complex numbers and repeated column names.
    """
    if isinstance(X, pd.DataFrame):
        refuse_duplicates(X.columns)
        return X, PandasBack()
    if hasattr(X, "tocsr") or hasattr(X, "tocoo"):
        raise TypeError("Input X is sparse, but dense data is required; convert it by X.toarray().")
    if isinstance(X, (pd.Series, nw.Series)) or type(X).__name__ == "Series":
        raise ValueError(
            "Expected 2D array, got a Series instead.\nMake it a table of one column by "
            "X.to_frame(), or, if it is a row, take a table of one row by frame.iloc[[i]]."
        )
    if isinstance(X, (list, tuple, np.ndarray)):
        return _read_array(X)
    table = as_table(X)
    if hasattr(table, "column_names"):  # pyarrow reports repeated names late and in its own words
        refuse_duplicates(table.column_names)
    source = nw.from_native(table, eager_only=True, pass_through=True)
    if isinstance(source, nw.DataFrame):
        return _read_table(source, as_batch=table is not X)
    is_lazy = hasattr(X, "compute") and hasattr(X, "columns")  # of Dask: an array has no names
    if hasattr(X, "__array__") and not is_lazy:
        return _read_array(X)
    advice = "pass a data frame or 2-D array"
    # of Ray; polars; Dask; Arrow; Spark, whose collect() gives rows without names
    for name in ("to_pandas", "collect", "compute", "to_table", "toPandas", "toArrow"):
        advice = f"call .{name}() first" if hasattr(X, name) else advice
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
        back = MaskedBack(array.dtype, X.fill_value)
    if array.dtype.kind in "US":
        array = array.astype(object)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    names = _array_names(array.shape[1])
    frame = pd.DataFrame(array, columns=names, dtype=array.dtype, copy=False)
    if mask is not None:
        can_be_missing = frame.astype(nullable(array.dtype)) if array.dtype.kind in "iub" else frame
        frame = can_be_missing.mask(mask)
    return frame, back


def _array_names(n_columns: int) -> list[str]:
    return [f"x{position}" for position in range(n_columns)]


def label_of(frame: pd.DataFrame, label: Any) -> Any:
    """Return the name of the column at a position, where the columns of an array are meant.

    Labels of other frames, and what is no position, come back as they are.
    """
    is_int = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
    names = list(frame.columns)
    is_position = is_int and label not in names and -len(names) <= label < len(names)
    return names[label] if is_position and names == _array_names(len(names)) else label


def labels_in(frame: pd.DataFrame, name: Any) -> pd.Index:
    """Return a column, or a level of the index, as an index; KeyError if there is none."""
    if name in frame.columns:
        return pd.Index(frame[name], dtype=frame[name].dtype, name=name)
    return frame.index.get_level_values(name)


def _read_table(source: Any, as_batch: bool) -> tuple[pd.DataFrame, Back]:
    native = source.to_native()
    if isinstance(native, pd.DataFrame):
        return native, PandasBack()
    columns = {name: pd.Series(_view(source[name])) for name in source.columns}
    view = pd.DataFrame(columns, index=pd.RangeIndex(len(source)))
    return view, TableBack(source, view, as_batch)


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
        return pd.array(column.to_list(), dtype=TEXT)
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
