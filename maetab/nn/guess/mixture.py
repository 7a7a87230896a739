"""Several guesses at a cell mixed into one, by how far away its neighbours are and how each does.

The share of a guess is a softmax of what its column, the distance to the nearest visible cell,
the length of the gap, and the errors it would make at the visible cells of the same window say.
The mixture lies between its guesses, so it is never worse than the worst. Fitted on hidden cells.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

STEPS, RATE = 150, 0.05  # of the fit
PULL = 1e-3  # that shares of a column pay for being unlike those of all
LEAST = 1e-4  # variance, of a standardised number, below which nothing is told apart


class Evidence(NamedTuple):
    """What is known of a cell beside the guesses at it; K guesses, (B, T, c, ...) each.

    guesses : (..., K) their means
    near, gap : steps to the nearest visible cell, and from the one before to the one after
    misses : (..., K) log of the error of each guess at visible cells near by
    variance : of the cell, as the closed form gives it
    strain : log of the mean error of the Gaussian at the visible cells of the window, in standard
        deviations that it gives itself
    """

    guesses: Tensor
    near: Tensor
    gap: Tensor
    misses: Tensor
    variance: Tensor
    strain: Tensor

    def at(self, cells: Tensor) -> Evidence:
        """Return the same of some cells, (N, ...) each."""
        return Evidence(*(x[cells] for x in self))


class Mixture(nn.Module):
    """Shares of K guesses at c coordinates of a step, and how far the truth lies from the mean.

    Parameters
    ----------
    n_coordinates, n_guesses : c and K
    """

    def __init__(self, n_coordinates: int, n_guesses: int) -> None:
        super().__init__()
        double = torch.float64
        self.share = nn.Parameter(torch.zeros(n_coordinates, n_guesses, dtype=double))
        self.common = nn.Parameter(torch.zeros(5, n_guesses, dtype=double))
        self.trust = nn.Parameter(torch.ones((), dtype=double))
        self.scale = nn.Parameter(torch.zeros(n_coordinates, dtype=double))
        self.scale_of = nn.Parameter(torch.tensor([0.4, 0.0, 0.0, 0.1, 0.5], dtype=double))

    def forward(self, evidence: Evidence, column: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of cells, each of the shape of `evidence.near`.

        column : the coordinate of a step that each cell is
        """
        near, gap = (x.clamp(1, 1e4).log() for x in (evidence.near, evidence.gap))
        parts = torch.ones_like(near), near, gap, near * gap / 4, evidence.strain
        about = torch.stack(parts, -1)
        weight = self.share[column] + about @ self.common - self.trust * evidence.misses
        weight = weight.softmax(-1)
        mean = (weight * evidence.guesses).sum(-1)
        # Shares are learned for the mean alone.
        misses = (weight.detach() * evidence.misses).sum(-1)
        known = evidence.variance.clamp_min(LEAST).log()
        of_scale = torch.stack([known, near, gap, misses, evidence.strain], -1)
        return mean, (self.scale[column] + of_scale @ self.scale_of).clamp(-7, 3).exp()

    def fit(self, evidence: Evidence, column: Tensor, truth: Tensor) -> None:
        """Learn from hidden cells, (N, ...) each.

        Their mean by the absolute error in units of the standard deviation, so that cells between
        near neighbours count as those of long gaps do; the standard deviation by the likelihood of
        a normal distribution whose errors are clipped.
        """
        with torch.enable_grad():
            self._fit(evidence, column, truth)

    def _fit(self, evidence: Evidence, column: Tensor, truth: Tensor) -> None:
        optimizer = torch.optim.Adam(self.parameters(), lr=RATE)
        for _ in range(STEPS):
            mean, std = self(evidence, column)
            missed = (mean - truth).abs() / std.detach()
            ratio = ((mean - truth).detach() / std).square().clamp_max(25)
            pull = self.share.square().sum() + (self.scale - self.scale.mean()).square().sum()
            loss = (missed + std.log() + ratio / 2).mean() + PULL * pull
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
