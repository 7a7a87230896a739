"""Numbers back to cells of a dtype: cast, rounded and clipped, without loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from maetab.data.kinds import PER_SECOND, level_key, python_scalar
from maetab.data.schema import Column


def restore(natural: np.ndarray, column: Column, array: Any) -> Any:
    """Return cells that can be assigned to `array` without loss: cast, rounded and clipped."""
    dtype = array.dtype
    if column.kind == "category":
        return _restore_levels(natural, column, dtype)
    if getattr(dtype, "kind", "") in "Mm":
        return _restore_times(natural, dtype)
    if column.integer:
        natural = np.rint(natural)
    if pd.api.types.is_object_dtype(dtype):
        number = int if column.integer else float
        return np.array([number(value) for value in natural], dtype=object)
    plain = dtype if isinstance(dtype, np.dtype) else dtype.numpy_dtype
    if plain.kind in "iu":
        cells = _as_whole(natural, plain)
    else:
        limit = float(min(np.finfo(plain).max, np.finfo(np.float64).max))
        cells = np.clip(natural, -limit, limit).astype(plain)
    return cells if isinstance(dtype, np.dtype) else pd.array(cells, dtype=dtype)


def _as_whole(natural: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Round and clip to the bounds of an integer dtype."""
    bounds = np.iinfo(dtype)
    upper = float(bounds.max)
    if upper > bounds.max:  # 2**63 is a float64, 2**63 - 1 is not
        upper = np.nextafter(upper, 0.0)
    return np.clip(np.rint(natural), float(bounds.min), upper).astype(dtype)


def _restore_levels(natural: np.ndarray, column: Column, dtype: Any) -> Any:
    codes = np.rint(natural).astype(np.int64)
    levels = np.empty(len(column.levels), dtype=object)
    levels[:] = column.levels
    if isinstance(dtype, pd.CategoricalDtype):
        places = {level_key(python_scalar(v)): i for i, v in enumerate(dtype.categories)}
        found = np.array([places.get(level_key(level), -1) for level in levels], dtype=np.int64)
        return pd.Categorical.from_codes(found[codes], dtype=dtype)
    cells = levels[codes]
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return cells.astype(dtype)
    return cells if pd.api.types.is_object_dtype(dtype) else pd.array(cells, dtype=dtype)


def _restore_times(seconds: np.ndarray, dtype: Any) -> Any:
    """Return dates (within the years 1 to 9999) or durations of the dtype."""
    is_date = dtype.kind == "M"
    unit = _unit_of(dtype)
    limit = float(np.nextafter(2.0**63, 0.0))
    if is_date:
        seconds = np.clip(seconds, -62135596800.0, 253402300799.0)
    ticks = np.rint(np.clip(seconds * PER_SECOND[unit], -limit, limit)).astype(np.int64)
    if not is_date:
        return pd.array(pd.TimedeltaIndex(ticks.view(f"m8[{unit}]")), dtype=dtype)
    index = pd.DatetimeIndex(ticks.view(f"M8[{unit}]"))
    if isinstance(dtype, pd.DatetimeTZDtype):
        return index.tz_localize("UTC").tz_convert(dtype.tz).array
    if isinstance(dtype, pd.ArrowDtype):
        if "date" in str(dtype):
            index = index.round("D")
        elif "tz=" in str(dtype):
            index = index.tz_localize("UTC")
    return pd.array(index, dtype=dtype)


def _unit_of(dtype: Any) -> str:
    """Unit in which a dtype counts time; "s" for dates without a time."""
    text = str(dtype)
    return next((unit for unit in ("ns", "us", "ms") if f"[{unit}" in text), "s")
