"""The files of a verb: from its options to the table that is read and the one that is written."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maetab.cli.reading import format_in, layout_in
from maetab.cli.report.output import is_first, listed, say
from maetab.cli.series import Keys, in_file, refuse_days_alone

if TYPE_CHECKING:
    import pandas as pd

    from maetab.data.schema import Column
    from maetab.files.layout import Layout
    from maetab.files.tables import TableFile


def check_outputs(args: argparse.Namespace, *paths: str | None) -> None:
    """Refuse files that exist, unless they may be overwritten, and folders that do not.

    So are two outputs in one file, an output in the place of a saved model that is used, and one in
    the place of the input, except of `impute`, which keeps all that is known.
    """
    used = [*paths, getattr(args, "model", None)]
    files = [Path(path).resolve() for path in used if path and path != "-"]
    if len(set(files)) < len(files):
        args.fail(f"{args.output} is the file of the model as well; pass another --output")
    for path in paths:
        if not path or path == "-" or not is_first():
            continue
        if _is_lost(args, path):
            args.fail(f"{path} is the input, which would be lost; pass another name")
        if not args.force and Path(path).exists():
            args.fail(f"{path} exists; pass --force to overwrite it")
        if not Path(path).resolve().parent.is_dir():
            args.fail(f"{path}: there is no folder {str(Path(path).parent)!r}")


def _is_lost(args: argparse.Namespace, path: str) -> bool:
    """Return whether an output would stand in the place of the input, which it does not hold."""
    source = Path(getattr(args, "input", "-"))
    is_filled = args.verb == "impute" and path == args.output
    return source.is_file() and not is_filled and source.resolve() == Path(path).resolve()


def format_out(args: argparse.Namespace) -> str:
    """Return what the output is to be; that of the input where its name has no suffix.

    Raises
    ------
    ValueError
        The suffix is of no format that can be written.
    """
    from maetab.files.tables import format_of

    named = args.output != "-" and bool(Path(args.output).suffix)
    return format_of(args.output, args.format or (None if named else format_in(args)))


def layout_out(args: argparse.Namespace, table: TableFile) -> Layout:
    """Return how the output is to be written: as the input is, where both have one format."""
    from maetab.files.layout import DELIMITERS, Layout
    from maetab.files.text_table import TextTable

    form, decimal = format_out(args), args.decimal
    delimiter = DELIMITERS.get(form, ",")
    if not isinstance(table, TextTable):
        delimiter = args.delimiter or delimiter
    elif form == format_in(args):
        return table.layout
    else:
        decimal = "" if table.layout.decimal == delimiter else table.layout.decimal
    return Layout(delimiter, decimal or ".", encoding=args.encoding)


def wanted_columns(args: argparse.Namespace) -> list[str]:
    """Return columns that the user has named, and which are therefore no free text."""
    return [*args.categorical, *(getattr(args, "columns", None) or ())]


def open_table(
    args: argparse.Namespace, known: Sequence[Column] = (), keys: Keys | None = None
) -> tuple[TableFile, Keys]:
    """Return the input with its types read, after the user is told what was found in it.

    Names in the options are checked against it.

    Parameters
    ----------
    known : the columns of a saved model
    keys : its times and groups, or those of the command

    Returns
    -------
    table : the input
    keys : where the time of a saved model is, as columns of this file
    """
    from maetab.cli.report.table import found_in
    from maetab.files.tables import read_table
    from maetab.files.text_table import TextTable

    table = read_table(args.input, format_in(args), layout_in(args))
    if isinstance(table, TextTable):
        table.check_header()
    names = f"there are {listed(table.names, 20)}"
    keys = in_file(keys or Keys(), table.names)
    own = [column for column in known if column.name not in (keys.stamp(), *keys.time)]
    for name in [*args.exclude, *wanted_columns(args), *([] if known else keys.names())]:
        if name not in table.names:
            raise ValueError(f"there is no column {name!r}; {names}")
    for name in [*(column.name for column in own), *keys.names()]:
        if name not in table.names:
            raise ValueError(
                f"the model {args.model} needs the column {name!r}, and there is none in "
                f"{args.input}; {names}"
            )
    if not len(table):
        raise ValueError("the file has columns but no rows")
    table.read_types(args.categorical, own)
    for name in wanted_columns(args):
        if not known and table.frame[name].dtype == object:  # no free text, for it was named
            table.frame[name] = table.frame[name].astype("category")
    if not known:
        refuse_days_alone(table.frame, keys)
    matter = [str(column.name) for column in own] + keys.names() * bool(known)
    matter = matter or [name for name in table.names if name not in args.exclude]
    for line in found_in(table, matter, args.verb):
        say(line)
    return table, keys


def write_result(
    args: argparse.Namespace,
    table: TableFile,
    columns: list[str],
    result: pd.DataFrame,
    first: str | None = None,
) -> None:
    """Write a result, and to its left the columns of the input that the model did not see.

    Lines of empty cells between the rows of the input have a row without results.

    Parameters
    ----------
    first : column of the result that counts the rows, and comes first
    """
    from maetab.files.tables import write_frame

    form = format_out(args)
    rest = table.rest(columns, typed=form == "parquet")
    for name in rest:
        if name in result:
            raise ValueError(f"column {name!r} has the name of a result; rename it")
    joined = rest.join(result).reindex(range(table.index[-1] + 1))
    if first is not None:
        joined = joined.drop(columns=first)
        joined.insert(0, first, joined.index + 1)
    write_frame(joined, args.output, form, layout_out(args, table))


def write_windows(args: argparse.Namespace, table: TableFile, features: pd.DataFrame) -> None:
    """Write features of windows, and to their left the group and the first stamp, or row, of each.

    Rows are counted from 1.
    """
    from maetab.files.tables import write_frame

    *groups, time = features.index.names
    labelled = features.rename_axis([*groups, "row" if time is None else time]).reset_index()
    if time is None:
        labelled["row"] += 1
    write_frame(labelled, args.output, format_out(args), layout_out(args, table))
