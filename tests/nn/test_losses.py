from __future__ import annotations

import numpy as np
import pytest
import torch
from test_support import a_table, fitted

from maetab.nn.losses import LOSSES, Prediction


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
        wanted = np.mean(1 - (a * b).sum(1) / np.maximum(lengths, 1e-12))
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
