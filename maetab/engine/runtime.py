"""Where, how and how long a model runs: devices, precision, generators, time limits."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator

import torch

PROBE = 0.02  # share of the time left after which finding out what rows cost ends
GROWTH = 4  # how many times as many rows come next
PROBED = 512  # rows that it looks at
SLACK = 0.9  # share of the time left that is planned with


def pick_device(device: str | torch.device) -> torch.device:
    """Return the device that `device` names; "auto" is CUDA where there is one, else the CPU.

    Of several processes on a machine each has a CUDA device of its own, if there are enough.

    Raises
    ------
    ValueError
        If torch does not know the name, or the machine lacks the device.
    """
    if device == "auto":
        return _own_cuda() if torch.cuda.is_available() else torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"The 'device' parameter must be 'auto' or a device of this machine such as 'cpu', "
            f"got {device!r}."
        ) from error
    return chosen


def _own_cuda() -> torch.device:
    """Return the CUDA device of this process, of several that torchrun has started here."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def backend_of_device() -> str:
    """Return by what processes are to talk, with the device of this one chosen for it.

    NCCL refuses two processes of one device.
    """
    if not torch.cuda.is_available():
        return "gloo"
    torch.cuda.set_device(_own_cuda())
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return "gloo" if here > torch.cuda.device_count() else "cpu:gloo,cuda:nccl"


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed torch inside the block, and give a generator; the global state comes back after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield torch.Generator(device=device).manual_seed(seed)


class Deadline:
    """A time limit that runs from the moment it is made.

    Parameters
    ----------
    seconds : None for no limit
    clock : returns seconds since some moment
    """

    def __init__(
        self, seconds: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = math.inf if seconds is None else float(seconds)
        self.clock, self.began = clock, clock()

    @property
    def limited(self) -> bool:
        return math.isfinite(self.seconds)

    def used(self) -> float:
        """Return the share of the time that has passed, more than 1 when late; 0 without limit."""
        return (self.clock() - self.began) / self.seconds

    def left(self) -> float:
        """Return the seconds left, negative when late."""
        return self.began + self.seconds - self.clock()

    def part(self, share: float) -> Deadline:
        """Return the limit that began with this one and ends after a share of its time."""
        part = Deadline(self.seconds * share, self.clock)
        part.began = self.began
        return part

    def seconds_per_row(self, work: Callable[[int], object], n_rows: int, start: int = 1) -> float:
        """Return what a row costs in `work(count)`, measured with counts that grow from `start`.

        They grow until one takes a share `PROBE` of the time left: what a call costs besides its
        rows is not taken for their cost. One that takes longer than those before suggest, perhaps
        by a pause of the machine, is done again.
        """
        most = min(n_rows, max(start, PROBED))
        count, usual = min(start, most), 0.0
        while True:
            took = self._timed(work, count)
            if took > 2 * usual and 1 < took / (PROBE * self.left()) < GROWTH:
                took = min(took, self._timed(work, count))
            if count == most or took > PROBE * self.left():
                return took / count
            count, usual = min(GROWTH * count, most), GROWTH * took

    def _timed(self, work: Callable[[int], object], count: int) -> float:
        began = self.clock()
        work(count)
        return self.clock() - began

    def affordable(
        self, work: Callable[[int], object], n_rows: int, passes: float = 1, start: int = 1
    ) -> int:
        """Return how many of `n_rows` there is time for, `start` at least; all without limit.

        Parameters
        ----------
        work : does what is to be timed with so many rows
        passes : times that the work is to be done
        start : rows that cost as much as one, because batches are padded to so many
        """
        if not self.limited or n_rows <= start:
            return n_rows
        cost = passes * self.seconds_per_row(work, n_rows, start)
        return max(start, min(n_rows, int(SLACK * self.left() / max(cost, 1e-9))))
