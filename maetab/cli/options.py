"""What the verbs of the command line take, as tables of options."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from maetab.cli.series import rows_or_time

METHODS = ("mean", "median", "knn", "iterative", "linear")  # that can be compared with
# Of `evaluate` where the command names none: of single rows, and of series.
HIDDEN, COMPARED_WITH = ("mcar", "block"), (["median", "knn"], ["linear", "median"])
# Of `detect` where the command names none: the file may hold anomalies, and rows are to be named.
DETECTION = {"trim": 0.2, "contamination": 0.05}
DEMO_OUTPUT = "maetab_demo_filled.csv"


class Parser(argparse.ArgumentParser):
    """Reads the words of a command, and says in one line what is wrong with them."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class Option(NamedTuple):
    """An option: its name, its help, and what else `argparse` is told of it."""

    name: str
    text: str
    how: Mapping[str, Any] = {}


class Options(NamedTuple):
    """Options that stand together in the help, below a title or among those of the verb."""

    title: str
    options: tuple[Option, ...]

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add the options to a parser."""
        group = parser.add_argument_group(self.title) if self.title else parser
        for name, text, how in self.options:
            group.add_argument(*SHORT.get(name, ()), name, help=text, **how)


def _names(text: str) -> list[str]:
    """Return names between commas; one that holds a comma stands in double quotes."""
    return next(csv.reader([text]), [])


def _number(kind: type, fits: Callable[[Any], bool], words: str, other: str = "") -> dict:
    """Return how a number of a kind is read, and the word `other`; what does not fit is refused."""

    def read(text: str) -> Any:
        number = text if text == other else kind(text)
        if number != other and not fits(number):
            raise argparse.ArgumentTypeError(f"must be {words}, got {text}")
        return number

    read.__name__ = "number" if kind is float else "whole number"  # argparse names it in errors
    return {"type": read}


def _path(text: str) -> str:
    """Return the name of a file; an empty one, as of a variable of the shell, is refused."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"must be the name of a file or folder, got {text!r}")
    return text


def _methods(text: str) -> list[str]:
    names = _names(text)
    for name in names:
        if name not in METHODS:
            raise argparse.ArgumentTypeError(f"must be among {', '.join(METHODS)}, got {name}")
    return names


def _count(least: int, other: str = "") -> dict[str, Any]:
    words = f"at least {least}"
    return {"metavar": "N"} | _number(int, lambda count: count >= least, words, other)


SHORT = {"--output": ("-o",), "--verbose": ("-v",)}
CHAR, TEXTS = {"metavar": "CHAR"}, {"metavar": "TEXTS", "type": _names, "action": "extend"}
COLUMNS, FILE = TEXTS | {"metavar": "COLUMNS"}, {"metavar": "FILE", "type": _path}
OUT = FILE | {"metavar": "OUT", "required": True}
YES, EITHER = {"action": "store_true"}, {"action": argparse.BooleanOptionalAction}
SHARE: dict[str, Any] = {"metavar": "SHARE"}
FORMATS = ("csv", "tsv", "parquet", "jsonl", "xlsx")
PRESETS = {"choices": ("fast", "balanced", "best")}  # named here: a help imports no model
NONE: dict[str, Any] = {"default": []}
SEED = _number(int, lambda seed: 0 <= seed < 2**32, "in 0 ... 4294967295")
SECONDS = {"metavar": "SECONDS"} | _number(float, lambda seconds: seconds > 0, "above 0")
FRAC = _number(float, lambda share: 0 < share < 1, "between 0 and 1")
FOLDS = _number(int, lambda count: count >= 2, "at least 2")
TRIM = SHARE | _number(float, lambda share: 0 <= share <= 0.5, "between 0 and 0.5")
ALARMS = "auto, or above 0 and at most 0.5"
ALARMS_SHARE = SHARE | _number(float, lambda share: 0 < share <= 0.5, ALARMS, "auto")

READ = (
    Option("--format", "of - and of unknown suffixes", {"choices": FORMATS}),
    Option("--delimiter", "between cells (default: found out among , ; tab |)", CHAR),
    Option("--decimal", "decimal mark (default: found out, . or ,)", CHAR),
    Option("--thousands", "between groups of digits (default: found out for each column)", CHAR),
    Option(
        "--date-format",
        "of dates and times, such as %%d/%%m/%%Y or %%H.%%M, where the cells can be read in "
        "several ways or in none; WHEN=%%d/%%m/%%Y for the column WHEN only; can be repeated",
        NONE | {"metavar": "FORMAT", "action": "append"},
    ),
    Option("--encoding", "of text files (default: utf-8)", {"default": "utf-8"}),
    Option(
        "--header",
        "whether the first line holds the names of the columns; without, they are column1, "
        "column2, ... (default: it does, and a first line that looks like data is an error)",
        EITHER,
    ),
    Option(
        "--skip-rows",
        "lines before the header; they pass through as they are",
        _count(0) | {"default": 0},
    ),
    Option("--comment", "begins lines that pass through as they are", CHAR),
    Option(
        "--na-values",
        "cells that count as missing beside empty ones, those of pandas (NA, NaN, N/A, #N/A, "
        "<NA>, NULL, None, ...) and ? - -- . ; write --na-values=-999,x if the first begins with "
        "a dash",
        TEXTS | NONE,
    ),
    Option(
        "--only-na-values",
        "the only cells that count as missing beside empty ones, in place of NA, NaN, ..., ? - "
        "-- and . (where one of these is a value)",
        TEXTS,
    ),
    Option(
        "--categorical",
        "columns that are categories although they look like numbers or free text",
        COLUMNS | NONE,
    ),
    Option(
        "--exclude",
        "columns that the model does not see; they pass through as they are",
        COLUMNS | NONE,
    ),
)
_FILE = Option(
    "input",
    "CSV, TSV, Parquet, JSON lines or Excel file; - for stdin; impute and encode take a folder of "
    "files, too",
    FILE | {"metavar": "IN"},
)
INPUT = (Options("", (_FILE,)), Options("how the file is read", READ))
_WRITTEN = (
    Option("--output", "file; - for stdout", OUT),
    Option("--model", "use this saved model, of any verb; fit nothing", FILE),
    Option("--save", "save the fitted model", FILE),
    Option("--force", "overwrite files that exist", YES),
)
IN_AND_OUT = (*INPUT, Options("", _WRITTEN))
_WINDOW = {"metavar": "LENGTH", "type": lambda text: rows_or_time(text, "auto")}
_SERIES = (
    Option(
        "--window",
        "rows follow each other in time, and are seen in windows of this length: a number of rows, "
        "a duration such as 24h, or auto, found out from the data (default: rows are independent)",
        _WINDOW,
    ),
    Option(
        "--time",
        "column of stamps, or two: dates and times of day, such as Date,Time (default: the order "
        "of the rows)",
        COLUMNS,
    ),
    Option("--groups", "columns that tell series apart", COLUMNS | NONE),
)
SERIES = Options("series", _SERIES)
DESCRIBE = (*INPUT, Options("series", _SERIES[1:]))
_GAPS = (
    Option(
        "--max-gap",
        "longer gaps, in rows or a duration such as 12h, stay missing as a whole",
        {"metavar": "LENGTH", "type": rows_or_time},
    ),
    Option(
        "--edges",
        "whether cells before the first and after the last observed one of their column and series "
        "are filled (default: yes)",
        EITHER,
    ),
)
_FITTED = (
    Option("--seed", "of the random numbers (default: 0)", SEED),
    Option(
        "--preset", "how much time a fit may spend on a better model (default: balanced)", PRESETS
    ),
    Option("--max-time", "limit for one fit (default: none, of demo 90)", SECONDS),
    Option("--device", "cpu, cuda, ... (default: cuda where there is one, else cpu)"),
    Option("--verbose", "more messages: each check of held-out cells while a network trains", YES),
)
MODEL = Options("the model", _FITTED)
_CHECKPOINT = Option(
    "--checkpoint",
    "folder in which a fit leaves what it has done; after a stop the same command goes on there",
    FILE | {"metavar": "FOLDER"},
)
ONE_MODEL = Options("the model", (*_FITTED, _CHECKPOINT))
_DEMO = (
    Option(
        "--output",
        f"file to write (default: {DEMO_OUTPUT})",
        {"type": _path, "default": DEMO_OUTPUT},
    ),
    Option("--force", "overwrite the file", YES),
)
DEMO = (Options("", _DEMO), MODEL)
_FILLED = "fill only these (default: all); the others still serve as inputs"
IMPUTE = (
    *IN_AND_OUT,
    Options("", (Option("--columns", _FILLED, COLUMNS),)),
    Options("series", (*_SERIES, *_GAPS)),
    ONE_MODEL,
)
_DETECTED = (
    Option("--top", "explain the N strangest rows (default: 10)", _count(1) | {"default": 10}),
    Option("--reasons", "columns that explain a row (default: 3)", _count(1) | {"default": 3}),
    Option(
        "--contamination",
        "share of the rows given to the fit, trimmed ones too, to call anomalies, at most "
        "0.5; auto is 0.05 "
        f"(default: {DETECTION['contamination']}, or as in the saved model)",
        ALARMS_SHARE,
    ),
    Option(
        "--trim",
        "share of the rows, the strangest at first sight, that is not learned from; 0 if all "
        "rows of the file are known to be normal "
        f"(default: {DETECTION['trim']}, or as in the saved model)",
        TRIM,
    ),
)
DETECT = (*IN_AND_OUT, Options("", _DETECTED), SERIES, ONE_MODEL)
_ENCODED = (
    Option(
        "--components",
        "at most N principal components of what is read, beside the encoded input (see "
        "--no-add-raw); all for what is read itself (default: 192, of windows 128, or as "
        "in the saved model)",
        _count(1, "all"),
    ),
    Option(
        "--readout",
        "what is read: keys and similarities, the tokens' mean, or the row's (default: concat)",
        {"choices": ("concat", "mean", "cls")},
    ),
    Option("--add-raw", "append the encoded input (default: yes, of windows no)", EITHER),
)
LEVEL = Option(
    "--level",
    "what the features are of: each row, or each window, with its group and its first stamp "
    "(default: row)",
    {"choices": ("row", "window")},
)
STRIDE = Option(
    "--stride",
    "with --level window, steps from one window to the next, in rows or a duration such as 1h: 1 "
    "is a window that begins at every row (default: a window)",
    {"metavar": "LENGTH", "type": rows_or_time},
)
ENCODE = (
    *IN_AND_OUT,
    Options("", _ENCODED),
    Options("series", (*_SERIES, LEVEL, STRIDE)),
    ONE_MODEL,
)
MECHANISMS = {"choices": ("mcar", "mar", "mnar", "block", "observed")}
COMPARED = {"metavar": "METHODS", "type": _methods}
_EVALUATED = (
    Option("--mechanism", "how cells are hidden (default: mcar, of series block)", MECHANISMS),
    Option("--frac", "share hidden (default: 0.3)", FRAC | {"default": 0.3}),
    Option(
        "--cv",
        "number of folds; of series the whole file is filled so many times (default: 3)",
        FOLDS | {"default": 3},
    ),
    Option(
        "--compare",
        f"of {','.join(METHODS)} (default: median,knn; of series, where linear is interpolation "
        "in time, linear,median)",
        COMPARED,
    ),
)
EVALUATE = (*INPUT, Options("", _EVALUATED), SERIES, MODEL)
_PAGE = (
    Option("--output", "HTML file; - for stdout", OUT),
    Option("--force", "overwrite a file that exists", YES),
    Option("--title", "heading of the page (default: the name of the file)", {"metavar": "TEXT"}),
    Option(
        "--frac",
        "share of the observed cells that is hidden to measure how well they fill (default: 0.2)",
        FRAC | {"default": 0.2},
    ),
    Option("--top", "explain the N strangest rows (default: 10)", _count(0) | {"default": 10}),
    Option("--reasons", "columns that explain a row (default: 3)", _count(1) | {"default": 3}),
)
_QUICK = tuple(
    option._replace(text=option.text.replace("balanced", "fast"))
    if "--preset" in option
    else option
    for option in _FITTED
)
REPORT = (
    *INPUT,
    Options("", _PAGE),
    Options("series", (*_SERIES, *_GAPS)),
    Options("the model", _QUICK),
)
_SHOWN = (
    Option("model", "a saved model", FILE | {"metavar": "MODEL"}),
    Option("--all", "list every parameter and column", YES),
)
INFO = (Options("", _SHOWN),)
