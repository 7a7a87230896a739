"""Weighted sums of rows that are the same whatever rows stand beside them."""

from __future__ import annotations

import numpy as np


def row_sums(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return (n,) weighted sums of rows (n, F), or (n, K) with weights (F, K).

    `rows @ weights` depends, in the last bits, on how many rows there are.
    """
    rows = np.ascontiguousarray(rows)
    if weights.ndim == 1:
        return (rows * weights).sum(1)
    return np.stack([(rows * own).sum(1) for own in weights.T], 1)
