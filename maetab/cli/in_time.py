"""Rows of a file in order of time, and linear interpolation to compare with."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from maetab.cli.series import Keys


def in_time(frame: pd.DataFrame, keys: Keys) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Return a frame in order of time with groups and stamps as its index, and (n,) its series.

    So none of them is hidden as a cell.
    """
    stamp, groups = keys.stamp(), list(keys.groups)
    names = [*groups, *([] if stamp is None else [stamp])]
    if not names:
        return frame.reset_index(drop=True), None
    ordered = frame.sort_values(names, kind="stable").set_index(names)
    labels = ordered.groupby(groups, dropna=False).ngroup().to_numpy() if groups else None
    return ordered, labels


def parameters_in_time(frame: pd.DataFrame, keys: Keys) -> dict[str, Any]:
    """Return `time` and `groups` of an estimator of frames from `in_time`."""
    return keys.parameters()


class LinearInterpolation(BaseEstimator):
    """Fill numbers on the line between the observed neighbours in time, and levels by the last.

    Before the first and after the last observed cell of a series it is taken as it is. Frames are
    those of `in_time`.
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Return the imputer, which learns nothing but the means, for series without any cell."""
        self.means_ = X.mean(numeric_only=True)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return X filled."""
        stamps = X.index.get_level_values(-1)
        at = np.arange(len(X), dtype=float)
        if not isinstance(X.index, pd.RangeIndex):
            at = np.asarray(stamps.astype("int64") if stamps.dtype.kind in "mM" else stamps, float)
        levels = X.index.names[:-1]
        series = X.groupby(level=list(levels)).ngroup().to_numpy() if levels else np.zeros(len(X))
        filled = X.copy()
        for name in X:
            for number in np.unique(series):
                rows = np.flatnonzero(series == number)
                cells = X[name].iloc[rows]
                filled.iloc[rows, filled.columns.get_loc(name)] = _filled(cells, at[rows]).array
        return filled


def _filled(cells: pd.Series, at: np.ndarray) -> pd.Series:
    is_number = pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells)
    if not is_number or cells.isna().all():
        return cells.ffill().bfill()
    values, seen = cells.to_numpy(float, na_value=np.nan), cells.notna().to_numpy()
    line = np.interp(at, at[seen], values[seen])
    whole = pd.api.types.is_integer_dtype(cells)
    return pd.Series(np.rint(line) if whole else line).astype(cells.dtype)
