"""One step of training: what counts in its loss, how far it goes, and what it shrinks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from maetab.engine import fit as fit_module
from maetab.engine.fit import FitOptions, fit_model
from maetab.nn import guess as guess_module
from maetab.nn.masking import Bernoulli
from maetab.nn.model import ModelConfig
from maetab.nn.objectives import cell_loss


def table(n: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, 4))
    observed = rng.random((n, 1, 4)) < 0.9
    return np.where(observed, values[:, None], 0).astype(np.float32), observed


class Steps(list):
    """What each step saw: batch, rate, weights before, loss, and gradients as they were used."""

    def record(self, step):
        def recorded(run, batch, generator):
            rate = run.optimizer.param_groups[0]["lr"]
            before = {k: p.detach().clone() for k, p in run.member.named_parameters()}
            loss = step(run, batch, generator)
            gradients = [p.grad for p in run.member.parameters() if p.grad is not None]
            norm = float(torch.cat([g.flatten() for g in gradients]).norm())
            self.append((run, batch, rate, before, loss, norm))
            return loss

        return recorded


@pytest.fixture
def steps(monkeypatch) -> Steps:
    seen = Steps()
    monkeypatch.setattr(guess_module, "N_TUNING", 3)
    monkeypatch.setattr(fit_module._Run, "step", seen.record(fit_module._Run.step))
    return seen


def train(**changes) -> None:
    config = ModelConfig((0,) * 4, width=8, n_bins=8, n_pieces=4, dropout=0.0)
    given = {"max_iter": 2, "batch_size": 32, "n_iter_no_change": 99} | changes
    fit_model(config, *table(), FitOptions(Bernoulli(0.3), **given))


@pytest.mark.parametrize("visible_weight", [0.0, 0.2, 3.0])
def test_hidden_cells_count_one_and_visible_ones_their_weight(steps, visible_weight):
    train(visible_weight=visible_weight)
    run, batch, _, before, loss, _ = steps[0]
    member, values = run.member, run.table.values[batch.rows]
    member.load_state_dict(before, strict=False)
    with torch.no_grad():
        said = member.eval()(values, batch.visible, batch.first)
    flat = said.logits[:, 0], said.point[:, 0], values[:, 0]
    parts = [
        (float(cell_loss(*flat, cells[:, 0].float(), member.prior.support, "distribution")), n)
        for cells, n in ((batch.hidden, 1.0), (batch.visible, visible_weight))
    ]
    counts = [n * int(cells.sum()) for (_, n), cells in zip(parts, (batch.hidden, batch.visible))]
    wanted = sum(part * n for (part, _), n in zip(parts, counts)) / sum(counts)
    assert float(loss) == pytest.approx(wanted, rel=1e-4)
    assert abs(parts[0][0] - parts[1][0]) > 0.01  # so that it matters which counts what


def test_the_rate_warms_up_and_falls_along_a_cosine(steps):
    train(max_iter=40, learning_rate=1e-3)
    rates, n = [rate for _, _, rate, *_ in steps], len(steps)
    assert n == 80
    warm = [1e-3 * (i + 1) / 4 for i in range(4)]
    fall = [1e-3 * (1 + math.cos(math.pi * i / (n - 4))) / 2 for i in range(n - 4)]
    np.testing.assert_allclose(rates, warm + fall, rtol=1e-6)


def test_gradients_longer_than_one_are_cut_to_one(steps):
    train(max_iter=1)
    run, batch, *_ = steps[0]
    run.member.head.data.normal_(0, 100.0)
    run.step(batch, torch.Generator())
    *_, norm = steps[-1]
    assert norm == pytest.approx(1.0, rel=1e-3)


def test_vectors_are_not_shrunk_by_weight_decay(steps):
    train(max_iter=1, weight_decay=0.5)
    run = steps[0][0]
    decay = {id(p): g["weight_decay"] for g in run.optimizer.param_groups for p in g["params"]}
    for name, parameter in run.member.named_parameters():
        assert decay[id(parameter)] == (0.5 if parameter.ndim > 1 else 0.0), name
