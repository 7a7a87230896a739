"""What networks and first guess are worth at held-out cells, and how sure predictions are."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from maetab.engine.held_out import HeldOut, hold_out_one_by_one
from maetab.engine.runtime import Deadline
from maetab.nn.ensemble import N_RANKS, SURE, Ensemble
from maetab.nn.network import Network
from maetab.nn.support import Support

N_BLENDS = 5  # weights of the networks that are tried for categories
DOUBT = 1.0  # standard errors by which a network has to be better
SPREAD = 0.25  # how far a column's weight of the network lies from that of all columns
RANKED = 3000  # cells of a table that intervals are calibrated by, if it has so many
OWN_CELLS = 100  # held-out cells of a column that count as much as those of all columns
LEAST_CELLS = 50  # that anything is calibrated by
# Held-out cells that speak for what is predicted against similar rows: `benchmarks.draws`, TRIALS.
OF_PREDICTED = 30
ROUNDS = 50  # of expectation-maximisation


@torch.no_grad()
def held_out_errors(
    model: Ensemble, network: Network, table: HeldOut, n_rows: int, deadline: Deadline
) -> dict[str, Tensor]:
    """Return sums per column over the held-out cells of one network, in `n_rows` windows or fewer.

    "gap": (network - guess)^2; "gain": (truth - guess)(network - guess); "noise": (truth -
    guess)^2 (network - guess)^2; "error": (truth - network)^2; "count"; "absolute" (F, 5): what
    five weights of the network add to the absolute error of the guess, "surprise" to minus its
    log-likelihood of categories, and "absolute_square" and "surprise_square" the squares of that.
    """
    network.eval()
    sums: dict[str, Tensor] = {}
    for i, rows in enumerate(table.sample_batches(n_rows, model.guess.coordinates.size)):
        if i and deadline.left() < 0:
            break
        for name, found in _errors_in(model, network, table, rows).items():
            sums[name] = sums[name] + found if name in sums else found
    return sums


def _errors_in(
    model: Ensemble, network: Network, table: HeldOut, rows: Tensor
) -> dict[str, Tensor]:
    """Return the sums of `held_out_errors` over one batch."""
    support, (values, visible, held) = model.support, table.cells(rows)
    index, clock = table.windows.memory_index(rows), table.windows.clock_of(rows)
    guess = model.first_guess(values, visible, index, clock=clock)
    prediction = model.predict(network, values, visible, guess, clock)
    values, held, start, point = (
        x.flatten(0, 1) for x in (values, held, guess.point, prediction.point)
    )
    gap, missed = (point - start) * held, (values - start) * held
    k = support.index(values)
    known = held & (k >= 0) & ~support.is_number
    index = k.clamp_min(0)[..., None]
    net, own = (x.logits.flatten(0, 1).softmax(-1).gather(-1, index) for x in (prediction, guess))
    blends = torch.linspace(0, 1, N_BLENDS, device=values.device)
    likelihood = (own + blends * (net - own)).clamp_min(1e-9).log()
    surprise = (likelihood[..., :1] - likelihood) * known[..., None]
    absolute = (missed[..., None] - gap[..., None] * blends).abs() - missed.abs()[..., None]
    return {
        "gap": gap.square().sum(0),
        "gain": (missed * gap).sum(0),
        "noise": (missed * gap).square().sum(0),
        "error": ((values - point).square() * held).sum(0),
        "count": held.sum(0).to(values.dtype),
        "absolute": absolute.sum(0),
        "absolute_square": absolute.square().sum(0),
        "surprise": surprise.sum(0),
        "surprise_square": surprise.square().sum(0),
    }


def set_network_weights(model: Ensemble, total: dict[str, Tensor]) -> None:
    """Set, per column, the weight of the network that was best on held-out cells.

    Numbers by least squares: of all columns a standard error below it, for a network has to earn
    its share; of each column that pooled answer, moved by what its own cells say, as sure as they
    are (normal prior of standard deviation `SPREAD`). Categories by likelihood, see `_least`.

    total : sums of `held_out_errors`
    """
    number = model.support.is_number
    gap, gain = total["gap"] * number, total["gain"] * number
    doubt = DOUBT * (total["noise"] * number).sum().sqrt()
    pooled = ((gain.sum() - doubt) / gap.sum().clamp_min(1e-9)).clamp(0, 1)
    few = 1 + OWN_CELLS / total["count"].clamp_min(1)  # squares of few cells tell little of noise
    noise = (few * total["noise"]).clamp_min(1e-12)
    slope = (gain * gap / noise + pooled / SPREAD**2) / (gap.square() / noise + 1 / SPREAD**2)
    likely = _least("surprise", total, ~number, model.config.n_steps)
    if model.is_series:
        slope = _least("absolute", total, number, model.config.n_steps)
    if total["count"].sum() == 0:  # nothing was held out: nothing speaks against the networks
        slope, likely = torch.ones_like(slope), torch.ones_like(likely)
    model.network_weight.copy_(torch.where(number, slope.clamp(0, 1), likely))
    std = (total["error"] / total["count"].clamp_min(1)).sqrt().clamp_min(1e-3)
    model.residual_std.copy_(torch.where(total["count"] > 0, std, 1.0))


def _least(what: str, total: dict[str, Tensor], columns: Tensor, n_steps: int) -> Tensor:
    """Return (F,) the weight of the networks with which columns lose least, of categories and of
    numbers of series.

    A standard error counts against the networks. The errors of a window go together: so
    that error is as of one cell in a window, and a column's own cells count as much as those of all
    columns where it has `OWN_CELLS` windows.

    Parameters
    ----------
    what : "absolute" or "surprise"
    total : sums of `held_out_errors`
    columns : (F,) bool, those that are meant
    """
    count = total["count"] * columns
    added, square = (total[x] * columns[:, None] for x in (what, f"{what}_square"))
    every = count.sum().clamp_min(1)
    pooled = added.sum(0) / every
    doubt = DOUBT * (n_steps * square.sum(0)).sqrt() / every
    own = added / count.clamp_min(1)[:, None]
    share = (count / (count + OWN_CELLS * n_steps))[:, None]
    return (torch.lerp(pooled.expand_as(own), own, share) + doubt).argmin(1) / (N_BLENDS - 1)


@torch.no_grad()
def calibrate(model: Ensemble, table: HeldOut, n_rows: int | None, deadline: Deadline) -> None:
    """Set what the values of similar rows weigh, and remember where held-out truths fell then.

    In `n_rows` windows each time (None for what there is time for), in fewer if the deadline
    passes, but in one batch at least. Series: `maetab.engine.series_calibration`.

    Recalibration by the quantiles of the probability integral transform (Kuleshov et al. 2018,
    section 3), as if one truth more had fallen below all and another above (conformal: Vovk et al.
    2005). A column with few held-out cells borrows from all.
    """
    model.eval()
    support, in_table = model.support, model.config.n_steps == 1
    cells = _look_at_all(model, table, n_rows, deadline, in_table)
    if cells is None or len(cells.column) < LEAST_CELLS:
        return
    if in_table:
        model.value_share.copy_(_shares(cells, support)[:, 1:])
    share = torch.cat([1 - model.value_share.sum(1, keepdim=True), model.value_share], 1)
    chances = (share[cells.column][..., None] * cells.parts).sum(1)
    generator = torch.Generator(chances.device).manual_seed(len(chances))
    spread = torch.rand(len(chances), generator=generator, device=chances.device)
    rank = support.rank(cells.column, chances, cells.truth, spread)
    own = torch.nn.functional.one_hot(cells.column, len(share)).bool()
    _set_ranks(model, rank[:, None].expand_as(own), own, cells.std < SURE)


def _set_ranks(model: Ensemble, rank: Tensor, own: Tensor, sure: Tensor) -> None:
    """Remember the quantiles of the ranks (N, F) of each column's `own` cells (N, F) bool.

    Those of cells that are `sure` (N,) apart from others, if there are enough: they may fall nearer
    to the middle than others do. Others of which there are too few then keep to what is predicted.
    """
    if model.config.n_steps > 1:
        quantiles = quantiles_by_column(rank, own)
        for table in [model.ranks] if model.is_series else [model.ranks, model.sure_ranks]:
            if quantiles is not None:
                table.copy_(quantiles)
        return
    apart = int(sure.sum()) >= LEAST_CELLS
    for table, which in ((model.ranks, ~sure), (model.sure_ranks, sure)):
        which = which if apart else torch.ones_like(sure)
        quantiles = quantiles_by_column(rank, own & which[:, None], (0.0, 1.0))
        if quantiles is not None:
            table.copy_(quantiles)


class _Cells(NamedTuple):
    """Numbers that were held out: their column (N,), truth (N,) and what was said of them.

    std : (N,) standard deviations that are predicted
    parts : (N, 1 + heads, K) distributions over bins: what is predicted, and, of tables, the values
        of similar rows by head; that of what is predicted again where these are not asked
    """

    column: Tensor
    truth: Tensor
    std: Tensor
    parts: Tensor


def _look_at_all(
    model: Ensemble, table: HeldOut, n_rows: int | None, deadline: Deadline, in_table: bool
) -> _Cells | None:
    """Return what is said of held-out numbers, of tables held out one by one; None without any."""
    found: list[_Cells] = []
    for part in hold_out_one_by_one(table, RANKED) if in_table else (table,):
        if found and deadline.left() < 0:
            break
        sample, most = part.sample(), n_rows
        if most is None:
            most = deadline.affordable(partial(_affordable, model, part), len(sample))
        for i, rows in enumerate(part.sample_batches(most, model.guess.coordinates.size)):
            if i and deadline.left() < 0:
                break
            found.append(_look(model, part, rows))
    return _Cells(*(torch.cat(x) for x in zip(*found, strict=True))) if found else None


def _affordable(model: Ensemble, table: HeldOut, n_rows: int) -> None:
    _look(model, table, table.sample()[:n_rows])


def _shares(cells: _Cells, support: Support) -> Tensor:
    """Return (F, 1 + heads) what each part weighs, by expectation-maximisation.

    Of the likelihood of the truths' bins, as if `OF_PREDICTED` more cells of each column had been
    told by what is predicted alone.
    """
    bins = (support.edges[cells.column] < cells.truth[:, None]).sum(1)
    likely = cells.parts.gather(2, bins[:, None, None].expand(*cells.parts.shape[:2], 1))[..., 0]
    f, n_parts = len(support.edges), likely.shape[1]
    share = likely.new_full((f, n_parts), 1 / n_parts)
    for _ in range(ROUNDS):
        told = likely * share[cells.column]
        told = told / told.sum(1, keepdim=True).clamp_min(1e-12)
        count = likely.new_zeros(f, n_parts).index_add_(0, cells.column, told)
        count[:, 0] += OF_PREDICTED
        share = count / count.sum(1, keepdim=True)
    return share


def quantiles_by_column(x: Tensor, held: Tensor, beyond: tuple[float, ...] = ()) -> Tensor | None:
    """Return (F, 101) quantiles of cells (N, F), None if fewer than 50 are held out.

    Parameters
    ----------
    held : (N, F) bool, the cells that are meant; a column with few of them borrows from all
    beyond : what each column is taken to have besides
    """
    levels, everywhere = torch.linspace(0, 1, N_RANKS, device=x.device), x[held]
    if len(everywhere) < LEAST_CELLS:
        return None
    besides = x.new_tensor(beyond)
    pooled, found = _quantiles(torch.cat([everywhere, besides]), levels), []
    for j in range(x.shape[1]):
        own = x[held[:, j], j]
        share = len(own) / (len(own) + OWN_CELLS)
        mine = _quantiles(torch.cat([own, besides]), levels) if len(own) > 1 else pooled
        found.append(share * mine + (1 - share) * pooled)
    return torch.stack(found)


def _look(model: Ensemble, table: HeldOut, rows: Tensor) -> _Cells:
    """Return what is said of the numbers that are held out of some windows."""
    values, visible, held = table.cells(rows)
    index, clock = table.windows.memory_index(rows), table.windows.clock_of(rows)
    if model.config.n_steps == 1:
        found, near = model.with_values(values, visible, index)
        parts = torch.cat([found[0][None], near])
    else:
        found = model.predicted(values, visible, index, clock=clock)
        parts = found[0][None]
    held = (held & model.support.is_number).flatten(0, 1)
    column = held.nonzero()[:, 1]
    truth, std = (x.flatten(0, 1)[held] for x in (values, found[2]))
    return _Cells(column, truth, std, parts.flatten(1, 2)[:, held].transpose(0, 1))


def _quantiles(x: Tensor, levels: Tensor) -> Tensor:
    # torch.quantile refuses more than 16 million values.
    return torch.quantile(x[:10_000_000].float(), levels)
