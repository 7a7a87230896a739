"""What a table is and how it is filled: a model, and the frame before and after, as numbers too."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from maetab.data.codec import encode_checked, from_origins, missing_cells
from maetab.data.columns import Column
from maetab.data.timeline import Layout, Timeline, lay_out
from maetab.imputer import MAEImputer

NOTHING = 1e-6  # standard deviations of a column: what single precision makes of 0 is nearer
TOLD = r"(?s)MAEImputer: "


@dataclass(frozen=True)
class Filled:
    """A table, a model fitted to it, and the table filled.

    Parameters
    ----------
    frame, filled : (n, F)
    imputer : fitted to the frame
    missing : (n, F) bool, of the frame
    left : (n, F) bool, missing cells that stay so
    before, after : (n, F) float64, cells of both in the units of their columns and counted from
        their origins, codes of levels, NaN where missing
    layout : of the rows in time, None for a table
    """

    frame: pd.DataFrame
    filled: pd.DataFrame
    imputer: MAEImputer
    missing: np.ndarray
    left: np.ndarray
    before: np.ndarray
    after: np.ndarray
    layout: Layout | None

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the model knows of the columns."""
        return self.imputer.schema_.columns

    @property
    def timeline(self) -> Timeline | None:
        """How the rows lie in time, None for a table."""
        return self.imputer.timeline_

    def modelled(self) -> list[int]:
        """Return the places of the columns that the model sees."""
        return [j for j, c in enumerate(self.columns) if not c.free_text and c.n_observed]

    def in_time(self) -> np.ndarray:
        """Return (n,) places of the rows, series by series in order of time."""
        if self.layout is None:
            return np.arange(len(self.frame))
        return np.lexsort((self.layout.position, self.layout.series))


def fill_table(frame: pd.DataFrame, imputer: MAEImputer) -> Filled:
    """Return a frame filled by a clone of `imputer` that is fitted to it."""
    fitted = clone(imputer).fit(frame)
    filled = fitted.transform(frame)
    timeline = fitted.timeline_
    before, missing = natural(frame, fitted)
    after, left = natural(filled, fitted)
    layout = None if timeline is None else lay_out(frame, timeline)
    return Filled(frame, filled, fitted, missing, left, before, after, layout)


def natural(frame: pd.DataFrame, fitted: MAEImputer) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, F) cells as in `Filled.before`, and which are missing."""
    encoded = encode_checked(frame, fitted.schema_, fitted.missing_values)
    missing = missing_cells(encoded.observed, encoded.free_text)
    return np.where(encoded.observed, from_origins(encoded.values, fitted.schema_), np.nan), missing


@contextmanager
def told_before() -> Iterator[None]:
    """Run a block without warnings of the imputer, which the fit to the whole table has given."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", TOLD)
        yield


def zone_of(column: Column) -> str:
    """Return what is written behind a time, which is told in UTC, of a column that has a zone."""
    return " UTC" if column.temporal == "datetime" and "," in column.dtype else ""


def spelled(value: Any, column: Column) -> str:
    """Return a number as from `natural` as short text; dates and levels as what they are."""
    if not np.isfinite(value):
        return "none"
    if column.kind == "category":
        return str(column.levels[int(value)]) if value < len(column.levels) else "another level"
    if column.temporal == "timedelta":
        return str(pd.Timedelta(value, unit="s").round("s"))
    if column.temporal:
        stamp = pd.Timestamp(value, unit="s").round("s")
        return str(stamp.date() if stamp == stamp.normalize() else stamp) + zone_of(column)
    if column.origin:
        return str(round(value) + column.origin)
    if column.lower < column.upper and abs(value) < NOTHING * column.scale:
        return "0"
    if float(value).is_integer() and abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:.{_digits(value, column)}g}"


def _digits(value: float, column: Column) -> int:
    """Return how many digits tell a number from others of its column, 4 at least."""
    if not column.lower < column.upper:
        return 4
    return min(15, max(4, int(np.ceil(np.log10(abs(value) / column.scale))) + 2))
