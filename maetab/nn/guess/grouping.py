"""Gaussians over windows of many columns: one for each group of columns that go together.

What that costs is linear in the number of columns. Of what a group does not hold factors tell it,
which stand beside its columns: of each step what the visible cells of all other groups have in
common (factor analysis, Bartholomew and Knott 1999, chapter 3; each step by itself).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from maetab.nn.guess.window_gaussian import Conditional, WindowGaussian

MOST_COORDINATES = 1000  # of a covariance
MOST_ENTRIES = 10_000_000  # of all covariances that take the place of one
MOST_FACTORS = 1
LEAST_OWN = 0.05  # share of a column's variance that factors leave to it at least


Cells = tuple[Tensor, Tensor, Tensor]  # values, visible and completed values (n, C)


class Plan(NamedTuple):
    """How many groups columns are dealt to, and how many factors stand beside each."""

    n_groups: int
    n_factors: int


def plan(n_columns: int, n_steps: int, n_kinds: int) -> Plan:
    """Return one group while a covariance of all is small enough, else groups that memory holds.

    n_kinds : Gaussians that share the memory that there is
    """
    if n_columns * n_steps <= MOST_COORDINATES:
        return Plan(1, 0)
    room = MOST_ENTRIES / n_kinds / (n_columns * n_steps**2)
    for size in range(MOST_COORDINATES // n_steps, 0, -1):
        for n_factors in range(MOST_FACTORS, -1, -1):
            whole = size + n_factors
            if whole * n_steps <= MOST_COORDINATES and whole**2 / size <= room:
                return Plan(-(-n_columns // size), n_factors)
    return Plan(n_columns, 0)


class GroupedGaussian(nn.Module):
    """Normals over groups of columns of a window, which know of each other by factors alone.

    Parameters
    ----------
    n_columns, n_steps : c and T; a window has T * c coordinates, step by step
    n_groups, n_factors : as in `Plan`

    Attributes
    ----------
    order : (c,) columns, group after group
    loadings : (c, q) what each column has of the factors
    own : (c,) variance that it has beside
    parts : of each group, over the columns of the group and the factors, step by step
    """

    order: Tensor
    loadings: Tensor
    own: Tensor

    def __init__(self, n_columns: int, n_steps: int, n_groups: int, n_factors: int) -> None:
        super().__init__()
        self.n_steps, self.n_factors = n_steps, n_factors
        self.sizes = [len(x) for x in torch.arange(n_columns).tensor_split(n_groups)]
        self.register_buffer("order", torch.arange(n_columns))
        self.register_buffer("loadings", torch.zeros(n_columns, n_factors, dtype=torch.float64))
        self.register_buffer("own", torch.ones(n_columns, dtype=torch.float64))
        sizes = ((size + n_factors) * n_steps for size in self.sizes)
        self.parts = nn.ModuleList(map(WindowGaussian, sizes))

    def columns(self) -> list[Tensor]:
        """Return the columns of each group."""
        return list(torch.split(self.order, self.sizes))

    def _parts(self) -> list[WindowGaussian]:
        return [cast("WindowGaussian", part) for part in self.parts]

    @property
    def location(self) -> Tensor:
        """(T * c,) where the windows lie."""
        out = self.own.new_zeros(self.n_steps, len(self.order))
        for columns, part in zip(self.columns(), self._parts(), strict=True):
            out[:, columns] = part.location.view(self.n_steps, -1)[:, : len(columns)]
        return out.flatten()

    def arrange(self, filled: Tensor) -> None:
        """Deal columns that go together to one group, and find the factors of all.

        filled : (n, T * c) completed windows
        """
        rows = filled.reshape(-1, len(self.order))
        covariance = torch.cov(rows.T)
        variance = covariance.diagonal().clamp_min(1e-9)
        alike = (covariance / variance.outer(variance).sqrt()).abs()
        self.order.copy_(_dealt(alike, self.sizes))
        values, vectors = torch.linalg.eigh(covariance)
        n_rest = len(values) - self.n_factors
        size = (values[n_rest:] - values[:n_rest].mean()).clamp_min(0).sqrt()
        self.loadings.copy_(vectors[:, n_rest:] * size)
        self.own.copy_((variance - self.loadings.square().sum(1)).maximum(LEAST_OWN * variance))

    def split(self, values: Tensor, visible: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Give columns (g,), cells and visibility (B, T * (g + q)) of each group.

        Factors are what the visible cells of the other groups say of them, the expectation.
        """
        shape = len(values), self.n_steps, -1
        values, visible = values.view(shape), visible.view(shape)
        seen, cells = visible.double(), torch.where(visible, values, 0.0).double()
        weight = self.loadings / self.own[:, None]
        pair = weight[:, :, None] * self.loadings[:, None]
        known, pull, count = torch.einsum("btc,cij->btij", seen, pair), cells @ weight, seen.sum(2)
        eye = torch.eye(self.n_factors).to(weight)
        for columns in self.columns():
            mine = seen[:, :, columns]
            left = known - torch.einsum("btc,cij->btij", mine, pair[columns])
            told = pull - cells[:, :, columns] @ weight[columns]
            factor = torch.linalg.solve(eye + left, told)
            shown = (count > mine.sum(2))[:, :, None].expand_as(factor)
            own = cells[:, :, columns], visible[:, :, columns]
            cells_of, shown_of = torch.cat([own[0], factor], 2), torch.cat([own[1], shown], 2)
            yield columns, cells_of.flatten(1), shown_of.flatten(1)

    def parted(self, cells: Cells) -> Iterator[Cells]:
        """Give of each group what `cells` are of all columns."""
        values, visible, filled = cells
        for columns, own, shown in self.split(values, visible):
            whole = own.view(len(own), self.n_steps, -1).clone()
            whole[:, :, : len(columns)] = filled.view(len(own), self.n_steps, -1)[:, :, columns]
            yield own, shown, whole.flatten(1)

    def noisier(self, noise: float) -> GroupedGaussian:
        """Return the same with so much more variance of each coordinate by itself."""
        out = copy.copy(self)
        out._modules = dict(self._modules)
        out.parts = nn.ModuleList(part.noisier(noise) for part in self._parts())
        return out

    @torch.no_grad()
    def forward(
        self, values: Tensor, visible: Tensor, location: Tensor | None = None
    ) -> Conditional:
        """Return what is guessed of each coordinate; see `WindowGaussian.forward`."""
        found = [torch.zeros_like(values, dtype=torch.float64) for _ in Conditional._fields]
        given = values if location is None else values - location
        steps = [x.view(len(values), self.n_steps, -1) for x in found]
        groups = zip(self._parts(), self.split(given, visible), strict=True)
        for part, (columns, cells, shown) in groups:
            zero = None if location is None else torch.zeros_like(cells)
            for out, x in zip(steps, part(cells, shown, zero), strict=True):
                out[:, :, columns] = x.view(len(x), self.n_steps, -1)[:, :, : len(columns)]
        mean = found[0] if location is None else found[0] + location
        return Conditional(torch.where(visible, values.double(), mean), *found[1:])

    @torch.no_grad()
    def draw(self, visible: Tensor, normal: Tensor) -> Tensor:
        """Return (B, C) deviations from the conditional mean; see `WindowGaussian.draw`."""
        out = torch.zeros(normal.shape, dtype=torch.float64, device=normal.device)
        steps, numbers = (x.view(len(out), self.n_steps, -1) for x in (out, normal))
        cells = torch.zeros_like(out)
        for part, (columns, _, shown) in zip(
            self._parts(), self.split(cells, visible), strict=True
        ):
            own = nn.functional.pad(numbers[:, :, columns], (0, self.n_factors)).flatten(1)
            drawn = part.draw(shown, own).view(len(out), self.n_steps, -1)
            steps[:, :, columns] = drawn[:, :, : len(columns)]
        return out


def _dealt(alike: Tensor, sizes: list[int]) -> Tensor:
    """Return (c,) columns, group after group: one that is left, and those most like it.

    alike : (c, c) absolute correlations
    """
    alike, order = alike.clone(), []
    for size in sizes:
        first = int(alike.sum(1).argmax())
        alike[first, first] = 2.0
        group = alike[first].topk(size).indices
        order.append(group)
        alike[group], alike[:, group] = -1.0, -1.0
    return torch.cat(order)


AnyGaussian = WindowGaussian | GroupedGaussian


class Group(NamedTuple):
    """What is fitted together.

    kinds : of windows that start at any phase, and of those of each phase, the Gaussians
    every, aligned : cells of windows that start at any phase, and of those of each phase
    number : (C,) bool, coordinates that are numbers of columns
    """

    kinds: list[list[WindowGaussian]]
    every: Cells
    aligned: list[Cells]
    number: Tensor


def new_gaussian(n_columns: int, n_steps: int, n_phases: int) -> AnyGaussian:
    """Return a Gaussian over windows that knows nothing.

    n_phases : phases at which windows have Gaussians of their own
    """
    found = plan(n_columns, n_steps, n_phases)
    if found.n_groups == 1:
        return WindowGaussian(n_columns * n_steps)
    return GroupedGaussian(n_columns, n_steps, *found)


def groups_in(
    gaussians: nn.ModuleList, every: Cells, aligned: list[Cells], number: Tensor
) -> Iterator[Group]:
    """Give the groups of columns, all of one where Gaussians are over all of them.

    Parameters
    ----------
    gaussians : by phase, kinds of Gaussians
    every, aligned, number : as in `Group`, of all columns
    """
    kinds = [list(one.children()) for one in gaussians]
    first = kinds[0][0]
    if isinstance(first, WindowGaussian):
        yield Group(cast("list[list[WindowGaussian]]", kinds), every, aligned, number)
        return
    grouped = cast("list[list[GroupedGaussian]]", kinds)
    first = grouped[0][0]
    first.arrange(every[2])
    for one in (one for some in grouped for one in some):
        for name in ("order", "loadings", "own"):
            getattr(one, name).copy_(getattr(first, name))
    parts = (first.parted(cells) for cells in (every, *aligned))
    for i, (columns, *cells) in enumerate(zip(first.columns(), *parts, strict=True)):
        own = number.view(first.n_steps, -1)[:, columns]
        own = nn.functional.pad(own, (0, first.n_factors)).flatten()
        parts_of = [[cast("WindowGaussian", one.parts[i]) for one in some] for some in grouped]
        yield Group(parts_of, cells[0], cells[1:], own)
