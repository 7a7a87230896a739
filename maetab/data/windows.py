"""Rows of a series to windows and back: cut, take, merge and pick."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def cut(
    n_rows: int,
    window: int = 1,
    stride: int = 1,
    series: Sequence | np.ndarray | pd.Series | None = None,
) -> np.ndarray:
    """Return the row number of every step of every window.

    Parameters
    ----------
    n_rows : number of rows, in order of time within each series.
    window : steps T of a window.
    stride : in [1, window]
        Steps from one window to the next. The last window of a series is moved back so that it
        ends with the series: windows are full wherever the series is long enough.
    series : n_rows labels, or None for one series
        No window holds rows of two series. Missing labels are a series of their own.

    Returns
    -------
    rows : (W, T) int64
        -1 after the end of a series that is shorter than a window. Every row is in a window.

    Examples
    --------
    >>> cut(5, window=3, stride=2).tolist()
    [[0, 1, 2], [2, 3, 4]]
    >>> cut(5, window=3, stride=3, series=["a", "b", "a", "a", "a"]).tolist()
    [[0, 2, 3], [2, 3, 4], [1, -1, -1]]
    """
    _check_steps(window, stride)
    starts, lengths, order = _series_bounds(n_rows, series)
    n_windows = np.maximum(-(-(lengths - window) // stride), 0) + 1
    owner = np.repeat(np.arange(len(lengths)), n_windows)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    first = np.minimum(number * stride, np.maximum(lengths - window, 0)[owner])
    step = first[:, None] + np.arange(window)  # (W, T) position within the series
    inside = step < lengths[owner][:, None]
    place = starts[owner][:, None] + np.where(inside, step, 0)
    return np.where(inside, order[place], -1).astype(np.int64).reshape(-1, window)


def _check_steps(window: int, stride: int) -> None:
    for name, value in (("window", window), ("stride", stride)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"The '{name}' parameter must be a whole number >= 1, got {value!r}.")
    if stride > window:
        raise ValueError(
            f"The 'stride' parameter must be at most the window ({window}), or rows between two "
            f"windows would be left out, got {stride}."
        )


def _series_bounds(
    n_rows: int, series: Sequence | np.ndarray | pd.Series | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start and length of each series in `order`, which puts the rows of a series together."""
    if series is None:
        found = np.zeros(n_rows, dtype=np.int64)
    else:
        labels = series if isinstance(series, pd.Series) else pd.Series(series)
        if len(labels) != n_rows:
            raise ValueError(
                f"'series' must hold one label for each of the {n_rows} rows, got {len(labels)}."
            )
        found = pd.factorize(labels, use_na_sentinel=False)[0]
    lengths = np.bincount(found) if n_rows else np.zeros(0, dtype=np.int64)
    return np.cumsum(lengths) - lengths, lengths, np.argsort(found, kind="stable")


def take(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return windows (W, T, ...) of rows (n, ...); zero or False where `rows` is -1."""
    values = np.asarray(values)
    if not rows.size:
        return np.zeros(rows.shape + values.shape[1:], dtype=values.dtype)
    windows = values[rows]
    windows[rows < 0] = 0
    return windows


def merge(windows: np.ndarray, rows: np.ndarray, n_rows: int) -> np.ndarray:
    """Return rows (n, ...): the mean over all windows that hold a row, the way back of `take`.

    For quantities whose mean has a meaning: probabilities, expected numbers, scores. Codes of
    categories and random draws have none (0 and 2 would become 1, draws would lose variance):
    merge probabilities before they are decoded, or use `pick`.

    Where all windows agree, their value comes back bit for bit; NaN for a row in no window.

    Parameters
    ----------
    windows : (W, T, ...) floats
    rows : (W, T) as from `cut`.
    n_rows : number of rows n.

    Returns
    -------
    merged : (n, ...) float64, or float32 if `windows` is float32.

    Raises
    ------
    TypeError
        `windows` holds whole numbers or booleans, which are codes.

    Examples
    --------
    >>> rows = cut(3, window=2)
    >>> merge(take(np.array([1.0, 2.0, 4.0]), rows), rows, 3)
    array([1., 2., 4.])
    """
    windows = np.asarray(windows)
    if windows.dtype.kind != "f":
        raise TypeError(f"merge takes the mean of floats, got {windows.dtype}: codes have none.")
    dtype = np.float32 if windows.dtype == np.float32 else np.float64
    inside = rows >= 0
    target, given = rows[inside], windows[inside].astype(np.float64)
    first = np.full((n_rows, *windows.shape[2:]), np.nan)
    first[target] = given
    counts = np.bincount(target, minlength=n_rows)
    if counts.max(initial=0) > 1:
        # Averages differences to one window: the mean of equal values is then exact.
        base = first[target]
        with np.errstate(invalid="ignore"):  # infinite cells
            apart = np.where(given == base, 0.0, given - base)
        total = np.zeros_like(first)
        np.add.at(total, target, apart)
        first += total / np.maximum(counts, 1).reshape(-1, *[1] * (windows.ndim - 2))
    return first.astype(dtype)


def pick(windows: np.ndarray, rows: np.ndarray, n_rows: int) -> np.ndarray:
    """Return rows (n, ...), each from the first window that holds it: the other way back of `take`.

    For codes and random draws, whose cells belong together and have no mean; see `merge`.

    Parameters
    ----------
    windows : (W, T, ...) of any dtype
    rows : (W, T) as from `cut`.
    n_rows : number of rows n.

    Returns
    -------
    picked : (n, ...) of the dtype of `windows`; zero or False for a row in no window.

    Examples
    --------
    >>> rows = cut(3, window=2)
    >>> pick(np.array([[0, 2], [1, 1]]), rows, 3)
    array([0, 2, 1])
    """
    window, step = first_window(rows, n_rows)
    picked = np.zeros((n_rows, *windows.shape[2:]), windows.dtype)
    picked[window >= 0] = windows[window[window >= 0], step[window >= 0]]
    return picked


def first_window(rows: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row the first window that holds it and the step there, -1 where none does.

    Parameters
    ----------
    rows : (W, T) as from `cut`.
    n_rows : number of rows n.

    Returns
    -------
    window, step : (n,) int64

    Examples
    --------
    >>> first_window(cut(4, window=3), 4)
    (array([0, 0, 0, 1]), array([0, 1, 2, 2]))
    """
    window, step = np.full((2, n_rows), -1, dtype=np.int64)
    held = np.argwhere(rows >= 0)[::-1]  # of equal indices NumPy keeps what is assigned last
    window[rows[tuple(held.T)]], step[rows[tuple(held.T)]] = held.T
    return window, step
