"""The remembered windows as scores need them: completed, and found again by their cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from maetab.engine.fit import REMEMBERED_CELLS
from maetab.engine.inference import windows_of
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.windows import Clock, Windows

# Remembered windows, drawn at random, that guesses at hidden cells are made from: comparing with
# them is most of what a score costs.
N_REMEMBERED = 1024
COMPLETED_TOGETHER = 256  # remembered windows that are completed together
CHUNK = 4096  # windows that are looked up together


@dataclass(frozen=True)
class Reference:
    """What does not depend on the windows that are scored; made once, when fit ends.

    Parameters
    ----------
    completed_rows : (n_memory, T * C) float32, coordinates of the remembered windows, what they
        miss as the first guess expects it
    completed_std : (n_memory, T) float32, standard deviations of what was missing, summed
    memory_keys : (n_distinct,) uint64, ascending: hashes of the cells of the remembered windows
    memory_places : (n_distinct,) the first place in the memory that has each of them
    """

    completed_rows: np.ndarray
    completed_std: np.ndarray
    memory_keys: np.ndarray
    memory_places: np.ndarray


@torch.inference_mode()
def make_reference(model: Ensemble) -> Reference:
    """Return the reference of a fitted model, which never changes."""
    memory, guess = model.guess.memory, model.guess
    visible = memory.visible > 0
    completed_rows = memory.values.clone()
    completed_std = memory.values.new_zeros(len(visible), guess.n_steps)
    for places in (~visible.all(1)).nonzero()[:, 0].split(COMPLETED_TOGETHER):
        rows = memory.values[places], visible[places], memory.overlapping(places)
        clock = guess.clock_of(places) if isinstance(guess, SeriesGuess) else None
        completed_rows[places], completed_std[places] = completed(guess, *rows, clock)
    cells = memory.values.cpu().numpy(), visible.cpu().numpy()
    keys, places = np.unique(_keys(*cells), return_index=True)
    return Reference(completed_rows.cpu().numpy(), completed_std.cpu().numpy(), keys, places)


def remembered(model: Ensemble) -> Windows:
    """Return the training windows that the first guess remembers.

    Those without an observed cell are left out, unless there are no others.
    """
    windows = memory_windows(model)
    filled = windows.take(slice(None))[1].flatten(1).any(1)
    return replace(windows, rows=windows.rows[filled | ~filled.any()])


def remembered_series(model: Ensemble) -> tuple[Windows, np.ndarray]:
    """Return the remembered windows of series, each row once, and which rows are known whole.

    As they were cut from the training rows: what several windows share is one row, and rows of a
    series follow each other. Steps without an observed cell are left out.

    Returns
    -------
    windows : in order of their rows
    whole : (n,) bool, True where no window is known to be missing that held a row
    """
    windows = memory_windows(model)
    overlaps = model.guess.memory.overlaps.cpu().numpy()
    n = len(windows)
    seen = windows.take(slice(None))[1].any(2).numpy()
    kept = np.asarray(seen.any(1))
    pairs = np.nonzero((overlaps >= 0) & kept[:, None])
    joined = coo_array((np.ones(len(pairs[0])), (pairs[0], overlaps[pairs])), shape=(n, n))
    series = connected_components(joined, directed=False)[1]
    assert windows.clock is not None
    position = windows.clock.position.numpy()
    held = windows.rows.numpy()[seen]
    keys = np.column_stack([np.repeat(series, seen.sum(1)), position[held]])
    _, first, number = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    rows = np.full(seen.shape, -1)
    rows[seen] = number.reshape(-1)
    order = np.argsort(np.where(rows >= 0, rows, len(first)).min(1)[kept], kind="stable")
    times, config = np.bincount(rows[rows >= 0], minlength=len(first)), model.config
    room = REMEMBERED_CELLS // (config.n_steps * len(config.n_levels))
    full = config.n_memory >= min(config.guess.n_remembered, room)
    whole = times == times.max() if full else np.ones(len(first), bool)
    values, observed = (x.numpy()[held[first]] for x in (windows.values, windows.observed))
    clock = [x.numpy()[held[first]] for x in windows.clock[:3]]
    places = rows[kept][order]
    return windows_of(values, observed, places, (clock[0], clock[1], clock[2])), whole


def memory_windows(model: Ensemble) -> Windows:
    """Return all places of the memory as windows, also those not taken."""
    memory, coordinates = model.guess.memory, model.guess.coordinates
    known = memory.visible.cpu().numpy() > 0
    cells = memory.values.cpu().numpy()
    n, t, f = len(cells), model.config.n_steps, len(model.config.n_levels)
    values = np.zeros((n, t * f), np.float32)
    for j, own in enumerate(coordinates.slices):
        several = coordinates.n_levels[j] > 0
        values[:, j] = cells[:, own].argmax(1) if several else cells[:, own.start]
    observed = known[:, coordinates.first]
    rows, clock = np.arange(n * t).reshape(n, t), None
    if isinstance(model.guess, SeriesGuess):
        parts = model.guess.clock_of(slice(None))[:3]
        position, phase, calendar = (x.cpu().flatten(0, 1).numpy() for x in parts)
        clock = position, phase, calendar
    return windows_of(values.reshape(n * t, f), observed.reshape(n * t, f), rows, clock)


def completed(
    guess: StackedGuess | SeriesGuess,
    values: Tensor,
    visible: Tensor,
    memory_index: Tensor,
    clock: Clock | None,
) -> tuple[Tensor, Tensor]:
    """Return (B, T * C) coordinates, completed, and (B, T) standard deviations, summed by step."""
    if bool(visible.all()):
        return values, values.new_zeros(len(values), guess.n_steps)
    found = guess.guess(values, visible, memory_index, N_REMEMBERED, clock)
    deviations = found.variance.sqrt().unflatten(1, (guess.n_steps, -1)).sum(2)
    return torch.where(visible, values, found.mean), deviations


def remembered_places(model: Ensemble, reference: Reference, windows: Windows) -> np.ndarray:
    """Return (W,) the place in the memory of a window with the same cells as each, -1 for none."""
    keys = [np.zeros(0, np.uint64)]
    for start in range(0, len(windows), CHUNK):
        values, observed = windows.take(slice(start, start + CHUNK))
        cells, visible = model.guess.coordinates.expand(values, observed)
        keys.append(_keys(torch.where(visible, cells, 0.0).numpy(), visible.numpy()))
    wanted = np.concatenate(keys)
    near = np.searchsorted(reference.memory_keys, wanted).clip(max=len(reference.memory_keys) - 1)
    same = reference.memory_keys[near] == wanted
    return np.where(same, reference.memory_places[near], -1)


def equal_memory_index(model: Ensemble, reference: Reference, windows: Windows) -> np.ndarray:
    """Return (W, P) remembered windows that share a physical row with each, -1 for none.

    Of windows whose physical rows are not known to be training rows: one whose cells equal those of
    a remembered window is taken for it.
    """
    places = torch.as_tensor(remembered_places(model, reference, windows))
    return model.guess.memory.overlapping(places).numpy()


def training_memory_index(model: Ensemble, reference: Reference, windows: Windows) -> np.ndarray:
    """Return (W, P) remembered windows that share a physical row with each, -1 for none.

    Of training windows, among them those that are remembered: also one that is not remembered
    itself does not see those that hold one of its rows.
    """
    places = remembered_places(model, reference, windows)
    known = np.flatnonzero(places >= 0)
    index = windows.remember(torch.as_tensor(known)).memory_index(slice(None)).numpy()
    return np.append(places[known], -1)[index]


def _keys(values: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return (n,) uint64, equal where values and what is visible are.

    Two of a million windows that differ have the same key with a chance of 3e-8.
    """
    rows = np.hstack([values, visible.astype(np.float32)]) + np.float32(0)  # no negative zeros
    digests = (blake2b(row, digest_size=8).digest() for row in np.ascontiguousarray(rows))
    return np.frombuffer(b"".join(digests), "<u8")
