"""Windows like this one: what the nearest remembered windows have at each of its cells.

An average of the nearest neighbours (Fix and Hodges 1951), each moved to the level that a window
has in each column, since the same course often comes back at another level.
"""

from __future__ import annotations

import torch
from torch import Tensor

# How many are read, and how much less the last of them weighs than a window that is equal, as a
# power of e; `python -m benchmarks.series_trials filling` prints trials.
N_NEAREST, FALL = 10, 3.0
MOST = 2000  # remembered windows that are compared
BARRED = 1e30  # farther than any
LEAST = 1e-9


def similar(
    values: Tensor, visible: Tensor, remembered: Tensor, barred: Tensor, number: Tensor
) -> Tensor:
    """Return (B, T, c) means of the remembered windows that are nearest at the visible cells.

    Parameters
    ----------
    values, visible : (B, T, c); what is not visible is never read
    remembered : (M, T, c) complete
    barred : (B, M) bool, windows that must not be read
    number : (c,) 1 for numbers, whose level is moved, 0 for indicators of levels
    """
    seen = visible.to(remembered.dtype)
    own = torch.where(visible, values, 0.0)
    own_sum, own_square = own.sum(1), own.square().sum((1, 2))
    # By column, (c, B, M): sums over the visible steps of the difference and of its square.
    other = remembered.permute(2, 1, 0)
    by_column = seen.permute(2, 0, 1), own.permute(2, 0, 1)
    apart = own_sum.T[:, :, None] - by_column[0] @ other
    square = by_column[0] @ other.square() - 2 * (by_column[1] @ other)
    count = seen.sum(1)
    level = apart * (number / (count + 1)).T[:, :, None]
    less = level * (2 * apart - level * count.T[:, :, None])
    far = own_square[:, None] + (square - less).sum(0)
    far = (far / count.sum(1, keepdim=True).clamp_min(1)).masked_fill(barred, BARRED)
    near, which = far.topk(min(N_NEAREST, far.shape[1]), dim=1, largest=False)
    near = near.clamp_min(LEAST)
    weight = (-FALL * near / near[:, -1:]).softmax(1)
    moved = level.permute(1, 2, 0).gather(1, which[:, :, None].expand(-1, -1, len(number)))
    mean = torch.einsum("bk,bktc->btc", weight, remembered[which])
    return mean + torch.einsum("bk,bkc->bc", weight, moved)[:, None]
