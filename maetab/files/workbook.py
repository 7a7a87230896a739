"""Tables in Excel files: the first sheet, read by openpyxl."""

from __future__ import annotations

import datetime
import importlib
import io
import zipfile
from typing import Any

import numpy as np
import pandas as pd

from maetab.files.layout import Layout
from maetab.files.sniffing import title_rows, without_padding
from maetab.files.value_table import ValueTable

MIDNIGHT, DAY = pd.Timestamp(0), pd.Timedelta(days=1)


class WorkbookTable(ValueTable[Any]):
    """The first sheet of an Excel file; its first row holds the names of the columns.

    Missing are empty cells, and what is missing in a text file, #N/A among it. Formulas count by
    the values that were saved with them, and stay.

    Parameters
    ----------
    content : bytes of the file
    layout : what the user says of marks, dates and numbers

    Raises
    ------
    ValueError
        Without openpyxl; the file is no Excel file, or damaged; a formula has no value; cells below
        the names are merged; there are no names.
    """

    def __init__(self, content: bytes, layout: Layout) -> None:
        self.book = _opened(content, values=False)
        sheet, written = _opened(content, values=True).worksheets[0], self.book.worksheets[0]
        _refuse_merged(written)
        self.cells = [list(row) for row in sheet.iter_rows(values_only=True)]
        for row, cells in enumerate(written.iter_rows(), 1):
            for cell in cells:
                value = self.cells[row - 1][cell.column - 1]
                if cell.data_type == "f" and value is None:
                    raise ValueError(
                        f"cell {cell.coordinate} holds a formula without a value; open the file in "
                        "a spreadsheet program and save it"
                    )
        if not self.cells:
            raise ValueError("the first sheet is empty; a row with names of columns is needed")
        header, rows = self.cells[0], self.cells[1:]
        if all(name is None for name in header):
            raise ValueError("the first row of the first sheet is empty; names belong there")
        shown = [["" if x is None else str(x) for x in row] for row in self.cells[:100]]
        if n_titles := title_rows(without_padding(shown)):
            raise ValueError(
                f"row {n_titles + 1} of the first sheet seems to hold the names of columns; they "
                "belong into the first row: delete the rows above"
            )
        columns = [_texts_of([row[j] for row in rows]) for j in range(len(header))]
        names = ["" if name is None else str(name) for name in header]
        super().__init__(names, [list(row) for row in zip(*columns)], layout)

    def content(self) -> bytes:
        """Return the file with what was put into its first sheet; styles and formulas stay."""
        sheet = self.book.worksheets[0]
        known: dict[int, tuple[dict[str, Any], Any, str]] = {}
        for (row, column), text in self.cells_put().items():
            if column not in known:
                known[column] = *self._known(column), example_format(sheet, column + 1)
            values, example, usual = known[column]
            cell = sheet.cell(row + 2, column + 1)
            value = values.get(text, self.frame[self.names[column]].get(row))
            form = usual if cell.number_format == "General" else cell.number_format
            cell.value = text if isinstance(example, str) else _native(value, example)
            if form != "General":  # in place of what openpyxl has chosen for the value
                cell.number_format = form
        out = io.BytesIO()
        self.book.save(out)
        return out.getvalue()

    def _known(self, column: int) -> tuple[dict[str, Any], Any]:
        """Return the observed values of a column by their texts, and one of them."""
        cells = [row[column] for row in self.cells[1:]]
        found = {text: cell for text, cell in zip(_texts_of(cells), cells) if text}
        return found, next(iter(found.values()), None)


def _refuse_merged(sheet: Any) -> None:
    """Raise a ValueError where cells below the first row are merged: whose is the value?"""
    for merged in sheet.merged_cells.ranges:
        if merged.max_row > 1:
            raise ValueError(
                f"the cells {merged.coord} of the first sheet are merged; split them, so that each "
                "row has values of its own"
            )


def example_format(sheet: Any, column: int) -> str:
    """Return the format of the first cell below the header that has one of its own."""
    formats = (sheet.cell(row, column).number_format for row in range(2, sheet.max_row + 1))
    return next((one for one in formats if one != "General"), "General")


def _opened(content: bytes, values: bool) -> Any:
    """Return a workbook, with the values of formulas or with their texts."""
    openpyxl = _openpyxl()
    try:
        return openpyxl.load_workbook(io.BytesIO(content), data_only=values)
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"this is not an Excel file (.xlsx), or a damaged one: {error}") from error


def _openpyxl() -> Any:
    try:
        return importlib.import_module("openpyxl")
    except ImportError as error:
        raise ValueError("Excel files need openpyxl: pip install 'maetab[excel]'") from error


def _texts_of(cells: list[Any]) -> list[str]:
    """Return the texts of a column: dates without their time where no cell has one."""
    midnight = datetime.time()
    times = [cell.time() for cell in cells if isinstance(cell, datetime.datetime)]
    days = all(time == midnight for time in times)
    return [_text_of(cell, days) for cell in cells]


def _text_of(cell: Any, days: bool) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime.datetime):
        return cell.date().isoformat() if days else cell.isoformat(" ")
    if isinstance(cell, datetime.timedelta):
        seconds = round(cell.total_seconds())
        sign, seconds = "-" * (seconds < 0), abs(seconds)
        return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(cell)


def _native(value: Any, example: Any) -> Any:
    """Return a value as openpyxl takes it: a time of day where the example is one."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, pd.Timedelta):
        is_time = isinstance(example, datetime.time) and pd.Timedelta(0) <= value < DAY
        return (MIDNIGHT + value).time() if is_time else value.to_pytimedelta()
    return value.item() if isinstance(value, np.generic) else value


def workbook_bytes(frame: pd.DataFrame) -> bytes:
    """Return the content of an Excel file with a frame, without its index, as its only sheet."""
    _openpyxl()
    out = io.BytesIO()
    frame.to_excel(out, index=False, engine="openpyxl")
    return out.getvalue()
