"""A Gaussian over all cells of a window: conditionals, leave-one-out guesses, joint draws.

What a row of the covariance costs is the smaller of what is visible and what is hidden: hidden
cells are read from the inverse of the covariance of what is visible, or from that of the block of
the precision that is hidden, which say the same (Rue and Held 2005, theorem 2.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

ENTRIES = 8_000_000  # of systems that are solved together
STEP = 16  # systems have sizes that are multiples of this, so that few are apart


class Conditional(NamedTuple):
    """What the other cells say of each coordinate, (B, C) each.

    mean, variance : of what is hidden; the value and 0 where visible
    residual, spread : a visible value less its guess from the other visible ones, and the variance
        of that guess; 0 and 1 elsewhere
    """

    mean: Tensor
    variance: Tensor
    residual: Tensor
    spread: Tensor


class WindowGaussian(nn.Module):
    """A multivariate normal over the C coordinates of a window, full covariance.

    Parameters
    ----------
    n_coordinates : C
    """

    location: Tensor
    covariance: Tensor
    precision: Tensor

    def __init__(self, n_coordinates: int) -> None:
        super().__init__()
        c, double = n_coordinates, torch.float64
        self.register_buffer("location", torch.zeros(c, dtype=double))
        self.register_buffer("covariance", torch.eye(c, dtype=double))
        self.register_buffer("precision", torch.eye(c, dtype=double))

    def set(self, location: Tensor, covariance: Tensor) -> WindowGaussian:
        """Take over a location (C,) and a positive definite covariance (C, C)."""
        self.location.copy_(location)
        self.covariance.copy_(covariance)
        self.precision.copy_(torch.cholesky_inverse(torch.linalg.cholesky(covariance)))
        return self

    def noisier(self, noise: float) -> WindowGaussian:
        """Return the same with so much more variance of each coordinate by itself."""
        more = noise * torch.eye(len(self.location)).to(self.covariance)
        gaussian = WindowGaussian(len(more)).to(more.device)
        return gaussian.set(self.location, self.covariance + more)

    @torch.no_grad()
    def forward(
        self, values: Tensor, visible: Tensor, location: Tensor | None = None
    ) -> Conditional:
        """Return what is guessed of each coordinate, in double precision.

        Parameters
        ----------
        values : (B, C); what is not visible is never read
        visible : (B, C) bool
        location : (B, C) of each window, in place of that of all
        """
        location = self.location if location is None else location
        centred = torch.where(visible, values.double() - location, 0.0)
        mean, variance = torch.zeros_like(centred), torch.zeros_like(centred)
        residual, spread = torch.zeros_like(centred), torch.ones_like(centred)
        for rows, part in self._systems(visible):
            solve = self._from_hidden if part.is_hidden else self._from_visible
            found = solve(centred[rows], visible[rows], part)
            mean[rows], variance[rows], residual[rows], spread[rows] = found
        mean = torch.where(visible, values.double(), mean + location)
        return Conditional(mean, variance.clamp_min(0), residual, spread.clamp_min(1e-9))

    @torch.no_grad()
    def expect(self, values: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Return completed values (B, C), and the sum (C, C) of their conditional covariances."""
        centred = torch.where(visible, values.double() - self.location, 0.0)
        mean, n = torch.zeros_like(centred), 0
        of_hidden, of_visible = torch.zeros_like(self.covariance), torch.zeros_like(self.covariance)
        for rows, part in self._systems(visible):
            inverse = part.inverse(self.precision if part.is_hidden else self.covariance)
            where = part.where[:, :, None] * len(self.location) + part.where[:, None, :]
            total = of_hidden if part.is_hidden else of_visible
            total.view(-1).index_add_(0, where.flatten(), inverse.flatten())
            mean[rows] = self._mean(centred[rows], inverse, part)
            n += 0 if part.is_hidden else len(rows)
        covariance = of_hidden + n * self.covariance
        covariance -= self.covariance @ of_visible @ self.covariance
        return torch.where(visible, values.double(), mean + self.location), covariance

    @torch.no_grad()
    def draw(self, visible: Tensor, normal: Tensor) -> Tensor:
        """Return (B, C) deviations from the conditional mean, drawn jointly; 0 where visible.

        normal : (B, C) independent standard normal numbers
        """
        out = torch.zeros(visible.shape, dtype=torch.float64, device=visible.device)
        for rows, part in _systems(visible, torch.ones(len(visible), dtype=torch.bool)):
            factor = part.factor(self.precision)
            drawn = torch.where(part.inside, normal[rows].double().gather(1, part.where), 0.0)
            solved = torch.linalg.solve_triangular(
                factor.transpose(1, 2), drawn[:, :, None], upper=True
            )
            out[rows] = part.scatter(solved[:, :, 0], visible.shape[1])
        return out

    # ---- systems of one size

    def _systems(self, visible: Tensor) -> Iterator[tuple[Tensor, _Part]]:
        n_visible = visible.sum(1)
        return _systems(visible, visible.shape[1] - n_visible <= n_visible)

    def _mean(self, centred: Tensor, inverse: Tensor, part: _Part) -> Tensor:
        """Return (B, C) conditional means, of what is visible the value."""
        c = centred.shape[1]
        if part.is_hidden:
            pull = part.gather(centred @ self.precision)
            hidden = -(inverse @ pull[:, :, None])[:, :, 0]
            return centred + part.scatter(hidden, c)
        weight = (inverse @ part.gather(centred)[:, :, None])[:, :, 0]
        return part.scatter(weight, c) @ self.covariance

    def _from_hidden(self, centred: Tensor, visible: Tensor, part: _Part) -> tuple[Tensor, ...]:
        c = centred.shape[1]
        factor = part.factor(self.precision)
        inverse = part.masked(torch.cholesky_inverse(factor))
        mean = self._mean(centred, inverse, part)
        variance = part.scatter(inverse.diagonal(dim1=1, dim2=2), c)
        cross = torch.where(part.inside[:, :, None], self.precision[part.where], 0.0)
        cross = torch.linalg.solve_triangular(factor, cross, upper=False)
        own = self.precision.diagonal() - cross.square().sum(1)
        own = torch.where(visible, own.clamp_min(1e-9), 1.0)
        residual = torch.where(visible, (mean @ self.precision) / own, 0.0)
        return mean, variance, residual, 1 / own

    def _from_visible(self, centred: Tensor, visible: Tensor, part: _Part) -> tuple[Tensor, ...]:
        c = centred.shape[1]
        factor = part.factor(self.covariance)
        inverse = part.masked(torch.cholesky_inverse(factor))
        weight = (inverse @ part.gather(centred)[:, :, None])[:, :, 0]
        pull = part.scatter(weight, c)
        cross = torch.where(part.inside[:, :, None], self.covariance[part.where], 0.0)
        cross = torch.linalg.solve_triangular(factor, cross, upper=False)
        variance = self.covariance.diagonal() - cross.square().sum(1)
        own = part.scatter(inverse.diagonal(dim1=1, dim2=2), c)
        own = torch.where(visible, own.clamp_min(1e-9), 1.0)
        residual = torch.where(visible, pull / own, 0.0)
        return pull @ self.covariance, torch.where(visible, 0.0, variance), residual, 1 / own


class _Part(NamedTuple):
    """Some coordinates of each window: where they are (B, m), and which places are taken (B, m)."""

    where: Tensor
    inside: Tensor
    is_hidden: bool

    def gather(self, x: Tensor) -> Tensor:
        return torch.where(self.inside, x.gather(1, self.where), 0.0)

    def scatter(self, x: Tensor, n_coordinates: int) -> Tensor:
        out = x.new_zeros(len(x), n_coordinates)
        return out.scatter_add_(1, self.where, torch.where(self.inside, x, 0.0))

    def masked(self, square: Tensor) -> Tensor:
        return torch.where(self.inside[:, :, None] & self.inside[:, None, :], square, 0.0)

    def factor(self, matrix: Tensor) -> Tensor:
        """Return (B, m, m) Cholesky factors of blocks of (C, C); the identity where none is."""
        block = self.masked(matrix[self.where[:, :, None], self.where[:, None, :]])
        block.diagonal(dim1=1, dim2=2).add_((~self.inside).double())
        return torch.linalg.cholesky(block)

    def inverse(self, matrix: Tensor) -> Tensor:
        return self.masked(torch.cholesky_inverse(self.factor(matrix)))


def _systems(visible: Tensor, by_hidden: Tensor) -> Iterator[tuple[Tensor, _Part]]:
    """Give (rows, coordinates), windows whose systems have one size together.

    by_hidden : (B,) bool, True for windows that are solved by what is hidden
    """
    chosen = torch.where(by_hidden.to(visible.device)[:, None], ~visible, visible)
    size = (chosen.sum(1).clamp_min(1) + STEP - 1) // STEP * STEP
    kind = 2 * size + by_hidden.to(size.device).long()
    for one in kind.unique().tolist():
        rows, m = (kind == one).nonzero()[:, 0], min(one // 2, visible.shape[1])
        for part in rows.split(max(1, ENTRIES // (m * visible.shape[1]))):
            picked = chosen[part].to(torch.int8)
            where = picked.argsort(dim=1, descending=True, stable=True)[:, :m]
            yield part, _Part(where, picked.gather(1, where).bool(), bool(one % 2))
