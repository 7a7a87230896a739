"""Parameters and fitted attributes as JSON, and arrays beside it; and back.

Maskings are looked up by name among those of maetab; everything else is plain values.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.labels import read_label, write_label

LABELS = (pd.Timestamp, pd.Timedelta, pd.Interval)
Arrays = dict[str, np.ndarray]


def pack(value: Any, owner: str, arrays: Arrays) -> Any:
    """Return a value as JSON; TypeError that names `owner` for what it cannot hold.

    A dict of JSON is a tag and what it marks. Arrays go to `arrays`, beside the weights.
    """

    def pack_all(values: Any) -> list:
        return [pack(one, owner, arrays) for one in values]

    if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if value is pd.NA:
        return {"NA": None}
    if isinstance(value, LABELS):
        return {"label": write_label(value)}
    if isinstance(value, list | pd.Index):
        return pack_all(value)
    if type(value) in (tuple, set):
        return {type(value).__name__: pack_all(value)}
    if isinstance(value, dict):
        return {"dict": [pack_all(pair) for pair in value.items()]}
    if isinstance(value, np.ndarray):
        return _pack_array(value, owner, arrays)
    if type(value) in _maskings().values():
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"masking": [type(value).__name__, pack(fields, owner, arrays)]}
    raise TypeError(
        f"{owner} is a {type(value).__name__}, which a model file cannot hold; set it to None, a "
        "number, text, a list or dict of these, or a numeric array before saving."
    )


def _pack_array(value: np.ndarray, owner: str, arrays: Arrays) -> dict[str, Any]:
    if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        key = f"array/{sum(key.startswith('array/') for key in arrays)}"
        arrays[key] = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
        return {"array": key}
    if value.ndim == 1 and all(isinstance(text, str) for text in value):
        return {"texts": [value.dtype.kind, [str(text) for text in value]]}
    raise TypeError(
        f"{owner} is an array of {value.dtype}, which a model file cannot hold; use numbers, "
        "booleans or a list of texts."
    )


def unpack_all(
    packed: dict[str, Any], arrays: Arrays, masking: Callable[[str, dict], Any]
) -> dict[str, Any]:
    """Return the values that `pack` wrote; see `unpack`."""
    return {key: unpack(value, arrays, masking) for key, value in packed.items()}


def unpack(packed: Any, arrays: Arrays, masking: Callable[[str, dict], Any]) -> Any:
    """Return the value that `pack` wrote; `masking` makes maskings of a name and fields."""
    if isinstance(packed, list):
        return [unpack(one, arrays, masking) for one in packed]
    if not isinstance(packed, dict):
        return packed
    ((tag, inside),) = packed.items()
    readers: dict[str, Callable[[], Any]] = {
        "float": lambda: float(inside),
        "NA": lambda: pd.NA,
        "label": lambda: read_label(inside),
        "tuple": lambda: tuple(unpack(inside, arrays, masking)),
        "set": lambda: set(unpack(inside, arrays, masking)),
        "dict": lambda: dict(unpack(inside, arrays, masking)),
        "array": lambda: arrays[inside].copy(),
        "texts": lambda: np.array(inside[1], dtype={"O": object, "U": str}[inside[0]]),
        "masking": lambda: masking(inside[0], unpack(inside[1], arrays, masking)),
    }
    if tag not in readers:
        raise ValueError(f"it has a value of the unknown kind {tag!r}")
    return readers[tag]()


def _maskings() -> dict[str, type]:
    from maetab.nn.guess.options import GuessOptions
    from maetab.nn.masking import MASKINGS

    return {kind.__name__: kind for kind in (*MASKINGS.values(), GuessOptions)}


def masking_of(name: str, fields: dict[str, Any]) -> Any:
    """Return the masking of a class and its fields; ValueError for other classes."""
    if name not in _maskings():
        raise ValueError(f"{name!r} is not a masking of maetab")
    return _maskings()[name](**fields)


def masking_text(name: str, fields: dict[str, Any]) -> str:
    """Return a masking as text, without torch."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in fields.items())})"
