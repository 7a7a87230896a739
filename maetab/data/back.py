"""The ways back from the pandas view to the container that the user gave.

`give` returns the view, in which cells were changed, as that container; `table` returns a frame of
new columns, without its index, as the same kind of container; `indexed` does with its index, as far
as the container can hold one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd


@dataclass(frozen=True)
class PandasBack:
    """A pandas frame is its own view."""

    def give(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame."""
        return frame

    table = indexed = give


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

    indexed = table


@dataclass(frozen=True)
class MaskedBack(ArrayBack):
    """Back to a masked array, in which what is still missing is masked."""

    fill_value: Any

    def give(self, frame: pd.DataFrame) -> np.ma.MaskedArray:
        """Return (n, F) of the array's dtype; below the mask are zeros, empty text, NaN or None."""
        missing = frame.isna().to_numpy()
        zero: Any = {"i": 0, "u": 0, "b": False, "U": "", "S": ""}.get(self.dtype.kind)
        given = super().give(frame if zero is None else frame.where(~missing, zero))
        mask = missing if missing.any() else np.ma.nomask
        return np.ma.array(given, mask=mask, fill_value=self.fill_value)


@dataclass(frozen=True)
class TableBack:
    """Back to polars, pyarrow and whatever else narwhals reads.

    source : frame of narwhals
    view : of it, in pandas
    as_batch : True to return one record batch of pyarrow instead of a table
    """

    source: Any
    view: pd.DataFrame
    as_batch: bool = False

    def give(self, frame: pd.DataFrame) -> Any:
        """Return the table with new cells where `frame` differs from the view."""
        known = self.source.columns if len(frame) == len(self.view) else []
        merged = {
            str(name): (self._merged if name in known else self._new)(str(name), frame[name])
            for name in frame.columns
        }
        return self._given(self._fields_of_source(self._native(merged)))

    def table(self, frame: pd.DataFrame) -> Any:
        """Return the frame, without its index, as the same kind of table."""
        new = {str(name): self._new(str(name), frame[name]) for name in frame}
        return self._given(self._native(new))

    def indexed(self, frame: pd.DataFrame) -> Any:
        """Return the frame, its index as first columns, as the same kind of table."""
        return self.table(frame.reset_index())

    def _given(self, native: Any) -> Any:
        if not self.as_batch:
            return native
        columns = [column.combine_chunks() for column in native.columns]
        return sys.modules["pyarrow"].RecordBatch.from_arrays(columns, schema=native.schema)

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
        if dtype is None and backend.is_polars() and series.dtype.kind in "mM":
            zone = getattr(series.dtype, "tz", None)  # older polars does not see it in the cells
            zoned = nw.Datetime("us", None if zone is None else str(zone))
            dtype = nw.Duration("us") if series.dtype.kind == "m" else zoned
        first = None if dtype == nw.Categorical else dtype  # pyarrow, if old, needs text first
        column = nw.new_series(name, cells, first, backend=backend)
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
        if self.source.implementation.is_pyarrow():
            if column.dtype == nw.Categorical:
                cells = _dictionary_of(series, column.to_native())
                return nw.from_native(cells, series_only=True).alias(name)
            if str(column.to_native().type) == "string_view":  # Arrow does not merge these
                return nw.from_native(_views_of(series), series_only=True).alias(name)
        if column.dtype == nw.Enum:  # of other levels than that of fit, one of which is new
            column = column.cast(nw.Enum(series.cat.categories.tolist()))
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


def _dictionary_of(series: pd.Series, like: Any) -> Any:
    """Return cells as a dictionary of Arrow; its levels are those of `like`, and then new ones."""
    pyarrow, kind, missing = sys.modules["pyarrow"], like.type, series.isna().to_numpy()
    known = [level for chunk in like.chunks for level in chunk.dictionary.to_pylist()]
    levels = list(dict.fromkeys([*known, *series[~missing]]))
    codes = pd.Index(levels, dtype=object).get_indexer(series.astype(object))
    codes = pyarrow.array(np.where(missing, 0, codes), kind.index_type, mask=missing)
    values = pyarrow.array(levels, kind.value_type)
    cells = pyarrow.DictionaryArray.from_arrays(codes, values, ordered=kind.ordered)
    return pyarrow.chunked_array([cells])


def _views_of(series: pd.Series) -> Any:
    """Return text as views of Arrow."""
    pyarrow, cells = sys.modules["pyarrow"], series.astype(object).where(series.notna(), None)
    return pyarrow.chunked_array([pyarrow.array(cells.tolist(), pyarrow.string_view())])


def _changed(before: pd.Series, after: pd.Series) -> np.ndarray:
    """(n,) bool: True where two columns differ; two missing cells do not."""
    missing = (before.isna() & after.isna()).to_numpy()
    if before.dtype != after.dtype:
        return ~missing
    equal = pd.array(before.array == after.array, dtype="boolean").to_numpy(bool, na_value=False)
    return ~(equal | missing)


Back = PandasBack | ArrayBack | TableBack
