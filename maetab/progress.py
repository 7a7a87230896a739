"""How a long training tells where it is: a bar where rich is installed, else the logger."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

logger = logging.getLogger("maetab")
Record = dict[str, float]


@contextlib.contextmanager
def reported(verbose: int) -> Iterator[Callable[[Record], None] | None]:
    """Give what is to be called with each record of the history; None where nobody listens."""
    if not verbose:
        yield None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        yield lambda record: logger.info(described(record))
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("maetab: first guess", total=None)

        def show(record: Record) -> None:
            progress.update(task, description="maetab: " + described(record))
            logger.info(described(record))

        yield show


def described(record: Record) -> str:
    """Return one record of the history as a line."""
    return (
        f"network {record['network']}, epoch {record['epoch']}: "
        f"training loss {record['train_loss']:.4f}, "
        f"held-out loss {record['validation_loss']:.4f}, {record['seconds']:.1f} s"
    )
