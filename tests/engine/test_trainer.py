"""One step of training: what counts in its loss, how far it goes, and what it shrinks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from models import Training, config, fit_options, train

from maetab.nn.losses import Distribution, Residual


def table(n: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, 4))
    observed = rng.random((n, 4)) < 0.9
    return np.where(observed, values, 0).astype(np.float32), observed


class Steps(Training):
    """Keeps of each step: batch, rate, weights before, loss, and gradients as they were used."""

    def step(self, batch, number, network):
        shares, take = [], type(self.optimizer).step
        self.optimizer.step = lambda share: (shares.append(share), take(self.optimizer, share))
        before = {k: p.detach().clone() for k, p in self.network.named_parameters()}
        loss = super().step(batch, number, network)
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = float(torch.cat([g.flatten() for g in gradients]).norm())
        if not hasattr(self, "steps_seen"):
            self.steps_seen = []
        rate = shares[0] * self.optimizer.groups[0].rate
        self.steps_seen.append((batch, rate, before, loss, norm))
        return loss


def trained(n_steps: int = 1, **changes) -> Steps:
    given = {"max_iter": 2, "batch_size": 32, "n_iter_no_change": 99} | changes
    small = config((0,) * 4, n_heads=4, n_steps=n_steps)
    return train(small, table(), fit_options(**given), Steps)


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("visible_weight", [0.0, 0.2, 3.0])
def test_hidden_cells_count_one_and_visible_ones_their_weight(visible_weight, n_steps):
    run = trained(n_steps, visible_weight=visible_weight)
    batch, _, before, loss, _ = run.steps_seen[0]
    run.network.load_state_dict(before, strict=False)
    values, *_ = run.table.cells(batch.rows)
    with torch.no_grad():
        network = run.network.eval()
        prediction = run.model.predict(network, values, batch.visible, batch.guess)
    of = run.model.loss
    assert type(of) is (Distribution if n_steps == 1 else Residual)
    parts = [
        (float(of(prediction, values, cells.float(), run.model.support)), n * int(cells.sum()))
        for cells, n in ((batch.hidden, 1.0), (batch.visible, visible_weight))
    ]
    wanted = sum(part * count for part, count in parts) / sum(count for _, count in parts)
    assert float(loss) == pytest.approx(wanted, rel=1e-4)
    assert abs(parts[0][0] - parts[1][0]) > 0.01  # so that it matters which counts what


def test_the_rate_warms_up_and_falls_along_a_cosine():
    steps = trained(max_iter=40, learning_rate=1e-3).steps_seen
    rates, n = [rate for _, rate, *_ in steps], len(steps)
    assert n == 80
    warm = [1e-3 * (i + 1) / 4 for i in range(4)]
    fall = [1e-3 * (1 + math.cos(math.pi * i / (n - 4))) / 2 for i in range(n - 4)]
    np.testing.assert_allclose(rates, warm + fall, rtol=1e-6)


def test_gradients_longer_than_one_are_cut_to_one():
    run = trained(max_iter=1)
    batch, *_ = run.steps_seen[0]
    run.network.head.data.normal_(0, 100.0)
    run.step(batch, 0, run.network)
    *_, norm = run.steps_seen[-1]
    assert norm == pytest.approx(1.0, rel=1e-3)


def test_vectors_are_not_shrunk_by_weight_decay():
    run = trained(max_iter=1, weight_decay=0.5)
    decay = {id(p): g.weight_decay for g in run.optimizer.groups for p in g.parameters}
    for name, parameter in run.network.named_parameters():
        assert decay[id(parameter)] == (0.5 if parameter.ndim > 1 else 0.0), name


@pytest.mark.parametrize("swap_ratio", [pytest.param(0.0, marks=pytest.mark.slow), 0.2])
@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("levels", [(0, 0, 0, 0), (0, 3, 0, 2), (3, 3, 2, 2)])
@pytest.mark.parametrize("backbone", ["transformer", "mlp", "linear"])
def test_every_parameter_takes_part_in_a_step(backbone, levels, t, swap_ratio):
    values, observed = table()
    values = np.where(np.array(levels) > 0, np.clip(np.rint(values + 1), 0, 2), values)
    small = config(levels, n_steps=t, backbone=backbone, learns_swaps=swap_ratio > 0)
    options = fit_options(max_iter=1, batch_size=32, swap_ratio=swap_ratio)
    training = train(small, (values.astype(np.float32), observed), options)
    named = training.network.named_parameters()
    assert [name for name, parameter in named if parameter.grad is None] == []
