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
        self.log_weight = nn.Parameter(start)
        self.log_cost = nn.Parameter(torch.zeros(n_columns))

    def forward(
        self, values: Tensor, visible: Tensor, exclude: Tensor | None = None
    ) -> Neighbours:
        """Return what rows like these say.

        Parameters
        ----------
        values : (B, C); what is not visible is never read
        visible : (B, C) bool
        exclude : (B,) the remembered row that is this row itself, -1 for none
        """
        weight = self.log_weight.exp()[self.columns]
        seen = visible.to(self.values.dtype)
        clean = torch.where(visible, values, 0.0).to(self.values.dtype)
        # Sum over shared coordinates of weight * (difference^2 - cost): the constant that a
        # coordinate costs where it is not shared drops out of the softmax.
        scaled = clean * weight
        cost = self.log_cost.exp()[self.columns]
        left = torch.cat([scaled * clean - seen * (weight * cost), seen * weight, -2 * scaled], 1)
        right = torch.cat([self.visible, self.values.square(), self.values], 1)
        distance = left @ right.T  # (B, n)
        if exclude is not None:
            row = torch.arange(len(values), device=values.device)
            ours = exclude >= 0
            distance = distance.index_put(
                (row[ours], exclude[ours]), torch.tensor(torch.inf, device=values.device)
            )
        share = torch.softmax(-distance, 1)
        said = share @ torch.cat(
            [self.visible, self.values, self.values.square(), self.residuals], 1
        )
        total, mean, square, residual = said.chunk(4, 1)
        # A pinch of the column's mean (zero) stands in where no similar row has the cell.
        total = total + 1e-4
        mean = mean / total
        return Neighbours(mean, (square / total - mean.square()).clamp_min(0), residual / total)

    @torch.no_grad()
    def fill(self, values: Tensor, visible: Tensor, residuals: Tensor) -> None:
        """Remember these rows, (n, C) each; `residuals` is what the Gaussian prior missed."""
        self.values.copy_(torch.where(visible, values, 0.0))
        self.visible.copy_(visible)
        self.residuals.copy_(torch.where(visible, residuals, 0.0))
