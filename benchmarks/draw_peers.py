"""Imputers that draw: `sample(method, table, n_draws, seed)` gives filled copies of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge

from benchmarks.mice_peer import MiceForestPeer
from benchmarks.peers import MatrixPeer
from maetab import MAEImputer

METHODS = {
    "prior": "maetab, first guess alone: draws",
    "prior points": "maetab, first guess alone: points",
    "maetab": "maetab: draws",
    "miceforest": "miceforest (5 rounds, 5 candidates)",
    "extratrees": "chained ExtraTrees, draws of leaves",
    "bayesridge": "chained BayesianRidge, drawn",
}
OURS = ("prior", "prior points", "maetab")


class DrawingTrees(ExtraTreesRegressor):
    """Trees that answer with one of them, drawn anew for each row.

    Leaves are as pure as their rows allow: what comes out is an observed value that fell into the
    same leaf, as in random forest imputation of mice (Doove et al. 2014).
    """

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return (n,) draws."""
        each = np.stack([tree.predict(X) for tree in self.estimators_])
        drawn = np.random.default_rng(self.random_state).integers(len(each), size=len(X))
        return each[drawn, np.arange(len(X))]


def sample(method: str, table: pd.DataFrame, n_draws: int, seed: int) -> list[pd.DataFrame]:
    """Return filled copies of a table that the method is fitted to; of points there is one."""
    if method in OURS:
        fitted = MAEImputer(random_state=seed, **({} if method == "maetab" else {"max_iter": 0}))
        fitted.fit(table)
        if method == "prior points":
            return [fitted.transform(table)]
        return fitted.sample(table, n_draws, random_state=seed)
    if method == "miceforest":
        return MiceForestPeer(n_draws, 5, 1, seed, drawn=True).sample(table)
    chains = (_chain(method, 1000 * seed + k) for k in range(n_draws))
    return [chain.fit_transform(table) for chain in chains]


def _chain(method: str, seed: int) -> MatrixPeer:
    rest: dict[str, Any] = {"skip_complete": True, "keep_empty_features": True}
    if method == "bayesridge":
        line = BayesianRidge()
        chain = IterativeImputer(
            line, sample_posterior=True, max_iter=10, random_state=seed, **rest
        )
        return MatrixPeer(chain, one_hot=True)
    if method == "extratrees":
        trees = DrawingTrees(10, max_features=0.5, bootstrap=True, random_state=seed)
        chain = IterativeImputer(trees, max_iter=5, tol=0, random_state=seed, **rest)
        return MatrixPeer(chain, one_hot=False)
    raise ValueError(f"There is no method {method!r}; there are: {', '.join(METHODS)}.")
