"""Steps of Adam and their rates beside torch's own classes, which are slow to load."""

import copy

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from maetab.nn.adam import Adam, Group, share_of_rate


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))


def step(model: torch.nn.Module, x: torch.Tensor, optimizer) -> None:
    optimizer.zero_grad()
    (model(x) ** 2).sum().backward()
    optimizer.step()


def ours_of(model: torch.nn.Module) -> Adam:
    first, last = model[0], model[2]
    return Adam(
        [Group([*first.parameters()], 0.1, 0.5), Group([*last.parameters()], 0.01, 0.0)], (0.8, 0.9)
    )


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_steps_are_those_of_torch_with_a_rate_and_a_decay_for_each_group():
    x, own, theirs = torch.linspace(-1, 1, 12).reshape(4, 3), network(), network()
    ours = ours_of(own)
    torchs = torch.optim.AdamW(
        [
            {"params": theirs[0].parameters(), "lr": 0.1, "weight_decay": 0.5},
            {"params": theirs[2].parameters(), "lr": 0.01, "weight_decay": 0.0},
        ],
        betas=(0.8, 0.9),
    )
    for _ in range(5):
        step(own, x, ours)
        step(theirs, x, torchs)
        assert same(own, theirs)
    assert not same(own, network())


def test_what_has_no_gradient_stays_as_it_is():
    model = network()
    before, optimizer = copy.deepcopy(model), ours_of(model)
    optimizer.zero_grad()
    model[0](torch.ones(2, 3)).sum().backward()
    optimizer.step()
    assert same(model[2], before[2])
    assert not same(model[0], before[0])


def test_a_run_goes_on_from_its_state_as_if_it_had_never_stopped():
    x, whole, begun = torch.ones(4, 3), network(), network()
    optimizer, first = ours_of(whole), ours_of(begun)
    for _ in range(4):
        step(whole, x, optimizer)
    for _ in range(2):
        step(begun, x, first)
    rest = ours_of(begun)
    rest.load_state_dict(copy.deepcopy(first.state_dict()))
    for _ in range(2):
        step(begun, x, rest)
    assert same(whole, begun)


@pytest.mark.parametrize("n_steps", [1, 5, 20, 39, 40, 67, 400])
def test_rates_rise_and_fall_as_those_of_torch(n_steps):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    warm = max(1, n_steps // 20)
    rise = LinearLR(optimizer, 1 / warm, 1.0, max(1, warm - 1))
    fall = CosineAnnealingLR(optimizer, max(1, n_steps - warm))
    schedule, rates = SequentialLR(optimizer, [rise, fall], [warm]), []
    for _ in range(n_steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    ours = [share_of_rate(number, n_steps) for number in range(n_steps)]
    np.testing.assert_allclose(ours, rates, rtol=1e-9, atol=1e-12)
