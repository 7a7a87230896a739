"""What the command line prints: results on standard output, messages on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from maetab.progress import CLEAR, logger

MAX_NAMES = 5  # names of a list that are written out


def is_first() -> bool:
    """Whether this process is the first of those that torchrun has started: it alone reports, and
    writes what is not written in parts.
    """
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def say(message: str, of_all: bool = False) -> None:
    """Print a message in place of the line of progress; of the first process, if not `of_all`."""
    if not (of_all or is_first()):
        return
    try:
        print(f"{CLEAR if sys.stderr.isatty() else ''}{message}", file=sys.stderr)
    except BrokenPipeError:  # nobody reads the messages, but the work is wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def report_step(what: str) -> None:
    """Show what is done now in the line of progress."""
    logger.info("maetab: %s", what)


def show_lines(lines: Iterable[str]) -> None:
    """Print lines of a result, of the first of several processes."""
    if not is_first():
        return
    print(*map(on_one_line, lines), sep="\n")


def show_table(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table with aligned columns, of the first of several processes."""
    if not is_first():
        return
    clean = [[on_one_line(cell) for cell in row] for row in rows]
    print(title, *aligned(list(map(on_one_line, head)), clean), sep="\n", end="\n\n")


def aligned(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return the lines of a table whose columns stand one below the other."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def counted(count: int, thing: str) -> str:
    """Return "1 cell", "2 cells"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def listed(
    names: Iterable[Any], most: int = MAX_NAMES, show: Callable[..., str] = repr, more: str = "more"
) -> str:
    """Return the first names, in quotes or as `show` writes them, and how many more there are.

    Numbers of NumPy are written as numbers.
    """
    names = [name.item() if hasattr(name, "item") else name for name in names]
    shown = ", ".join(map(show, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} {more}"


def on_one_line(cell: Any) -> str:
    r"""Return a cell as text in which line ends and other control characters are escaped.

    Examples
    --------
    >>> print(on_one_line("two\nlines"))
    two\nlines
    """
    text = str(cell)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
