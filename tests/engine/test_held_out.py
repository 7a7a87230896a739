"""Which cells are kept from training."""

import math

import pytest
import torch
from models import windows

from maetab.engine.held_out import HeldOut, hold_out, hold_out_one_by_one


@pytest.mark.parametrize("t", [1, 3])
def test_a_row_of_a_table_keeps_a_cell_when_some_are_held_out(t):
    observed = torch.rand(500, 3) < 0.5
    table = hold_out(windows(observed, observed, t), 0.6, torch.Generator().manual_seed(0))
    held = table.held
    assert held.any() and not (held & ~observed).any()
    assert torch.equal(table.shown, observed & ~held)
    if t == 1:  # gaps of series hide whole steps as well
        assert torch.equal(table.shown.any(1), observed.any(1))


def test_the_held_out_share_is_the_fraction():
    everything = torch.ones(3000, 5) > 0
    table = hold_out(windows(everything, everything), 0.2, torch.Generator().manual_seed(0))
    assert abs(float(table.held.float().mean()) - 0.2) < 0.015


def test_a_cell_that_is_held_out_is_so_in_every_window_that_holds_it():
    observed = torch.rand(200, 4, generator=torch.Generator().manual_seed(1)) < 0.8
    table = hold_out(windows(observed, observed, 3), 0.3, torch.Generator().manual_seed(0))
    assert table.held.shape == (200, 4) and 0 < int(table.held.sum()) < int(observed.sum())
    _, visible, held = table.cells(torch.arange(len(table)))
    for window, rows in enumerate(table.windows.rows.tolist()):
        for step, row in enumerate(rows):
            assert torch.equal(held[window, step], table.held[row])
            assert torch.equal(visible[window, step], observed[row] & ~table.held[row])


def test_the_steps_behind_the_end_of_a_series_hold_nothing_out():
    observed = torch.ones(10, 2) > 0
    table = windows(observed, observed, 3)
    rows = torch.cat([table.rows, torch.tensor([[9, -1, -1]])])
    found = hold_out(type(table)(table.values, observed, rows), 0.9, torch.Generator())
    _, visible, held = found.cells(torch.tensor([len(rows) - 1]))
    assert not (visible | held)[0, 1:].any() and (visible | held)[0, 0].all()


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_gaps_of_series_are_held_out_in_windows_that_share_no_row(stride):
    observed = torch.rand(400, 3, generator=torch.Generator().manual_seed(1)) < 0.9
    cells = windows(observed, observed, 8, stride)
    table = hold_out(cells, 0.1, torch.Generator().manual_seed(0))
    judged = table.windows.rows[table.judged]
    # Of the last fifth of the windows as many as fit, up to three tenths of all rows; networks
    # learn from windows that share no row with these.
    late = table.windows.rows[-math.ceil(0.2 * len(cells)) :]
    assert 5 <= len(judged) <= 10 and judged.min() >= late.min()
    learned = table.windows.rows[table.learned]
    assert not set(learned.flatten().tolist()) & set(late.flatten().tolist())
    assert len(learned) >= 0.7 * len(cells)
    assert len(judged.unique()) == judged.numel()
    outside = torch.ones(400, dtype=torch.bool)
    outside[judged.flatten()] = False
    assert not table.held[outside].any() and table.held.any()
    assert torch.equal(table.shown, observed & ~table.held)
    assert torch.equal(table.sample(), table.judged)
    again = hold_out(cells, 0.1, torch.Generator().manual_seed(0))
    assert torch.equal(again.held, table.held)
    assert not torch.equal(hold_out(cells, 0.1, torch.Generator().manual_seed(2)).held, table.held)


def test_where_nothing_is_held_out_of_series_all_windows_are_looked_at():
    observed = torch.ones(40, 2) > 0
    table = hold_out(windows(observed, observed, 4), 0.0, torch.Generator().manual_seed(0))
    assert not table.held.any() and torch.equal(table.shown, observed)
    assert len(table.sample()) == len(table) == 37


def a_held_out_table(n: int, f: int) -> HeldOut:
    observed = torch.rand(n, f, generator=torch.Generator().manual_seed(0)) < 0.7
    return hold_out(windows(observed, observed), 0.1, torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("f", "at_once"), [(3, 1), (31, 1), (40, 2)])
def test_cells_are_held_out_one_by_one_and_none_twice(f, at_once):
    table = a_held_out_table(60, f)
    observed, parts = table.windows.observed, list(hold_out_one_by_one(table, 10**9))
    found = torch.stack([part.held for part in parts]).sum(0)
    several = observed.sum(1, keepdim=True) > 1  # a row keeps a cell
    assert torch.equal(found.bool(), observed & several) and found.max() == 1
    for part in parts:
        assert part.held.sum(1).max() == at_once or part is parts[-1]
        assert torch.equal(part.shown, observed & ~part.held)
        assert part.judged is not None and torch.equal(
            part.held.any(1).nonzero()[:, 0], part.judged
        )


def test_cells_that_networks_did_not_learn_from_come_first_and_no_more_than_wanted():
    table = a_held_out_table(300, 5)
    several = table.windows.observed.sum(1, keepdim=True) > 1
    own = int((table.held & several).sum())
    for wanted in (1, own + 1):
        parts = list(hold_out_one_by_one(table, wanted))
        held = sum(int(part.held.sum()) for part in parts)
        assert wanted <= held < wanted + 300
        mine = [bool((part.held & table.held).any()) for part in parts]
        assert mine == sorted(mine, reverse=True) and mine[0]
        assert not any(
            (part.held & table.held).any() and (part.held & ~table.held).any() for part in parts
        )
