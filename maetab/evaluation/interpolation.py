"""Linear interpolation in time, to compare with."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator


class LinearInterpolation(BaseEstimator):
    """Fill numbers on the line between the observed neighbours in time, and levels by the last.

    Before the first and after the last observed cell of a series it is taken as it is.

    Parameters
    ----------
    n_groups : levels of the index that tell series apart; the level behind them, if any,
        holds stamps
    """

    def __init__(self, n_groups: int = 0) -> None:
        self.n_groups = n_groups

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Return the imputer, which learns nothing."""
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return X filled."""
        levels, at = X.index.names[: self.n_groups], np.arange(len(X), dtype=float)
        if X.index.names[self.n_groups :] not in ([], [None]):
            stamps = X.index.get_level_values(self.n_groups)
            at = np.asarray(stamps.astype("int64") if stamps.dtype.kind in "mM" else stamps, float)
        series = X.groupby(level=list(levels)).ngroup().to_numpy() if levels else np.zeros(len(X))
        filled = X.copy()
        for place, name in enumerate(X):
            for rows in pd.Series(series).groupby(series).indices.values():
                cells = X[name].iloc[rows]
                filled.iloc[rows, place] = _filled(cells, at[rows]).array
        return filled


def _filled(cells: pd.Series, at: np.ndarray) -> pd.Series:
    is_number = pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells)
    if not is_number or cells.isna().all():
        return cells.ffill().bfill()
    values, seen = cells.to_numpy(float, na_value=np.nan), cells.notna().to_numpy()
    line = np.interp(at, at[seen], values[seen])
    whole = pd.api.types.is_integer_dtype(cells)
    return pd.Series(np.rint(line) if whole else line).astype(cells.dtype)
