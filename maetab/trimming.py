"""Which rows to learn from, told before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import IsolationForest

from maetab.engine.robust import crowd_distances, one_hot, robust_distances, robust_gaussian

CROWD = 0.05  # share of the other rows that a row is compared with
FOREST_SEED = 0


def kept_rows(
    values: np.ndarray, observed: np.ndarray, n_levels: Sequence[int], trim: float
) -> np.ndarray:
    """Return (n,) bool: False for the share `trim` of rows that three detectors rank last.

    Parameters
    ----------
    values, observed : (n, F) as encoded
    n_levels : per column; 0 for a number, else how many levels are told apart
    """
    if not trim:
        return np.ones(len(values), bool)
    n_kept, known = max(2, round((1 - trim) * len(values))), np.array(n_levels)
    rare = observed & (known > 0) & (values >= known)
    spread = np.hstack([one_hot(values, observed, n_levels), rare[:, rare.any(0)]])
    far = robust_distances(spread, *robust_gaussian(spread))
    forest = IsolationForest(random_state=FOREST_SEED).fit(spread)
    alone = crowd_distances(np.nan_to_num(spread), CROWD)
    ranks = sum(map(rankdata, (far, -forest.score_samples(spread), alone)))
    kept = np.zeros(len(values), bool)
    kept[np.argsort(ranks, kind="stable")[:n_kept]] = True
    return kept
