"""What networks and first guess each are worth, found another way than the package does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models import config, fit, fit_options, train, windows

from maetab.engine.calibration import (
    OWN_CELLS,
    _least,
    held_out_errors,
    set_network_weights,
)
from maetab.engine.held_out import hold_out
from maetab.engine.runtime import Deadline
from maetab.nn.ensemble import Ensemble

NUMBERS = config((0, 0, 0), n_memory=16)


def sums(truth: np.ndarray, guess: np.ndarray, net: np.ndarray) -> dict[str, torch.Tensor]:
    """The sums that `held_out_errors` documents, of (n, F) cells that are all held out."""
    gap, missed = net - guess, truth - guess
    found = {
        "gap": gap**2,
        "gain": missed * gap,
        "noise": (missed * gap) ** 2,
        "error": (truth - net) ** 2,
        "count": np.ones_like(gap),
    }
    totals = {name: torch.tensor(cells.sum(0)).float() for name, cells in found.items()}
    nothing = torch.zeros(gap.shape[1], 5)
    return totals | {"surprise": nothing, "surprise_square": nothing}


def best_blend(truth: np.ndarray, guess: np.ndarray, net: np.ndarray) -> np.ndarray:
    """Of a hundred blends the one with the least squared error, column by column."""
    blends = np.linspace(0, 1, 101)[:, None, None]
    errors = np.square(truth - guess - blends * (net - guess)).sum(1)
    return np.linspace(0, 1, 101)[errors.argmin(0)]


def test_the_share_of_the_networks_is_the_blend_that_errs_least():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20_000, 3))
    guess = truth + rng.normal(size=truth.shape) * [1.0, 1.0, 0.3]
    net = truth + rng.normal(size=truth.shape) * [0.2, 1.0, 2.0]
    model = Ensemble(NUMBERS)
    set_network_weights(model, sums(truth, guess, net))
    best = best_blend(truth, guess, net)
    assert best[0] > 0.9 and 0.4 < best[1] < 0.6 and best[2] < 0.1
    np.testing.assert_allclose(model.network_weight, best, atol=0.03)


def test_few_cells_of_a_column_are_outvoted_by_those_of_all():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(4000, 3))
    guess = truth + rng.normal(size=truth.shape)
    net = truth + 0.3 * rng.normal(size=truth.shape)
    net[:, 2] = guess[:, 2] + rng.normal(size=4000)  # worse than the guess
    model, few = Ensemble(NUMBERS), Ensemble(NUMBERS)
    set_network_weights(model, sums(truth, guess, net))
    np.testing.assert_allclose(model.network_weight, best_blend(truth, guess, net), atol=0.06)
    known, rare = sums(truth, guess, net), sums(truth[:4], guess[:4], net[:4])
    for name, total in known.items():
        if total.ndim == 1:
            total[2] = rare[name][2]
    set_network_weights(few, known)
    assert few.network_weight[2] > 0.2 > model.network_weight[2]


def test_no_network_has_weight_that_is_better_by_less_than_its_standard_error():
    rng = np.random.default_rng(9)
    truth = rng.normal(size=(50, 3))
    guess, moved = np.zeros_like(truth), rng.normal(size=truth.shape)
    moved *= np.sign((truth * moved).sum()) * 0.1  # of no use but by chance
    found = sums(truth, guess, moved)
    assert 0 < float(found["gain"].sum()) < float(found["noise"].sum().sqrt())
    model = Ensemble(NUMBERS)
    set_network_weights(model, found)
    assert float(model.network_weight.max()) < 0.1


def of_levels(chances: np.ndarray, net: np.ndarray) -> dict[str, torch.Tensor]:
    """The sums of categories, by (n, F) probabilities of the truth that guess and network give."""
    blended = chances[..., None] + np.linspace(0, 1, 5) * (net - chances)[..., None]
    added = torch.tensor(np.log(chances)[..., None] - np.log(blended)).float()
    more = {"surprise": added.sum(0), "surprise_square": added.square().sum(0)}
    return sums(*np.zeros((3, *chances.shape))) | more


@pytest.mark.parametrize("likeliest", range(5))
def test_the_share_at_categories_is_the_likeliest_of_five_blends(likeliest):
    model = Ensemble(config((3,), n_memory=16))
    error = sums(*np.zeros((3, 10, 1)))
    error["surprise"] = torch.full((1, 5), 8.0) * (torch.arange(5) > 0)
    error["surprise"][0, likeliest] -= 8.0 * (likeliest > 0) * 2
    set_network_weights(model, error)
    assert model.network_weight.tolist() == [likeliest / 4]


def test_a_network_that_is_better_at_categories_by_less_than_its_standard_error_has_no_weight():
    rng = np.random.default_rng(5)
    guess = rng.uniform(0.2, 0.8, (60, 2))
    net = guess + 0.02 * rng.normal(size=guess.shape)
    gained = np.log(net / guess)
    for shift, weighs in ((0.5, False), (4.0, True)):  # standard errors of the whole network
        moved = guess * np.exp(gained - gained.mean() + shift * gained.std() / np.sqrt(gained.size))
        model = Ensemble(config((3, 3), n_memory=16))
        set_network_weights(model, of_levels(guess, moved))
        assert bool(model.network_weight.any()) == weighs


def test_a_category_of_few_held_out_cells_is_outvoted_by_those_of_all():
    guess = np.full((5 * OWN_CELLS, 2), 0.5)
    net = np.stack([np.full(len(guess), 0.7), np.full(len(guess), 0.4)], 1)
    model, few = Ensemble(config((3, 3), n_memory=16)), Ensemble(config((3, 3), n_memory=16))
    every = of_levels(guess, net)
    set_network_weights(model, every)
    assert model.network_weight.tolist() == [1.0, 0.0]
    rare = of_levels(guess[:5], net[:5])
    for name, total in every.items():
        total[1] = rare[name][1]
    set_network_weights(few, every)
    assert few.network_weight.tolist() == [1.0, 1.0]


def noise(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Columns that say nothing of each other: a network can only learn what is not so."""
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(size=(n, 3)), rng.integers(3, size=(n, 1))], 1)
    return values.astype(np.float32), np.ones((n, 4), bool)


@pytest.mark.slow
@pytest.mark.parametrize("t", [1, 3])
def test_networks_do_no_harm_where_they_can_learn_nothing(t):
    options = fit_options(max_iter=30, learning_rate=1e-2, n_iter_no_change=99)
    model, history = fit(config((0, 0, 0, 3), width=16, n_steps=t), noise(), options)
    assert history and model.members
    fresh = windows(*noise(3000, seed=1), t)
    values, _ = fresh.take(slice(None))
    visible = torch.rand(values.shape, generator=torch.Generator().manual_seed(0)) < 0.7
    hidden = ~visible & (torch.arange(4) < 3)
    clock = fresh.clock_of(slice(None))
    with torch.no_grad():
        guess = model.first_guess(values, visible, clock=clock).point
        point = model.predicted(values, visible, clock=clock)[1]
    own, blended = (float((x - values)[hidden].abs().mean()) for x in (guess, point))
    assert blended < 1.005 * own


@pytest.mark.parametrize("t", [1, 2])
def test_errors_on_held_out_cells_are_those_of_each_cell_one_by_one(t):
    cells = noise(40)
    model, _ = fit(config((0, 0, 0, 3), n_steps=t), cells, fit_options(max_iter=3))
    nothing = torch.zeros(0, dtype=torch.long)  # no remembered window is barred
    table = hold_out(windows(*cells, t).remember(nothing), 0.3, torch.Generator().manual_seed(0))
    found = held_out_errors(model, model.members[0], table, 40, Deadline())
    expected = dict.fromkeys(("gap", "gain", "error", "count"), 0.0)
    judged = torch.arange(len(table)) if t == 1 else table.judged
    assert len(judged) >= t
    values, visible, held = table.cells(judged)
    with torch.no_grad():
        guess = model.first_guess(values, visible)
        predicted = model.predict(model.members[0].eval(), values, visible, guess)
    net = predicted.point
    for at in held[..., :3].nonzero().tolist():
        truth, own, other = (float(x[tuple(at)]) for x in (values, guess.point, net))
        expected["gap"] += (other - own) ** 2
        expected["gain"] += (truth - own) * (other - own)
        expected["error"] += (truth - other) ** 2
        expected["count"] += 1
    for name, total in expected.items():
        assert float(found[name][:3].sum()) == pytest.approx(total, rel=1e-3, abs=1e-4), name
    chances = [x.logits.softmax(-1)[..., 3, :] for x in (guess, predicted)]
    at = held[..., 3].nonzero().tolist()
    own, other = (np.array([x[*i, int(values[*i, 3])] for i in at]) for x in chances)
    half = np.log(own / (0.5 * own + 0.5 * other))
    assert float(found["surprise"][3, 2]) == pytest.approx(half.sum(), rel=1e-3, abs=1e-5)
    assert float(found["surprise_square"][3, 2]) == pytest.approx((half**2).sum(), rel=1e-3)
    assert not found["surprise"][:3].any()


def test_fit_weighs_the_network_as_its_errors_say():
    """The network is as good as its held-out cells: what is set is what these sums give."""
    options = fit_options(max_iter=6, learning_rate=2e-2, validation_fraction=0.3, seed=3)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1)).astype(np.float32)
    values = np.concatenate([x, np.abs(x), x**2 - 1], 1) + np.float32(0.05)
    cells = values.astype(np.float32), np.ones(values.shape, bool)
    model, _ = fit(config((0, 0, 0), width=16, n_members=2), cells, options)
    # The same fit again, up to the weights.
    training = train(config((0, 0, 0), width=16, n_members=2), cells, options)
    twin = training.model
    set_network_weights(twin, training.errors)
    assert 0 < float(model.network_weight.max()) < 1
    torch.testing.assert_close(model.network_weight, twin.network_weight, rtol=0, atol=0)
    torch.testing.assert_close(model.residual_std, twin.residual_std, rtol=0, atol=0)
    half = {name: total / 2 for name, total in training.errors.items()}
    set_network_weights(twin, half)  # half as sure
    assert not torch.equal(model.network_weight, twin.network_weight)


@pytest.mark.parametrize(("gain", "weight"), [(0.9, 0.0), (1.1, 1.0)])
def test_a_column_of_series_counts_as_much_as_all_where_it_has_so_many_windows(gain, weight):
    n, rest = 6 * OWN_CELLS, 1e7  # cells of windows of six steps: the other columns lose by 1
    added = torch.zeros(2, 5, dtype=torch.float64)
    added[:, 4] = torch.tensor([-gain * n, rest])
    count = torch.tensor([n, rest], dtype=torch.float64)
    total = {"count": count, "absolute": added, "absolute_square": torch.zeros_like(added)}
    found = _least("absolute", total, torch.ones(2, dtype=torch.bool), n_steps=6)
    assert found.tolist() == [weight, 0.0]


def test_errors_of_four_cells_that_happen_to_be_alike_do_not_speak_for_a_column():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4000, 3))
    net, guess = truth, truth + rng.normal(size=truth.shape)
    totals = sums(truth, guess, net)
    missed, gap = np.array([0.1, -0.1, 0.1, -0.1]), np.ones(4)  # nothing is gained there
    own = {"gap": gap**2, "gain": missed * gap, "noise": (missed * gap) ** 2, "count": gap}
    for name, cells in own.items():
        totals[name][2] = cells.sum()
    model = Ensemble(NUMBERS)
    set_network_weights(model, totals)
    assert 0.4 < float(model.network_weight[2]) < 0.6 and float(model.network_weight[0]) > 0.95
