"""What each verb of the command line takes."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from typing import Any, NoReturn

METHODS = ("mean", "median", "knn", "iterative")  # that can be compared with
# Of `detect` where the command names none: the file may hold anomalies, and rows are to be named.
DETECTION = {"trim": 0.2, "contamination": 0.05}


class Parser(argparse.ArgumentParser):
    """Reads the words of a command, and says in one line what is wrong with them."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _names(text: str) -> list[str]:
    """Return names between commas; one that holds a comma stands in double quotes."""
    return next(csv.reader([text]), [])


COLUMNS: dict[str, Any] = {"metavar": "COLUMNS", "type": _names, "action": "extend"}


def _number(kind: type, fits: Callable[[Any], bool], words: str) -> Callable[[str], Any]:
    """Return what reads a number of a kind and refuses those that do not fit."""

    def read(text: str) -> Any:
        number = kind(text)
        if not fits(number):
            raise argparse.ArgumentTypeError(f"must be {words}, got {text}")
        return number

    read.__name__ = "number" if kind is float else "whole number"  # argparse names it in errors
    return read


_share = _number(float, lambda share: 0 < share < 1, "between 0 and 1")
_trim = _number(float, lambda share: 0 <= share <= 0.5, "between 0 and 0.5")
_alarms = _number(float, lambda share: 0 < share <= 0.5, "auto, or above 0 and at most 0.5")
_count = _number(int, lambda count: count >= 1, "at least 1")
_seed = _number(int, lambda seed: 0 <= seed < 2**32, "in 0 ... 4294967295")
_lines = _number(int, lambda count: count >= 0, "at least 0")
_folds = _number(int, lambda count: count >= 2, "at least 2")
_seconds = _number(float, lambda seconds: seconds > 0, "above 0")


COUNT: dict[str, Any] = {"metavar": "N", "type": _count}


def _contamination(text: str) -> float | str:
    return text if text == "auto" else _alarms(text)


def _methods(text: str) -> list[str]:
    names = _names(text)
    for name in names:
        if name not in METHODS:
            raise argparse.ArgumentTypeError(f"must be among {', '.join(METHODS)}, got {name}")
    return names


def _components(text: str) -> int | str:
    return text if text == "all" else _count(text)


def add_input(parser: argparse.ArgumentParser) -> None:
    """Add the file that a verb reads, and how."""
    parser.add_argument("input", metavar="IN", help="CSV, TSV or Parquet file; - for stdin")
    group = parser.add_argument_group("how the file is read")
    add = group.add_argument
    add("--format", choices=("csv", "tsv", "parquet"), help="of - and of unknown suffixes")
    _add_marks(group)
    _add_rows(group)
    _add_missing(group)
    add(
        "--categorical",
        **COLUMNS,
        default=[],
        help="columns that are categories although they look like numbers or free text",
    )
    add(
        "--exclude",
        **COLUMNS,
        default=[],
        help="columns that the model does not see; they pass through as they are",
    )


def _add_marks(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--delimiter", metavar="CHAR", help="between cells (default: found out among , ; tab |)")
    add("--decimal", metavar="CHAR", help="decimal mark (default: found out, . or ,)")
    add(
        "--thousands",
        metavar="CHAR",
        help="between groups of digits (default: found out for each column)",
    )
    add(
        "--date-format",
        metavar="FORMAT",
        action="append",
        default=[],
        help="of dates and times, such as %%d/%%m/%%Y or %%H.%%M, where the cells can be read in "
        "several ways or in none; WHEN=%%d/%%m/%%Y for the column WHEN only; can be repeated",
    )
    add("--encoding", default="utf-8", help="of text files (default: utf-8)")


def _add_rows(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line holds the names of the columns; without, they are column1, "
        "column2, ... (default: it does, and a first line that looks like data is an error)",
    )
    add(
        "--skip-rows",
        metavar="N",
        type=_lines,
        default=0,
        help="lines before the header; they pass through as they are",
    )
    add("--comment", metavar="CHAR", help="begins lines that pass through as they are")


def _add_missing(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--na-values",
        metavar="TEXTS",
        type=_names,
        action="extend",
        default=[],
        help="cells that count as missing beside empty ones, those of pandas (NA, NaN, N/A, #N/A, "
        "<NA>, NULL, None, ...) and ? - -- . ; write --na-values=-999,x if the first begins with "
        "a dash",
    )
    add(
        "--only-na-values",
        metavar="TEXTS",
        type=_names,
        action="extend",
        help="the only cells that count as missing beside empty ones",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add what a verb writes, and the models it reads or keeps."""
    add = parser.add_argument
    add("-o", "--output", metavar="OUT", required=True, help="file; - for stdout")
    add("--model", metavar="FILE", help="use this saved model, of any verb; fit nothing")
    add("--save", metavar="FILE", help="save the fitted model")
    add("--force", action="store_true", help="overwrite files that exist")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add what a fit needs."""
    group = parser.add_argument_group("the model")
    group.add_argument("--seed", type=_seed, help="of the random numbers (default: 0)")
    group.add_argument("--max-time", type=_seconds, metavar="SECONDS", help="limit for one fit")
    group.add_argument("--device", help="cpu, cuda, ... (default: chosen by the library)")
    group.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="report each look at the held-out cells while training",
    )


def add_demo(parser: argparse.ArgumentParser) -> None:
    """Add what `maetab demo` takes."""
    name = "maetab_demo_filled.csv"
    parser.add_argument("-o", "--output", default=name, help=f"file to write (default: {name})")
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    add_model(parser)
    parser.set_defaults(max_time=90.0, seed=0)


def add_impute(parser: argparse.ArgumentParser) -> None:
    """Add what `maetab impute` takes."""
    add_input(parser)
    add_output(parser)
    parser.add_argument(
        "--columns",
        **COLUMNS,
        help="fill only these (default: all); the others still serve as inputs",
    )
    add_model(parser)


def add_detect(parser: argparse.ArgumentParser) -> None:
    """Add what `maetab detect` takes."""
    add_input(parser)
    add_output(parser)
    add = parser.add_argument
    add("--top", **COUNT, default=10, help="explain the N strangest rows (default: 10)")
    add("--reasons", **COUNT, default=3, help="columns that explain a row (default: 3)")
    add(
        "--contamination",
        metavar="SHARE",
        type=_contamination,
        help="share of the rows given to the fit, trimmed ones too, to call anomalies, at most "
        "0.5, or auto: rows stranger than 95 %% of those that were not trimmed "
        f"(default: {DETECTION['contamination']}, or as in the saved model)",
    )
    add(
        "--trim",
        metavar="SHARE",
        type=_trim,
        help="share of the rows, the strangest at first sight, that is not learned from; 0 if all "
        "rows of the file are known to be normal "
        f"(default: {DETECTION['trim']}, or as in the saved model)",
    )
    add_model(parser)


def add_encode(parser: argparse.ArgumentParser) -> None:
    """Add what `maetab encode` takes."""
    add_input(parser)
    add_output(parser)
    add = parser.add_argument
    add(
        "--components",
        metavar="N",
        type=_components,
        help="at most N principal components of what is read, beside the encoded input (see "
        "--no-add-raw); all for what is read itself (default: 128, or as in the saved model)",
    )
    add(
        "--readout",
        choices=("concat", "mean", "cls"),
        help="tokens that are read: all, their mean, or the row's (default: concat)",
    )
    add(
        "--add-raw",
        action=argparse.BooleanOptionalAction,
        help="append the encoded input (default: yes)",
    )
    add_model(parser)


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Add what `maetab evaluate` takes."""
    add_input(parser)
    parser.add_argument(
        "--mechanism",
        choices=("mcar", "mar", "mnar", "block", "observed"),
        default="mcar",
        help="how cells are hidden (default: mcar)",
    )
    parser.add_argument("--frac", type=_share, default=0.3, help="share hidden (default: 0.3)")
    parser.add_argument("--cv", type=_folds, default=3, help="number of folds (default: 3)")
    parser.add_argument(
        "--compare",
        metavar="METHODS",
        type=_methods,
        default=["median", "knn"],
        help=f"of {','.join(METHODS)} (default: median,knn)",
    )
    add_model(parser)
    parser.set_defaults(seed=0)


def add_info(parser: argparse.ArgumentParser) -> None:
    """Add what `maetab info` takes."""
    parser.add_argument("model", metavar="MODEL", help="a saved model")
    parser.add_argument("--all", action="store_true", help="list every parameter and column")
