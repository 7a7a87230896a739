"""Draws of gaps of series that windows do not see across, about the lines through them.

A draw is what is predicted, and what lines miss: noise, walks and jumps, as much of each as was
learned, and nothing at both ends (`maetab.engine.line_errors`). So draws are as wide as intervals
are, and reach the other end. Columns go together as their changes from row to row do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from maetab.engine.bridging import Line, lines
from maetab.engine.inference import predict_moments
from maetab.engine.line_errors import MEMORIES, parts, weights
from maetab.engine.row_numbers import uniform
from maetab.nn.ensemble import LINE_PARTS, Ensemble
from maetab.nn.windows import Windows

MOSTLY = 0.5  # share of the line in the middle of a gap from which on the gap is drawn so
OWN = 2**32  # is added to seeds: windows are drawn by other numbers of the same rows
LEAST = 1e-7


def line_draws(
    model: Ensemble, windows: Windows, device: torch.device
) -> tuple[Tensor, Callable[[int], Tensor]]:
    """Return cells (n, F) bool of long gaps, and what draws their values (N,) for a seed.

    They lie about the points, which are those of windows near the ends of a gap.
    """
    cells, found = torch.zeros_like(windows.observed), []
    if next(lines(model, windows, np.ones(cells.shape)), None) is None:
        return cells, lambda seed: windows.values[cells]
    points, deviation = predict_moments(model, windows, device)
    for line in lines(model, windows, deviation):
        line.draw_to(points)
        deep = np.isin(line.before, line.before[line.share >= MOSTLY])
        if line.std.any() and deep.any():
            found.append(line.at(deep))
            cells[torch.as_tensor(found[-1].rows), line.column] = True
    if not found:
        return cells, lambda seed: windows.values[cells]
    assert windows.clock is not None
    place = windows.clock.position.double().numpy() / model.config.n_steps
    correlation = model.change_correlation.cpu().double().numpy()
    together = np.linalg.cholesky(correlation + LEAST * np.eye(len(correlation)))
    variance = model.line_variance.cpu().double().numpy()

    def drawn(seed: int) -> Tensor:
        values = points.copy()
        for first, last in _stretches(found):
            rows = np.arange(first, last + 1)
            numbers = uniform(seed + OWN, rows, LINE_PARTS, len(together)).astype(np.float64)
            normal = ndtri(numbers[:, :-1].clip(LEAST, 1 - LEAST)) @ together.T
            walks = _walks(place[rows], normal)
            for line in found:
                j, own = line.column, line.at((line.before >= first) & (line.after <= last))
                jumps = numbers[:, -1, j]
                values[own.rows, j] += _away(own, variance[j], walks[..., j], jumps, first)
        return torch.as_tensor(values)[cells]

    return cells, drawn


def _stretches(found: list[Line]) -> Iterator[tuple[int, int]]:
    """Give the first and the last row of gaps with cells to draw, those that overlap as one."""
    ends = {
        x for line in found for x in zip(line.before.tolist(), line.after.tolist(), strict=True)
    }
    last = None
    for a, b in sorted(ends):
        if last is None or a > last[1]:
            if last is not None:
                yield last
            last = a, b
        else:
            last = last[0], max(last[1], b)
    if last is not None:
        yield last


def _walks(place: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return (m, K, F) a course of each process over the rows of a stretch.

    Parameters
    ----------
    place : (m,) where the rows lie, in windows
    normal : (m, K, F) standard normal numbers
    """
    memory = np.array(MEMORIES)
    step = np.diff(place)[:, None]
    kept = np.exp(-step / memory)
    new = np.where(np.isinf(memory), np.sqrt(step), np.sqrt(1 - kept**2))
    out = normal.copy()
    for i in range(1, len(out)):
        out[i] = kept[i - 1][:, None] * out[i - 1] + new[i - 1][:, None] * normal[i]
    return out


def _away(
    line: Line,
    share: np.ndarray,
    walks: np.ndarray,
    jump: np.ndarray,
    first: int,
) -> np.ndarray:
    """Return (N,) how far a draw is from a line.

    Parameters
    ----------
    share : (LINE_PARTS,) how much there is of each process
    walks, jump : (m, K) courses, and (m,) in [0, 1): of the last row of a gap, where on the way
        through it the level jumps; from the row `first` on
    """
    since, until = line.since, line.until
    own, a, b = (x - first for x in (line.rows, line.before, line.after))
    one, other = weights(since, until)
    bridges = walks[own] - one * walks[a] - other * walks[b]
    way = since / (since + until)
    jumps = ((way > jump[b]) - way) * line.apart
    share = np.append(share[:-1], 1.0)
    missed = np.concatenate([bridges, jumps[:, None]], 1) @ np.sqrt(share)
    return missed * line.std / np.sqrt(parts(since, until, line.apart) @ share)
