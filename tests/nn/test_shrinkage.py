"""How much the Gaussian is shrunk, and guesses that have not seen a fold of the rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maetab.nn.guess.gaussian import Gaussian, Shrinkage
from maetab.nn.guess.shrinkage import START, Rows, _units, fit_base, of_each_fold


def correlated(n: int, c: int = 12, seed: int = 0) -> Rows:
    """Numbers that go together a little, a fifth of them missing."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 1)) + 1.5 * rng.normal(size=(n, c))
    visible = torch.tensor(rng.random((n, c)) < 0.8)
    return Rows(torch.tensor(values / values.std(0)).float(), visible, torch.arange(c))


def with_levels(n: int) -> Rows:
    """Two numbers, and a category of 30 levels that says nothing of them."""
    rng = np.random.default_rng(0)
    level = rng.integers(30, size=n)
    numbers = rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, 2))
    values = np.concatenate([numbers, level[:, None] == np.arange(30)], 1)
    cells = torch.tensor([0, 1] + [2] * 30)
    seen = torch.tensor(rng.random((n, 3)) < 0.8)[:, cells]
    return Rows(torch.tensor(values).float(), seen, cells)


def fitted(rows: Rows) -> tuple[Gaussian, list[Gaussian]]:
    base = Gaussian(len(rows.cells))
    return base, fit_base(base, rows, lambda: False)


def test_the_shrinkage_chosen_grows_as_rows_fall():
    chosen = [fitted(correlated(n))[0].shrinkage.correlations for n in (60, 2000)]
    assert chosen[0] > chosen[1] == 0.0


def test_a_shrunk_gaussian_misses_less_in_rows_that_it_does_not_know():
    rows, other = correlated(60), correlated(2000, seed=1)
    shrunk, plain = fitted(rows)[0], Gaussian(12)
    plain.fit(rows.values, rows.visible)
    errors = []
    for base in (shrunk, plain):
        missed = base(other.values, other.visible).mean - other.values
        errors.append(float(missed[~other.visible].square().mean()))
    assert errors[0] < errors[1]


@pytest.mark.slow
def test_rare_levels_count_for_as_little_as_their_rows_are_few():
    rows = with_levels(120)
    careful, plain = fitted(rows)[0], Gaussian(32)
    plain.fit(rows.values, rows.visible)
    assert careful.of_levels.tolist() == [False] * 2 + [True] * 30
    level = torch.zeros(30, 32)
    level[:, 2:] = torch.eye(30)
    seen = torch.ones(30, 32, dtype=torch.bool)
    seen[:, :2] = False
    spread = [float(base(level, seen).mean[:, 0].std()) for base in (careful, plain)]
    assert spread[0] < 0.6 * spread[1]  # they say nothing: the guess should be the same for each


@pytest.mark.parametrize("n_factors", [0, 3])
def test_noise_of_levels_is_that_of_so_many_rows(n_factors):
    rows = with_levels(400)
    diagonals = []
    for levels in (0.0, 8.0):
        base = Gaussian(32, n_factors)
        base.of_levels[2:] = True
        base.shrinkage = Shrinkage(levels=levels)
        base.fit(rows.values, rows.visible, n_iter=1)
        diagonals.append(base.noise if n_factors else base.covariance.diagonal())
    wanted = torch.where(base.of_levels, 8 / 400, 0.0).double()
    torch.testing.assert_close(diagonals[1] - diagonals[0], wanted, atol=1e-9, rtol=0)


def test_no_fold_knows_its_own_rows():
    rows = correlated(100)
    _, folds = fitted(rows)
    assert len(folds) == 10
    for number, fold in enumerate(folds):
        spoiled, own = rows.values.clone(), torch.arange(100) % 10 == number
        spoiled[own] += 50
        again = Gaussian(12)
        again.shrinkage = START
        again.fit(*rows._replace(values=spoiled).of(~own))
        again.shrinkage = fold.shrinkage
        if fold.shrinkage != START:
            again.refine(*rows._replace(values=spoiled).of(~own))
        torch.testing.assert_close(again.covariance, fold.covariance)


def test_each_row_is_asked_of_its_fold_and_others_of_the_base():
    place = torch.tensor([4, -1, 0, 7, 2])
    rows = torch.arange(5.0)

    def ask(base, chosen):
        return (rows[chosen] + 100 * base,)

    (found,) = of_each_fold(9, [0, 1, 2], place, ask)
    assert found.tolist() == [100, 901, 2, 103, 204]


def test_there_are_no_folds_of_few_rows_nor_where_time_is_short():
    assert fit_base(Gaussian(12), correlated(15), lambda: False) == []
    base = Gaussian(12)
    assert fit_base(base, correlated(100), lambda: True) == [] and base.shrinkage == START


def test_errors_are_measured_by_the_variance_of_all_rows():
    values = torch.zeros(40, 2)
    values[0, 0], values[:, 1] = 1.0, torch.arange(40.0)  # one rare value, known to few folds
    visible = torch.ones(40, 2).bool()
    visible[5:, 1] = False
    rows = Rows(values, visible, torch.arange(2))
    found = _units(rows, torch.zeros(2).bool()).tolist()
    assert np.allclose(found, [np.var(np.eye(1, 40)), np.var(np.arange(5))])


def test_levels_are_measured_by_the_mean_spread_of_a_category():
    random = np.random.default_rng(0)
    first, second = (np.eye(n)[random.integers(n, size=50)] for n in (2, 3))
    values = torch.tensor(np.hstack([first, second, 9 * random.normal(size=(50, 1))]))
    rows = Rows(values, torch.ones(50, 6).bool(), torch.tensor([0, 0, 1, 1, 1, 2]))
    found = _units(rows, torch.arange(6) < 5)
    spread = values.var(0, correction=0)
    assert found[:5].tolist() == pytest.approx([float(spread[:5].sum()) / 2] * 5)
    assert float(found[5]) == pytest.approx(float(spread[5]))
