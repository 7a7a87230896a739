"""Detectors of anomalous rows and cells, maetab's and others', each a function of a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

TRIM = 0.2  # of maetab where rows are contaminated


class Task(NamedTuple):
    """Rows to learn from, rows to judge, and what is right.

    y : (n,) 1 where a row is an anomaly; for planted cells (n, F) True where one was planted
    """

    train: np.ndarray
    test: np.ndarray
    y: np.ndarray


Scores = Callable[..., np.ndarray]


# ---- peers: each returns (n,) higher where a row is stranger


def _sklearn(make: Callable[[int], Any]) -> Scores:
    def strange(task: Task, seed: int) -> np.ndarray:
        return -make(seed).fit(task.train).score_samples(task.test)

    return strange


def _pyod(module: str, name: str, **options: Any) -> Scores:
    def strange(task: Task, seed: int) -> np.ndarray:
        from importlib import import_module

        maker = getattr(import_module(f"pyod.models.{module}"), name)
        seeded = {"random_state": seed} if name != "ECOD" else {}
        if name == "DeepSVDD":
            seeded["n_features"] = task.train.shape[1]
        fitted = maker(**seeded, **options).fit(task.train)
        return fitted.decision_function(task.test)

    return strange


def _neighbours(task: Task, k: int) -> np.ndarray:
    """Return (n, k) distances to the nearest training rows; a training row does not see itself."""
    found = NearestNeighbors(n_neighbors=k).fit(task.train)
    same = task.train is task.test
    return found.kneighbors(None if same else task.test)[0]


def _knn(task: Task, seed: int) -> np.ndarray:
    return _neighbours(task, 5)[:, -1]


def _dte_np(task: Task, seed: int) -> np.ndarray:
    return np.square(_neighbours(task, 5)).mean(1)


def _lof(task: Task, seed: int) -> np.ndarray:
    if task.train is task.test:
        return -LocalOutlierFactor(20).fit(task.train).negative_outlier_factor_
    return -LocalOutlierFactor(20, novelty=True).fit(task.train).score_samples(task.test)


def _maetab(task: Task, seed: int, **options: Any) -> np.ndarray:
    from maetab import MAEAnomalyDetector

    trim = TRIM if task.train is task.test else 0.0
    detector = MAEAnomalyDetector(**{"random_state": seed, "trim": trim} | options)
    detector.fit(task.train)
    if task.y.ndim == 2:
        return detector.score_cells(task.test).to_numpy()
    return -detector.score_samples(task.test)


METHODS: dict[str, Scores] = {
    "maetab": _maetab,
    "IsolationForest": _sklearn(lambda seed: IsolationForest(random_state=seed)),
    "LOF": _lof,
    "kNN-5": _knn,
    "DTE-NP": _dte_np,
    "OCSVM": _sklearn(lambda seed: OneClassSVM()),
    "ECOD": _pyod("ecod", "ECOD"),
    "MCD": _pyod("mcd", "MCD"),
    "PCA": _pyod("pca", "PCA"),
    "DeepSVDD": _pyod("deep_svdd", "DeepSVDD", verbose=0),
}


# ---- which cell was planted: (n, F), higher where a cell is stranger


def _zscore(task: Task, seed: int) -> np.ndarray:
    return np.abs(StandardScaler().fit(task.train).transform(task.test))


def _knn_residual(task: Task, seed: int) -> np.ndarray:
    """Return distances to the mean of the 5 nearest rows, in those that training rows have."""
    scaler = StandardScaler().fit(task.train)
    train, test = scaler.transform(task.train), scaler.transform(task.test)
    found = NearestNeighbors(n_neighbors=5).fit(train)
    usual = np.abs(train - train[found.kneighbors()[1]].mean(1)).mean(0)
    missed = np.abs(test - train[found.kneighbors(test)[1]].mean(1))
    return missed / np.maximum(usual, 1e-3)


CELL_SCORES: dict[str, Scores] = {
    "maetab": _maetab,
    "zscore": _zscore,
    "knn-residual": _knn_residual,
}
