"""Cells kept from training: held out by physical row, so in every window that holds the row.

Each pass over them looks at as many windows as there is time for, spread evenly over the table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from maetab.nn.masking import Gaps
from maetab.nn.windows import Windows

N_PAIRS = 20_000_000  # pairs of tokens that a training batch may compare
PASSED_PAIRS = 5_000_000  # that may be compared together where nothing is learned
COORDINATES = 1_000_000  # coordinates of windows that a pass looks at together
LAST, LEAST_WINDOWS = 0.2, 30  # share of the windows of a course that judges, if it has so many
SPACING = 16  # columns of a table of which one cell is held out at a time, where all are looked at
LIMITED = 256  # windows that it looks at together where time is short


@dataclass(frozen=True)
class HeldOut:
    """Windows, the cells of their rows `held` (n, F) out, and those left `shown` (n, F).

    judged : windows that cells were held out from; None for all
    learned : windows that networks learn from; None for all
    """

    windows: Windows
    held: Tensor
    shown: Tensor
    judged: Tensor | None = None
    learned: Tensor | None = None

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
        t, f = self.windows.rows.shape[1], self.windows.values.shape[1]
        return min(most, max(8, n_pairs // (t * (f + 1) * (f + t))))

    def sample(self) -> Tensor:
        """Return evenly spaced windows, all or some 10,000, fewer if they are wide."""
        every = self.judged
        if every is None:
            every = torch.arange(len(self), device=self.held.device)
        most = max(256, 10 * self.max_batch_rows(1000))
        return every[:: max(1, len(every) // most)]

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
    """Return windows with observed cells kept from training.

    Of tables single cells, never a row's only one; the number that decides about a cell is drawn
    for its physical row. Of windows of several steps gaps of many shapes, in the last windows of
    the course, that share no row, as many as hold three times the fraction of the rows if there are
    so many; networks learn from the windows before: what they bring is to hold for later times.
    """
    observed = windows.observed
    if windows.rows.shape[1] > 1:
        return _hold_out_gaps(windows, fraction, generator)
    drawn = torch.rand(observed.shape, generator=generator, device=observed.device)
    held = observed & (drawn < fraction)
    held = held & (observed & ~held).any(1, keepdim=True)
    return HeldOut(windows, held, observed & ~held)


def hold_out_one_by_one(table: HeldOut, n_cells: int) -> Iterator[HeldOut]:
    """Give the same table with few cells of a row held out each time, until there are `n_cells`.

    One in `SPACING` of a row's cells, one at least and never its only one: the others are seen as
    they will be when what is missing is filled. Those that `table` holds out come first, in the
    windows that have some; the others are for what is asked of a first guess that has not seen the
    rows: networks may have learned from them.
    """
    held, observed = table.held, table.windows.observed
    generator = torch.Generator(held.device).manual_seed(int(observed.sum()))
    drawn = torch.rand(held.shape, generator=generator, device=held.device)
    at_once, total = max(1, held.shape[1] // SPACING), 0
    for group in (held, observed & ~held):
        if total >= n_cells:
            return
        order = (drawn + ~group).argsort(1).argsort(1) // at_once
        for part in range(int(group.sum(1).max()) // at_once + 1):
            now = group & (order == part)
            now &= (observed & ~now).any(1, keepdim=True)
            rows = now[table.windows.rows].any(2).any(1).nonzero()[:, 0]
            if total >= n_cells or not len(rows):
                break
            total += int(now.sum())
            yield HeldOut(table.windows, now, observed & ~now, judged=rows)


def _hold_out_gaps(windows: Windows, fraction: float, generator: torch.Generator) -> HeldOut:
    rows, observed = windows.rows, windows.observed
    if not fraction or not len(rows):
        return HeldOut(windows, torch.zeros_like(observed), observed)
    n, most = len(rows), math.ceil(round(3 * fraction * len(observed) / rows.shape[1], 6))
    first = n - math.ceil(LAST * n) if n >= LEAST_WINDOWS else 0
    order = first + torch.randperm(n - first, generator=generator, device=rows.device)
    judged = torch.tensor(_apart(rows.cpu().numpy(), order.tolist(), most), dtype=torch.long)
    judged, learned = judged.to(rows.device), None
    if first:
        late = torch.zeros(len(observed) + 1, dtype=torch.bool, device=rows.device)
        late[rows[first:]] = True
        late[-1] = False  # where -1 points to
        learned = (~late[rows].any(1)).nonzero()[:, 0]
    held, inside = torch.zeros_like(observed), rows[judged] >= 0
    hidden = Gaps()(windows.take(judged)[1], generator)
    held[rows[judged][inside]] = hidden[inside]
    return HeldOut(windows, held, observed & ~held, judged, learned)


def _apart(rows: np.ndarray, order: list[int], most: int) -> list[int]:
    """Return the first windows in an order that share no row with those before, ascending."""
    taken, chosen = np.zeros(rows.max(initial=-1) + 2, bool), list[int]()
    for one in order:
        if len(chosen) >= most:
            break
        own = rows[one][rows[one] >= 0]
        if not taken[own].any():
            taken[own] = True
            chosen.append(one)
    return sorted(chosen)
