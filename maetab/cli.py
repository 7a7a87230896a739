"""The command line: one verb a job, a file in and a file out.

Results go to standard output, messages to standard error. Exit codes: 0 done, 1 the data or the
file is at fault, 2 the command is. torch and scikit-learn are imported only by verbs that need
them. A new verb is a line in `VERBS`: what it takes (in options.py) and what it does.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import maetab
from maetab.options import add_demo, add_evaluate, add_impute, add_info, add_input

if TYPE_CHECKING:
    import pandas as pd

    from maetab.data.schema import Column
    from maetab.files import Layout, Table

FREE_TEXT = 20  # with more different texts than this, most of them alone, a column is no category


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    argv : words after the program's name; those of the process by default

    Examples
    --------
    >>> main(["describe", "no_such_file.csv"])
    1
    """
    args = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())
        print(f"maetab {args.verb}: {reason or type(error).__name__}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="maetab", description="Masked autoencoders for tables: fill missing cells."
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (add, run, text) in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        add(verb)
        verb.set_defaults(run=run, fail=verb.error)
    return parser


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"maetab {maetab.__version__}")
        parser.exit()


# --- what the verbs do -----------------------------------------------------------------------


def _impute(args: argparse.Namespace) -> None:
    from maetab.files import format_of, write_table

    _refuse_existing(args, args.output, args.save)
    if args.model and (args.save or args.exclude or args.categorical):
        args.fail("--model decides the columns: no --save, --exclude or --categorical with it")
    out_format = format_of(args.output, args.format or _format_in(args))
    began = time.perf_counter()
    imputer = _load(args.model) if args.model else None
    known = imputer.schema_.columns if imputer is not None else ()
    table = _open(args, known)
    columns = [column.name for column in known] or _usable(table, args)
    frame = table.frame[columns]
    targets = _targets(args.columns, columns)
    if imputer is None and (args.save or frame[targets].isna().any(axis=None)):
        imputer = _imputer(args).fit(frame)
    n_filled = 0
    if imputer is not None:
        filled = imputer.transform(frame)
        n_filled = sum(table.put(name, filled[name]) for name in targets)
    if args.save:
        _save(imputer, args.save)
    write_table(table, args.output, out_format, _layout(args, out_format))
    seconds = time.perf_counter() - began
    _say(f"{n_filled} cells filled in {seconds:.1f} s" if n_filled else "nothing to fill; copied")


def _evaluate(args: argparse.Namespace) -> None:
    from maetab.evaluation import cross_val_impute

    table = _open(args)
    scores = cross_val_impute(
        {"maetab": _imputer(args)},
        table.frame[_usable(table, args)],
        mechanism=args.mechanism,
        frac=args.frac,
        cv=args.cv,
        metrics=("rmse", "accuracy"),
        baselines=args.compare,
        random_state=args.seed,
    )
    methods = ["maetab", *args.compare]
    means = scores.groupby(["column", "metric", "method"], sort=False)["value"].mean()
    wide = means.unstack("method")[methods].reset_index()
    for metric, title in (
        ("rmse", "Numbers: root mean squared error in standard deviations (less is better)"),
        (
            "accuracy",
            "Categories: share of hidden cells that were found (more is better; median: the mode)",
        ),
    ):
        part = wide[wide["metric"] == metric].set_index("column")[methods]
        if len(part):
            part.loc["mean of the columns"] = part.mean()
            _show(
                title,
                ["column", *methods],
                part.map("{:.3f}".format).reset_index().to_numpy().tolist(),
            )


def _describe(args: argparse.Namespace) -> None:
    from maetab.data.schema import infer_schema

    table = _open(args)
    usable = [name for name in table.names if name not in args.exclude]
    rows = []
    for column in infer_schema(table.frame[usable]).columns:
        n_missing = len(table.frame) - column.n_observed
        share = n_missing / max(len(table.frame), 1)
        note = _note(table, str(column.name), args)
        kind = column.temporal or ("whole number" if column.integer else column.kind)
        shown = [column.name, kind, column.dtype, n_missing, f"{share:.1%}", _range(column)]
        rows.append([*shown, f"({note})" if note else ""])
    head = ["column", "kind", "dtype", "missing", "share", "values", ""]
    _show(f"{len(table.frame)} rows, {len(table.names)} columns", head, rows)


def _info(args: argparse.Namespace) -> None:
    from maetab.persist import read_info

    info = read_info(args.model)
    info["attributes"].pop("history_", None)  # long, and of use in Python only
    for key, value in info.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, entry in value.items():
                print(f"  {name}: {entry}")
        else:
            print(f"{key}: {value}")


def _demo(args: argparse.Namespace) -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

    from maetab.evaluation import amputate

    _refuse_existing(args, args.output)
    complete = load_breast_cancer(as_frame=True).data
    holes, hidden = amputate(complete, "mcar", 0.3, random_state=args.seed)
    _say(
        f"Breast cancer data of scikit-learn: {len(complete)} rows, {complete.shape[1]} columns. "
        f"{int(hidden.sum(axis=None))} cells (30 %) are hidden at random, then filled by"
    )
    methods = {
        "mean": SimpleImputer(),
        "k nearest neighbours": KNNImputer(),
        "chained regression": IterativeImputer(random_state=args.seed),
        "maetab": _imputer(args),
    }
    center, spread, rows = holes.mean(), holes.std(), []
    for name, method in methods.items():
        began = time.perf_counter()
        scaled = (holes - center) / spread  # neighbours and chains need columns of equal weight
        filled = method.set_output(transform="pandas").fit_transform(scaled)
        filled = holes.fillna(filled * spread + center)
        seconds = time.perf_counter() - began
        rows.append([name, f"{_demo_error(complete, filled, hidden):.3f}", f"{seconds:.1f}"])
    _show("Error on the hidden cells (less is better)", ["method", "RMSE", "seconds"], rows)
    print("RMSE in standard deviations of a column, mean of the columns; one seed, one table.")
    filled.to_csv(args.output, index=False)
    print(f"The table that maetab filled: {args.output}")
    print("Your own: maetab impute your.csv -o filled.csv")


VERBS: dict[str, tuple[Callable, Callable, str]] = {
    "demo": (add_demo, _demo, "hide cells of a small table, fill them, compare with other ways"),
    "impute": (add_impute, _impute, "fill the missing cells of a file"),
    "evaluate": (
        add_evaluate,
        _evaluate,
        "hide known cells of a file, measure how well they fill",
    ),
    "describe": (add_input, _describe, "list the columns of a file and what they miss"),
    "info": (add_info, _info, "show what a saved model is"),
}


# --- steps -----------------------------------------------------------------------------------


def _say(message: str) -> None:
    print(message, file=sys.stderr)


def _warn(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    _say(f"warning: {message}")


def _show(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table with aligned columns: the first to the left, numbers to the right."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    print(title)
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    print()


def _refuse_existing(args: argparse.Namespace, *paths: str | None) -> None:
    for path in paths:
        if path and path != "-" and not args.force and Path(path).exists():
            args.fail(f"{path} exists; pass --force to overwrite it")


def _format_in(args: argparse.Namespace) -> str:
    from maetab.files import format_of

    return format_of(args.input, args.format)


def _layout(args: argparse.Namespace, form: str) -> Layout:
    from maetab.files import DELIMITERS, NA_VALUES, Layout

    same_form = form == _format_in(args)
    delimiter = (args.delimiter if same_form else None) or DELIMITERS.get(form, ",")
    for option, mark in (("--delimiter", delimiter), ("--decimal", args.decimal)):
        if len(mark) != 1 or mark in '"\r\n':
            args.fail(f"{option} must be one character, got {mark!r}")
    na_values = NA_VALUES if args.na_values is None else args.na_values
    return Layout(delimiter, args.decimal, args.encoding, tuple(na_values))


def _open(args: argparse.Namespace, known: Sequence[Column] = ()) -> Table:
    """The input file with its types read; names in the options are checked against it."""
    from maetab.files import read_table

    form = _format_in(args)
    table = read_table(args.input, form, _layout(args, form))
    wanted = [*args.exclude, *args.categorical, *(getattr(args, "columns", None) or ())]
    for name in [*wanted, *(column.name for column in known)]:
        if name not in table.names:
            raise ValueError(f"there is no column {name!r}; there are {', '.join(table.names)}")
    if not len(table):
        raise ValueError("the file has columns but no rows")
    table.read_types(args.categorical, known)
    return table


def _note(table: Table, name: str, args: argparse.Namespace) -> str | None:
    """Why the model does not use a column, or what looks wrong with it."""
    observed = table.frame[name].dropna()
    wanted = [*args.categorical, *(getattr(args, "columns", None) or ())]
    if observed.empty:
        return "no observed cell; left as it is"
    if name in table.doubts:
        return table.doubts[name]
    is_text = observed.dtype.kind not in "biufcmM" and observed.dtype != "category"
    n_different = observed.nunique() if is_text else 0
    if name not in wanted and n_different > max(FREE_TEXT, len(observed) / 2):
        return f"free text, {n_different} different ones; left as it is unless in --categorical"
    return None


def _usable(table: Table, args: argparse.Namespace) -> list[str]:
    """Columns that the model sees; those it cannot use are named to the user."""
    columns = []
    for name in table.names:
        if name in args.exclude:
            continue
        note = _note(table, name, args)
        if note is not None and note == table.doubts.get(name):
            raise ValueError(f"column {name!r}: {note}")
        if note is None:
            columns.append(name)
        else:
            _say(f"column {name!r}: {note}")
    if not columns:
        raise ValueError("there is no column that the model can use")
    return columns


def _targets(wanted: list[str] | None, columns: list[str]) -> list[str]:
    for name in wanted or ():
        if name not in columns:
            raise ValueError(f"column {name!r} cannot be filled: the model does not see it")
    return columns if wanted is None else wanted


def _imputer(args: argparse.Namespace) -> Any:
    from maetab.imputer import MAEImputer

    given = {"max_time": args.max_time, "device": args.device}
    options = {name: value for name, value in given.items() if value is not None}
    if args.verbose:
        options["verbose"] = 1
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    return MAEImputer(random_state=args.seed, **options)


def _load(path: str) -> Any:
    from maetab.persist import load

    return load(path)


def _save(imputer: Any, path: str) -> None:
    from maetab.persist import save

    save(imputer, path)
    _say(f"model saved to {path}")


def _range(column: Column) -> str:
    """Levels or range of a column, short."""
    if not column.n_observed:
        return ""
    if column.kind == "category":
        pairs = zip(column.levels[:3], column.counts)
        more = f", ... ({len(column.levels)} levels)" if len(column.levels) > 3 else ""
        return ", ".join(f"{str(level)[:20]} {count}" for level, count in pairs) + more
    if column.temporal is None:
        return f"{column.lower:.6g} to {column.upper:.6g}"
    from pandas import Timedelta, Timestamp

    read = Timestamp if column.temporal == "datetime" else Timedelta
    return f"{read(column.lower, unit='s')} to {read(column.upper, unit='s')}"


def _demo_error(complete: pd.DataFrame, filled: pd.DataFrame, hidden: pd.DataFrame) -> float:
    from maetab.data.schema import infer_schema
    from maetab.evaluation import cell_scores

    scores = cell_scores(complete, filled, hidden, infer_schema(complete), ["rmse"])
    return float(scores["value"].mean())
