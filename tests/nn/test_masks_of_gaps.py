"""Gaps of many shapes."""

from __future__ import annotations

import pytest
import torch

from maetab.nn.masking import Gaps, _run, in_whole_windows

B, T, F = 1500, 24, 6


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hidden_of(observed: torch.Tensor, ratio: float = 0.3) -> torch.Tensor:
    return Gaps(ratio)(observed, generator())


def longest(hidden: torch.Tensor) -> torch.Tensor:
    """The longest run of True along the steps (B, T, F) -> (B, F)."""
    run = best = torch.zeros(hidden[:, 0].shape, dtype=torch.long)
    for step in hidden.unbind(1):
        run = torch.where(step, run + 1, 0)
        best = torch.maximum(best, run)
    return best


def test_complete_windows_get_points_runs_whole_steps_and_blocks():
    hidden = hidden_of(torch.ones(B, T, F) > 0)
    runs, share = longest(hidden), hidden.float().mean((1, 2))
    steps = longest(hidden.all(2, keepdim=True))[:, 0]
    long = runs >= T // 3
    some = long.any(1) & (steps < 3) & (share < 0.6)
    block = (long.sum(1) > 1) & ~long.all(1) & some
    points = (runs.amax(1) <= 3) & hidden.flatten(1).any(1)
    for kind, least in ((steps >= 3, 0.12), (some, 0.12), (block, 0.05), (points, 0.05)):
        assert least < kind.float().mean() < 0.6


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.6])
def test_more_is_hidden_the_greater_the_ratio_and_shares_differ(ratio):
    shares = hidden_of(torch.ones(B, T, F) > 0, ratio).float().mean((1, 2))
    assert 0.4 * ratio < shares.mean() < 1.2 * ratio and shares.std() > 0.3 * ratio


def test_some_windows_lack_exactly_what_another_lacks():
    """Every window lacks a rectangle of its own; a fifth of them copies that of another."""
    observed = torch.ones(200, T, F) > 0
    for i in range(200):
        observed[i, i % 20 : i % 20 + 4, i // 20 % F] = False
    hidden = hidden_of(observed)
    holes = ~observed
    copies = sum(
        any(bool(torch.equal(one, other & seen)) for other in holes) and bool(one.any())
        for one, seen in zip(hidden, observed, strict=True)
    )
    assert 0.12 < copies / 200 < 0.3


def test_a_window_alone_has_nobody_to_copy_from_and_gets_other_gaps():
    found = [Gaps()(torch.ones(1, T, F) > 0, generator(i)).any() for i in range(40)]
    assert sum(map(bool, found)) > 30


def test_windows_of_one_step_or_one_column_have_gaps():
    for shape in ((300, 1, F), (300, T, 1), (300, 1, 1)):
        hidden = hidden_of(torch.ones(shape) > 0)
        assert hidden.shape == shape and 0.05 < hidden.float().mean() < 0.7


def test_columns_that_never_change_are_hidden_in_all_of_a_window_or_nowhere():
    generator = torch.Generator().manual_seed(0)
    observed = torch.rand(50, 9, 3, generator=generator) < 0.8
    hidden = observed & (torch.rand(50, 9, 3, generator=generator) < 0.5)
    moving = torch.tensor([True, False, True])
    found = in_whole_windows(hidden, observed, moving)
    assert torch.equal(found[..., moving], hidden[..., moving])
    for now, was, seen in zip(found[..., 1], hidden[..., 1], observed[..., 1], strict=True):
        most = int(was.sum()) > int(seen.sum()) / 2
        assert torch.equal(now, seen if most else torch.zeros_like(seen))
    assert 0 < found[..., 1].any(1).sum() < 50


def test_runs_lie_anywhere_from_the_first_step_to_the_last():
    place = torch.tensor([[0.0, 0.2499, 0.25, 0.999]])
    runs = _run(torch.full((1, 4), 0.5), place, 7)[0]  # of four steps, in seven
    assert runs.sum(1).tolist() == [4] * 4
    assert runs.int().argmax(1).tolist() == [0, 0, 1, 3]
