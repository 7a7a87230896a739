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

from maetab.cells import CellFormat, Text, infer_format, known_format
from maetab.data.schema import Column
from maetab.layout import Layout
from maetab.sniffing import (
    CANDIDATES,
    find_decimal,
    find_delimiter,
    looks_like_data,
    title_rows,
)

SAMPLE = 200_000  # characters from which the delimiter is found out


class TextTable:
    """A CSV or TSV file: the raw text of every cell, and typed columns read from it.

    Parameters
    ----------
    text : content of the file, decoded
    layout : how it is written
    usual : delimiter where the layout names none and the text does not tell

    Attributes
    ----------
    names : of the columns as the model sees them, no two the same
    given : the names in the header, which may be
    index : places of the rows, 0 the first; lines of empty cells between them have one, too
    n_last : number of lines of empty cells behind the last row
    """

    def __init__(self, text: str, layout: Layout, usual: str = ",") -> None:
        lines = re.finditer(r"\r\n|\r|\n", text)
        ends = [line.end() for line in itertools.islice(lines, layout.skip_rows)]
        skipped = ends[-1] if ends else int(text.startswith("\ufeff"))
        self.start, body = text[:skipped], text[skipped:]
        delimiter = _delimiter(body, layout, usual)
        _check_titles(body, layout, delimiter)
        start, rows, self.ends, empty = _cut(body, delimiter, layout.comment)
        self.start += start
        self.header = None if layout.header is False else rows.pop(0)
        self.index, self.n_last = _places(len(rows), empty, self.header is not None)
        width = len(self.header or rows[0])
        self.given = _names(self.header, width)
        self.names = told_apart(self.given)
        self.raw = np.empty((len(rows), width), dtype=object)
        for i, row in enumerate(rows):
            if len(row) != width:
                cells = f"{len(row)} cell{'s' * (len(row) != 1)}"
                first = "header" if self.header else "first row"
                raise ValueError(
                    f"row {self.index[i] + 1} has {cells}, the {first} has {width}; check the "
                    "delimiter and the quotes, and whether there are lines for --skip-rows or "
                    "--comment"
                )
            self.raw[i] = row
        self.asked, self.usual = layout, usual
        self._texts: dict[str, pd.Series] = {}
        self._missing: dict[str, np.ndarray] = {}
        self.layout = replace(layout, delimiter=delimiter)
        if not layout.decimal:
            seen = [self.texts(name)[~self.missing(name)] for name in self.names]
            self.layout = replace(self.layout, decimal=find_decimal(seen, delimiter))
            self._missing.clear()  # the mark tells which numbers are spelled with zeros
        self.formats: dict[str, CellFormat] = {}
        self.doubts: dict[str, str] = {}
        self.frame = pd.DataFrame()

    def __len__(self) -> int:
        return len(self.raw)

    def texts(self, name: str) -> pd.Series:
        """The cells of a column without their quotes."""
        if name not in self._texts:
            raw = self.raw[:, self.names.index(name)]
            texts = pd.Series([_unquote(cell) for cell in raw], self.index, object, name)
            self._texts[name] = texts
        return self._texts[name]

    def missing(self, name: str) -> np.ndarray:
        """(n,) bool: True where the cell is empty or one of the layout's `na_values`.

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

    def check_header(self) -> None:
        """Raise a ValueError where the first line looks like data and nothing was said of it."""
        if self.header is None or self.layout.header or not len(self):
            return
        seen = [self.texts(name)[~self.missing(name)] for name in self.names]
        if looks_like_data([_unquote(cell) for cell in self.header], seen, self.layout):
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
            texts = self.texts(name)
            seen, layout = texts[~self.missing(name)], self._layout_of(name)
            chosen: CellFormat = Text()
            doubt = None
            if name in columns:
                chosen = known_format(columns[name], seen, layout)
            elif name not in categorical:
                chosen, doubt = infer_format(seen, layout)
            if doubt is not None:
                self.doubts[name] = doubt
            self.formats[name] = chosen
            typed[name] = chosen.parse(seen).reindex(texts.index)
        self.frame = pd.DataFrame(typed, self.index)
        self._check_date_formats()

    def _check_date_formats(self) -> None:
        """Raise a ValueError for a format that was asked for and fits no column."""
        used = {getattr(chosen, "form", "").replace("%-", "%") for chosen in self.formats.values()}
        for form in self.layout.date_formats:
            if form.rpartition("=")[2].replace("%-", "%") not in used and not self.doubts:
                raise ValueError(f"no column is written in the format {form}; see --date-format")

    def _layout_of(self, name: str) -> Layout:
        """The layout with the formats of dates that are for this column, its own ones first."""
        forms = [form.rpartition("=") for form in self.layout.date_formats]
        chosen = [form for owner, _, form in forms if owner == name]
        return replace(
            self.layout, date_formats=chosen + [form for owner, _, form in forms if not owner]
        )

    @property
    def whole(self) -> pd.DataFrame:
        """`frame` with a row of missing cells for each line of empty cells between the others."""
        return self.frame.reindex(range(int(self.index[-1]) + 1))

    def na_marks(self, names: Collection[str]) -> dict[str, Counter[str]]:
        """How often each mark stands for missing in columns, by mark and column."""
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
        unnamed = [
            name for name, cell in zip(self.names, self.header) if not _unquote(cell).strip()
        ]
        return [name for name in unnamed if not self.texts(name).str.strip().any()]

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
        del self._texts[name], self._missing[name]
        return len(where)

    def rest(self, used: Collection[str], typed: bool) -> pd.DataFrame:
        """The columns that are not in `used`, as texts, or as the types that were read.

        Those without name and content are left out.
        """
        left_out = {*used, *self.nameless}
        names = [name for name in self.names if name not in left_out]
        if typed:
            return self.frame[names]
        return pd.DataFrame({name: self.texts(name) for name in names}, self.index, dtype=object)

    def spell(self, name: str, row: int, value: Any) -> tuple[str, str]:
        """The text of the cell at a place, and of another value as it would be written there."""
        written = self.formats[name].write(pd.Series([value]))[0] if pd.notna(value) else ""
        return self.texts(name)[row], written

    def to_text(self, layout: Layout) -> str:
        """The whole file, as it was read wherever nothing was put."""
        if layout.delimiter == self.layout.delimiter:
            rows = [*([] if self.header is None else [self.header]), *self.raw]
            lines = [layout.delimiter.join(row) for row in rows]
            return self.start + "".join(line + end for line, end in zip(lines, self.ends))
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=layout.delimiter, lineterminator="\n")
        empty = [""] * len(self.names)
        cells = dict(zip(self.index, ([_unquote(cell) for cell in row] for row in self.raw)))
        if self.header is not None:
            writer.writerow([_unquote(cell) for cell in self.header])
        n_lines = int(self.index[-1]) + 1 + self.n_last
        writer.writerows(cells.get(place, empty) for place in range(n_lines))
        return out.getvalue()


def _delimiter(body: str, layout: Layout, usual: str) -> str:
    """The delimiter of the layout, or the one that is found out."""

    def rows(mark: str) -> list[list[str]]:
        whole = len(body) <= SAMPLE
        return _cut(body[:SAMPLE], mark, layout.comment)[1][: None if whole else -1]

    if not layout.delimiter:
        return find_delimiter(rows, usual)
    found = find_delimiter(rows, usual) if len(rows(layout.delimiter)[0]) == 1 else None
    if found is not None and len(rows(found)[0]) > 1:
        raise ValueError(
            f"with {layout.delimiter!r} as the delimiter there is one column; {found!r} seems to "
            "stand between cells: pass that"
        )
    return layout.delimiter


def _check_titles(body: str, layout: Layout, delimiter: str) -> None:
    """Raise a ValueError where the lines have the shape of titles before a table."""
    for mark in dict.fromkeys([delimiter, *("" if layout.delimiter else CANDIDATES)]):
        start, rows, ends, _ = _cut(body[:SAMPLE], mark, layout.comment)
        rows = rows[: None if len(body) <= SAMPLE else -1]
        n_titles = title_rows([[_unquote(cell) for cell in row] for row in rows])
        if mark == delimiter and len(set(map(len, rows))) == 1 < len(rows[0]):
            return
        if n_titles:
            before = [start, *(mark.join(row) + end for row, end in zip(rows[:n_titles], ends))]
            n_lines = layout.skip_rows + len(re.findall(r"\r\n|\r|\n", "".join(before)))
            raise ValueError(
                f"line {n_lines + 1} has {len(rows[n_titles])} cells between {mark!r}, and line "
                f"{layout.skip_rows + 1} has {len(rows[0])}; pass --skip-rows={n_lines} if the "
                "lines before the names of the columns are titles, --delimiter if other marks "
                "stand between cells"
            )


def _names(header: list[str] | None, width: int) -> list[str]:
    """Names of columns; those without one are named as pandas does."""
    if header is None:
        return [f"column{i + 1}" for i in range(width)]
    names = [_unquote(cell) for cell in header]
    return [name if name.strip() else f"Unnamed: {i}" for i, name in enumerate(names)]


def _cut(
    text: str, delimiter: str, comment: str | None = None
) -> tuple[str, list[list[str]], list[str], list[int]]:
    """Cut a text into cells.

    Returns
    -------
    start : lines before the first row
    rows : raw cells of each row
    ends : what ended each row, and the lines up to the next that are no rows: comments, blank ones
        and those of nothing but empty cells. In a file of one column a blank line is a row
        without a value, but for the last lines.
    empty : for each line of empty cells the number of rows before it
    """
    mark = re.escape(delimiter)
    remark = rf"(?<![^\r\n]){re.escape(comment)}[^\r\n]*|" if comment else ""
    cell = re.compile(
        rf'({remark}"[^"]*(?:""[^"]*)*"(?={mark}|\r|\n|\Z)|[^{mark}\r\n]*)({mark}|\r\n|\n|\r|\Z)'
    )
    start, no_rows = "", []
    rows: list[list[str]] = []
    ends: list[str] = []
    row: list[str] = []
    for raw, end in cell.findall(text):
        row.append(raw)
        if end == delimiter:
            continue
        empty = not any(_unquote(part).strip() for part in row)
        lone = row == [""] and end and rows and len(rows[0]) == 1
        if (empty and not lone) or (comment and row[0].startswith(comment)):
            if empty and len(row) > 1:
                no_rows.append(len(rows))
            line = delimiter.join(row) + end
            if rows:
                ends[-1] += line
            else:
                start += line
        else:
            rows.append(row)
            ends.append(end)
        row = []
    while len(rows) > 1 and rows[-1] == [""]:
        rows.pop()
        last = ends.pop()
        ends[-1] += last
    if not rows:
        raise ValueError("the file is empty; a first line with the names of the columns is needed")
    return start, rows, ends, no_rows


def _places(n_rows: int, empty: Sequence[int], header: bool) -> tuple[pd.Index, int]:
    """The places of rows among the lines of data, and how many empty lines follow the last row.

    Parameters
    ----------
    empty : for each line of empty cells the number of rows before it, the header among them
    header : whether there is one; no line before it is one of data
    """
    before = np.array(empty, int) - header
    between = before[(before >= 0) & (before < n_rows)]
    n_last = int((before >= n_rows).sum())
    if not len(between):
        return pd.RangeIndex(n_rows), n_last
    places = np.arange(n_rows)
    return pd.Index(places + np.searchsorted(between, places, side="right")), n_last


def _unquote(raw: str) -> str:
    if len(raw) > 1 and raw[0] == raw[-1] == '"':
        return raw[1:-1].replace('""', '"')
    return raw


def _quote(text: str, delimiter: str, always: bool) -> str:
    if always or any(character in text for character in (delimiter, '"', "\r", "\n")):
        return '"' + text.replace('"', '""') + '"'
    return text


def told_apart(names: Sequence[str]) -> list[str]:
    """Return names of which no two are the same: a, a.1, a.2 for a, a, a, as pandas does.

    Examples
    --------
    >>> told_apart(["a", "b", "a", "a.1", "a"])
    ['a', 'b', 'a.2', 'a.1', 'a.3']
    """
    taken, apart = set(names), []
    seen: Counter[str] = Counter()
    for name in names:
        new = name
        while seen[name] and new in taken:
            new = f"{name}.{seen[name]}"
            seen[name] += 1
        seen[name] += not seen[name]
        taken.add(new)
        apart.append(new)
    return apart
