"""A guess at coordinates, read as cells: logits over bins and levels, and points."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from maetab.nn.guess.stack import Guess
from maetab.nn.support import Support


class CellGuess(NamedTuple):
    """The first guess at cells: its coordinates, logits (B, T, F, K), point and std (B, T, F).

    Visible cells have the logits of their column's marginal: their value is no guess. The point of
    a number is its mean, of a category 0; the standard deviation is that of the mean.
    """

    coordinates: Guess
    logits: Tensor
    point: Tensor
    std: Tensor


def read_guess(guess: Guess, visible: Tensor, support: Support, in_bins: bool = True) -> CellGuess:
    """Return the guess (B, T, C) as logits and points of cells (B, T, F).

    in_bins : False leaves the logits of numbers at 0, for what reads means and deviations alone
    """
    mean, variance, steps = (
        guess.mean.flatten(0, 1),
        guess.variance.flatten(0, 1),
        visible.shape[:2],
    )
    slices, first = support.coordinates.slices, support.coordinates.first
    std, number = variance[:, first].sqrt().unflatten(0, steps), support.is_number
    point = torch.where(number, mean[:, first], 0.0).unflatten(0, steps)
    if not (in_bins or any(support.n_levels)):
        return CellGuess(guess, mean.new_zeros(()).expand(*visible.shape, support.size), point, std)
    if in_bins:
        logits = support.number_logits(mean[:, first], variance[:, first])
    else:
        logits = mean.new_zeros(len(mean), len(first), support.size)
    for j, n_levels in enumerate(support.n_levels):
        if n_levels:
            logits[:, j] = support.level_logits(j, mean[:, slices[j]])
    logits = torch.where(visible[..., None], support.share.log(), logits.unflatten(0, steps))
    return CellGuess(guess, logits, point, std)


def read_points(guess: Guess, visible: Tensor, support: Support) -> Tensor:
    """Return (B, T, F) the number expected or the likeliest level.

    That is what the logits of `read_guess` say, without those of numbers, which are many.
    """
    mean, shown = guess.mean.flatten(0, 1), visible.flatten(0, 1)
    slices, first = support.coordinates.slices, support.coordinates.first
    points = torch.where(support.is_number, mean[:, first], 0.0)
    for j, n_levels in enumerate(support.n_levels):
        if n_levels:
            logits = support.level_logits(j, mean[:, slices[j]])
            logits = torch.where(shown[:, j, None], support.share[j].log(), logits)
            points[:, j] = logits.softmax(-1).argmax(-1).float()
    return points.view(visible.shape)
