"""What the columns of a table are, and whether another table has the same."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.cells import Cells
from maetab.data.columns import Column
from maetab.data.containers import refuse_duplicates
from maetab.data.kinds import SPOKEN, extra_missing
from maetab.data.tally import tally_of


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in order."""

    columns: tuple[Column, ...]

    def names(self) -> list[Hashable]:
        """Labels of the columns."""
        return [column.name for column in self.columns]

    def n_modelled(self) -> tuple[int, ...]:
        """Levels of each column that are told apart; 0 for numbers."""
        return tuple(column.n_modelled for column in self.columns)

    def is_number(self) -> np.ndarray:
        """Return (F,) bool: True for numbers, False for categories."""
        return np.array([column.kind == "number" for column in self.columns])

    def is_free_text(self) -> np.ndarray:
        """Return (F,) bool: True for free text and identifiers, which the model does not see."""
        return np.array([column.free_text > 0 for column in self.columns])

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads, as plain JSON values."""
        return {"columns": [column.to_dict() for column in self.columns]}

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> Schema:
        """Rebuild the schema that `to_dict` wrote."""
        return cls(tuple(map(Column.from_dict, written["columns"])))

    def as_before(self, before: Schema) -> Schema:
        """Return the same with levels as they were before; see `Column.as_before`."""
        check_names(pd.Index(self.names(), tupleize_cols=False), before)
        pairs = zip(self.columns, before.columns, strict=True)
        return Schema(tuple(column.as_before(was) for column, was in pairs))


def infer_schema(
    frame: pd.DataFrame,
    categorical_features: Any = "auto",
    missing_values: Any = np.nan,
    estimator_name: str = "MAEImputer",
) -> Schema:
    """Return the kinds, levels and scales of the columns of a frame.

    Parameters
    ----------
    frame : as given by `read_frame`.
    categorical_features : "auto", a list of column names or positions, or a mask of the columns
        Columns that are categories besides those that are so by dtype: category, text, boolean.
        Text that is named here is never free text.
    missing_values : scalar or list of scalars
        Values that count as missing besides NaN, None, NA and NaT.
    estimator_name : named in errors about parameters.

    Raises
    ------
    TypeError, ValueError
        Naming the column, what it holds and what would do.
    """
    refuse_duplicates(frame.columns)
    chosen = positions(categorical_features, frame.columns, estimator_name)
    extra = extra_missing(missing_values)
    cells = (Cells(frame.iloc[:, place], extra) for place in range(frame.shape[1]))
    return Schema(tuple(tally_of(one, extra, i in chosen).infer() for i, one in enumerate(cells)))


def positions(chosen: Any, columns: pd.Index, estimator_name: str) -> set[int]:
    """Return the positions of the columns that the user calls categories."""
    if chosen is None or (isinstance(chosen, str) and chosen == "auto"):
        return set()
    if isinstance(chosen, str) or not isinstance(chosen, Iterable):
        raise ValueError(
            f"The 'categorical_features' parameter of {estimator_name} must be 'auto' or a list "
            f"of column names or positions, got {chosen!r}."
        )
    chosen = list(chosen)
    is_mask = [isinstance(name, (bool, np.bool_)) for name in chosen]
    if any(is_mask):  # True is not the column 1
        if not all(is_mask) or len(chosen) != len(columns):
            raise ValueError(
                f"The 'categorical_features' parameter of {estimator_name} must have True or False "
                f"for each of the {len(columns)} columns, or none, got {chosen!r}."
            )
        return set(np.flatnonzero(chosen).tolist())
    places = {name: position for position, name in enumerate(columns)}
    found = set()
    for name in chosen:
        if isinstance(name, Hashable) and name in places:
            found.add(places[name])
        elif isinstance(name, (int, np.integer)) and -len(columns) <= name < len(columns):
            found.add(int(name) % len(columns))
        else:
            raise ValueError(
                f"The 'categorical_features' parameter of {estimator_name} names {name!r}, which "
                f"is not a column of X; its columns are {first_of(columns)}."
            )
    return found


def check_kind(cells: Cells, column: Column) -> None:
    """Raise a ValueError if a column holds another kind of cell than in fit."""
    if not cells.words or not column.words:
        return
    is_category = cells.dtype_word == "category"
    same_words = cells.words <= column.words and not is_category
    agrees = bool(cells.words & column.words) if column.kind == "category" else same_words
    if agrees:
        return
    was = " or ".join(SPOKEN[word] for word in sorted(column.words))
    now = "a category of " if is_category else ""
    now += " and ".join(SPOKEN[word] for word in sorted(cells.words))
    odd = cells.first_other_than(column.words)
    raise ValueError(
        f"column {column.name!r} was {was} in fit ({column.dtype}) and is now {now} "
        f"({cells.dtype}), such as {odd!r}; convert it to {column.dtype}, or name values that "
        f"stand for a missing cell in missing_values."
    )


def check_zone(cells: Cells, column: Column) -> None:
    """Raise a ValueError if dates had a time zone in fit and have none now, or the reverse."""
    now, was = str(cells.dtype), column.dtype
    both = all(text.startswith(("datetime64", "timestamp")) for text in (now, was))
    if both and cells.observed.any() and (", " in now) != (", " in was):
        raise ValueError(
            f"column {column.name!r} was {was} in fit and is now {now}; both need a time zone or "
            f"neither: see pandas.Series.dt.tz_localize and tz_convert."
        )


def check_names(columns: pd.Index, schema: Schema) -> None:
    """Raise a ValueError unless the columns are those of fit, in order."""
    refuse_duplicates(columns)
    now, fitted = list(columns), schema.names()
    if now == fitted:
        return
    unexpected = [name for name in now if name not in set(fitted)]
    missing = [name for name in fitted if name not in set(now)]
    message = "The feature names should match those that were passed during fit.\n"
    if unexpected:
        message += f"Feature names unseen at fit time:\n{_bullets(unexpected)}"
    if missing:
        message += f"Feature names seen at fit time, yet now missing:\n{_bullets(missing)}"
    if not unexpected and not missing:
        message += "Feature names must be in the same order as they were in fit.\n"
    raise ValueError(message)


def _bullets(names: Sequence) -> str:
    more = "- ...\n" if len(names) > 5 else ""
    return "".join(f"- {name}\n" for name in names[:5]) + more


def first_of(names: Iterable) -> str:
    """Return the first ten names, and dots where there are more."""
    listed = list(names)
    return ", ".join(map(repr, listed[:10])) + (", ..." if len(listed) > 10 else "")
