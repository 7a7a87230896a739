"""Rows with labels, of which some cells are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd


def labelled_rows(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return mixed rows with missing cells, their classes and a number, both told by a and b."""
    rng = np.random.default_rng(seed)
    side = rng.random(n) < 0.5
    a, b = rng.normal(np.where(side, 2, -2), 1), rng.normal(np.where(side, 1, -1), 1)
    color = np.where(rng.random(n) < 0.9, np.where(side, "red", "blue"), "green").astype(object)
    frame = pd.DataFrame({"a": a, "color": color, "b": b}, index=rng.permutation(n))
    return frame.mask(rng.random((n, 3)) < 0.1), np.where(side, "yes", "no"), 100 + 3 * a + b
