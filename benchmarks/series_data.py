"""Series with hidden cells: what is known, what is hidden, what teaches and what is judged.

Every mask is fixed here, by its seed alone. Masks are those of PyGrinder (the same draws of the
same generator, so a test can compare them bit for bit), in the patterns of TSI-Bench
(arXiv:2406.12747): points, one gap of three quarters of a window per hit window and column, and
blocks. The part that teaches is masked in the same pattern as the part that is judged.

CHOOSING and JUDGING were named before any figure of maetab was looked at: settings and constants
are chosen on the former, what is reported comes from the latter.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

CHOOSING = ("etth1-val", "exchange")
JUDGING = ("etth1", "italian", "beijing", "nh4")
PATTERNS = ("point10", "point50", "point90", "subseq", "block")
SEED = 2024  # TSI-Bench's
TRAIN_SHARE, VAL_SHARE = 0.55, 0.15  # of the windows; the rest is judged
GAP_SHARE = 0.75  # of a window: 36 of 48, 18 of 24
BLOCK = 6  # steps, and columns where there are as many


class Part(NamedTuple):
    """A stretch of a series: whole windows, one after the other.

    Parameters
    ----------
    truth, missing : DataFrame (n, F), float64, with a DatetimeIndex
        Before and after cells were hidden; standardised by the training part.
    hidden : bool array (n, F)
        True where a cell that was observed was hidden by us.
    """

    truth: pd.DataFrame
    missing: pd.DataFrame
    hidden: np.ndarray


class SeriesTask(NamedTuple):
    """One masked series.

    Parameters
    ----------
    name, pattern, seed
        What it was made from.
    window, period : int
        Steps of a window, and of the main period (0 where there is none).
    train, val, test : Part
        What teaches, what networks stop by, and what is judged.
    """

    name: str
    pattern: str
    seed: int
    window: int
    period: int
    train: Part
    val: Part
    test: Part


class Course(NamedTuple):
    """A series before anything is hidden."""

    frame: pd.DataFrame
    window: int
    period: int
    parts: tuple[slice, slice, slice]  # rows that teach, stop, and are judged
    block_factor: float  # PyGrinder's; chosen so that blocks hide half of the cells


# ---- courses


def data_folder() -> Path:
    """Return the folder of the series.

    Raises
    ------
    RuntimeError
        The variable that names it is not set.
    """
    folder = os.environ.get("MAETAB_DATA")
    if not folder:
        raise RuntimeError("MAETAB_DATA is not set; it names the folder that holds timeseries/.")
    return Path(folder) / "timeseries"


def _etth1(parts: tuple[slice, slice, slice] | None = None) -> Course:
    """ETT_h1 by the rules of TSI-Bench: 14, 5 and the remaining calendar months."""
    frame = pd.read_csv(data_folder() / "ETTh1.csv", index_col="date", parse_dates=True)
    months = (frame.index.year - 2016) * 12 + frame.index.month - 7
    first, second = int((months < 14).sum()), int((months < 19).sum())
    rows = parts or (slice(0, first), slice(first, second), slice(second, len(frame)))
    return Course(frame, 48, 24, rows, 0.36)


def _etth1_val() -> Course:
    """ETT_h1 for choosing: the validation part is judged, the end of training stops."""
    whole = _etth1()
    train, val, _ = whole.parts
    last = train.stop - 40 * whole.window
    return _etth1((slice(0, last), slice(last, train.stop), val))


def _italian() -> Course:
    """Hourly air quality, from the first midnight; -200 is missing."""
    frame = pd.read_csv(data_folder() / "italy_air_quality.csv", index_col="date", parse_dates=True)
    frame = frame[frame.index >= frame.index[0].ceil("D")].astype("float64")
    return _in_shares(frame.where(frame != -200), 24, 24, 0.087)


def _beijing() -> Course:
    """Hourly weather and PM2.5 at one site; the direction of the wind, in words, stays out."""
    frame = pd.read_csv(data_folder() / "beijing_pm25_single_site.csv", na_values="NA")
    frame.index = pd.to_datetime(frame[["year", "month", "day", "hour"]])
    frame = frame[["pm2.5", "DEWP", "TEMP", "PRES", "Iws", "Is", "Ir"]].astype("float64")
    return _in_shares(frame, 24, 24, 0.36)


def _exchange() -> Course:
    """Daily rates of exchange of eight countries."""
    frame = pd.read_csv(data_folder() / "exchange_rate.csv", index_col="date", parse_dates=True)
    return _in_shares(frame, 48, 0, 0.24)


def _nh4() -> Course:
    """Ammonium in waste water, complete, every ten minutes (the dates are made up)."""
    frame = pd.read_csv(data_folder() / "imputeTS_tsNH4.csv")[["tsNH4Complete"]]
    frame.index = pd.date_range("2010-11-30", periods=len(frame), freq="10min")
    return _in_shares(frame, 144, 144, 0.69)


COURSES: dict[str, Callable[[], Course]] = {
    "etth1-val": _etth1_val,
    "exchange": _exchange,
    "etth1": _etth1,
    "italian": _italian,
    "beijing": _beijing,
    "nh4": _nh4,
}


def _in_shares(frame: pd.DataFrame, window: int, period: int, factor: float) -> Course:
    """Return a course that is split by shares of its whole windows."""
    count = len(frame) // window
    ends = [round(count * s) * window for s in (TRAIN_SHARE, TRAIN_SHARE + VAL_SHARE, 1.0)]
    parts = (slice(0, ends[0]), slice(ends[0], ends[1]), slice(ends[1], ends[2]))
    return Course(frame, window, period, parts, factor)


# ---- masks, as PyGrinder draws them


def points(shape: tuple[int, int, int], share: float, random: np.random.RandomState) -> np.ndarray:
    """Return (B, T, F) bool: each cell hidden with probability `share`."""
    return (random.rand(math.prod(shape)) < share).reshape(shape)


def gaps(
    shape: tuple[int, int, int], share: float, length: int, random: np.random.RandomState
) -> np.ndarray:
    """Return (B, T, F) bool: one gap of `length` steps in each window and column that is hit."""
    n_windows, n_steps, n_features = shape
    hit = share * n_steps / length
    return _runs(shape, np.arange(n_windows * n_features), hit, length, 1, random)


def blocks(
    shape: tuple[int, int, int], factor: float, length: int, width: int,
    random: np.random.RandomState,
) -> np.ndarray:  # fmt: skip
    """Return (B, T, F) bool: blocks of `length` steps in `width` neighbouring columns."""
    n_windows, n_steps, n_features = shape
    starts = np.arange(n_features - width + 1)
    lines = (np.arange(n_windows)[:, None] * n_features + starts).ravel()
    hit = factor * n_steps * n_features / (length * width)
    return _runs(shape, lines, hit, length, width, random)


def _runs(
    shape: tuple[int, int, int], lines: np.ndarray, hit: float, length: int, width: int,
    random: np.random.RandomState,
) -> np.ndarray:  # fmt: skip
    """Return runs of hidden steps that begin in some of `lines` (window x column)."""
    n_windows, n_steps, n_features = shape
    begun = random.choice(lines * n_steps, math.ceil(len(lines) * hit), replace=hit > 1)
    begun = begun + random.choice(np.arange(n_steps - length + 1), len(begun))
    cells = begun[:, None, None] + np.arange(width)[:, None] * n_steps + np.arange(length)
    hidden = np.zeros(n_windows * n_features * n_steps, dtype=bool)
    hidden[cells.ravel()] = True
    return hidden.reshape(n_windows, n_features, n_steps).transpose(0, 2, 1)


def draw(course: Course, n_rows: int, pattern: str, random: np.random.RandomState) -> np.ndarray:
    """Return (n_rows, F) bool: the cells that one pattern hides in whole windows."""
    n_features = course.frame.shape[1]
    shape = (n_rows // course.window, course.window, n_features)
    if pattern.startswith("point"):
        hidden = points(shape, int(pattern[5:]) / 100, random)
    elif pattern == "subseq":
        hidden = gaps(shape, 0.5, round(GAP_SHARE * course.window), random)
    elif pattern == "block":
        hidden = blocks(shape, course.block_factor, BLOCK, min(BLOCK, n_features), random)
    else:
        raise ValueError(f"There is no pattern {pattern!r}; there are: {', '.join(PATTERNS)}.")
    return hidden.reshape(n_rows, n_features)


# ---- tasks


def make_task(name: str, pattern: str, seed: int = SEED) -> SeriesTask:
    """Return one masked series, standardised by its training part.

    Parameters
    ----------
    name : one of CHOOSING or JUDGING
    pattern : one of PATTERNS; "own" for the gaps that nh4 came with
    seed : int
        The masks of training, validation and test part follow from it, in this order.
    """
    if pattern == "own":
        return _own_gaps(seed)
    course = COURSES[name]()
    random = np.random.RandomState(seed)
    frame = _standardised(course.frame, course.parts[0])
    parts = [_masked(course, frame, rows, pattern, random) for rows in course.parts]
    return SeriesTask(name, pattern, seed, course.window, course.period, *parts)


def _standardised(frame: pd.DataFrame, train: slice) -> pd.DataFrame:
    teaching = frame.iloc[train]
    return (frame - teaching.mean()) / teaching.std(ddof=0)


def _masked(
    course: Course, frame: pd.DataFrame, rows: slice, pattern: str, random: np.random.RandomState
) -> Part:
    """Return one part with the cells of a pattern hidden; the rest of a window goes."""
    n_rows = (rows.stop - rows.start) // course.window * course.window
    truth = frame.iloc[rows.start : rows.start + n_rows]
    hidden = draw(course, n_rows, pattern, random) & truth.notna().to_numpy()
    return Part(truth, truth.mask(hidden), hidden)


def _own_gaps(seed: int) -> SeriesTask:
    """Return nh4 with the gaps that it came with, learned from and judged on its whole course.

    Networks stop by a tenth of the observed cells, hidden besides.
    """
    course = _nh4()
    n_rows = course.parts[2].stop
    truth = _standardised(course.frame, slice(0, n_rows)).iloc[:n_rows]
    given = pd.read_csv(data_folder() / "imputeTS_tsNH4.csv")["tsNH4"].iloc[:n_rows]
    hidden = given.isna().to_numpy()[:, None]
    part = Part(truth, truth.mask(hidden), hidden)
    more = draw(course, n_rows, "point10", np.random.RandomState(seed)) & ~hidden
    val = Part(part.missing, part.missing.mask(more), more)
    return SeriesTask("nh4", "own", seed, course.window, course.period, part, val, part)


def digest(task: SeriesTask) -> str:
    """Return a short name for all cells that a task hides or leaves."""
    told = hashlib.sha256()
    for part in (task.train, task.val, task.test):
        told.update(np.ascontiguousarray(part.hidden).tobytes())
        told.update(np.round(part.missing.to_numpy(), 6).tobytes())
    return told.hexdigest()[:12]
