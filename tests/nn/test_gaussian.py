from __future__ import annotations

import numpy as np
import pytest
import torch

from maetab.nn.guess.gaussian import Gaussian


def random_covariance(rng: np.random.Generator, c: int) -> np.ndarray:
    root = rng.normal(size=(c, c + 2))
    return root @ root.T / c


def textbook(location, covariance, row, visible):
    """Conditional mean and variance of one row, by an explicit inverse."""
    v, h = np.flatnonzero(visible), np.flatnonzero(~visible)
    gain = covariance[np.ix_(h, v)] @ np.linalg.inv(covariance[np.ix_(v, v)])
    mean, variance = row.copy(), np.zeros(len(row))
    mean[h] = location[h] + gain @ (row[v] - location[v])
    variance[h] = np.diag(covariance[np.ix_(h, h)] - gain @ covariance[np.ix_(v, h)])
    return mean, variance


def a_gaussian(location, covariance) -> Gaussian:
    gaussian = Gaussian(len(location))
    gaussian.location.copy_(torch.tensor(location))
    gaussian.covariance.copy_(torch.tensor(covariance))
    return gaussian


def a_factor_model(rng: np.random.Generator, c: int, k: int) -> tuple[Gaussian, np.ndarray]:
    """Return a factor gaussian and the covariance it stands for."""
    gaussian = Gaussian(c, k)
    loadings, noise = rng.normal(size=(c, k)), rng.uniform(0.1, 1.0, c)
    gaussian.loadings.copy_(torch.tensor(loadings))
    gaussian.noise.copy_(torch.tensor(noise))
    gaussian.location.copy_(torch.tensor(rng.normal(size=c)))
    return gaussian, loadings @ loadings.T + np.diag(noise)


def some_rows(rng: np.random.Generator, n: int, c: int) -> tuple[np.ndarray, np.ndarray]:
    visible = rng.random((n, c)) < 0.6
    visible[0], visible[1] = False, True
    return rng.normal(size=(n, c)), visible


@pytest.mark.parametrize("c", [1, 2, 7])
def test_the_guess_is_the_textbook_conditional(c):
    rng = np.random.default_rng(c)
    location, covariance = rng.normal(size=c), random_covariance(rng, c)
    values, visible = some_rows(rng, 20, c)
    found = a_gaussian(location, covariance)(torch.tensor(values), torch.tensor(visible))
    for i in range(20):
        mean, variance = textbook(location, covariance, values[i], visible[i])
        np.testing.assert_allclose(found.mean[i], mean, atol=1e-9)
        np.testing.assert_allclose(found.variance[i], variance, atol=1e-9)


def test_the_factor_guess_is_the_textbook_conditional_of_its_covariance():
    rng = np.random.default_rng(0)
    gaussian, covariance = a_factor_model(rng, 9, 3)
    values, visible = some_rows(rng, 20, 9)
    found = gaussian(torch.tensor(values), torch.tensor(visible))
    for i in range(20):
        mean, variance = textbook(gaussian.location.numpy(), covariance, values[i], visible[i])
        np.testing.assert_allclose(found.mean[i], mean, atol=1e-9)
        np.testing.assert_allclose(found.variance[i], variance, atol=1e-9)


@pytest.mark.parametrize("n_factors", [0, 2])
def test_residuals_are_leave_one_out_guesses_made_one_by_one(n_factors):
    rng = np.random.default_rng(3)
    if n_factors:
        gaussian, covariance = a_factor_model(rng, 6, n_factors)
        location = gaussian.location.numpy()
    else:
        location, covariance = rng.normal(size=6), random_covariance(rng, 6)
        gaussian = a_gaussian(location, covariance)
    values, visible = some_rows(rng, 15, 6)
    got = gaussian.residuals(torch.tensor(values), torch.tensor(visible))
    for i, j in np.ndindex(15, 6):
        others = visible[i].copy()
        others[j] = False
        mean, _ = textbook(location, covariance, values[i], others)
        wanted = values[i, j] - mean[j] if visible[i, j] else 0.0
        assert float(got[i, j]) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("n_factors", [0, 2])
@pytest.mark.parametrize("poison", [1e6, float("nan"), float("inf")])
def test_what_is_not_visible_is_never_read(n_factors, poison):
    rng = np.random.default_rng(4)
    values, visible = map(torch.tensor, some_rows(rng, 50, 5))
    spoiled = torch.where(visible, values, poison)
    one, other = Gaussian(5, n_factors), Gaussian(5, n_factors)
    one.fit(values, visible)
    other.fit(spoiled, visible)
    for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    for mine, theirs in zip(one(values, visible), one(spoiled, visible), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(one.residuals(values, visible), one.residuals(spoiled, visible))


def test_em_on_complete_rows_gives_mean_and_shrunk_covariance():
    rng = np.random.default_rng(5)
    n, c = 200, 4
    values = rng.multivariate_normal(rng.normal(size=c), random_covariance(rng, c), n)
    gaussian = Gaussian(c)
    gaussian.fit(torch.tensor(values), torch.ones(n, c, dtype=torch.bool))
    share = 1e-3 + c / (c + 20 * n)
    plain = np.cov(values.T, bias=True)
    wanted = (1 - share) * plain + share * np.diag(np.diag(plain))
    np.testing.assert_allclose(gaussian.location, values.mean(0), atol=1e-9)
    np.testing.assert_allclose(gaussian.covariance, wanted, atol=1e-9)


def test_em_on_incomplete_rows_comes_near_the_truth():
    rng = np.random.default_rng(6)
    location, covariance = np.array([1.0, -2.0, 0.5]), random_covariance(rng, 3)
    values = torch.tensor(rng.multivariate_normal(location, covariance, 5000))
    visible = torch.tensor(rng.random((5000, 3)) < 0.7)
    gaussian = Gaussian(3)
    gaussian.fit(values, visible)
    np.testing.assert_allclose(gaussian.location, location, atol=0.1)
    np.testing.assert_allclose(gaussian.covariance, covariance, atol=0.15)


def test_em_undoes_the_bias_of_values_missing_by_another_column():
    rng = np.random.default_rng(7)
    x = rng.normal(size=4000)
    y = 2 * x + 0.3 * rng.normal(size=4000)
    visible = np.stack([np.ones(4000, bool), x < 0], 1)  # y is seen only where x is low
    gaussian = Gaussian(2)
    gaussian.fit(torch.tensor(np.stack([x, y], 1)), torch.tensor(visible))
    assert y[x < 0].mean() < -1.3
    assert abs(float(gaussian.location[1]) - y.mean()) < 0.25


def test_fitted_factors_guess_as_the_true_covariance_does():
    rng = np.random.default_rng(8)
    truth, covariance = a_factor_model(rng, 24, 3)
    location = truth.location.numpy()
    values = rng.multivariate_normal(location, covariance, 1500)
    visible = rng.random(values.shape) < 0.8
    fitted = Gaussian(24, 3)
    fitted.fit(torch.tensor(values), torch.tensor(visible))
    dense = a_gaussian(location, covariance)
    mine, best = (p(torch.tensor(values), torch.tensor(visible)) for p in (fitted, dense))
    hidden = ~visible
    error = (mine.mean.numpy() - values)[hidden]
    least = (best.mean.numpy() - values)[hidden]
    assert np.mean(error**2) < 1.1 * np.mean(least**2)
    assert np.corrcoef(mine.mean.numpy()[hidden], best.mean.numpy()[hidden])[0, 1] > 0.97


def test_em_survives_constant_empty_and_twin_columns():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(30, 1))
    values = torch.tensor(np.concatenate([x, x, np.ones((30, 1)), rng.normal(size=(30, 1))], 1))
    visible = torch.ones(30, 4, dtype=torch.bool)
    visible[:, 3] = False
    visible[::3, 0] = False
    for n_factors in (0, 2):
        gaussian = Gaussian(4, n_factors)
        gaussian.fit(values, visible)
        found = gaussian(values, visible)
        assert torch.isfinite(found.mean).all() and torch.isfinite(found.variance).all()
        assert (found.variance >= 0).all()
        assert torch.isfinite(gaussian.residuals(values, visible)).all()


def test_a_round_of_em_for_factors_is_that_of_rubin_and_thayer():
    rng = np.random.default_rng(10)
    gaussian, _ = a_factor_model(rng, 5, 2)
    values, visible = some_rows(rng, 40, 5)
    location, noise = gaussian.location.numpy().copy(), gaussian.noise.numpy().copy()
    loadings = gaussian.loadings.numpy().copy()
    gram, right = np.zeros((5, 3, 3)), np.zeros((5, 3))
    for row, seen in zip(values, visible, strict=True):
        part = loadings[seen] / noise[seen, None]
        spread = np.linalg.inv(np.eye(2) + loadings[seen].T @ part)
        one = np.append(spread @ part.T @ (row - location)[seen], 1.0)
        moment = np.outer(one, one)
        moment[:2, :2] += spread
        gram[seen] += moment
        right[seen] += row[seen, None] * one
    gaussian._em_factors(torch.tensor(values), torch.tensor(visible), torch.ones(5).double())
    ridge = np.diag([1.0, 1.0, 1e-6])
    for j in range(5):
        solved = np.linalg.solve(gram[j] + ridge, right[j])
        np.testing.assert_allclose(gaussian.loadings[j], solved[:2], atol=1e-9)
        np.testing.assert_allclose(gaussian.location[j], solved[2], atol=1e-9)
        square = (values[visible[:, j], j] ** 2).sum()
        left = square - 2 * solved @ right[j] + solved @ gram[j] @ solved
        assert float(gaussian.noise[j]) == pytest.approx(max(left / visible[:, j].sum(), 0.01))


def test_the_guess_at_what_is_asked_is_the_textbook_conditional_of_each_row():
    rng = np.random.default_rng(11)
    location, covariance = rng.normal(size=6), random_covariance(rng, 6)
    asked = np.array([False, True, False, False, True, False])
    visible = (rng.random((40, 6)) < 0.6) & ~asked
    visible[0] = False  # nothing is seen
    visible[10:20] = ~asked  # all that may be
    visible[20:25] = visible[30]  # the same in several rows
    values = np.where(visible, rng.normal(size=(40, 6)), np.nan)
    gaussian = a_gaussian(location, covariance)
    found = gaussian.ask(torch.tensor(values), torch.tensor(visible), torch.tensor(asked))
    for i in range(40):
        mean, variance = textbook(location, covariance, values[i], visible[i])
        np.testing.assert_allclose(found.mean[i], mean[asked], atol=1e-9)
        np.testing.assert_allclose(found.variance[i], variance[asked], atol=1e-9)


@pytest.mark.parametrize("n_factors", [0, 2])
def test_the_guess_at_what_is_asked_is_that_of_all_coordinates(n_factors):
    rng = np.random.default_rng(12)
    covariance = random_covariance(rng, 5)
    gaussian = a_factor_model(rng, 5, 2)[0] if n_factors else a_gaussian(np.ones(5), covariance)
    asked = torch.tensor([True, False, False, True, False])
    visible = (torch.rand(30, 5) < 0.7) & ~asked
    values = torch.randn(30, 5).double()
    for part, whole in zip(
        gaussian.ask(values, visible, asked), gaussian(values, visible), strict=True
    ):
        torch.testing.assert_close(part, whole[:, asked], rtol=1e-9, atol=1e-9)


def test_rows_that_show_the_same_coordinates_are_factored_once(monkeypatch):
    rng = np.random.default_rng(13)
    gaussian = a_gaussian(np.zeros(4), random_covariance(rng, 4))
    factored, cholesky = [], torch.linalg.cholesky
    monkeypatch.setattr(torch.linalg, "cholesky", lambda x: factored.append(len(x)) or cholesky(x))
    asked = torch.tensor([False, False, False, True])
    visible = torch.tensor([[True, True, False, False], [False, True, True, False]] * 50)
    gaussian.ask(torch.randn(100, 4), visible, asked)
    assert factored == [2]


def test_without_anything_to_see_the_guess_is_the_mean():
    gaussian = a_gaussian(np.array([2.0]), np.array([[3.0]]))
    nothing, asked = torch.zeros(3, 1, dtype=torch.bool), torch.tensor([True])
    found = gaussian.ask(torch.randn(3, 1).double(), nothing, asked)
    assert found.mean.tolist() == [[2.0]] * 3 and found.variance.tolist() == [[3.0]] * 3
