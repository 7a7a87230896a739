"""The period of series: that of the calendar or another, where their autocorrelation shows it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from maetab.data.steps import time_of_longest

DAY, WEEK = 86_400.0, 604_800.0
LONGEST = 400  # steps of a period: longer ones would have too few rows at each phase
CLEAR = 0.3  # autocorrelation of a period that nothing else speaks for
SHOWN = 0.03  # autocorrelation of a period that the calendar speaks for, above that around it
CHANCE = 2.5  # standard errors more; 3 of 1,200 random walks of 60 to 10,000 steps had a week
PLACES = 24  # of a period that are told apart where it has more steps: the hours of a day
REPEATS = 5  # periods that the longest series must hold where the calendar does not speak for one
MOST_CELLS = 400_000  # that autocorrelation looks at
EMPTY = 20  # steps for each row, beyond which a series is no grid to look at


def main_period(
    values: np.ndarray,
    observed: np.ndarray,
    series: np.ndarray,
    place: np.ndarray,
    usual: tuple[int, ...],
) -> int | None:
    """Return the steps of the main period of series on a grid, None for none.

    Parameters
    ----------
    values, observed : (n, F)
    series, place : (n,) the series and the step of each row
    usual : periods of the calendar, in order; the first that the data show is taken
    """
    if not values.shape[1]:
        return None
    n_lags = min(LONGEST + LONGEST // 2, int(time_of_longest(place, series)) // 2)
    rows = _some_rows(series, place, max(1000, MOST_CELLS // values.shape[1]), n_lags)
    if not len(rows):
        return None
    level = _without_level(values[rows], observed[rows], series[rows])
    grid = _on_one_grid(level, observed[rows], series[rows], place[rows], n_lags)
    for period in usual:
        if period + period // 2 <= n_lags and is_shown(*grid, period):
            return period
    found, pairs = autocorrelation(*grid, n_lags)
    weight = pairs.sum(1)
    pooled = np.divide((found * pairs).sum(1), weight, where=weight > 0, out=0 * weight)
    return clear_period(pooled, pairs.max(1))


def calendar_periods(step: float, unit: str, span: float) -> tuple[int, ...]:
    """Return the steps of the periods of the calendar that a span can show, the shortest first.

    Parameters
    ----------
    step, span : between two rows, and of the longest series, in `unit`
    """
    lengths, least = {"month": ((12.0,), 2), "workday": ((5.0,), 4)}.get(unit, ((DAY, WEEK), 4))
    steps = [
        round(length / step)
        for length in lengths
        if abs(length / step - round(length / step)) < 1e-6 and span >= 3 * length - step
    ]
    return tuple(x for x in steps if least <= x <= LONGEST)


def autocorrelation(
    values: np.ndarray, observed: np.ndarray, n_lags: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlations of observed pairs at each distance and their number.

    Parameters
    ----------
    values, observed : (n, F) rows on a grid, those that are not there not observed

    Returns
    -------
    correlation, pairs : (n_lags + 1, F); 0 where there is no pair
    """
    count = observed.sum(0).clip(1)
    mean = (values * observed).sum(0) / count
    centred = np.where(observed, values - mean, 0.0)
    scale = np.sqrt(np.square(centred).sum(0) / count)
    constant = scale <= 1e-9 * np.abs(mean)  # what is left is rounding
    centred = np.where(constant, 0.0, centred) / np.where(constant, 1.0, scale)
    size = 2 ** int(np.ceil(np.log2(len(values) + n_lags + 1)))
    total, pairs = (
        np.fft.irfft(np.square(np.abs(np.fft.rfft(x, size, axis=0))), size, axis=0)[: n_lags + 1]
        for x in (centred, observed)
    )
    pairs = np.rint(pairs)
    return np.where(pairs > 0, total / pairs.clip(1), 0.0), pairs


def is_shown(values: np.ndarray, observed: np.ndarray, period: int) -> bool:
    """Whether any column is more like itself a period ago than at the distances around it.

    Looked at step by step, for short peaks, and with many steps put together, whose noise then
    hides less.

    Parameters
    ----------
    values, observed : (n, F) as of `autocorrelation`
    """
    widths = [x for x in range(1, period // PLACES + 1) if period % x == 0] or [1]
    return any(
        _stands_out(*_means(values, observed, width), period // width)
        for width in sorted({1, widths[-1]})
    )


def _stands_out(values: np.ndarray, observed: np.ndarray, period: int) -> bool:
    """Whether an autocorrelation is higher at a period than around it, by more than chance.

    The running mean over one period is taken off first: trends and random walks have no period.
    How far chance goes is the standard error of a correlation at a distance where there is none,
    by those between neighbours (Bartlett, J. R. Stat. Soc. Suppl. 8 (1946) 27).
    """
    half = period // 2
    total, count = (_running_sum(x, half) for x in (values * observed, observed))
    found, pairs = autocorrelation(values - total / count.clip(1), observed, period + half)
    above = found[period] - found[period - half : period + half + 1].mean(0)
    share = (1 + 2 * np.square(found[1 : half + 1]).sum(0)) / pairs[period].clip(1)
    least = SHOWN + CHANCE * np.sqrt(share)
    # Columns of few pairs are not left to chance: together they may show what each hides.
    together = pairs[period] / pairs[period].sum().clip(1)
    pooled = SHOWN + CHANCE * np.sqrt((together**2 * share).sum())
    return bool((above > least).any() or (above * together).sum() > pooled)


def _means(values: np.ndarray, observed: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the observed cells of `width` steps each, and where there are some."""
    pad = ((0, -len(values) % width), (0, 0))
    total, count = (
        np.pad(x, pad).reshape(-1, width, x.shape[1]).sum(1) for x in (values * observed, observed)
    )
    return total / count.clip(1), count > 0


def _running_sum(values: np.ndarray, half: int) -> np.ndarray:
    padded = np.pad(values, ((half + 1, half), (0, 0))).cumsum(0)
    return padded[2 * half + 1 :] - padded[: -2 * half - 1]


def clear_period(found: np.ndarray, pairs: np.ndarray) -> int | None:
    """Return the steps of the period that autocorrelations show clearly, None for none.

    The first peak among those nearly as high as the highest, beyond where the correlation of
    neighbours has fallen. It must stand above the distances around it by more than chance.

    Parameters
    ----------
    found, pairs : (L,) at distances of up to half the longest series
    """
    longest = 2 * (len(found) - 1) // REPEATS  # L is half the longest series
    if longest < 5:
        return None
    peaks = 1 + np.flatnonzero((found[1:-1] > found[:-2]) & (found[1:-1] >= found[2:]))
    low = np.flatnonzero(found < 0.5 * CLEAR)
    after = low[0] if len(low) else len(found)
    peaks = peaks[(peaks >= 4) & (peaks > after) & (peaks <= min(longest, LONGEST))]
    above = np.array([found[p] - found[p - p // 2 : p + p // 2 + 1].mean() for p in peaks])
    clear = CLEAR + CHANCE / np.sqrt(pairs[peaks].clip(1))
    peaks = peaks[(found[peaks] >= CLEAR) & (above >= clear)]
    if not len(peaks):
        return None
    return _middle_of_peak(found, int(peaks[found[peaks] >= 0.9 * found[peaks].max()][0]))


def _middle_of_peak(found: np.ndarray, peak: int) -> int:
    """Return the highest place near a peak of a curve that chance makes uneven, smoothed."""
    half = peak // 20
    smooth = np.convolve(np.pad(found, half, mode="edge"), np.ones(2 * half + 1), "valid")
    near = np.arange(peak - peak // 7, min(peak + peak // 7 + 1, len(found)))
    return int(near[smooth[near].argmax()])


def _some_rows(series: np.ndarray, place: np.ndarray, most: int, n_lags: int) -> np.ndarray:
    """Return rows of the longest series, at most so many, in order; without series of pauses.

    Nor so many short ones that what keeps series apart, `n_lags` steps each, would fill the memory.
    """
    own = pd.Series(place).groupby(series)
    count, span = own.size(), own.max() - own.min()
    dense = count[span < EMPTY * count].sort_values(ascending=False, kind="stable")
    size = (span[dense.index] + 1 + n_lags).cumsum()
    fits = (dense.cumsum() <= most) & (size <= EMPTY * most)
    chosen = dense.index[: max(1, int(fits.sum()))]
    order = np.lexsort((place, series))
    return order[np.isin(series[order], chosen)][:most]


def _without_level(values: np.ndarray, observed: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Return values less the mean of their series, in units of its standard deviation."""
    seen = pd.DataFrame(np.where(observed, values, np.nan)).groupby(series)
    mean, scale = seen.transform("mean").to_numpy(), seen.transform("std", ddof=0).to_numpy()
    varies = observed & (scale > 1e-9 * np.abs(mean))
    return np.divide(values - mean, scale, where=varies, out=np.zeros(values.shape))


def _on_one_grid(
    values: np.ndarray, observed: np.ndarray, series: np.ndarray, place: np.ndarray, n_lags: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return series one after the other, (N, F), so far apart that no pair is of two series."""
    own = pd.Series(place).groupby(series)
    first, size = own.transform("min").to_numpy(), own.max() - own.min() + 1 + n_lags
    target = place - first + (size.cumsum() - size).loc[series].to_numpy()
    shape = int(size.sum()), values.shape[1]
    out, seen = np.zeros(shape), np.zeros(shape, bool)
    out[target], seen[target] = values, observed
    return out, seen
