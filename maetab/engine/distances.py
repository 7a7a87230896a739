"""How far windows lie from the remembered ones that are nearest to them, by cells and by keys."""

from __future__ import annotations

from typing import NamedTuple

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
from maetab.engine.reference import N_REMEMBERED, Reference, completed
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.windows import Clock, Windows

FAR = 1e30
EXPECTED = 0.5  # weight of a difference from what is expected of a missing cell
LEAST_REACH = 0.5  # usual distances added to both sides where distances are compared
UNSURE = 2.0  # usual differences that a cell counts of which nothing is known
CANDIDATES = 4  # times as many windows as are wanted are looked at, to find the nearest by keys
NEAR_ROWS = 32  # windows whose distances to remembered ones stay in the cache together


class Distances(NamedTuple):
    """How far the steps of W windows are from remembered windows.

    mean : (W, T) the mean of the distances to those that are nearest to the window
    nearest : (W, T) the distance to the nearest of all
    local : (W, T) the mean in units of how far those are from their own neighbours; None where that
        is not known
    """

    mean: np.ndarray
    nearest: np.ndarray
    local: np.ndarray | None = None


@torch.inference_mode()
def distances(
    model: Ensemble,
    reference: Reference,
    windows: Windows,
    memory_index: np.ndarray,
    n_nearest: int,
    trusted: np.ndarray,
    device: torch.device,
    usual_gap: float = 0.0,
    reach: np.ndarray | None = None,
) -> Distances:
    """Return the distances of each step to those of the remembered windows nearest to its window.

    Sums of absolute differences of standardised numbers and indicators of levels. What a window
    misses is what the first guess expects from its other cells, so that no window is near because
    it has few cells; what it expects counts less than what is observed, and its standard deviation
    counts too. Steps without a row count nowhere, and have 0.

    Parameters
    ----------
    memory_index : (W, P) remembered windows that share a physical row with each, -1 for none;
        they are no neighbours of it
    n_nearest : remembered windows that count as near
    trusted : (n_memory,) bool, remembered windows that may be neighbours
    usual_gap : usual difference of a coordinate; a missing one of which nothing is known counts
        `UNSURE` times as much
    reach : (n_memory,) how far the remembered windows are from those that are nearest to them
    """
    guess = model.guess
    out = np.zeros((2 if reach is None else 3, *windows.rows.shape))
    n_nearest = most_neighbours(n_nearest, trusted, guess.n_steps)
    with on_device(model, device):
        arrays = reference.completed_rows, reference.completed_std, ~trusted
        rows, deviations, barred = (torch.tensor(x, device=device) for x in arrays)
        known = None if reach is None else torch.tensor(reach, device=device, dtype=rows.dtype)
        least = LEAST_REACH * usual_gap * guess.coordinates.step_size
        remembered = _Remembered(rows, deviations * (UNSURE * usual_gap), barred, n_nearest)
        size = batch_size(model, windows, device, N_REMEMBERED)

        def work(found: slice, values: Tensor, observed: Tensor) -> Tensor:
            own = padded(memory_index, found, size, device)
            clock = padded_clock(windows, found, size, device)
            full, deviation, visible, unknown = _whole(guess, values, observed, own, clock)
            inside = (windows.rows[found] >= 0).to(device)
            n_unknown = unknown.unflatten(1, (guess.n_steps, -1)).sum(2)
            far = torch.zeros((len(inside), len(out), inside.shape[1]), device=device)
            for steps in inside.unique(dim=0):
                same = (inside == steps).all(1).nonzero()[:, 0]
                # Its own indicator is no coordinate: two known levels differ by two of them.
                extra, unsure = n_unknown[same][:, steps], deviation[same][:, steps]
                added = extra + UNSURE * usual_gap * unsure
                gap, near = remembered.gaps(full[same], visible[same], own[same], steps)
                mean = gap.mean(1) + added
                each = [mean, gap[:, 0] + added]
                if known is not None:
                    each.append((mean + least) / (known[near].mean(1, keepdim=True) + least))
                far[same[:, None], :, steps.nonzero()[:, 0]] = torch.stack(each, 2)
            return far

        for found, far in each_batch(work, windows, device, size):
            out[:, found] = far.transpose(0, 1).cpu().numpy()
    return Distances(*out)


@torch.inference_mode()
def key_distances(
    model: Ensemble,
    reference: Reference,
    windows: Windows,
    memory_index: np.ndarray,
    n_nearest: int,
    trusted: np.ndarray,
    device: torch.device,
) -> np.ndarray:
    """Return (W,) the mean squared distance of each window to those that are nearest by their keys.

    Those of all heads are summed. What a window misses is what the first guess expects, and counts
    as visible: the keys of what it has alone told anomalies less well. A level that is not known
    lies as far from all others as two levels of its column do.

    Parameters
    ----------
    model : whose memory has keys
    memory_index, trusted : as in `distances`
    """
    guess, out = model.guess, np.zeros(len(windows))
    keys = guess.memory.keys
    assert keys is not None
    n_nearest = most_neighbours(n_nearest, trusted, guess.n_steps)
    with on_device(model, device):
        places, rows = keys.places(keys.kept), torch.tensor(reference.completed_rows, device=device)
        holed = ~(guess.memory.visible > 0).all(1)
        places[holed] = keys.of_whole(rows[holed])
        added = FAR * torch.tensor(~trusted, device=device)
        levels = zip(guess.coordinates.slices, guess.coordinates.n_levels, strict=True)
        apart = torch.stack([keys.widest(own) * (n > 0) for own, n in levels])
        size = batch_size(model, windows, device, N_REMEMBERED)

        def work(found: slice, values: Tensor, observed: Tensor) -> Tensor:
            own = padded(memory_index, found, size, device)
            clock = padded_clock(windows, found, size, device)
            full, _, _, unknown = _whole(guess, values, observed, own, clock)
            asked = keys.of_whole(full)
            mean = _least_squares(asked, places, own, added, n_nearest).mean(1)
            return (mean + (unknown * apart).sum(1))[: found.stop - found.start]

        for found, mean in each_batch(work, windows, device, size):
            out[found] = mean.cpu().numpy()
    return out


def _whole(
    guess: StackedGuess | SeriesGuess,
    values: Tensor,
    observed: Tensor,
    own: Tensor,
    clock: Clock | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return coordinates (B, T * C), completed, and (B, T) standard deviations of what was missing.

    Then (B, T * C) which were visible, and (B, T * F) the cells with a level that is not known.
    """
    cells, visible = guess.coordinates.expand(values, observed)
    # An unknown level differs from all others; it is not missing.
    flat = values.flatten(1)
    n_levels = torch.tensor(guess.coordinates.n_levels, device=flat.device)
    unknown = observed.flatten(1) & (n_levels > 0) & (flat >= n_levels)
    visible = visible | unknown[:, guess.memory.cells]
    full, deviation = completed(guess, cells * visible, visible, own, clock)
    return full.clamp(-FARTHEST, FARTHEST), deviation, visible, unknown


def most_neighbours(wanted: int, trusted: np.ndarray, n_steps: int) -> int:
    """Return how many neighbours a window of so many steps surely has: `wanted` at most."""
    return max(1, min(wanted, int(trusted.sum()) - (2 * n_steps - 1)))


class _Remembered(NamedTuple):
    """Remembered windows, to which distances are taken.

    rows, unsure : their coordinates, and (n_memory, T) what is added for those that they missed
    barred : (n_memory,) True for those that are no neighbours
    n_nearest : windows that a distance is the mean over
    """

    rows: Tensor
    unsure: Tensor
    barred: Tensor
    n_nearest: int

    def gaps(
        self, full: Tensor, visible: Tensor, own: Tensor, steps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (B, n_nearest, t) the distances of windows (B, T * C), at t of their steps (T,),
        to the windows that are nearest at all of these, and (B, n_nearest) which, nearest first.
        """
        rows, unsure = self.rows, self.unsure
        if not bool(steps.all()):
            inside = steps.repeat_interleave(full.shape[1] // len(steps))
            rows, full, visible = rows[:, inside], full[:, inside], visible[:, inside]
            unsure = self.unsure[:, steps]
        added = unsure.sum(1).masked_fill(self.barred, FAR)
        together = NEAR_ROWS if full.device.type == "cpu" else len(full)
        parts = zip(full.split(together), own.split(together), strict=True)
        near = torch.cat([_nearest(*part, rows, added, self.n_nearest) for part in parts])
        weight = torch.where(visible, 1.0, EXPECTED)[:, None]
        gap = ((full[:, None] - rows[near]).abs() * weight).unflatten(2, (unsure.shape[1], -1))
        return gap.sum(-1) + unsure[near], near


def _nearest(full: Tensor, own: Tensor, rows: Tensor, added: Tensor, n_nearest: int) -> Tensor:
    """Return (B, n_nearest) which remembered windows are nearest to windows (B, C).

    added : (n_memory,) what is added to the distance of each
    """
    return _least(torch.cdist(full, rows, p=1), own, added, n_nearest)


def _least(gap: Tensor, own: Tensor, added: Tensor, n_nearest: int) -> Tensor:
    """Return (B, n_nearest) the remembered windows whose `gap` (B, n_memory) and `added` is least.

    own : (B, P) remembered windows that are none of these, -1 for none
    """
    return _apart(gap, own, added).topk(n_nearest, largest=False).indices


def _apart(gap: Tensor, own: Tensor, added: Tensor) -> Tensor:
    """Return `gap` and `added`, `FAR` for own ones; see `_least`."""
    gap = gap + added
    window, which = (own >= 0).nonzero(as_tuple=True)
    gap[window, own[window, which]] = FAR
    return gap


def _least_squares(
    asked: Tensor, places: Tensor, own: Tensor, added: Tensor, n_nearest: int
) -> Tensor:
    """Return (B, n_nearest) the least squared distances of (B, E) to places (n_memory, E).

    Which places may be among them, a matrix product says, which is fast and rounds; they are sums
    of squares of differences. `own` and `added` as in `_least`.
    """
    rough = _apart(places.square().sum(1) - 2 * asked @ places.T, own, added)
    near = rough.topk(min(CANDIDATES * n_nearest, len(places)), largest=False)
    exact = (asked[:, None] - places[near.indices]).square().sum(2)
    exact = torch.where(near.values < FAR / 2, exact, FAR)
    return exact.topk(n_nearest, largest=False).values
