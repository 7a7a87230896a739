"""The training of one network: steps, schedule, early stop, history."""

from __future__ import annotations

import copy
import math
import time
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor

from maetab.engine.batches import STEP, Batch, Batches, first_guess, part_of, seed_of
from maetab.engine.checkpoint import NONE, Checkpoint
from maetab.engine.held_out import PASSED_PAIRS, HeldOut
from maetab.engine.options import FitOptions, Record
from maetab.engine.processes import ALONE, Processes
from maetab.engine.runtime import Deadline
from maetab.nn.adam import Adam, Group, share_of_rate
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.cells import CellGuess
from maetab.nn.losses import Prediction, Residual, counted
from maetab.nn.masking import swap

# Times the held-out cells are looked at in a full run, and steps between two at least where
# `max_iter` is None: a look costs as much as some steps.
CHECKS, STEPS_APART = 12, 5
# When `max_iter` is None: steps at least, and the rows of a table from which on all epochs are
# made. With fewer rows fewer are: they bring less, and the first guess is hard to beat.
LEAST_STEPS, MANY_ROWS = 20, 20_000
# Of series, whose guesses know nothing of the windows that are learned from: steps, and cells in
# one.
SERIES_STEPS, SERIES_CELLS = 900, 6000
NETWORK = "network"  # its part of a checkpoint


class Trainer:
    """The training of the network of a model.

    Parameters
    ----------
    table : the windows, and the cells held out
    until : when it is to end
    n_checked : windows with held-out cells that are looked at while it trains
    group : the processes that share it
    checkpoint : where it stood when it was stopped, and what it leaves for the next time
    """

    def __init__(
        self,
        model: Ensemble,
        table: HeldOut,
        options: FitOptions,
        until: Deadline,
        n_checked: int,
        group: Processes = ALONE,
        checkpoint: Checkpoint = NONE,
    ) -> None:
        self.model, self.table, self.options = model, table, options
        self.network: Any = model.members[0]
        self.until, self.group, self.checkpoint = until, group, checkpoint
        n = len(table) if table.learned is None else len(table.learned)
        self.batch_size = min(n, table.max_batch_rows(options.batch_size))
        if model.is_series:
            self.batch_size = min(self.batch_size, max(8, SERIES_CELLS // table.n_cells))
        if self.batch_size < group.size:
            raise ValueError(
                f"{group.size} processes cannot share steps of {self.batch_size} rows; start fewer."
            )
        self.per_epoch = max(1, n // self.batch_size)
        self.steps = self._n_steps()
        least = STEPS_APART if options.max_iter is None else 1
        self.every = max(least, self.steps // CHECKS)
        self.progress(0)
        self.batches = Batches(model, table, options, self.batch_size, self.steps, group)
        self.optimizer = _optimizer(self.network, options.learning_rate, options.weight_decay)
        self.checked = self._checked(n_checked)
        self.waited, self.best = 0, math.inf
        self.best_state: dict[str, Tensor] = {}
        self.losses: list[Tensor] = []
        self.records: list[Record] = []

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

    def _checked(self, n_checked: int) -> list[tuple[Tensor, CellGuess]]:
        """Return own windows with held-out cells, in batches, and the first guess at them."""
        rows = self.table.judged
        if rows is None:
            held = self.table.windows.take(slice(None), self.table.held)[1]
            rows = held.flatten(1).any(1).nonzero()[:, 0]
        rows = rows[:: max(1, len(rows) // self.table.max_batch_rows(min(1000, n_checked)))]
        self.judges = len(rows) > 0
        rows = rows[part_of(len(rows), self.group)]
        batches = rows.split(self.table.max_batch_rows(2000, PASSED_PAIRS)) if len(rows) else ()
        model, table = self.model, self.table
        return [(x, first_guess(model, table, x, table.cells(x)[1])) for x in batches]

    def progress(self, step: int) -> None:
        n_checks = math.ceil(self.steps / self.every)
        self.options.on_progress("network", step / self.steps, n_checks)

    def train(self) -> list[Record]:
        """Train to the end, the time limit or the point where held-out cells stop gaining.

        Where the time is limited an interrupt is as if it were over.
        """
        parallel = self.group.parallel(self.network)
        step, done = self._resumed()
        if not step:
            self.best, self.best_state = self.check(), copy.deepcopy(self.network.state_dict())
        before = self.records[-1]["seconds"] if self.records else 0.0
        begun, left = time.monotonic() - before, self.until.left()
        try:
            while step < self.steps and not done:
                self.progress(step)
                self.losses.append(self.step(self.batches[step], step, parallel))
                step += 1
                before, left = left, self.until.left()
                done = self._is_late(left < before - left)  # another step would end too late
                if step % self.every and step < self.steps and not done:
                    continue
                self.records.append(self._record(step, time.monotonic() - begun))
                stops = self._should_stop(self.records[-1])
                self._leave(step, stops)
                done = done or stops
        except KeyboardInterrupt:
            if not self.until.limited or self.group.size > 1:
                raise
        self.network.load_state_dict(self.best_state)
        return self.records

    def _is_late(self, late: bool) -> bool:
        """Whether the time is over for any of the processes."""
        return self.until.limited and self.group.any(late)

    def _resumed(self) -> tuple[int, bool]:
        """Return the steps that were taken before, and whether they were the last ones."""
        found = self.group.of_first(lambda: self.checkpoint.read(NETWORK))
        if found is None:
            return 0, False
        for name in ("network", "optimizer"):
            getattr(self, name).load_state_dict(found[name])
        self.waited, self.best, self.best_state = found["waited"], found["best"], found["state"]
        self.records = found["records"]
        return found["step"], found["done"]

    def _leave(self, step: int, done: bool) -> None:
        """Leave where it stands in the checkpoint."""
        if not self.checkpoint.writes:
            return
        parts = {x: getattr(self, x).state_dict() for x in ("network", "optimizer")}
        about = {"waited": self.waited, "best": self.best, "state": self.best_state}
        now = {"records": self.records, "step": step, "done": done}
        self.checkpoint.write(NETWORK, parts | about | now)

    def _record(self, step: int, seconds: float) -> Record:
        """Return what is known after a step; the losses before it are forgotten."""
        losses = self.group.gather(float(torch.stack(self.losses).mean()))
        train_loss, self.losses = sum(losses) / len(losses), []
        return {
            "network": 0,  # models of 0.1.0 had several
            "step": step,
            "epoch": math.ceil(step / self.per_epoch),
            "train_loss": train_loss,
            "validation_loss": self.check(),
            "learning_rate": self.options.learning_rate * share_of_rate(step, self.steps),
            "seconds": seconds,
        }

    def _should_stop(self, record: Record) -> bool:
        """Whether held-out cells no longer gain or somebody asks for it; keeps the best state."""
        stop = self.options.on_record is not None and self.options.on_record(record) is True
        if record["validation_loss"] < self.best or not self.judges:
            self.waited, self.best = 0, record["validation_loss"]
            self.best_state = copy.deepcopy(self.network.state_dict())
        else:
            self.waited += 1
        return self.group.any(stop) or self.waited >= self.options.n_iter_no_change

    def step(self, batch: Batch, number: int, network: Any) -> Tensor:
        """Take one step; return the loss.

        Parameters
        ----------
        number : of the step, from 0
        network : that of the model, or what runs it in parallel
        """
        options, own = self.options, batch.own
        torch.manual_seed(seed_of(options.seed, STEP, number, self.group.rank))  # for dropout
        values, _ = self.table.windows.take(batch.rows)
        weight = batch.hidden + options.visible_weight * batch.visible
        share = self._share(values, weight, own)
        read, swapped = values, None
        if options.swap_ratio:
            generator = self.batches.generator(STEP, number)
            read, swapped = swap(values, batch.visible, options.swap_ratio, generator)
        values, visible, weight, read = (x[own] for x in (values, batch.visible, weight, read))
        network.train()
        output = network(read, visible, batch.guess.coordinates, batch.clock)
        prediction = self.model.read(output.raw, visible, batch.guess)
        m = self.model.config.n_members  # the loss is the mean of the members'
        truth, weights = values.repeat(m, 1, 1), weight.repeat(m, 1, 1)
        loss = share * self.model.loss(prediction, truth, weights, self.model.support)
        if swapped is not None:
            shown = visible.repeat(m, 1, 1)
            logits = output.swap_logits[shown]
            was_swapped = swapped[own].repeat(m, 1, 1)[shown].float()
            each = self.group.size * visible.sum() / batch.visible.sum().clamp_min(1)
            entropy = nnf.binary_cross_entropy_with_logits(logits, was_swapped, reduction="sum")
            loss = loss + each * entropy / max(1, len(was_swapped))
        self.optimizer.zero_grad()
        with self.group.answering():
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step(share_of_rate(number, self.steps))
        return loss.detach()

    def _share(self, values: Tensor, weight: Tensor, own: slice) -> Tensor | float:
        """Return what the mean over the own windows weighs in the mean of the processes' means, so
        that this is the mean over all windows.
        """
        if self.group.size == 1:
            return 1.0
        _, whole = counted(values, weight, self.model.support)
        _, mine = counted(values[own], weight[own], self.model.support)
        return self.group.size * mine / whole

    @torch.no_grad()
    def check(self) -> float:
        """Return the loss on the held-out cells, all others visible; 0 if there are none."""
        if not self.judges:
            return 0.0
        found = self.group.gather(self._checked_loss() if self.checked else (0.0, 0.0))
        return sum(loss * weight for loss, weight in found) / sum(weight for _, weight in found)

    def _checked_loss(self) -> tuple[float, float]:
        """Return the loss on own held-out cells, and what they weigh."""
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
        truth, weight = torch.cat(truths), torch.cat(weights)
        loss: Any = self.model.loss
        if isinstance(loss, Residual):  # deviations get too sure long before points get worse
            loss = loss.of_points
        _, total = counted(truth, weight, self.model.support)
        return float(loss(prediction, truth, weight, self.model.support)), float(total)


def _optimizer(network: torch.nn.Module, rate: float, weight_decay: float) -> Adam:
    """Return AdamW that decays what has more than one axis: weights, not biases and norms."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return Adam([Group(decayed, rate, weight_decay), Group(others, rate, 0.0)], (0.9, 0.95))
