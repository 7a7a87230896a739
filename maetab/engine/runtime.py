"""Where and how a model runs: devices, precision, generators."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def pick_device(device: str | torch.device) -> torch.device:
    """Return the device that `device` names; "auto" is CUDA where there is one, else the CPU.

    Raises
    ------
    ValueError
        If torch does not know the name, or the machine lacks the device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"The 'device' parameter must be 'auto' or a device of this machine such as 'cpu', "
            f"got {device!r}."
        ) from error
    return chosen


def training_precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the autocast context of a training step: bfloat16 on CUDA, nothing on the CPU."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return contextlib.nullcontext()


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed torch inside the block, and give a generator; the global state comes back after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield torch.Generator(device=device).manual_seed(seed)
