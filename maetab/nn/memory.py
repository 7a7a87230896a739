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
NARROW = 16  # columns of a product up to which its kernel may depend on a row's place
MIN_ROWS = 16
N_HEADS = 4
BARRED = 1e30  # farther than any row that may be read
AT_ONCE = 2**17  # logits outside training: they stay in the cache, and need no new pages of memory


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
    size: Tensor
    first: Tensor
    number: Tensor
    square: Tensor

    def __init__(self, columns: list[int], n_rows: int) -> None:
        super().__init__()
        c = len(columns)
        size = [columns.count(j) for j in range(max(columns) + 1)]  # coordinates of each column
        numbers = [j for j, n in enumerate(size) if n == 1]
        # Where (levels, squares of numbers), joined, have the square of each coordinate.
        square = [c + numbers.index(j) if j in numbers else i for i, j in enumerate(columns)]
        fixed = {
            "columns": columns,
            "size": size,
            "first": [columns.index(j) for j in range(len(size))],
            "number": [n == 1 for n in size],
            "square": square,
        }
        for name, list_ in fixed.items():
            self.register_buffer(name, torch.tensor(list_), persistent=False)
        self.register_buffer("values", torch.zeros(n_rows, c))
        self.register_buffer("visible", torch.zeros(n_rows, c))
        self.register_buffer("residuals", torch.zeros(n_rows, c))
        # A row far away in many columns is far enough: the scale falls with the columns.
        n_columns = len(size)
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
        kept, residuals = self.values[:n_rows], self.residuals[:n_rows]
        there, square = self.visible[:n_rows, self.first], kept[:, self.first[self.number]].square()
        right = torch.cat([there, square, kept], 1)  # (n, K)
        f, c, q = there.shape[1], kept.shape[1], square.shape[1]
        # Padded, because the kernel of a narrow product depends on the row's place.
        rest = max(0, NARROW - f - q - 2 * c)
        told = torch.cat([right, residuals, kept.new_zeros(len(kept), rest)], 1)
        if exclude is None:
            exclude = visible.new_full((len(values),), -1, dtype=torch.long)
        size = len(values)
        if not torch.is_grad_enabled() and values.device.type == "cpu":
            size = max(8, AT_ONCE // (N_HEADS * len(kept)) // 8 * 8)
        whole = bool((there > 0).all())
        rows = zip(values.split(size), visible.split(size), exclude.split(size), strict=True)
        said = torch.cat([self._read(*some, right, told, whole) for some in rows], 1)
        total, square, mean, residual, _ = said.split([f, q, c, c, rest], -1)
        # The square of an indicator is the indicator.
        square = torch.cat([mean, square], -1)[..., self.square]
        # A pinch of the column's mean (zero) where no similar row has the cell.
        per_row = self.choice.softmax(0)[:, None] / (total + 1e-6)
        per_row = per_row[..., self.columns]
        mean, square, residual = ((x * per_row).sum(0) for x in (mean, square, residual))
        return Neighbours(mean, (square - mean.square()).clamp_min(0), residual)

    def _read(
        self,
        values: Tensor,
        visible: Tensor,
        exclude: Tensor,
        right: Tensor,
        told: Tensor,
        whole: bool,
    ) -> Tensor:
        """Return (heads, B, V): averages of `told` (n, V), weighted by how near each row is.

        whole : no remembered row misses a cell
        """
        n = len(told)
        logits = (self._left(values, visible) @ right.T).unflatten(0, (N_HEADS, len(values)))
        if not whole or bool(visible.all(1).any()):
            # Rows that know nothing of what is hidden would take the largest share and leave the
            # guess to nobody.
            there = self.visible[:n]
            logits = logits - BARRED * ((~visible).to(there.dtype) @ there.T < 0.5).to(there.dtype)
        ours = ((exclude >= 0) & (exclude < n)).nonzero()[:, 0]
        logits[:, ours, exclude[ours]] = -2 * BARRED  # behind those
        share = torch.softmax(logits.flatten(0, 1), 1)  # (heads * B, n)
        return (share @ told).unflatten(0, (N_HEADS, len(values)))

    def _left(self, values: Tensor, visible: Tensor) -> Tensor:
        """Return (heads * B, K), whose product with what is remembered is minus the distance.

        The distance sums weight * (difference^2 - cost) over shared coordinates: what a coordinate
        costs where it is not shared, less a constant of the row, which softmax ignores. Two levels
        differ by 2 or by 0, so a category needs one entry for what is shared and one per level.
        """
        # Squares of larger numbers would pass what single precision holds.
        clean = torch.where(visible, values, 0.0).clamp(-1e6, 1e6).to(self.values.dtype)
        seen = visible[:, self.first].to(self.values.dtype)
        own = torch.where(self.number, clean[:, self.first].square(), 2.0)  # (B, F)
        weight, cost = self.log_weight.exp(), self.log_cost.exp()  # (heads, F)
        parts = [
            (weight * cost * self.size)[:, None] * seen - weight[:, None] * (seen * own),
            -weight[:, None, self.number] * seen[:, self.number],
            2 * weight[:, None, self.columns] * clean,
        ]
        return torch.cat(parts, 2).flatten(0, 1)

    @torch.no_grad()
    def fill(self, values: Tensor, visible: Tensor, residuals: Tensor) -> None:
        """Remember these rows, (n, C) each; `residuals` is what the Gaussian prior missed."""
        n = len(values)
        self.values[:n] = torch.where(visible, values, 0.0)
        self.visible[:n] = visible.to(self.visible.dtype)
        self.residuals[:n] = torch.where(visible, residuals, 0.0)
