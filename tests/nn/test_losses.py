from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from test_support import a_table, fitted

from maetab.nn.guess.cells import CellGuess
from maetab.nn.guess.stack import Guess
from maetab.nn.losses import LOSSES, Prediction, Residual
from maetab.nn.support import Support


def cell_loss(logits, point, values, weight, support, loss: str) -> torch.Tensor:
    """What a loss gives for cells (n, F), as windows of one step."""
    prediction = Prediction(logits[:, None], point[:, None])
    return LOSSES[loss]()(prediction, values[:, None], weight[:, None], support)


def loss_of(loss: str, weight: torch.Tensor, **changes) -> float:
    support, (values, _) = fitted(), a_table()
    generator = torch.Generator().manual_seed(3)
    given = {
        "logits": torch.randn(200, 3, 8, generator=generator),
        "point": torch.randn(200, 3, generator=generator),
        "values": values,
    } | changes
    return float(cell_loss(**given, weight=weight, support=support, loss=loss))


def test_cross_entropy_is_that_of_torch():
    support, (values, _) = fitted(), a_table()
    logits, weight = torch.randn(200, 3, 8), torch.rand(200, 3)
    point = values * support.is_number  # so that the squared error is zero
    got = cell_loss(logits, point, values, weight, support, "distribution")
    k = support.index(values)
    wanted = sum(
        (torch.nn.functional.cross_entropy(logits[:, j], k[:, j], reduction="none") * weight[:, j])
        for j in range(3)
    )
    torch.testing.assert_close(got, wanted.sum() / weight.sum())


@pytest.mark.parametrize("loss", ["mse", "mae", "cosine"])
def test_point_losses_are_those_written_out(loss):
    support, (values, _) = fitted(), a_table()
    weight = torch.zeros(200, 3)
    weight[:, [0, 2]] = torch.rand(200, 2).round()
    point = torch.randn(200, 3)
    got = float(cell_loss(torch.randn(200, 3, 8), point, values, weight, support, loss))
    error, w = (point - values).numpy()[:, [0, 2]], weight.numpy()[:, [0, 2]]
    if loss == "cosine":
        a, b = point.numpy()[:, [0, 2]] * w, values.numpy()[:, [0, 2]] * w
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        apart = 1 - (a * b).sum(1) / np.maximum(lengths, 1e-12)
        wanted = (apart * w.sum(1)).sum() / w.sum()
    else:
        size = np.abs(error) if loss == "mae" else np.minimum(error**2, 25)
        wanted = (size * w).sum() / w.sum()
    assert got == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("loss", ["distribution", "mse"])
def test_a_wild_point_costs_no_more_than_five_deviations(loss):
    weight, values = torch.ones(200, 3), a_table()[0]
    logits = torch.zeros(200, 3, 8)
    costs = [loss_of(loss, weight, logits=logits, point=values + far) for far in (0.0, 4.0, 1e4)]
    # Two of the three columns are numbers.
    assert costs[1] - costs[0] == pytest.approx(16 * 2 / 3, rel=1e-4)
    assert costs[2] - costs[0] == pytest.approx(25 * 2 / 3, rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_cells_without_weight_change_nothing(loss):
    weight = (torch.rand(200, 3, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    values, _ = a_table()
    poisoned = torch.where(weight > 0, values, 1e6)
    assert loss_of(loss, weight) == loss_of(loss, weight, values=poisoned)
    nothing = torch.zeros(200, 3)
    assert np.isfinite(loss_of(loss, nothing))


@pytest.mark.parametrize("loss", LOSSES)
def test_levels_that_are_not_predicted_do_not_count(loss):
    weight = torch.zeros(200, 3)
    weight[:, 1] = 1.0
    weight[:50, 1] = 0.0
    values, _ = a_table()
    unknown = values.clone()
    unknown[:50, 1] = 3.0
    assert loss_of(loss, torch.ones(200, 3) * weight.amax(0), values=unknown) == pytest.approx(
        loss_of(loss, weight), rel=1e-5
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_the_truth_costs_less_than_anything_else(loss):
    values, _ = a_table()
    support = fitted()
    right = torch.nn.functional.one_hot(support.index(values), 8) * 20.0
    best = loss_of(loss, torch.ones(200, 3), logits=right, point=values)
    assert best < loss_of(loss, torch.ones(200, 3)) and best < 0.01


# ---- of series


def series_prediction(raw: torch.Tensor, visible: torch.Tensor) -> tuple[CellGuess, Prediction]:
    """A guess at 200 windows of two steps over the columns of `a_table`, and what is read of it."""
    generator = torch.Generator().manual_seed(4)
    shape = (200, 2, 3)
    nothing = Guess(*(torch.zeros(200, 2, 1) for _ in range(3)))
    point = torch.randn(shape, generator=generator)
    std = 0.05 + torch.rand(shape, generator=generator)
    guess = CellGuess(nothing, torch.randn(*shape, 8, generator=generator), point, std)
    return guess, Residual().read(raw, guess, visible, fitted())


def raw_and_visible() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    raw = 2 * torch.randn(200, 2, 3, 8, generator=generator)
    return raw, torch.rand(200, 2, 3, generator=generator) < 0.4


def test_a_residual_moves_the_guess_by_its_deviations_and_scales_them():
    raw, visible = raw_and_visible()
    guess, found = series_prediction(raw, visible)
    hidden = ~visible
    moved = guess.point + guess.std * raw[..., 0]
    torch.testing.assert_close(found.point[hidden], moved[hidden])
    assert torch.equal(found.point[visible], guess.point[visible])
    scaled = (guess.std * raw[..., 1].clip(-2, 2).exp()).clip(1e-3)
    torch.testing.assert_close(found.std[hidden], scaled[hidden])
    assert (found.std[visible] == 1).all()
    assert torch.equal(found.logits[..., [0, 2], :], guess.logits[..., [0, 2], :])
    torch.testing.assert_close(found.logits[..., 1, :], (guess.logits + raw)[..., 1, :])


def test_the_residual_loss_is_that_written_out():
    support, (values, _) = fitted(), a_table()
    truth = values[:, None].repeat(1, 2, 1)
    raw, visible = raw_and_visible()
    _, found = series_prediction(raw, visible)
    weight = torch.zeros(200, 2, 3)
    weight[..., [0, 2]] = torch.rand(200, 2, 2, generator=torch.Generator().manual_seed(6))
    got = float(Residual()(found, truth, weight, support))
    error = (found.point - truth).numpy().astype(float)
    std, w = found.std.numpy().astype(float), weight.numpy()
    size = np.where(np.abs(error) < 0.1, error**2 / 0.2, np.abs(error) - 0.05)
    likelihood = np.log(std) + np.minimum((error / std) ** 2, 25) / 2
    wanted = ((size + 0.1 * likelihood) * w)[..., [0, 2]].sum() / w.sum()
    assert got == pytest.approx(wanted, rel=1e-4)


def test_points_of_series_learn_from_their_error_and_not_from_its_likelihood():
    """Else a network could lower its loss at a cell it is sure of by a smaller deviation alone."""
    support, (values, _) = fitted(), a_table()
    point = (values[:, None] + 1).requires_grad_()
    weight = torch.zeros(200, 1, 3)
    weight[..., 0] = 1
    for std in (0.01, 1.0):
        found = Prediction(torch.zeros(200, 1, 3, 8), point, torch.full((200, 1, 3), std))
        (gradient,) = torch.autograd.grad(
            Residual()(found, values[:, None], weight, support), point
        )
        torch.testing.assert_close(gradient[..., 0], torch.full((200, 1), 1 / 200))


def test_the_distribution_of_a_point_is_the_normal_with_the_spread_that_is_given():
    support = Support((0,), 8)
    support.fit(torch.linspace(-3, 3, 400)[:, None], torch.ones(400, 1, dtype=torch.bool))
    point, spread = torch.zeros(1, 1, 1), torch.tensor([0.5])
    found = LOSSES["mse"]().probabilities(
        Prediction(torch.zeros(1, 1, 1, 8), point), spread, support
    )
    below = [0.0, *norm.cdf(support.edges[0].numpy() / 0.5), 1.0]
    wanted = 0.95 * np.diff(below) + 0.05 / 8
    assert found[0, 0, 0].numpy() == pytest.approx(wanted, abs=2e-3)
