"""Sentences of the command line: counts, lists, what was found in a file, what a model is."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from maetab.data.schema import Schema
    from maetab.files import Table
    from maetab.text_table import TextTable

FAR = "numbers far outside the range of"
SHOWN = 5  # names of a list that are written out


def counted(count: int, thing: str) -> str:
    """Return "1 cell", "2 cells".

    Examples
    --------
    >>> counted(1, "cell"), counted(0, "cell")
    ('1 cell', '0 cells')
    """
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def listed(names: Sequence[Any], most: int = SHOWN) -> str:
    """Return the first names in quotes, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def on_one_line(cell: Any) -> str:
    r"""Return a cell as text in which line ends and other control characters are escaped.

    Examples
    --------
    >>> print(on_one_line("two\nlines"))
    two\nlines
    """
    text = str(cell)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def found_in(table: Table, names: Collection[str], verb: str = "") -> list[str]:
    """Return a line for each thing that was read otherwise than it may have been meant.

    Parameters
    ----------
    names : columns that matter; nothing is said about the others
    verb : what is done with the rows, such as "impute"
    """
    from maetab.text_table import TextTable

    if not isinstance(table, TextTable):
        return []
    lines = [
        _layout_line(table),
        _names_line(table),
        _empty_line(table, verb),
        _marks_line(table.na_marks(names)),
    ]
    lines += [*_format_lines(table, names), *_far_lines(table, names)]
    return [on_one_line(line) for line in lines if line]


def _layout_line(table: TextTable) -> str:
    delimiter, decimal = table.layout.delimiter, table.layout.decimal
    said = []
    if delimiter != table.asked.delimiter and delimiter != table.usual:
        said.append(f"cells are separated by {delimiter!r}")
    if decimal != table.asked.decimal and decimal == ",":
        said.append("the decimal mark is ','")
    return f"found: {', '.join(said)}" if said else ""


def _names_line(table: TextTable) -> str:
    """How columns are called that have the same name."""
    changed = [(old, new) for old, new in zip(table.given, table.names) if old != new]
    if not changed:
        return ""
    shown = ", ".join(f"{new!r} for a further {old!r}" for old, new in changed[:SHOWN])
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    return f"columns have the same name; here they are called {shown}{more}"


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
    said = [f"{n} {where}, {what}" for (n, where), what in zip(parts, became) if n]
    return f"{counted(n_empty, 'line')} of empty cells only: {'; '.join(said)}"


def _marks_line(marks: Mapping[str, Counter[str]]) -> str:
    """How often each text was read as missing, and where."""
    said = [
        f"{mark!r} {counted(counts.total(), 'time')} in {listed(list(counts), 3)}"
        for mark, counts in sorted(marks.items(), key=lambda item: -item[1].total())
    ]
    return f"read as missing: {'; '.join(said)} (--only-na-values if not)" if said else ""


def _format_lines(table: TextTable, names: Collection[str]) -> list[str]:
    """What was read as dates, times or numbers that does not look so to every program."""
    read: dict[str, list[str]] = {}
    for name in names:
        kind = table.formats[name].unusual if name not in table.doubts else ""
        if kind:
            read.setdefault(kind, []).append(name)
    return [f"read as {kind}: {listed(columns)}" for kind, columns in read.items()]


def _far_lines(table: TextTable, names: Collection[str]) -> list[str]:
    """Numbers that may be codes for missing."""
    from maetab.layout import option
    from maetab.sniffing import far_number

    found: dict[float, Counter[str]] = {}
    for name in names:
        numbers = table.frame[name]
        far = far_number(numbers) if numbers.dtype.kind in "if" else None
        if far is not None:
            found.setdefault(far[0], Counter())[name] = far[1]
    return [
        f"hint: {value:.0f} stands far from all other numbers in {listed(list(counts))}, "
        f"in {counted(counts.total(), 'cell')}; "
        f"pass {option('--na-values', [f'{value:.0f}'])} if it means missing"
        for value, counts in found.items()
    ]


def described(table: Table, names: Collection[str], wanted: Collection[str]) -> list[list[Any]]:
    """Return name, kind, dtype, missing cells, their share, values and remark of each column.

    Parameters
    ----------
    names : columns that are described
    wanted : columns that the user has named, and which are therefore no free text
    """
    from maetab.data.schema import infer_schema
    from maetab.report import note_on, range_of

    rows = []
    for column in infer_schema(table.frame[list(names)]).columns:
        n_missing = len(table.frame) - column.n_observed
        share = n_missing / max(len(table.frame), 1)
        note = note_on(table, str(column.name), wanted)
        kind = column.temporal or ("whole number" if column.integer else column.kind)
        shown = [column.name, kind, column.dtype, n_missing, f"{share:.1%}", range_of(column)]
        rows.append([*shown, f"({note})" if note else ""])
    return rows


def doubted(table: Table, name: str, excluded: Collection[str]) -> str:
    """Return what is wrong with a column, and which others have something wrong with them."""
    others = [other for other in table.doubts if other not in (name, *excluded)]
    more = f"; see maetab describe for {listed(others)}, too" if others else ""
    return f"column {name!r}: {table.doubts[name]}{more}"


def unlike(frame: pd.DataFrame, schema: Schema) -> str:
    """Return which cells are unlike those that a model has learned from; empty if none is.

    These are levels that it has not seen, and numbers further from the range it has seen than
    that is wide.

    Parameters
    ----------
    frame : (n, F) with the columns of `schema`
    """
    from maetab.data.codec import encode

    values, observed = encode(frame, schema)
    found: dict[str, Counter[Any]] = {"levels not seen in": Counter(), FAR: Counter()}
    for column, cells, seen in zip(schema.columns, values.T, observed.T):
        if column.kind == "category":
            odd, what = cells >= len(column.levels), "levels not seen in"
        else:
            lower, upper = (
                (e - column.center) / column.scale for e in (column.lower, column.upper)
            )
            room = upper - lower + 1e-5 * (1 + abs(lower))  # of single precision
            odd, what = (cells < lower - room) | (cells > upper + room), FAR
        if n_odd := int((odd & seen).sum()):
            found[what][column.name] = n_odd
    said = [
        f"{what} {', '.join(f'{name!r} ({n})' for name, n in cells.most_common(SHOWN))}"
        + (f" and {len(cells) - SHOWN} more columns" if len(cells) > SHOWN else "")
        for what, cells in found.items()
        if cells
    ]
    return f"cells unlike those of the fit: {'; '.join(said)}" if said else ""


def summary(info: Mapping[str, Any]) -> list[str]:
    """Return what a saved model is, as lines that fit on a screen; `info` is from `read_info`."""
    kinds = Counter(info["columns"].values())
    of_kinds = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    parameters = ", ".join(f"{name}={value}" for name, value in info["parameters"].items())
    versions = info["versions"]
    said = [
        f"class: {info['class']}",
        f"written by: maetab {versions['maetab']}, Python {versions['python']}",
        f"columns: {len(info['columns'])} ({of_kinds}): {listed(list(info['columns']), 12)}",
        f"parameters: {parameters}",
        f"weights: {info['n_weights']} ({info['n_bytes'] / 1e6:.1f} MB)",
        "everything, line by line: --all",
    ]
    return [line for text in said for line in textwrap.wrap(text, 100, subsequent_indent="  ")]


def everything(info: Mapping[str, Any]) -> list[str]:
    """Return all that is known of a saved model; `info` is from `read_info`."""
    lines = []
    for key, value in info.items():
        entries = value.items() if isinstance(value, dict) else ()
        lines += [f"{key}:" if entries else f"{key}: {value}"]
        # the history is long, and of use in Python only
        lines += [f"  {name}: {entry}" for name, entry in entries if name != "history_"]
    return lines
