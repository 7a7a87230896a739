"""How far what the first guess says is moved towards what is usual: slopes and lifts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models import first_guess
from models import windows as windows_over

from maetab.nn.guess import scales
from maetab.nn.guess.gaussian import Normal
from maetab.nn.guess.options import GuessOptions
from maetab.nn.guess.scales import MOST_SLOPE, OF_ALL, OF_ONE, fit_scales
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.guess.weights import ANYWHERE, FAR, FEW, NEAR
from maetab.nn.support import Support
from maetab.nn.windows import Windows


def a_table(n: int, n_columns: int, strength: float, seed: int = 0) -> Windows:
    """Columns that share so much of one factor, and a category."""
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(n, 1, generator=generator)
    values = strength * factor + torch.randn(n, n_columns, generator=generator)
    values = torch.cat([(values - values.mean(0)) / values.std(0), (factor > 0).float()], 1)
    return windows_over(values, torch.rand(values.shape, generator=generator) < 0.8)


@pytest.mark.parametrize(("strength", "least", "most"), [(0.0, 0.0, 0.3), (3.0, 0.95, 1.1)])
def test_slopes_are_small_where_columns_tell_nothing_of_each_other(strength, least, most):
    guess = first_guess(a_table(80, 5, strength), (0, 0, 0, 0, 0, 2), tuning_steps=10)[0]
    assert least <= guess.slope[:5].min() and guess.slope[:5].max() <= most
    assert (guess.slope[5:] == 1).all()  # what is said of levels is left as it is


def test_slopes_are_those_of_least_squares_moved_to_one_of_all(monkeypatch):
    table = a_table(300, 3, 1.0)
    guess, table = first_guess(table, (0, 0, 0, 2), tuning_steps=1)
    said, seen = torch.tensor([2.0, 1.25, 0.5, 1.0, 1.0]), []
    whole = guess.hide

    def hide(*given):
        seen.append(whole(*given))
        return seen[-1]

    def tell(cells, *rest):
        return Normal(cells * said, cells)  # the truth, so many times

    likely = torch.tensor([4.0, 1.0, 0.5, 1.0, 1.0]).double()

    def odds_of(guess, values, observed):
        return likely * (1 + (values[:, 0, :1] > 0))

    monkeypatch.setattr(scales, "missing_odds", odds_of)
    monkeypatch.setattr(guess, "hide", hide)
    monkeypatch.setattr(guess, "guess", tell)
    guess.folds = [guess.base]  # as while a model is fitted
    support = Support((0, 0, 0, 2), 8)
    fit_scales(guess, support, table, torch.Generator().manual_seed(1), lambda: False)
    truth, hidden = (torch.cat([x[i] for x in seen]).double() for i in (0, 2))
    truth, hidden = truth[:, :3], hidden[:, :3]
    odds = hidden * likely[:3] * (1 + (truth[:, :1] > 0))
    square = (odds * (truth * said[:3]).square()).sum(0)
    right = (odds * truth.square() * said[:3]).sum(0)
    noise = (odds.square() * (truth * (1 - said[:3]) * truth * said[:3]).square()).sum(0)
    pooled = ((right.sum() + noise.sum().sqrt()) / square.sum()).clamp(0, 1)
    error = (1 + FEW / (odds.sum(0) * 300 / len(truth))) * noise / square.square()
    slopes = torch.linspace(-4, 6, 20_001).double()[:, None]  # the mean over all that may be
    prior = (1 - ANYWHERE) * density(slopes - pooled, NEAR) + ANYWHERE * density(
        slopes - pooled, FAR
    )
    chance = prior * density(slopes - 1 / said[:3], error.sqrt())
    wanted = (slopes * chance).sum(0) / chance.sum(0)
    found = guess.slope[:3].double()
    torch.testing.assert_close(found, wanted.clamp(0, MOST_SLOPE), atol=1e-3, rtol=0)
    assert found[0] < found[1] < found[2] == MOST_SLOPE < wanted[2]
    assert 0.5 < found[0] < pooled < 1


def density(away: torch.Tensor, spread: float | torch.Tensor) -> torch.Tensor:
    """Return the density of a normal, so far away from its mean."""
    return (-(away / spread).square() / 2).exp() / spread


def test_a_column_that_others_tell_keeps_its_slope_among_many_of_noise():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(100, 30, generator=generator)
    told = 2 * noise[:, 0] - noise[:, 3] + 0.3 * torch.randn(100, generator=generator)
    values = torch.cat([noise, told[:, None] / told.std()], 1)
    visible = torch.ones_like(values, dtype=torch.bool)
    visible[::4, -1] = False
    guess = first_guess(windows_over(values, visible), (0,) * 31, tuning_steps=10)[0]
    assert guess.slope[-1] > 0.7
    assert guess.slope[:-1].mean() < 0.2


def test_a_guess_is_multiplied_by_its_slopes_everywhere():
    guess, table = first_guess(a_table(60, 3, 1.0), (0, 0, 0, 2), tuning_steps=1)
    cells, visible = guess.coordinates.expand(*table.take(slice(None)))
    asked = torch.tensor([False, True, False, False])
    visible = visible & ~asked[guess.memory.cells]
    found = []
    for slope in (1.0, 0.25):
        guess.slope[1] = slope
        found.append((guess.guess(cells, visible).mean, guess.means(cells, visible, asked)))
    for whole, part in zip(*found, strict=True):
        assert whole[:, 1].std() > 0.1
        torch.testing.assert_close(part[:, 1], 0.25 * whole[:, 1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[0][0][:, 0], found[1][0][:, 0])


# ---- lifts of categories


def levels(n: int, follows: bool, seed: int = 0) -> Windows:
    """Two categories of three levels, of which the second is the first or has nothing to do."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(3, (n, 1), generator=generator)
    second = first if follows else torch.randint(3, (n, 1), generator=generator)
    values = torch.cat([first, second], 1).float()
    return windows_over(values, torch.rand(values.shape, generator=generator) < 0.9)


def lifts_of(table: Windows, n_levels: tuple[int, ...]) -> np.ndarray:
    """Return the lifts that a fit sets."""
    torch.manual_seed(0)
    guess, support = StackedGuess(n_levels, 1, len(table), GuessOptions()), Support(n_levels, 8)
    support.fit(table.values, table.observed)
    generator = torch.Generator().manual_seed(0)
    table = guess.fit(table, generator, 256)
    fit_scales(guess, support, table, generator, lambda: False)
    return support.lift.numpy()


def test_levels_that_follow_from_others_are_lifted_and_those_of_noise_are_not():
    followed, noise = (lifts_of(levels(300, follows), (3, 3)) for follows in (True, False))
    assert followed.min() > 1.3 and noise.max() < 1.2


def test_numbers_have_no_lift():
    found = lifts_of(a_table(100, 2, 1.0), (0, 0, 2))
    assert (found[:2] == 1).all()


def test_a_lift_is_the_power_of_how_much_likelier_a_level_is_than_its_frequency():
    support = Support((3,), 8)
    support.share[0, :3] = torch.tensor([0.5, 0.3, 0.2])
    said = torch.tensor([[0.1, 0.2, 0.9], [-0.2, 0.7, 0.3], [0.0, 0.0, 0.0]])
    usual = support.share[0, :3].double().numpy()
    for lift in (0.0, 0.5, 1.0, 1.8):
        support.lift.fill_(lift)
        found = support.level_logits(0, said).softmax(1)[:, :3].numpy()
        for own, line in zip(found, said.clamp_min(0).double().numpy(), strict=True):
            mixed = 0.9 * line / max(line.sum(), 1e-6) + 0.1 * usual
            wanted = usual * (mixed / usual) ** lift
            np.testing.assert_allclose(own, wanted / wanted.sum(), rtol=1e-5)
        assert support.level_logits(0, said)[:, 3:].isinf().all()


def test_lifts_are_the_likeliest_by_priors_about_one_and_about_that_of_all(monkeypatch):
    table = levels(200, follows=True)
    guess, table = first_guess(table, (3, 3), tuning_steps=1)
    guess.folds = [guess.base]  # as while a model is fitted
    support = Support((3, 3), 8)
    support.fit(table.values, table.observed)
    hide, seen = guess.hide, []

    def hidden(*given):
        seen.append(hide(*given))
        return seen[-1]

    def tell(cells, *rest):
        noise = torch.Generator().manual_seed(len(seen))
        said = 0.5 * cells + 1.5 * torch.rand(cells.shape, generator=noise)
        return Normal(said, said)

    def odds_of(guess, values, observed):
        return 1 + (values[:, 0, :1] > 0).double().expand(-1, 6)

    monkeypatch.setattr(scales, "missing_odds", odds_of)
    monkeypatch.setattr(guess, "hide", hidden)
    monkeypatch.setattr(guess, "guess", tell)
    fit_scales(guess, support, table, torch.Generator().manual_seed(1), lambda: False)
    grid, lost = np.arange(21) / 10, np.zeros((2, 21))
    n_rows = sum(len(x[0]) for x in seen)
    share = support.share[:, :3].double().numpy()
    for i, (cells, _, now) in enumerate(seen, 1):
        noise = torch.Generator().manual_seed(i)
        said = (0.5 * cells + 1.5 * torch.rand(cells.shape, generator=noise)).double().numpy()
        odds = 1 + (cells[:, 0] < 0.5).double().numpy()  # the first column is above its first level
        for j in (0, 1):
            own = slice(3 * j, 3 * j + 3)
            asked = now[:, own.start].numpy()
            line = said[asked, own] / said[asked, own].sum(1, keepdims=True)
            lift = np.log((0.9 * line + 0.1 * share[j]) / share[j])
            level = cells[asked, own].argmax(1).numpy()
            for k, power in enumerate(grid):
                chance = share[j] * np.exp(power * lift)
                chance = chance / chance.sum(1, keepdims=True)
                lost[j, k] -= odds[asked] @ np.log(chance[np.arange(len(level)), level])
    lost *= 200 / n_rows
    pooled = grid[np.argmin(lost.sum(0) + ((grid - 1) / OF_ALL) ** 2 / 2)]
    wanted = grid[np.argmin(lost + ((grid - pooled) / OF_ONE) ** 2 / 2, axis=1)]
    np.testing.assert_allclose(support.lift.numpy(), wanted, atol=1e-6)
    assert wanted.min() > 0.2 and wanted.max() < 1.9


def test_when_time_is_up_few_windows_are_asked_for_scales(monkeypatch):
    guess, table = first_guess(levels(500, follows=True), (3, 3), tuning_steps=1)
    guess.folds = [guess.base]
    support, asked, whole = Support((3, 3), 8), [], guess.guess
    support.fit(table.values, table.observed)
    monkeypatch.setattr(guess, "guess", lambda *a: asked.append(len(a[0])) or whole(*a))
    fit_scales(guess, support, table, torch.Generator().manual_seed(1), lambda: True)
    assert asked == [64]


def test_without_folds_nothing_is_asked_and_all_is_left_as_it_is(monkeypatch):
    guess, table = first_guess(levels(60, follows=True), (3, 3), tuning_steps=1)
    monkeypatch.setattr(guess, "guess", None)
    support = Support((3, 3), 8)
    fit_scales(guess, support, table, torch.Generator().manual_seed(1), lambda: False)
    assert (support.lift == 1).all()
