"""How far rows lie from most rows, seen without a model: what `trim` looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

N_ROUNDS, SHRINK = 20, 1e-2  # concentration steps; least weight of a round covariance
CHUNK = 4096  # rows that are looked at together
CROWD_ROWS = 1024  # rows that are compared with others together


def one_hot(values: np.ndarray, observed: np.ndarray, n_levels: Sequence[int]) -> np.ndarray:
    """Return (n, C) float64: numbers and indicators of levels, NaN where not observed.

    Levels beyond `n_levels` are not told apart, and have no indicator.
    """
    columns = []
    for j, n in enumerate(n_levels):
        column = values[:, j : j + 1].astype(np.float64)
        spread = (column == np.arange(n)).astype(np.float64) if n else column
        columns.append(np.where(observed[:, j : j + 1], spread, np.nan))
    return np.hstack(columns)


def robust_gaussian(
    spread: np.ndarray, late: Callable[[], bool] = lambda: False
) -> tuple[np.ndarray, np.ndarray]:
    """Return location (C,) and precision (C, C) of the half of the rows that lies densest.

    Concentration steps (Rousseeuw and Van Driessen 1999) from the rows nearest to the medians.
    Differs from FastMCD: one start, no reweighting, and a shrunken covariance, so that columns
    that are constant or depend on each other do no harm. NaN counts as the location. No step
    begins when it is `late`, but the first.
    """
    n, c = spread.shape
    location = np.nan_to_num(np.nanmedian(np.vstack([spread, np.zeros(c)]), axis=0))
    reach = np.nanmedian(np.abs(np.vstack([spread, np.zeros(c)]) - location), axis=0)
    far = np.square(np.nan_to_num((spread - location) / np.maximum(reach, 0.1))).sum(1)
    precision, chosen = np.eye(c), np.zeros(0, int)
    for i in range(N_ROUNDS):
        if i and late():
            break
        before, chosen = chosen, np.sort(np.argsort(far, kind="stable")[: max(2, (n + c + 1) // 2)])
        if np.array_equal(before, chosen):
            break
        rows = np.where(np.isnan(spread[chosen]), location, spread[chosen])
        location = rows.mean(0)
        covariance = np.cov(rows.T, bias=True).reshape(c, c)
        share = SHRINK + c / (c + 20.0 * len(rows))
        unit = max(np.trace(covariance) / c, 1e-6) * np.eye(c)
        precision = np.linalg.inv((1 - share) * covariance + share * unit)
        far = robust_distances(spread, location, precision)
    return location, precision


def robust_distances(spread: np.ndarray, location: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Return (n,) squared Mahalanobis distances per coordinate; NaN counts as the location."""
    out = []
    for start in range(0, len(spread), CHUNK):
        centred = np.nan_to_num(spread[start : start + CHUNK] - location)
        out.append(np.einsum("nc,cd,nd->n", centred, precision, centred, optimize=False))
    return np.concatenate(out) / spread.shape[1]


def unknown_distances(unknown: np.ndarray, share: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Return (n,) what levels without a coordinate add to `robust_distances`.

    They share one indicator per column, apart from all coordinates: its distance from its mean by
    its variance, which is never less than the least that the precision knows.

    Parameters
    ----------
    unknown : (n, F) bool, True where a row has such a level
    share : (F,) of the rows that were learned from, those with such a level
    precision : (C, C) of `robust_gaussian`
    """
    if not unknown.any():
        return np.zeros(len(unknown))
    least = 1 / np.linalg.eigvalsh(precision)[-1]
    return unknown @ (np.square(1 - share) / (share * (1 - share) + least)) / len(precision)


def crowd_distances(spread: np.ndarray, share: float, most: int = 4096) -> np.ndarray:
    """Return (n,) mean squared distance to the nearest `share` of at most `most` other rows."""
    rows = torch.tensor(spread)
    every = -(-len(rows) // most)
    others = rows[::every]
    k = min(max(10, round(share * len(others))), len(others) - 1)
    out = []
    for some in rows.split(CROWD_ROWS):
        square = torch.cdist(some, others).square()
        # The nearest is the row itself, or as good as that.
        out.append(square.topk(k + 1, largest=False).values[:, 1:].mean(1))
    return torch.cat(out).numpy()
