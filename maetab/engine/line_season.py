"""The season of series whose level moves: what each phase of the period is beside the level.

The mean of a phase tells of the trend, too: it makes a sawtooth of a slope. So the level, a mean
over a period about each row, is taken off before (classical decomposition), and of the season the
level needs to know nothing: both are found by turns, for cells are missing.
"""

from __future__ import annotations

import numpy as np

TURNS = 5
LEAST = 0.5  # of a period that has to be observed about a row


def moving_season(
    values: np.ndarray, observed: np.ndarray, series: np.ndarray, phase: np.ndarray, period: int
) -> np.ndarray:
    """Return (period, F) the season of columns, whose mean is that of the column.

    Shrunk to no season by what is noise in it.

    Parameters
    ----------
    values, observed : (n, F), rows of a series one behind the other
    series, phase : (n,) int
    """
    season = np.zeros((period, values.shape[1]))
    known = np.where(observed, values, 0.0)
    weight, whole = _about(observed.astype(float), series, period)
    used = observed & whole[:, None] & (weight >= LEAST * period)
    count = _by_phase(used, phase, period)
    for _ in range(TURNS):
        rest = np.where(observed, known - season[phase], 0.0)
        level = _about(rest, series, period)[0] / weight.clip(1)
        beside = np.where(used, known - level, 0.0)
        mean = _by_phase(beside, phase, period) / count.clip(1)
        mean -= mean.mean(0)
        noise = np.where(used, beside - mean[phase], 0.0)
        noise = (noise**2).sum(0) / (used.sum(0) - period).clip(1) / count.clip(1)
        told = ((mean**2).mean(0) - noise.mean(0)).clip(0)
        season = mean * told / (told + noise).clip(1e-12) * (count > 0)
    whole_mean = (known - season[phase] * observed).sum(0) / observed.sum(0).clip(1)
    return season + whole_mean


def _about(x: np.ndarray, series: np.ndarray, period: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, F) sums over the period about each row, and (n,) whether it lies in one series.

    The first and the last row of an even period count half.
    """
    half, n = period // 2, len(x)
    upto = np.concatenate([np.zeros((1, x.shape[1])), x.cumsum(0)])
    row = np.arange(n)
    first, last = (row - half).clip(0), (row + half).clip(max=n - 1)
    total = upto[last + 1] - upto[first]
    if period % 2 == 0:
        total -= (x[first] + x[last]) / 2
    inside = (row >= half) & (row + half < n)
    return total, inside & (series[first] == series[last])


def _by_phase(x: np.ndarray, phase: np.ndarray, period: int) -> np.ndarray:
    """Return (period, F) sums of the rows of each phase."""
    out = np.zeros((period, x.shape[1]))
    np.add.at(out, phase, x)
    return out
