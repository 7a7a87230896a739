"""Random numbers that belong to physical rows, whatever other rows are asked about."""

from __future__ import annotations

import numpy as np


def uniform(seed: int, rows: np.ndarray, n: int, n_columns: int) -> np.ndarray:
    """Return (*rows.shape, n, F) float32 in [0, 1), fixed by seed and number of the row; 0 for -1.

    By a counter-based generator (Philox: Salmon et al. 2011), which is set to a row's place.
    """
    blocks = -(-n * n_columns // 4)  # a step of the counter gives four numbers
    flat = np.zeros((rows.size, n * n_columns), np.float32)
    for i, row in enumerate(rows.ravel().tolist()):
        if row >= 0:
            bits = np.random.Philox(key=seed).advance(row * blocks)
            flat[i] = np.random.Generator(bits).random(n * n_columns)
    # Rounding to single precision may reach 1.
    return flat.clip(0, 1 - 2**-24).reshape(*rows.shape, n, n_columns)
