"""Frames of series with known courses, and small estimators of series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

SMALL: dict[str, Any] = {"max_iter": 0, "random_state": 0}


def hourly(n: int = 240, seed: int = 0, start: str = "2024-01-01") -> pd.DataFrame:
    """Two columns that follow the hour of the day and each other, and the half of the day."""
    rng, hour = np.random.default_rng(seed), np.arange(n)
    turn = 2 * np.pi * hour / 24
    frame = {
        "a": np.sin(turn) + 0.1 * rng.normal(size=n),
        "b": 5 * np.cos(turn) + 0.3 * rng.normal(size=n),
        "half": pd.Categorical(np.where(hour % 24 < 12, "night", "day")),
    }
    return pd.DataFrame(frame, index=pd.date_range(start, periods=n, freq="h", name="when"))


def panel(lengths: tuple[int, ...] = (96, 60, 30), seed: int = 0) -> pd.DataFrame:
    """Sites of several lengths in long format, each with a level and a kind of its own."""
    parts = []
    for k, n in enumerate(lengths):
        part = hourly(n, seed + k).reset_index()
        site = {"site": f"s{k}", "kind": ["town", "field"][k % 2], "a": part["a"] + k}
        parts.append(part.assign(**site))
    frame = pd.concat(parts, ignore_index=True)
    return frame[["site", "when", "a", "b", "half", "kind"]]


def holed(frame: pd.DataFrame, share: float = 0.2, seed: int = 1, keep: tuple = ()) -> pd.DataFrame:
    """The frame without a share of its cells, but for the columns in `keep`."""
    rng = np.random.default_rng(seed)
    out = frame.copy()
    for name in frame.columns.difference([*keep]):
        out[name] = frame[name].mask(rng.random(len(frame)) < share)
    return out
