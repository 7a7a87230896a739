"""Windows that a guess was fitted to look better than they are: which these are, and by how much.

A Gaussian expects the cells of such windows better than those of others, visible and hidden ones,
so that what it misses at visible cells says too little of what it misses at hidden ones (Efron
1986). How much too little is told by guesses that were fitted without a part of the windows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maetab.nn.guess.mixture import Evidence
from maetab.nn.windows import Windows

# Bits of the table of rows. One in so many may be set: longer series look as they are, and rows are
# seldom taken for known by chance.
BITS, ROOM = 2**19, 16
MOSTLY = 0.8  # share of the rows of a window that are known where it is
ODD = 0x9E3779B97F4A7C15 - 2**64  # of the golden ratio: products spread over all bits


class Optimism(nn.Module):
    """What is to be added to the evidence of windows that a guess was fitted to, as logarithms.

    Parameters
    ----------
    n_coordinates, n_guesses : c and K

    Attributes
    ----------
    rows : (BITS / 8,) which of the rows are known, by a hash of each
    misses, variance, strain, surprise : (c, K), (c,), () and (c,), see `mixture.Evidence`
    """

    rows: Tensor
    misses: Tensor
    variance: Tensor
    strain: Tensor
    surprise: Tensor

    def __init__(self, n_coordinates: int, n_guesses: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(BITS // 8, dtype=torch.uint8))
        shapes = {"misses": (n_coordinates, n_guesses), "variance": (n_coordinates,), "strain": ()}
        for name, shape in (shapes | {"surprise": (n_coordinates,)}).items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    def remember(self, windows: Windows) -> None:
        """Know the rows of windows again, unless they are so many that it does not matter."""
        known = torch.zeros(BITS, dtype=torch.bool, device=self.rows.device)
        place = _places(windows)[windows.observed.any(1)]
        if ROOM * len(place) <= BITS:
            known[place] = True
        power = 2 ** torch.arange(8, device=self.rows.device)
        self.rows.copy_((known.view(-1, 8) * power).sum(1))

    def seen(self, windows: Windows) -> Tensor | None:
        """Return (W,) bool: windows most of whose rows are known; None if there are none."""
        if not self.rows.any():
            return None
        place = _places(windows)
        known = (self.rows[place >> 3].long() >> (place & 7)) & 1
        rows = windows.rows
        inside = (rows >= 0) & windows.observed.any(1)[rows.clamp_min(0)]
        found = (inside & (known[rows.clamp_min(0)] > 0)).sum(1)
        return found >= MOSTLY * inside.sum(1).clamp_min(1)

    def added(self, found: Evidence, seen: Tensor) -> Evidence:
        """Return evidence as it would be had the guess not been fitted to the windows `seen`."""
        fitted = seen[:, None, None].double()
        return found._replace(
            misses=found.misses + fitted[..., None] * self.misses,
            variance=found.variance * (fitted * self.variance).exp(),
            strain=found.strain + fitted * self.strain,
        )


def _places(windows: Windows) -> Tensor:
    """Return (n,) a number below `BITS` of each row, by its observed cells and its time."""
    bits = windows.values.float().contiguous().view(torch.int32).long()
    bits = torch.where(windows.observed, bits, 1)
    column = torch.arange(bits.shape[1], device=bits.device)
    own = ((bits + 1) * (2 * column + 1) * ODD).sum(1)
    key = own ^ (own >> 31)
    if windows.clock is not None:
        key = key * ODD + windows.clock.position.double().view(torch.int64)
    key = key * ODD
    return (key ^ (key >> 32)) & (BITS - 1)
