"""How near draws are to the truth: cell by cell, column by column, pair by pair, and row by row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp, t, wasserstein_distance
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from benchmarks.coding import Coder, is_number

N_BINS = 10  # of a number beside a category
N_PAIRS = 150  # pairs of columns that dependence is looked at in, at most
ALIKE = 0.01
LEAST_ROWS = 20  # in which a pair of columns has to have a hidden cell


def crps(drawn: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return (n,) the continuous ranked probability score of m draws (m, n), without bias in m.

    E|X - y| - E|X - X'| / 2 (Gneiting and Raftery 2007); of one draw, a point, its absolute error.
    Codes of categories count as equal or not: half the Brier score. Smaller is better.
    """
    m = len(drawn)
    if truth.dtype == object:
        missed = (drawn != truth).mean(0)
        apart = [a != b for a, b in combinations(drawn, 2)]
    else:
        missed = np.abs(drawn - truth).mean(0)
        apart = [np.abs(a - b) for a, b in combinations(drawn, 2)]
    return missed - np.sum(apart, 0) / (m * (m - 1)) if m > 1 else missed


def many_values(column: pd.Series) -> bool:
    """Return whether two cells of a column are equal with a chance of at most `ALIKE`.

    An interval holds a value whole or not at all: of columns with few values none can cover just
    what it says.
    """
    count = column.value_counts().to_numpy(float)
    n = count.sum()
    return bool((count * (count - 1)).sum() <= ALIKE * n * (n - 1))


def varied(one: pd.Series, other: pd.Series) -> float:
    """Return the total variation distance of two samples of levels, in [0, 1]."""
    shares = [x.astype(object).value_counts(normalize=True) for x in (one, other)]
    return float(shares[0].sub(shares[1], fill_value=0.0).abs().sum() / 2)


def marginal(truth: pd.Series, drawn: pd.Series, scale: float) -> dict[str, float]:
    """Return the distances of one column's hidden cells from what was drawn for them.

    "shape": Kolmogorov-Smirnov of numbers, total variation of categories (1 - Shape of SDMetrics);
    "wasserstein", of numbers alone, in units of `scale`; "variation", of categories alone.
    """
    if is_number(truth):
        a, b = truth.to_numpy(float) / scale, drawn.to_numpy(float) / scale
        return {"wasserstein": wasserstein_distance(a, b), "shape": ks_2samp(a, b).statistic}
    found = varied(truth, drawn)
    return {"variation": found, "shape": found}


def trend(truth: pd.DataFrame, drawn: pd.DataFrame, hidden: np.ndarray) -> float:
    """Return how far dependence is off, mean over pairs of columns, in [0, 1].

    Half the difference of correlations, or the total variation of joint levels, numbers beside
    categories in `N_BINS` quantile bins (1 - Trend of SDMetrics); over the rows of a pair in which
    one of both was hidden.
    """
    pairs = list(combinations(range(truth.shape[1]), 2))
    if len(pairs) > N_PAIRS:
        kept = np.random.default_rng(0).choice(len(pairs), N_PAIRS, replace=False)
        pairs = [pairs[k] for k in np.sort(kept)]
    known, found = truth.notna().to_numpy(), []
    for i, j in pairs:
        rows = known[:, i] & known[:, j] & (hidden[:, i] | hidden[:, j])
        if rows.sum() >= LEAST_ROWS:
            found.append(_unlike(*(x.iloc[rows, [i, j]] for x in (truth, drawn))))
    found = [x for x in found if not np.isnan(x)]
    return float(np.mean(found)) if found else np.nan


def _unlike(truth: pd.DataFrame, drawn: pd.DataFrame) -> float:
    """Return how far the dependence of two columns is off in what was drawn."""
    numbers = [is_number(column) for _, column in truth.items()]
    if all(numbers):
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = (np.corrcoef(x.to_numpy(float).T)[0, 1] for x in (truth, drawn))
        return abs(a - b) / 2
    joint = []
    for frame in (truth, drawn):
        parts = []
        for (name, column), number in zip(frame.items(), numbers, strict=True):
            if number:
                cuts = np.unique(truth[name].quantile(np.arange(1, N_BINS) / N_BINS))
                column = pd.Series(np.searchsorted(cuts, column))
            parts.append(column.astype(str).to_numpy())
        joint.append(pd.Series([f"{a}|{b}" for a, b in zip(*parts, strict=True)]))
    return varied(*joint)


def as_rows(truth: pd.DataFrame, *drawn: pd.DataFrame) -> list[np.ndarray]:
    """Return frames as matrices in deviations of the truth, one column a level.

    What is missing in the truth is 0 in all.
    """
    coder = Coder(one_hot=True).fit(truth)
    every = [coder.encode(frame.where(truth.notna())) for frame in (truth, *drawn)]
    return [np.nan_to_num(x) for x in every]


def energy(one: np.ndarray, other: np.ndarray) -> float:
    """Return the energy distance of two samples of rows (n, C) (Szekely and Rizzo 2013)."""
    apart, own, others = (cdist(a, b).mean() for a, b in ((one, other), (one, one), (other, other)))
    return float(np.sqrt(max(0.0, 2 * apart - own - others)))


def told_apart(one: np.ndarray, other: np.ndarray, seed: int) -> float:
    """Return the AUC with which boosted trees tell true rows (n, C) from filled ones; .5 is best.

    A row and its filled copy are never on two sides of a split.
    """
    x, y = np.concatenate([one, other]), np.repeat([0, 1], len(one))
    trees = HistGradientBoostingClassifier(max_iter=40, random_state=seed)
    folds = GroupKFold(4)
    groups = np.tile(np.arange(len(one)), 2)
    chance = cross_val_predict(trees, x, y, groups=groups, cv=folds, method="predict_proba")
    return float(roc_auc_score(y, chance[:, 1]))


def pooled_cover(estimates: Sequence[np.ndarray], wanted: np.ndarray) -> np.ndarray:
    """Return bool: where the 95 % interval of estimates from m draws holds that of the full table.

    Rubin's rules (1987) without the variance of the sample, as the rows are the same: mean of the
    draws, Student's t with m - 1 degrees, variance between the draws times 1 + 1 / m.
    """
    m, found = len(estimates), np.asarray(estimates)
    width = t.ppf(0.975, m - 1) * np.sqrt((1 + 1 / m) * found.var(0, ddof=1))
    return np.abs(found.mean(0) - wanted) <= width + 1e-12
