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
from maetab.engine.runtime import Deadline

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
MOST_TRIED = 8_000_000  # numbers in all copies, times classes
MOST_WEIGHT = 100.0  # of a copy, beside that in which most is missed
# How much more single cells weigh than the other features: the first but the last that errs least;
# the last, with which a head is a linear map of the cells, if it errs less by more than its doubt.
# Chosen by heads of 100 and 400 labels on the choosing half of the tables, and on made ones.
EMPHASES = (1.0, 5.0, 100.0)
LEAST_CHANCE = 1e-6


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


class _Found(NamedTuple):
    """A map of weighted features, and what it said of rows that were held out.

    told : (copies, n) or (copies, n, K)
    weight, bias : (D, K) and (K,)
    """

    told: np.ndarray
    weight: np.ndarray
    bias: np.ndarray


def fit_head(
    copies: list[np.ndarray],
    y: np.ndarray,
    n_classes: int,
    cells: np.ndarray,
    deadline: Deadline,
) -> tuple[Head, np.ndarray, np.ndarray]:
    """Return a head, what it said of the rows when they were held out, and weights of the copies.

    That is (copies, n) numbers, or (copies, n, K) probabilities; (copies,) of mean 1. Penalty and
    how much more single cells weigh are what cross-validation finds best. A copy weighs the less
    the more was missed in it, as in weighted least squares: one with cells hidden tells less. Of
    more numbers than `MOST_TRIED` says, or with little time left, the penalty alone is chosen.

    Parameters
    ----------
    copies : each (n, D) features of the same rows
    y : (n,) standardised numbers, or codes of classes, two of which occur
    n_classes : 0 for numbers
    cells : (D,) bool, features that are single cells as they are
    """
    features, n = np.concatenate(copies).astype(np.float64), len(copies)
    center, scale = features.mean(0), features.std(0)
    told = scale > 1e-6
    scale = np.where(told, scale, 1.0)
    standard = ((features - center) / scale).clip(-FARTHEST, FARTHEST)
    shares = [told * np.where(cells, emphasis, 1.0) for emphasis in EMPHASES]
    # Their squares sum to 1, so that penalties mean the same of any number of features.
    shares = [share / max(float(np.linalg.norm(share)), 1.0) for share in shares]
    begun = deadline.clock()
    first = _with_best_penalty(standard * shares[0], y, n_classes, np.ones(n))
    more = (1 + len(shares)) * (deadline.clock() - begun)  # and as much for all that comes after
    if features.size * max(n_classes, 1) > MOST_TRIED or deadline.left() < more:
        weight = shares[0][:, None] * first.weight
        return Head(center, scale, weight, first.bias), first.told, np.ones(n)
    if not (told & cells).any():
        shares = shares[:1]
    weights = _weights_of(losses(first.told, y))
    found = [_with_best_penalty(standard * each, y, n_classes, weights) for each in shares]
    missed = [weights @ losses(one.told, y) for one in found]
    best = int(np.argmin([x.mean() for x in missed[:-1] or missed]))
    if _first_as_good([missed[best], missed[-1]]):
        best = len(found) - 1
    weight = shares[best][:, None] * found[best].weight
    return Head(center, scale, weight, found[best].bias), found[best].told, weights


def _weights_of(missed: np.ndarray) -> np.ndarray:
    """Return (copies,) weights of mean 1, the less the more was missed in a copy, (copies, n)."""
    mean = missed.mean(1)
    weights = 1 / np.maximum(mean, max(mean.max() / MOST_WEIGHT, 1e-300))
    return weights / weights.mean()


def _with_best_penalty(x: np.ndarray, y: np.ndarray, n_classes: int, weights: np.ndarray) -> _Found:
    """Return the map of weighted features (copies * n, D) with the penalty that is best.

    weights : (copies,) of the copies
    """
    # On their principal axes features are the same to a penalty, and never more than rows.
    _, spread, axes = np.linalg.svd(x, full_matrices=False)
    axes = axes[: max(1, int((spread > 1e-6 * spread[0]).sum()))].T
    reduced, n = x @ axes, len(weights)
    target, weight_of_row = np.tile(y, n), np.repeat(weights, len(y))
    fit = _logistic(n_classes) if n_classes else _ridge
    penalties = LOGISTIC_STRENGTHS if n_classes else RIDGE_PENALTIES
    folds, tried = list(_folds(y, n)), []
    for one in penalties:
        found = np.empty((len(target), max(n_classes, 1)))
        for a, b in folds:
            weight, bias = fit(reduced[a], target[a], one, weight_of_row[a])
            found[b] = reduced[b] @ weight + bias
        told = softmax(found, axis=1) if n_classes else found[:, 0]
        tried.append(told.reshape(n, len(y), *told.shape[1:]))
    chosen = _first_as_good([weights @ losses(told, y) for told in tried])
    weight, bias = fit(reduced, target, penalties[chosen], weight_of_row)
    return _Found(tried[chosen], axes @ weight, bias)


def share_of_head(
    column: np.ndarray, head: np.ndarray, y: np.ndarray, weights: np.ndarray
) -> float:
    """Return what the head weighs, in [0, 1], beside the column, which weighs the rest.

    Parameters
    ----------
    column, head : (copies, n) numbers or (copies, n, K) probabilities, of rows that were held out;
        numbers count as far as the labels reach
    y : (n,) as of `fit_head`
    weights : (copies,) of the copies
    """
    if column.ndim == 2:
        column, head = (x.clip(y.min(), y.max()) for x in (column, head))
    by_doubt = SHARES[np.argsort(np.abs(SHARES - 0.5), kind="stable")]
    told = [column + share * (head - column) for share in by_doubt]
    return float(by_doubt[_first_as_good([weights @ losses(each, y) for each in told])])


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


def _ridge(
    x: np.ndarray, y: np.ndarray, penalty: float, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    model = Ridge(penalty).fit(x, y, sample_weight=weights)
    return model.coef_[:, None], np.array([model.intercept_])


def _logistic(n_classes: int) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Return a fit that gives classes without a row next to no chance."""

    def fit(
        x: np.ndarray, y: np.ndarray, strength: float, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        weight = np.zeros((x.shape[1], n_classes))
        bias = np.full(n_classes, np.log(LEAST_CHANCE))
        known = np.unique(y)
        if len(known) == 1:
            bias[known] = 0.0
            return weight, bias
        model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
        model.fit(x, y, sample_weight=weights)
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
