"""What users should know of a table: columns of which little can be learned, times not used."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable

import numpy as np
import pandas as pd

from maetab.data.cells import is_undeclared
from maetab.data.columns import MAX_LEVELS, Column
from maetab.data.source import FrameSource
from maetab.data.text import Almost, almost_of, limit_in, marks_in

OURS = ("maetab", "sklearn")  # packages that a warning does not point into
MAX_NAMED, MAX_SHOWN = 10, 3  # columns that one warning names; texts of one column
TIME_INDEXES = (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)


def advise(source: FrameSource, name: str, in_time: bool = False, has_target: bool = False) -> None:
    """Warn of columns that the model does not see or can learn little from, and of unused times.

    Parameters
    ----------
    source : the rows given to fit
    name : of the estimator
    in_time : whether rows are taken as series
    has_target : whether the last column is y, which the user knows by no name

    Raises
    ------
    ValueError
        Nothing is observed but free text, identifiers, times and groups.
    """
    if source.encoded.free_text and not source.encoded.observed.any():
        only = f"only columns of {_unseen(source)} have observed cells"
        told = "; ".join([only, *_advice(source, {})])
        raise ValueError(f"{name} cannot learn from X: {told}.")
    columns = source.schema().columns
    notes = {c.name: _note(c, seen) for c, seen in zip(columns, source.encoded.observed.T)}
    of_target = notes.pop(columns[-1].name) if has_target else None
    advice = _advice(source, {label: note for label, note in notes.items() if note})
    advice += [f"y {of_target}"] * bool(of_target)
    if advice:
        warn(f"{name}: {'; '.join(advice)}.")
    index = source.frame.index
    levels = index.levels if isinstance(index, pd.MultiIndex) else [index]
    if not in_time and any(isinstance(level, TIME_INDEXES) for level in levels):
        warn(
            f"{name}: rows are taken as independent of each other, and the times in the index of X "
            f"are not used. Where rows follow each other in time, pass window='auto'; where times "
            f"matter to single rows, make them a column, by X.reset_index()."
        )


def _advice(source: FrameSource, noted: dict[Hashable, str]) -> list[str]:
    """Return what is noted of columns, and what is to do with text that may be no category."""
    almost: dict[Hashable, str] = {}
    marked: dict[Hashable, list[str]] = {}
    free: dict[Hashable, str] = {}
    for place, column in enumerate(source.schema().columns):
        series = source.frame.iloc[:, place]
        declared = place in source.chosen or not is_undeclared(series.dtype, column.name)
        if declared or column.kind == "number" or column.key:
            continue
        given = source.encoded.free_text.get(place, slice(None))
        found = almost_of(series, column, given)
        if found:
            almost[column.name] = _almost(found, column)
        elif column.free_text:
            free[column.name] = f"{column.name!r} ({column.free_text} different)"
        texts = column.levels if found is None else [] if found.written else found.others
        if marks := marks_in(texts):
            marked[column.name] = marks
    parts = _listed(noted | almost)
    if marked:
        shown = [f"{_quoted(marks)} in column {name!r}" for name, marks in marked.items()]
        values = [
            *source.extra,
            *dict.fromkeys(mark for marks in marked.values() for mark in marks),
        ]
        parts.append(
            f"usual marks of missing are taken as text: {listed(shown)}; pass "
            f"missing_values={values!r} where they mean missing"
        )
    if free:
        parts.append(
            f"free text and identifiers are left as they are, and the model does not see them: "
            f"{listed([*free.values()])}"
        )
    if names := list(dict.fromkeys([*almost, *marked, *free])):
        named = ", ".join(map(repr, names[:MAX_NAMED])) + ", ..." * (len(names) > MAX_NAMED)
        parts[-1] += f". To make categories of them, pass categorical_features=[{named}]"
        if free:
            parts[-1] += ', or numbers, see the how-to "Text with many different values"'
    return parts


def _unseen(source: FrameSource) -> str:
    """Return what those columns are that the model does not see."""
    keys = [c.key for c in source.schema().columns if c.free_text]
    kinds = ["free text or identifiers"] * (not all(keys)) + ["time or groups"] * any(keys)
    return ", ".join(kinds)


def _almost(found: Almost, column: Column) -> str:
    """Return that a column of text is almost of another kind, and how it becomes so."""
    how = {"numbers": "pandas.to_numeric(column", "dates": "pandas.to_datetime(column"}[found.kind]
    how += ", format='ISO8601'" * (found.kind == "dates")
    unseen = "free text, which the model does not see" if column.free_text else "text"
    note = f"is {unseen}, but {found.share:.0%} of its cells are {found.kind}; convert it by {how}"
    if not found.others:
        return f"{note})"
    note += f", errors='coerce'), which makes {_quoted(found.others)} missing"
    return note + ", or name that in missing_values" * (not found.written) + limit_in(found.others)


def _note(column: Column, observed: np.ndarray) -> str | None:
    n_levels = len([count for count in column.counts if count])
    if column.free_text:
        return None
    if not observed.any():
        return "has no observed cell to learn from"
    if n_levels > MAX_LEVELS:
        return f"has {n_levels} levels; the {column.n_modelled} most frequent are told apart"
    if len(observed) > 2 and (column.lower == column.upper if not n_levels else n_levels < 2):
        return "is constant"
    return None


def _listed(notes: dict) -> list[str]:
    """Return what is noted of columns, as parts of one sentence; of a few where they are many."""
    parts = [f"column {name!r} {note}" for name, note in notes.items()]
    if len(parts) > MAX_NAMED:
        parts[MAX_NAMED:] = [f"so it is with {len(parts) - MAX_NAMED} more columns"]
    return parts


def listed(shown: list[str]) -> str:
    """Return texts one after the other, and how many more columns there are."""
    more = f" and {len(shown) - MAX_NAMED} more columns" if len(shown) > MAX_NAMED else ""
    return ", ".join(shown[:MAX_NAMED]) + more


def _quoted(texts: list) -> str:
    """Return a few texts in quotes, and how many more there are."""
    n_more = len(texts) - MAX_SHOWN
    more = f" and {n_more} other text{'s' * (n_more > 1)}" if n_more > 0 else ""
    return ", ".join(map(repr, texts[:MAX_SHOWN])) + more


def warn(text: str) -> None:
    """Warn the caller of the package, wherever in it the warning arises."""
    warnings.warn(text, UserWarning, stacklevel=_depth())


def _depth() -> int:
    """Return the stacklevel at which a warning points to the caller of the package."""
    depth, frame = 1, sys._getframe(1)  # a frame has no name in exec
    while frame.f_back and str(frame.f_globals.get("__name__", "")).split(".")[0] in OURS:
        depth, frame = depth + 1, frame.f_back
    return depth
