"""The covariance of windows: EM from interpolated values, shrunk to what is alike along time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from maetab.nn.guess.window_gaussian import WindowGaussian

# Half or so of each round's covariance of windows at every phase is replaced by its mean along the
# diagonals of time, half of that of windows which start at one phase by that of all. Chosen among
# .5 to 1 in trials on ETT_h1 with masks of their own: ETT_h1 is no fair judge of them, others in
# benchmarks/series.py are. `python -m benchmarks.series_trials filling` prints trials.
ALONG_TIME, OF_ALL = 0.6, 0.5
LEAST = 1e-4  # variance along any direction
ROUNDS = 4


def fit_covariance(
    values: Tensor,
    visible: Tensor,
    start: Tensor,
    shrink: Callable[[Tensor], Tensor],
    noise: float,
    should_stop: Callable[[], bool],
    n_alike: int = 1,
) -> WindowGaussian:
    """Return a Gaussian fitted by EM (Little and Rubin 2019, section 11.2).

    Parameters
    ----------
    values, visible : (n, C)
    start : (n, C) completed values to start from
    shrink : of the covariance of each round, what takes its place
    noise : variance that is added to the diagonal: what neighbouring steps do not share
    should_stop : True ends it after a round
    n_alike : steps that have one location
    """
    gaussian = WindowGaussian(values.shape[1]).to(values.device)
    filled, unit = start.double(), gaussian.covariance.clone()
    rest = torch.zeros_like(unit)
    for i in range(ROUNDS + 1):
        location = filled.mean(0).view(n_alike, -1).mean(0).repeat(n_alike)
        centred = filled - location
        covariance = shrink((centred.T @ centred + rest) / len(filled)) + noise * unit
        gaussian.set(location, (covariance + covariance.T) / 2)
        if i == ROUNDS or should_stop():
            break
        filled, rest = gaussian.expect(values, visible)
    return gaussian


def along_time(covariance: Tensor, n_steps: int) -> Tensor:
    """Return (C, C), positive definite: the same between steps of one distance, and nearest to it.

    covariance : (T * c, T * c), step by step
    """
    t, c = n_steps, len(covariance) // n_steps
    blocks = covariance.view(t, c, t, c).permute(0, 2, 1, 3)
    lag = torch.arange(t, device=covariance.device)
    lag = (lag[None, :] - lag[:, None]) + t - 1  # (T, T)
    total = covariance.new_zeros(2 * t - 1, c, c).index_add_(0, lag.flatten(), blocks.flatten(0, 1))
    count = torch.bincount(lag.flatten(), minlength=2 * t - 1)[:, None, None]
    even = (total / count)[lag].permute(0, 2, 1, 3).reshape(t * c, t * c)
    values, vectors = torch.linalg.eigh((even + even.T) / 2)
    return (vectors * values.clamp_min(LEAST)) @ vectors.T


def fit_gaussians(
    windows: tuple[Tensor, Tensor, Tensor],
    aligned: list[tuple[Tensor, Tensor, Tensor]],
    n_steps: int,
    noise: float,
    should_stop: Callable[[], bool],
    steady: bool,
) -> list[WindowGaussian]:
    """Return Gaussians of windows that start anywhere, and of those of each phase.

    Parameters
    ----------
    windows : values, visible and completed values (n, C) of windows that start anywhere
    aligned : the same of windows that start at one phase, for each phase there is; a phase without
        windows has the Gaussian of all
    noise : as in `fit_covariance`
    steady : whether all steps have one location, and all of the covariance is alike along time
    """
    n_alike, share = (n_steps, 1.0) if steady else (1, ALONG_TIME)

    def even(covariance: Tensor) -> Tensor:
        return torch.lerp(covariance, along_time(covariance, n_steps), share)

    every = fit_covariance(*windows, even, noise, should_stop, n_alike)
    found = [every]
    for cells in aligned:
        if not len(cells[0]):
            found.append(every)
            continue

        def shrunk(covariance: Tensor) -> Tensor:
            return torch.lerp(covariance, every.covariance, OF_ALL)

        found.append(fit_covariance(*cells, shrunk, noise, should_stop, n_alike))
    return found
