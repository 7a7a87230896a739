"""Honest scores for imputers: hide cells whose value is known, fill them, compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance
from sklearn.base import BaseEstimator, clone
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    root_mean_squared_error,
)
from sklearn.model_selection import KFold, check_cv

from maetab.amputation import amputate, as_generator
from maetab.data.codec import encode, fill
from maetab.data.containers import read_frame
from maetab.data.schema import Schema, infer_schema

__all__ = ["amputate", "cell_scores", "cross_val_impute"]

Metric = Callable[[np.ndarray, np.ndarray], float]


def _macro_f1(truth: np.ndarray, filled: np.ndarray) -> float:
    return f1_score(truth, filled, labels=np.unique(truth), average="macro", zero_division=0)


NUMBER_METRICS: dict[str, Metric] = {
    "rmse": root_mean_squared_error,
    "mae": mean_absolute_error,
    "wasserstein": wasserstein_distance,
}
CATEGORY_METRICS: dict[str, Metric] = {"accuracy": accuracy_score, "f1_macro": _macro_f1}


def cross_val_impute(
    estimators: Any,
    X: Any,
    *,
    mechanism: str = "mcar",
    frac: float = 0.3,
    cv: Any = 3,
    metrics: Sequence[str] = ("rmse", "mae", "accuracy", "f1_macro", "wasserstein"),
    baselines: Sequence = ("median", "knn"),
    categorical_features: Any = "auto",
    random_state: Any = 0,
) -> pd.DataFrame:
    """Return how well imputers fill hidden cells of rows they have not seen.

    In each fold cells of the whole table are hidden, every method is fitted on the training
    rows and fills the test rows, and the hidden test cells are compared with the truth.
    All methods see the same cells.

    Parameters
    ----------
    estimators : imputer, list of imputers or dict name -> imputer
        Clones are fitted. Imputers of maetab get the frame as it is; any other gets
        numbers: standardised columns and, for categories, codes, which are rounded and
        clipped back to levels (a mean or median there becomes the most frequent level).
    X : array or data frame, 2-D
        May have missing cells; they stay missing and do not count.
    mechanism, frac
        How cells are hidden, see :func:`amputate`.
    cv : int, splitter or iterable of (train, test) row positions
        An int shuffles the rows, except for mechanism="block", where folds are contiguous so
        that gaps stay whole.
    metrics : sequence of {"rmse", "mae", "wasserstein", "accuracy", "f1_macro"}
        The first three are for numbers, in standard deviations of the training rows; the
        others for categories ("f1_macro" averages over the levels among the hidden cells).
    baselines : sequence of {"median", "mean", "knn", "iterative"} or imputers
        More methods to compare with. "median" and "mean" give categories their most
        frequent level.
    categorical_features : "auto" or list of column names
        Which columns are categories when scores are taken and codes made. A maetab imputer
        follows its own parameter of this name.
    random_state : int, numpy Generator or RandomState
        For folds, hidden cells and baselines; estimators keep their own.

    Returns
    -------
    scores : DataFrame
        Columns fold, column, metric, method, value and n_cells (hidden test cells). The
        value is NaN where a method left a number unfilled; an unfilled category is wrong.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.impute import SimpleImputer
    >>> X = load_iris(as_frame=True).data
    >>> scores = cross_val_impute(SimpleImputer(), X, baselines=["knn"], metrics=["mae"])
    >>> scores.groupby("method")["value"].mean().idxmin()
    'knn'
    """
    chosen = _check_metrics(metrics)
    generator = as_generator(random_state)
    methods = _methods(estimators, baselines, int(generator.integers(2**31)))
    frame, _ = read_frame(X)
    tables = []
    for fold, (train, test) in enumerate(_folds(cv, frame, mechanism, generator)):
        missing, hidden = amputate(frame, mechanism, frac, random_state=generator)
        truth = frame.iloc[test]
        schema = infer_schema(
            frame.iloc[train], categorical_features, estimator_name="cross_val_impute"
        )
        for name, method in methods.items():
            filled = _impute(method, missing.iloc[train], missing.iloc[test], schema)
            scores = cell_scores(truth, filled, hidden.iloc[test], schema, chosen)
            tables.append(scores.assign(fold=fold, method=name))
    scores = pd.concat(tables, ignore_index=True)
    return scores[["fold", "column", "metric", "method", "value", "n_cells"]]


def cell_scores(
    truth: pd.DataFrame,
    filled: pd.DataFrame,
    hidden: pd.DataFrame,
    schema: Schema,
    metrics: Sequence[str] = (*NUMBER_METRICS, *CATEGORY_METRICS),
) -> pd.DataFrame:
    """Return column x metric (long) of how close `filled` comes to `truth` where `hidden`.

    Parameters
    ----------
    truth, filled, hidden : DataFrame
        Same rows and columns; `hidden` is bool.
    schema : Schema
        Says which columns are categories, and the unit of numbers (their `scale`).
    metrics : sequence of str
        As in :func:`cross_val_impute`; each is taken only where it fits the column.

    Returns
    -------
    scores : DataFrame
        Columns column, metric, value and n_cells; no line for a column without hidden cells,
        and for free text.
    """
    true_values, _ = encode(truth, schema)
    values, found = encode(filled, schema)
    rows = []
    for place, column in enumerate(schema.columns):
        if column.free_text:  # which no model sees or fills
            continue
        cells = hidden.iloc[:, place].to_numpy()
        is_number = column.kind == "number"
        available = NUMBER_METRICS if is_number else CATEGORY_METRICS
        unfilled = np.nan if is_number else -1.0
        guess = np.where(found[cells, place], values[cells, place], unfilled)
        for metric in metrics if cells.any() else ():
            if metric in available:
                lost = is_number and bool(np.isnan(guess).any())
                compare = available[metric]
                value = np.nan if lost else float(compare(true_values[cells, place], guess))
                rows.append((column.name, metric, value, int(cells.sum())))
    return pd.DataFrame(rows, columns=["column", "metric", "value", "n_cells"])


def _check_metrics(metrics: Sequence[str]) -> list[str]:
    known = (*NUMBER_METRICS, *CATEGORY_METRICS)
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if name not in known:
            raise ValueError(f"The 'metrics' must be among {known}, got {name!r}.")
    return names


def _folds(
    cv: Any, frame: pd.DataFrame, mechanism: str, generator: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    if isinstance(cv, int | np.integer) and mechanism != "block":
        cv = KFold(int(cv), shuffle=True, random_state=int(generator.integers(2**31)))
    return list(check_cv(cv).split(frame))


def _methods(estimators: Any, baselines: Any, seed: int) -> dict[str, BaseEstimator]:
    """Return name -> unfitted imputer, first the estimators, then the baselines."""
    if isinstance(estimators, Mapping):
        pairs = list(estimators.items())
    else:
        several = isinstance(estimators, list | tuple)
        pairs = [(type(e).__name__, e) for e in (estimators if several else [estimators])]
    for entry in [baselines] if isinstance(baselines, str) else baselines:
        is_name = isinstance(entry, str)
        pairs.append((entry, _baseline(entry, seed)) if is_name else (type(entry).__name__, entry))
    methods: dict[str, BaseEstimator] = {}
    for name, method in pairs:
        if isinstance(method, type) or not (
            hasattr(method, "fit") and hasattr(method, "transform")
        ):
            raise TypeError(f"method {name!r} must be an imputer instance, got {method!r}.")
        repeats = sum(key == name or key.startswith(f"{name}-") for key in methods)
        methods[f"{name}-{repeats + 1}" if name in methods else name] = method
    if not methods:
        raise ValueError("There is no method to compare: 'estimators' and 'baselines' are empty.")
    return methods


def _baseline(name: str, seed: int) -> BaseEstimator:
    if name in ("median", "mean"):
        return SimpleImputer(strategy=name)
    if name == "knn":
        return KNNImputer()
    if name == "iterative":
        from sklearn.experimental import enable_iterative_imputer  # noqa: F401
        from sklearn.impute import IterativeImputer

        return IterativeImputer(random_state=seed)
    known = ("median", "mean", "knn", "iterative")
    raise ValueError(f"The 'baselines' must be among {known} or be imputers, got {name!r}.")


def _impute(
    method: BaseEstimator, train: pd.DataFrame, test: pd.DataFrame, schema: Schema
) -> pd.DataFrame:
    """Return `test` filled by a clone of `method` that was fitted on `train`."""
    imputer = clone(method)
    if not any(kind.__module__.startswith("maetab.") for kind in type(imputer).__mro__):
        return _impute_as_numbers(imputer, train, test, schema)
    filled = imputer.fit(train).transform(test)
    if isinstance(filled, pd.DataFrame):
        return filled.reindex(columns=test.columns)
    return pd.DataFrame(np.asarray(filled), index=test.index, columns=test.columns)


def _impute_as_numbers(
    imputer: BaseEstimator, train: pd.DataFrame, test: pd.DataFrame, kinds: Schema
) -> pd.DataFrame:
    """Return `test` filled by an imputer that is shown numbers only.

    Units and codes come from the visible cells of `train`; `kinds` only says which columns
    are categories.
    """
    categories = [column.name for column in kinds.columns if column.kind == "category"]
    schema = infer_schema(train, categories, estimator_name="cross_val_impute")
    if "keep_empty_features" in imputer.get_params():
        imputer.set_params(keep_empty_features=True)
    imputer.fit(_numbers(train, schema))
    values = np.asarray(imputer.transform(_numbers(test, schema)), dtype=np.float64)
    values = values[:, : len(schema.columns)]  # indicators, if any, come after
    averaged = getattr(imputer, "strategy", None) in ("mean", "median")
    for place, column in enumerate(schema.columns):
        if column.kind == "category":  # code 0 is the most frequent level
            last = 0 if averaged else max(len(column.levels) - 1, 0)
            values[:, place] = np.clip(np.rint(values[:, place]), 0, last)
    return fill(test, values, test.isna().to_numpy(), schema)


def _numbers(frame: pd.DataFrame, schema: Schema) -> np.ndarray:
    values, observed = encode(frame, schema)
    n_levels = np.array([len(c.levels) or np.inf for c in schema.columns])
    return np.where(observed & (values < n_levels), values.astype(np.float64), np.nan)
