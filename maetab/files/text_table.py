"""Tables in delimited text: the raw text of every cell, and typed columns read from it.

Writing joins the same text again, so that a file differs from its original in the filled cells
and nowhere else.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.feature_names import distinct_names
from maetab.data.schema import Column
from maetab.files.cell_format import CellFormat, Text, infer_format, known_format
from maetab.files.layout import Layout
from maetab.files.number_format import Number
from maetab.files.sniffing import choose_delimiter, find_decimal, looks_like_data, refuse_titles
from maetab.files.text_rows import column_names, cut_rows, quote, row_places, unquote


class TextTable:
    """A CSV or TSV file: the raw text of every cell, and typed columns read from it.

    Parameters
    ----------
    text : content of the file, decoded
    layout : how it is written
    usual : delimiter where the layout names none and the text has none

    Attributes
    ----------
    names : of the columns as the model sees them, no two the same
    given : the names in the header, which may be
    requested : the layout as the user gave it; `layout` has what was found out, too
    index : places of the rows, 0 the first; lines of empty cells between them have one, too
    n_last : number of lines of empty cells behind the last row
    """

    def __init__(self, text: str, layout: Layout, usual: str = ",") -> None:
        lines = re.finditer(r"\r\n|\r|\n", text)
        ends = [line.end() for line in itertools.islice(lines, layout.skip_rows)]
        skipped = ends[-1] if ends else int(text.startswith("\ufeff"))
        self.start, body = text[:skipped], text[skipped:]
        delimiter = choose_delimiter(body, layout, usual)
        refuse_titles(body, layout, delimiter)
        start, rows, self.ends, empty = cut_rows(body, delimiter, layout.comment)
        self.start += start
        self.header = None if layout.header is False else rows.pop(0)
        self.index, self.n_last = row_places(len(rows), empty, self.header is not None)
        width = len(self.header or rows[0])
        self.given = column_names(self.header, width)
        self.names = distinct_names(self.given, ".", 1)  # as pandas does
        self.raw = self._array_of(rows, width)
        self.requested, self.usual = layout, usual
        self._texts: dict[str, pd.Series] = {}
        self._missing: dict[str, np.ndarray] = {}
        self.layout = replace(layout, delimiter=delimiter)
        if not layout.decimal:
            observed = [self.observed(name) for name in self.names]
            decimal = find_decimal(observed, delimiter) or layout.known_decimal
            self.layout = replace(self.layout, decimal=decimal)
            self._missing.clear()  # which numbers are spelled with zeros depends on the mark
        self.formats: dict[str, CellFormat] = {}
        self.doubts: dict[str, str] = {}
        self.frame = pd.DataFrame()

    def _array_of(self, rows: list[list[str]], width: int) -> np.ndarray:
        raw = np.empty((len(rows), width), dtype=object)
        for i, row in enumerate(rows):
            if len(row) != width:
                cells = f"{len(row)} cell{'s' * (len(row) != 1)}"
                first = "header" if self.header else "first row"
                raise ValueError(
                    f"row {self.index[i] + 1} has {cells}, the {first} has {width}; check the "
                    "delimiter and the quotes, and whether there are lines for --skip-rows or "
                    "--comment"
                )
            raw[i] = row
        return raw

    def __len__(self) -> int:
        return len(self.raw)

    def texts(self, name: str) -> pd.Series:
        """Return the cells of a column without their quotes."""
        if name not in self._texts:
            raw = self.raw[:, self.names.index(name)]
            texts = pd.Series([unquote(cell) for cell in raw], self.index, object, name)
            self._texts[name] = texts
        return self._texts[name]

    def missing(self, name: str) -> np.ndarray:
        """Return (n,) bool: True where the cell is empty or one of the layout's `na_values`.

        A number among these stands for all its spellings with zeros behind the decimal mark.
        Where there are cells of +, those of - and -- are signs, too.
        """
        if name in self._missing:
            return self._missing[name]
        na_values = {"", *self.layout.na_values}
        if (self.texts(name) == "+").any():
            na_values -= {"-", "--"}
        zeros = re.compile(rf"([+-]?\d+)[{self.layout.decimal or '.,'}]0*")

        def is_missing(text: str) -> bool:
            text = text.strip()
            match = None if text in na_values else zeros.fullmatch(text)
            return text in na_values or (match is not None and match[1] in na_values)

        found = np.array([is_missing(text) for text in self.texts(name)], dtype=bool)
        return self._missing.setdefault(name, found)

    def observed(self, name: str) -> pd.Series:
        """Return the cells of a column that are not missing."""
        return self.texts(name)[~self.missing(name)]

    def check_header(self) -> None:
        """Raise a ValueError where the first line looks like data and is taken for names."""
        if self.header is None or self.layout.header or not len(self):
            return
        observed = [self.observed(name) for name in self.names]
        if looks_like_data([unquote(cell) for cell in self.header], observed, self.layout):
            line = self.layout.delimiter.join(self.header)
            raise ValueError(
                f"the first line, {line if len(line) < 60 else line[:57] + '...'}, looks like data "
                "and not like names; pass --no-header if it is a row, --header if it holds names"
            )

    def read_types(self, categorical: Collection[str] = (), known: Sequence[Column] = ()) -> None:
        """Set `frame`: every column as numbers, dates, durations or text.

        Parameters
        ----------
        categorical : columns that stay text even where they look like numbers
        known : columns of a fitted model, which decide the type of theirs
        """
        columns = {column.name: column for column in known}
        typed = {}
        for name in self.names:
            observed, layout = self.observed(name), self._layout_of(name)
            chosen: CellFormat = Text()
            doubt = None
            if name in columns:
                chosen = known_format(columns[name], observed, layout)
            elif name not in categorical:
                chosen, doubt = infer_format(observed, layout)
            if doubt is not None:
                self.doubts[name] = doubt
            self.formats[name] = chosen
            typed[name] = chosen.parse(observed).reindex(self.index)
        self.frame = pd.DataFrame(typed, self.index)
        self._check_date_formats()

    def _check_date_formats(self) -> None:
        """Raise a ValueError for a format that was asked for and fits no column."""
        used = {getattr(chosen, "form", "").replace("%-", "%") for chosen in self.formats.values()}
        for form in self.layout.date_formats:
            if form.rpartition("=")[2].replace("%-", "%") not in used and not self.doubts:
                raise ValueError(f"no column is written in the format {form}; see --date-format")

    def _layout_of(self, name: str) -> Layout:
        """Return the layout with the formats of dates for this column, its own ones first."""
        forms = [form.rpartition("=") for form in self.layout.date_formats]
        forms.sort(key=lambda parts: parts[0] == "")
        chosen = [form for owner, _, form in forms if owner in (name, "")]
        return replace(self.layout, date_formats=chosen)

    @property
    def whole(self) -> pd.DataFrame:
        """`frame` with a row of missing cells for each line of empty cells between the others."""
        return self.frame.reindex(range(int(self.index[-1]) + 1))

    def na_marks(self, names: Collection[str]) -> dict[str, Counter[str]]:
        """Return how often each mark stands for missing in columns, by mark and column."""
        marks: dict[str, Counter[str]] = {}
        for name in names:
            cells = self.texts(name)[self.missing(name)].str.strip()
            for mark, n_cells in cells[cells != ""].value_counts().items():
                marks.setdefault(str(mark), Counter())[name] = int(n_cells)
        return marks

    @property
    def nameless(self) -> list[str]:
        """Columns without a name and without a cell that holds anything."""
        if self.header is None:
            return []
        unnamed = [name for name, cell in zip(self.names, self.header) if not unquote(cell).strip()]
        return [name for name in unnamed if not self.texts(name).str.strip().any()]

    def put(self, name: str, filled: pd.Series) -> int:
        """Write the values of `filled` into the missing cells of a column; return how many."""
        where = np.flatnonzero(self.missing(name) & filled.notna().to_numpy())
        column, chosen = self.names.index(name), self.formats[name]
        observed = self.raw[~self.missing(name), column]
        always_quoted = bool(len(observed)) and all(cell.startswith('"') for cell in observed)
        spelled = {unquote(cell): cell for cell in observed}
        values = filled.iloc[where]
        for row, text in zip(where, chosen.write(values)):
            quoted = quote(text, self.layout.delimiter, always_quoted)
            self.raw[row, column] = spelled.get(text, quoted)
        self.frame[name] = filled
        del self._texts[name], self._missing[name]
        return len(where)

    def rest(self, used: Collection[str], typed: bool) -> pd.DataFrame:
        """Return the columns that are not in `used`, as texts, or as the types that were read.

        Those without name and content are left out.
        """
        left_out = {*used, *self.nameless}
        names = [name for name in self.names if name not in left_out]
        if typed:
            return self.frame[names]
        return pd.DataFrame({name: self.texts(name) for name in names}, self.index, dtype=object)

    def spell(self, name: str, row: int, value: Any) -> tuple[str, str]:
        """Return the text of the cell at a place, and that of another value of its column.

        A number with fewer decimals than the cells have is not padded, unless it is the same.
        """
        text, form = self.texts(name)[row], self.formats[name]
        if pd.isna(value):
            return text, ""
        (written,) = form.write(pd.Series([value]))
        if written != text and isinstance(form, Number):
            (written,) = form.unpadded().write(pd.Series([value]))
        return text, written

    def to_text(self, layout: Layout) -> str:
        """Return the whole file, as it was read wherever nothing was put."""
        if layout.delimiter == self.layout.delimiter:
            rows = [*([] if self.header is None else [self.header]), *self.raw]
            lines = [layout.delimiter.join(row) for row in rows]
            return self.start + "".join(line + end for line, end in zip(lines, self.ends))
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=layout.delimiter, lineterminator="\n")
        empty = [""] * len(self.names)
        cells = dict(zip(self.index, ([unquote(cell) for cell in row] for row in self.raw)))
        if self.header is not None:
            writer.writerow([unquote(cell) for cell in self.header])
        n_lines = int(self.index[-1]) + 1 + self.n_last
        writer.writerows(cells.get(place, empty) for place in range(n_lines))
        return out.getvalue()
