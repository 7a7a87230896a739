"""What networks and first guess are worth at held-out cells, and how sure predictions are."""

from __future__ import annotations

import torch
from torch import Tensor

from maetab.engine.held_out import HeldOut, hold_out_more
from maetab.engine.runtime import Deadline
from maetab.nn.ensemble import N_RANKS, Ensemble
from maetab.nn.network import Network

N_BLENDS = 5  # weights of the networks that are tried for categories
DOUBT = 1.0  # standard errors by which a network has to be better
APART = 0.25  # how far a column's weight of the network lies from that of all columns
RANKED = 3000  # cells of a table that intervals are calibrated by, if it has so many
OWN_CELLS = 100  # held-out cells of a column that count as much as those of all columns
LEAST_CELLS = 50  # that anything is calibrated by


@torch.no_grad()
def held_out_errors(
    model: Ensemble, network: Network, table: HeldOut, n_rows: int, deadline: Deadline
) -> dict[str, Tensor]:
    """Return sums per column over the held-out cells of one network, in `n_rows` windows or fewer.

    "gap": (network - guess)^2; "gain": (truth - guess)(network - guess); "noise": (truth -
    guess)^2 (network - guess)^2; "error": (truth - network)^2; "count"; "likelihood" (F, 5):
    log-likelihood of categories at five weights of the network; "absolute" (F, 5): what these add
    to the absolute error of the guess, and "absolute_square" its squares.
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
    absolute = (missed[..., None] - gap[..., None] * blends).abs() - missed.abs()[..., None]
    return {
        "gap": gap.square().sum(0),
        "gain": (missed * gap).sum(0),
        "noise": (missed * gap).square().sum(0),
        "error": ((values - point).square() * held).sum(0),
        "count": held.sum(0).to(values.dtype),
        "likelihood": (likelihood * known[..., None]).sum(0),
        "absolute": absolute.sum(0),
        "absolute_square": absolute.square().sum(0),
    }


def set_network_weights(model: Ensemble, total: dict[str, Tensor]) -> None:
    """Set, per column, the weight of the network that was best on held-out cells.

    Numbers by least squares: of all columns a standard error below it, for a network has to earn
    its share; of each column that pooled answer, moved by what its own cells say, as sure as they
    are (normal prior of standard deviation `APART`). Categories by likelihood.

    total : sums of `held_out_errors`
    """
    number = model.support.is_number
    gap, gain = total["gap"] * number, total["gain"] * number
    doubt = DOUBT * (total["noise"] * number).sum().sqrt()
    pooled = ((gain.sum() - doubt) / gap.sum().clamp_min(1e-9)).clamp(0, 1)
    few = 1 + OWN_CELLS / total["count"].clamp_min(1)  # squares of few cells tell little of noise
    noise = (few * total["noise"]).clamp_min(1e-12)
    slope = (gain * gap / noise + pooled / APART**2) / (gap.square() / noise + 1 / APART**2)
    likely = total["likelihood"].argmax(1) / (N_BLENDS - 1)
    if model.is_series:
        slope = _least_absolute(total, number, model.config.n_steps)
    if total["count"].sum() == 0:  # nothing was held out: nothing speaks against the networks
        slope, likely = torch.ones_like(slope), torch.ones_like(likely)
    model.network_weight.copy_(torch.where(number, slope.clamp(0, 1), likely))
    std = (total["error"] / total["count"].clamp_min(1)).sqrt().clamp_min(1e-3)
    model.residual_std.copy_(torch.where(total["count"] > 0, std, 1.0))


def _least_absolute(total: dict[str, Tensor], number: Tensor, n_steps: int) -> Tensor:
    """Return (F,) the weight of the networks with which columns of series have the least error.

    A standard error counts against the networks. The errors of a window go together: so
    that error is as of one cell in a window, and a column's own cells count as much as those of all
    columns where it has `OWN_CELLS` windows.

    Parameters
    ----------
    total : sums of `held_out_errors`
    number : (F,) bool, columns of numbers
    """
    count = total["count"] * number
    added, square = (total[x] * number[:, None] for x in ("absolute", "absolute_square"))
    every = count.sum().clamp_min(1)
    pooled = added.sum(0) / every
    doubt = DOUBT * (n_steps * square.sum(0)).sqrt() / every
    own = added / count.clamp_min(1)[:, None]
    share = (count / (count + OWN_CELLS * n_steps))[:, None]
    return (torch.lerp(pooled.expand_as(own), own, share) + doubt).argmin(1) / (N_BLENDS - 1)


@torch.no_grad()
def calibrate(model: Ensemble, table: HeldOut, n_rows: int | None, deadline: Deadline) -> None:
    """Remember where the held-out truths of a table fell in their predicted distributions.

    In `n_rows` windows (None for what there is time for), in fewer if the deadline passes, but in
    one batch at least. Of a table with few held-out cells others are held out in turn. Series:
    `maetab.engine.series_calibration`.

    Recalibration by the quantiles of the probability integral transform (Kuleshov et al. 2018,
    section 3), as if one truth more had fallen below all and another above (conformal: Vovk et al.
    2005). A column with few held-out cells borrows from all.
    """
    model.eval()
    in_table = model.config.n_steps == 1
    ranks, held_ = _ranks(model, table, n_rows, deadline)
    for more in hold_out_more(table, RANKED) if in_table else ():
        if deadline.left() < 0:
            break
        found = _ranks(model, more, n_rows, deadline)
        ranks, held_ = ranks + found[0], held_ + found[1]
    rank, held = torch.cat(ranks), torch.cat(held_) & model.support.is_number
    quantiles = quantiles_by_column(rank, held, (0.0, 1.0) if in_table else ())
    if quantiles is not None:
        model.ranks.copy_(quantiles)


def _ranks(
    model: Ensemble, table: HeldOut, n_rows: int | None, deadline: Deadline
) -> tuple[list[Tensor], list[Tensor]]:
    """Return where truths fell, and which of them were held out: (cells, F) of each batch."""
    sample, ranks, held_ = table.sample(), [], []
    if n_rows is None:
        n_rows = deadline.affordable(lambda n: _look(model, table, sample[:n]), len(sample))
    for i, rows in enumerate(table.sample_batches(n_rows, model.guess.coordinates.size)):
        if i and deadline.left() < 0:
            break
        probabilities, values, held = _look(model, table, rows)
        ranks.append(model.support.rank(probabilities.flatten(0, 1), values.flatten(0, 1)))
        held_.append(held.flatten(0, 1))
    return ranks, held_


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


def _look(model: Ensemble, table: HeldOut, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what is predicted of some windows, their values, and which are held out."""
    values, visible, held = table.cells(rows)
    index, clock = table.windows.memory_index(rows), table.windows.clock_of(rows)
    return model(values, visible, index, clock=clock)[0], values, held


def _quantiles(x: Tensor, levels: Tensor) -> Tensor:
    # torch.quantile refuses more than 16 million values.
    return torch.quantile(x[:10_000_000].float(), levels)
