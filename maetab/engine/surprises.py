"""How surprising cells are: each is hidden many times over and guessed from changing others.

Every window is seen with the same sets of hidden cells, in batches of one shape, so a surprise
depends on nothing but the window and the model.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from maetab.engine.inference import (
    FARTHEST,
    batch_size,
    each_batch,
    on_device,
    padded,
    padded_clock,
)
from maetab.engine.reference import N_REMEMBERED
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.support import Support
from maetab.nn.windows import Clock, Windows

ROW_SHARES = (0.3, 0.5)  # of the cells of a window that are hidden together, in turns
CELL_SHARES = (0.15, 0.3)  # to score cells: more of the others are left to find one that is wrong


def hidden_sets(n_cells: int, n_sets: int, shares: tuple[float, ...] = ROW_SHARES) -> np.ndarray:
    """Return (n_sets, n_cells) bool: cells to hide together, each hidden about equally often.

    More sets where fewer would leave a cell that is never hidden.

    Examples
    --------
    >>> hidden_sets(10, 20).sum(1).tolist()[:4]
    [3, 5, 3, 5]
    >>> bool(np.ptp(hidden_sets(10, 20).sum(0)) <= 1)
    True
    """
    random = np.random.default_rng(n_cells)
    sets: list[np.ndarray] = []
    times = np.zeros(n_cells)
    while len(sets) < n_sets or not times.all():
        chosen, turn = np.zeros(n_cells, bool), len(sets) % len(shares)
        n_hidden = max(1 + turn, round(shares[turn] * n_cells))
        n_hidden = min(n_hidden, max(1, n_cells - 1))
        chosen[np.lexsort((random.random(n_cells), times))[:n_hidden]] = True
        times += chosen
        sets.append(chosen)
    return np.stack(sets)


@torch.inference_mode()
def surprises(
    model: Ensemble,
    windows: Windows,
    memory_index: np.ndarray,
    sets: np.ndarray,
    device: torch.device,
    scale: np.ndarray | None = None,
    clipped: bool = False,
    others_weight: np.ndarray | None = None,
) -> np.ndarray:
    """Return (W, T, F) how wrong the guesses at each cell are, hidden with changing other cells.

    The error of a number is |truth - guess|, of a category -log of its probability; the surprise
    is log(1 + error / scale). NaN where nothing was observed.

    Parameters
    ----------
    memory_index : (W, P) remembered windows that share a physical row with each, -1 for none;
        they take no part in its guesses
    sets : (n_sets, T * F) bool, cells that are hidden together, one set after the other
    scale : (F,) usual error of each column; None returns the errors themselves
    clipped : the guesses are made from numbers clipped to the range seen in fit, so that one wild
        cell does not spoil those at all others
    others_weight : (F,) of how much more the other cells of a window surprise where a cell of a
        column is visible than where it is hidden, too, which is added to its surprise: a wrong cell
        misleads; None for nothing
    """
    shape = (*windows.rows.shape, windows.values.shape[1])
    out = np.full(shape, np.nan)
    with on_device(model, device):
        hide = torch.tensor(sets, device=device)
        low, high = _ends(model.support) if clipped else (None, None)
        usual, weight = (
            None if x is None else torch.tensor(x, device=device) for x in (scale, others_weight)
        )
        errors = _errors if model.uses_networks or model.is_series else _first_errors
        size = batch_size(model, windows, device, N_REMEMBERED)

        def work(found: slice, values: Tensor, observed: Tensor) -> Tensor:
            own = padded(memory_index, found, size, device)
            truth = values.clamp(-FARTHEST, FARTHEST)
            given = truth.clamp(low, high) if clipped else truth
            clock = padded_clock(windows, found, size, device)
            wrong = errors(model, truth, given, observed, own, hide, clock)
            if usual is not None:
                wrong = torch.log1p(wrong / usual[:, None])
            mean = wrong.nanmean(-1)
            if weight is not None:
                mean = mean + weight * _misled(wrong.flatten(1, 2), hide).view_as(mean)
            return mean[: found.stop - found.start]

        for found, wrong in each_batch(work, windows, device, size):
            out[found] = wrong.cpu().numpy()
    return out


def _misled(wrong: Tensor, hide: Tensor) -> Tensor:
    """Return (B, C): how much more other cells surprise where a cell is visible than where hidden.

    As means over the sets, and over the cells hidden in each, of what a cell surprises more than it
    does in the mean of all sets; 0 of a cell that is never hidden with others.

    Parameters
    ----------
    wrong : (B, C, n_sets), NaN where a cell is not hidden by the set, or not observed
    hide : (n_sets, C) bool
    """
    # Sums are over the last axis: over others their order depends on the row's place.
    seen, hidden = ~wrong.isnan(), hide.T.to(wrong)
    more = torch.where(seen, wrong - wrong.nanmean(-1, keepdim=True), 0.0)
    total, count = (x.mT.contiguous().sum(-1)[:, None] for x in (more, seen.to(wrong)))
    visible = ((1 - hidden) * total).sum(-1) / ((1 - hidden) * count).sum(-1).clamp_min(1)
    beside = (hidden * (count - seen.to(wrong))).sum(-1).clamp_min(1)
    return visible - (hidden * (total - more)).sum(-1) / beside


def _ends(support: Support) -> tuple[Tensor, Tensor]:
    """Return (F,) smallest and largest number of each column; without end for categories."""
    last = ((support.share > 0).sum(1, keepdim=True) - 1).clamp_min(0)
    low, high = support.lower[:, 0], support.upper.gather(1, last)[:, 0]
    return (
        torch.where(support.is_number, low, -torch.inf),
        torch.where(support.is_number, high, torch.inf),
    )


def _errors(
    model: Ensemble,
    truth: Tensor,
    given: Tensor,
    observed: Tensor,
    own: Tensor,
    hide: Tensor,
    clock: Clock | None,
) -> Tensor:
    """Return (B, T, F, n_sets) float64: errors of guesses at hidden cells, made from `given`.

    NaN where a cell is not hidden by the set, or not observed.
    """
    support, errors = model.support, []
    place = support.index(truth.flatten(0, 1)).view_as(truth)
    for hidden in hide.view(len(hide), *truth.shape[1:]):
        known = observed & ~hidden
        probabilities, point = model(given, known, own, N_REMEMBERED, clock)
        found = probabilities.gather(-1, place.clamp_min(0)[..., None])[..., 0]
        found = _at_least(model, found, place)
        wrong = torch.where(support.is_number, (truth - point).abs(), -found.log())
        errors.append(torch.where(observed & hidden, wrong.double(), torch.nan))
    return torch.stack(errors, -1)


def _first_errors(
    model: Ensemble,
    truth: Tensor,
    given: Tensor,
    observed: Tensor,
    own: Tensor,
    hide: Tensor,
    clock: Clock | None,
) -> Tensor:
    """Return what `_errors` does where no network has weight; only what is read is computed."""
    assert isinstance(model.guess, StackedGuess)
    guess, flat, shown, errors = model.guess, truth.flatten(1), observed.flatten(1), []
    n_columns, coordinates = truth.shape[2], guess.coordinates
    cells, visible = coordinates.expand(torch.where(observed, given, 0.0), observed)
    for hidden in hide:
        known = visible & ~hidden[guess.memory.cells]
        means = guess.means(cells, known, hidden, own, N_REMEMBERED)
        wrong = (flat - means[:, coordinates.first]).abs()
        for j, n_levels in enumerate(coordinates.n_levels):
            if n_levels and hidden[j]:
                logits = model.support.level_logits(j % n_columns, means[:, coordinates.slices[j]])
                place = torch.where(flat[:, j] < n_levels, flat[:, j], -1.0).long()
                found = logits.softmax(-1).gather(-1, place.clamp_min(0)[:, None])[:, 0]
                wrong[:, j] = -_at_least(model, found, place).log()
        errors.append(torch.where(shown & hidden, wrong.double(), torch.nan))
    return torch.stack(errors, -1).view(*truth.shape, -1)


def _at_least(model: Ensemble, probability: Tensor, place: Tensor) -> Tensor:
    """Return probabilities of levels, no less than that of one never or hardly ever seen."""
    least = 0.5 / (min(N_REMEMBERED, model.config.n_memory) + 1)
    return torch.where(place >= 0, probability, least).clamp_min(least)
