"""Estimates from several completed tables as one, by Rubin's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

Labelled = (pd.Series, pd.DataFrame)


def pool(
    estimates: Sequence[Any],
    variances: Sequence[Any],
    *,
    dof: float | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return estimates pooled over completed tables, with what the missing cells cost in certainty.

    Rubin's rules (1987): the mean of the estimates, whose variance is the mean of their variances
    plus their variance between tables times 1 + 1/m.

    Parameters
    ----------
    estimates : m results, of one completed table each: a number, or k numbers (array, Series, dict)
        m is at least 2, as of `MAEImputer.sample`. The names of a Series or a dict name the rows of
        the result.
    variances : m squared standard errors in the same form, or m covariance matrices (k, k)
    dof : None or above 0
        Degrees of freedom of the same analysis of a complete table, of a regression rows less
        coefficients: intervals then suit small tables (Barnard and Rubin 1999). None is for tables
        so large that these do not matter.
    confidence : in (0, 1), of the intervals

    Returns
    -------
    pooled : frame of k rows with the columns
        estimate, variance (total), std_error, dof, fmi (fraction of missing information, Rubin
        1987), lower and upper (of the interval by Student's t), t and p_value (two-sided, of the
        hypothesis that the true value is 0)

    Raises
    ------
    ValueError
        Fewer than two tables, shapes or names that do not fit each other, variances that are not
        above 0, numbers that are not finite, or parameters out of range.

    Examples
    --------
    >>> pool([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], dof=10).round(3).T
                   0
    estimate   2.000
    variance   2.333
    std_error  1.528
    dof        2.278
    fmi        0.665
    lower     -3.861
    upper      7.861
    t          1.309
    p_value    0.307
    """
    _check("dof", dof, 0 if dof is None else dof, np.inf, "None or above 0")
    _check("confidence", confidence, confidence, 1, "between 0 and 1")
    values, names = _stacked(estimates, "estimates")
    if values.ndim != 2:
        raise ValueError(f"estimates must be numbers or have one axis, got {values.shape[1:]}.")
    spreads = _diagonals(variances, values.shape, names)
    m = len(values)
    within, between = spreads.mean(0), (1 + 1 / m) * values.var(0, ddof=1)
    total, estimate = within + between, values.mean(0)
    share = between / total  # of the variance, that comes from missing cells
    with np.errstate(divide="ignore"):
        many = (m - 1) / share**2  # degrees of freedom of a large table
    degrees = many if dof is None else _in_small_tables(many, share, float(dof))
    error = np.sqrt(total)
    reach = stats.t.ppf((1 + confidence) / 2, degrees) * error
    found = {
        "estimate": estimate,
        "variance": total,
        "std_error": error,
        "dof": degrees,
        "fmi": (between / within + 2 / (many + 3)) / (between / within + 1),
        "lower": estimate - reach,
        "upper": estimate + reach,
        "t": estimate / error,
        "p_value": 2 * stats.t.sf(np.abs(estimate / error), degrees),
    }
    return pd.DataFrame(found, index=range(values.shape[1]) if names is None else names)


def _in_small_tables(many: np.ndarray, share: np.ndarray, dof: float) -> np.ndarray:
    """Return (k,) the degrees of freedom of Barnard and Rubin (1999)."""
    observed = (dof + 1) / (dof + 3) * dof * (1 - share)
    return 1 / (1 / many + 1 / observed)


def _check(name: str, given: Any, value: Any, most: float, words: str) -> None:
    if given is not None and not (
        isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < most
    ):
        raise ValueError(f"{name} must be {words}, got {given!r}.")


def _stacked(given: Sequence[Any], what: str) -> tuple[np.ndarray, pd.Index | None]:
    """Return (m, k) or (m, k, k) float64, and the names of the k, None if they have none."""
    if isinstance(given, pd.DataFrame | Mapping):  # whose names would be taken for numbers
        raise ValueError(
            f"{what} must be a list with one result for each table, got a {type(given).__name__}."
        )
    many = [pd.Series(one) if isinstance(one, dict) else one for one in given]
    if len(many) < 2:
        raise ValueError(f"{what} must be those of at least two tables, got {len(many)}.")
    names, *others = [one.index if isinstance(one, Labelled) else None for one in many]
    if any(not _same(names, other) for other in others):
        raise ValueError(f"{what} must have the same names in the same order in each table.")
    frames = [one for one in many if isinstance(one, pd.DataFrame)]
    if any(not one.columns.equals(one.index) for one in frames):
        raise ValueError(f"{what} in frames must have the same names for rows and for columns.")
    arrays = [np.asarray(one, dtype=float) for one in many]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(f"{what} must have one shape, got {' and '.join(map(str, shapes))}.")
    stacked = np.stack(arrays)
    stacked = stacked[:, None] if stacked.ndim == 1 else stacked
    if not np.isfinite(stacked).all():
        raise ValueError(f"{what} must be finite, got {stacked[~np.isfinite(stacked)][0]}.")
    return stacked, names


def _same(names: pd.Index | None, others: pd.Index | None) -> bool:
    if names is None or others is None:
        return names is others
    return names.equals(others)


def _diagonals(given: Sequence[Any], shape: tuple[int, ...], names: pd.Index | None) -> np.ndarray:
    """Return (m, k) variances, of covariance matrices the diagonals."""
    spreads, own = _stacked(given, "variances")
    if spreads.ndim == 3 and spreads.shape[1] == spreads.shape[2]:
        spreads = np.diagonal(spreads, axis1=1, axis2=2)
    if spreads.shape != shape:
        raise ValueError(
            f"variances must be of {shape[0]} tables and {shape[1]} estimates each, got the shape "
            f"{spreads.shape}."
        )
    if names is not None and own is not None and not names.equals(own):
        raise ValueError("variances must have the names of the estimates, in the same order.")
    if (spreads <= 0).any():
        raise ValueError(f"variances must be above 0, got {spreads[spreads <= 0][0]}.")
    return spreads
