"""Cells kept from training: what networks and first guess are worth there, and how sure they are.

Each pass looks at as many rows as there is time for, spread evenly over the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from maetab.engine.runtime import Deadline
from maetab.nn.model import N_LEVELS_CALIBRATION, Ensemble, MaskedAutoencoder

N_PAIRS = 20_000_000  # pairs of tokens that a training batch may compare
PASSED_PAIRS = 5_000_000  # that may be compared together where nothing is learned
COORDINATES = 1_000_000  # coordinates of rows that a pass looks at together
LIMITED = 256  # rows that it looks at together where time is short


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

    def at_once(self, most: int, n_pairs: int = N_PAIRS) -> int:
        """Return how many rows to look at together; attention compares all pairs of their cells."""
        return min(most, max(8, n_pairs // (self.values[0].numel() + 1) ** 2))

    def some(self) -> Tensor:
        """Return evenly spaced rows, all or some 10,000, fewer if they are wide."""
        n, most = len(self.values), max(256, 10 * self.at_once(1000))
        return torch.arange(0, n, max(1, n // most), device=self.values.device)

    def chunks(self, n_rows: int, n_coordinates: int) -> Iterator[Tensor]:
        """Give evenly spaced rows, `n_rows` of `some`, in chunks that memory holds.

        If these are not all, each chunk is spread over the table: those before a deadline are a
        fair sample.
        """
        rows = self.some()
        size = max(8, min(self.at_once(1024, PASSED_PAIRS), COORDINATES // n_coordinates))
        if n_rows >= len(rows):
            yield from rows.split(size)
            return
        rows = rows[torch.linspace(0, len(rows) - 1, max(n_rows, 1), device=rows.device).long()]
        n_chunks = -(-len(rows) // min(size, LIMITED))
        yield from (rows[i::n_chunks] for i in range(n_chunks))

    def exclude(self, rows: Tensor) -> Tensor:
        """Return (B * T,) the remembered rows that windows `rows` (B,) are themselves."""
        return self.remembered.view(self.values.shape[:2])[rows].flatten()


def hold_out(observed: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Return (W, T, F) bool: observed cells kept from training, never a row's only one."""
    drawn = torch.rand(observed.shape, generator=generator, device=observed.device)
    held = observed & (drawn < fraction)
    several = (observed & ~held).flatten(1).any(1)
    return held & several[:, None, None]


@torch.no_grad()
def held_out_errors(
    model: Ensemble, member: MaskedAutoencoder, table: Cells, n_rows: int, deadline: Deadline
) -> dict[str, Tensor]:
    """Return sums per column over the held-out cells of one network, in `n_rows` rows or fewer.

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
    for i, rows in enumerate(table.chunks(n_rows, len(model.prior.stack))):
        if i and deadline.left() < 0:
            break
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


def set_trust(model: Ensemble, errors: list[dict[str, Tensor]]) -> None:
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
def calibrate(model: Ensemble, table: Cells, n_rows: int, deadline: Deadline) -> None:
    """Remember where the held-out truths fell in their predicted distributions.

    In `n_rows` rows, in fewer if the deadline passes, but in one chunk at least.

    Recalibration by the quantiles of the probability integral transform (Kuleshov et al. 2018,
    section 3). A column with few held-out cells borrows from all.
    """
    model.eval()
    ranks, held_ = [], []
    for i, rows in enumerate(table.chunks(n_rows, len(model.prior.stack))):
        if i and deadline.left() < 0:
            break
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
