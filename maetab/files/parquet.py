"""Tables in Parquet files: their Arrow columns, and a typed frame read from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from maetab.arrow import import_pyarrow
from maetab.data.schema import Column
from maetab.files.layout import Layout
from maetab.files.number_format import DIGITS


class ParquetTable:
    """A Parquet file: its Arrow columns, and a typed frame read from them.

    Parameters
    ----------
    content : bytes of the file
    """

    def __init__(self, content: bytes) -> None:
        pyarrow = import_pyarrow()
        try:
            self.arrow = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"this is not a Parquet file, or a damaged one: {error}") from error
        kept_by_pandas = (self.arrow.schema.pandas_metadata or {}).get("index_columns", [])
        self.names = [name for name in self.arrow.column_names if name not in kept_by_pandas]
        shared = [name for name, count in Counter(self.names).items() if count > 1]
        if shared:
            raise ValueError(f"columns have the same name: {', '.join(map(repr, shared))}")
        self.index = pd.RangeIndex(self.arrow.num_rows)
        self.doubts: dict[str, str] = {}
        self.frame = pd.DataFrame()

    def __len__(self) -> int:
        return self.arrow.num_rows

    def missing(self, name: str) -> np.ndarray:
        """Return (n,) bool: True where the cell is null or NaN."""
        return self.frame[name].isna().to_numpy()

    def read_types(self, categorical: Collection[str] = (), known: Sequence[Column] = ()) -> None:
        """Set `frame`; Parquet knows its types, so only `categorical` changes one."""
        arrow, pyarrow = self.arrow, import_pyarrow()
        for i, field in enumerate(arrow.schema):
            if pyarrow.types.is_date(field.type):
                dates = arrow.column(i).cast(pyarrow.timestamp("s"))
                arrow = arrow.set_column(i, field.name, dates)
        nullable: dict[Any, Any] = {pyarrow.bool_(): pd.BooleanDtype()}
        for name in (f"{sign}{bits}" for sign in ("Int", "UInt") for bits in (8, 16, 32, 64)):
            nullable[getattr(pyarrow, name.lower())()] = pd.api.types.pandas_dtype(name)
        self.frame = arrow.select(self.names).to_pandas(
            types_mapper=nullable.get, ignore_metadata=True
        )
        for name in categorical:
            self.frame[name] = self.frame[name].astype("category")

    def put(self, name: str, filled: pd.Series) -> int:
        """Write the values of `filled` into the missing cells of a column; return how many."""
        n_filled = int((self.missing(name) & filled.notna().to_numpy()).sum())
        i = self.arrow.column_names.index(name)
        field = self.arrow.schema.field(i)
        self.arrow = self.arrow.set_column(i, field, _to_array(filled, field.type))
        self.frame[name] = filled
        return n_filled

    def rest(self, used: Collection[str], typed: bool) -> pd.DataFrame:
        """Return the columns not in `used`, and those of a pandas index, as they are."""
        others = self.arrow.drop_columns([name for name in self.names if name in used])
        frame = others.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
        return frame.set_axis(self.index)

    def spell(self, name: str, row: int, value: Any) -> tuple[str, str]:
        """Return the text of a cell, and of another value of its column."""
        cells = (self.frame[name].iloc[row], value)
        seen, other = (f"{c:.{DIGITS}g}" if isinstance(c, float) else str(c) for c in cells)
        return seen, other if pd.notna(value) else ""

    def values(self) -> pd.DataFrame:
        """Return all columns of the file, as they are."""
        return self.arrow.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)

    def to_text(self, layout: Layout) -> str:
        """Return the table as delimited text."""
        return self.values().to_csv(index=False, sep=layout.delimiter, lineterminator="\n")


def arrow_of(frame: pd.DataFrame) -> Any:
    """Return a frame without its index as an Arrow table."""
    return import_pyarrow().Table.from_pandas(frame, preserve_index=False)


def parquet_bytes(arrow: Any) -> bytes:
    """Return the content of a Parquet file that holds an Arrow table."""
    buffer = import_pyarrow().BufferOutputStream()
    import_pyarrow().parquet.write_table(arrow, buffer)
    return buffer.getvalue().to_pybytes()


def _to_array(series: pd.Series, arrow_type: Any) -> Any:
    """Return an Arrow array of a type; a dictionary keeps its order and its unused levels."""
    pyarrow = import_pyarrow()
    if isinstance(series.dtype, pd.CategoricalDtype):
        if pyarrow.types.is_dictionary(arrow_type):
            codes = series.cat.codes.to_numpy()
            return pyarrow.DictionaryArray.from_arrays(
                pyarrow.array(codes, arrow_type.index_type, mask=codes < 0),
                pyarrow.array(series.cat.categories, arrow_type.value_type),
                ordered=arrow_type.ordered,
            )
        series = series.astype(series.cat.categories.dtype)
    return pyarrow.Array.from_pandas(series).cast(arrow_type)
