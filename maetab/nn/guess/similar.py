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
    own_sum, count = own.sum(1), seen.sum(1)
    shown, known = seen.flatten(1), remembered.flatten(1)
    far = shown @ known.square().T - 2 * own.flatten(1) @ known.T
    far += own.square().sum((1, 2))[:, None]
    # What the levels explain, column by column: all at once are columns times as much memory.
    move = number / (count + 1)
    less = move * (2 - move * count)
    for j in number.nonzero()[:, 0].tolist():
        apart = own_sum[:, j, None] - seen[:, :, j] @ remembered[:, :, j].T
        far -= less[:, j, None] * apart.square()
    far = (far / count.sum(1, keepdim=True).clamp_min(1)).masked_fill(barred, BARRED)
    near, which = far.topk(min(N_NEAREST, far.shape[1]), dim=1, largest=False)
    near = near.clamp_min(LEAST)
    weight = (-FALL * near / near[:, -1:]).softmax(1)
    nearest = remembered[which]
    moved = move[:, None] * (own_sum[:, None] - (seen[:, None] * nearest).sum(2))
    mean = torch.einsum("bk,bktc->btc", weight, nearest)
    return mean + torch.einsum("bk,bkc->bc", weight, moved)[:, None]
