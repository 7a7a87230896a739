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


class _Part(NamedTuple):
    """Some of the columns, and where they are.

    columns, coordinates : their places among all
    first, number : of each column, its first coordinate and whether it is a number
    owner : of each coordinate, which of these columns it belongs to
    """

    columns: Tensor | slice
    coordinates: Tensor | slice
    first: Tensor
    number: Tensor
    owner: Tensor


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

    def __init__(self, columns: list[int], n_rows: int) -> None:
        super().__init__()
        c = len(columns)
        size = [columns.count(j) for j in range(max(columns) + 1)]  # coordinates of each column
        fixed = {
            "columns": columns,
            "size": size,
            "first": [columns.index(j) for j in range(len(size))],
            "number": [n == 1 for n in size],
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
        asked: Tensor | None = None,
    ) -> Neighbours:
        """Return what rows like these say.

        Parameters
        ----------
        values : (B, C); what is not visible is never read
        visible : (B, C) bool
        exclude : (B,) the remembered row that is this row itself, -1 for none
        n_rows : compare with so many of the remembered rows only; None for all
        asked : (F,) bool, columns that are visible in no row; what is said is of their coordinates
            alone. None for what is said of all
        """
        kept, there = self.values[:n_rows], self.visible[:n_rows]
        given, part = self._part(None if asked is None else ~asked), self._part(asked)
        shared, squares = there[:, given.first], kept[:, given.first[given.number]].square()
        right = torch.cat([shared, squares, kept[:, given.coordinates]], 1)  # (n, K)
        told = [
            there[:, part.first],
            kept[:, part.first[part.number]].square(),
            kept[:, part.coordinates],
            self.residuals[:n_rows, part.coordinates],
        ]
        # Padded, because the kernel of a narrow product depends on the row's place.
        width = [x.shape[1] for x in told]
        width.append(max(0, NARROW - sum(width)))
        averaged = torch.cat([*told, kept.new_zeros(len(kept), width[-1])], 1)
        idle = _rows_to_bar(there, None if asked is None else asked[self.columns])
        if exclude is None:
            exclude = visible.new_full((len(values),), -1, dtype=torch.long)
        exclude = torch.where(exclude < len(kept), exclude, -1)
        size = len(values)
        if not torch.is_grad_enabled() and values.device.type == "cpu":
            size = rows_at_once(len(kept))
        left = self._left(values, visible, given).split(size, 1)
        rows = zip(left, visible.split(size), exclude.split(size), strict=True)
        said = torch.cat([self._read(*some, right, averaged, idle) for some in rows], 1)
        total, square, mean, residual, _ = said.split(width, -1)
        # The square of an indicator is the indicator.
        is_number = part.number[part.owner]
        place = torch.where(is_number, mean.shape[-1] + is_number.cumsum(0) - 1, 0)
        place = torch.where(is_number, place, torch.arange(len(place), device=place.device))
        square = torch.cat([mean, square], -1)[..., place]
        # A pinch of the column's mean (zero) where no similar row has the cell.
        per_row = self.choice.softmax(0)[:, None, part.columns] / (total + 1e-6)
        per_row = per_row[..., part.owner]
        mean, square, residual = ((x * per_row).sum(0) for x in (mean, square, residual))
        return Neighbours(mean, (square - mean.square()).clamp_min(0), residual)

    def _part(self, inside: Tensor | None) -> _Part:
        """Return the columns where `inside` (F,) is True; None for all."""
        if inside is None:
            return _Part(slice(None), slice(None), self.first, self.number, self.columns)
        columns, coordinates = inside.nonzero()[:, 0], inside[self.columns].nonzero()[:, 0]
        owner = (inside.cumsum(0) - 1)[self.columns[coordinates]]
        return _Part(columns, coordinates, self.first[columns], self.number[columns], owner)

    def _read(
        self,
        left: Tensor,
        visible: Tensor,
        exclude: Tensor,
        right: Tensor,
        told: Tensor,
        idle: Tensor | None,
    ) -> Tensor:
        """Return (heads, B, V): averages of `told` (n, V), weighted by how near each row is.

        left : (heads, B, K) as of `_left`
        exclude : (B,) as in `forward`, -1 for rows that are not compared with
        idle : of `_rows_to_bar`
        """
        logits = (left.flatten(0, 1) @ right.T).view(N_HEADS, len(visible), len(told))
        if idle is None or bool(visible.all(1).any()):
            logits = logits - self._barred(visible, self.visible[: len(told)])
        elif len(idle):
            logits[..., idle] -= self._barred(visible, self.visible[idle])
        ours = (exclude >= 0).nonzero()[:, 0]
        if len(ours):
            logits[:, ours, exclude[ours]] = -2 * BARRED  # behind those
        share = torch.softmax(logits.flatten(0, 1), 1)  # (heads * B, n)
        return (share @ told).view(N_HEADS, len(visible), told.shape[1])

    def _barred(self, visible: Tensor, there: Tensor) -> Tensor:
        """Return (B, n) `BARRED` where a remembered row knows nothing of what is hidden, else 0.

        These would take the largest share and leave the guess to nobody.
        """
        return BARRED * ((~visible).to(there.dtype) @ there.T < 0.5).to(there.dtype)

    def _left(self, values: Tensor, visible: Tensor, given: _Part) -> Tensor:
        """Return (heads, B, K), whose product with what is remembered is minus the distance.

        The distance sums weight * (difference^2 - cost) over shared coordinates: what a coordinate
        costs where it is not shared, less a constant of the row, which softmax ignores. Two levels
        differ by 2 or by 0, so a category needs one entry for what is shared and one per level.
        """
        # Squares of larger numbers would pass what single precision holds.
        clean = torch.where(visible, values, 0.0).clamp(-1e6, 1e6).to(self.values.dtype)
        seen = visible[:, given.first].to(self.values.dtype)
        own = torch.where(given.number, clean[:, given.first].square(), 2.0)  # (B, F)
        weight, cost = self.log_weight.exp(), self.log_cost.exp()  # (heads, F)
        weight, cost = weight[:, given.columns], cost[:, given.columns]
        parts = [
            (weight * cost * self.size[given.columns])[:, None] * seen
            - weight[:, None] * (seen * own),
            -weight[:, None, given.number] * seen[:, given.number],
            2 * weight[:, None, given.owner] * clean[:, given.coordinates],
        ]
        return torch.cat(parts, 2)

    @torch.no_grad()
    def fill(self, values: Tensor, visible: Tensor, residuals: Tensor) -> None:
        """Remember these rows, (n, C) each; `residuals` is what the Gaussian prior missed."""
        n = len(values)
        self.values[:n] = torch.where(visible, values, 0.0)
        self.visible[:n] = visible.to(self.visible.dtype)
        self.residuals[:n] = torch.where(visible, residuals, 0.0)


def rows_at_once(n_remembered: int) -> int:
    """Return how many rows are compared together with remembered ones, without gradients."""
    return max(8, AT_ONCE // (N_HEADS * n_remembered) // 8 * 8)


def _rows_to_bar(there: Tensor, asked: Tensor | None) -> Tensor | None:
    """Return the remembered rows that may know nothing of what is hidden; None for all of them.

    Where nothing is hidden every row knows nothing of it, whatever is returned.

    Parameters
    ----------
    there : (n, C) what they know
    asked : (C,) bool, coordinates that are hidden in any case; None if there are none such
    """
    if asked is not None:
        return (there[:, asked] < 0.5).all(1).nonzero()[:, 0]
    whole = bool((there > 0).all())
    return torch.zeros(0, dtype=torch.long, device=there.device) if whole else None
