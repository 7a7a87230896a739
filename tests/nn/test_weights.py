"""Weights of the first guess where cells are not missing at random."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models import first_guess
from models import windows as windows_over

from maetab.nn.guess import weights
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.guess.weights import (
    _discriminants,
    _Evidence,
    _shrunk_least_squares,
    _variance_shares,
    _worth,
    fit_weights,
    missing_odds,
)
from maetab.nn.windows import Windows


def two_columns(at_random: bool) -> Windows:
    """x is always seen; y, a parabola of x, is missing anywhere or mostly where x is large."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(900, generator=generator)
    y = torch.where(x > 0, -2 * x, x) + 0.1 * torch.randn(900, generator=generator)
    chance = 0.4 if at_random else torch.where(x > 0.3, 0.85, 0.05)
    gone = torch.rand(900, generator=generator) < chance
    observed = torch.stack([torch.ones_like(gone), ~gone], 1)
    return windows_over(torch.stack([x, y / y.std()], 1), observed)


def guess_of(table: Windows) -> StackedGuess:
    return first_guess(table, (0, 0), tuning_steps=30)[0]


def test_rows_weigh_as_the_discriminant_between_missing_and_seen_says():
    table = two_columns(at_random=False)
    values, observed = table.take(slice(None))
    found = missing_odds(guess_of(table), values, observed).numpy()
    x, gone = values[:, 0, 0].double().numpy(), ~observed[:, 0, 1].numpy()
    x = (x - x.mean()) / x.std(ddof=1)
    slope = (x[gone].mean() - x[~gone].mean()) / (np.mean(x**2) + 0.1)
    odds = np.exp(np.clip(x * slope * gone.sum() / (gone.sum() + 50), -2.3, 2.3))
    np.testing.assert_allclose(found[:, 1], (odds / odds[~gone].mean()).clip(0.1, 10), rtol=1e-6)
    assert found[gone, 1].mean() > 2 * found[~gone, 1].mean()
    np.testing.assert_allclose(found[:, 0], 1.0)  # x misses nothing


@pytest.mark.parametrize("n_threads", [1, 2])
def test_discriminants_of_many_columns_are_right_with_several_threads(n_threads):
    filled = torch.randn(300, 160, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cell = torch.arange(160) // 2  # two coordinates each
    shift = filled[:160] / 10
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        found = _discriminants(cell, filled, shift).numpy()
    finally:
        torch.set_num_threads(before)
    covariance = filled.numpy().T @ filled.numpy() / 300 + 0.1 * np.eye(160)
    for own in (0, 1, 77, 159):
        others = cell.numpy() != own // 2
        wanted = np.zeros(160)
        system = covariance[np.ix_(others, others)]
        wanted[others] = np.linalg.solve(system, shift[own].numpy()[others])
        np.testing.assert_allclose(found[own], wanted, atol=1e-9)


def test_weights_are_about_one_where_cells_are_missing_at_random():
    table = two_columns(at_random=True)
    found = missing_odds(guess_of(table), *table.take(slice(None)))
    assert float((found - 1).abs().max()) < 0.35


def test_weights_are_lowered_to_what_is_best_at_other_rows():
    torch.manual_seed(0)
    moved = torch.randn(4000, 3, 2).double()
    best = torch.tensor([0.5, -2.0, 3.0]).double()  # by how much of what is corrected is right
    found = _Evidence(
        moved,
        moved.sum(-1) * best + 0.1 * torch.randn(4000, 3),
        torch.ones(4000, 3),
        torch.ones(4000, 3, 2),
        torch.full((3,), 4e6),
    )
    ones, numbers = torch.ones(3, 2).double(), torch.ones(3, dtype=torch.bool)
    worth = _worth(found, ones, numbers)
    torch.testing.assert_close(worth, torch.tensor([0.5, 0.0, 1.0]).double(), atol=0.01, rtol=0)
    nothing = found._replace(corrections=moved * torch.tensor([1.0, 1.0, 0.0])[:, None])
    others = moved[:, :2].sum(-1).square()
    pooled = (others * best[:2]).sum() / others.sum()
    without = _worth(nothing, ones, numbers)[2]  # no evidence: what all say
    torch.testing.assert_close(without, pooled.clamp(0, 1), atol=0.01, rtol=0)
    hardly = found._replace(n_hidden=torch.full((3,), 1e-3))
    few = _worth(hardly, ones, numbers)
    pooled = (moved.sum(-1).square() * best).sum() / moved.sum(-1).square().sum()
    torch.testing.assert_close(few, pooled.clamp(0, 1).expand(3), atol=0.01, rtol=0)
    one = found._replace(n_hidden=torch.tensor([1e-3, 4e6, 4e6]))
    apart = _worth(one, ones, torch.tensor([True, True, False]))  # levels tell nothing of numbers
    torch.testing.assert_close(apart, torch.tensor([0.0, 0.0, 1.0]).double(), atol=0.01, rtol=0)
    assert _worth(one, ones, numbers)[0] > 0.45


def test_variances_are_those_of_the_one_that_tells_which_cells_are_sure():
    torch.manual_seed(0)
    shape = 2000, 4
    weight = (torch.rand(shape) < 0.7).double() * (0.5 + torch.rand(shape).double())
    base, near = (torch.rand(shape).double().square() + 0.01 for _ in range(2))
    told = torch.stack([base, near], -1)
    true = torch.stack([base[:, 0], near[:, 1], told[:, 2].mean(-1), base[:, 3]], 1)
    error = weight * true * torch.randn(shape).double().square()
    nothing, told = torch.zeros(*shape, 2), told * weight[..., None]
    found = _Evidence(nothing, nothing[..., 0], weight, told, weight.sum(0))
    numbers = torch.tensor([True, True, True, False])  # the last are levels
    wanted = torch.tensor([[1.0, 0.0], [0.05, 0.95], [0.5, 0.5], [0.5, 0.5]]).double()
    torch.testing.assert_close(_variance_shares(found, error, numbers), wanted)


def test_fitted_weights_are_lowered_by_what_other_rows_say(monkeypatch):
    guess, table = first_guess(two_columns(at_random=True), (0, 0), tuning_steps=3)
    rows, found = torch.arange(len(table)).split(700), {}
    for share in (1.0, 0.25):
        worth = torch.full((2,), share, dtype=torch.float64)
        monkeypatch.setattr(weights, "_worth", lambda *_, worth=worth: worth)
        fit_weights(guess, table, *rows, torch.Generator().manual_seed(0), lambda: False)
        found[share] = guess.stack_weights.clone()
    assert float(found[1.0].abs().max()) > 0.02
    torch.testing.assert_close(found[0.25], 0.25 * found[1.0])


@pytest.mark.slow
def test_rows_of_noise_hardly_move_the_guess_from_the_mean():
    random = np.random.default_rng(0)
    truth = random.normal(size=(500, 12)).astype(np.float32)
    observed = random.random(truth.shape) < 0.7
    table = windows_over(torch.tensor(truth), torch.tensor(observed))
    guess, _ = first_guess(table, (0,) * 12)
    found = guess(*table.take(slice(None))).mean[:, 0].numpy()
    assert np.sqrt(np.square(found - truth)[~observed].mean()) < 1.04


class HidesCounted(StackedGuess):
    """Hides nothing of the rows whose x is negative, so that these say nothing."""

    def hide(self, windows, chosen, generator):
        cells, visible, hidden = super().hide(windows, chosen, generator)
        return cells, visible, hidden & (cells[:, :1] > 0)


def test_rows_without_weight_do_not_count(monkeypatch):
    table = two_columns(at_random=True)
    guess, found = guess_of(table), {}
    table = table.remember(torch.zeros(0, dtype=torch.long))  # every row may be read

    def of_counted(guess, values, observed):
        return (values[:, 0, :1] > 0).double().expand(-1, 2)

    def ones(guess, values, observed):
        return torch.ones(len(values), 2, dtype=torch.float64)

    ways = {
        "weighed": (of_counted, StackedGuess),
        "left out": (ones, HidesCounted),
        "all": (ones, StackedGuess),
    }
    for name, (odds, kind) in ways.items():
        monkeypatch.setattr(weights, "missing_odds", odds)
        guess.__class__ = kind
        rows = torch.arange(len(table)).split(700)
        fit_weights(guess, table, *rows, torch.Generator().manual_seed(1), lambda: False)
        found[name] = torch.cat([guess.stack_weights, guess.variance_weights], 1)
    assert 0 < int((table.values[:, 0] > 0).sum()) < len(table.values)
    torch.testing.assert_close(found["weighed"], found["left out"], atol=0.05, rtol=0.05)
    assert float((found["all"] - found["left out"]).abs().max()) > 0.2


def test_when_time_is_up_few_windows_are_looked_at(monkeypatch):
    table, looked = two_columns(at_random=True), []
    guess, table = first_guess(table, (0, 0), tuning_steps=3)
    near = StackedGuess.near
    monkeypatch.setattr(StackedGuess, "near", lambda *a: looked.append(len(a[1])) or near(*a))
    rows, generator = torch.arange(900), torch.Generator().manual_seed(0)
    fit_weights(guess, table, rows[:700], rows[700:], generator, lambda: True)
    assert looked == [64, 64]  # of those that are learned from, and of the others
    assert torch.isfinite(guess.stack_weights).all()
    looked.clear()
    fit_weights(guess, table, rows[:700], rows[700:], generator, lambda: False)
    assert sum(looked) == 4 * 900


@pytest.mark.parametrize("is_number", [True, False])
def test_a_number_that_similar_rows_tell_trusts_them_among_many_that_they_do_not(is_number):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(80, 20, 1, generator=generator).double()
    x = x + 0.3 * torch.randn(80, 20, 2, generator=generator)  # heads say much the same
    y = torch.randn(80, 20, generator=generator).double()
    y[:, 0] = x[:, 0].mean(-1) + 0.1 * y[:, 0]
    count = torch.full((20,), 80.0).double()
    weights = _shrunk_least_squares(x, y, count, torch.full((20,), is_number)).sum(-1)
    assert weights[1:].abs().mean() < 0.1
    if is_number:
        assert weights[0] > 0.8
    else:  # levels of a category are left to what all coordinates say
        assert weights[0] < 0.4
