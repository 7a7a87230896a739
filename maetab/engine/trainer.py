"""The training of one network: batches, masks, schedule, early stop, history."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from maetab.engine.held_out import PASSED_PAIRS, HeldOut
from maetab.engine.options import FitOptions, Record
from maetab.engine.runtime import Deadline, training_precision
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.cells import CellGuess
from maetab.nn.guess.series import N_FEATURES
from maetab.nn.losses import Prediction, Residual
from maetab.nn.masking import swap
from maetab.nn.windows import Clock

# The first optimizer of a process makes torch import its compiler, which takes seconds: better here
# than within the time of a fit.
torch.optim.SGD([torch.zeros(1)], lr=1.0)

N_MASKS = 4  # masks that a row is seen with where the first guesses are kept
# Times the held-out cells are looked at in a full run, and steps between two at least where
# `max_iter` is None: a look costs as much as some steps.
CHECKS, STEPS_APART = 12, 5
# When `max_iter` is None: steps at least, and the rows of a table from which on all epochs are
# made. With fewer rows fewer are: they bring less, and the first guess is hard to beat.
LEAST_STEPS, MANY_ROWS = 20, 20_000
# Of series, whose guesses know nothing of the windows that are learned from: steps, batches that
# differ, and cells in a step.
SERIES_STEPS, SERIES_BATCHES, SERIES_CELLS = 900, 300, 6000


class Batch(NamedTuple):
    """What a step reads: windows (B,), their visible and hidden cells (B, T, F), and the guess."""

    rows: Tensor
    visible: Tensor
    hidden: Tensor
    guess: CellGuess
    clock: Clock | None


class Trainer:
    """The training of the network of a model.

    Parameters
    ----------
    table : the windows, and the cells held out
    until : when it is to end
    n_checked : windows with held-out cells that are looked at while it trains
    """

    def __init__(
        self,
        model: Ensemble,
        table: HeldOut,
        options: FitOptions,
        until: Deadline,
        n_checked: int,
    ) -> None:
        self.model, self.table, self.options = model, table, options
        self.network: Any = model.members[0]
        self.until = until
        self.progress(0.0)
        n = len(table) if table.learned is None else len(table.learned)
        self.batch_size = min(n, table.max_batch_rows(options.batch_size))
        if model.is_series:
            self.batch_size = min(self.batch_size, max(8, SERIES_CELLS // table.n_cells))
        self.per_epoch = max(1, n // self.batch_size)
        self.steps = self._n_steps()
        self.optimizer = _optimizer(self.network, options.learning_rate, options.weight_decay)
        self.schedule = _schedule(self.optimizer, self.steps)
        self.kept: list[list[Batch]] = []
        kept_bytes = table.windows.rows.numel() * N_MASKS * self._row_bytes()
        several = self.steps > N_MASKS * self.per_epoch
        self.keeps = several and kept_bytes <= options.kept_bytes
        self.checked = self._checked(n_checked)
        self.waited, self.best = 0, math.inf
        self.best_state: dict[str, Tensor] = {}
        self.losses: list[Tensor] = []

    def _n_steps(self) -> int:
        """Return how many steps are taken, if nothing ends them before."""
        options = self.options
        if options.max_iter:
            return options.max_iter * self.per_epoch
        if self.model.is_series:
            return SERIES_STEPS
        most = options.most_cells // (self.batch_size * self.table.n_cells)
        share = min(1.0, len(self.table) / MANY_ROWS)
        return max(LEAST_STEPS, min(round(share * options.epochs * self.per_epoch), most))

    def _row_bytes(self) -> int:
        """Return the bytes of one row's part of a `Batch`: logits, guesses, visible and hidden."""
        f, k = self.model.support.share.shape
        if self.model.is_series:
            k = k if any(self.model.config.n_levels) else 2
            return 4 * (f * k + (5 + N_FEATURES) * self.model.guess.coordinates.step_size) + 2 * f
        return 4 * (f * k + 5 * self.model.guess.coordinates.step_size) + 2 * f

    def _checked(self, n_checked: int) -> list[tuple[Tensor, CellGuess]]:
        """Return windows with held-out cells, in batches, and the first guess at them."""
        rows = self.table.judged
        if rows is None:
            held = self.table.windows.take(slice(None), self.table.held)[1]
            rows = held.flatten(1).any(1).nonzero()[:, 0]
        rows = rows[:: max(1, len(rows) // self.table.max_batch_rows(min(1000, n_checked)))]
        batches = rows.split(self.table.max_batch_rows(2000, PASSED_PAIRS)) if len(rows) else ()
        return [(part, self._guess(part, self.table.cells(part)[1])) for part in batches]

    def _guess(self, rows: Tensor, visible: Tensor) -> CellGuess:
        windows = self.table.windows
        values, _ = windows.take(rows)
        index, clock = windows.memory_index(rows), windows.clock_of(rows)
        return self.model.first_guess(values, visible, index, clock=clock)

    def progress(self, share: float) -> None:
        self.options.on_progress("network", share)

    def train(self, generator: torch.Generator) -> list[Record]:
        """Train to the end, the time limit or the point where held-out cells stop gaining."""
        self.best, self.best_state = self.check(), copy.deepcopy(self.network.state_dict())
        records: list[Record] = []
        least = STEPS_APART if self.options.max_iter is None else 1
        every, begun = max(least, self.steps // CHECKS), time.monotonic()
        left = self.until.left()
        for step, batch in enumerate(self.batches(generator), 1):
            self.losses.append(self.step(batch, generator))
            self.progress(step / self.steps)
            before, left = left, self.until.left()
            timed_out = left < before - left  # another step would end too late
            if step % every and step < self.steps and not timed_out:
                continue
            records.append(self._record(step, time.monotonic() - begun))
            if self._should_stop(records[-1]) or timed_out:
                break
        self.network.load_state_dict(self.best_state)
        return records

    def _record(self, step: int, seconds: float) -> Record:
        """Return what is known after a step; the losses before it are forgotten."""
        train_loss, self.losses = float(torch.stack(self.losses).mean()), []
        return {
            "network": 0,  # models of 0.1.0 had several
            "step": step,
            "epoch": math.ceil(step / self.per_epoch),
            "train_loss": train_loss,
            "validation_loss": self.check(),
            "learning_rate": float(self.schedule.get_last_lr()[0]),
            "seconds": seconds,
        }

    def _should_stop(self, record: Record) -> bool:
        """Whether held-out cells no longer gain or somebody asks for it; keeps the best state."""
        stop = self.options.on_record and self.options.on_record(record)
        if record["validation_loss"] < self.best or not self.checked:
            self.waited, self.best = 0, record["validation_loss"]
            self.best_state = copy.deepcopy(self.network.state_dict())
        else:
            self.waited += 1
        return stop is True or self.waited >= self.options.n_iter_no_change

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """Give the batches of all epochs."""
        if self.model.is_series:
            yield from self._pooled(generator)
            return
        epochs = (self._epoch(i, generator) for i in range(-(-self.steps // self.per_epoch)))
        yield from islice(chain.from_iterable(epochs), self.steps)

    def _epoch(self, epoch: int, generator: torch.Generator) -> Iterator[Batch]:
        """Give the batches of an epoch: windows, masks and first guesses.

        The first guess costs as much as the step itself, so after `N_MASKS` epochs those seen
        before come again, in another order.
        """
        device = self.table.held.device
        if self.keeps and epoch >= N_MASKS:
            known = self.kept[epoch % N_MASKS]
            for i in torch.randperm(len(known), generator=generator, device=device).tolist():
                yield known[i]
            return
        self.kept.append([])
        for batch in self._new_batches(generator):
            if self.keeps:
                self.kept[-1].append(batch)
            yield batch

    def _pooled(self, generator: torch.Generator) -> Iterator[Batch]:
        """Give the batches of series: new ones first, then those again, in an order of each round.

        The guess at windows of many steps costs several times the step itself.
        """
        size = self.batch_size * self.table.windows.rows.shape[1] * self._row_bytes()
        most = max(1, min(SERIES_BATCHES, self.options.kept_bytes // size))
        pool: list[Batch] = []
        while len(pool) < min(most, self.steps):
            for batch in self._new_batches(generator):
                pool.append(batch)
                yield batch
                if len(pool) == min(most, self.steps):
                    break
        given, device = len(pool), self.table.held.device
        while given < self.steps:
            for i in torch.randperm(len(pool), generator=generator, device=device).tolist():
                if given < self.steps:
                    given += 1
                    yield pool[i]

    def _new_batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """Give windows, masks and first guesses, each window once."""
        device = self.table.held.device
        learned = self.table.learned
        n = len(self.table) if learned is None else len(learned)
        order = torch.randperm(n, generator=generator, device=device)
        order = order if learned is None else learned[order]
        for rows in order.split(self.batch_size)[: self.per_epoch]:
            _, allowed, _ = self.table.cells(rows)
            hidden = self._hidden(allowed, generator)
            visible = allowed & ~hidden
            clock = self.table.windows.clock_of(rows)
            yield Batch(rows, visible, hidden, self._guess(rows, visible), clock)

    def _hidden(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Return the cells that the masking hides, checked: it may be the user's own."""
        hidden = self.options.masking(observed, generator)
        fits = isinstance(hidden, Tensor) and hidden.shape == observed.shape
        if not fits or hidden.dtype != torch.bool or (hidden & ~observed).any():
            raise ValueError(
                f"The 'masking' parameter must give a bool tensor of the shape of the observed "
                f"cells, {tuple(observed.shape)}, that is True only where these are; "
                f"{self.options.masking!r} does not."
            )
        return hidden

    def step(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Take one step; return the loss."""
        values, _ = self.table.windows.take(batch.rows)
        read, swapped = values, None
        if self.options.swap_ratio:
            read, swapped = swap(values, batch.visible, self.options.swap_ratio, generator)
        self.network.train()
        with training_precision(values.device):
            output = self.network(read, batch.visible, batch.guess.coordinates, batch.clock)
            prediction = self.model.read(output.raw, batch.visible, batch.guess)
        weight = batch.hidden + self.options.visible_weight * batch.visible
        m = self.model.config.n_members  # the loss is the mean of the members'
        loss = self._loss(prediction, values.repeat(m, 1, 1), weight.repeat(m, 1, 1))
        if swapped is not None:
            shown = batch.visible.repeat(m, 1, 1)
            logits = output.swap_logits[shown].float()
            truth = swapped.repeat(m, 1, 1)[shown].float()
            loss = loss + nnf.binary_cross_entropy_with_logits(logits, truth)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        return loss.detach()

    @torch.no_grad()
    def check(self) -> float:
        """Return the loss on the held-out cells, all others visible; 0 if there are none."""
        if not self.checked:
            return 0.0
        self.network.eval()
        parts, truths, weights = [], [], []
        for rows, guess in self.checked:
            values, visible, held = self.table.cells(rows)
            clock = self.table.windows.clock_of(rows)
            parts.append(self.model.predict(self.network, values, visible, guess, clock))
            truths.append(values)
            weights.append(held.float())
        fields = (x for x in zip(*parts, strict=True) if x[0] is not None)
        prediction = Prediction(*map(torch.cat, fields))
        loss: Any = self.model.loss
        if isinstance(loss, Residual):  # deviations get too sure long before points get worse
            loss = loss.of_points
        return float(loss(prediction, torch.cat(truths), torch.cat(weights), self.model.support))

    def _loss(self, prediction: Prediction, values: Tensor, weight: Tensor) -> Tensor:
        prediction = Prediction(*(x.float() for x in prediction if x is not None))
        return self.model.loss(prediction, values, weight.float(), self.model.support)


def _optimizer(network: torch.nn.Module, rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW that decays what has more than one axis: weights, not biases and norms."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[Any] = [{"params": decayed, "weight_decay": weight_decay}, {"params": others}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), weight_decay=0.0)


def _schedule(optimizer: torch.optim.Optimizer, steps: int) -> SequentialLR:
    """Return a linear warm-up over 5 % of the steps, then a half cosine to nothing."""
    warm = max(1, steps // 20)
    rise = LinearLR(optimizer, 1 / warm, 1.0, max(1, warm - 1))
    fall = CosineAnnealingLR(optimizer, max(1, steps - warm))
    return SequentialLR(optimizer, [rise, fall], [warm])
