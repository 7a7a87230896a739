"""What base guess and memory weigh, coordinate by coordinate, by least squares at hidden cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from maetab.nn.guess.gaussian import SYSTEMS, Normal
from maetab.nn.guess.memory import N_HEADS, Neighbours
from maetab.nn.windows import Windows

if TYPE_CHECKING:
    from maetab.nn.guess.stack import StackedGuess

LOOKED_AT = 2_000_000  # coordinates of windows that are looked at, 4096 windows at most
PRODUCTS = 800_000_000  # that a chunk of these may take to be compared with remembered windows
LEAST_ROWS = 64  # windows that are looked at though there is no time
# Hidden cells that the pooled answer counts as; masks that a window is looked at with, if there is
# room for them.
SHRUNK, N_MASKS = 300, 4
MAX_SHIFT = 300  # coordinates up to which windows are weighted by what is missing
# Standard errors that speak against moving the pooled slope, and how far slopes lie from it (and
# what corrections weigh from what they weigh everywhere): most are near, and the rest, such a share
# of them, may be anywhere.
DOUBT, NEAR, FAR, ANYWHERE = 1.0, 0.1, 1.0, 0.1
# That the base guess may have in variances, beside a half; similar rows may all have one value.
SHARES = (0.05, 0.25, 0.75, 0.9, 1.0)
LEAST_VARIANCE = 1e-4  # that is told, as in `Support.number_logits`
FEW = 10  # hidden cells by which standard errors count as larger
LEAST_WEIGHT, MOST_WEIGHT = 0.05, 1.5  # of all corrections together


def corrections(normal: Normal, near: list[Neighbours]) -> Tensor:
    """Return (B, C, 2 H): how far similar windows would move the base guess, in two ways each.

    An average of rows cannot reach beyond them, where a line can: so it moves the guess by two
    conditional standard deviations at most.
    """
    reach, moves = 2 * normal.variance.sqrt(), []
    for one in near:
        moves += [(one.mean - normal.mean).clamp(-reach, reach), one.residual]
    return torch.stack(moves, -1)


class _Evidence(NamedTuple):
    """What hidden cells say, each by the root of its weight, 0 where nothing was hidden.

    corrections : (n, C, M) of the base guess
    missed : (n, C) by the base guess
    weight : (n, C), 0 where nothing was hidden
    variances : (n, C, 2) of base guess and memory, by the weight itself
    n_hidden : (C,) cells, by what they weigh; those hidden again do not count again
    """

    corrections: Tensor
    missed: Tensor
    weight: Tensor
    variances: Tensor
    n_hidden: Tensor


@torch.no_grad()
def fit_weights(
    guess: StackedGuess,
    windows: Windows,
    learned: Tensor,
    judged: Tensor,
    generator: torch.Generator,
    should_stop: Callable[[], bool],
) -> None:
    """Set the weights of a guess.

    Least squares, per coordinate, of the truth on the corrections, shrunk to the pooled answer by
    as much as `SHRUNK` hidden cells; variances by what was missed. Where rows are few, each is
    looked at with several masks. Then all weights of a coordinate are lowered by as much as is best
    at other windows.

    Parameters
    ----------
    learned, judged : windows that the metric was learned from, and those that it was not
    """
    found = _look(guess, windows, learned, generator, should_stop)
    x, y = found.corrections, found.missed
    # Metrics are weighted each as if it were alone: a mean of several is better than what least
    # squares makes of them all.
    parts = x.split(2 * N_HEADS, -1)
    about = found.n_hidden, guess.is_number
    each = [_shrunk_least_squares(part, y, *about).clamp(-0.5, MOST_WEIGHT) for part in parts]
    weights = torch.cat(each, 1) / len(each)
    other = _look(guess, windows, judged, generator, should_stop)
    guess.stack_weights.copy_(weights * _worth(other, weights, guess.is_number)[:, None])
    error = (y - (x * guess.stack_weights).sum(-1)).square()
    shares = _variance_shares(found, error, guess.is_number)
    scale = error.sum(0)[:, None] / found.variances.sum(0).clamp_min(1e-6)
    known = (found.n_hidden > 5)[:, None]
    guess.variance_weights.copy_(torch.where(known, shares * scale.clamp(0.1, 10.0), 0.5))


def _variance_shares(found: _Evidence, error: Tensor, is_number: Tensor) -> Tensor:
    """Return (C, 2) what share of its error the variances of base guess and memory explain.

    Half each, but where the likelihood of what was missed says by `DOUBT` standard errors that one
    of them tells better which cells are sure: a cell that others determine is so whatever similar
    rows show, and some are noisy where the base guess knows nothing of it.

    Parameters
    ----------
    error : (n, C) squares of what was missed, each by its weight
    is_number : (C,) bool
    """
    weight = found.weight
    scale = error.sum(0)[:, None] / found.variances.sum(0).clamp_min(1e-6)
    base, near = (scale * found.variances).unbind(-1)

    def loss(share: float) -> Tensor:
        told = (share * base + (1 - share) * near + LEAST_VARIANCE * weight).clamp_min(1e-12)
        seen = weight.clamp_min(1e-12)
        return torch.where(weight > 0, seen * ((told / seen).log() + error / told), 0.0)

    usual, chosen = loss(0.5), torch.full_like(scale[:, 0], 0.5)
    best = torch.zeros_like(chosen)
    for share in SHARES:
        gain = usual - loss(share)
        worth = gain.sum(0) - DOUBT * gain.square().sum(0).sqrt()
        better = is_number & (worth > best)
        best, chosen = torch.where(better, worth, best), torch.where(better, share, chosen)
    return torch.stack([chosen, 1 - chosen], -1)


def _worth(found: _Evidence, weights: Tensor, is_number: Tensor) -> Tensor:
    """Return (C,) in [0, 1]: the share of weighted corrections that has the least error.

    Shrunk to that of all numbers, or of all levels, and this to that of all.

    is_number : (C,) bool
    """
    moved = (found.corrections * weights).sum(-1)
    gram, right = moved.square().sum(0), (moved * found.missed).sum(0)
    pooled = right.sum() / gram.sum().clamp_min(1e-9)
    of_kind = torch.stack([~is_number, is_number]).to(gram)
    each = (of_kind @ right, of_kind @ gram, of_kind @ found.n_hidden.to(gram))
    pooled = _drawn(*each, pooled)[is_number.long()]
    return _drawn(right, gram, found.n_hidden, pooled).clamp(0, 1)


def _drawn(right: Tensor, gram: Tensor, count: Tensor, pooled: Tensor) -> Tensor:
    """Return slopes drawn to a pooled one by as much as `SHRUNK` hidden cells."""
    shrink = gram * SHRUNK / count.clamp_min(1) + 1e-9
    return (right + shrink * pooled) / (gram + shrink)


def expected(slope: Tensor, variance: Tensor, pooled: Tensor) -> Tensor:
    """Return what is expected of slopes (C,) that were measured with these variances.

    By a prior about the pooled slope, a mixture of a narrow normal and a wide one.
    """
    means, likely = [], []
    for spread, share in ((NEAR, 1 - ANYWHERE), (FAR, ANYWHERE)):
        total = variance + spread**2
        means.append((slope * spread**2 + pooled * variance) / total)
        likely.append(math.log(share) - ((slope - pooled).square() / total + total.log()) / 2)
    return (torch.stack(means) * torch.stack(likely).softmax(0)).sum(0)


def _look(
    guess: StackedGuess,
    windows: Windows,
    chosen: Tensor,
    generator: torch.Generator,
    should_stop: Callable[[], bool],
) -> _Evidence:
    """Return what is found in as many of some windows as there is time for, one chunk at least."""
    places, size = rows_to_look_at(guess, len(chosen), generator, chosen.device)
    rows = chosen[places]
    n_masks = max(1.0, len(rows) / len(chosen))
    size = min(size, LEAST_ROWS) if should_stop() else size
    hidden: list[Tensor] = []
    moves: list[Tensor] = []
    missed: list[Tensor] = []
    variances: list[Tensor] = []
    for some in rows.split(size):
        if hidden and should_stop():
            break
        cells, visible, now = guess.hide(windows, some, generator)
        normal = guess.base(cells, visible)
        near = guess.near(cells, visible, normal, windows.memory_index(some))
        hidden.append(now)
        moves.append(corrections(normal, near.heads).double())
        missed.append((cells - normal.mean).double())
        variances.append(torch.stack([normal.variance, near.variance], -1).double())
    was_hidden = torch.cat(hidden)
    distinct, place = rows[: len(was_hidden)].unique(return_inverse=True)
    odds = missing_odds(guess, *windows.take(distinct))[place]
    root = was_hidden * odds.sqrt()
    weight = root.square()
    return _Evidence(
        torch.cat(moves) * root[..., None],
        torch.cat(missed) * root,
        weight,
        torch.cat(variances) * weight[..., None],
        weight.sum(0) / n_masks,
    )


def rows_to_look_at(
    guess: StackedGuess, n: int, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, int]:
    """Return the places of windows that are looked at, among `n`, and how many together.

    Each with several masks, if there is room.
    """
    c = guess.coordinates.size
    most = min(4096, max(256, LOOKED_AT // c))
    orders = [torch.randperm(n, generator=generator, device=device) for _ in range(N_MASKS)]
    return torch.cat(orders)[:most], min(512, max(32, PRODUCTS // (c * len(guess.memory.values))))


def _shrunk_least_squares(x: Tensor, y: Tensor, count: Tensor, is_number: Tensor) -> Tensor:
    """Return (C, M) weights of x (n, C, M) for y (n, C), shrunk to a share of the pooled ones.

    A number's own cells say what share: it may be told by similar windows among many that are not.

    Parameters
    ----------
    count, is_number : (C,) hidden cells of each coordinate, and whether it is a number
    """
    gram, right = torch.einsum("bci,bcj->cij", x, x), torch.einsum("bci,bc->ci", x, y)
    scale = gram.diagonal(dim1=1, dim2=2)
    every = torch.diag(0.1 * scale.sum(0) + 1e-9)
    pooled = torch.linalg.solve(gram.sum(0) + every, right.sum(0))
    total = pooled.sum().abs().clamp_min(LEAST_WEIGHT)
    moved = x @ (pooled / total)
    square = moved.square().sum(0).clamp_min(1e-9)
    own = (moved * y).sum(0) / square
    variance = (moved * (y - own * moved)).square().sum(0) / square.square()
    own = expected(own, (1 + FEW / count.clamp_min(1)) * variance, total).clamp(0, MOST_WEIGHT)
    start = torch.where(is_number, own / total, 1.0)[:, None] * pooled
    ridge = torch.diag_embed(scale * SHRUNK / count.clamp_min(1)[:, None] + 1e-9)
    return torch.linalg.solve(gram + ridge, right + (ridge @ start[..., None])[..., 0])


def missing_odds(guess: StackedGuess, values: Tensor, observed: Tensor) -> Tensor:
    """Return (n, C): how much likelier a window is among those that miss a coordinate.

    What is missing may differ from what is observed (MAR). Windows are weighted by the odds that a
    linear discriminant gives (Bickel et al. 2009, section 3), so that the guesses are judged where
    they will be used. Weights lie in [0.1, 10], and are about 1 where cells are missing at random.

    Parameters
    ----------
    values, observed : (n, T, F)
    """
    n, c = len(values), guess.coordinates.size
    if c > MAX_SHIFT or n < 2:
        return torch.ones(n, c, dtype=torch.float64, device=values.device)
    cells, known = guess.coordinates.expand(values, observed)
    filled = guess.base(cells, known).mean.double()  # (n, C)
    filled = (filled - filled.mean(0)) / filled.std(0).clamp_min(1e-6)
    missing, known = (~known).double(), known.double()
    count = missing.sum(0)[:, None]
    shift = missing.T @ filled / count.clamp_min(1) - known.T @ filled / (n - count).clamp_min(1)
    direction = _discriminants(guess.memory.cells, filled, shift)
    logit = filled @ (direction * count / (count + 50)).T
    odds = logit.clamp(-2.3, 2.3).exp()
    mean = (odds * known).sum(0) / known.sum(0).clamp_min(1)
    return (odds / mean.clamp_min(1e-6)).clamp(0.1, 10)


def _discriminants(cell: Tensor, filled: Tensor, shift: Tensor) -> Tensor:
    """Return (C, C): for each coordinate the direction, in those of other cells, of its `shift`."""
    n, c = filled.shape
    unit = torch.eye(c, dtype=torch.float64, device=filled.device)
    covariance, directions = filled.T @ filled / n, []
    size = max(1, SYSTEMS // (c * c))
    for own, shift_ in zip(cell.split(size), shift.split(size), strict=True):
        other = own[:, None] != cell[None, :]
        both = other[:, :, None] & other[:, None, :]
        system = torch.where(both, covariance, 0.0) + 0.1 * unit
        # No `torch.linalg.solve`: of several systems of 150 and more it gives wrong numbers, or
        # raises, where torch has several threads (PyTorch's issue 142815).
        factor, right = torch.linalg.cholesky(system), torch.where(other, shift_, 0.0)
        directions.append(torch.cholesky_solve(right[:, :, None], factor)[:, :, 0])
    return torch.cat(directions)
