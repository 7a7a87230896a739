"""Numbers back to cells of a dtype: cast, rounded and clipped, without loss."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.columns import Column
from maetab.data.grid import YEARS, periods, zone_of
from maetab.data.kinds import PER_SECOND, level_key, python_scalar, scale_of_dtype

SECONDS_PER_DAY = 86400


def restore(natural: np.ndarray, column: Column, array: Any) -> Any:
    """Return cells that can be assigned to `array` without loss.

    Parameters
    ----------
    natural : (m,) as from `Column.natural`
    array : of NumPy or pandas
    """
    dtype = array.dtype
    if column.kind == "category":
        return _restore_levels(natural, column, dtype)
    natural = column.on_grid(natural)
    if isinstance(dtype, pd.PeriodDtype):
        return periods(natural, dtype.freq, "floor").array
    if getattr(dtype, "kind", "") in "Mm":
        return _restore_times(natural, dtype, zone_of(column.dtype))
    if column.integer:
        natural = np.rint(natural)
    scale = scale_of_dtype(dtype)
    if pd.api.types.is_object_dtype(dtype) or scale is not None:
        decimals = column.decimals if scale is None else scale
        return _restore_objects(natural, column, decimals)
    plain = dtype if isinstance(dtype, np.dtype) else dtype.numpy_dtype
    if plain.kind in "iu":
        cells = _as_whole(natural, plain, column.origin)
    else:
        limit = float(min(np.finfo(plain).max, np.finfo(np.float64).max))
        cells = np.clip(natural + column.origin, -limit, limit).astype(plain)
    return cells if isinstance(dtype, np.dtype) else pd.array(cells, dtype=dtype)


def _restore_objects(natural: np.ndarray, column: Column, decimals: int | None) -> np.ndarray:
    """(m,) of object: Decimals of so many decimals, dates, whole numbers or floats."""
    cells = np.empty(len(natural), dtype=object)
    if column.temporal:
        first, last = (end // SECONDS_PER_DAY for end in YEARS)
        days = np.rint(natural / SECONDS_PER_DAY).clip(first, last).astype(np.int64)
        cells[:] = days.astype("M8[D]").astype(object)
    elif decimals is not None:
        unit, exact = Decimal(1).scaleb(-decimals), Context(prec=999)
        cells[:] = [Decimal(value).quantize(unit, context=exact) for value in natural.tolist()]
    elif column.integer:
        cells[:] = [int(value) + column.origin for value in natural]
    else:
        cells[:] = natural.tolist()
    return cells


def _as_whole(natural: np.ndarray, dtype: np.dtype, origin: int) -> np.ndarray:
    """Round, add the origin and clip to the bounds of an integer dtype."""
    bounds = np.iinfo(dtype)
    if origin:
        whole = [min(max(int(x) + origin, bounds.min), bounds.max) for x in np.rint(natural)]
        return np.array(whole, dtype=dtype)
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


def _restore_times(seconds: np.ndarray, dtype: Any, fitted: str | None) -> Any:
    """Return dates (within the years 1 to 9999) or durations of the dtype.

    Where the column has no time zone now (all of it is missing), but had one in fit, `fitted`, the
    dates are what a clock of that zone shows; where it has one that it had not in fit, its clock
    shows the dates.
    """
    is_date = dtype.kind == "M"
    unit = next((unit for unit in ("ns", "us", "ms") if f"[{unit}" in str(dtype)), "s")
    limit = float(np.nextafter(2.0**63, 0.0))
    if is_date:
        seconds = np.clip(seconds, *YEARS)
    # Doubles hold the dates of our time to the microsecond: what is finer would be noise.
    finest = 1000 if is_date and unit == "ns" else 1
    ticks = np.clip(seconds * (PER_SECOND[unit] // finest), -limit / finest, limit / finest)
    ticks = np.rint(ticks).astype(np.int64) * finest
    if not is_date:
        return pd.array(pd.TimedeltaIndex(ticks.view(f"m8[{unit}]")), dtype=dtype)
    index = pd.DatetimeIndex(ticks.view(f"M8[{unit}]"))
    if fitted is not None and ", " not in str(dtype):
        index = index.tz_localize("UTC").tz_convert(fitted).tz_localize(None)
    zone = zone_of(str(dtype))
    if fitted is None and zone is not None:
        first = np.ones(len(index), bool)  # of two hours that clocks show twice
        there = index.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
        index = there.tz_convert("UTC").tz_localize(None)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return index.tz_localize("UTC").tz_convert(dtype.tz).array
    if isinstance(dtype, pd.ArrowDtype):
        if "date" in str(dtype):
            index = index.round("D")
        elif "tz=" in str(dtype):
            index = index.tz_localize("UTC")
    return pd.array(index, dtype=dtype)
