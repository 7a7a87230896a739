"""Imputers compared on rows that they have not seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import GroupKFold, KFold, TimeSeriesSplit, check_cv
from sklearn.pipeline import Pipeline

from maetab.data.codec import encode, fill
from maetab.data.containers import read_frame
from maetab.data.panel import group_labels
from maetab.data.schema import Schema, infer_schema
from maetab.data.stamps import find_time
from maetab.evaluation.amputation import amputate, as_generator, rows_by_series, series_of_rows
from maetab.evaluation.metrics import METRICS, cell_scores


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
    groups: Any = None,
) -> pd.DataFrame:
    """Return how well imputers fill hidden cells of rows they have not seen.

    In each fold cells of the whole table are hidden, every method is fitted on the training
    rows and fills the test rows, and the hidden test cells are compared with the truth.
    All methods see the same cells. None are hidden in columns that an imputer of series
    takes as its `time` or `groups`.

    Parameters
    ----------
    estimators : imputer, list of imputers or dict name -> imputer
        Clones are fitted. Imputers of maetab, and a `Pipeline` that begins with one, get the
        frame as it is; any other gets numbers: standardised columns and, for categories, codes,
        which are rounded and clipped back to levels (a mean or median there becomes the most
        frequent level).
    X : array or data frame, 2-D
        May have missing cells; they stay missing and do not count.
    mechanism, frac
        How cells are hidden, see :func:`amputate`.
    cv : int, splitter or iterable of (train, test) row positions
        An int shuffles the rows, except for mechanism="block", where folds are contiguous so
        that gaps stay whole; with `groups`, each group of rows is in one fold. A
        `TimeSeriesSplit` splits each group, which then tests the later part of each series.
    metrics : sequence of {"rmse", "mae", "wasserstein", "accuracy", "f1_macro"}
        The first three are for numbers, in standard deviations of the training rows; the
        others for categories ("f1_macro" averages over the levels among the hidden cells).
    baselines : sequence of {"median", "mean", "knn", "iterative"} or imputers
        More methods to compare with. "median" and "mean" give categories their most frequent level.
    categorical_features : "auto" or list of column names
        Which columns are categories when scores are taken and codes made. A maetab imputer
        follows its own parameter of this name.
    random_state : int, numpy Generator or RandomState
        For folds, hidden cells and baselines; estimators keep their own.
    groups : (n,) array, optional
        Labels of the series that the rows belong to, in order of time; handed to `cv` as in
        scikit-learn's `cross_validate`, and to :func:`amputate`.

    Returns
    -------
    scores : DataFrame
        Columns fold, column, metric, method, value and n_cells (hidden test cells). The
        value is NaN where a method left a number unfilled; an unfilled category is wrong.

    Raises
    ------
    ValueError
        A metric, a baseline or a mechanism is unknown, or there is no method.
    TypeError
        A method has no `fit` and `transform`, or is a class.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.impute import SimpleImputer
    >>> X = load_iris(as_frame=True).data
    >>> scores = cross_val_impute(SimpleImputer(), X, baselines=["knn"], metrics=["mae"])
    >>> scores.groupby("method")["value"].mean().idxmin()
    'knn'
    """
    chosen = [metrics] if isinstance(metrics, str) else list(metrics)
    if unknown := [name for name in chosen if name not in METRICS]:
        raise ValueError(f"The 'metrics' must be among {METRICS}, got {unknown[0]!r}.")
    generator = as_generator(random_state)
    methods = _methods(estimators, baselines, int(generator.integers(2**31)))
    frame, _ = read_frame(X)
    places, tables = _places_to_hide(methods, frame), []
    for fold, (train, test) in enumerate(_folds(cv, frame, mechanism, groups, generator)):
        missing, hidden = amputate(
            frame, mechanism, frac, columns=places, random_state=generator, groups=groups
        )
        truth = frame.iloc[test]
        schema = infer_schema(
            frame.iloc[train], categorical_features, estimator_name="cross_val_impute"
        )
        for name, method in methods.items():
            filled = impute_with(method, missing.iloc[train], missing.iloc[test], schema)
            scores = cell_scores(truth, filled, hidden.iloc[test], schema, chosen)
            tables.append(scores.assign(fold=fold, method=name))
    # A table without lines, where a fold hides no cell, has no say in the dtypes.
    scores = pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)
    return scores[["fold", "column", "metric", "method", "value", "n_cells"]]


def _folds(
    cv: Any, frame: pd.DataFrame, mechanism: str, groups: Any, generator: np.random.Generator
) -> list[Sequence[np.ndarray]]:
    """Return positions of training and of test rows; `groups` (n,) are the series of the rows."""
    series = series_of_rows(groups, len(frame))
    if groups is not None and isinstance(cv, TimeSeriesSplit):
        # Taken in each series and joined; rows come in order of time.
        each = rows_by_series(series)
        folds = [[(rows[train], rows[test]) for train, test in cv.split(rows)] for rows in each]
        return [[np.sort(np.concatenate(part)) for part in zip(*fold)] for fold in zip(*folds)]
    if isinstance(cv, int | np.integer) and (groups is not None or mechanism != "block"):
        splitter = KFold if groups is None else GroupKFold
        cv = splitter(int(cv), shuffle=True, random_state=int(generator.integers(2**31)))
    return list(check_cv(cv).split(frame, groups=groups))


def _places_to_hide(methods: Mapping[str, Any], frame: pd.DataFrame) -> list[int] | None:
    """Return the places of the columns that lose cells; None for all.

    Not those that say for an imputer of series when rows are and of which series.
    """
    keys = set[Any]()
    for name, method in methods.items():
        first = _first_step(method)
        if _is_own(first) and getattr(first, "window", None) is not None:
            groups = group_labels(frame, first.groups, name)
            keys |= {*groups, find_time(frame, first.time, groups, name)}
    kept = [place for place, label in enumerate(frame.columns) if label not in keys]
    return None if len(kept) == frame.shape[1] else kept


def _methods(estimators: Any, baselines: Any, seed: int) -> dict[str, BaseEstimator]:
    """Return name -> unfitted imputer, first the estimators, then the baselines.

    The second of a name ends in "-2" and so on.
    """
    pairs = list(estimators.items()) if isinstance(estimators, Mapping) else _named(estimators)
    for name, method in _named(baselines):
        pairs.append((name, baseline(name, seed) if isinstance(method, str) else method))
    if not pairs:
        raise ValueError("There is no method to compare: 'estimators' and 'baselines' are empty.")
    methods: dict[str, BaseEstimator] = {}
    for name, method in pairs:
        is_imputer = hasattr(method, "fit") and hasattr(method, "transform")
        if isinstance(method, type) or not is_imputer:
            raise TypeError(f"method {name!r} must be an imputer instance, got {method!r}.")
        repeats = sum(key == name or key.startswith(f"{name}-") for key in methods)
        methods[f"{name}-{repeats + 1}" if name in methods else name] = method
    return methods


def _named(methods: Any) -> list[tuple[str, Any]]:
    """Return pairs of name and method: text is its own name, an imputer has that of its class."""
    if isinstance(methods, str) or hasattr(methods, "fit") or not isinstance(methods, Iterable):
        methods = [methods]
    return [(one if isinstance(one, str) else type(one).__name__, one) for one in methods]


def baseline(name: str, seed: int) -> BaseEstimator:
    """Return the imputer of this name, unfitted; a ValueError for other names."""
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


def impute_with(
    method: BaseEstimator, train: pd.DataFrame, test: pd.DataFrame, schema: Schema
) -> pd.DataFrame:
    """Return `test` filled by a clone of `method` that was fitted on `train`."""
    imputer = clone(method)
    if not _is_own(_first_step(imputer)):
        return _impute_as_numbers(imputer, train, test, schema)
    filled = imputer.fit(train).transform(test)
    if isinstance(filled, pd.DataFrame):
        return filled.reindex(columns=test.columns)
    return pd.DataFrame(np.asarray(filled), index=test.index, columns=test.columns)


def _first_step(method: Any) -> Any:
    """Return the step of a pipeline that sees the table first; of other methods themselves."""
    while isinstance(method, Pipeline):
        steps = [step for _, step in method.steps if step not in (None, "passthrough")]
        method = steps[0] if steps else None
    return method


def _is_own(imputer: Any) -> bool:
    return any(kind.__module__.startswith("maetab.") for kind in type(imputer).__mro__)


def _impute_as_numbers(
    imputer: BaseEstimator, train: pd.DataFrame, test: pd.DataFrame, kinds: Schema
) -> pd.DataFrame:
    """Return `test` filled by an imputer that is shown numbers only.

    Units and codes come from the visible cells of `train`; `kinds` says which columns are
    categories. Their codes are rounded to levels; an average is the most frequent, of code 0.
    """
    categories = [column.name for column in kinds.columns if column.kind == "category"]
    schema = infer_schema(train, categories, estimator_name="cross_val_impute")
    if "keep_empty_features" in imputer.get_params():
        imputer.set_params(keep_empty_features=True)
    imputer.fit(_numbers(train, schema))
    values = np.asarray(imputer.transform(_numbers(test, schema)), dtype=np.float64)
    values = values[:, : len(schema.columns)]  # indicators, if any, come after
    is_average = getattr(imputer, "strategy", None) in ("mean", "median")
    last = [0 if is_average else max(0, len(column.levels) - 1) for column in schema.columns]
    values = np.where(schema.is_number(), values, np.clip(np.rint(values), 0, last))
    return fill(test, values, test.isna().to_numpy(), schema)


def _numbers(frame: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Return (n, F) encoded cells, NaN where missing or of a level that `schema` lacks."""
    values, observed = encode(frame, schema)
    n_levels = np.array([len(c.levels) or np.inf for c in schema.columns])
    return np.where(observed & (values < n_levels), values.astype(np.float64), np.nan)
