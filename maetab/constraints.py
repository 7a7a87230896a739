"""Constraints that filled numbers obey: orders of columns, and parts that sum to a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from maetab.data.advice import warn
from maetab.data.columns import Column
from maetab.data.schema import Schema, first_of
from maetab.engine.row_sums import row_sums

SWEEPS = 500  # over the constraints of a row, at most
TOLERANCE = 1e-9  # of the numbers of a constraint, within which a sum is what it is to be
TOKEN = re.compile(r"\s*(?:`([^`]+)`|([^\W\d]\w*)|(\d+\.?\d*(?:[eE][+-]?\d+)?)|(<=|>=|==|[+-]))")
GRAMMAR = (
    "sums and differences of columns and numbers on both sides of <=, >= or ==, such as "
    "'low <= high' or 'a + b == `the total`'; names with other signs than letters, digits and _ "
    "stand in backticks"
)


@dataclass(frozen=True)
class Constraint:
    """The law that `signs` times the numbers of a row are at most `most`, or equal to it.

    Parameters
    ----------
    text : as the user wrote it
    signs : (F,) float, how often each column counts; 0 for most
    most : the numbers less their columns' origins are compared with it
    equal : True for ==
    """

    text: str
    signs: np.ndarray
    most: float
    equal: bool

    def excess(self, numbers: np.ndarray) -> np.ndarray:
        """Return (n,) by how much rows (n, F) exceed what is allowed; of sums either sign."""
        excess = _sums(numbers, self.signs) - self.most
        return excess if self.equal else np.maximum(excess, 0.0)

    def broken(self, numbers: np.ndarray) -> np.ndarray:
        """Return (n,) bool: rows that do not obey, sums but for rounding."""
        excess = self.excess(numbers)
        size = _sums(np.abs(numbers), np.abs(self.signs)) + abs(self.most)
        single = np.abs(self.signs).sum() == 2 and not self.most
        return np.abs(excess) > (0.0 if single and not self.equal else TOLERANCE * size)


def _sums(numbers: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return (n,) sums of rows (n, F), of which numbers without a sign may be missing."""
    used = signs != 0
    return row_sums(numbers[:, used], signs[used])


def read_constraints(given: Any, schema: Schema) -> list[Constraint]:
    """Return the constraints of MAEImputer, for columns of a schema.

    Raises
    ------
    ValueError
        That names the constraint and what is wrong with it.

    Examples
    --------
    >>> columns = Column("part", "number", "float64"), Column("the total", "number", "float64")
    >>> [read] = read_constraints("`the total` >= part + 2", Schema(columns))
    >>> read.signs.tolist(), read.most, read.equal
    ([1.0, -1.0], -2.0, False)
    """
    if given is None:
        return []
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise ValueError(
            f"The 'constraints' parameter of MAEImputer must be None, text or a list of texts, "
            f"got {given!r}."
        )
    return [_read(text, schema) for text in texts]


def _wrong(text: str, reason: str) -> ValueError:
    return ValueError(f"The constraint {text!r} of MAEImputer {reason}.")


def _tokens(text: str) -> Iterator[tuple[str, str, str]]:
    """Give name, number or sign of each token of a constraint, the other two empty."""
    place = 0
    while place < len(text.rstrip()):
        found = TOKEN.match(text, place)
        if found is None:
            raise _wrong(text, f"cannot be read at {text[place:].strip()!r}: it must be {GRAMMAR}")
        yield found[1] or found[2] or "", found[3] or "", found[4] or ""
        place = found.end()


def _read(text: str, schema: Schema) -> Constraint:
    places = {str(column.name): j for j, column in enumerate(schema.columns)}
    signs, constant, side, sign, relation, expects = np.zeros(len(places)), 0.0, 1.0, 1.0, "", True
    for name, number, mark in _tokens(text):
        if expects == bool(mark) and not (mark in ("+", "-") and expects and sign > 0):
            raise _wrong(
                text, f"cannot be read at {name or number or mark!r}: it must be {GRAMMAR}"
            )
        if name and name not in places:
            bare = re.sub("`[^`]+`", "", text)
            cut = [x for x in places if x in bare and name in re.split(r"\W", x) and x != name]
            known = first_of(places) + "".join(f"; `{x}` stands in backticks" for x in cut[:1])
            raise _wrong(text, f"names {name!r}, which is no column of X; its columns are {known}")
        if name:
            signs[places[name]] += side * sign
        elif number:
            constant += side * sign * float(number)
        elif mark in ("<=", ">=", "=="):
            if relation:
                raise _wrong(text, f"has two of <=, >= and ==: it must be {GRAMMAR}")
            relation, side = mark, -1.0
        sign, expects = (-1.0 if mark == "-" else 1.0), bool(mark)
    if not relation or expects:
        raise _wrong(text, f"is not complete: it must be {GRAMMAR}")
    if not np.isfinite(constant):
        raise _wrong(text, "has a number too large for float64")
    _check_kinds(text, signs, constant, schema)
    origins = np.array([float(column.origin) for column in schema.columns])
    turn = -1.0 if relation == ">=" else 1.0
    most = float(-turn * (constant + signs @ origins))
    return Constraint(text, turn * signs, most, relation == "==")


def _check_kinds(text: str, signs: np.ndarray, constant: float, schema: Schema) -> None:
    """Refuse what cannot be compared: categories, and times with numbers."""
    used = [schema.columns[j] for j in np.flatnonzero(signs)]
    if not used:
        raise _wrong(text, "says nothing about a column")
    for column in used:
        if column.kind != "number":
            raise _wrong(text, f"names {column.name!r}, which holds no numbers, dates or durations")
    times = [column.temporal for column in used]
    if any(times) and (constant or not all(times)):
        raise _wrong(
            text,
            "compares times with numbers; where dates and durations begin and end is said by "
            "min_value and max_value",
        )
    moments = [c.temporal == "datetime" for c in schema.columns]
    if signs[moments].sum():
        raise _wrong(text, "adds dates to each other, or compares them with durations")


def obeying(
    constraints: Sequence[Constraint],
    numbers: np.ndarray,
    to_fill: np.ndarray,
    schema: Schema,
    ends: np.ndarray,
    tell: bool = True,
) -> np.ndarray:
    """Return numbers (n, F) whose filled cells obey the constraints; the others are as they are.

    Changed as little as possible, in standard deviations of the columns (a projection by the method
    of Hildreth 1957, "A quadratic programming procedure"), and then moved to the grids of the
    columns. Rows in which the observed cells leave no such numbers, or in which none was found on
    the grids, are as they were, with a warning.

    Parameters
    ----------
    numbers : (n, F) float64, less the origins of the columns
    to_fill : (n, F) bool
    ends : (2, F) smallest and largest number that may be filled, whatever constraints ask for
    tell : whether to warn
    """
    used = np.any([c.signs != 0 for c in constraints], axis=0)
    asked = [(to_fill & (c.signs != 0)).any(1) for c in constraints]
    broken = np.any(
        [a & c.broken(numbers) for a, c in zip(asked, constraints, strict=True)], axis=0
    )
    rows = np.flatnonzero(broken)
    if not len(rows):
        return numbers
    # From here on the columns alone that a constraint names, mostly few of them.
    columns = [column for column, named in zip(schema.columns, used, strict=True) if named]
    own = [replace(c, signs=c.signs[used]) for c in constraints]
    cells = np.ix_(rows, used)
    free, ends = to_fill[cells], ends[:, used]
    # A row's observed cells may break a constraint in which nothing is filled: not its own matter.
    active = np.stack([a[rows] for a in asked])
    moved = _projected(own, numbers[cells], free, columns, ends)
    moved = np.where(free, _on_grids(moved, columns), moved)
    _settle(own, active, moved, free, columns)
    fails = _outside(moved, free, ends) | np.any(
        [a & c.broken(moved) for a, c in zip(active, own, strict=True)], axis=0
    )
    if fails.any() and tell:
        warn(
            f"MAEImputer: in {fails.sum()} of {len(numbers)} rows no filled cells obey "
            f"constraints={[c.text for c in constraints]!r} beside what is observed; these rows "
            f"are filled as predicted."
        )
    out = numbers.copy()
    out[np.ix_(rows[~fails], used)] = moved[~fails]
    return out


def _outside(numbers: np.ndarray, free: np.ndarray, ends: np.ndarray) -> np.ndarray:
    beyond = (numbers < ends[0]) | (numbers > ends[1])
    return np.asarray((beyond & free).any(1))


def _projected(
    constraints: Sequence[Constraint],
    numbers: np.ndarray,
    free: np.ndarray,
    columns: Sequence[Column],
    ends: np.ndarray,
) -> np.ndarray:
    """Return the nearest numbers (R, F) that obey, near to convergence.

    Coordinate ascent in the multipliers, one for each constraint and each end of a cell. Where no
    cell of a constraint is free, it moves nothing.
    """
    scale = np.array([column.scale for column in columns])
    variance, x = np.where(free, scale**2, 0.0), numbers.copy()
    found = np.zeros((len(x), 1), bool)
    forces = np.zeros((len(constraints), len(x)))
    pushes = np.zeros((2, *x.shape))
    for _ in range(SWEEPS):
        before = x.copy()
        for i, c in enumerate(constraints):
            total = _sums(variance, c.signs**2)
            excess = _sums(x, c.signs) - c.most
            step = np.divide(excess, total, out=np.zeros_like(total), where=total > 0)
            step = step if c.equal else np.maximum(step, -forces[i])
            forces[i] += step
            x -= variance * c.signs * step[:, None]
        for i, side in enumerate((-1.0, 1.0)):
            beyond = np.where(free, side * (x - ends[i]), -np.inf) / scale**2
            step = np.maximum(beyond, -pushes[i])
            pushes[i] += step
            x -= side * variance * step
        x = np.where(found, before, x)  # rows that have converged do not wait for others
        found |= np.abs((x - before) / scale).max(1, keepdims=True) < 1e-13
        if found.all():
            break
    return x


def step_of(column: Column) -> float | None:
    """Return the step that filled numbers of a column keep to, None where there is none."""
    return 1.0 if column.integer else column.step


def _on_grids(numbers: np.ndarray, columns: Sequence[Column]) -> np.ndarray:
    return np.stack([column.on_grid(numbers[:, j]) for j, column in enumerate(columns)], axis=1)


def _settle(
    constraints: Sequence[Constraint],
    active: np.ndarray,
    numbers: np.ndarray,
    free: np.ndarray,
    columns: Sequence[Column],
) -> None:
    """Undo what rounding has broken, in place: by a cell without a grid, or steps of the finest."""
    steps = np.array([step_of(column) or 0.0 for column in columns])
    # Orders last, for they hold exactly, and sums but for rounding.
    ordered = sorted(zip(constraints, active, strict=True), key=lambda pair: not pair[0].equal)
    # Another cell comes first in each round: one that an order has moved would be moved back.
    for turn in range(max(len(constraints) + 2, len(columns))):
        for c, own in ordered:
            for i in np.flatnonzero(own & (c.excess(numbers) != 0)):
                places = np.flatnonzero(free[i] & (c.signs != 0))
                finest = places[steps[places] == steps[places].min()]
                _balance(c, numbers[i], np.roll(finest, -turn), steps[finest[0]])
    for j, column in enumerate(columns):  # sums of decimals are no decimals
        if steps[j]:
            numbers[free[:, j], j] = column.on_grid(numbers[free[:, j], j])


def _balance(c: Constraint, row: np.ndarray, places: np.ndarray, step: float) -> None:
    """Move cells of a row, in place, until it obeys, or nearly so where steps do not suffice."""
    for turn in range(4 * len(places)):
        [excess] = c.excess(row[None])
        place = places[turn % len(places)]
        if step:
            n = abs(excess) / (step * (abs(c.signs[place]) if not c.equal else len(places)))
            whole = np.ceil(n - 1e-6) if not c.equal else max(1.0, np.rint(n))
            if abs(excess) < step * 1e-6 or (c.equal and abs(excess) < step / 2):
                return
            row[place] -= np.sign(excess * c.signs[place]) * step * whole
        else:
            if not excess:
                return
            row[place] -= excess / c.signs[place]
