"""Labels of outliers in the two conventions: those of scikit-learn and those of PyOD."""

from __future__ import annotations

from typing import Any

import numpy as np


def pyod_labels(labels: Any) -> np.ndarray:
    """Return (n,) int, 1 for outliers and 0 for normal rows, from scikit-learn's -1 and 1.

    Scores have no scale of their own in either convention: `-detector.score_samples(X)`, and
    `-detector.decision_function(X)`, are higher where a row is stranger, as in PyOD.

    Parameters
    ----------
    labels : (n,) of -1 for outliers and 1 for normal rows, as `predict` returns them

    Raises
    ------
    ValueError
        There are other values, 0 among them, or more than one axis.

    Examples
    --------
    >>> pyod_labels([1, -1, 1]).tolist()
    [0, 1, 0]
    """
    return (1 - _checked(labels, (-1, 1), "-1 for outliers and 1 for normal rows")) // 2


def sklearn_labels(labels: Any) -> np.ndarray:
    """Return (n,) int, -1 for outliers and 1 for normal rows, from PyOD's 1 and 0.

    Parameters
    ----------
    labels : (n,) of 1 or True for outliers and 0 or False for normal rows, as in `labels_`

    Raises
    ------
    ValueError
        There are other values, -1 among them, or more than one axis.

    Examples
    --------
    >>> sklearn_labels([0, 1, 0]).tolist()
    [1, -1, 1]
    """
    return 1 - 2 * _checked(labels, (0, 1), "1 for outliers and 0 for normal rows")


def _checked(labels: Any, known: tuple[int, int], words: str) -> np.ndarray:
    given = np.asarray(labels)
    if given.ndim != 1:
        raise ValueError(f"labels must have one axis, got the shape {given.shape}.")
    wrong = given[~np.isin(given, known)]
    if len(wrong):
        raise ValueError(f"labels must be {words}, got {wrong[0].item()!r}.")
    return given.astype(int)
