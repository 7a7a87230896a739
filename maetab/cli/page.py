"""What `maetab report` does: a page on a file."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

from maetab.cli import estimators, series, verb_files
from maetab.cli.report.output import counted, is_first, say

# Which columns the model does not use is told once, before the fit, in words of the command line. A
# warning that says something else as well stays.
OF_FREE_TEXT = r"MAE\w+: (free text|column '[^']*' is free text)"


def report(args: argparse.Namespace) -> None:
    """Write a page on a file: its columns, gaps, how they fill, strange rows, what was done."""
    from maetab.files.writing import replace_file
    from maetab.page.report import SUFFIXES
    from maetab.page.report import report as page_on

    began = time.perf_counter()
    verb_files.check_outputs(args, args.output)
    if args.output != "-" and Path(args.output).suffix.lower() not in SUFFIXES:
        args.fail(f"{args.output}: the page is HTML; give --output a name that ends in .html")
    series.check(args)
    table, keys = verb_files.open_table(args, keys=series.keys_of(args))
    estimators.usable_columns(table, args, keys.names())
    names = [name for name in table.names if name not in args.exclude]
    frame = series.frame_of(table, names, keys)
    frame = frame.set_axis(frame.index + 1)  # as detect counts the rows of a file
    given = estimators.given(max_gap=args.max_gap, edges=args.edges)
    given |= {"categorical_features": args.categorical} if args.categorical else {}
    source = "standard input" if args.input == "-" else Path(args.input).name
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", OF_FREE_TEXT)
        page = page_on(
            frame,
            estimators.new_estimator(args, "MAEImputer", **given),
            title=args.title or f"Report on {source}",
            frac=args.frac,
            top=args.top,
            n_columns=args.reasons,
            random_state=args.seed,
        )
    if not is_first():
        return
    if args.output == "-":
        sys.stdout.write(page)
    else:
        replace_file(Path(args.output), page.encode())
    n_bytes = len(page.encode())
    size = f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.0f} kB"
    say(f"{counted(len(frame), 'row')} reported in {time.perf_counter() - began:.1f} s, {size}")
