"""The volume under the precision-recall surface: how well a score finds labelled stretches.

VUS-PR (Paparrizos et al., PVLDB 15, 2022) as TSB-AD 1.5 computes it ("opt", 250 thresholds): around
each labelled stretch a buffer of up to half a window counts in part, precision and recall are taken
for every width of the buffer, and the areas are averaged. Written anew with sorted scores instead
of loops over thresholds; a test compares with figures of that package.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import argrelextrema

N_THRESHOLDS = 250
MAX_LAG = 400
SHORTEST, LONGEST, OTHERWISE = 3, 300, 125  # lengths of a window that TSB-AD allows, and its own


def window_length(values: np.ndarray, rank: int = 1) -> int:
    """Return a length in steps read off the autocorrelation: TSB-AD's `find_length_rank`.

    Parameters
    ----------
    values : (n,) without missing values
    rank : 1 or 2
        1: the lag of the highest local maximum; 2: the next highest at a longer lag.
    """
    correlation = autocorrelation(values[:20_000], MAX_LAG)[SHORTEST:]
    peaks = argrelextrema(correlation, np.greater)[0]
    if not len(peaks):
        return OTHERWISE
    order = np.argsort(correlation[peaks])[::-1]
    chosen = order[0]
    if rank == 2:
        chosen = next((i for i in order[1:] if i > order[0]), chosen)
    lag = int(peaks[chosen])
    return OTHERWISE if not SHORTEST <= lag <= LONGEST else lag + SHORTEST


def autocorrelation(values: np.ndarray, max_lag: int) -> np.ndarray:
    """Return the autocorrelation at lags 0 to `max_lag`; zeros for a constant series."""
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    products = np.fft.irfft(np.abs(spectrum) ** 2)[: max_lag + 1]
    return products / products[0] if products[0] > 0 else np.zeros_like(products)


def vus_pr(labels: np.ndarray, scores: np.ndarray, window: int) -> float:
    """Return the volume under the precision-recall surface, in [0, 1].

    Parameters
    ----------
    labels : (n,) bool or 0 and 1, with at least one anomaly
    scores : (n,), higher is stranger
    window : int
        Widest buffer: half of it lies on each side of a labelled stretch.
    """
    labels = np.asarray(labels, dtype=int)
    thresholds, n_found = _thresholds(np.asarray(scores, dtype=float))
    order = np.argsort(-np.asarray(scores), kind="stable")
    stretches = _stretches(labels)
    areas = [
        _area(labels, scores, order, stretches, width, thresholds, n_found)
        for width in range(window + 1)
    ]
    return float(np.mean(areas))


def _thresholds(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return 250 thresholds at even ranks and how many scores reach each."""
    ranked = np.sort(scores)
    picked = np.linspace(0, len(scores) - 1, N_THRESHOLDS).astype(int)
    thresholds = ranked[::-1][picked]
    return thresholds, len(scores) - np.searchsorted(ranked, thresholds, side="left")


def _stretches(labels: np.ndarray) -> np.ndarray:
    """Return (S, 2): the first and last place of each labelled stretch."""
    change = np.diff(np.concatenate([[0], labels, [0]]))
    return np.stack([np.flatnonzero(change == 1), np.flatnonzero(change == -1) - 1], axis=1)


def _area(
    labels: np.ndarray, scores: np.ndarray, order: np.ndarray, stretches: np.ndarray, width: int,
    thresholds: np.ndarray, n_found: np.ndarray,
) -> float:  # fmt: skip
    """Return the area under precision and recall with a buffer of one width."""
    weight = _buffered(labels, stretches, width)
    inside = np.cumsum(np.where(labels == 1, weight, 0)[order])[n_found - 1]
    beside = np.cumsum(np.where(labels == 1, 0, weight)[order])[n_found - 1]
    highest = np.array([scores[a : b + 1].max() for a, b in _merged(stretches, width, len(labels))])
    existence = (highest >= thresholds[:, None]).mean(axis=1)
    recall = np.minimum((inside + beside) / (labels.sum() + beside / 2), 1) * existence
    return float(np.diff(recall, prepend=0) @ ((inside + beside) / n_found))


def _buffered(labels: np.ndarray, stretches: np.ndarray, width: int) -> np.ndarray:
    """Return labels that fall off on both sides of each stretch."""
    weight = labels.astype(float)
    for first, last in stretches:
        after = np.arange(last + 1, min(last + width // 2 + 1, len(labels)))
        before = np.arange(max(first - width // 2, 0), first)
        if width:
            weight[after] += np.sqrt(1 - (after - last) / width)
            weight[before] += np.sqrt(1 - (first - before) / width)
    return np.minimum(weight, 1)


def _merged(stretches: np.ndarray, width: int, n: int) -> list[tuple[int, int]]:
    """Return the stretches with their buffers, joined where these touch."""
    half, joined = width // 2, []
    for first, last in stretches:
        if joined and first - half <= joined[-1][1]:
            joined[-1] = (joined[-1][0], last + half)
        else:
            joined.append((max(first - half, 0), last + half))
    return [(first, min(last, n - 1)) for first, last in joined]
