"""Cells of two tables on the same scales, and the columns and levels that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.codec import encode, to_natural
from maetab.data.containers import read_frame
from maetab.data.schema import Column, Schema, infer_schema

MAX_PANELS = 12  # columns that are drawn when none are named: three rows of four
DRAWN_LEVELS = 8  # of a category, one by one: their names fit side by side in a panel
SECONDS_PER_DAY = 86400.0
Pair = list[np.ndarray]  # cells of a column in the one and in the other table


def read_pair(original: Any, other: Any, name: str) -> tuple[np.ndarray, np.ndarray, Schema]:
    """Return two tables as (n, F) numbers on the same scales, and the schema of the first."""
    before, after = read_frame(original)[0], read_frame(other)[0]
    if len(before) != len(after) or before.shape[1] > after.shape[1]:
        raise ValueError(f"'{name}' must have the shape {before.shape}, got {after.shape}.")
    if set(before.columns) <= set(after.columns):
        after = after[list(before.columns)]
    else:
        after = after.iloc[:, : before.shape[1]].set_axis(before.columns, axis=1)
    schema = infer_schema(before)
    return _numbers(before, schema), _numbers(after, schema), schema


def _numbers(frame: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Return (n, F) float64: numbers, days for times, places of levels; NaN where missing."""
    values, observed = encode(frame, schema)
    units = [SECONDS_PER_DAY if column.temporal else 1.0 for column in schema.columns]
    return np.where(observed, to_natural(values, schema) / units, np.nan)


def read_hidden(hidden: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return `hidden` as bool array of this shape (n, F); a ValueError if it has another."""
    found = read_frame(hidden)[0].to_numpy(dtype=bool)
    if found.shape != shape:
        raise ValueError(f"'hidden' must have the shape {shape}, got {found.shape}.")
    return found


def choose(
    schema: Schema,
    cells: np.ndarray,
    columns: Sequence | None,
    needed: str,
    most: int = MAX_PANELS,
    first: bool = False,
) -> list[int]:
    """Return places of the columns to draw: the named ones, or `most` with most `cells` (n, F).

    If `first`, the first that have any.
    """
    if isinstance(columns, str):
        raise ValueError(f"columns must be a list of names, got {columns!r}.")
    names, counts = schema.names(), cells.sum(0)
    if columns is None:
        if not counts.any():
            raise ValueError(f"No column has {needed}.")
        order = np.argsort(-(counts > 0 if first else counts).astype(int), kind="stable")[:most]
        return sorted(place for place in order.tolist() if counts[place])
    if not len(columns):
        raise ValueError("columns must name at least one column, got none.")
    for name in columns:
        if name not in names:
            raise ValueError(f"columns: there is no column {name!r}.")
        if not counts[names.index(name)]:
            raise ValueError(f"column {name!r} lacks {needed}.")
    return [names.index(name) for name in columns]


def place_of_levels(column: Column, *values: np.ndarray) -> tuple[list, list[np.ndarray]]:
    """Return the names of the levels to draw, and for each array of codes (n,) their places.

    Drawn are the most frequent levels, in their order if they have one. All others share the last
    place, which exists only if a cell is in it.
    """
    most = min(len(column.levels), DRAWN_LEVELS)
    drawn = [level for level in column.order or range(most) if level < most]
    place_of = np.full(len(column.levels) + 1, len(drawn))
    place_of[drawn] = np.arange(len(drawn))
    places = [place_of[codes.astype(int)] for codes in values]
    names = [column.levels[level] for level in drawn]
    others = np.unique(np.concatenate(values)[np.concatenate(places) == len(drawn)])
    if len(others) == 1:
        names.append((*column.levels, "not seen before")[int(others[0])])
    elif len(others):
        names.append(f"{len(others)} other levels")
    return names, places
