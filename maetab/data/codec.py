"""Frame to numbers and back: encode, decode, and fill, which changes no observed cell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from maetab.data.containers import (
    PER_SECOND,
    SPOKEN,
    Back,
    as_float,
    extra_missing,
    factorize_objects,
    python_scalar,
    read_floats,
    read_frame,
    refuse_odd_objects,
    same,
    word_of,
    word_of_dtype,
)

if TYPE_CHECKING:  # schema reads its columns through Cells
    from maetab.data.schema import Column, Schema

__all__ = ["Back", "Cells", "check_kind", "decode", "encode", "fill", "read_frame", "to_natural"]


class Cells:
    """The cells of one column: which are observed, and what they hold.

    Parameters
    ----------
    series : the column.
    extra : values which count as missing besides NaN, None, NA and NaT (see `extra_missing`).
    """

    def __init__(self, series: pd.Series, extra: Sequence = ()) -> None:
        self.series, self.name, self.dtype = series, series.name, series.dtype
        self.dtype_word = word_of_dtype(series.dtype, series.name)
        given = series.notna().to_numpy()
        if self.dtype_word in ("number", "datetime", "timedelta"):
            self._floats = read_floats(series, self.dtype_word)
            given = given & ~np.isnan(self._floats)
            for value in extra:
                given = given & (self._floats != as_float(value, self.dtype_word))
        elif self.dtype == object:
            refuse_odd_objects(series, given)
        self.observed: np.ndarray = given
        if extra and self.dtype_word in ("any", "category", "text"):
            self.observed = given & self._differ_from(extra)

    def _differ_from(self, extra: Sequence) -> np.ndarray:
        codes, values = self.factors
        is_extra = np.array([any(same(value, other) for other in extra) for value in values], bool)
        return ~np.append(is_extra, True)[codes]

    def first_other_than(self, words: frozenset[str]) -> Any:
        """First observed cell that is none of these words, or else the first observed one."""
        cells = self.series[self.observed].astype(object)
        return next((cell for cell in cells if word_of(type(cell)) not in words), cells.iloc[0])

    @cached_property
    def words(self) -> frozenset[str]:
        """Kinds of the observed cells, as keys of `SPOKEN`."""
        if not self.observed.any():
            return frozenset()
        if self.dtype_word == "any":
            types = set(map(type, self.series.to_numpy(dtype=object)[self.observed]))
        elif self.dtype_word == "category":
            types = {type(value) for value in self.series.cat.categories}
        else:
            return frozenset({self.dtype_word})
        return frozenset(word_of(cell_type) or "" for cell_type in types)

    @property
    def temporal(self) -> str | None:
        """ "datetime", "timedelta" or None."""
        return self.dtype_word if self.dtype_word in ("datetime", "timedelta") else None

    @property
    def kind(self) -> str:
        """ "number" or "category", by dtype and, for objects, by what the cells hold."""
        if self.dtype_word == "any":
            return "number" if self.words <= {"number"} else "category"
        return "number" if self.dtype_word == "number" or self.temporal else "category"

    @property
    def integer(self) -> bool:
        """True where the column can only hold whole numbers."""
        if self.dtype_word == "any":
            types = set(map(type, self.series.to_numpy(dtype=object)[self.observed]))
            return bool(types) and all(issubclass(t, (int, np.integer)) for t in types)
        return self.dtype_word == "number" and pd.api.types.is_integer_dtype(self.dtype)

    @cached_property
    def numbers(self) -> np.ndarray:
        """(n,) float64: the numbers, 0 where not observed; dates and durations in seconds."""
        floats = np.zeros(len(self.series))
        if self.dtype_word == "any":
            cells = self.series.to_numpy(dtype=object)[self.observed]
            try:
                floats[self.observed] = cells.astype(np.float64)
            except OverflowError:
                raise ValueError(
                    f"column {self.name!r}: holds a whole number too large for float64; "
                    f"give it as text or as a logarithm."
                ) from None
        else:
            floats[self.observed] = self._floats[self.observed]
        if np.isinf(floats).any():
            raise ValueError(
                f"Input X contains infinity in column {self.name!r} or a value too large for "
                f"float64; replace it by a finite number or by NaN for a missing cell."
            )
        return floats

    @cached_property
    def factors(self) -> tuple[np.ndarray, list]:
        """Codes (n,) int64, -1 where missing by nature, and the Python values they stand for."""
        if self.dtype_word == "category":
            values = [python_scalar(value) for value in self.series.cat.categories]
            return self.series.cat.codes.to_numpy(np.int64), values
        if self.dtype_word == "boolean":
            codes = self.series.to_numpy(dtype=np.float64, na_value=np.nan)
            return np.where(np.isnan(codes), -1, codes).astype(np.int64), [False, True]
        if self.dtype_word == "any":
            return factorize_objects(self.series.to_numpy(dtype=object))
        codes, distinct = pd.factorize(self.series)
        return codes.astype(np.int64), [python_scalar(value) for value in distinct]


def level_key(level: Any) -> tuple:
    """Key under which a level is looked up, so that True is not 1."""
    return (isinstance(level, bool), level)


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


def encode(
    frame: pd.DataFrame, schema: Schema, missing_values: Any = np.nan
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells as numbers, and which of them are observed.

    Parameters
    ----------
    frame : with the columns of `schema`, in order.
    missing_values : values that count as missing besides NaN, None, NA and NaT.

    Returns
    -------
    values : (n, F) float32
        Numbers centered and scaled; the position in `levels` of a category, or the number of
        levels for one that is not among them; 0 where not observed.
    observed : (n, F) bool

    Examples
    --------
    >>> from maetab.data.schema import infer_schema
    >>> frame = pd.DataFrame({"age": [30.0, None, 50.0], "city": ["Bonn", "Ulm", "Bonn"]})
    >>> values, observed = encode(frame, infer_schema(frame))
    >>> values.tolist()
    [[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    extra = extra_missing(missing_values)
    values = np.zeros(frame.shape, dtype=np.float32)
    observed = np.zeros(frame.shape, dtype=bool)
    for place, column in enumerate(schema.columns):
        cells = Cells(frame.iloc[:, place], extra)
        check_kind(cells, column)
        observed[:, place] = cells.observed
        if cells.observed.any():
            numbers = _scaled(cells, column) if column.kind == "number" else _codes(cells, column)
            values[:, place] = np.where(cells.observed, numbers, 0.0)
    return values, observed


def _scaled(cells: Cells, column: Column) -> np.ndarray:
    with np.errstate(over="ignore"):
        scaled = (cells.numbers - column.center) / column.scale
    limit = float(np.finfo(np.float32).max)
    return np.clip(scaled, -limit, limit)


def _codes(cells: Cells, column: Column) -> np.ndarray:
    """(n,) position of each cell in the levels of fit."""
    places = {level_key(level): place for place, level in enumerate(column.levels)}
    codes, values = cells.factors
    found = [places.get(level_key(value), len(column.levels)) for value in values]
    return np.array([*found, 0], dtype=np.float64)[codes]


def to_natural(values: np.ndarray, schema: Schema) -> np.ndarray:
    """Return (n, F) float64: numbers in their own unit (dates in seconds), codes as they are."""
    natural = np.array(values, dtype=np.float64)
    for place, column in enumerate(schema.columns):
        natural[:, place] = column.natural(natural[:, place])
    return natural


def decode(
    values: np.ndarray, observed: np.ndarray, schema: Schema, like: pd.DataFrame
) -> pd.DataFrame:
    """Return a frame made of numbers: the way back of `encode`.

    Parameters
    ----------
    values : (n, F) as from `encode`.
    observed : (n, F) bool
        Cells to write; the others are missing, as are codes that stand for no level.
    like : frame of n rows
        Gives index, column labels, dtypes and attrs. A NumPy integer or boolean column in which
        a cell is missing becomes nullable (Int64, boolean).
    """
    natural, frame = to_natural(values, schema), like.copy(deep=False)
    for place, column in enumerate(schema.columns):
        written = observed[:, place] & _is_a_value(natural[:, place], column)
        series = _able_to_hold(like.iloc[:, place], column, natural[written, place])
        array = _all_missing(series, may_be_missing=not written.all())
        array[written] = _restore(natural[written, place], column, array)
        frame.isetitem(place, _column(array, frame))
    return frame


def fill(
    frame: pd.DataFrame, values: np.ndarray, replace: np.ndarray, schema: Schema
) -> pd.DataFrame:
    """Return a copy of the frame in which some cells hold decoded values.

    Parameters
    ----------
    frame : left as it is.
    values : (n, F) as from `encode`.
    replace : (n, F) bool
        Cells to replace; all others stay bit for bit. A value that is not finite and a code
        that stands for no level replace nothing.

    Examples
    --------
    >>> from maetab.data.schema import infer_schema
    >>> frame = pd.DataFrame({"age": pd.array([30, None, 51], dtype="Int8")})
    >>> filled = fill(frame, np.zeros((3, 1)), frame.isna().to_numpy(), infer_schema(frame))
    >>> filled["age"].tolist()
    [30, 40, 51]
    """
    natural, filled = to_natural(values, schema), frame.copy(deep=False)
    for place, column in enumerate(schema.columns):
        written = replace[:, place] & _is_a_value(natural[:, place], column)
        if written.any():
            series = _able_to_hold(frame.iloc[:, place], column, natural[written, place])
            array = series.to_numpy(copy=True) if _is_numpy(series) else series.array.copy()
            array[written] = _restore(natural[written, place], column, array)
            filled.isetitem(place, _column(array, frame))
    return filled


def _column(array: Any, frame: pd.DataFrame) -> Any:
    """Return the array as a column; pandas alone would turn objects that are text into str."""
    return pd.Series(array, frame.index, dtype=array.dtype)


def _is_numpy(series: pd.Series) -> bool:
    return isinstance(series.dtype, np.dtype) and series.dtype.kind not in "Mm"


def _is_a_value(natural: np.ndarray, column: Column) -> np.ndarray:
    """(n,) bool: True where a number is finite and a code stands for a level."""
    if column.kind == "number":
        return np.isfinite(natural)
    return (natural > -0.5) & (natural < len(column.levels) - 0.5)


def _able_to_hold(series: pd.Series, column: Column, natural: np.ndarray) -> pd.Series:
    """Return the column, with the dtype of fit if its own dtype cannot hold its values.

    That happens to columns that are all missing, which pass as any kind, and to category dtypes
    without a level that was known in fit.
    """
    if isinstance(series.dtype, pd.CategoricalDtype) and column.kind == "category":
        known = set(map(level_key, map(python_scalar, series.cat.categories)))
        used = np.unique(np.rint(natural).astype(np.int64))
        new = [column.levels[i] for i in used if level_key(column.levels[i]) not in known]
        return series.cat.add_categories(new) if new else series
    word = word_of_dtype(series.dtype, column.name)
    if column.words <= {word} or (word == "any" and column.temporal is None):
        return series
    if not series.isna().all():
        return series.astype(object)
    dtype: Any = {"bool": "boolean", "category": object}.get(column.dtype, column.dtype)
    if column.integer and isinstance(pd.Series(dtype=dtype).dtype, np.dtype):
        dtype = "Int64"
    return pd.Series(pd.array([None] * len(series), dtype=dtype), index=series.index)


def _all_missing(series: pd.Series, may_be_missing: bool) -> Any:
    """Return an array of the dtype of the column without an observed cell."""
    if not _is_numpy(series):
        return series.array.take(np.full(len(series), -1), allow_fill=True)
    if series.dtype.kind in "iub":
        if not may_be_missing:
            return np.zeros(len(series), dtype=series.dtype)
        whole = series.dtype.name.replace("i", "I", 1).replace("uI", "UI")
        nullable: Any = "boolean" if series.dtype.kind == "b" else whole
        return pd.array([None] * len(series), dtype=nullable)
    return np.full(len(series), None if series.dtype == object else np.nan, dtype=series.dtype)


def _restore(natural: np.ndarray, column: Column, array: Any) -> Any:
    """Return cells that can be assigned to `array` without loss: cast, rounded and clipped."""
    dtype = array.dtype
    if column.kind == "category":
        return _restore_levels(natural, column, dtype)
    if getattr(dtype, "kind", "") in "Mm":
        return _restore_times(natural, dtype)
    if column.integer:
        natural = np.rint(natural)
    if pd.api.types.is_object_dtype(dtype):
        number = int if column.integer else float
        return np.array([number(value) for value in natural], dtype=object)
    plain = dtype if isinstance(dtype, np.dtype) else dtype.numpy_dtype
    if plain.kind in "iu":
        cells = _as_whole(natural, plain)
    else:
        limit = float(min(np.finfo(plain).max, np.finfo(np.float64).max))
        cells = np.clip(natural, -limit, limit).astype(plain)
    return cells if isinstance(dtype, np.dtype) else pd.array(cells, dtype=dtype)


def _as_whole(natural: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Round and clip to the bounds of an integer dtype."""
    bounds = np.iinfo(dtype)
    upper = float(bounds.max)
    if upper > bounds.max:  # 2**63 is a float64, 2**63 - 1 is not
        upper = np.nextafter(upper, 0.0)
    return np.clip(np.rint(natural), float(bounds.min), upper).astype(dtype)


def _restore_levels(natural: np.ndarray, column: Column, dtype: Any) -> Any:
    codes = np.rint(natural).astype(np.int64)
    levels = np.empty(len(column.levels), dtype=object)
    levels[:] = column.levels
    if isinstance(dtype, pd.CategoricalDtype):
        places = {level_key(python_scalar(v)): i for i, v in enumerate(dtype.categories)}
        found = np.array([places.get(level_key(level), -1) for level in levels], dtype=np.int64)
        return pd.Categorical.from_codes(found[codes], dtype=dtype)
    cells = levels[codes]
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return cells.astype(dtype)
    return cells if pd.api.types.is_object_dtype(dtype) else pd.array(cells, dtype=dtype)


def _restore_times(seconds: np.ndarray, dtype: Any) -> Any:
    """Return dates (within the years 1 to 9999) or durations of the dtype."""
    is_date = dtype.kind == "M"
    unit = _unit_of(dtype)
    limit = float(np.nextafter(2.0**63, 0.0))
    if is_date:
        seconds = np.clip(seconds, -62135596800.0, 253402300799.0)
    ticks = np.rint(np.clip(seconds * PER_SECOND[unit], -limit, limit)).astype(np.int64)
    if not is_date:
        return pd.array(pd.TimedeltaIndex(ticks.view(f"m8[{unit}]")), dtype=dtype)
    index = pd.DatetimeIndex(ticks.view(f"M8[{unit}]"))
    if isinstance(dtype, pd.DatetimeTZDtype):
        return index.tz_localize("UTC").tz_convert(dtype.tz).array
    if isinstance(dtype, pd.ArrowDtype):
        if "date" in str(dtype):
            index = index.round("D")
        elif "tz=" in str(dtype):
            index = index.tz_localize("UTC")
    return pd.array(index, dtype=dtype)


def _unit_of(dtype: Any) -> str:
    """Unit in which a dtype counts time; "s" for dates without a time."""
    text = str(dtype)
    return next((unit for unit in ("ns", "us", "ms") if f"[{unit}" in text), "s")
