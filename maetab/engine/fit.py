"""The training loop: batches, masks, schedule, early stop, history, shares of the time."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch._dynamo  # the first optimizer of a process imports it: a second better spent here
import torch.nn.functional as nnf
from torch import Tensor, nn

from maetab.engine.calibration import (
    PASSED_PAIRS,
    Cells,
    calibrate,
    held_out_errors,
    hold_out,
    set_trust,
)
from maetab.engine.runtime import SLACK, Deadline, seeded, training_precision
from maetab.nn.guess import Guess
from maetab.nn.masking import Masking, swap
from maetab.nn.memory import MAX_ROWS, MIN_ROWS
from maetab.nn.model import Ensemble, MaskedAutoencoder, ModelConfig, Prediction
from maetab.nn.objectives import cell_loss

# Masks that a row is seen with where the first guesses are kept: in so many bytes, which are
# 800,000 cells of numbers.
N_MASKS, KEPT_BYTES = 4, 480_000_000

Record = dict[str, float]
CHECKS = 12  # times the held-out cells are looked at in a full run
# Steps of one network when `max_iter` is None. Small tables are left to the first guess sooner:
# there it is hard to beat, and seconds count.
N_EPOCHS, N_STEPS = 20, (20, 100)
# Where time is limited: the share of it that passes over held-out cells may take, the rows that
# they look at at least, and the steps below which a network is not begun.
PASSES, LEAST_ROWS, LEAST_STEPS = 0.3, 64, 10


@dataclass(frozen=True)
class FitOptions:
    """How to train; the estimators document the fields.

    Parameters
    ----------
    masking : hides cells of a batch
    max_iter : epochs; None for a number that suits the rows; 0 for the prior alone
    deadline : of everything; where it is near, fewer rows are looked at, and networks whose least
        is too dear are not begun, which the history shows
    visible_weight : what a visible cell counts in the loss, a hidden one counts 1
    swap_ratio : share of the visible cells that get another row's value, for the network to tell
    on_record : is given each record of the history as it is made; True stops the network
    on_progress : is told what is being done, and which share of that, or of all networks, is
    """

    masking: Masking
    max_iter: int | None = None
    deadline: Deadline = field(default_factory=Deadline)
    batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    validation_fraction: float = 0.1
    n_iter_no_change: int = 4
    visible_weight: float = 0.2
    swap_ratio: float = 0.0
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    on_record: Callable[[Record], object] | None = None
    on_progress: Callable[[str, float], object] = lambda what, share: None


def fit_model(
    config: ModelConfig, values: np.ndarray, observed: np.ndarray, options: FitOptions
) -> tuple[Ensemble, list[Record]]:
    """Return a fitted ensemble on the CPU, and the history of its training.

    Parameters
    ----------
    values : (W, T, F) float
    observed : (W, T, F) bool
    """
    device, deadline = options.device, options.deadline
    history: list[Record] = []
    with seeded(options.seed, device) as generator:
        n_rows = observed.shape[0] * observed.shape[1]
        config = replace(config, n_memory=max(MIN_ROWS, min(MAX_ROWS, n_rows)))
        model = Ensemble(config).to(device)
        there = torch.tensor(observed, device=device)
        cells = torch.where(there, torch.tensor(values, device=device), 0.0)
        flat = cells.flatten(0, 1), there.flatten(0, 1)
        options.on_progress("first guess", 0.0)
        remembered = model.prior.fit(*flat, generator, used=deadline.used)
        tables, errors, plan = [], [], None
        for i, member in enumerate(model.members):
            assert isinstance(member, MaskedAutoencoder)
            held = hold_out(there, options.validation_fraction, generator)
            table = Cells(cells, there, held, remembered)
            tables.append(table)
            member.fit_tokens(*flat)
            if options.max_iter == 0:
                continue
            plan = _plan(model, i, table, options)
            if plan is None:
                model.keep(i)
                break
            run = _Run(member, table, options, plan, i, len(model.members))
            history += run.train(generator)
            errors.append(held_out_errors(model, member, table, plan.n_rows, deadline))
        if errors:
            set_trust(model, errors)
        options.on_progress("calibration", 0.0)
        rows = plan.n_rows if plan else _rows_to_calibrate(model, tables[0], deadline)
        calibrate(model, tables[0], rows, deadline)
        model.eval().cpu()
    return model, history


class Plan(NamedTuple):
    """What there is time for: until when a network trains, and how many rows are looked at, in
    passes over held-out cells and in looks at them while it trains.
    """

    until: Deadline
    n_rows: int
    n_checked: int


@torch.no_grad()
def _plan(model: Ensemble, number: int, table: Cells, options: FitOptions) -> Plan | None:
    """Return how to share the time left among networks and passes, by what a row costs.

    None if there is none for the least that network `number` takes.
    """
    deadline, some = options.deadline, table.some()
    if not deadline.limited:
        return Plan(Deadline(), len(some), len(table.values))
    member: nn.Module = model.members[number].eval()

    def guess(n_rows: int) -> tuple[Guess, Tensor]:
        cells = (x[some[:n_rows]].flatten(0, 1) for x in (table.values, table.visible))
        return model.prior(*cells, table.exclude(some[:n_rows]))

    def look(n_rows: int) -> None:
        member(table.values[some[:n_rows]], table.visible[some[:n_rows]], guess(n_rows))

    n = min(len(some), table.at_once(options.batch_size))
    first, each = (deadline.seconds_per_row(work, n) for work in (guess, look))
    left, n_networks = SLACK * deadline.left(), len(model.members) - number
    per_row = (n_networks + len(model.members)) * each  # passes: of each, and of all in the end
    n_rows = min(len(some), max(LEAST_ROWS, int(PASSES * left / per_row)))
    seconds = (left - n_rows * per_row) / n_networks
    n_checked = max(LEAST_ROWS // 2, int(0.02 * seconds / each))
    step = n * (first + 3 * max(each - first, 0.1 * each))  # gradients cost twice the rest
    least = 2 * min(n_checked, n) * each + LEAST_STEPS * step
    return Plan(Deadline(seconds, deadline.clock), n_rows, n_checked) if least < seconds else None


@torch.no_grad()
def _rows_to_calibrate(model: Ensemble, table: Cells, deadline: Deadline) -> int:
    """Return how many rows there is time for if no network has a say."""
    some = table.some()

    def look(n_rows: int) -> None:
        rows = some[:n_rows]
        model(table.values[rows], table.visible[rows], table.exclude(rows))

    return deadline.affordable(look, len(some))


class Batch(NamedTuple):
    """What one step reads: rows (B,), their cells (B, T, F), and the first guess at them."""

    rows: Tensor
    visible: Tensor
    hidden: Tensor
    first: tuple[Guess, Tensor]


def _row_bytes(member: MaskedAutoencoder) -> int:
    """Return the bytes of one row's part of a `Batch`: logits, guesses, visible and hidden."""
    f, k, c = len(member.config.n_levels), member.prior.support.size, len(member.prior.stack)
    return 4 * (f * k + 5 * c) + 2 * f


class _Run:
    """One network's training."""

    def __init__(
        self,
        member: MaskedAutoencoder,
        table: Cells,
        options: FitOptions,
        plan: Plan,
        number: int,
        n_networks: int,
    ) -> None:
        self.member, self.table, self.options = member, table, options
        self.until, self.number, self.n = plan.until, number, n_networks
        self.name = f"network {number + 1} of {n_networks}"
        options.on_progress(self.name, number / n_networks)
        n = len(table.values)
        self.batch = min(n, table.at_once(options.batch_size))
        self.per_epoch = max(1, n // self.batch)
        steps = min(max(N_EPOCHS * (self.per_epoch - 3), N_STEPS[0]), N_STEPS[1])
        epochs = options.max_iter or max(4, math.ceil(steps / self.per_epoch))
        self.steps = epochs * self.per_epoch
        decay = [p for p in member.parameters() if p.ndim > 1]
        rest = [p for p in member.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": decay, "weight_decay": options.weight_decay},
            {"params": rest},
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=options.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        rows = table.held.flatten(1).any(1).nonzero()[:, 0]
        self.kept: list[list[Batch]] = []
        kept = table.values[..., 0].numel() * N_MASKS * _row_bytes(member)
        self.keeps = self.steps > N_MASKS * self.per_epoch and kept <= KEPT_BYTES
        self.rows = rows[:: max(1, len(rows) // table.at_once(min(1000, plan.n_checked)))]
        chunks = self.rows.split(table.at_once(2000, PASSED_PAIRS))
        self.checked = [(some, self._first(some, table.visible[some])) for some in chunks]

    def _rate(self, step: int) -> float:
        """Linear warm-up over 5 % of the steps, then a half cosine to nothing."""
        warm = max(1, self.steps // 20)
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))

    def _first(self, rows: Tensor, visible: Tensor) -> tuple[Guess, Tensor]:
        values = self.table.values[rows].flatten(0, 1)
        return self.member.prior(values, visible.flatten(0, 1), self.table.exclude(rows))

    def train(self, generator: torch.Generator) -> list[Record]:
        """Train to the end, the time limit or the point where held-out cells stop gaining."""
        best, best_state, waited = self.check(), copy.deepcopy(self.member.state_dict()), 0
        records: list[Record] = []
        every, begun, losses, step = max(1, self.steps // CHECKS), time.monotonic(), [], 0
        left = self.until.left()
        while step < self.steps:
            for batch in self.batches(step // self.per_epoch, generator):
                losses.append(self.step(batch, generator))
                step += 1
                self.options.on_progress(self.name, (self.number + step / self.steps) / self.n)
                before, left = left, self.until.left()
                late = left < before - left  # another step would end too late
                if step % every and step < self.steps and not late:
                    continue
                score = self.check()
                records.append(
                    {
                        "network": self.number,
                        "step": step,
                        "epoch": math.ceil(step / self.per_epoch),
                        "train_loss": float(torch.stack(losses).mean()),
                        "validation_loss": score,
                        "learning_rate": float(self.schedule.get_last_lr()[0]),
                        "seconds": time.monotonic() - begun,
                    }
                )
                losses = []
                stop = self.options.on_record and self.options.on_record(records[-1])
                gained = score < best or len(self.rows) == 0
                waited = 0 if gained else waited + 1
                if gained:
                    best, best_state = score, copy.deepcopy(self.member.state_dict())
                if stop is True or late or waited >= self.options.n_iter_no_change:
                    step = self.steps
                    break
        self.member.load_state_dict(best_state)
        return records

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Batch]:
        """Give the batches of an epoch: rows, masks and first guesses.

        The first guess costs as much as the step itself, so after `N_MASKS` epochs those seen
        before come again, in another order.
        """
        device = self.table.values.device
        if self.keeps and epoch >= N_MASKS:
            known = self.kept[epoch % N_MASKS]
            for i in torch.randperm(len(known), generator=generator, device=device).tolist():
                yield known[i]
            return
        self.kept.append([])
        order = torch.randperm(len(self.table.values), generator=generator, device=device)
        for rows in order.split(self.batch)[: self.per_epoch]:
            allowed = self.table.visible[rows]
            hidden = self.options.masking(allowed, generator)
            visible = allowed & ~hidden
            batch = Batch(rows, visible, hidden, self._first(rows, visible))
            if self.keeps:
                self.kept[-1].append(batch)
            yield batch

    def step(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Take one step; return the loss."""
        values, ratio = self.table.values[batch.rows], self.options.swap_ratio
        weight = batch.hidden + self.options.visible_weight * batch.visible
        read, swapped = values, None
        if ratio:
            read, swapped = swap(values, batch.visible, ratio, generator)
        self.member.train()
        with training_precision(values.device):
            latent = self.member.encode(read, batch.visible)
            said = self.member.read(latent, batch.visible, batch.first)
            told = self.member.tell(latent)
        loss = self._loss(said, values, weight)
        if swapped is not None:
            seen = batch.visible
            loss = loss + nnf.binary_cross_entropy_with_logits(
                told[seen].float(), swapped[seen].float()
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.member.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        return loss.detach()

    @torch.no_grad()
    def check(self) -> float:
        """Return the loss on the held-out cells, all others visible."""
        if len(self.rows) == 0:
            return 0.0
        self.member.eval()
        values, visible = self.table.values, self.table.visible
        parts = [self.member(values[rows], visible[rows], first) for rows, first in self.checked]
        said = Prediction(*map(torch.cat, zip(*parts, strict=True)))
        return float(self._loss(said, values[self.rows], self.table.held[self.rows].float()))

    def _loss(self, said: Prediction, values: Tensor, weight: Tensor) -> Tensor:
        logits, point, truth, counts = (
            x.flatten(0, 1).float() for x in (said.logits, said.point, values, weight)
        )
        support, loss = self.member.prior.support, self.member.config.loss
        return cell_loss(logits, point, truth, counts, support, loss)
