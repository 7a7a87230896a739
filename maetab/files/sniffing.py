"""The layout of a text file, found from its text: delimiter, decimal mark, titles, names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from maetab.data.text import ALMOST
from maetab.files.cell_format import Text, infer_format
from maetab.files.layout import Layout
from maetab.files.number_format import plain_numbers
from maetab.files.text_rows import cut_rows, unquote

CANDIDATES = ",;\t|"
MAX_CHARACTERS = 200_000  # of a text, from which its delimiter is found out
MAX_CELLS = 1000  # of a column, from which its decimal mark and kind are
MAX_TITLES = 30  # lines before the names of the columns
NUMBER = r"[+-]?[\d.,]+"
MIN_DISTINCT = 10  # a column of fewer different numbers has no far ones


def find_delimiter(cut: Callable[[str], Sequence[Sequence[str]]], usual: str) -> str:
    """Return the one mark that cuts all rows into the same number of cells, at least two.

    Parameters
    ----------
    cut : rows of cells, by a delimiter
    usual : returned where there is no such mark, unless it stands in no row and one other in all

    Raises
    ------
    ValueError
        When there are several.
    """
    widths = {mark: {len(row) for row in cut(mark)} for mark in CANDIDATES}
    even = [mark for mark, found in widths.items() if len(found) == 1 and found != {1}]
    if len(even) > 1:
        raise ValueError(
            f"{' and '.join(map(repr, even))} could each stand between the cells of this file; "
            "pass one of them as --delimiter"
        )
    if even or widths[usual] != {1}:
        return even[0] if even else usual
    ragged = [mark for mark, found in widths.items() if min(found) > 1]
    return ragged[0] if len(ragged) == 1 else usual


def title_rows(rows: Sequence[Sequence[str]]) -> int:
    """Return how many rows stand before the names of the columns; 0 if that cannot be found.

    These rows have fewer cells than all that follow: one of names, of which none is empty or a
    number, and at least one more.
    """
    widths = [len(row) for row in rows]
    n_titles = max((i + 1 for i, width in enumerate(widths) if width != widths[-1]), default=0)
    if not 0 < n_titles < len(rows) - 1 or max(widths[:n_titles]) >= widths[-1]:
        return 0
    is_name = [cell.strip() and not re.fullmatch(NUMBER, cell.strip()) for cell in rows[n_titles]]
    return n_titles if n_titles <= MAX_TITLES and all(is_name) else 0


def find_decimal(columns: Sequence[pd.Series], delimiter: str) -> str:
    """Return the decimal mark that columns of numbers have in common.

    Parameters
    ----------
    columns : observed cells
    delimiter : commas between cells leave the point to decimals, unless the cells say otherwise

    Returns
    -------
    Empty where columns differ, or where commas may be decimal marks and may not.
    """
    found = set()
    for texts in columns:
        plain = texts.iloc[:MAX_CELLS].astype(object).str.strip()
        shares = {mark: plain_numbers(plain, mark, None).notna().mean() for mark in ".,"}
        if len(plain) and shares["."] != shares[","] and max(shares.values()) >= ALMOST:
            found.add(max(shares, key=lambda mark: shares[mark]))
    if len(found) == 1:
        return found.pop()
    return "." if not found and delimiter == "," else ""


def looks_like_data(names: Sequence[str], columns: Sequence[pd.Series], layout: Layout) -> bool:
    """Return True where a first line that should hold names holds cells like those below it.

    Every name of a column of numbers or dates is one too, and at least half of these are no
    further from the range of their column than it is wide; every other name occurs in its column,
    unless most cells there differ. Three whole numbers in steps of one, or two from zero,
    are names as programs make them.

    Parameters
    ----------
    names : cells of the first line
    columns : observed cells below them
    """
    inside, n_values = 0, 0
    numbers = [int(name) for name in names if re.fullmatch(r"\d{1,4}", name)]
    if set(np.diff(numbers)) == {1} and (len(numbers) > 2 or numbers[0] == 0):
        return False
    for name, texts in zip(names, columns):
        texts = texts.iloc[:MAX_CELLS]
        if not name.strip() or name in layout.na_values or texts.empty:
            continue
        chosen, doubt = infer_format(texts, layout)
        if isinstance(chosen, Text):
            if doubt is not None or (name not in set(texts) and texts.nunique() < len(texts) / 2):
                return False
            continue
        both, _ = infer_format(pd.Series([name, *texts]), layout)
        if type(both) is not type(chosen):
            return False
        values = both.parse(pd.Series([name, *texts]))
        n_values += 1
        lower, upper = values[1:].min(), values[1:].max()
        inside += bool(lower - (upper - lower) <= values[0] <= upper + (upper - lower))
    return n_values > 0 and inside >= n_values / 2


def far_number(numbers: pd.Series) -> tuple[float, int] | None:
    """Return a number that may be a code for missing, and how often it occurs.

    It is the smallest or the largest, whole and not zero, occurs at least three times and in a
    two-hundredth of the cells, and is further from all others than twice their interquartile
    range; half of it will do for a negative number where all others are positive.

    Examples
    --------
    >>> far_number(pd.Series([*range(20), -99, -99, -99]))
    (-99.0, 3)
    """
    observed = numbers.dropna().astype("float64")
    for value in (observed.min(), observed.max()):
        rest = observed[observed != value]
        n_equal = len(observed) - len(rest)
        often = n_equal >= max(3, len(observed) / 200)
        if not often or not value or value % 1 or rest.nunique() < MIN_DISTINCT:
            continue
        lower, upper = rest.quantile([0.25, 0.75])
        enough = 0.5 if value < 0 <= rest.min() else 2
        if (rest - value).abs().min() > enough * (upper - lower):
            return float(value), n_equal
    return None


def totals_in(frame: pd.DataFrame) -> list[str]:
    """Return the columns of numbers whose last one is the sum of all others, if all of them are so.

    None if there is one such column and no cell of the last row is empty, or if no sum is larger
    than its parts.

    Examples
    --------
    >>> totals_in(pd.DataFrame({"x": [1.0, 2.0, 4.0, 7.0], "name": ["a", "b", "c", None]}))
    ['x']
    """
    numbers = frame.loc[:, [dtype.kind in "iuf" for dtype in frame.dtypes]]
    if len(frame) < 4 or numbers.empty:
        return []
    last, above = numbers.iloc[-1].astype("float64"), numbers.iloc[:-1].astype("float64")
    told = last.notna() & above.notna().any()
    size = above.abs().sum()
    is_sum = (above.sum() - last).abs() <= 1e-9 * size
    is_larger = last.abs() > above.abs().max()
    if not (is_sum & (size > 0))[told].all() or not is_larger[told].any():
        return []
    found = list(numbers.columns[told])
    return found if len(found) > 1 or (found and frame.iloc[-1].isna().any()) else []


def seconds_since_year_1(dates: pd.Series) -> np.ndarray:
    """Return (n,) dates, none of them missing, as numbers of which only 0001-01-01 is zero."""
    return pd.DatetimeIndex(dates).as_unit("s").asi8 - np.datetime64("0001-01-01", "s").astype(int)


def choose_delimiter(body: str, layout: Layout, usual: str) -> str:
    """Return the delimiter of the layout, or the one that is found out."""

    def rows(mark: str) -> list[list[str]]:
        whole = len(body) <= MAX_CHARACTERS
        return cut_rows(body[:MAX_CHARACTERS], mark, layout.comment)[1][: None if whole else -1]

    if not layout.delimiter:
        return find_delimiter(rows, usual)
    found = find_delimiter(rows, usual) if len(rows(layout.delimiter)[0]) == 1 else None
    if found is not None and len(rows(found)[0]) > 1:
        raise ValueError(
            f"with {layout.delimiter!r} as the delimiter there is one column; {found!r} seems to "
            "stand between cells: pass that"
        )
    return layout.delimiter


def without_padding(rows: list[list[str]]) -> list[list[str]]:
    """Return rows, the first without the empty cells that spreadsheets write behind a title.

    Only above a table that holds numbers or dates: else these rows may be cells of a column.
    """
    filled = [i for i, row in enumerate(rows) if any(cell.strip() for cell in row[1:])]
    first = filled[0] if filled else 0
    below = [cell.strip() for row in rows[first + 1 :] for cell in row]
    if not any(re.match(r"[+-]?\d", cell) for cell in below):
        return rows
    return [row[:1] for row in rows[:first]] + rows[first:]


def refuse_titles(body: str, layout: Layout, delimiter: str) -> None:
    """Raise a ValueError where the lines have the shape of titles before a table."""
    for mark in dict.fromkeys([delimiter, *("" if layout.delimiter else CANDIDATES)]):
        start, rows, ends, _ = cut_rows(body[:MAX_CHARACTERS], mark, layout.comment)
        rows = rows[: None if len(body) <= MAX_CHARACTERS else -1]
        shapes = [[unquote(cell) for cell in row] for row in rows]
        shapes = shapes if layout.header is False else without_padding(shapes)
        n_titles = title_rows(shapes)
        if mark == delimiter and len(set(map(len, shapes))) == 1 < len(shapes[0]):
            return
        if n_titles:
            before = [start, *(mark.join(row) + end for row, end in zip(rows[:n_titles], ends))]
            n_lines = layout.skip_rows + len(re.findall(r"\r\n|\r|\n", "".join(before)))
            raise ValueError(
                f"line {n_lines + 1} has {len(rows[n_titles])} cells between {mark!r}, and line "
                f"{layout.skip_rows + 1} has {len(shapes[0])}; pass --skip-rows={n_lines} if the "
                "lines before the names of the columns are titles, --delimiter if other marks "
                "stand between cells"
            )
