"""What fit says: columns of which little can be learned, times not used, networks left out."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from maetab.data.kinds import extra_missing
from maetab.data.schema import MAX_LEVELS, Column
from maetab.data.text import Almost, almost_of, marks_in, undeclared_text

if TYPE_CHECKING:
    from maetab.base import BaseMAE

OURS = ("maetab", "sklearn")  # packages that a warning does not point into
MAX_SAID, MAX_SHOWN = 10, 3  # columns that one warning names; texts of one column
TIMES = (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)


def check_free_text(estimator: BaseMAE, frame: pd.DataFrame, observed: np.ndarray) -> None:
    """Raise a ValueError if nothing is observed but free text and identifiers.

    Parameters
    ----------
    frame : (n, F), as in fit
    observed : (n, F) bool, as from `encode`
    """
    if observed.any() or not any(column.free_text for column in estimator.schema_.columns):
        return
    told = _told_of(estimator, frame, {})
    raise ValueError(
        f"{type(estimator).__name__} cannot learn from X: only columns of free text or identifiers "
        f"have observed cells; {'; '.join(told)}."
    )


def warn_of_columns(estimator: BaseMAE, frame: pd.DataFrame, observed: np.ndarray) -> None:
    """Say once which columns the model does not see, and of which little can be learned.

    Parameters
    ----------
    frame : (n, F), as in fit
    observed : (n, F) bool, as from `encode`
    """
    columns = estimator.schema_.columns
    noted = {c.name: note for c, seen in zip(columns, observed.T) if (note := _note(c, seen))}
    said = _told_of(estimator, frame, noted)
    if said:
        _warn(f"{type(estimator).__name__}: {'; '.join(said)}.")


def _told_of(estimator: BaseMAE, frame: pd.DataFrame, noted: dict[Hashable, str]) -> list[str]:
    """Return what is noted of columns, and to be said of text that may be no category."""
    almost: dict[Hashable, str] = {}
    marked: dict[Hashable, list[str]] = {}
    free: dict[Hashable, str] = {}
    extra = extra_missing(estimator.missing_values)
    for place in undeclared_text(frame, estimator.schema_, estimator.categorical_features):
        column = estimator.schema_.columns[place]
        found = almost_of(frame.iloc[:, place], column, extra)
        if found:
            almost[column.name] = _almost(found, column)
        elif column.free_text:
            free[column.name] = f"{column.name!r} ({column.free_text} different)"
        texts = column.levels if found is None else [] if found.written else found.others
        if marks := marks_in(texts):
            marked[column.name] = marks
    said = _listed(noted | almost)
    if marked:
        shown = [f"{_quoted(marks)} in column {name!r}" for name, marks in marked.items()]
        marks = [*dict.fromkeys(mark for marks in marked.values() for mark in marks)]
        said.append(
            f"usual marks of missing are taken as text: {_first(shown, 'columns')}; pass "
            f"missing_values={[*extra, *marks]!r} where they mean missing"
        )
    if free:
        said.append(
            f"free text and identifiers are left as they are, and the model does not see them: "
            f"{_first([*free.values()], 'columns')}"
        )
    if names := list(dict.fromkeys([*almost, *marked, *free])):
        more = ", ..." if len(names) > MAX_SAID else ""
        listed = ", ".join(map(repr, names[:MAX_SAID])) + more
        said[-1] += (
            f". What is a category after all is to be named: categorical_features=[{listed}]"
        )
    return said


def _almost(found: Almost, column: Column) -> str:
    """Say that a column of text is almost of another kind, and how it becomes so."""
    how = {"numbers": "pandas.to_numeric(column", "dates": "pandas.to_datetime(column"}[found.kind]
    how += ", format='ISO8601'" * (found.kind == "dates")
    unseen = "free text, which the model does not see" if column.free_text else "text"
    note = f"is {unseen}, but {found.share:.0%} of its cells are {found.kind}; convert it by {how}"
    if not found.others:
        return f"{note})"
    note += f", errors='coerce'), which makes {_quoted(found.others)} missing"
    return note + ", or name that in missing_values" * (not found.written)


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


def _listed(notes: dict) -> list[str]:
    """Return what is noted of columns, as parts of one sentence; of a few where they are many."""
    said = [f"column {name!r} {note}" for name, note in notes.items()]
    if len(said) > MAX_SAID:
        said[MAX_SAID:] = [f"so it is with {len(said) - MAX_SAID} more columns"]
    return said


def _first(shown: list[str], what: str) -> str:
    more = f" and {len(shown) - MAX_SAID} more {what}" if len(shown) > MAX_SAID else ""
    return ", ".join(shown[:MAX_SAID]) + more


def _quoted(texts: list) -> str:
    """Return a few texts in quotes, and how many more there are."""
    n_more = len(texts) - MAX_SHOWN
    more = f" and {n_more} other text{'s' * (n_more > 1)}" if n_more > 0 else ""
    return ", ".join(map(repr, texts[:MAX_SHOWN])) + more


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
