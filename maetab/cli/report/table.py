"""What a file holds that is to be reported: what was found out, doubts, ranges, unlike cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import pandas as pd

from maetab.cli.report.output import counted, listed, on_one_line
from maetab.data.codec import encode
from maetab.data.extent import range_of
from maetab.data.schema import Schema, infer_schema
from maetab.data.text import NA_VALUES
from maetab.files.layout import option
from maetab.files.sniffing import far_number, seconds_since_year_1, totals_in
from maetab.files.tables import TableFile
from maetab.files.text_table import TextTable

FAR = "numbers far outside the range of"
UNSEEN = "levels not seen in"


def found_in(table: TableFile, names: Collection[str], verb: str = "") -> list[str]:
    """Return a line for each thing that was read otherwise than it may have been meant.

    Parameters
    ----------
    names : columns that matter; the others are not reported
    verb : what is done with the rows, such as "impute"
    """
    if not isinstance(table, TextTable):
        return []
    lines = [_layout_line(table), _names_line(table), _empty_line(table, verb)]
    lines += [_marks_line(table, names), *_format_lines(table, names), *_far_lines(table, names)]
    lines.append(_total_line(table, names))
    return [on_one_line(line) for line in lines if line]


def _layout_line(table: TextTable) -> str:
    delimiter, decimal = table.layout.delimiter, table.layout.decimal
    found = []
    if delimiter not in (table.requested.delimiter, table.usual):
        found.append(f"cells are separated by {delimiter!r}")
    if decimal != table.requested.decimal and decimal == ",":
        found.append("the decimal mark is ','")
    return f"found: {', '.join(found)}" if found else ""


def _names_line(table: TextTable) -> str:
    """Return how columns are called that have the same name."""
    changed = [(old, new) for old, new in zip(table.given, table.names) if old != new]
    if not changed:
        return ""
    shown = listed(changed, show=lambda pair: f"{pair[1]!r} for a further {pair[0]!r}")
    return f"columns have the same name; here they are called {shown}"


def _empty_line(table: TextTable, verb: str) -> str:
    n_between = int(table.index[-1]) + 1 - len(table)
    n_empty = n_between + table.n_last
    if not n_empty:
        return ""
    became = {
        "impute": ("left unfilled", "passed through"),
        "detect": ("written without results", "no rows"),
        "encode": ("written without results", "no rows"),
    }.get(verb, ("no rows", "no rows"))
    parts = ((n_between, "between the rows"), (table.n_last, "at the end of the file"))
    shown = [f"{n} {where}, {what}" for (n, where), what in zip(parts, became) if n]
    return f"{counted(n_empty, 'line')} of empty cells only: {'; '.join(shown)}"


def _marks_line(table: TextTable, names: Collection[str]) -> str:
    """Return how often each text was read as missing, and where."""
    marks = table.na_marks(names)
    shown = [
        f"{mark!r} {counted(counts.total(), 'time')} in {listed(list(counts), 3)}"
        for mark, counts in sorted(marks.items(), key=lambda item: -item[1].total())
    ]
    usual = {*NA_VALUES}
    doubt = (
        " (if one of these is a value, name those that do mean missing in --only-na-values)"
        if usual <= {*table.layout.na_values} and usual & {*marks}
        else ""
    )
    return f"read as missing: {'; '.join(shown)}{doubt}" if shown else ""


def _format_lines(table: TextTable, names: Collection[str]) -> list[str]:
    """Return what was read as dates, times or numbers that does not look so to every program."""
    read: dict[str, list[str]] = {}
    for name in names:
        kind = table.formats[name].unusual if name not in table.doubts else ""
        if kind:
            read.setdefault(kind, []).append(name)
    return [f"read as {kind}: {listed(columns)}" for kind, columns in read.items()]


def far_codes(table: TableFile, names: Collection[str]) -> dict[str, Counter[str]]:
    """Return numbers and dates of a text file that may mean missing: how often in which columns."""
    found: dict[str, Counter[str]] = {}
    if not isinstance(table, TextTable):
        return found
    for name in names:
        cells = table.frame[name].dropna().reset_index(drop=True)
        if cells.dtype.kind not in "ifM":
            continue
        is_date = cells.dtype.kind == "M"
        numbers = pd.Series(seconds_since_year_1(cells)) if is_date else cells
        far = far_number(numbers)
        if far is not None:
            texts = table.texts(name)[table.frame[name].notna().to_numpy()].to_numpy()
            code = texts[numbers == far[0]][0].strip() if is_date else f"{far[0]:.0f}"
            found.setdefault(code, Counter())[name] = far[1]
    return found


def _far_lines(table: TextTable, names: Collection[str]) -> list[str]:
    """Return numbers and dates that may be codes for missing."""
    return [
        f"hint: {code} stands far from all others in {listed(list(counts))}, "
        f"in {counted(counts.total(), 'cell')}; "
        f"pass {option('--na-values', [code])} if it means missing"
        for code, counts in far_codes(table, names).items()
    ]


def _total_line(table: TextTable, names: Collection[str]) -> str:
    """Return that the last row holds the sums of all others, as spreadsheets have them."""
    columns = totals_in(table.frame[list(names)])
    told = f"hint: the last row holds the sums of all others in {listed(columns)}; leave it out of "
    return f"{told}the file if it is none of the data" if columns else ""


def described(table: TableFile, schema: Schema, wanted: Collection[str]) -> list[list[Any]]:
    """Return name, kind, dtype, missing cells, their share, values and remark of each column.

    Parameters
    ----------
    schema : of the columns that are described
    wanted : columns that the user has named, and which are therefore no free text
    """
    rows = []
    for column in schema.columns:
        n_missing = len(table.frame) - column.n_observed
        share = n_missing / max(len(table.frame), 1)
        note = note_on(table, str(column.name), wanted)
        kind = column.temporal or ("whole number" if column.integer else column.kind)
        shown = [column.name, kind, column.dtype, n_missing, f"{share:.1%}", range_of(column)]
        rows.append([*shown, f"({note})" if note else ""])
    return rows


def unlike(frame: pd.DataFrame, schema: Schema, names: Collection[str]) -> str:
    """Return which cells are unlike those that a model has learned from; empty if none is.

    These are levels that it has not seen, and numbers further from the range it has seen than
    that is wide.

    Parameters
    ----------
    frame : (n, F) with the columns of `schema`
    names : columns that are looked at
    """
    schema = Schema(tuple(column for column in schema.columns if column.name in names))
    frame = frame[schema.names()]
    values, observed = encode(frame, schema)
    found: dict[str, Counter[Any]] = {UNSEEN: Counter(), FAR: Counter()}
    for column, cells, seen in zip(schema.columns, values.T, observed.T):
        if column.kind == "category":
            odd, what = cells >= len(column.levels), UNSEEN
        else:
            ends = (column.lower, column.upper)
            lower, upper = ((end - column.center) / column.scale for end in ends)
            room = upper - lower + 1e-5 * (1 + abs(lower))  # of single precision
            odd, what = (cells < lower - room) | (cells > upper + room), FAR
        if n_odd := int((odd & seen).sum()):
            found[what][column.name] = n_odd
    show, more = "{0[0]!r} ({0[1]})".format, "more columns"
    shown = [
        f"{what} {listed(cells.most_common(), show=show, more=more)}"
        for what, cells in found.items()
        if cells
    ]
    return f"cells unlike those of the fit: {'; '.join(shown)}" if shown else ""


def note_on(table: TableFile, name: str, wanted: Collection[str]) -> str | None:
    """Return why the model does not use a column, or what looks wrong with it.

    Parameters
    ----------
    wanted : columns that the user has named, and which are used whatever they hold
    """
    observed = table.frame[name].dropna()
    if observed.empty:
        return "no observed cell; left as it is"
    if name in table.doubts:
        return table.doubts[name]
    seen = infer_schema(table.frame[[name]], [name] if name in wanted else "auto").columns[0]
    if seen.free_text:
        return f"free text, {seen.free_text} different ones; left as it is unless in --categorical"
    return None
