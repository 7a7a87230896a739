"""How strange rows and cells are: hidden cells guessed many times over, and distances to rows.

Every row is seen with the same sets of hidden columns, in batches of one shape, so a score depends
on nothing but the row and the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from maetab.engine.inference import (
    FARTHEST,
    batch_rows,
    batches,
    least_rows,
    on_device,
    own_places,
)
from maetab.engine.reference import N_CONSULTED, completed, keys_of, reference_of
from maetab.engine.runtime import Deadline
from maetab.nn.guess import Prior
from maetab.nn.memory import rows_at_once
from maetab.nn.ensemble import Ensemble

ROW_SHARES = (0.3, 0.5)  # of the columns that are hidden together, in turns, to score rows
CELL_SHARES = (0.15, 0.3)  # to score cells: the others tell more of one that is wrong alone
FAR = 1e30
EXPECTED = 0.5  # weight of a difference from what is expected of a missing cell
UNSURE = 2.0  # usual differences that a cell counts of which nothing is known
TAIL = 0.05  # share of a column's surprises beyond which they are taken for exponential
EQUAL = 1e-6  # difference of surprises that are taken for equal
CALIBRATED = 4.0  # what calibration takes, in passes over the cells of all sets
CHUNK = 4096  # rows that are looked up together
NEAR_ROWS = 32  # rows whose distances to remembered ones stay in the cache together


def hidden_sets(n_columns: int, n_sets: int, shares: tuple[float, ...] = ROW_SHARES) -> np.ndarray:
    """Return (n_sets, F) bool: columns to hide together, each hidden about equally often.

    More sets where fewer would leave a column that is never hidden.

    Examples
    --------
    >>> hidden_sets(10, 20).sum(1).tolist()[:4]
    [3, 5, 3, 5]
    >>> bool(np.ptp(hidden_sets(10, 20).sum(0)) <= 1)
    True
    """
    random = np.random.default_rng(n_columns)
    sets: list[np.ndarray] = []
    times = np.zeros(n_columns)
    while len(sets) < n_sets or not times.all():
        chosen, turn = np.zeros(n_columns, bool), len(sets) % len(shares)
        n_hidden = max(1 + turn, round(shares[turn] * n_columns))
        n_hidden = min(n_hidden, max(1, n_columns - 1))
        chosen[np.lexsort((random.random(n_columns), times))[:n_hidden]] = True
        times += chosen
        sets.append(chosen)
    return np.stack(sets)


def remembered_places(model: Ensemble, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return (n,) the place in the memory of a row equal to each row, -1 for none."""
    reference = reference_of(model)
    keys, places = reference.keys, reference.places
    found = np.full(len(values), -1)
    for start in range(0, len(values), CHUNK):
        rows = slice(start, start + CHUNK)
        spread, seen = _expand(model.prior, values[rows], observed[rows])
        wanted = keys_of(spread, seen)
        near = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        found[rows] = np.where(keys[near] == wanted, places[near], -1)
    return found


def surprises(
    model: Ensemble,
    values: np.ndarray,
    observed: np.ndarray,
    places: np.ndarray,
    sets: np.ndarray,
    device: torch.device,
    scale: np.ndarray | None = None,
    bounded: bool = False,
) -> np.ndarray:
    """Return (n, F) how wrong the guesses at each cell are, hidden with changing other cells.

    The error of a number is |truth - guess|, of a category -log of its probability; the surprise
    is log(1 + error / scale). NaN where nothing was observed.

    Parameters
    ----------
    values : (n, F) as encoded
    observed : (n, F) bool
    places : (n,) the place of a row in the memory, -1 for none; it is not asked about itself
    sets : (n_sets, F) bool, columns that are hidden together, one set after the other
    scale : (F,) usual error of each column; None returns the errors themselves
    bounded : the guesses are made from numbers clipped to the range seen in fit, so that one wild
        cell does not spoil those at all others
    """
    small = reference_of(model).small
    n_held = small.config.n_memory
    places = np.where(places < n_held, places, -1)
    out = np.full(values.shape, np.nan)
    with on_device(small, device), torch.inference_mode():
        hide = torch.tensor(sets, device=device)
        low, high = _ends(small) if bounded else (None, None)
        usual = None if scale is None else torch.tensor(scale, device=device)
        errors = _errors if small.consulted else _first_errors
        size = _rows_in_batch(small, values.shape)
        for rows, values_, seen_ in batches(values[:, None], observed[:, None], device, size=size):
            n = rows.stop - rows.start
            own = own_places(places, rows, values_)
            values_ = values_.clamp(-FARTHEST, FARTHEST)
            told = values_.clamp(low, high) if bounded else values_
            said = errors(small, values_, told, seen_, own, hide)
            if usual is not None:
                said = torch.log1p(said / usual)
            out[rows] = said.nanmean(0)[:n].cpu().numpy()
    return out


def rows_in_time(
    model: Ensemble,
    values: np.ndarray,
    observed: np.ndarray,
    n_masks: int,
    device: torch.device,
    deadline: Deadline,
) -> int:
    """Return how many rows (n, F) there is time to calibrate with: all without a limit."""
    nowhere, sets = np.full(len(values), -1), hidden_sets(values.shape[1], n_masks)

    def look(n: int) -> None:
        surprises(model, values[:n], observed[:n], nowhere[:n], sets, device)

    start = batch_rows(values.shape[1], least_rows(model))
    return deadline.affordable(look, len(values), CALIBRATED, start)


def _rows_in_batch(model: Ensemble, shape: tuple[int, ...]) -> int:
    """Return how many of (n, F) rows make a batch.

    Few rows get a small one where results do not depend on it: what the first guess does with
    whole batches is done row by row, but for products of factors.
    """
    n, f = shape
    size = batch_rows(f, least_rows(model))
    step = min(size, rows_at_once(min(N_CONSULTED, model.config.n_memory)))
    if model.consulted or model.prior.gaussian.n_factors:
        return size
    return step if n <= step else size // step * step


def _ends(model: Ensemble) -> tuple[Tensor, Tensor]:
    """Return (F,) smallest and largest number of each column; without end for categories."""
    support = model.prior.support
    last = ((support.share > 0).sum(1, keepdim=True) - 1).clamp_min(0)
    low, high = support.lower[:, 0], support.upper.gather(1, last)[:, 0]
    return (
        torch.where(support.is_number, low, -torch.inf),
        torch.where(support.is_number, high, torch.inf),
    )


def _errors(
    model: Ensemble, values: Tensor, told: Tensor, seen: Tensor, places: Tensor, hide: Tensor
) -> Tensor:
    """Return (sets, B, F) float64: errors of guesses at hidden cells (B, 1, F), made from `told`.

    NaN where a cell is not hidden by the set, or not seen.
    """
    support, said = model.prior.support, []
    place = support.index(values[:, 0])
    for one in hide:
        chances, point = (x[:, 0] for x in model(told, seen & ~one, places))
        chance = chances.gather(-1, place.clamp_min(0)[..., None])[..., 0]
        chance = _chance_at_least(model, chance, place)
        wrong = torch.where(support.is_number, (values[:, 0] - point).abs(), -chance.log())
        said.append(torch.where(seen[:, 0] & one, wrong.double(), torch.nan))
    return torch.stack(said)


def _first_errors(
    model: Ensemble, values: Tensor, told: Tensor, seen: Tensor, places: Tensor, hide: Tensor
) -> Tensor:
    """Return what `_errors` does, where no network has a say: nothing is made that is not read."""
    prior, truth, shown, said = model.prior, values[:, 0], seen[:, 0], []
    spread, there = prior.expand(torch.where(shown, told[:, 0], 0.0), shown)
    first = [c.start for c in prior.coordinates]
    for one in hide:
        means = prior.means(spread, there & ~one[prior.memory.columns], one, places)
        wrong = (truth - means[:, first]).abs()
        for j, n_levels in enumerate(prior.n_levels):
            if n_levels and one[j]:
                logits = prior.support.level_logits(j, means[:, prior.coordinates[j]])
                place = torch.where(truth[:, j] < n_levels, truth[:, j], -1.0).long()
                chance = logits.softmax(-1).gather(-1, place.clamp_min(0)[:, None])[:, 0]
                wrong[:, j] = -_chance_at_least(model, chance, place).log()
        said.append(torch.where(shown & one, wrong.double(), torch.nan))
    return torch.stack(said)


def _chance_at_least(model: Ensemble, chance: Tensor, place: Tensor) -> Tensor:
    """Return the chances of levels, no less than that of one never or hardly ever seen."""
    least = 0.5 / (model.config.n_memory + 1)
    return torch.where(place >= 0, chance, least).clamp_min(least)


def distances(
    model: Ensemble,
    values: np.ndarray,
    observed: np.ndarray,
    places: np.ndarray,
    n_nearest: int,
    allowed: np.ndarray,
    device: torch.device,
    usual: float = 0.0,
) -> np.ndarray:
    """Return (n,) the mean distance of each row to the nearest remembered rows.

    Sums of absolute differences of standardised numbers and indicators of levels. What a row
    misses is what the first guess expects from its other cells, so that no row is near because it
    says little; what it expects counts less than what is seen, and its standard deviation counts
    too. A row does not see itself.

    Parameters
    ----------
    allowed : (n_memory,) bool, remembered rows that count
    usual : usual difference of a coordinate; a missing one of which nothing is known counts
        `UNSURE` times as much
    """
    prior, out = model.prior, np.zeros(len(values))
    n_levels = torch.tensor(prior.n_levels, device=device)
    n_nearest = max(1, min(n_nearest, int(allowed.sum()) - 1))
    reference = reference_of(model)
    with on_device(model, device), torch.inference_mode():
        barred = ~torch.tensor(allowed, device=device)
        held = reference.held.to(device)
        vague = reference.vague.to(device) * UNSURE * usual
        added = vague.masked_fill(barred, FAR)
        size = _rows_in_batch(model, values.shape)
        for rows, values_, seen_ in batches(values[:, None], observed[:, None], device, size=size):
            n = rows.stop - rows.start
            spread, seen = prior.expand(values_[:, 0], seen_[:, 0])
            # An unknown level differs from all others; it is not missing.
            strange = seen_[:, 0] & (n_levels > 0) & (values_[:, 0] >= n_levels)
            seen = seen | strange[:, prior.memory.columns]
            own = own_places(places, rows, values_)
            full, unsure = completed(prior, spread * seen, seen, own)
            full = full.clamp(-FARTHEST, FARTHEST)
            some = zip(full.split(NEAR_ROWS), own.split(NEAR_ROWS), strict=True)
            near = torch.cat([_nearest(*rows_, held, added, n_nearest) for rows_ in some])
            weight = torch.where(seen, 1.0, EXPECTED)[:, None]
            far = ((full[:, None] - held[near]).abs() * weight).sum(-1) + vague[near]
            # Its own indicator is no coordinate: two known levels differ by two of them.
            far = far.mean(1) + strange.sum(1)
            out[rows] = (far + UNSURE * usual * unsure)[:n].cpu().numpy()
    return out


def _nearest(full: Tensor, own: Tensor, held: Tensor, added: Tensor, n_nearest: int) -> Tensor:
    """Return (B, n_nearest) which rows of `held` are nearest to rows (B, C); none is its own.

    added : (n,) what is added to the distance of each held row
    """
    gap = torch.cdist(full, held, p=1).add_(added)
    which = (own >= 0).nonzero()[:, 0]
    gap[which, own[which]] = FAR
    return gap.topk(n_nearest, largest=False).indices


def column_means(cells: np.ndarray) -> np.ndarray:
    """Return (F,) means of the cells that are no NaN; 0 where there are none."""
    seen = ~np.isnan(cells)
    return np.where(seen, cells, 0.0).sum(0) / np.maximum(seen.sum(0), 1)


def mean_of_largest(cells: np.ndarray, share: float) -> np.ndarray:
    """Return (n,) means of the largest `share` of the cells of each row, of one at least.

    NaN stands for no cell, and for the mean where there is none at all.
    """
    n_seen = (~np.isnan(cells)).sum(1)
    ordered = -np.sort(-np.nan_to_num(cells, nan=-1.0), axis=1)
    count = np.maximum(1, np.floor(share * n_seen)).astype(int)
    total = np.cumsum(np.maximum(ordered, 0.0), axis=1)
    means = np.take_along_axis(total, count[:, None] - 1, axis=1)[:, 0] / count
    return np.where(n_seen > 0, means, np.nan)


def unseen_levels(
    values: np.ndarray,
    observed: np.ndarray,
    level_counts: Sequence[Sequence[int]],
    category: np.ndarray,
) -> np.ndarray:
    """Return (n, F) bool: levels that at most one training row has.

    The only row with a level would, left out, be the first to show it.

    Parameters
    ----------
    values, observed : (n, F) as encoded
    level_counts : for each column, how many training rows have each level
    category : (F,) bool
    """
    unseen = np.zeros(observed.shape, bool)
    for j in np.flatnonzero(category).tolist():
        codes = np.where(observed[:, j], values[:, j], 0).astype(int)
        unseen[:, j] = observed[:, j] & (np.array([*level_counts[j], 0])[codes] <= 1)
    return unseen


def unseen_cost(
    joined: np.ndarray, n_unseen: np.ndarray, n_observed: np.ndarray, category: np.ndarray
) -> np.ndarray:
    """Return (F,) what an unseen level takes off the score of a row; 0 for numbers.

    With one, a usual row comes to where as large a share of the training rows lies below as show
    an unseen level in such a column, this row included, times the number of categories.

    Parameters
    ----------
    joined : (n,) scores of the training rows without that
    n_unseen, n_observed : (F,) training rows with an unseen level, and with any
    category : (F,) bool
    """
    share = (1 + n_unseen) / (1 + n_observed) * category.sum()
    low = np.quantile(joined, np.minimum(share, 0.5))
    return np.where(category, np.median(joined) - low, 0.0)


def conformal(scores: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return (n,) p-values: shares of the normal scores, ascending, that are no larger."""
    return (1 + np.searchsorted(normal, scores, side="right")) / (1 + len(normal))


def rarities(cells: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Return (n, F) -log10 of the share of each column above a cell, by its quantiles (F, Q).

    Cells that surprise as much count as above; the last `TAIL` of a column is taken for
    exponential.
    """
    last = quantiles.shape[1] - 1
    tail = round((1 - TAIL) * last)
    shares = np.linspace(0, 1, last + 1)[: tail + 1]
    out = np.full(cells.shape, np.nan)
    for j, known in enumerate(quantiles):
        start = known[tail]
        reach = max(float((known[tail:] - start).mean()), 1e-2)
        column = cells[:, j]
        below = np.interp(column, known[: tail + 1], shares)
        tied = np.searchsorted(known[:tail], column - EQUAL)  # the first that is no smaller
        below = np.where(known[tied] <= column + EQUAL, np.minimum(shares[tied], below), below)
        beyond = np.maximum(column - start, 0) / reach / np.log(10)
        out[:, j] = beyond - np.log10(1 - below)
    return out


def middle(part: np.ndarray) -> float:
    """Return the median of what is positive, a tiny number if nothing is."""
    positive = part[part > 0]
    return float(np.median(positive)) if len(positive) else 1e-6


def _expand(
    prior: Prior, values: np.ndarray, observed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    clean = torch.tensor(np.where(observed, values, np.float32(0)))
    spread, seen = prior.expand(clean, torch.tensor(observed))
    return torch.where(seen, spread, 0.0).numpy(), seen.numpy()
