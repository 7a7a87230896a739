"""The head of a labelled model: a linear map from features of rows to their target.

Learned from the features of labelled rows as they are and with cells hidden, so that missing cells
are nothing new to it. Penalties are chosen by cross-validation, a row and its copies together, and
so is what the head weighs beside the model, for which the target is one more column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression, Ridge

from maetab.engine.row_sums import row_sums

HIDDEN = (0.25, 0.4)  # shares of the cells that are hidden in copies of the rows
FARTHEST = 10.0  # standard deviations beyond which features are not told apart
N_FOLDS = 5
# From the strongest penalty to the weakest; the strongest is taken that is not worse than the best
# by more than `DOUBT` standard errors, for few labels tell little of which is best. Of weights of
# the head the one nearest to a half: with these two rules benchmarks.labels brought most on the
# choosing half.
DOUBT = 1.0
SHARES = np.linspace(0, 1, 11)
RIDGE_PENALTIES = 10.0 ** np.arange(2, -4, -1)
LOGISTIC_STRENGTHS = 10.0 ** np.arange(-1, 4)
LEAST_CHANCE = 1e-6

Predict = Callable[[np.ndarray], np.ndarray]


class Head(NamedTuple):
    """A linear map of D features: standardised, clipped, weighted.

    center, scale : (D,)
    weight, bias : (D, K) and (K,); K is 1 for numbers
    """

    center: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return (n, K) of features (n, D): numbers, or logits of classes."""
        standard = (features.astype(np.float64) - self.center) / self.scale
        standard.clip(-FARTHEST, FARTHEST, out=standard)
        return row_sums(standard, self.weight) + self.bias


def fit_head(copies: list[np.ndarray], y: np.ndarray, n_classes: int) -> tuple[Head, np.ndarray]:
    """Return the head with the penalty that cross-validation finds best, and what it said.

    Of the rows when they were held out: (copies, n) numbers, or (copies, n, K) probabilities.

    Parameters
    ----------
    copies : each (n, D) features of the same rows
    y : (n,) standardised numbers, or codes of classes, two of which occur
    n_classes : 0 for numbers
    """
    features, target = np.concatenate(copies).astype(np.float64), np.tile(y, len(copies))
    center, scale = features.mean(0), features.std(0)
    told = scale > 1e-6
    scale = np.where(told, scale, 1.0)
    standard = ((features - center) / scale).clip(-FARTHEST, FARTHEST)
    share = told / np.sqrt(max(told.sum(), 1))  # so that penalties mean the same of any number
    standard *= share
    # On their principal axes features are the same to a penalty, and never more than rows.
    _, spread, axes = np.linalg.svd(standard, full_matrices=False)
    axes = axes[: max(1, int((spread > 1e-6 * spread[0]).sum()))].T
    reduced = standard @ axes
    fit = _logistic(n_classes) if n_classes else _ridge
    penalties = LOGISTIC_STRENGTHS if n_classes else RIDGE_PENALTIES
    folds = list(_folds(y, len(copies)))
    tried = []
    for one in penalties:
        found = np.empty((len(target), max(n_classes, 1)))
        for a, b in folds:
            weight, bias = fit(reduced[a], target[a], one)
            found[b] = reduced[b] @ weight + bias
        told = softmax(found, axis=1) if n_classes else found[:, 0]
        tried.append(told.reshape(len(copies), len(y), *told.shape[1:]))
    chosen = _first_as_good([losses(told, y).mean(0) for told in tried])
    weight, bias = fit(reduced, target, penalties[chosen])
    return Head(center, scale, share[:, None] * (axes @ weight), bias), tried[chosen]


def share_of_head(column: np.ndarray, head: np.ndarray, y: np.ndarray) -> float:
    """Return what the head weighs, in [0, 1], beside the column, which weighs the rest.

    Parameters
    ----------
    column, head : (copies, n) numbers or (copies, n, K) probabilities, of rows that were held out;
        numbers count as far as the labels reach
    y : (n,) as of `fit_head`
    """
    if column.ndim == 2:
        column, head = (x.clip(y.min(), y.max()) for x in (column, head))
    by_doubt = SHARES[np.argsort(np.abs(SHARES - 0.5), kind="stable")]
    told = [column + share * (head - column) for share in by_doubt]
    return float(by_doubt[_first_as_good([losses(each, y).mean(0) for each in told])])


def losses(told: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (copies, n) squared errors, or minus the logarithms of probabilities of classes.

    Parameters
    ----------
    told : (copies, n) numbers or (copies, n, K) probabilities
    y : (n,) numbers or codes of classes
    """
    if told.ndim == 2:
        return np.square(told - y)
    return -np.log(told[:, np.arange(len(y)), y].clip(LEAST_CHANCE))


def _folds(y: np.ndarray, n_copies: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the places of learning and of judging rows, with their copies; folds are alike in y."""
    order = np.random.default_rng(0).permutation(len(y))
    fold = np.empty(len(y), int)
    fold[order[np.argsort(y[order], kind="stable")]] = np.arange(len(y)) % N_FOLDS
    fold = np.tile(fold, n_copies)
    for k in range(min(N_FOLDS, len(y))):
        yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)


def _ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    model = Ridge(penalty).fit(x, y)
    return model.coef_[:, None], np.array([model.intercept_])


def _logistic(n_classes: int) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Return a fit that gives classes without a row next to no chance."""

    def fit(x: np.ndarray, y: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
        weight = np.zeros((x.shape[1], n_classes))
        bias = np.full(n_classes, np.log(LEAST_CHANCE))
        known = np.unique(y)
        if len(known) == 1:
            bias[known] = 0.0
            return weight, bias
        model = LogisticRegression(C=strength, max_iter=200, tol=1e-3).fit(x, y)
        bias[known], weight[:, known] = 0.0, 0.0
        if len(known) == 2:  # one map, of the second against the first
            weight[:, known[1]], bias[known[1]] = model.coef_[0], model.intercept_[0]
        else:
            weight[:, known], bias[known] = model.coef_.T, model.intercept_
        return weight, bias

    return fit


def _first_as_good(losses: list[np.ndarray]) -> int:
    """Return the first of the losses (n,) that is as good as the best, but for its doubt."""
    best = losses[int(np.argmin([x.mean() for x in losses]))]
    more = [x - best for x in losses]
    doubt = DOUBT / np.sqrt(len(best))
    return next(i for i, x in enumerate(more) if x.mean() <= doubt * x.std())
