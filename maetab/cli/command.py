"""The program `maetab`: its parser, its verbs, and how it ends.

Exit codes: 0 done, 1 the data or the file is at fault, 2 the command is. A new verb is a line in
`VERBS`: what it takes (options.py), what it does (verbs.py), and what the help says of it.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import maetab
from maetab.cli import demo, options, verbs
from maetab.cli.report.output import say
from maetab.progress import EVERY, lines

VERBS: dict[str, tuple[Callable, Callable, str]] = {
    "demo": (
        options.add_demo,
        demo.demo,
        "hide cells of a small table, fill them, compare with other ways",
    ),
    "impute": (options.add_impute, verbs.impute, "fill the missing cells of a file"),
    "detect": (
        options.add_detect,
        verbs.detect,
        "score the rows of a file, name the anomalies and why",
    ),
    "encode": (options.add_encode, verbs.encode, "turn the rows of a file into features"),
    "evaluate": (
        options.add_evaluate,
        verbs.evaluate,
        "hide known cells of a file, measure how well they fill",
    ),
    "describe": (
        options.add_input,
        verbs.describe,
        "list the columns of a file and what they miss",
    ),
    "info": (options.add_info, verbs.info, "show what a saved model is"),
}


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
    if sys.stderr is None:  # closed by the shell; messages are lost, the work is not
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    args = make_parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            with lines(every=0.0 if getattr(args, "verbose", False) else EVERY):
                args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, TypeError, OSError, LookupError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, OSError) and error.filename and error.strerror:
            reason = f"{error.filename}: {error.strerror}"
        say(f"maetab {args.verb}: {reason or type(error).__name__}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs; what it reads has the functions `run` and `fail`."""
    parser = options.Parser(
        prog="maetab",
        description="Masked autoencoders for tables: fill missing cells, find anomalies, "
        "make features.",
    )
    version = f"maetab {maetab.__version__}"
    parser.add_argument(
        "--version", action="version", version=version, help="print the version and exit"
    )
    added = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (add, run, text) in VERBS.items():
        verb = added.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        add(verb)
        verb.set_defaults(run=run, fail=verb.error)
    return parser


def _warn(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    say(f"warning: {message}")
