"""Gaussians over windows of many columns: one for each group of columns that go together.

What that costs is linear in the number of columns. Columns of two groups tell nothing of each
other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from maetab.nn.guess.window_gaussian import Conditional, WindowGaussian

MOST_COORDINATES = 1000  # of a covariance of all columns
# Coordinates of a group where there are several, unless one column has more, and entries of all
# covariances that take the place of one. Groups of 250 were better than those of 500 and 1,000 and
# cost a fraction: `python -m benchmarks.series_trials wide` prints trials.
GROUP, MOST_ENTRIES = 250, 10_000_000

Cells = tuple[Tensor, Tensor, Tensor]  # values, visible and completed values (n, C)


def fits(n_columns: int, n_steps: int) -> bool:
    """Whether there is memory for groups of one column at least."""
    return n_columns * n_steps**2 <= MOST_ENTRIES and n_steps <= MOST_COORDINATES


def has_room(n_columns: int, n_steps: int, n_kinds: int) -> bool:
    """Whether groups of several kinds of Gaussians are as large as those of one."""
    return n_groups(n_columns, n_steps, n_kinds) == n_groups(n_columns, n_steps, 1)


def n_groups(n_columns: int, n_steps: int, n_kinds: int) -> int:
    """Return one while a covariance of all columns is small enough, else as many as keep all small.

    n_kinds : Gaussians that share the memory that there is
    """
    if n_columns * n_steps <= MOST_COORDINATES:
        return 1
    room = MOST_ENTRIES // n_kinds // (n_columns * n_steps**2)
    return -(-n_columns // max(1, min(GROUP // n_steps, room)))


class GroupedGaussian(nn.Module):
    """Normals over groups of columns of a window, independent of each other.

    Parameters
    ----------
    n_columns, n_steps : c and T; a window has T * c coordinates, step by step
    n_groups : at least 1

    Attributes
    ----------
    order : (c,) columns, group after group
    parts : of each group, a Gaussian over its columns, step by step
    """

    order: Tensor

    def __init__(self, n_columns: int, n_steps: int, n_groups: int) -> None:
        super().__init__()
        self.n_steps = n_steps
        self.sizes = [len(x) for x in torch.arange(n_columns).tensor_split(n_groups)]
        self.register_buffer("order", torch.arange(n_columns))
        self.parts = nn.ModuleList(WindowGaussian(size * n_steps) for size in self.sizes)

    def groups(self) -> Iterator[tuple[WindowGaussian, Tensor]]:
        """Give the Gaussian and the columns of each group."""
        columns = torch.split(self.order, self.sizes)
        for part, own in zip(self.parts, columns, strict=True):
            yield cast("WindowGaussian", part), own

    @property
    def location(self) -> Tensor:
        """(T * c,) where the windows lie."""
        parts = [part.location.view(self.n_steps, -1) for part, _ in self.groups()]
        return torch.cat(parts, 1)[:, self.order.argsort()].flatten()

    def of(self, columns: Tensor, cells: Tensor) -> Tensor:
        """Return (B, T * g) the coordinates of some columns of (B, T * c)."""
        return cells.view(len(cells), self.n_steps, len(self.order))[:, :, columns].flatten(1)

    def put(self, out: Tensor, columns: Tensor, cells: Tensor) -> None:
        """Set the coordinates of some columns of `out` (B, T * c); the way back of `of`."""
        steps = out.view(len(out), self.n_steps, len(self.order))
        steps[:, :, columns] = cells.view(len(out), self.n_steps, len(columns))

    @torch.no_grad()
    def forward(
        self, values: Tensor, visible: Tensor, location: Tensor | None = None
    ) -> Conditional:
        """Return what is guessed of each coordinate; see `WindowGaussian.forward`."""
        found = [torch.zeros_like(values, dtype=torch.float64) for _ in Conditional._fields]
        for part, own in self.groups():
            about = None if location is None else self.of(own, location)
            parts = part(self.of(own, values), self.of(own, visible), about)
            for out, x in zip(found, parts, strict=True):
                self.put(out, own, x)
        return Conditional(*found)

    @torch.no_grad()
    def draw(self, visible: Tensor, normal: Tensor) -> Tensor:
        """Return (B, C) deviations from the conditional mean; see `WindowGaussian.draw`."""
        out = torch.zeros(visible.shape, dtype=torch.float64, device=visible.device)
        for part, own in self.groups():
            self.put(out, own, part.draw(self.of(own, visible), self.of(own, normal)))
        return out

    @torch.no_grad()
    def noisier(self, noise: float) -> GroupedGaussian:
        """Return the same with so much more variance of each coordinate by itself."""
        out = GroupedGaussian(len(self.order), self.n_steps, len(self.sizes)).to(self.order.device)
        out.order.copy_(self.order)
        out.parts = nn.ModuleList(part.noisier(noise) for part, _ in self.groups())
        return out


def dealt(alike: Tensor, sizes: list[int]) -> Tensor:
    """Return (c,) columns, group after group: the one most like all that are left, and its like."""
    alike, order = alike.clone(), []
    for size in sizes:
        first = int(alike.sum(1).argmax())
        alike[first, first] = torch.inf
        group = alike[first].topk(size).indices
        order.append(group)
        alike[group], alike[:, group] = -1.0, -1.0
    return torch.cat(order)


AnyGaussian = WindowGaussian | GroupedGaussian


class Group(NamedTuple):
    """What is fitted together.

    kinds : of windows that start at any phase, and of those of each phase, the Gaussians
    every, aligned : cells of windows that start at any phase, and of those of each phase
    number : (C,) bool, coordinates that are numbers
    """

    kinds: list[list[WindowGaussian]]
    every: Cells
    aligned: list[Cells]
    number: Tensor


def new_gaussian(n_columns: int, n_steps: int, n_kinds: int) -> AnyGaussian:
    """Return a Gaussian over windows that knows nothing; `n_kinds` as in `n_groups`."""
    n = n_groups(n_columns, n_steps, n_kinds)
    if n == 1:
        return WindowGaussian(n_columns * n_steps)
    return GroupedGaussian(n_columns, n_steps, n)


def groups_in(
    gaussians: nn.ModuleList, every: Cells, aligned: list[Cells], number: Tensor
) -> Iterator[Group]:
    """Give the groups of columns; one of all where Gaussians are over all of them.

    Parameters
    ----------
    gaussians : by phase, kinds of Gaussians
    every, aligned, number : as in `Group`, of all columns
    """
    kinds = [list(one.children()) for one in gaussians]
    first = kinds[0][0]
    if not isinstance(first, GroupedGaussian):
        yield Group(cast("list[list[WindowGaussian]]", kinds), every, aligned, number)
        return
    grouped = cast("list[list[GroupedGaussian]]", kinds)
    alike = torch.corrcoef(every[2].reshape(-1, len(first.order)).T).abs().nan_to_num()
    order = dealt(alike, first.sizes)
    for one in (one for some in grouped for one in some):
        one.order.copy_(order)
    for i, (_, own) in enumerate(first.groups()):
        parts = [[cast("WindowGaussian", one.parts[i]) for one in some] for some in grouped]
        cells = [tuple(first.of(own, x) for x in one) for one in (every, *aligned)]
        mine = first.of(own, number[None])[0]
        yield Group(parts, cast("Cells", cells[0]), cast("list[Cells]", cells[1:]), mine)
