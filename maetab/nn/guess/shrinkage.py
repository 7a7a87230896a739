"""How much a Gaussian is shrunk: fitted for that, and for what is learned after, without some rows.

What a base guess misses in rows that it was fitted to is too small, the more so the fewer the rows:
intervals would be too narrow, and it would be shrunk too little. So both are learned from guesses
that do not know the rows (cross-fitting: Stone 1974; Chernozhukov et al. 2018, section 3).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from maetab.nn.guess.gaussian import Gaussian, Shrinkage, variances

MAX_ROWS = 5000  # beyond, what a guess misses in rows that it knows is what it misses in others
FEWEST, MOST, FITTED = 3, 10, 3000  # folds, and rows that those of all folds are fitted to, or so
JUDGED_ROWS = 2000  # that shrinkages are fitted to, all folds together
MOST_CELLS = 3_000_000  # of all folds, for which wide tables have fewer
ROUNDS = 3  # of EM from one shrinkage to the next
HIDDEN = 0.1  # share of the cells that a shrinkage is judged by
DOUBT = 1.0  # standard errors by which another shrinkage has to be better
# What is tried; `python -m benchmarks.small_tables` prints what each step brought.
START = Shrinkage(0.0, 10.0, 3.0)
TRIED = {
    "correlations": (0.03, 0.1, 0.2),
    "loadings": (1.0, 3.0, 30.0, 100.0),
    "levels": (1.0, 10.0),
}


class Rows(NamedTuple):
    """Coordinates (n, C), which are visible, and the cell (C,) that each belongs to."""

    values: Tensor
    visible: Tensor
    cells: Tensor

    def of(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return values and visible of some rows, (n,) bool."""
        return self.values[chosen], self.visible[chosen]


def fit_base(base: Any, rows: Rows, should_stop: Callable[[], bool]) -> list[Any]:
    """Fit a base guess, and return another for each fold, fitted to the rows of the other folds.

    The row at place i is of fold i modulo the number of folds. There are none if rows are few or
    many, or if time is short. A `Gaussian` is shrunk by as much as is best for hidden cells of the
    rows that those of the folds do not know.
    """
    chooses = isinstance(base, Gaussian)
    if chooses:
        size = torch.bincount(rows.cells)
        base.of_levels, base.shrinkage = size[rows.cells] > 1, START
    base.fit(rows.values, rows.visible, should_stop=should_stop)
    folds = _fit_folds(base, rows, should_stop)
    if folds and chooses:
        base.shrinkage = _choose(folds, rows, should_stop)
        if base.shrinkage != START:
            base.refine(rows.values, rows.visible, should_stop=should_stop)
            for fold, known in _each(folds, rows):
                fold.shrinkage = base.shrinkage
                fold.refine(*rows.of(known), should_stop=should_stop)
    return folds


def of_each_fold(
    base: Any, folds: list[Any], place: Tensor, ask: Callable[[Any, Tensor], tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """Return what `ask(base, rows)` gives for every row, each asked of a base that has not seen it.

    Parameters
    ----------
    base : asked of rows that were in no fold
    place : (B,) place of each row when the folds were made; -1 if it had none
    ask : returns tensors with a line for each of some rows (b,)
    """
    fold = torch.where(place >= 0, place % len(folds), -1)
    parts, order = [], []
    for number in fold.unique().tolist():
        rows = (fold == number).nonzero()[:, 0]
        parts.append(ask(folds[number] if number >= 0 else base, rows))
        order.append(rows)
    back = torch.cat(order).argsort()
    return tuple(torch.cat(part)[back] for part in zip(*parts, strict=True))


def _fit_folds(base: Any, rows: Rows, should_stop: Callable[[], bool]) -> list[Any]:
    n = len(rows.values)
    if not 2 * MOST <= n <= MAX_ROWS:
        return []
    count = min(FITTED // n, MOST_CELLS // rows.values.numel())
    folds = [copy.deepcopy(base) for _ in range(min(MOST, max(FEWEST, count)))]
    for fold, known in _each(folds, rows):
        if should_stop():
            return []
        fold.fit(*rows.of(known), should_stop=should_stop)
    return folds


def _each(folds: list[Any], rows: Rows) -> list[tuple[Any, Tensor]]:
    """Return the folds, each with the rows (n,) bool that it knows."""
    place = torch.arange(len(rows.values), device=rows.values.device) % len(folds)
    return [(fold, place != number) for number, fold in enumerate(folds)]


def _choose(folds: list[Gaussian], rows: Rows, should_stop: Callable[[], bool]) -> Shrinkage:
    """Return the shrinkage with the least squared error, one kind after the other."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(len(rows.values), int(rows.cells.max()) + 1, generator=generator)
    hidden = rows.visible & (drawn.to(rows.cells.device)[:, rows.cells] < HIDDEN)
    count = min(JUDGED_ROWS // len(rows.values), MOST_CELLS // rows.values.numel())
    used = folds[: max(1, count)]
    each = _each(folds, rows)[: len(used)]

    def error(shrinkage: Shrinkage) -> Tensor:
        missed = (_missed(*one, hidden, shrinkage, variance) for one in asked)
        return torch.cat(list(missed))

    best = START
    if should_stop():
        return best
    variance = _units(rows, folds[0].of_levels)
    asked = [(fold, rows, known) for fold, known in each]
    least = error(best)
    names = ["loadings" if folds[0].n_factors else "correlations"]
    for name in names + ["levels"] * bool(folds[0].of_levels.any()):
        tried = best
        for value in TRIED[name]:
            if should_stop():
                return best
            other = tried._replace(**{name: value})
            found = error(other)
            gain = least - found
            if gain.sum() > DOUBT * len(gain) ** 0.5 * gain.std():
                best, least = other, found
    return best


def _missed(
    fold: Gaussian,
    rows: Rows,
    known: Tensor,
    hidden: Tensor,
    shrinkage: Shrinkage,
    variance: Tensor,
) -> Tensor:
    """Return the squared error at hidden cells of each of the rows that a fold does not know.

    In units of the variance (C,) of each number, and of the levels of all categories.
    """
    fold = copy.deepcopy(fold)
    fold.shrinkage = shrinkage
    fold.refine(*rows.of(known), n_iter=ROUNDS)
    (values, visible), hidden = rows.of(~known), hidden[~known]
    missed = torch.where(hidden, fold(values, visible & ~hidden).mean - values, 0.0).double()
    return (missed.square() / variance).sum(1)


def _units(rows: Rows, levels: Tensor) -> Tensor:
    """Return (C,) variances of all rows: a rare value may be in none that a fold does not know.

    levels : (C,) bool, coordinates that are levels: that of all categories together
    """
    found = variances(rows.values.double(), rows.visible)
    if levels.any():
        found[levels] = found[levels].sum() / len(rows.cells[levels].unique())
    return found
