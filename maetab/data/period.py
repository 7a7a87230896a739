"""The period of series: that of the calendar, or the one that their autocorrelation shows."""

from __future__ import annotations

import numpy as np

DAY, WEEK = 86_400.0, 604_800.0
LONGEST = 400  # steps of a period: longer ones would have too few rows at each phase
CLEAR = 0.3  # autocorrelation of a period that nothing else speaks for
MOST_ROWS = 50_000  # that autocorrelation looks at


def calendar_period(step: float, unit: str, span: float) -> int | None:
    """Return the steps of the shortest usual period of the calendar, None if there is none.

    Parameters
    ----------
    step, span : between two rows, and of the longest series, in seconds or months
    """
    if unit == "month":
        steps = 12 / step
        return int(steps) if steps == int(steps) and steps > 1 and span >= 24 else None
    for length in (DAY, WEEK):
        steps = length / step
        whole = abs(steps - round(steps)) < 1e-6
        if whole and 3 < steps <= LONGEST and span >= 3 * length:
            return round(steps)
    return None


def autocorrelation(values: np.ndarray, observed: np.ndarray, n_lags: int) -> np.ndarray:
    """Return (n_lags + 1,) the correlation of observed pairs of one distance, over all columns.

    Parameters
    ----------
    values, observed : (n, F) rows on a grid, those that are not there not observed
    """
    mean = (values * observed).sum(0) / observed.sum(0).clip(1)
    centred = np.where(observed, values - mean, 0.0)
    scale = np.sqrt(np.square(centred).sum(0) / observed.sum(0).clip(1)).clip(1e-12)
    size = 2 ** int(np.ceil(np.log2(len(values) + n_lags + 1)))
    spectra = np.fft.rfft(centred / scale, size, axis=0), np.fft.rfft(observed, size, axis=0)
    total, pairs = (
        np.fft.irfft(np.square(np.abs(x)), size, axis=0)[: n_lags + 1].sum(1) for x in spectra
    )
    return np.where(pairs > 0.5, total / pairs.clip(0.5), 0.0)


def observed_period(values: np.ndarray, observed: np.ndarray) -> int | None:
    """Return the steps of the period that autocorrelation shows clearly, None for none.

    The first peak among those nearly as high as the highest, beyond where the correlation of
    neighbours has fallen.
    """
    values, observed = values[:MOST_ROWS], observed[:MOST_ROWS]
    n_lags = min(LONGEST, len(values) // 3)
    if n_lags < 6:
        return None
    found = autocorrelation(values, observed, n_lags)
    inner = found[1:-1]
    peaks = 1 + np.flatnonzero((inner > found[:-2]) & (inner >= found[2:]))
    low = np.flatnonzero(found < 0.5 * CLEAR)
    peaks = peaks[(peaks >= 4) & (peaks > (low[0] if len(low) else n_lags))]
    if not len(peaks) or found[peaks].max() < CLEAR:
        return None
    return int(peaks[found[peaks] >= 0.9 * found[peaks].max()][0])
