"""The coordinates of a window: cells as numbers, one per number and one per level of a category."""

from __future__ import annotations

import torch
from torch import Tensor


class Coordinates:
    """Which coordinates the cells of a window have: step by step, column by column.

    Parameters
    ----------
    n_levels : per column; 0 for a number, else how many levels of the category are modelled
    n_steps : T

    Attributes
    ----------
    slices : per cell of a window, its coordinates
    cells : (T * C,) the cell that each coordinate belongs to
    first : (T * F,) the first coordinate of each cell
    of_numbers : (T * C,) bool, coordinates that are numbers and no indicators of levels
    firsts : (T * C,) the first coordinate of the cell that each belongs to
    size, step_size : T * C and C
    """

    def __init__(self, n_levels: tuple[int, ...], n_steps: int) -> None:
        self.n_levels = n_levels * n_steps
        self.slices: list[slice] = []
        for n in self.n_levels:
            start = self.slices[-1].stop if self.slices else 0
            self.slices.append(slice(start, start + max(n, 1)))
        self.first = [own.start for own in self.slices]
        self.cells = [j for j, own in enumerate(self.slices) for _ in range(own.stop - own.start)]
        self.firsts = [self.first[cell] for cell in self.cells]
        self.of_numbers = [n == 0 for n in self.n_levels for _ in range(max(n, 1))]
        self.size, self.step_size = len(self.cells), len(self.cells) // n_steps

    def expand(self, values: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, T * C) coordinates and their visibility; an unknown level is not visible.

        Parameters
        ----------
        values, visible : (B, T, F)
        """
        values, visible = values.flatten(1), visible.flatten(1)
        if not any(self.n_levels):
            return values, visible
        parts, shown = [], []
        for j, n in enumerate(self.n_levels):
            cell, seen = values[:, j : j + 1], visible[:, j : j + 1]
            if n:
                levels = torch.arange(n, device=values.device)
                parts.append((cell == levels).to(values.dtype))
                shown.append((seen & (cell < n)).expand(-1, n))
            else:
                parts.append(cell)
                shown.append(seen)
        return torch.cat(parts, 1), torch.cat(shown, 1)
