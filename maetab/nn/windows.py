"""Windows of physical rows on a device, and which remembered windows share a row with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """Windows over rows that are kept once, however many windows hold them.

    Parameters
    ----------
    values, observed : (n, F) cells of the physical rows; 0 and False where nothing is observed
    rows : (W, T) the physical row at each step of each window, -1 where there is none
    holders : (n, H) for each physical row the places of the remembered windows that hold it, -1
        for none; None before there is a memory
    """

    values: Tensor
    observed: Tensor
    rows: Tensor
    holders: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, windows: Tensor | slice, of: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return values and observed (B, T, F) of windows; steps without row have nothing observed.

        Parameters
        ----------
        windows : (B,) numbers of windows, or a slice
        of : (n, F) bool that takes the place of `observed`
        """
        rows = self.rows[windows]
        inside, rows = (rows >= 0)[..., None], rows.clamp_min(0)
        observed = (self.observed if of is None else of)[rows] & inside
        return torch.where(inside, self.values[rows], 0.0), observed

    def remember(self, windows: Tensor) -> Windows:
        """Return the same windows, `holders` filled in for a memory that holds `windows` (M,)."""
        place, rows = torch.arange(len(windows), device=windows.device), self.rows[windows]
        row, of_step = rows.flatten(), place[:, None].expand_as(rows).flatten()
        row, of_step = row[row >= 0], of_step[row >= 0]
        row, order = row.sort(stable=True)
        count = torch.bincount(row, minlength=len(self.values))
        slot = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
        holders = torch.full((len(self.values), max(1, int(count.max()))), -1, device=row.device)
        holders[row, slot] = of_step[order]
        return replace(self, holders=holders)

    def memory_index(self, windows: Tensor | slice) -> Tensor:
        """Return (B, T * H) places of the remembered windows that share a row with each, -1: none.

        A window does not read these: they hold cells that are hidden in it.
        """
        assert self.holders is not None, "nothing is remembered"
        rows = self.rows[windows]
        found = torch.where((rows >= 0)[..., None], self.holders[rows.clamp_min(0)], -1)
        return found.flatten(1)
