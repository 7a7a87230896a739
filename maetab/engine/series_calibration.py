"""How many of its standard deviations series lie from what is predicted, as a whole and of late."""

from __future__ import annotations

import torch
from torch import Tensor

from maetab.engine.bridging import fit_line_weights
from maetab.engine.calibration import quantiles_by_column
from maetab.engine.held_out import PASSED_PAIRS, HeldOut
from maetab.engine.line_errors import fit_line_errors
from maetab.engine.runtime import Deadline
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.losses import LEAST_STD
from maetab.nn.masking import Gaps, in_whole_windows

# The part of the windows that stands for later times: the last of those that the first guess is
# fitted without, so that its errors are those of a guess that knows of earlier times alone.
LATE = 1 / 3
# Windows and masks of a window that are looked at, of the course and as many of its last part.
MOST_WINDOWS, MOST_CELLS, MASKS = 1000, 100_000, 8


@torch.no_grad()
def calibrate_series(
    model: Ensemble,
    table: HeldOut,
    deadline: Deadline,
    generator: torch.Generator,
) -> None:
    """Remember by how many standard deviations predictions miss cells that are hidden anew.

    Windows are predicted by a first guess that was fitted without their part of the course. Times
    to come are no part of it: quantiles are those of the last part where they are wider than those
    of all, column by column.

    Parameters
    ----------
    deadline : as many windows are looked at as there is time for, one batch of each part at least
    """
    model.eval()
    fit_line_errors(model, table.windows)
    fit_line_weights(model, table.windows, lambda: deadline.left() < 0)
    samples = [_sample(table, first, generator) for first in (0, _late(len(table)))]
    most = len(samples[0])

    def work(n: int) -> None:  # what it draws is not to change what is drawn later
        apart = torch.Generator(generator.device).manual_seed(0)
        _look(model, table, samples[0][:n], apart)

    n_rows = deadline.affordable(work, most, passes=len(samples))
    found = []
    for sample in samples:
        sample = sample[: max(1, n_rows)]
        looks = []
        for i, rows in enumerate(sample.split(table.max_batch_rows(256, PASSED_PAIRS))):
            if i and deadline.left() < 0:
                break
            looks.append(_look(model, table, rows, generator))
        z, hidden = map(torch.cat, zip(*looks, strict=True))
        found.append(quantiles_by_column(z, hidden & model.support.is_number))
    course, late = found
    if course is not None:
        model.residual_quantiles.copy_(course if late is None else wider(course, late))


def _late(n: int) -> int:
    """Return the first of n windows that stands for later times."""
    return min(n - 1, round((1 - LATE) * n))


def _sample(table: HeldOut, first: int, generator: torch.Generator) -> Tensor:
    """Return windows from `first` on, several times each where they are few, in random order."""
    n, device = len(table) - first, table.held.device
    most = max(1, min(MOST_WINDOWS, MOST_CELLS // table.n_cells, MASKS * n))
    chosen = torch.linspace(0, MASKS * n - 1, most, device=device).long() % n
    return first + chosen[torch.randperm(most, generator=generator, device=device)]


def _look(
    model: Ensemble, table: HeldOut, rows: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return errors in standard deviations of cells of some windows, and which were hidden."""
    values, observed = table.windows.take(rows)
    hidden = Gaps()(observed, generator)
    if isinstance(model.guess, SeriesGuess):
        hidden = in_whole_windows(hidden, observed, model.guess.moving)
    index, clock = table.windows.memory_index(rows), table.windows.clock_of(rows)
    _, points, std = model.predicted(values, observed & ~hidden, index, clock=clock)
    return ((values - points) / std.clamp_min(LEAST_STD)).flatten(0, 1), hidden.flatten(0, 1)


def wider(one: Tensor, other: Tensor) -> Tensor:
    """Return quantiles (F, N): of two the farther from the middle, in the middle those of one."""
    middle = one.shape[1] // 2
    out = one.clone()
    out[:, :middle] = torch.minimum(one, other)[:, :middle]
    out[:, middle + 1 :] = torch.maximum(one, other)[:, middle + 1 :]
    return out
