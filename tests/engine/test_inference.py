"""Predictions over all windows: the same bits whatever stands beside a row, merged per row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from models import CPU, config, copy_of, fit, fit_options
from models import windows as windows_over

from maetab.engine import inference
from maetab.engine.inference import (
    batch_rows,
    batches,
    draw,
    on_device,
    predict,
    predict_probabilities,
    predict_quantiles,
    windows_of,
)
from maetab.nn.backbones import BACKBONES
from maetab.nn.ensemble import Ensemble
from maetab.nn.windows import Windows


def cells(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers 0 and 2 go together; category 1 follows from them, 3 from nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = x + 0.4 * rng.normal(size=n)
    values = np.stack([x, (x > 0) + (x > 1), y, rng.integers(0, 2, n)], -1)
    visible = rng.random(values.shape) < 0.7
    return np.where(visible, values, 0).astype(np.float32), visible


def table(n: int = 60, t: int = 1, seed: int = 0) -> Windows:
    """Return n windows of t steps, one behind the other."""
    return windows_over(*cells(n * t, seed), t, t)


def some_of(windows: Windows, chosen) -> Windows:
    """Return some windows of a table, with the rows they have there."""
    return replace(windows, rows=torch.tensor(windows.rows.numpy()[chosen]))


def apart(windows: Windows, chosen) -> Windows:
    """Return some windows as a table of their own, whose rows are counted anew."""
    rows = torch.tensor(windows.rows.numpy()[chosen])
    values, visible = (x[rows.flatten()].numpy() for x in (windows.values, windows.observed))
    return windows_of(values, visible, np.arange(rows.numel()).reshape(rows.shape))


def a_model(t: int = 1, **changes) -> Ensemble:
    small = config(n_steps=t, **({"width": 16, "n_heads": 4, "dropout": 0.1} | changes))
    options = fit_options(max_iter=3, batch_size=16, learning_rate=0.02)
    model, _ = fit(small, cells(60 * t), options)
    model.network_weight.fill_(0.7)  # however little was learned, the networks are heard
    return model


def first_guess_alone(n_levels, values, visible) -> Ensemble:
    return fit(config(n_levels, width=16, n_heads=4), (values, visible), fit_options(max_iter=0))[0]


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    return a_model()


@pytest.fixture(scope="module")
def series() -> Ensemble:
    """A model of windows of three steps."""
    return a_model(3)


def everything(model, windows) -> list[np.ndarray]:
    """All that is deterministic, rows first."""
    return [
        predict(model, windows, CPU),
        predict_probabilities(model, windows, CPU, columns=[1, 3, 0]),
        *predict_quantiles(model, windows, CPU, levels=[0.05, 0.5, 0.95]),
    ]


def assert_same_bits(mine: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for one, other in zip(mine, theirs, strict=True):
        assert one.dtype == np.float32 and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_row_gets_the_same_bit_for_bit_whatever_stands_beside_it(backbone, t):
    model, windows = a_model(t, backbone=backbone), table(700, t, seed=1)
    whole = everything(model, windows)
    order = np.random.default_rng(0).permutation(700)
    for chosen in (order, slice(3, 4), slice(0, 13), slice(600, 700)):
        rows = windows.rows.numpy()[chosen].ravel()
        assert_same_bits([x[rows] for x in whole], everything(model, apart(windows, chosen)))
        again = everything(model, some_of(windows, chosen))
        assert_same_bits([x[rows] for x in whole], [x[rows] for x in again])


@pytest.mark.parametrize("kind", BACKBONES)
def test_rows_in_many_overlapping_windows_do_not_depend_on_the_batches(kind):
    model, windows = a_model(3, backbone=kind), windows_over(*cells(1500, seed=1), 3)
    whole = everything(model, windows)
    for start in (1, 200, 511, 900):
        some = everything(model, some_of(windows, slice(start, start + 400)))
        inner = slice(start + 2, start + 400)  # rows whose every window is among them
        assert_same_bits([x[inner] for x in whole], [x[inner] for x in some])


def assert_places_do_not_matter(model, values, visible) -> None:
    columns = list(range(values.shape[1]))
    whole = predict_probabilities(model, windows_over(values, visible), CPU, columns)
    for moved in (1, 2, 3, 4, 9):
        turned = windows_over(*(np.roll(x, moved, axis=0) for x in (values, visible)))
        again = predict_probabilities(model, turned, CPU, columns)
        assert_same_bits([np.roll(whole, moved, axis=0)], [again])


# Matrix products with few columns take other kernels at other places of the batch.
@pytest.mark.parametrize("n_rows", range(2, 14))
@pytest.mark.parametrize("n_columns", [2, 3, 5])
def test_rows_of_a_model_fitted_on_few_rows_do_not_depend_on_their_place(n_rows, n_columns):
    rng = np.random.default_rng(n_rows)
    values = rng.normal(size=(40, n_columns)).astype(np.float32)
    visible = rng.random(values.shape) < 0.6
    model = first_guess_alone((0,) * n_columns, values[:n_rows], visible[:n_rows])
    assert_places_do_not_matter(model, values, visible)


@pytest.mark.parametrize("n_levels", range(2, 14))
def test_rows_of_categories_do_not_depend_on_their_place(n_levels):
    rng = np.random.default_rng(n_levels)
    values = rng.integers(0, n_levels, (60, 3)).astype(np.float32)
    values[:, 2] %= 2
    visible = rng.random(values.shape) < 0.6
    model = first_guess_alone((n_levels, n_levels, 2), values, visible)
    model.members[0].head.data.normal_(generator=torch.Generator().manual_seed(0))
    model.network_weight.fill_(0.7)
    assert_places_do_not_matter(model, values, visible)


@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("poison", [1e6, np.nan, -np.inf])
def test_no_output_changes_by_a_bit_when_a_hidden_cell_does(fitted, series, poison, t):
    model, (values, visible) = (fitted if t == 1 else series), cells(seed=2)
    windows = windows_over(values, visible, t)
    spoiled = torch.where(windows.observed, windows.values, poison)
    given = [
        windows_over(np.where(visible, values, np.float32(poison)), visible, t),
        replace(windows, values=spoiled),  # not cleaned on the way in
    ]
    whole, drawn = everything(model, windows), draw(model, windows, CPU, seed=0)
    for dirty in given:
        assert_same_bits(whole, everything(model, dirty))
        assert_same_bits([drawn], [draw(model, dirty, CPU, seed=0)])


def test_batches_are_of_one_shape_and_hold_every_window_once():
    windows = table(1300, 2)
    given = list(batches(windows, CPU, 512))
    assert {x.shape for _, x, _ in given} == {(512, 2, 4)}
    assert sum(found.stop - found.start for found, _, _ in given) == 1300
    assert not given[-1][2][1300 - 1024 :].any()
    back = torch.cat([x[: found.stop - found.start] for found, x, _ in given])
    assert torch.equal(back.flatten(0, 1), windows.values)


@pytest.mark.parametrize(
    ("n_cells", "n_rows"), [(1, 512), (16, 512), (17, 480), (9000, 8), (0, 512)]
)
def test_batches_have_a_multiple_of_eight_rows(n_cells, n_rows):
    assert batch_rows(n_cells) == n_rows


def test_results_are_those_of_the_model_itself(fitted):
    windows = table(seed=3)
    probabilities, point = (x.detach()[:, 0] for x in fitted(*windows.take(slice(None))))
    found = everything(fitted, windows)
    np.testing.assert_allclose(found[0], point, atol=1e-5)
    np.testing.assert_allclose(found[1], probabilities[:, [1, 3, 0]], atol=1e-5)


def test_no_rows_give_no_results(fitted):
    windows = table(0)
    assert [len(x) for x in everything(fitted, windows)] == [0] * 5
    assert draw(fitted, windows, CPU, seed=0).shape == (0, 4)


@pytest.mark.parametrize("t", [1, 3])
def test_quantiles_rise_with_their_level(fitted, series, t):
    windows = windows_over(*cells(seed=4), t)
    levels = list(np.linspace(0, 1, 21))
    found = predict_quantiles(fitted if t == 1 else series, windows, CPU, levels=levels)
    assert (np.diff(found[..., [0, 2]], axis=0) >= -1e-5).all()


@pytest.mark.parametrize("t", [1, 3])
def test_draws_keep_what_is_visible_and_repeat_with_the_seed(fitted, series, t):
    values, visible = cells(seed=5)
    windows = windows_over(values, visible, t)
    before, model = windows.values.clone(), fitted if t == 1 else series
    one, again, other = (draw(model, windows, CPU, seed=s) for s in (1, 1, 2))
    assert_same_bits([one], [again])
    assert np.array_equal(one[visible], values[visible]) and torch.equal(windows.values, before)
    assert (one != other)[~visible].any()
    assert set(np.unique(one[:, 1])) <= {0.0, 1.0, 2.0}


def test_draws_are_spread_as_the_probabilities_say(fitted):
    values, visible = np.zeros((4000, 4), np.float32), np.ones((4000, 4), bool)
    values[:] = cells(1, seed=6)[0]
    values[:, 0], visible[:, 1] = 0.3, False
    one = windows_over(values[:1], visible[:1])
    chance = predict_probabilities(fitted, one, CPU, columns=[1])[0, 0]
    drawn = draw(fitted, windows_over(values, visible), CPU, seed=0)[:, 1]
    share = np.bincount(drawn.astype(int), minlength=len(chance)) / 4000
    np.testing.assert_allclose(share, chance, atol=0.04)


def test_draws_of_one_row_keep_the_dependence_between_cells(fitted):
    nothing = windows_over(np.zeros((2000, 4)), np.zeros((2000, 4), bool))
    drawn = draw(fitted, nothing, CPU, seed=0)
    together = np.corrcoef(drawn[:, 0], drawn[:, 2])[0, 1]
    assert together > 0.4  # 0.93 in the data; a quarter of the pairs are drawn in one round


def test_random_states_are_left_as_they_were(fitted):
    before = torch.get_rng_state()
    everything(fitted, table())
    draw(fitted, table(), CPU, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_calibration_moves_levels_of_numbers_only(fitted):
    fitted = Ensemble(fitted.config)
    fitted.ranks.copy_(torch.linspace(0, 1, 101).square().repeat(4, 1))
    moved = inference._calibrated(fitted, torch.full((1, 4), 0.5))
    torch.testing.assert_close(moved, torch.tensor([[0.25, 0.5, 0.25, 0.5]]))
    ends = inference._calibrated(fitted, torch.tensor([[0.0] * 4, [1.0] * 4]))
    torch.testing.assert_close(ends, torch.tensor([[0.0] * 4, [1.0] * 4]))


def test_the_model_comes_home_even_after_an_error(fitted):
    with pytest.raises(ZeroDivisionError), on_device(fitted, CPU):
        raise ZeroDivisionError
    assert {t.device.type for t in fitted.state_dict().values()} == {"cpu"}


# ---- rows that several windows hold


def decided(columns: tuple[int, ...] = (0,)) -> Ensemble:
    """A model of windows of two steps that predicts level 0 at the first, level 2 at the second."""
    torch.manual_seed(0)
    model = Ensemble(config((3,), n_steps=2, n_memory=16))
    model.support.share[0, :3] = torch.tensor([0.3, 0.3, 0.4])
    base = model.guess.base
    base.location.copy_(torch.tensor([0.8, 0.1, 0.1, 0.05, 0.05, 0.9]))
    return model.eval()


def test_levels_0_and_2_are_merged_as_probabilities_and_never_to_1():
    nothing = windows_over(np.zeros((4, 1)), np.zeros((4, 1), bool), 2)
    model = decided()
    chances = predict_probabilities(model, nothing, CPU, [0])[:, 0, :3]
    apart_ = model(*nothing.take(slice(0, 1)))[0][0, :, 0, :3].detach().numpy()
    first, second = apart_
    assert first.argmax() == 0 and second.argmax() == 2
    wanted = np.stack([first, (first + second) / 2, (first + second) / 2, second])
    np.testing.assert_allclose(chances, wanted, atol=1e-6)
    np.testing.assert_array_equal(predict(model, nothing, CPU)[:, 0], [0, 2, 2, 2])
    for level in np.linspace(0.05, 0.95, 7):
        found = predict_quantiles(model, nothing, CPU, [level])[0, :, 0]
        np.testing.assert_array_equal(found, (level > chances.cumsum(1)[:, :2]).sum(1))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_merged_rows_are_the_means_over_their_windows_computed_by_hand(series, stride):
    windows = windows_over(*cells(100, seed=7), 3, stride)
    with torch.no_grad():
        chances, points = series(*windows.take(slice(None)))
    rows, chances, points = windows.rows.numpy(), chances.numpy(), points.numpy()
    found = predict(series, windows, CPU)
    probabilities = predict_probabilities(series, windows, CPU, [0, 1, 2, 3])
    levels = [0.1, 0.5]
    quantiles = predict_quantiles(series, windows, CPU, levels)
    for row in range(100):
        held = rows == row
        assert 1 <= held.sum() <= 3
        chance, point = chances[held].mean(0), points[held].mean(0)
        point[[1, 3]] = chance[[1, 3]].argmax(1)
        np.testing.assert_allclose(probabilities[row], chance, atol=1e-5)
        np.testing.assert_allclose(found[row], point, atol=1e-4)
        for i, level in enumerate(levels):
            moved = inference._calibrated(series, torch.full((1, 4), level))
            wanted = series.support.quantile(torch.tensor(chance)[None], moved)[0]
            numbers = [0, 2]  # a level next to the share of another may go either way
            np.testing.assert_allclose(quantiles[i, row, numbers], wanted[numbers], atol=1e-3)


def test_rows_in_no_window_give_zeros_and_those_in_one_its_prediction(series):
    windows = windows_over(*cells(40, seed=8), 3, 3)
    some = some_of(windows, [2, 5])
    found = predict(series, some, CPU)
    inside = np.isin(np.arange(40), some.rows.flatten())
    assert (found[~inside] == 0).all()
    np.testing.assert_array_equal(found[inside], predict(series, windows, CPU)[inside])


def test_draws_of_rows_in_several_windows_keep_the_variance():
    """Two steps that nothing is known of: means of two draws would vary half as much."""
    values = np.random.default_rng(0).normal(size=(400, 1)).astype(np.float32)
    observed = np.ones((400, 1), bool)
    model, _ = fit(config((0,), n_steps=4), (values, observed), fit_options(max_iter=0))
    nothing = windows_over(np.zeros((3000, 1)), np.zeros((3000, 1), bool), 4)
    drawn = draw(model, nothing, CPU, seed=0)
    assert drawn.var() > 0.85 * values.var()


def test_a_draw_is_that_of_the_first_window_which_holds_the_row(series):
    windows = windows_over(*cells(30, seed=9), 3)
    whole, first = draw(series, windows, CPU, seed=4), windows.rows.numpy()
    for row in range(30):
        window = np.flatnonzero((first == row).any(1))[0]
        alone = draw(series, some_of(windows, slice(window, window + 1)), CPU, seed=4)
        assert alone[row].tobytes() == whole[row].tobytes()


@pytest.mark.parametrize("t", [1, 3])
def test_draws_belong_to_the_physical_row(fitted, series, t):
    model, windows = (fitted if t == 1 else series), table(600, t, seed=10)
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
