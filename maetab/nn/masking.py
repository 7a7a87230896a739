"""Which observed cells are hidden in one pass: `observed` -> `hidden`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


class Masking(Protocol):
    """What hides cells: any callable like this one, a class of this file or one of the user's."""

    def __call__(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, T, F) bool: True where hidden, never where `observed` is False.

        Random numbers come from the generator, which lives on the device of `observed`.
        """


@dataclass(frozen=True)
class Bernoulli:
    """Hide each observed cell with probability `ratio`, independently of all others.

    Parameters
    ----------
    ratio : in [0, 1)
        Expected share of the observed cells that is hidden.
    """

    ratio: float = 0.5

    def __call__(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, T, F) bool: True where hidden, never where `observed` is False."""
        return observed & (_uniform(observed, generator) < self.ratio)


@dataclass(frozen=True)
class FixedRatio:
    """Hide the same share of every row's observed cells (He et al. 2022, section 3).

    Parameters
    ----------
    ratio : in [0, 1)
        Share of a row's observed cells that is hidden, rounded to whole cells.
    """

    ratio: float = 0.5

    def __call__(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, T, F) bool: True where hidden, never where `observed` is False."""
        cells = observed.flatten(1)  # (B, L)
        drawn = _uniform(cells, generator).masked_fill(~cells, 2.0)
        rank = drawn.argsort(dim=1).argsort(dim=1)
        n_hidden = (cells.sum(1, keepdim=True) * self.ratio).round()
        return ((rank < n_hidden) & cells).view_as(observed)


@dataclass(frozen=True)
class Block:
    """Hide neighbouring cells together: runs along time, or along the columns where T is 1.

    Parameters
    ----------
    ratio : in [0, 1)
        Expected share of the observed cells that is hidden.
    length : at least 1
        Cells in a block; a block that reaches over the end is cut there.
    """

    ratio: float = 0.5
    length: int = 4

    def __call__(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, T, F) bool: True where hidden, never where `observed` is False."""
        axis = 1 if observed.shape[1] > 1 else 2
        length = min(self.length, observed.shape[axis])
        # A cell is visible if none of the `length` places that reach it starts a block.
        start = 1 - (1 - self.ratio) ** (1 / length)
        along = list(observed.shape)
        along[axis] += length - 1
        drawn = torch.rand(along, generator=generator, device=observed.device) < start
        return observed & drawn.unfold(axis, length, 1).any(-1)


@dataclass(frozen=True)
class CopyObserved:
    """Hide what another row of the batch lacks (copy masking; CACTI, Gorla et al. 2025).

    Differs from CACTI: rows that are complete lend no holes, so a Bernoulli share is added, and
    a row whose every cell would be hidden keeps the holes of its own.

    Parameters
    ----------
    ratio : in [0, 1)
        Share of the observed cells that is hidden besides the copied holes.
    """

    ratio: float = 0.3

    def __call__(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, T, F) bool: True where hidden, never where `observed` is False."""
        drawn = torch.rand(len(observed), generator=generator, device=observed.device)
        copied = observed & ~observed[drawn.argsort()]
        spared = (observed & ~copied).flatten(1).any(1)
        copied &= spared[:, None, None]
        return copied | Bernoulli(self.ratio)(observed, generator)


@dataclass(frozen=True)
class Proportional:
    """Hide more of the columns that miss more (proportional masking; PMAE, Kim et al. 2025).

    Differs from PMAE: the odds of hiding grow with the odds of being missing, and complete columns
    are hidden at a floor, so that every column is trained.

    Parameters
    ----------
    ratio : in [0, 1)
        Expected share of the cells that is hidden in a column which misses an average share.
    """

    ratio: float = 0.5

    def __call__(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, T, F) bool: True where hidden, never where `observed` is False."""
        missing = 1 - observed.float().mean((0, 1)).clamp(0.02, 0.98)  # (F,)
        shift = missing.logit() - missing.mean().clamp(0.02, 0.98).logit()
        ratio = torch.tensor(min(max(self.ratio, 1e-6), 1 - 1e-6), device=observed.device)
        chance = torch.sigmoid(ratio.logit() + 0.5 * shift).clamp(0.1 * self.ratio, 0.95)
        return observed & (_uniform(observed, generator) < chance)


@dataclass(frozen=True)
class Gaps:
    """Hide gaps of many shapes: of each window points, runs, whole steps, a block, or a copy.

    A copy is what another window of the batch lacks, so that gaps have the shapes that the data
    have; a window whose partner lacks nothing gets points.

    Parameters
    ----------
    ratio : in [0, 1)
        Expected share of a window that points hide, expected length of a run as a share of the
        window, and of a block along both axes. Shares are drawn anew for each window. 0 hides
        nothing.
    """

    ratio: float = 0.3

    def __call__(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, T, F) bool: True where hidden, never where `observed` is False."""
        if self.ratio == 0:  # a run has a step at least
            return torch.zeros_like(observed)
        b, t, f = observed.shape

        def drawn(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=observed.device)

        power = (1 - self.ratio) / max(self.ratio, 1e-6)  # the mean of u ** power is the ratio
        points = drawn(b, t, f) < drawn(b, 1, 1) ** power
        few = drawn(b, t, f) < self.ratio / 3
        columns = drawn(b, 1, f) < drawn(b, 1, 1)
        runs = columns & _run(drawn(b, f) ** power, drawn(b, f), t).transpose(1, 2)
        rows = _run(drawn(b, 1) ** power, drawn(b, 1), t).transpose(1, 2)
        width = _run(drawn(b, 1) ** power, drawn(b, 1), f)
        copied = ~observed[drawn(b).argsort()]
        copied = torch.where((copied & observed).flatten(1).any(1)[:, None, None], copied, points)
        shapes = torch.stack([points, runs | few, rows | few, rows & width | few, copied])
        kind = (drawn(b) * len(shapes)).long().clamp_max(len(shapes) - 1)
        return observed & shapes[kind, torch.arange(b, device=observed.device)]


def in_whole_windows(hidden: Tensor, observed: Tensor, moving: Tensor) -> Tensor:
    """Return (B, T, F) bool: the same, but of columns that never change all of a window or nothing.

    One of their cells tells the others, and is told to them before a model is asked. All are hidden
    where most are.

    moving : (F,) bool, columns that change within series
    """
    most = 2 * hidden.sum(1, keepdim=True) > observed.sum(1, keepdim=True)
    return torch.where(moving, hidden, most & observed)


def _run(share: Tensor, place: Tensor, length: int) -> Tensor:
    """Return (B, N, length) bool: one run each, of a share of the length, somewhere within it."""
    size = (share * (length - 1)).long() + 1
    first = (place * (length - size + 1)).long()
    step = torch.arange(length, device=share.device)
    return (step >= first[..., None]) & (step < (first + size)[..., None])


MASKINGS: dict[str, Any] = {
    "bernoulli": Bernoulli,
    "fixed": FixedRatio,
    "block": Block,
    "copy": CopyObserved,
    "proportional": Proportional,
    "gaps": Gaps,
}


def swap(
    values: Tensor, visible: Tensor, ratio: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Give a share of the visible cells the value that another row has there (swap noise).

    Parameters
    ----------
    values, visible : (B, T, F)
    ratio : in [0, 1); of the visible cells. Cells that draw their own value, or one that is not
        visible, stay as they are.

    Returns
    -------
    values : (B, T, F) with cells swapped
    swapped : (B, T, F) bool, True where the value is another
    """
    giver = torch.randint(len(values), values.shape, generator=generator, device=values.device)
    given, shown = values.gather(0, giver), visible.gather(0, giver)
    drawn = _uniform(visible, generator) < ratio
    swapped = visible & shown & drawn & (values != given)
    return torch.where(swapped, given, values), swapped


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device)
