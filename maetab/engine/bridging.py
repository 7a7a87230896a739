"""Deep inside gaps that windows do not see across: points on the way from one end to the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.windows import Windows

NEAR, FAR = 0.25, 0.5  # of a window: nearer to a known row windows decide, farther the line does


def bridged(model: Ensemble, windows: Windows, points: np.ndarray) -> np.ndarray:
    """Return points (n, F) in which numbers of rows that no window knows about follow a line.

    It leads from what the column is beside its season before the gap to what it is behind it, drawn
    to the season by how little such differences last (`SeriesGuess.lasting`). Rows count as known
    where a column is observed that changes within series; edges stay as they are.

    Parameters
    ----------
    points : standardised, as predicted by windows
    """
    guess, clock = model.guess, windows.clock
    if not isinstance(guess, SeriesGuess) or clock is None:
        return points
    share, _ = _depth(guess, windows)
    rows = np.flatnonzero(share > 0)
    if not len(rows):
        return points
    observed, n_steps = windows.observed.numpy(), model.config.n_steps
    series = np.cumsum(~windows.follows().numpy())
    position, phase = clock.position.numpy(), clock.phase.numpy()
    moving = guess.moving.cpu().numpy()
    values, season = windows.values.numpy(), guess.season.cpu().numpy()
    first, lasting = guess.coordinates.first, guess.lasting.cpu().numpy()
    for j in np.flatnonzero(moving & model.support.is_number.cpu().numpy()):
        usual = season[:, first[j]][phase]
        a, b = (x[rows] for x in _neighbours(observed[:, j], series))
        whole = (a >= 0) & (b >= 0)
        now, a, b = rows[whole], a[whole], b[whole]
        way = (position[now] - position[a]) / (position[b] - position[a])
        line = (1 - way) * (values[a, j] - usual[a]) + way * (values[b, j] - usual[b])
        apart = np.minimum(position[now] - position[a], position[b] - position[now]) / n_steps
        line = usual[now] + lasting[j] ** apart * line
        points[now, j] += share[now] * (line - points[now, j])
    return points


def bridged_cells(model: Ensemble, windows: Windows) -> np.ndarray:
    """Return (n, F) bool: numbers that are not observed in the gaps in which `bridged` acts."""
    guess = model.guess
    if not isinstance(guess, SeriesGuess) or windows.clock is None:
        return np.zeros(windows.values.shape, bool)
    share, before = _depth(guess, windows)
    inside = np.isin(before, before[share > 0]) & (before != np.arange(len(before)))
    numbers = (guess.moving.cpu() & model.support.is_number.cpu()).numpy()
    return inside[:, None] & numbers & ~windows.observed.numpy()


def _depth(guess: SeriesGuess, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) how much the line counts in each row, and (n,) the last known row up to it."""
    assert windows.clock is not None
    series, position = np.cumsum(~windows.follows().numpy()), windows.clock.position.numpy()
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
