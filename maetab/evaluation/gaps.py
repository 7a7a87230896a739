"""Gaps of several rows, each within one series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

MEAN_BLOCK = 10  # rows of a gap: more than its neighbours can bridge; a choice, not tuned


def series_of_rows(groups: Any, n_rows: int) -> np.ndarray:
    """Return (n_rows,) int: the number of the series of each row, all 0 without `groups`."""
    if groups is None:
        return np.zeros(n_rows, dtype=np.intp)
    labels = np.asarray(groups)
    if labels.shape != (n_rows,):
        raise ValueError(f"'groups' must hold {n_rows} labels, got shape {labels.shape}.")
    series, _ = pd.factorize(labels)
    if (series < 0).any():
        raise ValueError("'groups' must name the series of every row; some labels are missing.")
    return series


def rows_by_series(series: np.ndarray) -> list[np.ndarray]:
    """Return the row numbers of each series, ascending; `series` (n,) as of `series_of_rows`."""
    return np.split(np.argsort(series, kind="stable"), np.cumsum(np.bincount(series))[:-1])


def draw_gaps(
    observed: np.ndarray, frac: float, series: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Return gaps laid over each column's observed cells, exactly `frac` of them (rounded).

    `series` (n,) numbers the series of each row; each gap lies in one.
    """
    chosen = np.zeros(observed.shape, dtype=bool)
    rows_of = rows_by_series(series)
    for place in range(observed.shape[1]):
        # In random order, so that rounding favours no series.
        parts = [rows_of[label] for label in generator.permutation(len(rows_of))]
        parts = [rows[observed[rows, place]] for rows in parts]
        ends = np.cumsum([len(rows) for rows in parts])
        for rows, n_hidden in zip(parts, np.diff(np.rint(frac * ends), prepend=0).astype(int)):
            chosen[rows, place] = _gaps(len(rows), n_hidden, generator)
    return chosen


def _gaps(n_rows: int, n_hidden: int, generator: np.random.Generator) -> np.ndarray:
    """Return (n_rows,) bool, True in random gaps of MEAN_BLOCK rows on average."""
    if not n_hidden:
        return np.zeros(n_rows, dtype=bool)
    n_visible = n_rows - n_hidden
    n_blocks = min(round(n_hidden / MEAN_BLOCK) or 1, n_visible + 1)
    lengths = 1 + _split(n_hidden - n_blocks, n_blocks, generator)
    between = _split(n_visible - n_blocks + 1, n_blocks + 1, generator)
    between[1:-1] += 1  # two blocks never touch
    runs = np.append(np.stack([between[:-1], lengths], axis=1).ravel(), between[-1])
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def _split(total: int, parts: int, generator: np.random.Generator) -> np.ndarray:
    """Return `parts` whole numbers from 0 up that add to `total`, all ways equally likely."""
    bars = np.sort(generator.choice(total + parts - 1, parts - 1, replace=False))
    return np.diff(np.concatenate([[-1], bars, [total + parts - 1]])) - 1
