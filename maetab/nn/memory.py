"""What similar rows say of the hidden cells: attention over remembered rows, by a learned metric.

A Nadaraya-Watson average (Nadaraya 1964) over at most `MAX_ROWS` rows. Two rows are compared where
both are visible; a cell that only one of them has costs a constant. Weight and constant of each
column are learned by predicting cells that are hidden for the purpose, a row never reading itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

MAX_ROWS = 4096
# Places that a small table leaves empty know nothing, so they are never read. They are there
# because narrow matrix products depend, in the last bit, on a row's place in the batch.
MIN_ROWS = 16
N_HEADS = 4


class Neighbours(NamedTuple):
    """What the remembered rows say of each coordinate, (B, C) each.

    mean, variance : of their values
    residual : mean of what the Gaussian prior missed in them
    """

    mean: Tensor
    variance: Tensor
    residual: Tensor


class RowMemory(nn.Module):
    """Remembered rows and the metric that compares them with others.

    Parameters
    ----------
    columns : the column that each of the C coordinates belongs to
    n_rows : rows to hold
    """

    values: Tensor
    visible: Tensor
    residuals: Tensor
    columns: Tensor

    def __init__(self, columns: list[int], n_rows: int) -> None:
        super().__init__()
        c = len(columns)
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        self.register_buffer("values", torch.zeros(n_rows, c))
        self.register_buffer("visible", torch.zeros(n_rows, c))
        self.register_buffer("residuals", torch.zeros(n_rows, c))
        # A row far away in many columns is far enough: the scale falls with the columns.
        n_columns = max(columns) + 1
        start = torch.full((n_columns,), 2.0 * min(1.0, 10 / n_columns)).log()
        shape = (N_HEADS, n_columns)
        self.log_weight = nn.Parameter(start + 0.5 * torch.randn(shape))
        self.log_cost = nn.Parameter(torch.zeros(shape))
        self.choice = nn.Parameter(torch.zeros(shape))

    def forward(
        self,
        values: Tensor,
        visible: Tensor,
        exclude: Tensor | None = None,
        n_rows: int | None = None,
    ) -> Neighbours:
        """Return what rows like these say.

        Parameters
        ----------
        values : (B, C); what is not visible is never read
        visible : (B, C) bool
        exclude : (B,) the remembered row that is this row itself, -1 for none
        n_rows : compare with so many of the remembered rows only; None for all
        """
        clean = torch.where(visible, values, 0.0).to(self.values.dtype)
        seen = visible.to(self.values.dtype)
        there, kept = self.visible[:n_rows], self.values[:n_rows]
        right = torch.cat([there, kept.square(), kept], 1)
        known = torch.cat([right, self.residuals[:n_rows]], 1)
        # Rows that know nothing of what is hidden (this row itself among them, when it is
        # remembered) would take the largest share and leave the guess to nobody.
        idle = (1 - seen) @ there.T < 0.5
        if exclude is not None:
            ours = (exclude >= 0) & (exclude < len(kept))
            row = torch.arange(len(values), device=values.device)
            idle[row[ours], exclude[ours]] = True
        chosen = self.choice.softmax(0)[:, self.columns]
        said: Tensor | float = 0.0
        for weight, cost, choice in zip(self.log_weight, self.log_cost, chosen, strict=True):
            weight, cost = weight.exp()[self.columns], cost.exp()[self.columns]
            # Sum over shared coordinates of weight * (difference^2 - cost): what a coordinate
            # costs where it is not shared, less a constant of the row, which softmax ignores.
            scaled = clean * weight
            left = [scaled * clean - seen * (weight * cost), seen * weight, -2 * scaled]
            distance = torch.cat(left, 1) @ right.T  # (B, n)
            distance = distance.masked_fill(idle, 1e6)
            share = torch.softmax(-distance, 1).masked_fill(idle, 0.0)
            total, square, mean, residual = (share @ known).chunk(4, 1)
            # A pinch of the column's mean (zero) where no similar row has the cell.
            per_row = choice / (total + 1e-6)
            said = said + torch.stack([mean, square, residual]) * per_row
        assert isinstance(said, Tensor)
        mean, square, residual = said
        return Neighbours(mean, (square - mean.square()).clamp_min(0), residual)

    @torch.no_grad()
    def fill(self, values: Tensor, visible: Tensor, residuals: Tensor) -> None:
        """Remember these rows, (n, C) each; `residuals` is what the Gaussian prior missed."""
        n = len(values)
        self.values[:n] = torch.where(visible, values, 0.0)
        self.visible[:n] = visible.to(self.visible.dtype)
        self.residuals[:n] = torch.where(visible, residuals, 0.0)
