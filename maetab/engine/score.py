"""How strange rows and cells are: hidden cells guessed many times over, and distances to rows.

Every row is seen with the same sets of hidden columns, in batches of one shape, so a score depends
on nothing but the row and the model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from maetab.engine.apply import batches, on_device
from maetab.nn.guess import Prior
from maetab.nn.model import Ensemble

HIDDEN_SHARES = (0.3, 0.5)  # of the columns, in turns
N_CONSULTED = 1024  # remembered rows that guesses at hidden cells are made from
FAR = 1e30


def hidden_sets(n_columns: int, n_sets: int) -> np.ndarray:
    """Return (n_sets, F) bool: columns to hide together, each hidden about equally often.

    Examples
    --------
    >>> hidden_sets(10, 20).sum(1).tolist()[:4]
    [3, 5, 3, 5]
    >>> bool(np.ptp(hidden_sets(10, 20).sum(0)) <= 1)
    True
    """
    random = np.random.default_rng(n_columns)
    sets, times = np.zeros((n_sets, n_columns), bool), np.zeros(n_columns)
    for i, chosen in enumerate(sets):
        share = HIDDEN_SHARES[i % len(HIDDEN_SHARES)]
        n_hidden = min(max(1, round(share * n_columns)), max(1, n_columns - 1))
        chosen[np.lexsort((random.random(n_columns), times))[:n_hidden]] = True
        times += chosen
    return sets


def remembered_places(
    model: Ensemble, values: np.ndarray, observed: np.ndarray, chunk: int = 4096
) -> np.ndarray:
    """Return (n,) the place in the memory of a row equal to each row, -1 for none."""
    memory = model.prior.memory
    known = np.hstack([memory.values.cpu().numpy(), memory.visible.cpu().numpy()])
    places = {row.tobytes(): i for i, row in reversed(list(enumerate(known + np.float32(0))))}
    found = np.full(len(values), -1)
    for start in range(0, len(values), chunk):
        rows = slice(start, start + chunk)
        spread, seen = _expand(model.prior, values[rows], observed[rows])
        keys = np.hstack([spread, seen.astype(np.float32)]) + np.float32(0)  # no negative zeros
        found[rows] = [places.get(row.tobytes(), -1) for row in keys]
    return found


def remembered_rows(model: Ensemble) -> tuple[np.ndarray, np.ndarray]:
    """Return values and observed (n, F) of the rows in the memory: the way back of `expand`."""
    prior = model.prior
    held, seen = prior.memory.values.cpu().numpy(), prior.memory.visible.cpu().numpy() > 0
    columns = [
        held[:, c].argmax(1).astype(np.float32) if n else held[:, c.start]
        for c, n in zip(prior.coordinates, prior.n_levels, strict=True)
    ]
    observed = np.column_stack([seen[:, c.start] for c in prior.coordinates])
    return np.where(observed, np.column_stack(columns), np.float32(0)), observed


def surprises(
    model: Ensemble,
    values: np.ndarray,
    observed: np.ndarray,
    places: np.ndarray,
    n_sets: int,
    device: torch.device,
    scale: np.ndarray | None = None,
    quantile: float | None = None,
) -> np.ndarray:
    """Return (n, F) how wrong the guesses at each cell are, hidden with changing other cells.

    The error of a number is |truth - guess|, of a category -log of its probability; the surprise
    is log(1 + error / scale). NaN where nothing was observed.

    Parameters
    ----------
    values : (n, F) as encoded
    observed : (n, F) bool
    places : (n,) the place of a row in the memory, -1 for none; it is not asked about itself
    n_sets : how many sets of columns are hidden, one after the other
    scale : (F,) usual error of each column; None returns the errors themselves
    quantile : of the surprises of a cell over the sets; None for their mean
    """
    sets = hidden_sets(values.shape[1], n_sets)
    small = _consulted(model)
    n_held = small.config.n_memory
    places = np.where(places < n_held, places, -1)
    out = np.full(values.shape, np.nan)
    with on_device(small, device), torch.inference_mode():
        hide = torch.tensor(sets, device=device)
        usual = None if scale is None else torch.tensor(scale, device=device)
        for rows, values_, seen_ in batches(values[:, None], observed[:, None], device):
            n = rows.stop - rows.start
            own = torch.full((len(values_),), -1, device=device)
            own[:n] = torch.tensor(places[rows], device=device)
            said = torch.stack([_errors(small, values_, seen_, own, one) for one in hide])
            if usual is not None:
                said = torch.log1p(said / usual)
            wrong = said.nanmean(0) if quantile is None else said.nanquantile(quantile, 0)
            out[rows] = wrong[:n].cpu().numpy()
    return out


def _errors(model: Ensemble, values: Tensor, seen: Tensor, places: Tensor, hide: Tensor) -> Tensor:
    """Return (B, F) float64: errors at the cells in one set of columns, NaN elsewhere."""
    support = model.prior.support
    hidden, visible, truth = seen & hide, seen & ~hide, values[:, 0]
    if bool((model.trust > 0).any()):
        chances, point = model(values, visible, places)
        chances, point = chances[:, 0], point[:, 0]
    else:
        guess, logits = model.prior(truth, visible[:, 0], places)
        chances, point = logits.softmax(-1), model.prior.point(guess)
    place = support.index(truth)
    chance = chances.gather(-1, place.clamp_min(0)[..., None])[..., 0]
    least = 0.5 / (model.config.n_memory + 1)  # of a level that was never or hardly ever seen
    chance = torch.where(place >= 0, chance, least).clamp_min(least)
    wrong = torch.where(support.is_number, (truth - point).abs(), -chance.log()).double()
    return torch.where(hidden[:, 0], wrong, torch.nan)


def distances(
    model: Ensemble,
    values: np.ndarray,
    observed: np.ndarray,
    places: np.ndarray,
    n_nearest: int,
    allowed: np.ndarray | None,
    device: torch.device,
) -> np.ndarray:
    """Return (n,) the mean squared distance of each row to the nearest remembered rows.

    Standardised numbers and indicators of levels; summed over the coordinates that both rows
    have, and scaled up to all. A row does not see itself.

    Parameters
    ----------
    allowed : (n_memory,) bool, remembered rows that count; None for all
    """
    memory = model.prior.memory
    out = np.zeros(len(values))
    keep = torch.ones(len(memory.values), dtype=torch.bool)
    keep = keep if allowed is None else torch.tensor(allowed)
    with on_device(model, device), torch.inference_mode():
        held, there = memory.values.double(), memory.visible.double()
        right = torch.cat([there, held.square(), held], 1).T
        n_nearest = max(1, min(n_nearest, int(keep.sum()) - 1))
        barred = ~keep.to(device)
        for rows, values_, seen_ in batches(values[:, None], observed[:, None], device):
            n = rows.stop - rows.start
            spread, seen = model.prior.expand(values_[:, 0], seen_[:, 0])
            # An unknown level differs from all others; it is not missing.
            seen = seen | ~_known(model.prior, values_[:, 0], seen_[:, 0])
            spread, seen = spread.double(), seen.double()
            spread = spread * seen
            square = torch.cat([spread.square(), seen, -2 * spread], 1) @ right
            shared = seen @ there.T
            square = square.clamp_min(0) * (seen.shape[1] / shared.clamp_min(1))
            square = square.masked_fill((shared < 0.5) | barred, FAR)
            own = torch.tensor(places[rows], device=device)
            which = (own >= 0).nonzero()[:, 0]
            square[which, own[which]] = FAR
            near = square.topk(n_nearest, largest=False).values
            out[rows] = near.mean(1)[:n].cpu().numpy()
    return out


def _known(prior: Prior, values: Tensor, seen: Tensor) -> Tensor:
    """Return (B, C) bool: False on the coordinates of levels that are not modelled."""
    levels = torch.tensor(prior.n_levels, device=values.device)
    strange = seen & (levels > 0) & (values >= levels)
    return ~strange[:, prior.memory.columns]


def _expand(
    prior: Prior, values: np.ndarray, observed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    clean = torch.tensor(np.where(observed, values, np.float32(0)))
    spread, seen = prior.expand(clean, torch.tensor(observed))
    return torch.where(seen, spread, 0.0).numpy(), seen.numpy()


def _consulted(model: Ensemble) -> Ensemble:
    """Return the model with a memory of at most `N_CONSULTED` rows; they were drawn at random."""
    n_rows = min(N_CONSULTED, model.config.n_memory)
    state = model.state_dict()
    for name in ("values", "visible", "residuals"):
        key = f"prior.memory.{name}"
        state[key] = state[key][:n_rows]
    with torch.random.fork_rng(devices=[]):
        small = Ensemble(replace(model.config, n_memory=n_rows))
    small.load_state_dict(state)
    return small.eval()
