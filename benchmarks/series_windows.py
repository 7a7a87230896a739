"""Windows of series that probes learn from: to forecast from, or to tell two classes apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.series_data import data_folder, make_task
from benchmarks.series_peers import GROUP

LENGTH = 96  # steps that a forecast looks back
STRIDE = 3  # between the windows of a forecast; PatchTST takes every one
MONTH = 30 * 24
TEACHING = 0.6  # of the windows of a class


class Windows(NamedTuple):
    """Windows of one length, some of which teach.

    Parameters
    ----------
    course : DataFrame (n, F + 1) with a DatetimeIndex; GROUP is the last column
        What an encoder may learn from, without labels.
    whole : DataFrame with the same columns, the rows of all windows
    stride : steps from one window of `whole` to the next among which all are
    values : (W, T, F) float array, missing cells nan
    starts : list of W (group, stamp of the first row)
    labels : (W,) int array, or None for a forecast
    teaches : (W,) bool array
    """

    course: pd.DataFrame
    whole: pd.DataFrame
    stride: int
    values: np.ndarray
    starts: list[tuple[int, Any]]
    labels: np.ndarray | None
    teaches: np.ndarray


# ---- forecast


def forecast_windows(horizon: int) -> tuple[Windows, np.ndarray, np.ndarray]:
    """Return the windows of ETT_h1, what follows each (W, horizon, F), and its part (0, 1, 2)."""
    frame = pd.read_csv(data_folder() / "ETTh1.csv", index_col="date", parse_dates=True)
    ends = [12 * MONTH, 16 * MONTH, 20 * MONTH]
    train = frame.iloc[: ends[0]]
    frame = ((frame - train.mean()) / train.std(ddof=0)).iloc[: ends[2]]
    whole = sliding_window_view(frame.to_numpy(), LENGTH + horizon, axis=0).transpose(0, 2, 1)
    first, part = [], []
    # Each part's targets lie within it; windows of later parts look back into the one before.
    for k, (low, high) in enumerate(zip([LENGTH, *ends[:2]], ends, strict=True)):
        begun = np.arange(low - LENGTH, high - LENGTH - horizon + 1, STRIDE)
        first += list(begun)
        part += [k] * len(begun)
    picked, parts = whole[first], np.asarray(part)
    windows = Windows(
        frame.iloc[: ends[0]].assign(**{GROUP: 0}), frame.assign(**{GROUP: 0}), STRIDE,
        picked[:, :LENGTH], [(0, frame.index[i]) for i in first], None, parts == 0,
    )  # fmt: skip
    return windows, picked[:, LENGTH:], parts


# ---- classes


def weekends() -> Windows:
    """Return the days of the Italian air; labels are 1 at the end of the week.

    All days have one date, each a series of its own, for the calendar would tell the label.
    """
    frame = _complete("italian")
    labels = (frame.index[::24].day_of_week >= 5).astype(int)
    found = _cut([frame], 24, labels)
    days, hours = np.arange(len(labels)).repeat(24), frame.index[:24]
    whole = frame.set_axis(np.tile(hours, len(labels))).assign(**{GROUP: days})
    return found._replace(
        course=whole.iloc[: len(found.course)],
        whole=whole,
        starts=[(day, hours[0]) for day in range(len(labels))],
    )


def winds() -> Windows:
    """Return the days of Beijing with mostly one wind: 1 from the north-west, 0 the south-east.

    The direction itself is no column of the windows.
    """
    frame = _complete("beijing")
    path = data_folder() / "beijing_pm25_single_site.csv"
    wind = pd.read_csv(path, usecols=["cbwd"])["cbwd"].iloc[: len(frame)].to_numpy()
    shares = [(wind.reshape(-1, 24) == name).mean(axis=1) for name in ("NW", "SE")]
    found = _cut([frame], 24, (shares[0] > shares[1]).astype(int))
    clear = np.maximum(*shares) > 0.5
    starts = [start for start, kept in zip(found.starts, clear, strict=True) if kept]
    return found._replace(
        values=found.values[clear],
        starts=starts,
        labels=found.labels[clear],
        teaches=found.teaches[clear],
    )


def _complete(name: str) -> pd.DataFrame:
    """Return whole days of a series, standardised, nothing hidden."""
    task = make_task(name, "point10")
    return pd.concat([part.truth for part in (task.train, task.val, task.test)])


def machines(first: str, second: str) -> Windows:
    """Return windows of four hours of two machines' load, each series with spread and level off."""
    frames = []
    for name in (first, second):
        path = data_folder() / "nab" / "realAWSCloudwatch" / f"ec2_{name}.csv"
        frame = pd.read_csv(path, index_col="timestamp", parse_dates=True).astype("float64")
        frames.append((frame - frame.mean()) / frame.std())
    return _cut(frames, 48, None)._replace(stride=1)  # series begin at any minute


def _cut(frames: list[pd.DataFrame], length: int, labels: np.ndarray | None) -> Windows:
    """Return the windows of some series, the first six tenths of each teaching."""
    values, starts, teaches, courses, wholes, own = [], [], [], [], [], []
    for k, frame in enumerate(frames):
        count = len(frame) // length
        values.append(frame.to_numpy()[: count * length].reshape(count, length, -1))
        starts += [(k, frame.index[i * length]) for i in range(count)]
        teaching = np.arange(count) < TEACHING * count
        teaches.append(teaching)
        wholes.append(frame.iloc[: count * length].assign(**{GROUP: k}))
        courses.append(wholes[-1].iloc[: int(teaching.sum()) * length])
        own.append(np.full(count, k))
    labels = np.concatenate(own) if labels is None else labels
    return Windows(
        pd.concat(courses), pd.concat(wholes), length, np.concatenate(values), starts, labels,
        np.concatenate(teaches),
    )  # fmt: skip


CLASSES: dict[str, Callable[[], Windows]] = {
    "italian, weekend": weekends,
    "beijing, wind": winds,
    "cpu 5f5533 or fe7f93": lambda: machines("cpu_utilization_5f5533", "cpu_utilization_fe7f93"),
    "cpu 53ea38 or c6585a": lambda: machines("cpu_utilization_53ea38", "cpu_utilization_c6585a"),
}
