"""How rows lie in time: a first version for regular stamps and rows in order, until the whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Timeline:
    """How the rows of a fitted table lie in time."""

    n_steps: int
    step: float | None
    period: int | None
    kind: str
    zone: str | None
    time: Any
    groups: tuple
    static: tuple

    def keys(self, frame: pd.DataFrame) -> list[int]:
        """Return places of the columns that are times or groups."""
        names = {self.time, *self.groups}
        return [i for i, name in enumerate(frame.columns) if name is not None and name in names]

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> Timeline:
        """Rebuild what `to_dict` wrote."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in written.items()})


class Layout(NamedTuple):
    """Where each row stands."""

    series: np.ndarray
    position: np.ndarray
    phase: np.ndarray
    calendar: np.ndarray

    def windows(self, n_steps: int, stride: int) -> np.ndarray:
        """Return (W, T) rows of windows that start at multiples of the stride."""
        found = []
        for one in np.unique(self.series):
            rows = np.flatnonzero(self.series == one)
            place = self.position[rows].astype(np.int64)
            first = place.min() // stride * stride
            starts = np.arange(first, place.max() + 1, stride)
            table = np.full(place.max() + 1 + n_steps - first, -1)
            table[place - first] = rows
            windows = table[(starts - first)[:, None] + np.arange(n_steps)]
            found.append(windows[(windows >= 0).any(1)])
        return np.concatenate(found)


def infer_timeline(
    frame: pd.DataFrame, values: Any, observed: Any, window: Any, time: Any, groups: Any, name: str
) -> Timeline:
    """Return how rows lie in time."""
    own = () if groups is None else (groups,) if isinstance(groups, str) else tuple(groups)
    static: tuple = ()
    if own:
        by = frame.groupby(list(own))
        static = tuple(
            i
            for i, c in enumerate(frame.columns)
            if c not in own and c != time and observed[:, i].any() and by[c].nunique().max() <= 1
        )
    stamps = frame[time] if time is not None else frame.index
    if not pd.api.types.is_datetime64_any_dtype(stamps):
        return Timeline(int(window), None, None, "order", None, None, own, static)
    gaps = np.diff(np.unique(pd.DatetimeIndex(stamps).as_unit("ns").asi8)) / 1e9
    step = float(np.median(gaps)) if len(gaps) else 1.0
    period = {3600.0: 24, 1800.0: 48, 900.0: 96, 600.0: 144, 300.0: 288, 86400.0: 7}.get(step)
    return Timeline(int(window), step, period, "datetime", None, time, own, static)


def lay_out(frame: pd.DataFrame, timeline: Timeline) -> Layout:
    """Return where each row stands."""
    n = len(frame)
    series = np.zeros(n, np.int64)
    if timeline.groups:
        series = frame.groupby(list(timeline.groups)).ngroup().to_numpy(np.int64)
    if timeline.kind == "order":
        position = pd.Series(series).groupby(series).cumcount().to_numpy(np.float64)
    else:
        stamps = frame[timeline.time] if timeline.time is not None else frame.index
        seconds = pd.DatetimeIndex(stamps).as_unit("ns").asi8 / 1e9
        position = np.round(seconds / (timeline.step or 1.0))
    phase = (position % (timeline.period or 1)).astype(np.int64)
    return Layout(series, position, phase, np.zeros((n, 0), np.float32))
