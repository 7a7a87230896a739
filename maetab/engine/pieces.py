"""A fixed encoding of cells: numbers in piecewise-linear steps, categories as indicators."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from maetab.nn.support import Support

COARSE_STEPS = (16, 8, 4, 2)  # coarser steps of a number, beside those between all its bins


def piece_sizes(support: Support) -> list[int]:
    """Return how many of the R pieces belong to each column."""
    return [n or 1 + sum(piece_steps(support, j)) for j, n in enumerate(support.n_levels)]


def piece_steps(support: Support, column: int) -> list[int]:
    """Return in how many steps a number is encoded, from fine to coarse; [] for a category."""
    if support.n_levels[column]:
        return []
    last = int((support.share[column] > 0).sum()) - 1
    return [last, *(n for n in COARSE_STEPS if n < last)]


class Pieces:
    """A fixed encoding of cells, column by column.

    A number is its standardised value and how far it reaches through steps between centres of its
    bins (piecewise linear, Gorishniy et al. 2022, section 3.2), fine and coarse; a category is the
    indicators of its levels, all 0 for a level that is not known. Without steps if `plain`.
    """

    def __init__(self, support: Support, plain: bool = False) -> None:
        sizes = torch.tensor(piece_sizes(support))
        self.column = torch.arange(len(sizes)).repeat_interleave(sizes).to(support.center.device)
        parts = [_pieces(support, j) for j in range(len(sizes))]
        # Of each piece: where it begins, how wide it is, and from where to where it may reach.
        self.begin, self.width, self.least, self.most = torch.cat(parts, 1)
        self.is_level = ~support.is_number[self.column]
        if plain:
            kept = self.is_cell
            parts = [x[kept] for x in (self.begin, self.width, self.least, self.most)]
            self.begin, self.width, self.least, self.most = parts
            self.column, self.is_level = self.column[kept], self.is_level[kept]

    @property
    def is_cell(self) -> Tensor:
        """(R,) whether a piece is a cell as it is: a level, or the value of a number."""
        return self.is_level | self.least.isinf()

    @property
    def size(self) -> int:
        """How many pieces a row has."""
        return len(self.column)

    def __call__(self, values: Tensor) -> Tensor:
        """Return (B, R) from cells (B, F)."""
        cells = values.index_select(1, self.column)
        reach = ((cells - self.begin) / self.width).clamp(self.least, self.most)
        return torch.where(self.is_level, (cells == self.begin).to(values.dtype), reach)


def _pieces(support: Support, column: int) -> Tensor:
    """Return begin, width, least and most (4, pieces) of a column: see `Pieces`."""
    center = support.center[column, support.share[column] > 0]
    n_levels = support.n_levels[column]
    if n_levels:
        level = torch.arange(n_levels, dtype=center.dtype, device=center.device)
        return torch.stack([level, torch.ones_like(level), level, level])
    parts = [center.new_tensor([[0.0], [1.0], [-torch.inf], [torch.inf]])]
    for n_steps in piece_steps(support, column):
        place = torch.linspace(0, len(center) - 1, n_steps + 1, dtype=torch.float64).round().long()
        knots = center[place.to(center.device)]
        width = knots.diff().clamp_min(1e-9)
        zero = torch.zeros_like(width)
        parts.append(torch.stack([knots[:-1], width, zero, zero + 1]))
    return torch.cat(parts, 1)


def decode_pieces(support: Support, pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values and observed (n, F) from (n, R): the way back of `Pieces`.

    A category whose indicators sum to less than a half is not observed: its level is not known.
    """
    values = np.zeros((len(pieces), len(support.n_levels)), np.float32)
    observed = np.ones(values.shape, dtype=bool)
    start = 0
    for j, size in enumerate(piece_sizes(support)):
        part = pieces[:, start : start + size]
        if support.n_levels[j]:
            values[:, j] = part.argmax(1)
            observed[:, j] = part.sum(1) >= 0.5
        else:
            values[:, j] = part[:, 0]
        start += size
    return values, observed
