"""Frames of the columns of fit whose cells mean nothing yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import pandas_dtype

from maetab.data.columns import Column
from maetab.data.kinds import is_dictionary
from maetab.data.schema import Schema


def blank_frame(schema: Schema, n_rows: int, index: pd.Index | None) -> pd.DataFrame:
    """Return a frame of the columns of fit whose cells mean nothing."""
    names = pd.Index(schema.names(), tupleize_cols=False)
    blanks = {i: _blank(column, n_rows) for i, column in enumerate(schema.columns)}
    return pd.DataFrame(blanks, index).set_axis(names, axis=1)


def _blank(column: Column, n_rows: int) -> Any:
    """Return an array of the dtype that the column had in fit."""
    if column.dtype == "category" or is_dictionary(column.dtype):  # pandas cannot read the latter
        levels = [column.levels[i] for i in column.order] or list(column.levels)
        return pd.Categorical([None] * n_rows, levels, ordered=bool(column.order))
    dtype = pandas_dtype(column.dtype)
    if isinstance(dtype, np.dtype) and dtype.kind in "iub":
        return np.zeros(n_rows, dtype)
    return pd.Series(index=range(n_rows), dtype=dtype).array
