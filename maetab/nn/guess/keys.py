"""Learned keys of windows: where a window lies among others, by one linear map of its cells.

Windows are near where the Euclidean distance of their keys is small (as in TabR, Gorishniy et al.
2024, and ModernNCA, Ye et al. 2024, for a target; here for every cell that is hidden).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from maetab.nn.guess.gaussian import Normal
from maetab.nn.piecewise import PiecewiseLinear

MOST_PIECES, FEATURES = 16, 2000  # pieces of a number; features of a window that pieces may make up
START = 0.1  # how far apart the keys of windows lie at first: hardly, so single cells decide


class WindowKeys(nn.Module):
    """Maps windows to keys, one per head, and holds those of the remembered windows.

    A window is told by its cells, what is missing as the base guess expects it, by what is visible,
    by how sure the base guess is, and by the quantile pieces of its numbers.

    Parameters
    ----------
    of_numbers : per coordinate of a window, C of them, whether it is a number
    n_rows : remembered windows
    n_heads, width : H keys of D numbers; one of these is the square of the others' length
    """

    kept: Tensor

    def __init__(self, of_numbers: list[bool], n_rows: int, n_heads: int, width: int) -> None:
        super().__init__()
        self.n_heads, c = n_heads, len(of_numbers)
        self.numbers = [i for i, number in enumerate(of_numbers) if number]
        n_pieces = min(MOST_PIECES, max(0, FEATURES // c - 4))
        self.pieces = PiecewiseLinear(len(self.numbers), n_pieces)
        size = 3 * c + len(self.numbers) * self.pieces.size
        start = START / math.sqrt(size)
        self.map = nn.Parameter(start * torch.randn(size, n_heads * (width - 1)))
        self.register_buffer("kept", torch.zeros(n_heads, n_rows, width))

    def fit(self, values: Tensor, visible: Tensor) -> None:
        """Place the pieces of numbers by windows (n, C)."""
        self.pieces.fit(values[:, self.numbers], visible[:, self.numbers])

    def features(self, normal: Normal, visible: Tensor) -> Tensor:
        """Return (B, features) of windows (B, C), completed by the base guess."""
        mean = normal.mean.clamp(-1e3, 1e3)
        parts = [mean, normal.variance.sqrt(), visible.to(mean.dtype)]
        parts.append(self.pieces(mean[:, self.numbers]).flatten(1))
        return torch.cat(parts, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return (H, B, D) keys, the last number of each the square of the others' length."""
        keys = (features @ self.map).unflatten(1, (self.n_heads, -1)).transpose(0, 1)
        return torch.cat([keys, keys.square().sum(-1, keepdim=True)], -1)

    def of_whole(self, cells: Tensor) -> Tensor:
        """Return (B, E) the places of windows (B, C) that miss nothing."""
        normal = Normal(cells, torch.zeros_like(cells))
        return self.places(self(self.features(normal, torch.ones_like(cells, dtype=torch.bool))))

    def places(self, keys: Tensor) -> Tensor:
        """Return (B, E) keys (H, B, D) as one place each: squared distances are those of all heads.

        The numbers of one head stand behind those of another, without the squares of lengths.
        """
        return keys[..., :-1].transpose(0, 1).flatten(1)

    @torch.no_grad()
    def widest(self, level: slice) -> Tensor:
        """Return how far, squared, two levels of a category may lie apart, or a level and none.

        level : coordinates of its levels
        """
        each = nnf.pad(self.map[level], (0, 0, 0, 1))
        return (each[:, None] - each).square().sum(-1).max()

    @torch.no_grad()
    def remember(self, features: Tensor) -> None:
        """Keep the keys of the first remembered windows, (n, features)."""
        self.kept[:, : len(features)] = self(features)


def nearness(keys: Tensor, kept: Tensor) -> Tensor:
    """Return (H, B, n): minus the squared distance of keys, less a constant of each window asked.

    Parameters
    ----------
    keys, kept : (H, B, D) and (H, n, D), of windows that are asked and of remembered ones
    """
    left = torch.cat([2 * keys[..., :-1], -torch.ones_like(keys[..., -1:])], -1)
    return left @ kept.transpose(1, 2)
