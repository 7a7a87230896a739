"""What the steps of a training read, each made of its number alone.

So a training that was stopped goes on with the batches that it would have had, and processes that
share a training know what the others read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from maetab.engine.held_out import HeldOut
from maetab.engine.options import FitOptions
from maetab.engine.processes import Processes
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.cells import CellGuess
from maetab.nn.guess.series import N_FEATURES
from maetab.nn.windows import Clock

N_MASKS = 4  # masks that a row is seen with where the first guesses are kept
SERIES_BATCHES = 300  # batches of series that differ
ORDER, MASKS, AGAIN, STEP, HELD_OUT = range(5)  # what is drawn by numbers of their own


class Batch(NamedTuple):
    """What a step reads: windows (B,), their visible and hidden cells (B, T, F).

    guess, clock : of the windows that are of this process, `own`
    """

    rows: Tensor
    visible: Tensor
    hidden: Tensor
    own: slice
    guess: CellGuess
    clock: Clock | None


class Batches:
    """The batches of a training, by the number of the step.

    The first guess at a window costs as much as the step that reads it, of series several times as
    much. So a number of batches is kept, where there is room for them, and comes again, those of an
    epoch in another order each time.

    Parameters
    ----------
    size : windows in a batch, those of all processes
    steps : of the training
    group : processes, each of which guesses at its share of the windows of a batch
    """

    def __init__(
        self,
        model: Ensemble,
        table: HeldOut,
        options: FitOptions,
        size: int,
        steps: int,
        group: Processes,
    ) -> None:
        self.model, self.table, self.options = model, table, options
        self.size, self.group = size, group
        n, device = len(table), table.held.device
        self.learned = torch.arange(n, device=device) if table.learned is None else table.learned
        self.per_epoch = max(1, len(self.learned) // size)
        self.n_distinct = self._n_distinct(steps)
        self.keeps = self.n_distinct < steps
        self.kept: dict[int, Batch] = {}
        self.orders: dict[tuple[int, int], Tensor] = {}

    def _n_distinct(self, steps: int) -> int:
        """Return how many batches differ."""
        row = self.table.windows.rows.shape[1] * self._row_bytes()
        if self.model.is_series:
            most = int(self.options.kept_bytes / (self.size * row))
            return min(steps, max(1, min(SERIES_BATCHES, most)))
        fits = len(self.table) * N_MASKS * row <= self.options.kept_bytes
        return min(steps, N_MASKS * self.per_epoch) if fits else steps

    def _row_bytes(self) -> int:
        """Return the bytes of one row's part of a `Batch`: logits, guesses, visible and hidden."""
        f, k = self.model.support.share.shape
        step_size = self.model.guess.coordinates.step_size
        if self.model.is_series:
            k = k if any(self.model.config.n_levels) else 2
            return 4 * (f * k + (5 + N_FEATURES) * step_size) + 2 * f
        return 4 * (f * k + 5 * step_size) + 2 * f

    def generator(self, kind: int, number: int) -> torch.Generator:
        """Return what draws what is of a kind and number."""
        seed = seed_of(self.options.seed, kind, number)
        return torch.Generator(self.table.held.device).manual_seed(seed)

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step, which counts from 0."""
        again, number = divmod(step, self.n_distinct)
        if again:  # those of an epoch in another order
            first = number - number % self.per_epoch
            size = min(self.per_epoch, self.n_distinct - first)
            order = self._order(AGAIN, step - number + first, size)
            number = first + int(order[number - first])
        if number in self.kept:
            return self.kept[number]
        batch = self._new(number)
        if self.keeps:
            self.kept[number] = batch
        return batch

    def _order(self, kind: int, number: int, n: int) -> Tensor:
        """Return the order of an epoch; that asked for last is kept."""
        if (kind, number) not in self.orders:
            self.orders = {key: x for key, x in self.orders.items() if key[0] != kind}
            generator = self.generator(kind, number)
            drawn = torch.randperm(n, generator=generator, device=generator.device)
            self.orders[kind, number] = drawn
        return self.orders[kind, number]

    def _new(self, number: int) -> Batch:
        """Return windows, each once in an epoch, their masks, and first guesses."""
        epoch, place = divmod(number, self.per_epoch)
        order = self._order(ORDER, epoch, len(self.learned))
        rows = self.learned[order[place * self.size : (place + 1) * self.size]]
        _, allowed, _ = self.table.cells(rows)
        hidden = self._hidden(allowed, self.generator(MASKS, number))
        visible = allowed & ~hidden
        own = part_of(len(rows), self.group)
        clock = self.table.windows.clock_of(rows[own])
        guess = first_guess(self.model, self.table, rows[own], visible[own])
        return Batch(rows, visible, hidden, own, guess, clock)

    def _hidden(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Return the cells that the masking hides, checked: it may be the user's own."""
        hidden = self.options.masking(observed, generator)
        fits = isinstance(hidden, Tensor) and hidden.shape == observed.shape
        fits = fits and hidden.dtype == torch.bool and hidden.device == observed.device
        if not fits or (hidden & ~observed).any():
            raise ValueError(
                f"The 'masking' parameter must give a bool tensor of the shape of the observed "
                f"cells, {tuple(observed.shape)}, on their device, {observed.device}, that is True "
                f"only where these are; {self.options.masking!r} does not."
            )
        return hidden


def first_guess(model: Ensemble, table: HeldOut, rows: Tensor, visible: Tensor) -> CellGuess:
    """Return the first guess at windows (B,) of which these cells (B, T, F) are visible."""
    values, _ = table.windows.take(rows)
    index, clock = table.windows.memory_index(rows), table.windows.clock_of(rows)
    return model.first_guess(values, visible, index, clock=clock)


def part_of(n: int, group: Processes) -> slice:
    """Return which of n are of a process; the first have one more where they differ."""
    each, more = divmod(n, group.size)
    start = group.rank * each + min(group.rank, more)
    return slice(start, start + each + (group.rank < more))


def seed_of(*numbers: int) -> int:
    """Return a seed for torch, another one for other numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
