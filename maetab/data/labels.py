"""Levels and column names as JSON values, and back."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Sequence
from typing import Any

import pandas as pd

from maetab.data.kinds import python_scalar


def write_label(value: Any) -> list:
    """Return a level or a column name as [type, JSON value]; `read_label` is its way back."""
    value = python_scalar(value)
    if value is None:
        return ["none", None]
    if isinstance(value, (bool, int, str)):
        return [type(value).__name__, value]
    if isinstance(value, float):
        return ["float", repr(float(value))]
    if isinstance(value, decimal.Decimal):
        return ["decimal", str(value)]
    if isinstance(value, tuple):
        return ["tuple", [write_label(part) for part in value]]
    if isinstance(value, pd.Interval):
        return ["interval", [write_label(value.left), write_label(value.right), value.closed]]
    if isinstance(value, (pd.Timestamp, datetime.date)):
        kind = "timestamp" if isinstance(value, pd.Timestamp) else "date"
        return [kind, value.isoformat()]
    if isinstance(value, pd.Period):
        return ["period", [value.ordinal, value.freqstr]]
    if isinstance(value, pd.Timedelta):
        return ["timedelta", value.isoformat()]
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be written as JSON.")


def read_label(written: Sequence) -> Any:
    """Return the value that `write_label` wrote."""
    kind, value = written
    if kind == "tuple":
        return tuple(read_label(part) for part in value)
    if kind == "interval":
        return pd.Interval(read_label(value[0]), read_label(value[1]), closed=value[2])
    if kind == "period":
        return pd.Period(ordinal=value[0], freq=value[1])
    readers: dict[str, Any] = {
        "float": float,
        "decimal": decimal.Decimal,
        "timestamp": pd.Timestamp,
        "timedelta": pd.Timedelta,
        "date": datetime.date.fromisoformat,
    }
    return readers[kind](value) if kind in readers else value
