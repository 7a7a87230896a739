"""The same model over all windows, without gradients; distributions merged per physical row.

Every batch has the same shape, the last one padded: matrix products choose their kernel by shape,
so this is what makes a row's result the same bit for bit whatever rows stand beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.memory import max_batch_rows
from maetab.nn.windows import Windows

CELLS_IN_BATCH = 8192
# Where networks are used: one row, padded to a batch, is filled within 20 ms, where batches of
# 8,192 cells took it 25 to 48 ms, and many rows take little longer (benchmarks/one_row.py).
CELLS_WITH_NETWORKS, ROWS_WITH_NETWORKS = 2304, 160
FARTHEST = 1e12  # standard deviations beyond which numbers are not told apart: squares are finite
N_ROUNDS = 4  # rounds in which the missing cells of a window are drawn, each given those before


def windows_of(values: np.ndarray, visible: np.ndarray, rows: np.ndarray) -> Windows:
    """Return windows over cells (n, F), which are shared with the arrays, on the CPU.

    rows : (W, T) the physical row at each step of each window, -1 where there is none
    """
    return Windows(*map(torch.as_tensor, (values, visible, rows)))


def batch_rows(n_cells: int, least: int = 8) -> int:
    """Return how many windows of `n_cells` cells make a batch: a multiple of 8, up to 512."""
    return max(least, min(512, CELLS_IN_BATCH // max(n_cells, 1) // 8 * 8))


def whole_batch(model: Ensemble, windows: Windows) -> int:
    """Return how many windows make a full batch."""
    n_cells = windows.rows.shape[1] * windows.values.shape[1]
    if model.uses_networks:
        return max(8, min(ROWS_WITH_NETWORKS, CELLS_WITH_NETWORKS // n_cells // 8 * 8))
    return batch_rows(n_cells, 64)


def batch_size(model: Ensemble, windows: Windows, n_remembered: int | None = None) -> int:
    """Return how many of the windows make a batch; `n_remembered` as in `Ensemble.forward`.

    Always a full one where results may depend on it, as those of networks do. What the first guess
    does with whole batches is done window by window, unless it says otherwise: few windows get a
    small batch.
    """
    size, n_memory = whole_batch(model, windows), model.config.n_memory
    if model.uses_networks or model.guess.whole_batches:
        return size
    step = min(size, max_batch_rows(min(n_remembered or n_memory, n_memory)))
    return step if len(windows) <= step else size // step * step


@contextlib.contextmanager
def on_device(model: Ensemble, device: torch.device) -> Iterator[Ensemble]:
    """Keep the model on a device, ready to predict, for a block; it lives on the CPU."""
    try:
        yield model.to(device).eval()
    finally:
        model.to("cpu")


def batches(
    windows: Windows, device: torch.device, size: int
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Give (windows, values (B, T, F), visible (B, T, F)) on the device, B always `size`.

    The windows that pad stand behind those of the slice, and see nothing.
    """
    for start in range(0, len(windows), size):
        found = slice(start, min(start + size, len(windows)))
        padding = (0, 0, 0, 0, 0, size - (found.stop - start))
        values, visible = (
            torch.nn.functional.pad(x, padding).to(device) for x in windows.take(found)
        )
        yield found, values, visible


def padded(index: np.ndarray, windows: slice, size: int, device: torch.device) -> Tensor:
    """Return (size, P) the part of an index (W, P) for a padded batch, -1 for what pads it."""
    own = torch.as_tensor(index[windows])
    return torch.nn.functional.pad(own, (0, 0, 0, size - len(own)), value=-1).to(device)


@torch.inference_mode()
def _distributions(
    model: Ensemble, windows: Windows, device: torch.device, memory_index: np.ndarray | None
) -> Iterator[tuple[np.ndarray, Tensor, Tensor]]:
    """Give rows (R,), their probabilities (R, F, K) and points (R, F), each row once.

    A row that several windows hold has the mean of their probabilities and of their expected
    numbers, and the level that is likeliest then. It is given as soon as the last of them is seen.
    """
    rows = windows.rows.numpy()
    last = np.full(len(windows.values), -1)  # the window after which a row is complete
    np.maximum.at(last, rows[rows >= 0], np.nonzero(rows >= 0)[0])
    size, number = batch_size(model, windows), model.support.is_number
    f, k = model.support.share.shape
    held = [torch.zeros(0, dtype=torch.long), torch.zeros(0, f, k), torch.zeros(0, f)]
    held = [x.to(device) for x in held]
    for found, values, visible in batches(windows, device, size):
        index = None if memory_index is None else padded(memory_index, found, size, device)
        result = model(values, visible, index)
        row = windows.rows[found].flatten().to(device)
        parts = [row, *(x.flatten(0, 1)[: len(row)] for x in result)]
        held = [torch.cat([x, y[row >= 0]]) for x, y in zip(held, parts, strict=True)]
        done = torch.as_tensor(last, device=device)[held[0]] < found.stop
        row, probabilities, points = merge(*(x[done] for x in held))
        held = [x[~done] for x in held]
        points = torch.where(number, points, probabilities.argmax(-1).float())
        yield row.cpu().numpy(), probabilities, points


def merge(rows: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Return the distinct rows, ascending, and the means of their values (N, ...)."""
    distinct, place, count = rows.unique(return_inverse=True, return_counts=True)
    means = []
    for x in values:
        total = x.new_zeros(len(distinct), *x.shape[1:]).index_add_(0, place, x)
        means.append(total / count.view(-1, *[1] * (x.ndim - 1)))
    return distinct, *means


def predict(
    model: Ensemble,
    windows: Windows,
    device: torch.device,
    memory_index: np.ndarray | None = None,
) -> np.ndarray:
    """Return (n, F) points: expected numbers and likeliest levels; 0 for rows in no window.

    memory_index : (W, P) remembered windows that each does not see, -1 for none
    """
    out = np.zeros(windows.values.shape, np.float32)
    with on_device(model, device), torch.inference_mode():
        if model.config.n_steps > 1:
            for rows, _, points in _distributions(model, windows, device, memory_index):
                out[rows] = points.cpu().numpy()
            return out
        # One window for each row: nothing is to be merged, so no probabilities are made.
        size = batch_size(model, windows)
        for found, values, visible in batches(windows, device, size):
            index = None if memory_index is None else padded(memory_index, found, size, device)
            points = model.points(values, visible, index)
            own = windows.rows[found][:, 0].numpy()
            out[own] = points[: len(own), 0].cpu().numpy()
    return out


def predict_probabilities(
    model: Ensemble, windows: Windows, device: torch.device, columns: list[int]
) -> np.ndarray:
    """Return (n, len(columns), K) probabilities of the levels of some columns."""
    out = np.zeros((len(windows.values), len(columns), model.support.size), np.float32)
    with on_device(model, device):
        for rows, probabilities, _ in _distributions(model, windows, device, None):
            out[rows] = probabilities[:, columns].cpu().numpy()
    return out


def predict_quantiles(
    model: Ensemble,
    windows: Windows,
    device: torch.device,
    levels: list[float],
    memory_index: np.ndarray | None = None,
) -> np.ndarray:
    """Return (len(levels), n, F) quantiles of the calibrated distributions.

    A level in [0, 1] is first moved to where that share of held-out truths fell below.
    `memory_index` as in `predict`.
    """
    out = np.zeros((len(levels), *windows.values.shape), np.float32)
    with on_device(model, device):
        for rows, probabilities, points in _distributions(model, windows, device, memory_index):
            for i, level in enumerate(levels):
                wanted = _calibrated(model, torch.full_like(points, level))
                out[i, rows] = model.support.quantile(probabilities, wanted).cpu().numpy()
    return out


@torch.inference_mode()
def draw(model: Ensemble, windows: Windows, device: torch.device, seed: int) -> np.ndarray:
    """Return (n, F): one joint draw of the cells that are not visible, the others as given.

    The cells of a window are drawn in `N_ROUNDS` random groups, each given the groups before it,
    so that a draw keeps the dependence between cells (Gibbs-like; exact as the groups get small).
    The random numbers belong to the physical row, by its number: which other rows are incomplete,
    or how they are batched, changes no draw. Draws are never averaged: a row that several windows
    hold has that of the first.
    """
    out, every = windows.values.numpy().copy(), windows.rows.numpy()
    first = np.zeros(every.size, bool)
    first[np.unique(every, return_index=True)[1]] = True
    first = first.reshape(every.shape) & (every >= 0)
    size = batch_size(model, windows)
    with on_device(model, device):
        for found, values, visible in batches(windows, device, size):
            rows = every[found]
            drawn = torch.as_tensor(_uniform(seed, rows, 1 + N_ROUNDS, values.shape[2]))
            padding = (0, 0, 0, 0, 0, 0, 0, size - len(rows))
            rank, *levels = torch.nn.functional.pad(drawn, padding).to(device).unbind(2)
            group = (rank * N_ROUNDS).long()
            for i, level in enumerate(levels):
                now = ~visible & (group == i)
                probabilities = model(values, visible)[0].flatten(0, 1)
                level = _calibrated(model, level.flatten(0, 1))
                cells = model.support.quantile(probabilities, level).view_as(values)
                values, visible = torch.where(now, cells, values), visible | now
            result = values[: len(rows)].cpu().numpy()
            out[rows[first[found]]] = result[first[found]]
    return out


def _uniform(seed: int, rows: np.ndarray, n: int, n_columns: int) -> np.ndarray:
    """Return (*rows.shape, n, F) float32 in [0, 1), fixed by seed and number of the row; 0 for -1.

    By a counter-based generator (Philox: Salmon et al. 2011), which is set to a row's place.
    """
    blocks = -(-n * n_columns // 4)  # a step of the counter gives four numbers
    flat = np.zeros((rows.size, n * n_columns), np.float32)
    for i, row in enumerate(rows.ravel().tolist()):
        if row >= 0:
            bits = np.random.Philox(key=seed).advance(row * blocks)
            flat[i] = np.random.Generator(bits).random(n * n_columns)
    # Rounding to single precision may reach 1.
    return flat.clip(0, 1 - 2**-24).reshape(*rows.shape, n, n_columns)


def _calibrated(model: Ensemble, level: Tensor) -> Tensor:
    """Move levels (B, F) to the ranks at which held-out truths really had them."""
    place = level * (model.ranks.shape[1] - 1)
    below = place.long().clamp_max(model.ranks.shape[1] - 2)
    column = torch.arange(level.shape[1], device=level.device)
    lower, upper = model.ranks[column, below], model.ranks[column, below + 1]
    moved = lower + (place - below) * (upper - lower)
    return torch.where(model.support.is_number, moved, level).clamp(0, 1)
