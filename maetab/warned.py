"""What fit says: columns of which little can be learned, times not used, networks left out."""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from maetab.data.schema import MAX_LEVELS, Column, Schema

if TYPE_CHECKING:
    from maetab.base import BaseMAE

OURS = ("maetab", "sklearn")  # packages that a warning does not point into
MAX_SAID = 10  # columns that one warning names
TIMES = (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)


def check_free_text(schema: Schema, observed: np.ndarray, name: str) -> None:
    """Raise a ValueError if nothing is observed but free text and identifiers.

    Parameters
    ----------
    observed : (n, F) bool, as from `encode`
    name : of the estimator
    """
    free = _free_text(schema)
    if free and not observed.any():
        raise ValueError(
            f"{name} cannot learn from X: only columns of free text or identifiers have observed "
            f"cells. {_advice(free)}."
        )


def warn_of_columns(schema: Schema, observed: np.ndarray, name: str) -> None:
    """Say once which columns the model does not see, and of which little can be learned.

    Parameters
    ----------
    observed : (n, F) bool, as from `encode`
    name : of the estimator
    """
    noted = map(_note, schema.columns, observed.T)
    said = [f"column {c.name!r} {note}" for c, note in zip(schema.columns, noted) if note]
    if len(said) > MAX_SAID:
        said[MAX_SAID:] = [f"so it is with {len(said) - MAX_SAID} more columns"]
    free = _free_text(schema)
    if free:
        listed = ", ".join(f"{c.name!r} ({c.free_text} different)" for c in free[:MAX_SAID])
        more = f" and {len(free) - MAX_SAID} more columns" if len(free) > MAX_SAID else ""
        said.append(
            f"free text and identifiers are left as they are, and the model does not see them: "
            f"{listed}{more}. {_advice(free)}"
        )
    if said:
        _warn(f"{name}: {'; '.join(said)}.")


def warn_of_index(index: pd.Index, name: str) -> None:
    """Say that times in the index of a frame are not used."""
    levels = index.levels if isinstance(index, pd.MultiIndex) else [index]
    if any(isinstance(level, TIMES) for level in levels):
        _warn(
            f"{name}: rows are taken as independent of each other, and the times in the index of X "
            f"are not used. Where they matter, make them a column, by X.reset_index()."
        )


def warn_of_networks(estimator: BaseMAE) -> None:
    """Say it if `max_time` was too short for the networks that were asked for."""
    asked, n_columns = estimator.n_estimators, len(estimator.schema_.columns)
    n_begun = len({record["network"] for record in estimator.history_})
    if estimator.max_iter == 0 or n_begun == asked:
        return
    trained = f"{n_begun} of {asked} networks were" if n_begun else "no network was"
    used = "these" if n_begun else "the first guess alone"
    _warn(
        f"{type(estimator).__name__}: within max_time={estimator.max_time:g} s {trained} trained "
        f"({n_columns} columns); {used} will be used. A larger max_time lets more networks train; "
        f"max_iter=0 leaves them out without this warning."
    )


def _note(column: Column, seen: np.ndarray) -> str | None:
    n_levels = len([count for count in column.counts if count])
    if column.free_text:
        return None
    if not seen.any():
        return "has no observed cell to learn from"
    if n_levels > MAX_LEVELS:
        return f"has {n_levels} levels; the {column.n_modelled} most frequent are told apart"
    if len(seen) > 2 and (column.lower == column.upper if not n_levels else n_levels < 2):
        return "is constant"
    return None


def _free_text(schema: Schema) -> list[Column]:
    return [column for column in schema.columns if column.free_text]


def _advice(free: list[Column]) -> str:
    listed = ", ".join(repr(column.name) for column in free[:MAX_SAID])
    more = ", ..." if len(free) > MAX_SAID else ""
    return f"What is a category after all is to be named: categorical_features=[{listed}{more}]"


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=_depth())


def _depth() -> int:
    """Return the stacklevel at which a warning points to the caller of the package."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _package_of(frame) in OURS:
        depth, frame = depth + 1, frame.f_back
    return depth


def _package_of(frame: FrameType) -> str:
    """Return the package of the code of a frame, "" where it has no name, as in exec."""
    return str(frame.f_globals.get("__name__", "")).split(".")[0]
