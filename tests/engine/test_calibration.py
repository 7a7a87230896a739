"""Calibrated levels and ranks, compared with NumPy's quantiles and interpolation."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from models import CPU, config, copy_of, fit, fit_options, windows
from scipy.stats import norm

from maetab.engine import calibration
from maetab.engine.calibration import calibrate, quantiles_by_column
from maetab.engine.held_out import HeldOut, hold_out, hold_out_one_by_one
from maetab.engine.inference import predict, predict_quantiles
from maetab.engine.runtime import Deadline
from maetab.nn.ensemble import Ensemble
from maetab.nn.losses import Prediction
from maetab.nn.support import Support
from maetab.nn.windows import Windows


def numbers(n: int = 300) -> Windows:
    """Three numbers that go together; the last is rarely observed."""
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, 3))).astype(np.float32)
    observed = rng.random((n, 3)) < [1.0, 0.8, 0.2]
    return windows(np.where(observed, values, 0), observed)


def without_ranks() -> Ensemble:
    """A first guess whose quantiles are left as they were before calibration."""
    table = numbers()
    cells = table.values.numpy(), table.observed.numpy()
    model, _ = fit(config((0, 0, 0)), cells, fit_options(max_iter=0))
    model.ranks.copy_(torch.linspace(0, 1, 101).repeat(3, 1))
    return model


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    return without_ranks()


def held_out(table: Windows) -> HeldOut:
    """Cells of which the first guess has seen the windows, but bars none of them."""
    table = table.remember(torch.zeros(0, dtype=torch.long))
    return hold_out(table, 0.3, torch.Generator().manual_seed(1))


def test_calibrated_quantiles_are_those_of_the_held_out_cells_with_the_pooled_ones(monkeypatch):
    monkeypatch.setattr(calibration, "RANKED", 200)
    fitted, table = without_ranks(), held_out(numbers())
    calibrate(fitted, table, 300, Deadline())
    column, rank = [], []
    for part in hold_out_one_by_one(table, 200):
        values, visible, held = part.cells(torch.arange(300))
        with torch.no_grad():
            chances = fitted.distribution(values, visible)[0]
        for i, j in held[:, 0].nonzero().tolist():
            one = chances[i : i + 1, 0, j], values[i, :, j]
            rank.append(float(fitted.support.rank(torch.tensor([j]), *one, torch.zeros(1))))
            column.append(j)
    rank, column, levels = np.array(rank), np.array(column), np.linspace(0, 1, 101)
    beyond = [0, 1]  # one truth more below all, and one above
    pooled = np.quantile(np.append(rank, beyond), levels)
    for j in range(3):
        own = rank[column == j]
        share = len(own) / (len(own) + 100)
        wanted = share * np.quantile(np.append(own, beyond), levels) + (1 - share) * pooled
        np.testing.assert_allclose(fitted.ranks[j], wanted, atol=1e-4)
    assert 0 < (column == 2).sum() < 50 < 60 < (column == 0).sum()  # so that the shares differ


def test_cells_that_are_as_good_as_known_are_calibrated_apart_from_others():
    model, generator = without_ranks(), torch.Generator().manual_seed(0)
    n, levels = 4000, torch.linspace(0, 1, 101)
    own = torch.nn.functional.one_hot(torch.arange(n) % 3, 3).bool()
    sure = torch.arange(n) < n // 2
    rank = torch.rand(n, generator=generator)
    rank = torch.where(sure, 0.4 + 0.2 * rank, rank)  # these fall in the middle
    calibration._set_ranks(model, rank[:, None].expand(n, 3), own, sure)
    for table, wanted in ((model.ranks, levels), (model.sure_ranks, 0.4 + 0.2 * levels)):
        torch.testing.assert_close(table[:, 5:-5], wanted[5:-5].expand(3, -1), atol=0.05, rtol=0)
    chances = torch.full((2, 3, model.support.size), 1.0 / model.support.size)
    std = torch.tensor([[0.1], [0.5]]).expand(2, 3)
    low, high = model.interval(chances, torch.zeros(2, 3), std, 0.9)
    assert (high - low)[0].max() < 0.5 * (high - low)[1].min()
    calibration._set_ranks(model, rank[:, None].expand(n, 3), own, torch.arange(n) < 49)  # too few
    assert torch.equal(model.ranks, model.sure_ranks)


def test_windows_that_are_read_as_tables_have_the_same_ranks_for_sure_cells_and_others():
    model, n = without_ranks(), 900
    windows_of_three = SimpleNamespace(
        config=replace(model.config, n_steps=3),
        is_series=False,
        ranks=model.ranks,
        sure_ranks=model.sure_ranks,
    )
    own = torch.nn.functional.one_hot(torch.arange(n) % 3, 3).bool()
    rank = torch.linspace(0.4, 0.6, n)
    calibration._set_ranks(
        windows_of_three, rank[:, None].expand(n, 3), own, torch.arange(n) < n // 2
    )
    assert torch.equal(model.sure_ranks, model.ranks) and float(model.ranks[0, 50]) > 0.45
    assert float(model.ranks[0, 80]) < 0.6  # not as before calibration


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_calibrated_levels_of_few_cells_cover_just_what_they_say(coverage):
    """Of ranks that are uniform, as of truths with their own distribution: without a truth more at
    both ends fifty of them would cover 2 to 4 % less than they say.
    """
    generator = torch.Generator().manual_seed(0)
    held, covered = torch.ones(50, 1, dtype=torch.bool), []
    for _ in range(400):
        rank = torch.rand(50, 1, generator=generator)
        table = quantiles_by_column(rank, held, (0.0, 1.0))[0].numpy()
        low, high = np.interp(
            [(1 - coverage) / 2, (1 + coverage) / 2], np.linspace(0, 1, 101), table
        )
        covered.append(high - low)
    assert abs(np.mean(covered) - coverage) < 0.01


def test_shares_of_similar_rows_are_those_that_truths_were_drawn_with():
    support = Support((0, 0), 4)
    support.fit(torch.arange(8.0).view(4, 2), torch.ones(4, 2, dtype=torch.bool))
    generator = torch.Generator().manual_seed(0)
    n, true = 6000, torch.tensor([0.3, 0.7, 0.0, 0.0, 0.0])
    parts = torch.rand(n, 5, 4, generator=generator).pow(4)
    parts = parts / parts.sum(-1, keepdim=True)
    own = (torch.rand(n, generator=generator) < 0.7).long()
    bins = parts[torch.arange(n), own].multinomial(1, generator=generator)[:, 0]
    column = (torch.arange(n) < 20).long()  # the second has few cells
    truth = support.center[column, bins]
    found = calibration._shares(calibration._Cells(column, truth, truth, parts), support)
    assert (found[0] - true).abs().max() < 0.05
    assert found[1, 0] > 0.5  # and is left to what is predicted
    torch.testing.assert_close(found.sum(1), torch.ones(2))


def test_values_of_similar_rows_are_counted_as_loops_count_them(fitted):
    table = numbers(12)
    values, visible = table.take(slice(None))
    nearest = fitted.guess(values, visible, n_nearest=1).nearest
    index = nearest.place[0]  # its nearest row is barred
    with torch.no_grad():
        chances = fitted.predicted(values, visible, index)[0]
        again, found = fitted.with_values(values, visible, index)
        weight, place = fitted.guess(values, visible, index, n_nearest=32).nearest
    assert torch.equal(again[0], chances)
    memory, edges = fitted.guess.memory, fitted.support.edges.numpy()
    for head, i, j in itertools.product(range(4), range(12), range(3)):
        wanted = np.zeros(fitted.support.size)
        for k, w in zip(place[head, i].tolist(), weight[head, i].tolist(), strict=True):
            if memory.visible[k, j]:
                wanted[np.searchsorted(edges[j], float(memory.values[k, j]))] += w
        wanted = wanted / wanted.sum() if wanted.sum() > 1e-6 else chances[i, 0, j].numpy()
        np.testing.assert_allclose(found[head, i, 0, j], wanted, atol=1e-5)


def test_levels_between_two_calibrated_ones_are_interpolated(fitted):
    table = numbers(40)
    steps = np.linspace(0, 1, 101)
    ranks = np.stack([steps**2, np.sqrt(steps), steps])
    model = copy_of(fitted)
    model.ranks.copy_(torch.tensor(ranks))
    model.sure_ranks.copy_(model.ranks)
    level = 0.123456
    found = predict_quantiles(model, table, CPU, [level])[0]
    with torch.no_grad():
        chances = model.distribution(*table.take(slice(None)))[0]
    moved = [np.interp(level, steps, mine) for mine in ranks]
    wanted = model.support.quantile(
        chances[:, 0], torch.tensor(moved, dtype=torch.float32).expand(40, 3)
    )
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_row_that_does_not_see_itself_is_filled_by_the_blend_without_it(fitted):
    table = numbers(40)
    hidden = torch.tensor(np.random.default_rng(2).random((40, 3)) >= 0.6)
    visible = table.observed & ~hidden
    table = Windows(torch.where(visible, table.values, 0.0), visible, table.rows)
    torch.manual_seed(0)
    model = copy_of(fitted)
    model.members[0].head.data.normal_(0, 0.3)
    model.guess.stack_weights.fill_(0.2)
    places, cells = torch.arange(40)[:, None], table.take(slice(None))
    for weight in (0.0, 0.5):
        model.network_weight.fill_(weight)
        with torch.no_grad():
            guess = model.first_guess(*cells, places)
            point = model.predict(model.members[0].eval(), *cells, guess).point
        wanted = ((1 - weight) * guess.point + weight * point)[:, 0]
        found = predict(model, table, CPU, places.numpy())
        gaps = ~visible
        np.testing.assert_allclose(found[gaps], wanted[gaps], atol=1e-5)
        alone = predict(model, table, CPU)
        assert np.abs(alone - found)[gaps].max() > 1e-3


def test_a_point_is_read_as_a_normal_with_the_deviation_of_its_column():
    torch.manual_seed(0)
    table, model = numbers(), Ensemble(config((0, 0, 0), n_memory=16, loss="mse"))
    support = model.support
    support.fit(table.values, table.observed)
    std, point = np.array([0.3, 1.0, 2.0]), torch.randn(20, 1, 3)
    model.residual_std.copy_(torch.tensor(std))
    found = model.probabilities(Prediction(torch.zeros(20, 1, 3, 8), point))[:, 0]
    for j, edges in enumerate(support.edges.numpy()):
        ends = np.concatenate([[-np.inf], edges, [np.inf]])
        below = norm.cdf((ends - point[:, 0, j, None].numpy()) / np.hypot(std[j], 0.01))
        wanted = 0.95 * np.diff(below) + 0.05 * support.share[j].numpy()
        np.testing.assert_allclose(found[:, j], wanted, atol=1e-5)


def test_calibration_looks_at_one_batch_alone_when_the_time_has_passed(fitted, monkeypatch):
    monkeypatch.setattr(calibration, "RANKED", 1500)
    model, table, looked = copy_of(fitted), held_out(numbers(3000)), []
    model.guess.register_forward_pre_hook(lambda _, given: looked.append(len(given[0])))
    late = Deadline(-1.0, lambda: 0.0)
    calibrate(model, table, 3000, late)
    assert len(looked) == 1 and looked[0] < 2000
    calibrate(model, table, 3000, Deadline())
    assert sum(looked[1:]) >= 1500
