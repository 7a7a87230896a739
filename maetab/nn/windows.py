"""Windows of physical rows on a device, and which remembered windows share a row with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

# Of windows, one in so many at least start at a phase that is a usual start: the first and the last
# window of a series start where they must.
USUAL = 8


class Clock(NamedTuple):
    """Where rows (n,) or the steps of windows (B, T) lie in time.

    position : time in steps, whole numbers on a regular grid
    phase : (..., ) int, where in the period; 0 without one
    calendar : (..., K) what the calendar says of a stamp; K may be 0
    fold : (B,) int, the part of the windows whose first guess knows nothing of them; None or -1
        for the guess that has seen all
    seen : (B,) bool, windows that the guess was fitted to; None where that is not known
    """

    position: Tensor
    phase: Tensor
    calendar: Tensor
    fold: Tensor | None = None
    seen: Tensor | None = None

    def to(self, device: torch.device) -> Clock:
        """Return the same on a device."""
        position, phase, calendar = (x.to(device) for x in self[:3])
        fold, seen = (None if x is None else x.to(device) for x in (self.fold, self.seen))
        return Clock(position, phase, calendar, fold, seen)

    def usual_starts(self) -> Tensor:
        """Return the phases that windows (B, T) usually start at; none where there is no period."""
        if not self.phase.any():
            return self.phase.new_zeros(0)
        found, count = self.phase[:, 0].unique(return_counts=True)
        return found[USUAL * count >= count.sum()]


@dataclass(frozen=True)
class Windows:
    """Windows over rows that are kept once, however many windows hold them.

    Parameters
    ----------
    values, observed : (n, F) cells of the physical rows; values that are not observed are not read
    rows : (W, T) the physical row at each step of each window, -1 where there is none
    holders : (n, H) for each physical row the places of the remembered windows that hold it, -1
        for none; None before there is a memory
    clock : of the physical rows; None in tables
    dense : (V, T) rows of more windows, which start at more phases; None for those of `rows`
    fold, seen : (W,) part of the windows that each belongs to, and whether a guess was fitted to
        it, see `Clock`; None for none
    """

    values: Tensor
    observed: Tensor
    rows: Tensor
    holders: Tensor | None = None
    clock: Clock | None = None
    dense: Tensor | None = None
    fold: Tensor | None = None
    seen: Tensor | None = None

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
        observed = self.observed[rows] & inside
        values = torch.where(observed, self.values[rows], 0.0)
        return values, observed if of is None else of[rows] & inside

    def follows(self) -> Tensor:
        """Return (n,) bool: True for rows that stand in a window right behind the row before."""
        one, other = self.rows[:, :-1], self.rows[:, 1:]
        found = torch.zeros(len(self.values), dtype=torch.bool, device=self.rows.device)
        found[other[(one >= 0) & (other == one + 1)]] = True
        return found

    def runs(self) -> Tensor:
        """Return (n,) numbers, the same for rows that windows, overlapping, hold one after another.

        Windows hold rows that follow each other, but for steps without a row.
        """
        n = len(self.values)
        last, first = self.rows.amax(1), torch.where(self.rows >= 0, self.rows, n).amin(1)
        change = torch.zeros(n + 1, dtype=torch.long, device=self.rows.device)
        for ends, step in ((first, 1), (last, -1)):
            own = ends[last >= 0]
            change.index_add_(0, own, torch.full_like(own, step))
        alone = (change.cumsum(0)[:n] == 0).long()  # no window holds the row that follows, too
        return alone.cumsum(0) - alone

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

    def clock_of(self, windows: Tensor | slice) -> Clock | None:
        """Return the clock (B, T) of windows; None in tables.

        Steps without row lie one step beyond those before, or before those after, in phase 0.
        """
        if self.clock is None:
            return None
        rows = self.rows[windows]
        inside, place = rows >= 0, rows.clamp_min(0)
        step = torch.arange(rows.shape[1], device=rows.device)
        first = inside.to(torch.int8).argmax(1, keepdim=True)
        position = self.clock.position[place]
        start = position.gather(1, first) - first
        position = torch.where(inside, position, start + step)
        phase = torch.where(inside, self.clock.phase[place], 0)
        calendar = torch.where(inside[..., None], self.clock.calendar[place], 0.0)
        about = (x if x is None else x[windows] for x in (self.fold, self.seen))
        return Clock(position, phase, calendar, *about)

    def to(self, device: torch.device) -> Windows:
        """Return the same on a device."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        moved = {name: x.to(device) for name, x in fields.items() if x is not None}
        return replace(self, **moved)
