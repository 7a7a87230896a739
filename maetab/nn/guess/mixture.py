"""Several guesses at a cell mixed into one, by how far away its neighbours are and how each does.

The share of a guess is a softmax of what its column, the distance to the nearest visible cell,
the length of the gap, and the errors it would make at the visible cells of the same window say.
Guesses that take the usual level of a column for known count less where the window has another.
The mixture lies between its guesses, so it is never worse than the worst. Fitted on hidden cells.
How sure it is follows from how far the guesses are apart, too, and from what the mixture misses at
visible cells of the same window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from maetab.nn.adam import Adam, Group

STEPS, RATE = 150, 0.05  # of the fit
PULL = 1e-3  # that shares of a column pay for being unlike those of all
LEAST = 1e-4  # variance, of a standardised number, below which nothing is told apart
FAR = 25.0  # square of an error, in variances, from which it counts no more
# Share of a shift that counts against guesses that know of no shifts, as likelihoods have it. Where
# levels hardly moved in fit it cannot be learned. Trials, which hardly tell it from 0, .1 or 1:
# `python -m benchmarks.series_trials moving`.
DOUBT = 0.5
SHIFTED = 40.0  # most that the shift of a level is said to be, in variances
UNUSUAL = 0.01  # share of the hidden cells whose strain is taken for unusual, at either end
PRIOR = 3.0  # visible cells that count as much as what is missed everywhere
USUAL_Z, STRAINED = 0.8, 30.0  # mean |z| of normal numbers; most of one cell
MOST_STRETCH = 3.0  # log of how much wider or narrower a window may be than others


class Evidence(NamedTuple):
    """What is known of a cell beside the guesses at it; K guesses, (B, T, c, ...) each.

    guesses : (..., K) their means; at a visible cell what they would be without it
    near, gap : steps to the nearest visible cell, and from the one before to the one after
    misses : (..., K) log of the error of each guess at visible cells near by
    variance : of the cell, as the closed form gives it; if it is visible, without it
    strain : log of the mean error of the Gaussian at the visible cells of the window, in standard
        deviations that it gives itself
    shift : how far the level of the column is in this window from where the Gaussian has it: twice
        the log-likelihood that it gains if levels are unknown, 1 or so if nothing has moved
    """

    guesses: Tensor
    near: Tensor
    gap: Tensor
    misses: Tensor
    variance: Tensor
    strain: Tensor
    shift: Tensor

    def at(self, cells: Tensor) -> Evidence:
        """Return the same of some cells, (N, ...) each."""
        return Evidence(*(x[cells] for x in self))


class Mixture(nn.Module):
    """Shares of K guesses at c coordinates of a step, and how far the truth lies from the mean.

    Parameters
    ----------
    n_coordinates, n_guesses : c and K
    of_level : numbers of the guesses that take the level of a column for known
    """

    anchored: Tensor
    usual_strain: Tensor

    def __init__(self, n_coordinates: int, n_guesses: int, of_level: tuple[int, ...]) -> None:
        super().__init__()
        double = torch.float64
        self.share = nn.Parameter(torch.zeros(n_coordinates, n_guesses, dtype=double))
        self.common = nn.Parameter(torch.zeros(5, n_guesses, dtype=double))
        # Logarithm: what is seen in a window never speaks for what fails there.
        self.trust = nn.Parameter(torch.zeros((), dtype=double))
        self.scale = nn.Parameter(torch.zeros(n_coordinates, dtype=double))
        self.scale_of = nn.Parameter(torch.tensor([0.4, 0.0, 0.0, 0.1, 0.5], dtype=double))
        self.apart = nn.Parameter(torch.tensor(-1.0, dtype=double))
        self.follow = nn.Parameter(torch.tensor([0.0, 0.1], dtype=double))
        anchored = torch.zeros(n_guesses, dtype=double)
        anchored[list(of_level)] = 1.0
        self.register_buffer("anchored", anchored, persistent=False)
        self.register_buffer("usual_strain", torch.tensor([-1e9, 1e9], dtype=double))

    def forward(self, evidence: Evidence, column: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of cells, each of the shape of `evidence.near`.

        column : the coordinate of a step that each cell is
        """
        near, gap = (x.clamp(1, 1e4).log() for x in (evidence.near, evidence.gap))
        weight = self._shares(evidence, column, near, gap)
        mean = (weight * evidence.guesses).sum(-1)
        weight = weight.detach()  # shares are learned for the mean alone
        misses = (weight * evidence.misses).sum(-1)
        known = evidence.variance.clamp_min(LEAST).log()
        of_scale = torch.stack([known, near, gap, misses, evidence.strain], -1)
        log_std = (self.scale[column] + of_scale @ self.scale_of).clamp(-7, 3)
        between = (evidence.guesses - mean.detach()[..., None]).square()
        between = self.apart.exp() * (weight * between).sum(-1)
        return mean, ((2 * log_std).exp() + between).sqrt()

    def _shares(self, evidence: Evidence, column: Tensor, near: Tensor, gap: Tensor) -> Tensor:
        """Return (..., K) the share of each guess."""
        strain = evidence.strain.clamp(*self.usual_strain.unbind())
        about = torch.stack([torch.ones_like(near), near, gap, near * gap / 4, strain], -1)
        moved = DOUBT * evidence.shift.clamp(0, SHIFTED)[..., None] * self.anchored
        logit = self.share[column] + about @ self.common
        return (logit - self.trust.exp() * evidence.misses - moved).softmax(-1)

    def stretch(self, missed: Tensor) -> Tensor:
        """Return what standard deviations are multiplied by, given `surprise` of their windows."""
        log = self.follow[0] + self.follow[1].clamp_min(0) * missed
        return log.clamp(-MOST_STRETCH, MOST_STRETCH).exp()

    def fit(self, evidence: Evidence, column: Tensor, truth: Tensor) -> None:
        """Learn from hidden cells, (N, ...) each.

        Their mean by the absolute error in units of the standard deviation, so that cells between
        near neighbours count as those of long gaps do; the standard deviation by the likelihood of
        a normal distribution whose errors are clipped.
        """
        ends = torch.tensor([UNUSUAL, 1 - UNUSUAL], dtype=truth.dtype, device=truth.device)
        self.usual_strain.copy_(evidence.strain.quantile(ends))

        def loss() -> Tensor:
            mean, std = self(evidence, column)
            missed = (mean - truth).abs() / std.detach()
            ratio = ((mean - truth).detach() / std).square().clamp_max(FAR)
            pull = self.share.square().sum() + (self.scale - self.scale.mean()).square().sum()
            return (missed + std.log() + ratio / 2).mean() + PULL * pull

        follow = {id(self.follow)}
        _descend([x for x in self.parameters() if id(x) not in follow], loss)

    def fit_stretch(self, missed: Tensor, z: Tensor) -> None:
        """Learn how deviations follow what windows say of themselves, by the same likelihood.

        Parameters
        ----------
        missed : (N,) of the windows of hidden cells
        z : (N,) errors at these in standard deviations
        """

        def loss() -> Tensor:
            std = self.stretch(missed)
            return (std.log() + (z / std).square().clamp_max(FAR) / 2).mean()

        _descend([self.follow], loss)


def surprise(z: Tensor, shown: Tensor) -> Tensor:
    """Return (B, 1, c) log of what is missed at the visible cells of each window's columns.

    Parameters
    ----------
    z : (B, T, c) errors there in standard deviations
    shown : (B, T, c) bool
    """
    total = (z.abs().clamp_max(STRAINED) * shown).sum(1, keepdim=True) + PRIOR * USUAL_Z
    return (total / (shown.sum(1, keepdim=True) + PRIOR) / USUAL_Z).log()


def _descend(parameters: list[nn.Parameter], loss: Callable[[], Tensor]) -> None:
    """Move parameters towards the least loss."""
    optimizer = Adam([Group([*parameters], RATE, 0.0)], (0.9, 0.999))
    with torch.enable_grad():
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
