from __future__ import annotations

import numpy as np
import pytest
import torch

from maetab.nn.guess.memory import N_HEADS, Neighbours, RowMemory


def a_table(n: int, columns: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and visibility (n, C): a column of several coordinates is one level of a category."""
    values, visible = [], []
    for column in sorted(set(columns)):
        size = columns.count(column)
        level = torch.nn.functional.one_hot(torch.randint(size, (n,)), size)
        values.append(level.double() if size > 1 else torch.randn(n, 1).double())
        visible.append((torch.rand(n, 1) < 0.6).expand(-1, size))
    return torch.cat(values, 1), torch.cat(visible, 1)


def itself(n: int) -> torch.Tensor:
    """That every remembered row shares its row with itself alone."""
    return torch.arange(n)[:, None]


def a_memory(n: int = 12, columns: tuple[int, ...] = (0, 1, 2, 3), seed: int = 0) -> RowMemory:
    torch.manual_seed(seed)
    memory = RowMemory(list(columns), n, 1).double()
    for parameter in memory.parameters():
        parameter.data.add_(0.3 * torch.randn(parameter.shape))
    memory.fill(*a_table(n, columns), torch.randn(n, len(columns)).double(), itself(n))
    return memory


def asks(memory: RowMemory, *arguments) -> Neighbours:
    """Return what the heads say, mixed."""
    return memory.mixed(memory(*arguments))


def some_rows(
    n: int = 6, columns: tuple[int, ...] = (0, 1, 2, 3)
) -> tuple[torch.Tensor, torch.Tensor]:
    values, visible = a_table(n, columns)
    column = torch.tensor(columns)
    return values, (visible | (column == 0)) & (column != 1)


def by_loops(memory: RowMemory, row, visible, excluded: list[int], keys=None):
    """Mean, mean square and residual of every coordinate of one row, the heads mixed.

    keys : (heads, D) of the row and (heads, n, D) of the remembered ones
    """
    columns = memory.cells.numpy()
    weight, cost = memory.log_weight.exp().detach().numpy(), memory.log_cost.exp().detach().numpy()
    choice = memory.choice.softmax(0).detach().numpy()
    known = memory.visible.numpy() > 0.5
    sums = np.zeros((3, len(columns)))
    for head in range(N_HEADS):
        usable, closeness = [], []
        for r in range(len(known)):
            if r in excluded or not (known[r] & ~visible).any():
                continue
            distance = 0.0
            for c, column in enumerate(columns):
                if visible[c] and known[r, c]:
                    apart = (row[c] - memory.values.numpy()[r, c]) ** 2
                    distance += weight[head, column] * (apart - cost[head, column])
            if keys is not None:
                distance += ((keys[0][head] - keys[1][head, r]) ** 2).sum()
            usable.append(r)
            closeness.append(-distance)
        share = np.exp(np.array(closeness) - max(closeness))
        share /= share.sum()
        for c, column in enumerate(columns):
            total = sum(s for s, r in zip(share, usable) if known[r, c]) + 1e-6
            for i, what in enumerate((memory.values, memory.values**2, memory.residuals)):
                read = sum(s * what.numpy()[r, c] for s, r in zip(share, usable) if known[r, c])
                sums[i, c] += choice[head, column] * read / total
    return sums


@pytest.mark.parametrize("columns", [(0, 1, 2, 3), (0, 1, 2, 2, 2, 3), (0, 0, 1, 1, 1, 1)])
def test_the_memory_says_what_loops_over_its_rows_say(columns):
    memory = a_memory(columns=columns)
    values, visible = some_rows(columns=columns)
    memory_index = torch.tensor([[-1, -1], [0, -1], [3, 7], [-1, -1], [11, 0], [-1, 5]])
    found = asks(memory, values, visible, memory_index)
    for i in range(len(values)):
        wanted = by_loops(memory, values[i].numpy(), visible[i].numpy(), memory_index[i].tolist())
        for mine, theirs in zip(found, wanted, strict=True):
            hidden = ~visible[i].numpy()  # what is visible needs no guess
            np.testing.assert_allclose(mine[i].detach()[hidden], theirs[hidden], atol=1e-7)


def test_the_nearest_rows_weigh_what_the_averages_of_the_memory_say():
    memory = a_memory()
    values, visible = some_rows()
    memory_index = torch.tensor([[-1, -1], [0, -1], [3, 7], [-1, -1], [11, 0], [-1, 5]])
    weight, place = memory.read(values, visible, memory_index, n_nearest=32)[1]
    torch.testing.assert_close(weight.sum(-1), torch.ones_like(weight[..., 0]))  # all twelve rows
    assert (weight.diff(dim=-1) <= 0).all()
    for own, places, weights in zip(memory_index, place.unbind(1), weight.unbind(1), strict=True):
        assert weights[torch.isin(places, own[own >= 0])].sum() == 0
    known = memory.visible[place] * weight[..., None]
    mean = (known * memory.values[place]).sum(2) / (known.sum(2) + 1e-6)
    mixed = (mean * memory.choice.softmax(0)[:, None]).sum(0)
    hidden = ~visible
    torch.testing.assert_close(
        asks(memory, values, visible, memory_index).mean[hidden], mixed[hidden]
    )


def test_keys_bring_rows_together_as_their_euclidean_distance_says():
    memory = a_memory()
    values, visible = some_rows()
    memory_index = torch.tensor([[-1, -1], [0, -1], [3, 7], [-1, -1], [11, 0], [-1, 5]])
    ours, theirs = (torch.randn(N_HEADS, n, 5).double() for n in (len(values), 12))
    whole = [torch.cat([x, x.square().sum(-1, keepdim=True)], -1) for x in (ours, theirs)]
    found = memory.mixed(memory(values, visible, memory_index, keys=tuple(whole)))
    for i in range(len(values)):
        keys = ours[:, i].numpy(), theirs.numpy()
        cells = values[i].numpy(), visible[i].numpy(), memory_index[i].tolist()
        wanted = by_loops(memory, *cells, keys)
        for mine, expected in zip(found, wanted, strict=True):
            hidden = ~visible[i].numpy()
            np.testing.assert_allclose(mine[i].detach()[hidden], expected[hidden], atol=1e-7)


def test_how_values_vary_is_their_mean_square_less_the_square_of_their_mean():
    near = Neighbours(torch.tensor([3.0, 1.0]), torch.tensor([10.0, 0.9]), torch.zeros(2))
    assert near.variance.tolist() == [1.0, 0.0]


def test_without_exclusion_is_the_same_as_excluding_nothing():
    memory = a_memory()
    values, visible = some_rows()
    nobody = torch.full((len(values), 3), -1)
    for mine, theirs in zip(memory(values, visible), memory(values, visible, nobody), strict=True):
        assert torch.equal(mine, theirs)


def poisoned(memory: RowMemory, row: int) -> None:
    memory.values[row] = 1e3 * memory.visible[row]
    memory.residuals[row] = -1e3 * memory.visible[row]


def test_an_excluded_row_is_never_read():
    memory = a_memory()
    values, visible = some_rows()
    memory_index = torch.full((len(values), 1), 4)
    before = memory(values, visible, memory_index)
    poisoned(memory, 4)
    for mine, theirs in zip(before, memory(values, visible, memory_index), strict=True):
        assert torch.equal(mine, theirs)


def test_an_excluded_row_is_not_read_even_where_no_other_row_knows_the_cell():
    memory = a_memory()
    memory.visible[:, 3] = 0.0
    memory.visible[4, 3] = 1.0
    visible = torch.tensor([[True, True, True, False]])
    values = torch.randn(1, 4).double()
    before = memory(values, visible, torch.tensor([[4]]))
    poisoned(memory, 4)
    for mine, theirs in zip(before, memory(values, visible, torch.tensor([[4]])), strict=True):
        assert torch.equal(mine[..., 3], theirs[..., 3])


def test_rows_that_know_nothing_of_the_hidden_cells_are_never_read():
    memory = a_memory()
    values, visible = some_rows()
    visible[:, 1:3] = torch.tensor([False, True])
    knows = (memory.visible[:, None, :] > 0.5) & ~visible
    idle = ~knows.any(2).any(1)  # of no use to any of the rows
    memory.visible[0, 1], memory.visible[0, 3], idle[0] = 0.0, 0.0, True
    before = memory(values, visible)
    for row in idle.nonzero()[:, 0].tolist():
        poisoned(memory, row)
    after = memory(values, visible)
    hidden = ~visible
    for mine, theirs in zip(before, after, strict=True):
        assert torch.equal(mine[:, hidden], theirs[:, hidden])


@pytest.mark.parametrize("poison", [1e6, float("nan")])
def test_what_is_not_visible_is_never_read(poison):
    memory = a_memory()
    values, visible = some_rows()
    spoiled = torch.where(visible, values, poison)
    for mine, theirs in zip(memory(values, visible), memory(spoiled, visible), strict=True):
        assert torch.equal(mine, theirs)


def test_what_is_missing_is_not_remembered():
    memory = RowMemory([0, 1], 2, 1)
    nan = float("nan")
    memory.fill(
        torch.tensor([[1.0, nan], [nan, 2.0]]),
        torch.eye(2).bool(),
        torch.full((2, 2), 5.0),
        itself(2),
    )
    assert torch.equal(memory.values, torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    assert torch.equal(memory.residuals, 5.0 * torch.eye(2))


def test_a_cell_that_no_row_knows_gets_the_mean_of_the_column():
    memory = a_memory()
    memory.visible[:, 1] = 0.0
    memory.values[:, 1] = 0.0
    memory.residuals[:, 1] = 0.0
    found = memory(*some_rows())
    assert (found.mean[..., 1] == 0).all() and (found.residual[..., 1] == 0).all()


def test_a_row_far_from_all_others_still_does_not_read_itself():
    memory = a_memory()
    values, visible = some_rows()
    memory.values[0], memory.visible[0] = 1e5, 1.0
    values[0], visible[0] = 1e5, torch.tensor([True, False, True, True])
    memory_index = torch.tensor([[0], [-1], [-1], [-1], [-1], [-1]])
    before = memory(values, visible, memory_index)
    poisoned(memory, 0)
    after = memory(values, visible, memory_index)
    for mine, theirs in zip(before, after, strict=True):
        assert torch.equal(mine[:, 0, 1], theirs[:, 0, 1])


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("with_keys", [False, True])
def test_rows_read_in_parts_say_the_same_as_rows_read_at_once(missing, with_keys):
    torch.manual_seed(0)
    memory = RowMemory([0, 1, 1, 1, 2], 4096, 1)
    seen = torch.rand(4096, 3) >= missing
    memory.fill(torch.randn(4096, 5), seen[:, memory.cells], torch.randn(4096, 5), itself(4096))
    values, memory_index = torch.randn(60, 5), torch.arange(-1, 59)[:, None]
    visible = (torch.rand(60, 3) >= 0.3)[:, memory.cells]
    both = (torch.randn(N_HEADS, n, 5) for n in (60, 4096))
    of_rows = tuple(torch.cat([x, x.square().sum(-1, keepdim=True)], -1) for x in both)
    keys = of_rows if with_keys else None
    whole = memory(values, visible, memory_index, keys=keys)  # with gradients nothing is split
    with torch.inference_mode():
        split = memory(values, visible, memory_index, keys=keys)
    for a, b in zip(whole, split, strict=True):
        torch.testing.assert_close(a.detach(), b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("columns", [(0, 1, 2, 3), (0, 1, 2, 2, 2, 3), (0, 0, 1, 1, 1, 1)])
def test_what_is_asked_alone_is_what_loops_over_the_rows_say(columns):
    memory = a_memory(columns=columns)
    memory.visible[3, 1:], memory.values[3, 1:], memory.residuals[3, 1:] = 0.0, 0.0, 0.0
    asked = torch.arange(max(columns) + 1) == 1
    wanted = asked[memory.cells]
    values, visible = some_rows(columns=columns)
    visible &= ~wanted
    visible[4] = False
    memory_index = torch.tensor([[-1, -1], [0, -1], [3, 7], [-1, -1], [11, 0], [-1, 5]])
    with torch.inference_mode():
        heads = memory(values, visible, memory_index, asked=asked)
        found = memory.mixed(heads, asked)
    for i in range(len(values)):
        row = by_loops(memory, values[i].numpy(), visible[i].numpy(), memory_index[i].tolist())
        for mine, theirs in zip(found, row, strict=True):
            np.testing.assert_allclose(mine[i], theirs[wanted.numpy()], atol=1e-7)


def test_the_memory_knows_which_of_its_windows_share_a_row():
    torch.manual_seed(0)
    memory = RowMemory([0, 1, 2, 3], 6, 2)  # windows of two steps, of two columns each
    # Windows 0, 1 and 2 are consecutive; the row that 1 and 2 share is named twice.
    shared = torch.tensor([[0, 1, -1, -1], [0, 1, 1, 2], [1, 2, 2, -1], [3, 3, -1, -1]])
    memory.fill(torch.randn(4, 4), torch.ones(4, 4).bool(), torch.randn(4, 4), shared)
    found = memory.overlapping(torch.tensor([0, 1, 2, 3, -1]))
    assert found.shape == (5, 3)
    assert [set(row) - {-1} for row in found.tolist()] == [{0, 1}, {0, 1, 2}, {1, 2}, {3}, set()]
