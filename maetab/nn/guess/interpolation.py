"""Interpolation along time: between the nearest visible cells of a column, by distance in time."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Interpolated(NamedTuple):
    """What the nearest visible cells before and after say of each cell, (B, T, c) each.

    A cell never reads itself, so that this is also what a visible cell would be guessed to be.

    mean : between both by distance in time; of the one there is; 0 if there is none
    since, until : time from the one before, to the one after; infinite if there is none
    step : difference of the two, 0 unless there are both
    """

    mean: Tensor
    since: Tensor
    until: Tensor
    step: Tensor


def interpolate(values: Tensor, visible: Tensor, position: Tensor) -> Interpolated:
    """Return guesses at every cell from the others of its column.

    Parameters
    ----------
    values, visible : (B, T, c); what is not visible is never read
    position : (B, T) time of each step, ascending
    """
    before, since = _nearest(values, visible, position)
    after, until = (x.flip(1) for x in _nearest(values.flip(1), visible.flip(1), -position.flip(1)))
    both = since.isfinite() & until.isfinite()
    share = torch.where(both, since / (since + until).clamp_min(1e-6), since.isinf().to(since))
    mean = torch.lerp(before, after, share)
    return Interpolated(mean, since, until, torch.where(both, after - before, 0.0))


def _nearest(values: Tensor, visible: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
    """Return the last visible value before each cell, 0 for none, and the time since then."""
    step = torch.arange(values.shape[1], device=values.device)[:, None]
    last = torch.where(visible, step, -1).cummax(1).values
    last = torch.nn.functional.pad(last[:, :-1], (0, 0, 1, 0), value=-1)
    place = last.clamp_min(0)
    found = torch.where(visible, values, 0.0).gather(1, place)
    time = position[..., None].expand_as(values)
    since = torch.where(last >= 0, time - time.gather(1, place), torch.inf)
    return torch.where(last >= 0, found, 0.0), since
