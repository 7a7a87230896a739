"""Gaussians over groups of the columns of a window."""

import numpy as np
import pytest
import torch

from maetab.nn.guess.grouping import GroupedGaussian, plan
from maetab.nn.guess.window_gaussian import WindowGaussian

C, T, B = 5, 3, 7
SIZES = (3, 2)


def covariance_of(size: int, seed: int) -> torch.Tensor:
    root = np.random.default_rng(seed).normal(size=(size, size))
    return torch.tensor(root @ root.T + 0.3 * np.eye(size))


def grouped(n_factors: int = 0) -> GroupedGaussian:
    """Return a Gaussian over two groups, the columns in an order of their own."""
    gaussian = GroupedGaussian(C, T, 2, n_factors)
    gaussian.order.copy_(torch.tensor([4, 0, 2, 3, 1]))
    if n_factors:
        gaussian.loadings.copy_(torch.linspace(0.5, 1.5, C)[:, None])
    for i, (size, part) in enumerate(zip(SIZES, gaussian.parts, strict=True)):
        n = T * (size + n_factors)
        part.set(torch.linspace(-1, 1, n).double(), covariance_of(n, i))
    return gaussian


def as_one(gaussian: GroupedGaussian) -> WindowGaussian:
    """Return the same without factors as one covariance, zero between groups."""
    whole = torch.zeros(T, C, T, C, dtype=torch.float64)
    for columns, part in zip(gaussian.columns(), gaussian.parts, strict=True):
        block = part.covariance.view(T, len(columns), T, len(columns))
        for i, one in enumerate(columns):
            for j, other in enumerate(columns):
                whole[:, one, :, other] = block[:, i, :, j]
    return WindowGaussian(C * T).set(gaussian.location, whole.view(T * C, T * C))


def windows(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(B, T * C))), torch.tensor(rng.random((B, T * C)) < 0.6)


def test_groups_say_what_one_gaussian_says_whose_covariance_is_zero_between_them():
    gaussian, (values, visible) = grouped(), windows()
    about = torch.tensor(np.random.default_rng(1).normal(size=(B, T * C)))
    for location in (None, about):
        found = gaussian(values, visible, location)
        for mine, theirs in zip(found, as_one(gaussian)(values, visible, location), strict=True):
            torch.testing.assert_close(mine, theirs)
    more = gaussian.noisier(0.7)(values, visible)
    torch.testing.assert_close(more.mean, as_one(gaussian).noisier(0.7)(values, visible).mean)


def test_draws_spread_as_the_conditional_distribution_does():
    gaussian, (_, visible) = grouped(1), windows()
    visible = visible[:1].expand(20_000, -1)
    normal = torch.randn(visible.shape, generator=torch.Generator().manual_seed(0))
    drawn = gaussian.draw(visible, normal)
    wanted = gaussian(torch.zeros(visible[:1].shape).double(), visible[:1]).variance[0]
    torch.testing.assert_close(drawn.var(0), wanted, rtol=0.05, atol=1e-9)


@pytest.mark.parametrize("n_factors", (0, 1, 2))
def test_no_cell_reads_itself_or_what_is_not_visible(n_factors):
    gaussian, (values, visible) = grouped(n_factors), windows(2)
    found = gaussian(values, visible)
    wild = torch.where(visible, values, torch.nan)
    torch.testing.assert_close(gaussian(wild, visible).mean, found.mean)
    for cell in range(T * C):
        rows = visible[:, cell].nonzero()[:, 0]
        without = visible[rows].clone()
        without[:, cell] = False
        guess = gaussian(values[rows], without)
        # Other groups read the cell through factors; its own group reads the same factors.
        torch.testing.assert_close(
            values[rows, cell] - found.residual[rows, cell], guess.mean[:, cell]
        )


def test_a_factor_is_the_expectation_given_the_visible_cells_of_the_other_groups():
    gaussian, (values, visible) = grouped(2), windows(3)
    gaussian.loadings[:, 1] = torch.tensor([1.0, -1.0, 0.5, 0.0, -0.3])
    for columns, cells, shown in gaussian.split(values, visible):
        n = len(columns)
        factor = cells.view(B, T, -1)[:, :, n:]
        told = shown.view(B, T, -1)[:, :, n:]
        for b in range(B):
            for t in range(T):
                others = [
                    j for j in range(C) if j not in columns and visible.view(B, T, C)[b, t, j]
                ]
                assert bool(told[b, t].all()) == bool(told[b, t].any()) == bool(others)
                load = gaussian.loadings[others]
                spread = load @ load.T + gaussian.own[others].diag()
                seen = values.view(B, T, C)[b, t, others]
                wanted = load.T @ torch.linalg.solve(spread, seen)
                torch.testing.assert_close(factor[b, t], wanted)


def test_columns_that_go_together_are_dealt_to_one_group():
    rng = np.random.default_rng(4)
    course = rng.normal(size=(400, 3))
    cells = course[:, [0, 1, 2, 0, 1, 2]] + 0.1 * rng.normal(size=(400, 6))
    gaussian = GroupedGaussian(6, 4, 3, 0)
    gaussian.arrange(torch.tensor(cells.reshape(100, 24)))
    assert {frozenset(x.tolist()) for x in gaussian.columns()} == {
        frozenset(x) for x in ((0, 3), (1, 4), (2, 5))
    }


def test_groups_are_as_large_as_memory_allows():
    assert plan(20, 50, 5).n_groups == 1
    for n_columns, n_steps in ((90, 12), (40, 48), (500, 100), (2, 1000), (3000, 24)):
        n_groups, n_factors = plan(n_columns, n_steps, 1)
        size = -(-n_columns // n_groups) + n_factors
        assert size * n_steps <= 1000
        assert n_groups * (size * n_steps) ** 2 <= 2 * 10_000_000
