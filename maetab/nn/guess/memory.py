"""The memory of windows: what those like a window say of its hidden cells, by a learned metric.

Attention over remembered windows (rows, where T is 1): averages of their real cells, weighted by a
softmax of minus the squared distance. Two are compared where both are visible, a cell that only one
of them has costs a constant, and by learned keys of the windows as wholes (`keys.py`). Weight and
constant of each cell and the keys are learned by predicting cells that are hidden for the purpose.
A window never reads one that shares a physical row with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate, repeat
from typing import Any, NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from maetab.nn.guess.keys import WindowKeys, nearness

NARROW = 16  # columns of a product up to which its last bit may depend on a row's place
MIN_ROWS = 16  # so that no product is narrow; places that stay empty know nothing, and are not read
N_HEADS = 4
BARRED = 1e30  # farther than any row that may be read
MAX_LOGITS = 2**18  # of a head, computed together outside training: they stay in the cache


class Neighbours(NamedTuple):
    """What the remembered rows say of each coordinate: (heads, B, C) each, or (B, C) once mixed.

    mean, square : of their values, and of the squares of these
    residual : mean of what the base guess missed in them
    """

    mean: Tensor
    square: Tensor
    residual: Tensor

    @property
    def variance(self) -> Tensor:
        """Of their values."""
        return (self.square - self.mean.square()).clamp_min(0)


class Nearest(NamedTuple):
    """The remembered rows that are nearest, (heads, B, N): what each weighs, and their places."""

    weight: Tensor
    place: Tensor


class _Part(NamedTuple):
    """Some of the cells of a window, and where they are.

    cells, coordinates : their places among all
    first, number : of each cell, its first coordinate and whether it is a number
    owner : of each coordinate, which of these cells it belongs to
    """

    cells: Tensor | slice
    coordinates: Tensor | slice
    first: Tensor
    number: Tensor
    owner: Tensor


class RowMemory(nn.Module):
    """Remembered rows and the metric that compares them with others.

    Parameters
    ----------
    cells : the cell of a window that each of its C coordinates belongs to
    n_rows : windows to hold
    n_steps : T
    of_numbers : per coordinate, whether it is a number
    key_width : numbers of a learned key; 0 for none
    n_metrics : metrics that are learned side by side, with `N_HEADS` heads each
    """

    values: Tensor
    visible: Tensor
    residuals: Tensor
    overlaps: Tensor
    cells: Tensor
    size: Tensor
    first: Tensor
    number: Tensor

    def __init__(
        self,
        cells: list[int],
        n_rows: int,
        n_steps: int,
        of_numbers: list[bool] | None = None,
        key_width: int = 0,
        n_metrics: int = 1,
    ) -> None:
        super().__init__()
        c = len(cells)
        self.keys: WindowKeys | None = None
        size = list(Counter(cells).values())  # coordinates of each cell, in order
        fixed = {
            "cells": cells,
            "size": size,
            "first": [0, *accumulate(size)][:-1],
            "number": [n == 1 for n in size],
        }
        for name, list_ in fixed.items():
            self.register_buffer(name, torch.tensor(list_), persistent=False)
        self.register_buffer("values", torch.zeros(n_rows, c))
        self.register_buffer("visible", torch.zeros(n_rows, c))
        self.register_buffer("residuals", torch.zeros(n_rows, c))
        # With one step, no remembered row shares anything with another.
        overlaps = torch.full((n_rows, 2 * n_steps - 1), -1)
        overlaps[:, 0] = torch.arange(n_rows)
        self.register_buffer("overlaps", overlaps, persistent=n_steps > 1)
        # A row far away in many cells is far enough: the scale falls with their number.
        n_cells = len(size)
        start = torch.full((n_cells,), 2.0 * min(1.0, 10 / n_cells)).log()
        self.n_heads = n_metrics * N_HEADS
        shape = (self.n_heads, n_cells)
        self.log_weight = nn.Parameter(start + 0.5 * torch.randn(shape))
        self.log_cost = nn.Parameter(torch.zeros(shape))
        self.choice = nn.Parameter(torch.zeros(shape))
        if key_width and of_numbers is not None:
            self.keys = WindowKeys(of_numbers, n_rows, self.n_heads, key_width)

    def forward(self, *args: Any, **kwargs: Any) -> Neighbours:
        """Return what rows like these say, head by head; parameters as in `read`."""
        return self.read(*args, **kwargs)[0]

    def read(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None = None,
        n_remembered: int | slice | None = None,
        asked: Tensor | None = None,
        keys: tuple[Tensor, Tensor] | None = None,
        n_nearest: int = 0,
    ) -> tuple[Neighbours, Nearest]:
        """Return what rows like these say, head by head, and which are nearest.

        Parameters
        ----------
        values : (B, C); what is not visible is never read
        visible : (B, C) bool
        memory_index : (B, P) remembered rows that share a physical row with each, -1 for none
        n_remembered : compare with so many of the remembered rows only, or with those at these
            places; None for all
        asked : (T * F,) bool, cells that are visible in no row; the result has their coordinates
            alone. None for all coordinates
        keys : (heads, B, D) of these rows and (heads, n, D) of those compared with; None for none
        n_nearest : rows that are told, at most
        """
        within = n_remembered if isinstance(n_remembered, slice) else slice(n_remembered)
        kept, known, part = self.values[within], self.visible[within], self._part(asked)
        read = [
            known[:, part.first],
            kept[:, part.first[part.number]].square(),
            kept[:, part.coordinates],
            self.residuals[within, part.coordinates],
        ]
        # Padded: kernels of narrow products depend on a row's place, and other widths take longer.
        width = [x.shape[1] for x in read]
        width.append(-sum(width) % NARROW)
        averaged = torch.cat([*read, kept.new_zeros(len(kept), width[-1])], 1)
        n_nearest, found = min(n_nearest, len(kept)), []
        for by_heads in self._weights(values, visible, memory_index, within, asked, keys):
            parts = [(x @ averaged, *x.topk(n_nearest, 1)) for x in by_heads]
            whole = (
                torch.cat(x).unflatten(0, (self.n_heads, -1)) for x in zip(*parts, strict=True)
            )
            found.append(list(whole))
        averages, *of_nearest = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
        total, square, mean, residual, _ = averages.split(width, -1)
        # The square of an indicator is the indicator.
        is_number = part.number[part.owner]
        place = torch.where(is_number, mean.shape[-1] + is_number.cumsum(0) - 1, 0)
        place = torch.where(is_number, place, torch.arange(len(place), device=place.device))
        square = torch.cat([mean, square], -1)[..., place]
        # A millionth of the cell's mean (zero) where no similar row has the cell.
        # Without keys the heads are only ever mixed, so they come with their shares.
        share = self.choice.softmax(0)[:, None, part.cells] if self.keys is None else 1.0
        per_row = (share / (total + 1e-6))[..., part.owner]
        near = Neighbours(*(x * per_row for x in (mean, square, residual)))
        return near, Nearest(*of_nearest)

    def mixed(self, near: Neighbours, asked: Tensor | None = None) -> Neighbours:
        """Return the heads' answers (heads, B, C) mixed by what each cell has chosen, (B, C)."""
        if self.keys is None:
            return Neighbours(*(x.sum(0) for x in near))
        cells = self.cells if asked is None else self.cells[asked[self.cells]]
        share = self.choice.softmax(0)[:, None, cells]
        return Neighbours(*((x * share).sum(0) for x in near))

    def mixed_by_metric(self, near: Neighbours) -> Iterator[Neighbours]:
        """Give the answers of each metric, its heads (of heads, B, C) mixed, (B, C)."""
        choices = self.choice.split(N_HEADS)
        parts = zip(choices, *(x.split(N_HEADS) for x in near), strict=True)
        for choice, *own in parts:
            share = choice.softmax(0)[:, None, self.cells]
            yield Neighbours(*((x * share).sum(0) for x in own))

    def _part(self, inside: Tensor | None) -> _Part:
        """Return the cells where `inside` (T * F,) is True; None for all."""
        if inside is None:
            return _Part(slice(None), slice(None), self.first, self.number, self.cells)
        cells, coordinates = inside.nonzero()[:, 0], inside[self.cells].nonzero()[:, 0]
        owner = (inside.cumsum(0) - 1)[self.cells[coordinates]]
        return _Part(cells, coordinates, self.first[cells], self.number[cells], owner)

    def _weights(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None,
        within: slice,
        asked: Tensor | None,
        keys: tuple[Tensor, Tensor] | None,
    ) -> Iterator[Iterator[Tensor]]:
        """Give, for some rows after the other, how near each remembered row is, as `_weigh` does.

        within : places of the remembered rows that are compared with; others as in `forward`
        """
        kept, known = self.values[within], self.visible[within]
        given = self._part(None if asked is None else ~asked)
        shared, squares = known[:, given.first], kept[:, given.first[given.number]].square()
        right = torch.cat([shared, squares, kept[:, given.coordinates]], 1)  # (n, K)
        idle = _rows_to_bar(known, None if asked is None else asked[self.cells])
        if memory_index is None:
            memory_index = visible.new_full((len(values), 1), -1, dtype=torch.long)
        memory_index = memory_index - (within.start or 0)
        memory_index = memory_index.where((memory_index >= 0) & (memory_index < len(kept)), -1)
        left = self._left(values, visible, given)
        n_rows, n_heads = len(values), self.n_heads
        if not torch.is_grad_enabled() and values.device.type == "cpu":
            n_rows, n_heads = max_batch_rows(len(kept)), 1
        for start in range(0, len(values), n_rows):
            own = slice(start, start + n_rows)
            some = None if keys is None else (keys[0][:, own], keys[1])
            rows = visible[own], memory_index[own]
            yield self._weigh(left[:, own], some, *rows, known, right, idle, n_heads)

    def _weigh(
        self,
        left: Tensor,
        keys: tuple[Tensor, Tensor] | None,
        visible: Tensor,
        memory_index: Tensor,
        known: Tensor,
        right: Tensor,
        idle: Tensor | slice,
        n_heads: int,
    ) -> Iterator[Tensor]:
        """Give, for `n_heads` heads after the other, (g * B, n) weights of the remembered rows.

        left : (heads, B, K) as of `_left`
        keys : (heads, B, D) and (heads, n, D); None for none
        known : (n, C) what the remembered rows know
        memory_index : (B, P) as in `forward`, -1 for rows that are not compared with
        idle : of `_rows_to_bar`
        """
        idle = slice(None) if bool(visible.all(1).any()) else idle
        # Rows that know nothing of what is hidden would take all, and leave the guess to nobody.
        barred = BARRED * ((~visible).to(known) @ known[idle].T < 0.5).to(known)
        ours, which = (memory_index >= 0).nonzero(as_tuple=True)
        learns = torch.is_grad_enabled()
        near: Iterable[Tensor | None] = repeat(None)
        if keys is not None:
            pairs = zip(*(x.split(n_heads) for x in keys), strict=True)
            near = (nearness(*pair).flatten(0, 1) for pair in pairs)
        for own, of_keys in zip(left.split(n_heads), near, strict=False):
            pair = own.flatten(0, 1), right.T
            # Gradients through what is changed in place would be copied, here and below.
            add = torch.mm if of_keys is None else of_keys.addmm if learns else of_keys.addmm_
            logits = add(*pair).unflatten(0, own.shape[:2])
            bars = logits.new_zeros(1, *logits.shape[1:]) if learns else logits
            if barred.shape[1]:
                bars[..., idle] -= barred
            if len(ours):
                bars[:, ours, memory_index[ours, which]] = -2 * BARRED  # behind those
            yield (logits + bars if learns else bars).flatten(0, 1).softmax(1)

    def _left(self, values: Tensor, visible: Tensor, given: _Part) -> Tensor:
        """Return (heads, B, K), whose product with what is remembered is minus the distance.

        The distance sums weight * (difference^2 - cost) over shared coordinates: what a coordinate
        costs where it is not shared, less a constant of the row, which softmax ignores. Two levels
        differ by 2 or by 0, so a category needs one entry for what is shared and one per level.
        """
        # Squares of larger numbers would pass what single precision holds.
        clean = torch.where(visible, values, 0.0).clamp(-1e6, 1e6).to(self.values.dtype)
        shared = visible[:, given.first].to(self.values.dtype)
        own = torch.where(given.number, clean[:, given.first].square(), 2.0)  # (B, F)
        weight, cost = self.log_weight.exp(), self.log_cost.exp()  # (heads, F)
        weight, cost = weight[:, given.cells], cost[:, given.cells]
        parts = [
            (weight * cost * self.size[given.cells])[:, None] * shared
            - weight[:, None] * (shared * own),
            -weight[:, None, given.number] * shared[:, given.number],
            2 * weight[:, None, given.owner] * clean[:, given.coordinates],
        ]
        return torch.cat(parts, 2)

    @torch.no_grad()
    def fill(
        self, values: Tensor, visible: Tensor, residuals: Tensor, memory_index: Tensor
    ) -> None:
        """Remember these rows, (n, C) each.

        Parameters
        ----------
        residuals : what the base guess missed in them
        memory_index : (n, P) as in `forward`, of these rows
        """
        n = len(values)
        self.values[:n] = torch.where(visible, values, 0.0)
        self.visible[:n] = visible.to(self.visible.dtype)
        self.residuals[:n] = torch.where(visible, residuals, 0.0)
        most = self.overlaps.shape[1]
        distinct = memory_index.sort(dim=1).values
        again = nnf.pad(distinct[:, 1:] == distinct[:, :-1], (1, 0))
        distinct = distinct.masked_fill(again, -1).sort(dim=1, descending=True).values[:, :most]
        self.overlaps[:n] = nnf.pad(distinct, (0, most - distinct.shape[1]), value=-1)

    def overlapping(self, places: Tensor) -> Tensor:
        """Return (B, P): all that share a physical row with the remembered rows `places` (B,).

        -1 for none, as where `places` is -1.
        """
        found = self.overlaps[places.clamp_min(0)]
        return torch.where(places[:, None] >= 0, found, -1)


def max_batch_rows(n_remembered: int) -> int:
    """Return how many rows are compared together with remembered ones, without gradients."""
    return max(8, MAX_LOGITS // n_remembered // 8 * 8)


def _rows_to_bar(known: Tensor, asked: Tensor | None) -> Tensor | slice:
    """Return the rows, `known` (n, C), that may know nothing of what is hidden.

    Where nothing is hidden every row knows nothing of it. `asked` (C,) is hidden in any case.
    """
    if asked is not None:
        return (known[:, asked] < 0.5).all(1).nonzero()[:, 0]
    return slice(0) if bool((known > 0).all()) else slice(None)
