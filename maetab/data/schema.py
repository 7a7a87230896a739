"""What the columns of a table are: kinds, levels, centers and scales."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.cells import Cells
from maetab.data.containers import refuse_duplicates
from maetab.data.grid import move
from maetab.data.kinds import SPOKEN, extra_missing, same, word_of
from maetab.data.labels import read_label, write_label

FEW = 32  # distinct numbers of a column up to which all are kept
MAX_LEVELS = 64  # levels of a category that are told apart; rarer ones share a token
FREE_TEXT, FREE_TEXT_SHARE = 20, 0.5  # text with more different cells than both is no category
SINGLE = 4e-7  # what single precision cannot tell apart, in standard deviations


@dataclass(frozen=True)
class Column:
    """One column as it was in fit.

    Parameters
    ----------
    name : label of the column in the frame.
    kind : "number" or "category"
        Booleans and text are categories; dates and durations are numbers.
    dtype : str(dtype) in the fitted frame.
    levels : every level known in fit, most frequent first; () for a number.
    counts : how often each level was seen, in the order of `levels`.
    order : places in `levels`, ascending, of an ordered category or a boolean; () for all others.
    center, scale : mean and standard deviation of the observed numbers; 0 and 1 for a category.
        `scale` is 1 for a constant or empty column, and always finite and positive.
    lower, upper : smallest and largest observed number; dates in seconds since 1970 in UTC,
        durations in seconds.
    distinct : the observed numbers, ascending, if they are few; else the smallest and the largest.
    integer : True where the dtype holds whole numbers only.
    n_observed : number of observed cells.
    temporal : None, "datetime" or "timedelta".
    step : step of the grid that the observed numbers lie on: 1 for whole numbers, 0.01 for two
        decimals, 86400 for whole days; None where there is none.
    origin : whole number which center, lower, upper and distinct are counted from. Not 0 only in
        columns of whole numbers beyond 2**53, which float64 cannot tell apart.
    decimals : decimals of a column of decimal.Decimal, None for all others.
    free_text : how many different values the column holds if it is free text or an identifier,
        which the model does not see; 0 for all others.
    """

    name: Hashable
    kind: str
    dtype: str
    levels: tuple = ()
    counts: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    lower: float = 0.0
    upper: float = 0.0
    distinct: tuple[float, ...] = ()
    integer: bool = False
    n_observed: int = 0
    temporal: str | None = None
    step: float | None = None
    origin: int = 0
    decimals: int | None = None
    free_text: int = 0

    @property
    def words(self) -> frozenset[str]:
        """Kinds of cell this column held in fit (keys of `SPOKEN`); empty if it held none."""
        if self.kind == "number":
            return frozenset({self.temporal or "number"})
        if self.free_text:
            return frozenset({"text", "number", "boolean"} if self.dtype == "object" else {"text"})
        return frozenset(word_of(type(level)) or "" for level in self.levels)

    @property
    def n_modelled(self) -> int:
        """Levels that are told apart: seen at least twice, at most `MAX_LEVELS`; 0 for a number.

        1 where no level is seen twice.
        """
        if self.kind == "number":
            return 0
        return max(1, min(MAX_LEVELS, sum(count > 1 for count in self.counts)))

    def natural(self, values: np.ndarray) -> np.ndarray:
        """Return (n,) numbers, less `origin`, in their own unit from (n,) as encoded.

        Codes come back as they are.

        Models compute in single precision. What that cannot tell from an observed number is that
        number, where the observed ones are few, and the smallest or largest elsewhere.
        """
        limit = np.finfo(np.float64).max
        with np.errstate(over="ignore", invalid="ignore"):
            natural = np.clip(values * self.scale + self.center, -limit, limit)
            if not self.distinct:
                return natural
            known = np.array(self.distinct)
            after = np.searchsorted(known, natural)
            ends = known[np.clip([after - 1, after], 0, len(known) - 1)]  # (2, n)
            apart = np.abs(ends - natural)
            equal = apart.min(0) <= SINGLE * self.scale * (1 + np.abs(values))
        return np.where(equal, np.where(apart[0] <= apart[1], *ends), natural)

    def on_grid(self, natural: np.ndarray, how: str = "round") -> np.ndarray:
        """Return (n,) numbers, as from `natural`, moved to the column's grid, if it has one.

        What is inside [lower, upper] stays there, off the grid only where no point of it is inside.

        Parameters
        ----------
        how : "round" to the nearest point, "floor" or "ceil"
        """
        if not natural.size:
            return natural
        step = 1.0 if self.integer else self.step
        moved = move(natural, step, self.dtype, how)
        if how == "round":
            for beyond, back in ((moved > self.upper, "floor"), (moved < self.lower, "ceil")):
                if beyond.any():
                    moved = np.where(beyond, move(natural, step, self.dtype, back), moved)
        inside, was_inside = ((self.lower <= x) & (x <= self.upper) for x in (moved, natural))
        return np.where(was_inside & ~inside, natural, moved)


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
        return {"columns": [_column_to_dict(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> Schema:
        """Rebuild the schema that `to_dict` wrote."""
        return cls(tuple(_column_from_dict(column) for column in written["columns"]))


def _column_to_dict(column: Column) -> dict[str, Any]:
    written = asdict(column)
    written["distinct"] = list(column.distinct)
    written["name"] = write_label(column.name)
    written["levels"] = [write_label(level) for level in column.levels]
    written["counts"], written["order"] = list(column.counts), list(column.order)
    return written


def _column_from_dict(written: dict[str, Any]) -> Column:
    read = dict(written)
    read["name"] = read_label(written["name"])
    read["levels"] = tuple(read_label(level) for level in written["levels"])
    read["counts"], read["order"] = tuple(written["counts"]), tuple(written.get("order", ()))
    read["distinct"] = tuple(written["distinct"])
    return Column(**read)


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
    categorical_features : "auto" or a list of column names or positions
        Columns that are categories besides those that are so by dtype: category, text, boolean.
        Text that is named here is never free text.
    missing_values : scalar or list of scalars
        Values that count as missing besides NaN, None, NA and NaT.
    estimator_name : named in errors about parameters.

    Raises
    ------
    TypeError, ValueError
        Naming the column, what it holds and what would do.

    Examples
    --------
    >>> frame = pd.DataFrame({"age": [30.0, None, 50.0], "city": ["Bonn", "Ulm", "Bonn"]})
    >>> [(column.name, column.kind, column.levels) for column in infer_schema(frame).columns]
    [('age', 'number', ()), ('city', 'category', ('Bonn', 'Ulm'))]
    """
    refuse_duplicates(frame.columns)
    chosen = positions(categorical_features, frame.columns, estimator_name)
    extra = extra_missing(missing_values)
    cells = (Cells(frame.iloc[:, place], extra) for place in range(frame.shape[1]))
    return Schema(tuple(infer_column(one, extra, i in chosen) for i, one in enumerate(cells)))


def infer_column(cells: Cells, extra: list, chosen: bool) -> Column:
    """Return what the cells of a column suggest that it is.

    Parameters
    ----------
    extra : values that count as missing, see `extra_missing`
    chosen : True where the user calls the column a category
    """
    if cells.kind == "number" and not chosen:
        return _number_column(cells)
    return _category_column(cells, extra, chosen)


def positions(chosen: Any, columns: pd.Index, estimator_name: str) -> set[int]:
    """Return the positions of the columns that the user calls categories."""
    if chosen is None or (isinstance(chosen, str) and chosen == "auto"):
        return set()
    if isinstance(chosen, str) or not isinstance(chosen, Iterable):
        raise ValueError(
            f"The 'categorical_features' parameter of {estimator_name} must be 'auto' or a list "
            f"of column names or positions, got {chosen!r}."
        )
    places = {name: position for position, name in enumerate(columns)}
    found = set()
    for name in chosen:
        if name in places:
            found.add(places[name])
        elif isinstance(name, (int, np.integer)) and -len(columns) <= name < len(columns):
            found.add(int(name) % len(columns))
        else:
            raise ValueError(
                f"The 'categorical_features' parameter of {estimator_name} names {name!r}, which "
                f"is not a column of X; its columns are {_listed(columns)}."
            )
    return found


def _number_column(cells: Cells) -> Column:
    origin, step = cells.origin, cells.step
    numbers = cells.numbers(origin)[cells.observed]
    center, scale = center_and_scale(numbers)
    # Onto the grid, for 0.1 in single precision is next to 0.1 only.
    distinct = move(np.unique(numbers), step, str(cells.dtype), "round")
    ends = distinct[[0, -1]] if distinct.size else np.zeros(2)
    return Column(
        name=cells.name,
        kind="number",
        dtype="object" if cells.decimals is not None else str(cells.dtype),
        center=center,
        scale=scale,
        lower=float(ends[0]),
        upper=float(ends[1]),
        distinct=tuple((ends if len(distinct) > FEW else distinct).tolist()),
        integer=cells.integer,
        n_observed=int(numbers.size),
        temporal=cells.temporal,
        step=step,
        origin=origin,
        decimals=cells.decimals,
    )


def _category_column(cells: Cells, extra: list, named: bool) -> Column:
    codes, values = cells.factors
    seen = np.bincount(codes[cells.observed], minlength=len(values))
    n_observed, n_different = int(cells.observed.sum()), int((seen > 0).sum())
    told_by_few = n_different <= max(FREE_TEXT, n_observed * FREE_TEXT_SHARE)
    if cells.may_be_free_text and not named and not told_by_few:
        return Column(
            name=cells.name,
            kind="category",
            dtype=str(cells.dtype),
            n_observed=n_observed,
            free_text=n_different,
        )
    ascends = cells.dtype_word == "boolean" or getattr(cells.dtype, "ordered", False)
    if cells.dtype_word == "category":
        kept = [i for i, v in enumerate(values) if seen[i] or not any(same(v, e) for e in extra)]
        kept.sort(key=lambda i: -seen[i])
    else:
        kept = [i for i in range(len(values)) if seen[i] or cells.dtype_word == "boolean"]
        kept.sort(key=lambda i: (-seen[i], str(values[i])))
    return Column(
        name=cells.name,
        kind="category",
        dtype=str(cells.dtype),
        levels=tuple(values[i] for i in kept),
        counts=tuple(int(seen[i]) for i in kept),
        order=tuple(np.argsort(kept).tolist()) if ascends else (),
        n_observed=n_observed,
    )


def center_and_scale(numbers: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of finite float64 numbers; (0, 1) where there are none.

    The numbers are divided by a power of two first, so that squares of huge or tiny ones neither
    overflow nor vanish. The scale of a constant is 1.
    """
    if not numbers.size:
        return 0.0, 1.0
    if numbers.min() == numbers.max():
        return float(numbers[0]), 1.0
    exponent = int(np.frexp(np.abs(numbers).max())[1])
    small = np.ldexp(numbers, -exponent)
    mean = small.mean()
    spread = np.sqrt(np.mean((small - mean) ** 2)) or np.abs(small - mean).max()
    scale = float(np.ldexp(spread, exponent))
    return float(np.ldexp(mean, exponent)), scale if 0.0 < scale < np.inf else 1.0


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


def _listed(names: Iterable) -> str:
    listed = list(names)
    return ", ".join(map(repr, listed[:10])) + (", ..." if len(listed) > 10 else "")
