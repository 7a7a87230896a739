"""A Gaussian over all cells of a window, against conditionals by plain linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import toeplitz

from maetab.nn.guess.covariance import ROUNDS, along_time, fit_covariance, fit_gaussians
from maetab.nn.guess.window_gaussian import WindowGaussian

NOISE = 2e-3  # what neighbouring steps do not share, in the covariances that are fitted here


def covariance_of(c: int, seed: int = 0) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(c, c + 2))
    return root @ root.T / c + 0.1 * np.eye(c)


def gaussian_of(c: int) -> WindowGaussian:
    location = torch.tensor(np.random.default_rng(9).normal(size=c) * 3)
    return WindowGaussian(c).set(location, torch.tensor(covariance_of(c)))


def conditional(
    gaussian: WindowGaussian, values: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the cells of one row that are not seen, given those that are."""
    location, s = gaussian.location.numpy(), gaussian.covariance.numpy()
    gain = s[np.ix_(~seen, seen)] @ np.linalg.pinv(s[np.ix_(seen, seen)])
    mean = location[~seen] + gain @ (values[seen] - location[seen])
    return mean, s[np.ix_(~seen, ~seen)] - gain @ s[np.ix_(seen, ~seen)]


def rows(c: int, share: float, n: int = 24, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Values and visible; the first sees nothing, the second everything."""
    rng = np.random.default_rng(seed)
    visible = rng.random((n, c)) < share
    visible[0], visible[1] = False, True
    return rng.normal(size=(n, c)) * 2, visible


# Few and many visible cells, so that both ways to solve are used; sizes around those of a system.
SIZES = pytest.mark.parametrize("c", [1, 5, 16, 17, 40])
SHARES = pytest.mark.parametrize("share", [0.15, 0.5, 0.9])


@SIZES
@SHARES
def test_guesses_are_the_conditionals_of_linear_algebra(c, share):
    gaussian, (values, visible) = gaussian_of(c), rows(c, share)
    found = gaussian(torch.tensor(values), torch.tensor(visible))
    for i, seen in enumerate(visible):
        mean, covariance = conditional(gaussian, values[i], seen)
        np.testing.assert_allclose(found.mean[i][~seen], mean, atol=1e-8)
        np.testing.assert_allclose(found.variance[i][~seen], np.diag(covariance), atol=1e-8)
        np.testing.assert_array_equal(found.mean[i][seen], values[i][seen])
        assert (found.variance[i][seen] == 0).all()


@SIZES
@SHARES
def test_what_is_left_of_a_visible_cell_is_that_of_a_row_that_does_not_see_it(c, share):
    gaussian, (values, visible) = gaussian_of(c), rows(c, share)
    found = gaussian(torch.tensor(values), torch.tensor(visible))
    for i, seen in enumerate(visible):
        for j in range(c):
            if not seen[j]:
                assert (found.residual[i, j], found.spread[i, j]) == (0, 1)
                continue
            without = seen.copy()
            without[j] = False
            mean, covariance = conditional(gaussian, values[i], without)
            place = np.flatnonzero(~without).tolist().index(j)
            assert float(found.residual[i, j]) == pytest.approx(values[i, j] - mean[place], 1e-6)
            assert float(found.spread[i, j]) == pytest.approx(covariance[place, place], 1e-6)


@SIZES
@SHARES
def test_expected_rows_and_the_sum_of_their_covariances_are_those_row_by_row(c, share):
    gaussian, (values, visible) = gaussian_of(c), rows(c, share)
    filled, total = gaussian.expect(torch.tensor(values), torch.tensor(visible))
    wanted, whole = np.zeros((c, c)), values.copy()
    for i, seen in enumerate(visible):
        mean, covariance = conditional(gaussian, values[i], seen)
        whole[i, ~seen] = mean
        wanted[np.ix_(~seen, ~seen)] += covariance
    np.testing.assert_allclose(filled, whole, atol=1e-8)
    np.testing.assert_allclose(total, wanted, atol=1e-7)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_draws_have_the_conditional_covariance_and_are_zero_where_visible(share):
    gaussian, n = gaussian_of(6), 40_000
    seen = np.random.default_rng(3).random(6) < share
    seen[:2] = [False, True]
    normal = torch.randn(n, 6, generator=torch.Generator().manual_seed(0))
    drawn = gaussian.draw(torch.tensor(np.tile(seen, (n, 1))), normal).numpy()
    _, wanted = conditional(gaussian, np.zeros(6), seen)
    assert (drawn[:, seen] == 0).all()
    found = np.cov(drawn[:, ~seen], rowvar=False, bias=True).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, atol=0.04 * wanted.max())
    np.testing.assert_allclose(drawn[:, ~seen].mean(0), 0, atol=0.05)


def test_draws_of_rows_that_show_different_cells_are_those_of_each_alone():
    gaussian, (_, visible) = gaussian_of(20), rows(20, 0.6)
    shown = torch.tensor(visible)
    normal = torch.randn(len(visible), 20, generator=torch.Generator().manual_seed(0))
    together = gaussian.draw(shown, normal)
    for i in range(len(visible)):
        alone = gaussian.draw(shown[i : i + 1], normal[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-9, atol=1e-12)
        mine = ~visible[i]
        factor = np.linalg.cholesky(gaussian.precision.numpy()[np.ix_(mine, mine)])
        wanted = np.linalg.solve(factor.T, normal[i].double().numpy()[mine])
        np.testing.assert_allclose(together[i][mine], wanted, atol=1e-8)


@pytest.mark.parametrize("poison", [1e9, float("nan"), float("inf")])
def test_hidden_values_are_never_read(poison):
    gaussian, (values, visible) = gaussian_of(17), rows(17, 0.5)
    shown = torch.tensor(visible)
    clean, spoiled = torch.tensor(values), torch.tensor(np.where(visible, values, poison))
    for mine, theirs in zip(gaussian(clean, shown), gaussian(spoiled, shown), strict=True):
        assert torch.equal(mine, theirs)
    for mine, theirs in zip(
        gaussian.expect(clean, shown), gaussian.expect(spoiled, shown), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_indicators_of_levels_are_guessed_as_any_coordinate():
    """A category is visible or hidden with all its indicators, whose covariance is singular."""
    rng = np.random.default_rng(0)
    level = rng.integers(0, 3, 500)
    cells = np.concatenate([np.eye(3)[level], level[:, None] + 0.1 * rng.normal(size=(500, 1))], 1)
    gaussian = WindowGaussian(4).set(
        torch.tensor(cells.mean(0)), torch.tensor(np.cov(cells, rowvar=False) + 1e-3 * np.eye(4))
    )
    seen = np.array([False, False, False, True])
    found = gaussian(torch.tensor(cells), torch.tensor(np.tile(seen, (500, 1))))
    for i in range(20):
        mean, covariance = conditional(gaussian, cells[i], seen)
        np.testing.assert_allclose(found.mean[i, :3], mean, atol=1e-8)
        np.testing.assert_allclose(found.variance[i, :3], np.diag(covariance), atol=1e-8)
    np.testing.assert_allclose(found.mean[:, :3].sum(1), 1, atol=0.02)


def test_a_location_of_each_window_takes_the_place_of_that_of_all():
    gaussian, (values, visible) = gaussian_of(9), rows(9, 0.5)
    own = torch.tensor(np.random.default_rng(4).normal(size=values.shape))
    shown, kept = torch.tensor(visible), gaussian.location.clone()
    found = gaussian(torch.tensor(values), shown, own)
    for i in range(len(values)):
        gaussian.location.copy_(own[i])
        wanted = gaussian(torch.tensor(values[i : i + 1]), shown[i : i + 1])
        for mine, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(mine[i : i + 1], theirs, rtol=1e-9, atol=1e-9)
    gaussian.location.copy_(kept)


# ---- covariances


@pytest.mark.parametrize(("t", "c"), [(1, 3), (4, 1), (5, 2), (7, 3)])
def test_along_time_is_the_mean_over_steps_of_one_distance_made_positive(t, c):
    given = covariance_of(t * c)
    blocks = given.reshape(t, c, t, c)
    even = np.zeros_like(blocks)
    for lag in range(1 - t, t):
        pairs = [(i, i + lag) for i in range(t) if 0 <= i + lag < t]
        mean = np.mean([blocks[i, :, j] for i, j in pairs], axis=0)
        for i, j in pairs:
            even[i, :, j] = mean
    even = even.reshape(t * c, t * c)
    values, vectors = np.linalg.eigh(even)
    wanted = (vectors * values.clip(1e-4)) @ vectors.T
    found = along_time(torch.tensor(given), t).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert np.linalg.eigvalsh(found).min() > 0.9e-4


def test_along_time_makes_what_is_not_positive_positive():
    """Means along diagonals of a rank one matrix have negative eigenvalues."""
    x = np.array([1.0, -3.0, 2.0, 5.0, -1.0])
    values = np.linalg.eigvalsh(along_time(torch.tensor(np.outer(x, x)), 5).numpy())
    assert values.min() > 0.9e-4


def stationary(n: int, t: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Windows (n, T) of an AR(1) with variance 2, and their covariance."""
    wanted = 2 * toeplitz(0.8 ** np.arange(t))
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(np.full(t, 3.0), wanted, n), wanted


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_a_known_stationary_covariance_is_found_again(share):
    values, wanted = stationary(4000, 6)
    visible = np.random.default_rng(1).random(values.shape) < share
    start = np.where(visible, values, 3.0)
    gaussian = fit_covariance(
        torch.tensor(np.where(visible, values, np.nan)).nan_to_num(777.0),
        torch.tensor(visible),
        torch.tensor(start),
        lambda x: along_time(x, 6),
        NOISE,
        lambda: False,
    )
    # Five rounds of EM from means come near what converges; without them cells that are
    # missing take a third of each covariance.
    off = 0.15 if share == 1.0 else 0.35
    np.testing.assert_allclose(gaussian.covariance, wanted, atol=off)
    np.testing.assert_allclose(gaussian.location, 3.0, atol=0.15)
    inverse = gaussian.precision @ gaussian.covariance
    np.testing.assert_allclose(inverse, np.eye(6), atol=1e-8)
    if share == 1.0:
        plain = np.cov(values, rowvar=False, bias=True)
        even = along_time(torch.tensor(plain), 6).numpy() + NOISE * np.eye(6)
        np.testing.assert_allclose(gaussian.covariance, even, atol=1e-8)


def test_a_fit_that_is_stopped_has_done_one_round():
    values, _ = stationary(300, 4)
    cells = torch.tensor(values), torch.ones(300, 4, dtype=torch.bool), torch.tensor(values)
    asked = []
    found = fit_covariance(*cells, lambda x: x, NOISE, lambda: asked.append(1) or True)
    assert len(asked) == 1
    plain = np.cov(values, rowvar=False, bias=True) + NOISE * np.eye(4)
    np.testing.assert_allclose(found.covariance, plain, atol=1e-9)


def test_gaussians_of_phases_lie_between_their_own_windows_and_all():
    values, _ = stationary(400, 4)
    every = torch.tensor(values), torch.ones(400, 4, dtype=torch.bool), torch.tensor(values)
    some = tuple(x[:40] * 3 if x.is_floating_point() else x[:40] for x in every)
    found = fit_gaussians(every, [some], 4, NOISE, lambda: False, False)
    plain = np.cov(values, rowvar=False, bias=True)
    even = 0.4 * plain + 0.6 * along_time(torch.tensor(plain), 4).numpy() + NOISE * np.eye(4)
    np.testing.assert_allclose(found[0].covariance, even, atol=1e-8)
    own = np.cov(3 * values[:40], rowvar=False, bias=True)
    np.testing.assert_allclose(found[1].covariance, (own + even) / 2 + NOISE * np.eye(4), atol=1e-8)
    np.testing.assert_allclose(found[1].location, 3 * values[:40].mean(0), atol=1e-9)


def test_rounds_of_em_are_those_done_row_by_row():
    values, _ = stationary(50, 4)
    visible = np.random.default_rng(1).random(values.shape) < 0.6
    filled, rest = np.where(visible, values, 3.0), np.zeros((4, 4))
    cells = (torch.tensor(x) for x in (values, visible, filled))
    gaussian = fit_covariance(*cells, lambda x: x, NOISE, lambda: False)
    mine = WindowGaussian(4)
    for _ in range(ROUNDS + 1):
        centred = filled - filled.mean(0)
        covariance = (centred.T @ centred + rest) / 50 + NOISE * np.eye(4)
        mine.set(torch.tensor(filled.mean(0)), torch.tensor(covariance))
        filled, rest = np.where(visible, values, 0.0), np.zeros((4, 4))
        for i, seen in enumerate(visible):
            filled[i, ~seen], left = conditional(mine, values[i], seen)
            rest[np.ix_(~seen, ~seen)] += left
    np.testing.assert_allclose(gaussian.location, mine.location, atol=1e-8)
    np.testing.assert_allclose(gaussian.covariance, mine.covariance, atol=1e-8)
