"""Targets as they come: which rows have a label, and what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets


def read_target(y: Any, n_rows: int, unlabelled: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of a target and which of them are labels.

    Parameters
    ----------
    y : (n,) labels or numbers; None, NaN, NA, NaT and masked cells are no labels
    n_rows : that X has
    unlabelled : value of y that is no label either; None for none

    Returns
    -------
    cells : (n,) array
    labelled : (n,) bool
    """
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")
    masked = np.ma.getmaskarray(y).ravel() if isinstance(y, np.ma.MaskedArray) else False
    # Of a list NumPy would write NaN as text, and True as 1 beside NaN or other numbers.
    y = np.asarray(y, dtype=object if isinstance(y, (list, tuple)) else None)
    cells = column_or_1d(y, warn=True)
    if len(cells) != n_rows:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_rows} rows, "
            f"y has {len(cells)}."
        )
    labelled = ~(np.asarray(pd.isna(cells)) | masked)
    if not pd.isna(unlabelled):
        labelled[labelled] = np.asarray(cells[labelled] != unlabelled, dtype=bool)
    if not labelled.any():
        raise ValueError(
            f"y of {name} holds no label: each cell is missing or the value 'unlabelled'."
        )
    return cells, labelled


def read_classes(
    y: Any, n_rows: int, unlabelled: Any, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the classes, (n,) codes of classes, -1 where there is no label, and (n,) labelled."""
    cells, labelled = read_target(y, n_rows, unlabelled, name)
    known = cells[labelled]
    if known.dtype == object:
        known = np.array(known.tolist())
        if known.ndim != 1:
            label = cells[labelled][0]
            raise TypeError(f"a label in y must be text, a number, True or False, got {label!r}.")
        if isinstance(known[0], np.str_) and not all(isinstance(c, str) for c in cells[labelled]):
            raise TypeError("y mixes text with other labels; give all of them as text.")
    if known.dtype.kind == "f" and not labelled.all() and _are_whole(known):
        known = known.astype(np.int64)  # whole numbers that NaN made floats of
    check_classification_targets(known)
    classes, found = np.unique(known, return_inverse=True)
    codes = np.full(n_rows, -1)
    codes[labelled] = found
    return classes, codes, labelled


def _are_whole(numbers: np.ndarray) -> bool:
    """Whether floats are whole numbers, of which floats hold each."""
    return bool(((numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53)).all())


def read_numbers(y: Any, n_rows: int, unlabelled: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) float64, NaN where there is no number, and (n,) labelled."""
    cells, labelled = read_target(y, n_rows, unlabelled, name)
    numbers = np.full(n_rows, np.nan)
    known = cells[labelled]
    try:
        if isinstance(known[0], (np.datetime64, np.timedelta64)):  # would pass as numbers
            raise TypeError("these are times")
        numbers[labelled] = known.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"y of {name} must hold numbers, got {known[0]!r}: {error}; give times as numbers of "
            f"days, say, and classes to MAEClassifier."
        ) from error
    if np.isinf(numbers).any():
        raise ValueError("Input y contains infinity or a value too large for dtype('float64').")
    return numbers, labelled


def of_labelled(
    metric: Callable[..., float],
    truth: np.ndarray,
    found: np.ndarray,
    labelled: np.ndarray,
    sample_weight: Any,
) -> float:
    """Return a metric of scikit-learn over the rows that have a label."""
    check_consistent_length(truth, sample_weight)
    weights = None if sample_weight is None else np.asarray(sample_weight)[labelled]
    return metric(truth[labelled], found[labelled], sample_weight=weights)
