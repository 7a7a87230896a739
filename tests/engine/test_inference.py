from __future__ import annotations

import numpy as np
import pytest
import torch

from maetab.engine import apply as apply_module
from maetab.engine.apply import (
    batch_rows,
    batches,
    draw,
    on_device,
    predict,
    predict_probabilities,
    predict_quantiles,
)
from maetab.engine.fit import FitOptions, fit_model
from maetab.nn import guess as guess_module
from maetab.nn.backbones import BACKBONES
from maetab.nn.masking import Bernoulli
from maetab.nn.model import Ensemble, ModelConfig

CPU = torch.device("cpu")
LEVELS = (0, 3, 0, 2)


def windows(n: int = 60, t: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers 0 and 2 go together; category 1 follows from them, 3 from nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, t))
    y = x + 0.4 * rng.normal(size=(n, t))
    values = np.stack([x, (x > 0) + (x > 1), y, rng.integers(0, 2, (n, t))], -1)
    visible = rng.random(values.shape) < 0.7
    return np.where(visible, values, 0).astype(np.float32), visible


def a_model(t: int = 1, **changes) -> Ensemble:
    small = {"width": 16, "n_estimators": 1, "n_bins": 8, "n_pieces": 4, "dropout": 0.1}
    config = ModelConfig(LEVELS, n_steps=t, **(small | changes))
    options = FitOptions(masking=Bernoulli(0.3), max_iter=3, batch_size=16, learning_rate=0.02)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guess_module, "N_TUNING", 5)
        model, _ = fit_model(config, *windows(t=t), options)
    model.trust.fill_(0.7)  # however little was learned, the networks are heard
    return model


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    return a_model()


def everything(model, values, visible) -> list[np.ndarray]:
    """All that is deterministic, rows first."""
    return [
        predict(model, values, visible, CPU),
        predict_probabilities(model, values, visible, CPU, columns=[1, 3, 0]),
        *predict_quantiles(model, values, visible, CPU, levels=[0.05, 0.5, 0.95]),
    ]


def assert_same_bits(mine: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for one, other in zip(mine, theirs, strict=True):
        assert one.dtype == np.float32 and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_row_says_the_same_bit_for_bit_whatever_stands_beside_it(backbone, t):
    model, (values, visible) = a_model(t, backbone=backbone), windows(700, t, seed=1)
    said = everything(model, values, visible)
    order = np.random.default_rng(0).permutation(700)
    shuffled = everything(model, values[order], visible[order])
    assert_same_bits([x[order] for x in said], shuffled)
    for rows in (slice(3, 4), slice(0, 13), slice(600, 700)):
        some = everything(model, values[rows], visible[rows])
        assert_same_bits([x[rows] for x in said], some)


def assert_places_do_not_matter(model, values, visible) -> None:
    columns = list(range(values.shape[2]))
    whole = predict_probabilities(model, values, visible, CPU, columns=columns)
    for moved in (1, 2, 3, 4, 9):
        there = [np.roll(x, moved, axis=0) for x in (values, visible)]
        again = predict_probabilities(model, *there, CPU, columns=columns)
        assert_same_bits([np.roll(whole, moved, axis=0)], [again])


# Matrix products with few columns take other kernels at other places of the batch.
@pytest.mark.parametrize("n_rows", range(2, 14))
@pytest.mark.parametrize("n_columns", [2, 3, 5])
def test_rows_of_a_model_fitted_on_few_rows_do_not_depend_on_their_place(n_rows, n_columns):
    rng = np.random.default_rng(n_rows)
    values = rng.normal(size=(40, 1, n_columns)).astype(np.float32)
    visible = rng.random(values.shape) < 0.6
    config = ModelConfig((0,) * n_columns, width=16, n_estimators=1, n_bins=8, n_pieces=4)
    options = FitOptions(masking=Bernoulli(0.3), max_iter=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guess_module, "N_TUNING", 5)
        model, _ = fit_model(config, values[:n_rows], visible[:n_rows], options)
    assert_places_do_not_matter(model, values, visible)


@pytest.mark.parametrize("n_levels", range(2, 14))
def test_rows_of_categories_do_not_depend_on_their_place(n_levels):
    rng = np.random.default_rng(n_levels)
    values = rng.integers(0, n_levels, (60, 1, 3)).astype(np.float32)
    values[..., 2] %= 2
    visible = rng.random(values.shape) < 0.6
    config = ModelConfig((n_levels, n_levels, 2), width=16, n_estimators=1, n_pieces=4)
    options = FitOptions(masking=Bernoulli(0.3), max_iter=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guess_module, "N_TUNING", 5)
        model, _ = fit_model(config, values, visible, options)
    model.members[0].head.data.normal_(generator=torch.Generator().manual_seed(0))
    model.trust.fill_(0.7)
    assert_places_do_not_matter(model, values, visible)


@pytest.mark.parametrize("poison", [1e6, np.nan, -np.inf])
def test_no_output_changes_by_a_bit_when_a_hidden_cell_does(fitted, poison):
    values, visible = windows(seed=2)
    spoiled = np.where(visible, values, np.float32(poison))
    said = everything(fitted, values, visible)
    assert_same_bits(said, everything(fitted, spoiled, visible))
    drawn, again = (draw(fitted, v, visible, CPU, seed=0) for v in (values, spoiled))
    assert_same_bits([drawn], [again])


def test_batches_are_of_one_shape_and_hold_every_row_once():
    values, visible = windows(1300)
    given = list(batches(values, visible, CPU))
    assert {x.shape for _, x, _ in given} == {(512, 1, 4)}
    assert sum(rows.stop - rows.start for rows, _, _ in given) == 1300
    assert not given[-1][2][1300 - 1024 :].any()
    back = torch.cat([x[: rows.stop - rows.start] for rows, x, _ in given])
    assert np.array_equal(back.numpy(), values)


@pytest.mark.parametrize(
    ("n_cells", "n_rows"), [(1, 512), (16, 512), (17, 480), (9000, 8), (0, 512)]
)
def test_batches_have_a_multiple_of_eight_rows(n_cells, n_rows):
    assert batch_rows(n_cells) == n_rows


def test_results_are_those_of_the_model_itself(fitted):
    values, visible = windows(seed=3)
    probabilities, point = fitted(torch.tensor(values), torch.tensor(visible))
    said = everything(fitted, values, visible)
    np.testing.assert_allclose(said[0], point.detach(), atol=1e-5)
    np.testing.assert_allclose(said[1], probabilities[:, :, [1, 3, 0]].detach(), atol=1e-5)


def test_no_rows_give_no_results(fitted):
    values, visible = windows(0)
    said = everything(fitted, values, visible)
    assert [len(x) for x in said] == [0] * 5
    assert draw(fitted, values, visible, CPU, seed=0).shape == (0, 1, 4)


def test_quantiles_rise_with_their_level(fitted):
    values, visible = windows(seed=4)
    found = predict_quantiles(fitted, values, visible, CPU, levels=list(np.linspace(0, 1, 21)))
    numbers = found[..., [0, 2]]
    assert (np.diff(numbers, axis=0) >= -1e-5).all()


def test_draws_keep_what_is_visible_and_repeat_with_the_seed(fitted):
    values, visible = windows(seed=5)
    before = values.copy()
    one, again, other = (draw(fitted, values, visible, CPU, seed=s) for s in (1, 1, 2))
    assert_same_bits([one], [again])
    assert np.array_equal(one[visible], values[visible]) and np.array_equal(values, before)
    assert (one != other)[~visible].any()
    assert set(np.unique(one[..., 1])) <= {0.0, 1.0, 2.0}


def test_draws_are_spread_as_the_probabilities_say(fitted):
    values, visible = windows(1, seed=6)
    values, visible = np.repeat(values, 4000, 0), np.repeat(visible, 4000, 0)
    visible[:], visible[..., 0], values[..., 0] = True, True, 0.3
    visible[..., 1] = False
    chance = predict_probabilities(fitted, values[:1], visible[:1], CPU, columns=[1])[0, 0, 0]
    drawn = draw(fitted, values, visible, CPU, seed=0)[:, 0, 1]
    share = np.bincount(drawn.astype(int), minlength=len(chance)) / 4000
    np.testing.assert_allclose(share, chance, atol=0.04)


def test_draws_of_one_row_keep_the_dependence_between_cells(fitted):
    values, visible = np.zeros((2000, 1, 4), np.float32), np.zeros((2000, 1, 4), bool)
    drawn = draw(fitted, values, visible, CPU, seed=0)[:, 0]
    together = np.corrcoef(drawn[:, 0], drawn[:, 2])[0, 1]
    assert together > 0.4  # 0.93 in the data; a quarter of the pairs are drawn in one round


def test_random_states_are_left_as_they_were(fitted):
    before = torch.get_rng_state()
    values, visible = windows()
    everything(fitted, values, visible)
    draw(fitted, values, visible, CPU, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_calibration_moves_levels_of_numbers_only(fitted):
    fitted = Ensemble(fitted.config)
    fitted.ranks.copy_(torch.linspace(0, 1, 101).square().repeat(4, 1))
    moved = apply_module._calibrated(fitted, torch.full((1, 4), 0.5))
    torch.testing.assert_close(moved, torch.tensor([[0.25, 0.5, 0.25, 0.5]]))
    ends = apply_module._calibrated(fitted, torch.tensor([[0.0] * 4, [1.0] * 4]))
    torch.testing.assert_close(ends, torch.tensor([[0.0] * 4, [1.0] * 4]))


def test_the_model_comes_home_even_after_an_error(fitted):
    with pytest.raises(ZeroDivisionError), on_device(fitted, CPU):
        raise ZeroDivisionError
    assert {t.device.type for t in fitted.state_dict().values()} == {"cpu"}
