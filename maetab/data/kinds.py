"""What cells and dtypes are called, and scalars as plain Python values."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# How one cell is called in a message; a column may hold several of these words.
SPOKEN = {
    "number": "a number",
    "text": "text",
    "boolean": "a boolean",
    "datetime": "a date or time",
    "timedelta": "a duration",
    "interval": "an interval",
}
TYPES: dict[str, tuple[type, ...]] = {  # of the cells; the first that fits
    "boolean": (bool, np.bool_),
    "number": (int, float, np.integer, np.floating, decimal.Decimal),
    "text": (str,),
    "datetime": (datetime.date, pd.Period),
    "timedelta": (datetime.timedelta,),
    "interval": (pd.Interval,),
}
WAYS: dict[str, Any] = {  # out of a column of objects, by the types of its cells
    "convert the column by .infer_objects()": pd.Period,
    "convert the column by .astype('category')": pd.Interval,
    "convert the column by pandas.to_datetime or pandas.to_timedelta; steps of scikit-learn's "
    "pipelines keep times as they are with set_output(transform='pandas')": (
        *(datetime.date, datetime.timedelta, np.datetime64, np.timedelta64),
    ),
}


def word_of(cell_type: type) -> str | None:
    """Key of `SPOKEN` for cells of this type, None where they cannot be used."""
    return next((word for word, types in TYPES.items() if issubclass(cell_type, types)), None)


def word_of_dtype(dtype: Any, name: Hashable) -> str:
    """Key of `SPOKEN` for the dtype, "category", or "any" for objects."""
    is_a = pd.api.types
    try:
        dtype.type  # noqa: B018
    except NotImplementedError:  # pandas itself knows only some dtypes of Arrow
        raise odd_dtype(name, dtype) from None
    if isinstance(dtype, pd.CategoricalDtype):
        odd = [type(v) for v in dtype.categories if word_of(type(v)) is None]
        if odd:
            raise odd_cell(name, odd[0])
        return "category"
    if isinstance(dtype, pd.SparseDtype):
        raise TypeError(f"column {name!r}: is sparse; pass it dense, as by .sparse.to_dense().")
    if is_a.is_complex_dtype(dtype):
        raise ValueError(f"Complex data not supported\ncolumn {name!r} is {dtype}.")
    if is_a.is_bool_dtype(dtype):
        return "boolean"
    if is_a.is_numeric_dtype(dtype) and getattr(dtype, "kind", "O") in "iuf":
        return "number"
    if getattr(dtype, "kind", "") == "M" or isinstance(dtype, (pd.DatetimeTZDtype, pd.PeriodDtype)):
        return "datetime"
    if getattr(dtype, "kind", "") == "m":
        return "timedelta"
    if is_a.is_object_dtype(dtype) or scale_of_dtype(dtype) is not None:
        return "any"
    if is_a.is_string_dtype(dtype) or is_dictionary(dtype):
        return "text"
    if getattr(dtype, "type", None) is datetime.time:
        raise odd_cell(name, datetime.time)
    raise odd_dtype(name, dtype)


def odd_dtype(name: Hashable, dtype: Any) -> Exception:
    return TypeError(
        f"column {name!r}: has dtype {dtype}; the argument must be a string, a real number, "
        f"a boolean or a date. Convert the column first, for example by .astype(str)."
    )


def is_dictionary(dtype: Any) -> bool:
    """Return True for the dtypes of Arrow that declare categories, as text or anything else."""
    return str(dtype).startswith("dictionary")


def nullable(dtype: Any) -> Any:
    """Return the pandas dtype that holds the same whole numbers or booleans, and missing ones."""
    return "boolean" if dtype.kind == "b" else dtype.name.replace("i", "I", 1).replace("uI", "UI")


def scale_of_dtype(dtype: Any) -> int | None:
    """Return the decimals of a decimal dtype of Arrow, None for all others."""
    is_decimal = isinstance(dtype, pd.ArrowDtype) and dtype.type is decimal.Decimal
    return dtype.pyarrow_dtype.scale if is_decimal else None


def scale_of(cells: np.ndarray) -> int | None:
    """Return the decimals of the longest of observed objects, None unless some are Decimals.

    The others may be whole numbers; among floats, Decimals are floats as well.
    """
    types = set(map(type, cells))
    if decimal.Decimal not in types or not types <= {decimal.Decimal, int}:
        return None
    exponents = [c.as_tuple().exponent for c in cells if isinstance(c, decimal.Decimal)]
    return max(0, *(-exponent for exponent in exponents if isinstance(exponent, int)), 0)


def odd_cell(name: Hashable, cell_type: type) -> Exception:
    if issubclass(cell_type, (complex, np.complexfloating)):
        return ValueError(f"Complex data not supported\ncolumn {name!r} holds complex numbers.")
    if issubclass(cell_type, datetime.time):
        return TypeError(
            f"column {name!r}: holds datetime.time; convert it to a duration, in pandas: pandas."
            f"to_timedelta(column.astype('string')), in polars: column.cast(polars.Duration)."
        )
    usual = "the argument must be a string, a real number, a boolean or a date"
    advice = next((way for way, types in WAYS.items() if issubclass(cell_type, types)), usual)
    return TypeError(f"column {name!r}: holds a {cell_type.__name__}; {advice}.")


def python_scalar(value: Any) -> Any:
    """Return the value as a plain Python scalar."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
        return value.item()
    return value


def same(value: Any, other: Any) -> bool:
    """True if two scalars are equal and of the same kind: 1 is 1.0, but not True."""
    return word_of(type(value)) == word_of(type(other)) and bool(value == other)


def refuse_odd_objects(series: pd.Series, given: np.ndarray) -> None:
    for cell_type in set(map(type, series.to_numpy(dtype=object)[given])):
        if word_of(cell_type) not in ("number", "text", "boolean"):
            raise odd_cell(series.name, cell_type)


def are_dates(series: pd.Series, given: np.ndarray) -> bool:
    """Return True for a column of objects if all that is given are datetime.date without a time."""
    return set(map(type, series.to_numpy(dtype=object)[given])) == {datetime.date}


def read_floats(series: pd.Series) -> np.ndarray:
    """(n,) float64 from a column of numbers; NaN where missing."""
    if isinstance(series.dtype, np.dtype):
        with np.errstate(over="ignore"):
            return series.to_numpy().astype(np.float64)
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def starts(periods: pd.PeriodIndex) -> pd.DatetimeIndex:
    """Return when periods begin; those of pandas below 3 have no start after the year 2262."""
    return pd.DatetimeIndex(periods.asfreq("us", how="S").asi8.view("M8[us]"))


def read_times(series: pd.Series, word: str) -> Any:
    """(n,) pandas index of dates or durations; of the starts of periods."""
    if word == "timedelta":
        return pd.TimedeltaIndex(series)
    if series.dtype == object:  # of datetime.date, from the year 1 to 9999
        days = series.where(series.notna(), None).to_numpy(dtype=object).astype("M8[D]")
        return pd.DatetimeIndex(days.astype("M8[s]"))
    if isinstance(series.dtype, pd.PeriodDtype):
        return starts(pd.PeriodIndex(series))
    return pd.DatetimeIndex(series)


def factorize_objects(cells: np.ndarray) -> tuple[np.ndarray, list]:
    """Codes and values of mixed scalars, in which True and 1 are two levels."""
    given = ~pd.isna(cells)
    if len({word_of(t) for t in set(map(type, cells[given]))} & {"boolean", "number"}) < 2:
        found, distinct = pd.factorize(cells)
        return found.astype(np.int64), [python_scalar(value) for value in distinct]
    is_boolean = np.array([isinstance(cell, (bool, np.bool_)) for cell in cells], dtype=bool)
    codes = np.full(len(cells), -1, dtype=np.int64)
    values: list = []
    for part in (given & is_boolean, given & ~is_boolean):
        found, distinct = pd.factorize(cells[part])
        codes[part] = found + len(values)
        values += [python_scalar(value) for value in distinct]
    return codes, values


def as_float(value: Any, word: str) -> float:
    """Return a scalar as a number, times in seconds; NaN where it is not of that kind."""
    if word_of(type(value)) != word:
        return math.nan
    if word == "number":
        try:
            return float(value)
        except OverflowError:  # no cell is as large
            return math.nan
    if word == "timedelta":
        return pd.Timedelta(value).total_seconds()
    if isinstance(value, pd.Period):
        return value.asfreq("us", how="S").ordinal / 10**6
    return float(pd.Timestamp(value).timestamp())


def extra_missing(missing_values: Any) -> list:
    """Return the values that count as missing besides NaN, None, NA and NaT.

    Parameters
    ----------
    missing_values : scalar or list, tuple, set or array of scalars.
    """
    is_many = isinstance(missing_values, (list, tuple, set, frozenset, np.ndarray, pd.Index))
    values: Iterable = missing_values if is_many else [missing_values]
    extra = []
    for value in values:
        if not pd.api.types.is_scalar(value):
            raise ValueError(
                f"missing_values must be a scalar or a list of scalars, got {missing_values!r}."
            )
        if not pd.isna(value):
            if isinstance(value, np.datetime64):
                value = pd.Timestamp(value)
            elif isinstance(value, np.timedelta64):
                value = pd.Timedelta(value)
            extra.append(python_scalar(value))
    return extra


def level_key(level: Any) -> tuple:
    """Key under which a level is looked up, so that True is not 1."""
    return (isinstance(level, bool), level)
