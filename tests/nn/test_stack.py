from __future__ import annotations

import numpy as np
import pytest
import torch

from maetab.nn import guess as guess_module
from maetab.nn.guess import Prior, coordinates

LEVELS = (0, 3, 0, 2)


@pytest.fixture(autouse=True, scope="module")
def quick_tuning():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guess_module, "N_TUNING", 10)
        yield


def a_table(n: int = 80, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers 0 and 2 go together; category 1 tells the sign of both."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, generator=generator)
    noise = torch.randn(n, generator=generator)
    coin = torch.randint(2, (n,), generator=generator).float()
    values = torch.stack([x, (x > 0) + (x > 1).float(), x + 0.3 * noise, coin], 1)
    observed = torch.rand(n, 4, generator=generator) < 0.85
    return torch.where(observed, values, 0.0), observed


@pytest.fixture(scope="module")
def fitted() -> Prior:
    values, observed = a_table()
    torch.manual_seed(0)
    prior = Prior(LEVELS, 8, len(values))
    prior.remembered = prior.fit(values, observed, torch.Generator().manual_seed(0))
    return prior


def test_coordinates_are_one_per_number_and_one_per_level():
    assert coordinates((0, 3, 0, 1)) == [slice(0, 1), slice(1, 4), slice(4, 5), slice(5, 6)]


def test_levels_become_indicators_and_unknown_ones_are_not_visible():
    prior = Prior(LEVELS, 8, 1)
    values = torch.tensor([[1.5, 2.0, -1.0, 0.0], [0.5, 3.0, 2.0, 2.0]])
    spread, seen = prior.expand(values, torch.tensor([[True, True, False, True], [True] * 4]))
    assert spread[0].tolist() == [1.5, 0, 0, 1, -1.0, 1, 0]
    assert seen[0].tolist() == [True, True, True, True, False, True, True]
    assert seen[1].tolist() == [True, False, False, False, True, False, False]


def test_a_table_of_numbers_passes_as_it_is():
    values, visible = torch.randn(3, 2), torch.rand(3, 2) < 0.5
    spread, seen = Prior((0, 0), 8, 1).expand(values, visible)
    assert torch.equal(spread, values) and torch.equal(seen, visible)


def test_visible_cells_are_unchanged_and_certain(fitted):
    values, visible = a_table(seed=1)
    guess, _ = fitted(values, visible)
    spread, seen = fitted.expand(values, visible)
    assert torch.equal(guess.mean[seen], spread[seen])
    assert (guess.variance[seen] == 0).all() and (guess.variance[~seen] > 0).all()
    numbers = visible[:, [0, 2]]
    assert torch.equal(fitted.point(guess)[:, [0, 2]][numbers], values[:, [0, 2]][numbers])
    assert (fitted.point(guess)[:, [1, 3]] == 0).all()


def test_the_guess_is_the_stack_of_gaussian_and_similar_rows(fitted):
    values, visible = a_table(seed=2)
    spread, seen = fitted.expand(values, visible)
    guess, _ = fitted(values, visible)
    normal, near = fitted.gaussian(spread, seen), fitted.memory(spread, seen)
    one, two = fitted.stack.T
    mean = (1 - one) * normal.mean + one * near.mean + two * near.residual
    torch.testing.assert_close(guess.mean[~seen], mean[~seen], atol=1e-5, rtol=1e-4)
    variance = (fitted.inflate * torch.stack([normal.variance, near.variance], -1)).sum(-1)
    torch.testing.assert_close(guess.variance[~seen], variance[~seen], atol=1e-5, rtol=1e-4)
    parts = torch.stack([normal.mean, near.mean, normal.mean + near.residual], -1)
    torch.testing.assert_close(guess.parts, parts)


@pytest.mark.parametrize("poison", [1e6, float("nan"), float("-inf")])
def test_what_is_not_visible_is_never_read(fitted, poison):
    values, visible = a_table(seed=3)
    clean, logits = fitted(values, visible)
    dirty, spoiled = fitted(torch.where(visible, values, poison), visible)
    assert torch.equal(logits, spoiled)
    for mine, theirs in zip(clean, dirty, strict=True):
        assert torch.equal(mine, theirs)


def test_a_remembered_row_does_not_guess_its_own_cells_from_itself(fitted):
    values, observed = a_table()
    visible = observed.clone()
    visible[:, 2] = False
    mine, _ = fitted(values, visible, fitted.remembered)
    memory, row = fitted.memory, 7
    place = int(fitted.remembered[row])
    kept = memory.values.clone(), memory.residuals.clone()
    memory.values[place], memory.residuals[place] = 1e3, 1e3
    theirs, _ = fitted(values, visible, fitted.remembered)
    memory.values.copy_(kept[0])
    memory.residuals.copy_(kept[1])
    assert torch.equal(mine.mean[row], theirs.mean[row])


def test_remembered_names_the_place_of_each_row(fitted):
    values, observed = a_table()
    spread, seen = fitted.expand(values, observed)
    assert sorted(fitted.remembered.tolist()) == list(range(len(values)))
    assert torch.equal(fitted.memory.values[fitted.remembered], torch.where(seen, spread, 0.0))


def test_rows_beyond_the_memory_are_not_remembered(monkeypatch):
    monkeypatch.setattr(guess_module, "MAX_ROWS", 30)
    values, observed = a_table()
    prior = Prior(LEVELS, 8, 30)
    remembered = prior.fit(values, observed, torch.Generator().manual_seed(0))
    assert sorted(remembered[remembered >= 0].tolist()) == list(range(30))
    assert int((remembered == -1).sum()) == 50


def test_logits_are_distributions_and_those_of_visible_cells_the_marginals(fitted):
    values, visible = a_table(seed=4)
    _, logits = fitted(values, visible)
    chances = logits.softmax(-1)
    torch.testing.assert_close(chances.sum(-1), torch.ones(visible.shape))
    share = fitted.support.share.expand_as(chances)
    torch.testing.assert_close(chances[visible], share[visible])
    assert (chances[:, 1, 3:] == 0).all() and (chances[:, 3, 2:] == 0).all()


def test_the_guess_is_better_than_the_mean_and_than_nothing(fitted):
    values, observed = a_table(400, seed=5)
    visible = observed.clone()
    visible[:, 2] = False
    guess, logits = fitted(values, visible)
    known = observed[:, 0] & observed[:, 2]
    error = (fitted.point(guess)[:, 2] - values[:, 2])[known].square().mean()
    assert error < 0.35 * values[known, 2].var()
    visible = observed.clone()
    visible[:, 1] = False
    _, logits = fitted(values, visible)
    right = (logits[:, 1].argmax(-1) == values[:, 1])[observed[:, 0] & observed[:, 1]]
    assert float(right.float().mean()) > 0.7


def test_stack_and_inflation_stay_in_their_bounds(fitted):
    assert fitted.stack.min() >= -0.5 and fitted.stack.max() <= 1.5
    assert fitted.inflate.min() >= 0.05 - 1e-6 and fitted.inflate.max() <= 5


def test_two_rows_teach_the_memory_nothing_for_each_reads_only_the_other():
    torch.manual_seed(0)
    prior = Prior((0, 0, 0), 8, 2)
    start = [x.detach().clone() for x in (prior.memory.log_weight, prior.memory.log_cost)]
    values, observed = torch.randn(2, 3), torch.ones(2, 3, dtype=torch.bool)
    prior.fit(values, observed, torch.Generator().manual_seed(0))
    assert torch.equal(prior.memory.log_weight, start[0])
    assert torch.equal(prior.memory.log_cost, start[1])


def test_what_similar_rows_of_noise_missed_has_no_weight():
    torch.manual_seed(0)
    values, observed = torch.randn(200, 4), torch.ones(200, 4, dtype=torch.bool)
    prior = Prior((0,) * 4, 8, 200)
    prior.fit(values, observed, torch.Generator().manual_seed(0))
    # A row that were judged by what it missed itself would get all that may be given, 1.5.
    assert float(prior.stack[:, 1].max()) < 0.5


def test_many_columns_are_guessed_by_factors():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(150, 2))
    values = factor @ rng.normal(size=(2, 110)) + 0.3 * rng.normal(size=(150, 110))
    values = torch.tensor(values / values.std(0), dtype=torch.float32)
    observed = torch.tensor(rng.random(values.shape) < 0.8)
    prior = Prior((0,) * 110, 8, 150)
    assert prior.gaussian.n_factors > 0
    prior.fit(values, observed, torch.Generator().manual_seed(0))
    guess, _ = prior(values, observed)
    error = (guess.mean - values)[~observed].square().mean()
    assert error < 0.4 * values[~observed].square().mean()


def test_one_row_and_empty_columns_can_be_fitted():
    generator = torch.Generator().manual_seed(0)
    for n in (1, 2, 3):
        prior = Prior((0, 2, 0), 8, n)
        values, observed = torch.randn(n, 3).abs().round(), torch.ones(n, 3, dtype=torch.bool)
        observed[:, 2] = False
        prior.fit(values.clamp_max(1), observed, generator)
        guess, logits = prior(values, torch.zeros(n, 3, dtype=torch.bool))
        assert torch.isfinite(guess.mean).all() and torch.isfinite(guess.variance).all()
        assert not logits.isnan().any()


def test_points_are_those_of_the_logits(fitted):
    values, visible = a_table(seed=6)
    guess, logits = fitted(values, visible)
    points = fitted.points(values, visible)
    numbers = torch.tensor([n == 0 for n in LEVELS])
    assert torch.equal(points[:, numbers], fitted.point(guess)[:, numbers])
    assert torch.equal(points[:, ~numbers], logits.softmax(-1).argmax(-1)[:, ~numbers].float())
    assert (points[:, ~numbers] > 0).any()


@pytest.mark.parametrize("hidden", [(0,), (1,), (2, 3), (0, 1, 2)])
def test_the_means_of_what_is_asked_are_those_of_the_guess(fitted, hidden):
    values, observed = a_table(seed=7)
    asked = torch.zeros(4, dtype=torch.bool)
    asked[list(hidden)] = True
    spread, seen = fitted.expand(values, observed & ~asked)
    spoiled = torch.where(seen, spread, float("nan"))
    wanted = asked[fitted.memory.columns]
    said = fitted.means(spoiled, seen, asked, fitted.remembered)
    whole = fitted.guess(spread, seen, fitted.remembered).mean
    torch.testing.assert_close(said[:, wanted], whole[:, wanted], rtol=1e-6, atol=1e-6)
    assert (said[:, ~wanted] == 0).all()
