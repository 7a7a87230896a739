"""What one column is: kind, levels, center and scale."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from maetab.data.grid import move
from maetab.data.kinds import word_of
from maetab.data.labels import read_label, write_label

MAX_DISTINCT = 32  # numbers of a column up to which all are kept, to come back bit for bit
MAX_LEVELS = 64  # levels of a category that are told apart; rarer ones share a token
# Text with more different cells than both is no category. Names and keys differ in almost every
# row, categories repeat; in short tables even categories may not.
FREE_TEXT, FREE_TEXT_SHARE = 20, 0.5
SINGLE = 4e-7  # three roundings of single precision, in standard deviations


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
    key : True for the time of the rows or the group that they belong to, which pass through as free
        text does: `free_text` is then positive, and any kind of cell will do.
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
    key: bool = False

    @property
    def words(self) -> frozenset[str]:
        """Kinds of cell this column held in fit (keys of `SPOKEN`); empty if it held none.

        Empty also for keys: whoever reads them says what they must be.
        """
        if self.key:
            return frozenset()
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

    def as_before(self, before: Column) -> Column:
        """Return the same with the levels of an earlier fit in front, in their order.

        Those that were told apart there are told apart, however rare they are now.

        Raises
        ------
        ValueError
            The column was of another kind, or a level is frequent now that was not told apart.
        """
        if before.key:
            return self
        was, now = ((c.kind, c.temporal, c.free_text > 0) for c in (before, self))
        if was != now:
            raise _cannot_go_on(self.name, f"is {self._told()} now, and was {before._told()}")
        known = {_exact(level) for level in before.levels}
        new = [level for level in self.levels if _exact(level) not in known]
        counted = dict(zip(map(_exact, self.levels), self.counts, strict=True))
        levels, n = before.levels + tuple(new), before.n_modelled
        counts = [counted.get(_exact(level), 0) for level in levels]
        often = [x for x, count in zip(levels[n:], counts[n:], strict=True) if count > 1]
        if often and n < MAX_LEVELS:
            why = f"has the level {often[0]!r} more than once now, which was told from no other"
            raise _cannot_go_on(self.name, why)
        counts[:n] = [max(2, count) for count in counts[:n]]
        if self.order and known - set(counted):
            raise _cannot_go_on(self.name, "is ordered, and has other levels now")
        places = {_exact(level): place for place, level in enumerate(levels)}
        order = tuple(places[_exact(self.levels[place])] for place in self.order)
        return replace(self, levels=levels, counts=tuple(counts), order=order)

    def _told(self) -> str:
        return "free text" if self.free_text else f"a {self.temporal or self.kind}"

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads, as plain JSON values."""
        written = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        labels = {"name": write_label(self.name), "levels": [*map(write_label, self.levels)]}
        return written | labels

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> Column:
        """Rebuild the column that `to_dict` wrote."""
        read: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in written.items()
        }
        read["name"] = read_label(written["name"])
        read["levels"] = tuple(map(read_label, written["levels"]))
        return cls(**read)


def _exact(level: Hashable) -> tuple[type, Hashable]:
    """Return what tells a level from one of another type that is equal to it, as True is to 1."""
    return type(level), level


def _cannot_go_on(name: Hashable, why: str) -> ValueError:
    return ValueError(
        f"warm_start=True goes on from the model that was fitted before, but column {name!r} "
        f"{why}. Pass warm_start=False to fit anew."
    )


def center_and_scale(numbers: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of finite float64 numbers; (0, 1) where there are none.

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
    std = np.sqrt(np.mean((small - mean) ** 2)) or np.abs(small - mean).max()
    scale = float(np.ldexp(std, exponent))
    return float(np.ldexp(mean, exponent)), scale if 0.0 < scale < np.inf else 1.0
