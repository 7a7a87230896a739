"""What the cells of a column say of it, part by part: statistics that can be merged.

The column that a table suggests is that of the one tally of its cells, and so it is the same, but
for the rounding of sums, however the rows are split.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from maetab.data.cells import EXACT, Cells, is_undeclared
from maetab.data.columns import (
    FREE_TEXT,
    FREE_TEXT_SHARE,
    MAX_DISTINCT,
    Column,
    center_and_scale,
)
from maetab.data.grid import ROOM, TIMES, move
from maetab.data.kinds import level_key, same

MOST_COUNTED = 100_000  # different values of a text that may be a category


@dataclass(frozen=True)
class NumberTally:
    """What the numbers of a column say of it.

    Parameters
    ----------
    n_observed, center, scale : of the observed numbers, less `origin`
    distinct : these numbers, ascending, if they are few; else the smallest and the largest
    few : whether `distinct` holds all of them
    largest : greatest absolute value of one, `origin` included
    precision : dtype of the floats that held them
    column : name, dtype and kind, without figures; and `integer`, `step`, `origin`, `decimals`
    """

    n_observed: int
    center: float
    scale: float
    distinct: np.ndarray
    few: bool
    largest: float
    precision: np.dtype
    column: Column

    @classmethod
    def of(cls, cells: Cells) -> NumberTally:
        """Return what some cells say."""
        origin = cells.origin
        numbers = cells.numbers(origin)[cells.observed]
        distinct = np.unique(numbers)
        few = len(distinct) <= MAX_DISTINCT
        return cls(
            int(numbers.size),
            *center_and_scale(numbers),
            distinct if few else distinct[[0, -1]],
            few,
            float(np.abs(distinct[[0, -1]] + origin).max()) if len(distinct) else 0.0,
            cells.precision,
            Column(
                name=cells.name,
                kind="number",
                dtype="object" if cells.decimals is not None else str(cells.dtype),
                integer=cells.integer,
                temporal=cells.temporal,
                step=cells.step,
                origin=origin,
                decimals=cells.decimals,
            ),
        )

    def merge(self, other: NumberTally) -> NumberTally:
        """Return what the cells of both say."""
        if not (self.n_observed and other.n_observed):
            return self if self.n_observed else other
        origin = _origin(self, other)
        one, two = self._counted_from(origin), other._counted_from(origin)
        distinct = np.union1d(one.distinct, two.distinct)
        few = one.few and two.few and len(distinct) <= MAX_DISTINCT
        largest = max(one.largest, two.largest)
        center, scale = _center_and_scale(one, two)
        decimals = [x.column.decimals for x in (one, two) if x.column.decimals is not None]
        return NumberTally(
            one.n_observed + two.n_observed,
            center,
            scale if distinct[0] < distinct[-1] else 1.0,
            distinct if few else distinct[[0, -1]],
            few,
            largest,
            one.precision,
            replace(
                one.column,
                integer=one.column.integer and two.column.integer,
                step=_step(one, two, largest),
                origin=origin,
                decimals=max(decimals, default=None),
            ),
        )

    def _counted_from(self, origin: int) -> NumberTally:
        """Return the same, with numbers less another `origin`."""
        apart = float(self.column.origin - origin)
        if not apart:
            return self
        return replace(self, center=self.center + apart, distinct=self.distinct + apart)

    def infer(self) -> Column:
        """Return the column that it suggests."""
        # Onto the grid, for 0.1 in single precision is next to 0.1 only.
        distinct = move(self.distinct, self.column.step, self.column.dtype, "round")
        ends = distinct[[0, -1]] if distinct.size else np.zeros(2)
        return replace(
            self.column,
            center=self.center,
            scale=self.scale,
            lower=float(ends[0]),
            upper=float(ends[1]),
            distinct=tuple((distinct if self.few else ends).tolist()),
            n_observed=self.n_observed,
        )


@dataclass(frozen=True)
class LevelTally:
    """How often each value of a column of categories or text was seen.

    Parameters
    ----------
    values, counts : the values, in the order in which they came or in that of the dtype
    declared : whether they are the categories of the dtype
    ascends : whether their order means something
    may_be_text : whether many different values are free text
    different : values that were counted at least; more than `values` once these are too many
    column : name and dtype
    """

    values: tuple
    counts: tuple[int, ...]
    n_observed: int
    declared: bool
    ascends: bool
    may_be_text: bool
    different: int
    column: Column

    @classmethod
    def of(cls, cells: Cells, extra: list, chosen: bool) -> LevelTally:
        """Return what some cells say; parameters as in `infer_column`."""
        codes, values = cells.factors
        seen = np.bincount(codes[cells.observed], minlength=len(values)).tolist()
        word, declared = cells.dtype_word, cells.dtype_word in ("category", "boolean")
        if word == "category":
            missing = [any(same(value, other) for other in extra) for value in values]
            kept = [i for i in range(len(values)) if seen[i] or not missing[i]]
        else:
            kept = [i for i in range(len(values)) if seen[i] or word == "boolean"]
        return cls(
            tuple(values[i] for i in kept),
            tuple(seen[i] for i in kept),
            int(cells.observed.sum()),
            declared,
            word == "boolean" or bool(getattr(cells.dtype, "ordered", False)),
            is_undeclared(cells.dtype, cells.name) and not chosen,
            sum(count > 0 for count in seen),
            Column(cells.name, "category", str(cells.dtype)),
        )

    def merge(self, other: LevelTally) -> LevelTally:
        """Return what the cells of both say."""
        n_observed = self.n_observed + other.n_observed
        counts: dict[tuple, int] = {}
        values: dict[tuple, Any] = {}
        for tally in (self, other):
            for value, count in zip(tally.values, tally.counts, strict=True):
                key = level_key(value)
                values.setdefault(key, value)
                counts[key] = counts.get(key, 0) + count
        different = max(self.different, other.different, sum(n > 0 for n in counts.values()))
        too_many = different > MOST_COUNTED or self._uncounted or other._uncounted
        same_order = self.declared and other.declared and self.values == other.values
        if self.ascends and not same_order:
            raise ValueError(
                f"column {self.column.name!r} has ordered categories that differ in parts of the "
                f"data: {self.values!r} and {other.values!r}; give all parts the same."
            )
        if self.may_be_text and too_many:
            values = {}
        return replace(
            self,
            values=tuple(values.values()),
            counts=tuple(counts[key] for key in values),
            n_observed=n_observed,
            declared=same_order,
            different=different,
            column=self.column if self.n_observed else other.column,
        )

    @property
    def _uncounted(self) -> bool:
        """Whether there were too many values to count them."""
        return self.different > len(self.values)

    def infer(self) -> Column:
        """Return the column that it suggests."""
        column = replace(self.column, n_observed=self.n_observed)
        most = min(MOST_COUNTED, max(FREE_TEXT, self.n_observed * FREE_TEXT_SHARE))
        if self.may_be_text and (self._uncounted or self.different > most):
            return replace(column, free_text=self.different)
        kept = list(range(len(self.values)))
        if not self.declared:  # no dtype has put them in order: their text does
            kept.sort(key=lambda i: str(self.values[i]))
        kept.sort(key=lambda i: -self.counts[i])
        return replace(
            column,
            levels=tuple(self.values[i] for i in kept),
            counts=tuple(self.counts[i] for i in kept),
            order=tuple(np.argsort(kept).tolist()) if self.ascends else (),
        )


Tally = NumberTally | LevelTally


def tally_of(cells: Cells, extra: list, chosen: bool) -> Tally:
    """Return what the cells of a column, or of a part of it, say of it.

    Parameters
    ----------
    extra : values that count as missing, see `extra_missing`
    chosen : True where the user calls the column a category
    """
    if cells.kind == "number" and not chosen:
        return NumberTally.of(cells)
    return LevelTally.of(cells, extra, chosen)


def merged(tallies: Iterable[Tally]) -> Tally:
    """Return what the cells of all parts of a column say.

    Raises
    ------
    ValueError
        One part holds numbers and another categories.
    """
    return reduce(_merge, tallies)


def _merge(one: Tally, two: Tally) -> Tally:
    if isinstance(one, NumberTally) and isinstance(two, NumberTally):
        kinds = {x.column.temporal for x in (one, two) if x.n_observed}
        if len(kinds) < 2:
            return one.merge(two)
    elif isinstance(one, LevelTally) and isinstance(two, LevelTally):
        return one.merge(two)
    elif not (one.n_observed and two.n_observed):  # objects: a part without cells is of no kind
        return one if one.n_observed else two
    raise _differ(one.column.name, one.column.dtype, two.column.dtype)


def _differ(name: Hashable, one: str, other: str) -> ValueError:
    return ValueError(
        f"column {name!r} holds other kinds of cells in one part of the data ({one}) than in "
        f"another ({other}); give it one dtype."
    )


def _origin(one: NumberTally, two: NumberTally) -> int:
    """Return what the numbers of both are to be counted from; see `Cells.origin`."""
    ends = [x.column.origin + int(end) for x in (one, two) for end in x.distinct[[0, -1]]]
    integer = one.column.integer and two.column.integer
    if not integer or max(map(abs, ends)) < EXACT:
        return 0
    return int(float(min(ends))) if max(ends) - min(ends) < EXACT else 0


def _center_and_scale(one: NumberTally, two: NumberTally) -> tuple[float, float]:
    """Return mean and standard deviation of the numbers of both (Chan et al. 1979)."""
    total, apart = one.n_observed + two.n_observed, two.center - one.center
    shares = one.n_observed / total, two.n_observed / total
    scales = [x.scale if x.distinct[0] < x.distinct[-1] else 0.0 for x in (one, two)]
    unit = max(*scales, abs(apart)) or 1.0  # so that squares neither overflow nor vanish
    within = sum(n * (s / unit) ** 2 for n, s in zip(shares, scales, strict=True))
    std = unit * float(np.sqrt(within + shares[0] * shares[1] * (apart / unit) ** 2))
    center = one.center + apart * shares[1]
    return center, std if 0.0 < std < np.inf else 1.0


def _step(one: NumberTally, two: NumberTally, largest: float) -> float | None:
    """Return the step of a grid that holds the numbers of both, None where there is none."""
    steps = [x.column.step for x in (one, two)]
    if None in steps:
        return None
    step = min(steps, key=lambda s: s or 0.0)
    if step in TIMES or one.column.integer or one.column.decimals is not None or step is None:
        return step
    return step if step >= ROOM * float(np.spacing(one.precision.type(largest))) else None
