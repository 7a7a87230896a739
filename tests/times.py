"""Frames with stamps, and the timelines and layouts of them, for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd

from maetab.data.timeline import infer_timeline, lay_out


def table(index, seed=0, n_columns=1):
    """Return a frame of noise with an index."""
    values = np.random.default_rng(seed).normal(size=(len(index), n_columns))
    return pd.DataFrame(values, index, [f"v{i}" for i in range(n_columns)])


def timeline_of(frame, window="auto", time=None, groups=None):
    """Return the timeline of a frame; columns that hold no numbers are given as zeros."""
    numbers = frame.apply(lambda x: x if x.dtype.kind in "fiub" else pd.Series(0.0, x.index))
    values = numbers.to_numpy(float)
    return infer_timeline(frame, np.nan_to_num(values), ~np.isnan(values), window, time, groups)


def laid_out(frame, window="auto", time=None, groups=None):
    """Return the timeline of a frame and where its rows stand on it."""
    timeline = timeline_of(frame, window, time, groups)
    return timeline, lay_out(frame, timeline)
