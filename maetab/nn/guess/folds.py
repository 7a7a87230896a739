"""Base guesses that have not seen a part of the rows each, for what is learned of those rows.

What a base guess misses in rows that it was fitted to is too small, the more so the fewer the rows:
weights and intervals would trust it too much. So they are learned from guesses that do not know the
rows (cross-fitting: Stone 1974; Chernozhukov et al. 2018, section 3).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

N_FOLDS = 5
MAX_ROWS = 5000  # beyond, what a base guess misses in rows that it knows is what it misses in others


def fit_folds(
    base: Any, values: Tensor, visible: Tensor, should_stop: Callable[[], bool]
) -> list[Any]:
    """Return a base guess for each fold, fitted to the rows of the others; none if there is no time.

    The row at place i is of fold i modulo `N_FOLDS`.

    Parameters
    ----------
    base : fitted to all rows, from which the others start
    values, visible : (n, C)
    """
    n = len(values)
    if not 2 * N_FOLDS <= n <= MAX_ROWS:
        return []
    folds, place = [], torch.arange(n, device=values.device) % N_FOLDS
    for fold in range(N_FOLDS):
        if should_stop():
            return []
        own = copy.deepcopy(base)
        others = place != fold
        own.fit(values[others], visible[others], should_stop=should_stop)
        folds.append(own)
    return folds


def of_each_fold(
    base: Any, folds: list[Any], place: Tensor, ask: Callable[[Any, Tensor], tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """Return what `ask(base, rows)` gives for every row, each asked of a base that has not seen it.

    Parameters
    ----------
    base : asked of rows that were in no fold
    place : (B,) place of each row when the folds were made; -1 if it had none
    ask : returns tensors with a line for each of some rows (b,)
    """
    fold = torch.where(place >= 0, place % N_FOLDS, -1)
    parts, order = [], []
    for number in fold.unique().tolist():
        rows = (fold == number).nonzero()[:, 0]
        parts.append(ask(folds[number] if number >= 0 else base, rows))
        order.append(rows)
    back = torch.cat(order).argsort()
    return tuple(torch.cat(part)[back] for part in zip(*parts, strict=True))
