"""Windows less their own level, and divided by their own spread, before they are guessed at.

A trial, see `python -m benchmarks.series_trials levels`: maetab does not do it. Of each window and
column the mean and the deviation of its visible cells less the season are shrunk, the former to 0
and the latter to 1, as by some cells more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from maetab.nn.guess import series_fit
from maetab.nn.guess.interpolation import interpolate
from maetab.nn.guess.series import Look, SeriesGuess

# Cells that the level and the spread are shrunk by; None leaves them alone.
CHOICES: dict[str, tuple[float | None, float | None]] = {
    "as it is": (None, None),
    "less level": (2.0, None),
    "less level, by spread": (2.0, 8.0),
}


def of_windows(
    rest: Tensor, shown: Tensor, level: float | None, spread: float | None
) -> tuple[Tensor, Tensor]:
    """Return level and spread (B, 1, c) of cells (B, T, c)."""
    seen = shown.to(rest.dtype)
    count, cells = seen.sum(1, keepdim=True), torch.where(shown, rest, 0.0)
    mean, one = torch.zeros_like(count), torch.ones_like(count)
    if level is not None:
        mean = cells.sum(1, keepdim=True) / (count + level)
    if spread is None:
        return mean, one
    square = ((cells - mean).square() * seen).sum(1, keepdim=True)
    return mean, ((square + spread) / (count + spread)).sqrt().clamp_min(0.05)


@contextmanager
def patched(level: float | None, spread: float | None) -> Iterator[None]:
    """Take windows less their own level and by their own spread while the block runs."""
    look, completed = SeriesGuess.look, series_fit._completed
    if level is None:
        yield
        return

    def normalised(guess: Any, windows: Any, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = [x.unflatten(1, (guess.n_steps, -1)) for x in completed(guess, windows, rows)]
        mean, std = of_windows(found[0], found[1], level, spread)
        values, filled = (((x - mean) / std).flatten(1) for x in (found[0], found[2]))
        return values, found[1].flatten(1), filled

    def looked(
        guess: SeriesGuess, cells: Tensor, shown: Tensor, clock: Any, index: Any = None
    ) -> Look:
        season = guess.season[clock.phase]
        mean, std = of_windows(cells - season, shown, level, spread)
        found = look(guess, season + (cells - season - mean) / std, shown, clock, index)
        wide, middle = std[..., None], (season + mean)[..., None]
        guesses = middle + (found.guesses - season[..., None]) * wide
        lines = interpolate(cells, shown, clock.position)
        plain = found.plain._replace(
            mean=found.plain.mean * std + mean,
            variance=found.plain.variance * std.square(),
            residual=found.plain.residual * std,
            spread=found.plain.spread * std.square(),
        )
        guesses = torch.cat([lines.mean[..., None], guesses[..., 1:]], -1)
        missed = torch.cat([(cells - lines.mean)[..., None], (found.missed * wide)[..., 1:]], -1)
        return Look(guesses, missed, lines, plain)

    def remembered(guess: Any, windows: Any, chosen: Tensor) -> Tensor:
        """Return windows less level and by spread, completed by the Gaussians of such."""
        clock = windows.clock_of(chosen)
        cells, shown, clock = guess.expand(
            *windows.take(chosen), clock and clock._replace(fold=None)
        )
        rest = cells - guess.season[clock.phase]
        mean, std = of_windows(rest, shown, level, spread)
        rest, out = ((rest - mean) / std).flatten(1), torch.zeros_like(rest.flatten(1))
        for (plain, *_), rows in guess.groups(clock):
            out[rows] = plain(rest[rows], shown.flatten(1)[rows]).mean
        return out.view(cells.shape).to(guess.remembered_cells.dtype)

    with (
        mock.patch.object(SeriesGuess, "look", looked),
        mock.patch.object(series_fit, "_completed", normalised),
        mock.patch.object(series_fit, "_whole", remembered),
    ):
        yield
