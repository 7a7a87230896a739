"""Tables in files: what the model reads, and the original text of every cell it must not touch.

A CSV or TSV file is kept as the text of its cells, quotes included; typed columns are read from a
copy. Writing joins the same text again, so a file differs from its original in the filled cells
and nowhere else. A Parquet file keeps its Arrow columns in the same way.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from maetab.cells import DIGITS, CellFormat, infer_format, known_format
from maetab.data.schema import Column

NA_VALUES = ("NA", "NaN", "nan", "NULL", "null", "None", "N/A", "?")
SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".pq": "parquet"}
DELIMITERS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True)
class Layout:
    """How the cells of text files are written.

    Parameters
    ----------
    delimiter : one character
        What stands between two cells.
    decimal : one character
        What stands between the whole part and the fraction of a number.
    encoding : name of a codec
    na_values : texts
        Cells that count as missing, beside the empty one.
    """

    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    na_values: Collection[str] = NA_VALUES


class TextTable:
    """A CSV or TSV file: the raw text of every cell, and typed columns read from it.

    Parameters
    ----------
    text : content of the file, decoded
    layout : how it is written
    """

    def __init__(self, text: str, layout: Layout) -> None:
        self.layout = layout
        self.start = "\ufeff" if text.startswith("\ufeff") else ""
        rows, self.ends = _cut(text.removeprefix("\ufeff"), layout.delimiter)
        self.header, rows = rows[0], rows[1:]
        self.names = [_unquote(cell) for cell in self.header]
        _check_names(self.names)
        _check_delimiter(self.names, rows, layout.delimiter)
        self.raw = np.empty((len(rows), len(self.names)), dtype=object)
        for i, row in enumerate(rows):
            if len(row) != len(self.names):
                raise ValueError(
                    f"row {i + 1} has {len(row)} cells, the header has {len(self.names)}; "
                    "check the delimiter and the quotes"
                )
            self.raw[i] = row
        self.formats: dict[str, CellFormat] = {}
        self.doubts: dict[str, str] = {}
        self.frame = pd.DataFrame()

    def __len__(self) -> int:
        return len(self.raw)

    def texts(self, name: str) -> pd.Series:
        """The cells of a column without their quotes."""
        raw = self.raw[:, self.names.index(name)]
        return pd.Series([_unquote(cell) for cell in raw], dtype=object, name=name)

    def missing(self, name: str) -> np.ndarray:
        """(n,) bool: True where the cell is empty or one of the layout's `na_values`."""
        na_values = {"", *self.layout.na_values}
        return np.array([text.strip() in na_values for text in self.texts(name)], dtype=bool)

    def read_types(self, categorical: Collection[str] = (), known: Sequence[Column] = ()) -> None:
        """Set `frame`: every column as numbers, dates or text.

        Parameters
        ----------
        categorical : columns that stay text even where they look like numbers
        known : columns of a fitted model, which decide the type of theirs
        """
        columns = {column.name: column for column in known}
        typed = {}
        for name in self.names:
            texts, observed = self.texts(name), ~self.missing(name)
            seen, decimal = texts[observed], self.layout.decimal
            if name in columns:
                chosen, doubt = known_format(columns[name], seen, decimal), None
            else:
                chosen, doubt = infer_format(seen, decimal, as_text=name in categorical)
            if doubt is not None:
                self.doubts[name] = doubt
            self.formats[name] = chosen
            typed[name] = chosen.parse(seen).reindex(texts.index)
        self.frame = pd.DataFrame(typed)

    def put(self, name: str, filled: pd.Series) -> int:
        """Write the values of `filled` into the missing cells of a column; return how many."""
        where = np.flatnonzero(self.missing(name) & filled.notna().to_numpy())
        column, chosen = self.names.index(name), self.formats[name]
        seen = [cell for cell in self.raw[~self.missing(name), column]]
        always_quoted = bool(seen) and all(cell.startswith('"') for cell in seen)
        spelled = {_unquote(cell): cell for cell in seen}
        values = filled.iloc[where]
        for row, text in zip(where, chosen.write(values)):
            quoted = _quote(text, self.layout.delimiter, always_quoted)
            self.raw[row, column] = spelled.get(text, quoted)
        self.frame[name] = filled
        return len(where)

    def rest(self, used: Collection[str], typed: bool) -> pd.DataFrame:
        """The columns that are not in `used`, as texts, or as the types that were read."""
        names = [name for name in self.names if name not in used]
        if typed:
            return self.frame[names]
        index = pd.RangeIndex(len(self))
        return pd.DataFrame({name: self.texts(name) for name in names}, index, dtype=object)

    def spell(self, name: str, row: int, value: Any) -> tuple[str, str]:
        """The text of a cell, and of another value as it would be written there."""
        written = self.formats[name].write(pd.Series([value]))[0] if pd.notna(value) else ""
        return self.texts(name)[row], written

    def to_text(self, layout: Layout) -> str:
        """The whole file, as it was read wherever nothing was put."""
        if layout.delimiter == self.layout.delimiter:
            lines = [layout.delimiter.join(row) for row in (self.header, *self.raw)]
            return self.start + "".join(line + end for line, end in zip(lines, self.ends))
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=layout.delimiter, lineterminator="\n")
        writer.writerows([_unquote(cell) for cell in row] for row in (self.header, *self.raw))
        return out.getvalue()

    def to_arrow(self) -> Any:
        """A pyarrow table of the typed columns."""
        return _pyarrow().Table.from_pandas(self.frame, preserve_index=False)


class ParquetTable:
    """A Parquet file: its Arrow columns, and a typed frame read from them.

    Parameters
    ----------
    content : bytes of the file
    """

    def __init__(self, content: bytes) -> None:
        pyarrow = _pyarrow()
        try:
            self.arrow = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
        except pyarrow.ArrowInvalid as error:
            raise ValueError(f"this is not a Parquet file: {error}") from error
        kept_by_pandas = (self.arrow.schema.pandas_metadata or {}).get("index_columns", [])
        self.names = [name for name in self.arrow.column_names if name not in kept_by_pandas]
        _check_names(self.names)
        self.doubts: dict[str, str] = {}
        self.frame = pd.DataFrame()

    def __len__(self) -> int:
        return self.arrow.num_rows

    def missing(self, name: str) -> np.ndarray:
        """(n,) bool: True where the cell is null or NaN."""
        return self.frame[name].isna().to_numpy()

    def read_types(self, categorical: Collection[str] = (), known: Sequence[Column] = ()) -> None:
        """Set `frame`; Parquet knows its types, so only `categorical` changes one."""
        arrow, pyarrow = self.arrow, _pyarrow()
        for i, field in enumerate(arrow.schema):
            if pyarrow.types.is_date(field.type):
                dates = arrow.column(i).cast(pyarrow.timestamp("s"))
                arrow = arrow.set_column(i, field.name, dates)
        nullable: dict[Any, Any] = {pyarrow.bool_(): pd.BooleanDtype()}
        for bits in (8, 16, 32, 64):
            for sign in ("int", "uint"):
                dtype = pd.api.types.pandas_dtype(f"{sign.upper().replace('INT', 'Int')}{bits}")
                nullable[getattr(pyarrow, f"{sign}{bits}")()] = dtype
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
        """The columns that are not in `used`, those of a pandas index among them, as they are."""
        others = self.arrow.drop_columns([name for name in self.names if name in used])
        frame = others.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
        return frame.set_axis(pd.RangeIndex(len(self)))

    def spell(self, name: str, row: int, value: Any) -> tuple[str, str]:
        """The text of a cell, and of another value of its column."""
        cells = (self.frame[name].iloc[row], value)
        seen, other = (f"{c:.{DIGITS}g}" if isinstance(c, float) else str(c) for c in cells)
        return seen, other if pd.notna(value) else ""

    def to_text(self, layout: Layout) -> str:
        """The table as delimited text."""
        frame = self.arrow.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
        return frame.to_csv(index=False, sep=layout.delimiter, lineterminator="\n")

    def to_arrow(self) -> Any:
        """The pyarrow table."""
        return self.arrow


Table = TextTable | ParquetTable


def format_of(path: str, chosen: str | None = None) -> str:
    """csv, tsv or parquet: from the name's suffix, or `chosen` where the name has none.

    Parameters
    ----------
    path : name of a file, or `-` for the standard streams
    chosen : format for `-` and for names without a known suffix
    """
    suffix = Path(path.removesuffix(".gz")).suffix.lower()
    if path == "-":
        return chosen or "csv"
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if chosen is None:
        raise ValueError(f"{path}: unknown suffix {suffix!r}; pass --format csv, tsv or parquet")
    return chosen


def read_table(path: str, form: str, layout: Layout) -> Table:
    """The table in a file, or in standard input for `-`; call its `read_types` next."""
    content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    if path.endswith(".gz"):
        content = gzip.decompress(content)
    if form == "parquet":
        return ParquetTable(content)
    try:
        return TextTable(content.decode(layout.encoding), layout)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not written in {layout.encoding}; pass --encoding, for example latin-1"
        ) from error


def write_table(table: Table, path: str, form: str, layout: Layout) -> None:
    """Write to a file, whole or not at all, or to standard output for `-`."""
    if form == "parquet":
        _write(_parquet(table.to_arrow()), path)
    else:
        _write(table.to_text(layout).encode(layout.encoding), path)


def write_frame(frame: pd.DataFrame, path: str, form: str, layout: Layout) -> None:
    """Write a frame without its index, as `write_table` does."""
    if form == "parquet":
        _write(_parquet(_pyarrow().Table.from_pandas(frame, preserve_index=False)), path)
        return
    text = frame.to_csv(
        index=False, sep=layout.delimiter, decimal=layout.decimal, lineterminator="\n"
    )
    _write(text.encode(layout.encoding), path)


def _parquet(arrow: Any) -> bytes:
    buffer = _pyarrow().BufferOutputStream()
    _pyarrow().parquet.write_table(arrow, buffer)
    return buffer.getvalue().to_pybytes()


def _write(content: bytes, path: str) -> None:
    if path.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    if path == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    part = Path(path + ".part")
    part.write_bytes(content)
    os.replace(part, path)


def _check_delimiter(names: list[str], rows: list[list[str]], delimiter: str) -> None:
    """Refuse a single column whose cells all hold a mark that separates columns elsewhere."""
    for mark in set(";\t|,") - {delimiter}:
        n = names[0].count(mark)
        if len(names) == 1 and n and all(row[0].count(mark) == n for row in rows):
            raise ValueError(
                f"there is one column, {names[0]!r}; if {mark!r} stands between cells, "
                f"name it as the delimiter"
            )


def _cut(text: str, delimiter: str) -> tuple[list[list[str]], list[str]]:
    """Rows of raw cells, and what ended each row.

    A blank line is a row without a value in a file of one column, but for the last lines; elsewhere
    it belongs to the end of the row before.
    """
    mark = re.escape(delimiter)
    cell = re.compile(
        rf'("[^"]*(?:""[^"]*)*"(?={mark}|\r|\n|\Z)|[^{mark}\r\n]*)({mark}|\r\n|\n|\r|\Z)'
    )
    rows: list[list[str]] = []
    ends: list[str] = []
    row: list[str] = []
    for raw, end in cell.findall(text):
        row.append(raw)
        if end != delimiter:
            if row != [""] or (end and rows and len(rows[0]) == 1):
                rows.append(row)
                ends.append(end)
            elif rows:
                ends[-1] += end
            row = []
    while len(rows) > 1 and rows[-1] == [""]:
        rows.pop()
        last = ends.pop()
        ends[-1] += last
    if not rows:
        raise ValueError("the file is empty; a first line with the names of the columns is needed")
    return rows, ends


def _unquote(raw: str) -> str:
    if len(raw) > 1 and raw[0] == raw[-1] == '"':
        return raw[1:-1].replace('""', '"')
    return raw


def _quote(text: str, delimiter: str, always: bool) -> str:
    if always or any(character in text for character in (delimiter, '"', "\r", "\n")):
        return '"' + text.replace('"', '""') + '"'
    return text


def _check_names(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"column {name!r} stands {names.count(name)} times in the header")


def _to_array(series: pd.Series, arrow_type: Any) -> Any:
    """An Arrow array of the given type; a dictionary keeps its order and its unused levels."""
    pyarrow = _pyarrow()
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


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError("Parquet files need pyarrow: pip install 'maetab[parquet]'") from error
    return pyarrow
