"""What memory a fit needs at least, and whether this machine has it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line asks without torch
    import torch

    from maetab.nn.config import ModelConfig

# Bytes per coordinate, and per coordinate of a row, in the largest stage of a fit; and rows that
# are looked at together at most. `python -m benchmarks.wide_memory` prints what is measured, which
# was within a quarter of this.
PER_COORDINATE, PER_CELL, MOST_ROWS = 390_000, 720, 6800
# What tells the limit of a container, what of it is used, and what of that are files that were read
# and are not in use, which the system drops first; by the version of its control groups.
CGROUPS = Path("/sys/fs/cgroup")
LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def refuse_too_large(name: str, n_rows: int, config: ModelConfig, device: torch.device) -> None:
    """Raise a MemoryError if a table is so wide that a fit would not find the memory it needs.

    Series are fitted in groups of columns that memory holds, and are not refused; nor is what other
    devices hold.

    Parameters
    ----------
    name : of the estimator, for the error
    n_rows : to learn from
    """
    available = memory_available()
    if config.is_series or device.type != "cpu" or available is None:
        return
    needed = memory_needed(n_rows, config.n_coordinates * config.n_steps)
    if needed <= available:
        return
    n_columns, n_coordinates = len(config.n_levels), config.n_coordinates * config.n_steps
    levels = f" ({n_coordinates} with one per level and step)" if n_coordinates > n_columns else ""
    raise MemoryError(
        f"{name} would need about {_gib(needed)} of memory for {n_rows} rows of {n_columns} "
        f"columns{levels}, and {_gib(available)} is free. Fit to fewer columns, such as groups of "
        f"{_fitting(n_rows, available, config)} that belong together, one estimator each; or free "
        f"memory."
    )


def memory_needed(n_rows: int, n_coordinates: int) -> int:
    """Return the bytes that a fit to a table needs beside the table.

    n_coordinates : a number per column of numbers and per level of a category
    """
    return n_coordinates * (PER_COORDINATE + PER_CELL * min(n_rows, MOST_ROWS))


def memory_available() -> int | None:
    """Return the bytes that this process may still take; None where the system does not tell."""
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable:")]
    for limit, used, stat, kept in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # of a container; "max" is no number
            most, taken = (int((CGROUPS / x).read_text()) for x in (limit, used))
            found.append(most - taken + _files_kept(CGROUPS / stat, kept))
    return max(0, min(found)) if found else None


def _files_kept(stat: Path, name: str) -> int:
    """Return the bytes of files in memory that a container can do without; 0 if it does not say."""
    with contextlib.suppress(OSError, ValueError):
        lines = (line.split() for line in stat.read_text(encoding="ascii").splitlines())
        return sum(int(count) for key, count in lines if key == name)
    return 0


def _fitting(n_rows: int, available: int, config: ModelConfig) -> int:
    """Return how many columns there is memory for, in round numbers."""
    per_column = memory_needed(n_rows, config.n_coordinates * config.n_steps) / len(config.n_levels)
    count = max(1, int(available / per_column))
    return count if count < 20 else count // 10 * 10


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB"
