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
    values: np.ndarray,
    observed: np.ndarray,
    series: np.ndarray,
    position: np.ndarray,
    phase: np.ndarray,
    period: int,
) -> np.ndarray:
    """Return (period, F) the season of columns, whose mean is that of the column.

    Shrunk to no season by what is noise in it.

    Parameters
    ----------
    values, observed : (n, F), rows of a series one behind the other
    series, phase : (n,) int
    position : (n,) time in steps, of which a series may lack some
    """
    times = _times(series, position, period)
    season = np.zeros((period, values.shape[1]))
    known = np.where(observed, values, 0.0)
    weight, whole = _about(observed.astype(float), series, times, period)
    used = observed & whole[:, None] & (weight >= LEAST * period)
    count = _by_phase(used, phase, period)
    for _ in range(TURNS):
        rest = np.where(observed, known - season[phase], 0.0)
        level = _about(rest, series, times, period)[0] / weight.clip(1)
        beside = np.where(used, known - level, 0.0)
        mean = _by_phase(beside, phase, period) / count.clip(1)
        mean -= mean.mean(0)
        noise = np.where(used, beside - mean[phase], 0.0)
        noise = (noise**2).sum(0) / (used.sum(0) - period).clip(1) / count.clip(1)
        told = ((mean**2).mean(0) - noise.mean(0)).clip(0)
        season = mean * told / (told + noise).clip(1e-12) * (count > 0)
    whole_mean = (known - season[phase] * observed).sum(0) / observed.sum(0).clip(1)
    return season + whole_mean


def _times(series: np.ndarray, position: np.ndarray, period: int) -> np.ndarray:
    """Return (n,) ascending times, those of different series more than a period apart."""
    begins = np.diff(series, prepend=-1) != 0
    return np.where(begins, 2 * period, np.diff(position, prepend=0)).cumsum()


def _about(
    x: np.ndarray, series: np.ndarray, times: np.ndarray, period: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, F) sums over the period about each row, and (n,) whether it lies in one series.

    The first and the last step of an even period count half.
    """
    half = period // 2
    upto = np.concatenate([np.zeros((1, x.shape[1])), x.cumsum(0)])
    first = np.searchsorted(times, times - half)
    last = np.searchsorted(times, times + half, side="right") - 1
    total = upto[last + 1] - upto[first]
    if period % 2 == 0:
        for end, away in ((first, -half), (last, half)):
            total -= np.where(times[end] == times + away, 0.5, 0.0)[:, None] * x[end]
    begin, stop = np.searchsorted(series, series), np.searchsorted(series, series, side="right") - 1
    return total, (times - half >= times[begin]) & (times + half <= times[stop])


def _by_phase(x: np.ndarray, phase: np.ndarray, period: int) -> np.ndarray:
    """Return (period, F) sums of the rows of each phase."""
    out = np.zeros((period, x.shape[1]))
    np.add.at(out, phase, x)
    return out
