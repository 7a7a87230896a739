"""What fit reports while it runs: messages through the logger "maetab"."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

logger = logging.getLogger("maetab")
logger.addHandler(logging.NullHandler())
Record = dict[str, float]
EVERY, OFTEN = 10.0, 0.3  # seconds between messages to logs, and between those to terminals
# What the time left is told from: less would be a guess from a few steps, the first of them slow.
LEAST_SECONDS, LEAST_SHARE = 2.0, 0.02
CLEAR = "\r\x1b[K"  # a terminal's line


@dataclass(eq=False)
class Progress:
    """Logs what is being done and how long it may take.

    Messages are of level INFO where something begins or is measured, and every ten seconds; in
    between there are more of level DEBUG, for a line that moves.

    Parameters
    ----------
    left : returns the seconds left of a limit, infinite without one
    clock : returns seconds since some moment
    write : takes the level of a message and its text
    """

    left: Callable[[], float]
    clock: Callable[[], float] = time.monotonic
    write: Callable[[int, str], None] = logger.log

    def __post_init__(self) -> None:
        self.what, self.measured, self.share = "", "", 0.0
        self.began = self.sent = self.logged = self.clock()

    def __call__(self, what: str, share: float = 0.0) -> None:
        """Report what is being done; `share` of it, and of what is like it, is done already."""
        now = self.clock()
        if not share:
            self.began = now
        is_new = what != self.what
        if is_new:
            self.what, self.measured = what, ""
        if is_new or now - self.logged >= EVERY:
            self.log(logging.INFO, share)
        elif now - self.sent >= OFTEN:
            self.log(logging.DEBUG, share)

    def record(self, record: Record) -> None:
        """Report a record of the history."""
        epoch, loss = record["epoch"], record["validation_loss"]
        self.measured = f", epoch {epoch:.0f}: held-out loss {loss:.4f}"
        self.log(logging.INFO, self.share)

    def log(self, level: int, share: float) -> None:
        """Log a message with the time left, where that is known."""
        now, self.share = self.clock(), share
        self.sent, self.logged = now, now if level == logging.INFO else self.logged
        done = now - self.began
        has_basis = share >= LEAST_SHARE and done >= LEAST_SECONDS
        rest = done * (1 - share) / share if has_basis else float("inf")
        rest = min(rest, max(0.0, self.left()))
        about = f", about {duration(rest)} left" if rest < float("inf") else ""
        self.write(level, f"maetab: {self.what}{self.measured}{about}")


def duration(seconds: float) -> str:
    """Return a duration as it is said: in seconds up to two minutes, in minutes up to two hours.

    >>> duration(45.2), duration(130), duration(9000)
    ('45 s', '2 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class Line(logging.Handler):
    """Writes messages to stderr: over each other on a terminal, else as lines.

    Parameters
    ----------
    every : seconds between lines where stderr is no terminal; DEBUG is never written there
    clock : returns seconds since some moment
    """

    def __init__(self, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.every, self.clock, self.sent = every, clock, clock()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message of a logger."""
        self.write(record.levelno, record.getMessage())

    def write(self, level: int, message: str) -> None:
        """Write a message; one that cannot be written stops nobody's work."""
        with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr may be None
            if sys.stderr.isatty():
                sys.stderr.write(CLEAR + message[: shutil.get_terminal_size().columns - 1])
            elif level >= logging.INFO and self.clock() - self.sent >= self.every:
                self.sent = self.clock()
                sys.stderr.write(message + "\n")
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave an empty line behind on a terminal."""
        self.write(logging.DEBUG, "")


@contextlib.contextmanager
def lines(every: float = 0.0) -> Iterator[None]:
    """Write the messages of a block to stderr, see `Line`, and to nothing else."""
    handler, level, propagate = Line(every), logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
        handler.clear()


@contextlib.contextmanager
def reported(verbose: int, left: Callable[[], float]) -> Iterator[Progress | None]:
    """Give what reports a fit: to the logger if one listens, else to stderr if `verbose`.

    None where nobody listens.
    """
    line, heard = Line(every=0.0), is_heard()
    try:
        told = heard or verbose
        yield Progress(left, write=logger.log if heard else line.write) if told else None
    finally:
        if verbose and not heard:
            line.clear()


def is_heard() -> bool:
    """Return whether messages of level INFO reach a handler, other than that which drops them."""
    found: logging.Logger | None = logger
    while found is not None and logger.isEnabledFor(logging.INFO):
        if any(not isinstance(handler, logging.NullHandler) for handler in found.handlers):
            return True
        found = found.parent if found.propagate else None
    return False
