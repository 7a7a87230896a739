"""Guesses mixed cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maetab.nn.guess.mixture import Evidence, Mixture, surprise

N, K = 6000, 3


def evidence(
    errors: np.ndarray, near: np.ndarray | None = None, seed: int = 0
) -> tuple[Evidence, torch.Tensor, torch.Tensor]:
    """Cells, the errors (N, K) of the guesses at them, two columns in turn, and the truth."""
    rng = np.random.default_rng(seed)
    truth = torch.tensor(rng.normal(size=N))
    near = torch.ones(N).double() if near is None else torch.tensor(near).double()
    told = Evidence(
        guesses=truth[:, None] + torch.tensor(errors),
        near=near,
        gap=2 * near,
        misses=torch.zeros(N, K).double(),
        variance=torch.ones(N).double(),
        strain=torch.zeros(N).double(),
        shift=torch.zeros(N).double(),
    )
    return told, torch.arange(N) % 2, truth


def noise(*stds: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, K)) * np.array(stds)


def missed(mixture: Mixture, told, column, truth) -> np.ndarray:
    with torch.no_grad():
        return (mixture(told, column)[0] - truth).abs().numpy()


def test_the_mean_lies_between_the_least_and_the_greatest_guess():
    torch.manual_seed(0)
    mixture = Mixture(2, K, ())
    for parameter in mixture.parameters():
        parameter.data.normal_(0, 3)
    told, column, _ = evidence(noise(1, 2, 3))
    told = told._replace(misses=torch.randn(N, K).double(), near=torch.rand(N).double() * 900)
    mean, std = mixture(told, column)
    assert (mean >= told.guesses.amin(-1) - 1e-9).all()
    assert (mean <= told.guesses.amax(-1) + 1e-9).all()
    assert (std > 0).all() and torch.isfinite(std).all()


def test_an_unfitted_mixture_weighs_by_the_misses_alone():
    told, column, _ = evidence(noise(1, 1, 1))
    misses = torch.tensor([0.1, 0.2, 0.7]).double()
    mean, _ = Mixture(2, K, ())(told._replace(misses=misses.log().expand(N, K)), column)
    weight = (1 / misses) / (1 / misses).sum()
    torch.testing.assert_close(mean.detach(), told.guesses @ weight)


@pytest.mark.parametrize("best", range(K))
def test_the_best_guess_is_found(best):
    stds = [1.0] * K
    stds[best] = 0.1
    given = evidence(noise(*stds))
    mixture = Mixture(2, K, ())
    mixture.fit(*given)
    fresh = evidence(noise(*stds, seed=7), seed=8)
    own = np.abs(noise(*stds, seed=7)[:, best])
    assert missed(mixture, *fresh).mean() < 1.1 * own.mean()


def test_each_column_may_have_another_best_guess():
    errors = noise(1, 1, 1)
    errors[::2, 0], errors[1::2, 2] = 0.1 * errors[::2, 0], 0.1 * errors[1::2, 2]
    given = evidence(errors)
    mixture = Mixture(2, K, ())
    mixture.fit(*given)
    assert missed(mixture, *given).mean() < 0.2


def test_near_cells_may_have_another_best_guess_than_far_ones():
    near = np.where(np.arange(N) % 4 < 2, 1.0, 40.0)
    errors = noise(1, 1, 1)
    errors[near == 1, 0] *= 0.1
    errors[near > 1, 1] *= 0.1
    given = evidence(errors, near)
    mixture = Mixture(2, K, ())
    mixture.fit(*given)
    assert missed(mixture, *given).mean() < 0.2


def test_a_guess_that_does_badly_in_a_window_is_trusted_less_there():
    bad = np.arange(N) % 4 < 2
    errors = noise(1, 1, 1)
    errors[bad, 1], errors[~bad, 0] = 0.1 * errors[bad, 1], 0.1 * errors[~bad, 0]
    told, column, truth = evidence(errors)
    seen = np.ones((N, K))
    seen[bad, 1] = seen[~bad, 0] = 0.1
    told = told._replace(misses=torch.tensor(seen).log())
    mixture = Mixture(2, K, ())
    mixture.fit(told, column, truth)
    assert missed(mixture, told, column, truth).mean() < 0.15


def test_deviations_are_those_of_the_errors():
    """Of two columns, and of cells whose closed form says that they are known four times worse."""
    spread = np.where(np.arange(N) % 2 == 0, 0.2, 0.8) * np.where(np.arange(N) % 6 < 3, 1.0, 2.0)
    errors = np.repeat(np.random.default_rng(3).normal(size=(N, 1)) * spread[:, None], K, 1)
    told, column, truth = evidence(errors)
    variance = torch.tensor(np.where(np.arange(N) % 6 < 3, 1.0, 4.0))
    told = told._replace(variance=variance)
    mixture = Mixture(2, K, ())
    mixture.fit(told, column, truth)
    with torch.no_grad():
        mean, std = mixture(told, column)
    ratio = ((mean - truth) / std).numpy()
    for part in (np.arange(N) % 2 == 0, np.arange(N) % 2 == 1, np.arange(N) % 6 < 3):
        assert 0.85 < ratio[part].std() < 1.15
    assert 0.63 < (np.abs(ratio) < 1).mean() < 0.74


def test_guesses_that_know_no_shift_lose_as_their_likelihood_does():
    """A shift is twice the log-likelihood that is gained: the share falls by its exponential."""
    told, column, _ = evidence(noise(1, 1, 1))
    mixture = Mixture(2, K, (0,))
    for shift in (0.0, 1.0, 6.0):
        mean, _ = mixture(told._replace(shift=torch.full((N,), shift).double()), column)
        weight = torch.tensor([np.exp(-shift / 2), 1.0, 1.0])
        wanted = told.guesses @ (weight / weight.sum())
        torch.testing.assert_close(mean.detach(), wanted, check_dtype=False)


def test_where_guesses_are_farther_apart_the_mixture_is_less_sure():
    told, column, _ = evidence(noise(1, 1, 1))
    near = torch.zeros(N, K).double()
    far = near + torch.tensor([-2.0, 0.0, 2.0]).double()
    with torch.no_grad():
        (_, sure), (_, unsure) = (
            Mixture(2, K, ())(told._replace(guesses=x), column) for x in (near, far)
        )
    # Three guesses of one share: their variance is 8 / 3, a part of which is added.
    added = (unsure.square() - sure.square()) / (8 / 3)
    torch.testing.assert_close(added, torch.full_like(added, np.exp(-1)))


def test_deviations_follow_what_windows_miss_at_visible_cells():
    rng = np.random.default_rng(0)
    noise = np.exp(rng.normal(size=(400, 1, 1)) / 2)  # of each window
    z = torch.tensor(noise * rng.normal(size=(400, 30, 1)))
    shown = torch.arange(30)[:, None].expand(400, 30, 1) < 20
    missed = surprise(z, shown).expand_as(z)
    total = np.abs(z.numpy()[:, :20]).sum(1) + 3 * 0.8
    np.testing.assert_allclose(missed[:, 0].exp(), total / 23 / 0.8)
    mixture = Mixture(1, K, ())
    mixture.fit_stretch(missed[~shown], z[~shown])
    ratio = (z / mixture.stretch(missed)).detach()[~shown].view(400, 10)
    order = torch.tensor(noise[:, 0, 0]).argsort()
    calm, wild = (
        ratio[order[part]].square().mean().sqrt() for part in (slice(100), slice(-100, None))
    )
    assert 0.75 < calm < 1.25 and 0.75 < wild < 1.35
    assert z[order[-100:]].std() > 2.5 * z[order[:100]].std()


def test_windows_are_never_narrower_for_missing_more():
    z = torch.randn(500, generator=torch.Generator().manual_seed(0)).double()
    missed = -z.abs()  # what misses least is wrong most
    mixture = Mixture(1, K, ())
    mixture.fit_stretch(missed, z)
    assert mixture.stretch(torch.ones(1)) >= mixture.stretch(-torch.ones(1))


def test_a_fit_leaves_the_random_state_and_repeats():
    given, before = evidence(noise(1, 0.5, 1)), torch.get_rng_state()
    one, two = Mixture(2, K, ()), Mixture(2, K, ())
    one.fit(*given)
    two.fit(*given)
    assert torch.equal(before, torch.get_rng_state())
    for mine, theirs in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(mine, theirs)
