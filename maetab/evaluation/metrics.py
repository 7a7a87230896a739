"""Scores of filled cells, column by column."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, root_mean_squared_error

from maetab.data.codec import encode
from maetab.data.schema import Column, Schema

Metric = Callable[[np.ndarray, np.ndarray], float]


def _macro_f1(truth: np.ndarray, filled: np.ndarray) -> float:
    return f1_score(truth, filled, labels=np.unique(truth), average="macro", zero_division=0)


NUMBER_METRICS: dict[str, Metric] = {
    "rmse": root_mean_squared_error,
    "mae": mean_absolute_error,
    "wasserstein": wasserstein_distance,
}
CATEGORY_METRICS: dict[str, Metric] = {"accuracy": accuracy_score, "f1_macro": _macro_f1}
METRICS = (*NUMBER_METRICS, *CATEGORY_METRICS)


def cell_scores(
    truth: pd.DataFrame,
    filled: pd.DataFrame,
    hidden: pd.DataFrame,
    schema: Schema,
    metrics: Sequence[str] = METRICS,
) -> pd.DataFrame:
    """Return column x metric (long) of how close `filled` comes to `truth` where `hidden`.

    Parameters
    ----------
    truth, filled, hidden : (n, F) DataFrame
        Same rows and columns; `hidden` is bool, True for the cells that count.
    schema : Schema, such as `schema_` of a fitted imputer
        Says which columns are categories, and the unit of numbers (their `scale`, the standard
        deviation in the rows of its fit).
    metrics : sequence of {"rmse", "mae", "wasserstein", "accuracy", "f1_macro"}
        As in :func:`cross_val_impute`; each is taken only where it fits the column.

    Returns
    -------
    scores : DataFrame
        Columns column, metric, value and n_cells; no line for a column without hidden cells,
        or of free text. The value is NaN where a number was left missing.
    """
    true_values, _ = encode(truth, schema)
    values, is_filled = encode(filled, schema)
    values = np.where(is_filled, values, np.nan)
    rows = []
    for place, column in enumerate(schema.columns):
        cells = hidden.iloc[:, place].to_numpy()
        if cells.any() and not column.free_text:  # which no model sees or fills
            found = _scores(column, true_values[cells, place], values[cells, place], metrics)
            rows += [(column.name, name, value, int(cells.sum())) for name, value in found]
    scores = pd.DataFrame(rows, columns=["column", "metric", "value", "n_cells"])
    return scores.astype({"value": float, "n_cells": int})  # which a frame without lines is not


def _scores(
    column: Column, truth: np.ndarray, filled: np.ndarray, metrics: Sequence[str]
) -> list[tuple[str, float]]:
    """Return the metrics that fit the column; `filled` (n,) is NaN where left unfilled."""
    if column.kind == "category":
        # -1 is the code of no level, so that an unfilled cell is wrong.
        available, filled = CATEGORY_METRICS, np.where(np.isnan(filled), -1.0, filled)
    else:
        available = NUMBER_METRICS
    missed = bool(np.isnan(filled).any())
    return [
        (name, np.nan if missed else float(available[name](truth, filled)))
        for name in metrics
        if name in available
    ]
