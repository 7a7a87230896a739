"""Cells kept from training: held out by physical row, so in every window that holds the row.

Each pass over them looks at as many windows as there is time for, spread evenly over the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from maetab.nn.windows import Windows

N_PAIRS = 20_000_000  # pairs of tokens that a training batch may compare
PASSED_PAIRS = 5_000_000  # that may be compared together where nothing is learned
COORDINATES = 1_000_000  # coordinates of windows that a pass looks at together
LIMITED = 256  # windows that it looks at together where time is short


@dataclass(frozen=True)
class HeldOut:
    """Windows, the cells of their rows `held` (n, F) out, and those left `shown` (n, F)."""

    windows: Windows
    held: Tensor
    shown: Tensor

    def __len__(self) -> int:
        return len(self.windows)

    def cells(self, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values, visible and held out (B, T, F) of some windows."""
        values, visible = self.windows.take(chosen, self.shown)
        return values, visible, self.windows.take(chosen, self.held)[1]

    @property
    def n_cells(self) -> int:
        """Cells of a window."""
        return self.windows.rows.shape[1] * self.windows.values.shape[1]

    def max_batch_rows(self, most: int, n_pairs: int = N_PAIRS) -> int:
        """Return how many windows to look at together; attention compares pairs of their cells."""
        return min(most, max(8, n_pairs // (self.n_cells + 1) ** 2))

    def sample(self) -> Tensor:
        """Return evenly spaced windows, all or some 10,000, fewer if they are wide."""
        n, most = len(self), max(256, 10 * self.max_batch_rows(1000))
        return torch.arange(0, n, max(1, n // most), device=self.held.device)

    def sample_batches(self, n_rows: int, n_coordinates: int) -> Iterator[Tensor]:
        """Give evenly spaced windows, `n_rows` of `sample`, in batches that memory holds.

        If these are not all, each batch is spread over the table: those before a deadline are a
        fair sample.
        """
        rows = self.sample()
        size = min(self.max_batch_rows(1024, PASSED_PAIRS), COORDINATES // n_coordinates)
        size = max(8, size)
        if n_rows >= len(rows):
            yield from rows.split(size)
            return
        rows = rows[torch.linspace(0, len(rows) - 1, max(n_rows, 1), device=rows.device).long()]
        n_batches = -(-len(rows) // min(size, LIMITED))
        yield from (rows[i::n_batches] for i in range(n_batches))


def hold_out(windows: Windows, fraction: float, generator: torch.Generator) -> HeldOut:
    """Return windows with observed cells kept from training, never a row's only one.

    The number that decides about a cell is drawn for its physical row.
    """
    observed = windows.observed
    drawn = torch.rand(observed.shape, generator=generator, device=observed.device)
    held = observed & (drawn < fraction)
    held = held & (observed & ~held).any(1, keepdim=True)
    return HeldOut(windows, held, observed & ~held)
