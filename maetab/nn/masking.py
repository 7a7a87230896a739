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


MASKINGS: dict[str, Any] = {
    "bernoulli": Bernoulli,
    "fixed": FixedRatio,
    "block": Block,
    "copy": CopyObserved,
    "proportional": Proportional,
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
