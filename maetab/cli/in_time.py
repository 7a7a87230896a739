"""Rows of a file in order of time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from maetab.cli.series import Keys
from maetab.data.codec import encode
from maetab.data.panel import static_columns
from maetab.data.schema import infer_schema


def in_time(frame: pd.DataFrame, keys: Keys) -> tuple[pd.DataFrame, np.ndarray | None]:
    """Return a frame in order of time with groups and stamps as its index, and (n,) its series.

    So none of them is hidden as a cell.
    """
    stamp, groups = keys.stamp(), list(keys.groups)
    names = [*groups, *([] if stamp is None else [stamp])]
    if not names:
        return frame.reset_index(drop=True), None
    ordered = frame.sort_values(names, kind="stable").set_index(names)
    labels = ordered.groupby(groups, dropna=False).ngroup().to_numpy() if groups else None
    return ordered, labels


def static_names(frame: pd.DataFrame, labels: np.ndarray | None) -> list[str]:
    """Return the columns that have one value in every series; `labels` as from `in_time`.

    Hidden cells of such a column are known from the others of their series, whatever fills them.
    """
    if labels is None:
        return []
    cells = encode(frame, infer_schema(frame))
    return [str(frame.columns[j]) for j in static_columns(*cells, labels, [*range(frame.shape[1])])]
