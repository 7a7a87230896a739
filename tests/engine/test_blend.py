"""What networks and first guess each are worth, found another way than the package does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maetab.engine import fit as fit_module
from maetab.engine.calibration import Cells, held_out_errors, hold_out, set_trust
from maetab.engine.fit import FitOptions, fit_model
from maetab.engine.runtime import Deadline
from maetab.nn.guess import Prior
from maetab.nn.masking import Bernoulli
from maetab.nn.model import Ensemble, ModelConfig

NUMBERS = ModelConfig((0, 0, 0), width=8, n_bins=8, n_pieces=4)


def sums(truth: np.ndarray, prior: np.ndarray, net: np.ndarray) -> dict[str, torch.Tensor]:
    """The sums that `held_out_errors` documents, of (n, F) cells that are all held out."""
    gap, missed = net - prior, truth - prior
    found = {
        "gap": gap**2,
        "gain": missed * gap,
        "noise": (missed * gap) ** 2,
        "error": (truth - net) ** 2,
        "count": np.ones_like(gap),
    }
    told = {name: torch.tensor(cells.sum(0)).float() for name, cells in found.items()}
    return told | {"likelihood": torch.zeros(gap.shape[1], 5)}


def best_blend(truth: np.ndarray, prior: np.ndarray, net: np.ndarray) -> np.ndarray:
    """Of a hundred blends the one with the least squared error, column by column."""
    blends = np.linspace(0, 1, 101)[:, None, None]
    errors = np.square(truth - prior - blends * (net - prior)).sum(1)
    return np.linspace(0, 1, 101)[errors.argmin(0)]


def test_the_share_of_the_networks_is_the_blend_that_errs_least():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20_000, 3))
    prior = truth + rng.normal(size=truth.shape) * [1.0, 1.0, 0.3]
    net = truth + rng.normal(size=truth.shape) * [0.2, 1.0, 2.0]
    model = Ensemble(NUMBERS)
    set_trust(model, [sums(truth, prior, net)])
    best = best_blend(truth, prior, net)
    assert best[0] > 0.9 and 0.4 < best[1] < 0.6 and best[2] < 0.1
    np.testing.assert_allclose(model.trust, best, atol=0.03)


def test_networks_share_what_is_left_when_several_are_judged_together():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(4000, 3))
    prior = truth + rng.normal(size=truth.shape)
    nets = [truth + rng.normal(size=truth.shape) for _ in range(2)]
    model = Ensemble(NUMBERS)
    set_trust(model, [sums(truth, prior, net) for net in nets])
    best = best_blend(np.tile(truth, (2, 1)), np.tile(prior, (2, 1)), np.concatenate(nets))
    np.testing.assert_allclose(model.trust, best, atol=0.06)


@pytest.mark.parametrize("likeliest", range(5))
def test_the_share_at_categories_is_the_likeliest_of_five_blends(likeliest):
    model = Ensemble(ModelConfig((3,), width=8, n_bins=8))
    error = sums(*np.zeros((3, 10, 1)))
    error["likelihood"] = torch.full((1, 5), -9.0)
    error["likelihood"][0, likeliest] = -1.0
    set_trust(model, [error])
    assert model.trust.tolist() == [likeliest / 4]


def noise(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Columns that say nothing of each other: a network can only learn what is not so."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=(n, 3)), rng.integers(3, size=(n, 1))], 1)
    return values.astype(np.float32)[:, None], np.ones((n, 1, 4), bool)


def test_networks_have_no_share_where_they_can_learn_nothing():
    config = ModelConfig((0, 0, 0, 3), width=16, n_bins=8, n_pieces=4)
    options = FitOptions(Bernoulli(0.3), max_iter=30, learning_rate=1e-2, n_iter_no_change=99)
    model, history = fit_model(config, *noise(), options)
    assert history and float(model.trust.median()) < 0.1


def test_errors_on_held_out_cells_are_those_of_each_cell_one_by_one():
    values, observed = noise(40)
    config = ModelConfig((0, 0, 0, 3), width=8, n_bins=8, n_pieces=4)
    model, _ = fit_model(config, values, observed, FitOptions(Bernoulli(0.3), max_iter=3))
    values, observed = torch.tensor(values), torch.tensor(observed)
    held = hold_out(observed, 0.3, torch.Generator().manual_seed(0))
    table = Cells(values, observed, held, torch.full((40,), -1))
    found = held_out_errors(model, model.members[0], table, 40, Deadline())
    expected = dict.fromkeys(("gap", "gain", "error", "count"), 0.0)
    with torch.no_grad():
        net = model.members[0](values, observed & ~held).point
        prior = model.prior.points(values[:, 0], (observed & ~held)[:, 0])
    for i, j in held[:, 0, :3].nonzero().tolist():
        truth, own, other = float(values[i, 0, j]), float(prior[i, j]), float(net[i, 0, j])
        expected["gap"] += (other - own) ** 2
        expected["gain"] += (truth - own) * (other - own)
        expected["error"] += (truth - other) ** 2
        expected["count"] += 1
    for name, total in expected.items():
        assert float(found[name][:3].sum()) == pytest.approx(total, rel=1e-3, abs=1e-4), name


# ---- weights where cells are not missing at random


def two_columns(at_random: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """x is always seen; y, a parabola of x, is missing anywhere or mostly where x is large."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(900, generator=generator)
    y = torch.where(x > 0, -2 * x, x) + 0.1 * torch.randn(900, generator=generator)
    chance = 0.4 if at_random else torch.where(x > 0.3, 0.85, 0.05)
    gone = torch.rand(900, generator=generator) < chance
    observed = torch.stack([torch.ones_like(gone), ~gone], 1)
    return torch.stack([x, y / y.std()], 1), observed


def prior_of(values: torch.Tensor, observed: torch.Tensor) -> Prior:
    torch.manual_seed(0)
    prior = Prior((0, 0), 8, len(values))
    prior.fit(torch.where(observed, values, 0.0), observed, torch.Generator().manual_seed(0))
    return prior


def test_rows_weigh_as_the_discriminant_between_missing_and_seen_says():
    values, observed = two_columns(at_random=False)
    prior = prior_of(values, observed)
    found = prior._odds(values, observed).numpy()
    x, gone = values[:, 0].double().numpy(), ~observed[:, 1].numpy()
    x = (x - x.mean()) / x.std(ddof=1)
    slope = (x[gone].mean() - x[~gone].mean()) / (np.mean(x**2) + 0.1)
    odds = np.exp(np.clip(x * slope * gone.sum() / (gone.sum() + 50), -2.3, 2.3))
    np.testing.assert_allclose(found[:, 1], (odds / odds[~gone].mean()).clip(0.1, 10), rtol=1e-6)
    assert found[gone, 1].mean() > 2 * found[~gone, 1].mean()
    np.testing.assert_allclose(found[:, 0], 1.0)  # x misses nothing


def test_weights_are_about_one_where_cells_are_missing_at_random():
    values, observed = two_columns(at_random=True)
    weights = prior_of(values, observed)._odds(values, observed)
    assert float((weights - 1).abs().max()) < 0.35


def test_rows_without_weight_do_not_count_in_the_stack(monkeypatch):
    values, observed = two_columns(at_random=True)
    prior, counted = prior_of(values, observed), values[:, 0] > 0
    hide, found = Prior._hide, {}

    def hide_of_counted(self, values, observed, generator):
        spread, seen, hidden = hide(self, values, observed, generator)
        return spread, seen, hidden & (values[:, :1] > 0)

    def weights(self, values, observed):
        return (values[:, :1] > 0).double().expand(-1, 2)

    def ones(self, values, observed):
        return torch.ones(len(values), 2, dtype=torch.float64)

    ways = {"weighed": (weights, hide), "left out": (ones, hide_of_counted), "all": (ones, hide)}
    for name, (odds, hides) in ways.items():
        with monkeypatch.context() as patch:
            patch.setattr(Prior, "_odds", odds)
            patch.setattr(Prior, "_hide", hides)
            places, random = torch.full((len(values),), -1), torch.Generator().manual_seed(1)
            prior._fit_stack(values, observed, places, random, lambda: False)
            found[name] = torch.cat([prior.stack, prior.inflate])
    assert 0 < int(counted.sum()) < len(counted)
    torch.testing.assert_close(found["weighed"], found["left out"], atol=0.05, rtol=0.05)
    assert float((found["all"] - found["left out"]).abs().max()) > 0.2


def test_fit_sets_the_share_that_the_errors_tell(monkeypatch):
    told = []
    monkeypatch.setattr(fit_module, "set_trust", lambda model, errors: told.append(errors))
    config = ModelConfig((0, 0, 0, 3), width=8, n_bins=8, n_pieces=4, n_estimators=2)
    fit_model(config, *noise(40), FitOptions(Bernoulli(0.3), max_iter=2))
    assert [len(errors) for errors in told] == [2]
