"""The program `maetab`: its parser, its verbs, and how it ends.

Exit codes: 0 done, 1 the data or the file is at fault, 2 the command is. A new verb is a line in
`VERBS`: what it does (verbs.py), what the help says of it, and what it takes (options.py).
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import maetab
from maetab.cli import options, page, verbs
from maetab.cli.report.output import say
from maetab.progress import EVERY, lines

# What files and tables raise that cannot be read, or that memory does not hold.
AT_FAULT = (ValueError, TypeError, OSError, LookupError, MemoryError, NotImplementedError)


class Verb(NamedTuple):
    """A verb: what it does, what the help says of it, what it takes, and defaults of its own."""

    run: Callable[[argparse.Namespace], None]
    text: str
    takes: tuple[options.Options, ...]
    defaults: Mapping[str, Any] = {}


VERBS: dict[str, Verb] = {
    "demo": Verb(
        verbs.demo,
        "hide cells of a small table, fill them, compare with other ways",
        options.DEMO,
        {"max_time": 90.0, "seed": 0},
    ),
    "impute": Verb(verbs.impute, "fill the missing cells of a file", options.IMPUTE),
    "detect": Verb(
        verbs.detect, "score the rows of a file, name the anomalies and why", options.DETECT
    ),
    "encode": Verb(verbs.encode, "turn the rows of a file into features", options.ENCODE),
    "evaluate": Verb(
        verbs.evaluate,
        "hide known cells of a file, measure how well they fill",
        options.EVALUATE,
        {"seed": 0},
    ),
    "describe": Verb(
        verbs.describe,
        "list the columns of a file, what they miss, and how its rows lie in time",
        options.DESCRIBE,
    ),
    "report": Verb(
        page.report,
        "write a page on a file: columns, gaps, how they fill, strange rows, what was done",
        options.REPORT,
        {"preset": "fast", "seed": 0},
    ),
    "info": Verb(verbs.info, "show what a saved model is", options.INFO),
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
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        # Threads wait for each other a moment, then give the core away.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if sys.stderr is None:  # closed by the shell; messages are lost, the work is not
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    args, unknown = make_parser().parse_known_args(argv)
    if unknown:  # said by the verb, whose help has its options
        args.fail(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            with lines(every=0.0 if getattr(args, "verbose", False) else EVERY):
                args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except AT_FAULT as error:
        reason = " ".join(str(error).split())
        if isinstance(error, OSError) and error.filename and error.strerror:
            reason = f"{error.filename}: {error.strerror}"
        say(f"maetab {args.verb}: {reason or type(error).__name__}", of_all=True)
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
    for name, (run, text, takes, defaults) in VERBS.items():
        verb = added.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        for part in takes:
            part.add_to(verb)
        verb.set_defaults(run=run, fail=verb.error, **defaults)
    return parser


def _warn(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    say(f"warning: {message}")
