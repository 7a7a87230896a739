"""Delimited text <-> rows of raw cells, and what rows and columns are called.

A raw cell is the text between two delimiters, with its quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd


def cut_rows(
    text: str, delimiter: str, comment: str | None = None
) -> tuple[str, list[list[str]], list[str], list[int]]:
    """Return the raw cells of a text, row by row, and what stands between the rows.

    Returns
    -------
    start : lines before the first row
    rows : raw cells of each row
    ends : what ended each row, and the lines up to the next that are no rows: comments, blank ones
        and those of nothing but empty cells. In a file of one column a blank line is a row
        without a value, but for the last lines; so is one of two quotes, as pandas writes it.
    empty : for each line of empty cells the number of rows before it
    """
    mark = re.escape(delimiter)
    remark = rf"(?<![^\r\n]){re.escape(comment)}[^\r\n]*|" if comment else ""
    cell = re.compile(
        rf'({remark}"[^"]*(?:""[^"]*)*"(?={mark}|\r|\n|\Z)|[^{mark}\r\n]*)({mark}|\r\n|\n|\r|\Z)'
    )
    no_rows: list[int] = []
    rows: list[list[str]] = []
    after: list[list[str]] = [[]]  # what stands before the first row, and behind each, in parts
    row: list[str] = []
    for raw, end in cell.findall(text):
        row.append(raw)
        if end == delimiter:
            continue
        empty = not any(unquote(part).strip() for part in row)
        lone = row in ([""], ['""']) and end and rows and len(rows[0]) == 1
        if (empty and not lone) or (comment and row[0].startswith(comment)):
            if empty and len(row) > 1:
                no_rows.append(len(rows))
            after[-1].append(delimiter.join(row) + end)
        else:
            rows.append(row)
            after.append([end])
        row = []
    if not rows:
        raise ValueError("the file is empty; a first line with the names of the columns is needed")
    kept = len(rows)
    while kept > 1 and rows[kept - 1] == [""]:
        kept -= 1
    start, *ends = map("".join, after)
    return start, rows[:kept], [*ends[: kept - 1], "".join(ends[kept - 1 :])], no_rows


def unquote(raw: str) -> str:
    """Return the text of a raw cell."""
    if len(raw) > 1 and raw[0] == raw[-1] == '"':
        return raw[1:-1].replace('""', '"')
    return raw


def quote(text: str, delimiter: str, always: bool) -> str:
    """Return a raw cell that holds a text; in quotes where `always` or where it needs them."""
    if always or any(character in text for character in (delimiter, '"', "\r", "\n")):
        return '"' + text.replace('"', '""') + '"'
    return text


def row_places(n_rows: int, empty: Sequence[int], header: bool) -> tuple[pd.Index, int]:
    """Return the places of rows among the lines of data, and the number of empty lines behind.

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


def column_names(header: list[str] | None, width: int) -> list[str]:
    """Return the names in a header; those without one are named as pandas does."""
    if header is None:
        return [f"column{i + 1}" for i in range(width)]
    names = [unquote(cell) for cell in header]
    return [name if name.strip() else f"Unnamed: {i}" for i, name in enumerate(names)]
