"""Draws of the cells that are not visible, by random numbers that belong to physical rows.

The cells of a table's row are drawn in rounds. Those of a series are drawn jointly, window after
window, each given what was drawn in those before it, so that gaps keep their course.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from maetab.engine.inference import (
    batch_size,
    batches,
    each_batch,
    on_device,
    padded_clock,
)
from maetab.engine.line_draws import line_draws
from maetab.engine.row_numbers import uniform
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.windows import Clock, Windows

N_ROUNDS = 4  # rounds in which the missing cells of a window are drawn, each given those before
Matched = Callable[[Tensor, Tensor], Tensor]  # points and levels (B, T, F) to values
AT_ONCE = 8  # draws of series, each of which holds a copy of the table


def draws(
    model: Ensemble,
    windows: Windows,
    device: torch.device,
    seeds: Sequence[int],
    matched: Matched | None = None,
) -> Iterator[np.ndarray]:
    """Give a draw (n, F) for each seed, as `draw`; of series, whose draws share work, some at once.

    Each is the same whatever others are asked for. `matched` is as in `draw`, of tables alone.
    """
    if not model.is_series:
        yield from (draw(model, windows, device, seed, matched) for seed in seeds)
        return
    cells, drawn = line_draws(model, windows, device)
    for start in range(0, len(seeds), AT_ONCE):
        some = seeds[start : start + AT_ONCE]
        given = cells, [drawn(seed) for seed in some]
        with torch.inference_mode():
            yield from _draw_series(model, windows, device, some, given)


@torch.inference_mode()
def draw(
    model: Ensemble,
    windows: Windows,
    device: torch.device,
    seed: int,
    matched: Matched | None = None,
) -> np.ndarray:
    """Return (n, F): one joint draw of the cells that are not visible, the others as given.

    The cells of a window are drawn in `N_ROUNDS` random groups, each given the groups before it,
    so that a draw keeps the dependence between cells (each given all before it where a window lacks
    no more cells than that; Gibbs-like else).
    The random numbers belong to the physical row, by its number: which other rows are incomplete,
    or how they are batched, changes no draw. Draws are never averaged: a row that several windows
    hold has that of the first. Windows of series are drawn by `_draw_series`.

    matched : makes numbers of predicted points, in place of the predicted distributions
    """
    if model.is_series:
        return next(draws(model, windows, device, [seed]))
    out, every = windows.values.numpy().copy(), windows.rows.numpy()
    first = np.zeros(every.size, bool)
    first[np.unique(every, return_index=True)[1]] = True
    first = first.reshape(every.shape) & (every >= 0)
    size = batch_size(model, windows, device)
    with on_device(model, device):

        def work(found: slice, values: Tensor, visible: Tensor) -> Tensor:
            rows = every[found]
            drawn = torch.as_tensor(uniform(seed, rows, 1 + N_ROUNDS, values.shape[2]))
            padding = (0, 0, 0, 0, 0, 0, 0, size - len(rows))
            rank, *levels = torch.nn.functional.pad(drawn, padding).to(device).unbind(2)
            group = _rounds(rank, visible)
            for i, level in enumerate(levels):
                now = ~visible & (group == i)
                if not now[: len(rows)].any():
                    break
                predicted = model.distribution(values, visible)
                cells = _quantiles(model, predicted, level)
                if matched is not None:
                    chosen = matched(predicted[1], level)
                    cells = torch.where(model.support.is_number, chosen, cells)
                values, visible = torch.where(now, cells, values), visible | now
            return values[: len(rows)]

        for found, result in each_batch(work, windows, device, size):
            out[every[found][first[found]]] = result.cpu().numpy()[first[found]]
    return out


def _rounds(rank: Tensor, visible: Tensor) -> Tensor:
    """Return (B, T, F) the round in which each missing cell is drawn, by random ranks of cells.

    Those of a window are spread evenly: where there are no more than rounds, each has its own.
    """
    order = torch.where(visible, 2.0, rank).flatten(1).argsort(dim=1, stable=True).argsort(1)
    count = (~visible).flatten(1).sum(1, keepdim=True).clamp_min(N_ROUNDS)
    return (order * N_ROUNDS // count).view_as(visible)


def _quantiles(model: Ensemble, predicted: tuple[Tensor, ...], level: Tensor) -> Tensor:
    """Return (B, T, F) values below which shares `level` (B, T, F) of what is predicted lie."""
    probabilities, points, std = (x.flatten(0, 1) for x in predicted)
    return model.quantile(probabilities, points, std, level.flatten(0, 1)).view_as(level)


def _draw_series(
    model: Ensemble,
    windows: Windows,
    device: torch.device,
    seeds: Sequence[int],
    given: tuple[Tensor, list[Tensor]],
) -> np.ndarray:
    """Return (S, n, F) joint draws of series: a Gaussian copula of what the windows predict.

    Deviations from what is predicted hang together as the Gaussian of the first guess says, and
    have the distributions that are predicted. Windows that share no incomplete row are drawn
    together, of those that do one after the other, each seeing what was drawn before it. So each
    is asked about all draws at once, which cost little more than one.

    given : cells (n, F) bool that are drawn already, and their values for each seed, see
        `line_draws`: windows that go on from what was drawn may miss the other end of a long gap
    """
    rows, size = windows.rows.numpy(), batch_size(model, windows, device)
    copies, (cells, drawn) = _copies(windows, len(seeds)), given
    for values, found in zip(copies.values.chunk(len(seeds)), drawn, strict=True):
        values[cells] = found
    observed = windows.observed | cells
    copies.observed.copy_(observed.repeat(len(seeds), 1))
    incomplete = np.append(~observed.numpy().all(1), False)  # False where -1 points to
    of_draw = torch.arange(len(seeds)) * len(windows)
    with on_device(model, device):
        for turn in _turns(np.where(incomplete[rows], rows, -1)):
            chosen = (torch.as_tensor(turn)[:, None] + of_draw).flatten()
            for some in chosen.split(size):
                # Without networks there is no padding: windows are guessed one by one.
                whole = size if model.uses_networks else len(some)
                seen = None if copies.seen is None else copies.seen[some]
                now = replace(copies, rows=copies.rows[some], seen=seen)
                _draw_windows(model, now, device, seeds, whole)
    return copies.values.view(len(seeds), *windows.values.shape).numpy()


def _copies(windows: Windows, n: int) -> Windows:
    """Return windows over n copies of the rows, those of each copy one after the other."""
    first = torch.arange(n)[:, None, None] * len(windows.values)
    rows = torch.where(windows.rows >= 0, windows.rows + first, -1).flatten(0, 1)
    values, observed = (x.repeat(n, 1) for x in (windows.values, windows.observed))
    clock = windows.clock
    if clock is not None:
        clock = Clock(clock.position.repeat(n), clock.phase.repeat(n), clock.calendar.repeat(n, 1))
    seen = None if windows.seen is None else windows.seen.repeat(n)
    return Windows(values, observed, rows, clock=clock, seen=seen)


def _draw_windows(
    model: Ensemble,
    windows: Windows,
    device: torch.device,
    seeds: Sequence[int],
    size: int,
) -> None:
    """Draw the cells of windows that share no incomplete row, and write them where they belong.

    windows : at most `size`, over a copy of the rows for each seed
    """
    assert isinstance(model.guess, SeriesGuess)
    for found, values, visible in batches(windows, device, size):
        clock = padded_clock(windows, found, size, device)
        to_draw = ~visible[: len(windows)].all(2).cpu().numpy()
        rows = np.where(to_draw, windows.rows.numpy(), -1)
        n, c = len(windows.values) // len(seeds), model.guess.coordinates.step_size
        share = _uniform_of_copies(seeds, rows, n, c)
        normal = torch.special.ndtri(share.double().clamp(1e-7, 1 - 1e-7))
        normal = torch.nn.functional.pad(normal, (0, 0, 0, 0, 0, size - len(windows))).to(device)
        level = torch.special.ndtr(model.guess.draw(values, visible, normal, clock))
        drawn = _quantiles(model, model.predicted(values, visible, clock=clock), level)
        drawn = torch.where(visible, values, drawn)[: len(windows)].cpu()
        inside = windows.rows >= 0
        windows.values[windows.rows[inside]] = drawn[inside]
        windows.observed[windows.rows[inside]] = True


def _uniform_of_copies(seeds: Sequence[int], rows: np.ndarray, n: int, c: int) -> Tensor:
    """Return (B, T, c) numbers of the rows (B, T) of copies of n rows, by the seed of each copy."""
    out = np.zeros((*rows.shape, c), np.float32)
    for copy, seed in enumerate(seeds):
        own = (rows >= copy * n) & (rows < (copy + 1) * n)
        out[own] = uniform(seed, rows[own] - copy * n, 1, c)[:, 0]
    return torch.as_tensor(out)


def _turns(rows: np.ndarray) -> list[np.ndarray]:
    """Return windows in turns: none of a turn shares a row with another of it, nor with a later
    window of an earlier turn; each comes after those before it that share a row with it. Windows
    without a row are in none.
    """
    turn, last = np.zeros(len(rows), int), np.zeros(rows.max(initial=-1) + 1, int)
    for i, own in enumerate(rows):
        own = own[own >= 0]
        turn[i] = last[own].max(initial=0)
        last[own] = turn[i] + 1
    order = np.argsort(turn, kind="stable")
    order = order[(rows[order] >= 0).any(1)]
    return np.split(order, np.flatnonzero(np.diff(turn[order])) + 1) if len(order) else []
