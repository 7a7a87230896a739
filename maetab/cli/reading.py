"""How a file is read: options and layout, and what a saved model remembers of its own file."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maetab.cli.options import READ
from maetab.cli.report.output import say

if TYPE_CHECKING:
    from maetab.files.layout import Layout
    from maetab.files.tables import TableFile

MARKS = ("na_values", "only_na_values")
# Options that change what the text of a cell means, which a model keeps; the others say how lines
# are cut, which files of the same meaning may do in different ways.
REMEMBERED = (*MARKS, "decimal", "thousands", "date_format")
LINE_OPTIONS = ("header", "skip_rows", "comment")
TEXT_OPTIONS = (*REMEMBERED, *LINE_OPTIONS)
OTHERS = {"parquet": "Parquet", "jsonl": "JSON lines", "xlsx": "Excel"}  # than text with delimiters


def remember(model: Any, args: argparse.Namespace, table: TableFile) -> None:
    """Give a model `reading_`: how its file was read, by the command and by what was found."""
    from maetab.files.text_table import TextTable
    from maetab.files.time_format import Date

    model.reading_ = {name: getattr(args, name) for name in REMEMBERED if _names(args, name)}
    if isinstance(table, TextTable):
        forms = {one.form for one in table.formats.values() if isinstance(one, Date)}
        model.reading_["known_dates"] = sorted(form.replace("%-", "%") for form in forms)
        model.reading_["known_decimal"] = table.layout.decimal


def recall(args: argparse.Namespace, model: Any) -> None:
    """Put what a model remembers where the command names nothing else."""
    kept = dict(getattr(model, "reading_", {}))
    for name in ("known_dates", "known_decimal"):
        setattr(args, name, kept.pop(name, ""))
    named = {name for name in REMEMBERED if _names(args, name)}
    named |= {*MARKS} if named & {*MARKS} else set()
    kept = {name: value for name, value in kept.items() if name not in named}
    words = " ".join(words_of(kept))
    if kept and format_in(args) == "parquet":
        say(f"in the fit of {args.model}, {words} is for text files; {args.input} is read as it is")
    elif kept:
        vars(args).update(kept)
        say(f"read as in the fit of {args.model}: {words}")


def _names(args: argparse.Namespace, name: str) -> bool:
    """Return whether a command names an option."""
    return getattr(args, name) not in (None, [])


def format_in(args: argparse.Namespace) -> str:
    """Return "csv", "tsv", "parquet", "jsonl" or "xlsx": what the input is."""
    from maetab.files.tables import format_of

    if args.input != "-" and Path(args.input).is_dir():
        args.fail(f"{args.input} is a folder; {args.verb} takes one file, impute and encode both")
    return format_of(args.input, args.format)


def layout_in(args: argparse.Namespace) -> Layout:
    """Return what the options say about how the input is written."""
    from maetab.data.text import NA_VALUES
    from maetab.files.layout import Layout

    _check_marks(args)
    if format_in(args) in OTHERS:
        _refuse_text_options(args, format_in(args))
    if args.decimal is not None and args.decimal == args.thousands:
        args.fail(f"--decimal and --thousands are both {args.decimal!r}")
    _check_date_formats(args)
    na_values = NA_VALUES if args.only_na_values is None else args.only_na_values
    na_values = (*na_values, *args.na_values)
    marks = args.delimiter or "", args.decimal or "", args.thousands
    lines = args.header, args.skip_rows, args.comment
    known = getattr(args, "known_dates", ()), getattr(args, "known_decimal", "")
    return Layout(*marks, args.date_format, args.encoding, na_values, *lines, *known)


def _check_marks(args: argparse.Namespace) -> None:
    for option in ("delimiter", "decimal", "thousands", "comment"):
        mark = getattr(args, option)
        if mark is not None and (len(mark) != 1 or mark in '"\r\n'):
            args.fail(f"--{option} must be one character, got {mark!r}")


def _refuse_text_options(args: argparse.Namespace, form: str) -> None:
    """Refuse options of text files: those of lines, and where cells have types those of cells."""
    for name in TEXT_OPTIONS if form == "parquet" else LINE_OPTIONS:
        value = getattr(args, name)
        if value or (name == "header" and value is False):
            option = f"--{'no-' * (value is False)}{name.replace('_', '-')}"
            args.fail(f"{option} is for text files, and {args.input} is {OTHERS[form]}")


def _check_date_formats(args: argparse.Namespace) -> None:
    from maetab.files.time_format import check_form

    for form in args.date_format:
        try:
            check_form(form.rpartition("=")[2])
        except ValueError as error:
            args.fail(f"--date-format: {error}")


def words_of(values: Mapping[str, Any]) -> list[str]:
    """Return options of reading as a shell takes them.

    values : by the names that `argparse` gives them; those that are None or usual say nothing
    """
    from maetab.files.layout import option

    words = []
    for name, _, how in READ:
        value = values.get(name[2:].replace("-", "_"))
        if value is None or value == how.get("default"):
            continue
        if isinstance(value, bool):
            words.append(name if value else f"--no-{name[2:]}")
        elif name == "--date-format":
            words += [f"{name}={shlex.quote(form)}" for form in value]
        elif isinstance(value, list):
            words.append(option(name, value))
        else:
            words.append(f"{name}={shlex.quote(str(value))}")
    return words


def codes(args: argparse.Namespace, table: TableFile, names: Collection[str]) -> list[str]:
    """Return cells that may mean missing, where the command names no marks of missing."""
    from maetab.cli.report.table import far_codes

    if any(_names(args, name) for name in MARKS):
        return []
    return list(far_codes(table, names))


def refuse_codes(args: argparse.Namespace, table: TableFile, names: Collection[str]) -> None:
    """Raise a ValueError if cells may mean missing in a table that misses nothing else."""
    from maetab.files.layout import option

    if found := codes(args, table, names):
        raise ValueError(
            f"no cell is missing, but {' and '.join(found)} may mean missing, as the hint says; "
            f"pass {option('--na-values', found)} if so, --na-values=NA if not"
        )
