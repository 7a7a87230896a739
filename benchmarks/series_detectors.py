"""Detectors of strange stretches in one series, behind one door: a frame and a length, n scores.

The settings of the peers are TSB-AD 1.5's (`Optimal_Uni_algo_HP_dict`), with windows at every step
and each window's score at its middle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

from benchmarks.peers import package_version
from benchmarks.vus import window_length

VARIANCE_WINDOW = 96  # of arXiv 2025's critique of TSB-AD: there it reaches .42 alone
ROLLING = 25  # steps of a rolling z-score, its own in the middle
FLAT = 1e-8  # of the series' spread: a window that varies less is flat and not divided by it
PACKAGES = {"maetab": "maetab", "matrix profile": "stumpy"}


def windows(values: np.ndarray, length: int) -> np.ndarray:
    """Return (n - length + 1, length): the window that begins at every step."""
    return sliding_window_view(values, length)


def at_middle(scores: np.ndarray, n: int) -> np.ndarray:
    """Return n scores: those of windows at their middles, the first and last drawn out."""
    lacking = n - len(scores)
    return np.pad(scores, ((lacking + 1) // 2, lacking // 2), mode="edge")


def normalised(rows: np.ndarray) -> np.ndarray:
    """Return windows with their own mean and spread taken off; flat ones are zeros."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    spread = rows.std(axis=1, ddof=1, keepdims=True)
    return np.where(spread > FLAT, centred / np.where(spread > FLAT, spread, 1), 0)


# ---- peers


def moving_variance(frame: pd.DataFrame, length: int, seed: int) -> np.ndarray:
    """Return the variance in a window around each stamp."""
    rolled = frame.iloc[:, 0].rolling(VARIANCE_WINDOW, center=True, min_periods=1)
    return rolled.var(ddof=0).to_numpy()


def isolation_forest(frame: pd.DataFrame, length: int, seed: int) -> np.ndarray:
    """Return the scores of an IsolationForest (150 trees) on windows."""
    rows = windows(frame.iloc[:, 0].to_numpy(), length)
    forest = IsolationForest(n_estimators=150, random_state=seed).fit(rows)
    return at_middle(-forest.decision_function(rows), len(frame))


def sub_pca(frame: pd.DataFrame, length: int, seed: int) -> np.ndarray:
    """Return the distances of windows to components, weighted against the large ones (PyOD's)."""
    rows = windows(frame.iloc[:, 0].to_numpy(), length)
    spread = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)
    found = PCA().fit(rows)
    weight = np.maximum(found.explained_variance_ratio_, np.finfo(float).eps)
    return at_middle((cdist(rows, found.components_) / weight).sum(axis=1), len(frame))


def matrix_profile(frame: pd.DataFrame, length: int, seed: int) -> np.ndarray:
    """Return the distance of each window to the nearest that does not overlap with it much."""
    import stumpy

    profile = stumpy.stump(frame.iloc[:, 0].to_numpy(float), m=length)[:, 0].astype(float)
    profile = np.where(np.isfinite(profile), profile, np.nanmax(profile[np.isfinite(profile)]))
    return at_middle(profile, len(frame))


def nearest_windows(frame: pd.DataFrame, length: int, seed: int) -> np.ndarray:
    """Return the distance of each normalised window to its fiftieth neighbour (Sub-KNN)."""
    values = frame.iloc[:, 0].to_numpy(float)
    rows = normalised(windows(values, min(window_length(values, rank=2), len(values) // 2)))
    found = NearestNeighbors(n_neighbors=min(50, len(rows) - 1), algorithm="brute").fit(rows)
    return at_middle(found.kneighbors()[0][:, -1], len(frame))


def rolling_z(frame: pd.DataFrame, length: int, seed: int) -> np.ndarray:
    """Return distances to the rolling mean in rolling standard deviations."""
    rolled = frame.iloc[:, 0].rolling(ROLLING, center=True, min_periods=2)
    spread = rolled.std().clip(lower=FLAT)
    return ((frame.iloc[:, 0] - rolled.mean()).abs() / spread).to_numpy()


def rolling_median(frame: pd.DataFrame, length: int, seed: int) -> np.ndarray:
    """Return distances to the rolling median in rolling median deviations."""
    column = frame.iloc[:, 0]
    middle = column.rolling(ROLLING, center=True, min_periods=2).median()
    away = (column - middle).abs()
    spread = away.rolling(ROLLING, center=True, min_periods=2).median()
    return (away / spread.clip(lower=1e-3 * float(column.std()) + FLAT)).to_numpy()


# ---- maetab


def _detector(length: int, seed: int, options: dict[str, Any]) -> Any:
    from maetab import MAEAnomalyDetector

    return MAEAnomalyDetector(**({"window": length, "random_state": seed} | options))


def stretches(
    frame: pd.DataFrame, length: int, seed: int, options: dict[str, Any] | None = None
) -> np.ndarray:
    """Return maetab's score of each stamp."""
    return -_detector(length, seed, options or {}).fit(frame).score_samples(frame)


def cells(
    frame: pd.DataFrame, length: int, seed: int, options: dict[str, Any] | None = None
) -> np.ndarray:
    """Return maetab's score of each cell of the one column."""
    return (
        _detector(length, seed, options or {}).fit(frame).score_cells(frame).iloc[:, 0].to_numpy()
    )


STRETCHES: dict[str, Callable[..., np.ndarray]] = {
    "maetab": stretches,
    "moving variance": moving_variance,
    "IsolationForest": isolation_forest,
    "Sub-PCA": sub_pca,
    "matrix profile": matrix_profile,
    "kNN": nearest_windows,
}
POINTS: dict[str, Callable[..., np.ndarray]] = {
    "maetab": cells,
    "rolling z": rolling_z,
    "rolling median": rolling_median,
}


def version_of(method: str) -> str:
    """Return the version of the package behind a method, or "absent"."""
    return package_version(PACKAGES.get(method, "scikit-learn"))
