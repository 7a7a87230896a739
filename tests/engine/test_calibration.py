"""Calibrated levels and ranks, compared with NumPy's quantiles and interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from maetab.engine.apply import predict, predict_quantiles
from maetab.engine.calibration import Cells, calibrate, hold_out
from maetab.engine.fit import FitOptions, fit_model
from maetab.engine.runtime import Deadline
from maetab.nn import guess as guess_module
from maetab.nn.masking import Bernoulli
from maetab.nn.model import Ensemble, ModelConfig, Prediction

CPU = torch.device("cpu")


def numbers(n: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    """Three numbers that go together, in windows of one step; the last is rarely observed."""
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, 3))).astype(np.float32)
    observed = rng.random((n, 3)) < [1.0, 0.8, 0.2]
    return torch.tensor(np.where(observed, values, 0))[:, None], torch.tensor(observed)[:, None]


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    """A first guess whose ranks are left as they were before calibration."""
    values, observed = (x.numpy() for x in numbers())
    config = ModelConfig((0, 0, 0), width=8, n_bins=8, n_pieces=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guess_module, "N_TUNING", 5)
        model, _ = fit_model(config, values, observed, FitOptions(Bernoulli(0.3), max_iter=0))
    model.ranks.copy_(torch.linspace(0, 1, 101).repeat(3, 1))
    return model


def test_calibrated_ranks_are_quantiles_of_the_held_out_cells_with_the_pooled_ones(fitted):
    values, observed = numbers()
    held = hold_out(observed, 0.3, torch.Generator().manual_seed(1))
    table = Cells(values, observed, held, torch.full((300,), -1))
    calibrate(fitted, table, 300, Deadline())
    with torch.no_grad():
        chances, _ = fitted(values, observed & ~held)
        rank = fitted.prior.support.rank(chances[:, 0], values[:, 0]).numpy()
    held, levels = held[:, 0].numpy(), np.linspace(0, 1, 101)
    pooled = np.quantile(rank[held], levels)
    for j in range(3):
        own = rank[held[:, j], j]
        share = len(own) / (len(own) + 100)
        wanted = share * np.quantile(own, levels) + (1 - share) * pooled
        np.testing.assert_allclose(fitted.ranks[j], wanted, atol=1e-5)
    assert held[:, 2].sum() < 30 < 50 < held[:, 0].sum()  # so that the shares differ


def test_levels_between_two_calibrated_ones_are_interpolated(fitted):
    values, observed = (x.numpy() for x in numbers(40))
    steps = np.linspace(0, 1, 101)
    ranks = np.stack([steps**2, np.sqrt(steps), steps])
    model = Ensemble(fitted.config)
    model.load_state_dict(fitted.state_dict())
    model.ranks.copy_(torch.tensor(ranks))
    level = 0.123456
    found = predict_quantiles(model, values, observed, CPU, [level])[0, :, 0]
    with torch.no_grad():
        chances, _ = model(torch.tensor(values), torch.tensor(observed))
    moved = [np.interp(level, steps, mine) for mine in ranks]
    wanted = model.prior.support.quantile(
        chances[:, 0], torch.tensor(moved, dtype=torch.float32).expand(40, 3)
    )
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_row_that_does_not_see_itself_is_filled_by_the_blend_without_it(fitted):
    values, observed = (x.numpy() for x in numbers(40))
    visible = observed & (np.random.default_rng(2).random(observed.shape) < 0.6)
    torch.manual_seed(0)
    model = Ensemble(fitted.config)
    model.load_state_dict(fitted.state_dict())
    model.members[0].head.data.normal_(0, 0.3)
    places = np.arange(40)
    for trust in (0.0, 0.5):
        model.trust.fill_(trust)
        with torch.no_grad():
            cells = torch.tensor(values), torch.tensor(visible)
            guess, _ = model.prior(cells[0][:, 0], cells[1][:, 0], torch.tensor(places))
            said = model.members[0].eval()(*cells, (guess, _)).point[:, 0]
        wanted = (1 - trust) * model.prior.point(guess) + trust * said
        found = predict(model, values, visible, CPU, places)[:, 0]
        hidden = ~visible[:, 0]
        np.testing.assert_allclose(found[hidden], wanted[hidden], atol=1e-5)
        alone = predict(model, values, visible, CPU)[:, 0]
        assert np.abs(alone - found)[hidden].max() > 1e-3


def test_a_point_is_read_as_a_normal_with_the_deviation_of_its_column():
    torch.manual_seed(0)
    values, observed = numbers()
    model = Ensemble(ModelConfig((0, 0, 0), width=8, n_bins=8, n_pieces=4, loss="mse"))
    support = model.prior.support
    support.fit(values[:, 0], observed[:, 0])
    spread, point = np.array([0.3, 1.0, 2.0]), torch.randn(20, 1, 3)
    model.spread.copy_(torch.tensor(spread))
    said = Prediction(torch.zeros(20, 1, 3, 8), point)
    found = model.probabilities(said)[:, 0]
    for j, edges in enumerate(support.edges.numpy()):
        ends = np.concatenate([[-np.inf], edges, [np.inf]])
        below = norm.cdf((ends - point[:, 0, j, None].numpy()) / np.hypot(spread[j], 0.01))
        wanted = 0.95 * np.diff(below) + 0.05 * support.share[j].numpy()
        np.testing.assert_allclose(found[:, j], wanted, atol=1e-5)


def test_calibration_looks_at_one_chunk_alone_when_the_time_has_passed(fitted):
    values, observed = numbers(3000)
    model = Ensemble(fitted.config)
    model.load_state_dict(fitted.state_dict())
    held = hold_out(observed, 0.3, torch.Generator().manual_seed(1))
    table, looked = Cells(values, observed, held, torch.full((3000,), -1)), []
    model.register_forward_pre_hook(lambda _, given: looked.append(len(given[0])))
    late = Deadline(-1.0, lambda: 0.0)
    calibrate(model, table, 3000, late)
    assert len(looked) == 1 and looked[0] < 3000
    calibrate(model, table, 3000, Deadline())
    assert sum(looked[1:]) == 3000
