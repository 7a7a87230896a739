"""How strange the cells and windows of series are, by the Gaussian of the first guess alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from maetab.engine.inference import FARTHEST, batch_size, batches, on_device, padded_clock
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.guess.window_gaussian import WindowGaussian
from maetab.nn.windows import Clock, Windows

# Variance, in those of a column, that is added to what windows are measured by: what is odd in
# stretches is how far and how long a series goes, more than which fine course it takes. Chosen in
# trials on the choosing half of benchmarks/series_detect.py (a tenth of it was worse), of which no
# script is kept; what is reported is the judging half.
NOISE = 1.0
USUAL, PRIOR = 0.8, 3.0  # mean |z| of a normal distribution; cells that it counts as much as
LEAST = 1e-6  # probability of a level
WILD = 6.0  # so that one wild cell does not make the rows beside it strange


class Strange(NamedTuple):
    """How strange windows are.

    cells : (W, T, F) log(1 + z) of each cell, z how many standard deviations it lies from what the
        other cells of its window say, in units of the mean z of its column there; of a category
        z is minus the logarithm of the level's probability; NaN where nothing is observed
    energy : (W, T) mean square of a window's cells in the metric of what is usual, each cell moved
        to within `WILD` standard deviations of what the others say; of all steps the same
    """

    cells: np.ndarray
    energy: np.ndarray


@torch.inference_mode()
def strangeness(model: Ensemble, windows: Windows, device: torch.device) -> Strange:
    """Return how strange the cells of windows are, none of which sees itself."""
    guess = model.guess
    assert isinstance(guess, SeriesGuess)
    shape = windows.rows.shape
    cells = np.full((*shape, windows.values.shape[1]), np.nan)
    energy, size = np.full(shape, np.nan), batch_size(model, windows)
    with on_device(model, device):
        noisy: dict[int, WindowGaussian] = {}
        for found, values, observed in batches(windows, device, size):
            clock = padded_clock(windows, found, size, device)
            given = values.clamp(-FARTHEST, FARTHEST)
            x, shown, clock = guess.expand(given, observed, clock)
            look = guess.look(x, shown, clock)
            z = look.plain.residual.abs() / look.plain.spread.sqrt()
            odd = _of_cells(model, z, look.plain.residual, values, observed)
            most = WILD * look.plain.spread.sqrt()
            tame = x - look.plain.residual + look.plain.residual.clamp(-most, most)
            far = _energy(guess, tame - guess.season[clock.phase], shown, clock, noisy)
            n = found.stop - found.start
            # In single precision, which no sum's order reaches: the same in any company.
            cells[found] = odd[:n].float().cpu().numpy()
            energy[found] = far[:n, None].float().cpu().numpy()
    return Strange(cells, energy)


def _of_cells(
    model: Ensemble, z: Tensor, residual: Tensor, values: Tensor, observed: Tensor
) -> Tensor:
    """Return (B, T, F) the `cells` of `Strange`, from z and residuals of coordinates (B, T, c)."""
    own = model.support.coordinates
    odd = z[..., own.first]
    for j, n_levels in enumerate(model.config.n_levels):
        if n_levels:  # the indicator of its level, less the guess at it
            code = values[..., j : j + 1].long().clamp(max=n_levels - 1)
            missed = residual[..., own.slices[j]].gather(-1, code)[..., 0]
            known = values[..., j] < n_levels
            chance = torch.where(known, 1 - missed, 0.0).clamp(LEAST, 1)
            odd[..., j] = -chance.log()
    odd = torch.where(observed, odd, 0.0)
    others = odd.sum(1, keepdim=True) - odd, observed.sum(1, keepdim=True) - 1
    usual = (others[0] + PRIOR * USUAL) / (others[1].clamp_min(0) + PRIOR)
    return torch.where(observed, (odd / usual).log1p(), torch.nan)


def _energy(
    guess: SeriesGuess,
    rest: Tensor,
    shown: Tensor,
    clock: Clock,
    noisy: dict[int, WindowGaussian],
) -> Tensor:
    """Return (B,) mean squares of what is visible; NaN where nothing is."""
    out = torch.full((len(rest),), torch.nan, dtype=torch.float64, device=rest.device)
    rest, seen = rest.flatten(1), shown.flatten(1)
    for (plain, *_), rows in guess.groups(clock):
        if id(plain) not in noisy:
            more = NOISE * torch.eye(len(plain.location)).to(plain.covariance)
            gaussian = WindowGaussian(len(more)).to(more.device)
            noisy[id(plain)] = gaussian.set(plain.location, plain.covariance + more)
        found = noisy[id(plain)](rest[rows], seen[rows])
        centred = torch.where(seen[rows], rest[rows] - plain.location, 0.0)
        total = (centred * found.residual / found.spread).sum(1)
        out[rows] = total / seen[rows].sum(1)
    return out
