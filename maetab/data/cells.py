"""The cells of one column: which are observed, and what they hold."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from maetab.data import kinds
from maetab.data.grid import decimal_step, step_of, time_step, zone_of

EXACT = 2.0**53  # float64 tells whole numbers apart up to here


class Cells:
    """The cells of one column: which are observed, and what they hold.

    Parameters
    ----------
    series : the column.
    extra : values which count as missing besides NaN, None, NA and NaT (see `extra_missing`).
    """

    def __init__(self, series: pd.Series, extra: Sequence = ()) -> None:
        self.series, self.name, self.dtype = series, series.name, series.dtype
        self.dtype_word = kinds.word_of_dtype(series.dtype, series.name)
        given = series.notna().to_numpy()
        if self.dtype_word == "any" and kinds.are_dates(series, given):
            self.dtype_word = "datetime"
        if self.dtype_word == "number" or self.temporal:
            self._floats = self._times_as_floats() if self.temporal else kinds.read_floats(series)
            given = given & ~np.isnan(self._floats)
            for value in extra:
                given = given & ~self._equal(value)
        elif self.dtype == object:
            kinds.refuse_odd_objects(series, given)
        self.observed: np.ndarray = given
        if extra and self.dtype_word in ("any", "category", "text"):
            self.observed = given & self._differ_from(extra)

    def _times_as_floats(self) -> np.ndarray:
        self._times = kinds.read_times(self.series, self.dtype_word)
        seconds = self._times.asi8 / kinds.PER_SECOND[self._times.unit]
        return np.where(self._times.isna(), np.nan, seconds)

    def _equal(self, value: Any) -> np.ndarray:
        """(n,) bool: True where a number, date or duration is this one."""
        if self.integer and isinstance(value, int) and not isinstance(value, bool):
            return (self.series == value).to_numpy(dtype=bool, na_value=False)
        return self._floats == kinds.as_float(value, self.dtype_word)

    def _differ_from(self, extra: Sequence) -> np.ndarray:
        codes, values = self.factors
        is_extra = [any(kinds.same(value, other) for other in extra) for value in values]
        return ~np.array([*is_extra, True])[codes]

    def first_other_than(self, words: frozenset[str]) -> Any:
        """First observed cell that is none of these words, or else the first observed one."""
        cells = self.series[self.observed].astype(object)
        others = (cell for cell in cells if kinds.word_of(type(cell)) not in words)
        return next(others, cells.iloc[0])

    @cached_property
    def words(self) -> frozenset[str]:
        """Kinds of the observed cells, as keys of `SPOKEN`."""
        if not self.observed.any():
            return frozenset()
        if self.dtype_word not in ("any", "category") and not kinds.is_dictionary(self.dtype):
            return frozenset({self.dtype_word})
        return frozenset(kinds.word_of(cell_type) or "" for cell_type in self.types)

    @cached_property
    def types(self) -> set[type]:
        """Types of the categories, or else of the observed cells."""
        if self.dtype_word == "category":
            return set(map(type, self.series.cat.categories))
        return set(map(type, self.series.to_numpy(dtype=object)[self.observed]))

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
            return bool(self.types) and all(issubclass(t, (int, np.integer)) for t in self.types)
        return self.dtype_word == "number" and pd.api.types.is_integer_dtype(self.dtype)

    def numbers(self, origin: int = 0) -> np.ndarray:
        """(n,) float64: the numbers less `origin`, 0 where not observed; times in seconds."""
        floats = np.zeros(len(self.series))
        if self.dtype_word == "any" or origin:
            cells = self.series.to_numpy(dtype=object)[self.observed]
            try:
                floats[self.observed] = (cells - origin if origin else cells).astype(np.float64)
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

    @property
    def origin(self) -> int:
        """A whole number near all others where float64 cannot tell these apart, else 0."""
        numbers = self.numbers()[self.observed]
        if not self.integer or not numbers.size or np.abs(numbers).max() < EXACT:
            return 0
        return int(numbers.min()) if np.ptp(numbers) < EXACT else 0

    @cached_property
    def decimals(self) -> int | None:
        """Decimals of a column of decimal.Decimal, None for all others."""
        if self.dtype_word != "any":
            return None
        scale = kinds.scale_of_dtype(self.dtype)
        cells = self.series.to_numpy(object)[self.observed]
        return kinds.scale_of(cells) if scale is None else scale

    @property
    def step(self) -> float | None:
        """Step of the grid that the observed numbers lie on, None where there is none."""
        if self.temporal:
            if isinstance(self.dtype, pd.PeriodDtype):
                return None
            local = self._times
            if self.temporal == "datetime" and local.tz is not None:
                local = local.tz_convert(zone_of(str(self.dtype))).tz_localize(None)
            return time_step(local.asi8[self.observed], kinds.PER_SECOND[local.unit])
        if self.integer:
            return 1.0
        step = decimal_step(self.numbers()[self.observed], self.precision)
        return step_of(self.decimals) if step is None and self.decimals is not None else step

    @property
    def precision(self) -> np.dtype:
        """Dtype of the floats that hold the numbers."""
        dtype: Any = getattr(self.dtype, "numpy_dtype", self.dtype)
        is_float = isinstance(dtype, np.dtype) and dtype.kind == "f"
        return dtype if is_float else np.dtype(np.float64)

    @cached_property
    def factors(self) -> tuple[np.ndarray, list]:
        """Codes (n,) int64, -1 where missing by nature, and the Python values they stand for."""
        if self.dtype_word == "category":
            values = [kinds.python_scalar(value) for value in self.series.cat.categories]
            return self.series.cat.codes.to_numpy(np.int64), values
        if self.dtype_word == "boolean":
            codes = self.series.to_numpy(dtype=np.float64, na_value=np.nan)
            return np.where(np.isnan(codes), -1, codes).astype(np.int64), [False, True]
        if self.dtype_word == "any":
            return kinds.factorize_objects(self.series.to_numpy(dtype=object))
        codes, distinct = pd.factorize(self.series)
        return codes.astype(np.int64), [kinds.python_scalar(value) for value in distinct]


def is_undeclared(dtype: Any, name: Hashable) -> bool:
    """Return True for the dtypes of text and objects, which do not declare categories."""
    undeclared = kinds.word_of_dtype(dtype, name) in ("text", "any")
    return undeclared and not kinds.is_dictionary(dtype)
