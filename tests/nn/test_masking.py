from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab.nn.masking import (
    MASKINGS,
    Bernoulli,
    Block,
    CopyObserved,
    FixedRatio,
    Proportional,
    swap,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_observed(shape: tuple[int, ...], share: float, seed: int = 1) -> torch.Tensor:
    return torch.rand(shape, generator=generator(seed)) < share


shapes = st.tuples(st.integers(1, 12), st.integers(1, 5), st.integers(1, 8))


@pytest.mark.parametrize("name", MASKINGS)
@given(shape=shapes, ratio=st.floats(0, 0.99), share=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_only_observed_cells_are_ever_hidden(name, shape, ratio, share, seed):
    observed = some_observed(shape, share, seed)
    before = observed.clone()
    hidden = MASKINGS[name](ratio=ratio)(observed, generator(seed))
    assert hidden.shape == observed.shape and hidden.dtype == torch.bool
    assert not (hidden & ~observed).any()
    assert (observed == before).all()


@pytest.mark.parametrize("name", MASKINGS)
def test_same_seed_hides_the_same_cells_and_another_seed_others(name):
    observed, masking = some_observed((40, 3, 7), 0.8), MASKINGS[name](ratio=0.4)
    first, again = masking(observed, generator(5)), masking(observed, generator(5))
    assert (first == again).all()
    assert (first != masking(observed, generator(6))).any()


@pytest.mark.parametrize("name", MASKINGS)
def test_the_global_generator_is_not_touched(name):
    before = torch.get_rng_state()
    MASKINGS[name](ratio=0.4)(some_observed((9, 1, 4), 0.7), generator())
    assert (torch.get_rng_state() == before).all()


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.7])
@pytest.mark.parametrize("shape", [(2000, 1, 8), (400, 12, 4)])
@pytest.mark.parametrize("kind", [Bernoulli, FixedRatio, Block])
def test_realised_ratio_is_near_the_ratio(kind, ratio, shape):
    observed = some_observed(shape, 0.8)
    hidden = kind(ratio=ratio)(observed, generator())
    n = int(observed.sum())
    # Cells of a block hang together: at worst as if there were a fourth as many draws.
    draws = n / 4 if kind is Block else n
    rounding = 0.5 * len(observed) / n * (kind is FixedRatio)
    bound = 5 * math.sqrt(ratio * (1 - ratio) / draws) + rounding
    assert abs(float(hidden.sum()) / n - ratio) < bound


@pytest.mark.parametrize("name", MASKINGS)
def test_ratio_zero_hides_nothing_in_a_complete_table(name):
    hidden = MASKINGS[name](ratio=0.0)(torch.ones(50, 1, 6, dtype=torch.bool), generator())
    assert not hidden.any()


@given(shape=shapes, ratio=st.floats(0, 0.99), share=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_fixed_ratio_hides_the_rounded_share_of_every_row(shape, ratio, share):
    observed = some_observed(shape, share)
    hidden = FixedRatio(ratio)(observed, generator())
    seen = observed.flatten(1).sum(1)
    assert hidden.flatten(1).sum(1).tolist() == (seen * ratio).round().tolist()


def runs(hidden: list[bool]) -> list[int]:
    """Lengths of the runs of True."""
    text = "".join("x" if h else " " for h in hidden)
    return [len(run) for run in text.split()]


@pytest.mark.parametrize(("shape", "along"), [((300, 30, 1), 1), ((300, 1, 30), 2)])
def test_block_hides_runs_of_at_least_its_length(shape, along):
    hidden = Block(ratio=0.3, length=4)(torch.ones(shape, dtype=torch.bool), generator())
    lines = hidden.movedim(along, -1).reshape(-1, 30)
    inner = [run for line in lines.tolist() for run in runs([False, *line, False])]
    # A run at either end may be cut there; no run inside is shorter than the block.
    short = [line for line in lines.tolist() if any(r < 4 for r in runs(line[4:-4]))]
    assert sum(inner) / len(inner) > 4
    for line in short:
        text = "".join("x" if h else " " for h in line)
        middle = text.strip("x").split()
        assert all(len(run) >= 4 for run in middle)


def test_block_longer_than_the_axis_still_keeps_the_ratio():
    hidden = Block(ratio=0.5, length=99)(torch.ones(4000, 1, 3, dtype=torch.bool), generator())
    assert abs(float(hidden.float().mean()) - 0.5) < 0.03


def test_copy_hides_the_holes_of_another_row():
    observed = some_observed((60, 1, 6), 0.6)
    hidden = CopyObserved(ratio=0.0)(observed, generator())
    flat = observed.flatten(1)
    for row, seen in zip(hidden.flatten(1), flat, strict=True):
        lent = [(seen & ~other) for other in flat]
        assert not row.any() or any((row == holes).all() for holes in lent)
    assert hidden.any()


def test_copy_leaves_every_row_a_cell_unless_it_has_none():
    observed = some_observed((500, 1, 3), 0.5)
    hidden = CopyObserved(ratio=0.0)(observed, generator())
    left = (observed & ~hidden).flatten(1).any(1)
    assert (left == observed.flatten(1).any(1)).all()


def test_copy_hides_a_bernoulli_share_of_complete_rows():
    hidden = CopyObserved(ratio=0.3)(torch.ones(3000, 1, 4, dtype=torch.bool), generator())
    assert abs(float(hidden.float().mean()) - 0.3) < 5 * math.sqrt(0.21 / 12_000)


def test_proportional_hides_more_of_the_columns_that_miss_more():
    keep = torch.tensor([1.0, 0.9, 0.6, 0.3])
    observed = torch.rand(4000, 1, 4, generator=generator(2)) < keep
    hidden = Proportional(ratio=0.4)(observed, generator())
    share = hidden.sum((0, 1)) / observed.sum((0, 1))
    assert (share.diff() > 0.02).all()
    assert share[0] > 0.03


def test_proportional_hides_complete_columns_at_a_tenth_of_the_ratio_at_least():
    observed = torch.rand(20_000, 1, 30, generator=generator(2)) < 0.02
    observed[..., 0] = True
    hidden = Proportional(ratio=0.1)(observed, generator())
    assert abs(float(hidden[..., 0].float().mean()) - 0.01) < 4 * math.sqrt(0.01 / 20_000)


def test_proportional_is_bernoulli_where_all_columns_miss_the_same():
    observed = torch.ones(4000, 1, 4, dtype=torch.bool)
    hidden = Proportional(ratio=0.4)(observed, generator())
    assert abs(float(hidden.float().mean()) - 0.4) < 5 * math.sqrt(0.24 / 16_000)


@given(shape=shapes, ratio=st.floats(0, 0.9), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_swapped_cells_hold_what_another_row_shows_there(shape, ratio, seed):
    values = torch.randint(5, shape, generator=generator(seed)).float()
    visible = some_observed(shape, 0.7, seed)
    read, swapped = swap(values, visible, ratio, generator(seed))
    assert torch.equal(read[~swapped], values[~swapped])
    assert not (swapped & ~visible).any() and (read != values)[swapped].all()
    for row, step, column in swapped.nonzero().tolist():
        shown = values[:, step, column][visible[:, step, column]]
        assert read[row, step, column] in shown


def test_a_share_of_the_cells_is_swapped():
    values = torch.rand(3000, 1, 4, generator=generator(3))
    visible = torch.ones(values.shape, dtype=torch.bool)
    _, swapped = swap(values, visible, 0.15, generator())
    assert abs(float(swapped.float().mean()) - 0.15) < 5 * math.sqrt(0.13 / 12_000)
