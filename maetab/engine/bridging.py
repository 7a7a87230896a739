"""Deep inside gaps that windows do not see across: points on the way from one end to the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import ndtri

from maetab.engine.inference import predict_interval
from maetab.engine.line_errors import beside_season, jump, lined, on_line, parts
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.windows import Windows

LEAST = 1e-6  # half of the width of an interval, standardised
NEAR, FAR = 0.25, 0.5  # of a window: nearer to a known row windows decide, farther the line does


class Line(NamedTuple):
    """The way through gaps of a column that windows do not see across.

    rows : (N,) those of such gaps
    share : (N,) how much the line counts there
    mean, std : (N,) where it leads, and the standard deviation of what it misses; 0 if not known
    before, after : (N,) the rows of its ends
    apart : (N,) what the level jumps by somewhere between these
    """

    column: int
    rows: np.ndarray
    share: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    before: np.ndarray
    after: np.ndarray
    apart: np.ndarray

    def at(self, chosen: np.ndarray) -> Line:
        """Return the same of some of its rows."""
        return Line(self.column, *(x[chosen] for x in self[1:]))


def bridged(model: Ensemble, windows: Windows, points: np.ndarray) -> np.ndarray:
    """Return points (n, F) in which numbers of rows that no window knows about follow a line.

    It leads from what the column is beside its season before the gap to what it is behind it, drawn
    to the season by how little such differences last (`SeriesGuess.lasting`). Rows count as known
    where a column is observed that changes within series; edges stay as they are.

    Parameters
    ----------
    points : standardised, as predicted by windows
    """
    for j, rows, share, mean, *_ in lines(model, windows):
        points[rows, j] += share * (mean - points[rows, j])
    return points


def bridged_interval(
    model: Ensemble, windows: Windows, device: torch.device, coverage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, F) as `bridged`, and (2, n, F) ends of intervals, there about the lines.

    A window that sees nothing says of a cell what is usual of its column, however far that is from
    the ends of the gap. How far the truth is from lines is told by those between observed cells.
    """
    points, ends = predict_interval(model, windows, device, coverage)
    farther = ndtri((1 + coverage) / 2)
    for line in lines(model, windows):
        j, rows, share, mean, std, *_ = line.at(line.share > 0)
        now, own = points[rows, j], ends[:, rows, j]
        points[rows, j] += share * (mean - points[rows, j])
        if not std.any():
            continue
        for end, side, given in zip(ends, (-1, 1), own, strict=True):
            # Of what may be sizes apart the geometric mean: a little of a window that knows nothing
            # is not to be all that is said.
            size = (side * (given - now)).clip(LEAST) ** (1 - share) * (farther * std) ** share
            end[rows, j] = points[rows, j] + side * size
    return points, ends


def lines(model: Ensemble, windows: Windows) -> Iterator[Line]:
    """Give the lines through gaps, column by column."""
    guess, clock = model.guess, windows.clock
    if not isinstance(guess, SeriesGuess) or clock is None:
        return
    share, before = _depth(guess, windows)
    rows = np.flatnonzero(np.isin(before, before[share > 0]) & (before != np.arange(len(before))))
    if not len(rows):
        return
    observed, n_steps = windows.observed.numpy(), model.config.n_steps
    series = windows.runs().numpy()
    place, lasting = clock.position.numpy() / n_steps, guess.lasting.cpu().numpy()
    rest, usual = beside_season(model, windows)
    of_lines = model.line_variance, model.line_windows, model.line_slope
    variance, looked, slope = (x.cpu().double().numpy() for x in of_lines)
    for j in np.flatnonzero(lined(model)).tolist():
        a, b = (x[rows] for x in _neighbours(observed[:, j], series))
        whole = (a >= 0) & (b >= 0)
        now, a, b = rows[whole], a[whole], b[whole]
        since, until = place[now] - place[a], place[b] - place[now]
        mean = usual[now, j] + on_line(rest[a, j], rest[b, j], since, until, lasting[j])
        # Few lines of that length were seen, or none: one more may miss more than these.
        more = 1 + (since + until) / max(looked[j], 1.0)
        apart = jump(rest[b, j] - rest[a, j], slope[j], since + until)
        # Jumps count whole wherever the ends show one: those of other gaps tell of other gaps.
        about = np.append(variance[j, :-1], 1.0) * variance[j].any()
        std = np.sqrt(more * (parts(since, until, apart) @ about))
        yield Line(j, now, share[now], mean, std, a, b, apart)


def _depth(guess: SeriesGuess, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) how much the line counts in each row, and (n,) the last known row up to it."""
    assert windows.clock is not None
    series, position = windows.runs().numpy(), windows.clock.position.numpy()
    known = windows.observed.numpy()[:, guess.moving.cpu().numpy()].any(1)
    before, after = _neighbours(known, series)
    gap = np.minimum(position - position[before], position[after] - position)
    share = np.clip((gap / windows.rows.shape[1] - NEAR) / (FAR - NEAR), 0, 1)
    return share * ((before >= 0) & (after >= 0)), before


def _neighbours(known: Any, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) the last known row up to each, and the next one from it on, -1 for none."""
    place = np.arange(len(known))
    before = np.maximum.accumulate(np.where(known, place, -1))
    after = np.minimum.accumulate(np.where(known, place, len(known))[::-1])[::-1]
    before = np.where((before >= 0) & (series[before] == series), before, -1)
    after = np.where(after < len(known), after, -1)
    return before, np.where((after >= 0) & (series[after] == series), after, -1)
