"""How well hidden cells were filled, in one number."""

from __future__ import annotations

import numpy as np


def skill(values: np.ndarray, filled: np.ndarray, hidden: np.ndarray, number: np.ndarray) -> float:
    """Return 1 for perfect filling, 0 for what mean and most frequent level reach, or less.

    Numbers: 1 - squared error / that of the mean; categories: (accuracy - a) / (1 - a) with a that
    of the most frequent level. Each is pooled over the columns of its kind with hidden cells, and
    the two are averaged by the number of columns; 0 where no hidden cell can be missed.

    Parameters
    ----------
    values, filled : (n, F) as encoded: numbers with mean 0, levels by falling frequency
    hidden : (n, F) bool, cells that are judged
    number : (F,) bool, False for categories
    """
    missed = np.where(number, np.square(values - filled), values != filled) * hidden
    worst = np.where(number, np.square(values), values != 0) * hidden
    skills, weights = [], []
    for kind in (number, ~number):
        total = worst[:, kind].sum()
        if total > 0:
            skills.append(1 - missed[:, kind].sum() / total)
            weights.append(kind.sum())
    return float(np.average(skills, weights=weights)) if skills else 0.0
