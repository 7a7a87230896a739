"""Rows of series cut into windows."""

from __future__ import annotations

import numpy as np


def cut_places(series: np.ndarray, place: np.ndarray, window: int, stride: int) -> np.ndarray:
    """Return the row number of every step of windows over rows that lie on a grid.

    Windows start at multiples of the stride, but the first of a series starts with it and the last
    ends with it, so that windows hold as many rows as there are; one that is longer than a series
    starts with it. Those without a row are left out, so that long pauses cost nothing.

    Parameters
    ----------
    series : (n,) int, the series of each row
    place : (n,) int, its step; no two rows of a series have the same
    window : steps T of a window
    stride : in [1, window], steps from one window to the next

    Returns
    -------
    rows : (W, T) int64, by series and time; -1 where there is no row. Every row is in a window.

    Examples
    --------
    >>> cut_places(np.zeros(3, int), np.array([5, 3, 0]), window=4, stride=2).tolist()
    [[2, -1, -1, 1], [-1, 1, -1, 0]]
    >>> cut_places(np.zeros(3, int), np.array([3, 4, 5]), window=3, stride=2).tolist()
    [[0, 1, 2]]
    """
    if not len(series):
        return np.zeros((0, window), np.int64)
    label = np.unique(series, return_inverse=True)[1]
    first, last = _ends(label, place)
    latest = np.maximum(last - window + 1, first)
    length, rows, starts = last - first + 1, [], []
    for back in range(-1, -(-window // stride) + 1):
        start = np.clip((place // stride - back) * stride, first[label], latest[label])
        inside = np.flatnonzero((start <= place) & (place - start < window))
        rows.append(inside)
        starts.append(start[inside])
    row, start = np.concatenate(rows), np.concatenate(starts)
    begins = np.cumsum(length) - length - first  # so that starts of two series differ
    found, which = np.unique(start + begins[label[row]], return_inverse=True)
    out = np.full((len(found), window), -1, np.int64)
    out[which, place[row] - start] = row
    return out


def _ends(label: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last place of each series, which are numbered from 0 on."""
    first = np.full(label.max() + 1, np.iinfo(np.int64).max)
    last = np.full(label.max() + 1, np.iinfo(np.int64).min)
    np.minimum.at(first, label, place)
    np.maximum.at(last, label, place)
    return first, last
