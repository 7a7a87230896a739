"""Rows that several windows hold: distributions are merged, draws are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from models import CPU, config, copy_of, fit, fit_options
from models import windows as windows_over
from test_inference import (
    a_model,
    apart,
    assert_same_bits,
    cells,
    everything,
    some_of,
    table,
)

from maetab.engine.draws import draw
from maetab.engine.inference import (
    predict,
    predict_probabilities,
    predict_quantiles,
    windows_of,
)
from maetab.nn.ensemble import Ensemble


@pytest.fixture(scope="module")
def series() -> Ensemble:
    """A model of windows of three steps."""
    return a_model(3)


def decided() -> Ensemble:
    """A model of windows of two steps that predicts level 0 at the first, level 2 at the second."""
    torch.manual_seed(0)
    model = Ensemble(config((3,), n_steps=2, n_memory=16))
    model.support.share[0, :3] = torch.tensor([0.3, 0.3, 0.4])
    for gaussian in model.guess.gaussians[0]:
        gaussian.location.copy_(torch.tensor([0.8, 0.1, 0.1, 0.05, 0.05, 0.9]))
    model.guess.usual[:, 0] = 1e9  # interpolation, between nothing, has no weight
    return model.eval()


def test_levels_0_and_2_are_merged_as_probabilities_and_never_to_1():
    nothing = windows_over(np.zeros((4, 1)), np.zeros((4, 1), bool), 2)
    model = decided()
    chances = predict_probabilities(model, nothing, CPU, [0])[:, 0, :3]
    alone = model(*nothing.take(slice(0, 1)))[0][0, :, 0, :3].detach().numpy()
    guessed, share = np.array([[0.8, 0.1, 0.1], [0.05, 0.05, 0.9]]), [0.3, 0.3, 0.4]
    np.testing.assert_allclose(alone, 0.9 * guessed + 0.1 * np.array(share), atol=1e-3)
    first, second = alone
    assert first.argmax() == 0 and second.argmax() == 2
    wanted = np.stack([first, (first + second) / 2, (first + second) / 2, second])
    np.testing.assert_allclose(chances, wanted, atol=1e-6)
    np.testing.assert_array_equal(predict(model, nothing, CPU)[:, 0], [0, 2, 2, 2])
    for level in np.linspace(0.05, 0.95, 7):
        found = predict_quantiles(model, nothing, CPU, [level])[0, :, 0]
        np.testing.assert_array_equal(found, (level > chances.cumsum(1)[:, :2]).sum(1))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_merged_rows_are_means_over_their_windows_in_which_the_middle_counts_twice(series, stride):
    windows = windows_over(*cells(100, seed=7), 3, stride)
    with torch.no_grad():
        predicted = series.predicted(*windows.take(slice(None)))
    chances, points, stds = (x.numpy() for x in predicted)
    rows, counts = windows.rows.numpy(), np.tile([1, 2, 1], (len(windows), 1))
    found = predict(series, windows, CPU)
    probabilities = predict_probabilities(series, windows, CPU, [0, 1, 2, 3])
    levels = [0.1, 0.5]
    quantiles = predict_quantiles(series, windows, CPU, levels)
    for row in range(100):
        held = rows == row
        assert 1 <= held.sum() <= 3
        chance = np.average(chances[held], axis=0, weights=counts[held])
        sure = counts[held][:, None] / stds[held].clip(1e-3)  # the less sure, the less it counts
        point, std = ((x[held] * sure).sum(0) / sure.sum(0) for x in (points, stds))
        point[[1, 3]] = chance[[1, 3]].argmax(1)
        np.testing.assert_allclose(probabilities[row], chance, atol=1e-5)
        np.testing.assert_allclose(found[row], point, atol=1e-4)
        for i, level in enumerate(levels):
            for j in (0, 2):  # a level next to the share of another may go either way
                known = series.residual_quantiles[j].numpy()
                wanted = point[j] + std[j] * np.interp(level, np.linspace(0, 1, 101), known)
                np.testing.assert_allclose(quantiles[i, row, j], wanted, atol=1e-4)


def test_rows_in_no_window_give_zeros_and_those_in_one_its_prediction(series):
    windows = windows_over(*cells(40, seed=8), 3, 3)
    some = some_of(windows, [2, 5])
    found = predict(series, some, CPU)
    inside = np.isin(np.arange(40), some.rows.flatten())
    assert (found[~inside] == 0).all()
    np.testing.assert_array_equal(found[inside], predict(series, windows, CPU)[inside])


@pytest.mark.slow
def test_draws_of_rows_in_several_windows_keep_the_variance():
    """Two steps that nothing is known of: means of two draws would vary half as much."""
    values = np.random.default_rng(0).normal(size=(400, 1)).astype(np.float32)
    observed = np.ones((400, 1), bool)
    model, _ = fit(config((0,), n_steps=4), (values, observed), fit_options(max_iter=0))
    nothing = windows_over(np.zeros((1500, 1)), np.zeros((1500, 1), bool), 4)
    drawn = draw(model, nothing, CPU, seed=0)
    assert drawn.var() > 0.85 * values.var()


@pytest.mark.slow
def test_a_draw_is_that_of_the_first_window_which_holds_the_row(series):
    """Which sees what the windows before it drew, and nothing of those behind it."""
    windows = windows_over(*cells(30, seed=9), 3)
    whole, first = draw(series, windows, CPU, seed=4), windows.rows.numpy()
    for row in range(30):
        window = np.flatnonzero((first == row).any(1))[0]
        before = draw(series, some_of(windows, slice(0, window + 1)), CPU, seed=4)
        assert before[row].tobytes() == whole[row].tobytes()
        own = first[window]
        given = np.where(np.isin(own, first[:window]), own, -1)  # drawn before
        known = replace(windows, values=torch.tensor(whole), observed=windows.observed.clone())
        known.observed[given[given >= 0]] = True
        again = draw(series, some_of(known, slice(window, window + 1)), CPU, seed=4)
        assert again[row].tobytes() == whole[row].tobytes()


@pytest.mark.parametrize("t", [1, 3])
def test_draws_belong_to_the_physical_row(series, t):
    model, windows = (a_model() if t == 1 else series), table(600, t, seed=10)
    whole = draw(model, windows, CPU, seed=3)
    order = np.random.default_rng(0).permutation(600)
    doubled = np.concatenate([order, order[:100]])
    for chosen in (order, slice(3, 4), slice(100, 590, 7), doubled):
        some = some_of(windows, chosen)
        rows = np.unique(some.rows)
        assert draw(model, some, CPU, seed=3)[rows].tobytes() == whole[rows].tobytes()
    late = slice(300, 600)
    moved = draw(model, apart(windows, late), CPU, seed=3)
    rows = windows.rows[late].flatten()
    gaps = ~windows.observed[rows].numpy()
    assert (moved != whole[rows])[gaps].any()  # they are of other rows' numbers


@pytest.mark.parametrize("short", [1, 2, 4, 5])
def test_steps_behind_the_end_of_a_series_change_no_other_row(series, short):
    values, visible = cells(60, seed=11)
    whole = windows_over(values, visible, 3, 3)
    end = np.full((1, 3), -1)
    end[0, : short % 3] = np.arange(60, 60 + short % 3)
    more = [np.concatenate([x, x[:short]]) for x in (values, visible)]
    longer = windows_of(*more, np.concatenate([whole.rows.numpy(), end]))
    mine, theirs = everything(series, whole), everything(series, longer)
    assert_same_bits(mine, [x[:60] for x in theirs])
    assert draw(series, longer, CPU, 0)[:60].tobytes() == draw(series, whole, CPU, 0).tobytes()


def test_copies_predict_the_same(series):
    windows = windows_over(*cells(20), 3)
    assert_same_bits(everything(series, windows), everything(copy_of(series), windows))
