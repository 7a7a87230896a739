"""The training loop: batches, masks, schedule, early stop, history, calibration."""

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
from torch import Tensor

from maetab.engine.runtime import seeded, training_precision
from maetab.nn.guess import Guess
from maetab.nn.masking import Masking, swap
from maetab.nn.memory import MAX_ROWS, MIN_ROWS
from maetab.nn.model import (
    N_LEVELS_CALIBRATION,
    Ensemble,
    MaskedAutoencoder,
    ModelConfig,
    Prediction,
)
from maetab.nn.objectives import cell_loss

N_PAIRS = 20_000_000  # pairs of tokens that a batch may compare
# Masks that a row is seen with, in tables of up to so many cells: guesses take some 600 bytes each.
N_MASKS, N_KEPT = 4, 800_000

Record = dict[str, float]
CHECKS = 12  # times the held-out cells are looked at in a full run
# Steps of one network when `max_iter` is None. Small tables are left to the first guess sooner:
# there it is hard to beat, and seconds count.
N_EPOCHS, N_STEPS = 20, (20, 100)


@dataclass(frozen=True)
class FitOptions:
    """How to train; the estimators document the fields.

    Parameters
    ----------
    masking : hides cells of a batch
    max_iter : epochs; None for a number that suits the rows; 0 for the prior alone
    max_time : seconds for everything, or None
    visible_weight : what a visible cell counts in the loss, a hidden one counts 1
    swap_ratio : share of the visible cells that get another row's value, for the network to tell
    on_record : is given each record of the history as it is made; True stops the network
    """

    masking: Masking
    max_iter: int | None = None
    max_time: float | None = None
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


@dataclass(frozen=True)
class Cells:
    """A table on the device: `values` and `observed` (W, T, F), the cells `held` out, and
    where its rows (W * T,) stand in the memory.
    """

    values: Tensor
    observed: Tensor
    held: Tensor
    remembered: Tensor

    @property
    def visible(self) -> Tensor:
        return self.observed & ~self.held

    def at_once(self, most: int) -> int:
        """Return how many rows to look at together; attention compares all pairs of their cells."""
        return min(most, max(8, N_PAIRS // (self.values[0].numel() + 1) ** 2))

    def some(self) -> tuple[Tensor, ...]:
        """Return chunks of evenly spaced rows, of all or some 10,000 (fewer if they are wide)."""
        n, most = len(self.values), max(256, 10 * self.at_once(1000))
        rows = torch.arange(0, n, max(1, n // most), device=self.values.device)
        return rows.split(self.at_once(1024))

    def exclude(self, rows: Tensor) -> Tensor:
        """Return (B * T,) the remembered rows that windows `rows` (B,) are themselves."""
        return self.remembered.view(self.values.shape[:2])[rows].flatten()


def fit_model(
    config: ModelConfig, values: np.ndarray, observed: np.ndarray, options: FitOptions
) -> tuple[Ensemble, list[Record]]:
    """Return a fitted ensemble on the CPU, and the history of its training.

    Parameters
    ----------
    values : (W, T, F) float
    observed : (W, T, F) bool
    """
    device, started = options.device, time.monotonic()
    history: list[Record] = []
    with seeded(options.seed, device) as generator:
        n_rows = observed.shape[0] * observed.shape[1]
        config = replace(config, n_memory=max(MIN_ROWS, min(MAX_ROWS, n_rows)))
        model = Ensemble(config).to(device)
        there = torch.tensor(observed, device=device)
        cells = torch.where(there, torch.tensor(values, device=device), 0.0)
        until = math.inf if options.max_time is None else started + options.max_time
        remembered = model.prior.fit(
            cells.flatten(0, 1),
            there.flatten(0, 1),
            generator,
            late=lambda: time.monotonic() > until,
        )
        tables, errors = [], []
        for i, member in enumerate(model.members):
            assert isinstance(member, MaskedAutoencoder)
            table = Cells(
                cells, there, _hold_out(there, options.validation_fraction, generator), remembered
            )
            member.fit_tokens(cells.flatten(0, 1), there.flatten(0, 1))
            if options.max_iter != 0:
                left = (until - time.monotonic()) / (len(model.members) - i)
                run = _Run(member, table, options, time.monotonic() + left, i)
                history += run.train(generator)
                errors.append(_held_out_errors(model, member, table))
            tables.append(table)
        if errors:
            _trust(model, errors)
        _calibrate(model, tables[0])
        model.eval().cpu()
    return model, history


def _hold_out(observed: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Return (W, T, F) bool: observed cells kept from training, never a row's only one."""
    drawn = torch.rand(observed.shape, generator=generator, device=observed.device)
    held = observed & (drawn < fraction)
    several = (observed & ~held).flatten(1).any(1)
    return held & several[:, None, None]


class Batch(NamedTuple):
    """What one step reads: rows (B,), their cells (B, T, F), and the first guess at them."""

    rows: Tensor
    visible: Tensor
    hidden: Tensor
    first: tuple[Guess, Tensor]


class _Run:
    """One network's training."""

    def __init__(
        self,
        member: MaskedAutoencoder,
        table: Cells,
        options: FitOptions,
        until: float,
        number: int,
    ) -> None:
        self.member, self.table, self.options = member, table, options
        self.until, self.number = until, number
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
        self.keeps = self.steps > N_MASKS * self.per_epoch and table.values.numel() <= N_KEPT
        self.rows = rows[:: max(1, len(rows) // table.at_once(1000))]
        self.checked = self._first(self.rows, table.visible[self.rows])

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
        while step < self.steps:
            for batch in self.batches(step // self.per_epoch, generator):
                losses.append(self.step(batch, generator))
                step += 1
                late = time.monotonic() > self.until
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
        values, visible = self.table.values[self.rows], self.table.visible[self.rows]
        said = self.member(values, visible, self.checked)
        return float(self._loss(said, values, self.table.held[self.rows].float()))

    def _loss(self, said: Prediction, values: Tensor, weight: Tensor) -> Tensor:
        logits, point, truth, counts = (
            x.flatten(0, 1).float() for x in (said.logits, said.point, values, weight)
        )
        support, loss = self.member.prior.support, self.member.config.loss
        return cell_loss(logits, point, truth, counts, support, loss)


@torch.no_grad()
def _held_out_errors(model: Ensemble, member: MaskedAutoencoder, table: Cells) -> dict[str, Tensor]:
    """Return sums per column over the held-out cells of one network.

    "gap": (network - prior)^2; "gain": (truth - prior)(network - prior); "noise": (truth -
    prior)^2 (network - prior)^2; "error": (truth - network)^2; "count"; "likelihood" (F, 5):
    log-likelihood of categories at five blends.
    """
    member.eval()
    support, config = model.prior.support, model.config
    f = len(config.n_levels)
    blends = torch.linspace(0, 1, 5, device=table.values.device)
    names = ("gap", "gain", "noise", "error", "count")
    sums = {name: torch.zeros(f, device=blends.device) for name in names}
    sums["likelihood"] = torch.zeros(f, 5, device=blends.device)
    for rows in table.some():
        values, visible = table.values[rows], table.visible[rows]
        values_, held_ = values.flatten(0, 1), table.held[rows].flatten(0, 1)
        first = model.prior(values_, visible.flatten(0, 1), table.exclude(rows))
        said = member(values, visible, first)
        guess, point = model.prior.point(first[0]), said.point.flatten(0, 1)
        gap, missed = (point - guess) * held_, (values_ - guess) * held_
        sums["gap"] += gap.square().sum(0)
        sums["gain"] += (missed * gap).sum(0)
        sums["noise"] += (missed * gap).square().sum(0)
        sums["error"] += ((values_ - point).square() * held_).sum(0)
        sums["count"] += held_.sum(0)
        k = support.index(values_)
        known = held_ & (k >= 0) & ~support.is_number
        index = k.clamp_min(0)[..., None]
        net = said.logits.flatten(0, 1).softmax(-1).gather(-1, index)
        own = first[1].softmax(-1).gather(-1, index)
        mixed = (own + blends * (net - own)).clamp_min(1e-9).log()
        sums["likelihood"] += (mixed * known[..., None]).sum(0)
    return sums


def _trust(model: Ensemble, errors: list[dict[str, Tensor]]) -> None:
    """Set, per column, the blend of networks and prior that was best on held-out cells.

    Numbers by least squares, shrunk to the pooled answer where cells are few, and a part of a
    standard error below it: a network has to earn its share. Categories by likelihood.
    """
    total = {k: torch.stack([e[k] for e in errors]).sum(0) for k in errors[0]}
    number = model.prior.support.is_number
    gap, gain = total["gap"] * number, total["gain"] * number
    doubt = 0.25 * (total["noise"] * number).sum().sqrt()
    pooled = ((gain.sum() - doubt) / gap.sum().clamp_min(1e-9)).clamp(0, 1)
    shrink = 100 * gap / total["count"].clamp_min(1)
    doubt = 0.25 * total["noise"].sqrt()
    slope = (gain - doubt + shrink * pooled) / (gap + shrink).clamp_min(1e-9)
    likely = total["likelihood"].argmax(1) / 4
    if total["count"].sum() == 0:  # nothing was held out: nothing speaks against the networks
        slope, likely = torch.ones_like(slope), torch.ones_like(likely)
    model.trust.copy_(torch.where(number, slope.clamp(0, 1), likely))
    spread = (total["error"] / total["count"].clamp_min(1)).sqrt().clamp_min(1e-3)
    model.spread.copy_(torch.where(total["count"] > 0, spread, 1.0))


@torch.no_grad()
def _calibrate(model: Ensemble, table: Cells) -> None:
    """Remember where the held-out truths fell in their predicted distributions.

    Recalibration by the quantiles of the probability integral transform (Kuleshov et al. 2018,
    section 3). A column with few held-out cells borrows from all.
    """
    model.eval()
    ranks, held_ = [], []
    for rows in table.some():
        values = table.values[rows]
        probabilities, _ = model(values, table.visible[rows], table.exclude(rows))
        flat = probabilities.flatten(0, 1)
        ranks.append(model.prior.support.rank(flat, values.flatten(0, 1)))
        held_.append(table.held[rows].flatten(0, 1))
    rank, held = torch.cat(ranks), torch.cat(held_) & model.prior.support.is_number
    levels = torch.linspace(0, 1, N_LEVELS_CALIBRATION, device=rank.device)
    everywhere = rank[held]
    if len(everywhere) < 50:
        return
    pooled = _quantiles(everywhere, levels)
    for j in range(rank.shape[1]):
        own = rank[held[:, j], j]
        share = len(own) / (len(own) + 100)
        mine = _quantiles(own, levels) if len(own) > 1 else pooled
        model.ranks[j] = share * mine + (1 - share) * pooled


def _quantiles(x: Tensor, levels: Tensor) -> Tensor:
    # torch.quantile refuses more than 16 million values.
    return torch.quantile(x[:10_000_000].float(), levels)
