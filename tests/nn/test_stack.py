from __future__ import annotations

import numpy as np
import pytest
import torch
from models import first_guess, windows

from maetab.nn.guess.cells import read_guess, read_points
from maetab.nn.guess.coordinates import Coordinates
from maetab.nn.guess.gaussian import Normal
from maetab.nn.guess.options import GuessOptions
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.support import Support

LEVELS = (0, 3, 0, 2)
NUMBERS = [0, 2]


def a_table(n: int = 80, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers 0 and 2 go together; category 1 tells the sign of both."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, generator=generator)
    noise = torch.randn(n, generator=generator)
    coin = torch.randint(2, (n,), generator=generator).float()
    values = torch.stack([x, (x > 0) + (x > 1).float(), x + 0.3 * noise, coin], 1)
    observed = torch.rand(n, 4, generator=generator) < 0.85
    return torch.where(observed, values, 0.0), observed


def rows(n: int = 80, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """The table as windows (n, 1, F) of one step."""
    values, observed = a_table(n, seed)
    return values[:, None], observed[:, None]


def a_guess(n_levels: tuple[int, ...], n_memory: int) -> StackedGuess:
    return StackedGuess(n_levels, 1, n_memory, GuessOptions())


@pytest.fixture(scope="module")
def both():
    """A fitted guess, and the windows that it was fitted to."""
    return first_guess(windows(*a_table()), LEVELS, tuning_steps=10)


@pytest.fixture(scope="module")
def fitted(both) -> StackedGuess:
    return both[0]


@pytest.fixture(scope="module")
def support() -> Support:
    support = Support(LEVELS, 8)
    support.fit(*a_table())
    return support


def test_coordinates_are_one_per_number_and_one_per_level():
    coordinates = Coordinates((0, 3, 0, 1), 1)
    assert coordinates.slices == [slice(0, 1), slice(1, 4), slice(4, 5), slice(5, 6)]
    assert coordinates.first == [0, 1, 4, 5] and coordinates.cells == [0, 1, 1, 1, 2, 3]
    assert coordinates.size == coordinates.step_size == 6


def test_coordinates_of_a_window_are_those_of_its_steps_in_turn():
    coordinates = Coordinates((0, 2), 2)
    assert coordinates.slices == [slice(0, 1), slice(1, 3), slice(3, 4), slice(4, 6)]
    assert coordinates.cells == [0, 1, 1, 2, 3, 3]
    assert coordinates.size == 6 and coordinates.step_size == 3
    values = torch.tensor([[[0.5, 1.0], [-2.0, 0.0]]])
    cells, seen = coordinates.expand(values, torch.tensor([[[True, True], [True, False]]]))
    assert cells.tolist() == [[0.5, 0, 1, -2.0, 1, 0]]
    assert seen.tolist() == [[True, True, True, True, False, False]]


def test_levels_become_indicators_and_unknown_ones_are_not_visible():
    values = torch.tensor([[1.5, 2.0, -1.0, 0.0], [0.5, 3.0, 2.0, 2.0]])[:, None]
    visible = torch.tensor([[True, True, False, True], [True] * 4])[:, None]
    cells, seen = Coordinates(LEVELS, 1).expand(values, visible)
    assert cells[0].tolist() == [1.5, 0, 0, 1, -1.0, 1, 0]
    assert seen[0].tolist() == [True, True, True, True, False, True, True]
    assert seen[1].tolist() == [True, False, False, False, True, False, False]


def test_a_table_of_numbers_passes_as_it_is():
    values, visible = torch.randn(3, 1, 2), torch.rand(3, 1, 2) < 0.5
    cells, seen = Coordinates((0, 0), 1).expand(values, visible)
    assert torch.equal(cells, values[:, 0]) and torch.equal(seen, visible[:, 0])


def test_visible_cells_are_unchanged_and_certain(fitted, support):
    values, visible = rows(seed=1)
    guess = fitted(values, visible)
    cells, seen = fitted.coordinates.expand(values, visible)
    mean, variance = guess.mean[:, 0], guess.variance[:, 0]
    assert torch.equal(mean[seen], cells[seen])
    assert (variance[seen] == 0).all() and (variance[~seen] > 0).all()
    point, numbers = read_guess(guess, visible, support).point, visible[..., NUMBERS]
    assert torch.equal(point[..., NUMBERS][numbers], values[..., NUMBERS][numbers])
    assert (point[..., [1, 3]] == 0).all()


def test_the_guess_is_the_stack_of_gaussian_and_similar_rows(fitted):
    values, visible = rows(seed=2)
    cells, seen = fitted.coordinates.expand(values, visible)
    guess = fitted(values, visible)
    normal, memory = fitted.base(cells, seen), fitted.memory
    keys = memory.keys(memory.keys.features(normal, seen)), memory.keys.kept
    heads = memory(cells, seen, keys=keys)
    near, reach, mean = memory.mixed(heads), 2 * normal.variance.sqrt(), normal.mean
    parts = [normal.mean]
    for h in range(len(heads.mean)):
        one, two = fitted.stack_weights[:, 2 * h], fitted.stack_weights[:, 2 * h + 1]
        direct = (heads.mean[h] - normal.mean).clamp(-reach, reach)
        mean = mean + one * direct + two * heads.residual[h]
        parts += [heads.mean[h], normal.mean + heads.residual[h]]
    mean = fitted.slope * mean
    torch.testing.assert_close(guess.mean[:, 0][~seen], mean[~seen], atol=1e-5, rtol=1e-4)
    variances = torch.stack([normal.variance, near.variance], -1)
    variance = (fitted.variance_weights * variances).sum(-1)
    found = guess.variance[:, 0]
    torch.testing.assert_close(found[~seen], variance[~seen], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(guess.parts[:, 0], torch.stack(parts, -1))


@pytest.mark.parametrize("poison", [1e6, float("nan"), float("-inf")])
def test_what_is_not_visible_is_never_read(fitted, support, poison):
    values, visible = rows(seed=3)
    clean = fitted(values, visible)
    spoiled = fitted(torch.where(visible, values, poison), visible)
    assert clean.evidence is spoiled.evidence is None
    for mine, theirs in zip(clean[:3], spoiled[:3], strict=True):
        assert torch.equal(mine, theirs)
    mine, theirs = (read_guess(guess, visible, support).logits for guess in (clean, spoiled))
    assert torch.equal(mine, theirs)


def test_a_remembered_row_does_not_guess_its_own_cells_from_itself(both):
    fitted, table = both
    values, observed = table.take(slice(None))
    visible, index = observed.clone(), table.memory_index(slice(None))
    visible[..., 2] = False
    mine, open_ = fitted(values, visible, index), fitted(values, visible)
    memory, row = fitted.memory, 7
    (place,) = index[row][index[row] >= 0].tolist()
    kept = memory.values.clone(), memory.residuals.clone()
    memory.values[place], memory.residuals[place] = 1e3, 1e3
    theirs, read = fitted(values, visible, index), fitted(values, visible)
    memory.values.copy_(kept[0])
    memory.residuals.copy_(kept[1])
    assert torch.equal(mine.mean[row], theirs.mean[row])
    assert not torch.equal(open_.mean[row], read.mean[row])  # it would have been read


def test_each_row_knows_its_place_in_the_memory(both):
    fitted, table = both
    index = table.memory_index(slice(None))
    assert index.shape == (80, 1) and sorted(index[:, 0].tolist()) == list(range(80))
    cells, seen = fitted.coordinates.expand(*table.take(slice(None)))
    assert torch.equal(fitted.memory.values[index[:, 0]], torch.where(seen, cells, 0.0))


def test_rows_beyond_the_memory_are_not_remembered():
    _, table = first_guess(windows(*a_table()), LEVELS, n_memory=30, tuning_steps=2)
    index = table.memory_index(slice(None))[:, 0]
    assert sorted(index[index >= 0].tolist()) == list(range(30))
    assert int((index == -1).sum()) == 50


@pytest.mark.parametrize(("n_known", "n_kept"), [(10, 10), (15, 15), (16, None), (0, None)])
def test_rows_that_know_what_hardly_any_row_knows_are_remembered_before_others(n_known, n_kept):
    values, observed = a_table()
    observed[:, 2] = torch.randperm(80, generator=torch.Generator().manual_seed(0)) < n_known
    _, table = first_guess(windows(values, observed), LEVELS, n_memory=30, tuning_steps=2)
    index = table.memory_index(slice(None))[:, 0]
    assert sorted(index[index >= 0].tolist()) == list(range(30))
    kept = int((index[observed[:, 2]] >= 0).sum())
    assert kept == n_kept if n_kept is not None else kept < 16
    if n_kept:  # in any order, since samples of the remembered rows are those in a row
        places = index[observed[:, 2]]
        assert places.min() < 10 and places.max() >= 20


def test_rows_that_know_what_hardly_any_row_knows_take_half_of_the_memory_at_most():
    values, observed = a_table()
    few = torch.arange(80)[:, None] // 15 == torch.arange(4)  # 15 rows for each column
    observed[:, 0], observed[:, 1:] = True, few[:, 1:]
    _, table = first_guess(windows(values, observed), LEVELS, n_memory=30, tuning_steps=2)
    kept = table.memory_index(slice(None))[:, 0] >= 0
    assert int(kept.sum()) == 30 and int(kept[few[:, 1:].any(1)].sum()) == 15


def test_logits_are_distributions_and_those_of_visible_cells_the_marginals(fitted, support):
    values, visible = rows(seed=4)
    probabilities = read_guess(fitted(values, visible), visible, support).logits.softmax(-1)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(visible.shape))
    share = support.share.expand_as(probabilities)
    torch.testing.assert_close(probabilities[visible], share[visible])
    assert (probabilities[..., 1, 3:] == 0).all() and (probabilities[..., 3, 2:] == 0).all()


def test_the_guess_is_better_than_the_mean_and_than_nothing(fitted, support):
    values, observed = rows(400, seed=5)
    visible = observed.clone()
    visible[..., 2] = False
    point = read_guess(fitted(values, visible), visible, support).point
    known = (observed[..., 0] & observed[..., 2])[:, 0]
    error = (point - values)[known, 0, 2].square().mean()
    assert error < 0.35 * values[known, 0, 2].var()
    visible = observed.clone()
    visible[..., 1] = False
    logits = read_guess(fitted(values, visible), visible, support).logits
    right = (logits[..., 1, :].argmax(-1) == values[..., 1])[observed[..., 0] & observed[..., 1]]
    assert float(right.float().mean()) > 0.7


def test_weights_stay_in_their_bounds(fitted):
    assert fitted.stack_weights.min() >= -0.5 and fitted.stack_weights.max() <= 1.5
    assert fitted.variance_weights.min() >= 0 and fitted.variance_weights.max() <= 10
    assert (fitted.variance_weights.sum(1) >= 0.1 - 1e-6).all()


def test_two_rows_teach_the_memory_nothing_for_each_reads_only_the_other():
    torch.manual_seed(0)
    guess, values = a_guess((0, 0, 0), 2), torch.randn(2, 3)
    start = [x.detach().clone() for x in (guess.memory.log_weight, guess.memory.log_cost)]
    guess.fit(windows(values, values < 9), torch.Generator().manual_seed(0), 256)
    assert torch.equal(guess.memory.log_weight, start[0])
    assert torch.equal(guess.memory.log_cost, start[1])


def test_what_similar_rows_of_noise_missed_has_no_weight():
    torch.manual_seed(0)
    values = torch.randn(200, 4)
    guess, _ = first_guess(windows(values, values < 9), (0,) * 4, tuning_steps=10)
    # A row that were judged by what it missed itself would get all that may be given, 1.5.
    assert float(guess.stack_weights[:, 1::2].max()) < 0.5


@pytest.mark.slow
def test_many_columns_are_guessed_by_factors():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(150, 2))
    values = factor @ rng.normal(size=(2, 110)) + 0.3 * rng.normal(size=(150, 110))
    values = torch.tensor(values / values.std(0), dtype=torch.float32)
    observed = torch.tensor(rng.random(values.shape) < 0.8)
    guess, _ = first_guess(windows(values, observed), (0,) * 110, tuning_steps=10)
    assert guess.base.n_factors > 0 and not guess.whole_batches
    error = (guess(values[:, None], observed[:, None]).mean[:, 0] - values)[~observed]
    assert error.square().mean() < 0.4 * values[~observed].square().mean()


def test_one_row_and_empty_columns_can_be_fitted():
    for n in (1, 2, 3):
        values, observed = torch.randn(n, 3).abs().round(), torch.ones(n, 3, dtype=torch.bool)
        observed[:, 2] = False
        table = windows(values.clamp_max(1), observed)
        guess, _ = first_guess(table, (0, 2, 0), tuning_steps=10)
        nothing, support = torch.zeros(n, 1, 3, dtype=torch.bool), Support((0, 2, 0), 8)
        support.fit(table.values, table.observed)
        found = read_guess(guess(values[:, None], nothing), nothing, support)
        assert torch.isfinite(found.coordinates.mean).all()
        assert torch.isfinite(found.coordinates.variance).all()
        assert not found.logits.isnan().any()


def test_points_are_those_of_the_logits(fitted, support):
    values, visible = rows(seed=6)
    guess = fitted(values, visible)
    whole, points = read_guess(guess, visible, support), read_points(guess, visible, support)
    numbers = support.is_number
    assert torch.equal(points[..., numbers], whole.point[..., numbers])
    likeliest = whole.logits.softmax(-1).argmax(-1).float()
    assert torch.equal(points[..., ~numbers], likeliest[..., ~numbers])
    assert (points[..., ~numbers] > 0).any()


@pytest.mark.parametrize("hidden", [(0,), (1,), (2, 3), (0, 1, 2)])
def test_the_means_of_what_is_asked_are_those_of_the_guess(both, hidden):
    fitted, table = both
    values, observed = rows(seed=7)
    asked, index = torch.zeros(4, dtype=torch.bool), table.memory_index(slice(None))
    asked[list(hidden)] = True
    cells, seen = fitted.coordinates.expand(values, observed & ~asked)
    spoiled = torch.where(seen, cells, float("nan"))
    wanted = asked[fitted.memory.cells]
    found = fitted.means(spoiled, seen, asked, index)
    whole = fitted.guess(cells, seen, index).mean
    torch.testing.assert_close(found[:, wanted], whole[:, wanted], rtol=1e-6, atol=1e-6)
    assert (found[:, ~wanted] == 0).all()


class Plain(torch.nn.Module):
    """A base guess that has nothing but what the protocol demands: the mean of each coordinate."""

    def __init__(self, n_coordinates: int) -> None:
        super().__init__()
        self.register_buffer("location", torch.zeros(n_coordinates))

    def fit(self, values, visible, should_stop):
        total = torch.where(visible, values, 0.0).sum(0)
        self.location.copy_(total / visible.sum(0).clamp_min(1))

    def forward(self, values, visible):
        mean = torch.where(visible, values, self.location)
        return Normal(mean, (~visible).to(values.dtype))


def test_a_base_guess_without_residuals_is_asked_cell_by_cell():
    table = windows(*a_table())
    guess, _ = first_guess(table, LEVELS, base=Plain, tuning_steps=2)
    cells, seen = guess.coordinates.expand(*table.take(slice(None)))
    wanted = torch.where(seen, cells - guess.base.location, 0.0)
    torch.testing.assert_close(guess.residuals(cells, seen), wanted)
    assert guess.whole_batches  # nothing is known of it
