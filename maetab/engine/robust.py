"""How far rows lie from most rows, seen without a model, and which are kept for learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.ensemble import IsolationForest

from maetab.engine.row_sums import row_sums
from maetab.engine.runtime import Deadline

N_ROUNDS, SHRINK = 20, 1e-2  # concentration steps; least weight of a round covariance
CHUNK = 4096  # rows that are looked at together
COMPARED_ROWS = 1024  # rows that are compared with others together
NEAREST, MIN_NEAREST = 0.05, 10  # other rows that a distance is the mean over: share, and least
MAX_OTHERS, MIN_OTHERS = 4096, 64  # rows that each row is compared with
FOREST_SEED = 0
USUAL = 0.05  # share of the rows from which on a level is usual
# Shares of the time after which the Gaussian, and the comparison with other rows, are to end.
TIMES = (0.15, 0.25)


def kept_rows(
    values: np.ndarray,
    observed: np.ndarray,
    n_levels: Sequence[int],
    trim: float,
    deadline: Deadline | None = None,
) -> np.ndarray:
    """Return (n,) bool: False for the share `trim` of rows that three detectors rank last.

    Parameters
    ----------
    values, observed : (n, F) as encoded
    n_levels : per column; 0 for a number, else how many levels are distinguished
    deadline : of the whole fit, of which this takes a quarter at most, beside one step of the
        Gaussian, a forest, and a comparison with 64 rows
    """
    if not trim:
        return np.ones(len(values), bool)
    deadline = deadline or Deadline()
    n_kept, known = max(2, round((1 - trim) * len(values))), np.array(n_levels)
    rare = observed & (known > 0) & (values >= known)
    coordinates = np.hstack([one_hot(values, observed, n_levels), rare[:, rare.any(0)]])
    until = deadline.part(TIMES[0])
    far = robust_distances(coordinates, *robust_gaussian(coordinates, until))
    forest = IsolationForest(random_state=FOREST_SEED).fit(coordinates)
    cells = np.nan_to_num(coordinates)
    most = deadline.part(TIMES[1]).affordable(
        lambda count: knn_distances(cells[:COMPARED_ROWS], NEAREST, count),
        MAX_OTHERS,
        passes=len(cells) / COMPARED_ROWS,
        start=MIN_OTHERS,
    )
    alone = knn_distances(cells, NEAREST, most)
    ranks = sum(map(rankdata, (far, -forest.score_samples(coordinates), alone)))
    ranks[_spared(values, observed & (known > 0), ranks)] -= 3.0 * len(values)
    kept = np.zeros(len(values), bool)
    kept[np.argsort(ranks, kind="stable")[:n_kept]] = True
    return kept


def _spared(values: np.ndarray, is_level: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return rows of which no more are left out: the first half, by rank, of each usual level.

    A level that is rarer than others lies apart from them, and without it in the rows that are
    learned from all rows with it would be strange.
    """
    order, spared = np.argsort(ranks, kind="stable"), list[np.ndarray]()
    for column, present in zip(values.T, is_level.T, strict=True):
        own = order[present[order]]
        for level, count in zip(*np.unique(column[own], return_counts=True), strict=True):
            if count >= USUAL * len(own):
                spared.append(own[column[own] == level][: -(-count // 2)])
    return np.concatenate([*spared, np.zeros(0, int)])


def one_hot(values: np.ndarray, observed: np.ndarray, n_levels: Sequence[int]) -> np.ndarray:
    """Return (n, C) float64: numbers and indicators of levels, NaN where not observed.

    Levels beyond `n_levels` are not distinguished, and have no indicator.
    """
    columns = []
    for j, n in enumerate(n_levels):
        column = values[:, j : j + 1].astype(np.float64)
        coordinates = (column == np.arange(n)).astype(np.float64) if n else column
        columns.append(np.where(observed[:, j : j + 1], coordinates, np.nan))
    return np.hstack(columns)


def robust_gaussian(
    coordinates: np.ndarray, until: Deadline | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return location (C,) and precision (C, C) of the half of the rows that lies densest.

    Concentration steps (Rousseeuw and Van Driessen 1999) from the rows nearest to the medians.
    Differs from FastMCD: one start, no reweighting, and a shrunken covariance, so that columns
    that are constant or depend on each other do no harm. NaN counts as the location. No step
    begins after the deadline `until`, but the first.
    """
    n, c = coordinates.shape
    location = np.nan_to_num(np.nanmedian(np.vstack([coordinates, np.zeros(c)]), axis=0))
    reach = np.nanmedian(np.abs(np.vstack([coordinates, np.zeros(c)]) - location), axis=0)
    far = np.square(np.nan_to_num((coordinates - location) / np.maximum(reach, 0.1))).sum(1)
    precision, chosen = np.eye(c), np.zeros(0, int)
    for i in range(N_ROUNDS):
        if i and until is not None and until.left() < 0:
            break
        before, chosen = chosen, np.sort(np.argsort(far, kind="stable")[: max(2, (n + c + 1) // 2)])
        if np.array_equal(before, chosen):
            break
        rows = np.where(np.isnan(coordinates[chosen]), location, coordinates[chosen])
        location = rows.mean(0)
        covariance = np.cov(rows.T, bias=True).reshape(c, c)
        share = SHRINK + c / (c + 20.0 * len(rows))
        unit = max(np.trace(covariance) / c, 1e-6) * np.eye(c)
        precision = np.linalg.inv((1 - share) * covariance + share * unit)
        far = robust_distances(coordinates, location, precision)
    return location, precision


def robust_distances(
    coordinates: np.ndarray, location: np.ndarray, precision: np.ndarray
) -> np.ndarray:
    """Return (n,) squared Mahalanobis distances per coordinate; NaN counts as the location."""
    out = []
    for start in range(0, len(coordinates), CHUNK):
        centred = np.nan_to_num(coordinates[start : start + CHUNK] - location)
        out.append((row_sums(centred, precision) * centred).sum(1))
    return np.concatenate(out) / coordinates.shape[1]


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
    return row_sums(unknown, np.square(1 - share) / (share * (1 - share) + least)) / len(precision)


def knn_distances(coordinates: np.ndarray, share: float, most: int = MAX_OTHERS) -> np.ndarray:
    """Return (n,) mean squared distance to the nearest `share` of at most `most` other rows."""
    rows = torch.tensor(coordinates)
    every = -(-len(rows) // most)
    others = rows[::every]
    k = min(max(MIN_NEAREST, round(share * len(others))), len(others) - 1)
    out = []
    for part in rows.split(COMPARED_ROWS):
        square = torch.cdist(part, others).square()
        # The nearest is the row itself, or as good as that.
        out.append(square.topk(k + 1, largest=False).values[:, 1:].mean(1))
    return torch.cat(out).numpy()
