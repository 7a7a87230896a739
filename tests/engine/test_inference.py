"""Predictions over all windows: the same bits whatever stands beside a row, merged per row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from models import CPU, config, copy_of, fit, fit_options
from models import windows as windows_over

from maetab.engine.draws import N_ROUNDS, _rounds, draw
from maetab.engine.inference import (
    batch_rows,
    batches,
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert batch_rows(n_cells, CPU) == n_rows


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
    assert together > 0.6  # 0.93 in the 60 rows; four cells are drawn in four rounds


@pytest.mark.parametrize("n_missing", [1, 2, 4, 7, 12])
def test_no_round_of_draws_has_many_more_cells_of_a_row_than_another(n_missing):
    visible = torch.ones(50, 1, 12, dtype=torch.bool)
    visible[..., :n_missing] = False
    rank = torch.rand(50, 1, 12, generator=torch.Generator().manual_seed(0))
    found = _rounds(rank, visible)[..., :n_missing]
    size = torch.stack([(found == i).sum(2) for i in range(N_ROUNDS)])
    assert size.sum() == found.numel() and size.max() == -(-n_missing // N_ROUNDS)
    assert (size[: min(n_missing, N_ROUNDS)] > 0).all()  # the first ones: then drawing can end
    assert n_missing == 1 or (found != found[:1]).any()  # at random


def test_random_states_are_left_as_they_were(fitted):
    before = torch.get_rng_state()
    everything(fitted, table())
    draw(fitted, table(), CPU, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_calibration_moves_levels_of_numbers_only(fitted):
    fitted = copy_of(fitted)
    fitted.ranks.copy_(torch.linspace(0, 1, 101).square().repeat(4, 1))
    with torch.no_grad():
        parts = [x[:, 0] for x in fitted.predicted(*table().take(slice(None)))]
    for level, moved in ((0.5, 0.25), (0.3, 0.09), (0.0, 0.0), (1.0, 1.0)):
        found = fitted.quantile(*parts, torch.full((60, 4), level))
        wanted = torch.tensor([moved, level, moved, level]).expand(60, 4)
        torch.testing.assert_close(found, fitted.support.quantile(parts[0], wanted))


def test_calibration_of_series_scales_the_deviations_of_numbers_only(series):
    series = copy_of(series)
    table_ = torch.linspace(-1, 1, 101)[None] * torch.tensor([[1.0], [9.0], [3.0], [9.0]])
    series.residual_quantiles.copy_(table_)
    with torch.no_grad():
        parts = [x[:, 0] for x in series.predicted(*table(t=3).take(slice(None)))]
    levels = series.support.quantile(parts[0], torch.full((60, 4), 0.305))
    found = series.quantile(*parts, torch.full((60, 4), 0.305))
    for j, scale in ((0, 1.0), (2, 3.0)):
        wanted = parts[1][:, j] + (2 * 0.305 - 1) * scale * parts[2][:, j]
        torch.testing.assert_close(found[:, j], wanted)
    assert torch.equal(found[:, [1, 3]], levels[:, [1, 3]])


def test_the_model_comes_home_even_after_an_error(fitted):
    with pytest.raises(ZeroDivisionError), on_device(fitted, CPU):
        raise ZeroDivisionError
    assert {t.device.type for t in fitted.state_dict().values()} == {"cpu"}
