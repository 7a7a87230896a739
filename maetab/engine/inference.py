"""The same model over all windows, without gradients; distributions merged per physical row.

Every batch has the same shape, the last one padded: matrix products choose their kernel by shape,
so this is what makes a row's result the same bit for bit whatever rows stand beside it.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.memory import max_batch_rows
from maetab.nn.losses import LEAST_STD
from maetab.nn.windows import Clock, Windows

T = TypeVar("T")

CELLS_IN_BATCH = 8192
# Where networks are used: one row, padded to a batch, is filled within 20 ms, where batches of
# 8,192 cells took it 25 to 48 ms, and many rows take little longer (benchmarks/one_row.py).
CELLS_WITH_NETWORKS, ROWS_WITH_NETWORKS = 2304, 160
# On an accelerator, where a batch takes as long whatever its size, up to about so many cells; and
# logits of row attention, for which there must be room several times over.
CELLS_ON_ACCELERATOR, LOGITS_ON_ACCELERATOR = 2**16, 2**26
SERIES_CELLS = 400_000  # of series, of whose cells each guess is kept with what it misses there
FARTHEST = 1e12  # standard deviations beyond which numbers are not told apart: squares are finite


def windows_of(
    values: np.ndarray,
    visible: np.ndarray,
    rows: np.ndarray,
    clock: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    dense: np.ndarray | None = None,
) -> Windows:
    """Return windows over cells (n, F), which are shared with the arrays, on the CPU.

    Parameters
    ----------
    rows : (W, T) the physical row at each step of each window, -1 where there is none
    clock : position (n,), phase (n,) and calendar (n, K) of the physical rows; None in tables
    dense : (V, T) rows of windows that start at more phases; None for no others
    """
    cells = torch.as_tensor(values), torch.as_tensor(visible)
    windows = Windows(*cells, torch.as_tensor(rows))
    if clock is not None:
        windows = replace(windows, clock=Clock(*map(torch.as_tensor, clock)))
    return windows if dense is None else replace(windows, dense=torch.as_tensor(dense))


def batch_rows(n_cells: int, device: torch.device, least: int = 8) -> int:
    """Return how many windows of `n_cells` cells make a batch: a multiple of 8."""
    cells, most = (CELLS_IN_BATCH, 512) if device.type == "cpu" else (CELLS_ON_ACCELERATOR, 2048)
    return max(least, min(most, cells // max(n_cells, 1) // 8 * 8))


def whole_batch(model: Ensemble, windows: Windows, device: torch.device) -> int:
    """Return how many windows make a full batch."""
    n_cells = windows.rows.shape[1] * windows.values.shape[1]
    if device.type != "cpu":
        n_logits = model.guess.memory.n_heads * model.config.n_memory
        return max(8, min(batch_rows(n_cells, device), LOGITS_ON_ACCELERATOR // n_logits // 8 * 8))
    if model.uses_networks:
        return max(8, min(ROWS_WITH_NETWORKS, CELLS_WITH_NETWORKS // n_cells // 8 * 8))
    least = max(8, min(64, SERIES_CELLS // n_cells)) if model.is_series else 64
    return batch_rows(n_cells, device, least)


def batch_size(
    model: Ensemble, windows: Windows, device: torch.device, n_remembered: int | None = None
) -> int:
    """Return how many of the windows make a batch; `n_remembered` as in `Ensemble.forward`.

    Always a full one where results may depend on it, as those of networks do, and on accelerators.
    What the first guess does with whole batches is done window by window, unless it says otherwise:
    few windows get a small batch.
    """
    size, n_memory = whole_batch(model, windows, device), model.config.n_memory
    if model.uses_networks or model.guess.whole_batches or device.type != "cpu":
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


def each_batch(
    work: Callable[[slice, Tensor, Tensor], T], windows: Windows, device: torch.device, size: int
) -> Iterator[tuple[slice, T]]:
    """Give (windows, what work makes of a batch) in order; `batches` says what work is given.

    On the CPU as many batches are worked on at once as torch has threads, each by one thread:
    products of batches are too small for several, and a row's result does not depend on how many
    there are.
    """
    given, n_threads = batches(windows, device, size), torch.get_num_threads()

    @torch.inference_mode()
    def done(batch: tuple[slice, Tensor, Tensor]) -> tuple[slice, T]:
        return batch[0], work(*batch)

    if n_threads == 1 or device.type != "cpu":
        yield from map(done, given)
        return
    waiting: deque[Future[tuple[slice, T]]] = deque()
    try:
        with ThreadPoolExecutor(
            n_threads, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            for batch in given:
                waiting.append(pool.submit(done, batch))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        torch.set_num_threads(n_threads)  # the threads of the pool have told theirs to all new ones


def padded_clock(windows: Windows, found: slice, size: int, device: torch.device) -> Clock | None:
    """Return the clock (size, T) of a padded batch; None in tables."""
    clock = windows.clock_of(found)
    if clock is None:
        return None
    more = size - (found.stop - found.start)

    def longer(x: Tensor) -> Tensor:
        return torch.cat([x, x[-1:].expand(more, *x.shape[1:])]).to(device)

    position, phase, calendar = map(longer, clock[:3])
    fold, seen = (None if x is None else longer(x) for x in (clock.fold, clock.seen))
    return Clock(position, phase, calendar, fold, seen)


def padded(index: np.ndarray, windows: slice, size: int, device: torch.device) -> Tensor:
    """Return (size, P) the part of an index (W, P) for a padded batch, -1 for what pads it."""
    own = torch.as_tensor(index[windows])
    return torch.nn.functional.pad(own, (0, 0, 0, size - len(own)), value=-1).to(device)


@torch.inference_mode()
def _distributions(
    model: Ensemble,
    windows: Windows,
    device: torch.device,
    memory_index: np.ndarray | None,
    whole: bool = False,
) -> Iterator[tuple[np.ndarray, Tensor, Tensor, Tensor]]:
    """Give rows (R,), probabilities (R, F, K), points and deviations (R, F), each row once.

    A row that several windows hold has the mean of their probabilities, of their expected numbers
    and of their deviations, weighted towards the middle of each window, and the level that is
    likeliest then. Windows count for a number the less, the larger their deviation is: one may see
    nothing of a column, where another sees the end of its gap. A row is given as soon as the last
    of them is seen.

    whole : whether the distributions of numbers are meant, as `Ensemble.distribution` gives them
    """
    rows = windows.rows.numpy()
    last = np.full(len(windows.values), -1)  # the window after which a row is complete
    np.maximum.at(last, rows[rows >= 0], np.nonzero(rows >= 0)[0])
    size, number = batch_size(model, windows, device), model.support.is_number
    f, k = model.support.share.shape
    held = [torch.zeros(0, dtype=torch.long), torch.zeros(0), torch.zeros(0, f, k)]
    held = [x.to(device) for x in (*held, torch.zeros(0, f), torch.zeros(0, f))]
    step = torch.arange(rows.shape[1], device=device)
    middle = torch.minimum(step, step.flip(0)).float() + 1

    def work(found: slice, values: Tensor, visible: Tensor) -> tuple[Tensor, ...]:
        index = None if memory_index is None else padded(memory_index, found, size, device)
        clock = padded_clock(windows, found, size, device)
        ask = model.distribution if whole else model.predicted
        return ask(values, visible, index, clock=clock)

    for found, result in each_batch(work, windows, device, size):
        row = windows.rows[found].flatten().to(device)
        weight = middle.expand(found.stop - found.start, -1).flatten()
        parts = [row, weight, *(x.flatten(0, 1)[: len(row)] for x in result)]
        held = [torch.cat([x, y[row >= 0]]) for x, y in zip(held, parts, strict=True)]
        done = torch.as_tensor(last, device=device)[held[0]] < found.stop
        row, weight, probabilities, points, std = (x[done] for x in held)
        sure = weight[:, None] / std.clamp_min(LEAST_STD)
        _, points, std = merge(row, sure, points, std)
        row, probabilities = merge(row, weight, probabilities)
        held = [x[~done] for x in held]
        points = torch.where(number, points, probabilities.argmax(-1).float())
        yield row.cpu().numpy(), probabilities, points, std


def merge(rows: Tensor, weight: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Return the distinct rows, ascending, and the weighted means of their values (N, ...).

    weight : (N,), or (N, F) for values (N, F); positive
    """
    distinct, place = rows.unique(return_inverse=True)
    total = weight.new_zeros(len(distinct), *weight.shape[1:]).index_add_(0, place, weight)
    share = weight / total[place]
    means = []
    for x in values:
        each = x * share.view(*share.shape, *[1] * (x.ndim - share.ndim))
        means.append(x.new_zeros(len(distinct), *x.shape[1:]).index_add_(0, place, each))
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
    if model.config.n_steps > 1:
        return predict_moments(model, windows, device, memory_index)[0]
    out = np.zeros(windows.values.shape, np.float32)
    with on_device(model, device), torch.inference_mode():
        # One window for each row: nothing is to be merged, so no probabilities are made.
        size = batch_size(model, windows, device)

        def work(found: slice, values: Tensor, visible: Tensor) -> Tensor:
            index = None if memory_index is None else padded(memory_index, found, size, device)
            return model.points(values, visible, index)

        for found, points in each_batch(work, windows, device, size):
            own = windows.rows[found][:, 0].numpy()
            out[own] = points[: len(own), 0].cpu().numpy()
    return out


def predict_moments(
    model: Ensemble,
    windows: Windows,
    device: torch.device,
    memory_index: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, F) what `predict` does, and standard deviations of numbers."""
    out = np.zeros((2, *windows.values.shape), np.float32)
    with on_device(model, device):
        for rows, _, *found in _distributions(model, windows, device, memory_index):
            out[:, rows] = torch.stack(found).cpu().numpy()
    return out[0], out[1]


def predict_probabilities(
    model: Ensemble,
    windows: Windows,
    device: torch.device,
    columns: list[int],
    memory_index: np.ndarray | None = None,
) -> np.ndarray:
    """Return (n, len(columns), K) probabilities of the levels of some columns.

    `memory_index` as in `predict`
    """
    out = np.zeros((len(windows.values), len(columns), model.support.size), np.float32)
    with on_device(model, device):
        for rows, probabilities, _, _ in _distributions(model, windows, device, memory_index):
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
        for rows, *parts in _distributions(model, windows, device, memory_index, True):
            for i, level in enumerate(levels):
                wanted = torch.full_like(parts[1], level)
                found = model.quantile(parts[0], parts[1], parts[2], wanted)
                out[i, rows] = found.cpu().numpy()
    return out


def predict_interval(
    model: Ensemble, windows: Windows, device: torch.device, coverage: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (n, F) what `predict` does, (2, n, F) the ends of central intervals, and (n, F)
    standard deviations.

    coverage : the share of the truths that these hold
    """
    out = np.zeros((2, *windows.values.shape), np.float32)
    every, deviation = np.zeros((2, *windows.values.shape), np.float32)
    with on_device(model, device):
        for rows, chances, points, std in _distributions(model, windows, device, None, True):
            every[rows], deviation[rows] = points.cpu().numpy(), std.cpu().numpy()
            for i, end in enumerate(model.interval(chances, points, std, coverage)):
                out[i, rows] = end.cpu().numpy()
    # Points of tables are made without distributions, which may tell the last bit apart.
    return every if model.is_series else predict(model, windows, device), out, deviation
