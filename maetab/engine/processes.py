"""Processes that fit one model together, as torchrun starts them: who they are, what they agree on.

Each has the same table and takes its share of a training step; torch.distributed carries gradients.
"""

from __future__ import annotations

import atexit
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import parent_process
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from maetab.engine.runtime import backend_of_device

# Others wait while the first one fits a first guess; one that ends is noticed at once in any case.
PATIENCE = timedelta(days=2)
SILENT = ("gloo", "NCCL", "Connection closed", "Connection reset")  # in errors of torch
_own_pid: int | None = None  # the process that has joined others


@dataclass(frozen=True)
class Processes:
    """The processes of a fit, as one of them sees them.

    Parameters
    ----------
    rank : number of this one, from 0
    size : how many there are
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, value: Any) -> Any:
        """Return the value of the first process; the others may pass None."""
        if self.size == 1:
            return value
        held = [value]
        with _told():
            dist.broadcast_object_list(
                held, group=_talk(dist.group.WORLD), device=torch.device("cpu")
            )
        return held[0]

    def of_first(self, work: Callable[[], Any]) -> Any:
        """Return what work of the first process gives; what it raises is raised in all."""
        return self.of_all(work if self.first else lambda: None)[0]

    def of_all(self, work: Callable[[], Any]) -> list[Any]:
        """Return what work gives in each process; what it raises in any is raised in all."""
        if self.size == 1:
            return [work()]
        value, error = None, None
        try:
            value = work()
        except Exception as raised:  # whatever it is, raised below, once the others know
            error = raised
        told = None if error is None else f"{type(error).__name__}: {error}"
        found = self.gather((value, told))
        if error is not None:
            raise error
        for rank, (_, told) in enumerate(found):
            if told is not None:
                raise RuntimeError(f"process {rank} of {self.size}, which fit together: {told}")
        return [value for value, _ in found]

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, in order."""
        held = [value] * self.size
        if self.size > 1:
            with _told():
                dist.all_gather_object(held, value, group=_talk(dist.group.WORLD))
        return held

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        return any(self.gather(flag))

    def parallel(self, network: nn.Module) -> nn.Module:
        """Return a network whose gradients are the mean of those of all processes."""
        if self.size == 1:
            return network
        with _told():
            return nn.parallel.DistributedDataParallel(network)

    def make_alike(self, fitted: Any) -> None:
        """Give an estimator what the first process has fitted in its place."""
        if self.size > 1:
            state = {k: v for k, v in fitted.__getstate__().items() if k.endswith("_")}
            fitted.__setstate__(self.share(state if self.first else None))

    def answering(self) -> AbstractContextManager[None]:
        """Return the context of what all processes do together; one error if one has ended."""
        return nullcontext() if self.size == 1 else _told()


ALONE = Processes()


def processes() -> Processes:
    """Return the processes that this one was started with, by torchrun or by one who does as it.

    They are those of the group of torch.distributed, which is begun if RANK and WORLD_SIZE tell of
    one. Worker processes that one of them has started are alone.
    """
    global _own_pid
    if not dist.is_available():
        return ALONE
    if not dist.is_initialized():
        if place()[1] == 1:
            return ALONE
        dist.init_process_group(backend_of_device(), timeout=PATIENCE)
        atexit.register(_leave)
    if _own_pid is None:
        _own_pid = os.getpid()
        atexit.register(_talk.cache_clear)  # before the group above is left
    return Processes(*place())


def place() -> tuple[int, int]:
    """Return the number of this process among those that it was started with, and how many."""
    if _own_pid not in (None, os.getpid()):  # a fork of one of them
        return 0, 1
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    size = int(os.environ.get("WORLD_SIZE") or 1)
    if size == 1 or "RANK" not in os.environ or parent_process() is not None:
        return 0, 1
    return int(os.environ["RANK"]), size


@functools.cache
def _talk(world: Any) -> Any:
    """Return a group of the same processes for what is no tensor.

    That of a user may know CUDA alone, and wait for minutes only. It is let go before Python ends:
    its threads may want Python's lock for their last message, and then end the process by a signal.
    """
    return dist.new_group(backend="gloo", timeout=PATIENCE)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _told() -> Iterator[None]:
    """Say what it means that others do not answer."""
    try:
        yield
    except RuntimeError as error:
        silent = isinstance(error, dist.DistError)
        if not silent and not any(word in str(error) for word in SILENT):
            raise
        raise ConnectionError(
            f"another of the {dist.get_world_size()} processes that fit one model together has "
            f"ended, or does not answer; see what it has written. ({error})"
        ) from error
