"""Gaussians over groups of the columns of a window."""

import numpy as np
import torch

from maetab.nn.guess.grouping import GroupedGaussian, dealt, n_groups
from maetab.nn.guess.window_gaussian import WindowGaussian

C, T, B = 5, 3, 7
SIZES = (3, 2)


def covariance_of(size: int, seed: int) -> torch.Tensor:
    root = np.random.default_rng(seed).normal(size=(size, size))
    return torch.tensor(root @ root.T + 0.3 * np.eye(size))


def grouped() -> GroupedGaussian:
    """Return a Gaussian over two groups, the columns in an order of their own."""
    gaussian = GroupedGaussian(C, T, 2)
    gaussian.order.copy_(torch.tensor([4, 0, 2, 3, 1]))
    for i, (size, part) in enumerate(zip(SIZES, gaussian.parts, strict=True)):
        n = T * size
        part.set(torch.linspace(-1, 1, n).double(), covariance_of(n, i))
    return gaussian


def as_one(gaussian: GroupedGaussian) -> WindowGaussian:
    """Return the same as one covariance, zero between groups."""
    whole = torch.zeros(T, C, T, C, dtype=torch.float64)
    for part, columns in gaussian.groups():
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
    gaussian, (_, visible) = grouped(), windows()
    visible = visible[:1].expand(20_000, -1)
    normal = torch.randn(visible.shape, generator=torch.Generator().manual_seed(0))
    drawn = gaussian.draw(visible, normal)
    wanted = gaussian(torch.zeros(visible[:1].shape).double(), visible[:1]).variance[0]
    torch.testing.assert_close(drawn.var(0), wanted, rtol=0.05, atol=1e-9)


def test_columns_that_go_together_are_dealt_to_one_group():
    rng = np.random.default_rng(4)
    course = rng.normal(size=(400, 3))
    cells = course[:, [0, 1, 2, 0, 1, 2]] + 0.1 * rng.normal(size=(400, 6))
    order = dealt(torch.tensor(cells).T.corrcoef().abs(), [2, 2, 2])
    assert {frozenset(x.tolist()) for x in order.split(2)} == {
        frozenset(x) for x in ((0, 3), (1, 4), (2, 5))
    }


def test_groups_are_as_large_as_memory_allows():
    assert n_groups(20, 50, 5) == 1
    for n_columns, n_steps in ((90, 12), (40, 48), (500, 100), (2, 1000), (3000, 24)):
        size = -(-n_columns // n_groups(n_columns, n_steps, 1))
        assert size == 1 or size * n_steps <= 250
        assert size == 1 or n_columns * size * n_steps**2 <= 10_000_000
    assert n_groups(40, 48, 1) == 8
