"""The files of a verb: from its options to the table that is read and the one that is written."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from maetab.data.schema import Column
    from maetab.files import Layout, Table


def check_outputs(args: argparse.Namespace, *paths: str | None) -> None:
    """Refuse files that exist, unless told to overwrite them, and folders that do not."""
    for path in paths:
        if not path or path == "-":
            continue
        if not args.force and Path(path).exists():
            args.fail(f"{path} exists; pass --force to overwrite it")
        if not Path(path).resolve().parent.is_dir():
            args.fail(f"{path}: there is no folder {str(Path(path).parent)!r}")


def format_in(args: argparse.Namespace) -> str:
    """Return "csv", "tsv" or "parquet": what the input is."""
    from maetab.files import format_of

    return format_of(args.input, args.format)


def format_out(args: argparse.Namespace) -> str:
    """Return what the output is to be; that of the input where its name does not tell.

    Raises
    ------
    ValueError
        The suffix is of no format that can be written.
    """
    from maetab.files import format_of

    named = args.output != "-" and bool(Path(args.output).suffix)
    return format_of(args.output, args.format or (None if named else format_in(args)))


def layout_of(args: argparse.Namespace, form: str) -> Layout:
    """Return how the cells of a text file of the format `form` are written."""
    from maetab.files import DELIMITERS, NA_VALUES, Layout

    same_form = form == format_in(args)
    delimiter = (args.delimiter if same_form else None) or DELIMITERS.get(form, ",")
    for option, mark in (("--delimiter", delimiter), ("--decimal", args.decimal)):
        if len(mark) != 1 or mark in '"\r\n':
            args.fail(f"{option} must be one character, got {mark!r}")
    na_values = NA_VALUES if args.na_values is None else args.na_values
    return Layout(delimiter, args.decimal, args.encoding, tuple(na_values))


def wanted_columns(args: argparse.Namespace) -> list[str]:
    """Columns that the user has named, and which are therefore no free text."""
    return [*args.categorical, *(getattr(args, "columns", None) or ())]


def open_table(args: argparse.Namespace, known: Sequence[Column] = ()) -> Table:
    """The input file with its types read; names in the options are checked against it."""
    from maetab.files import read_table

    form = format_in(args)
    table = read_table(args.input, form, layout_of(args, form))
    for name in [*args.exclude, *wanted_columns(args), *(column.name for column in known)]:
        if name not in table.names:
            raise ValueError(f"there is no column {name!r}; there are {', '.join(table.names)}")
    if not len(table):
        raise ValueError("the file has columns but no rows")
    table.read_types(args.categorical, known)
    for name in wanted_columns(args):
        if not known and table.frame[name].dtype == object:  # no free text, for it was named
            table.frame[name] = table.frame[name].astype("category")
    return table


def write_result(
    args: argparse.Namespace,
    table: Table,
    columns: list[str],
    result: pd.DataFrame,
    first: str | None = None,
) -> None:
    """Write a result, and to its left the columns of the input that the model did not see."""
    from maetab.files import write_frame

    form = format_out(args)
    rest = table.rest(columns, typed=form == "parquet")
    for name in rest:
        if name in result:
            raise ValueError(f"column {name!r} has the name of a result; rename it")
    joined = rest.join(result)
    if first is not None:
        joined.insert(0, first, joined.pop(first))
    write_frame(joined, args.output, form, layout_of(args, form))
